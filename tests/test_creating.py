"""New targets: what is stored, counted and logged of a call is what the call answers, for one target and for many."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import attempts, clock, db, events, outdials, rows, tables, targets, validation
from app.addresses import DestinationType
from app.auth import Viewer
from app.changes import created, created_all
from app.db import bulk, dialects
from app.lifecycle import DESTINATIONS, TargetEventType, TargetStatus, idle_or_done
from app.records import (
    DedupeScope,
    DestinationDraft,
    DuplicateAction,
    Outdial,
    Target,
    TargetDraft,
    TargetEvent,
)
from app.targets import drafts
from tests.support import factories as make

ODD_TEXTS = (
    "",
    " ",
    "\\",
    r"\N",
    r"\.",
    "\\.\n\\.",
    "a\tb",
    "a\nb",
    "a\r\nb",
    "\x01\x1e\x1f\x7f",
    "\"quoted\", 'twice'",
    "{1,2}",
    '{"a": "\\u0000"}',
    "null",
    "NULL",
    "Zoë 👩‍👩‍👧 שלום",
    "\u2028\u0085\ufeff",
    "x" * 255,
)
SIZES = (1, 2, 99, 100, 101, 1_000)


def odd_drafts(count: int) -> list[TargetDraft]:
    """Drafts with odd texts in every column, of all shapes."""

    def text(number: int) -> str:
        return ODD_TEXTS[number % len(ODD_TEXTS)]

    now = clock.now()
    return [
        TargetDraft(
            key=f"{number} {text(number)}"[:255] if number % 3 else None,
            name=text(number),
            detail=text(number + 5),
            data=text(number // 2),
            priority=number % 10,
            max_try_counts=(0, 0, 0, 0, 0) if number % 7 == 1 else (number % 4 + 1,) * 5 if number % 5 == 0 else None,
            not_before=now + timedelta(hours=number % 3) if number % 2 else None,
            destinations=tuple(
                DestinationDraft(f"+1555{number:04d}{index:03d}", DestinationType.TEL, text(index), text(number), "d")
                if (number + index) % 4 == 0 or index == number % DESTINATIONS
                else None
                for index in range(DESTINATIONS)
            ),
        )
        for number in range(count)
    ]


async def logged(viewer: Viewer, outdial: Outdial, after: str, count: int) -> list[TargetEvent]:
    found: list[TargetEvent] = []
    stream = events.tail(viewer, outdial.id, after=after)
    while len(found) < count:
        found += (await anext(stream)).events
    await stream.aclose()  # type: ignore[attr-defined]
    return found


@pytest.mark.parametrize("count", SIZES)
async def test_what_is_stored_and_logged_is_what_is_answered(database: str, viewer: Viewer, count: int) -> None:
    outdial = await make.make_outdial(viewer)
    start = events.cursor(outdial.id, await events.position(viewer.customer_id))
    answered = await make.create_many(viewer, outdial.id, odd_drafts(count))
    assert [target.id for target in answered] == sorted({target.id for target in answered})
    assert len(answered) == count
    stored = await targets.get_many(viewer, [target.id for target in answered])
    assert [stored[target.id] for target in answered] == answered
    told = await logged(viewer, outdial, start, count)
    assert [(event.target_id, event.status, event.done_reason, event.next_try_at) for event in told] == [
        (target.id, target.status, target.done_reason, target.next_try_at) for target in answered
    ]
    assert {
        (event.type, event.occurred_at, event.count, event.previous_status, event.version, event.try_counts)
        for event in told
    } == {(TargetEventType.CREATED, answered[0].tm_create, 1, None, 1, (0,) * DESTINATIONS)}
    progress = (await outdials.progress(viewer, [outdial.id]))[outdial.id]
    standings = Counter(target.status for target in answered)
    assert (progress.idle, progress.done) == (standings[TargetStatus.IDLE], standings[TargetStatus.DONE])
    assert (progress.done == 0) is (count == 1)


async def test_a_call_takes_the_same_statements_for_few_targets_and_for_many(database: str, viewer: Viewer) -> None:
    """On SQLite one more for each hundred."""
    counts = []
    for number in (2, 100, 1_000):
        outdial = await make.make_outdial(viewer)
        given = [make.target_draft(key=f"key {n}", name=f"name {n}") for n in range(number)]
        before = db.statements.sent
        await make.create_many(viewer, outdial.id, given)
        counts.append(db.statements.sent - before)
    assert counts[1] == counts[0]
    assert counts[2] == counts[0] + (0 if db.is_postgres() else 9)


async def test_rows_that_replace_rows_of_the_same_call_are_events_of_their_own(database: str, viewer: Viewer) -> None:
    outdial = await make.make_outdial(viewer)
    old = await make.make_target(viewer, outdial.id, key="old")
    start = events.cursor(outdial.id, await events.position(viewer.customer_id))
    given = [
        make.target_draft(key="new", name="first"),
        make.target_draft(key="old", name="again"),
        make.target_draft(key="other"),
        make.target_draft(key="new", name="second"),
    ]
    answer = await targets.create_many(viewer, outdial.id, drafts=given, on_duplicate_key=DuplicateAction.UPDATE)
    assert (answer.created, answer.updated, answer.skipped, answer.rejected) == (2, 2, 0, 0)
    new, again, other, last = answer.targets
    assert new is last
    assert new is not None
    assert again is not None
    assert other is not None
    assert (again.id, again.name, again.version) == (old.id, "again", 2)
    assert (new.name, new.version, other.version) == ("second", 2, 1)
    stored = await targets.get_many(viewer, [new.id, again.id, other.id])
    assert stored == {new.id: new, again.id: again, other.id: other}
    told = await logged(viewer, outdial, start, 4)
    steps = [(event.target_id, event.type, event.version) for event in told]
    assert sorted(steps) == sorted([
        (new.id, TargetEventType.CREATED, 1),
        (other.id, TargetEventType.CREATED, 1),
        (old.id, TargetEventType.UPDATED, 2),
        (new.id, TargetEventType.UPDATED, 2),
    ])  # fmt: skip
    assert [version for target_id, _, version in steps if target_id == new.id] == [1, 2]
    progress = (await outdials.progress(viewer, [outdial.id]))[outdial.id]
    assert (progress.idle, progress.done) == (3, 0)


async def test_a_key_is_found_in_its_own_outdial_and_free_once_its_target_is_deleted(
    database: str, viewer: Viewer, stranger: Viewer
) -> None:
    outdial, other = await make.make_outdial(viewer), await make.make_outdial(viewer)
    foreign = await make.make_outdial(stranger)
    await make.make_target(viewer, other.id, key="a")
    await make.make_target(stranger, foreign.id, key="a")
    gone = await make.make_target(viewer, outdial.id, key="b")
    await targets.delete(viewer, gone.id)
    given = [make.target_draft(key=key) for key in ("a", "b", "c")]
    assert len(await make.create_many(viewer, outdial.id, given)) == 3
    for action, counts in (
        (DuplicateAction.REJECT, (0, 0, 0, 3)),
        (DuplicateAction.SKIP, (0, 0, 3, 0)),
        (DuplicateAction.UPDATE, (0, 3, 0, 0)),
    ):
        given = [make.target_draft(key=key, name="again") for key in ("a", "b", "c")]
        answer = await targets.create_many(viewer, outdial.id, drafts=given, on_duplicate_key=action)
        assert (answer.created, answer.updated, answer.skipped, answer.rejected) == counts


# ---------------------------------------------------------------- what is said twice says the same


def new_targets(outdial: Outdial, count: int) -> list[Target]:
    errors: list[Any] = []
    checked = [validation.target(draft, errors, "targets") for draft in odd_drafts(count)]
    assert errors == []
    now = clock.now()
    return [drafts.new_target(outdial, draft, now) for draft in checked]


async def test_columns_of_new_targets_and_events_are_those_of_each(database: str, viewer: Viewer) -> None:
    made = new_targets(await make.make_outdial(viewer), 50)
    columns = rows.target_columns(made)
    of_callbacks = {"rank", "callback_mask", "callback_check_at"}
    assert set(columns) == {*tables.TARGET.kinds, *of_callbacks}
    for number, target in enumerate(made):
        assert rows.target({name: values[number] for name, values in columns.items()}) == target
    event_columns = created_all(made)
    assert set(event_columns) == set(tables.TARGET_EVENT.kinds)
    for number, target in enumerate(made):
        assert {name: values[number] for name, values in event_columns.items()} == created(target).event


async def test_a_new_target_stands_as_the_rule_says(database: str, viewer: Viewer) -> None:
    outdial = await make.make_outdial(viewer, policy={"max_try_counts": (0, 0, 1, 2, 0)})
    seen = set()
    for target in new_targets(outdial, 200):
        standing = idle_or_done(target.tries(outdial.dial_policy), target.next_try_at or target.tm_create)
        assert (target.status, target.done_reason) == (standing.status, standing.done_reason)
        assert target.next_try_at == standing.next_try_at
        seen.add(target.status)
    assert seen == {TargetStatus.IDLE, TargetStatus.DONE}


async def test_events_of_new_targets_are_refused_without_the_writers_lock(database: str, viewer: Viewer) -> None:
    made = new_targets(await make.make_outdial(viewer), 2)

    async def unlocked(tx: db.Transaction) -> None:
        await events.append_columns(tx, created_all(made))

    with pytest.raises(RuntimeError, match=r"without tx\.lock"):
        await db.transaction(unlocked)


# ---------------------------------------------------------------- rows in bulk

texts = st.text(alphabet=st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)
values = st.one_of(st.none(), texts, st.sampled_from(ODD_TEXTS))


def read_copy(text: bytes) -> list[list[str | None]]:
    """Reads COPY's text as PostgreSQL's documentation describes it."""
    escapes = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\"}

    def unescaped(cell: str) -> str | None:
        if cell == r"\N":
            return None
        letters, found = iter(cell), ""
        for letter in letters:
            found += escapes[next(letters)] if letter == "\\" else letter
        return found

    return [[unescaped(cell) for cell in line.split("\t")] for line in text.decode().split("\n")[:-1]]


@given(st.integers(1, 5).flatmap(lambda width: st.lists(st.lists(values, min_size=width, max_size=width), min_size=1)))
def test_copied_text_is_read_as_it_was_given(lines: Sequence[Sequence[str | None]]) -> None:
    columns = {f"c{number}": list(column) for number, column in enumerate(zip(*lines, strict=True))}
    read = read_copy(bulk.copy_text(columns))
    assert [dict(zip(columns, line, strict=True)) for line in read] == [
        {name: column[number] for name, column in columns.items()} for number in range(len(lines))
    ]


@pytest.mark.parametrize("text", ["\0", "a\0b", "\0\\"])
def test_nul_in_copied_text_is_refused_and_never_moves_a_cell(text: str) -> None:
    with pytest.raises(ValueError, match="NUL"):
        bulk.copy_text({"a": ["\\", text, "c"], "b": ["1", "2", "3"]})


def test_columns_become_one_table_on_both_databases() -> None:
    kinds = {"id": "uuid", "at": "instant", "value": "json"}
    for dialect in dialects.Dialect:
        text = dialects.columnset(dialect, kinds, "new", first=3)
        assert " AS new" in text
        assert "$3" in text
        made = dialects.columnset_values(dialect, [["a", "b"], [None, clock.now()], ['{"x":1}', None]])
        assert len(made) == (3 if dialect is dialects.Dialect.POSTGRES else 1)


async def test_lists_and_instants_pass_postgresql_unchanged(postgres_url: str) -> None:
    characters = [f"{chr(number)}{chr(number)}a" for number in range(1, 0x300)]
    texts = [*ODD_TEXTS, *characters, "\\n\n", '\\"\n', "a\\", None]
    spelled = ("1970-01-01T00:00:00", "2026-11-29T16:35:25.3", "8999-12-31T23:59:59.999999")
    instants = [*(datetime.fromisoformat(text).replace(tzinfo=UTC) for text in spelled), None]
    kinds = {"text": "text", "instant_at": "instant"}
    await db.connect(postgres_url)
    try:
        for given in (texts, [text for text in texts if text and text.isprintable()], [None], []):
            dated = [instants[number % len(instants)] for number in range(len(given))]
            found = await db.fetch(
                f"SELECT * FROM {db.columnset(kinds, 'given', first=1)} ORDER BY ord",
                *db.columnset_values([given, dated]),
            )
            assert [(row["text"], row["instant_at"]) for row in found] == list(zip(given, dated, strict=True))
            assert {row["instant_at"].tzinfo for row in found if row["instant_at"]} <= {UTC}
        for instant in instants:
            [row] = await db.fetch("SELECT CAST($1 AS timestamptz) AS one_at", instant)
            assert row["one_at"] == instant
    finally:
        await db.close()


# ---------------------------------------------------------------- plans


async def test_a_plan_made_for_a_short_list_reads_no_long_one_whole(postgres_url: str, viewer: Viewer) -> None:
    """Plans are kept for the life of a connection, and a list grows faster than PostgreSQL's statistics."""
    connection = await asyncpg.connect(postgres_url)
    try:
        await db.connect(postgres_url)
        outdial = await make.make_outdial(viewer)
        await make.make_targets(viewer, outdial.id, 20)
        await db.close()  # its reads are counted, and the next plans are made for twenty
        await connection.execute("ANALYZE target")
        before = await whole_reads(connection)
        await db.connect(postgres_url)
        for dedupe in (DedupeScope.NONE, DedupeScope.OUTDIAL, DedupeScope.CUSTOMER) * 2:
            given = [make.target_draft(key=str(uuid4()), name="new") for _ in range(500)]
            answer = await targets.create_many(viewer, outdial.id, drafts=given, dedupe=dedupe)
            assert answer.created == 500
            [attempt] = await attempts.claim(viewer, outdial.id)
            await make.complete(viewer, attempt.id)
        await db.close()
        assert await whole_reads(connection) == before
    finally:
        await connection.close()


async def whole_reads(connection: Any) -> list[int]:
    """How often all of `target`, of `attempt` and of the log were read, row by row."""
    names = ["target", "attempt", "target_event"]
    found = await connection.fetch(
        "SELECT sum(seq_tup_read) FROM pg_stat_user_tables WHERE relname = ANY($1) GROUP BY relname ORDER BY relname",
        names,
    )
    return [row[0] for row in found]
