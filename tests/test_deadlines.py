"""Time limits that share a timer end what takes too long, and nothing else."""

import asyncio
import time

import pytest

from app import deadlines

LONG = 30.0
"""Longer than any test."""


async def test_what_takes_too_long_is_ended() -> None:
    began = time.monotonic()
    with pytest.raises(TimeoutError), deadlines.within(0.05):
        await asyncio.sleep(LONG)
    assert 0.05 <= time.monotonic() - began < LONG
    await asyncio.sleep(0)  # the task is not cancelled any more


async def test_what_ends_in_time_is_left_alone() -> None:
    for _ in range(3):
        with deadlines.within(0.05):
            await asyncio.sleep(0)
    await asyncio.sleep(0.1)


async def test_each_has_its_whole_time_whoever_began_first() -> None:
    """They share a timer, which is set for the first."""
    ended: dict[int, float] = {}

    async def work(number: int) -> None:
        began = time.monotonic()
        with pytest.raises(TimeoutError), deadlines.within(0.2):
            await asyncio.sleep(LONG)
        ended[number] = time.monotonic() - began

    begun = []
    for number in range(4):
        begun.append(asyncio.create_task(work(number)))
        await asyncio.sleep(0.05)
    async with asyncio.timeout(LONG):
        await asyncio.gather(*begun)
    assert list(ended) == [0, 1, 2, 3]
    assert all(seconds >= 0.2 for seconds in ended.values())


async def test_one_that_ends_early_does_not_end_the_next_one_early() -> None:
    async def long() -> float:
        began = time.monotonic()
        with pytest.raises(TimeoutError), deadlines.within(0.3):
            await asyncio.sleep(LONG)
        return time.monotonic() - began

    with deadlines.within(0.3):
        await asyncio.sleep(0.1)
        later = asyncio.create_task(long())
        await asyncio.sleep(0)
    assert await later >= 0.3


async def test_a_cancellation_by_somebody_else_stays_one() -> None:
    async def work() -> None:
        with deadlines.within(LONG):
            await asyncio.sleep(LONG)

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_one_within_another_ends_first() -> None:
    with deadlines.within(LONG):
        with pytest.raises(TimeoutError), deadlines.within(0.01):
            await asyncio.sleep(LONG)
        await asyncio.sleep(0)


async def test_an_error_of_the_work_is_not_hidden() -> None:
    with pytest.raises(ValueError, match="of the work"), deadlines.within(LONG):
        raise ValueError("of the work")
