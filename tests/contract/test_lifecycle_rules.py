"""The rules around the tables: which destination is next, when, and what limits, resets and batches do."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from app import attempts, db, outdials, suppressions, targets
from app.auth import Viewer
from app.errors import Rejected, UserErrorCode
from app.lifecycle import AttemptState, Disposition, DoneReason, OutdialState, TargetStatus
from app.records import AttemptResult, AttemptStart, DestinationDraft, PolicyDraft, SuppressionDraft, Target
from tests.support import factories as make
from tests.support import rows

RETRY_SECONDS = 300
LEASE_SECONDS = 60
NOW = timedelta(seconds=2)


@pytest.fixture(autouse=True)
async def _adds_up(database: str, viewer: Viewer) -> AsyncIterator[None]:
    yield
    tables = await rows.of(database, viewer.customer_id)
    rows.check(tables, resets=True)


@pytest.fixture
async def outdial_id(database: str, viewer: Viewer) -> str:
    policy = {"lease_seconds": LEASE_SECONDS, "retry_interval_seconds": RETRY_SECONDS, "max_try_counts": (2,) * 5}
    return (await make.make_outdial(viewer, policy=policy)).id


async def set_policy(viewer: Viewer, outdial_id: str, **fields: Any) -> None:
    await outdials.update(viewer, outdial_id, changes={"dial_policy": PolicyDraft(**fields)})


async def due_in(target: Target) -> timedelta:
    assert target.next_try_at is not None
    return target.next_try_at - await db.now()


async def exhausted(viewer: Viewer, outdial_id: str, wanted: int) -> None:
    """Let the server's own work finish what lowered limits left without a try."""
    await make.finish_exhausted()
    [progress] = (await outdials.progress(viewer, [outdial_id])).values()
    assert progress.done_by_reason.get(DoneReason.EXHAUSTED, 0) == wanted


# ---------------------------------------------------------------- which destination, and when


async def test_a_destination_is_used_up_before_the_next_one_is_tried(viewer: Viewer, outdial_id: str) -> None:
    target = await make.make_target(viewer, outdial_id, None, "+15550100001", None, "+15550100003")
    tried = []
    while made := await attempts.claim(viewer, outdial_id):
        [attempt] = made
        tried.append((attempt.destination_index, attempt.try_number, attempt.destination.target))
        ended = make.one(await make.complete(viewer, attempt.id, Disposition.NO_ANSWER))
        target = await make.read(viewer, target.id)
        if target.status is TargetStatus.IDLE:
            assert ended.ended_at is not None
            assert target.next_try_at == ended.ended_at + timedelta(seconds=RETRY_SECONDS)
            make.pass_time(RETRY_SECONDS)
    assert tried == [(1, 1, "+15550100001"), (1, 2, "+15550100001"), (3, 1, "+15550100003"), (3, 2, "+15550100003")]
    assert (target.status, target.done_reason) == (TargetStatus.DONE, DoneReason.EXHAUSTED)
    assert target.try_counts == (0, 2, 0, 2, 0)


async def test_a_targets_own_limits_stand_in_for_the_policys(viewer: Viewer, outdial_id: str) -> None:
    own = await make.make_target(viewer, outdial_id, "+15550100001", "+15550100002", max_try_counts=(0, 1, 9, 9, 9))
    attempt = await make.claim(viewer, outdial_id)
    assert attempt.destination_index == 1
    await make.complete(viewer, attempt.id, Disposition.BUSY)
    assert (await make.read(viewer, own.id)).done_reason is DoneReason.EXHAUSTED


async def test_claims_take_priority_first_then_the_longest_due_then_the_lowest_id(
    viewer: Viewer, outdial_id: str
) -> None:
    now = await db.now()
    early, late = now + timedelta(hours=1), now + timedelta(hours=2)
    plan = [(0, late), (0, early), (9, late), (0, early), (5, None), (9, early)]
    made = [await make.make_target(viewer, outdial_id, priority=p, not_before=due) for p, due in plan]
    await make.make_targets(viewer, outdial_id, 20, priority=9, not_before=now + timedelta(hours=4))
    make.pass_time(timedelta(hours=3).total_seconds())

    order = [(await make.claim(viewer, outdial_id)).target_id for _ in plan]

    assert order == [made[index].id for index in (5, 2, 4, 1, 3, 0)]
    assert await attempts.claim(viewer, outdial_id) == []


