"""What it costs to tell many subscribers of a change, beside a bare broadcast of the same bytes.

    python -m benchmarks.fanout                                        # about three minutes
    python -m benchmarks.fanout --cases plain target --sockets 1000 --rounds 5 --changes 20

`outdial serve` and the bare broadcast (`benchmarks.handwritten.broadcasting`) run in a process of their own, with the
same number of sockets. The changes are made by this process, in the same PostgreSQL, so that the server does nothing
but tell of them: one, and the next when all sockets have it. Both sides take turns. In the last case the server makes
the change itself, and a few subscribers show how late they see it.
"""

import argparse
import asyncio
import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psutil
import uvloop

from app import db, outdials, targets
from app.auth import Viewer
from benchmarks.measuring import quantile, thread_seconds
from benchmarks.receiving import Receivers
from tests.support import factories, postgres
from tests.support.graphql_client import Client
from tests.support.server import REPOSITORY, ServerProcess, token

SECONDS_MAX = 3_600
READY_SECONDS_MAX = 30
DELIVERY_SECONDS_MAX = 30
WARM_CHANGES = 2
DOCUMENTS = 200
OUTDIALS = 100
LATE_SOCKETS = 5
LATE_CHANGES = 50
PAUSE_SECONDS = 0.06
"""Between changes: longer than the interval of the progress, and than anything that is sent together."""
_EVENT = "cursor type occurredAt targetId status doneReason version"
_TARGET = "target { id name status tryCount0 destination0 { type target } nextTryAt version tmUpdate }"
PLAIN = f"subscription ($id: ID!) {{ targetEvents(outdialId: $id) {{ cursor caughtUp gap events {{ {_EVENT} }} }} }}"
TARGET = PLAIN.replace(_EVENT, f"{_EVENT} {_TARGET}")
PROGRESS = """subscription ($ids: [ID!]!) { outdialProgress(outdialIds: $ids, intervalMs: 50) {
    outdials { id name state progress { total idle progressing done attempts } } } }"""
RENAME = "mutation ($input: UpdateTargetInput!) { updateTarget(input: $input) { userErrors { code } } }"
CASES = {
    "plain": "one document",
    "target": "one document with `target { … }`",
    "different": "200 documents",
    "different-target": "200 documents with `target { … }`",
    "progress": "progress of 100 outdials",
    "late": "the same process, idle",
}


