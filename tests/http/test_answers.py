"""GraphQL over HTTP on a real server: media types, status codes, methods and tokens."""

from typing import Any

import httpx
import pytest

from tests.support.posting import CHROME, GRAPHQL, JSON, PATH, STREAM, URQL, code, post
from tests.support.transport import Served

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
