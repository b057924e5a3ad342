"""The server: its routes, its start and its stop."""

import asyncio
import gc
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute

from app import bounds, db, housekeeping, logs, memory, rest, tracing, validation
from app.auth import TokenReader
from app.errors import BadUserInput, Expected, NotFound
from app.graphql.schema import schema
from app.graphql.schema.context import Context
from app.graphql.transport import masking
from app.graphql.transport.execution import Execution
from app.graphql.transport.http import HttpEndpoint
from app.graphql.transport.websocket import WebSocketEndpoint
from app.rates import Limiter
from app.requests.arriving import Arriving
from app.server import boundary, scraping, signals
from app.server.page import Pages
from app.server.prefix import BasePath
from app.server.readiness import Readiness
from app.server.rereading import Rereading
from app.server.scraping import MetricsEndpoint, OwnPort
from app.server.session import METHODS, SessionEndpoint
from app.settings import Settings, ensure_secret
from app.turns import Lanes

COLLECTED_OBJECTS = 10_000
"""New objects from one garbage collection to the next. By default it is 700: telling 1,000 subscribers of one change
makes more, and collecting took a sixth of the time."""


def create() -> Starlette:
    """The application with the environment's settings, for `uvicorn --factory` and worker processes.

    Raises:
        SettingsError: a setting is wrong.
    """
    settings = ensure_secret(Settings.load())
    logs.configure(settings)
    return create_app(settings, is_read_again=True)


def create_app(settings: Settings, *, is_read_again: bool = False) -> Starlette:
    """The application with these settings. It opens its database when it starts.

    Args:
        settings: of the server.
        is_read_again: whether SIGHUP lets it read the environment's settings and their file again.

    Raises:
        SettingsError: the settings hold no key for tokens, or tracing cannot begin.
    """
    if settings.tracing == "on":
        tracing.check()
    _silence_query_strings()
    validation.configure(default_region=settings.default_region)
    bounds.configure(settings)
    reader = TokenReader(settings)
    again = Rereading(settings, reader) if is_read_again else None
    stopping = asyncio.Event()
    lanes = Lanes()
    limiter = Limiter()
    execution = Execution(
        schema,
        partial(Context, limiter=limiter),
        is_compiled=settings.compiled == "on",
        lanes=lanes,
        limiter=limiter,
    )
    base_path = settings.base_path
    pages = Pages(base_path=base_path)
    arriving = Arriving()
    http = HttpEndpoint(execution, reader, page=pages.graphiql, arriving=arriving, stopping=stopping)
    websocket = WebSocketEndpoint(
        execution, reader, allowed_origins=settings.allowed_origins, arriving=arriving, stopping=stopping
    )

    graphql = Route("/graphql", http)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        memory.share_heap()
        db.claim(settings.database_url)
        await db.connect(settings.database_url, pool_size=settings.database_pool_size)
        try:
            if settings.tracing == "on":
                tracing.start()
            keeping = asyncio.create_task(
                housekeeping.run(
                    event_retention_hours=settings.event_retention_hours,
                    import_retention_days=settings.import_retention_days,
                ),
                name="housekeeping",
            )
            tidying = asyncio.create_task(memory.give_back(), name="memory")
            # All present objects live as long as the process, so the garbage collector can skip them.
            gc.collect()
            gc.freeze()
            gc.set_threshold(COLLECTED_OBJECTS, *gc.get_threshold()[1:])
            with signals.setting(stopping), signals.calling(again), signals.watching_parent():
                yield
            stopping.set()
            for task in (keeping, tidying):
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
            await limiter.close()
        finally:
            await tracing.stop()
            await db.close()
            db.give_back(settings.database_url)

    app = Starlette(
        routes=[
            graphql,
            WebSocketRoute("/graphql", websocket),
            *pages.routes(),
            Route("/session", SessionEndpoint(reader, base_path=base_path).respond, methods=METHODS),
            *rest.routes(reader, lanes, limiter, arriving=arriving, stopping=stopping, base_path=base_path),
            Route("/healthz", _health),
            Route("/readyz", Readiness().respond),
            Route(scraping.PATH, MetricsEndpoint().respond),
        ],
        middleware=[
            *([Middleware(BasePath, base_path)] if base_path else []),
            *boundary.middleware(settings.allowed_origins),
            *([Middleware(OwnPort, settings.metrics_port)] if settings.metrics_port is not None else []),
            Middleware(boundary.Shortcut, graphql),
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
