"""graphql-transport-ws on a real server."""

import asyncio
import json
import os
import socket as sockets
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import psutil
import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode

from app.graphql.transport import websocket as websocket_module
from tests.support.transport import (
    ORIGIN,
    Served,
    closed,
    eventually,
    initialise,
    receive,
    send,
    subscribe,
    watch,
)

FOREVER = "subscription { count(to: 999999, pause: 60) { number } }"
FLOOD = "subscription { count(to: 999999999) { number } }"


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with Served() as served:
        yield served


@pytest.fixture(autouse=True)
def _fresh_watch() -> None:
    watch.__init__()  # type: ignore[misc]


async def answers(socket: ClientConnection, count: int) -> list[dict[str, Any]]:
    return [await receive(socket) for _ in range(count)]


# ---------------------------------------------------------------- operations


async def test_queries_mutations_and_subscriptions_run(served: Served) -> None:
    async with served.connect() as socket:
        assert socket.subprotocol == "graphql-transport-ws"
        await initialise(socket)
        await subscribe(socket, "q", "query($n: String!) { hello(name: $n) }", variables={"n": "you"})
        assert await answers(socket, 2) == [
            {"type": "next", "id": "q", "payload": {"data": {"hello": "hello you"}}},
            {"type": "complete", "id": "q"},
        ]
        await subscribe(socket, "m", "mutation { write(input: {rows: [1]}) { name } }")
        assert await answers(socket, 2) == [
            {"type": "next", "id": "m", "payload": {"data": {"write": {"name": "1 rows"}}}},
            {"type": "complete", "id": "m"},
        ]
        await subscribe(socket, "s", "subscription { count(to: 2) { number } }")
        assert await answers(socket, 3) == [
            {"type": "next", "id": "s", "payload": {"data": {"count": {"number": 0}}}},
            {"type": "next", "id": "s", "payload": {"data": {"count": {"number": 1}}}},
            {"type": "complete", "id": "s"},
        ]


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"query": "{"}, "GRAPHQL_PARSE_FAILED"),
        ({"query": "{ nothing }"}, "GRAPHQL_VALIDATION_FAILED"),
        ({"query": "query A { hello }", "operationName": "B"}, "BAD_USER_INPUT"),
        ({"query": "query($n: String!) { hello(name: $n) }"}, "BAD_USER_INPUT"),
        ({"query": "{ items { items { items { name } } } }"}, "LIMIT_EXCEEDED"),
        ({"query": "subscription { refused { number } }"}, "NOT_FOUND"),
        ({"query": "subscription { count(failAt: 0) { number } }"}, "INTERNAL"),
    ],
)
async def test_a_bad_operation_ends_alone(served: Served, parameters: dict[str, Any], code: str) -> None:
    async with served.connect() as socket:
        await initialise(socket)
        await subscribe(socket, "good", "subscription { count(to: 3, pause: 0.2) { number } }")
        await send(socket, type="subscribe", id="bad", payload=parameters)
        messages = await answers(socket, 5)
        (error,) = [message for message in messages if message["id"] == "bad"]
        assert error["type"] == "error"
        assert error["payload"][0]["extensions"]["code"] == code
        good = [message["type"] for message in messages if message["id"] == "good"]
        assert good == ["next", "next", "next", "complete"]


async def test_operations_of_one_socket_hold_up_none_of_the_others(served: Served) -> None:
    async with served.connect() as socket:
        await initialise(socket)
        await subscribe(socket, "slow", "{ wait(seconds: 5) }")
        await subscribe(socket, "quick", "{ hello }")
        assert (await receive(socket, 2))["id"] == "quick"


async def test_each_operation_has_a_context_of_its_own(served: Served) -> None:
    async with served.connect() as socket:
        await initialise(socket)
        for operation_id in "ab":
            await subscribe(socket, operation_id, "{ context }")
            await answers(socket, 2)
    first, second = watch.contexts
    assert first is not second


async def test_complete_stops_a_subscription_at_once(served: Served) -> None:
    async with served.connect() as socket:
        await initialise(socket)
        await subscribe(socket, "1", FOREVER)
        assert (await receive(socket))["type"] == "next"
        await send(socket, type="complete", id="1")
        await eventually(lambda: watch.open == 0, 1)
        await send(socket, type="complete", id="1")  # again, or for none, is no error
        await send(socket, type="complete", id="never")
        # The id is free again, and nothing of the first use comes any more.
        await subscribe(socket, "1", "{ hello }")
        assert [message["type"] for message in await answers(socket, 2)] == ["next", "complete"]


