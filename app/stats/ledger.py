"""What the ledger says of an outdial's attempts in a span of time."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeAlias

import orjson

from app import db
from app.figures import Figures, Histogram, Key, Span, bounded, facets_of
from app.lifecycle import AttemptState, Disposition

Fetch: TypeAlias = Callable[..., Awaitable[list[db.Row]]]
"""`db.fetch`, or that of a transaction."""

_THOSE = f"""
    customer_id = $1 AND outdial_id = $2 AND claimed_at >= $3 AND claimed_at < $4
    AND state <> '{AttemptState.RELEASED}'
"""
_IS_FIRST = f"""
    CASE WHEN attempt.disposition = '{Disposition.ANSWERED}' AND NOT EXISTS (
        SELECT 1 FROM attempt AS earlier
        WHERE earlier.customer_id = $1 AND earlier.target_id = attempt.target_id
          AND earlier.disposition = '{Disposition.ANSWERED}'
          AND (earlier.claimed_at, earlier.id) < (attempt.claimed_at, attempt.id)
    ) THEN 1 ELSE 0 END
"""
_COUNTED = "destination_index, dialer, disposition, code, is_right_party, is_conversion"


async def figures_of(fetch: Fetch, customer_id: str, outdial_id: str, span: Span) -> dict[Key, Figures]:
    """The figures of the attempts that were claimed in a span, as one cell. Released ones are left out.

    A target is reached by its first ANSWERED attempt. No result can make an earlier attempt the first one: it is taken
    for a target's last attempt alone.
    """
    those = (customer_id, outdial_id, *span)
    counted = await fetch(
        f"""
        SELECT {_COUNTED}, count(*) AS attempts, sum(is_first) AS reached FROM (
            SELECT {_COUNTED}, {_IS_FIRST} AS is_first FROM attempt WHERE {_THOSE}
        ) AS counted GROUP BY {_COUNTED}
        """,
        *those,
    )
    timed = await fetch(_timed(), *those) if any(row["disposition"] is not None for row in counted) else []
    cell: dict[Key, Figures] = {}
    for row in counted:
        _add(cell, row, _counts(row))
    for row in timed:
        _add(cell, row, _times(orjson.loads(row["times"])))
    return bounded(cell)


def _timed() -> str:
    """For each destination and dialer, how often each number of seconds occurs: [measure, seconds, times]."""
    measures = " UNION ALL ".join(
        f"""
        SELECT destination_index, dialer, '{measure}' AS measure, {measure}_seconds AS seconds, count(*) AS times
        FROM attempt WHERE {_THOSE} AND {measure}_seconds IS NOT NULL
        GROUP BY destination_index, dialer, {measure}_seconds
        """
        for measure in ("ring", "talk")
    )
    listed = db.json_lists("measure, seconds, times")
    return f"SELECT destination_index, dialer, {listed} AS times FROM ({measures}) AS timed GROUP BY 1, 2"


def _add(cell: dict[Key, Figures], row: Mapping[str, Any], figures: Figures) -> None:
    for key in facets_of(row["destination_index"], row["dialer"]):
        cell.setdefault(key, Figures()).add(figures)


def _counts(row: Mapping[str, Any]) -> Figures:
    attempts = row["attempts"]
    figures = Figures(attempts=attempts, reached=int(row["reached"]))
    if row["disposition"] is not None:
        figures.dispositions[Disposition(row["disposition"])] = attempts
    if row["code"] is not None:
        figures.codes[row["code"]] = attempts
    figures.right_parties = attempts if row["is_right_party"] else 0
    figures.conversions = attempts if row["is_conversion"] else 0
    return figures


def _times(listed: Sequence[tuple[str, int, int]]) -> Figures:
    times: dict[str, dict[int, int]] = {"ring": {}, "talk": {}}
    for measure, seconds, number in listed:
        times[measure][seconds] = number
    return Figures(ring=Histogram(times["ring"]), talk=Histogram(times["talk"]))


async def next_claim(fetch: Fetch, customer_id: str, outdial_id: str, since: datetime) -> datetime | None:
    """When an outdial's next attempt was claimed, from an instant on; None if there is none."""
    found = await fetch(
        """
        SELECT claimed_at FROM attempt WHERE customer_id = $1 AND outdial_id = $2 AND claimed_at >= $3
        ORDER BY claimed_at LIMIT 1
        """,
        *(customer_id, outdial_id, since),
    )
    return found[0]["claimed_at"] if found else None
