"""SQL in the words of the database that this process serves; `dialects` has those of both."""

from collections.abc import Mapping, Sequence
from typing import Any

from app.db import dialects
from app.db.connections import dialect, is_postgres


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
