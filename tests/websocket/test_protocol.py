"""The rules of graphql-transport-ws: each fault closes with its code, and pings are answered."""

import asyncio
import time
from contextlib import suppress
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode

from app.graphql.transport import websocket as websocket_module
from tests.support.sockets import FOREVER
from tests.support.transport import (
    Served,
    closed,
    eventually,
    initialise,
    receive,
    send,
    subscribe,
    watch,
)


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
    assert 0.4 < time.monotonic() - started < 15
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
