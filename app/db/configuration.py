"""What Tortoise and the drivers need to know to reach the database."""

from typing import Any

from app.database_url import DatabaseUrl, Dialect

POSTGRES = "default"
SQLITE_WRITER = "default"
SQLITE_READER = "reader"
"""Readers have a connection of their own: behind the writer's they would wait for each of its transactions."""

STATEMENT_TIMEOUT_SECONDS = 30
LOCK_TIMEOUT_SECONDS = 10
IDLE_IN_TRANSACTION_SECONDS = 60
"""A transaction that nobody goes on with holds up every subscriber of the cluster (see app.events)."""
SQLITE_BUSY_SECONDS = 10

MIGRATIONS_MODULE = "migrations"
APP = "outdial"
"""Tortoise's name for the set of models."""


def postgres_credentials(url: DatabaseUrl) -> dict[str, Any]:
    """What asyncpg needs to connect."""
    return {
        "host": url.host,
        "port": url.port,
        "user": url.user,
        "password": url.password,
        "database": url.database,
        **({"ssl": url.ssl} if url.ssl else {}),
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


def tortoise_config(url: DatabaseUrl, pool_size: int) -> dict[str, Any]:
    apps = {APP: {"models": ["app.models"], "default_connection": "default", "migrations": MIGRATIONS_MODULE}}
    common = {"apps": apps, "use_tz": True, "timezone": "UTC", "routers": ["app.db.orm.NoOtherConnection"]}
    if url.dialect is Dialect.POSTGRES:
        credentials = postgres_credentials(url) | {
            "minsize": 1,
            "maxsize": pool_size,
            "init": ids_as_text,
            "timeout": 10,
        }
        return common | {
            "connections": {POSTGRES: {"engine": "tortoise.backends.asyncpg", "credentials": credentials}},
        }
    pragmas = {
        "file_path": str(url.path),
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
