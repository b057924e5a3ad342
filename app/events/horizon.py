"""The horizon: how far the log can be read so that no event appears later before that place.

On PostgreSQL that is the oldest transaction of our own writers that is under way. Each of them takes the writers' lock,
shared, before it has a transaction id, and holds it until after its commit can be seen. A look takes a snapshot, and
then reads who holds which lock, all at one moment. Of the ids that were under way in the snapshot, those are strangers'
whose holder has no writers' lock of this database. All others count as ours, also an id that nobody holds any more, or
not yet: it has just ended or just begun, and the next look settles it. So other programs, other databases, dumps and
forgotten prepared transactions hold nobody back. (A prepared transaction keeps the virtual id of its session, also
while its locks are handed over one by one.) None of this needs a superuser.

Callers that ask at one moment share a look, one for each node: see `_Looks`.
"""

import asyncio
import time
from collections import deque
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from app import db
from app.errors import Unavailable
from app.events import epochs
from app.events.cursors import Position
from app.events.epochs import Owner

YOUNG_SECONDS = 0.02
"""Younger transactions count as ours unseen: most are, and end sooner. To read all locks costs 0.3 ms and more."""
REMEMBERED_SECONDS = 1.0
"""How far a position lags at most because of that."""
ENTRIES_MAX = 3
NODES_REMEMBERED = 64
_NO_ID_IS_YOUNG = 2**62


@dataclass(frozen=True, slots=True)
class Horizon:
    """How far the log can be read: no more events appear up to `position`."""

    position: Position
    beyond: Position
    """No event is after this yet. A cursor that is comes from another history of the database."""


NOTHING = Horizon(Position(0, 0, 0), Position(0, 0, 0))
"""Of a customer that has no data yet. Its first event is after this."""


@dataclass(frozen=True, slots=True)
class Look:
    """What a look has seen at a node."""

    node: str
    """Where it was taken. Empty on SQLite."""
    settled: int
    """The lowest transaction id of our own writers that is under way; else `unused`. 0 on SQLite."""
    unused: int
    """Every higher transaction id, and this one, had not ended. 0 on SQLite."""
    last_seq: int = 0
    """Of target_event, on SQLite."""
    last_outdial_seq: int = 0
    """Of outdial_event, on SQLite."""

    def horizon(self, epoch: int) -> Horizon:
        # no event has seq 0, so on PostgreSQL this is right before the first event of that transaction
        return Horizon(Position(epoch, self.settled, self.last_seq), Position(epoch, self.unused, self.last_seq))

    def outdial_horizon(self, epoch: int) -> Horizon:
        """Of the events of outdials themselves, which SQLite numbers apart."""
        end = self.last_outdial_seq
        return Horizon(Position(epoch, self.settled, end), Position(epoch, self.unused, end))


_XMIN = "CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS text) AS bigint)"
_XMAX = "CAST(CAST(pg_snapshot_xmax(pg_current_snapshot()) AS text) AS bigint)"
_IS_WRITERS_LOCK = f"""
    locktype = 'advisory' AND classid = {db.WRITERS_CLASS} AND objid = {db.WRITERS_NUMBER} AND objsubid = 2
    AND database = CAST({db.DATABASE_OID} AS oid)
"""
# A snapshot of the statement is older than all that its functions read. `transactionid` has only the lower 32 bits.
_LOOK_ON_POSTGRES = f"""
    SELECT epoch, node, {db.NODE} AS here, {_XMAX} AS unused,
           CASE WHEN {_XMIN} >= $2 THEN {_XMIN} ELSE COALESCE((
               WITH held AS MATERIALIZED (
                   SELECT virtualtransaction AS holder, CAST(CAST(transactionid AS text) AS bigint) AS id
                   FROM pg_locks
                   WHERE granted AND (locktype = 'transactionid' AND mode = 'ExclusiveLock' OR {_IS_WRITERS_LOCK})
               )
               SELECT min(CAST(CAST(open_id AS text) AS bigint))
               FROM pg_snapshot_xip(pg_current_snapshot()) AS open_id
               WHERE CAST(CAST(open_id AS text) AS bigint) % 4294967296 NOT IN (
                   SELECT id FROM held
                   WHERE id IS NOT NULL AND holder NOT IN (SELECT holder FROM held WHERE id IS NULL)
               )
           ), {_XMAX}) END AS settled
    FROM customer WHERE customer_id = $1
"""
# A writer without an id holds nobody back. A prepared one has no session any more.
_OLDEST_WRITER = f"""
    WITH held AS MATERIALIZED (
        SELECT pid, virtualtransaction AS holder, transactionid AS id FROM pg_locks
        WHERE granted AND (locktype = 'transactionid' AND mode = 'ExclusiveLock' OR {_IS_WRITERS_LOCK})
    )
    SELECT COALESCE(max(EXTRACT(epoch FROM clock_timestamp() - COALESCE(session.xact_start, parted.prepared))), 0)
           AS seconds
    FROM held
    LEFT JOIN pg_stat_activity AS session ON session.pid = held.pid
    LEFT JOIN pg_prepared_xacts AS parted ON parted.transaction = held.id
    WHERE held.id IS NOT NULL AND held.holder IN (SELECT holder FROM held WHERE id IS NULL)
"""
_LOOK_ON_SQLITE = """
    SELECT epoch, node, '' AS here, 0 AS settled, 0 AS unused,
           COALESCE((SELECT seq FROM sqlite_sequence WHERE name = 'target_event'), 0) AS last_seq,
           COALESCE((SELECT seq FROM sqlite_sequence WHERE name = 'outdial_event'), 0) AS last_outdial_seq
    FROM customer WHERE customer_id = $1
"""


