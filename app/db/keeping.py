"""PostgreSQL's connections from one statement to the next: kept at hand rather than given back to the driver's pool.

To give one back and to take it again costs a task, a timer and two rounds of the event loop, before the caller even has
its rows: as much as a small statement itself. So a connection whose work has ended well stays here, and the next
statement takes it. The pool gets it back as soon as somebody waits for the pool, if it is not used for a while, and now
and then, so that the pool's own rules about age and use apply.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from app.db import postgres

USES_MAX = 1_000
"""After so many, the pool looks at the connection."""
REST_SECONDS = 1.0
"""One that was not used for so long, and at most twice as long, goes back."""


@dataclass(slots=True)
class Kept:
    """A connection that was taken from the pool."""

    connection: Any
    wrapper: Any
    """Tortoise's, by which it goes back."""
    uses: int = 0
    renewals: int = 0
    """Of all connections, before it was taken."""
    has_rested: bool = False


class Keeping:
    """The connections that are kept, the one that was used last first.

    Args:
        give_back: gives one back to the pool. It raises nothing that its caller should know.
    """

    def __init__(self, give_back: Callable[[Any], Awaitable[None]]) -> None:
        self._give_back = give_back
        self._kept: list[Kept] = []
        self._wanted = 0
        """How many wait for the pool."""
        self._renewals = 0
        self._look: asyncio.TimerHandle | None = None
        self._giving: set[asyncio.Task[None]] = set()

    def take(self) -> Kept | None:
        """One that is ready, if there is one."""
        while self._kept:
            kept = self._kept.pop()
            if not postgres.is_closed(kept.connection):
                return kept
            self._part_with(kept)
        return None

    @contextmanager
    def wanted(self) -> Iterator[None]:
        """Somebody waits for the pool meanwhile."""
        self._wanted += 1
        try:
            yield
        finally:
            self._wanted -= 1

    def taken(self, connection: Any, wrapper: Any) -> Kept:
        """One that comes from the pool."""
        return Kept(connection, wrapper, renewals=self._renewals)

    def keep(self, kept: Kept) -> bool:
        """Keep one whose work has ended without an error. Returns False if it should go back to the pool."""
        kept.uses += 1
        connection = kept.connection
        if (
            self._wanted
            or kept.uses >= USES_MAX
            or kept.renewals != self._renewals
            or postgres.is_closed(connection)
            or connection.is_in_transaction()
        ):
            return False
        kept.has_rested = False
        self._kept.append(kept)
        if self._look is None:
            self._look = asyncio.get_running_loop().call_later(REST_SECONDS, self._give_back_rested)
        return True

    def renew(self) -> None:
        """None of the present connections is kept any longer."""
        self._renewals += 1
        for kept in self._kept:
            self._part_with(kept)
        self._kept = []

    def forget(self) -> None:
        """The pool is another one now."""
        self._kept, self._wanted, self._giving = [], 0, set()
        if self._look is not None:
            self._look.cancel()
            self._look = None

    async def close(self) -> None:
        """Give all back."""
        self.renew()
        if self._giving:
            await asyncio.wait(self._giving)
        self.forget()

    def _give_back_rested(self) -> None:
        self._look = None
        rested = [kept for kept in self._kept if kept.has_rested]
        self._kept = [kept for kept in self._kept if not kept.has_rested]
        for kept in rested:
            self._part_with(kept)
        for kept in self._kept:
            kept.has_rested = True
        if self._kept:
            self._look = asyncio.get_running_loop().call_later(REST_SECONDS, self._give_back_rested)

    def _part_with(self, kept: Kept) -> None:
        giving = asyncio.ensure_future(self._give_back(kept.wrapper))
        self._giving.add(giving)
        giving.add_done_callback(self._giving.discard)
