"""Callbacks by their owner: schedule and cancel."""

from app import callbacks, db, store, validation
from app.auth import Viewer
from app.changes import changed
from app.db import Transaction
from app.errors import Rejected, UserError, UserErrorCode, invalid, rejected
from app.lifecycle import DoneReason, TargetEventType, Tries
from app.records import NONE_COUNTING, CallbackDraft, Outdial, Target, suppressed_among
from app.targets.writing import known_id, lock


async def schedule(viewer: Viewer, target_id: str, *, draft: CallbackDraft) -> Target:
    """Let a target be called at a time. An earlier callback of it is replaced, and a done target is opened again.

    Its try counts stay. While somebody has the target, the callback waits for the end of the attempt.

    Args:
        viewer: the caller.
        target_id: the target.
        draft: the callback. A time in the past means now.

    Raises:
        Rejected: INVALID, NOT_FOUND, CONFLICT if the person must not be called, or SUPPRESSED if no address may be
            called, or the one that is wanted may not.
    """
    errors: list[UserError] = []
    target_id = validation.object_id(target_id, errors, "target_id")
    draft = validation.callback(draft, errors, "callback")
    if errors:
        raise Rejected(errors)
    return await db.transaction(_schedule, viewer, target_id, draft)


async def _schedule(tx: Transaction, viewer: Viewer, target_id: str, draft: CallbackDraft) -> Target:
    outdial, target, is_guarded = await lock(tx, viewer, target_id, "target_id")
    now = await tx.now()
    if draft.at > now + validation.CALLBACK_AHEAD:
        raise Rejected([invalid(validation.TOO_FAR_AHEAD, "callback", "at")])
    if target.done_reason is DoneReason.DO_NOT_CALL:
        raise rejected(
            UserErrorCode.CONFLICT,
            "The target is done because the person must not be called. Reset it before you schedule a callback.",
            "target_id",
        )
    tries = await _tries(tx, outdial, target, is_guarded=is_guarded)
    wanted = draft.destination_index
    sought = callbacks.offered(tries, wanted) if wanted is None or not tries.set[wanted] else (wanted,)
    if (sought or any(tries.suppressed)) and all(index in tries.suppressed for index in sought):
        raise rejected(UserErrorCode.SUPPRESSED, "The address is on the do-not-call list.", "target_id")
    change = changed(
        target, callbacks.scheduled(target, draft.callback(now, wanted), tries), TargetEventType.CALLBACK, now
    )
    await store.save(tx, [change])
    return change.after


async def _tries(tx: Transaction, outdial: Outdial, target: Target, *, is_guarded: bool) -> Tries:
    counting = NONE_COUNTING
    if is_guarded:
        places = [place.place for place in target.destinations if place is not None]
        counting = await store.counting(tx, outdial.customer_id, places, await tx.now())
    return target.tries(outdial.dial_policy, suppressed_among(target.destinations, counting))


async def cancel(viewer: Viewer, target_id: str) -> Target:
    """Take a target's callback back: it is as it was before. A target without one stays as it is.

    Raises:
        Rejected: NOT_FOUND.
    """
    return await db.transaction(_cancel, viewer, known_id(target_id))


async def _cancel(tx: Transaction, viewer: Viewer, target_id: str) -> Target:
    outdial, target, is_guarded = await lock(tx, viewer, target_id, "id")
    if target.callback is None:
        return target
    tries = await _tries(tx, outdial, target, is_guarded=is_guarded)
    change = changed(target, callbacks.canceled(target, tries), TargetEventType.CALLBACK, await tx.now())
    await store.save(tx, [change])
    return change.after
