"""Resets done targets: their try counts return to zero, their attempts stay."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from app import db, destinations, rows, store, tables, validation
from app.auth import Viewer
from app.changes import changed, event_of_all, moved
from app.db import Transaction
from app.errors import Rejected, UserError, invalid
from app.lifecycle import DESTINATIONS, DoneReason, Standing, TargetEventType, TargetStatus
from app.listing import Parameters
from app.records import Outdial, Reset

RESET_TARGETS_MAX = 10_000
RESET_IDS_MAX = 500
CHUNK_TARGETS = 1_000
"""In one transaction: a longer one would delay every subscriber."""


async def reset(
    viewer: Viewer,
    outdial_id: str,
    *,
    done_reasons: Sequence[DoneReason] | None = None,
    target_ids: Sequence[str] | None = None,
    dry_run: bool = False,
) -> Reset:
    """Bring done targets back to idle, due now: at most 10,000 in a call, in steps with a transaction each.

    Targets without a usable destination that may be called now stay as they are and do not count. Those that are done
    with DO_NOT_CALL come
    back only if `done_reasons` has that reason.

    Raises:
        Rejected: INVALID or NOT_FOUND.
    """
    errors: list[UserError] = []
    outdial_id = validation.object_id(outdial_id, errors, "outdial_id")
    wanted: list[str] | None = None
    if bool(done_reasons) is bool(target_ids):
        errors.append(invalid("Give either doneReasons or targetIds.", "done_reasons"))
    if target_ids and len(target_ids) > RESET_IDS_MAX:
        errors.append(invalid(f"At most {RESET_IDS_MAX} ids.", "target_ids"))
    elif target_ids:
        wanted = [
            validation.object_id(target_id, errors, "target_ids", str(index))
            for index, target_id in enumerate(target_ids)
        ]
    if errors:
        raise Rejected(errors)
    if dry_run:
        total = await db.transaction(_count, viewer, outdial_id, done_reasons, wanted)
        return Reset(min(total, RESET_TARGETS_MAX), max(0, total - RESET_TARGETS_MAX))
    done = 0
    while done < RESET_TARGETS_MAX:
        some = await db.transaction(_chunk, viewer, outdial_id, done_reasons, wanted)
        if not some:
            return Reset(done, 0)
        done += some
    return Reset(done, await db.transaction(_count, viewer, outdial_id, done_reasons, wanted))


def _matching(
    outdial: Outdial,
    done_reasons: Sequence[DoneReason] | None,
    target_ids: Sequence[str] | None,
    parameter: Parameters,
    *,
    is_guarded: bool,
    now: datetime,
) -> str:
    if done_reasons:
        reasons = db.any_of(parameter([reason.value for reason in done_reasons]), "text")
        which = f"done_reason {reasons}"
    else:
        which = f"id {db.any_of(parameter(list(target_ids or ())))} AND done_reason <> 'DO_NOT_CALL'"
    customer = parameter(outdial.customer_id)
    suppressed = destinations.Suppressed(customer, parameter(now)) if is_guarded else None
    usable = destinations.any_usable(outdial.dial_policy.max_try_counts, suppressed, from_zero=True)
    return (
        f"customer_id = {customer} AND outdial_id = {parameter(outdial.id)}"
        f" AND status = 'DONE' AND tm_delete IS NULL AND {which} AND {usable}"
    )


async def _count(
    tx: Transaction,
    viewer: Viewer,
    outdial_id: str,
    done_reasons: Sequence[DoneReason] | None,
    target_ids: Sequence[str] | None,
) -> int:
    outdial, is_guarded = await store.lock_outdial_and_look(tx, viewer, outdial_id, "outdial_id")
    parameter, now = Parameters(), await tx.now()
    met = _matching(outdial, done_reasons, target_ids, parameter, is_guarded=is_guarded, now=now)
    total: int = (await tx.fetch(f"SELECT count(*) AS total FROM target WHERE {met}", *parameter.values))[0]["total"]
    return total


async def _chunk(
    tx: Transaction,
    viewer: Viewer,
    outdial_id: str,
    done_reasons: Sequence[DoneReason] | None,
    target_ids: Sequence[str] | None,
) -> int:
    """Reset some of the targets that match. Returns how many."""
    outdial, is_guarded = await store.lock_outdial_and_look(tx, viewer, outdial_id, "outdial_id")
    parameter, now = Parameters(), await tx.now()
    met = _matching(outdial, done_reasons, target_ids, parameter, is_guarded=is_guarded, now=now)
    # The condition is there twice: if PostgreSQL waited for a row, it checks only the outer condition again.
    found = await tx.fetch(
        f"""
        SELECT {tables.TARGET} FROM target
        WHERE id IN (SELECT id FROM target WHERE {met} LIMIT {CHUNK_TARGETS}) AND {met}
        ORDER BY id {db.for_update()}
        """,
        *parameter.values,
    )
    if not found:
        return 0
    changes = []
    for target in map(rows.target, found):
        idle = moved(target, Standing(TargetStatus.IDLE, next_try_at=now))
        fresh = replace(idle, try_counts=(0,) * DESTINATIONS, last_attempt_id=None)
        changes.append(changed(target, fresh, TargetEventType.RESET, now))
    await store.save(tx, changes, one_event=event_of_all(outdial, changes) if len(changes) > 1 else None)
    return len(changes)
