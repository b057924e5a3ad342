"""Turns: no customer takes another's room, nobody waits for ever, and no turn is lost."""

import asyncio
import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app import imports, turns
from app.errors import LimitExceeded, RateLimited, Unavailable
from app.turns import Allowance, Lanes, Turns


def room(room: int = 4, *, share: int = 2, alone: int = 4, waiting_max: int = 50, wait_seconds: float = 5) -> Turns:
    return Turns("calls", room=room, share=share, alone=alone, waiting_max=waiting_max, wait_seconds=wait_seconds)


class Work:
    """Pieces of work that run until they are let go."""

    def __init__(self, of: Turns) -> None:
        self._of = of
        self.begun: list[str] = []
        self._doors: list[asyncio.Event] = []

    async def _one(self, customer: str) -> None:
        async with self._of.turn(customer):
            door = asyncio.Event()
            self.begun.append(customer)
            self._doors.append(door)
            await door.wait()

    async def come(self, customer: str, number: int = 1) -> list[asyncio.Task[None]]:
        tasks = [asyncio.create_task(self._one(customer)) for _ in range(number)]
        await asyncio.sleep(0)
        return tasks

    async def end(self, number: int) -> None:
        """Let one piece go, by the order of beginning."""
        self._doors[number].set()
        for _ in range(3):
            await asyncio.sleep(0)

    async def end_all(self) -> None:
        for number in range(10_000):
            if number == len(self._doors):
                return
            await self.end(number)


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Sets the clock."""

    def be(seconds: float) -> None:
        monkeypatch.setattr(turns.time, "monotonic", lambda: seconds)

    be(100)
    return be


async def test_a_customer_without_company_has_all_the_room(at: Any) -> None:
    work = Work(room())
    tasks = await work.come("a", 6)
    assert work.begun == ["a"] * 4
    await work.end_all()
    await asyncio.gather(*tasks)
    assert work.begun == ["a"] * 6


async def test_another_one_waits_for_one_piece_of_work_at_most(at: Any) -> None:
    """However many the first one has waiting."""
    work = Work(room())
    first = await work.come("a", 40)
    second = await work.come("b")
    assert work.begun == ["a"] * 4
    await work.end(0)
    assert work.begun == ["a"] * 4 + ["b"]
    await work.end_all()
    await asyncio.gather(*first, *second)


async def test_with_company_each_has_its_share_and_the_rest_stays_free(at: Any) -> None:
    work = Work(room())
    tasks = [*await work.come("b"), *await work.come("a", 10)]
    assert work.begun == ["b", "a", "a"]
    tasks += await work.come("c")
    assert work.begun == ["b", "a", "a", "c"]  # it finds room at once
    await work.end_all()
    await asyncio.gather(*tasks)


async def test_company_counts_for_a_moment_after_it_has_gone(at: Any) -> None:
    work = Work(room())
    await asyncio.gather(*await work.come("b"), work.end_all())
    tasks = await work.come("a", 4)
    assert work.begun[1:] == ["a"] * 2
    at(100 + turns.SHARED_SECONDS)
    await work.end(1)
    assert work.begun[1:] == ["a"] * 4  # the one in whose place it came, and one more
    await work.end_all()
    await asyncio.gather(*tasks)


async def test_those_who_wait_are_served_in_turn(at: Any) -> None:
    work = Work(room(1, share=1, alone=1))
    tasks = await work.come("a")
    for customer, number in (("a", 3), ("b", 2), ("c", 1)):
        tasks += await work.come(customer, number)
    await work.end_all()
    assert work.begun == ["a", "a", "b", "c", "a", "b", "a"]
    await asyncio.gather(*tasks)


async def test_too_many_who_wait_are_refused_and_others_are_not(at: Any) -> None:
    work = Work(room(1, share=1, alone=1, waiting_max=3))
    tasks = await work.come("a", 4)
    with pytest.raises(RateLimited, match="3 calls wait already"):
        await asyncio.gather(*await work.come("a"))
    tasks += await work.come("b", 3)
    with pytest.raises(RateLimited):
        await asyncio.gather(*await work.come("b"))
    await work.end_all()
    await asyncio.gather(*tasks)


async def test_nobody_waits_for_a_turn_for_ever() -> None:
    one = room(1, share=1, alone=1, wait_seconds=0.02)
    async with one.turn("a"):
        with pytest.raises(Unavailable, match="No turn came in time"):
            async with one.turn("b"):
                pass
    assert (one.running, one.waiting) == (0, 0)


async def test_one_that_leaves_as_its_turn_comes_gives_it_to_the_next() -> None:
    one = room(1, share=1, alone=1)
    async with one.turn("a"):
        leaving, staying = (asyncio.create_task(_pass(one, customer)) for customer in "bc")
        await asyncio.sleep(0)
    # it has been told by now, and has not run since
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    await staying
    assert (one.running, one.waiting) == (0, 0)


async def test_one_that_has_left_costs_nobody_a_turn() -> None:
    one = room(1, share=1, alone=1)
    async with one.turn("a"):
        leaving, staying = (asyncio.create_task(_pass(one, customer)) for customer in "bc")
        await asyncio.sleep(0)
        leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)
    await staying
    assert (one.running, one.waiting) == (0, 0)


async def _pass(one: Turns, customer: str) -> None:
    async with one.turn(customer):
        await asyncio.sleep(0)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32), st.integers(1, 5), st.integers(1, 5), st.integers(1, 5))
async def test_no_turn_is_lost_or_given_twice(seed: int, size: int, share: int, alone: int) -> None:
    """Whoever comes, leaves while it waits or works, or waits too long."""
    pick = random.Random(seed)
    one = room(size, share=share, alone=max(share, alone), waiting_max=6, wait_seconds=0.004)
    running: Counter[str] = Counter()

    async def work(customer: str) -> None:
        async with one.turn(customer):
            running[customer] += 1
            try:
                assert running.total() <= one.running <= size
                assert running[customer] <= max(share, alone)
                await asyncio.sleep(pick.choice([0, 0, 0.001, 0.003]))
            finally:
                running[customer] -= 1

    tasks = []
    for _ in range(60):
        tasks.append(asyncio.create_task(work(pick.choice("aaabc"))))
        if pick.random() < 0.3:
            await asyncio.sleep(pick.choice([0, 0.001]))
        if pick.random() < 0.2:
            pick.choice(tasks).cancel()
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert {type(error) for error in ended} <= {type(None), asyncio.CancelledError, RateLimited, Unavailable}
    assert (one.running, one.waiting, one._of_each, list(one._lines)) == (0, 0, {}, [])


async def test_dialers_calls_do_not_wait_for_anybody_elses() -> None:
    lanes = Lanes()
    for _ in range(turns.OPERATIONS_MAX):
        await lanes.turn("a", is_dialing=False).begin()
    other = asyncio.create_task(lanes.turn("b", is_dialing=False).begin())
    await asyncio.wait_for(lanes.turn("a", is_dialing=True).begin(), 1)
    await asyncio.wait_for(lanes.turn("b", is_dialing=True).begin(), 1)
    assert not other.done()
    other.cancel()


class Long:
    """Operations of lanes that run until they are let go."""

    def __init__(self) -> None:
        self.lanes = Lanes()
        self.begun: Counter[str] = Counter()
        self._doors: dict[str, list[asyncio.Event]] = {}

    async def _one(self, customer: str, what: str) -> None:
        async with self.lanes.turn(customer, is_dialing=what == "call", is_long=what == "long"):
            self.begun[f"{customer} {what}"] += 1
            door = asyncio.Event()
            self._doors.setdefault(f"{customer} {what}", []).append(door)
            await door.wait()

    async def come(self, customer: str, what: str, number: int = 1) -> list[asyncio.Task[None]]:
        tasks = [asyncio.create_task(self._one(customer, what)) for _ in range(number)]
        for _ in range(4):
            await asyncio.sleep(0)
        return tasks

    async def end(self, which: str) -> None:
        self._doors[which].pop(0).set()
        for _ in range(6):
            await asyncio.sleep(0)


@pytest.mark.parametrize("other", ["operation", "call", "long"])
async def test_with_company_a_customer_computes_one_long_answer_at_a_time(at: Any, other: str) -> None:
    """And its short ones go on beside that."""
    work = Long()
    tasks = await work.come("b", other)
    tasks += await work.come("a", "long", 5)
    tasks += await work.come("a", "operation", 2)
    assert (work.begun["a long"], work.begun["a operation"]) == (1, 2)
    await work.end("a long")
    assert work.begun["a long"] == 2
    at(100 + turns.SHARED_SECONDS)
    await work.end(f"b {other}")
    await work.end("a long")
    # nobody else has been here for a while
    assert work.begun["a long"] == 5
    await _leave(tasks)
    assert (work.lanes._long.running, work.lanes._other.running) == (0, 0)


async def test_alone_a_customer_computes_as_many_as_there_is_room_for(at: Any) -> None:
    work = Long()
    tasks = await work.come("a", "long", turns.OPERATIONS_MAX + 5)
    assert work.begun["a long"] == turns.OPERATIONS_MAX
    # another one, even a long one, comes next
    tasks += await work.come("b", "long")
    await work.end("a long")
    assert work.begun["b long"] == 1
    await _leave(tasks)


async def test_a_long_operation_whose_turn_does_not_come_leaves_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "OPERATIONS_MAX", 1)
    monkeypatch.setattr(turns, "OPERATION_WAIT_SECONDS_MAX", 0.05)
    work = Long()
    tasks = await work.come("a", "operation")
    [late] = await work.come("b", "long")  # it has the turn of long ones, and waits for the other
    with pytest.raises(Unavailable):
        await late
    assert (work.lanes._long.running, work.lanes._other.running, work.lanes._other.waiting) == (0, 1, 0)
    await _leave(tasks)


async def _leave(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_one_customers_imports_leave_room_for_anothers() -> None:
    running = imports.turns().files
    mine = [asyncio.create_task(_stay(running, "a")) for _ in range(5)]
    await asyncio.sleep(0)
    await asyncio.wait_for(running.turn("b").begin(), 1)
    assert (running.running, running.waiting) == (3, 3)
    for task in mine:
        task.cancel()
    await asyncio.wait(mine)


async def _stay(one: Turns, customer: str) -> None:
    async with one.turn(customer):
        await asyncio.Event().wait()


def test_each_customer_may_have_so_many_open() -> None:
    allowed = Allowance("sockets", lambda: 2)
    allowed.take("a")
    allowed.take("a")
    allowed.take("b")
    with pytest.raises(LimitExceeded, match="Too many sockets: your tokens have 2 open"):
        allowed.take("a")
    allowed.give_back("a")
    with allowed.one("a"), pytest.raises(LimitExceeded), allowed.one("a"):
        pass
    allowed.give_back("a")
    allowed.give_back("b")
    assert not allowed._open
