"""The columns of targets in files, and text that spreadsheets would run as a formula. Pure; for exports and imports."""

import re

from app.addresses import DestinationType
from app.lifecycle import DESTINATIONS

DESTINATION_PARTS = ("type", "target", "target_name", "name", "detail")
DESTINATION_COLUMNS = tuple(
    tuple(f"destination_{index}_{part}" for part in DESTINATION_PARTS) for index in range(DESTINATIONS)
)
OWNER_COLUMNS = (
    "key",
    "name",
    "detail",
    "data",
    "priority",
    "max_try_counts",
    "time_zone",
    *(column for columns in DESTINATION_COLUMNS for column in columns),
)
"""What an owner defines for a target: exports write it, imports read it."""
CALLBACK_COLUMNS = {
    "at": "callback_at",
    "destination_index": "callback_destination",
    "dialer": "callback_dialer",
    "window_seconds": "callback_window_seconds",
    "note": "callback_note",
}
"""What the person has asked for, by its name in NDJSON's object `callback`: exports write it, imports read it."""
LEDGER_COLUMNS = (
    "status",
    "done_reason",
    *(f"try_count_{index}" for index in range(DESTINATIONS)),
    "next_try_at",
    "last_attempt_id",
    "last_attempt_state",
    "last_attempt_disposition",
    "last_attempt_destination_index",
    "last_attempt_claimed_at",
    "last_attempt_ended_at",
    "tm_create",
    "tm_update",
)
"""The result so far: exports write it, imports ignore it, because a new target has no tries."""
TARGET_COLUMNS = ("id", *OWNER_COLUMNS, *LEDGER_COLUMNS, *CALLBACK_COLUMNS.values())
"""A line of an export of targets."""
TELEPHONE_TYPES = frozenset({DestinationType.TEL, DestinationType.WHATSAPP})

# What spreadsheets run as a formula, by its first character; any apostrophes before it count as ours.
_FORMULA = re.compile(r"'*[=+\-@\t\r\n]")
_NEUTRALISED = re.compile(r"'+[=+\-@\t\r\n]")
_TELEPHONE = re.compile(r"\+[0-9 ().]+|(?=.*([0-9)] +[0-9(]|[0-9]\(|\)[0-9]))\+[0-9 ()./-]+")
"""Text that begins with + and is not a formula: it has no - and no /, or two numbers in a row without these. A
spreadsheet shows `+1 (212) 555-0142`, but runs `+49-30-123` as a formula."""


def neutralised(text: str) -> str:
    """Text that a spreadsheet shows and does not run: an apostrophe is put before what would begin a formula.

    Source: OWASP, CSV injection. Do not call this for telephone numbers, which begin with +.
    """
    return f"'{text}" if _FORMULA.match(text) else text


def restored(text: str) -> str:
    """The text that `neutralised` was called with."""
    return text[1:] if text[:1] == "'" and _NEUTRALISED.match(text) else text


def protected(cell: str) -> str:
    """A cell of an imported file, safe to show in another file. `restored` gives the same for both.

    Already neutralised cells stay as they are, and so do telephone numbers that are not formulas.
    """
    if _NEUTRALISED.match(cell) or _TELEPHONE.fullmatch(cell):
        return cell
    return neutralised(cell)
