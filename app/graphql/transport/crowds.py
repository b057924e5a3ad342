"""Crowds: subscriptions that get the same responses, made once and sent one after the other.

Two subscriptions of one shape (`shapes`) whose sources are at the same place get the same from then on. One of them
leads: it waits for the next event and makes the response. The others only wait. The leader sends the response to each
of them at once, without a task of their own. A client that cannot take it now gets it in its own task, and delays
nobody; it comes back when it is at the place of a crowd again. If the leader leaves, another one leads.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Hashable
from typing import Any, Generic, Protocol, TypeGuard, TypeVar

from app.graphql.transport.shapes import Shape

T = TypeVar("T")

SENDS_AT_ONCE = 200
"""Then others get a turn: this takes 3 ms."""

MADE_SECONDS = 1.0

Sink = Callable[[bytes], bool]
"""Sends a response at once, and returns whether it could."""


class Followed(Protocol):
    """What a source follows."""

    ready_at: float
    """When the next event may come, by the loop's clock."""

    def move(self, leader: Any) -> None:
        """Go to where another one is, as if this one had given the same events."""
        ...

    def told(self, followers: int) -> None:
        """Count the last event for so many others, too."""
        ...


class Source(Protocol):
    """The events of a subscription that can be in a crowd."""

    followed: Followed

    @property
    def place(self) -> Hashable | None:
        """Where it is. If two sources of one shape are at the same place, the same follows. None: it is on its own."""
        ...

    @property
    def is_shared(self) -> bool:
        """Whether others get the last event, the very same object."""
        ...

    def __anext__(self) -> Awaitable[Any]: ...


def can_join(source: object) -> TypeGuard[Source]:
    return hasattr(source, "followed")


class _Crowd:
    def __init__(self, leader: "_Member") -> None:
        self.leader: _Member | None = leader
        self.waiting: dict[_Member, None] = {}
        self.key: tuple[Shape, Hashable] | None = None
        """None while the leader sends: some are at the old place, and some at the new one."""


class _Member:
    def __init__(self, source: Source, sink: Sink | None) -> None:
        self.source = source
        self.followed = source.followed
        self.sink = sink
        self.crowd: _Crowd | None = None
        self.turn: asyncio.Future[bytes | None] | None = None

    def takes(self, response: bytes) -> bool:
        """Whether its sink takes the response at once."""
        try:
            return self.sink is not None and self.sink(response)
        except Exception:  # noqa: BLE001 - it is not the leader's: its own task sends the response, and fails if it must
            return False

    def wake(self, response: bytes | None) -> None:
        """Let it go on: with a response, or with what it reads itself."""
        if self.turn is not None and not self.turn.done():
            self.turn.set_result(response)


class Once(Generic[T]):
    """A result that several wait for. The task that makes it is nobody's own, so that each of them may leave."""

    def __init__(self, work: Coroutine[Any, Any, T]) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiting: set[asyncio.Future[None]] = set()
        self._task = self._loop.create_task(work, name="shared response")
        self._task.add_done_callback(self._tell)

    def _tell(self, task: asyncio.Task[T]) -> None:
        if not task.cancelled():
            task.exception()  # mark the error as seen, also if all have left
        for future in list(self._waiting):
            if not future.done():
                future.set_result(None)

    async def wait(self) -> T:
        if not self._task.done():
            future = self._loop.create_future()
            self._waiting.add(future)
            try:
                await future
            finally:
                self._waiting.discard(future)
        return self._task.result()


