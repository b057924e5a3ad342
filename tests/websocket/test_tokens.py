"""Tokens on sockets: who carries them, and what closes without a good one."""

import time
from typing import Any

import pytest

from tests.support.sockets import FLOOD, FOREVER
from tests.support.transport import (
    ORIGIN,
    Served,
    closed,
    eventually,
    initialise,
    receive,
    send,
    subscribe,
    watch,
)


@pytest.mark.parametrize(
    "payload",
    [{"Authorization": "Bearer good"}, {"authorization": "bearer good"}, {"AUTHORIZATION": "good"},
     {"token": "good"}, {"Token": "Bearer good"}, {"Authorization": "good", "token": "bad"},
     {"Authorization": None, "token": "good"}, {"token": "good", "other": [1]}],
)  # fmt: skip
async def test_the_payload_of_connection_init_carries_a_token(served: Served, payload: dict[str, Any]) -> None:
    async with served.connect() as socket:
        await send(socket, type="connection_init", payload=payload)
        assert await receive(socket) == {"type": "connection_ack"}


CARRIED: list[tuple[str, dict[str, str], Any]] = [
    ("", {"Authorization": "Bearer good"}, None),
    ("?token=good", {}, None),
    ("", {"Cookie": "token=good", "Origin": ORIGIN}, None),
    # The first that is present counts: header, payload, query, cookie.
    ("?token=bad", {"Authorization": "Bearer good"}, {"token": "bad"}),
    ("?token=bad", {"Cookie": "token=bad", "Origin": ORIGIN}, {"token": "good"}),
    ("?token=good", {"Cookie": "token=bad", "Origin": ORIGIN}, {}),
    ("?token=good", {"Authorization": "Basic eDp5"}, None),
]


@pytest.mark.parametrize(("query", "headers", "payload"), CARRIED)
async def test_other_carriers_count_in_their_order(
    served: Served, query: str, headers: dict[str, str], payload: Any
) -> None:
    async with served.connect(f"/graphql{query}", additional_headers=headers) as socket:
        await send(socket, type="connection_init", payload=payload)  # null is allowed
        assert await receive(socket) == {"type": "connection_ack"}


NOT_CARRIED: list[tuple[str, dict[str, str], Any]] = [
    ("", {}, None),
    ("", {}, {}),
    ("", {}, {"token": "bad"}),
    ("", {}, {"token": 3}),
    ("", {}, {"Authorization": ["Bearer good"]}),
    ("?token=good", {"Authorization": "Bearer bad"}, {"token": "good"}),
    ("?token=good", {}, {"token": "bad"}),
    ("?token=bad", {"Cookie": "token=good", "Origin": ORIGIN}, None),
    ("?token=", {}, None),
    # A cookie comes along with every page's requests, so the page must be one of ours.
    ("", {"Cookie": "token=good"}, None),
    ("", {"Cookie": "token=good", "Origin": "https://evil.example.com"}, None),
    ("", {"Cookie": "token=good", "Origin": "null"}, None),
    ("", {"Cookie": "token=good", "Origin": ORIGIN + ".evil.example.com"}, None),
]


@pytest.mark.parametrize(("query", "headers", "payload"), NOT_CARRIED)
async def test_without_a_good_token_the_socket_closes_with_4401(
    served: Served, query: str, headers: dict[str, str], payload: Any
) -> None:
    async with served.connect(f"/graphql{query}", additional_headers=headers) as socket:
        await send(socket, type="connection_init", payload=payload)
        code, reason = await closed(socket)
        assert code == 4401
        assert reason


@pytest.mark.parametrize("scheme", ["http", "https", "HTTP"])
async def test_a_cookie_counts_from_the_servers_own_origin(served: Served, scheme: str) -> None:
    headers = {"Cookie": "token=good", "Origin": f"{scheme}://127.0.0.1:{served.port}"}
    async with served.connect(additional_headers=headers) as socket:
        await send(socket, type="connection_init")
        assert await receive(socket) == {"type": "connection_ack"}


@pytest.mark.parametrize(
    "origin",
    ["//{}", "{}", "://{}", "ftp://{}", "http:{}", "http:///{}", "http://x@{}", "http://{}/", "http://{}, null"],
)
async def test_a_cookie_counts_from_nothing_that_only_resembles_it(served: Served, origin: str) -> None:
    headers = {"Cookie": "token=good", "Origin": origin.format(f"127.0.0.1:{served.port}")}
    async with served.connect(additional_headers=headers) as socket:
        await send(socket, type="connection_init")
        assert (await closed(socket))[0] == 4401


async def test_keys_that_cannot_be_fetched_close_with_1013(served: Served) -> None:
    async with served.connect() as socket:
        await send(socket, type="connection_init", payload={"token": "away"})
        assert (await closed(socket))[0] == 1013


@pytest.mark.parametrize("query", [FOREVER, FLOOD, "{ wait(seconds: 60) }"])
async def test_a_token_that_expires_closes_with_4403_in_a_replay_too(served: Served, query: str) -> None:
    async with served.connect() as socket:
        started = time.monotonic()
        await initialise(socket, "for:1")
        await subscribe(socket, "1", query)
        assert await closed(socket) == (4403, "The token has expired")
        assert 0.8 < time.monotonic() - started < 15
    await eventually(lambda: watch.open == 0 and not served.tasks())