async def test_hundreds_of_stopped_operations_leave_nothing_behind(served: Served) -> None:
    async with served.connect() as socket:
        await initialise(socket)
        for _ in range(20):
            for number in range(30):
                query = [FOREVER, FLOOD, "{ wait(seconds: 60) }"][number % 3]
                await subscribe(socket, str(number), query)
            for number in range(30):
                await send(socket, type="complete", id=str(number))
        await subscribe(socket, "last", "{ hello }")
        while (await receive(socket))["id"] != "last":
            pass
        await eventually(lambda: watch.open == 0)
        await eventually(lambda: served.tasks().count("websocket operation") == 0)


async def test_operations_that_end_slowly_are_waited_for_not_piled_up(served: Served) -> None:
    async with served.connect() as socket:
        await initialise(socket)
        most = 0
        for number in range(600):
            await subscribe(socket, str(number), "subscription { stubborn { number } }")
            await receive(socket)
            await send(socket, type="complete", id=str(number))
            most = max(most, served.tasks().count("websocket operation"))
        assert most <= websocket_module.ENDING_OPERATIONS_MAX + 2
    await eventually(lambda: watch.open == 0)


async def test_hundreds_of_lost_sockets_leave_nothing_behind(served: Served) -> None:
    async def vanish() -> None:
        socket = await served.connect()
        await initialise(socket)
        for operation_id in "ab":
            await subscribe(socket, operation_id, FOREVER)
            await receive(socket)
        socket.transport.abort()

    for _ in range(10):
        await asyncio.gather(*[vanish() for _ in range(25)])
    assert watch.opened == 500
    await eventually(lambda: watch.open == 0 and not served.tasks())


async def test_operations_on_a_socket_are_bounded(served: Served) -> None:
    async with served.connect() as socket:
        await initialise(socket)
        for number in range(websocket_module.OPERATIONS_MAX):
            await subscribe(socket, str(number), "{ wait(seconds: 60) }")
        await subscribe(socket, "more", "{ hello }")
        message = await receive(socket)
        assert (message["type"], message["id"]) == ("error", "more")
        assert message["payload"][0]["extensions"]["code"] == "LIMIT_EXCEEDED"
        await send(socket, type="complete", id="0")
        await subscribe(socket, "more", "{ hello }")
        assert (await receive(socket))["type"] == "next"


# ---------------------------------------------------------------- the protocol's rules


@pytest.mark.parametrize("subprotocols", [[], ["graphql-ws"], ["soap"]])
async def test_other_subprotocols_are_4406(served: Served, subprotocols: list[str]) -> None:
    async with served.connect(subprotocols=subprotocols or None) as socket:
        assert (await closed(socket))[0] == 4406


async def test_the_right_subprotocol_may_stand_among_others(served: Served) -> None:
    async with served.connect(subprotocols=["graphql-ws", "graphql-transport-ws"]) as socket:
        await initialise(socket)


DEEP = "[" * 100_000 + "]" * 100_000


@pytest.mark.parametrize("initialised", [True, False])
@pytest.mark.parametrize(
    "message",
    [
        "",
        "text",
        "{",
        "null",
        "3",
        '"text"',
        "[]",
        "{}",
        DEEP,
        '{"type": "ping", "payload": ' + DEEP + "}",
        '{"type": null}',
        '{"type": ["ping"]}',
        '{"type": "unheard-of"}',
        '{"type": "next", "id": "1", "payload": {}}',
        '{"type": "connection_ack"}',
        '{"type": "start", "id": "1", "payload": {"query": "{ hello }"}}',
        '{"type": "ping", "payload": 3}',
        '{"type": "ping", "payload": []}',
        '{"type": "pong", "payload": "text"}',
        '{"type": "subscribe"}',
        '{"type": "subscribe", "id": ["1"], "payload": {"query": "{ hello }"}}',
        '{"type": "subscribe", "id": 1, "payload": {"query": "{ hello }"}}',
        '{"type": "subscribe", "id": "", "payload": {"query": "{ hello }"}}',
        '{"type": "subscribe", "id": "' + "x" * 300 + '", "payload": {"query": "{ hello }"}}',
        '{"type": "subscribe", "payload": {"query": "{ hello }"}}',
        '{"type": "complete"}',
        '{"type": "complete", "id": null}',
        '{"type": "\\ud800"}',
        '{"type": "' + "ö" * 5_000 + '"}',
        b"binary",
        b'{"type": "ping"}',
        b"\xff\xfe",
        b"",
    ],
    ids=range(33),
)
async def test_malformed_messages_close_with_4400(served: Served, message: str | bytes, initialised: bool) -> None:
    async with served.connect() as socket:
        if initialised:
            await initialise(socket)
        await socket.send(message)
        code, reason = await closed(socket)
        assert code == 4400
        assert reason
    await eventually(lambda: not served.tasks())


