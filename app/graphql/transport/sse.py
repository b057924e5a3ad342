"""Responses as an event stream: graphql-sse's distinct connections mode.

https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md; the format of the stream is HTML's, with LF line ends.
"""

import asyncio
import math
from collections.abc import AsyncGenerator
from contextlib import suppress
from datetime import datetime
from typing import Any

from starlette.types import Receive, Send

from app import clock
from app.errors import Unauthenticated
from app.graphql.transport import masking
from app.graphql.transport.masking import NotExecuted

PING_SECONDS = 12
"""Proxies and browsers close a silent connection after 30 to 60 seconds."""
SEND_SECONDS_MAX = 30
PART_BYTES = 256 * 1024
"""Of an event that is sent at once."""
_PING = b":\n\n"
_COMPLETE = b"event: complete\ndata:\n\n"
_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"vary", b"Accept"),
    (b"x-accel-buffering", b"no"),  # otherwise nginx collects events before it sends them
]


async def send_refusal(send: Send, refused: NotExecuted) -> None:
    """A stream that has the error of the request: clients of event streams show no other answer's body."""
    await _start(send)
    await _write(send, _refusal(refused), more=False)


async def stream(
    receive: Receive,
    send: Send,
    responses: AsyncGenerator[bytes, None],
    *,
    expires_at: datetime | None,
    stopping: asyncio.Event | None,
) -> None:
    """Send the responses until they end, the client leaves, the token expires or the server stops.

    With None for `stopping`, the responses have an end of their own, and the server waits for it.

    A client that reads slowly delays only its own stream. One that reads nothing for SEND_SECONDS_MAX is dropped.
    """
    leaving = asyncio.create_task(_disconnect(receive), name="sse disconnect")
    stop = None if stopping is None else asyncio.create_task(stopping.wait(), name="sse stop")
    step: asyncio.Task[tuple[bytes, bool, bytes]] | None = None
    loop = asyncio.get_running_loop()
    deadline = loop.time() + (expires_at - clock.now()).total_seconds() if expires_at else math.inf
    more = True
    try:
        await _start(send)
        while more:
            step = step or asyncio.create_task(_event(responses), name="sse step")
            left = deadline - loop.time()
            if left > 0:
                tasks = {task for task in (step, leaving, stop) if task is not None}
                await asyncio.wait(tasks, timeout=min(PING_SECONDS, left), return_when=asyncio.FIRST_COMPLETED)
            if leaving.done():
                return
            if deadline <= loop.time():
                body, more = _refusal(masking.refuse(Unauthenticated("The token has expired. Get a new one."))), False
            elif step.done():
                (body, more, _held), step = step.result(), None
            elif stop is not None and stop.done():
                body, more = b"", False  # without `complete`: the client connects again
            else:
                body = _PING
            await _write(send, body, more=more)
            body, _held = b"", b""  # not in memory while we wait
    except (TimeoutError, OSError):
        return  # the client reads nothing, or is gone
    finally:
        pending: list[asyncio.Task[Any]] = [task for task in (leaving, stop, step) if task is not None]
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        with suppress(Exception):
            await responses.aclose()


async def _event(responses: AsyncGenerator[bytes, None]) -> tuple[bytes, bool, bytes]:
    """The next event, whether more may follow, and the response in it, which is counted as long as somebody has it."""
    try:
        response = await anext(responses)
    except StopAsyncIteration:
        return _COMPLETE, False, b""
    except NotExecuted as refused:
        return _refusal(refused), False, b""
    return _next(response), True, response


async def _start(send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
    # The first bytes let the client know at once that it is connected.
    await _write(send, _PING)


async def _write(send: Send, body: bytes, *, more: bool = True) -> None:
    # The server waits before each part until the client has read most of those before.
    begin = 0
    while len(body) - begin > PART_BYTES:
        async with asyncio.timeout(SEND_SECONDS_MAX):
            await send({"type": "http.response.body", "body": body[begin : begin + PART_BYTES], "more_body": True})
        begin += PART_BYTES
    async with asyncio.timeout(SEND_SECONDS_MAX):
        await send({"type": "http.response.body", "body": body[begin:], "more_body": more})


def _refusal(refused: NotExecuted) -> bytes:
    return _next(masking.encode(refused.payload)) + _COMPLETE


def _next(response: bytes) -> bytes:
    return b"event: next\ndata: %b\n\n" % response


async def _disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
