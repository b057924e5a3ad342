"""The store: the one way in which targets change."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

import app
from app import attempts, db, events, outdials, store, targets
from app.auth import Viewer
from app.changes import changed, counted, created
from app.db import Transaction
from app.lifecycle import Disposition, DoneReason, TargetEventType, TargetStatus
from app.store import claims, looks
from tests.support import factories

SOURCES = sorted(Path(app.__file__).parent.rglob("*.py"))
KEPT_TOGETHER = ("target", "attempt", "outdial_counter")
MODELS = ("Target", "Attempt", "OutdialCounter", "TargetEvent")
_TABLES = "|".join(KEPT_TOGETHER)
WRITES = re.compile(rf"""\b(?:UPDATE|INSERT INTO|DELETE FROM) (?:{_TABLES})\b|\.insert\("(?:{_TABLES})",""")
MODEL_WRITES = re.compile(rf"\bmodels\.(?:{'|'.join(MODELS)})\b")


@pytest.mark.parametrize("pattern", [WRITES, MODEL_WRITES], ids=["SQL", "models"])
def test_targets_attempts_and_counters_are_written_in_the_store_alone(pattern: re.Pattern[str]) -> None:
    root = Path(app.__file__).parent
    found = {path.relative_to(root).as_posix() for path in SOURCES if pattern.search(path.read_text())}
    in_store = {path for path in found if path.startswith("store/")}
    # the tables' columns are read of the models; no row is
    assert found - in_store == ({"tables.py"} if pattern is MODEL_WRITES else set())
    if pattern is WRITES:
        writing = "capping capping_on_sqlite counters creating grouping lulling saving staged taking"
        assert in_store == {f"store/{module}.py" for module in writing.split()}


async def test_counters_move_as_targets_do_whatever_the_change(database: str, viewer: Viewer) -> None:
    """Made, brought to every standing, deleted: the sum of all moves is what there is."""
    outdial = await factories.make_outdial(viewer)
    target = await factories.make_target(viewer, outdial.id)
    now = target.tm_create
    outdial_id = outdial.id
    steps = [created(target)]
    standings: list[tuple[TargetStatus, DoneReason | None]] = [(TargetStatus.PROGRESSING, None)]
    standings += [(TargetStatus.DONE, reason) for reason in DoneReason]
    for status, reason in standings:
        before = steps[-1].after
        after = replace(before, status=status, done_reason=reason, next_try_at=None)
        steps.append(changed(before, after, TargetEventType.UPDATED, now))
        moved = +counted(steps, {})[outdial_id]
        assert moved == {"progressing" if reason is None else reason.value.lower(): 1}
    gone = changed(steps[-1].after, replace(steps[-1].after, tm_delete=now), TargetEventType.DELETED, now)
    assert +counted([*steps, gone], {})[outdial_id] == {}
    assert counted([], {outdial_id: 3})[outdial_id] == {"attempts": 3}


async def test_each_way_of_change_leaves_row_counts_and_events_agreeing(database: str, viewer: Viewer) -> None:
    """Claims, reports, resets of one and of many: what is written differently says the same."""
    outdial = await factories.make_outdial(viewer, policy={"retry_interval_seconds": 0})
    start = events.cursor(outdial.id, await events.position(viewer.customer_id))
    made = await factories.make_targets(viewer, outdial.id, 5)
    claimed = await attempts.claim(viewer, outdial.id, limit=3)
    for attempt in claimed:
        await factories.complete(viewer, attempt.id, Disposition.ANSWERED)
    one = await targets.reset(viewer, outdial.id, target_ids=[claimed[0].target_id])
    many = await targets.reset(viewer, outdial.id, done_reasons=[DoneReason.ANSWERED])
    assert (one.count, many.count) == (1, 2)
    counted_now = (await outdials.progress(viewer, [outdial.id]))[outdial.id]
    assert (counted_now.idle, counted_now.progressing, counted_now.done, counted_now.attempts) == (5, 0, 0, 3)
    for target in made:
        now = await factories.read(viewer, target.id)
        was_tried = target.id in {attempt.target_id for attempt in claimed}
        assert (now.status, now.try_counts[0], now.version) == (TargetStatus.IDLE, 0, 4 if was_tried else 1)
    stream = events.tail(viewer, outdial.id, after=start)
    batch = await anext(stream)
    await stream.aclose()  # type: ignore[attr-defined]
    told = [(event.type, event.count, event.previous_status, event.status) for event in batch.events]
    idle, progressing, done = TargetStatus.IDLE, TargetStatus.PROGRESSING, TargetStatus.DONE
    assert told == [
        *[(TargetEventType.CREATED, 1, None, idle)] * 5,
        *[(TargetEventType.CLAIMED, 1, idle, progressing)] * 3,
        *[(TargetEventType.COMPLETED, 1, progressing, done)] * 3,
        (TargetEventType.RESET, 1, done, idle),
        (TargetEventType.RESET, 2, done, idle),
    ]
    assert [event.target_id is None for event in batch.events] == [False] * 12 + [True]


async def test_a_claim_that_fails_after_it_took_targets_leaves_nothing(
    database: str, viewer: Viewer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A claim takes effect whole or not at all."""
    outdial = await factories.make_outdial(viewer)
    target = await factories.make_target(viewer, outdial.id)

    take_due = claims._take

    async def fails(tx: Transaction, wish: store.Wish) -> None:
        [taken], _ = await take_due(tx, [wish], looks.first(wish.outdial_id, wish.limit))
        assert taken.attempts
        raise OSError("the connection is gone")

    async def in_a_transaction(wish: store.Wish) -> None:
        await db.transaction(fails, wish)

    with monkeypatch.context() as broken:
        broken.setattr(store, "take_due", in_a_transaction)
        with pytest.raises(Exception, match="does not answer"):
            await attempts.claim(viewer, outdial.id)
    assert await factories.read(viewer, target.id) == target
    counted_now = (await outdials.progress(viewer, [outdial.id]))[outdial.id]
    assert (counted_now.idle, counted_now.attempts) == (1, 0)
