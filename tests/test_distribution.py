"""Tables distributed over several machines: `migrate --distribute`, and what its statements promise.

Citus itself is not here. Functions and tables with its names stand in for it; they refuse what it refuses.
"""

import ast
import re
from pathlib import Path

import asyncpg
import pytest

from app import attempts, cli, db, outdials
from app.auth import Viewer
from app.database_url import DatabaseUrl
from app.db import distributing, postgres
from app.errors import Unavailable
from tests.support import factories
from tests.support.postgres import create_database, drop_database, execute

APP = Path(__file__).parent.parent / "app"

STAND_IN = (
    "CREATE TABLE pg_dist_local_group (groupid integer NOT NULL)",
    "INSERT INTO pg_dist_local_group VALUES (0)",
    """
    CREATE TABLE pg_dist_partition (
        logicalrelid regclass PRIMARY KEY, partmethod "char", repmodel "char", colocationid integer
    )
    """,
    "CREATE TABLE done (number serial, what text, name regclass)",
    """
    CREATE FUNCTION create_distributed_table(name regclass, by_column text, colocate_with text) RETURNS void AS $$
    DECLARE together integer := 1;
    BEGIN
        PERFORM 1 FROM pg_attribute WHERE attrelid = name AND attname = by_column AND attnotnull;
        IF NOT FOUND THEN RAISE EXCEPTION 'no column %', by_column; END IF;
        IF EXISTS (
            SELECT 1 FROM pg_constraint WHERE contype = 'f' AND conrelid = name
            AND confrelid NOT IN (SELECT logicalrelid FROM pg_dist_partition)
        ) THEN RAISE EXCEPTION 'referenced table of % must be a distributed table', name; END IF;
        IF EXISTS (
            SELECT 1 FROM pg_index WHERE indrelid = name AND indisunique AND NOT EXISTS (
                SELECT 1 FROM pg_attribute WHERE attrelid = name AND attname = by_column AND attnum = ANY(indkey)
            )
        ) THEN RAISE EXCEPTION 'a unique index of % lacks %', name, by_column; END IF;
        IF colocate_with <> 'none' THEN
            SELECT colocationid INTO STRICT together FROM pg_dist_partition
            WHERE logicalrelid = colocate_with::regclass;
        END IF;
        INSERT INTO pg_dist_partition VALUES (name, 'h', 's', together);
        INSERT INTO done (what, name) VALUES ('distributed', name);
    END $$ LANGUAGE plpgsql
    """,
    """
    CREATE FUNCTION create_reference_table(name regclass) RETURNS void AS $$
    BEGIN
        INSERT INTO pg_dist_partition VALUES (name, 'n', 't', 2);
        INSERT INTO done (what, name) VALUES ('copied', name);
    END $$ LANGUAGE plpgsql
    """,
    """
    CREATE FUNCTION truncate_local_data_after_distributing_table(name regclass) RETURNS void AS $$
    BEGIN
        -- it also empties the local rows of tables that refer to this one, which must not be the only ones
        IF EXISTS (
            SELECT 1 FROM pg_constraint WHERE contype = 'f' AND confrelid = name
            AND conrelid NOT IN (SELECT logicalrelid FROM pg_dist_partition)
        ) THEN RAISE EXCEPTION 'rows of a table that refers to % would be lost', name; END IF;
        INSERT INTO done (what, name) VALUES ('emptied', name);
    END $$ LANGUAGE plpgsql
    """,
)


