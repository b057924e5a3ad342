"""How many targets a claim may take at the pace of its outdial: `app.pacing` in SQL, and what it goes by.

On PostgreSQL it is exact because of a lock: claims of a paced outdial have it one after the other, so each sees what
those before it have taken. Attempts that end meanwhile only leave more. SQLite has one writer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from app import db, pacing
from app.db import Transaction
from app.listing import Parameters
from app.pacing import Pacing, Usage
from app.store import probing

HAS_PACE = "COALESCE(pacing ->> 'max_open_attempts', pacing ->> 'claims_per_second') IS NOT NULL"
"""A value of an outdial, in SQL for PostgreSQL: whether its pace limits claims."""
LOCK = "'pace ' || CAST($2 AS text)"
"""The name of the lock of those who claim targets of a paced outdial, in SQL for PostgreSQL."""


def lock_of(outdial_id: str) -> str:
    """The same as text."""
    return f"pace {outdial_id}"


def is_running(now: str) -> str:
    """A condition on an outdial: `pacing.is_running` in SQL.

    Args:
        now: the instant, in SQL.
    """
    return f"(starts_at IS NULL OR starts_at <= {now}) AND (ends_at IS NULL OR {now} < ends_at)"


def _open_attempts(outdial: str) -> str:
    # each has a target that is PROGRESSING
    counted = "SELECT COALESCE(sum(progressing), 0) FROM outdial_counter"
    return f"({counted} WHERE customer_id = $1 AND outdial_id = {outdial})"


def _latest(outdial: str, *, since: str, most: str) -> str:
    """The latest claims, read backwards from the end of their index: `claims` and `oldest_at`, in one row."""
    return f"""
        SELECT count(*) AS claims, min(claimed_at) AS oldest_at FROM (
            SELECT claimed_at FROM attempt
            WHERE customer_id = $1 AND outdial_id = {outdial} AND claimed_at > {since}
            ORDER BY claimed_at DESC, id DESC LIMIT {most}
        ) AS latest
    """


# ---------------------------------------------------------------- PostgreSQL


@dataclass(frozen=True, slots=True)
class AtOnce:
    """What a claim's statement has for the pace. Without a pace that is nothing but the limit."""

    limit: str
    """At how many targets it looks, in SQL."""
    part: str = ""
    """Of the statement, with a comma after it."""
    join: str = ""
    """One more condition on the places that are taken."""
    shown: str = ""
    """Values, with a comma after them: `allowed` and `more_at`, as in `pacing.Allowance`. They are null if nothing may
    be claimed for another reason."""


_ALLOWED = "COALESCE((SELECT targets FROM pace), 0)"
_SHOWN = "(SELECT targets FROM pace) AS allowed, (SELECT more_at FROM pace) AS more_at,"


def at_once(limit: str, now: str, condition: str, *, is_capped: bool, is_paced: bool, is_broken: bool) -> AtOnce:
    """The pace in a claim's statement.

    Args:
        limit: how many it looks at without a pace, in SQL.
        now: the instant, in SQL.
        condition: whether to take any, in SQL.
        is_capped: whether the outdial is taken to have caps.
        is_paced: whether it is taken to have a pace that limits claims.
        is_broken: whether its breaker is taken not to be closed.
    """
    if not is_paced and not is_broken:
        return AtOnce(limit)
    asked = {allowance: is_paced, probing.allowance: is_broken}
    all_of = " UNION ALL ".join(f"({limiting(now, condition)})" for limiting, has in asked.items() if has)
    least = f"SELECT * FROM ({all_of}) AS asked ORDER BY targets, more_at DESC LIMIT 1"
    # Under caps it looks at more than it takes, because some are capped.
    looked_at = f"CASE WHEN {_ALLOWED} > 0 THEN {limit} ELSE 0 END" if is_capped else f"LEAST({limit}, {_ALLOWED})"
    part = f"pace AS MATERIALIZED ({least}),"
    return AtOnce(looked_at, part, f"AND lease.place <= {_ALLOWED}", _SHOWN)


def allowance(now: str, condition: str) -> str:
    """The value of `pacing.allowance` as a row, of the row `owner` of an outdial with `pacing`.

    Args:
        now: the instant, in SQL.
        condition: whether targets may be claimed at all. If not, there is no row.
    """
    window = "(SELECT window_length FROM bound)"
    latest = _latest("$2", since=f"{now} - {window}", most="(SELECT COALESCE(most, 0) FROM bound)")
    soon = f"{now} + interval '{pacing.FULL_SECONDS} seconds'"
    return f"""
        WITH bound AS MATERIALIZED (
            SELECT most_open, CAST(CASE WHEN rate >= 1 THEN floor(rate) WHEN rate < 1 THEN 1 END AS integer) AS most,
                make_interval(secs => CASE WHEN rate >= 1 THEN 1 ELSE ceil(1000 / rate) / 1000 END) AS window_length
            FROM (
                SELECT CAST(pacing ->> 'max_open_attempts' AS integer) AS most_open,
                    CAST(pacing ->> 'claims_per_second' AS double precision) AS rate
                FROM owner WHERE {condition}
            ) AS asked
        ),
        left_over AS MATERIALIZED (
            SELECT most_open - LEAST({_open_attempts("$2")}, most_open) AS of_open, most - latest.claims AS of_rate,
                COALESCE(latest.oldest_at, {now}) + window_length AS next_at
            FROM bound CROSS JOIN ({latest}) AS latest
        )
        SELECT LEAST(of_open, of_rate) AS targets, GREATEST(
            CASE WHEN of_open <= COALESCE(of_rate, of_open) THEN {soon} END,
            CASE WHEN of_rate <= COALESCE(of_open, of_rate) THEN next_at END
        ) AS more_at FROM left_over
    """


# ---------------------------------------------------------------- both


async def usage(tx: Transaction, customer_id: str, outdial_id: str, pace: Pacing, now: datetime) -> Usage:
    """What an outdial has taken of its pace, in a unit of work that no claim runs beside."""
    parameter = Parameters([customer_id])
    [row] = await tx.fetch(_usage(parameter, outdial_id, pace, now), *parameter.values)
    return _read(row)


async def usages(customer_id: str, paces: Sequence[tuple[str, Pacing]], now: datetime) -> dict[str, Usage]:
    """Of several outdials, by their ids.

    Args:
        customer_id: whose.
        paces: each outdial's id with its pace.
        now: the instant.
    """
    if not paces:
        return {}
    parameter = Parameters([customer_id])
    parts = [f"SELECT * FROM ({_usage(parameter, outdial_id, pace, now)}) AS one" for outdial_id, pace in paces]
    found = await db.fetch(" UNION ALL ".join(parts), *parameter.values)
    return {row["outdial_id"]: _read(row) for row in found}


def _usage(parameter: Parameters, outdial_id: str, pace: Pacing, now: datetime) -> str:
    outdial = db.typed(parameter(outdial_id), "uuid")
    if pace.claims_per_second is None:
        latest = f"SELECT 0 AS claims, {db.typed('NULL', 'instant')} AS oldest_at"
    else:
        most = pacing.rate(pace.claims_per_second)
        since = db.typed(parameter(now - most.window), "instant")
        latest = _latest(outdial, since=since, most=db.typed(parameter(most.targets), "integer"))
    opened = "0" if pace.max_open_attempts is None else _open_attempts(outdial)
    return f"SELECT {outdial} AS outdial_id, {opened} AS open_attempts, claims, oldest_at FROM ({latest}) AS taken"


def _read(row: db.Row) -> Usage:
    return Usage(int(row["open_attempts"]), row["claims"], row["oldest_at"])
