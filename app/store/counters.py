"""The counters of an outdial's targets, updated in the transaction of the change."""

import random
from collections.abc import Iterable, Mapping
from typing import Any

from app import db, tables
from app.db import Transaction
from app.listing import Parameters

COUNTER_SLOTS = 16
"""With one counter row, concurrent claims lose a quarter to a third of their speed; with 16, almost nothing."""


def moving_all(deltas_by_outdial: Mapping[str, Mapping[str, int]], parameter: Parameters) -> str | None:
    """Adds to the counters of several outdials, in the order of their ids; None if there is nothing to add.

    Args:
        deltas_by_outdial: by the outdial's id.
        parameter: of the statement; $1 is the customer.
    """
    moved = [(outdial_id, deltas) for outdial_id, deltas in sorted(deltas_by_outdial.items()) if any(deltas.values())]
    if not moved:
        return None
    columns: dict[str, list[Any]] = {"outdial_id": [outdial_id for outdial_id, _ in moved]}
    columns["slot"] = [slot() for _ in moved]
    columns |= {name: [deltas.get(name, 0) for _, deltas in moved] for name in tables.COUNTERS.kinds}
    kinds = {"outdial_id": "uuid", "slot": "integer", **tables.COUNTERS.kinds}
    return f"""
        INSERT INTO outdial_counter (customer_id, {", ".join(kinds)})
        SELECT {db.typed("$1", "uuid")}, {", ".join(kinds)} FROM {db.table_of(columns, kinds, "delta", parameter)}
        WHERE 1 = 1 ORDER BY outdial_id
        ON CONFLICT (customer_id, outdial_id, slot) DO UPDATE SET {_sums(tables.COUNTERS.kinds)}
    """


async def move(tx: Transaction, customer_id: str, outdial_id: str, deltas: Mapping[str, int]) -> None:
    """Add to an outdial's counters; a single slot may go below zero, their sum does not."""
    if not any(deltas.values()):
        return
    parameter = Parameters([customer_id, outdial_id])
    values = {column: db.typed(parameter(number), "bigint") for column, number in deltas.items() if number}
    sql = moving(values, slot=parameter(slot()), source="(SELECT 1 AS one) AS once WHERE 1 = 1")
    await tx.fetch(sql, *parameter.values)


def moving(deltas: Mapping[str, str], *, slot: str, source: str) -> str:
    """Adds to the counters of the outdial with the keys $1 (customer) and $2.

    Args:
        deltas: what is added to each column, in SQL.
        slot: the parameter with the slot.
        source: where the deltas come from: what follows FROM, with a condition.
    """
    return f"""
        INSERT INTO outdial_counter (customer_id, outdial_id, slot, {", ".join(deltas)})
        SELECT {db.typed("$1", "uuid")}, {db.typed("$2", "uuid")}, {db.typed(slot, "integer")},
            {", ".join(deltas.values())} FROM {source}
        ON CONFLICT (customer_id, outdial_id, slot) DO UPDATE SET {_sums(deltas)}
    """


def _sums(columns: Iterable[str]) -> str:
    return ", ".join(f"{column} = outdial_counter.{column} + excluded.{column}" for column in columns)


def slot() -> int:
    """One of the slots. SQLite has one writer, so nobody waits for a row."""
    return random.randrange(COUNTER_SLOTS) if db.is_postgres() else 0  # noqa: S311 - spreads load, not for a secret
