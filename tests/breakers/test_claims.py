"""While a breaker is open nothing is claimed, and after its pause a single target, however many dialers ask."""

import asyncio
from datetime import datetime, time, timedelta
from typing import Any
from uuid import uuid4

import pytest

from app import attempts, breakers, db, dialability, foreseeing, models, outdials, targets
from app.auth import Viewer
from app.blocks import BlockReason
from app.db import Transaction
from app.hours import CallingHours, CallingWindow, UnknownTimeZoneAction, Weekday
from app.lifecycle import AttemptState, Disposition, OutdialState
from app.pacing import Allowance, BreakerState, BreakerStatus, Pacing
from app.records import CallCap, CapScope, CapSubject, Claimed, PolicyDraft
from app.store import looks, probing
from tests.breakers.conftest import BREAKER, Make, call, judge, status, with_breaker
from tests.support import factories

CLAIMERS = 20
USE_OUTDIAL = UnknownTimeZoneAction.USE_OUTDIAL
ALL_DAY = [CallingWindow(day, time(0), time(0)) for day in Weekday]


def pause() -> None:
    factories.pass_time(BREAKER.pause_seconds)


async def claim(viewer: Viewer, outdial_id: str, **fields: Any) -> Claimed:
    return await attempts.claim(viewer, outdial_id, **{"limit": 5, **fields})


async def crowd(viewer: Viewer, outdial_id: str) -> list[Claimed]:
    """What many claimers get who ask at the same time, half of them with a key: these share a unit with no other."""
    keys = [str(uuid4()) if number % 2 else None for number in range(CLAIMERS)]
    return await asyncio.gather(*(claim(viewer, outdial_id, idempotency_key=key) for key in keys))


async def test_nothing_is_claimed_while_it_is_open(database: str, broken: Make, viewer: Viewer) -> None:
    made = await broken()
    until = (await status(viewer, made.id)).paused_until
    found = await crowd(viewer, made.id)
    assert [list(one) for one in found] == [[]] * CLAIMERS
    assert {one.throttled_until for one in found} == {until}


async def test_exactly_one_target_is_claimed_after_the_pause(database: str, broken: Make, viewer: Viewer) -> None:
    made = await broken()
    pause()
    found = await crowd(viewer, made.id)
    [probe] = [attempt for one in found for attempt in one]
    now = await db.now()
    assert all(timedelta(0) < one.throttled_until - now <= timedelta(seconds=1) for one in found if one.throttled_until)
    assert sum(one.throttled_until is None for one in found) == 0
    standing = await status(viewer, made.id)
    assert (standing.state, standing.paused_until) == (BreakerState.PROBING, None)
    [row] = await db.fetch("SELECT probe_attempt_id FROM outdial_breaker WHERE customer_id = $1", viewer.customer_id)
    assert row["probe_attempt_id"] == probe.id
    await judge()
    assert [list(one) for one in await crowd(viewer, made.id)] == [[]] * CLAIMERS


async def test_a_call_that_does_not_fail_lets_all_be_claimed(database: str, broken: Make, viewer: Viewer) -> None:
    made = await broken()
    pause()
    await call(viewer, made.id, Disposition.NO_ANSWER)
    assert await claim(viewer, made.id) == []  # until it is judged
    await judge()
    assert await status(viewer, made.id) == BreakerStatus()
    assert len(await claim(viewer, made.id)) == 5


@pytest.mark.parametrize("way", ["FAILED", "TIMEOUT", "UNCONFIRMED"])
async def test_a_call_that_fails_opens_it_for_another_pause(
    database: str, broken: Make, viewer: Viewer, way: str
) -> None:
    made = await broken(lease_seconds=5)
    before = await status(viewer, made.id)
    pause()
    [probe] = await claim(viewer, made.id)
    await factories.start(viewer, probe.id)
    if way == "UNCONFIRMED":
        factories.pass_time(6)
        await factories.sweep()
    else:
        await factories.complete(viewer, probe.id, Disposition(way))
    await judge()
    standing, now = await status(viewer, made.id), await db.now()
    assert (standing.state, standing.opened_at) == (BreakerState.OPEN, before.opened_at)
    assert (standing.calls, standing.failures) == (before.calls, before.failures)
    assert standing.paused_until is not None
    assert 0 <= BREAKER.pause_seconds - (standing.paused_until - now).total_seconds() < 5
    assert await claim(viewer, made.id) == []
    pause()
    assert len(await claim(viewer, made.id)) == 1


