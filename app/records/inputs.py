"""What the use-cases get: drafts, reports and filters."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from app.addresses import DestinationType
from app.errors import UserError
from app.hours import CallingHours, UnknownTimeZoneAction
from app.lifecycle import (
    DESTINATIONS,
    AttemptState,
    Disposition,
    DoneReason,
    OutdialState,
    TargetEventType,
    TargetStatus,
    UnconfirmedAction,
)
from app.pacing import Pacing
from app.records.choices import (
    DedupeScope,
    DuplicateAction,
    ImportState,
    SuppressionSource,
)
from app.records.stored import (
    Callback,
    CallCap,
    Destination,
    Suppression,
)
from app.retrying import RetryRule


@dataclass(frozen=True, slots=True)
class DestinationDraft:
    target: str
    type: DestinationType = DestinationType.TEL
    target_name: str = ""
    name: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class CallbackDraft:
    at: datetime
    destination_index: int | None = None
    dialer: str | None = None
    window_seconds: int = 900
    note: str = ""

    def callback(self, now: datetime, destination_index: int | None) -> Callback:
        """The callback of a checked draft. A time in the past means now."""
        return Callback(max(self.at, now), destination_index, self.dialer, self.window_seconds, self.note)


@dataclass(frozen=True, slots=True)
class TargetDraft:
    key: str | None = None
    name: str = ""
    detail: str = ""
    data: str = ""
    priority: int = 0
    max_try_counts: tuple[int, ...] | None = None
    not_before: datetime | None = None
    time_zone: str | None = None
    destinations: tuple[DestinationDraft | None, ...] = (None,) * DESTINATIONS
    callback: CallbackDraft | None = None


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
    time_zone: str | None
    destinations: tuple[Destination | None, ...]
    callback: CallbackDraft | None = None
    """Of a file alone."""

    @property
    def addresses(self) -> list[str | None]:
        """In the form in which they are compared, by destination."""
        return [None if value is None else value.address for value in self.destinations]


class Kept(Enum):
    """A field that may be set to None was left out."""

    KEPT = "KEPT"


@dataclass(frozen=True, slots=True)
class PolicyDraft:
    """None means the default, or the present value; where a field may be KEPT, None means none."""

    max_try_counts: tuple[int, ...] | None = None
    retry_interval_seconds: int | None = None
    lease_seconds: int | None = None
    on_unconfirmed: UnconfirmedAction | None = None
    calling_hours: CallingHours | Kept | None = Kept.KEPT
    caps: tuple[CallCap, ...] | None = None
    on_unknown_time_zone: UnknownTimeZoneAction | None = None
    keep_order: bool | None = None
    retry_rules: tuple[RetryRule, ...] | None = None
    pacing: Pacing | Kept | None = Kept.KEPT
    starts_at: datetime | Kept | None = Kept.KEPT
    ends_at: datetime | Kept | None = Kept.KEPT


@dataclass(frozen=True, slots=True)
class OutdialDraft:
    name: str = ""
    detail: str = ""
    data: str = ""
    campaign_id: str | None = None
    dial_policy: PolicyDraft | None = None
    time_zone: str | None = None


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
class SuppressionDraft:
    target: str
    type: DestinationType = DestinationType.TEL
    reason: str = ""
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class SuppressionBatch:
    """The suppressions that were added, changed or removed, in the order of the input, and why the others were not."""

    suppressions: Sequence[Suppression]
    errors: tuple[UserError, ...]


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
    code: str | None = None
    callback: CallbackDraft | None = None
    ring_seconds: int | None = None
    talk_seconds: int | None = None


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
    has_callback: bool | None = None


@dataclass(frozen=True, slots=True)
class AttemptFilter:
    states: tuple[AttemptState, ...] = ()
    dispositions: tuple[Disposition, ...] = ()
    codes: tuple[str, ...] = ()
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


@dataclass(frozen=True, slots=True)
class SuppressionFilter:
    target: str | None = None
    type: DestinationType | None = None
    """Of the target. None: a number, an e-mail address or a SIP address, as it looks."""
    sources: tuple[SuppressionSource, ...] = ()
    expires: bool | None = None
