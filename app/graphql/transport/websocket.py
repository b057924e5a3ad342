"""GraphQL over WebSocket: https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md (graphql-transport-ws)."""

import asyncio
from collections.abc import AsyncGenerator, Collection
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import orjson
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from app import clock
from app.auth import Viewer
from app.errors import BadUserInput, LimitExceeded, Unauthenticated, Unavailable
from app.graphql.transport import masking
from app.graphql.transport.execution import Execution, Operation, Payload
from app.graphql.transport.masking import NotExecuted
from app.requests import tokens
from app.requests.tokens import TokenReader

SUBPROTOCOL = "graphql-transport-ws"
INIT_SECONDS_MAX = 10.0
SEND_SECONDS_MAX = 30.0
"""A client that reads nothing for this time is dropped. It catches up from its last cursor when it reconnects."""
CLOSE_SECONDS_MAX = 1.0
OPERATIONS_MAX = 100
"""At the same time on one socket."""
ENDING_OPERATIONS_MAX = 100
"""If more stopped operations are still ending, the socket is not read until some have ended."""
OPERATION_ID_CHARACTERS_MAX = 255
REASON_BYTES_MAX = 123
"""RFC 6455: a control frame has 125 bytes, two of them for the code."""


class CloseCode(IntEnum):
    """The protocol's, and those of RFC 6455's registry. graphql-ws connects again after 4403, 4408, 1012 and 1013."""

    INTERNAL_ERROR = 1011
    SERVICE_RESTART = 1012
    TRY_AGAIN_LATER = 1013
    BAD_REQUEST = 4400
    UNAUTHORIZED = 4401
    FORBIDDEN = 4403
    SUBPROTOCOL_NOT_ACCEPTABLE = 4406
    TIMEOUT = 4408
    SUBSCRIBER_ALREADY_EXISTS = 4409
    TOO_MANY_INITIALISATION_REQUESTS = 4429


