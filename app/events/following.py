"""Follows the log, for subscriptions.

Each subscriber reads the log itself, at its own pace, a batch at a time. Nothing is queued for it, so a slow one costs
no memory and delays no other. A wake-up only says when to read; polling is the fallback.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence

from app import db, metrics, models, rows, tables
from app.auth import Viewer
from app.db import waiting
from app.errors import NotFound
from app.events import epochs, horizon, log, retention
from app.events.cursors import Position, cursor, position_of
from app.events.epochs import Owner
from app.events.horizon import Horizon
from app.lifecycle import GapReason
from app.records import EventBatch, EventFilter, Outdial, OutdialEvent, Progress, TargetEvent

BATCH_EVENTS_MAX = 500
QUIET_SECONDS_MAX = 30
"""An empty batch moves the client's cursor at least this often."""
POLL_SECONDS = 2.0
"""The fallback: a wake-up is lost if its connection is lost."""
LINGER_SECONDS = 0.01
"""Changes this close together travel in one batch."""
RECHECK_SECONDS = (0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.25)
"""Used while a transaction that is older than the wake-up is open, mostly for milliseconds."""


class _Pace:
    """Decides when to read next."""

    def __init__(self, woken: asyncio.Event) -> None:
        self._woken = woken
        self._told_of: Position | None = None
        self._rechecks = 0
        self._was_woken = False

    def looking(self) -> None:
        """Call this before each read: a wake-up from now on needs another read."""
        self._was_woken = self._woken.is_set()
        self._woken.clear()

    async def next_look(self, seen: Horizon) -> None:
        """Wait until there may be more events than up to `seen`."""
        if self._was_woken:
            self._told_of, self._rechecks = seen.beyond, 0
        if self._told_of is not None and seen.position < self._told_of:
            step = min(self._rechecks, len(RECHECK_SECONDS) - 1)
            self._rechecks += 1
            await self._sleep(RECHECK_SECONDS[step])
            return
        self._told_of = None
        if await self._sleep(POLL_SECONDS):
            await asyncio.sleep(LINGER_SECONDS)

    async def _sleep(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        except TimeoutError:
            return False
        return True


# ---------------------------------------------------------------- one outdial's targets


async def tail(
    viewer: Viewer, outdial_id: str, *, after: str | None = None, where: EventFilter | None = None
) -> AsyncIterator[EventBatch]:
    """Every change to an outdial's targets since a cursor, or from now on, without end. The first batch comes at once.

    Ends after the outdial is deleted and its last events are sent.

    Raises:
        NotFound: the viewer has no such outdial.
        BadUserInput: the cursor is malformed or another outdial's.
    """
    wanted = where or EventFilter()
    clock = asyncio.get_running_loop().time
    with waiting.waiter([outdial_id]) as woken:
        at, gap = await _start(viewer, outdial_id, after)
        pace = _Pace(woken)
        first, replaying, told_at = True, after is not None, clock()
        fence: Position | None = None
        while True:
            pace.looking()
            owner, is_deleted = await _state(viewer, outdial_id)
            seen = await horizon.horizon(owner)
            if fence is None and is_deleted:
                fence = seen.beyond  # the look is newer than the deletion
            found = await log.read(viewer.customer_id, outdial_id, after=at, upto=seen.position, limit=BATCH_EVENTS_MAX)
            if replaying and await retention.is_pruned(viewer.customer_id, outdial_id, at):
                found, at, gap = [], seen.position, GapReason.CURSOR_EXPIRED
            caught_up = len(found) < BATCH_EVENTS_MAX
            at = max(at, seen.position) if caught_up else found[-1][0]
            passing = [event for _, event in found if _passes(event, wanted)]
            if passing or first or (replaying and caught_up) or clock() - told_at >= QUIET_SECONDS_MAX:
                metrics.events_delivered.inc(len(passing))
                yield EventBatch(cursor(outdial_id, at), passing, caught_up, gap)
                first, gap, told_at = False, None, clock()
            if not caught_up:
                continue
            replaying = False
            if fence is None:
                await pace.next_look(seen)
            elif seen.position >= fence:
                return
            else:
                await asyncio.sleep(RECHECK_SECONDS[-1])


async def _start(viewer: Viewer, outdial_id: str, after: str | None) -> tuple[Position, GapReason | None]:
    """The position to begin at, and whether events before it are missing."""
    cursor_position = None if after is None else position_of(after, outdial_id)
    seen = await horizon.horizon(await epochs.owner(viewer.customer_id))
    outdial = await models.Outdial.get_or_none(using_db=db.reader(), customer_id=viewer.customer_id, id=outdial_id)
    # a subscriber can still read a deleted outdial to its end
    if outdial is None or (outdial.tm_delete is not None and cursor_position is None):
        raise NotFound("Outdial not found.")
    if cursor_position is None:
        return seen.position, None
    if await _is_unknown(viewer, cursor_position, seen):
        return seen.position, GapReason.CURSOR_UNKNOWN
    if cursor_position < Position(outdial.pruned_epoch, outdial.pruned_tx, outdial.pruned_seq):
        return seen.position, GapReason.CURSOR_EXPIRED
    return cursor_position, None


async def _is_unknown(viewer: Viewer, position: Position, seen: Horizon) -> bool:
    """Whether a cursor is ahead of the log: after the log's present end, or after the end of its epoch."""
    if position.epoch == seen.position.epoch:
        return position > seen.beyond
    end = await epochs.epoch_end(viewer.customer_id, position.epoch)
    return end is None or position.tx > end


async def _state(viewer: Viewer, outdial_id: str) -> tuple[Owner | None, bool]:
    """The customer as its log knows it, and whether the outdial is deleted, both of one moment."""
    found = await db.fetch(
        """
        SELECT customer.epoch, customer.node, outdial.id AS outdial_id
        FROM customer LEFT JOIN outdial
            ON outdial.customer_id = customer.customer_id AND outdial.id = $2 AND outdial.tm_delete IS NULL
        WHERE customer.customer_id = $1
        """,
        viewer.customer_id,
        outdial_id,
    )
    if not found:
        return None, True
    return Owner(viewer.customer_id, found[0]["epoch"], found[0]["node"]), found[0]["outdial_id"] is None


def _passes(event: TargetEvent, wanted: EventFilter) -> bool:
    return (
        (not wanted.target_ids or event.target_id is None or event.target_id in wanted.target_ids)
        and (not wanted.types or event.type in wanted.types)
        and (not wanted.statuses or event.status in wanted.statuses)
    )


# ---------------------------------------------------------------- progress


async def progress_changes(
    viewer: Viewer, outdial_ids: Sequence[str], *, interval_ms: int
) -> AsyncIterator[Sequence[Outdial]]:
    """The outdials as they are now, then those whose progress, state or name changed.

    At most one message in `interval_ms`; what changes meanwhile shows in the next. Unknown and deleted outdials are
    left out; ends when none is left.
    """
    sent: dict[str, tuple[Outdial, Progress]] = {}
    first = True
    with waiting.waiter(outdial_ids) as woken:
        while True:
            woken.clear()
            now = await outdials_with_progress(viewer, outdial_ids)
            if not now and not first:
                return
            changed = [
                outdial
                for outdial, progress in now.values()
                if first or outdial.id not in sent or _differs(sent[outdial.id], (outdial, progress))
            ]
            sent = now
            if changed or first:
                yield changed
                if not now:
                    return
                first = False
            await asyncio.sleep(interval_ms / 1000)
            try:
                async with asyncio.timeout(POLL_SECONDS):
                    await woken.wait()
            except TimeoutError:
                continue


def _differs(before: tuple[Outdial, Progress], after: tuple[Outdial, Progress]) -> bool:
    return (before[0].state, before[0].name, before[1]) != (after[0].state, after[0].name, after[1])


async def outdials_with_progress(viewer: Viewer, outdial_ids: Sequence[str]) -> dict[str, tuple[Outdial, Progress]]:
    """The viewer's outdials with their progress, in one statement so that both are of the same moment."""
    sums = ", ".join(f"COALESCE(sum(counter.{column}), 0) AS {column}" for column in tables.COUNTERS.kinds)
    found = await db.fetch(
        f"""
        SELECT {tables.OUTDIAL.qualified}, {sums} FROM outdial
        LEFT JOIN outdial_counter AS counter
            ON counter.customer_id = outdial.customer_id AND counter.outdial_id = outdial.id
        WHERE outdial.customer_id = $1 AND outdial.id {db.any_of("$2")} AND outdial.tm_delete IS NULL
        GROUP BY outdial.customer_id, outdial.id ORDER BY outdial.tm_create DESC, outdial.id DESC
        """,
        viewer.customer_id,
        list(outdial_ids),
    )
    return {row["id"]: (rows.outdial(row), rows.progress(row)) for row in found}


# ---------------------------------------------------------------- outdials themselves


async def outdial_changes(viewer: Viewer) -> AsyncIterator[OutdialEvent]:
    """Outdials of the viewer's customer that are created, changed or deleted, from now on."""
    with waiting.waiter([viewer.customer_id]) as woken:
        at = (await _outdials_seen(viewer)).position
        pace = _Pace(woken)
        while True:
            pace.looking()
            seen = await _outdials_seen(viewer)
            found = await log.read_outdials(viewer.customer_id, after=at, upto=seen.position, limit=BATCH_EVENTS_MAX)
            for _, event in found:
                yield event
            if len(found) == BATCH_EVENTS_MAX:
                at = found[-1][0]
                continue
            at = max(at, seen.position)
            await pace.next_look(seen)


async def _outdials_seen(viewer: Viewer) -> Horizon:
    return await horizon.outdial_horizon(await epochs.owner(viewer.customer_id))
