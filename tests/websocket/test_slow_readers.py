"""Clients that read slowly or nothing, and the end of the server: nobody is held up."""

import asyncio
import os
import statistics
import time
from contextlib import suppress

import psutil
import pytest

from app.graphql.transport import websocket as websocket_module
from tests.support.sockets import FLOOD, FOREVER, Deaf, answers
from tests.support.transport import (
    Served,
    closed,
    eventually,
    initialise,
    receive,
    subscribe,
    watch,
)

# ---------------------------------------------------------------- slow readers and bounds


def resident_megabytes() -> float:
    return float(psutil.Process(os.getpid()).memory_info().rss) / 1e6


async def test_a_client_that_reads_nothing_waits_and_holds_up_nobody(served: Served) -> None:
    before = resident_megabytes()
    deaf = Deaf(served, "subscription { count(to: 999999999, size: 100000) { text } }", operations=50)
    await eventually(lambda: watch.opened == 50)
    await asyncio.sleep(1)
    produced = watch.produced
    async with served.connect() as socket:
        await initialise(socket)
        took = []
        for number in range(20):
            started = time.monotonic()
            await subscribe(socket, str(number), "{ hello }")
            await answers(socket, 2)
            took.append(time.monotonic() - started)
            await asyncio.sleep(0.05)
    assert statistics.median(took) < 0.5
    # Each operation has made one message more than were sent, and then no more.
    assert watch.produced == produced < 200
    assert resident_megabytes() - before < 60
    deaf.connection.close()
    await eventually(lambda: watch.open == 0 and not served.tasks())


async def test_a_client_that_reads_nothing_is_left_in_the_end(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket_module, "SEND_SECONDS_MAX", 0.5)
    deaf = Deaf(served, "subscription { count(to: 999999999, size: 100000) { text } }", operations=10)
    await eventually(lambda: watch.opened == 10)
    await eventually(lambda: watch.open == 0 and not served.tasks())
    deaf.connection.close()


async def test_a_slow_reader_gets_everything_in_order(served: Served) -> None:
    async with served.connect(max_queue=1) as socket:
        await initialise(socket)
        await subscribe(socket, "1", "subscription { count(to: 300, size: 50000) { number } }")
        numbers = []
        while (message := await receive(socket))["type"] == "next":
            numbers.append(message["payload"]["data"]["count"]["number"])
            await asyncio.sleep(0.002)
        assert numbers == list(range(300))


async def test_a_flood_of_messages_is_read_no_faster_than_it_is_answered(served: Served) -> None:
    before = resident_megabytes()
    deaf = Deaf(served, "{ hello }", operations=0)
    deaf.connection.settimeout(1)
    payload = {"x": "x" * 10_000}
    sent = 0
    with suppress(TimeoutError):
        while sent < 2_000:
            await asyncio.to_thread(deaf.write, {"type": "ping", "payload": payload})
            sent += 1
    assert sent < 2_000
    assert resident_megabytes() - before < 60
    deaf.connection.close()
    await eventually(lambda: not served.tasks())


# ---------------------------------------------------------------- the end


def test_sockets_close_with_1012_when_the_server_stops() -> None:
    with Served() as served:

        async def watch_the_end() -> list[tuple[int | None, str | None]]:
            opened = [await served.connect() for _ in range(5)]
            for socket in opened:
                await initialise(socket)
                await subscribe(socket, "1", FOREVER)
                await subscribe(socket, "2", FLOOD)
                await receive(socket)
            served.on_loop(served.stopping.set)
            return [await closed(socket) for socket in opened]

        ends = asyncio.run(watch_the_end())
        assert ends == [(1012, "The server is stopping")] * 5


def test_a_server_stops_in_seconds_whatever_its_clients_do() -> None:
    deaf: list[Deaf] = []
    with Served(timeout_graceful_shutdown=2) as served:

        async def connect() -> None:
            socket = await served.connect()
            await initialise(socket)
            await subscribe(socket, "1", FOREVER)
            await receive(socket)
            deaf.append(Deaf(served, "subscription { count(to: 999999999, size: 100000) { text } }"))
            await eventually(lambda: watch.opened == 2)
            served.on_loop(served.stopping.set)
            assert (await closed(socket))[0] == 1012

        asyncio.run(connect())
        started = time.monotonic()
    assert time.monotonic() - started < 12
    assert watch.open == 0
    deaf[0].connection.close()
