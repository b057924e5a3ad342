"""New targets of a file: thousands in one statement, with one event for each status and reason."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from app import db, destinations, events, tables
from app import rows as records
from app.changes import imported
from app.db import Transaction
from app.files import staging
from app.lifecycle import DoneReason
from app.listing import Parameters
from app.records import Outdial
from app.store import counters, grouping

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
    done: Mapping[int, DoneReason],
    is_staged: bool,
    now: datetime,
) -> None:
    """Store rows of a file as new targets.

    Args:
        tx: the use-case's transaction.
        outdial: whose targets they become.
        bulk: the rows, as `app.files.staging` makes them.
        rows: how many these are.
        created: which of them become targets, by their place.
        done: which of those may not be tried at all, and why.
        is_staged: the transaction has staged them, for `suppressed_rows`.
        now: the instant at which they are created.
    """
    if not created:
        return
    parameter = Parameters()
    customer, owner, instant = (parameter(value) for value in (outdial.customer_id, outdial.id, now))
    of_reason = {reason: [row for row, why in done.items() if why is reason] for reason in set(done.values())}
    cases = "".join(
        f" WHEN ord {db.any_of(parameter(rows_of), 'integer')} THEN '{reason}'" for reason, rows_of in of_reason.items()
    )
    reason = f"CASE{cases} END" if cases else db.typed("NULL", "text")
    wanted = f"WHERE ord {db.any_of(parameter(created), 'integer')}" if len(created) < rows else ""
    placeholder = f"${len(parameter.values) + 1}"
    staged, value = await _staged(tx, bulk, placeholder, is_staged=is_staged)
    await tx.fetch(
        f"""
        INSERT INTO target (
            customer_id, outdial_id, status, done_reason, next_try_at, tm_create, tm_update, rank, {_COPIED}
        )
        SELECT {db.typed(customer, "uuid")}, {db.typed(owner, "uuid")},
               CASE WHEN done_reason IS NULL THEN 'IDLE' ELSE 'DONE' END, done_reason,
               CASE WHEN done_reason IS NOT NULL THEN NULL
                    WHEN not_before_at > {instant} THEN not_before_at ELSE {instant} END,
               {instant}, {instant}, priority, {_COPIED}
        FROM (SELECT staged.*, {reason} AS done_reason FROM {staged} {wanted}) AS judged ORDER BY ord
        """,
        *parameter.values,
        *([value] if value else []),
    )
    exhausted, do_not_call = (
        len(of_reason.get(reason, ())) for reason in (DoneReason.EXHAUSTED, DoneReason.DO_NOT_CALL)
    )
    idle = len(created) - len(done)
    deltas = {"idle": idle, "exhausted": exhausted, "do_not_call": do_not_call}
    await counters.move(tx, outdial.customer_id, outdial.id, deltas)
    await events.append(tx, imported(outdial, now, idle=idle, exhausted=exhausted, do_not_call=do_not_call))
    if outdial.dial_policy.sorts_by_zone:
        await _sort(tx, outdial, now)


async def _sort(tx: Transaction, outdial: Outdial, now: datetime) -> None:
    """Sort the targets that this transaction has created at that instant."""
    found = await tx.fetch(
        f"""
        SELECT {tables.TARGET} FROM target
        WHERE customer_id = $1 AND outdial_id = $2 AND tm_delete IS NULL AND tm_create = $3 AND zone_group = 0
        """,
        outdial.customer_id,
        outdial.id,
        now,
    )
    await grouping.sort(tx, outdial.id, [records.target(row) for row in found])


async def suppressed_rows(
    tx: Transaction, customer_id: str, bulk: bytes, *, now: datetime
) -> dict[int, tuple[int, int]]:
    """Which rows of a file have suppressed addresses. The transaction stages them.

    Returns:
        By the row's place: a mask of the destinations that are suppressed now, and one of those that always will be.
        Rows without any are left out.
    """
    parameter = Parameters([customer_id])
    counting = destinations.Suppressed("$1", parameter(now))
    placeholder = f"${len(parameter.values) + 1}"
    staged, value = await _staged(tx, bulk, placeholder, is_staged=False)
    found = await tx.fetch(
        f"""
        SELECT ord, now_mask, ever_mask FROM (
            SELECT ord, {destinations.suppressed_mask(counting)} AS now_mask,
                {destinations.suppressed_mask(destinations.Suppressed("$1", None))} AS ever_mask
            FROM {staged}
        ) AS judged WHERE now_mask > 0
        """,
        *parameter.values,
        *([value] if value else []),
    )
    return {row["ord"]: (row["now_mask"], row["ever_mask"]) for row in found}


async def _staged(tx: Transaction, bulk: bytes, placeholder: str, *, is_staged: bool) -> tuple[str, str]:
    if is_staged and db.is_postgres():
        return f"{STAGING_TABLE} AS staged", ""
    return await tx.stage(STAGING_TABLE, staging.COLUMNS, bulk, placeholder=placeholder)
