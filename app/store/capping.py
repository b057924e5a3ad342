"""How claims look for targets at which caps leave a try.

Caps are counted from the ledger, in the claim's own statement. On PostgreSQL that is exact because of a lock: claims of
outdials without caps share it, and one of an outdial with caps has it alone, so that it sees all attempts of the
customer. Which lock a claim needs is known from the one before: see `looks`.

A claim looks at as many due targets as it may take. Those that are capped are put to sleep until the caps leave a try.
If all were, it looks at more, up to a bound.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache

from app import db
from app.db import Transaction
from app.destinations import Awake, Cap, Capped, Suppressed, has_next, next_index, space, wakes_at
from app.lifecycle import DESTINATIONS
from app.store import due

LOOKED_TARGETS_MAX = 1_000
"""By one statement."""
ROUNDS_MAX = 3
"""How often a claim looks at more."""
WIDER = 10
"""So many times as many each time."""
SLEEP_SECONDS = 60
"""At most so long a target sleeps if an event could free it: a release, or the end of a suppression."""


LOCK = "'claims ' || CAST($1 AS text)"
"""The name of the lock of those who claim targets of a customer, in SQL for PostgreSQL."""


def lock_of(customer_id: str) -> str:
    """The same as text."""
    return f"claims {customer_id}"


def wider(rows: int) -> Iterator[int]:
    """How many targets a claim looks at, each time that it has found capped ones alone."""
    for _ in range(ROUNDS_MAX):
        yield rows
        rows = wider_by_one(rows)


def wider_by_one(rows: int) -> int:
    """The same after one time."""
    return min(rows * WIDER, LOOKED_TARGETS_MAX)


# ---------------------------------------------------------------- the parts of statements


CAP = Cap("cap.per", "cap.over", "cap.tries", "cap.window_seconds", "cap.since")
"""A row of `caps`."""


def caps(now: str) -> str:
    """The caps of the row `owner` of an outdial, in SQL for PostgreSQL.

    Args:
        now: the instant, in SQL.
    """
    since = db.later(now, "(- given.window_seconds)")
    return f"SELECT given.*, {since} AS since FROM owner CROSS JOIN {db.rowset('owner.caps', _KINDS, 'given')}"


def of_owners(now: str) -> Capped:
    """The caps of the row `owner` of each target's outdial, for what is read of many outdials.

    Args:
        now: the instant, in SQL.
    """
    since = db.later(now, "(- cap.window_seconds)")
    cap = replace(CAP, since=since)
    return Capped(
        customer="$1",
        outdial="target.outdial_id",
        caps=(cap,),
        source=db.rowset("owner.caps", _KINDS, "cap"),
        later=db.later,
        has_any="owner.caps <> '[]'",
        is_numbered=not db.is_postgres(),
    )


_KINDS = {"per": "text", "over": "text", "tries": "integer", "window_seconds": "integer"}


def looking(
    limits: Sequence[object],
    suppressed: Suppressed | None,
    capped: Capped | None = None,
    awake: Awake | None = None,
    *,
    is_kept: bool = False,
) -> due.Looked:
    """At which due targets a claim looks: with caps also at those that it must not take, to put them to sleep.

    Args:
        limits: the policy's, by index.
        suppressed: passed over.
        capped: if the outdial has caps.
        awake: if its calling hours go by the zones of destinations.
        is_kept: with the columns that `judging` reads.
    """
    # what is capped holds up no later destination, also if it is closed and the order is kept
    of_any = awake if capped is None or awake is None else replace(awake, keeps_order=False)
    condition = has_next(limits, suppressed, of_any)
    if capped is None:
        return due.Looked(condition, (f"{next_index(limits, suppressed, awake=awake)} AS next_index",))
    return due.Looked(condition, _KEPT if is_kept else ())


_KEPT = (
    *(f"{column}_{index}" for column in ("destination", "try_count") for index in range(DESTINATIONS)),
    *("max_try_counts", "invalid_mask", "first_index", "callback_mask", "zones"),
)
"""The columns of a target that decide which destination may be tried."""


def judging(
    looked: str, limits: Sequence[object], suppressed: Suppressed | None, capped: Capped, awake: Awake | None
) -> str:
    """Rows with the next index under the caps, and their destinations.

    Each part of a statement that says what is next costs at each start of it as much as a small statement. So this is
    said of all rows in one place, not in each of those that they come from.

    Args:
        looked: the rows that a claim looks at, with the columns that `looking` keeps.
        limits: as of `looking`.
        suppressed: likewise.
        capped: likewise.
        awake: likewise.
    """
    listed = ", ".join(judged(limits, suppressed, capped, awake))
    return f"""
        WITH looked AS MATERIALIZED ({looked})
        SELECT id, rank, due_at, {listed} FROM looked AS target
    """


def judged(limits: Sequence[object], suppressed: Suppressed | None, capped: Capped, awake: Awake | None) -> list[str]:
    """The next index under the caps, and the destinations: values of a row of `target`."""
    places = (f"destination_{index} AS place_{index}" for index in range(DESTINATIONS))
    return [
        f"{next_index(limits, suppressed, capped, awake)} AS next_index",
        "callback_mask IS NOT NULL AS is_callback",
        *places,
    ]


_CHOSEN = f"CASE next_index {' '.join(f'WHEN {index} THEN place_{index}' for index in range(DESTINATIONS))} END"
FREE = f"""(
    SELECT due.*, row_number() OVER (
        PARTITION BY {space(f"({_CHOSEN} ->> 'type')")}, {_CHOSEN} ->> 'target' ORDER BY rank DESC, due_at, id
    ) AS number FROM due WHERE next_index IS NOT NULL
) AS free WHERE number = 1 OR is_callback OR NOT EXISTS (SELECT 1 FROM cap WHERE per = 'ADDRESS')"""
"""Of the rows of `due` those that may be taken, for FROM: of several with one address the first, and all callbacks."""

COUNTED = """
    (SELECT count(*) FROM due) AS looked, (SELECT count(*) FROM due WHERE next_index IS NULL) AS slept,
    (SELECT count(*) FROM slept) AS seen_to
