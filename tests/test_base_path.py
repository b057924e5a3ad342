"""OUTDIAL_BASE_PATH: everything works below a path, behind a proxy that passes it on and behind one that strips it."""

import asyncio
import html
import json
import re
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import pytest
import websockets
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Receive, Scope, Send

from app.server.prefix import BasePath
from tests.support.graphql_client import Client
from tests.support.proxying import ReverseProxy
from tests.support.server import JWT_SECRET, REPOSITORY, ServerProcess
from tests.support.transport import receive, send
from tests.test_demo import Demo
from tests.test_paths import ask
from tests.test_server import copied

BASE = "/tools/calls"
COMMAND_SECONDS_MAX = 60
BROWSER = {"Accept": "text/html,*/*;q=0.8"}


@pytest.fixture(scope="module")
def running(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("server")
    environment = {"OUTDIAL_BASE_PATH": f"{BASE}/", "OUTDIAL_LOG_FORMAT": "json"}
    with ServerProcess(f"sqlite:///{copied(sqlite_template, folder)}", folder, environment=environment) as process:
        yield process


@pytest.fixture(params=[False, True], ids=["passed on", "stripped"])
async def proxy(running: ServerProcess, request: pytest.FixtureRequest) -> AsyncIterator[ReverseProxy]:
    async with ReverseProxy(running.port, BASE, strips=request.param) as proxy:
        yield proxy
        assert proxy.strays == []


@pytest.fixture
async def client(proxy: ReverseProxy) -> AsyncIterator[Client]:
    """A new customer, who knows the proxy alone."""
    async with Client(proxy.url, str(uuid4())) as client:
        yield client


# ---------------------------------------------------------------- the API


async def test_graphql_works_below_it_on_every_transport(proxy: ReverseProxy, client: Client) -> None:
    outdial = await client.outdial(name="Spring")
    assert (await client.read_outdial(outdial["id"]))["name"] == "Spring"
    query = {"query": "{ outdials { nodes { name } } }"}
    got = await client.http.get("/graphql", params=query)
    assert got.json()["data"]["outdials"]["nodes"] == [{"name": "Spring"}]
    stream = await client.http.post("/graphql", json=query, headers={"Accept": "text/event-stream"})
    assert '"name":"Spring"' in stream.text
    async with websockets.connect(proxy.socket_url, subprotocols=["graphql-transport-ws"]) as socket:
        await send(socket, type="connection_init", payload={"Authorization": f"Bearer {client.token}"})
        assert await receive(socket) == {"type": "connection_ack"}
        await send(socket, type="subscribe", id="1", payload=query)
        assert (await receive(socket))["payload"]["data"]["outdials"]["nodes"] == [{"name": "Spring"}]


async def test_rest_works_below_it_and_its_description_says_where(proxy: ReverseProxy, client: Client) -> None:
    made = (await client.http.post("/v1.0/outdials", json={"name": "Spring"})).json()
    assert (await client.http.get(f"/v1.0/outdials/{made['id']}")).json() == made
    document = (await client.http.get("/v1.0/openapi.json")).json()
    assert document["servers"] == [{"url": BASE}]
    for path in document["paths"]:
        filled = re.sub(r"\{\w+_id\}", str(uuid4()), path.replace("{id}", made["id"]))
        answer = await client.http.get(f"{proxy.origin}{document['servers'][0]['url']}{filled}")
        parameters = document["paths"][path].get("get", {}).get("parameters", ())
        needs_more = any(given["in"] == "query" and given.get("required") for given in parameters)
        assert answer.status_code in ({200, 400, 404, 405} if needs_more else {200, 404, 405})
        assert "ROUTE_NOT_FOUND" not in answer.text
    page = (await client.http.get("/v1.0/docs")).text
    assert f"All paths are below <code>{BASE}</code>." in page


@pytest.mark.parametrize("path", ["", "/", "/graphql", "/v1.0/docs"])
async def test_all_that_a_page_names_is_below_it(proxy: ReverseProxy, path: str) -> None:
    async with httpx.AsyncClient(headers=BROWSER, timeout=20, trust_env=False) as browser:
        page = await browser.get(f"{proxy.url}{path}")
        assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
        named = [html.unescape(name) for name in re.findall(r"(?:src|href|content)=\"(/[^\"]*|\./[^\"]*)\"", page.text)]
        assert named
        for name in named:
            assert name.startswith(f"{BASE}/")
            if name != f"{BASE}/":
                assert (await browser.get(f"{proxy.origin}{name}")).status_code == 200


async def test_the_login_cookie_is_sent_nowhere_else_on_the_host(client: Client) -> None:
    response = await client.http.post("/session")
    assert response.status_code == 200
    assert re.search(rf"; Path={BASE}(;|$)", response.headers["set-cookie"])


@given(st.text().map("/".__add__))
async def test_both_ways_of_a_proxy_reach_the_same_path(path: str) -> None:
    seen: list[str] = []

    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        seen.append(scope["path"])

    async def nothing(*_: object) -> Any:
        raise AssertionError("the prefix sends and receives nothing")

    for kind in ("http", "websocket"):
        scope = {"type": kind, "path": f"{BASE}{path}"}
        await BasePath(app, BASE)(scope, nothing, nothing)
        assert scope["path"] == f"{BASE}{path}"  # the log has it as it came
        await BasePath(app, BASE)({"type": kind, "path": path}, nothing, nothing)
    stripped = path.removeprefix(BASE) or "/" if f"{path}/".startswith(f"{BASE}/") else path
    assert seen == [path, stripped] * 2


# ---------------------------------------------------------------- what is beside it


def test_the_probes_answer_at_the_root_and_below(running: ServerProcess) -> None:
    for path in ("/healthz", "/readyz", "/metrics"):
        assert ask(running.port, "GET", path).status == 200
        assert ask(running.port, "GET", f"{BASE}{path}").status == 200


@pytest.mark.parametrize(
    "path",
    [
        f"{BASE}/graphql/",
        f"{BASE}//",
        f"{BASE}//graphql",
        f"{BASE}//evil.example.com/",
        f"/{BASE}/graphql",
        f"{BASE}{BASE}/graphql",
        f"{BASE}ign/graphql",
        f"{BASE.upper()}/graphql",
        f"{BASE}/%2F",
        f"{BASE}%2F%2Fgraphql",
        "/tools",
        "/tools/",
        "/calls/graphql",
    ],
)
def test_what_only_looks_like_it_is_a_404_and_never_a_redirect(running: ServerProcess, path: str) -> None:
    for method in ("GET", "POST", "DELETE"):
        response = ask(running.port, method, path, Host="evil.example.com")
        assert response.status == 404
        assert response.getheader("location") is None


async def test_metrics_and_the_log_know_routes_and_paths_as_ever(running: ServerProcess) -> None:
    ask(running.port, "GET", f"{BASE}/graphql?token=secret")
    async with httpx.AsyncClient(base_url=running.url, trust_env=False) as http:
        metrics = (await http.get("/metrics")).text
    assert 'route="/graphql"' in metrics
    assert BASE not in metrics
    paths = [json.loads(line).get("path") for line in running.output().splitlines() if line.startswith("{")]
    assert f"{BASE}/graphql" in paths


# ---------------------------------------------------------------- the commands


async def run(*arguments: str, folder: Path, **environment: str) -> tuple[int | None, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "app.cli",
        *arguments,
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(REPOSITORY), "NO_PROXY": "*", "COLUMNS": "200", **environment},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(COMMAND_SECONDS_MAX):
        out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


@pytest.mark.slow
@pytest.mark.parametrize("end", ["", "/"])
async def test_files_go_in_and_out_below_it(proxy: ReverseProxy, client: Client, tmp_path: Path, end: str) -> None:
    outdial = (await client.outdial(name="Spring"))["id"]
    (tmp_path / "people.csv").write_text("name,phone\nAna,+12125550142\n")
    common = ("--outdial", outdial, "--url", f"{proxy.url}{end}")
    code, out, err = await run("import", "people.csv", *common, folder=tmp_path, OUTDIAL_TOKEN=client.token)
    assert (code, err) == (0, ""), out
    code, out, err = await run("export", *common, folder=tmp_path, OUTDIAL_TOKEN=client.token)
    assert (code, err) == (0, "")
    assert "+12125550142" in out


@pytest.mark.slow
async def test_the_printed_links_lead_below_it(sqlite_template: Path, tmp_path: Path) -> None:
    settings = {
        "OUTDIAL_BASE_PATH": BASE,
        "OUTDIAL_JWT_SECRET": JWT_SECRET,
        "OUTDIAL_DATABASE_URL": f"sqlite:///{copied(sqlite_template, tmp_path)}",
    }
    wish = ("token", "--customer", str(uuid4()), "--link")
    _, link, _ = await run(*wish, folder=tmp_path, **settings)
    assert link.startswith(f"http://127.0.0.1:8000{BASE}/#token=")
    _, named, _ = await run(*wish, "--url", "https://example.com/dial/", folder=tmp_path, **settings)
    assert named.startswith("https://example.com/dial/#token=")
    with ServerProcess(settings["OUTDIAL_DATABASE_URL"], tmp_path, environment={"OUTDIAL_BASE_PATH": BASE}) as server:
        printed = re.findall(r"http://\S+", server.output())
        assert printed == [f"{server.url}{BASE}", f"{server.url}{BASE}/", f"{server.url}{BASE}/graphql"]
        async with httpx.AsyncClient(headers=BROWSER, trust_env=False) as browser:
            assert [(await browser.get(link)).status_code for link in printed] == [200, 200, 200]


async def test_the_demo_is_served_below_it_too(tmp_path: Path) -> None:
    demo = Demo(tmp_path, environment={"OUTDIAL_BASE_PATH": BASE})
    try:
        links = re.findall(r"http://\S+#token=\S+", await demo.introduction())
        assert {urlsplit(link).path for link in links} == {f"{BASE}/", f"{BASE}/graphql"}
        async with httpx.AsyncClient(headers=BROWSER, trust_env=False) as browser:
            for link in links:
                assert (await browser.get(link)).status_code == 200
    finally:
        demo.stop(signal.SIGINT)
