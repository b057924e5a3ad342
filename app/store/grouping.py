"""Sorts an outdial's targets by the time zones of their destinations, so that a claim reads none that sleeps.

Each zone of an outdial has a number, and a target's column `zones` has the number of each destination's zone: by it a
claim judges each destination. All targets with the same set of zones are one group: by its number in `zone_group` a
claim finds those that may be awake. Neither changes when somebody wakes up or a policy is changed.

Only outdials whose calling hours go by each destination's own zone are sorted. Their new and changed targets are sorted
in the transaction that stores them; all others when such hours are set, in steps.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from app import db, tables, zones
from app.db import Transaction
from app.destinations import ZONE_BITS
from app.lifecycle import DESTINATIONS
from app.listing import Parameters
from app.records import Target
from app.store import awake
from app.store.awake import GROUPS_MAX, MIXED
from app.store.updating import updating

_SORTED = tables.TARGET_ROW.only("zones", "zone_group")


_ANY = ""
"""The value of the group that all others share."""


@dataclass(slots=True)
class Numbers:
    """The numbers of an outdial's zones and groups."""

    zones: dict[str, int]
    groups: dict[str, int]

    def add(self, texts: Iterable[str]) -> list[tuple[str, int, str]]:
        """Number what has no number yet. Returns new rows."""
        found = []
        for text in texts:
            if text not in self.zones:
                self.zones[text] = len(self.zones) + 1
                found.append(("ZONE", self.zones[text], text))
        return found

    def add_groups(self, sets: Iterable[str]) -> list[tuple[str, int, str]]:
        """Likewise."""
        found = []
        for text in sets:
            if text in self.groups:
                continue
            if len(self.groups) < GROUPS_MAX:
                self.groups[text] = len(self.groups) + 1
                found.append(("GROUP", self.groups[text], text))
            elif _ANY not in self.groups:
                self.groups[_ANY] = MIXED
                found.append(("GROUP", MIXED, _ANY))
        return found


async def sort(tx: Transaction, outdial_id: str, targets: Sequence[Target]) -> None:
    """Write the zones and the group of targets of an outdial."""
    if not targets:
        return
    customer_id = targets[0].customer_id
    said = [_said(target) for target in targets]
    numbers = await _read(tx, customer_id, outdial_id)
    has_all = all(text is None or text in numbers.zones for texts in said for text in texts)
    if not has_all or (
        _ANY not in numbers.groups and any(_set(texts, numbers) not in numbers.groups for texts in said)
    ):
        numbers = await _number(tx, customer_id, outdial_id, said)
    packed = [_packed(texts, numbers) for texts in said]
    groups = [numbers.groups.get(_set(texts, numbers), MIXED) for texts in said]
    parameter = Parameters([customer_id])
    values: dict[str, Sequence[Any]] = {"id": [target.id for target in targets], "zones": packed, "zone_group": groups}
    await tx.send([updating("UPDATE target", values, _SORTED, parameter)], parameter.values)


async def sort_if_needed(tx: Transaction, targets: Sequence[Target]) -> None:
    """Sort targets whose zones have changed. In outdials without such hours they count as not sorted."""
    by_outdial: dict[str, list[Target]] = {}
    for target in targets:
        by_outdial.setdefault(target.outdial_id, []).append(target)
    customer_id = targets[0].customer_id
    found = await tx.fetch(
        f"""
        SELECT id FROM outdial WHERE customer_id = $1 AND id {db.any_of("$2")}
        AND calling_hours IS NOT NULL AND calling_hours ->> 'time_zone' IS NULL
        """,
        customer_id,
        list(by_outdial),
    )
    sorted_ids = {row["id"] for row in found}
    for outdial_id, those in by_outdial.items():
        if outdial_id in sorted_ids:
            await sort(tx, outdial_id, those)
    left = [target.id for target in targets if target.outdial_id not in sorted_ids]
    if left:
        await tx.fetch(
            f"UPDATE target SET zones = 0, zone_group = 0 WHERE customer_id = $1 AND id {db.any_of('$2')}"
            " AND zone_group <> 0",
            customer_id,
            left,
        )


def _said(target: Target) -> tuple[str | None, ...]:
    return tuple(
        None if place is None else zones.said_of(place.type, place.target, target.time_zone)
        for place in target.destinations
    )


def _set(texts: Sequence[str | None], numbers: Numbers) -> str:
    """A group's value: the numbers of the zones, each once."""
    return ",".join(map(str, sorted({numbers.zones.get(text, 0) for text in texts if text is not None})))


def _packed(texts: Sequence[str | None], numbers: Numbers) -> int:
    return sum(
        numbers.zones[text] << (ZONE_BITS * index)
        for index, text in zip(range(DESTINATIONS), texts, strict=True)
        if text is not None
    )


async def _read(tx: Transaction, customer_id: str, outdial_id: str) -> Numbers:
    found = Numbers({}, {})
    for row in await tx.fetch(READING, customer_id, outdial_id):
        (found.zones if row["kind"] == "ZONE" else found.groups)[row["value"]] = row["number"]
    return found


READING = "SELECT kind, number, value FROM outdial_zone WHERE customer_id = $1 AND outdial_id = $2"


async def _number(
    tx: Transaction, customer_id: str, outdial_id: str, said: Sequence[tuple[str | None, ...]]
) -> Numbers:
    """Give numbers to what has none. One transaction at a time does it for an outdial."""
    await tx.lock(customer_id, exclusive=[f"zones of {outdial_id}"])
    numbers = await _read(tx, customer_id, outdial_id)
    added = numbers.add(text for texts in said for text in texts if text is not None)
    added += numbers.add_groups(_set(texts, numbers) for texts in said)
    if added:
        parameter = Parameters([customer_id, outdial_id])
        columns = dict(zip(("kind", "number", "value"), zip(*added, strict=True), strict=True))
        source = db.table_of(columns, {"kind": "text", "number": "integer", "value": "text"}, "new", parameter)
        await tx.send(
            [
                f"""
            INSERT INTO outdial_zone (customer_id, outdial_id, kind, number, value)
            SELECT {db.typed("$1", "uuid")}, {db.typed("$2", "uuid")}, new.kind, new.number, new.value FROM {source}
            """
            ],
            parameter.values,
        )
        tx.wake(awake.topic(outdial_id))
    return numbers
