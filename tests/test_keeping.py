"""Rejected rows as they are kept: whole, up to a bound for each and for all of them, and given back complete or not."""

import pytest

from app import db
from app.auth import Viewer
from app.errors import Unavailable
from app.files.drafting import WHOLE_CHARACTERS_MAX, RejectedRow
from app.files.protocol import Chunk
from app.imports import chunks, file_of_rejects, jobs, keeping
from app.imports.jobs import Run
from app.records import ImportOptions, RejectCode
from tests.support import factories


async def begun(viewer: Viewer) -> Run:
    outdial = await factories.make_outdial(viewer)
    run = await jobs.begin(viewer, outdial.id, options=ImportOptions(), idempotency_key=None)
    await jobs.start(run)
    return run


async def reject(viewer: Viewer, run: Run, first_line: int, *texts: str) -> None:
    rejects = [
        RejectedRow(first_line + place, None, RejectCode.INVALID, "No.", text) for place, text in enumerate(texts)
    ]
    chunk = Chunk(
        lines=[], keys=[], masks=[], limits=[], addresses=None, texts=[], targets=None, callbacks=[], shapes=[],
        shown=[], rejects=rejects, column_names=["phone"], delimiter=",", last_line=first_line + len(texts), digest="d",
        bulk=b"",
    )  # fmt: skip
    await chunks.commit(viewer, run, chunk, options=ImportOptions())


async def lines(viewer: Viewer, run: Run) -> list[str]:
    file = await file_of_rejects(viewer, run.job.outdial_id, run.job.id)
    content = b"".join([part async for part in file.parts]).decode("utf-8-sig")
    return content.split("\r\n")[1:-1]


async def test_long_rows_are_kept_whole_until_all_of_them_are_too_many(
    database: str, viewer: Viewer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "KEPT_CHARACTERS_MAX", 400_000)
    run = await begun(viewer)
    long, longest, longer = "a" * 150_000, "b" * WHOLE_CHARACTERS_MAX, "c" * (WHOLE_CHARACTERS_MAX + 1)
    await reject(viewer, run, 2, long, longest, longer)
    await reject(viewer, run, 5, "d" * 100_000, "e" * 2_000, "f" * 50_000)
    found = await lines(viewer, run)
    # a text in quotes has a line of its own, and that is the row which is not kept
    assert found[:2] == [f"{long},2,No.", f"{longest},3,No."]
    assert found[2].startswith(',4,"No.\nTake it from line 4 of the file. It begins: cc')
    assert found[3].startswith(',5,"No.\nTake it from line 5 of the file. It begins: dd')
    assert found[4:] == [f"{'e' * 2_000},6,No.", f"{'f' * 50_000},7,No."]
    stored = await db.fetch("SELECT kept_characters FROM import_job WHERE id = $1", run.job.id)
    assert stored[0]["kept_characters"] == 400_000


async def test_a_file_whose_rows_are_removed_meanwhile_is_cut_off_and_not_taken_for_whole(
    database: str, viewer: Viewer
) -> None:
    run = await begun(viewer)
    await reject(viewer, run, 2, *["x"] * (keeping.PART_ROWS + 1))
    file = await file_of_rejects(viewer, run.job.outdial_id, run.job.id)
    parts = [await anext(file.parts), await anext(file.parts)]
    assert len(parts[1].split(b"\r\n")) == keeping.PART_ROWS + 1

    async def remove(tx: db.Transaction) -> None:
        await tx.fetch(
            "DELETE FROM import_reject WHERE customer_id = $1 AND job_id = $2", viewer.customer_id, run.job.id
        )

    await db.transaction(remove)
    with pytest.raises(Unavailable):
        await anext(file.parts)


async def test_a_dry_run_that_starts_over_forgets_what_it_kept(database: str, viewer: Viewer) -> None:
    outdial = await factories.make_outdial(viewer)
    options = ImportOptions(dry_run=True)
    run = await jobs.begin(viewer, outdial.id, options=options, idempotency_key="k")
    await jobs.start(run)
    await reject(viewer, run, 2, "x" * 5_000)
    again = await jobs.begin(viewer, outdial.id, options=options, idempotency_key="k")
    stored = await db.fetch("SELECT kept_characters FROM import_job WHERE id = $1", run.job.id)
    assert (again.job.id, stored[0]["kept_characters"]) == (run.job.id, 0)
    assert await lines(viewer, again) == []
