"""What a stranger may send before a body, and how slowly: each limit just below and just above."""

import time
from contextlib import suppress

import pytest

from app.server.connections import http as http_protocol
from tests.bounds import HEADER_BYTES, code
from tests.support.raw import Raw, head, resident_mebibytes
from tests.support.server import ServerProcess


@pytest.mark.parametrize(("beyond", "status"), [(0, 200), (1, 431)])
def test_headers_have_a_number_of_bytes(small: ServerProcess, beyond: int, status: int) -> None:
    empty = head("/healthz", "X-A: ")
    request = head("/healthz", "X-A: " + "x" * (HEADER_BYTES - len(empty) + beyond))
    assert len(request) == HEADER_BYTES + beyond
    with Raw(small.port) as connection:
        got, headers, body = connection.send(request).answer()
        assert got == status
        if status == 431:
            assert code(body) == "LIMIT_EXCEEDED"
            assert headers["connection"] == "close"
            assert connection.is_closed_within(5)
        else:  # and the next request has as many again
            assert connection.send(request).answer()[0] == 200


def test_a_long_header_that_comes_slowly_is_not_kept(usual: ServerProcess) -> None:
    before = resident_mebibytes(usual.pid)
    with Raw(usual.port) as connection:
        connection.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: ")
        with suppress(OSError):  # the server takes it for a moment, so that the client sees the answer
            for _ in range(20 * 64):
                connection.send(b"x" * 16_384)
        assert connection.answer()[0] == 431
    assert resident_mebibytes(usual.pid) - before < 10


@pytest.mark.parametrize(
    ("count", "status"), [(http_protocol.HEADER_FIELDS_MAX, 200), (http_protocol.HEADER_FIELDS_MAX + 1, 431)]
)
def test_headers_have_a_number(usual: ServerProcess, count: int, status: int) -> None:
    with Raw(usual.port) as connection:
        lines = [f"X-{number}: y" for number in range(count - 1)]
        assert connection.send(head("/healthz", *lines)).answer()[0] == status


@pytest.mark.parametrize(("pause", "status"), [(0.25, 200), (0.8, 408)])
def test_headers_have_a_time(small: ServerProcess, pause: float, status: int) -> None:
    with Raw(small.port) as connection:
        for piece in (b"GET /heal", b"thz HTTP/1.1\r\n", b"Host: x\r\n"):
            connection.send(piece)
            time.sleep(pause)
        if status == 200:
            connection.send(b"\r\n")
        got, _, body = connection.answer()
        assert got == status
        if status == 408:
            assert code(body) == "BAD_USER_INPUT"


def test_the_headers_of_a_later_request_have_a_time_too(small: ServerProcess) -> None:
    with Raw(small.port) as connection:
        assert connection.send(head()).answer()[0] == 200
        time.sleep(1.6)  # an idle connection may stay
        assert connection.send(head()).answer()[0] == 200
        assert connection.send(b"GET /heal").answer()[0] == 408


def test_a_silent_connection_ends(small: ServerProcess) -> None:
    with Raw(small.port) as connection:
        assert not connection.is_closed_within(0.7)
        assert connection.is_closed_within(3)


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        ("HTTP/1.1\r\nHost: x", 200),
        ("HTTP/1.1", 400),
        ("HTTP/1.1\r\nHost: x\r\nHost: x", 400),
        ("HTTP/1.1\r\nHost: x\r\nhost: y", 400),
        ("HTTP/1.0", 200),
        ("HTTP/1.0\r\nHost: x\r\nHost: y", 400),
    ],
)
def test_a_request_has_one_host(usual: ServerProcess, lines: str, status: int) -> None:
    with Raw(usual.port) as connection:
        got, _, body = connection.send(f"GET /healthz {lines}\r\n\r\n".encode()).answer()
        assert got == status
        if status == 400:
            assert code(body) == "BAD_USER_INPUT"


def test_what_is_no_http_is_refused_like_everything_else(usual: ServerProcess) -> None:
    with Raw(usual.port) as connection:
        status, headers, body = connection.send(b"NONSENSE\r\n\r\n").answer()
        assert (status, code(body), headers["connection"]) == (400, "BAD_USER_INPUT", "close")
