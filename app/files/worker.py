"""The process that reads a file: its bytes come in on standard input, chunks of checked rows go out on standard output.

It has no secrets and no database connection. Both directions carry the frames of `app.files.protocol`. A full pipe
makes the writer wait, so each side has at most two chunks in memory. The process ends when its input does.

    python -m app.files.worker
"""

import hashlib
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import BinaryIO

from app import validation
from app.files import columns, parsing, protocol, staging
from app.files.columns import ColumnProblem, Columns
from app.files.drafting import CheckedRow, CsvRows, NdjsonRows, RejectedRow, carried
from app.files.parsing import FileProblem, Lines, Record
from app.files.protocol import Chunk, Data, Ended, FromWorker, Task
from app.records import ImportStopReason

CHUNK_ROWS = 1_000
"""In one transaction: a longer one would delay every subscriber."""
CHUNK_UPDATES = 100
"""If rows replace stored ones, the server compares each, in about 0.2 ms."""
CHUNK_CHARACTERS = 1024 * 1024
"""Of the rows' text, if rows are long."""
COLUMN_NAMES_CHARACTERS_MAX = 100_000
"""Of all names: longer ones are not stored for the file of rejected rows."""
NICENESS = 10
"""Lower than the server's, so that requests are answered first."""


@dataclass(slots=True)
class _Gathered:
    """The rows of the next chunk."""

    rows: list[CheckedRow] = field(default_factory=list)
    rejects: list[RejectedRow] = field(default_factory=list)
    characters: int = 0

    def add(self, found: CheckedRow | RejectedRow) -> None:
        if isinstance(found, CheckedRow):
            self.rows.append(found)
        else:
            self.rejects.append(found)
        self.characters += len(found.text)

    @property
    def size(self) -> int:
        return len(self.rows) + len(self.rejects)


class SenderGone(Exception):  # noqa: N818 - not an error of this process
    """The input ended before the file did."""


def _pieces(source: BinaryIO) -> Iterator[bytes]:
    while True:
        frame = protocol.read(source)
        if frame is None:
            raise SenderGone
        if not isinstance(frame, Data):
            return
        yield frame.piece


# ---------------------------------------------------------------- the file


def run(source: BinaryIO, target: BinaryIO) -> None:
    """Read one file to its end, or to the point from which it cannot be read."""
    task = protocol.read(source)
    if task is None:
        return
    assert isinstance(task, Task)
    validation.configure(default_region=task.region)

    def send(frame: FromWorker) -> None:
        target.write(protocol.encode(frame))
        target.flush()

    reading = Reading(task, send)
    try:
        reading.read(_pieces(source))
    except SenderGone:
        return
    except FileProblem as problem:
        send(Ended(problem.reason, problem.message, reading.warnings()))
    else:
        send(Ended(None, "", reading.warnings()))


