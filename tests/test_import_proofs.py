"""Imports at length: exact to the row, in little memory, through crashes, beside others who go on with their work."""

import asyncio
import statistics
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from operator import itemgetter
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

import httpx
import psutil
import pytest

from app.imports.readers import READERS_MAX
from tests.support import importing, rows
from tests.support.graphql_client import Client
from tests.support.server import ServerProcess
from tests.support.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

ROWS = 100_000
MEMORY_MEBIBYTES_MAX = 100
READERS_MEBIBYTES_MAX = 100
"""Of one file's readers together."""
BROKEN_ROWS = 10_000
LATENCY_ROWS = 20_000
SAMPLES = 300
ROUNDS_MAX = 3
SLOWER_MAX = 5
OWN = {"id", "outdial_id", "next_try_at", "tm_create", "tm_update"}
"""Where two targets differ that are made of the same row."""
COUNTS = ("read", "created", "updated", "skipped", "rejected")
IDLE_SECONDS_MIN = 0.005
"""The machine's own noise is about as much: an idle server below it proves nothing."""
MEBIBYTE = 1024 * 1024


def row_of(number: int) -> tuple[str, tuple[str, str] | None]:
    """A row, and column and code where it is bad: one in a hundred is no number, one repeats the row before it."""
    phone = importing.numbers(number)
    if number % 100 == 37:
        return f"key-{number},Person {number},nobody\n", ("phone", "INVALID")
    if number % 200 == 73:
        return f"key-{number - 1},Person {number},{phone}\n", ("key", "DUPLICATE_KEY")
    if number % 200 == 173:
        return f"key-{number},Person {number},{importing.numbers(number - 1)}\n", ("phone", "DUPLICATE_ADDRESS")
    return f"key-{number},Person {number},{phone}\n", None


def pieces(count: int) -> Iterator[bytes]:
    yield b"key,name,phone\n"
    for start in range(0, count, 1_000):
        yield "".join(row_of(number)[0] for number in range(start, start + 1_000)).encode()


async def flowing(count: int) -> AsyncIterator[bytes]:
    for piece in pieces(count):
        yield piece


async def all_rejects(client: Client, job_id: str) -> list[tuple[int, str | None, str]]:
    query = """query ($id: ID!, $after: String) { importJob(id: $id) { rejects(first: 100, after: $after) {
        pageInfo { hasNextPage endCursor } nodes { lineNumber column code } } } }"""
    found: list[tuple[int, str | None, str]] = []
    after = None
    while True:
        page = (await client.run(query, id=job_id, after=after))["importJob"]["rejects"]
        found += [(node["lineNumber"], node["column"], node["code"]) for node in page["nodes"]]
        if not page["pageInfo"]["hasNextPage"]:
            return found
        after = page["pageInfo"]["endCursor"]


def bad_rows(count: int) -> list[tuple[int, str, str]]:
    """Line, column and code of each row that must be refused."""
    return [(number + 2, *bad) for number in range(count) if (bad := row_of(number)[1])]


class Memory:
    """The most that the server's own process takes beyond what it had before, and the most that its readers take."""

    def __init__(self, service: ServerProcess) -> None:
        self._process = psutil.Process(service.pid)
        self.mebibytes = 0.0
        self.readers_mebibytes = 0.0

    async def __aenter__(self) -> Self:
        self._before = self._process.memory_info().rss
        self._looking = asyncio.create_task(self._look())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._looking.cancel()

    async def _look(self) -> None:
        while True:
            self.mebibytes = max(self.mebibytes, (self._process.memory_info().rss - self._before) / MEBIBYTE)
            taken = 0
            for reader in self._process.children():
                with suppress(psutil.NoSuchProcess):
                    taken += reader.memory_info().rss
            self.readers_mebibytes = max(self.readers_mebibytes, taken / MEBIBYTE)
            await asyncio.sleep(0.05)


