"""Paths: what is not there is a 404, and nothing is ever a redirect."""

import asyncio
import http.client
import re
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
import websockets

from app import server
from app.settings import Settings
from tests.support.server import JWT_SECRET, ServerProcess, token
from tests.test_server import copied

METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"]


@pytest.fixture(scope="module")
def routes() -> list[str]:
    """Every path of the server, with ids where it has a place for them."""
    app = server.create_app(Settings.load(jwt_secret=JWT_SECRET))
    paths = [getattr(route, "path") for route in app.routes]  # noqa: B009 - a route's base class has none
    filled = [re.sub(r"\{(\w+_)?id\}", str(uuid4()), path) for path in paths]
    return sorted({path.replace("{path:path}", "x") for path in filled})


@pytest.fixture(scope="module")
def running(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("server")
    with ServerProcess(f"sqlite:///{copied(sqlite_template, folder)}", folder) as process:
        yield process


def ask(port: int, method: str, path: str, **headers: str) -> http.client.HTTPResponse:
    """One request, to the letter: no client library tidies the path."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.putrequest(method, path, skip_host="Host" in headers)
    for name, value in headers.items():
        connection.putheader(name.replace("_", "-"), value)
    connection.endheaders()
    response = connection.getresponse()
    response.read()
    connection.close()
    return response


def test_a_slash_too_many_is_a_404_and_never_a_redirect(running: ServerProcess, routes: list[str]) -> None:
    assert {"/", "/graphql", "/healthz", "/metrics", "/readyz", "/v1.0/outdials", "/web/assets"} <= set(routes)
    for path in routes:
        for wrong in (f"{path}/", f"{path}//", f"/{path}", f"{path}%2F", f"{path}/%2f", f"{path}/?a=/"):
            for method in METHODS:
                response = ask(running.port, method, wrong)
                assert response.status == 404 or (response.status, method in {"GET", "HEAD"}) == (405, False), wrong
                assert response.getheader("location") is None


WRONG = [
    "//",
    "///graphql",
    "//evil.example.com",
    "//evil.example.com/",
    "//evil.example.com/graphql/",
    "/%2Fevil.example.com/",
    "/%5Cevil.example.com/",
    "/\\evil.example.com/",
    "/./graphql/",
    "/../graphql/",
    "/graphql/..",
    "/graphql/.",
    "/graphql;/",
    "/GRAPHQL/",
    "/web",
    "/web/",
    "/web/assets/",
    "/web/assets/..",
    "/web/assets/%2e%2e/index.html",
    "/v1.0/",
    "/v1.0//outdials/",
]
HOSTS: list[dict[str, str]] = [
    {"Host": "evil.example.com"},
    {"Host": "evil.example.com/x?"},
    {"Host": "evil.example.com:99999999"},
    {"Host": ""},
    {"X_Forwarded_Host": "evil.example.com", "X_Forwarded_Proto": "http", "X_Forwarded_Prefix": "/evil"},
    {"Forwarded": "host=evil.example.com;proto=http", "X_Original_URL": "/healthz", "X_Rewrite_URL": "/healthz"},
]


@pytest.mark.parametrize("headers", HOSTS, ids=range(len(HOSTS)))
def test_no_header_makes_an_answer_name_another_host(
    running: ServerProcess, routes: list[str], headers: dict[str, str]
) -> None:
    for path in [*WRONG, *(f"{path}/" for path in routes)]:
        for method in ("GET", "POST"):
            response = ask(running.port, method, path, **headers)
            assert response.status == 404 or (response.status, method) == (405, "POST"), path
            assert "evil" not in str(response.headers)
            assert response.getheader("location") is None


def test_the_answer_says_what_to_leave_out(running: ServerProcess) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=10)
    connection.request("POST", "/graphql/", b"{}", {"Authorization": f"Bearer {token(str(uuid4()))}"})
    response = connection.getresponse()
    assert b"Leave out the slash at the end of the path." in response.read()
    connection.close()


@pytest.mark.parametrize("path", ["/graphql/", "//graphql", "/graphql//", "/graphql%2F", "/"])
async def test_a_socket_elsewhere_is_refused_too(running: ServerProcess, path: str) -> None:
    async with asyncio.timeout(10):
        with pytest.raises(websockets.InvalidStatus) as caught:
            await websockets.connect(f"ws://127.0.0.1:{running.port}{path}", subprotocols=["graphql-transport-ws"])
    assert caught.value.response.status_code in {403, 404}
    assert "location" not in caught.value.response.headers
