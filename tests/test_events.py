"""The log of events: complete, in order, honest about gaps, and cheap to wait for."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest

from app import clock, db, events, outdials, targets
from app.auth import Viewer
from app.changes import event_of_many
from app.database_url import DatabaseUrl
from app.db import postgres, waiting
from app.errors import BadUserInput, NotFound
from app.events import epochs, following, horizon, pacing
from app.lifecycle import GapReason, OutdialEventType, OutdialState, TargetEventType, TargetStatus
from app.records import EventBatch, EventFilter
from tests.support import factories


async def first(stream: AsyncIterator[Any], seconds: float = 20) -> Any:
    async with asyncio.timeout(seconds):
        return await anext(stream)


async def until_caught_up(stream: AsyncIterator[EventBatch]) -> list[EventBatch]:
    batches = [await first(stream)]
    while not batches[-1].caught_up:
        batches.append(await first(stream))
    return batches


@asynccontextmanager
async def other_session(url: str) -> AsyncIterator[Any]:
    """A PostgreSQL session that is not the server's."""
    connection = await postgres.connect(DatabaseUrl.parse(url))
    try:
        yield connection
    finally:
        await connection.close()


async def test_the_first_batch_comes_at_once_and_is_empty(database: str, viewer: Viewer) -> None:
    outdial = await factories.make_outdial(viewer)
    await factories.make_targets(viewer, outdial.id, 3)
    async with aclosing(events.tail(viewer, outdial.id)) as stream:
        batch = await first(stream, 1)
    assert (list(batch.events), batch.caught_up, batch.gap) == ([], True, None)


async def test_a_replay_gives_every_event_once_in_batches_of_500(database: str, viewer: Viewer) -> None:
    outdial = await factories.make_outdial(viewer)
    start = events.cursor(outdial.id, await events.position(viewer.customer_id))
    made = await factories.make_targets(viewer, outdial.id, 1_200)
    async with aclosing(events.tail(viewer, outdial.id, after=start)) as stream:
        batches = await until_caught_up(stream)
    assert [len(batch.events) for batch in batches] == [500, 500, 200]
    assert [event.target_id for batch in batches for event in batch.events] == [target.id for target in made]
    assert [batch.caught_up for batch in batches] == [False, False, True]
    async with aclosing(events.tail(viewer, outdial.id, after=batches[0].cursor)) as stream:
        rest = await until_caught_up(stream)
    assert [len(batch.events) for batch in rest] == [500, 200]
    middle = batches[0].events[41].cursor
    async with aclosing(events.tail(viewer, outdial.id, after=middle)) as stream:
        assert (await first(stream)).events[0].target_id == made[42].id


async def test_a_replay_ends_with_a_batch_that_says_so_also_where_nothing_passes(database: str, viewer: Viewer) -> None:
    outdial = await factories.make_outdial(viewer)
    start = events.cursor(outdial.id, await events.position(viewer.customer_id))
    await factories.make_targets(viewer, outdial.id, 700)
    wanted = EventFilter(types=(TargetEventType.DELETED,))
    async with aclosing(events.tail(viewer, outdial.id, after=start, where=wanted)) as stream:
        batches = await until_caught_up(stream)
    assert [len(batch.events) for batch in batches] == [0, 0]
    assert batches[-1].caught_up
    # the filtered ones have moved the cursor
    async with aclosing(events.tail(viewer, outdial.id, after=batches[-1].cursor)) as stream:
        assert list((await first(stream)).events) == []


async def test_filters_hold_together_and_events_of_many_pass_the_filter_of_targets(
    database: str, viewer: Viewer
) -> None:
    outdial = await factories.make_outdial(viewer)
    start = events.cursor(outdial.id, await events.position(viewer.customer_id))
    one, two, three = await factories.make_targets(viewer, outdial.id, 3)
    for target in (one, two, three):
        await targets.cancel(viewer, target.id)
    await targets.reset(viewer, outdial.id, target_ids=[one.id, two.id, three.id])

    async def seen(**wanted: Any) -> list[tuple[TargetEventType, str | None]]:
        async with aclosing(events.tail(viewer, outdial.id, after=start, where=EventFilter(**wanted))) as stream:
            return [(event.type, event.target_id) for event in (await first(stream)).events]

    assert await seen(target_ids=(one.id,), statuses=(TargetStatus.DONE,)) == [(TargetEventType.CANCELED, one.id)]
    assert await seen(target_ids=(two.id,)) == [
        (TargetEventType.CREATED, two.id),
        (TargetEventType.CANCELED, two.id),
        (TargetEventType.RESET, None),
    ]
    assert await seen(types=(TargetEventType.RESET,)) == [(TargetEventType.RESET, None)]


