"""uvicorn's protocol for WebSockets, with bounds on frames, and with a shorter way to send."""

import asyncio
import math
import struct
import sys
from collections.abc import Iterable
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.datastructures import Headers
from websockets.exceptions import PayloadTooBig
from websockets.frames import Close, CloseCode, Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import Protocol, State

from app import bounds, metrics
from app.errors import RateLimited, Unavailable
from app.requests.arriving import SHORT_BYTES_MAX, Share
from app.server.connections import counting, handshakes
from app.server.connections.counting import Place

_TEXT_OF_16_BITS = struct.Struct("!BBH").pack
_TEXT_OF_64_BITS = struct.Struct("!BBQ").pack
_TEXT = 0x81
"""The first byte of a text frame that is a whole message: RFC 6455, section 5.2."""
_PONG = 0x8A
_TIMEOUT = 4408
_BAD_REQUEST = 4400
"""Codes of graphql-transport-ws. After 4408 graphql-ws connects again."""
DRAIN_SECONDS_MAX = 5.0
"""How long a client may take to read what was sent before its socket closes."""
PIECE_BYTES_MAX = 16_384
"""What is parsed at once: 2,700 empty frames, 30 ms. Then others get a turn."""
FRAGMENTS_MAX = 1_000
"""Frames of one message."""
MESSAGE_SECONDS_MAX = 30.0
"""From the first byte of a message to its last."""
CONTROL_FRAMES_MAX = 200
"""Pings and pongs within CONTROL_SECONDS. Nobody needs more than a few."""
CONTROL_SECONDS = 1.0


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """uvicorn's, with another end for clients that do not read.

    Extensions of the scope have a `call`. `outdial.offer` sends a text message, given in parts, at once and returns
    True, or returns False if earlier data wait, or if the socket is closing. Then `send` is the way. `outdial.drain`
    waits until most of what was sent has left. `outdial.trust` lets the client send long messages, which are counted in
    the given share until the application asks for the next one, or calls `outdial.used` because it has nothing more of
    the last one's text. `outdial.stop` is the application's: it is called when the server stops, and the application
    then ends the socket once its operations are answered. Without it the socket ends at once.
    """

    place: Place | None = None
    _dropping: asyncio.TimerHandle | None = None
    _share: Share | None = None
    """Of the customer's long messages. It is there when the application trusts the client."""
    _queued_bytes = 0
    """Of the long message that waits for the application. There is one at most: nothing is read after it."""
    _used_bytes = 0
    """Of the long message that the application has."""
    _control_frames = 0
    _control_since = 0.0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.conn.max_message_size = bounds.now().socket_init_bytes_max
        self.conn.reject = handshakes.reject  # type: ignore[method-assign]
        self._waiting = bytearray()
        """What has come and is not parsed yet. Nothing more is read meanwhile."""

    def open(self, method: str, target: str, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Answer a handshake that the protocol for HTTP has parsed.

        Args:
            method: of the request.
            target: its path and query, in ASCII.
            headers: in the request's order, with names in lower case.
        """
        # The library's own parser begins with the request. Here it begins with the first frame.
        self.conn.parser = Protocol.parse(self.conn)
        next(self.conn.parser)
        pairs = [(name.decode("ascii"), value.decode("latin-1")) for name, value in headers]
        self.handle_connect(Request(target, Headers(pairs), method))

    def offer(self, *parts: bytes) -> bool:
        # `send` makes the same frame in four calls, which takes as long as the system does to send it.
        if not self.writable.is_set() or self.close_sent or self.transport.is_closing() or self.conn.extensions:
            return False
        size = sum(map(len, parts))
        if size < 126:
            head = bytes((_TEXT, size))
        elif size < 65_536:
            head = _TEXT_OF_16_BITS(_TEXT, 126, size)
        else:
            head = _TEXT_OF_64_BITS(_TEXT, 127, size)
        self.transport.write(b"".join((head, *parts)))
        return True

    def shutdown(self) -> None:
        extensions: dict[str, Any] = self.scope["extensions"] if self.handshake_complete else {}
        if "outdial.stop" in extensions and not self.close_sent:
            extensions["outdial.stop"]["call"]()
        elif self.conn.eof_sent or self.conn.state not in {State.CONNECTING, State.OPEN}:
            self.transport.close()  # it has ended already, and only its client has not seen it
        elif not self.handshake_complete:
            self.conn.send_response(handshakes.stopping())
            self.transport.write(b"".join(self.conn.data_to_send()))
            self.transport.close()
        else:
            super().shutdown()

    def send_500_response(self) -> None:
        if not self.conn.eof_sent:
            super().send_500_response()

    def keepalive_timeout(self) -> None:
        # uvicorn would close with 1011, and graphql-ws does not reconnect after that. But a laptop that wakes up must
        # reconnect. A cut connection looks like a lost network, and graphql-ws reconnects.
        self.transport.abort()

    # ---------------------------------------------------------------- what comes in

    def data_received(self, data: bytes) -> None:
        if self._waiting or (self.handshake_initiated and not self.handshake_complete):
            self._waiting += data  # nor is anything parsed before the handshake is answered
            self.transport.pause_reading()
            self._count()
        elif len(data) > PIECE_BYTES_MAX:
            if self.conn.eof_sent:
                return  # it would be discarded
            self._waiting += data
            self.transport.pause_reading()
            if self._count():
                self._go_on()
        else:
            super().data_received(data)
            self._follow_message()

    def _go_on(self) -> None:
        """Parse the next piece, and come back for the one after it."""
        if self.transport.is_closing() or self.disconnected:
            self._waiting.clear()
            return
        piece = bytes(self._waiting[:PIECE_BYTES_MAX])
        del self._waiting[:PIECE_BYTES_MAX]
        super().data_received(piece)
        self._follow_message()
        if not self.read_paused:
            self._read_on()

    def _read_on(self) -> None:
        if self._waiting:
            self.loop.call_soon(self._go_on)
        elif not self.transport.is_closing():
            self.transport.resume_reading()

    def used(self) -> None:
        if self._used_bytes:
            self._used_bytes = 0
            self._count()

    async def receive(self) -> Any:
        self.used()
        message = await self.queue.get()
        if self.read_paused and self.queue.empty():
            self._used_bytes, self._queued_bytes = self._queued_bytes, 0
            self.read_paused = False
            self._read_on()
        return message

    def _follow_message(self) -> None:
        """Time and count what has come of a message that is not whole."""
        if self.place is None:
            return
        if not self.frames and not self.conn.reader.buffer:
            self.place.due = math.inf
            if self._share is None or not self._share.counted:
                return
        elif self.place.due == math.inf:
            self.place.due = self.loop.time() + MESSAGE_SECONDS_MAX
        self._count()

    def _count(self, whole_bytes: int = 0) -> bool:
        """Count what is held of messages, with this one. Returns False if it is too much: then the socket closes."""
        if self._share is None:
            return True
        read_bytes = len(self._waiting) + len(self.conn.reader.buffer) + (self.conn.current_size or 0)
        try:
            self._share.hold(whole_bytes + read_bytes + self._queued_bytes + self._used_bytes)
        except (RateLimited, Unavailable) as error:
            self._refuse(error.message)
            return False
        return True

    def _refuse(self, reason: str) -> None:
        if self._is_ending():
            self.transport.abort()
        else:
            self.conn.fail(CloseCode.TRY_AGAIN_LATER, reason)
            self.queue.put_nowait({"type": "websocket.disconnect", "code": CloseCode.TRY_AGAIN_LATER, "reason": reason})
            self.transport.write(b"".join(self.conn.data_to_send()))
            self.close_sent = True
            # What still comes is discarded for a while. If it were not read, the client would get a reset instead.
            self.close_timer = self.loop.call_later(DRAIN_SECONDS_MAX, self.transport.close)
            if not self.read_paused:
                self.transport.resume_reading()
        self._let_go()

    def _let_go(self) -> None:
        """Nothing more is parsed, and nothing of a message that is not whole is needed."""
        self._waiting.clear()
        self.conn.reader.buffer.clear()
        self.conn.current_size = None
        self.frames = []
        self._count()

    def overdue(self) -> None:
        if not self.handshake_complete:
            metrics.refused_connections.labels("slow handshake").inc()
            self.transport.abort()
        elif self.read_paused or self._waiting:  # it is the server that does not read
            self._follow_message()
        else:
            self._fail(_TIMEOUT, "The message took too long to arrive")

    def handle_cont(self, event: Frame) -> None:
        if len(self.frames) >= FRAGMENTS_MAX:
            self._fail(CloseCode.MESSAGE_TOO_BIG, f"A message has at most {FRAGMENTS_MAX} frames")
        else:
            super().handle_cont(event)
            event.data = b""

    # The library's parser holds the last frame until the next one is whole: 8 MiB, for as long as the socket is idle.

    def handle_text(self, event: Frame) -> None:
        super().handle_text(event)
        event.data = b""

    def handle_bytes(self, event: Frame) -> None:
        super().handle_bytes(event)
        event.data = b""

    def send_receive_event_to_app(self) -> None:
        # uvicorn's logs a traceback for text that is not UTF-8.
        data = self.frames[0] if len(self.frames) == 1 else b"".join(self.frames)
        self.frames = []
        if self.close_sent:
            return
        message: Any = {"type": "websocket.receive", "bytes": data}
        if self.curr_msg_data_type == "text":
            try:
                message = {"type": "websocket.receive", "text": data.decode()}
            except UnicodeDecodeError:
                self._fail(CloseCode.INVALID_DATA, "Text must be UTF-8")
                return
        if len(data) > SHORT_BYTES_MAX:
            size = sys.getsizeof(message.get("text", data))  # one emoji makes text four times as long
            if not self._count(size):
                return
            self._queued_bytes = size
        self.queue.put_nowait(message)
        if not self.read_paused:
            self.read_paused = True
            self.transport.pause_reading()

    def handle_ping(self) -> None:
        # Of pings that came together only the last is answered, and none if earlier data wait: RFC 6455, section 5.5.3.
        output = self.conn.data_to_send()
        pongs = [frame for frame in output if frame[:1] == bytes((_PONG,))]
        kept = pongs[-1:] if self.writable.is_set() else []
        self.transport.write(b"".join([*kept, *(frame for frame in output if frame[:1] != bytes((_PONG,)))]))
        self._count_control_frame()

    def handle_pong(self, event: Frame) -> None:
        super().handle_pong(event)
        self._count_control_frame()

    def _count_control_frame(self) -> None:
        now = self.loop.time()
        if now - self._control_since > CONTROL_SECONDS:
            self._control_since, self._control_frames = now, 0
        self._control_frames += 1
        if self._control_frames > CONTROL_FRAMES_MAX:
            self._fail(CloseCode.POLICY_VIOLATION, "Too many pings and pongs")

    def handle_parser_exception(self) -> None:
        if isinstance(self.conn.parser_exc, PayloadTooBig) and self._share is None:
            # The protocol's own code, instead of RFC 6455's, and what to do.
            limit = self.conn.max_message_size
            end = Close(_BAD_REQUEST, f"Before connection_ack a message has at most {limit:,} bytes")
            self.conn.data_to_send()
            self.conn.close_sent = end
            self.conn.writes.append(Frame(Opcode.CLOSE, end.serialize()).serialize(mask=False))
        super().handle_parser_exception()

    def _is_ending(self) -> bool:
        return self.close_sent or self.disconnected or self.conn.close_sent is not None

    def _fail(self, code: int, reason: str) -> None:
        if self._is_ending():
            return
        metrics.refused_connections.labels("frames").inc()
        self.conn.fail(code, reason)
        self.handle_parser_exception()

    # ---------------------------------------------------------------- what goes out

    def pause_writing(self) -> None:
        super().pause_writing()
        if self.place is not None:
            self.place.expect_reader(counting.UNREAD_SECONDS_MAX)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self.place is not None:
            self.place.unsent_due = math.inf

    async def drain(self) -> None:
        await self.writable.wait()  # it is set if the connection is lost

    def trust(self, share: Share) -> None:
        self._share = share
        self.conn.max_message_size = bounds.now().socket_message_bytes_max

    def start_keepalive(self) -> None:
        super().start_keepalive()
        self.response.headers.clear()  # it is sent, and would stay for as long as the socket
        if self.place is not None:
            self.place.due = math.inf
        if self._waiting:
            self._read_on()

    async def run_asgi(self) -> None:
        self.scope["extensions"]["outdial.offer"] = {"call": self.offer}
        self.scope["extensions"]["outdial.drain"] = {"call": self.drain}
        self.scope["extensions"]["outdial.trust"] = {"call": self.trust}
        self.scope["extensions"]["outdial.used"] = {"call": self.used}
        await super().run_asgi()
        self.scope["extensions"].clear()  # they hold this protocol
        while not self.queue.empty():  # nobody takes it
            self.queue.get_nowait()
        self._queued_bytes = self._used_bytes = 0
        self._count()
        if self.transport.get_write_buffer_size():
            self._dropping = self.loop.call_later(DRAIN_SECONDS_MAX, self.transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._dropping is not None:
            self._dropping.cancel()
        if self.place is not None:
            self.place.leave()
            self.place = None  # the place holds this protocol
        super().connection_lost(exc)
        # The parser and its error hold the connection, which holds them: all of it would wait for the collector.
        self.conn.parser_exc = None
        self.conn.parser.close()
        self._let_go()  # what the application has is counted until it ends
