"""Retry rules of a policy: what they make of reported results and of expired leases, on either database."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import pytest

from app import attempts, codes, db, dialability, outdials, targets
from app.auth import Viewer
from app.blocks import BlockReason
from app.lifecycle import AttemptState, Disposition, DoneReason, TargetStatus, UnconfirmedAction
from app.records import Attempt, AttemptResult, CallCap, CapScope, CapSubject, PolicyDraft, ResultCodeDraft, Target
from app.retrying import RetryAction, RetryRule
from app.store import desks
from tests.support import factories as make
from tests.support import rows
from tests.support.permitting import daily

RETRY_SECONDS = 300
LEASE_SECONDS = 60
BUSY, NO_ANSWER, MACHINE, FAILED = Disposition.BUSY, Disposition.NO_ANSWER, Disposition.MACHINE, Disposition.FAILED


def rule(action: RetryAction = RetryAction.RETRY, **fields: Any) -> RetryRule:
    """One that matches everything that is not named."""
    every: dict[str, Any] = {"states": (), "dispositions": (), "codes": (), "destinations": (), "from_nth": 1}
    return RetryRule(**{**every, "action": action, "wait_seconds": None, "jitter_percent": 0, **fields})


@pytest.fixture(autouse=True)
async def _adds_up(database: str, viewer: Viewer) -> AsyncIterator[None]:
    yield
    rows.check(await rows.of(database, viewer.customer_id), resets=True)


async def make_list(viewer: Viewer, *rules: RetryRule, limit: int = 9, **policy: Any) -> str:
    fields = {"lease_seconds": LEASE_SECONDS, "retry_interval_seconds": RETRY_SECONDS, "max_try_counts": (limit,) * 5}
    return (await make.make_outdial(viewer, policy={**fields, "retry_rules": rules, **policy})).id


async def claim_now(viewer: Viewer, outdial_id: str) -> Attempt:
    """After all waits."""
    make.pass_time(24 * 3600)
    return await make.claim(viewer, outdial_id)


async def reported(viewer: Viewer, attempt: Attempt, disposition: Disposition, **fields: Any) -> tuple[Target, float]:
    """The target after a result, and the seconds from the attempt's end until it is due."""
    ended = make.one(await make.complete(viewer, attempt.id, disposition, **fields))
    return await waiting(viewer, attempt.target_id, ended.ended_at)


async def waiting(viewer: Viewer, target_id: str, since: datetime | None) -> tuple[Target, float]:
    target = await make.read(viewer, target_id)
    if target.next_try_at is None:
        return target, -1
    assert since is not None
    return target, (target.next_try_at - since).total_seconds()


# ---------------------------------------------------------------- which rule decides


async def test_a_line_is_tried_again_in_two_minutes_and_from_its_third_time_on_in_an_hour(viewer: Viewer) -> None:
    outdial_id = await make_list(
        viewer,
        rule(dispositions=(BUSY,), from_nth=3, wait_seconds=3600),
        rule(dispositions=(BUSY,), wait_seconds=120),
    )
    await make.make_target(viewer, outdial_id)
    waits = []
    for disposition in (BUSY, NO_ANSWER, BUSY, BUSY, NO_ANSWER, BUSY):
        _, wait = await reported(viewer, await claim_now(viewer, outdial_id), disposition)
        waits.append(wait)
    assert waits == [120, RETRY_SECONDS, 120, 3600, RETRY_SECONDS, 3600]


async def test_what_failed_twice_with_a_code_is_finished(viewer: Viewer) -> None:
    await codes.set_all(viewer, drafts=[ResultCodeDraft("CARRIER", "Carrier", FAILED)])
    outdial_id = await make_list(viewer, rule(RetryAction.FINISH, codes=("CARRIER",), from_nth=2))
    await make.make_target(viewer, outdial_id)
    for code in ("CARRIER", None):
        target, wait = await reported(viewer, await claim_now(viewer, outdial_id), FAILED, code=code)
        assert (target.status, wait) == (TargetStatus.IDLE, RETRY_SECONDS)
    target, _ = await reported(viewer, await claim_now(viewer, outdial_id), FAILED, code="CARRIER")
    assert (target.status, target.done_reason) == (TargetStatus.DONE, DoneReason.FINISHED)
    [progress] = (await outdials.progress(viewer, [outdial_id])).values()
    assert (progress.done_by_reason[DoneReason.FINISHED], progress.total) == (1, 1)


