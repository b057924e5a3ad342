"""Reads import jobs: by id, in pages, live, and with their rejected rows."""

from collections.abc import Callable, Sequence

from app import db, rows, tables, validation
from app.auth import Viewer
from app.errors import NotFound
from app.events import Changes, Following, Subject
from app.listing import Listing, Parameters
from app.listing import counts as listing_counts
from app.listing import pages as listing_pages
from app.pagination import Page, PageRequest
from app.records import ImportFilter, ImportJob, ImportReject, ImportState

LISTING = Listing(tables.IMPORT_JOB, parent="outdial_id", instant="tm_create")
REJECTS = Listing(tables.IMPORT_REJECT, parent="job_id", instant="recorded_at")
UNDER_WAY = frozenset({ImportState.QUEUED, ImportState.RUNNING})


async def get_many(viewer: Viewer, job_ids: Sequence[str]) -> dict[str, ImportJob]:
    """The viewer's jobs by id, including those of deleted outdials, for their senders."""
    found = await db.fetch_by_ids(
        f"SELECT {tables.IMPORT_JOB} FROM import_job WHERE customer_id = $1 AND id {db.any_of('$2')}",
        viewer.customer_id,
        job_ids,
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


def progress(viewer: Viewer, job_id: str, *, interval_ms: int) -> Following[ImportJob]:
    """The job as it is now, then whenever it changed, at most once in `interval_ms`; ends when the job has ended.

    Those who follow the same job at the same interval share one reader.

    Raises:
        NotFound: the viewer has no such job.
    """
    customer = Viewer(viewer.customer_id, "", viewer.scopes, None)  # not the first follower's token: others outlive it

    async def read() -> ImportJob | None:
        return (await get_many(customer, [job_id])).get(job_id)

    return Changes(
        Subject(
            key=("import", viewer.customer_id, job_id),
            topics=(job_id,),
            interval_seconds=interval_ms / 1000,
            read=read,
            first=_found,
            difference=lambda before, now: now if now != before else None,
            is_last=lambda job: job is None or job.state not in UNDER_WAY,  # removed because of its age, or ended
        )
    )


def _found(job: ImportJob | None) -> ImportJob:
    if job is None:
        raise NotFound("Import not found.")
    return job
