"""When those who watch the log read it again. A wake-up only says when; polling is the fallback."""

import asyncio

from app.events.cursors import Position
from app.events.horizon import Horizon

POLL_SECONDS = 2.0
"""The fallback: a wake-up is lost if its connection is lost."""
LINGER_SECONDS = 0.01
"""From one look to the next: the first change is sent at once, and those that follow it closely travel together."""
RECHECK_SECONDS = (0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.25)
"""Used while a transaction that is older than the wake-up is open, mostly for milliseconds."""


class Pace:
    """Decides when to read next."""

    def __init__(self, woken: asyncio.Event) -> None:
        self._woken = woken
        self._told_of: Position | None = None
        self._rechecks = 0
        self._was_woken = False
        self._clock = asyncio.get_running_loop().time
        self._looked_at = 0.0

    def looking(self) -> None:
        """Call this before each read: a wake-up from now on needs another read."""
        self._was_woken = self._woken.is_set()
        self._woken.clear()
        self._looked_at = self._clock()

    async def next_look(self, seen: Horizon) -> None:
        """Wait until there may be more events than up to `seen`."""
        if self._was_woken:
            self._told_of, self._rechecks = seen.beyond, 0
        elif self._told_of is not None:
            self._told_of = min(self._told_of, seen.beyond)  # a crash of PostgreSQL has set the ids back
        if self._told_of is not None and seen.position < self._told_of:
            step = min(self._rechecks, len(RECHECK_SECONDS) - 1)
            self._rechecks += 1
            await self._sleep(RECHECK_SECONDS[step])
            return
        self._told_of = None
        if await self._sleep(POLL_SECONDS):
            early_seconds = self._looked_at + LINGER_SECONDS - self._clock()
            if early_seconds > 0:
                await asyncio.sleep(early_seconds)

    async def _sleep(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        except TimeoutError:
            return False
        return True
