"""PostgreSQL's connections are cut again and again while everything runs: clients get UNAVAILABLE or what is right."""

import asyncio
import random
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest

from app import db
from tests.support import importing, rows
from tests.support.factories import phone_number
from tests.support.graphql_client import Client, GraphQLErrors, Subscription, codes
from tests.support.postgres import OwnServer, create_database, named
from tests.support.relay import Relay
from tests.support.server import ServerProcess
from tests.support.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

CUTS = 20
KILLS = 6
CUT_SECONDS_MAX = 90
DIALERS = 4
READERS = 3
RECOVERED_SECONDS_MAX = 5
CREATE = """mutation($input: CreateTargetsInput!) { createTargets(input: $input) { targets { id } } }"""
CLAIM = "mutation($input: ClaimTargetsInput!) { claimTargets(input: $input) { attempts { id } } }"
START = "mutation($input: StartAttemptsInput!) { startAttempts(input: $input) { attempts { id } } }"
COMPLETE = "mutation($input: CompleteAttemptsInput!) { completeAttempts(input: $input) { attempts { id } } }"
PAGE = """query($id: ID!) { outdial(id: $id) { id progress { total }
    targets(first: 20) { totalCount nodes { id attempts(first: 2) { nodes { id } } } } } }"""
PROGRESS = """subscription($ids: [ID!]!) { outdialProgress(outdialIds: $ids, intervalMs: 50) {
    outdials { progress { total attempts } } } }"""
OUTDIALS = "subscription { outdialEvents { type outdialId } }"


@dataclass
class Seen:
    """What clients were told."""

    codes: Counter[str] = field(default_factory=Counter)
    statuses: Counter[tuple[str, int]] = field(default_factory=Counter)
    targets: set[str] = field(default_factory=set)
    claimed: list[str] = field(default_factory=list)
    completed: set[str] = field(default_factory=set)
    without_retry_after: list[str] = field(default_factory=list)
    imported: int = 0

    @property
    def is_enough(self) -> bool:
        return len(self.completed) >= 20 and self.imported >= 300 and self.codes["UNAVAILABLE"] > 0

    async def send(self, client: Client, query: str, **variables: Any) -> Any:
        """The data of the only field; None if the answer has errors."""
        response = await client.http.post("/graphql", json={"query": query, "variables": variables})
        self.take(response)
        answer = response.json()
        self.codes.update(codes(answer))
        if answer.get("errors"):
            return None
        self.codes["ok"] += 1
        return next(iter(answer["data"].values()))

    def take(self, response: httpx.Response) -> None:
        self.statuses[response.request.url.path.split("/")[-1], response.status_code] += 1
        is_unavailable = response.status_code == httpx.codes.SERVICE_UNAVAILABLE or '"UNAVAILABLE"' in response.text
        if is_unavailable and "Retry-After" not in response.headers:
            self.without_retry_after.append(response.text)


async def dial(client: Client, outdial_id: str, seen: Seen) -> None:
    while True:
        drafts = [{"destination0": {"target": phone_number()}} for _ in range(5)]
        made = await seen.send(client, CREATE, input={"outdialId": outdial_id, "targets": drafts})
        seen.targets.update(target["id"] for target in (made or {"targets": []})["targets"])
        claimed = await seen.send(client, CLAIM, input={"outdialId": outdial_id, "limit": 5})
        ids = [attempt["id"] for attempt in (claimed or {"attempts": []})["attempts"]]
        seen.claimed += ids
        if not ids:
            continue
        await seen.send(client, START, input={"attempts": [{"attemptId": attempt_id} for attempt_id in ids]})
        results = [{"attemptId": attempt_id, "disposition": "ANSWERED"} for attempt_id in ids]
        done = await seen.send(client, COMPLETE, input={"results": results})
        seen.completed.update(attempt["id"] for attempt in (done or {"attempts": []})["attempts"])


