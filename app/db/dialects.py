"""The differences between SQLite and PostgreSQL: placeholders, lists, row sets, and the form of values.

Statements are written once, in PostgreSQL's spelling with `$1` placeholders. If the two need different SQL, a function
here returns it.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from itertools import repeat
from types import MappingProxyType
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


class Each(list[Any]):
    """A parameter of a statement that SQLite runs for each of its values."""


@lru_cache(maxsize=512)
def sqlite_numbered(sql: str) -> tuple[str, tuple[int, ...]]:
    """A statement with its placeholders numbered from 1, and the numbers that they had."""
    numbers = sorted({int(number) for number in _PLACEHOLDER.findall(sql)})
    places = {str(number): place for place, number in enumerate(numbers, start=1)}
    return _PLACEHOLDER.sub(lambda found: f"?{places[found[1]]}", sql), tuple(numbers)


def sqlite_runs(values: Sequence[Any]) -> list[tuple[Any, ...]]:
    """The parameters of each run. At least one of the values is `Each`."""
    spelled: dict[Any, str] = {}  # most instants of a unit of work are the same

    def column(values: Each) -> Iterable[Any]:
        if not any(value.__class__ is datetime for value in values):
            return values
        for value in values:
            if value is not None and value not in spelled:
                spelled[value] = clock.spelled(value)
        return [None if value is None else spelled[value] for value in values]

    # the shortest ends it: a value that is not Each is repeated
    return list(zip(*[column(value) if isinstance(value, Each) else repeat(sqlite_value(value)) for value in values]))  # noqa: B905


def literals(values: Sequence[Any]) -> str:
    """Values in brackets, as a part of a statement for PostgreSQL.

    Raises:
        ValueError: one is neither a plain text (letters, digits, spaces, hyphens) nor a list of such texts.
    """
    lists = [[value] if isinstance(value, str) else value for value in values]
    if not all(isinstance(text, str) and PLAIN.fullmatch(text) for listed in lists for text in listed):
        raise ValueError("only plain texts can be a part of a statement")
    told = (f"'{value}'" if isinstance(value, str) else f"'{{{','.join(value)}}}'" for value in values)
    return f"({', '.join(told)})"


def together(writings: Sequence[str], answer: str = "SELECT 1 AS one") -> str:
    """One statement of writing ones that change different rows, for PostgreSQL.

    Args:
        writings: the statements.
        answer: a query, whose rows are returned. It sees the rows as they were before.
    """
    parts = ", ".join(f"writing_{number} AS ({sql})" for number, sql in enumerate(writings))
    return f"WITH {parts} {answer}"


def sqlite_value(value: Any) -> Any:
    if isinstance(value, datetime):
        return clock.spelled(value)
    if isinstance(value, (list, tuple, set, frozenset)):
        return orjson.dumps(list(value)).decode()
    return value


def array_value(values: Sequence[Any]) -> str:
    """The parameter of `array`: PostgreSQL's text for it. It is JSON in other brackets, except for control characters.

    The driver takes ten times as long for a list.
    """
    listed = orjson.dumps(values).decode()[1:-1]
    if "\\" in listed and "\\" in listed.replace("\\\\", "").replace('\\"', ""):
        listed = ",".join(map(_quoted, values))
    return f"{{{listed}}}"


def _quoted(text: str | None) -> str:
    return "NULL" if text is None else '"{}"'.format(text.replace("\\", "\\\\").replace('"', '\\"'))


def is_instant(column: str) -> bool:
    """Columns that hold an instant are named tm_… or …_at; a test checks this for the models.

    A statement that joins may name a column with its table: "target.tm_create".
    """
    name = column.rpartition(".")[2]
    return name.endswith("_at") or name.startswith("tm_")


def sqlite_rows(rows: Sequence[Any]) -> list[Mapping[str, Any]]:
    """Rows of the module sqlite3 as dictionaries, instants as aware UTC datetimes."""
    if not rows:
        return []
    names = rows[0].keys()
    # a quarter of the time of dict(row), which looks each value up by its name
    listed: list[Any] = [dict(zip(names, row, strict=True)) for row in rows]
    instants = [name for name in names if is_instant(name)]
    for row in listed:
        for column in instants:
            text = row[column]
            if text is not None:
                row[column] = datetime.fromisoformat(text)
    return listed


def array(placeholder: str, kind: str) -> str:
    """For PostgreSQL: an array, for FROM, made of the text of `array_value`. A condition would read it for each row."""
    return f"CAST(CAST({placeholder} AS text) AS {postgres_type(kind)}[])"


def any_of(dialect: Dialect, placeholder: str, kind: str = "uuid") -> str:
    """The right side of `column …` that is true for each element of a list parameter."""
    if dialect is Dialect.POSTGRES:
        return f"= ANY(CAST({placeholder} AS {postgres_type(kind)}[]))"
    return f"IN (SELECT value FROM json_each({placeholder}))"


def any_found(dialect: Dialect, query: str) -> str:
    """The right side of `column …` that is true for each row of a query that finds few.

    PostgreSQL runs it first then: otherwise it might look up each row of the outer query in it.
    """
    return f"= ANY(ARRAY({query}))" if dialect is Dialect.POSTGRES else f"IN ({query})"


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
    return _columnset(dialect, tuple(columns.items()), alias, first)


# for one row, the text took as long as all else that makes its statement
@lru_cache(maxsize=512)
def _columnset(dialect: Dialect, columns: tuple[tuple[str, str], ...], alias: str, first: int) -> str:
    names = [name for name, _ in columns]
    if dialect is Dialect.POSTGRES:
        lists = ", ".join(array(f"${first + number}", kind) for number, (_, kind) in enumerate(columns))
        return f"unnest({lists}) WITH ORDINALITY AS {alias}({', '.join(names)}, ord)"
    extracted = ", ".join(f"json_extract(value, '$[{number}]') AS {name}" for number, name in enumerate(names))
    return f"(SELECT {extracted}, key AS ord FROM json_each(${first})) AS {alias}"


def columnset_values(dialect: Dialect, columns: Iterable[Sequence[Any]]) -> list[Any]:
    """The parameters of `columnset`: the values of each column, JSON as text."""
    if dialect is Dialect.POSTGRES:
        return [array_value(values) for values in columns]
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


def per_parent(
    dialect: Dialect, parents: int, branch: str, *, first: int, beside: Mapping[str, str] = MappingProxyType({})
) -> str:
    """One statement that runs `branch` for each of several parents, so that each has its own LIMIT.

    For one parent it is `branch` itself, so its rows are in its order. Otherwise no order is certain.

    Args:
        dialect: which database.
        parents: how many there are.
        branch: a SELECT with `{parent}` where the parent's id belongs, and `{beside}` after its columns.
        first: the number of the first placeholder that is free. PostgreSQL takes a list of parents as this parameter.
            SQLite has no LATERAL and takes each parent as its own parameter.
        beside: columns by their names, in each of the parent's rows: a SELECT with `{parent}` that reads at most one
            row and runs once for each parent.
    """
    if parents == 1:
        place = f"${first}"
        columns = "".join(f", ({query.format(parent=place)}) AS {name}" for name, query in beside.items())
        return branch.format(parent=place, beside=columns)
    if dialect is Dialect.POSTGRES:
        lateral, listed = branch.format(parent="parent.id", beside=""), f"unnest(CAST(${first} AS uuid[]))"
        if not beside:
            return f"SELECT page.* FROM {listed} AS parent(id) CROSS JOIN LATERAL ({lateral}) AS page"
        columns = ", ".join(f"({query.format(parent='given.id')}) AS {name}" for name, query in beside.items())
        names = ", ".join(f"parent.{name}" for name in beside)
        # OFFSET 0: otherwise PostgreSQL would run them again for each row of the page
        once = f"(SELECT given.id, {columns} FROM {listed} AS given(id) OFFSET 0) AS parent"
        return f"SELECT page.*, {names} FROM {once} CROSS JOIN LATERAL ({lateral}) AS page"
    places = [f"${first + index}" for index in range(parents)]
    return " UNION ALL ".join(
        f"SELECT *{''.join(f', ({query.format(parent=place)}) AS {name}' for name, query in beside.items())}"
        f" FROM ({branch.format(parent=place, beside='')})"
        for place in places
    )


def per_parent_values(dialect: Dialect, parents: Sequence[str]) -> list[Any]:
    return [list(parents)] if dialect is Dialect.POSTGRES and len(parents) != 1 else list(parents)
