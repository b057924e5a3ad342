"""Turns a record of a file into a target that can be stored, or into its errors. Pure but for a setting and a clock."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Self

import orjson

from app import addresses, clock, sheets, validation
from app.addresses import DestinationType
from app.errors import UserError, invalid
from app.files import columns, rejects
from app.files.columns import ColumnProblem, Columns
from app.files.parsing import Record
from app.lifecycle import DESTINATIONS
from app.records import CallbackDraft, CheckedTarget, DestinationDraft, RejectCode, TargetDraft

ROW_CHARACTERS_MAX = 2_000
"""The part of a row that is stored for display. It usually has an address."""
WHOLE_CHARACTERS_MAX = 200_000
"""Of a row that is stored whole. The longest valid row, with every quote in its data doubled, has fewer."""
MESSAGE_CHARACTERS_MAX = 1_000
SHAPES_MAX = 1_000
"""How many different sets of members in one NDJSON file are cached with their meaning."""


@dataclass(frozen=True, slots=True)
class CheckedRow:
    """A row that passed all rules that do not need the database."""

    line_number: int
    text: str
    target: CheckedTarget
    shown: Mapping[str, str]
    """The file's name of each field."""


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A row that did not pass these rules."""

    line_number: int
    column: str | None
    code: RejectCode
    message: str
    text: str


def carried(text: str) -> str:
    """A row's text without its line end. If too long to be stored whole, it is cut to one character over the limit."""
    return text.rstrip("\r\n")[: WHOLE_CHARACTERS_MAX + 1]


def shortened(text: str) -> str:
    """A row's text for display: a long one is cut, and characters that no database takes are removed."""
    shown = text.replace("\0", "␀")
    return shown if len(shown) <= ROW_CHARACTERS_MAX else f"{shown[: ROW_CHARACTERS_MAX - 1]}…"


# ---------------------------------------------------------------- rows of either format


class CsvRows:
    """Reads the cells of rows below one header."""

    def __init__(self, found: Columns, *, extra_kept: bool) -> None:
        self._columns = found
        self._extra_kept = extra_kept
        self._filled = [(position, name) for position, name in enumerate(found.fields) if name is not None]
        self._extra = list(zip(found.extra, columns.distinct([found.names[at] for at in found.extra]), strict=True))

    def row(self, record: Record) -> CheckedRow | RejectedRow:
        """The row, or what is wrong with it."""
        if record.problem:
            return malformed(record, record.problem)
        cells: Sequence[str] = record.values
        width = len(self._columns.fields)
        added = self._columns.added
        if added and not any(cell.strip() for place, cell in enumerate(cells) if place not in added):
            return _unmended(record, sheets.restored("".join(cells[added[1] : added[1] + 1])))
        if len(cells) > width:
            if any(cell.strip() for cell in cells[width:]):
                more = len(added or ())
                return malformed(record, f"The row has {len(cells) - more} cells, the header has {width - more}.")
            cells = cells[:width]
        given: dict[str, Any] = {
            name: sheets.restored(cells[position]) for position, name in self._filled if position < len(cells)
        }
        extra = None
        if self._extra_kept:
            extra = {
                name: sheets.restored(cells[position])
                for position, name in self._extra
                if position < len(cells) and cells[position]
            }
        return _row(record, given, self._columns, extra, _CSV)


class NdjsonRows:
    """Reads objects, which may each have different members."""

    def __init__(self, mapping: Mapping[str, str], *, extra_kept: bool) -> None:
        self._mapping = mapping
        self._extra_kept = extra_kept
        self._known: dict[tuple[str, ...], Columns] = {}
        self.unknown: dict[str, None] = {}
        self.left_out: dict[str, None] = {}

    def row(self, record: Record) -> CheckedRow | RejectedRow:
        if record.problem:
            return malformed(record, record.problem)
        try:
            found = self._columns(tuple(record.values))
        except ColumnProblem as problem:
            return malformed(record, str(problem))
        values = list(record.values.values())
        if found.added and len(values) == len(found.added):
            return _unmended(record, values[found.added[1]])
        given = {name: values[position] for position, name in enumerate(found.fields) if name is not None}
        odd = _flattened(given)
        if odd is not None:
            return RejectedRow(record.line_number, odd, RejectCode.INVALID, "Must be an object.", record.text)
        extra = {found.names[position]: values[position] for position in found.extra} if self._extra_kept else None
        return _row(record, given, found, extra, _NDJSON)

    def pass_over(self, record: Record) -> None:
        """A row that another reader checks. Its columns count for the warnings."""
        if not record.problem:
            with suppress(ColumnProblem):  # the one that checks the row rejects it
                self._columns(tuple(record.values))

    def warnings(self) -> list[str]:
        return columns.warnings(list(self.unknown), list(self.left_out), extra_kept=self._extra_kept)

    def _columns(self, names: tuple[str, ...]) -> Columns:
        found = self._known.get(names)
        if found is None:
            found = columns.resolve(names, self._mapping, nested=True)
            if len(self._known) < SHAPES_MAX:
                self._known[names] = found
            self.unknown |= dict.fromkeys(found.names[position] for position in found.extra)
            self.left_out |= dict.fromkeys(found.left_out)
        return found


