"""Reading what takes long: documents that are not known, and large JSON. In turns, and documents beside the loop."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from app import costs
from app.auth import Scope, Viewer
from app.errors import RateLimited, Unavailable
from app.graphql.transport import masking
from app.graphql.transport.documents import Document, Documents
from app.graphql.transport.masking import NotExecuted
from app.rates import Kind, Limiter
from app.requests.large import LargeJson
from app.turns import Lanes, Turn

T = TypeVar("T", bytes, str)
BESIDE_CHARACTERS = 1_000
"""A longer document is read in a thread: it would hold the loop."""


class Reading:
    """Reads documents, one of each customer after the other.

    Args:
        documents: those that are remembered.
        lanes: whose turn it is.
        limiter: who may ask for more.
    """

    def __init__(self, documents: Documents, lanes: Lanes, limiter: Limiter) -> None:
        self._documents = documents
        self._lanes = lanes
        self._limiter = limiter
        self._large = LargeJson(lanes, limiter)
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="documents")  # for each of the lanes

    async def read(self, query: str, viewer: Viewer) -> Document:
        """The document of a text, which is charged to its customer.

        Raises:
            NotExecuted: it is too large, malformed or invalid, its customer has too few points, or its turn did not
                come.
        """
        kind = self._documents.kind(query) if Scope.DIAL in viewer.scopes else Kind.OPERATION
        is_long = len(query) > BESIDE_CHARACTERS
        # A short one is refused when it is read: only then it is known when it may come again.
        if is_long and (refusal := self._refusal(query, viewer, kind)):
            raise masking.refuse(refusal)
        turn = self._lanes.reading(viewer.customer_id, is_dialing=kind is not Kind.OPERATION)
        try:
            await turn.begin()
        except (RateLimited, Unavailable) as error:
            raise masking.refuse(error) from None
        document = self._documents.known(query)
        if document is not None:  # one before it had the same
            turn.end()
            return document
        return await (self._beside(query, viewer, turn) if is_long else self._here(query, viewer, turn))

    def _refusal(self, query: str, viewer: Viewer, kind: Kind) -> RateLimited | None:
        return self._limiter.refusal(viewer.customer_id, lambda: costs.points(fields=0, document=len(query)), kind)

    async def decode(self, text: T, viewer: Viewer, decode: Callable[[T], Any]) -> Any:
        """The value of a large JSON text, when its customer's turn comes. Raises what `decode` does.

        Raises:
            NotExecuted: its turn did not come.
        """
        try:
            return await self._large.decode(text, viewer.customer_id, decode)
        except (RateLimited, Unavailable) as error:
            raise masking.refuse(error) from None

    async def _here(self, query: str, viewer: Viewer, turn: Turn) -> Document:
        try:
            document = self._documents.read(query)
        except NotExecuted as refused:
            self._charge(viewer, refused.tokens)
            raise
        finally:
            # Not before others had the loop: the customer's next document comes after what they do meanwhile.
            asyncio.get_running_loop().call_soon(turn.end)
        self._charge(viewer, document.tokens)
        return self._documents.keep(document)

    async def _beside(self, query: str, viewer: Viewer, turn: Turn) -> Document:
        reading = asyncio.get_running_loop().run_in_executor(self._threads, self._documents.read, query)

        def end(ended: asyncio.Future[Document]) -> None:
            error = ended.exception()
            if error is None:
                self._charge(viewer, self._documents.keep(ended.result()).tokens)
            elif isinstance(error, NotExecuted):
                self._charge(viewer, error.tokens)
            turn.end()

        # A thread cannot be stopped. If the client leaves, its turn goes on until the end, and is charged.
        reading.add_done_callback(end)
        return await asyncio.shield(reading)

    def _charge(self, viewer: Viewer, tokens: int) -> None:
        self._limiter.charge(viewer.customer_id, costs.reading(tokens))
