"""The object types that say why a call was allowed."""

from datetime import date, datetime, time

import strawberry

from app.graphql.schema.enums import CapScope, CapSubject, TimeZoneSource
from app.graphql.schema.fields import at_most, derived
from app.validation import CAPS_MAX


@strawberry.type(description="The calling hours within which a call was, in local time.")
class PermitWindow:
    day: date = strawberry.field(name="date", description="The day on which they began.")
    start: time = strawberry.field(name="from", description="Their first minute.")
    end: time = strawberry.field(
        name="to",
        description="The minute in which they were over. If this is not later than `from`, it was on the next day.",
    )
    exception: str | None = strawberry.field(
        description="The name of the policy's exception that has these hours for this date. Null: they are those of "
        "its weekday."
    )


@strawberry.type(description="A cap that was in force, with the tries that it had counted.")
class PermitCap:
    tries: int = strawberry.field(description="The most tries.")
    window_seconds: int = strawberry.field(description="The length of the time in seconds.")
    per: CapSubject = strawberry.field(description="Whose tries were counted.")
    over: CapScope = strawberry.field(description="On which lists they were counted.")
    used: int = strawberry.field(description="The tries that counted before this one: fewer than `tries`.")


@strawberry.type(
    description="Why a call was allowed: what a claim found and stored with the attempt. Later changes of the policy, "
    "the target or the ledger change nothing in it. It has no address."
)
class Permit:
    at: datetime = strawberry.field(description="When it was found: the attempt's claimedAt.")
    local_time: str | None = derived(
        lambda permit: permit.local_time,
        "The date and time that clocks at the destination showed then, in ISO 8601 with the offset from UTC: "
        "2026-11-30T09:12:44+01:00. Null if the time zone was not known.",
    )
    time_zone: str | None = strawberry.field(
        description="The IANA time zone by whose clocks the calling hours counted for the destination. Null if it was "
        "not known. If there were no calling hours, the zone decided nothing, and that of a phone number is worked out "
        "when it is read."
    )
    time_zone_source: TimeZoneSource = strawberry.field(description="Where the time zone was known from.")
    window: PermitWindow | None = strawberry.field(
        description="The calling hours within which the call was; of several, those that ended last on that day. Null "
        "if the policy had none."
    )
    caps: list[PermitCap] = strawberry.field(
        description="The caps that were in force. Empty if the policy had none.", metadata=at_most(CAPS_MAX)
    )
    policy_version: int = strawberry.field(description="The version of the dial policy by which it was decided.")
