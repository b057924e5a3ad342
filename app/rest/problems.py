"""The answer of a REST call that fails: one envelope for all errors, with a reason for programs."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

import structlog

from app import logs, metrics
from app.errors import (
    RETRY_AFTER_SECONDS,
    Expected,
    Forbidden,
    RateLimited,
    Rejected,
    Unauthenticated,
    Unavailable,
    UserError,
    UserErrorCode,
)
from app.requests import bodies


class Reason(StrEnum):
    """Why a call failed. The names are the reference's if it has one for the case."""

    INVALID_ID = "INVALID_ID"
    INVALID_JSON_BODY = "INVALID_JSON_BODY"
    INVALID_ARGUMENT = "INVALID_ARGUMENT"
    AUTHENTICATION_REQUIRED = "AUTHENTICATION_REQUIRED"
    INVALID_CREDENTIALS = "INVALID_CREDENTIALS"
    PERMISSION_DENIED = "PERMISSION_DENIED"
    OUTDIAL_NOT_FOUND = "OUTDIAL_NOT_FOUND"
    OUTDIAL_TARGET_NOT_FOUND = "OUTDIAL_TARGET_NOT_FOUND"
    IMPORT_NOT_FOUND = "IMPORT_NOT_FOUND"
    ROUTE_NOT_FOUND = "ROUTE_NOT_FOUND"
    METHOD_NOT_ALLOWED = "METHOD_NOT_ALLOWED"
    INVALID_FILE = "INVALID_FILE"
    TOO_MANY_REJECTS = "TOO_MANY_REJECTS"
    CONFLICT = "CONFLICT"
    IMPORT_STOPPED = "IMPORT_STOPPED"
    REQUEST_TIMEOUT = "REQUEST_TIMEOUT"
    PAYLOAD_TOO_LARGE = "PAYLOAD_TOO_LARGE"
    UNSUPPORTED_MEDIA_TYPE = "UNSUPPORTED_MEDIA_TYPE"
    RATE_LIMIT_EXCEEDED = "RATE_LIMIT_EXCEEDED"
    INTERNAL = "INTERNAL"
    SERVICE_UNAVAILABLE = "SERVICE_UNAVAILABLE"

    @property
    def http_status(self) -> int:
        return _HTTP_STATUSES[self]


_HTTP_STATUSES = {
    Reason.INVALID_ID: 400,
    Reason.INVALID_JSON_BODY: 400,
    Reason.INVALID_ARGUMENT: 400,
    Reason.AUTHENTICATION_REQUIRED: 401,
    Reason.INVALID_CREDENTIALS: 401,
    Reason.PERMISSION_DENIED: 403,
    Reason.OUTDIAL_NOT_FOUND: 404,
    Reason.OUTDIAL_TARGET_NOT_FOUND: 404,
    Reason.IMPORT_NOT_FOUND: 404,
    Reason.ROUTE_NOT_FOUND: 404,
    Reason.METHOD_NOT_ALLOWED: 405,
    Reason.INVALID_FILE: 400,
    Reason.TOO_MANY_REJECTS: 400,
    Reason.REQUEST_TIMEOUT: 408,
    Reason.CONFLICT: 409,
    Reason.IMPORT_STOPPED: 409,
    Reason.PAYLOAD_TOO_LARGE: 413,
    Reason.UNSUPPORTED_MEDIA_TYPE: 415,
    Reason.RATE_LIMIT_EXCEEDED: 429,
    Reason.INTERNAL: 500,
    Reason.SERVICE_UNAVAILABLE: 503,
}

STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    408: "REQUEST_TIMEOUT",
    409: "ABORTED",
    413: "PAYLOAD_TOO_LARGE",
    415: "UNSUPPORTED_MEDIA_TYPE",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
}
"""The envelope's `status` by HTTP status, with Google's names (AIP-193) if there is one."""

HEADERS: Mapping[int, Mapping[str, str]] = {
    401: {"WWW-Authenticate": "Bearer"},
    429: {"Retry-After": str(RETRY_AFTER_SECONDS)},
    503: {"Retry-After": str(RETRY_AFTER_SECONDS)},
}
"""The headers of an answer with that status."""

