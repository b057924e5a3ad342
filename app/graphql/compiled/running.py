"""Runs a plan: calls the resolvers, awaits what they return, and hands over to graphql-core on any surprise.

Fields are completed level by level. The awaitables of one field, of all rows of a level, are awaited by one coroutine,
so loaders get all their keys at once and no row costs a task. Fields beside each other do not wait for each other.
"""

import asyncio
from collections.abc import Callable, Generator, Mapping, Sequence
from functools import partial
from inspect import CORO_CREATED, getcoroutinestate
from time import thread_time
from types import CoroutineType, MappingProxyType
from typing import Any

from graphql import ExecutionResult, GraphQLResolveInfo
from graphql.execution import MiddlewareManager
from graphql.pyutils import Path
from strawberry.execution import optimized_is_awaitable

from app.errors import Expected, forget_trace
from app.graphql.compiled.plans import Call, Plan, Site
from app.graphql.compiled.requests import Request

PAUSE_EVERY_SECONDS = 0.01
"""Of processor time."""
CALLS_SECONDS_MAX = 0.03
"""The same where the rows call loaders: what they want by then is read by a statement of its own."""
_CLASSES_MAX = 1_000
_ENTRIES_AT_ONCE = 16
"""Between two looks at the clock. A page of 100 rows takes less than a millisecond."""


class _Raised:
    """What a resolver raised, at once or when it was awaited."""

    __slots__ = ("error",)

    def __init__(self, error: Exception) -> None:
        self.error = error


class _Awaited:
    """What a coroutine returned or raised, to await again."""

    __slots__ = ("_result",)

    def __init__(self, result: Any) -> None:
        self._result = result

    def __await__(self) -> Generator[Any, None, Any]:
        yield  # once round the loop, so that errors are met in the order of the levels of fields
        if isinstance(self._result, _Raised):
            raise self._result.error
        return self._result


class _Slot:
    """A call in one run: its resolver with the arguments, and what it has returned."""

    __slots__ = ("call", "complete", "entries", "known", "name", "resolve")

    def __init__(self, call: Call, resolve: Callable[[Any], Any]) -> None:
        self.call = call
        self.name = call.name
        self.complete = call.complete
        self.resolve = resolve
        self.entries: list[tuple[Any, dict[str, Any], Any]] = []
        """For each awaitable: the record, the answer that it is written into, the awaitable."""
        self.known: list[tuple[Any, Any]] = []
        """Of a root field, what it returned at once. It may have changed something, so it is never called again."""


_NOTHING: Mapping[str, frozenset[str]] = MappingProxyType({})


class _Info:
    """A field's GraphQLResolveInfo, made when a resolver asks for more of it than its context and what is read."""

    def __init__(
        self,
        request: Request,
        site: Site,
        reads: Mapping[str, frozenset[str]] = _NOTHING,
        calls: Sequence[Call] = (),
    ) -> None:
        self.context = request.context
        self.reads = reads
        self._calls = calls
        self._request = request
        self._site = site

    @property
    def reads_within(self) -> Mapping[str, Mapping[str, frozenset[str]]]:
        """The same of the calls inside of the field's answer, by their fields' names in Python."""
        return {call.definition.python_name: call.reads for call in self._calls}

    def __getattr__(self, name: str) -> Any:
        site, path = self._site, None
        for step in site.path:
            path = Path(path, step, None)
        assert path is not None
        made = self._request.executor.build_resolve_info(site.definition, site.nodes, site.parent, path)
        return getattr(made, name)


