"""Reads attempts: by id, and in pages, for any number of outdials or targets at once."""

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime

from app import db, rows, tables
from app.auth import Viewer
from app.lifecycle import LIVE
from app.listing import Listing, Parameters
from app.listing import counts as listing_counts
from app.listing import pages as listing_pages
from app.listing import walk as listing_walk
from app.pagination import Page, PageRequest
from app.records import Attempt, AttemptFilter, Permit, PermittedAttempt
from app.validation import sought

OF_OUTDIALS = Listing(tables.ATTEMPT, parent="outdial_id", instant="claimed_at")
OF_TARGETS = Listing(tables.ATTEMPT, parent="target_id", instant="claimed_at")
_IN_PROGRESS = "state IN ({})".format(", ".join(f"'{value}'" for value in sorted(state.value for state in LIVE)))
"""The condition of the index `attempt_live`. As parameters, the states would not match it."""


async def get_many(viewer: Viewer, attempt_ids: Sequence[str]) -> dict[str, Attempt]:
    """The viewer's attempts by id. Attempts of deleted targets are included."""
    found = await db.fetch_by_ids(
        f"SELECT {tables.ATTEMPT} FROM attempt WHERE customer_id = $1 AND id {db.any_of('$2')}",
        viewer.customer_id,
        attempt_ids,
    )
    return {row["id"]: rows.attempt(row) for row in found}


async def permits(viewer: Viewer, attempt_ids: Sequence[str]) -> dict[str, Permit]:
    """Why the calls of the viewer's attempts were allowed, by the attempts' ids. Some old ones have no permit."""
    found = await db.fetch_by_ids(
        f"""
        SELECT id, claimed_at, destination, permit FROM attempt
        WHERE customer_id = $1 AND id {db.any_of("$2")} AND permit IS NOT NULL
        """,
        viewer.customer_id,
        attempt_ids,
    )
    made = {row["id"]: rows.permit(row) for row in found}
    return {attempt_id: permit for attempt_id, permit in made.items() if permit is not None}


async def pages_of_outdials(
    viewer: Viewer, outdial_ids: Sequence[str], *, request: PageRequest, where: AttemptFilter | None = None
) -> dict[str, Page[Attempt]]:
    """A page of each outdial's attempts, newest first."""
    conditions = _conditions(viewer, where or AttemptFilter())
    return await listing_pages(
        OF_OUTDIALS,
        outdial_ids,
        request,
        ascending=False,
        conditions=conditions,
        make=rows.attempt,
        few=_is_in_progress(where),
    )


async def pages_of_targets(
    viewer: Viewer, target_ids: Sequence[str], *, request: PageRequest
) -> dict[str, Page[Attempt]]:
    """A page of each target's attempts, newest first."""
    conditions = _conditions(viewer, AttemptFilter())
    return await listing_pages(
        OF_TARGETS, target_ids, request, ascending=False, conditions=conditions, make=rows.attempt
    )


def walk(
    viewer: Viewer, outdial_id: str, *, upto: datetime, size: int, where: AttemptFilter | None = None
) -> AsyncIterator[Sequence[PermittedAttempt]]:
    """All attempts on an outdial's targets up to that time with their permits, oldest first, `size` at a time."""
    conditions = _conditions(viewer, where or AttemptFilter())
    return listing_walk(
        OF_OUTDIALS.of(tables.ATTEMPT_ROW),
        outdial_id,
        upto=upto,
        size=size,
        conditions=conditions,
        make=rows.permitted_attempt,
        few=_is_in_progress(where),
    )


async def counts_of_outdials(
    viewer: Viewer, outdial_ids: Sequence[str], *, where: AttemptFilter | None = None
) -> dict[str, int]:
    """How many attempts each outdial has.

    Raises:
        LimitExceeded: counting takes too long.
    """
    return await listing_counts(
        OF_OUTDIALS,
        outdial_ids,
        conditions=_conditions(viewer, where or AttemptFilter()),
        few=_is_in_progress(where),
    )


async def counts_of_targets(viewer: Viewer, target_ids: Sequence[str]) -> dict[str, int]:
    """How many attempts each target has.

    Raises:
        LimitExceeded: counting takes too long.
    """
    return await listing_counts(OF_TARGETS, target_ids, conditions=_conditions(viewer, AttemptFilter()))


def _conditions(viewer: Viewer, where: AttemptFilter) -> Callable[[Parameters], str]:
    def conditions(parameter: Parameters) -> str:
        met = [f"customer_id = {parameter(viewer.customer_id)}", *_in_one_index(where)]
        for column, values in (("state", where.states), ("disposition", where.dispositions)):
            if len(values) == 1:
                met.append(f"{column} = {parameter(values[0].value)}")
            elif values:
                met.append(f"{column} {db.any_of(parameter([value.value for value in values]), 'text')}")
        if len(where.codes) == 1:
            met.append(f"code = {parameter(sought(where.codes[0]))}")
        elif where.codes:
            met.append(f"code {db.any_of(parameter([sought(code) for code in where.codes]), 'text')}")
        if where.dialer is not None:
            met.append(f"dialer = {parameter(sought(where.dialer))}")
        if where.call_id is not None:
            met.append(f"call_id = {parameter(sought(where.call_id))}")
        return " AND ".join(met)

    return conditions


def _is_in_progress(where: AttemptFilter | None) -> bool:
    """Whether only attempts in progress are wanted. These are few in a list of any length."""
    return where is not None and bool(where.states) and LIVE.issuperset(where.states)


def _in_one_index(where: AttemptFilter) -> list[str]:
    """Says again in general what the states say in detail: attempts in progress and ended ones have an index each."""
    if _is_in_progress(where):
        return [_IN_PROGRESS]
    return ["ended_at IS NOT NULL"] if where.states and LIVE.isdisjoint(where.states) else []