class Reading:
    """One file: records, rows, chunks.

    Args:
        task: the options.
    """

    def __init__(self, task: Task, send: Callable[[Chunk], None]) -> None:
        self._task = task
        self._send = send
        self._digest = hashlib.sha256()
        self._settled = task.settled_line == 0
        self._last_line = 0
        """The line on which the last record ended."""
        self._gathered = _Gathered()
        self._rows: CsvRows | NdjsonRows | None = None
        self._csv_warnings: list[str] = []
        self._column_names: list[str | None] | None = None
        self._delimiter: str | None = None

    def read(self, pieces: Iterator[bytes]) -> None:
        """Read the whole file.

        Raises:
            FileProblem: it cannot be read any further. What was read before has been sent.
        """
        task = self._task
        lines = Lines(parsing.decoded(parsing.inflated(pieces, is_gzip=task.is_gzip), task.encoding))
        chunk_rows = CHUNK_UPDATES if task.updates else CHUNK_ROWS
        try:
            for record in parsing.without_blanks(self._records(lines)):
                self._digest.update(record.text.encode("utf-8", "surrogatepass"))
                self._last_line = record.last_line
                if not self._settled:
                    self._read_over(record)
                else:
                    self._gathered.add(self._of(record))
                    if self._gathered.size >= chunk_rows or self._gathered.characters >= CHUNK_CHARACTERS:
                        self._flush()
        except FileProblem:
            self._flush()
            raise
        if not self._settled:
            raise _another_file()
        self._flush()

    def _records(self, lines: Lines) -> Iterator[Record]:
        task = self._task
        if task.is_ndjson:
            self._rows = NdjsonRows(task.mapping, extra_kept=task.extra_kept)
            yield from parsing.ndjson_records(lines)
            return
        header, delimiter = parsing.csv_header(lines, task.mapping)
        self._digest.update(header.text.encode("utf-8", "surrogatepass"))
        found = self._csv_columns(header)
        self._rows = CsvRows(found, extra_kept=task.extra_kept)
        if len(header.text) <= COLUMN_NAMES_CHARACTERS_MAX and "\0" not in f"{header.text}{delimiter}":
            self._column_names, self._delimiter = found.kept_names, delimiter
        yield from parsing.csv_records(lines, delimiter)

    def _csv_columns(self, header: Record) -> Columns:
        task = self._task
        plain = {columns.plain(name) for name in header.values}
        missing = [name for name in task.mapping if name not in plain]
        if missing:
            raise FileProblem(f"The header has no column {columns.listed(missing)}, but the mapping names it.")
        try:
            found = columns.resolve(header.values, task.mapping)
        except ColumnProblem as problem:
            raise FileProblem(f"Line {header.line_number}, the header: {problem}") from None
        if not any(name is not None and name.startswith("destination_") for name in found.fields):
            raise FileProblem(
                f"Line {header.line_number}, the header, has no column with an address, such as phone, email or "
                "destination_0_target. Map a column with another name, for example Telefon:phone."
            )
        if task.extra_kept and "data" in found.fields and found.extra:
            raise FileProblem("The file has a column data, so unknown columns cannot be stored there.")
        self._csv_warnings = columns.warnings(
            [found.names[position] for position in found.extra], found.left_out, extra_kept=task.extra_kept
        )
        return found

    def _of(self, record: Record) -> CheckedRow | RejectedRow:
        assert self._rows is not None
        return self._rows.row(record)

    def _read_over(self, record: Record) -> None:
        if record.last_line < self._task.settled_line:
            return
        if record.last_line > self._task.settled_line or self._digest.hexdigest() != self._task.settled_digest:
            raise _another_file()
        self._settled = True

    def warnings(self) -> list[str]:
        if isinstance(self._rows, NdjsonRows):
            return self._rows.warnings()
        return self._csv_warnings

    def _flush(self) -> None:
        gathered, self._gathered = self._gathered, _Gathered()
        if gathered.size:
            self._send(self._chunk(gathered.rows, gathered.rejects))

    def _chunk(self, rows: Sequence[CheckedRow], rejects: Sequence[RejectedRow]) -> Chunk:
        task = self._task
        shown, shapes = staging.shapes(rows)
        return Chunk(
            lines=[row.line_number for row in rows],
            keys=[row.target.key for row in rows],
            masks=[staging.mask(row.target) for row in rows],
            limits=[row.target.max_try_counts for row in rows],
            addresses=[row.target.addresses for row in rows] if task.compares_addresses else None,
            texts=[carried(row.text) for row in rows],
            targets=[row.target for row in rows] if task.updates else None,
            shapes=shapes,
            shown=shown,
            rejects=[replace(row, text=carried(row.text)) for row in rejects],
            column_names=self._column_names,
            delimiter=self._delimiter,
            last_line=self._last_line,
            digest=self._digest.hexdigest(),
            bulk=staging.bulk(rows, for_postgres=task.for_postgres),
        )


def _another_file() -> FileProblem:
    return FileProblem(
        "This is a different file from the one that was sent with this idempotency key: their first rows differ. "
        "Use a new key.",
        ImportStopReason.CONFLICT,
    )


def main() -> None:
    os.nice(NICENESS)
    # Ctrl-C in a terminal also reaches this process, but the server decides when it ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(BrokenPipeError):  # the server is gone
        run(sys.stdin.buffer, sys.stdout.buffer)


if __name__ == "__main__":
    main()
