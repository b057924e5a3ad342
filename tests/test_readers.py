"""One file, two readers: whoever checks a row, the result is that of one reader, in the file's order."""

import asyncio
import gzip
import io
import itertools
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from typing import Any

import orjson
import psutil
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app import ids, imports, validation
from app.auth import Viewer
from app.errors import Unavailable
from app.files import protocol, reading, worker
from app.files.protocol import Chunk, Data, Ended, EndOfFile, Handed, Head, Part, Task
from app.imports import jobs, readers, turns, worker_process
from app.records import DedupeScope, ImportJob, ImportOptions, ImportState, ImportStopReason
from tests.support import factories, importing, rows
from tests.support.waiting import until

TASK = Task(
    is_ndjson=False, is_gzip=False, for_postgres=False, encoding=None, region="DE", mapping={}, extra_kept=False,
    compares_addresses=False, updates=False, settled_line=0, settled_digest="",
)  # fmt: skip
ROWS = 6_000


@pytest.fixture(autouse=True)
def _region() -> Iterator[None]:
    before = validation.default_region()
    yield
    validation.configure(default_region=before)


def encoded(*frames: Any) -> io.BytesIO:
    return io.BytesIO(b"".join(map(protocol.encode, frames)))


def frames_in(pipe: io.BytesIO) -> list[Any]:
    pipe.seek(0)
    return list(iter(lambda: protocol.read(pipe), None))


def answers(data: bytes, task: Task, takes: Callable[[], bool] | None) -> list[Chunk | Ended]:
    """What the server gets of a file: the first reader's frames, with the second one's chunks in their places.

    Args:
        data: the file.
        task: how it is read.
        takes: whether the second reader takes the next part; None if there is no second reader.
    """
    handed = io.BytesIO()
    has_head = False

    def hand(head: Head, part: Part) -> bool:
        nonlocal has_head
        if takes is None or not takes():
            return False
        handed.write((b"" if has_head else protocol.encode(head)) + protocol.encode(part))
        has_head = True
        return True

    first, second = io.BytesIO(), io.BytesIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ids, "new", map("id {}".format, itertools.count()).__next__)
        worker.run(encoded(task, Data(data), EndOfFile()), first, hand)
        handed.seek(0)
        worker.run_second(handed, second, lambda _: None)
    others = iter(frames_in(second))
    found = [next(others) if isinstance(frame, Handed) else frame for frame in frames_in(first)]
    assert list(others) == []
    return found


# ---------------------------------------------------------------- any file

PHONES = st.sampled_from(["+4915112345678", "030 123456", "nobody", "", "4.9E+11", "+1 (212) 555-0142", "49 30 123456"])
CELLS = PHONES | st.text(alphabet='ab"\n\r;,=é\0 ', max_size=8)
CSV_ROWS = st.lists(st.lists(CELLS, max_size=4).map(",".join), max_size=12)
MEMBERS = st.sampled_from(["key", "phone", "name", "data", "city", "id", "destination_0", "destination_0_target"])
VALUES = PHONES | st.integers(-(2**63), 2**64 - 1) | st.none() | st.just({"a": [1]})
OBJECTS = st.lists(
    st.dictionaries(MEMBERS, VALUES, max_size=4).map(lambda value: orjson.dumps(value).decode())
    | st.sampled_from(["", "[1]", "{", '{"phone": "+4915112345678", "x": 123456789012345678901234567890}']),
    max_size=12,
)
OPTIONS = st.fixed_dictionaries(
    {
        "for_postgres": st.booleans(), "extra_kept": st.booleans(), "compares_addresses": st.booleans(),
        "updates": st.booleans(), "region": st.sampled_from([None, "DE", "US"]),
    }
)  # fmt: skip


