"""A server that is killed and a dialer that vanishes: nothing acknowledged is lost, and no target is stuck."""

import asyncio
import json
import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.support import rows
from tests.support.factories import phone_number
from tests.support.graphql_client import Client
from tests.support.server import ServerProcess
from tests.support.waiting import until

pytestmark = pytest.mark.slow

KILLS = 3
CALLBACKS = 1_000
REPORTS = 60
DIALERS = 8
LEASE_SECONDS = 5
SWEPT_SECONDS_MAX = 5
DISPOSITIONS = ["ANSWERED", "BUSY", "NO_ANSWER", "INVALID_DESTINATION", "DO_NOT_CALL"]
CLAIM = "mutation($input: ClaimTargetsInput!) { claimTargets(input: $input) { attempts { id } } }"
PROGRESS = """subscription($ids: [ID!]!) { outdialProgress(outdialIds: $ids, intervalMs: 50) {
    outdials { progress { idle } } } }"""
LOST = (httpx.TransportError, ConnectionError)


@dataclass
class Acknowledged:
    """What the server has answered, and so must not forget."""

    targets: set[str] = field(default_factory=set)
    claimed: set[str] = field(default_factory=set)
    completed: dict[str, str] = field(default_factory=dict)


async def create(client: Client, outdial_id: str, number: int) -> list[str]:
    drafts = [{"destination0": {"target": phone_number()}} for _ in range(number)]
    query = "mutation($input: CreateTargetsInput!) { createTargets(input: $input) { targets { id } } }"
    data = await client.run(query, input={"outdialId": outdial_id, "targets": drafts})
    return [target["id"] for target in data["createTargets"]["targets"]]


async def dial(client: Client, outdial_id: str, known: Acknowledged) -> None:
    """Create, claim and report until the server is gone."""
    while True:
        try:
            known.targets.update(await create(client, outdial_id, 5))
            data = await client.run(CLAIM, input={"outdialId": outdial_id, "limit": random.randint(1, 10)})
            ids = [attempt["id"] for attempt in data["claimTargets"]["attempts"]]
            known.claimed.update(ids)
            # Some are left as they are, some are only started.
            started = [{"attemptId": attempt_id} for attempt_id in ids[1:]]
            results = [{"attemptId": attempt_id, "disposition": random.choice(DISPOSITIONS)} for attempt_id in ids[2:]]
            if results:
                await client.good("startAttempts", attempts=started)
                await client.good("completeAttempts", results=results)
                known.completed.update({result["attemptId"]: result["disposition"] for result in results})
        except LOST:
            return


def is_enough(known: Acknowledged, number: int) -> bool:
    return len(known.completed) >= number


async def verify(url: str, customer_id: str, known: Acknowledged) -> rows.Tables:
    tables = await rows.of(url, customer_id)
    rows.check(tables)
    rows.check_events(tables)
    ledger = {attempt["id"]: attempt for attempt in tables["attempt"]}
    assert known.targets <= {target["id"] for target in tables["target"]}
    assert known.claimed <= ledger.keys()
    done = {
        attempt_id: (ledger[attempt_id]["state"], ledger[attempt_id]["disposition"]) for attempt_id in known.completed
    }
    assert done == {attempt_id: ("COMPLETED", disposition) for attempt_id, disposition in known.completed.items()}
    return tables


async def test_a_kill_during_claims_and_reports_loses_nothing_acknowledged(database_url: str, tmp_path: Path) -> None:
    server, customer_id, known = ServerProcess(database_url, tmp_path), str(uuid4()), Acknowledged()
    outdial_id = ""
    try:
        for _ in range(KILLS):
            await server.started()
            async with Client(server.url, customer_id) as client:
                outdial_id = outdial_id or (await client.outdial(dialPolicy={"retryIntervalSeconds": 0}))["id"]
                await create(client, outdial_id, 200)
                enough = len(known.completed) + REPORTS
                dialers = [asyncio.create_task(dial(client, outdial_id, known)) for _ in range(DIALERS)]
                await until(partial(is_enough, known, enough))
                await asyncio.to_thread(server.kill)
                await asyncio.gather(*dialers)
            await verify(database_url, customer_id, known)

        await server.started()
        async with Client(server.url, customer_id) as client:
            progress = (await client.read_outdial(outdial_id) or {})["progress"]
            tables = await verify(database_url, customer_id, known)
            assert progress["total"] == len(tables["target"])
            assert (await client.good("claimTargets", outdialId=outdial_id))["attempts"] != []
        await asyncio.to_thread(server.stop)
    finally:
        server.kill()


async def test_a_kill_loses_no_callback_that_was_acknowledged(database_url: str, tmp_path: Path) -> None:
    server, customer_id = ServerProcess(database_url, tmp_path), str(uuid4())
    kept: dict[str, str] = {}
    try:
        await server.started()
        async with Client(server.url, customer_id) as client:
            outdial_id = (await client.outdial())["id"]
            waiting = await create(client, outdial_id, CALLBACKS)
            at = (datetime.now(UTC) + timedelta(hours=1)).isoformat()

            async def schedule() -> None:
                while waiting:
                    target_id, dialer = waiting.pop(), f"dialer {len(waiting) % 7}"
                    callback = {"at": at, "dialer": dialer}
                    query = "mutation($i: ScheduleCallbackInput!) { scheduleCallback(input: $i) { target { id } } }"
                    data = await client.run(query, i={"targetId": target_id, "callback": callback})
                    kept[data["scheduleCallback"]["target"]["id"]] = dialer

            await asyncio.gather(*(schedule() for _ in range(DIALERS)))
        server.kill()
        stored = {row["id"]: row for row in (await rows.of(database_url, customer_id))["target"]}
        found = {target_id: json.loads(stored[target_id]["callback"])["dialer"] for target_id in kept}
        assert found == kept
        assert len(kept) == CALLBACKS
    finally:
        server.kill()


