"""Whose file is read, and whose chunk is stored: a sender that is slow holds up nobody.

A file holds one of a few places, with its processes, from its first byte to its last. What makes the server work, a
chunk that is stored, takes a turn of its own: while a file waits for its sender, another's chunks are stored. If all
places are taken, and a customer waits who has fewer than another, the slowest sender gives its place up: at once if it
is slow, and after a while however fast it is, if the other has none and this customer has several.
"""

import asyncio
import math
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from app.errors import Unavailable
from app.turns import Turn, Turns

FILES_MAX = 8
"""At once in one server process. Each has its own processes that read it, of about 20 MiB."""
CUSTOMER_FILES_MAX = 2
"""Of them, of one customer."""
WAITING_MAX = 16
"""Of one customer."""
TURN_SECONDS_MAX = 600.0
STORING_MAX = 3
"""Chunks that are stored at once in one server process."""
CUSTOMER_STORING_MAX = 2
"""Of them, of one customer."""
SLOW_BYTES_PER_SECOND = 16 * 1024
"""A sender below it gives its place up if it must. A telephone with poor reception sends about 10 kB/s."""
PACE_SECONDS = 10.0
"""The pace is that of about so many seconds in which the server waited for the sender; in the first 7, no one is slow.
"""
ASK_SECONDS = 1.0
"""How often an import that waits looks for a slow sender."""
PATIENCE_SECONDS = 15.0
"""A customer with two files more than one that has waited for so long gives a place up, however fast its files come."""
_SLOW = "The file comes slowly, and others wait. Send it again later, with the same idempotency key."
_SHARED = "Others wait and have no file under way. Send it again later, with the same idempotency key."


class Pace:
    """How fast a sender is. Only the time in which the server waits for it counts: the server may be the slower one."""

    def __init__(self) -> None:
        self._clock = asyncio.get_running_loop().time
        # both fade with the time, so that the last seconds count
        self._bytes = 0.0
        self._seconds = 0.0
        self._waits_since: float | None = None
        self._has_all = False

    async def of(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The pieces, and how fast they come."""
        self._waits_since = self._clock()
        async for piece in pieces:
            self._note()
            self._waits_since = None
            self._bytes += len(piece)
            yield piece
            self._waits_since = self._clock()
        self._has_all = True

    @property
    def has_all(self) -> bool:
        """Whether the whole file is here, so that its place is free soon."""
        return self._has_all

    def bytes_per_second(self) -> float:
        """Infinite if it is not known yet, or if the whole file is here."""
        self._note()
        if self._has_all or self._seconds < PACE_SECONDS / 2:
            return math.inf
        return self._bytes / self._seconds

    def _note(self) -> None:
        if self._waits_since is None:
            return
        now = self._clock()
        kept = math.exp((self._waits_since - now) / PACE_SECONDS)
        self._bytes *= kept
        self._seconds = self._seconds * kept + PACE_SECONDS * (1 - kept)
        self._waits_since = now


class Place:
    """Of one file, while it is read."""

    def __init__(self, customer_id: str, storing: Turns) -> None:
        self.customer_id = customer_id
        self.pace = Pace()
        self._storing = storing
        self._displaced: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        """Why."""

    def storing(self) -> Turn:
        """A turn in which a chunk is stored."""
        return self._storing.turn(self.customer_id)

    @property
    def is_displaced(self) -> bool:
        return self._displaced.done()

    def displace(self, reason: str) -> None:
        if not self._displaced.done():
            self._displaced.set_result(reason)

    async def until_displaced(self) -> None:
        """Wait until the place is given to another.

        Raises:
            Unavailable: it is. Never returns.
        """
        raise Unavailable(await asyncio.shield(self._displaced))


class ImportTurns:
    """The places and turns of imports. One for each server process."""

    def __init__(self) -> None:
        self.files = Turns(
            "imports",
            room=FILES_MAX,
            share=CUSTOMER_FILES_MAX,
            alone=CUSTOMER_FILES_MAX,
            waiting_max=WAITING_MAX,
            wait_seconds=TURN_SECONDS_MAX,
            fewest_first=True,  # a place that was given up is for the one that asked
        )
        self._storing = Turns(
            "chunks of imports",
            room=STORING_MAX,
            share=CUSTOMER_STORING_MAX,
            alone=CUSTOMER_STORING_MAX,
            waiting_max=CUSTOMER_FILES_MAX,
            wait_seconds=TURN_SECONDS_MAX,
        )
        self._places: list[Place] = []

    @asynccontextmanager
    async def place(self, customer_id: str) -> AsyncIterator[Place]:
        """A place for a file of the customer. Waits until there is one.

        Raises:
            RateLimited: too many of the customer's files wait already.
            Unavailable: it has waited too long.
        """
        turn = self.files.turn(customer_id)
        asking = asyncio.create_task(self._ask(customer_id))
        try:
            await turn.begin()
        finally:
            asking.cancel()
        place = Place(customer_id, self._storing)
        self._places.append(place)
        try:
            yield place
        finally:
            self._places.remove(place)
            turn.end()

    async def _ask(self, customer_id: str) -> None:
        clock = asyncio.get_running_loop().time
        patient_until = clock() + PATIENCE_SECONDS
        while True:
            await asyncio.sleep(ASK_SECONDS)
            self._displace_for(customer_id, is_patient=clock() < patient_until)

    def _displace_for(self, customer_id: str, *, is_patient: bool) -> None:
        # one after the other; and a place that has just been given up, or taken, is not yet among these
        if len(self._places) < FILES_MAX or any(place.is_displaced for place in self._places):
            return
        of_each = Counter(place.customer_id for place in self._places)
        own = of_each[customer_id]
        slowest = _slowest(place for place in self._places if of_each[place.customer_id] > own)
        if slowest is not None and slowest.pace.bytes_per_second() < SLOW_BYTES_PER_SECOND:
            slowest.displace(_SLOW)
        elif not is_patient:
            # With one more only, the two would take the place from each other again and again.
            several = (place for place in self._places if of_each[place.customer_id] > own + 1)
            slowest = _slowest(place for place in several if not place.pace.has_all)
            if slowest is not None:
                slowest.displace(_SHARED)


def _slowest(places: Iterable[Place]) -> Place | None:
    """Of those that are as fast, the one that came last: it has the least to send again."""
    return min(reversed(list(places)), key=lambda place: place.pace.bytes_per_second(), default=None)


def turns() -> ImportTurns:
    """Which files are read, and whose chunks are stored. One for each server process."""
    return ImportTurns()
