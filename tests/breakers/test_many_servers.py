"""A trunk that fails, 20 dialers of several servers, and servers that are killed: the breaker holds and lasts."""

import asyncio
import time
from datetime import timedelta
from typing import Any

import pytest

from app import db
from app.auth import Viewer
from app.lifecycle import AttemptState
from app.pacing import BreakerState
from tests.breakers.conftest import status
from tests.conftest import Kind
from tests.support import factories, rows
from tests.support.graphql_client import Client
from tests.support.server import ServerProcess

DIALERS = 20
PAUSE_SECONDS = 2
BREAKER = {"failurePercent": 50, "windowSeconds": 60, "minCalls": 20, "pauseSeconds": PAUSE_SECONDS}
DIAL_SECONDS = 7.0
CLAIM = """
    mutation($input: ClaimTargetsInput!) {
        claimTargets(input: $input) { attempts { id } throttledUntil userErrors { message } }
    }
"""


async def dial(clients: list[Client], outdial_id: str, disposition: str) -> int:
    """What 20 dialers do whose calls all end alike. Returns how many claims were held back."""
    ends, held = time.monotonic() + DIAL_SECONDS, 0

    async def dialer(number: int) -> None:
        nonlocal held
        client = clients[number % len(clients)]
        while time.monotonic() < ends:
            answer = (await client.run(CLAIM, input={"outdialId": outdial_id, "limit": 3}))["claimTargets"]
            assert answer["userErrors"] == []
            held += answer["throttledUntil"] is not None
            results = [{"attemptId": one["id"], "disposition": disposition} for one in answer["attempts"]]
            await asyncio.sleep(0.02)
            if results:
                await client.good("completeAttempts", results=results)

    await asyncio.gather(*map(dialer, range(DIALERS)))
    return held


async def ledger(viewer: Viewer) -> list[dict[str, Any]]:
    return await db.fetch(
        "SELECT state, claimed_at, ended_at FROM attempt WHERE customer_id = $1 ORDER BY claimed_at", viewer.customer_id
    )


async def told(viewer: Viewer) -> list[tuple[str, Any]]:
    found = await db.fetch(
        "SELECT type, occurred_at FROM outdial_event WHERE customer_id = $1 ORDER BY epoch, tx, seq", viewer.customer_id
    )
    return [(row["type"], row["occurred_at"]) for row in found if row["type"].startswith("BREAKER")]


@pytest.mark.slow
async def test_one_call_after_each_pause_and_none_in_it_whatever_servers_come_and_go(
    kind: Kind, database_url: str, tmp_path_factory: pytest.TempPathFactory, viewer: Viewer
) -> None:
    number = 4 if kind == "postgres" else 1
    servers = [ServerProcess(database_url, tmp_path_factory.mktemp("server")) for _ in range(number)]
    try:
        await asyncio.gather(*[server.started() for server in servers])
        clients = [Client(server.url, viewer.customer_id) for server in servers]
        policy = {"retryIntervalSeconds": 0, "maxTryCounts": [100] * 5, "pacing": {"breaker": BREAKER}}
        outdial = await clients[0].outdial(dialPolicy=policy)
        drafts = [{"destination0": {"target": factories.phone_number()}} for _ in range(300)]
        await clients[0].good("createTargets", outdialId=outdial["id"], targets=drafts)
        assert await dial(clients, outdial["id"], "FAILED") > DIALERS
        for server in servers:
            server.kill()
        await asyncio.gather(*[server.started() for server in servers])
        found = await clients[-1].run("query($id: ID!) { outdial(id: $id) { breaker { state } } }", id=outdial["id"])
        assert found["outdial"]["breaker"]["state"] in {"OPEN", "PROBING"}
        assert await dial(clients, outdial["id"], "FAILED") > DIALERS
        await dial(clients, outdial["id"], "BUSY")
        for client in clients:
            await client.http.aclose()
        for server in servers:
            server.stop()
        await db.connect(database_url)
        await _check(viewer, outdial["id"])
        rows.check(await rows.of(database_url, viewer.customer_id))
    finally:
        await db.close()
        for server in servers:
            server.kill()


async def _check(viewer: Viewer, outdial_id: str) -> None:
    """By the database's clock."""
    events, tries = await told(viewer), await ledger(viewer)
    assert [event for event, _ in events] == ["BREAKER_OPENED", "BREAKER_CLOSED"]
    opened_at, closed_at = (at for _, at in events)
    assert (await status(viewer, outdial_id)).state is BreakerState.CLOSED
    before = [each for each in tries if each["claimed_at"] <= opened_at]
    failed = sorted(each["ended_at"] for each in before if each["ended_at"] is not None)
    assert len(failed) >= BREAKER["minCalls"]
    assert failed[BREAKER["minCalls"] - 1] < opened_at
    probes = [each["claimed_at"] for each in tries if opened_at < each["claimed_at"] <= closed_at]
    assert len(probes) > 3  # the last one was no failure
    gaps = [later - earlier for earlier, later in zip([opened_at, *probes], probes, strict=False)]
    assert min(gaps) >= timedelta(seconds=PAUSE_SECONDS)
    after = [each for each in tries if each["claimed_at"] > closed_at]
    assert len(after) > DIALERS
    assert {each["state"] for each in after} <= {AttemptState.COMPLETED, AttemptState.CLAIMED}
