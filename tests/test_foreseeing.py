"""`until` and `nextClaimAt` say when: the true opening, and no moment that is later than the first claim."""

import asyncio
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app import attempts, clock, db, dialability, foreseeing, outdials, store, suppressions, zones
from app.auth import Viewer
from app.blocks import Block, BlockReason
from app.hours import CallingException, CallingHours, CallingTime, CallingWindow, UnknownTimeZoneAction, Weekday
from app.records import PolicyDraft, SuppressionDraft
from app.store import capping
from tests.conftest import Databases, Kind
from tests.support import factories as make
from tests.support.capping import ONE, TWO, cap, capped, claimed
from tests.test_calling_hours import MONDAY, go

__all__ = ["go"]

BERLIN, UNKNOWN = "+4930123456", "+18005550142"
NINE, SIX = time(9), time(18)
ALWAYS = CallingHours(None, tuple(CallingWindow(day, time.min, time.min) for day in Weekday), ())


async def block(viewer: Viewer, target_id: str) -> Block:
    [found] = (await dialability.blocks_of_targets(viewer, [target_id]))[target_id].blocks
    return found


async def next_claim(viewer: Viewer, outdial_id: str) -> datetime | None:
    return (await foreseeing.next_claims(viewer, [outdial_id]))[outdial_id]


def holiday(day: date) -> CallingHours:
    return CallingHours(None, (), (CallingException(day, "", (CallingTime(time(10), time(11)),)),))


@pytest.mark.parametrize(
    ("hours", "opens"),
    [
        (CallingHours(None, (CallingWindow(Weekday.THURSDAY, NINE, SIX),), ()), MONDAY + timedelta(days=3, hours=8)),
        (CallingHours(None, (CallingWindow(Weekday.SUNDAY, NINE, SIX),), ()), MONDAY + timedelta(days=6, hours=8)),
        (holiday((MONDAY + timedelta(days=20)).date()), MONDAY + timedelta(days=20, hours=9)),
        (holiday((MONDAY + timedelta(days=82)).date()), None),
        (CallingHours(None, (), ()), None),
    ],
)
@pytest.mark.parametrize("address", [BERLIN, UNKNOWN], ids=["of the number", "of the outdial"])
async def test_an_opening_in_some_days_is_said_as_it_is_however_often_it_is_asked(
    database: str, viewer: Viewer, go: Any, hours: CallingHours, opens: datetime | None, address: str
) -> None:
    policy = {"calling_hours": hours, "on_unknown_time_zone": UnknownTimeZoneAction.USE_OUTDIAL}
    outdial = await make.make_outdial(viewer, policy=policy, time_zone="Europe/Berlin")
    target = await make.make_target(viewer, outdial.id, address)
    for at in ("10:00", "12:00"):
        go(at)
        found = await block(viewer, target.id)
        assert (found.reason, found.until) == (BlockReason.OUTSIDE_CALLING_HOURS, opens)
        assert await next_claim(viewer, outdial.id) == opens


TEXTS = ("=Europe/Berlin", "Europe/Berlin Africa/Lagos", "America/New_York America/Phoenix", "", "=Australia/Lord_Howe")


@settings(max_examples=60, deadline=None)
@given(
    said=st.sampled_from(TEXTS),
    default=st.sampled_from((None, "Asia/Tokyo")),
    days=st.sets(st.sampled_from(Weekday), max_size=2),
    at=st.integers(0, 2 * 365 * 24).map(lambda hour: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=hour)),
)
def test_an_opening_is_the_first_moment_at_which_a_claim_finds_the_hours_open(
    said: str, default: str | None, days: set[Weekday], at: datetime
) -> None:
    hours = CallingHours(None, tuple(CallingWindow(day, NINE, SIX) for day in days), ())
    steps = (at + timedelta(minutes=30) * step for step in range(10 * 48))
    wanted = next((step for step in steps if store.of_zone(hours, said, default, step).is_open), None)
    assert store.opening(hours, said, default, at, within=timedelta(days=10)) == wanted


