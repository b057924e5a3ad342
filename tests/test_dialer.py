"""The reference dialer, against real servers: whom it calls, how often, and what it does when things break."""

import ast
import asyncio
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.demo import dialer
from app.demo.dialer import Dialer
from tests.conftest import Databases
from tests.support.factories import phone_number
from tests.support.graphql_client import Client
from tests.support.server import REPOSITORY, ServerProcess
from tests.support.telephone import LEASE_SECONDS, NAME, Telephone

SOURCE = REPOSITORY / "app" / "demo" / "dialer.py"
POLICY = {"maxTryCounts": [2, 1, 0, 0, 0], "retryIntervalSeconds": 0, "leaseSeconds": 60, "onUnconfirmed": "FINISH"}
ENDS_SECONDS_MAX = 60


@pytest.fixture
def telephone(tmp_path: Path) -> Telephone:
    return Telephone(tmp_path / "book.jsonl")


@pytest.fixture
def _short_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialer, "LEASE_SECONDS", LEASE_SECONDS)


@asynccontextmanager
async def dialing(
    client: Client, outdial_id: str, telephone: Telephone, *, transport: httpx.AsyncBaseTransport | None = None
) -> AsyncIterator[Dialer]:
    """The dialer at work in this process; stopped, and done with its calls, at the end."""
    stopping = asyncio.Event()
    async with httpx.AsyncClient(
        base_url=client.url, headers=client.http.headers, timeout=10, trust_env=False, transport=transport
    ) as http:
        working = Dialer(http, outdial_id, NAME, telephone=telephone.call)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(working.run(stopping))
            yield working
            stopping.set()


async def make_list(client: Client, *names: str) -> str:
    """An outdial with a target for each name, with two numbers each; its id."""
    outdial = await client.outdial(dialPolicy=POLICY)
    rows = [
        {"name": name, "destination0": {"target": phone_number()}, "destination1": {"target": phone_number()}}
        for name in names
    ]
    await client.good("createTargets", outdialId=outdial["id"], targets=rows)
    return str(outdial["id"])


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(ENDS_SECONDS_MAX):
        while not await condition():  # noqa: ASYNC110 - the server is another process
            await asyncio.sleep(0.05)


async def until_done(client: Client, outdial_id: str) -> None:
    async def is_done() -> bool:
        progress = (await client.read_outdial(outdial_id))["progress"]
        return bool(progress["done"] == progress["total"])

    await until(is_done)


async def until_placed(telephone: Telephone, count: int) -> None:
    async def is_placed() -> bool:
        return len(telephone.calls()) >= count

    await until(is_placed)


async def outcome(client: Client, outdial_id: str) -> tuple[dict[str, int], int]:
    """How many targets were finished why, and how many attempts were made."""
    progress = (await client.read_outdial(outdial_id))["progress"]
    assert progress["done"] == progress["total"]
    reasons = {row["reason"]: row["count"] for row in progress["doneByReason"] if row["count"]}
    return reasons, progress["attempts"]


async def attempts(client: Client, outdial_id: str) -> list[dict[str, Any]]:
    query = """query($id: ID!) { outdial(id: $id) { attempts(first: 100) {
      nodes { id state disposition callId dialer destinationIndex target { id name } } } } }"""
    nodes: list[dict[str, Any]] = (await client.run(query, id=outdial_id))["outdial"]["attempts"]["nodes"]
    return nodes


# ---------------------------------------------------------------- a day like any other


