"""Subscribers in this process, and a look at what they leave."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from app.auth import Viewer
from app.records import Outdial
from tests.support import factories
from tests.support.companions import left
from tests.support.subscribing import Counting, Subscriber
from tests.support.waiting import until


@pytest.fixture(autouse=True)
async def _nothing_is_left() -> AsyncIterator[None]:
    yield
    await until(lambda: not left(), seconds=20)


@pytest.fixture
def execution() -> Counting:
    return Counting()


@pytest.fixture
async def outdial(database: str, viewer: Viewer) -> Outdial:
    return await factories.make_outdial(viewer)


@pytest.fixture
async def company() -> AsyncIterator[Callable[..., Awaitable[list[Subscriber]]]]:
    """Makes subscribers that have begun, and ends them after the test."""
    made: list[Subscriber] = []

    async def gather(*subscribers: Subscriber) -> list[Subscriber]:
        made.extend(subscribers)
        await until(lambda: all(one.payloads or one.errors for one in subscribers))
        return list(subscribers)

    yield gather
    for one in made:
        await one.leave()
