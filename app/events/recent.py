"""The recent part of a log, held for all who follow it. Pure."""

from bisect import bisect_right
from collections import deque
from collections.abc import Sequence
from operator import itemgetter
from typing import Generic, TypeVar

from app.events.cursors import Position

E = TypeVar("E")

KEPT_EVENTS_MAX = 1_000
"""Those that a watch holds for followers that are a little behind: about 1 MB. Others read for themselves."""
KEPT_SECONDS_MAX = 10


class Recent(Generic[E]):
    """Events with their positions, of a part of a log that grows at its end and is cut off at its beginning."""

    def __init__(self, at: Position) -> None:
        self.begins = at
        """What is before this or at it is not held."""
        self.upto = at
        self._events: list[tuple[Position, E]] = []
        self._reads: deque[tuple[float, int]] = deque()
        """When they were read, and how many at a time."""

    def keep(self, events: Sequence[tuple[Position, E]], upto: Position, now: float) -> None:
        """Add what follows, up to a position, and cut off what is old.

        Args:
            events: those between `upto` as it was and as it becomes.
            upto: the new one.
            now: in seconds, by the same clock each time.
        """
        self.upto = upto
        if events:
            self._events += events
            self._reads.append((now, len(events)))
        left = len(self._events)
        while self._reads and (left > KEPT_EVENTS_MAX or now - self._reads[0][0] > KEPT_SECONDS_MAX):
            left -= self._reads.popleft()[1]
        if gone := len(self._events) - left:
            self.begins = self._events[gone - 1][0]
            del self._events[:gone]

    def after(self, position: Position, limit: int) -> tuple[Sequence[tuple[Position, E]], bool]:
        """The events that follow a position that is not before `begins`, and whether these are all."""
        start = bisect_right(self._events, position, key=itemgetter(0))
        return self._events[start : start + limit], start + limit >= len(self._events)
