"""`outdialEvents`: a customer's log of outdials is read once, however many dashboards follow it."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing
from typing import Any

import pytest

from app import events, outdials
from app.auth import Viewer
from app.db import waiting
from app.events import outdials as followed
from app.events import recent, watching
from app.lifecycle import OutdialEventType
from app.records import OutdialEvent
from tests.support import factories
from tests.support.subscribing import Counting, Subscriber
from tests.support.waiting import until

MANY = 30
QUERY = "subscription { outdialEvents { type outdialId outdial { name } } }"


@pytest.fixture(autouse=True)
async def _nothing_is_left() -> AsyncIterator[None]:
    yield
    await until(lambda: not watching._of_loops.get(asyncio.get_running_loop()) and not waiting._waiters, seconds=5)


async def first(stream: Any) -> OutdialEvent:
    async with asyncio.timeout(20):
        event: OutdialEvent = await anext(stream)
        return event


async def waiting_for(streams: list[Any]) -> list[asyncio.Task[OutdialEvent]]:
    """The next event of each, when all are waiting."""
    tasks = [asyncio.create_task(first(stream)) for stream in streams]
    await asyncio.sleep(0.2)
    return tasks


async def test_the_log_is_read_once_however_many_follow_it(database: str, viewer: Viewer, said: list[str]) -> None:
    async with AsyncExitStack() as stack:
        streams = [await stack.enter_async_context(aclosing(events.outdial_changes(viewer))) for _ in range(MANY)]
        tasks = await waiting_for(streams)
        said.clear()
        made = await factories.make_outdial(viewer)
        found = await asyncio.gather(*tasks)
        # a wake-up may come twice, and polling is going on
        assert 1 <= sum("FROM outdial_event" in statement for statement in said) <= 3
        assert {(event.type, event.outdial_id) for event in found} == {(OutdialEventType.CREATED, made.id)}
        assert len({id(event) for event in found}) == 1


async def test_a_message_is_made_once_for_all(database: str, viewer: Viewer) -> None:
    execution = Counting()
    together = [Subscriber(execution, viewer, QUERY) for _ in range(MANY)]
    try:
        await asyncio.sleep(0.3)
        for number in range(1, 4):
            execution.made = 0
            made = await factories.make_outdial(viewer, name=f"List {number}")
            await until(lambda number=number: all(len(one.payloads) == number for one in together))
            assert execution.made == 1
            assert together[0].payloads[-1]["data"]["outdialEvents"] == {
                "type": "CREATED", "outdialId": made.id, "outdial": {"name": f"List {number}"},
            }  # fmt: skip
        assert all(one.payloads == together[0].payloads for one in together)
    finally:
        for one in together:
            await one.leave()


async def test_customers_share_nothing(database: str, viewer: Viewer, stranger: Viewer) -> None:
    async with aclosing(events.outdial_changes(viewer)) as mine, aclosing(events.outdial_changes(stranger)) as theirs:
        [seen, unseen] = await waiting_for([mine, theirs])
        made = await factories.make_outdial(viewer)
        assert (await seen).outdial_id == made.id
        assert not unseen.done()
        unseen.cancel()
        await asyncio.wait([unseen])


async def test_a_follower_that_fell_behind_reads_for_itself_and_comes_back(
    database: str, viewer: Viewer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recent, "KEPT_EVENTS_MAX", 3)
    monkeypatch.setattr(followed, "READ_EVENTS_MAX", 4)
    async with aclosing(events.outdial_changes(viewer)) as quick, aclosing(events.outdial_changes(viewer)) as slow:
        tasks = await waiting_for([quick, slow])
        made = [(await factories.make_outdial(viewer)).id]
        assert {event.outdial_id for event in await asyncio.gather(*tasks)} == {*made}
        assert slow.is_shared
        for _ in range(20):
            made.append((await factories.make_outdial(viewer)).id)
            assert (await first(quick)).outdial_id == made[-1]
        assert [(await first(slow)).outdial_id for _ in range(20)] == made[1:]
        assert not slow.is_shared
        [task] = await waiting_for([slow])
        last = await factories.make_outdial(viewer)
        assert (await task).outdial_id == last.id
        assert slow.is_shared


@pytest.mark.parametrize("seed", range(3))
async def test_each_gets_all_that_happens_after_it_came_in_order(
    database: str, viewer: Viewer, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Whoever comes, is slow, or leaves meanwhile."""
    monkeypatch.setattr(recent, "KEPT_EVENTS_MAX", 4)
    monkeypatch.setattr(followed, "READ_EVENTS_MAX", 5)
    pick = random.Random(seed)
    outdial = await factories.make_outdial(viewer)
    happened: list[tuple[OutdialEventType, str]] = []
    got: list[tuple[int, list[tuple[OutdialEventType, str]], asyncio.Task[None]]] = []

    async def follow(into: list[tuple[OutdialEventType, str]], pause: float) -> None:
        async with aclosing(events.outdial_changes(viewer)) as stream:
            async for event in stream:
                into.append((event.type, event.outdial_id))
                await asyncio.sleep(pause)

    for step in range(30):
        if step % 5 == 0:
            into: list[tuple[OutdialEventType, str]] = []
            got.append((len(happened), into, asyncio.create_task(follow(into, pick.choice([0, 0, 0.02])))))
            await asyncio.sleep(0.2)  # it has come
        if pick.random() < 0.5:
            made = await factories.make_outdial(viewer)
            happened.append((OutdialEventType.CREATED, made.id))
        else:
            await outdials.update(viewer, outdial.id, changes={"name": f"name {step}"})
            happened.append((OutdialEventType.UPDATED, outdial.id))
        if step == 17:
            got.pop(1)[2].cancel()
    try:
        await until(lambda: all(len(into) == len(happened) - begun for begun, into, _ in got))
        assert all(into == happened[begun:] for begun, into, _ in got)
    finally:
        for _, _, task in got:
            task.cancel()
        await asyncio.wait([task for _, _, task in got])