async def test_a_list_is_called_to_its_end(client: Client, telephone: Telephone) -> None:
    endings = {
        "ANSWERED": 10,  # a call each
        "BUSY": 10,  # two at the first number, one at the second
        "NO_ANSWER ANSWERED": 5,
        "INVALID_DESTINATION ANSWERED": 4,  # one at each number
        "DO_NOT_CALL": 3,  # a call each
        "MACHINE BUSY FAILED": 2,
    }
    names = [f"{number} of {ending}: {ending}" for ending, count in endings.items() for number in range(count)]
    outdial_id = await make_list(client, *names)

    async with dialing(client, outdial_id, telephone):
        await until_done(client, outdial_id)

    calls = 10 + 3 * 10 + 2 * 5 + 2 * 4 + 3 + 3 * 2
    assert await outcome(client, outdial_id) == ({"ANSWERED": 19, "EXHAUSTED": 12, "DO_NOT_CALL": 3}, calls)
    assert len(telephone.calls()) == len({call["id"] for call in telephone.calls()}) == calls
    made = Counter(call["name"].partition(": ")[2] for call in telephone.calls())
    assert made == {
        "ANSWERED": 10, "BUSY": 30, "NO_ANSWER ANSWERED": 10, "INVALID_DESTINATION ANSWERED": 8, "DO_NOT_CALL": 3,
        "MACHINE BUSY FAILED": 6,
    }  # fmt: skip
    recorded = await attempts(client, outdial_id)
    assert {(attempt["state"], attempt["dialer"], attempt["callId"] == attempt["id"]) for attempt in recorded} == {
        ("COMPLETED", NAME, True)
    }
    assert telephone.asked() == []


async def test_never_more_calls_at_once_than_lines(client: Client, telephone: Telephone) -> None:
    under_way, most = 0, 0

    async def call(attempt: dialer.Attempt) -> dialer.Result:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.2)
        under_way -= 1
        return {"disposition": "ANSWERED"}

    outdial_id = await make_list(client, *[f"{number}: ANSWERED" for number in range(20)])
    async with dialing(client, outdial_id, telephone) as working:
        working.lines, working.telephone = 3, call
        await until_done(client, outdial_id)
    assert most == 3


@pytest.mark.slow
@pytest.mark.usefixtures("_short_leases")
async def test_a_call_may_outlast_its_lease(client: Client, telephone: Telephone, tmp_path: Path) -> None:
    slow = Telephone(tmp_path / "slow.jsonl", seconds=LEASE_SECONDS + 3)
    outdial_id = await make_list(client, "long: ANSWERED")
    async with dialing(client, outdial_id, slow):
        await until_done(client, outdial_id)
    assert await outcome(client, outdial_id) == ({"ANSWERED": 1}, 1)


async def test_a_fault_in_one_call_ends_no_other(client: Client, telephone: Telephone) -> None:
    async def call(attempt: dialer.Attempt) -> dialer.Result:
        if "fault" in attempt["target"]["name"]:
            raise RuntimeError("the line is dead")
        return {"disposition": "ANSWERED"}

    outdial_id = await make_list(client, "fault", "fine")
    async with dialing(client, outdial_id, telephone) as working:
        working.telephone = call

        async def is_called() -> bool:
            return [attempt["state"] for attempt in await attempts(client, outdial_id)].count("COMPLETED") == 1

        await until(is_called)
    # Nobody knows how it ended: once the lease is out, the policy decides.
    assert {(attempt["target"]["name"], attempt["state"]) for attempt in await attempts(client, outdial_id)} == {
        ("fault", "DIALING"),
        ("fine", "COMPLETED"),
    }


@pytest.mark.slow
async def test_results_have_a_code_that_fits_and_count_without_one_that_was_retired_meanwhile(
    client: Client, telephone: Telephone, caplog: pytest.LogCaptureFixture
) -> None:
    sale = {"code": "SALE", "label": "Sold", "disposition": "ANSWERED"}
    later = {"code": "LATER", "label": "Not now", "disposition": "ANSWERED"}
    await client.good("setResultCodes", codes=[sale, {**later, "isRetired": True}])
    offered: list[dict[str, list[str]]] = []

    async def call(attempt: dialer.Attempt) -> dialer.Result:
        offered.append(attempt["codes"])
        if len(offered) == 2:  # the owner changes the codes while the call lasts
            await client.good("setResultCodes", codes=[later])
        return {"disposition": "ANSWERED", "code": attempt["codes"]["ANSWERED"][0], "talkSeconds": 7}

    outdial_id = (await client.outdial(dialPolicy=POLICY))["id"]
    async with dialing(client, outdial_id, telephone) as working:
        working.lines, working.telephone = 1, call
        for _ in range(3):
            await client.target(outdial_id)
            await until_done(client, outdial_id)
    assert offered == [{"ANSWERED": ["SALE"]}, {"ANSWERED": ["SALE"]}, {"ANSWERED": ["LATER"]}]
    ledger = await client.run(
        "query($id: ID!) { outdial(id: $id) { attempts(first: 9) { nodes { state code talkSeconds } } } }",
        id=outdial_id,
    )
    assert [(row["state"], row["code"], row["talkSeconds"]) for row in ledger["outdial"]["attempts"]["nodes"]] == [
        ("COMPLETED", code, 7) for code in ("LATER", None, "SALE")
    ]
    assert sum("retired" in message for message in caplog.messages) == 1


