"""Where the database is, as its URL says, and what Tortoise needs to know to reach it."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from app.db.dialects import Dialect
from app.errors import Unavailable

POSTGRES = "default"
SQLITE_WRITER = "default"
SQLITE_READER = "reader"
"""Readers have a connection of their own: behind the writer's they would wait for each of its transactions."""

STATEMENT_TIMEOUT_SECONDS = 30
LOCK_TIMEOUT_SECONDS = 10
IDLE_IN_TRANSACTION_SECONDS = 60
"""A transaction that nobody goes on with holds up every subscriber of the cluster (see app.events)."""
SQLITE_BUSY_SECONDS = 10
SQLITE_VERSION_MIN = (3, 38)
"""The first one with ->> for JSON."""

MIGRATIONS_MODULE = "migrations"
APP = "outdial"
"""Tortoise's name for the set of models."""


@dataclass(frozen=True, slots=True)
class Address:
    """A database URL, taken apart: `sqlite:///outdial.db` or `postgresql://user:password@host:5432/name`."""

    dialect: Dialect
    path: Path | None = None
    host: str | None = None
    port: int = 5432
    user: str | None = None
    password: str | None = None
    database: str | None = None
    ssl: str | None = None

    @classmethod
    def parse(cls, url: str) -> "Address":
        """Take a URL apart.

        Raises:
            ValueError: it names neither database; the message holds no part of the URL, which may hold a password.
        """
        parts = urlsplit(url)
        if parts.scheme == "sqlite":
            # sqlite:///outdial.db is relative, sqlite:////var/lib/outdial.db absolute
            path = unquote(parts.path.removeprefix("/"))
            if parts.netloc or not path:
                raise ValueError("a SQLite URL looks like sqlite:///outdial.db")
            return cls(Dialect.SQLITE, path=Path(path))
        if parts.scheme in {"postgres", "postgresql"}:
            query = dict(parse_qsl(parts.query))
            return cls(
                Dialect.POSTGRES,
                host=query.get("host", parts.hostname or "127.0.0.1"),
                port=parts.port or int(query.get("port", "5432")),
                user=unquote(parts.username) if parts.username else query.get("user"),
                password=unquote(parts.password) if parts.password else query.get("password"),
                database=unquote(parts.path.removeprefix("/")) or None,
                ssl=query.get("sslmode"),
            )
        raise ValueError("a database URL begins with sqlite:/// or postgresql://")

    def check(self) -> None:
        """Make sure that a SQLite file can be opened: aiosqlite waits for ever for one that cannot.

        Raises:
            Unavailable: it cannot.
        """
        if self.path is None:
            return
        if sqlite3.sqlite_version_info < SQLITE_VERSION_MIN:
            raise Unavailable(f"this Python brings SQLite {sqlite3.sqlite_version}; 3.38 or later is needed")
        try:
            with closing(sqlite3.connect(self.path)) as connection:
                connection.execute("PRAGMA schema_version").fetchall()
        except sqlite3.Error as error:
            raise Unavailable(str(error)) from error

    def postgres_credentials(self) -> dict[str, Any]:
        """What asyncpg needs to connect."""
        return {
            "host": self.host,
            "port": self.port,
            "user": self.user,
            "password": self.password,
            "database": self.database,
            **({"ssl": self.ssl} if self.ssl else {}),
            "server_settings": {
                "application_name": "outdial",
                "timezone": "UTC",
                "statement_timeout": str(STATEMENT_TIMEOUT_SECONDS * 1000),
                "lock_timeout": str(LOCK_TIMEOUT_SECONDS * 1000),
                "idle_in_transaction_session_timeout": str(IDLE_IN_TRANSACTION_SECONDS * 1000),
            },
        }


async def ids_as_text(connection: Any) -> None:
    """Give ids as the text that they are everywhere else."""
    await connection.set_type_codec("uuid", schema="pg_catalog", encoder=str, decoder=str, format="text")


def tortoise_config(address: Address, pool_size: int) -> dict[str, Any]:
    apps = {APP: {"models": ["app.models"], "default_connection": "default", "migrations": MIGRATIONS_MODULE}}
    common = {"apps": apps, "use_tz": True, "timezone": "UTC"}
    if address.dialect is Dialect.POSTGRES:
        credentials = address.postgres_credentials() | {
            "minsize": 1,
            "maxsize": pool_size,
            "init": ids_as_text,
            "timeout": 10,
        }
        return common | {
            "connections": {POSTGRES: {"engine": "tortoise.backends.asyncpg", "credentials": credentials}},
        }
    pragmas = {
        "file_path": str(address.path),
        "journal_mode": "WAL",
        # with WAL, NORMAL loses nothing when the process dies; FULL also survives the machine losing power
        "synchronous": "FULL",
        "busy_timeout": SQLITE_BUSY_SECONDS * 1000,
        "foreign_keys": "ON",
    }
    return common | {
        "connections": {
            SQLITE_WRITER: {"engine": "tortoise.backends.sqlite", "credentials": pragmas},
            SQLITE_READER: {"engine": "tortoise.backends.sqlite", "credentials": pragmas | {"query_only": "ON"}},
        },
    }
