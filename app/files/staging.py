"""Checked rows in the form in which each database takes them in bulk, and the other data of a chunk. Pure."""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import orjson

from app import clock, rows
from app.files.drafting import CheckedRow
from app.lifecycle import DESTINATIONS
from app.records import CheckedTarget

COLUMNS: dict[str, str] = {
    "ord": "integer",
    "id": "uuid",
    "key": "text",
    "name": "text",
    "detail": "text",
    "data": "text",
    "priority": "integer",
    "max_try_counts": "json",
    "not_before_at": "instant",
    "time_zone": "text",
    **{f"destination_{index}": "json" for index in range(DESTINATIONS)},
}
"""Of a staged row; `ord` is its place in the chunk."""


def bulk(given: Sequence[CheckedRow], identities: Sequence[str], *, for_postgres: bool) -> bytes:
    """The rows as COPY's text for PostgreSQL, as a list of lists in JSON for SQLite.

    Args:
        given: the rows.
        identities: the ids that they get, in this order. There may be more ids than rows.
        for_postgres: for which database.
    """
    values = [
        _values(number, identity, row.target)
        for number, (identity, row) in enumerate(zip(identities, given, strict=False))
    ]
    if for_postgres:
        return "".join(map(_copy_line, values)).encode()
    return orjson.dumps(values, default=_instant, option=orjson.OPT_PASSTHROUGH_DATETIME)


def _values(number: int, identity: str, target: CheckedTarget) -> tuple[Any, ...]:
    return (
        number,
        identity,
        target.key,
        target.name,
        target.detail,
        target.data,
        target.priority,
        target.max_try_counts,
        target.not_before,
        target.time_zone,
        *[None if value is None else rows.destination_value(value) for value in target.destinations],
    )


def _instant(value: Any) -> str:
    if isinstance(value, datetime):
        return clock.spelled(value)
    raise TypeError(type(value).__name__)


# Source: PostgreSQL, COPY, text format.
_ESCAPES = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})


_ESCAPED = re.compile(r"[\\\t\n\r]")


def _copy_line(values: tuple[Any, ...]) -> str:
    return "\t".join([r"\N" if value is None else _copy_value(value) for value in values]) + "\n"


def _copy_value(value: Any) -> str:
    if isinstance(value, str):
        return value.translate(_ESCAPES) if _ESCAPED.search(value) else value
    if isinstance(value, int):
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat()
    text = orjson.dumps(value).decode()
    return text.translate(_ESCAPES) if "\\" in text else text  # JSON escapes the other signs with a backslash


# ---------------------------------------------------------------- for the check of duplicates


def mask(target: CheckedTarget) -> int:
    """Bit n is set if destination n is."""
    return sum([1 << index for index, value in enumerate(target.destinations) if value is not None])


def shapes(given: Sequence[CheckedRow]) -> tuple[list[dict[str, str]], list[int]]:
    """The file's names of the fields: each set once, and for each row the number of its set."""
    known: dict[int, int] = {}
    shown: list[dict[str, str]] = []
    numbers = []
    for row in given:
        number = known.setdefault(id(row.shown), len(shown))
        if number == len(shown):
            shown.append(dict(row.shown))
        numbers.append(number)
    return shown, numbers
