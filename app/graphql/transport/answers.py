"""Answers in memory: their bytes are counted until they are sent, and large ones are encoded in pieces in a thread.

A small answer is encoded at once in the loop. Which one may be large is known before it is executed: see `limits.Size`.
"""

import asyncio
import gc
from collections import OrderedDict, deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from io import BytesIO
from typing import Any

from app import bounds
from app.errors import LimitExceeded, Unavailable
from app.graphql.transport import masking
from app.graphql.transport.limits import Size
from app.graphql.transport.operations import Prepared

SMALL_CHARACTERS_MAX = 8 * 1024 * 1024
"""An operation that cannot return more is encoded in the loop, which takes some milliseconds. A page of 100 targets
with the longest `data` is one."""
UNCOUNTED_CHARACTERS_MAX = 64 * 1024
"""An operation that cannot return more takes no room, and an answer of no more bytes gives its room back at once."""
CUSTOMERS_PART = 2
"""A customer has a half of the room, and its dialers' calls the same."""
ROOM_SECONDS_MAX = 10
COLLECT_AFTER_SECONDS = 0.1
_LARGE_FIELDS = 5_000
_NESTING = frozenset({dict, list})


def is_large(size: Size) -> bool:
    return size.characters > SMALL_CHARACTERS_MAX


def is_long(size: Size) -> bool:
    """Whether making it takes longer than other work should wait."""
    return size.fields > _LARGE_FIELDS


def encode(payload: dict[str, Any], bytes_max: int) -> bytes:
    """The payload as JSON, made piece by piece so that other threads run between them.

    Raises:
        LimitExceeded: it has more than `bytes_max`. It is not made to its end.
    """
    made, length = BytesIO(), 0
    for piece in _pieces(payload):
        length += made.write(piece)  # a list of the pieces, and one text of them, would take twice the memory
        if length > bytes_max:
            raise LimitExceeded(
                f"The answer has more than {bytes_max:,} bytes, the limit. Ask for smaller pages or fewer long texts."
            )
    return made.getvalue()


def _pieces(value: Any) -> Iterator[bytes]:
    """JSON of a value. An object is one piece if those in it have no others in them, as a target has destinations."""
    if isinstance(value, dict) and _are_deep(value.values()):
        begin = b"{"
        for name, item in value.items():
            yield begin + masking.encode_value(name) + b":"
            yield from _pieces(item)
            begin = b","
        yield b"}"
    elif isinstance(value, list) and _are_deep(value):
        begin = b"["
        for item in value:
            yield begin
            yield from _pieces(item)
            begin = b","
        yield b"]"
    else:
        yield masking.encode_value(value)


def _are_deep(values: Any) -> bool:
    """Whether one of them has an object or a list in it."""
    for value in values:
        if value.__class__ is dict:
            if not _NESTING.isdisjoint(map(type, value.values())):
                return True
        elif value.__class__ is list and not _NESTING.isdisjoint(map(type, value)):
            return True
    return False


def is_counted(size: Size) -> bool:
    return size.characters > UNCOUNTED_CHARACTERS_MAX


def holder(prepared: Prepared) -> str:
    """In whose name its answer takes room: dialers' calls do not wait for a dashboard that is not read."""
    return f"{prepared.customer_id} dialing" if prepared.is_dialing else prepared.customer_id


