"""Subscriptions, and the types that only they return."""

from collections.abc import Awaitable, Hashable, Sequence
from datetime import datetime
from typing import Annotated, Generic, Self, TypeAlias, TypeVar

import strawberry

from app import events, imports, records
from app.errors import BadUserInput
from app.events import BATCH_EVENTS_MAX, Following
from app.graphql.schema import resolvers
from app.graphql.schema.context import Info
from app.graphql.schema.enums import (
    Disposition,
    DoneReason,
    GapReason,
    OutdialEventType,
    Scope,
    TargetEventType,
    TargetStatus,
)
from app.graphql.schema.fields import at_most, derived, given, parse_id, resolved, subscription
from app.graphql.schema.filters import TargetEventFilter
from app.graphql.schema.scalars import EventCursor
from app.graphql.schema.types import ImportJob, Outdial, OutdialTarget

OUTDIALS_MAX = 100
INTERVAL_MILLISECONDS_MIN = 50
INTERVAL_MILLISECONDS_MAX = 60_000

Interval: TypeAlias = Annotated[
    int,
    strawberry.argument(description="The shortest time between two messages in milliseconds, 50 to 60,000."),
]

T = TypeVar("T")


class Stream(Generic[T]):
    """The values of a use-case as the source of a subscription.

    It is a class, not a generator: if a generator is closed before its first value, none of its code runs, and the
    use-case's would stay open. Subscriptions whose streams are at the same place share what follows.
    """

    def __init__(self, values: Following[T]) -> None:
        self.followed = values
        self._ahead: list[T] = []

    async def open(self) -> Self:
        """Take the first value, which comes at once. If there is none, the subscription fails before it is a stream."""
        async for value in self.followed:
            self._ahead.append(value)
            break
        return self

    def __aiter__(self) -> Self:
        return self

    def __anext__(self) -> Awaitable[T]:
        return self._first() if self._ahead else anext(self.followed)

    async def _first(self) -> T:
        return self._ahead.pop()

    async def aclose(self) -> None:
        await self.followed.aclose()

    @property
    def place(self) -> Hashable | None:
        return None if self._ahead else self.followed.place

    @property
    def is_shared(self) -> bool:
        return self.followed.is_shared


# ---------------------------------------------------------------- types


@strawberry.type(description="One change, with the target's state directly after it.")
class TargetEvent:
    cursor: EventCursor = strawberry.field(description="The change's position in the outdial's event log.")
    type: TargetEventType = strawberry.field(description="What happened.")
    occurred_at: datetime = strawberry.field(description="When it happened.")
    outdial_id: strawberry.ID = strawberry.field(description="The outdial whose target changed.")
    target_id: strawberry.ID | None = strawberry.field(
        description="The target that changed. Null if the event stands for many (an import, or a change of many)."
    )
    count: int = strawberry.field(description="The number of targets that changed. 1 if targetId is set.")
    status: TargetStatus | None = strawberry.field(
        description="The status after the change. Null if the target was deleted."
    )
    previous_status: TargetStatus | None = strawberry.field(
        description="The status before the change. Null if the change created the target."
    )
    done_reason: DoneReason | None = strawberry.field(
        description="Why the target is DONE after this change. Null if it is not."
    )
    try_counts: list[int] = strawberry.field(
        description="The tries of the five destinations after the change. Empty if targetId is null."
    )
    next_try_at: datetime | None = strawberry.field(
        description="The earliest time of the next claim. Null unless the status is IDLE."
    )
    version: int | None = strawberry.field(
        description="The target's version after the change. Null if targetId is null."
    )
    destination_index: int | None = strawberry.field(
        description="The index of the attempt's destination, 0 to 4. Null if no attempt made the change."
    )
    attempt_id: strawberry.ID | None = strawberry.field(
        description="The attempt that made the change. Null if there is none."
    )
    disposition: Disposition | None = strawberry.field(
        description="The reported result. Null unless the type is COMPLETED."
    )
    target: OutdialTarget | None = resolved(
        resolvers.target_of_event,
        "The target as it is now, which can be newer than this change. Null if it is deleted.",
    )


@strawberry.type(description="Changes that happened close together, in the order of their cursors.")
class TargetEventBatch:
    cursor: EventCursor = strawberry.field(description="The position to resume after.")
    events: list[TargetEvent] = strawberry.field(
        description="Up to 500 changes. Empty if only the cursor moved.", metadata=at_most(BATCH_EVENTS_MAX)
    )
    caught_up: bool = strawberry.field(
        description="True if there were no further changes to deliver when this batch was sent. The end of a replay."
    )
    gap: GapReason | None = strawberry.field(
        description="Set if events may be missing between the given cursor and this batch. If so, read the targets "
        "again."
    )


