"""Locks: what a use-case decides about stays as it is until its transaction ends."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from app import db, rows, tables
from app.auth import Viewer
from app.changes import ended
from app.db import Transaction
from app.errors import UserErrorCode, rejected
from app.lifecycle import AttemptState, TargetStatus
from app.records import Attempt, Outdial, Target

POLICY = tables.OUTDIAL.only("max_try_counts", "retry_interval_seconds", "lease_seconds", "on_unconfirmed", "tm_delete")
"""What reports need of an outdial."""


async def lock_outdial(
    tx: Transaction, viewer: Viewer, outdial_id: str, *path: str, exclusive: bool = False, deleted: bool = False
) -> Outdial:
    """Lock an outdial's state and policy until the end of the transaction.

    Use-cases that change targets share the lock; one that changes the outdial itself takes it exclusively. So after a
    pause, a deletion or a new policy is answered, nothing runs under the old state.

    Raises:
        Rejected: NOT_FOUND, with `path`.
    """
    names = (outdial_id,)
    await tx.lock(viewer.customer_id, exclusive=names if exclusive else (), shared=() if exclusive else names)
    found = await tx.fetch(
        f"SELECT {tables.OUTDIAL} FROM outdial WHERE customer_id = $1 AND id = $2", viewer.customer_id, outdial_id
    )
    if not found or (found[0]["tm_delete"] is not None and not deleted):
        raise rejected(UserErrorCode.NOT_FOUND, "Outdial not found.", *path)
    return rows.outdial(found[0])


async def lock_targets(tx: Transaction, customer_id: str, target_ids: Iterable[str]) -> dict[str, Target]:
    """Lock targets until the end of the transaction, and return them; deleted ones too.

    Locks are taken in the order of ids, so that two batches cannot wait for each other.
    """
    found = await tx.fetch(
        f"""
        SELECT {tables.TARGET} FROM target WHERE customer_id = $1 AND id {db.any_of("$2")}
        ORDER BY id {db.for_update()}
        """,
        customer_id,
        sorted(set(target_ids)),
    )
    return {row["id"]: rows.target(row) for row in found}


async def lock_attempts(tx: Transaction, customer_id: str, attempt_ids: Sequence[str]) -> int | None:
    """Lock the outdials of attempts (shared), then their targets. Unknown attempts lock nothing.

    Returns:
        How many targets are locked; None on SQLite, where the transaction locks everything.
    """
    if not db.is_postgres():
        tx.writes_of = customer_id
        return None
    await tx.stay(customer_id)
    # PostgreSQL evaluates the count once, before it locks the first row.
    return await tx.open(
        f"""
        WITH touched AS MATERIALIZED (
            SELECT outdial_id, target_id FROM attempt WHERE customer_id = $1 AND id {db.any_of("$2")}
        ),
        held AS MATERIALIZED (
            SELECT {db.writers_lock()} AS writers, {db.named_lock("outdial_id::text", shared=True)} AS outdials
            FROM customer CROSS JOIN (SELECT DISTINCT outdial_id FROM touched ORDER BY outdial_id) AS listed
            WHERE customer_id = $1
        )
        SELECT 1 AS one FROM target WHERE customer_id = $1 AND id IN (SELECT target_id FROM touched)
        AND (SELECT count(writers) FROM held) > 0 ORDER BY id FOR UPDATE
        """,
        customer_id,
        list(attempt_ids),
    )


async def read_desk(
    tx: Transaction, customer_id: str, attempt_ids: Sequence[str], *, with_last: bool
) -> Sequence[Mapping[str, Any]]:
    """Attempts with their targets and outdials, after `lock_attempts`; columns are named "table.column".

    Args:
        tx: the use-case's transaction.
        customer_id: whose attempts.
        attempt_ids: unknown ones are left out.
        with_last: with the last attempts of their targets, too.
    """
    known = f"attempt.id {db.any_of('$2')}"
    if with_last:
        known = f"""attempt.id IN (
            SELECT id FROM attempt WHERE customer_id = $1 AND {known}
            UNION SELECT target.last_attempt_id FROM attempt
            JOIN target ON target.customer_id = attempt.customer_id AND target.id = attempt.target_id
            WHERE attempt.customer_id = $1 AND {known}
        )"""
    return await tx.fetch(
        f"""
        SELECT {tables.ATTEMPT.named}, {tables.TARGET.named}, {POLICY.named}, {db.instant_now("$3")} AS now_at,
            (SELECT node <> {db.node()} FROM customer WHERE customer_id = $1) AS has_moved
        FROM attempt
        JOIN target ON target.customer_id = attempt.customer_id AND target.id = attempt.target_id
        JOIN outdial ON outdial.customer_id = attempt.customer_id AND outdial.id = attempt.outdial_id
        WHERE attempt.customer_id = $1 AND {known}
        """,
        customer_id,
        list(attempt_ids),
        db.now_value(),
    )


async def read_revoked(tx: Transaction, targets: Sequence[Target], now: datetime) -> list[Attempt]:
    """End the attempts in progress of locked targets that their owner changes. Returns the ended attempts."""
    live = [target for target in targets if target.status is TargetStatus.PROGRESSING]
    if not live:
        return []
    found = await tx.fetch(
        f"SELECT {tables.ATTEMPT} FROM attempt WHERE customer_id = $1 AND id {db.any_of('$2')}",
        live[0].customer_id,
        [target.last_attempt_id for target in live],
    )
    return [ended(rows.attempt(row), AttemptState.REVOKED, now) for row in found]
