"""What the resolvers of one operation share: the viewer, the loaders and the position of the event log."""

from collections.abc import Awaitable, Callable, Hashable, Mapping
from functools import cached_property, partial
from typing import Any, TypeAlias, TypeVar

import strawberry
from strawberry.dataloader import DataLoader

from app import attempts, events, imports, outdials, targets
from app.auth import Viewer
from app.pagination import Page, PageRequest
from app.records import (
    Attempt,
    AttemptFilter,
    ImportFilter,
    ImportJob,
    ImportReject,
    Outdial,
    Progress,
    Target,
    TargetFilter,
    TargetOrder,
)

T = TypeVar("T")

EVENT_CURSOR = "eventCursor"
"""The field whose value must be read before all others."""


def _loader(fetch: Callable[[list[str]], Awaitable[Mapping[str, T]]]) -> DataLoader[str, T | None]:
    """One call of `fetch` for all the ids that are asked for at the same time; None for an unknown id."""

    async def load(keys: list[str]) -> list[T | None]:
        found = await fetch(keys)
        return [found.get(key) for key in keys]

    return DataLoader(load)


class Loaders:
    """Batched reads with a cache. So they live only for one operation, or for one event of a subscription.

    The loaders of lists batch over the parents: one use-case call for each distinct set of arguments.
    """

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self._keyed: dict[Hashable, DataLoader[str, Any]] = {}

    # ------------------------------------------------------------ by id

    @cached_property
    def outdials(self) -> DataLoader[str, Outdial | None]:
        return _loader(partial(outdials.get_many, self._viewer))

    @cached_property
    def outdials_even_deleted(self) -> DataLoader[str, Outdial | None]:
        return _loader(partial(outdials.get_many, self._viewer, deleted=True))

    @cached_property
    def targets(self) -> DataLoader[str, Target | None]:
        return _loader(partial(targets.get_many, self._viewer))

    @cached_property
    def targets_even_deleted(self) -> DataLoader[str, Target | None]:
        return _loader(partial(targets.get_many, self._viewer, deleted=True))

    @cached_property
    def attempts(self) -> DataLoader[str, Attempt | None]:
        return _loader(partial(attempts.get_many, self._viewer))

    @cached_property
    def imports(self) -> DataLoader[str, ImportJob | None]:
        return _loader(partial(imports.get_many, self._viewer))

    @cached_property
    def nodes(self) -> DataLoader[str, Outdial | Target | Attempt | ImportJob | None]:
        return _loader(self._find)

    async def _find(self, ids: list[str]) -> Mapping[str, Outdial | Target | Attempt | ImportJob]:
        # An id does not have its type. Each kind is read only for ids that the kinds before it did not have.
        found: dict[str, Outdial | Target | Attempt | ImportJob] = {}
        for get_many in (outdials.get_many, targets.get_many, attempts.get_many, imports.get_many):
            if missing := [node_id for node_id in ids if node_id not in found]:
                found |= await get_many(self._viewer, missing)
        return found

    @cached_property
    def progress(self) -> DataLoader[str, Progress | None]:
        return _loader(partial(outdials.progress, self._viewer))

    # ------------------------------------------------------------ by parent, for each set of arguments

    def targets_of_outdials(
        self, request: PageRequest, where: TargetFilter, order: TargetOrder
    ) -> DataLoader[str, Page[Target] | None]:
        return self._by_arguments(targets.pages, request=request, where=where, order=order)

    def target_counts_of_outdials(self, where: TargetFilter) -> DataLoader[str, int | None]:
        return self._by_arguments(targets.counts, where=where)

    def attempts_of_outdials(self, request: PageRequest, where: AttemptFilter) -> DataLoader[str, Page[Attempt] | None]:
        return self._by_arguments(attempts.pages_of_outdials, request=request, where=where)

    def attempt_counts_of_outdials(self, where: AttemptFilter) -> DataLoader[str, int | None]:
        return self._by_arguments(attempts.counts_of_outdials, where=where)

    def attempts_of_targets(self, request: PageRequest) -> DataLoader[str, Page[Attempt] | None]:
        return self._by_arguments(attempts.pages_of_targets, request=request)

    def attempt_counts_of_targets(self) -> DataLoader[str, int | None]:
        return self._by_arguments(attempts.counts_of_targets)

    def imports_of_outdials(self, request: PageRequest, where: ImportFilter) -> DataLoader[str, Page[ImportJob] | None]:
        return self._by_arguments(imports.pages, request=request, where=where)

    def import_counts_of_outdials(self, where: ImportFilter) -> DataLoader[str, int | None]:
        return self._by_arguments(imports.counts, where=where)

    def rejects_of_imports(self, request: PageRequest) -> DataLoader[str, Page[ImportReject] | None]:
        return self._by_arguments(imports.rejects, request=request)

    def reject_counts_of_imports(self) -> DataLoader[str, int | None]:
        return self._by_arguments(imports.reject_counts)

    def _by_arguments(
        self, fetch: Callable[..., Awaitable[Mapping[str, T]]], **arguments: Hashable
    ) -> DataLoader[str, T | None]:
        key = (fetch, *arguments.values())
        loader = self._keyed.get(key)
        if loader is None:
            loader = self._keyed[key] = _loader(partial(fetch, self._viewer, **arguments))
        return loader


class Context:
    """One for each operation. Never one for a whole connection, because its data would become old."""

    def __init__(self, viewer: Viewer) -> None:
        self.viewer = viewer
        self.loaders = Loaders(viewer)
        self.position: events.Position | None = None
        """In the event log; no newer than any other data that the operation reads."""
        self._names_event_cursor = False

    async def prepare(self, query_text: str) -> None:
        """Read the position first if the document names it. Await this before execution."""
        self._names_event_cursor = EVENT_CURSOR in query_text
        await self.refresh()

    async def refresh(self) -> None:
        """Read the position again and forget the rest, between the events of a subscription."""
        if self._names_event_cursor:
            self.position = await events.position(self.viewer.customer_id)
        self.renew()

    def renew(self) -> None:
        """Forget what was read, as before each mutation. The position stays: with an older one, no event is missed."""
        self.loaders = Loaders(self.viewer)

    async def event_cursor(self, outdial_id: str) -> str:
        if self.position is None:
            self.position = await events.position(self.viewer.customer_id)
        return events.cursor(outdial_id, self.position)


Info: TypeAlias = strawberry.Info[Context, None]
