"""Writes import jobs: begin, continue, heartbeat, end. `chunks` stores their rows.

A job belongs to the upload that began or continued it last: `run` counts them. Each write to a job checks its run; an
old upload that is still running sees that another one has the job, and stops. A use-case locks the job's row while it
changes it, so what it has read is still true.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from app import db, idempotency, ids, models, rows, store, tables
from app.auth import Viewer
from app.db import Transaction
from app.errors import UserErrorCode, rejected
from app.files.protocol import Chunk
from app.lifecycle import OutdialState
from app.records import ImportCounts, ImportJob, ImportOptions, ImportState, ImportStopReason, Outdial

HEARD_EVERY_SECONDS = 5.0
ABANDONED_SECONDS = 30.0
"""After this time without a heartbeat, a server counts as gone, and its jobs can be continued."""
ABANDONED_MAX = 100
PRUNED_MAX = 1_000
_STATES = {
    ImportStopReason.CANCELED: ImportState.CANCELED,
    ImportStopReason.PAUSED: ImportState.CANCELED,
    ImportStopReason.DELETED: ImportState.CANCELED,
}
_UNDER_WAY = {ImportState.QUEUED.value, ImportState.RUNNING.value}
_FINAL = {ImportStopReason.CANCELED, ImportStopReason.DELETED}
"""A job that was stopped for these reasons is not continued."""
INTERRUPTED = "The import was interrupted. Send the file again with the same idempotency key to continue."
CANCELED = "The import was cancelled."


@dataclass(frozen=True, slots=True)
class Run:
    """An upload's hold on a job."""

    job: ImportJob
    number: int
    settled_line: int
    settled_digest: str
    is_over: bool
    """There is nothing to do: the job has ended and cannot be continued."""


class Superseded(Exception):  # noqa: N818 - not an error
    """Another upload has the job, or it has ended; has the job as it is."""

    def __init__(self, job: ImportJob) -> None:
        super().__init__(job.id)
        self.job = job


# ---------------------------------------------------------------- begin


async def begin(viewer: Viewer, outdial_id: str, *, options: ImportOptions, idempotency_key: str | None) -> Run:
    """A new job, or the one with this key, continued after its checkpoint.

    Raises:
        Rejected: NOT_FOUND, or CONFLICT if the key was used for another import.
    """
    return await db.transaction(_begin, viewer, outdial_id, options, idempotency_key)


async def _begin(tx: Transaction, viewer: Viewer, outdial_id: str, options: ImportOptions, key: str | None) -> Run:
    # The file's encoding and name may be corrected; the meaning of its rows may not.
    meaning = (
        outdial_id,
        options.is_ndjson,
        options.mapping,
        options.extra_kept,
        options.region,
        options.dedupe,
        options.on_duplicate_key,
        options.dry_run,
    )
    digest = idempotency.digest(meaning)
    # the outdial before the job, as chunks do
    outdial = await store.lock_outdial(tx, viewer, outdial_id, "outdial_id")
    if key is None:
        return await _new(tx, outdial, options, key, digest)
    await tx.lock(viewer.customer_id, exclusive=[f"import {viewer.customer_id} {key}"])
    known = models.ImportJob.filter(customer_id=viewer.customer_id, idempotency_key=key).using_db(tx.orm)
    held = await known.select_for_update().get_or_none()
    if held is None:
        return await _new(tx, outdial, options, key, digest)
    if held.input_hash != digest:
        raise rejected(
            UserErrorCode.CONFLICT,
            "This idempotency key was used for another import. Use a new key.",
            "idempotency_key",
        )
    return await _take_up(tx, outdial, held, options)


async def _take_up(tx: Transaction, outdial: Outdial, held: models.ImportJob, options: ImportOptions) -> Run:
    job = _record(held)
    if job.dry_run and job.state is not ImportState.COMPLETED and job.stop_reason not in _FINAL:
        # a dry run stores nothing, so it begins again
        await _start_over(tx, held)
    if job.state is ImportState.COMPLETED or job.stop_reason in _FINAL:
        return _run(held, is_over=True)
    await _write(
        tx,
        held,
        state=ImportState.QUEUED.value,
        stop_reason=None,
        message="",
        finished_at=None,
        run=held.run + 1,
        began_paused=int(outdial.state is OutdialState.PAUSED),
        heard_at=await tx.now(),
        file_name=options.file_name,
    )
    return _run(held)


