"""A list is called from its start until before its end, and what is under way goes on."""

from datetime import timedelta

from app import attempts, db, dialability, foreseeing, outdials
from app.auth import Viewer
from app.blocks import BlockReason
from app.lifecycle import Disposition, OutdialState
from app.pacing import Pacing
from app.records import Outdial
from tests.support import factories as make
from tests.support.pacing import change_policy, paced

HOUR = timedelta(hours=1)


async def reasons(viewer: Viewer, outdial: Outdial) -> list[BlockReason]:
    found = await dialability.blocks_of_outdials(viewer, [outdial.id])
    return [block.reason for block in found[outdial.id]]


async def claimable(viewer: Viewer, outdial: Outdial, later: timedelta) -> tuple[int, dict[BlockReason, int]]:
    at = await db.now() + later
    found = (await dialability.dialabilities(viewer, [outdial.id], at=at))[outdial.id]
    return found.claimable, dict(found.blocked)


async def test_nothing_is_claimed_before_the_start(database: str, viewer: Viewer) -> None:
    starts = await db.now() + HOUR
    outdial = await paced(viewer, targets=3, starts_at=starts)
    [block] = (await dialability.blocks_of_outdials(viewer, [outdial.id]))[outdial.id]
    assert (block.reason, block.until) == (BlockReason.NOT_STARTED, starts)
    found = await attempts.claim(viewer, outdial.id, limit=3)
    assert (found, found.throttled_until) == ([], None)
    assert (await foreseeing.next_claims(viewer, [outdial.id]))[outdial.id] == starts
    assert await claimable(viewer, outdial, timedelta(0)) == (0, {BlockReason.NOT_STARTED: 3})
    assert await claimable(viewer, outdial, HOUR) == (3, {})
    make.pass_time(3_600)
    assert await reasons(viewer, outdial) == []
    assert len(await attempts.claim(viewer, outdial.id, limit=3)) == 3


async def test_nothing_is_claimed_after_the_end_and_attempts_in_progress_go_on(database: str, viewer: Viewer) -> None:
    ends = await db.now() + HOUR
    outdial = await paced(viewer, targets=3, ends_at=ends)
    under_way = await make.claim(viewer, outdial.id)
    assert await claimable(viewer, outdial, HOUR) == (0, {BlockReason.ENDED: 2, BlockReason.PROGRESSING: 1})
    make.pass_time(3_600)
    [block] = (await dialability.blocks_of_outdials(viewer, [outdial.id]))[outdial.id]
    assert (block.reason, block.until) == (BlockReason.ENDED, None)
    assert await attempts.claim(viewer, outdial.id, limit=3) == []
    assert (await foreseeing.next_claims(viewer, [outdial.id]))[outdial.id] is None
    make.one(await make.start(viewer, under_way.id))
    make.one(await make.complete(viewer, under_way.id, Disposition.BUSY))
    assert await attempts.claim(viewer, outdial.id, limit=3) == []
    await change_policy(viewer, outdial, ends_at=None)
    assert len(await attempts.claim(viewer, outdial.id, limit=3)) == 3


async def test_targets_that_wait_beyond_the_end_are_never_claimed(database: str, viewer: Viewer) -> None:
    now = await db.now()
    outdial = await paced(viewer, ends_at=now + HOUR)
    await make.make_target(viewer, outdial.id, make.phone_number(), not_before=now + 2 * HOUR)
    assert (await foreseeing.next_claims(viewer, [outdial.id]))[outdial.id] is None
    assert await claimable(viewer, outdial, 3 * HOUR) == (0, {BlockReason.ENDED: 1})


async def test_a_paused_list_says_so_before_its_start(database: str, viewer: Viewer) -> None:
    """Reasons are in the order in which the first one counts."""
    outdial = await paced(viewer, max_open=1, targets=2)
    await make.claim(viewer, outdial.id)
    await change_policy(viewer, outdial, starts_at=await db.now() + HOUR)
    assert await reasons(viewer, outdial) == [BlockReason.NOT_STARTED, BlockReason.PACED]
    await outdials.update(viewer, outdial.id, changes={"state": OutdialState.PAUSED})
    assert await reasons(viewer, outdial) == [BlockReason.PAUSED, BlockReason.NOT_STARTED, BlockReason.PACED]


async def test_it_says_when_the_next_target_may_be_claimed_at_its_rate(database: str, viewer: Viewer) -> None:
    outdial = await paced(viewer, rate=0.01, targets=2)
    found = await attempts.claim(viewer, outdial.id, limit=2)
    until = found[0].claimed_at + timedelta(seconds=100)
    assert (len(found), found.throttled_until) == (1, until)
    [block] = (await dialability.blocks_of_outdials(viewer, [outdial.id]))[outdial.id]
    assert (block.reason, block.until) == (BlockReason.PACED, until)
    assert (await foreseeing.next_claims(viewer, [outdial.id]))[outdial.id] == until
    # another list of the customer has a pace of its own
    other = await paced(viewer, max_open=5, targets=1)
    said = await dialability.blocks_of_outdials(viewer, [outdial.id, other.id])
    assert [len(said[one.id]) for one in (outdial, other)] == [1, 0]
    assert len(await attempts.claim(viewer, other.id)) == 1


async def test_an_empty_list_holds_nothing_back(database: str, viewer: Viewer) -> None:
    """Fewer than the pace allows are fewer because no more are due."""
    outdial = await paced(viewer, max_open=3, rate=3, targets=2)
    found = await attempts.claim(viewer, outdial.id, limit=5)
    assert (len(found), found.throttled_until) == (2, None)
    found = await attempts.claim(viewer, outdial.id, limit=1)
    assert (found, found.throttled_until) == ([], None)


async def test_a_claim_with_a_key_that_the_pace_held_back_whole_may_be_sent_again(
    database: str, viewer: Viewer
) -> None:
    outdial = await paced(viewer, max_open=1, targets=2)
    first = await make.claim(viewer, outdial.id)
    held = await attempts.claim(viewer, outdial.id, idempotency_key="a dialer's key")
    assert held == []
    assert held.throttled_until is not None
    make.one(await make.complete(viewer, first.id, Disposition.BUSY))
    assert len(await attempts.claim(viewer, outdial.id, idempotency_key="a dialer's key")) == 1


async def test_a_pace_that_is_taken_away_holds_nobody(database: str, viewer: Viewer) -> None:
    outdial = await paced(viewer, max_open=1, targets=5)
    await make.claim(viewer, outdial.id)
    await change_policy(viewer, outdial, pacing=None)
    assert len(await attempts.claim(viewer, outdial.id, limit=5)) == 4
    await change_policy(viewer, outdial, pacing=Pacing(4, None))
    found = await attempts.claim(viewer, outdial.id)
    assert found == []
    assert found.throttled_until is not None
