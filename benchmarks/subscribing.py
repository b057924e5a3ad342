"""Subscribers in a process of their own, and how late they see what happens.

Each line of its input begins a phase of that name; at the end of its input it prints the lags of each phase as JSON.
A lag is the time from an event to its arrival.
"""

import asyncio
import contextlib
import json
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import datetime
from typing import Self

import orjson
import uvloop

from benchmarks.measuring import quantile
from tests.support.graphql_client import Client, Subscription
from tests.support.server import REPOSITORY

READY_SECONDS_MAX = 60
READERS_MAX = 5
"""The others only receive: what they would spend on reading is not the server's."""
QUERY = """
    subscription ($id: ID!) { targetEvents(outdialId: $id) {
      cursor caughtUp gap events { type occurredAt targetId status doneReason version } } }
"""

Lags = dict[str, dict[str, float]]
"""By phase: the number of events, and their lags in ms."""


class Subscribers:
    """The process, seen from the benchmark. `async with`."""

    def __init__(self, url: str, customer_id: str, outdial_id: str, number: int) -> None:
        self._arguments = [url, customer_id, outdial_id, str(number)]
        self.lags: Lags = {}

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "benchmarks.subscribing", *self._arguments),
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            limit=1024 * 1024,
        )
        assert self._process.stdout is not None
        async with asyncio.timeout(READY_SECONDS_MAX):
            line = await self._process.stdout.readline()
        assert line == b"ready\n", "the subscribers have ended"
        return self

    def phase(self, name: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{name}\n".encode())

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        if kind is not None and self._process.returncode is None:
            self._process.kill()
        async with asyncio.timeout(READY_SECONDS_MAX):
            output, _ = await self._process.communicate()
        if kind is None:
            self.lags = json.loads(output)


class _Watch:
    """The lags of events, by the phase in which they occurred: those that come late do not count for a later phase."""

    def __init__(self) -> None:
        self._begun: list[tuple[float, str]] = [(0.0, "")]
        self.lags: defaultdict[str, list[float]] = defaultdict(list)

    async def follow(self, events: Subscription, *, reads: bool) -> None:
        while True:
            text = await events.socket.recv()
            if not reads:
                continue
            message, now = orjson.loads(text), time.time()
            assert message["type"] in {"next", "ping"}, message
            if message["type"] == "next":
                for event in message["payload"]["data"]["targetEvents"]["events"]:
                    occurred = datetime.fromisoformat(event["occurredAt"]).timestamp()
                    phase = next(name for begun, name in reversed(self._begun) if begun <= occurred)
                    self.lags[phase].append(now - occurred)

    async def listen(self) -> None:
        lines = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
        async for line in lines:
            self._begun.append((time.time(), line.decode().strip()))

    def result(self) -> Lags:
        return {
            phase: {
                "events": len(lags),
                **{f"lag p{share:.0f} ms": quantile(lags, share / 100) * 1e3 for share in (50, 99)},
                "lag max ms": max(lags) * 1e3,
            }
            for phase, lags in self.lags.items()
        }


@contextlib.asynccontextmanager
async def _subscribed(url: str, customer_id: str, outdial_id: str, number: int) -> AsyncIterator[list[Subscription]]:
    async with Client(url, customer_id) as client, AsyncExitStack() as stack:
        made = [await stack.enter_async_context(client.subscribe(QUERY, id=outdial_id)) for _ in range(number)]
        for events in made:
            await events.next()
        yield made


async def main(url: str, customer_id: str, outdial_id: str, number: str) -> None:
    watch = _Watch()
    async with _subscribed(url, customer_id, outdial_id, int(number)) as subscriptions:
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        async with asyncio.TaskGroup() as tasks:
            following = [
                tasks.create_task(watch.follow(events, reads=place < READERS_MAX))
                for place, events in enumerate(subscriptions)
            ]
            await watch.listen()
            for task in following:
                task.cancel()
    json.dump(watch.result(), sys.stdout)


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:5]))
