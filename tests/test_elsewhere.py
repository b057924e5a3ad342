"""What is said at one node of a distributed database is heard by the servers at all others.

Two plain PostgreSQL servers are the nodes here; tables with Citus's names say where they are.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from urllib.parse import urlsplit

import asyncpg
import pytest

from app import db
from app.db import elsewhere, telling, waiting
from tests.support import postgres

HERE = 0
SOON_SECONDS = 20.0


@pytest.fixture(autouse=True)
def _impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elsewhere, "LOOK_EVERY_SECONDS", 0.1)
    monkeypatch.setattr(elsewhere, "RETRY_SECONDS", 0.1)


async def is_at(url: str, *others: str) -> None:
    """Tell the database of `url` that it is node 0, and where the other nodes are."""
    rows = ", ".join(
        f"({number}, '{urlsplit(other).hostname}', {urlsplit(other).port}, 'primary', true)"
        for number, other in enumerate((url, *others))
    )
    await postgres.execute(
        url,
        "CREATE TABLE IF NOT EXISTS pg_dist_local_group (groupid integer)",
        f"DELETE FROM pg_dist_local_group; INSERT INTO pg_dist_local_group VALUES ({HERE})",
        "CREATE TABLE IF NOT EXISTS pg_dist_node "
        "(groupid integer, nodename text, nodeport integer, noderole text, isactive boolean)",
        f"DELETE FROM pg_dist_node; INSERT INTO pg_dist_node VALUES {rows}",
    )


@asynccontextmanager
async def another_node(url: str) -> AsyncIterator[str]:
    """Another server with a database of the same name."""
    name = urlsplit(url).path.lstrip("/")
    server = postgres.OwnServer()
    await asyncio.to_thread(server.__enter__)
    try:
        await postgres.execute(server.url, f'CREATE DATABASE "{name}"')
        yield postgres.named(server.url, name)
    finally:
        await asyncio.to_thread(server.stop)


@asynccontextmanager
async def listening_at(url: str) -> AsyncIterator[None]:
    await db.connect(url, pool_size=2)
    task = asyncio.create_task(db.listen())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
        await db.close()
    assert task.cancelled()


async def say(url: str, topic: str) -> None:
    await postgres.execute(url, f"SELECT pg_notify('{telling.NOTIFY_CHANNEL}', '{topic}')")


async def hears(url: str, topic: str) -> None:
    """Say it until it is heard: the connection that listens may just be opened."""
    with waiting.waiter([topic]) as woken:
        async with asyncio.timeout(SOON_SECONDS):
            while not woken.is_set():
                await say(url, topic)
                await asyncio.sleep(0.05)


async def listeners(url: str) -> int:
    connection = await asyncpg.connect(url)
    try:
        found: int = await connection.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'"
            " AND pid <> pg_backend_pid()"
        )
    finally:
        await connection.close()
    return found


async def test_what_is_said_at_another_node_is_heard(postgres_url: str) -> None:
    async with another_node(postgres_url) as other:
        await is_at(postgres_url, other)
        async with listening_at(postgres_url):
            await hears(other, "there")
            await hears(postgres_url, "here")
            assert (await listeners(postgres_url), await listeners(other)) == (1, 1)
        assert await listeners(other) == 0


async def test_a_node_that_comes_or_goes_is_followed_and_disturbs_no_other(postgres_url: str) -> None:
    async with AsyncExitStack() as stack, another_node(postgres_url) as first:
        await is_at(postgres_url)
        async with listening_at(postgres_url):
            await hears(postgres_url, "here")
            await is_at(postgres_url, first)
            await hears(first, "there")
            second = await stack.enter_async_context(another_node(postgres_url))
            await is_at(postgres_url, first, second)
            await hears(second, "elsewhere")
            await stack.aclose()  # the second one is gone, and nobody has removed it from the list
            await hears(first, "there still")
            await hears(postgres_url, "here still")
            await is_at(postgres_url, first)
            await hears(first, "there to the end")


async def test_a_database_of_one_machine_has_one_listener(postgres_url: str) -> None:
    async with listening_at(postgres_url):
        await hears(postgres_url, "here")
        assert await listeners(postgres_url) == 1
