"""The object types. Their values are the records of the use-cases; a field is the attribute with its name.

If it is not, a function computes it from the record (`derived`), or a resolver uses a loader.
"""

from datetime import datetime
from typing import Any

import strawberry

from app import auth, records
from app.files.drafting import MESSAGE_CHARACTERS_MAX, ROW_CHARACTERS_MAX
from app.graphql.schema import resolvers
from app.graphql.schema.blocks import Block, BreakerStatus, Dialability
from app.graphql.schema.connections import Connection
from app.graphql.schema.enums import (
    AttemptState,
    BlockReason,
    DestinationType,
    Disposition,
    DoneReason,
    ImportState,
    ImportStopReason,
    OutdialState,
    RejectCode,
    Scope,
    SuppressionSource,
    TargetStatus,
    TimeZoneSource,
)
from app.graphql.schema.fields import derived, resolved, text
from app.graphql.schema.permits import Permit
from app.graphql.schema.policies import DialPolicy
from app.graphql.schema.scalars import EventCursor
from app.graphql.schema.stats import Stats
from app.lifecycle import DESTINATIONS
from app.validation import CALLBACK_NOTE_CHARACTERS_MAX, DATA_CHARACTERS_MAX, DETAIL_CHARACTERS_MAX


@strawberry.interface(
    description="An object with a global id. Ids are UUIDs, and are the same in GraphQL, REST and events."
)
class Node:
    id: strawberry.ID = strawberry.field(description="The object's id, a UUID.")


# ---------------------------------------------------------------- viewer


def _scopes(viewer: auth.Viewer) -> list[Scope]:
    return [scope for scope in Scope if scope in viewer.scopes]


@strawberry.type(description="The customer and permissions of a token.")
class Viewer:
    customer_id: strawberry.ID = strawberry.field(description="The customer whose data the viewer reads and writes.")
    subject: str = strawberry.field(description="The token's subject or user name. Empty if the token has none.")
    scopes: list[Scope] = derived(_scopes, "The token's permissions.")
    expires_at: datetime | None = strawberry.field(description="When the token expires.")


@strawberry.type(
    description="How much work a customer may ask for, in points. Each operation takes as many as it costs, and they "
    "come back at a constant rate. `extensions.cost` of an answer has the cost, if the request asks for it."
)
class RateLimit:
    limit: int = strawberry.field(
        description="The most points that there can be. 2147483647 if the server sets no limit, and remaining too."
    )
    remaining: int = strawberry.field(
        description="The points that are left. An operation that costs more is RATE_LIMITED. Reports of dialers never "
        "are."
    )
    reset_at: datetime = strawberry.field(description="When all points are back, if none is taken meanwhile.")


# ---------------------------------------------------------------- outdial


@strawberry.type(description="The number of targets that are DONE for one reason.")
class DoneReasonCount:
    reason: DoneReason = derived(lambda item: item[0], "The reason.")
    count: int = derived(lambda item: item[1], "The number of targets, at least 1.")


def _done_by_reason(progress: records.Progress) -> list[tuple[DoneReason, int]]:
    counts = progress.done_by_reason
    return [(reason, counts[reason]) for reason in DoneReason if counts.get(reason)]


@strawberry.type(description="Exact counts of an outdial's targets. idle + progressing + done = total.")
class Progress:
    total: int = strawberry.field(description="All targets, without deleted ones.")
    idle: int = strawberry.field(description="Targets that wait for their first or next try.")
    progressing: int = strawberry.field(description="Targets with an attempt in progress.")
    done: int = strawberry.field(description="Finished targets.")
    done_by_reason: list[DoneReasonCount] = derived(
        _done_by_reason,
        "The finished targets by reason. Reasons without targets are left out. The counts add up to done.",
        items_max=len(DoneReason),
    )
    attempts: int = strawberry.field(description="All attempts ever made, except released ones.")


