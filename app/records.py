"""The inputs and results of the use-cases: frozen values, one class for each thing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from app.addresses import DestinationType
from app.errors import UserError
from app.lifecycle import (
    DESTINATIONS,
    AttemptState,
    Disposition,
    DoneReason,
    GapReason,
    OutdialEventType,
    OutdialState,
    TargetEventType,
    TargetStatus,
    Tries,
    UnconfirmedAction,
)


class TargetOrder(StrEnum):
    NEWEST_FIRST = "NEWEST_FIRST"
    OLDEST_FIRST = "OLDEST_FIRST"


class DuplicateAction(StrEnum):
    REJECT = "REJECT"
    SKIP = "SKIP"
    UPDATE = "UPDATE"


class DedupeScope(StrEnum):
    NONE = "NONE"
    OUTDIAL = "OUTDIAL"
    CUSTOMER = "CUSTOMER"


class ImportState(StrEnum):
    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELED = "CANCELED"


class ImportStopReason(StrEnum):
    FILE = "FILE"
    TOO_LARGE = "TOO_LARGE"
    TOO_MANY_REJECTS = "TOO_MANY_REJECTS"
    INTERRUPTED = "INTERRUPTED"
    CONFLICT = "CONFLICT"
    INTERNAL = "INTERNAL"
    CANCELED = "CANCELED"
    PAUSED = "PAUSED"
    DELETED = "DELETED"


class RejectCode(StrEnum):
    INVALID = "INVALID"
    SCIENTIFIC_NOTATION = "SCIENTIFIC_NOTATION"
    MALFORMED = "MALFORMED"
    DUPLICATE_KEY = "DUPLICATE_KEY"
    DUPLICATE_ADDRESS = "DUPLICATE_ADDRESS"


# ---------------------------------------------------------------- stored things


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
        return f"{self.type.value} {self.target}"


@dataclass(frozen=True, slots=True)
class DialPolicy:
    max_try_counts: tuple[int, ...]
    retry_interval_seconds: int
    lease_seconds: int
    on_unconfirmed: UnconfirmedAction


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
    tm_create: datetime
    tm_update: datetime | None
    tm_delete: datetime | None


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
class Target:
    id: str
    customer_id: str
    outdial_id: str
    key: str | None
    name: str
    detail: str
    data: str
    status: TargetStatus
    done_reason: DoneReason | None
    priority: int
    max_try_counts: tuple[int, ...] | None
    destinations: tuple[Destination | None, ...]
    try_counts: tuple[int, ...]
    invalid_destinations: frozenset[int]
    next_try_at: datetime | None
    last_attempt_id: str | None
    """The attempt in progress while it is PROGRESSING; None after a reset or cancellation."""
    version: int
    tm_create: datetime
    tm_update: datetime
    tm_delete: datetime | None

    def tries(self, policy: DialPolicy) -> Tries:
        return Tries(
            set=[destination is not None for destination in self.destinations],
            invalid=[index in self.invalid_destinations for index in range(DESTINATIONS)],
            counts=self.try_counts,
            limits=policy.max_try_counts if self.max_try_counts is None else self.max_try_counts,
        )


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
    detail: str
    dialer: str | None
    call_id: str | None
    lease_seconds: int
    expires_at: datetime | None
    claimed_at: datetime
    dialed_at: datetime | None
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class ImportCounts:
    """Rows of a file by result. Each row that was read is also in exactly one of the other counts."""

    read: int = 0
    created: int = 0
    updated: int = 0
    skipped: int = 0
    rejected: int = 0


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


# ---------------------------------------------------------------- inputs


@dataclass(frozen=True, slots=True)
class DestinationDraft:
    target: str
    type: DestinationType = DestinationType.TEL
    target_name: str = ""
    name: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class TargetDraft:
    key: str | None = None
    name: str = ""
    detail: str = ""
    data: str = ""
    priority: int = 0
    max_try_counts: tuple[int, ...] | None = None
    not_before: datetime | None = None
    destinations: tuple[DestinationDraft | None, ...] = (None,) * DESTINATIONS


@dataclass(frozen=True, slots=True)
class CheckedTarget:
    """A draft in canonical form, ready to be stored."""

    key: str | None
    name: str
    detail: str
    data: str
    priority: int
    max_try_counts: tuple[int, ...] | None
    not_before: datetime | None
    destinations: tuple[Destination | None, ...]

    @property
    def addresses(self) -> list[str | None]:
        """In the form in which they are compared, by destination."""
        return [None if value is None else value.address for value in self.destinations]


@dataclass(frozen=True, slots=True)
class PolicyDraft:
    """None means the default, or the present value."""

    max_try_counts: tuple[int, ...] | None = None
    retry_interval_seconds: int | None = None
    lease_seconds: int | None = None
    on_unconfirmed: UnconfirmedAction | None = None


@dataclass(frozen=True, slots=True)
class OutdialDraft:
    name: str = ""
    detail: str = ""
    data: str = ""
    campaign_id: str | None = None
    dial_policy: PolicyDraft | None = None


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """How a file is read, and what happens to its rows."""

    is_ndjson: bool = False
    mapping: tuple[str, ...] = ()
    """`Header:field` pairs."""
    extra_kept: bool = False
    encoding: str | None = None
    region: str | None = None
    dedupe: DedupeScope = DedupeScope.NONE
    on_duplicate_key: DuplicateAction = DuplicateAction.REJECT
    dry_run: bool = False
    rejects_max: int = 100_000
    file_name: str = ""


@dataclass(frozen=True, slots=True)
class AttemptStart:
    attempt_id: str
    call_id: str | None = None


@dataclass(frozen=True, slots=True)
class AttemptResult:
    attempt_id: str
    disposition: Disposition
    detail: str = ""
    retry_after_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class OutdialFilter:
    campaign_id: str | None = None
    states: tuple[OutdialState, ...] = ()
    name_contains: str | None = None


@dataclass(frozen=True, slots=True)
class TargetFilter:
    statuses: tuple[TargetStatus, ...] = ()
    done_reasons: tuple[DoneReason, ...] = ()
    destination: str | None = None
    key: str | None = None


@dataclass(frozen=True, slots=True)
class AttemptFilter:
    states: tuple[AttemptState, ...] = ()
    dispositions: tuple[Disposition, ...] = ()
    dialer: str | None = None
    call_id: str | None = None


@dataclass(frozen=True, slots=True)
class ImportFilter:
    states: tuple[ImportState, ...] = ()
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True)
class EventFilter:
    target_ids: tuple[str, ...] = ()
    types: tuple[TargetEventType, ...] = ()
    statuses: tuple[TargetStatus, ...] = ()


# ---------------------------------------------------------------- results


@dataclass(frozen=True, slots=True)
class CreatedTargets:
    targets: Sequence[Target | None]
    """In the input's order; None for a row that was rejected."""
    created: int
    updated: int
    skipped: int
    rejected: int
    errors: tuple[UserError, ...]


@dataclass(frozen=True, slots=True)
class Reset:
    count: int
    remaining: int


@dataclass(frozen=True, slots=True)
class AttemptBatch:
    attempts: Sequence[Attempt]
    """In the input's order, without those that have an error."""
    errors: tuple[UserError, ...]