def malformed(record: Record, problem: str) -> RejectedRow:
    return RejectedRow(record.line_number, None, RejectCode.MALFORMED, problem, record.text)


def _unmended(record: Record, reason: object) -> RejectedRow:
    """A row that a file of rejected rows could not hold, and that nobody has filled in. It is rejected again."""
    message = rejects.reason_of(reason) if isinstance(reason, str) else ""
    return malformed(record, message[:MESSAGE_CHARACTERS_MAX] or "The row is empty.")


def _flattened(given: dict[str, Any]) -> str | None:
    """Flatten nested destinations, and a callback. Returns the name of one that is not an object."""
    wish = given.pop("callback", None)
    if wish is not None and not isinstance(wish, dict):
        return "callback"
    if wish is not None:
        given |= {name: wish.get(part) for part, name in sheets.CALLBACK_COLUMNS.items()}
    for index in range(DESTINATIONS):
        nested = given.pop(f"destination_{index}", None)
        if nested is None:
            continue
        if not isinstance(nested, dict):
            return f"destination_{index}"
        given |= {f"destination_{index}_{part}": nested.get(part) for part in sheets.DESTINATION_PARTS}
    return None


# ---------------------------------------------------------------- the target


@dataclass(frozen=True, slots=True)
class _Reading:
    """How values of a format are read. Each function reports errors under the field's name."""

    priority: Callable[[Any, list[UserError]], Any]
    whole: Callable[[Any, list[UserError], str], int | None]
    limits: Callable[[Any, list[UserError]], Any]


def _row(
    record: Record, given: Mapping[str, Any], found: Columns, extra: Mapping[str, Any] | None, reading: _Reading
) -> CheckedRow | RejectedRow:
    errors: list[UserError] = []
    scientific: list[str] = []
    draft = TargetDraft(
        key=given.get("key"),
        name=_text(given, "name"),
        detail=_text(given, "detail"),
        data=_data(given, extra, errors),
        priority=reading.priority(given.get("priority"), errors),
        max_try_counts=reading.limits(given.get("max_try_counts"), errors),
        not_before=_instant(given.get("not_before"), errors, "not_before"),
        time_zone=given.get("time_zone"),
        destinations=tuple(
            [
                _destination(given, index, found.types.get(index), errors, scientific)
                if index in found.destinations
                else None
                for index in range(DESTINATIONS)
            ]
        ),
        callback=_callback(given, reading, errors),
    )
    target = validation.target(draft, errors)
    if not errors:
        return CheckedRow(record.line_number, record.text, target, found.shown)
    return _reject(record, errors, scientific, found.shown)


def _reject(
    record: Record, errors: Sequence[UserError], scientific: Sequence[str], shown: Mapping[str, str]
) -> RejectedRow:
    """One error for the row: the first error's place, and all errors in the message."""

    def column(error: UserError) -> str | None:
        name = "_".join(error.path[:2]) if error.path and error.path[0].startswith("destination_") else None
        if error.path and error.path[0] == "callback":
            name = sheets.CALLBACK_COLUMNS[error.path[1]]
        name = name or (error.path[0] if error.path else None)
        return None if name is None else shown.get(name, name)

    first, *others = errors
    message = first.message
    for other in others:
        where = column(other)
        message += f" {where}: {other.message}" if where else f" {other.message}"
    is_scientific = "_".join(first.path) in scientific
    code = RejectCode.SCIENTIFIC_NOTATION if is_scientific else RejectCode.INVALID
    return RejectedRow(record.line_number, column(first), code, message[:MESSAGE_CHARACTERS_MAX], record.text)


def _text(given: Mapping[str, Any], name: str) -> Any:
    """Checked by the rules that GraphQL, REST and imports share, also for null."""
    value = given.get(name)
    return "" if value is None else value


def _data(given: Mapping[str, Any], extra: Mapping[str, Any] | None, errors: list[UserError]) -> Any:
    own = _text(given, "data")
    if not extra:
        return own
    if own:
        errors.append(invalid("The row already has data, so its other columns cannot be stored there.", "data"))
        return ""
    try:
        return orjson.dumps(extra).decode()
    except TypeError:  # orjson reads JSON up to 1,024 levels deep and writes up to 254
        errors.append(invalid("The other columns are nested too deeply to be stored in data. Flatten them.", "data"))
        return ""


_TYPES = {member.value: member for member in DestinationType}


