"""Watches: one task reads what many followers wait for, from the first follower to the last.

A follower takes what the watch has read at its own pace, and keeps only its own position. One that has fallen behind
what the watch still holds reads for itself until it has caught up. So nothing is queued for anybody, and a slow
follower delays no other. The watch reads only while somebody waits for more.

While the database is away, a watch tries again and again from where it was, and so does a follower that reads for
itself: those who follow get nothing for that time, and nothing is left out after it.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Hashable
from contextlib import asynccontextmanager
from contextvars import Context
from types import TracebackType
from typing import Any, Self, TypeVar
from weakref import WeakKeyDictionary

import structlog

from app.errors import Unavailable

RETRY_SECONDS = 0.5
"""From one look to the next while the database is away. No follower sees the failure, so none comes back at once."""

T = TypeVar("T")

log = structlog.get_logger(__name__)


class Watch(ABC):
    """What is watched once for all its followers. Subclasses read in `read`.

    A watch belongs to one event loop.
    """

    def __init__(self) -> None:
        self.has_ended = False
        """It reads no more, and everything that it read before is what there is."""
        self._failure: tuple[Exception, TracebackType | None] | None = None
        self._waiting: dict[asyncio.Future[None], None] = {}
        self._wanted = asyncio.Event()
        self._followers = 0
        self._task: asyncio.Task[None] | None = None
        self._loop = asyncio.get_running_loop()  # each further call of this costs a system call

    @abstractmethod
    async def read(self) -> None:
        """Read until there can be no more. Each time, first await `wanted`, and call `tell` if there is news.

        It is called again after it has raised Unavailable, and goes on where it was.
        """

    def waits(self, error: Unavailable) -> None:  # noqa: B027 - most watches have nothing to do then
        """The last look failed, and another one comes."""

    async def wanted(self) -> None:
        """Wait until a follower waits."""
        if not self._waiting:
            self._wanted.clear()
            await self._wanted.wait()

    def tell(self) -> None:
        """Let all followers that wait look."""
        waiting, self._waiting = self._waiting, {}
        for future in waiting:
            if not future.done():
                future.set_result(None)

    async def news(self) -> None:
        """Wait until the watch tells of something.

        Raises:
            Exception: that with which the reading failed.
        """
        self._check()
        future = self._loop.create_future()
        self._waiting[future] = None
        self._wanted.set()
        try:
            await future
        finally:
            self._waiting.pop(future, None)
        self._check()

    def _check(self) -> None:
        if self._failure is not None:
            # With its own trace: otherwise each follower would make it longer. Without a name for it: the trace would
            # hold that, and so itself.
            raise self._failure[0].with_traceback(self._failure[1])

    @property
    def is_over(self) -> bool:
        return self.has_ended or self._failure is not None

    async def _run(self) -> None:
        try:
            await self._read_on()
        except Exception as error:  # noqa: BLE001 - each follower raises it
            self._failure = error, error.__traceback__
        else:
            self.has_ended = True
        self.tell()

    async def _read_on(self) -> None:
        while True:
            try:
                await self.read()
            except Unavailable as error:
                log.warning("subscribers_wait", reason=error.message)
                self.waits(error)
                await asyncio.sleep(RETRY_SECONDS)
            else:
                return

    def _begin(self) -> None:
        # In a context of its own: what the first follower's request has set, such as its id in the log, is not ours.
        self._task = self._loop.create_task(self._run(), name="watch", context=Context())

    async def _end(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        self._failure = None  # its trace holds this watch


async def persistently(read: Callable[..., Awaitable[T]], *args: Any) -> T:
    """What `read(*args)` returns, for a follower that has begun: while the database is away, it is called again."""
    while True:
        try:
            return await read(*args)
        except Unavailable:
            await asyncio.sleep(RETRY_SECONDS)


class Following(AsyncIterator[T]):
    """What one follower gets, in order, without end or until there can be no more. Close it when nobody wants it."""

    place: Hashable | None = None
    """Where it is. Two that follow the same and are at the same place get the same from then on. None: they may not."""
    ready_at = 0.0
    """When the next value may come, by the loop's clock."""

    is_shared = False
    """Whether others get the last value, the very same object, from the watch."""

    def __init__(self) -> None:
        self._values = self._follow()

    def __aiter__(self) -> Self:
        return self

    def __anext__(self) -> Awaitable[T]:
        return self._values.__anext__()

    async def aclose(self) -> None:
        await self._values.aclose()

    @abstractmethod
    def _follow(self) -> AsyncGenerator[T, None]: ...

    @abstractmethod
    def move(self, leader: Self) -> None:
        """Go to where another one is, that follows the same, as if this one had given the same values."""

    def told(self, followers: int) -> None:
        """Count the last value for so many others, too."""


W = TypeVar("W", bound=Watch)

_of_loops: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Hashable, Any]] = WeakKeyDictionary()


@asynccontextmanager
async def following(key: Hashable, make: Callable[[], W]) -> AsyncIterator[W]:
    """The watch of that key, for one follower: that of the others, or a new one.

    Args:
        key: says all on which it depends what the watch reads, first of all the customer.
        make: a new one.
    """
    watches = _of_loops.setdefault(asyncio.get_running_loop(), {})
    found: W | None = watches.get(key)
    if found is None or found.is_over:
        found = watches[key] = make()
        found._begin()  # noqa: SLF001 - of this module
    watch = found
    watch._followers += 1  # noqa: SLF001
    try:
        yield watch
    finally:
        watch._followers -= 1  # noqa: SLF001
        if not watch._followers:  # noqa: SLF001
            if watches.get(key) is watch:
                del watches[key]
            await watch._end()  # noqa: SLF001
