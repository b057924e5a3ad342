"""Listens at the other nodes of a distributed database: NOTIFY is heard at its own node only.

A server tells of its commits at the node that it is connected to. So each server listens at every node. On a database
of one machine there is nothing to do here.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import structlog

from app.db import connections, postgres, statements
from app.db.failures import failure_of_connecting
from app.errors import Unavailable

LOOK_EVERY_SECONDS = 10.0
"""How soon a new node is heard. Until then, polling finds what is said there."""
RETRY_SECONDS = 1.0

Hear = Callable[[postgres.Connection], Awaitable[None]]
Address = tuple[str, int]

log = structlog.get_logger(__name__)


@asynccontextmanager
async def heard(own: postgres.Connection, hear: Hear) -> AsyncIterator[None]:
    """For the time of the context, listen at each node but that of `own`, as `hear` does on one connection."""
    group = await _group(own)
    if group is None:
        yield
        return
    listening = asyncio.create_task(_listen(group, hear))
    try:
        yield
    finally:
        listening.cancel()
        await asyncio.wait([listening])


async def _group(own: postgres.Connection) -> int | None:
    """The number of the connection's node; None if the tables are on one machine."""
    if await own.fetchval("SELECT to_regclass('pg_dist_local_group')::text") is None:
        return None
    group: int | None = await own.fetchval("SELECT groupid FROM pg_dist_local_group")
    return group


async def _listen(own_group: int, hear: Hear) -> None:
    listeners: dict[Address, asyncio.Task[None]] = {}
    try:
        while True:
            try:
                nodes = await _others(own_group)
            except Unavailable:  # the listener at the own node will find out
                nodes = set(listeners)
            for gone in listeners.keys() - nodes:
                listeners.pop(gone).cancel()
            for new in nodes - listeners.keys():
                listeners[new] = asyncio.create_task(_listen_at(new, hear))
            await asyncio.sleep(LOOK_EVERY_SECONDS)
    finally:
        for task in listeners.values():
            task.cancel()
        if listeners:
            await asyncio.wait(listeners.values())


async def _others(own_group: int) -> set[Address]:
    found = await statements.fetch(
        "SELECT nodename, nodeport FROM pg_dist_node WHERE noderole = 'primary' AND isactive AND groupid <> $1",
        own_group,
    )
    return {(row["nodename"], row["nodeport"]) for row in found}


async def _listen_at(node: Address, hear: Hear) -> None:
    url = replace(connections.url(), hosts=(node,))
    is_told = False
    while True:
        try:
            connection = await postgres.connect(url)
            is_told = False
            try:
                await hear(connection)
            finally:
                connection.terminate()
        except Exception as error:
            reason = failure_of_connecting(error)
            if reason is None:
                raise
            if not is_told:
                log.warning("node_not_heard", host=node[0], port=node[1], reason=reason.value)
            is_told = True
        await asyncio.sleep(RETRY_SECONDS)
