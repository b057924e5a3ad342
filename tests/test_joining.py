"""Reads by id that are in flight together: one statement, none of it older than the beginning of any of them."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from app import attempts, db, ids, imports, outdials, targets
from app.auth import Viewer
from app.db import joining
from app.errors import Unavailable
from app.records import Outdial
from tests.support import factories as make
from tests.support.waiting import until

READERS = 20


class Gate:
    """Holds the answers of reading statements back until it is opened, and knows whose they were."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sent: list[tuple[str, list[str]]] = []
        """The customer and the ids of each statement."""
        self.open = asyncio.Event()
        self.fails: Exception | None = None
        self._fetch = db.statements.fetch
        monkeypatch.setattr(db.statements, "fetch", self._held)

    async def _held(self, sql: str, *args: Any) -> Any:
        rows = await self._fetch(sql, *args)
        self.sent.append((args[0], list(args[1])))
        await self.open.wait()
        if self.fails:
            raise self.fails
        return rows


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Gate:
    return Gate(monkeypatch)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joining, "JOIN_SECONDS_MAX", 60.0)


def reading(viewer: Viewer, *outdial_ids: str) -> asyncio.Task[dict[str, Outdial]]:
    return asyncio.create_task(outdials.get_many(viewer, outdial_ids))


async def made(viewer: Viewer, number: int) -> list[str]:
    return [(await make.make_outdial(viewer, name=f"list {place}")).id for place in range(number)]


# ---------------------------------------------------------------- one statement


@pytest.mark.usefixtures("database", "patient")
async def test_reads_in_flight_together_take_two_statements(viewer: Viewer) -> None:
    """The first one is sent at once; all that come before its answer are the second."""
    outdial_ids = await made(viewer, READERS)
    before = db.statements.sent
    found = await asyncio.gather(*[outdials.get_many(viewer, [outdial_id]) for outdial_id in outdial_ids])
    assert db.statements.sent - before == 2
    assert [[*one] for one in found] == [[outdial_id] for outdial_id in outdial_ids]
    assert [one[outdial_id].name for one, outdial_id in zip(found, outdial_ids, strict=True)] == [
        f"list {place}" for place in range(READERS)
    ]
    assert joining._lines == {}


@pytest.mark.usefixtures("database", "patient")
async def test_every_read_by_id_is_joined(viewer: Viewer) -> None:
    outdial = await make.make_outdial(viewer)
    target_ids = [target.id for target in await make.make_targets(viewer, outdial.id, READERS)]
    attempt_ids = [attempt.id for attempt in await attempts.claim(viewer, outdial.id, limit=READERS)]
    reads: dict[str, tuple[Callable[[str], Awaitable[Any]], list[str]]] = {
        "targets": (lambda one: targets.get_many(viewer, [one]), target_ids),
        "attempts": (lambda one: attempts.get_many(viewer, [one]), attempt_ids),
        "imports": (lambda one: imports.get_many(viewer, [one]), [ids.new() for _ in range(READERS)]),
        "progress": (lambda one: outdials.progress(viewer, [one]), [outdial.id] * READERS),
    }
    for name, (read, wanted) in reads.items():
        before = db.statements.sent
        found = await asyncio.gather(*[read(one) for one in wanted])
        assert (name, db.statements.sent - before) == (name, 2)
        if name != "imports":
            assert [[*one] for one in found] == [[one] for one in wanted]


@pytest.mark.usefixtures("database")
async def test_a_read_alone_waits_for_nothing(viewer: Viewer, monkeypatch: pytest.MonkeyPatch) -> None:
    [outdial_id] = await made(viewer, 1)
    monkeypatch.setattr(asyncio, "create_task", None)
    before = db.statements.sent
    assert [*await outdials.get_many(viewer, [outdial_id, outdial_id, ids.new()])] == [outdial_id]
    assert await outdials.get_many(viewer, []) == {}
    assert db.statements.sent - before == 1


@pytest.mark.usefixtures("database", "patient")
async def test_a_statement_is_of_one_customer(viewer: Viewer, stranger: Viewer, gate: Gate) -> None:
    """Also if one asks for the other's ids."""
    of_viewer, of_stranger = await made(viewer, 4), await made(stranger, 4)
    tasks = [reading(who, *of_viewer, *of_stranger) for _ in range(5) for who in (viewer, stranger)]
    await until(lambda: len(gate.sent) == 2)
    gate.open.set()
    found = await asyncio.gather(*tasks)
    assert [set(one) for one in found] == [set(of_viewer), set(of_stranger)] * 5
    assert sorted(customer for customer, _ in gate.sent) == sorted([viewer.customer_id, stranger.customer_id] * 2)


