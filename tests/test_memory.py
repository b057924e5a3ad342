"""Memory that large requests and answers needed goes back to the system when they are done."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from app import memory
from tests.support.factories import phone_number
from tests.support.raw import Raw, resident_mebibytes
from tests.support.server import ServerProcess, token
from tests.support.transport import eventually

LEFT_MEBIBYTES_MAX = 10
GIVEN_BACK_SECONDS_MAX = 20
CREATE = "mutation { createOutdial(input: {}) { outdial { id } } }"
FILL = "mutation($input: CreateTargetsInput!) { createTargets(input: $input) { createdCount rejectedCount } }"
Ask = Callable[..., httpx.Response]


def pages(ask: Ask, outdial_id: str) -> None:
    """Twelve answers of 50 MiB each, six at a time."""
    fields = " ".join(f"a{number}: targets(first: 100) {{ nodes {{ data }} }}" for number in range(9))
    query = f'{{ outdial(id: "{outdial_id}") {{ {fields} }} }}'
    with ThreadPoolExecutor(6) as clients:
        for response in clients.map(lambda _: ask(query), range(12)):
            assert len(response.content) > 50_000_000


def too_long(ask: Ask, outdial_id: str) -> None:
    """Answers that are given up when they are too long."""
    fields = " ".join(f"a{number}: targets(first: 100) {{ nodes {{ data }} }}" for number in range(20))
    for _ in range(4):
        assert "LIMIT_EXCEEDED" in ask(f'{{ outdial(id: "{outdial_id}") {{ {fields} }} }}').text


def inputs(ask: Ask, outdial_id: str) -> None:
    """Requests of nearly 8 MiB: of a few long texts, and of a million empty objects."""
    long = {"outdialId": outdial_id, "targets": [{"key": "x" * 60_000} for _ in range(120)]}
    many: dict[str, Any] = {"outdialId": outdial_id, "targets": [{}] * 2_000_000}
    for _ in range(4):
        assert ask(FILL, input=long).status_code == httpx.codes.OK
        assert ask(FILL, input=many).status_code in {200, 400}


def mistakes(ask: Ask, outdial_id: str) -> None:
    """Requests of nearly 8 MiB that are wrong, each in its own way, some with other fields beside the mistake."""
    long = "x" * 7_900_000
    page = """query($id: ID!, $after: String) { outdial(id: $id) { id eventCursor progress { total }
        targets(first: 5, after: $after) { totalCount nodes { id attempts(first: 1) { nodes { id } } } } } }"""
    for _ in range(6):
        for query, variables in [
            (page, {"id": outdial_id, "after": long}),
            (page, {"id": long}),
            (page, {"id": outdial_id, "unknown": long}),
            (page, {"id": 5.5, "after": long}),
            (
                "mutation($input: UpdateTargetInput!) { updateTarget(input: $input) { target { id } } }",
                {"input": {"id": str(uuid4()), "data": long}},
            ),
            ("query($ids: [ID!]!) { nodes(ids: $ids) { id } }", {"ids": [long]}),
            ("{ __schema { queryType { name } } }", {"unknown": long}),
        ]:
            assert ask(query, **variables).status_code == httpx.codes.OK


def messages(port: int, mine: str) -> None:
    """The same on sockets: one is answered, and the other ends its socket."""
    for _ in range(8):
        with Raw(port, seconds=30) as socket:
            socket.upgrade().initialise(mine)
            for targets in ([{"key": "x" * 60_000}] * 120, [{}] * 2_000_000):
                variables = {"input": {"outdialId": str(uuid4()), "targets": targets}}
                socket.say(type="subscribe", id="1", payload={"query": FILL, "variables": variables})
            assert socket.close_code() == 4400


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("work", ["pages", "too long", "inputs", "mistakes", "messages"])
def test_what_large_requests_needed_goes_back(database_url: str, tmp_path: Path, work: str) -> None:
    mine = token(str(uuid4()))
    with (
        ServerProcess(database_url, tmp_path, environment={"OUTDIAL_LOG_LEVEL": "WARNING"}) as server,
        httpx.Client(
            base_url=server.url, headers={"Authorization": f"Bearer {mine}"}, trust_env=False, timeout=60
        ) as client,
    ):

        def ask(query: str, **variables: Any) -> httpx.Response:
            return client.post("/graphql", json={"query": query, "variables": variables})

        outdial_id = ask(CREATE).json()["data"]["createOutdial"]["outdial"]["id"]
        for _ in range(10):
            drafts = [{"data": "x" * 60_000, "destination0": {"target": phone_number()}} for _ in range(10)]
            made = ask(FILL, input={"outdialId": outdial_id, "targets": drafts}).json()["data"]["createTargets"]
            assert made == {"createdCount": 10, "rejectedCount": 0}
        for _ in range(50):
            ask(f'{{ outdial(id: "{outdial_id}") {{ targets(first: 1) {{ nodes {{ data id }} }} }} }}')
        time.sleep(3)
        before = resident_mebibytes(server.pid)
        if work == "messages":
            messages(server.port, mine)
        else:
            {"pages": pages, "too long": too_long, "inputs": inputs, "mistakes": mistakes}[work](ask, outdial_id)
        deadline = time.monotonic() + GIVEN_BACK_SECONDS_MAX
        while (now := resident_mebibytes(server.pid)) > before + LEFT_MEBIBYTES_MAX:
            assert time.monotonic() < deadline, (before, now)
            time.sleep(0.5)


class Heap:
    """What the C library has of the system. While some goes back for the first time, more becomes free."""

    used, unused = 20 * 1024 * 1024, 70 * 1024 * 1024
    becomes_free = 30 * 1024 * 1024

    def malloc_trim(self, _left: int) -> None:
        self.unused, self.becomes_free = 70 * 1024 * 1024 + self.becomes_free, 0


async def test_what_becomes_free_while_memory_goes_back_goes_back_too(monkeypatch: pytest.MonkeyPatch) -> None:
    heap: Any = Heap()
    monkeypatch.setattr(memory, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(memory, "_bytes", lambda library, _status: (library.used, library.unused))
    giving = asyncio.create_task(memory._give_back(heap, 0))
    await asyncio.sleep(0)  # it looks for the first time
    heap.unused += 20 * 1024 * 1024
    try:
        await eventually(lambda: heap.unused <= 70 * 1024 * 1024, 30)
    finally:
        giving.cancel()
    assert heap.becomes_free == 0
