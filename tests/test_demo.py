"""The demo: what a stranger sees first."""

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from websockets import ConnectionClosed, Subprotocol
from websockets.asyncio.client import connect

from app.addresses import DestinationType, canonical
from app.demo import stage
from app.demo.samples import samples
from tests.support.graphql_client import Client, Subscription
from tests.support.postgres import free_port
from tests.support.server import REPOSITORY

READY_SECONDS_MAX = 30
STOP_SECONDS_MAX = 5
"""Two, on a machine that does nothing else."""
RESERVED = re.compile(
    r"\+1(206|212|303|312|404|415|503|512|617|702)55501\d\d"
    r"|\+447700900\d{3}"
    r"|\+61491570(006|110|156|157|158|159|313|737)"
    r"|(sip:)?[a-z.-]+@(pbx\.)?example\.com"
)
LISTS = "{ outdials(first: 10) { nodes { id name progress { total done attempts } } } }"


def _program(folder: Path) -> Path:
    """The program as an installation puts it, in a folder that has an `app` of its own."""
    program = folder / "bin" / "outdial"
    program.parent.mkdir()
    program.write_text(f"#!{sys.executable}\nfrom app.cli import main\n\nif __name__ == '__main__':\n    main()\n")
    program.chmod(0o755)
    (folder / "app").mkdir()
    (folder / "app" / "__init__.py").write_text("raise SystemExit('the app of this folder was taken')\n")
    return program


class Demo:
    """`outdial demo` in a process of its own, with a folder of its own for what it throws away."""

    def __init__(self, folder: Path, *, environment: dict[str, str] | None = None) -> None:
        self.temporary = folder / "temporary"
        self.temporary.mkdir()
        self._log = folder / "demo.log"
        self.port = free_port()
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("OUTDIAL_")},
            "PYTHONPATH": str(REPOSITORY),
            "PYTHONUNBUFFERED": "1",
            "TMPDIR": str(self.temporary),
            **(environment or {}),
        }
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [_program(folder), "demo", "--port", str(self.port)],
                cwd=folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def output(self) -> str:
        return self._log.read_text()

    async def introduction(self) -> str:
        """What it printed, once all of it is there."""
        deadline = time.monotonic() + READY_SECONDS_MAX
        while "Ctrl-C stops" not in self.output():
            assert self.process.poll() is None, self.output()
            assert time.monotonic() < deadline, self.output()
            await asyncio.sleep(0.05)
        return self.output()

    def stop(self, number: signal.Signals) -> float:
        """Seconds that it took."""
        told_at = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(STOP_SECONDS_MAX)
        return time.monotonic() - told_at


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    # Settings for a server of one's own, and wrong ones at that, are no business of the demo.
    wrong = {"OUTDIAL_DATABASE_URL": "postgresql://nowhere/none", "OUTDIAL_JWT_AUDIENCE": "somebody else"}
    demo = Demo(tmp_path, environment=wrong)
    yield demo
    if demo.process.poll() is None:
        demo.process.kill()
        demo.process.wait()


def visitor(demo: Demo, introduction: str) -> Client:
    """Somebody who copies the token that the demo printed."""
    match = re.search(rf"^{demo.url}/graphql#token=(\S+)$", introduction, re.MULTILINE)
    assert match is not None, introduction
    assert f"\n{demo.url}/#token={match[1]}\n" in introduction  # the dashboard, before anything else
    assert introduction.index("/#token=") < introduction.index("/graphql#token=")
    assert f"export OUTDIAL_TOKEN={match[1]}\n" in introduction
    client = Client(demo.url, "")
    client.token = match[1]
    client.http.headers["Authorization"] = f"Bearer {client.token}"
    return client


def block(introduction: str, first_word: str) -> str:
    """A document as it is printed, to be pasted."""
    match = re.search(rf"^{first_word} .*?^\}}$", introduction, re.MULTILINE | re.DOTALL)
    assert match is not None, introduction
    return match[0]


