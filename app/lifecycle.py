"""The life of a target and of its attempts: pure rules, no I/O.

A target is IDLE, PROGRESSING or DONE. Each thing that can happen to it is a function here, from the known facts to the
new state. The use-cases read, call these functions and write.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType

DESTINATIONS = 5
"""The number of addresses that a target can have."""


class OutdialState(StrEnum):
    ACTIVE = "ACTIVE"
    PAUSED = "PAUSED"


class UnconfirmedAction(StrEnum):
    RETRY = "RETRY"
    FINISH = "FINISH"


class TargetStatus(StrEnum):
    IDLE = "IDLE"
    PROGRESSING = "PROGRESSING"
    DONE = "DONE"


class DoneReason(StrEnum):
    ANSWERED = "ANSWERED"
    EXHAUSTED = "EXHAUSTED"
    DO_NOT_CALL = "DO_NOT_CALL"
    CANCELED = "CANCELED"
    UNCONFIRMED = "UNCONFIRMED"
    FINISHED = "FINISHED"


class AttemptState(StrEnum):
    CLAIMED = "CLAIMED"
    DIALING = "DIALING"
    COMPLETED = "COMPLETED"
    RELEASED = "RELEASED"
    EXPIRED = "EXPIRED"
    UNCONFIRMED = "UNCONFIRMED"
    REVOKED = "REVOKED"


LIVE = frozenset({AttemptState.CLAIMED, AttemptState.DIALING})
"""An attempt in one of these states holds its target's lease until it expires."""
UNKNOWN = frozenset({AttemptState.DIALING, AttemptState.UNCONFIRMED})
"""It was dialed, and its result is not known yet."""


class Disposition(StrEnum):
    ANSWERED = "ANSWERED"
    BUSY = "BUSY"
    NO_ANSWER = "NO_ANSWER"
    FAILED = "FAILED"
    CANCELED = "CANCELED"
    TIMEOUT = "TIMEOUT"
    MACHINE = "MACHINE"
    INVALID_DESTINATION = "INVALID_DESTINATION"
    DO_NOT_CALL = "DO_NOT_CALL"
    CALLBACK = "CALLBACK"


class TargetEventType(StrEnum):
    CREATED = "CREATED"
    IMPORTED = "IMPORTED"
    UPDATED = "UPDATED"
    CLAIMED = "CLAIMED"
    DIALING = "DIALING"
    COMPLETED = "COMPLETED"
    RELEASED = "RELEASED"
    EXPIRED = "EXPIRED"
    UNCONFIRMED = "UNCONFIRMED"
    CANCELED = "CANCELED"
    EXHAUSTED = "EXHAUSTED"
    SUPPRESSED = "SUPPRESSED"
    CALLBACK = "CALLBACK"
    RESET = "RESET"
    DELETED = "DELETED"


class OutdialEventType(StrEnum):
    CREATED = "CREATED"
    UPDATED = "UPDATED"
    DELETED = "DELETED"
    BREAKER_OPENED = "BREAKER_OPENED"
    BREAKER_CLOSED = "BREAKER_CLOSED"


class GapReason(StrEnum):
    CURSOR_EXPIRED = "CURSOR_EXPIRED"
    CURSOR_UNKNOWN = "CURSOR_UNKNOWN"


class Verdict(StrEnum):
    """The outcome of a report on an attempt."""

    APPLY = "APPLY"
    UNCHANGED = "UNCHANGED"
    LEASE_LOST = "LEASE_LOST"
    ALREADY_ENDED = "ALREADY_ENDED"
    ALREADY_DIALED = "ALREADY_DIALED"
    SUPPRESSED = "SUPPRESSED"


NOTHING_SUPPRESSED: Mapping[int, datetime | None] = MappingProxyType({})


def in_order(first_index: int) -> Sequence[int]:
    """The destinations in the order in which they are tried: from the first one on, and after the last comes 0."""
    return [*range(first_index, DESTINATIONS), *range(first_index)]


