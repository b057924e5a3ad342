"""Tells the other processes what was committed, by PostgreSQL's NOTIFY on a connection of its own.

Nothing is announced inside a writing transaction. PostgreSQL holds one lock of the whole cluster from before the commit
record of a NOTIFY until it is safe on disk, so all commits of all customers would wait for one flush after the other.
Here a transaction has nothing but the NOTIFY and nothing to flush. It comes after the commit, tells of all commits
since the last one, and only one is under way at a time.

The connection is opened by the first commit that somebody may wait for, and kept. If it is lost, what is pending is
sent on the next one; until then, polling finds it. It tells at the node that it is connected to: on a distributed
database, each server listens at all of them (`elsewhere`).
"""

import asyncio
import secrets
from collections.abc import Set as AbstractSet
from contextlib import suppress

import structlog

from app.db import connections, postgres, waiting
from app.db.failures import failure_of_connecting

NOTIFY_CHANNEL = "outdial"
NOTIFY_TOPICS_MAX = 200
"""A payload has at most 8,000 bytes, a topic has 37 at most. If there are more topics, all waiters wake."""
PAUSE_SECONDS = 0.01
"""From one message to the next: commits this close together share one."""
SEND_SECONDS_MAX = 2.0
RETRY_SECONDS = 1.0
FLUSH_SECONDS_MAX = 1.0
"""For what is pending when the process ends."""

_SIGN = "by="

log = structlog.get_logger(__name__)


class Teller:
    """Tells what this process commits."""

    def __init__(self) -> None:
        self.sign = f"{_SIGN}{secrets.token_hex(8)}"
        """In each message, so that this process does not wake its own waiters twice."""
        self._pending: set[str] = set()
        self._sending: asyncio.Task[None] | None = None
        self._connection: postgres.Connection | None = None
        self._is_silent = False

    def tell(self, topics: AbstractSet[str]) -> None:
        """Wake the waiters of these topics in all other processes, soon. It never waits."""
        self._keep(topics)
        if self._sending is None or self._sending.done():
            self._sending = asyncio.create_task(self._send(), name="tell other processes")

    def _keep(self, topics: AbstractSet[str]) -> None:
        self._pending |= topics
        if len(self._pending) > NOTIFY_TOPICS_MAX or waiting.EVERY_TOPIC in self._pending:
            self._pending = {waiting.EVERY_TOPIC}

    async def _send(self) -> None:
        while self._pending:
            topics, self._pending = self._pending, set()
            was_open = self._connection is not None
            try:
                await self._notify(topics)
            except Exception as error:
                self._keep(topics)
                self._hang_up()
                failure = failure_of_connecting(error)
                if failure is None:
                    log.exception("others_not_told")
                elif not was_open and not self._is_silent:
                    self._is_silent = True
                    log.warning("others_not_told", reason=failure.value)
                # the server may have closed the old connection long ago, so a new one is tried at once
                await asyncio.sleep(0 if was_open and failure is not None else RETRY_SECONDS)
            else:
                self._is_silent = False
                await asyncio.sleep(PAUSE_SECONDS)

    async def _notify(self, topics: AbstractSet[str]) -> None:
        if self._connection is None:
            async with asyncio.timeout(connections.wait_seconds()):
                self._connection = await postgres.connect(connections.url())
        payload = ",".join((self.sign, *sorted(topics)))
        await self._connection.execute("SELECT pg_notify($1, $2)", NOTIFY_CHANNEL, payload, timeout=SEND_SECONDS_MAX)

    def _hang_up(self) -> None:
        if self._connection is not None:
            postgres.drop(self._connection)
            self._connection = None

    async def end(self) -> None:
        """Send what is pending, if that is possible soon, and close the connection."""
        if self._sending is not None:
            await asyncio.wait([self._sending], timeout=FLUSH_SECONDS_MAX)
            self._sending.cancel()
            with suppress(asyncio.CancelledError):
                await self._sending
        self._hang_up()


_teller: Teller | None = None


def begin() -> None:
    """Be ready to tell. A process does this once for each database that it opens."""
    global _teller  # noqa: PLW0603 - one for the process
    _teller = Teller()


def tell(topics: AbstractSet[str]) -> None:
    """Wake the waiters of these topics, here at once and in other processes soon. Call it after the commit."""
    waiting.wake(topics)
    if _teller is not None and connections.is_postgres():
        _teller.tell(topics)


def hear(payload: str) -> None:
    """Wake the waiters of a message's topics, unless the message is this process's own."""
    said = payload.split(",")
    if _teller is None or _teller.sign not in said:
        waiting.wake(said)


async def end() -> None:
    """Send what is pending within a bound, and tell nothing more."""
    global _teller
    teller, _teller = _teller, None
    if teller is not None:
        await teller.end()
