"""The differences between SQLite and PostgreSQL: placeholders, lists, row sets, and the form of values.

Statements are written once, in PostgreSQL's spelling with `$1` placeholders. If the two need different SQL, a function
here returns it.
"""

import re
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

import orjson

from app import clock
from app.database_url import Dialect

type_names = {"uuid", "text", "integer", "bigint", "instant", "json"}
"""The column types that the schema uses."""


_PLACEHOLDER = re.compile(r"\$(\d+)")
PLAIN = re.compile(r"[A-Za-z0-9 -]+")
"""A text that can be a part of a statement as it is."""
_POSTGRES_TYPES = {"instant": "timestamptz", "json": "jsonb"}


def postgres_type(kind: str) -> str:
    return _POSTGRES_TYPES.get(kind, kind)


@lru_cache(maxsize=512)
def sqlite_placeholders(sql: str) -> str:
    """To SQLite, `$1` is a named parameter; `?1` is the same by position."""
    return _PLACEHOLDER.sub(r"?\1", sql)


def with_values(sql: str, values: Sequence[Any]) -> str:
    """The statement with its values in its text, for PostgreSQL.

    Raises:
        ValueError: a value is neither a plain text (letters, digits, spaces, hyphens) nor a list of such texts.
    """

    def literal(found: re.Match[str]) -> str:
        value = values[int(found[1]) - 1]
        listed = [value] if isinstance(value, str) else value
        if not all(isinstance(text, str) and PLAIN.fullmatch(text) for text in listed):
            raise ValueError("only plain texts can be a part of a statement")
        return f"'{value}'" if isinstance(value, str) else f"'{{{','.join(listed)}}}'"

    return _PLACEHOLDER.sub(literal, sql)


@lru_cache(maxsize=512)
def placeholders_in(sql: str) -> int:
    """The highest number of a placeholder: SQLite takes exactly as many values."""
    return max((int(number) for number in _PLACEHOLDER.findall(sql)), default=0)


def sqlite_value(value: Any) -> Any:
    if isinstance(value, datetime):
        return clock.spelled(value)
    if isinstance(value, (list, tuple, set, frozenset)):
        return orjson.dumps(list(value)).decode()
    return value


def is_instant(column: str) -> bool:
    """Columns that hold an instant are named tm_… or …_at; a test checks this for the models.

    A statement that joins may name a column with its table: "target.tm_create".
    """
    name = column.rpartition(".")[2]
    return name.endswith("_at") or name.startswith("tm_")


def sqlite_rows(rows: Iterable[sqlite3.Row]) -> list[dict[str, Any]]:
    """Rows as dictionaries, instants as aware UTC datetimes."""
    listed = [dict(row) for row in rows]
    if not listed:
        return listed
    instants = [column for column in listed[0] if is_instant(column)]
    for row in listed:
        for column in instants:
            text = row[column]
            if text is not None:
                row[column] = datetime.fromisoformat(text)
    return listed


def any_of(dialect: Dialect, placeholder: str, kind: str = "uuid") -> str:
    """The right side of `column …` that is true for each element of a list parameter."""
    if dialect is Dialect.POSTGRES:
        return f"= ANY(CAST({placeholder} AS {postgres_type(kind)}[]))"
    return f"IN (SELECT value FROM json_each({placeholder}))"


def rowset(dialect: Dialect, placeholder: str, columns: Mapping[str, str], alias: str) -> str:
    """A table, for FROM, made of one JSON parameter: many rows in one statement, on both databases.

    Args:
        dialect: which database.
        placeholder: of the parameter that `rowset_value` made.
        columns: the type of each column by its name.
        alias: the table's name in the statement. A column `ord` numbers its rows from 0 in SQLite only.
    """
    if dialect is Dialect.POSTGRES:
        typed = ", ".join(f"{name} {postgres_type(kind)}" for name, kind in columns.items())
        return f"jsonb_to_recordset(CAST({placeholder} AS jsonb)) AS {alias}({typed})"
    extracted = ", ".join(
        # ->> would turn a nested document into text; json_extract returns an object as JSON text
        f"json_extract(value, '$.{name}') AS {name}"
        for name in columns
    )
    return f"(SELECT {extracted} FROM json_each({placeholder})) AS {alias}"


