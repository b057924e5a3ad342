"""Changes that an owner makes to all targets that match a filter: update and cancel."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson

from app import db, idempotency, store, validation
from app.auth import Viewer
from app.changes import Change, canceled
from app.db import Transaction
from app.errors import Rejected, UserError, invalid
from app.lifecycle import TargetStatus
from app.listing import Parameters
from app.records import NONE_COUNTING, Attempt, CalledTarget, ChangedTargets, Target, TargetFilter
from app.targets import drafts, many
from app.targets.many import Facts

_KINDS = {"priority": "integer", "max_try_counts": "json", "time_zone": "text"}
"""The fields that are a column, with its kind."""
SETTABLE = (*_KINDS, "not_before")
"""The fields that can have one value for many: texts, keys and addresses are each target's own."""


async def update_many(
    viewer: Viewer,
    outdial_id: str,
    *,
    where: TargetFilter,
    changes: Mapping[str, Any],
    dry_run: bool = False,
    idempotency_key: str | None = None,
) -> ChangedTargets:
    """Change the given fields of all targets that match, as `update` does: at most 10,000 in a call.

    Targets that have these values already do not match.

    Args:
        viewer: the caller.
        outdial_id: whose targets.
        where: which.
        changes: any of SETTABLE.
        dry_run: only count.
        idempotency_key: of the caller.

    Raises:
        Rejected: INVALID or NOT_FOUND, or CONFLICT if the key was used with another input.
        LimitExceeded: of a dry run, counting takes too long.
    """
    errors: list[UserError] = []
    outdial_id = validation.object_id(outdial_id, errors, "outdial_id")
    key = idempotency.checked(idempotency_key, errors)
    if not changes:
        errors.append(invalid("Give at least one of priority, maxTryCounts, notBefore and timeZone."))
    given = drafts.checked_into(errors, changes)
    if errors:
        raise Rejected(errors)
    work = many.Work(
        mutation="updateTargets",
        outdial_id=outdial_id,
        where=where,
        statuses=(TargetStatus.IDLE,) if set(given) == {"not_before"} else tuple(TargetStatus),
        reading=many.WHOLE,
        matching=lambda facts, parameter: _would_change(given, facts, parameter),
        decide=lambda tx, targets, facts: _update(tx, targets, facts, given),
    )
    value = (outdial_id, where, given)
    return await many.change(viewer, work, dry_run=dry_run, idempotency_key=key, value=value)


def _would_change(given: Mapping[str, Any], facts: Facts, parameter: Parameters) -> str:
    """A condition: a given field has another value, as `drafts.updated` compares it. In brackets."""
    met = [
        db.differs(name, parameter(_stored(given[name], kind)), kind) for name, kind in _KINDS.items() if name in given
    ]
    if "not_before" in given:
        wanted: datetime | None = given["not_before"]
        is_later = (
            f"next_try_at > {parameter(facts.now)}"  # a target that is already due keeps its time
            if wanted is None or wanted <= facts.now
            else f"next_try_at <> {parameter(wanted)}"
        )
        met.append(f"(status = 'IDLE' AND callback IS NULL AND {is_later})")
    return f"({' OR '.join(met)})"


def _stored(value: Any, kind: str) -> Any:
    return orjson.dumps(value).decode() if kind == "json" and value is not None else value


async def _update(
    tx: Transaction, targets: Sequence[Target], facts: Facts, given: Mapping[str, Any]
) -> tuple[Sequence[Change[Target]], Sequence[Attempt]]:
    counting = NONE_COUNTING
    if facts.is_guarded:
        idle = [target for target in targets if target.status is TargetStatus.IDLE]
        places = [place.place for target in idle for place in target.destinations if place is not None]
        counting = await store.counting(tx, facts.outdial.customer_id, places, facts.now)
    changes = [drafts.updated(target, facts.outdial, given, facts.now, counting) for target in targets]
    return [change for change in changes if change is not None], ()


async def cancel_many(
    viewer: Viewer,
    outdial_id: str,
    *,
    where: TargetFilter,
    dry_run: bool = False,
    idempotency_key: str | None = None,
) -> ChangedTargets:
    """Finish all targets that match, as `cancel` does: at most 10,000 in a call. Done ones do not match.

    Args:
        viewer: the caller.
        outdial_id: whose targets.
        where: which.
        dry_run: only count.
        idempotency_key: of the caller.

    Raises:
        Rejected: INVALID or NOT_FOUND, or CONFLICT if the key was used with another input.
        LimitExceeded: of a dry run, counting takes too long.
    """
    errors: list[UserError] = []
    outdial_id = validation.object_id(outdial_id, errors, "outdial_id")
    key = idempotency.checked(idempotency_key, errors)
    if errors:
        raise Rejected(errors)
    work = many.Work(
        mutation="cancelTargets",
        outdial_id=outdial_id,
        where=where,
        statuses=(TargetStatus.IDLE, TargetStatus.PROGRESSING),
        reading=many.CALLED,
        matching=None,
        decide=_cancel,
    )
    return await many.change(viewer, work, dry_run=dry_run, idempotency_key=key, value=(outdial_id, where))


async def _cancel(
    tx: Transaction, targets: Sequence[CalledTarget], facts: Facts
) -> tuple[Sequence[Change[CalledTarget]], Sequence[Attempt]]:
    changes = [canceled(target, facts.now) for target in targets]
    return changes, await store.read_revoked(tx, targets, facts.now)
