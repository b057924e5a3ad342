"""Errors as clients see them: expected errors with their code, bugs as INTERNAL with an id that is also in the log."""

from collections.abc import Iterable
from typing import Any, Self

import orjson
import structlog
from graphql import GraphQLError

from app import ids, metrics
from app.errors import (
    RETRY_AFTER_SECONDS,
    BadUserInput,
    Expected,
    LimitExceeded,
    RateLimited,
    Unavailable,
    forget_trace,
)

BAD_USER_INPUT = BadUserInput.code
GRAPHQL_PARSE_FAILED = "GRAPHQL_PARSE_FAILED"
GRAPHQL_VALIDATION_FAILED = "GRAPHQL_VALIDATION_FAILED"
INTERNAL = "INTERNAL"
PERSISTED_QUERY_NOT_SUPPORTED = "PERSISTED_QUERY_NOT_SUPPORTED"
LIMIT_EXCEEDED = LimitExceeded.code
RETRY_AFTER = "retryAfterSeconds"
"""In the extensions of RATE_LIMITED: a socket's messages have no headers."""
MESSAGE_CHARACTERS_MAX = 1_000
"""Of graphql-core's message about a request: it may quote a part of it."""

Rendered = dict[str, Any]
"""One entry of a response's `errors`."""

_log = structlog.get_logger("outdial.graphql")


class NotExecuted(Exception):  # noqa: N818 - the result of a request that was not executed
    """A request that is not executed: the answer has `errors` and no `data`."""

    def __init__(self, errors: list[Rendered]) -> None:
        super().__init__(errors[0]["message"])
        self.errors = errors
        self.tokens = 0
        """Of the document, if it was read for nothing."""

    def after(self, tokens: int) -> Self:
        """The same, after so many tokens of the document were read."""
        self.tokens = tokens
        return self

    @property
    def payload(self) -> dict[str, Any]:
        return {"errors": self.errors}

    @property
    def code(self) -> str:
        """Of the first error."""
        code: str = self.errors[0]["extensions"]["code"]
        return code

    @property
    def retry_after_seconds(self) -> int:
        """When the client may try again."""
        seconds: int = self.errors[0]["extensions"].get(RETRY_AFTER, RETRY_AFTER_SECONDS)
        return seconds


def refuse(error: Expected) -> NotExecuted:
    return NotExecuted([render(error)])


def refuse_request(errors: Iterable[GraphQLError], code: str) -> NotExecuted:
    """graphql-core's errors about a request. Their messages are only about the request, so they stay."""
    entries = []
    for error in errors:
        entries.append(_entry(_cut(error.message), error, {"code": code}))
        forget_trace(error)
    return NotExecuted(entries)


def refuse_persisted_query() -> NotExecuted:
    """The answer of an Apollo Server without a store of queries. Apollo Client and urql compare exactly this message.

    They then send the document itself, and no more hashes.
    """
    return NotExecuted(
        [{"message": "PersistedQueryNotSupported", "extensions": {"code": PERSISTED_QUERY_NOT_SUPPORTED}}]
    )


def render(error: Exception) -> Rendered:
    """One error, of a field or of the whole operation. A bug is logged. The error has no trace after that."""
    try:
        return _render(error)
    finally:
        forget_trace(error)


def _render(error: Exception) -> Rendered:
    cause = _cause(error)
    if isinstance(cause, Expected):
        if isinstance(cause, Unavailable):
            _log.warning("unavailable", reason=cause.message, path=_path(error))
        extensions: dict[str, Any] = {"code": cause.code}
        if isinstance(cause, RateLimited):
            extensions[RETRY_AFTER] = cause.retry_after_seconds
        return _entry(cause.message, error, extensions)
    if isinstance(cause, GraphQLError) and cause.nodes:
        # graphql-core attaches nodes itself only to a bad argument, such as null in a variable for a non-null one.
        return _entry(cause.message, error, {"code": BAD_USER_INPUT})
    error_id = ids.new()
    metrics.internal_errors.inc()
    _log.error("internal_error", error_id=error_id, path=_path(error), exc_info=cause)
    message = "Internal error. Quote the id when you report it."
    return _entry(message, error, {"code": INTERNAL, "id": error_id})


def encode(payload: dict[str, Any]) -> bytes:
    """A response, or a message around one, as JSON. Instants in UTC are written as their text."""
    try:
        return encode_value(payload)
    except TypeError as error:  # a scalar that does not serialize to JSON
        return orjson.dumps({"errors": [render(error)]})


def encode_value(value: object) -> bytes:
    """A part of a response as JSON.

    Raises:
        TypeError: it has a scalar that does not serialize to JSON.
    """
    return orjson.dumps(value, None, orjson.OPT_UTC_Z)


def _cut(message: str) -> str:
    return message if len(message) <= MESSAGE_CHARACTERS_MAX else f"{message[:MESSAGE_CHARACTERS_MAX]} …"


def _cause(error: Exception) -> Exception:
    """The original exception, without graphql-core's wrappers."""
    while isinstance(error, GraphQLError) and error.original_error is not None:
        error = error.original_error
    return error


def _path(error: Exception) -> list[str | int] | None:
    return list(error.path) if isinstance(error, GraphQLError) and error.path else None


def _entry(message: str, error: Exception, extensions: dict[str, Any]) -> Rendered:
    entry: Rendered = {"message": message}
    if isinstance(error, GraphQLError):
        if error.locations:
            entry["locations"] = [{"line": where.line, "column": where.column} for where in error.locations]
        if error.path:
            entry["path"] = list(error.path)
    entry["extensions"] = extensions
    return entry
