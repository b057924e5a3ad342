"""The protocol between the server and the processes that read a file: frames, and their encoding in a pipe.

To the first reader go one `Task`, then `Data` and one `EndOfFile`; from it come `Chunk`s and one `Ended`. If there is a
second reader, the first one sends it one `Head` and some `Part`s of the file, and tells the server with `Handed` that
the next chunk comes from there. The second reader answers each `Part` with a `Chunk`. A frame is a header and two
parts: JSON, and bytes that are passed on unparsed.
"""

import hashlib
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, BinaryIO

import orjson

from app import rows
from app.files.drafting import RejectedRow
from app.files.parsing import Record
from app.records import CallbackDraft, CheckedTarget, ImportStopReason, RejectCode

HEADER = struct.Struct(">cII")
"""Kind, length of the JSON, length of the bytes."""


@dataclass(frozen=True, slots=True)
class Task:
    """How a file is read; sent before the file."""

    is_ndjson: bool
    is_gzip: bool
    for_postgres: bool
    encoding: str | None
    region: str | None
    mapping: Mapping[str, str]
    extra_kept: bool
    compares_addresses: bool
    updates: bool
    """Rows replace the targets with their keys."""
    settled_line: int
    """Rows up to this line were imported by an earlier run. They are skipped, and must be the same."""
    settled_digest: str
    needed: Sequence[str] = ()
    """The columns of the mapping that the file must have, by their plain names. It may have the others."""


@dataclass(frozen=True, slots=True)
class Data:
    """A piece of the file."""

    piece: bytes


@dataclass(frozen=True, slots=True)
class EndOfFile:
    """The file is complete. If the input ends without this frame, it was cut off."""


@dataclass(frozen=True, slots=True)
class Head:
    """What is known about a file before its first row."""

    task: Task
    names: Sequence[str]
    """Of the columns of CSV."""
    column_names: Sequence[str | None] | None
    """The names that are stored, as `records.FileLayout` has them; None if they are too long."""
    delimiter: str | None


@dataclass(frozen=True, slots=True)
class Part:
    """Rows that become one chunk, not checked yet."""

    records: Sequence[Record]
    ids: Sequence[str]
    """One for each row. They ascend through the file, although more than one process checks it."""
    characters: int
    """Of the rows' text."""
    last_line: int
    """The line on which the last row ends."""
    digest: str
    """The hash of the file's text up to there."""


@dataclass(frozen=True, slots=True)
class Handed:
    """The second reader has the rows that follow: its next chunk comes before the next frame."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Rows that are committed together. The lists have one member for each row that passed the rules."""

    lines: Sequence[int]
    """The line of the file on which each begins."""
    keys: Sequence[str | None]
    masks: Sequence[int]
    """Bit n is set if the row has destination n."""
    limits: Sequence[Sequence[int] | None]
    """The row's own maximum of tries, by destination."""
    addresses: Sequence[Sequence[str | None]] | None
    """In the form for comparison, by destination; None if they are not compared."""
    texts: Sequence[str]
    """The rows as they are in the file, as far as they are stored if rejected."""
    targets: Sequence[CheckedTarget] | None
    """The rows' values; None if rows replace nothing."""
    callbacks: Sequence[tuple[int, str, CallbackDraft]]
    """Of the rows that have one: the row's place, its id, and the callback."""
    shapes: Sequence[int]
    """Which member of `shown` has the file's names of the row's fields."""
    shown: Sequence[Mapping[str, str]]
    rejects: Sequence[RejectedRow]
    """The rows that did not pass."""
    column_names: Sequence[str | None] | None
    """Of CSV, as `records.FileLayout` has them."""
    delimiter: str | None
    last_line: int
    """As of its `Part`."""
    digest: str
    bulk: bytes
    """The rows in the form that the database takes."""

    def addresses_of(self, row: int) -> Sequence[str | None]:
        return () if self.addresses is None else self.addresses[row]

    def content_of(self, row: int) -> bytes:
        """A digest of the row's values; b"" if the chunk does not carry them."""
        return b"" if self.targets is None else hashlib.sha256(orjson.dumps(_target_json(self.targets[row]))).digest()


@dataclass(frozen=True, slots=True)
class Ended:
    """The file was read: to its end, or to the point from which it cannot be read."""

    reason: ImportStopReason | None
    """Why it cannot be read any further; None if it was read to its end."""
    message: str
    warnings: Sequence[str]


ToWorker = Task | Data | EndOfFile | Head | Part
FromWorker = Chunk | Handed | Ended

_KINDS: dict[type[ToWorker | FromWorker], bytes] = {
    Task: b"T",
    Data: b"D",
    EndOfFile: b"E",
    Head: b"H",
    Part: b"P",
    Chunk: b"C",
    Handed: b"S",
    Ended: b"N",
}
_FRAMES = {kind: frame for frame, kind in _KINDS.items()}