async def test_attempts_before_a_reset_do_not_count(viewer: Viewer) -> None:
    outdial_id = await make_list(viewer, rule(RetryAction.FINISH, from_nth=3))
    made = await make.make_target(viewer, outdial_id)
    for _ in range(2):
        for wanted in (TargetStatus.IDLE, TargetStatus.IDLE, TargetStatus.DONE):
            target, _ = await reported(viewer, await claim_now(viewer, outdial_id), BUSY)
            assert target.status is wanted
        await targets.reset(viewer, outdial_id, done_reasons=[DoneReason.FINISHED])
    await reported(viewer, await claim_now(viewer, outdial_id), BUSY)
    await targets.cancel(viewer, made.id)
    await targets.reset(viewer, outdial_id, target_ids=[made.id])
    for wanted in (TargetStatus.IDLE, TargetStatus.IDLE, TargetStatus.DONE):
        target, _ = await reported(viewer, await claim_now(viewer, outdial_id), BUSY)
        assert target.status is wanted


async def test_released_and_revoked_attempts_are_no_matching_ones(viewer: Viewer) -> None:
    outdial_id = await make_list(viewer, rule(RetryAction.FINISH, from_nth=2))
    made = await make.make_target(viewer, outdial_id, make.phone_number(), make.phone_number())
    make.one(await make.release(viewer, (await claim_now(viewer, outdial_id)).id))
    revoked = await claim_now(viewer, outdial_id)
    await make.suppress(viewer, revoked.destination.target)
    assert (await make.read_attempt(viewer, revoked.id)).state is AttemptState.REVOKED
    make.one(await make.release(viewer, (await claim_now(viewer, outdial_id)).id))
    for wanted in (TargetStatus.IDLE, TargetStatus.DONE):
        await reported(viewer, await claim_now(viewer, outdial_id), BUSY)
        assert (await make.read(viewer, made.id)).status is wanted


