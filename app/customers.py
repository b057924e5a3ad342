"""The customers that have data here: a row for each, made before the customer's first outdial."""

from collections.abc import AsyncIterator

from app import db
from app.db import Transaction

PART_CUSTOMERS = 1_000


async def add(customer_id: str) -> None:
    """Make the customer's row, if there is none, in a transaction of its own: locks name this row."""
    await db.transaction(_add, customer_id)


async def _add(tx: Transaction, customer_id: str) -> None:
    await tx.fetch("INSERT INTO customer (customer_id) VALUES ($1) ON CONFLICT (customer_id) DO NOTHING", customer_id)
    await db.enter(tx, customer_id)


async def every() -> AsyncIterator[str]:
    """The ids of all customers, for work that looks at each of them."""
    last = "00000000-0000-0000-0000-000000000000"
    while True:
        found = await db.fetch(
            f"SELECT customer_id FROM customer WHERE customer_id > $1 ORDER BY customer_id LIMIT {PART_CUSTOMERS}", last
        )
        for row in found:
            yield row["customer_id"]
        if len(found) < PART_CUSTOMERS:
            return
        last = found[-1]["customer_id"]
