"""A capped target says why it waits and until when."""

from datetime import timedelta

from app import db, dialability, foreseeing
from app.auth import Viewer
from app.blocks import BlockReason
from tests.support import factories as make
from tests.support.capping import ONE, TWO, cap, capped, claimed


async def test_a_capped_target_says_why_it_waits_and_until_when(database: str, viewer: Viewer) -> None:
    outdial = await capped(viewer, cap(1, 1_000))
    target = await make.make_target(viewer, outdial.id, ONE, TWO)
    firsts = []
    for _ in range(2):
        assert (await dialability.blocks_of_targets(viewer, [target.id]))[target.id].blocks == []
        firsts.append(await make.claim(viewer, outdial.id))
        make.one(await make.complete(viewer, firsts[-1].id))
        make.pass_time(10)
    until = [attempt.claimed_at + timedelta(seconds=1_000) for attempt in firsts]
    for _ in range(2):  # awake, and asleep after a claim has looked at it
        said = (await dialability.blocks_of_targets(viewer, [target.id]))[target.id]
        assert [(block.reason, block.until) for block in said.blocks] == [(BlockReason.CAPPED, until[0])]
        assert [[(block.reason, block.until) for block in said.by_index[index]] for index in (0, 1)] == [
            [(BlockReason.CAPPED, at)] for at in until
        ]
        assert (await foreseeing.next_claims(viewer, [outdial.id])) == {outdial.id: until[0]}
        assert await claimed(viewer, outdial) == []
    in_time = (await dialability.dialabilities(viewer, [outdial.id], at=until[0]))[outdial.id]
    before = (await dialability.dialabilities(viewer, [outdial.id], at=until[0] - timedelta(seconds=1)))[outdial.id]
    assert (in_time.claimable, before.claimable, before.blocked) == (1, 0, {BlockReason.CAPPED: 1})


async def test_a_suppressed_destination_of_a_capped_target_is_the_first_reason(database: str, viewer: Viewer) -> None:
    outdial = await capped(viewer, cap(1, 1_000))
    target = await make.make_target(viewer, outdial.id, ONE, TWO)
    attempt = await make.claim(viewer, outdial.id)
    make.one(await make.complete(viewer, attempt.id))
    later = (await db.now() + timedelta(seconds=100)).replace(microsecond=0)
    await make.suppress(viewer, TWO, expires_at=later)
    said = (await dialability.blocks_of_targets(viewer, [target.id]))[target.id].blocks
    assert [block.reason for block in said] == [BlockReason.SUPPRESSED, BlockReason.CAPPED]
    counted = (await dialability.dialabilities(viewer, [outdial.id]))[outdial.id]
    assert counted.blocked == {BlockReason.SUPPRESSED: 1}
    assert await claimed(viewer, outdial) == []
    assert (await foreseeing.next_claims(viewer, [outdial.id])) == {outdial.id: later}
    make.pass_time(101)
    assert await claimed(viewer, outdial) == [TWO]
