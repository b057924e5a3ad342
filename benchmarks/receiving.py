"""Many subscribers in a process of their own, which do as little as can be with what they get: they count it.

Its input has one line of JSON for each command, and it answers each with one line:

- `{"port", "token", "sockets", "payloads"}` opens the sockets. Each subscribes with the next of the payloads, in turns.
- `{"await": n, "seconds": s}` waits until n messages have come since the last answer, or for that long. The answer has
  their number, the last message, and how long after its last event the middle and the last message came.
"""

import asyncio
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Self

import orjson
import uvloop
from websockets.frames import Frame, Opcode

from tests.support.server import REPOSITORY

READY_SECONDS_MAX = 120
OPENING_MAX = 50
"""Sockets that open at the same time."""
_HANDSHAKE = (
    "GET /graphql HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n"
)


class Received:
    """The messages of all sockets since the last answer."""

    def __init__(self) -> None:
        self.arrivals: list[float] = []
        self.last = b""
        self.wanted = 0
        self.enough = asyncio.Event()

    def add(self, message: bytes) -> None:
        self.arrivals.append(time.time())
        self.last = message
        if len(self.arrivals) >= self.wanted:
            self.enough.set()

    async def wait(self, messages: int, seconds: float) -> dict[str, Any]:
        self.wanted = messages
        if len(self.arrivals) < messages:
            self.enough.clear()
            try:
                async with asyncio.timeout(seconds):
                    await self.enough.wait()
            except TimeoutError:
                pass
        answer: dict[str, Any] = {"messages": len(self.arrivals), "last": self.last.decode()}
        if (occurred := _occurred(self.last)) is not None and self.arrivals:
            answer["middle ms"] = (statistics.median(self.arrivals) - occurred) * 1e3
            answer["last ms"] = (self.arrivals[-1] - occurred) * 1e3
        self.arrivals = []
        return answer


def _occurred(message: bytes) -> float | None:
    """When the last event of a message occurred."""
    mark = b'"occurredAt":"'
    at = message.rfind(mark)
    if at < 0:
        return None
    text = message[at + len(mark) :].partition(b'"')[0].decode()
    return datetime.fromisoformat(text).timestamp()


class Socket(asyncio.Protocol):
    """One client. It reads frames that are not fragmented, and answers pings."""

    def __init__(self, received: Received, token: str, payload: dict[str, Any]) -> None:
        self._received = received
        self._token = token
        self._payload = payload
        self._buffer = b""
        self._is_shaking = True
        self._transport: Any = None
        self.is_open = asyncio.get_running_loop().create_future()
        """Done when the first message has come."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._transport.write(_HANDSHAKE.encode())

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.is_open.done():
            self.is_open.set_exception(ConnectionError(f"closed: {exc}"))

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._is_shaking:
            head, found, rest = self._buffer.partition(b"\r\n\r\n")
            if not found:
                return
            assert b" 101 " in head, head
            self._buffer, self._is_shaking = rest, False
            self._write({"type": "connection_init", "payload": {"token": self._token}})
        while len(self._buffer) >= 2:
            size, begin = self._buffer[1], 2
            if size == 126:
                size, begin = int.from_bytes(self._buffer[2:4], "big"), 4
            elif size == 127:
                size, begin = int.from_bytes(self._buffer[2:10], "big"), 10
            if len(self._buffer) < begin + size:
                return
            opcode, body = self._buffer[0] & 15, self._buffer[begin : begin + size]
            self._buffer = self._buffer[begin + size :]
            self._take(opcode, body)

    def _take(self, opcode: int, body: bytes) -> None:
        if opcode == Opcode.PING:
            self._transport.write(Frame(Opcode.PONG, body).serialize(mask=True))
        elif opcode == Opcode.TEXT and self.is_open.done():
            self._received.add(body)
        elif opcode == Opcode.TEXT:
            kind = orjson.loads(body)["type"]
            if kind == "connection_ack":
                self._write({"type": "subscribe", "id": "1", "payload": self._payload})
            else:
                assert kind == "next", body
                self.is_open.set_result(None)

    def _write(self, message: dict[str, Any]) -> None:
        self._transport.write(Frame(Opcode.TEXT, orjson.dumps(message)).serialize(mask=True))


async def opened(received: Received, port: int, token: str, sockets: int, payloads: list[dict[str, Any]]) -> None:
    loop = asyncio.get_running_loop()
    turns = asyncio.Semaphore(OPENING_MAX)

    async def open_one(number: int) -> None:
        async with turns:
            payload = payloads[number % len(payloads)]
            _, socket = await loop.create_connection(lambda: Socket(received, token, payload), "127.0.0.1", port)
            await socket.is_open

    async with asyncio.TaskGroup() as tasks:
        for number in range(sockets):
            tasks.create_task(open_one(number))


async def main() -> None:
    received = Received()
    lines = asyncio.StreamReader(limit=16 * 1024 * 1024)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    async for line in lines:
        command = json.loads(line)
        if "await" in command:
            answer = await received.wait(command["await"], command["seconds"])
        else:
            await opened(received, **command)
            answer = {"open": command["sockets"]}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


class Receivers:
    """The process, seen from the benchmark. `async with`."""

    def __init__(self, port: int, token: str, sockets: int, payloads: Sequence[dict[str, Any]]) -> None:
        self._opening = {"port": port, "token": token, "sockets": sockets, "payloads": list(payloads)}

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "benchmarks.receiving"),
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            limit=64 * 1024 * 1024,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        if self._process.returncode is None:
            self._process.terminate()
        await self._process.wait()

    async def open(self) -> None:
        await self._ask(self._opening)

    async def wait(self, messages: int, seconds: float) -> dict[str, Any]:
        return await self._ask({"await": messages, "seconds": seconds})

    async def _ask(self, command: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(command).encode() + b"\n")
        async with asyncio.timeout(READY_SECONDS_MAX):
            line = await self._process.stdout.readline()
        assert line, "the subscribers have ended"
        answer: dict[str, Any] = json.loads(line)
        return answer


if __name__ == "__main__":
    uvloop.run(main())