async def test_a_change_is_told_within_50_milliseconds_mostly(database: str, viewer: Viewer) -> None:
    outdial = await factories.make_outdial(viewer)
    took = []
    async with aclosing(events.tail(viewer, outdial.id)) as stream:
        await first(stream)
        for _ in range(15):
            waiting_for = asyncio.ensure_future(first(stream))
            await asyncio.sleep(0.02)
            await factories.make_target(viewer, outdial.id)
            committed = time.perf_counter()
            await waiting_for
            took.append(time.perf_counter() - committed)
    # the bound is generous for a loaded machine; a lost wake-up would cost POLL_SECONDS each time
    assert sorted(took)[7] < 0.5


async def test_what_was_rolled_back_is_never_told(database: str, viewer: Viewer) -> None:
    outdial = await factories.make_outdial(viewer)
    start = events.cursor(outdial.id, await events.position(viewer.customer_id))

    class WouldRollBackError(Exception):
        pass

    async def write_and_fail(tx: db.Transaction) -> None:
        told = event_of_many(
            outdial,
            TargetEventType.RESET,
            await tx.now(),
            count=2,
            status=TargetStatus.IDLE,
            previous_status=TargetStatus.DONE,
        )
        await tx.lock(viewer.customer_id)
        await events.append(tx, [told])
        raise WouldRollBackError

    with pytest.raises(WouldRollBackError):
        await db.transaction(write_and_fail)
    made = await factories.make_target(viewer, outdial.id)
    async with aclosing(events.tail(viewer, outdial.id, after=start)) as stream:
        assert [event.target_id for event in (await first(stream)).events] == [made.id]


async def test_an_event_that_commits_late_is_not_lost(postgres_url: str, viewer: Viewer) -> None:
    """A transaction that drew its numbers first and commits last is read after it commits, and nothing before."""
    await db.connect(postgres_url)
    try:
        outdial = await factories.make_outdial(viewer)
        late_may_commit, late_has_written = asyncio.Event(), asyncio.Event()

        async def late(tx: db.Transaction) -> None:
            await tx.lock(viewer.customer_id)
            told = event_of_many(
                outdial,
                TargetEventType.RESET,
                await tx.now(),
                count=7,
                status=TargetStatus.IDLE,
                previous_status=TargetStatus.DONE,
            )
            await tx.lock(viewer.customer_id)
            await events.append(tx, [told])
            late_has_written.set()
            await late_may_commit.wait()

        async with aclosing(events.tail(viewer, outdial.id)) as stream:
            await first(stream)
            writing = asyncio.ensure_future(db.transaction(late))
            await late_has_written.wait()
            early = await factories.make_target(viewer, outdial.id)
            waiting_for = asyncio.ensure_future(anext(stream))
            await asyncio.sleep(0.5)
            assert not waiting_for.done()  # the early one would move the cursor past the late one
            late_may_commit.set()
            await writing
            seen = list((await waiting_for).events)
            while len(seen) < 2:
                seen += (await first(stream)).events
        assert [(event.count, event.target_id) for event in seen] == [(7, None), (1, early.id)]
    finally:
        await db.close()


async def test_a_cursor_of_another_outdial_is_refused(database: str, viewer: Viewer) -> None:
    one, two = await factories.make_outdial(viewer), await factories.make_outdial(viewer)
    cursor = events.cursor(one.id, await events.position(viewer.customer_id))
    for bad in (cursor, "", "rubbish", "AAAA" * 20):
        async with aclosing(events.tail(viewer, two.id, after=bad)) as stream:
            with pytest.raises(BadUserInput):
                await first(stream)


async def test_a_cursor_from_before_a_customers_first_outdial_is_good(database: str, viewer: Viewer) -> None:
    """As a mutation gives it that creates that outdial: its position is read first."""
    before = await events.position(viewer.customer_id)
    outdial = await factories.make_outdial(viewer)
    ends = await events.ends(viewer, [outdial.id], upto=before)
    target = await factories.make_target(viewer, outdial.id)
    async with aclosing(events.tail(viewer, outdial.id, after=events.cursor(outdial.id, ends[outdial.id]))) as stream:
        batch = await first(stream)
    assert (batch.gap, [event.target_id for event in batch.events]) == (None, [target.id])


async def test_what_a_stranger_or_nobody_has_cannot_be_watched(database: str, viewer: Viewer, stranger: Viewer) -> None:
    outdial = await factories.make_outdial(viewer)
    async with aclosing(events.tail(stranger, outdial.id)) as stream:
        with pytest.raises(NotFound):
            await first(stream)