def check_any_file(data: bytes, task: Task, taken: list[bool], size: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "CHUNK_ROWS", size)
        patch.setattr(reading, "CHUNK_UPDATES", size)
        alone = answers(data, task, None)
        assert answers(data, task, itertools.cycle(taken).__next__) == alone
        for chunk in alone[:-1]:
            # and whatever was committed before a break, the rest is the same
            assert isinstance(chunk, Chunk)
            again = replace(task, settled_line=chunk.last_line, settled_digest=chunk.digest)
            rest = answers(data, again, itertools.cycle(taken).__next__)
            assert [places(part) for part in rest] == [places(part) for part in alone[alone.index(chunk) + 1 :]]


def places(part: Chunk | Ended) -> Any:
    if isinstance(part, Ended):
        return part.reason, part.message
    return part.lines, part.keys, part.rejects, part.last_line, part.digest


@settings(max_examples=150)
@given(CSV_ROWS, OPTIONS, st.lists(st.booleans(), min_size=1, max_size=5), st.integers(1, 4), st.booleans())
@example(['a,"b', "c,d", "e,f"], {}, [True], 1, False)
@example(['a,"+4915112345678\n"', "c,030 123456"], {}, [True, False], 1, True)
def test_two_readers_make_of_a_table_what_one_makes(
    lines: list[str], options: dict[str, Any], taken: list[bool], size: int, is_gzip: bool
) -> None:
    text = "key,phone,name,city\n" + "\n".join(lines)
    data = gzip.compress(text.encode()) if is_gzip else text.encode("utf-16")
    check_any_file(data, replace(TASK, **options), taken, size)


@settings(max_examples=150)
@given(OBJECTS, OPTIONS, st.lists(st.booleans(), min_size=1, max_size=5), st.integers(1, 4))
@example(['{"x": ' + "[" * 900 + "]" * 900 + ', "phone": "+4915112345678"}'] * 3, {"extra_kept": True}, [True], 1)
def test_two_readers_make_of_objects_what_one_makes(
    lines: list[str], options: dict[str, Any], taken: list[bool], size: int
) -> None:
    check_any_file("\n".join(lines).encode(), replace(TASK, is_ndjson=True, **options), taken, size)


def test_a_part_with_a_very_long_row_stays_with_the_first_reader() -> None:
    body = b"phone,note\n+4915112345678,x\n+4915112345679," + b"x" * (reading.HANDED_CHARACTERS_MAX + 1) + b"\n"
    seen: list[int] = []

    def takes() -> bool:
        seen.append(1)
        return True

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "CHUNK_ROWS", 1)
        assert len(answers(body, TASK, takes)) == 3
    assert len(seen) == 1


# ---------------------------------------------------------------- two processes


async def take_in(viewer: Viewer, outdial_id: str, pieces: AsyncIterator[bytes], **options: Any) -> ImportJob:
    given = ImportOptions(**options)
    return await imports.run(
        viewer, outdial_id, options=given, pieces=pieces, turns=turns(), stopping=asyncio.Event(), idempotency_key="k"
    )


def processes() -> list[psutil.Process]:
    """The readers that this process has, dead ones that nobody has waited for included."""
    found = []
    for child in psutil.Process().children():
        try:
            if child.status() == psutil.STATUS_ZOMBIE or worker_process.MODULE in child.cmdline():
                found.append(child)
        except psutil.NoSuchProcess:
            continue
    return found


def second_of(found: list[psutil.Process]) -> psutil.Process:
    [process] = [process for process in found if "second" in process.cmdline()]
    return process


@pytest.fixture
def two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "wanted", lambda: 2)


def mixed_rows(count: int) -> Iterator[str]:
    """Rows of all kinds: good, bad, with the key or the address of the row before."""
    for number in range(count):
        phone = "nobody" if number % 50 == 37 else f"0151 2{number - (number % 90 == 60):07d}"
        yield f"key-{number - (number % 70 == 33)},Person {number},{phone}\n"


async def file_of(count: int) -> AsyncIterator[bytes]:
    yield b"key,name,phone\n"
    given = mixed_rows(count)
    while part := "".join(itertools.islice(given, 500)):
        yield part.encode()


