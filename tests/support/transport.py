"""The transports with a small schema, served by a real uvicorn on a free port of 127.0.0.1."""

import asyncio
import json
import threading
import time
from collections.abc import AsyncGenerator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Self

import strawberry
import uvicorn
import websockets
from starlette.applications import Starlette
from starlette.responses import HTMLResponse
from starlette.routing import Route, WebSocketRoute
from websockets.asyncio.client import ClientConnection

from app import clock
from app.auth import Scope, Viewer
from app.errors import NotFound, Unauthenticated, Unavailable
from app.graphql.transport.execution import Execution
from app.graphql.transport.http import HttpEndpoint
from app.graphql.transport.websocket import SUBPROTOCOL, WebSocketEndpoint
from app.requests.arriving import Arriving

ORIGIN = "https://app.example.com"
LIFETIME_SECONDS = 3600.0


class Context:
    """Counts what the execution asks of it."""

    def __init__(self, viewer: Viewer) -> None:
        self.viewer = viewer
        self.prepared = 0
        self.renewed = 0
        self.refreshed = 0

    async def prepare(self, query_text: str) -> None:
        if "prepareFails" in query_text:
            raise Unavailable("The database is away.")
        self.prepared += 1

    async def refresh(self) -> None:
        self.refreshed += 1

    async def outlast(self) -> bool:
        return False

    def renew(self) -> None:
        self.renewed += 1


@dataclass
class Watch:
    """What the resolvers have seen."""

    open: int = 0
    opened: int = 0
    produced: int = 0
    finished: list[str] = field(default_factory=list)
    contexts: list[Context] = field(default_factory=list)


watch = Watch()


@strawberry.type
class Item:
    name: str = "item"

    @strawberry.field
    def items(self, first: int | None = None, last: int | None = None) -> "list[Item]":
        return [Item() for _ in range(min(first or last or 50, 3))]

    @strawberry.field
    def child(self) -> "Item":
        return Item()


@strawberry.input
class RowsInput:
    rows: list[int]
    limit: int = 1


@strawberry.type
class Query:
    @strawberry.field
    def hello(self, name: str = "world") -> str:
        return f"hello {name}"

    @strawberry.field
    def item(self) -> Item:
        return Item()

    @strawberry.field
    def items(self, first: int | None = None, last: int | None = None) -> list[Item]:
        return [Item() for _ in range(min(first or last or 50, 3))]

    @strawberry.field
    def several(self, ids: list[int]) -> list[Item]:
        return [Item() for _ in ids]

    @strawberry.field
    def missing(self) -> str | None:
        raise NotFound("No such thing.")

    @strawberry.field
    async def bug(self) -> str | None:
        raise ValueError("postgresql://user:secret@host/name")

    @strawberry.field
    def wrong_number(self) -> int | None:
        return "secret text"  # type: ignore[return-value]

    @strawberry.field
    def prepare_fails(self) -> str:
        return "never"

    @strawberry.field
    async def wait(self, seconds: float) -> str:
        watch.open += 1
        try:
            await asyncio.sleep(seconds)
        finally:
            watch.open -= 1
        return "done"

    @strawberry.field
    def context(self, info: strawberry.Info[Context, None]) -> str:
        watch.contexts.append(info.context)
        return info.context.viewer.subject


@strawberry.type
class Mutation:
    @strawberry.mutation
    def write(self, input: RowsInput) -> Item:  # noqa: A002
        return Item(name=f"{len(input.rows)} rows")


@strawberry.type
class Event:
    number: int
    text: str = ""

    @strawberry.field
    def renewed(self, info: strawberry.Info[Context, None]) -> int:
        return info.context.renewed


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def count(
        self, to: int = 3, pause: float = 0.0, size: int = 0, fail_at: int = -1
    ) -> AsyncGenerator[Event, None]:
        watch.open += 1
        watch.opened += 1
        try:
            for number in range(to):
                if number == fail_at:
                    raise ValueError("a secret of the source")
                watch.produced += 1
                yield Event(number=number, text="x" * size)
                await asyncio.sleep(pause)
        finally:
            watch.open -= 1

    @strawberry.subscription
    async def refused(self) -> AsyncGenerator[Event, None]:
        raise NotFound("No such outdial.")
        yield

    @strawberry.subscription
    async def polling(self) -> AsyncGenerator[Event, None]:
        """Waits like one that follows the log, but its time limits end all the time."""
        watch.open += 1
        watch.opened += 1
        try:
            yield Event(number=0)
            while True:
                with suppress(TimeoutError):
                    async with asyncio.timeout(0):
                        await asyncio.Event().wait()
        finally:
            watch.open -= 1

    @strawberry.subscription
    async def stubborn(self) -> AsyncGenerator[Event, None]:
        """Ends slowly, like one with a shielded transaction."""
        watch.open += 1
        try:
            yield Event(number=0)
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.2)
            watch.open -= 1