async def test_an_old_cursor_is_told_of_a_gap_only_where_events_after_it_were_removed(
    database: str, viewer: Viewer
) -> None:
    busy, idle = await factories.make_outdial(viewer), await factories.make_outdial(viewer)
    old = {outdial.id: events.cursor(outdial.id, await events.position(viewer.customer_id)) for outdial in (busy, idle)}
    await factories.make_targets(viewer, busy.id, 5)
    between = events.cursor(busy.id, await events.position(viewer.customer_id))
    clock.shift += timedelta(hours=100)
    await factories.make_targets(viewer, busy.id, 2)
    assert await events.prune(viewer.customer_id, await db.now() - timedelta(hours=72), limit=3) == 3
    assert (
        await events.prune(viewer.customer_id, await db.now() - timedelta(hours=72), limit=3) == 2
    )  # and both outdials' own, before
    assert await events.prune(viewer.customer_id, await db.now() - timedelta(hours=72), limit=3) == 0

    async def batch_after(outdial_id: str, cursor: str) -> EventBatch:
        async with aclosing(events.tail(viewer, outdial_id, after=cursor)) as stream:
            batch: EventBatch = await first(stream)
            return batch

    gone = await batch_after(busy.id, old[busy.id])
    assert (gone.gap, list(gone.events), gone.caught_up) == (GapReason.CURSOR_EXPIRED, [], True)
    kept = await batch_after(busy.id, between)
    assert (kept.gap, len(kept.events)) == (None, 2)
    still_good = await batch_after(idle.id, old[idle.id])
    assert (still_good.gap, list(still_good.events)) == (None, [])


async def test_after_a_gap_the_stream_goes_on_live(database: str, viewer: Viewer) -> None:
    outdial = await factories.make_outdial(viewer)
    position = await events.position(viewer.customer_id)
    ahead = events.cursor(outdial.id, position._replace(tx=position.tx + 10**6, seq=position.seq + 10**6))
    async with aclosing(events.tail(viewer, outdial.id, after=ahead)) as stream:
        assert (await first(stream)).gap is GapReason.CURSOR_UNKNOWN
        made = await factories.make_target(viewer, outdial.id)
        batch = await first(stream)
    assert (batch.gap, [event.target_id for event in batch.events]) == (None, [made.id])


async def test_a_restored_dump_begins_another_epoch(postgres_url: str, viewer: Viewer) -> None:
    """Stored transaction ids that are ahead of the counter would hide everything that is written from now on."""
    await db.connect(postgres_url)
    try:
        outdial = await factories.make_outdial(viewer)
        assert not await events.must_open(viewer.customer_id)
        start = events.cursor(outdial.id, await events.position(viewer.customer_id))
        await factories.make_targets(viewer, outdial.id, 2)

        async def as_restored(tx: db.Transaction) -> None:
            await tx.fetch("UPDATE target_event SET tx = tx + 1000000")

        await db.transaction(as_restored)
        assert await events.must_open(viewer.customer_id)
        await events.open_epoch(viewer.customer_id)
        assert not await events.must_open(viewer.customer_id)
        made = await factories.make_target(viewer, outdial.id)
        async with aclosing(events.tail(viewer, outdial.id, after=start)) as stream:
            seen = (await first(stream)).events
        assert len(seen) == 3
        assert seen[-1].target_id == made.id
        lost = await events.position(viewer.customer_id)
        assert lost.epoch == 2
        beyond = events.cursor(outdial.id, lost._replace(epoch=1, tx=lost.tx + 10**9))
        async with aclosing(events.tail(viewer, outdial.id, after=beyond)) as stream:
            assert (await first(stream)).gap is GapReason.CURSOR_UNKNOWN
    finally:
        await db.close()


async def test_a_subscription_ends_once_its_outdial_is_deleted_and_its_last_events_are_out(
    database: str, viewer: Viewer
) -> None:
    outdial = await factories.make_outdial(viewer)
    await factories.make_targets(viewer, outdial.id, 2)
    before = events.cursor(outdial.id, await events.position(viewer.customer_id))
    seen: list[TargetEventType] = []
    async with asyncio.timeout(10), aclosing(events.tail(viewer, outdial.id)) as stream:
        await first(stream)
        await factories.claim(viewer, outdial.id)
        await outdials.delete(viewer, outdial.id)
        async for batch in stream:
            seen += [event.type for event in batch.events]
    assert seen == [TargetEventType.CLAIMED, TargetEventType.CANCELED]
    # who was away at that moment still gets them
    async with asyncio.timeout(10), aclosing(events.tail(viewer, outdial.id, after=before)) as stream:
        assert [event.type async for batch in stream for event in batch.events] == seen
    async with aclosing(events.tail(viewer, outdial.id)) as stream:
        with pytest.raises(NotFound):
            await first(stream)


