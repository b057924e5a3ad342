"""The database: one connection or pool for the process, statements, and units of work.

Tortoise owns the connections, the tables (`app.models`) and the migrations. Statements run below it, on the drivers:
a model costs seven times what a row costs, and a guarded claim is one statement of SQL in any case.

A process serves one database at a time: `connect` at start, `close` at the end.
"""

import asyncio
import io
import random
import sqlite3
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import datetime
from typing import Any, Concatenate, ParamSpec, TypeVar

import asyncpg
import structlog
from tortoise import Tortoise
from tortoise.backends.base.client import BaseDBAsyncClient
from tortoise.exceptions import DBConnectionError

from app import clock, metrics
from app.db import dialects, migration, waiting
from app.db.configuration import POSTGRES, SQLITE_READER, SQLITE_WRITER, Address, tortoise_config
from app.db.dialects import Dialect
from app.errors import LimitExceeded, Unavailable

Row = Mapping[str, Any]
P = ParamSpec("P")
T = TypeVar("T")

log = structlog.get_logger(__name__)

CONNECTION_WAIT_SECONDS = 10
"""How long an operation may wait for a free connection, or on SQLite for its turn to write."""
CLOSE_WAIT_SECONDS = 10
RETRIES_MAX = 5
"""Of a unit of work that PostgreSQL picked as a deadlock's victim."""
NOTIFY_CHANNEL = "outdial"
NOTIFY_TOPICS_MAX = 200
"""A payload holds 8,000 bytes, a topic has 36; beyond it everybody is told to look."""

statements = 0
"""Statements sent by this process, for the tests that pin how many an operation takes."""

_address: Address | None = None
_units: set[asyncio.Task[Any]] = set()


# ---------------------------------------------------------------- the connection


async def connect(url: str, *, pool_size: int = 10) -> None:
    """Open the database that `url` names; the schema is whatever it is.

    Raises:
        Unavailable: it does not answer.
    """
    global _address  # noqa: PLW0603 - the one place that says which database this process serves
    address = Address.parse(url)
    await asyncio.to_thread(address.check)
    await Tortoise.init(config=tortoise_config(address, pool_size), _enable_global_fallback=True)
    _address = address
    try:
        await ping()
    except Unavailable:
        await close()
        raise
    if address.dialect is Dialect.SQLITE:
        async with _client(SQLITE_READER).acquire_connection() as connection:
            # SQLite's own lower() knows the letters of ASCII only
            await connection.create_function("lower", 1, _lower, deterministic=True)


def _lower(text: str | None) -> str | None:
    return None if text is None else text.lower()


async def close() -> None:
    """Let the units of work under way finish, then close every connection."""
    global _address  # noqa: PLW0603
    if _units:
        await asyncio.wait(_units, timeout=CLOSE_WAIT_SECONDS)
    _address = None
    await Tortoise.close_connections()


def address() -> Address:
    if _address is None:
        raise RuntimeError("no database is connected")
    return _address


def dialect() -> Dialect:
    return address().dialect


def is_postgres() -> bool:
    return address().dialect is Dialect.POSTGRES


def _client(name: str) -> BaseDBAsyncClient:
    return Tortoise.get_connection(name)


async def _connection(stack: AsyncExitStack, name: str) -> Any:
    try:
        async with asyncio.timeout(CONNECTION_WAIT_SECONDS):
            return await stack.enter_async_context(_client(name).acquire_connection())
    except TimeoutError:
        raise Unavailable("The database is busy; try again.") from None
    except (
        OSError,
        DBConnectionError,
        asyncpg.PostgresError,
        asyncpg.InterfaceError,
        sqlite3.OperationalError,
    ) as error:
        metrics.database_errors.inc()
        log.warning("database_unreachable", error=type(error).__name__)
        raise Unavailable("The database does not answer; try again.") from error


# ---------------------------------------------------------------- spelling, for the database at hand


def any_of(placeholder: str, kind: str = "uuid") -> str:
    return dialects.any_of(dialect(), placeholder, kind)


def typed(placeholder: str, kind: str) -> str:
    """A parameter where nothing else tells PostgreSQL its type; SQLite's cast would make a number of an id."""
    return f"CAST({placeholder} AS {dialects.postgres_type(kind)})" if is_postgres() else placeholder


def rowset(placeholder: str, columns: Mapping[str, str], alias: str) -> str:
    return dialects.rowset(dialect(), placeholder, columns, alias)


