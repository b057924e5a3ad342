"""Events: a log of changes, written in the transaction of the change and read from a cursor on."""

from app.events.cursors import Position, cursor, position_of
from app.events.epochs import must_open, open_epoch
from app.events.following import outdial_changes, outdials_with_progress, progress_changes, tail
from app.events.horizon import lag_seconds, position
from app.events.log import append, append_columns, append_outdial, appending, inserting
from app.events.retention import make_room, mark, past, prune

__all__ = [
    "Position",
    "append",
    "append_columns",
    "append_outdial",
    "appending",
    "cursor",
    "inserting",
    "lag_seconds",
    "make_room",
    "mark",
    "must_open",
    "open_epoch",
    "outdial_changes",
    "outdials_with_progress",
    "past",
    "position",
    "position_of",
    "progress_changes",
    "prune",
    "tail",
]
