"""The owner's own results: which codes a customer has, which are accepted, and that what was counted stays so."""

import asyncio

import pytest

from app import attempts, codes, db, suppressions
from app.auth import Viewer
from app.errors import BadUserInput, Rejected
from app.frozen import replace
from app.lifecycle import AttemptState, Disposition, DoneReason, TargetStatus
from app.pagination import PageRequest
from app.records import Attempt, AttemptBatch, AttemptFilter, AttemptResult, ResultCode, ResultCodeDraft
from tests.support import factories as make
from tests.support import rows

SALE = ResultCodeDraft("SALE", "Sold it", Disposition.ANSWERED, is_right_party=True, is_conversion=True)
LATER = ResultCodeDraft("LATER", "Call me later", Disposition.NO_ANSWER, is_right_party=True)
WRONG = ResultCodeDraft("WRONG", "Another person", Disposition.ANSWERED)


def names(listed: list[ResultCode]) -> list[tuple[str, bool]]:
    return [(one.code, one.is_retired) for one in listed]


def refused(batch: AttemptBatch) -> list[tuple[str, tuple[str, ...], str]]:
    return [(error.code.value, error.path, error.message) for error in batch.errors]


def coded(attempt: Attempt) -> tuple[object, ...]:
    return attempt.state, attempt.disposition, attempt.code, attempt.is_right_party, attempt.is_conversion


# ---------------------------------------------------------------- the list


async def test_codes_are_in_their_owners_order_and_what_a_list_leaves_out_is_retired(
    database: str, viewer: Viewer
) -> None:
    assert await codes.get_all(viewer) == []
    found = await codes.set_all(viewer, drafts=[LATER, SALE])
    assert found == [
        ResultCode("LATER", "Call me later", Disposition.NO_ANSWER, True, False, False),
        ResultCode("SALE", "Sold it", Disposition.ANSWERED, True, True, False),
    ]
    assert await codes.get_all(viewer) == found
    assert names(await codes.set_all(viewer, drafts=[WRONG, LATER])) == [("WRONG", False), ("LATER", False)]
    found = await codes.get_all(viewer)
    assert names(found) == [("WRONG", False), ("LATER", False), ("SALE", True)]
    assert found[-1].label == "Sold it"
    found = await codes.set_all(viewer, drafts=[replace(WRONG, is_retired=True), SALE])
    assert names(found) == [("WRONG", True), ("SALE", False)]
    assert names(await codes.get_all(viewer)) == [("SALE", False), ("WRONG", True), ("LATER", True)]
    assert await codes.set_all(viewer, drafts=[]) == []
    assert names(await codes.get_all(viewer)) == [("WRONG", True), ("LATER", True), ("SALE", True)]


async def test_a_list_with_one_wrong_code_changes_nothing(database: str, viewer: Viewer) -> None:
    await codes.set_all(viewer, drafts=[SALE])
    busy = Disposition.BUSY
    given = [
        LATER,
        ResultCodeDraft("", "x", busy),
        ResultCodeDraft(" A", "x", busy),
        ResultCodeDraft("A\nB", "x", busy),
        ResultCodeDraft("x" * 65, "x", busy),
        ResultCodeDraft("B", " ", busy),
        ResultCodeDraft("C", "x" * 256, busy),
        ResultCodeDraft("LATER", "Again", busy),
        ResultCodeDraft("D\x00", "x", busy),
        ResultCodeDraft("later", "Another", busy),
        ResultCodeDraft("LA\u200bTER", "x", busy),
        ResultCodeDraft("LATER\ufe0f", "x", busy),
        ResultCodeDraft("\u3164", "x", busy),
        ResultCodeDraft("CAFE\u0301", "x", busy),  # looks like the next one
        ResultCodeDraft("CAF\u00c9", "x", busy),
        ResultCodeDraft("E", "\u200b\u00a0\u3164", busy),
    ]
    with pytest.raises(Rejected) as refusal:
        await codes.set_all(viewer, drafts=given)
    assert [(error.code.value, *error.path[1:]) for error in refusal.value.errors] == [
        ("INVALID", "1", "code"),
        ("INVALID", "2", "code"),
        ("INVALID", "3", "code"),
        ("INVALID", "4", "code"),
        ("INVALID", "5", "label"),
        ("INVALID", "6", "label"),
        ("INVALID", "7", "code"),
        ("INVALID", "8", "code"),
        ("INVALID", "10", "code"),
        ("INVALID", "11", "code"),
        ("INVALID", "12", "code"),
        ("INVALID", "13", "code"),
        ("INVALID", "15", "label"),
    ]
    assert names(await codes.get_all(viewer)) == [("SALE", False)]


