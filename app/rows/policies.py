"""Dial policies from columns of their outdials, and back."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import date, time
from functools import lru_cache
from typing import Any

import orjson

from app.frozen import maker
from app.hours import CallingException, CallingHours, CallingTime, CallingWindow, UnknownTimeZoneAction, Weekday
from app.lifecycle import AttemptState, Disposition, UnconfirmedAction
from app.pacing import Breaker, Pacing
from app.records import (
    CallCap,
    CapScope,
    CapSubject,
    DialPolicy,
)
from app.retrying import RetryAction, RetryRule

_dial_policy = maker(DialPolicy)
# a tenth of the time of a call of the enum
_UNCONFIRMED: Mapping[str, UnconfirmedAction] = {member.value: member for member in UnconfirmedAction}
_UNKNOWN_TIME_ZONE: Mapping[str, UnknownTimeZoneAction] = {member.value: member for member in UnknownTimeZoneAction}


def reported_policy(row: Mapping[str, Any]) -> DialPolicy:
    """What reports need of a policy: without that by which only claims go."""
    return DialPolicy(
        max_try_counts=tuple(orjson.loads(row["max_try_counts"])),
        retry_interval_seconds=row["retry_interval_seconds"],
        lease_seconds=row["lease_seconds"],
        on_unconfirmed=_UNCONFIRMED[row["on_unconfirmed"]],
        retry_rules=retry_rules(row["retry_rules"]),
    )


def dial_policy(row: Mapping[str, Any]) -> DialPolicy:
    return _dial_policy(
        max_try_counts=tuple(orjson.loads(row["max_try_counts"])),
        retry_interval_seconds=row["retry_interval_seconds"],
        lease_seconds=row["lease_seconds"],
        on_unconfirmed=_UNCONFIRMED[row["on_unconfirmed"]],
        calling_hours=calling_hours(row["calling_hours"]),
        on_unknown_time_zone=_UNKNOWN_TIME_ZONE[row["on_unknown_time_zone"]],
        keep_order=bool(row["keep_order"]),
        version=row["policy_version"],
        caps=caps(row["caps"]),
        retry_rules=retry_rules(row["retry_rules"]),
        pacing=pacing(row["pacing"]),
        starts_at=row["starts_at"],
        ends_at=row["ends_at"],
    )


@lru_cache(maxsize=128)
def caps(text: str) -> tuple[CallCap, ...]:
    return tuple(
        CallCap(cap["tries"], cap["window_seconds"], CapSubject(cap["per"]), CapScope(cap["over"]))
        for cap in orjson.loads(text)
    )


@lru_cache(maxsize=128)
def retry_rules(text: str) -> tuple[RetryRule, ...]:
    return tuple(
        RetryRule(
            states=tuple(map(AttemptState, rule["states"])),
            dispositions=tuple(map(Disposition, rule["dispositions"])),
            codes=tuple(rule["codes"]),
            destinations=tuple(rule["destinations"]),
            from_nth=rule["from_nth"],
            action=RetryAction(rule["action"]),
            wait_seconds=rule["wait_seconds"],
            jitter_percent=rule["jitter_percent"],
        )
        for rule in orjson.loads(text)
    )


def rule_value(rule: RetryRule) -> dict[str, Any]:
    """A retry rule as it is stored."""
    return asdict(rule)


@lru_cache(maxsize=128)
def pacing(text: str | None) -> Pacing | None:
    if text is None:
        return None
    stored = orjson.loads(text)
    breaker = stored["breaker"]
    return Pacing(
        max_open_attempts=stored["max_open_attempts"],
        claims_per_second=stored["claims_per_second"],
        breaker=None if breaker is None else Breaker(**breaker),
    )


def pacing_value(value: Pacing | None) -> dict[str, Any] | None:
    """A pace as it is stored."""
    return None if value is None else asdict(value)


@lru_cache(maxsize=128)
def calling_hours(text: str | None) -> CallingHours | None:
    """Hours from the value of `hours_value`. They keep what they have worked out, so the same text gives the same."""
    if text is None:
        return None
    stored = orjson.loads(text)
    return CallingHours(
        time_zone=stored["time_zone"],
        windows=tuple(
            CallingWindow(Weekday(day), time.fromisoformat(start), time.fromisoformat(end))
            for day, start, end in stored["windows"]
        ),
        exceptions=tuple(
            CallingException(
                date.fromisoformat(day),
                name,
                tuple(CallingTime(time.fromisoformat(start), time.fromisoformat(end)) for start, end in windows),
            )
            for day, name, windows in stored["exceptions"]
        ),
    )


def hours_value(hours: CallingHours | None) -> dict[str, Any] | None:
    """Hours as they are stored."""
    if hours is None:
        return None
    return {
        "time_zone": hours.time_zone,
        "windows": [
            [window.weekday.value, minute_text(window.start), minute_text(window.end)] for window in hours.windows
        ],
        "exceptions": [
            [
                exception.day.isoformat(),
                exception.name,
                [[minute_text(window.start), minute_text(window.end)] for window in exception.windows],
            ]
            for exception in hours.exceptions
        ],
    }


def minute_text(at: time) -> str:
    return at.isoformat("minutes")
