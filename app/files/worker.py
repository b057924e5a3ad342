"""The process that reads a file: its bytes come in on standard input, chunks of checked rows go out on standard output.

It holds no secret and no connection. Frames in both directions are a header and two parts, JSON and bytes; a pipe that
is full makes whoever writes wait, so neither side holds more than a chunk or two. It ends when its input does.

    python -m app.files.worker
"""

import hashlib
import os
import struct
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import orjson

from app import validation
from app.files import columns, parsing, staging
from app.files.columns import ColumnProblem
from app.files.drafting import CsvRows, NdjsonRows, Reject, Row, shortened
from app.files.parsing import FileProblem, Lines, Record
from app.records import ImportStopReason

CHUNK_ROWS = 1_000
"""In one transaction: a longer one would hold back every subscriber."""
CHUNK_UPDATES = 100
"""Where rows replace stored ones, each is compared in the server, which takes it about 0.2 ms."""
CHUNK_CHARACTERS = 1024 * 1024
"""Of the rows' text, where rows are long."""
HEADER = struct.Struct(">cII")
"""Kind, length of the JSON, length of the bytes."""
NICENESS = 10
"""Whoever waits for an answer of the server goes first."""

# Kinds of frames
BEGIN, DATA, EOF = b"B", b"D", b"E"
CHUNK, ENDED, FAILED = b"C", b"N", b"F"


@dataclass(frozen=True, slots=True)
class Task:
    """What the process is told before the file."""

    is_ndjson: bool
    is_gzip: bool
    for_postgres: bool
    encoding: str | None
    region: str | None
    mapping: Mapping[str, str]
    extra_kept: bool
    compares_addresses: bool
    updates: bool
    """Rows replace the targets that have their keys."""
    settled_line: int
    """What an earlier run settled is read over, and must be what it was."""
    settled_digest: str


@dataclass(slots=True)
class Chunk:
    """Rows that are committed together."""

    rows: list[Row] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    characters: int = 0

    def add(self, found: Row | Reject) -> None:
        if isinstance(found, Row):
            self.rows.append(found)
        else:
            self.rejects.append(found)
        self.characters += len(found.text)

    @property
    def size(self) -> int:
        return len(self.rows) + len(self.rejects)


# ---------------------------------------------------------------- frames


def read_frame(source: BinaryIO) -> tuple[bytes, bytes, bytes] | None:
    """Kind, JSON and bytes of the next frame; None at the end of the input."""
    header = source.read(HEADER.size)
    if len(header) < HEADER.size:
        return None
    kind, json_length, bytes_length = HEADER.unpack(header)
    said, carried = source.read(json_length), source.read(bytes_length)
    if len(said) < json_length or len(carried) < bytes_length:
        return None
    return kind, said, carried


def frame(kind: bytes, said: object = None, carried: bytes = b"") -> bytes:
    text = b"" if said is None else orjson.dumps(said)
    return HEADER.pack(kind, len(text), len(carried)) + text + carried


class SenderGone(Exception):  # noqa: N818 - an end, and no fault of this process
    """The input ended before the file did."""


def _pieces(source: BinaryIO) -> Iterator[bytes]:
    while True:
        found = read_frame(source)
        if found is None:
            raise SenderGone
        kind, _, piece = found
        if kind == EOF:
            return
        yield piece


# ---------------------------------------------------------------- the file


def run(source: BinaryIO, target: BinaryIO) -> None:
    """Read one file to its end, or to where it cannot be read on."""
    first = read_frame(source)
    if first is None:
        return
    task = Task(**orjson.loads(first[1]))
    validation.configure(default_region=task.region)

    def send(kind: bytes, said: object, carried: bytes = b"") -> None:
        target.write(frame(kind, said, carried))
        target.flush()

    reading = Reading(task, send)
    try:
        warnings = reading.read(_pieces(source))
    except SenderGone:
        return
    except FileProblem as problem:
        send(FAILED, {"reason": problem.reason, "message": problem.message, "warnings": reading.warnings()})
    else:
        send(ENDED, {"warnings": warnings})


