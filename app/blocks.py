"""Why something cannot be claimed now, in words, from the facts that a claim goes by. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from app.lifecycle import DoneReason, OutdialState, TargetStatus


class BlockReason(StrEnum):
    """In the order in which they are listed: the first one counts."""

    DELETED = "DELETED"
    PAUSED = "PAUSED"
    NOT_STARTED = "NOT_STARTED"
    ENDED = "ENDED"
    BREAKER_OPEN = "BREAKER_OPEN"
    PACED = "PACED"
    OUTSIDE_CALLING_HOURS = "OUTSIDE_CALLING_HOURS"
    DONE = "DONE"
    PROGRESSING = "PROGRESSING"
    NOT_DUE = "NOT_DUE"
    CALLBACK_OF_ANOTHER = "CALLBACK_OF_ANOTHER"
    SUPPRESSED = "SUPPRESSED"
    CAPPED = "CAPPED"
    TRIES_USED_UP = "TRIES_USED_UP"
    INVALID_DESTINATION = "INVALID_DESTINATION"
    UNKNOWN_TIME_ZONE = "UNKNOWN_TIME_ZONE"


@dataclass(frozen=True, slots=True)
class Block:
    reason: BlockReason
    until: datetime | None
    """When it ends by itself; None if it does not, or nobody knows."""
    detail: str


@dataclass(frozen=True, slots=True)
class Asleep:
    """The calling hours of a destination are closed, by its own time zone."""

    is_known: bool
    """Whether its time zone is."""
    until: datetime | None
    """When they open; None if that is not foreseen."""
    is_sorted: bool = True
    """Whether its target is sorted by its zones. If not, its zones are not looked at yet."""


@dataclass(frozen=True, slots=True)
class PlaceFacts:
    """What a claim goes by at one destination that is set."""

    is_invalid: bool
    is_used_up: bool
    is_suppressed: bool
    suppressed_until: datetime | None
    """None: for ever."""
    capped_until: datetime | None
    """When the caps leave a try; None: they do now."""
    asleep: Asleep | None = None
    """None: it may be called at this time."""
    is_offered: bool = True
    """False if the target has a callback that is not for this destination."""

    @property
    def may_be_tried(self) -> bool:
        """At some time of the day."""
        is_free = self.is_offered and not (self.is_invalid or self.is_used_up or self.is_suppressed)
        return is_free and self.capped_until is None


@dataclass(frozen=True, slots=True)
class TargetBlocks:
    """Of a target, and of each of its destinations."""

    blocks: Sequence[Block]
    by_index: Mapping[int, Sequence[Block]]


_DONE = {
    DoneReason.ANSWERED: "It is done: somebody answered.",
    DoneReason.EXHAUSTED: "It is done: every destination was tried as often as allowed, or cannot be used.",
    DoneReason.DO_NOT_CALL: "It is done: it must not be called.",
    DoneReason.CANCELED: "It is done: it was canceled.",
    DoneReason.UNCONFIRMED: "It is done: nobody knows how the last call ended.",
    DoneReason.FINISHED: "It is done: a retry rule finished it.",
}


@dataclass(frozen=True, slots=True)
class Held:
    """A whole list is held, until an instant."""

    until: datetime | None
    """None if that is not foreseen."""


def of_outdial(
    state: OutdialState,
    *,
    is_deleted: bool,
    starts: Held | None = None,
    has_ended: bool = False,
    broken: Held | None = None,
    paced: Held | None = None,
    closed: Held | None = None,
) -> list[Block]:
    """What holds a whole list.

    Args:
        state: the outdial's.
        is_deleted: whether it is.
        starts: it has not started.
        has_ended: it has ended.
        broken: its breaker is open, or a call is under way that shows whether calls still fail.
        paced: it has taken all that its pace allows.
        closed: its calling hours are closed.
    """
    blocks = []
    if is_deleted:
        blocks.append(Block(BlockReason.DELETED, None, "The outdial is deleted."))
    if state is OutdialState.PAUSED:
        blocks.append(
            Block(BlockReason.PAUSED, None, "The outdial is paused. Resume it to let its targets be claimed.")
        )
    if starts is not None:
        blocks.append(Block(BlockReason.NOT_STARTED, starts.until, "The outdial has not started: see startsAt."))
    if has_ended:
        blocks.append(Block(BlockReason.ENDED, None, "The outdial has ended: see endsAt."))
    if broken is not None:
        detail = "Too many of its calls failed. A call is under way that shows whether calls still fail."
        if broken.until is not None:
            detail = "Too many of its calls failed. A single call is tried after a pause, or all after closeBreaker."
        blocks.append(Block(BlockReason.BREAKER_OPEN, broken.until, detail))
    if paced is not None:
        detail = "As many attempts are in progress as its pace allows."
        if paced.until is not None:
            detail = "As many targets were claimed in this time as its pace allows."
        blocks.append(Block(BlockReason.PACED, paced.until, detail))
    if closed is not None:
        blocks.append(
            Block(BlockReason.OUTSIDE_CALLING_HOURS, closed.until, "The calling hours of the outdial are closed.")
        )
    return blocks


def of_place(facts: PlaceFacts) -> list[Block]:
    """Why a destination cannot be claimed."""
    blocks = [] if facts.asleep is None else _of_sleep([facts.asleep])
    if facts.is_suppressed:
        lasting = "for ever" if facts.suppressed_until is None else "until it expires"
        detail = f"The address is on the do-not-call list, {lasting}."
        blocks.append(Block(BlockReason.SUPPRESSED, facts.suppressed_until, detail))
    if facts.capped_until is not None:
        blocks.append(Block(BlockReason.CAPPED, facts.capped_until, "It was tried as often as the caps allow."))
    if facts.is_used_up:
        blocks.append(Block(BlockReason.TRIES_USED_UP, None, "The limit leaves no try at it."))
    if facts.is_invalid:
        blocks.append(Block(BlockReason.INVALID_DESTINATION, None, "A dialer reported that the address is invalid."))
    return blocks


def of_target(
    status: TargetStatus,
    done_reason: DoneReason | None,
    next_try_at: datetime | None,
    now: datetime,
    *,
    is_deleted: bool,
    next_index: int | None,
    places: Sequence[PlaceFacts],
    keeps_order: bool = False,
    wakes_at: datetime | None = None,
    kept: Held | None = None,
) -> list[Block]:
    """Why a target cannot be claimed: empty exactly if a claim of its outdial may take it.

    Args:
        status: its own.
        done_reason: likewise.
        next_try_at: likewise.
        now: the instant.
        is_deleted: whether it is.
        next_index: the destination that a claim would choose.
        places: its destinations that are set, in the order in which they are tried.
        keeps_order: whether a closed destination holds up the next ones.
        wakes_at: until when no claim looks at it, if one has put it to sleep.
        kept: it is a callback that is kept for another dialer.
    """
    if is_deleted:
        return [Block(BlockReason.DELETED, None, "The target is deleted.")]
    if status is TargetStatus.DONE:
        return [Block(BlockReason.DONE, None, _DONE[done_reason] if done_reason is not None else "It is done.")]
    if status is TargetStatus.PROGRESSING:
        return [Block(BlockReason.PROGRESSING, None, "A dialer has it: an attempt is in progress.")]
    blocks = []
    if next_try_at is not None and next_try_at > now:
        blocks.append(Block(BlockReason.NOT_DUE, next_try_at, "It waits until its next attempt is due."))
    if kept is not None:
        detail = "A callback is kept for another dialer."
        blocks.append(Block(BlockReason.CALLBACK_OF_ANOTHER, kept.until, detail))
    if next_index is None:
        asleep = [place.asleep for place in places if place.may_be_tried and place.asleep is not None]
        blocks += [*_of_sleep(asleep[:1] if keeps_order else asleep), *_of_places(places)]
    elif not blocks and wakes_at is not None and wakes_at > now:
        # what held it up has ended before its time, by a release on another outdial
        detail = "It was tried as often as the caps allowed when a claim looked at it. Claims look at it again then."
        blocks.append(Block(BlockReason.CAPPED, wakes_at, detail))
    return blocks


def _of_sleep(asleep: Sequence[Asleep]) -> list[Block]:
    """Why destinations that may be tried cannot be called at this time."""
    blocks = []
    if any(not place.is_sorted for place in asleep):
        detail = "Its list is being sorted by time zones, after calling hours were set. It waits until that is done."
        return [Block(BlockReason.OUTSIDE_CALLING_HOURS, None, detail)]
    known = [place for place in asleep if place.is_known]
    if known:
        opens = min((place.until for place in known if place.until is not None), default=None)
        detail = "The calling hours are closed, by the clocks of this place."
        blocks.append(Block(BlockReason.OUTSIDE_CALLING_HOURS, opens, detail))
    if len(known) < len(asleep):
        detail = "The time zone is not known. Give the target one, or let the policy use the outdial's."
        blocks.append(Block(BlockReason.UNKNOWN_TIME_ZONE, None, detail))
    return blocks


def _on_the_list(places: Sequence[PlaceFacts]) -> str:
    listed = sum(place.is_suppressed for place in places)
    if listed < len(places):
        return f"{listed} of {len(places)} addresses {'is' if listed == 1 else 'are'} on the do-not-call list."
    return "The address is on the do-not-call list." if listed == 1 else "All addresses are on the do-not-call list."


def _of_places(places: Sequence[PlaceFacts]) -> list[Block]:
    """Why no destination can be tried: each reason once."""
    blocks = []
    closed = [place for place in places if place.is_suppressed and not place.is_used_up and not place.is_invalid]
    if closed:
        # it can be tried as soon as the first of them may be called
        ends = [place.suppressed_until for place in closed if place.suppressed_until is not None]
        blocks.append(Block(BlockReason.SUPPRESSED, min(ends, default=None), _on_the_list(places)))
    capped = [place.capped_until for place in places if place.capped_until is not None and not place.is_suppressed]
    if capped:
        detail = "The person was tried as often as the caps allow in this time."
        blocks.append(Block(BlockReason.CAPPED, min(capped), detail))
    if any(place.is_used_up for place in places):
        blocks.append(Block(BlockReason.TRIES_USED_UP, None, "The limit leaves no try at a destination."))
    if any(place.is_invalid for place in places):
        blocks.append(Block(BlockReason.INVALID_DESTINATION, None, "An address was reported as invalid."))
    return blocks
