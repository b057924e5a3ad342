"""Walks through the targets of an outdial, in steps, after its policy was changed.

The first step is a part of the change. Housekeeping takes the others. The outdial's row says how far a walk has come.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tortoise.queryset import QuerySet

from app import callbacks, db, models, rows, store, tables
from app.changes import FINISHING, changed
from app.db import Transaction
from app.records import Outdial, suppressed_among

STEP_TARGETS_MAX = 500
"""How many targets one step looks at. Short transactions do not delay subscribers."""

Step = Callable[[Transaction, Outdial, str | None], Awaitable[str | None]]
"""Looks at the targets that come after the last one of the step before, under the outdial's lock. Returns its own last
one, or None at the end."""


@dataclass(frozen=True, slots=True)
class Walk:
    """Through all targets of an outdial."""

    column: str
    """Of the outdial: the last target of the last step; null if there is nothing to do."""
    step: Step

    async def begin(self, tx: Transaction, outdial: Outdial) -> None:
        """Take the first step.

        Args:
            tx: the transaction, which has the outdial's lock for itself.
            outdial: with its new policy.
        """
        await self._take(tx, outdial, None)

    async def go_on(self) -> bool:
        """Take one step, for the next outdial that waits. Housekeeping calls this.

        Returns:
            Whether any waited. If so, call it again.
        """
        waiting = await db.fetch(
            f"""
            SELECT id, customer_id FROM outdial WHERE {self.column} IS NOT NULL AND tm_delete IS NULL
            ORDER BY id LIMIT 1
            """
        )
        if not waiting:
            return False
        await db.transaction(self._go_on, waiting[0]["customer_id"], waiting[0]["id"])
        return True

    async def _go_on(self, tx: Transaction, customer_id: str, outdial_id: str) -> None:
        # Exclusive: two processes must not do the same work twice, and the policy must not change meanwhile.
        await tx.lock(customer_id, exclusive=[outdial_id])
        found = await stored(tx, customer_id, outdial_id).get()
        beyond = getattr(found, self.column)
        if beyond is not None and found.tm_delete is None:
            await self._take(tx, rows.outdial(tables.row_of(found)), str(beyond))

    async def _take(self, tx: Transaction, outdial: Outdial, beyond: str | None) -> None:
        come_to = await self.step(tx, outdial, beyond)
        await stored(tx, outdial.customer_id, outdial.id).update(**{self.column: come_to})


def stored(tx: Transaction, customer_id: str, outdial_id: str) -> QuerySet[models.Outdial]:
    return models.Outdial.filter(customer_id=customer_id, id=outdial_id).using_db(tx.orm)


async def _next(tx: Transaction, outdial: Outdial, beyond: str | None, columns: object, condition: str) -> list[db.Row]:
    """The next targets that are not deleted, locked."""
    # A target's row stays when the target is deleted.
    further = (
        ""
        if beyond is None
        else f"""
        AND (tm_create, id) > (
            (SELECT last.tm_create FROM target AS last WHERE last.customer_id = $1 AND last.id = $3),
            {db.typed("$3", "uuid")}
        )
    """
    )
    return await tx.fetch(
        f"""
        SELECT {columns} FROM target
        WHERE customer_id = $1 AND outdial_id = $2 {condition} AND tm_delete IS NULL {further}
        ORDER BY tm_create, id LIMIT {STEP_TARGETS_MAX} {db.for_update()}
        """,
        outdial.customer_id,
        outdial.id,
        *([] if beyond is None else [beyond]),
    )


def _last(found: list[db.Row]) -> str | None:
    return found[-1]["id"] if len(found) == STEP_TARGETS_MAX else None


async def _sort(tx: Transaction, outdial: Outdial, beyond: str | None) -> str | None:
    """Sort targets by their time zones. Until they are, they are not claimed."""
    if not outdial.dial_policy.sorts_by_zone:
        return None
    found = await _next(tx, outdial, beyond, tables.TARGET_ROW, "")
    await store.sort(tx, outdial.id, [rows.target(row) for row in found if row["zone_group"] == 0])
    return _last(found)


async def _search(tx: Transaction, outdial: Outdial, beyond: str | None) -> str | None:
    """Wake idle targets, and finish those that have no try left."""
    # In the order of the index that pages by status use.
    found = await _next(tx, outdial, beyond, tables.TARGET, "AND status = 'IDLE'")
    targets = [rows.target(row) for row in found]
    await store.wake_up(tx, outdial.customer_id, [target.id for target in targets])
    tx.wake(store.due_topic(outdial.id))
    now = await tx.now()
    places = [place.place for target in targets for place in target.destinations if place is not None]
    counting = await store.counting(tx, outdial.customer_id, places, now)
    changes = []
    for target in targets:
        suppressed = suppressed_among(target.destinations, counting)
        after = callbacks.judged(target, target.tries(outdial.dial_policy, suppressed))
        if after != target:
            changes.append(changed(target, after, FINISHING[after.done_reason], now))
    await store.save(tx, changes)
    return _last(found)


sort_by_zone = Walk("sorted_to", _sort)
"""After calling hours by time zones were set."""
search_exhausted = Walk("exhausted_to", _search)
"""After limits or caps were changed."""
