"""Connections that are kept at hand between two statements: only sound ones, and never from somebody who waits."""

import asyncio

import pytest

from app.db import keeping
from app.db.keeping import Keeping, Kept


class Connection:
    """As much of asyncpg's as is looked at."""

    def __init__(self) -> None:
        self._con: object | None = self
        self.closed = False
        self.in_transaction = False

    def is_closed(self) -> bool:
        return self.closed

    def is_in_transaction(self) -> bool:
        return self.in_transaction


@pytest.fixture
def given_back() -> list[str]:
    return []


@pytest.fixture
def gone() -> asyncio.Event:
    """Set when one was given back."""
    return asyncio.Event()


@pytest.fixture
def kept(given_back: list[str], gone: asyncio.Event) -> Keeping:
    async def give_back(wrapper: str) -> None:
        given_back.append(wrapper)
        gone.set()

    return Keeping(give_back)


def taken(kept: Keeping, name: str = "one") -> Kept:
    return kept.taken(Connection(), name)


async def test_the_next_statement_gets_the_connection_that_was_used_last(kept: Keeping) -> None:
    first, second = taken(kept, "first"), taken(kept, "second")
    assert kept.keep(first)
    assert kept.keep(second)
    assert [kept.take(), kept.take(), kept.take()] == [second, first, None]
    await kept.close()


async def test_none_is_kept_while_somebody_waits_for_the_pool(kept: Keeping) -> None:
    with kept.wanted():
        assert not kept.keep(taken(kept))
    assert kept.keep(taken(kept))
    await kept.close()


async def test_none_is_kept_in_a_transaction_or_closed_or_after_many_uses(kept: Keeping) -> None:
    in_transaction, closed, released = taken(kept), taken(kept), taken(kept)
    in_transaction.connection.in_transaction = True
    closed.connection.closed = True
    released.connection._con = None
    assert not any(map(kept.keep, (in_transaction, closed, released)))
    used = taken(kept)
    uses = 0
    while kept.keep(used):
        assert kept.take() is used
        uses += 1
    assert uses == keeping.USES_MAX - 1


async def test_one_that_the_server_closes_meanwhile_is_not_used(kept: Keeping, given_back: list[str]) -> None:
    first, second = taken(kept, "first"), taken(kept, "second")
    assert kept.keep(first)
    assert kept.keep(second)
    second.connection.closed = True
    assert kept.take() is first
    await kept.close()
    assert given_back == ["second"]


async def test_none_outlives_a_renewal(kept: Keeping, given_back: list[str]) -> None:
    resting, in_use = taken(kept, "resting"), taken(kept, "in use")
    assert kept.keep(resting)
    kept.renew()
    assert kept.take() is None
    assert not kept.keep(in_use)
    assert kept.keep(taken(kept, "new"))
    await kept.close()
    assert given_back == ["resting", "new"]


async def test_one_that_is_not_used_goes_back(
    kept: Keeping, gone: asyncio.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "REST_SECONDS", 0.01)
    assert kept.keep(taken(kept))
    async with asyncio.timeout(30):
        await gone.wait()
    assert kept.take() is None
