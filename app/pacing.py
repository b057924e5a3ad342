"""Pace: how fast a list is called, and when it stops by itself because calls fail. Pure."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


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
