"""Chunks of an import: what they cost, and what is decided when they are committed."""

from collections.abc import AsyncIterator

import pytest

from app import db, imports, metrics, outdials
from app.auth import Viewer
from app.errors import Rejected, UserErrorCode
from app.files.drafting import RejectedRow
from app.files.protocol import Chunk
from app.imports import chunks, jobs
from app.imports.jobs import Superseded
from app.lifecycle import DoneReason, OutdialState
from app.records import (
    DedupeScope,
    DuplicateAction,
    ImportOptions,
    ImportState,
    PolicyDraft,
    RejectCode,
)
from tests.support import factories, importing
from tests.support.taking_in import CHUNK, created, take_in, until

# ---------------------------------------------------------------- chunks


async def test_a_chunk_costs_the_same_statements_however_many_rows_it_has(
    database: str, viewer: Viewer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "HEARD_EVERY_SECONDS", 600)  # on a slow machine, its statement would be counted
    spent = []
    for count in (CHUNK, 3 * CHUNK):
        outdial = await factories.make_outdial(viewer)
        before = db.statements.sent
        await take_in(viewer, outdial.id, importing.table(count), options=ImportOptions(dedupe=DedupeScope.OUTDIAL))
        spent.append(db.statements.sent - before)
    assert (spent[1] - spent[0]) / 2 == (13 if db.is_postgres() else 9)


async def test_where_a_row_stands_is_said_by_the_policy_in_force_when_it_is_committed(
    database: str, viewer: Viewer
) -> None:
    outdial = await factories.make_outdial(viewer)

    async def lowering() -> AsyncIterator[bytes]:
        yield importing.table(CHUNK + 5).encode()
        await until(lambda: created(viewer, outdial.id, CHUNK))
        await outdials.update(viewer, outdial.id, changes={"dial_policy": PolicyDraft(max_try_counts=(0,) * 5)})
        yield "".join(importing.rows(CHUNK, start=CHUNK + 5)).encode()

    job = await take_in(viewer, outdial.id, "", pieces=lowering())
    assert job.counts.created == 2 * CHUNK + 5
    while await outdials.search_exhausted.go_on():
        pass
    progress = (await outdials.progress(viewer, [outdial.id]))[outdial.id]
    assert (progress.idle, progress.done_by_reason[DoneReason.EXHAUSTED]) == (0, 2 * CHUNK + 5)


async def test_a_list_that_was_paused_before_is_filled_and_a_pause_that_comes_later_stops_it(
    database: str, viewer: Viewer
) -> None:
    outdial = await factories.make_outdial(viewer)
    await outdials.update(viewer, outdial.id, changes={"state": OutdialState.PAUSED})
    job = await take_in(viewer, outdial.id, importing.table(3), idempotency_key="k")
    assert job.state is ImportState.COMPLETED


async def test_rows_of_an_upload_that_lost_its_job_are_not_stored(database: str, viewer: Viewer) -> None:
    outdial = await factories.make_outdial(viewer)
    first = await jobs.begin(viewer, outdial.id, options=ImportOptions(), idempotency_key="k")
    await jobs.start(first)
    second = await jobs.begin(viewer, outdial.id, options=ImportOptions(), idempotency_key="k")
    assert (second.job.id, second.number, second.is_over) == (first.job.id, first.number + 1, False)
    chunk = Chunk(
        lines=[], keys=[], masks=[], limits=[], addresses=None, texts=[], targets=None, callbacks=[], shapes=[],
        shown=[], rejects=[RejectedRow(2, None, RejectCode.MALFORMED, "No.", "x")], column_names=["x"], delimiter=",",
            last_line=2, digest="d", bulk=b"",
    )  # fmt: skip
    with pytest.raises(Superseded):
        await chunks.commit(viewer, first, chunk, options=ImportOptions())
    for write in (jobs.start(first), jobs.hear(first)):
        with pytest.raises(Superseded):
            await write
    assert (await jobs.finish(first)).state is ImportState.QUEUED
    job = await chunks.commit(viewer, second, chunk, options=ImportOptions())
    assert (job.counts.read, job.counts.rejected) == (1, 1)


async def test_what_is_wrong_with_the_options_is_told_all_at_once(database: str, viewer: Viewer) -> None:
    outdial = await factories.make_outdial(viewer)
    options = ImportOptions(mapping=("x",), encoding="none", region="XX", rejects_max=0, file_name="\0")
    with pytest.raises(Rejected) as refused:
        await take_in(viewer, outdial.id, "phone\n", options=options)
    assert {error.path for error in refused.value.errors} == {
        ("map",), ("encoding",), ("region",), ("max_rejects",), ("file_name",)
    }  # fmt: skip
    with pytest.raises(Rejected) as refused:
        await take_in(viewer, "no id", "phone\n", idempotency_key="")
    assert {error.path for error in refused.value.errors} == {("outdial_id",), ("idempotency_key",)}
    with pytest.raises(Rejected) as refused:
        await imports.cancel(viewer, outdial.id)
    assert [error.code for error in refused.value.errors] == [UserErrorCode.NOT_FOUND]


# ---------------------------------------------------------------- turns


async def test_rows_are_counted_for_the_metrics(database: str, viewer: Viewer) -> None:
    outdial = await factories.make_outdial(viewer)

    def counted() -> tuple[float, float]:
        page = metrics.render()[0].decode()
        values = dict(line.rsplit(" ", 1) for line in page.splitlines() if line.startswith("outdial_import_rows_total"))
        return tuple(
            float(values.get(f'outdial_import_rows_total{{outcome="{outcome}"}}', 0))
            for outcome in ("accepted", "rejected")
        )  # type: ignore[return-value]

    before = counted()
    await take_in(viewer, outdial.id, "key,phone\na,+14155550100\na,+14155550101\nb,nobody\n")
    after = counted()
    assert (after[0] - before[0], after[1] - before[1]) == (1, 2)


async def test_an_update_of_a_chunk_and_its_creation_add_up(database: str, viewer: Viewer) -> None:
    outdial = await factories.make_outdial(viewer)
    text = "key,phone,name\n" + "".join(f"k{row % 150},{importing.numbers(row % 150)},n{row}\n" for row in range(450))
    options = ImportOptions(on_duplicate_key=DuplicateAction.UPDATE)
    dry = await take_in(
        viewer, outdial.id, text, options=ImportOptions(on_duplicate_key=DuplicateAction.UPDATE, dry_run=True)
    )
    job = await take_in(viewer, outdial.id, text, options=options)
    assert (job.counts.created, job.counts.updated, job.counts.skipped) == (150, 300, 0)
    assert dry.counts == job.counts
