"""The inputs of outdials and of their policies."""

from collections.abc import Callable
from datetime import date, datetime, time
from typing import Any, TypeVar

import strawberry
from strawberry import UNSET

from app import hours, pacing, records, retrying
from app.graphql.schema.enums import (
    AttemptState,
    CapScope,
    CapSubject,
    Disposition,
    OutdialState,
    RetryAction,
    UnconfirmedAction,
    UnknownTimeZoneAction,
    Weekday,
)
from app.graphql.schema.fields import at_most, given
from app.graphql.schema.inputs.common import changed, numbers
from app.lifecycle import DESTINATIONS
from app.validation import CAPS_MAX

I = TypeVar("I")  # noqa: E741 - an input
D = TypeVar("D")


@strawberry.input(description="A part of a day in local time.")
class CallingTimeInput:
    start: time = strawberry.field(name="from", description="Its first minute.")
    end: time = strawberry.field(
        name="to",
        description="The minute in which it is over. If this is not later than `from`, it is on the next day.",
    )


@strawberry.input(description="A part of one day of each week, in local time.")
class CallingWindowInput:
    weekday: Weekday = strawberry.field(description="The day on which it begins.")
    start: time = strawberry.field(name="from", description="Its first minute.")
    end: time = strawberry.field(
        name="to",
        description="The minute in which it is over. If this is not later than `from`, it is on the next day.",
    )


@strawberry.input(description="A date with windows of its own instead of its weekday's, such as a holiday.")
class CallingExceptionInput:
    day: date = strawberry.field(name="date", description="The date. Each date once.")
    name: str = strawberry.field(default="", description="What it is called, at most 255 characters.")
    windows: list[CallingTimeInput] = strawberry.field(
        default_factory=list,
        description="When calls are allowed, at most 3. Empty: not on this date.",
        metadata=at_most(hours.EXCEPTION_WINDOWS_MAX),
    )


@strawberry.input(description="When targets may be called, in local time.")
class CallingHoursInput:
    time_zone: str | None = strawberry.field(
        default=UNSET,
        description="The IANA time zone of the windows, such as Europe/Berlin. If null, that of each destination "
        "counts.",
    )
    windows: list[CallingWindowInput] = strawberry.field(
        description="When calls are allowed, by weekday, at most 28.", metadata=at_most(hours.WINDOWS_MAX)
    )
    exceptions: list[CallingExceptionInput] = strawberry.field(
        default_factory=list,
        description="Dates that are not as other days, at most 40.",
        metadata=at_most(hours.EXCEPTIONS_MAX),
    )

    def draft(self) -> hours.CallingHours:
        return hours.CallingHours(
            time_zone=given(self.time_zone),
            windows=tuple(hours.CallingWindow(row.weekday, row.start, row.end) for row in self.windows),
            exceptions=tuple(
                hours.CallingException(
                    row.day, row.name, tuple(hours.CallingTime(part.start, part.end) for part in row.windows)
                )
                for row in self.exceptions
            ),
        )


@strawberry.input(description="The most tries within any time of a given length.")
class CallCapInput:
    tries: int = strawberry.field(description="The most tries, 1 to 100.")
    window_seconds: int = strawberry.field(description="The length of the time in seconds, 1 to 2,592,000.")
    per: CapSubject = strawberry.field(default=CapSubject.ADDRESS, description="Whose tries are counted.")
    over: CapScope = strawberry.field(default=CapScope.CUSTOMER, description="On which lists they are counted.")

    def draft(self) -> records.CallCap:
        return records.CallCap(self.tries, self.window_seconds, self.per, self.over)


@strawberry.input(
    description="What happens after an attempt that reached nobody. An attempt matches a rule if it matches each of "
    "its lists; an empty list matches all."
)
class RetryRuleInput:
    states: list[AttemptState] = strawberry.field(
        default_factory=list,
        description="How the attempt ended: COMPLETED, EXPIRED or UNCONFIRMED.",
        metadata=at_most(len(retrying.JUDGED_STATES)),
    )
    dispositions: list[Disposition] = strawberry.field(
        default_factory=list,
        description="The reported result: any but ANSWERED and DO_NOT_CALL. An attempt without one matches only an "
        "empty list.",
        metadata=at_most(len(Disposition)),
    )
    codes: list[str] = strawberry.field(
        default_factory=list,
        description="The owner's own result, at most 50 codes. An attempt without one matches only an empty list.",
        metadata=at_most(retrying.CODES_MAX),
    )
    destinations: list[int] = strawberry.field(
        default_factory=list,
        description="The index of the destination that was tried, 0 to 4.",
        metadata=at_most(DESTINATIONS),
    )
    from_nth: int = strawberry.field(
        default=1,
        description="The rule counts from the nth matching attempt on since the target was created or last reset, 1 "
        "to 500.",
    )
    action: RetryAction = strawberry.field(description="What happens to the target.")
    wait_seconds: int | None = strawberry.field(
        default=UNSET,
        description="Seconds from the end of the attempt until the target can be claimed again, 0 to 2,592,000. Null: "
        "for RETRY as long as without the rule, for NEXT_DESTINATION none if that is another one. FINISH has no wait.",
    )
    jitter_percent: int = strawberry.field(
        default=0, description="The wait is made longer by chance, by at most this share of it in percent, 0 to 100."
    )

    def draft(self) -> retrying.RetryRule:
        return retrying.RetryRule(
            states=tuple(self.states),
            dispositions=tuple(self.dispositions),
            codes=tuple(self.codes),
            destinations=tuple(self.destinations),
            from_nth=self.from_nth,
            action=self.action,
            wait_seconds=given(self.wait_seconds),
            jitter_percent=self.jitter_percent,
        )