async def test_one_claim_gives_its_attempts_in_the_same_order_with_ascending_ids(
    viewer: Viewer, outdial_id: str
) -> None:
    made = [await make.make_target(viewer, outdial_id, priority=priority) for priority in (1, 3, 0, 2)]
    claimed = await attempts.claim(viewer, outdial_id, limit=10)
    assert [attempt.target_id for attempt in claimed] == [made[index].id for index in (1, 3, 0, 2)]
    assert [attempt.id for attempt in claimed] == sorted(attempt.id for attempt in claimed)


async def test_an_attempt_keeps_the_address_that_was_claimed(viewer: Viewer, outdial_id: str) -> None:
    target = await make.make_target(viewer, outdial_id, "+15550100001")
    attempt = await make.claim(viewer, outdial_id)
    await targets.update(viewer, target.id, changes={"destination_0": DestinationDraft("+15550100002")})
    assert (await make.read_attempt(viewer, attempt.id)).destination.target == "+15550100001"


# ---------------------------------------------------------------- INVALID_DESTINATION and retryAfterSeconds


async def test_an_invalid_destination_is_ruled_out_and_the_next_one_is_due_now(viewer: Viewer, outdial_id: str) -> None:
    target = await make.make_target(viewer, outdial_id, "+15550100001", "+15550100002")
    attempt = await make.claim(viewer, outdial_id)
    await make.complete(viewer, attempt.id, Disposition.INVALID_DESTINATION)
    marked = await make.read(viewer, target.id)
    assert marked.invalid_destinations == {0}
    assert abs(await due_in(marked)) < NOW
    assert (await make.claim(viewer, outdial_id)).destination_index == 1


@pytest.mark.parametrize("during", [True, False])
async def test_a_changed_address_has_no_mark_and_keeps_its_try_count(
    during: bool, viewer: Viewer, outdial_id: str
) -> None:
    target = await make.make_target(viewer, outdial_id, "+15550100001", "+15550100002")
    attempt = await make.claim(viewer, outdial_id)
    change = {"destination_0": DestinationDraft("+15550100003")}
    if during:
        await targets.update(viewer, target.id, changes=change)
    await make.complete(viewer, attempt.id, Disposition.INVALID_DESTINATION)
    if not during:
        await targets.update(viewer, target.id, changes=change)

    changed = await make.read(viewer, target.id)
    assert (changed.invalid_destinations, changed.try_counts) == (frozenset(), (1, 0, 0, 0, 0))
    again = await make.claim(viewer, outdial_id)
    assert (again.destination_index, again.try_number, again.destination.target) == (0, 2, "+15550100003")


async def test_the_same_address_in_other_words_keeps_its_mark(viewer: Viewer, outdial_id: str) -> None:
    target = await make.make_target(viewer, outdial_id, "+15550100001", "+15550100002")
    attempt = await make.claim(viewer, outdial_id)
    await make.complete(viewer, attempt.id, Disposition.INVALID_DESTINATION)
    await targets.update(
        viewer, target.id, changes={"destination_0": DestinationDraft("+1 (555) 010-0001", name="a new name")}
    )
    assert (await make.read(viewer, target.id)).invalid_destinations == {0}


async def test_a_reset_leaves_the_mark(viewer: Viewer, outdial_id: str) -> None:
    target = await make.make_target(viewer, outdial_id, "+15550100001", "+15550100002")
    attempt = await make.claim(viewer, outdial_id)
    await make.complete(viewer, attempt.id, Disposition.INVALID_DESTINATION)
    await targets.cancel(viewer, target.id)
    assert (await targets.reset(viewer, outdial_id, target_ids=[target.id])).count == 1
    again = await make.read(viewer, target.id)
    assert (again.invalid_destinations, again.try_counts) == ({0}, (0, 0, 0, 0, 0))
    assert (await make.claim(viewer, outdial_id)).destination_index == 1


@pytest.mark.parametrize("disposition", [Disposition.BUSY, Disposition.INVALID_DESTINATION])
@pytest.mark.parametrize("seconds", [0, 7, 2_592_000])
async def test_retry_after_beats_the_interval_and_the_rule_for_invalid_ones(
    seconds: int, disposition: Disposition, viewer: Viewer, outdial_id: str
) -> None:
    target = await make.make_target(viewer, outdial_id, "+15550100001", "+15550100002")
    attempt = await make.claim(viewer, outdial_id)
    ended = make.one(await make.complete(viewer, attempt.id, disposition, retry_after_seconds=seconds))
    assert ended.ended_at is not None
    assert (await make.read(viewer, target.id)).next_try_at == ended.ended_at + timedelta(seconds=seconds)


