"""One customer cannot take another's room: what its clients get who ask for too much at once."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import asyncpg
import httpx
import pytest
import websockets

from app import attempts, bounds, db, metrics, outdials, turns
from app.auth import Viewer
from app.lifecycle import AttemptState
from app.records import AttemptStart
from app.settings import Settings
from app.turns import Lanes
from tests.conftest import Databases, Kind
from tests.support import factories
from tests.support.graphql_client import Client
from tests.support.server import ServerProcess
from tests.support.transport import Served, eventually, watch

T = TypeVar("T")

WAIT = "{ wait(seconds: 2) }"


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """One operation at a time, one that waits, not for long."""
    monkeypatch.setattr(turns, "OPERATIONS_MAX", 1)
    monkeypatch.setattr(turns, "OPERATIONS_WAITING_MAX", 1)
    monkeypatch.setattr(turns, "OPERATION_WAIT_SECONDS_MAX", 0.8)
    with Served() as served:
        yield served


@pytest.fixture
async def caller(served: Served) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"Authorization": "Bearer good"}
    async with httpx.AsyncClient(
        base_url=served.url.removesuffix("/graphql"), headers=headers, timeout=20, trust_env=False
    ) as caller:
        yield caller


def turns_waiting() -> float:
    waiting: float = metrics.waiting_for_turns.labels("operations")._value.get()
    return waiting


async def post(caller: httpx.AsyncClient, query: str) -> httpx.Response:
    return await caller.post("/graphql", json={"query": query})


async def test_too_many_requests_at_once_are_429_and_a_late_turn_is_503(caller: httpx.AsyncClient) -> None:
    runs = asyncio.create_task(post(caller, WAIT))
    await eventually(lambda: watch.open == 1)
    waits = asyncio.create_task(post(caller, "{ hello }"))
    await eventually(lambda: turns_waiting() == 1)
    refused = await post(caller, "{ hello }")
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "1")
    [error] = refused.json()["errors"]
    assert error["extensions"]["code"] == "RATE_LIMITED"
    late = await waits
    assert (late.status_code, late.headers["Retry-After"]) == (503, "1")
    assert late.json()["errors"][0]["extensions"]["code"] == "UNAVAILABLE"
    assert (await runs).json() == {"data": {"wait": "done"}}
    assert (await post(caller, "{ hello }")).json() == {"data": {"hello": "hello world"}}


async def test_on_a_socket_they_are_errors_of_their_operations(served: Served) -> None:
    async with served.connect() as socket:
        await socket.send(json.dumps({"type": "connection_init", "payload": {"token": "good"}}))
        assert json.loads(await socket.recv())["type"] == "connection_ack"
        for operation_id, query in (("runs", WAIT), ("late", "{ hello }"), ("refused", "{ hello }")):
            await socket.send(json.dumps({"type": "subscribe", "id": operation_id, "payload": {"query": query}}))
        found = [json.loads(await socket.recv()) for _ in range(4)]
    errors = [(one["id"], one["payload"][0]["extensions"]["code"]) for one in found if one["type"] == "error"]
    assert errors == [("refused", "RATE_LIMITED"), ("late", "UNAVAILABLE")]
    assert [one["id"] for one in found if one["type"] != "error"] == ["runs"] * 2


async def test_subscriptions_and_sockets_of_a_customer_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    few = Settings.model_construct(customer_sockets_max=2, customer_subscriptions_max=3)
    monkeypatch.setattr(bounds, "_settings", few)
    count = "subscription { count(to: 100, pause: 1) { number } }"
    with Served() as served:
        sockets = [await _opened(served) for _ in range(2)]
        async with served.connect() as third:
            await third.send(json.dumps({"type": "connection_init", "payload": {"token": "good"}}))
            with pytest.raises(websockets.ConnectionClosedError) as closed:
                await third.recv()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1013  # clients come back later
        for number in range(4):
            await sockets[number % 2].send(
                json.dumps({"type": "subscribe", "id": str(number), "payload": {"query": count}})
            )
            answer = json.loads(await sockets[number % 2].recv())
            assert answer["type"] == ("next" if number < 3 else "error")
        assert answer["payload"][0]["extensions"]["code"] == "LIMIT_EXCEEDED"
        await sockets[0].close()
        sockets.append(await _opened(served))  # there is room again, for both
        await sockets[2].send(json.dumps({"type": "subscribe", "id": "5", "payload": {"query": count}}))
        assert json.loads(await sockets[2].recv())["type"] == "next"
        for socket in sockets[1:]:
            await socket.close()


async def _opened(served: Served) -> Any:
    socket = await served.connect()
    await socket.send(json.dumps({"type": "connection_init", "payload": {"token": "good"}}))
    assert json.loads(await socket.recv())["type"] == "connection_ack"
    return socket


PAGE = """query ($id: ID!) { outdial(id: $id) { targets(first: 100) { nodes { id name data destination0 { target }
    currentAttempt { id } attempts { totalCount } } } } }"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_fifty_requests_at_once_refuse_nothing_of_anothers_and_lose_no_lease(
    databases: Databases, tmp_path: Path, kind: Kind
) -> None:
    async with databases.fresh(kind) as url:
        with ServerProcess(url, tmp_path) as server:
            async with (
                Client(server.url, "018f0000-0000-7000-8000-00000000000a") as many,
                Client(server.url, "018f0000-0000-7000-8000-00000000000b") as few,
            ):
                crowded = await many.outdial()
                await asyncio.gather(*[many.target(crowded["id"], name=f"Person {number}") for number in range(100)])
                mine = await few.outdial(dialPolicy={"leaseSeconds": 15})
                await few.target(mine["id"])
                claimed = await few.good("claimTargets", outdialId=mine["id"], limit=1)
                [attempt] = claimed["attempts"]
                stop = asyncio.Event()

                async def ask() -> int:
                    answered = 0
                    while not stop.is_set():
                        answer = await many.send(PAGE, id=crowded["id"])
                        assert "errors" not in answer
                        answered += 1
                    return answered

                asking = [asyncio.create_task(ask()) for _ in range(50)]
                for _ in range(30):
                    answer = await few.send("query ($id: ID!) { outdial(id: $id) { name } }", id=mine["id"])
                    assert answer == {"data": {"outdial": {"name": mine["name"]}}}
                    extended = await few.good("extendAttempts", attemptIds=[attempt["id"]])
                    assert [one["id"] for one in extended["attempts"]] == [attempt["id"]]
                stop.set()
                assert min(await asyncio.gather(*asking)) >= 1  # the many are served, too