# ---------------------------------------------------------------- people and owners


async def test_who_wants_no_calls_is_called_no_more(client: Client, tmp_path: Path) -> None:
    """Also where the attempt's lease was lost meanwhile: here the owner cancelled the target during the call."""
    telephone = Telephone(tmp_path / "book.jsonl", seconds=1)
    outdial_id = await make_list(client, "rude: DO_NOT_CALL ANSWERED")
    async with dialing(client, outdial_id, telephone):
        await until_placed(telephone, 1)
        (attempt,) = await attempts(client, outdial_id)
        await client.good("cancelTarget", attempt["target"]["id"])

        async def is_honoured() -> bool:
            return bool((await client.read_target(attempt["target"]["id"]))["doneReason"] == "DO_NOT_CALL")

        await until(is_honoured)
    assert len(telephone.calls()) == 1


@pytest.mark.slow
async def test_a_paused_list_is_called_no_further_until_it_goes_on(client: Client, tmp_path: Path) -> None:
    telephone = Telephone(tmp_path / "book.jsonl", seconds=0.5)
    outdial_id = await make_list(client, *[f"{number}: ANSWERED" for number in range(30)])
    async with dialing(client, outdial_id, telephone):
        await until_placed(telephone, 10)
        await client.good("updateOutdial", id=outdial_id, state="PAUSED")
        claimed = len(await attempts(client, outdial_id))
        await asyncio.sleep(2.5)
        assert len(await attempts(client, outdial_id)) == claimed == len(telephone.calls())
        assert {attempt["state"] for attempt in await attempts(client, outdial_id)} == {"COMPLETED"}

        await client.good("updateOutdial", id=outdial_id, state="ACTIVE")
        await until_done(client, outdial_id)
    assert await outcome(client, outdial_id) == ({"ANSWERED": 30}, 30)


@pytest.mark.slow
async def test_it_says_why_nothing_can_be_called_and_waits_until_something_can(
    client: Client, telephone: Telephone, caplog: pytest.LogCaptureFixture
) -> None:
    outdial_id = await make_list(client, "Ana: ANSWERED")
    await client.good("updateOutdial", id=outdial_id, dialPolicy={"callingHours": {"timeZone": "UTC", "windows": []}})
    async with dialing(client, outdial_id, telephone) as working:
        await until(lambda: asyncio.sleep(0, bool(caplog.messages)))
        assert caplog.messages == ["nothing to call: The calling hours of the outdial are closed."]
        assert await working.rest() == dialer.REST_SECONDS_MAX
        assert len(caplog.messages) == 1  # it is said once
        later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
        await client.good("updateOutdial", id=outdial_id, dialPolicy={"callingHours": None})
        await until_done(client, outdial_id)
        await client.target(outdial_id, destination0={"target": phone_number()}, notBefore=later)
        await until(lambda: asyncio.sleep(0, any(later[:16] in message for message in caplog.messages)))
        assert caplog.messages[-1].endswith(": It waits until its next attempt is due.")
    assert len(telephone.calls()) == 1


async def test_held_back_by_the_pace_it_asks_again_when_the_server_says(
    client: Client, telephone: Telephone, monkeypatch: pytest.MonkeyPatch
) -> None:
    outdial_id = await make_list(client, *[f"{number}: ANSWERED" for number in range(6)])
    policy = {"pacing": {"claimsPerSecond": 2, "maxOpenAttempts": 2}}
    await client.good("updateOutdial", id=outdial_id, dialPolicy=policy)
    waits: list[float] = []
    claims = 0

    def until(instant: str) -> float:
        waits.append((datetime.fromisoformat(instant) - datetime.now(UTC)).total_seconds())
        return bounded(instant)

    async def send(query: str, **variables: Any) -> Any:
        nonlocal claims
        claims += query == dialer.CLAIM
        return await sending(query, **variables)

    bounded = Dialer.until
    monkeypatch.setattr(Dialer, "until", staticmethod(until))
    async with dialing(client, outdial_id, telephone) as working:
        sending, working.send = working.send, send  # type: ignore[method-assign]
        started_at = time.monotonic()
        await until_done(client, outdial_id)
        seconds = time.monotonic() - started_at
    assert len(telephone.calls()) == 6
    assert seconds >= 1.5  # two, two and two
    assert waits
    assert max(waits) <= 1.1
    assert claims <= 10 + seconds  # it does not poll