@strawberry.type(description="A list of targets to call, owned by one customer.")
class Outdial(Node):
    campaign_id: strawberry.ID | None = strawberry.field(
        description="The campaign that dials this outdial. Null if there is none."
    )
    name: str = strawberry.field(description="Its name.")
    detail: str = text("What it is for.", DETAIL_CHARACTERS_MAX)
    data: str = text("Free text for the owner's use. Never interpreted.", DATA_CHARACTERS_MAX)
    state: OutdialState = strawberry.field(description="Whether its targets can be claimed.")
    dial_policy: DialPolicy = strawberry.field(
        description="How often targets are tried, how long to wait between tries, and how long a lease lasts."
    )
    time_zone: str | None = strawberry.field(
        description="The IANA time zone of destinations whose own is not known. Null if there is none."
    )
    progress: Progress = resolved(resolvers.progress, "Exact counts, in constant time for an outdial of any size.")
    targets: "Connection[OutdialTarget]" = resolved(
        resolvers.targets_of_outdial,
        "The outdial's targets without deleted ones. Default order: newest first.",
    )
    attempts: "Connection[Attempt]" = resolved(
        resolvers.attempts_of_outdial,
        "All attempts on the outdial's targets, newest first.",
    )
    imports: "Connection[ImportJob]" = resolved(resolvers.imports_of_outdial, "The outdial's imports, newest first.")
    event_cursor: EventCursor = resolved(
        resolvers.event_cursor,
        "A position in the event log that is not newer than any other data of the same operation. Read it together "
        "with "
        "the targets, then subscribe to targetEvents with this cursor as `after`: no change is missed. Some events may "
        "already be part of the page; compare version.",
    )
    breaker: BreakerStatus = resolved(
        resolvers.breaker_of_outdial, "Whether it has stopped by itself because too many of its calls failed."
    )
    blocked_by: list[Block] = resolved(
        resolvers.blocks_of_outdial,
        "What keeps all its targets from being claimed now. Empty if nothing does; targets have reasons of their own.",
        items_max=len(BlockReason),
    )
    next_claim_at: datetime | None = resolved(
        resolvers.next_claim,
        "The first moment at which one of its targets can be claimed, in constant time. In the past if one can be now. "
        "Null if none will be: it is paused, deleted or never opens, or no target waits. What attempts in progress "
        "lead to is not foreseen. It is never later than the truth. If over 100 targets of one priority are held up "
        "that no claim has looked at yet, it is a bound, and may be now though nothing can be claimed: the next "
        "claims look at them, and make it exact. So wait at least a second between two claims.",
    )
    dialability: Dialability | None = resolved(
        resolvers.dialability_of_outdial,
        "How many of its targets can be claimed at a time, and what keeps the others: a check before a list starts. "
        "Each target is judged by itself: of those that share an address, all count, though caps may leave fewer "
        "tries. If counting takes over 2 seconds, null with the error LIMIT_EXCEEDED.",
    )
    stats: Stats = resolved(
        resolvers.stats_of_outdial,
        "Figures of the outdial's attempts: how many there were and how they ended.",
    )
    tm_create: datetime = strawberry.field(description="When it was created.")
    tm_update: datetime | None = strawberry.field(description="When it was last changed. Null until the first update.")
    tm_delete: datetime | None = strawberry.field(description="When it was deleted. Null if it is not deleted.")

    @classmethod
    def is_type_of(cls, value: Any, _info: object) -> bool:
        return isinstance(value, records.Outdial)


# ---------------------------------------------------------------- target


@strawberry.type(description="An address that can be called or written to.")
class Destination:
    type: DestinationType = strawberry.field(description="The type of the address.")
    target: str = strawberry.field(
        description="The address in the canonical form of its type: E.164 for TEL and WHATSAPP."
    )
    target_name: str = strawberry.field(description="The name of the person or thing at this address.")
    name: str = strawberry.field(description="The owner's name for it.")
    detail: str = text("Notes.", DETAIL_CHARACTERS_MAX)


