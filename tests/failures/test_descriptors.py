"""A process can open no more files while strangers connect and its database cuts it off: it refuses, and lives."""

import asyncio
import resource
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psutil
import pytest

from tests.support import postgres, raw
from tests.support.raw import Raw
from tests.support.server import ServerProcess, token

RECOVERED_SECONDS_MAX = 5
IDLE_SECONDS = 3
ROUNDS = 5
CREATE = {"query": "mutation { createOutdial(input: {}) { outdial { id } } }"}
EVENTS = {"query": "subscription { outdialEvents { outdialId } }"}

pytestmark = [pytest.mark.slow]


@contextmanager
def no_more_files(server: ServerProcess) -> Iterator[None]:
    """The process may have one more file open than it has now."""
    before = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (raw.descriptors(server.pid) + 1, before[1]))
    try:
        yield
    finally:
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, before)


@contextmanager
def strangers(port: int) -> Iterator[None]:
    """They connect again and again, say nothing, and stay."""
    ended = threading.Event()

    def come() -> None:
        with ExitStack() as opened:
            while not ended.wait(0.005):
                with suppress(OSError):
                    opened.enter_context(Raw(port, seconds=2))

    threads = [threading.Thread(target=come) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def cut_off(url: str) -> None:
    """End every session of the database: the server opens each again."""
    if not url.startswith("sqlite"):
        name = url.rpartition("/")[2]
        end = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
        asyncio.run(postgres.execute(postgres.named(url, "postgres"), end))


def processor_seconds(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


def outcome(client: httpx.Client, method: str, path: str, **more: Any) -> str:
    """What a client gets: done, unavailable, or something that it never should."""
    try:
        response = client.request(method, path, **more)
    except httpx.TransportError:
        return "refused"
    if response.status_code == httpx.codes.OK and '"errors":' not in response.text:
        return "done"
    is_unavailable = "UNAVAILABLE" in response.text or path == "/readyz"
    return "unavailable" if is_unavailable and response.status_code in {200, 503} else response.text


def test_a_process_without_files_to_open_refuses_and_is_well_soon_after(database_url: str, tmp_path: Path) -> None:
    mine = token(str(uuid4()))
    with (
        ServerProcess(database_url, tmp_path) as server,
        httpx.Client(
            base_url=server.url, headers={"Authorization": f"Bearer {mine}"}, trust_env=False, timeout=20
        ) as client,
        Raw(server.port).upgrade().initialise(mine) as follower,
    ):
        follower.say(type="subscribe", id="1", payload=EVENTS)
        outdial = client.post("/graphql", json=CREATE).json()["data"]["createOutdial"]["outdial"]["id"]
        file = {"content": "phone\n+14155550123\n", "headers": {"Content-Type": "text/csv"}}
        outcomes: Counter[str] = Counter()
        before = raw.descriptors(server.pid)
        with no_more_files(server), strangers(server.port):
            for _ in range(ROUNDS):
                cut_off(database_url)
                time.sleep(0.2)
                outcomes[outcome(client, "POST", "/graphql", json=CREATE)] += 1
                outcomes[outcome(client, "POST", f"/v1.0/outdials/{outdial}/targets/import", **file)] += 1
                outcomes[outcome(client, "GET", f"/v1.0/outdials/{outdial}/targets/export")] += 1
                outcomes[outcome(client, "GET", "/")] += 1
                outcomes[outcome(client, "GET", "/metrics")] += 1
                outcomes[outcome(client, "GET", "/readyz")] += 1
            spent, lines = processor_seconds(server.pid), server.output().count("\n")
            time.sleep(IDLE_SECONDS)
            assert processor_seconds(server.pid) - spent < IDLE_SECONDS / 3
            assert server.output().count("\n") - lines < 20 * IDLE_SECONDS
        assert set(outcomes) <= {"done", "unavailable", "refused"}, outcomes
        assert outcomes["unavailable"]  # otherwise it had files to open
        deadline = time.monotonic() + RECOVERED_SECONDS_MAX
        while outcome(client, "GET", "/readyz") != "done" or outcome(client, "POST", "/graphql", json=CREATE) != "done":
            assert time.monotonic() < deadline
            time.sleep(0.1)
        last = client.post("/graphql", json=CREATE).json()["data"]["createOutdial"]["outdial"]["id"]
        while (told := follower.hear())["payload"]["data"]["outdialEvents"]["outdialId"] != last:
            assert told["type"] == "next"
        assert outcome(client, "POST", f"/v1.0/outdials/{outdial}/targets/import", **file) == "done"
        deadline = time.monotonic() + 2 * RECOVERED_SECONDS_MAX
        while raw.descriptors(server.pid) > before + 2:  # a connection of the database, or of the client
            assert time.monotonic() < deadline
            time.sleep(0.1)
