"""Changes of targets and attempts: each step with its event and its effect on the counters. Pure.

The use-cases decide by the rules of `app.lifecycle`, make changes of it here, and hand them to `app.store`.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from app.frozen import replace
from app.lifecycle import AttemptState, Disposition, DoneReason, Ruling, Standing, TargetEventType, TargetStatus
from app.records import Attempt, CalledTarget, Outdial, Target
from app.rows import REASON_COLUMNS

Event = Mapping[str, Any]
"""A row of `target_event`, without its place in the log."""


T = TypeVar("T", bound=CalledTarget)

FINISHING: Mapping[DoneReason | None, TargetEventType] = {
    DoneReason.EXHAUSTED: TargetEventType.EXHAUSTED,
    DoneReason.DO_NOT_CALL: TargetEventType.SUPPRESSED,
    None: TargetEventType.UPDATED,
}
"""What happened to an idle target, by the reason if it has nothing left to try. If it has none, another destination may
be called."""


@dataclass(frozen=True, slots=True)
class Change(Generic[T]):
    """One step of one target, with its event."""

    before: T | None
    after: T
    event: Event


def created(target: Target) -> Change[Target]:
    return Change(None, target, event_of(target, TargetEventType.CREATED, target.tm_create, previous_status=None))


def changed(
    before: T,
    after: T,
    event_type: TargetEventType,
    now: datetime,
    *,
    attempt: Attempt | None = None,
    disposition: Disposition | None = None,
) -> Change[T]:
    """A step from one state to the next. Sets the version and the time of change."""
    # never earlier than before: the clocks of two transactions can be in another order than their locks
    stamped = replace(after, version=before.version + 1, tm_update=max(now, before.tm_update))
    return Change(
        before,
        stamped,
        event_of(
            stamped,
            event_type,
            now,
            previous_status=before.status,
            destination_index=None if attempt is None else attempt.destination_index,
            attempt_id=None if attempt is None else attempt.id,
            disposition=disposition,
        ),
    )


def moved(target: T, standing: Standing) -> T:
    return replace(target, status=standing.status, done_reason=standing.done_reason, next_try_at=standing.next_try_at)


def ruled(target: T, ruling: Ruling | None) -> T:
    """A target whose attempt has ended by itself: its next claim begins where the retry rule says, or else at 0."""
    first_index = 0 if ruling is None else ruling.first_index
    return target if target.first_index == first_index else replace(target, first_index=first_index)


def canceled(target: T, now: datetime) -> Change[T]:
    """Finished by its owner. The last attempt is cleared, so no late report brings the target back."""
    finished = moved(target, Standing(TargetStatus.DONE, DoneReason.CANCELED))
    return changed(target, replace(finished, last_attempt_id=None, callback=None), TargetEventType.CANCELED, now)


# ---------------------------------------------------------------- new targets


def created_all(targets: Sequence[Target]) -> dict[str, Sequence[Any]]:
    """The events that new targets of one outdial were created, as columns of `target_event`.

    The same as the events of `created`. Those of one call differ in a few columns only.
    """
    first = targets[0]
    columns: dict[str, Sequence[Any]] = {name: [value] * len(targets) for name, value in created(first).event.items()}
    columns["target_id"] = [target.id for target in targets]
    columns["status"] = [target.status.value for target in targets]
    columns["done_reason"] = [target.done_reason and target.done_reason.value for target in targets]
    columns["next_try_at"] = [target.next_try_at for target in targets]
    return columns


# ---------------------------------------------------------------- attempts


def ended(attempt: Attempt, state: AttemptState, at: datetime, **reported: Any) -> Attempt:
    return replace(attempt, state=state, expires_at=None, ended_at=at, **reported)


# ---------------------------------------------------------------- events


def event_of(
    target: CalledTarget,
    event_type: TargetEventType,
    occurred_at: datetime,
    *,
    previous_status: TargetStatus | None,
    destination_index: int | None = None,
    attempt_id: str | None = None,
    disposition: Disposition | None = None,
) -> Event:
    """The event of one target's change; `target` is the target right after it."""
    gone = event_type is TargetEventType.DELETED
    return {
        "customer_id": target.customer_id,
        "outdial_id": target.outdial_id,
        "target_id": target.id,
        "type": event_type._value_,
        "occurred_at": occurred_at,
        "count": 1,
        "status": None if gone else target.status._value_,
        "previous_status": previous_status and previous_status._value_,
        "done_reason": None if gone or target.done_reason is None else target.done_reason._value_,
        "try_counts": target.try_counts,
        "next_try_at": None if gone else target.next_try_at,
        "version": target.version,
        "destination_index": destination_index,
        "attempt_id": attempt_id,
        "disposition": disposition and disposition._value_,
    }


