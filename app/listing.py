"""Pages of rows: one statement for any number of parents, with the same cost at any depth."""

from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from operator import itemgetter
from typing import Any, Generic, TypeVar

from app import db
from app.db import dialects
from app.pagination import Page, PageRequest, Place, in_page, keyset
from app.tables import Columns

COUNT_SECONDS_MAX = 2.0
"""A count that takes longer is stopped: a page must not wait for its total."""
WALKED_CHARACTERS = 256 * 1024
"""Of the rows that a walk reads at once, if they are long: then the next ones are fewer."""
_DIVISOR_MAX = 32
"""The shortest part of a walk. Doubled and halved, so that there are few texts of the statement."""
_SQLITE_PARENTS_MAX = 400
"""SQLite takes 500 terms in a compound SELECT, one for each parent."""

T = TypeVar("T")


@dataclass(slots=True)
class Parameters:
    """The values of a statement, collected while its text is built."""

    values: list[Any] = field(default_factory=list)

    def __call__(self, value: Any) -> str:
        self.values.append(value)
        return f"${len(self.values)}"


@dataclass(frozen=True, slots=True)
class Listing:
    """A list that belongs to a parent: the targets of an outdial, the attempts of a target."""

    columns: Columns
    parent: str
    """The column that names the parent."""
    instant: str
    """The column that orders it, together with id."""

    @property
    def table(self) -> str:
        return self.columns.table

    def of(self, columns: Columns) -> "Listing":
        """The same list, with other columns of its rows."""
        return Listing(columns, self.parent, self.instant)

    def parent_of(self, *, few: bool) -> str:
        """The parent's column for a condition. If `few`, SQLite does not look for an index that begins with it.

        SQLite's planner takes any list for a short one: it would go through all of it rather than sort a few rows.
        """
        return f"+{self.parent}" if few and not db.is_postgres() else self.parent


@dataclass(frozen=True, slots=True)
class Stored(Generic[T]):
    """Instead of a function that makes a record of each row."""

    keep: Callable[[Sequence[Any]], Sequence[T]]
    """The records of a page's rows, which are as `db.fetch` has them with `as_stored`."""


async def pages(
    listing: Listing,
    parents: Sequence[str],
    request: PageRequest,
    *,
    ascending: bool,
    conditions: Callable[[Parameters], str],
    make: Callable[[Mapping[str, Any]], T] | Stored[T],
    few: bool = False,
) -> dict[str, Page[T]]:
    """A page for each parent, in one statement; one more if a page after or before a cursor has no rows.

    Args:
        listing: the list.
        parents: ids, without repeats.
        request: which page, the same for all.
        ascending: oldest first.
        conditions: SQL that every row must meet, customer included; it registers its values.
        make: a record of a row, or what keeps the rows.
        few: the conditions leave few rows of any list, and an index finds them.
    """
    found: dict[str, Page[T]] = {}
    # PostgreSQL takes any number at once
    size = len(parents) if db.is_postgres() else _SQLITE_PARENTS_MAX
    for start in range(0, len(parents), max(1, size)):
        found |= await _pages(
            listing,
            parents[start : start + size],
            request,
            ascending=ascending,
            conditions=conditions,
            make=make,
            few=few,
        )
    return found


async def _pages(
    listing: Listing,
    parents: Sequence[str],
    request: PageRequest,
    *,
    ascending: bool,
    conditions: Callable[[Parameters], str],
    make: Callable[[Mapping[str, Any]], T] | Stored[T],
    few: bool,
) -> dict[str, Page[T]]:
    parameter = Parameters()
    met = conditions(parameter)
    beside = _beside(listing, request, ascending=ascending, met=met, parameter=parameter, few=few)
    within, ordering = keyset(request, instant_column=listing.instant, ascending=ascending, parameter=parameter)
    branch = (
        f"SELECT {listing.columns}{{beside}} FROM {listing.table}"
        f" WHERE {listing.parent_of(few=few)} = {{parent}} AND {met}{within} {ordering}"
    )
    rows = await _for_each(branch, parents, parameter, beside, as_stored=isinstance(make, Stored))
    by_parent = _by_parent(listing, parents, rows, descending=ascending is request.backward)
    empty = [parent for parent in parents if parent not in by_parent] if beside else []
    outside = await _beside_empty(listing, empty, request, ascending=ascending, conditions=conditions, few=few)
    found: dict[str, Page[T]] = {}
    for parent in parents:
        ordered = by_parent.get(parent, ())
        kept, more = in_page(ordered, request)
        present = ordered[0] if ordered else outside.get(parent)
        preceded, followed = (
            present is not None and name in beside and present[name] is not None for name in ("preceded", "followed")
        )
        found[parent] = Page(
            make.keep(kept) if isinstance(make, Stored) else [make(row) for row in kept],
            has_next=followed or (more and not request.backward),
            has_previous=preceded or (more and request.backward),
        )
    return found


def _by_parent(
    listing: Listing, parents: Sequence[str], rows: Sequence[Mapping[str, Any]], *, descending: bool
) -> Mapping[str, Sequence[Mapping[str, Any]]]:
    """Each parent's rows in order, if it has any."""
    if len(parents) == 1:
        return {parents[0]: rows} if rows else {}
    found: defaultdict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        found[row[listing.parent]].append(row)
    place = itemgetter(listing.instant, "id")
    for listed in found.values():
        # neither database guarantees the order of the branches' rows
        listed.sort(key=place, reverse=descending)
    return found


