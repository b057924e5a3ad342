"""A process's clock, its limits, and rows without a database."""

from collections.abc import Callable

import pytest

from app import bounds
from app.rates import limiter
from tests.support.limiting import Clock, Rows, limits_of


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> Clock:
    own = Clock()
    monkeypatch.setattr(limiter.time, "monotonic", own.monotonic)
    return own


@pytest.fixture
def limited(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, int], None]:
    def be(per_second: int, burst: int) -> None:
        monkeypatch.setattr(bounds, "_settings", limits_of(per_second, burst))

    be(100, 3_000)
    return be


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch, own: Clock) -> Rows:
    return Rows(monkeypatch, own)
