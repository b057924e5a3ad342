"""The database is away for longer than an operation may take, while a message is being made: it comes after that."""

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import asyncpg
import psutil
import pytest

from app import db
from app.auth import Viewer
from app.graphql.schema import schema
from app.graphql.schema.context import Context
from app.graphql.transport import execution
from app.graphql.transport.execution import Execution
from tests.support import factories, postgres
from tests.support.relay import Relay
from tests.support.subscribing import Subscriber
from tests.support.waiting import until

QUERY = "subscription { outdialEvents { outdial { name targets(first: 1) { nodes { id } } } } }"
LIMIT_SECONDS = 1
OUTAGE_SECONDS = 4
WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'target'::regclass"


@asynccontextmanager
async def stopped(server: postgres.OwnServer, relay: Relay) -> AsyncIterator[None]:
    """It says nothing, and everything waits."""
    assert server._process
    processes = [one for one in psutil.Process(server._process.pid).children(recursive=True) if "post" in one.name()]
    for process in processes:
        process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for process in processes:
            process.send_signal(signal.SIGCONT)


@asynccontextmanager
async def unreachable(server: postgres.OwnServer, relay: Relay) -> AsyncIterator[None]:
    """Each connection is cut, and each new one refused."""
    relay.lead_to(postgres.free_port())
    await relay.drop()
    try:
        yield
    finally:
        relay.lead_to(server.port)


@pytest.mark.slow
@pytest.mark.parametrize("outage", [stopped, unreachable])
async def test_a_message_that_is_being_made_when_the_database_goes_away_comes_when_it_is_back(
    own_server: Callable[..., Awaitable[postgres.OwnServer]],
    viewer: Viewer,
    monkeypatch: pytest.MonkeyPatch,
    outage: Callable[..., AsyncIterator[None]],
) -> None:
    monkeypatch.setattr(execution, "OPERATION_SECONDS_MAX", LIMIT_SECONDS)
    server = await own_server()
    direct = await postgres.create_database(server.url)
    await db.migrate(direct)
    observer, locker = await asyncpg.connect(direct), await asyncpg.connect(direct)
    async with Relay(server.port) as relay:
        await db.connect(direct.replace(f":{server.port}/", f":{relay.port}/"))
        service = Execution(schema, Context)
        subscribers = [Subscriber(service, viewer, QUERY, is_stream=is_stream) for is_stream in (False, True)]
        try:
            await asyncio.sleep(0.5)  # each has begun
            await locker.execute("BEGIN; LOCK TABLE target IN ACCESS EXCLUSIVE MODE")
            made = [await factories.make_outdial(viewer, name="first")]
            while not await observer.fetchval(WAITING):  # noqa: ASYNC110 - it is another process
                await asyncio.sleep(0.02)
            async with outage(server, relay):
                await asyncio.sleep(OUTAGE_SECONDS)
            await locker.execute("ROLLBACK")
            made.append(await factories.make_outdial(viewer, name="second"))
            await until(lambda: all(one.errors or len(one.payloads) >= len(made) for one in subscribers))
            for one in subscribers:
                assert one.errors == []
                told = [payload["data"]["outdialEvents"]["outdial"] for payload in one.payloads]
                assert told == [{"name": name, "targets": {"nodes": []}} for name in ("first", "second")]
        finally:
            for one in subscribers:
                await one.leave()
            await observer.close()
            await locker.close()
            await db.close()


async def test_a_message_that_takes_too_long_ends_its_subscription_after_one_more_try(
    postgres_url: str, viewer: Viewer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(execution, "OPERATION_SECONDS_MAX", 0.5)
    await db.connect(postgres_url)
    locker = await asyncpg.connect(postgres_url)
    one = Subscriber(Execution(schema, Context), viewer, QUERY)
    try:
        await asyncio.sleep(0.5)
        await locker.execute("BEGIN; LOCK TABLE target IN ACCESS EXCLUSIVE MODE")
        await factories.make_outdial(viewer)
        await until(lambda: bool(one.errors))
        assert [error["extensions"]["code"] for error in one.errors] == ["UNAVAILABLE"]
        assert one.payloads == []
    finally:
        await one.leave()
        await locker.close()
        await db.close()
