"""A commit that may have failed or not: never repeated, never acknowledged."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from app import db
from app.db import postgres as driver
from app.db import units
from app.errors import Unavailable
from tests.support import postgres
from tests.support.failing import own_pid


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
