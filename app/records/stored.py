"""Stored things, one class for each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import TypeAlias

from app.addresses import DestinationType, compared
from app.hours import CallingHours, UnknownTimeZoneAction
from app.lifecycle import (
    DESTINATIONS,
    NOTHING_SUPPRESSED,
    AttemptState,
    Disposition,
    DoneReason,
    GapReason,
    OutdialEventType,
    OutdialState,
    Standing,
    TargetEventType,
    TargetStatus,
    Tries,
    UnconfirmedAction,
)
from app.pacing import Breaker, Pacing
from app.records.choices import (
    CapScope,
    CapSubject,
    ImportState,
    ImportStopReason,
    RejectCode,
    SuppressionSource,
)
from app.retrying import RetryRule

Place: TypeAlias = tuple[DestinationType, str]
"""What suppressions compare: the type whose numbers it is, and the address as addresses are compared."""


def place_of(address_type: DestinationType, address: str) -> Place:
    """Where an address is called."""
    return space_of(address_type), compared(address_type, address)


def space_of(address_type: DestinationType) -> DestinationType:
    """TEL and WHATSAPP share their numbers: it is the same person."""
    return DestinationType.TEL if address_type is DestinationType.WHATSAPP else address_type


@dataclass(frozen=True, slots=True)
class Destination:
    type: DestinationType
    target: str
    target_name: str
    name: str
    detail: str

    @property
    def address(self) -> str:
        """Two destinations are the same if both are equal: one number may belong to a telephone and to a messenger."""
        return f"{self.type.value} {compared(self.type, self.target)}"

    @property
    def place(self) -> Place:
        """As suppressions compare it."""
        return place_of(self.type, self.target)


Counting: TypeAlias = Mapping[Place, datetime | None]
"""Suppressions that count: each until when; None for ever."""
NONE_COUNTING: Counting = MappingProxyType({})


def suppressed_among(destinations: Sequence[Destination | None], counting: Counting) -> Mapping[int, datetime | None]:
    """Which of a target's destinations are suppressed, as `lifecycle.Tries` takes it."""
    if not counting:
        return NOTHING_SUPPRESSED
    return {
        index: counting[place.place]
        for index, place in enumerate(destinations)
        if place is not None and place.place in counting
    }


@dataclass(frozen=True, slots=True)
class CallCap:
    """At most so many tries in any time of this length."""

    tries: int
    window_seconds: int
    per: CapSubject
    over: CapScope


@dataclass(frozen=True, slots=True)
class DialPolicy:
    max_try_counts: tuple[int, ...]
    retry_interval_seconds: int
    lease_seconds: int
    on_unconfirmed: UnconfirmedAction
    calling_hours: CallingHours | None = None
    """None: at any time."""
    on_unknown_time_zone: UnknownTimeZoneAction = UnknownTimeZoneAction.SKIP
    keep_order: bool = False
    """Whether a closed destination holds up the next ones."""
    version: int = 1
    """Grows with each change of the policy, and of the outdial's time zone."""
    caps: tuple[CallCap, ...] = ()
    retry_rules: tuple[RetryRule, ...] = ()
    """The first that matches decides."""
    pacing: Pacing | None = None
    """None: as fast as dialers claim."""
    starts_at: datetime | None = None
    """Nothing is claimed before. None: from now on."""
    ends_at: datetime | None = None
    """Nothing is claimed from then on. None: for ever."""

    @property
    def sorts_by_zone(self) -> bool:
        """Whether each destination has its own calling hours, by its time zone."""
        return self.calling_hours is not None and self.calling_hours.time_zone is None

    @property
    def breaker(self) -> Breaker | None:
        """When the list stops by itself; None: never."""
        return None if self.pacing is None else self.pacing.breaker


