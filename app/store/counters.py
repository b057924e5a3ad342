"""The counters of an outdial's targets, updated in the transaction of the change."""

import random
from collections.abc import Mapping

from app import db, tables
from app.db import Transaction

COUNTER_SLOTS = 16
"""With one counter row, concurrent claims lose a quarter to a third of their speed; with 16, almost nothing."""


async def move_all(tx: Transaction, deltas_by_outdial: Mapping[tuple[str, str], Mapping[str, int]]) -> None:
    """Add to the counters of several outdials, given by (customer, outdial)."""
    for (customer_id, outdial_id), deltas in sorted(deltas_by_outdial.items()):
        await move(tx, customer_id, outdial_id, deltas)


async def move(tx: Transaction, customer_id: str, outdial_id: str, deltas: Mapping[str, int]) -> None:
    """Add to an outdial's counters; a single slot may go below zero, their sum does not."""
    if not any(deltas.values()):
        return
    columns = tables.COUNTERS.kinds
    values = ", ".join(f"${index + 4}" for index in range(len(columns)))
    sums = ", ".join(f"{column} = outdial_counter.{column} + excluded.{column}" for column in columns)
    # SQLite has one writer, so nobody waits for a row
    slot = random.randrange(COUNTER_SLOTS) if db.is_postgres() else 0  # noqa: S311 - spreads load, not for a secret
    await tx.fetch(
        f"""
        INSERT INTO outdial_counter (customer_id, outdial_id, slot, {tables.COUNTERS}) VALUES ($1, $2, $3, {values})
        ON CONFLICT (customer_id, outdial_id, slot) DO UPDATE SET {sums}
        """,
        customer_id,
        outdial_id,
        slot,
        *(deltas.get(column, 0) for column in columns),
    )