@dataclass(frozen=True, slots=True)
class Watched:
    """What a case's subscribers send, and what changes it."""

    payloads: list[dict[str, Any]]
    change: Callable[[int], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Stage:
    """Both servers, new for each case so that memory can be compared."""

    viewer: Viewer
    server: ServerProcess
    bare_port: int
    bare_pid: int
    http: httpx.AsyncClient

    async def watched(self, case: str) -> Watched:
        """New outdials for a case."""
        lists = OUTDIALS if case == "progress" else 1
        made = [await factories.make_outdial(self.viewer, name=f"List {number}") for number in range(lists)]
        ids = [outdial.id for outdial in made]
        if case == "progress":
            return Watched(
                [{"query": PROGRESS, "variables": {"ids": ids}}],
                lambda n: outdials.update(self.viewer, ids[n % OUTDIALS], changes={"name": f"List {uuid4()}"}),
            )
        [target] = await factories.make_targets(self.viewer, ids[0], 1)
        query = TARGET if "target" in case else PLAIN
        documents = [query]
        if "different" in case:
            documents = [query.replace("events {", f"events {{ n{n}: version") for n in range(DOCUMENTS)]
        return Watched(
            [{"query": document, "variables": {"id": ids[0]}} for document in documents],
            lambda n: targets.update(self.viewer, target.id, changes={"name": f"Person {n} {uuid4()}"}),
        )


@asynccontextmanager
async def connected() -> AsyncIterator[str]:
    """A new PostgreSQL, with the use-cases of this process connected to it."""
    async with AsyncExitStack() as stack:
        url = await postgres.create_database(stack.enter_context(postgres.server()))
        await db.migrate(url)
        await db.connect(url, pool_size=2)
        stack.push_async_callback(db.close)
        yield url


@asynccontextmanager
async def staged(url: str) -> AsyncIterator[Stage]:
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(ServerProcess(url, folder))
        http = await stack.enter_async_context(httpx.AsyncClient(trust_env=False, timeout=READY_SECONDS_MAX))
        port = postgres.free_port()
        bare = _launch(port)
        stack.callback(_end, bare)
        async with asyncio.timeout(READY_SECONDS_MAX):
            while True:
                with contextlib.suppress(httpx.TransportError):
                    await http.post(f"http://127.0.0.1:{port}/broadcast", content=b"{}")
                    break
                assert bare.poll() is None, "the bare broadcast has ended"
                await asyncio.sleep(0.05)
        yield Stage(factories.make_viewer(), server, port, bare.pid, http)


def _launch(port: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "benchmarks.handwritten.broadcasting", str(port)]
    return subprocess.Popen(command, cwd=REPOSITORY, stdin=subprocess.DEVNULL)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait(READY_SECONDS_MAX)


# ---------------------------------------------------------------- runs


class Side:
    """One side's sockets and process."""

    def __init__(self, pid: int, receivers: Receivers, sockets: int) -> None:
        self._process = psutil.Process(pid)
        self._receivers = receivers
        self._sockets = sockets
        self._changes = 0
        self.seconds: list[float] = []
        """Processor time of each message, by round."""
        self.middle: list[float] = []
        self.last: list[float] = []
        self.socket_bytes = 0.0
        self.message = ""

    async def open(self) -> None:
        before = self._process.memory_info().rss
        await self._receivers.open()
        self.socket_bytes = (self._process.memory_info().rss - before) / self._sockets

    async def round(self, change: Callable[[int], Awaitable[object]], changes: int) -> None:
        """Some changes, each when the one before has reached all sockets."""
        before, messages = thread_seconds(self._process.pid), 0
        for _ in range(changes):
            self._changes += 1
            await change(self._changes)
            answer = await self._receivers.wait(self._sockets, DELIVERY_SECONDS_MAX)
            assert answer["messages"] >= self._sockets, f"only {answer['messages']} messages came"
            messages += answer["messages"]
            self.message = answer["last"]
            if "middle ms" in answer:
                self.middle.append(answer["middle ms"])
                self.last.append(answer["last ms"])
            await asyncio.sleep(PAUSE_SECONDS)
        self.seconds.append((thread_seconds(self._process.pid) - before) / messages)

    def forget(self) -> None:
        """What was measured so far, while everything warmed up."""
        self.seconds, self.middle, self.last = [], [], []


async def compare(stage: Stage, case: str, sockets: int, options: argparse.Namespace) -> dict[str, Any]:
    watched = await stage.watched(case)
    bearer = token(stage.viewer.customer_id)
    async with AsyncExitStack() as stack:
        ours = Side(
            stage.server.pid,
            await stack.enter_async_context(Receivers(stage.server.port, bearer, sockets, watched.payloads)),
            sockets,
        )
        bare = Side(
            stage.bare_pid,
            await stack.enter_async_context(Receivers(stage.bare_port, bearer, sockets, [{"query": ""}])),
            sockets,
        )
        begun = time.perf_counter()
        await ours.open()
        opened = time.perf_counter() - begun
        await bare.open()

        async def broadcast(_: int) -> None:
            await stage.http.post(f"http://127.0.0.1:{stage.bare_port}/broadcast", content=ours.message)

        await ours.round(watched.change, WARM_CHANGES)
        await bare.round(broadcast, WARM_CHANGES)
        ours.forget()
        bare.forget()
        for number in range(options.rounds):
            turns = [(ours, watched.change), (bare, broadcast)]
            for side, change in turns if number % 2 == 0 else turns[::-1]:
                await side.round(change, options.changes)
    ratios = [one / other for one, other in zip(ours.seconds, bare.seconds, strict=True)]
    found = {
        "case": case,
        "sockets": sockets,
        "message bytes": len(ours.message),
        "us": statistics.median(ours.seconds) * 1e6,
        "bare us": statistics.median(bare.seconds) * 1e6,
        "ratio": statistics.median(ratios),
        "ratio min": min(ratios),
        "ratio max": max(ratios),
        "socket KiB": ours.socket_bytes / 1024,
        "bare socket KiB": bare.socket_bytes / 1024,
        "opened/s": sockets / opened,
    }
    if ours.middle:
        found |= {"middle ms": statistics.median(ours.middle), "last ms": statistics.median(ours.last)}
    return found


async def late(stage: Stage) -> dict[str, Any]:
    """How late a few subscribers see what the server itself commits. An event's time is before its commit."""
    watched = await stage.watched("plain")
    outdial_id = watched.payloads[0]["variables"]["id"]
    [target] = await factories.make_targets(stage.viewer, outdial_id, 1)
    bearer = token(stage.viewer.customer_id)
    lags = []
    async with (
        Client(stage.server.url, stage.viewer.customer_id) as client,
        Receivers(stage.server.port, bearer, LATE_SOCKETS, watched.payloads) as receivers,
    ):
        await receivers.open()
        for number in range(LATE_CHANGES + WARM_CHANGES):
            await client.run(RENAME, input={"id": target.id, "name": f"Person {number}"})
            answer = await receivers.wait(LATE_SOCKETS, DELIVERY_SECONDS_MAX)
            lags.append(answer["middle ms"])
            await asyncio.sleep(PAUSE_SECONDS)
    lags = lags[WARM_CHANGES:]
    return {"case": "late", "sockets": LATE_SOCKETS, "middle ms": quantile(lags, 0.5), "last ms": quantile(lags, 0.99)}


# ---------------------------------------------------------------- the table

HEADER = """\
| subscribers | sockets | bytes | server | bare | ratio | memory | bare | middle | last |
|---|---|---|---|---|---|---|---|---|---|"""


def row(found: dict[str, Any]) -> str:
    cells = [CASES[found["case"]], f"{found['sockets']:,}"]
    if "us" in found:
        cells += [f"{found['message bytes']:,}", f"{found['us']:,.0f} µs", f"{found['bare us']:,.0f} µs"]
        cells += [f"{found['ratio']:.2f} ({found['ratio min']:.2f} to {found['ratio max']:.2f})"]
        cells += [f"{found['socket KiB']:.0f} KiB", f"{found['bare socket KiB']:.0f} KiB"]
    else:
        cells += [""] * 6
    cells += [f"{found[name]:,.1f} ms" if name in found else "" for name in ("middle ms", "last ms")]
    return f"| {' | '.join(cells)} |"


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add = made.add_argument
    add("--cases", nargs="+", choices=list(CASES), default=list(CASES))
    add(
        "--sockets",
        nargs="+",
        type=int,
        default=[100, 1000],
        help="of one document; 200 documents have 200, progress 100",
    )
    add("--rounds", type=int, default=3)
    add("--changes", type=int, default=10, help="in each round of each side")
    add("--json", type=Path, help="write all figures to this file")
    return made


async def main(arguments: Sequence[str] | None = None) -> None:
    options = parser().parse_args(arguments)
    results = []
    print(HEADER, flush=True)
    async with asyncio.timeout(SECONDS_MAX), connected() as url:
        for case in options.cases:
            numbers = {"plain": options.sockets, "target": options.sockets, "progress": [OUTDIALS], "late": [0]}
            for sockets in numbers.get(case, [DOCUMENTS]):
                async with staged(url) as stage:
                    results.append(await (compare(stage, case, sockets, options) if sockets else late(stage)))
                print(row(results[-1]), flush=True)
    if options.json:
        options.json.write_text(json.dumps(results, indent=2))


if __name__ == "__main__":
    uvloop.run(main())
