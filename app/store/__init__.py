"""The one way in which targets and attempts change: rows, counters and events, written together.

A use-case reads what it needs under locks, decides, makes changes (`app.changes`) and hands them over in order.
Whatever it decides, the row, the counts and the event agree, because they are made of the same change. The rooms:

- `locks`: what is held still while a use-case decides.
- `saving`: changes, written with an event each, or with one for all.
- `claims`: due targets, taken in one guarded statement.
- `staged`: new targets of a file, thousands at once.
- `counters`: the counters that all of them move.
"""

from app.store.claims import save_claims, take_due
from app.store.locks import lock_outdial, lock_targets, read_revoked
from app.store.saving import save
from app.store.staged import save_staged

__all__ = ["lock_outdial", "lock_targets", "read_revoked", "save", "save_claims", "save_staged", "take_due"]
