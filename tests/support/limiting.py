"""Limiters of one process, and what stands in for their clock and their rows."""

import asyncio
from typing import Any

import pytest

from app import clock, db
from app.rates import Limiter, stored
from app.rates.bucket import Bucket, Rule
from app.settings import Settings

RULE = Rule(per_second=100, burst=3_000)
ALICE, BOB = "018f0000-0000-7000-8000-00000000000a", "018f0000-0000-7000-8000-00000000000b"


async def row_of(customer_id: str) -> int | None:
    found = await db.fetch("SELECT points FROM rate_limit WHERE customer_id = $1", customer_id)
    return found[0]["points"] if found else None


def limits_of(per_second: int, burst: int) -> Settings:
    return Settings.model_construct(rate_points_per_second=per_second, rate_points_burst=burst)


class Clock:
    """The process's own clock, which only tests move."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def monotonic(self) -> float:
        return self.now


def at_once(work: Any) -> None:
    """Run a coroutine that must not wait."""
    with pytest.raises(StopIteration):
        work.send(None)


async def settled(of: Limiter) -> None:
    for account in list(of._accounts.values()):
        if account.settling is not None:
            await account.settling


class Rows:
    """Stands in for the rows: `stored.charge` without a database."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, own: Clock) -> None:
        self.buckets: dict[str, Bucket] = {}
        self.charges = 0
        self.error: Exception | None = None
        self._own = own
        monkeypatch.setattr(stored, "charge", self.charge)

    async def charge(self, customer_id: str, spent: int, rule: Rule) -> Any:
        self.charges += 1
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error
        bucket = self.buckets.setdefault(customer_id, Bucket(rule.burst, self._own.now))
        bucket.fill(rule, self._own.now)
        bucket.points -= spent
        return bucket.points, clock.now()


async def spend(of: Limiter, points: int, *, each: int = 50, customer: str = ALICE) -> None:
    for _ in range(points // each):
        await of.admit(customer, each)
