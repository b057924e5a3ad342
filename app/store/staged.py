"""New targets of a file: thousands in one statement, with one event for each status and reason."""

from collections.abc import Sequence
from datetime import datetime

from app import db, events, tables
from app.changes import imported
from app.db import Transaction
from app.files import staging
from app.listing import Parameters
from app.records import Outdial
from app.store import counters

STAGING_TABLE = "staged_target"
_COPIED = ", ".join(name for name in staging.COLUMNS if name in tables.TARGET.kinds)
"""The columns that are copied from the staged row; the others are computed."""


async def save_staged(
    tx: Transaction,
    outdial: Outdial,
    bulk: bytes,
    *,
    rows: int,
    created: Sequence[int],
    exhausted: Sequence[int],
    now: datetime,
) -> None:
    """Store rows of a file as new targets.

    Args:
        tx: the use-case's transaction.
        outdial: whose targets they become.
        bulk: the rows, as `app.files.staging` makes them.
        rows: how many these are.
        created: which of them become targets, by their place.
        exhausted: which of those may not be tried at all.
        now: the instant at which they are created.
    """
    if not created:
        return
    parameter = Parameters()
    customer, owner, instant = (parameter(value) for value in (outdial.customer_id, outdial.id, now))
    is_exhausted = f"ord {db.any_of(parameter(exhausted), 'integer')}" if exhausted else "1 = 0"
    wanted = f"WHERE ord {db.any_of(parameter(created), 'integer')}" if len(created) < rows else ""
    placeholder = f"${len(parameter.values) + 1}"
    staged, value = await tx.stage(STAGING_TABLE, staging.COLUMNS, bulk, placeholder=placeholder)
    await tx.fetch(
        f"""
        INSERT INTO target (customer_id, outdial_id, status, done_reason, next_try_at, tm_create, tm_update, {_COPIED})
        SELECT {db.typed(customer, "uuid")}, {db.typed(owner, "uuid")},
               CASE WHEN {is_exhausted} THEN 'DONE' ELSE 'IDLE' END,
               CASE WHEN {is_exhausted} THEN 'EXHAUSTED' END,
               CASE WHEN {is_exhausted} THEN NULL WHEN not_before_at > {instant} THEN not_before_at ELSE {instant} END,
               {instant}, {instant}, {_COPIED}
        FROM {staged} {wanted} ORDER BY ord
        """,
        *parameter.values,
        *([value] if value else []),
    )
    idle = len(created) - len(exhausted)
    await counters.move(tx, outdial.customer_id, outdial.id, {"idle": idle, "exhausted": len(exhausted)})
    await events.append(tx, imported(outdial, now, idle=idle, exhausted=len(exhausted)))