class Crowds:
    """Those of all open subscriptions, by shape and place."""

    def __init__(self) -> None:
        self._crowds: dict[tuple[Shape, Hashable], _Crowd] = {}
        self._made: dict[tuple[Shape, int], tuple[object, Once[bytes]]] = {}
        """Responses to events that others get too, by the event's identity, for MADE_SECONDS."""

    async def responses(
        self,
        shape: Shape,
        source: Source,
        sink: Sink | None,
        *,
        before: Callable[[], Awaitable[None]],
        respond: Callable[[Any], Coroutine[Any, Any, bytes]],
    ) -> AsyncGenerator[bytes, None]:
        """The responses of a subscription, except those that its sink has taken.

        Args:
            shape: of the subscription.
            source: its events.
            sink: where its responses go if possible; None if there is no such way.
            before: awaited before each event is read.
            respond: makes the response to an event.
        """
        member = _Member(source, sink)
        shape.members += 1
        try:
            while True:
                response = await self._turn(member, shape)
                if response is None:
                    await before()
                    response = await self._next(shape, source, respond)
                    if await self._send(member, shape, response):
                        response = None
                if response is not None:
                    yield response
                del response  # so that it is not held while the member waits
        except StopAsyncIteration:
            self._release(member)
        except Exception:  # whatever ends this member, the others go on without it
            self._release(member)
            raise
        finally:
            shape.members -= 1
            self._leave(member)

    async def _next(self, shape: Shape, source: Source, respond: Callable[[Any], Coroutine[Any, Any, bytes]]) -> bytes:
        """The response to the next event. Those who come for it together, each from its own place, make it once."""
        event = await anext(source)
        if not source.is_shared or shape.members == 1:
            return await respond(event)
        key = shape, id(event)
        found = self._made.get(key)
        if found is None:
            found = self._made[key] = event, Once(respond(event))
            asyncio.get_running_loop().call_later(MADE_SECONDS, self._made.pop, key, None)
        return await found[1].wait()

    async def _turn(self, member: _Member, shape: Shape) -> bytes | None:
        """Wait while another leads. Returns a response of the leader's, or None if the member has to read."""
        place = member.source.place
        if place is None or member.crowd is not None:
            return None
        crowd = self._crowds.get((shape, place))
        if crowd is None:
            member.crowd = _Crowd(member)
            self._put(member.crowd, (shape, place))
            return None
        member.crowd = crowd
        crowd.waiting[member] = None
        member.turn = asyncio.get_running_loop().create_future()
        try:
            return await member.turn
        finally:
            member.turn = None

    async def _send(self, member: _Member, shape: Shape, response: bytes) -> bool:
        """Send a response to all who wait for the member, and to itself. Returns whether its own sink took it."""
        crowd, followed = member.crowd, member.followed
        if crowd is None:
            return member.takes(response)
        self._take(crowd)
        followers, now = 0, asyncio.get_running_loop().time()
        for number, other in enumerate(list(crowd.waiting), start=1):
            if number % SENDS_AT_ONCE == 0:
                await asyncio.sleep(0)
            if other not in crowd.waiting:
                continue  # it has left meanwhile
            if other.followed.ready_at > now:
                self._dismiss(crowd, other, None)
                continue
            followers += 1
            other.followed.move(followed)
            if not other.takes(response):
                self._dismiss(crowd, other, response)
        followed.told(followers)
        is_taken = member.takes(response)
        self._go_on(crowd, (shape, member.source.place), stays=is_taken)
        return is_taken

    def _go_on(self, crowd: _Crowd, key: tuple[Shape, Hashable], *, stays: bool) -> None:
        """After the response is sent: with the same leader, with another one, or within the crowd that is there."""
        member = crowd.leader
        assert member is not None
        there = self._crowds.get(key)
        if there is not None:
            there.waiting |= crowd.waiting
            for other in crowd.waiting:
                other.crowd = there
            member.crowd = None  # it waits there too, or comes back later
        elif stays:
            self._put(crowd, key)
        else:
            self._hand_over(crowd, key)
            member.crowd = None

    def _leave(self, member: _Member) -> None:
        crowd, member.crowd = member.crowd, None
        if crowd is None:
            return
        if crowd.leader is not member:
            crowd.waiting.pop(member, None)
        elif crowd.key is None:
            self._dismiss_all(crowd)
        else:
            key = crowd.key
            self._take(crowd)
            self._hand_over(crowd, key)

    def _hand_over(self, crowd: _Crowd, key: tuple[Shape, Hashable]) -> None:
        crowd.leader = next(iter(crowd.waiting), None)
        if crowd.leader is not None:
            del crowd.waiting[crowd.leader]
            self._put(crowd, key)
            crowd.leader.wake(None)

    def _release(self, member: _Member) -> None:
        """Let those whom the member leads read for themselves: each ends or fails as it would alone."""
        crowd = member.crowd
        if crowd is not None and crowd.leader is member:
            self._take(crowd)
            self._dismiss_all(crowd)

    def _dismiss_all(self, crowd: _Crowd) -> None:
        for other in list(crowd.waiting):
            self._dismiss(crowd, other, None)

    @staticmethod
    def _dismiss(crowd: _Crowd, member: _Member, response: bytes | None) -> None:
        del crowd.waiting[member]
        member.crowd = None
        member.wake(response)

    def _put(self, crowd: _Crowd, key: tuple[Shape, Hashable]) -> None:
        crowd.key = key
        self._crowds[key] = crowd

    def _take(self, crowd: _Crowd) -> None:
        if crowd.key is not None:
            del self._crowds[crowd.key]
            crowd.key = None
