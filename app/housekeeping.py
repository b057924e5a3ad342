"""Periodic work of the server: expired leases, breakers, lowered limits, lost imports, old data, other servers' calls.

Every process runs all of it. If two processes find the same work, one of them does it.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

import structlog

from app import (
    attempts,
    customers,
    db,
    events,
    idempotency,
    imports,
    metrics,
    outdials,
    rates,
    reserving,
    stats,
    suppressions,
)
from app.errors import Unavailable

SWEEP_EVERY_SECONDS = 1.0
"""Expired leases must be ended within 5 seconds."""
JUDGE_EVERY_SECONDS = 1.0
RESERVE_EVERY_SECONDS = 1.0
SEARCH_EVERY_SECONDS = 1.0
PRUNE_EVERY_SECONDS = 60.0
PRUNE_EVENTS_MAX = 1_000
PRUNE_RATES_MAX = 1_000
LAG_EVERY_SECONDS = 5.0
STATS_EVERY_SECONDS = 2.0
"""Figures must be at most 5 seconds behind."""
COUNT_EVERY_SECONDS = 5.0
RELISTEN_SECONDS = 1.0
PAUSE_AFTER_FAULT_SECONDS = 1.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Chore:
    """A repeated task."""

    name: str
    """Its name in the log."""
    work: Callable[[], Awaitable[None]]
    every_seconds: float
    """From the end of one round to the beginning of the next."""
    is_periodic: bool = True
    """Whether it is done again and again, so that a round that was long ago means that something is wrong."""


def chores(*, event_retention_hours: int, import_retention_days: int) -> list[Chore]:
    """All repeated tasks."""
    listed = [
        Chore("end expired leases", _sweep, SWEEP_EVERY_SECONDS),
        Chore("begin and end the windows of callbacks", _reserve, RESERVE_EVERY_SECONDS),
        Chore("judge breakers", outdials.judge_breakers, JUDGE_EVERY_SECONDS),
        Chore("finish exhausted targets", _search, SEARCH_EVERY_SECONDS),
        Chore("sort targets by time zone", _sort, SEARCH_EVERY_SECONDS),
        Chore("finish suppressed targets", _finish_suppressed, SEARCH_EVERY_SECONDS),
        Chore("count attempts for stats", stats.roll_up, STATS_EVERY_SECONDS),
        Chore("remove old events", partial(_prune, event_retention_hours), PRUNE_EVERY_SECONDS),
        Chore("end abandoned imports", _end_imports, SWEEP_EVERY_SECONDS),
        Chore("remove old imports", partial(_prune_imports, import_retention_days), PRUNE_EVERY_SECONDS),
        Chore("remove full buckets", _prune_rates, PRUNE_EVERY_SECONDS),
        Chore("measure the lag of events", _measure, LAG_EVERY_SECONDS),
    ]
    if db.is_postgres():
        listed.append(Chore("listen to other servers", _listen, RELISTEN_SECONDS, is_periodic=False))
        listed.append(Chore("count young tables", _count, COUNT_EVERY_SECONDS))
    return listed


async def run(*, event_retention_hours: int, import_retention_days: int) -> None:
    """Run all chores until cancelled."""
    await _repeat(Chore("open the log of events", _open, 0, is_periodic=False), is_once=True)
    listed = chores(event_retention_hours=event_retention_hours, import_retention_days=import_retention_days)
    async with asyncio.TaskGroup() as tasks:
        for chore in listed:
            tasks.create_task(_repeat(chore), name=chore.name)


async def _repeat(chore: Chore, *, is_once: bool = False) -> None:
    """Repeat a chore without end, or until it has succeeded once."""
    while True:
        if not await _is_done(chore):
            await asyncio.sleep(PAUSE_AFTER_FAULT_SECONDS)
        elif is_once:
            return
        # random, so that several servers do not run at the same moment
        await asyncio.sleep(chore.every_seconds * random.uniform(0.8, 1.2))  # noqa: S311


async def _is_done(chore: Chore) -> bool:
    """Do one round. An error is logged and does not stop other chores; the next round may succeed."""
    try:
        await chore.work()
    except Unavailable as error:
        log.warning("housekeeping_waits", chore=chore.name, reason=error.message)
    except Exception:  # a bug in one chore must not end the others
        metrics.internal_errors.inc()
        log.exception("housekeeping_failed", chore=chore.name)
    else:
        if chore.is_periodic:
            metrics.chore_succeeded.labels(chore.name).set_to_current_time()
        return True
    return False


async def _open() -> None:
    await _open_epochs()
    if not db.is_postgres():
        # only one process serves a file, so imports in progress ended with the last one
        await imports.end_abandoned(seconds=0)


async def _listen() -> None:
    # The server that answers may be a different one, with other transaction ids.
    await _open_epochs()
    await db.listen()


async def _open_epochs() -> None:
    """Begin the next epoch of each customer whose transaction ids cannot be this database's own.

    Writers and readers do that too when they meet such a customer. Ids that are ahead of the counter are found here
    alone.
    """
    async for customer_id in customers.every():
        if await events.must_open(customer_id):
            await events.open_epoch(customer_id)


async def _sweep() -> None:
    while await attempts.sweep():
        pass


async def _reserve() -> None:
    await reserving.step()  # one step in each round: what is held back is looked at again and again


async def _search() -> None:
    while await outdials.search_exhausted.go_on():
        pass


async def _sort() -> None:
    while await outdials.sort_by_zone.go_on():
        pass


async def _finish_suppressed() -> None:
    while await suppressions.finish():
        pass


async def _prune(retention_hours: int) -> None:
    now, retention = await db.now(), timedelta(hours=retention_hours)
    before = now - retention
    if db.is_postgres():
        await events.make_room(now, retention)
        await _drop_old_events(before)
    async for customer_id in customers.every():
        while await events.prune(customer_id, before, limit=PRUNE_EVENTS_MAX) == PRUNE_EVENTS_MAX:
            pass
        while await stats.prune(customer_id, limit=PRUNE_EVENTS_MAX) == PRUNE_EVENTS_MAX:
            pass
    while await idempotency.purge(limit=PRUNE_EVENTS_MAX) == PRUNE_EVENTS_MAX:
        pass


async def _drop_old_events(before: datetime) -> None:
    for partition in await events.past(before):
        async for customer_id in customers.every():
            await events.mark(customer_id, partition)
        await db.drop_partition(partition)


async def _end_imports() -> None:
    while await imports.end_abandoned():
        pass


async def _prune_imports(retention_days: int) -> None:
    while await imports.prune(days=retention_days):
        pass


async def _prune_rates() -> None:
    while await rates.prune(limit=PRUNE_RATES_MAX) == PRUNE_RATES_MAX:
        pass


async def _count() -> None:
    if counted := await db.count_grown():
        log.info("tables_counted", tables=counted)


async def _measure() -> None:
    metrics.event_lag_seconds.set(await events.lag_seconds())
    metrics.stats_lag_seconds.set(stats.lag_seconds())
