"""Tortoise's models on our own statements: a model's SQL is counted, seen, bounded and rolled back like any other.

`tx.orm` is a connection for `using_db` whose statements belong to that unit of work; `reader()` is one for reading
outside of any. A model that names neither is refused: Tortoise would give it a connection of its own, which on SQLite
waits for the unit that holds it, and which no count, no test of tenancy and no rollback knows.

One row of a table that is not hot goes this way. Many rows, a choosing lock, a page and everything that a dialer
waits for are SQL: a model costs seven times what a row costs.
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
    """What Tortoise takes for a connection: it makes the SQL, and `run` sends it."""

    def __init__(self, run: Run) -> None:
        # Tortoise keeps the text of statements by this name, and the two databases spell them differently
        super().__init__(f"statements on {dialect()}")
        self._run = run
        client = AsyncpgDBClient if is_postgres() else SqliteClient
        self.query_class = client.query_class
        self.executor_class = client.executor_class
        self.schema_generator = client.schema_generator
        self.capabilities = client.capabilities

    async def execute_query(self, query: str, values: list[Any] | None = None) -> tuple[int, Sequence[Any]]:
        """The number of rows that were changed or found, and those that were found."""
        rows = await self.execute_query_dict(query, values)
        return len(rows), rows

    async def execute_query_dict(self, query: str, values: list[Any] | None = None) -> list[Any]:
        if query.startswith(("UPDATE", "DELETE")):
            query += " RETURNING 1 AS one"  # neither driver's rows say how many were changed
        return list(await self._run(query, values or ()))

    async def execute_insert(self, query: str, values: list[Any]) -> Any:
        rows = await self._run(query, values)
        return rows[0] if rows else None


def reader() -> StatementClient:
    """A connection for models that are read outside of any unit of work."""
    return StatementClient(_read)


async def _read(sql: str, args: Sequence[Any]) -> Sequence[Row]:
    if not sql.startswith("SELECT"):
        raise RuntimeError("A model is written in a unit of work: using_db=tx.orm.")
    return await statements.fetch(sql, *args)


class NoOtherConnection:
    """Tortoise asks it for the connection of a model that names none."""

    def db_for_read(self, model: type[Model]) -> NoReturn:
        raise RuntimeError(f"{model.__name__} names no connection: using_db=tx.orm, or db.reader() to read alone.")

    db_for_write = db_for_read
