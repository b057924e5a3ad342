"""Remembers the plans of operations, and decides which way each execution goes."""

import logging
from collections import OrderedDict
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, cast

import strawberry
import structlog
from graphql import (
    DocumentNode,
    ExecutionResult,
    FragmentDefinitionNode,
    GraphQLError,
    OperationDefinitionNode,
    OperationType,
)
from graphql.execution import Executor
from strawberry.execution import optimized_is_awaitable

from app.errors import Expected, forget_trace
from app.graphql.compiled import writing
from app.graphql.compiled.bounding import Bounds
from app.graphql.compiled.inputs import Coercions
from app.graphql.compiled.plans import NotCompiled, Plan
from app.graphql.compiled.requests import CompiledOperation, Request, loose
from app.graphql.compiled.running import Run

PLANNED_FIELDS_MAX = 50_000
"""Of all plans that are kept. One field takes about a kilobyte."""
EXECUTIONS_BEFORE = 1
"""By graphql-core. Compiling takes as long as validation does, and some clients write their values into the document:
such a document never comes again."""
COMBINATIONS_MAX = 16
"""Plans of one operation: one for each combination of the variables in its @skip and @include."""

_log = structlog.get_logger("outdial.graphql")
_log_level = logging.getLogger("outdial.graphql")


class Way(StrEnum):
    """How an operation was executed."""

    COMPILED = "compiled"
    REPLAYED = "replayed"
    """By graphql-core, after the compiled operation met a value that it does not handle, such as an error."""
    CORE = "core"
    """By graphql-core alone."""


class Compiler:
    """Executes operations, compiled where it can.

    Args:
        schema: the schema.
        is_on: if it is not, graphql-core executes everything.
    """

    def __init__(self, schema: strawberry.Schema, *, is_on: bool = True) -> None:
        self._schema = schema._schema  # noqa: SLF001 - strawberry has no other way to it
        self._executor_class: type[Executor[Any]] = schema.execution_context_class
        self._coercions = Coercions()
        self._bounds = Bounds()
        self._is_on = is_on
        self._kept: OrderedDict[tuple[CompiledOperation, tuple[Any, ...]], int] = OrderedDict()
        self._kept_fields = 0
        self._waits: dict[type, bool] = {}

    def operations(self, document: DocumentNode) -> dict[str, CompiledOperation]:
        """The operations of a valid document by name; an anonymous one has the empty name."""
        fragments = {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}
        operations = [
            CompiledOperation(self._schema, self._executor_class, node, fragments, self._coercions, self._bounds)
            for node in document.definitions
            if isinstance(node, OperationDefinitionNode)
        ]
        return {operation.name: operation for operation in operations}

    def find(self, operations: Mapping[str, CompiledOperation], name: str | None) -> CompiledOperation | None:
        """The operation of that name, or the only one. None if there is none: graphql-core says so."""
        if name:
            return operations.get(name)
        return next(iter(operations.values())) if len(operations) == 1 else None

    def request(
        self,
        document: DocumentNode,
        operations: Mapping[str, CompiledOperation],
        *,
        name: str | None,
        variables: dict[str, Any] | None,
        context: object,
    ) -> Request | list[GraphQLError]:
        """The operation of that name, or the only one, with its variables coerced; or what is wrong with them.

        Raises:
            LimitExceeded: a list in the variables is too long.
        """
        operation = self.find(operations, name)
        if operation is not None and variables:
            variables = operation.variable_bounds.with_short_lists(variables)
        if self._is_on and operation is not None:
            values = operation.variables.values(variables or {})
            if values is not None:
                return Request(operation, values, context)
        if operation is not None and variables:
            variables = operation.variable_bounds.with_short_errors(variables)
        executor = self._executor_class.build(
            self._schema,
            document,
            context_value=context,
            raw_variable_values=variables,
            operation_name=name or None,
            is_awaitable=cast("Any", optimized_is_awaitable),
            operation_extensions=None,
        )
        if isinstance(executor, list):
            return executor
        found = operations[executor.operation.name.value if executor.operation.name else ""]
        return Request(found, executor.variable_values, context, executor=loose(executor))

    async def execute(self, request: Request) -> tuple[ExecutionResult, Way]:
        """The result of a query or a mutation, or of one event, which is the request's root value."""
        plan = self._plan(request) if self._is_on else None
        if plan is None:
            _note(request, Way.CORE)
            serially = request.operation.node.operation is OperationType.MUTATION
            result: Any = request.executor.execute_operation(serially)
            return (await result if optimized_is_awaitable(result) else result), Way.CORE
        run = Run(plan, request, self._waits)
        try:
            data = await run.data()
        except Exception as surprise:  # noqa: BLE001 - graphql-core decides what it means
            _note(request, Way.REPLAYED, reason=type(surprise).__name__)
            if isinstance(surprise, Expected):
                forget_trace(surprise)
        else:
            _note(request, Way.COMPILED)
            return ExecutionResult(data, None), Way.COMPILED
        return await run.replay(), Way.REPLAYED

    def _plan(self, request: Request) -> Plan | None:
        operation = request.operation
        if operation.is_refused or (operation.executions < EXECUTIONS_BEFORE and not request.is_long):
            operation.executions += 1
            return None
        values = request.variables.coerced
        key = tuple([values.get(name) for name in operation.conditions])
        plan = operation.plans.get(key)
        if plan is not None:
            self._kept.move_to_end((operation, key))
            return plan
        if len(operation.plans) >= COMBINATIONS_MAX:
            return None
        try:
            plan = writing.make(request.executor)
        except NotCompiled:
            operation.is_refused = True
            return None
        except GraphQLError:  # null in a directive: graphql-core says so
            return None
        self._keep(operation, key, plan)
        return plan

    def _keep(self, operation: CompiledOperation, key: tuple[Any, ...], plan: Plan) -> None:
        operation.plans[key] = plan
        self._kept[operation, key] = plan.fields
        self._kept_fields += plan.fields
        while self._kept_fields > PLANNED_FIELDS_MAX:
            (oldest, oldest_key), fields = self._kept.popitem(last=False)
            del oldest.plans[oldest_key]
            self._kept_fields -= fields


def _note(request: Request, way: Way, **more: str) -> None:
    if _log_level.isEnabledFor(logging.DEBUG):  # a line that is not written costs as much as a small operation
        _log.debug("executed", operation=request.operation.name, way=way.value, **more)
