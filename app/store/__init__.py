"""The one way in which targets and attempts change: rows, counters and events, written together.

A use-case reads what it needs under locks, decides, makes changes (`app.changes`) and hands them over in order.
The row, the counts and the event always agree, because they are made from the same change. Its modules:

- `locks`: locks on what a use-case decides about.
- `creating`: new targets, all at once.
- `saving`: writes changes, with one event each or one for all.
- `claims`: takes due targets in one guarded statement.
- `staged`: stores new targets of a file, thousands at once.
- `counters`: the counters that all of them update.
"""

from app.store.claims import save_claims, take_due
from app.store.creating import save_new
from app.store.locks import lock_outdial, lock_targets, read_revoked
from app.store.saving import save
from app.store.staged import save_staged

__all__ = ["lock_outdial", "lock_targets", "read_revoked", "save", "save_claims", "save_new", "save_staged", "take_due"]