@pytest.mark.usefixtures("database", "patient")
async def test_a_joined_statement_has_a_bounded_number_of_ids(
    viewer: Viewer, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(joining, "JOINED_IDS_MAX", 3)
    outdial_ids = await made(viewer, 8)
    tasks = [reading(viewer, outdial_id) for outdial_id in outdial_ids]
    gate.open.set()
    assert [[*one] for one in await asyncio.gather(*tasks)] == [[outdial_id] for outdial_id in outdial_ids]
    assert sorted(len(wanted) for _, wanted in gate.sent) == [1, 1, 3, 3]
    assert [*await outdials.get_many(viewer, outdial_ids)] != []
    assert len(gate.sent[-1][1]) == 8  # a single read may have more


# ---------------------------------------------------------------- never old


@pytest.mark.usefixtures("database", "patient")
async def test_no_read_joins_a_statement_that_was_sent_before_it(viewer: Viewer, gate: Gate) -> None:
    [outdial_id] = await made(viewer, 1)
    first = reading(viewer, outdial_id)
    await until(lambda: len(gate.sent) == 1)
    await outdials.update(viewer, outdial_id, changes={"name": "new"})
    second = reading(viewer, outdial_id)
    await asyncio.sleep(0)
    gate.open.set()
    assert (await first)[outdial_id].name == "list 0"
    assert (await second)[outdial_id].name == "new"


@pytest.mark.usefixtures("database")
async def test_a_read_does_not_wait_for_a_slow_one(viewer: Viewer, gate: Gate) -> None:
    one, other = await made(viewer, 2)
    slow = reading(viewer, one)
    await until(lambda: len(gate.sent) == 1)
    next_one = reading(viewer, other)
    await until(lambda: len(gate.sent) == 2)
    gate.open.set()
    assert [*await slow, *await next_one] == [one, other]


# ---------------------------------------------------------------- errors and cancellation


@pytest.mark.usefixtures("database", "patient")
async def test_an_error_reaches_each_reader_and_nobody_after_them(viewer: Viewer, gate: Gate) -> None:
    [outdial_id] = await made(viewer, 1)
    gate.fails = Unavailable("gone")
    tasks = [reading(viewer, outdial_id) for _ in range(5)]
    await until(lambda: len(gate.sent) == 1)
    gate.open.set()
    errors = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(error) for error in errors] == [Unavailable] * 5
    gate.fails = None
    assert [*await outdials.get_many(viewer, [outdial_id])] == [outdial_id]
    assert joining._lines == {}


@pytest.mark.usefixtures("database", "patient")
@pytest.mark.parametrize("leaving", [{0}, {1}, {1, 2, 3}, {0, 1, 2, 3}])
async def test_a_reader_that_leaves_takes_nobody_along(viewer: Viewer, gate: Gate, leaving: set[int]) -> None:
    """The first one is in flight alone, the others wait together."""
    outdial_ids = await made(viewer, 5)
    tasks = [reading(viewer, outdial_id) for outdial_id in outdial_ids]
    await until(lambda: len(gate.sent) == 1)
    for number in leaving:
        tasks[number].cancel()
    await asyncio.sleep(0)
    gate.open.set()
    found = await asyncio.gather(*tasks, return_exceptions=True)
    for number, (one, outdial_id) in enumerate(zip(found, outdial_ids, strict=True)):
        if number in leaving:
            assert isinstance(one, asyncio.CancelledError)
        else:
            assert not isinstance(one, BaseException)
            assert [*one] == [outdial_id]
    await until(lambda: not joining._lines)


@pytest.mark.usefixtures("database")
async def test_a_statement_ends_if_all_its_readers_have_left(viewer: Viewer, gate: Gate) -> None:
    outdial_ids = await made(viewer, 3)
    tasks = [reading(viewer, outdial_id) for outdial_id in outdial_ids]
    await until(lambda: len(gate.sent) == 2)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await until(lambda: not joining._lines)
    gate.open.set()
    assert [*await outdials.get_many(viewer, outdial_ids)] != []


@pytest.mark.usefixtures("database", "patient")
async def test_readers_that_leave_early_leave_nothing_behind(viewer: Viewer, gate: Gate) -> None:
    outdial_ids = await made(viewer, 2)
    first, second = [reading(viewer, outdial_id) for outdial_id in outdial_ids]
    await until(lambda: len(gate.sent) == 1)
    gate.open.set()
    await first  # which has just made the task of the next statement
    second.cancel()
    await asyncio.gather(second, return_exceptions=True)
    await until(lambda: not joining._lines)
    assert len(gate.sent) == 1


@pytest.mark.usefixtures("database")
async def test_whatever_happens_at_once_no_read_is_older_than_its_beginning(viewer: Viewer) -> None:
    """Writers, readers, and readers that leave, in an order of chance."""
    chance = random.Random(11)
    outdial_ids = await made(viewer, 4)
    written = dict.fromkeys(outdial_ids, 0)

    async def write() -> None:
        outdial_id = chance.choice(outdial_ids)
        for _ in range(10):
            number = written[outdial_id] + 1
            await outdials.update(viewer, outdial_id, changes={"detail": f"{number}"})
            written[outdial_id] = max(number, written[outdial_id])

    async def read() -> None:
        for _ in range(25):
            wanted = chance.sample(outdial_ids, chance.randint(1, 3))
            least = {outdial_id: written[outdial_id] for outdial_id in wanted}
            task = reading(viewer, *wanted)
            if chance.random() < 0.2:
                await asyncio.sleep(chance.random() * 0.005)
                task.cancel()
            try:
                found = await task
            except asyncio.CancelledError:
                continue
            assert set(found) == set(wanted)
            for outdial_id in wanted:
                assert int(found[outdial_id].detail or 0) >= least[outdial_id]

    for outdial_id in outdial_ids:
        await outdials.update(viewer, outdial_id, changes={"detail": "0"})
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(write())
        for _ in range(12):
            tasks.create_task(read())
    await until(lambda: not joining._lines)