@pytest.fixture
async def stand_in_url(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A migrated database with the stand-in."""
    monkeypatch.setattr(distributing, "EXTENSION", "plpgsql")  # an extension that every database has
    await execute(postgres_url, *STAND_IN)
    return postgres_url


async def asked(url: str, sql: str) -> list[tuple[object, ...]]:
    connection = await asyncpg.connect(url)
    try:
        return [tuple(row) for row in await connection.fetch(sql)]
    finally:
        await connection.close()


async def done(url: str) -> list[tuple[object, ...]]:
    return await asked(url, "SELECT what, name::text FROM done ORDER BY number")


async def test_every_table_of_a_customer_is_distributed_by_it_and_every_other_one_is_at_each_node(
    stand_in_url: str,
) -> None:
    assert await db.distribute(stand_in_url) == (
        [],
        [str(name) for what, name in await done(stand_in_url) if what != "emptied"],
    )
    tables = await asked(
        stand_in_url,
        """
        SELECT relname, EXISTS (SELECT 1 FROM pg_attribute WHERE attrelid = pg_class.oid AND attname = 'customer_id')
        FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relispartition AND relnamespace = 'public'::regnamespace
          AND relname NOT IN ('pg_dist_local_group', 'pg_dist_partition', 'done')
        """,
    )
    assert len(tables) > 10
    by_kind = {str(name): what for what, name in await done(stand_in_url) if what != "emptied"}
    assert by_kind == {name: "distributed" if is_tenants else "copied" for name, is_tenants in tables}
    groups = await asked(stand_in_url, "SELECT DISTINCT colocationid FROM pg_dist_partition WHERE partmethod = 'h'")
    assert groups == [(1,)]


async def test_a_second_run_changes_nothing(stand_in_url: str) -> None:
    _, first = await db.distribute(stand_in_url)
    before = await done(stand_in_url)
    assert first
    assert await db.distribute(stand_in_url) == ([], [])
    # rows that are left at the coordinator are removed again: the stand-in does not really remove them
    assert [entry for entry in await done(stand_in_url) if entry[0] != "emptied"] == [
        entry for entry in before if entry[0] != "emptied"
    ]


@pytest.mark.parametrize("finished", [0, 1, 4, 10])
async def test_an_interrupted_run_is_continued_by_the_next(stand_in_url: str, finished: int) -> None:
    await execute(
        stand_in_url,
        f"""
        CREATE FUNCTION interrupt() RETURNS trigger AS $$
        BEGIN
            IF (SELECT count(*) FROM done) >= {finished} THEN
                PERFORM pg_terminate_backend(pg_backend_pid());
            END IF;
            RETURN NEW;
        END $$ LANGUAGE plpgsql
        """,
        "CREATE TRIGGER interruption BEFORE INSERT ON done FOR EACH ROW EXECUTE FUNCTION interrupt()",
    )
    with pytest.raises(Unavailable):
        await db.distribute(stand_in_url)
    assert len(await done(stand_in_url)) == finished
    await execute(stand_in_url, "DROP TRIGGER interruption ON done")
    _, rest = await db.distribute(stand_in_url)
    begun = [name for what, name in await done(stand_in_url) if what != "emptied"]
    assert begun[finished:] == rest
    assert len(set(begun)) == len(begun) > 10


async def test_a_new_table_is_distributed_by_the_next_run(stand_in_url: str) -> None:
    await db.distribute(stand_in_url)
    await execute(
        stand_in_url, "DELETE FROM pg_dist_partition WHERE logicalrelid = 'import_reject'::regclass", "DELETE FROM done"
    )
    assert await db.distribute(stand_in_url) == ([], ["import_reject"])


async def test_look_ups_of_types_stay_fast_for_this_role(stand_in_url: str) -> None:
    await db.distribute(stand_in_url)
    assert await asked(stand_in_url, "SELECT current_setting('citus.override_table_visibility')") == [("off",)]


async def test_statements_are_planned_for_their_customer_if_there_are_several_nodes(postgres_url: str) -> None:
    modes = []
    for _ in range(2):
        await db.connect(postgres_url)
        try:
            modes += [row["mode"] for row in await db.fetch("SELECT current_setting('plan_cache_mode') AS mode")]
        finally:
            await db.close()
        await execute(postgres_url, "CREATE TABLE IF NOT EXISTS pg_dist_node (groupid integer)")
    assert modes == ["force_generic_plan", "auto"]


async def test_a_unit_of_work_keeps_its_customers_rows_at_their_node_before_it_takes_a_lock(
    postgres_url: str, viewer: Viewer, said: list[str]
) -> None:
    await execute(postgres_url, "CREATE TABLE pg_dist_node (groupid integer)")
    await db.connect(postgres_url)
    try:
        outdial = await factories.make_outdial(viewer)
        await factories.create_many(viewer, outdial.id, [factories.target_draft() for _ in range(3)])
        claimed = await attempts.claim(viewer, outdial.id, limit=3, dialer="d")
        said.clear()
        for work in (
            attempts.claim(viewer, outdial.id, limit=3, dialer="d"),
            factories.start(viewer, claimed[0].id),
            factories.complete(viewer, claimed[0].id),
            factories.release(viewer, claimed[1].id),
            outdials.update(viewer, outdial.id, changes={"name": "another"}),
        ):
            await work
            of_rows = [sql for sql in said if "customer_id" in sql]
            assert of_rows[0].startswith("UPDATE customer SET epoch = epoch WHERE customer_id = $1 AND epoch < 0")
            assert sum(sql.startswith("UPDATE customer SET epoch = epoch") for sql in said) == 1
            said.clear()
    finally:
        await db.close()


async def test_nothing_is_distributed_while_a_server_is_connected(stand_in_url: str) -> None:
    connection = await postgres.connect(DatabaseUrl.parse(stand_in_url))
    try:
        with pytest.raises(Unavailable, match="stop all servers"):
            await db.distribute(stand_in_url)
    finally:
        await connection.close()
    assert await done(stand_in_url) == []
    _, distributed = await db.distribute(stand_in_url)
    assert distributed
    connection = await postgres.connect(DatabaseUrl.parse(stand_in_url))
    try:  # nothing is left to do, so servers are not in the way
        assert await db.distribute(stand_in_url) == ([], [])
    finally:
        await connection.close()


async def test_a_worker_is_refused(stand_in_url: str) -> None:
    await execute(stand_in_url, "UPDATE pg_dist_local_group SET groupid = 3")
    with pytest.raises(Unavailable, match="this node is a worker; set OUTDIAL_DATABASE_URL to the coordinator"):
        await db.distribute(stand_in_url)
    assert await done(stand_in_url) == []


async def test_a_table_that_was_distributed_in_another_way_is_named(stand_in_url: str) -> None:
    await execute(stand_in_url, "INSERT INTO pg_dist_partition VALUES ('target', 'h', 's', 9)")
    with pytest.raises(Unavailable, match="not distributed together with the table customer: target;"):
        await db.distribute(stand_in_url)


async def test_a_database_without_the_extension_is_refused_before_anything_is_changed(
    postgres_server: str,
) -> None:
    url = await create_database(postgres_server)
    try:
        with pytest.raises(Unavailable) as refused:
            await db.distribute(url)
        assert refused.value.message.startswith("the database has no Citus; run CREATE EXTENSION citus")
        assert "\n" not in refused.value.message
        assert await asked(url, "SELECT to_regclass('outdial')::text") == [(None,)]
    finally:
        await drop_database(postgres_server, url)


async def test_sqlite_is_refused() -> None:
    with pytest.raises(Unavailable, match="SQLite cannot be distributed"):
        await db.distribute("sqlite:////nowhere/outdial.db")


# ---------------------------------------------------------------- nothing else depends on it

FUNCTION_OF_THE_EXTENSION = re.compile(
    r"\b(?:citus_\w+|master_\w+|worker_\w+|run_command_on_\w+|rebalance_\w+|get_rebalance_\w+|get_shard_id\w+"
    r"|(?:un|)distribute_table|create_(?:distributed|reference)\w*|alter_(?:distributed_table|table_set)\w*"
    r"|truncate_local_data\w+|column_to_column_name|isolate_tenant\w+|update_distributed_table\w+"
    r"|replicate_\w+|start_metadata_sync\w+|recover_prepared\w+)\("
)


def test_only_the_distribution_calls_functions_of_the_extension() -> None:
    found = [
        path.relative_to(APP).as_posix()
        for path in APP.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        for _ in FUNCTION_OF_THE_EXTENSION.finditer(node.value)
    ]
    assert found == ["db/distributing.py"] * 3


def test_the_command_line_refuses_sqlite_as_a_wrong_setting(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("OUTDIAL_DATABASE_URL", f"sqlite:///{tmp_path}/outdial.db")
    monkeypatch.setattr("sys.argv", ["outdial", "migrate", "--distribute"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    assert capsys.readouterr().err == (
        "outdial: --distribute needs PostgreSQL: set OUTDIAL_DATABASE_URL to postgresql://…\n"
    )
    assert list(tmp_path.iterdir()) == []
