"""Targets and attempts as lines of CSV (RFC 4180) and NDJSON. Pure."""

import csv
import io
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TypeVar

import orjson

from app import sheets
from app.exports import figures
from app.records import Attempt, Callback, Destination, Permit, PermittedAttempt, Suppression, Target
from app.stats import Row

T = TypeVar("T")

PIECE_BYTES = 256 * 1024
"""Of a file that is made at once: about 3 ms. A piece ends with the line that fills it."""
BYTE_ORDER_MARK = "\ufeff"
ATTEMPT_COLUMNS = (
    "id",
    "target_id",
    "target_key",
    "destination_index",
    "destination_type",
    "destination_target",
    "try_number",
    "state",
    "disposition",
    "detail",
    "dialer",
    "call_id",
    "claimed_at",
    "dialed_at",
    "ended_at",
    "expires_at",
    "code",
    "is_right_party",
    "is_conversion",
    "ring_seconds",
    "talk_seconds",
    "permit_local_time",
    "permit_time_zone",
    "permit_time_zone_source",
    "permit_window",
    "permit_exception",
    "permit_caps",
    "permit_policy_version",
)
SUPPRESSION_COLUMNS = ("type", "target", "reason", "source", "expires_at", "tm_create")


class Form(StrEnum):
    CSV = "csv"
    MARKED_CSV = "marked csv"
    """With a byte order mark, so that Excel reads it as UTF-8."""
    NDJSON = "ndjson"


@dataclass(frozen=True, slots=True)
class TargetLine:
    target: Target
    last_attempt: Attempt | None


@dataclass(frozen=True, slots=True)
class AttemptLine:
    attempt: PermittedAttempt
    target_key: str | None


def targets_file(form: Form, parts: AsyncIterator[Sequence[TargetLine]]) -> AsyncIterator[bytes]:
    return _file(form, parts, sheets.TARGET_COLUMNS, _target_cells, _target_object)


def attempts_file(form: Form, parts: AsyncIterator[Sequence[AttemptLine]]) -> AsyncIterator[bytes]:
    return _file(form, parts, ATTEMPT_COLUMNS, _attempt_cells, _attempt_object)


def stats_file(form: Form, parts: AsyncIterator[Sequence[Row]]) -> AsyncIterator[bytes]:
    return _file(form, parts, figures.COLUMNS, figures.cells, figures.json_object)


def suppressions_file(form: Form, parts: AsyncIterator[Sequence[Suppression]]) -> AsyncIterator[bytes]:
    return _file(form, parts, SUPPRESSION_COLUMNS, _suppression_cells, _suppression_object)


async def _file(
    form: Form,
    parts: AsyncIterator[Sequence[T]],
    columns: Sequence[str],
    cells: Callable[[T], Sequence[object]],
    json_object: Callable[[T], dict[str, Any]],
) -> AsyncIterator[bytes]:
    """Pieces of a file, of about PIECE_BYTES at most. Each is made when the one before is used up."""
    if form is not Form.NDJSON:
        mark = BYTE_ORDER_MARK if form is Form.MARKED_CSV else ""
        yield (mark + _csv_line(columns)).encode()
    async for part in parts:
        lines: Iterator[str] | Iterator[bytes]
        if form is Form.NDJSON:
            lines = (orjson.dumps(json_object(line), option=orjson.OPT_APPEND_NEWLINE) for line in part)
        else:
            lines = (_csv_line(cells(line)) for line in part)
        for piece in _pieces(lines):
            yield piece


def _pieces(lines: Iterable[str] | Iterable[bytes]) -> Iterator[bytes]:
    piece = bytearray()
    for line in lines:
        piece += line.encode() if isinstance(line, str) else line
        if len(piece) >= PIECE_BYTES:
            yield bytes(piece)
            piece.clear()
    if piece:
        yield bytes(piece)


def _csv_line(row: Sequence[object]) -> str:
    written = io.StringIO(newline="")
    csv.writer(written).writerow(row)
    return written.getvalue()


def _time(instant: datetime | None) -> str | None:
    if instant is None:
        return None
    return instant.astimezone(UTC).replace(tzinfo=None).isoformat("T", "microseconds") + "Z"


# ---------------------------------------------------------------- targets


def _target_cells(line: TargetLine) -> list[object]:
    target, last = line.target, line.last_attempt
    limits = target.max_try_counts
    cells: list[object] = [
        target.id,
        sheets.neutralised(target.key or ""),
        sheets.neutralised(target.name),
        sheets.neutralised(target.detail),
        sheets.neutralised(target.data),
        target.priority,
        "" if limits is None else orjson.dumps(limits).decode(),
        target.time_zone,
    ]
    for destination in target.destinations:
        cells += _destination_cells(destination)
    cells += [target.status.value, target.done_reason and target.done_reason.value, *target.try_counts]
    cells.append(_time(target.next_try_at))
    if last is None:
        cells += [None] * 6
    else:
        cells += [last.id, last.state.value, last.disposition and last.disposition.value, last.destination_index]
        cells += [_time(last.claimed_at), _time(last.ended_at)]
    cells += [_time(target.tm_create), _time(target.tm_update)]
    return cells + _callback_cells(target.callback)


def _callback_cells(callback: Callback | None) -> list[object]:
    if callback is None:
        return [None] * len(sheets.CALLBACK_COLUMNS)
    texts = {name: sheets.neutralised(getattr(callback, name) or "") for name in ("dialer", "note")}
    return [*{**_callback_object(callback), **texts}.values()]


def _callback_object(callback: Callback) -> dict[str, Any]:
    return {name: getattr(callback, name) for name in sheets.CALLBACK_COLUMNS} | {"at": _time(callback.at)}


