"""Statements: how they are sent and counted, and reading outside of transactions."""

import asyncio
import random
import sqlite3
import threading
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from app import clock
from app.db import connections, dialects
from app.db.configuration import POSTGRES, SQLITE_READER
from app.db.connections import Broken, is_postgres
from app.db.failures import Failure, unavailable
from app.errors import LimitExceeded

Row = Mapping[str, Any]

ATTEMPTS_MAX = 3
"""Of a failure that another connection may solve: the server may have closed the first one long ago."""
INTERRUPT_EVERY_SECONDS = 0.02

sent = 0
"""Statements sent by this process, for the tests of how many an operation takes."""
_counting = threading.Lock()
"""SQLite's units of work run in another thread than its readers."""


async def run(connection: Any, sql: str, args: Sequence[Any]) -> list[Row]:
    """Send a statement. Every statement of the service passes here.

    Args:
        connection: asyncpg's, aiosqlite's, or in a unit of work on SQLite that of the module `sqlite3`, in its thread.
        sql: with `$1` placeholders. After "BEGIN; " comes a query without any, of which only the number of rows is
            needed: both take one trip.
        args: their values.
    """
    global sent  # noqa: PLW0603
    with _counting:
        sent += 1
    if is_postgres():
        if sql.startswith("BEGIN; "):
            answer: str = await connection.execute(sql)
            return [{}] * int(answer.rpartition(" ")[2])
        rows: list[Row] = await connection.fetch(sql, *args)
        return rows
    spelled = dialects.sqlite_placeholders(sql), [dialects.sqlite_value(arg) for arg in args]
    if isinstance(connection, sqlite3.Connection):
        fetched = connection.execute(*spelled).fetchall()
    else:
        fetched = await connection.execute_fetchall(*spelled)
    return list(dialects.sqlite_rows(fetched))


async def copy(connection: Any, table: str, columns: Sequence[str], parts: Iterable[bytes]) -> None:
    """Send rows in COPY's text format into a table of PostgreSQL, part by part as they are made."""
    global sent  # noqa: PLW0603
    sent += 1

    async def source() -> AsyncIterator[bytes]:
        for part in parts:
            yield part

    await connection.copy_to_table(table, source=source(), columns=columns, format="text")


async def fetch(sql: str, *args: Any) -> list[Row]:
    """Run one reading statement outside of any transaction. If its connection is lost, it runs again on another.

    Raises:
        Unavailable: the database is busy or gone.
    """
    for attempt in range(1, ATTEMPTS_MAX + 1):
        try:
            return await _read(sql, args)
        except Broken as broken:
            if attempt == ATTEMPTS_MAX or not may_run_again(broken):
                raise unavailable(broken.failure) from broken.__cause__
            await pause(attempt)
    raise AssertionError("unreachable")


def may_run_again(broken: Broken) -> bool:
    """Whether another connection may succeed, and this one had been opened."""
    return broken.was_connected and broken.failure in {Failure.LOST, Failure.READ_ONLY}


async def pause(attempt: int) -> None:
    """Wait a little longer each time, by a random time so that not all retry at once."""
    await asyncio.sleep(random.uniform(0, 0.01 * 2**attempt))  # noqa: S311 - not for a secret


async def _read(sql: str, args: Sequence[Any]) -> list[Row]:
    async with connections.connection(POSTGRES if is_postgres() else SQLITE_READER) as connection:
        try:
            return await run(connection, sql, args)
        except asyncio.CancelledError:
            # asyncpg cancels the statement in the server; SQLite's runs in a thread, which cannot be cancelled
            if not is_postgres():
                await _out_of_the_way(connection)
            raise


async def _out_of_the_way(connection: Any) -> None:
    """Interrupt SQLite until its thread is free for the next statement. Nobody else uses the connection meanwhile."""
    last = asyncio.ensure_future(connection.execute_fetchall("SELECT 1"))  # runs after the current statement
    while not last.done():
        await connection.interrupt()
        # If cancelled again, still wait: it takes milliseconds, and the caller gets the first cancellation.
        with suppress(asyncio.CancelledError):
            await asyncio.wait([last], timeout=INTERRUPT_EVERY_SECONDS)
    last.exception()  # mark the error as seen: it may be the interruption


async def fetch_within(seconds: float, sql: str, *args: Any) -> list[Row]:
    """Like `fetch`, but with a time limit that includes the wait for a connection. The statement is stopped too.

    Raises:
        LimitExceeded: it took longer.
        Unavailable: the database is busy or gone.
    """
    try:
        async with asyncio.timeout(seconds):
            return await fetch(sql, *args)
    except TimeoutError:
        raise LimitExceeded(f"Counting took longer than {seconds:g} seconds. Use a narrower filter.") from None


async def now() -> datetime:
    """The database's clock."""
    if is_postgres():
        rows = await fetch("SELECT clock_timestamp() AS now_at")
        instant: datetime = rows[0]["now_at"] + clock.shift
        return instant
    return clock.now()  # SQLite runs in this process, on this machine's clock


async def ping() -> None:
    """One round trip to the database.

    Raises:
        Unavailable: it does not answer, or it takes no writes.
    """
    if not is_postgres():
        await fetch("SELECT 1 AS one")
        return
    # "on" also if the server is a standby
    rows = await fetch("SELECT current_setting('transaction_read_only') AS read_only")
    if rows[0]["read_only"] == "on":
        await connections.renew()
        raise unavailable(Failure.READ_ONLY)
