"""Requests to the GraphQL endpoint, as clients send them and as none should."""

import socket
from typing import Any

import httpx

from tests.support.transport import Served

PATH = "/graphql"
JSON = "application/json"
GRAPHQL = "application/graphql-response+json"
STREAM = "text/event-stream"
CHROME = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"
URQL = f"{GRAPHQL}, application/graphql+json, {JSON}, {STREAM}, multipart/mixed"
COUNT = "subscription { count(to: 3) { number } }"


async def post(client: httpx.AsyncClient, query: Any, accept: str = GRAPHQL, **parameters: Any) -> httpx.Response:
    return await client.post(PATH, json={"query": query, **parameters}, headers={"Accept": accept})


def code(response: httpx.Response) -> str:
    body = response.json()
    assert "data" not in body
    error_code: str = body["errors"][0]["extensions"]["code"]
    return error_code


async def plain(client: httpx.AsyncClient, body: bytes, content_type: str = JSON, **headers: str) -> httpx.Response:
    return await client.post(PATH, content=body, headers={"Content-Type": content_type, **headers})


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