async def test_a_stranger_sees_lists_being_called_and_pastes_what_is_printed(demo: Demo) -> None:
    introduction = await demo.introduction()
    async with visitor(demo, introduction) as client:
        assert set((await client.run("{ viewer { scopes } }"))["viewer"]["scopes"]) == {"READ", "WRITE", "DIAL"}

        lists = (await client.run(block(introduction, "query")))["outdials"]["nodes"]
        assert len(lists) == 3
        assert sum(outdial["progress"]["total"] for outdial in lists) >= 300

        async with client.subscribe(block(introduction, "subscription Changes")) as changes:
            types: set[str] = set()
            while not {"CLAIMED", "DIALING", "COMPLETED"} <= types:
                types |= {event["type"] for event in (await changes.next())["events"]}
        async with client.subscribe(block(introduction, "subscription Progress")) as progress:
            assert len((await progress.next())["outdials"]) == 3

        # As people would: some calls a second, and never more than lines at once.
        before, started_at = await _calls(client), time.monotonic()
        await asyncio.sleep(5)
        pace = (await _calls(client) - before) / (time.monotonic() - started_at)
        assert 0.5 < pace < 12, pace


async def _calls(client: Client, outdial_id: str | None = None) -> int:
    """The attempts of one list, or of all three."""
    lists = (await client.run(LISTS))["outdials"]["nodes"]
    return sum(outdial["progress"]["attempts"] for outdial in lists if outdial_id in {None, outdial["id"]})


async def _until_called(client: Client, outdial_id: str | None = None, *, more_than: int = 0) -> None:
    while await _calls(client, outdial_id) <= more_than:  # noqa: ASYNC110 - the server is another process
        await asyncio.sleep(0.1)


async def _until_said(demo: Demo, text: str) -> None:
    while text not in demo.output():  # noqa: ASYNC110 - the server is another process
        await asyncio.sleep(0.1)


async def _drain(subscription: Subscription) -> None:
    while True:
        await subscription.next()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_it_stops_at_once_and_leaves_nothing(demo: Demo, number: signal.Signals) -> None:
    introduction = await demo.introduction()
    assert [entry.name for entry in demo.temporary.iterdir()]
    async with visitor(demo, introduction) as client:
        await _until_called(client)
        async with client.subscribe(block(introduction, "subscription Changes")) as changes:
            await changes.next()

            seconds = await asyncio.to_thread(demo.stop, number)

            with pytest.raises(ConnectionClosed):
                await _drain(changes)
            assert changes.socket.close_code == 1012  # which has clients come back
    assert demo.process.returncode == 0, demo.output()
    assert list(demo.temporary.iterdir()) == []
    assert "Traceback" not in demo.output()
    assert demo.output().rstrip().endswith("Stopped. The database was removed.")
    assert seconds < STOP_SECONDS_MAX
    async with httpx.AsyncClient(trust_env=False) as http:
        with pytest.raises(httpx.ConnectError):
            await http.get(f"{demo.url}/healthz")


@pytest.mark.slow
async def test_a_paused_list_is_let_alone_and_a_deleted_one_ends_no_other(demo: Demo) -> None:
    async with visitor(demo, await demo.introduction()) as client:
        await client.run(block(demo.output(), "mutation"))
        lists = (await client.run("{ outdials { nodes { id name state } } }"))["outdials"]["nodes"]
        (paused,) = [outdial for outdial in lists if outdial["state"] == "PAUSED"]
        deleted, other = [outdial for outdial in lists if outdial["state"] == "ACTIVE"]
        await client.good("deleteOutdial", deleted["id"])
        at_pause = await _calls(client, paused["id"])

        await _until_called(client, other["id"], more_than=await _calls(client, other["id"]) + 5)

        assert await _calls(client, paused["id"]) == at_pause
        await client.good("updateOutdial", id=paused["id"], state="ACTIVE")
        await _until_called(client, paused["id"], more_than=at_pause)
    assert f"{deleted['name']}: " in demo.output()
    assert "Traceback" not in demo.output()


