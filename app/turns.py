"""Turns: room for so much work at a time, of which no customer takes another's.

What finds no room waits in its customer's line. Lines are served in turn, so a customer with a thousand calls waiting
delays another's one call by no more than one call. A customer may take all of the room while no other has work; as soon
as another comes, it gets no further turn until it has no more than its share.
"""

import asyncio
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from types import TracebackType

from app import metrics
from app.errors import LimitExceeded, RateLimited, Unavailable

OPERATIONS_MAX = 64
"""Run at a time, of those of people and programs, and again as many of dialers' calls."""
OPERATIONS_SHARE_MAX = 3
"""Of one customer's operations. They take turns on one core: the fewer, the sooner another's is through."""
LONG_SHARE_MAX = 1
"""Of those that compute for long, such as a full page: another's call waits for each piece of them."""
CALLS_SHARE_MAX = 16
"""Of one customer's dialers' calls, which mostly wait for the database."""
OPERATIONS_WAITING_MAX = 1_000
"""Of one customer, of each kind."""
OPERATION_WAIT_SECONDS_MAX = 10.0
READINGS_MAX = 1
"""Documents that are parsed and validated at a time: each keeps a core busy."""
working_for: ContextVar[str] = ContextVar("working_for", default="")
"""The customer whose work this is; empty if it is nobody's. `Turn.begin` sets it, for the task and those it starts."""

SHARED_SECONDS = 1.0
"""So long after a customer's last call, the others still leave room for the next."""


class Turns:
    """Some room. One for each process and kind of work.

    Args:
        what: the work, as the subject of a sentence.
        room: how much of it runs at a time.
        share: how much of one customer's, while others have work.
        alone: how much of one customer's, while no other has.
        waiting_max: how much of one customer's may wait.
        wait_seconds: how long.
        fewest_first: whether the next is of a customer with the fewest that run, before the order of the lines.
    """

    def __init__(
        self,
        what: str,
        *,
        room: int,
        share: int,
        alone: int,
        waiting_max: int,
        wait_seconds: float,
        fewest_first: bool = False,
    ) -> None:
        self.what = what
        self._fewest_first = fewest_first
        self.running = 0
        self._room = room
        self._share = share
        self._alone = alone
        self._waiting_max = waiting_max
        self._wait_seconds = wait_seconds
        self._shown = metrics.waiting_for_turns.labels(what)
        self._of_each: dict[str, int] = {}
        """How much runs, of those that have any."""
        self._lines: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()
        """What waits, by customer, in the order in which they are served."""
        self._newest = ""
        """The customer who came last,"""
        self._came_at = self._other_came_at = float("-inf")
        """when, and when the last one before who was another."""

    @property
    def waiting(self) -> int:
        return sum(map(len, self._lines.values()))

    def turn(self, customer_id: str) -> "Turn":
        """A context in which the work runs. Entering it waits for the turn, as `Turn.begin`."""
        return Turn(self, customer_id)

    # ------------------------------------------------------------ of the context

    def take(self, customer_id: str) -> bool:
        """Take a turn now, if there is room and nobody of the customer waits."""
        self.note(customer_id)
        if customer_id in self._lines or self.running >= self._room or not self._may_run(customer_id):
            return False
        self._begin(customer_id)
        return True

    async def wait(self, customer_id: str) -> None:
        """Wait for a turn."""
        if len(self._lines.get(customer_id, ())) >= self._waiting_max:
            raise RateLimited(f"Too much at once: {self._waiting_max:,} {self.what} wait already. Try again later.")
        told: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._lines.setdefault(customer_id, deque()).append(told)
        with self._shown.track_inprogress():
            await self._told(customer_id, told)

    async def _told(self, customer_id: str, told: asyncio.Future[None]) -> None:
        try:
            async with asyncio.timeout(self._wait_seconds):
                await told
        except BaseException as error:
            if told.done() and not told.cancelled():
                self.end(customer_id)  # its turn came, but the caller has left
            else:
                self._leave(customer_id, told)
            if isinstance(error, TimeoutError):
                raise Unavailable(f"No turn came in time: too many {self.what} at once. Try again later.") from None
            raise

    def end(self, customer_id: str) -> None:
        """Give a turn back, to the next."""
        self.running -= 1
        left = self._of_each[customer_id] - 1
        if left:
            self._of_each[customer_id] = left
        else:
            del self._of_each[customer_id]
        if self._lines:
            self._serve()

    # ------------------------------------------------------------ who is next

    def note(self, customer_id: str) -> None:
        """The customer has work, also if it needs no turn of these."""
        now = time.monotonic()
        if customer_id != self._newest:
            self._newest, self._other_came_at = customer_id, self._came_at
        self._came_at = now

    def _may_run(self, customer_id: str) -> bool:
        running = self._of_each.get(customer_id, 0)
        if running < self._share:
            return True
        return running < self._alone and not self._has_company(customer_id)

    def _has_company(self, customer_id: str) -> bool:
        """Whether another customer has work, or had some just now."""
        others_run = len(self._of_each) > (customer_id in self._of_each)
        others_wait = len(self._lines) > (customer_id in self._lines)
        came_at = self._other_came_at if customer_id == self._newest else self._came_at
        return others_run or others_wait or time.monotonic() - came_at < SHARED_SECONDS

    def _begin(self, customer_id: str) -> None:
        self.running += 1
        self._of_each[customer_id] = self._of_each.get(customer_id, 0) + 1

    def _serve(self) -> None:
        """Give the free room to those who wait, one of each line in turn."""
        while self.running < self._room:
            # those that may not run have their share, so there are few
            able = (one for one in self._lines if self._may_run(one))
            if self._fewest_first:
                customer_id = min(able, key=lambda one: self._of_each.get(one, 0), default=None)
            else:
                customer_id = next(able, None)
            if customer_id is None:
                return
            told = self._lines[customer_id].popleft()
            self._lines.move_to_end(customer_id)
            if not self._lines[customer_id]:
                del self._lines[customer_id]
            if not told.done():  # one that was just cancelled has not run since
                self._begin(customer_id)
                told.set_result(None)

    def _leave(self, customer_id: str, told: asyncio.Future[None]) -> None:
        line = self._lines.get(customer_id)
        if line is not None:
            with suppress(ValueError):  # the one that serves sees that it is gone
                line.remove(told)
            if not line:
                del self._lines[customer_id]
                self._serve()  # the others may now have no company