def test_its_waits_are_bounded() -> None:
    now = datetime.now(UTC)
    assert Dialer.until((now - timedelta(hours=1)).isoformat()) == dialer.GATHER_SECONDS
    assert Dialer.until((now + timedelta(hours=1)).isoformat()) == dialer.REST_SECONDS_MAX
    assert 2 < Dialer.until((now + timedelta(seconds=3)).isoformat()) <= 3


# ---------------------------------------------------------------- what breaks


class Lossy(httpx.AsyncBaseTransport):
    """A network that loses requests and, after the server has done what they ask, answers."""

    def __init__(self, seed: int) -> None:
        self._network = httpx.AsyncHTTPTransport()
        self._dice = random.Random(seed)
        self.lost_requests = self.lost_answers = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        fate = self._dice.random()
        if fate < 0.1:
            self.lost_requests += 1
            raise httpx.ConnectTimeout("the request was lost", request=request)
        response = await self._network.handle_async_request(request)
        if fate < 0.45:
            await response.aread()
            await response.aclose()
            self.lost_answers += 1
            raise httpx.ReadTimeout("the answer was lost", request=request)
        if fate < 0.5:
            await response.aclose()
            return httpx.Response(502, text="<html>Bad Gateway</html>", request=request)
        return response

    async def aclose(self) -> None:
        await self._network.aclose()


@pytest.mark.slow
async def test_lost_answers_have_nobody_called_twice(client: Client, telephone: Telephone) -> None:
    names = [f"{number}: ANSWERED" for number in range(40)] + [f"{number} late: BUSY ANSWERED" for number in range(20)]
    outdial_id = await make_list(client, *names)
    network = Lossy(seed=7)

    async with dialing(client, outdial_id, telephone, transport=network):
        await until_done(client, outdial_id)

    assert network.lost_requests
    assert network.lost_answers
    assert await outcome(client, outdial_id) == ({"ANSWERED": 60}, 80)
    assert Counter(Counter(call["name"] for call in telephone.calls()).values()) == {1: 40, 2: 20}
    assert {attempt["state"] for attempt in await attempts(client, outdial_id)} == {"COMPLETED"}


class DialerProcess:
    """The reference dialer with the telephone of the tests, in a process of its own."""

    def __init__(self, client: Client, outdial_id: str, book: Path, seconds: float) -> None:
        self._arguments = [client.url, outdial_id, str(book), str(seconds)]
        self._environment = {**os.environ, "OUTDIAL_TOKEN": client.token, "PYTHONPATH": str(REPOSITORY)}
        self._log = book.with_suffix(".log")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.telephone", *self._arguments],
                env=self._environment, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    async def stop(self) -> None:
        """End it as an operator does: it must go in peace."""
        assert self._process is not None
        self._process.terminate()
        returned = await asyncio.to_thread(self._process.wait, 20)
        self._process = None
        assert returned == 0, self._log.read_text()


@pytest.fixture
def processes() -> Iterator[list[DialerProcess]]:
    started: list[DialerProcess] = []
    yield started
    for process in started:
        process.kill()


