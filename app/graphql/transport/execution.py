"""Runs operations: parsing, limits, validation, execution, errors with their codes. Independent of the transport."""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from functools import partial
from inspect import isawaitable
from types import TracebackType
from typing import Any, TypeVar

import strawberry
from graphql import (
    ExecutionResult,
    FieldNode,
    FragmentSpreadNode,
    OperationType,
    create_source_event_stream,
)
from graphql.execution import VariableValues

from app import bounds, costs, deadlines, metrics, rates, tracing
from app.auth import Viewer
from app.errors import LimitExceeded, RateLimited, Unavailable
from app.graphql.compiled import CompiledOperation, Compiler, Request
from app.graphql.transport import answers, forms, limits, masking
from app.graphql.transport.answering import Answering
from app.graphql.transport.answers import Room
from app.graphql.transport.crowds import Crowds, Sink, can_join
from app.graphql.transport.documents import Document, Documents
from app.graphql.transport.masking import NotExecuted
from app.graphql.transport.messages import Messages, Subscribed
from app.graphql.transport.operations import Operation, OperationContext, Payload, Prepared
from app.graphql.transport.reading import Reading
from app.graphql.transport.shapes import Shapes, declared
from app.turns import Allowance, Lanes, working_for

T = TypeVar("T")

OPERATION_SECONDS_MAX = 30
"""For a query, a mutation, or one event of a subscription. A transaction in progress is shielded and completes."""
_LATER = {RateLimited.code, Unavailable.code}
_COST = "cost"
"""In an answer."""


