"""GraphQL over HTTP and over event streams, on a real server."""

import asyncio
import gzip
import json
import socket
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest

from app.graphql.transport import http as http_module
from app.graphql.transport import sse
from tests.support.transport import Served, eventually, watch

PATH = "/graphql"
JSON = "application/json"
GRAPHQL = "application/graphql-response+json"
STREAM = "text/event-stream"
CHROME = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"
URQL = f"{GRAPHQL}, application/graphql+json, {JSON}, {STREAM}, multipart/mixed"
COUNT = "subscription { count(to: 3) { number } }"


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with Served() as served:
        yield served


@pytest.fixture
async def client(served: Served) -> AsyncIterator[httpx.AsyncClient]:
    watch.__init__()  # type: ignore[misc]
    headers = {"Authorization": "Bearer good"}
    async with httpx.AsyncClient(
        base_url=served.url.removesuffix(PATH), headers=headers, timeout=20, trust_env=False
    ) as client:
        yield client


async def post(client: httpx.AsyncClient, query: Any, accept: str = GRAPHQL, **parameters: Any) -> httpx.Response:
    return await client.post(PATH, json={"query": query, **parameters}, headers={"Accept": accept})


def code(response: httpx.Response) -> str:
    body = response.json()
    assert "data" not in body
    error_code: str = body["errors"][0]["extensions"]["code"]
    return error_code


async def plain(client: httpx.AsyncClient, body: bytes, content_type: str = JSON, **headers: str) -> httpx.Response:
    return await client.post(PATH, content=body, headers={"Content-Type": content_type, **headers})


# ---------------------------------------------------------------- media types and status codes


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        (None, JSON),
        ("*/*", JSON),
        ("application/*", JSON),
        (JSON, JSON),
        (GRAPHQL, GRAPHQL),
        (f"{GRAPHQL}, {JSON}", GRAPHQL),
        (f"{GRAPHQL};q=0.5, {JSON}", JSON),
        (f"{JSON};q=0.5, {GRAPHQL}", GRAPHQL),
        (f"{GRAPHQL}, */*;q=0.1", GRAPHQL),
        (URQL, GRAPHQL),
        (f"{JSON}, {STREAM}", JSON),
        (f"{STREAM};q=0.9, {JSON}", JSON),
        (CHROME, JSON),
        ("x" * 5_000, JSON),
    ],
)
async def test_the_answer_has_the_type_that_the_client_prefers(
    client: httpx.AsyncClient, accept: str | None, content_type: str
) -> None:
    if accept is None:
        request = client.build_request("POST", PATH, json={"query": "{ hello }"})
        del request.headers["Accept"]
        response = await client.send(request)
    else:
        response = await post(client, "{ hello }", accept)
    assert response.status_code == 200
    assert response.headers["content-type"] == f"{content_type}; charset=utf-8"
    assert response.json() == {"data": {"hello": "hello world"}}


@pytest.mark.parametrize("accept", ["text/plain", "image/*", f"{JSON};q=0", f"{JSON};q=nonsense", "text/html"])
async def test_what_is_not_offered_is_406(client: httpx.AsyncClient, accept: str) -> None:
    response = await post(client, "{ hello }", accept)
    assert response.status_code == 406
    assert code(response) == "BAD_USER_INPUT"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"query": "{"}, "GRAPHQL_PARSE_FAILED"),
        ({"query": "{ nothing }"}, "GRAPHQL_VALIDATION_FAILED"),
        ({"query": "query($n: String!) { hello(name: $n) }"}, "BAD_USER_INPUT"),
        ({"query": "query($n: String!) { hello(name: $n) }", "variables": {"n": [1]}}, "BAD_USER_INPUT"),
        ({"query": "query A { hello }", "operationName": "B"}, "BAD_USER_INPUT"),
        ({"query": "{ items { items { items { name } } } }"}, "LIMIT_EXCEEDED"),
    ],
)
async def test_a_request_that_is_not_executed_has_no_data(
    client: httpx.AsyncClient, body: dict[str, Any], expected: str
) -> None:
    response = await client.post(PATH, json=body, headers={"Accept": GRAPHQL})
    assert (response.status_code, code(response)) == (400, expected)
    legacy = await client.post(PATH, json=body, headers={"Accept": JSON})
    assert (legacy.status_code, code(legacy)) == (200, expected)


