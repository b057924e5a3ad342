"""Pages of other origins: an allowed one may send every header and read every answer, another one nothing (CORS)."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.server import boundary
from tests.support.server import ServerProcess, token
from tests.support.transport import ORIGIN
from tests.test_server import copied

STRANGERS = [
    "https://evil.example.com",
    "null",
    "http://app.example.com",
    f"{ORIGIN}.evil.example.com",
    f"{ORIGIN}:8443",
    f"{ORIGIN}/",
    ORIGIN.upper(),
]
# What the clients and tracers of this trade send, by their documentation.
HEADERS = [
    "authorization, content-type",
    "idempotency-key",
    "apollographql-client-name, apollographql-client-version",
    "apollo-require-preflight",
    "x-apollo-operation-id, x-apollo-operation-name, x-apollo-operation-type",
    "graphql-client-name, graphql-client-version",  # GraphQL Hive
    "graphql-preflight, x-graphql-event-stream-token",  # Hot Chocolate, graphql-sse
    "traceparent, tracestate, baggage",  # W3C, as OpenTelemetry sends them
    "sentry-trace, baggage",
    "b3, x-b3-traceid, x-b3-spanid, x-b3-sampled",
    "x-datadog-trace-id, x-datadog-parent-id, x-datadog-origin, x-datadog-sampling-priority",
    "newrelic, x-amzn-trace-id, uber-trace-id, elastic-apm-traceparent",
    "x-request-id, x-correlation-id, x-requested-with",
    "last-event-id, cache-control, if-none-match, range",
]
GRAPHQL, OUTDIALS = "/graphql", "/v1.0/outdials"
TOKEN_CHARACTERS = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"


@pytest.fixture(scope="module")
def running(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("server")
    database = f"sqlite:///{copied(sqlite_template, folder)}"
    environment = {"OUTDIAL_ALLOWED_ORIGINS": f"https://other.example.com,{ORIGIN}"}
    with ServerProcess(database, folder, environment=environment) as process:
        yield process


@pytest.fixture
async def client(running: ServerProcess) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"Authorization": f"Bearer {token(str(uuid4()))}", "Origin": ORIGIN}
    async with httpx.AsyncClient(base_url=running.url, headers=headers, timeout=20, trust_env=False) as client:
        yield client


def preflight(origin: str, headers: str, method: str = "POST") -> dict[str, str]:
    return {
        "Origin": origin,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": headers,
    }


def allows(response: httpx.Response, headers: str, method: str) -> bool:
    """What a browser concludes from a preflight: https://fetch.spec.whatwg.org/#cors-preflight-fetch."""
    answered = response.headers
    names = {name.strip().lower() for name in answered.get("access-control-allow-headers", "").split(",")}
    return (
        response.is_success
        and answered.get("access-control-allow-origin") == ORIGIN
        and answered.get("access-control-allow-credentials") == "true"
        and method in answered.get("access-control-allow-methods", "").split(", ")
        and {name.strip().lower() for name in headers.split(",")} <= names
    )


def readable(response: httpx.Response) -> bool:
    """Whether a page of ORIGIN can read the answer to a request with the cookie."""
    answered = response.headers
    return (
        answered.get_list("access-control-allow-origin") == [ORIGIN]
        and answered.get("access-control-allow-credentials") == "true"
        and "Origin" in answered["vary"]
    )


# ---------------------------------------------------------------- asking first


@pytest.mark.parametrize("headers", HEADERS)
async def test_a_page_of_an_allowed_origin_may_send_what_its_client_sends(
    client: httpx.AsyncClient, headers: str
) -> None:
    for path, method in ((GRAPHQL, "POST"), (GRAPHQL, "GET"), (OUTDIALS, "POST"), (f"{OUTDIALS}/{uuid4()}", "DELETE")):
        response = await client.options(path, headers=preflight(ORIGIN, headers, method))
        assert allows(response, headers, method), (path, dict(response.headers))
        assert response.headers["x-request-id"]