@pytest.mark.parametrize(
    "payload",
    [None, 3, "text", [], {}, {"query": None}, {"query": 3}, {"query": ["{ hello }"]},
     {"query": "{ hello }", "variables": []}, {"query": "{ hello }", "variables": "{}"},
     {"query": "{ hello }", "operationName": 3}, {"query": "{ hello }", "extensions": 3}],
)  # fmt: skip
async def test_malformed_operations_close_with_4400(served: Served, payload: Any) -> None:
    async with served.connect() as socket:
        await initialise(socket)
        await send(socket, type="subscribe", id="1", payload=payload)
        code, reason = await closed(socket)
        assert code == 4400
        assert reason


@pytest.mark.parametrize("payload", [3, "text", [], False])
async def test_a_malformed_initialisation_closes_with_4400(served: Served, payload: Any) -> None:
    async with served.connect() as socket:
        await send(socket, type="connection_init", payload=payload)
        assert (await closed(socket))[0] == 4400


async def test_text_that_is_not_utf_8_closes_with_the_code_that_rfc_6455_has_for_it(served: Served) -> None:
    async with served.connect() as socket:
        await initialise(socket)
        socket.protocol.send_frame(Frame(Opcode.TEXT, b"\xff\xfe"))
        socket.send_data()
        assert (await closed(socket))[0] == 1007


async def test_a_message_that_is_too_long_closes_with_1009(served: Served) -> None:
    async with served.connect() as socket:
        await initialise(socket)
        await send(socket, type="ping", payload={"x": "x" * 20_000_000})
        assert (await closed(socket))[0] == 1009


async def test_an_id_that_is_in_use_closes_with_4409(served: Served) -> None:
    async with served.connect() as socket:
        await initialise(socket)
        name = "ö" * 200
        await subscribe(socket, name, FOREVER)
        await subscribe(socket, name, "{ hello }")
        code, reason = await closed(socket)
        assert code == 4409
        assert reason is not None
        assert len(reason.encode()) <= 123
    await eventually(lambda: watch.open == 0)


async def test_a_second_initialisation_closes_with_4429(served: Served) -> None:
    async with served.connect() as socket:
        await initialise(socket)
        await send(socket, type="connection_init", payload={"token": "good"})
        assert (await closed(socket))[0] == 4429


async def test_subscribe_before_the_acknowledgement_closes_with_4401(served: Served) -> None:
    async with served.connect("/graphql?token=good") as socket:
        await subscribe(socket, "1", "{ hello }")
        assert (await closed(socket))[0] == 4401


async def test_a_socket_that_is_not_initialised_in_time_closes_with_4408(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket_module, "INIT_SECONDS_MAX", 0.5)
    started = time.monotonic()
    async with served.connect() as socket:
        with suppress(ConnectionClosed):  # on a busy machine it is closed before the last one
            for _ in range(3):  # pings do not prolong it
                await asyncio.sleep(0.1)
                await send(socket, type="ping")
        assert (await closed(socket))[0] == 4408
    assert 0.4 < time.monotonic() - started < 2
    async with served.connect() as socket:
        await initialise(socket)
        await asyncio.sleep(0.8)
        await send(socket, type="ping")
        assert await receive(socket) == {"type": "pong"}


async def test_pings_are_answered_with_their_payload(served: Served) -> None:
    async with served.connect() as socket:
        await send(socket, type="ping")
        assert await receive(socket) == {"type": "pong"}
        await send(socket, type="ping", payload={"at": 1})
        assert await receive(socket) == {"type": "pong", "payload": {"at": 1}}
        await send(socket, type="ping", payload=None)
        assert await receive(socket) == {"type": "pong"}
        await send(socket, type="pong", payload={"at": 1})
        await initialise(socket)


# ---------------------------------------------------------------- tokens


@pytest.mark.parametrize(
    "payload",
    [{"Authorization": "Bearer good"}, {"authorization": "bearer good"}, {"AUTHORIZATION": "good"},
     {"token": "good"}, {"Token": "Bearer good"}, {"Authorization": "good", "token": "bad"},
     {"Authorization": None, "token": "good"}, {"token": "good", "other": [1]}],
)  # fmt: skip
async def test_the_payload_of_connection_init_carries_a_token(served: Served, payload: dict[str, Any]) -> None:
    async with served.connect() as socket:
        await send(socket, type="connection_init", payload=payload)
        assert await receive(socket) == {"type": "connection_ack"}


