"""Addresses that must not be called: what is claimed, started and finished while the customer suppresses them."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from app import attempts, clock, db, exports, ids, imports, outdials, suppressions, targets, validation
from app.addresses import DestinationType
from app.auth import Viewer
from app.errors import BadUserInput, Rejected, UserErrorCode
from app.exports.rendering import Form
from app.lifecycle import AttemptState, Disposition, DoneReason, TargetEventType, TargetStatus
from app.pagination import PageRequest
from app.records import (
    DestinationDraft,
    DuplicateAction,
    ImportCounts,
    ImportJob,
    ImportOptions,
    ImportState,
    PolicyDraft,
    SuppressionDraft,
    SuppressionFilter,
    SuppressionSource,
)
from app.suppressions import finishing
from tests.support import factories as make
from tests.support import rows
from tests.support.folding import FoldingClient, progress_of, targets_of

ONE, TWO = "+15550100001", "+15550100002"


async def claimed_at(viewer: Viewer, outdial_id: str) -> list[tuple[int, str]]:
    found = await attempts.claim(viewer, outdial_id, limit=50)
    return [(attempt.destination_index, attempt.destination.target) for attempt in found]


async def test_a_suppressed_destination_is_passed_over_for_the_next_one(database: str, viewer: Viewer) -> None:
    outdial = await make.make_outdial(viewer)
    await make.make_target(viewer, outdial.id, ONE, TWO)
    await make.suppress(viewer, ONE)
    assert await claimed_at(viewer, outdial.id) == [(1, TWO)]


async def test_a_suppression_holds_on_every_list_and_for_no_other_customer(database: str, viewer: Viewer) -> None:
    await make.suppress(viewer, ONE)
    other = make.make_viewer()
    for whose, found in ((viewer, []), (other, [(0, ONE)])):
        for _ in range(2):
            outdial = await make.make_outdial(whose)
            await make.make_target(whose, outdial.id, ONE)
            assert await claimed_at(whose, outdial.id) == found


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (DestinationType.TEL, DestinationType.WHATSAPP),
        (DestinationType.WHATSAPP, DestinationType.TEL),
        (DestinationType.WHATSAPP, DestinationType.WHATSAPP),
    ],
)
async def test_a_number_is_one_person_for_telephone_and_whatsapp(
    database: str, viewer: Viewer, given: DestinationType, wanted: DestinationType
) -> None:
    outdial = await make.make_outdial(viewer)
    await make.make_target(viewer, outdial.id, DestinationDraft(ONE, wanted))
    await make.suppress(viewer, "+1 (555) 010-0001", type=given)
    assert await claimed_at(viewer, outdial.id) == []
    again = await make.suppress(viewer, ONE, type=wanted)
    [only] = (await suppressions.page(viewer, PageRequest())).items
    assert ([only], only.type) == (again, wanted)


async def test_the_same_text_of_another_type_is_another_address(database: str, viewer: Viewer) -> None:
    outdial = await make.make_outdial(viewer)
    await make.make_target(viewer, outdial.id, DestinationDraft("100", DestinationType.EXTENSION))
    await make.suppress(viewer, "100", type=DestinationType.AGENT)
    assert await claimed_at(viewer, outdial.id) == [(0, "100")]


async def test_an_expired_suppression_counts_for_nothing(database: str, viewer: Viewer) -> None:
    outdial = await make.make_outdial(viewer)
    target = await make.make_target(viewer, outdial.id, ONE)
    await make.suppress(viewer, ONE, expires_at=await db.now() + timedelta(hours=1))
    assert await claimed_at(viewer, outdial.id) == []
    await make.finish_suppressed()
    assert (await make.read(viewer, target.id)).status is TargetStatus.IDLE
    make.pass_time(3_601)
    assert await claimed_at(viewer, outdial.id) == [(0, ONE)]


async def test_a_removed_suppression_lets_idle_targets_be_claimed_and_reopens_none(
    database: str, viewer: Viewer
) -> None:
    outdial = await make.make_outdial(viewer)
    finished = await make.make_target(viewer, outdial.id, ONE)
    [one] = await make.suppress(viewer, ONE)
    await make.finish_suppressed()
    removed = await suppressions.remove(viewer, suppression_ids=[one.id])
    assert (removed.suppressions, removed.errors) == ([one], ())
    assert (await make.read(viewer, finished.id)).done_reason is DoneReason.DO_NOT_CALL
    await make.make_target(viewer, outdial.id, ONE)
    assert await claimed_at(viewer, outdial.id) == [(0, ONE)]


async def test_claimed_attempts_are_revoked_and_count_and_placed_calls_go_on(database: str, viewer: Viewer) -> None:
    outdial = await make.make_outdial(viewer, policy={"retry_interval_seconds": 300})
    two_places = await make.make_target(viewer, outdial.id, ONE, TWO, priority=9)
    one_place = await make.make_target(viewer, outdial.id, ONE, priority=8)
    dialing = await make.make_target(viewer, outdial.id, ONE, priority=7)
    first, second, third = await attempts.claim(viewer, outdial.id, limit=3)
    await make.start(viewer, third.id)
    client = await FoldingClient.join(viewer, outdial.id)
    await make.suppress(viewer, ONE)

    for attempt in (first, second):
        assert (await make.read_attempt(viewer, attempt.id)).state is AttemptState.REVOKED
        assert make.code(await make.start(viewer, attempt.id)) is UserErrorCode.SUPPRESSED
        assert make.code(await make.extend(viewer, attempt.id)) is UserErrorCode.SUPPRESSED
        assert make.code(await make.release(viewer, attempt.id)) is UserErrorCode.LEASE_LOST
    back, over, going = [await make.read(viewer, target.id) for target in (two_places, one_place, dialing)]
    assert (back.status, back.try_counts[0]) == (TargetStatus.IDLE, 1)
    assert (over.status, over.done_reason, over.try_counts[0]) == (TargetStatus.DONE, DoneReason.DO_NOT_CALL, 1)
    assert going.status is TargetStatus.PROGRESSING
    assert await claimed_at(viewer, outdial.id) == [(1, TWO)]
    make.one(await make.extend(viewer, third.id))
    make.one(await make.complete(viewer, third.id, Disposition.BUSY))
    assert (await make.read(viewer, dialing.id)).done_reason is DoneReason.DO_NOT_CALL
    await client.catch_up()
    assert (await progress_of(viewer, outdial.id)).attempts == 4
    tables = await rows.of(database, viewer.customer_id)
    rows.check(tables)
    told = [event["target_id"] for event in tables["target_event"] if event["type"] == TargetEventType.SUPPRESSED]
    assert sorted(told) == sorted([two_places.id, one_place.id])


async def test_a_permanent_suppression_finishes_idle_targets_in_chunks_with_an_event_each(
    database: str, viewer: Viewer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finishing, "FINISHED_TARGETS_MAX", 7)
    outdial = await make.make_outdial(viewer)
    over = [await make.make_target(viewer, outdial.id, None, ONE) for _ in range(20)]
    left = [await make.make_target(viewer, outdial.id, ONE, TWO) for _ in range(10)]
    used_up = await make.make_target(viewer, outdial.id, ONE, TWO, max_try_counts=(3, 0, 0, 0, 0))
    client = await FoldingClient.join(viewer, outdial.id)
    await make.suppress(viewer, ONE)
    assert await claimed_at(viewer, outdial.id) == [(1, TWO)] * 10
    steps = 0
    while await suppressions.finish():
        steps += 1
    assert steps == 4
    for target in [*over, used_up]:
        found = await make.read(viewer, target.id)
        assert (found.status, found.done_reason) == (TargetStatus.DONE, DoneReason.DO_NOT_CALL)
    for target in left:
        assert (await make.read(viewer, target.id)).status is TargetStatus.PROGRESSING
    await client.catch_up()
    told = [
        event
        for event in (await rows.of(database, viewer.customer_id))["target_event"]
        if event["type"] == TargetEventType.SUPPRESSED
    ]
    assert (len(told), {event["count"] for event in told}) == (21, {1})


async def test_a_report_of_do_not_call_holds_for_the_address_on_every_list(database: str, viewer: Viewer) -> None:
    outdial, another = await make.make_outdial(viewer), await make.make_outdial(viewer)
    await make.make_target(viewer, outdial.id, TWO, ONE, max_try_counts=(1, 1, 0, 0, 0))
    waiting = await make.make_target(viewer, another.id, TWO, priority=1)
    taken = await make.make_target(viewer, another.id, TWO, priority=2)
    attempt = await make.claim(viewer, outdial.id)
    elsewhere = await make.claim(viewer, another.id)
    assert elsewhere.target_id == taken.id
    make.one(await make.complete(viewer, attempt.id, Disposition.DO_NOT_CALL))
    [one] = (await suppressions.page(viewer, PageRequest())).items
    assert (one.target, one.source, one.expires_at) == (TWO, SuppressionSource.CALLEE, None)
    assert (await make.read_attempt(viewer, elsewhere.id)).state is AttemptState.REVOKED
    assert make.code(await make.start(viewer, elsewhere.id)) is UserErrorCode.SUPPRESSED
    await make.finish_suppressed()
    for target in (waiting, taken):
        assert (await make.read(viewer, target.id)).done_reason is DoneReason.DO_NOT_CALL
    # the same report again changes nothing, also if the owner has removed the address since
    await suppressions.remove(viewer, suppression_ids=[one.id])
    make.one(await make.complete(viewer, attempt.id, Disposition.DO_NOT_CALL))
    assert (await suppressions.page(viewer, PageRequest())).items == []


async def test_a_wish_takes_an_entry_over_and_keeps_what_the_owner_has_said_of_the_address(
    database: str, viewer: Viewer
) -> None:
    outdial = await make.make_outdial(viewer)
    for address in (ONE, TWO):
        await make.make_target(viewer, outdial.id, address)
    claimed = await attempts.claim(viewer, outdial.id, limit=2)
    for attempt in claimed:
        await make.start(viewer, attempt.id)
    await make.suppress(viewer, ONE, reason="a judge says so")
    await make.suppress(viewer, TWO, reason="on holiday", expires_at=await db.now() + timedelta(days=1))
    for attempt in claimed:
        make.one(await make.complete(viewer, attempt.id, Disposition.DO_NOT_CALL))
    found = {one.target: one for one in (await suppressions.page(viewer, PageRequest())).items}
    callee = SuppressionSource.CALLEE
    assert (found[ONE].reason, found[ONE].expires_at, found[ONE].source) == ("a judge says so", None, callee)
    assert (found[TWO].reason, found[TWO].expires_at, found[TWO].source) == ("on holiday", None, callee)


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"detail": "x" * (validation.DETAIL_CHARACTERS_MAX + 1)}, "detail"),
        ({"retry_after_seconds": -1}, "retry_after_seconds"),
        ({"talk_seconds": -1}, "talk_seconds"),
        ({"code": "NOBODY_KNOWS_IT"}, "code"),
    ],
)
async def test_a_wish_in_a_row_that_is_refused_counts_all_the_same(
    database: str, viewer: Viewer, fields: dict[str, object], path: str
) -> None:
    outdial, other = await make.make_outdial(viewer), await make.make_outdial(viewer)
    target = await make.make_target(viewer, outdial.id, ONE)
    await make.make_target(viewer, other.id, ONE)
    [attempt] = await attempts.claim(viewer, outdial.id, limit=1)
    await make.start(viewer, attempt.id)
    refused = await make.complete(viewer, attempt.id, Disposition.DO_NOT_CALL, **fields)
    assert [(error.code, error.path) for error in refused.errors] == [
        (UserErrorCode.INVALID, ("results", "0", path)),
    ]
    assert refused.attempts == []
    [one] = (await suppressions.page(viewer, PageRequest())).items
    assert (one.target, one.source, one.expires_at) == (ONE, SuppressionSource.CALLEE, None)
    assert await claimed_at(viewer, other.id) == []
    # nothing else has changed: the result can be sent again without its fault
    assert (await make.read_attempt(viewer, attempt.id)).state is AttemptState.DIALING
    assert (await make.read(viewer, target.id)).status is TargetStatus.PROGRESSING
    make.one(await make.complete(viewer, attempt.id, Disposition.DO_NOT_CALL))
    assert (await make.read(viewer, target.id)).done_reason is DoneReason.DO_NOT_CALL
    assert len((await suppressions.page(viewer, PageRequest())).items) == 1


async def test_a_refused_row_of_no_known_attempt_says_both(database: str, viewer: Viewer) -> None:
    await make.make_outdial(viewer)
    refused = await make.complete(viewer, ids.new(), Disposition.DO_NOT_CALL, talk_seconds=-1)
    assert {(error.code, error.path[2]) for error in refused.errors} == {
        (UserErrorCode.INVALID, "talk_seconds"),
        (UserErrorCode.NOT_FOUND, "attempt_id"),
    }
    assert (await suppressions.page(viewer, PageRequest())).items == []


async def test_new_targets_with_nothing_else_are_done_at_once(database: str, viewer: Viewer) -> None:
    outdial = await make.make_outdial(viewer)
    await make.suppress(viewer, ONE)
    later = await db.now() + timedelta(days=1)
    await make.suppress(viewer, TWO, expires_at=later)
    made = await make.create_many(
        viewer, outdial.id, [make.target_draft(ONE), make.target_draft(TWO), make.target_draft(ONE, TWO)]
    )
    made.append(await make.make_target(viewer, outdial.id, ONE))
    assert [target.done_reason for target in made] == [DoneReason.DO_NOT_CALL, None, None, DoneReason.DO_NOT_CALL]
    assert await claimed_at(viewer, outdial.id) == []
    rows.check(await rows.of(database, viewer.customer_id))


async def test_a_change_of_its_owner_finishes_a_target_that_has_nothing_else_left(
    database: str, viewer: Viewer
) -> None:
    outdial = await make.make_outdial(viewer)
    await make.suppress(viewer, ONE)
    target = await make.make_target(viewer, outdial.id, ONE, TWO)
    await targets.update(viewer, target.id, changes={"destination_1": None})
    assert (await make.read(viewer, target.id)).done_reason is DoneReason.DO_NOT_CALL
    moved = await make.make_target(viewer, outdial.id, TWO)
    await targets.update(viewer, moved.id, changes={"destination_0": DestinationDraft(ONE)})
    assert (await make.read(viewer, moved.id)).done_reason is DoneReason.DO_NOT_CALL
    lowered = await make.make_target(viewer, outdial.id, ONE, TWO)
    await outdials.update(viewer, outdial.id, changes={"dial_policy": PolicyDraft(max_try_counts=(3, 0, 3, 3, 3))})
    assert (await make.read(viewer, lowered.id)).done_reason is DoneReason.DO_NOT_CALL


async def test_a_reset_leaves_out_what_is_suppressed(database: str, viewer: Viewer) -> None:
    outdial = await make.make_outdial(viewer)
    out = await make.make_target(viewer, outdial.id, ONE)
    back = await make.make_target(viewer, outdial.id, ONE, TWO)
    for target in (out, back):
        await targets.cancel(viewer, target.id)
    await make.suppress(viewer, ONE)
    reasons = [DoneReason.CANCELED]
    assert (await targets.reset(viewer, outdial.id, done_reasons=reasons, dry_run=True)).count == 1
    assert (await targets.reset(viewer, outdial.id, done_reasons=reasons)).count == 1
    assert (await make.read(viewer, back.id)).status is TargetStatus.IDLE
    assert (await make.read(viewer, out.id)).status is TargetStatus.DONE


async def test_what_cannot_be_added_is_reported_by_its_place(database: str, viewer: Viewer) -> None:
    past = await db.now() - timedelta(seconds=1)
    drafts = [
        SuppressionDraft("nobody"),
        SuppressionDraft(ONE, reason="x" * 256),
        SuppressionDraft(ONE, expires_at=past),
        SuppressionDraft(TWO, reason="right"),
    ]
    batch = await suppressions.add(viewer, drafts=drafts)
    assert [one.target for one in batch.suppressions] == [TWO]
    assert [(error.code, error.path) for error in batch.errors] == [
        (UserErrorCode.INVALID, ("suppressions", "0", "target")),
        (UserErrorCode.INVALID, ("suppressions", "1", "reason")),
        (UserErrorCode.INVALID, ("suppressions", "2", "expires_at")),
    ]
    for many in ([], [SuppressionDraft(ONE)] * (suppressions.SUPPRESSIONS_MAX + 1)):
        with pytest.raises(Rejected):
            await suppressions.add(viewer, drafts=many)


async def test_a_repeated_address_is_changed_and_keeps_its_id(database: str, viewer: Viewer) -> None:
    [before] = await make.suppress(viewer, ONE, reason="first")
    later = (await db.now() + timedelta(days=1)).replace(microsecond=0)
    [after, same] = await make.suppress(viewer, ONE, ONE, reason="second", expires_at=later)
    assert (after, after.id, after.tm_create) == (same, before.id, before.tm_create)
    assert (after.reason, after.expires_at) == ("second", later)


async def test_suppressions_are_found_by_an_address_as_people_write_it(database: str, viewer: Viewer) -> None:
    await make.suppress(viewer, ONE, TWO)
    await make.suppress(viewer, "a@example.com", type=DestinationType.EMAIL, expires_at=await db.now() + timedelta(1))

    async def found(**where: object) -> list[str]:
        request, match = PageRequest(), SuppressionFilter(**where)
        listed = [one.target for one in (await suppressions.page(viewer, request, where=match)).items]
        assert await suppressions.count(viewer, where=match) == len(listed)
        return sorted(listed)

    assert await found(target="+1 (555) 010-0001") == [ONE]
    assert await found(target="a@EXAMPLE.com") == ["a@example.com"]
    assert await found(target="15550100001 ", type=DestinationType.AGENT) == []
    assert await found(target=ONE, type=DestinationType.WHATSAPP) == [ONE]
    assert await found(target="a@example.com", type=DestinationType.EMAIL) == ["a@example.com"]
    assert await found(target="a@example.com", type=DestinationType.SIP) == []
    assert await found(expires=True) == ["a@example.com"]
    assert await found(expires=False) == [ONE, TWO]
    assert await found(sources=(SuppressionSource.CALLEE,)) == []
    assert len(await found()) == 3


@pytest.mark.parametrize(
    "text", ["020 7940 0010", "442079400010", "0044 20 7940 0010", "nonsense", "", "ann@", "sip:@"]
)
async def test_nobody_is_told_that_an_address_is_not_on_the_list_if_it_cannot_be_read(
    database: str, viewer: Viewer, text: str
) -> None:
    await make.suppress(viewer, "+442079400010")
    where = SuppressionFilter(target=text)
    for search in (
        suppressions.page(viewer, PageRequest(), where=where),
        suppressions.count(viewer, where=where),
        exports.of_suppressions(viewer, form=Form.CSV, where=where),
    ):
        with pytest.raises(BadUserInput, match=r"^The address cannot be read\."):
            await search


async def test_an_address_that_is_searched_for_is_read_by_the_default_region(
    database: str, viewer: Viewer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await make.suppress(viewer, "+442079400010")
    monkeypatch.setattr(validation, "_default_region", "GB")
    for text in ("020 7940 0010", "442079400010", "0044 20 7940 0010"):
        where = SuppressionFilter(target=text)
        assert [one.target for one in (await suppressions.page(viewer, PageRequest(), where=where)).items] == [
            "+442079400010"
        ]
    with pytest.raises(BadUserInput):
        await suppressions.page(viewer, PageRequest(), where=SuppressionFilter(type=DestinationType.TEL))


async def test_removing_by_address_or_id_tells_what_was_not_there(database: str, viewer: Viewer) -> None:
    [one] = await make.suppress(viewer, ONE)
    gone = await suppressions.remove(make.make_viewer(), suppression_ids=[one.id])
    assert [(error.code, error.path) for error in gone.errors] == [(UserErrorCode.NOT_FOUND, ("ids", "0"))]
    drafts = [SuppressionDraft("+1 555 0100001", DestinationType.WHATSAPP), SuppressionDraft(TWO), SuppressionDraft("")]
    removed = await suppressions.remove(viewer, drafts=drafts)
    assert removed.suppressions == [one]
    assert [(error.code, error.path) for error in removed.errors] == [
        (UserErrorCode.NOT_FOUND, ("addresses", "1")),
        (UserErrorCode.INVALID, ("addresses", "2", "target")),
    ]
    assert (await suppressions.page(viewer, PageRequest())).items == []


async def test_once_a_suppression_has_answered_nothing_is_claimed_or_started_there(
    database: str, viewer: Viewer
) -> None:
    """Claimers, callers and one who suppresses all numbers, one after the other."""
    outdial = await make.make_outdial(viewer)
    numbers = [make.phone_number() for _ in range(200)]
    await make.create_many(viewer, outdial.id, [make.target_draft(number) for number in numbers])
    over: set[str] = set()
    late: list[str] = []

    async def caller() -> None:
        while len(over) < len(numbers):
            suppressed = set(over)
            claimed = await attempts.claim(viewer, outdial.id, limit=2)
            late.extend(one.destination.target for one in claimed if one.destination.target in suppressed)
            for attempt in claimed:
                suppressed = set(over)
                batch = await make.start(viewer, attempt.id)
                if batch.errors:
                    assert make.code(batch) is UserErrorCode.SUPPRESSED
                elif attempt.destination.target in suppressed:
                    late.append(attempt.destination.target)
                else:
                    await make.complete(viewer, attempt.id, Disposition.BUSY, retry_after_seconds=0)
            await asyncio.sleep(0)

    async def owner() -> None:
        for place in range(0, len(numbers), 5):
            await make.suppress(viewer, *numbers[place : place + 5])
            over.update(numbers[place : place + 5])

    await asyncio.gather(owner(), *[caller() for _ in range(6)])
    await make.finish_suppressed()
    assert late == []
    tables = await rows.of(database, viewer.customer_id)
    assert {target["status"] for target in tables["target"]} == {"DONE"}
    rows.check(tables)


async def test_the_time_of_a_claim_is_when_a_suppression_expires(database: str, viewer: Viewer) -> None:
    outdial = await make.make_outdial(viewer)
    await make.make_target(viewer, outdial.id, ONE)
    await make.suppress(viewer, ONE, expires_at=await db.now() + timedelta(seconds=30))
    clock.shift += timedelta(seconds=29)
    assert await claimed_at(viewer, outdial.id) == []
    clock.shift += timedelta(seconds=2)
    assert await claimed_at(viewer, outdial.id) == [(0, ONE)]


# ---------------------------------------------------------------- files of targets


async def import_rows(viewer: Viewer, outdial_id: str, rows_given: list[str], **fields: object) -> ImportJob:
    async def pieces() -> AsyncIterator[bytes]:
        yield ("key,phone,other phone\n" + "\n".join(rows_given) + "\n").encode()

    options = ImportOptions(mapping=("phone:destination_0_target", "other phone:destination_1_target"), **fields)
    job = await imports.run(
        viewer, outdial_id, options=options, pieces=pieces(), turns=imports.turns(), stopping=asyncio.Event()
    )
    assert job.state is ImportState.COMPLETED, job
    return job


async def test_an_import_tells_how_many_rows_are_suppressed_and_nobody_of_them_is_called(
    database: str, viewer: Viewer
) -> None:
    outdial = await make.make_outdial(viewer)
    lasting = "+15550100003"
    await make.suppress(viewer, ONE)
    await make.suppress(viewer, lasting, expires_at=await db.now() + timedelta(days=1))
    listed = [f"k1,{ONE},", f"k2,{ONE},{TWO}", f"k3,{lasting},", f"k4,{TWO},", f"k5,{ONE},{lasting}", "k6,nobody,"]
    client = await FoldingClient.join(viewer, outdial.id)
    dry = await import_rows(viewer, outdial.id, listed, dry_run=True)
    job = await import_rows(viewer, outdial.id, listed)
    for one in (dry, job):
        assert one.counts == ImportCounts(read=6, created=5, rejected=1, suppressed=3)
    found = {target.key: target for target in await targets_of(viewer, outdial.id)}
    assert {key: target.done_reason for key, target in found.items()} == {
        "k1": DoneReason.DO_NOT_CALL, "k2": None, "k3": None, "k4": None, "k5": None,
    }  # fmt: skip
    assert sorted(await claimed_at(viewer, outdial.id)) == [(0, TWO), (1, TWO)]
    await client.catch_up()
    rows.check(await rows.of(database, viewer.customer_id))

    again = await import_rows(viewer, outdial.id, [f"k3,{ONE},", f"k4,{ONE},"], on_duplicate_key=DuplicateAction.UPDATE)
    assert again.counts == ImportCounts(read=2, updated=2, suppressed=2)
    assert (await make.read(viewer, found["k3"].id)).done_reason is DoneReason.DO_NOT_CALL
    assert (await make.read(viewer, found["k4"].id)).status is TargetStatus.PROGRESSING
    await client.catch_up()


@pytest.mark.slow
async def test_an_import_beside_suppressions_leaves_nobody_who_may_be_called(database: str, viewer: Viewer) -> None:
    """Whichever comes first for a row: it is created done, or it is finished afterwards, with an event."""
    outdial = await make.make_outdial(viewer)
    numbers = [make.phone_number() for _ in range(3_000)]
    client = await FoldingClient.join(viewer, outdial.id)
    over: set[str] = set()
    late: list[str] = []

    async def owner() -> None:
        for place in range(0, len(numbers), 300):
            await make.suppress(viewer, *numbers[place:][:300])
            over.update(numbers[place:][:300])
            await asyncio.sleep(0.01)

    async def caller() -> None:
        while len(over) < len(numbers):
            suppressed = set(over)
            claimed = await attempts.claim(viewer, outdial.id, limit=10)
            late.extend(one.destination.target for one in claimed if one.destination.target in suppressed)
            await asyncio.sleep(0)

    listed = [f"k{place},{number}," for place, number in enumerate(numbers)]
    job, *_ = await asyncio.gather(import_rows(viewer, outdial.id, listed), owner(), caller(), caller())
    await make.finish_suppressed()
    assert late == []
    assert (job.counts.created, job.counts.suppressed <= len(numbers)) == (len(numbers), True)
    assert await claimed_at(viewer, outdial.id) == []
    found = await targets_of(viewer, outdial.id)
    assert {target.done_reason for target in found} == {DoneReason.DO_NOT_CALL}
    tables = await rows.of(database, viewer.customer_id)
    rows.check(tables)
    told = {event["target_id"] for event in tables["target_event"] if event["type"] == TargetEventType.SUPPRESSED}
    assert len(told) == len(numbers) - job.counts.suppressed
    await client.catch_up()
