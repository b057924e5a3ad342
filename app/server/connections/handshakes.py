"""Refusals of WebSocket handshakes, in the form of all other errors: the library's own are plain text."""

from email.utils import formatdate
from http import HTTPStatus

from websockets.datastructures import Headers
from websockets.http11 import Response

from app import metrics
from app.errors import RETRY_AFTER_SECONDS, BadUserInput, NotFound, Unavailable
from app.graphql.transport import masking

REASON_CHARACTERS_MAX = 200
"""Of what the library says is wrong: it repeats the header."""
_PREFIX = "Failed to open a WebSocket connection: "


def reject(status: int, text: str) -> Response:
    """In place of `websockets.protocol.ServerProtocol.reject`: the answer to a handshake that is refused.

    Args:
        status: of HTTP.
        text: what the library says. It is empty if the application has no WebSocket at the address.
    """
    if not text:
        return _answer(404, NotFound.code, "There is no WebSocket at this address. Check the path.")
    if status >= 500:
        return _answer(status, masking.INTERNAL, "Internal error.")
    metrics.refused_connections.labels("handshake").inc()
    reason = text.removeprefix(_PREFIX).partition("\n")[0].rstrip(".")
    shown = reason if len(reason) <= REASON_CHARACTERS_MAX else f"{reason[:REASON_CHARACTERS_MAX]} …"
    return _answer(status, BadUserInput.code, f"Invalid WebSocket handshake: {shown}.")


def stopping() -> Response:
    """The answer to one that the server has not answered when it stops."""
    response = _answer(503, Unavailable.code, "The server is stopping. Connect again.")
    response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return response


def _answer(status: int, code: str, message: str) -> Response:
    # Without `masking.render`, which would log each: strangers must not fill the log.
    body = masking.encode({"errors": [{"message": message, "extensions": {"code": code}}]})
    headers = Headers(
        {
            "Date": formatdate(usegmt=True),
            "Connection": "close",
            "Content-Length": str(len(body)),
            "Content-Type": "application/json; charset=utf-8",
        }
    )
    return Response(status, HTTPStatus(status).phrase, headers, body)
