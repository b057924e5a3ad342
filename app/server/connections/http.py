"""uvicorn's protocol for HTTP, with bounds: on the headers and their time, on connections, on what is sent at once.

Each bound is judged before the request reaches the application. What is refused gets an answer in the form of all
others, and the connection ends.
"""

import asyncio
import math
from typing import Any

import httptools
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from app import bounds, metrics
from app.errors import BadUserInput, Expected, LimitExceeded, Unavailable
from app.graphql.transport import masking
from app.server.connections import addresses, counting
from app.server.connections.counting import Connections, Place

HEADER_FIELDS_MAX = 100
FRAMING_BYTES_MAX = 16_384
"""What may come with a body that is none of it: sizes of chunks, their extensions, trailers."""
FRAMING_SHARE_MAX = 8
"""That, and so many bytes for each byte of the body: a chunk of one byte takes six."""
PIPELINED_MAX = 20
"""Requests that wait for an earlier one's answer. Then what follows is not even parsed until they are answered."""
PIECE_BYTES_MAX = 4_096
"""What is parsed at once of headers, so that they are not many more."""
HELD_BYTES_MAX = 1_048_576
"""What a client may send ahead meanwhile. Nothing is read, but each request of the queue reads on for a moment."""
REST_SECONDS_MAX = 10.0
"""How long the rest of a body may take to arrive after its answer."""
CLOSE_SECONDS_MAX = 3.0
"""How long a client may take to read a refusal, and may go on sending meanwhile."""
RETRY_SECONDS = 5
PROBES = ("/healthz", "/readyz", "/metrics")


class _Refused(Exception):  # noqa: N818 - an answer
    """Ends the parsing. The answer is `HttpProtocol._refusal`."""


