"""Connected databases, each of one test alone."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack
from typing import Any

import pytest

from app import db
from tests.support import postgres


@pytest.fixture
async def connected(postgres_url: str) -> AsyncIterator[str]:
    await db.connect(postgres_url, pool_size=2)
    yield postgres_url
    await db.close()


@pytest.fixture
async def on_file(databases: Any) -> AsyncIterator[str]:
    async with databases.fresh("sqlite") as url:
        await db.connect(url)
        yield url
        await db.close()


@pytest.fixture
async def own_server() -> AsyncIterator[Callable[..., Awaitable[postgres.OwnServer]]]:
    """A server of one test alone, with settings of its own."""
    with ExitStack() as stack:

        async def start(**settings: str) -> postgres.OwnServer:
            return await asyncio.to_thread(stack.enter_context, postgres.OwnServer(settings))

        yield start
        await db.close()
