"""Rate limits as clients meet them: over GraphQL by HTTP, event stream and WebSocket, over REST, and at two servers."""

import asyncio
import re
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest

from app import clock
from app.lifecycle import AttemptState
from tests.conftest import Databases, Kind
from tests.support.graphql_client import Client, codes
from tests.support.server import ServerProcess

LIMIT = {"OUTDIAL_RATE_POINTS_PER_SECOND": "1", "OUTDIAL_RATE_POINTS_BURST": "2500"}
POLICY = '"points";q=2500;w=2500'
SHARE = 125
PAGE = "outdials(first: 100) { nodes { id name detail data } }"
COSTLY = f"{{ a: {PAGE} b: {PAGE} c: {PAGE} d: {PAGE} }}"
COST = 1 + 2_004 // 125 + 27_932_960 // 262_144
"""Of its fields, and of the longest texts that they may have."""


@pytest.fixture
async def limited(kind: Kind, databases: Databases, tmp_path: Path) -> AsyncIterator[ServerProcess]:
    """A server that gives each customer a point in a second."""
    async with databases.fresh(kind) as url:
        with ServerProcess(url, tmp_path, environment=LIMIT) as server:
            yield server


@pytest.fixture
async def caller(limited: ServerProcess) -> AsyncIterator[Client]:
    async with Client(limited.url, str(uuid4())) as client:
        yield client


async def post(client: Client, query: str, **more: Any) -> httpx.Response:
    return await client.http.post("/graphql", json={"query": query, **more})


def remaining(answer: httpx.Response) -> int:
    found = re.fullmatch(r'"points";r=(\d+);t=1', answer.headers["RateLimit"])
    assert found is not None
    return int(found[1])


async def exhaust(client: Client) -> httpx.Response:
    """Ask for what costs much until it is refused, and then for what costs little."""
    for query in (COSTLY, "{ viewer { subject } }"):
        while (answer := await post(client, query)).status_code == httpx.codes.OK:
            assert "errors" not in answer.json()
        assert answer.status_code == httpx.codes.TOO_MANY_REQUESTS
    return answer


async def test_a_customer_is_told_what_is_left_and_refused_beyond_it(caller: Client, limited: ServerProcess) -> None:
    outdial = await caller.outdial()
    await caller.run(
        "mutation ($input: CreateTargetInput!) { createTarget(input: $input) { target { id } } }",
        input={"outdialId": outdial["id"], "target": {"destination0": {"target": "+14155550100"}}},
    )
    claimed = await caller.run(
        "mutation ($input: ClaimTargetsInput!) { claimTargets(input: $input) { attempts { id } } }",
        input={"outdialId": outdial["id"], "limit": 1},
    )
    attempt_id = claimed["claimTargets"]["attempts"][0]["id"]
    spent, began = 0, time.monotonic()
    for _ in range(3):
        answer = await post(caller, COSTLY, extensions={"cost": True})
        assert answer.json()["extensions"]["cost"]["points"] == {"estimate": COST, "limit": 2_500}
        spent += COST
        assert answer.headers["RateLimit-Policy"] == POLICY
        most = 2_500 - spent + time.monotonic() - began
        assert most - 20 <= remaining(answer) <= most
    before = clock.now()
    state = (await caller.run("{ rateLimit { limit remaining resetAt } }"))["rateLimit"]
    assert state["limit"] == 2_500
    assert most - 20 <= state["remaining"] <= 2_500 - spent + time.monotonic() - began
    full_at = datetime.fromisoformat(state["resetAt"])
    assert full_at - before > timedelta(seconds=2_500 - state["remaining"] - 3)

    refused = await exhaust(caller)
    assert remaining(refused) <= 1
    assert refused.headers["Retry-After"] == "1"
    [error] = refused.json()["errors"]
    assert error["extensions"] == {"code": "RATE_LIMITED", "retryAfterSeconds": 1}
    assert error["message"].startswith("Too much in a short time: this costs 1 points")
    costly = await post(caller, COSTLY)
    assert costly.status_code == httpx.codes.TOO_MANY_REQUESTS
    assert int(costly.headers["Retry-After"]) == costly.json()["errors"][0]["extensions"]["retryAfterSeconds"] > 100

    # nothing is looked at that may be long: these variables are wrong, and not one of them is coerced
    rows = [{"name": 1}] * 900
    large = await post(
        caller,
        "mutation ($input: CreateTargetsInput!) { createTargets(input: $input) { createdCount } }",
        variables={"input": {"outdialId": 1, "targets": rows}},
    )
    assert codes(large.json()) == ["RATE_LIMITED"]
    assert int(large.headers["Retry-After"]) > 900 // 10

    await rest_is_refused(caller, outdial["id"])
    await sockets_and_streams_are_refused(caller)
    await dialers_go_on(caller, outdial["id"], attempt_id)

    async with Client(limited.url, str(uuid4())) as other:
        assert (await post(other, COSTLY)).status_code == httpx.codes.OK
    page = (await caller.http.get("/metrics")).text
    assert 'outdial_rate_limited_total{kind="operation"}' in page
    assert 'outdial_graphql_operations_total{name="",outcome="RATE_LIMITED",type="query"}' in page


