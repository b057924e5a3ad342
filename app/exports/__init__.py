"""Exports: an outdial's targets or attempts as a file of any length, a part at a time."""

from collections.abc import AsyncIterator, Sequence

from app import attempts, db, outdials, targets
from app.auth import Viewer
from app.errors import NotFound
from app.exports.rendering import AttemptLine, Form, TargetLine, attempts_file, targets_file
from app.pagination import PageRequest
from app.records import AttemptFilter, Target, TargetFilter

__all__ = ["Form", "of_attempts", "of_targets"]

PART_ROWS = 200
"""Rendering this many takes about 8 ms, during which no other request is served."""


async def of_targets(
    viewer: Viewer, outdial_id: str, *, form: Form, where: TargetFilter | None = None
) -> AsyncIterator[bytes]:
    """The outdial's targets with their last attempts, oldest first: all that exist now.

    Raises:
        NotFound: the viewer has no such outdial. After this returns, only the database can fail.
    """
    await _see(viewer, outdial_id)
    parts = targets.walk(viewer, outdial_id, upto=await db.now(), size=PART_ROWS, where=where)
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
    await _see(viewer, outdial_id)
    upto = await db.now()

    async def parts() -> AsyncIterator[list[AttemptLine]]:
        async for part in attempts.walk(viewer, outdial_id, upto=upto, size=PART_ROWS, where=where):
            found = await targets.get_many(viewer, list({attempt.target_id for attempt in part}), deleted=True)
            yield [AttemptLine(attempt, found[attempt.target_id].key) for attempt in part]

    return attempts_file(form, parts())


async def _see(viewer: Viewer, outdial_id: str) -> None:
    if not await outdials.get_many(viewer, [outdial_id]):
        raise NotFound("Outdial not found.")
