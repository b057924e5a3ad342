"""Bodies: malformed, odd, too long, or with a wrong length."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator

import httpx
import pytest

from app.graphql.transport import http as http_module
from tests.support.posting import GRAPHQL, JSON, PATH, code, head, plain, post, raw
from tests.support.transport import Served


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
