"""Bodies of requests: accepted types, size limits and time limits. The same for GraphQL and REST."""

import asyncio
import re
from collections.abc import AsyncIterator, Container
from contextlib import suppress
from functools import lru_cache
from typing import Any, NoReturn

from starlette.datastructures import Headers
from starlette.types import Receive

from app import bounds, deadlines
from app.errors import (
    RETRY_AFTER_SECONDS,
    BadUserInput,
    Expected,
    LimitExceeded,
    RateLimited,
    SenderLost,
    Unavailable,
)
from app.requests import decoding
from app.requests.arriving import Share

DISCARDED_BYTES_MAX = 32 * 1024 * 1024
"""How much is read of a body that is too long: most clients read no answer before they have sent everything."""
DISCARD_SECONDS_MAX = 5.0
CONTENT_TYPE_CHARACTERS_KEPT = 200
"""A longer header is parsed each time: the memory of those that came is bounded."""
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
    return _content_type(headers.get("content-type", ""))[0]


def charset(headers: Headers) -> str | None:
    """The charset of the content type, in lower case; None if there is none."""
    return _content_type(headers.get("content-type", ""))[1]


def _content_type(header: str) -> tuple[str, str | None]:
    return _parsed(header) if len(header) <= CONTENT_TYPE_CHARACTERS_KEPT else _parsed.__wrapped__(header)


@lru_cache(maxsize=200)
def _parsed(header: str) -> tuple[str, str | None]:
    media_type, *parameters = header.split(";")
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset":
            return media_type.strip().lower(), value.strip().strip('"').lower()
    return media_type.strip().lower(), None


def check_headers(headers: Headers, media_types: Container[str]) -> None:
    """Check that the content type is one of these, in UTF-8.

    Raises:
        HttpRefusal: 415.
    """
    if media_type(headers) not in media_types or (charset(headers) or "utf-8") not in _UTF_8:
        raise HttpRefusal(415, BadUserInput("The body must be application/json in UTF-8."))
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise HttpRefusal(415, BadUserInput("The body must not be compressed."))


async def read(
    receive: Receive, headers: Headers, *, bytes_max: int, seconds_max: float, share: Share | None = None
) -> bytes:
    """The whole body.

    Args:
        receive: of the request.
        headers: of the request.
        bytes_max: of the body.
        seconds_max: for all of it to arrive.
        share: counts its bytes. They stay counted when it is whole, until the caller has used it.

    Raises:
        HttpRefusal: 413 or 408; with a share also 429 or 503.
        Disconnected: the client disconnected before it had sent all of it.
    """
    if "expect" in headers:  # otherwise the client sends it in any case
        announced = headers.get("content-length", "")
        if _DIGITS.fullmatch(announced) and int(announced) > bytes_max:
            _refuse(bytes_max)
    chunks: list[bytes] = []
    length = 0
    try:
        with deadlines.within(seconds_max):
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
                if share is not None:
                    _hold(share, length if chunks else 0)
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
        seconds_max: how long to wait for the next piece. A sender that is slower than the settings allow may be so for
            this long, too.
    """

    def __init__(self, receive: Receive, headers: Headers, *, seconds_max: float) -> None:
        self._receive = receive
        self._seconds_max = seconds_max
        self._waited_seconds = 0.0
        self._received_bytes = 0
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
        clock = asyncio.get_running_loop().time
        while not self._is_over:
            began_at = clock()
            try:
                async with asyncio.timeout(min(self._seconds_max, self._spare_seconds())):
                    message = await self._receive()
            except TimeoutError:
                error = BadUserInput(
                    f"No data of the request body arrived for {self._seconds_max:g} seconds, or too little of it."
                )
                raise Silent(408, error, {"Connection": "close"}) from None
            self._waited_seconds += clock() - began_at
            if message["type"] == "http.disconnect":
                self._is_over = True
                raise Disconnected
            self._is_over = not message.get("more_body", False)
            piece: bytes = message.get("body", b"")
            self._received_bytes += len(piece)
            if piece:
                yield piece

    def _spare_seconds(self) -> float:
        """How much longer the sender may be waited for. Only waiting counts: the server may be the slower one."""
        rate = bounds.now().body_bytes_per_second_min
        return self._seconds_max + self._received_bytes / rate - self._waited_seconds if rate else self._seconds_max

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


def _hold(share: Share, size: int) -> None:
    try:
        share.hold(size)
    except (RateLimited, Unavailable) as error:
        raise _crowded(error, Connection="close") from None


def _crowded(error: RateLimited | Unavailable, **headers: str) -> HttpRefusal:
    status = 429 if isinstance(error, RateLimited) else 503
    return HttpRefusal(status, error, {"Retry-After": str(RETRY_AFTER_SECONDS), **headers})


def _refuse(bytes_max: int) -> NoReturn:
    error = LimitExceeded(f"The request is too large: at most {bytes_max:,} bytes.")
    raise HttpRefusal(413, error, {"Connection": "close"})


def decode(text: bytes | str, share: Share | None = None) -> Any:
    """The value of the JSON text. A share counts it, instead of the text, until the caller has used it.

    Raises:
        HttpRefusal: 400; with a share also 429 or 503.
    """
    try:
        if share is not None:
            share.hold_decoded(decoding.decoded_bytes(text))
        return decoding.decode(text)
    except (RateLimited, Unavailable) as error:
        raise _crowded(error) from None
    except (BadUserInput, LimitExceeded) as error:
        raise HttpRefusal(400, error) from None
