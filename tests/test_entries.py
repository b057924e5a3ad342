"""Which entry of the do-not-call list stays, against a slow and obvious model, and on both databases."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from app import attempts, db, entries, ids, suppressions
from app.addresses import DestinationType
from app.auth import Viewer
from app.lifecycle import Disposition
from app.pagination import PageRequest
from app.records import Destination, DestinationDraft, Place, Suppression, SuppressionDraft, SuppressionSource
from app.suppressions import Checked
from tests.support import factories as make

NOON = datetime(2030, 1, 1, tzinfo=UTC)
ENDS = (NOON + timedelta(days=1), NOON + timedelta(days=2), None)
"""From short to long."""
OWNER, CALLEE, IMPORT = SuppressionSource.OWNER, SuppressionSource.CALLEE, SuppressionSource.IMPORT
TEL, WHATSAPP = DestinationType.TEL, DestinationType.WHATSAPP
ONE, TWO = "+15550100001", "+15550100002"


@dataclass(frozen=True)
class Row:
    """An entry of the model."""

    type: DestinationType
    number: str
    reason: str
    source: SuppressionSource
    length: int
    """A place in ENDS."""


def slow(before: dict[str, Row], call: Sequence[Row]) -> tuple[dict[str, Row], list[bool]]:
    """What the list is after a call, and which of its rows changed it: each promise by itself."""
    after, changed = dict(before), []
    for place, row in enumerate(call):
        old = after.get(row.number)
        corrects = row.source is OWNER and row.number not in [other.number for other in call[:place]]
        if old is None:
            new = row
        elif old.source is CALLEE:
            new = old
        elif row.source is CALLEE:
            new = Row(old.type, old.number, old.reason, CALLEE, 2)
        elif row.length > old.length or (corrects and (row.type == old.type or row.length == old.length)):
            new = row
        else:
            new = old
        changed.append(old is None or new is not old)
        after[row.number] = new
    return after, changed


def row_of(source: SuppressionSource) -> st.SearchStrategy[Row]:
    lengths = st.just(2) if source is CALLEE else st.integers(0, 2)
    reasons = st.just("") if source is CALLEE else st.sampled_from("abc")
    return st.builds(
        Row, st.sampled_from((TEL, WHATSAPP)), st.sampled_from((ONE, TWO)), reasons, st.just(source), lengths
    )


CALLS = st.lists(
    st.sampled_from(SuppressionSource).flatmap(lambda source: st.lists(row_of(source), min_size=1, max_size=4)),
    max_size=6,
)


@given(CALLS)
def test_what_stays_is_what_each_promise_says(calls: list[list[Row]]) -> None:
    model: dict[str, Row] = {}
    listed: dict[Place, Suppression] = {}
    for call in calls:
        model, changed = slow(model, call)
        made = [
            Suppression(ids.new(), "c", row.type, row.number, row.reason, row.source, ENDS[row.length], NOON)
            for row in call
        ]
        before = {one.target: one for one in listed.values()}
        added = entries.added(listed, made)
        listed = dict(added.standing)
        assert list(added.changed) == changed
        assert {one.target: as_row(one) for one in listed.values()} == model
        assert {one.place for one in added.written} == {
            one.place for one, is_changed in zip(made, changed, strict=True) if is_changed
        }
        for one in added.written:
            assert one == listed[one.place]
            assert one.target not in before or one.id == before[one.target].id
        for number, old in before.items():
            new = listed[(TEL, number)]
            if old.source is CALLEE:
                assert new == old
            if call[0].source is IMPORT:
                assert old == new or entries.is_longer(new.expires_at, old.expires_at)


def as_row(one: Suppression) -> Row:
    return Row(one.type, one.target, one.reason, one.source, ENDS.index(one.expires_at))


async def listed_by(viewer: Viewer) -> dict[str, Suppression]:
    return {one.target: one for one in (await suppressions.page(viewer, PageRequest())).items}


async def file_in(viewer: Viewer, *rows: tuple[str, datetime | None], reason: str = "a file") -> list[bool]:
    given = [Checked(Destination(TEL, number, "", "", ""), reason, ends) for number, ends in rows]
    return list((await suppressions.store_checked(viewer, given, IMPORT)).changed)


async def wish(viewer: Viewer, *numbers: str) -> None:
    """The people called there ask not to be called."""
    outdial = await make.make_outdial(viewer)
    for number in numbers:
        await make.make_target(viewer, outdial.id, number)
    for attempt in await attempts.claim(viewer, outdial.id, limit=len(numbers)):
        await make.complete(viewer, attempt.id, Disposition.DO_NOT_CALL)


async def test_a_wish_is_never_shortened_or_relabeled_and_only_removing_ends_it(database: str, viewer: Viewer) -> None:
    await wish(viewer, ONE)
    before = await listed_by(viewer)
    assert (before[ONE].source, before[ONE].expires_at) == (CALLEE, None)
    soon = (await db.now()).replace(microsecond=0) + timedelta(days=1)

    assert await file_in(viewer, (ONE, soon), (ONE, None)) == [False, False]
    assert await make.suppress(viewer, ONE, reason="mine", expires_at=soon) == [before[ONE]]
    assert await make.suppress(viewer, ONE, type=WHATSAPP, expires_at=soon) == [before[ONE]]
    assert await listed_by(viewer) == before

    await suppressions.remove(viewer, drafts=[SuppressionDraft(ONE)])
    [after] = await make.suppress(viewer, ONE, expires_at=soon)
    assert (after.source, after.expires_at) == (OWNER, soon)


async def test_a_file_only_lengthens_and_the_same_file_again_changes_nothing(database: str, viewer: Viewer) -> None:
    now = (await db.now()).replace(microsecond=0)
    short, long = now + timedelta(days=1), now + timedelta(days=2)
    await make.suppress(viewer, ONE, reason="mine")
    await make.suppress(viewer, TWO, reason="mine", expires_at=short)
    before = await listed_by(viewer)

    assert await file_in(viewer, (ONE, long), (TWO, short)) == [False, False]
    assert await listed_by(viewer) == before
    assert await file_in(viewer, (TWO, short), (TWO, long), (TWO, short)) == [False, True, False]
    after = await listed_by(viewer)
    assert (after[TWO].id, after[TWO].source, after[TWO].reason, after[TWO].expires_at) == (
        before[TWO].id, IMPORT, "a file", long,
    )  # fmt: skip
    assert await file_in(viewer, (ONE, long), (TWO, long)) == [False, False]
    assert await listed_by(viewer) == after


async def test_an_owner_corrects_an_entry_and_one_for_whatsapp_shortens_none_of_the_telephone(
    database: str, viewer: Viewer
) -> None:
    soon = (await db.now()).replace(microsecond=0) + timedelta(days=1)
    await file_in(viewer, (ONE, None))
    [kept] = await make.suppress(viewer, ONE, type=WHATSAPP, expires_at=soon)
    assert (kept.type, kept.expires_at, kept.source) == (TEL, None, IMPORT)
    [corrected] = await make.suppress(viewer, ONE, reason="until tomorrow", expires_at=soon)
    assert (corrected.reason, corrected.expires_at, corrected.source) == ("until tomorrow", soon, OWNER)
    batch = await suppressions.add(viewer, drafts=[SuppressionDraft(ONE), SuppressionDraft(ONE, expires_at=soon)])
    assert [one.expires_at for one in batch.suppressions] == [None, None], "of rows with one address the longest counts"


async def test_two_at_once_end_as_one_after_the_other_would(database: str, viewer: Viewer) -> None:
    """Short and long files, and people who ask, at the same time: no entry ends before the last of them says."""
    numbers = [make.phone_number() for _ in range(20)]
    soon = (await db.now()).replace(microsecond=0) + timedelta(days=1)
    asked, lasting = numbers[:10], numbers[10:15]
    outdial = await make.make_outdial(viewer)
    await make.create_many(viewer, outdial.id, [make.target_draft(number) for number in asked])
    claimed = await attempts.claim(viewer, outdial.id, limit=len(asked))
    for attempt in claimed:
        await make.start(viewer, attempt.id)
    await asyncio.gather(
        *(make.complete(viewer, attempt.id, Disposition.DO_NOT_CALL) for attempt in claimed),
        *(file_in(viewer, *((number, soon) for number in numbers)) for _ in range(4)),
        file_in(viewer, *((number, None) for number in lasting)),
    )
    listed = await listed_by(viewer)
    assert {number: (listed[number].source, listed[number].expires_at) for number in numbers} == {
        **dict.fromkeys(asked, (CALLEE, None)),
        **dict.fromkeys(lasting, (IMPORT, None)),
        **dict.fromkeys(numbers[15:], (IMPORT, soon)),
    }


async def test_targets_of_whatsapp_are_finished_by_a_wish_for_the_number(database: str, viewer: Viewer) -> None:
    outdial = await make.make_outdial(viewer)
    target = await make.make_target(viewer, outdial.id, DestinationDraft(ONE, WHATSAPP))
    await make.suppress(viewer, ONE, expires_at=await db.now() + timedelta(days=1))
    other = make.make_viewer()
    assert await listed_by(other) == {}
    await suppressions.remove(viewer, drafts=[SuppressionDraft(ONE)])
    attempt = await make.claim(viewer, outdial.id)
    assert attempt.target_id == target.id
    await make.suppress(viewer, ONE, reason="on holiday", expires_at=await db.now() + timedelta(days=1))
    await make.complete(viewer, attempt.id, Disposition.DO_NOT_CALL)
    [one] = (await listed_by(viewer)).values()
    assert (one.source, one.expires_at, one.reason, one.type) == (CALLEE, None, "on holiday", TEL)
