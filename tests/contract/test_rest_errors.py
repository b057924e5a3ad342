"""What REST calls refuse, over real HTTP; and that nothing is stored then, nor anything told of others."""

import json
import re
import statistics
import time
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.support import rest, rows
from tests.support.factories import phone_number
from tests.support.graphql_client import Client
from tests.support.rest import calling, good, reason
from tests.support.server import ServerProcess, token

JSON = {"Content-Type": "application/json"}
UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
VARYING = {b"date", b"x-request-id", b"ratelimit"}
"""Headers of which the last says what the caller itself has left."""
TIMINGS = 60


@pytest.fixture
async def caller(service: ServerProcess, client: Client) -> AsyncIterator[httpx.AsyncClient]:
    async with calling(service.url, client.token) as caller:
        yield caller


@pytest.fixture
async def outdial(client: Client) -> str:
    outdial_id: str = (await client.outdial(name="the outdial", campaignId=str(uuid4())))["id"]
    return outdial_id


# ---------------------------------------------------------------- each error once


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
async def test_tokens(service: ServerProcess, outdial: str) -> None:
    async with calling(service.url, None) as nobody:
        for path in ("/outdials", f"/outdials/{outdial}", "/outdials/nonsense"):
            response = await nobody.get(path)
            assert reason(response) == (401, "UNAUTHENTICATED", "AUTHENTICATION_REQUIRED")
            assert response.headers["www-authenticate"] == "Bearer"
        basic = await nobody.post("/outdials", json={}, headers={"Authorization": "Basic eDp5"})
        assert reason(basic)[2] == "AUTHENTICATION_REQUIRED"
        for bad in ("", "nonsense", rest.reference_token("no uuid"), token(str(uuid4()))[:-3] + "AAA"):
            for given in ({"params": {"token": bad}}, {"headers": {"Cookie": f"token={bad}"}}):
                response = await nobody.get("/outdials", **given)  # type: ignore[arg-type]
                assert reason(response) == (401, "UNAUTHENTICATED", "INVALID_CREDENTIALS")
        expired = rest.reference_token(str(uuid4()), exp=1651556906)
        assert reason(await nobody.get("/outdials", params={"token": expired}))[2] == "INVALID_CREDENTIALS"
        read_only = rest.reference_token(str(uuid4()), scope="read")
        denied = await nobody.post("/outdials", json={}, params={"token": read_only})
        assert reason(denied) == (403, "PERMISSION_DENIED", "PERMISSION_DENIED")


async def test_ids_in_paths(caller: httpx.AsyncClient, outdial: str) -> None:
    known = f"/outdials/{outdial}"
    malformed = (outdial[:-1], outdial.replace("-", ""), f"{{{outdial}}}", f"{outdial}%20")
    for bad in ("nonsense", "%00", "%ff", "é", *malformed):
        for method, path in [
            ("GET", f"/outdials/{bad}"),
            ("PUT", f"/outdials/{bad}/data"),
            ("POST", f"/outdials/{bad}/targets"),
            ("DELETE", f"{known}/targets/{bad}"),
            ("GET", f"/outdials/{bad}/targets/{outdial}"),
        ]:
            assert reason(await caller.request(method, path)) == (400, "INVALID_ARGUMENT", "INVALID_ID"), path


async def test_what_is_not_found(caller: httpx.AsyncClient, client: Client, outdial: str) -> None:
    elsewhere = await client.outdial()
    target = await client.target(outdial)
    for method in ("GET", "DELETE"):
        for target_id in (str(uuid4()), outdial):
            response = await caller.request(method, f"/outdials/{outdial}/targets/{target_id}")
            assert reason(response) == (404, "NOT_FOUND", "OUTDIAL_TARGET_NOT_FOUND")
        elsewhere_path = f"/outdials/{elsewhere['id']}/targets/{target['id']}"
        assert reason(await caller.request(method, elsewhere_path))[2] == "OUTDIAL_TARGET_NOT_FOUND"
        nowhere = f"/outdials/{uuid4()}/targets/{target['id']}"
        assert reason(await caller.request(method, nowhere))[2] == "OUTDIAL_NOT_FOUND"
    assert await client.read_target(target["id"]) is not None
    for path in ("/", "/nothing", "/outdials/", f"/outdials/{outdial}/", f"/outdials/{outdial}/nothing"):
        assert reason(await caller.get(path)) == (404, "NOT_FOUND", "ROUTE_NOT_FOUND")


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
async def test_other_methods_are_405_with_allow(service: ServerProcess) -> None:
    outdial = f"/outdials/{uuid4()}"
    allowed = {
        "/outdials": "GET, HEAD, POST",
        outdial: "GET, HEAD, PUT, DELETE",
        f"{outdial}/campaign_id": "PUT",
        f"{outdial}/data": "PUT",
        f"{outdial}/targets": "GET, HEAD, POST",
        f"{outdial}/targets/{uuid4()}": "GET, HEAD, DELETE",
        "/openapi.json": "GET, HEAD",
        "/docs": "GET, HEAD",
    }
    async with calling(service.url, None) as nobody:
        for path, methods in allowed.items():
            for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"):
                response = await nobody.request(method, path)
                if method in methods.split(", "):
                    assert response.status_code != 405
                else:
                    assert (response.status_code, response.headers["allow"]) == (405, methods)
                    if method != "HEAD":
                        assert reason(response)[1:] == ("METHOD_NOT_ALLOWED", "METHOD_NOT_ALLOWED")