async def _look(customer_id: str, node: str) -> tuple[Owner, Look] | None:
    """Look beside the customer's row, which is probably at `node`; None if it has none."""
    if db.is_postgres():
        found = await db.fetch(_LOOK_ON_POSTGRES, customer_id, _recent(node).young_from())
    else:
        found = await db.fetch(_LOOK_ON_SQLITE, customer_id)
    if not found:
        return None
    row = found[0]
    owner = Owner(customer_id, row["epoch"], row["node"])
    if not db.is_postgres():
        return owner, Look("", 0, 0, row["last_seq"], row["last_outdial_seq"])
    _recent(row["here"]).add(row["unused"])
    return owner, Look(row["here"], row["settled"], row["unused"])


class _Recent:
    """Transaction ids that were unused a short time ago. A look reads no locks if all that are open are younger.

    That is only a matter of cost: with any ids here, what a look finds is right, and at worst older.
    """

    def __init__(self) -> None:
        self._unused: deque[tuple[float, int]] = deque()

    def add(self, unused: int) -> None:
        self._unused.append((time.monotonic(), unused))

    def young_from(self) -> int:
        """All transactions from this id on are young."""
        now = time.monotonic()
        while len(self._unused) > 1 and now - self._unused[1][0] >= YOUNG_SECONDS:
            self._unused.popleft()
        if not self._unused or not YOUNG_SECONDS <= now - self._unused[0][0] <= REMEMBERED_SECONDS:
            return _NO_ID_IS_YOUNG
        return self._unused[0][1]


_recents: dict[str, _Recent] = {}


def _recent(node: str) -> _Recent:
    """Those of a node: each counts for itself. If there is one database only, its name does not matter."""
    if len(_recents) >= NODES_REMEMBERED:
        _recents.clear()
    return _recents.setdefault(node if db.has_nodes() else "", _Recent())


# ---------------------------------------------------------------- looks that are shared


class _Shared:
    """A look that several callers wait for."""

    def __init__(self, work: Coroutine[Any, Any, Look | None]) -> None:
        self.task = asyncio.ensure_future(work)
        self.task.add_done_callback(_seen)
        self.callers = 0

    async def cancel(self) -> None:
        """Nobody waits any more: give the connection back."""
        self.task.cancel()
        await asyncio.wait([self.task])


def _seen(task: asyncio.Task[Look | None]) -> None:
    if not task.cancelled():
        task.exception()  # mark the error as seen, also if all callers have left


class _Looks:
    """The looks at one node. Each caller gets one that begins after its call; those who wait for the same share it."""

    def __init__(self, node: str) -> None:
        self._node = node
        self._running: _Shared | None = None
        self._next: _Shared | None = None

    async def new(self, customer_id: str) -> Look | None:
        """A look that has not begun yet, beside the row of the first customer that waits for it."""
        shared = self._next
        if shared is None:
            shared = self._next = _Shared(self._take(self._running, customer_id))
        shared.callers += 1
        try:
            return await asyncio.shield(shared.task)
        finally:
            shared.callers -= 1
            if not shared.callers and not shared.task.done():
                if self._next is shared:
                    self._next = None
                await shared.cancel()

    async def _take(self, earlier: _Shared | None, customer_id: str) -> Look | None:
        if earlier is not None:
            await asyncio.wait([earlier.task])
        mine = self._running = self._next
        self._next = None  # this one begins too early for later callers
        try:
            found = await _look(customer_id, self._node)
        finally:
            if self._running is mine:
                self._running = None
        return found[1] if found else None


_of_loops: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, _Looks]] = WeakKeyDictionary()


def _looks(node: str) -> _Looks:
    return _of_loops.setdefault(asyncio.get_running_loop(), {}).setdefault(node, _Looks(node))


async def look(owner: Owner) -> tuple[Owner, Look]:
    """A look that begins after this call, and the customer as it was then or before. Shared with others at its node.

    If the customer's rows are in another database than its epoch, its next epoch begins first.

    Raises:
        Unavailable: the database is busy or gone, or the rows are being moved.
    """
    for _ in range(ENTRIES_MAX):
        seen = await _looks(owner.node).new(owner.customer_id)
        if seen is not None and seen.node == owner.node:
            return owner, seen
        await epochs.enter(owner.customer_id)
        owner = await epochs.owner(owner.customer_id) or owner
    raise Unavailable("The customer's data is being moved to another database. Try again.")


async def horizon(owner: Owner | None) -> Horizon:
    """How far the log of a customer's targets can be read."""
    if owner is None:
        return NOTHING
    owner, seen = await look(owner)
    return seen.horizon(owner.epoch)


async def outdial_horizon(owner: Owner | None) -> Horizon:
    """How far the log of a customer's outdials themselves can be read."""
    if owner is None:
        return NOTHING
    owner, seen = await look(owner)
    return seen.outdial_horizon(owner.epoch)


async def position(customer_id: str) -> Position:
    """The present position of a customer's log: everything that is read after this call is at least as new."""
    found = await _look(customer_id, "")
    if found is None:
        return NOTHING.position
    owner, seen = found
    if seen.node != owner.node:
        return (await horizon(owner)).position
    return seen.horizon(owner.epoch).position


async def lag_seconds() -> float:
    """Seconds that subscribers have waited for our own oldest writer; 0 if there is none."""
    if not db.is_postgres():
        return 0.0
    rows = await db.fetch(_OLDEST_WRITER)
    return max(0.0, float(rows[0]["seconds"]))
