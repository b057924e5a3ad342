"""Time zones: their names, and which one a destination has. Pure.

The rules are those of the package `tzdata`, which is pinned, and not those of the machine, which differ from server to
server.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from functools import cache, lru_cache
from importlib import resources
from zoneinfo import ZoneInfo

import phonenumbers

from app.addresses import DestinationType
from app.hours import change_of_clocks

NUMBERS_MAX = 10_000
"""How many phone numbers are remembered with their zones."""
CHANGES_MAX = 1_000
"""How many sets of zones are remembered with the changes of their clocks."""
_TELEPHONE = frozenset({DestinationType.TEL, DestinationType.WHATSAPP})
_NO_PLACE = frozenset({"Factory"})
"""Names in the database that are no zone of anybody."""


class TimeZoneSource(StrEnum):
    GIVEN = "GIVEN"
    POLICY = "POLICY"
    PHONE_NUMBER = "PHONE_NUMBER"
    OUTDIAL_DEFAULT = "OUTDIAL_DEFAULT"
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a destination's time zone."""

    time_zone: str | None
    source: TimeZoneSource


def named(text: str) -> str | None:
    """The name of a zone as its database spells it; None if there is no such zone. Case does not count."""
    return _names().get(text.strip().casefold())


@cache
def rules(name: str) -> ZoneInfo:
    """The rules of a zone.

    Args:
        name: from `named`.
    """
    with resources.files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)


def known(
    kind: DestinationType,
    address: str,
    given: str | None,
    default: str | None,
    at: datetime,
    *,
    policy: str | None = None,
) -> Known:
    """The time zone of a destination.

    Args:
        kind: the type of its address.
        address: in canonical form.
        given: the zone of its target, as the owner gave it.
        default: the zone of its outdial, if it counts for what is not known.
        at: the instant at which it is asked. The zones of a number may agree in winter and not in summer.
        policy: the zone of the calling hours, if they have one.
    """
    if policy is not None:
        return Known(policy, TimeZoneSource.POLICY)
    if given is not None:
        return Known(given, TimeZoneSource.GIVEN)
    return _of_names(of_number(address) if kind in _TELEPHONE else (), default, at)


_UNKNOWN = Known(None, TimeZoneSource.UNKNOWN)


def said_of(kind: DestinationType, address: str, given: str | None) -> str:
    """All that is known of a destination's zone whenever it is asked, as text: `of_text` says what it means."""
    if given is not None:
        return f"{_GIVEN}{given}"
    return " ".join(of_number(address)) if kind in _TELEPHONE else ""


_GIVEN = "="


def of_text(text: str, at: datetime) -> str | None:
    """The zone at an instant, of a text of `said_of`."""
    return known_of_text(text, None, at).time_zone


def known_of_text(text: str, default: str | None, at: datetime) -> Known:
    """Likewise with its source. `default` is that of `known`."""
    if text.startswith(_GIVEN):
        return Known(text[1:], TimeZoneSource.GIVEN)
    return _of_names(text.split(), default, at)


def _of_names(names: Sequence[str], default: str | None, at: datetime) -> Known:
    found = agreed(names, at)
    if found is not None:
        return Known(found, TimeZoneSource.PHONE_NUMBER)
    if default is not None:
        return Known(default, TimeZoneSource.OUTDIAL_DEFAULT)
    return _UNKNOWN


def same_until(text: str, at: datetime, end: datetime) -> datetime:
    """The first instant at which the answer of `of_text` may be another; at most `end`, a day after `at` or less."""
    names = () if text.startswith(_GIVEN) else text.split()
    if len(names) < 2:
        return end
    return min(change_of_clocks(rules(name), at, end) for name in names)


def changes(text: str, at: datetime, within: timedelta) -> list[datetime]:
    """The instants between two others at which the answer of `of_text` may be another, in order."""
    end = at + within
    first = datetime.combine(at.astimezone(UTC), time.min, UTC)
    return [change for change in _changes_of_clocks(text, first, within.days + 2) if at < change < end]


@lru_cache(maxsize=CHANGES_MAX)
def _changes_of_clocks(text: str, first: datetime, days: int) -> tuple[datetime, ...]:
    """From the beginning of a day on. They are remembered: a number may be in fifty zones."""
    names = () if text.startswith(_GIVEN) else text.split()
    if len(names) < 2:
        return ()
    found = set()
    for name in names:
        begin = first
        for _ in range(days):
            end = begin + timedelta(days=1)
            if begin.astimezone(rules(name)).utcoffset() != end.astimezone(rules(name)).utcoffset():
                found.add(change_of_clocks(rules(name), begin, end))
            begin = end
    return tuple(sorted(found))


def agreed(names: Sequence[str], at: datetime) -> str | None:
    """The first of these zones if all have the same time at that instant; else None."""
    if not names:
        return None
    first = at.astimezone(rules(names[0])).utcoffset()
    others = (at.astimezone(rules(name)).utcoffset() for name in names[1:])
    return names[0] if all(offset == first for offset in others) else None


@lru_cache(maxsize=NUMBERS_MAX)
def of_number(number: str) -> tuple[str, ...]:
    """The zones in which the owner of a phone number may be; empty if nothing is known.

    The metadata of phonenumbers names zones by country and area, and some of another country that has the same time
    now and then: Bucharest for Kaliningrad and Libya, the Canary Islands for Morocco. Such a name stands for all zones
    of the number's own country.

    Args:
        number: in E.164.

    Returns:
        Names; of the country's largest part first.
    """
    # loaded with the first number, and not by the processes that read files
    from phonenumbers import timezone
    from phonenumbers.tzdata import TIMEZONE_DATA

    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return ()
    named_zones = timezone.time_zones_for_number(parsed)
    if named_zones == (timezone.UNKNOWN_TIMEZONE,):
        # The number is in no range that is assigned. What holds for each number of its country still holds.
        named_zones = TIMEZONE_DATA.get(str(parsed.country_code), ())
    # in place of a name of another country, all of its own
    own = _own(parsed.country_code or 0)
    if all(name in own for name in named_zones):
        return tuple(name for name in own if name in named_zones)
    return own


@cache
def _own(country_code: int) -> tuple[str, ...]:
    """The zones of the countries with this code, those of its main country first."""
    by_country = _by_country()
    regions = phonenumbers.region_codes_for_country_code(country_code)
    return tuple(dict.fromkeys(name for region in regions for name in by_country.get(region, ())))


# ---------------------------------------------------------------- the database of zones


@cache
def _names() -> dict[str, str]:
    text = resources.files("tzdata").joinpath("zones").read_text(encoding="utf-8")
    return {name.casefold(): name for name in text.split() if name not in _NO_PLACE}


@cache
def _by_country() -> dict[str, list[str]]:
    """The zones of each country by its ISO 3166 code."""
    text = resources.files("tzdata").joinpath("zoneinfo", "zone.tab").read_text(encoding="utf-8")
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            country, _, name, *_ = line.split("\t")
            found.setdefault(country, []).append(name)
    return found