async def test_head_is_get_without_a_body(caller: httpx.AsyncClient, outdial: str) -> None:
    got, headed = await caller.get(f"/outdials/{outdial}"), await caller.head(f"/outdials/{outdial}")
    assert (headed.status_code, headed.content) == (200, b"")
    assert headed.headers["content-length"] == got.headers["content-length"]
    assert got.headers["cache-control"] == "no-store"


# ---------------------------------------------------------------- bodies

LARGE = json.dumps({"name": "x", "data": "d" * 1_000, "more": "m" * 1024 * 1024}).encode()
DEEP = 100_000
BODIES = [
    pytest.param(LARGE, JSON, (413, "PAYLOAD_TOO_LARGE", "PAYLOAD_TOO_LARGE"), id="over 1 MiB"),
    pytest.param(b" " * 9_000_000, JSON, (413, "PAYLOAD_TOO_LARGE", "PAYLOAD_TOO_LARGE"), id="9 MB"),
    *(
        pytest.param(body, JSON, (400, "INVALID_ARGUMENT", "INVALID_JSON_BODY"), id=name)
        for name, body in {
            "nothing": b"",
            "cut off": b'{"name": "x"',
            "no JSON": b"name=x",
            "two values": b"{} {}",
            "invalid UTF-8": b'{"name": "\xff\xfe"}',
            "half a surrogate pair": b'{"name": "\\ud800"}',
            "NaN": b'{"name": NaN}',
            "UTF-16": '{"name": "x"}'.encode("utf-16"),
            "deep arrays": b"[" * DEEP + b"]" * DEEP,
            "deep objects": b'{"name":' * DEEP + b"1" + b"}" * DEEP,
            "deep and cut off": b'{"name":' + b"[" * DEEP,
        }.items()
    ),
    *(
        pytest.param(json.dumps(body).encode(), JSON, (400, "INVALID_ARGUMENT", "INVALID_ARGUMENT"), id=name)
        for name, body in {
            "an array": [{}],
            "null": None,
            "text": "name",
            "a number": 5,
            "a number for text": {"name": 5, "data": 5, "destination_0": {"target": "+821021656521"}},
            "true for text": {"name": True, "data": True},
            "null for text": {"name": None, "data": None},
            "an array for text": {"name": ["x"], "data": ["x"]},
            "an object for text": {"name": {}, "data": {}},
            "deep but legal": {"name": json.loads("[" * 60 + "]" * 60), "data": 1},
            "NUL": {"name": "a\x00b", "data": "\x00"},
            "too long": {"name": "x" * 256, "data": "x" * 65_537},
        }.items()
    ),
    *(
        pytest.param(b'{"name": "x", "data": "x"}', headers, (415, *["UNSUPPORTED_MEDIA_TYPE"] * 2), id=name)
        for name, headers in {
            "no type": {},
            "plain text": {"Content-Type": "text/plain"},
            "a form": {"Content-Type": "application/x-www-form-urlencoded"},
            "latin-1": {"Content-Type": "application/json; charset=latin-1"},
            "compressed": {**JSON, "Content-Encoding": "gzip"},
        }.items()
    ),
]


@pytest.mark.slow
@pytest.mark.alternate
@pytest.mark.parametrize(("body", "headers", "expected"), BODIES)
async def test_bodies_that_are_refused_store_nothing(
    service: ServerProcess,
    client: Client,
    outdial: str,
    body: bytes,
    headers: dict[str, str],
    expected: tuple[int, str, str],
) -> None:
    before = await rows.of(service.database_url, client.customer_id)
    # by cookie, as a page of another origin would have a browser send it
    async with calling(service.url, None) as caller:
        for method, path in [
            ("POST", "/outdials"),
            ("POST", f"/outdials/{outdial}/targets"),
            ("PUT", f"/outdials/{outdial}"),
            ("PUT", f"/outdials/{outdial}/data"),
        ]:
            cookie = {"Cookie": f"token={client.token}"}
            response = await caller.request(method, path, content=body, headers={**headers, **cookie})
            assert reason(response) == expected, (method, path)
    assert await rows.of(service.database_url, client.customer_id) == before


