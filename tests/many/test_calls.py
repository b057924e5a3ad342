"""What a call that changes many targets does: in steps, bounded, repeatable, and for one customer alone."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from app import attempts, targets
from app.auth import Viewer
from app.errors import LimitExceeded, Rejected, Unavailable, UserErrorCode
from app.lifecycle import AttemptState, Disposition, DoneReason, TargetStatus
from app.records import ChangedTargets, TargetFilter
from app.targets import many
from tests.support import factories as make
from tests.support import rows
from tests.support.folding import FoldingClient, progress_of, targets_of

ALL = TargetFilter()
FUTURE = datetime(2100, 5, 6, 7, 8, 9, tzinfo=UTC)
DUPLICATES = 6


@pytest.fixture
def small_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps of 3 targets, calls of 7."""
    monkeypatch.setattr(many, "STEP_TARGETS_MAX", 3)
    monkeypatch.setattr(many, "CHANGED_TARGETS_MAX", 7)


async def prioritize(viewer: Viewer, outdial_id: str, **more: Any) -> ChangedTargets:
    return await targets.update_many(viewer, outdial_id, where=ALL, changes={"priority": 5}, **more)


async def cancel(viewer: Viewer, outdial_id: str, **more: Any) -> ChangedTargets:
    return await targets.cancel_many(viewer, outdial_id, where=ALL, **more)


CHANGES = pytest.mark.parametrize("change", [prioritize, cancel])


# ---------------------------------------------------------------- steps


@CHANGES
@pytest.mark.usefixtures("small_calls")
async def test_a_call_is_repeated_until_nothing_remains(change: Any, database: str, viewer: Viewer) -> None:
    outdial = await make.make_outdial(viewer)
    await make.make_targets(viewer, outdial.id, 20)
    await attempts.claim(viewer, outdial.id, limit=4)
    client = await FoldingClient.join(viewer, outdial.id)

    assert await change(viewer, outdial.id, dry_run=True) == ChangedTargets(7, 13)
    answers = [await change(viewer, outdial.id) for _ in range(4)]

    assert answers == [ChangedTargets(7, 13), ChangedTargets(7, 6), ChangedTargets(6, 0), ChangedTargets(0, 0)]
    found = await targets_of(viewer, outdial.id)
    assert all(target.priority == 5 or target.done_reason is DoneReason.CANCELED for target in found)
    assert sorted(target.version for target in found) == [2] * 16 + [3] * 4
    await client.catch_up()
    rows.check(await rows.of(database, viewer.customer_id))


@pytest.mark.usefixtures("small_calls")
async def test_a_reset_by_filter_is_repeated_until_nothing_remains(database: str, viewer: Viewer) -> None:
    outdial = await make.make_outdial(viewer)
    await make.make_targets(viewer, outdial.id, 9)
    for attempt, disposition in zip(
        await attempts.claim(viewer, outdial.id, limit=2),
        (Disposition.DO_NOT_CALL, Disposition.ANSWERED),
        strict=True,
    ):
        await make.complete(viewer, attempt.id, disposition)
    await cancel(viewer, outdial.id)
    assert (await progress_of(viewer, outdial.id)).done == 9
    client = await FoldingClient.join(viewer, outdial.id)

    answers = [await targets.reset(viewer, outdial.id, where=ALL, not_before=FUTURE) for _ in range(3)]

    assert answers == [ChangedTargets(7, 1), ChangedTargets(1, 0), ChangedTargets(0, 0)]
    found = await targets_of(viewer, outdial.id)
    assert [(one.next_try_at, one.try_counts) for one in found if one.status is TargetStatus.IDLE] == [
        (FUTURE, (0,) * 5)
    ] * 8
    assert [one.done_reason for one in found if one.status is TargetStatus.DONE] == [DoneReason.DO_NOT_CALL]
    await client.catch_up()
    rows.check(await rows.of(database, viewer.customer_id), resets=True)


async def test_one_event_tells_of_all_with_the_same_statuses_and_reason(database: str, viewer: Viewer) -> None:
    outdial = await make.make_outdial(viewer)
    await make.make_targets(viewer, outdial.id, 8)
    claimed = await attempts.claim(viewer, outdial.id, limit=5)
    for attempt in claimed[:2]:
        await make.complete(viewer, attempt.id, Disposition.ANSWERED)
    seen = len((await rows.of(database, viewer.customer_id))["target_event"])

    await targets.update_many(viewer, outdial.id, where=ALL, changes={"max_try_counts": (0,) * 5})
    await cancel(viewer, outdial.id)

    told = sorted((await rows.of(database, viewer.customer_id))["target_event"], key=lambda event: event["seq"])[seen:]
    kinds = ("type", "previous_status", "status", "done_reason", "count", "target_id")
    assert [tuple(event[name] for name in kinds) for event in told] == [
        ("EXHAUSTED", "IDLE", "DONE", "EXHAUSTED", 3, None),
        ("UPDATED", "PROGRESSING", "PROGRESSING", None, 3, None),
        ("UPDATED", "DONE", "DONE", "ANSWERED", 2, None),
        ("CANCELED", "PROGRESSING", "DONE", "CANCELED", 3, None),
    ]


