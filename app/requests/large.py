"""Large JSON: decoded in turns, and charged to its customer. The same for GraphQL and REST, HTTP and WebSockets."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from app import costs
from app.rates import Limiter
from app.turns import Lanes

T = TypeVar("T", bytes, str)
LARGE_JSON_BYTES = 128 * 1024
"""A longer text is decoded in turns: it holds the loop for some milliseconds, and one of 8 MiB for some fifty."""


class LargeJson:
    """Decodes large JSON.

    Args:
        lanes: whose turn it is.
        limiter: who pays.
    """

    def __init__(self, lanes: Lanes, limiter: Limiter) -> None:
        self._lanes = lanes
        self._limiter = limiter

    async def decode(self, text: T, customer_id: str, decode: Callable[[T], Any]) -> Any:
        """The value of a large JSON text, when its customer's turn comes. Raises what `decode` does.

        A thread would be of no use: the decoder lets nothing else run. Instead, the others have the loop for as long
        as it took, before the next one comes.

        Raises:
            RateLimited, Unavailable: its turn did not come.
        """
        turn, loop = self._lanes.decoding(customer_id), asyncio.get_running_loop()
        await turn.begin()
        began = loop.time()
        try:
            return decode(text)
        finally:
            loop.call_later(loop.time() - began, turn.end)
            self._limiter.charge(customer_id, costs.decoding(len(text)))