@dataclass(frozen=True, slots=True)
class Outdial:
    id: str
    customer_id: str
    campaign_id: str | None
    name: str
    detail: str
    data: str
    state: OutdialState
    dial_policy: DialPolicy
    time_zone: str | None
    """Of destinations whose own is not known; an IANA name."""
    tm_create: datetime
    tm_update: datetime | None
    tm_delete: datetime | None

    @property
    def default_time_zone(self) -> str | None:
        """The zone of destinations whose own is not known, if the policy lets it count for them."""
        policy = self.dial_policy
        skips = policy.calling_hours is not None and policy.on_unknown_time_zone is UnknownTimeZoneAction.SKIP
        return None if skips else self.time_zone


@dataclass(frozen=True, slots=True)
class Progress:
    idle: int = 0
    progressing: int = 0
    done_by_reason: Mapping[DoneReason, int] = field(default_factory=dict)
    attempts: int = 0

    @property
    def done(self) -> int:
        return sum(self.done_by_reason.values())

    @property
    def total(self) -> int:
        return self.idle + self.progressing + self.done


@dataclass(frozen=True, slots=True)
class Callback:
    """A wish of the callee to be called at a time."""

    at: datetime
    destination_index: int | None
    """Where; None: as without a callback."""
    dialer: str | None
    """Who alone may claim it within its window; None: anybody."""
    window_seconds: int
    note: str
    opened_at: datetime | None = None
    """When it could first be claimed, and its window began; None if that is not seen yet, or if it is for anybody."""
    is_for_all: bool = False
    """Whether its window is over."""
    offered: tuple[int, ...] = ()
    """The destinations that it may call, whatever the limits say."""
    after_attempt_id: str | None = None
    """The last attempt when it was asked for, whose end is not the callback's. Each later one is for the callback."""
    before: Standing | None = None
    """How its target is without it. None while that is in progress and its end decides."""

    @property
    def is_reserved(self) -> bool:
        """Whether its dialer alone may claim it."""
        return self.dialer is not None and not self.is_for_all

    @property
    def ends_at(self) -> datetime | None:
        """When its window ends; None if it has not begun."""
        return None if self.opened_at is None else self.opened_at + timedelta(seconds=self.window_seconds)

    @property
    def check_at(self) -> datetime | None:
        """When its window may begin, or end. None if it is for anybody."""
        return (self.ends_at or self.at) if self.is_reserved else None


CALLBACK_RANK = 10
"""Above all priorities: a callback that anybody may claim."""
RESERVED_RANK = -1
"""Of a callback that is kept for one dialer. Claims do not look at this rank but for that dialer's."""


def rank_of(priority: int, callback: Callback | None) -> int:
    """In which order claims look at a target: of higher rank first."""
    if callback is None:
        return priority
    return RESERVED_RANK if callback.is_reserved else CALLBACK_RANK


_NONE_INVALID = (False,) * DESTINATIONS


@dataclass(frozen=True, slots=True)
class CalledTarget:
    """What calls need of a target, and change: a target without what only its owner reads and writes."""

    id: str
    customer_id: str
    outdial_id: str
    status: TargetStatus
    done_reason: DoneReason | None
    max_try_counts: tuple[int, ...] | None
    destinations: tuple[Destination | None, ...]
    try_counts: tuple[int, ...]
    invalid_destinations: frozenset[int]
    first_index: int
    """Where a retry rule lets the next claim begin; 0 without one."""
    next_try_at: datetime | None
    last_attempt_id: str | None
    """The attempt in progress while it is PROGRESSING; None after a reset or cancellation."""
    version: int
    tm_update: datetime
    tm_delete: datetime | None
    priority: int
    callback: Callback | None
    """Never while it is DONE."""

    def tries(self, policy: DialPolicy, suppressed: Mapping[int, datetime | None] = NOTHING_SUPPRESSED) -> Tries:
        """The facts that decide what is next. A callback is left aside: see `app.callbacks`.

        Args:
            policy: of its outdial.
            suppressed: as in `Tries`.
        """
        return Tries(
            set=[destination is not None for destination in self.destinations],
            invalid=[index in self.invalid_destinations for index in range(DESTINATIONS)]
            if self.invalid_destinations
            else _NONE_INVALID,
            counts=self.try_counts,
            limits=policy.max_try_counts if self.max_try_counts is None else self.max_try_counts,
            suppressed=suppressed,
            first_index=self.first_index,
        )


