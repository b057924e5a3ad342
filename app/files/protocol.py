"""The protocol between the server and the process that reads a file: frames, and their encoding in a pipe.

To the process go one `Task`, then `Data` and one `EndOfFile`; from it come `Chunk`s and one `Ended`. A frame is a
header and two parts: JSON, and bytes that are passed on unparsed.
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
from app.records import CheckedTarget, ImportStopReason, RejectCode

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


@dataclass(frozen=True, slots=True)
class Data:
    """A piece of the file."""

    piece: bytes


@dataclass(frozen=True, slots=True)
class EndOfFile:
    """The file is complete. If the input ends without this frame, it was cut off."""


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
    shapes: Sequence[int]
    """Which member of `shown` has the file's names of the row's fields."""
    shown: Sequence[Mapping[str, str]]
    rejects: Sequence[RejectedRow]
    """The rows that did not pass."""
    column_names: Sequence[str | None] | None
    """Of CSV, as `records.FileLayout` has them."""
    delimiter: str | None
    last_line: int
    """The line on which the last row of the chunk ends."""
    digest: str
    """The hash of the file's text up to there."""
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


ToWorker = Task | Data | EndOfFile
FromWorker = Chunk | Ended

_TASK, _DATA, _END_OF_FILE, _CHUNK, _ENDED = b"T", b"D", b"E", b"C", b"N"


def encode(frame: ToWorker | FromWorker) -> bytes:
    """The frame as bytes for the pipe."""
    match frame:
        case Task():
            return _packed(_TASK, frame)
        case Data():
            return _packed(_DATA, carried=frame.piece)
        case EndOfFile():
            return _packed(_END_OF_FILE)
        case Chunk():
            return _packed(_CHUNK, _chunk_json(frame), frame.bulk)
        case Ended():
            return _packed(_ENDED, frame)


def decode(kind: bytes, text: bytes, carried: bytes) -> ToWorker | FromWorker:
    """The frame that was encoded.

    Args:
        kind: of the header.
        text: the JSON; as long as the header says.
        carried: the bytes; as long as the header says.

    Raises:
        ValueError: the other side does not speak this protocol.
    """
    if kind == _DATA:
        return Data(carried)
    if kind == _END_OF_FILE:
        return EndOfFile()
    said = orjson.loads(text)
    if kind == _TASK:
        return Task(**said)
    if kind == _CHUNK:
        return _chunk(said, carried)
    if kind == _ENDED:
        reason = None if said["reason"] is None else ImportStopReason(said["reason"])
        return Ended(reason, said["message"], tuple(said["warnings"]))
    raise ValueError(f"There is no frame of the kind {kind!r}.")


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


# ---------------------------------------------------------------- chunks as JSON


def _chunk_json(chunk: Chunk) -> dict[str, Any]:
    return {
        "lines": chunk.lines,
        "keys": chunk.keys,
        "masks": chunk.masks,
        "limits": chunk.limits,
        "addresses": chunk.addresses,
        "texts": chunk.texts,
        "targets": None if chunk.targets is None else [_target_json(target) for target in chunk.targets],
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
        "destinations": [rows.destination_value(value) for value in target.destinations],
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
        destinations=tuple(rows.destination_of(value) for value in given["destinations"]),
    )
