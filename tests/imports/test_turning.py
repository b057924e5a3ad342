"""Files that come slowly while others wait: who keeps a place, and who gives it up."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from app import imports
from app.auth import Viewer
from app.errors import Unavailable
from app.imports import chunks, jobs, turning
from app.imports.turning import ImportTurns, Pace
from app.pagination import PageRequest
from app.records import ImportFilter, ImportJob, ImportOptions, ImportState, ImportStopReason
from tests.support import factories, importing
from tests.support.taking_in import take_in, until

ROW = "phone\n+14155550100\n"
NEVER = 60.0


@pytest.fixture
def turns(monkeypatch: pytest.MonkeyPatch) -> ImportTurns:
    """Two places, and seconds that are tenths of seconds."""
    monkeypatch.setattr(turning, "FILES_MAX", 2)
    monkeypatch.setattr(turning, "PACE_SECONDS", 0.2)
    monkeypatch.setattr(turning, "ASK_SECONDS", 0.05)
    return imports.turns()


async def _slowly(text: str, seconds: float) -> AsyncIterator[bytes]:
    yield text.encode()
    await asyncio.sleep(seconds)


async def _fast(stop: asyncio.Event) -> AsyncIterator[bytes]:
    yield b"phone,ignored\n"
    while not stop.is_set():
        yield b"+14155550100," + b"x" * 50_000 + b"\n"
        await asyncio.sleep(0.01)


async def _steadily(stop: asyncio.Event) -> AsyncIterator[bytes]:
    yield b"phone\n"
    while not stop.is_set():
        yield b"+14155550100\n"
        await asyncio.sleep(0.01)


class Files:
    """Imports of several customers at once."""

    def __init__(self, turns: ImportTurns) -> None:
        self.turns = turns
        self.tasks: list[asyncio.Task[Any]] = []

    async def begin(self, viewer: Viewer, pieces: AsyncIterator[bytes], *, key: str | None = None) -> str:
        """Let a file of a new outdial be read. Returns the outdial, when the file has a place."""
        outdial = await factories.make_outdial(viewer)
        given = {"pieces": pieces, "turns": self.turns, "idempotency_key": key}
        self.tasks.append(asyncio.create_task(take_in(viewer, outdial.id, "", **given)))

        async def has_begun() -> bool:
            return [job.state for job in await _jobs(viewer, outdial.id)] == [ImportState.RUNNING]

        await until(has_begun)
        return outdial.id

    async def leave(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


async def _jobs(viewer: Viewer, outdial_id: str) -> list[ImportJob]:
    page = (await imports.pages(viewer, [outdial_id], request=PageRequest(size=10), where=ImportFilter()))[outdial_id]
    return list(page.items)


async def test_a_slow_file_gives_its_place_to_a_customer_who_has_none_and_continues_later(
    database: str, viewer: Viewer, stranger: Viewer, turns: ImportTurns
) -> None:
    files = Files(turns)
    begun = [await files.begin(viewer, _slowly(ROW, NEVER), key=f"file {number}") for number in range(2)]
    theirs = await factories.make_outdial(stranger)
    job = await take_in(stranger, theirs.id, ROW, turns=turns)
    assert (job.state, job.counts.created) == (ImportState.COMPLETED, 1)
    done, _ = await asyncio.wait(files.tasks, timeout=10, return_when=asyncio.FIRST_COMPLETED)
    [displaced] = [number for number, task in enumerate(files.tasks) if task in done]
    with pytest.raises(Unavailable, match="comes slowly"):
        await files.tasks[displaced]
    [job] = await _jobs(viewer, begun[displaced])
    assert (job.state, job.stop_reason, job.message) == (
        ImportState.FAILED, ImportStopReason.INTERRUPTED, jobs.INTERRUPTED
    )  # fmt: skip
    job = await take_in(viewer, begun[displaced], ROW, turns=turns, idempotency_key=f"file {displaced}")
    assert (job.state, job.counts.created) == (ImportState.COMPLETED, 1)
    await files.leave()
    assert (turns.files.running, turns.files.waiting) == (0, 0)


@pytest.mark.usefixtures("database")
async def test_a_slow_file_keeps_its_place_while_there_are_others(
    viewer: Viewer, stranger: Viewer, turns: ImportTurns
) -> None:
    files = Files(turns)
    await files.begin(viewer, _slowly(ROW, 1))
    theirs = await factories.make_outdial(stranger)
    for _ in range(3):
        job = await take_in(stranger, theirs.id, ROW, turns=turns)
        assert job.state is ImportState.COMPLETED
    job = await files.tasks[0]
    assert (job.state, job.counts.created) == (ImportState.COMPLETED, 1)


@pytest.mark.usefixtures("database")
async def test_nobody_takes_a_place_from_a_customer_who_has_no_more(
    viewer: Viewer, stranger: Viewer, turns: ImportTurns
) -> None:
    files = Files(turns)
    await files.begin(viewer, _slowly(ROW, 1))
    await files.begin(stranger, _slowly(ROW, 1))
    theirs = await factories.make_outdial(stranger)
    job = await take_in(stranger, theirs.id, ROW, turns=turns)  # waits until one of them has ended
    assert job.state is ImportState.COMPLETED
    assert {job.state for job in await asyncio.gather(*files.tasks)} == {ImportState.COMPLETED}


@pytest.mark.usefixtures("database")
async def test_a_file_that_comes_fast_keeps_its_place(
    viewer: Viewer, stranger: Viewer, turns: ImportTurns, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turning, "SLOW_BYTES_PER_SECOND", 100)  # also on a machine that stands still for a second
    files, stop = Files(turns), asyncio.Event()
    for _ in range(2):
        await files.begin(viewer, _fast(stop))
    theirs = await factories.make_outdial(stranger)
    waits = asyncio.create_task(take_in(stranger, theirs.id, ROW, turns=turns))
    await asyncio.sleep(1)
    assert not waits.done()
    stop.set()
    assert {job.state for job in await asyncio.gather(waits, *files.tasks)} == {ImportState.COMPLETED}


@pytest.mark.usefixtures("database")
async def test_files_are_read_together_and_their_chunks_are_stored_in_turn(
    viewer: Viewer, stranger: Viewer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turning, "STORING_MAX", 1)
    turns, stores, stored, most = imports.turns(), chunks.commit, 0, 0
    under_way: set[object] = set()

    async def commit(*given: Any, **more: Any) -> ImportJob:
        nonlocal stored, most
        mine = object()
        under_way.add(mine)
        most = max(most, len(under_way))
        job = await stores(*given, **more)
        await asyncio.sleep(0.05)  # so that another's chunk is there
        under_way.remove(mine)
        stored += 1
        return job

    monkeypatch.setattr(chunks, "commit", commit)
    text = "key,phone\n" + "".join(f"{row},{importing.numbers(row)}\n" for row in range(3_000))
    made = [(customer, await factories.make_outdial(customer)) for customer in (viewer, viewer, stranger, stranger)]
    jobs_done = await asyncio.gather(*[take_in(customer, one.id, text, turns=turns) for customer, one in made])
    assert [(job.state, job.counts.created) for job in jobs_done] == [(ImportState.COMPLETED, 3_000)] * 4
    assert (stored, most) == (12, 1)


@pytest.mark.usefixtures("database")
async def test_a_slow_file_of_the_do_not_call_list_gives_its_place_up_too(
    viewer: Viewer, stranger: Viewer, turns: ImportTurns
) -> None:
    slow = [
        asyncio.create_task(
            imports.suppress(
                viewer, options=ImportOptions(), pieces=_slowly(ROW, NEVER), turns=turns, stopping=asyncio.Event()
            )
        )
        for _ in range(2)
    ]

    async def have_begun() -> bool:
        return turns.files.running == 2

    await until(have_begun)
    theirs = await factories.make_outdial(stranger)
    job = await take_in(stranger, theirs.id, ROW, turns=turns)
    assert job.state is ImportState.COMPLETED
    done, waiting = await asyncio.wait(slow, timeout=10, return_when=asyncio.FIRST_COMPLETED)
    [displaced] = done
    assert isinstance(displaced.exception(), Unavailable)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


# ---------------------------------------------------------------- how fast a sender is


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Moves the time of a Pace by so many seconds."""
    now = 100.0

    def move(seconds: float) -> None:
        nonlocal now
        now += seconds

    made = Pace.__init__

    def make(pace: Pace) -> None:
        made(pace)
        pace._clock = lambda: now

    monkeypatch.setattr(Pace, "__init__", make)
    return move


