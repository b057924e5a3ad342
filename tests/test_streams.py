"""Following changes: whoever resumes by cursor misses none, through disconnects, many writers and a killed server."""

import asyncio
import random
import statistics
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest
import websockets

from tests.conftest import Services
from tests.support import rows
from tests.support.factories import phone_number
from tests.support.graphql_client import Client, Subscription
from tests.support.server import ServerProcess
from tests.support.waiting import until

CHANGES = 5_000
WRITERS = 8
QUIET_SECONDS_MAX = 20
LATENCY_ROUNDS = 40
# Far above what is promised (50 and 150 ms): a busy machine must not fail the suite; the figures are printed.
SAME_PROCESS_SECONDS_MAX = 0.5
OTHER_PROCESS_SECONDS_MAX = 1.0
CREATE = "mutation($input: CreateTargetsInput!) { createTargets(input: $input) { targets { id } } }"
CLAIM = "mutation($input: ClaimTargetsInput!) { claimTargets(input: $input) { attempts { id } userErrors { code } } }"
START = "mutation($input: StartAttemptsInput!) { startAttempts(input: $input) { userErrors { code } } }"
COMPLETE = "mutation($input: CompleteAttemptsInput!) { completeAttempts(input: $input) { userErrors { code } } }"
LOST = (httpx.TransportError, OSError, websockets.WebSocketException, EOFError)


async def write(client: Client, outdial_id: str, rounds: int, size: int) -> None:
    """Four changes to each of some new targets, a few at a time; some targets are never claimed by who made them."""
    for _ in range(rounds):
        drafts = [{"destination0": {"target": phone_number()}} for _ in range(size)]
        await client.run(CREATE, input={"outdialId": outdial_id, "targets": drafts})
        data = await client.run(CLAIM, input={"outdialId": outdial_id, "limit": size})
        ids = [attempt["id"] for attempt in data["claimTargets"]["attempts"]]
        if ids:
            await client.run(START, input={"attempts": [{"attemptId": attempt_id} for attempt_id in ids]})
            results = [{"attemptId": attempt_id, "disposition": "ANSWERED"} for attempt_id in ids]
            await client.run(COMPLETE, input={"results": results})


class Follower:
    """Reads batches and loses its connection, again and again, and resumes with the last batch's cursor."""

    def __init__(self, clients: list[Client], outdial_id: str, cursor: str) -> None:
        self.clients = clients
        self.outdial_id = outdial_id
        self.cursor = cursor
        self.got: Counter[tuple[str, int]] = Counter()
        self.cursors: list[str] = []
        self.connections = 0

    async def follow(self, *, batches_max: int) -> None:
        """Until cancelled."""
        while True:
            with suppress(*LOST):
                async with random.choice(self.clients).target_events(self.outdial_id, self.cursor) as events:
                    self.connections += 1
                    for _ in range(random.randint(1, batches_max)):
                        self._take(await events.next(QUIET_SECONDS_MAX))
                    self._leave(events)
            await asyncio.sleep(0.001)

    @asynccontextmanager
    async def following(self, *, batches_max: int) -> AsyncIterator[None]:
        """Follow while the block runs; what goes wrong with that is the test's failure."""
        task = asyncio.create_task(self.follow(batches_max=batches_max))
        try:
            yield
        finally:
            if not task.done():
                task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    def _take(self, batch: dict[str, Any]) -> None:
        assert batch["gap"] is None
        for event in batch["events"]:
            self.got[event["targetId"], event["version"]] += 1
            self.cursors.append(event["cursor"])
        self.cursor = batch["cursor"]

    @staticmethod
    def _leave(events: Subscription) -> None:
        if random.random() < 0.5:
            events.vanish()

    async def has_all(self, url: str, customer_id: str) -> None:
        """Wait until every change that is in the log has come, each once."""
        log = await rows.of(url, customer_id)
        rows.check(log)
        rows.check_events(log)
        wanted = Counter((event["target_id"], event["version"]) for event in log["target_event"])
        assert set(wanted.values()) == {1}
        with suppress(AssertionError):  # what is missing says more
            await until(lambda: self.got == wanted, seconds=QUIET_SECONDS_MAX)
        missed, again = wanted - self.got, self.got - wanted
        assert (len(missed), len(again)) == (0, 0), (list(missed)[:3], list(again)[:3])
        assert len(set(self.cursors)) == len(self.cursors)


