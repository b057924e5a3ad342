"""Which database this process serves, and its connections."""

import asyncio
import sqlite3
import time
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from types import TracebackType
from typing import Any

import structlog
from tortoise import Tortoise
from tortoise.backends.base.client import BaseDBAsyncClient

from app import metrics
from app.database_url import DatabaseUrl, Dialect
from app.db import postgres
from app.db.configuration import POSTGRES
from app.db.failures import OF_NO_USE, Failure, failure_of, failure_of_closed, failure_of_connecting
from app.db.file import File
from app.db.keeping import Keeping, Kept
from app.db.reading import NotBegun, Reader

CONNECTION_WAIT_SECONDS = 10
"""How long an operation may wait for a free connection, or on SQLite for the write lock."""
GIVE_BACK_SECONDS_MAX = 1.0
"""After this time, a connection whose statement does not end on request is closed. The request takes milliseconds."""
RENEWAL_SECONDS_MIN = 1.0
"""The pool is renewed at most this often: after a failure, many connections fail at once."""

_url: DatabaseUrl | None = None
_has_nodes = False
_reader: Reader | None = None
_file: File | None = None
_renewed_at = float("-inf")

log = structlog.get_logger(__name__)


class Broken(Exception):  # noqa: N818 - `failure` has the details
    """The database is at fault, not the statement. The driver's error is the cause."""

    def __init__(self, failure: Failure, *, was_connected: bool) -> None:
        super().__init__(failure)
        self.failure = failure
        self.was_connected = was_connected
        """Whether a connection had been opened."""


for _failure in Failure:  # from 0 on, so that the first of each is seen as an increase
    metrics.database_errors.labels(_failure.value)


def use(url: DatabaseUrl | None, *, has_nodes: bool = False, reader: Reader | None = None) -> None:
    """Set the database that this process serves, whether its tables may be on several nodes, and SQLite's reader."""
    global _url, _has_nodes, _reader, _file, _renewed_at  # noqa: PLW0603 - the one place that sets it
    _url = url
    _has_nodes = has_nodes
    _reader = reader
    _file = None if url is None or url.path is None else File(url.path)
    _renewed_at = float("-inf")
    _keeping.forget()


async def give_back() -> None:
    """Give the pool those connections that are kept at hand."""
    await _keeping.close()


def url() -> DatabaseUrl:
    if _url is None:
        raise RuntimeError("no database is connected")
    return _url


def dialect() -> Dialect:
    return url().dialect


def is_postgres() -> bool:
    return url().dialect is Dialect.POSTGRES


def has_nodes() -> bool:
    return _has_nodes


def has_scripts() -> bool:
    """Whether units of work can be scripts (`app.db.scripts`). Citus runs each statement of a function by itself."""
    return is_postgres() and not _has_nodes


def has_reader() -> bool:
    return _reader is not None


def reader() -> Reader:
    """Of SQLite's file."""
    if _reader is None:
        raise RuntimeError("no file of SQLite is connected")
    return _reader


def file() -> File:
    """SQLite's."""
    if _file is None:
        raise RuntimeError("no file of SQLite is connected")
    return _file


def client(name: str) -> BaseDBAsyncClient:
    return Tortoise.get_connection(name)


class _Connection(AbstractAsyncContextManager[Any]):
    """A class, because each statement enters one: a generator takes longer."""

    __slots__ = ("_is_postgres", "_kept", "_name")

    def __init__(self, name: str) -> None:
        self._name = name
        self._is_postgres = is_postgres()
        self._kept: Kept

    async def __aenter__(self) -> Any:
        self._kept = _keeping.take() or await _acquired(self._name)
        metrics.database_connections_in_use.inc()
        return self._kept.connection

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        metrics.database_connections_in_use.dec()
        kept = self._kept
        if error is None:
            if not (self._is_postgres and _keeping.keep(kept)):
                await _give_back(kept.wrapper)
            return
        if self._is_postgres and isinstance(error, asyncio.CancelledError):
            await _give_back_soon(kept.wrapper, kept.connection)
            return
        try:
            await _judge(kept.connection, error)
        finally:
            await _give_back(kept.wrapper)