async def test_an_error_of_a_field_is_a_response_like_others(client: httpx.AsyncClient) -> None:
    response = await post(client, "{ hello bug }")
    assert response.status_code == 200
    assert response.json()["data"] == {"hello": "hello world", "bug": None}


# ---------------------------------------------------------------- bodies


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"3",
        b'"text"',
        b"true",
        b"[]",
        b'[{"query": "{ hello }"}]',
        b"{}",
        b'{"query": 1}',
        b'{"query": "{ hello }", "variables": 3}',
        b'{"query": "\xff\xfe"}',
        b'{"query": "\\ud800"}',
        b"[" * 100_000,
        b'{"query":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"query": "{ hello }", "variables": {"a":' + b"[" * 900 + b"]" * 900 + b', "n": NaN}}',
        b"\x00" * 100,
    ],
)
async def test_malformed_bodies_are_the_clients_error(client: httpx.AsyncClient, body: bytes) -> None:
    response = await plain(client, body)
    assert response.status_code == 400
    assert code(response) == "BAD_USER_INPUT"


async def test_deep_variables_are_no_bug(client: httpx.AsyncClient) -> None:
    deep = b"[" * 900 + b"]" * 900
    body = b'{"query": "query($ids: [Int!]!) { several(ids: $ids) { name } }", "variables": {"ids": ' + deep + b"}}"
    response = await plain(client, body, Accept=GRAPHQL)
    assert (response.status_code, code(response)) == (400, "BAD_USER_INPUT")


@pytest.mark.parametrize(
    "content_type",
    ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x",
     "application/json; charset=latin-1", "application/json; charset=utf-16", "application/graphql"],
)  # fmt: skip
async def test_other_content_types_are_415(client: httpx.AsyncClient, content_type: str) -> None:
    response = await plain(client, b'{"query": "{ hello }"}', content_type)
    assert (response.status_code, code(response)) == (415, "BAD_USER_INPUT")


@pytest.mark.parametrize("content_type", ["application/json; charset=UTF-8", 'APPLICATION/JSON;charset="utf-8"'])
async def test_utf_8_may_be_said(client: httpx.AsyncClient, content_type: str) -> None:
    body = json.dumps({"query": '{ hello(name: "Zoë 🏃") }'}, ensure_ascii=False).encode()
    response = await plain(client, body, content_type)
    assert response.json() == {"data": {"hello": "hello Zoë 🏃"}}


async def test_compressed_bodies_are_415(client: httpx.AsyncClient) -> None:
    body = gzip.compress(b'{"query": "{ hello }"}')
    response = await client.post(PATH, content=body, headers={"Content-Type": JSON, "Content-Encoding": "gzip"})
    assert response.status_code == 415


async def test_bodies_are_bounded_whether_announced_or_not(client: httpx.AsyncClient) -> None:
    fits = json.dumps({"query": "{ hello }", "variables": {"x": "x" * (http_module.BODY_BYTES_MAX - 100)}}).encode()
    assert (await plain(client, fits)).status_code == 200
    large = fits + b" " * 200
    announced = await plain(client, large)
    assert (announced.status_code, code(announced)) == (413, "LIMIT_EXCEEDED")

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(large), 1 << 20):
            yield large[start : start + (1 << 20)]

    chunked = await client.post(PATH, content=chunks(), headers={"Content-Type": JSON})
    assert (chunked.status_code, code(chunked)) == (413, "LIMIT_EXCEEDED")


def raw(served: Served, request: bytes, *, seconds: float = 5) -> bytes:
    """What the server answers to bytes that no client library would send."""
    with socket.create_connection(("127.0.0.1", served.port), timeout=seconds) as connection:
        connection.sendall(request)
        answer = b""
        try:
            while chunk := connection.recv(65_536):
                answer += chunk
        except TimeoutError:
            pass
        return answer


def head(*lines: str) -> bytes:
    return "\r\n".join(["POST /graphql HTTP/1.1", "Host: x", "Authorization: Bearer good", *lines, "", ""]).encode()


