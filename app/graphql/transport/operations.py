"""Operations: as clients send them, and as they may run."""

from dataclasses import dataclass
from typing import Any, Protocol, Self

from graphql import OperationType

from app import rates
from app.errors import BadUserInput, RateLimited
from app.graphql.compiled import Request
from app.graphql.transport import limits
from app.graphql.transport.shapes import Shape

_PERSISTED_QUERY = "persistedQuery"
"""https://www.apollographql.com/docs/apollo-server/performance/apq"""
_COST = "cost"
"""In a request: whether the client asks for the cost."""

Payload = dict[str, Any]
"""A response: `data`, `errors` or both."""


class OperationContext(Protocol):
    """The context of resolvers, one for each operation."""

    async def prepare(self, query_text: str) -> None: ...
    async def refresh(self) -> None: ...
    async def outlast(self) -> bool: ...
    def renew(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Operation:
    """A client's request, unchecked."""

    query: str | None
    """None if the client sent only the hash of a persisted query."""
    variables: dict[str, Any] | None = None
    operation_name: str | None = None
    wants_cost: bool = False
    """Whether the answer shall have the cost of the operation."""

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
        return cls(query, variables, operation_name, extensions is not None and extensions.get(_COST) is True)


@dataclass(frozen=True, slots=True)
class Prepared:
    """An operation that may run, once."""

    kind: OperationType
    name: str
    """Empty if the document gives none."""
    query: str
    context: OperationContext
    request: Request
    shape: Shape | None
    """Of a subscription that can share its messages."""
    customer_id: str
    is_dialing: bool
    """Whether it is all dialers' calls."""
    size: limits.Size = limits.NOTHING
    """What it can return at most."""
    points: int = 1
    """What it costs."""
    rated: rates.Kind = rates.Kind.OPERATION
    """What it is for its customer's rate limit."""
    has_pages: bool = False
    wants_cost: bool = False
    limited: RateLimited | None = None
    """Why it will not run, if its customer has too few points. Nothing is coerced then, either."""
    refusal: Payload | None = None
    """The answer, if the viewer lacks the scope. Nothing is coerced or executed then."""
