"""Handshakes of WebSockets, right and wrong: each is answered, or its connection ends."""

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from uuid import uuid4

import httpx
import pytest
from starlette.websockets import WebSocket

from tests.bounds import code
from tests.bounds.test_connections import limited
from tests.support.raw import KEY, PING, PONG, Raw, frame, head
from tests.support.server import SCOPES, ServerProcess, token

UPGRADE = ("Upgrade: websocket", "Connection: Upgrade")
SUBPROTOCOL = "Sec-WebSocket-Protocol: graphql-transport-ws"
VERSION = "Sec-WebSocket-Version: 13"
USUAL = (*UPGRADE, f"Sec-WebSocket-Key: {KEY}", VERSION, SUBPROTOCOL)


def handshake(*lines: str, path: str = "/graphql", method: str = "GET", usual: tuple[str, ...] = USUAL) -> bytes:
    return head(path, *usual, *lines, method=method)


def without(line: str, *instead: str) -> bytes:
    return handshake(*instead, usual=tuple(other for other in USUAL if not other.startswith(line)))


HANDSHAKES = {
    "usual": (handshake(), 101),
    "a header of 9,000 bytes": (handshake("X-A: " + "a" * 9_000), 101),
    "a header of 31,000 bytes": (handshake("X-A: " + "a" * 31_000), 101),
    "a header of 40,000 bytes": (handshake("X-A: " + "a" * 40_000), 431),
    "a cookie of 9,000 bytes": (handshake("Cookie: a=" + "a" * 9_000), 101),
    "a token of 16,384 characters": (handshake("Authorization: Bearer " + "a" * 16_384), 101),
    "a query of 9,000 bytes": (handshake(path="/graphql?token=" + "a" * 9_000), 101),
    "100 headers": (handshake(*(f"X-{number}: a" for number in range(94))), 101),
    "101 headers": (handshake(*(f"X-{number}: a" for number in range(95))), 431),
    "bytes beyond ASCII in a header": (handshake("X-A: a").replace(b"X-A: a", b"X-A: \xff\xc3"), 101),
    "a control character in a header": (handshake("X-A: a\x01b"), 400),
    "a folded header": (handshake("X-A: a", " b"), 400),
    "an odd name": (handshake("X!#$%&'*+-.^_`|~: a"), 101),
    "a wrong name": (handshake('X"y: a'), 400),
    "a body": (handshake("Content-Length: 5") + b"hello", 400),
    "a body that does not come": (handshake("Content-Length: 5"), 400),
    "a body in chunks": (handshake("Transfer-Encoding: chunked") + b"5\r\nhello\r\n0\r\n\r\n", 400),
    "no body, said so": (handshake("Content-Length: 0"), 101),
    "another method": (handshake(method="POST"), 405),
    "CONNECT": (b"CONNECT x:80 HTTP/1.1\r\nHost: x\r\n" + handshake().partition(b"Host: x\r\n")[2], 405),
    "no key": (without("Sec-WebSocket-Key"), 400),
    "a short key": (without("Sec-WebSocket-Key", "Sec-WebSocket-Key: x"), 400),
    "a key beyond ASCII": (handshake().replace(KEY.encode(), b"\xff" * 24), 400),
    "two keys": (handshake(f"Sec-WebSocket-Key: {KEY}"), 400),
    "an older version": (without(VERSION, "Sec-WebSocket-Version: 12"), 400),
    "no version": (without(VERSION), 400),
    "two versions": (handshake(VERSION), 400),
    "a wrong extension": (handshake("Sec-WebSocket-Extensions: ;;;="), 101),
    "two upgrades": (handshake("Upgrade: websocket"), 426),
    "a long subprotocol": (without("Sec-WebSocket-Protocol", "Sec-WebSocket-Protocol: " + '"' * 9_000), 400),
    "two origins": (handshake("Origin: http://x", "Origin: http://x"), 400),
    "no subprotocol": (without("Sec-WebSocket-Protocol"), 101),
    "a wrong subprotocol": (without("Sec-WebSocket-Protocol", 'Sec-WebSocket-Protocol: ,,"'), 400),
    "1,300 subprotocols": (
        without("Sec-WebSocket-Protocol", "Sec-WebSocket-Protocol: " + ",".join(["p"] * 1_300)),
        101,
    ),
    "a wrong Connection": (without("Connection", "Connection: Upgrade, ;="), 400),
    "another path": (handshake(path="/nowhere"), 404),
    "a path beyond ASCII": (handshake().replace(b"/graphql", b"/graphql\xff"), 400),
    "a whole address": (handshake(path="http://x/graphql"), 404),
    "a wrong escape": (handshake(path="/graphql?%zz=%ff&token=%ff"), 101),
    "two hosts": (handshake("Host: y"), 400),
    "a frame at once": (handshake() + frame(b'{"type":"ping"}'), 101),
    "a request at once": (handshake() + head(), 101),
}


@pytest.fixture(scope="module")
def server(make: Callable[..., ServerProcess]) -> Iterator[ServerProcess]:
    with make() as process:  # its end fails if it wrote a traceback
        yield process


@pytest.mark.parametrize(("sent", "status"), HANDSHAKES.values(), ids=HANDSHAKES)
def test_every_handshake_is_answered(server: ServerProcess, sent: bytes, status: int) -> None:
    with Raw(server.port, seconds=5) as connection:
        got, headers, body = connection.send(sent).answer()
        assert got == status, (headers, body)
        if status != 101:
            assert headers["content-type"].startswith("application/json")
            wanted = {404: "NOT_FOUND", 431: "LIMIT_EXCEEDED"}.get(status, "BAD_USER_INPUT")
            assert code(body) == wanted
            assert len(body) < 500  # it repeats no more than a part of what was sent
            assert connection.is_closed_within(5)


