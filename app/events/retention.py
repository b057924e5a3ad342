"""Retention: old events are removed, and each outdial knows up to where."""

from datetime import datetime

from app import db
from app.db import Transaction
from app.events.cursors import Position


async def prune(customer_id: str, before: datetime, *, limit: int) -> int:
    """Remove up to `limit` of a customer's oldest events that are past retention, and store where the last one was.

    Returns:
        How many were removed; fewer than `limit` once all are.
    """
    return await db.transaction(_prune, customer_id, before, limit)


async def _prune(tx: Transaction, customer_id: str, before: datetime, limit: int) -> int:
    removed = await tx.fetch(
        f"""
        WITH old AS MATERIALIZED (
            SELECT seq FROM target_event WHERE customer_id = $1 AND occurred_at < $2 ORDER BY occurred_at LIMIT {limit}
            {db.for_update("FOR UPDATE SKIP LOCKED")}
        )
        DELETE FROM target_event WHERE customer_id = $1 AND seq IN (SELECT seq FROM old)
        RETURNING outdial_id, epoch, tx, seq
        """,
        customer_id,
        before,
    )
    furthest: dict[str, Position] = {}
    for row in removed:
        place = Position(row["epoch"], row["tx"], row["seq"])
        furthest[row["outdial_id"]] = max(place, furthest.get(row["outdial_id"], place))
    for outdial_id, place in sorted(furthest.items()):
        await tx.fetch(
            """
            UPDATE outdial SET pruned_epoch = $3, pruned_tx = $4, pruned_seq = $5
            WHERE customer_id = $1 AND id = $2 AND (pruned_epoch, pruned_tx, pruned_seq) < ($3, $4, $5)
            """,
            customer_id,
            outdial_id,
            *place,
        )
    forgotten = await tx.fetch(
        f"""
        WITH old AS MATERIALIZED (
            SELECT seq FROM outdial_event WHERE customer_id = $1 AND occurred_at < $2
            ORDER BY occurred_at LIMIT {limit} {db.for_update("FOR UPDATE SKIP LOCKED")}
        )
        DELETE FROM outdial_event WHERE customer_id = $1 AND seq IN (SELECT seq FROM old) RETURNING seq
        """,
        customer_id,
        before,
    )
    return max(len(removed), len(forgotten))
