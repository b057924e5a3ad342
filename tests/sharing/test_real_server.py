"""Subscribers share on a real server, and each keeps its own token, ids and end."""

import asyncio
import random
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from tests.conftest import Databases
from tests.support.graphql_client import BATCH, Client, Ended, Subscription
from tests.support.server import ServerProcess, token
from tests.support.transport import closed

SETTLED = 'outdial_subscriptions{field="targetEvents"} 0.0'


async def test_a_token_ends_its_own_socket_and_no_other(client: Client) -> None:
    outdial = await client.outdial()
    query = f"subscription($id: ID!) {{ targetEvents(outdialId: $id) {BATCH} }}"
    url = client.url.replace("http", "ws") + "/graphql"
    brief = token(client.customer_id, lifetime=timedelta(seconds=2))
    async with (
        Subscription(url, brief, query, {"id": outdial["id"]}) as ending,
        client.subscribe(query, id=outdial["id"]) as staying,
    ):
        await ending.next()
        await staying.next()
        await client.target(outdial["id"])
        assert (await ending.next())["events"] == (await staying.next())["events"]
        assert (await closed(ending.socket))[0] == 4403
        await client.target(outdial["id"])
        assert len((await staying.next())["events"]) == 1


async def test_ids_are_each_clients_own(client: Client) -> None:
    outdial = await client.outdial()
    async with client.target_events(outdial["id"]) as first_one, client.target_events(outdial["id"]) as second:
        odd = 'x"ö\\'
        await second._send({"type": "subscribe", "id": odd, "payload": second._payload})
        for _ in range(2):
            await second._receive(5)
        await first_one.next()
        for _ in range(2):
            await client.target(outdial["id"])
            message = await first_one._receive(5)
            messages = [await second._receive(5), await second._receive(5)]
            assert message["id"] == "1"
            assert {one["id"] for one in messages} == {"1", odd}
            assert all(one["payload"] == message["payload"] for one in messages)


async def test_a_deletion_completes_on_every_socket(client: Client) -> None:
    outdial = await client.outdial()
    async with client.target_events(outdial["id"]) as one, client.target_events(outdial["id"]) as two:
        for events_ in (one, two):
            await events_.next()
        await client.good("deleteOutdial", outdial["id"])
        for events_ in (one, two):
            with pytest.raises(Ended):
                await events_.next()


async def test_a_stop_closes_all_sockets_with_1012(databases: Databases, tmp_path: Path) -> None:
    async with databases.fresh("sqlite") as url, AsyncExitStack() as stack:
        server = await ServerProcess(url, tmp_path).started()
        try:
            client = await stack.enter_async_context(Client(server.url, str(uuid4())))
            outdial = await client.outdial()
            sockets = [await stack.enter_async_context(client.target_events(outdial["id"])) for _ in range(20)]
            for made in range(2):
                for one in sockets:
                    assert len((await one.next())["events"]) == made
                await client.target(outdial["id"]) if not made else None
            stopping = asyncio.create_task(asyncio.to_thread(server.stop))  # fails if the log has a traceback
            assert [(await closed(one.socket))[0] for one in sockets] == [1012] * 20
            await stopping
        finally:
            server.kill()


async def test_sockets_that_come_and_vanish_leave_nothing_behind(databases: Databases, tmp_path: Path) -> None:
    async with databases.fresh("sqlite") as url:
        server = await ServerProcess(url, tmp_path).started()
        try:
            async with Client(server.url, str(uuid4())) as client:
                outdial = await client.outdial()

                async def come_and_go() -> None:
                    cursor = None
                    for _ in range(6):
                        async with client.target_events(outdial["id"], cursor) as watcher:
                            for _ in range(random.randint(1, 4)):
                                cursor = (await watcher.next())["cursor"]
                            if random.random() < 0.5:
                                watcher.vanish()

                async def write() -> None:
                    while True:
                        await client.target(outdial["id"])

                writing = asyncio.create_task(write())
                await asyncio.gather(*[come_and_go() for _ in range(40)])
                writing.cancel()
                await asyncio.wait([writing])
                async with asyncio.timeout(10):
                    while SETTLED not in await metrics_of(client):  # noqa: ASYNC110 - in another process
                        await asyncio.sleep(0.05)
            await asyncio.to_thread(server.stop)  # fails if the log has a traceback
        finally:
            server.kill()


async def metrics_of(client: Client) -> str:
    return (await client.http.get("/metrics")).text
