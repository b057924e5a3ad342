"""Epochs: periods of a customer's log in which transaction ids can be compared. Positions sort by epoch first.

Which database the ids of an epoch count in is known to `app.db.nodes`. The first statement of each unit of work
compares that (`Transaction.lock`), and readers do too (`horizon`). So no event gets into the wrong epoch, also while
housekeeping is still busy with other customers.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app import db
from app.db import Transaction


@dataclass(frozen=True, slots=True)
class Owner:
    """A customer, as its log knows it."""

    customer_id: str
    epoch: int
    node: str
    """The database in which the ids of this epoch count. Empty on SQLite."""


async def owner(customer_id: str) -> Owner | None:
    """The customer's epoch now; None if it has no data yet."""
    found = await db.fetch("SELECT epoch, node FROM customer WHERE customer_id = $1", customer_id)
    return Owner(customer_id, found[0]["epoch"], found[0]["node"]) if found else None


async def epoch_end(customer_id: str, epoch: int) -> int | None:
    """The last transaction id that a closed epoch holds; None if it is open or unknown."""
    found = await db.fetch("SELECT last_tx FROM event_epoch WHERE customer_id = $1 AND epoch = $2", customer_id, epoch)
    return found[0]["last_tx"] if found else None


async def enter(customer_id: str) -> None:
    """Begin the customer's next epoch if its rows are in another database than its epoch."""
    await db.transaction(db.enter, customer_id)


# ---------------------------------------------------------------- after a restore


async def must_open(customer_id: str) -> bool:
    """Whether the customer's stored transaction ids cannot be this database's own.

    Either its epoch belongs to another database, or the ids are ahead of the counter: then what is written from now on
    would sort before them.
    """
    if not db.is_postgres():
        return False
    found = await db.fetch(_state(), customer_id)
    return bool(found) and _is_foreign(found[0])


def _state() -> str:
    return f"""
        SELECT epoch, node, {db.node()} AS here, {db.last_stored("customer.epoch")} AS stored,
               CAST(CAST(pg_snapshot_xmax(pg_current_snapshot()) AS text) AS bigint) AS unused
        FROM customer WHERE customer_id = $1
    """


def _is_foreign(state: Mapping[str, Any]) -> bool:
    is_ahead: bool = state["stored"] >= state["unused"]
    return is_ahead or state["node"] != state["here"]


async def open_epoch(customer_id: str) -> None:
    """Begin the customer's next epoch, if it needs one, while no unit of work writes."""
    await db.transaction(_open, customer_id)


async def _open(tx: Transaction, customer_id: str) -> None:
    # not tx.lock: this unit writes no event, and of two that share the lock neither could have it alone
    await tx.fetch(f"SELECT {db.writers_lock(shared=False)} FROM customer WHERE customer_id = $1", customer_id)
    found = await tx.fetch(_state(), customer_id)
    if found and _is_foreign(found[0]):
        await db.begin_epoch(tx, customer_id, found[0])