class Reading:
    """One file on its way through: records, rows, chunks.

    Args:
        task: what is asked for.
        send: takes a frame's kind, JSON and bytes.
    """

    def __init__(self, task: Task, send: Callable[[bytes, object, bytes], None]) -> None:
        self._task = task
        self._send = send
        self._digest = hashlib.sha256()
        self._settled = task.settled_line == 0
        self._last_line = 0
        """Where the last record ended that was read."""
        self._chunk = Chunk()
        self._rows: CsvRows | NdjsonRows | None = None
        self._csv_warnings: list[str] = []

    def read(self, pieces: Iterator[bytes]) -> list[str]:
        """Read it all; gives the warnings.

        Raises:
            FileProblem: it cannot be read on. What was read before has been sent.
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
                    self._chunk.add(self._of(record))
                    if self._chunk.size >= chunk_rows or self._chunk.characters >= CHUNK_CHARACTERS:
                        self._flush()
        except FileProblem:
            self._flush()
            raise
        if not self._settled:
            raise _another_file()
        self._flush()
        return self.warnings()

    def _records(self, lines: Lines) -> Iterator[Record]:
        task = self._task
        if task.is_ndjson:
            self._rows = NdjsonRows(task.mapping, extra_kept=task.extra_kept)
            yield from parsing.ndjson_records(lines)
            return
        header, delimiter = parsing.csv_header(lines, task.mapping)
        self._digest.update(header.text.encode("utf-8", "surrogatepass"))
        self._rows = self._csv_rows(header)
        yield from parsing.csv_records(lines, delimiter)

    def _csv_rows(self, header: Record) -> CsvRows:
        task = self._task
        plain = {columns.plain(name) for name in header.values}
        missing = [name for name in task.mapping if name not in plain]
        if missing:
            raise FileProblem(f"The header has no column {columns.listed(missing)}, which the mapping names.")
        try:
            found = columns.resolve(header.values, task.mapping)
        except ColumnProblem as problem:
            raise FileProblem(f"Line {header.line_number}, the header: {problem}") from None
        if not any(name is not None and name.startswith("destination_") for name in found.fields):
            raise FileProblem(
                f"Line {header.line_number}, the header, names no column with an address, such as phone, email or "
                "destination_0_target. Another name can be mapped: Telefon:phone."
            )
        if task.extra_kept and "data" in found.fields and found.extra:
            raise FileProblem("The file has a column data, so its unknown columns cannot go there.")
        self._csv_warnings = columns.warnings(
            [found.names[position] for position in found.extra], found.left_out, extra_kept=task.extra_kept
        )
        return CsvRows(found, extra_kept=task.extra_kept)

    def _of(self, record: Record) -> Row | Reject:
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
        chunk, self._chunk = self._chunk, Chunk()
        if not chunk.size:
            return
        self._send(CHUNK, self._said(chunk), staging.bulk(chunk.rows, for_postgres=self._task.for_postgres))

    def _said(self, chunk: Chunk) -> dict[str, Any]:
        task, rows = self._task, chunk.rows
        shown, shapes = staging.shapes(rows)
        return {
            "lines": [row.line_number for row in rows],
            "keys": [row.target.key for row in rows],
            "masks": [staging.mask(row.target) for row in rows],
            "limits": [row.target.max_try_counts for row in rows],
            "addresses": [row.target.addresses for row in rows] if task.compares_addresses else None,
            "texts": [shortened(row.text) for row in rows],
            "targets": [staging.stored(row.target) for row in rows] if task.updates else None,
            "shown": shown,
            "shapes": shapes,
            "rejects": [
                (reject.line_number, reject.column, reject.code, reject.message, shortened(reject.text))
                for reject in chunk.rejects
            ],
            "last_line": self._last_line,
            "digest": self._digest.hexdigest(),
        }


def _another_file() -> FileProblem:
    return FileProblem(
        "This is another file than the one that was begun under this idempotency key: up to where that one came, its "
        "rows differ.",
        ImportStopReason.CONFLICT,
    )


def main() -> None:
    os.nice(NICENESS)
    with suppress(BrokenPipeError, KeyboardInterrupt):  # the server is gone, or told to go
        run(sys.stdin.buffer, sys.stdout.buffer)


if __name__ == "__main__":
    main()
