"""Targets that wait for the end of a suppression sleep: no claim looks at them, and none is called late."""

import asyncio
from datetime import datetime, time, timedelta

import pytest

from app import attempts, db, suppressions, targets
from app.auth import Viewer
from app.hours import CallingHours, CallingWindow, Weekday
from app.records import DestinationDraft, Outdial, SuppressionDraft
from app.store import lulling
from tests.support import factories as make
from tests.support.capping import asleep, claimed

DAY = timedelta(days=1)
ONE, TWO = "+15550200001", "+15550200002"
"""No numbers of `factories.phone_number`."""


@pytest.fixture(autouse=True)
def at_each_claim(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lulling, "FEW", 0)
    monkeypatch.setattr(lulling, "REST_SECONDS", 0.0)


async def held(viewer: Viewer, *, number: int = 1, **policy: object) -> tuple[Outdial, datetime]:
    """Targets with one address, which is suppressed for a day, and a claim that has told so."""
    outdial = await make.make_outdial(viewer, policy=policy)
    until = (await db.now() + DAY).replace(microsecond=0)
    await make.create_many(viewer, outdial.id, [make.target_draft(ONE) for _ in range(number)])
    await make.suppress(viewer, ONE, expires_at=until)
    assert await claimed(viewer, outdial) == []
    return outdial, until


async def wakes(viewer: Viewer) -> list[datetime | None]:
    sql = "SELECT wakes_at, version FROM target WHERE customer_id = $1 AND tm_delete IS NULL ORDER BY id"
    found = await db.fetch(sql, viewer.customer_id)
    assert {row["version"] for row in found} <= {1, 2}
    return [row["wakes_at"] for row in found]


async def test_a_target_sleeps_until_its_first_suppression_ends(database: str, viewer: Viewer) -> None:
    outdial, until = await held(viewer)
    later = until + DAY
    await make.suppress(viewer, TWO, expires_at=later)
    await make.make_target(viewer, outdial.id, TWO, ONE)
    await make.make_target(viewer, outdial.id, TWO)
    assert await claimed(viewer, outdial) == []
    assert await wakes(viewer) == [until, until, later]
    make.pass_time(86_401)
    assert await claimed(viewer, outdial) == [ONE, ONE]
    make.pass_time(86_401)
    assert await claimed(viewer, outdial) == [TWO]


async def test_nobody_sleeps_who_may_be_called_at_another_address_or_never(database: str, viewer: Viewer) -> None:
    outdial, until = await held(viewer)
    await make.suppress(viewer, TWO)
    never = await make.make_target(viewer, outdial.id, TWO)
    await make.make_target(viewer, outdial.id, ONE, make.phone_number())
    assert len(await claimed(viewer, outdial)) == 1
    assert await claimed(viewer, outdial) == []
    assert await wakes(viewer) == [until, None, None]
    assert (await make.read(viewer, never.id)).done_reason == "DO_NOT_CALL"


@pytest.mark.parametrize("how", ["removed by address", "removed by id", "ends sooner", "another address"])
async def test_whoever_may_be_called_again_is_claimed_at_once(database: str, viewer: Viewer, how: str) -> None:
    outdial, until = await held(viewer, number=3)
    assert (await claimed(viewer, outdial), await wakes(viewer)) == ([], [until] * 3)
    wanted = [ONE] * 3
    if how == "removed by address":
        await suppressions.remove(viewer, drafts=[SuppressionDraft(ONE)])
    elif how == "removed by id":
        [one] = await make.suppress(viewer, ONE, expires_at=until)
        await suppressions.remove(viewer, suppression_ids=[one.id])
    elif how == "ends sooner":
        await make.suppress(viewer, ONE, expires_at=await db.now() + timedelta(seconds=10))
        make.pass_time(11)
    else:
        wanted = [TWO]
        [first, *_] = await db.fetch("SELECT id FROM target WHERE customer_id = $1", viewer.customer_id)
        await targets.update(viewer, first["id"], changes={"destination_1": DestinationDraft(TWO)})
    assert await claimed(viewer, outdial) == wanted


async def test_many_are_woken_in_steps(database: str, viewer: Viewer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.suppressions.writing.WOKEN_TARGETS_MAX", 4)
    outdial, _ = await held(viewer, number=10)
    assert (await claimed(viewer, outdial), await asleep(viewer)) == ([], 10)
    await suppressions.remove(viewer, drafts=[SuppressionDraft(ONE)])
    assert (await asleep(viewer), await claimed(viewer, outdial)) == (0, [ONE] * 10)


async def test_those_in_open_time_zones_sleep_too(database: str, viewer: Viewer) -> None:
    always = CallingHours(None, tuple(CallingWindow(day, time(0), time(0)) for day in Weekday), ())
    outdial = await make.make_outdial(viewer, policy={"calling_hours": always})
    until = (await db.now() + DAY).replace(microsecond=0)
    await make.suppress(viewer, ONE, expires_at=until)
    await make.create_many(viewer, outdial.id, [make.target_draft(ONE, time_zone="Asia/Tokyo") for _ in range(3)])
    for _ in range(2):  # the first one does not know yet that addresses are suppressed
        assert await claimed(viewer, outdial) == []
    assert await wakes(viewer) == [until] * 3
    make.pass_time(86_401)
    assert await claimed(viewer, outdial) == [ONE] * 3


async def test_removals_beside_claims_leave_nobody_asleep(database: str, viewer: Viewer) -> None:
    """A claim that has seen the suppression puts no target to sleep that is not woken."""
    outdial = await make.make_outdial(viewer)
    numbers = [make.phone_number() for _ in range(60)]
    await make.create_many(viewer, outdial.id, [make.target_draft(number) for number in numbers])
    await make.suppress(viewer, *numbers, expires_at=await db.now() + DAY)
    taken: list[str] = []

    async def claimer() -> None:
        for _ in range(40):
            taken.extend(await claimed(viewer, outdial, 5))
            await asyncio.sleep(0)

    async def owner() -> None:
        for number in numbers:
            await suppressions.remove(viewer, drafts=[SuppressionDraft(number)])

    await asyncio.gather(owner(), *[claimer() for _ in range(4)])
    while found := await claimed(viewer, outdial):
        taken.extend(found)
    assert sorted(taken) == sorted(numbers)


@pytest.mark.slow
async def test_thousands_that_sleep_are_read_by_no_claim(postgres_url: str, viewer: Viewer) -> None:
    """Counted in the indexes of due targets and of suppressions by address."""
    await db.connect(postgres_url)
    try:
        outdial = await make.make_outdial(viewer)
        until = await db.now() + DAY
        for _ in range(4):
            numbers = [make.phone_number() for _ in range(1_000)]
            await make.create_many(viewer, outdial.id, [make.target_draft(number, priority=9) for number in numbers])
            await make.suppress(viewer, *numbers, expires_at=until)
        while await asleep(viewer) < 4_000:
            assert await claimed(viewer, outdial, 1) == []
        await make.make_targets(viewer, outdial.id, 10)

        async def read() -> int:
            await asyncio.sleep(1.1)  # a session tells its numbers once a second, at the end of a transaction
            await db.fetch("SELECT 1 AS one")
            [row] = await db.fetch(
                "SELECT sum(idx_tup_read) AS n FROM pg_stat_user_indexes"
                " WHERE indexrelname IN ('target_due', 'suppression_address')"
            )
            return int(row["n"])

        await db.fetch("VACUUM target")
        before = await read()
        for _ in range(3):
            await attempts.claim(viewer, outdial.id, limit=1)
        assert await read() - before < 200
    finally:
        await db.close()
