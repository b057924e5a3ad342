"""Retention: old events are removed, and each outdial knows up to where, so that a cursor before that place is found.

On PostgreSQL the table is partitioned by time, and a partition that is past retention is dropped whole. Its events cost
nothing; each outdial costs a look at one end of an index. Rows in the partition that takes the rest are deleted, as all
are on SQLite: those from before the first partition, or of a time in which none could be made.
"""

from datetime import datetime, timedelta

from app import db
from app.db import Partition, Transaction
from app.events.cursors import Position

TABLE = "target_event"
PARTS = 4
"""Partitions in the time of retention. Each costs every reader 5 µs; an event is kept up to one part longer."""
PART_HOURS_MIN = 1


async def make_room(now: datetime, retention: timedelta) -> None:
    """Make the partitions for the present and for the time of one part ahead, if they are missing."""
    width = max(timedelta(hours=PART_HOURS_MIN), retention / PARTS)
    made = await db.partitions(TABLE)
    end = made[-1].ends_at if made else now
    if end <= now:
        hour = now.replace(minute=0, second=0, microsecond=0)
        begin = max(hour, end) if made else hour
        # Not now if the rest has rows of the present already. Then they stay there.
        for begins_at in (begin, hour + timedelta(hours=1)):
            end = begins_at + width
            if await db.make_partition(Partition(begins_at, end, TABLE)):
                break
        else:
            return
    while end < now + width and await db.make_partition(Partition(end, end + width, TABLE)):
        end += width


async def past(before: datetime) -> list[Partition]:
    """The partitions in which every event is past retention."""
    return [partition for partition in await db.partitions(TABLE) if partition.ends_at <= before]


async def mark(customer_id: str, partition: Partition) -> None:
    """Store in each outdial the position of its last event in a partition, before the partition is dropped."""
    await db.transaction(_mark, customer_id, partition)


async def _mark(tx: Transaction, customer_id: str, partition: Partition) -> None:
    # by its bounds and not by its name: another process may have dropped it since
    await tx.fetch(
        f"""
        UPDATE outdial SET pruned_epoch = last.epoch, pruned_tx = last.tx, pruned_seq = last.seq
        FROM (
            SELECT owner.id, newest.epoch, newest.tx, newest.seq FROM outdial AS owner CROSS JOIN LATERAL (
                SELECT event.epoch, event.tx, event.seq FROM {TABLE} AS event
                WHERE event.customer_id = $1 AND event.outdial_id = owner.id
                  AND event.occurred_at >= $2 AND event.occurred_at < $3
                ORDER BY event.epoch DESC, event.tx DESC, event.seq DESC LIMIT 1
            ) AS newest WHERE owner.customer_id = $1
        ) AS last
        WHERE outdial.customer_id = $1 AND outdial.id = last.id
          AND (pruned_epoch, pruned_tx, pruned_seq) < (last.epoch, last.tx, last.seq)
        """,
        customer_id,
        partition.begins_at,
        partition.ends_at,
    )


async def is_pruned(customer_id: str, outdial_id: str, after: Position) -> bool:
    """Whether events after a position were removed. Ask after reading: they are marked before they are removed."""
    found = await db.fetch(
        """
        SELECT 1 AS one FROM outdial WHERE customer_id = $1 AND id = $2
            AND (pruned_epoch, pruned_tx, pruned_seq) > ($3, $4, $5)
        """,
        customer_id,
        outdial_id,
        *after,
    )
    return bool(found)


async def prune(customer_id: str, before: datetime, *, limit: int) -> int:
    """Remove up to `limit` of a customer's oldest events that are past retention, and store where the last one was.

    Those of targets only if they are in no partition with bounds.

    Returns:
        How many were removed; fewer than `limit` once all are.
    """
    return await db.transaction(_prune, customer_id, before, limit)


async def _prune(tx: Transaction, customer_id: str, before: datetime, limit: int) -> int:
    removed = await _remove(tx, db.rest(TABLE) if db.is_postgres() else TABLE, customer_id, before, limit)
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
    forgotten = await _remove(tx, "outdial_event", customer_id, before, limit)
    return max(len(removed), len(forgotten))


async def _remove(tx: Transaction, table: str, customer_id: str, before: datetime, limit: int) -> list[db.Row]:
    key = "outdial_id, epoch, tx, seq"
    return await tx.fetch(
        f"""
        WITH old AS MATERIALIZED (
            SELECT {key} FROM {table} WHERE customer_id = $1 AND occurred_at < $2
            ORDER BY occurred_at LIMIT {limit} {db.for_update("FOR UPDATE SKIP LOCKED")}
        )
        DELETE FROM {table} WHERE customer_id = $1 AND ({key}) IN (SELECT {key} FROM old)
        RETURNING {key}
        """,
        customer_id,
        before,
    )
