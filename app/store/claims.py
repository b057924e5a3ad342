"""Claims: takes due targets in one guarded statement, and writes their attempts, counts and events."""

from collections.abc import Sequence
from datetime import datetime

from app import db, destinations, events, ids, rows, tables, validation
from app.changes import Claim, counted_claims
from app.db import Transaction
from app.lifecycle import DESTINATIONS
from app.records import Outdial, Target
from app.store import counters

_PLACES = {"place": "integer", "attempt_id": "uuid"}
_BEGUN = tables.ATTEMPT.but("disposition", "call_id", "dialed_at", "ended_at")
"""The columns that a new attempt has; the others are set when it is dialed and ended."""


async def take_due(tx: Transaction, outdial: Outdial, *, limit: int, now: datetime) -> list[tuple[Target, int]]:
    """Mark due targets as progressing and count the try. Returns each with the index of its next destination.

    One statement, the first write of its transaction: it locks, checks and writes. Targets that another claim holds are
    skipped. Attempt ids are given in the order of the claim, so the answer is sorted by them: RETURNING has no order.
    The transaction must end with `save_claims`.
    """
    next_index = destinations.next_index([f"CAST(${index + 6} AS INTEGER)" for index in range(DESTINATIONS)])
    counts = ", ".join(
        f"try_count_{index} = try_count_{index} + CASE WHEN {next_index} = {index} THEN 1 ELSE 0 END"
        for index in range(DESTINATIONS)
    )
    # MATERIALIZED: run once. If a plan ran it again for each row, it would lock and take more than the limit.
    taken = await tx.fetch(
        f"""
        WITH due AS MATERIALIZED ({_due_targets("$4", "$3", next_index)}),
        placed AS MATERIALIZED (
            SELECT id, row_number() OVER (ORDER BY priority DESC, next_try_at, id) AS place FROM due
        )
        UPDATE target SET status = 'PROGRESSING', next_try_at = NULL, version = version + 1,
            tm_update = CASE WHEN tm_update > $3 THEN tm_update ELSE $3 END,
            last_attempt_id = lease.attempt_id, last_index = {next_index}, {counts}
        FROM placed JOIN {db.rowset("$5", _PLACES, "lease")} ON lease.place = placed.place
        WHERE target.id = placed.id AND target.customer_id = $1
        RETURNING {tables.TARGET.qualified}, target.last_index
        """,
        outdial.customer_id,
        outdial.id,
        now,
        limit,
        db.rows_value([{"place": place, "attempt_id": ids.new()} for place in range(1, limit + 1)]),
        *outdial.dial_policy.max_try_counts,
    )
    ordered = sorted(taken, key=lambda row: row["last_attempt_id"])
    return [(rows.target(row), row["last_index"]) for row in ordered]


def _due_targets(limit: str, now: str, next_index: str) -> str:
    """Due targets, of higher priority first, then the longest due, then by id.

    Each priority is its own range in the index, read only as far as it is due: in one range over all priorities, a
    million targets of priority 9 that wait for tomorrow would be read before the one of priority 0 that is due.
    """
    branch = f"""
        SELECT id, priority, next_try_at FROM target
        WHERE customer_id = $1 AND outdial_id = $2 AND status = 'IDLE' AND tm_delete IS NULL
          AND priority = {{priority}} AND next_try_at <= {now} AND {next_index} IS NOT NULL
        ORDER BY next_try_at, id LIMIT {limit} {db.for_update("FOR UPDATE SKIP LOCKED")}
    """
    if db.is_postgres():
        # The join runs branch by branch and stops at the limit, so no more rows are locked than are taken. It keeps
        # the order of VALUES, because a lateral join has no other way to run; sorting would lock every branch's rows.
        priorities = ", ".join(f"({priority})" for priority in range(validation.PRIORITY_MAX, -1, -1))
        lateral = branch.format(priority="level.priority")
        return (
            f"SELECT ready.* FROM (VALUES {priorities}) AS level(priority) CROSS JOIN LATERAL ({lateral}) AS ready"
            f" LIMIT {limit}"
        )
    branches = " UNION ALL ".join(
        f"SELECT * FROM ({branch.format(priority=priority)})" for priority in range(validation.PRIORITY_MAX, -1, -1)
    )
    return f"SELECT * FROM ({branches}) ORDER BY priority DESC, next_try_at, id LIMIT {limit}"


async def save_claims(tx: Transaction, outdial: Outdial, claims: Sequence[Claim]) -> None:
    """Write the attempts, the counts and the events for the targets that `take_due` took."""
    await tx.fetch(
        f"INSERT INTO attempt ({_BEGUN}) SELECT {_BEGUN} FROM {db.rowset('$1', _BEGUN.kinds, 'new')}",
        db.rows_value(
            [
                {column: getattr(claim.attempt, column) for column in _BEGUN.kinds}
                | {"destination": rows.destination_value(claim.attempt.destination)}
                for claim in claims
            ]
        ),
    )
    await counters.move(tx, outdial.customer_id, outdial.id, counted_claims(len(claims)))
    await events.append(tx, [claim.event for claim in claims])
