"""Runs operations: parsing, limits, validation, execution, errors with their codes. Independent of the transport."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from inspect import isawaitable
from typing import Any, Protocol, Self, cast

import strawberry
from graphql import (
    DocumentNode,
    ExecutionResult,
    FieldNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLSyntaxError,
    OperationType,
    create_source_event_stream,
    execute_root_selection_set,
    execute_subscription_event,
    map_source_to_response_event,
    parse,
    validate,
)
from graphql.execution import Executor
from graphql.validation import specified_rules
from strawberry.execution import optimized_is_awaitable
from strawberry.schema.validation_rules.maybe_null import MaybeNullValidationRule
from strawberry.schema.validation_rules.one_of import OneOfInputValidationRule

from app import metrics
from app.auth import Viewer
from app.errors import BadUserInput, LimitExceeded, Unavailable
from app.graphql.transport import limits, masking
from app.graphql.transport.masking import NotExecuted

OPERATION_SECONDS_MAX = 30
"""For a query, a mutation, or one event of a subscription. A transaction in progress is shielded and completes."""
CACHED_DOCUMENTS_MAX = 1_000
CACHED_CHARACTERS_MAX = 500_000
"""A parsed document takes about a hundred times its text: this is 50 MB."""
_RULES = (*specified_rules, MaybeNullValidationRule, OneOfInputValidationRule)
_PERSISTED_QUERY = "persistedQuery"
"""https://www.apollographql.com/docs/apollo-server/performance/apq"""

Payload = dict[str, Any]
"""A response: `data`, `errors` or both."""


