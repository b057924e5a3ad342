"""The rejected rows of an import: stored whole, and returned as a file that can be corrected."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from app import db, ids, models, rows, tables
from app.auth import Viewer
from app.db import Transaction
from app.errors import NotFound, Unavailable
from app.files import rejects as rejects_file
from app.files.drafting import ROW_CHARACTERS_MAX, WHOLE_CHARACTERS_MAX, RejectedRow, shortened
from app.imports.jobs import Run
from app.records import FileLayout

COLUMN_CHARACTERS_MAX = 255
"""The length of a column's name in a rejected row."""
KEPT_CHARACTERS_MAX = 256 * 1024 * 1024
"""The total length of one import's long rows that are stored whole: a file of only such rows must not fill the disk."""
PART_ROWS = 200
"""Rendering this many takes about 5 ms, during which no other request is served."""
PART_CHARACTERS = 1024 * 1024
"""Of the rows of a part, if they are long. Only the last row may exceed it."""


# ---------------------------------------------------------------- stored


async def keep(tx: Transaction, run: Run, given: Sequence[RejectedRow], *, kept_characters: int, now: datetime) -> int:
    """Store rejected rows, in a transaction that has locked the job.

    Args:
        tx: the chunk's.
        run: the upload's hold on the job.
        given: the rows.
        kept_characters: of the long rows that the job has stored whole so far.
        now: of the transaction.

    Returns:
        The same with these rows.
    """
    if not given:
        return kept_characters
    values = []
    for reject in given:
        is_long = len(reject.text) > ROW_CHARACTERS_MAX
        fits = len(reject.text) <= WHOLE_CHARACTERS_MAX and kept_characters + len(reject.text) <= KEPT_CHARACTERS_MAX
        is_whole = (fits or not is_long) and "\0" not in reject.text
        if is_whole and is_long:
            kept_characters += len(reject.text)
        values.append(
            {
                "id": ids.new(),
                "customer_id": run.job.customer_id,
                "job_id": run.job.id,
                "line_number": reject.line_number,
                "column_name": reject.column and shortened(reject.column)[:COLUMN_CHARACTERS_MAX],
                "code": reject.code.value,
                "message": reject.message,
                "row_text": shortened(reject.text),
                "whole_text": reject.text if is_whole and is_long else None,
                "is_whole": int(is_whole),
                "recorded_at": now,
            }
        )
    columns = tables.KEPT_REJECT
    await tx.fetch(
        f"INSERT INTO import_reject ({columns}) SELECT {columns} FROM {db.rowset('$1', columns.kinds, 'new')}",
        db.rows_value(values),
    )
    return kept_characters


# ---------------------------------------------------------------- the file


@dataclass(frozen=True, slots=True)
class RejectsFile:
    """A file that is sent while it is read."""

    name: str
    is_ndjson: bool
    parts: AsyncIterator[bytes]


async def file_of_rejects(viewer: Viewer, outdial_id: str, job_id: str) -> RejectsFile:
    """The rejected rows of an import, as a file like the imported one, in its order.

    Raises:
        NotFound: the outdial has no such import, or the viewer does not. Once this has returned, only the database can
            fail, or the rows are removed, and `Unavailable` cuts the file off.
    """
    job = await models.ImportJob.get_or_none(
        using_db=db.reader(), customer_id=viewer.customer_id, outdial_id=outdial_id, id=job_id
    )
    if job is None:
        raise NotFound("Import not found.")
    layout = rows.file_layout(tables.row_of(job))
    parts = _parts(viewer, job_id, layout, expected=job.rows_rejected)
    return RejectsFile(rejects_file.file_name(layout), layout.is_ndjson, parts)


async def _parts(viewer: Viewer, job_id: str, layout: FileLayout, *, expected: int) -> AsyncIterator[bytes]:
    yield rejects_file.head(layout)
    line_number = sent = 0
    while part := await _after(viewer, job_id, line_number):
        kept = [rows.kept_row(row) for row in part]
        yield rejects_file.body(layout, kept)
        line_number = kept[-1].line_number
        sent += len(kept)
    if sent < expected:
        raise Unavailable("The rejected rows have just been removed, because the import is old.")


async def _after(viewer: Viewer, job_id: str, line_number: int) -> Sequence[Mapping[str, object]]:
    return await db.fetch(
        f"""
        SELECT line_number, message, text, is_whole FROM (
            SELECT line_number, message, text, is_whole,
                   SUM(LENGTH(text)) OVER (ORDER BY line_number) - LENGTH(text) AS characters_before
            FROM (
                SELECT line_number, message, COALESCE(whole_text, row_text) AS text, is_whole FROM import_reject
                WHERE customer_id = $1 AND job_id = $2 AND line_number > $3 ORDER BY line_number LIMIT {PART_ROWS}
            ) AS following
        ) AS measured
        WHERE characters_before <= {PART_CHARACTERS} ORDER BY line_number
        """,
        viewer.customer_id,
        job_id,
        line_number,
    )
