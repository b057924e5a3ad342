"""What all processes together let pass: the row of a customer, and limiters that share it."""

import asyncio
import random
from collections.abc import Callable
from datetime import timedelta

import pytest

from app import bounds, clock, rates
from app.errors import RateLimited
from app.rates import Limiter, stored
from app.rates.bucket import Bucket, Rule
from tests.support.limiting import ALICE, BOB, RULE, Clock, Rows, limits_of, row_of, settled


async def test_the_row_follows_the_same_rule(database: str) -> None:
    draw = random.Random(5)
    model = None
    for _ in range(12):
        clock.shift += timedelta(seconds=draw.choice([0, 3, 40, -3_600]))
        spent = draw.randint(1, 1_500)
        left, now = await stored.charge(ALICE, spent, RULE)
        if model is None:
            model = Bucket(RULE.burst, now.timestamp())
        model.fill(RULE, now.timestamp())
        model.points = round(model.points) - spent
        assert left == model.points == await row_of(ALICE)


async def test_what_is_spent_at_the_same_time_is_all_charged(database: str) -> None:
    slow = Rule(1, 100_000)
    await asyncio.gather(*(stored.charge(ALICE, 1_000, slow) for _ in range(20)))
    points = await row_of(ALICE)
    assert points is not None
    assert 80_000 <= points <= 80_100  # it fills meanwhile


async def test_rows_of_full_buckets_are_removed(database: str) -> None:
    await stored.charge(ALICE, 10, RULE)
    await stored.charge(BOB, 10, RULE)
    assert await rates.prune(limit=10) == 0
    clock.shift += timedelta(seconds=stored.PRUNED_AGE_SECONDS_MIN - 10)
    await stored.charge(BOB, 10, RULE)
    assert await rates.prune(limit=10) == 0
    clock.shift += timedelta(seconds=20)
    assert await rates.prune(limit=10) == 1
    assert await row_of(ALICE) is None
    assert await row_of(BOB) == RULE.burst - 10


async def test_no_row_is_removed_before_its_bucket_is_full(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "_settings", limits_of(1, 20_000))
    await stored.charge(ALICE, 50_000, Rule(1, 20_000))
    clock.shift += timedelta(seconds=49_000)
    assert await rates.prune(limit=10) == 0


async def test_all_processes_together_keep_the_limit(limited: Callable[..., None], own: Clock, rows: Rows) -> None:
    """But for a share of each."""
    processes = [Limiter() for _ in range(4)]
    draw, passed = random.Random(7), 0
    for _ in range(3_000):
        own.now += 0.01
        cost = draw.randint(1, 40)
        try:
            await draw.choice(processes).admit(ALICE, cost)
        except RateLimited:
            pass
        else:
            passed += cost
        assert passed <= RULE.burst + 100 * (own.now - 1_000) + 4 * RULE.share
    assert passed >= RULE.burst + 100 * (own.now - 1_000) - 4 * RULE.share


async def test_two_processes_with_one_database_keep_the_limit(
    database: str, limited: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    limited(1, 3_000)
    processes, passed = [Limiter(), Limiter()], 0

    async def ask(of: Limiter) -> None:
        nonlocal passed
        for _ in range(100):
            try:
                await of.admit(ALICE, 30)
            except RateLimited:
                pass
            else:
                passed += 30
            await asyncio.sleep(0)

    began = asyncio.get_running_loop().time()
    await asyncio.gather(*(ask(of) for of in processes))
    for of in processes:
        await settled(of)
    seconds = asyncio.get_running_loop().time() - began
    assert 3_000 - 30 <= passed <= 3_000 + seconds + 2 * 150
    # a new process knows it as soon as half a share is spent there
    third = Limiter()
    for _ in range(3):
        await third.admit(ALICE, 30)
    await settled(third)
    with pytest.raises(RateLimited):
        await third.admit(ALICE, 30)


async def test_what_was_spent_is_known_after_a_restart(database: str, limited: Callable[..., None]) -> None:
    limited(1, 3_000)
    one = Limiter()
    await one.admit(ALICE, 70)
    assert await row_of(ALICE) is None
    await one.close()
    assert await row_of(ALICE) == 2_930
    little = Limiter()
    await little.admit(BOB, 10)
    await little.close()
    assert await row_of(BOB) is None
