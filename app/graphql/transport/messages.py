"""Messages of subscriptions: made of an event, as JSON, once for all who get the same. Their customer pays for them."""

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, Self

from graphql.execution import VariableValues

from app import bounds, costs
from app.errors import Unavailable
from app.graphql.compiled import CompiledOperation, Request
from app.graphql.transport import answers, masking
from app.graphql.transport.answers import Held, Room
from app.graphql.transport.operations import OperationContext, Payload, Prepared
from app.rates import Limiter

ROWS_SMALL = 100
"""Of a message without pages: as many as a page has. With more, it is encoded like a large answer."""


class Subscribed(NamedTuple):
    """What of a subscription is needed for its messages."""

    operation: CompiledOperation
    variables: VariableValues
    context: OperationContext
    customer_id: str
    characters: int
    """The most that a message can have."""
    rows_aside: int | None
    """A message with more rows is encoded beside the loop. None: as many as there are, it is small."""

    @classmethod
    def of(cls, prepared: Prepared, variables: VariableValues) -> Self:
        # The size alone says little: it is that of the largest batch of events, and mostly there is one event.
        small = None if not answers.is_large(prepared.size) else -1 if prepared.has_pages else ROWS_SMALL
        request = prepared.request
        characters = prepared.size.characters
        return cls(request.operation, variables, prepared.context, prepared.customer_id, characters, small)


class Messages:
    """Makes messages.

    Args:
        limiter: whom they are charged to.
        room: for large ones.
        execute: gives the response to an event, within a time limit.
    """

    def __init__(self, limiter: Limiter, room: Room, execute: Callable[[Request], Awaitable[Payload]]) -> None:
        self._limiter = limiter
        self._room = room
        self._execute = execute

    async def make(self, of: Subscribed, event: object) -> bytes:
        """The message of an event. If the customer owes points, it takes a little longer: others come first.

        Raises:
            LimitExceeded: it has too many bytes.
            Unavailable: it cannot be made.
        """
        await self._limiter.pace(of.customer_id)
        is_again = False
        while True:
            try:
                message = await self._make(of, event)
            except Unavailable:
                # The event would not come again. A database that hangs takes all the time and says nothing, so that one
                # more try tells it from an event that takes too long.
                if not await of.context.outlast() and is_again:
                    raise
            else:
                self._limiter.charge(of.customer_id, costs.message(len(message)))
                return message
            is_again = True

    async def _make(self, of: Subscribed, event: object) -> bytes:
        request = Request(of.operation, of.variables, of.context, event)
        if of.characters <= answers.UNCOUNTED_CHARACTERS_MAX:
            return masking.encode(await self._execute(request))
        # Most messages are small, whatever they could be.
        share = await self._room.take(min(of.characters, answers.SMALL_CHARACTERS_MAX), of.customer_id)
        try:
            payload = await self._execute(request)
            if of.rows_aside is None or _rows(payload) <= of.rows_aside:
                return Held.of(masking.encode(payload), share)
            share.shrink(0)
            share = await self._room.take(of.characters, of.customer_id)
            return Held.of(await self._room.encode(payload, bounds.now().answer_bytes_max), share)
        except BaseException:  # also if the subscriber leaves meanwhile: its room is others'
            share.shrink(0)
            raise


def _rows(payload: dict[str, Any]) -> int:
    """Of the longest list of the only field."""
    values = (payload.get("data") or {}).values()
    lists = [item for value in values if isinstance(value, dict) for item in value.values() if isinstance(item, list)]
    return max(map(len, lists), default=0)
