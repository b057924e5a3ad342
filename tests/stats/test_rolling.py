"""The roll-up: what is kept is what a slow sum over the ledger says, whatever happened, in any order of work."""

import asyncio
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from app import attempts, codes, db, outdials, stats, targets
from app.auth import Viewer
from app.figures import Bucket, Grouping
from app.lifecycle import Disposition
from app.records import ResultCodeDraft
from app.stats import cells, rolling
from app.stats.woken import woken
from tests.stats import slow
from tests.support import factories as make
from tests.support import rows

SALE = ResultCodeDraft("SALE", "Sold it", Disposition.ANSWERED, is_right_party=True, is_conversion=True)
WRONG = ResultCodeDraft("WRONG", "Somebody else", Disposition.ANSWERED)
LATER = ResultCodeDraft("LATER", "Later", Disposition.NO_ANSWER, is_right_party=True)

ASKED = (
    *zip((None, *Bucket), (None, *Grouping), strict=True),
    *zip((*Bucket, None), (None, *Grouping), strict=True),
)
"""Each bucket and each group, each in two combinations. The rules' own tests have the others."""

STATEMENTS_FOR_ALL_TIME = 5
"""The years before the first attempt, a jump to it, its cells, and the same after it."""


def request(
    now: datetime, bucket: Bucket | None = None, grouping: Grouping | None = None, **more: str
) -> stats.Request:
    """The last day, or the last hour in minutes, and an hour more."""
    hour = cells.floor(now, cells.HOUR)
    begin = hour - timedelta(hours=1 if bucket is Bucket.MINUTE else 24)
    return stats.Request(begin, hour + timedelta(hours=2), bucket, grouping=grouping, **more)


async def agree(viewer: Viewer, outdial_ids: Sequence[str]) -> None:
    """Everything that can be asked for is as in the ledger."""
    await stats.roll_up()
    assert stats.lag_seconds() == 0
    now = (await db.now()).astimezone(UTC)
    everything = await slow.ledger(viewer, outdial_ids, now + timedelta(days=1))
    for bucket, grouping in ASKED:
        wanted = request(now, bucket, grouping, time_zone="Asia/Kathmandu")
        answer = await stats.of_customer(viewer, wanted)
        assert slow.found(answer, wanted) == slow.expected(everything, wanted)
        assert slow.told(answer.total) == next(
            iter(slow.expected(everything, stats.Request(wanted.begins_at, wanted.ends_at)).values()),
            slow.Slow().told(),
        )
        of_each = await stats.of_outdials(viewer, outdial_ids, request=wanted)
        for outdial_id in outdial_ids:
            own = [attempt for attempt in everything if attempt.outdial_id == outdial_id]
            assert slow.found(of_each[outdial_id], wanted) == slow.expected(own, wanted)


async def test_figures_are_those_of_the_ledger_through_the_life_of_attempts(database: str, viewer: Viewer) -> None:
    await codes.set_all(viewer, drafts=[SALE, WRONG, LATER])
    one = await make.make_outdial(viewer)
    two = await make.make_outdial(viewer)
    both = [one.id, two.id]
    await agree(viewer, both)
    await make.make_targets(viewer, one.id, 12, destinations=2)
    await make.make_targets(viewer, two.id, 4)
    await agree(viewer, both)
    first = await attempts.claim(viewer, one.id, limit=6, dialer="ann")
    second = await attempts.claim(viewer, one.id, limit=6)
    third = await attempts.claim(viewer, two.id, limit=4, dialer="bob")
    await agree(viewer, both)
    make.one(
        await make.complete(viewer, first[0].id, Disposition.ANSWERED, code="SALE", ring_seconds=4, talk_seconds=61)
    )
    make.one(
        await make.complete(viewer, first[1].id, Disposition.ANSWERED, code="WRONG", ring_seconds=5, talk_seconds=0)
    )
    make.one(await make.complete(viewer, first[2].id, Disposition.NO_ANSWER, code="LATER", ring_seconds=86_400))
    make.one(await make.complete(viewer, third[0].id, Disposition.BUSY))
    make.one(await make.complete(viewer, second[0].id, Disposition.DO_NOT_CALL))
    make.one(await make.release(viewer, first[3].id))
    await make.start(viewer, second[1].id)
    await agree(viewer, both)
    make.pass_time(1_000)  # the others expire, and one call's end is not known
    await make.sweep()
    await agree(viewer, both)
    make.one(await make.complete(viewer, second[1].id, Disposition.ANSWERED, ring_seconds=7, talk_seconds=100_00))
    await agree(viewer, both)
    make.pass_time(3_600)
    await targets.reset(viewer, one.id, target_ids=[first[0].target_id])
    again = await attempts.claim(viewer, one.id, limit=12, dialer="cleo")
    for attempt in again:
        make.one(await make.complete(viewer, attempt.id, Disposition.ANSWERED, ring_seconds=3))
    await targets.delete(viewer, again[0].target_id)
    await outdials.delete(viewer, two.id)
    await agree(viewer, both)


