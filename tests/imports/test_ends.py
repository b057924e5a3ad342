"""How imports end: as a rule says, interrupted, or by a fault; and what housekeeping ends."""

import asyncio
import csv
import os
import signal
import sqlite3
from collections.abc import AsyncIterator, Iterator, MutableMapping
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
import structlog

from app import clock, db, housekeeping, ids, imports
from app.auth import Viewer
from app.errors import NotFound, SenderLost, Unavailable
from app.imports import chunks, jobs, worker_process
from app.imports.seen import Seen
from app.pagination import PageRequest
from app.records import (
    DedupeScope,
    ImportJob,
    ImportOptions,
    ImportState,
    ImportStopReason,
)
from tests.support import factories, importing
from tests.support.taking_in import CHUNK, WAIT_SECONDS_MAX, created, readers, take_in, until

Faults = list[MutableMapping[str, Any]]


# ---------------------------------------------------------------- ends


async def test_a_server_that_is_told_to_end_leaves_a_job_that_can_go_on(database: str, viewer: Viewer) -> None:
    outdial = await factories.make_outdial(viewer)
    stopping = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        yield importing.table(CHUNK + 5).encode()
        await until(lambda: created(viewer, outdial.id, CHUNK))
        stopping.set()
        await asyncio.Event().wait()

    job = await take_in(viewer, outdial.id, "", pieces=endless(), stopping=stopping, idempotency_key="k")
    assert (job.state, job.stop_reason) == (ImportState.FAILED, ImportStopReason.INTERRUPTED)
    assert job.counts.created == CHUNK
    job = await take_in(viewer, outdial.id, importing.table(CHUNK + 5), idempotency_key="k")
    assert (job.state, job.counts.created) == (ImportState.COMPLETED, CHUNK + 5)
    assert readers() == []


async def test_a_sender_that_fails_ends_the_job_and_is_heard(database: str, viewer: Viewer) -> None:
    outdial = await factories.make_outdial(viewer)

    async def failing() -> AsyncIterator[bytes]:
        yield b"phone\n"
        raise ConnectionAbortedError

    # a lost connection of the file's own process is another thing, and must not be taken for it
    with pytest.raises(ConnectionAbortedError):
        await take_in(viewer, outdial.id, "", pieces=failing())
    [job] = (await imports.pages(viewer, [outdial.id], request=PageRequest()))[outdial.id].items
    assert (job.state, job.stop_reason) == (ImportState.FAILED, ImportStopReason.INTERRUPTED)


async def test_a_dry_run_that_broke_off_begins_anew_and_reports_the_same(database: str, viewer: Viewer) -> None:
    """What it had seen of its file is gone with it: going on would take repeated rows for new ones."""
    outdial = await factories.make_outdial(viewer)
    good = importing.table(CHUNK)
    text = good + "bad,Bad,nobody\n" * 5 + good.partition("\n")[2]
    options = ImportOptions(dry_run=True, dedupe=DedupeScope.OUTDIAL)

    async def broken() -> AsyncIterator[bytes]:
        yield (good + "bad,Bad,nobody\n" * 5 + good.partition("\n")[2][:-100]).encode()
        await until(settled)
        raise ConnectionAbortedError

    async def settled() -> bool:
        [job] = (await imports.pages(viewer, [outdial.id], request=PageRequest()))[outdial.id].items
        return job.counts.read >= CHUNK

    with pytest.raises(ConnectionAbortedError):
        await take_in(viewer, outdial.id, "", pieces=broken(), options=options, idempotency_key="k")
    job = await take_in(viewer, outdial.id, text, options=options, idempotency_key="k")
    assert (job.counts.read, job.counts.created, job.counts.rejected) == (2 * CHUNK + 5, CHUNK, CHUNK + 5)
    assert (await imports.reject_counts(viewer, [job.id]))[job.id] == CHUNK + 5


def killing(viewer: Viewer, outdial_id: str, number: signal.Signals) -> AsyncIterator[bytes]:
    """A file during which the process that reads it gets a signal, after its first chunk."""

    async def pieces() -> AsyncIterator[bytes]:
        yield importing.table(CHUNK + 5).encode()
        await until(lambda: created(viewer, outdial_id, CHUNK))
        [process] = readers()
        os.kill(process.pid, number)
        await asyncio.Event().wait()

    return pieces()


async def _only_job(viewer: Viewer, outdial_id: str) -> ImportJob:
    [job] = (await imports.pages(viewer, [outdial_id], request=PageRequest()))[outdial_id].items
    return job


@pytest.mark.alternate
@pytest.mark.parametrize("number", sorted(worker_process.KILLS - {signal.SIGINT}))
async def test_a_process_that_is_killed_interrupts_the_import_and_nothing_else(
    database: str, viewer: Viewer, number: signal.Signals
) -> None:
    outdial = await factories.make_outdial(viewer)
    with pytest.raises(Unavailable, match="was killed"):
        await take_in(viewer, outdial.id, "", pieces=killing(viewer, outdial.id, number), idempotency_key="k")
    job = await _only_job(viewer, outdial.id)
    assert (job.state, job.stop_reason, job.message) == (
        ImportState.FAILED, ImportStopReason.INTERRUPTED, jobs.INTERRUPTED
    )  # fmt: skip
    job = await take_in(viewer, outdial.id, importing.table(CHUNK + 5), idempotency_key="k")
    assert (job.state, job.counts.created) == (ImportState.COMPLETED, CHUNK + 5)


