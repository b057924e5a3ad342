"""The fields of outdials, targets and attempts that are not plain attributes of their records.

Each uses a loader. No resolver is a coroutine: in a list of 100 targets this saves 100 tasks.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Annotated, TypeAlias, TypeVar

import strawberry

from app import clock, records, zones
from app.blocks import Block
from app.dialability import Dialability
from app.graphql.schema.connections import (
    After,
    Before,
    CountedPage,
    First,
    Last,
    claimed_cursor,
    created_cursor,
    recorded_cursor,
    request,
)
from app.graphql.schema.context import Info, reads_of
from app.graphql.schema.enums import TargetOrder, TargetStatus
from app.graphql.schema.fields import Later, given
from app.graphql.schema.filters import AttemptFilter, ImportFilter, TargetFilter
from app.graphql.schema.loading import Loader
from app.graphql.schema.stats import From, GroupBy, InBuckets, InZone, To, requested
from app.pacing import BreakerStatus
from app.pagination import Page
from app.stats import Stats

T = TypeVar("T")

OfOutdial: TypeAlias = strawberry.Parent[records.Outdial]
OfTarget: TypeAlias = strawberry.Parent[records.Target]
OfAttempt: TypeAlias = strawberry.Parent[records.Attempt]
OfImport: TypeAlias = strawberry.Parent[records.ImportJob]
OfTargetEvent: TypeAlias = strawberry.Parent[records.TargetEvent]
OfOutdialEvent: TypeAlias = strawberry.Parent[records.OutdialEvent]

WhichTargets: TypeAlias = Annotated[
    TargetFilter | None, strawberry.argument(name="where", description="Only the targets that match.")
]
WhichAttempts: TypeAlias = Annotated[
    AttemptFilter | None, strawberry.argument(name="where", description="Only the attempts that match.")
]
WhichImports: TypeAlias = Annotated[
    ImportFilter | None, strawberry.argument(name="where", description="Only the imports that match.")
]
InOrder: TypeAlias = Annotated[
    TargetOrder | None,
    strawberry.argument(description="The order of the list and of its cursors. Default: NEWEST_FIRST."),
]


@dataclass(frozen=True, slots=True)
class NumberedDestination:
    """A destination that is set, with its place among the target's and its tries."""

    target_id: str
    index: int
    destination: records.Destination
    try_count: int
    max_try_count: int
    usable: bool
    target_time_zone: str | None
    default_time_zone: str | None
    policy_time_zone: str | None

    @property
    def zone(self) -> zones.Known:
        """Its time zone at present. Looked up only if it is selected."""
        kind, address = self.destination.type, self.destination.target
        given, default = self.target_time_zone, self.default_time_zone
        return zones.known(kind, address, given, default, clock.now(), policy=self.policy_time_zone)


OfPlace: TypeAlias = strawberry.Parent[NumberedDestination]


def _counted_page(
    parent_id: str,
    pages: Loader[Page[T]],
    cursor: Callable[[T], str],
    counts: Callable[[], Loader[int]],
) -> Awaitable[CountedPage[T]]:
    def count() -> Awaitable[int]:
        return Later(counts().load(parent_id), lambda number: number or 0)

    return Later(pages.load(parent_id), lambda page: CountedPage(page or Page(), cursor, count))


# ---------------------------------------------------------------- of an outdial


def progress(outdial: OfOutdial, info: Info) -> Awaitable[records.Progress | None]:
    return info.context.loaders.progress.load(outdial.id)


def breaker_of_outdial(outdial: OfOutdial, info: Info) -> Awaitable[BreakerStatus | None]:
    return info.context.loaders.breakers.load(outdial.id)


def targets_of_outdial(
    outdial: OfOutdial,
    info: Info,
    first: First = strawberry.UNSET,
    after: After = strawberry.UNSET,
    last: Last = strawberry.UNSET,
    before: Before = strawberry.UNSET,
    which: WhichTargets = strawberry.UNSET,
    order_by: InOrder = strawberry.UNSET,
) -> Awaitable[CountedPage[records.Target]]:
    loaders = info.context.loaders
    where = which.where() if which else records.TargetFilter()
    pages = loaders.targets_of_outdials(
        request(first, after, last, before),
        where,
        given(order_by) or TargetOrder.NEWEST_FIRST,
        reads_of(info, "OutdialTarget"),
    )
    # The targets need their outdial for the policy's limits, and it is already read.
    loaders.outdials_even_deleted.prime(outdial.id, outdial)
    return _counted_page(outdial.id, pages, created_cursor, lambda: loaders.target_counts_of_outdials(where))


def attempts_of_outdial(
    outdial: OfOutdial,
    info: Info,
    first: First = strawberry.UNSET,
    after: After = strawberry.UNSET,
    last: Last = strawberry.UNSET,
    before: Before = strawberry.UNSET,
    which: WhichAttempts = strawberry.UNSET,
) -> Awaitable[CountedPage[records.Attempt]]:
    loaders = info.context.loaders
    where = which.where() if which else records.AttemptFilter()
    pages = loaders.attempts_of_outdials(request(first, after, last, before), where)
    return _counted_page(outdial.id, pages, claimed_cursor, lambda: loaders.attempt_counts_of_outdials(where))


def imports_of_outdial(
    outdial: OfOutdial,
    info: Info,
    first: First = strawberry.UNSET,
    after: After = strawberry.UNSET,
    last: Last = strawberry.UNSET,
    before: Before = strawberry.UNSET,
    which: WhichImports = strawberry.UNSET,
) -> Awaitable[CountedPage[records.ImportJob]]:
    loaders = info.context.loaders
    where = which.where() if which else records.ImportFilter()
    pages = loaders.imports_of_outdials(request(first, after, last, before), where)
    return _counted_page(outdial.id, pages, created_cursor, lambda: loaders.import_counts_of_outdials(where))


