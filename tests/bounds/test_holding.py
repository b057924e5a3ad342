"""What is made of long bodies and messages is counted until its operation ends, over GraphQL and REST together."""

import asyncio
import json
import sys
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import orjson
import pytest
from starlette.types import Message, Scope

from app.errors import RateLimited
from app.rates import Limiter
from app.requests import arriving, decoding
from app.requests.arriving import SHORT_BYTES_MAX, Arriving
from app.rest import calls
from app.rest.endpoint import BODY_BYTES_MAX, Endpoint
from app.server.connections.http import HttpProtocol
from app.server.connections.websocket import WebSocketProtocol
from app.settings import Settings
from app.turns import Lanes
from tests.support.raw import Raw, head, resident_mebibytes
from tests.support.server import ServerProcess, token
from tests.support.transport import Reader, Served, eventually, make_viewer

CUSTOMER_BYTES = 1_000_000
NAME = "x" * 300_000
SLOW = "query A($name: String!) { hello(name: $name) wait(seconds: 600) }"
QUICK = "query B($name: String!) { hello(name: $name) }"
SENT_BYTES = 4 * 2**20


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    monkeypatch.setattr(arriving, "CUSTOMER_ARRIVING_BYTES_MAX", CUSTOMER_BYTES)
    with Served(http=HttpProtocol, ws=WebSocketProtocol) as served:
        yield served


def post(path: str, body: bytes, given: str = "good", *lines: str) -> bytes:
    size = f"Content-Length: {len(body)}"
    return head(path, "Content-Type: application/json", size, f"Authorization: Bearer {given}", method="POST") + body


def operation(query: str, name: str = NAME) -> dict[str, Any]:
    return {"query": query, "variables": {"name": name}}


# ---------------------------------------------------------------- the estimate


def memory(value: Any) -> int:
    """What a decoded value takes. Numbers up to 256 and short names are shared."""
    if isinstance(value, dict):
        return sys.getsizeof(value) + sum(memory(member) for member in value.values())
    if isinstance(value, list):
        return sys.getsizeof(value) + sum(map(memory, value))
    return sys.getsizeof(value)


