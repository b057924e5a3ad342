"""A database that is away, slow or locked refuses nobody and delays nobody for long."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from app import clock
from app.errors import RateLimited, Unavailable
from app.rates import Limiter, limiter, stored
from app.rates.bucket import Rule
from tests.support.limiting import ALICE, Clock, Rows, at_once, settled, spend


async def test_while_the_database_is_away_nobody_is_refused(
    limited: Callable[..., None], own: Clock, rows: Rows
) -> None:
    one = Limiter()
    rows.error = Unavailable("The database is away.")
    for _ in range(200):
        await one.admit(ALICE, 50)
        await asyncio.sleep(0)
    asked = rows.charges
    assert asked <= 2
    own.now += 1.1
    at_once(one.admit(ALICE, 50))  # it is asked again, and nobody waits for it
    await settled(one)
    assert rows.charges == asked + 1
    rows.error = None
    own.now += 1.1
    at_once(one.admit(ALICE, 50))
    await settled(one)
    assert rows.charges == asked + 2
    # what passed meanwhile is nobody's debt
    assert one.state(ALICE).remaining >= 2_700
    await spend(one, 2_700)
    with pytest.raises(RateLimited):
        await spend(one, 300)


async def test_a_fault_of_the_limiter_is_in_the_log_and_refuses_nobody(
    limited: Callable[..., None], own: Clock, rows: Rows, capsys: pytest.CaptureFixture[str]
) -> None:
    one = Limiter()
    rows.error = ValueError("a bug")
    for _ in range(100):
        await one.admit(ALICE, 50)
        await asyncio.sleep(0)
    assert "rate_limit_not_charged" in "".join(capsys.readouterr())


async def test_few_rows_are_charged_at_a_time(limited: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock on the table holds few of the connections that are nobody's."""
    going, most = 0, 0
    locked = asyncio.Event()

    async def charge(_customer: str, spent: int, rule: Rule) -> Any:
        nonlocal going, most
        going += 1
        most = max(most, going)
        await locked.wait()
        going -= 1
        return rule.burst - spent, clock.now()

    monkeypatch.setattr(stored, "charge", charge)
    one = Limiter()
    for customer in range(20):
        at_once(one.admit(f"customer {customer}", 100))
    await asyncio.sleep(0)
    assert going == limiter.CHARGES_MAX
    locked.set()
    await settled(one)
    assert most == limiter.CHARGES_MAX
    assert {one.state(f"customer {customer}").remaining for customer in range(20)} == {2_900}


async def test_a_database_that_is_slow_delays_nobody_for_long(
    limited: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = asyncio.Event()

    async def never(*_: object) -> Any:
        asked.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(stored, "charge", never)
    monkeypatch.setattr(limiter, "CHARGE_SECONDS_MAX", 0.05)
    one = Limiter()
    await asyncio.wait_for(asyncio.gather(*(one.admit(ALICE, 50) for _ in range(100))), 10)
    assert asked.is_set()
    at_once(one.admit(ALICE, 50))
    monkeypatch.setattr(limiter, "CLOSE_SECONDS_MAX", 0.05)
    await asyncio.wait_for(one.close(), 10)
