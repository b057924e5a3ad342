"""Imports at the use-case, without a transport."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any

import psutil

from app import imports
from app.auth import Viewer
from app.imports import worker_process
from app.pagination import PageRequest
from app.records import (
    ImportJob,
    ImportOptions,
)
from tests.support import importing

CHUNK = 1_000
WAIT_SECONDS_MAX = 30


async def until(happened: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        while not await happened():  # noqa: ASYNC110 - what happens, happens in a database
            await asyncio.sleep(0.02)


async def pieces(text: str) -> AsyncIterator[bytes]:
    async for piece in importing.in_pieces(text):
        yield piece


async def take_in(viewer: Viewer, outdial_id: str, text: str, **more: Any) -> ImportJob:
    options = more.pop("options", ImportOptions())
    given: dict[str, Any] = {"turns": imports.turns(), "stopping": asyncio.Event(), "pieces": pieces(text)} | more
    return await imports.run(viewer, outdial_id, options=options, **given)


def readers() -> list[psutil.Process]:
    """The processes of this one that read files. What another test has left, dead or not, is none of them."""
    found = []
    for child in psutil.Process().children():
        with suppress(psutil.NoSuchProcess):
            if worker_process.MODULE in child.cmdline():
                found.append(child)
    return found


async def created(viewer: Viewer, outdial_id: str, count: int) -> bool:
    [job] = (await imports.pages(viewer, [outdial_id], request=PageRequest()))[outdial_id].items
    return job.counts.created >= count
