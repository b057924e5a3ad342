"""JSON bodies of requests: which are taken, how much of them, and for how long one waits. The same for both faces."""

import asyncio
import re
from collections.abc import Container
from typing import Any, NoReturn

import orjson
from starlette.datastructures import Headers
from starlette.types import Receive

from app.errors import BadUserInput, Expected, LimitExceeded

DISCARDED_BYTES_MAX = 32 * 1024 * 1024
"""Of a body that is too long, so much is read, since most clients read no answer before they have sent it all."""
_UTF_8 = {"utf-8", "utf8"}
_DIGITS = re.compile(r"[0-9]{1,18}")


class Problem(Exception):  # noqa: N818 - an answer on its way
    """A request that is answered without being executed, with this HTTP status."""

    def __init__(self, status: int, error: Expected, headers: dict[str, str] | None = None) -> None:
        super().__init__(error.message)
        self.status = status
        self.error = error
        self.headers = headers or {}


class Disconnected(Exception):  # noqa: N818 - nobody is left to answer to
    pass


def media_type(headers: Headers) -> str:
    """What the body is said to be, lower-case and without parameters; "" where nothing is said."""
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def check_headers(headers: Headers, media_types: Container[str]) -> None:
    """See that a body is JSON in UTF-8 by one of these names.

    Raises:
        Problem: 415.
    """
    if media_type(headers) not in media_types or _charset(headers) not in _UTF_8:
        raise Problem(415, BadUserInput("The body must be application/json in UTF-8."))
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise Problem(415, BadUserInput("The body must not be compressed."))


def _charset(headers: Headers) -> str:
    """As the content type says, or what JSON's is."""
    charset = "utf-8"
    for parameter in headers.get("content-type", "").split(";")[1:]:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset":
            charset = value.strip().strip('"').lower()
    return charset


async def read(receive: Receive, headers: Headers, *, bytes_max: int, seconds_max: float) -> bytes:
    """The whole body.

    Raises:
        Problem: 413 or 408.
        Disconnected: the client went away before it had sent it all.
    """
    announced = headers.get("content-length", "")
    if _DIGITS.fullmatch(announced) and int(announced) > bytes_max and "expect" in headers:
        _refuse(bytes_max)  # before it is sent
    chunks: list[bytes] = []
    length = 0
    try:
        async with asyncio.timeout(seconds_max):
            more = True
            while more and length <= DISCARDED_BYTES_MAX:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Disconnected
                chunk: bytes = message.get("body", b"")
                length += len(chunk)
                if length <= bytes_max:
                    chunks.append(chunk)
                else:
                    chunks.clear()
                more = message.get("more_body", False)
    except TimeoutError:
        error = BadUserInput(f"The body took longer than {seconds_max} seconds.")
        raise Problem(408, error, {"Connection": "close"}) from None
    if length > bytes_max:
        _refuse(bytes_max)
    return b"".join(chunks)


def _refuse(bytes_max: int) -> NoReturn:
    error = LimitExceeded(f"A request has at most {bytes_max:,} bytes.")
    raise Problem(413, error, {"Connection": "close"})


def decode(text: bytes | str) -> Any:
    """What the JSON says.

    Raises:
        Problem: 400.
    """
    try:
        # Refuses invalid UTF-8, lone surrogates, and what is nested over 1,024 deep.
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise Problem(400, BadUserInput(f"The JSON is malformed: {error.msg}.")) from None