async def read(client: Client, outdial_id: str, seen: Seen) -> None:
    while True:
        await seen.send(client, PAGE, id=outdial_id)
        seen.take(await client.http.get(f"/v1.0/outdials/{outdial_id}"))
        seen.take(await client.http.get(f"/v1.0/outdials/{outdial_id}/targets"))


async def load(client: Client, outdial_id: str, seen: Seen) -> None:
    """Import files, each with new numbers, and each again with its key until it is taken."""
    while True:
        lines, response = "".join(f"{phone_number()}\n" for _ in range(300)), None
        key = str(uuid4())
        while response is None or response.status_code == httpx.codes.SERVICE_UNAVAILABLE:
            response = await importing.send(client, outdial_id, f"phone\n{lines}", key=key)
            seen.take(response)
        seen.imported += response.json()["counts"]["created"]


async def make_outdials(client: Client, seen: Seen, made: set[str]) -> None:
    query = "mutation { createOutdial(input: {}) { outdial { id } } }"
    while True:
        answer = await seen.send(client, query)
        if answer is not None:
            made.add(answer["outdial"]["id"])
        await asyncio.sleep(0.05)


@dataclass
class Follower:
    """A subscription that is never begun again."""

    socket: Subscription
    answers: list[Any] = field(default_factory=list)
    errors: list[Any] = field(default_factory=list)

    async def follow(self) -> None:
        with suppress(GraphQLErrors):
            while True:
                answer = await self.socket.answer(60)
                if answer.get("errors") and not answer.get("data"):
                    self.errors.append(answer)
                    return
                self.answers.append(next(iter(answer["data"].values())))


@asynccontextmanager
async def following(*sockets: Subscription) -> AsyncIterator[list[Follower]]:
    async with AsyncExitStack() as stack:
        followers = [Follower(await stack.enter_async_context(socket)) for socket in sockets]
        tasks = [asyncio.create_task(follower.follow()) for follower in followers]
        await until(lambda: all(follower.answers for follower in followers[:-1]))
        try:
            yield followers
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)


async def terminate(relay: Relay, administrator: Any, name: str) -> None:
    """Now all sessions, now some, each at any moment of what it does."""
    share = random.choice((0.3, 1))
    await administrator.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND random() < $2", name, share
    )


async def break_network(relay: Relay, administrator: Any, name: str) -> None:
    await relay.drop()


@pytest.mark.parametrize("cut", [terminate, break_network])
async def test_while_connections_are_cut_nothing_is_lost_doubled_or_called_a_bug(
    postgres_url: str, tmp_path: Path, cut: Callable[[Relay, Any, str], Awaitable[None]]
) -> None:
    port, _, name = postgres_url.rpartition(":")[2].partition("/")
    administrator = await asyncpg.connect(named(postgres_url, "postgres"))
    try:
        async with Relay(int(port)) as relay:
            url = f"postgresql://outdial@127.0.0.1:{relay.port}/{name}"
            await hold(url, postgres_url, tmp_path, lambda: cut(relay, administrator, name), cuts=CUTS)
    finally:
        await administrator.close()


async def test_while_postgresql_is_killed_and_restarted_nothing_is_lost_doubled_or_called_a_bug(
    tmp_path: Path,
) -> None:
    with OwnServer({"synchronous_commit": "on"}) as server:
        url = await create_database(server.url)
        await db.migrate(url)

        async def cut() -> None:
            await asyncio.to_thread(server.kill_parent)
            await asyncio.to_thread(server.restart)

        await hold(url, url, tmp_path, cut, cuts=KILLS)


