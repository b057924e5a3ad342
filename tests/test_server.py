"""The whole server as a process: its routes, what is said about each request, and how it stops."""

import asyncio
import json
import logging
import re
import shutil
import socket as sockets
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import structlog
import websockets
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app import server
from app.server import boundary
from app.server.connections.http import HttpProtocol
from app.server.connections.websocket import WebSocketProtocol
from tests.support.server import ServerProcess, token
from tests.support.sockets import Deaf
from tests.support.transport import ORIGIN, Served, closed, eventually, receive, watch

SECRET = "a secret of the tests, long enough for HS256"


def copied(template: Path, folder: Path) -> Path:
    return Path(shutil.copyfile(template, folder / "outdial.db"))


@pytest.fixture(scope="module")
def running(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("server")
    database = copied(sqlite_template, folder)
    environment = {"OUTDIAL_ALLOWED_ORIGINS": ORIGIN, "OUTDIAL_LOG_FORMAT": "json"}
    with ServerProcess(f"sqlite:///{database}", folder, environment=environment) as process:
        yield process


@pytest.fixture
async def client(running: ServerProcess) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=running.url, timeout=20, trust_env=False) as client:
        yield client


def bearer() -> dict[str, str]:
    return {"Authorization": f"Bearer {token(str(uuid4()))}"}


# ---------------------------------------------------------------- routes


async def test_the_probes_answer_everybody(client: httpx.AsyncClient) -> None:
    assert (await client.get("/healthz")).json() == {"alive": True}
    ready = await client.get("/readyz")
    assert (ready.status_code, ready.json()) == (200, {"ready": True})
    metrics = await client.get("/metrics")
    assert metrics.status_code == 200
    assert "outdial_http_requests_total" in metrics.text


async def test_graphql_runs_over_the_real_schema(client: httpx.AsyncClient) -> None:
    response = await client.post("/graphql", json={"query": "{ viewer { subject scopes } }"}, headers=bearer())
    assert response.json() == {"data": {"viewer": {"subject": "tester", "scopes": ["READ", "WRITE", "DIAL"]}}}


@pytest.mark.parametrize("path", ["/nothing", "/graphql/nothing", "/%00", "/%ff%fe", "/" + "x" * 5_000, "/..%2f"])
async def test_what_is_not_there_is_a_404_in_json(client: httpx.AsyncClient, path: str) -> None:
    for method in ("GET", "POST", "DELETE"):
        response = await client.request(method, path)
        assert response.status_code == 404
        assert response.json()["errors"][0]["extensions"]["code"] == "NOT_FOUND"


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/"])
async def test_other_methods_are_405_with_allow(client: httpx.AsyncClient, path: str) -> None:
    response = await client.post(path)
    assert response.status_code == 405
    assert {"GET", "HEAD"} <= set(response.headers["allow"].split(", "))
    assert response.json()["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"NONSENSE",
        b"GET /graphql",
        b"GET /gr\xffphql HTTP/1.1",
        b"GET /graphql?query=\xff HTTP/1.1",
        b"BREW /graphql HTTP/1.1",
        b"GET /graphql HTTP/1.1\r\nAccept: \xff\xfe\r\nCookie: \xff=\xff;;=;token",
        b"GET /graphql HTTP/1.1\r\nAuthorization: Bearer \xff\xfe",
        b"POST /graphql HTTP/1.1\r\nContent-Type: application/json; charset=\xff",
        b"POST /graphql HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzzz",
        b"GET /graphql HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade",
        (
            b"GET /nothing HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
        ),
    ],
    ids=range(11),
)
async def test_no_request_of_a_stranger_gives_a_500(running: ServerProcess, request_bytes: bytes) -> None:
    def exchange() -> bytes:
        with sockets.create_connection(("127.0.0.1", running.port), timeout=5) as connection:
            connection.sendall(request_bytes + b"\r\nHost: x\r\n\r\n")
            return connection.recv(65_536)

    status = (await asyncio.to_thread(exchange)).split(b"\r\n", 1)[0]
    assert re.match(rb"HTTP/1\.1 4\d\d", status), status


