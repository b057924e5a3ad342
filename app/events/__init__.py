"""Events: a log of changes, written in the transaction of the change and read from a cursor on."""

from app.events.cursors import Position, cursor, position_of
from app.events.following import outdial_changes, outdials_with_progress, progress_changes, tail
from app.events.log import (
    append,
    append_columns,
    append_outdial,
    appending,
    inserting,
    lag_seconds,
    open_epoch,
    position,
    prune,
)

__all__ = [
    "Position",
    "append",
    "append_columns",
    "append_outdial",
    "appending",
    "cursor",
    "inserting",
    "lag_seconds",
    "open_epoch",
    "outdial_changes",
    "outdials_with_progress",
    "position",
    "position_of",
    "progress_changes",
    "prune",
    "tail",
]
