"""Documents that are not known are read in turns and beside the loop, at the cost of their customer alone."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from app import bounds, clock, costs
from app.auth import Scope, Viewer
from app.errors import RateLimited
from app.graphql.schema import schema
from app.graphql.transport import reading
from app.graphql.transport.documents import Document, Documents
from app.graphql.transport.execution import Execution
from app.graphql.transport.masking import NotExecuted
from app.graphql.transport.operations import Operation
from app.rates import limiter, stored
from app.rates.bucket import Rule
from app.requests import bodies, large
from app.requests.bodies import HttpRefusal
from app.settings import Settings
from tests.support.transport import Served, initialise, make_viewer, receive, subscribe

ALICE, BOB = (replace(make_viewer(), customer_id=f"018f0000-0000-7000-8000-00000000000{n}") for n in (1, 2))
READER = replace(ALICE, scopes=frozenset({Scope.READ}))
EXTEND = 'mutation%s{extendAttempts(input:{attemptIds:["x"],leaseSeconds:60}){userErrors{code}}}'
CLAIM = 'mutation%s{claimTargets(input:{outdialId:"x",limit:1}){attempts{id}}}'
POINTS = 5_000


@pytest.fixture
def limited(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """A bucket of so many points for each customer. None come in. What is left stands here, not in a database."""
    left: dict[str, float] = {}

    async def charge(customer_id: str, spent: int, rule: Rule) -> tuple[float, datetime]:
        left[customer_id] = left.get(customer_id, rule.burst) - spent
        return left[customer_id], clock.now()

    settings = Settings(jwt_secret=SecretStr("x" * 32), rate_points_per_second=1, rate_points_burst=POINTS)
    monkeypatch.setattr(bounds, "_settings", settings)
    monkeypatch.setattr(stored, "charge", charge)
    monkeypatch.setattr(limiter, "time", SimpleNamespace(monotonic=lambda: 1_000.0))
    return left


@pytest.fixture
def execution(limited: dict[str, float]) -> Execution:
    return Execution(schema, lambda viewer: None)  # type: ignore[arg-type, return-value]


class Reads:
    """What is read, in order, and by which thread. Reading waits at a closed door."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.queries: list[str] = []
        self.threads: list[int] = []
        self.door = threading.Event()
        self.door.set()
        real = Documents.read

        def read(documents: Documents, query: str) -> Document:
            self.queries.append(query)
            self.threads.append(threading.get_ident())
            assert self.door.wait(10)
            return real(documents, query)

        monkeypatch.setattr(Documents, "read", read)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Iterator[Reads]:
    reads = Reads(monkeypatch)
    yield reads
    reads.door.set()


def named(name: str, *, characters: int = 0) -> str:
    return f"query {name}{{viewer{{customerId}}}}#{'x' * characters}"


def start(execution: Execution, query: str, viewer: Viewer) -> "asyncio.Task[Any]":
    return asyncio.create_task(execution.prepare_new(Operation(query), viewer))