async def rest_is_refused(client: Client, outdial_id: str) -> None:
    for path in ("/v1.0/outdials", f"/v1.0/outdials/{outdial_id}/targets/export"):
        answer = await client.http.get(path)
        assert answer.status_code == httpx.codes.TOO_MANY_REQUESTS, path
        assert answer.json()["error"]["reason"] == "RATE_LIMIT_EXCEEDED"
        assert answer.headers["RateLimit-Policy"] == POLICY
        assert remaining(answer) < 20
        assert int(answer.headers["Retry-After"]) >= 20
    file = b"phone\n+14155550101\n"
    answer = await client.http.post(
        f"/v1.0/outdials/{outdial_id}/targets/import", content=file, headers={"Content-Type": "text/csv"}
    )
    assert answer.status_code == httpx.codes.TOO_MANY_REQUESTS
    assert remaining(answer) < 100


async def sockets_and_streams_are_refused(client: Client) -> None:
    query = "subscription { outdialEvents { outdial { targets(first: 100) { nodes { data } } } } }"
    async with client.subscribe(query) as events:
        answer = await events.answer()
        assert codes(answer) == ["RATE_LIMITED"]
        assert answer["errors"][0]["extensions"]["retryAfterSeconds"] > 1
    async with client.subscribe(COSTLY) as once:
        assert codes(await once.answer()) == ["RATE_LIMITED"]
    streamed = await client.http.post("/graphql", json={"query": query}, headers={"Accept": "text/event-stream"})
    assert streamed.status_code == httpx.codes.OK
    assert b'"RATE_LIMITED"' in streamed.content
    assert streamed.content.endswith(b"event: complete\ndata:\n\n")