def event_of_many(
    outdial: Outdial,
    event_type: TargetEventType,
    occurred_at: datetime,
    *,
    count: int,
    status: TargetStatus,
    previous_status: TargetStatus | None,
    done_reason: DoneReason | None = None,
) -> Event:
    """One event for many targets that all changed from one status to another."""
    return {
        "customer_id": outdial.customer_id,
        "outdial_id": outdial.id,
        "target_id": None,
        "type": event_type.value,
        "occurred_at": occurred_at,
        "count": count,
        "status": status.value,
        "previous_status": previous_status and previous_status.value,
        "done_reason": done_reason and done_reason.value,
        "try_counts": (),
        "next_try_at": None,
        "version": None,
        "destination_index": None,
        "attempt_id": None,
        "disposition": None,
    }


def imported(outdial: Outdial, now: datetime, *, idle: int, exhausted: int, do_not_call: int) -> list[Event]:
    """One event for each combination of status and reason among the new targets of a file."""
    standings = (
        (idle, TargetStatus.IDLE, None),
        (exhausted, TargetStatus.DONE, DoneReason.EXHAUSTED),
        (do_not_call, TargetStatus.DONE, DoneReason.DO_NOT_CALL),
    )
    return [
        event_of_many(
            outdial,
            TargetEventType.IMPORTED,
            now,
            count=count,
            status=status,
            previous_status=None,
            done_reason=reason,
        )
        for count, status, reason in standings
        if count
    ]


def events_of_all(outdial: Outdial, changes: Iterable[Change[T]]) -> list[Event]:
    """One event for each type, previous status, status and reason among changes of stored targets of one outdial.

    A change that is the only one of its kind keeps its own event, which tells more.
    """
    alike: defaultdict[tuple[Any, ...], list[Change[T]]] = defaultdict(list)
    for change in changes:
        alike[tuple(change.event[name] for name in ("type", "previous_status", "status", "done_reason"))].append(change)
    return [_event_of_alike(outdial, some) if len(some) > 1 else some[0].event for some in alike.values()]


def _event_of_alike(outdial: Outdial, changes: Sequence[Change[T]]) -> Event:
    first = changes[0]
    assert first.before is not None
    return event_of_many(
        outdial,
        TargetEventType(first.event["type"]),
        first.event["occurred_at"],
        count=len(changes),
        status=first.after.status,
        previous_status=first.before.status,
        done_reason=first.after.done_reason,
    )


# ---------------------------------------------------------------- counts


def counter(target: CalledTarget | None) -> str | None:
    """The counter that counts a target; None before it is created and after it is deleted."""
    if target is None or target.tm_delete is not None:
        return None
    if target.status is TargetStatus.DONE:
        assert target.done_reason is not None
        return REASON_COLUMNS[target.done_reason]
    return "idle" if target.status is TargetStatus.IDLE else "progressing"


def counted(changes: Sequence[Change[Any]], attempts_made: Mapping[str, int]) -> dict[str, Counter[str]]:
    """How much the changes add to each outdial's counters, by the outdial's id.

    Args:
        changes: of any outdials.
        attempts_made: by outdial, the number of new tries; negative if tries were released.
    """
    deltas: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for change in changes:
        owner = deltas[change.after.outdial_id]
        for target, step in ((change.before, -1), (change.after, 1)):
            name = counter(target)
            if name is not None:
                owner[name] += step
    for outdial_id, made in attempts_made.items():
        deltas[outdial_id]["attempts"] += made
    return deltas


def counted_new(targets: Sequence[Target]) -> Counter[str]:
    """Like `counted`, for new targets of one outdial."""
    return Counter(name for target in targets if (name := counter(target)) is not None)