@pytest.mark.parametrize("disposition", [Disposition.ANSWERED, Disposition.DO_NOT_CALL, Disposition.BUSY])
async def test_retry_after_is_ignored_where_the_target_finishes(
    disposition: Disposition, viewer: Viewer, outdial_id: str
) -> None:
    target = await make.make_target(viewer, outdial_id, max_try_counts=(1, 1, 1, 1, 1))
    attempt = await make.claim(viewer, outdial_id)
    make.one(await make.complete(viewer, attempt.id, disposition, retry_after_seconds=60))
    done = await make.read(viewer, target.id)
    assert (done.status, done.next_try_at) == (TargetStatus.DONE, None)


async def test_the_policy_in_force_when_an_attempt_ends_decides(viewer: Viewer, outdial_id: str) -> None:
    target = await make.make_target(viewer, outdial_id)
    attempt = await make.claim(viewer, outdial_id)
    await set_policy(viewer, outdial_id, retry_interval_seconds=11)
    ended = make.one(await make.complete(viewer, attempt.id, Disposition.BUSY))
    assert ended.ended_at is not None
    assert (await make.read(viewer, target.id)).next_try_at == ended.ended_at + timedelta(seconds=11)


# ---------------------------------------------------------------- limits


async def test_lowered_limits_stop_claims_at_once_and_finish_what_has_nothing_left(
    viewer: Viewer, outdial_id: str
) -> None:
    made = await make.make_targets(viewer, outdial_id, 1_200)
    own = await make.make_target(viewer, outdial_id, max_try_counts=(5,) * 5)
    answered = await make.make_target(viewer, outdial_id, priority=9)
    await make.complete(viewer, (await make.claim(viewer, outdial_id)).id, Disposition.ANSWERED)
    under_way = await make.claim(viewer, outdial_id)
    assert under_way.target_id == made[0].id

    await set_policy(viewer, outdial_id, max_try_counts=(0, 9, 9, 9, 9))

    claimed = await attempts.claim(viewer, outdial_id, limit=10)
    assert [attempt.target_id for attempt in claimed] == [own.id]
    await exhausted(viewer, outdial_id, 1_199)
    assert (await make.read(viewer, under_way.target_id)).status is TargetStatus.PROGRESSING
    assert (await make.read(viewer, answered.id)).done_reason is DoneReason.ANSWERED
    make.one(await make.complete(viewer, under_way.id, Disposition.BUSY))
    assert (await make.read(viewer, under_way.target_id)).done_reason is DoneReason.EXHAUSTED


async def test_raised_limits_change_no_done_target(database: str, viewer: Viewer, outdial_id: str) -> None:
    await set_policy(viewer, outdial_id, max_try_counts=(1,) * 5)
    target = await make.make_target(viewer, outdial_id)
    await make.complete(viewer, (await make.claim(viewer, outdial_id)).id, Disposition.BUSY)
    done = await make.read(viewer, target.id)
    assert done.done_reason is DoneReason.EXHAUSTED
    await set_policy(viewer, outdial_id, max_try_counts=(9,) * 5)
    await make.finish_exhausted()
    assert await make.read(viewer, target.id) == done


async def test_a_target_made_without_a_usable_destination_is_exhausted(viewer: Viewer, outdial_id: str) -> None:
    made = await make.make_target(viewer, outdial_id, max_try_counts=(0,) * 5)
    assert (made.status, made.done_reason, made.next_try_at) == (TargetStatus.DONE, DoneReason.EXHAUSTED, None)


# ---------------------------------------------------------------- reset


async def test_do_not_call_comes_back_only_where_it_is_named(viewer: Viewer, outdial_id: str) -> None:
    target = await make.make_target(viewer, outdial_id)
    await make.complete(viewer, (await make.claim(viewer, outdial_id)).id, Disposition.DO_NOT_CALL)
    others = [reason for reason in DoneReason if reason is not DoneReason.DO_NOT_CALL]
    assert (await targets.reset(viewer, outdial_id, done_reasons=others)).count == 0
    assert (await targets.reset(viewer, outdial_id, target_ids=[target.id])).count == 0
    # the address is on the do-not-call list now
    assert (await targets.reset(viewer, outdial_id, done_reasons=[DoneReason.DO_NOT_CALL])).count == 0
    await suppressions.remove(viewer, drafts=[SuppressionDraft(target.destinations[0].target)])
    dry = await targets.reset(viewer, outdial_id, done_reasons=[DoneReason.DO_NOT_CALL], dry_run=True)
    assert dry.count == 1
    assert (await make.read(viewer, target.id)).done_reason is DoneReason.DO_NOT_CALL
    assert (await targets.reset(viewer, outdial_id, done_reasons=[DoneReason.DO_NOT_CALL])).count == 1
    assert (await make.read(viewer, target.id)).status is TargetStatus.IDLE


