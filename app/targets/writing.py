"""Changes of targets by their owner: change, cancel and delete."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from app import db, store, validation
from app.auth import Viewer
from app.changes import canceled, changed, moved
from app.db import Transaction
from app.errors import Rejected, UserError, UserErrorCode, rejected
from app.lifecycle import DoneReason, Standing, TargetEventType, TargetStatus
from app.records import NONE_COUNTING, Outdial, Target
from app.targets import drafts


async def update(
    viewer: Viewer, target_id: str, *, changes: Mapping[str, Any], if_version: int | None = None
) -> Target:
    """Change the given fields and leave the rest.

    Args:
        viewer: the caller.
        target_id: the target.
        changes: any of name, detail, data, priority, max_try_counts, not_before, time_zone and destination_0 …
            destination_4.
        if_version: change it only if it still has this version.

    Raises:
        Rejected: INVALID, NOT_FOUND, or CONFLICT if the version is another.
    """
    target_id = known_id(target_id)
    return await db.transaction(_update, viewer, target_id, drafts.checked_changes(changes), if_version)


def known_id(target_id: str) -> str:
    errors: list[UserError] = []
    parsed = validation.object_id(target_id, errors, "id")
    if errors:
        raise Rejected(errors)
    return parsed


async def lock(tx: Transaction, viewer: Viewer, target_id: str, *path: str) -> tuple[Outdial, Target, bool]:
    """Lock and return a target and its outdial, and whether the customer has ever suppressed an address.

    Raises:
        Rejected: NOT_FOUND, with `path`.
    """
    found = await tx.fetch(
        "SELECT outdial_id FROM target WHERE customer_id = $1 AND id = $2", viewer.customer_id, target_id
    )
    if not found:
        raise _gone(*path)
    outdial, is_guarded = await store.lock_outdial_and_look(tx, viewer, found[0]["outdial_id"], *path, deleted=True)
    target = (await store.lock_targets(tx, viewer.customer_id, [target_id]))[target_id]
    if outdial.tm_delete is not None or target.tm_delete is not None:
        raise _gone(*path)
    return outdial, target, is_guarded


def _gone(*path: str) -> Rejected:
    return rejected(UserErrorCode.NOT_FOUND, "Target not found.", *path)


async def _update(
    tx: Transaction, viewer: Viewer, target_id: str, changes: Mapping[str, Any], if_version: int | None
) -> Target:
    outdial, target, is_guarded = await lock(tx, viewer, target_id, "id")
    if if_version is not None and if_version != target.version:
        raise rejected(
            UserErrorCode.CONFLICT,
            f"The target now has version {target.version}. Read it again before you change it.",
            "if_version",
        )
    now = await tx.now()
    counting = NONE_COUNTING
    if is_guarded:
        there = [*target.destinations, *(changes[name] for name in drafts.destination_names(changes))]
        places = [place.place for place in there if place is not None]
        counting = await store.counting(tx, viewer.customer_id, places, now)
    change = drafts.updated(target, outdial, changes, now, counting)
    if change is None:
        return target
    await store.save(tx, [change])
    return change.after


# ---------------------------------------------------------------- cancel, delete


async def cancel(viewer: Viewer, target_id: str) -> Target:
    """Finish a target. An attempt in progress loses its lease. A done target stays as it is.

    Raises:
        Rejected: NOT_FOUND.
    """
    return await db.transaction(_cancel, viewer, known_id(target_id))


async def _cancel(tx: Transaction, viewer: Viewer, target_id: str) -> Target:
    _, target, _ = await lock(tx, viewer, target_id, "id")
    if target.status is TargetStatus.DONE:
        return target
    now = await tx.now()
    change = canceled(target, now)
    await store.save(tx, [change], attempts=await store.read_revoked(tx, [target], now))
    return change.after


async def delete(viewer: Viewer, target_id: str) -> Target:
    """Mark a target as deleted. An attempt in progress loses its lease, and the key is free again.

    Raises:
        Rejected: NOT_FOUND.
    """
    return await db.transaction(_delete, viewer, known_id(target_id))


async def _delete(tx: Transaction, viewer: Viewer, target_id: str) -> Target:
    _, target, _ = await lock(tx, viewer, target_id, "id")
    now = await tx.now()
    after = target
    if target.status is TargetStatus.PROGRESSING:
        after = moved(target, Standing(TargetStatus.DONE, DoneReason.CANCELED))
    gone = replace(after, tm_delete=now, last_attempt_id=None, callback=None)
    change = changed(target, gone, TargetEventType.DELETED, now)
    await store.save(tx, [change], attempts=await store.read_revoked(tx, [target], now))
    return change.after
