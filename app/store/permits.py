"""Permits in SQL: why each call is allowed, written by the claim with its attempt.

`app.rows.permits` says what is in one and reads it. All of it is text put together, because both databases do that
alike and fast. Without calling hours and caps it is the policy's version alone, and the time zones that were given.
"""

from dataclasses import dataclass

import orjson

from app import db
from app.db import Row
from app.destinations import Capped, zone_number
from app.listing import Parameters
from app.rows.permits import CAPS, DEFAULT, GIVEN, VERSION
from app.store.awake import Known
from app.store.taking import CHOSEN


def _written(version: str, zone: str, caps: str | None) -> str:
    """A value: the permit of a row of `taken`.

    Args:
        version: of the policy, in SQL.
        zone: what the zone and the calling hours add, in SQL.
        caps: what caps add; None if there are none.
    """
    parts = [f"""'{{"{VERSION}":' || {version}""", zone, *([] if caps is None else [caps]), "'}'"]
    return db.typed(f"({' || '.join(parts)})", "json")


def _zone(name: str, zone: str) -> str:
    # names of zones have no character that JSON would escape
    return f"""COALESCE(',"{name}":"' || {zone} || '"', '')"""


def _counted(capped: Capped) -> str:
    """What caps add, in SQL: each with the tries that it has counted."""
    each = [
        f"""'[' || {cap.tries} || ',' || {cap.seconds} || ',"' || {cap.per} || '","' || {cap.over} || '",'"""
        f""" || {capped.used(cap, CHOSEN, "taken.id")} || ']'"""
        for cap in capped.caps
    ]
    if capped.source is None:
        listed = " || ',' || ".join(each)
    else:
        listed = f"(SELECT string_agg({each[0]}, ',') FROM {capped.source})"
    return f"""',"{CAPS}":[' || {listed} || ']'"""


_NUMBER = zone_number("taken.zones", "taken.last_index")
_GIVEN = _zone(GIVEN, "taken.time_zone")


@dataclass(frozen=True, slots=True)
class AtOnce:
    """What a statement that writes permits on PostgreSQL has for them."""

    permit: str
    """A value: that of a row of `taken`."""
    of_owner: str
    """A value that the row `owner` of the outdial has as `allowed`."""
    part: str
    """Of the statement, with a comma after it; or nothing."""


def at_once(capped: Capped | None, parameter: Parameters, *, is_by_zone: bool) -> AtOnce:
    """The same for all rows is made once for the statement.

    Args:
        capped: the caps; None if there are none.
        parameter: of the statement. It is given the names of values: `zones`, and what is `allowed`.
        is_by_zone: whether the calling hours go by zones that are known.
    """
    caps = None if capped is None else _counted(capped)
    version = "(SELECT policy_version FROM owner)"
    if not is_by_zone:
        allowed = db.typed(parameter("allowed"), "text")
        of_owner = f"CASE WHEN calling_hours IS NULL THEN {_zone(DEFAULT, 'time_zone')} ELSE {allowed} END"
        zone = f"(SELECT allowed FROM owner) || CASE WHEN (SELECT has_hours FROM owner) THEN '' ELSE {_GIVEN} END"
        return AtOnce(_written(version, zone, caps), of_owner, "")
    numbers = db.array(parameter("zones"), "integer")
    texts = db.array(parameter("allowed"), "text")
    part = f"opened AS MATERIALIZED (SELECT {numbers} AS numbers, {texts} AS texts),"
    zone = f"((SELECT texts FROM opened))[array_position((SELECT numbers FROM opened), {_NUMBER})]"
    return AtOnce(_written(version, zone, caps), "NULL", part)


def on_sqlite(owner: Row, hours: Known | None, capped: Capped | None, parameter: Parameters) -> str:
    """A value: the permit of a row of `taken`.

    Args:
        owner: the outdial's row.
        hours: what is known of its calling hours; None if it has none.
        capped: as in `at_once`.
        parameter: likewise.
    """
    if hours is None:
        default = owner["time_zone"]
        zone = _GIVEN if default is None else f"{_zone(DEFAULT, parameter(default))} || {_GIVEN}"
    elif hours.zones is None:
        zone = parameter(hours.allowed[0])
    else:
        by_number = dict(zip(map(str, hours.zones), hours.allowed, strict=True))
        zone = f"""json_extract({parameter(orjson.dumps(by_number).decode())}, '$."' || {_NUMBER} || '"')"""
    return _written(parameter(owner["policy_version"]), zone, None if capped is None else _counted(capped))
