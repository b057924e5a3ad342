"""The one way in which targets and attempts change: rows, counters and events, written together.

A use-case reads what it needs under locks, decides, makes changes (`app.changes`) and hands them over in order.
The row, the counts and the event always agree, because they are made from the same change. Its modules:

- `locks`: locks on what a use-case decides about.
- `creating`: new targets, all at once.
- `saving`: writes changes, with one event each or one for all.
- `claims`: takes due targets, with all that a claim writes.
- `staged`: stores new targets of a file, thousands at once.
- `counters`: the counters that all of them update.
"""

from app.store.claims import Taken, Wish, take_due
from app.store.creating import save_new
from app.store.locks import POLICY, lock_attempts, lock_outdial, lock_targets, read_desk, read_revoked
from app.store.saving import save
from app.store.staged import save_staged

__all__ = [
    "POLICY",
    "Taken",
    "Wish",
    "lock_attempts",
    "lock_outdial",
    "lock_targets",
    "read_desk",
    "read_revoked",
    "save",
    "save_new",
    "save_staged",
    "take_due",
]