async def test_progress_is_told_at_most_once_an_interval_and_the_last_state_always(
    database: str, viewer: Viewer
) -> None:
    outdial = await factories.make_outdial(viewer)
    other = await factories.make_outdial(viewer)
    watched = [outdial.id, other.id, "00000000-0000-7000-8000-000000000000"]
    async with aclosing(events.progress_changes(viewer, watched, interval_ms=300)) as stream:
        assert {found.id for found in await first(stream)} == {outdial.id, other.id}
        begun = time.monotonic()
        for _ in range(5):
            await factories.make_target(viewer, outdial.id)
        messages = 0
        while True:
            assert [found.id for found in await first(stream)] == [outdial.id]
            messages += 1
            if (await outdials.progress(viewer, [outdial.id]))[outdial.id].total == 5:
                break
        assert messages <= 1 + (time.monotonic() - begun) / 0.3
        await outdials.update(viewer, other.id, changes={"state": OutdialState.PAUSED})
        assert [(found.id, found.state) for found in await first(stream)] == [(other.id, OutdialState.PAUSED)]
        await outdials.delete(viewer, outdial.id)
        await outdials.delete(viewer, other.id)
        with pytest.raises(StopAsyncIteration):
            await first(stream)


async def test_outdials_themselves_are_told_of_to_their_own_customer(
    database: str, viewer: Viewer, stranger: Viewer
) -> None:
    async with (
        aclosing(events.outdial_changes(viewer)) as mine,
        aclosing(events.outdial_changes(stranger)) as theirs,
    ):
        waiting_for, not_for_them = asyncio.ensure_future(anext(mine)), asyncio.ensure_future(anext(theirs))
        await asyncio.sleep(0.2)
        outdial = await factories.make_outdial(viewer)
        seen = [await waiting_for]
        await outdials.update(viewer, outdial.id, changes={"name": "another"})
        await outdials.delete(viewer, outdial.id)
        seen += [await first(mine), await first(mine)]
        assert [(event.type, event.outdial_id) for event in seen] == [
            (OutdialEventType.CREATED, outdial.id),
            (OutdialEventType.UPDATED, outdial.id),
            (OutdialEventType.DELETED, outdial.id),
        ]
        assert not not_for_them.done()
        not_for_them.cancel()
        await asyncio.wait([not_for_them])


async def test_what_another_process_commits_wakes_who_waits_here(postgres_url: str, viewer: Viewer) -> None:
    await db.connect(postgres_url)
    outdial = await factories.make_outdial(viewer)
    listening: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    try:
        async with other_session(postgres_url) as elsewhere:
            with waiting.waiter([outdial.id]) as woken:
                listening = asyncio.ensure_future(db.listen())
                async with asyncio.timeout(20):
                    await woken.wait()  # a listener that begins wakes all: what was said before, it has not heard
                woken.clear()
                await elsewhere.execute("SELECT pg_notify('outdial', $1)", f"something else,{outdial.id}")
                async with asyncio.timeout(20):
                    await woken.wait()
                woken.clear()
                await elsewhere.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'"
                )
                async with asyncio.timeout(20):
                    await asyncio.wait([listening])
                assert listening.exception() is None
    finally:
        listening.cancel()
        await asyncio.wait([listening])
        await db.close()


async def test_polling_is_the_net_below_the_wake_ups(
    database: str, viewer: Viewer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "wake", lambda topics: None)
    monkeypatch.setattr(pacing, "POLL_SECONDS", 0.1)
    outdial = await factories.make_outdial(viewer)
    async with aclosing(events.tail(viewer, outdial.id)) as stream:
        await first(stream)
        made = await factories.make_target(viewer, outdial.id)
        assert [event.target_id for event in (await first(stream, 2)).events] == [made.id]


async def test_a_quiet_subscription_moves_its_cursor_with_empty_batches(
    database: str, viewer: Viewer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pacing, "POLL_SECONDS", 0.05)
    monkeypatch.setattr(following, "QUIET_SECONDS_MAX", 0.2)
    outdial = await factories.make_outdial(viewer)
    wanted = EventFilter(types=(TargetEventType.DELETED,))
    async with aclosing(events.tail(viewer, outdial.id, where=wanted)) as stream:
        begin = (await first(stream)).cursor
        await factories.make_target(viewer, outdial.id)
        later = await first(stream)
    assert list(later.events) == []
    assert events.position_of(later.cursor, outdial.id) > events.position_of(begin, outdial.id)


async def test_waiting_leaves_nothing_behind(database: str, viewer: Viewer) -> None:
    outdial = await factories.make_outdial(viewer)
    for _ in range(20):
        async with aclosing(events.tail(viewer, outdial.id)) as stream:
            await first(stream)
    assert not waiting._waiters
    assert (
        await events.position(viewer.customer_id)
        <= (await horizon.horizon(await epochs.owner(viewer.customer_id))).beyond
    )
