"""Turns drafts into targets: checked, canonical, and ready to be stored. Pure."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from typing import Any

from app import ids, validation
from app.changes import Change, changed, moved
from app.errors import Rejected, UserError, invalid
from app.lifecycle import DESTINATIONS, Standing, TargetEventType, TargetStatus, Tries, idle_or_exhausted
from app.records import CheckedTarget, Destination, Outdial, Target


def new_target(outdial: Outdial, draft: CheckedTarget, now: datetime) -> Target:
    """A target that was never tried: due at once or when the draft says, or exhausted if no try is allowed."""
    limits = outdial.dial_policy.max_try_counts if draft.max_try_counts is None else draft.max_try_counts
    due = max(now, draft.not_before or now)
    standing = _first_standing(tuple([place is not None for place in draft.destinations]), limits, due)
    return Target(
        id=ids.new(),
        customer_id=outdial.customer_id,
        outdial_id=outdial.id,
        key=draft.key,
        name=draft.name,
        detail=draft.detail,
        data=draft.data,
        status=standing.status,
        done_reason=standing.done_reason,
        priority=draft.priority,
        max_try_counts=draft.max_try_counts,
        destinations=draft.destinations,
        try_counts=_UNTRIED,
        invalid_destinations=frozenset(),
        next_try_at=standing.next_try_at,
        last_attempt_id=None,
        version=1,
        tm_create=now,
        tm_update=now,
        tm_delete=None,
    )


_UNTRIED = (0,) * DESTINATIONS


# most of a thousand targets in a call have the same answer
@lru_cache(maxsize=256)
def _first_standing(is_set: tuple[bool, ...], limits: tuple[int, ...], due: datetime) -> Standing:
    tries = Tries(set=is_set, invalid=(False,) * DESTINATIONS, counts=_UNTRIED, limits=limits)
    return idle_or_exhausted(tries, due)


def checked_changes(changes: Mapping[str, Any]) -> dict[str, Any]:
    """The given fields of an update in canonical form, destinations under their own names.

    Raises:
        Rejected: INVALID, with everything that is wrong.
    """
    errors: list[UserError] = []
    given: dict[str, Any] = dict(validation.texts(changes, errors))
    if "priority" in changes:
        given["priority"] = validation.number(changes["priority"], 0, validation.PRIORITY_MAX, errors, "priority")
    if "max_try_counts" in changes:
        given["max_try_counts"] = validation.try_counts(changes["max_try_counts"], errors, "max_try_counts")
    if "not_before" in changes:
        given["not_before"] = validation.instant(changes["not_before"], errors, "not_before")
    for name in destination_names(changes):
        given[name] = validation.destination(changes[name], errors, name)
    if errors:
        raise Rejected(errors)
    return given


def destination_names(changes: Mapping[str, Any]) -> list[str]:
    return [name for index in range(DESTINATIONS) if (name := f"destination_{index}") in changes]


def replacing(draft: CheckedTarget) -> dict[str, Any]:
    """The changes that replace a whole row with a draft. If the draft has no time, the target's own stays."""
    changes: dict[str, Any] = {
        "name": draft.name,
        "detail": draft.detail,
        "data": draft.data,
        "priority": draft.priority,
        "max_try_counts": draft.max_try_counts,
    }
    if draft.not_before is not None:
        changes["not_before"] = draft.not_before
    return changes | {f"destination_{index}": value for index, value in enumerate(draft.destinations)}


def updated(target: Target, outdial: Outdial, changes: Mapping[str, Any], now: datetime) -> Change | None:
    """What an update makes of a target; None if it changes nothing.

    A changed address loses the invalid mark of the old one, and keeps its try count. An idle target without a usable
    destination is finished; a progressing one is checked when its attempt ends; a done one stays done.

    Raises:
        Rejected: INVALID, if no destination would be left.
    """
    plain = {name: value for name, value in changes.items() if name in _PLAIN}
    destinations = tuple(
        changes.get(f"destination_{index}", target.destinations[index]) for index in range(DESTINATIONS)
    )
    if not any(destinations):
        raise Rejected(
            [
                invalid(
                    "A target needs at least one destination. Set another one before you clear this one.",
                    destination_names(changes)[0],
                )
            ]
        )
    marks = frozenset(
        index
        for index in target.invalid_destinations
        if _address(destinations[index]) == _address(target.destinations[index])
    )
    after = replace(target, **plain, destinations=destinations, invalid_destinations=marks)
    event_type = TargetEventType.UPDATED
    if target.status is TargetStatus.IDLE:
        assert target.next_try_at is not None
        due = _due(target.next_try_at, changes, now)
        after = moved(after, idle_or_exhausted(after.tries(outdial.dial_policy), due))
        if after.status is TargetStatus.DONE:
            event_type = TargetEventType.EXHAUSTED
    return None if after == target else changed(target, after, event_type, now)


_PLAIN = {"name", "detail", "data", "priority", "max_try_counts"}


def _address(destination: Destination | None) -> tuple[str, str] | None:
    return None if destination is None else (destination.type, destination.target)


def _due(due: datetime, changes: Mapping[str, Any], now: datetime) -> datetime:
    if "not_before" not in changes:
        return due
    wanted: datetime = changes["not_before"] or now
    # a target that is already due keeps its time
    return wanted if wanted > now else min(due, now)