@pytest.mark.slow
async def test_a_list_that_is_done_is_called_anew(demo: Demo) -> None:
    async with visitor(demo, await demo.introduction()) as client:
        lists = (await client.run("{ outdials { nodes { id name } } }"))["outdials"]["nodes"]
        (invoices,) = [outdial for outdial in lists if outdial["name"] == "Overdue invoices"]
        # A faster dialer takes all that is due; who was busy before would be due later.
        claimed = (await client.good("claimTargets", outdialId=invoices["id"], limit=500))["attempts"]
        results = [{"attemptId": attempt["id"], "disposition": "ANSWERED"} for attempt in claimed]
        await client.good("completeAttempts", results=results)
        query = (
            "query($id: ID!) { outdial(id: $id) { targets(first: 100, where: { statuses: [IDLE] }) { nodes { id } } } }"
        )
        async with asyncio.timeout(READY_SECONDS_MAX):
            while "called again" not in demo.output():
                idle = (await client.run(query, id=invoices["id"]))["outdial"]["targets"]["nodes"]
                if len(idle) < len(claimed):
                    for target in idle:
                        await client.mutate("cancelTarget", target["id"])
                await asyncio.sleep(0.1)
        progress = (await client.read_outdial(invoices["id"]))["progress"]
        assert progress["idle"] + progress["progressing"] >= len(claimed)
    assert "Overdue invoices: done. " in demo.output()


@pytest.mark.slow
async def test_who_asks_for_a_callback_is_called_then_and_by_the_same_dialer(demo: Demo) -> None:
    query = """{ outdials(first: 3) { nodes { attempts(first: 100, where: { dispositions: [CALLBACK] }) { nodes {
        dialer endedAt target { callback { at dialer } attempts(first: 10) { nodes { dialer claimedAt } } } } } } } }"""
    wishes: dict[str, tuple[str, str]] = {}
    kept: list[tuple[str, str, str, str]] = []
    async with visitor(demo, await demo.introduction()) as client, asyncio.timeout(100):
        while not kept:
            await asyncio.sleep(0.5)
            for outdial in (await client.run(query))["outdials"]["nodes"]:
                for asked in outdial["attempts"]["nodes"]:
                    if (wish := asked["target"]["callback"]) is not None:
                        wishes[asked["endedAt"]] = (wish["at"], wish["dialer"])
                        assert wish["dialer"] == asked["dialer"]
                    later = [one for one in asked["target"]["attempts"]["nodes"] if one["claimedAt"] > asked["endedAt"]]
                    if later and asked["endedAt"] in wishes:
                        first = min(later, key=lambda one: one["claimedAt"])
                        kept.append((*wishes[asked["endedAt"]], first["claimedAt"], first["dialer"]))
    for at, dialer, claimed_at, called_by in kept:
        assert (called_by, claimed_at >= at) == (dialer, True)


@pytest.mark.slow
async def test_a_bad_trunk_stops_one_list_once_and_it_goes_on_after_its_pause(demo: Demo) -> None:
    stopped, goes_on = ("Overdue invoices: calls fail", "Overdue invoices: calls go through again")
    async with visitor(demo, await demo.introduction()) as client, asyncio.timeout(90):
        lists = (await client.run("{ outdials { nodes { id name } } }"))["outdials"]["nodes"]
        (invoices,) = [outdial["id"] for outdial in lists if outdial["name"] == "Overdue invoices"]
        query = "query($id: ID!) { outdial(id: $id) { breaker { state } progress { attempts } } }"
        await _until_said(demo, stopped)
        await asyncio.sleep(4)  # calls under way end
        before = (await client.run(query, id=invoices))["outdial"]
        assert before["breaker"]["state"] == "OPEN"
        await _until_said(demo, goes_on)
        await _until_called(client, invoices, more_than=before["progress"]["attempts"] + 3)
        assert (await client.run(query, id=invoices))["outdial"]["breaker"]["state"] == "CLOSED"
        query = (
            "query($id: ID!) { outdial(id: $id) { attempts(first: 100, where: { dispositions: [FAILED] }) "
            "{ nodes { dialer disposition } } } }"
        )
        failed = (await client.run(query, id=invoices))["outdial"]["attempts"]["nodes"]
        assert len(failed) == stage.BAD_CALLS
    assert demo.output().count(stopped) == demo.output().count(goes_on) == 1


