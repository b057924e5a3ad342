"""Reads targets: by id, and in pages, for any number of outdials at once."""

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from functools import cache, partial

from app import addresses, db, rows, tables, validation
from app.auth import Viewer
from app.lifecycle import DESTINATIONS, DoneReason, TargetStatus
from app.listing import Listing, Parameters, Stored
from app.listing import counts as listing_counts
from app.listing import pages as listing_pages
from app.listing import walk as listing_walk
from app.outdials import progress
from app.pagination import Page, PageRequest
from app.records import Progress, Target, TargetFilter, TargetOrder
from app.stored import StoredTarget, StoredTargets, stored_target

LISTING = Listing(tables.TARGET, parent="outdial_id", instant="tm_create")


async def get_many(
    viewer: Viewer, target_ids: Sequence[str], *, deleted: bool = False, stored: bool = False
) -> dict[str, Target]:
    """The viewer's targets by id; deleted ones, and those of deleted outdials, only if `deleted`.

    If `stored`, each value is made of the row when something asks for it.
    """
    alive = """
        AND tm_delete IS NULL AND EXISTS (
            SELECT 1 FROM outdial WHERE outdial.id = target.outdial_id AND outdial.customer_id = target.customer_id
            AND outdial.tm_delete IS NULL
        )
    """
    found = await db.fetch_by_ids(
        f"""
        SELECT {tables.TARGET} FROM target WHERE customer_id = $1 AND id {db.any_of("$2")}
        {"" if deleted else alive}
        """,
        viewer.customer_id,
        target_ids,
    )
    if stored:
        return {row["id"]: StoredTarget(tuple(row.values())) for row in found}
    return {row["id"]: rows.target(row) for row in found}


async def pages(
    viewer: Viewer,
    outdial_ids: Sequence[str],
    *,
    request: PageRequest,
    where: TargetFilter | None = None,
    order: TargetOrder = TargetOrder.NEWEST_FIRST,
    reads: frozenset[str] | None = None,
) -> dict[str, Page[Target]]:
    """A page of each outdial's targets.

    Args:
        viewer: whose.
        outdial_ids: of which outdials.
        request: which page, the same for all.
        where: only targets that match.
        order: of the list.
        reads: the values of a target that will be asked for, as in `stored_target`. None for all.
    """
    kind = stored_target(reads)
    return await listing_pages(
        _listing(kind.LAYOUT),
        outdial_ids,
        request,
        ascending=order is TargetOrder.OLDEST_FIRST,
        conditions=conditions_of(viewer, where or TargetFilter()),
        make=Stored(partial(StoredTargets, kind)),
        few=is_of_few(where),
    )


@cache
def _listing(names: tuple[str, ...]) -> Listing:
    return LISTING.of(tables.TARGET.only(*names))


def walk(
    viewer: Viewer, outdial_id: str, *, upto: datetime, size: int, where: TargetFilter | None = None
) -> AsyncIterator[Sequence[Target]]:
    """All of an outdial's targets up to that time, oldest first, `size` at a time."""
    conditions = conditions_of(viewer, where or TargetFilter())
    return listing_walk(
        LISTING, outdial_id, upto=upto, size=size, conditions=conditions, make=rows.target, few=is_of_few(where)
    )


async def counts(viewer: Viewer, outdial_ids: Sequence[str], *, where: TargetFilter | None = None) -> dict[str, int]:
    """How many targets each outdial has.

    Raises:
        LimitExceeded: counting takes too long. It never does if only status and reason are filtered.
    """
    wanted = where or TargetFilter()
    if (wanted.destination, wanted.key, wanted.has_callback) == (None, None, None):
        counted = await progress(viewer, outdial_ids)
        return {outdial_id: _total(counted[outdial_id], wanted) for outdial_id in outdial_ids}
    return await listing_counts(LISTING, outdial_ids, conditions=conditions_of(viewer, wanted), few=is_of_few(wanted))


def _total(counted: Progress, where: TargetFilter) -> int:
    statuses = set(where.statuses or TargetStatus)
    if where.done_reasons:
        statuses &= {TargetStatus.DONE}
    reasons = set(where.done_reasons or DoneReason)
    return (
        (counted.idle if TargetStatus.IDLE in statuses else 0)
        + (counted.progressing if TargetStatus.PROGRESSING in statuses else 0)
        + sum(
            number
            for reason, number in counted.done_by_reason.items()
            if TargetStatus.DONE in statuses and reason in reasons
        )
    )


def is_of_few(where: TargetFilter | None) -> bool:
    """Few targets have the same address. A key needs no care: its index begins with the outdial."""
    return where is not None and where.destination is not None


def conditions_of(viewer: Viewer, where: TargetFilter) -> Callable[[Parameters], str]:
    """A condition: a target is the viewer's, not deleted, and matches."""

    def conditions(parameter: Parameters) -> str:
        customer = parameter(viewer.customer_id)
        met = [f"customer_id = {customer}", "tm_delete IS NULL"]
        if where.statuses:
            met.append(_one_of("status", [status.value for status in where.statuses], parameter))
        if where.done_reasons:
            met.append("status = 'DONE'")
            met.append(_one_of("done_reason", [reason.value for reason in where.done_reasons], parameter))
        if where.key is not None:
            met.append(f"key = {parameter(validation.sought(where.key))}")
        if where.destination is not None:
            spellings = addresses.spellings(validation.sought(where.destination), validation.default_region())
            met.append(f"id {db.any_found(_with_address(customer, parameter(list(spellings))))}")
        if where.has_callback is not None:
            met.append(f"callback IS {'NOT ' if where.has_callback else ''}NULL")
        return " AND ".join(met)

    return conditions


def _one_of(column: str, values: Sequence[str], parameter: Parameters) -> str:
    """Equality if there is one value, so that an index also gives the order."""
    if len(values) == 1:
        return f"{column} = {parameter(values[0])}"
    return f"{column} {db.any_of(parameter(list(values)), 'text')}"


def _with_address(customer: str, spellings: str) -> str:
    """Ids of targets with one of the addresses: a search in each of five indexes, because an OR would use none."""
    return " UNION ALL ".join(
        f"""
        SELECT id FROM target WHERE customer_id = {customer} AND tm_delete IS NULL
        AND destination_{index} IS NOT NULL AND (destination_{index} ->> 'target') {db.any_of(spellings, "text")}
        """
        for index in range(DESTINATIONS)
    )
