"""Import jobs, written: begun, taken up again, heard of, ended. What a job's chunks do stands in `chunks`.

A job belongs to the upload that began or took it up last: `run` counts them. Whoever writes to a job does so under its
run; an upload that was thought dead and still goes on finds that the job is no longer its own, and stops.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson

from app import db, idempotency, ids, rows, store, tables
from app.auth import Viewer
from app.db import Transaction
from app.errors import UserErrorCode, rejected
from app.files.protocol import Chunk
from app.lifecycle import OutdialState
from app.records import ImportCounts, ImportJob, ImportOptions, ImportState, ImportStopReason, Outdial

HEARD_EVERY_SECONDS = 5.0
ABANDONED_SECONDS = 30.0
"""A server that has not been heard of for so long is taken to be gone, and its jobs to be free."""
ABANDONED_MAX = 100
PRUNED_MAX = 1_000
_STATES = {
    ImportStopReason.CANCELED: ImportState.CANCELED,
    ImportStopReason.PAUSED: ImportState.CANCELED,
    ImportStopReason.DELETED: ImportState.CANCELED,
}
_FINAL = {ImportStopReason.CANCELED, ImportStopReason.DELETED}
"""A job that was stopped for these reasons is not taken up again."""
INTERRUPTED = "It was interrupted; send the file again with the same idempotency key to go on where it stopped."
CANCELED = "It was cancelled."


@dataclass(frozen=True, slots=True)
class Run:
    """An upload's hold on a job."""

    job: ImportJob
    number: int
    settled_line: int
    settled_digest: str
    is_over: bool
    """There is nothing to do: the job has ended for good."""


class Superseded(Exception):  # noqa: N818 - an end, and no fault
    """The job is another upload's by now, or has ended; holds it as it is."""

    def __init__(self, job: ImportJob) -> None:
        super().__init__(job.id)
        self.job = job


# ---------------------------------------------------------------- begin


async def begin(viewer: Viewer, outdial_id: str, *, options: ImportOptions, idempotency_key: str | None) -> Run:
    """A new job, or the one that has this key, taken up after what it settled.

    Raises:
        Rejected: NOT_FOUND, or CONFLICT where the key stands for another import.
    """
    return await db.transaction(_begin, viewer, outdial_id, options, idempotency_key)


async def _begin(tx: Transaction, viewer: Viewer, outdial_id: str, options: ImportOptions, key: str | None) -> Run:
    # How the file's text is encoded and what it is called may be mended; what its rows mean may not.
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
    if key is not None:
        await tx.lock(f"import {viewer.customer_id} {key}")
        found = await tx.fetch(
            f"""
            SELECT {tables.IMPORT_JOB}, input_hash, run, checkpoint_line, checkpoint_digest FROM import_job
            WHERE customer_id = $1 AND idempotency_key = $2 {db.for_update()}
            """,
            viewer.customer_id,
            key,
        )
        if found:
            if found[0]["input_hash"] != digest:
                raise rejected(
                    UserErrorCode.CONFLICT, "This idempotency key was used for another import.", "idempotency_key"
                )
            return await _take_up(tx, outdial, found[0], options)
    return await _new(tx, outdial, options, key, digest)


async def _take_up(tx: Transaction, outdial: Outdial, row: Mapping[str, Any], options: ImportOptions) -> Run:
    job = rows.import_job(row)
    settled = (row["checkpoint_line"], row["checkpoint_digest"])
    if job.dry_run and job.state is not ImportState.COMPLETED and job.stop_reason not in _FINAL:
        # what it had seen of its file is nowhere: it stored nothing
        await _start_over(tx, job)
        settled = (0, "")
    if job.state is ImportState.COMPLETED or job.stop_reason in _FINAL:
        return Run(job, row["run"], *settled, is_over=True)
    found = await tx.fetch(
        f"""
        UPDATE import_job SET state = 'QUEUED', stop_reason = NULL, message = '', finished_at = NULL, run = run + 1,
            began_paused = $3, heard_at = $4, file_name = $5
        WHERE customer_id = $1 AND id = $2 RETURNING {tables.IMPORT_JOB}, run
        """,
        outdial.customer_id,
        job.id,
        int(outdial.state is OutdialState.PAUSED),
        await tx.now(),
        options.file_name,
    )
    tx.wake(job.id)
    return Run(rows.import_job(found[0]), found[0]["run"], *settled, is_over=False)


