"""Statements: how they are sent and counted, and reading outside of transactions."""

import asyncio
import hashlib
import random
import sqlite3
import threading
from collections.abc import AsyncIterator, Coroutine, Iterable, Mapping, Sequence
from contextlib import nullcontext
from datetime import datetime
from functools import lru_cache
from typing import Any
from weakref import WeakKeyDictionary

from app import clock, tracing
from app.db import connections, dialects, scripts, sharing
from app.db.connections import Broken, is_postgres
from app.db.failures import Failure, unavailable
from app.db.scripts import Refused, Script
from app.errors import LimitExceeded

Row = Mapping[str, Any]

ATTEMPTS_MAX = 3
"""Of a failure that another connection may solve: the server may have closed the first one long ago."""

sent = 0
"""Statements sent by this process, for the tests of how many an operation takes."""
_counting = threading.Lock()
"""SQLite's units of work run in another thread than its readers."""
_prepared: WeakKeyDictionary[Any, set[str]] = WeakKeyDictionary()
"""The queries that are prepared in each session by name: a few, because their texts are those of the locks."""


def run(connection: Any, sql: str, args: Sequence[Any]) -> Coroutine[Any, Any, list[Row]]:
    """Send a statement. Every statement of the service passes here.

    Returns the rows as the driver has them, for `plain`.

    Args:
        connection: asyncpg's; SQLite's reader, or in a unit of work the connection of the module `sqlite3`, in its
            thread.
        sql: with `$1` placeholders. After "BEGIN; " comes a query of which only the number of rows is needed: both take
            one trip.
        args: their values.
    """
    running = _run(connection, sql, args)
    return tracing.of_statement(running, sql, system=_system()) if tracing.is_on() else running


def _system() -> str:
    """The database's name in spans."""
    return "postgresql" if is_postgres() else "sqlite"


async def _run(connection: Any, sql: str, args: Sequence[Any]) -> list[Row]:
    global sent  # noqa: PLW0603
    with _counting:
        sent += 1
    if is_postgres():
        if sql.startswith("BEGIN; "):
            return [{}] * await _begin(connection, sql.removeprefix("BEGIN; "), args)
        rows: list[Row] = await connection.fetch(sql, *args)
        return rows
    spelled = dialects.sqlite_placeholders(sql), [dialects.sqlite_value(arg) for arg in args]
    if isinstance(connection, sqlite3.Connection):
        fetched: list[Any] = connection.execute(*spelled).fetchall()
    else:
        fetched = await connection.fetch(*spelled, begin_seconds=connections.wait_seconds())
    return fetched


def run_each(connection: sqlite3.Connection, sql: str, values: Sequence[Any]) -> None:
    """Run a writing statement in SQLite, once for each value of those parameters that are `Each`.

    It is prepared once, and takes a third of the time of one statement that gets all rows as JSON.
    """
    global sent  # noqa: PLW0603
    with _counting:
        sent += 1
    text, numbers = dialects.sqlite_numbered(sql)
    with tracing.statement(sql, system="sqlite") if tracing.is_on() else nullcontext():
        connection.executemany(text, dialects.sqlite_runs([values[number - 1] for number in numbers]))


def plain(rows: list[Row]) -> list[Row]:
    """Rows as mappings, with instants, on both databases."""
    return rows if is_postgres() else dialects.sqlite_rows(rows)


def run_script(connection: Any, script: Script, args: Sequence[Any]) -> Coroutine[Any, Any, list[Row]]:
    """Send a script. See `app.db.scripts`.

    Raises:
        Refused: it did not find what it should.
    """
    running = _run_script(connection, script, args)
    if not tracing.is_on():
        return running
    return tracing.of_statement(running, "; ".join(script.statements), system="postgresql", refusal=Refused)


async def _run_script(connection: Any, script: Script, args: Sequence[Any]) -> list[Row]:
    global sent  # noqa: PLW0603
    sent += len(script.statements)
    rows: list[Row] = await scripts.call(connection, script, args)
    return rows


async def _begin(connection: Any, sql: str, args: Sequence[Any]) -> int:
    """BEGIN and a query in one trip to PostgreSQL. Returns the number of the query's rows.

    Only texts without parameters can be sent together. So the query is prepared once in each session, and the text
    runs it by its name: to plan it each time took longer than to run it.
    """
    prepared = _prepared.setdefault(connection._con, set())  # noqa: SLF001 - the pool gives another proxy each time
    name = _name(sql)
    if name not in prepared:
        await connection.execute(f"PREPARE {name} AS {sql}")
        prepared.add(name)
    answer: str = await connection.execute(f"BEGIN; EXECUTE {name}{dialects.literals(args)}")
    return int(answer.rpartition(" ")[2])


@lru_cache(maxsize=512)
def _name(sql: str) -> str:
    """The name of a prepared query, made of its text."""
    return f"outdial_{hashlib.blake2s(sql.encode(), digest_size=12).hexdigest()}"


async def copy(connection: Any, table: str, columns: Sequence[str], parts: Iterable[bytes]) -> None:
    """Send rows in COPY's text format into a table of PostgreSQL, part by part as they are made."""
    global sent  # noqa: PLW0603
    sent += 1

    async def source() -> AsyncIterator[bytes]:
        for part in parts:
            yield part

    with tracing.statement(f"COPY INTO {table}", system="postgresql") if tracing.is_on() else nullcontext():
        await connection.copy_to_table(table, source=source(), columns=columns, format="text")


async def fetch(sql: str, *args: Any, as_stored: bool = False) -> list[Row]:
    """Run one reading statement outside of any transaction. If its connection is lost, it runs again on another.

    Args:
        sql: the statement, with `$1` placeholders.
        args: their values.
        as_stored: each row is also the sequence of its values, and SQLite's instants are text.

    Raises:
        Unavailable: the database is busy or gone.
    """
    for attempt in range(1, ATTEMPTS_MAX + 1):
        try:
            return await _read(sql, args, as_stored=as_stored)
        except Broken as broken:
            if attempt == ATTEMPTS_MAX or not may_run_again(broken, attempt):
                raise unavailable(broken.failure) from broken.__cause__
            await pause(attempt)
    raise AssertionError("unreachable")


def may_run_again(broken: Broken, attempt: int) -> bool:
    """Whether another connection may succeed. A login that breaks is tried once more: the server may be away."""
    if not broken.was_connected:
        return broken.failure is Failure.LOST and attempt == 1
    return broken.failure in {Failure.LOST, Failure.READ_ONLY}


async def pause(attempt: int) -> None:
    """Wait a little longer each time, by a random time so that not all retry at once."""
    await asyncio.sleep(random.uniform(0, 0.01 * 2**attempt))  # noqa: S311 - not for a secret


async def _read(sql: str, args: Sequence[Any], *, as_stored: bool) -> list[Row]:
    if is_postgres():
        async with sharing.connection() as connection:
            return await run(connection, sql, args)
    with connections.reading() as reader:
        rows = await run(reader, sql, args)
    return rows if as_stored else plain(rows)


async def fetch_within(seconds: float, sql: str, *args: Any, problem: str = "Reading took too long.") -> list[Row]:
    """Like `fetch`, but with a time limit that includes the wait for a connection. The statement is stopped too.

    Args:
        seconds: the limit.
        sql: the statement.
        args: its parameters.
        problem: what the error says.

    Raises:
        LimitExceeded: it took longer.
        Unavailable: the database is busy or gone.
    """
    try:
        async with asyncio.timeout(seconds):
            return await fetch(sql, *args)
    except TimeoutError:
        raise LimitExceeded(problem) from None


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
