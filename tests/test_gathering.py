"""Work that is asked for at the same time is done together, and nobody notices but by the speed."""

import asyncio
from collections.abc import Sequence

import pytest

from app import attempts, db, gathering
from app.auth import Viewer
from app.errors import Unavailable
from app.gathering import Gathering
from app.lifecycle import AttemptState, Disposition
from app.records import AttemptResult, AttemptStart
from tests.support import factories


class Work:
    """Doubles numbers. Each round waits until it may end."""

    def __init__(self, size_max: int = 100) -> None:
        self.rounds: list[tuple[str, list[int]]] = []
        self.may_end = asyncio.Event()
        self.gathering: Gathering[str, int, int] = Gathering(
            self.do, size=lambda _: 1, size_max=size_max, is_final=lambda error: isinstance(error, Unavailable)
        )

    async def do(self, key: str, items: Sequence[int]) -> list[int]:
        self.rounds.append((key, list(items)))
        await self.may_end.wait()
        if 13 in items:
            raise ValueError(items)
        if 14 in items:
            raise Unavailable("gone")
        return [2 * item for item in items]

    def ask(self, *items: int, key: str = "k") -> list[asyncio.Task[int]]:
        return [asyncio.create_task(self.gathering.ask(key, item)) for item in items]


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is begun because it has waited for long."""
    monkeypatch.setattr(gathering, "WAIT_SECONDS_MAX", 60)


async def turn() -> None:
    """Let every task run until it waits."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_the_first_is_done_at_once_and_the_others_together_in_their_order(patient: None) -> None:
    work = Work()
    asked = work.ask(1, 2, 3, 4)
    await turn()
    assert work.rounds == [("k", [1])]
    work.may_end.set()
    assert await asyncio.gather(*asked) == [2, 4, 6, 8]
    assert work.rounds == [("k", [1]), ("k", [2, 3, 4])]


async def test_a_group_has_a_bound(patient: None) -> None:
    work = Work(size_max=2)
    asked = work.ask(1, 2, 3, 4, 5, 6)
    await turn()
    assert work.rounds == [("k", [1]), ("k", [2, 3]), ("k", [4, 5])]
    work.may_end.set()
    assert await asyncio.gather(*asked) == [2, 4, 6, 8, 10, 12]


async def test_what_is_large_waits_for_nothing(patient: None) -> None:
    work = Work(size_max=1)
    asked = work.ask(1, 2, 3)
    await turn()
    assert work.rounds == [("k", [1]), ("k", [2]), ("k", [3])]
    work.may_end.set()
    assert await asyncio.gather(*asked) == [2, 4, 6]


async def test_what_is_in_progress_for_long_holds_nobody_up() -> None:
    work = Work()
    asked = work.ask(1, 2, 3)
    await asyncio.sleep(10 * gathering.WAIT_SECONDS_MAX)
    assert work.rounds == [("k", [1]), ("k", [2, 3])]
    work.may_end.set()
    assert await asyncio.gather(*asked) == [2, 4, 6]


async def test_other_keys_do_not_wait(patient: None) -> None:
    work = Work()
    asked = work.ask(1) + work.ask(2, key="other")
    await turn()
    assert work.rounds == [("k", [1]), ("other", [2])]
    work.may_end.set()
    assert await asyncio.gather(*asked) == [2, 4]


async def test_an_error_is_that_of_the_item_that_has_it(patient: None) -> None:
    work = Work()
    asked = work.ask(1, 2, 13, 3)
    await turn()
    work.may_end.set()
    results = await asyncio.gather(*asked, return_exceptions=True)
    assert [result for result in results if not isinstance(result, Exception)] == [2, 4, 6]
    assert isinstance(results[2], ValueError)
    assert work.rounds[1:] == [("k", [2, 13, 3]), ("k", [2]), ("k", [13]), ("k", [3])]


async def test_nothing_is_done_alone_for_somebody_who_has_left(patient: None) -> None:
    work = Work()
    first, left, wrong = work.ask(1, 2, 13)
    await turn()
    work.may_end.set()
    work.may_end.clear()  # of the first round alone
    assert await first == 2
    await turn()
    left.cancel()
    await turn()
    work.may_end.set()
    assert isinstance((await asyncio.gather(wrong, return_exceptions=True))[0], ValueError)
    assert ("k", [2]) not in work.rounds