@strawberry.type(description="Outdials whose progress, state or name changed.")
class OutdialProgressBatch:
    outdials: list[Outdial] = derived(lambda outdials: outdials, "The outdials as they are now.")


@strawberry.type(description="One change to an outdial.")
class OutdialEvent:
    type: OutdialEventType = strawberry.field(description="What happened.")
    outdial_id: strawberry.ID = strawberry.field(description="The outdial that changed.")
    occurred_at: datetime = strawberry.field(description="When it happened.")
    outdial: Outdial | None = resolved(resolvers.outdial_of_event, "The outdial as it is now. Null if it is deleted.")


# ---------------------------------------------------------------- fields


def _check_interval(milliseconds: int) -> None:
    if not INTERVAL_MILLISECONDS_MIN <= milliseconds <= INTERVAL_MILLISECONDS_MAX:
        raise BadUserInput(f"intervalMs is {INTERVAL_MILLISECONDS_MIN} to {INTERVAL_MILLISECONDS_MAX}.")


@strawberry.type(description="Live changes. The objects in each message are read anew for that message.")
class Subscription:
    @subscription(
        Scope.READ,
        TargetEventBatch,
        "Sends every change to an outdial's targets, from `after` or from now, in the order of their cursors. To "
        "resume, "
        "pass the last batch's cursor as `after`. Of two changes to one target, the one with the higher version is "
        "newer, in whatever order they arrive. The first batch arrives at once, and is empty if there are no changes. "
        "Changes that happen close together arrive in one batch of up to 500. Completes after the outdial is deleted "
        "and its last events are sent.",
    )
    async def target_events(
        self,
        info: Info,
        outdial_id: Annotated[strawberry.ID, strawberry.argument(description="The outdial to watch.")],
        after: Annotated[
            EventCursor | None,
            strawberry.argument(
                description="Start with the first change after this position. If null, start with the next change."
            ),
        ] = strawberry.UNSET,
        which: Annotated[
            TargetEventFilter | None, strawberry.argument(name="where", description="Only the changes that match.")
        ] = strawberry.UNSET,
    ) -> Stream[records.EventBatch]:
        batches = events.tail(
            info.context.viewer,
            parse_id(outdial_id),
            after=given(after),
            where=which.where() if which else records.EventFilter(),
        )
        return await Stream(batches).open()

    @subscription(
        Scope.READ,
        OutdialProgressBatch,
        "Sends 1 to 100 outdials as they are now, then each one whose progress, state or name changed, with at most "
        "one "
        "message per `intervalMs`. The last state always arrives. Unknown and deleted outdials are left out. Completes "
        "when no outdial is left.",
    )
    async def outdial_progress(
        self,
        info: Info,
        outdial_ids: Annotated[
            list[strawberry.ID],
            strawberry.argument(description="The outdials to watch, 1 to 100.", metadata=at_most(OUTDIALS_MAX)),
        ],
        interval_ms: Interval = 250,
    ) -> Stream[Sequence[records.Outdial]]:
        if not 1 <= len(outdial_ids) <= OUTDIALS_MAX:
            raise BadUserInput(f"outdialIds takes 1 to {OUTDIALS_MAX} ids.")
        _check_interval(interval_ms)
        changes = events.progress_changes(
            info.context.viewer, [parse_id(outdial_id) for outdial_id in outdial_ids], interval_ms=interval_ms
        )
        return await Stream(changes).open()

    @subscription(
        Scope.READ,
        OutdialEvent,
        "Sends the viewer's outdials that are created, changed or deleted from now on, but not changes of their "
        "progress. After a reconnect, read the outdials again.",
    )
    async def outdial_events(self, info: Info) -> Stream[records.OutdialEvent]:
        return Stream(events.outdial_changes(info.context.viewer))

    @subscription(
        Scope.READ,
        ImportJob,
        "Sends an import as it is now, then after each change, with at most one message per `intervalMs`. The last "
        "state "
        "always arrives. Completes when the import has ended.",
    )
    async def import_progress(
        self,
        info: Info,
        import_id: Annotated[strawberry.ID, strawberry.argument(name="id", description="The import to watch.")],
        interval_ms: Interval = 250,
    ) -> Stream[records.ImportJob]:
        _check_interval(interval_ms)
        changes = imports.progress(info.context.viewer, parse_id(import_id), interval_ms=interval_ms)
        return await Stream(changes).open()
