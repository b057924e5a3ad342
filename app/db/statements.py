"""Statements: sent, counted, and read outside of transactions."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import datetime
from typing import Any

from app import clock, metrics
from app.db import connections, dialects
from app.db.configuration import POSTGRES, SQLITE_READER
from app.db.connections import is_postgres
from app.db.failures import is_unavailable
from app.errors import LimitExceeded, Unavailable

Row = Mapping[str, Any]

sent = 0
"""Statements sent by this process, for the tests that pin how many an operation takes."""


async def run(connection: Any, sql: str, args: Sequence[Any]) -> list[Row]:
    global sent  # noqa: PLW0603
    sent += 1
    if is_postgres():
        rows: list[Row] = await connection.fetch(sql, *args)
        return rows
    fetched = await connection.execute_fetchall(
        dialects.sqlite_placeholders(sql), [dialects.sqlite_value(arg) for arg in args]
    )
    return list(dialects.sqlite_rows(fetched))


async def fetch(sql: str, *args: Any) -> list[Row]:
    """Run one reading statement outside of any transaction.

    Raises:
        Unavailable: the database is busy or gone.
    """
    async with AsyncExitStack() as stack:
        connection = await connections.acquire(stack, POSTGRES if is_postgres() else SQLITE_READER)
        try:
            return await run(connection, sql, args)
        except Exception as error:
            if is_unavailable(error):
                metrics.database_errors.inc()
                raise Unavailable("The database does not answer. Try again.") from error
            raise


async def fetch_within(seconds: float, sql: str, *args: Any) -> list[Row]:
    """Like `fetch`, but give up after a time, and stop the database from going on.

    Raises:
        LimitExceeded: it took longer.
    """
    async with AsyncExitStack() as stack:
        connection = await connections.acquire(stack, POSTGRES if is_postgres() else SQLITE_READER)
        task = asyncio.ensure_future(run(connection, sql, args))
        try:
            # asyncpg cancels the statement in the server when its task is cancelled
            async with asyncio.timeout(seconds):
                return await (task if is_postgres() else asyncio.shield(task))
        except TimeoutError:
            if not is_postgres():
                # SQLite runs in a thread that no cancellation reaches; nobody else uses it while we hold it
                await connection.interrupt()
                await asyncio.wait([task])
                task.exception()
            raise LimitExceeded(f"Counting took longer than {seconds:g} seconds. Use a narrower filter.") from None


async def now() -> datetime:
    """The database's clock."""
    if is_postgres():
        rows = await fetch("SELECT clock_timestamp() AS now_at")
        instant: datetime = rows[0]["now_at"] + clock.shift
        return instant
    return clock.now()  # SQLite runs in this process, on this machine's clock


async def ping() -> None:
    """One trip to the database and back.

    Raises:
        Unavailable: it does not answer.
    """
    await fetch("SELECT 1 AS one")