class Room:
    """The bytes of answers that this process may hold at once: those it makes, and those not yet sent.

    Who wants more waits, in the order in which they come. A customer has half of the room at most, and who holds
    nothing gets a small answer in any case: so one whose clients read nothing holds up nobody but itself.
    """

    def __init__(self) -> None:
        self._taken = 0
        self._of_each: dict[str, int] = {}
        # One thread: each keeps some of the memory that it once needed.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="large answers")
        self._lines: OrderedDict[str, deque[tuple[int, asyncio.Future[None]]]] = OrderedDict()
        """What waits, by customer."""
        self._collecting_in: asyncio.AbstractEventLoop | None = None
        self._collects_again = False

    @property
    def taken(self) -> int:
        return self._taken

    def collect_soon(self) -> None:
        """Free what a large answer leaves: its rows are in cycles of references, and stay until many objects are made.

        Collecting holds the loop for a millisecond or more, so one time serves all that end close together.
        """
        loop = asyncio.get_running_loop()
        if self._collecting_in is loop:
            self._collects_again = True
        else:
            self._collecting_in = loop
            loop.call_later(COLLECT_AFTER_SECONDS, self._collect, loop)

    def _collect(self, loop: asyncio.AbstractEventLoop) -> None:
        gc.collect(1)
        if self._collects_again:  # some may have ended just now, and not yet let go of everything
            self._collects_again = False
            loop.call_later(COLLECT_AFTER_SECONDS, self._collect, loop)
        else:
            self._collecting_in = None

    async def encode(self, payload: dict[str, Any], bytes_max: int) -> bytes:
        """As `encode`, beside the loop."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, encode, payload, bytes_max)

    async def take(self, size: int, customer_id: str) -> "Share":
        """Room for an answer, until its share is shrunk to nothing.

        Raises:
            Unavailable: there was none in time.
        """
        is_next = customer_id not in self._lines and (not self._lines or size <= SMALL_CHARACTERS_MAX)
        if is_next and self._may_have(customer_id, size) and self._fits(customer_id, size):
            self._hold(customer_id, size)
        else:
            await self._wait(size, customer_id)
        return Share(self, size, customer_id)

    async def _wait(self, size: int, customer_id: str) -> None:
        turn = asyncio.get_running_loop().create_future()
        entry = size, turn
        self._lines.setdefault(customer_id, deque()).append(entry)
        self._serve()
        try:
            async with asyncio.timeout(ROOM_SECONDS_MAX):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                self.give(size, customer_id)
            elif entry in self._lines.get(customer_id, ()):
                self._lines[customer_id].remove(entry)
                self._serve()
            if isinstance(error, TimeoutError):
                raise Unavailable(
                    "Too many answers are being made, or were not read yet. Read them, try again, or ask for less."
                ) from None
            raise

    def _hold(self, customer_id: str, size: int) -> None:
        self._taken += size
        self._of_each[customer_id] = self._of_each.get(customer_id, 0) + size

    def give(self, size: int, customer_id: str) -> None:
        self._taken -= size
        left = self._of_each[customer_id] - size
        if left:
            self._of_each[customer_id] = left
        else:
            del self._of_each[customer_id]
        if self._lines:
            self._serve()

    def _serve(self) -> None:
        """Give the free room to those who wait. Who waits only for its own answers holds up nobody."""
        for customer_id in list(self._lines):
            line = self._lines[customer_id]
            while line and (line[0][1].done() or self._may_have(customer_id, line[0][0])):
                if not line[0][1].done() and not self._fits(customer_id, line[0][0]):
                    return  # first come, first served
                wanted, turn = line.popleft()
                if not turn.done():
                    self._hold(customer_id, wanted)
                    turn.set_result(None)
            if not line:
                del self._lines[customer_id]

    def _may_have(self, customer_id: str, size: int) -> bool:
        held = self._of_each.get(customer_id, 0)
        return held == 0 or held + size <= bounds.now().answers_bytes_max // CUSTOMERS_PART

    def _fits(self, customer_id: str, size: int) -> bool:
        if size <= SMALL_CHARACTERS_MAX and customer_id not in self._of_each:
            return True
        # A single one always has room, whatever the settings say. One of great size would never find all of it free.
        room = bounds.now().answers_bytes_max
        return self._taken == 0 or self._taken + min(size, room * 3 // 4) <= room


class Share:
    """The room of one answer."""

    __slots__ = ("_customer_id", "_room", "_size")

    def __init__(self, room: Room, size: int, customer_id: str) -> None:
        self._room = room
        self._size = size
        self._customer_id = customer_id

    def shrink(self, size: int) -> None:
        """The answer has only so many bytes."""
        if size < self._size:
            given, self._size = self._size - size, size
            self._room.give(given, self._customer_id)


class Held(bytes):
    """A message that takes room until nobody holds it any more, however many subscribers it is sent to."""

    _share: Share
    _loop: asyncio.AbstractEventLoop

    @classmethod
    def of(cls, message: bytes, share: Share) -> bytes:
        """The message. A short one gives its room back at once."""
        if len(message) <= UNCOUNTED_CHARACTERS_MAX:
            share.shrink(0)
            return message
        held = cls(message)
        held._share, held._loop = share, asyncio.get_running_loop()
        share.shrink(len(message))
        return held

    def __del__(self) -> None:
        with suppress(RuntimeError):  # the loop has ended
            # The collector may run in the thread that encodes.
            self._loop.call_soon_threadsafe(self._share.shrink, 0)
