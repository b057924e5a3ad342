"""Pace: how fast a list is called, and when it stops by itself because calls fail. Pure."""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

FULL_SECONDS = 1
"""After so long a dialer asks again if all attempts that the pace allows are open: nobody knows when a call ends."""


class BreakerState(StrEnum):
    CLOSED = "CLOSED"
    OPEN = "OPEN"
    PROBING = "PROBING"


@dataclass(frozen=True, slots=True)
class Breaker:
    """Stops the claims of a list if too many of its calls fail."""

    failure_percent: int
    window_seconds: int
    min_calls: int
    pause_seconds: int


@dataclass(frozen=True, slots=True)
class Pacing:
    """None: without bound."""

    max_open_attempts: int | None = None
    claims_per_second: float | None = None
    breaker: Breaker | None = None

    @property
    def limits_claims(self) -> bool:
        """Whether a claim has to count."""
        return self.max_open_attempts is not None or self.claims_per_second is not None


@dataclass(frozen=True, slots=True)
class BreakerStatus:
    state: BreakerState = BreakerState.CLOSED
    opened_at: datetime | None = None
    """None: it is closed."""
    paused_until: datetime | None = None
    """When a call is tried again; None if it is closed or that call is under way."""
    calls: int = 0
    """That ended in its window, when it was last judged."""
    failures: int = 0


# ---------------------------------------------------------------- from when to when


def is_running(starts_at: datetime | None, ends_at: datetime | None, now: datetime) -> bool:
    """Whether an instant is between the start of a list and its end. The start belongs to it, the end does not."""
    return (starts_at is None or starts_at <= now) and (ends_at is None or now < ends_at)


# ---------------------------------------------------------------- how many


class Rate(NamedTuple):
    """At most so many claims in any time of this length."""

    targets: int
    window: timedelta


def rate(claims_per_second: float) -> Rate:
    """The rate in whole numbers: of 2.5 in a second two, of 0.3 one in 3.334 seconds. It is never faster than asked."""
    if claims_per_second >= 1:
        return Rate(math.floor(claims_per_second), timedelta(seconds=1))
    return Rate(1, timedelta(milliseconds=math.ceil(1_000 / claims_per_second)))


@dataclass(frozen=True, slots=True)
class Usage:
    """What a list has taken of its pace."""

    open_attempts: int = 0
    """In progress."""
    claims: int = 0
    """In the window of its rate that ends now, at most as many as the rate allows: the latest ones."""
    oldest_at: datetime | None = None
    """When the first of these was made."""


@dataclass(frozen=True, slots=True)
class Allowance:
    targets: int
    """So many may be claimed now."""
    more_at: datetime
    """When another one may be, after these."""


def allowance(pacing: Pacing, usage: Usage, now: datetime) -> Allowance | None:
    """How many targets may be claimed now; None if there is no limit."""
    limits: list[tuple[int, datetime]] = []
    if pacing.max_open_attempts is not None:
        left = max(pacing.max_open_attempts - usage.open_attempts, 0)
        limits.append((left, now + timedelta(seconds=FULL_SECONDS)))
    if pacing.claims_per_second is not None:
        most = rate(pacing.claims_per_second)
        limits.append((max(most.targets - usage.claims, 0), (usage.oldest_at or now) + most.window))
    if not limits:
        return None
    targets = min(left for left, _ in limits)
    return Allowance(targets, max(more_at for left, more_at in limits if left == targets))


def least(*allowances: Allowance | None) -> Allowance | None:
    """What all of them allow; None if there is no limit."""
    limits = [one for one in allowances if one is not None]
    if not limits:
        return None
    targets = min(one.targets for one in limits)
    return Allowance(targets, max(one.more_at for one in limits if one.targets == targets))


def is_full(pacing: Pacing, usage: Usage) -> bool:
    """Whether all attempts that the pace allows are in progress. Nobody knows when that ends."""
    return pacing.max_open_attempts is not None and usage.open_attempts >= pacing.max_open_attempts


def waits_until(pacing: Pacing, usage: Usage) -> datetime | None:
    """When the rate lets another target be claimed; None if it does now."""
    if pacing.claims_per_second is None or usage.oldest_at is None:
        return None
    most = rate(pacing.claims_per_second)
    return usage.oldest_at + most.window if usage.claims >= most.targets else None
