"""Units of work: statements that take effect together or not at all."""

import asyncio
import hashlib
import io
import sqlite3
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, islice
from typing import Any, Concatenate, ParamSpec, TypeVar

import asyncpg

from app import clock
from app.db import bulk, connections, dialects, hops, nodes, postgres, statements, telling
from app.db.configuration import POSTGRES, SQLITE_WRITER
from app.db.connections import Broken, is_postgres
from app.db.failures import UNCONFIRMED, Failure, unavailable
from app.db.orm import StatementClient
from app.errors import Unavailable

P = ParamSpec("P")
T = TypeVar("T")

ATTEMPTS_MAX = 5
"""Of a unit of work that PostgreSQL ended because of a deadlock."""
UNCERTAIN = (
    "The database did not confirm that the change is saved, so it may or may not be. "
    "Check before you send it again, or send it again with the same idempotency key."
)

WRITERS_CLASS, WRITERS_NUMBER = 223, 1
"""The two numbers of the lock that every unit of work shares while it writes to the log."""

_under_way: set[asyncio.Task[Any]] = set()


def writers_lock(*, shared: bool = True) -> str:
    """The lock of those that write to the log, in SQL for PostgreSQL. See `Transaction.lock`."""
    return f"pg_advisory_xact_lock{'_shared' if shared else ''}({WRITERS_CLASS}, {WRITERS_NUMBER})"


def named_lock(name: str, *, shared: bool = False) -> str:
    """The lock with a name, both in SQL for PostgreSQL."""
    return f"pg_advisory_xact_lock{'_shared' if shared else ''}(hashtextextended({name}, 0))"


class Changed(Exception):  # noqa: N818 - not an error: the unit runs again
    """What a unit of work has read is not what it has locked."""


def _lock_name(name: str) -> str:
    """The name, or its hash if a caller's text is in it that could not be a part of a statement."""
    return name if dialects.PLAIN.fullmatch(name) else hashlib.sha256(name.encode()).hexdigest()


