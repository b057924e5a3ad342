"""The pages that a browser gets: their headers, what they load, and what they say where they were not built."""

import asyncio
import gzip
import re
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from app.server.page import BUILT, Pages
from tests.conftest import Services
from tests.support.server import ServerProcess

HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
PATHS = ("/", "/graphql")
SCRIPT = "console.log('a line of it');\n" * 100


def application(folder: Path) -> Starlette:
    pages = Pages(folder)
    return Starlette(routes=[Route("/graphql", pages.graphiql), *pages.routes()])


def browser(app: Starlette) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x", headers=HTML)


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """A folder as the build leaves it."""
    folder = tmp_path / "dist"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text("<title>Outdial</title>")
    (folder / "graphiql.html").write_text("<title>GraphiQL</title>")
    (folder / "assets" / "main-1a2b.js").write_text(SCRIPT)
    (folder / "assets" / "main-1a2b.js.gz").write_bytes(gzip.compress(SCRIPT.encode()))
    (folder / "assets" / "small.css").write_text("a { color: red }")
    (tmp_path / "secret.js").write_text("a secret")
    return folder


@pytest.fixture
async def pages(built: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with browser(application(built)) as client:
        yield client


@pytest.fixture(scope="module")
def running(services: Services) -> ServerProcess:
    """A whole server with the pages that were built."""
    return services.on("sqlite")


# ---------------------------------------------------------------- the pages


def policy(response: httpx.Response) -> dict[str, list[str]]:
    directives = [directive.split() for directive in response.headers["content-security-policy"].split(";")]
    return {name: sources for name, *sources in directives}


async def test_the_dashboard_may_run_and_load_what_is_ours_alone(pages: httpx.AsyncClient) -> None:
    response = await pages.get("/")
    assert (response.status_code, response.text) == (200, "<title>Outdial</title>")
    assert policy(response) == {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        "base-uri": ["'none'"],
        "form-action": ["'none'"],
        "frame-ancestors": ["'none'"],
    }


async def test_graphiql_may_set_styles_and_start_workers_and_no_more_than_that(pages: httpx.AsyncClient) -> None:
    response = await pages.get("/graphql")
    assert (response.status_code, response.text) == (200, "<title>GraphiQL</title>")
    assert response.headers["vary"] == "Accept"
    dashboard = policy(await pages.get("/"))
    differences = {name: sources for name, sources in policy(response).items() if dashboard.get(name) != sources}
    assert differences == {
        "style-src": ["'self'", "'unsafe-inline'"],
        "font-src": ["'self'", "data:"],
        "worker-src": ["'self'"],
    }


@pytest.mark.parametrize("path", PATHS)
async def test_both_are_asked_for_anew_and_tell_nobody_where_one_came_from(pages: httpx.AsyncClient, path: str) -> None:
    headers = (await pages.get(path)).headers
    assert headers["content-type"] == "text/html; charset=utf-8"
    assert headers["cache-control"] == "no-cache"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cross-origin-opener-policy"] == "same-origin"


@pytest.mark.parametrize("path", PATHS)
async def test_pages_that_were_not_built_say_how_to_build_them(tmp_path: Path, path: str) -> None:
    async with browser(application(tmp_path / "nowhere")) as client:
        response = await client.get(path)
        assert response.status_code == 200
        for command in ("cd app/web", "npm ci", "npm run build"):
            assert command in response.text
        assert "<script" not in response.text
        assert (await client.get("/web/assets/main-1a2b.js")).status_code == 404


async def test_a_build_of_graphiql_alone_is_not_the_dashboard(tmp_path: Path) -> None:
    (tmp_path / "graphiql.html").write_text("<title>GraphiQL</title>")
    async with browser(application(tmp_path)) as client:
        assert "npm run build" in (await client.get("/")).text
        assert "npm run build" not in (await client.get("/graphql")).text


# ---------------------------------------------------------------- what they load


async def test_assets_are_kept_for_good(pages: httpx.AsyncClient) -> None:
    for name, media_type in (("main-1a2b.js", "text/javascript"), ("small.css", "text/css")):
        response = await pages.get(f"/web/assets/{name}")
        assert response.status_code == 200
        assert response.headers["content-type"] == f"{media_type}; charset=utf-8"
        assert response.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert response.headers["vary"] == "Accept-Encoding"


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [
        ("gzip", "gzip"),
        ("gzip, deflate, br, zstd", "gzip"),
        ("br;q=1.0, GZip;q=0.5", "gzip"),
        ("gzip;q=0", None),
        ("gzip; q=0.000, br", None),
        ("br", None),
        ("identity", None),
        ("", None),
    ],
)
async def test_what_the_build_compressed_goes_out_so_where_it_is_taken(
    pages: httpx.AsyncClient, accepted: str, encoding: str | None
) -> None:
    response = await pages.get("/web/assets/main-1a2b.js", headers={"Accept-Encoding": accepted})
    assert response.headers.get("content-encoding") == encoding
    assert (int(response.headers["content-length"]) < len(SCRIPT)) == (encoding == "gzip")
    assert response.text == SCRIPT


