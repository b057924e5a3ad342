"""Breakers are judged from the log: each call once, by one process, with an event for each change."""

import asyncio
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pytest

from app import attempts, db, events, outdials, targets
from app.auth import Viewer
from app.lifecycle import Disposition, OutdialEventType, OutdialState
from app.outdials import judging
from app.pacing import BreakerState, BreakerStatus, Pacing
from app.records import AttemptResult, Outdial, PolicyDraft
from tests.breakers.conftest import BREAKER, Make, call, judge, status, with_breaker
from tests.support import factories

FAILED, BUSY, TIMEOUT = Disposition.FAILED, Disposition.BUSY, Disposition.TIMEOUT


async def told(viewer: Viewer, outdial_id: str) -> list[str]:
    """The events of its breaker, in the order of the log."""
    found = await db.fetch(
        "SELECT type FROM outdial_event WHERE customer_id = $1 AND outdial_id = $2 ORDER BY epoch, tx, seq",
        viewer.customer_id,
        outdial_id,
    )
    return [row["type"] for row in found if row["type"].startswith("BREAKER")]


async def set_breaker(viewer: Viewer, outdial_id: str, **pacing: Any) -> Outdial:
    draft = PolicyDraft(pacing=Pacing(**pacing) if pacing else None)
    return await outdials.update(viewer, outdial_id, changes={"dial_policy": draft})


async def test_a_breaker_opens_when_enough_calls_have_failed(database: str, viewer: Viewer) -> None:
    made = await with_breaker(viewer)
    await call(viewer, made.id, FAILED, BUSY, TIMEOUT)
    await judge()
    assert await status(viewer, made.id) == BreakerStatus(calls=3, failures=2)
    await call(viewer, made.id, BUSY)
    before = await db.now()
    await judge()
    found = await status(viewer, made.id)
    assert (found.state, found.calls, found.failures) == (BreakerState.OPEN, 4, 2)
    assert found.opened_at is not None
    assert found.paused_until is not None
    assert before <= found.opened_at <= await db.now()
    assert (found.paused_until - found.opened_at).total_seconds() == BREAKER.pause_seconds
    assert await told(viewer, made.id) == ["BREAKER_OPENED"]


async def test_it_never_opens_on_fewer_calls(database: str, viewer: Viewer) -> None:
    made = await with_breaker(viewer)
    await call(viewer, made.id, FAILED, FAILED, FAILED)
    for _ in range(3):
        await judge()
    assert await status(viewer, made.id) == BreakerStatus(calls=3, failures=3)
    factories.pass_time(BREAKER.window_seconds)
    await call(viewer, made.id, FAILED, FAILED, FAILED)
    await judge()
    assert await status(viewer, made.id) == BreakerStatus(calls=3, failures=3)
    assert await told(viewer, made.id) == []


async def test_calls_that_succeed_keep_it_closed(database: str, viewer: Viewer) -> None:
    made = await with_breaker(viewer)
    await call(viewer, made.id, *[FAILED] * 5, *[BUSY] * 6)
    await judge()
    assert await status(viewer, made.id) == BreakerStatus(calls=11, failures=5)


async def test_it_opens_when_the_calls_that_succeeded_count_no_longer(database: str, viewer: Viewer) -> None:
    made = await with_breaker(viewer)
    await call(viewer, made.id, *[BUSY] * 6)
    factories.pass_time(40)
    await call(viewer, made.id, *[FAILED] * 4)
    await judge()
    assert (await status(viewer, made.id)).state is BreakerState.CLOSED
    factories.pass_time(30)
    await judge()
    found = await status(viewer, made.id)
    assert (found.state, found.calls, found.failures) == (BreakerState.OPEN, 4, 4)


async def test_a_call_whose_dialer_disappeared_counts_once_as_a_failure(database: str, viewer: Viewer) -> None:
    made = await with_breaker(viewer, lease_seconds=5)
    claimed = await attempts.claim(viewer, made.id, limit=3)
    for attempt in claimed[:2]:
        await factories.start(viewer, attempt.id)
    factories.pass_time(6)
    await factories.sweep()
    await judge()
    assert await status(viewer, made.id) == BreakerStatus(calls=2, failures=2)  # one has never dialed
    late = [AttemptResult(attempt.id, FAILED) for attempt in claimed[:2]]
    assert (await attempts.complete(viewer, results=late)).errors == ()
    await judge()
    assert await status(viewer, made.id) == BreakerStatus(calls=2, failures=2)


