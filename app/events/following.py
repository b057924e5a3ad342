"""Follows the log, for subscriptions.

All who follow an outdial share one watch, which reads its log once and holds what is recent (`watching`). Each follower
has its own position, filter and pace. Nothing is queued for it, so a slow one costs no memory and delays no other. A
wake-up only says when to read (`pacing`).
"""

import asyncio
import math
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Self

from app import db, metrics, models
from app.auth import Viewer
from app.db import waiting
from app.errors import NotFound
from app.events import epochs, horizon, log, retention
from app.events.cursors import Position, cursor, position_of
from app.events.epochs import Owner
from app.events.horizon import Horizon
from app.events.pacing import RECHECK_SECONDS, Pace
from app.events.recent import Recent
from app.events.watching import Following, Watch, following, persistently
from app.lifecycle import GapReason
from app.records import EventBatch, EventFilter, TargetEvent

BATCH_EVENTS_MAX = 500
KEPT_BATCHES_MAX = 1_000
"""Of the newest events, one for each filter and position of its followers. Those beyond share nothing."""
QUIET_SECONDS_MAX = 30
"""An empty batch carries the client's cursor at least this often, beyond the events that its filter hides."""


# ---------------------------------------------------------------- one outdial's targets


def tail(
    viewer: Viewer, outdial_id: str, *, after: str | None = None, where: EventFilter | None = None
) -> Following[EventBatch]:
    """Every change to an outdial's targets since a cursor, or from now on, without end. The first batch comes at once.

    Ends after the outdial is deleted and its last events are sent.

    Raises:
        NotFound: the viewer has no such outdial.
        BadUserInput: the cursor is malformed or another outdial's.
    """
    return _Tail(viewer.customer_id, outdial_id, after, where or EventFilter())


class _Tail(Following[EventBatch]):
    def __init__(self, customer_id: str, outdial_id: str, after: str | None, wanted: EventFilter) -> None:
        super().__init__()
        self._customer_id = customer_id
        self._outdial_id = outdial_id
        self._after = after
        self._wanted = wanted
        self._clock = asyncio.get_running_loop().time
        self._told_at = self._clock()
        self._told_events = 0
        self._at: Position

    async def _follow(self) -> AsyncGenerator[EventBatch, None]:
        self._at, gap = await _start(self._customer_id, self._outdial_id, self._after)
        if self._after is None:
            self.place = self._at
            yield EventBatch(cursor(self._outdial_id, self._at), [], caught_up=True)
        else:
            async with aclosing(self._replay(gap)) as batches:
                async for batch in batches:
                    yield batch
        key = ("targets", self._customer_id, self._outdial_id)
        async with following(key, lambda: _Log(self._customer_id, self._outdial_id, self._at)) as watch:
            while (found := await self._next(watch)) is not None:
                self.place = self._at
                yield found

    def move(self, leader: Self) -> None:
        self._at = self.place = leader._at
        self._told_at = leader._told_at

    def told(self, followers: int) -> None:
        if followers and self._told_events:
            metrics.events_delivered.inc(followers * self._told_events)

    async def _replay(self, gap: GapReason | None) -> AsyncGenerator[EventBatch, None]:
        """What is in the log already. The first and the last batch come also if they are empty."""
        is_first = True
        while True:
            before = self._at
            batch, seen = await (self._alone() if is_first else persistently(self._alone))
            if await persistently(retention.is_pruned, self._customer_id, self._outdial_id, before):
                self._at = await persistently(_end, self._customer_id, self._outdial_id, seen)
                batch, gap = (
                    EventBatch(cursor(self._outdial_id, self._at), [], caught_up=True),
                    GapReason.CURSOR_EXPIRED,
                )
            if batch.events or is_first or batch.caught_up or self._is_quiet():
                self._tells(batch)
                if batch.caught_up:
                    self.place = self._at
                yield replace(batch, gap=gap)
                is_first, gap = False, None
            if batch.caught_up:
                return

    async def _next(self, watch: "_Log") -> EventBatch | None:
        """The next batch to send; None after the last."""
        while True:
            begins = watch.recent.begins
            self.is_shared = self._at >= begins
            if not self.is_shared:
                batch, _ = await persistently(self._alone)
                if batch.caught_up:  # also if what was last before that place is removed by now
                    self._at = max(self._at, begins)
            elif self._at < watch.recent.upto:
                batch, self._at = watch.batch(self._at, self._wanted)
            elif watch.has_ended:
                return None
            elif self._is_quiet():
                batch = EventBatch(cursor(self._outdial_id, self._at), [], watch.caught_up)
                self._tells(batch)
                return batch
            else:
                watch.due = min(watch.due, self._told_at + QUIET_SECONDS_MAX)
                await watch.news()
                continue
            if batch.events:
                self._tells(batch)
                return batch

    async def _alone(self) -> tuple[EventBatch, Horizon]:
        seen = await horizon.horizon(await epochs.owner(self._customer_id))
        piece = await _read(self._customer_id, self._outdial_id, self._at, seen)
        self._at = piece.upto
        return piece.batch(self._outdial_id, self._wanted), seen

    def _tells(self, batch: EventBatch) -> None:
        self._told_at, self._told_events = self._clock(), len(batch.events)
        if batch.events:
            metrics.events_delivered.inc(len(batch.events))

    def _is_quiet(self) -> bool:
        return self._clock() - self._told_at >= QUIET_SECONDS_MAX


