"""What happens to every request and socket: its id, security headers, metrics, one log line, CORS, a 500 for a bug."""

import asyncio
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app import ids, logs, metrics, tracing
from app.graphql.transport import masking

REQUEST_ID_HEADER = "X-Request-Id"
PATH_CHARACTERS_MAX = 200
"""Limit for one log line."""
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_CLOSED = "the handler is closed"
"""In what uvloop raises if something is written to a connection that is cut."""
_NO_ROUTE = "none"
_QUIET_ROUTES = {"/healthz", "/readyz", "/metrics"}
"""Requested by machines every few seconds."""
_SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
_SECURITY_PAIRS = [(name.lower().encode(), value.encode()) for name, value in _SECURITY_HEADERS.items()]
_VARIES = (b"vary", b"Origin")
_REQUEST_ID_NAME = REQUEST_ID_HEADER.lower().encode()
_PREFLIGHT_SECONDS = 600
_EXPOSED_HEADERS = [
    REQUEST_ID_HEADER,
    *("Allow", "Content-Disposition", "Location", "RateLimit", "RateLimit-Policy", "Retry-After", "WWW-Authenticate"),
]
"""Response headers that a page of an allowed origin may read, besides those that any page may."""

log = structlog.get_logger("outdial.access")


def middleware(allowed_origins: Sequence[str]) -> list[Middleware]:
    """All middleware, the outermost first.

    Args:
        allowed_origins: whose pages may call the server with the viewer's cookie, and read the answers.
    """
    return [
        Middleware(Boundary),
        Middleware(
            Cors,
            allow_origins=allowed_origins,
            allow_credentials=True,
            allow_private_network=True,  # the server may be in a private network and the page outside
            allow_methods=["GET", "POST", "PUT", "DELETE"],
            # Any header: clients and tracers send their own, and a list would never be complete. A list would protect
            # nothing: an allowed origin may send a token and JSON, and this server trusts no header of a proxy.
            allow_headers=["*"],
            expose_headers=_EXPOSED_HEADERS,
            max_age=_PREFLIGHT_SECONDS,
        ),
        Middleware(Faults),  # inside of CORS: without its headers no page could read a 500
    ]


