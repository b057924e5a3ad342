"""A client that reads once and then only applies events: targets by version, progress by counting."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from contextlib import aclosing
from datetime import datetime
from typing import Self

from app import events, outdials, targets
from app.auth import Viewer
from app.lifecycle import DoneReason, TargetStatus
from app.pagination import PageRequest, cursor_of, page_request
from app.records import EventBatch, Progress, Target, TargetFilter, TargetOrder

CATCH_UP_SECONDS_MAX = 20

Seen = tuple[TargetStatus, DoneReason | None, tuple[int, ...], datetime | None, int]


def seen(target: Target) -> Seen:
    """What a client knows about a target from the events."""
    return target.status, target.done_reason, tuple(target.try_counts), target.next_try_at, target.version


async def targets_of(viewer: Viewer, outdial_id: str) -> list[Target]:
    """All of them, page by page."""
    found: list[Target] = []
    request: PageRequest = page_request(first=100)
    while True:
        pages = await targets.pages(
            viewer, [outdial_id], request=request, where=TargetFilter(), order=TargetOrder.OLDEST_FIRST
        )
        page = pages[outdial_id]
        found += page.items
        if not page.has_next:
            return found
        request = page_request(first=100, after=cursor_of(found[-1].tm_create, found[-1].id))


async def progress_of(viewer: Viewer, outdial_id: str) -> Progress:
    return (await outdials.progress(viewer, [outdial_id]))[outdial_id]


def counts(progress: Progress) -> Counter[TargetStatus]:
    return Counter(
        {
            TargetStatus.IDLE: progress.idle,
            TargetStatus.PROGRESSING: progress.progressing,
            TargetStatus.DONE: progress.done,
        }
    )


class FoldingClient:
    """What one client knows, and the cursor up to which it has read."""

    def __init__(
        self, viewer: Viewer, outdial_id: str, found: Sequence[Target], progress: Progress, cursor: str
    ) -> None:
        self._viewer = viewer
        self._outdial_id = outdial_id
        self.targets = {target.id: seen(target) for target in found}
        self.gone: set[str] = set()
        self.progress = counts(progress)
        self.cursor = cursor
        self.folded = 0
        self._told: set[str] = set()
        self._must_read = False

    @classmethod
    async def join(cls, viewer: Viewer, outdial_id: str, cursor: str | None = None) -> Self:
        """Read while nobody writes. The cursor is one that another client has reached, or that of a new outdial."""
        at = cursor or events.cursor(outdial_id, await events.position(viewer.customer_id))
        found, progress = await targets_of(viewer, outdial_id), await progress_of(viewer, outdial_id)
        return cls(viewer, outdial_id, found, progress, at)

    def fold(self, batch: EventBatch) -> None:
        assert batch.gap is None
        for event in batch.events:
            assert event.cursor not in self._told, "an event came twice"
            self._told.add(event.cursor)
            self.folded += 1
            if event.previous_status is not None:
                self.progress[event.previous_status] -= event.count
            if event.status is not None:
                self.progress[event.status] += event.count
            if event.target_id is None:
                self._must_read = True
                continue
            assert event.version is not None
            known = self.targets.get(event.target_id)
            if event.target_id in self.gone or (known is not None and known[4] >= event.version):
                continue
            if event.status is None:
                self.targets.pop(event.target_id, None)
                self.gone.add(event.target_id)
            else:
                self.targets[event.target_id] = (
                    event.status,
                    event.done_reason,
                    tuple(event.try_counts),
                    event.next_try_at,
                    event.version,
                )
        self.cursor = batch.cursor

    async def catch_up(self) -> None:
        """Apply the events; then everything is equal to a new read.

        Raises:
            TimeoutError: it never becomes equal, so an event is missing or wrong.
        """
        fresh = {target.id: seen(target) for target in await targets_of(self._viewer, self._outdial_id)}
        progress = counts(await progress_of(self._viewer, self._outdial_id))
        try:
            async with (
                asyncio.timeout(CATCH_UP_SECONDS_MAX),
                aclosing(events.tail(self._viewer, self._outdial_id, after=self.cursor)) as batches,
            ):
                async for batch in batches:
                    self.fold(batch)
                    if self._must_read:
                        self.targets, self._must_read = dict(fresh), False
                    # On PostgreSQL another transaction may delay the newest events for a moment.
                    if batch.caught_up and self.targets == fresh and self.progress == progress:
                        return
        except TimeoutError:
            assert self.targets == fresh
            assert self.progress == progress
            raise