class Run:
    """One execution of a plan.

    Args:
        plan: of the request's operation, for its variables.
        request: what is executed.
        waits: by class, whether values are awaitable; it grows.
    """

    __slots__ = ("_paused", "_plan", "_request", "_slots", "_waits")

    def __init__(self, plan: Plan, request: Request, waits: dict[type, bool]) -> None:
        self._plan = plan
        self._request = request
        self._slots: list[_Slot | None] = [None] * plan.calls
        self._waits = waits
        self._paused = 0.0

    async def data(self) -> dict[str, Any]:
        """The answer.

        Raises:
            Exception: anything that was not expected; `replay` gives the answer.
        """
        plan, root = self._plan, self._request.root
        data = dict(plan.template)
        if plan.event is not None:
            name, complete = plan.event
            data[name] = complete(root, self)
            await self._settle_all(plan.event_calls)
        elif plan.is_serial:
            for call in plan.roots:
                self._call_root(call, root, data)
                await self._settle(call)
        else:
            for call in plan.roots:
                self._call_root(call, root, data)
            await self._settle_all(plan.roots)
        return data

    async def replay(self) -> ExecutionResult:
        """Execute by graphql-core, with the results of the resolvers that were called."""
        slots = [slot for slot in self._slots if slot is not None]
        # The slots keep the records alive, so no other object gets their ids meanwhile.
        results = {
            (id(slot.call.site.nodes[0]), id(record)): result
            for slot in slots
            for record, result in [*slot.known, *((entry[0], entry[2]) for entry in slot.entries)]
        }

        def recall(resolve: Callable[..., Any], record: Any, info: GraphQLResolveInfo[Any], **arguments: Any) -> Any:
            key = id(info.field_nodes[0]), id(record)
            if key not in results:
                return resolve(record, info, **arguments)
            result = results[key]
            if isinstance(result, _Raised):
                raise result.error
            return result

        executor = self._request.executor
        executor.middleware_manager = MiddlewareManager(recall)
        try:
            result: Any = executor.execute_operation(self._plan.is_serial)
            answer: ExecutionResult = await result if optimized_is_awaitable(result) else result
        finally:
            for result in results.values():
                if isinstance(result, CoroutineType) and getcoroutinestate(result) == CORO_CREATED:
                    result.close()  # an error before its field keeps graphql-core from calling it
                elif isinstance(result, _Raised) and isinstance(result.error, Expected):
                    forget_trace(result.error)  # graphql-core may report only one of several
        return answer

    # ------------------------------------------------------------ of the generated code

    def call(self, call: Call, record: Any, answer: dict[str, Any]) -> None:
        """Resolve a field of a record, and write it into the answer now or in `_settle`."""
        slot = self._slots[call.index]
        if slot is None:
            slot = self._slots[call.index] = _Slot(call, self._resolver(call))
        value = slot.resolve(record)
        if self._is_awaitable(value):
            slot.entries.append((record, answer, value))
        else:
            answer[slot.name] = slot.complete(value, self)

    def info(self, site: Site) -> Any:
        """What a resolver or a type may know of the field."""
        return _Info(self._request, site)

    # ------------------------------------------------------------ calls

    def _call_root(self, call: Call, root: Any, answer: dict[str, Any]) -> None:
        slot = self._slots[call.index] = _Slot(call, self._resolver(call))
        try:
            value = slot.resolve(root)
        except Exception as error:
            slot.known.append((root, _Raised(error)))
            raise
        if self._is_awaitable(value):
            slot.entries.append((root, answer, value))
        else:
            slot.known.append((root, value))
            answer[call.name] = call.complete(value, self)

    def _resolver(self, call: Call) -> Callable[[Any], Any]:
        """The field's resolver as a function of the record alone: the other arguments are the same for all records."""
        field = call.definition
        resolver = field.base_resolver
        assert resolver is not None
        raw = _Info(self._request, call.site, call.reads, call.calls)
        info = call.info_class(_raw_info=raw, _field=field)
        named = call.arguments.values(self._request.variables, info)
        if resolver.info_parameter is not None:
            named[resolver.info_parameter.name] = info
        if call.takes_record_first:
            return partial(resolver, **named)
        takes_self = resolver.self_parameter is not None
        records = [given.name for given in (resolver.parent_parameter, resolver.root_parameter) if given is not None]

        def resolve(record: Any) -> Any:
            return field.get_result(
                record, info, [record] if takes_self else [], named | dict.fromkeys(records, record)
            )

        return resolve

    def _is_awaitable(self, value: Any) -> bool:
        kind = value.__class__
        waits = self._waits.get(kind)
        if waits is None:
            waits = optimized_is_awaitable(value)
            if len(self._waits) < _CLASSES_MAX:
                self._waits[kind] = waits
        return waits

    # ------------------------------------------------------------ awaiting

    async def _settle(self, call: Call) -> None:
        """Await the call's results, complete them, and then what is inside of them."""
        slot = self._slots[call.index]
        if slot is not None and slot.entries:
            _, answer, awaitable = slot.entries[0]
            if len(slot.entries) > 1:
                await self._settle_many(slot)
            elif isinstance(awaitable, CoroutineType):
                await self._settle_one(slot)
            else:
                answer[slot.name] = slot.complete(await awaitable, self)
        await self._settle_all(call.calls)

    async def _settle_one(self, slot: _Slot) -> None:
        record, answer, awaitable = slot.entries[0]
        try:
            value = await awaitable
        except Exception as error:
            slot.entries[0] = record, answer, _Awaited(_Raised(error))
            raise
        slot.entries[0] = record, answer, _Awaited(value)
        answer[slot.name] = slot.complete(value, self)

    async def _settle_many(self, slot: _Slot) -> None:
        # Loaders' results are under way already. Coroutines run side by side only as tasks.
        slot.entries = [
            (record, answer, asyncio.ensure_future(value) if isinstance(value, CoroutineType) else value)
            for record, answer, value in slot.entries
        ]
        try:
            self._paused = thread_time()
            for index, (_, answer, awaitable) in enumerate(slot.entries, 1):
                answer[slot.name] = slot.complete(await awaitable, self)
                if not index % _ENTRIES_AT_ONCE:
                    await self._pause(CALLS_SECONDS_MAX if slot.call.calls else PAUSE_EVERY_SECONDS)
        except asyncio.CancelledError:
            for _, _, awaitable in slot.entries:
                if isinstance(awaitable, asyncio.Task):
                    awaitable.cancel()
            raise

    async def _pause(self, after_seconds: float) -> None:
        """Let others run, if they have waited for so long."""
        if thread_time() - self._paused > after_seconds:
            await asyncio.sleep(0)
            self._paused = thread_time()

    async def _settle_all(self, calls: Sequence[Call]) -> None:
        """Settle fields beside each other, each as soon as it can.

        If one fails, the others still end: what they have read is used again.
        """
        begun = [call for call in calls if self._slots[call.index] is not None]
        if not begun:
            return
        if len(begun) == 1:
            await self._settle(begun[0])
            return
        for result in await asyncio.gather(*[self._settle(call) for call in begun], return_exceptions=True):
            if isinstance(result, BaseException):
                raise result
