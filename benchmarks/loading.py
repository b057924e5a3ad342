"""Requests over a number of HTTP/1.1 connections, each sent as soon as the one before is answered.

As cheap as can be: what the client costs, each side of a comparison pays.
"""

import asyncio
import time
from array import array
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import urlsplit

import psutil

from benchmarks.measuring import NoGauge, PostgresGauge, processor_seconds

ANSWER_SECONDS_MAX = 60
"""After a run ends, its last answers may take that long."""
_END_OF_HEAD = b"\r\n\r\n"
_LENGTH = b"content-length:"


@dataclass(slots=True)
class Run:
    """One run against one server."""

    ask: Callable[[], bytes]
    """The next request, whole."""
    seconds: "array[float]" = field(default_factory=lambda: array("d"))
    """How long each request took that was answered in the measured time."""
    begins: float = float("inf")
    ends: float = float("inf")
    elapsed: float = 0.0
    server: float = 0.0
    """Processor seconds in that time."""
    database: float = 0.0
    failed: int = 0
    """Answers that were not 200, or had errors; `wrong` is the first of them."""
    wrong: bytes = b""


class _Caller(asyncio.Protocol):
    def __init__(self, run: Run, done: asyncio.Future[None]) -> None:
        self._run = run
        self._done = done
        self._head = b""
        self._left = 0
        self._is_wrong = False
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is of another class
        self._ask()

    def _ask(self) -> None:
        self._head, self._left, self._is_wrong = b"", -1, False
        self._started = time.perf_counter()
        self._transport.write(self._run.ask())

    def data_received(self, data: bytes) -> None:
        self._is_wrong = self._is_wrong or b'"errors"' in data
        if self._left < 0:
            self._head += data
            end = self._head.find(_END_OF_HEAD)
            if end < 0:
                return
            head = self._head[:end].lower()
            at = head.find(_LENGTH)
            assert at > 0, self._head
            self._is_wrong = self._is_wrong or not head.startswith(b"http/1.1 200 ")
            length = int(head[at + len(_LENGTH) :].partition(b"\r\n")[0])
            self._left = length - (len(self._head) - end - len(_END_OF_HEAD))
        else:
            self._left -= len(data)
        if self._left == 0:
            self._answered(data)

    def _answered(self, last: bytes) -> None:
        now, run = time.perf_counter(), self._run
        if self._is_wrong:
            run.failed += 1
            run.wrong = run.wrong or last
        elif run.begins <= now <= run.ends:
            run.seconds.append(now - self._started)
        if now > run.ends:
            self._transport.close()
        else:
            self._ask()

    def connection_lost(self, error: Exception | None) -> None:
        if time.perf_counter() < self._run.ends:
            self._run.failed += 1
            self._run.wrong = self._run.wrong or f"the connection was lost: {error}".encode()
        if not self._done.done():
            self._done.set_result(None)


async def load(
    url: str,
    ask: Callable[[], bytes],
    *,
    connections: int,
    warm_seconds: float,
    seconds: float,
    processes: Iterable[psutil.Process],
    gauge: PostgresGauge | NoGauge,
) -> Run:
    """Ask for that long, after a warm-up."""
    run, place, loop = Run(ask), urlsplit(url), asyncio.get_running_loop()
    assert place.port is not None
    listed = list(processes)
    ended = [loop.create_future() for _ in range(connections)]
    transports = [
        (await loop.create_connection(lambda done=done: _Caller(run, done), "127.0.0.1", place.port))[0]
        for done in ended
    ]
    await asyncio.sleep(warm_seconds)
    before, server = await gauge.read(), processor_seconds(listed)
    run.begins = time.perf_counter()
    await asyncio.sleep(seconds)
    run.ends = time.perf_counter()
    run.server = processor_seconds(listed) - server
    run.database = (await gauge.read()).processor - before.processor
    run.elapsed = run.ends - run.begins
    try:
        async with asyncio.timeout(ANSWER_SECONDS_MAX):
            await asyncio.gather(*ended)
    finally:
        for transport in transports:
            transport.abort()
    return run
