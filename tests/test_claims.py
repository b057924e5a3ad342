"""Claims: which targets, in which order, at which destination, and that one statement decides it as the rules do."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app import attempts, clock, db, outdials, store, targets
from app.auth import Viewer
from app.changes import changed
from app.errors import Rejected, UserErrorCode
from app.lifecycle import (
    DESTINATIONS,
    AttemptState,
    Disposition,
    DoneReason,
    OutdialState,
    TargetEventType,
    TargetStatus,
)
from app.records import PolicyDraft, TargetDraft
from tests.support import factories


def draft(number: int, **fields: object) -> TargetDraft:
    return factories.target_draft(f"+1555010{number:04d}", **fields)


async def test_higher_priority_comes_first_then_the_longest_due_then_the_id(database: str, viewer: Viewer) -> None:
    outdial = await factories.make_outdial(viewer)
    now = await db.now()
    given = [
        draft(1, priority=0),
        draft(2, priority=5, not_before=now + timedelta(seconds=50)),
        draft(3, priority=5, not_before=now + timedelta(seconds=40)),
        draft(4, priority=9),
        draft(5, priority=0),
        draft(6, priority=9, not_before=now + timedelta(hours=1)),
    ]
    made = await factories.create_many(viewer, outdial.id, given)
    clock.shift += timedelta(seconds=60)
    claimed = await attempts.claim(viewer, outdial.id, limit=10)
    assert [attempt.target_id for attempt in claimed] == [made[index].id for index in (3, 2, 1, 0, 4)]
    assert [attempt.id for attempt in claimed] == sorted(attempt.id for attempt in claimed)
    assert await attempts.claim(viewer, outdial.id, limit=10) == []


async def test_a_claim_takes_no_more_than_its_limit_and_the_first_of_all(database: str, viewer: Viewer) -> None:
    outdial = await factories.make_outdial(viewer)
    made = await factories.create_many(viewer, outdial.id, [draft(n, priority=n % 10) for n in range(100)])
    first_30 = sorted(made, key=lambda target: (-target.priority, target.id))[:30]
    claimed = await attempts.claim(viewer, outdial.id, limit=30)
    assert [attempt.target_id for attempt in claimed] == [target.id for target in first_30]
    counted = (await outdials.progress(viewer, [outdial.id]))[outdial.id]
    assert (counted.idle, counted.progressing, counted.attempts) == (70, 30, 30)


async def test_targets_that_are_not_due_never_hold_up_one_that_is(database: str, viewer: Viewer) -> None:
    outdial = await factories.make_outdial(viewer)
    later = await db.now() + timedelta(days=1)
    for _ in range(3):
        waiting = [factories.target_draft(priority=9, not_before=later) for _ in range(1_000)]
        await factories.create_many(viewer, outdial.id, waiting)
    due = await factories.make_target(viewer, outdial.id, priority=0)
    [attempt] = await attempts.claim(viewer, outdial.id, limit=5)
    assert attempt.target_id == due.id


async def test_an_attempt_says_what_the_dialer_needs(database: str, viewer: Viewer) -> None:
    outdial = await factories.make_outdial(viewer, policy={"lease_seconds": 30})
    target = await factories.make_target(viewer, outdial.id, "+15550100001", "+15550100002")
    [attempt] = await attempts.claim(viewer, outdial.id, limit=3, dialer="d-1", lease_seconds=60)
    assert (attempt.target_id, attempt.destination_index, attempt.destination) == (target.id, 0, target.destinations[0])
    assert (attempt.try_number, attempt.state, attempt.dialer) == (1, AttemptState.CLAIMED, "d-1")
    assert attempt.expires_at == attempt.claimed_at + timedelta(seconds=60)
    assert (attempt.call_id, attempt.disposition, attempt.dialed_at, attempt.ended_at) == (None, None, None, None)
    assert await factories.read_attempt(viewer, attempt.id) == attempt
    now = await factories.read(viewer, target.id)
    assert (now.status, now.last_attempt_id, now.next_try_at) == (TargetStatus.PROGRESSING, attempt.id, None)
    assert (now.try_counts, now.version) == ((1, 0, 0, 0, 0), 2)


five = st.tuples
tried = st.builds(
    dict,
    set=st.lists(st.booleans(), min_size=DESTINATIONS, max_size=DESTINATIONS).filter(any),
    mask=st.integers(0, 31),
    counts=st.lists(st.integers(0, 4), min_size=DESTINATIONS, max_size=DESTINATIONS),
    own=st.none() | st.lists(st.integers(0, 4), min_size=DESTINATIONS, max_size=DESTINATIONS),
)


@pytest.mark.slow
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    many=st.lists(tried, min_size=1, max_size=12),
    limits=st.lists(st.integers(0, 4), min_size=DESTINATIONS, max_size=DESTINATIONS),
)
def test_the_statement_chooses_what_the_rules_choose(many: list[dict], limits: list[int], kind: str, databases) -> None:
    async def check() -> None:
        async with databases.fresh(kind) as url:
            await db.connect(url)
            try:
                await compare()
            finally:
                await db.close()

    async def compare() -> None:
        viewer = factories.make_viewer()
        outdial = await factories.make_outdial(viewer, policy={"max_try_counts": tuple(limits)})
        drawn = []
        for known in many:
            addresses = [factories.phone_number() if is_set else None for is_set in known["set"]]
            # made with every try allowed, so that it is idle, and then brought into the drawn state
            made = await factories.make_target(viewer, outdial.id, *addresses, max_try_counts=(9,) * DESTINATIONS)
            marks = frozenset(index for index in range(DESTINATIONS) if known["mask"] >> index & 1)
            own = None if known["own"] is None else tuple(known["own"])
            counts = tuple(known["counts"])
            row = replace(made, invalid_destinations=marks, try_counts=counts, max_try_counts=own)
            drawn.append((made, row))

        async def bring(tx: db.Transaction) -> None:
            await tx.lock(viewer.customer_id)
            steps = [changed(made, row, TargetEventType.UPDATED, made.tm_create) for made, row in drawn]
            await store.save(tx, steps)

        await db.transaction(bring)
        expected = {
            target.id: index
            for _, target in drawn
            if (index := target.tries(outdial.dial_policy).next_index()) is not None
        }
        claimed = await attempts.claim(viewer, outdial.id, limit=50)
        assert {attempt.target_id: attempt.destination_index for attempt in claimed} == expected

    asyncio.run(check())


async def test_a_paused_outdial_gives_nothing(database: str, viewer: Viewer) -> None:
    outdial = await factories.make_outdial(viewer)
    await factories.make_target(viewer, outdial.id)
    await outdials.update(viewer, outdial.id, changes={"state": OutdialState.PAUSED})
    with pytest.raises(Rejected) as refused:
        await attempts.claim(viewer, outdial.id)
    assert [(error.code, error.path) for error in refused.value.errors] == [(UserErrorCode.PAUSED, ("outdial_id",))]
    await outdials.update(viewer, outdial.id, changes={"state": OutdialState.ACTIVE})
    assert len(await attempts.claim(viewer, outdial.id)) == 1


async def test_the_search_goes_on_after_the_target_that_it_has_come_to_is_deleted(
    database: str, viewer: Viewer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.outdials.walking.STEP_TARGETS_MAX", 2)
    outdial = await factories.make_outdial(viewer, policy={"retry_interval_seconds": 0})
    made = await factories.make_targets(viewer, outdial.id, 2, priority=0)
    made += await factories.make_targets(viewer, outdial.id, 5, priority=9)
    for attempt in await attempts.claim(viewer, outdial.id, limit=5):
        await factories.complete(viewer, attempt.id, Disposition.BUSY)
    # the first step is part of the change; it has come to a target that is not finished
    await outdials.update(viewer, outdial.id, changes={"dial_policy": PolicyDraft(max_try_counts=(1, 1, 1, 1, 1))})
    await targets.delete(viewer, made[1].id)
    while await outdials.search_exhausted.go_on():
        pass
    found = await targets.get_many(viewer, [target.id for target in made], deleted=True)
    assert [found[target.id].done_reason for target in made] == [None] * 2 + [DoneReason.EXHAUSTED] * 5


async def test_lowered_limits_hold_for_the_very_next_claim_and_finish_all_in_steps(
    database: str, viewer: Viewer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.outdials.walking.STEP_TARGETS_MAX", 7)
    outdial = await factories.make_outdial(viewer, policy={"retry_interval_seconds": 0})
    made = await factories.make_targets(viewer, outdial.id, 30)
    for attempt in await attempts.claim(viewer, outdial.id, limit=20):
        await factories.complete(viewer, attempt.id, Disposition.BUSY)
    under_way = await attempts.claim(viewer, outdial.id, limit=1)
    await outdials.update(viewer, outdial.id, changes={"dial_policy": PolicyDraft(max_try_counts=(1, 1, 1, 1, 1))})
    # tried once each: 20 have nothing left, one of them under way or not
    claimable = await attempts.claim(viewer, outdial.id, limit=50)
    tried_before = {target.id for target in made[:20]}
    assert {attempt.target_id for attempt in claimable}.isdisjoint(tried_before - {under_way[0].target_id})
    steps = 0
    while await outdials.search_exhausted.go_on():
        steps += 1
    assert steps >= 2
    counted = (await outdials.progress(viewer, [outdial.id]))[outdial.id]
    assert counted.total == 30
    assert counted.idle == 0
    assert sum(counted.done_by_reason.values()) + counted.progressing == 30
    await targets.reset(viewer, outdial.id, done_reasons=list(counted.done_by_reason))
