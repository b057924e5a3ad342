"""Subscription: what can be watched, and the types that only a watcher sees."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from datetime import datetime
from typing import Annotated, Generic, Self, TypeAlias, TypeVar

import strawberry

from app import events, imports, records
from app.errors import BadUserInput
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
from app.graphql.schema.fields import derived, given, parse_id, resolved, subscription
from app.graphql.schema.filters import TargetEventFilter
from app.graphql.schema.scalars import EventCursor
from app.graphql.schema.types import ImportJob, Outdial, OutdialTarget

OUTDIALS_MAX = 100
INTERVAL_MILLISECONDS_MIN = 50
INTERVAL_MILLISECONDS_MAX = 60_000

Interval: TypeAlias = Annotated[
    int,
    strawberry.argument(description="At least so many milliseconds from one message to the next, 50 to 60,000."),
]

T = TypeVar("T")


class Stream(Generic[T]):
    """The values of a use-case as the source of a subscription.

    A class and no generator, because closing a generator that nobody has asked for a value yet runs none of its code
    and would leave the use-case's open.
    """

    def __init__(self, values: AsyncIterator[T]) -> None:
        self._values = values
        self._ahead: list[T] = []

    async def open(self) -> Self:
        """Take the first value, which comes at once, so that what cannot start fails as a whole and not as a stream."""
        async for value in self._values:
            self._ahead.append(value)
            break
        return self

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        return self._ahead.pop() if self._ahead else await anext(self._values)

    async def aclose(self) -> None:
        if isinstance(self._values, AsyncGenerator):
            await self._values.aclose()


# ---------------------------------------------------------------- types


@strawberry.type(description="One change, with the target's state right after it.")
class TargetEvent:
    cursor: EventCursor = strawberry.field(description="The change's position in the outdial's event log.")
    type: TargetEventType = strawberry.field(description="What happened.")
    occurred_at: datetime = strawberry.field(description="When it happened.")
    outdial_id: strawberry.ID = strawberry.field(description="The outdial whose target changed.")
    target_id: strawberry.ID | None = strawberry.field(
        description="The target that changed; null where the event tells of many, of an import or a reset."
    )
    count: int = strawberry.field(description="How many targets changed; 1 where targetId is set.")
    status: TargetStatus | None = strawberry.field(
        description="The status right after the change; null where the target was deleted."
    )
    previous_status: TargetStatus | None = strawberry.field(
        description="The status right before the change; null where the target was created by it."
    )
    done_reason: DoneReason | None = strawberry.field(
        description="Why the target is done since this change; null where it is not."
    )
    try_counts: list[int] = strawberry.field(description="Five numbers; empty where targetId is null.")
    next_try_at: datetime | None = strawberry.field(
        description="When the target can next be claimed; null unless it is idle."
    )
    version: int | None = strawberry.field(description="The target's version right after this change.")
    destination_index: int | None = strawberry.field(
        description="Which destination the attempt tries, 0 to 4; null where the change is not an attempt's."
    )
    attempt_id: strawberry.ID | None = strawberry.field(
        description="The attempt that changed the target; null where the change is not an attempt's."
    )
    disposition: Disposition | None = strawberry.field(
        description="The result that was reported; null unless the type is COMPLETED."
    )
    target: OutdialTarget | None = resolved(
        resolvers.target_of_event,
        "The target as it is now, which may be newer than this change; null once it is deleted.",
    )


@strawberry.type(description="Changes that are close together, in the order of their cursors.")
class TargetEventBatch:
    cursor: EventCursor = strawberry.field(description="Resume after this.")
    events: list[TargetEvent] = strawberry.field(description="Up to 500 changes; empty where only the cursor moved.")
    caught_up: bool = strawberry.field(
        description="True where nothing more could be delivered when this batch left. A replay ends with it."
    )
    gap: GapReason | None = strawberry.field(
        description="Set where events may be missing between the given cursor and this batch: read the targets afresh."
    )


@strawberry.type(description="Outdials whose progress, state or name changed.")
class OutdialProgressBatch:
    outdials: list[Outdial] = derived(lambda outdials: outdials, "The outdials as they are now.")


@strawberry.type(description="One change to an outdial.")
class OutdialEvent:
    type: OutdialEventType = strawberry.field(description="What happened.")
    outdial_id: strawberry.ID = strawberry.field(description="The outdial that changed.")
    occurred_at: datetime = strawberry.field(description="When it happened.")
    outdial: Outdial | None = resolved(resolvers.outdial_of_event, "The outdial as it is now; null once it is deleted.")


# ---------------------------------------------------------------- fields


def _check_interval(milliseconds: int) -> None:
    if not INTERVAL_MILLISECONDS_MIN <= milliseconds <= INTERVAL_MILLISECONDS_MAX:
        raise BadUserInput(f"intervalMs is {INTERVAL_MILLISECONDS_MIN} to {INTERVAL_MILLISECONDS_MAX}.")


@strawberry.type(description="What can be watched. Each value is read afresh: nothing of an earlier one is remembered.")
class Subscription:
    @subscription(
        Scope.READ,
        TargetEventBatch,
        "Every change to an outdial's targets, none left out, from `after` or from now, in the order of their cursors; "
        "resume with the last batch's cursor. Of two changes to one target the higher version is the newer, whichever "
        "came first. The first batch comes at once, empty where there is nothing to tell. Changes close together "
        "arrive in one batch of up to 500. Completes once the outdial is deleted and its last events are out.",
    )
    async def target_events(
        self,
        info: Info,
        outdial_id: Annotated[strawberry.ID, strawberry.argument(description="The outdial to watch.")],
        after: Annotated[
            EventCursor | None,
            strawberry.argument(
                description="Begin with the first change after this position; with the next change where it is null."
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
        "1 to 100 outdials: each one now, then those whose progress, state or name changed, at most one message in "
        "`intervalMs` (50 to 60,000); the last state always arrives. Unknown and deleted ones are left out; completes "
        "when none is left.",
    )
    async def outdial_progress(
        self,
        info: Info,
        outdial_ids: Annotated[
            list[strawberry.ID], strawberry.argument(description="The outdials to watch, 1 to 100.")
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
        "Created, changed and deleted outdials of the viewer, from now on; not their progress. After a reconnect, read "
        "outdials afresh.",
    )
    async def outdial_events(self, info: Info) -> Stream[records.OutdialEvent]:
        return Stream(events.outdial_changes(info.context.viewer))

    @subscription(
        Scope.READ,
        ImportJob,
        "An import as it is now, then whenever it changed, at most one message in `intervalMs`; the last state always "
        "arrives. Completes when the import has ended.",
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
