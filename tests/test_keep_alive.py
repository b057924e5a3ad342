"""Idle connections: open for OUTDIAL_KEEP_ALIVE_SECONDS, however the server is started."""

import asyncio
import http.client
import signal
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.conftest import aside
from tests.support import postgres
from tests.support.program import end, started
from tests.support.server import JWT_SECRET, START_SECONDS_MAX, ServerProcess
from tests.test_demo import Demo
from tests.test_server import copied

SHORT_SECONDS = 2
CLOSES_SOON = {"OUTDIAL_KEEP_ALIVE_SECONDS": str(SHORT_SECONDS)}
UVICORN_SECONDS = 5
"""Its own default, from which each test tells our setting."""


def idle_seconds(port: int, at_most: float) -> float:
    """How long a connection stays open after an answer, as its client sees it."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=START_SECONDS_MAX)) as connection:
        connection.request("GET", "/healthz")
        assert connection.getresponse().read() == b'{"alive":true}'
        answered_at = time.monotonic()
        assert connection.sock is not None
        connection.sock.settimeout(at_most)
        try:
            assert connection.sock.recv(1) == b""
        except TimeoutError:
            return at_most
        return time.monotonic() - answered_at


@pytest.mark.slow
def test_an_idle_connection_still_serves_after_more_than_a_balancers_pause(
    sqlite_template: Path, tmp_path: Path
) -> None:
    with (
        ServerProcess(f"sqlite:///{copied(sqlite_template, tmp_path)}", tmp_path) as server,
        closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)) as connection,
    ):
        for pause in (0, UVICORN_SECONDS + 2):
            time.sleep(pause)
            connection.request("GET", "/healthz")
            assert connection.getresponse().read() == b'{"alive":true}'
            used = connection.sock
        assert connection.sock is used  # it was not opened anew


def test_one_process_closes_it_then(sqlite_template: Path, tmp_path: Path) -> None:
    database = f"sqlite:///{copied(sqlite_template, tmp_path)}"
    with ServerProcess(database, tmp_path, environment=CLOSES_SOON) as server:
        assert SHORT_SECONDS - 0.2 < idle_seconds(server.port, UVICORN_SECONDS) < UVICORN_SECONDS


@pytest.mark.slow
def test_so_does_each_of_several_workers(tmp_path: Path, postgres_server: str, postgres_template: str) -> None:
    urls: list[str] = []

    async def create() -> None:
        urls.append(await postgres.create_database(postgres_server, postgres_template))

    aside(create())
    process, url = started(tmp_path, 2, OUTDIAL_DATABASE_URL=urls[0], OUTDIAL_JWT_SECRET=JWT_SECRET, **CLOSES_SOON)
    try:
        port = int(url.rpartition(":")[2])
        assert SHORT_SECONDS - 0.2 < idle_seconds(port, UVICORN_SECONDS) < UVICORN_SECONDS
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)
    finally:
        end(process)
        aside(postgres.drop_database(postgres_server, urls[0]))


@pytest.mark.slow
async def test_so_does_the_demo(tmp_path: Path) -> None:
    demo = Demo(tmp_path, environment=CLOSES_SOON)
    try:
        await demo.introduction()
        idle = await asyncio.to_thread(idle_seconds, demo.port, UVICORN_SECONDS)
        assert SHORT_SECONDS - 0.2 < idle < UVICORN_SECONDS
    finally:
        demo.stop(signal.SIGINT)
