"""The connections of a process: how many there are, whose, and until when each may go on like this.

If the process is full, a new connection takes the place of the one that has been idle for the longest time; if its
address has its share, of the longest idle one of that address. If none is idle, a few more are let in, for the probes
alone: a process that is full must not look dead.
"""

import asyncio
import math
import resource
from pathlib import Path
from typing import Protocol

import structlog
from uvicorn.server import ServerState

from app import bounds, metrics

RESERVE_MAX = 16
"""Connections beyond the limit, for probes. More are closed at once."""
RESERVED_SECONDS_MAX = 2.0
"""Such a connection has this long to send its request."""
DESCRIPTORS_SPARED = 64
"""Open files that connections leave to the database, to imports and to the reserve; or half of those that are free."""
UNREAD_SECONDS_MAX = 30.0
"""A client that reads nothing of its answer for this time is cut off."""
ADDRESS_PERCENT_MAX = 25
"""An address may have this share of the process's connections, unless a setting says how many."""
LOOK_SECONDS = 0.5
"""From one look for connections that are overdue to the next."""

_KEPT_AS = "outdial_connections"

log = structlog.get_logger("outdial.server")


class Owner(Protocol):
    """The protocol that a connection has now: HTTP, or WebSocket after the upgrade."""

    transport: asyncio.Transport

    def overdue(self) -> None:
        """The client has not sent in time what it had to send."""
        ...


class Place:
    """The place of one connection."""

    __slots__ = ("_connections", "_unsent_bytes", "address", "due", "full", "owner", "unsent_due")

    def __init__(self, connections: "Connections", owner: Owner) -> None:
        self._connections = connections
        self.address: str | None = None
        self.owner = owner
        self.due = math.inf
        """Until when the client has to send what it owes, by the loop's clock."""
        self.unsent_due = math.inf
        """Until when it has to read what waits for it."""
        self._unsent_bytes = 0
        self.full: str | None = None
        """Why only probes are answered: what there are too many of."""

    def count_for(self, address: str | None) -> bool:
        """Count the connection for this address, instead of the one before. Returns whether that may have it."""
        if address == self.address:
            return True
        counts = self._connections.by_address
        if self.address is not None:
            counts[self.address] -= 1
            if not counts[self.address]:
                del counts[self.address]
            self.address = None
        if address is not None:
            if counts.get(address, 0) >= self._connections.address_limit:
                return False
            counts[address] = counts.get(address, 0) + 1
            self.address = address
        return True

    def work(self) -> None:
        """The connection has a request now: it is not idle."""
        self.due = math.inf
        self._connections.idle.pop(self, None)

    def rest(self) -> None:
        """Its request has been answered: another connection may take its place."""
        self._connections.idle[self] = None

    def expect_reader(self, seconds: float) -> None:
        """Give the client this long to read what waits for it."""
        self._unsent_bytes = self.owner.transport.get_write_buffer_size()
        self.unsent_due = asyncio.get_running_loop().time() + seconds

    def check_reader(self, seconds: float) -> None:
        """Cut off a client that has read next to nothing since it was expected to."""
        left = self.owner.transport.get_write_buffer_size()
        if not left:
            self.unsent_due = math.inf
        elif left > self._unsent_bytes - max(1, seconds * bounds.now().body_bytes_per_second_min):
            metrics.refused_connections.labels("unread answer").inc()
            self.owner.transport.abort()
        else:
            self.expect_reader(seconds)

    def leave(self) -> None:
        self.count_for(None)
        self._connections.leave(self)


class Connections:
    """Those of one server."""

    @classmethod
    def of(cls, state: ServerState) -> "Connections":
        kept = vars(state)  # the one thing that all protocols of a server share
        found: Connections | None = kept.get(_KEPT_AS)
        if found is None:
            found = kept[_KEPT_AS] = cls()
        return found

    def __init__(self) -> None:
        self.by_address: dict[str, int] = {}
        self.idle: dict[Place, None] = {}
        """The one that has been idle for the longest time first."""
        self._places: dict[Place, None] = {}
        self._reserved = 0
        self._descriptors = _free_descriptors()
        self._look: asyncio.TimerHandle | None = None
        self._is_told = False

    def __len__(self) -> int:
        return len(self._places)

    @property
    def limit(self) -> int:
        return min(bounds.now().connections_max, self._descriptors)

    @property
    def address_limit(self) -> int:
        return bounds.now().address_connections_max or max(1, self.limit * ADDRESS_PERCENT_MAX // 100)

    def enter(self, owner: Owner, address: str | None) -> Place | None:
        """The place of a new connection; None if there is none, not even in the reserve.

        Args:
            owner: its protocol.
            address: that it counts for; None if that is not known yet.
        """
        place = Place(self, owner)
        if address is not None and not self._count(place, address):
            place.full = "address"
        elif len(self._places) - self._reserved >= self.limit and not self._make_room():
            place.full = "process"
        if place.full is not None:
            metrics.refused_connections.labels(f"connections of the {place.full}").inc()
            if self._reserved >= RESERVE_MAX:
                place.count_for(None)
                return None
            self._reserved += 1
        self._places[place] = None
        self.idle[place] = None
        if self._look is None:
            self._look = asyncio.get_running_loop().call_later(LOOK_SECONDS, self._look_for_overdue)
        return place

    def leave(self, place: Place) -> None:
        self.idle.pop(place, None)
        if place in self._places:
            del self._places[place]
            self._reserved -= place.full is not None

    def _count(self, place: Place, address: str) -> bool:
        if place.count_for(address):
            return True
        idle = next((other for other in self.idle if other.full is None and other.address == address), None)
        return self._close(idle) and place.count_for(address)

    def _make_room(self) -> bool:
        if not self._is_told:
            self._is_told = True
            log.warning("connections_full", connections=len(self._places), limit=self.limit)
        return self._close(next((place for place in self.idle if place.full is None), None))

    def _close(self, place: Place | None) -> bool:
        """Close an idle connection, if there is one, so that another one can have its place."""
        if place is None:
            return False
        metrics.refused_connections.labels("idle").inc()
        place.owner.transport.abort()
        place.leave()
        return True

    def _look_for_overdue(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for place in [place for place in self._places if place.due <= now or place.unsent_due <= now]:
            if place.unsent_due <= now:
                place.check_reader(UNREAD_SECONDS_MAX)
            if place.due <= now:
                place.due = math.inf
                place.owner.overdue()
        self._is_told = self._is_told and len(self._places) >= self.limit
        self._look = loop.call_later(LOOK_SECONDS, self._look_for_overdue) if self._places else None


def _free_descriptors() -> int:
    """How many connections this process can open beside what it has open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        opened = len(list(Path("/dev/fd").iterdir()))
    except OSError:
        opened = 32
    free = soft - opened
    return max(1, free - min(DESCRIPTORS_SPARED + RESERVE_MAX, free // 2))