async def test_it_is_bounded_how_many_attempts_of_a_target_are_read(
    viewer: Viewer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest: with the bound as it is, no more than these can have been made since a reset."""
    monkeypatch.setattr(desks, "EARLIER_ATTEMPTS_MAX", 3)
    outdial_id = await make_list(viewer, rule(RetryAction.FINISH, dispositions=(NO_ANSWER,), from_nth=3))
    await make.make_target(viewer, outdial_id)
    for disposition in (NO_ANSWER, NO_ANSWER, BUSY, BUSY):
        await reported(viewer, await claim_now(viewer, outdial_id), disposition)
    target, _ = await reported(viewer, await claim_now(viewer, outdial_id), NO_ANSWER)
    assert target.status is TargetStatus.IDLE


async def test_results_of_many_targets_in_one_call_are_each_judged_by_their_own_attempts(viewer: Viewer) -> None:
    outdial_id = await make_list(viewer, rule(RetryAction.FINISH, dispositions=(BUSY,), from_nth=2))
    twice, once = await make.make_targets(viewer, outdial_id, 2)
    first = {attempt.target_id: attempt for attempt in await attempts.claim(viewer, outdial_id, limit=2)}
    await reported(viewer, first[twice.id], BUSY)
    await reported(viewer, first[once.id], NO_ANSWER)
    make.pass_time(24 * 3600)
    again = await attempts.claim(viewer, outdial_id, limit=2)
    results = [AttemptResult(attempt.id, BUSY) for attempt in again]
    assert not (await attempts.complete(viewer, results=results)).errors
    assert (await make.read(viewer, twice.id)).done_reason is DoneReason.FINISHED
    assert (await make.read(viewer, once.id)).status is TargetStatus.IDLE


# ---------------------------------------------------------------- what follows


async def test_retry_after_seconds_has_precedence_over_waits_and_not_over_an_end(viewer: Viewer) -> None:
    outdial_id = await make_list(
        viewer, rule(RetryAction.FINISH, dispositions=(MACHINE,)), rule(wait_seconds=120, jitter_percent=100)
    )
    await make.make_target(viewer, outdial_id)
    _, wait = await reported(viewer, await claim_now(viewer, outdial_id), BUSY, retry_after_seconds=7)
    assert wait == 7
    target, _ = await reported(viewer, await claim_now(viewer, outdial_id), MACHINE, retry_after_seconds=7)
    assert target.done_reason is DoneReason.FINISHED


async def test_limits_hold_whatever_a_rule_says(viewer: Viewer) -> None:
    outdial_id = await make_list(viewer, rule(wait_seconds=0), limit=2)
    await make.make_target(viewer, outdial_id)
    for wanted in (None, DoneReason.EXHAUSTED):
        target, _ = await reported(viewer, await claim_now(viewer, outdial_id), BUSY)
        assert target.done_reason is wanted


async def test_an_answer_finishes_a_target_before_any_rule(viewer: Viewer) -> None:
    outdial_id = await make_list(viewer, rule(wait_seconds=5))
    await make.make_targets(viewer, outdial_id, 2)
    for disposition, reason in (
        (Disposition.ANSWERED, DoneReason.ANSWERED),
        (Disposition.DO_NOT_CALL, DoneReason.DO_NOT_CALL),
    ):
        target, _ = await reported(viewer, await make.claim(viewer, outdial_id), disposition)
        assert target.done_reason is reason


async def test_jitter_makes_a_wait_longer_by_at_most_its_share(viewer: Viewer, monkeypatch: pytest.MonkeyPatch) -> None:
    outdial_id = await make_list(
        viewer, rule(dispositions=(BUSY,), wait_seconds=100, jitter_percent=50), rule(jitter_percent=10)
    )
    await make.make_target(viewer, outdial_id)
    for chance, disposition, wanted in (
        (0.0, BUSY, 100.0),
        (0.5, BUSY, 125.0),
        (0.999, BUSY, 149.95),
        (0.5, NO_ANSWER, RETRY_SECONDS * 1.05),
        (0.5, Disposition.INVALID_DESTINATION, -1.0),
    ):
        monkeypatch.setattr("app.attempts.desk.random.random", lambda chance=chance: chance)
        _, wait = await reported(viewer, await claim_now(viewer, outdial_id), disposition)
        assert wait == pytest.approx(wanted, abs=1e-6)


async def test_an_invalid_address_keeps_its_wait_of_nothing_without_a_rule_that_has_one(viewer: Viewer) -> None:
    outdial_id = await make_list(viewer, rule(destinations=(0,)), rule(destinations=(1,), wait_seconds=30))
    await make.make_target(viewer, outdial_id, *(make.phone_number() for _ in range(3)))
    waits = []
    for _ in range(2):
        attempt = await claim_now(viewer, outdial_id)
        waits.append((await reported(viewer, attempt, Disposition.INVALID_DESTINATION))[1])
    assert waits == [0, 30]


# ---------------------------------------------------------------- leases that expire, and late reports


@pytest.mark.parametrize("action", list(UnconfirmedAction))
async def test_a_rule_decides_after_an_expired_lease_and_else_the_policy(
    viewer: Viewer, action: UnconfirmedAction
) -> None:
    outdial_id = await make_list(
        viewer,
        rule(states=(AttemptState.EXPIRED,), wait_seconds=10),
        rule(RetryAction.FINISH, states=(AttemptState.UNCONFIRMED,), from_nth=3),
        rule(states=(AttemptState.UNCONFIRMED,), from_nth=2, wait_seconds=20),
        on_unconfirmed=action,
    )
    made = await make.make_target(viewer, outdial_id)

    async def lapsed(*, is_dialed: bool) -> tuple[Target, float]:
        attempt = await claim_now(viewer, outdial_id)
        if is_dialed:
            attempt = make.one(await make.start(viewer, attempt.id))
        await make.expire(LEASE_SECONDS + 1)
        return await waiting(viewer, made.id, attempt.expires_at)

    assert (await lapsed(is_dialed=False))[1] == 10
    target, wait = await lapsed(is_dialed=True)
    if action is UnconfirmedAction.FINISH:
        assert target.done_reason is DoneReason.UNCONFIRMED
        return
    assert wait == RETRY_SECONDS
    assert (await lapsed(is_dialed=True))[1] == 20
    target, _ = await lapsed(is_dialed=True)
    assert target.done_reason is DoneReason.FINISHED


async def test_a_late_report_is_judged_as_any_other_and_takes_the_place_of_what_was_unknown(viewer: Viewer) -> None:
    outdial_id = await make_list(
        viewer,
        rule(RetryAction.FINISH, dispositions=(BUSY,), from_nth=2),
        rule(RetryAction.FINISH, states=(AttemptState.UNCONFIRMED,)),
        rule(wait_seconds=40),
    )
    await make.make_target(viewer, outdial_id)
    for wanted in (TargetStatus.IDLE, TargetStatus.DONE):
        attempt = await claim_now(viewer, outdial_id)
        make.one(await make.start(viewer, attempt.id))
        await make.expire(LEASE_SECONDS + 1)
        assert (await make.read(viewer, attempt.target_id)).done_reason is DoneReason.FINISHED
        target, wait = await reported(viewer, attempt, BUSY)
        assert (target.status, wait) == (wanted, 40 if wanted is TargetStatus.IDLE else -1)


async def test_a_result_that_is_sent_again_changes_nothing(viewer: Viewer) -> None:
    outdial_id = await make_list(viewer, rule(RetryAction.FINISH, from_nth=2), rule(wait_seconds=30))
    await make.make_target(viewer, outdial_id)
    attempt = await claim_now(viewer, outdial_id)
    before, _ = await reported(viewer, attempt, BUSY)
    await outdials.update(viewer, outdial_id, changes={"dial_policy": PolicyDraft(retry_rules=())})
    assert (await reported(viewer, attempt, BUSY))[0] == before


async def test_earlier_attempts_are_read_only_if_a_rule_counts_them(viewer: Viewer) -> None:
    for rules, is_read in (((rule(),), False), ((rule(), rule(from_nth=2)), True), ((), False)):
        outdial_id = await make_list(viewer, *rules)
        await make.make_target(viewer, outdial_id)
        attempt = await make.claim(viewer, outdial_id)
        [row] = await desks.read_desk(db.fetch, viewer.customer_id, [attempt.id])
        assert (row["earlier"] is not None) == is_read


# ---------------------------------------------------------------- the next destination


async def test_after_a_machine_on_the_mobile_the_office_number_comes_next(viewer: Viewer) -> None:
    outdial_id = await make_list(
        viewer, rule(RetryAction.NEXT_DESTINATION, dispositions=(MACHINE,)), limit=2, retry_interval_seconds=0
    )
    await make.make_target(viewer, outdial_id, None, "+15550100001", None, "+15550100003")
    tried = []
    for disposition in (MACHINE, MACHINE, BUSY, MACHINE):
        attempt = await make.claim(viewer, outdial_id)
        tried.append(attempt.destination_index)
        target, _ = await reported(viewer, attempt, disposition)
    # after the last one comes the first, and after another result the order is the usual one
    assert tried == [1, 3, 1, 3]
    assert target.done_reason is DoneReason.EXHAUSTED


async def test_the_next_destination_is_due_at_once_if_the_rule_has_no_wait(viewer: Viewer) -> None:
    outdial_id = await make_list(
        viewer,
        rule(RetryAction.NEXT_DESTINATION, dispositions=(MACHINE,)),
        rule(RetryAction.NEXT_DESTINATION, dispositions=(BUSY,), wait_seconds=50),
    )
    await make.make_target(viewer, outdial_id, make.phone_number(), make.phone_number())
    waits = [(await reported(viewer, await claim_now(viewer, outdial_id), each))[1] for each in (MACHINE, BUSY)]
    assert waits == [0, 50]


async def test_a_target_without_another_destination_waits_as_without_the_rule(viewer: Viewer) -> None:
    outdial_id = await make_list(viewer, rule(RetryAction.NEXT_DESTINATION), retry_interval_seconds=70)
    await make.make_target(viewer, outdial_id, make.phone_number())
    _, wait = await reported(viewer, await claim_now(viewer, outdial_id), MACHINE)
    assert wait == 70


async def test_a_release_keeps_where_the_next_claim_begins_and_a_reset_does_not(viewer: Viewer) -> None:
    next_one = rule(RetryAction.NEXT_DESTINATION, dispositions=(MACHINE,))
    outdial_id = await make_list(viewer, next_one, rule(RetryAction.FINISH, dispositions=(FAILED,)))
    made = await make.make_target(viewer, outdial_id, *(make.phone_number() for _ in range(3)))
    await reported(viewer, await make.claim(viewer, outdial_id), MACHINE)
    for _ in range(2):
        attempt = await make.claim(viewer, outdial_id)
        assert attempt.destination_index == 1
        make.one(await make.release(viewer, attempt.id))
    attempt = await make.claim(viewer, outdial_id)
    await reported(viewer, attempt, MACHINE)
    await targets.cancel(viewer, made.id)
    await targets.reset(viewer, outdial_id, target_ids=[made.id])
    assert (await make.claim(viewer, outdial_id)).destination_index == 0


async def test_a_claim_passes_over_what_must_not_be_called_from_the_next_destination_on(viewer: Viewer) -> None:
    outdial_id = await make_list(viewer, rule(RetryAction.NEXT_DESTINATION, wait_seconds=0))
    made = await make.make_target(viewer, outdial_id, *(make.phone_number() for _ in range(3)))
    places = [place.target for place in made.destinations if place is not None]
    await reported(viewer, await make.claim(viewer, outdial_id), MACHINE)
    await make.suppress(viewer, places[1])
    await reported(viewer, await make.claim(viewer, outdial_id), Disposition.INVALID_DESTINATION)
    attempt = await make.claim(viewer, outdial_id)
    assert attempt.destination_index == 0


@pytest.mark.parametrize("keeps_order", [False, True])
async def test_with_calling_hours_and_caps_the_order_begins_at_the_next_destination(
    viewer: Viewer, keeps_order: bool
) -> None:
    """Of two that are open, and under a cap that still leaves a try at each."""
    outdial_id = await make_list(
        viewer,
        rule(RetryAction.NEXT_DESTINATION, wait_seconds=0),
        calling_hours=daily(None, 0, 0),
        keep_order=keeps_order,
        caps=(CallCap(2, 3600, CapSubject.ADDRESS, CapScope.OUTDIAL),),
    )
    numbers = [f"+4930123450{place}" for place in range(3)]
    made = await make.make_target(viewer, outdial_id, *numbers)
    tried = []
    for _ in range(6):
        assert not (await dialability.blocks_of_targets(viewer, [made.id]))[made.id].blocks
        attempt = await make.claim(viewer, outdial_id)
        tried.append(attempt.destination_index)
        await reported(viewer, attempt, MACHINE)
    assert tried == [0, 1, 2, 0, 1, 2]
    assert await attempts.claim(viewer, outdial_id) == []
    [block] = (await dialability.blocks_of_targets(viewer, [made.id]))[made.id].blocks
    assert block.reason is BlockReason.CAPPED
