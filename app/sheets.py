"""The columns of targets in files, and what spreadsheets make of text. Pure; export and import both go by it."""

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
    *(column for columns in DESTINATION_COLUMNS for column in columns),
)
"""What an owner says of a target: export writes it, import reads it."""
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
"""What became of it: export writes it, import leaves it, since a target that was never called has no tries."""
TARGET_COLUMNS = ("id", *OWNER_COLUMNS, *LEDGER_COLUMNS)
"""A line of an export of targets."""
TELEPHONE_TYPES = frozenset({DestinationType.TEL, DestinationType.WHATSAPP})

# What spreadsheets run as a formula, by its first character; any apostrophes before it count as ours.
_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_NEUTRALISED = re.compile(r"'+[=+\-@\t\r]")
_TELEPHONE = re.compile(r"\+[0-9 ().]+|(?=.*([0-9)] +[0-9(]|[0-9]\(|\)[0-9]))\+[0-9 ()./-]+")
"""What begins with + and is no formula: it has no - and no /, or two numbers without one of these between them. A
spreadsheet shows `+1 (212) 555-0142`, and calculates `+49-30-123`."""


def neutralised(text: str) -> str:
    """Text that a spreadsheet shows and does not run: an apostrophe goes before what would begin a formula.

    Source: OWASP, CSV injection. Telephone numbers begin with + and are left alone by whoever calls this.
    """
    return f"'{text}" if _FORMULA.match(text) else text


def restored(text: str) -> str:
    """What `neutralised` was given."""
    return text[1:] if _NEUTRALISED.match(text) else text


def protected(cell: str) -> str:
    """A cell of somebody's file as it can be shown in another one: `restored` makes the same of both.

    A cell that is neutralised already stays as it is, and so does a telephone number that nothing calculates.
    """
    if _NEUTRALISED.match(cell) or _TELEPHONE.fullmatch(cell):
        return cell
    return neutralised(cell)