async def result(database: str, viewer: Viewer, outdial_id: str) -> Any:
    """Everything that an import leaves, but for ids and times."""
    tables = await rows.of(database, viewer.customer_id)
    rows.check(tables)
    targets = sorted((row for row in tables["target"] if row["outdial_id"] == outdial_id), key=lambda row: row["id"])
    [job] = [row for row in tables["import_job"] if row["outdial_id"] == outdial_id]
    rejects = sorted((row for row in tables["import_reject"] if row["job_id"] == job["id"]), key=lambda row: row["id"])
    return (
        [(row["key"], row["name"], row["destination_0"]) for row in targets],
        [(row["line_number"], row["column_name"], row["code"], row["row_text"]) for row in rejects],
        [(name, job[name]) for name in sorted(job) if name.startswith(("rows_", "checkpoint_"))],
    )


@pytest.mark.slow
async def test_a_list_goes_in_the_same_with_one_reader_and_with_two(
    database: str, viewer: Viewer, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for count in (1, 2):
        monkeypatch.setattr(readers, "wanted", lambda count=count: count)
        outdial = await factories.make_outdial(viewer)
        seen: set[int] = set()

        async def watched(seen: set[int] = seen) -> AsyncIterator[bytes]:
            async for piece in file_of(ROWS):
                yield piece
                seen |= {process.pid for process in processes()}

        given = ImportOptions(region="DE", dedupe=DedupeScope.OUTDIAL)
        job = await imports.run(
            viewer, outdial.id, options=given, pieces=watched(), turns=turns(), stopping=asyncio.Event()
        )
        assert (job.state, job.counts.read) == (ImportState.COMPLETED, ROWS)
        assert len(seen) <= count
        found.append(await result(database, viewer, outdial.id))
    assert found[0] == found[1]
    targets, rejects, _ = found[0]
    numbers = [int(name.partition(" ")[2]) for _, name, _ in targets]
    assert numbers == sorted(numbers)
    assert [line for line, *_ in rejects] == sorted(line for line, *_ in rejects)


async def in_two(viewer: Viewer, outdial_id: str, then: Callable[[psutil.Process], None]) -> AsyncIterator[bytes]:
    """A file that stops in its middle once the second reader is at work."""
    async for piece in file_of(ROWS):
        yield piece
    await until(lambda: any("second" in process.cmdline() for process in processes()))
    then(second_of(processes()))
    await asyncio.Event().wait()


@pytest.mark.slow
@pytest.mark.alternate
@pytest.mark.usefixtures("two")
@pytest.mark.parametrize("number", sorted(worker_process.KILLS - {signal.SIGINT}))
async def test_a_second_reader_that_is_killed_interrupts_the_import_and_is_gone(
    database: str, viewer: Viewer, number: signal.Signals
) -> None:
    outdial = await factories.make_outdial(viewer)
    pieces = in_two(viewer, outdial.id, lambda process: os.kill(process.pid, number))
    with pytest.raises(Unavailable, match="was killed"):
        await take_in(viewer, outdial.id, pieces, region="DE")
    assert processes() == []
    [job] = (await imports.get_many(viewer, [await _job_id(database, viewer)])).values()
    assert (job.state, job.stop_reason, job.message) == (
        ImportState.FAILED, ImportStopReason.INTERRUPTED, jobs.INTERRUPTED
    )  # fmt: skip
    job = await take_in(viewer, outdial.id, file_of(ROWS), region="DE")
    assert (job.state, job.counts.read) == (ImportState.COMPLETED, ROWS)
    assert processes() == []
    whole = await factories.make_outdial(viewer)
    await imports.run(
        viewer, whole.id, options=ImportOptions(region="DE"), pieces=file_of(ROWS), turns=turns(),
        stopping=asyncio.Event(),
    )  # fmt: skip
    assert await result(database, viewer, outdial.id) == await result(database, viewer, whole.id)


async def _job_id(database: str, viewer: Viewer) -> str:
    [job] = (await rows.of(database, viewer.customer_id))["import_job"]
    return str(job["id"])


@pytest.mark.usefixtures("two")
async def test_a_first_reader_that_is_killed_takes_the_second_one_with_it(database: str, viewer: Viewer) -> None:
    outdial = await factories.make_outdial(viewer)

    def kill(second: psutil.Process) -> None:
        [first] = [process for process in processes() if process.pid != second.pid]
        os.kill(first.pid, signal.SIGKILL)

    with pytest.raises(Unavailable, match="was killed"):
        await take_in(viewer, outdial.id, in_two(viewer, outdial.id, kill), region="DE")
    assert processes() == []


@pytest.mark.usefixtures("two")
async def test_a_second_reader_that_fails_by_itself_is_a_fault_of_the_server(database: str, viewer: Viewer) -> None:
    outdial = await factories.make_outdial(viewer)
    pieces = in_two(viewer, outdial.id, lambda process: os.kill(process.pid, signal.SIGSEGV))
    job = await take_in(viewer, outdial.id, pieces, region="DE")
    assert (job.state, job.stop_reason) == (ImportState.FAILED, ImportStopReason.INTERNAL)
    assert processes() == []


@pytest.mark.usefixtures("two")
async def test_a_machine_without_room_for_a_second_reader_reads_with_one(
    database: str, viewer: Viewer, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = asyncio.create_subprocess_exec

    async def full(*command: str, **more: Any) -> Any:
        if "second" in command:
            raise BlockingIOError(11, "Resource temporarily unavailable")
        return await start(*command, **more)

    monkeypatch.setattr(asyncio, "create_subprocess_exec", full)
    outdial = await factories.make_outdial(viewer)
    job = await take_in(viewer, outdial.id, file_of(ROWS), region="DE")
    assert (job.state, job.counts.read) == (ImportState.COMPLETED, ROWS)


@pytest.mark.usefixtures("two")
async def test_a_short_file_has_one_reader(database: str, viewer: Viewer, monkeypatch: pytest.MonkeyPatch) -> None:
    start, started = asyncio.create_subprocess_exec, []

    async def noted(*command: str, **more: Any) -> Any:
        started.append(command)
        return await start(*command, **more)

    monkeypatch.setattr(asyncio, "create_subprocess_exec", noted)
    outdial = await factories.make_outdial(viewer)
    await take_in(viewer, outdial.id, importing.in_pieces(importing.table(readers.ROWS_ALONE - 1)))
    assert len(started) == 1


@pytest.mark.parametrize(("cores", "count"), [(1, 1), (2, 2), (16, readers.READERS_MAX)])
def test_there_are_never_more_readers_than_cores(monkeypatch: pytest.MonkeyPatch, cores: int, count: int) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)))
    assert readers.wanted() == count


@pytest.mark.usefixtures("two")
async def test_no_import_leaves_an_open_file(database: str, viewer: Viewer) -> None:
    outdial = await factories.make_outdial(viewer)
    await take_in(viewer, outdial.id, importing.in_pieces(importing.table(3)))
    before = psutil.Process().num_fds()
    for count in (3, readers.ROWS_ALONE + 5):
        await imports.run(
            viewer, outdial.id, options=ImportOptions(), pieces=importing.in_pieces(importing.table(count)),
            turns=turns(), stopping=asyncio.Event(),
        )  # fmt: skip
    assert psutil.Process().num_fds() <= before


def test_a_process_that_reads_a_file_gets_no_secret_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OUTDIAL_JWT_SECRET", "outdial_metrics_token", "OTEL_EXPORTER_OTLP_HEADERS"):
        monkeypatch.setenv(name, "planted")
    monkeypatch.setenv("LANG", "C.UTF-8")
    given = worker_process._environment()
    assert given["LANG"] == "C.UTF-8"
    assert "planted" not in given.values()
