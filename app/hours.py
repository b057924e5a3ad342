"""Calling hours: when somebody may be called, by the clock of the place where they are. Pure.

Windows are in local time, and local time is what the clocks of the zone show: in the night in which they are set back,
an hour comes twice and is open twice; in the night in which they are set forward, one does not come at all.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import cached_property
from zoneinfo import ZoneInfo

WINDOWS_MAX = 28
EXCEPTIONS_MAX = 40
EXCEPTION_WINDOWS_MAX = 3
LOOK_AHEAD_DAYS = 400
"""How far the next change is searched. What does not change until then counts as never."""
_LOOK_AHEAD = timedelta(days=LOOK_AHEAD_DAYS)
_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)


class UnknownTimeZoneAction(StrEnum):
    SKIP = "SKIP"
    USE_OUTDIAL = "USE_OUTDIAL"


class Weekday(StrEnum):
    MONDAY = "MONDAY"
    TUESDAY = "TUESDAY"
    WEDNESDAY = "WEDNESDAY"
    THURSDAY = "THURSDAY"
    FRIDAY = "FRIDAY"
    SATURDAY = "SATURDAY"
    SUNDAY = "SUNDAY"


_WEEKDAYS = tuple(Weekday)
"""By `date.weekday()`."""


@dataclass(frozen=True, slots=True)
class CallingTime:
    """From `start` until before `end`, in whole minutes. If `end` is not later, it is on the next day."""

    start: time
    end: time


@dataclass(frozen=True, slots=True)
class CallingWindow:
    """The same on each such day."""

    weekday: Weekday
    start: time
    end: time


@dataclass(frozen=True, slots=True)
class CallingException:
    """A date with windows of its own instead of its weekday's; closed if it has none.

    What began on the day before ends at midnight. What begins on this date may last into the next one.
    """

    day: date
    name: str
    windows: tuple[CallingTime, ...]


@dataclass(frozen=True)
class CallingHours:
    time_zone: str | None
    """Of the windows; None for the destination's own."""
    windows: tuple[CallingWindow, ...]
    exceptions: tuple[CallingException, ...]

    @cached_property
    def _by_weekday(self) -> dict[Weekday, list[CallingTime]]:
        found: dict[Weekday, list[CallingTime]] = {}
        for window in self.windows:
            found.setdefault(window.weekday, []).append(CallingTime(window.start, window.end))
        return found

    @cached_property
    def _by_date(self) -> dict[date, CallingException]:
        return {exception.day: exception for exception in self.exceptions}

    def exception_on(self, day: date) -> CallingException | None:
        return self._by_date.get(day)

    def beginning_on(self, day: date) -> Sequence[CallingTime]:
        """What begins on a day."""
        own = self._by_date.get(day)
        return self._by_weekday.get(_WEEKDAYS[day.weekday()], ()) if own is None else own.windows

    def spans(self, day: date) -> list["Span"]:
        """The parts of a day that are open."""
        found = [
            Span(window.start, window.end if window.end > window.start else None, window, day)
            for window in self.beginning_on(day)
        ]
        if day not in self._by_date and day > date.min:
            found += [
                Span(time.min, window.end, window, day - _DAY)
                for window in self.beginning_on(day - _DAY)
                if time.min < window.end <= window.start
            ]
        return found


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a day that is open."""

    first: time
    last: time | None
    """When it is over; None for the end of the day."""
    window: CallingTime
    """Of which it is a part."""
    day: date
    """On which the window began."""

    def has(self, at: time) -> bool:
        return self.first <= at and (self.last is None or at < self.last)


@dataclass(frozen=True, slots=True)
class Standing:
    is_open: bool
    until: datetime | None
    """The instant from which it is the other way. None if that is not within the time that was searched."""


def standing(hours: CallingHours, zone: ZoneInfo, at: datetime, *, within: timedelta = _LOOK_AHEAD) -> Standing:
    """Whether somebody in a zone may be called at an instant, and until when that holds.

    Args:
        hours: the calling hours.
        zone: theirs, or the destination's if they have none.
        at: the instant.
        within: how far the next change is searched. Each day takes some microseconds.
    """
    at = at.astimezone(UTC)
    last = at + within
    closes: datetime | None = None
    for begin, end in _open(hours, zone, at, last):
        if closes is None:
            if begin > at:
                return Standing(is_open=False, until=begin)
            closes = end
        elif begin > closes:
            break
        else:
            closes = max(closes, end)
    if closes is None:
        return Standing(is_open=False, until=None)
    return Standing(is_open=True, until=None if closes >= last else closes)


def _open(hours: CallingHours, zone: ZoneInfo, at: datetime, last: datetime) -> Iterator[tuple[datetime, datetime]]:
    """The open times between two instants in UTC, in order of their beginnings."""
    while at < last:
        # From here to the end of the local day, or to the moment at which the clocks are changed.
        offset = _offset(zone, at)
        midnight = datetime.combine((at + offset).date(), time.min, UTC) - offset
        stop = min(change_of_clocks(zone, at, midnight + _DAY), last)
        found = []
        for span in hours.spans((at + offset).date()):
            begin = max(at, midnight + _of_day(span.first))
            end = min(stop, midnight + (_DAY if span.last is None else _of_day(span.last)))
            if begin < end:
                found.append((begin, end))
        yield from sorted(found)
        at = stop


@dataclass(frozen=True, slots=True)
class Allowed:
    """What allows a call."""

    day: date
    """On which the window began."""
    window: CallingTime
    exception: str | None
    """The name of the exception whose window it is; None for one of a weekday."""
    offset: timedelta
    """Of local time from UTC."""
    until: datetime
    """All that holds until this instant at least."""


def allowed(hours: CallingHours, zone: ZoneInfo, at: datetime) -> Allowed | None:
    """What allows a call in a zone at an instant, as `standing` has it; None if nothing does.

    Of several windows it is the one that ends last on that day.
    """
    at = at.astimezone(UTC)
    offset = _offset(zone, at)
    local = at + offset
    spans = [span for span in hours.spans(local.date()) if span.has(local.time())]
    if not spans:
        return None
    span = max(spans, key=lambda span: (span.last is None, span.last or time.min))
    exception = hours.exception_on(span.day)
    midnight = datetime.combine(local.date(), time.min, UTC) - offset
    closes = midnight + (_DAY if span.last is None else _of_day(span.last))
    until = min(change_of_clocks(zone, at, at + _DAY), closes)
    return Allowed(span.day, span.window, None if exception is None else exception.name, offset, until)


def _of_day(at: time) -> timedelta:
    return timedelta(hours=at.hour, minutes=at.minute)


def _offset(zone: ZoneInfo, at: datetime) -> timedelta:
    found = at.astimezone(zone).utcoffset()
    assert found is not None
    return found


def change_of_clocks(zone: ZoneInfo, at: datetime, end: datetime) -> datetime:
    """The first instant after `at` with another offset, at most `end`, which is a day later or less."""
    offset = _offset(zone, at)
    if _offset(zone, end) == offset:  # no zone changes its clocks twice on one day: a test looks at each
        return end
    low, high = 0, int((end - at).total_seconds()) + 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _offset(zone, at + middle * _SECOND) == offset else (low, middle)
    return min((at + high * _SECOND).replace(microsecond=0), end)