async def _start_over(tx: Transaction, job: ImportJob) -> None:
    await tx.fetch("DELETE FROM import_reject WHERE customer_id = $1 AND job_id = $2", job.customer_id, job.id)
    await tx.fetch(
        """
        UPDATE import_job SET rows_read = 0, rows_created = 0, rows_updated = 0, rows_skipped = 0, rows_rejected = 0,
            checkpoint_line = 0, checkpoint_digest = '', kept_characters = 0 WHERE customer_id = $1 AND id = $2
        """,
        job.customer_id,
        job.id,
    )


async def _new(tx: Transaction, outdial: Outdial, options: ImportOptions, key: str | None, digest: str) -> Run:
    found = await tx.fetch(
        f"""
        INSERT INTO import_job (id, customer_id, outdial_id, file_name, state, dry_run, idempotency_key, input_hash,
                                began_paused, warnings, tm_create, heard_at, is_ndjson)
        VALUES ($1, $2, $3, $4, 'QUEUED', $5, $6, $7, $8, '[]', $9, $9, $10) RETURNING {tables.IMPORT_JOB}
        """,
        ids.new(),
        outdial.customer_id,
        outdial.id,
        options.file_name,
        int(options.dry_run),
        key,
        digest,
        int(outdial.state is OutdialState.PAUSED),
        await tx.now(),
        int(options.is_ndjson),
    )
    return Run(rows.import_job(found[0]), 1, 0, "", is_over=False)


# ---------------------------------------------------------------- while it goes on


async def start(run: Run) -> None:
    """Its turn has come.

    Raises:
        Superseded: it was taken up by another upload, or cancelled, while it waited.
    """
    await db.transaction(_start, run)


async def _start(tx: Transaction, run: Run) -> None:
    await lock(tx, run)
    await tx.fetch(
        """
        UPDATE import_job SET state = 'RUNNING', started_at = COALESCE(started_at, $3), heard_at = $3
        WHERE customer_id = $1 AND id = $2
        """,
        run.job.customer_id,
        run.job.id,
        await tx.now(),
    )
    tx.wake(run.job.id)


async def lock(tx: Transaction, run: Run) -> Mapping[str, Any]:
    """Hold the job, as it is, for the length of the transaction.

    Raises:
        Superseded: it is not this upload's any more.
    """
    row = (
        await tx.fetch(
            f"""
            SELECT {tables.IMPORT_JOB}, run, began_paused, kept_characters FROM import_job
            WHERE customer_id = $1 AND id = $2 {db.for_update()}
            """,
            run.job.customer_id,
            run.job.id,
        )
    )[0]
    job = rows.import_job(row)
    if row["run"] != run.number or job.state not in {ImportState.QUEUED, ImportState.RUNNING}:
        raise Superseded(job)
    return row


async def hear(run: Run) -> None:
    """Show that its server lives, while there is nothing to commit.

    Raises:
        Superseded: it is not this upload's any more.
    """
    await db.transaction(_hear, run)


async def _hear(tx: Transaction, run: Run) -> None:
    await lock(tx, run)
    await tx.fetch(
        "UPDATE import_job SET heard_at = $3 WHERE customer_id = $1 AND id = $2",
        run.job.customer_id,
        run.job.id,
        await tx.now(),
    )


async def settle(
    tx: Transaction, run: Run, chunk: Chunk, counts: ImportCounts, *, kept_characters: int, now: datetime
) -> ImportJob:
    """Move the checkpoint, in the transaction of the rows that it settles."""
    found = await tx.fetch(
        f"""
        UPDATE import_job SET rows_read = rows_read + $3, rows_created = rows_created + $4,
            rows_updated = rows_updated + $5, rows_skipped = rows_skipped + $6, rows_rejected = rows_rejected + $7,
            checkpoint_line = $8, checkpoint_digest = $9, heard_at = $10, column_names = $11, delimiter = $12,
            kept_characters = $13
        WHERE customer_id = $1 AND id = $2 RETURNING {tables.IMPORT_JOB}
        """,
        run.job.customer_id,
        run.job.id,
        counts.read,
        counts.created,
        counts.updated,
        counts.skipped,
        counts.rejected,
        chunk.last_line,
        chunk.digest,
        now,
        None if chunk.column_names is None else orjson.dumps(chunk.column_names).decode(),
        chunk.delimiter,
        kept_characters,
    )
    tx.wake(run.job.id)
    return rows.import_job(found[0])


# ---------------------------------------------------------------- end


async def finish(
    run: Run, *, reason: ImportStopReason | None = None, message: str = "", warnings: Sequence[str] = ()
) -> ImportJob:
    """End it: completed, or stopped for a reason. Gives the job as it is then, whoever ended it."""
    return await db.transaction(_finish, run, reason, message, warnings)