async def test_a_late_result_changes_the_bucket_of_its_claim(database: str, viewer: Viewer) -> None:
    outdial = await make.make_outdial(viewer)
    await make.make_target(viewer, outdial.id)
    attempt = await make.claim(viewer, outdial.id)
    await make.start(viewer, attempt.id)
    await stats.roll_up()
    make.pass_time(60 * 3_600)  # its minute is not kept any more
    await make.sweep()
    assert await stats.prune(viewer.customer_id, limit=100) == 6
    make.one(await make.complete(viewer, attempt.id, Disposition.ANSWERED, talk_seconds=9))
    await stats.roll_up()
    quarter = cells.floor(attempt.claimed_at.astimezone(UTC), cells.QUARTER)
    whole = stats.Request(quarter, quarter + timedelta(days=4), Bucket.HOUR)
    [row] = [row for row in (await stats.of_customer(viewer, whole)).rows if row.figures.attempts]
    assert row.begins_at <= attempt.claimed_at < row.ends_at
    assert (row.figures.attempts, row.figures.answered, row.figures.reached) == (1, 1, 1)
    assert row.figures.talk.median() == 9
    minutes = stats.Request(quarter, quarter + timedelta(hours=1), Bucket.MINUTE)
    with pytest.raises(Exception, match="Minutes are kept for 48 hours"):
        await stats.of_customer(viewer, minutes)


async def test_a_ledger_that_is_older_than_the_figures_is_counted_in_steps(
    database: str, viewer: Viewer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rolling, "STEP_CELLS_MAX", 2)
    outdial = await make.make_outdial(viewer)
    await make.make_targets(viewer, outdial.id, 9)
    for _ in range(9):
        attempt = (await attempts.claim(viewer, outdial.id, limit=1))[0]
        make.one(await make.complete(viewer, attempt.id, Disposition.ANSWERED, ring_seconds=1))
        make.pass_time(7 * 3_600)
    await agree(viewer, [outdial.id])
    await rows.execute(database, "DELETE FROM stats_cell")
    await rows.execute(database, "DELETE FROM stats_place")
    woken.forget()
    await agree(viewer, [outdial.id])


async def test_events_that_were_removed_before_they_were_counted_are_made_up_for(database: str, viewer: Viewer) -> None:
    outdial = await make.make_outdial(viewer)
    await make.make_targets(viewer, outdial.id, 3)
    await stats.roll_up()
    await attempts.claim(viewer, outdial.id, limit=3)
    ends = ", ".join(f"pruned_{column} = (SELECT max({column}) FROM target_event)" for column in ("epoch", "tx", "seq"))
    await rows.execute(database, f"UPDATE outdial SET {ends}")
    await rows.execute(database, "DELETE FROM target_event")
    woken.forget()
    await stats.roll_up()
    now = (await db.now()).astimezone(UTC)
    assert (await stats.of_customer(viewer, request(now))).total.attempts == 3


async def test_a_lost_wake_up_is_made_up_for(database: str, viewer: Viewer) -> None:
    outdial = await make.make_outdial(viewer)
    await make.make_targets(viewer, outdial.id, 3)
    await stats.roll_up()
    await attempts.claim(viewer, outdial.id, limit=3)
    woken.unknown.clear()
    woken.by_customer.clear()
    now = (await db.now()).astimezone(UTC)
    await stats.roll_up()
    assert (await stats.of_customer(viewer, request(now))).total.attempts == 0
    woken.forget()
    await stats.roll_up()
    assert (await stats.of_customer(viewer, request(now))).total.attempts == 3


async def test_a_step_that_fails_is_taken_again(database: str, viewer: Viewer, monkeypatch: pytest.MonkeyPatch) -> None:
    outdial = await make.make_outdial(viewer)
    await make.make_targets(viewer, outdial.id, 3)
    await attempts.claim(viewer, outdial.id, limit=3)

    async def fail(*_: object) -> None:
        raise RuntimeError("killed")

    with monkeypatch.context() as patched:
        patched.setattr(rolling.positions, "move", fail)
        with pytest.raises(RuntimeError, match="killed"):
            await stats.roll_up()
    assert stats.lag_seconds() > 0
    assert await db.fetch("SELECT 1 AS one FROM stats_cell WHERE customer_id = $1", viewer.customer_id) == []
    await agree(viewer, [outdial.id])