def blocks_of_outdial(outdial: OfOutdial, info: Info) -> Awaitable[Sequence[Block]]:
    return Later(info.context.loaders.blocks_of_outdials.load(outdial.id), lambda found: found or ())


def next_claim(outdial: OfOutdial, info: Info) -> Awaitable[datetime | None]:
    return info.context.loaders.next_claims.load(outdial.id)


def dialability_of_outdial(
    outdial: OfOutdial,
    info: Info,
    at: Annotated[
        datetime | None, strawberry.argument(description="The time, between the years 1970 and 9000. Default: now.")
    ] = strawberry.UNSET,
) -> Awaitable[Dialability | None]:
    return info.context.loaders.dialabilities(given(at)).load(outdial.id)


def stats_of_outdial(
    outdial: OfOutdial,
    info: Info,
    begin: From,
    end: To,
    bucket: InBuckets = strawberry.UNSET,
    time_zone: InZone = strawberry.UNSET,
    group_by: GroupBy = strawberry.UNSET,
) -> Awaitable[Stats | None]:
    wanted = requested(begin, end, bucket, time_zone, group_by)
    return info.context.loaders.stats_of_outdials(wanted).load(outdial.id)


def event_cursor(outdial: OfOutdial, info: Info) -> Awaitable[str]:
    return info.context.event_cursor(outdial.id)


# ---------------------------------------------------------------- of a target


def outdial_of_target(target: OfTarget, info: Info) -> Awaitable[records.Outdial | None]:
    return info.context.loaders.outdials_even_deleted.load(target.outdial_id)


def destinations(target: OfTarget, info: Info) -> Awaitable[list[NumberedDestination]]:
    return Later(info.context.loaders.outdials_even_deleted.load(target.outdial_id), partial(_numbered, target))


def _numbered(target: records.Target, outdial: records.Outdial | None) -> list[NumberedDestination]:
    if outdial is None:
        raise LookupError(f"target {target.id} without its outdial {target.outdial_id}")
    hours = outdial.dial_policy.calling_hours
    tries = target.tries(outdial.dial_policy)
    return [
        NumberedDestination(
            target.id,
            index,
            destination,
            tries.counts[index],
            tries.limits[index],
            tries.usable(index),
            target.time_zone,
            outdial.default_time_zone,
            None if hours is None else hours.time_zone,
        )
        for index, destination in enumerate(target.destinations)
        if destination is not None
    ]


def blocks_of_target(
    target: OfTarget,
    info: Info,
    dialer: Annotated[
        str | None,
        strawberry.argument(description="Who would claim it, by name. Default: a dialer without a name."),
    ] = strawberry.UNSET,
) -> Awaitable[Sequence[Block]]:
    loader = info.context.loaders.blocks_of_targets(given(dialer))
    return Later(loader.load(target.id), lambda found: found.blocks if found else ())


def blocks_of_destination(place: OfPlace, info: Info) -> Awaitable[Sequence[Block]]:
    return Later(
        info.context.loaders.blocks_of_targets(None).load(place.target_id),
        lambda found: found.by_index.get(place.index, ()) if found else (),
    )


def current_attempt(target: OfTarget, info: Info) -> Awaitable[records.Attempt | None] | None:
    if target.status is not TargetStatus.PROGRESSING or target.last_attempt_id is None:
        return None
    return info.context.loaders.attempts.load(target.last_attempt_id)


def attempts_of_target(
    target: OfTarget,
    info: Info,
    first: First = strawberry.UNSET,
    after: After = strawberry.UNSET,
) -> Awaitable[CountedPage[records.Attempt]]:
    loaders = info.context.loaders
    pages = loaders.attempts_of_targets(request(first, after))
    return _counted_page(target.id, pages, claimed_cursor, loaders.attempt_counts_of_targets)


# ---------------------------------------------------------------- of an import


def outdial_of_import(job: OfImport, info: Info) -> Awaitable[records.Outdial | None]:
    return info.context.loaders.outdials_even_deleted.load(job.outdial_id)


def rejects_of_import(
    job: OfImport,
    info: Info,
    first: First = strawberry.UNSET,
    after: After = strawberry.UNSET,
    last: Last = strawberry.UNSET,
    before: Before = strawberry.UNSET,
) -> Awaitable[CountedPage[records.ImportReject]]:
    loaders = info.context.loaders
    pages = loaders.rejects_of_imports(request(first, after, last, before))
    return _counted_page(job.id, pages, recorded_cursor, loaders.reject_counts_of_imports)


# ---------------------------------------------------------------- of an attempt and of events


def target_of_attempt(attempt: OfAttempt, info: Info) -> records.Target | Awaitable[records.Target | None]:
    if isinstance(attempt, records.ClaimedAttempt):
        return attempt.target
    return info.context.loaders.targets_even_deleted.load(attempt.target_id)


def permit_of_attempt(attempt: OfAttempt, info: Info) -> Awaitable[records.Permit | None]:
    return info.context.loaders.permits.load(attempt.id)


def target_of_event(event: OfTargetEvent, info: Info) -> Awaitable[records.Target | None] | None:
    return None if event.target_id is None else info.context.loaders.targets.load(event.target_id)


def outdial_of_event(event: OfOutdialEvent, info: Info) -> Awaitable[records.Outdial | None]:
    return info.context.loaders.outdials.load(event.outdial_id)
