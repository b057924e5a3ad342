"""Opening the database at the start of a process, and closing it at the end."""

import asyncio
import sqlite3
from contextlib import closing

from tortoise import Tortoise

from app.database_url import DatabaseUrl
from app.db import connections, statements, units
from app.db.configuration import SQLITE_READER, tortoise_config
from app.errors import Unavailable

CLOSE_WAIT_SECONDS = 10
SQLITE_VERSION_MIN = (3, 38)
"""The first one with ->> for JSON."""


async def connect(url: str, *, pool_size: int = 10) -> None:
    """Open the database that `url` names; the schema is whatever it is.

    Raises:
        Unavailable: it does not answer.
    """
    parsed = DatabaseUrl.parse(url)
    await asyncio.to_thread(check, parsed)
    await Tortoise.init(config=tortoise_config(parsed, pool_size), _enable_global_fallback=True)
    connections.use(parsed)
    try:
        await statements.ping()
    except Unavailable:
        await close()
        raise
    if not connections.is_postgres():
        async with connections.client(SQLITE_READER).acquire_connection() as connection:
            # SQLite's own lower() knows the letters of ASCII only
            await connection.create_function("lower", 1, _lower, deterministic=True)


def _lower(text: str | None) -> str | None:
    return None if text is None else text.lower()


async def close() -> None:
    """Let the units of work under way finish, then close every connection."""
    await units.settle(CLOSE_WAIT_SECONDS)
    connections.use(None)
    await Tortoise.close_connections()


def check(url: DatabaseUrl) -> None:
    """Make sure that a SQLite file can be opened: aiosqlite waits for ever for one that cannot.

    Raises:
        Unavailable: it cannot.
    """
    if url.path is None:
        return
    if sqlite3.sqlite_version_info < SQLITE_VERSION_MIN:
        raise Unavailable(f"this Python brings SQLite {sqlite3.sqlite_version}; 3.38 or later is needed")
    try:
        with closing(sqlite3.connect(url.path)) as connection:
            connection.execute("PRAGMA schema_version").fetchall()
    except sqlite3.Error as error:
        raise Unavailable(str(error)) from error
