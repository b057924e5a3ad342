"""Idle targets that have no other destination left than addresses that must never be called: they are done."""

import time

from app import callbacks, db, store
from app.changes import FINISHING, changed
from app.db import Transaction
from app.lifecycle import TargetStatus
from app.outdials import policies
from app.records import suppressed_among

FINISHED_TARGETS_MAX = 500
"""In one transaction. Short ones do not delay subscribers."""
SEARCHED_SUPPRESSIONS_MIN = 100
SEARCHED_SUPPRESSIONS_MAX = 1_000
"""Whose targets one step looks for. As many as it finds in time: while it searches, no suppression is added."""
SEARCH_SECONDS = 0.02
"""What the search of a step may take. In most lists it takes 50 us for each address."""


class Pace:
    """How many suppressions the next step takes on: twice as many after a quick one, half as many after a slow one."""

    def __init__(self) -> None:
        self.number = SEARCHED_SUPPRESSIONS_MIN

    def took(self, seconds: float, searched: int) -> None:
        """A step has searched for the targets of so many, which took so long."""
        if seconds > SEARCH_SECONDS:
            self.number = max(SEARCHED_SUPPRESSIONS_MIN, self.number // 2)
        elif searched == self.number and seconds < SEARCH_SECONDS / 2:
            self.number = min(SEARCHED_SUPPRESSIONS_MAX, self.number * 2)


_pace = Pace()


async def finish() -> bool:
    """Take one step of the search, for one customer. Housekeeping calls this.

    Returns:
        Whether there was anything to search. If so, call it again.
    """
    waiting = await db.fetch(
        "SELECT customer_id FROM suppression WHERE is_pending = 1 ORDER BY customer_id, id LIMIT 1"
    )
    if not waiting:
        return False
    await db.transaction(_finish, waiting[0]["customer_id"])
    return True


async def _finish(tx: Transaction, customer_id: str) -> None:
    await tx.lock(customer_id)
    waiting = await store.pending(tx, customer_id, limit=_pace.number)
    if not waiting:
        return
    began = time.monotonic()
    found = await store.barred(tx, customer_id, [address for _, address in waiting], limit=FINISHED_TARGETS_MAX)
    _pace.took(time.monotonic() - began, len(waiting))
    if found:
        outdial_ids = sorted({outdial_id for _, outdial_id in found})
        await tx.lock(customer_id, shared=outdial_ids)
        in_force = await policies(tx, customer_id, outdial_ids)
        # what has changed since is seen under the locks: another process may have finished them
        targets = await store.lock_targets(tx, customer_id, [target_id for target_id, _ in found])
        now = await tx.now()
        places = [place.place for target in targets.values() for place in target.destinations if place is not None]
        counting = await store.counting(tx, customer_id, places, now)
        changes = []
        for target in targets.values():
            policy = in_force.get(target.outdial_id)
            if target.status is not TargetStatus.IDLE or target.tm_delete is not None or policy is None:
                continue
            tries = target.tries(policy, suppressed_among(target.destinations, counting))
            after = callbacks.judged(target, tries)
            if after != target:
                changes.append(changed(target, after, FINISHING[after.done_reason], now))
        await store.save(tx, changes)
    if len(found) < FINISHED_TARGETS_MAX:
        await store.settled(tx, customer_id, [suppression_id for suppression_id, _ in waiting])
