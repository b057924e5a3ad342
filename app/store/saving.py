"""Writes changes: targets, attempts, counters and events, on PostgreSQL in one statement."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any

from app import db, events, rows, tables
from app.changes import Change, Event, counted
from app.db import Transaction
from app.listing import Parameters
from app.records import Attempt, Target
from app.store import counters, due, grouping
from app.store.updating import updating

_TARGET_CHANGED = tables.TARGET_ROW.but(
    *("id", "customer_id", "outdial_id", "tm_create", "last_index", "zones", "zone_group", "wakes_at"),
)
"""All columns of a target that can change."""
_TARGET_WISHED = _TARGET_CHANGED.but(
    *("key", "name", "detail", "data", "priority", "time_zone", "max_try_counts", "tm_delete"),
    *(f"destination_{index}" for index in range(5)),
)
"""Those that calls change."""
_TARGET_CALLED = _TARGET_WISHED.but("rank", "callback", "callback_mask", "callback_check_at")
"""Likewise of targets without a callback."""
_TARGET_SET = tables.TARGET_ROW.only("priority", "time_zone", "max_try_counts", *_TARGET_WISHED.kinds)
"""Those that an owner may set for many targets: without their texts and addresses, which may be long."""
_TARGET_STEPPED = _TARGET_CALLED.only("version", "tm_update")
"""Those that each change of a target changes."""
_ATTEMPT_CHANGED = tables.ATTEMPT.but(
    *("id", "customer_id", "outdial_id", "target_id", "destination_index", "destination", "try_number"),
    *("dialer", "claimed_at"),
)
"""All columns of an attempt that can change."""
_CODED = ("code", "is_right_party", "is_conversion")
_TIMED = ("ring_seconds", "talk_seconds")
_ATTEMPT_SHAPES = {
    (is_coded, is_timed): _ATTEMPT_CHANGED.but(*(() if is_coded else _CODED), *(() if is_timed else _TIMED))
    for is_coded in (False, True)
    for is_timed in (False, True)
}
"""Those of attempts with a code or not, and with seconds or not. Once an attempt has them, it keeps them."""

_REPORTED = ("id", *_ATTEMPT_CHANGED.kinds)
_reported = attrgetter(*_REPORTED)


async def save(
    tx: Transaction,
    changes: Sequence[Change[Any]],
    *,
    attempts: Sequence[Attempt] = (),
    attempts_made: Mapping[str, int] | None = None,
    told: Sequence[Event] | None = None,
) -> None:
    """Write changes in the order in which they happened. All are of one customer.

    Args:
        tx: the use-case's transaction.
        changes: several may be of one target. New targets are stored by `save_new`.
        attempts: those that changed, as they are now.
        attempts_made: by outdial, the number of new tries; negative if tries were released.
        told: the events for all changes, instead of one for each.
    """
    told = [change.event for change in changes] if told is None else told
    parameter, writings = saving(changes, attempts, attempts_made or {}, told)
    if writings:
        if told:
            events.announce(tx, told)
        for topic in due.topics(changes):
            tx.wake(topic)
        await tx.send(writings, parameter.values)
        await _sort_again(tx, changes)


async def _sort_again(tx: Transaction, changes: Sequence[Change[Any]]) -> None:
    """Sort targets whose owner has changed where they may be."""
    changed = {
        change.after.id: change.after
        for change in changes
        if isinstance(change.after, Target) and _places(change.before) != _places(change.after)
    }
    if changed:
        await grouping.sort_if_needed(tx, list(changed.values()))


_places = attrgetter("destinations", "time_zone")


def saving(
    changes: Sequence[Change[Any]],
    attempts: Sequence[Attempt],
    attempts_made: Mapping[str, int],
    told: Sequence[Event],
) -> tuple[Parameters, list[str]]:
    """The same as statements that change different rows, with the parameters of all. The first one is the customer.

    Args:
        changes: as in `save`.
        attempts: likewise.
        attempts_made: likewise.
        told: the events.
    """
    assert all(change.before is not None for change in changes)
    if not changes and not attempts:
        return Parameters(), []
    parameter = Parameters([changes[0].after.customer_id if changes else attempts[0].customer_id])
    last = {change.after.id: change.after for change in changes}
    columns = next(columns for columns, suffice in _SHAPES if all(map(suffice, changes)))
    writings = [
        _updating_targets(list(last.values()), columns, parameter),
        _updating_attempts(attempts, parameter),
        counters.moving_all(counted(changes, attempts_made), parameter),
        events.appending(told, parameter) if told else None,
        _reserving(changes, parameter),
    ]
    return parameter, [sql for sql in writings if sql is not None]


def _reserving(changes: Sequence[Change[Any]], parameter: Parameters) -> str | None:
    """Notes that outdials have callbacks that are kept for one dialer: see `looks.Traits`.

    It is never taken back: a claim that looks in vain reads one place of an index, and to know that none is left, one
    more would have to be looked for whenever a callback ends.
    """
    kept = {
        change.after.outdial_id
        for change in changes
        if change.after.callback is not None
        and change.after.callback.is_reserved
        and (change.before is None or change.after.callback is not change.before.callback)
    }
    if not kept:
        return None
    condition = "customer_id = $1 AND has_reserved = 0"
    if not db.is_postgres():
        return f"UPDATE outdial SET has_reserved = 1 WHERE {condition} AND id = {parameter(db.Each(sorted(kept)))}"
    return f"UPDATE outdial SET has_reserved = 1 WHERE {condition} AND id {db.any_of(parameter(sorted(kept)))}"


async def keep_callbacks(tx: Transaction, given: Sequence[tuple[Target, datetime | None]]) -> None:
    """Write what becomes of callbacks, without an event. The version stays.

    Args:
        tx: a unit of work that has locked the targets, all of one customer.
        given: targets with their callbacks, and when to look at each again.
    """
    if not given:
        return
    targets = [target for target, _ in given]
    columns = tables.TARGET_ROW.only("rank", "callback", "callback_check_at")
    made = {"id": [target.id for target in targets], **rows.callback_columns(targets)}
    made["callback_check_at"] = [check_at for _, check_at in given]
    parameter = Parameters([targets[0].customer_id])
    await tx.send([updating("UPDATE target", made, columns, parameter)], parameter.values)
    for target in targets:
        if target.callback is not None and not target.callback.is_reserved:
            tx.wake(due.topic(target.outdial_id))  # now it is due for anybody, since an instant in the past


def _is_a_step(change: Change[Any]) -> bool:
    """Whether nothing but the version and the time has changed, as when a call is placed."""
    before: Any = change.before
    after = change.after
    return (
        before.status is after.status
        and before.done_reason is after.done_reason  # a late result may change it alone
        and before.invalid_destinations == after.invalid_destinations
        and before.first_index == after.first_index
        and before.next_try_at is after.next_try_at
        and before.last_attempt_id is after.last_attempt_id
        and before.try_counts is after.try_counts
        and before.callback is after.callback
        and _is_of_a_call(change)
    )


_texts = attrgetter("key", "name", "detail", "data")
_set = attrgetter("priority", "max_try_counts", "time_zone")


def _is_without_a_wish(change: Change[Any]) -> bool:
    """Whether only columns change that calls change, and no callback does."""
    before: Any = change.before
    return before.callback is change.after.callback and _is_of_a_call(change)


def _is_of_a_call(change: Change[Any]) -> bool:
    """Whether only columns change that calls change."""
    return not isinstance(change.after, Target) or (_is_a_setting(change) and _set(change.before) == _set(change.after))


def _is_a_setting(change: Change[Any]) -> bool:
    """Whether no text and no address changes, and the target stays."""
    before: Any = change.before
    after = change.after
    return (
        before.destinations == after.destinations
        and before.tm_delete is after.tm_delete
        and _texts(before) == _texts(after)
    )


_SHAPES: Sequence[tuple[tables.Columns, Callable[[Change[Any]], bool]]] = (
    (_TARGET_STEPPED, _is_a_step),
    (_TARGET_CALLED, _is_without_a_wish),
    (_TARGET_WISHED, _is_of_a_call),
    (_TARGET_SET, _is_a_setting),
    (_TARGET_CHANGED, lambda _: True),
)
"""Which columns to write, fewest first: each index of a column takes its time, also if the value stays."""


def _updating_targets(targets: Sequence[Any], columns: tables.Columns, parameter: Parameters) -> str | None:
    if not targets:
        return None
    is_owned = columns is _TARGET_SET or columns is _TARGET_CHANGED
    made = rows.target_columns(targets) if is_owned else rows.called_columns(targets)
    if columns is _TARGET_WISHED:
        made |= rows.callback_columns(targets)
    return updating("UPDATE target", made, columns, parameter)


def _updating_attempts(attempts: Sequence[Attempt], parameter: Parameters) -> str | None:
    if not attempts:
        return None
    made: dict[str, Sequence[Any]] = dict(zip(_REPORTED, zip(*map(_reported, attempts), strict=True), strict=True))
    made["state"] = [state._value_ for state in made["state"]]
    made["disposition"] = [disposition and disposition._value_ for disposition in made["disposition"]]
    is_coded, is_timed = (any(any(map(_is_given, made[name])) for name in names) for names in (_CODED, _TIMED))
    if is_coded:
        for flag in ("is_right_party", "is_conversion"):
            made[flag] = [None if value is None else int(value) for value in made[flag]]
    return updating("UPDATE attempt", made, _ATTEMPT_SHAPES[is_coded, is_timed], parameter)


def _is_given(value: object) -> bool:
    return value is not None
