"""The object types of dial policies: limits, calling hours, caps."""

from datetime import date, time

import strawberry

from app import hours
from app.graphql.schema.enums import (
    CapScope,
    CapSubject,
    UnconfirmedAction,
    UnknownTimeZoneAction,
    Weekday,
)
from app.graphql.schema.fields import at_most
from app.validation import CAPS_MAX


@strawberry.type(description="A part of a day in local time.")
class CallingTime:
    start: time = strawberry.field(name="from", description="Its first minute.")
    end: time = strawberry.field(
        name="to",
        description="The minute in which it is over. If this is not later than `from`, it is on the next day.",
    )


@strawberry.type(description="A part of one day of each week, in local time.")
class CallingWindow:
    weekday: Weekday = strawberry.field(description="The day on which it begins.")
    start: time = strawberry.field(name="from", description="Its first minute.")
    end: time = strawberry.field(
        name="to",
        description="The minute in which it is over. If this is not later than `from`, it is on the next day.",
    )


@strawberry.type(
    description="A date with windows of its own instead of its weekday's, such as a holiday. What began on the day "
    "before ends at midnight."
)
class CallingException:
    day: date = strawberry.field(name="date", description="The date.")
    name: str = strawberry.field(description="What it is called.")
    windows: list[CallingTime] = strawberry.field(
        description="When calls are allowed. Empty: not on this date.", metadata=at_most(hours.EXCEPTION_WINDOWS_MAX)
    )


@strawberry.type(
    description="When targets may be called, in local time. Targets are claimed within these hours only; calls that "
    "were claimed before go on. In the night in which clocks are set back, an hour comes twice and counts twice."
)
class CallingHours:
    time_zone: str | None = strawberry.field(
        description="The IANA time zone of the windows. Null: that of each destination."
    )
    windows: list[CallingWindow] = strawberry.field(
        description="When calls are allowed, by weekday. Windows may overlap. Empty: never, but on exceptions.",
        metadata=at_most(hours.WINDOWS_MAX),
    )
    exceptions: list[CallingException] = strawberry.field(
        description="Dates that are not as other days.", metadata=at_most(hours.EXCEPTIONS_MAX)
    )


@strawberry.type(
    description="The most tries within any time of a given length. A claim passes over a destination at which a cap "
    "leaves no try. Each attempt that was not RELEASED counts, from its claimedAt on. A reset uncounts nothing."
)
class CallCap:
    tries: int = strawberry.field(description="The most tries.")
    window_seconds: int = strawberry.field(description="The length of the time in seconds.")
    per: CapSubject = strawberry.field(description="Whose tries are counted.")
    over: CapScope = strawberry.field(description="On which lists they are counted.")


@strawberry.type(description="How often targets are tried, how long to wait between tries, and how long a lease lasts.")
class DialPolicy:
    max_try_counts: list[int] = strawberry.field(
        description="Five numbers, one per destination: the most tries. 0 means never."
    )
    retry_interval_seconds: int = strawberry.field(
        description="Seconds from the end of an unsuccessful attempt until the target can be claimed again."
    )
    lease_seconds: int = strawberry.field(
        description="Seconds until an attempt expires if it is neither reported nor extended."
    )
    on_unconfirmed: UnconfirmedAction = strawberry.field(
        description="What happens to a target if its dialer disappears after it placed the call."
    )
    calling_hours: CallingHours | None = strawberry.field(description="When targets may be called. Null: at any time.")
    caps: list[CallCap] = strawberry.field(
        description="How often people are called at most, across targets and lists. All of them hold.",
        metadata=at_most(CAPS_MAX),
    )
    on_unknown_time_zone: UnknownTimeZoneAction = strawberry.field(
        description="What happens to a destination whose time zone is not known, if the calling hours have none of "
        "their own."
    )
    keep_order: bool = strawberry.field(
        description="If true, a destination whose hours are closed holds up those after it. If false, the next one is "
        "called."
    )
    version: int = strawberry.field(description="Grows with each change of the policy, and of the outdial's time zone.")
