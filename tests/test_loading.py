"""Loaders: one read for what is asked for at the same time, and each value once."""

import asyncio
from collections.abc import Mapping

import pytest

from app.graphql.schema.loading import Loader


class Read:
    """A read that notes what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.began = asyncio.Event()
        self.goes_on = asyncio.Event()
        self.goes_on.set()
        self.error: Exception | None = None

    async def __call__(self, keys: list[str]) -> Mapping[str, str]:
        self.asked.append(list(keys))
        self.began.set()
        await self.goes_on.wait()
        if self.error is not None:
            raise self.error
        return {key: f"value of {key}" for key in keys if key != "unknown"}


async def test_what_is_asked_for_at_the_same_time_is_read_at_once() -> None:
    read = Read()
    loader = Loader(read)

    async def one(key: str) -> str | None:
        return await loader.load(key)

    found = await asyncio.gather(one("a"), one("b"), one("a"), one("unknown"))
    assert found == ["value of a", "value of b", "value of a", None]
    assert read.asked == [["a", "b", "unknown"]]
    assert await loader.load_many(["b", "c"]) == ["value of b", "value of c"]
    assert read.asked == [["a", "b", "unknown"], ["c"]]


async def test_a_value_may_be_awaited_again() -> None:
    read = Read()
    loaded = Loader(read).load("a")
    assert [await loaded, await loaded] == ["value of a", "value of a"]
    assert read.asked == [["a"]]


async def test_what_nobody_waits_for_is_not_read() -> None:
    read = Read()
    Loader(read).load("a")
    await asyncio.sleep(0.01)
    assert read.asked == []


async def test_what_is_known_is_not_read() -> None:
    read = Read()
    loader = Loader(read)
    loader.prime("a", "known")
    assert await loader.load("a") == "known"
    assert read.asked == []


async def test_an_error_reaches_all_who_wait() -> None:
    read = Read()
    read.error = ValueError("of the read")
    loader = Loader(read)

    async def one(key: str) -> str | None:
        return await loader.load(key)

    found = await asyncio.gather(one("a"), one("b"), return_exceptions=True)
    assert found == [read.error, read.error]
    assert read.asked == [["a", "b"]]
    with pytest.raises(ValueError, match="of the read"):
        await loader.load("a")
    assert read.asked == [["a", "b"]]


async def test_if_the_one_that_reads_is_cancelled_another_reads() -> None:
    read = Read()
    read.goes_on.clear()
    loader = Loader(read)

    async def one(key: str) -> str | None:
        return await loader.load(key)

    first, second = asyncio.create_task(one("a")), asyncio.create_task(one("b"))
    await read.began.wait()
    first.cancel()
    read.goes_on.set()
    async with asyncio.timeout(30):
        assert await second == "value of b"
    assert first.cancelled()
    assert read.asked == [["a", "b"], ["a", "b"]]


async def test_one_that_waits_may_leave_without_the_others() -> None:
    read = Read()
    read.goes_on.clear()
    loader = Loader(read)

    async def one(key: str) -> str | None:
        return await loader.load(key)

    first, second = asyncio.create_task(one("a")), asyncio.create_task(one("b"))
    await read.began.wait()
    second.cancel()
    await asyncio.wait([second])
    read.goes_on.set()
    async with asyncio.timeout(30):
        assert await first == "value of a"
    assert read.asked == [["a", "b"]]