class Execution:
    """Runs operations on a schema.

    Args:
        schema: without extensions. Their work is done here, once for each document.
        make_context: a new context for each operation.
        is_compiled: whether operations are compiled. If not, graphql-core executes them all.
        lanes: whose turn it is. The same for all that serve the same customers.
        limiter: who may ask for more. Likewise.
    """

    def __init__(
        self,
        schema: strawberry.Schema,
        make_context: Callable[[Viewer], OperationContext],
        *,
        is_compiled: bool = True,
        lanes: Lanes | None = None,
        limiter: rates.Limiter | None = None,
    ) -> None:
        self._make_context = make_context
        self._compiler = Compiler(schema, is_on=is_compiled)
        self._lanes = lanes or Lanes()
        self.limiter = limiter or rates.Limiter()
        self._subscriptions = Allowance("subscriptions", lambda: bounds.now().customer_subscriptions_max)
        self._shapes = Shapes()
        self._crowds = Crowds()
        self._room = Room()
        self._messages = Messages(self.limiter, self._room, self._event)
        self._documents = Documents(schema, self._compiler)
        self.reading = Reading(self._documents, self._lanes, self.limiter)

    def knows(self, operation: Operation) -> bool:
        """Whether `prepare` is quick: the document is remembered, or there is none, or the request is refused."""
        query = operation.query
        fault = forms.fault_of_texts(query, operation.operation_name)
        return query is None or fault is not None or query in self._documents.kept

    async def prepare_new(self, operation: Operation, viewer: Viewer) -> Prepared:
        """As `prepare`, for an operation whose document is not known: it is read when its customer's turn comes.

        Raises:
            NotExecuted: as `prepare`, or the customer has too few points, or its turn did not come.
        """
        document = None
        if operation.query is not None:
            try:
                document = await self.reading.read(operation.query, viewer)
            except NotExecuted as refused:
                self._count_refused(operation, viewer, refused)
                raise
        return self.prepare(operation, viewer, document)

    def prepare(self, operation: Operation, viewer: Viewer, document: Document | None = None) -> Prepared:
        """Parse, validate and measure the request, and coerce its variables.

        Args:
            operation: the request.
            viewer: whose it is.
            document: of the operation, if it is read already.

        Raises:
            NotExecuted: it may not run, with the reason.
        """
        try:
            return self._prepare(operation, viewer, document)
        except NotExecuted as refused:
            self._count_refused(operation, viewer, refused)
            raise

    def _count_refused(self, operation: Operation, viewer: Viewer, refused: NotExecuted) -> None:
        metrics.count_refused(operation.operation_name, _outcome(refused.payload))
        if refused.code not in _LATER:  # nothing was done for it
            self.limiter.charge(viewer.customer_id, costs.points(fields=0, document=len(operation.query or "")))

    def _prepare(self, operation: Operation, viewer: Viewer, document: Document | None) -> Prepared:
        if fault := forms.fault_of_texts(operation.query, operation.operation_name):
            raise masking.refuse(LimitExceeded(fault))
        if operation.query is None:
            raise masking.refuse_persisted_query()
        document = document or self._documents.of(operation.query)
        context = self._make_context(viewer)
        found = self._compiler.find(document.compiled, operation.operation_name)
        if found is not None:
            refusal = document.scopes[found.name].refusal(viewer)
            limited = None if refusal is not None else self._limited(operation, document, found, viewer)
            if refusal is not None or limited is not None:
                nothing = Request(found, VariableValues({}, {}), context)
                return Prepared(
                    found.node.operation,
                    found.name,
                    document.query,
                    context,
                    nothing,
                    None,
                    viewer.customer_id,
                    is_dialing=False,
                    limited=limited,
                    refusal=refusal,
                )
        try:
            request = self._compiler.request(
                document.node,
                document.compiled,
                name=operation.operation_name,
                variables=operation.variables,
                context=context,
            )
            if isinstance(request, list):
                raise masking.refuse_request(request, masking.BAD_USER_INPUT)
            name = request.operation.name
            size = limits.check_size(document.plans[name], request.variables.coerced, document=len(document.query))
        except LimitExceeded as error:
            raise masking.refuse(error) from None
        kind, shape, points = request.operation.node.operation, None, size.points
        if kind is OperationType.SUBSCRIPTION:
            beginning = document.beginnings.get(name)
            given = declared(request.operation.node, operation.variables)
            shape = self._shapes.of(viewer, document.query, name, given, beginning)
            points = costs.subscription(document=len(document.query))
        request.is_long = answers.is_long(size)
        return Prepared(
            kind,
            name,
            document.query,
            context,
            request,
            shape,
            viewer.customer_id,
            is_dialing=name in document.dialing,
            size=size,
            points=points,
            rated=_rated(document, name),
            has_pages=document.plans[name].has_pages,
            wants_cost=operation.wants_cost,
        )

    def _limited(
        self, operation: Operation, document: Document, found: CompiledOperation, viewer: Viewer
    ) -> RateLimited | None:
        """Why the operation will not be admitted: judged before its variables are coerced, which may take long."""

        def cost() -> int:
            if found.node.operation is OperationType.SUBSCRIPTION:
                return costs.subscription(document=len(document.query))
            plan = document.plans[found.name]
            return limits.measure(plan, operation.variables or {}, document=len(document.query)).points

        return self.limiter.refusal(viewer.customer_id, cost, _rated(document, found.name))

    async def admit(self, prepared: Prepared) -> None:
        """Take the operation's points from its customer's bucket. It waits for nothing, except in a sudden burst.

        Raises:
            NotExecuted: the customer has not enough.
        """
        try:
            if prepared.limited is not None:
                raise prepared.limited
            await self.limiter.admit(prepared.customer_id, prepared.points, prepared.rated)
        except RateLimited as error:
            metrics.count_operation(prepared.name, prepared.kind.value, error.code)
            raise masking.refuse(error) from None

    def answer(self, prepared: Prepared) -> "Answering":
        """A block that has the response to a query or a mutation. A large one takes room in this process until its end.

        Raises:
            NotExecuted: when the block begins: its customer has no points left, or its turn did not come.
        """
        return Answering(self, self._room, prepared)

    def execute(self, prepared: Prepared) -> Awaitable[Payload]:
        """The response to a query or a mutation.

        Raises:
            NotExecuted: its turn did not come.
        """
        work = self._in_turn(prepared)
        return _traced(work, prepared, _outcome) if tracing.is_on() else work

    async def _in_turn(self, prepared: Prepared) -> Payload:
        turn = self._lanes.turn(prepared.customer_id, is_dialing=prepared.is_dialing, is_long=prepared.size.is_long)
        try:
            await turn.begin()
        except (RateLimited, Unavailable) as error:
            metrics.count_operation(prepared.name, prepared.kind.value, error.code)
            raise masking.refuse(error) from None
        try:
            payload = prepared.refusal or await self._execute(prepared)
        except Exception as error:  # noqa: BLE001 - the client gets an answer for every error
            payload = {"data": None, "errors": [masking.render(error)]}
        finally:
            turn.end()
        if prepared.wants_cost:
            payload["extensions"] = {_COST: prepared.size.cost()}
        metrics.count_operation(prepared.name, prepared.kind.value, _outcome(payload))
        return payload

    async def _execute(self, prepared: Prepared) -> Payload:
        with _TimeLimit():
            await prepared.context.prepare(prepared.query)
            return _payload(await self._run(prepared.request))

    async def subscribe(self, prepared: Prepared, sink: Sink | None = None) -> AsyncGenerator[bytes, None]:
        """The responses of a subscription, as JSON. Close the iterator when the subscriber is gone.

        Args:
            prepared: the subscription.
            sink: takes responses at once if it can: they are sent to many subscribers in one go. The iterator has the
                others.

        Raises:
            NotExecuted: the subscription cannot start, or ended by an error.
        """
        await self.admit(prepared)
        outcome, name, kind = "ok", prepared.name, prepared.kind.value
        working_for.set(prepared.customer_id)
        try:
            with (
                self._subscriptions.one(prepared.customer_id),
                metrics.subscriptions.labels(_root_field(prepared.request)).track_inprogress(),
            ):
                opening: Awaitable[Any] = self._source(prepared)
                if tracing.is_on():
                    opening = _traced(opening, prepared, _opened)
                async with aclosing(await opening) as source:
                    del opening
                    responses = self._responses(prepared, source, sink)
                    del prepared  # what is not shared is not needed any more
                    async with aclosing(responses):
                        async for response in responses:
                            yield response
                            del response  # not held while it waits
        except NotExecuted as refused:
            outcome = _outcome(refused.payload)
            raise
        except Exception as error:  # noqa: BLE001 - the client gets an answer for every error
            errors = [masking.render(error)]
            outcome = _outcome({"errors": errors})
            raise NotExecuted(errors) from None
        finally:
            metrics.count_operation(name, kind, outcome)

    def _responses(self, prepared: Prepared, source: Any, sink: Sink | None) -> AsyncGenerator[bytes, None]:
        shape, context, variables = prepared.shape, prepared.context, prepared.request.variables
        if shape is not None:
            variables = shape.coerced = shape.coerced or variables
        respond = partial(self._messages.make, Subscribed.of(prepared, variables))
        if shape is not None and can_join(source):
            return self._crowds.responses(shape, source, sink, before=context.refresh, respond=respond)
        return _alone(source, sink, before=context.refresh, respond=respond)

    async def _source(self, prepared: Prepared) -> Any:
        """The events of a subscription, which can be closed."""
        with _TimeLimit():
            await prepared.context.prepare(prepared.query)
            opened = create_source_event_stream(prepared.request.executor)
            source = await opened if isawaitable(opened) else opened
        if isinstance(source, ExecutionResult):
            raise NotExecuted([masking.render(error) for error in source.errors or ()])
        return source

    async def _event(self, request: Request) -> Payload:
        context: Any = request.context
        with _TimeLimit():
            context.renew()
            try:
                return _payload(await self._run(request))
            finally:
                context.renew()  # what was read for this event is not held until the next one comes

    def run(self, prepared: Prepared, sink: Sink | None = None) -> AsyncGenerator[bytes, None]:
        """The responses to an operation of any kind, as JSON. Arguments and errors are those of `subscribe`."""
        is_subscription = prepared.kind is OperationType.SUBSCRIPTION
        return self.subscribe(prepared, sink) if is_subscription else self._answer(prepared)

    async def _answer(self, prepared: Prepared) -> AsyncGenerator[bytes, None]:
        async with self.answer(prepared) as answer:
            yield answer.body

    async def _run(self, request: Request) -> ExecutionResult:
        result, way = await self._compiler.execute(request)
        metrics.count_execution(way)
        return result


