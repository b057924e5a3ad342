"""Idle targets that have no other destination left than addresses that must never be called: they are done."""

from app import db, store
from app.changes import FINISHING, changed, moved
from app.db import Transaction
from app.lifecycle import Standing, TargetStatus
from app.outdials import policies
from app.records import suppressed_among

FINISHED_TARGETS_MAX = 500
"""In one transaction. Short ones do not delay subscribers."""
SEARCHED_SUPPRESSIONS_MAX = 100
"""Whose targets one step looks for."""


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
    waiting = await store.pending(tx, customer_id, limit=SEARCHED_SUPPRESSIONS_MAX)
    if not waiting:
        return
    found = await store.barred(tx, customer_id, [address for _, address in waiting], limit=FINISHED_TARGETS_MAX)
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
            reason = target.tries(policy, suppressed_among(target.destinations, counting)).done_reason()
            if reason is not None:
                over = Standing(TargetStatus.DONE, reason)
                changes.append(changed(target, moved(target, over), FINISHING[reason], now))
        await store.save(tx, changes)
    if len(found) < FINISHED_TARGETS_MAX:
        await store.settled(tx, customer_id, [suppression_id for suppression_id, _ in waiting])
