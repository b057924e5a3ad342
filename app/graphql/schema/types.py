"""The object types. Their values are the records of the use-cases; a field is the attribute of its name.

Where it is not, a function reads it off the record (`derived`) or a resolver asks a loader.
"""

from datetime import datetime
from typing import Any

import strawberry

from app import auth, records
from app.graphql.schema import resolvers
from app.graphql.schema.connections import Connection
from app.graphql.schema.enums import (
    AttemptState,
    DestinationType,
    Disposition,
    DoneReason,
    ImportState,
    ImportStopReason,
    OutdialState,
    RejectCode,
    Scope,
    TargetStatus,
    UnconfirmedAction,
)
from app.graphql.schema.fields import derived, resolved
from app.graphql.schema.scalars import EventCursor


@strawberry.interface(
    description="Anything that has an id of its own. Ids are UUIDs, the same here, over REST and in events."
)
class Node:
    id: strawberry.ID = strawberry.field(description="The object's id, a UUID.")


# ---------------------------------------------------------------- viewer


def _scopes(viewer: auth.Viewer) -> list[Scope]:
    return [scope for scope in Scope if scope in viewer.scopes]


@strawberry.type(description="Who a token speaks for.")
class Viewer:
    customer_id: strawberry.ID = strawberry.field(description="The tenant that owns what the viewer reads and writes.")
    subject: str = strawberry.field(
        description="Who acts: the token's subject or user name; empty where the token names none."
    )
    scopes: list[Scope] = derived(_scopes, "What the token allows.")
    expires_at: datetime | None = strawberry.field(description="When the token ends.")


# ---------------------------------------------------------------- outdial


@strawberry.type(description="How often, how soon and how long targets are tried.")
class DialPolicy:
    max_try_counts: list[int] = strawberry.field(
        description="Five numbers, one per destination: how often it may be tried. 0 means never."
    )
    retry_interval_seconds: int = strawberry.field(
        description="Seconds from the end of an unsuccessful attempt until the target can be claimed again."
    )
    lease_seconds: int = strawberry.field(
        description="Seconds until an attempt that is neither reported nor extended expires."
    )
    on_unconfirmed: UnconfirmedAction = strawberry.field(
        description="What becomes of a target whose dialer vanished after the call was placed."
    )


@strawberry.type(description="How many targets are done for one reason.")
class DoneReasonCount:
    reason: DoneReason = derived(lambda item: item[0], "The reason.")
    count: int = derived(lambda item: item[1], "How many targets are done for it; at least 1.")


def _done_by_reason(progress: records.Progress) -> list[tuple[DoneReason, int]]:
    counts = progress.done_by_reason
    return [(reason, counts[reason]) for reason in DoneReason if counts.get(reason)]


@strawberry.type(description="Exact counts of an outdial's targets. idle + progressing + done = total.")
class Progress:
    total: int = strawberry.field(description="All targets, deleted ones left out.")
    idle: int = strawberry.field(description="Targets that wait to be tried, for the first time or again.")
    progressing: int = strawberry.field(description="Targets with an attempt under way.")
    done: int = strawberry.field(description="Finished targets.")
    done_by_reason: list[DoneReasonCount] = derived(
        _done_by_reason, "The finished targets by reason, without the reasons that none has. The counts add up to done."
    )
    attempts: int = strawberry.field(
        description="Attempts ever made, whatever became of them; released ones are not counted."
    )


