"""The schema: what the migrations make is what the models say, and the database itself refuses what must not be."""

import asyncio
import sqlite3
from pathlib import Path

import asyncpg
import pytest
from tortoise import Tortoise
from tortoise.migrations.autodetector import MigrationAutodetector

from app import db
from app.auth import Viewer
from app.database_url import DatabaseUrl
from app.db.configuration import tortoise_config
from app.db.dialects import is_instant
from app.errors import Unavailable
from tests.conftest import Databases, Kind
from tests.support import factories, postgres, rows

MIGRATIONS = ["0001_tables"]
REFUSED = (sqlite3.IntegrityError, asyncpg.IntegrityConstraintViolationError)


async def columns_of(table: str) -> dict[str, bool]:
    """Whether each column may be null, by name."""
    if db.is_postgres():
        found = await db.fetch(
            "SELECT column_name AS name, is_nullable = 'YES' AS nullable FROM information_schema.columns"
            " WHERE table_name = $1",
            table,
        )
        return {row["name"]: row["nullable"] for row in found}
    found = await db.fetch(f"SELECT name, \"notnull\" AS needed, pk FROM pragma_table_info('{table}')")
    return {row["name"]: not (row["needed"] or row["pk"]) for row in found}


async def test_the_migrations_make_the_tables_of_the_models(database: str) -> None:
    models = Tortoise.apps["outdial"].values()
    assert {model._meta.db_table for model in models} == {
        "customer",
        "outdial",
        "outdial_breaker",
        "outdial_counter",
        "target",
        "attempt",
        "target_event",
        "outdial_event",
        "event_epoch",
        "idempotency_key",
        "import_job",
        "import_reject",
        "rate_limit",
        "suppression",
        "outdial_zone",
        "result_code",
        "stats_cell",
        "stats_place",
    }
    for model in models:
        expected = {
            field.source_field or name: field.null
            for name, field in model._meta.fields_map.items()
            if name in model._meta.db_fields
        }
        assert await columns_of(model._meta.db_table) == expected, model


async def test_no_change_of_the_models_lacks_its_migration(database: str) -> None:
    apps = tortoise_config(DatabaseUrl.parse(database), 1)["apps"]
    assert await MigrationAutodetector(Tortoise.apps, apps).changes() == []


async def test_instants_are_told_by_their_names(database: str) -> None:
    for model in Tortoise.apps["outdial"].values():
        for name, field in model._meta.fields_map.items():
            if name in model._meta.db_fields:
                assert is_instant(name) == (type(field).__name__ == "DatetimeField"), (model, name)


async def test_a_schema_is_current_once_it_is_migrated(database: str) -> None:
    assert await db.schema_is_current()


async def test_a_schema_that_was_never_migrated_is_not_current(
    kind: Kind, tmp_path: Path, postgres_server: str
) -> None:
    if kind == "sqlite":
        url = f"sqlite:///{tmp_path / 'empty.db'}"
    else:
        url = await postgres.create_database(postgres_server)
    await db.connect(url)
    try:
        assert not await db.schema_is_current()
    finally:
        await db.close()
        if kind == "postgres":
            await postgres.drop_database(postgres_server, url)


async def test_tables_of_before_the_first_release_are_refused_in_one_line(
    kind: Kind, tmp_path: Path, postgres_server: str
) -> None:
    """Their keys are others. Whoever has such a database still has its version, which exports."""
    url = f"sqlite:///{tmp_path / 'old.db'}" if kind == "sqlite" else await postgres.create_database(postgres_server)
    await db.migrate(url)
    await rows.execute(url, "UPDATE tortoise_migrations SET name = '0001_initial'")
    try:
        with pytest.raises(Unavailable, match="export the outdials with that version") as refusal:
            await db.migrate(url)
        assert "\n" not in refusal.value.message
        await db.connect(url)
        try:
            with pytest.raises(Unavailable, match="export the outdials with that version"):
                await db.schema_is_current()
        finally:
            await db.close()
    finally:
        if kind == "postgres":
            await postgres.drop_database(postgres_server, url)


