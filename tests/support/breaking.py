"""A slow model of a breaker: it keeps every call with its time, and looks at each of them again each time."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from app.lifecycle import AttemptState, Disposition
from app.pacing import Breaker, BreakerState, BreakerStatus
from tests.support.model import ModelAttempt

SLACK = timedelta(seconds=8)
"""So much later than the model knows a call may have ended: nobody but the database knows the microsecond."""
FAILING = {Disposition.FAILED, Disposition.TIMEOUT}


@dataclass
class ModelBreaker:
    """Of an outdial's policy."""

    policy: Breaker | None = None
    state: BreakerState = BreakerState.CLOSED
    opened: datetime | None = None
    paused_until: datetime | None = None
    probe: ModelAttempt | None = None
    calls: list[tuple[datetime, bool]] = field(default_factory=list)
    """When each ended, and whether it failed, since the breaker was closed."""
    kept_from: datetime | None = None
    """Calls that ended before may be forgotten."""
    changes: int = 0
    """How often it has opened or closed."""

    # ------------------------------------------------------------ what happens

    def ended(self, at: datetime, *, has_failed: bool) -> None:
        if self.policy is not None and self.state is BreakerState.CLOSED:
            self.calls.append((at, has_failed))

    def set_policy(self, policy: Breaker | None, now: datetime) -> None:
        if policy is None:
            self.close()
        elif self.policy is not None:
            # what counts no longer may be forgotten, so a longer window may not find it again
            counting = now - timedelta(seconds=self.policy.window_seconds) * 59 / 60 + SLACK
            self.kept_from = counting if self.kept_from is None else max(counting, self.kept_from)
        self.policy = policy

    def close(self) -> None:
        if self.state is not BreakerState.CLOSED:
            self.changes += 1
            self.calls = []
        if self.policy is None:
            self.calls = []
        self.state, self.opened, self.paused_until, self.probe = BreakerState.CLOSED, None, None, None

    def begin(self, attempt: ModelAttempt) -> None:
        """A target was claimed while it was open."""
        assert self.state is BreakerState.OPEN
        self.state, self.paused_until, self.probe = BreakerState.PROBING, None, attempt

    # ------------------------------------------------------------ what is allowed

    def is_over(self, at: datetime) -> bool:
        return self.paused_until is not None and at >= self.paused_until

    def allowed(self, at: datetime, wanted: int) -> int:
        if self.state is BreakerState.CLOSED:
            return wanted
        return min(wanted, int(self.is_over(at)))

    # ------------------------------------------------------------ what it is judged to be

    def judge(self, found: BreakerStatus, now: datetime) -> None:
        """Follow what was judged, if it is one of those that can be."""
        if self.policy is None:
            assert found == BreakerStatus()
            return
        if self.probe is not None:
            self._follow_probe(self.probe, self.policy, now)
        elif self.state is BreakerState.CLOSED:
            assert (found.state is BreakerState.OPEN) in set(self._opens(self.policy, now))
            if found.state is BreakerState.OPEN:
                self._open(found, self.policy, now)
        assert found.state is self.state
        if self.state is BreakerState.OPEN:
            assert found.paused_until is not None
            assert self.paused_until is not None
            assert abs(found.paused_until - self.paused_until) < SLACK
            self.paused_until = found.paused_until
        assert found.opened_at == self.opened

    def _open(self, found: BreakerStatus, policy: Breaker, now: datetime) -> None:
        assert found.opened_at is not None
        assert found.calls >= policy.min_calls
        assert abs(found.opened_at - now) < SLACK
        self.state, self.opened = BreakerState.OPEN, found.opened_at
        self.paused_until = found.opened_at + timedelta(seconds=policy.pause_seconds)
        self.changes += 1

    def _opens(self, policy: Breaker, now: datetime) -> Iterator[bool]:
        """Whether it opens, for each number of the oldest calls that may count no longer."""
        window = timedelta(seconds=policy.window_seconds)
        since = now - window * 59 / 60 + SLACK
        if self.kept_from is not None:
            since = max(since, self.kept_from)
        surely = [call for call in self.calls if call[0] > since]
        perhaps = [call for call in self.calls if call[0] >= now - window - SLACK]
        for first in range(len(perhaps) - len(surely) + 1):
            counted = perhaps[first:]
            failures = sum(has_failed for _, has_failed in counted)
            yield len(counted) >= policy.min_calls and failures * 100 >= policy.failure_percent * len(counted)

    def _follow_probe(self, probe: ModelAttempt, policy: Breaker, now: datetime) -> None:
        if probe.state in {AttemptState.CLAIMED, AttemptState.DIALING}:
            return
        if probe.state is AttemptState.COMPLETED and probe.disposition not in FAILING:
            self.close()
            return
        has_called = probe.state in {AttemptState.COMPLETED, AttemptState.UNCONFIRMED}
        self.state, self.probe = BreakerState.OPEN, None
        self.paused_until = now + timedelta(seconds=policy.pause_seconds if has_called else 0)