async def test_a_result_that_is_sent_twice_counts_once(database: str, viewer: Viewer) -> None:
    made = await with_breaker(viewer)
    [attempt] = await attempts.claim(viewer, made.id)
    for _ in range(3):
        await factories.complete(viewer, attempt.id, FAILED)
        await judge()
    assert await status(viewer, made.id) == BreakerStatus(calls=1, failures=1)


async def test_released_attempts_are_no_calls(database: str, viewer: Viewer) -> None:
    made = await with_breaker(viewer)
    for attempt in await attempts.claim(viewer, made.id, limit=6):
        await factories.release(viewer, attempt.id)
    await judge()
    assert await status(viewer, made.id) == BreakerStatus()


async def test_judging_at_the_same_time_counts_each_call_once(database: str, viewer: Viewer) -> None:
    made = await with_breaker(viewer, targets=60, breaker=replace(BREAKER, min_calls=1_000))
    for _ in range(6):
        await call(viewer, made.id, *[FAILED] * 4, *[BUSY] * 6)
        factories.pass_time(judging.REST_SECONDS)
        await asyncio.gather(*(outdials.judge_breakers() for _ in range(4)))
    await judge()
    assert await status(viewer, made.id) == BreakerStatus(calls=60, failures=24)
    factories.pass_time(BREAKER.window_seconds)
    assert await status(viewer, made.id) == BreakerStatus()


async def test_long_logs_are_read_in_steps(database: str, viewer: Viewer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(events.calls.__globals__, "READ_EVENTS_MAX", 3)
    made = await with_breaker(viewer)
    await call(viewer, made.id, FAILED, FAILED, BUSY, BUSY, BUSY, BUSY, FAILED, FAILED)
    await judge()
    found = await status(viewer, made.id)
    assert (found.state, found.calls, found.failures) == (BreakerState.OPEN, 8, 4)
    assert await told(viewer, made.id) == ["BREAKER_OPENED"]


async def test_there_may_be_more_breakers_than_are_looked_for_at_once(
    database: str, viewer: Viewer, stranger: Viewer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judging, "JUDGED_TOGETHER_MAX", 2)
    made = [await with_breaker(one, targets=4) for one in (viewer, stranger, viewer, stranger, viewer)]
    for number, outdial in enumerate(made):
        await call(stranger if number % 2 else viewer, outdial.id, *[FAILED] * 4)
    await judge()
    for number, outdial in enumerate(made):
        owner = stranger if number % 2 else viewer
        assert (await status(owner, outdial.id)).state is BreakerState.OPEN


async def test_only_outdials_with_a_breaker_are_judged(database: str, viewer: Viewer, said: list[str]) -> None:
    plain = await factories.make_outdial(viewer)
    await factories.make_targets(viewer, plain.id, 6)
    await call(viewer, plain.id, *[FAILED] * 6)
    said.clear()
    await judge()
    assert len(said) == 1
    assert await status(viewer, plain.id) == BreakerStatus()
    quiet = await with_breaker(viewer)
    await call(viewer, quiet.id, BUSY)
    await judge()
    said.clear()
    await judge()
    assert len(said) == 1


async def test_the_events_come_to_those_who_follow(database: str, broken: Make, viewer: Viewer) -> None:
    async with aclosing(events.outdial_changes(viewer)) as stream, asyncio.timeout(20):
        following = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0.2)
        made = await broken()
        await outdials.close_breaker(viewer, made.id)
        seen = [await following, await anext(stream), await anext(stream)]
    assert [event.type for event in seen] == [
        OutdialEventType.CREATED, OutdialEventType.BREAKER_OPENED, OutdialEventType.BREAKER_CLOSED,
    ]  # fmt: skip
    assert {event.outdial_id for event in seen} == {made.id}


# ---------------------------------------------------------------- owners


