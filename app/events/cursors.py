"""Positions in the event log, and the opaque cursors that clients get for them. Pure."""

import base64
import binascii
import struct
from typing import NamedTuple
from uuid import UUID

from app.errors import BadUserInput

_CURSOR = struct.Struct(">B16sIqq")
_CURSOR_VERSION = 1
EPOCH_MAX = 2**31 - 1


class Position(NamedTuple):
    """A position in the log: every event up to it has been seen. Positions sort in the order of the log.

    On PostgreSQL `tx` is the writing transaction's id, comparable within an epoch, and `seq` orders what one
    transaction wrote. On SQLite commits are in the order of `seq`, and `tx` is always 0.
    """

    epoch: int
    tx: int
    seq: int


def cursor(outdial_id: str, position: Position) -> str:
    packed = _CURSOR.pack(_CURSOR_VERSION, UUID(outdial_id).bytes, *position)
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


def position_of(text: str, outdial_id: str) -> Position:
    """The position of a client's cursor in the log of that outdial.

    Raises:
        BadUserInput: it is malformed, or another outdial's.
    """
    try:
        packed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        version, outdial, epoch, tx, seq = _CURSOR.unpack(packed)
    except (binascii.Error, struct.error, ValueError):
        raise BadUserInput("Invalid event cursor. Pass back a cursor exactly as the server returned it.") from None
    if version != _CURSOR_VERSION or not (epoch <= EPOCH_MAX and tx >= 0 and seq >= 0):
        raise BadUserInput("Invalid event cursor. Pass back a cursor exactly as the server returned it.")
    if UUID(bytes=outdial) != UUID(outdial_id):
        raise BadUserInput("The event cursor belongs to another outdial. Start without a cursor.")
    return Position(epoch, tx, seq)