@strawberry.input(description="When an outdial stops by itself because calls fail.")
class BreakerInput:
    failure_percent: int = strawberry.field(
        description="It opens if at least this share of the calls failed, in percent, 1 to 100."
    )
    window_seconds: int = strawberry.field(description="Calls count that ended within so many seconds, 1 to 3,600.")
    min_calls: int = strawberry.field(description="It never opens on fewer calls, 1 to 100,000.")
    pause_seconds: int = strawberry.field(description="Seconds until a call is tried again, 1 to 86,400.")


@strawberry.input(description="How fast an outdial is called at most, by all dialers together.")
class PacingInput:
    max_open_attempts: int | None = strawberry.field(
        default=UNSET,
        description="The most attempts that are in progress at any time, 1 to 100,000. Null: no limit.",
    )
    claims_per_second: float | None = strawberry.field(
        default=UNSET,
        description="The most targets that are claimed within any second, 0.001 to 10,000. Of a fraction above 1 the "
        "whole number counts; 0.2 means one in five seconds. Null: no limit.",
    )
    breaker: BreakerInput | None = strawberry.field(default=UNSET, description="When it stops by itself. Null: never.")

    def draft(self) -> pacing.Pacing:
        breaker = given(self.breaker)
        return pacing.Pacing(
            max_open_attempts=given(self.max_open_attempts),
            claims_per_second=given(self.claims_per_second),
            breaker=None
            if breaker is None
            else pacing.Breaker(
                breaker.failure_percent, breaker.window_seconds, breaker.min_calls, breaker.pause_seconds
            ),
        )


@strawberry.input(
    description="How often targets are tried, how long to wait between tries, and how long a lease lasts. Fields "
    "that are left out keep their value. Null clears callingHours, pacing, startsAt and endsAt; the others keep their "
    "value."
)
class DialPolicyInput:
    max_try_counts: list[int] | None = strawberry.field(
        default=UNSET,
        description="Five numbers from 0 to 100, one per destination: the most tries. Default: 3 each.",
        metadata=at_most(DESTINATIONS),
    )
    retry_interval_seconds: int | None = strawberry.field(
        default=UNSET,
        description=(
            "Seconds from the end of an unsuccessful attempt until the target can be claimed again, 0 to 2,592,000. "
            "Default: 300."
        ),
    )
    lease_seconds: int | None = strawberry.field(
        default=UNSET,
        description=(
            "Seconds until an attempt expires if it is neither reported nor extended, 5 to 86,400. Default: 120."
        ),
    )
    on_unconfirmed: UnconfirmedAction | None = strawberry.field(
        default=UNSET,
        description="What happens to a target if its dialer disappears after it placed the call. Default: FINISH.",
    )
    calling_hours: CallingHoursInput | None = strawberry.field(
        default=UNSET,
        description="When targets may be called. Given as a whole; null means at any time, which is the default.",
    )
    caps: list[CallCapInput] | None = strawberry.field(
        default=UNSET,
        description="How often people are called at most, at most 5. An empty list takes all caps away. Default: none.",
        metadata=at_most(CAPS_MAX),
    )
    on_unknown_time_zone: UnknownTimeZoneAction | None = strawberry.field(
        default=UNSET,
        description="What happens to a destination whose time zone is not known, if the calling hours have none of "
        "their own. Default: SKIP.",
    )
    keep_order: bool | None = strawberry.field(
        default=UNSET,
        description="Whether a destination whose hours are closed holds up those after it. Default: false.",
    )
    retry_rules: list[RetryRuleInput] | None = strawberry.field(
        default=UNSET,
        description="What happens after attempts that reached nobody, at most 20: the first rule that matches decides. "
        "If there is none, the other fields decide. An empty list takes all rules away. Default: none.",
        metadata=at_most(retrying.RULES_MAX),
    )
    pacing: PacingInput | None = strawberry.field(
        default=UNSET,
        description="How fast it is called at most. Given as a whole; null means as fast as dialers claim, which is "
        "the default.",
    )
    starts_at: datetime | None = strawberry.field(
        default=UNSET, description="Nothing is claimed before. Null means that it has started, which is the default."
    )
    ends_at: datetime | None = strawberry.field(
        default=UNSET,
        description="Nothing is claimed from then on; what waits stays as it is. Later than startsAt. Null means that "
        "it does not end, which is the default.",
    )

    def draft(self) -> records.PolicyDraft:
        return records.PolicyDraft(
            max_try_counts=numbers(self.max_try_counts),
            retry_interval_seconds=given(self.retry_interval_seconds),
            lease_seconds=given(self.lease_seconds),
            on_unconfirmed=given(self.on_unconfirmed),
            calling_hours=_kept_or(self.calling_hours, CallingHoursInput.draft),
            caps=None if (caps := given(self.caps)) is None else tuple(cap.draft() for cap in caps),
            on_unknown_time_zone=given(self.on_unknown_time_zone),
            keep_order=given(self.keep_order),
            retry_rules=None if (rules := given(self.retry_rules)) is None else tuple(rule.draft() for rule in rules),
            pacing=_kept_or(self.pacing, PacingInput.draft),
            starts_at=_kept_or(self.starts_at, _same),
            ends_at=_kept_or(self.ends_at, _same),
        )


