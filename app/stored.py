"""Targets that make each of their values of their row when something asks for it. Pure.

Most of a page's targets are only written out again, and a record takes longer to make than its text. So what writes
them reads the row itself, and only the columns that it needs are read from the database.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache, partial
from typing import Any, ClassVar, TypeAlias, overload

import orjson

from app import rows, tables
from app.lifecycle import DESTINATIONS, DoneReason, TargetStatus
from app.records import Target

Values: TypeAlias = Sequence[Any]
"""A row's values in the order of its columns. Instants may be text, as SQLite stores them."""

COLUMN_SETS_MAX = 64
"""So many different sets of columns are read. A statement that needs another set reads all columns."""

_DESTINATIONS = tuple(f"destination_{index}" for index in range(DESTINATIONS))
_TRY_COUNTS = tuple(f"try_count_{index}" for index in range(DESTINATIONS))


class StoredTarget(Target):
    """A target with its row. A class of its own for each set of columns, made by `stored_target`."""

    __slots__ = ("row",)

    row: Values
    """What it has beyond LAYOUT is not the target's."""
    LAYOUT: ClassVar[tuple[str, ...]] = tuple(tables.TARGET.kinds)
    """The columns that were read, in the row's order."""
    PLACES: ClassVar[Mapping[str, int]] = {name: place for place, name in enumerate(LAYOUT)}
    COLUMNS: ClassVar[Mapping[str, str]] = {
        **dict.fromkeys(("id", "outdial_id", "key", "name", "detail", "data", "time_zone"), "text"),
        **dict.fromkeys(("priority", *_TRY_COUNTS), "number"),
        **dict.fromkeys(("next_try_at", "tm_create", "tm_update", "tm_delete"), "instant"),
        **dict.fromkeys(("max_try_counts", *_DESTINATIONS), "json"),
        **dict.fromkeys(("status", "done_reason", "version"), "other"),
    }
    """What may be read from the row: text, small numbers, instants, text of JSON, and what needs a look."""

    def __init__(self, row: Values) -> None:
        _set_row(self, row)

    def __getattr__(self, name: str) -> Any:
        # Python asks here for a slot that is empty: each is, until it is asked for
        if name not in _MADE_OF:
            raise AttributeError(name)
        needed, make = _MADE_OF[name]
        places, row = self.PLACES, self.row
        value = make(*[row[places[column]] for column in needed])
        getattr(Target, name).__set__(self, value)
        return value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Target) and all(getattr(self, name) == getattr(other, name) for name in _MADE_OF)

    __hash__ = Target.__hash__


class StoredTargets(Sequence[Target]):
    """Targets of one class, made of their rows when something asks for a target."""

    __slots__ = ("_targets", "kind", "rows")

    def __init__(self, kind: type[StoredTarget], rows: Sequence[Values]) -> None:
        self.kind = kind
        self.rows = rows
        self._targets: list[Target] | None = None

    def _made(self) -> list[Target]:
        if self._targets is None:
            self._targets = [self.kind(row) for row in self.rows]
        return self._targets

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Target]:
        return iter(self._made())

    @overload
    def __getitem__(self, place: int) -> Target: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Target]: ...
    def __getitem__(self, place: int | slice) -> Target | Sequence[Target]:
        if isinstance(place, int) and self._targets is None:
            return self.kind(self.rows[place])
        return self._made()[place]


_set_row = vars(StoredTarget)["row"].__set__
_made: dict[frozenset[str], type[StoredTarget]] = {}


def stored_target(reads: frozenset[str] | None) -> type[StoredTarget]:
    """The class for targets of which only these values are read. It may have more of them.

    Args:
        reads: names of what is in COLUMNS, and of a target's values; None for all.
    """
    if reads is None or not reads <= _NEEDED.keys():
        return StoredTarget
    needed = _columns_of(reads)
    if needed not in _made:
        if len(_made) >= COLUMN_SETS_MAX:
            return StoredTarget
        layout = tuple(column for column in StoredTarget.LAYOUT if column in needed)
        places = {name: place for place, name in enumerate(layout)}
        _made[needed] = type("StoredTarget", (StoredTarget,), {"__slots__": (), "LAYOUT": layout, "PLACES": places})
    return _made[needed]


@lru_cache(maxsize=4 * COLUMN_SETS_MAX)
def _columns_of(reads: frozenset[str]) -> frozenset[str]:
    return frozenset(column for name in (*_ALWAYS, *reads) for column in _NEEDED[name])


# ---------------------------------------------------------------- what the values are made of


def _itself(value: Any) -> Any:
    return value


def _instant(value: Any) -> Any:
    return datetime.fromisoformat(value) if value.__class__ is str else value


def _optional(make: Callable[[Any], Any], value: Any) -> Any:
    return None if value is None else make(value)


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(orjson.loads(text))


def _places(*texts: str | None) -> tuple[Any, ...]:
    return tuple(map(rows.destination, texts))


def _tuple(*values: int) -> tuple[int, ...]:
    return values


_MADE_OF: Mapping[str, tuple[tuple[str, ...], Callable[..., Any]]] = {
    **{
        name: ((name,), _itself)
        for name in (
            *("id", "customer_id", "outdial_id", "key", "name", "detail", "data", "priority", "last_attempt_id"),
            *("version", "time_zone", "first_index"),
        )
    },
    **{name: ((name,), _instant) for name in ("next_try_at", "tm_create", "tm_update", "tm_delete")},
    "status": (("status",), TargetStatus),
    "done_reason": (("done_reason",), partial(_optional, DoneReason)),
    "max_try_counts": (("max_try_counts",), partial(_optional, _numbers)),
    "destinations": (_DESTINATIONS, _places),
    "try_counts": (_TRY_COUNTS, _tuple),
    "invalid_destinations": (("invalid_mask",), rows.indexes_of),
    "callback": (("callback",), rows.callback),
}
"""For each value of a target: the columns, and what makes the value of theirs."""
_NEEDED: Mapping[str, tuple[str, ...]] = {
    **{name: columns for name, (columns, _) in _MADE_OF.items()},
    **{name: (name,) for name in StoredTarget.COLUMNS},
}
_ALWAYS = ("id", "outdial_id", "tm_create")
"""By these a list is put in order and into pages."""
