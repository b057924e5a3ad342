"""Reads suppressions: by id, in pages, and all of them for a file."""

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime

from app import db, rows, tables, validation
from app.auth import Viewer
from app.errors import BadUserInput
from app.listing import Listing, Parameters, counts, pages
from app.listing import walk as listing_walk
from app.pagination import Page, PageRequest
from app.records import Suppression, SuppressionFilter, space_of

LISTING = Listing(tables.SUPPRESSION, parent="customer_id", instant="tm_create")


async def get_many(viewer: Viewer, suppression_ids: Sequence[str]) -> dict[str, Suppression]:
    """The viewer's suppressions by id; expired ones too."""
    found = await db.fetch_by_ids(
        f"SELECT {tables.SUPPRESSION} FROM suppression WHERE customer_id = $1 AND id {db.any_of('$2')}",
        viewer.customer_id,
        suppression_ids,
    )
    return {row["id"]: rows.suppression(row) for row in found}


async def page(viewer: Viewer, request: PageRequest, *, where: SuppressionFilter | None = None) -> Page[Suppression]:
    """The viewer's suppressions, newest first; expired ones too."""
    found = await pages(
        LISTING,
        [viewer.customer_id],
        request,
        ascending=False,
        conditions=_conditions(viewer, where or SuppressionFilter()),
        make=rows.suppression,
        few=_is_of_few(where),
    )
    return found[viewer.customer_id]


def _is_of_few(where: SuppressionFilter | None) -> bool:
    """An address is there once for each type that may be meant."""
    return where is not None and where.target is not None


async def count(viewer: Viewer, *, where: SuppressionFilter | None = None) -> int:
    """How many match.

    Raises:
        LimitExceeded: counting takes too long.
    """
    conditions = _conditions(viewer, where or SuppressionFilter())
    found = await counts(LISTING, [viewer.customer_id], conditions=conditions, few=_is_of_few(where))
    return found[viewer.customer_id]


def walk(
    viewer: Viewer, *, upto: datetime, size: int, where: SuppressionFilter | None = None
) -> AsyncIterator[Sequence[Suppression]]:
    """All of the viewer's suppressions up to that time, oldest first, `size` at a time."""
    conditions = _conditions(viewer, where or SuppressionFilter())
    return listing_walk(
        LISTING,
        viewer.customer_id,
        upto=upto,
        size=size,
        conditions=conditions,
        make=rows.suppression,
        few=_is_of_few(where),
    )


def _conditions(viewer: Viewer, where: SuppressionFilter) -> Callable[[Parameters], str]:
    """What the rows must meet.

    Raises:
        BadUserInput: the address that is searched for cannot be read, or there is a type without an address.
    """
    if where.type is not None and where.target is None:
        raise BadUserInput("Give the target that is of this type.")
    found_at = None if where.target is None else validation.sought_address(where.target, where.type)

    def conditions(parameter: Parameters) -> str:
        customer = parameter(viewer.customer_id)
        met = [f"{LISTING.parent_of(few=_is_of_few(where))} = {customer}"]
        if len(where.sources) == 1:  # equality, so that an index also gives the order
            met.append(f"source = {parameter(where.sources[0].value)}")
        elif where.sources:
            met.append(f"source {db.any_of(parameter([source.value for source in where.sources]), 'text')}")
        if where.expires is not None:
            met.append(f"expires_at IS {'NOT ' if where.expires else ''}NULL")
        if where.type is not None:
            met.append(f"space = {parameter(space_of(where.type).value)}")
        if found_at is not None:
            sought = db.any_of(parameter(list(found_at)), "text")
            with_address = f"FROM suppression WHERE customer_id = {customer} AND address {sought}"
            if db.is_postgres():
                met.append(f"id {db.any_found(f'SELECT id {with_address}')}")
            else:  # by the whole primary key
                met.append(f"(customer_id, id) IN (SELECT customer_id, id {with_address})")
        return " AND ".join(met)

    return conditions
