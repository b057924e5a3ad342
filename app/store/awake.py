"""What claims know of calling hours.

A claim compares instants and numbers alone. Which time zones are open, and until when, is worked out here, and again
only after that time or with another version of the policy. The statement compares both: if it was given something else,
it takes nothing, and the claim asks once more with what it has found.
"""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Hashable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from app import db, hours, rows, zones
from app.hours import CallingHours, UnknownTimeZoneAction
from app.zones import TimeZoneSource

OUTDIALS_MAX = 10_000
ASKED_MAX = 3
"""How often a claim is sent. A policy does not change more often within one."""
KNOWN_SECONDS = 30
"""So long a claim goes by the zones that it knows, if it misses that there are new ones."""
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)
_DAY = timedelta(days=1)

Reading = Callable[[], Awaitable[Sequence[db.Row]]]
"""Reads the rows of `outdial_zone`."""


@dataclass(frozen=True, slots=True)
class Known:
    """Who of an outdial may be called, between two instants."""

    version: int
    """Of the policy; 0 if nothing is known."""
    since: datetime = _NEVER
    until: datetime = _NEVER
    is_open: bool = False
    """Whether anybody may be called."""
    zones: Sequence[int] | None = None
    """The numbers of the open zones. None if the hours have a zone of their own, and so do not go by these."""
    groups: Sequence[int] = ()
    """The groups of targets in such zones."""
    allowed: Sequence[str] = ()
    """What allows a call, as permits say it: in each of `zones`, or else the only one if anybody may be called."""
    keeps_order: bool = False

    def holds(self, version: int, now: datetime) -> bool:
        return version == self.version and self.since <= now < self.until

    @property
    def among(self) -> Hashable:
        """Which targets a claim looks at, as far as zones decide it. None if they do not."""
        return None if self.zones is None else (tuple(self.zones), tuple(self.groups), self.keeps_order)

    @property
    def open_until(self) -> datetime:
        """Until when the statement may take targets: not at all if nobody may be called."""
        return self.until if self.is_open else _NEVER


NOTHING = Known(0)
_known: OrderedDict[str, Known] = OrderedDict()
POLICY = "policy_version, calling_hours, on_unknown_time_zone, keep_order, time_zone"
"""What `at` needs of an outdial."""


def of(outdial_id: str) -> Known:
    """What is known of an outdial. Without calling hours there is nothing to know."""
    return _known.get(outdial_id, NOTHING)


async def learn(outdial_id: str, given: Known, row: db.Row, read: Reading) -> bool:
    """Take in what a statement has found.

    Args:
        outdial_id: whose targets it was to take.
        given: what it was given.
        row: with `has_hours`, `now_at`, and the columns of POLICY; the hours themselves only if the given do not hold.
        read: reads the outdial's zones.

    Returns:
        Whether it took nothing because it was given something that does not hold, and somebody may be called.
    """
    if given.holds(row["policy_version"], row["now_at"]) or (not row["has_hours"] and given.zones is None):
        return False
    if not row["has_hours"]:
        _known.pop(outdial_id, None)
        return True
    return (await look(outdial_id, row, row["now_at"], read)).is_open


async def look(outdial_id: str, owner: db.Row, now: datetime, read: Reading) -> Known:
    """What holds at an instant. It is kept for the next claims.

    Args:
        outdial_id: an outdial with calling hours.
        owner: with the columns of POLICY.
        now: the instant.
        read: as in `learn`.
    """
    known = of(outdial_id)
    if known.holds(owner["policy_version"], now):
        return known
    found = _known[outdial_id] = await _at(owner, now, read)
    _known.move_to_end(outdial_id)
    if len(_known) > OUTDIALS_MAX:
        _known.popitem(last=False)
    return found


def closed(calling_hours: CallingHours, at: datetime) -> tuple[bool, datetime | None]:
    """Whether the hours of a whole outdial are closed at an instant, and when they open; None if that is not foreseen.

    If they go by the zones of destinations, they never are.
    """
    if calling_hours.time_zone is None:
        return False, None
    found = hours.standing(calling_hours, zones.rules(calling_hours.time_zone), at)
    return not found.is_open, None if found.is_open else found.until


