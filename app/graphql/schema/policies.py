"""The object types of dial policies: limits, retry rules, calling hours, caps, pace."""

from datetime import date, datetime, time

import strawberry

from app import hours, retrying
from app.graphql.schema.enums import (
    AttemptState,
    CapScope,
    CapSubject,
    Disposition,
    RetryAction,
    UnconfirmedAction,
    UnknownTimeZoneAction,
    Weekday,
)
from app.graphql.schema.fields import at_most
from app.lifecycle import DESTINATIONS
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


@strawberry.type(
    description="What happens after an attempt that reached nobody. An attempt matches a rule if it matches each of "
    "its lists; an empty list matches all. Limits of tries hold whatever a rule says."
)
class RetryRule:
    states: list[AttemptState] = strawberry.field(
        description="How the attempt ended: COMPLETED, EXPIRED or UNCONFIRMED.",
        metadata=at_most(len(retrying.JUDGED_STATES)),
    )
    dispositions: list[Disposition] = strawberry.field(
        description="The reported result. An attempt without one matches only an empty list.",
        metadata=at_most(len(Disposition)),
    )
    codes: list[str] = strawberry.field(
        description="The owner's own result. An attempt without one matches only an empty list.",
        metadata=at_most(retrying.CODES_MAX),
    )
    destinations: list[int] = strawberry.field(
        description="The index of the destination that was tried.", metadata=at_most(DESTINATIONS)
    )
    from_nth: int = strawberry.field(
        description="The rule counts from the nth matching attempt on since the target was created or last reset."
    )
    action: RetryAction = strawberry.field(description="What happens to the target.")
    wait_seconds: int | None = strawberry.field(
        description="Seconds from the end of the attempt until the target can be claimed again. Null: for RETRY as "
        "long as without the rule, for NEXT_DESTINATION none if that is another one. retryAfterSeconds of a result has "
        "precedence."
    )
    jitter_percent: int = strawberry.field(
        description="The wait is made longer by chance, by at most this share of it in percent, so that what failed "
        "together is not tried together."
    )


@strawberry.type(
    description="Stops the claims of an outdial by itself if too many of its calls fail, as with a broken trunk. "
    "FAILED, TIMEOUT and UNCONFIRMED count as failures. It is judged each second. After the pause a single target is "
    "claimed; if that call does not fail, all can be again."
)
class Breaker:
    failure_percent: int = strawberry.field(
        description="It opens if at least this share of the calls failed, in percent."
    )
    window_seconds: int = strawberry.field(description="Calls count that ended within so many seconds.")
    min_calls: int = strawberry.field(description="It never opens on fewer calls.")
    pause_seconds: int = strawberry.field(description="Seconds until a call is tried again.")


@strawberry.type(description="How fast an outdial is called at most, by all dialers together.")
class Pacing:
    max_open_attempts: int | None = strawberry.field(
        description="The most attempts that are in progress at any time. Null: no limit."
    )
    claims_per_second: float | None = strawberry.field(
        description="The most targets that are claimed within any second, by claimedAt. Of a fraction above 1 the "
        "whole number counts; 0.2 means one in five seconds. Null: no limit."
    )
    breaker: Breaker | None = strawberry.field(description="When it stops by itself. Null: never.")


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
    retry_rules: list[RetryRule] = strawberry.field(
        description="What happens after attempts that reached nobody: the first rule that matches decides. If there is "
        "none, the other fields decide.",
        metadata=at_most(retrying.RULES_MAX),
    )
    pacing: Pacing | None = strawberry.field(
        description="How fast it is called at most. Null: as fast as dialers claim."
    )
    starts_at: datetime | None = strawberry.field(description="Nothing is claimed before. Null: it has started.")
    ends_at: datetime | None = strawberry.field(
        description="Nothing is claimed from then on; what waits stays as it is. Null: it does not end."
    )
    version: int = strawberry.field(description="Grows with each change of the policy, and of the outdial's time zone.")
