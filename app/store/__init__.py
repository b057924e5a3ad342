"""The one way in which targets and attempts change: rows, counters and events, written together.

A use-case reads what it needs under locks, decides, makes changes (`app.changes`) and hands them over in order.
The row, the counts and the event always agree, because they are made from the same change. Its modules:

- `locks`: locks on what a use-case decides about.
- `desks`: what reports work on, with or without locks.
- `creating`: new targets, all at once.
- `saving`: writes changes, with one event each or one for all.
- `claims`, `claims_on_sqlite`: take due targets, with all that a claim writes; `wishes`: what dialers ask for.
- `awake`: what claims know of calling hours.
- `capping`, `capping_on_sqlite`: how claims look for targets at which caps leave a try.
- `looks`: what a claim takes an outdial to have, and its locks.
- `pacing`: how many targets a claim may take at the pace of its outdial.
- `probing`: what may be claimed while a breaker is not closed.
- `lulling`: puts targets to sleep whose addresses are suppressed for some time.
- `grouping`: sorts targets by their time zones.
- `staged`: stores new targets of a file, thousands at once.
- `suppressions`: addresses that must not be called, and what they are the end of.
- `counters`: the counters that all of them update.
"""

from app.store.awake import closed, of_zone, opening
from app.store.capping import of_owners as caps_of_owners
from app.store.capping import wake_up
from app.store.claims import take_due
from app.store.creating import save_new
from app.store.desks import CODE, POLICY, lock_attempts, read_desk, save_unchanged
from app.store.due import DUE_AT, range_key
from app.store.due import topic as due_topic
from app.store.grouping import sort
from app.store.locks import lock_outdial, lock_outdial_and_look, lock_targets, read_revoked
from app.store.lulling import wake_at
from app.store.pacing import usages
from app.store.saving import keep_callbacks, save
from app.store.staged import save_staged, suppressed_rows
from app.store.suppressions import add as add_suppressions
from app.store.suppressions import (
    barred,
    claimed,
    counting,
    outdials_with,
    pending,
    places_of,
    settled,
)
from app.store.suppressions import new as new_suppression
from app.store.wishes import Taken, Wish

__all__ = [
    "CODE",
    "DUE_AT",
    "POLICY",
    "Taken",
    "Wish",
    "add_suppressions",
    "barred",
    "caps_of_owners",
    "claimed",
    "closed",
    "counting",
    "due_topic",
    "keep_callbacks",
    "lock_attempts",
    "lock_outdial",
    "lock_outdial_and_look",
    "lock_targets",
    "new_suppression",
    "of_zone",
    "opening",
    "outdials_with",
    "pending",
    "places_of",
    "range_key",
    "read_desk",
    "read_revoked",
    "save",
    "save_new",
    "save_staged",
    "save_unchanged",
    "settled",
    "sort",
    "suppressed_rows",
    "take_due",
    "usages",
    "wake_at",
    "wake_up",
]