async def test_bodies_that_lie_about_their_length_harm_nobody(
    served: Served, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_module, "BODY_SECONDS_MAX", 0.3)
    body = b'{"query": "{ hello }"}'
    for length in ("1000", "5", "-1", "abc", "99999999999999999999", "9" * 400):
        request = head("Content-Type: application/json", f"Content-Length: {length}", "Connection: close") + body
        answer = await asyncio.to_thread(raw, served, request, seconds=2)
        assert b" 500 " not in answer.split(b"\r\n", 1)[0], length
        assert b'"hello world"' not in answer
    late = head("Content-Type: application/json", "Content-Length: 1000") + body
    assert (await asyncio.to_thread(raw, served, late)).startswith(b"HTTP/1.1 408 ")
    assert (await post(client, "{ hello }")).status_code == 200


async def test_a_client_that_asks_first_is_refused_before_it_sends(served: Served) -> None:
    request = head("Content-Type: application/json", "Content-Length: 99999999", "Expect: 100-continue")
    answer = await asyncio.to_thread(raw, served, request)
    assert answer.startswith(b"HTTP/1.1 413 ")


# ---------------------------------------------------------------- methods and GET


async def test_queries_run_over_get(client: httpx.AsyncClient) -> None:
    parameters = {"query": "query A($n: String!) { hello(name: $n) } query B { hello }", "operationName": "A"}
    response = await client.get(PATH, params={**parameters, "variables": '{"n": "Zoë"}', "extensions": ""})
    assert response.json() == {"data": {"hello": "hello Zoë"}}
    assert response.headers["cache-control"] == "no-store"


async def test_mutations_do_not(client: httpx.AsyncClient) -> None:
    query = "mutation { write(input: {rows: []}) { name } }"
    for accept in (GRAPHQL, JSON, STREAM):
        response = await client.get(PATH, params={"query": query}, headers={"Accept": accept})
        assert (response.status_code, response.headers["allow"]) == (405, "POST")
        assert code(response) == "BAD_USER_INPUT"
    assert (await post(client, query)).json() == {"data": {"write": {"name": "0 rows"}}}


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
async def test_other_methods_are_405(client: httpx.AsyncClient, method: str) -> None:
    response = await client.request(method, PATH)
    assert response.status_code == 405
    assert response.headers["allow"] == "GET, HEAD, POST"


@pytest.mark.parametrize(
    "query_string",
    ["", "query=", "query=%FF", "query={hello}&variables={", "query={hello}&variables=[]", "query={hello}&variables=3",
     "query={hello}&extensions=x", "&".join(f"a{n}=1" for n in range(30)), "nonsense", "query=%zz"],
)  # fmt: skip
async def test_malformed_get_requests_are_the_clients_error(client: httpx.AsyncClient, query_string: str) -> None:
    response = await client.get(f"{PATH}?{query_string}", headers={"Accept": GRAPHQL})
    assert response.status_code == 400
    assert "data" not in response.json()


async def test_head_has_no_body(client: httpx.AsyncClient) -> None:
    response = await client.head(PATH, params={"query": "{ hello }"})
    assert (response.status_code, response.content) == (200, b"")


async def test_a_browser_gets_the_page_without_a_token(served: Served) -> None:
    async with httpx.AsyncClient(trust_env=False) as browser:
        response = await browser.get(served.url, headers={"Accept": CHROME})
        assert (response.status_code, response.text) == (200, "<title>the page</title>")
        # Another client does not.
        assert (await browser.get(served.url)).status_code == 401


# ---------------------------------------------------------------- tokens


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer bad"},
        {"Authorization": "Bearer", "Cookie": "token=good"},
        {"Authorization": "Basic Z29vZDpnb29k"},
        {"Authorization": "Bearer bad", "Cookie": "token=good"},  # the first that is present counts
        {"Cookie": "token=bad"},
        {"Cookie": "other=good"},
        {"token": "good"},
    ],
)
async def test_without_a_good_token_everything_is_401(served: Served, headers: dict[str, str]) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        for accept in (GRAPHQL, JSON, STREAM, "image/png"):
            response = await client.post(
                f"{served.url}?token=good", content=b'{"query": "{ hello }"}',
                headers={"Content-Type": JSON, "Accept": accept, **headers},
            )  # fmt: skip
            assert (response.status_code, response.headers["www-authenticate"]) == (401, "Bearer")
            assert code(response) == "UNAUTHENTICATED"


