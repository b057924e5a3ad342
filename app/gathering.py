"""Work of one kind that is asked for at the same time is done together: one transaction for many small calls.

Work that finds none of its kind in progress is done at once. What comes before that has ended waits for it, and is then
done together. So an idle server loses nothing, and a busy one commits once for many of its clients.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from contextvars import Context
from dataclasses import dataclass, field
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
Item = TypeVar("Item")
Result = TypeVar("Result")

WAIT_SECONDS_MAX = 0.01
"""So long work waits for what is in progress: that may be large, or wait for a lock."""


@dataclass(slots=True)
class _Group(Generic[Item, Result]):
    """What is done together."""

    asked: list[tuple[Item, asyncio.Future[Result]]] = field(default_factory=list)
    size: int = 0
    timer: asyncio.TimerHandle | None = None


@dataclass(slots=True)
class _Line(Generic[Item, Result]):
    """The work of one key."""

    in_progress: int = 0
    waiting: _Group[Item, Result] | None = None


class Gathering(Generic[K, Item, Result]):
    """Gathers work by its key.

    Args:
        do: does some items of a key, in their order; as many results. If it raises, all had no effect, or `is_final` is
            true of the error.
        size: of an item.
        size_max: of the items that are done together. One that is as large by itself gains nothing, and waits for none.
        is_final: whether an error is every item's. After another one, each item is done by itself: what is wrong with
            one of them is no other's error.
    """

    def __init__(
        self,
        do: Callable[[K, Sequence[Item]], Awaitable[Sequence[Result]]],
        *,
        size: Callable[[Item], int],
        size_max: int,
        is_final: Callable[[Exception], bool],
    ) -> None:
        self._do = do
        self._size = size
        self._size_max = size_max
        self._is_final = is_final
        self._lines: dict[K, _Line[Item, Result]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def ask(self, key: K, item: Item) -> Result:
        """Do it, with others if that saves work. If the caller is cancelled, the others' work goes on.

        Raises:
            Exception: what `do` has raised.
        """
        loop = asyncio.get_running_loop()
        if loop is not self._loop:  # the work of a loop that has ended
            self._loop, self._lines = loop, {}
        size = self._size(item)
        if size >= self._size_max:
            [result] = await self._do(key, [item])
            return result
        line = self._lines.setdefault(key, _Line())
        if not line.in_progress:
            line.in_progress += 1
            try:
                [result] = await self._do(key, [item])
            finally:
                self._ended(key, line)
            return result
        if line.waiting is not None and line.waiting.size + size > self._size_max:
            self._begin(key, line)
        if line.waiting is None:
            line.waiting = _Group()
            line.waiting.timer = loop.call_later(WAIT_SECONDS_MAX, self._begin, key, line)
        future: asyncio.Future[Result] = loop.create_future()
        line.waiting.asked.append((item, future))
        line.waiting.size += size
        return await future

    def _begin(self, key: K, line: _Line[Item, Result]) -> None:
        group, line.waiting = line.waiting, None
        if group is None:
            return
        if group.timer is not None:
            group.timer.cancel()
        asked = [(item, future) for item, future in group.asked if not future.done()]
        if not asked:
            return
        line.in_progress += 1
        # not in the context of the request that happens to begin it, whose id would be in the log
        task = asyncio.create_task(self._run(key, asked), name="gathered work", context=Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        # not in the task itself: a task that is cancelled before it begins does not run at all
        task.add_done_callback(lambda _: self._ended(key, line))

    async def _run(self, key: K, asked: Sequence[tuple[Item, asyncio.Future[Result]]]) -> None:
        try:
            results = await self._do(key, [item for item, _ in asked])
        except asyncio.CancelledError:
            for _, future in asked:
                future.cancel()
            raise
        except Exception as error:  # noqa: BLE001 - it is the callers'
            if len(asked) == 1 or self._is_final(error):
                for _, future in asked:
                    _fail(future, error)
            else:
                # at the same time: one that has to wait is no other's delay
                await asyncio.gather(*(self._run(key, [one]) for one in asked if not one[1].done()))
        else:
            for (_, future), result in zip(asked, results, strict=True):
                if not future.done():
                    future.set_result(result)

    def _ended(self, key: K, line: _Line[Item, Result]) -> None:
        line.in_progress -= 1
        if line.in_progress == 0:
            self._begin(key, line)
        if line.in_progress == 0 and self._lines.get(key) is line:
            del self._lines[key]


def _fail(future: "asyncio.Future[Result]", error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
        future.exception()  # mark it as seen: its caller may be cancelled before it wakes