async def _start_over(tx: Transaction, held: models.ImportJob) -> None:
    await models.ImportReject.filter(customer_id=held.customer_id, job_id=held.id).using_db(tx.orm).delete()
    nothing = dict.fromkeys(
        ("rows_read", "rows_created", "rows_updated", "rows_skipped", "rows_rejected", "rows_suppressed"), 0
    )
    await _write(tx, held, checkpoint_line=0, checkpoint_digest="", kept_characters=0, **nothing)


async def _new(tx: Transaction, outdial: Outdial, options: ImportOptions, key: str | None, digest: str) -> Run:
    now = await tx.now()
    made = await models.ImportJob.create(
        using_db=tx.orm,
        id=ids.new(),
        customer_id=outdial.customer_id,
        outdial_id=outdial.id,
        file_name=options.file_name,
        state=ImportState.QUEUED.value,
        dry_run=int(options.dry_run),
        idempotency_key=key,
        input_hash=digest,
        began_paused=int(outdial.state is OutdialState.PAUSED),
        warnings=[],
        is_ndjson=int(options.is_ndjson),
        tm_create=now,
        heard_at=now,
    )
    return _run(made)


# ---------------------------------------------------------------- the row of a job


def _record(held: models.ImportJob) -> ImportJob:
    return rows.import_job(tables.row_of(held))


def _run(held: models.ImportJob, *, is_over: bool = False) -> Run:
    return Run(_record(held), held.run, held.checkpoint_line, held.checkpoint_digest, is_over=is_over)


async def _write(tx: Transaction, held: models.ImportJob, **values: Any) -> ImportJob:
    """Change a job that the transaction has locked, and wake its watchers. Returns the job after the change."""
    await models.ImportJob.filter(customer_id=held.customer_id, id=held.id).using_db(tx.orm).update(**values)
    held.update_from_dict(values)
    tx.wake(str(held.id))
    return _record(held)


# ---------------------------------------------------------------- in progress


async def start(run: Run) -> None:
    """Start the job, because its turn has come.

    Raises:
        Superseded: another upload has taken it, or it was cancelled, while it waited.
    """
    await db.transaction(_start, run)


async def _start(tx: Transaction, run: Run) -> None:
    held = await lock(tx, run)
    now = await tx.now()
    await _write(tx, held, state=ImportState.RUNNING.value, started_at=held.started_at or now, heard_at=now)


async def lock(tx: Transaction, run: Run) -> models.ImportJob:
    """Lock the job until the end of the transaction.

    Raises:
        Superseded: another upload has the job.
    """
    mine = models.ImportJob.filter(customer_id=run.job.customer_id, id=run.job.id).using_db(tx.orm)
    held = await mine.select_for_update().get()
    if held.run != run.number or held.state not in _UNDER_WAY:
        raise Superseded(_record(held))
    return held


async def hear(run: Run) -> None:
    """Send a heartbeat while there is nothing to commit.

    Raises:
        Superseded: another upload has the job.
    """
    await db.transaction(_hear, run)


async def _hear(tx: Transaction, run: Run) -> None:
    held = await lock(tx, run)
    await (
        models.ImportJob.filter(customer_id=held.customer_id, id=held.id)
        .using_db(tx.orm)
        .update(heard_at=await tx.now())
    )


async def settle(
    tx: Transaction,
    held: models.ImportJob,
    chunk: Chunk,
    counts: ImportCounts,
    *,
    kept_characters: int,
    now: datetime,
) -> ImportJob:
    """Move the checkpoint, in the transaction of the rows before it."""
    return await _write(
        tx,
        held,
        rows_read=held.rows_read + counts.read,
        rows_created=held.rows_created + counts.created,
        rows_updated=held.rows_updated + counts.updated,
        rows_skipped=held.rows_skipped + counts.skipped,
        rows_rejected=held.rows_rejected + counts.rejected,
        rows_suppressed=held.rows_suppressed + counts.suppressed,
        checkpoint_line=chunk.last_line,
        checkpoint_digest=chunk.digest,
        column_names=chunk.column_names,
        delimiter=chunk.delimiter,
        kept_characters=kept_characters,
        heard_at=now,
    )


# ---------------------------------------------------------------- end


async def finish(
    run: Run, *, reason: ImportStopReason | None = None, message: str = "", warnings: Sequence[str] = ()
) -> ImportJob:
    """End the job: completed, or stopped for a reason. Returns it as it is then, even if it had already ended."""
    return await db.transaction(_finish, run, reason, message, warnings)


async def _finish(
    tx: Transaction, run: Run, reason: ImportStopReason | None, message: str, warnings: Sequence[str]
) -> ImportJob:
    try:
        held = await lock(tx, run)
    except Superseded as superseded:
        return superseded.job
    return await end(tx, held, reason=reason, message=message, warnings=warnings)


