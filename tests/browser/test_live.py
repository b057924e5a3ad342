"""What the page shows is what there is: to a list's end, through a crash of the server, past the token's end."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from playwright.async_api import Browser, Page, expect

from app.demo.dialer import Attempt, Dialer, Result
from tests.conftest import Databases, Kind
from tests.support.browsing import Sight, becomes, connection, counts, rows, sight, until
from tests.support.factories import phone_number
from tests.support.graphql_client import Client
from tests.support.server import ServerProcess, token

TARGETS = 500
POLICY = {"maxTryCounts": [1, 1, 0, 0, 0], "retryIntervalSeconds": 0, "leaseSeconds": 30}
CALLED_SECONDS_MAX = 60
PROGRESS = """query($id: ID!) { outdial(id: $id) { progress {
  total idle progressing done attempts doneByReason { reason count } } } }"""
STATES = """query($ids: [ID!]!) { nodes(ids: $ids) { id ... on OutdialTarget {
  status tryCount0 tryCount1 tryCount2 tryCount3 tryCount4 } } }"""


async def call(attempt: Attempt) -> Result:
    """As the demo's telephone ends calls, but soon."""
    odds = {"ANSWERED": 41, "NO_ANSWER": 25, "MACHINE": 15, "BUSY": 15, "INVALID_DESTINATION": 3, "DO_NOT_CALL": 1}
    dice = random.Random(attempt["id"])
    await asyncio.sleep(dice.uniform(0.02, 0.1))
    return {"disposition": dice.choices(list(odds), list(odds.values()))[0]}


@asynccontextmanager
async def dialing(client: Client, outdial_id: str) -> AsyncIterator[None]:
    stopping = asyncio.Event()
    async with (
        httpx.AsyncClient(base_url=client.url, headers=client.http.headers, timeout=10, trust_env=False) as http,
        asyncio.TaskGroup() as tasks,
    ):
        tasks.create_task(Dialer(http, outdial_id, "dialer", lines=50, telephone=call).run(stopping))
        yield
        stopping.set()


async def make_list(client: Client) -> str:
    outdial = await client.outdial(name="Spring list", dialPolicy=POLICY)
    targets = [
        {
            "name": f"Person {number}",
            "destination0": {"target": phone_number()},
            "destination1": {"target": phone_number()},
        }
        for number in range(TARGETS)
    ]
    await client.good("createTargets", outdialId=outdial["id"], targets=targets)
    return str(outdial["id"])


async def fresh(client: Client, outdial_id: str) -> dict[str, int]:
    """The counts as the server has them, under the page's names."""
    progress = (await client.run(PROGRESS, id=outdial_id))["outdial"]["progress"]
    reasons = {f"done-{row['reason']}": row["count"] for row in progress.pop("doneByReason")}
    return {name: count for name, count in (progress | reasons).items() if count}


async def until_called(client: Client, outdial_id: str, number: int) -> None:
    async def is_called() -> bool:
        return (await fresh(client, outdial_id)).get("done", 0) >= number

    await until(is_called, seconds=CALLED_SECONDS_MAX)


async def ends_right(page: Page, client: Client, outdial_id: str) -> None:
    """Counts, and each row that shows, are what a fresh read says."""
    there = await fresh(client, outdial_id)
    assert there["done"] == there["total"] == TARGETS
    await becomes(lambda: counts(page), there)
    shown = await rows(page)
    assert len(shown) >= 5

    nodes: list[dict[str, Any]] = (await client.run(STATES, ids=list(shown)))["nodes"]
    stored = {node["id"]: (node["status"], str(sum(node[f"tryCount{index}"] for index in range(5)))) for node in nodes}

    async def read() -> dict[str, tuple[str, str]]:
        return {target_id: (row["status"], row["tries"]) for target_id, row in (await rows(page)).items()}

    await becomes(read, stored)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_500_targets_are_called_to_the_end_and_every_count_is_right(
    seen: Sight, client: Client, kind: Kind
) -> None:
    outdial_id = await make_list(client)
    await seen.open(f"/?outdial={outdial_id}", token=client.token)
    page = seen.page
    await becomes(lambda: connection(page), "live")
    await becomes(lambda: counts(page), {"total": TARGETS, "idle": TARGETS})
    async with dialing(client, outdial_id):
        await until_called(client, outdial_id, TARGETS // 4)
        before = (await counts(page))["done"]

        async def moved() -> bool:
            return (await counts(page))["done"] > before

        await until(moved)
        assert (await counts(page)).get("progressing", 0) > 0
        await until_called(client, outdial_id, TARGETS)
    await ends_right(page, client, outdial_id)


@pytest.mark.slow
async def test_the_page_recovers_by_itself_when_the_server_is_killed_and_started_again(
    browser: Browser, databases: Databases, tmp_path: Path
) -> None:
    async with databases.fresh("sqlite") as database_url:
        server = await ServerProcess(database_url, tmp_path).started()
        try:
            async with Client(server.url, str(uuid4())) as client, sight(browser, server.url) as seen:
                outdial_id = await make_list(client)
                await seen.open(f"/?outdial={outdial_id}", token=client.token)
                page = seen.page
                await page.evaluate("window.opened = 'once'")
                await becomes(lambda: connection(page), "live")
                async with dialing(client, outdial_id):
                    await until_called(client, outdial_id, TARGETS // 5)
                    await asyncio.to_thread(server.kill)

                    async def is_away() -> bool:
                        return await connection(page) in {"connecting", "offline"}

                    await until(is_away)
                    await server.started()
                    await becomes(lambda: connection(page), "live")
                    await until_called(client, outdial_id, TARGETS)
                await ends_right(page, client, outdial_id)
                assert await page.evaluate("window.opened") == "once"  # nobody loaded it again
        finally:
            server.kill()


async def test_a_token_that_expires_is_told_and_replaced_where_one_was(seen: Sight, client: Client) -> None:
    outdial = await client.outdial(name="Spring list")
    short = token(client.customer_id, lifetime=timedelta(seconds=4))
    await seen.open(f"/?outdial={outdial['id']}&status=IDLE", token=short)
    page = seen.page
    await becomes(lambda: connection(page), "live")
    await becomes(lambda: connection(page), "expired")
    await expect(page.get_by_text("expired").first).to_be_visible()
    await client.target(outdial["id"], name="Ana Silva")  # while it was away
    await page.get_by_label("Access token").fill(client.token)
    await page.get_by_role("button", name="Log in").click()
    await becomes(lambda: connection(page), "live")
    await becomes(lambda: counts(page), {"total": 1, "idle": 1})
    assert page.url == f"{seen.url}/?outdial={outdial['id']}&status=IDLE"
    await client.target(outdial["id"])
    await becomes(lambda: counts(page), {"total": 2, "idle": 2})
