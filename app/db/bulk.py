"""New rows of a table, given column by column, in the form in which each database takes many of them fastest. Pure.

A thousand rows are mostly the same value in most columns. Such a column is written once for all rows.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from itertools import chain, groupby, repeat
from typing import Any

from app.db import dialects

BLOCK_ROWS = 100
"""Rows of one statement on SQLite: half the time of one statement for each row, and 200 are no faster."""


Columns = Mapping[str, Sequence[Any]]
"""The values of each column by its name."""


def count(columns: Columns) -> int:
    """How many rows these are."""
    return len(next(iter(columns.values())))


def _is_fixed(values: Sequence[Any]) -> bool:
    return values.count(values[0]) == len(values)


def insert_one(table: str, columns: Iterable[str]) -> str:
    """The statement that inserts one row."""
    names = list(columns)
    values = ", ".join(f"${number}" for number in range(1, len(names) + 1))
    return f"INSERT INTO {table} ({', '.join(names)}) VALUES ({values})"


# ---------------------------------------------------------------- PostgreSQL


def copy_text(columns: Columns) -> bytes:
    """The rows in COPY's text format, with the columns in the order given."""
    cells: list[Iterable[str]] = []
    for is_fixed, group in groupby(columns.values(), key=_is_fixed):
        if is_fixed:  # once for all rows, and for all such columns beside each other
            cells.append(repeat("\t".join(_copied(values[:1])[0] for values in group), count(columns)))
        else:
            cells.extend(map(_copied, group))
    return "\n".join(map("\t".join, zip(*cells, strict=True))).encode() + b"\n"


def _copied(values: Sequence[Any]) -> list[str]:
    """A column's values in COPY's text format."""
    given = [value for value in values if value is not None]
    if not given:
        spelled: list[str] = []
    elif isinstance(given[0], str):
        spelled = _escaped(given)
    elif isinstance(given[0], datetime):
        spelled = [value.isoformat() for value in given]
    else:
        spelled = [str(value) for value in given]
    if len(given) == len(values):
        return spelled
    rest = iter(spelled)
    return [r"\N" if value is None else next(rest) for value in values]


def _escaped(texts: list[str]) -> list[str]:
    """All texts at once, joined by the one character that no stored text has."""
    joined = "\0".join(texts)
    if joined.count("\0") >= len(texts):
        raise ValueError("Text must not contain the character NUL.")
    if not any(special in joined for special in "\\\t\n\r"):
        return texts
    # Source: PostgreSQL, COPY, text format.
    escaped = joined.replace("\\", r"\\").replace("\t", r"\t").replace("\n", r"\n").replace("\r", r"\r")
    return escaped.split("\0")


# ---------------------------------------------------------------- SQLite


def sqlite_inserts(table: str, columns: Columns) -> Iterator[tuple[str, list[Any]]]:
    """The statements that insert the rows, with their parameters. A column with only null is left out."""
    fixed = {name: dialects.sqlite_value(values[0]) for name, values in columns.items() if _is_fixed(values)}
    varying = {name: _spelled(values) for name, values in columns.items() if name not in fixed}
    given = {name: value for name, value in fixed.items() if value is not None}
    rows = list(zip(*varying.values(), strict=True)) or [()] * count(columns)
    for start in range(0, len(rows), BLOCK_ROWS):
        block = rows[start : start + BLOCK_ROWS]
        sql = _sqlite_insert(table, tuple(given), tuple(varying), len(block))
        yield sql, [*given.values(), *chain.from_iterable(block)]


def _spelled(values: Sequence[Any]) -> Sequence[Any]:
    return [dialects.sqlite_value(value) for value in values] if _has_instants(values) else values


def _has_instants(values: Sequence[Any]) -> bool:
    return isinstance(next((value for value in values if value is not None), None), datetime)


@lru_cache(maxsize=64)
def _sqlite_insert(table: str, fixed: tuple[str, ...], varying: tuple[str, ...], rows: int) -> str:
    line = f"({', '.join('?' * len(varying) or ['NULL'])})"
    values = ", ".join(["?"] * len(fixed) + [f"column{number}" for number in range(1, len(varying) + 1)])
    names = ", ".join((*fixed, *varying))
    return f"INSERT INTO {table} ({names}) SELECT {values} FROM (VALUES {', '.join([line] * rows)})"
