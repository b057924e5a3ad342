"""Lists whose targets are held back by rules: made by rows, in the tables of the service.

The outdial, its first targets and so the numbers of their time zones are made by the service. All other targets are
copies of these with ids, names and addresses of their own. Nothing in the data depends on chance but the ids.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain, count
from typing import Any
from zoneinfo import ZoneInfo

from app import clock, db, ids, targets
from app.auth import Viewer
from app.db import Transaction
from app.hours import CallingHours, CallingWindow, Weekday
from app.records import CallCap, CapScope, CapSubject
from benchmarks.library import destination, filling
from tests.support import factories

OPEN_HOURS = 3
"""Before now and after it, in Berlin: so long the benchmark may take until Asia or America is open."""
HISTORY = timedelta(hours=5)
"""So long ago each target was called, if it was."""
SUPPRESSED_EACH = 50
"""The first address of one target in so many is on the do-not-call list."""
PRIORITIES = 3
TARGETS_MAX = 1_000_000
"""Of a list."""
_HOUR = timedelta(hours=1)
_STEP = timedelta(milliseconds=7)
_DAY_SECONDS = 86_400
_numbers = count(1)


@dataclass(frozen=True, slots=True)
class Place:
    """Where telephone numbers of one time zone come from."""

    prefix: str
    digits: int
    first: int = 0

    def number(self, place: int) -> str:
        return f"{self.prefix}{self.first + place:0{self.digits}d}"


AWAKE = (Place("+4915", 9), Place("+336", 8), Place("+4850", 7))
"""Germany, France, Poland: their clocks are those of Berlin."""
ASLEEP = (Place("+8190", 8), Place("+1212", 7, 2_000_000), Place("+9198", 8))
"""Japan, New York, India: there it is three hours later or earlier at least, in summer and in winter."""
OFFICE = Place("+4930", 8)
OTHERS = Place("+4917", 9)
"""Who are on the do-not-call list and on no other."""

CAPS = (
    CallCap(3, _DAY_SECONDS, CapSubject.ADDRESS, CapScope.CUSTOMER),
    CallCap(10, 30 * _DAY_SECONDS, CapSubject.TARGET, CapScope.OUTDIAL),
)
POLICY: dict[str, Any] = {"max_try_counts": (100,) * 5, "retry_interval_seconds": 0}


def hours() -> CallingHours:
    """By each destination's own zone: open now in Europe alone."""
    now = datetime.now(ZoneInfo("Europe/Berlin")).replace(second=0, microsecond=0, tzinfo=None)
    start, end = (now - OPEN_HOURS * _HOUR).time(), (now + OPEN_HOURS * _HOUR).time()
    return CallingHours(None, tuple(CallingWindow(day, start, end) for day in Weekday), ())


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """A list."""

    viewer: Viewer
    outdial_id: str
    number: int
    """Of the list: no other has its addresses."""
    zones: Mapping[Place, tuple[int, int]]
    """The columns `zones` and `zone_group` of targets there."""


@dataclass(frozen=True, slots=True)
class Part:
    """Targets of a list that have something in common."""

    places: Sequence[Place]
    """In turns."""
    targets: int
    first: int = 0
    """The number of the first one in the list."""
    calls: int = 1
    """Of each target, HISTORY ago."""
    wakes_at: datetime | None = None


async def begin(viewer: Viewer, **policy: Any) -> Held:
    """An outdial with the numbers of its time zones, from the service."""
    outdial = await factories.make_outdial(viewer, policy={**POLICY, **policy})
    zones = {}
    for place in (*AWAKE, *ASLEEP):
        made = await factories.make_target(viewer, outdial.id, place.number(0), OFFICE.number(0))
        found = await db.fetch(
            "SELECT zones, zone_group FROM target WHERE customer_id = $1 AND id = $2", viewer.customer_id, made.id
        )
        zones[place] = found[0]["zones"], found[0]["zone_group"]
        await targets.delete(viewer, made.id)
    return Held(viewer, outdial.id, next(_numbers), zones)


