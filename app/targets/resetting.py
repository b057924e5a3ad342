"""Resets done targets: their try counts return to zero, their attempts stay."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from app import db, destinations, idempotency, validation
from app.auth import Viewer
from app.changes import Change, changed, moved
from app.errors import Rejected, UserError, invalid
from app.lifecycle import DESTINATIONS, DoneReason, Standing, TargetEventType, TargetStatus
from app.listing import Parameters
from app.records import Attempt, CalledTarget, ChangedTargets, TargetFilter
from app.targets import many
from app.targets.many import Facts

RESET_IDS_MAX = 500


async def reset(
    viewer: Viewer,
    outdial_id: str,
    *,
    done_reasons: Sequence[DoneReason] | None = None,
    target_ids: Sequence[str] | None = None,
    where: TargetFilter | None = None,
    not_before: datetime | None = None,
    dry_run: bool = False,
    idempotency_key: str | None = None,
) -> ChangedTargets:
    """Bring done targets back to idle: at most 10,000 in a call, in steps with a transaction each.

    Targets without a usable destination that may be called now stay as they are and do not count. Those that are done
    with DO_NOT_CALL come back only if that reason is named, in `done_reasons` or in the filter.

    Args:
        viewer: the caller.
        outdial_id: whose targets.
        done_reasons: those that are done for these reasons. One of this, `target_ids` and `where` is given.
        target_ids: these.
        where: those that match.
        not_before: when they are due. None, or an instant in the past: now.
        dry_run: only count.
        idempotency_key: of the caller.

    Raises:
        Rejected: INVALID or NOT_FOUND, or CONFLICT if the key was used with another input.
        LimitExceeded: of a dry run, counting takes too long.
    """
    errors: list[UserError] = []
    outdial_id = validation.object_id(outdial_id, errors, "outdial_id")
    wanted: tuple[str, ...] = ()
    if [bool(done_reasons), bool(target_ids), where is not None].count(True) != 1:
        errors.append(invalid("Give one of doneReasons, targetIds and where.", "done_reasons"))
    if target_ids and len(target_ids) > RESET_IDS_MAX:
        errors.append(invalid(f"At most {RESET_IDS_MAX} ids.", "target_ids"))
    elif target_ids:
        wanted = tuple(
            validation.object_id(target_id, errors, "target_ids", str(index))
            for index, target_id in enumerate(target_ids)
        )
    due = validation.instant(not_before, errors, "not_before")
    key = idempotency.checked(idempotency_key, errors)
    if errors:
        raise Rejected(errors)
    chosen = where or TargetFilter(done_reasons=tuple(done_reasons or ()))
    if not chosen.done_reasons:
        chosen = replace(chosen, done_reasons=_WITHOUT_BEING_NAMED)
    work = many.Work(
        mutation="resetTargets",
        outdial_id=outdial_id,
        where=chosen,
        statuses=(TargetStatus.DONE,),
        reading=many.CALLED,
        matching=lambda facts, parameter: _matching(facts, wanted, parameter),
        decide=lambda _, targets, facts: _decide(targets, facts, due),
        is_of_few=bool(wanted),
    )
    value = (outdial_id, wanted, chosen, due)
    return await many.change(viewer, work, dry_run=dry_run, idempotency_key=key, value=value)


_WITHOUT_BEING_NAMED = tuple(reason for reason in DoneReason if reason is not DoneReason.DO_NOT_CALL)


def _matching(facts: Facts, target_ids: Sequence[str], parameter: Parameters) -> str:
    suppressed = (
        destinations.Suppressed(parameter(facts.outdial.customer_id), parameter(facts.now))
        if facts.is_guarded
        else None
    )
    usable = destinations.any_usable(facts.outdial.dial_policy.max_try_counts, suppressed, from_zero=True)
    return f"{usable} AND id {db.any_of(parameter(list(target_ids)))}" if target_ids else usable


async def _decide(
    targets: Sequence[CalledTarget], facts: Facts, not_before: datetime | None
) -> tuple[Sequence[Change[CalledTarget]], Sequence[Attempt]]:
    due = max(facts.now, not_before or facts.now)
    changes = []
    for target in targets:
        idle = moved(target, Standing(TargetStatus.IDLE, next_try_at=due))
        fresh = replace(idle, try_counts=(0,) * DESTINATIONS, first_index=0, last_attempt_id=None)
        changes.append(changed(target, fresh, TargetEventType.RESET, facts.now))
    return changes, ()
