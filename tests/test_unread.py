"""What one customer's clients ask for and do not read, or begin and do not send, is bounded in sum."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import orjson
import pytest

from app.auth import Viewer
from app.errors import RateLimited
from app.graphql.schema import schema
from app.graphql.schema.context import Context
from app.graphql.transport.execution import Execution
from app.graphql.transport.masking import NotExecuted
from app.graphql.transport.operations import Operation
from app.rest import downloads
from app.rest.downloads import Sharing
from app.turns import Lanes
from tests.support.factories import phone_number
from tests.support.raw import Raw, frame, head, resident_mebibytes
from tests.support.server import ServerProcess, token

CREATE = "mutation { createOutdial(input: {}) { outdial { id } } }"
FILL = "mutation($input: CreateTargetsInput!) { createTargets(input: $input) { createdCount rejectedCount } }"
GROWTH_MEBIBYTES_MAX = 120
BACK_MEBIBYTES_MAX = 20
SETTINGS = {"OUTDIAL_LOG_LEVEL": "ERROR", "OUTDIAL_ANSWERS_BYTES_MAX": str(64 * 2**20)}
CUSTOMER = str(uuid4())
OTHER = str(uuid4())


class Filled:
    """A server with a list whose texts are long, of a customer whose readers have a read-only token."""

    def __init__(self, server: ServerProcess) -> None:
        self.server = server
        self.reading = token(CUSTOMER, ["read"])
        self._client = httpx.Client(base_url=server.url, trust_env=False, timeout=60)
        self.outdial_id: str = self.ask(token(CUSTOMER), CREATE)["createOutdial"]["outdial"]["id"]
        self.ask(token(OTHER), CREATE)

    def ask(self, token_: str, query: str, **variables: Any) -> Any:
        response = self._client.post(
            "/graphql",
            json={"query": query, "variables": variables},
            headers={"Authorization": f"Bearer {token_}"},
        )
        assert "errors" not in response.json(), response.text[:1_000]
        return response.json()["data"]

    def fill(self, targets: int) -> None:
        for _ in range(targets // 50):
            drafts = [{"data": "x" * 60_000, "destination0": {"target": phone_number()}} for _ in range(50)]
            made = self.ask(token(CUSTOMER), FILL, input={"outdialId": self.outdial_id, "targets": drafts})
            assert made == {"createTargets": {"createdCount": 50, "rejectedCount": 0}}
        time.sleep(1)

    def other_is_served(self) -> None:
        for _ in range(5):
            assert len(self.ask(token(OTHER), "{ outdials(first: 1) { nodes { id } } }")["outdials"]["nodes"]) == 1

    def grows_below(self, before: float) -> None:
        now = resident_mebibytes(self.server.pid)
        assert now < before + GROWTH_MEBIBYTES_MAX, (before, now)

    def close(self) -> None:
        self._client.close()


@pytest.fixture
def filled(database_url: str, tmp_path: Path) -> Iterator[Filled]:
    with ServerProcess(database_url, tmp_path, environment=SETTINGS) as server:
        filled = Filled(server)
        yield filled
        filled.close()


# ---------------------------------------------------------------- files


@pytest.mark.slow
def test_exports_that_nobody_reads_are_few_and_small(filled: Filled) -> None:
    filled.fill(250)
    path = f"/v1.0/outdials/{filled.outdial_id}/targets/export"
    before = resident_mebibytes(filled.server.pid)
    with ExitStack() as stack:
        opened = [stack.enter_context(Raw(filled.server.port, buffer=4_096)) for _ in range(20)]
        answers = []
        for one in opened:
            one.send(head(path, f"Authorization: Bearer {filled.reading}"))
            answers.append(one.answer())
        assert [status for status, *_ in answers] == [200] * 4 + [429] * 16
        assert answers[-1][1]["retry-after"] == "10"
        filled.other_is_served()
        filled.grows_below(before)
        opened[0].close()
        deadline = time.monotonic() + 10
        while opened[-1].send(head(path, f"Authorization: Bearer {filled.reading}")).answer()[0] != 200:
            assert time.monotonic() < deadline
            time.sleep(0.1)
    response = httpx.get(filled.server.url + path, headers={"Authorization": f"Bearer {token(OTHER)}"}, trust_env=False)
    assert response.status_code == 404


async def test_each_part_of_a_file_is_made_in_a_turn_that_ends_before_it_is_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lanes = Lanes()
    turns = lanes._other

    async def parts() -> Any:
        for part in (b"1", b"2"):
            assert turns.running == 1
            yield part

    found = []
    async for part in Sharing(lanes).parts("a", parts()):
        assert turns.running == 0
        found.append(part)
    assert found == [b"1", b"2"]
    assert turns.running == 0

    monkeypatch.setattr(downloads, "TURN_TRIES_MAX", 2)
    monkeypatch.setattr(downloads, "TURN_PAUSE_SECONDS", 0)
    monkeypatch.setattr(turns, "_room", 0)
    monkeypatch.setattr(turns, "_waiting_max", 0)
    with pytest.raises(RateLimited):
        await anext(aiter(Sharing(lanes).parts("a", parts())))


# ---------------------------------------------------------------- answers

PAGE = "query($id: ID!) { outdial(id: $id) { targets(first: 100) { nodes { data } } } }"


@pytest.mark.slow
def test_answers_that_nobody_reads_are_bounded_in_sum(filled: Filled) -> None:
    filled.fill(100)
    body = orjson.dumps({"query": PAGE, "variables": {"id": filled.outdial_id}})
    lines = [
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        f"Authorization: Bearer {filled.reading}",
    ]
    before = resident_mebibytes(filled.server.pid)
    with ExitStack() as stack:
        for _ in range(60):
            one = stack.enter_context(Raw(filled.server.port, buffer=4_096))
            one.send(head("/graphql", *lines, method="POST") + body)
        time.sleep(5)
        filled.grows_below(before)
        filled.other_is_served()
    with ExitStack() as stack:
        for _ in range(2):
            socket = stack.enter_context(Raw(filled.server.port, buffer=4_096)).upgrade().initialise(filled.reading)
            for number in range(90):
                payload = {"query": PAGE, "variables": {"id": filled.outdial_id}}
                socket.say(type="subscribe", id=str(number), payload=payload)
        time.sleep(5)
        filled.grows_below(before)
        filled.other_is_served()
    answer = filled.ask(filled.reading, PAGE, id=filled.outdial_id)  # there is room again
    assert len(answer["outdial"]["targets"]["nodes"]) == 100


@pytest.mark.slow
def test_messages_that_nobody_reads_are_bounded_in_sum(filled: Filled) -> None:
    read = "query($id: ID!) { outdial(id: $id) { eventCursor } }"
    cursor = filled.ask(filled.reading, read, id=filled.outdial_id)["outdial"]["eventCursor"]
    filled.fill(50)
    before = resident_mebibytes(filled.server.pid)
    variables, query = {"id": filled.outdial_id, "after": cursor}, ""
    with ExitStack() as stack:
        for _ in range(2):
            socket = stack.enter_context(Raw(filled.server.port, buffer=4_096)).upgrade().initialise(filled.reading)
            for number in range(60):
                query = f"""subscription($id: ID!, $after: EventCursor) {{
                    targetEvents(outdialId: $id, after: $after) {{
                        cursor events {{ x{number}: target {{ data }} }} }} }}"""
                socket.say(type="subscribe", id=str(number), payload={"query": query, "variables": variables})
        time.sleep(6)
        filled.grows_below(before)
        filled.other_is_served()
    with Raw(filled.server.port) as socket:  # there is room again
        socket.upgrade().initialise(filled.reading)
        socket.say(type="subscribe", id="1", payload={"query": query, "variables": variables})
        events = socket.hear()["payload"]["data"]["targetEvents"]["events"]
        assert len(events[0]["x59"]["data"]) == 60_000


@pytest.mark.slow
def test_a_subscription_keeps_no_variable_that_it_does_not_declare(filled: Filled) -> None:
    query = "subscription($id: ID!) { targetEvents(outdialId: $id) { cursor } }"
    before = resident_mebibytes(filled.server.pid)
    with Raw(filled.server.port, seconds=30) as socket:
        socket.upgrade().initialise(filled.reading)
        for number in range(40):
            variables = {"id": filled.outdial_id, "other": f"{number}" + "x" * 7_900_000}
            socket.say(type="subscribe", id=str(number), payload={"query": query, "variables": variables})
        socket.say(type="ping")
        while socket.hear() != {"type": "pong"}:
            pass
        time.sleep(2)
        filled.grows_below(before)


async def test_long_variables_of_a_subscription_are_refused(database: str, viewer: Viewer) -> None:
    execution = Execution(schema, Context)
    query = "subscription($id: ID!) { targetEvents(outdialId: $id) { cursor } }"
    with pytest.raises(NotExecuted, match="at most 65,536 bytes"):
        execution.prepare(Operation(query, {"id": "x" * 65_530}), viewer)
    assert execution.prepare(Operation(query, {"id": "x", "other": "y" * 70_000}), viewer).shape is not None


# ---------------------------------------------------------------- bodies and messages

PING = frame(orjson.dumps({"type": "ping", "payload": {"x": "x" * 7_900_000}}))


@pytest.mark.slow
def test_socket_messages_that_never_end_are_bounded_in_sum(filled: Filled) -> None:
    before = resident_mebibytes(filled.server.pid)
    with ExitStack() as stack:
        opened = []
        for _ in range(40):
            one = stack.enter_context(Raw(filled.server.port)).upgrade().initialise(filled.reading)
            opened.append(one)
            with suppress(ConnectionError):
                one.send(PING[:-1])
        assert opened[20].close_code() == 1013
        filled.grows_below(before)
        filled.other_is_served()
        other = stack.enter_context(Raw(filled.server.port)).upgrade().initialise(token(OTHER))
        assert other.send(PING).hear() == {"type": "pong"}
        for one in opened:
            one.drop()
        deadline = time.monotonic() + 20
        while resident_mebibytes(filled.server.pid) > before + BACK_MEBIBYTES_MAX:
            assert time.monotonic() < deadline
            time.sleep(0.5)
        mine = stack.enter_context(Raw(filled.server.port)).upgrade().initialise(filled.reading)
        assert mine.send(PING).hear() == {"type": "pong"}


@pytest.mark.slow
def test_an_idle_socket_holds_nothing_of_its_last_message(filled: Filled) -> None:
    before = resident_mebibytes(filled.server.pid)
    with ExitStack() as stack:
        for _ in range(40):
            one = stack.enter_context(Raw(filled.server.port)).upgrade().initialise(filled.reading)
            assert one.send(PING).hear() == {"type": "pong"}
        filled.grows_below(before)


@pytest.mark.slow
def test_bodies_that_never_end_are_bounded_in_sum(filled: Filled) -> None:
    lines = ["Content-Type: application/json", "Content-Length: 7900000", f"Authorization: Bearer {filled.reading}"]
    before = resident_mebibytes(filled.server.pid)
    with ExitStack() as stack:
        opened = []
        for _ in range(40):
            one = stack.enter_context(Raw(filled.server.port))
            opened.append(one)
            with suppress(ConnectionError):
                one.send(head("/graphql", *lines, method="POST") + b"x" * 7_899_999)
        status, headers, _ = opened[20].answer()
        assert (status, headers["retry-after"]) == (429, "1")
        filled.grows_below(before)
        filled.other_is_served()
