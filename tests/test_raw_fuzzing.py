# ruff: noqa: E501 - lists of odd values
"""A fuzzer of our own over raw bytes: headers, bodies, frames and JSON, right and nearly right, at a real server.

It proves no answer right. It proves that there is none with 5xx, that nothing is said that is not masked, that nobody
else waits, and that the process goes on.
"""

import base64
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import httpx
import orjson
import psutil
import pytest

from tests.support import raw
from tests.support.raw import Raw, frame, head
from tests.support.server import ServerProcess, token

BLOCKED_SECONDS_MAX = 0.25
CLOSE_CODES = {0, 1000, 1002, 1007, 1008, 1009, 4400, 4401, 4403, 4406, 4408, 4409, 4429}
"""1011 is a bug. 0: the connection ended without a close frame."""
METHODS = ["GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "BREW", "get", "", "G\x00T"]
PATHS = [
    "/", "/graphql", "/healthz", "/readyz", "/metrics", "/session", "/v1.0/outdials", "/v1.0/outdials/x/targets",
    "/graphql?query=%7Bviewer%7Bsubject%7D%7D", "/graphql?query=%ff", "/%00", "//", "*", "http://x/graphql", "/\xff", "/?#",
    "/web/../..", "/v1.0/docs", "/graphql?variables=%5B%5B", "/graphql?" + "a=b&" * 50, "/x" * 2_000,
]  # fmt: skip
NAMES = [
    "Host", "host", "Content-Length", "Transfer-Encoding", "Content-Type", "Accept", "Authorization", "Cookie", "Origin",
    "Upgrade", "Connection", "Sec-WebSocket-Key", "Sec-WebSocket-Version", "Sec-WebSocket-Protocol", "Expect", "X-Request-Id",
    "Outdial-Session", "X-Forwarded-For", "Sec-Fetch-Site", "Access-Control-Request-Method", "Range", "If-None-Match",
    "Accept-Encoding", "Sec-WebSocket-Extensions", "HTTP2-Settings", "Te", "Trailer", "", " ", "\x00", "a b", "x" * 300,
]  # fmt: skip
VALUES = [
    "", "x", "0", "1", "-1", "5", "99999999999999999999", "chunked", "gzip, chunked", "application/json", "text/event-stream",
    "application/json; charset=\xff", "Bearer", "Bearer x", "Bearer x.y.z", "Basic \xff", "token=x", "token=\xff; ;=;token",
    "outdial_session=x", "http://[::1", "http://", "null", "https://app.example.com", "websocket", "Upgrade", "h2c",
    "keep-alive, Upgrade", "close", "graphql-transport-ws", "graphql-ws, ,", "13", "-", "100-continue", "same-origin",
    "[::1", "a:b:c", "203.0.113.7, ,\xff", "*/*;q=x", "bytes=0-", "q=0.5,;;", "\t", "x" * 5_000, "\x0b", "\x7f",
    base64.b64encode(bytes(16)).decode(), "permessage-deflate; x", "eyJhbGciOiJub25lIn0.e30.", "eyJhbGciOiJIUzI1NiJ9.W10.x",
]  # fmt: skip
WORDS = [
    "type", "id", "payload", "query", "variables", "operationName", "extensions", "connection_init", "connection_ack", "ping",
    "pong", "subscribe", "complete", "next", "error", "token", "Authorization", "a", "", "\ud800", "\x00", "é", "🏃", "__proto__",
    "{ viewer { subject } }", "{ outdials { nodes { id } } }", "subscription { outdialEvents { type } }", "{", "}", "{ __typename",
    'mutation { createOutdial(input: {name: "x"}) { outdial { id } } }', "query A { viewer { subject } } query B { viewer { subject } }",
    "query($a: Int) { viewer { subject } }", "fragment F on Query { ...F } { ...F }", "outdial-session", "persistedQuery",
]  # fmt: skip
UNMASKED = (b"Traceback", b"asyncpg", b"sqlite3", b'File "', b"site-packages", b"Internal Server Error", b'"INTERNAL"')


class Fuzz:
    """Makes things up. The same seed makes the same."""

    def __init__(self, seed: int, mine: str) -> None:
        self.chance = random.Random(seed)
        self.mine = mine

    def noise(self, size: int = 40) -> bytes:
        return self.chance.randbytes(self.chance.randrange(size))

    def broken(self, data: bytes) -> bytes:
        """Mostly the same; sometimes with a piece lost, doubled, turned or made up."""
        if self.chance.random() < 0.6 or not data:
            return data
        start, end = sorted(self.chance.choices(range(len(data) + 1), k=2))
        kind = self.chance.randrange(5)
        middle = [b"", data[start:end] * 2, data[start:end][::-1], self.noise(), bytes(end - start)][kind]
        return data[:start] + middle + data[end:]

    # ---------------------------------------------------------------- HTTP

    def request(self) -> bytes:
        choose = self.chance.choice
        lines = [f"{choose(METHODS)} {choose(PATHS)} HTTP/{choose(['1.1', '1.1', '1.1', '1.0', '2.0', '9'])}"]
        if self.chance.random() < 0.8:
            lines.append("Host: x")
        body = self.json() if self.chance.random() < 0.5 else self.noise()
        if self.chance.random() < 0.5:
            lines += [f"Authorization: Bearer {self.mine}", "Content-Type: application/json"]
        lines += [f"{choose(NAMES)}: {choose(VALUES)}" for _ in range(self.chance.randrange(8))]
        match self.chance.randrange(4):
            case 0:
                lines.append(f"Content-Length: {len(body)}")
            case 1:
                lines.append("Transfer-Encoding: chunked")
                body = b"%x%b\r\n%b\r\n0\r\n%b\r\n" % (
                    len(body),
                    choose([b"", b";x=y"]),
                    body,
                    choose([b"", b"A: b\r\n"]),
                )
            case 2:
                lines.append(f"Content-Length: {self.chance.randrange(100)}")
        return self.broken("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)

    # ---------------------------------------------------------------- JSON

    def value(self, depth: int = 0) -> object:
        kind = self.chance.randrange(8 if depth < 6 else 6)
        if kind == 6:
            return [self.value(depth + 1) for _ in range(self.chance.randrange(4))]
        if kind == 7:
            return {self.word(): self.value(depth + 1) for _ in range(self.chance.randrange(4))}
        return [None, True, self.chance.getrandbits(70) - 2**69, 1.5e308, self.word(), self.word()][kind]

    def word(self) -> str:
        return self.chance.choice(WORDS)

    def json(self) -> bytes:
        match self.chance.randrange(8):
            case 0:
                return b"[" * self.chance.choice([20, 64, 1_000, 50_000]) + b"]" * self.chance.randrange(100)
            case 1:
                return (
                    b"["
                    + b",".join([self.chance.choice([b"{}", b'""', b"1"])] * self.chance.choice([10, 10_000]))
                    + b"]"
                )
            case 2:
                value: object = self.value()
            case _:
                value = {
                    "query": self.word(),
                    "variables": self.value(),
                    "operationName": self.word() if self.chance.random() < 0.3 else None,
                    **({self.word(): self.value()} if self.chance.random() < 0.3 else {}),
                }
        return self.broken(_encode(value))

    # ---------------------------------------------------------------- frames

    def message(self) -> bytes:
        if self.chance.random() < 0.2:
            return self.json()
        kind = self.chance.choice(
            ["connection_init", "ping", "pong", "subscribe", "subscribe", "complete", self.word()]
        )
        payload = {"token": self.mine} if self.chance.random() < 0.5 else self.value()
        if kind == "subscribe":
            payload = {"query": self.word(), "variables": self.value() if self.chance.random() < 0.3 else None}
        return self.broken(
            _encode({"type": kind, "id": self.chance.choice(["1", "2", 3, "", None]), "payload": payload})
        )

    def frames(self) -> bytes:
        message = self.message()
        match self.chance.randrange(9):
            case 0:
                at = self.chance.randrange(len(message) + 1)
                made = frame(message[:at], fin=False) + frame(b"x", raw.PING) + frame(message[at:], 0)
            case 1:
                made = frame(self.noise(200), self.chance.randrange(16), fin=self.chance.random() < 0.7)
            case 2:
                made = frame(message, masked=False)
            case 3:
                made = frame(b"", self.chance.choice([raw.TEXT, raw.PING, raw.PONG, 0])) * self.chance.choice([2, 300])
            case 4:
                size = self.chance.choice([2**16, 2**31, 2**63 - 1, 2**63])
                made = bytes([0x81, 0xFF]) + size.to_bytes(8, "big") + bytes(4) + b"x"
            case 5:
                made = frame(
                    self.chance.choice([b"", b"\x03", b"\x03\xe8", b"\x03\xe8\xff", b"\x00\x01bye"]), raw.CLOSE
                )
            case _:
                made = frame(message)
        return self.broken(made)


def _encode(value: object) -> bytes:
    try:
        return orjson.dumps(value)
    except (TypeError, orjson.JSONEncodeError):  # numbers and text that JSON has, and orjson does not write
        return (
            repr(value).replace("'", '"').replace("None", "null").replace("True", "true").encode(errors="surrogatepass")
        )


class Pulse(threading.Thread):
    """Another client, who only wants to know whether the server lives."""

    def __init__(self, port: int, pid: int) -> None:
        super().__init__(daemon=True)
        self._port = port
        self._process = psutil.Process(pid)
        self.is_on = True
        self.slow: list[float] = []
        self.errors: list[str] = []

    def run(self) -> None:
        while self.is_on:
            started, worked = time.monotonic(), self._worked()
            try:
                with Raw(self._port, seconds=10) as connection:
                    if (status := connection.send(head()).answer()[0]) != 200:
                        self.errors.append(str(status))
            except OSError as error:
                self.errors.append(str(error))
            # A busy machine may pause the server; one that blocks works all the while.
            if time.monotonic() - started > BLOCKED_SECONDS_MAX < (seconds := self._worked() - worked):
                self.slow.append(seconds)
            time.sleep(0.02)

    def _worked(self) -> float:
        """The server's processor time."""
        times = self._process.cpu_times()
        return times.user + times.system


@pytest.fixture
def server(sqlite_template: Path, tmp_path: Path) -> Iterator[ServerProcess]:
    database = tmp_path / "outdial.db"
    database.write_bytes(sqlite_template.read_bytes())
    with ServerProcess(f"sqlite:///{database}", tmp_path) as process:
        yield process


def storm(server: ServerProcess, request: pytest.FixtureRequest, attack: Callable[[Fuzz], None]) -> None:
    seconds = request.config.getoption("--fuzz-seconds")
    given = request.config.getoption("--fuzz-seed")
    seed = random.SystemRandom().randrange(2**32) if given is None else given
    pulse = Pulse(server.port, server.pid)
    pulse.start()
    fuzz = Fuzz(seed, token(str(uuid4())))
    pid, before = server.pid, raw.resident_mebibytes(server.pid)
    ends_at, count = time.monotonic() + seconds, 0
    while time.monotonic() < ends_at:
        state = fuzz.chance.getstate()
        try:
            attack(fuzz)
        except AssertionError as error:
            fuzz.chance.setstate(state)
            raise AssertionError(f"seed {seed}, input {count}") from error
        count += 1
    pulse.is_on = False
    pulse.join(15)
    assert count > seconds
    assert pulse.errors == []
    # The server itself blocks in the same way each time.
    assert len(pulse.slow) <= 1 + seconds / 20, pulse.slow
    assert server.pid == pid
    assert httpx.get(f"{server.url}/healthz", trust_env=False).status_code == 200
    assert raw.resident_mebibytes(pid) - before < 60
    written = server.output()
    assert "Traceback" not in written
    assert "internal_error" not in written


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_no_bytes_over_http_are_a_bug(server: ServerProcess, request: pytest.FixtureRequest) -> None:
    def attack(fuzz: Fuzz) -> None:
        with Raw(server.port, seconds=0.3) as connection, suppress(TimeoutError, ConnectionError):
            sent = b"".join(fuzz.request() for _ in range(fuzz.chance.choice([1, 1, 3])))
            connection.send(sent)
            received = connection.socket.recv(65_536)
            status = int(received[9:12]) if received.startswith(b"HTTP/1.1 ") else 0
            assert status < 500, (sent, received)
            assert not any(word in received for word in UNMASKED), (sent, received)

    storm(server, request, attack)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_no_frames_are_a_bug(server: ServerProcess, request: pytest.FixtureRequest) -> None:
    def attack(fuzz: Fuzz) -> None:
        with Raw(server.port, seconds=0.3) as connection, suppress(TimeoutError, ConnectionError):
            connection.upgrade()
            if fuzz.chance.random() < 0.7:
                connection.initialise(fuzz.mine)
            sent = b"".join(fuzz.frames() for _ in range(fuzz.chance.randrange(1, 6)))
            connection.send(sent)
            if fuzz.chance.random() < 0.2:
                connection.drop()
                return
            connection.socket.settimeout(0.05)
            while True:
                opcode, data = connection.frame()
                assert not any(word in data for word in UNMASKED), (sent, data)
                if opcode == raw.CLOSE:
                    code = int.from_bytes(data[:2], "big")
                    assert code in CLOSE_CODES or code in raw.close_codes(sent), (sent, data)
                    return

    storm(server, request, attack)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_no_json_is_a_bug(server: ServerProcess, request: pytest.FixtureRequest) -> None:
    with httpx.Client(base_url=server.url, trust_env=False, timeout=10) as client:

        def attack(fuzz: Fuzz) -> None:
            headers = {"Authorization": f"Bearer {fuzz.mine}", "Content-Type": "application/json"}
            accept = fuzz.chance.choice(["application/json", "application/graphql-response+json"])
            path = fuzz.chance.choice(["/graphql", "/graphql", "/v1.0/outdials", "/v1.0/outdials/x/targets"])
            body = fuzz.json()
            answer = client.post(path, content=body, headers={**headers, "Accept": accept})
            assert answer.status_code < 500, (path, body, answer.text)
            assert not any(word in answer.content for word in UNMASKED), (path, body, answer.text)

        storm(server, request, attack)
