"""One execution of an operation, and graphql-core's executor for it, which is made only if it is needed."""

from collections.abc import Callable
from functools import cached_property, partial
from typing import Any
from weakref import WeakMethod

from graphql import FragmentDefinitionNode, GraphQLSchema, OperationDefinitionNode
from graphql.execution import Executor, default_field_resolver, default_type_resolver
from graphql.execution.collect_fields import FragmentDetails
from graphql.execution.values import VariableValues
from graphql.type.definition import GraphQLResolveInfoHelpers
from strawberry.execution import optimized_is_awaitable

from app.graphql.compiled.bounding import Bounds, VariableBounds
from app.graphql.compiled.inputs import Coercions, Variables
from app.graphql.compiled.plans import Plan, conditions


class CompiledOperation:
    """An operation of a document, with what is made of it. It lives as long as the document.

    What is made is made when the operation is first executed: a document may have hundreds that never are.
    """

    def __init__(
        self,
        schema: GraphQLSchema,
        executor_class: Callable[..., Executor[Any]],
        node: OperationDefinitionNode,
        fragments: dict[str, FragmentDefinitionNode],
        coercions: Coercions,
        bounds: Bounds,
    ) -> None:
        self.schema = schema
        self.node = node
        self.name = node.name.value if node.name else ""
        self.fragments = fragments
        """Of the whole document."""
        self.plans: dict[tuple[Any, ...], Plan] = {}
        """By the values of these variables."""
        self.executions = 0
        """Before it was compiled."""
        self.is_refused = False
        """Whether only graphql-core can execute it."""
        self._executor_class = executor_class
        self._coercions = coercions
        self._bounds = bounds

    @cached_property
    def variables(self) -> Variables:
        return Variables(self.schema, self.node, self._coercions)

    @cached_property
    def variable_bounds(self) -> VariableBounds:
        return VariableBounds(self.schema, self.node, self.fragments, self._bounds)

    @cached_property
    def conditions(self) -> tuple[str, ...]:
        """The variables in @skip and @include."""
        return tuple(sorted(conditions(self.node, self.fragments)))

    def executor(self, variables: VariableValues, context: object, root: object) -> Executor[Any]:
        executor = self._executor_class(
            self.schema,
            self.fragments,
            {name: FragmentDetails(node) for name, node in self.fragments.items()},
            root,
            context,
            self.node,
            variables,
            default_field_resolver,
            default_type_resolver,
            default_field_resolver,
            is_awaitable=optimized_is_awaitable,
            operation_extensions=None,
        )
        return loose(executor)


def loose(executor: Executor[Any]) -> Executor[Any]:
    """The executor, which no longer holds itself by its helpers, and with itself all that was sent and read."""
    gather, track = WeakMethod(executor.gather_async_work), WeakMethod(executor.track_async_work)
    executor.async_helpers = GraphQLResolveInfoHelpers(gather=partial(_call, gather), track=partial(_call, track))
    return executor


def _call(method: WeakMethod[Callable[..., Any]], values: Any) -> Any:
    found = method()
    assert found is not None, "only what an executor has called needs its help"
    return found(values)


class Request:
    """An operation with its variables and its context, to be executed once; in a subscription, once for each event."""

    __slots__ = ("_executor", "context", "is_long", "operation", "root", "variables")

    def __init__(
        self,
        operation: CompiledOperation,
        variables: VariableValues,
        context: object,
        root: object = None,
        executor: Executor[Any] | None = None,
    ) -> None:
        self.operation = operation
        self.variables = variables
        self.context = context
        self.root = root
        """The event, in a subscription."""
        self.is_long = False
        """Whether it takes so long that it is compiled at once: only compiled operations let others run meanwhile."""
        self._executor = executor

    @property
    def executor(self) -> Executor[Any]:
        """graphql-core's, of this request alone."""
        if self._executor is None:
            self._executor = self.operation.executor(self.variables, self.context, self.root)
        return self._executor
