"""SIGTERM, SIGHUP, and a parent that is killed: real processes."""

import asyncio
import json
import os
import shutil
import signal
import socket as sockets
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import asyncpg
import httpx
import jwt
import psutil
import pytest
from graphql import get_introspection_query

from app.server.connections.http import HttpProtocol
from app.server.connections.websocket import WebSocketProtocol
from tests.support.raw import CLOSE, KEY, Raw, frame, head
from tests.support.server import JWT_SECRET, ServerProcess, token
from tests.support.transport import Served, watch

NEW_SECRET = "another secret of the tests, just as long as the first"
CUSTOMER = str(uuid4())
PATIENT_SECONDS = 30


def new_token() -> str:
    claims = {"customer_id": CUSTOMER, "scope": "read", "exp": datetime.now(UTC) + timedelta(hours=1)}
    return jwt.encode(claims, NEW_SECRET, "HS256")


def until(condition: Callable[[], bool], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def status_of(url: str, bearer: str) -> int:
    headers = {"Authorization": f"Bearer {bearer}"}
    body = {"query": "{ viewer { subject } }"}
    return httpx.post(f"{url}/graphql", json=body, headers=headers, trust_env=False, timeout=20).status_code


def write(file: Path, **settings: object) -> None:
    lines = [f"OUTDIAL_{name.upper()}={value}" for name, value in settings.items()]
    draft = file.with_suffix(".draft")
    draft.write_text("# the settings\n" + "\n".join(lines) + "\n")
    draft.replace(file)


# ---------------------------------------------------------------- SIGHUP


def test_sighup_reads_keys_limits_and_the_log_again_and_drops_nobody(sqlite_template: Path, tmp_path: Path) -> None:
    database = shutil.copyfile(sqlite_template, tmp_path / "outdial.db")
    file = tmp_path / "settings"
    write(file, log_level="WARNING")
    environment = {"OUTDIAL_SETTINGS_FILE": str(file), "OUTDIAL_LOG_FORMAT": "json"}
    with ServerProcess(f"sqlite:///{database}", tmp_path, environment=environment) as server:

        def events() -> list[str]:
            lines = [line for line in server.output().splitlines() if line.startswith("{")]
            return [json.loads(line)["event"] for line in lines]

        def reread(event: str) -> None:
            before = events().count(event)
            os.kill(server.pid, signal.SIGHUP)
            until(lambda: events().count(event) > before)

        old = token(CUSTOMER)
        with Raw(server.port) as socket:
            socket.upgrade().initialise(old)
            socket.say(type="subscribe", id="1", payload={"query": "subscription { outdialEvents { type } }"})
            assert status_of(server.url, old) == 200
            assert "request" not in events()

            write(file, log_level="INFO", jwt_secret=NEW_SECRET, header_bytes_max=1_024, database_pool_size=7)
            reread("settings_read")
            assert status_of(server.url, old) == 401
            assert status_of(server.url, new_token()) == 200
            assert "request" in events()
            with Raw(server.port) as connection:
                assert connection.send(head("/healthz", "X-A: " + "x" * 1_024)).answer()[0] == 431
            assert "settings_need_restart" in events()

            # A wrong file changes nothing.
            write(file, jwt_secret="short", header_bytes_max=4_096)
            reread("settings_not_read")
            write(file, no_such_setting="x")
            reread("settings_not_read")
            file.unlink()
            reread("settings_not_read")
            assert status_of(server.url, new_token()) == 200
            with Raw(server.port) as connection:
                assert connection.send(head("/healthz", "X-A: " + "x" * 1_024)).answer()[0] == 431

            # Nor does one that has no end, or that names one as a key.
            os.mkfifo(file)
            reread("settings_not_read")
            file.unlink()
            write(file, jwt_secret="", jwt_public_key="/dev/zero")
            reread("settings_not_read")
            assert status_of(server.url, new_token()) == 200

            assert socket.say(type="ping").hear() == {"type": "pong"}
        assert NEW_SECRET not in server.output()
        assert JWT_SECRET not in server.output()
    assert server.exit_code == 0


# ---------------------------------------------------------------- workers


@pytest.mark.slow
def test_workers_read_settings_again_and_end_with_their_parent(postgres_url: str, tmp_path: Path) -> None:
    file = tmp_path / "settings"
    write(file, log_level="INFO")
    environment = {"OUTDIAL_SETTINGS_FILE": str(file), "OUTDIAL_LOG_FORMAT": "json"}
    server = ServerProcess(postgres_url, tmp_path, environment=environment, workers=2)
    server.start()
    try:
        workers = [
            child for child in psutil.Process(server.pid).children() if "multiprocessing.spawn" in str(child.cmdline())
        ]
        assert len(workers) == 2
        old = token(CUSTOMER)
        opened = [Raw(server.port).upgrade().initialise(old) for _ in range(10)]
        write(file, log_level="INFO", jwt_secret=NEW_SECRET)
        until(lambda: status_of(server.url, old) == 200)
        os.kill(server.pid, signal.SIGHUP)
        until(lambda: server.output().count("settings_read") == 2)
        assert [status_of(server.url, new_token()) for _ in range(10)] == [200] * 10
        for socket in opened:
            assert socket.say(type="ping").hear() == {"type": "pong"}
        assert all(worker.is_running() for worker in workers)

        server.kill()
        for socket in opened:
            assert socket.close_code() == 1012
            socket.close()
        _, alive = psutil.wait_procs(workers, timeout=8)
        assert alive == []
        with sockets.socket() as free:
            free.setsockopt(sockets.SOL_SOCKET, sockets.SO_REUSEADDR, 1)
            free.bind(("127.0.0.1", server.port))
    finally:
        server.kill()


# ---------------------------------------------------------------- SIGTERM


def test_a_server_that_stops_finishes_what_runs() -> None:
    with Served() as served, Raw(served.port) as idle, Raw(served.port) as connection:
        port = served.port
        body = json.dumps({"query": "{ wait(seconds: 0.8) }"}).encode()
        lines = ["Authorization: Bearer good", "Content-Type: application/json", f"Content-Length: {len(body)}"]
        connection.send(head("/graphql", *lines, method="POST") + body)
        until(lambda: watch.open == 1)
        served.server.should_exit = True
        assert idle.is_closed_within(2)
        with pytest.raises(OSError), Raw(port):  # noqa: PT011 - it accepts nobody
            pass
        status, headers, answer = connection.answer()
        assert (status, json.loads(answer)) == (200, {"data": {"wait": "done"}})
        assert headers["connection"] == "close"


def test_a_server_that_stops_answers_what_runs_on_a_socket_and_begins_nothing_more() -> None:
    with Served(http=HttpProtocol, ws=WebSocketProtocol) as served, Raw(served.port) as idle, Raw(served.port) as busy:
        idle.upgrade().initialise()
        idle.say(type="subscribe", id="1", payload={"query": "subscription { count(to: 9, pause: 60) { number } }"})
        busy.upgrade().initialise()
        busy.say(type="subscribe", id="1", payload={"query": "subscription { count(to: 9, pause: 60) { number } }"})
        assert busy.hear()["type"] == "next"
        assert idle.hear()["type"] == "next"
        for number in (2, 3):
            busy.say(type="subscribe", id=str(number), payload={"query": "{ wait(seconds: 1) }"})
        busy.say(type="subscribe", id="left", payload={"query": "{ wait(seconds: 60) }"})
        until(lambda: watch.open == 5)
        busy.say(type="complete", id="left")
        port = served.port
        served.server.should_exit = True
        assert idle.close_code() == 1012
        with pytest.raises(OSError), Raw(port):  # noqa: PT011 - it accepts nobody
            pass
        busy.say(type="subscribe", id="late", payload={"query": "{ wait(seconds: 1) }"})
        heard = []
        while not isinstance(message := busy.hear(), int):
            heard.append((message["type"], message["id"], message.get("payload")))
        for number in ("2", "3"):
            answer = [("next", number, {"data": {"wait": "done"}}), ("complete", number, None)]
            assert [message for message in heard if message[1] == number] == answer
        assert {message[1] for message in heard} == {"2", "3"}
        assert message == 1012
    assert watch.open == 0


@contextmanager
def held(database_url: str) -> Iterator[None]:
    """Let nobody write meanwhile."""
    if database_url.startswith("sqlite"):
        with closing(sqlite3.connect(database_url.removeprefix("sqlite:///"), isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            yield
        return
    with asyncio.Runner() as runner:
        other = runner.run(asyncpg.connect(database_url))
        runner.run(other.execute("BEGIN; LOCK TABLE outdial IN ACCESS EXCLUSIVE MODE"))
        yield
        runner.run(other.close())


CREATE = {"query": 'mutation { createOutdial(input: {name: "saved"}) { outdial { name } } }'}
SAVED = {"data": {"createOutdial": {"outdial": {"name": "saved"}}}}


@pytest.mark.slow
@pytest.mark.parametrize("way", ["socket", "stream"])
def test_a_mutation_in_progress_at_sigterm_is_saved_and_answered(database_url: str, tmp_path: Path, way: str) -> None:
    server = ServerProcess(database_url, tmp_path).start()
    with Raw(server.port) as client:
        with held(database_url):
            if way == "socket":
                client.upgrade().initialise(token(CUSTOMER))
                client.say(type="subscribe", id="1", payload=CREATE)
            else:
                body = json.dumps(CREATE).encode()
                lines = [f"Authorization: Bearer {token(CUSTOMER)}", "Content-Type: application/json"]
                lines += [f"Content-Length: {len(body)}", "Accept: text/event-stream"]
                client.send(head("/graphql", *lines, method="POST") + body)
            time.sleep(0.5)
            os.kill(server.pid, signal.SIGTERM)
            time.sleep(1)
        if way == "socket":
            assert client.hear() == {"type": "next", "id": "1", "payload": SAVED}
            assert client.hear() == {"type": "complete", "id": "1"}
            assert client.close_code() == 1012
        else:
            stream = client.everything()
            assert b"data: " + json.dumps(SAVED, separators=(",", ":")).encode() in stream
            assert b"event: complete" in stream
    server.stop()
    assert server.exit_code == 0


@pytest.mark.slow
def test_a_mutation_that_takes_too_long_does_not_hold_up_the_stop(database_url: str, tmp_path: Path) -> None:
    server = ServerProcess(database_url, tmp_path).start()
    with Raw(server.port, seconds=15) as client, held(database_url):
        client.upgrade().initialise(token(CUSTOMER))
        for number in range(3):
            client.say(type="subscribe", id=str(number), payload=CREATE)
        time.sleep(2)
        for number in range(3, 6):
            client.say(type="subscribe", id=str(number), payload=CREATE)
        time.sleep(0.5)
        began = time.monotonic()
        os.kill(server.pid, signal.SIGTERM)
        assert client.close_code() == 1012
        assert time.monotonic() - began < 12
        server.stop()
    assert server.exit_code == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_sigterm_closes_sockets_with_1012_and_is_no_failure(
    sqlite_template: Path, tmp_path: Path, number: signal.Signals
) -> None:
    database = shutil.copyfile(sqlite_template, tmp_path / "outdial.db")
    server = ServerProcess(f"sqlite:///{database}", tmp_path).start()
    with Raw(server.port) as socket, Raw(server.port) as unknown:
        socket.upgrade().initialise(token(CUSTOMER))
        socket.say(type="subscribe", id="1", payload={"query": "subscription { outdialEvents { type } }"})
        unknown.upgrade().send(frame(b"{", fin=False))
        os.kill(server.pid, number)
        assert socket.close_code() == 1012
        assert unknown.close_code() == 1012
    server.stop()
    assert server.exit_code == 0


def test_sigterm_ends_what_odd_clients_leave_open(sqlite_template: Path, tmp_path: Path) -> None:
    database = shutil.copyfile(sqlite_template, tmp_path / "outdial.db")
    server = ServerProcess(f"sqlite:///{database}", tmp_path).start()
    usual = ["Upgrade: websocket", "Connection: Upgrade", f"Sec-WebSocket-Key: {KEY}", "Sec-WebSocket-Version: 13"]
    opened = [Raw(server.port, seconds=5) for _ in range(5)]
    long, with_body, half, wrong, uploading = opened
    long.send(head("/graphql", *usual, "X-A: " + "a" * 9_000))
    with_body.send(head("/graphql", *usual, "Content-Length: 5") + b"hello")
    half.send(head("/graphql", *usual)[:-2])
    wrong.upgrade().send(b"\xff" * 20)
    body = json.dumps({"query": "{ viewer { customerId } }"}).encode()
    lines = [f"Authorization: Bearer {token(CUSTOMER)}", "Content-Type: application/json"]
    uploading.send(head("/graphql", *lines, f"Content-Length: {len(body)}", method="POST") + body[:10])
    time.sleep(0.3)
    os.kill(server.pid, signal.SIGTERM)
    time.sleep(0.3)
    status, _, answer = uploading.send(body[10:]).answer()
    assert (status, json.loads(answer)) == (200, {"data": {"viewer": {"customerId": CUSTOMER}}})
    server.stop()  # fails if there is a traceback
    assert server.exit_code == 0
    for connection in opened:
        connection.close()


@pytest.mark.slow
def test_sigterm_ends_a_socket_whose_client_has_said_goodbye_and_reads_nothing(
    sqlite_template: Path, tmp_path: Path
) -> None:
    database = shutil.copyfile(sqlite_template, tmp_path / "outdial.db")
    server = ServerProcess(f"sqlite:///{database}", tmp_path).start()
    with Raw(server.port, buffer=4_096) as unread:
        unread.upgrade().initialise(token(CUSTOMER))
        for number in range(80):
            unread.say(type="subscribe", id=str(number), payload={"query": get_introspection_query()})
        time.sleep(1.5)
        unread.send(frame(b"\x03\xe8", CLOSE))
        time.sleep(0.3)
        server.stop()
    assert server.exit_code == 0


async def test_nothing_is_pending_after_a_stop() -> None:
    with Served() as served:
        opened = [Raw(served.port).upgrade().initialise() for _ in range(3)]
        served.on_loop(served.stopping.set)
        assert [await asyncio.to_thread(socket.close_code) for socket in opened] == [1012] * 3
        deadline = time.monotonic() + PATIENT_SECONDS
        while served.tasks():
            assert time.monotonic() < deadline, served.tasks()
            await asyncio.sleep(0.01)
        for socket in opened:
            socket.close()
