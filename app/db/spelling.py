"""SQL for the database that this process serves; `dialects` has the SQL of both."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from app import clock
from app.db import dialects
from app.db.connections import dialect, is_postgres


def any_of(placeholder: str, kind: str = "uuid") -> str:
    return dialects.any_of(dialect(), placeholder, kind)


def any_found(query: str) -> str:
    return dialects.any_found(dialect(), query)


def typed(placeholder: str, kind: str) -> str:
    """A parameter whose type PostgreSQL needs to know. SQLite gets no cast: it would turn an id into a number."""
    return f"CAST({placeholder} AS {dialects.postgres_type(kind)})" if is_postgres() else placeholder


def differs(column: str, placeholder: str, kind: str) -> str:
    """A condition: a column has another value than a parameter. Null is a value like others."""
    if is_postgres():
        return f"{column} IS DISTINCT FROM {typed(placeholder, kind)}"
    if kind == "json":  # however it is spelled
        return f"json({column}) IS NOT json({placeholder})"
    return f"{column} IS NOT {placeholder}"


def rowset(placeholder: str, columns: Mapping[str, str], alias: str) -> str:
    return dialects.rowset(dialect(), placeholder, columns, alias)


def rows_value(rows: Sequence[Mapping[str, Any]]) -> str:
    return dialects.rowset_value(dialect(), rows)


def columnset(columns: Mapping[str, str], alias: str, *, first: int) -> str:
    return dialects.columnset(dialect(), columns, alias, first=first)


def columnset_values(columns: Iterable[Sequence[Any]]) -> list[Any]:
    return dialects.columnset_values(dialect(), columns)


def table_of(
    columns: Mapping[str, Sequence[Any]], kinds: Mapping[str, str], alias: str, parameter: Callable[[Any], str]
) -> str:
    """Columns as a table, for FROM, with the parameters that it needs. For a statement of `Transaction.send`.

    On SQLite the table has one row, and the statement runs for each.

    Args:
        columns: the values of each column by its name, JSON as text.
        kinds: the type of each column of the table by its name.
        alias: the table's name in the statement. Its column `ord` numbers the rows.
        parameter: registers a value and gives its placeholder.
    """
    if not is_postgres():
        given = ", ".join(f"{parameter(dialects.Each(columns[name]))} AS {name}" for name in kinds)
        return f"(SELECT {given}, 0 AS ord) AS {alias}"
    placeholders = [parameter(value) for value in columnset_values([columns[name] for name in kinds])]
    return columnset(kinds, alias, first=int(placeholders[0].removeprefix("$")))


def for_update(words: str = "FOR UPDATE") -> str:
    """Row locks on PostgreSQL. Empty on SQLite, where the transaction already has the only write lock."""
    return words if is_postgres() else ""


def json_list(values: str) -> str:
    """A JSON list of values."""
    return f"jsonb_build_array({values})" if is_postgres() else f"json_array({values})"


def json_lists(values: str) -> str:
    """An aggregate: a JSON list with a list of values for each row. Of no row, null or an empty list."""
    return f"jsonb_agg(jsonb_build_array({values}))" if is_postgres() else f"json_group_array(json_array({values}))"


def instant_now(placeholder: str) -> str:
    """The database's clock; `now_value` is the value of the parameter."""
    return f"clock_timestamp() + CAST({placeholder} AS interval)" if is_postgres() else placeholder


def now_value() -> Any:
    return clock.shift if is_postgres() else clock.now()


def later(instant: str, seconds: str) -> str:
    """An instant so many whole seconds later.

    Args:
        instant: in SQL.
        seconds: likewise.
    """
    if is_postgres():
        return f"{instant} + make_interval(secs => {seconds})"
    # SQLite's own functions know milliseconds. The fraction and the offset stay as they are.
    return (
        f"(strftime('%Y-%m-%d %H:%M:%S', substr({instant}, 1, 19), {seconds} || ' seconds') || substr({instant}, 20))"
    )


def instant_ago(placeholder: str) -> str:
    """The database's clock some time ago, when the statement began; `ago_value` is the value of the parameter.

    An index can search for it: to PostgreSQL it stays the same for a whole statement, unlike `instant_now`.
    """
    return f"statement_timestamp() + CAST({placeholder} AS interval)" if is_postgres() else placeholder


def ago_value(age: timedelta) -> Any:
    return clock.shift - age if is_postgres() else clock.now() - age