async def _paced(clock: Callable[[float], None], *, waits: float, works: float, size: int, count: int) -> float:
    """How fast a sender is that lets wait before each piece, while the server works after it."""
    pace = Pace()

    async def pieces() -> AsyncIterator[bytes]:
        while True:
            clock(waits)
            yield b"x" * size

    found = pace.of(pieces())
    for _ in range(count):
        await anext(found)
        clock(works)
    return pace.bytes_per_second()


async def test_a_pace_is_that_of_the_last_seconds_in_which_the_server_waited(clock: Callable[[float], None]) -> None:
    assert await _paced(clock, waits=0.1, works=0, size=1_000, count=1_000) == pytest.approx(10_000, rel=0.05)
    # the server's own time does not count
    assert await _paced(clock, waits=0.1, works=60, size=1_000, count=1_000) == pytest.approx(10_000, rel=0.05)
    # in the first seconds nobody is slow
    assert await _paced(clock, waits=1, works=0, size=1, count=6) == float("inf")
    assert await _paced(clock, waits=1, works=0, size=1, count=8) < 2


async def test_a_fast_beginning_does_not_last_and_a_whole_file_is_never_slow(clock: Callable[[float], None]) -> None:
    pace, seen = Pace(), []

    async def pieces() -> AsyncIterator[bytes]:
        yield bytes(10_000_000)
        for seconds in (10, 60):
            clock(seconds)
            seen.append(pace.bytes_per_second())
        yield b"x"

    async for _ in pace.of(pieces()):
        pass
    assert seen[0] > 10 * turning.SLOW_BYTES_PER_SECOND
    assert seen[1] < turning.SLOW_BYTES_PER_SECOND
    assert pace.bytes_per_second() == float("inf")