@pytest.mark.parametrize(
    ("text", "most"),
    [
        ("[" + "{}," * 50_000 + "{}]", 4),
        ("[" + "[]," * 50_000 + "[]]", 3),
        ("[" + '{"a":1},' * 50_000 + '{"a":1}]', 1.5),
        ("[" + "1.5," * 50_000 + "1]", 3),
        ("[" + '"abc",' * 50_000 + '"abc"]', 1.5),
        ('["' + "x" * 100_000 + '"]', 1.1),
        ('["é' + "x" * 100_000 + '"]', 2.1),
        ('["漢' + "x" * 100_000 + '"]', 1.1),
        ('["🏃' + "x" * 100_000 + '"]', 1.1),
        ('["\\u6f22' + "x" * 100_000 + '"]', 1.1),
        ('["\\uD83C\\uDFC3' + "x" * 100_000 + '"]', 1.1),
        (orjson.dumps([json.dumps({"a": [{}, {}], "b": "x"})] * 3_000).decode(), 2),
        (orjson.dumps([{"name": f"n{n}", "destinations": [{"address": "+1"}]} for n in range(1_000)]).decode(), 2),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else "",
)  # fmt: skip
def test_the_estimate_is_no_less_than_what_a_value_takes_and_not_much_more(text: str, most: float) -> None:
    taken = memory(orjson.loads(text))
    for given in (text, text.encode()):
        assert 0.95 * taken < decoding.decoded_bytes(given) < most * taken


def test_a_text_that_is_not_estimated_makes_so_little_that_it_is_not_counted() -> None:
    size = decoding.SPARE_TEXT_BYTES_MAX
    for value in ("{}", "[]", '{"":0}', "1e9", '""', '"a"'):
        text = "[" + ",".join([value] * ((size - 1) // (len(value) + 1))) + "]"
        assert (len(text) <= size, decoding.decoded_bytes(text)) == (True, 0)
        assert memory(orjson.loads(text)) < SHORT_BYTES_MAX
    assert decoding.decoded_bytes("[" + "{}," * size + "{}]") > SHORT_BYTES_MAX


def test_a_single_request_finds_room_whatever_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    sums = Arriving()
    most = arriving.CUSTOMER_ARRIVING_BYTES_MAX
    shares = [sums.share("one") for _ in range(3)]
    shares[0].hold_decoded(10 * most)
    shares[1].hold_decoded(10 * most)
    with pytest.raises(RateLimited):
        shares[2].hold_decoded(SHORT_BYTES_MAX + 1)


# ---------------------------------------------------------------- GraphQL


async def test_a_body_is_counted_until_its_operation_ends(served: Served) -> None:
    size = decoding.decoded_bytes(orjson.dumps(operation(SLOW)))
    with Raw(served.port) as first, Raw(served.port) as second, Raw(served.port) as third:
        first.send(post("/graphql", orjson.dumps(operation(SLOW))))
        await eventually(lambda: served.arriving.total == size)
        second.send(post("/graphql", orjson.dumps(operation(SLOW))))
        await eventually(lambda: served.arriving.total == 2 * size)
        status, headers, body = third.send(post("/graphql", orjson.dumps(operation(QUICK, 2 * NAME)))).answer()
        assert (status, headers["retry-after"]) == (429, "1")
        assert json.loads(body)["errors"][0]["extensions"]["code"] == "RATE_LIMITED"
        with Raw(served.port) as short:  # what is not counted is answered
            assert short.send(post("/graphql", orjson.dumps(operation(QUICK, "you")))).answer()[0] == 200
    # The operations go on for a moment after their clients have left.
    served.on_loop(lambda: [task.cancel() for task in asyncio.all_tasks() if "run_asgi" in repr(task.get_coro())])
    await eventually(lambda: served.arriving.total == 0)
    with Raw(served.port) as again:
        assert again.send(post("/graphql", orjson.dumps(operation(QUICK)))).answer()[0] == 200


async def test_a_message_is_counted_until_its_operation_ends_and_the_socket_lives_on(served: Served) -> None:
    with Raw(served.port).upgrade().initialise() as socket:
        for number in "12":
            socket.say(type="subscribe", id=number, payload=operation(SLOW))
        await eventually(lambda: 2 * len(NAME) < served.arriving.total < 2 * len(NAME) + 5_000)
        wide = {"query": QUICK, "variables": {"name": "you", "unknown": [{}] * 10_000}}
        refused = socket.say(type="subscribe", id="3", payload=wide).hear()
        assert (refused["type"], refused["id"]) == ("error", "3")
        assert refused["payload"][0]["extensions"] == {"code": "RATE_LIMITED", "retryAfterSeconds": 1}
        assert socket.say(type="subscribe", id="4", payload=operation(QUICK, "you")).hear()["type"] == "next"
        assert socket.hear() == {"type": "complete", "id": "4"}
        socket.say(type="complete", id="1")
        await eventually(lambda: len(NAME) < served.arriving.total < len(NAME) + 5_000)
        assert socket.say(type="subscribe", id="5", payload=operation(QUICK)).hear()["type"] == "next"
        assert socket.hear() == {"type": "complete", "id": "5"}
        await eventually(lambda: len(NAME) < served.arriving.total < len(NAME) + 5_000)
    await eventually(lambda: served.arriving.total == 0)


async def test_what_a_subscription_was_sent_with_is_not_counted_while_it_lives(served: Served) -> None:
    payload = {**operation("subscription { count(to: 2, pause: 600) { number } }"), "variables": {"unknown": NAME}}
    with Raw(served.port).upgrade().initialise() as socket, Raw(served.port) as stream:
        assert socket.say(type="subscribe", id="1", payload=payload).hear()["type"] == "next"
        request = post("/graphql", orjson.dumps(payload)).replace(
            b"Host: x", b"Host: x\r\nAccept: text/event-stream", 1
        )
        assert stream.send(request).answer()[0] == 200
        await eventually(lambda: served.arriving.total == 0)


# ---------------------------------------------------------------- REST


async def call(endpoint: Endpoint, body: bytes) -> tuple[int, dict[str, Any]]:
    sent: list[Message] = []
    pieces = iter([body])

    async def receive() -> Message:
        return {"type": "http.request", "body": next(pieces), "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    headers = [(b"content-type", b"application/json"), (b"authorization", b"Bearer good")]
    scope: Scope = {"type": "http", "method": "POST", "path": "/", "path_params": {}, "query_string": b""}
    await endpoint({**scope, "headers": headers}, receive, send)
    return sent[0]["status"], orjson.loads(sent[1]["body"])


async def test_a_rest_body_is_counted_until_its_call_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arriving, "CUSTOMER_ARRIVING_BYTES_MAX", CUSTOMER_BYTES)
    goes_on = asyncio.Event()

    async def run(_request: calls.Request) -> dict[str, Any]:
        await goes_on.wait()
        return {}

    create = next(one for one in calls.CALLS if one.name == "createOutdial")
    slow = calls.Call("POST", "/", "slow", "Slow.", create.answers, run, body=create.body)
    sums = Arriving()
    endpoint = Endpoint({"POST": slow}, Reader(), Lanes(), Limiter(), sums)
    body = orjson.dumps({"name": "x" * 400_000})
    size = decoding.decoded_bytes(body)
    under_way = [asyncio.create_task(call(endpoint, body)) for _ in range(2)]
    await eventually(lambda: sums.total == 2 * size)
    status, refusal = await call(endpoint, body)
    assert (status, refusal["error"]["reason"]) == (429, "RATE_LIMIT_EXCEEDED")
    assert sums.total == 2 * size
    goes_on.set()
    assert [(await one)[0] for one in under_way] == [200, 200]
    assert (await call(endpoint, body))[0] == 200
    assert (sums.total, sums._of_each) == (0, {})
    other = sums.share(make_viewer("other").customer_id)
    monkeypatch.setattr(arriving, "ARRIVING_BYTES_MAX", 300_000)
    status, refusal = await call(endpoint, body)
    assert (status, refusal["error"]["reason"]) == (503, "SERVICE_UNAVAILABLE")
    assert (sums.total, other.counted) == (0, 0)


def test_rest_bodies_that_are_not_whole_are_bounded_in_sum(usual: ServerProcess) -> None:
    mine, theirs = token(str(uuid4())), token(str(uuid4()))
    body = b'{"name":"' + b"x" * (BODY_BYTES_MAX - 11) + b'"}'
    most = arriving.CUSTOMER_ARRIVING_BYTES_MAX // (BODY_BYTES_MAX - 1)
    opened = [Raw(usual.port).send(post("/v1.0/outdials", body, mine)[:-1]) for _ in range(most)]
    with Raw(usual.port) as late:
        status, headers, refusal = late.send(post("/v1.0/outdials", body, mine)).answer()
        assert (status, headers["retry-after"]) == (429, "1")
        assert json.loads(refusal)["error"]["status"] == "RESOURCE_EXHAUSTED"
    short = b'{"name":"' + b"x" * 200 + b'"}'
    for given in (short, b'{"name":"' + b"x" * 100_000 + b'"}'):
        with Raw(usual.port) as other:  # another customer has room of its own; a short body always has
            status = other.send(post("/v1.0/outdials", given, mine if given is short else theirs)).answer()[0]
            assert status == (200 if given is short else 400)
    for one in opened:
        one.close()
    with Raw(usual.port) as again:
        assert again.send(post("/v1.0/outdials", short, mine)).answer()[0] == 200


# ---------------------------------------------------------------- all routes


def _routes() -> list[tuple[str, str]]:
    from app import server

    app = server.create_app(Settings.load(jwt_secret="x" * 32))
    paths = {route.path for route in app.routes}  # type: ignore[attr-defined]
    return [
        (method, path.replace("{id}", str(uuid4()))) for path in sorted(paths) for method in ("POST", "PUT", "DELETE")
    ]


@pytest.mark.parametrize("given", ["mine", "nobody's"])
def test_no_route_holds_more_of_a_body_than_the_sums_allow(usual: ServerProcess, mine: str, given: str) -> None:
    routes = _routes()
    assert {path for _, path in routes} >= {"/graphql", "/session", "/v1.0/outdials", "/healthz"}
    before = resident_mebibytes(usual.pid)
    opened = []
    for method, path in routes:
        lines = ["Content-Type: application/json", "Content-Length: 1000000000"]
        lines += [f"Authorization: Bearer {mine}"] if given == "mine" else []
        connection = Raw(usual.port, seconds=0.3)
        opened.append(connection)
        connection.send(head(path, *lines, method=method))
        try:
            for _ in range(SENT_BYTES // 65_536):
                connection.send(b"x" * 65_536)
        except OSError:  # the server takes no more, or has closed the connection
            continue
    assert resident_mebibytes(usual.pid) - before < 60
    for connection in opened:
        connection.close()
