"""Clients that vanish, and clients that never read: nothing of them stays."""

import ast
import asyncio
import gc
import importlib
import inspect
import pkgutil
import random
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from websockets.server import ServerProtocol

import app as package
from app.server.connections import counting
from app.server.connections.http import HttpProtocol
from app.server.connections.websocket import WebSocketProtocol
from tests.support import raw
from tests.support.raw import Raw, frame, head
from tests.support.server import ServerProcess, token
from tests.support.transport import Served, eventually, watch

POLLING = "subscription { polling { number } }"
FLOOD = "subscription { count(to: 999999999, size: 100000) { text } }"


@pytest.fixture
def served() -> Iterator[Served]:
    with Served(http=HttpProtocol, ws=WebSocketProtocol) as served:
        yield served


# ---------------------------------------------------------------- drops


@pytest.mark.parametrize("ending", ["drop", "close", "bad"])
async def test_no_dropped_socket_leaves_a_subscription_running(served: Served, ending: str) -> None:
    for _ in range(10):
        opened = [Raw(served.port).upgrade().initialise() for _ in range(10)]
        for connection in opened:
            connection.say(type="subscribe", id="1", payload={"query": POLLING})
            assert connection.hear()["type"] == "next"
        for connection in opened:
            if ending == "drop":
                connection.drop()
            elif ending == "close":
                connection.close()
            else:
                connection.send(frame(b"[]"))
        await eventually(lambda: watch.open == 0 and not served.tasks())
        for connection in opened:
            connection.close()
    assert watch.opened == 100
    await eventually(lambda: not served.server.server_state.connections)


async def test_an_operation_that_the_client_has_stopped_is_cancelled_once(served: Served) -> None:
    connection = Raw(served.port).upgrade().initialise()
    connection.say(type="subscribe", id="1", payload={"query": "subscription { stubborn { number } }"})
    assert connection.hear()["type"] == "next"
    connection.say(type="complete", id="1")
    await asyncio.sleep(0.05)
    connection.drop()
    # A second cancellation would end the cleanup before it has counted.
    await eventually(lambda: watch.open == 0 and not served.tasks())


# ---------------------------------------------------------------- clients that never read


async def test_a_stream_that_nobody_reads_ends(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.graphql.transport.sse.SEND_SECONDS_MAX", 0.3)
    monkeypatch.setattr(counting, "UNREAD_SECONDS_MAX", 0.5)
    with Raw(served.port, buffer=4_096) as deaf:
        body = b'{"query": "%b"}' % FLOOD.encode()
        lines = ["Authorization: Bearer good", "Accept: text/event-stream", "Content-Type: application/json"]
        deaf.send(head("/graphql", *lines, f"Content-Length: {len(body)}", method="POST") + body)
        await eventually(lambda: watch.opened == 1)
        await eventually(lambda: watch.open == 0 and not served.tasks())
        await eventually(lambda: not served.server.server_state.connections)


async def test_answers_that_nobody_reads_are_dropped(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "UNREAD_SECONDS_MAX", 0.5)
    with Raw(served.port, buffer=4_096, seconds=2) as deaf:
        body = b'{"query": "{ hello(name: \\"%b\\") }"}' % (b"x" * 90_000)
        lines = ["Authorization: Bearer good", "Content-Type: application/json", f"Content-Length: {len(body)}"]
        with suppress(OSError):
            for _ in range(200):
                deaf.send(head("/graphql", *lines, method="POST") + body)
        await eventually(lambda: not served.server.server_state.connections)


async def test_an_answer_that_is_read_slowly_arrives(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "UNREAD_SECONDS_MAX", 0.5)
    monkeypatch.setattr(counting, "LOOK_SECONDS", 0.1)
    body = b'{"query": "{ %b }"}' % b" ".join(
        b'a%d: hello(name: \\"%b\\")' % (number, b"x" * 90_000) for number in range(1)
    )
    lines = ["Authorization: Bearer good", "Content-Type: application/json", f"Content-Length: {len(body)}"]
    with Raw(served.port, buffer=4_096) as slow:
        for _ in range(40):
            slow.send(head("/graphql", *lines, method="POST") + body)
            await asyncio.sleep(0.03)
            status, _, answer = await asyncio.to_thread(slow.answer)
            assert (status, len(answer)) == (200, 90_000 + len('{"data":{"a0":"hello "}}'))


# ---------------------------------------------------------------- memory


async def test_refused_sockets_need_no_garbage_collector(served: Served) -> None:
    """What an error's traceback holds, and it, would be freed only by the collector, which may look minutes later."""

    def left() -> list[Any]:
        kinds = (ServerProtocol, HttpToolsProtocol, WebSocketProtocol)
        return [found for found in gc.get_objects() if isinstance(found, kinds)]

    with Raw(served.port) as connection:  # so that everything is loaded
        connection.upgrade().send(frame(b"[]")).close_code()
    gc.collect()
    gc.disable()
    try:
        ends = [
            frame(b'{"type": "connection_init", "payload": {"token": "bad"}}'),
            frame(b"[]"),
            frame(b"[" * 300),
            frame(b"x" * 100_000),
            frame(b"\xff\xfe"),
            frame(b"", 0),
            frame(b"x", raw.PING) * 500,
            frame(b"\x03\xe8", raw.CLOSE),
        ]
        for end in ends * 3:
            with Raw(served.port) as connection:
                connection.upgrade().send(end)
                connection.close_code()
        for request in (b"NONSENSE\r\n\r\n", head("/graphql"), b"GET / HTTP/1.1\r\n\r\n", b"GET /" + b"x" * 40_000):
            with Raw(served.port) as connection:
                connection.send(request).answer()
        await eventually(lambda: not served.server.server_state.connections)
        await eventually(lambda: len(left()) <= 1, 3)
    finally:
        gc.enable()


KEPT = {"app.events.watching", "app.graphql.schema.loading"}
"""A watch keeps its failure until nobody follows it any more; a loader, for the time of its operation, for those who
await it again. What shows an error to the client takes its traceback away, and so ends the cycle."""


def _names(node: ast.Assign | ast.AnnAssign | ast.NamedExpr) -> set[str]:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return {target.id for target in targets if isinstance(target, ast.Name)}


def test_no_error_is_kept() -> None:
    """`name = error` keeps its traceback, whose frames hold `name`: a cycle with all that the frames hold."""
    kept = []
    assigning = (ast.Assign, ast.AnnAssign, ast.NamedExpr)
    for module in pkgutil.walk_packages(package.__path__, "app."):
        source = inspect.getsource(importlib.import_module(module.name))
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.ExceptHandler) and node.name is not None:
                for inner in ast.walk(node):
                    if isinstance(inner, assigning):
                        parts = inner.value.elts if isinstance(inner.value, ast.Tuple) else [inner.value]
                        if any(isinstance(part, ast.Name) and part.id == node.name for part in parts):
                            kept.append((module.name, inner.lineno))
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                inside = list(ast.walk(node))
                names = set().union(*(_names(inner) for inner in inside if isinstance(inner, assigning)))
                raised = [inner for inner in inside if isinstance(inner, ast.Raise)]
                kept += [
                    (module.name, inner.lineno)
                    for inner in raised
                    if isinstance(inner.exc, ast.Name) and inner.exc.id in names
                ]
    assert [place for place in kept if place[0] not in KEPT] == []


