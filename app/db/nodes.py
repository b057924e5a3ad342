"""Which database counts the transaction ids of a customer's log.

PostgreSQL's ids count in one cluster. A customer's row says in which epoch its log is (`epoch`), and in which database
the ids of that epoch count (`node`). If its rows are now in another database, because a dump was restored or a shard
has moved, its next epoch begins before anything is written: ids of two databases are never compared.

Whatever has another value at another node stands beside a customer's row, in a SELECT: on a distributed database it is
evaluated where that row is. So the node is read first and written afterwards.
"""

from collections.abc import Awaitable, Mapping
from typing import Any, Protocol

from app.db.connections import is_postgres

DATABASE_OID = "split_part(pg_relation_filepath(1259), '/', -2)"
"""PostgreSQL's number of the database, as text. 1259 is a table that each database has, in a folder of that name."""
NODE = f"(CAST((pg_control_system()).system_identifier AS text) || '/' || {DATABASE_OID})"
"""The name of the database, made of functions alone: the cluster and the number. It costs 10 µs."""


class Unit(Protocol):
    """A unit of work, as far as it is needed here."""

    def fetch(self, sql: str, *args: Any) -> Awaitable[list[Mapping[str, Any]]]: ...


def node() -> str:
    """The database that evaluates it, as in `customer.node`. Empty on SQLite."""
    return NODE if is_postgres() else "''"


async def enter(tx: Unit, customer_id: str) -> None:
    """Begin the customer's next epoch if its rows are in another database than its epoch.

    The unit of work may go on and write events. Nobody else writes to the old epoch here: each unit compares the node
    first. Those that find another one wait for this row, and then find that it is done.
    """
    found = await tx.fetch(f"SELECT epoch, node, {node()} AS here FROM customer WHERE customer_id = $1", customer_id)
    if found and found[0]["node"] != found[0]["here"]:
        await begin_epoch(tx, customer_id, found[0])


async def begin_epoch(tx: Unit, customer_id: str, found: Mapping[str, Any]) -> None:
    """Begin the next epoch, unless another unit of work has done that since.

    Args:
        tx: the unit of work.
        customer_id: whose epoch.
        found: the customer's `epoch` and `node`, and the node where its rows are as `here`.
    """
    is_first = found["node"] == ""  # nothing has been written yet
    begun = await tx.fetch(
        """
        UPDATE customer SET epoch = $2, node = $3 WHERE customer_id = $1 AND epoch = $4 AND node = $5
        RETURNING epoch
        """,
        customer_id,
        found["epoch"] + (0 if is_first else 1),
        found["here"],
        found["epoch"],
        found["node"],
    )
    if not begun or is_first:
        return
    last = await tx.fetch(
        f"""
        SELECT {last_stored("$2")} AS last_tx, clock_timestamp() AS now_at FROM customer WHERE customer_id = $1
        """,
        customer_id,
        found["epoch"],
    )
    await tx.fetch(
        "INSERT INTO event_epoch (customer_id, epoch, last_tx, closed_at) VALUES ($1, $2, $3, $4)",
        customer_id,
        found["epoch"],
        last[0]["last_tx"],
        last[0]["now_at"],
    )


def last_stored(epoch: str) -> str:
    """The highest transaction id that the customer `$1` has stored in an epoch: a look at one end of each index."""
    return f"""
        COALESCE(greatest(
            (SELECT max(newest.tx) FROM outdial CROSS JOIN LATERAL (
                 SELECT tx FROM target_event
                 WHERE customer_id = $1 AND outdial_id = outdial.id AND epoch = {epoch}
                 ORDER BY epoch DESC, tx DESC, seq DESC LIMIT 1
             ) AS newest WHERE outdial.customer_id = $1),
            (SELECT tx FROM outdial_event WHERE customer_id = $1 AND epoch = {epoch}
             ORDER BY epoch DESC, tx DESC, seq DESC LIMIT 1)
        ), 0)
    """
