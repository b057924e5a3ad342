"""Why a call was allowed: what an attempt says of the moment at which it was claimed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone

from app.records.choices import CapScope, CapSubject
from app.records.stored import Attempt
from app.zones import TimeZoneSource


@dataclass(frozen=True, slots=True)
class PermitWindow:
    """The calling hours within which the call was."""

    day: date
    """In local time, the day on which it began."""
    start: time
    end: time
    exception: str | None
    """The name of the exception whose window it is; None for one of a weekday."""


@dataclass(frozen=True, slots=True)
class PermitCap:
    """A cap with the tries that it had counted before this one."""

    tries: int
    window_seconds: int
    per: CapSubject
    over: CapScope
    used: int


@dataclass(frozen=True, slots=True)
class Permit:
    at: datetime
    policy_version: int
    time_zone: str | None
    time_zone_source: TimeZoneSource
    offset: timedelta | None
    """Of local time from UTC; None if the zone is not known."""
    window: PermitWindow | None
    """None if there were no calling hours."""
    caps: Sequence[PermitCap]

    @property
    def local_time(self) -> str | None:
        """What clocks there showed, to the second, with the offset."""
        return None if self.offset is None else self.at.astimezone(timezone(self.offset)).isoformat(timespec="seconds")


@dataclass(frozen=True, slots=True)
class PermittedAttempt(Attempt):
    """An attempt with why its call was allowed, for files."""

    permit: Permit | None