@pytest.mark.parametrize("way", ["released", "expired", "canceled", "suppressed"])
async def test_a_target_that_was_not_called_shows_nothing_and_another_is_let_through(
    database: str, broken: Make, viewer: Viewer, way: str
) -> None:
    made = await broken(lease_seconds=5)
    pause()
    [probe] = await claim(viewer, made.id)
    if way == "released":
        await factories.release(viewer, probe.id)
    elif way == "expired":
        factories.pass_time(6)
        await factories.sweep()
    elif way == "canceled":
        await targets.cancel(viewer, probe.target_id)
    else:
        await factories.suppress(viewer, probe.destination.target)
    await judge()
    assert (await status(viewer, made.id)).state is BreakerState.OPEN
    [another] = await claim(viewer, made.id)
    assert another.id != probe.id
    await factories.complete(viewer, another.id, Disposition.ANSWERED)
    await judge()
    assert await status(viewer, made.id) == BreakerStatus()


async def test_it_waits_for_a_target_that_is_due(database: str, viewer: Viewer) -> None:
    made = await with_breaker(viewer, targets=4)
    await call(viewer, made.id, *[Disposition.FAILED] * 4)
    await judge()
    pause()
    for _ in range(2):
        found = await claim(viewer, made.id, idempotency_key="k")
        assert (list(found), found.throttled_until) == ([], None)
        assert (await status(viewer, made.id)).state is BreakerState.OPEN
    await factories.make_target(viewer, made.id)
    assert len(await claim(viewer, made.id, idempotency_key="k")) == 1


async def test_a_claim_that_is_sent_again_gets_the_same_probe(database: str, broken: Make, viewer: Viewer) -> None:
    made = await broken()
    pause()
    first = await claim(viewer, made.id, idempotency_key="k")
    again = await claim(viewer, made.id, idempotency_key="k")
    assert [one.id for one in first] == [one.id for one in again]
    assert len(first) == 1


async def test_an_owner_who_closes_it_lets_all_be_claimed(database: str, broken: Make, viewer: Viewer) -> None:
    made = await broken()
    assert await claim(viewer, made.id) == []
    await outdials.close_breaker(viewer, made.id)
    assert len(await claim(viewer, made.id)) == 5
    other = await broken()
    pause()
    [probe] = await claim(viewer, other.id)
    await outdials.close_breaker(viewer, other.id)
    await factories.complete(viewer, probe.id, Disposition.FAILED)
    await judge()
    assert (await status(viewer, other.id)).state is BreakerState.CLOSED  # its failure counts as any other
    assert len(await claim(viewer, other.id)) == 5


async def test_attempts_in_progress_go_on_while_it_is_open(database: str, viewer: Viewer) -> None:
    made = await with_breaker(viewer)
    begun = await claim(viewer, made.id, limit=3)
    await call(viewer, made.id, *[Disposition.FAILED] * 4)
    await judge()
    for attempt in begun:
        factories.one(await factories.start(viewer, attempt.id))
        ended = factories.one(await factories.complete(viewer, attempt.id, Disposition.ANSWERED))
        assert ended.state is AttemptState.COMPLETED
    await judge()
    assert (await status(viewer, made.id)).state is BreakerState.OPEN


async def test_a_server_that_knows_nothing_of_it_takes_nothing(database: str, broken: Make, viewer: Viewer) -> None:
    """What claims are taken to need is known from the claim before, and may be wrong in each way."""
    made = await broken()
    looks._known.clear()
    assert await claim(viewer, made.id) == []
    pause()
    looks._known.clear()
    assert len(await claim(viewer, made.id)) == 1
    await outdials.close_breaker(viewer, made.id)
    looks._known[made.id] = looks.Traits(is_broken=True)
    assert len(await claim(viewer, made.id)) == 5


CAP = CallCap(9, 3_600, CapSubject.ADDRESS, CapScope.CUSTOMER)


@pytest.mark.slow
@pytest.mark.parametrize(
    "policy",
    [
        {"caps": (CAP,)},
        {"pacing": Pacing(max_open_attempts=7, breaker=BREAKER)},
        {"pacing": Pacing(claims_per_second=50.0, breaker=BREAKER), "caps": (CAP,)},
        {"calling_hours": CallingHours(None, tuple(ALL_DAY), ()), "on_unknown_time_zone": USE_OUTDIAL},
        {"calling_hours": CallingHours("Europe/Berlin", tuple(ALL_DAY), ()), "caps": (CAP,)},
    ],
    ids=["caps", "open attempts", "rate and caps", "hours by zone", "hours and caps"],
)
async def test_it_holds_beside_all_else_that_a_policy_says(
    database: str, broken: Make, viewer: Viewer, policy: dict[str, Any]
) -> None:
    made = await broken(**policy)
    assert [list(one) for one in await crowd(viewer, made.id)] == [[]] * CLAIMERS
    pause()
    [probe] = [attempt for one in await crowd(viewer, made.id) for attempt in one]
    await factories.complete(viewer, probe.id, Disposition.BUSY)
    await judge()
    assert len(await claim(viewer, made.id)) == 5


