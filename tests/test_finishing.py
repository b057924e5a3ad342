"""How the search for targets that are finished by suppressions keeps its time, and what it and an import look up."""

import sqlite3
from typing import Any

import pytest

from app import suppressions
from app.auth import Viewer
from app.db import statements
from app.lifecycle import DoneReason, TargetStatus
from app.suppressions import finishing
from app.suppressions.finishing import Pace
from tests.support import factories as make

Said = list[tuple[str, Any]]


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> Said:
    sent: Said = []
    run = statements.run

    async def noting(connection: Any, sql: str, args: Any) -> Any:
        sent.append((sql, args))
        return await run(connection, sql, args)

    monkeypatch.setattr(statements, "run", noting)
    return sent


def test_steps_grow_while_they_are_quick_and_shrink_when_they_are_slow() -> None:
    pace, numbers = Pace(), []
    quick, fair, slow = (finishing.SEARCH_SECONDS * share for share in (0.4, 0.8, 1.1))
    for seconds in (quick, quick, fair, quick, quick, quick, slow, slow, slow, slow, slow):
        pace.took(seconds, pace.number)
        numbers.append(pace.number)
    assert numbers == [200, 400, 400, 800, 1_000, 1_000, 500, 250, 125, 100, 100]


def test_a_step_that_has_little_to_do_says_nothing_of_the_next_one() -> None:
    pace = Pace()
    pace.took(0.0, pace.number - 1)
    assert pace.number == finishing.SEARCHED_SUPPRESSIONS_MIN


async def test_all_suppressions_are_searched_whatever_the_steps_are(
    database: str, viewer: Viewer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finishing, "SEARCHED_SUPPRESSIONS_MIN", 2)
    monkeypatch.setattr(finishing, "_pace", Pace())
    outdial = await make.make_outdial(viewer)
    numbers = [make.phone_number() for _ in range(21)]
    barred = [await make.make_target(viewer, outdial.id, None, number) for number in numbers]
    free = await make.make_target(viewer, outdial.id, numbers[0], make.phone_number())
    await make.suppress(viewer, *numbers)
    steps = 0
    while await suppressions.finish():
        steps += 1
    assert 2 <= steps <= 11
    for target in barred:
        found = await make.read(viewer, target.id)
        assert (found.status, found.done_reason) == (TargetStatus.DONE, DoneReason.DO_NOT_CALL)
    assert (await make.read(viewer, free.id)).status is TargetStatus.IDLE


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
async def test_on_sqlite_each_address_is_looked_up_and_no_list_is_read_for_it(
    database: str, viewer: Viewer, said: Said
) -> None:
    """An import of many addresses compared each of 1,000 with all that were there: it never came to its end."""
    outdial = await make.make_outdial(viewer)
    number = make.phone_number()
    await make.make_target(viewer, outdial.id, number)
    await make.suppress(viewer, number)
    while await suppressions.finish():
        pass
    with sqlite3.connect(database.removeprefix("sqlite:///")) as connection:
        plans = [
            [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}".replace("$", "?"), list(map(str, args)))]
            for sql, args in said
            if "suppression" in sql and sql.lstrip().startswith("SELECT") and ("$2" in sql or "json_each" in sql)
        ]
    steps = [step for plan in plans for step in plan if " suppression " in step or " target " in step]
    assert len(plans) >= 3
    assert [step for step in steps if step.startswith("SCAN")] == []
    looked_up = {step.partition("(")[2] for step in steps if "USING INDEX suppression_address" in step}
    assert looked_up == {"customer_id=? AND address=? AND space=?)"}
    assert not [step for step in steps if step.startswith("SEARCH suppression") and "suppression_address" not in step]