# ---------------------------------------------------------------- who has waited for long


async def test_after_a_while_a_customer_with_several_files_gives_a_place_up_however_fast_they_come(
    database: str, viewer: Viewer, stranger: Viewer, turns: ImportTurns, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turning, "PATIENCE_SECONDS", 0.3)
    monkeypatch.setattr(turning, "SLOW_BYTES_PER_SECOND", 0)
    files, stop = Files(turns), asyncio.Event()
    begun = [await files.begin(viewer, _steadily(stop), key=f"file {number}") for number in range(2)]
    waits = [asyncio.create_task(take_in(viewer, begun[0], ROW, turns=turns)) for _ in range(2)]
    await until(_are_waiting(turns, 2))
    theirs = await factories.make_outdial(stranger)
    job = await asyncio.wait_for(take_in(stranger, theirs.id, ROW, turns=turns), 30)
    assert (job.state, job.counts.created) == (ImportState.COMPLETED, 1)
    assert not any(task.done() for task in waits)  # the place was for the one who had none
    done, kept = await asyncio.wait(files.tasks, timeout=30, return_when=asyncio.FIRST_COMPLETED)
    [displaced] = [number for number, task in enumerate(files.tasks) if task in done]
    with pytest.raises(Unavailable, match="have no file under way"):
        await files.tasks[displaced]
    [job] = [job for job in await _jobs(viewer, begun[displaced]) if job.idempotency_key == f"file {displaced}"]
    assert (job.stop_reason, job.message) == (ImportStopReason.INTERRUPTED, jobs.INTERRUPTED)
    stop.set()
    await asyncio.gather(*waits, *kept)
    text = ROW.partition("\n")[0] + "\n" + "+14155550100\n" * 6_000
    again = await take_in(viewer, begun[displaced], text, turns=turns, idempotency_key=f"file {displaced}")
    assert (again.state, again.counts.created) == (ImportState.COMPLETED, 6_000)
    assert (turns.files.running, turns.files.waiting) == (0, 0)


def _are_waiting(turns: ImportTurns, count: int) -> Callable[[], Any]:
    async def are() -> bool:
        return turns.files.waiting == count

    return are


@pytest.mark.usefixtures("database")
async def test_two_customers_do_not_take_a_place_from_each_other_again_and_again(
    viewer: Viewer, stranger: Viewer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"FILES_MAX": 3, "PATIENCE_SECONDS": 0.1, "ASK_SECONDS": 0.05}.items():
        monkeypatch.setattr(turning, name, value)
    monkeypatch.setattr(turning, "SLOW_BYTES_PER_SECOND", 0)
    files, stop = Files(imports.turns()), asyncio.Event()
    for customer in (viewer, viewer, stranger):
        await files.begin(customer, _fast(stop))
    theirs = await factories.make_outdial(stranger)
    waits = asyncio.create_task(take_in(stranger, theirs.id, ROW, turns=files.turns))
    await asyncio.sleep(1)
    assert not waits.done()
    stop.set()
    done = await asyncio.gather(waits, *files.tasks)
    assert {job.state for job in done} == {ImportState.COMPLETED}


@pytest.mark.usefixtures("database")
async def test_a_file_that_is_here_as_a_whole_keeps_its_place(
    viewer: Viewer, stranger: Viewer, turns: ImportTurns, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turning, "PATIENCE_SECONDS", 0.1)
    goes_on, stores = asyncio.Event(), chunks.commit

    async def commit(*given: Any, **more: Any) -> ImportJob:
        await goes_on.wait()
        return await stores(*given, **more)

    monkeypatch.setattr(chunks, "commit", commit)
    mine, theirs = await factories.make_outdial(viewer), await factories.make_outdial(stranger)
    kept = [asyncio.create_task(take_in(viewer, mine.id, ROW, turns=turns)) for _ in range(2)]

    async def are_here() -> bool:
        return [place.pace.has_all for place in turns._places] == [True, True]

    await until(are_here)
    waits = asyncio.create_task(take_in(stranger, theirs.id, ROW, turns=turns))
    await asyncio.sleep(0.5)
    goes_on.set()
    assert {job.state for job in await asyncio.gather(waits, *kept)} == {ImportState.COMPLETED}
