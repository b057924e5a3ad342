"""Outdials with a pace, and a slow model of it."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from math import ceil, floor
from typing import Any

from app import db, outdials
from app.auth import Viewer
from app.pacing import Pacing
from app.records import Attempt, Outdial, PolicyDraft
from tests.support import factories as make

DAY = 86_400
Try = tuple[datetime, datetime | None]
"""When an attempt was claimed, and when it ended."""


async def paced(
    viewer: Viewer, *, max_open: int | None = None, rate: float | None = None, targets: int = 0, **policy: Any
) -> Outdial:
    """An outdial with a pace, whose targets are due again at once."""
    fields = {"retry_interval_seconds": 0, "max_try_counts": (100,) * 5, "lease_seconds": DAY, **policy}
    outdial = await make.make_outdial(viewer, policy={**fields, "pacing": Pacing(max_open, rate)})
    await make.make_targets(viewer, outdial.id, targets)
    return outdial


async def change_policy(viewer: Viewer, outdial: Outdial, **policy: Any) -> Outdial:
    return await outdials.update(viewer, outdial.id, changes={"dial_policy": PolicyDraft(**policy)})


async def ledger(viewer: Viewer) -> list[Try]:
    found = await db.fetch("SELECT claimed_at, ended_at FROM attempt WHERE customer_id = $1", viewer.customer_id)
    return [(row["claimed_at"], row["ended_at"]) for row in found]


def most_open(tries: Sequence[Try]) -> int:
    """The most attempts that were open at any time. One that ends at an instant is not open any more."""
    changes = [(claimed, 1) for claimed, _ in tries] + [(ended, -1) for _, ended in tries if ended is not None]
    most = now = 0
    for _, change in sorted(changes):
        now += change
        most = max(most, now)
    return most


def most_within(tries: Sequence[Try], window: timedelta) -> int:
    """The most that were claimed in any time of this length. The instant at which it begins is not within."""
    claims = sorted(claimed for claimed, _ in tries)
    return max((sum(at - window < other <= at for other in claims) for at in claims), default=0)


# ---------------------------------------------------------------- a slow model


def window_of(rate: float) -> tuple[int, timedelta]:
    if rate >= 1:
        return floor(rate), timedelta(seconds=1)
    return 1, timedelta(milliseconds=ceil(1_000 / rate))


def may_claim(pace: Pacing, tries: Sequence[Try], now: datetime, number: int) -> bool:
    """Whether so many more claims at an instant keep the promise: from the ledger, for each window that they are in."""
    still_open = sum(ended is None or ended > now for _, ended in tries)
    if pace.max_open_attempts is not None and number and still_open + number > pace.max_open_attempts:
        return False
    if pace.claims_per_second is None or not number:
        return True
    most, window = window_of(pace.claims_per_second)
    claims = [claimed for claimed, _ in tries] + [now] * number
    return sum(now - window < at for at in claims) <= most


def allowed(pace: Pacing, tries: Sequence[Try], now: datetime, wanted: int) -> int:
    return max(number for number in range(wanted + 1) if may_claim(pace, tries, now, number))


def claimed(found: Sequence[Attempt]) -> list[Try]:
    return [(attempt.claimed_at, None) for attempt in found]
