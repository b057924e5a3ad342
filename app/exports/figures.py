"""Figures as lines of CSV and NDJSON. Pure."""

from datetime import datetime
from typing import Any

import orjson

from app import sheets
from app.lifecycle import Disposition
from app.stats import Row

COLUMNS = (
    *("from", "to", "destination_index", "dialer", "is_others", "hour", "attempts"),
    *(disposition.value.lower() for disposition in Disposition),
    *("right_parties", "conversions", "reached_targets", "median_ring_seconds", "median_talk_seconds", "codes"),
)


def json_object(row: Row) -> dict[str, Any]:
    figures = row.figures
    return {
        "from": _time(row.begins_at),
        "to": _time(row.ends_at),
        "destination_index": row.destination_index,
        "dialer": row.dialer,
        "is_others": row.is_others,
        "hour": row.hour,
        "attempts": figures.attempts,
        **{disposition.value.lower(): figures.dispositions[disposition] for disposition in Disposition},
        "right_parties": figures.right_parties,
        "conversions": figures.conversions,
        "reached_targets": figures.reached,
        "median_ring_seconds": figures.ring.median(),
        "median_talk_seconds": figures.talk.median(),
        "codes": {code: number for code, number in sorted(figures.codes.items()) if number},
    }


def cells(row: Row) -> list[object]:
    values = json_object(row)
    values["dialer"] = None if row.dialer is None else sheets.neutralised(row.dialer)
    values["is_others"] = str(row.is_others).lower()
    values["codes"] = orjson.dumps(values["codes"]).decode() if values["codes"] else None
    return [values[name] for name in COLUMNS]


def _time(instant: datetime) -> str:
    return instant.replace(tzinfo=None).isoformat("T", "seconds") + "Z"