async def test_a_hundred_thousand_rows_are_counted_to_the_row_in_little_memory(
    client: Client, service: ServerProcess
) -> None:
    outdial = (await client.outdial())["id"]
    expected = bad_rows(ROWS)
    assert Counter(code for _, _, code in expected) == {
        "INVALID": ROWS // 100, "DUPLICATE_KEY": ROWS // 200, "DUPLICATE_ADDRESS": ROWS // 200
    }  # fmt: skip
    async with Memory(service) as memory:
        job = await importing.taken(client, outdial, flowing(ROWS), dedupe="outdial")
    assert importing.counts(job) == (ROWS, ROWS - len(expected), 0, 0, len(expected))
    assert await all_rejects(client, job["id"]) == expected
    query = "query ($id: ID!) { outdial(id: $id) { progress { total idle progressing done } } }"
    progress = (await client.run(query, id=outdial))["outdial"]["progress"]
    assert progress == {"total": ROWS - len(expected), "idle": ROWS - len(expected), "progressing": 0, "done": 0}
    assert memory.mebibytes < MEMORY_MEBIBYTES_MAX
    assert 0 < memory.readers_mebibytes < READERS_MEBIBYTES_MAX


# ---------------------------------------------------------------- broken in the middle


class Owner:
    """A customer who sends one file to servers that end."""

    def __init__(self) -> None:
        self.customer_id = str(uuid4())
        self.key = "the list"

    async def create(self, server: ServerProcess) -> str:
        async with Client(server.url, self.customer_id) as client:
            made: str = (await client.outdial())["id"]
            return made

    async def send(self, server: ServerProcess, outdial: str, *, key: str | None = None) -> httpx.Response:
        async with Client(server.url, self.customer_id) as client:
            return await importing.send(client, outdial, flowing(BROKEN_ROWS), key=key or self.key, dedupe="outdial")

    async def sent_until(self, server: ServerProcess, outdial: str, count: int) -> "asyncio.Task[httpx.Response]":
        """An upload under way, once so many targets are in."""
        sending = asyncio.create_task(self.send(server, outdial))
        query = "query ($id: ID!) { outdial(id: $id) { progress { total } } }"
        async with Client(server.url, self.customer_id) as client, asyncio.timeout(60):
            while (await client.run(query, id=outdial))["outdial"]["progress"]["total"] < count:
                assert not sending.done(), "it was over too soon"
                await asyncio.sleep(0.02)
        return sending


def without_ids(tables: rows.Tables, outdial_id: str) -> list[tuple[Any, ...]]:
    """What the targets of an outdial hold, in the order in which they went in."""
    found = sorted((row for row in tables["target"] if row["outdial_id"] == outdial_id), key=lambda row: row["id"])
    return [tuple(row[name] for name in row if name not in OWN) for row in found]


async def check(url: str, owner: Owner, broken: str, whole: str, job: dict[str, Any]) -> None:
    """The list that was broken is the list that was not: targets, rejected rows, counts, and what was told of them."""
    refused = bad_rows(BROKEN_ROWS)
    good = BROKEN_ROWS - len(refused)
    tables = await rows.of(url, owner.customer_id)
    rows.check(tables)
    jobs = {found["outdial_id"]: found for found in tables["import_job"]}
    assert (len(tables["import_job"]), jobs[broken]["id"]) == (2, job["id"])
    for outdial_id in (broken, whole):
        found = jobs[outdial_id]
        assert (found["state"], found["stop_reason"], found["message"]) == ("COMPLETED", None, "")
        assert [found[f"rows_{name}"] for name in COUNTS] == [BROKEN_ROWS, good, 0, 0, len(refused)]
        rejects = sorted((row for row in tables["import_reject"] if row["job_id"] == found["id"]), key=itemgetter("id"))
        assert [(row["line_number"], row["column_name"], row["code"]) for row in rejects] == refused
        told = [event for event in tables["target_event"] if event["outdial_id"] == outdial_id]
        assert {event["type"] for event in told} == {"IMPORTED"}
        assert sum(event["count"] for event in told) == good
    assert importing.counts(job) == (BROKEN_ROWS, good, 0, 0, len(refused))
    assert len(without_ids(tables, whole)) == good
    assert without_ids(tables, broken) == without_ids(tables, whole)