async def test_a_customer_has_a_bounded_number_of_codes(database: str, viewer: Viewer) -> None:
    def many(first: int, number: int) -> list[ResultCodeDraft]:
        return [ResultCodeDraft(f"C{first + index}", "x", Disposition.BUSY) for index in range(number)]

    with pytest.raises(Rejected, match="at most 200") as refusal:
        await codes.set_all(viewer, drafts=many(0, codes.CODES_MAX + 1))
    assert refusal.value.errors[0].path == ("codes",)
    for first in range(0, codes.KEPT_CODES_MAX, codes.CODES_MAX):
        await codes.set_all(viewer, drafts=many(first, codes.CODES_MAX))
    assert len(await codes.get_all(viewer)) == codes.KEPT_CODES_MAX
    with pytest.raises(Rejected, match="at most 1,000 with retired ones"):
        await codes.set_all(viewer, drafts=[SALE])
    assert names(await codes.set_all(viewer, drafts=many(3, 1))) == [("C3", False)]


async def test_a_key_sets_the_codes_once_and_a_list_that_changes_nothing_writes_nothing(
    database: str, viewer: Viewer
) -> None:
    first = await codes.set_all(viewer, drafts=[SALE, LATER], idempotency_key="once")
    await codes.set_all(viewer, drafts=[WRONG])
    again = await codes.set_all(viewer, drafts=[SALE, LATER], idempotency_key="once")
    assert names(first) == [("SALE", False), ("LATER", False)]
    assert names(again) == [("SALE", True), ("LATER", True)]
    assert names(await codes.get_all(viewer)) == [("WRONG", False), ("SALE", True), ("LATER", True)]
    with pytest.raises(Rejected) as refusal:
        await codes.set_all(viewer, drafts=[SALE], idempotency_key="once")
    assert [(error.code.value, error.path) for error in refusal.value.errors] == [("CONFLICT", ("idempotency_key",))]
    assert await version(viewer) == 2
    await codes.set_all(viewer, drafts=[WRONG], idempotency_key="another")
    assert await version(viewer) == 2
    found = await codes.set_all(viewer, drafts=[SALE], idempotency_key="another")  # without effect, it kept no key
    assert names(found) == [("SALE", False)]


async def version(viewer: Viewer) -> int:
    [row] = await db.fetch("SELECT result_codes_version FROM customer WHERE customer_id = $1", viewer.customer_id)
    number: int = row["result_codes_version"]
    return number


# ---------------------------------------------------------------- results


