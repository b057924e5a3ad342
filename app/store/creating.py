"""New targets: all rows in one COPY, and all events in one statement."""

from collections.abc import Sequence

from app import events, rows
from app.changes import counted_new, created_all
from app.db import Transaction
from app.records import Outdial, Target
from app.store import counters


async def save_new(tx: Transaction, outdial: Outdial, targets: Sequence[Target]) -> None:
    """Store new targets of an outdial, with one event each, in the order given."""
    if not targets:
        return
    await tx.insert("target", rows.target_columns(targets))
    await counters.move(tx, outdial.customer_id, outdial.id, counted_new(targets))
    await events.append_columns(tx, created_all(targets))
