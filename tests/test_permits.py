"""Each attempt keeps why its call was allowed, as it was when the target was claimed."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, timezone
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from app import attempts, clock, db, outdials, targets, zones
from app.addresses import DestinationType
from app.auth import Viewer
from app.hours import (
    CallingException,
    CallingHours,
    CallingTime,
    CallingWindow,
    UnknownTimeZoneAction,
    Weekday,
)
from app.records import CapScope, CapSubject, DestinationDraft, Outdial, Permit, PermitCap, PermitWindow
from app.zones import TimeZoneSource
from tests.conftest import Databases, Kind
from tests.support import factories as make
from tests.support import rows
from tests.support.capping import DAY, ONE, TWO, cap, capped, change_policy
from tests.test_awake import BERLIN, NEW_YORK, OWN, TOKYO, UNKNOWN, listed
from tests.test_calling_hours import asked, go, office
from tests.test_hours import TIMES, WINDOWS, is_open

__all__ = ["go"]


async def permits(viewer: Viewer, outdial: Outdial, limit: int = 50, **values: Any) -> dict[str, Permit]:
    """Claims. Returns the permits by the addresses that are called."""
    found = await attempts.claim(viewer, outdial.id, limit=limit, **values)
    made = await attempts.permits(viewer, [attempt.id for attempt in found])
    assert all(made[attempt.id].at == attempt.claimed_at for attempt in found)
    return {attempt.destination.target: made[attempt.id] for attempt in found}


def hour(permit: Permit) -> str:
    """The hour that clocks showed, with the offset: the test's own clock goes on."""
    text = permit.local_time
    assert text is not None
    assert datetime.fromisoformat(text) == permit.at.replace(microsecond=0)
    return f"{text[:13]} {text[19:]}"


async def stored(viewer: Viewer) -> list[dict[str, Any]]:
    found = await db.fetch("SELECT permit FROM attempt WHERE customer_id = $1 ORDER BY id", viewer.customer_id)
    return [orjson.loads(row["permit"]) for row in found]


# ---------------------------------------------------------------- what is in it


async def test_a_call_without_hours_and_caps_stores_the_version_alone(database: str, viewer: Viewer, go: Any) -> None:
    outdial = await make.make_outdial(viewer)
    await make.make_target(viewer, outdial.id, BERLIN)
    go("08:10")
    found = (await permits(viewer, outdial))[BERLIN]
    assert await stored(viewer) == [{"version": 1}]
    zone = ("Europe/Berlin", TimeZoneSource.PHONE_NUMBER, timedelta(hours=1))
    assert found == Permit(found.at, 1, *zone, None, [])
    assert hour(found) == "2026-11-30T09 +01:00"


async def test_zones_that_were_given_stay_as_they_were(database: str, viewer: Viewer, go: Any) -> None:
    outdial = await make.make_outdial(viewer, time_zone="America/New_York")
    email = DestinationDraft("ann@example.com", DestinationType.EMAIL)
    ann = await make.make_target(viewer, outdial.id, email, time_zone="Asia/Tokyo")
    await make.make_target(viewer, outdial.id, UNKNOWN)
    await make.make_target(viewer, outdial.id, BERLIN)
    go("09:00")
    attempt_ids = [attempt.id for attempt in await attempts.claim(viewer, outdial.id, limit=9)]
    await targets.update(viewer, ann.id, changes={"time_zone": "Europe/Berlin"})
    await outdials.update(viewer, outdial.id, changes={"time_zone": None})
    found = await attempts.permits(viewer, attempt_ids)
    assert [(hour(found[one]), found[one].time_zone_source) for one in attempt_ids] == [
        ("2026-11-30T18 +09:00", TimeZoneSource.GIVEN),
        ("2026-11-30T04 -05:00", TimeZoneSource.OUTDIAL_DEFAULT),
        ("2026-11-30T10 +01:00", TimeZoneSource.PHONE_NUMBER),
    ]
    default = {"version": 1, "default": "America/New_York"}
    assert await stored(viewer) == [default | {"given": "Asia/Tokyo"}, default, default]