def test_zones_that_agree_in_winter_alone_are_asked_at_each_change_of_their_clocks() -> None:
    at = datetime(2027, 3, 1, 12, tzinfo=UTC)
    assert zones.changes("Europe/Berlin Africa/Lagos", at, timedelta(days=30)) == [datetime(2027, 3, 28, 1, tzinfo=UTC)]
    assert zones.changes("=Europe/Berlin", at, timedelta(days=30)) == []


async def test_targets_that_are_not_sorted_yet_say_so(
    database: str, viewer: Viewer, go: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    outdial = await make.make_outdial(viewer)
    target = [await make.make_target(viewer, outdial.id, BERLIN) for _ in range(2)][1]
    go("12:00")
    monkeypatch.setattr("app.outdials.walking.STEP_TARGETS_MAX", 1)
    await outdials.update(viewer, outdial.id, changes={"dial_policy": PolicyDraft(calling_hours=ALWAYS)})
    found = await block(viewer, target.id)
    assert (found.reason, found.until) == (BlockReason.OUTSIDE_CALLING_HOURS, None)
    assert "being sorted" in found.detail
    soonest = await next_claim(viewer, outdial.id)
    assert soonest is not None
    assert soonest <= clock.now()


async def test_free_targets_behind_many_that_are_held_up_are_not_foreseen_too_late(
    database: str, viewer: Viewer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(foreseeing, "LOOKED_AT_MAX", 3)
    outdial = await make.make_outdial(viewer)
    for _ in range(5):
        await make.make_target(viewer, outdial.id, ONE)
    later = (await db.now() + timedelta(days=3)).replace(microsecond=0)
    await make.suppress(viewer, ONE, expires_at=later)
    bound = await next_claim(viewer, outdial.id)
    assert bound is not None
    assert bound <= await db.now()  # a bound: nobody has looked at those behind
    await make.make_target(viewer, outdial.id, TWO)
    assert (await next_claim(viewer, outdial.id) or later) <= await db.now()
    assert [await claimed(viewer, outdial) for _ in range(2)] == [[TWO], []]
    assert await next_claim(viewer, outdial.id) == later  # the claims have put the others to sleep


@pytest.mark.parametrize("hours", [None, ALWAYS], ids=["without hours", "by zone"])
async def test_it_is_not_in_the_past_if_the_only_address_is_suppressed_for_some_hours(
    database: str, viewer: Viewer, hours: CallingHours | None
) -> None:
    later = (await db.now() + timedelta(hours=3)).replace(microsecond=0)
    await make.suppress(viewer, BERLIN, expires_at=later)
    outdial = await make.make_outdial(viewer, policy={"calling_hours": hours})
    await make.make_target(viewer, outdial.id, BERLIN)
    assert await next_claim(viewer, outdial.id) == later


async def test_a_target_that_sleeps_though_its_caps_leave_a_try_says_until_when(database: str, viewer: Viewer) -> None:
    outdial, other = await capped(viewer, cap(1)), await capped(viewer, cap(1))
    await make.make_target(viewer, outdial.id, ONE)
    target = await make.make_target(viewer, other.id, ONE)
    attempt = await make.claim(viewer, outdial.id)
    assert await claimed(viewer, other) == []
    before = await db.now()
    make.one(await make.release(viewer, attempt.id))
    found = await block(viewer, target.id)
    assert found.reason is BlockReason.CAPPED
    assert found.until is not None
    assert found.until <= before + timedelta(seconds=capping.SLEEP_SECONDS)
    assert await next_claim(viewer, other.id) == found.until
    counted = (await dialability.dialabilities(viewer, [other.id]))[other.id]
    assert (counted.claimable, counted.blocked) == (0, {BlockReason.CAPPED: 1})
    assert (await dialability.dialabilities(viewer, [other.id], at=found.until))[other.id].claimable == 1
    assert await claimed(viewer, other) == []
    make.pass_time(capping.SLEEP_SECONDS + 1)
    assert (await dialability.blocks_of_targets(viewer, [target.id]))[target.id].blocks == []
    assert await claimed(viewer, other) == [ONE]


async def test_a_raised_limit_wakes_who_sleeps_until_a_suppression_of_another_address_ends(
    database: str, viewer: Viewer
) -> None:
    outdial = await make.make_outdial(viewer, policy={"max_try_counts": (1, 0, 0, 0, 0)})
    target = await make.make_target(viewer, outdial.id, ONE, TWO)
    await make.suppress(viewer, ONE, expires_at=await db.now() + timedelta(days=3))
    assert [await claimed(viewer, outdial) for _ in range(2)] == [[], []]
    policy = PolicyDraft(max_try_counts=(1, 1, 0, 0, 0))
    await outdials.update(viewer, outdial.id, changes={"dial_policy": policy})
    assert (await dialability.blocks_of_targets(viewer, [target.id]))[target.id].blocks == []
    assert await claimed(viewer, outdial) == [TWO]


# ---------------------------------------------------------------- the property

NUMBERS = [f"+1555010{number:04d}" for number in range(6)]
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("claim"), st.integers(0, 1)),
        st.tuples(st.sampled_from(("release", "complete")), st.integers(0, 3)),
        st.tuples(st.sampled_from(("suppress", "suppress for a time", "free")), st.integers(0, 5)),
        st.tuples(st.just("pass"), st.sampled_from((5, 20, 61))),
    ),
    min_size=4,
    max_size=14,
)