@strawberry.type(description="A destination that is set, with its tries.")
class TargetDestination:
    index: int = strawberry.field(description="The destination's place in the order of tries, 0 to 4.")
    destination: Destination = strawberry.field(description="The address.")
    try_count: int = strawberry.field(
        description="Tries since the target was created or last reset. Released attempts do not count."
    )
    max_try_count: int = strawberry.field(
        description="The try limit: the target's own, or the policy's if the target has none."
    )
    usable: bool = strawberry.field(
        description="False if the try limit is reached or the address turned out to be invalid."
    )
    blocked_by: list[Block] = resolved(
        resolvers.blocks_of_destination,
        "Why this destination cannot be claimed now, and until when. The target and its outdial may have more reasons.",
        items_max=len(BlockReason),
    )
    time_zone: str | None = derived(
        lambda numbered: numbered.zone.time_zone,
        "The IANA time zone by whose clocks the calling hours count for this address. Null if it is not known.",
    )
    time_zone_source: TimeZoneSource = derived(
        lambda numbered: numbered.zone.source, "Where the time zone is known from."
    )


def _destination(index: int) -> Any:
    return derived(
        lambda target: target.destinations[index], f"The destination with index {index}. Null if it is not set."
    )


def _try_count(index: int) -> Any:
    return derived(
        lambda target: target.try_counts[index],
        f"Tries at destination {index} since the target was created or last reset.",
    )


@strawberry.type(
    description="The wish to be called at a time. It comes before every priority, even if the limits leave no try. "
    "Do-not-call list and calling hours still hold."
)
class Callback:
    at: datetime = strawberry.field(description="When to call.")
    destination_index: int | None = strawberry.field(
        description="The index of the destination to call. Null: as without a callback."
    )
    dialer: str | None = strawberry.field(
        description="The name of the dialer for which it is kept. Null if any dialer may claim it."
    )
    window_seconds: int = strawberry.field(
        description="How long it is kept for this dialer, in seconds. Then any dialer may claim it."
    )
    note: str = text("What the next dialer has to know.", CALLBACK_NOTE_CHARACTERS_MAX)
    opened_at: datetime | None = strawberry.field(
        description="When its dialer could first claim it, and its window began. Null before, and without a dialer."
    )


@strawberry.type(description="One person or place to reach, with up to five destinations. They are tried in order.")
class OutdialTarget(Node):
    outdial_id: strawberry.ID = strawberry.field(description="The outdial it belongs to.")
    outdial: Outdial = resolved(
        resolvers.outdial_of_target,
        "The outdial it belongs to. If the outdial is deleted, its tmDelete is set.",
        reads=("outdial_id",),
    )
    key: str | None = strawberry.field(
        description="The owner's key for this target, unique in its outdial. Null if there is none."
    )
    name: str = strawberry.field(description="The name of the person or place.")
    detail: str = text("Notes.", DETAIL_CHARACTERS_MAX)
    data: str = text("Free text for the owner's use. Never interpreted.", DATA_CHARACTERS_MAX)
    status: TargetStatus = strawberry.field(description="The status of the target.")
    done_reason: DoneReason | None = strawberry.field(description="Why the target is DONE. Null if it is not.")
    priority: int = strawberry.field(description="0 to 9. Targets with a higher priority are claimed first.")
    max_try_counts: list[int] | None = strawberry.field(
        description="Five numbers that replace the policy's maxTryCounts. Null if the policy applies."
    )
    destination_0: Destination | None = _destination(0)
    destination_1: Destination | None = _destination(1)
    destination_2: Destination | None = _destination(2)
    destination_3: Destination | None = _destination(3)
    destination_4: Destination | None = _destination(4)
    try_count_0: int = _try_count(0)
    try_count_1: int = _try_count(1)
    try_count_2: int = _try_count(2)
    try_count_3: int = _try_count(3)
    try_count_4: int = _try_count(4)
    destinations: list[TargetDestination] = resolved(
        resolvers.destinations,
        "The destinations that are set, with their index and tries.",
        reads=(
            *("outdial_id", "destinations", "try_counts", "max_try_counts", "invalid_destinations", "first_index"),
            "time_zone",
        ),
        items_max=DESTINATIONS,
    )
    time_zone: str | None = strawberry.field(
        description="The IANA time zone that the owner gave. Null if it gave none."
    )
    blocked_by: list[Block] = resolved(
        resolvers.blocks_of_target,
        "Why it cannot be claimed now, and until when. If this is empty, and blockedBy of its outdial is, too, it can "
        "be claimed now.",
        reads=("id",),
        items_max=len(BlockReason),
    )
    next_try_at: datetime | None = strawberry.field(
        description="The earliest time of the next claim. Null unless the status is IDLE."
    )
    callback: Callback | None = strawberry.field(
        description="The wish to be called at a time, which has not been kept yet. Null if there is none."
    )
    current_attempt: "Attempt | None" = resolved(
        resolvers.current_attempt,
        "The attempt in progress. Null unless the status is PROGRESSING.",
        reads=("status", "last_attempt_id"),
    )
    attempts: "Connection[Attempt]" = resolved(
        resolvers.attempts_of_target, "All attempts on the target, newest first.", reads=("id",)
    )
    version: int = strawberry.field(
        description="Grows with every change. Of two reads, the one with the higher version is newer."
    )
    tm_create: datetime = strawberry.field(description="When it was created.")
    tm_update: datetime = strawberry.field(
        description="When it was last changed. Equal to tmCreate until the first change."
    )
    tm_delete: datetime | None = strawberry.field(description="When it was deleted. Null if it is not deleted.")

    @classmethod
    def is_type_of(cls, value: Any, _info: object) -> bool:
        return isinstance(value, records.Target)