@pytest.mark.slow
async def test_killed_and_started_again_it_sees_to_what_it_left(
    client: Client, tmp_path: Path, processes: list[DialerProcess]
) -> None:
    book = tmp_path / "book.jsonl"
    telephone = Telephone(book)
    outdial_id = await make_list(client, *[f"{number}: ANSWERED" for number in range(25)])
    process = DialerProcess(client, outdial_id, book, seconds=2)
    processes.append(process)
    process.start()
    await until_placed(telephone, 15)  # ten have ended by then, five or more have not

    process.kill()
    # As if it had died between the claim and the calls, too.
    undialed = (await client.good("claimTargets", outdialId=outdial_id, limit=3, dialer=NAME))["attempts"]
    left = {attempt["id"]: attempt["state"] for attempt in await attempts(client, outdial_id)}
    placed = {call["id"] for call in telephone.calls()}
    process.start()
    await until_done(client, outdial_id)
    await process.stop()

    open_calls = {attempt_id for attempt_id, state in left.items() if state == "DIALING"}
    assert open_calls & placed
    assert set(telephone.asked()) == open_calls
    states = {attempt["id"]: attempt["state"] for attempt in await attempts(client, outdial_id)}
    assert {states[attempt["id"]] for attempt in undialed} == {"RELEASED"}
    assert {states[attempt_id] for attempt_id in open_calls & placed} == {"COMPLETED"}
    assert len(undialed) == 3
    # Nobody was called twice. Who was about to be called when it died counts as unconfirmed.
    called = Counter(call["name"] for call in telephone.calls())
    assert set(called.values()) == {1}
    reasons, _ = await outcome(client, outdial_id)
    assert reasons["ANSWERED"] == len(called)
    assert reasons.get("UNCONFIRMED", 0) == len(open_calls - placed) == 25 - len(called)


async def test_stopped_it_ends_its_calls_and_leaves_nothing_open(
    client: Client, tmp_path: Path, processes: list[DialerProcess]
) -> None:
    book = tmp_path / "book.jsonl"
    outdial_id = await make_list(client, *[f"{number}: ANSWERED" for number in range(50)])
    process = DialerProcess(client, outdial_id, book, seconds=1)
    processes.append(process)
    process.start()
    await until_placed(Telephone(book), 10)

    await process.stop()

    recorded = await attempts(client, outdial_id)
    assert {attempt["state"] for attempt in recorded} <= {"COMPLETED", "RELEASED"}
    completed = {attempt["id"] for attempt in recorded if attempt["state"] == "COMPLETED"}
    assert completed == {call["id"] for call in Telephone(book).calls()}
    progress = (await client.read_outdial(outdial_id))["progress"]
    assert progress["progressing"] == 0
    assert progress["done"] == len(completed) < 50


@pytest.mark.slow
async def test_a_server_that_goes_and_comes_back_costs_no_result(databases: Databases, tmp_path: Path) -> None:
    telephone = Telephone(tmp_path / "book.jsonl", seconds=0.3)
    async with databases.fresh("sqlite") as url:
        server = ServerProcess(url, tmp_path)
        await server.started()
        try:
            async with Client(server.url, "0192d0a0-0000-7000-8000-000000000001") as client:
                outdial_id = await make_list(client, *[f"{number}: ANSWERED" for number in range(60)])
                async with dialing(client, outdial_id, telephone):
                    await until_placed(telephone, 15)
                    server.kill()
                    await asyncio.sleep(1)
                    await server.started()
                    await until_done(client, outdial_id)
                assert await outcome(client, outdial_id) == ({"ANSWERED": 60}, 60)
                assert len(telephone.calls()) == len({call["name"] for call in telephone.calls()}) == 60
        finally:
            server.kill()


# ---------------------------------------------------------------- the command


def run_command(url: str, outdial_id: str, token: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "app.demo.dialer", "--url", url, "--outdial", outdial_id],
        env={**os.environ, "OUTDIAL_TOKEN": token, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True, text=True, timeout=90, check=False,
    )  # fmt: skip


async def test_what_cannot_be_mended_is_one_line(client: Client) -> None:
    unknown = "0192d0a0-0000-7000-8000-000000000009"
    done = await asyncio.to_thread(run_command, client.url, unknown, client.token)
    assert (done.returncode, done.stderr) == (
        1,
        f"dialer: Outdial {unknown} not found. Check --outdial and the token's customer.\n",
    )

    done = await asyncio.to_thread(run_command, client.url, unknown, "no token")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("dialer: ")
    assert "no token" not in done.stderr


def test_it_is_short_and_stands_on_its_own() -> None:
    text = SOURCE.read_text()
    assert len(text.splitlines()) <= 260
    imported = {
        name.partition(".")[0]
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""])
    }
    assert imported - set(sys.stdlib_module_names) == {"httpx"}