async def test_an_outage_is_everybodys_and_nothing_is_done_twice(patient: None) -> None:
    work = Work()
    asked = work.ask(1, 2, 14, 3)
    await turn()
    work.may_end.set()
    results = await asyncio.gather(*asked, return_exceptions=True)
    assert results[0] == 2
    assert [type(result) for result in results[1:]] == [Unavailable] * 3
    assert len(work.rounds) == 2


async def test_who_leaves_takes_nobody_along(patient: None) -> None:
    work = Work()
    first, second, third = work.ask(1, 2, 3)
    await turn()
    second.cancel()
    await turn()
    work.may_end.set()
    assert await asyncio.gather(first, third) == [2, 6]
    assert work.rounds == [("k", [1]), ("k", [3])]


async def test_who_leaves_first_lets_the_others_go_on(patient: None) -> None:
    work = Work()
    first, second = work.ask(1, 2)
    await turn()
    first.cancel()
    await turn()
    assert work.rounds == [("k", [1]), ("k", [2])]
    work.may_end.set()
    assert await second == 4


async def test_nothing_is_kept_of_what_is_done(patient: None) -> None:
    work = Work()
    work.may_end.set()
    await asyncio.gather(*(task for number in range(50) for task in work.ask(0, number + 100, key=f"k{number}")))
    await turn()
    assert (work.gathering._lines, work.gathering._tasks) == ({}, set())


# ---------------------------------------------------------------- claims and reports


async def test_claims_at_the_same_time_share_a_unit_and_each_gets_its_own(database: str, viewer: Viewer) -> None:
    outdial = await factories.make_outdial(viewer, policy={"lease_seconds": 77})
    await factories.make_targets(viewer, outdial.id, 30)
    before = db.statements.sent
    claims = [
        attempts.claim(
            viewer,
            outdial.id,
            limit=1 + number % 3,
            dialer=f"d{number}",
            lease_seconds=100 + number if number % 2 else None,
        )
        for number in range(20)
    ]
    made = await asyncio.gather(*claims)
    assert db.statements.sent - before <= (2 * 2 if db.is_postgres() else 20 * 9)
    everything = [attempt for of_one in made for attempt in of_one]
    assert len({attempt.target_id for attempt in everything}) == len(everything) == 30
    for number, of_one in enumerate(made):
        assert len(of_one) <= 1 + number % 3
        seconds = 100 + number if number % 2 else 77
        assert {(attempt.dialer, attempt.lease_seconds) for attempt in of_one} <= {(f"d{number}", seconds)}
    # those that came last; the first one has a unit of its own, which that of the others may overtake
    empty = [number for number, of_one in enumerate(made) if not of_one and number > 0]
    assert empty == list(range(len(made) - len(empty), len(made)))


async def test_reports_at_the_same_time_share_a_unit_and_each_gets_its_own_answer(
    database: str, viewer: Viewer, stranger: Viewer
) -> None:
    outdial = await factories.make_outdial(viewer)
    await factories.make_targets(viewer, outdial.id, 12)
    made = await attempts.claim(viewer, outdial.id, limit=12)
    ids = [attempt.id for attempt in made]
    before = db.statements.sent
    answers = await asyncio.gather(
        attempts.start(viewer, starts=[AttemptStart(ids[0])]),
        attempts.complete(viewer, results=[AttemptResult(ids[1], Disposition.ANSWERED)]),
        attempts.complete(viewer, results=[AttemptResult(ids[1], Disposition.BUSY)]),
        attempts.release(viewer, attempt_ids=[ids[2], "01a22774-e373-75a1-bcf1-febc18bc4bb5"]),
        attempts.extend(viewer, attempt_ids=ids[3:6]),
        attempts.complete(viewer, results=[AttemptResult(one, Disposition.MACHINE) for one in ids[6:9]]),
        attempts.start(stranger, starts=[AttemptStart(ids[10])]),
    )
    assert [[error.code.value for error in answer.errors] for answer in answers] == [
        [], [], ["ALREADY_ENDED"], ["NOT_FOUND"], [], [], ["NOT_FOUND"],
    ]  # fmt: skip
    assert [[attempt.state for attempt in answer.attempts] for answer in answers] == [
        [AttemptState.DIALING], [AttemptState.COMPLETED], [], [AttemptState.RELEASED], [AttemptState.CLAIMED] * 3,
        [AttemptState.COMPLETED] * 3, [],
    ]  # fmt: skip
    if db.is_postgres():
        assert db.statements.sent - before <= 3 + 3 + 1  # the first, the others, and what a stranger asks