async def test_nothing_is_said_of_a_zone_that_nobody_knows(database: str, viewer: Viewer) -> None:
    outdial = await make.make_outdial(viewer)
    await make.make_target(viewer, outdial.id, UNKNOWN)
    found = (await permits(viewer, outdial))[UNKNOWN]
    assert (found.time_zone, found.time_zone_source, found.local_time) == (None, TimeZoneSource.UNKNOWN, None)


async def test_hours_with_a_zone_of_their_own_are_shown_by_it(database: str, viewer: Viewer, go: Any) -> None:
    outdial = await make.make_outdial(viewer, policy={"calling_hours": office()}, time_zone="Asia/Tokyo")
    await make.make_target(viewer, outdial.id, NEW_YORK, time_zone="America/New_York")
    go("08:10")
    found = (await permits(viewer, outdial))[NEW_YORK]
    assert (found.time_zone, found.time_zone_source) == ("Europe/Berlin", TimeZoneSource.POLICY)
    assert hour(found) == "2026-11-30T09 +01:00"
    assert found.window == PermitWindow(date(2026, 11, 30), time(9), time(18), None)


async def test_each_destination_is_shown_by_its_own_zone(database: str, viewer: Viewer, go: Any) -> None:
    """Also the second destination of a target whose first one sleeps."""
    outdial, _ = await listed(viewer, (TOKYO, NEW_YORK), on_unknown_time_zone=UnknownTimeZoneAction.USE_OUTDIAL)
    outdial = await outdials.update(viewer, outdial.id, changes={"time_zone": "Europe/London"})
    await make.make_target(viewer, outdial.id, UNKNOWN)
    await make.make_target(viewer, outdial.id, BERLIN, time_zone="Europe/Lisbon")
    go("14:10")
    found = await permits(viewer, outdial)
    window = PermitWindow(date(2026, 11, 30), time(9), time(18), None)
    assert all(one.window == window and one.policy_version == outdial.dial_policy.version for one in found.values())
    assert {address: (hour(one), one.time_zone, one.time_zone_source) for address, one in found.items()} == {
        NEW_YORK: ("2026-11-30T09 -05:00", "America/New_York", TimeZoneSource.PHONE_NUMBER),
        UNKNOWN: ("2026-11-30T14 +00:00", "Europe/London", TimeZoneSource.OUTDIAL_DEFAULT),
        BERLIN: ("2026-11-30T14 +00:00", "Europe/Lisbon", TimeZoneSource.GIVEN),
    }


@pytest.mark.parametrize("zone", [None, "Europe/Berlin"])
async def test_a_holiday_is_named_as_it_was_called(database: str, viewer: Viewer, go: Any, zone: str | None) -> None:
    name = 'St. Andrew\'s "Day" \\ {Größe}, $1\n'
    holiday = CallingException(date(2026, 11, 30), name, (CallingTime(time(22), time(2)),))
    hours = CallingHours(zone, office().windows, (holiday,))
    outdial = await make.make_outdial(viewer, policy={"calling_hours": hours})
    await make.make_targets(viewer, outdial.id, 2)
    await make.make_target(viewer, outdial.id, BERLIN)
    go("23:10")  # ten past midnight in Berlin, on the day after the holiday
    found = (await permits(viewer, outdial))[BERLIN]
    assert hour(found) == "2026-12-01T00 +01:00"
    assert found.window == PermitWindow(date(2026, 11, 30), time(22), time(2), name)


async def test_caps_are_shown_with_the_tries_that_they_had_counted(database: str, viewer: Viewer) -> None:
    of_address, of_target = cap(3), cap(5, 600, per=CapSubject.TARGET, over=CapScope.OUTDIAL)
    outdial, other = await capped(viewer, of_address, of_target), await capped(viewer)
    await make.make_target(viewer, outdial.id, ONE, TWO)
    await make.make_target(viewer, other.id, ONE)
    used = []
    for which in (outdial, other, outdial, outdial, outdial):
        [attempt] = await attempts.claim(viewer, which.id)
        permit = (await attempts.permits(viewer, [attempt.id]))[attempt.id]
        used.append((attempt.destination.target, [each.used for each in permit.caps]))
        make.one(await make.complete(viewer, attempt.id, make.Disposition.BUSY))
    assert used == [(ONE, [0, 0]), (ONE, []), (ONE, [2, 1]), (TWO, [0, 2]), (TWO, [1, 3])]
    assert permit.caps == [
        PermitCap(3, DAY, CapSubject.ADDRESS, CapScope.CUSTOMER, 1),
        PermitCap(5, 600, CapSubject.TARGET, CapScope.OUTDIAL, 3),
    ]


