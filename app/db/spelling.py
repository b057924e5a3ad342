"""SQL for the database that this process serves; `dialects` has the SQL of both."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import orjson

from app import clock
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


def table_of(
    rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str], alias: str, parameter: Callable[[Any], str]
) -> str:
    """Rows as a table, for FROM, with the parameters that it needs.

    Args:
        rows: with a value for each column; JSON as Python values.
        columns: the type of each column by its name.
        alias: the table's name in the statement. Its column `ord` numbers the rows.
        parameter: registers a value and gives its placeholder.
    """
    lists = [
        [None if row[name] is None else orjson.dumps(row[name]).decode() for row in rows]
        if kind == "json"
        else [row[name] for row in rows]
        for name, kind in columns.items()
    ]
    placeholders = [parameter(value) for value in columnset_values(lists)]
    return columnset(columns, alias, first=int(placeholders[0].removeprefix("$")))


def for_update(words: str = "FOR UPDATE") -> str:
    """Row locks on PostgreSQL. Empty on SQLite, where the transaction already has the only write lock."""
    return words if is_postgres() else ""


def json_list(values: str) -> str:
    """A JSON list of values."""
    return f"jsonb_build_array({values})" if is_postgres() else f"json_array({values})"


def instant_now(placeholder: str) -> str:
    """The database's clock; `now_value` is the value of the parameter."""
    return f"clock_timestamp() + CAST({placeholder} AS interval)" if is_postgres() else placeholder


def now_value() -> Any:
    return clock.shift if is_postgres() else clock.now()
