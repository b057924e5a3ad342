"""Reads whose caller has left: they end, and delay nobody."""

import asyncio
import sqlite3
import time
from uuid import uuid4

import asyncpg
import pytest

from app import db
from app.errors import LimitExceeded
from tests.support.failing import SLOW


async def leave(how: str) -> None:
    if how == "bound":
        with pytest.raises(LimitExceeded):
            await db.fetch_within(0.3, SLOW)
        return
    read = asyncio.create_task(db.fetch(SLOW) if how == "page" else db.fetch_within(60, SLOW))
    await asyncio.sleep(0.3)
    read.cancel()
    if how == "twice":
        await asyncio.sleep(0)
        read.cancel()
    with pytest.raises(asyncio.CancelledError):
        await read


@pytest.mark.parametrize("how", ["count", "twice", "page", "bound"])
async def test_a_read_whose_caller_left_does_not_delay_the_next(database: str, how: str) -> None:
    for _ in range(3):
        began = time.monotonic()
        await leave(how)
        assert await db.fetch_within(10, "SELECT 1 AS one")
        assert time.monotonic() - began < 20


async def test_the_bound_of_a_count_includes_the_wait_for_its_turn(on_file: str) -> None:
    slow = asyncio.create_task(db.fetch(SLOW))
    await asyncio.sleep(0)
    began = time.monotonic()
    with pytest.raises(LimitExceeded):
        await db.fetch_within(0.3, "SELECT 1 AS one")
    assert time.monotonic() - began < 20
    assert not slow.done()
    slow.cancel()
    assert await db.fetch_within(10, "SELECT 1 AS one")


async def test_a_request_to_cancel_that_is_lost_holds_nobody(connected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def lose(**_: object) -> None:
        """PostgreSQL ignores a request that arrives before the statement does."""

    monkeypatch.setattr(asyncpg.connect_utils, "_cancel", lose)
    began = time.monotonic()
    reads = [asyncio.create_task(db.fetch_within(0.2, SLOW)) for _ in range(20)]  # more than there are connections
    found = await asyncio.gather(*reads, return_exceptions=True)
    assert [type(error) for error in found] == [LimitExceeded] * 20
    assert await db.fetch_within(5, "SELECT 1 AS one")
    assert time.monotonic() - began < 20


async def test_many_that_leave_at_any_moment_leave_the_reader_usable(database: str) -> None:
    async def come_and_go(number: int) -> None:
        read = asyncio.create_task(db.fetch_within(60, SLOW if number % 3 else "SELECT 1 AS one"))
        await asyncio.sleep(number % 7 / 200)
        read.cancel()
        await asyncio.wait([read], timeout=20)
        assert read.done()

    await asyncio.gather(*[come_and_go(number) for number in range(60)])
    assert await db.fetch_within(5, "SELECT 1 AS one")


async def test_an_error_of_a_count_is_its_own(database: str) -> None:
    with pytest.raises((sqlite3.OperationalError, asyncpg.PostgresError)):
        await db.fetch_within(1, f"SELECT nothing FROM no_table_{uuid4().hex}")
    assert await db.fetch_within(10, "SELECT 1 AS one")
