"""Calling hours by the zones of destinations, for those who ask why and when: by the same functions as the claim."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from app import db, store, zones
from app.auth import Viewer
from app.blocks import Asleep
from app.destinations import ZONE_BITS
from app.records import Outdial

LOOK_AHEAD = timedelta(days=30)
"""How far the next opening is searched."""
_SORTING = "SORTING"
_NOT_SORTED = Asleep(is_known=True, until=None, is_sorted=False)


@dataclass(slots=True)
class Clocks:
    """The zones of an outdial's targets."""

    outdial: Outdial
    said: Mapping[int, str]
    """What is known of each zone, by its number."""
    groups: Mapping[int, str]
    is_sorting: bool = False
    """Whether targets are left that have no zones yet: no claim finds these."""
    _asleep: dict[tuple[int, datetime], Asleep | None] = field(default_factory=dict)

    def asleep(self, number: int, at: datetime) -> Asleep | None:
        """Whether the hours of a zone are closed at an instant; None if they are open."""
        key = number, at
        if key not in self._asleep:
            self._asleep[key] = self._look(self.said[number], at)
        return self._asleep[key]

    def _look(self, said: str, at: datetime) -> Asleep | None:
        hours, default = self.outdial.dial_policy.calling_hours, self.outdial.default_time_zone
        assert hours is not None
        if store.of_zone(hours, said, default, at).is_open:
            return None
        is_known = default is not None or zones.of_text(said, at) is not None
        return Asleep(is_known, store.opening(hours, said, default, at, within=LOOK_AHEAD))

    def of_target(self, packed: int, group: int, index: int, at: datetime) -> Asleep | None:
        """Of a destination, by the target's columns `zones` and `zone_group`."""
        if group == 0:
            return _NOT_SORTED
        return self.asleep(packed >> (ZONE_BITS * index) & ((1 << ZONE_BITS) - 1), at)

    def numbers(self, at: datetime) -> tuple[list[int], list[int]]:
        """The zones that are open at an instant, and those that are not known."""
        asleep = {number: self.asleep(number, at) for number in self.said}
        unknown = [number for number, found in asleep.items() if found is not None and not found.is_known]
        return [number for number, found in asleep.items() if found is None], unknown

    def opens(self, group: int, at: datetime) -> datetime | None:
        """The first moment from an instant on at which a zone of a group is open; None if it is not foreseen."""
        value = self.groups[group]
        numbers = map(int, value.split(",")) if value else self.said
        found = [self.asleep(number, at) for number in numbers]
        if None in found:
            return at
        return min((one.until for one in found if one is not None and one.until is not None), default=None)


async def clocks(viewer: Viewer, outdials: Collection[Outdial]) -> dict[str, Clocks]:
    """The clocks of those outdials whose hours go by the zones of destinations."""
    by_zone = {outdial.id: outdial for outdial in outdials if outdial.dial_policy.sorts_by_zone}
    if not by_zone:
        return {}
    said: dict[str, dict[int, str]] = {outdial_id: {} for outdial_id in by_zone}
    groups: dict[str, dict[int, str]] = {outdial_id: {} for outdial_id in by_zone}
    sorting = set()
    for row in await db.fetch(
        f"""
        SELECT outdial_id, kind, number, value FROM outdial_zone
        WHERE customer_id = $1 AND outdial_id {db.any_of("$2")}
        UNION ALL SELECT id, '{_SORTING}', 0, '' FROM outdial
        WHERE customer_id = $1 AND id {db.any_of("$2")} AND sorted_to IS NOT NULL
        """,
        viewer.customer_id,
        list(by_zone),
    ):
        if row["kind"] == _SORTING:
            sorting.add(row["outdial_id"])
        else:
            (said if row["kind"] == "ZONE" else groups)[row["outdial_id"]][row["number"]] = row["value"]
    return {one: Clocks(by_zone[one], said[one], groups[one], one in sorting) for one in by_zone}
