"""How far an outdial's events are counted."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from app import db
from app.db import Transaction
from app.events import Position
from app.lifecycle import TargetEventType
from app.stats.ledger import Fetch

_COUNTED = (TargetEventType.CLAIMED, TargetEventType.RELEASED, TargetEventType.COMPLETED)
"""What changes figures. An attempt that expires or is revoked stays an attempt without a result."""
_AT = "(event.epoch, event.tx, event.seq)"
_PRUNED = "(outdial.pruned_epoch, outdial.pruned_tx, outdial.pruned_seq)"


@dataclass(frozen=True, slots=True)
class Place:
    """An outdial's."""

    at: Position | None
    """The last event that is counted. None if none ever was."""
    filled_to: datetime | None
    """Attempts that were claimed before are counted, of those that are older than the log. None: all are."""


@dataclass(frozen=True, slots=True)
class News:
    """Events after a place."""

    claims: Sequence[tuple[Position, datetime | None]]
    """The position of each, and when the attempt was claimed whose figures it changes."""
    lost_upto: Position | None
    """The last event after the place that was removed before it was counted. None if none was."""


async def waiting(customer_id: str, among: Collection[str] | None) -> tuple[list[str], list[str]]:
    """The customer's outdials that have something to count, deleted ones too, and all of its outdials.

    Args:
        customer_id: whose outdials.
        among: ids, which may be others'. None: all.
    """
    found = await db.fetch(
        f"""
        SELECT outdial.id, CASE
            WHEN place.outdial_id IS NULL OR place.filled_to_at IS NOT NULL THEN 1
            WHEN {_PRUNED} > (place.epoch, place.tx, place.seq) THEN 1
            WHEN EXISTS (
                SELECT 1 FROM target_event AS event WHERE event.customer_id = $1 AND event.outdial_id = outdial.id
                  AND {_AT} > (place.epoch, place.tx, place.seq)
            ) THEN 1
            ELSE 0 END AS is_waiting
        FROM outdial LEFT JOIN stats_place AS place
            ON place.customer_id = outdial.customer_id AND place.outdial_id = outdial.id
        WHERE outdial.customer_id = $1 {"" if among is None else f"AND outdial.id {db.any_of('$2')}"}
        ORDER BY outdial.id
        """,
        customer_id,
        *([] if among is None else [sorted(among)]),
    )
    return [row["id"] for row in found if row["is_waiting"]], [row["id"] for row in found]


async def place_of(fetch: Fetch, customer_id: str, outdial_id: str) -> Place | None:
    """How far an outdial is counted. None if there is no such outdial: the database is another one, or was restored."""
    found = await fetch(
        """
        SELECT epoch, tx, seq, filled_to_at
        FROM outdial LEFT JOIN stats_place AS place
            ON place.customer_id = outdial.customer_id AND place.outdial_id = outdial.id
        WHERE outdial.customer_id = $1 AND outdial.id = $2
        """,
        *(customer_id, outdial_id),
    )
    if not found:
        return None
    row = found[0]
    if row["epoch"] is None:
        return Place(None, None)
    return Place(Position(row["epoch"], row["tx"], row["seq"]), row["filled_to_at"])


async def news(fetch: Fetch, customer_id: str, outdial_id: str, after: Position, *, limit: int) -> News:
    """Up to `limit` events after a position, also those that others may still come before."""
    types = ", ".join(f"'{one}'" for one in _COUNTED)
    # in one statement: what is removed is marked before
    found = await fetch(
        f"""
        SELECT event.epoch, event.tx, event.seq, attempt.claimed_at,
            pruned_epoch, pruned_tx, pruned_seq
        FROM outdial
        LEFT JOIN (
            SELECT event.customer_id, event.epoch, event.tx, event.seq, event.type, event.attempt_id
            FROM target_event AS event
            WHERE event.customer_id = $1 AND event.outdial_id = $2 AND {_AT} > ($3, $4, $5)
            ORDER BY event.epoch, event.tx, event.seq LIMIT {limit}
        ) AS event ON event.customer_id = outdial.customer_id
        LEFT JOIN attempt ON attempt.customer_id = $1 AND attempt.id = event.attempt_id AND event.type IN ({types})
        WHERE outdial.customer_id = $1 AND outdial.id = $2
        ORDER BY event.epoch, event.tx, event.seq
        """,
        *(customer_id, outdial_id, *after),
    )
    claims = [
        (Position(row["epoch"], row["tx"], row["seq"]), row["claimed_at"]) for row in found if row["seq"] is not None
    ]
    pruned = [Position(row["pruned_epoch"], row["pruned_tx"], row["pruned_seq"]) for row in found[:1]]
    return News(claims, next((end for end in pruned if end > after), None))


async def move(tx: Transaction, customer_id: str, outdial_id: str, place: Place) -> None:
    """Store how far an outdial has come."""
    assert place.at is not None
    await tx.fetch(
        f"""
        INSERT INTO stats_place (customer_id, outdial_id, epoch, tx, seq, filled_to_at)
        VALUES ($1, $2, $3, $4, $5, {db.typed("$6", "instant")})
        ON CONFLICT (customer_id, outdial_id)
        DO UPDATE SET epoch = excluded.epoch, tx = excluded.tx, seq = excluded.seq, filled_to_at = excluded.filled_to_at
        """,
        *(customer_id, outdial_id, *place.at, place.filled_to),
    )
