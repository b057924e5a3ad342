"""SQL for the database that this process serves; `dialects` has the SQL of both."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from app.db import dialects
from app.db.connections import dialect, is_postgres


def any_of(placeholder: str, kind: str = "uuid") -> str:
    return dialects.any_of(dialect(), placeholder, kind)


def typed(placeholder: str, kind: str) -> str:
    """A parameter whose type PostgreSQL needs to know. SQLite gets no cast: it would turn an id into a number."""
    return f"CAST({placeholder} AS {dialects.postgres_type(kind)})" if is_postgres() else placeholder


def rowset(placeholder: str, columns: Mapping[str, str], alias: str) -> str:
    return dialects.rowset(dialect(), placeholder, columns, alias)


def rows_value(rows: Sequence[Mapping[str, Any]]) -> str:
    return dialects.rowset_value(dialect(), rows)


def columnset(columns: Mapping[str, str], alias: str, *, first: int) -> str:
    return dialects.columnset(dialect(), columns, alias, first=first)


def columnset_values(columns: Iterable[Sequence[Any]]) -> list[Any]:
    return dialects.columnset_values(dialect(), columns)


def for_update(words: str = "FOR UPDATE") -> str:
    """Row locks on PostgreSQL. Empty on SQLite, where the transaction already has the only write lock."""
    return words if is_postgres() else ""