@pytest.mark.alternate
@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, [[]]),
        ({"destination_0": None, "destination_1": {}}, [[]]),
        ({"destination_0": "+821021656521"}, [["destination_0"]]),
        ({"destination_0": [{"target": "+821021656521"}]}, [["destination_0"]]),
        ({"destination_3": {"type": "tel"}}, [["destination_3", "target"]]),
        ({"destination_3": {"target": 821021656521}}, [["destination_3", "target"]]),
        ({"destination_3": {"target": None}}, [["destination_3", "target"]]),
        ({"destination_3": {"target": "+1"}}, [["destination_3", "target"]]),
        ({"destination_3": {"target": "x\x00", "type": "line"}}, [["destination_3", "target"]]),
        *(({"destination_4": {"target": "x", "type": type_}}, [["destination_4", "type"]]) for type_ in ("TEL", "fax")),
        *(({"destination_4": {"target": "x", "type": type_}}, [["destination_4", "type"]]) for type_ in (5, None, [])),
        (
            {
                "name": 5,
                "destination_0": {"target": "+821021656521", "target_name": "x" * 256, "name": None, "detail": 1.5},
                "destination_1": {"type": "email", "target": "nobody"},
            },
            [
                ["name"],
                ["destination_0", "target_name"],
                ["destination_0", "name"],
                ["destination_0", "detail"],
                ["destination_1", "target"],
            ],
        ),
    ],
)
async def test_details_name_every_value_that_is_wrong(
    service: ServerProcess,
    client: Client,
    caller: httpx.AsyncClient,
    outdial: str,
    body: dict[str, Any],
    expected: list[list[str]],
) -> None:
    before = await rows.of(service.database_url, client.customer_id)
    response = await caller.post(f"/outdials/{outdial}/targets", json=body)
    assert sorted(rest.paths(response)) == sorted(expected)
    assert await rows.of(service.database_url, client.customer_id) == before


@pytest.mark.alternate
@pytest.mark.parametrize("bad", [5, "", "nonsense", True, [], {}, "0" * 36])
async def test_what_is_no_campaign_id_is_refused(caller: httpx.AsyncClient, outdial: str, bad: Any) -> None:
    assert rest.paths(await caller.post("/outdials", json={"campaign_id": bad})) == [["campaign_id"]]
    response = await caller.put(f"/outdials/{outdial}/campaign_id", json={"campaign_id": bad})
    assert rest.paths(response) == [["campaign_id"]]


async def test_the_longest_data_fits_however_it_is_escaped(caller: httpx.AsyncClient, outdial: str) -> None:
    data = "😀" * 65_536
    stored = good(await caller.put(f"/outdials/{outdial}/data", content=json.dumps({"data": data}), headers=JSON))
    assert stored["data"] == data


# ---------------------------------------------------------------- tenants


async def test_another_customers_id_is_like_one_that_never_existed(
    service: ServerProcess, caller: httpx.AsyncClient, client: Client, other: Client
) -> None:
    mine, theirs = await client.outdial(), await other.outdial(name="a secret")
    their_target = await other.target(theirs["id"], name="a secret")
    before = await rows.of(service.database_url, other.customer_id)

    def calls(outdial_id: str, target_id: str) -> list[tuple[str, str, Any]]:
        path = f"/outdials/{outdial_id}"
        return [
            ("GET", path, None),
            ("PUT", path, {"name": "x"}),
            ("PUT", f"{path}/campaign_id", {"campaign_id": str(uuid4())}),
            ("PUT", f"{path}/data", {"data": "x"}),
            ("DELETE", path, None),
            ("GET", f"{path}/targets", None),
            ("POST", f"{path}/targets", {"destination_0": {"target": phone_number()}}),
            ("GET", f"{path}/targets/{target_id}", None),
            ("DELETE", f"{path}/targets/{target_id}", None),
            ("GET", f"/outdials/{mine['id']}/targets/{target_id}", None),
            ("DELETE", f"/outdials/{mine['id']}/targets/{target_id}", None),
        ]

    async def answers(outdial_id: str, target_id: str) -> list[Any]:
        found = []
        for method, path, body in calls(outdial_id, target_id):
            response = await caller.request(method, path, json=body)
            headers = [(name, value) for name, value in response.headers.raw if name not in VARYING]
            assert reason(response)[0] == 404
            found.append((headers, UUID.sub("ID", response.text)))
        return found

    assert await answers(theirs["id"], their_target["id"]) == await answers(str(uuid4()), str(uuid4()))
    assert await rows.of(service.database_url, other.customer_id) == before
    assert good(await caller.get("/outdials"))["result"] == [good(await caller.get(f"/outdials/{mine['id']}"))]


async def test_nor_does_it_take_longer_to_say_so(
    service: ServerProcess, caller: httpx.AsyncClient, other: Client
) -> None:
    theirs = (await other.outdial())["id"]
    their_target = (await other.target(theirs))["id"]
    taken: dict[str, list[float]] = {"theirs": [], "nobody's": []}
    for _ in range(TIMINGS):
        for whose, seconds in taken.items():
            outdial_id, target_id = (theirs, their_target) if whose == "theirs" else (str(uuid4()), str(uuid4()))
            started = time.perf_counter()
            response = await caller.get(f"/outdials/{outdial_id}/targets/{target_id}")
            seconds.append(time.perf_counter() - started)
            assert response.status_code == 404
    medians = {whose: statistics.median(seconds) for whose, seconds in taken.items()}
    # The same statements find nothing. Reading a row more would show as tenths of a millisecond; machines are noisy.
    assert abs(medians["theirs"] - medians["nobody's"]) < max(0.002, 0.5 * min(medians.values())), medians