async def test_a_result_has_its_code_and_what_the_code_said_then(database: str, viewer: Viewer) -> None:
    await codes.set_all(viewer, drafts=[SALE, LATER])
    outdial = await make.make_outdial(viewer)
    await make.make_targets(viewer, outdial.id, 3)
    one, two, three = await attempts.claim(viewer, outdial.id, limit=3)
    assert coded(one) == (AttemptState.CLAIMED, None, None, None, None)
    batch = await attempts.complete(
        viewer,
        results=[
            AttemptResult(one.id, Disposition.ANSWERED, code="SALE"),
            AttemptResult(two.id, Disposition.NO_ANSWER, code="LATER"),
            AttemptResult(three.id, Disposition.ANSWERED),
        ],
    )
    wanted = [
        (AttemptState.COMPLETED, Disposition.ANSWERED, "SALE", True, True),
        (AttemptState.COMPLETED, Disposition.NO_ANSWER, "LATER", True, False),
        (AttemptState.COMPLETED, Disposition.ANSWERED, None, None, None),
    ]
    assert (batch.errors, [coded(attempt) for attempt in batch.attempts]) == ((), wanted)
    await codes.set_all(viewer, drafts=[replace(SALE, is_conversion=False, disposition=Disposition.BUSY)])
    read = await attempts.get_many(viewer, [one.id, two.id, three.id])
    assert [coded(read[attempt.id]) for attempt in (one, two, three)] == wanted
    stored = await rows.of(database, viewer.customer_id)
    rows.check(stored)
    reported = [event for event in stored["target_event"] if event["type"] == "COMPLETED"]
    assert [event["disposition"] for event in reported] == ["ANSWERED", "NO_ANSWER", "ANSWERED"]  # as ever


async def test_a_code_must_be_there_in_use_and_of_the_disposition(database: str, viewer: Viewer) -> None:
    await codes.set_all(viewer, drafts=[SALE, LATER])
    await codes.set_all(viewer, drafts=[SALE])
    await codes.set_all(make.make_viewer(), drafts=[WRONG])
    outdial = await make.make_outdial(viewer)
    await make.make_targets(viewer, outdial.id, 6)
    made = await attempts.claim(viewer, outdial.id, limit=6)
    given = [
        (Disposition.ANSWERED, "SALE"),
        (Disposition.BUSY, "SALE"),
        (Disposition.NO_ANSWER, "LATER"),
        (Disposition.ANSWERED, "WRONG"),  # another customer's
        (Disposition.ANSWERED, "\x00"),
        (Disposition.ANSWERED, "x" * 65),
    ]
    results = [
        AttemptResult(attempt.id, disposition, code=code)
        for attempt, (disposition, code) in zip(made, given, strict=True)
    ]
    batch = await attempts.complete(viewer, results=results)
    assert [attempt.id for attempt in batch.attempts] == [made[0].id]
    assert refused(batch) == [
        ("INVALID", ("results", "1", "code"), "This result code belongs to the disposition ANSWERED."),
        ("INVALID", ("results", "2", "code"), "This result code is retired. Use another one of resultCodes."),
        ("INVALID", ("results", "3", "code"), "Unknown result code. Use one of resultCodes."),
        ("INVALID", ("results", "4", "code"), "Unknown result code. Use one of resultCodes."),
        ("INVALID", ("results", "5", "code"), "Unknown result code. Use one of resultCodes."),
    ]
    for attempt in made[1:]:
        assert coded(await make.read_attempt(viewer, attempt.id)) == (AttemptState.CLAIMED, None, None, None, None)
        assert (await make.read(viewer, attempt.target_id)).status is TargetStatus.PROGRESSING


async def test_the_first_report_of_a_disposition_decides_its_code(database: str, viewer: Viewer) -> None:
    await codes.set_all(viewer, drafts=[SALE, WRONG])
    outdial = await make.make_outdial(viewer)
    await make.make_targets(viewer, outdial.id, 2)
    sold, plain = await attempts.claim(viewer, outdial.id, limit=2)
    await make.complete(viewer, sold.id, Disposition.ANSWERED, code="SALE")
    await make.complete(viewer, plain.id, Disposition.ANSWERED)
    await codes.set_all(viewer, drafts=[WRONG])
    for given in ("SALE", "WRONG", None, "never there"):  # sent again, also after the code was retired
        again = make.one(await make.complete(viewer, sold.id, Disposition.ANSWERED, code=given))
        assert coded(again) == (AttemptState.COMPLETED, Disposition.ANSWERED, "SALE", True, True)
        assert make.one(await make.complete(viewer, plain.id, Disposition.ANSWERED, code=given)).code is None
    other = await make.complete(viewer, sold.id, Disposition.BUSY, code="SALE")
    assert [error.code.value for error in other.errors] == ["ALREADY_ENDED"]


