"""Brings a database's schema up to date. If several processes start, one of them does it."""

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

from tortoise import Tortoise
from tortoise.backends.base.client import BaseDBAsyncClient

from app.database_url import DatabaseUrl, Dialect
from app.db import opening, postgres, serving
from app.db.configuration import APP, MIGRATIONS_MODULE, tortoise_config
from app.db.failures import failure_of, unavailable
from app.errors import Unavailable

MIGRATION_WAIT_SECONDS = 60
"""How long a process waits while another one migrates."""
LOCK_POLL_SECONDS = 0.05
ADVISORY_LOCK = 0x0D1A1
TABLE = "tortoise_migrations"
"""Tortoise's list of the migrations that were applied."""
FORMER = {"0001_initial", "0002_imports", "0003_rejects"}
"""Migrations before the first release. Their tables have other keys and cannot be carried over."""


async def migrate(url: str) -> list[str]:
    """Bring the schema up to date, under a lock that other processes wait for.

    It uses connections of its own and closes them: migrate first, then connect.

    Returns:
        The names of the migrations that were applied.
    """
    parsed = DatabaseUrl.parse(url)
    await opening.check(parsed)
    async with alone(parsed):
        migrating = asyncio.create_task(_migrate(parsed))
        try:
            return await asyncio.shield(migrating)
        except asyncio.CancelledError:  # Ctrl-C: Tortoise cannot close a transaction that has only half begun
            await migrating
            raise


async def _migrate(url: DatabaseUrl) -> list[str]:
    config = tortoise_config(url, pool_size=2)
    await Tortoise.init(config=config, _enable_global_fallback=True)
    try:
        connection = Tortoise.get_connection("default")
        missing = await _missing(connection)
        if missing:
            if url.path is not None:
                _refuse_while_served(url.path)
            from tortoise.migrations.executor import MigrationExecutor

            await MigrationExecutor(connection, config["apps"]).migrate()
        return missing
    finally:
        await Tortoise.close_connections()


def _refuse_while_served(path: Path) -> None:
    """Otherwise a server of an older version would continue with tables that it does not know."""
    server = serving.other_server(path)
    if server is not None:
        raise Unavailable(f"{server} serves this file; stop it, then migrate")


async def schema_is_current() -> bool:
    """Whether the connected database has had every migration that this version knows.

    Raises:
        Unavailable: the database is busy or gone.
    """
    try:
        return not await _missing(Tortoise.get_connection("default"))
    except Exception as error:
        failure = failure_of(error)
        if failure is None:
            raise
        raise unavailable(failure) from error


async def _missing(connection: BaseDBAsyncClient) -> list[str]:
    """The names of the migrations that this version knows and the database has not had, in their order."""
    if connection.capabilities.dialect == "sqlite":
        exists = await connection.execute_query_dict("SELECT 1 AS one FROM sqlite_master WHERE name = ?", [TABLE])
    else:
        exists = await connection.execute_query_dict("SELECT 1 AS one WHERE to_regclass($1) IS NOT NULL", [TABLE])
    if not exists:
        return known()
    rows = await connection.execute_query_dict(f"SELECT name FROM {TABLE} WHERE app = '{APP}'")
    applied = {row["name"] for row in rows}
    if applied & FORMER:
        raise Unavailable(
            "the tables are those of a version before the first release; export the outdials with that version, "
            "then import them into a new database"
        )
    return [name for name in known() if name not in applied]


def known() -> list[str]:
    """The names of all migrations, in their order: those of the modules in their package."""
    package = import_module(MIGRATIONS_MODULE)
    return sorted(module.name for module in iter_modules(package.__path__))


@asynccontextmanager
async def alone(url: DatabaseUrl) -> AsyncIterator[None]:
    """While no other process migrates this database."""
    if url.dialect is Dialect.POSTGRES:
        async with _postgres_lock(url):
            yield
    else:
        assert url.path is not None
        async with _folder_lock(url.path.parent):
            yield


@asynccontextmanager
async def _postgres_lock(url: DatabaseUrl) -> AsyncIterator[None]:
    patience = {"lock_timeout": str(MIGRATION_WAIT_SECONDS * 1000), "statement_timeout": "0"}
    connection = await postgres.connect(url, patience)
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", ADVISORY_LOCK)
        yield
    finally:
        await connection.close()  # the lock ends with the session


@asynccontextmanager
async def _folder_lock(folder: Path) -> AsyncIterator[None]:
    """A lock on the database's folder: it leaves no file, and the system releases it when the process ends.

    A lock on the database file is not possible: closing it would release SQLite's own locks of this process.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        async with asyncio.timeout(MIGRATION_WAIT_SECONDS):
            while not _locked(descriptor):  # noqa: ASYNC110 - there is no signal when another process unlocks
                await asyncio.sleep(LOCK_POLL_SECONDS)
        yield
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
