"""What the resolvers of one operation share: the viewer, the loaders and the position of the event log."""

import time
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from datetime import datetime
from functools import cached_property, partial
from typing import Any, TypeAlias, TypeVar

import strawberry

from app import attempts, dialability, events, foreseeing, imports, outdials, stats, suppressions, targets
from app.auth import Viewer
from app.blocks import Block, TargetBlocks
from app.errors import Unavailable
from app.graphql.schema.loading import Loader
from app.pacing import BreakerStatus
from app.pagination import Page, PageRequest
from app.rates import Limiter
from app.records import (
    Attempt,
    AttemptFilter,
    ImportFilter,
    ImportJob,
    ImportReject,
    Outdial,
    Permit,
    Progress,
    Suppression,
    Target,
    TargetFilter,
    TargetOrder,
)

T = TypeVar("T")

EVENT_CURSOR = "eventCursor"
"""The field whose value must be read before all others."""
HANGS_SECONDS = 1.0
"""A database that takes longer for the smallest read does not work."""


class Loaders:
    """Batched reads with a cache. So they live only for one operation, or for one event of a subscription.

    The loaders of lists batch over the parents: one use-case call for each distinct set of arguments.

    Args:
        viewer: who reads.
        persistently: calls a read again until the database answers, for an event of a subscription: it would not come
            again.
    """

    def __init__(self, viewer: Viewer, *, persistently: Callable[..., Awaitable[Any]] | None = None) -> None:
        self._viewer = viewer
        self._persistently = persistently
        self._keyed: dict[Hashable, Loader[Any]] = {}

    def _loader(self, read: Callable[[list[str]], Awaitable[Mapping[str, T]]]) -> Loader[T]:
        """One call of `read` for all the ids that are asked for at the same time; None for an unknown id."""
        return Loader(read if self._persistently is None else partial(self._persistently, read))

    # ------------------------------------------------------------ by id

    @cached_property
    def outdials(self) -> Loader[Outdial]:
        return self._loader(partial(outdials.get_many, self._viewer))

    @cached_property
    def outdials_even_deleted(self) -> Loader[Outdial]:
        return self._loader(partial(outdials.get_many, self._viewer, deleted=True))

    @cached_property
    def targets(self) -> Loader[Target]:
        return self._loader(partial(targets.get_many, self._viewer, stored=True))

    @cached_property
    def targets_even_deleted(self) -> Loader[Target]:
        return self._loader(partial(targets.get_many, self._viewer, deleted=True, stored=True))

    @cached_property
    def attempts(self) -> Loader[Attempt]:
        return self._loader(partial(attempts.get_many, self._viewer))

    @cached_property
    def permits(self) -> Loader[Permit]:
        return self._loader(partial(attempts.permits, self._viewer))

    @cached_property
    def imports(self) -> Loader[ImportJob]:
        return self._loader(partial(imports.get_many, self._viewer))

    @cached_property
    def nodes(self) -> Loader[Outdial | Target | Attempt | ImportJob | Suppression]:
        return self._loader(partial(_find, self._viewer))

    @cached_property
    def progress(self) -> Loader[Progress]:
        return self._loader(partial(outdials.progress, self._viewer))

    @cached_property
    def breakers(self) -> Loader[BreakerStatus]:
        return self._loader(partial(outdials.breaker_statuses, self._viewer))

    @cached_property
    def blocks_of_outdials(self) -> Loader[Sequence[Block]]:
        return self._loader(partial(dialability.blocks_of_outdials, self._viewer))

    def blocks_of_targets(self, dialer: str | None) -> Loader[TargetBlocks]:
        return self._by_arguments(dialability.blocks_of_targets, dialer=dialer)

    @cached_property
    def next_claims(self) -> Loader[datetime | None]:
        return self._loader(partial(foreseeing.next_claims, self._viewer))

    def dialabilities(self, at: datetime | None) -> Loader[dialability.Dialability]:
        return self._by_arguments(dialability.dialabilities, at=at)

    def stats_of_outdials(self, request: stats.Request) -> Loader[stats.Stats]:
        return self._by_arguments(stats.of_outdials, request=request)

    def event_ends(self, upto: events.Position) -> Loader[events.Position]:
        return self._by_arguments(events.ends, upto=upto)

    # ------------------------------------------------------------ by parent, for each set of arguments

    def targets_of_outdials(
        self, request: PageRequest, where: TargetFilter, order: TargetOrder, reads: frozenset[str] | None
    ) -> Loader[Page[Target]]:
        return self._by_arguments(targets.pages, request=request, where=where, order=order, reads=reads)

    def target_counts_of_outdials(self, where: TargetFilter) -> Loader[int]:
        return self._by_arguments(targets.counts, where=where)

    def attempts_of_outdials(self, request: PageRequest, where: AttemptFilter) -> Loader[Page[Attempt]]:
        return self._by_arguments(attempts.pages_of_outdials, request=request, where=where)

    def attempt_counts_of_outdials(self, where: AttemptFilter) -> Loader[int]:
        return self._by_arguments(attempts.counts_of_outdials, where=where)

    def attempts_of_targets(self, request: PageRequest) -> Loader[Page[Attempt]]:
        return self._by_arguments(attempts.pages_of_targets, request=request)

    def attempt_counts_of_targets(self) -> Loader[int]:
        return self._by_arguments(attempts.counts_of_targets)

    def imports_of_outdials(self, request: PageRequest, where: ImportFilter) -> Loader[Page[ImportJob]]:
        return self._by_arguments(imports.pages, request=request, where=where)

    def import_counts_of_outdials(self, where: ImportFilter) -> Loader[int]:
        return self._by_arguments(imports.counts, where=where)

    def rejects_of_imports(self, request: PageRequest) -> Loader[Page[ImportReject]]:
        return self._by_arguments(imports.rejects, request=request)

    def reject_counts_of_imports(self) -> Loader[int]:
        return self._by_arguments(imports.reject_counts)

    def _by_arguments(self, fetch: Callable[..., Awaitable[Mapping[str, T]]], **arguments: Hashable) -> Loader[T]:
        key = (fetch, *arguments.values())
        loader = self._keyed.get(key)
        if loader is None:
            loader = self._keyed[key] = self._loader(partial(fetch, self._viewer, **arguments))
        return loader