async def play(viewer: Viewer, lists: list[str], steps: list[tuple[str, int]]) -> None:
    """After each step a claim takes exactly the targets that nothing blocks."""
    held: list[str] = []
    for step, which in steps:
        if step == "pass":
            make.pass_time(which)
        elif step in {"release", "complete"}:
            if held:
                await getattr(make, step)(viewer, held.pop(which % len(held)))
        elif step == "free":
            await suppressions.remove(viewer, drafts=[SuppressionDraft(NUMBERS[which])])
        elif step.startswith("suppress"):
            lasts = await db.now() + timedelta(seconds=30) if step.endswith("time") else None
            await make.suppress(viewer, NUMBERS[which], expires_at=lasts)
            await make.finish_suppressed()
        else:
            ids = await ids_of(viewer, lists[which])
            soonest = await next_claim(viewer, lists[which])
            found = await dialability.blocks_of_targets(viewer, ids)
            free = {one for one in ids if not found[one].blocks}
            counted = (await dialability.dialabilities(viewer, [lists[which]]))[lists[which]].claimable
            seen_at = await db.now()
            claims = await attempts.claim(viewer, lists[which], limit=50)
            assert {attempt.target_id for attempt in claims} == free
            assert counted == len(free)
            assert bool(free) == (soonest is not None and soonest <= seen_at)
            held += [attempt.id for attempt in claims]


async def ids_of(viewer: Viewer, outdial_id: str) -> list[str]:
    query = "SELECT id FROM target WHERE customer_id = $1 AND outdial_id = $2"
    return [row["id"] for row in await db.fetch(query, viewer.customer_id, outdial_id)]


@pytest.mark.slow
def test_with_caps_releases_and_suppressions_a_claim_takes_exactly_what_nothing_blocks(
    kind: Kind, databases: Databases
) -> None:
    async def check(tries: int, seconds: int, steps: list[tuple[str, int]]) -> None:
        viewer = make.make_viewer()
        lists = [(await capped(viewer, cap(tries, seconds), lease_seconds=86_400)).id for _ in range(2)]
        for outdial_id in lists:  # each number once in a list: a claim takes one of several
            for first, second in ((0, 1), (2, 3), (4, None), (5, None)):
                places = [NUMBERS[index] for index in (first, second) if index is not None]
                await make.make_target(viewer, outdial_id, *places)
        # both claim, so that one list waits for the other, and the first gives one try back
        waits = [("claim", 0), ("claim", 1), ("release", 0), ("claim", 1)]
        await play(viewer, lists, [*waits, *steps, ("claim", 0), ("claim", 1)])

    with asyncio.Runner() as runner:

        @settings(max_examples=60, deadline=None)
        @given(tries=st.integers(1, 2), seconds=st.sampled_from((50, 3_600)), steps=STEPS)
        def hold(tries: int, seconds: int, steps: list[tuple[str, int]]) -> None:
            try:
                runner.run(check(tries, seconds, steps))
            finally:
                clock.shift = timedelta(0)

        database = databases.fresh(kind)
        url = runner.run(database.__aenter__())
        runner.run(db.connect(url))
        try:
            hold()
        finally:
            runner.run(db.close())
            runner.run(database.__aexit__(None, None, None))
