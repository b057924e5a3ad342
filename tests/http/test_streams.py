"""GraphQL over event streams on a real server."""

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from app.graphql.transport import sse
from tests.support.posting import COUNT, GRAPHQL, JSON, PATH, STREAM, URQL, code, head, post
from tests.support.raw import Raw
from tests.support.transport import Served, eventually, watch


async def events(response: httpx.Response) -> AsyncIterator[tuple[str, Any]]:
    """The events of a stream, parsed strictly: LF line ends, a blank line after each."""
    text = ""
    async for chunk in response.aiter_text():
        assert "\r" not in chunk
        text += chunk
        while "\n\n" in text:
            block, text = text.split("\n\n", 1)
            if block == ":":
                yield "ping", None
                continue
            event, data = block.split("\n")
            assert event.startswith("event: ")
            assert data.startswith("data:")
            value = data.removeprefix("data:").strip()
            yield event.removeprefix("event: "), json.loads(value) if value else None
    assert text == ""


async def read(client: httpx.AsyncClient, query: str, accept: str = STREAM, **headers: str) -> list[tuple[str, Any]]:
    async with client.stream("POST", PATH, json={"query": query}, headers={"Accept": accept, **headers}) as response:
        assert response.status_code == 200
        assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
        return [event async for event in events(response) if event[0] != "ping"]


async def test_a_subscription_is_a_stream_of_events(client: httpx.AsyncClient) -> None:
    nexts = [("next", {"data": {"count": {"number": n}}}) for n in range(3)]
    assert await read(client, COUNT) == [*nexts, ("complete", None)]
    # urql names streams last among equals: enough for what can be nothing else.
    assert await read(client, COUNT, URQL) == [*nexts, ("complete", None)]


async def test_a_subscription_by_get_suits_a_browsers_event_source(client: httpx.AsyncClient) -> None:
    async with client.stream("GET", PATH, params={"query": COUNT}, headers={"Accept": STREAM}) as response:
        names = [name async for name, _ in events(response) if name != "ping"]
    assert names == ["next", "next", "next", "complete"]


async def test_queries_are_streamed_where_the_client_prefers_it(client: httpx.AsyncClient) -> None:
    expected = [("next", {"data": {"hello": "hello world"}}), ("complete", None)]
    assert await read(client, "{ hello }", f"{STREAM}, {JSON};q=0.5") == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("{", "GRAPHQL_PARSE_FAILED"),
        ("subscription { nothing }", "GRAPHQL_VALIDATION_FAILED"),
        ("subscription { refused { number } }", "NOT_FOUND"),
        ("subscription { count(failAt: 0) { number } }", "INTERNAL"),
    ],
)
async def test_an_error_is_an_event_then_the_end(client: httpx.AsyncClient, query: str, expected: str) -> None:
    (name, payload), end = await read(client, query)
    assert (name, end) == ("next", ("complete", None))
    assert "data" not in payload
    assert payload["errors"][0]["extensions"]["code"] == expected


@pytest.mark.parametrize("accept", [JSON, GRAPHQL, "*/*"])
async def test_a_subscription_over_plain_json_is_refused(client: httpx.AsyncClient, accept: str) -> None:
    response = await post(client, COUNT, accept)
    assert (response.status_code, code(response)) == (406, "BAD_USER_INPUT")
    assert watch.opened == 0


async def test_an_idle_stream_is_kept_alive(client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "PING_SECONDS", 0.05)
    query = "subscription { count(to: 2, pause: 0.5) { number } }"
    async with client.stream("POST", PATH, json={"query": query}, headers={"Accept": STREAM}) as response:
        names = [name async for name, _ in events(response)]
    assert names.count("ping") > 5
    assert [name for name in names if name != "ping"] == ["next", "next", "complete"]