async def test_what_is_changed_later_changes_no_permit(database: str, viewer: Viewer, go: Any) -> None:
    outdial, [target] = await listed(viewer, BERLIN, caps=(cap(3),))
    go("09:00")
    [attempt] = await attempts.claim(viewer, outdial.id)
    before = await attempts.permits(viewer, [attempt.id])
    make.one(await make.complete(viewer, attempt.id, make.Disposition.BUSY))
    await change_policy(viewer, outdial, calling_hours=office("Asia/Tokyo", till=20), caps=(cap(1),))
    await targets.update(viewer, target.id, changes={"time_zone": "Asia/Tokyo"})
    await outdials.update(viewer, outdial.id, changes={"time_zone": "Asia/Tokyo"})
    assert await attempts.permits(viewer, [attempt.id]) == before
    [permit] = before.values()
    assert permit.window == PermitWindow(date(2026, 11, 30), time(9), time(18), None)
    assert (permit.policy_version, permit.caps[0].tries) == (1, 3)


async def test_a_permit_has_no_address(database: str, viewer: Viewer, go: Any) -> None:
    outdial, _ = await listed(viewer, BERLIN, caps=(cap(3), cap(2, per=CapSubject.TARGET)))
    go("09:00")
    [attempt] = await attempts.claim(viewer, outdial.id)
    [text] = [orjson.dumps(one).decode() for one in await stored(viewer)]
    assert BERLIN.removeprefix("+") not in text
    assert attempt.target_id not in text


async def test_another_customers_permits_are_not_read(database: str, viewer: Viewer) -> None:
    outdial = await make.make_outdial(viewer)
    await make.make_target(viewer, outdial.id)
    [attempt] = await attempts.claim(viewer, outdial.id)
    assert await attempts.permits(make.make_viewer(), [attempt.id]) == {}


# ---------------------------------------------------------------- claims at the same time


async def test_claims_that_come_together_have_each_their_own_permits(database: str, viewer: Viewer, go: Any) -> None:
    """Of two lists with one number in common: what each has counted is what the ledger had then."""
    caps = (cap(3), cap(9, over=CapScope.OUTDIAL), cap(4, per=CapSubject.TARGET))
    policy = {"retry_interval_seconds": 0, "max_try_counts": (9,) * 5, "caps": caps, "calling_hours": OWN}
    lists = [await make.make_outdial(viewer, policy=policy) for _ in range(2)]
    for outdial in lists:
        numbers = [BERLIN, BERLIN, *(f"+4930{10_000_000 + number}" for number in range(30))]
        await make.create_many(viewer, outdial.id, [make.target_draft(number) for number in numbers])
    go("09:00")

    async def claimer(number: int) -> None:
        for _ in range(4):
            found = await attempts.claim(viewer, lists[number % 2].id, limit=3)
            for attempt in found:
                make.one(await make.complete(viewer, attempt.id, make.Disposition.BUSY))

    await asyncio.gather(*map(claimer, range(10)))
    ledger = (await rows.of(database, viewer.customer_id))["attempt"]
    assert len(ledger) > 60
    for one in ledger:
        said, address = orjson.loads(one["permit"]), orjson.loads(one["destination"])["target"]
        at = _instant(one["claimed_at"])
        before = [
            each
            for each in ledger
            if at - timedelta(seconds=DAY) < _instant(each["claimed_at"]) < at  # those of one claim are at one instant
        ]
        at_address = [each for each in before if orjson.loads(each["destination"])["target"] == address]
        used = [
            len(at_address),
            sum(each["outdial_id"] == one["outdial_id"] for each in at_address),
            sum(each["target_id"] == one["target_id"] for each in before),
        ]
        assert [each[4] for each in said["caps"]] == used
        assert all(each[4] < each[0] for each in said["caps"])
        assert said["zone"] == ["Europe/Berlin", "PHONE_NUMBER", 3_600]


def _instant(value: Any) -> datetime:
    return datetime.fromisoformat(value) if isinstance(value, str) else value