class _TimeLimit(deadlines.within):
    """Ends what takes too long, as Unavailable."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(OPERATION_SECONDS_MAX)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            super().__exit__(kind, error, trace)
        except TimeoutError:
            raise Unavailable(
                f"The operation took longer than {OPERATION_SECONDS_MAX} seconds. Ask for less at once."
            ) from None


async def _alone(
    source: AsyncIterator[Any],
    sink: Sink | None,
    *,
    before: Callable[[], Awaitable[None]],
    respond: Callable[[Any], Awaitable[bytes]],
) -> AsyncGenerator[bytes, None]:
    async for event in source:
        response = await respond(event)
        if sink is None or not sink(response):
            yield response
        # Before the next event is read, so that its position is no newer than the event.
        await before()


def _traced(work: Awaitable[T], prepared: Prepared, outcome: Callable[[T], str]) -> Awaitable[T]:
    kind = prepared.kind.value
    return tracing.of_operation(work, kind=kind, name=prepared.name, query=prepared.query, outcome=outcome)


def _opened(_source: object) -> str:
    return "ok"


def _rated(document: Document, name: str) -> rates.Kind:
    if name in document.reports:
        return rates.Kind.REPORT
    return rates.Kind.CLAIM if name in document.dialing else rates.Kind.OPERATION


def _outcome(payload: Payload) -> str:
    """The label of an operation in the metrics."""
    errors = payload.get("errors")
    return errors[0]["extensions"]["code"] if errors else "ok"


def _root_field(request: Request) -> str:
    """The name of a subscription's only field, which a fragment may hold."""
    selection: Any = request.operation.node
    while not isinstance(selection, FieldNode):
        if isinstance(selection, FragmentSpreadNode):
            selection = request.operation.fragments[selection.name.value]
        selection = selection.selection_set.selections[0]
    name: str = selection.name.value
    return name


def _payload(result: ExecutionResult) -> Payload:
    payload: Payload = {"data": result.data}
    if result.errors:
        payload["errors"] = [masking.render(error) for error in result.errors]
    return payload
