"""A database that is full, read-only, going or gone: UNAVAILABLE, and again where that is safe."""

import asyncio
import os
import signal
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from app import db, outdials
from app.auth import Viewer
from app.db import connections, units
from app.db import postgres as driver
from app.db.configuration import SQLITE_READER, SQLITE_WRITER
from app.db.failures import Failure, failure_of
from app.errors import LimitExceeded, Unavailable
from tests.support import factories, postgres

SLOW = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000000000) SELECT count(*) FROM n"
"""Minutes of work."""

# https://www.postgresql.org/docs/18/errcodes-appendix.html
OF_THE_DATABASE = [
    "08000", "08003", "08006", "08001", "08004", "08007", "08P01",
    "25006", "25P03", "25P04",
    "53000", "53100", "53200", "53300", "53400",
    "55P03",
    "57000", "57014", "57P01", "57P02", "57P03", "57P04", "57P05",
    "58000", "58030", "58P01", "58P02", "58P03",
]  # fmt: skip
OF_THE_STATEMENT = ["22000", "22P02", "23505", "23514", "25001", "25P02", "42601", "42P01", "42501", "P0001", "XX000"]


def raising(state: str) -> str:
    return f"DO $do$ BEGIN RAISE EXCEPTION USING ERRCODE = '{state}'; END $do$"


@pytest.fixture
async def connected(postgres_url: str) -> AsyncIterator[str]:
    await db.connect(postgres_url, pool_size=2)
    yield postgres_url
    await db.close()


@pytest.fixture
async def on_file(databases: Any) -> AsyncIterator[str]:
    async with databases.fresh("sqlite") as url:
        await db.connect(url)
        yield url
        await db.close()


# ---------------------------------------------------------------- PostgreSQL says so


@pytest.mark.parametrize("state", OF_THE_DATABASE)
async def test_what_the_database_is_at_fault_for_is_unavailable(connected: str, state: str) -> None:
    async def work(tx: db.Transaction) -> None:
        await tx.fetch(raising(state))

    with pytest.raises(Unavailable):
        await db.transaction(work)
    with pytest.raises(Unavailable):
        await db.fetch(raising(state))
    await db.ping()  # and the next one is served


@pytest.mark.parametrize("state", OF_THE_STATEMENT)
async def test_what_the_statement_is_at_fault_for_is_no_outage(connected: str, state: str) -> None:
    async def work(tx: db.Transaction) -> None:
        await tx.fetch(raising(state))

    for run in (db.transaction(work), db.fetch(raising(state))):
        with pytest.raises(asyncpg.PostgresError) as raised:
            await run
        assert raised.value.sqlstate == state


async def test_a_value_that_does_not_fit_is_no_outage(connected: str) -> None:
    with pytest.raises(asyncpg.DataError):
        await db.fetch("SELECT CAST($1 AS integer)", "text")


def test_every_sqlstate_of_the_driver_has_been_thought_of() -> None:
    states = {
        kind.sqlstate
        for kind in vars(asyncpg.exceptions).values()
        if isinstance(kind, type) and hasattr(kind, "sqlstate")
    }
    at_fault = {state for state in states if state and failure_of(asyncpg.PostgresError.new({"C": state, "M": ""}))}
    assert {state[:2] for state in at_fault} == {"08", "25", "53", "55", "57", "58"}
    assert {state for state in at_fault if state[:2] in {"25", "55"}} == {"25006", "25P03", "25P04", "55P03"} & states


# ---------------------------------------------------------------- a connection that is of no use


async def own_pid(tx: db.Transaction) -> int:
    rows = await tx.fetch("SELECT pg_backend_pid() AS pid")
    pid: int = rows[0]["pid"]
    return pid


async def test_a_unit_whose_connection_is_lost_runs_again_on_another(connected: str, viewer: Viewer) -> None:
    pids = []

    async def work(tx: db.Transaction) -> str:
        pids.append(await own_pid(tx))
        if len(pids) == 1:
            await postgres.execute(connected, f"SELECT pg_terminate_backend({pids[0]})")
            await asyncio.sleep(0.2)
        rows = await tx.fetch("SELECT 'done' AS word")
        return str(rows[0]["word"])

    assert await db.transaction(work) == "done"
    assert len(pids) == len(set(pids)) == 2


