"""Tortoise's and the drivers' configuration for the database."""

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Any

from app.database_url import DatabaseUrl, Dialect
from app.db import postgres

POSTGRES = "default"
SQLITE_WRITER = "default"

SQLITE_BUSY_SECONDS = 10

MIGRATIONS_MODULE = "migrations"
APP = "outdial"
"""Tortoise's name for the set of models."""


def _connector(url: DatabaseUrl, settings: Mapping[str, str]) -> Callable[..., Awaitable[Any]]:
    async def connect(*_arguments: Any, **_named: Any) -> Any:
        # Tortoise's own parameters are left out: the URL has all of them.
        return await postgres.connect(url, settings)

    return connect


def tortoise_config(
    url: DatabaseUrl, pool_size: int, settings: Mapping[str, str] = MappingProxyType({})
) -> dict[str, Any]:
    """Tortoise's configuration. `settings` are those of PostgreSQL's sessions, before all others."""
    apps = {APP: {"models": ["app.models"], "default_connection": "default", "migrations": MIGRATIONS_MODULE}}
    common = {"apps": apps, "use_tz": True, "timezone": "UTC", "routers": ["app.db.orm.NoOtherConnection"]}
    if url.dialect is Dialect.POSTGRES:
        credentials = {
            "connect": _connector(url, settings),
            "minsize": 0,  # asyncpg fills its pool in the background, with a traceback in the log for each failure
            "maxsize": pool_size,
            "init": postgres.set_codecs,
            "reset": postgres.keep_session,
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
        },
    }