def _destination(
    given: Mapping[str, Any],
    index: int,
    named: DestinationType | None,
    errors: list[UserError],
    scientific: list[str],
) -> DestinationDraft | None:
    names = _NAMES[index]
    target: Any = given.get(names.target)
    labels = [given.get(name) for name in names.labels]
    if target is None or (isinstance(target, str) and addresses.is_blank(target)):
        if not any(labels):
            return None
        target = ""
    kind = _type(given.get(names.type), named, errors, names.whole)
    if isinstance(target, int) and not isinstance(target, bool):
        target = str(target)
    elif isinstance(target, float):
        target = f"{target:E}"  # the number was exported with an apostrophe before it
    if (
        isinstance(target, str)
        and kind in sheets.TELEPHONE_TYPES
        and ("e" in target or "E" in target or not target.isascii())
        and addresses.is_scientific(target)
    ):
        scientific.append(names.target)
    target_name, name, detail = ["" if value is None else value for value in labels]
    return DestinationDraft(target, kind, target_name, name, detail)


@dataclass(frozen=True, slots=True)
class _Names:
    """Of the columns of a destination."""

    whole: str
    type: str
    target: str
    labels: tuple[str, ...]

    @classmethod
    def of(cls, index: int) -> Self:
        whole = f"destination_{index}"
        labels = tuple(f"{whole}_{part}" for part in ("target_name", "name", "detail"))
        return cls(whole, f"{whole}_type", f"{whole}_target", labels)


_NAMES = tuple(map(_Names.of, range(DESTINATIONS)))


def _type(value: Any, named: DestinationType | None, errors: list[UserError], *path: str) -> DestinationType:
    if value is None or value == "":
        return named or DestinationType.TEL
    kind = _TYPES.get(value.strip().upper()) if isinstance(value, str) else None
    if kind is None:
        errors.append(invalid(f"Must be one of {', '.join(_TYPES)}.", *path, "type"))
    return kind or DestinationType.TEL


def _instant(value: Any, errors: list[UserError], *path: str) -> datetime | None:
    if value is None or value == "":
        return None
    try:
        instant = datetime.fromisoformat(value.strip())
    except (ValueError, AttributeError):
        instant = None
    if instant is None or instant.tzinfo is None:
        errors.append(invalid("Must be a time with its zone, such as 2026-01-31T09:00:00Z.", *path))
        return None
    return instant


def _callback(given: Mapping[str, Any], reading: _Reading, errors: list[UserError]) -> CallbackDraft | None:
    at, index, dialer, seconds, note = (given.get(name) for name in sheets.CALLBACK_COLUMNS.values())
    if all(value is None or value == "" for value in (at, index, dialer, seconds, note)):
        return None
    before = len(errors)
    instant = _instant(at, errors, "callback", "at")
    if instant is None and len(errors) == before:
        errors.append(invalid("Give the time of the callback, or leave its other columns empty.", "callback", "at"))
    if instant is not None and instant > clock.now() + validation.CALLBACK_AHEAD:
        errors.append(invalid(validation.TOO_FAR_AHEAD, "callback", "at"))
    place = reading.whole(index, errors, "destination_index")
    window = reading.whole(seconds, errors, "window_seconds")
    if instant is None or len(errors) > before:
        return None
    draft = CallbackDraft(instant, place, dialer, note="" if note is None else note)
    return draft if window is None else replace(draft, window_seconds=window)


def _priority_of_text(value: str | None, errors: list[UserError]) -> Any:
    text = (value or "").strip()
    if not text:
        return 0
    if text.isascii() and text.isdecimal() and len(text) <= len("000"):
        return int(text)
    errors.append(invalid(f"Must be a number from 0 to {validation.PRIORITY_MAX}.", "priority"))
    return 0


def _limits_of_text(value: str | None, errors: list[UserError]) -> Any:
    text = (value or "").strip()
    if not text:
        return None
    try:
        return _limits(orjson.loads(text), errors)
    except orjson.JSONDecodeError:
        return _limits(text, errors)


def _whole_of_text(value: str | None, errors: list[UserError], part: str) -> int | None:
    text = (value or "").strip()
    if not text:
        return None
    if text.isascii() and text.isdecimal() and len(text) <= len("00000"):
        return int(text)
    errors.append(invalid("Must be a whole number.", "callback", part))
    return None


def _whole(value: Any, _errors: list[UserError], _part: str) -> Any:
    return None if value == "" else value


def _priority(value: Any, _errors: list[UserError]) -> Any:
    return 0 if value is None else value


def _limits(value: Any, errors: list[UserError]) -> Any:
    if value is None or isinstance(value, list):
        return value
    errors.append(invalid("Must be five numbers in brackets, such as [3,1,0,0,0].", "max_try_counts"))
    return None


_CSV = _Reading(_priority_of_text, _whole_of_text, _limits_of_text)
_NDJSON = _Reading(_priority, _whole, _limits)
