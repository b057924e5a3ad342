"""Buckets of time: minutes, and the hours and days of a time zone, also if its clocks change. Pure."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from itertools import islice
from typing import NamedTuple
from zoneinfo import ZoneInfo

BUCKETS_MAX = 1_500
"""More than the minutes of a day, the hours of two months or the days of four years."""
QUARTER = timedelta(minutes=15)
"""Since 2000, the time of each zone differs from UTC by so many minutes, or a multiple. So no day or hour of any zone
divides a quarter of an hour."""
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


class Bucket(StrEnum):
    MINUTE = "MINUTE"
    HOUR = "HOUR"
    DAY = "DAY"


class Grouping(StrEnum):
    DESTINATION = "DESTINATION"
    DIALER = "DIALER"
    HOUR_OF_DAY = "HOUR_OF_DAY"


class Span(NamedTuple):
    """From an instant up to, and without, another."""

    begins_at: datetime
    ends_at: datetime


def spans(whole: Span, bucket: Bucket | None, zone: ZoneInfo) -> list[Span]:
    """The buckets of a span, in order; the first and the last one may be parts of one. They are in UTC.

    Args:
        whole: begins at a quarter of an hour, or at a minute if that is the bucket.
        bucket: None: one for the whole span.
        zone: whose hours and days they are. An hour that happens twice has two buckets.

    Returns:
        At most BUCKETS_MAX + 1: if so many, they may not be all.
    """
    return list(islice(_spans(whole, bucket, zone), BUCKETS_MAX + 1))


def _spans(whole: Span, bucket: Bucket | None, zone: ZoneInfo) -> Iterator[Span]:
    at = whole.begins_at.astimezone(UTC)
    end = whole.ends_at.astimezone(UTC)
    while at < end:
        further = end if bucket is None else min(end, _end_of(bucket, at, zone))
        yield Span(at, further)
        at = further


def _end_of(bucket: Bucket, at: datetime, zone: ZoneInfo) -> datetime:
    """The end of the bucket that has an instant."""
    if bucket is Bucket.MINUTE:
        return at + timedelta(minutes=1)
    return _end_of_hour(at, zone) if bucket is Bucket.HOUR else _end_of_day(at, zone)


def _end_of_hour(at: datetime, zone: ZoneInfo) -> datetime:
    local = at.astimezone(zone)
    end = at + HOUR - timedelta(minutes=local.minute)
    if end.astimezone(zone).utcoffset() == local.utcoffset():
        return end
    further = at + QUARTER
    while _hour_of(further, zone) == _hour_of(at, zone):
        further += QUARTER
    return further


def _hour_of(at: datetime, zone: ZoneInfo) -> tuple[object, ...]:
    local = at.astimezone(zone)
    return local.date(), local.hour, local.utcoffset()


def _end_of_day(at: datetime, zone: ZoneInfo) -> datetime:
    today = at.astimezone(zone).date()
    end = datetime.combine(today + DAY, time.min, zone).astimezone(UTC)
    # midnight itself may be left out when clocks go forward
    while (end - QUARTER).astimezone(zone).date() > today:
        end -= QUARTER
    return end


class Piece(NamedTuple):
    """A span, and the length in minutes of the cells that it is made of."""

    span: Span
    minutes: int


def pieces(listed: Sequence[Span], bucket: Bucket | None, grouping: Grouping | None) -> list[Piece]:
    """What these buckets are made of: the longest cells of which none is in two buckets. All are in UTC.

    Hours of the day may begin within an hour of UTC, so they are made of quarters. A single bucket has whole days, and
    what is before and after them.
    """
    whole = Span(listed[0].begins_at, listed[-1].ends_at)
    if bucket is Bucket.MINUTE or grouping is Grouping.HOUR_OF_DAY:
        return [Piece(whole, 1 if bucket is Bucket.MINUTE else 15)]
    instants = {instant for span in listed for instant in span}
    if all(_midnight(instant) == instant for instant in instants):
        return [Piece(whole, 24 * 60)]
    minutes = 15 if any(instant.minute for instant in instants) else 60
    first, last = _midnight(whole.begins_at + DAY - timedelta(microseconds=1)), _midnight(whole.ends_at)
    if bucket is not None or first >= last:
        return [Piece(whole, minutes)]
    parts = (
        Piece(Span(whole.begins_at, first), minutes),
        Piece(Span(first, last), 24 * 60),
        Piece(Span(last, whole.ends_at), minutes),
    )
    return [part for part in parts if part.span.begins_at < part.span.ends_at]


def _midnight(instant: datetime) -> datetime:
    return datetime.combine(instant.date(), time.min, UTC)
