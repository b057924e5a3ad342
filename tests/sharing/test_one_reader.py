"""The log is read once, and progress too, however many watch."""

import asyncio
from contextlib import AsyncExitStack, aclosing
from typing import Any

import pytest

from app import db, events, outdials
from app.auth import Viewer
from app.errors import Unavailable
from app.events import following, log, recent, watching
from app.lifecycle import TargetEventType
from app.records import EventBatch, EventFilter, Outdial
from tests.support import factories
from tests.support.companions import MANY, first, left, of_events, of_progress
from tests.support.waiting import until


async def test_the_log_is_read_once_however_many_watch_it(
    database: str, viewer: Viewer, outdial: Outdial, said: list[str]
) -> None:
    filters = [EventFilter(), EventFilter(types=(TargetEventType.CREATED,)), EventFilter(target_ids=(outdial.id,))]
    async with AsyncExitStack() as stack:
        tails = [
            await stack.enter_async_context(aclosing(events.tail(viewer, outdial.id, where=filters[number % 2])))
            for number in range(MANY)
        ]
        nothing_passes = await stack.enter_async_context(aclosing(events.tail(viewer, outdial.id, where=filters[2])))
        await asyncio.gather(*map(first, [*tails, nothing_passes]))
        waiting_for = [asyncio.ensure_future(first(tail)) for tail in tails]
        quiet = asyncio.ensure_future(anext(nothing_passes))
        await asyncio.sleep(0.1)
        said.clear()
        made = await factories.make_target(viewer, outdial.id)
        batches = await asyncio.gather(*waiting_for)
        assert of_events(said) <= 3  # a wake-up may come twice, and polling is going on
        assert {event.target_id for batch in batches for event in batch.events} == {made.id}
        assert len({id(batch) for batch in batches}) == 2  # one for each filter
        assert len([name for name in left() if name == "watch"]) == 1
        assert not quiet.done()
        quiet.cancel()
        await asyncio.wait([quiet])


async def test_the_last_who_leaves_stops_the_reader(database: str, viewer: Viewer, outdial: Outdial) -> None:
    tails = [events.tail(viewer, outdial.id) for _ in range(3)]
    waiting_for = []
    for tail in tails:
        await first(tail)
        waiting_for.append(asyncio.ensure_future(anext(tail)))
    await until(lambda: "watch" in left())
    for task, tail in zip(waiting_for, tails, strict=True):
        assert "watch" in left()
        task.cancel()
        await asyncio.wait([task])
        await tail.aclose()
    assert left() == []


async def test_a_follower_that_fell_behind_reads_for_itself_and_comes_back(
    database: str, viewer: Viewer, outdial: Outdial, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recent, "KEPT_EVENTS_MAX", 3)
    monkeypatch.setattr(following, "BATCH_EVENTS_MAX", 4)
    async with (
        aclosing(events.tail(viewer, outdial.id)) as quick,
        aclosing(events.tail(viewer, outdial.id)) as slow,
    ):
        await first(quick)
        await first(slow)
        made, seen = [], []
        made.append((await factories.make_target(viewer, outdial.id)).id)
        assert [event.target_id for event in (await first(slow)).events] == made
        assert slow.is_shared
        for _ in range(20):
            made.append((await factories.make_target(viewer, outdial.id)).id)
            while len(seen) < len(made):
                seen += [event.target_id for event in (await first(quick)).events]
        assert seen == made
        behind: list[EventBatch] = []
        while sum(len(batch.events) for batch in behind) < 20:
            behind.append(await first(slow))
            assert len(behind[-1].events) <= 4
        assert not behind[0].caught_up
        assert [event.target_id for batch in behind for event in batch.events] == made[1:]
        waiting_for = asyncio.ensure_future(first(slow))
        last = await factories.make_target(viewer, outdial.id)
        assert [event.target_id for event in (await waiting_for).events] == [last.id]
        assert slow.is_shared


async def test_a_subscriber_with_an_old_cursor_replays_alone_and_then_joins(
    database: str, viewer: Viewer, outdial: Outdial, said: list[str]
) -> None:
    start = events.cursor(outdial.id, await events.position(viewer.customer_id))
    made = [target.id for target in await factories.make_targets(viewer, outdial.id, 600)]
    async with aclosing(events.tail(viewer, outdial.id)) as live:
        await first(live)
        waiting_for = asyncio.ensure_future(first(live))
        async with aclosing(events.tail(viewer, outdial.id, after=start)) as late:
            replayed = [await first(late), await first(late)]
            assert [event.target_id for batch in replayed for event in batch.events] == made
            also = asyncio.ensure_future(first(late))
            await asyncio.sleep(0.1)
            said.clear()
            await factories.make_target(viewer, outdial.id)
            assert await also is await waiting_for
            assert of_events(said) <= 3


