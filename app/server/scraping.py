"""Who reads /metrics: on the usual port or on one of its own, and with a token if the settings have one."""

import asyncio
import hashlib
import secrets

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from app import bounds, metrics
from app.errors import NotFound, Unauthenticated
from app.graphql.transport import masking
from app.requests import tokens

PATH = "/metrics"


class MetricsEndpoint:
    """Answers with the metrics of all processes of this `serve`."""

    def __init__(self) -> None:
        self._rendering = asyncio.Lock()

    async def respond(self, request: Request) -> Response:
        if not _may_read(request.headers):
            problem = masking.render(Unauthenticated("A token is needed."))
            return JSONResponse({"errors": [problem]}, 401, {"WWW-Authenticate": "Bearer"})
        # Adding up the files of several workers takes milliseconds, so it runs outside the loop; one at a time, so that
        # however many ask, other work has the threads.
        async with self._rendering:
            content, media_type = await asyncio.to_thread(metrics.render)
        return Response(content, headers={"Content-Type": media_type})


def _may_read(headers: Headers) -> bool:
    expected = bounds.now().metrics_token
    if expected is None:
        return True
    given = tokens.bearer(headers)
    # of hashes, so that the time tells nothing of the length either
    return given is not None and secrets.compare_digest(_hash(given), _hash(expected.get_secret_value()))


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


class OwnPort:
    """Serves the metrics on a port of their own, and there alone. Nothing else is on that port.

    The port is that of the connection, and not what its Host header says.

    Args:
        app: gets everything else on the other ports.
        port: of the metrics.
    """

    def __init__(self, app: ASGIApp, port: int) -> None:
        self.app = app
        self._port = port

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        server = scope.get("server")
        is_own = server is not None and server[1] == self._port
        if is_own == (scope["path"] == PATH):
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close"})  # before it is accepted: the handshake gets 403
        else:
            problem = masking.render(NotFound("Nothing is at this address. Check the path and the port."))
            await JSONResponse({"errors": [problem]}, 404)(scope, receive, send)