async def test_idle_connections_that_the_server_closed_cost_nobody_an_error(connected: str) -> None:
    for _ in range(3):
        await asyncio.gather(*[db.ping() for _ in range(2)])
        await postgres.execute(
            connected,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
            "AND pid <> pg_backend_pid()",
        )
        await asyncio.gather(*[db.ping() for _ in range(2)])


async def test_a_session_that_takes_no_writes_is_left_for_another_one(connected: str) -> None:
    pids = []

    async def work(tx: db.Transaction) -> None:
        pids.append(await own_pid(tx))
        if len(pids) == 1:
            await tx.fetch("SET TRANSACTION READ ONLY")
        await tx.fetch("CREATE TABLE written (id integer)")

    await db.transaction(work)
    assert len(pids) == len(set(pids)) == 2


async def test_a_read_only_server_is_unavailable_and_is_left_as_soon_as_it_takes_writes(
    connected: str, viewer: Viewer
) -> None:
    name = connected.rpartition("/")[2]
    await postgres.execute(connected, f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    await postgres.execute(connected, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = "
                           "current_database() AND pid <> pg_backend_pid()")  # fmt: skip
    with pytest.raises(Unavailable, match="takes no writes"):
        await factories.make_outdial(viewer)
    with pytest.raises(Unavailable, match="takes no writes"):
        await db.ping()
    await postgres.execute(postgres.named(connected, "postgres"), f'ALTER DATABASE "{name}" RESET ALL')
    await factories.make_outdial(viewer)
    await db.ping()


async def test_target_session_attrs_any_takes_a_read_only_server_and_leaves_it_as_well(postgres_url: str) -> None:
    name = postgres_url.rpartition("/")[2]
    server = postgres.named(postgres_url, "postgres")
    await postgres.execute(server, f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    with pytest.raises(Unavailable, match="takes no writes"):
        await db.connect(f"{postgres_url}?target_session_attrs=any")
    await postgres.execute(server, f'ALTER DATABASE "{name}" RESET ALL')
    await db.connect(f"{postgres_url}?target_session_attrs=any", pool_size=2)
    try:
        await postgres.execute(server, f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
        await connections.renew()

        async def work(tx: db.Transaction) -> None:
            await tx.fetch("CREATE TABLE written (id integer)")

        with pytest.raises(Unavailable, match="takes no writes"):
            await db.transaction(work)
        await postgres.execute(server, f'ALTER DATABASE "{name}" RESET ALL')
        await db.transaction(work)
    finally:
        await db.close()


async def test_a_server_that_lets_nobody_in_is_unavailable_until_it_does(connected: str) -> None:
    name = connected.rpartition("/")[2]
    server = postgres.named(connected, "postgres")
    await db.ping()
    await postgres.execute(server, f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
    await connections.renew()
    with pytest.raises(Unavailable, match="does not answer"):
        await db.ping()
    await postgres.execute(server, f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
    await db.ping()


async def test_nothing_runs_again_once_commit_was_sent(connected: str) -> None:
    runs = []
    await postgres.execute(
        connected,
        "CREATE TABLE entry (id integer)",
        "CREATE FUNCTION go() RETURNS trigger LANGUAGE plpgsql AS "
        "$f$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $f$",
        "CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT ON entry DEFERRABLE INITIALLY DEFERRED "
        "FOR EACH ROW EXECUTE FUNCTION go()",
    )

    async def work(tx: db.Transaction) -> None:
        runs.append(1)
        await tx.fetch("INSERT INTO entry VALUES (1)")

    with pytest.raises(Unavailable) as refused:
        await db.transaction(work)
    assert refused.value.message == units.UNCERTAIN
    assert len(runs) == 1
    await db.ping()


BETWEEN_NODES = (
    "could not commit transaction for shard 102008 on at least one active node",
    "failure on connection marked as essential: 10.0.0.7:5432",
    "failed to prepare transaction 'citus_0_1_2_3' on host 10.0.0.7:5432",
    "terminating connection due to administrator command",
    "server closed the connection unexpectedly\n\tThis probably means the server terminated abnormally",
    "could not receive data from server: Connection timed out",
)


@pytest.mark.parametrize("text", BETWEEN_NODES)
async def test_a_commit_that_was_lost_between_two_nodes_is_uncertain_and_does_not_run_again(
    connected: str, text: str
) -> None:
    runs = []
    await postgres.execute(
        connected,
        "CREATE TABLE entry (id integer)",
        "CREATE FUNCTION break() RETURNS trigger LANGUAGE plpgsql AS "
        f"$f$ BEGIN RAISE EXCEPTION USING ERRCODE = 'XX000', MESSAGE = $t${text}$t$; END $f$",
        "CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT ON entry DEFERRABLE INITIALLY DEFERRED "
        "FOR EACH ROW EXECUTE FUNCTION break()",
    )

    async def work(tx: db.Transaction) -> None:
        runs.append(1)
        await tx.fetch("INSERT INTO entry VALUES (1)")

    with pytest.raises(Unavailable) as refused:
        await db.transaction(work)
    assert refused.value.message == units.UNCERTAIN
    assert len(runs) == 1
    await db.ping()


async def test_a_commit_that_another_node_did_not_confirm_is_uncertain(connected: str) -> None:
    await postgres.execute(
        connected,
        "CREATE TABLE entry (id integer)",
        "CREATE FUNCTION warn() RETURNS trigger LANGUAGE plpgsql AS "
        "$f$ BEGIN RAISE WARNING 'failed to commit transaction on 10.0.0.7:5432'; RETURN NULL; END $f$",
        "CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT ON entry DEFERRABLE INITIALLY DEFERRED "
        "FOR EACH ROW EXECUTE FUNCTION warn()",
    )

    async def work(tx: db.Transaction) -> None:
        await tx.fetch("INSERT INTO entry VALUES (1)")

    with pytest.raises(Unavailable) as refused:
        await db.transaction(work)
    assert refused.value.message == units.UNCERTAIN
    await db.ping()


@pytest.mark.parametrize("text", BETWEEN_NODES)
async def test_a_unit_that_loses_another_node_before_its_commit_runs_again(connected: str, text: str) -> None:
    runs = []

    async def work(tx: db.Transaction) -> int:
        runs.append(1)
        if len(runs) == 1:
            await tx.fetch(f"DO $do$ BEGIN RAISE EXCEPTION USING ERRCODE = 'XX000', MESSAGE = $t${text}$t$; END $do$")
        return len(runs)

    assert await db.transaction(work) == 2


@pytest.fixture
async def own_server() -> AsyncIterator[Callable[..., Awaitable[postgres.OwnServer]]]:
    """A server of one test alone, with settings of its own."""
    with ExitStack() as stack:

        async def start(**settings: str) -> postgres.OwnServer:
            return await asyncio.to_thread(stack.enter_context, postgres.OwnServer(settings))

        yield start
        await db.close()


async def test_a_server_that_hangs_is_given_up_and_the_next_connection_serves(
    own_server: Callable[..., Awaitable[postgres.OwnServer]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver, "SILENCE_SECONDS", 1)
    server = await own_server()
    await db.connect(server.url, pool_size=2)
    hanging = []

    async def work(tx: db.Transaction) -> None:
        hanging.append(await own_pid(tx))
        os.kill(hanging[-1], signal.SIGSTOP)
        await tx.fetch("SELECT 1 AS one")

    try:
        began = time.monotonic()
        with pytest.raises(Unavailable, match="does not answer"):
            await db.transaction(work)
        await asyncio.gather(*[db.ping() for _ in range(4)])
        assert time.monotonic() - began < 10
        assert len(hanging) == 1  # it was not sent again: the second one would wait as long
    finally:
        os.kill(hanging[0], signal.SIGCONT)


@pytest.mark.parametrize("end", ["silence", "operator"])
async def test_a_commit_that_no_standby_confirmed_is_not_acknowledged(
    own_server: Callable[..., Awaitable[postgres.OwnServer]], monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    monkeypatch.setattr(driver, "SILENCE_SECONDS", 1 if end == "silence" else 30)
    server = await own_server(synchronous_commit="on")
    await db.connect(server.url, pool_size=2)
    pids = []

    async def work(tx: db.Transaction) -> None:
        pids.append(await own_pid(tx))
        await tx.fetch(f"CREATE TABLE written_{len(pids)} (id integer)")

    await db.transaction(work)
    await postgres.execute(
        server.url, "ALTER SYSTEM SET synchronous_standby_names = 'nobody'", "SELECT pg_reload_conf()"
    )
    await asyncio.sleep(0.5)
    writing = asyncio.create_task(db.transaction(work))
    if end == "operator":
        await asyncio.sleep(1)  # until it waits for the standby
        await postgres.execute(server.url, f"SELECT pg_cancel_backend({pids[1]})")
    with pytest.raises(Unavailable) as refused:
        async with asyncio.timeout(15):
            await writing
    assert refused.value.message == units.UNCERTAIN
    assert len(pids) == 2
    await db.ping()


async def test_a_listener_leaves_a_server_that_takes_no_writes(connected: str) -> None:
    listening = asyncio.create_task(db.listen())
    try:
        rows = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'"
        found: list[Any] = []
        for _ in range(200):
            found = found or await db.fetch(rows)
            await asyncio.sleep(0 if found else 0.05)
        await postgres.execute(connected, f"SELECT pg_terminate_backend({found[0]['pid']})")
        async with asyncio.timeout(10):
            await asyncio.wait([listening])
        assert listening.done()
    finally:
        listening.cancel()


# ---------------------------------------------------------------- SQLite says so


async def test_a_full_disk_is_unavailable_and_writing_goes_on_once_there_is_room(on_file: str, viewer: Viewer) -> None:
    async with connections.connection(SQLITE_WRITER) as connection:
        pages = (await connection.execute_fetchall("PRAGMA page_count"))[0][0]
        await connection.execute_fetchall(f"PRAGMA max_page_count = {pages}")
    made = 0

    async def fill() -> None:
        nonlocal made
        while made < 500:
            await factories.make_outdial(viewer, detail="x" * 4_000)
            made += 1

    with pytest.raises(Unavailable, match="no space left"):
        await fill()
    async with connections.connection(SQLITE_WRITER) as connection:
        await connection.execute_fetchall("PRAGMA max_page_count = 1073741823")
    outdial = await factories.make_outdial(viewer)
    assert list(await outdials.get_many(viewer, [outdial.id])) == [outdial.id]
    rows = await db.fetch("SELECT count(*) AS number FROM outdial")
    assert rows[0]["number"] == made + 1  # nothing of the one that failed


async def test_a_file_that_takes_no_writes_is_unavailable(on_file: str, viewer: Viewer) -> None:
    async with connections.connection(SQLITE_WRITER) as connection:
        await connection.execute_fetchall("PRAGMA query_only = ON")
    with pytest.raises(Unavailable, match="takes no writes"):
        await factories.make_outdial(viewer)
    async with connections.connection(SQLITE_WRITER) as connection:
        await connection.execute_fetchall("PRAGMA query_only = OFF")
    await factories.make_outdial(viewer)


async def test_a_file_that_another_program_holds_is_unavailable(on_file: str, viewer: Viewer) -> None:
    async with connections.connection(SQLITE_WRITER) as connection:
        await connection.execute_fetchall("PRAGMA busy_timeout = 50")
    holder = sqlite3.connect(on_file.removeprefix("sqlite:///"), isolation_level=None)
    try:
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable, match="busy"):
            await factories.make_outdial(viewer)
        holder.execute("ROLLBACK")
        await factories.make_outdial(viewer)
    finally:
        holder.close()


@pytest.mark.parametrize(
    ("name", "failure"),
    [
        ("SQLITE_BUSY", Failure.BUSY),
        ("SQLITE_BUSY_SNAPSHOT", Failure.BUSY),
        ("SQLITE_LOCKED_SHAREDCACHE", Failure.BUSY),
        ("SQLITE_FULL", Failure.FULL),
        ("SQLITE_READONLY", Failure.READ_ONLY),
        ("SQLITE_READONLY_DBMOVED", Failure.READ_ONLY),
        ("SQLITE_IOERR", Failure.AWAY),
        ("SQLITE_IOERR_WRITE", Failure.AWAY),
        ("SQLITE_IOERR_FSYNC", Failure.AWAY),
        ("SQLITE_CANTOPEN", Failure.AWAY),
        ("SQLITE_CANTOPEN_ISDIR", Failure.AWAY),
        ("SQLITE_ERROR", None),
        ("SQLITE_CONSTRAINT_UNIQUE", None),
        ("SQLITE_MISUSE", None),
        ("SQLITE_CORRUPT", None),
    ],
)
def test_sqlites_codes_mean_what_they_say(name: str, failure: Failure | None) -> None:
    error = sqlite3.OperationalError("as SQLite raises it")
    error.sqlite_errorcode = getattr(sqlite3, name)
    assert failure_of(error) == failure


# ---------------------------------------------------------------- a read whose caller has left


async def leave(how: str) -> None:
    if how == "bound":
        with pytest.raises(LimitExceeded):
            await db.fetch_within(0.3, SLOW)
        return
    read = asyncio.create_task(db.fetch(SLOW) if how == "page" else db.fetch_within(60, SLOW))
    await asyncio.sleep(0.3)
    read.cancel()
    if how == "twice":
        await asyncio.sleep(0)
        read.cancel()
    with pytest.raises(asyncio.CancelledError):
        await read


@pytest.mark.parametrize("how", ["count", "twice", "page", "bound"])
async def test_a_read_whose_caller_left_does_not_delay_the_next(database: str, how: str) -> None:
    for _ in range(3):
        began = time.monotonic()
        await leave(how)
        assert await db.fetch_within(1, "SELECT 1 AS one")
        assert time.monotonic() - began < 2


async def test_the_bound_of_a_count_includes_the_wait_for_its_turn(on_file: str) -> None:
    async with connections.connection(SQLITE_READER):
        began = time.monotonic()
        with pytest.raises(LimitExceeded):
            await db.fetch_within(0.3, "SELECT 1 AS one")
        assert time.monotonic() - began < 2
    assert await db.fetch_within(1, "SELECT 1 AS one")


async def test_a_request_to_cancel_that_is_lost_holds_nobody(connected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def lose(**_: object) -> None:
        """PostgreSQL ignores a request that arrives before the statement does."""

    monkeypatch.setattr(asyncpg.connect_utils, "_cancel", lose)
    began = time.monotonic()
    reads = [asyncio.create_task(db.fetch_within(0.2, SLOW)) for _ in range(20)]  # more than there are connections
    found = await asyncio.gather(*reads, return_exceptions=True)
    assert [type(error) for error in found] == [LimitExceeded] * 20
    assert await db.fetch_within(5, "SELECT 1 AS one")
    assert time.monotonic() - began < 10


async def test_many_that_leave_at_any_moment_leave_the_reader_usable(database: str) -> None:
    async def come_and_go(number: int) -> None:
        read = asyncio.create_task(db.fetch_within(60, SLOW if number % 3 else "SELECT 1 AS one"))
        await asyncio.sleep(number % 7 / 200)
        read.cancel()
        await asyncio.wait([read], timeout=20)
        assert read.done()

    await asyncio.gather(*[come_and_go(number) for number in range(60)])
    assert await db.fetch_within(5, "SELECT 1 AS one")


async def test_an_error_of_a_count_is_its_own(database: str) -> None:
    with pytest.raises((sqlite3.OperationalError, asyncpg.PostgresError)):
        await db.fetch_within(1, f"SELECT nothing FROM no_table_{uuid4().hex}")
    assert await db.fetch_within(1, "SELECT 1 AS one")