# ---------------------------------------------------------------- what every answer has


async def test_every_answer_has_a_request_id_that_the_log_has_too(
    running: ServerProcess, client: httpx.AsyncClient
) -> None:
    given = f"from-a-proxy.{uuid4()}"
    response = await client.get("/nothing", headers={"X-Request-Id": given})
    assert response.headers["x-request-id"] == given
    entries = [json.loads(line) for line in running.output().splitlines() if given in line]
    assert [(entry["request_id"], entry["path"], entry["status"]) for entry in entries] == [(given, "/nothing", 404)]
    for bad in ("a b", "x" * 65, "<script>", '"'):
        made = (await client.get("/nothing", headers={"X-Request-Id": bad})).headers["x-request-id"]
        assert re.fullmatch(r"[0-9a-f-]{36}", made)


async def test_every_answer_has_security_headers(client: httpx.AsyncClient) -> None:
    for path in ("/healthz", "/nothing", "/graphql"):
        headers = (await client.get(path)).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "no-referrer"
        assert "default-src 'none'" in headers["content-security-policy"]


async def test_metrics_know_routes_and_operations_never_paths(client: httpx.AsyncClient) -> None:
    secret_path = f"/{uuid4()}"
    await client.get(secret_path)
    await client.post("/graphql", json={"query": "query Mine { viewer { subject } }"}, headers=bearer())
    text = (await client.get("/metrics")).text
    assert secret_path not in text
    assert 'outdial_http_requests_total{method="GET",route="none",status="404"}' in text
    assert 'outdial_http_requests_total{method="POST",route="/graphql",status="200"}' in text
    assert 'outdial_graphql_operations_total{name="Mine",outcome="ok",type="query"}' in text


async def test_neither_tokens_nor_query_strings_are_logged(running: ServerProcess, client: httpx.AsyncClient) -> None:
    marked = f"marked{uuid4().hex}"
    good = token(str(uuid4()))
    await client.get(f"/nothing?token={marked}")
    await client.get("/graphql", params={"query": "{ viewer { subject } }", "x": marked}, headers=bearer())
    url = f"{running.socket_url}?token={good}&x={marked}"
    async with websockets.connect(url, subprotocols=["graphql-transport-ws"]) as socket:
        await socket.send('{"type": "connection_init"}')
        assert await receive(socket) == {"type": "connection_ack"}
    await asyncio.sleep(0.2)
    assert marked not in running.output()
    assert good[-20:] not in running.output()
    assert "?" not in "".join(
        json.loads(line).get("path", "") for line in running.output().splitlines() if line[0] == "{"
    )


# ---------------------------------------------------------------- bugs


async def test_a_bug_is_a_500_that_says_nothing_but_an_id() -> None:
    async def bug(_request: Request) -> Response:
        raise ValueError("a secret")

    app = Starlette(routes=[Route("/bug", bug)], middleware=boundary.middleware([ORIGIN]))
    transport = httpx.ASGITransport(app)
    with structlog.testing.capture_logs() as log:
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            response = await client.get("/bug")
    error = response.json()["errors"][0]
    assert (response.status_code, error["extensions"]["code"]) == (500, "INTERNAL")
    assert "secret" not in response.text
    assert response.headers["x-request-id"]
    assert error["extensions"]["id"] in [entry.get("error_id") for entry in log]


def test_uvicorns_own_lines_about_requests_are_kept_from_the_log() -> None:
    server._silence_query_strings()
    server._silence_query_strings()
    for name in ("uvicorn.access", "uvicorn.error"):
        assert logging.getLogger(name).filters.count(server._says_no_url) == 1
    record = logging.LogRecord("uvicorn.error", logging.INFO, "", 0, '%s - "WebSocket %s" [accepted]', (), None)
    assert not server._says_no_url(record)