async def test_calls_that_wait_for_locks_leave_connections_for_other_customers(
    postgres_url: str, viewer: Viewer, stranger: Viewer
) -> None:
    await db.connect(postgres_url, pool_size=10)
    try:
        outdial = await factories.make_outdial(viewer)
        theirs = await factories.make_outdial(stranger)
        await factories.make_targets(viewer, outdial.id, 12)
        claimed = await attempts.claim(viewer, outdial.id, limit=12)
        async with another_session(postgres_url) as holder:
            await holder.execute("BEGIN")
            await holder.execute("SELECT 1 FROM target FOR UPDATE")
            stuck = [
                asyncio.create_task(_in_turn(viewer, attempts.start(viewer, starts=[AttemptStart(one.id)])))
                for one in claimed
            ]
            await asyncio.sleep(0.5)
            began = time.monotonic()
            for _ in range(20):
                found = await _in_turn(stranger, outdials.get_many(stranger, [theirs.id]))
                assert list(found) == [theirs.id]
            await db.ping()
            assert time.monotonic() - began < 3  # they would wait for ten seconds
            assert not any(task.done() for task in stuck)
            await holder.execute("ROLLBACK")
        ended = await asyncio.gather(*stuck)
        assert {attempt.state for result in ended for attempt in result.attempts} == {AttemptState.DIALING}
    finally:
        await db.close()


async def _in_turn(viewer: Viewer, work: Awaitable[T]) -> T:
    async with Lanes().turn(viewer.customer_id, is_dialing=True):
        return await work


@asynccontextmanager
async def another_session(url: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()
