"""The session of the pages: a cookie that opens nothing alone, and never for another one than the request names."""

import re
from collections.abc import AsyncIterator
from datetime import timedelta
from http.cookies import Morsel, SimpleCookie
from typing import Any
from uuid import uuid4

import httpx
import orjson
import pytest
import websockets
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.routing import Route

from app.auth import Viewer
from app.errors import Unauthenticated, Unavailable
from app.requests import sessions
from app.server.session import METHODS, SessionEndpoint
from tests.conftest import Services
from tests.support.server import ServerProcess, token

OWN = {"Sec-Fetch-Site": "same-origin"}
FOREIGN = (
    {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example.com"},
    {"Sec-Fetch-Site": "same-site", "Origin": "http://other.127.0.0.1"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "something new"},
)
WHO = "{ viewer { customerId } }"


@pytest.fixture(scope="module")
def running(services: Services) -> ServerProcess:
    return services.on("sqlite")


@pytest.fixture
async def browser(running: ServerProcess) -> AsyncIterator[httpx.AsyncClient]:
    """Keeps cookies, as a browser does."""
    async with httpx.AsyncClient(base_url=running.url, headers=OWN, timeout=20, trust_env=False) as client:
        yield client


def bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


def cookie(response: httpx.Response) -> Morsel[str]:
    (morsel,) = SimpleCookie(response.headers["set-cookie"]).values()
    return morsel


async def log_in(browser: httpx.AsyncClient, customer_id: str) -> dict[str, str]:
    """The header by which a page names the session."""
    answer = await browser.post("/session", headers=bearer(token(customer_id)))
    assert answer.status_code == 200, answer.text
    return {sessions.HEADER: answer.json()["session"]}


async def ask(browser: httpx.AsyncClient, headers: dict[str, str]) -> Any:
    """The customer that a GraphQL request runs for, or its error's code."""
    body = (await browser.post("/graphql", json={"query": WHO}, headers=headers)).json()
    return body["data"]["viewer"]["customerId"] if "data" in body else body["errors"][0]["extensions"]["code"]


# ---------------------------------------------------------------- logging in and out


async def test_a_login_sets_a_cookie_that_no_script_can_read_and_says_who_it_is(browser: httpx.AsyncClient) -> None:
    customer = str(uuid4())
    text = token(customer)
    answer = await browser.post("/session", headers=bearer(text))
    assert answer.json() | {"session": "", "expiresAt": ""} == {
        "session": "",
        "customerId": customer,
        "subject": "tester",
        "scopes": ["DIAL", "READ", "WRITE"],
        "expiresAt": "",
    }
    assert re.fullmatch(r"[A-Za-z0-9_-]{22}", answer.json()["session"])
    assert text not in answer.text
    assert answer.headers["cache-control"] == "no-store"
    kept = cookie(answer)
    assert (kept.value, kept["path"], kept["samesite"], kept["httponly"]) == (text, "/", "strict", True)
    assert (kept["secure"], kept["domain"], kept["max-age"], kept["expires"]) == ("", "", "", "")
    assert (await browser.get("/session")).json() == answer.json()


async def test_a_browser_that_comes_by_tls_sends_the_cookie_by_tls_alone(browser: httpx.AsyncClient) -> None:
    headers = bearer(token(str(uuid4()))) | {"Origin": "https://calls.example.com"}
    assert cookie(await browser.post("/session", headers=headers))["secure"]


async def test_logging_out_takes_the_cookie_away(browser: httpx.AsyncClient) -> None:
    named = await log_in(browser, str(uuid4()))
    answer = await browser.delete("/session", headers=named)
    assert (answer.status_code, answer.json()) == (200, {"session": None, "message": ""})
    assert not browser.cookies
    assert (await browser.get("/session")).json() == {"session": None, "message": ""}
    assert (await browser.delete("/session", headers=named)).status_code == 200  # once more does no harm
    assert await ask(browser, named) == "UNAUTHENTICATED"


async def test_a_tab_of_an_earlier_login_cannot_end_the_later_one(browser: httpx.AsyncClient) -> None:
    earlier = await log_in(browser, str(uuid4()))
    later = str(uuid4())
    named = await log_in(browser, later)
    for headers in (earlier, {}):
        assert (await browser.delete("/session", headers=headers)).status_code == 401
    assert await ask(browser, named) == later


@pytest.mark.parametrize("text", ["not.a.token", "Bearer", "é", token(str(uuid4()), lifetime=timedelta(seconds=-1))])
async def test_a_token_that_is_none_logs_nobody_in_and_leaves_the_session(
    browser: httpx.AsyncClient, text: str
) -> None:
    customer = str(uuid4())
    named = await log_in(browser, customer)
    answer = await browser.post("/session", headers={"Authorization": f"Bearer {text}".encode()})
    assert (answer.status_code, answer.json()["errors"][0]["extensions"]["code"]) == (401, "UNAUTHENTICATED")
    assert "set-cookie" not in answer.headers
    assert await ask(browser, named) == customer


async def test_a_session_whose_token_has_expired_is_none_and_its_cookie_goes(browser: httpx.AsyncClient) -> None:
    await log_in(browser, str(uuid4()))
    (name,) = browser.cookies
    expired = token(str(uuid4()), lifetime=timedelta(seconds=-1))
    browser.cookies.clear()
    answer = await browser.get("/session", headers={"Cookie": f"{name}={expired}"})
    assert answer.json() == {"session": None, "message": "The token has expired. Get a new one."}
    assert (cookie(answer).key, cookie(answer)["max-age"]) == (name, "0")


async def test_a_token_that_no_cookie_holds_is_refused_in_words(running: ServerProcess) -> None:
    long = token(str(uuid4()), ["read"] * 1_000)
    async with httpx.AsyncClient(base_url=running.url, trust_env=False) as client:
        answer = await client.post("/session", headers=bearer(long))
        assert answer.status_code == 400
        assert "does not fit into a cookie" in answer.text
        # base64 skips what is not of its alphabet, so this is a good token, and would end the cookie
        head, body, signature = token(str(uuid4())).split(".")
        sly = f"{head}.{body}.{signature[:9]}; Domain=example.com; {signature[9:]}"
        answer = await client.post("/session", headers=bearer(sly))
        assert answer.status_code in {400, 401}
        assert "set-cookie" not in answer.headers


# ---------------------------------------------------------------- what it opens


async def test_a_session_runs_graphql_rest_and_downloads(browser: httpx.AsyncClient) -> None:
    customer = str(uuid4())
    named = await log_in(browser, customer)
    assert await ask(browser, named) == customer
    made = await browser.post("/v1.0/outdials", json={"name": "Spring"}, headers=named)
    assert made.status_code == 200
    path = f"/v1.0/outdials/{made.json()['id']}/targets"
    sent = await browser.post(
        f"{path}/import", content=b"phone\n+12125550142\n", headers={"Content-Type": "text/csv"} | named
    )
    assert (sent.status_code, sent.json()["counts"]["created"]) == (200, 1)
    got = await browser.get(f"{path}/export?session={named[sessions.HEADER]}")  # as a link, which sends no header
    assert (got.status_code, "+12125550142" in got.text) == (200, True)


async def test_the_cookie_alone_opens_nothing(browser: httpx.AsyncClient, running: ServerProcess) -> None:
    await log_in(browser, str(uuid4()))
    assert await ask(browser, {}) == "UNAUTHENTICATED"
    assert (await browser.get("/v1.0/outdials")).status_code == 401
    for content, media_type in ((b'{"name": "x"}', "application/json"), (b"x", "text/plain")):
        answer = await browser.post("/v1.0/outdials", content=content, headers={"Content-Type": media_type})
        assert answer.status_code == 401
    assert await closed(running, browser, {}, f"http://127.0.0.1:{running.port}") == 4401


@pytest.mark.parametrize("foreign", FOREIGN)
async def test_a_page_of_another_origin_gets_nothing_though_it_knows_the_id(
    browser: httpx.AsyncClient, running: ServerProcess, foreign: dict[str, str]
) -> None:
    """It cannot know the id; this is the second wall."""
    named = await log_in(browser, str(uuid4()))
    assert await ask(browser, named | foreign) == "UNAUTHENTICATED"
    assert (await browser.get("/v1.0/outdials", headers=named | foreign)).status_code == 401
    assert (await browser.get("/session", headers=foreign)).status_code == 403
    assert (await browser.delete("/session", headers=named | foreign)).status_code == 403
    answer = await browser.post("/session", headers=bearer(token(str(uuid4()))) | foreign)
    assert answer.status_code == 403
    assert await closed(running, browser, named, "https://evil.example.com") == 4401


async def test_a_browser_that_names_no_site_is_known_by_the_origin_of_its_question(running: ServerProcess) -> None:
    """Browsers send Sec-Fetch-Site by TLS and to localhost alone."""
    async with httpx.AsyncClient(base_url=running.url, trust_env=False) as browser:
        named = await log_in(browser, str(uuid4()))
        assert (await browser.get("/session")).json()["session"] == named[sessions.HEADER]
        assert (await browser.get("/session", headers={"Origin": running.url})).status_code == 200
        for origin in ("http://evil.example.com", "null", f"{running.url}.evil.example.com"):
            assert (await browser.get("/session", headers={"Origin": origin})).status_code == 403


async def test_no_page_of_another_origin_may_send_the_header(browser: httpx.AsyncClient) -> None:
    for origin in ("https://evil.example.com", "https://app.example.com"):
        headers = {
            "Origin": origin,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": sessions.HEADER.lower(),
        }
        assert (await browser.request("OPTIONS", "/graphql", headers=headers)).status_code == 400


async def test_a_request_runs_for_the_customer_that_it_names_or_for_nobody(
    browser: httpx.AsyncClient, running: ServerProcess
) -> None:
    """Two tabs, and in the second one somebody else logs in: the first never acts for them."""
    first, second = str(uuid4()), str(uuid4())
    named = await log_in(browser, first)
    renamed = await log_in(browser, second)
    assert await ask(browser, named) == "UNAUTHENTICATED"
    assert (await browser.post("/v1.0/outdials", json={"name": "x"}, headers=named)).status_code == 401
    assert (await browser.get(f"/v1.0/outdials?session={named[sessions.HEADER]}")).status_code == 401
    own = f"http://127.0.0.1:{running.port}"
    assert await closed(running, browser, named, own) == 4401
    assert await closed(running, browser, renamed, own) is None
    assert await ask(browser, renamed) == second
    # Not even where the browser has another cookie that counts.
    browser.cookies.set("token", token(second))
    assert await ask(browser, named) == "UNAUTHENTICATED"
    assert (await browser.get("/v1.0/outdials", headers=named)).status_code == 401
    # What a request says by itself counts first.
    assert await ask(browser, named | bearer(token(first))) == first


async def closed(running: ServerProcess, browser: httpx.AsyncClient, named: dict[str, str], origin: str) -> int | None:
    """With which code the server closes a WebSocket that names the session so; None if it takes it."""
    cookies = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    async with websockets.connect(
        running.socket_url,
        subprotocols=[websockets.Subprotocol("graphql-transport-ws")],
        additional_headers={"Cookie": cookies, "Origin": origin},
        proxy=None,
    ) as socket:
        await socket.send(orjson.dumps({"type": "connection_init", "payload": named}).decode())
        try:
            assert orjson.loads(await socket.recv()) == {"type": "connection_ack"}
        except websockets.ConnectionClosed:
            return socket.close_code
        return None


async def test_nothing_of_the_session_is_in_the_log(browser: httpx.AsyncClient, running: ServerProcess) -> None:
    text = token(str(uuid4()))
    answer = await browser.post("/session", headers=bearer(text))
    session_id = answer.json()["session"]
    await browser.get(f"/v1.0/outdials?session={session_id}")
    await browser.delete("/session")
    assert "/session" in running.output()
    for secret in (text, text.split(".")[2], session_id):
        assert secret not in running.output()


# ---------------------------------------------------------------- its parts


class Reader:
    """Knows two tokens."""

    async def viewer(self, text: str) -> Viewer:
        if text == "away":
            raise Unavailable("The keys of the token's issuer cannot be fetched.")
        if text != "good":
            raise Unauthenticated("The token is not a valid JWT.")
        return Viewer(str(uuid4()), "ann", frozenset(), None)


def application(base_path: str) -> httpx.AsyncClient:
    endpoint = SessionEndpoint(Reader(), base_path=base_path)
    app = Starlette(routes=[Route("/session", endpoint.respond, methods=METHODS)])
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x:8000")


async def test_each_base_path_has_a_cookie_of_its_own() -> None:
    kept = {}
    for base_path in ("", "/calls", "/calls/north"):
        async with application(base_path) as client:
            morsel = cookie(await client.post("/session", headers=bearer("good")))
            kept[morsel.key] = morsel["path"]
    assert kept == {
        "outdial_session_8000": "/",
        "outdial_session_8000_calls": "/calls",
        "outdial_session_8000_calls_north": "/calls/north",
    }


async def test_keys_that_cannot_be_fetched_end_no_session() -> None:
    async with application("") as client:
        answer = await client.get("/session", headers={"Cookie": "outdial_session_8000=away"})
        assert (answer.status_code, "set-cookie" in answer.headers) == (503, False)


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("localhost:8000", "outdial_session_8000"),
        ("calls.example.com", "outdial_session"),
        ("[::1]:8000", "outdial_session_8000"),
        ("[::1]", "outdial_session"),
        ("x:8000; Domain=y", "outdial_session"),
        ("", "outdial_session"),
    ],
)
def test_servers_on_other_ports_of_a_host_have_other_cookies(host: str, name: str) -> None:
    assert sessions.cookie_name(Headers({"host": host}), "") == name


@given(st.text(), st.text())
def test_an_id_is_of_one_token_alone_and_opens_nothing_else(mine: str, other: str) -> None:
    assert (sessions.identify(mine) == sessions.identify(other)) == (mine == other)
    headers = Headers(raw=[(b"cookie", b"outdial_session=good; token=other")])
    assert sessions.token(headers, sessions.identify("good")) == "good"
    for text in (mine, sessions.identify("other"), ""):
        with pytest.raises(Unauthenticated):
            sessions.token(headers, text)