@dataclass(frozen=True, slots=True)
class _Piece:
    """Events that follow each other in the log, up to a position."""

    events: Sequence[tuple[Position, TargetEvent]]
    upto: Position
    """That of the last event, and never further: see `log.ends`."""
    caught_up: bool
    """Whether there were no more."""

    def batch(self, outdial_id: str, wanted: EventFilter) -> EventBatch:
        passing = [event for _, event in self.events if _passes(event, wanted)]
        return EventBatch(cursor(outdial_id, self.upto), passing, self.caught_up)


async def _read(customer_id: str, outdial_id: str, after: Position, seen: Horizon) -> _Piece:
    found = await log.read(customer_id, outdial_id, after=after, upto=seen.position, limit=BATCH_EVENTS_MAX)
    return _Piece(found, found[-1][0] if found else after, caught_up=len(found) < BATCH_EVENTS_MAX)


def _passes(event: TargetEvent, wanted: EventFilter) -> bool:
    return (
        (not wanted.target_ids or event.target_id is None or event.target_id in wanted.target_ids)
        and (not wanted.types or event.type in wanted.types)
        and (not wanted.statuses or event.status in wanted.statuses)
    )


class _Log(Watch):
    """The recent events of one outdial."""

    def __init__(self, customer_id: str, outdial_id: str, at: Position) -> None:
        super().__init__()
        self.recent: Recent[TargetEvent] = Recent(at)
        self.caught_up = True
        self.due = math.inf
        """When a follower must get something, by the loop's clock."""
        self._customer_id = customer_id
        self._outdial_id = outdial_id
        self._clock = asyncio.get_running_loop().time
        self._batches: dict[tuple[Position, EventFilter], tuple[EventBatch, Position]] = {}
        """Those made since the last look, by the first event that is in them."""

    async def read(self) -> None:
        with waiting.waiter([self._outdial_id]) as woken:
            pace = Pace(woken)
            fence: Position | None = None
            while True:
                await self.wanted()
                pace.looking()
                owner, is_deleted = await _state(self._customer_id, self._outdial_id)
                seen = await horizon.horizon(owner)
                if fence is None and is_deleted:
                    fence = seen.beyond  # the look is newer than the deletion
                elif fence is not None:
                    fence = min(fence, seen.beyond)  # a crash of PostgreSQL has set the ids back
                piece = await _read(self._customer_id, self._outdial_id, self.recent.upto, seen)
                self._keep(piece)
                if piece.events or self._clock() >= self.due:
                    self.due = math.inf
                    self.tell()
                if not piece.caught_up:
                    continue
                if fence is None:
                    await pace.next_look(seen)
                elif seen.position >= fence:
                    return
                else:
                    await asyncio.sleep(RECHECK_SECONDS[-1])

    def _keep(self, piece: _Piece) -> None:
        self.caught_up = piece.caught_up
        self._batches.clear()
        self.recent.keep(piece.events, piece.upto, self._clock())

    def batch(self, after: Position, wanted: EventFilter) -> tuple[EventBatch, Position]:
        """What follows a position that is not before what is held, and the position after it."""
        events, are_all = self.recent.after(after, BATCH_EVENTS_MAX)
        key = events[0][0] if events else self.recent.upto, wanted
        found = self._batches.get(key)
        if found is None:
            upto = self.recent.upto if are_all else events[-1][0]
            piece = _Piece(events, upto, are_all and self.caught_up)
            found = piece.batch(self._outdial_id, wanted), upto
            if len(self._batches) < KEPT_BATCHES_MAX:
                self._batches[key] = found
        return found


