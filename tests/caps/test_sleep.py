"""Capped targets sleep: no claim looks at them until their caps leave a try."""

import asyncio
from datetime import timedelta

import pytest

from app import attempts, db
from app.auth import Viewer
from app.records import CapSubject
from app.store import capping
from tests.support import factories as make
from tests.support.capping import ONE, TWO, asleep, cap, capped, claimed


async def test_what_is_capped_is_looked_at_once_and_then_sleeps(database: str, viewer: Viewer) -> None:
    """However many there are: a claim looks at a bounded number, and those after it at none of them."""
    outdial, other = await capped(viewer, cap(1)), await capped(viewer)
    numbers = [make.phone_number() for _ in range(1_300)]
    for one in (other, outdial):
        for place in (0, 650):
            await make.create_many(viewer, one.id, [make.target_draft(number) for number in numbers[place:][:650]])
    for _ in range(3):
        await attempts.claim(viewer, other.id, limit=500)
    [before] = await db.fetch("SELECT max(version) AS version FROM target WHERE customer_id = $1", viewer.customer_id)
    assert await claimed(viewer, outdial, limit=1) == []
    assert await asleep(viewer) == 1 + 10 + 100
    assert await claimed(viewer, outdial, limit=500) == []
    assert await asleep(viewer) == 1_300
    [after] = await db.fetch("SELECT max(version) AS version FROM target WHERE customer_id = $1", viewer.customer_id)
    assert after == before
    newcomer = make.phone_number()
    awake = await make.make_target(viewer, outdial.id, newcomer)
    assert await claimed(viewer, outdial, limit=1) == [newcomer]
    assert (await make.read(viewer, awake.id)).version == 2


@pytest.mark.slow
async def test_thousands_that_sleep_are_read_by_no_claim(postgres_url: str, viewer: Viewer) -> None:
    """Counted in the indexes of due targets and of attempts by address."""
    await db.connect(postgres_url)
    try:
        outdial, other = await capped(viewer, cap(1)), await capped(viewer)
        for _ in range(4):
            numbers = [make.phone_number() for _ in range(1_000)]
            for one in (other, outdial):
                await make.create_many(viewer, one.id, [make.target_draft(number) for number in numbers])
            for _ in range(2):
                await attempts.claim(viewer, other.id, limit=500)
        while await claimed(viewer, outdial, limit=500) or await asleep(viewer) < 4_000:
            pass
        make.pass_time(capping.SLEEP_SECONDS - 30)
        await make.make_targets(viewer, outdial.id, 10)

        async def read() -> dict[str, int]:
            await asyncio.sleep(1.1)  # a session tells its numbers once a second, at the end of a transaction
            await db.fetch("SELECT 1 AS one")
            found = await db.fetch(
                "SELECT indexrelname AS name, idx_tup_read AS n FROM pg_stat_user_indexes"
                " WHERE indexrelname IN ('target_due', 'attempt_address')"
            )
            return {row["name"]: int(row["n"]) for row in found}

        before = await read()
        assert len(await claimed(viewer, outdial, limit=5)) == 5
        assert len(await claimed(viewer, outdial, limit=10)) == 5
        assert await claimed(viewer, outdial) == []
        after = await read()
        # entries of versions that were claimed meanwhile stay until somebody cleans up
        assert after["target_due"] - before["target_due"] < 100
        assert after["attempt_address"] - before["attempt_address"] < 30
    finally:
        await db.close()


async def test_a_claim_with_caps_is_two_statements(postgres_url: str, viewer: Viewer) -> None:
    await db.connect(postgres_url)
    try:
        outdial = await capped(viewer, cap(3), cap(5, per=CapSubject.TARGET))
        await make.make_targets(viewer, outdial.id, 20)
        for number in (4, 2):  # the first one does not know yet that there are caps
            before = db.statements.sent
            assert len(await claimed(viewer, outdial, limit=10)) == 10
            assert db.statements.sent - before == number
    finally:
        await db.close()


async def test_a_capped_target_sleeps_until_the_caps_leave_a_try(database: str, viewer: Viewer) -> None:
    outdial = await capped(viewer, cap(1, 1_000), cap(2, 5_000))
    await make.make_target(viewer, outdial.id, ONE, TWO)
    attempt = await make.claim(viewer, outdial.id)
    make.one(await make.complete(viewer, attempt.id))
    second = await make.claim(viewer, outdial.id)
    make.one(await make.complete(viewer, second.id))
    assert await claimed(viewer, outdial) == []
    [row] = await db.fetch("SELECT wakes_at FROM target WHERE customer_id = $1", viewer.customer_id)
    assert row["wakes_at"] == attempt.claimed_at + timedelta(seconds=1_000)


@pytest.mark.parametrize("has_scripts", [True, False], ids=["in one trip", "in a transaction"])
async def test_what_a_claim_finds_capped_sleeps_as_soon_as_it_is_answered(
    postgres_url: str, viewer: Viewer, monkeypatch: pytest.MonkeyPatch, *, has_scripts: bool
) -> None:
    await db.connect(postgres_url)
    try:
        outdial = await capped(viewer, cap(1, 1_000))
        for _ in range(2):
            await make.make_target(viewer, outdial.id, ONE)
        await make.make_target(viewer, outdial.id, TWO)
        first = await make.claim(viewer, outdial.id)
        make.one(await make.complete(viewer, first.id))
        monkeypatch.setattr(db, "has_scripts", lambda: has_scripts)
        assert await claimed(viewer, outdial, limit=10) == [TWO]
        until = first.claimed_at + timedelta(seconds=1_000)
        found = await db.fetch(
            "SELECT wakes_at FROM target WHERE customer_id = $1 AND wakes_at IS NOT NULL", viewer.customer_id
        )
        assert [row["wakes_at"] for row in found] == [until, until]
        assert await claimed(viewer, outdial, limit=10) == []
    finally:
        await db.close()


async def test_suppressed_targets_hold_up_no_claim_with_caps(database: str, viewer: Viewer) -> None:
    """However many are due before one that may be called."""
    outdial = await capped(viewer, cap(1))
    barred, free = [make.phone_number() for _ in range(150)], [make.phone_number() for _ in range(60)]
    await make.suppress(viewer, *barred)
    for numbers in (barred, free):
        await make.create_many(viewer, outdial.id, [make.target_draft(number) for number in numbers])
    assert await claimed(viewer, outdial, limit=1) == free[:1]
    assert await claimed(viewer, outdial, limit=50) == free[1:51]
    assert await claimed(viewer, outdial, limit=50) == free[51:]
    assert await claimed(viewer, outdial, limit=50) == []