# ---------------------------------------------------------------- readiness


async def test_an_outdated_schema_and_a_lost_database_are_not_ready(sqlite_template: Path, tmp_path: Path) -> None:
    database = copied(sqlite_template, tmp_path)
    with ServerProcess(f"sqlite:///{database}", tmp_path) as process:
        async with httpx.AsyncClient(base_url=process.url, trust_env=False) as client:
            assert (await client.get("/readyz")).status_code == 200
            with closing(sqlite3.connect(database)) as connection:
                tables = connection.execute("SELECT name FROM sqlite_master WHERE name LIKE '%migration%'").fetchall()
                connection.execute(f"DELETE FROM {tables[0][0]}")
                connection.commit()
            await asyncio.sleep(1.1)
            response = await client.get("/readyz")
            assert (response.status_code, response.json()["ready"]) == (503, False)
            assert (await client.get("/healthz")).status_code == 200


# ---------------------------------------------------------------- the end


async def test_a_server_with_open_sockets_and_streams_stops_in_seconds(sqlite_template: Path, tmp_path: Path) -> None:
    database = copied(sqlite_template, tmp_path)
    process = ServerProcess(f"sqlite:///{database}", tmp_path)
    await process.started()
    headers = {**bearer(), "Accept": "text/event-stream"}
    body = {"query": "subscription { outdialEvents { type } }"}
    async with httpx.AsyncClient(base_url=process.url, headers=headers, trust_env=False, timeout=20) as client:
        options: dict[str, Any] = {"subprotocols": ["graphql-transport-ws"], "additional_headers": bearer()}
        async with (
            client.stream("POST", "/graphql", json=body) as stream,
            websockets.connect(process.socket_url, **options) as socket,
        ):
            chunks = stream.aiter_bytes()
            assert await anext(chunks) == b":\n\n"
            await socket.send('{"type": "connection_init"}')
            await receive(socket)
            await socket.send(json.dumps({"type": "subscribe", "id": "1", "payload": body}))
            await asyncio.sleep(0.3)
            started = time.monotonic()
            stopping = asyncio.create_task(asyncio.to_thread(process.stop))
            assert (await closed(socket))[0] == 1012
            assert [chunk async for chunk in chunks] == []
            await stopping
            assert time.monotonic() - started < 8


def test_a_client_that_answers_no_ping_is_cut_off_without_1011() -> None:
    # After 1011 graphql-ws never connects again; after a lost connection it does.
    with Served(ws=WebSocketProtocol, ws_ping_interval=0.2, ws_ping_timeout=0.2) as served:

        async def sleep_through_it() -> bytes:
            deaf = Deaf(served, "subscription { count(to: 9, pause: 60) { number } }")
            await eventually(lambda: watch.opened == 1)
            await eventually(lambda: watch.open == 0)
            received = b""
            try:
                while chunk := deaf.connection.recv(65_536):
                    received += chunk
            except ConnectionResetError:
                pass
            deaf.connection.close()
            return received

        assert b"\x03\xf3" not in asyncio.run(sleep_through_it())  # 1011 in a close frame


def test_a_client_that_never_takes_its_last_messages_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.graphql.transport.websocket.SEND_SECONDS_MAX", 0.3)
    monkeypatch.setattr("app.server.connections.websocket.DRAIN_SECONDS_MAX", 0.3)
    monkeypatch.setattr("app.server.connections.counting.UNREAD_SECONDS_MAX", 0.3)
    with Served(http=HttpProtocol, ws=WebSocketProtocol) as served:

        async def wait() -> None:
            deaf = Deaf(served, "subscription { count(to: 999999999, size: 100000) { text } }")
            await eventually(lambda: watch.opened == 1)
            await eventually(lambda: not served.server.server_state.connections)
            deaf.connection.close()

        asyncio.run(wait())
