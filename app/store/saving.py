"""Writes changes: targets, attempts, counters and events, on PostgreSQL in one statement."""

from collections.abc import Mapping, Sequence
from typing import Any

from app import db, events, rows, tables
from app.changes import Change, Event, counted
from app.db import Transaction
from app.listing import Parameters
from app.records import Attempt, Target
from app.store import counters

_TARGET_CHANGED = tables.TARGET.but("id", "customer_id", "outdial_id", "tm_create")
"""All columns of a target that can change."""
_TARGET_CALLED = _TARGET_CHANGED.but(
    *("key", "name", "detail", "data", "priority", "max_try_counts"), *(f"destination_{index}" for index in range(5))
)
"""Those that calls change."""
_ATTEMPT_CHANGED = tables.ATTEMPT.but(
    *("id", "customer_id", "outdial_id", "target_id", "destination_index", "destination", "try_number"),
    *("dialer", "claimed_at"),
)
"""All columns of an attempt that can change."""


async def save(
    tx: Transaction,
    changes: Sequence[Change],
    *,
    attempts: Sequence[Attempt] = (),
    attempts_made: Mapping[str, int] | None = None,
    one_event: Event | None = None,
) -> None:
    """Write changes in the order in which they happened. All are of one customer.

    Args:
        tx: the use-case's transaction.
        changes: several may be of one target. New targets are stored by `save_new`.
        attempts: those that changed, as they are now.
        attempts_made: by outdial, the number of new tries; negative if tries were released.
        one_event: one for all changes, instead of one for each.
    """
    assert all(change.before is not None for change in changes)
    if not changes and not attempts:
        return
    customer_id = changes[0].after.customer_id if changes else attempts[0].customer_id
    last = {change.after.id: change.after for change in changes}
    parameter = Parameters([customer_id])
    columns = _TARGET_CALLED if all(map(_is_of_a_call, changes)) else _TARGET_CHANGED
    told = [change.event for change in changes] if one_event is None else [one_event]
    writings = [
        _updating_targets(list(last.values()), columns, parameter),
        _updating_attempts(attempts, parameter),
        counters.moving_all(counted(changes, attempts_made or {}), parameter),
        events.appending(tx, told, parameter) if told else None,
    ]
    await tx.send([sql for sql in writings if sql is not None], parameter.values)


def _is_of_a_call(change: Change) -> bool:
    """Whether only columns change that calls change."""
    before, after = change.before, change.after
    return before is not None and (
        before.destinations is after.destinations
        and (before.key, before.name, before.detail, before.data, before.priority, before.max_try_counts)
        == (after.key, after.name, after.detail, after.data, after.priority, after.max_try_counts)
    )


def _updating_targets(targets: Sequence[Target], columns: tables.Columns, parameter: Parameters) -> str | None:
    values = rows.target_call_values if columns is _TARGET_CALLED else rows.target_values
    return _updating("UPDATE target", [values(target) for target in targets], columns, parameter)


def _updating_attempts(attempts: Sequence[Attempt], parameter: Parameters) -> str | None:
    values = [
        {"id": attempt.id} | {column: getattr(attempt, column) for column in _ATTEMPT_CHANGED.kinds}
        for attempt in attempts
    ]
    return _updating("UPDATE attempt", values, _ATTEMPT_CHANGED, parameter)


def _updating(
    update: str, values: Sequence[Mapping[str, Any]], columns: tables.Columns, parameter: Parameters
) -> str | None:
    if not values:
        return None
    given = db.table_of(values, {"id": "uuid", **columns.kinds}, "new", parameter)
    assigned = ", ".join(f"{column} = new.{column}" for column in columns.kinds)
    table = update.removeprefix("UPDATE ")
    # SQLite would go through all rows of the customer, and for each through the given ones: so it must begin with these
    customer = "$1" if db.is_postgres() else "CASE WHEN new.id IS NULL THEN NULL ELSE $1 END"
    return f"{update} SET {assigned} FROM {given} WHERE {table}.customer_id = {customer} AND {table}.id = new.id"
