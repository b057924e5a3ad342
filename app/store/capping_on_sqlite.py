"""How claims look for targets under caps on SQLite: the same rules as in `capping`, in steps.

First it is listed which targets are due first, whatever holds them back. That costs little for each. Then these are
judged, in their order. To judge all that each priority and each group of time zones has took ten times as long. If too
many of those that are listed are held back, everything is judged, as in a claim without caps.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple

import orjson

from app import db, rows
from app.db import Transaction
from app.destinations import Awake, Cap, Capped, Suppressed, wakes_at
from app.lifecycle import DESTINATIONS
from app.listing import Parameters
from app.records import CallCap, CapSubject, Place
from app.store import capping, due
from app.store.awake import Known

SHAPES_KEPT = 256
_CAP = ("per", "over", "tries", "seconds", "since")
"""The values of a cap, in the order of `Cap`."""


def caps(listed: Sequence[CallCap], now: datetime, parameter: Parameters) -> Capped:
    """Caps as parameters."""
    return _capped([Cap(*map(parameter, _values(cap, now))) for cap in listed])


def _values(cap: CallCap, now: datetime) -> tuple[Any, ...]:
    since = now - timedelta(seconds=cap.window_seconds)
    return cap.per.value, cap.over.value, cap.tries, cap.window_seconds, since


def _capped(listed: Sequence[Cap]) -> Capped:
    return Capped("$1", "$2", listed, None, db.later)


def rules(owner: db.Row, now: str, parameter: Parameters) -> tuple[list[object], Suppressed | None]:
    """The limits, and what is suppressed."""
    limits: list[object] = [parameter(tries) for tries in orjson.loads(owner["max_try_counts"])]
    return limits, Suppressed("$1", now) if owner["has_suppressions"] else None


def _by_zone(zones: str, *, keeps_order: bool) -> Awake:
    return Awake(f"IN (SELECT value FROM json_each({zones}))", keeps_order)


def due_targets(
    limit: str,
    most: int,
    now: str,
    limits: Sequence[object],
    suppressed: Suppressed | None,
    hours: Known | None,
    parameter: Parameters,
    *,
    dialer: str | None,
) -> str:
    """The due targets without caps, of those who are awake, each with its next index.

    If a dialer is given, the callbacks that are kept for it come first.
    """
    bound = due.bound_of(most)
    if hours is None or hours.zones is None:
        looked = capping.looking(limits, suppressed)
        found = due.on_sqlite(limit, bound, now, looked)
    else:
        awake = _by_zone(parameter(list(hours.zones)), keeps_order=hours.keeps_order)
        looked = capping.looking(limits, suppressed, awake=awake)
        found = due.awake_on_sqlite(limit, bound, now, looked, groups=parameter(list(hours.groups)))
    if dialer is None:
        return found
    return due.own_first_on_sqlite(limit, bound, now, looked, found, dialer=parameter(dialer))


# ---------------------------------------------------------------- under caps


class _Shape(NamedTuple):
    """What the text of the look depends on."""

    bound: int
    """Of the rows that it looks at, as `due.bound_of` gives it."""
    caps: int
    has_suppressions: bool
    is_by_zone: bool
    keeps_order: bool
    is_for_dialer: bool
    """Whether callbacks that are kept for the dialer come first."""
    is_whole: bool
    """Whether everything is judged, not only what is listed first."""


def _listed_max(bound: int) -> int:
    """How many are listed: some more, because some may be held back."""
    return bound + 2 + bound // 8


class _Rules(NamedTuple):
    """What a statement says of them."""

    limits: list[object]
    suppressed: Suppressed | None
    capped: Capped
    awake: Awake | None


def _named(shape: _Shape, parameter: Parameters) -> _Rules:
    """Rules whose parameters are names: those of `_given`."""
    limits: list[object] = [parameter(("limit", index)) for index in range(DESTINATIONS)]
    return _Rules(
        limits,
        Suppressed("$1", parameter("now")) if shape.has_suppressions else None,
        _capped([Cap(*(parameter((place, name)) for name in _CAP)) for place in range(shape.caps)]),
        _by_zone(parameter("zones"), keeps_order=shape.keeps_order) if shape.is_by_zone else None,
    )


@lru_cache(maxsize=SHAPES_KEPT)
def _looking(shape: _Shape) -> tuple[str, tuple[Any, ...]]:
    """The statement, and the names of its parameters.

    Its rows are those of the targets that it looks at, in the order of the claim. Each has `listed`: how many were
    listed. If it looks at none, there is one row without an id.
    """
    parameter = Parameters(["customer_id", "outdial_id"])
    said = _named(shape, parameter)
    size, now = parameter("size"), parameter("now")
    looked = capping.looking(said.limits, said.suppressed, said.capped, said.awake)
    if shape.is_whole:
        most, bound, read = size, shape.bound, looked
    else:
        bound = _listed_max(shape.bound)
        most, read = str(bound), due.Looked("1 = 1", ())
    if shape.is_by_zone:
        listed = due.awake_on_sqlite(most, bound, now, read, groups=parameter("groups"))
    else:
        listed = due.on_sqlite(most, bound, now, read)
    if shape.is_for_dialer:
        listed = due.own_first_on_sqlite(most, bound, now, read, listed, dialer=parameter("dialer"))
    values = ", ".join(capping.judged(said.limits, said.suppressed, said.capped, said.awake))
    target = "target ON target.id = {0}.id AND target.customer_id = $1"
    condition = "1 = 1" if shape.is_whole else looked.condition
    sql = f"""
        WITH listed AS MATERIALIZED ({listed}),
        free AS MATERIALIZED (
            SELECT listed.* FROM listed CROSS JOIN {target.format("listed")} WHERE {condition}
            ORDER BY listed.rank DESC, listed.due_at, listed.id LIMIT {size}
        )
        SELECT free.id, (SELECT count(*) FROM listed) AS listed, {values}
        FROM (SELECT 1 AS one) AS once LEFT JOIN free ON 1 = 1 LEFT JOIN {target.format("free")}
        ORDER BY free.rank DESC, free.due_at, free.id
    """
    return sql, tuple(parameter.values)


@lru_cache(maxsize=SHAPES_KEPT)
def _sleeping(shape: _Shape) -> tuple[str, tuple[Any, ...]]:
    """Likewise, of the statement that puts targets to sleep."""
    parameter = Parameters(["customer_id", "outdial_id"])
    said = _named(shape, parameter)
    until = wakes_at(said.limits, said.capped, soon=parameter("soon"))
    asleep = db.any_of(parameter("asleep"))
    return f"UPDATE target SET wakes_at = {until} WHERE customer_id = $1 AND id {asleep}", tuple(parameter.values)


async def take_place(
    tx: Transaction,
    owner: db.Row,
    now: datetime,
    hours: Known | None,
    *,
    ids_of: tuple[str, str, str | None],
    limit: int,
    looks: int,
) -> list[dict[str, Any]]:
    """The rows to take. Those that it has looked at and that are capped are put to sleep.

    Args:
        tx: the claim's.
        owner: the outdial's row.
        now: the instant.
        hours: what is known of its calling hours, if it has any.
        ids_of: the customer's id and the outdial's, and the dialer's name if it may have callbacks of its own.
        limit: how many to take.
        looks: at how many to look first; more than it takes, if the pace allows fewer.
    """
    dialer = ids_of[2]
    listed = rows.caps(owner["caps"])
    given = _given(owner, now, hours, listed, ids_of[:2]) | {"dialer": dialer}
    for size in capping.wider(looks):
        shape = _Shape(
            due.bound_of(size),
            caps=len(listed),
            has_suppressions=bool(owner["has_suppressions"]),
            is_by_zone="zones" in given,
            keeps_order=hours is not None and hours.keeps_order,
            is_for_dialer=dialer is not None,
            is_whole=False,
        )
        given["size"] = size
        found = await _look(tx, shape, given)
        asleep = [row["id"] for row in found if row["next_index"] is None]
        if asleep:
            sql, names = _sleeping(shape)
            given["asleep"] = asleep
            await tx.fetch(sql, *map(given.__getitem__, names))
        if len(asleep) < len(found) or not found:
            return _placed(found, listed, limit)
    return []


async def _look(tx: Transaction, shape: _Shape, given: Mapping[Any, Any]) -> list[db.Row]:
    """The due targets that caps may hold, in the order of the claim."""
    found: list[db.Row] = []
    for one in (shape, shape._replace(is_whole=True)):
        sql, names = _looking(one)
        found = await tx.fetch(sql, *map(given.__getitem__, names))
        listed = found[0]["listed"]
        found = [row for row in found if row["id"] is not None]
        if len(found) == given["size"] or listed < _listed_max(shape.bound):
            break
    return found


def _given(
    owner: db.Row, now: datetime, hours: Known | None, listed: Sequence[CallCap], ids_of: tuple[str, str]
) -> dict[Any, Any]:
    """The values of parameters by their names."""
    given: dict[Any, Any] = {"customer_id": ids_of[0], "outdial_id": ids_of[1], "now": now}
    given["soon"] = now + timedelta(seconds=capping.SLEEP_SECONDS)
    given |= {("limit", index): tries for index, tries in enumerate(orjson.loads(owner["max_try_counts"]))}
    for place, cap in enumerate(listed):
        given |= {(place, name): value for name, value in zip(_CAP, _values(cap, now), strict=True)}
    if hours is not None and hours.zones is not None:
        given |= {"zones": list(hours.zones), "groups": list(hours.groups)}
    return given


def _placed(found: Sequence[db.Row], listed: Sequence[CallCap], limit: int) -> list[dict[str, Any]]:
    """Of rows in the order of the claim those to take, each with its place. The same as `capping.FREE`."""
    by_address = any(cap.per is CapSubject.ADDRESS for cap in listed)
    seen: set[Place] = set()
    chosen: list[dict[str, Any]] = []
    for row in found:
        index = row["next_index"]
        if index is None or len(chosen) == limit:
            continue
        destination = rows.destination(row[f"place_{index}"])
        assert destination is not None
        if by_address and destination.place in seen and not row["is_callback"]:
            continue
        seen.add(destination.place)
        chosen.append({"id": row["id"], "next_index": index, "place": len(chosen) + 1})
    return chosen