class HttpProtocol(HttpToolsProtocol):
    """One connection.

    `_room` is how many bytes may come now that are no part of a body. A head begins with `_head_bytes`.

    Methods that run for each request name uvicorn's own: `super()` would take longer than all that they add.
    """

    place: Place | None = None
    _room: int
    _head_bytes: int
    _held = b""
    """What is not parsed yet, because too many requests wait."""
    _is_in_head = True
    _is_deaf = False
    """It takes nothing more from the client."""
    _refusal: tuple[int, Expected, str] | None = None

    # ---------------------------------------------------------------- the connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        settings = bounds.now()
        self._room = self._head_bytes = settings.header_bytes_max
        peer = "" if self.client is None else self.client[0]
        self._is_proxied = bool(settings.trusted_proxies) and addresses.is_within(peer, settings.trusted_proxies)
        address = None if self._is_proxied else addresses.shortened(peer)
        self.place = Connections.of(self.server_state).enter(self, address)
        if self.place is None:
            self._is_deaf = True
            transport.abort()
            return
        seconds = settings.header_seconds_max if self.place.full is None else counting.RESERVED_SECONDS_MAX
        self.place.due = self.loop.time() + seconds

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._unset_keepalive_if_required()  # after a reset too: the timer would hold all of this for as long
        if self.place is not None:
            self.place.leave()
            self.place = None  # the place holds this protocol

    def pause_writing(self) -> None:
        super().pause_writing()
        if self.place is not None:
            self.place.expect_reader(counting.UNREAD_SECONDS_MAX)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self.place is not None and not self.transport.is_closing():
            self.place.unsent_due = math.inf

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        if self.place is not None:
            self.place.expect_reader(CLOSE_SECONDS_MAX)

    def overdue(self) -> None:
        if self._is_deaf:
            self.transport.abort()
        elif not self._may_answer():
            assert self.place is not None
            self.place.due = self.loop.time() + bounds.now().header_seconds_max
        elif self._is_in_head and self._room < self._head_bytes:
            self._refuse(408, BadUserInput("The headers took too long to arrive."), "slow headers")
        else:
            metrics.refused_connections.labels("silent" if self._is_in_head else "slow body").inc()
            self.transport.abort()

    # ---------------------------------------------------------------- what comes in

    def data_received(self, data: bytes) -> None:
        if self._is_deaf or self.parser is None:
            return
        if self._held:
            self._hold(self._held + data)
            return
        if self._is_in_head:
            self._unset_keepalive_if_required()
        was_begun = not self._is_in_head or self._room < self._head_bytes
        while data:
            if self._room <= 0:
                self._refuse_length()
                return
            if len(self.pipeline) >= PIPELINED_MAX:
                self._hold(data)
                return
            size = min(self._room, PIECE_BYTES_MAX) if self._is_in_head else self._room
            piece, data = (data, b"") if len(data) <= size else (data[:size], data[size:])
            self._room -= len(piece)
            if not self._parse(piece):
                return
        # Most headers come in one piece and need no clock.
        if self._is_in_head and self._room < self._head_bytes and not was_begun and self.place is not None:
            self.place.due = min(self.place.due, self.loop.time() + bounds.now().header_seconds_max)

    def _parse(self, piece: bytes) -> bool:
        """Returns whether more may follow."""
        try:
            self.parser.feed_data(piece)
        except httptools.HttpParserUpgrade:
            if self._should_upgrade():
                self.handle_websocket_upgrade()
                self.parser = None  # type: ignore[assignment] # otherwise it and this protocol hold each other
                return False
            # A protocol that is not spoken here. The request itself is answered.
            self._is_deaf = True
            self.cycle.keep_alive = False
            return False
        except httptools.HttpParserError:
            refusal, self._refusal = self._refusal, None
            self._refuse(*(refusal or (400, BadUserInput("This is not a valid HTTP request."), "syntax")))
            return False
        return True

    def _hold(self, data: bytes) -> None:
        self._held = data
        self.flow.pause_reading()
        if len(data) > HELD_BYTES_MAX:
            self._refuse(503, Unavailable("Too many requests at once on this connection."), "pipeline")

    def _go_on(self) -> None:
        data, self._held = self._held, b""
        self.data_received(data)

    def on_headers_complete(self) -> None:
        if len(self.headers) > HEADER_FIELDS_MAX:
            self._stop(431, LimitExceeded(f"Too many headers: at most {HEADER_FIELDS_MAX}."), "headers")
        hosts = [name for name, _ in self.headers if name == b"host"]
        if len(hosts) != 1 and (hosts or self.parser.get_http_version() != "1.0"):
            self._stop(400, BadUserInput("The request must have one Host header."), "host")
        self._is_in_head = False
        self._room = FRAMING_BYTES_MAX
        place = self.place
        if place is not None:
            place.work()
            if self._is_proxied or place.full is not None:
                self.app = self._application(place)
        if not self.parser.should_upgrade():
            HttpToolsProtocol.on_headers_complete(self)
            if place is not None and place.full is not None:
                self.cycle.keep_alive = False  # the reserve is small
            self.headers = []  # trailers come here: nobody may add to the headers after they were judged
        else:
            HttpToolsProtocol.on_headers_complete(self)
            if self._should_upgrade():
                self._judge_handshake()
                if place is not None:  # until it is a WebSocket
                    place.due = self.loop.time() + bounds.now().header_seconds_max

    def on_body(self, body: bytes) -> None:
        self._room += len(body) * (1 + FRAMING_SHARE_MAX)
        HttpToolsProtocol.on_body(self, body)

    def on_message_complete(self) -> None:
        HttpToolsProtocol.on_message_complete(self)
        self._is_in_head = True
        self._room = self._head_bytes = bounds.now().header_bytes_max
        if self.place is not None and self.cycle is not None and self.cycle.response_complete:
            self.place.due = math.inf
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def on_response_complete(self) -> None:
        HttpToolsProtocol.on_response_complete(self)
        if self._held:
            self.flow.pause_reading()
            if not self.pipeline:
                self.loop.call_soon(self._go_on)
        if self.place is None:
            return
        if self.transport.is_closing():
            self.place.expect_reader(counting.UNREAD_SECONDS_MAX)
            return
        if not self._is_in_head:
            self.place.due = self.loop.time() + REST_SECONDS_MAX
            self._unset_keepalive_if_required()
        if self.cycle.response_complete:
            if self._is_proxied:
                self.place.count_for(None)
            self.place.rest()

    def _should_upgrade(self) -> bool:
        return (self.place is None or self.app is self.config.loaded_app) and super()._should_upgrade()

    def _judge_handshake(self) -> None:
        """Refuse a handshake whose answer could be taken for another's, or that WebSockets have no meaning for."""
        if not self._may_answer():
            self._stop(400, BadUserInput("A WebSocket handshake must wait for the answers before it."), "handshake")
        if any(
            name == b"transfer-encoding" or (name == b"content-length" and value != b"0")
            for name, value in self.headers
        ):
            self._stop(400, BadUserInput("A WebSocket handshake must have no body."), "handshake")
        if not self.url.isascii():
            self._stop(400, BadUserInput("The path must be percent-encoded."), "handshake")

    def handle_websocket_upgrade(self) -> None:
        # uvicorn's writes the request out for a second parser, which has other limits and leaves what it refuses open.
        self._unset_keepalive_if_required()
        self.connections.discard(self)
        protocol: Any = self.ws_protocol_class(  # type: ignore[call-arg, misc]
            config=self.config, server_state=self.server_state, app_state=self.app_state
        )
        if self.place is not None:
            self.place.owner = protocol
            protocol.place = self.place
            self.place = None
        protocol.connection_made(self.transport)
        self.transport.set_protocol(protocol)
        protocol.open(self.scope["method"], self.url.decode("ascii"), self.scope["headers"])

    # ---------------------------------------------------------------- refusals

    def _application(self, place: Place) -> Any:
        """What answers the request: a refusal, if there are too many connections."""
        full = place.full
        if full is None and self._is_proxied and self.client is not None:
            settings = bounds.now()
            forwarded = [value for name, value in self.headers if name == b"x-forwarded-for"]
            if not place.count_for(addresses.origin(self.client[0], forwarded, settings.trusted_proxies)):
                metrics.refused_connections.labels("connections of the address").inc()
                full = "address"
        if full is None or self.url.partition(b"?")[0].endswith(tuple(map(str.encode, PROBES))):
            return self.config.loaded_app
        return _answer_full_address if full == "address" else _answer_full_process

    def _stop(self, status: int, error: Expected, reason: str) -> None:
        self._refusal = status, error, reason
        raise _Refused

    def _may_answer(self) -> bool:
        """Whether no other answer is on its way, which this one would be taken for."""
        return self.cycle is None or self.cycle.response_complete

    def _refuse_length(self) -> None:
        if self._is_in_head:
            error = LimitExceeded(f"The headers are too long: at most {self._head_bytes:,} bytes.")
            self._refuse(431, error, "headers")
        else:
            self._refuse(400, LimitExceeded("The body has too many chunks or trailers."), "chunks")

    def _refuse(self, status: int, error: Expected, reason: str) -> None:
        metrics.refused_connections.labels(reason).inc()
        self._is_deaf = True
        if self.transport.is_closing():
            return
        if not self._may_answer():
            # What comes before it is answered, and then the connection ends.
            last = self.pipeline[0][0] if self.pipeline else self.cycle
            last.keep_alive = False
            if last.more_body:  # its own body is what is wrong
                last.disconnected = True
                last.message_event.set()
                self.transport.close()
            return
        body = _body(error)
        head = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        lines = [b"%b: %b\r\n" % pair for pair in (*self.server_state.default_headers, *head)]
        self.transport.write(b"".join([STATUS_LINE[status], *lines, b"connection: close\r\n\r\n", body]))
        if self.place is None:
            self.transport.close()
            return
        # Closed at once, the connection would be reset if more comes, and the client might not see the answer.
        self.transport.write_eof()
        self.place.work()
        self.place.due = self.loop.time() + CLOSE_SECONDS_MAX


def _body(error: Expected) -> bytes:
    # Without `masking.render`, which would log each: strangers must not fill the log.
    return masking.encode({"errors": [{"message": error.message, "extensions": {"code": error.code}}]})


async def _answer_full_process(_scope: Scope, _receive: Receive, send: Send) -> None:
    error = Unavailable("The server has too many connections. Try again in a few seconds.")
    await _answer(send, 503, error)


async def _answer_full_address(_scope: Scope, _receive: Receive, send: Send) -> None:
    error = LimitExceeded("Your address has too many connections. Close some, or try again in a few seconds.")
    await _answer(send, 429, error)


async def _answer(send: Send, status: int, error: Expected) -> None:
    body = _body(error)
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"retry-after", b"%d" % RETRY_SECONDS),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
