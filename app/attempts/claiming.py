"""Claims: due targets leased to one dialer, in one guarded statement."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from app import db, events, idempotency, ids, metrics, rows, store, validation
from app.attempts.reading import read_in
from app.auth import Viewer
from app.db import Transaction
from app.errors import Rejected, UserError, UserErrorCode, rejected
from app.lifecycle import DESTINATIONS, AttemptState, OutdialState, TargetEventType, TargetStatus
from app.records import Attempt, Outdial, Target

CLAIM_TARGETS_MAX = 500


async def claim(
    viewer: Viewer,
    outdial_id: str,
    *,
    limit: int = 1,
    dialer: str | None = None,
    lease_seconds: int | None = None,
    idempotency_key: str | None = None,
) -> list[Attempt]:
    """Lease up to `limit` due targets to one dialer.

    Args:
        viewer: who asks.
        outdial_id: of which outdial.
        limit: 1 to CLAIM_TARGETS_MAX targets.
        dialer: the dialer's name for itself.
        lease_seconds: until others may take a target that nobody reported; the policy's where it is None.
        idempotency_key: the same key gives the same attempts, as they are now.

    Returns:
        0 to `limit` attempts, of higher priority first, then the longest due; empty where nothing is due.

    Raises:
        Rejected: INVALID, NOT_FOUND, PAUSED, or CONFLICT of the idempotency key.
    """
    errors: list[UserError] = []
    outdial_id = validation.object_id(outdial_id, errors, "outdial_id")
    limit = validation.number(limit, 1, CLAIM_TARGETS_MAX, errors, "limit")
    dialer = validation.optional_text(dialer, validation.DIALER_CHARACTERS_MAX, errors, "dialer")
    if lease_seconds is not None:
        validation.lease_seconds(lease_seconds, errors, "lease_seconds")
    key = idempotency.checked(idempotency_key, errors)
    if errors:
        raise Rejected(errors)
    claimed, fresh = await db.transaction(_claim, viewer, outdial_id, limit, dialer, lease_seconds, key)
    if fresh:
        metrics.claimed_targets.inc(len(claimed))
    return claimed


async def _claim(
    tx: Transaction,
    viewer: Viewer,
    outdial_id: str,
    limit: int,
    dialer: str | None,
    lease_seconds: int | None,
    key: str | None,
) -> tuple[list[Attempt], bool]:
    """The attempts, and whether they were made just now."""
    value = (outdial_id, limit, dialer, lease_seconds)
    first = await idempotency.begin(tx, viewer, "claimTargets", key, value=value)
    if first is not None:
        known = await read_in(tx, viewer, first)
        return [known[attempt_id] for attempt_id in first], False
    outdial = await store.lock_outdial(tx, viewer, outdial_id, "outdial_id")
    if outdial.state is OutdialState.PAUSED:
        raise rejected(UserErrorCode.PAUSED, "The outdial is paused.", "outdial_id")
    now = await tx.now()
    taken = await _take_due(tx, outdial, limit, now)
    if not taken:
        await idempotency.forget(tx, viewer, "claimTargets", key)
        return [], True
    seconds = outdial.dial_policy.lease_seconds if lease_seconds is None else lease_seconds
    attempts = [_attempt(target, index, now, seconds, dialer) for target, index in taken]
    await _insert(tx, attempts)
    await idempotency.keep(tx, viewer, "claimTargets", key, [attempt.id for attempt in attempts])
    moved = {"idle": -len(taken), "progressing": len(taken), "attempts": len(taken)}
    await store.adjust(tx, outdial.customer_id, outdial.id, moved)
    await events.append(tx, [_event(target, attempt) for (target, _), attempt in zip(taken, attempts, strict=True)])
    return attempts, True


def _due_targets(limit: str, now: str, next_index: str) -> str:
    """Due targets, of higher priority first, then the longest due, then by id.

    Each priority is a range of its own in the index, read only as far as it is due: in one range over all priorities,
    a million targets of priority 9 that wait for tomorrow would stand before the one of priority 0 that is due.
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


def _next_index(limits: tuple[str, ...]) -> str:
    """The lowest usable destination of a row, as `lifecycle.Tries.next_index` has it; null where there is none."""
    cases = " ".join(
        f"WHEN destination_{index} IS NOT NULL AND invalid_mask & {1 << index} = 0 AND try_count_{index} < "
        f"COALESCE(CAST(max_try_counts ->> {index} AS INTEGER), {limits[index]}) THEN {index}"
        for index in range(DESTINATIONS)
    )
    return f"CASE {cases} END"


_PLACES = {"place": "integer", "attempt_id": "uuid"}


async def _take_due(tx: Transaction, outdial: Outdial, limit: int, now: datetime) -> list[tuple[Target, int]]:
    """Mark due targets as progressing and count the try; gives each with the destination it is to be tried at.

    One statement, the first write of its transaction: it is the lock, the check and the write. What another claim
    holds is passed over. Attempt ids are handed out in the order of the claim, so the answer is sorted by them:
    RETURNING keeps no order.
    """
    next_index = _next_index(tuple(f"CAST(${index + 6} AS INTEGER)" for index in range(DESTINATIONS)))
    counts = ", ".join(
        f"try_count_{index} = try_count_{index} + CASE WHEN {next_index} = {index} THEN 1 ELSE 0 END"
        for index in range(DESTINATIONS)
    )
    # MATERIALIZED: run once. A plan that ran it again for each row would lock, and take, more than the limit.
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
        RETURNING {rows.qualified(rows.TARGET_COLUMNS, "target")}, target.last_index
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


def _attempt(target: Target, index: int, now: datetime, seconds: int, dialer: str | None) -> Attempt:
    destination, attempt_id = target.destinations[index], target.last_attempt_id
    assert destination is not None
    assert attempt_id is not None
    return Attempt(
        id=attempt_id,
        customer_id=target.customer_id,
        outdial_id=target.outdial_id,
        target_id=target.id,
        destination_index=index,
        destination=destination,
        try_number=target.try_counts[index],
        state=AttemptState.CLAIMED,
        disposition=None,
        detail="",
        dialer=dialer,
        call_id=None,
        lease_seconds=seconds,
        expires_at=now + timedelta(seconds=seconds),
        claimed_at=now,
        dialed_at=None,
        ended_at=None,
    )


async def _insert(tx: Transaction, attempts: Sequence[Attempt]) -> None:
    columns = ", ".join(_INSERTED)
    await tx.fetch(
        f"INSERT INTO attempt ({columns}) SELECT {columns} FROM {db.rowset('$1', _INSERTED, 'new')}",
        db.rows_value(
            [
                {column: getattr(attempt, column) for column in _INSERTED}
                | {"destination": rows.destination_value(attempt.destination)}
                for attempt in attempts
            ]
        ),
    )


_INSERTED = {
    "id": "uuid",
    "customer_id": "uuid",
    "outdial_id": "uuid",
    "target_id": "uuid",
    "destination_index": "integer",
    "destination": "json",
    "try_number": "integer",
    "state": "text",
    "detail": "text",
    "dialer": "text",
    "lease_seconds": "integer",
    "expires_at": "instant",
    "claimed_at": "instant",
}


def _event(target: Target, attempt: Attempt) -> Mapping[str, Any]:
    return events.event_of(
        target,
        TargetEventType.CLAIMED,
        attempt.claimed_at,
        previous_status=TargetStatus.IDLE,
        destination_index=attempt.destination_index,
        attempt_id=attempt.id,
    )