def encode(frame: ToWorker | FromWorker) -> bytes:
    """The frame as bytes for the pipe."""
    kind = _KINDS[type(frame)]
    match frame:
        case Data():
            return _packed(kind, carried=frame.piece)
        case Part():
            return _packed(kind, _part_json(frame))
        case Chunk():
            return _packed(kind, _chunk_json(frame), frame.bulk)
        case _:
            return _packed(kind, frame)


def decode(kind: bytes, text: bytes, carried: bytes) -> ToWorker | FromWorker:
    """The frame that was encoded.

    Args:
        kind: of the header.
        text: the JSON; as long as the header says.
        carried: the bytes; as long as the header says.

    Raises:
        ValueError: the other side does not speak this protocol.
    """
    frame = _FRAMES.get(kind)
    if frame is None:
        raise ValueError(f"There is no frame of the kind {kind!r}.")
    if frame is Data:
        return Data(carried)
    said = orjson.loads(text)
    if frame is Chunk:
        return _chunk(said, carried)
    if frame is Part:
        said["records"] = [Record(*row) for row in said["records"]]
    elif frame is Head:
        said["task"] = Task(**said["task"])
    elif frame is Ended:
        said["reason"] = None if said["reason"] is None else ImportStopReason(said["reason"])
        said["warnings"] = tuple(said["warnings"])
    return frame(**said)


def read(source: BinaryIO) -> ToWorker | FromWorker | None:
    """The next frame of a pipe; None if the pipe ends before it is complete."""
    header = source.read(HEADER.size)
    if len(header) < HEADER.size:
        return None
    kind, text_length, carried_length = HEADER.unpack(header)
    text, carried = source.read(text_length), source.read(carried_length)
    if len(text) < text_length or len(carried) < carried_length:
        return None
    return decode(kind, text, carried)


def _packed(kind: bytes, said: object = None, carried: bytes = b"") -> bytes:
    text = b"" if said is None else orjson.dumps(said)
    return HEADER.pack(kind, len(text), len(carried)) + text + carried


# ---------------------------------------------------------------- parts and chunks as JSON


def _part_json(part: Part) -> dict[str, Any]:
    """Objects of NDJSON are left out, and read again from their text: not all that is valid JSON can be written."""
    return {
        "records": [
            (
                record.line_number,
                record.last_line,
                None if isinstance(record.values, dict) else record.values,
                record.text,
                record.problem,
            )
            for record in part.records
        ],
        "ids": part.ids,
        "characters": part.characters,
        "last_line": part.last_line,
        "digest": part.digest,
    }


def _chunk_json(chunk: Chunk) -> dict[str, Any]:
    return {
        "lines": chunk.lines,
        "keys": chunk.keys,
        "masks": chunk.masks,
        "limits": chunk.limits,
        "addresses": chunk.addresses,
        "texts": chunk.texts,
        "targets": None if chunk.targets is None else [_target_json(target) for target in chunk.targets],
        "callbacks": chunk.callbacks,
        "shapes": chunk.shapes,
        "shown": chunk.shown,
        "rejects": chunk.rejects,
        "column_names": chunk.column_names,
        "delimiter": chunk.delimiter,
        "last_line": chunk.last_line,
        "digest": chunk.digest,
    }


def _chunk(said: dict[str, Any], bulk: bytes) -> Chunk:
    if said["targets"] is not None:
        said["targets"] = [_target(given) for given in said["targets"]]
    said["callbacks"] = [(row, target_id, _callback(given)) for row, target_id, given in said["callbacks"]]
    said["rejects"] = [
        RejectedRow(row["line_number"], row["column"], RejectCode(row["code"]), row["message"], row["text"])
        for row in said["rejects"]
    ]
    return Chunk(**said, bulk=bulk)


def _target_json(target: CheckedTarget) -> dict[str, Any]:
    return {
        "key": target.key,
        "name": target.name,
        "detail": target.detail,
        "data": target.data,
        "priority": target.priority,
        "max_try_counts": target.max_try_counts,
        "not_before": target.not_before,
        "time_zone": target.time_zone,
        "destinations": [rows.destination_value(value) for value in target.destinations],
        "callback": target.callback,
    }


def _target(given: dict[str, Any]) -> CheckedTarget:
    limits, instant = given["max_try_counts"], given["not_before"]
    return CheckedTarget(
        key=given["key"],
        name=given["name"],
        detail=given["detail"],
        data=given["data"],
        priority=given["priority"],
        max_try_counts=None if limits is None else tuple(limits),
        not_before=None if instant is None else datetime.fromisoformat(instant),
        time_zone=given["time_zone"],
        destinations=tuple(rows.destination_of(value) for value in given["destinations"]),
        callback=None if given["callback"] is None else _callback(given["callback"]),
    )


def _callback(given: dict[str, Any]) -> CallbackDraft:
    return CallbackDraft(**given | {"at": datetime.fromisoformat(given["at"])})