async def test_the_token_comes_before_all_else_that_may_be_wrong(served: Served) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        assert (await client.post(served.url, content=b"\xff")).status_code == 401
        assert (await client.post(served.url, json={"query": "{"})).status_code == 401


async def test_a_cookie_counts_only_with_a_json_content_type(served: Served) -> None:
    async with httpx.AsyncClient(trust_env=False, headers={"Cookie": "a=b; token=good"}) as client:
        body = b'{"query": "{ hello }"}'
        ok = await client.post(served.url, content=body, headers={"Content-Type": JSON})
        assert ok.json() == {"data": {"hello": "hello world"}}
        for content_type in ("text/plain", "application/x-www-form-urlencoded"):
            response = await client.post(served.url, content=body, headers={"Content-Type": content_type})
            assert response.status_code == 401
        assert (await client.get(served.url, params={"query": "{ hello }"})).status_code == 401
        stated = await client.get(served.url, params={"query": "{ hello }"}, headers={"Content-Type": JSON})
        assert stated.status_code == 200


async def test_keys_that_cannot_be_fetched_are_503(served: Served) -> None:
    async with httpx.AsyncClient(trust_env=False, headers={"Authorization": "Bearer away"}) as client:
        response = await client.post(served.url, json={"query": "{ hello }"})
        assert (response.status_code, code(response)) == (503, "UNAVAILABLE")


# ---------------------------------------------------------------- event streams


async def events(response: httpx.Response) -> AsyncIterator[tuple[str, Any]]:
    """The events of a stream, parsed strictly: LF line ends, a blank line after each."""
    text = ""
    async for chunk in response.aiter_text():
        assert "\r" not in chunk
        text += chunk
        while "\n\n" in text:
            block, text = text.split("\n\n", 1)
            if block == ":":
                yield "ping", None
                continue
            event, data = block.split("\n")
            assert event.startswith("event: ")
            assert data.startswith("data:")
            value = data.removeprefix("data:").strip()
            yield event.removeprefix("event: "), json.loads(value) if value else None
    assert text == ""


async def read(client: httpx.AsyncClient, query: str, accept: str = STREAM, **headers: str) -> list[tuple[str, Any]]:
    async with client.stream("POST", PATH, json={"query": query}, headers={"Accept": accept, **headers}) as response:
        assert response.status_code == 200
        assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
        return [event async for event in events(response) if event[0] != "ping"]


async def test_a_subscription_is_a_stream_of_events(client: httpx.AsyncClient) -> None:
    nexts = [("next", {"data": {"count": {"number": n}}}) for n in range(3)]
    assert await read(client, COUNT) == [*nexts, ("complete", None)]
    # urql names streams last among equals: enough for what can be nothing else.
    assert await read(client, COUNT, URQL) == [*nexts, ("complete", None)]


async def test_a_subscription_by_get_suits_a_browsers_event_source(client: httpx.AsyncClient) -> None:
    async with client.stream("GET", PATH, params={"query": COUNT}, headers={"Accept": STREAM}) as response:
        names = [name async for name, _ in events(response) if name != "ping"]
    assert names == ["next", "next", "next", "complete"]


async def test_queries_are_streamed_where_the_client_prefers_it(client: httpx.AsyncClient) -> None:
    expected = [("next", {"data": {"hello": "hello world"}}), ("complete", None)]
    assert await read(client, "{ hello }", f"{STREAM}, {JSON};q=0.5") == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("{", "GRAPHQL_PARSE_FAILED"),
        ("subscription { nothing }", "GRAPHQL_VALIDATION_FAILED"),
        ("subscription { refused { number } }", "NOT_FOUND"),
        ("subscription { count(failAt: 0) { number } }", "INTERNAL"),
    ],
)
async def test_an_error_is_an_event_then_the_end(client: httpx.AsyncClient, query: str, expected: str) -> None:
    (name, payload), end = await read(client, query)
    assert (name, end) == ("next", ("complete", None))
    assert "data" not in payload
    assert payload["errors"][0]["extensions"]["code"] == expected


