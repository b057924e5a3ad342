"""Runs an import: waits for its turn, starts the processes that read the file, and commits each chunk."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterable
from collections.abc import Set as AbstractSet
from contextlib import nullcontext
from typing import Any, TypeVar

import phonenumbers
import structlog

from app import db, idempotency, ids, metrics, validation
from app.auth import Viewer
from app.errors import RateLimited, Rejected, SenderLost, Unavailable, UserError, invalid
from app.files import columns, parsing
from app.files.columns import ColumnProblem
from app.files.protocol import Ended, Task
from app.imports import chunks, jobs, readers
from app.imports.jobs import Run, Superseded
from app.imports.readers import Readers
from app.imports.seen import Seen
from app.imports.turning import ImportTurns, Place
from app.records import DedupeScope, DuplicateAction, ImportJob, ImportOptions, ImportState, ImportStopReason

REJECTS_MAX = 1_000_000
MAPPED_MAX = 1_000
FILE_NAME_CHARACTERS_MAX = 255

T = TypeVar("T")

log = structlog.get_logger(__name__)


class Stopping(Exception):  # noqa: N818 - not an error
    """The server is stopping."""


INTERRUPTIONS = (
    RateLimited,  # too many of the customer's wait
    Unavailable,  # the database is away, another has its place, or a process that reads the file was killed
    SenderLost,
    ConnectionError,  # the same for callers that pass a file without a request
    asyncio.CancelledError,  # the request was dropped
    KeyboardInterrupt,
    SystemExit,
)
"""Exceptions that interrupt an import. If the file is sent again, it continues. All other exceptions are bugs."""
_INTERNAL = "An internal error stopped the import. Quote the id {error_id} when you report it."


# ---------------------------------------------------------------- options


def checked(options: ImportOptions, fields: AbstractSet[str] = columns.NAMES) -> ImportOptions:
    """The options in canonical form.

    Args:
        options: as the caller gives them.
        fields: to which columns can be mapped.

    Raises:
        Rejected: INVALID, with everything that is wrong.
    """
    errors: list[UserError] = []
    validation.text(options.file_name, FILE_NAME_CHARACTERS_MAX, errors, "file_name")
    validation.number(options.rejects_max, 1, REJECTS_MAX, errors, "max_rejects")
    if len(options.mapping) > MAPPED_MAX:
        errors.append(invalid(f"Map at most {MAPPED_MAX:,} columns.", "map"))
    try:
        columns.parse_mapping(options.mapping, fields)
    except ColumnProblem as problem:
        errors.append(invalid(str(problem), "map"))
    encoding = None
    if options.encoding is not None:
        encoding = parsing.known_encoding(options.encoding)
        if encoding is None:
            errors.append(invalid("Unknown encoding. Use a name such as windows-1252.", "encoding"))
    region = options.region.upper() if options.region else None
    if region is not None and region not in phonenumbers.SUPPORTED_REGIONS:
        errors.append(invalid("Unknown region. Use a country code of two letters, such as DE.", "region"))
    if errors:
        raise Rejected(errors)
    return ImportOptions(
        is_ndjson=options.is_ndjson,
        mapping=options.mapping,
        extra_kept=options.extra_kept,
        encoding=encoding,
        region=region or validation.default_region(),
        dedupe=options.dedupe,
        on_duplicate_key=options.on_duplicate_key,
        dry_run=options.dry_run,
        rejects_max=options.rejects_max,
        file_name=options.file_name,
    )


def _task(run: Run, options: ImportOptions, *, is_gzip: bool) -> Task:
    mapping = columns.parse_mapping(options.mapping)
    return Task(
        is_ndjson=options.is_ndjson,
        is_gzip=is_gzip,
        for_postgres=db.is_postgres(),
        encoding=options.encoding,
        region=options.region,
        mapping=dict(mapping),
        needed=list(mapping),
        extra_kept=options.extra_kept,
        compares_addresses=options.dedupe is not DedupeScope.NONE,
        updates=options.on_duplicate_key is DuplicateAction.UPDATE,
        settled_line=run.settled_line,
        settled_digest=run.settled_digest,
    )


# ---------------------------------------------------------------- run


async def run(
    viewer: Viewer,
    outdial_id: str,
    *,
    options: ImportOptions,
    pieces: AsyncIterator[bytes],
    turns: ImportTurns,
    stopping: asyncio.Event,
    idempotency_key: str | None = None,
    is_gzip: bool = False,
) -> ImportJob:
    """Import a file while it arrives. Returns the job after its end.

    Args:
        viewer: whose targets they will be.
        outdial_id: of which outdial.
        options: how it is to be read.
        pieces: the file's bytes. Its SenderLost and ConnectionError end the import as interrupted, and are raised.
        turns: of this server.
        stopping: set when the server begins to stop.
        idempotency_key: the same key continues the same job, after its checkpoint.
        is_gzip: declared for the file. A file that begins like gzip is always read as gzip.

    Raises:
        Rejected: INVALID, NOT_FOUND, or CONFLICT of the idempotency key.
        Unavailable: the database is away, too many imports wait, the file came too slowly while others waited, or a
            process that reads it was killed; send it again with the same key.
    """
    errors: list[UserError] = []
    validation.object_id(outdial_id, errors, "outdial_id")
    key = idempotency.checked(idempotency_key, errors)
    if errors:
        raise Rejected(errors)
    options = checked(options)
    hold = await jobs.begin(viewer, outdial_id, options=options, idempotency_key=key)
    if hold.is_over:
        return hold.job
    with metrics.imports_under_way.track_inprogress():
        try:
            work = _work(viewer, hold, options, pieces, turns, is_gzip=is_gzip)
            return await beside(work, [_show_life(hold), until(stopping)])
        except Superseded as superseded:
            return superseded.job
        except Stopping:
            return await jobs.finish(hold, reason=ImportStopReason.INTERRUPTED, message=jobs.INTERRUPTED)
        except INTERRUPTIONS:
            await _interrupt(hold)
            raise
        except Exception as error:  # noqa: BLE001 - any other exception is a bug
            return await _end_by_fault(hold, error)


async def _interrupt(hold: Run) -> None:
    """The caller reports the error. Here the job is ended, so that it does not look as if it were running."""
    try:
        await jobs.finish(hold, reason=ImportStopReason.INTERRUPTED, message=jobs.INTERRUPTED)
    except Unavailable:
        # the database is away; housekeeping ends the job later
        log.warning("import_left_open", job=hold.job.id)


async def _end_by_fault(hold: Run, error: Exception) -> ImportJob:
    """End a job because of a bug. Its owner gets an id, and the log has the bug."""
    error_id = ids.new()
    metrics.internal_errors.inc()
    log.error("import_failed", error_id=error_id, job=hold.job.id, exc_info=error)
    return await jobs.finish(hold, reason=ImportStopReason.INTERNAL, message=_INTERNAL.format(error_id=error_id))


async def _work(
    viewer: Viewer,
    hold: Run,
    options: ImportOptions,
    pieces: AsyncIterator[bytes],
    turns: ImportTurns,
    *,
    is_gzip: bool,
) -> ImportJob:
    async with turns.place(viewer.customer_id) as place:
        await jobs.start(hold)
        async with readers.started(_task(hold, options, is_gzip=is_gzip)) as both:
            others = [both.feed(place.pace.of(pieces)), both.watch(), place.until_displaced()]
            return await beside(_take_in(viewer, hold, options, both, place), others)


async def _take_in(viewer: Viewer, hold: Run, options: ImportOptions, both: Readers, place: Place) -> ImportJob:
    async with Seen() if options.dry_run else nullcontext() as seen:
        async for part in both.chunks():
            if isinstance(part, Ended):
                return await jobs.finish(hold, reason=part.reason, message=part.message, warnings=part.warnings)
            async with place.storing():
                job = await chunks.commit(viewer, hold, part, options=options, seen=seen)
            if job.state is not ImportState.RUNNING:
                return job
    raise AssertionError("a file ends with its end")


async def _show_life(hold: Run) -> None:
    while True:
        await asyncio.sleep(jobs.HEARD_EVERY_SECONDS)
        try:
            await jobs.hear(hold)
        except Unavailable:
            continue  # the next chunk sees it too, and ends the import


async def until(stopping: asyncio.Event) -> None:
    await stopping.wait()
    raise Stopping


async def beside(work: Coroutine[Any, Any, T], others: Iterable[Coroutine[Any, Any, None]]) -> T:
    """The result of `work`, unless one of the others raises first. All of them end with it."""
    first = asyncio.ensure_future(work)
    tasks: list[asyncio.Future[Any]] = [first, *map(asyncio.ensure_future, others)]
    pending = set(tasks)
    try:
        while not first.done():
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            if not first.done():
                for task in done:
                    task.result()
        return first.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