class Transaction:
    """A unit of work in progress: statements that take effect together or not at all."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._topics: set[str] = set()
        self.writes_of: str | None = None
        """The customer whose data it writes, after `lock`."""
        self.is_begun = not is_postgres()
        """Whether BEGIN was sent. On SQLite it was sent before the work began."""

    async def fetch(self, sql: str, *args: Any) -> list[statements.Row]:
        await self._begin()
        return await statements.run(self._connection, sql, args)

    async def _begin(self) -> None:
        if not self.is_begun:
            self.is_begun = True
            await self._connection.execute("BEGIN")

    async def open(self, sql: str, *args: Any) -> int:
        """Send a statement, in one trip with BEGIN if it is the first one. Returns the number of its rows.

        Args:
            sql: of which only the number of rows is needed.
            args: ids, names and lists of ids: they become a part of the text.
        """
        if self.is_begun:
            return len(await self.fetch(sql, *args))
        self.is_begun = True
        return len(await statements.run(self._connection, f"BEGIN; {dialects.with_values(sql, args)}", ()))

    async def send(self, writings: Sequence[str], values: Sequence[Any]) -> None:
        """Send writing statements that do not need each other's rows: together to PostgreSQL, in turn to SQLite.

        Args:
            writings: their placeholders are numbered through all of them. They change different rows.
            values: of the placeholders.
        """
        if not is_postgres():
            for sql in writings:
                await self.fetch(sql, *values[: dialects.placeholders_in(sql)])
        elif len(writings) == 1:
            await self.fetch(writings[0], *values)
        elif writings:
            parts = ", ".join(f"writing_{number} AS ({sql})" for number, sql in enumerate(writings))
            await self.fetch(f"WITH {parts} SELECT 1 AS one", *values)

    @property
    def orm(self) -> StatementClient:
        """This unit of work, for a model's `using_db`."""
        return StatementClient(self._run)

    async def _run(self, sql: str, args: Sequence[Any]) -> list[statements.Row]:
        return await self.fetch(sql, *args)

    async def now(self) -> datetime:
        """The database's clock at this moment. Read it after the locks are taken."""
        if is_postgres():
            rows = await self.fetch("SELECT clock_timestamp() AS now_at")
            instant: datetime = rows[0]["now_at"] + clock.shift
            return instant
        return clock.now()

    async def lock(self, customer_id: str, *, exclusive: Sequence[str] = (), shared: Sequence[str] = ()) -> bool:
        """Wait for locks that the end of the transaction releases. On SQLite the transaction itself is such a lock.

        Each unit of work calls this before it writes. The first call also takes the writers' lock, which readers of the
        log look for (`app.events.log`): it must be taken before the transaction has an id. All locks are taken where
        the customer's rows are, because the statement names one of them.

        The queue for a lock is fair: a stream of shared holders does not starve an exclusive one, as row locks would.

        Args:
            customer_id: whose data the unit writes.
            exclusive: names of locks, taken first, in this order.
            shared: names of locks that others can share.

        Returns:
            Whether the customer is known. If not, it has no data, and no lock is taken.
        """
        if not is_postgres():
            if self.writes_of is not None:
                return True
            found = await self.fetch("SELECT 1 AS one FROM customer WHERE customer_id = $1", customer_id)
            self.writes_of = customer_id if found else None
            return bool(found)
        modes = [False] * len(exclusive) + [True] * len(shared)
        locks = [named_lock(f"${number}", shared=mode) for number, mode in enumerate(modes, start=2)]
        twice_if_moved = ""
        if self.writes_of is None:
            locks.insert(0, writers_lock())
            twice_if_moved = f"CROSS JOIN generate_series(1, CASE WHEN node <> {nodes.NODE} THEN 2 ELSE 1 END)"
        if not locks:
            return True
        await self.stay(customer_id)
        sql = f"SELECT {', '.join(locks)} FROM customer {twice_if_moved} WHERE customer_id = $1"
        # two rows if it has moved: of a statement that goes with BEGIN only their number is known
        rows = await self.open(sql, customer_id, *map(_lock_name, (*exclusive, *shared)))
        if rows and self.writes_of is None:
            await self.has_locked(customer_id, has_moved=rows > 1)
        return rows > 0

    async def stay(self, customer_id: str) -> None:
        """Keep the customer's rows at their node until the unit of work ends, if there are several nodes.

        Call it before the first lock. The first writing statement on a shard keeps Citus from moving it. With none
        before them, the parts of one statement could go to two nodes if the shard moves meanwhile, and a part be lost.
        This one changes no row, so it locks none and the transaction gets no id.
        """
        if connections.has_nodes() and self.writes_of is None:
            await self.fetch("UPDATE customer SET epoch = epoch WHERE customer_id = $1 AND epoch < 0", customer_id)

    async def has_locked(self, customer_id: str, *, has_moved: bool) -> None:
        """It has the writers' lock. Its events belong into an epoch of the database where the rows are now.

        Args:
            customer_id: whose data it writes.
            has_moved: whether the customer's node is another one than `nodes.NODE` beside its row.
        """
        self.writes_of = customer_id
        if has_moved:
            await nodes.enter(self, customer_id)

    async def stage(self, name: str, columns: Mapping[str, str], rows: bytes, *, placeholder: str) -> tuple[str, str]:
        """Many rows at once, as a table for one statement of this transaction.

        Args:
            name: of the table.
            columns: the type of each column by its name.
            rows: COPY's text on PostgreSQL, a JSON list of lists on SQLite.
            placeholder: of the parameter with the rows, if they are a parameter.

        Returns:
            The table, for FROM, and that parameter; "" if the rows are not sent as a parameter.
        """
        if not is_postgres():
            return dialects.staged(placeholder, columns), rows.decode()
        await self.fetch(dialects.staging_table(name, columns))
        await self._connection.copy_to_table(
            name,
            source=io.BytesIO(rows),
            columns=list(columns),
            format="text",
            timeout=connections.CONNECTION_WAIT_SECONDS,
        )
        return f"{name} AS staged", ""

    async def insert(self, table: str, parts: Iterable[bulk.Columns]) -> None:
        """Store new rows, given column by column.

        Args:
            table: whose rows they are.
            parts: each part is taken while PostgreSQL stores the one before. All have the same columns, with JSON as
                text. A column in which all are null may be left out, so it must have no other default.
        """
        coming = iter(parts)
        begun = list(islice(coming, 1))
        if begun and bulk.count(begun[0]) == 1:
            begun += islice(coming, 1)
        if not is_postgres():
            for part in chain(begun, coming):
                for sql, args in bulk.sqlite_inserts(table, part):
                    await statements.run(self._connection, sql, args)
        elif len(begun) == 1 and bulk.count(begun[0]) == 1:
            # one trip less than COPY, and always the same statement
            await self.fetch(bulk.insert_one(table, begun[0]), *(values[0] for values in begun[0].values()))
        elif begun:
            lines = map(bulk.copy_text, chain(begun, coming))
            await statements.copy(self._connection, table, list(begun[0]), lines)

    def wake(self, topic: str) -> None:
        """After the commit, wake the waiters of `topic` in every process."""
        self._topics.add(topic)

    @property
    def topics(self) -> frozenset[str]:
        """What `wake` was called with."""
        return frozenset(self._topics)


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
    task = asyncio.create_task(_unit(work, *args, **kwargs))
    _under_way.add(task)
    task.add_done_callback(_finished)
    return await asyncio.shield(task)


