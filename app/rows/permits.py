"""Permits as the claim stores them, and back. Pure.

A permit is JSON: `version` of the policy; of calling hours, `zone` (name, source, offset from UTC in seconds) and
`window` (the day on which it began, from, to, and the name of the exception if it is one's); without hours, the zones
`given` to the target and `default` to the outdial, if they have one; and `caps`, each with the tries that it had
counted. What can change later is stored. What follows from the attempt itself is worked out when it is read. It has no
address.
"""

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from typing import Any

import orjson

from app import zones
from app.hours import Allowed
from app.records import CapScope, CapSubject, Destination, Permit, PermitCap, PermittedAttempt, PermitWindow
from app.rows.policies import minute_text
from app.rows.stored import attempt, destination
from app.zones import Known, TimeZoneSource

GIVEN, DEFAULT, CAPS, VERSION = "given", "default", "caps", "version"
"""What the claim's statement itself adds."""


def allowed_text(known: Known, found: Allowed) -> str:
    """What calling hours add to a permit: members of a JSON object, each after a comma."""
    window = [found.day.isoformat(), minute_text(found.window.start), minute_text(found.window.end)]
    if found.exception is not None:
        window.append(found.exception)
    zone = [known.time_zone, known.source.value, int(found.offset.total_seconds())]
    return "," + orjson.dumps({"zone": zone, "window": window}).decode()[1:-1]


def permit(row: Mapping[str, Any]) -> Permit | None:
    """Of an attempt's columns `permit`, `claimed_at` and `destination`; None if it has none, being older."""
    if row["permit"] is None:
        return None
    dialed = destination(row["destination"])
    assert dialed is not None
    return _permit(orjson.loads(row["permit"]), row["claimed_at"], dialed)


def permitted_attempt(row: Mapping[str, Any]) -> PermittedAttempt:
    """Of all columns of an attempt."""
    made = attempt(row)
    values = {name: getattr(made, name) for name in made.__dataclass_fields__}
    stored = row["permit"]
    return PermittedAttempt(
        **values, permit=None if stored is None else _permit(orjson.loads(stored), made.claimed_at, made.destination)
    )


def _permit(stored: Mapping[str, Any], at: datetime, dialed: Destination) -> Permit:
    known, offset = _zone(stored, at, dialed)
    return Permit(
        at=at,
        policy_version=stored[VERSION],
        time_zone=known.time_zone,
        time_zone_source=known.source,
        offset=offset,
        window=_window(*stored["window"]) if "window" in stored else None,
        caps=[_cap(*each) for each in stored.get(CAPS, ())],
    )


def _zone(stored: Mapping[str, Any], at: datetime, dialed: Destination) -> tuple[Known, timedelta | None]:
    if "zone" in stored:
        name, source, seconds = stored["zone"]
        return Known(name, TimeZoneSource(source)), timedelta(seconds=seconds)
    known = zones.known(dialed.type, dialed.target, stored.get(GIVEN), stored.get(DEFAULT), at)
    return known, None if known.time_zone is None else at.astimezone(zones.rules(known.time_zone)).utcoffset()


def _window(day: str, start: str, end: str, exception: str | None = None) -> PermitWindow:
    return PermitWindow(date.fromisoformat(day), time.fromisoformat(start), time.fromisoformat(end), exception)


def _cap(tries: int, window_seconds: int, per: str, over: str, used: int) -> PermitCap:
    return PermitCap(tries, window_seconds, CapSubject(per), CapScope(over), used)