class OperationContext(Protocol):
    """The context of resolvers, one for each operation."""

    async def prepare(self, query_text: str) -> None: ...
    async def refresh(self) -> None: ...
    def renew(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Operation:
    """A client's request, unchecked."""

    query: str | None
    """None if the client sent only the hash of a persisted query."""
    variables: dict[str, Any] | None = None
    operation_name: str | None = None

    @classmethod
    def read(cls, parameters: object) -> Self:
        """From decoded JSON: the body of a request, or the payload of a `subscribe` message.

        Raises:
            BadUserInput: a parameter has a wrong type; the message names it.
        """
        if not isinstance(parameters, dict):
            raise BadUserInput("The request must be one JSON object. Batches are not supported.")
        extensions = parameters.get("extensions")
        if not isinstance(extensions, dict | None):
            raise BadUserInput("extensions must be an object.")
        query = parameters.get("query")
        if not query and extensions is not None and extensions.get(_PERSISTED_QUERY) is not None:
            query = None
        elif not isinstance(query, str):
            raise BadUserInput("query must be text: the GraphQL document.")
        variables = parameters.get("variables")
        if not isinstance(variables, dict | None):
            raise BadUserInput("variables must be an object.")
        operation_name = parameters.get("operationName")
        if not isinstance(operation_name, str | None):
            raise BadUserInput("operationName must be text.")
        return cls(query, variables, operation_name)


@dataclass(frozen=True, slots=True)
class Prepared:
    """An operation that may run, once."""

    kind: OperationType
    name: str
    """Empty if the document gives none."""
    query: str
    context: OperationContext
    executor: Executor[Any]


@dataclass(frozen=True, slots=True)
class _Document:
    """A document that passed all checks that do not depend on variables."""

    node: DocumentNode
    plans: dict[str, limits.Plan]


class Execution:
    """Runs operations on a schema.

    Args:
        schema: without extensions. Their work is done here, once for each document.
        make_context: a new context for each operation.
    """

    def __init__(self, schema: strawberry.Schema, make_context: Callable[[Viewer], OperationContext]) -> None:
        self._schema = schema._schema  # noqa: SLF001 - strawberry's public way validates each request again
        self._executor_class = schema.execution_context_class
        self._make_context = make_context
        self._documents: OrderedDict[str, _Document] = OrderedDict()
        self._cached_characters = 0

    def prepare(self, operation: Operation, viewer: Viewer) -> Prepared:
        """Parse, validate and measure the request, and coerce its variables.

        Raises:
            NotExecuted: it may not run, with the reason.
        """
        try:
            return self._prepare(operation, viewer)
        except NotExecuted as refused:
            metrics.count_operation(operation.operation_name, "unknown", _outcome(refused.payload))
            raise

    def _prepare(self, operation: Operation, viewer: Viewer) -> Prepared:
        if operation.query is None:
            raise masking.refuse_persisted_query()
        document = self._document(operation.query)
        context = self._make_context(viewer)
        executor = self._executor_class.build(
            self._schema,
            document.node,
            context_value=context,
            raw_variable_values=operation.variables,
            operation_name=operation.operation_name or None,
            is_awaitable=cast("Any", optimized_is_awaitable),
            operation_extensions=None,
        )
        if isinstance(executor, list):
            raise masking.refuse_request(executor, masking.BAD_USER_INPUT)
        name = executor.operation.name.value if executor.operation.name else ""
        try:
            limits.check_size(document.plans[name], executor.variable_values.coerced)
        except LimitExceeded as error:
            raise masking.refuse(error) from None
        return Prepared(executor.operation.operation, name, operation.query, context, executor)

    async def execute(self, prepared: Prepared) -> Payload:
        """The response to a query or a mutation."""
        try:
            async with _time_limit():
                await prepared.context.prepare(prepared.query)
                result = execute_root_selection_set(prepared.executor)
                payload = _payload(await result if isawaitable(result) else result)
        except Exception as error:  # noqa: BLE001 - the client gets an answer for every error
            payload = {"data": None, "errors": [masking.render(error)]}
        metrics.count_operation(prepared.name, prepared.kind.value, _outcome(payload))
        return payload

    async def subscribe(self, prepared: Prepared) -> AsyncGenerator[Payload, None]:
        """The responses of a subscription. Close the iterator when the subscriber is gone.

        Raises:
            NotExecuted: the subscription cannot start, or ended by an error.
        """
        outcome = "ok"
        try:
            with metrics.subscriptions.labels(_root_field(prepared.executor)).track_inprogress():
                async with aclosing(self._subscribe(prepared)) as payloads:
                    async for payload in payloads:
                        yield payload
        except NotExecuted as refused:
            outcome = _outcome(refused.payload)
            raise
        finally:
            metrics.count_operation(prepared.name, prepared.kind.value, outcome)

    async def _subscribe(self, prepared: Prepared) -> AsyncGenerator[Payload, None]:
        executor, context = prepared.executor, prepared.context

        async def respond(event_executor: Executor[Any]) -> ExecutionResult:
            async with _time_limit():
                context.renew()
                result = execute_subscription_event(event_executor)
                return await result if isawaitable(result) else result

        try:
            async with _time_limit():
                await context.prepare(prepared.query)
                opened = create_source_event_stream(executor)
                source = await opened if isawaitable(opened) else opened
        except Exception as error:  # noqa: BLE001 - the client gets an answer for every error
            raise NotExecuted([masking.render(error)]) from None
        if isinstance(source, ExecutionResult):
            raise NotExecuted([masking.render(error) for error in source.errors or ()])
        # graphql-core awaits the function's result, although its type is of a synchronous function.
        responses = map_source_to_response_event(executor, source, cast("Any", respond))
        try:
            async with aclosing(responses):
                async for result in responses:
                    yield _payload(result)
                    # Before the next event is read, so that its position is no newer than the event.
                    await context.refresh()
        except Exception as error:  # noqa: BLE001 - as above
            raise NotExecuted([masking.render(error)]) from None

    async def run(self, prepared: Prepared) -> AsyncGenerator[Payload, None]:
        """The responses to an operation of any kind.

        Raises:
            NotExecuted: as `subscribe`.
        """
        if prepared.kind is not OperationType.SUBSCRIPTION:
            yield await self.execute(prepared)
            return
        async with aclosing(self.subscribe(prepared)) as responses:
            async for payload in responses:
                yield payload

    def _document(self, query: str) -> _Document:
        document = self._documents.get(query)
        if document is not None:
            self._documents.move_to_end(query)
            return document
        document = self._check(query)
        # Only valid ones are cached: invalid ones would push them out.
        self._documents[query] = document
        self._cached_characters += len(query)
        while self._cached_characters > CACHED_CHARACTERS_MAX or len(self._documents) > CACHED_DOCUMENTS_MAX:
            oldest, _ = self._documents.popitem(last=False)
            self._cached_characters -= len(oldest)
        return document

    def _check(self, query: str) -> _Document:
        try:
            node = _parse(query)
            limits.check_shape(node)
        except LimitExceeded as error:
            raise masking.refuse(error) from None
        except GraphQLError as error:
            raise masking.refuse_request([error], masking.GRAPHQL_PARSE_FAILED) from None
        if errors := validate(self._schema, node, _RULES):
            raise masking.refuse_request(errors, masking.GRAPHQL_VALIDATION_FAILED)
        return _Document(node, limits.plan_operations(self._schema, node))


def _parse(query: str) -> DocumentNode:
    if len(query) > limits.QUERY_CHARACTERS_MAX:
        raise LimitExceeded(f"The document is too long: at most {limits.QUERY_CHARACTERS_MAX:,} characters.")
    try:
        return parse(query, max_tokens=limits.QUERY_TOKENS_MAX)
    except GraphQLSyntaxError as error:
        if "Parsing aborted" in error.message:
            raise LimitExceeded(
                f"The document has too many tokens: at most {limits.QUERY_TOKENS_MAX:,}. Send long values as variables."
            ) from None
        raise


@asynccontextmanager
async def _time_limit() -> AsyncIterator[None]:
    timeout = asyncio.timeout(OPERATION_SECONDS_MAX)
    try:
        async with timeout:
            yield
    except TimeoutError:
        if timeout.expired():
            raise Unavailable(
                f"The operation took longer than {OPERATION_SECONDS_MAX} seconds. Ask for less at once."
            ) from None
        raise


def _outcome(payload: Payload) -> str:
    """The label of an operation in the metrics."""
    errors = payload.get("errors")
    return errors[0]["extensions"]["code"] if errors else "ok"


def _root_field(executor: Executor[Any]) -> str:
    """The name of a subscription's only field, which a fragment may hold."""
    selection: Any = executor.operation
    while not isinstance(selection, FieldNode):
        if isinstance(selection, FragmentSpreadNode):
            selection = executor.fragment_definitions[selection.name.value]
        selection = selection.selection_set.selections[0]
    return selection.name.value


def _payload(result: ExecutionResult) -> Payload:
    payload: Payload = {"data": result.data}
    if result.errors:
        payload["errors"] = [masking.render(error) for error in result.errors]
    return payload
