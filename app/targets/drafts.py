"""Turns drafts into targets: checked, canonical, and ready to be stored. Pure."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from operator import attrgetter
from typing import Any

from app import callbacks, ids, validation
from app.changes import FINISHING, Change, changed
from app.errors import Rejected, UserError, invalid
from app.lifecycle import (
    DESTINATIONS,
    NOTHING_SUPPRESSED,
    DoneReason,
    Standing,
    TargetEventType,
    TargetStatus,
    Tries,
    idle_or_done,
)
from app.records import (
    NONE_COUNTING,
    CallbackDraft,
    CheckedTarget,
    Counting,
    Destination,
    Outdial,
    Target,
    suppressed_among,
)


def new_target(
    outdial: Outdial,
    draft: CheckedTarget,
    now: datetime,
    suppressed: Mapping[int, datetime | None] = NOTHING_SUPPRESSED,
) -> Target:
    """A target that was never tried: due at once or when the draft says, or done if nothing may ever be tried."""
    limits = outdial.dial_policy.max_try_counts if draft.max_try_counts is None else draft.max_try_counts
    due = max(now, draft.not_before or now)
    standing = _first_standing(
        tuple([place is not None for place in draft.destinations]), limits, due, tuple(suppressed.items())
    )
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
        time_zone=draft.time_zone,
        max_try_counts=draft.max_try_counts,
        destinations=draft.destinations,
        try_counts=_UNTRIED,
        invalid_destinations=frozenset(),
        first_index=0,
        next_try_at=standing.next_try_at,
        callback=None,
        last_attempt_id=None,
        version=1,
        tm_create=now,
        tm_update=now,
        tm_delete=None,
    )


_UNTRIED = (0,) * DESTINATIONS


# most of a thousand targets in a call have the same answer
@lru_cache(maxsize=256)
def _first_standing(
    is_set: tuple[bool, ...],
    limits: tuple[int, ...],
    due: datetime,
    suppressed: tuple[tuple[int, datetime | None], ...],
) -> Standing:
    tries = Tries(is_set, (False,) * DESTINATIONS, _UNTRIED, limits, dict(suppressed))
    return idle_or_done(tries, due)


def checked_changes(changes: Mapping[str, Any]) -> dict[str, Any]:
    """The given fields of an update in canonical form, destinations under their own names.

    Raises:
        Rejected: INVALID, with everything that is wrong.
    """
    errors: list[UserError] = []
    given = checked_into(errors, changes)
    if errors:
        raise Rejected(errors)
    return given


def checked_into(errors: list[UserError], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Likewise. What is wrong is added to `errors`."""
    given: dict[str, Any] = dict(validation.texts(changes, errors))
    if "priority" in changes:
        given["priority"] = validation.number(changes["priority"], 0, validation.PRIORITY_MAX, errors, "priority")
    if "max_try_counts" in changes:
        given["max_try_counts"] = validation.try_counts(changes["max_try_counts"], errors, "max_try_counts")
    if "time_zone" in changes:
        given["time_zone"] = validation.time_zone(changes["time_zone"], errors, "time_zone")
    if "not_before" in changes:
        given["not_before"] = validation.instant(changes["not_before"], errors, "not_before")
    for name in destination_names(changes):
        given[name] = validation.destination(changes[name], errors, name)
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
        "time_zone": draft.time_zone,
    }
    if draft.not_before is not None:
        changes["not_before"] = draft.not_before
    return changes | {f"destination_{index}": value for index, value in enumerate(draft.destinations)}


def updated(
    target: Target,
    outdial: Outdial,
    changes: Mapping[str, Any],
    now: datetime,
    counting: Counting = NONE_COUNTING,
) -> Change[Target] | None:
    """What an update makes of a target; None if it changes nothing.

    A changed address loses the invalid mark of the old one, and keeps its try count. An idle target without a usable
    destination, or whose usable ones must never be called, is finished; a progressing one is checked when its attempt
    ends; a done one stays done. One with a callback stays due at the callback's time, whatever `not_before` says.

    Args:
        target: as it is.
        outdial: its outdial.
        changes: the given fields, checked.
        now: the instant.
        counting: the suppressions that count of its addresses, old and new.

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
        if target.callback is None:
            after = replace(after, next_try_at=_due(target.next_try_at, changes, now))
        tries = after.tries(outdial.dial_policy, suppressed_among(destinations, counting))
        after = callbacks.judged(after, tries)
        if after.status is TargetStatus.DONE:
            event_type = FINISHING[after.done_reason]
    return None if after == target else changed(target, after, event_type, now)


def asked(
    target: Target, outdial: Outdial, draft: CallbackDraft, now: datetime, counting: Counting = NONE_COUNTING
) -> Change[Target] | None:
    """What a file's callback makes of a target; None if it changes nothing, or if the person must not be called.

    Args:
        target: as it is.
        outdial: its outdial.
        draft: the callback, checked.
        now: the instant.
        counting: the suppressions that count of its addresses.
    """
    if target.done_reason is DoneReason.DO_NOT_CALL:
        return None
    wish, was = draft.callback(now, draft.destination_index), target.callback
    if was is not None and _wish(replace(was, at=max(was.at, now))) == _wish(wish):
        return None
    tries = target.tries(outdial.dial_policy, suppressed_among(target.destinations, counting))
    return changed(target, callbacks.scheduled(target, wish, tries), TargetEventType.CALLBACK, now)


_wish = attrgetter("at", "destination_index", "dialer", "window_seconds", "note")

_PLAIN = {"name", "detail", "data", "priority", "max_try_counts", "time_zone"}


def _address(destination: Destination | None) -> str | None:
    return None if destination is None else destination.address


def _due(due: datetime, changes: Mapping[str, Any], now: datetime) -> datetime:
    if "not_before" not in changes:
        return due
    wanted: datetime = changes["not_before"] or now
    # a target that is already due keeps its time
    return wanted if wanted > now else min(due, now)
