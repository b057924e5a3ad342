"""A PostgreSQL that is full, read-only, going or gone: UNAVAILABLE, and again if that is safe."""

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import pytest

from app import db
from app.auth import Viewer
from app.db import connections
from app.db import postgres as driver
from app.db.failures import failure_of
from app.errors import Unavailable
from tests.support import factories, postgres
from tests.support.failing import own_pid, raising

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