@dataclass(frozen=True, slots=True)
class Tries:
    """The facts that decide which destination is next, by index 0 to 4."""

    set: Sequence[bool]
    """An address is there."""
    invalid: Sequence[bool]
    """The address was reported as invalid."""
    counts: Sequence[int]
    limits: Sequence[int]
    """The target's own limits, else the policy's."""
    suppressed: Mapping[int, datetime | None] = field(default_factory=lambda: NOTHING_SUPPRESSED)
    """The destinations that must not be called, each until when; None for ever."""
    offered: Sequence[int] | None = None
    """The destinations that a callback may call, whatever the limits say. None: there is none."""
    first_index: int = 0
    """Where a retry rule lets the next claim begin."""

    def usable(self, index: int) -> bool:
        if not self.set[index] or self.invalid[index]:
            return False
        return self.counts[index] < self.limits[index] if self.offered is None else index in self.offered

    def next_index(self) -> int | None:
        """The first destination in order that is usable and not suppressed. None if none is.

        Without a retry rule it is the lowest: 0 is used up before 1 is tried.
        """
        order = in_order(self.first_index)
        open_to_call = (index for index in order if self.usable(index) and index not in self.suppressed)
        return next(open_to_call, None)

    def done_reason(self) -> DoneReason | None:
        """Why nothing is left to try, now or later. None if something is: a suppression that expires leaves it."""
        left = [index for index in range(DESTINATIONS) if self.usable(index)]
        if not left:
            return DoneReason.EXHAUSTED
        is_over = all(index in self.suppressed and self.suppressed[index] is None for index in left)
        return DoneReason.DO_NOT_CALL if is_over else None


@dataclass(frozen=True, slots=True)
class Standing:
    """The status of a target after something happened to it."""

    status: TargetStatus
    done_reason: DoneReason | None = None
    next_try_at: datetime | None = None


def idle_or_done(tries: Tries, due: datetime) -> Standing:
    """IDLE and due then, or DONE if no destination is left: all are used up, or suppressed for ever."""
    reason = tries.done_reason()
    if reason is not None:
        return Standing(TargetStatus.DONE, reason)
    return Standing(TargetStatus.IDLE, next_try_at=due)


@dataclass(frozen=True, slots=True)
class Ruling:
    """What the retry rule says that matches an attempt which has ended."""

    is_final: bool = False
    """The target is finished."""
    wait_seconds: int | None = None
    """Until it is due again. None: as long as without a rule, or not at all if another address is next."""
    longer_by: float = 0.0
    """By this part of itself the wait is made longer."""
    first_index: int = 0
    """The destination at which the next claim begins."""
    left_index: int | None = None
    """The destination that was tried, if the next claim begins after it."""

    def wait(self, usual_seconds: int, tries: Tries) -> float:
        """Seconds until the target is due again.

        Args:
            usual_seconds: without a rule.
            tries: the facts, with the first index of the rule.
        """
        seconds = usual_seconds if self.wait_seconds is None else self.wait_seconds
        if self.wait_seconds is None and self.left_index is not None and tries.next_index() != self.left_index:
            seconds = 0
        return seconds * (1 + self.longer_by)


NO_RULING = Ruling()
"""As if no rule matched."""


def after_disposition(
    disposition: Disposition,
    tries: Tries,
    ended_at: datetime,
    *,
    retry_interval_seconds: int,
    retry_after_seconds: int | None = None,
    ruling: Ruling | None = None,
) -> Standing:
    """The new state after a reported result.

    Args:
        disposition: how the call ended.
        tries: counts that include this try, and marks that include this result.
        ended_at: when the attempt ended.
        retry_interval_seconds: the policy's, in force now.
        retry_after_seconds: the dialer's value, which has precedence over all other waits.
        ruling: of the retry rule that matches. None if there is none.
    """
    if disposition is Disposition.ANSWERED:
        return Standing(TargetStatus.DONE, DoneReason.ANSWERED)
    if disposition is Disposition.DO_NOT_CALL:
        return Standing(TargetStatus.DONE, DoneReason.DO_NOT_CALL)
    ruling = ruling or NO_RULING
    if ruling.is_final:
        return Standing(TargetStatus.DONE, DoneReason.FINISHED)
    if retry_after_seconds is not None:
        wait: float = retry_after_seconds
    elif disposition is Disposition.INVALID_DESTINATION:
        wait = ruling.wait(0, tries)  # nobody was called, so there is no need to wait before the next address
    else:
        wait = ruling.wait(retry_interval_seconds, tries)
    return idle_or_done(tries, ended_at + timedelta(seconds=wait))


@dataclass(frozen=True, slots=True)
class Lapse:
    """The new state of an attempt whose lease has expired, and of its target."""

    state: AttemptState
    event: TargetEventType
    standing: Standing


