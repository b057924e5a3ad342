"""Reads a file from its first byte to its last, a part at a time, and checks the parts or hands them to another reader.

Only the present part is in memory.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from app import ids
from app.files import columns, parsing
from app.files.checking import Checking
from app.files.columns import ColumnProblem
from app.files.parsing import FileProblem, Lines, Record
from app.files.protocol import Chunk, Handed, Head, Part, Task
from app.records import ImportStopReason

CHUNK_ROWS = 1_000
"""In one transaction: a longer one would delay every subscriber."""
CHUNK_UPDATES = 100
"""If rows replace stored ones, the server compares each, in about 0.2 ms."""
CHUNK_CHARACTERS = 1024 * 1024
"""Of the rows' text, if rows are long."""
HANDED_CHARACTERS_MAX = 2 * CHUNK_CHARACTERS
"""A longer part, which has a very long row, stays with the reader that has it, so that it is not in memory twice."""
COLUMN_NAMES_CHARACTERS_MAX = 100_000
"""Of all names: longer ones are not stored for the file of rejected rows."""

Hand = Callable[[Head, Part], bool]
"""Gives a part to another reader. False if there is none, or it has enough to do."""


def alone(_head: Head, _part: Part) -> bool:
    """There is no other reader."""
    return False


@dataclass(slots=True)
class _Gathered:
    """The rows of the next part."""

    records: list[Record] = field(default_factory=list)
    characters: int = 0

    def add(self, record: Record) -> None:
        self.records.append(record)
        self.characters += len(record.text)


class Reading:
    """One file: records, parts, chunks.

    Args:
        task: the options.
        send: takes the results in the file's order.
        hand: to another reader.
    """

    def __init__(self, task: Task, send: Callable[[Chunk | Handed], None], hand: Hand = alone) -> None:
        self._task = task
        self._send = send
        self._hand = hand
        self._digest = hashlib.sha256()
        self._settled = task.settled_line == 0
        self._last_line = 0
        """The line on which the last record ended."""
        self._gathered = _Gathered()
        self._head: Head | None = None
        self._checking: Checking | None = None

    def read(self, pieces: Iterator[bytes]) -> None:
        """Read the whole file.

        Raises:
            FileProblem: it cannot be read any further. What was read before has been sent.
        """
        task = self._task
        lines = Lines(parsing.decoded(parsing.inflated(pieces, is_gzip=task.is_gzip), task.encoding))
        rows_max = CHUNK_UPDATES if task.updates else CHUNK_ROWS
        try:
            for record in parsing.without_blanks(self._records(lines)):
                self._last_line = record.last_line
                if not self._settled:
                    self._read_over(record)
                    continue
                self._gathered.add(record)
                if len(self._gathered.records) >= rows_max or self._gathered.characters >= CHUNK_CHARACTERS:
                    self._flush()
        except FileProblem:
            self._flush()
            raise
        if not self._settled:
            raise _another_file()
        self._flush()

    def warnings(self) -> list[str]:
        return self._checking.warnings() if self._checking else []

    def _records(self, lines: Lines) -> Iterator[Record]:
        if self._task.is_ndjson:
            self._begin(Head(self._task, (), None, None))
            yield from parsing.ndjson_records(lines)
            return
        header, delimiter = parsing.csv_header(lines, self._task.mapping)
        self._add_to_digest(header.text)
        self._begin(_csv_head(self._task, header, delimiter))
        yield from parsing.csv_records(lines, delimiter)

    def _add_to_digest(self, text: str) -> None:
        self._digest.update(text.encode("utf-8", "surrogatepass"))

    def _begin(self, head: Head) -> None:
        self._head, self._checking = head, Checking(head)

    def _read_over(self, record: Record) -> None:
        self._add_to_digest(record.text)
        if record.last_line < self._task.settled_line:
            return
        if record.last_line > self._task.settled_line or self._digest.hexdigest() != self._task.settled_digest:
            raise _another_file()
        self._settled = True

    def _flush(self) -> None:
        gathered, self._gathered = self._gathered, _Gathered()
        if not gathered.records:
            return
        assert self._head is not None
        assert self._checking is not None
        self._add_to_digest("".join([record.text for record in gathered.records]))
        part = Part(
            records=gathered.records,
            ids=[ids.new() for _ in gathered.records],
            characters=gathered.characters,
            last_line=self._last_line,
            digest=self._digest.hexdigest(),
        )
        if part.characters <= HANDED_CHARACTERS_MAX and self._hand(self._head, part):
            self._checking.pass_over(part)
            self._send(Handed())
        else:
            self._send(self._checking.chunk(part))


def _csv_head(task: Task, header: Record, delimiter: str) -> Head:
    """What the header says.

    Raises:
        FileProblem: the file cannot be imported with these columns.
    """
    plain = {columns.plain(name) for name in header.values}
    missing = [name for name in task.needed if name not in plain]
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
    is_kept = len(header.text) <= COLUMN_NAMES_CHARACTERS_MAX and "\0" not in f"{header.text}{delimiter}"
    return Head(task, header.values, found.kept_names if is_kept else None, delimiter if is_kept else None)


def _another_file() -> FileProblem:
    return FileProblem(
        "This is a different file from the one that was sent with this idempotency key: their first rows differ. "
        "Use a new key.",
        ImportStopReason.CONFLICT,
    )