class Turn:
    """Of one work: a context, or `begin` and `end`. A class, because each request has one: a generator takes longer."""

    __slots__ = ("_customer_id", "_turns")

    def __init__(self, turns: Turns, customer_id: str) -> None:
        self._turns = turns
        self._customer_id = customer_id

    async def begin(self) -> None:
        """Wait for the turn.

        Raises:
            RateLimited: too much of the customer's waits already.
            Unavailable: it has waited too long.
        """
        if not self._turns.take(self._customer_id):
            await self._turns.wait(self._customer_id)
        working_for.set(self._customer_id)

    def end(self) -> None:
        self._turns.end(self._customer_id)

    async def __aenter__(self) -> None:
        await self.begin()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()


class LongTurn(Turn):
    """A turn of long work, and within it one of any work."""

    __slots__ = ("_inner",)

    def __init__(self, long: Turns, turns: Turns, customer_id: str) -> None:
        super().__init__(long, customer_id)
        self._inner = Turn(turns, customer_id)

    async def begin(self) -> None:
        """As `Turn.begin`."""
        await super().begin()
        try:
            await self._inner.begin()
        except BaseException:  # also if the caller is cancelled while it waits for the second
            super().end()
            raise

    def end(self) -> None:
        self._inner.end()
        super().end()


def _of_operations(what: str, share: int) -> Turns:
    return Turns(
        what,
        room=OPERATIONS_MAX,
        share=share,
        alone=OPERATIONS_MAX,
        waiting_max=OPERATIONS_WAITING_MAX,
        wait_seconds=OPERATION_WAIT_SECONDS_MAX,
    )


def _of_readings(what: str) -> Turns:
    return Turns(
        what,
        room=READINGS_MAX,
        share=READINGS_MAX,
        alone=READINGS_MAX,
        waiting_max=OPERATIONS_WAITING_MAX,
        wait_seconds=OPERATION_WAIT_SECONDS_MAX,
    )


class Lanes:
    """The turns of operations. Dialers' calls never wait for anybody else's: no lease runs out behind a dashboard."""

    def __init__(self) -> None:
        self._dialing = _of_operations("dialers' calls", CALLS_SHARE_MAX)
        self._other = _of_operations("operations", OPERATIONS_SHARE_MAX)
        self._long = _of_operations("long operations", LONG_SHARE_MAX)
        self._reading = _of_readings("documents")
        self._dialers_reading = _of_readings("dialers' documents")
        self._decoding = _of_readings("large bodies")

    def turn(self, customer_id: str, *, is_dialing: bool, is_long: bool = False) -> Turn:
        """As `Turns.turn`.

        Args:
            customer_id: whose work it is.
            is_dialing: whether it is dialers' calls.
            is_long: whether it computes for long. Not for dialers' calls.
        """
        if is_long and not is_dialing:
            return LongTurn(self._long, self._other, customer_id)
        self._long.note(customer_id)
        return (self._dialing if is_dialing else self._other).turn(customer_id)

    def reading(self, customer_id: str, *, is_dialing: bool) -> Turn:
        """A turn in which a document is parsed and validated.

        Args:
            customer_id: whose it is.
            is_dialing: whether it may be a dialer's call. Others' documents do not hold it up.
        """
        return (self._dialers_reading if is_dialing else self._reading).turn(customer_id)

    def decoding(self, customer_id: str) -> Turn:
        """A turn in which a large body or message becomes objects."""
        return self._decoding.turn(customer_id)


class Allowance:
    """How many of something each customer may have open.

    Args:
        what: in the plural.
        most: gives the number, which may change.
    """

    def __init__(self, what: str, most: Callable[[], int]) -> None:
        self._what = what
        self._most = most
        self._open: Counter[str] = Counter()

    def take(self, customer_id: str) -> None:
        """Open one.

        Raises:
            LimitExceeded: the customer has as many as it may.
        """
        most = self._most()
        if self._open[customer_id] >= most:
            raise LimitExceeded(f"Too many {self._what}: your tokens have {most:,} open at this server. Close some.")
        self._open[customer_id] += 1

    def give_back(self, customer_id: str) -> None:
        self._open[customer_id] -= 1
        if not self._open[customer_id]:
            del self._open[customer_id]

    @contextmanager
    def one(self, customer_id: str) -> Iterator[None]:
        """Have one open during the context. Raises as `take`."""
        self.take(customer_id)
        try:
            yield
        finally:
            self.give_back(customer_id)
