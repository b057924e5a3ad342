"""Our own scalars: instants, and positions in an outdial's event log."""

import re
from datetime import UTC, date, datetime, time
from typing import NewType

import orjson
import strawberry
from strawberry.types.scalar import ScalarDefinition

EventCursor = NewType("EventCursor", str)
_INSTANT_JSON_BYTES = len('"2022-04-28T01:41:40.503790Z"')


def instant_text(value: datetime) -> str:
    """An aware instant as text, always with six digits so that texts sort like the instants."""
    # A quarter of the time of isoformat, which asks the time zone three times. Without microseconds, and for other
    # time zones, orjson's text has another length.
    text = orjson.dumps(value, None, orjson.OPT_UTC_Z)
    if len(text) == _INSTANT_JSON_BYTES:
        return text[1:-1].decode()
    return value.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def instant(value: object) -> datetime:
    """The instant of an ISO 8601 text, in UTC.

    The client gets the message of the exception, with the position that graphql-core adds.

    Raises:
        TypeError: it is not text. ValueError: it is not an instant, has no offset, or is outside the years 1 to 9999.
    """
    if not isinstance(value, str):
        raise TypeError("Invalid DateTime. Use ISO 8601 text such as 2022-04-28T01:41:40Z.")
    text = value.upper()  # RFC 3339 allows a small t and z
    try:
        # Python allows any character between date and time; ISO 8601 allows a T, RFC 3339 also a space.
        parsed = datetime.fromisoformat(text) if "T" in text or " " in text else None
        if parsed is not None and parsed.tzinfo is not None:
            return parsed.astimezone(UTC)
    except ValueError:
        raise ValueError("Invalid DateTime. Use ISO 8601 text such as 2022-04-28T01:41:40Z.") from None
    except OverflowError:
        raise ValueError("DateTime must be in the years 1 to 9999 (UTC).") from None
    raise ValueError("DateTime needs a date, a time and an offset from UTC, such as 2022-04-28T01:41:40Z.")


_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TIME = re.compile(r"[0-9]{2}:[0-9]{2}")


def day(value: object) -> date:
    """The date of an ISO 8601 text.

    Raises:
        TypeError: it is not text. ValueError: it is no date.
    """
    if not isinstance(value, str):
        raise TypeError("Invalid Date. Use ISO 8601 text such as 2026-12-25.")
    try:
        if _DATE.fullmatch(value):
            return date.fromisoformat(value)
    except ValueError:
        pass
    raise ValueError("Invalid Date. Use ISO 8601 text such as 2026-12-25.")


def local_time(value: object) -> time:
    """The time of a text with hours and minutes.

    Raises:
        TypeError: it is not text. ValueError: it is no time.
    """
    if not isinstance(value, str):
        raise TypeError("Invalid LocalTime. Use text from 00:00 to 23:59.")
    try:
        if _TIME.fullmatch(value):
            return time.fromisoformat(value)
    except ValueError:
        pass
    raise ValueError("Invalid LocalTime. Use text from 00:00 to 23:59.")


def cursor(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("EventCursor must be text.")
    return value


SCALARS: dict[object, ScalarDefinition] = {
    datetime: strawberry.scalar(
        name="DateTime",
        description="A point in time in UTC, in ISO 8601 with microseconds: 2022-04-28T01:41:40.503790Z.",
        serialize=instant_text,
        parse_value=instant,
    ),
    date: strawberry.scalar(
        name="Date",
        description="A date of the calendar, in ISO 8601: 2026-12-25.",
        serialize=date.isoformat,
        parse_value=day,
    ),
    time: strawberry.scalar(
        name="LocalTime",
        description="A time of the day as a clock shows it, to the minute, from 00:00 to 23:59.",
        serialize=lambda value: value.isoformat("minutes"),
        parse_value=local_time,
    ),
    EventCursor: strawberry.scalar(
        name="EventCursor",
        description=(
            "A position in an outdial's event log. Opaque: pass it back as it is, and do not compare or change it."
        ),
        serialize=str,
        parse_value=cursor,
    ),
}
