"""What a customer reads about its limit: how much remains, and when the bucket is full."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from app import clock
from app.rates import Limiter, stored
from app.rates.bucket import Rule
from tests.support.limiting import ALICE, Clock, Rows, settled, spend


async def test_a_new_limit_counts_from_now_on(limited: Callable[..., None], own: Clock, rows: Rows) -> None:
    one = Limiter()
    await spend(one, 3_000)
    limited(200, 2_500)
    own.now += 10
    assert one.state(ALICE).remaining == 2_000
    own.now += 10
    assert one.state(ALICE).remaining == 2_500


async def test_headers_say_how_much_remains(limited: Callable[..., None], own: Clock, rows: Rows) -> None:
    limited(300, 3_000)
    one = Limiter()
    assert one.headers(ALICE) == {"RateLimit-Policy": '"points";q=3000;w=10', "RateLimit": '"points";r=3000;t=0'}
    await one.admit(ALICE, 7)
    assert one.headers(ALICE)["RateLimit"] == '"points";r=2993;t=1'
    before = clock.now()
    state = one.state(ALICE)
    assert (state.limit, state.remaining) == (3_000, 2_993)
    assert 7 / 300 - 0.001 <= (state.reset_at - before).total_seconds() < 5


async def test_the_reset_is_told_by_the_databases_clock(
    limited: Callable[..., None], own: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    ahead = timedelta(hours=2)

    async def charge(_customer: str, spent: int, rule: Rule) -> Any:
        return rule.burst - spent, clock.now() + ahead

    monkeypatch.setattr(stored, "charge", charge)
    one = Limiter()
    await one.admit(ALICE, 100)
    await settled(one)
    left = one.state(ALICE).reset_at - clock.now()
    assert timedelta(hours=1, minutes=59) < left < timedelta(hours=2, minutes=1)
