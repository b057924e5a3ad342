"""Pages of rows: one statement for any number of parents, with the same cost at any depth."""

from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from app import db
from app.db import dialects
from app.pagination import Page, PageRequest, Place, in_page, keyset
from app.tables import Columns

COUNT_SECONDS_MAX = 2.0
"""A count that takes longer is stopped: a page must not wait for its total."""
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

    @property
    def select(self) -> str:
        return f"SELECT {self.columns} FROM {self.table}"

    def parent_of(self, *, few: bool) -> str:
        """The parent's column for a condition. If `few`, SQLite does not look for an index that begins with it.

        SQLite's planner takes any list for a short one: it would go through all of it rather than sort a few rows.
        """
        return f"+{self.parent}" if few and not db.is_postgres() else self.parent


async def pages(
    listing: Listing,
    parents: Sequence[str],
    request: PageRequest,
    *,
    ascending: bool,
    conditions: Callable[[Parameters], str],
    make: Callable[[Mapping[str, Any]], T],
    few: bool = False,
) -> dict[str, Page[T]]:
    """A page for each parent: one statement, plus one for each cursor, to check for rows on its other side.

    Args:
        listing: the list.
        parents: ids, without repeats.
        request: which page, the same for all.
        ascending: oldest first.
        conditions: SQL that every row must meet, customer included; it registers its values.
        make: a record of a row.
        few: the conditions leave few rows of any list, and an index finds them.
    """
    found: dict[str, Page[T]] = {}
    # PostgreSQL takes any number at once
    size = len(parents) if db.is_postgres() else _SQLITE_PARENTS_MAX
    for start in range(0, len(parents), max(1, size)):
        some = parents[start : start + size]
        found |= await _pages(listing, some, request, ascending=ascending, conditions=conditions, make=make, few=few)
    return found


async def _pages(
    listing: Listing,
    parents: Sequence[str],
    request: PageRequest,
    *,
    ascending: bool,
    conditions: Callable[[Parameters], str],
    make: Callable[[Mapping[str, Any]], T],
    few: bool,
) -> dict[str, Page[T]]:
    parameter = Parameters()
    met = conditions(parameter)
    within, ordering = keyset(request, instant_column=listing.instant, ascending=ascending, parameter=parameter)
    met += within
    branch = f"{listing.select} WHERE {listing.parent_of(few=few)} = {{parent}} AND {met} {ordering}"
    rows = await _for_each(branch, parents, parameter)
    outside = partial(_parents_with_rows_beyond, listing, parents, ascending=ascending, conditions=conditions, few=few)
    preceded = await outside(request.after, follows=False)
    followed = await outside(request.before, follows=True)

    by_parent: defaultdict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        by_parent[row[listing.parent]].append(row)
    direction = ascending is not request.backward
    found: dict[str, Page[T]] = {}
    for parent in parents:
        # neither database guarantees the order of the branches' rows
        ordered = sorted(by_parent[parent], key=lambda row: (row[listing.instant], row["id"]), reverse=not direction)
        kept, more = in_page(ordered, request)
        found[parent] = Page(
            [make(row) for row in kept],
            has_next=parent in followed or (more and not request.backward),
            has_previous=parent in preceded or (more and request.backward),
        )
    return found


async def _parents_with_rows_beyond(
    listing: Listing,
    parents: Sequence[str],
    place: Place | None,
    *,
    follows: bool,
    ascending: bool,
    conditions: Callable[[Parameters], str],
    few: bool,
) -> set[str]:
    """The parents that have rows at a cursor's place or on its other side, outside the requested page."""
    if place is None:
        return set()
    parameter = Parameters()
    met = conditions(parameter)
    sign, direction = (">=", "ASC") if ascending is follows else ("<=", "DESC")
    branch = (
        f"SELECT {listing.parent} FROM {listing.table} WHERE {listing.parent_of(few=few)} = {{parent}} AND {met}"
        f" AND ({listing.instant}, id) {sign} ({parameter(place.instant)}, {parameter(place.id)})"
        # Without an order PostgreSQL may read the table from its start, until the first row that matches.
        f" ORDER BY {listing.instant} {direction}, id {direction} LIMIT 1"
    )
    return {row[listing.parent] for row in await _for_each(branch, parents, parameter)}


async def _for_each(branch: str, parents: Sequence[str], parameter: Parameters) -> Sequence[Mapping[str, Any]]:
    sql = dialects.per_parent(db.dialect(), len(parents), branch, first=len(parameter.values) + 1)
    return await db.fetch(sql, *parameter.values, *dialects.per_parent_values(db.dialect(), parents))


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
    """A whole list, oldest first, `size` rows at a time. Each part is read when the one before is used up.

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
    while True:
        parameter = Parameters()
        met = f"{listing.parent_of(few=few)} = {parameter(parent)} AND {conditions(parameter)}"
        met += f" AND {listing.instant} <= {parameter(upto)}"
        if place is not None:
            met += f" AND ({listing.instant}, id) > ({parameter(place.instant)}, {parameter(place.id)})"
        rows = await db.fetch(
            f"{listing.select} WHERE {met} ORDER BY {listing.instant}, id LIMIT {size}",
            *parameter.values,
        )
        if rows:
            yield [make(row) for row in rows]
        if len(rows) < size:
            return
        place = Place(rows[-1][listing.instant], rows[-1]["id"])


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
    )
    return dict.fromkeys(parents, 0) | {row[listing.parent]: row["total"] for row in rows}
