"""Follows something that is read whole each time, such as progress: followers get how it differs from the last time.

All who follow the same share one watch (`watching`), which holds only what it has read last.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from typing import Generic, Self, TypeVar, cast

from app.db import waiting
from app.errors import Unavailable
from app.events.watching import Following, Watch, following

POLL_SECONDS = 2.0
"""The fallback if a wake-up is lost."""

S = TypeVar("S")
C = TypeVar("C")

_numbers = count(1)
"""Of looks. No two watches use the same."""


@dataclass(frozen=True, slots=True)
class Subject(Generic[S, C]):
    """What is followed."""

    key: Hashable
    """Says all on which it depends what is read, first of all the customer."""
    topics: Iterable[str]
    """That are woken when it changes."""
    interval_seconds: float
    """The shortest time between two messages, and between two looks."""
    read: Callable[[], Awaitable[S]]
    first: Callable[[S], C]
    """What a new follower gets. It may raise an error of the caller's."""
    difference: Callable[[S, S], C | None]
    """What a follower gets that had the first and now finds the second; None if that is nothing."""
    is_last: Callable[[S], bool]
    """Whether no more can follow."""


class Changes(Following[C], Generic[S, C]):
    """The subject as it is, then each time how it differs from what came last. Ends after the last change."""

    def __init__(self, subject: Subject[S, C]) -> None:
        super().__init__()
        self._subject = subject
        self._clock = asyncio.get_running_loop().time
        self._number = 0
        """Of the watch's look that came last."""
        self._had: S

    async def _follow(self) -> AsyncGenerator[C, None]:
        subject, is_fresh = self._subject, False
        while not is_fresh:  # the watch that is there may just have ended
            async with following((subject.key, subject.interval_seconds), lambda: _Snapshots(subject)) as watch:
                is_fresh = await watch.look()
                change = watch.first() if is_fresh else None
                self._take(watch)
                while change is not None:
                    self.ready_at = self._clock() + subject.interval_seconds
                    yield change
                    if subject.is_last(self._had):
                        return
                    await asyncio.sleep(subject.interval_seconds)
                    change = await self._next(watch)

    async def _next(self, watch: "_Snapshots[S, C]") -> C | None:
        """The next change; None if no more can follow."""
        while True:
            if watch.number > self._number:
                change = watch.change(self._number, self._had)
                self._take(watch)
                if change is not None or self._subject.is_last(self._had):
                    return change
            elif watch.has_ended:
                return None
            else:
                await watch.news()

    def _take(self, watch: "_Snapshots[S, C]") -> None:
        self._number = self.place = watch.number
        self._had, self.is_shared = watch.newest, True

    def move(self, leader: Self) -> None:
        self._number = self.place = leader._number
        self._had, self.ready_at = leader._had, leader.ready_at


class _Snapshots(Watch, Generic[S, C]):
    newest: S

    def __init__(self, subject: Subject[S, C]) -> None:
        super().__init__()
        self.number = 0
        """Of the last look that found something else than the one before."""
        self._subject = subject
        self._begun = 0
        """How many looks have begun."""
        self._ended = 0
        self._woken = asyncio.Event()
        self._asked = asyncio.Event()
        """Somebody needs a look that has not begun yet."""
        self._failed = 0
        """How many looks have failed."""
        self._reason = ""
        """Why the last one of them did."""
        self._changes: dict[int, C | None] = {}
        """From earlier looks to the newest, by their number."""

    async def look(self) -> bool:
        """Wait for the end of a look that begins after this call; those who wait at the same time share it.

        Returns:
            False if none comes, because an earlier one was the last.

        Raises:
            Unavailable: it failed. The look is a new follower's first, so its subscriber has not begun.
        """
        mine, failed = self._begun + 1, self._failed
        while self._ended < mine and not self.has_ended:
            self._asked.set()
            self._woken.set()
            await self.news()
            if self._failed > failed:
                raise Unavailable(self._reason)
        return self._ended >= mine

    def waits(self, error: Unavailable) -> None:
        self._failed += 1
        self._reason = error.message
        self.tell()

    async def read(self) -> None:
        subject = self._subject
        with waiting.waiter(subject.topics) as self._woken:
            while True:
                await self.wanted()
                is_asked = self._asked.is_set()
                self._asked.clear()
                self._woken.clear()
                self._begun += 1
                found = await subject.read()
                self._ended = self._begun
                differs = not self.number or subject.difference(self.newest, found) is not None
                self.newest = found
                self._changes.clear()
                if differs:
                    self.number = next(_numbers)
                if subject.is_last(found):
                    return
                if differs or is_asked:
                    self.tell()
                with suppress(TimeoutError):
                    async with asyncio.timeout(subject.interval_seconds):
                        await self._asked.wait()
                with suppress(TimeoutError):
                    async with asyncio.timeout(POLL_SECONDS):
                        await self._woken.wait()

    def first(self) -> C:
        """What a new follower gets."""
        if 0 not in self._changes:
            self._changes[0] = self._subject.first(self.newest)
        return cast("C", self._changes[0])

    def change(self, number: int, had: S) -> C | None:
        """What a follower gets that had the look with that number last."""
        if number not in self._changes:
            self._changes[number] = self._subject.difference(had, self.newest)
        return self._changes[number]
