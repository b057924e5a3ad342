"""SQLite's reads share a thread: each gets its own answer, and none waits for one that nobody wants any more."""

import asyncio
import sqlite3
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.db import reading
from app.db.reading import NotBegun, Reader
from tests.support.failing import SLOW

SOON = 5.0


@pytest.fixture
async def reader(tmp_path: Path) -> AsyncIterator[Reader]:
    opened = await Reader.opened(tmp_path / "file.db", 1)
    try:
        yield opened
    finally:
        await opened.close(0.1)
    assert "sqlite reads" not in {thread.name for thread in threading.enumerate()}


async def one(reader: Reader, sql: str, *values: object) -> object:
    [row] = await reader.fetch(sql, values, begin_seconds=SOON)
    return row[0]


async def test_each_of_many_reads_gets_its_own_answer_or_error(reader: Reader) -> None:
    reads = [one(reader, "SELECT ?1" if number % 5 else "SELECT nothing", number) for number in range(1, 500)]
    found = await asyncio.gather(*reads, return_exceptions=True)
    assert [number for number, answer in enumerate(found, 1) if answer != number] == list(range(5, 500, 5))
    assert {type(answer) for answer in found} == {int, sqlite3.OperationalError}


async def test_nothing_can_be_written(reader: Reader) -> None:
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        await one(reader, "CREATE TABLE made (value INTEGER)")


async def test_what_its_caller_has_left_is_stopped_or_not_begun(reader: Reader) -> None:
    slow = [asyncio.create_task(one(reader, SLOW)) for _ in range(20)]
    await asyncio.sleep(0.05)
    last = asyncio.create_task(one(reader, "SELECT 7"))
    await asyncio.sleep(0)
    for read in reversed(slow):
        read.cancel()
    async with asyncio.timeout(SOON):
        assert await last == 7
    await asyncio.wait(slow)
    assert all(read.cancelled() for read in slow)


async def test_leaving_never_stops_somebody_elses_statement(reader: Reader) -> None:
    """The one that leaves may end at this very moment, and the next one run."""

    async def leave(number: int) -> None:
        read = asyncio.create_task(one(reader, "SELECT ?1", number))
        await asyncio.sleep(number % 3 / 2_000)
        read.cancel()
        await asyncio.wait([read])

    stays = [asyncio.create_task(one(reader, "SELECT ?1", number)) for number in range(300)]
    await asyncio.gather(*[leave(number) for number in range(300)])
    assert await asyncio.gather(*stays) == list(range(300))


async def test_a_read_whose_turn_does_not_come_is_refused(reader: Reader) -> None:
    slow = asyncio.create_task(one(reader, SLOW))
    await asyncio.sleep(0.05)
    began = time.monotonic()
    with pytest.raises(NotBegun):
        await reader.fetch("SELECT 1", (), begin_seconds=0.1)
    assert time.monotonic() - began < SOON
    assert not slow.done()  # it has begun in time
    slow.cancel()
    assert await one(reader, "SELECT 1") == 1


async def test_no_more_than_so_many_wait(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "READS_WAITING_MAX", 3)
    slow = asyncio.create_task(one(reader, SLOW))
    await asyncio.sleep(0.05)
    waiting = [asyncio.create_task(one(reader, "SELECT 1")) for _ in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(NotBegun):
        await one(reader, "SELECT 1")
    slow.cancel()
    assert await asyncio.gather(*waiting) == [1, 1, 1]


async def test_closing_waits_for_what_is_quick_and_stops_the_rest(tmp_path: Path) -> None:
    reader = await Reader.opened(tmp_path / "file.db", 1)
    quick = asyncio.create_task(one(reader, "SELECT 1"))
    slow = asyncio.create_task(one(reader, SLOW))
    await asyncio.sleep(0)
    began = time.monotonic()
    await reader.close(0.2)
    assert time.monotonic() - began < SOON
    assert await quick == 1
    with pytest.raises(sqlite3.OperationalError, match="interrupted"):
        await slow


async def test_a_file_that_cannot_be_opened_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(sqlite3.OperationalError):
        await Reader.opened(tmp_path / "nowhere" / "file.db", 1)
