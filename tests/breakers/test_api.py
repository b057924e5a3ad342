"""Breakers over GraphQL, at a real server, which judges them by itself."""

import asyncio
import time
from typing import Any

import pytest

from app.errors import UserErrorCode
from tests.support.factories import phone_number
from tests.support.graphql_client import Client, codes, user_errors
from tests.support.server import ServerProcess

BREAKER = {"failurePercent": 50, "windowSeconds": 60, "minCalls": 5, "pauseSeconds": 600}
STATUS = "breaker { state openedAt pausedUntil calls failures }"
OPENS_WITHIN_SECONDS = 2
SLOW_MACHINE_SECONDS = 10


async def dialed(client: Client, outdial_id: str, *dispositions: str) -> None:
    """Claim as many new targets, and report these results."""
    for _ in dispositions:
        await client.target(outdial_id, destination0={"target": phone_number()})
    claimed = (await client.good("claimTargets", outdialId=outdial_id, limit=len(dispositions)))["attempts"]
    assert len(claimed) == len(dispositions)
    results = [
        {"attemptId": attempt["id"], "disposition": given} for attempt, given in zip(claimed, dispositions, strict=True)
    ]
    await client.good("completeAttempts", results=results)


async def with_breaker(client: Client) -> dict[str, Any]:
    policy = {"pacing": {"breaker": BREAKER}, "retryIntervalSeconds": 3_600}
    return await client.outdial(dialPolicy=policy)


async def breaker(client: Client, outdial_id: str) -> dict[str, Any]:
    found = await client.run(f"query($id: ID!) {{ outdial(id: $id) {{ {STATUS} }} }}", id=outdial_id)
    status: dict[str, Any] = found["outdial"]["breaker"]
    return status


async def opened(client: Client, outdial_id: str) -> dict[str, Any]:
    async with asyncio.timeout(SLOW_MACHINE_SECONDS):
        while True:
            status = await breaker(client, outdial_id)
            if status["state"] == "OPEN":
                return status
            await asyncio.sleep(0.05)


@pytest.mark.slow
async def test_a_trunk_that_fails_opens_it_within_two_seconds(client: Client) -> None:
    outdial = await with_breaker(client)
    assert await breaker(client, outdial["id"]) == {
        "state": "CLOSED", "openedAt": None, "pausedUntil": None, "calls": 0, "failures": 0,
    }  # fmt: skip
    waited = []
    for _ in range(3):  # a busy machine may take longer once
        await dialed(client, outdial["id"], *["FAILED"] * 5)
        began = time.monotonic()
        status = await opened(client, outdial["id"])
        waited.append(time.monotonic() - began)
        assert (status["calls"], status["failures"]) == (5, 5)
        await client.good("closeBreaker", outdial["id"])
    assert min(waited) < OPENS_WITHIN_SECONDS


async def test_its_events_are_told_in_their_order(client: Client) -> None:
    outdial = await with_breaker(client)
    query = f"subscription {{ outdialEvents {{ type outdialId outdial {{ {STATUS} }} }} }}"
    async with client.subscribe(query) as events:
        await dialed(client, outdial["id"], *["TIMEOUT"] * 5)
        first = await events.next()
        assert (first["type"], first["outdialId"]) == ("BREAKER_OPENED", outdial["id"])
        assert first["outdial"]["breaker"]["state"] == "OPEN"
        await client.good("closeBreaker", outdial["id"])
        second = await events.next()
        assert (second["type"], second["outdial"]["breaker"]["state"]) == ("BREAKER_CLOSED", "CLOSED")


async def test_an_owner_closes_it_and_nobody_else(client: Client, other: Client, service: ServerProcess) -> None:
    outdial = await with_breaker(client)
    await dialed(client, outdial["id"], *["FAILED"] * 5)
    await opened(client, outdial["id"])
    assert user_errors(await other.mutate("closeBreaker", outdial["id"])) == [("NOT_FOUND", ["id"])]
    async with Client(service.url, client.customer_id, scopes=("read", "dial")) as dialer:
        answer = await dialer.send("mutation($id: ID!) { closeBreaker(id: $id) { outdial { id } } }", id=outdial["id"])
        assert codes(answer) == ["FORBIDDEN"]
    assert (await breaker(client, outdial["id"]))["state"] == "OPEN"
    for _ in range(2):
        closed = await client.run(
            f"mutation($id: ID!) {{ closeBreaker(id: $id) {{ outdial {{ id {STATUS} }} userErrors {{ code }} }} }}",
            id=outdial["id"],
        )
        payload = closed["closeBreaker"]
        assert (payload["outdial"]["id"], payload["userErrors"]) == (outdial["id"], [])
        assert payload["outdial"]["breaker"]["state"] == "CLOSED"


async def test_what_is_no_outdial_has_no_breaker_to_close(client: Client) -> None:
    answer = await client.send('mutation { closeBreaker(id: "1") { outdial { id } } }')
    assert codes(answer) == ["BAD_USER_INPUT"]
    outdial = await with_breaker(client)
    await client.good("deleteOutdial", outdial["id"])
    assert user_errors(await client.mutate("closeBreaker", outdial["id"])) == [(UserErrorCode.NOT_FOUND, ["id"])]
