"""Persisted queries: a client that sends only a hash learns to send the document, on every transport."""

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.graphql.transport.execution import Operation
from tests.support import node
from tests.support.transport import ORIGIN, Served, initialise, receive, send

PATH = "/graphql"
JSON = "application/json"
GRAPHQL = "application/graphql-response+json"
STREAM = "text/event-stream"
HASH = {
    "persistedQuery": {"version": 1, "sha256Hash": "ecf4edb46db40b5132295c0291d62fb65d6759a9eedfa4d5d612dd5ec54a6b38"}
}
REFUSED = {
    "errors": [{"message": "PersistedQueryNotSupported", "extensions": {"code": "PERSISTED_QUERY_NOT_SUPPORTED"}}]
}
HELLO = {"data": {"hello": "hello world"}}
PACKAGES = (
    "graphql@16.11.0",
    "@apollo/client@4.0.0",
    "rxjs@7.8.2",
    "@urql/core@5.2.0",
    "@urql/exchange-persisted@4.3.1",
)
PACKAGES_OF_APOLLO_3 = ("graphql@16.11.0", "@apollo/client@3.14.0", "react@18.3.1")


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with Served() as served:
        yield served


@pytest.fixture
async def client(served: Served) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"Authorization": "Bearer good", "Origin": ORIGIN}
    async with httpx.AsyncClient(
        base_url=served.url.removesuffix(PATH), headers=headers, timeout=20, trust_env=False
    ) as client:
        yield client


# ---------------------------------------------------------------- each transport


@pytest.mark.parametrize(("accept", "status"), [(JSON, 200), ("*/*", 200), (GRAPHQL, 400)])
@pytest.mark.parametrize("query", [{}, {"query": None}, {"query": ""}], ids=["none", "null", "empty"])
async def test_a_hash_alone_is_refused_in_the_words_that_clients_know(
    client: httpx.AsyncClient, accept: str, status: int, query: dict[str, Any]
) -> None:
    body = {"operationName": "A", "variables": {}, "extensions": HASH, **query}
    posted = await client.post(PATH, json=body, headers={"Accept": accept})
    got = await client.get(PATH, params={"extensions": json.dumps(HASH), "query": ""}, headers={"Accept": accept})
    for response in (posted, got):
        assert (response.status_code, response.json()) == (status, REFUSED)
        assert response.headers["cache-control"] == "no-store"


async def test_a_stream_says_the_same(client: httpx.AsyncClient) -> None:
    for response in (
        await client.post(PATH, json={"extensions": HASH}, headers={"Accept": STREAM}),
        await client.get(PATH, params={"extensions": json.dumps(HASH)}, headers={"Accept": STREAM}),
    ):
        assert response.status_code == 200
        events = [line.removeprefix("data: ") for line in response.text.splitlines() if line.startswith("data: ")]
        assert json.loads(events[0]) == REFUSED
        assert "event: complete" in response.text


async def test_a_socket_says_the_same_and_stays_open(served: Served) -> None:
    async with served.connect() as socket:
        await initialise(socket)
        await send(socket, type="subscribe", id="1", payload={"extensions": HASH})
        assert await receive(socket) == {"type": "error", "id": "1", "payload": REFUSED["errors"]}
        await send(socket, type="subscribe", id="1", payload={"query": "{ hello }", "extensions": HASH})
        assert await receive(socket) == {"type": "next", "id": "1", "payload": HELLO}
        assert await receive(socket) == {"type": "complete", "id": "1"}


@pytest.mark.parametrize("accept", [JSON, GRAPHQL])
async def test_a_document_beside_the_hash_is_executed(client: httpx.AsyncClient, accept: str) -> None:
    for response in (
        await client.post(PATH, json={"query": "{ hello }", "extensions": HASH}, headers={"Accept": accept}),
        await client.get(
            PATH, params={"query": "{ hello }", "extensions": json.dumps(HASH)}, headers={"Accept": accept}
        ),
    ):
        assert (response.status_code, response.json()) == (200, HELLO)


async def test_who_may_not_ask_is_told_that_instead(client: httpx.AsyncClient) -> None:
    response = await client.post(PATH, json={"extensions": HASH}, headers={"Authorization": "Bearer bad"})
    assert response.status_code == 401
    assert response.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


