"""Breakers: whether a list stops by itself because its calls fail. Pure.

Calls are counted in buckets by the time at which they ended, and a bucket counts as long as it is within the window as
a whole. So a call counts for the length of the window, less at most a sixtieth of it.

While a breaker is open nothing is counted: its counts stay those with which it opened. When it closes it begins anew.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from app.lifecycle import (
    LIVE,
    AttemptState,
    Disposition,
    OutdialEventType,
    TargetEventType,
    TargetStatus,
)
from app.pacing import Allowance, Breaker, BreakerState, BreakerStatus

BUCKETS_MAX = 60
"""In a window. A row with them is written each second, so there are not as many as there are seconds in an hour."""
PROBED_SECONDS = 1
"""A claim is asked again so long after one that found the call under way which shows whether calls still fail."""
FAILURES = frozenset({Disposition.FAILED, Disposition.TIMEOUT})
"""An UNCONFIRMED attempt is a failure, too."""
_MS = timedelta(milliseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Call(NamedTuple):
    """A call that has ended."""

    ended_at: datetime
    has_failed: bool


class Bucket(NamedTuple):
    """Calls that ended at about the same time."""

    begins_ms: int
    """Since 1970."""
    calls: int
    failures: int


class Probe(NamedTuple):
    """The call that shows whether calls still fail."""

    is_live: bool
    has_failed: bool | None
    """None: it is not known, or no call was made."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is kept of a breaker."""

    counts_from: datetime
    """Calls that ended earlier do not count."""
    state: BreakerState = BreakerState.CLOSED
    opened_at: datetime | None = None
    """None: it is closed."""
    paused_until: datetime | None = None
    """When a call may be tried, if it is open; None otherwise."""
    probe_id: str | None = None
    """Of that call's attempt, while it is under way; None otherwise."""
    buckets: Sequence[Bucket] = ()


# ---------------------------------------------------------------- calls


def call_of(
    event_type: TargetEventType,
    previous_status: TargetStatus | None,
    disposition: Disposition | None,
    occurred_at: datetime,
) -> Call | None:
    """The call that ended with an event of a target; None if none did.

    A result that comes late is of an attempt that has ended before, and was counted then if it was UNCONFIRMED.
    """
    if event_type is TargetEventType.UNCONFIRMED:
        return Call(occurred_at, has_failed=True)
    if event_type is TargetEventType.COMPLETED and previous_status is TargetStatus.PROGRESSING:
        return Call(occurred_at, has_failed=disposition in FAILURES)
    return None


def probe_of(state: AttemptState, disposition: Disposition | None) -> Probe:
    """What an attempt shows."""
    if state is AttemptState.COMPLETED:
        return Probe(is_live=False, has_failed=disposition in FAILURES)
    if state is AttemptState.UNCONFIRMED:
        return Probe(is_live=False, has_failed=True)
    return Probe(is_live=state in LIVE, has_failed=None)


