"""GraphQL over WebSocket: https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md (graphql-transport-ws)."""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import orjson
import structlog
from graphql import OperationType
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from app import bounds, clock
from app.auth import Viewer
from app.errors import BadUserInput, LimitExceeded, RateLimited, Unauthenticated, Unavailable
from app.graphql.transport import masking
from app.graphql.transport.answers import UNCOUNTED_CHARACTERS_MAX
from app.graphql.transport.closing import Close, CloseCode, End, operation_id, optional_object
from app.graphql.transport.execution import Execution
from app.graphql.transport.masking import NotExecuted
from app.graphql.transport.operations import Operation
from app.requests import decoding, tokens
from app.requests.arriving import Arriving, Share
from app.requests.large import LARGE_JSON_BYTES
from app.requests.tokens import TokenReader
from app.turns import Allowance

SUBPROTOCOL = "graphql-transport-ws"
OFFER = "outdial.offer"
DRAIN = "outdial.drain"
TRUST = "outdial.trust"
USED = "outdial.used"
"""The extensions of the scope that send without waiting, wait until that is sent, let long messages in, and say that
the text of the last one is gone: see `app.server.connections`."""
STOP = "outdial.stop"
"""The extension by which the server says that it stops, and leaves it to this module to end the socket."""
INIT_SECONDS_MAX = 10.0
INIT_DEPTH_MAX = 20
INIT_VALUES_MAX = 200
"""Of messages before `connection_ack`. Their bytes are limited by a setting."""
OPERATION_END_SECONDS_MAX = 30.0
"""A stopped operation that has not ended after this time is cancelled again."""
SEND_SECONDS_MAX = 30.0
"""A client that reads nothing for this time is dropped. It catches up from its last cursor when it reconnects."""
CLOSE_SECONDS_MAX = 1.0
STOP_SECONDS_MAX = 9.5
"""After SIGTERM, queries and mutations have this long to finish. After 10 seconds the server cuts everything: by then
the socket has its close frame."""
STOP_LOOK_SECONDS = 0.1
"""While the server stops, sockets that have answered everything are ended after this time."""
OPERATIONS_MAX = 100
"""At the same time on one socket."""
ENDING_OPERATIONS_MAX = 100
"""If more stopped operations are still ending, the socket is not read until some have ended."""
REASON_BYTES_MAX = 123
"""RFC 6455: a control frame has 125 bytes, two of them for the code."""

log = structlog.get_logger("outdial.graphql")


class _Phase(IntEnum):
    """What an operation does. The values of an enum take no memory for each operation."""

    RUNNING = 0
    """It will be answered, also while the server stops."""
    FOLLOWING = 1
    """It has no end of its own: a subscription."""
    STOPPED = 2
    """The client has stopped it."""


