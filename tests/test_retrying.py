"""Retry rules: which one decides, and what follows from it, held against a slow model."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from app.lifecycle import (
    DESTINATIONS,
    AttemptState,
    Disposition,
    DoneReason,
    Ruling,
    Standing,
    TargetStatus,
    Tries,
    UnconfirmedAction,
    after_disposition,
    after_lapse,
)
from app.retrying import JUDGED_STATES, UNJUDGED_DISPOSITIONS, Ending, RetryAction, RetryRule, judge
from tests.support.model import deciding_rule

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
CODES = ("CARRIER", "HUNG_UP")

rules = st.builds(
    RetryRule,
    states=st.lists(st.sampled_from(sorted(JUDGED_STATES)), max_size=2, unique=True).map(tuple),
    dispositions=st.lists(
        st.sampled_from([each for each in Disposition if each not in UNJUDGED_DISPOSITIONS]), max_size=3, unique=True
    ).map(tuple),
    codes=st.lists(st.sampled_from(CODES), max_size=2, unique=True).map(tuple),
    destinations=st.lists(st.integers(0, DESTINATIONS - 1), max_size=3, unique=True).map(tuple),
    from_nth=st.integers(1, 4),
    action=st.sampled_from(RetryAction),
    wait_seconds=st.none() | st.integers(0, 1_000),
    jitter_percent=st.sampled_from((0, 10, 100)),
)
completed = st.builds(
    Ending,
    state=st.just(AttemptState.COMPLETED),
    disposition=st.sampled_from(Disposition),
    code=st.none() | st.sampled_from(CODES),
    destination_index=st.integers(0, DESTINATIONS - 1),
)
others = st.builds(
    Ending,
    state=st.sampled_from([state for state in AttemptState if state is not AttemptState.COMPLETED]),
    disposition=st.none(),
    code=st.none(),
    destination_index=st.integers(0, DESTINATIONS - 1),
)
endings = completed | others
chances = st.floats(0, 1, exclude_max=True)
five = lambda element: st.lists(element, min_size=DESTINATIONS, max_size=DESTINATIONS)  # noqa: E731
tries = st.builds(
    Tries,
    set=five(st.booleans()),
    invalid=five(st.booleans()),
    counts=five(st.integers(0, 4)),
    limits=five(st.integers(0, 3)),
)
rulings = st.builds(
    Ruling,
    is_final=st.booleans(),
    wait_seconds=st.none() | st.integers(0, 1_000),
    longer_by=st.sampled_from((0.0, 0.25, 1.0)),
)


@given(st.lists(rules, max_size=4), endings, st.lists(endings, max_size=6), chances)
def test_the_first_rule_that_matches_decides(
    known: list[RetryRule], ended: Ending, earlier: list[Ending], chance: float
) -> None:
    rule = deciding_rule(known, [*earlier, ended])
    ruling = judge(known, ended, earlier, chance)
    assert (ruling is None) == (rule is None)
    if rule is None or ruling is None:
        return
    assert ruling.is_final == (rule.action is RetryAction.FINISH)
    assert ruling.wait_seconds == rule.wait_seconds
    is_next = rule.action is RetryAction.NEXT_DESTINATION
    assert ruling.left_index == (ended.destination_index if is_next else None)
    assert ruling.first_index == ([1, 2, 3, 4, 0][ended.destination_index] if is_next else 0)
    assert 0 <= ruling.longer_by <= rule.jitter_percent / 100
    assert (ruling.longer_by > 0) == (rule.jitter_percent * chance > 0)


@given(st.lists(rules, min_size=1, max_size=4), endings, st.permutations(range(4)), chances)
def test_the_order_of_earlier_attempts_does_not_matter(
    known: list[RetryRule], ended: Ending, order: list[int], chance: float
) -> None:
    some = [
        Ending(AttemptState.COMPLETED, Disposition.BUSY, None, 0),
        Ending(AttemptState.COMPLETED, Disposition.FAILED, "CARRIER", 1),
        Ending(AttemptState.UNCONFIRMED, None, None, 2),
        Ending(AttemptState.RELEASED, None, None, 2),
    ]
    assert judge(known, ended, some, chance) == judge(known, ended, [some[place] for place in order], chance)


@given(tries, st.sampled_from(Disposition), st.integers(0, 1000), st.none() | st.integers(0, 1000), rulings)
def test_a_rule_decides_the_wait_and_the_end_but_gives_no_try_beyond_the_limits(
    known: Tries, disposition: Disposition, interval: int, wish: int | None, ruling: Ruling
) -> None:
    standing = after_disposition(
        disposition, known, NOON, retry_interval_seconds=interval, retry_after_seconds=wish, ruling=ruling
    )
    if disposition is Disposition.ANSWERED:
        assert standing == Standing(TargetStatus.DONE, DoneReason.ANSWERED)
    elif disposition is Disposition.DO_NOT_CALL:
        assert standing == Standing(TargetStatus.DONE, DoneReason.DO_NOT_CALL)
    elif ruling.is_final:
        assert standing == Standing(TargetStatus.DONE, DoneReason.FINISHED)
    elif known.next_index() is None:
        assert standing == Standing(TargetStatus.DONE, DoneReason.EXHAUSTED)
    else:
        usual = 0 if disposition is Disposition.INVALID_DESTINATION else interval
        seconds = usual if ruling.wait_seconds is None else ruling.wait_seconds
        wait = seconds * (1 + ruling.longer_by) if wish is None else wish
        assert standing == Standing(TargetStatus.IDLE, next_try_at=NOON + timedelta(seconds=wait))


@given(
    tries,
    st.sampled_from((AttemptState.CLAIMED, AttemptState.DIALING)),
    st.integers(0, 1000),
    st.sampled_from(UnconfirmedAction),
    st.none() | rulings,
)
def test_a_rule_decides_after_an_expired_lease_and_on_unconfirmed_only_without_one(
    known: Tries, state: AttemptState, interval: int, action: UnconfirmedAction, ruling: Ruling | None
) -> None:
    lapse = after_lapse(state, known, NOON, retry_interval_seconds=interval, on_unconfirmed=action, ruling=ruling)
    assert lapse.state is (AttemptState.EXPIRED if state is AttemptState.CLAIMED else AttemptState.UNCONFIRMED)
    assert lapse.event.value == lapse.state.value
    if ruling is not None and ruling.is_final:
        assert lapse.standing == Standing(TargetStatus.DONE, DoneReason.FINISHED)
    elif ruling is None and state is AttemptState.DIALING and action is UnconfirmedAction.FINISH:
        assert lapse.standing == Standing(TargetStatus.DONE, DoneReason.UNCONFIRMED)
    elif known.next_index() is None:
        assert lapse.standing == Standing(TargetStatus.DONE, DoneReason.EXHAUSTED)
    else:
        seconds = interval if ruling is None or ruling.wait_seconds is None else ruling.wait_seconds
        wait = timedelta(seconds=seconds * (1 + (0 if ruling is None else ruling.longer_by)))
        assert lapse.standing == Standing(TargetStatus.IDLE, next_try_at=NOON + wait)
