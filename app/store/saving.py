"""Writes changes: targets, attempts, counters, events, in this order."""

from collections.abc import Mapping, Sequence

from app import db, events, rows, tables
from app.changes import Change, Event, counted
from app.db import Transaction
from app.records import Attempt, Target
from app.store import counters

_TARGET_CHANGED = tables.TARGET.but("id", "customer_id", "outdial_id", "tm_create")
"""All columns of a target that can change."""
_ATTEMPT_WRITTEN = tables.ATTEMPT.but(
    "outdial_id", "target_id", "destination_index", "destination", "try_number", "dialer", "claimed_at"
)
_ATTEMPT_CHANGED = _ATTEMPT_WRITTEN.but("id", "customer_id")
"""All columns of an attempt that can change."""


async def save(
    tx: Transaction,
    changes: Sequence[Change],
    *,
    attempts: Sequence[Attempt] = (),
    attempts_made: Mapping[tuple[str, str], int] | None = None,
    one_event: Event | None = None,
) -> None:
    """Write changes in the order in which they happened.

    Args:
        tx: the use-case's transaction.
        changes: several may be of one target. New targets are stored by `save_new`.
        attempts: those that changed, as they are now.
        attempts_made: by (customer, outdial), the number of new tries; negative if tries were released.
        one_event: one for all changes, instead of one for each.
    """
    assert all(change.before is not None for change in changes)
    last = {change.after.id: change.after for change in changes}
    await update_targets(tx, list(last.values()))
    await _update_attempts(tx, attempts)
    await counters.move_all(tx, counted(changes, attempts_made or {}))
    await events.append(tx, [change.event for change in changes] if one_event is None else [one_event])


async def update_targets(tx: Transaction, targets: Sequence[Target]) -> None:
    """Only the rows. `save` writes the rest."""
    if not targets:
        return
    await tx.fetch(
        f"""
        UPDATE target SET {_assignments(_TARGET_CHANGED)}
        FROM {db.rowset("$1", tables.TARGET.kinds, "new")}
        WHERE target.id = new.id AND target.customer_id = new.customer_id
        """,
        db.rows_value([rows.target_values(target) for target in targets]),
    )


async def _update_attempts(tx: Transaction, attempts: Sequence[Attempt]) -> None:
    if not attempts:
        return
    await tx.fetch(
        f"""
        UPDATE attempt SET {_assignments(_ATTEMPT_CHANGED)}
        FROM {db.rowset("$1", _ATTEMPT_WRITTEN.kinds, "new")}
        WHERE attempt.id = new.id AND attempt.customer_id = new.customer_id
        """,
        db.rows_value(
            [{column: getattr(attempt, column) for column in _ATTEMPT_WRITTEN.kinds} for attempt in attempts]
        ),
    )


def _assignments(columns: tables.Columns) -> str:
    return ", ".join(f"{column} = new.{column}" for column in columns.kinds)
