"""Connections on which tests write the bytes themselves, right or wrong."""

import base64
import os
import socket
import struct
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson

KEY = base64.b64encode(bytes(16)).decode()
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


def frame(data: bytes, opcode: int = TEXT, *, fin: bool = True, masked: bool = True) -> bytes:
    """A frame of a client; its mask is zero, so that the data can be read in a dump."""
    head = bytes([(0x80 if fin else 0) | opcode])
    bit = 0x80 if masked else 0
    if len(data) < 126:
        head += bytes([bit | len(data)])
    elif len(data) < 65_536:
        head += bytes([bit | 126]) + struct.pack("!H", len(data))
    else:
        head += bytes([bit | 127]) + struct.pack("!Q", len(data))
    return head + (bytes(4) if masked else b"") + data


def close_codes(sent: bytes) -> set[int]:
    """What a server may send back: the codes of all close frames in these bytes, wherever one could begin."""
    codes = set()
    for at in range(len(sent) - 7):
        if sent[at] & 15 == CLOSE and sent[at + 1] & 0x80:
            mask, code = sent[at + 2 : at + 4], sent[at + 6 : at + 8]
            codes.add(int.from_bytes(bytes(a ^ b for a, b in zip(mask, code, strict=True)), "big"))
    return codes


def head(path: str = "/healthz", *lines: str, method: str = "GET") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: x", *lines, "", ""]).encode()


class Raw:
    """One connection to a port of this machine."""

    def __init__(self, port: int, *, seconds: float = 10, buffer: int | None = None) -> None:
        self.socket = socket.socket()
        if buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        self.socket.settimeout(seconds)
        try:
            self.socket.connect(("127.0.0.1", port))
        except OSError:
            self.socket.close()
            raise
        self._rest = b""

    def send(self, data: bytes) -> Self:
        self.socket.sendall(data)
        return self

    def close(self) -> None:
        self.socket.close()

    def drop(self) -> None:
        """Vanish without a word: the server gets a reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # ---------------------------------------------------------------- HTTP

    def everything(self) -> bytes:
        """All that comes until the server closes the connection."""
        received, self._rest = self._rest, b""
        with suppress(ConnectionResetError):
            while chunk := self.socket.recv(65_536):
                received += chunk
        return received

    def answer(self) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of the next answer; status 0 if the server closes the connection."""
        while b"\r\n\r\n" not in self._rest:
            if not self._more():
                return 0, {}, b""
        top, _, self._rest = self._rest.partition(b"\r\n\r\n")
        status, *lines = top.decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        length = int(headers.get("content-length", 0))
        while len(self._rest) < length and self._more():
            pass
        body, self._rest = self._rest[:length], self._rest[length:]
        return int(status.split(" ")[1]), headers, body

    def _more(self) -> bool:
        try:
            chunk = self.socket.recv(65_536)
        except ConnectionResetError:
            return False
        self._rest += chunk
        return bool(chunk)

    def is_closed_within(self, seconds: float) -> bool:
        """Whether the server closes the connection, after whatever else it sends."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self.socket.settimeout(left)
            try:
                if not self.socket.recv(65_536):
                    return True
            except TimeoutError:
                return False
            except ConnectionError:
                return True
        return False

    # ---------------------------------------------------------------- WebSocket

    def upgrade(self, *lines: str) -> Self:
        """Become a WebSocket."""
        status, _, body = self.send(
            head(
                "/graphql",
                "Upgrade: websocket",
                "Connection: Upgrade",
                f"Sec-WebSocket-Key: {KEY}",
                "Sec-WebSocket-Version: 13",
                "Sec-WebSocket-Protocol: graphql-transport-ws",
                *lines,
            )
        ).answer()
        assert status == 101, (status, body)
        return self

    def say(self, **message: Any) -> Self:
        return self.send(frame(orjson.dumps(message)))

    def initialise(self, token: str = "good") -> Self:
        self.say(type="connection_init", payload={"token": token})
        assert self.hear() == {"type": "connection_ack"}
        return self

    def frame(self) -> tuple[int, bytes]:
        """Opcode and data of the next frame; (CLOSE, b"") if the connection ends without one."""
        if not self._has(2):
            return CLOSE, b""
        opcode, size = self._rest[0] & 15, self._rest[1]
        start = {126: 4, 127: 10}.get(size, 2)
        if not self._has(start):
            return CLOSE, b""
        length = size if start == 2 else int.from_bytes(self._rest[2:start], "big")
        if not self._has(start + length):
            return CLOSE, b""
        data, self._rest = self._rest[start : start + length], self._rest[start + length :]
        return opcode, data

    def _has(self, size: int) -> bool:
        while len(self._rest) < size:
            if not self._more():
                return False
        return True

    def hear(self) -> Any:
        """The next message; the close code if there is none."""
        while True:
            opcode, data = self.frame()
            if opcode == CLOSE:
                return int.from_bytes(data[:2], "big")
            if opcode == TEXT:
                return orjson.loads(data)

    def close_code(self) -> int:
        """The server's close code, after any other messages; 0 if it cuts the connection."""
        while not isinstance(heard := self.hear(), int):
            pass
        return heard


def resident_mebibytes(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))