async def test_the_attempts_of_canceled_targets_lose_their_lease(database: str, viewer: Viewer) -> None:
    outdial = await make.make_outdial(viewer)
    await make.make_targets(viewer, outdial.id, 4)
    one, other, _ = await attempts.claim(viewer, outdial.id, limit=3)
    await make.start(viewer, other.id)

    assert await cancel(viewer, outdial.id) == ChangedTargets(4, 0)

    assert {(await make.read_attempt(viewer, each.id)).state for each in (one, other)} == {AttemptState.REVOKED}
    assert make.code(await make.start(viewer, one.id)) is UserErrorCode.LEASE_LOST
    assert make.code(await make.complete(viewer, other.id)) is UserErrorCode.LEASE_LOST
    assert await attempts.claim(viewer, outdial.id, limit=5) == []
    rows.check(await rows.of(database, viewer.customer_id))


# ---------------------------------------------------------------- bounds


@CHANGES
async def test_no_step_begins_after_the_time_of_a_call(
    change: Any, database: str, viewer: Viewer, monkeypatch: pytest.MonkeyPatch
) -> None:
    del database
    outdial = await make.make_outdial(viewer)
    await make.make_targets(viewer, outdial.id, 3)
    with monkeypatch.context() as patched:
        patched.setattr(many, "WORK_SECONDS_MAX", -1.0)
        assert await change(viewer, outdial.id) == ChangedTargets(0, 3)
    assert await change(viewer, outdial.id) == ChangedTargets(3, 0)


@pytest.mark.usefixtures("small_calls")
async def test_a_count_that_takes_too_long_refuses_a_dry_run_and_no_change(
    database: str, viewer: Viewer, monkeypatch: pytest.MonkeyPatch
) -> None:
    del database
    outdial = await make.make_outdial(viewer)
    await make.make_targets(viewer, outdial.id, 9)
    monkeypatch.setattr(many, "COUNT_SECONDS_MAX", 0.0)
    with pytest.raises(LimitExceeded):
        await prioritize(viewer, outdial.id, dry_run=True)
    assert [await prioritize(viewer, outdial.id) for _ in range(2)] == [ChangedTargets(7, 1), ChangedTargets(2, 0)]
    assert await cancel(viewer, outdial.id, dry_run=True) == ChangedTargets(7, 2)  # by the counters


