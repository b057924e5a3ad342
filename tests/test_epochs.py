"""Epochs: transaction ids of two databases are never compared, and no event gets into the wrong epoch."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest

from app import db, events, housekeeping
from app.auth import Viewer
from app.events import epochs
from app.lifecycle import GapReason
from tests.support import factories
from tests.test_horizon import event_of


async def first(stream: AsyncIterator[Any], seconds: float = 20) -> Any:
    async with asyncio.timeout(seconds):
        return await anext(stream)


async def change(sql: str, *args: Any) -> list[db.Row]:
    async def work(tx: db.Transaction) -> list[db.Row]:
        return await tx.fetch(sql, *args)

    return await db.transaction(work)


async def epoch_of(viewer: Viewer) -> int:
    owner = await epochs.owner(viewer.customer_id)
    assert owner
    return owner.epoch


async def in_another_database(viewer: Viewer) -> None:
    """As after a restore, or after a shard has moved: the rows are the same, the counter is another one."""
    await change("UPDATE customer SET node = 'elsewhere' WHERE customer_id = $1", viewer.customer_id)


@pytest.fixture
async def connected(postgres_url: str) -> AsyncIterator[str]:
    await db.connect(postgres_url)
    try:
        yield postgres_url
    finally:
        await db.close()


async def test_a_new_customers_log_begins_in_this_database(database: str, viewer: Viewer) -> None:
    await factories.make_outdial(viewer)
    owner = await epochs.owner(viewer.customer_id)
    assert owner
    assert owner.epoch == 1
    assert owner.node.replace("/", "").isdigit() is db.is_postgres()
    await housekeeping._open_epochs()
    assert await epochs.owner(viewer.customer_id) == owner


async def test_the_first_writer_in_another_database_begins_the_next_epoch(connected: str, viewer: Viewer) -> None:
    outdial = await factories.make_outdial(viewer)
    start = events.cursor(outdial.id, await events.position(viewer.customer_id))
    await factories.make_targets(viewer, outdial.id, 2)
    await change("UPDATE target_event SET tx = tx + 1000000 WHERE customer_id = $1", viewer.customer_id)
    await in_another_database(viewer)
    # twenty at once: one of them begins it
    made = await asyncio.gather(*[factories.make_target(viewer, outdial.id) for _ in range(20)])
    assert await epoch_of(viewer) == 2
    rows = await db.fetch(
        "SELECT epoch, count(*) AS number FROM target_event WHERE customer_id = $1 GROUP BY epoch ORDER BY epoch",
        viewer.customer_id,
    )
    assert [(row["epoch"], row["number"]) for row in rows] == [(1, 2), (2, 20)]
    async with aclosing(events.tail(viewer, outdial.id, after=start)) as stream:
        seen = [event.target_id for event in (await first(stream)).events]
    assert len(seen) == 22
    assert set(seen[2:]) == {target.id for target in made}


async def test_the_first_reader_in_another_database_begins_it_as_well(connected: str, viewer: Viewer) -> None:
    outdial = await factories.make_outdial(viewer)
    await factories.make_targets(viewer, outdial.id, 2)
    await in_another_database(viewer)
    positions = await asyncio.gather(*[events.position(viewer.customer_id) for _ in range(20)])
    assert {position.epoch for position in positions} == {2}
    assert await epoch_of(viewer) == 2


async def test_a_subscriber_follows_its_customer_into_the_next_epoch(connected: str, viewer: Viewer) -> None:
    outdial = await factories.make_outdial(viewer)
    async with aclosing(events.tail(viewer, outdial.id)) as stream, aclosing(events.outdial_changes(viewer)) as all_:
        await first(stream)
        of_outdials = asyncio.ensure_future(anext(all_))
        await asyncio.sleep(0.1)
        await in_another_database(viewer)
        made = await factories.make_target(viewer, outdial.id)
        batch = await first(stream)
        assert ([event.target_id for event in batch.events], batch.gap) == ([made.id], None)
        assert events.position_of(batch.cursor, outdial.id).epoch == 2
        other = await factories.make_outdial(viewer)
        async with asyncio.timeout(20):
            assert (await of_outdials).outdial_id == other.id


async def test_a_cursor_that_is_ahead_of_a_restored_log_is_unknown(connected: str, viewer: Viewer) -> None:
    outdial = await factories.make_outdial(viewer)
    await factories.make_targets(viewer, outdial.id, 1)
    stored = (await db.fetch("SELECT tx FROM target_event WHERE customer_id = $1", viewer.customer_id))[0]["tx"]
    await in_another_database(viewer)
    await events.position(viewer.customer_id)
    good = events.cursor(outdial.id, events.Position(1, stored, 10**6))
    ahead = events.cursor(outdial.id, events.Position(1, stored + 1, 0))
    for cursor, gap in ((good, None), (ahead, GapReason.CURSOR_UNKNOWN)):
        async with aclosing(events.tail(viewer, outdial.id, after=cursor)) as stream:
            assert (await first(stream)).gap is gap


async def test_epochs_of_one_customer_leave_others_alone(connected: str, viewer: Viewer, stranger: Viewer) -> None:
    for each in (viewer, stranger):
        await factories.make_outdial(each)
    await in_another_database(viewer)
    await housekeeping._open_epochs()
    assert (await epoch_of(viewer), await epoch_of(stranger)) == (2, 1)
    await housekeeping._open_epochs()
    assert (await epoch_of(viewer), await epoch_of(stranger)) == (2, 1)


@pytest.mark.parametrize("table", ["target_event", "outdial_event"])
async def test_ids_that_are_ahead_of_the_counter_are_found(table: str, connected: str, viewer: Viewer) -> None:
    """As in a dump that a cluster of the same name restores: an older copy of the one that wrote it."""
    outdial = await factories.make_outdial(viewer)
    start = events.cursor(outdial.id, events.Position(1, 0, 0))
    await factories.make_targets(viewer, outdial.id, 3)
    await change(f"UPDATE {table} SET tx = tx + 1000000 WHERE customer_id = $1", viewer.customer_id)
    await housekeeping._open_epochs()
    assert await epoch_of(viewer) == 2
    made = await factories.make_target(viewer, outdial.id)
    async with aclosing(events.tail(viewer, outdial.id, after=start)) as stream:
        seen = [event.target_id for event in (await first(stream)).events]
    assert len(seen) == 4
    assert seen[-1] == made.id


async def test_an_epoch_is_not_opened_below_a_writer_that_is_under_way(connected: str, viewer: Viewer) -> None:
    """It waits for the writer, and counts what it has written to the old epoch."""
    outdial = await factories.make_outdial(viewer)
    await factories.make_targets(viewer, outdial.id, 1)
    has_locked, may_end = asyncio.Event(), asyncio.Event()

    async def write(tx: db.Transaction) -> None:
        await tx.lock(viewer.customer_id)
        has_locked.set()
        await may_end.wait()
        await events.append(tx, [event_of(outdial, await tx.now())])

    writing = asyncio.create_task(db.transaction(write))
    await has_locked.wait()
    await change("UPDATE target_event SET tx = tx + 1000000 WHERE customer_id = $1", viewer.customer_id)
    opening = asyncio.create_task(events.open_epoch(viewer.customer_id))
    await asyncio.sleep(0.2)
    assert not opening.done()
    may_end.set()
    await writing
    await opening
    rows = await db.fetch("SELECT epoch FROM target_event WHERE customer_id = $1", viewer.customer_id)
    assert {row["epoch"] for row in rows} == {1}
    assert await epoch_of(viewer) == 2
