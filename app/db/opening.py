"""Opens the database at the start of a process, and closes it at the end."""

import asyncio
import os
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import asyncpg
from asyncpg.exceptions import TargetServerAttributeNotMatched
from tortoise import Tortoise

from app import metrics
from app.database_url import DatabaseUrl
from app.db import connections, joining, postgres, sharing, statements, telling, units
from app.db.configuration import SQLITE_BUSY_SECONDS, SQLITE_WRITER, tortoise_config
from app.db.reading import Reader
from app.errors import Unavailable

CLOSE_WAIT_SECONDS = 10
SQLITE_VERSION_MIN = (3, 38)
"""The first version with ->> for JSON."""
CHECK_SECONDS = 5
ENCODING = "UTF8"
ONE_PLAN_FOR_EACH_CUSTOMER = {"plan_cache_mode": "auto"}
"""If tables may be distributed: Citus has no plan for most statements before it knows the customer, and so the node."""


async def connect(url: str, *, pool_size: int = 10) -> None:
    """Open the database that `url` names, without a look at its schema.

    Raises:
        Unavailable: it does not answer, or cannot be used.
    """
    parsed = DatabaseUrl.parse(url)
    settings = await check(parsed)
    await Tortoise.init(config=tortoise_config(parsed, pool_size, settings), _enable_global_fallback=True)
    reader = None if parsed.path is None else await Reader.opened(parsed.path, SQLITE_BUSY_SECONDS)
    connections.use(parsed, has_nodes=bool(settings), reader=reader)
    metrics.database_connections_limit.set(1 if reader else pool_size)  # SQLite's readers need none
    if not reader:
        sharing.begin(pool_size)
    telling.begin()
    joining.begin()
    try:
        await statements.ping()
    except Unavailable:
        await close()
        raise
    if not connections.is_postgres():
        # Opened now: if a first use were interrupted, Tortoise would never release its lock.
        async with connections.connection(SQLITE_WRITER):
            # Otherwise Tortoise takes the thread of a unit of work for another event loop, and connects again there.
            connections.client(SQLITE_WRITER)._bound_loop = None  # noqa: SLF001


async def close() -> None:
    """Wait for the units of work in progress, tell other processes of them, then close every connection."""
    await units.settle(CLOSE_WAIT_SECONDS)
    await telling.end()
    if connections.has_reader():
        await connections.reader().close(CLOSE_WAIT_SECONDS)
    await connections.give_back()
    connections.use(None)
    await Tortoise.close_connections()


# ---------------------------------------------------------------- whether it can be used


async def check(url: DatabaseUrl) -> Mapping[str, str]:
    """Check the database before the pool opens, with one line that says what is wrong.

    Returns:
        The settings that sessions need beside the usual ones.

    Raises:
        Unavailable: it refuses the login, is read-only, or is not UTF-8.
    """
    if url.path is not None:
        await asyncio.to_thread(_check_file, url.path)
        return {}
    try:
        postgres.check_files(url.parameters)
        connection = await postgres.connect(url)
        try:
            name = await connection.fetchval("SELECT current_database()", timeout=CHECK_SECONDS)
            encoding = await connection.fetchval("SHOW server_encoding", timeout=CHECK_SECONDS)
            has_temporary = await connection.fetchval(
                "SELECT has_database_privilege(current_database(), 'TEMPORARY')", timeout=CHECK_SECONDS
            )
            has_nodes = await connection.fetchval(
                "SELECT to_regclass('pg_dist_node') IS NOT NULL", timeout=CHECK_SECONDS
            )
        finally:
            await connection.close(timeout=CHECK_SECONDS)
    except TargetServerAttributeNotMatched as error:
        raise Unavailable("the server takes no writes: it is a standby, or read-only") from error
    except TimeoutError as error:
        raise Unavailable("the server does not answer in time") from error
    except (OSError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
        raise Unavailable(_first_line(error)) from error
    if encoding != ENCODING:
        raise Unavailable(
            f"the database {name} has the encoding {encoding}, which cannot store every name; create another one: "
            f"CREATE DATABASE outdial ENCODING 'UTF8' LOCALE 'C.UTF-8' TEMPLATE template0"
        )
    if not has_temporary:
        raise Unavailable(
            f"the role may not make temporary objects, as claims do: GRANT TEMPORARY ON DATABASE {name} TO …"
        )
    return ONE_PLAN_FOR_EACH_CUSTOMER if has_nodes else {}


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__


def _check_file(path: Path) -> None:
    """Also because aiosqlite never returns if a file cannot be opened."""
    if sqlite3.sqlite_version_info < SQLITE_VERSION_MIN:
        raise Unavailable(f"this Python brings SQLite {sqlite3.sqlite_version}; 3.38 or later is needed")
    try:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA schema_version").fetchall()
            encoding = connection.execute("PRAGMA encoding").fetchone()[0]
    except sqlite3.Error as error:
        raise Unavailable(str(error)) from error
    if not os.access(path, os.W_OK):
        raise Unavailable(f"{path} is read-only")
    if encoding != "UTF-8":
        raise Unavailable(f"the file has the encoding {encoding}; convert it to UTF-8: sqlite3 OLD .dump | sqlite3 NEW")
