"""The schema: what the migrations make is what the models say, and the database itself refuses what must not be."""

import asyncio
import sqlite3
from pathlib import Path

import asyncpg
import pytest
from tortoise import Tortoise
from tortoise.migrations.autodetector import MigrationAutodetector
from tortoise.migrations.executor import MigrationExecutor, MigrationTarget

from app import db, ids, imports
from app.auth import Viewer
from app.database_url import DatabaseUrl
from app.db.configuration import tortoise_config
from app.db.dialects import is_instant
from tests.conftest import Databases, Kind
from tests.support import factories, postgres

MIGRATIONS = ["0001_initial", "0002_imports", "0003_rejects"]
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
        "outdial",
        "outdial_counter",
        "target",
        "attempt",
        "target_event",
        "outdial_event",
        "event_epoch",
        "idempotency_key",
        "import_job",
        "import_reject",
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


async def test_rejected_rows_of_an_earlier_version_survive_and_are_shown_as_they_are_kept(
    kind: Kind, tmp_path: Path, postgres_server: str, viewer: Viewer
) -> None:
    url = f"sqlite:///{tmp_path / 'old.db'}" if kind == "sqlite" else await postgres.create_database(postgres_server)
    config = tortoise_config(DatabaseUrl.parse(url), pool_size=1)
    await Tortoise.init(config=config, _enable_global_fallback=True)
    try:
        executor = MigrationExecutor(Tortoise.get_connection("default"), config["apps"])
        await executor.migrate([MigrationTarget(app_label="outdial", name="0002_imports")])
        outdial_id, job_id, customer = ids.new(), ids.new(), viewer.customer_id
        now = "2026-11-25 12:00:00+00:00"
        await Tortoise.get_connection("default").execute_script(f"""
            INSERT INTO outdial (id, customer_id, name, detail, data, state, max_try_counts, retry_interval_seconds,
                lease_seconds, on_unconfirmed, tm_create)
            VALUES ('{outdial_id}', '{customer}', '', '', '', 'ACTIVE', '[1,1,1,1,1]', 1, 60, 'RETRY', '{now}');
            INSERT INTO import_job (id, customer_id, outdial_id, file_name, state, dry_run, input_hash, rows_read,
                rows_rejected, warnings, tm_create, heard_at, finished_at)
            VALUES ('{job_id}', '{customer}', '{outdial_id}', 'old.csv', 'COMPLETED', 0, '', 1, 1, '[]', '{now}',
                '{now}', '{now}');
            INSERT INTO import_reject (id, customer_id, job_id, line_number, code, message, row_text, recorded_at)
            VALUES ('{ids.new()}', '{customer}', '{job_id}', 2, 'INVALID', 'No.', 'a;12', '{now}');
        """)
        indexes = await index_names(kind)
        assert "import_reject_line" in indexes
    finally:
        await Tortoise.close_connections()
    assert await db.migrate(url) == ["0003_rejects"]
    await db.connect(url)
    try:
        assert await index_names(kind) == indexes
        file = await imports.file_of_rejects(viewer, outdial_id, job_id)
        parts = [part async for part in file.parts]
        assert (file.name, b"".join(parts).decode("utf-8-sig")) == (
            "old-rejects.csv",
            'import_line,import_reason\r\n2,"No.\na;12"\r\n',
        )
    finally:
        await db.close()
        if kind == "postgres":
            await postgres.drop_database(postgres_server, url)


async def index_names(kind: Kind) -> set[str]:
    table, column = ("sqlite_master", "name") if kind == "sqlite" else ("pg_indexes", "indexname")
    where = " WHERE type = 'index'" if kind == "sqlite" else " WHERE schemaname = 'public'"
    found = await Tortoise.get_connection("default").execute_query_dict(f"SELECT {column} AS name FROM {table}{where}")
    return {row["name"] for row in found}


BAD_TARGETS = {
    "a status that does not exist": "status = 'LOST'",
    "done without a reason": "status = 'DONE', next_try_at = NULL",
    "a reason without being done": "done_reason = 'ANSWERED'",
    "idle without a time": "next_try_at = NULL",
    "progressing without an attempt": "status = 'PROGRESSING', next_try_at = NULL",
    "a negative try count": "try_count_3 = -1",
    "a priority of 10": "priority = 10",
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


async def test_each_query_of_the_hot_paths_finds_its_index(databases: Databases, viewer: Viewer) -> None:
    """On SQLite, whose planner has no statistics to be misled by: what the indexes are for, they are used for."""
    async with databases.fresh("sqlite") as url:
        await db.connect(url)
        try:
            for where, index in {
                "outdial_id = 'o' AND tm_delete IS NULL ORDER BY tm_create DESC, id DESC": "target_page",
                "outdial_id = 'o' AND status = 'DONE' AND tm_delete IS NULL"
                " ORDER BY tm_create, id": "target_page_status",
                "outdial_id = 'o' AND priority = 3 AND next_try_at <= 'x' AND status = 'IDLE' AND tm_delete IS NULL"
                " ORDER BY next_try_at, id": "target_due",
                "customer_id = 'c' AND destination_4 IS NOT NULL AND (destination_4 ->> 'target')"
                " IN (SELECT value FROM json_each('[]')) AND tm_delete IS NULL": "target_address_4",
                "outdial_id = 'o' AND key = 'k' AND tm_delete IS NULL AND key IS NOT NULL": "target_key",
                "outdial_id = 'o' AND key IN (SELECT value FROM json_each('[]')) AND tm_delete IS NULL": "target_key",
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