async def test_an_owner_closes_it_and_it_counts_anew(database: str, broken: Make, viewer: Viewer) -> None:
    made = await broken()
    assert await outdials.close_breaker(viewer, made.id) == made
    assert await status(viewer, made.id) == BreakerStatus()
    await outdials.close_breaker(viewer, made.id)
    assert await told(viewer, made.id) == ["BREAKER_OPENED", "BREAKER_CLOSED"]
    await judge()
    assert await status(viewer, made.id) == BreakerStatus()
    await call(viewer, made.id, *[FAILED] * 4)
    await judge()
    assert (await status(viewer, made.id)).state is BreakerState.OPEN


async def test_closing_what_is_closed_changes_nothing(database: str, viewer: Viewer) -> None:
    plain, made = await factories.make_outdial(viewer), await with_breaker(viewer)
    await call(viewer, made.id, FAILED)
    await judge()
    for outdial in (plain, made):
        assert await outdials.close_breaker(viewer, outdial.id) == outdial
        assert await told(viewer, outdial.id) == []
    assert await status(viewer, made.id) == BreakerStatus(calls=1, failures=1)


async def test_a_breaker_that_is_taken_out_of_the_policy_is_closed(database: str, broken: Make, viewer: Viewer) -> None:
    made = await broken()
    await set_breaker(viewer, made.id)
    assert await status(viewer, made.id) == BreakerStatus()
    assert await told(viewer, made.id) == ["BREAKER_OPENED", "BREAKER_CLOSED"]
    await call(viewer, made.id, *[FAILED] * 6)
    await judge()
    await set_breaker(viewer, made.id, breaker=BREAKER)
    await judge()
    assert await status(viewer, made.id) == BreakerStatus()  # what was called before does not count
    await call(viewer, made.id, *[FAILED] * 4)
    await judge()
    assert (await status(viewer, made.id)).state is BreakerState.OPEN


async def test_a_breaker_that_is_changed_keeps_its_state(database: str, broken: Make, viewer: Viewer) -> None:
    made = await broken()
    before = await status(viewer, made.id)
    await set_breaker(viewer, made.id, breaker=replace(BREAKER, failure_percent=100, pause_seconds=5))
    assert await status(viewer, made.id) == before
    await set_breaker(viewer, made.id, breaker=BREAKER, claims_per_second=100.0)
    assert await status(viewer, made.id) == before
    assert await told(viewer, made.id) == ["BREAKER_OPENED"]


async def test_a_pause_and_a_deletion_leave_it_as_it_is(database: str, broken: Make, viewer: Viewer) -> None:
    made = await broken()
    before = await status(viewer, made.id)
    await outdials.update(viewer, made.id, changes={"state": OutdialState.PAUSED})
    assert await status(viewer, made.id) == before
    await outdials.delete(viewer, made.id)
    await judge()
    assert await status(viewer, made.id) == before
    assert await told(viewer, made.id) == ["BREAKER_OPENED"]


async def test_it_outlives_a_restart(database: str, broken: Make, viewer: Viewer) -> None:
    made, counting = await broken(), await with_breaker(viewer)
    await call(viewer, counting.id, FAILED, BUSY, FAILED)
    await judge()
    before = [await status(viewer, one.id) for one in (made, counting)]
    await db.close()
    await db.connect(database)
    assert [await status(viewer, one.id) for one in (made, counting)] == before
    await call(viewer, counting.id, FAILED)
    await judge()
    found = await status(viewer, counting.id)
    assert (found.state, found.calls, found.failures) == (BreakerState.OPEN, 4, 3)


async def test_breakers_of_many_outdials_are_read_in_one_statement(
    database: str, broken: Make, viewer: Viewer, stranger: Viewer, said: list[str]
) -> None:
    made = [(await broken()).id, (await with_breaker(viewer)).id, (await factories.make_outdial(viewer)).id]
    said.clear()
    found = await outdials.breaker_statuses(viewer, made)
    assert len(said) == 1
    assert [found[one].state for one in made] == [BreakerState.OPEN, BreakerState.CLOSED, BreakerState.CLOSED]
    assert await outdials.breaker_statuses(stranger, made[:1]) == {made[0]: BreakerStatus()}


async def test_targets_that_their_owner_cancels_are_no_calls(database: str, viewer: Viewer) -> None:
    made = await with_breaker(viewer)
    for attempt in await attempts.claim(viewer, made.id, limit=5):
        await targets.cancel(viewer, attempt.target_id)
    await judge()
    assert await status(viewer, made.id) == BreakerStatus()