@strawberry.type(description="A list of targets to call, owned by one customer.")
class Outdial(Node):
    campaign_id: strawberry.ID | None = strawberry.field(
        description="The campaign that dials this outdial; null where none does."
    )
    name: str = strawberry.field(description="Its name.")
    detail: str = strawberry.field(description="What it is for.")
    data: str = strawberry.field(description="Free text for the owner's use; never interpreted.")
    state: OutdialState = strawberry.field(description="Whether its targets can be claimed.")
    dial_policy: DialPolicy = strawberry.field(description="How often, how soon and how long its targets are tried.")
    progress: Progress = resolved(resolvers.progress, "Exact counts, in constant time whatever the outdial's size.")
    targets: "Connection[OutdialTarget]" = resolved(
        resolvers.targets_of_outdial,
        "This outdial's targets, newest first unless orderBy says otherwise; deleted ones are left out.",
    )
    attempts: "Connection[Attempt]" = resolved(
        resolvers.attempts_of_outdial,
        "Every attempt on this outdial's targets, newest first.",
    )
    imports: "Connection[ImportJob]" = resolved(resolvers.imports_of_outdial, "Files taken in, newest first.")
    event_cursor: EventCursor = resolved(
        resolvers.event_cursor,
        "A position of the event log that is no newer than anything else this operation reads, wherever the field "
        "stands in it: read it together with the targets, then subscribe to targetEvents after it, and nothing falls "
        "between. Events that are already in the page may come again; version tells.",
    )
    tm_create: datetime = strawberry.field(description="When it was created.")
    tm_update: datetime | None = strawberry.field(description="When it was last changed; null until the first update.")
    tm_delete: datetime | None = strawberry.field(description="When it was deleted; null while it is not.")

    @classmethod
    def is_type_of(cls, value: Any, _info: object) -> bool:
        return isinstance(value, records.Outdial)


# ---------------------------------------------------------------- target


@strawberry.type(description="An address that can be called or written to.")
class Destination:
    type: DestinationType = strawberry.field(description="What kind of address it is.")
    target: str = strawberry.field(
        description="The address itself, in its type's canonical form: E.164 for TEL and WHATSAPP."
    )
    target_name: str = strawberry.field(description="Whose address it is.")
    name: str = strawberry.field(description="The owner's name for it.")
    detail: str = strawberry.field(description="Notes on it.")


@strawberry.type(description="A destination that is set, and how far it has been tried.")
class TargetDestination:
    index: int = strawberry.field(description="Its place in the order of destinations, 0 to 4.")
    destination: Destination = strawberry.field(description="The address.")
    try_count: int = strawberry.field(
        description="How often it was tried since the target was created or last reset; released tries do not count."
    )
    max_try_count: int = strawberry.field(description="The limit in force: the target's own, else the policy's.")
    usable: bool = strawberry.field(description="False once the limit is reached or the address proved invalid.")


def _destination(index: int) -> Any:
    return derived(lambda target: target.destinations[index], f"The address at index {index}; null where none is set.")


def _try_count(index: int) -> Any:
    return derived(
        lambda target: target.try_counts[index],
        f"How often destination {index} was tried since the target was created or last reset.",
    )


@strawberry.type(description="One person or place to reach, by up to five destinations tried in order.")
class OutdialTarget(Node):
    outdial_id: strawberry.ID = strawberry.field(description="The outdial it belongs to.")
    outdial: Outdial = resolved(
        resolvers.outdial_of_target, "The outdial it belongs to; tmDelete tells where it is gone."
    )
    key: str | None = strawberry.field(
        description="The owner's own key for this target, unique in its outdial; null where none was given."
    )
    name: str = strawberry.field(description="Who or what it is.")
    detail: str = strawberry.field(description="Notes on it.")
    data: str = strawberry.field(description="Free text for the owner's use; never interpreted.")
    status: TargetStatus = strawberry.field(description="Where it stands.")
    done_reason: DoneReason | None = strawberry.field(description="Why it is done; null while it is not.")
    priority: int = strawberry.field(description="0 to 9; targets of higher priority are claimed first.")
    max_try_counts: list[int] | None = strawberry.field(
        description="Five numbers that stand in for the policy's; null where the policy holds."
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
        "The destinations that are set, with their index and try count.",
    )
    next_try_at: datetime | None = strawberry.field(description="When it can next be claimed; null unless it is idle.")
    current_attempt: "Attempt | None" = resolved(
        resolvers.current_attempt, "The attempt under way; null unless it is progressing."
    )
    attempts: "Connection[Attempt]" = resolved(resolvers.attempts_of_target, "Every attempt ever made, newest first.")
    version: int = strawberry.field(description="Grows with every change; of two reads, the higher is the newer.")
    tm_create: datetime = strawberry.field(description="When it was created.")
    tm_update: datetime = strawberry.field(
        description="When it was last changed; equal to tmCreate until the first change."
    )
    tm_delete: datetime | None = strawberry.field(description="When it was deleted; null while it is not.")

    @classmethod
    def is_type_of(cls, value: Any, _info: object) -> bool:
        return isinstance(value, records.Target)