def counted(judgement: Judgement, breaker: Breaker, calls: Iterable[Call]) -> Judgement:
    """With more calls, in any order."""
    if judgement.state is not BreakerState.CLOSED:
        return judgement
    width_ms = bucket_ms(breaker.window_seconds)
    sums: dict[int, tuple[int, int]] = {}
    for begins_ms, number, failures in judgement.buckets:  # of another width, if the window was changed
        _add(sums, begins_ms // width_ms * width_ms, number, failures)
    for call in calls:
        if call.ended_at >= judgement.counts_from:
            _add(sums, (call.ended_at - _EPOCH) // _MS // width_ms * width_ms, 1, int(call.has_failed))
    return replace(judgement, buckets=[Bucket(begins_ms, *sums[begins_ms]) for begins_ms in sorted(sums)])


def _add(sums: dict[int, tuple[int, int]], begins_ms: int, calls: int, failures: int) -> None:
    before = sums.get(begins_ms, (0, 0))
    sums[begins_ms] = before[0] + calls, before[1] + failures


def bucket_ms(window_seconds: int) -> int:
    """The width of a bucket."""
    return -(-window_seconds * 1_000 // BUCKETS_MAX)


def _within(buckets: Sequence[Bucket], breaker: Breaker, at: datetime) -> list[Bucket]:
    """Those that count at an instant."""
    since_ms = (at - timedelta(seconds=breaker.window_seconds) - _EPOCH) / _MS
    return [bucket for bucket in buckets if bucket.begins_ms >= since_ms]


# ---------------------------------------------------------------- judging


def judged(judgement: Judgement, breaker: Breaker, now: datetime, probe: Probe | None = None) -> Judgement:
    """What follows at an instant.

    Args:
        judgement: with all calls that are known.
        breaker: the policy's.
        now: the instant.
        probe: while it is PROBING, the call that is under way, or has ended.
    """
    if judgement.state is BreakerState.PROBING:
        assert probe is not None
        return _probed(judgement, breaker, now, probe)
    if judgement.state is BreakerState.OPEN:
        return judgement
    kept = replace(judgement, buckets=_within(judgement.buckets, breaker, now))
    calls, failures = _sums(kept.buckets)
    if calls < breaker.min_calls or failures * 100 < breaker.failure_percent * calls:
        return kept
    return replace(
        kept,
        state=BreakerState.OPEN,
        opened_at=now,
        paused_until=now + timedelta(seconds=breaker.pause_seconds),
    )


def _probed(judgement: Judgement, breaker: Breaker, now: datetime, probe: Probe) -> Judgement:
    if probe.is_live:
        return judgement
    if probe.has_failed is False:
        return closed(now)
    # without a call nothing was shown, and another one is let through at once
    pause = timedelta(seconds=breaker.pause_seconds) if probe.has_failed else timedelta(0)
    return replace(judgement, state=BreakerState.OPEN, paused_until=now + pause, probe_id=None)


def closed(now: datetime) -> Judgement:
    """A breaker that begins anew."""
    return Judgement(counts_from=now)


def _sums(buckets: Iterable[Bucket]) -> tuple[int, int]:
    calls = failures = 0
    for bucket in buckets:
        calls += bucket.calls
        failures += bucket.failures
    return calls, failures


def event_of(before: BreakerState, after: BreakerState) -> OutdialEventType | None:
    """The event of a change. A probe that fails opens nothing that was closed."""
    was_closed, is_closed = (state is BreakerState.CLOSED for state in (before, after))
    if was_closed == is_closed:
        return None
    return OutdialEventType.BREAKER_CLOSED if is_closed else OutdialEventType.BREAKER_OPENED


def status_of(judgement: Judgement, breaker: Breaker, now: datetime) -> BreakerStatus:
    """As owners see it at an instant."""
    calls, failures = _sums(_within(judgement.buckets, breaker, judgement.opened_at or now))
    return BreakerStatus(judgement.state, judgement.opened_at, judgement.paused_until, calls, failures)


def settles_at(judgement: Judgement, breaker: Breaker) -> datetime | None:
    """When its calls count no longer. Until then their passing alone may open it. None if that is so already."""
    if judgement.state is not BreakerState.CLOSED or not any(bucket.failures for bucket in judgement.buckets):
        return None
    return _EPOCH + judgement.buckets[-1].begins_ms * _MS + timedelta(seconds=breaker.window_seconds)


# ---------------------------------------------------------------- claims


def allowance(status: BreakerStatus, now: datetime) -> Allowance | None:
    """How many targets may be claimed now; None, which is any number, while it is closed."""
    if status.state is BreakerState.CLOSED:
        return None
    if status.paused_until is not None and now < status.paused_until:
        return Allowance(0, status.paused_until)
    is_free = status.state is BreakerState.OPEN
    return Allowance(int(is_free), now + timedelta(seconds=PROBED_SECONDS))