def is_alive(process: psutil.Process) -> bool:
    """Whether it still runs: where nobody waits for orphans they stay as zombies."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def test_a_killed_server_and_the_file_sent_again_make_the_same_rows(database_url: str, tmp_path: Path) -> None:
    owner = Owner()
    with ServerProcess(database_url, tmp_path) as server:
        broken, whole = await owner.create(server), await owner.create(server)
        for count in (2_000, 5_000):
            sending = await owner.sent_until(server, broken, count)
            readers = psutil.Process(server.pid).children()
            assert 1 <= len(readers) <= READERS_MAX
            server.kill()
            with pytest.raises(httpx.TransportError):
                await sending
            await until(lambda left=readers: not any(map(is_alive, left)))
            await server.started()
        response = await owner.send(server, broken)
        assert response.status_code == 200, response.text
        assert (await owner.send(server, whole, key="unbroken")).status_code == 200
        again = await owner.send(server, broken)
        assert again.json() == response.json()
    await check(database_url, owner, broken, whole, response.json())


async def test_a_server_that_is_told_to_end_says_come_again_and_the_file_goes_on(
    database_url: str, tmp_path: Path
) -> None:
    owner = Owner()
    with ServerProcess(database_url, tmp_path) as server:
        broken, whole = await owner.create(server), await owner.create(server)
        sending = await owner.sent_until(server, broken, 2_000)
        await asyncio.to_thread(server.stop)
        told = await sending
        assert told.status_code == 503
        assert int(told.headers["Retry-After"]) > 0
        assert told.json()["error"]["import"]["stop_reason"] == "interrupted"
        await server.started()
        response = await owner.send(server, broken)
        assert response.status_code == 200, response.text
        assert (await owner.send(server, whole, key="unbroken")).status_code == 200
    await check(database_url, owner, broken, whole, response.json())


@pytest.mark.parametrize("is_killed", [True, False], ids=["killed", "alive"])
async def test_another_server_takes_an_import_over(postgres_url: str, tmp_path: Path, is_killed: bool) -> None:
    """Whether the first is dead or only cut off from its sender: what it still tries to commit is refused."""
    owner = Owner()
    with ServerProcess(postgres_url, tmp_path) as first, ServerProcess(postgres_url, tmp_path) as second:
        broken, whole = await owner.create(first), await owner.create(first)
        sending = await owner.sent_until(first, broken, 2_000)
        if is_killed:
            first.kill()
        response = await owner.send(second, broken)
        assert response.status_code == 200, response.text
        if is_killed:
            with suppress(httpx.TransportError):
                await sending
            await first.started()
        else:
            lost = await sending
            assert (lost.status_code, lost.json()["error"]["reason"]) == (409, "CONFLICT")
        assert (await owner.send(first, whole, key="unbroken")).status_code == 200
    await check(postgres_url, owner, broken, whole, response.json())


# ---------------------------------------------------------------- others meanwhile


async def sampled(client: Client, target: str, goes_on: Callable[[int], bool]) -> list[float]:
    """Seconds of queries for one target, one after the other, for as long as is said of their number."""
    query = "query ($id: ID!) { target(id: $id) { id name status destinations { tryCount } } }"
    found: list[float] = []
    while goes_on(len(found)):
        started = time.perf_counter()
        await client.run(query, id=target)
        found.append(time.perf_counter() - started)
        await asyncio.sleep(0.002)
    return found


async def sampled_meanwhile(client: Client, target: str) -> list[float]:
    """The same while another outdial is filled, from its first rows to its last."""
    outdial = (await client.outdial())["id"]
    sending = asyncio.create_task(importing.taken(client, outdial, flowing(LATENCY_ROWS), dedupe="outdial"))
    query = "query ($id: ID!) { outdial(id: $id) { progress { total } } }"
    while (await client.run(query, id=outdial))["outdial"]["progress"]["total"] == 0:
        assert not sending.done(), "it was over too soon"
        await asyncio.sleep(0.01)
    found = await sampled(client, target, lambda _: not sending.done())
    await sending
    return found


def p99(seconds: list[float]) -> float:
    return statistics.quantiles(seconds, n=100)[98]


async def test_a_query_keeps_its_latency_while_an_import_runs(client: Client, service: ServerProcess) -> None:
    """Measured before, while and after; the best of a few rounds counts, the machine has other things to do as well."""
    target = (await client.target((await client.outdial())["id"]))["id"]
    found = []
    for _ in range(ROUNDS_MAX):
        during: list[float] = []
        idle = await sampled(client, target, lambda count: count < SAMPLES // 2)
        while len(during) < SAMPLES:
            during += await sampled_meanwhile(client, target)
        idle += await sampled(client, target, lambda count: count < SAMPLES // 2)
        found.append(p99(during) / max(p99(idle), IDLE_SECONDS_MIN))
        if found[-1] < SLOWER_MAX:
            return
    pytest.fail(f"slower by {found}")
