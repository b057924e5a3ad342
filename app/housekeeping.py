"""What the server does by itself: expired leases, lowered limits, lost imports, what is old, and hearing other servers.

Every process runs all of it. What two of them find at once, one of them does.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import timedelta

import structlog

from app import attempts, db, events, idempotency, imports, metrics, outdials
from app.errors import Unavailable

SWEEP_EVERY_SECONDS = 1.0
"""Expired leases are to be gone within 5 seconds."""
SEARCH_EVERY_SECONDS = 1.0
PRUNE_EVERY_SECONDS = 60.0
PRUNE_EVENTS_MAX = 1_000
LAG_EVERY_SECONDS = 5.0
RELISTEN_SECONDS = 1.0
PAUSE_AFTER_FAULT_SECONDS = 1.0

log = structlog.get_logger(__name__)


async def run(*, event_retention_hours: int, import_retention_days: int) -> None:
    """Keep house until cancelled."""
    await events.open_epoch()
    if not db.is_postgres():
        # one process serves a file, so whatever was under way ended with the last one
        await imports.end_abandoned(seconds=0)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_again_and_again(_sweep, SWEEP_EVERY_SECONDS))
        tasks.create_task(_again_and_again(_search, SEARCH_EVERY_SECONDS))
        tasks.create_task(_again_and_again(lambda: _prune(event_retention_hours), PRUNE_EVERY_SECONDS))
        tasks.create_task(_again_and_again(_end_imports, SWEEP_EVERY_SECONDS))
        tasks.create_task(_again_and_again(lambda: _prune_imports(import_retention_days), PRUNE_EVERY_SECONDS))
        tasks.create_task(_again_and_again(_measure, LAG_EVERY_SECONDS))
        if db.is_postgres():
            tasks.create_task(_again_and_again(db.listen, RELISTEN_SECONDS))


async def _again_and_again(chore: Callable[[], Awaitable[None]], seconds: float) -> None:
    """Run a chore for ever. A fault is logged and does not end the others: the next round may do better."""
    while True:
        try:
            await chore()
        except Unavailable as error:
            log.warning("housekeeping_waits", chore=getattr(chore, "__name__", "chore"), reason=error.message)
            await asyncio.sleep(PAUSE_AFTER_FAULT_SECONDS)
        except Exception:
            log.exception("housekeeping_failed", chore=getattr(chore, "__name__", "chore"))
            await asyncio.sleep(PAUSE_AFTER_FAULT_SECONDS)
        # spread, so that several servers do not all look at the same moment
        await asyncio.sleep(seconds * random.uniform(0.8, 1.2))  # noqa: S311


async def _sweep() -> None:
    while await attempts.sweep():
        pass


async def _search() -> None:
    while await outdials.finish_exhausted():
        pass


async def _prune(retention_hours: int) -> None:
    before = await db.now() - timedelta(hours=retention_hours)
    while await events.prune(before, limit=PRUNE_EVENTS_MAX) == PRUNE_EVENTS_MAX:
        pass
    while await idempotency.purge(limit=PRUNE_EVENTS_MAX) == PRUNE_EVENTS_MAX:
        pass


async def _end_imports() -> None:
    while await imports.end_abandoned():
        pass


async def _prune_imports(retention_days: int) -> None:
    while await imports.prune(days=retention_days):
        pass


async def _measure() -> None:
    metrics.event_lag_seconds.set(await events.lag_seconds())