def _finished(task: asyncio.Task[Any]) -> None:
    _under_way.discard(task)
    if not task.cancelled():
        task.exception()  # mark the error as seen, also if the caller has left


async def _unit(work: Callable[..., Awaitable[T]], *args: Any, **kwargs: Any) -> T:
    for attempt in range(1, ATTEMPTS_MAX + 1):
        end = _End()
        try:
            result, topics = await (_postgres_unit if is_postgres() else _sqlite_unit)(end, work, *args, **kwargs)
        except (asyncpg.DeadlockDetectedError, asyncpg.SerializationError, Changed) as error:
            if attempt == ATTEMPTS_MAX:
                raise Unavailable("Too many changes to the same targets at once. Try again.") from error
        except Broken as broken:
            if end.commit_was_sent and broken.failure in {Failure.LOST, Failure.SILENT}:
                raise Unavailable(UNCERTAIN) from broken.__cause__
            if end.commit_was_sent or attempt >= statements.ATTEMPTS_MAX or not statements.may_run_again(broken):
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
    async with connections.connection(POSTGRES) as connection:
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


async def _commit(connection: Any) -> None:
    """Commit, and make sure that it is as safe as the server's settings promise.

    If an operator makes PostgreSQL stop waiting for a standby, it answers COMMIT as usual, but with a warning. If that
    standby then takes over, the change is lost. If the tables are distributed, it is the same with a node that was lost
    at this moment.

    Raises:
        Unavailable: the change is perhaps not saved, or not as safely as it should be.
        RuntimeError: a statement failed, the work went on all the same, and so nothing is saved.
    """
    warnings: list[Any] = []

    def take(_connection: Any, message: Any) -> None:
        warnings.append(message)

    connection.add_log_listener(take)
    try:
        answer = await connection.execute("COMMIT")
    finally:
        with suppress(asyncpg.InterfaceError):  # the connection is gone, and its listeners with it
            connection.remove_log_listener(take)
    if any(UNCONFIRMED.search(str(warning.message)) for warning in warnings):
        raise Unavailable(UNCERTAIN)
    if answer != "COMMIT":
        raise RuntimeError("PostgreSQL rolled the unit of work back: one of its statements had failed")


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
        return await hops.unit(connection, end, run)


async def settle(seconds: float) -> None:
    """Wait for the units of work in progress."""
    if _under_way:
        await asyncio.wait(_under_way, timeout=seconds)
