"""The one way in which targets change: rows, attempts, counters and events, written together.

A use-case reads what it needs under locks, decides, and hands its changes over in order. Whatever it decides, the
row, the counts and the event agree, because they are made of the same change.
"""

import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from app import db, events, rows
from app.auth import Viewer
from app.db import Transaction
from app.errors import UserErrorCode, rejected
from app.lifecycle import AttemptState, Disposition, DoneReason, Standing, TargetEventType, TargetStatus
from app.records import Attempt, Outdial, Target

COUNTER_SLOTS = 16
"""One counter row costs concurrent claimers a quarter to a third of their speed; 16 cost next to nothing."""


@dataclass(frozen=True, slots=True)
class Change:
    """One step of one target, and what is told of it."""

    before: Target | None
    after: Target
    event: Mapping[str, Any]


def created(target: Target) -> Change:
    return Change(
        None,
        target,
        events.event_of(target, TargetEventType.CREATED, target.tm_create, previous_status=None),
    )


def changed(
    before: Target,
    after: Target,
    event_type: TargetEventType,
    now: datetime,
    *,
    attempt: Attempt | None = None,
    disposition: Disposition | None = None,
) -> Change:
    """A step from one state to the next; the version and the time of change are set here."""
    # never earlier than before: the clocks of two transactions are not ordered as their locks are
    stamped = replace(after, version=before.version + 1, tm_update=max(now, before.tm_update))
    return Change(
        before,
        stamped,
        events.event_of(
            stamped,
            event_type,
            now,
            previous_status=before.status,
            destination_index=None if attempt is None else attempt.destination_index,
            attempt_id=None if attempt is None else attempt.id,
            disposition=disposition,
        ),
    )


def standing(target: Target, where: Standing) -> Target:
    return replace(target, status=where.status, done_reason=where.done_reason, next_try_at=where.next_try_at)


def canceled(target: Target, now: datetime) -> Change:
    """Finished by its owner. Without a last attempt, nothing that is reported late brings it back."""
    finished = standing(target, Standing(TargetStatus.DONE, DoneReason.CANCELED))
    return changed(target, replace(finished, last_attempt_id=None), TargetEventType.CANCELED, now)


# ---------------------------------------------------------------- locks


async def lock_outdial(
    tx: Transaction, viewer: Viewer, outdial_id: str, *path: str, exclusive: bool = False, deleted: bool = False
) -> Outdial:
    """Hold an outdial's state and policy still for the length of the transaction.

    Whoever changes targets shares the lock; whoever changes the outdial itself has it alone. So once a pause, a
    deletion or a policy has been answered, nothing goes on under what was before.

    Raises:
        Rejected: NOT_FOUND, with `path`.
    """
    await tx.lock(outdial_id, shared=not exclusive)
    found = await tx.fetch(
        f"SELECT {rows.OUTDIAL_COLUMNS} FROM outdial WHERE customer_id = $1 AND id = $2", viewer.customer_id, outdial_id
    )
    if not found or (found[0]["tm_delete"] is not None and not deleted):
        raise rejected(UserErrorCode.NOT_FOUND, "There is no such outdial.", *path)
    return rows.outdial(found[0])


async def lock_targets(tx: Transaction, customer_id: str, target_ids: Iterable[str]) -> dict[str, Target]:
    """Targets as they are, held until the end of the transaction; deleted ones too.

    Locks are taken in the order of ids, so that two batches cannot wait for each other.
    """
    found = await tx.fetch(
        f"""
        SELECT {rows.TARGET_COLUMNS} FROM target WHERE customer_id = $1 AND id {db.any_of("$2")}
        ORDER BY id {db.for_update()}
        """,
        customer_id,
        sorted(set(target_ids)),
    )
    return {row["id"]: rows.target(row) for row in found}


# ---------------------------------------------------------------- writing


async def save(
    tx: Transaction,
    changes: Sequence[Change],
    *,
    attempts: Sequence[Attempt] = (),
    attempts_made: Mapping[tuple[str, str], int] | None = None,
) -> None:
    """Write changes in the order in which they happened.

    Args:
        tx: the use-case's transaction.
        changes: several may be of one target.
        attempts: those that changed, as they are now.
        attempts_made: by (customer, outdial), how many tries more (or fewer, where they were given back) there are.
    """
    last = {change.after.id: change.after for change in changes}
    fresh = {change.after.id for change in changes if change.before is None}
    await insert_targets(tx, [target for target in last.values() if target.id in fresh])
    await update_targets(tx, [target for target in last.values() if target.id not in fresh])
    await update_attempts(tx, attempts)
    await count(tx, changes, attempts_made or {})
    await events.append(tx, [change.event for change in changes])