# ---------------------------------------------------------------- attempt


@strawberry.type(
    description="One try at one destination of a target, and the dialer's lease on the target. Reports are made with "
    "the attempt's id. A report changes nothing if the attempt no longer holds its lease."
)
class Attempt(Node):
    target: OutdialTarget = resolved(
        resolvers.target_of_attempt,
        "The target that is tried. If the target is deleted, its tmDelete is set.",
    )
    destination_index: int = strawberry.field(description="The index of the destination, 0 to 4.")
    destination: Destination = strawberry.field(description="The destination as it was when the target was claimed.")
    try_number: int = strawberry.field(description="1 for the first try at this destination.")
    state: AttemptState = strawberry.field(description="The state of the attempt.")
    disposition: Disposition | None = strawberry.field(
        description="The reported result. Null unless the state is COMPLETED."
    )
    code: str | None = strawberry.field(
        description="The owner's own result: one of resultCodes. Null if none was reported."
    )
    is_right_party: bool | None = strawberry.field(
        description="Whether the person was reached who was wanted, as the code said when it was reported: later "
        "changes of the code change no attempt. Null without a code."
    )
    is_conversion: bool | None = strawberry.field(
        description="Whether the call was a success, as the code said when it was reported. Null without a code."
    )
    detail: str = text("Details that the dialer reported.", DETAIL_CHARACTERS_MAX)
    dialer: str | None = strawberry.field(description="The name that the dialer gave for itself. Null if it gave none.")
    call_id: str | None = strawberry.field(
        description="The dialer's own id of the call. Null until the dialer reports one."
    )
    expires_at: datetime | None = strawberry.field(
        description="When the lease expires. Null after the attempt has ended."
    )
    claimed_at: datetime = strawberry.field(description="When the dialer claimed the target.")
    dialed_at: datetime | None = strawberry.field(
        description="When the dialer reported that it placed the call. Null if it did not."
    )
    ended_at: datetime | None = strawberry.field(description="When the attempt ended. Null while it is in progress.")
    ring_seconds: int | None = strawberry.field(
        description="How long it rang, in seconds, as the dialer reported. Null if it did not say."
    )
    talk_seconds: int | None = strawberry.field(
        description="How long the parties talked, in seconds, as the dialer reported. Null if it did not say."
    )
    permit: Permit | None = resolved(
        resolvers.permit_of_attempt,
        "Why this call was allowed, as it was found and stored when the target was claimed. Null if the attempt is "
        "older than permits are.",
    )

    @classmethod
    def is_type_of(cls, value: Any, _info: object) -> bool:
        return isinstance(value, records.Attempt)


