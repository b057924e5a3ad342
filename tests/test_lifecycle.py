"""The rules of a target's life, checked over all that can be said to them."""

from datetime import UTC, datetime, timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.lifecycle import (
    DESTINATIONS,
    LIVE,
    AttemptState,
    Disposition,
    DoneReason,
    Standing,
    TargetEventType,
    TargetStatus,
    Tries,
    UnconfirmedAction,
    Verdict,
    after_disposition,
    after_lapse,
    asks_not_to_be_called,
    judge_complete,
    judge_extend,
    judge_release,
    judge_start,
    lease_holds,
)

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
FINAL = {Disposition.ANSWERED: DoneReason.ANSWERED, Disposition.DO_NOT_CALL: DoneReason.DO_NOT_CALL}

five = lambda element: st.lists(element, min_size=DESTINATIONS, max_size=DESTINATIONS)  # noqa: E731
tries = st.builds(
    Tries,
    set=five(st.booleans()),
    invalid=five(st.booleans()),
    counts=five(st.integers(0, 4)),
    limits=five(st.integers(0, 3)),
    first_index=st.integers(0, DESTINATIONS - 1),
)


def one_try(*, count: int, limit: int) -> Tries:
    return Tries([True] + [False] * 4, [False] * 5, [count] + [0] * 4, [limit] + [0] * 4)


@given(tries)
def test_the_lowest_usable_destination_from_the_first_one_on_comes_next_and_then_the_lowest(known: Tries) -> None:
    usable = [
        index
        for index in range(DESTINATIONS)
        if known.set[index] and not known.invalid[index] and known.counts[index] < known.limits[index]
    ]
    behind = [index for index in usable if index >= known.first_index]
    assert known.next_index() == next(iter([*behind, *usable]), None)


@given(tries, st.sampled_from(Disposition), st.integers(0, 1000), st.none() | st.integers(0, 1000))
def test_a_target_is_idle_exactly_where_something_is_usable_and_the_call_did_not_finish_it(
    known: Tries, disposition: Disposition, interval: int, wish: int | None
) -> None:
    standing = after_disposition(disposition, known, NOON, retry_interval_seconds=interval, retry_after_seconds=wish)
    if disposition in FINAL:
        assert standing == Standing(TargetStatus.DONE, FINAL[disposition])
    elif known.next_index() is None:
        assert standing == Standing(TargetStatus.DONE, DoneReason.EXHAUSTED)
    else:
        wait = wish if wish is not None else 0 if disposition is Disposition.INVALID_DESTINATION else interval
        assert standing == Standing(TargetStatus.IDLE, next_try_at=NOON + timedelta(seconds=wait))


@pytest.mark.parametrize("action", list(UnconfirmedAction))
def test_a_lease_that_ends_before_the_call_is_an_unsuccessful_try(action: UnconfirmedAction) -> None:
    for count, standing in (
        (1, Standing(TargetStatus.IDLE, next_try_at=NOON + timedelta(seconds=30))),
        (2, Standing(TargetStatus.DONE, DoneReason.EXHAUSTED)),
    ):
        lapse = after_lapse(
            AttemptState.CLAIMED,
            one_try(count=count, limit=2),
            NOON,
            retry_interval_seconds=30,
            on_unconfirmed=action,
        )
        assert (lapse.state, lapse.event, lapse.standing) == (
            AttemptState.EXPIRED,
            TargetEventType.EXPIRED,
            standing,
        )


def test_a_lease_that_ends_after_the_call_follows_the_policy() -> None:
    def lapse(action: UnconfirmedAction, count: int) -> Standing:
        found = after_lapse(
            AttemptState.DIALING,
            one_try(count=count, limit=2),
            NOON,
            retry_interval_seconds=30,
            on_unconfirmed=action,
        )
        assert (found.state, found.event) == (AttemptState.UNCONFIRMED, TargetEventType.UNCONFIRMED)
        return found.standing

    assert lapse(UnconfirmedAction.FINISH, 1) == Standing(TargetStatus.DONE, DoneReason.UNCONFIRMED)
    assert lapse(UnconfirmedAction.RETRY, 1) == Standing(TargetStatus.IDLE, next_try_at=NOON + timedelta(seconds=30))
    assert lapse(UnconfirmedAction.RETRY, 2) == Standing(TargetStatus.DONE, DoneReason.EXHAUSTED)


def test_a_lease_is_up_at_its_last_instant() -> None:
    for state in AttemptState:
        assert lease_holds(state, NOON + timedelta(microseconds=1), NOON) is (state in LIVE)
        assert not lease_holds(state, NOON, NOON)
        assert not lease_holds(state, None, NOON)


ENDED = {
    AttemptState.COMPLETED: Verdict.ALREADY_ENDED,
    AttemptState.RELEASED: Verdict.ALREADY_ENDED,
    AttemptState.EXPIRED: Verdict.LEASE_LOST,
    AttemptState.UNCONFIRMED: Verdict.LEASE_LOST,
    AttemptState.REVOKED: Verdict.LEASE_LOST,
    # live ones whose time is up and that nobody swept yet
    AttemptState.CLAIMED: Verdict.LEASE_LOST,
    AttemptState.DIALING: Verdict.LEASE_LOST,
}


@pytest.mark.parametrize("state", list(AttemptState))
def test_only_a_lease_that_holds_can_be_started_extended_or_given_back(state: AttemptState) -> None:
    assert judge_start(state, holds=False) is ENDED[state]
    assert judge_extend(state, holds=False) is ENDED[state]
    given_back_before = state is AttemptState.RELEASED
    assert judge_release(state, holds=False) is (Verdict.UNCHANGED if given_back_before else ENDED[state])
    if state in LIVE:
        assert judge_start(state, holds=True) is Verdict.APPLY
        assert judge_extend(state, holds=True) is Verdict.APPLY
        dialed = state is AttemptState.DIALING
        assert judge_release(state, holds=True) is (Verdict.ALREADY_DIALED if dialed else Verdict.APPLY)


@pytest.mark.parametrize(("state", "disposition"), list(product(AttemptState, Disposition)))
def test_a_result_is_taken_exactly_where_it_may_be(state: AttemptState, disposition: Disposition) -> None:
    flags = product((False, True), repeat=4)
    for holds, newest, deleted, do_not_call in flags:
        if holds and (state not in LIVE or deleted):
            continue  # such a lease does not hold
        for reported in (None, disposition, Disposition.BUSY):
            if (reported is not None) is not (state is AttemptState.COMPLETED):
                continue
            verdict = judge_complete(
                state,
                holds=holds,
                reported=reported,
                disposition=disposition,
                newest=newest,
                deleted=deleted,
                do_not_call=do_not_call,
            )
            if disposition is Disposition.DO_NOT_CALL and not deleted:
                expected = Verdict.UNCHANGED if do_not_call else Verdict.APPLY
            elif reported is disposition:
                expected = Verdict.UNCHANGED
            elif holds or (state in {AttemptState.UNCONFIRMED, AttemptState.DIALING} and newest and not deleted):
                expected = Verdict.APPLY
            else:
                expected = ENDED[state]
            assert verdict is expected, (state, disposition, holds, newest, deleted, do_not_call, reported)


@pytest.mark.parametrize(("reported", "disposition"), list(product((None, *Disposition), Disposition)))
def test_a_wish_not_to_be_called_is_for_the_address_once_for_each_attempt(
    reported: Disposition | None, disposition: Disposition
) -> None:
    wished = (disposition, reported is disposition) == (Disposition.DO_NOT_CALL, False)
    assert asks_not_to_be_called(reported=reported, disposition=disposition) is wished
