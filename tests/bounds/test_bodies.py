"""How many bytes come with a body, and how fast."""

import asyncio
import json
import threading
import time
from contextlib import suppress

import pytest
from starlette.datastructures import Headers

from app import bounds
from app.requests import bodies
from app.server.connections import http as http_protocol
from app.settings import Settings
from tests.support.raw import Raw, head, resident_mebibytes
from tests.support.server import ServerProcess


def chunked(*chunks: bytes, trailers: bytes = b"") -> bytes:
    sent = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    return head("/graphql", "Transfer-Encoding: chunked", method="POST") + sent + b"0\r\n" + trailers + b"\r\n"


@pytest.mark.parametrize(("share", "is_refused"), [(0.9, False), (1.1, True)])
def test_what_comes_with_a_body_and_is_none_of_it_has_a_number_of_bytes(
    usual: ServerProcess, share: float, is_refused: bool
) -> None:
    size = int(http_protocol.FRAMING_BYTES_MAX * share)
    for request in (
        chunked(b"{}", trailers=b"X-A: " + b"x" * size + b"\r\n"),
        chunked(b"{}", trailers=b"x: y\r\n" * (size // 6)),
        head("/graphql", "Transfer-Encoding: chunked", method="POST") + b"2;" + b"x" * size + b"\r\n{}\r\n0\r\n\r\n",
    ):
        with Raw(usual.port) as connection:
            top, _, rest = request.partition(b"\r\n\r\n")
            assert connection.send(top + b"\r\n\r\n").answer()[0] == 401
            connection.send(rest)
            if is_refused:
                assert connection.is_closed_within(5)
            else:
                assert connection.send(head()).answer()[0] == 200


def test_a_body_in_the_smallest_chunks_is_read(usual: ServerProcess, mine: str) -> None:
    body = json.dumps({"query": "{ viewer { subject } }", "variables": {"a": "x" * 5_000}}).encode()
    request = chunked(*(body[at : at + 1] for at in range(len(body))))
    lines = f"Authorization: Bearer {mine}\r\nContent-Type: application/json\r\n".encode()
    with Raw(usual.port) as connection:
        connection.send(request.replace(b"Host: x\r\n", b"Host: x\r\n" + lines, 1))
        assert json.loads(connection.answer()[2]) == {"data": {"viewer": {"subject": "tester"}}}


def test_a_trailer_is_no_header(usual: ServerProcess) -> None:
    with Raw(usual.port) as connection:
        sneaked = chunked(b"{}", trailers=b"X-Request-Id: sneaked-in\r\n")
        assert connection.send(sneaked).answer()[1]["x-request-id"] != "sneaked-in"


@pytest.mark.slow
def test_the_rest_of_a_body_may_not_take_for_ever(small: ServerProcess) -> None:
    with Raw(small.port, seconds=20) as connection:
        connection.send(head("/healthz", "Content-Length: 100000", method="POST"))
        assert connection.answer()[0] == 405
        started = time.monotonic()
        with suppress(OSError):
            while time.monotonic() - started < 15:
                connection.send(b"x")
                time.sleep(0.25)
        assert http_protocol.REST_SECONDS_MAX - 1 < time.monotonic() - started < http_protocol.REST_SECONDS_MAX + 3


@pytest.mark.parametrize(("rate", "is_cut_off"), [(2_500, False), (8_000, True)])
async def test_a_body_has_a_rate(monkeypatch: pytest.MonkeyPatch, rate: int, is_cut_off: bool) -> None:
    monkeypatch.setattr(bounds, "_settings", Settings.model_construct(body_bytes_per_second_min=rate))
    left = 20

    async def receive() -> dict[str, object]:  # 5,000 bytes a second
        nonlocal left
        await asyncio.sleep(0.05)
        left -= 1
        return {"type": "http.request", "body": b"x" * 250, "more_body": left > 0}

    upload = bodies.Upload(receive, Headers({}), seconds_max=0.2)  # type: ignore[arg-type]

    async def take() -> int:
        received = 0
        async for piece in upload.pieces():
            received += len(piece)
            await asyncio.sleep(0.01)  # the server's own time is not the sender's
        return received

    if is_cut_off:
        with pytest.raises(bodies.Silent) as refused:
            await take()
        assert refused.value.status == 408
    else:
        assert await take() == 5_000


def test_requests_on_one_connection_wait_their_turn(usual: ServerProcess) -> None:
    before = resident_mebibytes(usual.pid)
    paths = [f"/healthz?{number}" if number % 3 else "/nothing" for number in range(3_000)]
    with Raw(usual.port) as connection:
        sending = threading.Thread(target=connection.send, args=(b"".join(map(head, paths)),))
        sending.start()
        for path in paths:
            assert connection.answer()[0] == (404 if path == "/nothing" else 200)
        sending.join()
        assert connection.send(head()).answer()[0] == 200
    assert resident_mebibytes(usual.pid) - before < 10


def test_a_client_that_sends_requests_and_reads_no_answer_is_cut_off(usual: ServerProcess) -> None:
    before = resident_mebibytes(usual.pid)
    with Raw(usual.port, seconds=2, buffer=4_096) as connection, suppress(OSError):
        for _ in range(1_000):
            connection.send(head() * 500)
    assert resident_mebibytes(usual.pid) - before < 10
