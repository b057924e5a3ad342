"""Locks: what a use-case decides about stays as it is until its transaction ends."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from app import db, rows, tables
from app.auth import Viewer
from app.changes import ended
from app.db import Transaction
from app.errors import UserErrorCode, rejected
from app.lifecycle import AttemptState, TargetStatus
from app.records import Attempt, CalledTarget, Outdial, Target


async def lock_outdial(
    tx: Transaction, viewer: Viewer, outdial_id: str, *path: str, exclusive: bool = False, deleted: bool = False
) -> Outdial:
    """Lock an outdial's state and policy until the end of the transaction.

    Use-cases that change targets share the lock; one that changes the outdial itself takes it exclusively. So after a
    pause, a deletion or a new policy is answered, nothing runs under the old state.

    Raises:
        Rejected: NOT_FOUND, with `path`.
    """
    outdial, _ = await lock_outdial_and_look(tx, viewer, outdial_id, *path, exclusive=exclusive, deleted=deleted)
    return outdial


async def lock_outdial_and_look(
    tx: Transaction, viewer: Viewer, outdial_id: str, *path: str, exclusive: bool = False, deleted: bool = False
) -> tuple[Outdial, bool]:
    """Likewise, and whether the customer has ever suppressed an address. If not, nothing needs to be looked up."""
    names = (outdial_id,)
    await tx.lock(viewer.customer_id, exclusive=names if exclusive else (), shared=() if exclusive else names)
    found = await tx.fetch(
        f"""
        SELECT {tables.OUTDIAL},
            (SELECT suppressions_version FROM customer WHERE customer_id = $1) AS suppressions_version
        FROM outdial WHERE customer_id = $1 AND id = $2
        """,
        viewer.customer_id,
        outdial_id,
    )
    if not found or (found[0]["tm_delete"] is not None and not deleted):
        raise rejected(UserErrorCode.NOT_FOUND, "Outdial not found.", *path)
    return rows.outdial(found[0]), bool(found[0]["suppressions_version"])


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


async def read_revoked(tx: Transaction, targets: Sequence[CalledTarget], now: datetime) -> list[Attempt]:
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
