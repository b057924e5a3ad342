"""Waits for a condition, with a limit."""

import asyncio
from collections.abc import Callable

STEP_SECONDS = 0.05


async def until(happened: Callable[[], bool], *, seconds: float = 30) -> None:
    """Return when it has happened. If it does not happen in time, the test fails."""
    for _ in range(int(seconds / STEP_SECONDS)):
        if happened():
            return
        await asyncio.sleep(STEP_SECONDS)
    assert happened(), f"it did not happen within {seconds} s"
