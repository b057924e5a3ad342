"""A simple model of a target's life, written from the contract and not from the code."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from app.hours import CallingHours
from app.lifecycle import AttemptState, Disposition, DoneReason, TargetStatus, UnconfirmedAction
from app.pacing import Pacing
from app.records import CallCap
from app.retrying import Ending, RetryAction, RetryRule

PLACES = range(5)
LIVE = {AttemptState.CLAIMED, AttemptState.DIALING}
ENDED = {AttemptState.COMPLETED, AttemptState.RELEASED}


@dataclass
class Policy:
    limits: tuple[int, ...]
    interval: int
    lease: int
    action: UnconfirmedAction
    caps: tuple[CallCap, ...] = ()
    hours: CallingHours | None = None
    keeps_order: bool = False
    rules: tuple[RetryRule, ...] = ()
    uses_outdial: bool = False
    """Whether a destination whose zone is not known goes by the outdial's."""
    pace: Pacing = field(default_factory=Pacing)
    starts: datetime | None = None
    ends: datetime | None = None


@dataclass
class ModelAttempt:
    id: str
    target: "ModelTarget"
    index: int
    address: str
    lease: int
    expires: datetime
    claimed: datetime
    state: AttemptState = AttemptState.CLAIMED
    disposition: Disposition | None = None
    code: str | None = None

    def holds(self, now: datetime) -> bool:
        return self.state in LIVE and now < self.expires


def is_listed(listed: dict[str, datetime | None], address: str, now: datetime) -> bool:
    """Whether the address must not be called now."""
    if address not in listed:
        return False
    until = listed[address]
    return until is None or until > now


def deciding_rule(rules: Sequence[RetryRule], endings: Sequence[Ending]) -> RetryRule | None:
    """The retry rule that decides after the last of a target's attempts, which are given from its creation or reset on.

    Each rule is taken by itself: with what matches it, one list after the other.
    """
    for rule in rules:
        matching = [
            place
            for place, ending in enumerate(endings)
            if ending.state in {AttemptState.COMPLETED, AttemptState.EXPIRED, AttemptState.UNCONFIRMED}
            and ending.disposition not in {Disposition.ANSWERED, Disposition.DO_NOT_CALL}
            and ending.state in (rule.states or (ending.state,))
            and ending.disposition in (rule.dispositions or (ending.disposition,))
            and ending.code in (rule.codes or (ending.code,))
            and ending.destination_index in (rule.destinations or (ending.destination_index,))
        ]
        if matching and matching[-1] == len(endings) - 1 and len(matching) >= rule.from_nth:
            return rule
    return None