"""
"""The last one is there because PostgreSQL makes notes for `sequel` only if somebody reads them."""


def sleeping(limits: Sequence[object], capped: Capped, now: str) -> str:
    """Puts targets to sleep, until caps leave a try. What follows says which.

    Args:
        limits: the policy's, by index.
        capped: what holds them.
        now: the instant, in SQL.
    """
    until = wakes_at(limits, capped, soon=db.later(now, str(SLEEP_SECONDS)))
    return f"UPDATE target SET wakes_at = {until}"


_CAPPED, _NOW = "capped_targets", "looked_at"
NOTING = f"""
    SELECT {db.noting(_CAPPED, "COALESCE(CAST(array_agg(id) AS text), '')")} AS capped,
        {db.noting(_NOW, "CAST((SELECT now_at FROM moment) AS text)")} AS looked_at
    FROM due WHERE next_index IS NULL
"""
"""Notes for `sequel` which of the rows of `due` are capped, and when that was so. One row."""


@cache
def sequel() -> db.Sequel:
    """Puts to sleep what a claim has noted, for PostgreSQL.

    It is a statement of its own, which few claims need: as a part of theirs, it took a tenth of the time of each.
    """
    now = "(SELECT now_at FROM moment)"
    capped = Capped("$1", "$2", (CAP,), "cap", db.later)
    return db.Sequel(
        f"{db.noted(_CAPPED)} <> ''",
        f"""
        WITH moment AS MATERIALIZED (SELECT CAST({db.noted(_NOW)} AS timestamptz) AS now_at),
        owner AS MATERIALIZED (SELECT max_try_counts, caps FROM outdial WHERE customer_id = $1 AND id = $2),
        cap AS MATERIALIZED ({caps(now)})
        {sleeping(limits_of_owner(), capped, now)}
        WHERE target.customer_id = $1 AND target.id = ANY(CAST({db.noted(_CAPPED)} AS uuid[]))
        """,
    )


def limits_of_owner() -> list[str]:
    """The limits of the row `owner` of an outdial, by index, in SQL for PostgreSQL."""
    return [f"(SELECT CAST(max_try_counts ->> {index} AS INTEGER) FROM owner)" for index in range(DESTINATIONS)]


async def wake_up(tx: Transaction, customer_id: str, target_ids: Sequence[str]) -> None:
    """Let the next claim look at targets that caps had put to sleep."""
    await tx.fetch(
        f"""
        UPDATE target SET wakes_at = NULL WHERE customer_id = $1 AND id {db.any_of("$2")} AND wakes_at IS NOT NULL
        """,
        customer_id,
        list(target_ids),
    )