async def test_a_reader_that_fails_ends_all_as_it_would_end_each(
    database: str, viewer: Viewer, outdial: Outdial, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with AsyncExitStack() as stack:
        tails = [await stack.enter_async_context(aclosing(events.tail(viewer, outdial.id))) for _ in range(5)]
        await asyncio.gather(*map(first, tails))
        waiting_for = [asyncio.ensure_future(first(tail)) for tail in tails]
        await until(lambda: "watch" in left())
        await asyncio.sleep(0.1)
        with monkeypatch.context() as patch:

            async def fail(*_: Any, **__: Any) -> Any:
                raise RuntimeError("a bug")

            patch.setattr(log, "read", fail)
            await factories.make_target(viewer, outdial.id)
            ends = await asyncio.gather(*waiting_for, return_exceptions=True)
        assert [type(end) for end in ends] == [RuntimeError] * 5
        # who comes again finds a reader that works
        async with aclosing(events.tail(viewer, outdial.id)) as again:
            await first(again)
            waiting = asyncio.ensure_future(first(again))
            await asyncio.sleep(0.05)
            await factories.make_target(viewer, outdial.id)
            assert len((await waiting).events) == 1


async def test_while_the_database_is_away_followers_wait_and_new_ones_are_refused(
    database: str, viewer: Viewer, outdial: Outdial, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def is_away(*_: Any, **__: Any) -> Any:
        raise Unavailable("The database is away.")

    monkeypatch.setattr(watching, "RETRY_SECONDS", 0.02)
    start = events.cursor(outdial.id, await events.position(viewer.customer_id))
    await factories.make_targets(viewer, outdial.id, 600)
    async with AsyncExitStack() as stack:

        async def begin(tail: Any) -> Any:
            await stack.enter_async_context(aclosing(tail))
            return tail, await first(tail)

        live, _ = await begin(events.tail(viewer, outdial.id))
        behind, batch = await begin(events.tail(viewer, outdial.id, after=start))
        progress, _ = await begin(events.progress_changes(viewer, [outdial.id], interval_ms=50))
        changes = events.outdial_changes(viewer)
        await stack.enter_async_context(aclosing(changes))
        waiting_for = [asyncio.ensure_future(first(tail)) for tail in (live, changes, progress)]
        await asyncio.sleep(0.1)
        with monkeypatch.context() as patch:
            patch.setattr(db.statements, "_read", is_away)
            target = await factories.make_target(viewer, outdial.id)
            made = await factories.make_outdial(viewer)
            waiting_for.append(asyncio.ensure_future(first(behind)))
            for refused in (
                events.tail(viewer, outdial.id),
                events.progress_changes(viewer, [outdial.id], interval_ms=50),
            ):
                async with aclosing(refused):
                    with pytest.raises(Unavailable):
                        await first(refused)
            await asyncio.sleep(0.2)
            assert [task for task in waiting_for if task.done()] == []
        async with asyncio.timeout(5):
            of_live, of_outdials, of_progress, of_behind = await asyncio.gather(*waiting_for)
        assert [event.target_id for event in of_live.events] == [target.id]
        assert of_outdials.outdial_id == made.id
        assert [changed.id for changed in of_progress] == [outdial.id]
        assert len(batch.events) + len(of_behind.events) == 601
        assert {batch.gap, of_behind.gap} == {None}


async def test_progress_is_read_once_for_all_who_watch_the_same(
    database: str, viewer: Viewer, outdial: Outdial, said: list[str]
) -> None:
    other = await factories.make_outdial(viewer)
    async with AsyncExitStack() as stack:
        watched = [[outdial.id, other.id], [other.id, outdial.id]]
        streams = [
            await stack.enter_async_context(
                aclosing(events.progress_changes(viewer, watched[number % 2], interval_ms=50))
            )
            for number in range(MANY)
        ]
        said.clear()
        await asyncio.gather(*map(first, streams))
        assert of_progress(said) <= 2  # those who come at the same time share a look that begins after they came
        for _ in range(2):
            waiting_for = [asyncio.ensure_future(first(stream)) for stream in streams]
            await asyncio.sleep(0.3)
            said.clear()
            await factories.make_target(viewer, outdial.id)
            changes = await asyncio.gather(*waiting_for)
            assert all([found.id for found in change] == [outdial.id] for change in changes)
            assert of_progress(said) <= 3
            assert len({id(change) for change in changes}) == 1


async def test_a_newcomer_to_progress_misses_no_change_back(database: str, viewer: Viewer, outdial: Outdial) -> None:
    """It read a state that the others never saw, and then gets the one that they had all the time."""
    async with aclosing(events.progress_changes(viewer, [outdial.id], interval_ms=1_000)) as old:
        await first(old)
        await outdials.update(viewer, outdial.id, changes={"name": "one"})
        assert [found.name for found in await first(old)] == ["one"]
        idle = asyncio.ensure_future(anext(old))
        await outdials.update(viewer, outdial.id, changes={"name": "two"})
        async with aclosing(events.progress_changes(viewer, [outdial.id], interval_ms=1_000)) as new:
            assert [found.name for found in await first(new)] == ["two"]
            await outdials.update(viewer, outdial.id, changes={"name": "one"})
            assert [found.name for found in await first(new)] == ["one"]
        idle.cancel()
        await asyncio.wait([idle])
