"""Outdials with a breaker, and calls that fail."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from app import attempts, outdials
from app.auth import Viewer
from app.lifecycle import Disposition
from app.outdials import judging
from app.pacing import Breaker, BreakerStatus, Pacing
from app.records import AttemptResult, Outdial
from tests.support import factories

BREAKER = Breaker(failure_percent=50, window_seconds=60, min_calls=4, pause_seconds=30)

Make = Callable[..., Awaitable[Outdial]]


@pytest.fixture
def broken(viewer: Viewer) -> Make:
    """Makes a list of targets, and opens its breaker by calls that fail."""

    async def make(*, targets: int = 20, **policy: Any) -> Outdial:
        made = await with_breaker(viewer, targets=targets, **policy)
        await call(viewer, made.id, *[Disposition.FAILED] * BREAKER.min_calls)
        await judge()
        return made

    return make


async def with_breaker(viewer: Viewer, *, targets: int = 20, breaker: Breaker = BREAKER, **policy: Any) -> Outdial:
    whole = {"pacing": Pacing(breaker=breaker), "retry_interval_seconds": 3_600, **policy}
    made = await factories.make_outdial(viewer, policy=whole, time_zone="Europe/Berlin")
    await factories.make_targets(viewer, made.id, targets, max_try_counts=(9, 0, 0, 0, 0))
    return made


async def judge() -> None:
    """Judge all breakers, as the server does each second."""
    factories.pass_time(judging.REST_SECONDS)
    await outdials.judge_breakers()


async def call(viewer: Viewer, outdial_id: str, *dispositions: Disposition) -> None:
    """Claim as many targets, and report these results."""
    claimed = await attempts.claim(viewer, outdial_id, limit=len(dispositions))
    assert len(claimed) == len(dispositions)
    results = [AttemptResult(attempt.id, result) for attempt, result in zip(claimed, dispositions, strict=True)]
    assert (await attempts.complete(viewer, results=results)).errors == ()


async def status(viewer: Viewer, outdial_id: str) -> BreakerStatus:
    found = await outdials.breaker_statuses(viewer, [outdial_id])
    return found[outdial_id]
