"""What refused requests leave behind: nothing."""

import gzip
import time
from contextlib import suppress

import httpx

from app import metrics
from tests.support import raw
from tests.support.raw import Raw, frame, head, resident_mebibytes
from tests.support.server import ServerProcess


async def test_refused_requests_add_no_operation_name_to_the_metrics(usual: ServerProcess, mine: str) -> None:
    headers = {"Authorization": f"Bearer {mine}"}
    async with httpx.AsyncClient(base_url=usual.url, headers=headers, trust_env=False) as client:
        for name in ("Refused", "R" * 100_000):
            body = {"query": "query Refused { nothing }", "operationName": name}
            assert (await client.post("/graphql", json=body)).json()["errors"]
        fits, longer = "F" * metrics.OPERATION_NAME_CHARACTERS_MAX, "L" * (metrics.OPERATION_NAME_CHARACTERS_MAX + 1)
        for name in (fits, longer):
            answer = await client.post("/graphql", json={"query": f"query {name} {{ viewer {{ subject }} }}"})
            assert answer.json()["data"]
        page = (await client.get("/metrics")).text
    assert "Refused" not in page
    assert "RRR" not in page
    assert f'name="{fits}"' in page
    assert longer not in page
    assert 'outdial_graphql_operations_total{name="other",outcome="ok",type="query"} 1.0' in page
    assert len(page) < 100_000


def test_refused_connections_are_counted_and_not_logged(small: ServerProcess) -> None:
    logged = len(small.output())
    with Raw(small.port) as connection:
        assert connection.send(b"GET / HTTP/1.1\r\n\r\n").answer()[0] == 400
    with Raw(small.port) as connection:
        assert connection.send(head("/" + "x" * 5_000)).answer()[0] == 431
    page = httpx.get(f"{small.url}/metrics", trust_env=False).text
    for reason in ("host", "headers"):
        assert f'outdial_refused_connections_total{{reason="{reason}"}}' in page
    assert small.output()[logged:] == ""


def test_memory_comes_back_from_strangers_and_others_are_answered_meanwhile(usual: ServerProcess) -> None:
    message = frame(b'{"type":"connection_init","payload":{"a":[' + b",".join([b"{}"] * 2_600_000) + b"]}}")
    before = resident_mebibytes(usual.pid)
    slowest = 0.0
    for _ in range(2):
        opened = [Raw(usual.port).upgrade() for _ in range(8)]
        for connection in opened:
            with suppress(OSError):
                connection.send(message)
            started = time.monotonic()
            with Raw(usual.port) as other:
                assert other.send(head()).answer()[0] == 200
            slowest = max(slowest, time.monotonic() - started)
        for connection in opened:
            connection.close()
    with Raw(usual.port, buffer=4_096) as connection:  # pings whose pongs nobody reads
        connection.upgrade()
        connection.socket.settimeout(1)
        with suppress(OSError):
            for _ in range(400):
                connection.send(frame(b"x" * 125, raw.PING) * 500)
    time.sleep(0.3)
    assert resident_mebibytes(usual.pid) - before < 10
    assert slowest < 0.25


def test_gzip_is_no_way_around(usual: ServerProcess, mine: str) -> None:
    headers = {"Authorization": f"Bearer {mine}", "Content-Encoding": "gzip", "Content-Type": "application/json"}
    answer = httpx.post(f"{usual.url}/graphql", content=gzip.compress(b"{}"), headers=headers, trust_env=False)
    assert answer.status_code == 415
