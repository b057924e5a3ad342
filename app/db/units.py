"""Units of work: statements that take effect together or not at all."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Concatenate, ParamSpec, TypeVar

import asyncpg

from app.db import connections, hops, postgres, room, scripts, sharing, statements, telling
from app.db.configuration import SQLITE_WRITER
from app.db.connections import Broken, is_postgres
from app.db.failures import UNCONFIRMED, Failure, failure_of, unavailable, was_not_sent
from app.db.scripts import Refused, Script
from app.db.transactions import Transaction
from app.errors import Unavailable, forget_trace

P = ParamSpec("P")
T = TypeVar("T")

ATTEMPTS_MAX = 5
"""Of a unit of work that PostgreSQL ended because of a deadlock."""
UNCERTAIN = (
    "The database did not confirm that the change is saved, so it may or may not be. "
    "Check before you send it again, or send it again with the same idempotency key."
)

_under_way: set[asyncio.Task[Any]] = set()


class Changed(Exception):  # noqa: N818 - not an error: the unit runs again
    """What a unit of work has read is not what it has locked."""


async def transaction(
    work: Callable[Concatenate[Transaction, P], Awaitable[T]], *args: P.args, **kwargs: P.kwargs
) -> T:
    """Run `work(transaction, …)` as one unit: committed when it returns, rolled back when it raises.

    It runs in its own task, so if the caller is cancelled (the client disconnects), it still completes and returns its
    connection. `work` may run again after a deadlock or on another connection, so it must only use the database. After
    COMMIT is sent, nothing runs again.

    Raises:
        Unavailable: the database is busy or gone. Nothing was written; if the connection is lost at COMMIT, perhaps
            all.
    """
    return await _to_its_end(_unit(work, *args, **kwargs))


async def _to_its_end(work: Coroutine[Any, Any, T]) -> T:
    """Run it in a task of its own, which goes on if the caller is cancelled."""
    task = asyncio.create_task(work)
    _under_way.add(task)
    task.add_done_callback(_finished)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        task.add_done_callback(_forget_trace)  # as the caller would have done who answers its error
        raise


def _forget_trace(task: asyncio.Task[Any]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        forget_trace(error)


def _finished(task: asyncio.Task[Any]) -> None:
    _under_way.discard(task)
    if not task.cancelled():
        task.exception()  # mark the error as seen, also if the caller has left


async def at_once(
    script: Script, args: Sequence[Any], *, topics: Callable[[list[statements.Row]], frozenset[str]], twice: bool
) -> list[statements.Row]:
    """Run a script as one unit, on PostgreSQL without distributed tables. As `transaction`, also if the caller leaves.

    Args:
        script: the statements.
        args: their parameters.
        topics: from the rows, what to wake after the commit.
        twice: whether it may run again if the connection is lost, although the first time may have been saved.

    Returns:
        The rows of the last statement.

    Raises:
        Refused: it did not find what it should. Nothing was written.
        Unavailable: as `transaction`.
    """
    return await _to_its_end(_again(_script_unit, script, args, topics, twice=twice))


async def _unit(work: Callable[..., Awaitable[T]], *args: Any, **kwargs: Any) -> T:
    return await _again(_postgres_unit if is_postgres() else _sqlite_unit, work, *args, **kwargs)


async def _again(run: Callable[..., Awaitable[tuple[T, frozenset[str]]]], *args: Any, **kwargs: Any) -> T:
    """Run a unit of work, again after a deadlock or on another connection."""
    for attempt in range(1, ATTEMPTS_MAX + 1):
        end = _End()
        try:
            result, topics = await run(end, *args, **kwargs)
        except (asyncpg.DeadlockDetectedError, asyncpg.SerializationError, Changed) as error:
            if attempt == ATTEMPTS_MAX:
                raise Unavailable("Too many changes to the same targets at once. Try again.") from error
        except Broken as broken:
            _note(broken.failure)
            commit_was_sent = end.commit_was_sent and not was_not_sent(broken.__cause__)
            if commit_was_sent and broken.failure in {Failure.LOST, Failure.SILENT}:
                raise Unavailable(UNCERTAIN) from broken.__cause__
            if commit_was_sent or attempt >= statements.ATTEMPTS_MAX or not statements.may_run_again(broken, attempt):
                raise unavailable(broken.failure) from broken.__cause__
        else:
            if topics:
                telling.tell(topics)
            return result
        await statements.pause(attempt)
    raise AssertionError("unreachable")


@dataclass(slots=True)
class _End:
    commit_was_sent: bool = False
    """From here until the database answers, only the database knows whether the changes are saved."""


async def _postgres_unit(
    end: _End, work: Callable[..., Awaitable[T]], *args: Any, **kwargs: Any
) -> tuple[T, frozenset[str]]:
    async with sharing.connection() as connection:
        unit = Transaction(connection)
        try:
            result = await work(unit, *args, **kwargs)
        except BaseException:  # also if the loop stops: the pool must not get an open transaction
            if unit.is_begun:
                await _roll_back(connection)
            raise
        if unit.is_begun:
            end.commit_was_sent = True
            await _commit(connection)
        return result, unit.topics


async def _script_unit(
    end: _End,
    script: Script,
    args: Sequence[Any],
    topics: Callable[[list[statements.Row]], frozenset[str]],
    *,
    twice: bool,
) -> tuple[list[statements.Row], frozenset[str]]:
    async with sharing.connection() as connection:
        await scripts.prepare(connection, script)
        end.commit_was_sent = not twice
        async with _confirmed(connection):
            try:
                rows = await statements.run_script(connection, script, args)
            except (asyncpg.PostgresError, Refused) as error:
                # the server says that it was not saved, unless it ends the session: that may be after the commit
                end.commit_was_sent = end.commit_was_sent and failure_of(error) is Failure.LOST
                raise
        return rows, topics(rows)


async def _commit(connection: Any) -> None:
    async with _confirmed(connection):
        answer = await connection.execute("COMMIT")
    if answer != "COMMIT":
        raise RuntimeError("PostgreSQL rolled the unit of work back: one of its statements had failed")


@asynccontextmanager
async def _confirmed(connection: Any) -> AsyncIterator[None]:
    """Make sure that what is committed meanwhile is as safe as the server's settings promise.

    If an operator makes PostgreSQL stop waiting for a standby, it answers COMMIT as usual, but with a warning. If that
    standby then takes over, the change is lost. If the tables are distributed, it is the same with a node that was lost
    at this moment.

    Raises:
        Unavailable: the change is perhaps not saved, or not as safely as it should be.
    """
    warnings: list[Any] = []

    def take(_connection: Any, message: Any) -> None:
        warnings.append(message)

    connection.add_log_listener(take)
    try:
        yield
    except asyncpg.PostgresError as error:
        if any(UNCONFIRMED.search(str(warning.message)) for warning in warnings):
            raise Unavailable(UNCERTAIN) from error
        raise
    finally:
        with suppress(asyncpg.InterfaceError):  # the connection is gone, and its listeners with it
            connection.remove_log_listener(take)
    if any(UNCONFIRMED.search(str(warning.message)) for warning in warnings):
        raise Unavailable(UNCERTAIN)


async def _roll_back(connection: Any) -> None:
    """Roll back. If that fails, close the connection, which has the same effect."""
    try:
        async with asyncio.timeout(connections.CONNECTION_WAIT_SECONDS):
            await connection.execute("ROLLBACK")
    except Exception:  # noqa: BLE001 - the caller gets the first error
        postgres.drop(connection)


async def _sqlite_unit(
    end: _End, work: Callable[..., Awaitable[T]], *args: Any, **kwargs: Any
) -> tuple[T, frozenset[str]]:
    async def run(raw: sqlite3.Connection) -> tuple[T, frozenset[str]]:
        unit = Transaction(raw)
        return await work(unit, *args, **kwargs), unit.topics

    async with connections.connection(SQLITE_WRITER) as connection:
        return await hops.unit(connection, end, run, check=connections.file().check)


_is_suspect = False
"""A write has failed since one was last seen to succeed, and the failure may last."""


def _note(failure: Failure) -> None:
    global _is_suspect  # noqa: PLW0603
    lasting = {Failure.FULL} if is_postgres() else {Failure.FULL, Failure.READ_ONLY, Failure.AWAY}
    _is_suspect = _is_suspect or failure in lasting


async def ping() -> None:
    """Ask the database whether it answers and takes writes.

    On SQLite this takes the write lock for a moment. It writes only if a write has failed before: to know whether there
    is room again.

    Raises:
        Unavailable: it does not.
    """
    global _is_suspect  # noqa: PLW0603
    await statements.ping()
    if _is_suspect:
        with suppress(room.Enough):
            await transaction(room.find_on_server if is_postgres() else room.find_in_file)
        _is_suspect = False
    if not is_postgres():
        await transaction(_write_nothing)


async def _write_nothing(_tx: Transaction) -> None:
    pass


async def settle(seconds: float) -> None:
    """Wait for the units of work in progress."""
    if _under_way:
        await asyncio.wait(_under_way, timeout=seconds)
