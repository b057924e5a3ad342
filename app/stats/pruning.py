"""Cells of minutes are removed when they are old: quarters of an hour have their figures."""

from datetime import timedelta

from app import db
from app.db import Transaction
from app.stats.cells import MINUTE
from app.stats.rolling import MINUTES_HOURS

_KEPT = timedelta(hours=MINUTES_HOURS + 1)
"""A bit longer than they are read and made, so that no quarter is made of a part of its minutes."""


async def prune(customer_id: str, *, limit: int) -> int:
    """Remove up to `limit` parts of a customer's old cells. Returns how many; fewer than `limit` once all are."""
    return await db.transaction(_prune, customer_id, limit)


async def _prune(tx: Transaction, customer_id: str, limit: int) -> int:
    key = "scope_id, facet, minutes, begins_at, value"
    removed = await tx.fetch(
        f"""
        WITH old AS MATERIALIZED (
            SELECT {key} FROM stats_cell
            WHERE customer_id = $1 AND minutes = {MINUTE} AND begins_at < {db.instant_ago("$2")} LIMIT {limit}
        )
        DELETE FROM stats_cell WHERE customer_id = $1 AND ({key}) IN (SELECT {key} FROM old) RETURNING minutes
        """,
        *(customer_id, db.ago_value(_KEPT)),
    )
    return len(removed)
