"""Files that are sent while they are read: exports, and the rejected rows of an import."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http import HTTPMethod
from urllib.parse import quote

from starlette.datastructures import Headers, QueryParams
from starlette.types import Receive, Scope, Send

from app import auth, bounds, costs
from app.auth import Viewer
from app.errors import LimitExceeded, RateLimited, Unavailable
from app.rates import Limiter
from app.requests.tokens import TokenReader
from app.rest import endpoint, problems
from app.rest.problems import Reason
from app.turns import Allowance, Lanes, Turn, working_for

CSV, NDJSON = "csv", "ndjson"
RETRY_SECONDS = 10
"""When a customer that reads as many files as it may should try again."""
TURN_TRIES_MAX = 6
"""To make a part. Each waits as long as any operation. Then the file is cut off."""
TURN_PAUSE_SECONDS = 1.0
MEDIA_TYPES = {CSV: "text/csv; charset=utf-8", NDJSON: "application/x-ndjson"}


@dataclass(frozen=True, slots=True)
class Download:
    name: str
    media_type: str
    parts: AsyncIterator[bytes]

    @property
    def headers(self) -> dict[str, str]:
        return {
            "content-type": self.media_type,
            "content-disposition": disposition(self.name),
            "cache-control": "no-store",
        }


def disposition(name: str) -> str:
    """The header with the file's name for the browser.

    Source: RFC 6266, appendix D: a name beyond ASCII comes twice, for old readers with _ in its place.
    """
    plain = "".join(sign if sign.isascii() and sign.isprintable() and sign not in '"\\%' else "_" for sign in name)
    more = "" if plain == name else f"; filename*=UTF-8''{quote(name, safe='')}"
    return f'attachment; filename="{plain}"{more}'


class Sharing:
    """What customers share of the files that a process sends: how many each may have, and whose part is made next.

    Args:
        lanes: whose turn it is, also among other calls.
    """

    def __init__(self, lanes: Lanes) -> None:
        self._lanes = lanes
        self._open = Allowance("files", lambda: bounds.now().customer_exports_max)

    @contextmanager
    def one(self, customer_id: str) -> Iterator[None]:
        """Have a file open during the context.

        Raises:
            RateLimited: the customer has as many as it may.
        """
        try:
            self._open.take(customer_id)
        except LimitExceeded as error:
            raise RateLimited(error.message, retry_after_seconds=RETRY_SECONDS) from None
        try:
            yield
        finally:
            self._open.give_back(customer_id)

    async def parts(self, customer_id: str, parts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The parts, each made in a turn of its own, which does not last while the client reads.

        Raises:
            RateLimited, Unavailable: no turn came, again and again.
        """
        while True:
            turn = await self._turn(customer_id)
            try:
                part = await anext(parts, None)
            finally:
                turn.end()
            if part is None:
                return
            yield part
            del part  # not held while the next one is made
            await asyncio.sleep(0)  # a client that reads fast makes no sending wait

    async def _turn(self, customer_id: str) -> Turn:
        turn, tried = self._lanes.turn(customer_id, is_dialing=False), 1
        while True:
            try:
                await turn.begin()
            except (RateLimited, Unavailable):
                if tried == TURN_TRIES_MAX:
                    raise
                tried += 1
                await asyncio.sleep(TURN_PAUSE_SECONDS)
            else:
                return turn


class DownloadEndpoint:
    """The ASGI application that sends one kind of file. It needs the scope READ.

    Args:
        open_: opens the file for a path and a query. Its errors are answered like those of any other call.
        reader: of tokens.
        limiter: who may ask for more.
        sharing: the same for all that serve the same customers.
    """

    def __init__(
        self,
        open_: Callable[[Viewer, dict[str, str], QueryParams], Awaitable[Download]],
        reader: TokenReader,
        limiter: Limiter,
        sharing: Sharing,
    ) -> None:
        self._open = open_
        self._reader = reader
        self._limiter = limiter
        self._sharing = sharing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] not in {HTTPMethod.GET, HTTPMethod.HEAD}:
            await endpoint.refuse(send, endpoint.not_allowed(scope["method"], {HTTPMethod.GET: self}))
            return
        with ExitStack() as stack:
            await self._serve(scope, receive, send, stack)

    async def _serve(self, scope: Scope, receive: Receive, send: Send, stack: ExitStack) -> None:
        customer_id = None
        try:
            query = QueryParams(scope["query_string"])
            viewer = await endpoint.viewer(self._reader, Headers(scope=scope), query)
            viewer.require(auth.Scope.READ)
            ids = {name: endpoint.path_id(text) for name, text in scope["path_params"].items()}
            customer_id = viewer.customer_id
            stack.enter_context(self._sharing.one(customer_id))
            await self._limiter.admit(customer_id, costs.FILE_POINTS)
            working_for.set(customer_id)
            download = await self._open(viewer, ids, query)
        except Exception as error:  # noqa: BLE001 - the client gets the envelope for every error
            problem = problems.of(error, missing=Reason.OUTDIAL_NOT_FOUND)
            await endpoint.refuse(send, problem, endpoint.rate_headers(self._limiter, customer_id))
            return
        headers = {**download.headers, **endpoint.rate_headers(self._limiter, customer_id)}
        raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": 200, "headers": raw})
        if scope["method"] == HTTPMethod.GET:
            await _send_parts(
                self._counted(customer_id, self._sharing.parts(customer_id, download.parts)), receive, send
            )
        else:
            await send({"type": "http.response.body", "body": b""})

    async def _counted(self, customer_id: str, parts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The parts, with their points charged. A file that has begun is never refused."""
        left = 0
        async for part in parts:
            points, left = divmod(left + len(part), costs.SENT_BYTES_EACH)
            if points:
                self._limiter.charge(customer_id, points)
            yield part


async def _send_parts(parts: AsyncIterator[bytes], receive: Receive, send: Send) -> None:
    """Send what is read, no faster than the client reads, until the client disconnects.

    An error is raised: the server then closes the connection, so that the client sees that the file is incomplete.
    """
    leaving = asyncio.create_task(_disconnect(receive), name="export disconnect")
    try:
        async for part in parts:
            if leaving.done():
                return
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    finally:
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)


async def _disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
