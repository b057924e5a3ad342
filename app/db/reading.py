"""SQLite's reads, in a thread of their own that takes them from a queue.

A connection that is handed from reader to reader waits for two switches of threads between two statements. Here the
next statement is there when the one before ends.
"""

import asyncio
import sqlite3
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Self

from app.db.failures import Failure

READS_WAITING_MAX = 1_000
"""More are refused at once. A single operation makes few."""
_STATEMENTS_KEPT = 256
"""Prepared ones."""
_INTERRUPT_EVERY_SECONDS = 0.02


class NotBegun(Exception):  # noqa: N818 - the caller makes an error of it
    """A read did not begin in time, or there were too many."""

    failure = Failure.BUSY


class _Read:
    __slots__ = ("answer", "has_left", "sql", "values")

    def __init__(self, sql: str, values: Sequence[Any], answer: asyncio.Future[list[Any]]) -> None:
        self.sql = sql
        self.values = values
        self.answer = answer
        self.has_left = False
        """The caller no longer waits. Set in the event loop, read in the thread."""

    def give(self, rows: list[Any], error: BaseException | None) -> None:
        """In the thread: hand the outcome to the caller's loop, which may have ended."""
        with suppress(RuntimeError):
            self.answer.get_loop().call_soon_threadsafe(self._take, rows, error)

    def _take(self, rows: list[Any], error: BaseException | None) -> None:
        if self.answer.done():
            return
        if error is None:
            self.answer.set_result(rows)
        else:
            self.answer.set_exception(error)


class Reader:
    """A connection that only reads. Any number of readers share it, in the order in which they come."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[_Read | None] = SimpleQueue()
        self._switching = threading.Lock()
        """Held while the running statement changes, and while it is interrupted: never another one in its place."""
        self._running: _Read | None = None
        self._connection: sqlite3.Connection
        self._thread: threading.Thread

    @classmethod
    async def opened(cls, path: Path, busy_seconds: float) -> Self:
        """Open the file, which must exist.

        Raises:
            sqlite3.Error: it cannot be opened.
        """
        reader = cls()
        opening: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
        run = reader._run
        reader._thread = threading.Thread(
            target=run, args=(path, busy_seconds, _Read("", (), opening)), name="sqlite reads", daemon=True
        )
        reader._thread.start()
        await opening
        return reader

    async def fetch(self, sql: str, values: Sequence[Any], *, begin_seconds: float) -> list[Any]:
        """The rows of a statement. A caller that leaves stops it.

        Args:
            sql: the statement, as SQLite spells it.
            values: of its placeholders.
            begin_seconds: so long it waits for its turn.

        Raises:
            NotBegun: its turn did not come.
            sqlite3.Error: of the statement.
        """
        if self._queue.qsize() >= READS_WAITING_MAX:
            raise NotBegun
        loop = asyncio.get_running_loop()
        read = _Read(sql, values, loop.create_future())
        bound = loop.call_later(begin_seconds, self._expire, read)
        self._queue.put(read)
        try:
            return await read.answer
        except asyncio.CancelledError:
            self._leave(read)
            raise
        finally:
            bound.cancel()

    async def close(self, patience_seconds: float) -> None:
        """Wait for the reads before, then interrupt those that are left, and close."""
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join, patience_seconds)
        while self._thread.is_alive():
            self._connection.interrupt()
            await asyncio.to_thread(self._thread.join, _INTERRUPT_EVERY_SECONDS)

    def _expire(self, read: _Read) -> None:
        if read is not self._running and not read.answer.done():
            read.has_left = True
            read.answer.set_exception(NotBegun())

    def _leave(self, read: _Read) -> None:
        read.has_left = True
        with self._switching:
            if self._running is read:
                self._connection.interrupt()

    # ------------------------------------------------------------ in the thread

    def _run(self, path: Path, busy_seconds: float, opening: _Read) -> None:
        try:
            self._connection = _open(path, busy_seconds)
        except sqlite3.Error as error:
            opening.give([], error)
            return
        opening.give([], None)
        while (read := self._queue.get()) is not None:
            with self._switching:
                if read.has_left:
                    continue
                self._running = read
            outcome = self._outcome(read)
            with self._switching:
                self._running = None
            read.give(*outcome)
            del read, outcome  # the thread may wait for long, and keeps nothing meanwhile
        self._connection.close()

    def _outcome(self, read: _Read) -> tuple[list[Any], BaseException | None]:
        try:
            return self._connection.execute(read.sql, read.values).fetchall(), None
        except Exception as error:  # noqa: BLE001 - it is the caller's
            return [], error


def _open(path: Path, busy_seconds: float) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, timeout=busy_seconds, isolation_level=None, check_same_thread=False, cached_statements=_STATEMENTS_KEPT
    )
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA query_only = ON")
    # SQLite's own lower() knows the letters of ASCII only
    connection.create_function("lower", 1, _lower, deterministic=True)
    return connection


def _lower(text: str | None) -> str | None:
    return None if text is None else text.lower()
