"""What may be claimed while a breaker is not closed: nothing, or one target whose call shows whether calls still fail.

It is `app.breakers` in SQL. On PostgreSQL such claims have the lock of paced ones one after the other, so no two of
them take that target. A change of the state has the outdial's lock for itself.
"""

from datetime import datetime

from app import breakers, db
from app.db import Transaction
from app.pacing import Allowance, BreakerState, BreakerStatus


def allowance(now: str, condition: str) -> str:
    """The value of `breakers.allowance` as a row, in SQL for PostgreSQL, of an outdial whose breaker is not closed.

    Args:
        now: the instant, in SQL.
        condition: whether targets may be claimed at all. If not, there is no row.
    """
    is_over = f"state = '{BreakerState.OPEN}' AND paused_until_at <= {now}"
    return f"""
        SELECT CASE WHEN {is_over} THEN 1 ELSE 0 END AS targets,
            CASE WHEN paused_until_at > {now} THEN paused_until_at
                ELSE {now} + interval '{breakers.PROBED_SECONDS} seconds' END AS more_at
        FROM outdial_breaker WHERE customer_id = $1 AND outdial_id = $2 AND {condition}
    """


def beginning(attempt_id: str, source: str = "") -> str:
    """Writes which attempt shows whether calls still fail.

    Args:
        attempt_id: in SQL.
        source: where it is from, if it is a column.
    """
    return f"""
        UPDATE outdial_breaker
        SET state = '{BreakerState.PROBING}', probe_attempt_id = {attempt_id}, paused_until_at = NULL {source}
        WHERE outdial_breaker.customer_id = $1 AND outdial_breaker.outdial_id = $2
    """


async def allowed(tx: Transaction, customer_id: str, outdial_id: str, now: datetime) -> Allowance | None:
    """How many targets may be claimed, in a unit of work that no claim runs beside. None: any number."""
    [row] = await tx.fetch(
        "SELECT state, opened_at, paused_until_at FROM outdial_breaker WHERE customer_id = $1 AND outdial_id = $2",
        customer_id,
        outdial_id,
    )
    status = BreakerStatus(BreakerState(row["state"]), row["opened_at"], row["paused_until_at"])
    return breakers.allowance(status, now)


async def begin(tx: Transaction, customer_id: str, outdial_id: str, attempt_id: str) -> None:
    """Write it in a statement of its own."""
    await tx.fetch(beginning(db.typed("$3", "uuid")), customer_id, outdial_id, attempt_id)
