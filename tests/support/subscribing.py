"""Subscribers of the whole server but its sockets: some take what they get at once, others later."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing, suppress
from typing import Any

import orjson

from app.auth import Viewer
from app.graphql.schema import schema
from app.graphql.schema.context import Context
from app.graphql.transport.execution import Execution, Operation
from app.graphql.transport.masking import NotExecuted

EVENTS = """subscription ($id: ID!, $after: EventCursor, $where: TargetEventFilter) {
    targetEvents(outdialId: $id, after: $after, where: $where) { cursor caughtUp gap events { cursor } } }"""


class Counting(Execution):
    """Counts the responses that it makes to events."""

    def __init__(self) -> None:
        super().__init__(schema, Context)
        self.made = 0
        make = self._messages.make

        def counted(*given: Any) -> Awaitable[bytes]:
            self.made += 1
            return make(*given)

        self._messages.make = counted  # type: ignore[method-assign]


class Subscriber:
    """One subscription: of a socket, or of an event stream, which takes nothing at once.

    It is quick, until `be` makes it slow: then it takes nothing until it is quick again.
    """

    def __init__(
        self, execution: Execution, viewer: Viewer, query: str = EVENTS, *, is_stream: bool = False, **variables: Any
    ) -> None:
        self._is_stream = is_stream
        self.variables = variables
        self.payloads: list[dict[str, Any]] = []
        self.taken_at_once = 0
        self.errors: list[dict[str, Any]] = []
        self.broken: Callable[[bytes], bool] | None = None
        """Takes its place at the sink."""
        self._quick = asyncio.Event()
        self._quick.set()
        prepared = execution.prepare(Operation(query, variables), viewer)
        self.task = asyncio.create_task(self._run(execution, prepared))

    async def _run(self, execution: Execution, prepared: Any) -> None:
        try:
            async with aclosing(execution.subscribe(prepared, None if self._is_stream else self._sink)) as responses:
                async for response in responses:
                    await self._quick.wait()
                    self.payloads.append(orjson.loads(bytes(response)))
        except NotExecuted as refused:
            self.errors = refused.errors

    def _sink(self, response: bytes) -> bool:
        if self.broken is not None:
            return self.broken(response)
        if not self._quick.is_set():
            return False
        self.taken_at_once += 1
        self.payloads.append(orjson.loads(bytes(response)))
        return True

    def be(self, *, quick: bool) -> None:
        if quick:
            self._quick.set()
        else:
            self._quick.clear()

    async def leave(self) -> None:
        self.task.cancel()
        with suppress(asyncio.CancelledError):
            await self.task

    @property
    def batches(self) -> list[dict[str, Any]]:
        return [payload["data"]["targetEvents"] for payload in self.payloads]

    @property
    def cursors(self) -> list[str]:
        """Of all events that it got."""
        return [event["cursor"] for batch in self.batches for event in batch["events"]]
