"""Answers to queries and mutations, as JSON. Large ones take room in this process until they are sent."""

import asyncio
from collections.abc import Awaitable
from typing import NamedTuple, Protocol

from app import bounds
from app.errors import Unavailable
from app.graphql.transport import answers, masking
from app.graphql.transport.answers import Room, Share
from app.graphql.transport.masking import NotExecuted
from app.graphql.transport.operations import Payload, Prepared


class Executing(Protocol):
    """What executes operations."""

    async def admit(self, prepared: Prepared) -> None: ...
    def execute(self, prepared: Prepared) -> Awaitable[Payload]: ...


class Answer(NamedTuple):
    """A response as JSON."""

    body: bytes
    has_errors: bool
    is_unavailable: bool
    """Whether the client should try again."""

    @classmethod
    def of(cls, payload: Payload, body: bytes) -> "Answer":
        return cls(body, "errors" in payload, _is_unavailable(payload))


class Answering:
    """A block with an answer. A class, because each request enters one: a generator takes longer."""

    __slots__ = ("_execution", "_prepared", "_room", "_share")

    def __init__(self, execution: Executing, room: Room, prepared: Prepared) -> None:
        self._execution = execution
        self._room = room
        self._prepared = prepared
        self._share: Share | None = None

    async def __aenter__(self) -> Answer:
        await self._execution.admit(self._prepared)
        if not answers.is_counted(self._prepared.size):
            payload = await self._execution.execute(self._prepared)
            return Answer.of(payload, masking.encode(payload))
        try:
            return await self._counted()
        except (NotExecuted, asyncio.CancelledError):  # the block does not begin, and so has no end
            self._end()
            raise
        except Exception as error:  # noqa: BLE001 - the client gets an answer for every error
            payload = {"data": None, "errors": [masking.render(error)]}
            return Answer.of(payload, masking.encode(payload))

    async def _counted(self) -> Answer:
        prepared = self._prepared
        share = self._share = await self._room.take(prepared.size.characters, answers.holder(prepared))
        payload = await self._execution.execute(prepared)
        if answers.is_large(prepared.size):
            body = await self._room.encode(payload, bounds.now().answer_bytes_max)
        else:
            body = masking.encode(payload)
        share.shrink(len(body) if len(body) > answers.UNCOUNTED_CHARACTERS_MAX else 0)
        return Answer.of(payload, body)

    async def __aexit__(self, *_: object) -> None:
        self._end()

    def _end(self) -> None:
        if self._share is not None:
            self._share.shrink(0)
            if answers.is_large(self._prepared.size):
                self._room.collect_soon()


def _is_unavailable(payload: Payload) -> bool:
    errors = payload.get("errors")
    return errors is not None and any(error["extensions"]["code"] == Unavailable.code for error in errors)
