"""Files that are sent while they are read: exports, and the rejected rows of an import."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from http import HTTPMethod
from urllib.parse import quote

from starlette.datastructures import Headers, QueryParams
from starlette.types import Receive, Scope, Send

from app import auth
from app.auth import Viewer
from app.requests.tokens import TokenReader
from app.rest import endpoint, problems
from app.rest.problems import Reason

CSV, NDJSON = "csv", "ndjson"
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


class DownloadEndpoint:
    """The ASGI application that sends one kind of file. It needs the scope READ.

    Args:
        open_: opens the file for a path and a query. Its errors are answered like those of any other call.
        reader: of tokens.
    """

    def __init__(
        self, open_: Callable[[Viewer, dict[str, str], QueryParams], Awaitable[Download]], reader: TokenReader
    ) -> None:
        self._open = open_
        self._reader = reader

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] not in {HTTPMethod.GET, HTTPMethod.HEAD}:
            await endpoint.refuse(send, endpoint.not_allowed(scope["method"], {HTTPMethod.GET: self}))
            return
        try:
            query = QueryParams(scope["query_string"])
            viewer = await endpoint.viewer(self._reader, Headers(scope=scope), query)
            viewer.require(auth.Scope.READ)
            ids = {name: endpoint.path_id(text) for name, text in scope["path_params"].items()}
            download = await self._open(viewer, ids, query)
        except Exception as error:  # noqa: BLE001 - the client gets the envelope for every error
            await endpoint.refuse(send, problems.of(error, missing=Reason.OUTDIAL_NOT_FOUND))
            return
        raw = [(name.encode(), value.encode()) for name, value in download.headers.items()]
        await send({"type": "http.response.start", "status": 200, "headers": raw})
        if scope["method"] == HTTPMethod.GET:
            await _send_parts(download.parts, receive, send)
        else:
            await send({"type": "http.response.body", "body": b""})


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