@dataclass(frozen=True, slots=True)
class Target(CalledTarget):
    key: str | None
    name: str
    detail: str
    data: str
    time_zone: str | None
    """As the owner gave it; an IANA name."""
    tm_create: datetime


@dataclass(frozen=True, slots=True)
class Attempt:
    id: str
    customer_id: str
    outdial_id: str
    target_id: str
    destination_index: int
    destination: Destination
    try_number: int
    state: AttemptState
    disposition: Disposition | None
    code: str | None
    """The owner's own word for the result, of those that the owner had when it was reported."""
    is_right_party: bool | None
    is_conversion: bool | None
    """As the code said then; None without a code."""
    detail: str
    dialer: str | None
    call_id: str | None
    lease_seconds: int
    expires_at: datetime | None
    claimed_at: datetime
    dialed_at: datetime | None
    ended_at: datetime | None
    ring_seconds: int | None
    """How long it rang, as the dialer reported; None if it did not say."""
    talk_seconds: int | None
    """How long the parties talked; likewise."""


@dataclass(frozen=True, slots=True)
class ClaimedAttempt(Attempt):
    """A new attempt with its target as the claim has left it."""

    target: Target


@dataclass(frozen=True, slots=True)
class Suppression:
    """An address that must not be called, on no list of the customer."""

    id: str
    customer_id: str
    type: DestinationType
    """As it was given."""
    target: str
    """As addresses are compared."""
    reason: str
    source: SuppressionSource
    expires_at: datetime | None
    """None: never."""
    tm_create: datetime

    @property
    def place(self) -> Place:
        return place_of(self.type, self.target)


@dataclass(frozen=True, slots=True)
class ImportCounts:
    """Rows of a file by result. Each row that was read is also in exactly one of the other counts, up to `rejected`."""

    read: int = 0
    created: int = 0
    updated: int = 0
    skipped: int = 0
    rejected: int = 0
    suppressed: int = 0
    """Of the created and updated ones, those whose addresses are all on the do-not-call list."""


@dataclass(frozen=True, slots=True)
class ImportJob:
    id: str
    customer_id: str
    outdial_id: str
    file_name: str
    state: ImportState
    stop_reason: ImportStopReason | None
    """Why it ended early; None if it did not."""
    message: str
    dry_run: bool
    idempotency_key: str | None
    counts: ImportCounts
    warnings: tuple[str, ...]
    tm_create: datetime
    started_at: datetime | None
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class ImportReject:
    """A row that was not accepted."""

    id: str
    job_id: str
    line_number: int
    """The line on which the row begins. The first line of the file is 1."""
    column: str | None
    code: RejectCode
    message: str
    row: str
    """As it stands in the file; a long one is cut."""
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class FileLayout:
    """The format of an imported file, for the file of its rejected rows."""

    file_name: str
    is_ndjson: bool
    column_names: tuple[str | None, ...] | None
    """Of CSV; None if they are not stored. Columns that a file of rejected rows adds have no name."""
    delimiter: str | None


@dataclass(frozen=True, slots=True)
class KeptRow:
    """A rejected row, whole."""

    line_number: int
    message: str
    text: str
    """As it stands in the file, without its line end."""
    is_whole: bool
    """If not, the row cannot be stored as it is, and `text` is only for display."""


@dataclass(frozen=True, slots=True)
class TargetEvent:
    cursor: str
    type: TargetEventType
    occurred_at: datetime
    outdial_id: str
    target_id: str | None
    count: int
    status: TargetStatus | None
    previous_status: TargetStatus | None
    done_reason: DoneReason | None
    try_counts: tuple[int, ...]
    next_try_at: datetime | None
    version: int | None
    destination_index: int | None
    attempt_id: str | None
    disposition: Disposition | None


@dataclass(frozen=True, slots=True)
class EventBatch:
    cursor: str
    events: Sequence[TargetEvent]
    caught_up: bool
    gap: GapReason | None = None


@dataclass(frozen=True, slots=True)
class OutdialEvent:
    type: OutdialEventType
    outdial_id: str
    occurred_at: datetime
