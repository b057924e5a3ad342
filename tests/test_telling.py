"""Commits wake subscribers of every process: after the commit, together, and without keeping any commit waiting."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import asyncpg
import pytest

from app import db, events, ids
from app.auth import Viewer
from app.db import connections, telling, waiting
from app.db import postgres as driver
from app.db.configuration import POSTGRES
from tests.support import factories, postgres
from tests.test_tenancy import live_through_everything

SOON_SECONDS = 20.0


class Foreigner:
    """Another process: what it hears."""

    def __init__(self) -> None:
        self.messages: list[list[str]] = []
        self._came = asyncio.Event()

    def take(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        self.messages.append([topic for topic in str(payload).split(",") if not topic.startswith("by=")])
        self._came.set()

    @property
    def topics(self) -> set[str]:
        return {topic for message in self.messages for topic in message}

    async def hears(self, *topics: str) -> None:
        async with asyncio.timeout(SOON_SECONDS):
            while not self.topics.issuperset(topics):
                self._came.clear()
                await self._came.wait()


@asynccontextmanager
async def foreigner(url: str) -> AsyncIterator[Foreigner]:
    connection = await asyncpg.connect(url)
    try:
        other = Foreigner()
        await connection.add_listener(telling.NOTIFY_CHANNEL, other.take)
        yield other
    finally:
        await connection.close()


@pytest.fixture
async def connected(postgres_url: str) -> AsyncIterator[str]:
    await db.connect(postgres_url, pool_size=4)
    yield postgres_url
    await db.close()


@pytest.fixture
async def other(connected: str) -> AsyncIterator[Foreigner]:
    async with foreigner(connected) as listening:
        yield listening


async def commit(*topics: str) -> None:
    async def work(tx: db.Transaction) -> None:
        await tx.fetch("SELECT 1 AS one")
        for topic in topics:
            tx.wake(topic)

    await db.transaction(work)


async def tellers(url: str) -> list[int]:
    """The processes of PostgreSQL that have sent a notification last."""
    connection = await asyncpg.connect(url)
    try:
        rows = await connection.fetch(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'SELECT pg_notify%'"
        )
    finally:
        await connection.close()
    return [row["pid"] for row in rows]


class Away:
    """A database that lets no new connection in, for as long as the test says."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
        self._how = how
        self._connect = driver.connect
        self.is_away = True
        self.tried = 0
        monkeypatch.setattr(driver, "connect", self._answer)

    async def _answer(self, *args: Any) -> Any:
        if not self.is_away:
            return await self._connect(*args)
        self.tried += 1
        if self._how == "silent":
            await asyncio.Event().wait()
        raise OSError("nobody answers")


# ---------------------------------------------------------------- after the commit


async def test_nothing_is_announced_inside_a_unit(postgres_url: str, viewer: Viewer) -> None:
    """Every statement of every use-case, as PostgreSQL gets it: NOTIFY would hold a lock of the whole cluster."""
    await db.connect(postgres_url, pool_size=1)
    try:
        sent: list[str] = []
        async with connections.connection(POSTGRES) as connection:
            connection.add_query_logger(lambda record: sent.append(record.query))
        async with foreigner(postgres_url) as other:
            await live_through_everything(viewer)
            await other.hears(viewer.customer_id)
        assert sum(sql == "COMMIT" for sql in sent) > 20
        assert not [sql for sql in sent if "notify" in sql.lower()]
        assert len(await tellers(postgres_url)) == 1
    finally:
        await db.close()


async def test_other_processes_hear_of_a_commit_soon_and_not_before_it(other: Foreigner) -> None:
    took = []
    for number in range(15):
        committed: list[float] = []

        async def work(tx: db.Transaction, topic: str) -> None:
            tx.wake(topic)
            await asyncio.sleep(0.02)
            assert topic not in other.topics

        await db.transaction(work, f"t{number}")
        committed.append(time.perf_counter())
        await other.hears(f"t{number}")
        took.append(time.perf_counter() - committed[0])
    assert sorted(took)[7] < 0.5


async def test_a_unit_that_rolls_back_wakes_nobody(other: Foreigner) -> None:
    async def fail(tx: db.Transaction) -> None:
        tx.wake("lost")
        raise ValueError("rolled back")

    with pytest.raises(ValueError, match="rolled back"):
        await db.transaction(fail)
    await commit("kept")
    await other.hears("kept")
    assert other.topics == {"kept"}


async def test_this_process_is_woken_at_once_and_only_once(connected: str) -> None:
    listening = asyncio.create_task(db.listen())
    try:
        with waiting.waiter(["mine"]) as woken:
            async with asyncio.timeout(SOON_SECONDS):
                await woken.wait()  # it listens now
            await asyncio.sleep(0.1)
            for _ in range(3):
                woken.clear()
                await commit("mine")
                assert woken.is_set()
                woken.clear()
                await asyncio.sleep(0.2)
                assert not woken.is_set()
            await postgres.execute(connected, "SELECT pg_notify('outdial', 'mine')")
            async with asyncio.timeout(SOON_SECONDS):
                await woken.wait()
    finally:
        listening.cancel()
        await asyncio.wait([listening])


# ---------------------------------------------------------------- together


async def test_a_thousand_commits_take_few_messages(other: Foreigner) -> None:
    topics = [f"t{number}" for number in range(50)]
    began = time.monotonic()

    async def go(first: int) -> None:
        for number in range(first, 1_000, 8):
            await commit(topics[number % len(topics)])

    await asyncio.gather(*[go(number) for number in range(8)])
    await other.hears(*topics)
    await asyncio.sleep(0.1)
    assert other.topics == set(topics)
    assert len(other.messages) <= (time.monotonic() - began) / telling.PAUSE_SECONDS + 1
    assert len(other.messages) < 500


