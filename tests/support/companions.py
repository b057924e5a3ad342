"""Many who watch the same, and what their reading costs."""

import asyncio
from typing import Any

from app.db import waiting
from app.events import watching
from tests.support.subscribing import EVENTS, Subscriber
from tests.support.waiting import until

MANY = 30
WITH_TARGET = EVENTS.replace("events { cursor }", "events { cursor target { name version } }")
PROGRESS = """subscription ($ids: [ID!]!, $every: Int!) { outdialProgress(outdialIds: $ids, intervalMs: $every) {
    outdials { id progress { total } } } }"""


def left() -> list[str]:
    """What still runs or waits for subscribers."""
    tasks = [task.get_name() for task in asyncio.all_tasks() if task.get_name() in {"watch", "shared response"}]
    watches = watching._of_loops.get(asyncio.get_running_loop(), {})
    return [*tasks, *map(str, watches), *map(str, waiting._waiters)]


def of_events(sent: list[str]) -> int:
    """How many statements read the log."""
    return sum("FROM target_event" in statement for statement in sent)


def of_progress(sent: list[str]) -> int:
    """How many statements read progress."""
    return sum("FROM outdial LEFT JOIN outdial_counter" in statement for statement in sent)


async def have(subscribers: list[Subscriber], number: int) -> None:
    """Wait until each has so many events."""
    await until(lambda: all(len(one.cursors) == number for one in subscribers))


async def first(stream: Any) -> Any:
    async with asyncio.timeout(20):
        return await anext(stream)
