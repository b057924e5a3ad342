"""Two reports that count although the attempt has ended, because people and facts come first."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from app import attempts, outdials, suppressions, targets
from app.auth import Viewer
from app.errors import UserErrorCode
from app.lifecycle import AttemptState, Disposition, DoneReason, TargetStatus, UnconfirmedAction
from app.pagination import PageRequest
from app.records import Attempt, PolicyDraft, SuppressionSource
from tests.support import factories as make
from tests.support import rows

LEASE_SECONDS = 60
RETRY_SECONDS = 300


@pytest.fixture(autouse=True)
async def _adds_up(database: str, viewer: Viewer) -> AsyncIterator[None]:
    yield
    tables = await rows.of(database, viewer.customer_id)
    rows.check(tables, resets=True)
    rows.check_events(tables)


@pytest.fixture
async def outdial_id(database: str, viewer: Viewer) -> str:
    policy = {"lease_seconds": LEASE_SECONDS, "retry_interval_seconds": RETRY_SECONDS}
    return (await make.make_outdial(viewer, policy=policy)).id


async def set_policy(viewer: Viewer, outdial_id: str, **fields: object) -> None:
    await outdials.update(viewer, outdial_id, changes={"dial_policy": PolicyDraft(**fields)})  # type: ignore[arg-type]


async def attempt_in(state: AttemptState, viewer: Viewer, outdial_id: str) -> Attempt:
    target = await make.make_target(viewer, outdial_id)
    attempt = await make.claim(viewer, outdial_id)
    if state in {AttemptState.DIALING, AttemptState.UNCONFIRMED}:
        make.one(await make.start(viewer, attempt.id))
    match state:
        case AttemptState.COMPLETED:
            make.one(await make.complete(viewer, attempt.id, Disposition.BUSY))
        case AttemptState.RELEASED:
            make.one(await make.release(viewer, attempt.id))
        case AttemptState.EXPIRED | AttemptState.UNCONFIRMED:
            await make.expire(LEASE_SECONDS)
        case AttemptState.REVOKED:
            await targets.cancel(viewer, target.id)
    attempt = await make.read_attempt(viewer, attempt.id)
    assert attempt.state is state
    return attempt


# ---------------------------------------------------------------- DO_NOT_CALL


@pytest.mark.parametrize("state", list(AttemptState))
async def test_do_not_call_is_honoured_under_any_attempt_id(
    state: AttemptState, database: str, viewer: Viewer, outdial_id: str
) -> None:
    attempt = await attempt_in(state, viewer, outdial_id)

    assert make.one(await make.complete(viewer, attempt.id, Disposition.DO_NOT_CALL)).id == attempt.id

    target = await make.read(viewer, attempt.target_id)
    assert (target.status, target.done_reason) == (TargetStatus.DONE, DoneReason.DO_NOT_CALL)
    assert target.next_try_at is None
    assert target.try_counts == ((0 if state is AttemptState.RELEASED else 1), 0, 0, 0, 0)
    make.pass_time(RETRY_SECONDS)
    assert await attempts.claim(viewer, outdial_id) == []

    before = await rows.of(database, viewer.customer_id)
    make.one(await make.complete(viewer, attempt.id, Disposition.DO_NOT_CALL))
    assert await rows.of(database, viewer.customer_id) == before, "a repeat changes nothing"


@pytest.mark.parametrize("dialing", [True, False])
@pytest.mark.parametrize(
    "state", [AttemptState.COMPLETED, AttemptState.RELEASED, AttemptState.EXPIRED, AttemptState.UNCONFIRMED]
)
async def test_do_not_call_under_an_old_attempt_revokes_a_newer_one(
    state: AttemptState, dialing: bool, viewer: Viewer, outdial_id: str
) -> None:
    await set_policy(viewer, outdial_id, on_unconfirmed=UnconfirmedAction.RETRY)
    old = await attempt_in(state, viewer, outdial_id)
    make.pass_time(RETRY_SECONDS)
    newer = await make.claim(viewer, outdial_id)
    assert newer.target_id == old.target_id
    if dialing:
        make.one(await make.start(viewer, newer.id))

    make.one(await make.complete(viewer, old.id, Disposition.DO_NOT_CALL))

    assert (await make.read(viewer, old.target_id)).done_reason is DoneReason.DO_NOT_CALL
    revoked = await make.read_attempt(viewer, newer.id)
    assert (revoked.state, revoked.expires_at) == (AttemptState.REVOKED, None)
    assert make.code(await make.complete(viewer, newer.id, Disposition.ANSWERED)) == UserErrorCode.LEASE_LOST


@pytest.mark.parametrize("disposition", [Disposition.ANSWERED, Disposition.INVALID_DESTINATION])
async def test_do_not_call_after_another_result_finishes_the_target_for_that_reason(
    disposition: Disposition, viewer: Viewer, outdial_id: str
) -> None:
    await make.make_target(viewer, outdial_id)
    attempt = await make.claim(viewer, outdial_id)
    make.one(await make.complete(viewer, attempt.id, disposition))
    make.one(await make.complete(viewer, attempt.id, Disposition.DO_NOT_CALL))
    assert (await make.read(viewer, attempt.target_id)).done_reason is DoneReason.DO_NOT_CALL


@pytest.mark.parametrize("what", ["target", "outdial"])
@pytest.mark.parametrize("state", list(AttemptState))
async def test_do_not_call_counts_for_the_address_and_leaves_a_deleted_target_as_it_is(
    state: AttemptState, what: str, database: str, viewer: Viewer, outdial_id: str
) -> None:
    attempt = await attempt_in(state, viewer, outdial_id)
    if what == "target":
        await targets.delete(viewer, attempt.target_id)
    else:
        await outdials.delete(viewer, outdial_id)
    another = await make.make_outdial(viewer)
    waiting = await make.make_target(viewer, another.id, attempt.destination.target)
    before = await rows.of(database, viewer.customer_id)

    batch = await make.complete(viewer, attempt.id, Disposition.DO_NOT_CALL)

    ended = state in {AttemptState.COMPLETED, AttemptState.RELEASED}
    assert make.code(batch) == (UserErrorCode.ALREADY_ENDED if ended else UserErrorCode.LEASE_LOST)
    assert await rows.of(database, viewer.customer_id) == before, "what is deleted stays as it was"
    [listed] = (await suppressions.page(viewer, PageRequest())).items
    assert (listed.target, listed.source, listed.expires_at) == (
        attempt.destination.target,
        SuppressionSource.CALLEE,
        None,
    )
    assert await attempts.claim(viewer, another.id) == []
    await make.finish_suppressed()
    assert (await make.read(viewer, waiting.id)).done_reason is DoneReason.DO_NOT_CALL


async def test_do_not_call_on_a_deleted_list_revokes_what_is_claimed_there_on_another(
    database: str, viewer: Viewer, outdial_id: str
) -> None:
    attempt = await attempt_in(AttemptState.DIALING, viewer, outdial_id)
    another = await make.make_outdial(viewer)
    await make.make_target(viewer, another.id, attempt.destination.target)
    elsewhere = await make.claim(viewer, another.id)
    await outdials.delete(viewer, outdial_id)

    batch = await make.complete(viewer, attempt.id, Disposition.DO_NOT_CALL)

    assert make.code(batch) == UserErrorCode.LEASE_LOST
    assert (await make.read_attempt(viewer, elsewhere.id)).state is AttemptState.REVOKED
    assert make.code(await make.start(viewer, elsewhere.id)) is UserErrorCode.SUPPRESSED
    rows.check(await rows.of(database, viewer.customer_id))


# ---------------------------------------------------------------- late completion of an UNCONFIRMED attempt


@pytest.mark.parametrize("action", list(UnconfirmedAction))
@pytest.mark.parametrize(
    ("disposition", "reason"),
    [
        (Disposition.ANSWERED, DoneReason.ANSWERED),
        (Disposition.DO_NOT_CALL, DoneReason.DO_NOT_CALL),
        (Disposition.INVALID_DESTINATION, DoneReason.EXHAUSTED),
    ],
)
async def test_a_late_result_of_an_unconfirmed_attempt_finishes_the_target(
    disposition: Disposition, reason: DoneReason, action: UnconfirmedAction, viewer: Viewer, outdial_id: str
) -> None:
    await set_policy(viewer, outdial_id, on_unconfirmed=action)
    attempt = await attempt_in(AttemptState.UNCONFIRMED, viewer, outdial_id)

    late = make.one(await make.complete(viewer, attempt.id, disposition, detail="late"))

    assert (late.state, late.disposition, late.detail) == (AttemptState.COMPLETED, disposition, "late")
    target = await make.read(viewer, attempt.target_id)
    assert (target.status, target.done_reason, target.try_counts) == (TargetStatus.DONE, reason, (1, 0, 0, 0, 0))


@pytest.mark.parametrize("action", list(UnconfirmedAction))
async def test_a_late_unsuccessful_result_puts_the_target_under_the_usual_limits(
    action: UnconfirmedAction, viewer: Viewer, outdial_id: str
) -> None:
    await set_policy(viewer, outdial_id, on_unconfirmed=action)
    attempt = await attempt_in(AttemptState.UNCONFIRMED, viewer, outdial_id)

    late = make.one(await make.complete(viewer, attempt.id, Disposition.BUSY))

    assert late.ended_at is not None
    target = await make.read(viewer, attempt.target_id)
    assert (target.status, target.done_reason) == (TargetStatus.IDLE, None)
    assert target.next_try_at == late.ended_at + timedelta(seconds=RETRY_SECONDS)
    assert make.code(await make.complete(viewer, attempt.id, Disposition.ANSWERED)) == UserErrorCode.ALREADY_ENDED


async def test_a_late_result_counts_also_where_no_try_was_left(viewer: Viewer, outdial_id: str) -> None:
    await set_policy(viewer, outdial_id, on_unconfirmed=UnconfirmedAction.RETRY, max_try_counts=(1, 1, 1, 1, 1))
    attempt = await attempt_in(AttemptState.UNCONFIRMED, viewer, outdial_id)
    assert (await make.read(viewer, attempt.target_id)).done_reason is DoneReason.EXHAUSTED
    make.one(await make.complete(viewer, attempt.id, Disposition.ANSWERED))
    assert (await make.read(viewer, attempt.target_id)).done_reason is DoneReason.ANSWERED


@pytest.mark.parametrize(
    "since", ["claimed again", "claimed again and released", "canceled", "reset", "deleted", "outdial deleted"]
)
async def test_a_late_result_is_lost_once_somebody_else_decided(
    since: str, database: str, viewer: Viewer, outdial_id: str
) -> None:
    finish = since == "reset"
    action = UnconfirmedAction.FINISH if finish else UnconfirmedAction.RETRY
    await set_policy(viewer, outdial_id, on_unconfirmed=action)
    attempt = await attempt_in(AttemptState.UNCONFIRMED, viewer, outdial_id)
    match since:
        case "claimed again" | "claimed again and released":
            make.pass_time(RETRY_SECONDS)
            newer = await make.claim(viewer, outdial_id)
            if since.endswith("released"):
                make.one(await make.release(viewer, newer.id))
        case "canceled":
            await targets.cancel(viewer, attempt.target_id)
        case "reset":
            await targets.reset(viewer, outdial_id, done_reasons=[DoneReason.UNCONFIRMED])
        case "deleted":
            await targets.delete(viewer, attempt.target_id)
        case "outdial deleted":
            await outdials.delete(viewer, outdial_id)
    before = await rows.of(database, viewer.customer_id)

    assert make.code(await make.complete(viewer, attempt.id, Disposition.ANSWERED)) == UserErrorCode.LEASE_LOST
    assert await rows.of(database, viewer.customer_id) == before


@pytest.mark.parametrize("swept", [True, False])
@pytest.mark.parametrize("action", list(UnconfirmedAction))
async def test_a_late_result_counts_whether_the_sweep_has_been_there_or_not(
    action: UnconfirmedAction, swept: bool, viewer: Viewer, outdial_id: str
) -> None:
    await set_policy(viewer, outdial_id, on_unconfirmed=action)
    attempt = await attempt_in(AttemptState.DIALING, viewer, outdial_id)
    make.pass_time(LEASE_SECONDS)
    if swept:
        await make.sweep()
    late = make.one(await make.complete(viewer, attempt.id, Disposition.ANSWERED))
    assert late.state is AttemptState.COMPLETED
    await make.sweep()
    target = await make.read(viewer, attempt.target_id)
    assert (target.done_reason, target.try_counts) == (DoneReason.ANSWERED, (1, 0, 0, 0, 0))


@pytest.mark.parametrize("disposition", [Disposition.ANSWERED, Disposition.BUSY])
async def test_a_late_result_never_undoes_do_not_call(
    disposition: Disposition, database: str, viewer: Viewer, outdial_id: str
) -> None:
    """The person said so under an earlier attempt, after the newest one had run out."""
    old = await attempt_in(AttemptState.COMPLETED, viewer, outdial_id)
    make.pass_time(RETRY_SECONDS)
    newest = await make.claim(viewer, outdial_id)
    make.one(await make.start(viewer, newest.id))
    await make.expire(LEASE_SECONDS)
    make.one(await make.complete(viewer, old.id, Disposition.DO_NOT_CALL))
    before = await rows.of(database, viewer.customer_id)

    assert make.code(await make.complete(viewer, newest.id, disposition)) == UserErrorCode.LEASE_LOST
    assert await rows.of(database, viewer.customer_id) == before
