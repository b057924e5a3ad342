"""Loaders: what is asked for at the same time is read at once, and only once in an operation.

As strawberry's DataLoader, which makes a task and a future for each read. Here the first of those who wait reads for
all of them: mostly it is the only one.
"""

import asyncio
from collections.abc import Awaitable, Callable, Generator, Iterable, Mapping
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Loader(Generic[T]):
    """Reads values by their ids. It keeps them, so it lives only for one operation.

    Args:
        read: the values by their ids, without unknown ones.
    """

    __slots__ = ("_asked", "_read", "_values")

    def __init__(self, read: Callable[[list[str]], Awaitable[Mapping[str, T]]]) -> None:
        self._read = read
        self._asked: _Batch[T] | None = None
        """What is not read yet."""
        self._values: dict[str, Loaded[T]] = {}

    def load(self, key: str) -> "Loaded[T]":
        """The value of an id, to be awaited; None if it is unknown."""
        known = self._values.get(key)
        if known is None:
            batch = self._asked
            if batch is None or batch.is_begun:
                batch = self._asked = _Batch(self._read)
            batch.keys.append(key)
            known = self._values[key] = Loaded(batch, key)
        return known

    def load_many(self, keys: Iterable[str]) -> Awaitable[list[T | None]]:
        """The values of several ids, in their order."""
        return _all([self.load(key) for key in keys])

    def prime(self, key: str, value: T) -> None:
        """The value of an id is known already."""
        if key not in self._values:
            batch = _Batch(self._read)
            batch.found = {key: value}
            self._values[key] = Loaded(batch, key)


async def _all(loaded: "list[Loaded[T]]") -> list[T | None]:
    return [await each for each in loaded]


class Loaded(Generic[T]):
    """A value that is read when somebody waits for it. It may be awaited again."""

    __slots__ = ("_batch", "_key")

    def __init__(self, batch: "_Batch[T]", key: str) -> None:
        self._batch = batch
        self._key = key

    def __await__(self) -> Generator[Any, None, T | None]:
        batch = self._batch
        if batch.found is None:
            yield from batch.read().__await__()
        assert batch.found is not None
        return batch.found.get(self._key)


class _Batch(Generic[T]):
    """What is read at once."""

    __slots__ = ("_error", "_is_read", "_read", "_waiting", "found", "is_begun", "keys")

    def __init__(self, read: Callable[[list[str]], Awaitable[Mapping[str, T]]]) -> None:
        self._read = read
        self.keys: list[str] = []
        self.found: Mapping[str, T] | None = None
        self.is_begun = False
        """Whether it is too late for another key."""
        self._is_read = False
        """Whether somebody reads it now."""
        self._waiting: list[asyncio.Future[None]] = []
        self._error: Exception | None = None

    async def read(self) -> None:
        """Read it, or wait until another one has. If that one is cancelled, the next one reads."""
        while self.found is None:
            if self._error is not None:
                raise self._error
            if self._is_read:
                told = asyncio.get_running_loop().create_future()
                self._waiting.append(told)
                await told
            else:
                await self._read_for_all()

    async def _read_for_all(self) -> None:
        self._is_read = True
        try:
            if not self.is_begun:
                await asyncio.sleep(0)  # what is asked for at the same time is asked for meanwhile
                self.is_begun = True
            self.found = await self._read(self.keys)
        except Exception as error:
            self._error = error
            raise
        finally:
            self._is_read = False
            waiting, self._waiting = self._waiting, []
            for told in waiting:
                if not told.done():
                    told.set_result(None)