async def fill(url: str, lists: Mapping[Held, Sequence[Part]], suppressions: Mapping[str, int]) -> None:
    """Put targets into lists, and addresses on the do-not-call lists of customers. PostgreSQL counts no table then.

    Args:
        url: of the database that the use-cases are connected to.
        lists: with their parts.
        suppressions: how many, by customer. The first address of one target in SUPPRESSED_EACH is among them.
    """
    now = clock.now()
    async with filling(url, is_counted=False) as write:
        for held, parts in lists.items():
            for part in parts:
                made = [(ids.new(), [ids.new() for _ in range(part.calls)]) for _ in range(part.targets)]
                await write("target", _TARGET, _targets(held, part, made, now))
                await write("attempt", _ATTEMPT, _attempts(held, part, made, now))
        for customer_id, size in suppressions.items():
            barred = [
                _place(part, number).number(_place_in(held, number))
                for held, parts in lists.items()
                if held.viewer.customer_id == customer_id
                for part in parts
                for number in range(part.first, part.first + part.targets, SUPPRESSED_EACH)
            ]
            assert len(barred) <= size, "there are more targets than suppressions"
            others = (OTHERS.number(number) for number in range(size - len(barred)))
            await write("suppression", _SUPPRESSION, _suppressions(customer_id, chain(barred, others), now))
    for held, parts in lists.items():
        await db.transaction(
            _count, held, sum(one.targets for one in parts), sum(one.targets * one.calls for one in parts)
        )
    for customer_id in suppressions:
        await db.transaction(_note, customer_id)


async def _count(tx: Transaction, held: Held, targets: int, calls: int) -> None:
    await tx.fetch(
        "UPDATE outdial_counter SET idle = idle + $3, attempts = attempts + $4"
        " WHERE customer_id = $1 AND outdial_id = $2 AND slot = 0",
        *(held.viewer.customer_id, held.outdial_id, targets, calls),
    )


async def _note(tx: Transaction, customer_id: str) -> None:
    await tx.fetch("UPDATE customer SET suppressions_version = 1 WHERE customer_id = $1", customer_id)


# ---------------------------------------------------------------- rows

_TARGET = (
    *("customer_id", "id", "outdial_id", "key", "name", "detail", "data", "status", "priority", "rank"),
    *("destination_0", "destination_1", "try_count_0", "zones", "zone_group", "next_try_at", "wakes_at"),
    *("last_attempt_id", "last_index", "version", "tm_create", "tm_update"),
)
_ATTEMPT = (
    *("customer_id", "id", "outdial_id", "target_id", "destination_index", "destination", "try_number", "state"),
    *("disposition", "detail", "dialer", "call_id", "lease_seconds", "claimed_at", "dialed_at", "ended_at"),
)
_SUPPRESSION = ("customer_id", "id", "type", "space", "address", "reason", "source", "tm_create")

Made = Sequence[tuple[str, Sequence[str]]]
"""The id of each target, with those of its attempts."""


def _place(part: Part, number: int) -> Place:
    return part.places[number % len(part.places)]


def _place_in(held: Held, number: int) -> int:
    return held.number * TARGETS_MAX + number


def _targets(held: Held, part: Part, made: Made, now: datetime) -> Iterator[tuple[Any, ...]]:
    called = now - HISTORY
    created = called - _HOUR
    for number, (target_id, attempt_ids) in enumerate(made, part.first):
        place, calls = _place(part, number), len(attempt_ids)
        yield (
            *(held.viewer.customer_id, target_id, held.outdial_id, f"key-{number}", f"Person {number}"),
            *(f"Detail of person {number}", '{"contract": "A-17"}', "IDLE"),
            *(number % PRIORITIES, number % PRIORITIES),
            destination(place.number(_place_in(held, number)), "mobile"),
            destination(OFFICE.number(_place_in(held, number)), "office"),
            *(calls, *held.zones[place], called + number * _STEP, part.wakes_at),
            *(attempt_ids[-1] if calls else None, 0 if calls else None, 1 + 3 * calls, created, called),
        )


def _attempts(held: Held, part: Part, made: Made, now: datetime) -> Iterator[tuple[Any, ...]]:
    for number, (target_id, attempt_ids) in enumerate(made, part.first):
        address = destination(_place(part, number).number(_place_in(held, number)), "mobile")
        for call, attempt_id in enumerate(attempt_ids, 1):
            claimed = now - HISTORY + call * _STEP
            yield (
                *(held.viewer.customer_id, attempt_id, held.outdial_id, target_id, 0, address, call, "COMPLETED"),
                *("NO_ANSWER", "", "dialer-1", attempt_id, 120, claimed, claimed, claimed),
            )


def _suppressions(customer_id: str, addresses: Iterable[str], now: datetime) -> Iterator[tuple[Any, ...]]:
    for address in addresses:
        yield customer_id, ids.new(), "TEL", "TEL", address, "Asked us to stop", "IMPORT", now