async def _start(customer_id: str, outdial_id: str, after: str | None) -> tuple[Position, GapReason | None]:
    """The position to begin at, and whether events before it are missing."""
    cursor_position = None if after is None else position_of(after, outdial_id)
    seen = await horizon.horizon(await epochs.owner(customer_id))
    outdial = await models.Outdial.get_or_none(using_db=db.reader(), customer_id=customer_id, id=outdial_id)
    # a subscriber can still read a deleted outdial to its end
    if outdial is None or (outdial.tm_delete is not None and cursor_position is None):
        raise NotFound("Outdial not found.")
    if cursor_position is None:
        return await _end(customer_id, outdial_id, seen), None
    if await _is_unknown(customer_id, cursor_position, seen):
        return await _end(customer_id, outdial_id, seen), GapReason.CURSOR_UNKNOWN
    if cursor_position < Position(outdial.pruned_epoch, outdial.pruned_tx, outdial.pruned_seq):
        return await _end(customer_id, outdial_id, seen), GapReason.CURSOR_EXPIRED
    return cursor_position, None


async def ends(
    viewer: Viewer, outdial_ids: Sequence[str], *, upto: Position, fetch: log.Fetch | None = None
) -> dict[str, Position]:
    """The end of the log of each of the viewer's outdials, as far as a position of the customer's log.

    Args:
        viewer: the caller.
        outdial_ids: of the customer.
        upto: the position.
        fetch: of the transaction that the caller is in, if there is one.
    """
    return await log.ends(viewer.customer_id, outdial_ids, upto=upto, fetch=fetch)


async def _end(customer_id: str, outdial_id: str, seen: Horizon) -> Position:
    """The present end of an outdial's log. The outdial exists."""
    return (await log.ends(customer_id, [outdial_id], upto=seen.position))[outdial_id]


async def _is_unknown(customer_id: str, position: Position, seen: Horizon) -> bool:
    """Whether a cursor is ahead of the log: after the log's present end, or after the end of its epoch."""
    if position == horizon.NOTHING.position:
        return False
    if position.epoch == seen.position.epoch:
        return position > seen.beyond
    end = await epochs.epoch_end(customer_id, position.epoch)
    return end is None or position.tx > end


async def _state(customer_id: str, outdial_id: str) -> tuple[Owner | None, bool]:
    """The customer as its log knows it, and whether the outdial is deleted, both of one moment."""
    found = await db.fetch(
        """
        SELECT customer.epoch, customer.node, outdial.id AS outdial_id
        FROM customer LEFT JOIN outdial
            ON outdial.customer_id = customer.customer_id AND outdial.id = $2 AND outdial.tm_delete IS NULL
        WHERE customer.customer_id = $1
        """,
        customer_id,
        outdial_id,
    )
    if not found:
        return None, True
    return Owner(customer_id, found[0]["epoch"], found[0]["node"]), found[0]["outdial_id"] is None