def _kept_or(value: I | None, draft: Callable[[I], D]) -> D | records.Kept | None:
    """The draft of a field that null clears."""
    if value is UNSET:
        return records.Kept.KEPT
    return None if value is None else draft(value)


def _same(value: D) -> D:
    return value


def _policy(policy: DialPolicyInput | None) -> records.PolicyDraft | None:
    return policy.draft() if policy else None


@strawberry.input(description="A new outdial.")
class CreateOutdialInput:
    name: str = strawberry.field(default="", description="Its name, at most 255 characters.")
    detail: str = strawberry.field(default="", description="What it is for, at most 4,096 characters.")
    data: str = strawberry.field(
        default="", description="Free text for the owner's use, at most 65,536 characters. Never interpreted."
    )
    campaign_id: strawberry.ID | None = strawberry.field(
        default=UNSET, description="The campaign that dials it. Null or the zero UUID means none."
    )
    dial_policy: DialPolicyInput | None = strawberry.field(
        default=UNSET, description="How it is dialed. Fields that are left out get their default."
    )
    time_zone: str | None = strawberry.field(
        default=UNSET,
        description="The IANA time zone of destinations whose own is not known, such as Europe/Berlin.",
    )
    idempotency_key: str | None = strawberry.field(
        default=UNSET,
        description="A key of your choice. A repeated call with the same key and input returns the first answer and "
        "creates nothing.",
    )

    def draft(self) -> records.OutdialDraft:
        return records.OutdialDraft(
            name=self.name,
            detail=self.detail,
            data=self.data,
            campaign_id=given(self.campaign_id),
            dial_policy=_policy(self.dial_policy),
            time_zone=given(self.time_zone),
        )


@strawberry.input(description="Changes to an outdial. Fields that are left out keep their value.")
class UpdateOutdialInput:
    id: strawberry.ID = strawberry.field(description="The outdial to change.")
    name: str | None = strawberry.field(default=UNSET, description="Its name, at most 255 characters. Not null.")
    detail: str | None = strawberry.field(
        default=UNSET, description="What it is for, at most 4,096 characters. Not null."
    )
    data: str | None = strawberry.field(
        default=UNSET, description="Free text for the owner's use, at most 65,536 characters. Not null."
    )
    campaign_id: strawberry.ID | None = strawberry.field(
        default=UNSET, description="The campaign that dials it. Null or the zero UUID removes the campaign."
    )
    state: OutdialState | None = strawberry.field(
        default=UNSET, description="PAUSED stops new claims, ACTIVE allows them again."
    )
    dial_policy: DialPolicyInput | None = strawberry.field(
        default=UNSET, description="How it is dialed from now on. Fields that are left out keep their value."
    )

    time_zone: str | None = strawberry.field(
        default=UNSET,
        description="The IANA time zone of destinations whose own is not known, such as Europe/Berlin. Null clears it.",
    )

    def changes(self) -> dict[str, Any]:
        changes = changed(self, "name", "detail", "data", "campaign_id", "state", "dial_policy", "time_zone")
        if "dial_policy" in changes:
            changes["dial_policy"] = _policy(changes["dial_policy"])
        return changes