async def test_a_claim_that_is_sent_again_has_the_first_ones_permits(database: str, viewer: Viewer, go: Any) -> None:
    outdial, _ = await listed(viewer, BERLIN)
    go("09:00")
    first = await permits(viewer, outdial, idempotency_key="one")
    await change_policy(viewer, outdial, calling_hours=None)
    assert await permits(viewer, outdial, idempotency_key="one") == first
    assert first[BERLIN].policy_version == 1


# ---------------------------------------------------------------- in the answers

CLAIM = """mutation($input: ClaimTargetsInput!) { claimTargets(input: $input) { attempts { id permit {
    at localTime timeZone timeZoneSource window { date from to exception }
    caps { tries windowSeconds per over used } policyVersion } } } }"""


async def test_a_claim_and_a_page_answer_with_permits(database: str, viewer: Viewer, go: Any) -> None:
    outdial, _ = await listed(viewer, BERLIN, caps=(cap(3),))
    go("08:10")
    claimed = await asked(viewer, CLAIM, input={"outdialId": outdial.id})
    [attempt] = claimed["claimTargets"]["attempts"]
    at = datetime.fromisoformat(attempt["permit"]["at"])
    assert attempt["permit"] == {
        "at": attempt["permit"]["at"],
        "localTime": at.astimezone(timezone(timedelta(hours=1))).isoformat(timespec="seconds"),
        "timeZone": "Europe/Berlin",
        "timeZoneSource": "PHONE_NUMBER",
        "window": {"date": "2026-11-30", "from": "09:00", "to": "18:00", "exception": None},
        "caps": [{"tries": 3, "windowSeconds": DAY, "per": "ADDRESS", "over": "CUSTOMER", "used": 0}],
        "policyVersion": 1,
    }
    pages = "query($id: ID!) { outdial(id: $id) { attempts { nodes { id claimedAt permit { at } } } } }"
    [read] = (await asked(viewer, pages, id=outdial.id))["outdial"]["attempts"]["nodes"]
    assert read == {"id": attempt["id"], "claimedAt": attempt["permit"]["at"], "permit": {"at": read["claimedAt"]}}


async def test_an_attempt_from_before_has_none(database: str, viewer: Viewer) -> None:
    outdial = await make.make_outdial(viewer)
    await make.make_target(viewer, outdial.id)
    [attempt] = await attempts.claim(viewer, outdial.id)
    await rows.execute(database, "UPDATE attempt SET permit = NULL WHERE customer_id = $1", viewer.customer_id)
    query = "query($id: ID!) { attempt: node(id: $id) { ... on Attempt { id permit { at } } } }"
    assert await asked(viewer, query, id=attempt.id) == {"attempt": {"id": attempt.id, "permit": None}}


async def test_permits_are_read_only_for_those_who_ask_and_at_once(database: str, viewer: Viewer) -> None:
    outdial = await make.make_outdial(viewer)
    await make.make_targets(viewer, outdial.id, 9)
    await attempts.claim(viewer, outdial.id, limit=9)
    costs = []
    for selected in ("id", "id permit { at }"):
        before = db.statements.sent
        query = f"query($id: ID!) {{ outdial(id: $id) {{ attempts {{ nodes {{ {selected} }} }} }} }}"
        assert len((await asked(viewer, query, id=outdial.id))["outdial"]["attempts"]["nodes"]) == 9
        costs.append(db.statements.sent - before)
    assert costs == [2, 3]


# ---------------------------------------------------------------- whatever the hours are

ADDRESSES = {  # with all zones whose rules could allow them
    BERLIN: "Europe/Berlin",
    TOKYO: "Asia/Tokyo",
    "+61255501234": "Australia/Sydney",
    "+212522123456": "Africa/Casablanca",
    UNKNOWN: None,
}
GIVEN = [None, "America/New_York", "Australia/Lord_Howe"]
NIGHTS = [
    datetime.fromisoformat(f"{text}+00:00")
    for text in ("2026-10-24T22:00", "2026-10-25T00:30", "2026-11-01T05:00", "2026-10-03T14:00", "2026-02-15T01:00")
]
"""In which clocks are changed somewhere."""
INSTANTS = st.sampled_from(NIGHTS) | st.builds(
    lambda minutes: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes), st.integers(0, 525_600)
)


