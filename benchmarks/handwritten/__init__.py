"""The measure for `benchmarks.dialing`: what somebody would write by hand for claims, starts and completions alone.

Starlette, asyncpg and orjson; one SQL statement for each call. It writes the same rows into the same tables: target,
attempt, counter slot, event, and the idempotency key if there is one. After the commit it wakes, coalesced. It leaves
out what is not such an effect: tokens, checks of the input, GraphQL, subscriptions, locks against a pause, repeated
calls, and dispositions other than ANSWERED, BUSY and NO_ANSWER. On SQLite it is the `sqlite3` module in one thread.
"""

from typing import Any, Protocol


class Dialing(Protocol):
    """Three calls of a dialer."""

    async def claim(
        self, customer_id: str, outdial_id: str, limit: int, dialer: str, lease_seconds: int, key: str | None
    ) -> list[dict[str, Any]]:
        """Attempts, as the reference dialer asks for them."""
        ...

    async def start(self, customer_id: str, starts: list[tuple[str, str]]) -> list[str]:
        """Pairs of attempt and call id. Returns the attempts that are dialed."""
        ...

    async def complete(self, customer_id: str, results: list[tuple[str, str]]) -> list[str]:
        """Pairs of attempt and disposition. Returns the attempts that are completed."""
        ...

    async def close(self) -> None: ...
