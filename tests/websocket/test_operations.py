"""graphql-transport-ws on a real server: operations, side by side, of any number and length."""

import asyncio
import json
from typing import Any

import pytest

from app.graphql.transport import websocket as websocket_module
from tests.support.sockets import FLOOD, FOREVER, answers
from tests.support.transport import (
    Served,
    eventually,
    initialise,
    receive,
    send,
    subscribe,
    watch,
)


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
        await eventually(lambda: watch.open == 0)
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
            await subscribe(socket, str(number), "subscription { count(to: 2, pause: 60) { number } }")
            assert (await receive(socket))["type"] == "next"
        await subscribe(socket, "more", "{ hello }")
        message = await receive(socket)
        assert (message["type"], message["id"]) == ("error", "more")
        assert message["payload"][0]["extensions"]["code"] == "LIMIT_EXCEEDED"
        await send(socket, type="complete", id="0")
        await subscribe(socket, "more", "{ hello }")
        assert (await receive(socket))["type"] == "next"


async def test_messages_of_all_lengths_arrive_whole(served: Served) -> None:
    """A frame has its length in 7, 16 or 64 bits."""
    frame = len('{"type":"next","id":"x","payload":{"data":{"count":{"text":""}}}}')
    async with served.connect(max_size=None) as socket:
        await initialise(socket)
        for length in (frame, 125, 126, 127, 65_535, 65_536, 65_537, 3_000_000):
            await subscribe(socket, "x", f"subscription {{ count(to: 2, size: {length - frame}) {{ text }} }}")
            for _ in range(2):
                text = await socket.recv()
                assert isinstance(text, str)
                assert len(text) == length
                assert json.loads(text)["payload"]["data"]["count"]["text"] == "x" * (length - frame)
            assert (await receive(socket))["type"] == "complete"