def rows_value(rows: Sequence[Mapping[str, Any]]) -> str:
    return dialects.rowset_value(dialect(), rows)


def for_update(words: str = "FOR UPDATE") -> str:
    """Row locks, where there are any: a SQLite transaction holds the only write lock there is."""
    return words if is_postgres() else ""


# ---------------------------------------------------------------- reading


async def _run(connection: Any, sql: str, args: Sequence[Any]) -> list[Row]:
    global statements  # noqa: PLW0603
    statements += 1
    if is_postgres():
        rows: list[Row] = await connection.fetch(sql, *args)
        return rows
    fetched = await connection.execute_fetchall(
        dialects.sqlite_placeholders(sql), [dialects.sqlite_value(arg) for arg in args]
    )
    return list(dialects.sqlite_rows(fetched))


def _unavailable(error: BaseException) -> bool:
    """The database, not the statement, is at fault."""
    if isinstance(error, sqlite3.OperationalError):
        return "locked" in str(error) or "busy" in str(error)
    return isinstance(
        error,
        (
            OSError,
            asyncpg.PostgresConnectionError,
            asyncpg.InterfaceError,
            asyncpg.QueryCanceledError,
            asyncpg.LockNotAvailableError,
            asyncpg.OperatorInterventionError,
            asyncpg.InsufficientResourcesError,
        ),
    )


async def fetch(sql: str, *args: Any) -> list[Row]:
    """Run one reading statement outside any transaction.

    Raises:
        Unavailable: the database is busy or gone.
    """
    async with AsyncExitStack() as stack:
        connection = await _connection(stack, POSTGRES if is_postgres() else SQLITE_READER)
        try:
            return await _run(connection, sql, args)
        except Exception as error:
            if _unavailable(error):
                metrics.database_errors.inc()
                raise Unavailable("The database does not answer; try again.") from error
            raise


async def fetch_within(seconds: float, sql: str, *args: Any) -> list[Row]:
    """Like `fetch`, but give up after a time, and stop the database from going on.

    Raises:
        LimitExceeded: it took longer.
    """
    async with AsyncExitStack() as stack:
        connection = await _connection(stack, POSTGRES if is_postgres() else SQLITE_READER)
        task = asyncio.ensure_future(_run(connection, sql, args))
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
            raise LimitExceeded(f"Counting took longer than {seconds:g} seconds.") from None


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


# ---------------------------------------------------------------- writing


class Transaction:
    """A unit of work under way: statements that take effect together or not at all."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._topics: set[str] = set()

    async def fetch(self, sql: str, *args: Any) -> list[Row]:
        return await _run(self._connection, sql, args)

    async def now(self) -> datetime:
        """The database's clock at this moment: ask after the locks are taken."""
        if is_postgres():
            rows = await self.fetch("SELECT clock_timestamp() AS now_at")
            instant: datetime = rows[0]["now_at"] + clock.shift
            return instant
        return clock.now()

    async def lock(self, name: str, *, shared: bool = False) -> None:
        """Wait for a lock that the end of the transaction gives back; on SQLite the transaction itself is one.

        The queue for it is fair: a stream of shared holders does not starve an exclusive one, as row locks would.
        """
        if is_postgres():
            function = "pg_advisory_xact_lock_shared" if shared else "pg_advisory_xact_lock"
            await self.fetch(f"SELECT {function}(hashtextextended($1, 0))", name)

    async def stage(self, name: str, columns: Mapping[str, str], rows: bytes, *, placeholder: str) -> tuple[str, str]:
        """Many rows at once, as a table for one statement of this transaction.

        Args:
            name: of the table.
            columns: the type of each column by its name.
            rows: COPY's text on PostgreSQL, a JSON list of lists on SQLite.
            placeholder: of the parameter that holds the rows, where they are one.

        Returns:
            The table, for FROM, and that parameter; "" where the rows went another way.
        """
        if not is_postgres():
            return dialects.staged(placeholder, columns), rows.decode()
        await self.fetch(dialects.staging_table(name, columns))
        await self._connection.copy_to_table(
            name, source=io.BytesIO(rows), columns=list(columns), format="text", timeout=CONNECTION_WAIT_SECONDS
        )
        return f"{name} AS staged", ""

    def wake(self, topic: str) -> None:
        """Once this is committed, tell whoever waits for `topic`, in every process, to look."""
        self._topics.add(topic)

    async def _announce(self) -> frozenset[str]:
        topics = frozenset(self._topics)
        if topics and is_postgres():
            payload = ",".join(sorted(topics)) if len(topics) <= NOTIFY_TOPICS_MAX else waiting.EVERY_TOPIC
            await self.fetch("SELECT pg_notify($1, $2)", NOTIFY_CHANNEL, payload)
        return topics