def _beside(
    listing: Listing, request: PageRequest, *, ascending: bool, met: str, parameter: Parameters, few: bool
) -> dict[str, str]:
    """Whether there are rows at a cursor's place or on its other side, outside the requested page: SQL by column.

    Only for the cursors of the request.
    """
    found: dict[str, str] = {}
    for name, place, follows in (("preceded", request.after, False), ("followed", request.before, True)):
        if place is not None:
            sign, direction = (">=", "ASC") if ascending is follows else ("<=", "DESC")
            found[name] = (
                f"SELECT 1 FROM {listing.table} WHERE {listing.parent_of(few=few)} = {{parent}} AND {met}"
                f" AND ({listing.instant}, id) {sign} ({parameter(place.instant)}, {parameter(place.id)})"
                # Without an order PostgreSQL may read the table from its start, until the first row that matches.
                f" ORDER BY {listing.instant} {direction}, id {direction} LIMIT 1"
            )
    return found


async def _beside_empty(
    listing: Listing,
    parents: Sequence[str],
    request: PageRequest,
    *,
    ascending: bool,
    conditions: Callable[[Parameters], str],
    few: bool,
) -> dict[str, Mapping[str, Any]]:
    """The same for pages without rows, by parent: there is no row that could have it."""
    if not parents:
        return {}
    parameter = Parameters()
    met = conditions(parameter)
    beside = _beside(listing, request, ascending=ascending, met=met, parameter=parameter, few=few)
    branch = f"SELECT {db.typed('{parent}', 'uuid')} AS {listing.parent}{{beside}}"
    rows = await _for_each(branch, parents, parameter, beside)
    return {row[listing.parent]: row for row in rows}


async def _for_each(
    branch: str,
    parents: Sequence[str],
    parameter: Parameters,
    beside: Mapping[str, str],
    *,
    as_stored: bool = False,
) -> Sequence[Mapping[str, Any]]:
    sql = dialects.per_parent(db.dialect(), len(parents), branch, first=len(parameter.values) + 1, beside=beside)
    values = dialects.per_parent_values(db.dialect(), parents)
    return await db.fetch(sql, *parameter.values, *values, as_stored=as_stored)


async def walk(
    listing: Listing,
    parent: str,
    *,
    upto: datetime,
    size: int,
    conditions: Callable[[Parameters], str],
    make: Callable[[Mapping[str, Any]], T],
    few: bool = False,
) -> AsyncIterator[Sequence[T]]:
    """A whole list, oldest first, up to `size` rows at a time. Each part is read when the one before is used up.

    Long rows are read a few at a time: a part is smaller if the one before had more than WALKED_CHARACTERS.

    Args:
        listing: the list.
        parent: its id.
        upto: rows of a later instant are left out, so that it ends even if the list grows fast.
        size: of a part.
        conditions: as of `pages`.
        make: a record of a row.
        few: as of `pages`.
    """
    place: Place | None = None
    divisor = _DIVISOR_MAX
    while True:
        part = max(size // divisor, 1)
        parameter = Parameters()
        met = f"{listing.parent_of(few=few)} = {parameter(parent)} AND {conditions(parameter)}"
        met += f" AND {listing.instant} <= {parameter(upto)}"
        if place is not None:
            met += f" AND ({listing.instant}, id) > ({parameter(place.instant)}, {parameter(place.id)})"
        rows = await db.fetch(
            f"SELECT {listing.columns} FROM {listing.table} WHERE {met} ORDER BY {listing.instant}, id LIMIT {part}",
            *parameter.values,
        )
        if not rows:
            return
        place = Place(rows[-1][listing.instant], rows[-1]["id"])
        is_last = len(rows) < part
        characters = _characters(rows)
        made = [make(row) for row in rows]
        del rows  # not held while the part is used
        yield made
        if is_last:
            return
        if characters > WALKED_CHARACTERS:
            divisor = min(divisor * 2, _DIVISOR_MAX)
        elif characters * 2 <= WALKED_CHARACTERS:
            divisor = max(divisor // 2, 1)


def _characters(rows: Sequence[Mapping[str, Any]]) -> int:
    return sum(len(value) for row in rows for value in row.values() if isinstance(value, str))


async def counts(
    listing: Listing, parents: Sequence[str], *, conditions: Callable[[Parameters], str], few: bool = False
) -> dict[str, int]:
    """How many rows each parent has.

    Raises:
        LimitExceeded: counting takes too long.
    """
    parameter = Parameters()
    met = conditions(parameter)
    rows = await db.fetch_within(
        COUNT_SECONDS_MAX,
        f"""
        SELECT {listing.parent}, count(*) AS total FROM {listing.table}
        WHERE {met} AND {listing.parent_of(few=few)} {db.any_of(parameter(list(parents)))} GROUP BY {listing.parent}
        """,
        *parameter.values,
        problem=f"Counting took longer than {COUNT_SECONDS_MAX:g} seconds. Use a narrower filter.",
    )
    return dict.fromkeys(parents, 0) | {row[listing.parent]: row["total"] for row in rows}
