"""What one customer's single calls cost while another asks for as much as it can.

    python -m benchmarks.fairness                                    # both databases, about two minutes
    python -m benchmarks.fairness --database postgresql --connections 200 --seconds 20

The second customer reads pages of 100 targets over 50 connections without end, has 20 sockets with 100 subscriptions
each, and sends two slow imports. The first one reads an outdial, and extends a lease, one call after the other. The
client runs on the same cores, so its own work for the second customer is in the figures, too.
"""

import argparse
import asyncio
import random
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import psutil
import uvloop

from app import db
from benchmarks import library
from benchmarks.calling import Line
from benchmarks.dialing import bounded
from benchmarks.library import Owner
from benchmarks.loading import load
from benchmarks.measuring import NoGauge, quantile
from benchmarks.questions import QUESTIONS
from benchmarks.reading import Side, _graphql
from benchmarks.staging import postgres_server, progress
from tests.support import postgres
from tests.support.graphql_client import Client, Subscription
from tests.support.server import ServerProcess, token

SECONDS_MAX = 1_800
SOCKETS, SUBSCRIPTIONS = 20, 100
IMPORTS = 2
PIECE_SECONDS = 1.0
READ = "query ($id: ID!) { outdial(id: $id) { id name } }"
EXTEND = "mutation ($ids: [ID!]!) { extendAttempts(input: {attemptIds: $ids}) { attempts { id } userErrors { code } } }"
HEADER = ("database", "call", "the other customer", "calls", "p50 ms", "p99 ms", "p99 ratio")
EVENTS = "subscription ($id: ID!) { targetEvents(outdialId: $id) { cursor events { type targetId } } }"


async def ask(line: Line, customer_id: str, outdial_id: str, attempt_id: str, seconds: float) -> dict[str, list[float]]:
    """How long each of the first customer's calls takes."""
    headers = {"Authorization": f"Bearer {token(customer_id)}", "Accept": "application/json"}
    calls = {"read": (READ, {"id": outdial_id}), "extend": (EXTEND, {"ids": [attempt_id]})}
    took: dict[str, list[float]] = {name: [] for name in calls}
    ends = time.perf_counter() + seconds
    while time.perf_counter() < ends:
        for name, (query, variables) in calls.items():
            began = time.perf_counter()
            answer = await line.post("/graphql", headers, {"query": query, "variables": variables})
            took[name].append(time.perf_counter() - began)
            assert "errors" not in answer, answer
            if name == "extend":
                assert answer["data"]["extendAttempts"]["attempts"], answer
        await asyncio.sleep(0.005)
    return took


async def subscribed(url: str, owner: Owner, stack: AsyncExitStack) -> None:
    client = await stack.enter_async_context(Client(url, owner.customer_id))
    for number in range(SOCKETS * SUBSCRIPTIONS // 50):
        shelf = owner.short[number % len(owner.short)]
        held: Subscription = client.subscribe(EVENTS, id=shelf.id)
        await stack.enter_async_context(held)


async def slow_file() -> AsyncIterator[bytes]:
    yield b"name,phone\n"
    number = 0
    while True:
        number += 1
        yield f"Person {number},+4930{number:07}\n".encode() * 60  # above the least rate
        await asyncio.sleep(PIECE_SECONDS)


async def send_file(url: str, owner: Owner) -> None:
    async with httpx.AsyncClient(timeout=None, trust_env=False) as client:
        await client.post(
            f"{url}/v1.0/outdials/{owner.short[0].id}/targets/import",
            content=slow_file(),
            headers={"Authorization": f"Bearer {token(owner.customer_id)}", "Content-Type": "text/csv"},
        )


async def measure(database: str, options: argparse.Namespace) -> dict[str, dict[str, list[float]]]:
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url = f"{library.SQLITE}{folder}/outdial.db"
        if database == "postgresql":
            url = await postgres.create_database(stack.enter_context(postgres_server(on_disk=False)))
        await db.migrate(url)
        await db.connect(url)
        try:
            found = await library.build(url, targets=1_000, each=200, others=1)
        finally:
            await db.close()
        server = stack.enter_context(ServerProcess(url, folder, environment={"OUTDIAL_LOG_LEVEL": "WARNING"}))
        [few], many = found.others, found.one
        async with Client(server.url, few.customer_id) as client:
            outdial = await client.outdial()
            await client.target(outdial["id"])
            [attempt] = (await client.good("claimTargets", outdialId=outdial["id"], limit=1))["attempts"]
        line = await Line.opened(server.url)
        stack.push_async_callback(line.close)

        async def calls(seconds: float) -> dict[str, list[float]]:
            return await ask(line, few.customer_id, outdial["id"], attempt["id"], seconds)

        await calls(1)
        took = {"idle": await calls(options.seconds)}
        await subscribed(server.url, many, stack)
        files = [asyncio.create_task(send_file(server.url, many)) for _ in range(IMPORTS)]
        took["with subscriptions and imports"] = await calls(options.seconds)
        side, question, chance = Side("outdial", server.url, server.pid, _graphql), QUESTIONS["Q2"], random.Random(7)
        request = side.requests(question)
        loading = asyncio.create_task(
            load(
                server.url,
                lambda: request(many.customer_id, question.draw(many, chance)),
                connections=options.connections,
                warm_seconds=1,
                seconds=options.seconds + 2,
                processes=[psutil.Process(server.pid)],
                gauge=NoGauge(),
            )
        )
        await asyncio.sleep(2)
        took["and 50 readers"] = await calls(options.seconds)
        run = await loading
        progress(
            f"{database}: {len(run.seconds) / run.elapsed:,.0f} pages/s of the other customer, {run.failed} failed"
        )
        for file in files:
            assert not file.done(), file
            file.cancel()
        await asyncio.wait(files)
        return took


def table(database: str, took: dict[str, dict[str, list[float]]]) -> list[str]:
    lines = []
    for name in ("read", "extend"):
        idle = quantile(took["idle"][name], 0.99)
        for phase, calls in took.items():
            p50, p99 = (quantile(calls[name], part) * 1e3 for part in (0.5, 0.99))
            cells = [
                database,
                name,
                phase,
                f"{len(calls[name]):,}",
                f"{p50:.1f}",
                f"{p99:.1f}",
                f"{p99 / idle / 1e3:.1f}",
            ]
            lines.append(f"| {' | '.join(cells)} |")
    return lines


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add = made.add_argument
    add("--database", nargs="+", choices=["sqlite", "postgresql"], default=["sqlite", "postgresql"])
    add("--connections", type=bounded(1, 500), default=50)
    add("--seconds", type=bounded(1, 120, float), default=10.0, help="of each phase")
    return made


async def main(arguments: Sequence[str] | None = None) -> None:
    options = parser().parse_args(arguments)
    lines: list[Any] = []
    async with asyncio.timeout(SECONDS_MAX):
        for database in options.database:
            lines += table(database, await measure(database, options))
    print(
        "| database | call | the other customer | calls | p50 ms | p99 ms | p99 ratio |\n|---|---|---|---|---|---|---|"
    )
    print("\n".join(lines), flush=True)


if __name__ == "__main__":
    uvloop.run(main())
