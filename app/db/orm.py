"""Tortoise's models on our own statements: their SQL is counted, tested, bounded and rolled back like any other.

`tx.orm` is a connection for `using_db` whose statements belong to that unit of work; `reader()` is one for reading
outside of units. A model that names neither is refused: Tortoise would give it its own connection. On SQLite that one
waits for the unit in progress, and counts, the tenancy test and rollbacks do not include it.

Use a model for one row of a table that is not hot. Many rows, a lock that chooses rows, a page and everything that a
dialer waits for are SQL: a model costs seven times as much as a row.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NoReturn

from tortoise import Model
from tortoise.backends.asyncpg.client import AsyncpgDBClient
from tortoise.backends.base.client import BaseDBAsyncClient
from tortoise.backends.sqlite.client import SqliteClient

from app.db import statements
from app.db.connections import dialect, is_postgres
from app.db.statements import Row

Run = Callable[[str, Sequence[Any]], Awaitable[Sequence[Row]]]


class StatementClient(BaseDBAsyncClient):
    """A connection as Tortoise expects it: Tortoise makes the SQL, and `run` sends it."""

    def __init__(self, run: Run) -> None:
        # Tortoise caches statements by this name, and they differ between the two databases
        super().__init__(f"statements on {dialect()}")
        self._run = run
        client = AsyncpgDBClient if is_postgres() else SqliteClient
        self.query_class = client.query_class
        self.executor_class = client.executor_class
        self.schema_generator = client.schema_generator
        self.capabilities = client.capabilities

    async def execute_query(self, query: str, values: list[Any] | None = None) -> tuple[int, Sequence[Any]]:
        """The number of rows that were changed or found, and the rows found."""
        rows = await self.execute_query_dict(query, values)
        return len(rows), rows

    async def execute_query_dict(self, query: str, values: list[Any] | None = None) -> list[Any]:
        if query.startswith(("UPDATE", "DELETE")):
            query += " RETURNING 1 AS one"  # neither driver returns the number of changed rows
        return list(await self._run(query, values or ()))

    async def execute_insert(self, query: str, values: list[Any]) -> Any:
        rows = await self._run(query, values)
        return rows[0] if rows else None


def reader() -> StatementClient:
    """A connection for models that are read outside of units of work."""
    return StatementClient(_read)


async def _read(sql: str, args: Sequence[Any]) -> Sequence[Row]:
    if not sql.startswith("SELECT"):
        raise RuntimeError("Write a model in a unit of work, with using_db=tx.orm.")
    return await statements.fetch(sql, *args)


class NoOtherConnection:
    """Tortoise asks this for the connection of a model that names none."""

    def db_for_read(self, model: type[Model]) -> NoReturn:
        raise RuntimeError(f"{model.__name__} names no connection. Pass using_db=tx.orm, or db.reader() to read alone.")

    db_for_write = db_for_read
