"""How a WebSocket ends by the protocol, and what of a message ends it."""

from enum import IntEnum
from typing import Any, NamedTuple

OPERATION_ID_CHARACTERS_MAX = 255


class CloseCode(IntEnum):
    """The protocol's, and those of RFC 6455's registry. graphql-ws connects again after 4403, 4408, 1012 and 1013."""

    INTERNAL_ERROR = 1011
    SERVICE_RESTART = 1012
    TRY_AGAIN_LATER = 1013
    BAD_REQUEST = 4400
    UNAUTHORIZED = 4401
    FORBIDDEN = 4403
    SUBPROTOCOL_NOT_ACCEPTABLE = 4406
    TIMEOUT = 4408
    SUBSCRIBER_ALREADY_EXISTS = 4409
    TOO_MANY_INITIALISATION_REQUESTS = 4429


class End(NamedTuple):
    """How a socket ends, as the protocol defines it."""

    code: CloseCode
    reason: str


class Close(Exception):  # noqa: N818 - an end as the protocol defines it
    """Ends the socket.

    Only its `end` is kept anywhere. An error that is kept has a traceback, whose frames hold it and the message that it
    is about: memory that only the garbage collector frees, and that it does not look at for long.
    """

    def __init__(self, code: CloseCode, reason: str) -> None:
        super().__init__(reason)
        self.end = End(code, reason)


def optional_object(message: dict[str, Any], name: str) -> dict[str, Any] | None:
    value = message.get(name)
    if not isinstance(value, dict | None):
        raise Close(CloseCode.BAD_REQUEST, f"{name} must be an object if it is given")
    return value


def operation_id(message: dict[str, Any]) -> str:
    given = message.get("id")
    if not isinstance(given, str) or not 1 <= len(given) <= OPERATION_ID_CHARACTERS_MAX:
        raise Close(CloseCode.BAD_REQUEST, f"id must be text of 1 to {OPERATION_ID_CHARACTERS_MAX} characters")
    return given