async def test_what_the_build_did_not_compress_goes_out_as_it_is(pages: httpx.AsyncClient) -> None:
    response = await pages.get("/web/assets/small.css", headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in response.headers
    assert response.text == "a { color: red }"


@pytest.mark.parametrize(
    "path", ["nothing.js", "", "../index.html", "../../secret.js", "%2e%2e/%2e%2e/secret.js", "..%2f..%2fsecret.js"]
)
async def test_nothing_else_is_given_out(pages: httpx.AsyncClient, path: str) -> None:
    response = await pages.get(f"/web/assets/{path}")
    assert response.status_code == 404
    assert "secret" not in response.text
    assert "immutable" not in response.headers.get("cache-control", "")


def test_no_page_makes_an_address_from_the_root() -> None:
    """Or it would not work below OUTDIAL_BASE_PATH: addresses begin with `base`."""
    sources = [path for path in (BUILT.parent / "src").rglob("*") if path.suffix in {".ts", ".svelte"}]
    assert len(sources) > 30
    rooted = re.compile(r"""["'`]/(?![/*])""")
    found = [
        f"{path.name}: {line.strip()}"
        for path in sources
        if path.parent.name != "generated" and path.name != "base.ts"
        for line in path.read_text().splitlines()
        if rooted.search(line)
    ]
    assert found == []


# ---------------------------------------------------------------- on a whole server


async def test_neither_page_has_anything_inline_or_from_elsewhere(running: ServerProcess) -> None:
    """As it was built: the policy would not have it anyway."""
    assert (BUILT / "index.html").exists(), "build the pages first: cd app/web && npm ci && npm run build"
    async with httpx.AsyncClient(base_url=running.url, headers=HTML, trust_env=False) as client:
        for path in PATHS:
            text = (await client.get(path)).text
            assert not re.search(r"<script(?![^>]* src=)", text)
            assert not re.search(r"<style|\sstyle=|\son\w+=", text)
            loaded = re.findall(r"(?:src|href)=[\"']?([^\"' >]+)", text)
            assert [address for address in loaded if address.startswith("/web/assets/")]
            for address in loaded:
                assert address.startswith(("/web/assets/", "data:"))
                if address.startswith("/"):
                    response = await client.get(address)
                    assert response.status_code == 200
                    is_small = int(response.headers["content-length"]) < 1_000
                    assert is_small or response.headers["content-encoding"] == "gzip"


async def test_the_dashboard_swallows_no_other_address(running: ServerProcess) -> None:
    async with httpx.AsyncClient(base_url=running.url, headers=HTML, trust_env=False) as client:
        assert (await client.get("/nothing")).status_code == 404
        assert (await client.get("/web/assets/nothing.js")).status_code == 404
        assert (await client.get("/healthz")).json() == {"alive": True}
        assert (await client.get("/v1.0/openapi.json")).json()["openapi"].startswith("3.")
        api = await client.get("/graphql?query={viewer{subject}}", headers={"Accept": "application/json"})
        assert api.status_code == 401


async def test_head_tells_what_get_would_and_sends_no_body(running: ServerProcess) -> None:
    async with httpx.AsyncClient(base_url=running.url, headers=HTML, trust_env=False) as client:
        script = re.findall(r'src="(/web/assets/[^"]+\.js)"', (await client.get("/")).text)[0]
        for path in (*PATHS, script):
            got = await client.get(path)
            asked = await client.head(path)
            for name in ("content-type", "content-length", "cache-control", "content-security-policy"):
                assert asked.headers[name] == got.headers[name]
            assert await asyncio.to_thread(_raw_head, running.port, path) == b""


def _raw_head(port: int, path: str) -> bytes:
    """The body of an answer to HEAD, which clients would not show."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        request = f"HEAD {path} HTTP/1.1\r\nHost: x\r\nAccept: text/html\r\nConnection: close\r\n\r\n"
        connection.sendall(request.encode())
        received = b""
        while part := connection.recv(65_536):
            received += part
    return received.partition(b"\r\n\r\n")[2]
