"""PostgreSQL's connections, shared among customers.

A customer whose calls all wait for locks would hold every connection. So some are left for others, and customers who
wait for one are served in turn. Work that is no customer's, such as housekeeping and probes, has the last one.
"""

from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any

from app.db import connections
from app.db.configuration import POSTGRES
from app.turns import Turns, working_for

LEFT_CONNECTIONS_MIN = 3
"""Of the pool, that one customer never has; one of them is no customer's. Fewer if the pool has less than six."""
CONNECTIONS_WAITING_MAX = 10_000
"""Of one customer's work, for a connection. Operations are bounded long before."""

_turns: Turns


def begin(pool_size: int) -> None:
    """Share a pool of so many."""
    global _turns  # noqa: PLW0603
    most = max(1, pool_size - min(LEFT_CONNECTIONS_MIN, pool_size // 2))
    _turns = Turns(
        "statements",
        room=max(1, pool_size - 1),
        share=most,
        alone=most,
        waiting_max=CONNECTIONS_WAITING_MAX,
        wait_seconds=connections.wait_seconds(),
    )


class _Shared(AbstractAsyncContextManager[Any]):
    """A class, because each statement enters one: a generator takes longer."""

    __slots__ = ("_connection", "_customer_id")

    def __init__(self, customer_id: str) -> None:
        self._customer_id = customer_id
        self._connection = connections.connection(POSTGRES)

    async def __aenter__(self) -> Any:
        if not _turns.take(self._customer_id):
            await _turns.wait(self._customer_id)
        try:
            return await self._connection.__aenter__()
        except BaseException:  # also if the caller is cancelled while it waits: the turn is the next one's
            _turns.end(self._customer_id)
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        try:
            return await self._connection.__aexit__(kind, error, trace)
        finally:
            _turns.end(self._customer_id)


def connection() -> AbstractAsyncContextManager[Any]:
    """A connection of the pool for the time of the context, as `connections.connection`, when it is its owner's turn.

    Raises:
        Broken: the database is at fault.
        Unavailable: no turn came in time.
    """
    customer_id = working_for.get()
    return _Shared(customer_id) if customer_id else connections.connection(POSTGRES)