@pytest.mark.parametrize("kind", ["postgres"], indirect=True)
async def test_while_another_process_counts_this_one_waits_for_nothing_and_comes_again(
    database: str, viewer: Viewer
) -> None:
    outdial = await make.make_outdial(viewer)
    await make.make_targets(viewer, outdial.id, 3)
    await attempts.claim(viewer, outdial.id, limit=3)
    begun, over = asyncio.Event(), asyncio.Event()

    async def hold(tx: db.Transaction) -> None:
        lock = db.named_lock("'stats ' || CAST(customer_id AS text)", tries=True)
        await tx.fetch(f"SELECT {lock} AS is_ours FROM customer WHERE customer_id = $1", viewer.customer_id)
        begun.set()
        await over.wait()

    other = asyncio.create_task(db.transaction(hold))
    await begun.wait()
    async with asyncio.timeout(5):
        await stats.roll_up()
    assert stats.lag_seconds() > 0
    over.set()
    await other
    await agree(viewer, [outdial.id])


@pytest.mark.parametrize("kind", ["postgres"])  # several processes count there alone
async def test_two_that_count_at_once_count_once(database: str, viewer: Viewer) -> None:
    outdial = await make.make_outdial(viewer)
    await make.make_targets(viewer, outdial.id, 30)
    for _ in range(10):
        made = await attempts.claim(viewer, outdial.id, limit=3)
        await asyncio.gather(stats.roll_up(), stats.roll_up(), make.complete(viewer, made[0].id))
    await agree(viewer, [outdial.id])


async def test_dialers_beyond_those_that_are_told_apart_are_others(database: str, viewer: Viewer) -> None:
    outdial = await make.make_outdial(viewer)
    await make.make_targets(viewer, outdial.id, 205)
    await attempts.claim(viewer, outdial.id, limit=2)
    for number in range(101):
        await attempts.claim(viewer, outdial.id, limit=1 if number == 50 else 2, dialer=f"dialer {number:03}")
    await stats.roll_up()
    now = (await db.now()).astimezone(UTC)
    answer = await stats.of_customer(viewer, request(now, grouping=Grouping.DIALER))
    by_dialer = {row.dialer: row.figures.attempts for row in answer.rows if not row.is_others}
    assert (len(by_dialer), by_dialer[None], by_dialer["dialer 000"]) == (101, 2, 2)
    assert [row.figures.attempts for row in answer.rows if row.is_others] == [1]
    assert "dialer 050" not in by_dialer
    assert answer.total.attempts == 203


async def test_a_customer_sees_its_own_figures_alone(database: str, viewer: Viewer) -> None:
    other = make.make_viewer()
    campaign = "018f3e4c-5b6a-7c8d-9e0f-1a2b3c4d5e6f"
    outdial = await make.make_outdial(viewer, campaign_id=campaign)
    beside = await make.make_outdial(viewer)
    theirs = await make.make_outdial(other, campaign_id=campaign)
    for owner, one, number in ((viewer, outdial, 3), (viewer, beside, 4), (other, theirs, 5)):
        await make.make_targets(owner, one.id, number)
        await attempts.claim(owner, one.id, limit=number)
    await stats.roll_up()
    now = (await db.now()).astimezone(UTC)
    wanted = request(now)
    assert (await stats.of_customer(viewer, wanted)).total.attempts == 7
    assert (await stats.of_customer(other, wanted)).total.attempts == 5
    assert (await stats.of_campaign(viewer, campaign, wanted)).total.attempts == 3
    assert (await stats.of_campaign(other, campaign, wanted)).total.attempts == 5
    assert (await stats.of_outdials(other, [outdial.id], request=wanted))[outdial.id].total.attempts == 0


async def test_what_another_database_had_is_forgotten(database: str) -> None:
    """The database may be another one than before, or an older copy of it: wake-ups of the old one are remembered."""
    del database
    await stats.roll_up()
    woken.wait(str(uuid4()), str(uuid4()), time.monotonic())
    await stats.roll_up()
    assert woken.since() is None


@pytest.mark.parametrize("grouping", [Grouping.HOUR_OF_DAY, Grouping.DIALER])
async def test_years_without_attempts_take_no_statements(
    database: str, viewer: Viewer, monkeypatch: pytest.MonkeyPatch, grouping: Grouping
) -> None:
    outdial = await make.make_outdial(viewer)
    await make.make_targets(viewer, outdial.id, 3)
    await attempts.claim(viewer, outdial.id, limit=3)
    await stats.roll_up()
    number, fetch = 0, db.fetch

    async def counted(sql: str, *values: object) -> Sequence[db.Row]:
        nonlocal number
        number += 1
        assert number <= STATEMENTS_FOR_ALL_TIME
        return await fetch(sql, *values)

    monkeypatch.setattr(db, "fetch", counted)
    all_time = stats.Request(datetime(2000, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC), grouping=grouping)
    assert (await stats.of_customer(viewer, all_time)).total.attempts == 3
