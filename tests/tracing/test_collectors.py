"""A collector that is slow, absent or well: spans arrive, and no request waits for it."""

import asyncio
import logging
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    SpanExporter,
    SpanExportResult,
)

from app import tracing
from tests.conftest import Databases, Kind
from tests.support.collecting import Collector, collector
from tests.support.graphql_client import Client
from tests.support.postgres import free_port
from tests.support.server import ServerProcess
from tests.support.spans import CUSTOMER
from tests.support.waiting import until


class Stuck(SpanExporter):
    def __init__(self) -> None:
        self.go = threading.Event()
        self.taken = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.taken += len(spans)
        self.go.wait(60)
        return SpanExportResult.SUCCESS


async def test_a_collector_that_hangs_holds_up_nothing_and_what_waits_for_it_is_bounded() -> None:
    exporter = Stuck()
    processor = BatchSpanProcessor(exporter, max_queue_size=64, max_export_batch_size=16)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(processor)
    logging.getLogger("opentelemetry.sdk._shared_internal").disabled = True
    tracing.use(provider)
    try:
        for _ in range(2_000):
            span = tracing.RequestSpan("POST", [], None)
            span.end("/graphql", 200)
            span.leave()
        assert len(processor._batch_processor._queue) <= 64
        assert exporter.taken <= 16
        begun = time.monotonic()
        await tracing.stop()
        assert time.monotonic() - begun < tracing.STOP_SECONDS_MAX + 20
        assert not tracing.is_on()
    finally:
        exporter.go.set()
        tracing.use(None)
        logging.getLogger("opentelemetry.sdk._shared_internal").disabled = False


def environment(collecting: str, **more: str) -> dict[str, str]:
    return {
        "OUTDIAL_TRACING": "on",
        "OTEL_EXPORTER_OTLP_ENDPOINT": collecting,
        "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer planted-collector-token",
        "OTEL_BSP_SCHEDULE_DELAY": "200",
        **more,
    }


async def ask_in_all_ways(server: ServerProcess) -> None:
    async with Client(server.url, CUSTOMER) as client:
        outdial = (await client.outdial(name="x"))["id"]
        async with client.target_events(outdial) as events:
            await events.next()
        async with client.subscribe("query OverSocket { outdials(first: 1) { nodes { id } } }") as answers:
            await answers.next()
        stream = {"query": f'subscription OverStream {{ targetEvents(outdialId: "{outdial}") {{ cursor }} }}'}
        async with client.http.stream("POST", "/graphql", json=stream, headers={"Accept": "text/event-stream"}) as got:
            async for line in got.aiter_lines():
                if line.startswith("data:"):
                    break


@pytest.mark.slow
async def test_spans_arrive_at_a_real_collector_of_http_sockets_and_streams(
    kind: Kind, databases: Databases, tmp_path: Path
) -> None:
    with collector() as collecting:
        more = {
            "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test",
            "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
        }
        async with databases.fresh(kind) as url:
            server = ServerProcess(url, tmp_path, environment=environment(collecting.url, **more))
            await server.started()
            await ask_in_all_ways(server)
            await until(lambda: any(span.name == "POST /graphql" for span in collecting.spans))
            async with Client(server.url, CUSTOMER) as client:
                await client.run("query Last { viewer { subject } }")
            await asyncio.to_thread(server.stop)
        assert "planted" not in server.output()
    by_id = {span.span_id: span for span in collecting.spans}
    named = {str(span.attributes.get("graphql.operation.name", "")): span for span in collecting.spans}
    assert collecting.paths == {"/v1/traces"}
    assert all(
        headers["authorization"] == "Bearer planted-collector-token" for headers in map(lower, collecting.headers)
    )
    assert {span.resource["service.name"] for span in collecting.spans} == {"outdial"}
    assert {span.resource["deployment.environment.name"] for span in collecting.spans} == {"test"}
    assert named["OverSocket"].parent_id == ""
    assert [span for span in collecting.spans if span.parent_id == named["OverSocket"].span_id]
    assert by_id[named["OverStream"].parent_id].name == "POST /graphql"
    assert named["OverStream"].name == "subscription"
    assert by_id[named["Last"].parent_id].attributes["http.response.status_code"] == 200
    assert all(CUSTOMER not in span.text for span in collecting.spans)


def lower(headers: dict[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


@pytest.mark.slow
@pytest.mark.parametrize("way", ["absent", "silent"])
async def test_a_server_without_its_collector_answers_and_ends_as_ever(
    databases: Databases, tmp_path: Path, way: str
) -> None:
    with collector() as collecting:
        collecting.is_silent = True
        endpoint = collecting.url if way == "silent" else f"http://127.0.0.1:{free_port()}"
        async with databases.fresh("sqlite") as url:
            more = {"OTEL_BSP_MAX_QUEUE_SIZE": "100", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "20"}
            server = ServerProcess(url, tmp_path, environment=environment(endpoint, **more))
            await server.started()
            async with Client(server.url, CUSTOMER) as client:
                for _ in range(300):
                    await client.run("{ viewer { subject } }")
            if way == "silent":
                await until(lambda: collecting.asked > 0)
            await asyncio.to_thread(server.stop)  # it fails if that takes 20 seconds
        assert server.exit_code == 0
        assert "planted" not in server.output()
        assert len(server.output().splitlines()) < 400
        assert isinstance(collecting, Collector)
