"""Our own scalars: instants, and positions in an outdial's event log."""

from datetime import UTC, datetime
from typing import NewType

import strawberry
from strawberry.types.scalar import ScalarDefinition

EventCursor = NewType("EventCursor", str)


def instant_text(value: datetime) -> str:
    """An aware instant as text, always with six digits so that texts sort like the instants."""
    if value.tzinfo is not UTC:
        value = value.astimezone(UTC)
    return value.isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


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
    EventCursor: strawberry.scalar(
        name="EventCursor",
        description=(
            "A position in an outdial's event log. Opaque: pass it back as it is, and do not compare or change it."
        ),
        serialize=str,
        parse_value=cursor,
    ),
}