@pytest.mark.parametrize("pause", [60.0, 0.0])
async def test_a_token_that_expires_ends_the_stream_in_a_replay_too(client: httpx.AsyncClient, pause: float) -> None:
    query = f"subscription {{ count(to: 999999999, pause: {pause}) {{ number }} }}"
    started = time.monotonic()
    *_, error, end = await read(client, query, Authorization="Bearer for:0.5")
    assert 0.3 < time.monotonic() - started < 15
    assert error[1]["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
    assert end == ("complete", None)
    await eventually(lambda: watch.open == 0)


async def test_clients_that_leave_leave_nothing_behind(served: Served, client: httpx.AsyncClient) -> None:
    async def glance(pause: float) -> None:
        query = f"subscription {{ count(to: 999999, pause: {pause}) {{ number }} }}"
        async with client.stream("POST", PATH, json={"query": query}, headers={"Accept": STREAM}) as response:
            await anext(aiter(response.aiter_bytes()))

    for _ in range(3):
        await asyncio.gather(*[glance(60.0) for _ in range(40)], *[glance(0.001) for _ in range(10)])
    await eventually(lambda: watch.open == 0 and not served.tasks())
    assert watch.opened > 0


@pytest.mark.parametrize("is_reset", [False, True], ids=["closed", "reset"])
async def test_fifty_streams_that_are_dropped_at_once_do_not_hold_the_loop(
    served: Served, client: httpx.AsyncClient, is_reset: bool
) -> None:
    body = json.dumps({"query": "subscription { count(to: 9, pause: 600) { number } }"}).encode()
    request = head(f"Accept: {STREAM}", "Content-Type: application/json", f"Content-Length: {len(body)}") + body
    with ExitStack() as stack:
        opened = [stack.enter_context(Raw(served.port)) for _ in range(50)]
        for one in opened:
            one.send(request)
        await eventually(lambda: watch.open == 50 and watch.produced == 50)
        held = HeldLoop(served)
        for one in opened:
            one.drop() if is_reset else one.close()
        await eventually(lambda: watch.open == 0 and not served.tasks())
        await asyncio.sleep(0.1)
        assert 0 < held.end() < 0.1  # 7 ms for each turn of the loop


class HeldLoop:
    """How long a served loop works before it looks at what comes next, by its thread's own processor time."""

    def __init__(self, served: Served) -> None:
        self._loop = served.loop
        self._longest = 0.0
        self._last: float | None = None
        self._is_over = False
        served.on_loop(self._tick)

    def _tick(self) -> None:
        now, last = time.thread_time(), self._last
        self._longest = self._longest if last is None else max(self._longest, now - last)
        self._last = now
        if not self._is_over:
            assert self._loop is not None
            self._loop.call_later(0.001, self._tick)

    def end(self) -> float:
        """The longest time, in seconds."""
        self._is_over = True
        return self._longest


async def test_a_stream_that_nobody_reads_waits(served: Served, client: httpx.AsyncClient) -> None:
    body = json.dumps({"query": "subscription { count(to: 999999, size: 10000) { text } }"}).encode()
    with socket.create_connection(("127.0.0.1", served.port)) as connection:
        request = head(f"Accept: {STREAM}", "Content-Type: application/json", f"Content-Length: {len(body)}") + body
        connection.sendall(request)
        await eventually(lambda: watch.produced > 10)
        produced = 0
        for _ in range(20):  # until it has stood still for half a second; how soon is the machine's business
            if watch.produced == produced:
                break
            produced = watch.produced
            await asyncio.sleep(0.5)
        assert watch.produced == produced < 2_000  # what the kernel's buffers hold: some megabytes
        started = time.monotonic()
        assert (await post(client, "{ hello }")).status_code == 200
        assert time.monotonic() - started < 5
    await eventually(lambda: watch.open == 0)


async def test_a_stream_that_nobody_reads_is_left(
    served: Served, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sse, "SEND_SECONDS_MAX", 0.3)
    body = json.dumps({"query": "subscription { count(to: 999999, size: 10000) { text } }"}).encode()
    with socket.create_connection(("127.0.0.1", served.port)) as connection:
        request = head(f"Accept: {STREAM}", "Content-Type: application/json", f"Content-Length: {len(body)}") + body
        connection.sendall(request)
        await eventually(lambda: watch.opened == 1)
        await eventually(lambda: watch.open == 0)


def test_streams_end_when_the_server_stops() -> None:
    with Served() as served:

        async def watch_the_end() -> list[str]:
            headers = {"Authorization": "Bearer good", "Accept": STREAM}
            async with httpx.AsyncClient(trust_env=False, headers=headers, timeout=10) as client:
                body = {"query": "subscription { count(to: 9, pause: 60) { number } }"}
                names = []
                async with client.stream("POST", served.url, json=body) as response:
                    async for name, _ in events(response):
                        names.append(name)
                        if name == "next":
                            served.on_loop(served.stopping.set)
                return names

        # No `complete`: the client knows that there is more to come.
        assert asyncio.run(watch_the_end()) == ["ping", "next"]
