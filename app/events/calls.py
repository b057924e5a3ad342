"""What breakers read of the log: calls as they end, each once, so that no report pays for a breaker."""

from app import breakers, db
from app.breakers import Call
from app.db import Transaction
from app.events.cursors import Position
from app.lifecycle import Disposition, TargetEventType, TargetStatus

READ_EVENTS_MAX = 1_000
"""In one statement."""


async def end(tx: Transaction, customer_id: str, outdial_id: str) -> Position:
    """The position of an outdial's last event, for a unit of work that has the outdial's lock for itself."""
    found = await tx.fetch(
        """
        SELECT epoch, tx, seq FROM target_event WHERE customer_id = $1 AND outdial_id = $2
        ORDER BY epoch DESC, tx DESC, seq DESC LIMIT 1
        """,
        customer_id,
        outdial_id,
    )
    return Position(found[0]["epoch"], found[0]["tx"], found[0]["seq"]) if found else Position(0, 0, 0)


async def calls(
    tx: Transaction, customer_id: str, outdial_id: str, *, after: Position, upto: Position
) -> tuple[list[Call], Position, bool]:
    """Calls of an outdial that ended after a position, up to the position of a horizon.

    Returns:
        The calls, the position of the last event that was read, and whether there may be more.
    """
    found = await tx.fetch(
        f"""
        SELECT epoch, tx, seq, type, previous_status, disposition, occurred_at FROM target_event
        WHERE customer_id = $1 AND outdial_id = $2
          AND (epoch, tx, seq) > ($3, $4, $5) AND (epoch, tx, seq) <= ($6, $7, $8)
        ORDER BY epoch, tx, seq LIMIT {READ_EVENTS_MAX}
        """,
        customer_id,
        outdial_id,
        *after,
        *upto,
    )
    if not found:
        return [], after, False
    last = found[-1]
    ended = [call for row in found if (call := _call(row)) is not None]
    return ended, Position(last["epoch"], last["tx"], last["seq"]), len(found) == READ_EVENTS_MAX


def _call(row: db.Row) -> Call | None:
    previous, disposition = row["previous_status"], row["disposition"]
    return breakers.call_of(
        TargetEventType(row["type"]),
        None if previous is None else TargetStatus(previous),
        None if disposition is None else Disposition(disposition),
        row["occurred_at"],
    )
