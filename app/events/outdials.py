"""Follows what happens to outdials themselves. All of a customer's followers share one watch, as in `following`."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from typing import Self

from app.auth import Viewer
from app.db import waiting
from app.events import epochs, horizon, log
from app.events.cursors import Position
from app.events.horizon import Horizon
from app.events.pacing import Pace
from app.events.recent import Recent
from app.events.watching import Following, Watch, following, persistently
from app.records import OutdialEvent

READ_EVENTS_MAX = 500
"""In one statement."""


def outdial_changes(viewer: Viewer) -> Following[OutdialEvent]:
    """Outdials of the viewer's customer that are created, changed or deleted, from now on."""
    return _Tail(viewer.customer_id)


class _Tail(Following[OutdialEvent]):
    def __init__(self, customer_id: str) -> None:
        super().__init__()
        self._customer_id = customer_id
        self._at: Position
        self._own: deque[tuple[Position, OutdialEvent]] = deque()
        """What it has read for itself; no more than one statement's."""

    async def _follow(self) -> AsyncGenerator[OutdialEvent, None]:
        seen = await _seen(self._customer_id)
        self._at = await log.outdials_end(self._customer_id, upto=seen.position)
        key = ("outdials", self._customer_id)
        async with following(key, lambda: _Log(self._customer_id, self._at)) as watch:
            while True:
                self._at, event = await self._next(watch)
                self.place = self._at
                yield event

    def move(self, leader: Self) -> None:
        self._at = self.place = leader._at
        self._own.clear()

    async def _next(self, watch: "_Log") -> tuple[Position, OutdialEvent]:
        while True:
            if self._own:
                return self._own.popleft()
            begins = watch.recent.begins
            self.is_shared = self._at >= begins
            if not self.is_shared:
                seen = await persistently(_seen, self._customer_id)
                found = await persistently(_read, self._customer_id, self._at, seen)
                self._own.extend(found)
                if found:
                    self._at = found[-1][0]
                if len(found) < READ_EVENTS_MAX:  # also if what was last before that place is removed by now
                    self._at = max(self._at, begins)
                continue
            events, _ = watch.recent.after(self._at, 1)
            if events:
                return events[0]
            await watch.news()


class _Log(Watch):
    """The recent events of a customer's outdials."""

    def __init__(self, customer_id: str, at: Position) -> None:
        super().__init__()
        self.recent: Recent[OutdialEvent] = Recent(at)
        self._customer_id = customer_id
        self._clock = asyncio.get_running_loop().time

    async def read(self) -> None:
        with waiting.waiter([self._customer_id]) as woken:
            pace = Pace(woken)
            while True:
                await self.wanted()
                pace.looking()
                seen = await _seen(self._customer_id)
                found = await _read(self._customer_id, self.recent.upto, seen)
                if found:
                    self.recent.keep(found, found[-1][0], self._clock())
                    self.tell()
                if len(found) < READ_EVENTS_MAX:
                    await pace.next_look(seen)


async def _seen(customer_id: str) -> Horizon:
    return await horizon.outdial_horizon(await epochs.owner(customer_id))


async def _read(customer_id: str, after: Position, seen: Horizon) -> list[tuple[Position, OutdialEvent]]:
    return await log.read_outdials(customer_id, after=after, upto=seen.position, limit=READ_EVENTS_MAX)