async def _find(viewer: Viewer, ids: list[str]) -> Mapping[str, Outdial | Target | Attempt | ImportJob | Suppression]:
    # An id does not have its type. Each kind is read only for ids that the kinds before it did not have.
    found: dict[str, Outdial | Target | Attempt | ImportJob | Suppression] = {}
    kinds = (outdials.get_many, targets.get_many, attempts.get_many, imports.get_many, suppressions.get_many)
    for get_many in kinds:
        if missing := [node_id for node_id in ids if node_id not in found]:
            found |= await get_many(viewer, missing)
    return found


class Context:
    """One for each operation. Never one for a whole connection, because its data would become old."""

    def __init__(self, viewer: Viewer, limiter: Limiter | None = None) -> None:
        self.viewer = viewer
        self.limiter = limiter or Limiter()
        self.loaders = Loaders(viewer)
        self.position: events.Position | None = None
        """In the event log; no newer than any other data that the operation reads."""
        self._names_event_cursor = False
        self._is_followed = False
        self._has_waited = False

    def follow(self) -> None:
        """The operation is a subscription, which has begun: from now on its reads wait for the database."""
        self._is_followed = True

    async def prepare(self, query_text: str) -> None:
        """Read the position first if the document names it. Await this before execution."""
        self._names_event_cursor = EVENT_CURSOR in query_text
        await self.refresh()

    async def refresh(self) -> None:
        """Read the position again and forget the rest, between the events of a subscription."""
        if self._names_event_cursor:
            self.position = await self._read_position()
        self.renew()

    def renew(self) -> None:
        """Forget what was read, as before each mutation. The position stays: with an older one, no event is missed."""
        self.loaders = Loaders(self.viewer, persistently=self._persistently if self._is_followed else None)

    async def outlast(self) -> bool:
        """Wait until the database answers. Returns whether this or a read since the last call had to wait for it."""
        began = time.monotonic()
        if self._is_followed:
            await self._read_position()
        has_waited, self._has_waited = self._has_waited, False
        return has_waited or time.monotonic() - began > HANGS_SECONDS

    async def _persistently(self, read: Callable[..., Awaitable[T]], *args: Any) -> T:
        async def noticing(*args: Any) -> T:
            try:
                return await read(*args)
            except Unavailable:
                self._has_waited = True
                raise

        return await events.persistently(noticing, *args)

    async def event_cursor(self, outdial_id: str) -> str:
        if self.position is None:
            self.position = await self._read_position()
        end = await self.loaders.event_ends(self.position).load(outdial_id)
        if end is None:
            raise LookupError(f"outdial {outdial_id} is gone while it is read")
        return events.cursor(outdial_id, end)

    async def _read_position(self) -> events.Position:
        customer_id = self.viewer.customer_id
        if self._is_followed:
            return await self._persistently(events.position, customer_id)
        return await events.position(customer_id)


Info: TypeAlias = strawberry.Info[Context, None]


def reads_of(info: Info, type_name: str) -> frozenset[str] | None:
    """What the operation reads of the objects of a type in the field's answer: names in Python. None if it may be all.

    A compiled operation knows it, for all fields of the same definition together.
    """
    reads: Mapping[str, frozenset[str]] = getattr(info._raw_info, "reads", {})  # noqa: SLF001 - the only way to it
    return reads.get(type_name)


def reads_within(info: Info, field: str, type_name: str) -> frozenset[str] | None:
    """Likewise in the answer of a field inside of this one that has a resolver. None also if it is not selected."""
    within: Mapping[str, Mapping[str, frozenset[str]]] = getattr(info._raw_info, "reads_within", {})  # noqa: SLF001
    return within.get(field, {}).get(type_name)
