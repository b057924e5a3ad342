"""The REST face over a real uvicorn, with use-cases that do what a test wants: what they cannot be brought to do."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx
import pytest
import structlog
import uvicorn
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.datastructures import QueryParams

from app import ids, outdials, rest
from app.errors import LimitExceeded, RateLimited, Rejected, Unavailable, UserError, UserErrorCode, rejected
from app.pagination import PageRequest, Place, cursor_of
from app.rates import Limiter
from app.requests.arriving import Arriving
from app.rest import calls, endpoint, exporting, importing, paging, parameters, problems, rejects
from app.rest.members import Field
from app.rest.problems import Problem, Reason
from app.server import boundary
from app.turns import Lanes
from tests.support.rest import reason
from tests.support.transport import ORIGIN, Reader, Served

PATH = "/v1.0/outdials"
JSON = {"Content-Type": "application/json"}


class ServedCalls(Served):
    """The calls, for whoever has one of the tokens of `Reader`."""

    def __init__(self) -> None:
        super().__init__()
        app = Starlette(
            routes=rest.routes(Reader(), Lanes(), Limiter(), arriving=Arriving(), stopping=asyncio.Event()),
            middleware=boundary.middleware([ORIGIN]),
        )
        config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="critical", lifespan="off")
        self.server = uvicorn.Server(config)


@pytest.fixture(scope="module")
def served() -> Iterator[ServedCalls]:
    with ServedCalls() as served:
        yield served


@pytest.fixture
async def caller(served: ServedCalls) -> AsyncIterator[httpx.AsyncClient]:
    url = f"http://127.0.0.1:{served.port}"
    headers = {"Authorization": "Bearer good"}
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=20, trust_env=False) as caller:
        yield caller


def have_page_raise(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    async def page(*_args: Any, **_options: Any) -> None:
        raise error

    monkeypatch.setattr(outdials, "page", page)


# ---------------------------------------------------------------- what happens to the server


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (RateLimited("Too many calls."), (429, "RESOURCE_EXHAUSTED", "RATE_LIMIT_EXCEEDED")),
        (Unavailable("The database does not answer. Try again."), (503, "UNAVAILABLE", "SERVICE_UNAVAILABLE")),
        (LimitExceeded("Too much."), (400, "INVALID_ARGUMENT", "INVALID_ARGUMENT")),
    ],
)
async def test_what_a_client_can_expect_says_when_to_try_again(
    caller: httpx.AsyncClient,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    expected: tuple[int, str, str],
) -> None:
    have_page_raise(monkeypatch, error)
    response = await caller.get(PATH)
    assert reason(response) == expected
    assert response.json()["error"]["message"] == str(error)
    assert (response.headers.get("retry-after") == "1") == (expected[0] in {429, 503})


async def test_a_bug_is_a_500_that_says_nothing_but_the_request_id(
    caller: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    have_page_raise(monkeypatch, ValueError("postgresql://user:secret@host/name"))
    with structlog.testing.capture_logs() as log:
        response = await caller.get(PATH, headers={"X-Request-Id": "from-a-proxy"})
    assert reason(response) == (500, "INTERNAL", "INTERNAL")
    assert response.json()["error"]["request_id"] == "from-a-proxy"
    assert "secret" not in response.text
    assert ["secret" in str(entry["exc_info"]) for entry in log if entry["log_level"] == "error"] == [True]


async def test_keys_that_cannot_be_fetched_are_503(caller: httpx.AsyncClient) -> None:
    response = await caller.get(PATH, params={"token": "away"})
    assert reason(response) == (503, "UNAVAILABLE", "SERVICE_UNAVAILABLE")


# ---------------------------------------------------------------- bodies that come slowly or not at all


def raw(served: ServedCalls, *lines: str, body: bytes = b"") -> bytes:
    """What the server answers to bytes that no client library would send."""
    head = [f"POST {PATH} HTTP/1.1", "Host: x", "Cookie: token=good", "Content-Type: application/json", *lines]
    with socket.create_connection(("127.0.0.1", served.port), timeout=5) as connection:
        connection.sendall("\r\n".join([*head, "", ""]).encode() + body)
        answer = b""
        while chunk := connection.recv(65_536):
            answer += chunk
        return answer


async def test_a_body_that_does_not_come_is_not_waited_for(
    served: ServedCalls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoint, "BODY_SECONDS_MAX", 0.3)
    answer = await asyncio.to_thread(raw, served, "Content-Length: 100", body=b"{")
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["reason"] == "REQUEST_TIMEOUT"


async def test_a_body_that_is_too_long_is_refused_before_it_is_sent(served: ServedCalls) -> None:
    answer = await asyncio.to_thread(raw, served, "Content-Length: 1048577", "Expect: 100-continue")
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["reason"] == "PAYLOAD_TOO_LARGE"


async def test_the_limit_holds_to_the_byte_and_however_it_is_sent(caller: httpx.AsyncClient) -> None:
    fits = b"[" + b" " * (endpoint.BODY_BYTES_MAX - 2) + b"]"

    async def in_chunks(body: bytes) -> AsyncIterator[bytes]:
        for start in range(0, len(body), 100_000):
            yield body[start : start + 100_000]

    for body, expected in ((fits, "INVALID_ARGUMENT"), (fits + b" ", "PAYLOAD_TOO_LARGE")):
        assert reason(await caller.post(PATH, content=body, headers=JSON))[2] == expected
        assert reason(await caller.post(PATH, content=in_chunks(body), headers=JSON))[2] == expected


async def test_a_client_that_goes_away_harms_nobody(served: ServedCalls, caller: httpx.AsyncClient) -> None:
    def leave() -> None:
        with socket.create_connection(("127.0.0.1", served.port), timeout=5) as connection:
            head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nCookie: token=good\r\nContent-Type: application/json\r\n"
            connection.sendall(f"{head}Content-Length: 100\r\n\r\n{{".encode())

    with structlog.testing.capture_logs() as log:
        for _ in range(5):
            await asyncio.to_thread(leave)
        await asyncio.sleep(0.2)
        assert reason(await caller.post(PATH, content=b"[]", headers=JSON))[0] == 400
    assert [entry for entry in log if entry["log_level"] in {"warning", "error"}] == []


# ---------------------------------------------------------------- the cookie


async def test_a_page_of_another_origin_cannot_have_the_cookie_change_anything(
    served: ServedCalls, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def create(*_args: Any, **_options: Any) -> None:
        raise AssertionError("it was called")

    monkeypatch.setattr(outdials, "create", create)
    headers = {"Cookie": "token=good", "Origin": "https://evil.example.com", "Sec-Fetch-Site": "cross-site"}
    async with httpx.AsyncClient(headers=headers, trust_env=False) as browser:
        # what a browser sends without a preflight
        for content_type in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
            response = await browser.post(
                f"http://127.0.0.1:{served.port}{PATH}", content=b"{}", headers={"Content-Type": content_type}
            )
            assert reason(response)[0] == 415
            assert "access-control-allow-origin" not in response.headers


# ---------------------------------------------------------------- pages


def test_a_page_token_is_a_place_and_a_bare_timestamp_the_instant_before() -> None:
    instant = datetime(2022, 4, 28, 1, 41, 40, 503790, tzinfo=UTC)
    row_id = str(uuid4())
    assert paging.request(QueryParams("")) == PageRequest(size=100)
    assert paging.request(QueryParams("page_size=0007&anything=else")) == PageRequest(size=7)
    assert paging.request(QueryParams(f"page_size=2&page_size={'9' * 5_000}")) == PageRequest(size=100)
    assert paging.request(QueryParams({"page_token": cursor_of(instant, row_id), "page_size": "3"})) == PageRequest(
        size=3, after=Place(instant, row_id)
    )
    for text in ("2022-04-28%2001:41:40.503790", "2022-04-28+01:41:40.503790"):
        assert paging.request(QueryParams(f"page_token={text}")).after == Place(instant, ids.ZERO)
    with pytest.raises(Rejected) as both:
        paging.request(QueryParams("page_size=x&page_token=x"))
    assert [error.path for error in both.value.errors] == [("page_size",), ("page_token",)]


# ---------------------------------------------------------------- parameters

FIELDS = [
    *(("import", field) for field in importing.PARAMETERS),
    *((export.name, field) for export in exporting.EXPORTS for field in export.parameters),
]


def test_all_that_is_wrong_with_a_query_is_said_at_once_and_credentials_are_no_parameters() -> None:
    query = QueryParams("fromat=csv&format=xml&dry_run=yes&max_rejects=0&dedupe=all&token=x&session=y&map=a:b&map=c:d")
    with pytest.raises(Rejected) as caught:
        parameters.read(query, importing.PARAMETERS)
    said = {error.path[0]: error.message for error in caught.value.errors}
    assert said == {
        "fromat": "Unknown parameter.",
        "format": "Must be one of csv, ndjson.",
        "dry_run": "Must be true or false.",
        "max_rejects": "Must be a whole number from 1 to 1,000,000.",
        "dedupe": "Must be one of none, outdial, customer.",
    }


@pytest.mark.parametrize(("call", "field"), FIELDS, ids=[f"{call}-{field.name}" for call, field in FIELDS])
def test_of_a_repeated_parameter_all_values_count_or_the_last(call: str, field: Field) -> None:
    schema = field.schema.get("items", field.schema)
    words = schema.get("enum") or {"boolean": ["true", "false"], "integer": ["1", "2"]}.get(
        schema["type"], ["a:b", "c"]
    )
    query = QueryParams([(field.name, words[0]), (field.name, words[-1])])
    once = parameters.read(QueryParams({field.name: words[-1]}), [field])[field.name]
    read = parameters.read(query, [field])[field.name]
    if field.schema["type"] == "array":
        assert (len(read), read[1:]) == (2, once)
    else:
        assert read == once


@given(st.text("0123456789", max_size=12) | st.text(max_size=5), st.integers(1, 10**6))
def test_a_number_is_its_digits_within_its_bounds(text: str, maximum: int) -> None:
    errors: list[UserError] = []
    found = parameters.number(maximum)(text, errors, "it")
    if text.isascii() and text.isdecimal() and 1 <= int(text) <= maximum:
        assert (found, errors) == (int(text), [])
    else:
        assert [error.message for error in errors] == [f"Must be a whole number from 1 to {maximum:,}."]


# ---------------------------------------------------------------- errors


def test_every_reason_has_a_status_and_every_status_a_name() -> None:
    assert {reason.http_status for reason in Reason} == set(problems.STATUSES)
    documented = {reason for call in calls.CALLS for reason in call.reasons} | {*importing.REASONS, *rejects.REASONS}
    assert set(Reason) - documented == {Reason.ROUTE_NOT_FOUND, Reason.METHOD_NOT_ALLOWED}


def test_paths_lose_the_step_that_only_the_use_case_knows() -> None:
    def found(*path: str) -> Problem:
        error = rejected(UserErrorCode.INVALID, "No.", *path)
        return problems.of(error, missing=Reason.OUTDIAL_NOT_FOUND, body_path=("target",))

    assert found("target", "destination_0", "target").envelope["error"]["details"] == [
        {"path": ["destination_0", "target"], "message": "No."}
    ]
    assert found("target").envelope["error"]["details"] == [{"path": [], "message": "No."}]
    assert found("destination_0", "target").message == "destination_0.target: No."
