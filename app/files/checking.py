"""Checks parts of a file: rows become a chunk that can be committed. Pure, except for one setting.

Each reader of a file does this for the parts that it has.
"""

from collections.abc import Sequence
from dataclasses import replace

from app.files import columns, staging
from app.files.drafting import CheckedRow, CsvRows, NdjsonRows, RejectedRow, carried
from app.files.protocol import Chunk, Head, Part


class Checking:
    """The rows of one file.

    Args:
        head: of the file.
    """

    def __init__(self, head: Head) -> None:
        self._head = head
        task = head.task
        self._rows: CsvRows | NdjsonRows
        self._csv_warnings: list[str] = []
        if task.is_ndjson:
            self._rows = NdjsonRows(task.mapping, extra_kept=task.extra_kept)
        else:
            found = columns.resolve(head.names, task.mapping)
            self._rows = CsvRows(found, extra_kept=task.extra_kept)
            unknown = [found.names[position] for position in found.extra]
            self._csv_warnings = columns.warnings(unknown, found.left_out, extra_kept=task.extra_kept)

    def chunk(self, part: Part) -> Chunk:
        """The part's rows, checked."""
        rows: list[CheckedRow] = []
        rejects: list[RejectedRow] = []
        for record in part.records:
            found = self._rows.row(record)
            if isinstance(found, CheckedRow):
                rows.append(found)
            else:
                rejects.append(found)
        return self._chunk(part, rows, rejects)

    def pass_over(self, part: Part) -> None:
        """A part that another reader checks."""
        if isinstance(self._rows, NdjsonRows):
            for record in part.records:
                self._rows.pass_over(record)

    def warnings(self) -> list[str]:
        """About the columns of all parts so far."""
        return self._rows.warnings() if isinstance(self._rows, NdjsonRows) else self._csv_warnings

    def _chunk(self, part: Part, rows: Sequence[CheckedRow], rejects: Sequence[RejectedRow]) -> Chunk:
        task = self._head.task
        shown, shapes = staging.shapes(rows)
        return Chunk(
            lines=[row.line_number for row in rows],
            keys=[row.target.key for row in rows],
            masks=[staging.mask(row.target) for row in rows],
            limits=[row.target.max_try_counts for row in rows],
            addresses=[row.target.addresses for row in rows] if task.compares_addresses else None,
            texts=[carried(row.text) for row in rows],
            targets=[row.target for row in rows] if task.updates else None,
            callbacks=[
                (place, target_id, row.target.callback)
                for place, (target_id, row) in enumerate(zip(part.ids, rows, strict=False))
                if row.target.callback is not None
            ],
            shapes=shapes,
            shown=shown,
            rejects=[replace(row, text=carried(row.text)) for row in rejects],
            column_names=self._head.column_names,
            delimiter=self._head.delimiter,
            last_line=part.last_line,
            digest=part.digest,
            bulk=staging.bulk(rows, part.ids, for_postgres=task.for_postgres),
        )
