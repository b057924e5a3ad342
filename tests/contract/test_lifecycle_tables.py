"""The two tables of the lifecycle, cell by cell: what a report does to an attempt, what the owner does to a target."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest

from app import attempts, db, outdials, targets
from app.auth import Viewer
from app.errors import Rejected, UserErrorCode
from app.lifecycle import AttemptState, Disposition, DoneReason, TargetStatus, UnconfirmedAction
from app.records import Attempt, CallbackDraft, PolicyDraft, Target
from tests.support import factories as make
from tests.support import rows

LEASE_SECONDS = 60
RETRY_SECONDS = 300
LEASE_LOST, ALREADY_ENDED, ALREADY_DIALED = (
    UserErrorCode.LEASE_LOST,
    UserErrorCode.ALREADY_ENDED,
    UserErrorCode.ALREADY_DIALED,
)


@pytest.fixture(autouse=True)
async def _adds_up(database: str, viewer: Viewer) -> AsyncIterator[None]:
    yield
    tables = await rows.of(database, viewer.customer_id)
    rows.check(tables, resets=True)
    rows.check_events(tables)


@pytest.fixture
async def outdial_id(database: str, viewer: Viewer) -> str:
    policy = {
        "lease_seconds": LEASE_SECONDS,
        "retry_interval_seconds": RETRY_SECONDS,
        "on_unconfirmed": UnconfirmedAction.RETRY,
    }
    return (await make.make_outdial(viewer, policy=policy)).id


# ---------------------------------------------------------------- what happens to an attempt


async def attempt_in(state: str, viewer: Viewer, outdial_id: str) -> Attempt:
    """An attempt in that state; where it was lost by running out, another dialer has the target by now."""
    target = await make.make_target(viewer, outdial_id)
    claimed = await make.claim(viewer, outdial_id)
    if state in {"DIALING", "UNCONFIRMED", "DIALING, run out", "REVOKED, dialing"}:
        await make.start(viewer, claimed.id, "call")
    match state:
        case "COMPLETED":
            await make.complete(viewer, claimed.id, Disposition.BUSY, detail="first")
        case "RELEASED":
            await make.release(viewer, claimed.id)
        case "EXPIRED" | "UNCONFIRMED":
            await make.expire(LEASE_SECONDS)
            make.pass_time(RETRY_SECONDS)
            await make.claim(viewer, outdial_id)
        case "REVOKED" | "REVOKED, dialing":
            await targets.cancel(viewer, target.id)
        case "CLAIMED, run out" | "DIALING, run out":
            make.pass_time(LEASE_SECONDS)
    attempt = await make.read_attempt(viewer, claimed.id)
    assert attempt.state == state.partition(",")[0]
    return attempt


LOST = ["EXPIRED", "UNCONFIRMED", "REVOKED", "REVOKED, dialing", "CLAIMED, run out", "DIALING, run out"]


@pytest.mark.parametrize(
    ("event", "state", "code"),
    [
        *[(event, "COMPLETED", ALREADY_ENDED) for event in ("start", "extend", "complete", "release")],
        *[(event, "RELEASED", ALREADY_ENDED) for event in ("start", "extend", "complete")],
        ("release", "DIALING", ALREADY_DIALED),
        *[(event, state, LEASE_LOST) for state in LOST for event in ("start", "extend", "release")],
        *[("complete", state, LEASE_LOST) for state in LOST if state != "DIALING, run out"],
    ],
)
async def test_a_refused_report_says_why_and_changes_nothing(
    event: str, state: str, code: UserErrorCode, database: str, viewer: Viewer, outdial_id: str
) -> None:
    attempt = await attempt_in(state, viewer, outdial_id)
    before = await rows.of(database, viewer.customer_id)

    match event:
        case "start":
            batch, path = await make.start(viewer, attempt.id, "another call"), ("attempts", "0")
        case "extend":
            batch, path = await make.extend(viewer, attempt.id, 999), ("attempt_ids", "0")
        case "complete":
            batch, path = await make.complete(viewer, attempt.id, Disposition.NO_ANSWER), ("results", "0")
        case _:
            batch, path = await make.release(viewer, attempt.id), ("attempt_ids", "0")

    assert make.code(batch) == code
    assert batch.errors[0].path[:2] == path
    assert batch.errors[0].message
    assert await rows.of(database, viewer.customer_id) == before


@pytest.mark.parametrize(("event", "state"), [("complete", "COMPLETED"), ("release", "RELEASED")])
async def test_a_repeated_report_is_no_error_and_changes_nothing(
    event: str, state: str, database: str, viewer: Viewer, outdial_id: str
) -> None:
    attempt = await attempt_in(state, viewer, outdial_id)
    before = await rows.of(database, viewer.customer_id)

    if event == "complete":
        batch = await make.complete(viewer, attempt.id, Disposition.BUSY, detail="second", retry_after_seconds=7)
    else:
        batch = await make.release(viewer, attempt.id)

    assert make.one(batch) == attempt
    assert await rows.of(database, viewer.customer_id) == before


async def test_start_of_a_claimed_attempt_makes_it_dialing_and_renews_its_lease(
    viewer: Viewer, outdial_id: str
) -> None:
    attempt = await attempt_in("CLAIMED", viewer, outdial_id)
    make.pass_time(40)

    earliest = await db.now()
    started = make.one(await make.start(viewer, attempt.id, "call 1"))
    latest = await db.now()

    assert started.dialed_at is not None
    assert earliest <= started.dialed_at <= latest
    expected = replace(
        attempt,
        state=AttemptState.DIALING,
        call_id="call 1",
        dialed_at=started.dialed_at,
        expires_at=started.dialed_at + timedelta(seconds=LEASE_SECONDS),
    )
    assert started == expected
    assert await make.read_attempt(viewer, attempt.id) == expected


@pytest.mark.parametrize(("given", "kept"), [("call 2", "call 2"), (None, "call")])
async def test_start_of_a_dialing_attempt_renews_it_and_overwrites_a_given_call_id(
    given: str | None, kept: str, viewer: Viewer, outdial_id: str
) -> None:
    attempt = await attempt_in("DIALING", viewer, outdial_id)
    make.pass_time(40)

    earliest = await db.now()
    again = make.one(await make.start(viewer, attempt.id, given))

    assert again.expires_at is not None
    assert again.expires_at >= earliest + timedelta(seconds=LEASE_SECONDS)
    assert again == replace(attempt, call_id=kept, expires_at=again.expires_at)


@pytest.mark.parametrize("state", ["CLAIMED", "DIALING"])
async def test_extend_renews_a_lease_by_its_own_length_any_number_of_times_and_is_no_event(
    state: str, database: str, viewer: Viewer, outdial_id: str
) -> None:
    attempt = await attempt_in(state, viewer, outdial_id)
    before = await rows.of(database, viewer.customer_id)
    for _ in range(3):
        make.pass_time(LEASE_SECONDS - 1)
        earliest = await db.now()
        extended = make.one(await make.extend(viewer, attempt.id))
        latest = await db.now()
        assert extended.expires_at is not None
        assert earliest <= extended.expires_at - timedelta(seconds=LEASE_SECONDS) <= latest
        assert extended == replace(attempt, expires_at=extended.expires_at)

    after = await rows.of(database, viewer.customer_id)
    assert {name: after[name] for name in after if name != "attempt"} == {
        name: before[name] for name in before if name != "attempt"
    }


@pytest.mark.parametrize("state", ["CLAIMED", "DIALING"])
@pytest.mark.parametrize("disposition", list(Disposition))
async def test_complete_of_a_live_attempt_ends_it_with_the_reported_result(
    disposition: Disposition, state: str, viewer: Viewer, outdial_id: str
) -> None:
    attempt = await attempt_in(state, viewer, outdial_id)

    earliest = await db.now()
    wished = CallbackDraft(at=earliest + timedelta(hours=5)) if disposition is Disposition.CALLBACK else None
    ended = make.one(await make.complete(viewer, attempt.id, disposition, detail="as heard", callback=wished))
    latest = await db.now()

    assert ended.ended_at is not None
    assert earliest <= ended.ended_at <= latest
    assert ended == replace(
        attempt,
        state=AttemptState.COMPLETED,
        disposition=disposition,
        detail="as heard",
        expires_at=None,
        ended_at=ended.ended_at,
    )
    target = await make.read(viewer, attempt.target_id)
    match disposition:
        case Disposition.ANSWERED:
            standing = (TargetStatus.DONE, DoneReason.ANSWERED, None)
        case Disposition.DO_NOT_CALL:
            standing = (TargetStatus.DONE, DoneReason.DO_NOT_CALL, None)
        case Disposition.INVALID_DESTINATION:  # it was the only address
            standing = (TargetStatus.DONE, DoneReason.EXHAUSTED, None)
        case Disposition.CALLBACK:
            standing = (TargetStatus.IDLE, None, earliest + timedelta(hours=5))
        case _:
            standing = (TargetStatus.IDLE, None, ended.ended_at + timedelta(seconds=RETRY_SECONDS))
    assert (target.status, target.done_reason, target.next_try_at) == standing
    assert target.try_counts == (1, 0, 0, 0, 0)


async def test_release_of_a_claimed_attempt_gives_the_target_back_and_the_try_too(
    viewer: Viewer, outdial_id: str
) -> None:
    attempt = await attempt_in("CLAIMED", viewer, outdial_id)

    earliest = await db.now()
    released = make.one(await make.release(viewer, attempt.id))
    latest = await db.now()

    assert released == replace(attempt, state=AttemptState.RELEASED, expires_at=None, ended_at=released.ended_at)
    target = await make.read(viewer, attempt.target_id)
    assert (target.status, target.try_counts) == (TargetStatus.IDLE, (0, 0, 0, 0, 0))
    assert target.next_try_at is not None
    assert target.next_try_at <= latest
    assert released.ended_at is not None
    assert earliest <= released.ended_at <= latest
    assert (await make.claim(viewer, outdial_id)).try_number == 1


@pytest.mark.parametrize("action", list(UnconfirmedAction))
@pytest.mark.parametrize("state", ["CLAIMED", "DIALING"])
async def test_a_lease_that_runs_out_ends_the_attempt_at_its_last_instant(
    state: str, action: UnconfirmedAction, viewer: Viewer, outdial_id: str
) -> None:
    await outdials.update(viewer, outdial_id, changes={"dial_policy": PolicyDraft(on_unconfirmed=action)})
    attempt = await attempt_in(f"{state}, run out", viewer, outdial_id)
    assert attempt.expires_at is not None
    make.pass_time(100)

    await make.sweep()
    await make.sweep()

    lost = AttemptState.EXPIRED if state == "CLAIMED" else AttemptState.UNCONFIRMED
    ended = await make.read_attempt(viewer, attempt.id)
    assert ended == replace(attempt, state=lost, expires_at=None, ended_at=attempt.expires_at)
    target = await make.read(viewer, attempt.target_id)
    assert target.try_counts == (1, 0, 0, 0, 0)
    if state == "DIALING" and action is UnconfirmedAction.FINISH:
        assert (target.status, target.done_reason) == (TargetStatus.DONE, DoneReason.UNCONFIRMED)
    else:
        due = attempt.expires_at + timedelta(seconds=RETRY_SECONDS)
        assert (target.status, target.next_try_at) == (TargetStatus.IDLE, due)


# ---------------------------------------------------------------- what happens to a target


async def target_in(status: TargetStatus, viewer: Viewer, outdial_id: str) -> Target:
    target = await make.make_target(viewer, outdial_id)
    if status is not TargetStatus.IDLE:
        attempt = await make.claim(viewer, outdial_id)
        if status is TargetStatus.DONE:
            await make.complete(viewer, attempt.id, Disposition.ANSWERED)
    target = await make.read(viewer, target.id)
    assert target.status is status
    return target


async def the_attempt(viewer: Viewer, target: Target) -> Attempt:
    assert target.last_attempt_id is not None
    return await make.read_attempt(viewer, target.last_attempt_id)


@pytest.mark.parametrize("status", list(TargetStatus))
async def test_update_applies_and_leaves_the_status(status: TargetStatus, viewer: Viewer, outdial_id: str) -> None:
    target = await target_in(status, viewer, outdial_id)
    updated = await targets.update(viewer, target.id, changes={"name": "new", "priority": 9})
    assert updated == replace(target, name="new", priority=9, version=target.version + 1, tm_update=updated.tm_update)
    assert updated.tm_update > target.tm_update


async def test_update_that_leaves_an_idle_target_nothing_usable_exhausts_it(viewer: Viewer, outdial_id: str) -> None:
    target = await target_in(TargetStatus.IDLE, viewer, outdial_id)
    updated = await targets.update(viewer, target.id, changes={"max_try_counts": (0, 3, 3, 3, 3)})
    assert (updated.status, updated.done_reason) == (TargetStatus.DONE, DoneReason.EXHAUSTED)
    assert updated.next_try_at is None


async def test_update_of_a_progressing_target_is_judged_when_its_attempt_ends(viewer: Viewer, outdial_id: str) -> None:
    target = await target_in(TargetStatus.PROGRESSING, viewer, outdial_id)
    updated = await targets.update(viewer, target.id, changes={"max_try_counts": (0, 0, 0, 0, 0)})
    assert (updated.status, updated.last_attempt_id) == (TargetStatus.PROGRESSING, target.last_attempt_id)

    assert target.last_attempt_id is not None
    make.one(await make.complete(viewer, target.last_attempt_id, Disposition.BUSY))
    assert (await make.read(viewer, target.id)).done_reason is DoneReason.EXHAUSTED


async def test_update_of_a_done_target_reopens_nothing(viewer: Viewer, outdial_id: str) -> None:
    target = await target_in(TargetStatus.DONE, viewer, outdial_id)
    changes = {"destination_1": make.destinations(make.phone_number())[0], "max_try_counts": (9, 9, 9, 9, 9)}
    updated = await targets.update(viewer, target.id, changes=changes)
    assert (updated.status, updated.done_reason) == (TargetStatus.DONE, DoneReason.ANSWERED)
    assert await attempts.claim(viewer, outdial_id, limit=5) == []


@pytest.mark.parametrize("status", [TargetStatus.IDLE, TargetStatus.PROGRESSING])
async def test_cancel_finishes_a_target_and_revokes_its_attempt(
    status: TargetStatus, viewer: Viewer, outdial_id: str
) -> None:
    target = await target_in(status, viewer, outdial_id)
    canceled = await targets.cancel(viewer, target.id)
    assert (canceled.status, canceled.done_reason) == (TargetStatus.DONE, DoneReason.CANCELED)
    assert canceled.try_counts == target.try_counts
    if status is TargetStatus.PROGRESSING:
        assert (await the_attempt(viewer, target)).state is AttemptState.REVOKED


async def test_cancel_of_a_done_target_is_no_error_and_changes_nothing(
    database: str, viewer: Viewer, outdial_id: str
) -> None:
    target = await target_in(TargetStatus.DONE, viewer, outdial_id)
    before = await rows.of(database, viewer.customer_id)
    assert await targets.cancel(viewer, target.id) == target
    assert await rows.of(database, viewer.customer_id) == before


@pytest.mark.parametrize("status", list(TargetStatus))
async def test_delete_hides_a_target_and_revokes_its_attempt(
    status: TargetStatus, viewer: Viewer, outdial_id: str
) -> None:
    target = await target_in(status, viewer, outdial_id)
    deleted = await targets.delete(viewer, target.id)
    assert deleted.tm_delete is not None
    assert await targets.get_many(viewer, [target.id]) == {}
    assert (await make.read(viewer, target.id, deleted=True)).tm_delete == deleted.tm_delete
    if status is TargetStatus.PROGRESSING:
        assert (await the_attempt(viewer, target)).state is AttemptState.REVOKED
    assert await attempts.claim(viewer, outdial_id, limit=5) == []
    with pytest.raises(Rejected) as refusal:
        await targets.delete(viewer, target.id)
    assert [error.code for error in refusal.value.errors] == [UserErrorCode.NOT_FOUND]


@pytest.mark.parametrize("by_id", [True, False])
@pytest.mark.parametrize("status", [TargetStatus.IDLE, TargetStatus.PROGRESSING])
async def test_reset_does_not_match_a_target_that_is_not_done(
    status: TargetStatus, by_id: bool, database: str, viewer: Viewer, outdial_id: str
) -> None:
    target = await target_in(status, viewer, outdial_id)
    before = await rows.of(database, viewer.customer_id)
    chosen = {"target_ids": [target.id]} if by_id else {"done_reasons": list(DoneReason)}
    reset = await targets.reset(viewer, outdial_id, **chosen)
    assert (reset.count, reset.remaining) == (0, 0)
    assert await rows.of(database, viewer.customer_id) == before


async def test_reset_brings_a_done_target_back_with_its_tries_at_zero(viewer: Viewer, outdial_id: str) -> None:
    target = await target_in(TargetStatus.DONE, viewer, outdial_id)
    reset = await targets.reset(viewer, outdial_id, target_ids=[target.id])
    assert (reset.count, reset.remaining) == (1, 0)
    again = await make.read(viewer, target.id)
    assert (again.status, again.done_reason, again.try_counts) == (TargetStatus.IDLE, None, (0, 0, 0, 0, 0))
    assert again.version == target.version + 1
    attempt = await make.claim(viewer, outdial_id)
    assert (attempt.target_id, attempt.try_number) == (target.id, 1)