CARRIED: list[tuple[str, dict[str, str], Any]] = [
    ("", {"Authorization": "Bearer good"}, None),
    ("?token=good", {}, None),
    ("", {"Cookie": "token=good", "Origin": ORIGIN}, None),
    # The first that is present counts: header, payload, query, cookie.
    ("?token=bad", {"Authorization": "Bearer good"}, {"token": "bad"}),
    ("?token=bad", {"Cookie": "token=bad", "Origin": ORIGIN}, {"token": "good"}),
    ("?token=good", {"Cookie": "token=bad", "Origin": ORIGIN}, {}),
    ("?token=good", {"Authorization": "Basic eDp5"}, None),
]


@pytest.mark.parametrize(("query", "headers", "payload"), CARRIED)
async def test_other_carriers_count_in_their_order(
    served: Served, query: str, headers: dict[str, str], payload: Any
) -> None:
    async with served.connect(f"/graphql{query}", additional_headers=headers) as socket:
        await send(socket, type="connection_init", payload=payload)  # null is allowed
        assert await receive(socket) == {"type": "connection_ack"}


NOT_CARRIED: list[tuple[str, dict[str, str], Any]] = [
    ("", {}, None),
    ("", {}, {}),
    ("", {}, {"token": "bad"}),
    ("", {}, {"token": 3}),
    ("", {}, {"Authorization": ["Bearer good"]}),
    ("?token=good", {"Authorization": "Bearer bad"}, {"token": "good"}),
    ("?token=good", {}, {"token": "bad"}),
    ("?token=bad", {"Cookie": "token=good", "Origin": ORIGIN}, None),
    ("?token=", {}, None),
    # A cookie comes along with every page's requests, so the page must be one of ours.
    ("", {"Cookie": "token=good"}, None),
    ("", {"Cookie": "token=good", "Origin": "https://evil.example.com"}, None),
    ("", {"Cookie": "token=good", "Origin": "null"}, None),
    ("", {"Cookie": "token=good", "Origin": ORIGIN + ".evil.example.com"}, None),
]


@pytest.mark.parametrize(("query", "headers", "payload"), NOT_CARRIED)
async def test_without_a_good_token_the_socket_closes_with_4401(
    served: Served, query: str, headers: dict[str, str], payload: Any
) -> None:
    async with served.connect(f"/graphql{query}", additional_headers=headers) as socket:
        await send(socket, type="connection_init", payload=payload)
        code, reason = await closed(socket)
        assert code == 4401
        assert reason


async def test_a_cookie_counts_from_the_servers_own_origin(served: Served) -> None:
    headers = {"Cookie": "token=good", "Origin": f"http://127.0.0.1:{served.port}"}
    async with served.connect(additional_headers=headers) as socket:
        await send(socket, type="connection_init")
        assert await receive(socket) == {"type": "connection_ack"}


async def test_keys_that_cannot_be_fetched_close_with_1013(served: Served) -> None:
    async with served.connect() as socket:
        await send(socket, type="connection_init", payload={"token": "away"})
        assert (await closed(socket))[0] == 1013


@pytest.mark.parametrize("query", [FOREVER, FLOOD, "{ wait(seconds: 60) }"])
async def test_a_token_that_expires_closes_with_4403_in_a_replay_too(served: Served, query: str) -> None:
    async with served.connect() as socket:
        started = time.monotonic()
        await initialise(socket, "for:1")
        await subscribe(socket, "1", query)
        assert await closed(socket) == (4403, "The token has expired")
        assert 0.8 < time.monotonic() - started < 3
    await eventually(lambda: watch.open == 0 and not served.tasks())


# ---------------------------------------------------------------- slow readers and bounds


class Deaf:
    """A client that subscribes by hand and then reads nothing."""

    def __init__(self, served: Served, query: str, operations: int = 1) -> None:
        self.connection = sockets.socket()
        self.connection.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 65_536)
        self.connection.connect(("127.0.0.1", served.port))
        lines = [
            "GET /graphql HTTP/1.1", "Host: x", "Upgrade: websocket", "Connection: Upgrade",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Protocol: graphql-transport-ws", "", "",
        ]  # fmt: skip
        self.connection.sendall("\r\n".join(lines).encode())
        self.connection.recv(1_000)
        self.write({"type": "connection_init", "payload": {"token": "good"}})
        for number in range(operations):
            self.write({"type": "subscribe", "id": str(number), "payload": {"query": query}})

    def write(self, message: Any) -> None:
        frame = Frame(Opcode.TEXT, json.dumps(message).encode())
        self.connection.sendall(frame.serialize(mask=True))


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
        slowest = 0.0
        for number in range(20):
            started = time.monotonic()
            await subscribe(socket, str(number), "{ hello }")
            await answers(socket, 2)
            slowest = max(slowest, time.monotonic() - started)
            await asyncio.sleep(0.05)
    assert slowest < 0.5
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
    assert time.monotonic() - started < 6
    assert watch.open == 0
    deaf[0].connection.close()