async def test_every_key_of_a_customers_row_begins_with_the_customer(database: str) -> None:
    """But SQLite's numbers of events, which repeat themselves if they are not the whole key."""
    if db.is_postgres():
        found = await db.fetch(
            """
            SELECT conrelid::regclass::text || '.' || conname AS name, contype::text AS kind, (
                SELECT attname FROM pg_attribute WHERE attrelid = conrelid AND attnum = conkey[1]
            ) AS first FROM pg_constraint WHERE contype IN ('p', 'u', 'f') AND connamespace = 'public'::regnamespace
            UNION ALL
            SELECT indexrelid::regclass::text, 'i', (
                SELECT attname FROM pg_attribute WHERE attrelid = indrelid AND attnum = indkey[0]
            ) FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
            WHERE indisunique AND relnamespace = 'public'::regnamespace
            """
        )
        others = {row["name"] for row in found if row["first"] != "customer_id"}
        assert len(found) > 25
        assert {name for name in others if "tortoise" not in name} == set()
        return
    tables = await db.fetch("SELECT name FROM sqlite_master WHERE type = 'table'")
    first = {}
    for table in (row["name"] for row in tables):
        keys = await db.fetch(f"SELECT name FROM pragma_table_info('{table}') WHERE pk = 1")
        first[table] = keys[0]["name"] if keys else None
    without = {table for table, column in first.items() if column != "customer_id" and not table.startswith("sqlite_")}
    assert without == {"target_event", "outdial_event", "tortoise_migrations"}


@pytest.mark.slow
async def test_processes_that_start_at_once_migrate_once(kind: Kind, tmp_path: Path, postgres_server: str) -> None:
    url = f"sqlite:///{tmp_path / 'new.db'}" if kind == "sqlite" else await postgres.create_database(postgres_server)
    command = ("import asyncio, sys; from app import db; print(asyncio.run(db.migrate(sys.argv[1])))", url)
    import sys

    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        for _ in range(4)
    ]
    try:
        async with asyncio.timeout(60):
            outputs = [await process.communicate() for process in processes]
    finally:
        for process in processes:
            if process.returncode is None:
                process.kill()
                await process.wait()
    assert [process.returncode for process in processes] == [0] * 4, outputs
    assert sorted(out.decode().strip() for out, _ in outputs) == [str(MIGRATIONS), "[]", "[]", "[]"]
    if kind == "postgres":
        await postgres.drop_database(postgres_server, url)


BAD_TARGETS = {
    "a status that does not exist": "status = 'LOST'",
    "done without a reason": "status = 'DONE', next_try_at = NULL",
    "a reason without being done": "done_reason = 'ANSWERED'",
    "idle without a time": "next_try_at = NULL",
    "progressing without an attempt": "status = 'PROGRESSING', next_try_at = NULL",
    "a negative try count": "try_count_3 = -1",
    "a priority of 10": "priority = 10, rank = 10",
    "another rank than the priority, without a callback": "rank = priority + 1",
    "a time to look at a callback that is kept for nobody": "callback_check_at = tm_create",
    "a callback without its rank": "callback = '{}', callback_mask = 1",
    "a callback without the destinations that it may call": "callback = '{}', rank = 10",
    "no destination": "destination_0 = NULL",
    "an outdial that does not exist": "outdial_id = '00000000-0000-0000-0000-000000000001'",
    "no version": "version = 0",
}


@pytest.mark.parametrize("what", BAD_TARGETS)
async def test_the_database_refuses_a_bad_target(database: str, viewer: Viewer, what: str) -> None:
    outdial = await factories.make_outdial(viewer)
    target = await factories.make_target(viewer, outdial.id)

    async def spoil(tx: db.Transaction) -> None:
        await tx.fetch(f"UPDATE target SET {BAD_TARGETS[what]} WHERE id = $1", target.id)

    with pytest.raises(REFUSED):
        await db.transaction(spoil)
    assert await factories.read(viewer, target.id) == target