async def test_more_topics_than_a_message_holds_wake_everybody(other: Foreigner) -> None:
    full = [ids.new() for _ in range(telling.NOTIFY_TOPICS_MAX)]
    await commit(*full)
    await other.hears(*full)
    await commit(*full, ids.new())
    await other.hears(waiting.EVERY_TOPIC)
    assert [len(message) for message in other.messages] == [telling.NOTIFY_TOPICS_MAX, 1]


# ---------------------------------------------------------------- a connection that is lost


async def test_a_connection_that_was_closed_is_replaced_at_once(
    connected: str, other: Foreigner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telling, "RETRY_SECONDS", 600)
    await commit("before")
    await other.hears("before")
    for number in range(3):
        (pid,) = await tellers(connected)
        await postgres.execute(connected, f"SELECT pg_terminate_backend({pid})")
        await asyncio.sleep(0.05 * number)  # before or after the client knows
        await commit(f"after {number}")
        await other.hears(f"after {number}")


@pytest.mark.parametrize("how", ["refuses", "silent"])
async def test_while_nobody_can_be_told_commits_go_on_and_what_is_pending_is_bounded(
    connected: str, other: Foreigner, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setattr(telling, "RETRY_SECONDS", 0.05)
    monkeypatch.setattr(connections, "wait_seconds", lambda: 0.2)
    away = Away(monkeypatch, how)
    began = time.monotonic()
    for number in range(5):
        await commit(f"few {number}")
    assert time.monotonic() - began < 10
    teller = telling._teller
    assert teller is not None
    await asyncio.sleep(0.6)
    assert away.tried > 1
    assert other.messages == []
    away.is_away = False
    await other.hears(*[f"few {number}" for number in range(5)])
    away.is_away = True
    teller._hang_up()
    for number in range(1_000):
        telling.tell({f"many {number}"})
        assert len(teller._pending) <= telling.NOTIFY_TOPICS_MAX
    away.is_away = False
    await other.hears(waiting.EVERY_TOPIC)


async def test_subscribers_elsewhere_get_what_nobody_told_them_of(
    connected: str, viewer: Viewer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Polling is the net: here the subscriber is of another process, which hears nothing of this commit."""
    monkeypatch.setattr(telling, "tell", lambda _: None)
    outdial = await factories.make_outdial(viewer)
    async with aclosing(events.tail(viewer, outdial.id)) as stream:
        await anext(stream)
        made = await factories.make_target(viewer, outdial.id)
        async with asyncio.timeout(SOON_SECONDS):
            assert [event.target_id for event in (await anext(stream)).events] == [made.id]


# ---------------------------------------------------------------- the end


async def test_what_is_pending_at_the_end_is_told(postgres_url: str) -> None:
    async with foreigner(postgres_url) as other:
        for number in range(3):
            await db.connect(postgres_url, pool_size=2)
            await commit(f"one {number}")
            await commit(f"two {number}")
            await db.close()
            await other.hears(f"one {number}", f"two {number}")
    assert await tellers(postgres_url) == []


@pytest.mark.parametrize("how", ["refuses", "silent"])
async def test_the_end_does_not_wait_long_for_a_database_that_is_away(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    await db.connect(postgres_url, pool_size=2)
    await db.ping()  # opens one of the pool
    Away(monkeypatch, how)
    await commit("lost")
    began = time.monotonic()
    await db.close()
    assert time.monotonic() - began < telling.FLUSH_SECONDS_MAX + 10
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_unit_that_ends_after_the_end_tells_nobody_and_fails_nowhere(postgres_url: str) -> None:
    await db.connect(postgres_url, pool_size=2)
    await db.close()
    telling.tell({"late"})


# ---------------------------------------------------------------- on a disk

FLUSHES = "SELECT CAST(sum(fsyncs) AS bigint) FROM pg_stat_io WHERE object = 'wal'"
COMMITS = 480
WRITERS = 16


@pytest.fixture
def on_disk() -> Iterator[str]:
    """A server that waits for its disk, and counts how often."""
    with postgres.OwnServer({
        "fsync": "on", "synchronous_commit": "on", "commit_delay": "2000", "commit_siblings": "1",
        "autovacuum": "off", "checkpoint_timeout": "1h",
    }) as server:  # fmt: skip
        yield server.url


async def flushes(url: str) -> int:
    connection = await asyncpg.connect(url)
    try:
        number: int = await connection.fetchval(FLUSHES)
    finally:
        await connection.close()
    return number


async def flushes_of_commits(url: str, *others: str) -> int:
    """How often the log was flushed while several writers commit; `others` are more statements of each unit."""
    before = await flushes(url)
    await db.connect(url, pool_size=WRITERS)

    async def work(tx: db.Transaction, number: int) -> None:
        await tx.fetch("INSERT INTO written VALUES ($1)", number)
        for sql in others:
            await tx.fetch(sql)
        tx.wake(f"t{number}")

    async def write(first: int) -> None:
        for number in range(first, COMMITS, WRITERS):
            await db.transaction(work, number)

    await asyncio.gather(*[write(number) for number in range(WRITERS)])
    await db.close()
    await asyncio.sleep(1)  # each session reports what it did when it ends
    return await flushes(url) - before


@pytest.mark.slow
async def test_commits_that_wake_subscribers_share_their_flushes(on_disk: str) -> None:
    await postgres.execute(on_disk, "CREATE TABLE written (id integer)")
    assert await flushes_of_commits(on_disk) < 0.5 * COMMITS
    # with a NOTIFY inside, as it must not be, each commit waits for a flush of its own
    assert await flushes_of_commits(on_disk, "SELECT pg_notify('outdial', 't')") >= 0.95 * COMMITS