async def reached(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - a thread makes it true
            await asyncio.sleep(0.005)


def remaining(execution: Execution, viewer: Viewer) -> int:
    return execution.limiter.state(viewer.customer_id).remaining


@pytest.mark.parametrize("characters", [0, 2 * reading.BESIDE_CHARACTERS])
async def test_a_customer_with_many_new_documents_delays_another_by_one(
    execution: Execution, reads: Reads, characters: int
) -> None:
    texts = [named(f"A{n}", characters=characters) for n in range(20)]
    tasks = [start(execution, text, ALICE) for text in texts]
    other = named("B", characters=characters)
    tasks.append(start(execution, other, BOB))
    await asyncio.gather(*tasks)
    assert reads.queries == [texts[0], texts[1], other, *texts[2:]]  # the second one was already first in its line


async def test_a_customers_next_short_document_comes_after_what_others_do_meanwhile(
    execution: Execution, reads: Reads
) -> None:
    tasks = [start(execution, named(f"A{n}"), ALICE) for n in range(5)]
    read = []
    while not all(task.done() for task in tasks):
        read.append(len(reads.queries))
        await asyncio.sleep(0)
    assert {after - before for before, after in pairwise(read)} <= {0, 1}


async def test_a_long_document_is_read_beside_the_loop_and_a_short_one_in_it(
    execution: Execution, reads: Reads
) -> None:
    short, long = named("A"), named("B", characters=reading.BESIDE_CHARACTERS)
    await execution.prepare_new(Operation(short), ALICE)
    await execution.prepare_new(Operation(long), ALICE)
    assert reads.queries == [short, long]
    assert [thread == threading.get_ident() for thread in reads.threads] == [True, False]


@pytest.mark.parametrize(
    "given",
    [
        Operation("a " * 4_000_000),
        Operation("{ viewer { subject } }", None, "x" * 8_000_000),
        Operation(None, None, "x" * 8_000_000),
    ],
    ids=["document", "name", "name alone"],
)
async def test_texts_that_are_too_long_are_refused_before_anything_looks_at_them(
    execution: Execution, reads: Reads, given: Operation
) -> None:
    began = time.thread_time()
    assert execution.knows(given)
    with pytest.raises(NotExecuted) as refused:
        execution.prepare(given, ALICE)
    assert time.thread_time() - began < 0.05  # to search the first one for names takes ten times as long
    assert refused.value.code == "LIMIT_EXCEEDED"
    assert reads.queries == []


async def test_a_document_is_read_once_and_then_known(execution: Execution, reads: Reads) -> None:
    text = named("A", characters=reading.BESIDE_CHARACTERS)
    assert not execution.knows(Operation(text))
    await asyncio.gather(*(start(execution, text, ALICE) for _ in range(3)))
    assert reads.queries == [text]
    assert execution.knows(Operation(text))
    assert execution.knows(Operation(None))
    assert execution._documents.kept_characters == len(text)


async def test_a_dialers_document_waits_for_no_dashboards(execution: Execution, reads: Reads) -> None:
    """Not even for those of its own customer."""
    reads.door.clear()
    long = named("A", characters=reading.BESIDE_CHARACTERS)
    dashboards = [start(execution, long + str(n), ALICE) for n in range(2)]
    await reached(lambda: len(reads.queries) == 1)
    dialer = start(execution, EXTEND % "" + "#" + "x" * reading.BESIDE_CHARACTERS, ALICE)
    await reached(lambda: len(reads.queries) == 2)
    assert "extendAttempts" in reads.queries[1]
    reads.door.set()
    await asyncio.gather(dialer, *dashboards)


async def test_a_name_of_a_dialers_call_is_of_no_use_without_the_scope(execution: Execution, reads: Reads) -> None:
    reads.door.clear()
    long = EXTEND % "" + "#" + "x" * reading.BESIDE_CHARACTERS
    tasks = [start(execution, long + str(n), READER) for n in range(2)]
    await reached(lambda: len(reads.queries) == 1)
    dialer = start(execution, long, BOB)
    await reached(lambda: len(reads.queries) == 2)
    assert reads.queries[1] == long
    reads.door.set()
    await asyncio.gather(dialer, *tasks)


async def test_a_client_that_leaves_frees_no_turn_before_the_thread_has_ended(
    execution: Execution, reads: Reads
) -> None:
    reads.door.clear()
    texts = [named(f"A{n}", characters=reading.BESIDE_CHARACTERS) for n in range(10)]
    first = start(execution, texts[0], ALICE)
    await reached(lambda: len(reads.queries) == 1)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    others = [start(execution, text, ALICE) for text in texts[1:]]
    await asyncio.sleep(0.05)
    assert execution.reading._threads._work_queue.qsize() == 0
    assert len(reads.queries) == 1
    reads.door.set()
    await asyncio.gather(*others)
    assert len(reads.queries) == 10


# ---------------------------------------------------------------- points


async def test_a_refused_document_costs_what_reading_it_took(execution: Execution) -> None:
    members = " ".join(f"a{n}:1" for n in range(1_600))
    query = f"mutation{{createOutdial(input:{{{members}}}){{outdial{{id}}}}}}"
    tokens = 3 * 1_600 + 16
    cost = costs.points(fields=0, document=len(query)) + tokens // costs.TOKENS_EACH
    for refused in range(1, 3):
        with pytest.raises(NotExecuted):
            await execution.prepare_new(Operation(query), READER)
        assert remaining(execution, READER) == POINTS - refused * cost
    assert cost >= 60


@pytest.mark.parametrize(
    ("query", "tokens"),
    [("{" + "a " * 2_400 + "!", 2_400), ("{" + "a " * 6_000 + "}", 5_000), ("{a(x:[" + "[" * 400, 150)],
    ids=["malformed", "too many tokens", "nested too deep"],
)
async def test_so_does_one_that_cannot_be_parsed(execution: Execution, query: str, tokens: int) -> None:
    with pytest.raises(NotExecuted):
        await execution.prepare_new(Operation(query), ALICE)
    least = costs.points(fields=0, document=len(query)) + tokens // costs.TOKENS_EACH
    assert POINTS - remaining(execution, ALICE) in {least, least + 1}


async def test_a_new_document_costs_its_reading_once(execution: Execution) -> None:
    query = '{nodes(ids:["' + '" "'.join(map(str, range(90))) + '"]){id}viewer{' + "...{customerId}" * 30 + "}}"
    document = await execution.reading.read(query, ALICE)
    assert document.tokens > 2 * costs.TOKENS_EACH
    assert remaining(execution, ALICE) == POINTS - document.tokens // costs.TOKENS_EACH
    execution.prepare(Operation(query), ALICE)
    assert remaining(execution, ALICE) == POINTS - document.tokens // costs.TOKENS_EACH


async def test_a_customer_without_points_has_nothing_long_read_but_its_dialers_reports(
    execution: Execution, reads: Reads
) -> None:
    long = "#" + "x" * reading.BESIDE_CHARACTERS
    extend, claim = EXTEND % "" + long, CLAIM % "" + long
    execution.limiter.charge(ALICE.customer_id, POINTS)
    for query, viewer in ((named("A") + long, ALICE), (extend, READER), ("{" + "!" * 3_000, ALICE)):
        with pytest.raises(NotExecuted) as caught:
            await execution.prepare_new(Operation(query), viewer)
        assert caught.value.code == RateLimited.code
        assert caught.value.retry_after_seconds >= 1
    assert not reads.queries
    await execution.prepare_new(Operation(extend), ALICE)
    await execution.prepare_new(Operation(claim), ALICE)  # it may overdraw the bucket
    assert reads.queries == [extend, claim]
    execution.limiter.charge(ALICE.customer_id, POINTS // 5)
    await execution.prepare_new(Operation(extend + "B"), ALICE)
    with pytest.raises(NotExecuted):
        await execution.prepare_new(Operation(claim + "B"), ALICE)
    assert reads.queries[2:] == [extend + "B"]


COSTLY = "{" + "hello " * 4_900 + "!"


async def test_over_http_that_is_429_with_the_time_to_wait(limited: dict[str, float]) -> None:
    limited[make_viewer().customer_id] = 300
    headers = {"Authorization": "Bearer good", "Accept": "application/graphql-response+json"}
    with Served() as served:
        async with httpx.AsyncClient(headers=headers, timeout=20, trust_env=False) as caller:
            answers = [await caller.post(served.url, json={"query": COSTLY}) for _ in range(15)]
    statuses = [answer.status_code for answer in answers]
    assert statuses == [400] * statuses.count(400) + [429] * statuses.count(429)
    assert 3 <= statuses.count(400) <= 10
    assert answers[-1].json()["errors"][0]["extensions"]["code"] == RateLimited.code
    assert int(answers[-1].headers["Retry-After"]) >= 1


async def test_over_a_socket_that_is_an_error_of_the_operation(limited: dict[str, float]) -> None:
    limited[make_viewer().customer_id] = 300
    codes = []
    with Served() as served:
        async with served.connect() as socket:
            await initialise(socket)
            for _ in range(15):
                await subscribe(socket, "1", COSTLY)
                message = await receive(socket)
                codes.append(message["payload"][0]["extensions"]["code"])
    assert set(codes) == {"GRAPHQL_PARSE_FAILED", RateLimited.code}
    assert codes[-1] == RateLimited.code


# ---------------------------------------------------------------- JSON


async def test_large_bodies_are_decoded_one_of_each_customer_after_the_other(execution: Execution) -> None:
    decoded: list[str] = []

    async def decode(name: str, viewer: Viewer) -> None:
        await execution.reading.decode(name, viewer, decoded.append)

    await asyncio.gather(*(decode(f"a{n}", ALICE) for n in range(10)), decode("b", BOB))
    assert decoded == ["a0", "a1", "b", *(f"a{n}" for n in range(2, 10))]


async def test_a_large_body_costs_its_size_also_if_it_is_wrong(execution: Execution) -> None:
    body = b"x" * (5 * costs.DECODED_BYTES_EACH)
    with pytest.raises(HttpRefusal):
        await execution.reading.decode(body, ALICE, bodies.decode)
    assert remaining(execution, ALICE) == POINTS - 5
    with pytest.raises(HttpRefusal):  # its turn was given back
        await execution.reading.decode(body, ALICE, bodies.decode)


async def test_large_requests_are_answered_and_charged_over_http_and_sockets(limited: dict[str, float]) -> None:
    query, ignored = "query A { hello }", {"x": "y" * 30 * large.LARGE_JSON_BYTES}
    headers = {"Authorization": "Bearer good"}
    with Served() as served:
        async with httpx.AsyncClient(headers=headers, timeout=20, trust_env=False) as caller:
            for points in (0, 30):
                answer = await caller.post(served.url, json={"query": query, "variables": ignored if points else {}})
                assert answer.json() == {"data": {"hello": "hello world"}}
                left = int(answer.headers["RateLimit"].split(";r=")[1].split(";")[0])
                assert left == POINTS - 1 - points - (points > 0)
        async with served.connect() as socket:
            await initialise(socket)
            await subscribe(socket, "1", query, variables=ignored)
            assert (await receive(socket))["payload"] == {"data": {"hello": "hello world"}}
