"""Retention: what is old goes, at no cost for each event on PostgreSQL, and every gap that it makes is told."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg
import pytest
import structlog

from app import attempts, clock, db, events, housekeeping
from app.auth import Viewer
from app.db import Partition, statements
from app.events import following, retention
from app.lifecycle import GapReason
from tests.support import factories, postgres

HOURS = 72
SOME = datetime(2026, 5, 5, 10, 20, tzinfo=UTC)


async def first(stream: AsyncIterator[Any], seconds: float = 20) -> Any:
    async with asyncio.timeout(seconds):
        return await anext(stream)


async def keep_house() -> None:
    await housekeeping._prune(HOURS)


@pytest.fixture
async def connected(postgres_url: str) -> AsyncIterator[str]:
    await db.connect(postgres_url)
    try:
        yield postgres_url
    finally:
        await db.close()


async def rows_in(table: str) -> int:
    number: int = (await db.fetch(f"SELECT count(*) AS number FROM {table}"))[0]["number"]
    return number


async def gap_after(viewer: Viewer, outdial_id: str, cursor: str) -> tuple[GapReason | None, int]:
    async with aclosing(events.tail(viewer, outdial_id, after=cursor)) as stream:
        batch = await first(stream)
    return batch.gap, len(batch.events)


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    sent: list[str] = []
    run = statements.run

    async def noting(connection: Any, sql: str, args: Any) -> Any:
        sent.append(" ".join(sql.split()))
        return await run(connection, sql, args)

    monkeypatch.setattr(statements, "run", noting)
    return sent


async def test_partitions_are_made_ahead_once_and_take_the_events(connected: str, viewer: Viewer) -> None:
    await asyncio.gather(keep_house(), keep_house(), keep_house())
    await keep_house()
    made = await db.partitions("target_event")
    now = await db.now()
    assert len(made) == 2
    assert made[0].begins_at <= now < made[0].ends_at == made[1].begins_at
    assert made[1].ends_at >= now + timedelta(hours=HOURS) / retention.PARTS
    outdial = await factories.make_outdial(viewer)
    await factories.make_targets(viewer, outdial.id, 5)
    assert (await rows_in(made[0].name), await rows_in("target_event_rest")) == (5, 0)


async def test_what_is_in_no_partition_is_taken_all_the_same_and_removed_row_by_row(
    connected: str, viewer: Viewer
) -> None:
    outdial = await factories.make_outdial(viewer)
    start = events.cursor(outdial.id, await events.position(viewer.customer_id))
    await factories.make_targets(viewer, outdial.id, 3)
    await keep_house()  # too late for the present: the rest has rows of it
    made = await db.partitions("target_event")
    assert made[0].begins_at > await db.now()
    assert await rows_in("target_event_rest") == 3
    clock.shift += timedelta(hours=HOURS + 1)
    await keep_house()
    assert await rows_in("target_event") == 0
    assert await gap_after(viewer, outdial.id, start) == (GapReason.CURSOR_EXPIRED, 0)


async def test_old_events_go_without_a_statement_for_any_of_them_and_gaps_are_exact(
    connected: str, viewer: Viewer, stranger: Viewer, said: list[str]
) -> None:
    await keep_house()
    outdials = [await factories.make_outdial(viewer) for _ in range(4)] + [await factories.make_outdial(stranger)]
    owner = dict.fromkeys((outdial.id for outdial in outdials[:4]), viewer) | {outdials[4].id: stranger}
    pick = random.Random(3)
    cursors: list[tuple[str, str, int]] = []  # outdial, cursor, events before it
    written = dict.fromkeys(owner, 0)
    for _ in range(12):
        for outdial in outdials[:3] + outdials[4:]:  # one of them stays idle
            if pick.random() < 0.6:
                await factories.make_targets(owner[outdial.id], outdial.id, 2)
                written[outdial.id] += 2
        for outdial_id, who in owner.items():
            place = await events.position(who.customer_id)
            cursors.append((outdial_id, events.cursor(outdial_id, place), written[outdial_id]))
        clock.shift += timedelta(hours=10)
        await events.make_room(await db.now(), timedelta(hours=HOURS))
    said.clear()
    await keep_house()
    assert not [sql for sql in said if "DELETE FROM target_event " in sql]
    kept = {row["outdial_id"]: row["number"] for row in await db.fetch(
        "SELECT outdial_id, count(*) AS number FROM target_event GROUP BY outdial_id")}  # fmt: skip
    assert 0 < sum(kept.values()) < sum(written.values())
    for outdial_id, cursor, before in cursors:
        removed = written[outdial_id] - kept.get(outdial_id, 0)
        left = written[outdial_id] - before
        expected = (GapReason.CURSOR_EXPIRED, 0) if before < removed else (None, left)
        assert await gap_after(owner[outdial_id], outdial_id, cursor) == expected
    said.clear()
    await asyncio.gather(keep_house(), keep_house())
    assert not [sql for sql in said if sql.startswith("DROP TABLE")]


async def test_two_processes_that_drop_at_once_leave_the_same(connected: str, viewer: Viewer) -> None:
    await keep_house()
    outdial = await factories.make_outdial(viewer)
    start = events.cursor(outdial.id, await events.position(viewer.customer_id))
    await factories.make_targets(viewer, outdial.id, 5)
    clock.shift += timedelta(hours=200)
    await asyncio.gather(*[keep_house() for _ in range(4)])
    assert await rows_in("target_event") == 0
    assert min(partition.ends_at for partition in await db.partitions("target_event")) > await db.now() - timedelta(
        hours=HOURS
    )
    assert await gap_after(viewer, outdial.id, start) == (GapReason.CURSOR_EXPIRED, 0)


async def test_events_that_go_while_they_are_replayed_leave_a_gap_and_not_a_hole(
    connected: str, viewer: Viewer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "BATCH_EVENTS_MAX", 2)
    await keep_house()
    outdial = await factories.make_outdial(viewer)
    start = events.cursor(outdial.id, await events.position(viewer.customer_id))
    await factories.make_targets(viewer, outdial.id, 6)
    async with aclosing(events.tail(viewer, outdial.id, after=start)) as stream:
        assert len((await first(stream)).events) == 2
        clock.shift += timedelta(hours=200)
        await keep_house()
        made = await factories.make_target(viewer, outdial.id)
        batch = await first(stream)
        assert (batch.gap, list(batch.events)) == (GapReason.CURSOR_EXPIRED, [])
        last = await factories.make_target(viewer, outdial.id)
        assert made.id not in [event.target_id for event in batch.events]
        assert [event.target_id for event in (await first(stream)).events] == [last.id]


@asynccontextmanager
async def reading_the_whole_table(url: str) -> AsyncIterator[None]:
    """As a dump does, for as long as it takes."""
    connection = await asyncpg.connect(url)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            await connection.fetch("SELECT count(*) FROM target_event")
            yield
    finally:
        await connection.close()


async def test_a_dump_delays_the_dropping_and_the_dropping_delays_nobody(connected: str, viewer: Viewer) -> None:
    await keep_house()
    outdial = await factories.make_outdial(viewer)
    await factories.make_targets(viewer, outdial.id, 5)
    clock.shift += timedelta(hours=200)
    slowest = 0.0

    async def write() -> None:
        nonlocal slowest
        while not done.is_set():
            began = time.perf_counter()
            await factories.make_target(viewer, outdial.id)
            slowest = max(slowest, time.perf_counter() - began)

    done = asyncio.Event()
    async with reading_the_whole_table(connected):
        writing = asyncio.create_task(write())
        began = time.perf_counter()
        await keep_house()
        assert time.perf_counter() - began < 5
        done.set()
        await writing
        assert len(await retention.past(await db.now() - timedelta(hours=HOURS))) >= 1
    assert slowest < 1.5  # 0.1 s, on a machine that does other things too
    await keep_house()
    assert await retention.past(await db.now() - timedelta(hours=HOURS)) == []


@pytest.mark.parametrize("seed", range(4))
async def test_partitions_touch_and_stay_few_however_retention_is_changed(connected: str, seed: int) -> None:
    pick = random.Random(seed)
    now = SOME
    for _ in range(40):
        kept = timedelta(hours=pick.choice((1, 3, 8, 72, 720)))
        await events.make_room(now, kept)
        for partition in await events.past(now - kept):
            assert await db.drop_partition(partition)
        made = await db.partitions("target_event")
        assert all(one.ends_at <= two.begins_at for one, two in pairwise(made))
        assert any(one.begins_at <= now < one.ends_at for one in made)
        width = max(timedelta(hours=1), kept / retention.PARTS)
        assert made[-1].ends_at >= now + width
        now += timedelta(minutes=pick.choice((1, 20, 60, 600, 5_000)))
    kept = timedelta(hours=72)
    for _ in range(80):  # once the setting is left alone, there are as many as the page says
        await events.make_room(now, kept)
        for partition in await events.past(now - kept):
            await db.drop_partition(partition)
        now += timedelta(hours=9)
    assert len(await db.partitions("target_event")) <= retention.PARTS + 3


async def test_a_role_that_owns_no_table_keeps_everything_in_the_rest(
    connected: str, viewer: Viewer, postgres_server: str
) -> None:
    role = f"plain_{uuid4().hex}"
    await postgres.execute(
        connected,
        f"CREATE ROLE {role} LOGIN",
        f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}",
        f"GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO {role}",
    )
    await db.close()
    parts = urlsplit(connected)
    await db.connect(urlunsplit(parts._replace(netloc=f"{role}@{parts.hostname}:{parts.port}")))
    try:
        outdial = await factories.make_outdial(viewer)
        await factories.make_targets(viewer, outdial.id, 3)
        with structlog.testing.capture_logs() as log:
            await keep_house()
            clock.shift += timedelta(hours=200)
            await keep_house()
        assert {entry["log_level"] for entry in log} == {"info"}
        assert await db.partitions("target_event") == []
        assert await rows_in("target_event") == 0
    finally:
        await db.close()
        await postgres.execute(connected, f"DROP OWNED BY {role}", f"DROP ROLE {role}")
        await db.connect(connected)


async def test_what_an_outdial_loses_is_found_by_a_look_at_its_own_end_of_one_partition(
    connected: str, viewer: Viewer, said: list[str]
) -> None:
    """No scan of events: the work is that of the outdials, however many events they have."""
    await keep_house()
    outdial = await factories.make_outdial(viewer)
    for _ in range(5):
        await factories.make_targets(viewer, outdial.id, 1_000)
    partition = (await db.partitions("target_event"))[0]
    said.clear()
    await events.mark(viewer.customer_id, partition)
    marking = next(sql for sql in said if sql.startswith("UPDATE outdial"))
    connection = await asyncpg.connect(connected)
    try:
        await connection.execute("ANALYZE")
        await connection.execute("SET plan_cache_mode = force_generic_plan")
        plan = await connection.fetch(
            "EXPLAIN (ANALYZE, FORMAT TEXT) " + marking, viewer.customer_id, partition.begins_at, partition.ends_at
        )
    finally:
        await connection.close()
    text = "\n".join(row[0] for row in plan)
    assert f"using {partition.name}_pkey on {partition.name}" in text
    assert "Seq Scan on target_event" not in text
    assert "target_event_rest" not in text


async def test_a_partitions_name_holds_its_bounds(connected: str) -> None:
    made = Partition(SOME, SOME + timedelta(hours=18), "target_event")
    assert await db.make_partition(made)
    assert not await db.make_partition(made)
    assert await db.partitions("target_event") == [made]
    assert await db.drop_partition(made)
    assert not await db.drop_partition(made)


async def test_the_ledger_of_attempts_is_never_pruned(database: str, viewer: Viewer) -> None:
    """An attempt goes to cold storage only if its owner wishes it."""
    outdial = await factories.make_outdial(viewer)
    await factories.make_targets(viewer, outdial.id, 3)
    made = await attempts.claim(viewer, outdial.id, limit=3)
    for attempt in made:
        await factories.complete(viewer, attempt.id)
    clock.shift += timedelta(days=3_000)
    listed = housekeeping.chores(event_retention_hours=1, import_retention_days=1)
    for chore in listed:
        if chore.name.startswith("remove"):
            await chore.work()
    assert await rows_in("target_event") == 0
    assert await rows_in("attempt") == len(made) == 3