class Boundary:
    """Gives each request its id and its security headers, and logs how it ended."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        given = dict(scope["headers"]).get(_REQUEST_ID_NAME, b"").decode("latin-1")
        is_own = _REQUEST_ID.fullmatch(given) is None
        request_id = ids.new() if is_own else given
        token = logs.request_id.set(request_id)
        try:
            is_http = scope["type"] == "http"
            served = _Request(scope, send, request_id, is_own) if is_http else _Socket(scope, send)
            await served.serve(self.app, receive)
        finally:
            logs.request_id.reset(token)


@dataclass(slots=True)
class _Request:
    scope: Scope
    outer_send: Send
    request_id: str
    is_own_id: bool
    """Whether the id is made here."""
    status: int = 0
    is_stream: bool = False
    first_byte_seconds: float = 0.0
    started_at: float = 0.0
    span: tracing.RequestSpan | None = None

    async def serve(self, app: ASGIApp, receive: Receive) -> None:
        self.started_at = time.perf_counter()
        if tracing.is_on() and not self.scope["path"].endswith(tuple(_QUIET_ROUTES)):
            own_id = self.request_id if self.is_own_id else None
            self.span = tracing.RequestSpan(self.scope["method"], self.scope["headers"], own_id)
        try:
            await app(self.scope, receive, self.send)
        finally:
            self._record()
            if self.span is not None:
                self._end_span()
                self.span.leave()

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.first_byte_seconds = time.perf_counter() - self.started_at
            self._add_headers(message)
            if self.is_stream:  # it lasts as long as its client listens
                self._end_span()
        try:
            await self.outer_send(message)
        except RuntimeError as error:
            if _CLOSED not in str(error):
                raise
            # The connection was cut in this very turn of the loop. uvicorn learns of it in the next.
            await asyncio.sleep(0)

    def _end_span(self) -> None:
        if self.span is not None:
            route = _route(self.scope)
            self.span.end(None if route == _NO_ROUTE else route, self.status)

    def _add_headers(self, message: Message) -> None:
        # The pairs themselves: MutableHeaders goes through all of them for each name.
        given = [pair for pair in message.get("headers", ()) if pair[0] != _REQUEST_ID_NAME]
        names = dict(given)
        self.is_stream = names.get(b"content-type", b"").startswith(b"text/event-stream")
        given.append((_REQUEST_ID_NAME, self.request_id.encode()))
        given += [pair for pair in _SECURITY_PAIRS if pair[0] not in names]
        message["headers"] = given

    def _record(self) -> None:
        seconds = time.perf_counter() - self.started_at
        route = _route(self.scope)
        method: str = self.scope["method"]
        if self.status:
            # A stream lasts as long as its client listens, so only the time to its start is measured.
            metrics.observe_request(method, route, self.status, self.first_byte_seconds if self.is_stream else seconds)
        if not logs.writes_requests():
            return
        path, status, milliseconds = _path(self.scope), self.status or "disconnected", round(seconds * 1_000, 1)
        if route in _QUIET_ROUTES:
            log.debug("request", method=method, path=path, status=status, milliseconds=milliseconds)
        else:
            own_id = self.request_id if self.is_own_id else None
            logs.log_request(method, path, status, milliseconds, own_id=own_id)


@dataclass(slots=True)
class _Socket:
    scope: Scope
    outer_send: Send
    is_open: bool = False
    close_code: int | None = None
    """None if the client closed it."""

    async def serve(self, app: ASGIApp, receive: Receive) -> None:
        started_at = time.perf_counter()
        try:
            await app(self.scope, receive, self.send)
        finally:
            if self.is_open:
                metrics.open_sockets.dec()
                metrics.closed_sockets.labels(str(self.close_code or "client")).inc()
            seconds = round(time.perf_counter() - started_at, 3)
            log.info("socket", path=_path(self.scope), close_code=self.close_code, seconds=seconds)

    async def send(self, message: Message) -> None:
        if message["type"] == "websocket.accept":
            self.is_open = True
            metrics.open_sockets.inc()
        elif message["type"] == "websocket.close":
            self.close_code = message.get("code", 1000)
        await self.outer_send(message)


class Cors(CORSMiddleware):
    """Starlette's. A request without an Origin, as all but browsers send, only gets its Vary, without the detours."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or b"origin" in dict(scope["headers"]):
            await super().__call__(scope, receive, send)
            return

        async def send_on(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), _VARIES]
            await send(message)

        await self.app(scope, receive, send_on)


class Faults:
    """Answers 500 if the application raises. The bug is logged, and the client gets its id."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        is_begun = False

        async def send_on(message: Message) -> None:
            nonlocal is_begun
            is_begun = True
            await send(message)

        try:
            await self.app(scope, receive, send_on)
        except Exception as error:  # noqa: BLE001 - the client gets an answer for every error
            rendered = masking.render(error)
            if not is_begun:  # otherwise the server closes the connection, and the client sees the error by that
                await JSONResponse({"errors": [rendered]}, 500)(scope, receive, send)


class Shortcut:
    """Leads to one route past the router and its middleware, which take a twentieth of a small query.

    Args:
        app: gets all other requests.
        route: whose endpoint is an ASGI application for all methods.
    """

    def __init__(self, app: ASGIApp, route: Route) -> None:
        self.app = app
        self._route = route

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == self._route.path and not scope.get("root_path"):
            scope["route"] = self._route
            await self._route.app(scope, receive, send)
        else:
            await self.app(scope, receive, send)


def _route(scope: Scope) -> str:
    """The route's pattern. Never the path: each path would be a time series."""
    return getattr(scope.get("route"), "path", _NO_ROUTE)


def _path(scope: Scope) -> str:
    """The path as received: escaped, so that it cannot break a log line, and without the query and its token."""
    raw = scope.get("raw_path") or scope["path"].encode()
    path: str = raw.decode("ascii", errors="backslashreplace").partition("?")[0]
    return logs.shown_path(path[:PATH_CHARACTERS_MAX])