async def test_a_ctrl_c_in_the_terminal_is_the_servers_to_hear(database: str, viewer: Viewer) -> None:
    """It reaches every process of the terminal: one that ended by it would end the import as a fault."""
    outdial = await factories.make_outdial(viewer)

    async def pieces() -> AsyncIterator[bytes]:
        yield importing.table(CHUNK).encode()
        await until(lambda: created(viewer, outdial.id, CHUNK))
        [process] = readers()
        os.kill(process.pid, signal.SIGINT)
        yield "".join(importing.rows(5, start=CHUNK)).encode()

    job = await take_in(viewer, outdial.id, "", pieces=pieces())
    assert (job.state, job.counts.created) == (ImportState.COMPLETED, CHUNK + 5)


async def test_a_process_that_fails_by_itself_is_a_fault_of_the_server(
    database: str, viewer: Viewer, faults: Faults
) -> None:
    outdial = await factories.make_outdial(viewer)
    pieces = killing(viewer, outdial.id, signal.SIGSEGV)
    job = await take_in(viewer, outdial.id, "", pieces=pieces, idempotency_key="k")
    assert _fault(job, faults) == f"the process that reads the file ended with {-signal.SIGSEGV}: "
    job = await take_in(viewer, outdial.id, importing.table(CHUNK + 5), idempotency_key="k")
    assert (job.state, job.counts.created) == (ImportState.COMPLETED, CHUNK + 5)


