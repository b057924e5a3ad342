"""Why not: `blockedBy`, `dialability` and `nextClaimAt` say exactly what the next claim does."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app import attempts, clock, db, dialability, foreseeing, outdials, store, targets
from app.auth import Viewer
from app.blocks import BlockReason
from app.changes import changed
from app.errors import BadUserInput, LimitExceeded, Rejected
from app.lifecycle import DESTINATIONS, Disposition, OutdialState, TargetEventType
from app.records import CallCap, CapScope, CapSubject, Outdial, Target
from tests.conftest import Databases, Kind
from tests.support import factories as make

NUMBERS = [f"+1555010{number:04d}" for number in range(6)]
SUPPRESSIONS = st.dictionaries(st.sampled_from(NUMBERS), st.none() | st.sampled_from((30, 300)), max_size=4)
TARGETS = st.lists(
    st.fixed_dictionaries(
        {
            "places": st.lists(
                st.none() | st.sampled_from(NUMBERS), min_size=DESTINATIONS, max_size=DESTINATIONS
            ).filter(any),
            "counts": st.lists(st.integers(0, 2), min_size=DESTINATIONS, max_size=DESTINATIONS),
            "mask": st.integers(0, 2**DESTINATIONS - 1),
            "own": st.none() | st.lists(st.integers(0, 2), min_size=DESTINATIONS, max_size=DESTINATIONS),
            "priority": st.integers(0, 2),
            "due_in": st.sampled_from((-100, -1, 60, 600)),
            "end": st.sampled_from((None, None, None, "claim", "cancel", "delete")),
        }
    ),
    min_size=1,
    max_size=12,
)


async def draw_target(viewer: Viewer, outdial: Outdial, known: dict[str, Any]) -> Target:
    """Made with every try allowed, so that it is idle, and then brought into the drawn state."""
    made = await make.make_target(
        viewer, outdial.id, *known["places"], max_try_counts=(9,) * DESTINATIONS, priority=known["priority"]
    )
    marks = frozenset(index for index in range(DESTINATIONS) if known["mask"] >> index & 1)
    due = made.tm_create + timedelta(seconds=known["due_in"])
    own = None if known["own"] is None else tuple(known["own"])
    row = replace(
        made, invalid_destinations=marks, try_counts=tuple(known["counts"]), max_try_counts=own, next_try_at=due
    )

    async def bring(tx: db.Transaction) -> None:
        await tx.lock(viewer.customer_id)
        await store.save(tx, [changed(made, row, TargetEventType.UPDATED, made.tm_create)])

    await db.transaction(bring)
    if known["end"] == "cancel":
        await targets.cancel(viewer, made.id)
    elif known["end"] == "delete":
        await targets.delete(viewer, made.id)
    elif known["end"] == "claim":
        await attempts.claim(viewer, outdial.id, limit=1)
    return made


async def check(
    drawn: list[dict[str, Any]],
    suppressed: dict[str, int | None],
    limits: list[int],
    state: OutdialState,
    later: int,
) -> None:
    viewer = make.make_viewer()
    outdial = await make.make_outdial(viewer, policy={"max_try_counts": tuple(limits), "lease_seconds": 86_400})
    made = [await draw_target(viewer, outdial, known) for known in drawn]
    now = await db.now()
    for number, lasts in suppressed.items():
        await make.suppress(viewer, number, expires_at=None if lasts is None else now + timedelta(seconds=lasts))
    clock.shift += timedelta(seconds=later)
    await outdials.update(viewer, outdial.id, changes={"state": state})
    ids = [target.id for target in made]
    of_list = (await dialability.blocks_of_outdials(viewer, [outdial.id]))[outdial.id]
    blocks = await dialability.blocks_of_targets(viewer, ids)
    counted = (await dialability.dialabilities(viewer, [outdial.id]))[outdial.id]
    soonest = (await foreseeing.next_claims(viewer, [outdial.id]))[outdial.id]
    assert (await dialability.blocks_of_targets(make.make_viewer(), ids)) == {}

    free = {target_id for target_id in ids if not blocks[target_id].blocks}
    seen_at = await db.now()
    try:
        claimed = await attempts.claim(viewer, outdial.id, limit=50)
    except Rejected:
        claimed = []
    assert {attempt.target_id for attempt in claimed} == (set() if of_list else free)
    for attempt in claimed:  # the first destination that nothing blocks
        of_places = blocks[attempt.target_id].by_index
        assert attempt.destination_index == min(index for index, found in of_places.items() if not found)

    firsts = [blocks[target_id].blocks for target_id in ids]
    wanted: dict[BlockReason, int] = {}
    for found in firsts:
        if found and found[0].reason is not BlockReason.DELETED:
            wanted[found[0].reason] = wanted.get(found[0].reason, 0) + 1
    assert (counted.claimable, counted.blocked) == (len(free), wanted)
    assert (soonest is not None and soonest <= seen_at) == bool(free) or state is OutdialState.PAUSED
    if state is OutdialState.PAUSED:
        assert soonest is None
    elif not free and soonest is not None:
        clock.shift += soonest - await db.now() - timedelta(seconds=5)
        assert await attempts.claim(viewer, outdial.id, limit=50) == []
        clock.shift += timedelta(seconds=6)
        assert await attempts.claim(viewer, outdial.id, limit=50) != []


@pytest.mark.slow
def test_a_target_is_claimed_exactly_when_nothing_blocks_it_or_its_outdial(kind: Kind, databases: Databases) -> None:
    with asyncio.Runner() as runner:

        @settings(max_examples=100)
        @given(
            drawn=TARGETS,
            suppressed=SUPPRESSIONS,
            limits=st.lists(st.integers(0, 2), min_size=DESTINATIONS, max_size=DESTINATIONS),
            state=st.sampled_from((OutdialState.ACTIVE, OutdialState.ACTIVE, OutdialState.PAUSED)),
            later=st.sampled_from((0, 59, 61, 301)),
        )
        def hold(**given: Any) -> None:
            try:
                runner.run(check(**given))
            finally:
                clock.shift = timedelta(0)

        database = databases.fresh(kind)
        url = runner.run(database.__aenter__())
        runner.run(db.connect(url))
        try:
            hold()
        finally:
            runner.run(db.close())
            runner.run(database.__aexit__(None, None, None))


async def reasons(viewer: Viewer, target_id: str) -> list[BlockReason]:
    return [block.reason for block in (await dialability.blocks_of_targets(viewer, [target_id]))[target_id].blocks]


async def test_each_reason_says_until_when_and_what_it_is_in_words(database: str, viewer: Viewer) -> None:
    outdial = await make.make_outdial(viewer, policy={"retry_interval_seconds": 300, "max_try_counts": (1,) * 5})
    one, two = make.phone_number(), make.phone_number()
    target = await make.make_target(viewer, outdial.id, one, two)
    later = (await db.now() + timedelta(days=1)).replace(microsecond=0)
    await make.suppress(viewer, two, expires_at=later)
    assert await reasons(viewer, target.id) == []
    attempt = await make.claim(viewer, outdial.id)
    assert await reasons(viewer, target.id) == [BlockReason.PROGRESSING]
    await make.complete(viewer, attempt.id, Disposition.BUSY)
    found = (await dialability.blocks_of_targets(viewer, [target.id]))[target.id]
    due = (await make.read(viewer, target.id)).next_try_at
    assert [(block.reason, block.until) for block in found.blocks] == [
        (BlockReason.NOT_DUE, due),
        (BlockReason.SUPPRESSED, later),
        (BlockReason.TRIES_USED_UP, None),
    ]
    assert [[block.reason for block in found.by_index[index]] for index in (0, 1)] == [
        [BlockReason.TRIES_USED_UP],
        [BlockReason.SUPPRESSED],
    ]
    assert [block.detail for block in found.blocks[1:]] == [
        "1 of 2 addresses is on the do-not-call list.",
        "The limit leaves no try at a destination.",
    ]
    never = await make.make_target(viewer, outdial.id, two, one, max_try_counts=(1, 0, 0, 0, 0))
    [_, limit] = (await dialability.blocks_of_targets(viewer, [never.id]))[never.id].blocks
    assert limit.detail == "The limit leaves no try at a destination.", "also if the limit is 0"
    assert all(block.detail.endswith(".") for block in found.blocks)
    assert (await foreseeing.next_claims(viewer, [outdial.id]))[outdial.id] == later
    await targets.cancel(viewer, target.id)
    assert await reasons(viewer, target.id) == [BlockReason.DONE]
    await outdials.delete(viewer, outdial.id)
    assert await reasons(viewer, target.id) == [BlockReason.DELETED]
    of_list = (await dialability.blocks_of_outdials(viewer, [outdial.id]))[outdial.id]
    assert [block.reason for block in of_list] == [BlockReason.DELETED]


async def test_a_check_before_a_list_starts_looks_at_another_time_and_not_at_the_pause(
    database: str, viewer: Viewer
) -> None:
    outdial = await make.make_outdial(viewer)
    number = make.phone_number()
    in_an_hour = await db.now() + timedelta(hours=1)
    await make.make_targets(viewer, outdial.id, 3)
    await make.make_target(viewer, outdial.id, not_before=in_an_hour)
    await make.make_target(viewer, outdial.id, number)
    await make.suppress(viewer, number, expires_at=in_an_hour)
    await outdials.update(viewer, outdial.id, changes={"state": OutdialState.PAUSED})

    async def check(**at: Any) -> tuple[int, dict[BlockReason, int]]:
        found = (await dialability.dialabilities(viewer, [outdial.id], **at))[outdial.id]
        return found.claimable, dict(found.blocked)

    assert await check() == (3, {BlockReason.NOT_DUE: 1, BlockReason.SUPPRESSED: 1})
    assert await check(at=in_an_hour + timedelta(seconds=1)) == (5, {})
    with pytest.raises(BadUserInput):
        await check(at=in_an_hour.replace(year=9999))


async def test_what_takes_too_long_to_count_is_not_counted(
    database: str, viewer: Viewer, monkeypatch: pytest.MonkeyPatch
) -> None:
    outdial = await make.make_outdial(viewer)
    monkeypatch.setattr(dialability, "COUNT_SECONDS_MAX", 0.0)
    with pytest.raises(LimitExceeded, match=r"longer than 0 seconds\. The list is long"):
        await dialability.dialabilities(viewer, [outdial.id])


async def test_each_target_counts_by_itself_though_caps_leave_fewer_tries(database: str, viewer: Viewer) -> None:
    caps = (CallCap(3, 86_400, CapSubject.ADDRESS, CapScope.CUSTOMER),)
    outdial = await make.make_outdial(viewer, policy={"caps": caps})
    number = make.phone_number()
    for _ in range(5):
        await make.make_target(viewer, outdial.id, number)
    assert (await dialability.dialabilities(viewer, [outdial.id]))[outdial.id].claimable == 5


async def test_the_next_claim_is_found_behind_targets_that_must_not_be_called(database: str, viewer: Viewer) -> None:
    outdial = await make.make_outdial(viewer)
    number = make.phone_number()
    for _ in range(20):
        await make.make_target(viewer, outdial.id, number)
    soon = (await db.now() + timedelta(hours=2)).replace(microsecond=0)
    await make.make_target(viewer, outdial.id, not_before=soon)
    await make.suppress(viewer, number)
    assert (await foreseeing.next_claims(viewer, [outdial.id]))[outdial.id] == soon
    await make.finish_suppressed()
    assert (await foreseeing.next_claims(viewer, [outdial.id]))[outdial.id] == soon
    counted = (await dialability.dialabilities(viewer, [outdial.id]))[outdial.id]
    assert counted.blocked == {BlockReason.DONE: 20, BlockReason.NOT_DUE: 1}