def _destination_cells(destination: Destination | None) -> list[object]:
    if destination is None:
        return [None] * len(sheets.DESTINATION_PARTS)
    return [
        destination.type.value,
        _address_cell(destination),
        sheets.neutralised(destination.target_name),
        sheets.neutralised(destination.name),
        sheets.neutralised(destination.detail),
    ]


def _address_cell(destination: Destination) -> str:
    if destination.type in sheets.TELEPHONE_TYPES:
        return destination.target  # a plus and digits: a spreadsheet may read a number, but never runs it
    return sheets.neutralised(destination.target)


def _target_object(line: TargetLine) -> dict[str, Any]:
    target, last = line.target, line.last_attempt
    return {
        "id": target.id,
        "key": target.key,
        "name": target.name,
        "detail": target.detail,
        "data": target.data,
        "priority": target.priority,
        "max_try_counts": target.max_try_counts,
        "time_zone": target.time_zone,
        **{f"destination_{index}": _destination_object(value) for index, value in enumerate(target.destinations)},
        "status": target.status,
        "done_reason": target.done_reason,
        **{f"try_count_{index}": count for index, count in enumerate(target.try_counts)},
        "next_try_at": _time(target.next_try_at),
        "last_attempt": None
        if last is None
        else {
            "id": last.id,
            "state": last.state,
            "disposition": last.disposition,
            "destination_index": last.destination_index,
            "claimed_at": _time(last.claimed_at),
            "ended_at": _time(last.ended_at),
        },
        "tm_create": _time(target.tm_create),
        "tm_update": _time(target.tm_update),
        "callback": target.callback and _callback_object(target.callback),
    }


def _destination_object(destination: Destination | None) -> dict[str, str] | None:
    if destination is None:
        return None
    return {part: getattr(destination, part) for part in sheets.DESTINATION_PARTS}


# ---------------------------------------------------------------- attempts


def _attempt_cells(line: AttemptLine) -> list[object]:
    attempt = line.attempt
    return [
        attempt.id,
        attempt.target_id,
        sheets.neutralised(line.target_key or ""),
        attempt.destination_index,
        attempt.destination.type.value,
        _address_cell(attempt.destination),
        attempt.try_number,
        attempt.state.value,
        attempt.disposition and attempt.disposition.value,
        sheets.neutralised(attempt.detail),
        sheets.neutralised(attempt.dialer or ""),
        sheets.neutralised(attempt.call_id or ""),
        _time(attempt.claimed_at),
        _time(attempt.dialed_at),
        _time(attempt.ended_at),
        _time(attempt.expires_at),
        sheets.neutralised(attempt.code or ""),
        _flag_cell(attempt.is_right_party),
        _flag_cell(attempt.is_conversion),
        attempt.ring_seconds,
        attempt.talk_seconds,
        *_permit_cells(attempt.permit),
    ]


def _permit_cells(permit: Permit | None) -> list[object]:
    if permit is None:
        return [None] * 7
    window = permit.window
    return [
        permit.local_time,
        permit.time_zone,
        permit.time_zone_source.value,
        None if window is None else f"{window.day} {window.start:%H:%M}-{window.end:%H:%M}",
        None if window is None else sheets.neutralised(window.exception or ""),
        orjson.dumps(permit.caps).decode() if permit.caps else None,
        permit.policy_version,
    ]


def _flag_cell(value: bool | None) -> str | None:
    return None if value is None else str(value).lower()


def _attempt_object(line: AttemptLine) -> dict[str, Any]:
    attempt = line.attempt
    return {
        "id": attempt.id,
        "target_id": attempt.target_id,
        "target_key": line.target_key,
        "destination_index": attempt.destination_index,
        "destination": _destination_object(attempt.destination),
        "try_number": attempt.try_number,
        "state": attempt.state,
        "disposition": attempt.disposition,
        "detail": attempt.detail,
        "dialer": attempt.dialer,
        "call_id": attempt.call_id,
        "claimed_at": _time(attempt.claimed_at),
        "dialed_at": _time(attempt.dialed_at),
        "ended_at": _time(attempt.ended_at),
        "expires_at": _time(attempt.expires_at),
        "code": attempt.code,
        "is_right_party": attempt.is_right_party,
        "is_conversion": attempt.is_conversion,
        "ring_seconds": attempt.ring_seconds,
        "talk_seconds": attempt.talk_seconds,
        "permit": None if attempt.permit is None else _permit_object(attempt.permit),
    }


def _permit_object(permit: Permit) -> dict[str, Any]:
    window = permit.window
    return {
        "local_time": permit.local_time,
        "time_zone": permit.time_zone,
        "time_zone_source": permit.time_zone_source,
        "window": None
        if window is None
        else {
            "date": window.day,
            "from": f"{window.start:%H:%M}",
            "to": f"{window.end:%H:%M}",
            "exception": window.exception,
        },
        "caps": permit.caps,
        "policy_version": permit.policy_version,
    }


# ---------------------------------------------------------------- suppressions


def _suppression_cells(one: Suppression) -> Sequence[object]:
    values = _suppression_object(one)
    address = one.target if one.type in sheets.TELEPHONE_TYPES else sheets.neutralised(one.target)
    return [*{**values, "target": address, "reason": sheets.neutralised(one.reason)}.values()]


def _suppression_object(one: Suppression) -> dict[str, Any]:
    return {
        "type": one.type.value,
        "target": one.target,
        "reason": one.reason,
        "source": one.source.value,
        "expires_at": _time(one.expires_at),
        "tm_create": _time(one.tm_create),
    }