async def test_a_wish_not_to_be_called_may_have_a_code(database: str, viewer: Viewer) -> None:
    await codes.set_all(viewer, drafts=[ResultCodeDraft("STOP", "Never again", Disposition.DO_NOT_CALL)])
    outdial = await make.make_outdial(viewer)
    await make.make_target(viewer, outdial.id)
    attempt = await make.claim(viewer, outdial.id)
    ended = make.one(await make.complete(viewer, attempt.id, Disposition.DO_NOT_CALL, code="STOP"))
    assert coded(ended) == (AttemptState.COMPLETED, Disposition.DO_NOT_CALL, "STOP", False, False)


@pytest.mark.parametrize("is_dialed", [False, True])
async def test_a_wish_not_to_be_called_counts_whatever_its_code_is(
    database: str, viewer: Viewer, is_dialed: bool
) -> None:
    outdial = await make.make_outdial(viewer)
    target = await make.make_target(viewer, outdial.id)
    attempt = await make.claim(viewer, outdial.id)
    if is_dialed:
        await make.start(viewer, attempt.id)
    batch = await make.complete(viewer, attempt.id, Disposition.DO_NOT_CALL, code="NONE")
    assert refused(batch)[0][:2] == ("INVALID", ("results", "0", "code"))
    assert [one.target for one in (await suppressions.page(viewer, PageRequest())).items] == [
        attempt.destination.target
    ]
    assert make.one(await make.complete(viewer, attempt.id, Disposition.DO_NOT_CALL)).code is None
    assert (await make.read(viewer, target.id)).done_reason is DoneReason.DO_NOT_CALL


async def test_the_ledger_is_filtered_by_code(database: str, viewer: Viewer) -> None:
    await codes.set_all(viewer, drafts=[SALE, LATER, WRONG])
    outdial = await make.make_outdial(viewer)
    await make.make_targets(viewer, outdial.id, 4)
    made = await attempts.claim(viewer, outdial.id, limit=4)
    for attempt, draft in zip(made, (SALE, LATER, WRONG), strict=False):
        await make.complete(viewer, attempt.id, draft.disposition, code=draft.code)

    async def found(*given: str) -> list[str | None]:
        where = AttemptFilter(codes=given)
        page = await attempts.pages_of_outdials(viewer, [outdial.id], request=PageRequest(), where=where)
        number = (await attempts.counts_of_outdials(viewer, [outdial.id], where=where))[outdial.id]
        listed = [attempt.code for attempt in page[outdial.id].items]
        assert number == len(listed)
        return sorted(listed, key=str)

    assert await found("SALE") == ["SALE"]
    assert await found("SALE", "LATER", "NONE") == ["LATER", "SALE"]
    assert await found("sale") == []
    assert len(await found()) == 4
    with pytest.raises(BadUserInput):
        await found("\x00")


# ---------------------------------------------------------------- at the same time


async def test_once_a_code_is_retired_no_result_is_accepted_with_it(database: str, viewer: Viewer) -> None:
    """Reports of six dialers, and an owner who retires the code and takes it into use again."""
    await codes.set_all(viewer, drafts=[SALE])
    outdial = await make.make_outdial(viewer, policy={"retry_interval_seconds": 0, "max_try_counts": (100,) * 5})
    await make.make_targets(viewer, outdial.id, 1_000)
    is_retired, is_over, changes = False, False, 0
    late: list[str] = []
    taken: list[str] = []
    refusals: list[str] = []

    async def dialer() -> None:
        while not is_over:
            [attempt] = await attempts.claim(viewer, outdial.id)
            was_retired, before = is_retired, changes
            batch = await make.complete(viewer, attempt.id, Disposition.ANSWERED, code="SALE")
            if batch.attempts:
                taken.append(attempt.id)
                if was_retired and before == changes:
                    late.append(attempt.id)
            else:
                assert refused(batch)[0][:2] == ("INVALID", ("results", "0", "code"))
                refusals.append(attempt.id)
                await make.complete(viewer, attempt.id, Disposition.BUSY)

    async def until_more_of(listed: list[str]) -> None:
        wanted = len(listed) + 2
        while len(listed) < wanted:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.001)

    async def owner() -> None:
        nonlocal is_retired, is_over, changes
        async with asyncio.timeout(90):
            for _ in range(10):
                await until_more_of(taken)
                await codes.set_all(viewer, drafts=[])
                is_retired, changes = True, changes + 1
                await until_more_of(refusals)
                is_retired, changes = False, changes + 1
                await codes.set_all(viewer, drafts=[SALE])
        is_over = True

    await asyncio.gather(owner(), *[dialer() for _ in range(6)])
    assert late == []
    counted = await attempts.counts_of_outdials(viewer, [outdial.id], where=AttemptFilter(codes=("SALE",)))
    assert counted[outdial.id] == len(taken) >= 20
    rows.check(await rows.of(database, viewer.customer_id))


