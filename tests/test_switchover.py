"""Two PostgreSQL servers behind one address, and a switch from one to the other while a server writes."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg
import httpx
import pytest

from app import db
from tests.support import postgres
from tests.support.graphql_client import Client, codes
from tests.support.relay import Relay
from tests.support.server import ServerProcess
from tests.support.waiting import until

RECOVERED_SECONDS_MAX = 10
WRITERS = 8
CREATE = """mutation($input: CreateOutdialInput!) { createOutdial(input: $input) { outdial { id } } }"""
# What was acknowledged is on both servers: the primary answers once its standby has written it.
DURABLE = {"synchronous_commit": "remote_apply", "wal_level": "replica"}


@dataclass
class Cluster:
    primary: postgres.OwnServer
    standby: postgres.OwnServer
    relay: Relay
    database: str

    @property
    def url(self) -> str:
        return f"postgresql://outdial@127.0.0.1:{self.relay.port}/{self.database}"

    @property
    def url_of_both(self) -> str:
        """No proxy: the client knows both servers, the standby first."""
        return f"postgresql://outdial@127.0.0.1:{self.standby.port},127.0.0.1:{self.primary.port}/{self.database}"

    async def promote(self) -> None:
        await postgres.execute(self.standby.url, "SELECT pg_promote()")


@asynccontextmanager
async def cluster() -> AsyncIterator[Cluster]:
    with ExitStack() as servers:
        primary = await asyncio.to_thread(servers.enter_context, postgres.OwnServer(DURABLE))
        database = await postgres.create_database(primary.url)
        await db.migrate(database)
        standby = await asyncio.to_thread(servers.enter_context, postgres.OwnServer(DURABLE, primary=primary.url))
        await postgres.execute(
            primary.url, "ALTER SYSTEM SET synchronous_standby_names = '*'", "SELECT pg_reload_conf()"
        )
        async with Relay(primary.port) as relay:
            yield Cluster(primary, standby, relay, urlsplit(database).path.lstrip("/"))


class Writers:
    """Clients that create outdials all the while, and remember what was acknowledged and what was refused how."""

    def __init__(self, server: ServerProcess) -> None:
        self._server = server
        self.customer_id = str(uuid4())
        self.acknowledged: list[str] = []
        self.last_at = 0.0
        self.refusals: set[str] = set()
        self.statuses: list[int] = []

    async def write(self) -> None:
        async with Client(self._server.url, self.customer_id) as client:
            while True:
                answer = await client.send(CREATE, input={"campaignId": str(uuid4())})
                self.refusals.update(codes(answer))
                if not answer.get("errors"):
                    self.acknowledged.append(answer["data"]["createOutdial"]["outdial"]["id"])
                    self.last_at = time.monotonic()
                await asyncio.sleep(0.01)

    async def ask(self) -> None:
        """Whether it is ready, as a balancer asks."""
        async with httpx.AsyncClient(trust_env=False) as client:
            while True:
                self.statuses.append((await client.get(f"{self._server.url}/readyz", timeout=10)).status_code)
                await asyncio.sleep(0.2)


@asynccontextmanager
async def writing(server: ServerProcess) -> AsyncIterator[Writers]:
    writers = Writers(server)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(writers.write()) for _ in range(WRITERS)]
        tasks.append(group.create_task(writers.ask()))
        try:
            yield writers
        finally:
            for task in tasks:
                task.cancel()


async def kept(url: str, customer_id: str) -> set[str]:
    connection = await asyncpg.connect(url)
    try:
        rows = await connection.fetch("SELECT id FROM outdial WHERE customer_id = $1", customer_id)
    finally:
        await connection.close()
    return {str(row["id"]) for row in rows}


async def fence(cluster: Cluster) -> None:
    """The planned way: the old primary takes no writes any more, but goes on answering those that are connected."""
    await postgres.execute(
        cluster.primary.url, "ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()"
    )
    await asyncio.sleep(1)  # what has begun before it ends here
    await cluster.promote()
    cluster.relay.lead_to(cluster.standby.port)


async def lose(cluster: Cluster) -> None:
    """The unplanned way: the old primary is gone; its standby is promoted, and the address follows."""
    await asyncio.to_thread(cluster.primary.crash)
    await asyncio.sleep(1)
    await cluster.promote()
    cluster.relay.lead_to(cluster.standby.port)


@pytest.mark.slow
@pytest.mark.parametrize("switch", [fence, lose])
@pytest.mark.parametrize("address", ["one for both", "both"])
async def test_after_a_switchover_writes_succeed_again_within_ten_seconds_and_nothing_acknowledged_is_lost(
    switch: Callable[[Cluster], Awaitable[None]], address: str, tmp_path: Path
) -> None:
    async with cluster() as both:
        url = both.url if address == "one for both" else both.url_of_both
        quiet = {"OUTDIAL_LOG_LEVEL": "WARNING"}
        server = await ServerProcess(url, tmp_path, environment=quiet).started()
        reader = await ServerProcess(url, tmp_path, environment=quiet).started()
        try:
            async with writing(server) as writers, Client(reader.url, writers.customer_id) as reading:
                await until(lambda: len(writers.acknowledged) > 50)
                assert set(writers.statuses) == {200}
                await switch(both)
                switched_at, before = time.monotonic(), len(writers.acknowledged)
                await until(lambda: len(writers.acknowledged) > before + 50)
                recovered_at = writers.last_at
                # A server that nobody writes by has left the old primary as well: it would tell of the past for ever.
                await until_read(reading, writers.acknowledged[-1], seconds=RECOVERED_SECONDS_MAX)
                await until(lambda: writers.statuses[-1] == 200, seconds=RECOVERED_SECONDS_MAX)
            assert recovered_at - switched_at < RECOVERED_SECONDS_MAX
            assert 503 in writers.statuses
            assert writers.refusals <= {"UNAVAILABLE"}
            there = await kept(postgres.named(both.standby.url, both.database), writers.customer_id)
            assert set(writers.acknowledged) <= there
            # The servers' addresses answer in this loop, so it must not wait for them.
            await asyncio.gather(asyncio.to_thread(server.stop), asyncio.to_thread(reader.stop))
        except BaseException:  # a time limit or Ctrl-C too: the servers are ended, and it is raised again
            await asyncio.gather(asyncio.to_thread(server.kill), asyncio.to_thread(reader.kill))
            sys.stderr.write(server.output() + reader.output())  # pytest shows it beside the failure
            raise


async def until_read(client: Client, outdial_id: str, *, seconds: float) -> None:
    async with asyncio.timeout(seconds):
        while True:
            answer = await client.send("query($id: ID!) { outdial(id: $id) { id } }", id=outdial_id)
            if not answer.get("errors") and answer["data"]["outdial"]:
                return
            await asyncio.sleep(0.1)
