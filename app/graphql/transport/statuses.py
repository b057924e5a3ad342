"""The HTTP status of each answer to a GraphQL request. Why these: docs/decisions/0023-statuses.md.

What is no GraphQL request at all, such as a body that is no JSON, gets the status that HTTP itself has for it
(`requests.bodies.HttpRefusal`), whatever the client accepts.
"""

from enum import Enum, auto
from http import HTTPStatus

from app.graphql.transport.negotiation import GRAPHQL_JSON, JSON, JsonType


class Outcome(Enum):
    """What came of a request."""

    DONE = auto()
    """Executed, without errors."""
    PARTIAL = auto()
    """Executed: there are data, or null, and errors."""
    REFUSED = auto()
    """Not executed: the document, its variables or its cost are the reason."""
    RATE_LIMITED = auto()
    """Not executed: the customer asks for too much."""
    UNAVAILABLE = auto()
    """Not executed: the server is busy, or the database is away."""


_STATUSES: dict[Outcome, dict[JsonType, HTTPStatus]] = {
    Outcome.DONE: {JSON: HTTPStatus.OK, GRAPHQL_JSON: HTTPStatus.OK},
    Outcome.PARTIAL: {JSON: HTTPStatus.OK, GRAPHQL_JSON: HTTPStatus.OK},
    Outcome.REFUSED: {JSON: HTTPStatus.OK, GRAPHQL_JSON: HTTPStatus.BAD_REQUEST},
    Outcome.RATE_LIMITED: {JSON: HTTPStatus.TOO_MANY_REQUESTS, GRAPHQL_JSON: HTTPStatus.TOO_MANY_REQUESTS},
    Outcome.UNAVAILABLE: {JSON: HTTPStatus.SERVICE_UNAVAILABLE, GRAPHQL_JSON: HTTPStatus.SERVICE_UNAVAILABLE},
}


def status(outcome: Outcome, media_type: JsonType) -> int:
    return _STATUSES[outcome][media_type].value