def rowset_value(dialect: Dialect, rows: Sequence[Mapping[str, Any]]) -> str:
    """The parameter of `rowset`: rows as JSON, instants spelled as the database stores them.

    JSON columns are given as Python values (a mapping or a list), not as text.
    """
    if dialect is Dialect.POSTGRES:
        return orjson.dumps(rows).decode()
    return orjson.dumps(rows, default=_sqlite_default, option=orjson.OPT_PASSTHROUGH_DATETIME).decode()


def _sqlite_default(value: Any) -> str:
    if isinstance(value, datetime):
        return clock.spelled(value)
    raise TypeError(type(value).__name__)


def columnset(dialect: Dialect, columns: Mapping[str, str], alias: str, *, first: int) -> str:
    """A table, for FROM, made of lists, one for each column. Faster than `rowset` if there are many rows.

    Args:
        dialect: which database.
        columns: the type of each column by its name.
        alias: the table's name in the statement. Its column `ord` numbers the rows.
        first: the number of the first placeholder that is free. The parameters are those of `columnset_values`.
    """
    if dialect is Dialect.POSTGRES:
        typed = ", ".join(f"CAST({name} AS {postgres_type(kind)}) AS {name}" for name, kind in columns.items())
        lists = ", ".join(
            f"CAST(${first + number} AS {_listed(kind)}[])" for number, kind in enumerate(columns.values())
        )
        names = ", ".join(columns)
        return f"(SELECT {typed}, ord FROM unnest({lists}) WITH ORDINALITY AS given({names}, ord)) AS {alias}"
    extracted = ", ".join(f"json_extract(value, '$[{number}]') AS {name}" for number, name in enumerate(columns))
    return f"(SELECT {extracted}, key AS ord FROM json_each(${first})) AS {alias}"


def _listed(kind: str) -> str:
    """Lists of ids and of JSON are sent as text, which the driver encodes fastest."""
    return "text" if kind in {"uuid", "json"} else postgres_type(kind)


def columnset_values(dialect: Dialect, columns: Iterable[Sequence[Any]]) -> list[Any]:
    """The parameters of `columnset`: the values of each column, JSON as text."""
    if dialect is Dialect.POSTGRES:
        return list(columns)
    lines = list(zip(*columns, strict=True))
    return [orjson.dumps(lines, default=_sqlite_default, option=orjson.OPT_PASSTHROUGH_DATETIME).decode()]


def staged(placeholder: str, columns: Mapping[str, str]) -> str:
    """For SQLite: a table, for FROM, made of one JSON parameter that holds a list of lists, in the columns' order."""
    extracted = ", ".join(f"json_extract(value, '$[{number}]') AS {name}" for number, name in enumerate(columns))
    return f"(SELECT {extracted} FROM json_each({placeholder})) AS staged"


def staging_table(name: str, columns: Mapping[str, str]) -> str:
    """For PostgreSQL: creates the table that COPY fills, once for each connection. It is empty after each commit."""
    typed = ", ".join(f"{column} {postgres_type(kind)}" for column, kind in columns.items())
    return f"CREATE TEMPORARY TABLE IF NOT EXISTS {name} ({typed}) ON COMMIT DELETE ROWS"


def per_parent(dialect: Dialect, parents: int, branch: str, *, first: int) -> str:
    """One statement that runs `branch` for each of several parents, so that each has its own LIMIT.

    Args:
        dialect: which database.
        parents: how many there are.
        branch: a SELECT with `{parent}` where the parent's id belongs.
        first: the number of the first placeholder that is free. PostgreSQL takes the list of parents as this parameter.
            SQLite has no LATERAL and takes each parent as its own parameter.
    """
    if dialect is Dialect.POSTGRES:
        lateral = branch.format(parent="parent.id")
        return (
            f"SELECT page.* FROM unnest(CAST(${first} AS uuid[])) AS parent(id) CROSS JOIN LATERAL ({lateral}) AS page"
        )
    return " UNION ALL ".join(
        f"SELECT * FROM ({branch.format(parent=f'${first + index}')})" for index in range(parents)
    )


def per_parent_values(dialect: Dialect, parents: Sequence[str]) -> list[Any]:
    return [list(parents)] if dialect is Dialect.POSTGRES else list(parents)
