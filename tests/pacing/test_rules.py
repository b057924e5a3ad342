"""The rules of pace and schedule, against a slow model."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import pacing
from app.pacing import Pacing, Usage
from tests.support.pacing import Try, allowed, may_claim, window_of

START = datetime(2026, 1, 1, tzinfo=UTC)
RATES = st.none() | st.sampled_from((0.001, 0.3, 0.5, 0.999, 1.0, 1.5, 2.0, 3.7)) | st.floats(0.001, 5)
INSTANTS = st.integers(0, 8_000).map(lambda milliseconds: START + timedelta(milliseconds=milliseconds))
TRIES = st.lists(st.tuples(INSTANTS, st.booleans()), max_size=8)
NOW = START + timedelta(seconds=8)


def used(pace: Pacing, tries: list[Try], now: datetime) -> Usage:
    """What a statement finds: the latest claims, at most as many as the rate."""
    still_open = sum(ended is None or ended > now for _, ended in tries)
    if pace.claims_per_second is None:
        return Usage(still_open)
    most, window = window_of(pace.claims_per_second)
    latest = sorted((at for at, _ in tries if at > now - window), reverse=True)[:most]
    return Usage(still_open, len(latest), min(latest, default=None))


@given(most=st.none() | st.integers(1, 5), rate=RATES, drawn=TRIES)
def test_the_pace_allows_exactly_what_keeps_its_promise(
    most: int | None, rate: float | None, drawn: list[tuple[datetime, bool]]
) -> None:
    """Whatever was claimed before: a policy may be new, and stricter than the one under which that was."""
    pace = Pacing(most, rate)
    tries: list[Try] = [(at, NOW if has_ended else None) for at, has_ended in drawn]
    usage = used(pace, tries, NOW)
    found = pacing.allowance(pace, usage, NOW)
    assert (found is None) == (not pace.limits_claims)
    if found is None:
        return
    assert found.targets == allowed(pace, tries, NOW, 9)
    if found.targets == 0:
        assert pacing.is_full(pace, usage) or pacing.waits_until(pace, usage) is not None
    else:
        assert not pacing.is_full(pace, usage)
        assert pacing.waits_until(pace, usage) is None
    # all that is allowed is taken, and every call ends at once: then one more may be claimed at that instant
    tries = [(at, NOW) for at, _ in tries] + [(NOW, NOW)] * found.targets
    assert found.more_at > NOW
    assert may_claim(pace, tries, found.more_at, 1)
    if most is None:
        assert not may_claim(pace, tries, found.more_at - timedelta(microseconds=1), 1)


@given(rate=st.floats(0.001, 10_000))
def test_a_rate_in_whole_numbers_is_never_faster_than_asked(rate: float) -> None:
    found = pacing.rate(rate)
    assert found == window_of(rate)
    assert found.targets / found.window.total_seconds() <= rate * (1 + 1e-12)


@pytest.mark.parametrize(
    ("seconds", "is_running"), [(-1, False), (0, True), (5, True), (9, True), (10, False), (11, False)]
)
def test_a_list_runs_from_its_start_until_before_its_end(seconds: int, is_running: bool) -> None:
    starts, ends, now = START, START + timedelta(seconds=10), START + timedelta(seconds=seconds)
    assert pacing.is_running(starts, ends, now) is is_running
    assert pacing.is_running(starts, None, now) is (seconds >= 0)
    assert pacing.is_running(None, ends, now) is (seconds < 10)
    assert pacing.is_running(None, None, now) is True