async def test_a_reset_leaves_what_would_have_nothing_usable(viewer: Viewer, outdial_id: str) -> None:
    target = await make.make_target(viewer, outdial_id)
    await make.complete(viewer, (await make.claim(viewer, outdial_id)).id, Disposition.INVALID_DESTINATION)
    reset = await targets.reset(viewer, outdial_id, done_reasons=[DoneReason.EXHAUSTED])
    assert reset.remaining == 0
    assert (await make.read(viewer, target.id)).status is TargetStatus.DONE


async def test_a_reset_takes_reasons_or_ids_not_both(database: str, viewer: Viewer, outdial_id: str) -> None:
    target = await make.make_target(viewer, outdial_id)
    with pytest.raises(Rejected) as refusal:
        await targets.reset(viewer, outdial_id, done_reasons=[DoneReason.ANSWERED], target_ids=[target.id])
    assert [error.code for error in refusal.value.errors] == [UserErrorCode.INVALID]


# ---------------------------------------------------------------- batches


async def test_a_repeated_id_meets_the_state_that_its_predecessor_left(viewer: Viewer, outdial_id: str) -> None:
    await make.make_targets(viewer, outdial_id, 2)
    one, two = await attempts.claim(viewer, outdial_id, limit=2)

    started = await attempts.start(viewer, starts=[AttemptStart(one.id, "a"), AttemptStart(one.id, "b")])
    assert [(row.id, row.state) for row in started.attempts] == [(one.id, AttemptState.DIALING)] * 2
    assert (await make.read_attempt(viewer, one.id)).call_id == "b"

    released = await attempts.release(viewer, attempt_ids=[two.id, one.id, two.id])
    assert [row.id for row in released.attempts] == [two.id, two.id]
    assert [(error.code, error.path[:2]) for error in released.errors] == [
        (UserErrorCode.ALREADY_DIALED, ("attempt_ids", "1"))
    ]

    results = [
        (Disposition.BUSY, 7),
        (Disposition.BUSY, 8),
        (Disposition.ANSWERED, None),
        (Disposition.DO_NOT_CALL, None),
    ]
    completed = await attempts.complete(
        viewer, results=[AttemptResult(one.id, kind, retry_after_seconds=after) for kind, after in results]
    )
    assert [row.id for row in completed.attempts] == [one.id] * 3
    assert [(error.code, error.path[:2]) for error in completed.errors] == [
        (UserErrorCode.ALREADY_ENDED, ("results", "2"))
    ]
    assert (await make.read(viewer, one.target_id)).done_reason is DoneReason.DO_NOT_CALL


# ---------------------------------------------------------------- pause and delete


async def test_a_paused_outdial_gives_no_attempts_and_lets_those_under_way_finish(
    database: str, viewer: Viewer, outdial_id: str
) -> None:
    await make.make_targets(viewer, outdial_id, 2)
    attempt = await make.claim(viewer, outdial_id)
    await outdials.update(viewer, outdial_id, changes={"state": OutdialState.PAUSED})
    with pytest.raises(Rejected) as refusal:
        await attempts.claim(viewer, outdial_id)
    assert [error.code for error in refusal.value.errors] == [UserErrorCode.PAUSED]
    make.one(await make.start(viewer, attempt.id))
    make.one(await make.complete(viewer, attempt.id, Disposition.ANSWERED))
    await outdials.update(viewer, outdial_id, changes={"state": OutdialState.ACTIVE})
    assert (await make.claim(viewer, outdial_id)).target_id != attempt.target_id


async def test_a_deleted_outdial_revokes_what_is_under_way(viewer: Viewer, outdial_id: str) -> None:
    await make.make_targets(viewer, outdial_id, 3)
    one, two = await attempts.claim(viewer, outdial_id, limit=2)
    make.one(await make.start(viewer, two.id))
    assert (await outdials.delete(viewer, outdial_id)).tm_delete is not None
    for attempt in (one, two):
        assert (await make.read_attempt(viewer, attempt.id)).state is AttemptState.REVOKED
        assert make.code(await make.complete(viewer, attempt.id)) == UserErrorCode.LEASE_LOST
        assert await targets.get_many(viewer, [attempt.target_id]) == {}
    with pytest.raises(Rejected) as refusal:
        await attempts.claim(viewer, outdial_id)
    assert [error.code for error in refusal.value.errors] == [UserErrorCode.NOT_FOUND]