def after_lapse(
    state: AttemptState,
    tries: Tries,
    expired_at: datetime,
    *,
    retry_interval_seconds: int,
    on_unconfirmed: UnconfirmedAction,
    ruling: Ruling | None = None,
) -> Lapse:
    """The new state after a lease expired: an unsuccessful try, or a call with an unknown result.

    Args:
        state: the attempt's until now.
        tries: as they are.
        expired_at: when its lease did.
        retry_interval_seconds: the policy's, in force now.
        on_unconfirmed: likewise. It decides only if no rule does.
        ruling: of the retry rule that matches. None if there is none.
    """
    lapsed = lapsed_state(state)
    event = TargetEventType(lapsed.value)
    if ruling is not None and ruling.is_final:
        return Lapse(lapsed, event, Standing(TargetStatus.DONE, DoneReason.FINISHED))
    is_over = lapsed is AttemptState.UNCONFIRMED and on_unconfirmed is UnconfirmedAction.FINISH
    if ruling is None and is_over:
        return Lapse(lapsed, event, Standing(TargetStatus.DONE, DoneReason.UNCONFIRMED))
    wait = timedelta(seconds=(ruling or NO_RULING).wait(retry_interval_seconds, tries))
    return Lapse(lapsed, event, idle_or_done(tries, expired_at + wait))


def lapsed_state(state: AttemptState) -> AttemptState:
    """What an attempt in progress becomes if its lease expires: nobody knows whether a call was answered."""
    return AttemptState.EXPIRED if state is AttemptState.CLAIMED else AttemptState.UNCONFIRMED


def lease_holds(state: AttemptState, expires_at: datetime | None, now: datetime) -> bool:
    """Whether an attempt is in progress and its lease has not expired. At `expires_at` it has."""
    return state in LIVE and expires_at is not None and now < expires_at


def _ended_or_lost(state: AttemptState) -> Verdict:
    return Verdict.ALREADY_ENDED if state in {AttemptState.COMPLETED, AttemptState.RELEASED} else Verdict.LEASE_LOST


def judge_start(state: AttemptState, *, holds: bool, suppressed: bool = False) -> Verdict:
    """Whether a call may be placed.

    Args:
        state: the attempt's.
        holds: its lease holds.
        suppressed: its address must not be called any more. A call that was placed before goes on.
    """
    if suppressed and state in {AttemptState.CLAIMED, AttemptState.REVOKED}:
        return Verdict.SUPPRESSED
    return Verdict.APPLY if holds else _ended_or_lost(state)


judge_extend = judge_start
"""A lease can be extended exactly when a call can be started."""


def judge_release(state: AttemptState, *, holds: bool) -> Verdict:
    if holds:
        return Verdict.ALREADY_DIALED if state is AttemptState.DIALING else Verdict.APPLY
    return Verdict.UNCHANGED if state is AttemptState.RELEASED else _ended_or_lost(state)


def judge_complete(
    state: AttemptState,
    *,
    holds: bool,
    reported: Disposition | None,
    disposition: Disposition,
    newest: bool,
    deleted: bool,
    do_not_call: bool,
) -> Verdict:
    """Whether a result is accepted.

    Args:
        state: the attempt's.
        holds: its lease holds.
        reported: the disposition it already has.
        disposition: the one that comes in now.
        newest: no later attempt was made on the target, and nobody reset or cancelled it since.
        deleted: the target or its outdial is gone.
        do_not_call: the target is already DONE for that reason.
    """
    if disposition is Disposition.DO_NOT_CALL and not deleted:
        # people come first: accepted for any attempt, even if it has ended or lost its lease. If the target is deleted,
        # only it stays as it is: see `asks_not_to_be_called`.
        return Verdict.UNCHANGED if do_not_call else Verdict.APPLY
    if reported is disposition:
        return Verdict.UNCHANGED
    if holds and not deleted:
        return Verdict.APPLY
    if newest and not deleted and state in UNKNOWN:
        # facts come first: it was dialed, its result is unknown, and nothing has happened since. It must not matter
        # whether the sweep has already ended it.
        return Verdict.APPLY
    return _ended_or_lost(state)


def asks_not_to_be_called(*, reported: Disposition | None, disposition: Disposition) -> bool:
    """Whether a report puts the address of its attempt on the do-not-call list, whatever `judge_complete` says.

    The wish is a person's, and it is about the address: it outlives the lease, the target and the outdial. The owner
    may delete them during the call, and other lists still have the address. A result that the attempt has already
    changes nothing, so that the owner can take the address off the list for good.

    Args:
        reported: the disposition that the attempt already has.
        disposition: the one that comes in now.
    """
    return disposition is Disposition.DO_NOT_CALL and reported is not Disposition.DO_NOT_CALL
