"""The reference's REST calls: a second interface to the use-cases, without rules of its own."""

import asyncio
from collections import defaultdict

import orjson
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from app import imports
from app.rates import Limiter
from app.requests.arriving import Arriving
from app.requests.tokens import TokenReader
from app.rest import exporting, importing, openapi, page, rejects, summing, suppressing
from app.rest.calls import CALLS, PREFIX, Call
from app.rest.downloads import DownloadEndpoint, Sharing
from app.rest.endpoint import Endpoint, not_allowed, refuse, respond
from app.rest.problems import Problem, Reason
from app.turns import Lanes

DOCUMENT_PATH = f"{PREFIX}/openapi.json"
PAGE_PATH = f"{PREFIX}/docs"

__all__ = ["DOCUMENT_PATH", "PAGE_PATH", "routes"]


def routes(
    reader: TokenReader,
    lanes: Lanes,
    limiter: Limiter,
    *,
    arriving: Arriving,
    stopping: asyncio.Event,
    base_path: str = "",
) -> list[Route]:
    """Everything below /v1.0: the calls, which need a token, and their description, which needs none.

    Args:
        reader: of tokens.
        lanes: whose turn it is.
        limiter: who may ask for more.
        arriving: counts what clients send, over GraphQL too.
        stopping: set when the server begins to stop.
        base_path: the prefix of the server's paths, without a slash at its end.
    """
    by_path: defaultdict[str, dict[str, Call]] = defaultdict(dict)
    for call in CALLS:
        by_path[call.path][call.method] = call
    document, turns = openapi.document(base_path), imports.turns()
    files = Sharing(lanes)
    shown = _Static(
        page.render(document, f"{base_path}{DOCUMENT_PATH}").encode(),
        "text/html",
        {"Content-Security-Policy": page.CONTENT_SECURITY_POLICY},
    )
    return [
        Route(importing.PATH, importing.ImportEndpoint(reader, limiter, turns, stopping=stopping)),
        Route(suppressing.PATH, suppressing.SuppressionsImportEndpoint(reader, limiter, turns, stopping=stopping)),
        Route(rejects.PATH, DownloadEndpoint(rejects.open_rejects, reader, limiter, files)),
        *(
            Route(export.path, exporting.endpoint_of(export, reader, limiter, files))
            for export in (*exporting.EXPORTS, exporting.OF_SUPPRESSIONS, *summing.EXPORTS)
        ),
        *(Route(path, Endpoint(calls, reader, lanes, limiter, arriving)) for path, calls in by_path.items()),
        Route(DOCUMENT_PATH, _Static(orjson.dumps(document), "application/json")),
        Route(PAGE_PATH, shown),
        *(Route(path, _Nothing()) for path in (PREFIX, f"{PREFIX}/{{path:path}}")),
    ]


class _Static:
    """Answers that are the same for everybody."""

    def __init__(self, content: bytes, media_type: str, headers: dict[str, str] | None = None) -> None:
        self._content = content
        self._media_type = media_type
        self._headers = {"Cache-Control": "no-cache", **(headers or {})}

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        if scope["method"] not in {"GET", "HEAD"}:
            await refuse(send, not_allowed(scope["method"], {"GET": self}))
            return
        await respond(send, 200, self._content, media_type=self._media_type, headers=self._headers)


class _Nothing:
    """Any other path."""

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        await refuse(send, Problem(Reason.ROUTE_NOT_FOUND))