# ---------------------------------------------------------------- attempt


@strawberry.type(
    description="One try at one destination of a target, and the dialer's right to make it. Its id is the proof: a "
    "report under an id whose lease was lost changes nothing."
)
class Attempt(Node):
    target: OutdialTarget = resolved(
        resolvers.target_of_attempt,
        "The target that is tried; tmDelete tells where it is gone.",
    )
    destination_index: int = strawberry.field(description="Which of the target's destinations, 0 to 4.")
    destination: Destination = strawberry.field(description="The address as it was when the target was claimed.")
    try_number: int = strawberry.field(description="1 for the first try at this destination.")
    state: AttemptState = strawberry.field(description="Where it stands.")
    disposition: Disposition | None = strawberry.field(
        description="The reported result; null unless the state is COMPLETED."
    )
    detail: str = strawberry.field(description="What the dialer reported besides.")
    dialer: str | None = strawberry.field(description="The dialer's name for itself; null where it gave none.")
    call_id: str | None = strawberry.field(description="The dialer's own id of the call; null until it gives one.")
    expires_at: datetime | None = strawberry.field(description="When the lease runs out; null once the attempt ended.")
    claimed_at: datetime = strawberry.field(description="When the dialer claimed the target.")
    dialed_at: datetime | None = strawberry.field(
        description="When the dialer said that it placed the call; null where it never did."
    )
    ended_at: datetime | None = strawberry.field(description="When it ended; null while it is under way.")

    @classmethod
    def is_type_of(cls, value: Any, _info: object) -> bool:
        return isinstance(value, records.Attempt)


# ---------------------------------------------------------------- imports: files


@strawberry.type(description="Rows of a file, by what became of them. created + updated + skipped + rejected = read.")
class ImportCounts:
    read: int = strawberry.field(description="Rows so far; blank lines and the header are none.")
    created: int = strawberry.field(description="Rows that made a new target.")
    updated: int = strawberry.field(description="Rows that changed the target that had their key.")
    skipped: int = strawberry.field(description="Rows that repeat a target or change nothing of it.")
    rejected: int = strawberry.field(description="Rows that were not taken; rejects says why.")


@strawberry.type(description="A row of a file that was not taken.")
class ImportReject:
    line_number: int = strawberry.field(
        description="The line on which the row begins, as an editor counts; the file's first is 1."
    )
    column: str | None = strawberry.field(
        description="What is wrong first, by the file's own name of the column; null where it is the row itself."
    )
    code: RejectCode = strawberry.field(description="What is wrong first, for programs.")
    message: str = strawberry.field(description="What is wrong, for people; all of it.")
    row: str = strawberry.field(description="The row as it stands in the file, at most 2,000 characters of it.")


@strawberry.type(description="A file of targets on its way into an outdial, a chunk of rows at a time.")
class ImportJob(Node):
    outdial_id: strawberry.ID = strawberry.field(description="The outdial that it fills.")
    outdial: Outdial = resolved(
        resolvers.outdial_of_import, "The outdial that it fills; tmDelete tells where it is gone."
    )
    file_name: str = strawberry.field(description="As the sender named it; empty where it did not.")
    state: ImportState = strawberry.field(description="Where it stands.")
    stop_reason: ImportStopReason | None = strawberry.field(description="Why it ended early; null where it did not.")
    message: str = strawberry.field(description="Why it ended early, for people; empty where it did not.")
    dry_run: bool = strawberry.field(description="Whether it only reports, and stores no target.")
    idempotency_key: str | None = strawberry.field(
        description="By which it goes on when the file is sent again; null where the sender gave none."
    )
    counts: ImportCounts = strawberry.field(description="Rows, by what became of them so far.")
    warnings: list[str] = strawberry.field(description="What else there is to know, such as columns left out.")
    rejects: Connection[ImportReject] = resolved(
        resolvers.rejects_of_import, "The rows that were not taken, in the order of the file."
    )
    tm_create: datetime = strawberry.field(description="When the file was first sent.")
    started_at: datetime | None = strawberry.field(description="When its turn came; null while it waits.")
    finished_at: datetime | None = strawberry.field(description="When it ended; null while it has not.")

    @classmethod
    def is_type_of(cls, value: Any, _info: object) -> bool:
        return isinstance(value, records.ImportJob)
