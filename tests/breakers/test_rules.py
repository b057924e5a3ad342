"""The rule of breakers, against a slow model that keeps every call with its time."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import breakers
from app.breakers import BUCKETS_MAX, Call, Judgement, Probe
from app.lifecycle import AttemptState, Disposition, OutdialEventType, TargetEventType, TargetStatus
from app.pacing import Allowance, Breaker, BreakerState, BreakerStatus

START = datetime(2026, 5, 4, 9, 30, tzinfo=UTC)
FAILING = {Disposition.FAILED, Disposition.TIMEOUT}
policies = st.builds(
    Breaker,
    failure_percent=st.integers(1, 100),
    window_seconds=st.integers(1, 3_600),
    min_calls=st.integers(1, 12),
    pause_seconds=st.integers(1, 600),
)


@dataclass
class Model:
    """Keeps all calls, and looks at each of them again each time."""

    breaker: Breaker
    now: datetime = START
    state: str = "CLOSED"
    calls: list[Call] = field(default_factory=list)
    counts_from: datetime = START
    opened_at: datetime | None = None
    paused_until: datetime | None = None

    def counting(self) -> list[Call]:
        """Those whose sixtieth of the window is within the window as a whole."""
        width = timedelta(milliseconds=breakers.bucket_ms(self.breaker.window_seconds))
        at = self.opened_at or self.now
        since = at - timedelta(seconds=self.breaker.window_seconds)
        origin = datetime(1970, 1, 1, tzinfo=UTC)
        return [
            call for call in self.calls
            if call.ended_at >= self.counts_from and origin + (call.ended_at - origin) // width * width >= since
        ]  # fmt: skip

    def judge(self, probe: Probe | None) -> None:
        if self.state == "CLOSED":
            calls = self.counting()
            failures = sum(call.has_failed for call in calls)
            if len(calls) >= self.breaker.min_calls and failures / len(calls) >= self.breaker.failure_percent / 100:
                self.state, self.opened_at = "OPEN", self.now
                self.paused_until = self.now + timedelta(seconds=self.breaker.pause_seconds)
        elif self.state == "PROBING" and probe is not None and not probe.is_live:
            if probe.has_failed is False:
                self.state, self.opened_at, self.calls, self.counts_from = "CLOSED", None, [], self.now
            else:
                self.state = "OPEN"
                pause = self.breaker.pause_seconds if probe.has_failed else 0
                self.paused_until = self.now + timedelta(seconds=pause)

    def status(self) -> BreakerStatus:
        calls = self.counting()
        paused_until = self.paused_until if self.state == "OPEN" else None
        failures = sum(call.has_failed for call in calls)
        return BreakerStatus(BreakerState(self.state), self.opened_at, paused_until, len(calls), failures)


steps = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.2, 1.0, 1.1, 7.0, 61.0]),
        st.lists(st.tuples(st.floats(0, 2), st.booleans()), max_size=5),
        st.sampled_from([Probe(True, None), Probe(False, None), Probe(False, True), Probe(False, False)]),
        st.booleans(),
    ),
    max_size=30,
)


@given(policies, steps)
def test_a_breaker_is_judged_as_if_all_calls_were_looked_at(breaker: Breaker, steps: list) -> None:
    model, kept = Model(breaker), breakers.closed(START)
    for seconds, ended, probe, claims in steps:
        model.now += timedelta(seconds=seconds)
        calls = [Call(model.now - timedelta(seconds=ago), has_failed) for ago, has_failed in ended]
        if model.state == "CLOSED":
            model.calls += calls
        kept = breakers.counted(kept, breaker, calls)
        before, was_closed = kept.state, model.state == "CLOSED"
        kept = breakers.judged(kept, breaker, model.now, probe)
        model.judge(probe)
        assert breakers.status_of(kept, breaker, model.now) == model.status()
        opened = was_closed and model.state != "CLOSED"
        shut = not was_closed and model.state == "CLOSED"
        told = {True: OutdialEventType.BREAKER_OPENED}.get(opened) or {True: OutdialEventType.BREAKER_CLOSED}.get(shut)
        assert breakers.event_of(before, kept.state) is told
        allowance = breakers.allowance(breakers.status_of(kept, breaker, model.now), model.now)
        allowed = None if allowance is None else allowance.targets
        over = model.state == "OPEN" and model.paused_until is not None and model.now >= model.paused_until
        assert allowed == (None if model.state == "CLOSED" else 1 if over else 0)
        if claims and allowed == 1:
            model.state = "PROBING"
            kept = replace(kept, state=BreakerState.PROBING, paused_until=None, probe_id="probe")
        assert len(kept.buckets) <= BUCKETS_MAX + 2 + 3  # calls that ended up to two seconds ago, and one bucket cut


@pytest.mark.slow
@given(policies, st.lists(st.tuples(st.floats(0, 5_000), st.booleans()), max_size=60))
def test_a_breaker_never_opens_on_fewer_calls_than_its_least_number(breaker: Breaker, ended: list) -> None:
    calls = [Call(START + timedelta(seconds=after), has_failed) for after, has_failed in ended]
    now = START + timedelta(seconds=5_000)
    kept = breakers.judged(breakers.counted(breakers.closed(START), breaker, calls), breaker, now)
    whole, short = (timedelta(seconds=breaker.window_seconds * share) for share in (1, 1 - 1 / BUCKETS_MAX))
    within = [call for call in calls if call.ended_at >= now - whole]
    surely = [call for call in calls if call.ended_at >= now - short + timedelta(milliseconds=1)]
    if kept.state is BreakerState.OPEN:
        assert len(within) >= breaker.min_calls
    counted = breakers.status_of(kept, breaker, now)
    assert len(surely) <= counted.calls <= len(within)
    assert sum(call.has_failed for call in surely) <= counted.failures <= sum(call.has_failed for call in within)


@given(policies, st.lists(st.tuples(st.floats(0, 100), st.booleans()), max_size=30), st.randoms())
def test_calls_may_be_counted_in_any_order_and_in_parts(breaker: Breaker, ended: list, random) -> None:
    calls = [Call(START + timedelta(seconds=after), has_failed) for after, has_failed in ended]
    at_once = breakers.counted(breakers.closed(START), breaker, calls)
    random.shuffle(calls)
    cut = random.randint(0, len(calls))
    parts = breakers.counted(breakers.counted(breakers.closed(START), breaker, calls[:cut]), breaker, calls[cut:])
    assert parts == at_once


@given(policies, policies, st.lists(st.floats(0, 3_600), max_size=200))
def test_a_window_that_is_changed_keeps_its_calls_in_few_buckets(old: Breaker, new: Breaker, ended: list) -> None:
    calls = [Call(START + timedelta(seconds=after), has_failed=True) for after in ended]
    kept = breakers.counted(breakers.counted(breakers.closed(START), old, calls), new, [])
    assert sum(bucket.calls for bucket in kept.buckets) == len(calls)
    width_ms = breakers.bucket_ms(new.window_seconds)
    assert all(bucket.begins_ms % width_ms == 0 for bucket in kept.buckets)
    never = replace(new, min_calls=10**6)
    assert len(breakers.judged(kept, never, START + timedelta(hours=1)).buckets) <= BUCKETS_MAX + 1


@given(policies, st.lists(st.tuples(st.floats(0, 50), st.booleans()), max_size=20))
def test_once_its_calls_have_settled_time_alone_opens_no_breaker(breaker: Breaker, ended: list) -> None:
    calls = [Call(START + timedelta(seconds=after), has_failed) for after, has_failed in ended]
    now = START + timedelta(seconds=50)
    kept = breakers.judged(breakers.counted(breakers.closed(START), breaker, calls), breaker, now)
    if kept.state is not BreakerState.CLOSED:
        assert breakers.settles_at(kept, breaker) is None
        return
    settled = breakers.settles_at(kept, breaker) or now
    for later in (timedelta(milliseconds=1), timedelta(hours=2)):
        later_on = breakers.judged(kept, breaker, max(settled, now) + later)
        assert later_on.state is BreakerState.CLOSED


def test_only_what_failed_counts_as_a_failure() -> None:
    for disposition in Disposition:
        call = breakers.call_of(TargetEventType.COMPLETED, TargetStatus.PROGRESSING, disposition, START)
        assert call == Call(START, has_failed=disposition in FAILING), disposition
    unconfirmed = breakers.call_of(TargetEventType.UNCONFIRMED, TargetStatus.PROGRESSING, None, START)
    assert unconfirmed == Call(START, has_failed=True)


def test_late_results_and_what_is_no_call_do_not_count() -> None:
    for status in (TargetStatus.IDLE, TargetStatus.DONE):
        assert breakers.call_of(TargetEventType.COMPLETED, status, Disposition.FAILED, START) is None
    for event_type in TargetEventType:
        if event_type not in {TargetEventType.COMPLETED, TargetEventType.UNCONFIRMED}:
            assert breakers.call_of(event_type, TargetStatus.PROGRESSING, None, START) is None, event_type


def test_a_probe_shows_something_only_if_a_call_was_made() -> None:
    shown = {state: breakers.probe_of(state, None) for state in AttemptState if state is not AttemptState.COMPLETED}
    assert shown == {
        AttemptState.CLAIMED: Probe(True, None),
        AttemptState.DIALING: Probe(True, None),
        AttemptState.RELEASED: Probe(False, None),
        AttemptState.EXPIRED: Probe(False, None),
        AttemptState.REVOKED: Probe(False, None),
        AttemptState.UNCONFIRMED: Probe(False, True),
    }
    for disposition in Disposition:
        probe = breakers.probe_of(AttemptState.COMPLETED, disposition)
        assert probe == Probe(False, disposition in FAILING), disposition


def test_a_claim_is_asked_again_when_the_pause_ends_or_a_second_later() -> None:
    soon, later = START + timedelta(seconds=1), START + timedelta(seconds=30)
    assert breakers.allowance(BreakerStatus(), START) is None
    assert breakers.allowance(BreakerStatus(BreakerState.OPEN, START, later), START) == Allowance(0, later)
    assert breakers.allowance(BreakerStatus(BreakerState.OPEN, START, START), START) == Allowance(1, soon)
    assert breakers.allowance(BreakerStatus(BreakerState.PROBING, START), START) == Allowance(0, soon)


def test_while_it_is_open_its_counts_stay_those_with_which_it_opened() -> None:
    breaker = Breaker(50, 60, 2, 10)
    calls = [Call(START, has_failed=True)] * 3
    opened = breakers.judged(breakers.counted(breakers.closed(START), breaker, calls), breaker, START)
    more = breakers.counted(opened, breaker, [Call(START, has_failed=False)] * 9)
    status = breakers.status_of(more, breaker, START + timedelta(hours=1))
    assert (status.state, status.calls, status.failures) == (BreakerState.OPEN, 3, 3)
    assert isinstance(more, Judgement)