@pytest.mark.parametrize("what", ["retired", "another disposition", "other flags"])
async def test_a_report_is_decided_again_if_the_codes_have_changed_since_they_were_read(
    postgres_url: str, viewer: Viewer, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between its two trips, where it has no lock."""
    await db.connect(postgres_url)
    try:
        await codes.set_all(viewer, drafts=[SALE])
        outdial = await make.make_outdial(viewer)
        await make.make_target(viewer, outdial.id)
        attempt = await make.claim(viewer, outdial.id)
        changes = {
            "retired": {"is_retired": True},
            "another disposition": {"disposition": Disposition.BUSY},
            "other flags": {"is_conversion": False},
        }
        at_once = db.at_once
        tries = []

        async def changed_before(*args: object, **kwargs: object) -> object:
            tries.append(1)
            await codes.set_all(viewer, drafts=[replace(SALE, **changes[what])])
            return await at_once(*args, **kwargs)  # type: ignore[arg-type]

        monkeypatch.setattr(db, "at_once", changed_before)
        batch = await make.complete(viewer, attempt.id, Disposition.ANSWERED, code="SALE")
        assert len(tries) == 1
        if what == "other flags":
            assert coded(make.one(batch))[2:] == ("SALE", True, False)
        else:
            assert [error.path for error in batch.errors] == [("results", "0", "code")]
            assert (await make.read_attempt(viewer, attempt.id)).state is AttemptState.CLAIMED
    finally:
        await db.close()


async def test_reports_at_the_same_time_each_have_their_own_codes(database: str, viewer: Viewer) -> None:
    await codes.set_all(viewer, drafts=[SALE, LATER, WRONG])
    outdial = await make.make_outdial(viewer)
    await make.make_targets(viewer, outdial.id, 12)
    made = await attempts.claim(viewer, outdial.id, limit=12)
    drafts = [SALE, LATER, WRONG, None] * 3
    answers = await asyncio.gather(
        *(
            make.complete(viewer, attempt.id, Disposition.BUSY)
            if draft is None
            else make.complete(viewer, attempt.id, draft.disposition, code=draft.code)
            for attempt, draft in zip(made, drafts, strict=True)
        )
    )
    assert [make.one(answer).code for answer in answers] == ["SALE", "LATER", "WRONG", None] * 3
    assert [make.one(answer).is_conversion for answer in answers] == [True, False, False, None] * 3


async def test_the_database_refuses_a_code_without_a_result(database: str, viewer: Viewer) -> None:
    outdial = await make.make_outdial(viewer)
    await make.make_target(viewer, outdial.id)
    attempt = await make.claim(viewer, outdial.id)
    for change in (
        "code = 'SALE'",
        "code = 'SALE', is_right_party = 1, is_conversion = 1",
        "is_right_party = 1",
        "is_conversion = 0",
    ):
        with pytest.raises(Exception, match=r"attempt_code_is_of_a_result"):
            await rows.execute(database, f"UPDATE attempt SET {change}")
    assert coded(await make.read_attempt(viewer, attempt.id)) == (AttemptState.CLAIMED, None, None, None, None)
