"""A claim reads what it takes, also if the database has not counted its tables since they were filled."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from app import attempts, clock, db
from app.lifecycle import Disposition
from app.records import AttemptResult
from benchmarks import held, sleeping
from benchmarks.held import Held, Part
from tests.support import factories

LISTED = 12_000
"""Of thousands PostgreSQL takes all, rather than look a few up."""
READ_MAX = 3_000
AWAKE = 80
RULES: dict[str, dict[str, Any]] = {
    "no rules": {},
    "hours": {"calling_hours": held.hours()},
    "caps": {"caps": held.CAPS},
    "hours and caps": {"calling_hours": held.hours(), "caps": held.CAPS},
}


async def filled(url: str, rule: str, size: int) -> Held:
    """A list of thousands that sleep, by rows, and of some that do not."""
    await sleeping.keep_uncounted(url)
    made = await held.begin(factories.make_viewer(), **RULES[rule])
    asleep = held.AWAKE if "hours" not in rule else held.ASLEEP
    wakes_at = None if "hours" in rule else clock.now() + timedelta(days=1)
    await held.fill(url, {made: [Part(asleep, size, wakes_at=wakes_at)]}, {made.viewer.customer_id: size})
    drafts = [factories.target_draft(held.AWAKE[0].number(number)) for number in range(AWAKE)]
    await factories.create_many(made.viewer, made.outdial_id, drafts)
    return made


async def dial(one: Held, sizes: Sequence[int]) -> None:
    for size in sizes:
        made = await attempts.claim(one.viewer, one.outdial_id, limit=size)
        assert len(made) == size
        results = [AttemptResult(attempt.id, Disposition.ANSWERED) for attempt in made]
        assert (await attempts.complete(one.viewer, results=results)).errors == ()


async def entries() -> int:
    """Read in all indexes so far."""
    await asyncio.sleep(1.1)  # a session tells its numbers once a second, at the end of a transaction
    await db.fetch("SELECT 1 AS one")
    [row] = await db.fetch(
        "SELECT sum(idx_tup_read) AS n FROM pg_stat_user_indexes WHERE relname IN ('target', 'attempt')"
    )
    return int(row["n"])


@pytest.mark.slow
@pytest.mark.parametrize("rule", RULES)
async def test_calls_read_few_entries_of_a_list_just_written(postgres_url: str, rule: str) -> None:
    await db.connect(postgres_url, pool_size=1)
    try:
        one = await filled(postgres_url, rule, LISTED)
        await dial(one, (1, 30))  # learns the rules
        before = await entries()
        await dial(one, (1, 1, 30))
        assert await entries() - before < READ_MAX
    finally:
        await db.close()


@pytest.mark.parametrize("rule", RULES)
async def test_calls_look_up_each_target_by_its_id_on_sqlite(
    tmp_path: Path, rule: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path}/outdial.db"
    await db.migrate(url)
    await db.connect(url)
    try:
        one = await filled(url, rule, 100)
        run, seen = db.statements.run, list[str]()

        async def explaining(connection: Any, sql: str, args: Sequence[Any]) -> Any:
            if " target" in sql:
                seen.extend(row["detail"] for row in await run(connection, f"EXPLAIN QUERY PLAN {sql}", args))
            return await run(connection, sql, args)

        monkeypatch.setattr(db.statements, "run", explaining)
        await dial(one, (1, 30))
        looks = [text for text in seen if text.startswith(("SEARCH target", "SCAN target"))]
        assert looks
        assert [text for text in looks if "(customer_id=?)" in text or text.startswith("SCAN")] == []
    finally:
        await db.close()
