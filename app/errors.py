"""The errors that a client can expect: one tree, each with its code.

Any other exception is a bug. GraphQL and REST hide it from the client and log it with an id.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

RETRY_AFTER_SECONDS = 1
"""What HTTP's answers tell those that may try again. Most outages of a database are shorter."""


class UserErrorCode(StrEnum):
    """Errors that the caller of a mutation can correct."""

    INVALID = "INVALID"
    NOT_FOUND = "NOT_FOUND"
    CONFLICT = "CONFLICT"
    LEASE_LOST = "LEASE_LOST"
    ALREADY_ENDED = "ALREADY_ENDED"
    ALREADY_DIALED = "ALREADY_DIALED"
    PAUSED = "PAUSED"
    SUPPRESSED = "SUPPRESSED"


@dataclass(frozen=True, slots=True)
class UserError:
    """One refusal, with the snake_case path of its value. GraphQL and REST each spell the path in their own way."""

    code: UserErrorCode
    message: str
    path: tuple[str, ...] = ()

    def under(self, *steps: str) -> "UserError":
        return UserError(self.code, self.message, (*steps, *self.path))


class Expected(Exception):  # noqa: N818 - these are outcomes, not faults
    """An outcome that a client can expect; `code` is its name on the wire."""

    code: ClassVar[str]

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


def forget_trace(error: BaseException) -> None:
    """Drop the traces of an error that was answered, and of those behind it.

    What waits for a task has its error, whose trace has what waits: a cycle, with all that the request has sent in it.
    Only the garbage collector would free it, which counts objects and not bytes, and may not look for minutes.
    """
    left: list[BaseException | None] = [error]
    seen: set[int] = set()
    while left:
        one = left.pop()
        if one is not None and id(one) not in seen:
            seen.add(id(one))
            one.__traceback__ = None
            left += (one.__cause__, one.__context__, getattr(one, "original_error", None))


class Rejected(Expected):
    """A mutation was refused as a whole and changed nothing."""

    code = "BAD_USER_INPUT"

    def __init__(self, errors: Iterable[UserError]) -> None:
        self.errors = tuple(errors)
        super().__init__("; ".join(error.message for error in self.errors))


class Unauthenticated(Expected):
    code = "UNAUTHENTICATED"


class Forbidden(Expected):
    code = "FORBIDDEN"


class NotFound(Expected):
    code = "NOT_FOUND"


class BadUserInput(Expected):
    code = "BAD_USER_INPUT"


class LimitExceeded(Expected):
    code = "LIMIT_EXCEEDED"


class RateLimited(Expected):
    code = "RATE_LIMITED"

    def __init__(self, message: str, *, retry_after_seconds: int = RETRY_AFTER_SECONDS) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class Unavailable(Expected):
    code = "UNAVAILABLE"


class SenderLost(Exception):  # noqa: N818 - not an error of the server
    """The sender of a request's body went away, or sent nothing for too long."""


def invalid(message: str, *path: str) -> UserError:
    return UserError(UserErrorCode.INVALID, message, path)


def rejected(code: UserErrorCode, message: str, *path: str) -> Rejected:
    return Rejected([UserError(code, message, path)])