async def _at(owner: db.Row, now: datetime, read: Reading) -> Known:
    calling_hours, version = rows.calling_hours(owner["calling_hours"]), owner["policy_version"]
    assert calling_hours is not None
    if calling_hours.time_zone is not None:
        found = hours.standing(calling_hours, zones.rules(calling_hours.time_zone), now, within=_DAY)
        until = found.until or now + _DAY
        if not found.is_open:
            return Known(version, now, until)
        text, same_until = _allowed(calling_hours, zones.Known(calling_hours.time_zone, TimeZoneSource.POLICY), now)
        return Known(version, now, min(until, same_until), is_open=True, allowed=[text])
    uses_outdial = owner["on_unknown_time_zone"] == UnknownTimeZoneAction.USE_OUTDIAL
    return _by_zone(
        calling_hours,
        await read(),
        now,
        default=owner["time_zone"] if uses_outdial else None,
        version=version,
        keeps_order=bool(owner["keep_order"]),
    )


def _by_zone(
    calling_hours: CallingHours,
    numbered: Sequence[db.Row],
    now: datetime,
    *,
    default: str | None,
    version: int,
    keeps_order: bool,
) -> Known:
    until, allowed = now + timedelta(seconds=KNOWN_SECONDS), dict[int, str]()
    for row in numbered:
        if row["kind"] == "ZONE":
            standing = of_zone(calling_hours, row["value"], default, now)
            until = min(until, standing.until or until)
            if standing.is_open:
                known = zones.known_of_text(row["value"], default, now)
                allowed[row["number"]], same_until = _allowed(calling_hours, known, now)
                until = min(until, same_until)
    groups = [row["number"] for row in numbered if row["kind"] == "GROUP" and has_any(row["value"], allowed)]
    allowed = dict(sorted(allowed.items()))
    return Known(
        version,
        now,
        until,
        is_open=bool(allowed),
        zones=list(allowed),
        groups=sorted(groups),
        allowed=list(allowed.values()),
        keeps_order=keeps_order,
    )


def _allowed(calling_hours: CallingHours, known: zones.Known, now: datetime) -> tuple[str, datetime]:
    """What allows a call in a zone that is open, and until when it is the same."""
    assert known.time_zone is not None
    found = hours.allowed(calling_hours, zones.rules(known.time_zone), now)
    assert found is not None
    return rows.allowed_text(known, found), found.until


def has_any(group: str, numbers: Collection[int]) -> bool:
    """Whether any zone of a group is among these."""
    return any(int(number) in numbers for number in group.split(",")) if group else bool(numbers)


GROUPS_MAX = 100
"""Of an outdial. Targets with other sets of zones are one more group, which is read while anybody is awake."""
MIXED = GROUPS_MAX + 1


def of_zone(calling_hours: CallingHours, said: str, default: str | None, now: datetime) -> hours.Standing:
    """Whether somebody may be called, and until when that holds at least: a day or less.

    Args:
        calling_hours: by the zones of destinations.
        said: what is known of their zone, as `zones.said_of` has it.
        default: the zone that counts if that is none; None if they are not called then.
        now: the instant.
    """
    name = zones.of_text(said, now) or default
    same_until = zones.same_until(said, now, now + _DAY)
    if name is None:
        return hours.Standing(is_open=False, until=same_until)
    found = hours.standing(calling_hours, zones.rules(name), now, within=_DAY)
    return hours.Standing(found.is_open, same_until if found.until is None else min(found.until, same_until))


def opening(
    calling_hours: CallingHours, said: str, default: str | None, now: datetime, *, within: timedelta
) -> datetime | None:
    """The first moment from now on at which somebody may be called, as `of_zone` has it; None if that is not within.

    Args:
        calling_hours: as for `of_zone`.
        said: likewise.
        default: likewise.
        now: the instant.
        within: how far it is searched.
    """
    changes = zones.changes(said, now, within)
    for since, until in pairwise([now, *changes, now + within]):
        name = zones.of_text(said, since) or default
        if name is None:
            continue
        found = hours.standing(calling_hours, zones.rules(name), since, within=until - since)
        if found.is_open:
            return since
        if found.until is not None:
            return found.until
    return None


# ---------------------------------------------------------------- news


def topic(outdial_id: str) -> str:
    """What to wake when an outdial has a new zone."""
    return f"{_PREFIX}{outdial_id}"


def _forget(topics: Collection[str]) -> None:
    if db.EVERY_TOPIC in topics:
        _known.clear()
    for said in topics:
        if said.startswith(_PREFIX):
            _known.pop(said.removeprefix(_PREFIX), None)


_PREFIX = "~"
db.on_wake(_forget)
