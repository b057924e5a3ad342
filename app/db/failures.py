"""The meaning of the drivers' errors: whose fault it is, and whether another connection may help."""

import asyncio
import re
import sqlite3
from enum import StrEnum

import asyncpg
from asyncpg.exceptions import TargetServerAttributeNotMatched
from tortoise.exceptions import BaseORMException, DBConnectionError

from app.errors import Unavailable


class Failure(StrEnum):
    """Why the database is at fault, not the statement."""

    LOST = "lost"
    """The connection is lost, or its server is shutting down."""
    SILENT = "silent"
    """The connection is there, and nothing comes out of it."""
    READ_ONLY = "read-only"
    """The server is read-only: it is not, or no longer, the primary."""
    FULL = "full"
    BUSY = "busy"
    """It answers, but too late."""
    AWAY = "away"
    MOVED = "moved"
    """SQLite's file is not there any more, or another one is in its place."""


class Moved(Exception):  # noqa: N818 - `Failure.MOVED` says what it means
    """SQLite's file was deleted, moved or replaced."""


OF_NO_USE = frozenset({Failure.LOST, Failure.SILENT, Failure.READ_ONLY})
"""The connection is to be closed, and with it all others: they lead to the same server."""

_MESSAGES = {
    Failure.READ_ONLY: "The database takes no writes at the moment. Try again.",
    Failure.FULL: "The database has no space left. Try again later.",
    Failure.BUSY: "The database is busy. Try again.",
    Failure.LOST: "The database does not answer. Try again.",
    Failure.SILENT: "The database does not answer. Try again.",
    Failure.AWAY: "The database does not answer. Try again.",
    Failure.MOVED: "The database's file was deleted or replaced. Put it back, or restart the server.",
}

# https://www.postgresql.org/docs/18/errcodes-appendix.html
_STATES = {
    "08": Failure.LOST,  # connection exceptions
    "25006": Failure.READ_ONLY,
    "25P03": Failure.LOST,  # the server has ended the session: it was idle inside a transaction
    "25P04": Failure.LOST,  # likewise: the transaction took too long
    "53": Failure.AWAY,  # no memory, no free connection
    "53100": Failure.FULL,
    "55P03": Failure.BUSY,  # a lock was not free in time
    "57": Failure.AWAY,  # another action of an operator
    "57014": Failure.BUSY,  # the statement took too long
    "57P01": Failure.LOST,  # the server shuts down, or an operator ends the session
    "57P02": Failure.LOST,  # another session crashed
    "57P03": Failure.LOST,  # it starts up, or shuts down
    "57P04": Failure.LOST,  # the database was dropped
    "57P05": Failure.LOST,  # the session was idle for too long
    "58": Failure.AWAY,  # the server's own files
}
_BETWEEN_NODES = re.compile(
    "could not commit transaction for shard|failure on connection marked as essential|failed to prepare transaction"
    # what libpq says when a connection breaks
    "|server closed the connection|terminating connection|connection not open|no connection to the server|lost sync"
    "|could not (?:receive|send) data|SSL SYSCALL error|SSL connection has been closed|timeout expired"
)
"""If the tables are distributed, another node may be lost, also while the connection to this one is good. Citus has no
code for that, only a text."""
UNCONFIRMED = re.compile("synchronous replication|failed to commit transaction on")
"""Warnings at COMMIT that take back the answer: no standby has the change, or another node has perhaps lost it. Citus
warns and confirms, also if nothing was saved: after an INSERT … SELECT it does not check its connection."""
_SQLITE = {
    sqlite3.SQLITE_BUSY: Failure.BUSY,
    sqlite3.SQLITE_LOCKED: Failure.BUSY,
    sqlite3.SQLITE_PROTOCOL: Failure.BUSY,
    sqlite3.SQLITE_READONLY: Failure.READ_ONLY,
    sqlite3.SQLITE_FULL: Failure.FULL,
    sqlite3.SQLITE_IOERR: Failure.AWAY,
    sqlite3.SQLITE_CANTOPEN: Failure.AWAY,
    sqlite3.SQLITE_PERM: Failure.AWAY,
}
_OTHERS: tuple[tuple[type[Exception], Failure | None], ...] = (
    (Moved, Failure.MOVED),
    (TargetServerAttributeNotMatched, Failure.READ_ONLY),
    (TimeoutError, Failure.SILENT),
    (ValueError, None),  # among asyncpg's own errors too, these are about a statement's values
    (asyncpg.InterfaceError, Failure.LOST),
    (asyncpg.InternalClientError, Failure.LOST),
    (OSError, Failure.LOST),
    (DBConnectionError, Failure.LOST),
)
"""In this order: the first kind that an error is of."""
_STUMBLES = (AttributeError, TypeError, RuntimeError, AssertionError, asyncio.InvalidStateError)
"""What asyncpg, its pool and the event loop raise as well, when a connection closes between two of their steps: they
then look for a transport or a session that is None."""
_NOT_SENT = re.compile("cannot switch to state|not connected|connection is closed|has been released back to the pool")
"""asyncpg's words for a connection that was already gone. A FATAL message that comes to an idle connection leaves it in
a state in which it takes no statement."""
_PRIMARY_CODE = 0xFF
"""SQLite's extended codes have the primary code in their lowest byte."""


def failure_of(error: BaseException) -> Failure | None:
    """Why the database is at fault; None if the statement is at fault."""
    if isinstance(error, BaseORMException) and error.args and isinstance(error.args[0], Exception):
        return failure_of(error.args[0])  # Tortoise wraps the drivers' errors
    if isinstance(error, sqlite3.Error):
        return _SQLITE.get(getattr(error, "sqlite_errorcode", 0) & _PRIMARY_CODE)
    if isinstance(error, asyncpg.PostgresError):
        state = error.sqlstate or ""
        if state == "XX000" and _BETWEEN_NODES.search(str(error)):
            return Failure.LOST
        return _STATES.get(state) or _STATES.get(state[:2])
    return next((failure for kind, failure in _OTHERS if isinstance(error, kind)), None)


def failure_of_closed(error: BaseException) -> Failure | None:
    """The same if the connection has closed meanwhile: the driver's own stumbling is no bug of ours."""
    return failure_of(error) or (Failure.LOST if isinstance(error, _STUMBLES) else None)


def was_not_sent(error: BaseException | None) -> bool:
    """Whether the driver refused the statement before it sent a byte of it."""
    return isinstance(error, asyncpg.InterfaceError | asyncpg.InternalClientError) and bool(
        _NOT_SENT.search(str(error))
    )


def failure_of_connecting(error: BaseException) -> Failure | None:
    """The same while there is no connection yet: no statement is at fault if a password is wrong by now."""
    drivers = (asyncpg.PostgresError, asyncpg.InterfaceError, sqlite3.Error, BaseORMException)
    if isinstance(error, AttributeError | asyncio.InvalidStateError):
        return Failure.LOST  # the connection closed between two steps of the login
    return failure_of(error) or (Failure.AWAY if isinstance(error, drivers) else None)


def unavailable(failure: Failure) -> Unavailable:
    return Unavailable(_MESSAGES[failure])