schema = strawberry.Schema(Query, Mutation, Subscription)


class Reader:
    """Tokens whose text decides the result: good, bad, away, or `for:<seconds>`."""

    async def viewer(self, token: str) -> Viewer:
        lifetime = LIFETIME_SECONDS
        if token == "away":
            raise Unavailable("The keys cannot be fetched.")
        if token.startswith("for:"):
            lifetime = float(token.removeprefix("for:"))
        elif not token.startswith("good"):
            raise Unauthenticated("The token is not a valid JWT.")
        return make_viewer(token, clock.now() + timedelta(seconds=lifetime))


def make_viewer(subject: str = "good", expires_at: datetime | None = None) -> Viewer:
    return Viewer("018f0000-0000-7000-8000-000000000000", subject, frozenset(Scope), expires_at)


class Served:
    """The transports in their own thread."""

    def __init__(self, **options: Any) -> None:
        watch.__init__()  # type: ignore[misc]
        self.stopping = asyncio.Event()
        execution = Execution(schema, Context)
        self.arriving = Arriving()
        page = HTMLResponse("<title>the page</title>")
        http = HttpEndpoint(execution, Reader(), page=page, arriving=self.arriving, stopping=self.stopping)
        self.endpoint = WebSocketEndpoint(
            execution, Reader(), allowed_origins=[ORIGIN], arriving=self.arriving, stopping=self.stopping
        )
        app = Starlette(routes=[Route("/graphql", http), WebSocketRoute("/graphql", self.endpoint)])
        settings: dict[str, Any] = {
            "host": "127.0.0.1",
            "port": 0,
            "log_level": "critical",
            "ws": "websockets-sansio",
            "lifespan": "off",
            "timeout_graceful_shutdown": 5,
            **options,
        }
        self.server = uvicorn.Server(uvicorn.Config(app, **settings))
        self.loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        async def serve() -> None:
            self.loop = asyncio.get_running_loop()
            await self.server.serve()
            for left in list(self.server.server_state.connections):
                left.transport.abort()  # a client that reads nothing holds its connection, which the loop would leak
            await asyncio.sleep(0.01)

        asyncio.run(serve())

    @property
    def port(self) -> int:
        port: int = self.server.servers[0].sockets[0].getsockname()[1]
        return port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/graphql"

    def connect(self, path: str = "/graphql", **options: Any) -> websockets.connect:
        options.setdefault("subprotocols", [SUBPROTOCOL])
        return websockets.connect(f"ws://127.0.0.1:{self.port}{path}", **options)

    def tasks(self) -> list[str]:
        """The names of the transports' running tasks."""
        assert self.loop is not None
        names = [task.get_name() for task in asyncio.all_tasks(self.loop)]
        return [name for name in names if name.startswith(("websocket", "sse"))]

    def on_loop(self, call: Any) -> None:
        assert self.loop is not None
        self.loop.call_soon_threadsafe(call)

    def __enter__(self) -> Self:
        self._thread.start()
        deadline = time.monotonic() + 10
        while not self.server.started:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.server.should_exit = True
        self._thread.join(20)
        assert not self._thread.is_alive()


async def send(socket: ClientConnection, **message: Any) -> None:
    await socket.send(json.dumps(message))


async def receive(socket: ClientConnection, seconds: float = 10) -> dict[str, Any]:
    async with asyncio.timeout(seconds):
        message: dict[str, Any] = json.loads(await socket.recv())
        return message


async def initialise(socket: ClientConnection, token: str = "good") -> None:
    await send(socket, type="connection_init", payload={"Authorization": f"Bearer {token}"})
    assert await receive(socket) == {"type": "connection_ack"}


async def subscribe(socket: ClientConnection, operation_id: str, query: str, **parameters: Any) -> None:
    await send(socket, type="subscribe", id=operation_id, payload={"query": query, **parameters})


async def closed(socket: ClientConnection, seconds: float = 10) -> tuple[int | None, str | None]:
    """The server's close code and reason, after any other messages."""
    with suppress(websockets.ConnectionClosed):
        async with asyncio.timeout(seconds):
            while True:
                await socket.recv()
    return socket.close_code, socket.close_reason


async def eventually(condition: Any, seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - it is about a server in another thread
            await asyncio.sleep(0.01)
