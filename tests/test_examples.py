"""The documents' examples: they run, and do what docs/clients.md says of them."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import Databases
from tests.support import node
from tests.support.graphql_client import Client
from tests.support.server import REPOSITORY, ServerProcess, token
from tests.test_dialer import attempts, make_list

EXAMPLES = REPOSITORY / "docs" / "examples"
LINES_MAX = 30
PACKAGES = (
    "graphql@16.11.0",
    "graphql-ws@6.0.6",
    "ws@8.18.3",
    "@apollo/client@4.0.0",
    "rxjs@7.8.2",
    "@urql/core@6.0.3",
)
CUSTOMER = "0192d0a0-0000-7000-8000-000000000001"
WAIT_SECONDS_MAX = 60


@pytest.fixture
def script_folder(tmp_path: Path) -> Path:
    """The JavaScript examples with the packages that they import. If npm cannot install these, the tests fail."""
    node.link(tmp_path, PACKAGES)
    for example in EXAMPLES.glob("*.mjs"):
        shutil.copy(example, tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", ["dialer.py", "live.mjs"])
def test_short_enough_to_be_read(name: str) -> None:
    lines = (EXAMPLES / name).read_text().splitlines()
    assert len(lines) <= LINES_MAX
    assert max(map(len, lines)) <= 120


# ---------------------------------------------------------------- dialer.py


async def test_the_dialer_calls_a_list_to_its_end(client: Client) -> None:
    outdial_id = await make_list(client, *[f"person {number}" for number in range(8)])
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, str(EXAMPLES / "dialer.py"), client.url, outdial_id],
        env={**os.environ, "OUTDIAL_TOKEN": client.token},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    progress = (await client.read_outdial(outdial_id))["progress"]
    assert progress["done"] == progress["total"] == 8
    made = await attempts(client, outdial_id)
    assert {attempt["state"] for attempt in made} == {"COMPLETED"}
    calls = [line for line in done.stdout.splitlines() if line.startswith("calling person")]
    assert len(calls) == len(made) >= 8


# ---------------------------------------------------------------- live.mjs


class Live:
    """live.mjs in a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.events: list[dict[str, Any]] = []
        self.others: list[str] = []

    async def read(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            text = line.decode().rstrip()
            if text.startswith("{"):
                self.events.append(json.loads(text))
            else:
                self.others.append(text)

    async def until(self, count: int) -> None:
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            while len(self.events) < count:  # noqa: ASYNC110 - the events come from another process
                await asyncio.sleep(0.05)


@asynccontextmanager
async def live(script_folder: Path, url: str, bearer: str, outdial_id: str, after: str) -> AsyncIterator[Live]:
    process = await asyncio.create_subprocess_exec(
        *node.commands()[0], "live.mjs", url, outdial_id,
        cwd=script_folder, env={**os.environ, "OUTDIAL_TOKEN": bearer, "AFTER": after},
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    watching = Live(process)
    reading = asyncio.create_task(watching.read())
    try:
        yield watching
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await reading


async def event_cursor(client: Client, outdial_id: str) -> str:
    query = "query($id: ID!) { outdial(id: $id) { eventCursor } }"
    return str((await client.run(query, id=outdial_id))["outdial"]["eventCursor"])


@pytest.mark.slow
async def test_the_live_client_misses_nothing_while_servers_come_and_go(
    databases: Databases, script_folder: Path
) -> None:
    """Killed, it is found again; stopped, it says 1012 first. What was printed is what a replay gives, each once."""
    async with databases.fresh("sqlite") as database_url:
        server = ServerProcess(database_url, script_folder)
        await server.started()
        try:
            async with Client(server.url, CUSTOMER) as client:
                outdial_id = (await client.outdial())["id"]
                start = await event_cursor(client, outdial_id)
                async with live(script_folder, server.socket_url, client.token, outdial_id, start) as watching:
                    expected = 0
                    for end in (server.kill, server.stop, server.kill):
                        for _ in range(20):
                            await client.target(outdial_id)
                        await client.good("claimTargets", outdialId=outdial_id, limit=10)
                        expected += 30
                        await watching.until(expected - 10)  # some may be under way when it ends
                        await asyncio.to_thread(end)
                        await server.started()
                        for _ in range(5):
                            await client.target(outdial_id)
                        expected += 5
                    await watching.until(expected)
                    async with client.target_events(outdial_id, after=start) as replay:
                        cursors: list[str] = []
                        while len(cursors) < expected:
                            cursors += [event["cursor"] for event in (await replay.next())["events"]]
                    assert [event["cursor"] for event in watching.events] == cursors
                    assert watching.others == []

                    await client.good("deleteOutdial", outdial_id)
                    async with asyncio.timeout(WAIT_SECONDS_MAX):
                        assert await watching.process.wait() == 0
                assert watching.others == ["The list was deleted."]
        finally:
            server.kill()


@pytest.mark.slow
async def test_the_live_client_comes_back_when_its_token_expires(databases: Databases, script_folder: Path) -> None:
    """Close code 4403. This one has no fresh token to bring, which is 4401 and the end."""
    async with databases.fresh("sqlite") as database_url:
        server = ServerProcess(database_url, script_folder)
        await server.started()
        try:
            async with Client(server.url, CUSTOMER) as client:
                outdial_id = (await client.outdial())["id"]
                start = await event_cursor(client, outdial_id)
                bearer = token(CUSTOMER, ("read",), lifetime=timedelta(seconds=6))
                async with live(script_folder, server.socket_url, bearer, outdial_id, start) as watching:
                    await client.target(outdial_id)
                    await watching.until(1)
                    async with asyncio.timeout(WAIT_SECONDS_MAX):
                        assert await watching.process.wait() == 1
                assert "4401" in " ".join(watching.others)
        finally:
            server.kill()


# ---------------------------------------------------------------- urql.mjs


async def test_urql_reads_a_list_and_is_sent_its_changes(client: Client, script_folder: Path) -> None:
    outdial_id = (await client.outdial(name="Appointments"))["id"]
    process = await asyncio.create_subprocess_exec(
        *node.commands()[0], "urql.mjs", f"{client.url}/graphql", outdial_id,
        cwd=script_folder, env={**os.environ, "OUTDIAL_TOKEN": client.token},
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            assert await process.stdout.readline() == b"Appointments\n"
            await client.target(outdial_id)
            assert await process.stdout.readline() == b"CREATED\n"
            await client.good("claimTargets", outdialId=outdial_id)
            assert await process.stdout.readline() == b"CLAIMED\n"
    finally:
        process.kill()
        await process.wait()


# ---------------------------------------------------------------- apollo-client.mjs


async def test_apollo_client_shows_each_change_of_a_target(client: Client, script_folder: Path) -> None:
    outdial_id = (await client.outdial())["id"]
    await client.target(outdial_id, name="Ana")
    process = await asyncio.create_subprocess_exec(
        *node.commands()[0], "apollo-client.mjs", f"{client.url}/graphql", outdial_id,
        cwd=script_folder, env={**os.environ, "OUTDIAL_TOKEN": client.token},
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            assert await process.stdout.readline() == b"Ana IDLE\n"
            (attempt,) = (await client.good("claimTargets", outdialId=outdial_id))["attempts"]
            assert await process.stdout.readline() == b"Ana PROGRESSING\n"
            result = {"attemptId": attempt["id"], "disposition": "ANSWERED"}
            await client.good("completeAttempts", results=[result])
            assert await process.stdout.readline() == b"Ana DONE\n"
            url, headers = f"/v1.0/outdials/{outdial_id}/targets/import", {"Content-Type": "text/csv"}
            done = await client.http.post(url, content=b"name,phone\nBo,+12125550142\n", headers=headers)
            assert done.status_code == httpx.codes.OK
            assert await process.stdout.readline() == b"Bo IDLE\n"
    finally:
        process.kill()
        await process.wait()


# ---------------------------------------------------------------- apollo-cache.mjs

APOLLO = """
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { gql } from "@apollo/client";
import { applyEvents, createCache } from "./apollo-cache.mjs";

const { outdialId, pages, older, newer, events } = JSON.parse(readFileSync("answers.json", "utf8"));
const TARGETS = gql`
  query Targets($id: ID!, $after: String, $where: TargetFilter) { outdial(id: $id) { id
    targets(first: 2, after: $after, where: $where) {
      edges { cursor node { id name status doneReason version nextTryAt
        tryCount0 tryCount1 tryCount2 tryCount3 tryCount4 currentAttempt { id state } } }
      pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } } }`;
const write = (cache, { variables, data }) => cache.writeQuery({ query: TARGETS, variables, data });
const read = (cache, variables = { id: outdialId }) =>
  cache.readQuery({ query: TARGETS, variables })?.outdial.targets.edges.map(({ node }) => node);

// Pages join, whatever their size, and a filter makes another list.
const cache = createCache();
for (const page of pages) write(cache, page);
const names = pages.flatMap(({ data }) => data.outdial.targets.edges.map(({ node }) => node.name));
assert.deepEqual(read(cache).map(({ name }) => name), names);
assert.equal(read(cache, { id: outdialId, where: { statuses: ["DONE"] } }), undefined);

// Of two versions the newer one stays, in whichever order they arrive.
for (const [first, second] of [[older, newer], [newer, older]]) {
  const cache = createCache();
  const seen = [];
  write(cache, first);
  cache.watch({ query: TARGETS, variables: { id: outdialId }, optimistic: true, immediate: true,
    callback: ({ result }) => seen.push(result.outdial.targets.edges[0].node.version) });
  write(cache, second);
  const target = read(cache)[0];
  assert.deepEqual(target, newer.data.outdial.targets.edges[0].node);
  assert.ok(seen.every((version, index) => index === 0 || version >= seen[index - 1]), `${seen}`);
}

// Events fold in by version: the old page and the events give what the new page says.
const folded = createCache();
write(folded, older);
applyEvents(folded, events);
applyEvents(folded, events.slice(0, 1));
const { currentAttempt: _, ...state } = read(folded)[0];
const { currentAttempt: __, ...fresh } = newer.data.outdial.targets.edges[0].node;
assert.deepEqual(state, fresh);

// And a page that arrives after them changes nothing back.
write(folded, older);
assert.equal(read(folded)[0].version, fresh.version);
assert.equal(read(folded)[0].status, "DONE");
console.log("good");
"""
TARGETS = """query Targets($id: ID!, $after: String, $where: TargetFilter) { outdial(id: $id) { __typename id
  targets(first: 2, after: $after, where: $where) { __typename
    edges { __typename cursor node { __typename id name status doneReason version nextTryAt
      tryCount0 tryCount1 tryCount2 tryCount3 tryCount4 currentAttempt { __typename id state } } }
    pageInfo { __typename hasNextPage hasPreviousPage startCursor endCursor } } } }"""


async def test_the_apollo_cache_joins_pages_and_keeps_the_newer_version(client: Client, script_folder: Path) -> None:
    outdial_id = await make_list(client, *[f"person {number}" for number in range(5)])

    async def answer(after: str | None = None) -> dict[str, Any]:
        variables = {"id": outdial_id, **({"after": after} if after else {})}
        return {"variables": variables, "data": await client.run(TARGETS, **variables)}

    pages = [await answer()]
    while (info := pages[-1]["data"]["outdial"]["targets"]["pageInfo"])["hasNextPage"]:
        pages.append(await answer(info["endCursor"]))
    assert len(pages) == 3
    start = await event_cursor(client, outdial_id)
    claimed = (await client.good("claimTargets", outdialId=outdial_id, limit=5))["attempts"]
    first = pages[0]["data"]["outdial"]["targets"]["edges"][0]["node"]["id"]
    (attempt_id,) = [attempt["id"] for attempt in claimed if attempt["target"]["id"] == first]
    await client.good("completeAttempts", results=[{"attemptId": attempt_id, "disposition": "ANSWERED"}])
    newer = await answer()
    events: list[dict[str, Any]] = []
    async with client.target_events(outdial_id, after=start) as subscription:
        while len(events) < 6:
            events += (await subscription.next())["events"]
    answers = {"outdialId": outdial_id, "pages": pages, "older": pages[0], "newer": newer, "events": events}
    (script_folder / "answers.json").write_text(json.dumps(answers))

    done = await asyncio.to_thread(node.run, script_folder, APOLLO)
    assert (done.stdout, done.stderr, done.returncode) == ("good\n", "", 0)
