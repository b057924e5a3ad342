"""Events: a log of changes, written in the transaction of the change and read from a cursor on."""

from app.events.calls import calls
from app.events.calls import end as end_of_calls
from app.events.cursors import Position, cursor, position_of
from app.events.epochs import must_open, open_epoch
from app.events.following import BATCH_EVENTS_MAX, ends, tail
from app.events.horizon import lag_seconds, position
from app.events.log import announce, append, append_columns, append_outdial, appending, inserting
from app.events.outdials import outdial_changes
from app.events.progressing import outdials_with_progress, progress_changes
from app.events.retention import make_room, mark, past, prune
from app.events.snapshots import Changes, Subject
from app.events.watching import Following, persistently

__all__ = [
    "BATCH_EVENTS_MAX",
    "Changes",
    "Following",
    "Position",
    "Subject",
    "announce",
    "append",
    "append_columns",
    "append_outdial",
    "appending",
    "calls",
    "cursor",
    "end_of_calls",
    "ends",
    "inserting",
    "lag_seconds",
    "make_room",
    "mark",
    "must_open",
    "open_epoch",
    "outdial_changes",
    "outdials_with_progress",
    "past",
    "persistently",
    "position",
    "position_of",
    "progress_changes",
    "prune",
    "tail",
]
