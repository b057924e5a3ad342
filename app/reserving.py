"""The windows of callbacks that are kept for one dialer: they begin and end here, by the database's clock.

A window begins when nothing else than its being kept holds the callback back. So a callback whose calling hours are
closed at its time keeps its window for the opening. A pace is left aside: a list that always takes all that its pace
allows would keep the callbacks of a dialer who has left for ever.

Both come a second or two late, and never early. There is no event of either, and the version stays.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import timedelta

from app import db, dialability, store
from app.auth import Viewer
from app.blocks import BlockReason
from app.db import Transaction
from app.frozen import replace
from app.lifecycle import TargetStatus
from app.records import RESERVED_RANK, Callback

STEP_CALLBACKS_MAX = 500
"""At how many one step looks. Short transactions do not delay subscribers."""
AGAIN = timedelta(seconds=2)
"""So long nobody looks at a callback again that something holds back."""
_PASSING = frozenset({BlockReason.PACED})


async def step() -> int:
    """Look at the callbacks whose window may begin or end. Housekeeping calls this.

    Returns:
        At how many it has looked; if it is STEP_CALLBACKS_MAX, there may be more.
    """
    found = await db.fetch(
        f"""
        SELECT id, customer_id, outdial_id FROM target
        WHERE rank = {RESERVED_RANK} AND status = '{TargetStatus.IDLE}' AND tm_delete IS NULL
          AND callback_check_at <= {db.instant_ago("$1")}
        ORDER BY callback_check_at LIMIT {STEP_CALLBACKS_MAX}
        """,
        db.ago_value(timedelta(0)),
    )
    by_customer: defaultdict[str, list[db.Row]] = defaultdict(list)
    for row in found:
        by_customer[row["customer_id"]].append(row)
    for customer_id, listed in by_customer.items():
        await _look(Viewer(customer_id=customer_id, subject="", scopes=frozenset(), expires_at=None), listed)
    return len(found)


async def _look(viewer: Viewer, listed: Sequence[db.Row]) -> None:
    outdial_ids = sorted({row["outdial_id"] for row in listed})
    blocks = await dialability.blocks_of_outdials(viewer, outdial_ids)
    reasons = {one: {block.reason for block in blocks.get(one, ())} - _PASSING for one in outdial_ids}
    open_ids = [row["id"] for row in listed if not reasons[row["outdial_id"]]]
    claimable = await dialability.claimable_by_their_dialers(viewer, open_ids) if open_ids else set()
    gone = {row["id"] for row in listed if BlockReason.DELETED in reasons[row["outdial_id"]]}
    target_ids = [row["id"] for row in listed]
    await db.transaction(_write, viewer.customer_id, outdial_ids, target_ids, claimable, gone)


async def _write(
    tx: Transaction,
    customer_id: str,
    outdial_ids: Sequence[str],
    target_ids: Sequence[str],
    claimable: Collection[str],
    gone: Collection[str],
) -> None:
    await tx.lock(customer_id, shared=outdial_ids)
    targets = await store.lock_targets(tx, customer_id, target_ids)
    now = await tx.now()
    kept = []
    for target in targets.values():
        callback = target.callback
        if target.status is not TargetStatus.IDLE or callback is None or not callback.is_reserved:
            continue  # somebody was faster
        ends_at = callback.ends_at
        after: Callback = callback
        if ends_at is not None and ends_at <= now:
            after = replace(callback, is_for_all=True)
        elif ends_at is None and target.id in claimable and callback.at <= now:
            after = replace(callback, opened_at=now)
        check_at = after.check_at if after is not callback or ends_at is not None else now + AGAIN
        kept.append((replace(target, callback=after), None if target.id in gone else check_at))
    await store.keep_callbacks(tx, kept)