async def test_a_full_pace_holds_up_the_probe(database: str, broken: Make, viewer: Viewer) -> None:
    made = await with_breaker(viewer, pacing=Pacing(max_open_attempts=5, breaker=BREAKER))
    await call(viewer, made.id, *[Disposition.FAILED] * 4)
    begun = await claim(viewer, made.id)
    await judge()
    pause()
    assert await claim(viewer, made.id) == []
    assert (await status(viewer, made.id)).state is BreakerState.OPEN
    await factories.release(viewer, begun[0].id)
    assert len(await claim(viewer, made.id)) == 1


async def test_a_closed_breaker_costs_a_claim_nothing(database: str, viewer: Viewer, said: list[str]) -> None:
    plain, made = await factories.make_outdial(viewer, time_zone="Europe/Berlin"), await with_breaker(viewer)
    await factories.make_targets(viewer, plain.id, 5)
    sent = []
    for outdial in (plain, made):
        said.clear()
        assert len(await claim(viewer, outdial.id)) == 5
        sent.append(list(said))
    assert sent[0] == sent[1]
    assert not any("outdial_breaker" in statement for statement in sent[1])


@pytest.mark.parametrize("state", list(BreakerState))
async def test_the_statement_says_what_the_rule_says(
    database: str, broken: Make, viewer: Viewer, state: BreakerState
) -> None:
    """To the microsecond at which a pause ends."""
    made, now = await broken(), await db.now()
    for microseconds in (-60_000_000, -1, 0, 1, 60_000_000):
        until = now + timedelta(microseconds=microseconds) if state is BreakerState.OPEN else None
        opened_at = None if state is BreakerState.CLOSED else now

        async def judged(
            tx: Transaction, opened_at: datetime | None = opened_at, until: datetime | None = until
        ) -> Allowance | None:
            await tx.lock(viewer.customer_id, exclusive=[made.id])
            stored = models.OutdialBreaker.filter(customer_id=viewer.customer_id, outdial_id=made.id)
            probe = made.id if state is BreakerState.PROBING else None
            await stored.using_db(tx.orm).update(
                state=state.value, opened_at=opened_at, paused_until_at=until, probe_attempt_id=probe
            )
            if not db.is_postgres() or state is BreakerState.CLOSED:
                return await probing.allowed(tx, viewer.customer_id, made.id, now)
            instant = db.typed("$3", "instant")
            [row] = await tx.fetch(probing.allowance(instant, "TRUE"), viewer.customer_id, made.id, now)
            return Allowance(row["targets"], row["more_at"])

        assert await db.transaction(judged) == breakers.allowance(BreakerStatus(state, opened_at, until), now)


# ---------------------------------------------------------------- why not


async def reasons(viewer: Viewer, outdial_id: str) -> list[tuple[str, datetime | None]]:
    found = await dialability.blocks_of_outdials(viewer, [outdial_id])
    return [(block.reason.value, block.until) for block in found[outdial_id]]


async def test_owners_see_that_it_holds_the_list_and_until_when(database: str, broken: Make, viewer: Viewer) -> None:
    made = await broken()
    until = (await status(viewer, made.id)).paused_until
    assert await reasons(viewer, made.id) == [("BREAKER_OPEN", until)]
    assert await foreseeing.next_claims(viewer, [made.id]) == {made.id: until}
    counted = (await dialability.dialabilities(viewer, [made.id]))[made.id]
    assert (counted.claimable, counted.blocked) == (0, {BlockReason.BREAKER_OPEN: 16, BlockReason.NOT_DUE: 4})
    assert until is not None
    later = (await dialability.dialabilities(viewer, [made.id], at=until))[made.id]
    assert (later.claimable, later.blocked) == (16, {BlockReason.NOT_DUE: 4})
    pause()
    assert await reasons(viewer, made.id) == []
    [probe] = await claim(viewer, made.id)
    assert await reasons(viewer, made.id) == [("BREAKER_OPEN", None)]
    await factories.complete(viewer, probe.id, Disposition.ANSWERED)
    await judge()
    assert await reasons(viewer, made.id) == []


async def test_the_reason_comes_after_those_that_owners_have_set(database: str, broken: Make, viewer: Viewer) -> None:
    made = await broken()
    ended = PolicyDraft(ends_at=await db.now())
    changes = {"state": OutdialState.PAUSED, "dial_policy": ended}
    await outdials.update(viewer, made.id, changes=changes)
    assert [reason for reason, _ in await reasons(viewer, made.id)] == ["PAUSED", "ENDED", "BREAKER_OPEN"]