@pytest.mark.parametrize("accept", [JSON, GRAPHQL, "*/*"])
async def test_a_subscription_over_plain_json_is_refused(client: httpx.AsyncClient, accept: str) -> None:
    response = await post(client, COUNT, accept)
    assert (response.status_code, code(response)) == (406, "BAD_USER_INPUT")
    assert watch.opened == 0


async def test_an_idle_stream_is_kept_alive(client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "PING_SECONDS", 0.05)
    query = "subscription { count(to: 2, pause: 0.5) { number } }"
    async with client.stream("POST", PATH, json={"query": query}, headers={"Accept": STREAM}) as response:
        names = [name async for name, _ in events(response)]
    assert names.count("ping") > 5
    assert [name for name in names if name != "ping"] == ["next", "next", "complete"]


@pytest.mark.parametrize("pause", [60.0, 0.0])
async def test_a_token_that_expires_ends_the_stream_in_a_replay_too(client: httpx.AsyncClient, pause: float) -> None:
    query = f"subscription {{ count(to: 999999999, pause: {pause}) {{ number }} }}"
    started = time.monotonic()
    *_, error, end = await read(client, query, Authorization="Bearer for:0.5")
    assert 0.3 < time.monotonic() - started < 3
    assert error[1]["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
    assert end == ("complete", None)
    await eventually(lambda: watch.open == 0)


async def test_clients_that_leave_leave_nothing_behind(served: Served, client: httpx.AsyncClient) -> None:
    async def glance(pause: float) -> None:
        query = f"subscription {{ count(to: 999999, pause: {pause}) {{ number }} }}"
        async with client.stream("POST", PATH, json={"query": query}, headers={"Accept": STREAM}) as response:
            await anext(aiter(response.aiter_bytes()))

    for _ in range(3):
        await asyncio.gather(*[glance(60.0) for _ in range(40)], *[glance(0.001) for _ in range(10)])
    await eventually(lambda: watch.open == 0 and not served.tasks())
    assert watch.opened > 0


async def test_a_stream_that_nobody_reads_waits(served: Served, client: httpx.AsyncClient) -> None:
    body = json.dumps({"query": "subscription { count(to: 999999, size: 10000) { text } }"}).encode()
    with socket.create_connection(("127.0.0.1", served.port)) as connection:
        request = head(f"Accept: {STREAM}", "Content-Type: application/json", f"Content-Length: {len(body)}") + body
        connection.sendall(request)
        await eventually(lambda: watch.produced > 10)
        produced = 0
        for _ in range(20):  # until it has stood still for half a second; how soon is the machine's business
            if watch.produced == produced:
                break
            produced = watch.produced
            await asyncio.sleep(0.5)
        assert watch.produced == produced < 2_000  # what the kernel's buffers hold: some megabytes
        started = time.monotonic()
        assert (await post(client, "{ hello }")).status_code == 200
        assert time.monotonic() - started < 1
    await eventually(lambda: watch.open == 0)


async def test_a_stream_that_nobody_reads_is_left(
    served: Served, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sse, "SEND_SECONDS_MAX", 0.3)
    body = json.dumps({"query": "subscription { count(to: 999999, size: 10000) { text } }"}).encode()
    with socket.create_connection(("127.0.0.1", served.port)) as connection:
        request = head(f"Accept: {STREAM}", "Content-Type: application/json", f"Content-Length: {len(body)}") + body
        connection.sendall(request)
        await eventually(lambda: watch.opened == 1)
        await eventually(lambda: watch.open == 0)


def test_streams_end_when_the_server_stops() -> None:
    with Served() as served:

        async def watch_the_end() -> list[str]:
            headers = {"Authorization": "Bearer good", "Accept": STREAM}
            async with httpx.AsyncClient(trust_env=False, headers=headers, timeout=10) as client:
                body = {"query": "subscription { count(to: 9, pause: 60) { number } }"}
                names = []
                async with client.stream("POST", served.url, json=body) as response:
                    async for name, _ in events(response):
                        names.append(name)
                        if name == "next":
                            served.on_loop(served.stopping.set)
                return names

        # No `complete`: the client knows that there is more to come.
        assert asyncio.run(watch_the_end()) == ["ping", "next"]
