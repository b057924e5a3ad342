"""Units of work: together or not at all, and what they cost."""

import asyncio
import contextlib
import contextvars
import gc
import threading
import time
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import aiosqlite
import asyncpg
import pytest

from app import attempts, db, ids, models, outdials, targets
from app.auth import Viewer
from app.db import connections, units
from app.db.configuration import POSTGRES, SQLITE_WRITER
from app.errors import UserErrorCode, rejected
from app.lifecycle import Disposition
from app.records import DuplicateAction
from tests.conftest import Databases
from tests.support import factories
from tests.support.transport import eventually
from tests.test_tenancy import live_through_everything

SLOW = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000000) SELECT count(*) AS c FROM n"
"""About half a second of work."""


@pytest.fixture
async def on_file(databases: Databases) -> Any:
    async with databases.fresh("sqlite") as url:
        await db.connect(url)
        yield url
        await db.close()


@pytest.fixture
def hopped(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was sent to the threads of SQLite's connections."""
    sent: list[str] = []
    execute = aiosqlite.Connection._execute

    async def counting(self: aiosqlite.Connection, fn: Any, *args: Any, **kwargs: Any) -> Any:
        sent.append(fn.__name__)
        return await execute(self, fn, *args, **kwargs)

    monkeypatch.setattr(aiosqlite.Connection, "_execute", counting)
    return sent


async def write(tx: db.Transaction, viewer: Viewer, key: str) -> None:
    await models.IdempotencyKey.create(
        using_db=tx.orm,
        id=ids.new(),
        customer_id=viewer.customer_id,
        key=key,
        mutation="m",
        input_hash="h",
        answer=[],
        tm_create=await tx.now(),
    )


async def written(viewer: Viewer) -> list[str]:
    rows = await db.fetch("SELECT key FROM idempotency_key WHERE customer_id = $1 ORDER BY key", viewer.customer_id)
    return [row["key"] for row in rows]


# ---------------------------------------------------------------- SQLite: one hop


async def test_a_unit_takes_one_hop_whatever_it_does(on_file: str, viewer: Viewer, hopped: list[str]) -> None:
    async def costs(run: Awaitable[Any]) -> Any:
        hopped.clear()
        result = await run
        assert hopped == ["run"]
        return result

    await factories.make_outdial(viewer)  # the customer's first one takes units of its own
    outdial = await costs(factories.make_outdial(viewer, policy={"lease_seconds": 5, "retry_interval_seconds": 0}))
    drafts = [factories.target_draft(key=f"k{number}") for number in range(100)]
    await costs(factories.create_many(viewer, outdial.id, drafts))
    await costs(
        targets.create_many(
            viewer, outdial.id, drafts=drafts[:50], on_duplicate_key=DuplicateAction.UPDATE, idempotency_key="once"
        )
    )
    for limit in (1, 50):
        claimed = await costs(attempts.claim(viewer, outdial.id, limit=limit, dialer="d", idempotency_key=f"{limit}"))
        again = await costs(attempts.claim(viewer, outdial.id, limit=limit, dialer="d", idempotency_key=f"{limit}"))
        assert [one.id for one in claimed] == [one.id for one in again]
    await costs(factories.start(viewer, claimed[0].id))
    await costs(factories.extend(viewer, claimed[0].id))
    await costs(factories.release(viewer, claimed[1].id))
    await costs(factories.complete(viewer, claimed[0].id, Disposition.ANSWERED))
    await costs(targets.update(viewer, claimed[2].target_id, changes={"name": "another"}))
    await costs(targets.cancel(viewer, claimed[2].target_id))
    await costs(targets.delete(viewer, claimed[3].target_id))
    await costs(outdials.update(viewer, outdial.id, changes={"name": "another"}))
    await costs(outdials.delete(viewer, outdial.id))
    await costs(db.transaction(write, viewer, "k"))


async def test_a_unit_that_fails_takes_one_hop_too(on_file: str, viewer: Viewer, hopped: list[str]) -> None:
    async def work(tx: db.Transaction) -> None:
        await write(tx, viewer, "k")
        await tx.fetch("SELECT one FROM nowhere")

    with pytest.raises(Exception, match="no such table"):
        await db.transaction(work)
    assert hopped == ["run"]
    assert await written(viewer) == []


async def test_a_unit_may_give_up_its_turn(database: str, viewer: Viewer) -> None:
    async def one() -> int:
        await asyncio.sleep(0)
        return 1

    async def work(tx: db.Transaction) -> int:
        for number in range(3):
            await write(tx, viewer, f"k{number}")
            await asyncio.sleep(0)
        return await one()

    assert await db.transaction(work) == 1
    assert await written(viewer) == ["k0", "k1", "k2"]


async def _sleep() -> None:
    await asyncio.sleep(0.01)


async def _await_an_event() -> None:
    await asyncio.Event().wait()


async def _await_a_task() -> None:
    async def one() -> None:
        pass

    with contextlib.closing(one()) as running:
        await asyncio.create_task(running)


async def _await_a_lock() -> None:
    lock = asyncio.Lock()
    await lock.acquire()
    await lock.acquire()


async def _await_a_future() -> None:
    await asyncio.get_running_loop().create_future()


async def _await_a_thread() -> None:
    await asyncio.to_thread(time.sleep, 0)


async def _await_a_future_whatever_is_said() -> None:
    while True:
        with contextlib.suppress(RuntimeError):
            await asyncio.get_running_loop().create_future()


WAITING = (
    _sleep, _await_an_event, _await_a_task, _await_a_lock, _await_a_future, _await_a_thread,
    _await_a_future_whatever_is_said,
)  # fmt: skip


@pytest.mark.parametrize("waiting", WAITING)
async def test_a_unit_that_waits_for_anything_else_is_refused(
    on_file: str, viewer: Viewer, waiting: Callable[[], Awaitable[None]]
) -> None:
    async def work(tx: db.Transaction) -> None:
        await write(tx, viewer, "lost")
        await waiting()

    async with asyncio.timeout(20):
        with pytest.raises(RuntimeError, match="its own statements only"):
            await db.transaction(work)
        await db.transaction(write, viewer, "kept")
    assert await written(viewer) == ["kept"]


async def test_a_unit_that_waits_for_a_future_of_the_server_is_refused(on_file: str, viewer: Viewer) -> None:
    foreign = asyncio.get_running_loop().create_future()

    async def work(tx: db.Transaction) -> None:
        await write(tx, viewer, "lost")
        await foreign

    async with asyncio.timeout(20):
        with pytest.raises(RuntimeError, match="its own statements only"):
            await db.transaction(work)
    assert await written(viewer) == []


WHO: contextvars.ContextVar[str] = contextvars.ContextVar("WHO", default="nobody")


async def test_a_unit_sees_what_its_caller_has_set(database: str) -> None:
    async def work(_: db.Transaction) -> str:
        return WHO.get()

    async def call(name: str) -> str:
        WHO.set(name)
        return await db.transaction(work)

    names = [f"caller {number}" for number in range(20)]
    assert await asyncio.gather(*[asyncio.create_task(call(name)) for name in names]) == names
    assert WHO.get() == "nobody"


class EndOfAll(BaseException):
    pass


@pytest.mark.parametrize("error", [EndOfAll, asyncio.CancelledError, StopIteration, GeneratorExit, ValueError])
async def test_a_unit_that_raises_leaves_nothing(database: str, viewer: Viewer, error: type[BaseException]) -> None:
    async def work(tx: db.Transaction) -> None:
        await write(tx, viewer, "lost")
        raise error

    # Python turns StopIteration of a coroutine into RuntimeError
    with pytest.raises(RuntimeError if error is StopIteration else error):
        await db.transaction(work)
    await db.transaction(write, viewer, "kept")
    assert await written(viewer) == ["kept"]


async def test_a_rollback_that_failed_does_not_stop_the_next_unit(on_file: str, viewer: Viewer) -> None:
    await db.transaction(write, viewer, "first")
    async with connections.connection(SQLITE_WRITER) as connection:
        await connection.execute_fetchall("BEGIN IMMEDIATE")
        await connection.execute_fetchall("DELETE FROM idempotency_key")
    await db.transaction(write, viewer, "kept")
    assert await written(viewer) == ["first", "kept"]


async def test_other_requests_go_on_while_a_unit_works(on_file: str) -> None:
    threads: list[int] = []

    async def work(tx: db.Transaction) -> None:
        threads.append(threading.get_ident())
        await tx.fetch(SLOW)

    unit = asyncio.create_task(db.transaction(work))
    pauses, at = [], time.monotonic()
    while not unit.done():
        await asyncio.sleep(0.005)
        pauses.append(time.monotonic() - at)
        at = time.monotonic()
    await unit
    assert threads != [threading.get_ident()]
    assert len(pauses) > 10
    assert sorted(pauses)[len(pauses) // 2] < 0.1


async def test_every_statement_is_counted_in_every_thread(database: str, viewer: Viewer) -> None:
    async def work(tx: db.Transaction) -> None:
        for _ in range(50):
            await tx.fetch("SELECT 1 AS one")

    async def read() -> None:
        for _ in range(50):
            await db.fetch("SELECT 1 AS one")

    before = db.statements.sent
    await asyncio.gather(*[run() for run in (lambda: db.transaction(work), read) for _ in range(10)])
    assert db.statements.sent - before == 1000


async def test_closing_waits_for_the_unit_in_progress(databases: Databases, viewer: Viewer) -> None:
    async with databases.fresh("sqlite") as url:
        await db.connect(url)

        begun = asyncio.Event()

        async def work(tx: db.Transaction) -> None:
            begun.set()
            await tx.fetch(SLOW)
            await write(tx, viewer, "kept")

        leaving = asyncio.create_task(db.transaction(work))
        await begun.wait()
        leaving.cancel()
        await db.close()
        await db.connect(url)
        try:
            assert await written(viewer) == ["kept"]
        finally:
            await db.close()


async def test_a_unit_whose_task_is_cancelled_completes_before_the_next(on_file: str, viewer: Viewer) -> None:
    async def work(tx: db.Transaction) -> None:
        await tx.fetch(SLOW)
        await write(tx, viewer, "kept")

    task = asyncio.create_task(units._unit(work))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await db.transaction(write, viewer, "next")
    assert await written(viewer) == ["kept", "next"]


# ---------------------------------------------------------------- memory


class Large:
    """What a caller has sent, or gets."""


@pytest.fixture
def uncollected() -> Iterator[None]:
    """What goes meanwhile goes because nobody has it, not because the garbage collector finds it."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("database", "uncollected")
async def test_nothing_keeps_what_a_unit_was_given_and_what_it_returned() -> None:
    async def work(_tx: db.Transaction, _given: Large) -> Large:
        return Large()

    given = Large()
    result = await db.transaction(work, given)
    were = weakref.ref(given), weakref.ref(result)
    del given, result
    await eventually(lambda: were[0]() is None and were[1]() is None, 30)


@pytest.mark.usefixtures("database", "uncollected")
async def test_nothing_keeps_what_a_refused_unit_was_given_whose_caller_has_left() -> None:
    begun, may_end = threading.Event(), threading.Event()

    async def work(tx: db.Transaction, _given: Large) -> None:
        await tx.fetch("SELECT 1 AS one")
        begun.set()
        while not may_end.is_set():  # noqa: ASYNC110 - on SQLite it runs in another thread
            await asyncio.sleep(0)
        raise rejected(UserErrorCode.NOT_FOUND, "Outdial not found.", "outdial_id")

    given = Large()
    caller = asyncio.create_task(db.transaction(work, given))
    was = weakref.ref(given)
    del given
    assert await asyncio.to_thread(begun.wait, 30)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    del caller
    assert was() is not None
    may_end.set()
    await eventually(lambda: was() is None, 30)


# ---------------------------------------------------------------- PostgreSQL: no trip too many


@pytest.fixture
async def alone(postgres_url: str) -> AsyncIterator[str]:
    """PostgreSQL with one connection, so that everything runs in one session."""
    await db.connect(postgres_url, pool_size=1)
    yield postgres_url
    await db.close()


@pytest.fixture
async def heard(alone: str) -> list[str]:
    """What PostgreSQL gets on that connection."""
    queries: list[str] = []
    async with connections.connection(POSTGRES) as connection:
        connection.add_query_logger(lambda record: queries.append(" ".join(record.query.split())))
    return queries


async def test_a_unit_sends_begin_its_statements_and_commit(heard: list[str]) -> None:
    async def work(tx: db.Transaction) -> None:
        await tx.fetch("SELECT 1 AS one")
        await tx.fetch("SELECT 2 AS two")

    async def fail(tx: db.Transaction) -> None:
        await tx.fetch("SELECT 3 AS three")
        raise EndOfAll

    async def fail_at_once(_: db.Transaction) -> None:
        raise EndOfAll

    with pytest.raises(EndOfAll):
        await db.transaction(fail_at_once)
    await db.transaction(work)
    await db.fetch("SELECT 4 AS four")
    with pytest.raises(EndOfAll):
        await db.transaction(fail)
    assert heard == [
        "BEGIN", "SELECT 1 AS one", "SELECT 2 AS two", "COMMIT",
        "SELECT 4 AS four",
        "BEGIN", "SELECT 3 AS three", "ROLLBACK",
    ]  # fmt: skip


LEFT_IN_SESSION = """
    SELECT 'setting ' || name AS what FROM pg_settings WHERE source = 'session' AND setting IS DISTINCT FROM reset_val
    UNION ALL SELECT 'lock ' || locktype FROM pg_locks
        WHERE pid = pg_backend_pid() AND (locktype = 'advisory' OR mode LIKE '%Exclusive%' AND locktype <> 'virtualxid')
    UNION ALL SELECT 'cursor ' || name FROM pg_cursors WHERE name <> ''
    UNION ALL SELECT 'channel ' || name FROM pg_listening_channels() AS name
    UNION ALL SELECT 'prepared ' || name FROM pg_prepared_statements
        WHERE name NOT LIKE '\\_\\_asyncpg%' AND name NOT LIKE 'outdial\\_%'
"""
"""What a statement can leave in its session, and the next user of the connection would find."""


async def left_in_session() -> list[str]:
    return [row["what"] for row in await db.fetch(LEFT_IN_SESSION)]


async def test_no_use_case_leaves_anything_in_its_session(alone: str, viewer: Viewer) -> None:
    """The pool gives a connection on as it is, because a reset would cost a trip each time."""
    await live_through_everything(viewer)
    assert await left_in_session() == []
    tables = await db.fetch("SELECT relname FROM pg_class WHERE relpersistence = 't' AND relkind = 'r'")
    for row in tables:  # they stay, and are empty
        assert await db.fetch(f"SELECT 1 AS one FROM {row['relname']}") == []


@pytest.mark.parametrize(
    "statement",
    ["SET lock_timeout = 77", "LISTEN other", "SELECT pg_advisory_lock(7)", "PREPARE mine AS SELECT 1",
     "DECLARE mine CURSOR WITH HOLD FOR SELECT 1"],
)  # fmt: skip
async def test_the_look_at_a_session_sees_what_is_left_there(alone: str, statement: str) -> None:
    await db.fetch(statement)
    assert len(await left_in_session()) == 1
    await db.fetch("DISCARD ALL")


async def test_units_that_are_cut_short_leave_no_transaction_open(alone: str, viewer: Viewer) -> None:
    """Also if the task of the unit itself is cancelled, as at the end of a loop, between any two messages."""

    async def work(tx: db.Transaction, number: int) -> None:
        await write(tx, viewer, f"k{number}")
        await tx.fetch("SELECT pg_advisory_xact_lock(7)")

    for number in range(150):
        task = asyncio.create_task(units._unit(work, number))
        await asyncio.sleep(0.0002 * (number % 10))
        task.cancel()
        await asyncio.wait([task], timeout=10)
        assert task.done()
        assert await left_in_session() == []
        async with connections.connection(POSTGRES) as connection:
            assert not connection.is_in_transaction()
    await db.transaction(write, viewer, "kept")
    assert "kept" in await written(viewer)


async def test_a_unit_that_hides_a_failed_statement_is_not_acknowledged(alone: str, viewer: Viewer) -> None:
    """PostgreSQL answers such a COMMIT with ROLLBACK, and without an error."""

    async def work(tx: db.Transaction) -> None:
        await write(tx, viewer, "lost")
        with contextlib.suppress(asyncpg.UndefinedTableError):
            await tx.fetch("SELECT one FROM nowhere")

    with pytest.raises(RuntimeError, match="rolled the unit of work back"):
        await db.transaction(work)
    assert await written(viewer) == []
