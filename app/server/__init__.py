"""The server: its routes, its start and its stop."""

import asyncio
import gc
import logging
import signal
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from types import FrameType
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute

from app import db, housekeeping, logs, metrics, rest, validation
from app.auth import TokenReader
from app.errors import BadUserInput, Expected, NotFound
from app.graphql.schema import schema
from app.graphql.schema.context import Context
from app.graphql.transport import masking
from app.graphql.transport.execution import Execution
from app.graphql.transport.http import HttpEndpoint
from app.graphql.transport.websocket import WebSocketEndpoint
from app.server import boundary
from app.server.page import Pages
from app.server.prefix import BasePath
from app.server.readiness import Readiness
from app.server.session import METHODS, SessionEndpoint
from app.settings import Settings, ensure_secret


def create() -> Starlette:
    """The application with the environment's settings, for `uvicorn --factory` and worker processes.

    Raises:
        SettingsError: a setting is wrong.
    """
    settings = ensure_secret(Settings.load())
    logs.configure(settings)
    return create_app(settings)


def create_app(settings: Settings) -> Starlette:
    """The application with these settings. It opens its database when it starts.

    Raises:
        SettingsError: the settings hold no key for tokens.
    """
    _silence_query_strings()
    validation.configure(default_region=settings.default_region)
    reader = TokenReader(settings)
    stopping = asyncio.Event()
    execution = Execution(schema, Context)
    base_path = settings.base_path
    pages = Pages(base_path=base_path)
    http = HttpEndpoint(execution, reader, page=pages.graphiql, stopping=stopping)
    websocket = WebSocketEndpoint(execution, reader, allowed_origins=settings.allowed_origins, stopping=stopping)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        db.claim(settings.database_url)
        await db.connect(settings.database_url, pool_size=settings.database_pool_size)
        try:
            keeping = asyncio.create_task(
                housekeeping.run(
                    event_retention_hours=settings.event_retention_hours,
                    import_retention_days=settings.import_retention_days,
                ),
                name="housekeeping",
            )
            # All present objects live as long as the process, so the garbage collector can skip them.
            gc.collect()
            gc.freeze()
            with _set_by_signals(stopping):
                yield
            stopping.set()
            keeping.cancel()
            with suppress(asyncio.CancelledError):
                await keeping
        finally:
            await db.close()
            db.give_back(settings.database_url)

    app = Starlette(
        routes=[
            Route("/graphql", http),
            WebSocketRoute("/graphql", websocket),
            *pages.routes(),
            Route("/session", SessionEndpoint(reader, base_path=base_path).respond, methods=METHODS),
            *rest.routes(reader, stopping=stopping, base_path=base_path),
            Route("/healthz", _health),
            Route("/readyz", Readiness().respond),
            Route("/metrics", _metrics),
        ],
        middleware=[
            *([Middleware(BasePath, base_path)] if base_path else []),
            *boundary.middleware(settings.allowed_origins),
        ],
        exception_handlers={HTTPException: _problem},
        lifespan=lifespan,
    )
    # For a path with a slash at its end, Starlette would redirect, behind a TLS proxy even to http://: a client would
    # send the body and the token again unencrypted. Such a path is 404, like any other unknown path.
    app.router.redirect_slashes = False
    return app


async def _health(_request: Request) -> Response:
    return JSONResponse({"alive": True})


async def _metrics(_request: Request) -> Response:
    # Adding up the files of several workers takes milliseconds, so it runs outside the loop.
    content, media_type = await asyncio.to_thread(metrics.render)
    return Response(content, headers={"Content-Type": media_type})


async def _problem(request: Request, error: Exception) -> Response:
    """The router's errors: unknown path or method."""
    if not isinstance(error, HTTPException):
        raise error
    problem: Expected = BadUserInput(error.detail)
    if error.status_code == 404:
        has_slash = request.scope["path"].endswith("/")
        problem = NotFound(
            "Nothing is at this address. Check the path." + (" Leave out the slash at the end of the path." * has_slash)
        )
    return JSONResponse({"errors": [masking.render(problem)]}, error.status_code, error.headers)


@contextmanager
def _set_by_signals(stopping: asyncio.Event) -> Iterator[None]:
    """Set `stopping` when the process gets SIGTERM or SIGINT.

    uvicorn then closes WebSockets, but waits for streams, which do not end by themselves. It stops the lifespan only
    after that.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # Python handles signals only in the main thread
        return
    loop = asyncio.get_running_loop()
    before: dict[int, Any] = {}

    def handle(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(stopping.set)
        if callable(before[number]):
            before[number](number, frame)

    for ending in (signal.SIGTERM, signal.SIGINT):
        before[ending] = signal.signal(ending, handle)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _silence_query_strings() -> None:
    """Keep uvicorn's own lines about requests out of the log: they have the query string, which may have a token."""
    for name in ("uvicorn.access", "uvicorn.error"):
        logger = logging.getLogger(name)
        if _says_no_url not in logger.filters:
            logger.addFilter(_says_no_url)


def _says_no_url(record: logging.LogRecord) -> bool:
    # Below INFO, websockets logs handshakes and frames.
    return (
        record.name != "uvicorn.access" and record.levelno >= logging.INFO and '"WebSocket %s"' not in str(record.msg)
    )
