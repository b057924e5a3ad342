"""A unit of work as its statements see it: what it sends, locks, stores and wakes. `app.db.units` runs it."""

import io
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import chain, islice
from typing import Any

from app import clock
from app.db import bulk, connections, dialects, locks, nodes, statements
from app.db.connections import is_postgres
from app.db.orm import StatementClient


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
        return statements.plain(await statements.run(self._connection, sql, args))

    async def _begin(self) -> None:
        if not self.is_begun:
            self.is_begun = True
            await self._connection.execute("BEGIN")

    async def open(self, sql: str, *args: Any) -> int:
        """Send a statement, in one trip with BEGIN if it is the first one. Returns the number of its rows.

        Args:
            sql: of which only the number of rows is needed.
            args: ids, names and lists of ids: they become a part of the text that is sent.
        """
        if self.is_begun:
            return len(await self.fetch(sql, *args))
        self.is_begun = True
        return len(await statements.run(self._connection, f"BEGIN; {sql}", args))

    async def send(self, writings: Sequence[str], values: Sequence[Any]) -> None:
        """Send writing statements that do not need each other's rows: together to PostgreSQL, in turn to SQLite.

        Args:
            writings: their placeholders are numbered through all of them. They change different rows.
            values: of the placeholders.
        """
        if not is_postgres():
            for sql in writings:
                statements.run_each(self._connection, sql, values)
        elif len(writings) == 1:
            await self.fetch(writings[0], *values)
        elif writings:
            await self.fetch(dialects.together(writings), *values)

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

    async def lock(
        self, customer_id: str, *, exclusive: Sequence[str] = (), shared: Sequence[str] = (), alone: bool = False
    ) -> bool:
        """Wait for locks that the end of the transaction releases. On SQLite the transaction itself is such a lock.

        Each unit of work calls this before it writes. The first call also takes the writers' lock, which readers of the
        log look for (`app.events.log`): it must be taken before the transaction has an id. All locks are taken where
        the customer's rows are, because the statement names one of them.

        All units of work of a customer share the customer's lock, except one that is `alone`: none of the others is
        under way while it changes what all of them decide by.

        The queue for a lock is fair: a stream of shared holders does not starve an exclusive one, as row locks would.

        Args:
            customer_id: whose data the unit writes.
            exclusive: names of locks, taken first, in this order.
            shared: names of locks that others can share.
            alone: no other unit of work of the customer has locks meanwhile. For the first call.

        Returns:
            Whether the customer is known. If not, it has no data, and no lock is taken.
        """
        if not is_postgres():
            if self.writes_of is not None:
                return True
            found = await self.fetch("SELECT 1 AS one FROM customer WHERE customer_id = $1", customer_id)
            self.writes_of = customer_id if found else None
            return bool(found)
        names = [f"${number}" for number in range(2, 2 + len(exclusive) + len(shared))]
        if self.writes_of is not None and not names:
            return True
        await self.stay(customer_id)
        sql = locks.locking(
            names[: len(exclusive)], names[len(exclusive) :], writers=self.writes_of is None, alone=alone
        )
        # two rows if it has moved: of a statement that goes with BEGIN only their number is known
        rows = await self.open(sql, customer_id, *map(locks.lock_name, (*exclusive, *shared)))
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