_BODY_REASONS = {
    400: Reason.INVALID_JSON_BODY,
    408: Reason.REQUEST_TIMEOUT,
    413: Reason.PAYLOAD_TOO_LARGE,
    415: Reason.UNSUPPORTED_MEDIA_TYPE,
    429: Reason.RATE_LIMIT_EXCEEDED,
    503: Reason.SERVICE_UNAVAILABLE,
}
_EXPECTED_REASONS: Mapping[type[Expected], Reason] = {
    Unauthenticated: Reason.INVALID_CREDENTIALS,
    Forbidden: Reason.PERMISSION_DENIED,
    RateLimited: Reason.RATE_LIMIT_EXCEEDED,
    Unavailable: Reason.SERVICE_UNAVAILABLE,
}
_MESSAGES = {
    Reason.OUTDIAL_NOT_FOUND: "Outdial not found.",
    Reason.OUTDIAL_TARGET_NOT_FOUND: "Target not found in this outdial.",
    Reason.IMPORT_NOT_FOUND: "Import not found in this outdial.",
    Reason.ROUTE_NOT_FOUND: "Nothing is at this address. Check the path.",
    Reason.INTERNAL: "Internal error. Quote the request id when you report it.",
}

_log = structlog.get_logger("outdial.rest")


class Problem(Exception):  # noqa: N818 - an answer
    """An answer that is an error."""

    def __init__(
        self,
        reason: Reason,
        message: str | None = None,
        *,
        details: Sequence[UserError] = (),
        headers: Mapping[str, str] | None = None,
        besides: Mapping[str, Any] | None = None,
    ) -> None:
        self.reason = reason
        self.message = message or _MESSAGES[reason]
        super().__init__(self.message)
        self.details = details
        self.besides = besides or {}
        """Additional members of the envelope."""
        self.headers = {**HEADERS.get(reason.http_status, {}), **(headers or {})}

    @property
    def envelope(self) -> dict[str, Any]:
        error: dict[str, Any] = {
            "status": STATUSES[self.reason.http_status],
            "reason": self.reason.value,
            "message": self.message,
            "request_id": logs.request_id.get() or "",
        }
        if self.details:
            error["details"] = [{"path": list(detail.path), "message": detail.message} for detail in self.details]
        return {"error": {**error, **self.besides}}


def of(error: Exception, *, missing: Reason, body_path: tuple[str, ...] = ()) -> Problem:
    """The answer of a call in which this was raised. A bug is logged with the request's id.

    Args:
        error: what was raised.
        missing: the reason if something is not found.
        body_path: the first steps of error paths, which the caller does not know.
    """
    if isinstance(error, Problem):
        return error
    if isinstance(error, bodies.HttpRefusal):
        return Problem(_BODY_REASONS[error.status], error.error.message, headers=error.headers)
    if isinstance(error, Rejected):
        return _of_rejected(error, missing, body_path)
    if isinstance(error, Expected):
        if isinstance(error, Unavailable):
            _log.warning("unavailable", reason=error.message)
        later = {"Retry-After": str(error.retry_after_seconds)} if isinstance(error, RateLimited) else None
        return Problem(_EXPECTED_REASONS.get(type(error), Reason.INVALID_ARGUMENT), error.message, headers=later)
    metrics.internal_errors.inc()
    _log.error("internal_error", exc_info=error)
    return Problem(Reason.INTERNAL)


def _of_rejected(rejected: Rejected, missing: Reason, body_path: tuple[str, ...]) -> Problem:
    if any(error.code is UserErrorCode.NOT_FOUND for error in rejected.errors):
        return Problem(missing)
    conflict = next((error for error in rejected.errors if error.code is UserErrorCode.CONFLICT), None)
    if conflict is not None:
        return Problem(Reason.CONFLICT, conflict.message)
    details = [
        UserError(error.code, error.message, error.path[len(body_path) :])
        if error.path[: len(body_path)] == body_path
        else error
        for error in rejected.errors
    ]
    where = ".".join(details[0].path)
    message = f"{where}: {details[0].message}" if where else details[0].message
    return Problem(Reason.INVALID_ARGUMENT, message, details=details)
