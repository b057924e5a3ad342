"""PostgreSQL hangs, crashes, or is busy while a server works: it says so, and is well again soon after."""

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import psutil
import pytest

from app import db
from app.db import connections
from app.errors import Unavailable
from tests.support import postgres
from tests.support.factories import phone_number
from tests.support.failing import SLOW
from tests.support.graphql_client import Client, codes
from tests.support.server import ServerProcess
from tests.support.waiting import until

NOTICED_SECONDS_MAX = 15
RECOVERED_SECONDS_MAX = 10
"""After PostgreSQL takes connections again. It is one or two seconds on a quiet machine."""
CREATE = "mutation($input: CreateTargetInput!) { createTarget(input: $input) { target { id } } }"


def processes(server: postgres.OwnServer) -> Iterator[psutil.Process]:
    assert server._process
    for child in psutil.Process(server._process.pid).children(recursive=True):
        if "postgres" in child.name():
            yield child


async def stop_and_continue(server: postgres.OwnServer, is_noticed: Callable[[], Awaitable[None]]) -> None:
    stopped = list(processes(server))
    for process in stopped:
        process.send_signal(signal.SIGSTOP)
    try:
        await is_noticed()
    finally:
        for process in stopped:
            process.send_signal(signal.SIGCONT)


async def crash_and_recover(server: postgres.OwnServer, is_noticed: Callable[[], Awaitable[None]]) -> None:
    """A session is killed: PostgreSQL ends all others, and recovers from its log."""
    [session, *_] = [process for process in processes(server) if "outdial_test" in " ".join(process.cmdline())]
    other = await asyncpg.connect(server.url)
    session.kill()
    async with asyncio.timeout(60):  # PostgreSQL's own time, which a busy machine makes long
        while not other.is_closed():  # noqa: ASYNC110 - it is another process
            await asyncio.sleep(0.01)
        while not await _takes_connections(server):  # noqa: ASYNC110 - it is another process
            await asyncio.sleep(0.1)


async def kill_and_restart(server: postgres.OwnServer, is_noticed: Callable[[], Awaitable[None]]) -> None:
    await asyncio.to_thread(server.kill_parent)
    await is_noticed()
    await asyncio.to_thread(server.restart)


async def _takes_connections(server: postgres.OwnServer) -> bool:
    try:
        await (await asyncpg.connect(server.url)).close()
    except (OSError, asyncpg.PostgresError):
        return False
    return True


@pytest.fixture
def durable() -> Iterator[postgres.OwnServer]:
    """A crash of it loses nothing that it has acknowledged."""
    with postgres.OwnServer({"synchronous_commit": "on"}) as server:
        yield server


@pytest.mark.slow
@pytest.mark.parametrize("fail", [stop_and_continue, crash_and_recover, kill_and_restart])
async def test_a_server_says_that_its_database_is_away_and_is_well_by_itself_after_its_return(
    durable: postgres.OwnServer, tmp_path: Path, fail: Callable[..., Awaitable[None]]
) -> None:
    url = await postgres.create_database(durable.url)
    await db.migrate(url)
    server = await ServerProcess(url, tmp_path, environment={"OUTDIAL_LOG_LEVEL": "WARNING"}).started()
    known: set[str] = set()
    refusals: set[str] = set()
    try:
        async with (
            Client(server.url, str(uuid4())) as client,
            httpx.AsyncClient(base_url=server.url, trust_env=False, timeout=20) as prober,
        ):
            outdial = (await client.outdial())["id"]

            async def write() -> None:
                while True:
                    given = {"outdialId": outdial, "target": {"destination0": {"target": phone_number()}}}
                    answer = await client.send(CREATE, input=given)
                    refusals.update(codes(answer))
                    if not answer.get("errors"):
                        known.add(answer["data"]["createTarget"]["target"]["id"])
                    await asyncio.sleep(0.02)

            async def until_ready(status: int) -> None:
                while (await prober.get("/readyz")).status_code != status:  # noqa: ASYNC110 - it is another process
                    await asyncio.sleep(0.2)

            async def is_noticed() -> None:
                async with asyncio.timeout(NOTICED_SECONDS_MAX):
                    await until_ready(503)

            told: set[str] = set()

            async def follow(events: Any) -> None:
                while True:
                    told.update(event["targetId"] for event in (await events.next(60))["events"])

            async with client.target_events(outdial) as events:
                work = [asyncio.create_task(write()) for _ in range(3)] + [asyncio.create_task(follow(events))]
                await until(lambda: len(known) >= 20)
                await fail(durable, is_noticed)
                before = len(known)
                async with asyncio.timeout(RECOVERED_SECONDS_MAX):
                    await until_ready(200)
                    await until(lambda: len(known) >= before + 5)
                    acknowledged = set(known)
                    await until(lambda: acknowledged <= told)
                for task in work:
                    task.cancel()
                await asyncio.wait(work)
            assert refusals <= {"UNAVAILABLE"}
            ids = sorted(known)
            found = (await client.run("query($ids: [ID!]!) { nodes(ids: $ids) { id } }", ids=ids[:100]))["nodes"]
            assert [node and node["id"] for node in found] == ids[:100]
        await asyncio.to_thread(server.stop)
    except BaseException:  # also a time-out of the test
        await asyncio.to_thread(server.kill)
        sys.stderr.write(server.output())  # pytest shows it beside the failure
        raise


async def test_when_all_connections_are_busy_it_says_so_until_one_is_free(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "CONNECTION_WAIT_SECONDS", 0.2)
    await db.connect(f"{postgres_url}?connect_timeout=1", pool_size=2)
    try:
        busy = [asyncio.create_task(db.fetch(SLOW)) for _ in range(2)]
        await asyncio.sleep(0.3)
        with pytest.raises(Unavailable, match="busy"):
            await db.ping()
        for task in busy:
            task.cancel()
        await asyncio.wait(busy)
        await db.ping()
    finally:
        await db.close()


async def test_a_statement_that_takes_too_long_is_unavailable_and_its_connection_serves_again(
    postgres_url: str,
) -> None:
    await db.connect(f"{postgres_url}?options=-c%20statement_timeout%3D200", pool_size=1)
    try:
        with pytest.raises(Unavailable, match="busy"):
            await db.fetch(SLOW)
        await db.ping()
    finally:
        await db.close()
