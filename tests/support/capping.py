"""Outdials with caps, and calls on them."""

from typing import Any

from app import attempts, db, outdials
from app.auth import Viewer
from app.lifecycle import Disposition
from app.records import CallCap, CapScope, CapSubject, Outdial, PolicyDraft
from tests.support import factories as make

ONE, TWO = "+15550100001", "+15550100002"
DAY = 86_400


def cap(
    tries: int, seconds: int = DAY, *, per: CapSubject = CapSubject.ADDRESS, over: CapScope = CapScope.CUSTOMER
) -> CallCap:
    return CallCap(tries, seconds, per, over)


async def capped(viewer: Viewer, *caps: CallCap, **policy: Any) -> Outdial:
    policy = {"retry_interval_seconds": 0, "max_try_counts": (100,) * 5, **policy}
    return await make.make_outdial(viewer, policy={**policy, "caps": caps})


async def claimed(viewer: Viewer, outdial: Outdial, limit: int = 50) -> list[str]:
    found = await attempts.claim(viewer, outdial.id, limit=limit)
    return [attempt.destination.target for attempt in found]


async def call(viewer: Viewer, outdial: Outdial, limit: int = 50) -> list[str]:
    """Claims, and ends the calls."""
    found = await attempts.claim(viewer, outdial.id, limit=limit)
    for attempt in found:
        make.one(await make.complete(viewer, attempt.id, Disposition.BUSY))
    return [attempt.destination.target for attempt in found]


async def change_policy(viewer: Viewer, outdial: Outdial, **policy: Any) -> None:
    await outdials.update(viewer, outdial.id, changes={"dial_policy": PolicyDraft(**policy)})


async def asleep(viewer: Viewer) -> int:
    [row] = await db.fetch(
        "SELECT count(*) AS n FROM target WHERE customer_id = $1 AND wakes_at IS NOT NULL", viewer.customer_id
    )
    return int(row["n"])
