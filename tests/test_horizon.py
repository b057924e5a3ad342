"""The horizon of the log: our own writers hold it back, and nobody else does."""

import asyncio
import random
import statistics
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg
import pytest

from app import db, events
from app.auth import Viewer
from app.changes import event_of_many
from app.db import statements
from app.errors import Unavailable
from app.events import epochs, horizon
from app.events.epochs import Owner
from app.events.horizon import Horizon, Look
from app.lifecycle import TargetEventType, TargetStatus
from app.records import EventBatch, Outdial
from tests.support import factories, postgres
from tests.test_tenancy import live_through_everything

WRITE_LOCK = f"SELECT {db.writers_lock()}"
TAKE_ID = "SELECT CAST(CAST(pg_current_xact_id() AS text) AS bigint)"
SUBSCRIBERS = 50
LAG_SECONDS_MAX = 0.5
"""Generous for a slow machine; to a subscriber who is held back, it is for ever."""


async def first(stream: AsyncIterator[Any], seconds: float = 20) -> Any:
    async with asyncio.timeout(seconds):
        return await anext(stream)


@pytest.fixture(scope="module")
def server() -> Any:
    """A server of our own: transactions may be prepared there, and neither another test nor autovacuum opens any."""
    with postgres.OwnServer({"max_prepared_transactions": "20", "autovacuum": "off"}) as own:
        yield own


@pytest.fixture
async def cluster(server: postgres.OwnServer) -> AsyncIterator[str]:
    """A migrated database of its own, connected to as a role that is no superuser; its superuser's URL."""
    url = await postgres.create_database(server.url)
    await db.migrate(url)
    role = f"plain_{uuid4().hex}"
    await postgres.execute(
        url,
        f"CREATE ROLE {role} LOGIN",
        f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}",
        f"GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO {role}",
    )
    parts = urlsplit(url)
    await db.connect(urlunsplit(parts._replace(netloc=f"{role}@{parts.hostname}:{parts.port}")))
    try:
        yield url
    finally:
        await db.close()
        await postgres.execute(url, f"DROP OWNED BY {role}", f"DROP ROLE {role}")
        await postgres.drop_database(server.url, url)


