"""Distributes the tables by customer over the nodes of a Citus cluster. Only this module calls functions of Citus.

Every table with the column `customer_id` is distributed by it, in one colocation group: all rows of a customer are at
one node, and a statement that names one customer runs there. The other tables are small and rarely change, so each node
has a copy of them; without its copy of the migrations a server could not start at that node.

Each table is a step of its own. After an interruption, another run continues with the tables that are left.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from graphlib import TopologicalSorter

import asyncpg
from tortoise import Tortoise

from app.database_url import DatabaseUrl
from app.db import migration, opening, postgres
from app.db.configuration import APP, tortoise_config
from app.db.failures import failure_of, unavailable
from app.errors import Unavailable

EXTENSION = "citus"
ROOT = "customer"
"""The table that all others of a customer are colocated with."""
VISIBILITY = "citus.override_table_visibility"
"""If on, Citus hides its shards from the catalog, and each look-up of a type by the driver takes 0.7 s or more."""

_LOCK_WAIT_SECONDS = 60
_OTHERS = "another process of Outdial is connected; stop all servers, then run this again"


@dataclass(frozen=True, slots=True)
class Plan:
    """Which tables are distributed, and which are copied to each node. Both in an order that foreign keys allow."""

    by_customer: tuple[str, ...]
    copied: tuple[str, ...]


async def distribute(url: str) -> tuple[list[str], list[str]]:
    """Bring the schema up to date, and distribute the tables that are not distributed yet.

    Run it at the coordinator while no server runs. If all tables are distributed already, it changes nothing.

    Returns:
        The migrations that were applied, and the tables that were distributed.

    Raises:
        Unavailable: the database has no Citus, is not the coordinator, or is in use.
    """
    parsed = DatabaseUrl.parse(url)
    if parsed.path is not None:
        raise Unavailable("SQLite cannot be distributed; it needs PostgreSQL with Citus")
    await opening.check(parsed)
    connection = await _connect(parsed)
    try:
        await _require_coordinator(connection)
        applied = await migration.migrate(url)
        async with migration.alone(parsed):
            return applied, await _distribute(connection, await plan(connection, parsed))
    except Exception as error:
        failure = failure_of(error)
        if failure is None:
            raise
        raise unavailable(failure) from error
    finally:
        await connection.close()


async def plan(connection: postgres.Connection, url: DatabaseUrl) -> Plan:
    """The plan for the tables of a migrated database."""
    await Tortoise.init(config=tortoise_config(url, pool_size=1))
    try:
        described = [model.describe() for model in Tortoise.apps[APP].values()]
    finally:
        await Tortoise.close_connections()
    columns = {
        model["table"]: {field["db_column"] for field in (model["pk_field"], *model["data_fields"])}
        for model in described
    }
    tenants = {table for table, names in columns.items() if "customer_id" in names}
    parents = await connection.fetch(
        """
        SELECT child.relname AS child, parent.relname AS parent
        FROM pg_constraint
        JOIN pg_class AS child ON child.oid = conrelid
        JOIN pg_class AS parent ON parent.oid = confrelid
        WHERE contype = 'f' AND conparentid = 0 AND conrelid <> confrelid
          AND child.relname = ANY($1) AND child.relnamespace = current_schema()::regnamespace
        """,
        sorted(tenants),
    )
    order: TopologicalSorter[str] = TopologicalSorter(
        {table: [] if table == ROOT else [ROOT] for table in sorted(tenants)}
    )
    for row in parents:
        order.add(row["child"], row["parent"])
    return Plan(tuple(order.static_order()), (*sorted(columns.keys() - tenants), migration.TABLE))


async def _connect(url: DatabaseUrl) -> postgres.Connection:
    # a big table takes as long as it takes; a lock that does not come means that somebody works with the table
    patience = {"statement_timeout": "0", "lock_timeout": str(_LOCK_WAIT_SECONDS * 1000)}
    return await postgres.connect(url, patience)


async def _require_coordinator(connection: postgres.Connection) -> None:
    if not await connection.fetchval("SELECT 1 FROM pg_extension WHERE extname = $1", EXTENSION):
        raise Unavailable(
            "the database has no Citus; run CREATE EXTENSION citus in it on each node, or leave out --distribute"
        )
    if await connection.fetchval("SELECT groupid FROM pg_dist_local_group") != 0:
        raise Unavailable("this node is a worker; set OUTDIAL_DATABASE_URL to the coordinator, then run this again")


async def _distribute(connection: postgres.Connection, planned: Plan) -> list[str]:
    await _make_look_ups_fast(connection)
    missing = await _missing(connection, planned)
    if missing and await _has_company(connection):
        raise Unavailable(_OTHERS)
    for table in missing:
        try:
            if table in planned.copied:
                await connection.execute("SELECT create_reference_table($1::text::regclass)", table)
            else:
                await connection.execute(
                    "SELECT create_distributed_table($1::text::regclass, 'customer_id', colocate_with => $2)",
                    table,
                    "none" if table == ROOT else ROOT,
                )
        except asyncpg.LockNotAvailableError as error:
            raise Unavailable(_OTHERS) from error
    await _require_one_group(connection, planned)
    await _remove_leftovers(connection, (*planned.by_customer, *planned.copied))
    return missing


async def _missing(connection: postgres.Connection, planned: Plan) -> list[str]:
    found = await connection.fetch(
        "SELECT relname AS name FROM pg_dist_partition JOIN pg_class ON pg_class.oid = logicalrelid"
        " WHERE relnamespace = current_schema()::regnamespace AND (partmethod = 'h' OR repmodel = 't')"
    )
    done = {row["name"] for row in found}
    return [table for table in (*planned.by_customer, *planned.copied) if table not in done]


async def _has_company(connection: postgres.Connection) -> bool:
    """Whether a server is connected, as far as its name tells: it would fail, or write events that nobody reads."""
    found: bool = await connection.fetchval(
        """
        SELECT EXISTS (
            SELECT 1 FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
              AND application_name = current_setting('application_name')
              AND pid NOT IN (SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objid = $1 AND granted)
        )
        """,
        migration.ADVISORY_LOCK,
    )
    return found


async def _require_one_group(connection: postgres.Connection, planned: Plan) -> None:
    groups = await connection.fetch(
        "SELECT relname AS name, colocationid FROM pg_dist_partition JOIN pg_class ON pg_class.oid = logicalrelid"
        " WHERE relnamespace = current_schema()::regnamespace AND relname = ANY($1)",
        list(planned.by_customer),
    )
    of_root = next(row["colocationid"] for row in groups if row["name"] == ROOT)
    strays = sorted(row["name"] for row in groups if row["colocationid"] != of_root)
    if strays:
        raise Unavailable(f"not distributed together with the table {ROOT}: {_listed(strays)}; undistribute them first")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)


async def _remove_leftovers(connection: postgres.Connection, tables: Iterable[str]) -> None:
    """Remove the coordinator's own copy of rows that are at the nodes now.

    Only after all tables are distributed: the removal also empties the copies of tables that refer to this one.
    """
    for table in tables:
        is_left = await connection.fetchval(
            """
            WITH own AS (SELECT $1::text::regclass AS oid),
                parts AS (SELECT oid FROM own UNION SELECT inhrelid FROM pg_inherits JOIN own ON inhparent = own.oid)
            SELECT EXISTS (SELECT 1 FROM parts WHERE pg_relation_size(oid) > 0)
            """,
            table,
        )
        if is_left:
            await connection.execute("SELECT truncate_local_data_after_distributing_table($1::text::regclass)", table)


async def _make_look_ups_fast(connection: postgres.Connection) -> None:
    """For this role, at each node."""
    statement = await connection.fetchval(
        "SELECT format('ALTER ROLE %I IN DATABASE %I SET %s = off', current_user, current_database(), $1::text)",
        VISIBILITY,
    )
    await connection.execute(statement)
