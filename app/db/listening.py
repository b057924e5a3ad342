"""What one process commits wakes those that wait in all others: PostgreSQL's LISTEN and NOTIFY."""

import asyncio

import asyncpg

from app.db import connections, waiting
from app.db.configuration import postgres_credentials

NOTIFY_CHANNEL = "outdial"
NOTIFY_TOPICS_MAX = 200
"""A payload holds 8,000 bytes, a topic has 36. Beyond it all waiters wake."""


def payload(topics: frozenset[str]) -> str:
    return ",".join(sorted(topics)) if len(topics) <= NOTIFY_TOPICS_MAX else waiting.EVERY_TOPIC


async def listen() -> None:
    """Wake waiters for what other processes commit, until the connection is lost or the task is cancelled.

    It wakes all of them once it listens: nobody heard what was said before. Only on PostgreSQL.
    """
    connection = await asyncpg.connect(
        timeout=connections.CONNECTION_WAIT_SECONDS, **postgres_credentials(connections.url())
    )
    gone = asyncio.Event()
    connection.add_termination_listener(lambda _: gone.set())
    try:
        await connection.add_listener(NOTIFY_CHANNEL, lambda *said: waiting.wake(str(said[3]).split(",")))
        waiting.wake([waiting.EVERY_TOPIC])
        await gone.wait()
    finally:
        connection.terminate()