@asynccontextmanager
async def session(url: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


async def end_transaction(url: str) -> None:
    """Any that writes, so that the ids before it are known to be under way."""
    await postgres.execute(url, TAKE_ID)


async def now(viewer: Viewer) -> Horizon:
    """The horizon, without the shortcut for young transactions."""
    horizon._recents.clear()
    return await horizon.horizon(await epochs.owner(viewer.customer_id))


# ---------------------------------------------------------------- whose transaction it is


async def open_write(stack: AsyncExitStack, url: str) -> None:
    connection = await stack.enter_async_context(session(url))
    await connection.execute("BEGIN")
    await connection.execute("CREATE TABLE a_strangers (value integer)")


async def open_write_elsewhere(stack: AsyncExitStack, url: str) -> None:
    """As an Outdial in another database of the cluster writes."""
    connection = await stack.enter_async_context(session(postgres.named(url, "postgres")))
    await connection.execute("BEGIN")
    await connection.execute(WRITE_LOCK)
    await connection.execute(TAKE_ID)


async def open_write_with_savepoints(stack: AsyncExitStack, url: str) -> None:
    connection = await stack.enter_async_context(session(url))
    await connection.execute("BEGIN")
    for number in range(100):
        await connection.execute(f"SAVEPOINT s{number}")
        await connection.execute(f"CREATE TABLE strange_{number} (value integer)")


async def idle_with_an_id(stack: AsyncExitStack, url: str) -> None:
    connection = await stack.enter_async_context(session(url))
    await connection.execute("BEGIN")
    await connection.execute(TAKE_ID)


async def other_advisory_lock(stack: AsyncExitStack, url: str) -> None:
    connection = await stack.enter_async_context(session(url))
    await connection.execute("BEGIN")
    for numbers in ("223, 2", "222, 1", "957777707009", "1, 223"):
        await connection.execute(f"SELECT pg_advisory_xact_lock_shared({numbers})")
    await connection.execute(TAKE_ID)


async def long_snapshot(stack: AsyncExitStack, url: str) -> None:
    connection = await stack.enter_async_context(session(url))
    await connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
    await connection.fetch("SELECT count(*) FROM outdial")


async def forgotten_prepared(stack: AsyncExitStack, url: str) -> None:
    connection = await stack.enter_async_context(session(url))
    await connection.execute("BEGIN")
    await connection.execute(TAKE_ID)
    name = f"forgotten {uuid4()}"
    await connection.execute(f"PREPARE TRANSACTION '{name}'")
    stack.push_async_callback(postgres.execute, url, f"ROLLBACK PREPARED '{name}'")


STRANGERS: list[Callable[[AsyncExitStack, str], Any]] = [
    open_write,
    open_write_elsewhere,
    open_write_with_savepoints,
    idle_with_an_id,
    other_advisory_lock,
    long_snapshot,
    forgotten_prepared,
]


@pytest.mark.parametrize("stranger", STRANGERS)
async def test_no_stranger_holds_a_subscriber_back(stranger: Any, cluster: str, viewer: Viewer) -> None:
    outdial = await factories.make_outdial(viewer)
    took = []
    async with AsyncExitStack() as stack:
        await stranger(stack, cluster)
        async with aclosing(events.tail(viewer, outdial.id)) as stream:
            await first(stream)
            for _ in range(15):
                waiting_for = asyncio.ensure_future(first(stream))
                await asyncio.sleep(0.01)
                await factories.make_target(viewer, outdial.id)
                committed = time.perf_counter()
                await waiting_for
                took.append(time.perf_counter() - committed)
        assert await events.lag_seconds() == 0
    assert statistics.median(took) < LAG_SECONDS_MAX


async def test_our_own_writer_holds_the_log_back_from_its_id_to_its_end(cluster: str, viewer: Viewer) -> None:
    await factories.make_outdial(viewer)
    async with session(cluster) as writer:
        await writer.execute("BEGIN")
        await writer.execute(WRITE_LOCK)
        seen = await now(viewer)
        assert seen.position == seen.beyond  # it has no id yet
        own = await writer.fetchval(TAKE_ID)
        await end_transaction(cluster)
        seen = await now(viewer)
        assert seen.position.tx == own
        assert seen.beyond.tx >= own + 2  # PostgreSQL itself may have taken one
        await writer.execute("SAVEPOINT within")
        await writer.execute("CREATE TABLE of_a_savepoint (value integer)")
        await writer.execute("ROLLBACK TO SAVEPOINT within")
        assert (await now(viewer)).position.tx == own
        await writer.execute("COMMIT")
    seen = await now(viewer)
    assert seen.position == seen.beyond


async def test_the_metric_shows_the_age_of_our_own_oldest_writer_that_has_an_id(cluster: str, viewer: Viewer) -> None:
    await factories.make_outdial(viewer)
    has_locked, has_id, may_take, may_end = (asyncio.Event() for _ in range(4))

    async def write(tx: db.Transaction) -> None:
        await tx.lock(viewer.customer_id)
        has_locked.set()
        await may_take.wait()
        await tx.fetch(TAKE_ID)
        has_id.set()
        await may_end.wait()

    writing = asyncio.create_task(db.transaction(write))
    await has_locked.wait()
    await asyncio.sleep(0.2)
    assert await events.lag_seconds() == 0
    may_take.set()
    await has_id.wait()
    assert 0.2 <= await events.lag_seconds() < 5
    may_end.set()
    await writing
    assert await events.lag_seconds() == 0


async def test_our_own_prepared_writer_holds_the_log_back_and_the_metric_says_so(cluster: str, viewer: Viewer) -> None:
    """As Citus prepares transactions of several shards."""
    await factories.make_outdial(viewer)
    async with session(cluster) as writer:
        await writer.execute("BEGIN")
        await writer.execute(WRITE_LOCK)
        own = await writer.fetchval(TAKE_ID)
        await writer.execute("PREPARE TRANSACTION 'ours'")
        await end_transaction(cluster)
        assert (await now(viewer)).position.tx == own
        await asyncio.sleep(0.1)
        assert await events.lag_seconds() >= 0.1
        await writer.execute("COMMIT PREPARED 'ours'")
        seen = await now(viewer)
        assert seen.position == seen.beyond
        assert await events.lag_seconds() == 0


async def test_the_horizon_is_the_lowest_of_our_own_whoever_else_is_there(cluster: str, viewer: Viewer) -> None:
    await factories.make_outdial(viewer)
    pick = random.Random(5)
    elsewhere = postgres.named(cluster, "postgres")
    async with AsyncExitStack() as stack:
        sessions = [await stack.enter_async_context(session(pick.choice((cluster, elsewhere)))) for _ in range(12)]
        here = [await stack.enter_async_context(session(cluster)) for _ in range(12)]
        open_ids: dict[Any, int | None] = {}
        for _ in range(150):
            one = pick.choice(sessions + here)
            if one in open_ids:
                await one.execute(pick.choice(("COMMIT", "ROLLBACK")))
                del open_ids[one]
            else:
                is_ours = one in here and pick.random() < 0.6
                await one.execute("BEGIN")
                if is_ours:
                    await one.execute(WRITE_LOCK)
                own = await one.fetchval(TAKE_ID)
                open_ids[one] = own if is_ours else None
            await end_transaction(cluster)
            seen = await now(viewer)
            ours = [own for own in open_ids.values() if own is not None]
            assert seen.position.tx == min(ours, default=seen.beyond.tx)


async def test_a_look_spares_the_locks_while_all_that_is_open_is_young(
    cluster: str, viewer: Viewer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It then takes the oldest transaction, whoever's it is; never longer than for a moment."""
    await factories.make_outdial(viewer)
    owner = await epochs.owner(viewer.customer_id)
    monkeypatch.setattr(horizon, "YOUNG_SECONDS", 0.2)
    monkeypatch.setattr(horizon, "REMEMBERED_SECONDS", 600)  # however slow the machine is
    await now(viewer)
    await asyncio.sleep(0.25)
    async with session(cluster) as stranger:
        await stranger.execute("BEGIN")
        own = await stranger.fetchval(TAKE_ID)
        await end_transaction(cluster)
        assert (await horizon.horizon(owner)).position.tx == own
        await asyncio.sleep(0.25)
        seen = await horizon.horizon(owner)
        assert seen.position == seen.beyond
        assert seen.position.tx > own


# ---------------------------------------------------------------- every writer takes the lock in time


async def test_every_unit_of_work_takes_the_writers_lock_before_it_has_an_id(
    database: str, viewer: Viewer, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked = 0
    lock = db.Transaction.lock

    async def checked(tx: db.Transaction, *names: Any, **options: Any) -> bool:
        nonlocal locked
        if tx.writes_of is None and db.is_postgres():
            rows = await tx.fetch("SELECT pg_current_xact_id_if_assigned() IS NULL AS is_first")
            assert rows[0]["is_first"]
        locked += 1
        return await lock(tx, *names, **options)

    monkeypatch.setattr(db.Transaction, "lock", checked)
    await live_through_everything(viewer)
    assert locked > 30


async def test_an_event_without_the_writers_lock_is_refused(database: str, viewer: Viewer) -> None:
    outdial = await factories.make_outdial(viewer)

    async def forgetful(tx: db.Transaction) -> None:
        await events.append(tx, [event_of(outdial, await tx.now())])

    with pytest.raises(RuntimeError, match=r"without tx\.lock"):
        await db.transaction(forgetful)


def event_of(outdial: Outdial, at: Any) -> Any:
    return event_of_many(
        outdial, TargetEventType.RESET, at, count=1, status=TargetStatus.IDLE, previous_status=TargetStatus.DONE
    )


# ---------------------------------------------------------------- one look for all who ask at one moment


async def test_fifty_subscribers_share_a_look(database: str, viewer: Viewer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also those of different customers."""
    looks: list[str] = []
    run = statements.run

    async def counted(connection: Any, sql: str, args: Any) -> Any:
        if sql in (horizon._LOOK_ON_POSTGRES, horizon._LOOK_ON_SQLITE):
            looks.append(sql)
        return await run(connection, sql, args)

    outdials = [await factories.make_outdial(viewer if number % 2 else factories.make_viewer()) for number in range(4)]
    viewers = [Viewer(outdial.customer_id, "tester", viewer.scopes, None) for outdial in outdials]
    async with AsyncExitStack() as stack:
        watched = [number % 4 for number in range(SUBSCRIBERS)]
        streams = [
            await stack.enter_async_context(aclosing(events.tail(viewers[number], outdials[number].id)))
            for number in watched
        ]
        await asyncio.gather(*map(first, streams))
        waiting_for = [asyncio.ensure_future(first(stream)) for stream in streams]
        await asyncio.sleep(0.1)
        monkeypatch.setattr(statements, "run", counted)
        looks.clear()
        for number, outdial in enumerate(outdials):
            await factories.make_target(viewers[number], outdial.id)
        batches: list[EventBatch] = await asyncio.gather(*waiting_for)
    assert [batch.events[0].outdial_id for batch in batches] == [outdials[number].id for number in watched]
    # one would do if all had slept to the same moment; each of four wake-ups is a moment of its own
    assert len(looks) <= SUBSCRIBERS // 4


async def test_a_caller_never_gets_a_look_that_began_before_its_call(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[int] = []
    go_on: list[asyncio.Event] = []

    async def look(customer_id: str, _node: str) -> tuple[Owner, Look]:
        number = len(begun)
        begun.append(number)
        go_on.append(asyncio.Event())
        await go_on[number].wait()
        return Owner(customer_id, 1, ""), Look("", number, number)

    monkeypatch.setattr(horizon, "_look", look)
    looks = horizon._Looks("")
    early = [asyncio.create_task(looks.new("a")) for _ in range(3)]
    await asyncio.sleep(0.01)
    assert begun == [0]
    late = [asyncio.create_task(looks.new("b")) for _ in range(3)]
    await asyncio.sleep(0.01)
    assert begun == [0]
    go_on[0].set()
    assert {seen.settled for seen in await asyncio.gather(*early) if seen} == {0}
    await asyncio.sleep(0.01)
    later = asyncio.create_task(looks.new("c"))
    await asyncio.sleep(0.01)
    go_on[1].set()
    assert {seen.settled for seen in await asyncio.gather(*late) if seen} == {1}
    await asyncio.sleep(0.01)
    go_on[2].set()
    third = await later
    assert third
    assert third.settled == 2
    assert (looks._running, looks._next) == (None, None)


async def test_who_leaves_does_not_end_the_look_of_others_and_the_last_one_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ended: list[str] = []
    go_on = asyncio.Event()

    async def look(customer_id: str, _node: str) -> tuple[Owner, Look]:
        try:
            await go_on.wait()
        except asyncio.CancelledError:
            ended.append(customer_id)
            raise
        return Owner(customer_id, 1, ""), Look("", 7, 7)

    monkeypatch.setattr(horizon, "_look", look)
    looks = horizon._Looks("")
    leaving, staying = asyncio.create_task(looks.new("a")), asyncio.create_task(looks.new("a"))
    await asyncio.sleep(0.01)
    leaving.cancel()
    await asyncio.wait([leaving])
    go_on.set()
    seen = await staying
    assert seen
    assert (seen.settled, ended) == (7, [])
    go_on.clear()
    alone = asyncio.create_task(looks.new("b"))
    waiting_behind = asyncio.create_task(looks.new("b"))
    await asyncio.sleep(0.01)
    behind = asyncio.create_task(looks.new("c"))
    await asyncio.sleep(0.01)
    for task in (alone, waiting_behind, behind):
        task.cancel()
    await asyncio.wait([alone, waiting_behind, behind])
    assert ended == ["b"]
    assert (looks._running, looks._next) == (None, None)
    go_on.set()
    again = await looks.new("d")
    assert again
    assert again.settled == 7


async def test_a_look_that_fails_fails_for_all_who_wait_and_the_next_one_works(monkeypatch: pytest.MonkeyPatch) -> None:
    faults = [Unavailable("The database is away.")]

    async def look(customer_id: str, _node: str) -> tuple[Owner, Look]:
        await asyncio.sleep(0)
        if faults:
            raise faults.pop()
        return Owner(customer_id, 1, ""), Look("", 1, 1)

    monkeypatch.setattr(horizon, "_look", look)
    looks = horizon._Looks("")
    found = await asyncio.gather(*[looks.new("a") for _ in range(5)], return_exceptions=True)
    assert [str(error) for error in found] == ["The database is away."] * 5
    assert await looks.new("a") is not None