async def test_what_goes_back_in_its_life_meanwhile_is_met_in_the_next_round(
    database: str, viewer: Viewer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dialer gives a target back after the waiting ones were canceled, and before the calling ones are."""
    del database
    outdial = await make.make_outdial(viewer)
    target = await make.make_target(viewer, outdial.id)
    attempt = await make.claim(viewer, outdial.id)
    transaction, released = many.db.transaction, []

    async def releasing(work: Any, *args: Any) -> Any:
        result = await transaction(work, *args)
        if work is many._step and not released:
            released.append(attempt.id)
            make.one(await make.release(viewer, attempt.id))
        return result

    monkeypatch.setattr(many.db, "transaction", releasing)
    assert await cancel(viewer, outdial.id) == ChangedTargets(1, 0)
    assert (await make.read(viewer, target.id)).done_reason is DoneReason.CANCELED


# ---------------------------------------------------------------- keys


@CHANGES
@pytest.mark.usefixtures("small_calls")
async def test_a_repeat_with_the_same_key_changes_nothing(change: Any, database: str, viewer: Viewer) -> None:
    outdial = await make.make_outdial(viewer)
    await make.make_targets(viewer, outdial.id, 10)
    first = await change(viewer, outdial.id, idempotency_key="a")
    before = await rows.of(database, viewer.customer_id)

    assert await change(viewer, outdial.id, idempotency_key="a") == first == ChangedTargets(7, 3)
    assert await rows.of(database, viewer.customer_id) == before
    with pytest.raises(Rejected, match="different input"):
        await change(viewer, (await make.make_outdial(viewer)).id, idempotency_key="a")
    assert await change(viewer, outdial.id, idempotency_key="b") == ChangedTargets(3, 0)


@CHANGES
@pytest.mark.usefixtures("small_calls")
async def test_a_call_that_was_cut_off_is_finished_by_the_next_one_with_its_key(
    change: Any, database: str, viewer: Viewer, monkeypatch: pytest.MonkeyPatch
) -> None:
    outdial = await make.make_outdial(viewer)
    await make.make_targets(viewer, outdial.id, 10)
    step, taken = many._step, 0

    async def failing(*args: Any) -> Any:
        nonlocal taken
        taken += 1
        if taken == 3:
            raise Unavailable("The server goes away.")
        return await step(*args)

    with monkeypatch.context() as patched:
        patched.setattr(many, "_step", failing)
        with pytest.raises(Unavailable):
            await change(viewer, outdial.id, idempotency_key="a")
    assert sum(target.version == 2 for target in await targets_of(viewer, outdial.id)) == 6

    assert await change(viewer, outdial.id, idempotency_key="a") == ChangedTargets(7, 3)
    assert sum(target.version == 2 for target in await targets_of(viewer, outdial.id)) == 7
    rows.check(await rows.of(database, viewer.customer_id))


@CHANGES
@pytest.mark.usefixtures("small_calls")
async def test_calls_with_one_key_at_the_same_time_are_one_call(change: Any, database: str, viewer: Viewer) -> None:
    outdial = await make.make_outdial(viewer)
    await make.make_targets(viewer, outdial.id, 10)

    answers = await asyncio.gather(*[change(viewer, outdial.id, idempotency_key="a") for _ in range(DUPLICATES)])

    assert answers == [ChangedTargets(7, 3)] * DUPLICATES
    assert sorted(target.version for target in await targets_of(viewer, outdial.id)) == [1] * 3 + [2] * 7
    rows.check(await rows.of(database, viewer.customer_id))


async def test_a_call_that_changed_nothing_keeps_no_key(database: str, viewer: Viewer) -> None:
    outdial = await make.make_outdial(viewer)
    for change in (prioritize, cancel):
        assert await change(viewer, outdial.id, idempotency_key="a") == ChangedTargets(0, 0)
        assert await change(viewer, outdial.id, idempotency_key="a", dry_run=True) == ChangedTargets(0, 0)
    assert (await rows.of(database, viewer.customer_id))["idempotency_key"] == []
    await make.make_target(viewer, outdial.id)
    assert await cancel(viewer, outdial.id, idempotency_key="a") == ChangedTargets(1, 0)


# ---------------------------------------------------------------- input, and customers


async def test_what_is_wrong_is_told_by_its_path(database: str, viewer: Viewer) -> None:
    outdial = await make.make_outdial(viewer)
    before = await rows.of(database, viewer.customer_id)
    for changes, path in (
        ({}, ()),
        ({"priority": None}, ("priority",)),
        ({"priority": 10}, ("priority",)),
        ({"max_try_counts": (1,)}, ("max_try_counts",)),
        ({"time_zone": "Moon/Sea"}, ("time_zone",)),
        ({"not_before": datetime(9999, 1, 1, tzinfo=UTC)}, ("not_before",)),
    ):
        with pytest.raises(Rejected) as refused:
            await targets.update_many(viewer, outdial.id, where=ALL, changes=changes)
        assert [(error.code, error.path) for error in refused.value.errors] == [(UserErrorCode.INVALID, path)]
    for given in ({}, {"where": ALL, "done_reasons": [DoneReason.ANSWERED]}, {"where": ALL, "target_ids": ["x"]}):
        with pytest.raises(Rejected, match="Give one of doneReasons, targetIds and where"):
            await targets.reset(viewer, outdial.id, **given)
    assert await rows.of(database, viewer.customer_id) == before


async def test_no_customer_reaches_the_targets_of_another(database: str, viewer: Viewer, stranger: Viewer) -> None:
    outdial = await make.make_outdial(viewer)
    await make.make_targets(viewer, outdial.id, 2)
    await make.make_outdial(stranger)
    before = await rows.of(database, viewer.customer_id)
    for dry_run in (True, False):
        for change in (prioritize, cancel):
            with pytest.raises(Rejected) as refused:
                await change(stranger, outdial.id, dry_run=dry_run)
            assert [(error.code, error.path) for error in refused.value.errors] == [
                (UserErrorCode.NOT_FOUND, ("outdial_id",))
            ]
        with pytest.raises(Rejected, match="not found"):
            await targets.reset(stranger, outdial.id, where=ALL, dry_run=dry_run)
    assert await rows.of(database, viewer.customer_id) == before


async def test_other_lists_with_the_same_address_or_key_stay_as_they_are(database: str, viewer: Viewer) -> None:
    del database
    address = make.phone_number()
    lists = [await make.make_outdial(viewer) for _ in range(2)]
    made = [await make.make_target(viewer, each.id, address, key="k") for each in lists]
    for where in (TargetFilter(destination=address), TargetFilter(key="k")):
        changes = {"priority": 3 if where.key else 4}
        assert await targets.update_many(viewer, lists[0].id, where=where, changes=changes) == ChangedTargets(1, 0)
    assert await targets.cancel_many(viewer, lists[0].id, where=TargetFilter(destination=address)) == ChangedTargets(
        1, 0
    )
    assert (await make.read(viewer, made[1].id)) == made[1]
