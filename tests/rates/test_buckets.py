"""What a bucket gives: as much as counting every drop, and nothing for a clock that is set back."""

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.rates import Kind
from app.rates.bucket import Bucket, Rule
from tests.support.limiting import RULE


class SlowBucket:
    """Counts every drop, in whole numbers. A drop is what comes in 1/64 of a second."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.drops = self.most = rule.burst * 64
        """64 of them are a point for each point of a second."""

    def wait(self, ticks: int) -> None:
        for _ in range(ticks):
            self.drops = min(self.most, self.drops + self.rule.per_second)

    def take(self, cost: int, floor: int) -> Fraction:
        missing = (cost + floor) * 64 - self.drops
        if missing > 0:
            return Fraction(missing, 64 * self.rule.per_second)
        self.drops -= cost * 64
        return Fraction(0)

    def charge(self, cost: int) -> int:
        if self.drops <= -self.most:
            return 0
        self.drops -= cost * 64
        return cost


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("wait"), st.integers(-200, 400)),
        st.tuples(st.sampled_from(["take", "claim", "charge"]), st.integers(1, 400)),
    ),
    max_size=60,
)


@given(rule=st.builds(Rule, st.integers(1, 500), st.integers(20, 3_000)), steps=STEPS)
def test_a_bucket_is_what_counting_every_drop_gives(rule: Rule, steps: list[tuple[str, int]]) -> None:
    """Also if the clock is set back: then it is as if no time had passed."""
    bucket, slow, ticks = Bucket(rule.burst, 1_000.0), SlowBucket(rule), 64_000
    for what, number in steps:
        now = ticks / 64
        if what == "wait":
            ticks += number
            slow.wait(number)
            bucket.fill(rule, ticks / 64)
        elif what == "charge":
            assert bucket.charge(rule, now, number) == slow.charge(number)
        else:
            kind = Kind.CLAIM if what == "claim" else Kind.OPERATION
            floor = -(rule.burst // 10) if what == "claim" else 0
            wanted = slow.take(number, floor)
            assert bucket.take(rule, now, number, kind) == pytest.approx(float(wanted))
        assert bucket.points * 64 == slow.drops  # all of these numbers are exact


@given(rule=st.builds(Rule, st.integers(1, 10_000), st.integers(2_500, 100_000)), cost=st.integers(1, 2_500))
def test_after_the_seconds_that_it_names_there_is_enough(rule: Rule, cost: int) -> None:
    bucket = Bucket(0.0, 0.0)
    seconds = bucket.take(rule, 0.0, cost, Kind.OPERATION)
    assert seconds > 0
    assert bucket.take(rule, seconds * 0.999, cost, Kind.OPERATION) > 0
    assert bucket.take(rule, math.ceil(seconds), cost, Kind.OPERATION) == 0


def test_a_clock_that_is_set_back_takes_nothing_and_gives_nothing() -> None:
    bucket = Bucket(500.0, 10_000.0)
    bucket.fill(RULE, 10_000.0 - 3 * 3_600)
    assert bucket.points == 500
    bucket.fill(RULE, 10_001.0 - 3 * 3_600)
    assert bucket.points == 600
