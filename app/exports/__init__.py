"""Exports: an outdial's targets or attempts as a file of any length, a part at a time."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime

from app import attempts, db, outdials, stats, suppressions, targets
from app.auth import Viewer
from app.errors import NotFound
from app.exports.rendering import (
    AttemptLine,
    Form,
    TargetLine,
    attempts_file,
    stats_file,
    suppressions_file,
    targets_file,
)
from app.pagination import PageRequest
from app.records import AttemptFilter, SuppressionFilter, Target, TargetFilter

__all__ = ["Form", "of_attempts", "of_stats", "of_suppressions", "of_targets"]

PART_ROWS = 200
"""Rendering this many short ones takes about 8 ms, during which no other request is served. Long ones are read a few at
a time: see `app.listing.walk`."""


async def of_targets(
    viewer: Viewer, outdial_id: str, *, form: Form, where: TargetFilter | None = None
) -> AsyncIterator[bytes]:
    """The outdial's targets with their last attempts, oldest first: all that exist now.

    Raises:
        NotFound: the viewer has no such outdial. After this returns, only the database can fail.
    """
    upto = await _seen_at(viewer, outdial_id)
    parts = targets.walk(viewer, outdial_id, upto=upto, size=PART_ROWS, where=where)
    return targets_file(form, (await _lines(viewer, part) async for part in parts))


async def _lines(viewer: Viewer, part: Sequence[Target]) -> list[TargetLine]:
    last = await attempts.pages_of_targets(viewer, [target.id for target in part], request=PageRequest(size=1))
    return [TargetLine(target, next(iter(last[target.id].items), None)) for target in part]


async def of_attempts(
    viewer: Viewer, outdial_id: str, *, form: Form, where: AttemptFilter | None = None
) -> AsyncIterator[bytes]:
    """Every attempt on the outdial's targets, oldest first, including those of deleted targets.

    Raises:
        NotFound: as `of_targets`.
    """
    upto = await _seen_at(viewer, outdial_id)

    async def parts() -> AsyncIterator[list[AttemptLine]]:
        async for part in attempts.walk(viewer, outdial_id, upto=upto, size=PART_ROWS, where=where):
            found = await targets.get_many(viewer, list({attempt.target_id for attempt in part}), deleted=True)
            yield [AttemptLine(attempt, found[attempt.target_id].key) for attempt in part]

    return attempts_file(form, parts())


async def _seen_at(viewer: Viewer, outdial_id: str) -> datetime:
    """The database's clock beside the outdial: what is made later is not in the file."""
    seen_at = await outdials.seen_at(viewer, outdial_id)
    if seen_at is None:
        raise NotFound("Outdial not found.")
    return seen_at


async def of_stats(
    viewer: Viewer,
    *,
    form: Form,
    request: stats.Request,
    outdial_id: str | None = None,
    campaign_id: str | None = None,
) -> AsyncIterator[bytes]:
    """The rows of `stats` of an outdial, of a campaign, or of all outdials.

    Raises:
        NotFound: as `of_targets`.
        BadUserInput, LimitExceeded: as `stats.of_customer`.
    """
    if outdial_id is not None:
        await _seen_at(viewer, outdial_id)
        found = (await stats.of_outdials(viewer, [outdial_id], request=request))[outdial_id]
    elif campaign_id is not None:
        found = await stats.of_campaign(viewer, campaign_id, request)
    else:
        found = await stats.of_customer(viewer, request)

    async def parts() -> AsyncIterator[Sequence[stats.Row]]:
        for at in range(0, len(found.rows), PART_ROWS):
            yield found.rows[at : at + PART_ROWS]

    return stats_file(form, parts())


async def of_suppressions(
    viewer: Viewer, *, form: Form, where: SuppressionFilter | None = None
) -> AsyncIterator[bytes]:
    """The viewer's do-not-call list, oldest first: all that is on it now. Its import gives the same list."""
    parts = suppressions.walk(viewer, upto=await db.now(), size=PART_ROWS, where=where)
    return suppressions_file(form, parts)