async def test_a_machine_that_has_no_room_for_a_process_interrupts_the_import(
    database: str, viewer: Viewer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(*_: object, **__: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(asyncio, "create_subprocess_exec", full)
    outdial = await factories.make_outdial(viewer)
    with pytest.raises(Unavailable, match="No process could be started"):
        await take_in(viewer, outdial.id, importing.table(3))
    assert (await _only_job(viewer, outdial.id)).stop_reason is ImportStopReason.INTERRUPTED


INTERRUPTIONS = [Unavailable("x"), SenderLost(), ConnectionResetError(104, "x"), BrokenPipeError(32, "x")]


@pytest.mark.alternate
@pytest.mark.parametrize("error", INTERRUPTIONS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("is_of_the_sender", [True, False], ids=["sender", "server"])
async def test_what_is_known_to_interrupt_an_import_interrupts_it(
    database: str, viewer: Viewer, monkeypatch: pytest.MonkeyPatch, error: Exception, is_of_the_sender: bool
) -> None:
    outdial = await factories.make_outdial(viewer)
    pieces = _failing_by(error) if is_of_the_sender else importing.in_pieces(importing.table(3))
    if not is_of_the_sender:
        _fail_to_commit(monkeypatch, error)
    with pytest.raises(type(error)):
        await take_in(viewer, outdial.id, "", pieces=pieces)
    job = await _only_job(viewer, outdial.id)
    assert (job.state, job.stop_reason, job.message) == (
        ImportState.FAILED, ImportStopReason.INTERRUPTED, jobs.INTERRUPTED
    )  # fmt: skip


async def test_a_request_that_is_dropped_interrupts_its_import(database: str, viewer: Viewer) -> None:
    outdial = await factories.make_outdial(viewer)

    is_read = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        yield importing.table(CHUNK + 5).encode()
        is_read.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(take_in(viewer, outdial.id, "", pieces=endless()))
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        await is_read.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await _only_job(viewer, outdial.id)).stop_reason is ImportStopReason.INTERRUPTED


FAULTS = [
    AttributeError("secret"),
    KeyError("secret"),
    TypeError("secret"),
    ValueError("secret"),
    RuntimeError("secret"),
    AssertionError("secret"),
    ZeroDivisionError("secret"),
    MemoryError("secret"),
    OSError(2, "secret"),
    csv.Error("secret"),
    sqlite3.IntegrityError("secret"),
    asyncpg.UniqueViolationError("secret"),
    asyncpg.CheckViolationError("secret"),
    NotFound("secret"),
]


@pytest.mark.alternate
@pytest.mark.parametrize("error", FAULTS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("is_of_the_sender", [True, False], ids=["sender", "server"])
async def test_every_other_error_is_a_fault_that_the_log_knows_by_an_id(
    database: str,
    viewer: Viewer,
    monkeypatch: pytest.MonkeyPatch,
    faults: Faults,
    error: Exception,
    is_of_the_sender: bool,
) -> None:
    outdial = await factories.make_outdial(viewer)
    pieces = _failing_by(error) if is_of_the_sender else importing.in_pieces(importing.table(3))
    if not is_of_the_sender:
        _fail_to_commit(monkeypatch, error)
    job = await take_in(viewer, outdial.id, "", pieces=pieces)
    assert _fault(job, faults) == str(error)
    assert job == await _only_job(viewer, outdial.id)


async def test_a_constraint_that_refuses_a_row_is_a_fault_of_the_server(
    database: str, viewer: Viewer, faults: Faults
) -> None:
    outdial = await factories.make_outdial(viewer)

    async def forbid(tx: db.Transaction) -> None:
        await tx.fetch("CREATE UNIQUE INDEX no_name_twice ON target (outdial_id, name)")

    await db.transaction(forbid)
    job = await take_in(viewer, outdial.id, "name,phone\nAnn,+14155550100\nAnn,+14155550101\n")
    assert "unique" in _fault(job, faults).lower()
    assert job.counts.read == 0


@pytest.fixture
def faults() -> Iterator[Faults]:
    """What is logged."""
    with structlog.testing.capture_logs() as entries:
        yield entries


def _fail_to_commit(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    async def commit(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(chunks, "commit", commit)


async def _failing_by(error: Exception) -> AsyncIterator[bytes]:
    yield b"phone\n"
    raise error


def _fault(job: ImportJob, faults: Faults) -> str:
    """What the log says of the fault that the job names by an id and by nothing else."""
    assert (job.state, job.stop_reason) == (ImportState.FAILED, ImportStopReason.INTERNAL)
    [event] = [found for found in faults if found["log_level"] == "error"]
    error_id = event["error_id"]
    assert ids.parse(error_id) is not None
    assert job.message == f"An internal error stopped the import. Quote the id {error_id} when you report it."
    assert event["job"] == job.id
    return str(event["exc_info"])


async def test_housekeeping_ends_what_nobody_has_shown_to_live(database: str, viewer: Viewer) -> None:
    outdial = await factories.make_outdial(viewer)
    waiting = await jobs.begin(viewer, outdial.id, options=ImportOptions(), idempotency_key=None)
    running_job = await jobs.begin(viewer, outdial.id, options=ImportOptions(), idempotency_key="k")
    await jobs.start(running_job)
    assert await imports.end_abandoned() == 0
    clock.shift = timedelta(seconds=jobs.ABANDONED_SECONDS - 1)
    await jobs.hear(running_job)
    clock.shift = timedelta(seconds=jobs.ABANDONED_SECONDS + 1)
    assert await imports.end_abandoned() == 1
    found = await imports.get_many(viewer, [waiting.job.id, running_job.job.id])
    assert found[waiting.job.id].stop_reason is ImportStopReason.INTERRUPTED
    assert found[running_job.job.id].state is ImportState.RUNNING


async def test_a_server_on_sqlite_ends_what_the_last_one_left_at_once(database: str, viewer: Viewer) -> None:
    outdial = await factories.make_outdial(viewer)
    left = await jobs.begin(viewer, outdial.id, options=ImportOptions(), idempotency_key=None)
    keeping = asyncio.create_task(housekeeping.run(event_retention_hours=1, import_retention_days=1))
    expected = ImportState.QUEUED if db.is_postgres() else ImportState.FAILED
    try:
        await asyncio.sleep(0.5 if db.is_postgres() else 0)
        await until(lambda: _is(viewer, left.job.id, expected))
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)


async def _is(viewer: Viewer, job_id: str, state: ImportState) -> bool:
    return (await imports.get_many(viewer, [job_id]))[job_id].state is state


async def test_old_jobs_go_with_their_rejects(database: str, viewer: Viewer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "PRUNED_MAX", 2)
    outdial = await factories.make_outdial(viewer)
    old = await take_in(viewer, outdial.id, "phone\n" + "nobody\n" * 5, idempotency_key="k")
    clock.shift = timedelta(days=2)
    young = await take_in(viewer, outdial.id, "phone\nnobody\n")
    unfinished = await jobs.begin(viewer, outdial.id, options=ImportOptions(), idempotency_key=None)
    rounds = 0
    while await imports.prune(days=1):
        rounds += 1
    assert rounds == 3
    found = await imports.get_many(viewer, [old.id, young.id, unfinished.job.id])
    assert set(found) == {young.id, unfinished.job.id}
    assert await imports.reject_counts(viewer, [old.id, young.id]) == {old.id: 0, young.id: 1}


# ---------------------------------------------------------------- turns


async def test_a_dry_run_that_is_left_while_it_looks_something_up_closes_after_that() -> None:
    """A connection of SQLite that is closed by one thread while another one uses it ends the process."""
    for _ in range(30):
        async with Seen() as seen:
            keys = [f"key-{number}" for number in range(2_000)]
            await seen.keep([(key, (f"TEL {key}",), b"") for key in keys])
            looking = [asyncio.create_task(seen.look(keys, ())) for _ in range(3)]
            await asyncio.sleep(0)
            for task in looking:
                task.cancel()
            await asyncio.gather(*looking, return_exceptions=True)


async def test_a_disk_that_is_full_interrupts_a_dry_run() -> None:
    async with Seen() as seen:
        await seen._there(seen._database.execute, "PRAGMA max_page_count = 20")
        with pytest.raises(Unavailable, match="no disk space"):
            await seen.keep([(f"key-{number}", (f"TEL {number}",), b"x" * 32) for number in range(20_000)])