async def test_cursors_survive_a_restart(database_url: str, tmp_path: Path) -> None:
    server, customer_id = ServerProcess(database_url, tmp_path), str(uuid4())
    page = """query($id: ID!, $after: String) { outdial(id: $id) { eventCursor
        targets(first: 3, after: $after, orderBy: OLDEST_FIRST) { nodes { id } pageInfo { endCursor } } } }"""
    try:
        await server.started()
        async with Client(server.url, customer_id) as client:
            outdial = await client.outdial()
            ids = await create(client, outdial["id"], 6)
            before = (await client.run(page, id=outdial["id"]))["outdial"]
            await client.good("cancelTarget", ids[0])
        server.kill()
        await server.started()
        async with Client(server.url, customer_id) as client:
            after = before["targets"]["pageInfo"]["endCursor"]
            second = (await client.run(page, id=outdial["id"], after=after))["outdial"]
            assert [node["id"] for node in second["targets"]["nodes"]] == ids[3:]
            async with client.target_events(outdial["id"], after=before["eventCursor"]) as events:
                told: list[Any] = []
                while ("CANCELED", ids[0]) not in told:
                    batch = await events.next()
                    assert batch["gap"] is None
                    told += [(event["type"], event["targetId"]) for event in batch["events"]]
        await asyncio.to_thread(server.stop)
    finally:
        server.kill()


async def test_targets_of_a_dialer_that_vanished_come_back(client: Client, service: ServerProcess) -> None:
    policy = {"retryIntervalSeconds": 0, "leaseSeconds": LEASE_SECONDS, "onUnconfirmed": "FINISH"}
    outdial = await client.outdial(dialPolicy=policy)
    await create(client, outdial["id"], 40)
    attempts = (await client.good("claimTargets", outdialId=outdial["id"], limit=40, dialer="gone"))["attempts"]
    claimed, started = [attempt["id"] for attempt in attempts[:20]], [attempt["id"] for attempt in attempts[20:]]
    await client.good("startAttempts", attempts=[{"attemptId": attempt_id} for attempt_id in started])

    deadline = asyncio.get_running_loop().time() + LEASE_SECONDS + SWEPT_SECONDS_MAX
    while (progress := (await client.read_outdial(outdial["id"]) or {})["progress"])["progressing"]:
        assert asyncio.get_running_loop().time() < deadline, progress
        await asyncio.sleep(0.1)

    assert (progress["idle"], progress["done"]) == (20, 20)
    assert {item["reason"]: item["count"] for item in progress["doneByReason"] if item["count"]} == {"UNCONFIRMED": 20}
    for attempt_id, state in ((claimed[0], "EXPIRED"), (started[0], "UNCONFIRMED")):
        query = "query($id: ID!) { node(id: $id) { ... on Attempt { state endedAt expiresAt } } }"
        node = (await client.run(query, id=attempt_id))["node"]
        assert (node["state"], node["expiresAt"]) == (state, None)

    before = await rows.of(service.database_url, client.customer_id)
    late = [{"attemptId": attempt_id, "disposition": "ANSWERED"} for attempt_id in claimed]
    payload = await client.mutate("completeAttempts", results=late)
    assert payload["attempts"] == []
    assert {error["code"] for error in payload["userErrors"]} == {"LEASE_LOST"}
    assert await rows.of(service.database_url, client.customer_id) == before
    rows.check(before)

    again = (await client.good("claimTargets", outdialId=outdial["id"], limit=40))["attempts"]
    assert {attempt["target"]["id"] for attempt in again} == {
        attempt["target"]["id"] for attempt in attempts if attempt["id"] in claimed
    }
    assert {attempt["tryNumber"] for attempt in again} == {2}


async def test_the_leases_of_a_killed_server_are_swept_by_another(postgres_url: str, tmp_path: Path) -> None:
    servers = [ServerProcess(postgres_url, tmp_path), ServerProcess(postgres_url, tmp_path)]
    try:
        await asyncio.gather(*[server.started() for server in servers])
        customer_id = str(uuid4())
        async with Client(servers[0].url, customer_id) as client:
            outdial = await client.outdial(dialPolicy={"leaseSeconds": LEASE_SECONDS, "retryIntervalSeconds": 0})
            await create(client, outdial["id"], 5)
            await client.good("claimTargets", outdialId=outdial["id"], limit=5)
        servers[0].kill()
        async with (
            asyncio.timeout(LEASE_SECONDS + SWEPT_SECONDS_MAX),
            Client(servers[1].url, customer_id) as client,
            client.subscribe(PROGRESS, ids=[outdial["id"]]) as progress,
        ):
            while (await progress.next())["outdials"][0]["progress"]["idle"] < 5:
                pass
        rows.check(await rows.of(postgres_url, customer_id))
        await asyncio.to_thread(servers[1].stop)
    finally:
        for server in servers:
            server.kill()
