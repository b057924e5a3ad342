"""One hop to SQLite's thread for a whole unit of work.

aiosqlite has a thread for each connection. With a hop for each statement, a unit would wait for two switches of threads
each time, and would keep the write lock meanwhile. So the coroutine itself runs there, from BEGIN to COMMIT. It never
has to wait: its statements are calls that return.
"""

import asyncio
import contextvars
import sqlite3
import time
from collections import deque
from collections.abc import Awaitable, Callable, Generator
from contextlib import suppress
from functools import partial
from typing import Any, NoReturn, Protocol, TypeVar, cast

T = TypeVar("T")

WAITS = (
    "A unit of work may wait for its own statements only: on SQLite it runs where no event loop runs. "
    "Wait for everything else before the unit begins or after it ends."
)


class End(Protocol):
    """What is known about the end of a unit."""

    commit_was_sent: bool


async def unit(
    connection: Any, end: End, work: Callable[[sqlite3.Connection], Awaitable[T]], *, check: Callable[[], None]
) -> T:
    """Run `work` between BEGIN and COMMIT in the thread of the connection, and roll back if it raises.

    If the caller is cancelled, the unit still completes, before anything else that this connection does.

    Args:
        connection: aiosqlite's.
        end: learns here that COMMIT is sent.
        work: a coroutine function. Its parameter is the connection of the module `sqlite3`.
        check: called before COMMIT. If it raises, nothing is written.
    """
    context = contextvars.copy_context()
    # The thread keeps what it has called, and its answer, until it is called again: both pass through this, which is
    # empty then.
    passed: list[Any] = [work]
    # aiosqlite has no public way to its connection, or to run a function in its thread
    await connection._execute(context.run, _unit, connection._conn, end, passed, check)  # noqa: SLF001
    result: T = passed.pop()
    return result


def _unit(connection: sqlite3.Connection, end: End, passed: list[Any], check: Callable[[], None]) -> None:
    """Takes the work out of `passed`, and puts its result there."""
    work = passed.pop()
    if connection.in_transaction:  # the last unit's rollback failed
        connection.rollback()
    # IMMEDIATE takes the write lock at once: a transaction that reads first and then writes could fail otherwise
    connection.execute("BEGIN IMMEDIATE")
    try:
        result = _completed(work(connection))
        check()
        end.commit_was_sent = True
        connection.execute("COMMIT")
    except BaseException:  # also if the process stops: the next unit must not find an open transaction
        with suppress(sqlite3.Error):  # the caller gets the first error
            connection.rollback()
        raise
    passed.append(result)


def _completed(work: Awaitable[T]) -> T:
    """The result of a coroutine that waits for nothing but its turn.

    Raises:
        RuntimeError: it waits for something else.
    """
    running: Generator[Any, None, T] = work.__await__()
    turns = _Turns()
    asyncio._set_running_loop(cast("Any", turns))  # noqa: SLF001 - documented for those who write loops
    try:
        while True:
            waits_for = next(running)
            time.sleep(0)  # lets other threads run, as asyncio.sleep(0) lets other tasks run
            turns.take()
            if waits_for is not None and not _is_done(waits_for):
                running.throw(RuntimeError(WAITS))
                raise RuntimeError(WAITS)
    except StopIteration as stop:
        result: T = stop.value
        return result
    finally:
        asyncio._set_running_loop(None)  # noqa: SLF001


def _is_done(future: asyncio.Future[Any]) -> bool:
    future._asyncio_future_blocking = False  # noqa: SLF001 - a task does the same when it begins to wait
    return future.done()


class _Turns:
    """As much of an event loop as there is without waiting. Tortoise gathers a model's hooks, even none."""

    def __init__(self) -> None:
        self._ready: deque[Callable[[], object]] = deque()

    def call_soon(
        self, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> None:
        self._ready.append(partial((context or contextvars.copy_context()).run, callback, *args))

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=cast("Any", self))

    def get_debug(self) -> bool:
        return False

    def take(self) -> None:
        while self._ready:
            self._ready.popleft()()

    def __getattr__(self, name: str) -> NoReturn:
        raise RuntimeError(WAITS)
