"""Hears what other processes have committed, by PostgreSQL's LISTEN. `telling` is the other end."""

import asyncio
from contextlib import suppress
from typing import Any

import asyncpg

from app.db import connections, elsewhere, postgres, telling, waiting
from app.db.failures import failure_of, unavailable

HEARTBEAT_SECONDS = 2.0


async def listen() -> None:
    """Wake waiters after commits of other processes, until the connection is lost or the task is cancelled.

    It wakes all of them when it begins to listen, because earlier notifications are lost. Only on PostgreSQL.

    Raises:
        Unavailable: the server does not answer, or has become read-only. No notifications will come from it, so listen
            again.
    """
    try:
        connection = await postgres.connect(connections.url())
        try:
            async with elsewhere.heard(connection, _hear):
                await _hear(connection)
        finally:
            connection.terminate()
    except Exception as error:
        failure = failure_of(error)
        if failure is None:
            raise
        await connections.renew()
        raise unavailable(failure) from error


async def _hear(connection: Any) -> None:
    gone = asyncio.Event()
    connection.add_termination_listener(lambda _: gone.set())
    await connection.add_listener(telling.NOTIFY_CHANNEL, lambda *said: telling.hear(str(said[3])))
    waiting.wake([waiting.EVERY_TOPIC])
    while not gone.is_set():
        with suppress(TimeoutError):
            async with asyncio.timeout(HEARTBEAT_SECONDS):
                await gone.wait()
                return
        # A server that has become a standby still answers readers, with old data.
        read_only = await connection.fetchval(
            "SELECT current_setting('transaction_read_only')", timeout=HEARTBEAT_SECONDS
        )
        if read_only == "on":
            raise asyncpg.ReadOnlySQLTransactionError("the server has become read-only")
