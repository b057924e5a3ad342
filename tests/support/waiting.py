"""Waiting for what happens by itself, with a bound."""

import asyncio
from collections.abc import Callable

STEP_SECONDS = 0.05


async def until(happened: Callable[[], bool], *, seconds: float = 30) -> None:
    """Return once it has happened; that it does not in time is the test's failure."""
    for _ in range(int(seconds / STEP_SECONDS)):
        if happened():
            return
        await asyncio.sleep(STEP_SECONDS)
    assert happened(), f"it did not happen within {seconds} s"