async def dialers_go_on(client: Client, outdial_id: str, attempt_id: str) -> None:
    """A claim takes from what only claims may have; reports are never refused, also with a claim beside them."""
    claim = "mutation ($input: ClaimTargetsInput!) { claimTargets(input: $input) { attempts { id } } }"
    assert await client.run(claim, input={"outdialId": outdial_id}) == {"claimTargets": {"attempts": []}}
    complete = """mutation Complete($input: CompleteAttemptsInput!) { completeAttempts(input: $input) {
        attempts { id state target { status } } userErrors { code } } }"""
    extend = "mutation ($input: ExtendAttemptsInput!) { extendAttempts(input: $input) { userErrors { code } } }"
    for _ in range(30):
        extended = await client.run(extend, input={"attemptIds": [attempt_id]})
        assert extended["extendAttempts"]["userErrors"] == []
    given = {"results": [{"attemptId": attempt_id, "disposition": "ANSWERED"}]}
    completed = (await client.run(complete, input=given))["completeAttempts"]
    assert [one["state"] for one in completed["attempts"]] == [AttemptState.COMPLETED.value]
    # with a page in its answer it is a read as well
    with_page = complete.replace("target { status }", "target { outdial { targets(first: 100) { nodes { id } } } }")
    while (answer := await post(client, with_page, variables={"input": given})).status_code == httpx.codes.OK:
        pass
    assert codes(answer.json()) == ["RATE_LIMITED"]
    completed = (await client.run(complete, input=given))["completeAttempts"]
    assert completed["userErrors"] == []
    beside = """mutation ($claim: ClaimTargetsInput!, $input: CompleteAttemptsInput!) {
        completeAttempts(input: $input) { userErrors { code } } claimTargets(input: $claim) { attempts { id } } }"""
    answer = await post(client, beside, variables={"claim": {"outdialId": outdial_id}, "input": given})
    assert "errors" not in answer.json()


async def test_a_request_that_is_wrong_costs_something_too(caller: Client) -> None:
    wrong, began = "{ " + "nothing " * 500 + "}", time.monotonic()
    for _ in range(20):
        assert codes((await post(caller, wrong)).json()) == ["LIMIT_EXCEEDED"]
    left = (await caller.run("{ rateLimit { remaining } }"))["rateLimit"]["remaining"]
    assert left <= 2_500 - 20 * 5 + time.monotonic() - began


@pytest.mark.slow
async def test_a_limit_holds_after_a_restart(limited: ServerProcess, caller: Client) -> None:
    await exhaust(caller)
    began = time.monotonic()
    limited.stop()
    limited.start()
    passed = 0
    while (await post(caller, COSTLY)).status_code == httpx.codes.OK:
        passed += COST
    assert passed <= time.monotonic() - began + SHARE


async def test_while_the_row_cannot_be_written_nobody_is_refused(
    limited: ServerProcess, kind: Kind, caller: Client
) -> None:
    assert (await post(caller, COSTLY)).status_code == httpx.codes.OK
    async with writes_locked(limited.database_url, kind):
        for _ in range(2 * 2_500 // COST):
            assert (await post(caller, COSTLY)).status_code == httpx.codes.OK
    # now it holds again, and nothing of that is owed
    await asyncio.sleep(1.1)
    passed = 0
    async with asyncio.timeout(60):
        while (await post(caller, COSTLY)).status_code == httpx.codes.OK:
            passed += 1
    assert passed >= 10


@asynccontextmanager
async def writes_locked(url: str, kind: Kind) -> AsyncIterator[None]:
    """Nobody can write a row of a bucket, and everybody can read."""
    if kind == "sqlite":
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)) as holder:
            holder.execute("BEGIN IMMEDIATE")
            yield
            holder.execute("ROLLBACK")
    else:
        connection = await asyncpg.connect(url)
        try:
            async with connection.transaction():
                await connection.execute("LOCK TABLE rate_limit IN EXCLUSIVE MODE")
                yield
        finally:
            await connection.close()


async def test_two_servers_share_the_limit(postgres_url: str, tmp_path: Path) -> None:
    with (
        ServerProcess(postgres_url, tmp_path, environment=LIMIT) as one,
        ServerProcess(postgres_url, tmp_path, environment=LIMIT) as two,
    ):
        customer, passed, began = str(uuid4()), 0, time.monotonic()

        async def ask(server: ServerProcess) -> None:
            nonlocal passed
            async with Client(server.url, customer) as client:
                for _ in range(20):
                    if (await post(client, COSTLY)).status_code == httpx.codes.OK:
                        passed += COST

        await asyncio.gather(*(ask(server) for server in (one, two) for _ in range(2)))
        assert 2_500 - COST <= passed <= 2_500 + time.monotonic() - began + 2 * SHARE
