"""A bucket of points: it fills at a constant rate until it is full, and work takes from it. Pure."""

import math
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

SHARE_SECONDS = 1
SHARES_MAX = 20
"""A bucket is no more than so many shares: if it fills slowly, a share is more than what comes in SHARE_SECONDS."""
CLAIMS_PART = 10
"""Claims may take a tenth of a bucket more than there is."""


class Kind(StrEnum):
    """What work is, for its customer's rate limit."""

    OPERATION = "operation"
    CLAIM = "claim"
    """It may overdraw the bucket a little: a customer's dialers go on while its reads take everything else."""
    REPORT = "report"
    """Of a dialer. It is never refused: a lease or a result would be lost."""


@dataclass(frozen=True)
class Rule:
    """How a bucket fills."""

    per_second: int
    """Points, at least 1."""
    burst: int
    """Points of a full one."""

    @cached_property
    def share(self) -> int:
        """What a process may let a customer spend until it has charged the customer's row."""
        return max(self.per_second * SHARE_SECONDS, self.burst // SHARES_MAX)

    @cached_property
    def fill_seconds(self) -> int:
        """From empty to full, at least 1."""
        return math.ceil(self.burst / self.per_second)

    def floor(self, kind: Kind) -> int:
        """What work of that kind may leave in the bucket, at least."""
        return 0 if kind is Kind.OPERATION else -(self.burst // CLAIMS_PART)


@dataclass(slots=True)
class Bucket:
    """The points at some time of a clock, in seconds."""

    points: float
    """Below 0 if it is overdrawn."""
    at: float

    def fill(self, rule: Rule, now: float) -> None:
        """Let it fill until now. If the clock was set back, nothing is lost, and nothing comes twice."""
        self.points = min(rule.burst, self.points + rule.per_second * max(0.0, now - self.at))
        self.at = now

    def take(self, rule: Rule, now: float, cost: int, kind: Kind) -> float:
        """Take points for work, if there are enough. Not for reports.

        Returns:
            0 if they are taken; if not, the seconds until there are enough.
        """
        self.fill(rule, now)
        left = self.points - cost - rule.floor(kind)
        if left < 0:
            return -left / rule.per_second
        self.points -= cost
        return 0.0

    def charge(self, rule: Rule, now: float, cost: int) -> int:
        """Take points for what is done anyway. Returns how many: none if a whole bucket is owed already."""
        self.fill(rule, now)
        if self.points <= -rule.burst:
            return 0
        self.points -= cost
        return cost
