"""What the drivers' errors mean."""

import sqlite3

import asyncpg


def is_unavailable(error: BaseException) -> bool:
    """The database, not the statement, is at fault."""
    if isinstance(error, sqlite3.OperationalError):
        return "locked" in str(error) or "busy" in str(error)
    return isinstance(
        error,
        (
            OSError,
            asyncpg.PostgresConnectionError,
            asyncpg.InterfaceError,
            asyncpg.QueryCanceledError,
            asyncpg.LockNotAvailableError,
            asyncpg.OperatorInterventionError,
            asyncpg.InsufficientResourcesError,
        ),
    )