async def transaction(
    work: Callable[Concatenate[Transaction, P], Awaitable[T]], *args: P.args, **kwargs: P.kwargs
) -> T:
    """Run `work(transaction, …)` as one unit: committed when it returns, rolled back when it raises.

    It runs in a task of its own, so a caller that is cancelled (a client that hangs up) neither cuts it short nor
    leaks its connection. `work` may run again after a deadlock, so it must do nothing but talk to the database.

    Raises:
        Unavailable: the database is busy or gone. Nothing, or on a lost connection at COMMIT perhaps all, was written.
    """
    task = asyncio.create_task(_unit(work, *args, **kwargs))
    _units.add(task)
    task.add_done_callback(_finished)
    return await asyncio.shield(task)


def _finished(task: asyncio.Task[Any]) -> None:
    _units.discard(task)
    if not task.cancelled():
        task.exception()  # seen, also where the caller has left


async def _unit(work: Callable[..., Awaitable[T]], *args: Any, **kwargs: Any) -> T:
    for attempt in range(1, RETRIES_MAX + 1):
        try:
            return await (_postgres_unit if is_postgres() else _sqlite_unit)(work, *args, **kwargs)
        except (asyncpg.DeadlockDetectedError, asyncpg.SerializationError) as error:
            if attempt == RETRIES_MAX:
                raise Unavailable("Too many changes to the same targets at once; try again.") from error
            await asyncio.sleep(random.uniform(0, 0.01 * 2**attempt))  # noqa: S311 - spreads the load, keeps no secret
        except Exception as error:
            if _unavailable(error):
                metrics.database_errors.inc()
                log.warning("transaction_unavailable", error=type(error).__name__)
                raise Unavailable("The database does not answer; try again.") from error
            raise
    raise AssertionError("unreachable")


async def _postgres_unit(work: Callable[..., Awaitable[T]], *args: Any, **kwargs: Any) -> T:
    async with AsyncExitStack() as stack:
        connection = await _connection(stack, POSTGRES)
        async with connection.transaction():
            unit = Transaction(connection)
            result = await work(unit, *args, **kwargs)
            topics = await unit._announce()  # noqa: SLF001 - the two make one thing
    _committed(topics)
    return result


async def _sqlite_unit(work: Callable[..., Awaitable[T]], *args: Any, **kwargs: Any) -> T:
    async with AsyncExitStack() as stack:
        connection = await _connection(stack, SQLITE_WRITER)
        # IMMEDIATE takes the write lock at once: a transaction that reads first and then writes could fail otherwise
        await connection.execute_fetchall("BEGIN IMMEDIATE")
        try:
            unit = Transaction(connection)
            result = await work(unit, *args, **kwargs)
            topics = await unit._announce()  # noqa: SLF001
            await connection.execute_fetchall("COMMIT")
        except BaseException:  # a loop that stops included: the next one to write must not find a transaction open
            await connection.rollback()
            raise
    _committed(topics)
    return result


# ---------------------------------------------------------------- being told


def _committed(topics: frozenset[str]) -> None:
    if topics:
        waiting.wake(topics)


async def listen() -> None:
    """Wake waiters for what other processes commit, until the connection is lost or the task is cancelled.

    It wakes all of them once it listens: what was said before that, nobody heard. Only on PostgreSQL.
    """
    connection = await asyncpg.connect(timeout=CONNECTION_WAIT_SECONDS, **address().postgres_credentials())
    gone = asyncio.Event()
    connection.add_termination_listener(lambda _: gone.set())
    try:
        await connection.add_listener(NOTIFY_CHANNEL, lambda *said: waiting.wake(str(said[3]).split(",")))
        waiting.wake([waiting.EVERY_TOPIC])
        await gone.wait()
    finally:
        connection.terminate()


# ---------------------------------------------------------------- the schema


async def migrate(url: str) -> list[str]:
    """Bring the schema up to date; returns the names of the migrations that were applied.

    It uses connections of its own and closes them: migrate first, then connect.
    """
    return await migration.migrate(url)


async def schema_is_current() -> bool:
    """Whether the connected database has had every migration that this version knows."""
    return not await migration.missing(tortoise_config(address(), 1)["apps"])
