"""Callbacks: the wish to be called at a time is kept before every priority, by its dialer alone within its window."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from app import attempts, clock, db, dialability, foreseeing, outdials, reserving, suppressions, targets
from app.auth import Viewer
from app.blocks import BlockReason
from app.errors import Rejected, UserErrorCode
from app.lifecycle import AttemptState, Disposition, DoneReason, OutdialState, TargetStatus
from app.records import (
    CallbackDraft,
    CallCap,
    CapScope,
    CapSubject,
    PolicyDraft,
    SuppressionDraft,
    Target,
    TargetFilter,
)
from app.store import looks
from tests.support import factories as make
from tests.support import rows
from tests.support.folding import FoldingClient

RETRY_SECONDS, LEASE_SECONDS, WINDOW_SECONDS = 100, 50, 300
HOUR = timedelta(hours=1)


@pytest.fixture
async def outdial_id(database: str, viewer: Viewer) -> AsyncIterator[str]:
    policy = {"retry_interval_seconds": RETRY_SECONDS, "lease_seconds": LEASE_SECONDS, "max_try_counts": (1,) * 5}
    yield (await make.make_outdial(viewer, policy=policy)).id
    clock.shift = timedelta(0)


async def schedule(viewer: Viewer, target_id: str, at: datetime | None = None, **fields: Any) -> Target:
    fields.setdefault("window_seconds", WINDOW_SECONDS)
    draft = CallbackDraft(at=at or await db.now(), **fields)
    return await targets.schedule_callback(viewer, target_id, draft=draft)


async def refusal(work: Any) -> UserErrorCode:
    with pytest.raises(Rejected) as refused:
        await work
    [error] = refused.value.errors
    return error.code


async def claimed(viewer: Viewer, outdial_id: str, limit: int = 9, **fields: Any) -> list[str]:
    return [made.target_id for made in await attempts.claim(viewer, outdial_id, limit=limit, **fields)]


def standing(target: Target) -> tuple[TargetStatus, DoneReason | None, datetime | None]:
    return target.status, target.done_reason, target.next_try_at


async def test_a_callback_is_claimed_at_its_time_before_every_priority(viewer: Viewer, outdial_id: str) -> None:
    called = await make.make_target(viewer, outdial_id, priority=0)
    urgent = await make.make_target(viewer, outdial_id, priority=9)
    at = await db.now() + HOUR
    after = await schedule(viewer, called.id, at)
    assert standing(after) == (TargetStatus.IDLE, None, at)
    assert after.version == called.version + 1
    assert after == await make.read(viewer, called.id)
    assert await claimed(viewer, outdial_id, 1) == [urgent.id]
    assert await claimed(viewer, outdial_id) == []
    later = await make.make_target(viewer, outdial_id, priority=9)
    make.pass_time(3601)
    assert await claimed(viewer, outdial_id, 1) == [called.id]
    assert await claimed(viewer, outdial_id, 1) == [later.id]


async def test_a_last_try_is_granted_if_the_limit_is_used_up_and_the_rules_follow(
    viewer: Viewer, outdial_id: str
) -> None:
    target = await make.make_target(viewer, outdial_id)
    first = await make.claim(viewer, outdial_id)
    at = await db.now() + HOUR
    make.one(await make.complete(viewer, first.id, Disposition.CALLBACK, callback=CallbackDraft(at)))
    kept = await make.read(viewer, target.id)
    assert standing(kept) == (TargetStatus.IDLE, None, at)
    assert kept.try_counts == (1, 0, 0, 0, 0)
    assert await claimed(viewer, outdial_id) == []
    make.pass_time(3601)
    second = await make.claim(viewer, outdial_id)
    assert second.try_number == 2
    make.one(await make.complete(viewer, second.id, Disposition.NO_ANSWER))
    missed = await make.read(viewer, target.id)
    assert (missed.status, missed.done_reason, missed.callback) == (TargetStatus.DONE, DoneReason.EXHAUSTED, None)


@pytest.mark.parametrize("end", ["expired", "unconfirmed"])
async def test_a_lapse_uses_the_callback_up(end: str, viewer: Viewer, outdial_id: str) -> None:
    target = await make.make_target(viewer, outdial_id, max_try_counts=(5, 0, 0, 0, 0))
    await schedule(viewer, target.id)
    attempt = await make.claim(viewer, outdial_id)
    if end == "unconfirmed":
        await make.start(viewer, attempt.id)
    make.pass_time(LEASE_SECONDS + 1)
    await make.sweep()
    assert (await make.read(viewer, target.id)).callback is None


async def test_a_release_keeps_the_callback(viewer: Viewer, outdial_id: str) -> None:
    target = await make.make_target(viewer, outdial_id)
    at = (await schedule(viewer, target.id)).next_try_at
    attempt = await make.claim(viewer, outdial_id)
    make.one(await make.release(viewer, attempt.id))
    kept = await make.read(viewer, target.id)
    assert standing(kept) == (TargetStatus.IDLE, None, at)
    assert kept.callback is not None
    assert await claimed(viewer, outdial_id) == [target.id]


@pytest.mark.parametrize("disposition", [one for one in Disposition if one is not Disposition.CALLBACK])
async def test_one_that_is_asked_for_during_a_call_stands_whatever_the_result_is(
    disposition: Disposition, database: str, viewer: Viewer, outdial_id: str
) -> None:
    target = await make.make_target(viewer, outdial_id, make.phone_number(), make.phone_number())
    attempt = await make.claim(viewer, outdial_id)
    await make.start(viewer, attempt.id)
    at = await db.now() + HOUR
    waiting = await schedule(viewer, target.id, at)
    assert standing(waiting) == (TargetStatus.PROGRESSING, None, None)
    make.one(await make.complete(viewer, attempt.id, disposition))
    after = await make.read(viewer, target.id)
    if disposition is Disposition.DO_NOT_CALL:
        assert (after.done_reason, after.callback) == (DoneReason.DO_NOT_CALL, None)
    else:
        assert standing(after) == (TargetStatus.IDLE, None, at)
    rows.check(await rows.of(database, viewer.customer_id))


async def test_a_done_target_is_opened_again_and_cancelling_takes_it_back(
    database: str, viewer: Viewer, outdial_id: str
) -> None:
    target = await make.make_target(viewer, outdial_id)
    attempt = await make.claim(viewer, outdial_id)
    make.one(await make.complete(viewer, attempt.id, Disposition.ANSWERED))
    opened = await schedule(viewer, target.id)
    assert (opened.status, opened.try_counts) == (TargetStatus.IDLE, (1, 0, 0, 0, 0))
    found = await outdials.progress(viewer, [outdial_id])
    assert (found[outdial_id].idle, found[outdial_id].done) == (1, 0)
    moved = await schedule(viewer, target.id, await db.now() + HOUR)
    assert moved.next_try_at != opened.next_try_at
    back = await targets.cancel_callback(viewer, target.id)
    assert standing(back) == (TargetStatus.DONE, DoneReason.ANSWERED, None)
    assert await targets.cancel_callback(viewer, target.id) == back
    rows.check(await rows.of(database, viewer.customer_id))
    rows.check_events(await rows.of(database, viewer.customer_id))


async def test_cancelling_gives_an_idle_target_its_time_back(viewer: Viewer, outdial_id: str) -> None:
    later = await db.now() + HOUR
    target = await make.make_target(viewer, outdial_id, not_before=later)
    await schedule(viewer, target.id)
    assert standing(await targets.cancel_callback(viewer, target.id)) == standing(target)


@pytest.mark.parametrize("how", ["cancel", "delete", "cancel all"])
async def test_a_target_that_is_canceled_or_deleted_has_no_callback(how: str, viewer: Viewer, outdial_id: str) -> None:
    target = await make.make_target(viewer, outdial_id)
    await schedule(viewer, target.id)
    if how == "cancel":
        await targets.cancel(viewer, target.id)
    elif how == "delete":
        await targets.delete(viewer, target.id)
    else:
        await targets.cancel_many(viewer, outdial_id, where=TargetFilter())
    assert (await make.read(viewer, target.id, deleted=True)).callback is None
    assert await claimed(viewer, outdial_id) == []


async def test_not_before_changes_nothing_while_a_callback_stands(viewer: Viewer, outdial_id: str) -> None:
    target = await make.make_target(viewer, outdial_id)
    at = await db.now() + HOUR
    kept = await schedule(viewer, target.id, at)
    later = at + HOUR
    assert await targets.update(viewer, target.id, changes={"not_before": later}) == kept
    many = await targets.update_many(viewer, outdial_id, where=TargetFilter(), changes={"not_before": later})
    assert (many.count, many.remaining) == (0, 0)
    renamed = await targets.update(viewer, target.id, changes={"not_before": later, "name": "new", "priority": 3})
    assert (renamed.name, renamed.priority, renamed.next_try_at) == ("new", 3, at)


async def test_what_must_not_be_called_is_refused(viewer: Viewer, outdial_id: str) -> None:
    number, other = make.phone_number(), make.phone_number()
    listed = await make.make_target(viewer, outdial_id, number, other)
    wished = await make.make_target(viewer, outdial_id)
    attempt = next(one for one in await attempts.claim(viewer, outdial_id, limit=9) if one.target_id == wished.id)
    make.one(await make.complete(viewer, attempt.id, Disposition.DO_NOT_CALL))
    assert await refusal(schedule(viewer, wished.id)) is UserErrorCode.CONFLICT
    await make.suppress(viewer, number)
    assert await refusal(schedule(viewer, listed.id, destination_index=0)) is UserErrorCode.SUPPRESSED
    assert (await schedule(viewer, listed.id)).callback is not None
    await make.suppress(viewer, other)
    await targets.cancel_callback(viewer, listed.id)
    assert await refusal(schedule(viewer, listed.id)) in {UserErrorCode.SUPPRESSED, UserErrorCode.CONFLICT}
    assert await refusal(schedule(make.make_viewer(), listed.id)) is UserErrorCode.NOT_FOUND


async def test_only_addresses_that_must_never_be_called_end_a_callback(viewer: Viewer, outdial_id: str) -> None:
    first, second = make.phone_number(), make.phone_number()
    target = await make.make_target(viewer, outdial_id, first, second)
    await schedule(viewer, target.id, destination_index=0)
    await make.suppress(viewer, first)
    await make.finish_suppressed()
    attempt = await make.claim(viewer, outdial_id)
    assert attempt.destination_index == 1
    await make.suppress(viewer, second)
    over = await make.read(viewer, target.id)
    assert (over.done_reason, over.callback) == (DoneReason.DO_NOT_CALL, None)


async def test_a_suppression_that_expires_holds_it_until_then(viewer: Viewer, outdial_id: str) -> None:
    number = make.phone_number()
    target = await make.make_target(viewer, outdial_id, number)
    await schedule(viewer, target.id)
    await make.suppress(viewer, number, expires_at=await db.now() + HOUR)
    found = (await dialability.blocks_of_targets(viewer, [target.id]))[target.id]
    assert [block.reason for block in found.blocks] == [BlockReason.SUPPRESSED]
    assert await claimed(viewer, outdial_id) == []
    batch = await suppressions.remove(viewer, drafts=[SuppressionDraft(number)])
    assert batch.errors == ()
    assert await claimed(viewer, outdial_id) == [target.id]


async def test_caps_count_a_callback_and_never_hold_it(viewer: Viewer, outdial_id: str) -> None:
    caps = (CallCap(1, 86_400, CapSubject.ADDRESS, CapScope.CUSTOMER),)
    await outdials.update(viewer, outdial_id, changes={"dial_policy": PolicyDraft(caps=caps, max_try_counts=(9,) * 5)})
    number = make.phone_number()
    called, other = [await make.make_target(viewer, outdial_id, number) for _ in range(2)]
    attempt = (await attempts.claim(viewer, outdial_id))[0]
    make.one(await make.complete(viewer, attempt.id, Disposition.CALLBACK, callback=CallbackDraft(await db.now())))
    assert attempt.target_id == called.id
    assert await claimed(viewer, outdial_id) == [called.id]
    found = (await dialability.blocks_of_targets(viewer, [other.id]))[other.id]
    assert [block.reason for block in found.blocks] == [BlockReason.CAPPED]


async def test_the_wanted_destination_is_called_though_its_limit_is_used_up(viewer: Viewer, outdial_id: str) -> None:
    target = await make.make_target(viewer, outdial_id, make.phone_number(), make.phone_number())
    attempt = await make.claim(viewer, outdial_id)
    make.one(await make.complete(viewer, attempt.id, Disposition.CALLBACK, callback=CallbackDraft(await db.now())))
    again = await make.claim(viewer, outdial_id)
    assert (again.destination_index, again.try_number) == (0, 2)
    make.one(await make.complete(viewer, again.id, Disposition.INVALID_DESTINATION))
    await schedule(viewer, target.id, destination_index=0)
    assert (await make.claim(viewer, outdial_id)).destination_index == 1


@pytest.mark.parametrize(
    ("disposition", "has_callback"),
    [(Disposition.CALLBACK, False), (Disposition.BUSY, True), (Disposition.ANSWERED, True)],
)
async def test_the_disposition_and_the_callback_belong_together(
    disposition: Disposition, has_callback: bool, viewer: Viewer, outdial_id: str
) -> None:
    await make.make_target(viewer, outdial_id)
    attempt = await make.claim(viewer, outdial_id)
    draft = CallbackDraft(await db.now()) if has_callback else None
    assert make.code(await make.complete(viewer, attempt.id, disposition, callback=draft)) is UserErrorCode.INVALID
    assert (await make.read_attempt(viewer, attempt.id)).state is AttemptState.CLAIMED


# ---------------------------------------------------------------- kept for one dialer


async def test_it_is_its_dialers_alone_within_its_window_and_then_anybodys(viewer: Viewer, outdial_id: str) -> None:
    kept = await make.make_target(viewer, outdial_id)
    other = await make.make_target(viewer, outdial_id, priority=9)
    await schedule(viewer, kept.id, dialer="ann")
    assert await claimed(viewer, outdial_id, dialer="bob") == [other.id]
    assert await claimed(viewer, outdial_id) == []
    blocks = (await dialability.blocks_of_targets(viewer, [kept.id], dialer="bob"))[kept.id].blocks
    assert [(block.reason, block.until) for block in blocks] == [(BlockReason.CALLBACK_OF_ANOTHER, None)]
    assert (await dialability.blocks_of_targets(viewer, [kept.id], dialer="ann"))[kept.id].blocks == []
    await reserving.step()
    opened = (await make.read(viewer, kept.id)).callback
    assert opened is not None
    assert opened.opened_at is not None
    [block] = (await dialability.blocks_of_targets(viewer, [kept.id]))[kept.id].blocks
    assert block.until == opened.opened_at + timedelta(seconds=WINDOW_SECONDS)
    assert (await foreseeing.next_claims(viewer, [outdial_id]))[outdial_id] == block.until
    make.pass_time(WINDOW_SECONDS - 5)
    await reserving.step()
    assert await claimed(viewer, outdial_id, dialer="bob") == []
    make.pass_time(6)
    assert (await reserving.step()) == 1
    assert (await make.read(viewer, kept.id)).version == kept.version + 1, "nobody is told of it"
    assert await claimed(viewer, outdial_id, dialer="bob") == [kept.id]


@pytest.mark.parametrize("with_caps", [False, True])
async def test_its_dialer_claims_it_before_all_else(with_caps: bool, viewer: Viewer, outdial_id: str) -> None:
    if with_caps:
        caps = (CallCap(9, 86_400, CapSubject.TARGET, CapScope.CUSTOMER),)
        await outdials.update(viewer, outdial_id, changes={"dial_policy": PolicyDraft(caps=caps)})
    urgent = await make.make_targets(viewer, outdial_id, 3, priority=9)
    mine, anybodys, hers = await make.make_targets(viewer, outdial_id, 3)
    await schedule(viewer, anybodys.id)
    await schedule(viewer, mine.id, dialer="ann")
    await schedule(viewer, hers.id, dialer="bea")
    found = await claimed(viewer, outdial_id, 3, dialer="ann", idempotency_key="one")
    assert found[:2] == [mine.id, anybodys.id]
    assert found[2] in {target.id for target in urgent}
    assert hers.id not in await claimed(viewer, outdial_id, dialer="ann")
    assert await claimed(viewer, outdial_id, dialer="bea") == [hers.id]


async def test_its_window_begins_when_it_can_first_be_claimed(viewer: Viewer, outdial_id: str) -> None:
    target = await make.make_target(viewer, outdial_id)
    await schedule(viewer, target.id, await db.now() + HOUR, dialer="ann")

    async def opened_at() -> datetime | None:
        await reserving.step()
        callback = (await make.read(viewer, target.id)).callback
        assert callback is not None
        return callback.opened_at

    assert await opened_at() is None
    await outdials.update(viewer, outdial_id, changes={"state": OutdialState.PAUSED})
    make.pass_time(3601)
    assert await opened_at() is None
    await outdials.update(viewer, outdial_id, changes={"state": OutdialState.ACTIVE})
    make.pass_time(3)
    now = await db.now()
    opened = await opened_at()
    assert opened is not None
    assert opened >= now


async def test_a_claim_that_does_not_know_of_it_yet_takes_nothing_before_it(viewer: Viewer, outdial_id: str) -> None:
    """Another server may have scheduled it."""
    await make.make_targets(viewer, outdial_id, 2, priority=9)
    mine = (await make.make_targets(viewer, outdial_id, 1))[0]
    await claimed(viewer, outdial_id, 1, dialer="ann")
    await schedule(viewer, mine.id, dialer="ann")
    looks._known.clear()
    assert await claimed(viewer, outdial_id, 1, dialer="ann") == [mine.id]


async def test_a_folding_client_has_what_a_fresh_read_has(viewer: Viewer, outdial_id: str) -> None:
    client = await FoldingClient.join(viewer, outdial_id)
    made = await make.make_targets(viewer, outdial_id, 4)
    await schedule(viewer, made[0].id, dialer="ann")
    await schedule(viewer, made[1].id, await db.now() + HOUR)
    await targets.cancel_callback(viewer, made[1].id)
    for attempt in await attempts.claim(viewer, outdial_id, limit=9, dialer="ann"):
        draft = CallbackDraft(await db.now() + HOUR)
        make.one(await make.complete(viewer, attempt.id, Disposition.CALLBACK, callback=draft))
    await client.catch_up()
    assert client.folded >= 10
