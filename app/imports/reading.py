"""Reads import jobs: by id, in pages, live, and with their rejected rows."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence

from app import db, rows, tables, validation
from app.auth import Viewer
from app.db import waiting
from app.errors import NotFound
from app.listing import Listing, Parameters
from app.listing import counts as listing_counts
from app.listing import pages as listing_pages
from app.pagination import Page, PageRequest
from app.records import ImportFilter, ImportJob, ImportReject, ImportState

LISTING = Listing(tables.IMPORT_JOB, parent="outdial_id", instant="tm_create")
REJECTS = Listing(tables.IMPORT_REJECT, parent="job_id", instant="recorded_at")
UNDER_WAY = frozenset({ImportState.QUEUED, ImportState.RUNNING})
POLL_SECONDS = 2.0
"""The fallback if a wake-up is lost."""


async def get_many(viewer: Viewer, job_ids: Sequence[str]) -> dict[str, ImportJob]:
    """The viewer's jobs by id, including those of deleted outdials, for their senders."""
    found = await db.fetch(
        f"SELECT {tables.IMPORT_JOB} FROM import_job WHERE customer_id = $1 AND id {db.any_of('$2')}",
        viewer.customer_id,
        list(job_ids),
    )
    return {row["id"]: rows.import_job(row) for row in found}


async def pages(
    viewer: Viewer, outdial_ids: Sequence[str], *, request: PageRequest, where: ImportFilter | None = None
) -> dict[str, Page[ImportJob]]:
    """A page of each outdial's jobs, newest first."""
    conditions = _conditions(viewer, where or ImportFilter())
    return await listing_pages(
        LISTING, outdial_ids, request, ascending=False, conditions=conditions, make=rows.import_job
    )


async def counts(viewer: Viewer, outdial_ids: Sequence[str], *, where: ImportFilter | None = None) -> dict[str, int]:
    """How many jobs each outdial has."""
    return await listing_counts(LISTING, outdial_ids, conditions=_conditions(viewer, where or ImportFilter()))


def _conditions(viewer: Viewer, where: ImportFilter) -> Callable[[Parameters], str]:
    def conditions(parameter: Parameters) -> str:
        met = [f"customer_id = {parameter(viewer.customer_id)}"]
        if where.states:
            met.append(f"state {db.any_of(parameter([state.value for state in where.states]), 'text')}")
        if where.idempotency_key is not None:
            met.append(f"idempotency_key = {parameter(validation.sought(where.idempotency_key))}")
        return " AND ".join(met)

    return conditions


async def rejects(viewer: Viewer, job_ids: Sequence[str], *, request: PageRequest) -> dict[str, Page[ImportReject]]:
    """A page of each job's rejected rows, in the order of the file."""
    return await listing_pages(
        REJECTS, job_ids, request, ascending=True, conditions=_of_customer(viewer), make=rows.import_reject
    )


async def reject_counts(viewer: Viewer, job_ids: Sequence[str]) -> dict[str, int]:
    """How many rejected rows each job has."""
    return await listing_counts(REJECTS, job_ids, conditions=_of_customer(viewer))


def _of_customer(viewer: Viewer) -> Callable[[Parameters], str]:
    return lambda parameter: f"customer_id = {parameter(viewer.customer_id)}"


async def progress(viewer: Viewer, job_id: str, *, interval_ms: int) -> AsyncIterator[ImportJob]:
    """The job as it is now, then whenever it changed, at most once in `interval_ms`; ends when the job has ended.

    Raises:
        NotFound: the viewer has no such job.
    """
    told: ImportJob | None = None
    with waiting.waiter([job_id]) as woken:
        while True:
            woken.clear()
            job = (await get_many(viewer, [job_id])).get(job_id)
            if job is None and told is None:
                raise NotFound("Import not found.")
            if job is None:  # removed meanwhile because of its age
                return
            if job != told:
                yield job
                told = job
            if job.state not in UNDER_WAY:
                return
            await asyncio.sleep(interval_ms / 1000)
            try:
                async with asyncio.timeout(POLL_SECONDS):
                    await woken.wait()
            except TimeoutError:
                continue