async def hold(
    url: str, direct_url: str, folder: Path, cut: Callable[[], Coroutine[Any, Any, None]], *, cuts: int
) -> None:
    """Serve a database for clients of all kinds, cut it off so many times, and compare what is left with what was said.

    Args:
        url: what the server uses.
        direct_url: the same database, on a way that is never cut.
        folder: the server's.
        cut: cuts it off. When it returns, the database takes connections.
        cuts: how often.
    """
    seen, customer_id, made, done = Seen(), str(uuid4()), set[str](), 0
    server = await ServerProcess(url, folder, environment={"OUTDIAL_LOG_LEVEL": "WARNING"}).started()
    try:
        async with Client(server.url, customer_id) as client:
            outdial = await client.outdial(dialPolicy={"retryIntervalSeconds": 0, "leaseSeconds": 5})
            other = await client.outdial()
            sockets = [client.target_events(outdial["id"]) for _ in range(3)]
            sockets += [client.target_events(other["id"]), client.subscribe(PROGRESS, ids=[outdial["id"]])]
            async with following(*sockets, client.subscribe(OUTDIALS)) as followers:
                work = [asyncio.create_task(dial(client, outdial["id"], seen)) for _ in range(DIALERS)]
                work += [asyncio.create_task(read(client, outdial["id"], seen)) for _ in range(READERS)]
                work += [asyncio.create_task(load(client, outdial["id"], seen))]
                work += [asyncio.create_task(make_outdials(client, seen, made))]
                async with asyncio.timeout(CUT_SECONDS_MAX):
                    while (done := done + 1) < cuts or not seen.is_enough:
                        await asyncio.sleep(random.uniform(0, 1))
                        await cut()
                for task in work:
                    task.cancel()
                await asyncio.wait(work)
                assert {type(task.exception()) for task in work if not task.cancelled()} == set()
                # the service is well at once, and every subscription goes on
                last = (await client.target(outdial["id"]))["id"]
                made.add((await client.outdial())["id"])
                total = (await client.read_outdial(outdial["id"]) or {})["progress"]["total"]
                await until(lambda: is_told(followers, last, made, total), seconds=RECOVERED_SECONDS_MAX)
                assert [follower.errors for follower in followers] == [[]] * len(followers)
            tables = await rows.of(direct_url, customer_id)
            check(tables, followers, outdial["id"], seen, made)
        assert (await asyncio.to_thread(server.is_ready)) is True
        await asyncio.to_thread(server.stop)
    except BaseException:  # also a time-out of the test
        await asyncio.to_thread(server.kill)
        sys.stderr.write(server.output())  # pytest shows it beside the failure
        raise


def events_of(follower: Follower) -> list[Any]:
    return [event for batch in follower.answers for event in batch["events"]]


def is_told(followers: list[Follower], last: str, made: set[str], total: int) -> bool:
    *_, progress, outdials = followers
    return (
        all(any(event["targetId"] == last for event in events_of(follower)) for follower in followers[:3])
        and progress.answers[-1]["outdials"][0]["progress"]["total"] == total
        and made <= {event["outdialId"] for event in outdials.answers}
    )


def check(tables: rows.Tables, followers: list[Follower], outdial_id: str, seen: Seen, made: set[str]) -> None:
    assert set(seen.codes) <= {"ok", "UNAVAILABLE"}
    assert {status for _, status in seen.statuses} <= {200, 201, 503}
    assert seen.without_retry_after == []
    rows.check(tables)
    ledger = {attempt["id"]: attempt for attempt in tables["attempt"]}
    assert seen.targets <= {target["id"] for target in tables["target"]}
    assert seen.imported % 300 == 0
    assert made <= {outdial["id"] for outdial in tables["outdial"]}
    assert len(seen.claimed) == len(set(seen.claimed))
    assert set(seen.claimed) <= ledger.keys()
    assert {ledger[attempt_id]["state"] for attempt_id in seen.completed} == {"COMPLETED"}
    tries = Counter((attempt["target_id"], attempt["try_number"]) for attempt in ledger.values())
    assert set(tries.values()) == {1}
    kept = sum(event["outdial_id"] == outdial_id for event in tables["target_event"])
    for follower in followers[:3]:
        told = [event["cursor"] for event in events_of(follower)]
        assert len(told) == len(set(told))
        assert kept - 50 <= len(told) <= kept  # the lease of the last claims may end meanwhile
        assert {batch["gap"] for batch in follower.answers} == {None}
