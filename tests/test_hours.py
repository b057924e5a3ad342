"""Calling hours against an obvious model that looks at each minute, in every zone and each night of a clock change."""

from datetime import UTC, date, datetime, time, timedelta
from importlib import resources
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app import zones
from app.hours import (
    LOOK_AHEAD_DAYS,
    CallingException,
    CallingHours,
    CallingTime,
    CallingWindow,
    Standing,
    Weekday,
    allowed,
    standing,
)

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
NAMES = sorted(set(resources.files("tzdata").joinpath("zones").read_text().split()) - {"Factory"})
YEARS = range(2024, 2031)
WEEKDAYS = list(Weekday)
SUNDAY = Weekday.SUNDAY
MODEL_DAYS = 9
"""Each week is the same, and the night after it."""


def hours_of(*windows: tuple[Weekday, str, str], exceptions: tuple[CallingException, ...] = ()) -> CallingHours:
    made = tuple(CallingWindow(day, time.fromisoformat(start), time.fromisoformat(end)) for day, start, end in windows)
    return CallingHours(None, made, exceptions)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(f"{text}:00+00:00")


# ---------------------------------------------------------------- the model


def beginning_on(hours: CallingHours, day: date) -> list[tuple[time, time]]:
    for exception in hours.exceptions:
        if exception.day == day:
            return [(window.start, window.end) for window in exception.windows]
    return [(window.start, window.end) for window in hours.windows if window.weekday == WEEKDAYS[day.weekday()]]


def is_open(hours: CallingHours, zone: ZoneInfo, at: datetime) -> bool:
    local = at.astimezone(zone)
    day, clock = local.date(), local.time()
    for start, end in beginning_on(hours, day):
        if start <= clock < end or (end <= start <= clock):
            return True
    if any(exception.day == day for exception in hours.exceptions):
        return False
    return any(end <= start and clock < end for start, end in beginning_on(hours, day - DAY))


def model(hours: CallingHours, zone: ZoneInfo, at: datetime, *, days: int = MODEL_DAYS) -> Standing:
    now = is_open(hours, zone, at)
    minute = at.replace(second=0, microsecond=0) + MINUTE
    while minute < at + days * DAY:
        if is_open(hours, zone, minute) != now:
            return Standing(now, minute)
        minute += MINUTE
    return Standing(now, None)


def agrees(hours: CallingHours, zone: ZoneInfo, at: datetime, *, days: int = MODEL_DAYS) -> None:
    found, wanted = standing(hours, zone, at), model(hours, zone, at, days=days)
    assert found.is_open == wanted.is_open
    if wanted.until is None:
        assert found.until is None or found.until >= at + days * DAY
    else:
        assert found.until == wanted.until


def changes_of(zone: ZoneInfo) -> list[datetime]:
    """The instants at which the clocks of a zone are changed, to the minute."""
    found = []
    days = [datetime(YEARS[0], 1, 1, tzinfo=UTC) + number * DAY for number in range(len(YEARS) * 366)]
    for first, last in pairwise(days):
        if first.astimezone(zone).utcoffset() != last.astimezone(zone).utcoffset():
            minute = first
            while minute.astimezone(zone).utcoffset() == first.astimezone(zone).utcoffset():
                minute += MINUTE
            found.append(minute)
    return found


# ---------------------------------------------------------------- any hours, any zone, any instant

