"""The advisory locks of units of work, in SQL for PostgreSQL."""

import hashlib
from collections.abc import Sequence

from app.db import dialects, nodes

WRITERS_CLASS, WRITERS_NUMBER = 223, 1
"""The two numbers of the lock that every unit of work shares while it writes to the log."""


def writers_lock(*, shared: bool = True) -> str:
    """The lock of those that write to the log, in SQL for PostgreSQL. See `Transaction.lock`."""
    return f"pg_advisory_xact_lock{'_shared' if shared else ''}({WRITERS_CLASS}, {WRITERS_NUMBER})"


def named_lock(name: str, *, shared: bool = False, tries: bool = False) -> str:
    """The lock with a name, both in SQL for PostgreSQL.

    Args:
        name: in SQL.
        shared: others may share it.
        tries: does not wait for it: whether it has the lock.
    """
    return f"pg_{'try_' if tries else ''}advisory_xact_lock{'_shared' if shared else ''}(hashtextextended({name}, 0))"


def customers_lock(*, shared: bool = True) -> str:
    """The lock of the customer of a row, in SQL for PostgreSQL. See `Transaction.lock`."""
    return named_lock("customer_id::text", shared=shared)


def locking(exclusive: Sequence[str], shared: Sequence[str], *, writers: bool, alone: bool = False) -> str:
    """Takes locks where the rows of the customer $1 are, in SQL for PostgreSQL. See `Transaction.lock`.

    One row, or none if the customer is unknown; with `writers` two if the customer's rows have moved to another node.

    Args:
        exclusive: the names, in SQL.
        shared: likewise.
        writers: with the writers' lock and the customer's, which come first.
        alone: the customer's lock is not shared.
    """
    locks = [*([writers_lock(), customers_lock(shared=not alone)] if writers else []), *map(named_lock, exclusive)]
    locks += [named_lock(name, shared=True) for name in shared]
    twice_if_moved = f"CROSS JOIN generate_series(1, CASE WHEN node <> {nodes.NODE} THEN 2 ELSE 1 END)"
    return f"SELECT {', '.join(locks)} FROM customer {twice_if_moved if writers else ''} WHERE customer_id = $1"


def lock_name(name: str) -> str:
    """The name, or its hash if a caller's text is in it that could not be a part of a statement."""
    return name if dialects.PLAIN.fullmatch(name) else hashlib.sha256(name.encode()).hexdigest()