async def test_the_database_refuses_a_second_live_attempt(database: str, viewer: Viewer) -> None:
    outdial = await factories.make_outdial(viewer)
    target = await factories.make_target(viewer, outdial.id)
    attempt = await factories.claim(viewer, outdial.id)
    columns = "customer_id, outdial_id, target_id, destination_index, destination, try_number, state, lease_seconds,"
    columns += " expires_at, claimed_at"

    async def again(tx: db.Transaction) -> None:
        await tx.fetch(
            f"INSERT INTO attempt (id, {columns}) SELECT $2, {columns} FROM attempt WHERE id = $1",
            attempt.id,
            target.id,
        )

    with pytest.raises(REFUSED):
        await db.transaction(again)


async def test_the_database_refuses_a_key_that_is_taken(database: str, viewer: Viewer) -> None:
    outdial = await factories.make_outdial(viewer)
    await factories.make_target(viewer, outdial.id, key="a")
    other = await factories.make_target(viewer, outdial.id, key="b")

    async def rename(tx: db.Transaction) -> None:
        await tx.fetch("UPDATE target SET key = 'a' WHERE id = $1", other.id)

    with pytest.raises(REFUSED):
        await db.transaction(rename)


OUTDIAL = "customer_id = 'c' AND outdial_id = 'o'"


async def test_each_query_of_the_hot_paths_finds_its_index(databases: Databases, viewer: Viewer) -> None:
    """On SQLite, whose planner has no statistics to be misled by: what the indexes are for, they are used for."""
    async with databases.fresh("sqlite") as url:
        await db.connect(url)
        try:
            for where, index in {
                f"{OUTDIAL} AND tm_delete IS NULL ORDER BY tm_create DESC, id DESC": "target_page",
                f"{OUTDIAL} AND status = 'DONE' AND tm_delete IS NULL ORDER BY tm_create, id": "target_page_status",
                f"{OUTDIAL} AND rank = 3 AND COALESCE(wakes_at, next_try_at) <= 'x' AND status = 'IDLE'"
                " AND tm_delete IS NULL ORDER BY COALESCE(wakes_at, next_try_at), id": "target_due",
                "customer_id = 'c' AND destination_4 IS NOT NULL AND (destination_4 ->> 'target')"
                " IN (SELECT value FROM json_each('[]')) AND tm_delete IS NULL": "target_address_4",
                f"{OUTDIAL} AND key = 'k' AND tm_delete IS NULL AND key IS NOT NULL": "target_key",
                f"{OUTDIAL} AND key IN (SELECT value FROM json_each('[]')) AND tm_delete IS NULL": "target_key",
            }.items():
                plan = await db.fetch(f"EXPLAIN QUERY PLAN SELECT id FROM target WHERE {where} LIMIT 51")
                details = " / ".join(str(row["detail"]) for row in plan)
                assert f"{index} " in f"{details} ", details
                assert "TEMP B-TREE" not in details, details
        finally:
            await db.close()


async def test_an_interrupt_cuts_no_migration(tmp_path: Path) -> None:
    """At whatever point it comes, the schema is then current or empty, and nothing is left open."""
    steps = 0
    is_done = False
    while not is_done:
        url = f"sqlite:///{tmp_path}/{steps}.db"
        migrating = asyncio.create_task(db.migrate(url))
        for _ in range(steps):
            await asyncio.sleep(0)
        is_done = migrating.done()
        migrating.cancel()
        found = (await asyncio.gather(migrating, return_exceptions=True))[0]
        assert isinstance(found, list if is_done else asyncio.CancelledError), (steps, found)
        await db.connect(url)
        tables = await db.fetch("SELECT name FROM sqlite_master WHERE type = 'table'")
        assert not tables or await db.schema_is_current(), steps
        await db.close()
        assert await db.migrate(url) == ([] if tables else MIGRATIONS)
        steps = steps * 3 + 1