MINUTES = st.integers(0, 24 * 60 - 1).map(lambda minute: time(minute // 60, minute % 60))
ROUND = st.sampled_from([time(0), time(1, 30), time(2), time(2, 30), time(3), time(9), time(18), time(23, 59)])
TIMES = MINUTES | ROUND
WINDOWS = st.lists(st.builds(CallingWindow, st.sampled_from(WEEKDAYS), TIMES, TIMES), max_size=6).map(tuple)


@st.composite
def cases(draw: st.DrawFn) -> tuple[CallingHours, ZoneInfo, datetime]:
    zone = zones.rules(draw(st.sampled_from(NAMES)))
    at = datetime(YEARS[0], 1, 1, tzinfo=UTC) + timedelta(seconds=draw(st.integers(0, len(YEARS) * 366 * 86_400)))
    at += timedelta(microseconds=draw(st.sampled_from([0, 0, 1, 999_999])))
    if draw(st.booleans()) and (changes := _changes(zone.key)):
        at = draw(st.sampled_from(changes)) + timedelta(seconds=draw(st.integers(-90_000, 90_000)))
    days = draw(st.lists(st.integers(-2, 9), max_size=4, unique=True))
    exceptions = tuple(
        CallingException(
            at.date() + day * DAY, "", draw(st.lists(st.builds(CallingTime, TIMES, TIMES), max_size=2).map(tuple))
        )
        for day in days
    )
    return CallingHours(None, draw(WINDOWS), exceptions), zone, at


_known: dict[str, list[datetime]] = {}


def _changes(name: str) -> list[datetime]:
    if name not in _known:
        _known[name] = changes_of(zones.rules(name))
    return _known[name]


@given(case=cases())
@settings(max_examples=60)
def test_any_hours_are_open_when_a_look_at_each_minute_says_so(
    case: tuple[CallingHours, ZoneInfo, datetime],
) -> None:
    agrees(*case)


@given(case=cases(), minutes=st.lists(st.integers(0, 1_440), max_size=4))
def test_what_allows_a_call_is_a_window_that_has_the_local_time_until_it_says_so(
    case: tuple[CallingHours, ZoneInfo, datetime], minutes: list[int]
) -> None:
    hours, zone, at = case
    found = allowed(hours, zone, at)
    assert (found is not None) == is_open(hours, zone, at)
    if found is None:
        return
    assert at < found.until <= at + DAY
    for instant in (at, *(at + number * MINUTE for number in minutes), found.until - timedelta(microseconds=1)):
        if instant >= found.until:
            continue
        local = instant.astimezone(zone)
        assert local.utcoffset() == found.offset
        begins = datetime.combine(found.day, found.window.start)
        ends = datetime.combine(found.day, found.window.end)
        ends += DAY if found.window.end <= found.window.start else timedelta(0)
        assert begins <= local.replace(tzinfo=None) < ends
        assert (found.window.start, found.window.end) in beginning_on(hours, found.day)
        assert is_open(hours, zone, instant)


@pytest.mark.slow
def test_every_zone_is_right_in_each_night_in_which_its_clocks_are_changed() -> None:
    """Of 2024 to 2030, with windows that begin, end or lie within the hour that is missing or comes twice."""
    everywhere = [
        hours_of(*((day, start, end) for day in WEEKDAYS))
        for start, end in (("01:15", "02:10"), ("02:20", "03:05"), ("23:40", "00:20"), ("22:00", "03:30"))
    ]
    nights = set()
    for name in NAMES:
        zone = zones.rules(name)
        for change in _changes(name):
            night = change, *((change + hours * DAY / 24).astimezone(zone).utcoffset() for hours in (-1, 1))
            if night in nights:  # zones with other names are the same
                continue
            nights.add(night)
            for hours in everywhere:
                for minutes in (-125, -20, -1, 0, 1, 50):
                    agrees(hours, zone, change + minutes * MINUTE, days=1)
    assert len(nights) > 200


# ---------------------------------------------------------------- nights by their names

NIGHTS = {
    "New York forward: the window ends where the hour is left out": (
        "America/New_York", "01:30", "02:30", "2026-03-08T05:00", ["2026-03-08T06:30", "2026-03-08T07:00"],
    ),
    "New York forward: the window begins within the hour that is left out": (
        "America/New_York", "02:30", "04:00", "2026-03-08T05:00", ["2026-03-08T07:00", "2026-03-08T08:00"],
    ),
    "New York back: half past one comes twice": (
        "America/New_York", "01:30", "02:30", "2026-11-01T04:00",
        ["2026-11-01T05:30", "2026-11-01T06:00", "2026-11-01T06:30", "2026-11-01T07:30"],
    ),
    "Berlin forward": (
        "Europe/Berlin", "02:30", "04:00", "2026-03-28T23:00", ["2026-03-29T01:00", "2026-03-29T02:00"],
    ),
    "Berlin back": (
        "Europe/Berlin", "02:30", "03:30", "2026-10-24T22:00",
        ["2026-10-25T00:30", "2026-10-25T01:00", "2026-10-25T01:30", "2026-10-25T02:30"],
    ),
    "Lord Howe forward by half an hour": (
        "Australia/Lord_Howe", "01:45", "02:45", "2026-10-03T13:30", ["2026-10-03T15:15", "2026-10-03T15:45"],
    ),
    "Lord Howe back by half an hour": (
        "Australia/Lord_Howe", "01:45", "02:15", "2026-04-04T13:00",
        ["2026-04-04T14:45", "2026-04-04T15:00", "2026-04-04T15:15", "2026-04-04T15:45"],
    ),
    "Casablanca back when Ramadan begins": (
        "Africa/Casablanca", "02:30", "03:30", "2026-02-14T23:00",
        ["2026-02-15T01:30", "2026-02-15T02:00", "2026-02-15T02:30", "2026-02-15T03:30"],
    ),
    "Casablanca forward when it has ended": (
        "Africa/Casablanca", "02:30", "03:30", "2026-03-22T00:00", ["2026-03-22T02:00", "2026-03-22T02:30"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("night", NIGHTS)
def test_a_night_in_which_the_clocks_are_changed(night: str) -> None:
    name, start, end, begins, wanted = NIGHTS[night]
    hours, zone, at = hours_of((SUNDAY, start, end)), zones.rules(name), utc(begins)
    assert any(utc(begins) < change < utc(wanted[-1]) + DAY for change in changes_of(zone))
    for number, change in enumerate(wanted):
        agrees(hours, zone, at)
        assert standing(hours, zone, at) == Standing(number % 2 == 1, utc(change))
        at = utc(change)
    assert not standing(hours, zone, at).is_open


# ---------------------------------------------------------------- what hours mean

BERLIN = zones.rules("Europe/Berlin")
OFFICE = hours_of(*((day, "09:00", "18:00") for day in WEEKDAYS[:5]))


def test_hours_are_open_from_their_first_minute_until_before_their_last() -> None:
    assert standing(OFFICE, BERLIN, utc("2026-11-30T07:59")) == Standing(False, utc("2026-11-30T08:00"))
    assert standing(OFFICE, BERLIN, utc("2026-11-30T08:00")) == Standing(True, utc("2026-11-30T17:00"))
    last = utc("2026-11-30T17:00") - timedelta(microseconds=1)
    assert standing(OFFICE, BERLIN, last).is_open
    assert standing(OFFICE, BERLIN, utc("2026-12-04T17:00")) == Standing(False, utc("2026-12-07T08:00"))


def test_windows_that_meet_are_one_and_those_that_overlap_too() -> None:
    hours = hours_of((SUNDAY, "22:00", "00:00"), (Weekday.MONDAY, "00:00", "01:00"), (Weekday.MONDAY, "00:30", "02:00"))
    assert standing(hours, BERLIN, utc("2026-11-29T21:30")) == Standing(True, utc("2026-11-30T01:00"))


def test_a_window_may_last_into_the_next_day_and_the_same_time_twice_is_a_whole_day() -> None:
    night = hours_of((SUNDAY, "22:00", "06:00"))
    assert standing(night, BERLIN, utc("2026-11-30T04:00")) == Standing(True, utc("2026-11-30T05:00"))
    day = hours_of((SUNDAY, "12:00", "12:00"))
    assert standing(day, BERLIN, utc("2026-11-29T11:00")) == Standing(True, utc("2026-11-30T11:00"))


def test_a_holiday_is_closed_also_for_what_began_on_the_day_before() -> None:
    holiday = CallingException(date(2026, 12, 25), "Christmas", ())
    night = hours_of((Weekday.THURSDAY, "22:00", "06:00"), (Weekday.FRIDAY, "09:00", "18:00"), exceptions=(holiday,))
    assert standing(night, BERLIN, utc("2026-12-24T21:30")) == Standing(True, utc("2026-12-24T23:00"))
    assert standing(night, BERLIN, utc("2026-12-24T23:00")) == Standing(False, utc("2026-12-31T21:00"))


def test_an_exception_may_open_a_date_that_is_closed_otherwise() -> None:
    sale = CallingException(date(2026, 11, 29), "Sale", (CallingTime(time(10), time(12)),))
    hours = hours_of(exceptions=(sale,))
    assert standing(hours, BERLIN, utc("2026-11-01T00:00")) == Standing(False, utc("2026-11-29T09:00"))
    assert standing(hours, BERLIN, utc("2026-11-29T09:00")) == Standing(True, utc("2026-11-29T11:00"))
    assert standing(hours, BERLIN, utc("2026-11-29T11:00")) == Standing(False, None)


def test_what_does_not_change_has_no_end() -> None:
    always = hours_of(*((day, "00:00", "00:00") for day in WEEKDAYS))
    assert standing(always, BERLIN, utc("2026-03-29T00:30")) == Standing(True, None)
    far = CallingException((utc("2026-01-01T00:00") + (LOOK_AHEAD_DAYS + 2) * DAY).date(), "", ())
    closed_once = hours_of(*((day, "00:00", "00:00") for day in WEEKDAYS), exceptions=(far,))
    assert standing(closed_once, BERLIN, utc("2026-01-01T00:00")) == Standing(True, None)
    assert standing(closed_once, BERLIN, utc("2026-02-01T00:00")).until is not None


def test_a_year_of_holidays_is_passed_over() -> None:
    """A window on Mondays, with each Monday of a year left out."""
    mondays = [date(2026, 1, 5) + 7 * number * DAY for number in range(52)]
    hours = hours_of(
        (Weekday.MONDAY, "09:00", "10:00"), exceptions=tuple(CallingException(day, "", ()) for day in mondays)
    )
    assert standing(hours, BERLIN, utc("2026-01-01T00:00")) == Standing(False, utc("2027-01-04T08:00"))
