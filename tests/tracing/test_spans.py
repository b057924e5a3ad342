"""What spans say of requests, operations, statements and errors."""

import hashlib
import re
from uuid import uuid4

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from app import db, housekeeping, outdials, tracing
from tests.support.spans import CUSTOMER, QUERY, Traced, attributes, chain


async def test_a_request_an_operation_and_its_statements_are_one_trace(traced: Traced) -> None:
    assert (await traced.ask()).status_code == 200
    [request], [operation], statements = chain(traced.spans())
    assert (request.name, request.kind, request.status.status_code) == (
        "POST /graphql", SpanKind.SERVER, StatusCode.UNSET,
    )  # fmt: skip
    said = attributes(request)
    assert re.fullmatch(r"[0-9a-f-]{36}", said.pop("outdial.request_id"))
    assert said == {
        "http.request.method": "POST",
        "http.route": "/graphql",
        "http.response.status_code": 200,
        "url.scheme": "http",
    }
    assert (operation.name, operation.kind) == ("query", SpanKind.SERVER)
    assert attributes(operation) == {
        "graphql.operation.type": "query",
        "graphql.operation.name": "Names",
        "graphql.document.hash": f"sha256:{hashlib.sha256(QUERY.encode()).hexdigest()}",
    }
    assert statements
    for statement in statements:
        said = attributes(statement)
        assert statement.kind is SpanKind.CLIENT
        assert statement.name == f"{said['db.operation.name']} {said['db.collection.name']}"
        assert said["db.system.name"] == ("postgresql" if db.is_postgres() else "sqlite")
        assert said["db.operation.name"] == "SELECT"
        assert CUSTOMER not in said["db.query.text"]
        assert "$1" in said["db.query.text"]


async def test_writes_are_seen_from_begin_to_their_last_statement(traced: Traced) -> None:
    mutation = 'mutation { createOutdial(input: {name: "x"}) { outdial { id } } }'
    made = (await traced.ask(mutation)).json()["data"]["createOutdial"]["outdial"]["id"]
    names = {span.name for span in traced.spans()}
    assert {"POST /graphql", "mutation"} < names
    assert any(name.startswith("INSERT ") for name in names), names
    await traced.ask(
        "mutation($input: CreateTargetsInput!) { createTargets(input: $input) { createdCount } }",
        input={"outdialId": made, "targets": [{"destination0": {"target": f"+1555010{n:04}"}} for n in range(5)]},
    )
    traced.spans()
    claim = f'mutation {{ claimTargets(input: {{outdialId: "{made}", limit: 3}}) {{ attempts {{ id }} }} }}'
    assert len((await traced.ask(claim)).json()["data"]["claimTargets"]["attempts"]) == 3
    assert len(chain(traced.spans())) == 3


async def test_rest_has_spans_by_route(traced: Traced) -> None:
    answer = await traced.http.get(f"/v1.0/outdials/{uuid4()}")
    assert answer.status_code == 404
    [request], statements = chain(traced.spans())
    assert request.name.startswith("GET /v1.0/outdials/{")
    assert attributes(request)["http.response.status_code"] == 404
    assert request.status.status_code is StatusCode.UNSET
    assert statements


async def test_probes_and_housekeeping_have_none(traced: Traced) -> None:
    for path in ("/healthz", "/readyz", "/metrics"):
        assert (await traced.http.get(path)).status_code == 200
    await housekeeping._measure()
    await outdials.search_exhausted.go_on()
    assert traced.spans() == []


async def test_errors_are_said_by_their_kind_alone(traced: Traced, monkeypatch: pytest.MonkeyPatch) -> None:
    await traced.ask("{ outdial(id: 5) { id } nothing }")
    [request] = traced.spans()  # it was refused before it was an operation
    assert attributes(request)["http.response.status_code"] in {200, 400}

    async def fail(*_: object, **__: object) -> None:
        raise ValueError("+15550100999 planted")

    monkeypatch.setattr(outdials, "page", fail)
    await traced.ask()
    spans = traced.spans()
    [operation] = [span for span in spans if span.name == "query"]
    assert attributes(operation)["error.type"] == "INTERNAL"
    assert operation.status.status_code is StatusCode.ERROR
    assert operation.status.description is None
    assert all(not span.events for span in spans)
    assert "planted" not in "".join(span.to_json() for span in spans)


async def test_a_statement_that_fails_says_its_class_and_code_but_not_its_message(
    traced: Traced, exporter: InMemorySpanExporter
) -> None:
    assert tracing._api is not None
    planted = "planted-" + "9" * 11

    async def work(tx: db.Transaction) -> None:
        await tx.fetch("INSERT INTO idempotency_key (customer_id) VALUES ($1)", planted)

    with tracing._api.tracer.start_as_current_span("test"), pytest.raises(Exception) as caught:  # noqa: PT011
        await db.transaction(work)
    [failed] = [span for span in traced.spans() if span.name.startswith("INSERT")]
    said = attributes(failed)
    assert said["error.type"] == type(caught.value).__name__ or "Error" in said["error.type"]
    assert failed.status.status_code is StatusCode.ERROR
    assert planted not in failed.to_json()
    assert not failed.events
    if db.is_postgres():
        assert len(said["db.response.status_code"]) == 5