async def _finish(
    tx: Transaction, run: Run, reason: ImportStopReason | None, message: str, warnings: Sequence[str]
) -> ImportJob:
    try:
        await lock(tx, run)
    except Superseded as superseded:
        return superseded.job
    return await end(tx, run, reason=reason, message=message, warnings=warnings)


async def end(
    tx: Transaction, run: Run, *, reason: ImportStopReason | None, message: str, warnings: Sequence[str] = ()
) -> ImportJob:
    """The same in a transaction that holds the job."""
    state = ImportState.COMPLETED if reason is None else _STATES.get(reason, ImportState.FAILED)
    found = await tx.fetch(
        f"""
        UPDATE import_job SET state = $3, stop_reason = $4, message = $5, warnings = $6, finished_at = $7
        WHERE customer_id = $1 AND id = $2 RETURNING {tables.IMPORT_JOB}
        """,
        run.job.customer_id,
        run.job.id,
        state.value,
        None if reason is None else reason.value,
        message,
        orjson.dumps(list(warnings)).decode(),
        await tx.now(),
    )
    tx.wake(run.job.id)
    return rows.import_job(found[0])


async def cancel(viewer: Viewer, job_id: str) -> ImportJob:
    """Stop a job at its next chunk; what it took in stays. One that has ended stays as it is.

    Raises:
        Rejected: NOT_FOUND.
    """
    return await db.transaction(_cancel, viewer, job_id)


async def _cancel(tx: Transaction, viewer: Viewer, job_id: str) -> ImportJob:
    await tx.fetch(
        """
        UPDATE import_job SET state = 'CANCELED', stop_reason = 'CANCELED', message = $3, finished_at = $4
        WHERE customer_id = $1 AND id = $2 AND state IN ('QUEUED', 'RUNNING')
        """,
        viewer.customer_id,
        job_id,
        CANCELED,
        await tx.now(),
    )
    found = await tx.fetch(
        f"SELECT {tables.IMPORT_JOB} FROM import_job WHERE customer_id = $1 AND id = $2",
        viewer.customer_id,
        job_id,
    )
    if not found:
        raise rejected(UserErrorCode.NOT_FOUND, "Import not found.", "id")
    tx.wake(job_id)
    return rows.import_job(found[0])


# ---------------------------------------------------------------- upkeep


async def end_abandoned(*, seconds: float = ABANDONED_SECONDS) -> int:
    """End the jobs of servers that are gone, so that nobody waits for them; gives how many.

    Args:
        seconds: for how long their servers were not heard of.
    """
    return await db.transaction(_end_abandoned, seconds)


async def _end_abandoned(tx: Transaction, seconds: float) -> int:
    now = await tx.now()
    found = await tx.fetch(
        f"""
        UPDATE import_job SET state = 'FAILED', stop_reason = 'INTERRUPTED', message = $2, finished_at = $3
        WHERE id IN (
            SELECT id FROM import_job WHERE state IN ('QUEUED', 'RUNNING') AND heard_at <= $1
            ORDER BY heard_at LIMIT {ABANDONED_MAX} {db.for_update("FOR UPDATE SKIP LOCKED")}
        ) RETURNING id
        """,
        now - timedelta(seconds=seconds),
        INTERRUPTED,
        now,
    )
    for row in found:
        tx.wake(row["id"])
    return len(found)


async def prune(*, days: int) -> bool:
    """Remove a part of what ended so many days ago, rows first; gives whether there may be more."""
    return await db.transaction(_prune, days)


async def _prune(tx: Transaction, days: int) -> bool:
    old = await tx.fetch(
        f"""
        SELECT id, customer_id FROM import_job WHERE finished_at < $1 ORDER BY finished_at LIMIT 1
        {db.for_update("FOR UPDATE SKIP LOCKED")}
        """,
        await tx.now() - timedelta(days=days),
    )
    if not old:
        return False
    owner, job_id = old[0]["customer_id"], old[0]["id"]
    removed = await tx.fetch(
        f"""
        DELETE FROM import_reject WHERE customer_id = $1 AND id IN (
            SELECT id FROM import_reject WHERE customer_id = $1 AND job_id = $2 LIMIT {PRUNED_MAX}
        ) RETURNING id
        """,
        owner,
        job_id,
    )
    if len(removed) < PRUNED_MAX:
        await tx.fetch("DELETE FROM import_job WHERE customer_id = $1 AND id = $2", owner, job_id)
    return True