@dataclass
class ModelTarget:
    id: str
    addresses: list[str | None]
    priority: int
    due: datetime | None
    limits: tuple[int, ...] | None = None
    status: TargetStatus = TargetStatus.IDLE
    reason: DoneReason | None = None
    counts: list[int] = field(default_factory=lambda: [0] * 5)
    invalid: set[int] = field(default_factory=set)
    first: int = 0
    """Where the next claim begins."""
    endings: list["ModelAttempt"] = field(default_factory=list)
    """Its attempts since it was created or last reset, the oldest first."""
    newest: ModelAttempt | None = None
    """Its last attempt, if the target was not reset or cancelled since."""
    deleted: bool = False
    listed: dict[str, datetime | None] = field(default_factory=dict)
    """The customer's suppressions: until when each counts."""
    zone: str | None = None

    def order(self) -> list[int]:
        """In which its destinations are tried."""
        return [(self.first + step) % 5 for step in PLACES]

    def next_open(self, policy: Policy, now: datetime, counts: list[int] | None = None) -> int | None:
        """The next index that may be called now."""
        kept = [None if address and is_listed(self.listed, address, now) else address for address in self.addresses]
        return replace(self, addresses=kept).next_index(policy, counts)

    def reason_to_finish(self, policy: Policy) -> DoneReason | None:
        """Why there is nothing left to try, ever."""
        if self.next_index(policy) is None:
            return DoneReason.EXHAUSTED
        return DoneReason.DO_NOT_CALL if self.without_listed().next_index(policy) is None else None

    def next_index(self, policy: Policy, counts: list[int] | None = None) -> int | None:
        limits = self.limits or policy.limits
        tried = counts or self.counts
        for index in self.order():
            if self.addresses[index] is not None and index not in self.invalid and tried[index] < limits[index]:
                return index
        return None

    def finish(self, reason: DoneReason) -> None:
        self.status, self.reason, self.due = TargetStatus.DONE, reason, None

    def idle_or_exhausted(self, policy: Policy, due: datetime) -> None:
        reason = self.reason_to_finish(policy)
        if reason is not None:
            self.finish(reason)
        else:
            self.status, self.reason, self.due = TargetStatus.IDLE, None, due

    def revoke(self) -> None:
        if self.newest is not None and self.newest.state in LIVE:
            self.newest.state = AttemptState.REVOKED

    def complete(
        self, attempt: ModelAttempt, disposition: Disposition, policy: Policy, ended: datetime, after: int | None
    ) -> None:
        """The effect of an accepted report; not for DO_NOT_CALL for an older attempt."""
        attempt.state, attempt.disposition = AttemptState.COMPLETED, disposition
        wait = policy.interval
        if disposition is Disposition.INVALID_DESTINATION:
            wait = 0
            if self.addresses[attempt.index] == attempt.address:
                self.invalid.add(attempt.index)
        rule = self.ruled(attempt, policy)
        if rule is not None and rule.wait_seconds is not None:
            wait = rule.wait_seconds
        elif rule is not None and self.moves_on(rule, attempt, policy):
            wait = 0
        if after is not None:
            wait = after
        if disposition is Disposition.ANSWERED:
            self.finish(DoneReason.ANSWERED)
        elif disposition is Disposition.DO_NOT_CALL:
            self.finish(DoneReason.DO_NOT_CALL)
        elif rule is not None and rule.action is RetryAction.FINISH:
            self.finish(DoneReason.FINISHED)
        else:
            self.idle_or_exhausted(policy, ended + timedelta(seconds=wait))

    def lapse(self, attempt: ModelAttempt, policy: Policy) -> None:
        is_dialed = attempt.state is AttemptState.DIALING
        attempt.state = AttemptState.UNCONFIRMED if is_dialed else AttemptState.EXPIRED
        rule, wait = self.ruled(attempt, policy), policy.interval
        if rule is None and is_dialed and policy.action is UnconfirmedAction.FINISH:
            self.finish(DoneReason.UNCONFIRMED)
            return
        if rule is not None and rule.action is RetryAction.FINISH:
            self.finish(DoneReason.FINISHED)
            return
        if rule is not None and rule.wait_seconds is not None:
            wait = rule.wait_seconds
        elif rule is not None and self.moves_on(rule, attempt, policy):
            wait = 0
        self.idle_or_exhausted(policy, attempt.expires + timedelta(seconds=wait))

    def moves_on(self, rule: RetryRule, attempt: ModelAttempt, policy: Policy) -> bool:
        """Whether the rule leads to another address, so that nobody has to wait."""
        if rule.action is not RetryAction.NEXT_DESTINATION:
            return False
        return self.without_listed().next_index(policy) != attempt.index

    def without_listed(self) -> "ModelTarget":
        """Without addresses that must never be called."""
        kept = [
            None if address in self.listed and self.listed[address] is None else address for address in self.addresses
        ]
        return replace(self, addresses=kept)

    def ruled(self, attempt: ModelAttempt, policy: Policy) -> RetryRule | None:
        """The rule that decides after an attempt that has ended now, the last one of the target."""
        assert self.endings[-1] is attempt
        rule = deciding_rule(
            policy.rules, [Ending(one.state, one.disposition, one.code, one.index) for one in self.endings]
        )
        is_next = rule is not None and rule.action is RetryAction.NEXT_DESTINATION
        self.first = (attempt.index + 1) % 5 if is_next else 0
        return rule