@pytest.mark.parametrize("size", [1, 7, 4_096])
def test_a_handshake_may_come_in_pieces(server: ServerProcess, size: int) -> None:
    sent = handshake("X-A: " + "a" * (100 if size < 100 else 9_000))
    with Raw(server.port, seconds=5) as connection:
        for at in range(0, len(sent), size):
            connection.send(sent[at : at + size])
        assert connection.answer()[0] == 101


def test_a_long_token_in_a_header_counts(server: ServerProcess) -> None:
    long = token(str(uuid4()), [*SCOPES, "x" * 9_000])
    with Raw(server.port) as connection:
        connection.upgrade(f"Authorization: Bearer {long}")
        assert connection.say(type="connection_init").hear() == {"type": "connection_ack"}


def test_refused_handshakes_are_counted(server: ServerProcess) -> None:
    with Raw(server.port) as connection:
        status, headers, body = connection.send(handshake("Content-Length: 5")).answer()
    assert (status, code(body), headers["connection"]) == (400, "BAD_USER_INPUT", "close")
    page = httpx.get(f"{server.url}/metrics", trust_env=False).text
    assert 'outdial_refused_connections_total{reason="handshake"}' in page


def test_a_refusal_says_what_would_be_right(server: ServerProcess) -> None:
    for sent, name, value in [
        (handshake(method="POST"), "allow", "GET"),
        (handshake("Upgrade: websocket"), "upgrade", "websocket"),
    ]:
        with Raw(server.port) as connection:
            assert connection.send(sent).answer()[1][name] == value
    with Raw(server.port) as connection:
        _, _, body = connection.send(without(VERSION, "Sec-WebSocket-Version: 12")).answer()
    message = "Invalid WebSocket handshake: invalid Sec-WebSocket-Version header: 12."
    assert json.loads(body) == {"errors": [{"message": message, "extensions": {"code": "BAD_USER_INPUT"}}]}


def test_an_application_that_fails_before_its_answer_is_an_internal_error(monkeypatch: pytest.MonkeyPatch) -> None:
    async def accept(socket: WebSocket, subprotocol: str) -> None:
        raise ValueError("a secret")

    monkeypatch.setattr(WebSocket, "accept", accept)
    with limited(monkeypatch) as served, Raw(served.port) as connection:
        status, headers, body = connection.send(handshake()).answer()
    assert (status, headers["content-type"], code(body)) == (500, "application/json; charset=utf-8", "INTERNAL")


def test_a_handshake_that_waits_when_the_server_stops_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    has_come = threading.Event()

    async def accept(socket: WebSocket, subprotocol: str) -> None:
        has_come.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(WebSocket, "accept", accept)
    with limited(monkeypatch) as served, Raw(served.port) as connection:
        connection.send(handshake())
        assert has_come.wait(30)
        served.server.should_exit = True
        status, headers, body = connection.answer()
        assert (status, headers["retry-after"], code(body)) == (503, "1", "UNAVAILABLE")


def test_a_handshake_waits_for_the_answers_before_it(server: ServerProcess) -> None:
    with Raw(server.port) as connection:
        connection.send(head("/readyz") + handshake())
        received = connection.everything()
    assert received.startswith(b"HTTP/1.1 200")
    assert b" 101 " not in received


def test_a_client_that_half_closes_after_its_handshake_is_closed(server: ServerProcess) -> None:
    with Raw(server.port) as connection:
        connection.send(handshake("X-A: " + "a" * 9_000)).socket.shutdown(1)
        assert connection.is_closed_within(5)


def test_a_socket_on_a_used_connection_outlives_its_idle_time(make: Callable[..., ServerProcess]) -> None:
    with make(environment={"OUTDIAL_KEEP_ALIVE_SECONDS": "1"}) as server, Raw(server.port) as connection:
        assert connection.send(head()).answer()[0] == 200
        connection.upgrade().initialise(token(str(uuid4())))
        time.sleep(1.3)
        assert connection.say(type="ping").hear() == {"type": "pong"}


def test_an_application_that_does_not_answer_a_handshake_has_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    accepts, late = WebSocket.accept, asyncio.Event()

    async def accept(socket: WebSocket, subprotocol: str) -> None:
        await late.wait()
        await accepts(socket, subprotocol)

    monkeypatch.setattr(WebSocket, "accept", accept)
    with limited(monkeypatch, header_seconds_max=1) as served, Raw(served.port) as connection:
        assert connection.send(handshake()).everything() == b""
        served.on_loop(late.set)


@pytest.mark.parametrize("early", [frame(b"", PING), b"\xff" * 20])
def test_nothing_is_parsed_before_a_handshake_is_answered(monkeypatch: pytest.MonkeyPatch, early: bytes) -> None:
    accepts = WebSocket.accept

    async def accept(socket: WebSocket, subprotocol: str) -> None:
        await asyncio.sleep(0.5)
        await accepts(socket, subprotocol)

    monkeypatch.setattr(WebSocket, "accept", accept)
    with limited(monkeypatch) as served, Raw(served.port) as connection:
        connection.send(handshake())
        time.sleep(0.2)
        assert connection.send(early).answer()[0] == 101
        opcode, data = connection.frame()
        assert opcode == PONG or int.from_bytes(data[:2], "big") == 1002