def connection(name: str) -> AbstractAsyncContextManager[Any]:
    """A connection for the time of the context. If it fails, it is closed.

    Raises:
        Broken: the database is at fault.
    """
    return _Connection(name)


async def _acquired(name: str) -> Kept:
    """A connection of the driver's pool, or SQLite's writer."""
    wrapper = client(name).acquire_connection()
    bound = asyncio.timeout(wait_seconds())
    try:
        with _keeping.wanted():
            async with bound:
                return _keeping.taken(await wrapper.__aenter__(), wrapper)
    except Exception as error:
        failure = Failure.BUSY if bound.expired() else failure_of_connecting(error)
        if failure is None:
            raise
        raise _broken(failure, error, was_connected=False) from error


async def _judge(held: Any, error: BaseException) -> None:
    """Look what an error in the use of a connection says of the database.

    Raises:
        Broken: the database is at fault.
    """
    if not isinstance(error, Exception):
        return
    reason = failure_of_closed(error) if is_postgres() and postgres.is_closed(held) else failure_of(error)
    if reason is None:
        return
    if is_postgres() and reason in OF_NO_USE:
        postgres.drop(held)
        await renew()
    raise _broken(reason, error, was_connected=True) from error


@contextmanager
def reading() -> Iterator[Reader]:
    """SQLite's reader.

    Raises:
        Broken: the database is at fault.
    """
    try:
        yield reader()
    except NotBegun as error:
        raise _broken(error.failure, error, was_connected=False) from error
    except sqlite3.Error as error:
        reason = failure_of(error)
        if reason is None:
            raise
        raise _broken(reason, error, was_connected=True) from error


async def _give_back(wrapper: Any) -> None:
    """The caller's work is done, so an error here is not its error: the pool drops such a connection."""
    try:
        await wrapper.__aexit__(None, None, None)
    except Exception as error:
        failure = failure_of(error)
        if failure is None:
            raise
        _broken(failure, error, was_connected=True)


_keeping = Keeping(_give_back)


async def _give_back_soon(wrapper: Any, held: Any) -> None:
    """The same for a caller that has left, who does not wait for a statement that will not end.

    asyncpg waits for the end of the statement that it has cancelled. PostgreSQL takes no notice of a request to cancel
    that arrives before the statement does, which then runs on to its own time limit.
    """
    giving = asyncio.ensure_future(_give_back(wrapper))
    await asyncio.wait([giving], timeout=GIVE_BACK_SECONDS_MAX)
    if not giving.done():
        postgres.drop(held)
    await giving


def wait_seconds() -> float:
    """How long a connection may take, from the pool or a new one."""
    if not is_postgres():
        return CONNECTION_WAIT_SECONDS
    return max(CONNECTION_WAIT_SECONDS, postgres.connect_seconds(url()) * len(url().hosts))


def _broken(failure: Failure, error: Exception, *, was_connected: bool) -> Broken:
    """Count and log the failure, and make the error that clients get."""
    metrics.database_errors.labels(failure.value).inc()
    log.warning(
        "database_unavailable",
        reason=failure.value,
        error=type(error).__name__,
        code=getattr(error, "sqlstate", None) or getattr(error, "sqlite_errorname", None),
    )
    return Broken(failure, was_connected=was_connected)


async def renew() -> None:
    """Replace every connection of the pool at its next use: the address may now lead to another server."""
    global _renewed_at  # noqa: PLW0603
    if time.monotonic() - _renewed_at >= RENEWAL_SECONDS_MIN:
        _renewed_at = time.monotonic()
        _keeping.renew()
        pool: Any = client(POSTGRES)
        await pool._expire_connections()  # noqa: SLF001 - Tortoise has no other way to its pool