# ---------------------------------------------------------------- imports: files


@strawberry.type(description="Rows of a file by result. created + updated + skipped + rejected = read.")
class ImportCounts:
    read: int = strawberry.field(description="Rows read so far, without blank lines and the header.")
    created: int = strawberry.field(description="Rows that created a target.")
    updated: int = strawberry.field(description="Rows that changed an existing target with the same key.")
    skipped: int = strawberry.field(description="Rows that repeat a target or change nothing.")
    rejected: int = strawberry.field(description="Rows that were not accepted. rejects gives the reasons.")
    suppressed: int = strawberry.field(
        description="Of the created and updated rows, those whose addresses are all on the do-not-call list: they are "
        "not called while they are."
    )


@strawberry.type(description="A row of a file that was not accepted.")
class ImportReject:
    line_number: int = strawberry.field(
        description="The line on which the row starts. The first line of the file is 1."
    )
    column: str | None = strawberry.field(
        description="The column of the first error, as named in the file. Null if the error concerns the whole row."
    )
    code: RejectCode = strawberry.field(description="The kind of the first error, for programs.")
    message: str = text("All errors of the row, for people.", MESSAGE_CHARACTERS_MAX)
    row: str = text("The row as it is in the file, cut after 2,000 characters.", ROW_CHARACTERS_MAX)


@strawberry.type(description="The import of a file of targets into an outdial.")
class ImportJob(Node):
    outdial_id: strawberry.ID = strawberry.field(description="The outdial that gets the targets.")
    outdial: Outdial = resolved(
        resolvers.outdial_of_import,
        "The outdial that gets the targets. If the outdial is deleted, its tmDelete is set.",
    )
    file_name: str = strawberry.field(description="The file name that the sender gave. Empty if there is none.")
    state: ImportState = strawberry.field(description="The state of the import.")
    stop_reason: ImportStopReason | None = strawberry.field(
        description="Why the import ended early. Null if it did not."
    )
    message: str = strawberry.field(description="Why the import ended early, for people. Empty if it did not.")
    dry_run: bool = strawberry.field(description="Whether the import only reports and stores no target.")
    idempotency_key: str | None = strawberry.field(
        description="The key under which the file can be sent again to continue. Null if the sender gave none."
    )
    counts: ImportCounts = strawberry.field(description="Rows so far, by result.")
    warnings: list[str] = strawberry.field(description="Warnings, for example columns that are ignored.")
    rejects: Connection[ImportReject] = resolved(
        resolvers.rejects_of_import, "The rows that were not accepted, in the order of the file."
    )
    tm_create: datetime = strawberry.field(description="When the file was first sent.")
    started_at: datetime | None = strawberry.field(description="When the import started to read. Null while it waits.")
    finished_at: datetime | None = strawberry.field(description="When the import ended. Null while it is in progress.")

    @classmethod
    def is_type_of(cls, value: Any, _info: object) -> bool:
        return isinstance(value, records.ImportJob)


# ---------------------------------------------------------------- suppressions


@strawberry.type(
    description="An entry of the do-not-call list: an address that is not called on any list of the customer. While it "
    "counts, no target is claimed at this address and no call begins there."
)
class Suppression(Node):
    type: DestinationType = strawberry.field(
        description="The type as it was given. TEL and WHATSAPP share their numbers: either one suppresses both."
    )
    target: str = strawberry.field(
        description="The address as it is compared: in the canonical form of its type, e-mail and SIP addresses in "
        "lower case, SIP addresses without their usual port, a password and parameters."
    )
    reason: str = strawberry.field(description="Why it must not be called, for people. Empty if nobody said.")
    source: SuppressionSource = strawberry.field(description="How it came to the list.")
    expires_at: datetime | None = strawberry.field(
        description="When it stops to count by itself. Null if it never does."
    )
    tm_create: datetime = strawberry.field(description="When the address was added first.")

    @classmethod
    def is_type_of(cls, value: Any, _info: object) -> bool:
        return isinstance(value, records.Suppression)
