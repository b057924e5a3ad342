"""Time limits for work that nearly always ends long before: each request has some, so each must cost next to nothing.

`asyncio.timeout` sets a timer of its own and cancels it. Here all work of the same limit shares one timer, set for the
work that began first, so most work begins and ends without one.
"""

import asyncio
from types import TracebackType


class _Line:
    """The work of one limit, in the order in which it began, which is the order of its ends."""

    __slots__ = ("_loop", "is_watched", "under_way")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.under_way: dict[within, None] = {}
        self.is_watched = False

    def watch(self, due: float) -> None:
        self.is_watched = True
        self._loop.call_at(due, self._look)

    def _look(self) -> None:
        self.is_watched = False
        now = self._loop.time()
        while self.under_way:
            first = next(iter(self.under_way))
            if first.due > now:
                self.watch(first.due)
                return
            del self.under_way[first]
            first.expire()


class within:  # noqa: N801 - used as a statement: with deadlines.within(30):
    """A context that cancels its task after some seconds, and raises TimeoutError then, as `asyncio.timeout` does.

    Args:
        seconds: one of a few numbers: a timer is kept for each.
    """

    __slots__ = ("_cancelling", "_line", "_seconds", "_task", "due", "has_expired")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.has_expired = False

    def __enter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None, "only a task can be cancelled"
        loop = task.get_loop()
        line = _line(loop, self._seconds)
        self._task, self._line, self._cancelling = task, line, task.cancelling()
        self.due = loop.time() + self._seconds
        line.under_way[self] = None
        if not line.is_watched:
            line.watch(self.due)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._line.under_way.pop(self, None)
        if self.has_expired and self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def expire(self) -> None:
        """Its time is over."""
        self.has_expired = True
        self._task.cancel()


_lines: dict[float, _Line] = {}
_loop: asyncio.AbstractEventLoop | None = None


def _line(loop: asyncio.AbstractEventLoop, seconds: float) -> _Line:
    global _loop, _lines
    if loop is not _loop:  # the work of a loop that has ended
        _loop, _lines = loop, {}
    line = _lines.get(seconds)
    if line is None:
        line = _lines[seconds] = _Line(loop)
    return line
