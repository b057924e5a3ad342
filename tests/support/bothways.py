"""Runs operations compiled and by graphql-core, and compares the answers to the last character."""

import json
from collections.abc import Callable
from typing import Any

import strawberry
import structlog

from app import metrics
from app.auth import Viewer
from app.graphql.compiled import Way
from app.graphql.transport.execution import Execution, Operation, OperationContext, Payload
from app.graphql.transport.masking import NotExecuted


def executions(way: Way) -> float:
    """How many executions went this way so far."""
    number: float = metrics.graphql_executions.labels(way)._value.get()
    return number


class BothWays:
    def __init__(self, schema: strawberry.Schema, make_context: Callable[[Viewer], OperationContext]) -> None:
        self.compiled = Execution(schema, make_context)
        self.core = Execution(schema, make_context, is_compiled=False)

    async def same(
        self,
        viewer: Viewer,
        query: str,
        variables: dict[str, Any] | None = None,
        *,
        name: str | None = None,
        in_order: bool = True,
    ) -> tuple[Payload, Way]:
        """Run it both ways; the answer, and the way of the compiled execution.

        Args:
            viewer: who asks.
            query: the document.
            variables: as a client sends them.
            name: of the operation.
            in_order: whether errors come in one order. Of fields that are awaited side by side, nothing says which
                fails first: errors may then have any order, and of several that make one object null, any may remain.

        Raises:
            AssertionError: the answers differ, also in the order of their fields.
        """
        operation = Operation(query, variables, name)
        wanted = [_plain(payload) for payload in await self.answers(self.core, viewer, operation)]
        before = {way: executions(way) for way in Way}
        found = [_plain(payload) for payload in await self.answers(self.compiled, viewer, operation)]
        if not in_order:
            for payload in [*found, *wanted]:
                if "errors" in payload and "data" in payload:
                    payload["errors"] = sorted({_told(error, payload["data"]) for error in payload["errors"]})
        assert [json.dumps(payload) for payload in found] == [json.dumps(payload) for payload in wanted], query
        ways = [way for way in Way if executions(way) > before[way]]
        return found[0] if found else {}, ways[-1] if ways else Way.CORE

    @staticmethod
    async def answers(execution: Execution, viewer: Viewer, operation: Operation) -> list[Payload]:
        with structlog.testing.capture_logs():  # internal errors are wanted here
            try:
                prepared = execution.prepare(operation, viewer)
                return [json.loads(payload) async for payload in execution.run(prepared)]
            except NotExecuted as refused:
                return [refused.payload]


def _told(error: dict[str, Any], data: Any) -> str:
    """An error, or only what it made null if that is not its field alone."""
    place = []
    for step in error["path"]:
        if data is None:
            return f"null at {place}"
        place.append(step)
        data = data[step]
    return json.dumps(error)


def _plain(payload: Payload) -> Payload:
    """Without the ids of errors, which are new each time."""
    decoded: Payload = json.loads(json.dumps(payload, default=str))
    for error in decoded.get("errors", ()):
        error["extensions"].pop("id", None)
    return decoded
