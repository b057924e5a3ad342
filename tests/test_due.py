"""Which targets are due, and that a claim does not pass what earlier ones have taken: marks, on PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app import attempts, db, ids, targets
from app.auth import Viewer
from app.db import waiting
from app.lifecycle import Disposition
from app.records import AttemptResult
from app.store import due
from tests.conftest import Databases
from tests.support import factories
from tests.support.permitting import daily


@pytest.fixture
async def url(postgres_url: str) -> AsyncIterator[str]:
    await db.connect(postgres_url, pool_size=1)
    yield postgres_url
    await db.close()


async def claim_and_complete(viewer: Viewer, outdial_id: str, number: int) -> None:
    made = await attempts.claim(viewer, outdial_id, limit=number)
    results = [AttemptResult(attempt.id, Disposition.BUSY) for attempt in made]
    await attempts.complete(viewer, results=results)


async def read_by_a_claim(viewer: Viewer, outdial_id: str) -> int:
    """How many entries of the index of due targets a claim reads."""
    before = await _read()
    await claim_and_complete(viewer, outdial_id, 1)
    return await _read() - before


async def _read() -> int:
    await asyncio.sleep(1.1)  # a session tells its numbers once a second, at the end of a transaction
    await db.fetch("SELECT 1 AS one")
    names = "('target_due', 'target_due_awake')"
    [row] = await db.fetch(f"SELECT sum(idx_tup_read) AS n FROM pg_stat_user_indexes WHERE indexrelname IN {names}")
    return int(row["n"])


@pytest.mark.slow
@pytest.mark.parametrize("zones", [(), ("Asia/Tokyo",), ("Asia/Tokyo", "Europe/Berlin")])
@pytest.mark.parametrize("with_marks", [True, False])
async def test_a_claim_does_not_pass_what_was_claimed_since_somebodys_snapshot(
    url: str, viewer: Viewer, monkeypatch: pytest.MonkeyPatch, with_marks: bool, zones: tuple[str, ...]
) -> None:
    """Until the snapshot ends, the entries stay in the index. Without marks each claim reads all of them.

    Likewise with calling hours by the zones of the targets.
    """
    monkeypatch.setattr(due, "MARGIN", timedelta(0))
    monkeypatch.setattr(due, "MARKS_SECONDS", 3600.0 if with_marks else -1.0)
    policy: dict[str, Any] = {"max_try_counts": (100,) * 5, "retry_interval_seconds": 0}
    if zones:
        policy["calling_hours"] = daily(None, 0, 0)
    outdial = await factories.make_outdial(viewer, policy=policy)
    for zone in zones or [None]:
        await factories.make_targets(viewer, outdial.id, 200 // max(1, len(zones)), time_zone=zone)
    stranger: Any = await asyncpg.connect(url)
    try:
        await stranger.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        await stranger.fetch("SELECT count(*) FROM outdial")
        for _ in range(20):
            await claim_and_complete(viewer, outdial.id, 100)
        entries = await read_by_a_claim(viewer, outdial.id)
    finally:
        await stranger.close()
    assert (entries <= 300) if with_marks else (entries >= 1_800), entries


async def test_a_mark_that_is_wrong_hides_nothing(database: str, viewer: Viewer) -> None:
    outdial = await factories.make_outdial(viewer)
    await factories.make_targets(viewer, outdial.id, 5)
    ahead = await db.now() + timedelta(hours=1)
    due.marks.note(outdial.id, due.NO_MARKS, 0, (ahead, ids.ZERO), ahead)
    assert len(await attempts.claim(viewer, outdial.id, limit=2)) == 2
    assert len(await attempts.claim(viewer, outdial.id, limit=9)) == 3


async def test_what_nobody_is_told_of_counts_when_the_marks_are_old(url: str, viewer: Viewer) -> None:
    outdial = await factories.make_outdial(viewer)
    first, second, third = [await factories.make_target(viewer, outdial.id) for _ in range(3)]
    ahead = await db.now() + timedelta(hours=1)
    due.marks.note(outdial.id, due.NO_MARKS, 9, (ahead, ids.ZERO), ahead)
    await prioritize(viewer, third.id)
    due.marks._known[outdial.id].until = 0
    claimed = [(await attempts.claim(viewer, outdial.id))[0].target_id for _ in range(3)]
    assert claimed == [third.id, first.id, second.id]


async def prioritize(viewer: Viewer, target_id: str) -> None:
    """Without a word to anybody."""
    sql = "UPDATE target SET priority = 9, rank = 9 WHERE customer_id = $1 AND id = $2"
    await db.fetch(sql, viewer.customer_id, target_id)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    made=st.lists(st.tuples(st.integers(0, 9), st.integers(-50, 5)), min_size=1, max_size=12),
    marks=st.lists(st.integers(-60, 10), min_size=11, max_size=11),
    limit=st.integers(1, 14),
)
async def test_as_many_are_taken_whatever_the_marks_are(
    url: str, made: list[tuple[int, int]], marks: list[int], limit: int
) -> None:
    viewer = factories.make_viewer()
    outdial = await factories.make_outdial(viewer)
    now = await db.now()
    drafts = [
        factories.target_draft(priority=priority, not_before=now + timedelta(minutes=minutes))
        for priority, minutes in made
    ]
    await factories.create_many(viewer, outdial.id, drafts)
    due.marks.note(outdial.id, due.NO_MARKS, 9, (now, ids.ZERO), now)
    due.marks._known[outdial.id].marks = [(now + timedelta(minutes=minutes), ids.new()) for minutes in marks]
    claimed = await attempts.claim(viewer, outdial.id, limit=limit)
    assert len(claimed) == min(limit, sum(minutes <= 0 for _, minutes in made))
    assert len({attempt.target_id for attempt in claimed}) == len(claimed)


def test_a_claim_that_began_before_another_takes_back_no_mark() -> None:
    """The later one may have looked at everything, because a target came with an older instant."""
    marks, now = due.Marks(), due.BEGINNING + timedelta(days=1)
    first = (now - timedelta(hours=1), ids.ZERO)
    marks.note("a", due.NO_MARKS, 5, first, now)
    used = marks.of("a")
    older = (now - timedelta(hours=2), ids.ZERO)
    marks.note("a", used, 5, older, now)
    marks.note("a", used, 0, first, now)  # had begun with the same marks
    assert marks.of("a")[5] == older


def test_marks_are_bounded() -> None:
    known = due.Marks()
    for number in range(due.OUTDIALS_MAX + 10):
        known.note(str(number), due.NO_MARKS, 5, due.NO_MARKS[0], due.BEGINNING)
    assert len(known._known) == due.OUTDIALS_MAX


async def test_sqlite_sorts_once_for_all_priorities(databases: Databases) -> None:
    """With a sorter for each, a claim took forty times as long."""
    async with databases.fresh("sqlite") as url:
        await db.connect(url)
        try:
            sql = due.on_sqlite("$3", 1, "$4", due.Looked("1 = 1", ("1 AS next_index",)))
            plan = await db.fetch(f"EXPLAIN QUERY PLAN {sql}", ids.ZERO, ids.ZERO, 1, await db.now())
        finally:
            await db.close()
    steps = [row["detail"] for row in plan]
    assert sum(step.startswith("USE TEMP B-TREE") for step in steps) == 1
    assert sum("target_due" in step for step in steps) == 11


@pytest.mark.parametrize("how", ["in this process", "in another"])
async def test_a_new_priority_counts_at_once(url: str, viewer: Viewer, how: str) -> None:
    """Whoever wrote it: the wake-up after the commit takes the marks back."""
    outdial = await factories.make_outdial(viewer)
    made = [await factories.make_target(viewer, outdial.id, priority=1) for _ in range(6)]
    later = await factories.make_target(viewer, outdial.id, priority=0)
    assert [one.target_id for one in await attempts.claim(viewer, outdial.id, limit=2)] == [made[0].id, made[1].id]
    now = await db.now()
    due.marks._known[outdial.id].marks = [(now, ids.ZERO)] * 11
    if how == "in this process":
        await targets.update(viewer, later.id, changes={"priority": 9})
    else:
        await prioritize(viewer, later.id)
        waiting.wake([due.topic(outdial.id)])
    assert [one.target_id for one in await attempts.claim(viewer, outdial.id)] == [later.id]
    waiting.wake([waiting.EVERY_TOPIC])
    assert outdial.id not in due.marks._known


def test_claims_that_were_in_progress_note_nothing_about_what_has_changed_since() -> None:
    marks, now = due.Marks(), due.BEGINNING + timedelta(days=1)
    began_at_the_beginning = marks.of("a")
    marks.note("a", began_at_the_beginning, 5, (now, ids.ZERO), now)
    began_later = marks.of("a")
    marks.forget([due.topic("a"), due.topic("b")])
    for used in (began_at_the_beginning, began_later):
        for outdial_id in ("a", "b"):
            marks.note(outdial_id, used, 0, (now, ids.ZERO), now)
            assert marks.of(outdial_id) == due.NO_MARKS
    marks.note("a", marks.of("a"), 5, (now, ids.ZERO), now)
    assert marks.of("a") != due.NO_MARKS
