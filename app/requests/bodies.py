"""Bodies of requests: accepted types, size limits and time limits. The same for GraphQL and REST."""

import asyncio
import re
from collections.abc import AsyncIterator, Container
from contextlib import suppress
from typing import Any, NoReturn

import orjson
from starlette.datastructures import Headers
from starlette.types import Receive

from app.errors import BadUserInput, Expected, LimitExceeded, SenderLost

DISCARDED_BYTES_MAX = 32 * 1024 * 1024
"""How much is read of a body that is too long: most clients read no answer before they have sent everything."""
DISCARD_SECONDS_MAX = 5.0
_UTF_8 = {"utf-8", "utf8"}
_DIGITS = re.compile(r"[0-9]{1,18}")


class HttpRefusal(Exception):  # noqa: N818 - an answer
    """A request that is answered without being executed, with this HTTP status."""

    def __init__(self, status: int, error: Expected, headers: dict[str, str] | None = None) -> None:
        super().__init__(error.message)
        self.status = status
        self.error = error
        self.headers = headers or {}


class Disconnected(SenderLost):
    """The client disconnected before it had sent the whole body. There is nobody to answer."""


class Silent(HttpRefusal, SenderLost):
    """The client sent nothing for too long."""


def media_type(headers: Headers) -> str:
    """The media type of the body, in lower case and without parameters; empty if there is none."""
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def charset(headers: Headers) -> str | None:
    """The charset of the content type, in lower case; None if there is none."""
    for parameter in headers.get("content-type", "").split(";")[1:]:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset":
            return value.strip().strip('"').lower()
    return None


def check_headers(headers: Headers, media_types: Container[str]) -> None:
    """Check that the content type is one of these, in UTF-8.

    Raises:
        HttpRefusal: 415.
    """
    if media_type(headers) not in media_types or (charset(headers) or "utf-8") not in _UTF_8:
        raise HttpRefusal(415, BadUserInput("The body must be application/json in UTF-8."))
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise HttpRefusal(415, BadUserInput("The body must not be compressed."))


async def read(receive: Receive, headers: Headers, *, bytes_max: int, seconds_max: float) -> bytes:
    """The whole body.

    Raises:
        HttpRefusal: 413 or 408.
        Disconnected: the client disconnected before it had sent all of it.
    """
    announced = headers.get("content-length", "")
    if _DIGITS.fullmatch(announced) and int(announced) > bytes_max and "expect" in headers:
        _refuse(bytes_max)  # before the client sends it
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
        error = BadUserInput(f"The request body took longer than {seconds_max} seconds to arrive.")
        raise HttpRefusal(408, error, {"Connection": "close"}) from None
    if length > bytes_max:
        _refuse(bytes_max)
    return b"".join(chunks)


class Upload:
    """A body that is read in pieces, no faster than they are used.

    Args:
        receive: of the request.
        headers: of the request.
        seconds_max: how long to wait for the next piece.
    """

    def __init__(self, receive: Receive, headers: Headers, *, seconds_max: float) -> None:
        self._receive = receive
        self._seconds_max = seconds_max
        self._is_over = False
        self._is_held_back = "expect" in headers
        """The client waits for 100 Continue before it sends the body."""

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body's bytes.

        Raises:
            Silent: 408.
            Disconnected: the client disconnected before it had sent all of it.
        """
        self._is_held_back = False
        while not self._is_over:
            try:
                async with asyncio.timeout(self._seconds_max):
                    message = await self._receive()
            except TimeoutError:
                error = BadUserInput(f"No data of the request body arrived for {self._seconds_max:g} seconds.")
                raise Silent(408, error, {"Connection": "close"}) from None
            if message["type"] == "http.disconnect":
                self._is_over = True
                raise Disconnected
            self._is_over = not message.get("more_body", False)
            piece: bytes = message.get("body", b"")
            if piece:
                yield piece

    async def discard(self) -> None:
        """Read on for a while if the answer comes before the end of the body: most clients read it only then."""
        if self._is_held_back:
            return
        discarded = 0
        with suppress(HttpRefusal, Disconnected, TimeoutError):
            async with asyncio.timeout(DISCARD_SECONDS_MAX):
                async for piece in self.pieces():
                    discarded += len(piece)
                    if discarded > DISCARDED_BYTES_MAX:
                        return


def _refuse(bytes_max: int) -> NoReturn:
    error = LimitExceeded(f"The request is too large: at most {bytes_max:,} bytes.")
    raise HttpRefusal(413, error, {"Connection": "close"})


def decode(text: bytes | str) -> Any:
    """The value of the JSON text.

    Raises:
        HttpRefusal: 400.
    """
    try:
        # Refuses invalid UTF-8, lone surrogates, and more than 1,024 levels.
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise HttpRefusal(400, BadUserInput(f"Invalid JSON: {error.msg}.")) from None