# ---------------------------------------------------------------- whatever is in it

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(json_values, st.dictionaries(st.text(max_size=5), json_values, max_size=2), st.sampled_from([None, ""]))
def test_only_a_persisted_query_stands_for_a_document(wish: Any, others: dict[str, Any], query: Any) -> None:
    parameters = {"extensions": {**others, "persistedQuery": wish}, "query": query}
    if wish is not None:
        assert Operation.read(parameters).query is None
    elif query == "":
        assert Operation.read(parameters).query == ""
    else:
        with pytest.raises(Exception, match="query must be text: the GraphQL document"):
            Operation.read(parameters)


@pytest.mark.parametrize(
    "body",
    [{}, {"extensions": {}}, {"extensions": None}, {"extensions": {"persistedQuery": None}}, {"id": "1"}, {"query": 1}],
)
async def test_a_request_without_either_is_refused_by_its_parameter(
    client: httpx.AsyncClient, body: dict[str, Any]
) -> None:
    response = await client.post(PATH, json=body)
    assert response.status_code == 400
    error = response.json()["errors"][0]
    assert error["extensions"]["code"] == "BAD_USER_INPUT"
    assert error["message"] == "query must be text: the GraphQL document."


# ---------------------------------------------------------------- the clients themselves

# Each asks twice: with a hash first, and then, since the server takes none, with the document at once.
_COUNTED_FETCH = """
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
const sent = [];
const counted = async (url, options) => {
  const response = await fetch(url, options);
  const text = options.body ?? decodeURIComponent(String(url));
  sent.push(`${options.method} ${text.includes("hello") ? "document" : "hash"} ${response.status}`);
  return response;
};
const sha256 = async (text) => createHash("sha256").update(text).digest("hex");
const url = process.argv[2];
const headers = { Authorization: "Bearer good" };
"""
_APOLLO = """
const ask = async (options) => {
  const http = new HttpLink({ uri: url, fetch: counted, headers });
  const link = new PersistedQueryLink({ sha256, ...options }).concat(http);
  const client = new ApolloClient({ link, cache: new InMemoryCache() });
  sent.length = 0;
  for (const query of [gql`query A { hello }`, gql`query B { hello }`]) {
    assert.equal((await client.query({ query, fetchPolicy: "no-cache" })).data.hello, "hello world");
  }
  return [...sent];
};
console.log(JSON.stringify([await ask({}), await ask({ useGETForHashedQueries: true })]));
"""
_APOLLO_4 = f"""
import {{ ApolloClient, HttpLink, InMemoryCache, gql }} from "@apollo/client";
import {{ PersistedQueryLink }} from "@apollo/client/link/persisted-queries";
{_COUNTED_FETCH}{_APOLLO}"""
_APOLLO_3 = f"""
import core from "@apollo/client/core/core.cjs";
import persisted from "@apollo/client/link/persisted-queries/persisted-queries.cjs";
const {{ ApolloClient, HttpLink, InMemoryCache, gql }} = core;
const PersistedQueryLink = function (options) {{ return persisted.createPersistedQueryLink(options); }};
{_COUNTED_FETCH}{_APOLLO}"""
_URQL = f"""
import {{ Client, fetchExchange }} from "@urql/core";
import {{ persistedExchange }} from "@urql/exchange-persisted";
{_COUNTED_FETCH}
const ask = async (preferGetForPersistedQueries) => {{
  const exchanges = [persistedExchange({{ preferGetForPersistedQueries, generateHash: sha256 }}), fetchExchange];
  const client = new Client({{ url, fetch: counted, fetchOptions: {{ headers }}, exchanges, preferGetMethod: false }});
  sent.length = 0;
  for (const query of ["query A {{ hello }}", "query B {{ hello }}"]) {{
    const result = await client.query(query, {{}}).toPromise();
    assert.equal(result.error, undefined);
    assert.equal(result.data.hello, "hello world");
  }}
  return [...sent];
}};
console.log(JSON.stringify([await ask(false), await ask("force")]));
"""


@pytest.mark.parametrize(
    ("script", "packages", "refused", "resent"),
    [
        (_APOLLO_4, PACKAGES, 400, "POST"),
        (_APOLLO_3, PACKAGES_OF_APOLLO_3, 200, "POST"),
        (_URQL, PACKAGES, 400, "GET"),  # by the method of the hash
    ],
    ids=["apollo-4", "apollo-3", "urql"],
)
async def test_clients_go_on_with_the_document(
    served: Served, tmp_path: Path, script: str, packages: tuple[str, ...], refused: int, resent: str
) -> None:
    by_post, by_get = await node.printed(tmp_path, packages, script, served.url)
    assert by_post == [f"POST hash {refused}", "POST document 200", "POST document 200"]
    assert by_get == [f"GET hash {refused}", f"{resent} document 200", "POST document 200"]