async def end(
    tx: Transaction,
    held: models.ImportJob,
    *,
    reason: ImportStopReason | None,
    message: str,
    warnings: Sequence[str] = (),
) -> ImportJob:
    """Like `finish`, in a transaction that has locked the job."""
    state = ImportState.COMPLETED if reason is None else _STATES.get(reason, ImportState.FAILED)
    return await _write(
        tx,
        held,
        state=state.value,
        stop_reason=None if reason is None else reason.value,
        message=message,
        warnings=list(warnings),
        finished_at=await tx.now(),
    )


async def cancel(viewer: Viewer, job_id: str) -> ImportJob:
    """Stop a job at its next chunk. Stored rows stay. A job that has ended stays as it is.

    Raises:
        Rejected: NOT_FOUND.
    """
    return await db.transaction(_cancel, viewer, job_id)


async def _cancel(tx: Transaction, viewer: Viewer, job_id: str) -> ImportJob:
    mine = models.ImportJob.filter(customer_id=viewer.customer_id, id=job_id).using_db(tx.orm)
    held = await mine.select_for_update().get_or_none()
    if held is None:
        raise rejected(UserErrorCode.NOT_FOUND, "Import not found.", "id")
    if held.state not in _UNDER_WAY:
        return _record(held)
    return await _write(
        tx,
        held,
        state=ImportState.CANCELED.value,
        stop_reason=ImportStopReason.CANCELED.value,
        message=CANCELED,
        finished_at=await tx.now(),
    )


# ---------------------------------------------------------------- upkeep


async def end_abandoned(*, seconds: float = ABANDONED_SECONDS) -> int:
    """End the jobs of servers that are gone, so that no watcher waits for them. Returns how many.

    The search is over all customers. Each customer's jobs are then ended in a transaction of their own.

    Args:
        seconds: the time since their servers' last heartbeat.
    """
    found = await db.fetch(
        f"""
        SELECT customer_id, id FROM import_job
        WHERE state IN ('QUEUED', 'RUNNING') AND heard_at <= {db.instant_ago("$1")}
        ORDER BY heard_at LIMIT {ABANDONED_MAX}
        """,
        db.ago_value(timedelta(seconds=seconds)),
    )
    by_customer: defaultdict[str, list[str]] = defaultdict(list)
    for row in found:
        by_customer[row["customer_id"]].append(row["id"])
    ended = [
        await db.transaction(_end_abandoned, customer_id, job_ids, seconds)
        for customer_id, job_ids in by_customer.items()
    ]
    return sum(ended)


async def _end_abandoned(tx: Transaction, customer_id: str, job_ids: Sequence[str], seconds: float) -> int:
    now = await tx.now()
    found = await tx.fetch(
        f"""
        UPDATE import_job SET state = 'FAILED', stop_reason = 'INTERRUPTED', message = $4, finished_at = $5
        WHERE customer_id = $1 AND id {db.any_of("$2")} AND state IN ('QUEUED', 'RUNNING') AND heard_at <= $3
        RETURNING id
        """,
        customer_id,
        list(job_ids),
        now - timedelta(seconds=seconds),
        INTERRUPTED,
        now,
    )
    for row in found:
        tx.wake(row["id"])
    return len(found)


async def prune(*, days: int) -> bool:
    """Remove a part of the jobs that ended `days` ago, rows first. Returns whether there may be more."""
    old = await db.fetch(
        f"""
        SELECT customer_id, id FROM import_job WHERE finished_at < {db.instant_ago("$1")}
        ORDER BY finished_at LIMIT 1
        """,
        db.ago_value(timedelta(days=days)),
    )
    if old:
        await db.transaction(_prune, old[0]["customer_id"], old[0]["id"], days)
    return bool(old)


async def _prune(tx: Transaction, customer_id: str, job_id: str, days: int) -> None:
    job = models.ImportJob.filter(customer_id=customer_id, id=job_id).using_db(tx.orm)
    # Locked, because its sender may continue it, and another server may prune it, at the same moment.
    held = await job.select_for_update().get_or_none()
    if held is None or held.finished_at is None or held.finished_at >= await tx.now() - timedelta(days=days):
        return
    removed = await tx.fetch(
        f"""
        DELETE FROM import_reject WHERE customer_id = $1 AND id IN (
            SELECT id FROM import_reject WHERE customer_id = $1 AND job_id = $2 LIMIT {PRUNED_MAX}
        ) RETURNING id
        """,
        customer_id,
        job_id,
    )
    if len(removed) < PRUNED_MAX:
        await job.delete()
