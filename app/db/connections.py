"""Which database this process serves, and its connections."""

import asyncio
import sqlite3
from contextlib import AsyncExitStack
from typing import Any

import asyncpg
import structlog
from tortoise import Tortoise
from tortoise.backends.base.client import BaseDBAsyncClient
from tortoise.exceptions import DBConnectionError

from app import metrics
from app.database_url import DatabaseUrl, Dialect
from app.errors import Unavailable

CONNECTION_WAIT_SECONDS = 10
"""How long an operation may wait for a free connection, or on SQLite for its turn to write."""

_url: DatabaseUrl | None = None

log = structlog.get_logger(__name__)


def use(url: DatabaseUrl | None) -> None:
    """Say which database this process serves from now on."""
    global _url  # noqa: PLW0603 - the one place that says it
    _url = url


def url() -> DatabaseUrl:
    if _url is None:
        raise RuntimeError("no database is connected")
    return _url


def dialect() -> Dialect:
    return url().dialect


def is_postgres() -> bool:
    return url().dialect is Dialect.POSTGRES


def client(name: str) -> BaseDBAsyncClient:
    return Tortoise.get_connection(name)


async def acquire(stack: AsyncExitStack, name: str) -> Any:
    try:
        async with asyncio.timeout(CONNECTION_WAIT_SECONDS):
            return await stack.enter_async_context(client(name).acquire_connection())
    except TimeoutError:
        raise Unavailable("The database is busy. Try again.") from None
    except (
        OSError,
        DBConnectionError,
        asyncpg.PostgresError,
        asyncpg.InterfaceError,
        sqlite3.OperationalError,
    ) as error:
        metrics.database_errors.inc()
        log.warning("database_unreachable", error=type(error).__name__)
        raise Unavailable("The database does not answer. Try again.") from error