async def insert_targets(tx: Transaction, targets: Sequence[Target]) -> None:
    if not targets:
        return
    columns = ", ".join(rows.TARGET_TYPES)
    await tx.fetch(
        f"INSERT INTO target ({columns}) SELECT {columns} FROM {db.rowset('$1', rows.TARGET_TYPES, 'new')}",
        db.rows_value([rows.target_values(target) for target in targets]),
    )


_FIXED = {"id", "customer_id", "outdial_id", "tm_create"}


async def update_targets(tx: Transaction, targets: Sequence[Target]) -> None:
    if not targets:
        return
    assignments = ", ".join(f"{column} = new.{column}" for column in rows.TARGET_TYPES if column not in _FIXED)
    await tx.fetch(
        f"""
        UPDATE target SET {assignments} FROM {db.rowset("$1", rows.TARGET_TYPES, "new")}
        WHERE target.id = new.id AND target.customer_id = new.customer_id
        """,
        db.rows_value([rows.target_values(target) for target in targets]),
    )


_ATTEMPT_TYPES = {
    "id": "uuid",
    "customer_id": "uuid",
    "state": "text",
    "disposition": "text",
    "detail": "text",
    "call_id": "text",
    "lease_seconds": "integer",
    "expires_at": "instant",
    "dialed_at": "instant",
    "ended_at": "instant",
}


async def update_attempts(tx: Transaction, attempts: Sequence[Attempt]) -> None:
    if not attempts:
        return
    assignments = ", ".join(
        f"{column} = new.{column}" for column in _ATTEMPT_TYPES if column not in {"id", "customer_id"}
    )
    await tx.fetch(
        f"""
        UPDATE attempt SET {assignments} FROM {db.rowset("$1", _ATTEMPT_TYPES, "new")}
        WHERE attempt.id = new.id AND attempt.customer_id = new.customer_id
        """,
        db.rows_value([{column: getattr(attempt, column) for column in _ATTEMPT_TYPES} for attempt in attempts]),
    )


async def revoked_attempts(tx: Transaction, targets: Sequence[Target], now: datetime) -> list[Attempt]:
    """The attempts under way of targets that their owner takes away from their dialers, ended."""
    live = [target for target in targets if target.status is TargetStatus.PROGRESSING]
    if not live:
        return []
    found = await tx.fetch(
        f"SELECT {rows.ATTEMPT_COLUMNS} FROM attempt WHERE customer_id = $1 AND id {db.any_of('$2')}",
        live[0].customer_id,
        [target.last_attempt_id for target in live],
    )
    return [ended(rows.attempt(row), AttemptState.REVOKED, now) for row in found]


def ended(attempt: Attempt, state: AttemptState, at: datetime) -> Attempt:
    return replace(attempt, state=state, expires_at=None, ended_at=at)


# ---------------------------------------------------------------- counting


def _column(target: Target | None) -> str | None:
    if target is None or target.tm_delete is not None:
        return None
    if target.status is TargetStatus.DONE:
        assert target.done_reason is not None
        return rows.REASON_COLUMNS[target.done_reason]
    return "idle" if target.status is TargetStatus.IDLE else "progressing"


async def count(tx: Transaction, changes: Sequence[Change], attempts_made: Mapping[tuple[str, str], int]) -> None:
    """Move the counters as the changes moved the targets."""
    deltas: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for change in changes:
        delta = deltas[change.after.customer_id, change.after.outdial_id]
        for target, step in ((change.before, -1), (change.after, 1)):
            column = _column(target)
            if column is not None:
                delta[column] += step
    for owner, made in attempts_made.items():
        deltas[owner]["attempts"] += made
    for (customer_id, outdial_id), delta in sorted(deltas.items()):
        await adjust(tx, customer_id, outdial_id, delta)


async def adjust(tx: Transaction, customer_id: str, outdial_id: str, delta: Mapping[str, int]) -> None:
    """Add to an outdial's counters; a single slot may go below zero, their sum does not."""
    if not any(delta.values()):
        return
    columns = ", ".join(rows.COUNTER_COLUMNS)
    values = ", ".join(f"${index + 4}" for index in range(len(rows.COUNTER_COLUMNS)))
    sums = ", ".join(f"{column} = outdial_counter.{column} + excluded.{column}" for column in rows.COUNTER_COLUMNS)
    # SQLite has one writer, so nobody waits for a row there
    slot = random.randrange(COUNTER_SLOTS) if db.is_postgres() else 0  # noqa: S311 - spreads load, keeps no secret
    await tx.fetch(
        f"""
        INSERT INTO outdial_counter (customer_id, outdial_id, slot, {columns}) VALUES ($1, $2, $3, {values})
        ON CONFLICT (outdial_id, slot) DO UPDATE SET {sums}
        """,
        customer_id,
        outdial_id,
        slot,
        *(delta.get(column, 0) for column in rows.COUNTER_COLUMNS),
    )