async def cursor_of(client: Client, outdial_id: str) -> str:
    data = await client.run("query($id: ID!) { outdial(id: $id) { eventCursor } }", id=outdial_id)
    cursor: str = data["outdial"]["eventCursor"]
    return cursor


@pytest.mark.slow
async def test_a_subscriber_that_disconnects_again_and_again_misses_no_change(
    client: Client, service: ServerProcess
) -> None:
    outdial = await client.outdial()
    follower = Follower([client], outdial["id"], await cursor_of(client, outdial["id"]))
    async with follower.following(batches_max=4):
        await write(client, outdial["id"], rounds=CHANGES // 4 // 25, size=25)
        await follower.has_all(service.database_url, client.customer_id)
    assert sum(follower.got.values()) == CHANGES
    assert follower.connections > 20


@asynccontextmanager
async def strangers(*urls: str) -> AsyncIterator[None]:
    """Other programs that have written, and leave their transactions open."""
    async with AsyncExitStack() as stack:
        for url in urls:
            connection = await asyncpg.connect(url)
            stack.push_async_callback(connection.close)
            await stack.enter_async_context(connection.transaction())
            await connection.execute("CREATE TABLE a_strangers (value integer)")
        yield


@pytest.mark.slow
async def test_no_change_is_missed_with_many_writers_and_a_server_that_is_killed(
    postgres_url: str, tmp_path: Path
) -> None:
    await miss_nothing(postgres_url, tmp_path)


@pytest.mark.slow
async def test_no_change_is_missed_or_held_back_while_strangers_have_transactions_open(
    postgres_url: str, postgres_server: str, tmp_path: Path
) -> None:
    async with strangers(postgres_url, postgres_server):
        await miss_nothing(postgres_url, tmp_path)


async def miss_nothing(postgres_url: str, tmp_path: Path) -> None:
    servers = [ServerProcess(postgres_url, tmp_path), ServerProcess(postgres_url, tmp_path)]
    customer_id = str(uuid4())
    try:
        await asyncio.gather(*[server.started() for server in servers])
        clients = [Client(server.url, customer_id) for server in servers]
        outdial = await clients[0].outdial()
        cursor = await cursor_of(clients[0], outdial["id"])
        followers = [Follower([*clients], outdial["id"], cursor) for _ in range(3)]

        async def writer(number: int) -> None:
            # Half of them write through the server that is killed, and go on with the other.
            mine = [clients[number % 2], clients[1]]
            for _ in range(CHANGES // 4 // 10 // WRITERS):
                try:
                    await write(mine[0], outdial["id"], rounds=1, size=10)
                except LOST:
                    mine.pop(0)

        async with AsyncExitStack() as stack:
            for follower in followers:
                await stack.enter_async_context(follower.following(batches_max=6))
            writing = [asyncio.create_task(writer(number)) for number in range(WRITERS)]
            await until(lambda: sum(followers[0].got.values()) > CHANGES / 10)
            await asyncio.to_thread(servers[0].kill)
            for follower in followers:
                follower.clients.pop(0)
            await asyncio.gather(*writing)
            for follower in followers:
                await follower.has_all(postgres_url, customer_id)
        assert sum(followers[0].got.values()) > CHANGES / 2
        await asyncio.gather(*[client.http.aclose() for client in clients])
        await asyncio.to_thread(servers[1].stop)
    finally:
        for server in servers:
            server.kill()


@pytest.mark.slow
async def test_a_subscriber_that_does_not_read_holds_up_nobody_and_loses_nothing(
    client: Client, service: ServerProcess
) -> None:
    outdial = await client.outdial()
    cursor = await cursor_of(client, outdial["id"])
    slow, quick = Follower([client], outdial["id"], cursor), Follower([client], outdial["id"], cursor)
    async with client.target_events(outdial["id"], cursor) as unread:
        async with quick.following(batches_max=1_000_000):
            await write(client, outdial["id"], rounds=2, size=500)
            await quick.has_all(service.database_url, client.customer_id)
        while sum(slow.got.values()) < 4_000:
            slow._take(await unread.next())
    await slow.has_all(service.database_url, client.customer_id)


async def medians(writer: Client, reader: Client) -> float:
    """Seconds from before a change is asked for until a subscriber has its event."""
    outdial = await writer.outdial()
    took = []
    async with reader.target_events(outdial["id"]) as events:
        await events.next()
        for _ in range(LATENCY_ROUNDS):
            drafts = [{"destination0": {"target": phone_number()}}]
            began = time.perf_counter()
            writing = asyncio.create_task(writer.run(CREATE, input={"outdialId": outdial["id"], "targets": drafts}))
            while not (await events.next())["events"]:
                pass
            took.append(time.perf_counter() - began)
            await writing
    return statistics.median(took)


def report(median: float, where: str) -> None:
    """For whoever runs the tests with -s."""
    sys.stdout.write(f"from the call to a subscriber of {where}: {median * 1000:.0f} ms at the median\n")


async def test_a_change_reaches_a_subscriber_of_the_same_process_at_once(client: Client) -> None:
    median = await medians(client, client)
    report(median, "the same process")
    assert median < SAME_PROCESS_SECONDS_MAX


async def test_a_change_reaches_a_subscriber_of_another_process_soon(services: Services) -> None:
    customer_id = str(uuid4())
    writing, reading = services.pair()
    async with Client(writing.url, customer_id) as writer, Client(reading.url, customer_id) as reader:
        median = await medians(writer, reader)
    report(median, "another process")
    assert median < OTHER_PROCESS_SECONDS_MAX


async def test_the_last_state_of_progress_always_arrives(client: Client) -> None:
    outdial = await client.outdial()
    query = """subscription($ids: [ID!]!) { outdialProgress(outdialIds: $ids, intervalMs: 50) {
        outdials { id state progress { total idle progressing done attempts } } } }"""
    async with client.subscribe(query, ids=[outdial["id"]]) as progress:
        assert (await progress.next())["outdials"][0]["progress"]["total"] == 0
        await write(client, outdial["id"], rounds=10, size=20)
        wanted = {"total": 200, "idle": 0, "progressing": 0, "done": 200, "attempts": 200}
        async with asyncio.timeout(QUIET_SECONDS_MAX):
            while (await progress.next())["outdials"][0]["progress"] != wanted:
                pass
        await client.good("updateOutdial", id=outdial["id"], state="PAUSED")
        assert (await progress.next())["outdials"][0]["state"] == "PAUSED"


async def begin(watcher: Subscription, client: Client) -> None:
    """Make changes until one comes: the subscription begins at the present, and no first message says when."""
    for _ in range(50):
        await client.outdial(name="begin")
        with suppress(TimeoutError):
            await watcher.next(0.2)
            return


async def told_of(watcher: Subscription, outdial_id: str, number: int) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = []
    while len(told) < number:
        event = await watcher.next()
        told += [event] if event["outdialId"] == outdial_id else []
    return told


async def test_changes_of_outdials_are_told_by_every_process(services: Services) -> None:
    customer_id = str(uuid4())
    query = "subscription { outdialEvents { type outdialId outdial { name } } }"
    first, second = services.pair()
    async with (
        Client(first.url, customer_id) as one,
        Client(second.url, customer_id) as two,
        one.subscribe(query) as here,
        two.subscribe(query) as there,
    ):
        await begin(here, one)
        await begin(there, one)
        outdial = await one.outdial(name="a")
        await two.good("updateOutdial", id=outdial["id"], name="b")
        await one.good("deleteOutdial", outdial["id"])
        for watcher in (here, there):
            told = await told_of(watcher, outdial["id"], 3)
            assert [event["type"] for event in told] == ["CREATED", "UPDATED", "DELETED"]
            assert told[2]["outdial"] is None