async def test_a_list_of_ones_own_is_not_dialed(demo: Demo) -> None:
    async with visitor(demo, await demo.introduction()) as client:
        own = await client.outdial(name="Mine")
        await client.target(own["id"])
        await asyncio.sleep(2)
        assert await _calls(client, own["id"]) == 0


@pytest.mark.slow
async def test_the_printed_line_dials_a_list_of_ones_own_in_a_folder_that_has_an_app(demo: Demo) -> None:
    """In a shell, as it is printed, with the list's id in the place of ID."""
    introduction = await demo.introduction()
    match = re.search(r"^export OUTDIAL_TOKEN=.*\n.* dial --url .* --outdial ID$", introduction, re.MULTILINE)
    assert match is not None, introduction
    async with visitor(demo, introduction) as client:
        own = await client.outdial(name="Mine")
        await client.target(own["id"])
        process = await asyncio.create_subprocess_exec(
            *["bash", "-c", match[0].replace("--outdial ID", f"--outdial {own['id']}").replace("\n", "\nexec ")],
            cwd=demo.temporary.parent, env=demo.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        try:
            async with asyncio.timeout(READY_SECONDS_MAX):
                await _until_called(client, own["id"])
            process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(READY_SECONDS_MAX):
                out, err = await process.communicate()
        finally:
            with suppress(ProcessLookupError):
                process.kill()
    assert (process.returncode, out, err) == (0, b"", b"")


async def test_it_is_the_server_that_serve_starts(demo: Demo) -> None:
    """With the same options: no compressed frames on sockets, whose memory adds up, and no name of the server."""
    async with visitor(demo, await demo.introduction()) as client:
        answer = await client.http.get("/healthz")
        assert "server" not in answer.headers
        async with connect(
            f"ws://127.0.0.1:{demo.port}/graphql", subprotocols=[Subprotocol("graphql-transport-ws")]
        ) as ws:
            assert ws.protocol.extensions == []


def test_a_taken_port_is_one_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = subprocess.run(
            [sys.executable, "-m", "app.cli", "demo", "--port", str(port)],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        f"outdial: cannot listen on port {port}: Address already in use; try outdial demo --port 0"
    ]


INTERRUPTED = """
import os, signal, sys
import httpx
from app.demo import stage

class Client(httpx.AsyncClient):
    def __init__(self, **arguments):
        super().__init__(**arguments)
        os.kill(os.getpid(), getattr(signal, sys.argv[1]))

stage.httpx.AsyncClient = Client
stage.run(0)
"""


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["SIGINT", "SIGTERM"])
def test_an_interrupt_while_the_demo_starts_ends_it_without_a_word_too_many(tmp_path: Path, ending: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, ending],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("Stopped. The database was removed.\n")
    assert list(tmp_path.iterdir()) == []


def test_nobody_real_is_in_the_lists() -> None:
    addresses: list[str] = []
    types: set[str] = set()
    for sample in samples():
        keys = [target["key"] for target in sample.targets]
        assert len(set(keys)) == len(keys)
        for target in sample.targets:
            for index in range(5):
                if destination := target.get(f"destination{index}"):
                    kind = DestinationType(destination.get("type", "TEL"))
                    types.add(kind)
                    addresses.append(canonical(kind, destination["target"], default_region=None))
    assert [address for address in addresses if not RESERVED.fullmatch(address)] == []
    assert types == {"TEL", "WHATSAPP", "EMAIL", "SIP"}
    assert len(addresses) > 400