class _Close(Exception):  # noqa: N818 - an end as the protocol defines it
    def __init__(self, code: CloseCode, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason.encode()[:REASON_BYTES_MAX].decode(errors="ignore")


class WebSocketEndpoint:
    """The ASGI application of the WebSocket.

    Args:
        execution: runs the operations.
        reader: of tokens.
        allowed_origins: from which a cookie is accepted, besides the server's own.
        stopping: is set when the server begins to stop; ends the sockets.
    """

    def __init__(
        self,
        execution: Execution,
        reader: TokenReader,
        *,
        allowed_origins: Collection[str],
        stopping: asyncio.Event,
    ) -> None:
        self.execution = execution
        self.reader = reader
        self.allowed_origins = frozenset(allowed_origins)
        self.stopping = stopping

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        socket = WebSocket(scope, receive, send)
        try:
            if SUBPROTOCOL not in scope["subprotocols"]:
                await socket.accept()  # a client sees a close code only after this
                await socket.close(CloseCode.SUBPROTOCOL_NOT_ACCEPTABLE, "Only graphql-transport-ws is supported")
                return
            await socket.accept(SUBPROTOCOL)
            await _Connection(self, socket).run()
        except WebSocketDisconnect:
            pass


@dataclass(slots=True, eq=False)
class _Connection:
    """One socket. Each operation runs in its own task; they share only the sending side."""

    endpoint: WebSocketEndpoint
    socket: WebSocket
    viewer: Viewer | None = None
    initialised: bool = False
    operations: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    """Operations that the client still gets messages of, by the client's id."""
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    """These, and those that were stopped and are still ending."""
    sending: asyncio.Lock = field(default_factory=asyncio.Lock)
    ending: asyncio.Future[_Close] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    timer: asyncio.TimerHandle | None = None

    async def run(self) -> None:
        """Serve the socket until either side ends it."""
        self._end_in(INIT_SECONDS_MAX, _Close(CloseCode.TIMEOUT, "connection_init was not sent in time"))
        reading = asyncio.create_task(self._read(), name="websocket read")
        stop = asyncio.create_task(self.endpoint.stopping.wait(), name="websocket stop")
        waiting: set[asyncio.Future[Any]] = {reading, stop, self.ending}
        close: _Close | None = None
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if self.ending.done():
                close = self.ending.result()
            elif reading.done():
                reading.result()
            else:
                close = _Close(CloseCode.SERVICE_RESTART, "The server is stopping")
        except _Close as error:
            close = error
        except WebSocketDisconnect:
            pass
        except Exception as error:  # noqa: BLE001 - a bug; the log has it, the client gets a close frame
            masking.render(error)
            close = _Close(CloseCode.INTERNAL_ERROR, "Internal error")
        finally:
            if self.timer is not None:
                self.timer.cancel()
            tasks = {reading, stop, *self.tasks}
            for task in tasks:
                if not task.cancelling():  # a second cancellation would interrupt the cleanup of the first one
                    task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if close is not None:
            # A client that reads nothing would delay this; the server drops its connection anyway.
            with suppress(TimeoutError, WebSocketDisconnect, RuntimeError):
                async with asyncio.timeout(CLOSE_SECONDS_MAX):
                    await self.socket.close(close.code, close.reason)

    def _end(self, close: _Close) -> None:
        if not self.ending.done():
            self.ending.set_result(close)

    def _end_in(self, seconds: float, close: _Close) -> None:
        if self.timer is not None:
            self.timer.cancel()
        self.timer = asyncio.get_running_loop().call_later(max(seconds, 0), self._end, close)

    async def _read(self) -> None:
        while True:
            message = await self.socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            await self._handle(_decode(message.get("text")))

    async def _handle(self, message: dict[str, Any]) -> None:
        match message.get("type"):
            case "connection_init":
                await self._initialise(_optional_object(message, "payload"))
            case "ping":
                payload = _optional_object(message, "payload")
                await self._send({"type": "pong"} if payload is None else {"type": "pong", "payload": payload})
            case "pong":
                _optional_object(message, "payload")
            case "subscribe":
                await self._subscribe(_operation_id(message), message.get("payload"))
            case "complete":
                await self._stop(_operation_id(message))
            case _:
                raise _Close(CloseCode.BAD_REQUEST, "The message's type is not one that a client sends")

    async def _initialise(self, payload: dict[str, Any] | None) -> None:
        if self.initialised:
            raise _Close(CloseCode.TOO_MANY_INITIALISATION_REQUESTS, "Too many initialisation requests")
        self.initialised = True
        socket, endpoint = self.socket, self.endpoint
        try:
            token = tokens.socket_token(
                socket.headers, socket.query_params, payload or {}, allowed_origins=endpoint.allowed_origins
            )
            viewer = await endpoint.reader.viewer(token)
        except Unauthenticated as error:
            raise _Close(CloseCode.UNAUTHORIZED, f"Unauthorized: {error.message}") from None
        except Unavailable as error:
            raise _Close(CloseCode.TRY_AGAIN_LATER, error.message) from None
        if self.timer is not None:
            self.timer.cancel()
        if viewer.expires_at is not None:
            left_seconds = (viewer.expires_at - clock.now()).total_seconds()
            self._end_in(left_seconds, _Close(CloseCode.FORBIDDEN, "The token has expired"))
        await self._send({"type": "connection_ack"})
        self.viewer = viewer

    async def _subscribe(self, operation_id: str, payload: object) -> None:
        if self.viewer is None:
            raise _Close(CloseCode.UNAUTHORIZED, "Unauthorized: subscribe comes after connection_ack")
        try:
            operation = Operation.read(payload)
        except BadUserInput as error:
            raise _Close(CloseCode.BAD_REQUEST, error.message) from None
        if operation_id in self.operations:
            reason = f"Subscriber for {operation_id} already exists"
            raise _Close(CloseCode.SUBSCRIBER_ALREADY_EXISTS, reason)
        if len(self.operations) >= OPERATIONS_MAX:
            refused = masking.refuse(
                LimitExceeded(
                    f"Too many operations: a socket runs at most {OPERATIONS_MAX} at once. Complete one first."
                )
            )
            await self._send({"type": "error", "id": operation_id, "payload": refused.errors})
            return
        task = asyncio.create_task(self._operate(operation_id, operation, self.viewer), name="websocket operation")
        self.operations[operation_id] = task
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _stop(self, operation_id: str) -> None:
        task = self.operations.pop(operation_id, None)
        if task is not None:
            task.cancel()
        ending = self.tasks.difference(self.operations.values())
        if len(ending) > ENDING_OPERATIONS_MAX:
            await asyncio.wait(ending, return_when=asyncio.FIRST_COMPLETED)

    async def _operate(self, operation_id: str, operation: Operation, viewer: Viewer) -> None:
        last: dict[str, Any] = {"type": "complete", "id": operation_id}
        try:
            async with aclosing(self._responses(operation, viewer)) as responses:
                async for payload in responses:
                    encoded = orjson.Fragment(masking.encode(payload))
                    await self._send({"type": "next", "id": operation_id, "payload": encoded})
        except NotExecuted as refused:
            last = {"type": "error", "id": operation_id, "payload": refused.errors}
        except (WebSocketDisconnect, _Close):
            return  # the connection is ending
        except Exception as error:  # noqa: BLE001 - a bug ends one operation, not the socket
            last = {"type": "error", "id": operation_id, "payload": [masking.render(error)]}
        if self.operations.get(operation_id) is not asyncio.current_task():
            return  # the client stopped it meanwhile
        # The id is free before the client sees the end, so that it can use the id again at once.
        del self.operations[operation_id]
        with suppress(WebSocketDisconnect, _Close):
            await self._send(last)

    async def _responses(self, operation: Operation, viewer: Viewer) -> AsyncGenerator[Payload, None]:
        execution = self.endpoint.execution
        async with aclosing(execution.run(execution.prepare(operation, viewer))) as responses:
            async for payload in responses:
                yield payload

    async def _send(self, message: dict[str, Any]) -> None:
        """Send one message after the other. Wait while the client does not read.

        uvicorn waits at the start of a send until the earlier data is sent. So each socket has at most one message in
        the buffer, and each operation holds one more.
        """
        text = orjson.dumps(message).decode()
        try:
            async with asyncio.timeout(SEND_SECONDS_MAX), self.sending:
                await self.socket.send({"type": "websocket.send", "text": text})
        except TimeoutError:
            close = _Close(CloseCode.TIMEOUT, "The client reads too slowly")
            self._end(close)
            raise close from None
        except RuntimeError:  # uvicorn has already sent its own close frame
            raise WebSocketDisconnect from None


def _decode(text: str | None) -> dict[str, Any]:
    if text is None:
        raise _Close(CloseCode.BAD_REQUEST, "Messages must be text, not binary")
    try:
        message = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise _Close(CloseCode.BAD_REQUEST, f"The message is not valid JSON: {error.msg}") from None
    if not isinstance(message, dict):
        raise _Close(CloseCode.BAD_REQUEST, "A message must be a JSON object")
    return message


def _optional_object(message: dict[str, Any], name: str) -> dict[str, Any] | None:
    value = message.get(name)
    if not isinstance(value, dict | None):
        raise _Close(CloseCode.BAD_REQUEST, f"{name} must be an object if it is given")
    return value


def _operation_id(message: dict[str, Any]) -> str:
    operation_id = message.get("id")
    if not isinstance(operation_id, str) or not 1 <= len(operation_id) <= OPERATION_ID_CHARACTERS_MAX:
        raise _Close(CloseCode.BAD_REQUEST, f"id must be text of 1 to {OPERATION_ID_CHARACTERS_MAX} characters")
    return operation_id