class WebSocketEndpoint:
    """The ASGI application of the WebSocket.

    Args:
        execution: runs the operations.
        reader: of tokens.
        allowed_origins: from which a cookie is accepted, besides the server's own.
        arriving: counts what clients send, over HTTP too.
        stopping: is set when the server begins to stop; ends the sockets.
    """

    def __init__(
        self,
        execution: Execution,
        reader: TokenReader,
        *,
        allowed_origins: Collection[str],
        arriving: Arriving,
        stopping: asyncio.Event,
    ) -> None:
        self.execution = execution
        self.reader = reader
        self.allowed_origins = frozenset(allowed_origins)
        self.arriving = arriving
        self.stopping = stopping
        self.sockets = Allowance("sockets", lambda: bounds.now().customer_sockets_max)
        self._open: set[_Connection] = set()
        self._stop: asyncio.Task[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        socket = WebSocket(scope, receive, send)
        scope.setdefault("extensions", {})[STOP] = {"call": self.stopping.set}
        try:
            if SUBPROTOCOL not in scope["subprotocols"]:
                await socket.accept()  # a client sees a close code only after this
                await socket.close(CloseCode.SUBPROTOCOL_NOT_ACCEPTABLE, "Only graphql-transport-ws is supported")
                return
            await socket.accept(SUBPROTOCOL)
            await self._serve(_Connection(self, socket))
        except WebSocketDisconnect:
            pass

    async def _serve(self, connection: "_Connection") -> None:
        if self._stop is None:
            self._stop = asyncio.create_task(self._end_all(), name="websocket stop")
        self._open.add(connection)
        try:
            await connection.run()
        finally:
            self._open.discard(connection)
            if not self._open and self._stop is not None:
                self._stop.cancel()
                self._stop = None

    async def _end_all(self) -> None:
        """End all sockets when the server stops: one task for all, because each takes 1 KiB."""
        await self.stopping.wait()
        clock = asyncio.get_running_loop().time
        deadline = clock() + STOP_SECONDS_MAX
        while True:
            is_late = clock() >= deadline
            for connection in self._open:
                if is_late or not connection.is_answering():
                    connection.end(End(CloseCode.SERVICE_RESTART, "The server is stopping"))
            await asyncio.sleep(STOP_LOOK_SECONDS)


@dataclass(slots=True, eq=False)
class _Connection:
    """One socket. Each operation runs in its own task; they share only the sending side."""

    endpoint: WebSocketEndpoint
    socket: WebSocket
    viewer: Viewer | None = None
    initialised: bool = False
    is_over: bool = False
    operations: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    """Operations that the client still gets messages of, by the client's id."""
    tasks: dict[asyncio.Task[None], _Phase] = field(default_factory=dict)
    """These, and those that are still ending."""
    sending: asyncio.Lock = field(default_factory=asyncio.Lock)
    limit: asyncio.Timeout = field(init=False)
    """When the socket ends whatever the client does. A task or a future for this would take more memory."""
    ending: End | None = None
    """How it ends then."""
    offer: Callable[..., bool] = field(init=False)
    """Sends a message, given in parts, at once if none waits, and returns whether it did. On other servers: False."""
    drain: Callable[[], Awaitable[None]] = field(init=False)
    """Waits until most of what was sent has left the process. On other servers: not at all."""
    trust: Callable[..., object] = field(init=False)
    """Lets the client send long messages, which are counted. On other servers it always may, and nothing is counted."""
    used: Callable[..., object] = field(init=False)
    """Says that the message's text is gone: what was made of it is counted by itself."""

    def __post_init__(self) -> None:
        extensions = self.socket.scope.get("extensions", {})
        self.offer = extensions.get(OFFER, {}).get("call", _refuse)
        self.drain = extensions.get(DRAIN, {}).get("call", _nothing)
        self.trust = extensions.get(TRUST, {}).get("call", _refuse)
        self.used = extensions.get(USED, {}).get("call", _refuse)

    async def run(self) -> None:
        """Serve the socket until either side ends it."""
        end: End | None = None
        self.ending = End(CloseCode.TIMEOUT, "connection_init was not sent in time")
        self.limit = asyncio.timeout(INIT_SECONDS_MAX)
        try:
            async with self.limit:
                await self._read()
        except Close as close:
            end = close.end
        except WebSocketDisconnect:
            pass
        except Exception as error:  # noqa: BLE001 - a bug; the log has it, the client gets a close frame
            end = self.ending
            if not (isinstance(error, TimeoutError) and self.limit.expired()):
                masking.render(error)
                end = End(CloseCode.INTERNAL_ERROR, "Internal error")
        finally:
            self.is_over = True
            if self.viewer is not None:
                self.endpoint.sockets.give_back(self.viewer.customer_id)
            await self._stop_all()
        if end is not None:
            # A client that reads nothing would delay this; the server drops its connection anyway.
            with suppress(TimeoutError, WebSocketDisconnect, RuntimeError):
                async with asyncio.timeout(CLOSE_SECONDS_MAX):
                    await self.socket.close(end.code, end.reason.encode()[:REASON_BYTES_MAX].decode(errors="ignore"))

    async def _stop_all(self) -> None:
        """End the operations. It returns when none is left."""
        self.operations.clear()
        for task, phase in self.tasks.items():
            if phase is not _Phase.STOPPED:
                task.cancel()
        while self.tasks:
            _, left = await asyncio.wait(list(self.tasks), timeout=OPERATION_END_SECONDS_MAX)
            for task in left:
                log.warning("operation_does_not_end", task=task.get_name())
                task.cancel()

    def is_answering(self) -> bool:
        """Whether a query or a mutation is in progress that the client waits for."""
        return _Phase.RUNNING in self.tasks.values()

    def end(self, end: End) -> None:
        """End the socket now."""
        self._end_in(0, end)

    def _end_in(self, seconds: float, end: End | None) -> None:
        if not self.is_over and not self.limit.expired():
            self.ending = end
            self.limit.reschedule(None if end is None else asyncio.get_running_loop().time() + max(seconds, 0))

    async def _read(self) -> None:
        while True:
            message = await self.socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            text = message.get("text")
            del message
            size = 0 if text is None else len(text)
            if self.viewer is None or text is None or size <= LARGE_JSON_BYTES:
                decoded = self._decode(text)
            else:
                decoded = await self._decode_large(text, self.viewer)
            decoded_bytes = 0 if text is None else decoding.decoded_bytes(text)
            del text  # nothing of a message is held while the next one is awaited
            await self._handle(decoded, size, decoded_bytes)
            del decoded

    async def _decode_large(self, text: str, viewer: Viewer) -> dict[str, Any]:
        try:
            decoded: dict[str, Any] = await self.endpoint.execution.reading.decode(text, viewer, self._decode)
        except NotExecuted as refused:
            raise Close(CloseCode.TRY_AGAIN_LATER, refused.errors[0]["message"]) from None
        return decoded

    def _decode(self, text: str | None) -> dict[str, Any]:
        if text is None:
            raise Close(CloseCode.BAD_REQUEST, "Messages must be text, not binary")
        try:
            message = (
                decoding.decode(text, depth_max=INIT_DEPTH_MAX, values_max=INIT_VALUES_MAX)
                if self.viewer is None
                else decoding.decode(text)
            )
        except (BadUserInput, LimitExceeded) as error:
            raise Close(CloseCode.BAD_REQUEST, error.message) from None
        if not isinstance(message, dict):
            raise Close(CloseCode.BAD_REQUEST, "A message must be a JSON object")
        return message

    async def _handle(self, message: dict[str, Any], size: int, decoded_bytes: int) -> None:
        match message.get("type"):
            case "connection_init":
                await self._initialise(optional_object(message, "payload"))
            case "ping":
                payload = optional_object(message, "payload")
                # A long one is not sent back: the server would hold it for as long as the client does not read.
                is_echoed = payload is not None and size <= bounds.now().socket_init_bytes_max
                await self._send({"type": "pong", "payload": payload} if is_echoed else {"type": "pong"})
            case "pong":
                optional_object(message, "payload")
            case "subscribe":
                # popped: while the answer to a refused one waits for the client, nobody holds what it has sent
                await self._subscribe(operation_id(message), message.pop("payload", None), decoded_bytes)
            case "complete":
                await self._stop(operation_id(message))
            case _:
                raise Close(CloseCode.BAD_REQUEST, "The message's type is not one that a client sends")

    async def _initialise(self, payload: dict[str, Any] | None) -> None:
        if self.initialised:
            raise Close(CloseCode.TOO_MANY_INITIALISATION_REQUESTS, "Too many initialisation requests")
        self.initialised = True
        socket, endpoint = self.socket, self.endpoint
        try:
            token = tokens.socket_token(
                socket.headers, socket.query_params, payload or {}, allowed_origins=endpoint.allowed_origins
            )
            viewer = await endpoint.reader.viewer(token)
        except Unauthenticated as error:
            raise Close(CloseCode.UNAUTHORIZED, f"Unauthorized: {error.message}") from None
        except Unavailable as error:
            raise Close(CloseCode.TRY_AGAIN_LATER, error.message) from None
        if viewer.expires_at is None:
            self._end_in(0, None)
        else:
            left_seconds = (viewer.expires_at - clock.now()).total_seconds()
            self._end_in(left_seconds, End(CloseCode.FORBIDDEN, "The token has expired"))
        try:
            endpoint.sockets.take(viewer.customer_id)
        except LimitExceeded as error:
            raise Close(CloseCode.TRY_AGAIN_LATER, error.message) from None
        self.viewer = viewer
        self.trust(endpoint.arriving.share(viewer.customer_id))
        await self._send({"type": "connection_ack"})

    async def _subscribe(self, operation_id: str, payload: object, decoded_bytes: int) -> None:
        if self.viewer is None:
            raise Close(CloseCode.UNAUTHORIZED, "Unauthorized: subscribe comes after connection_ack")
        try:
            operation = Operation.read(payload)
            del payload
        except BadUserInput as error:
            raise Close(CloseCode.BAD_REQUEST, error.message) from None
        if operation_id in self.operations:
            reason = f"Subscriber for {operation_id} already exists"
            raise Close(CloseCode.SUBSCRIBER_ALREADY_EXISTS, reason)
        if self.endpoint.stopping.is_set():
            return  # the socket ends soon: the client sends it again after 1012, to a server that has time for it
        share = self.endpoint.arriving.share(self.viewer.customer_id)
        try:
            self._check_count()
            self.used()
            share.hold_decoded(decoded_bytes)
        except (LimitExceeded, RateLimited, Unavailable) as error:
            del operation
            refused = masking.refuse(error)
            await self._send({"type": "error", "id": operation_id, "payload": refused.errors})
            return
        work = self._operate(operation_id, operation, self.viewer, share)
        task = asyncio.create_task(work, name="websocket operation")
        task.add_done_callback(lambda _task: share.hold(0))
        self.operations[operation_id] = task
        self.tasks[task] = _Phase.RUNNING
        task.add_done_callback(self._forget)

    def _check_count(self) -> None:
        if len(self.operations) >= OPERATIONS_MAX:
            raise LimitExceeded(
                f"Too many operations: a socket runs at most {OPERATIONS_MAX} at once. Complete one first."
            )

    def _forget(self, task: asyncio.Task[None]) -> None:
        self.tasks.pop(task, None)

    async def _stop(self, operation_id: str) -> None:
        task = self.operations.pop(operation_id, None)
        if task is not None:
            # Once: a second cancellation would interrupt the cleanup of the first one. `task.cancelling()` would not
            # do, because a time limit within the task also counts there.
            self.tasks[task] = _Phase.STOPPED
            task.cancel()
        ending = self.tasks.keys() - self.operations.values()
        if len(ending) > ENDING_OPERATIONS_MAX:
            await asyncio.wait(ending, return_when=asyncio.FIRST_COMPLETED)

    async def _operate(self, operation_id: str, operation: Operation, viewer: Viewer, share: Share) -> None:
        last: dict[str, Any] = {"type": "complete", "id": operation_id}
        begin = b'{"type":"next","id":%b,"payload":' % orjson.dumps(operation_id)
        task = asyncio.current_task()

        def sink(response: bytes) -> bool:
            # A long one is sent by the task, which waits until it has left: it is counted as long as it is in memory.
            is_wanted = self.operations.get(operation_id) is task and len(response) <= UNCOUNTED_CHARACTERS_MAX
            return is_wanted and not self.sending.locked() and self.offer(begin, response, b"}")

        try:
            execution = self.endpoint.execution
            if execution.knows(operation):
                prepared = execution.prepare(operation, viewer)
            else:
                prepared = await execution.prepare_new(operation, viewer)
            if prepared.kind is OperationType.SUBSCRIPTION and task is not None:
                self.tasks[task] = _Phase.FOLLOWING
                share.hold(0)  # what it keeps is bounded by itself
            async with aclosing(execution.run(prepared, sink)) as responses:
                del operation, prepared  # the text is also in the cache of documents
                async for response in responses:
                    await self._send_text(begin, response, b"}")
                    del response  # not held while the next one is made
        except NotExecuted as refused:
            last = {"type": "error", "id": operation_id, "payload": refused.errors}
        except (WebSocketDisconnect, Close, asyncio.CancelledError):
            # The connection is ending, or the client has stopped it. A task that ends by an error keeps it, and its
            # trace would hold the task.
            return
        except Exception as error:  # noqa: BLE001 - a bug ends one operation, not the socket
            last = {"type": "error", "id": operation_id, "payload": [masking.render(error)]}
        if self.operations.get(operation_id) is not task:
            return  # the client stopped it meanwhile
        # The id is free before the client sees the end, so that it can use the id again at once.
        del self.operations[operation_id]
        with suppress(WebSocketDisconnect, Close, asyncio.CancelledError):
            await self._send(last)

    async def _send(self, message: dict[str, Any]) -> None:
        await self._send_text(orjson.dumps(message))

    async def _send_text(self, *parts: bytes) -> None:
        """Send one message, given in parts, after the other. Wait while the client does not read.

        uvicorn waits at the start of a send until the earlier data is sent. So each socket has at most one message in
        the buffer, and each operation holds one more. Of a long message we wait for the end too, because it is counted
        as long as it is in memory. A client that takes too little of it is left by the server.
        """
        try:
            async with asyncio.timeout(SEND_SECONDS_MAX) as limit, self.sending:
                await self.socket.send({"type": "websocket.send", "text": b"".join(parts).decode()})
                if sum(map(len, parts)) > UNCOUNTED_CHARACTERS_MAX:
                    limit.reschedule(None)
                    await self.drain()
        except TimeoutError:
            end = End(CloseCode.TIMEOUT, "The client reads too slowly")
            self.end(end)
            raise Close(*end) from None
        except RuntimeError:  # uvicorn has already sent its own close frame
            raise WebSocketDisconnect from None


def _refuse(*_parts: bytes) -> bool:
    return False


async def _nothing() -> None:
    pass