async def test_a_server_in_a_private_network_lets_pages_of_allowed_origins_in(client: httpx.AsyncClient) -> None:
    """https://wicg.github.io/private-network-access/: Chrome asks so before a public page calls a private address."""
    asked = {"Access-Control-Request-Private-Network": "true"}
    allowed = await client.options(GRAPHQL, headers=preflight(ORIGIN, "authorization") | asked)
    assert allows(allowed, "authorization", "POST")
    assert allowed.headers["access-control-allow-private-network"] == "true"
    stranger = await client.options(GRAPHQL, headers=preflight(STRANGERS[0], "authorization") | asked)
    assert (stranger.status_code, "access-control-allow-origin" in stranger.headers) == (400, False)


@given(st.lists(st.text(TOKEN_CHARACTERS, min_size=1, max_size=30), min_size=1, max_size=5).map(", ".join))
@settings(deadline=None)
async def test_and_any_other_header(headers: str) -> None:
    app = Starlette(middleware=boundary.middleware([ORIGIN]))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
        assert allows(await client.options("/", headers=preflight(ORIGIN, headers)), headers, "POST")


@pytest.mark.parametrize("origin", STRANGERS)
async def test_a_page_of_another_origin_may_send_and_read_nothing(client: httpx.AsyncClient, origin: str) -> None:
    for path in (GRAPHQL, OUTDIALS, "/nothing", "/healthz"):
        asked = await client.options(path, headers=preflight(origin, "authorization"))
        assert asked.status_code == 400
        for response in (asked, await client.get(path, headers={"Origin": origin})):
            assert "access-control-allow-origin" not in response.headers


# ---------------------------------------------------------------- reading the answer

ANSWERS: list[tuple[str, str, dict[str, Any], int]] = [
    ("POST", GRAPHQL, {"json": {"query": "{ viewer { subject } }"}}, 200),
    ("POST", GRAPHQL, {"json": {}}, 400),
    ("POST", GRAPHQL, {"json": {}, "headers": {"Authorization": "Bearer bad"}}, 401),
    ("DELETE", GRAPHQL, {}, 405),
    ("POST", GRAPHQL, {"json": {"query": "{ viewer { subject } }"}, "headers": {"Accept": "image/png"}}, 406),
    ("POST", GRAPHQL, {"content": b"x" * (8 * 1024 * 1024 + 1), "headers": {"Content-Type": "application/json"}}, 413),
    ("POST", GRAPHQL, {"content": b"x"}, 415),
    ("GET", f"{GRAPHQL}/", {}, 404),
    ("GET", OUTDIALS, {}, 200),
    ("GET", OUTDIALS, {"headers": {"Authorization": "Bearer bad"}}, 401),
    ("GET", f"{OUTDIALS}?page_size=x", {}, 400),
    ("GET", f"{OUTDIALS}/{uuid4()}", {}, 404),
    ("GET", f"{OUTDIALS}/{uuid4()}/targets/export", {}, 404),
    ("PUT", OUTDIALS, {}, 405),
    ("POST", OUTDIALS, {"content": b"x" * (1024 * 1024 + 1), "headers": {"Content-Type": "application/json"}}, 413),
    ("POST", OUTDIALS, {"content": b"x"}, 415),
    ("POST", f"{OUTDIALS}/{uuid4()}/targets/import", {"content": b"x", "headers": {"Content-Type": "text/csv"}}, 404),
    ("GET", "/nothing", {}, 404),
    ("POST", "/healthz", {}, 405),
]


@pytest.mark.parametrize(("method", "path", "request_", "status"), ANSWERS, ids=range(len(ANSWERS)))
async def test_a_page_of_an_allowed_origin_can_read_every_answer(
    client: httpx.AsyncClient, method: str, path: str, request_: dict[str, Any], status: int
) -> None:
    response = await client.request(method, path, **request_)
    assert response.status_code == status
    assert readable(response), dict(response.headers)
    exposed = response.headers["access-control-expose-headers"].lower().split(", ")
    assert {"x-request-id", "retry-after", "content-disposition", "location"} <= set(exposed)


async def test_and_the_answer_to_a_bug() -> None:
    async def bug(_request: Request) -> Response:
        raise ValueError("a secret")

    app = Starlette(routes=[Route("/bug", bug)], middleware=boundary.middleware([ORIGIN]))
    with structlog.testing.capture_logs():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
            response = await client.get("/bug", headers={"Origin": ORIGIN})
            stranger = await client.get("/bug", headers={"Origin": STRANGERS[0]})
    assert response.status_code == stranger.status_code == 500
    assert readable(response)
    assert "access-control-allow-origin" not in stranger.headers