@pytest.fixture
def runner(kind: Kind, databases: Databases) -> Iterator[asyncio.Runner]:
    """Of one database for all examples, each of which has a customer of its own."""
    with asyncio.Runner() as made:
        fresh = databases.fresh(kind)
        made.run(db.connect(made.run(fresh.__aenter__())))
        try:
            yield made
        finally:
            clock.shift = timedelta(0)
            made.run(db.close())
            made.run(fresh.__aexit__(None, None, None))


@settings(
    max_examples=25,
    deadline=None,
    phases=[phase for phase in Phase if phase is not Phase.shrink],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    windows=WINDOWS,
    always=st.booleans(),
    exceptions=st.lists(
        st.builds(
            CallingException, st.integers(-1, 3), st.just("Holiday"),
            st.lists(st.builds(CallingTime, TIMES, TIMES), max_size=2).map(tuple),
        ),
        max_size=2, unique_by=lambda exception: exception.day,
    ),
    zone=st.sampled_from([None, None, None, "Europe/Berlin", "Australia/Lord_Howe"]),
    default=st.sampled_from([None, "America/New_York"]),
    start=INSTANTS,
    steps=st.lists(st.sampled_from([1, 20, 61, 360, 1_440]), max_size=4),
)  # fmt: skip
def test_a_permit_says_what_a_look_at_the_clock_there_says(
    windows: Any,
    always: bool,
    exceptions: list[Any],
    zone: str | None,
    default: str | None,
    start: datetime,
    steps: list[int],
    runner: asyncio.Runner,
) -> None:
    """The zone is the destination's, the local time that of its clocks, and the window is the policy's and has it.

    Claims at later instants go by what the first one found out. `always`: one window follows another.
    """
    if always:
        around = [(time(0), time(9)), (time(9), time(18)), (time(18), time(0))]
        windows = tuple(CallingWindow(day, *pair) for day in Weekday for pair in around)
    hours = CallingHours(
        zone,
        windows,
        tuple(CallingException(start.date() + timedelta(days=one.day), one.name, one.windows) for one in exceptions),
    )

    async def play() -> None:
        viewer = make.make_viewer()
        policy = {"calling_hours": hours, "on_unknown_time_zone": UnknownTimeZoneAction.USE_OUTDIAL}
        clock.shift = start - datetime.now(UTC) - timedelta(days=1)
        outdial = await make.make_outdial(viewer, policy=policy, time_zone=default)
        given_zones = {}
        for _ in range(2):
            for address in ADDRESSES:
                for given_zone in GIVEN:
                    made = await make.make_target(viewer, outdial.id, address, time_zone=given_zone)
                    given_zones[made.id] = given_zone
        at = start
        for minutes in [0, *steps]:
            at += timedelta(minutes=minutes)
            clock.shift = at - datetime.now(UTC)
            for attempt in await attempts.claim(viewer, outdial.id, limit=9):
                permit = (await attempts.permits(viewer, [attempt.id]))[attempt.id]
                place = attempt.destination
                known = zones.known(
                    place.type, place.target, given_zones[attempt.target_id], default, attempt.claimed_at, policy=zone
                )
                assert (permit.time_zone, permit.time_zone_source) == (known.time_zone, known.source)
                assert permit.time_zone is not None
                local = attempt.claimed_at.astimezone(zones.rules(permit.time_zone))
                assert permit.local_time == local.isoformat(timespec="seconds")
                assert is_open(hours, zones.rules(permit.time_zone), attempt.claimed_at)
                assert permit.window is not None
                assert _has(permit.window, local.replace(tzinfo=None))
                _is_of(hours, permit.window)

    runner.run(play())


def _has(window: PermitWindow, local: datetime) -> bool:
    begins, ends = datetime.combine(window.day, window.start), datetime.combine(window.day, window.end)
    return begins <= local < (ends if window.end > window.start else ends + timedelta(days=1))


def _is_of(hours: CallingHours, window: PermitWindow) -> None:
    """It is one that the policy has for that day."""
    of_day = [one for one in hours.exceptions if one.day == window.day]
    named = {(one.start, one.end, each.name) for each in of_day for one in each.windows}
    weekday = list(Weekday)[window.day.weekday()]
    weekly = {(one.start, one.end, None) for one in hours.windows if one.weekday is weekday}
    assert (window.start, window.end, window.exception) in (named if of_day else weekly)