# ---------------------------------------------------------------- soak


def _numbers(server: ServerProcess) -> list[float]:
    """How many sockets, subscriptions and connections of the database the server knows of, by kind."""
    lines = httpx.get(f"{server.url}/metrics", trust_env=False).text.splitlines()
    names = ("outdial_open_sockets", "outdial_subscriptions", "outdial_database_connections_in_use ")
    return [float(line.rpartition(" ")[2]) for line in lines if line.startswith(names)]


def _storm(port: int, mine: str, *, sockets: int, seconds: float) -> None:
    chance = random.Random(4)
    opened: list[Raw] = []
    ends_at = time.monotonic() + seconds
    while time.monotonic() < ends_at:
        while len(opened) < sockets:
            connection = Raw(port).upgrade().initialise(mine)
            for number in range(3):
                query = "subscription { outdialEvents { type } }"
                connection.say(type="subscribe", id=str(number), payload={"query": query})
            opened.append(connection)
        chance.shuffle(opened)
        for _ in range(sockets // 4):
            connection = opened.pop()
            chance.choice([connection.drop, connection.drop, connection.close])()
    for connection in opened:
        connection.drop()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_after_a_storm_of_sockets_nothing_is_left(
    sqlite_template: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """500 sockets at a time, each with subscriptions. Most of them vanish without a close.

    At length: `pytest -n 0 -m slow -k storm --soak-seconds 300 --soak-sockets 2000 tests/test_drops.py`
    """
    seconds, sockets = (request.config.getoption(name) for name in ("--soak-seconds", "--soak-sockets"))
    database = tmp_path / "outdial.db"
    database.write_bytes(sqlite_template.read_bytes())
    mine = token(str(uuid4()))
    room = {
        "OUTDIAL_CUSTOMER_SOCKETS_MAX": str(2 * sockets),  # those that have vanished count until it is noticed
        "OUTDIAL_CUSTOMER_SUBSCRIPTIONS_MAX": str(6 * sockets),
        "OUTDIAL_ADDRESS_CONNECTIONS_MAX": str(2 * sockets),
    }
    with ServerProcess(f"sqlite:///{database}", tmp_path, environment=room) as server:
        _storm(server.port, mine, sockets=sockets, seconds=min(10, seconds))  # caches fill
        time.sleep(3)
        memory, files = raw.resident_mebibytes(server.pid), raw.descriptors(server.pid)
        _storm(server.port, mine, sockets=sockets, seconds=seconds)
        deadline = time.monotonic() + 10
        while any(_numbers(server)):
            assert time.monotonic() < deadline, _numbers(server)
            time.sleep(0.2)
        time.sleep(1)
        assert raw.descriptors(server.pid) <= files
        assert raw.resident_mebibytes(server.pid) < memory * 1.1
        started = time.monotonic()
    assert time.monotonic() - started < 5
