"""How fast a do-not-call list comes in and goes out, what that takes of memory, and what claims feel of it.

    python -m benchmarks.suppressing                                       # both databases, about ten minutes
    python -m benchmarks.suppressing --database postgresql --rows 1000000 --targets 100000

The file is sent to `POST /v1.0/suppressions/import` of `outdial serve` in a process of its own. One target in ten of a
list of the same customer has all its addresses in it: housekeeping finishes these while the file comes in, and after.
One dialer claims from that list and another one from a list of another customer, one target at a time, at most 50 times
a second: before, while the file comes in, and until the last target is finished. Then all is taken out again by
`GET /v1.0/suppressions/export`.
"""

import argparse
import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import uvloop

from app import db
from benchmarks import held
from benchmarks.calling import Line, OutdialOverHttp
from benchmarks.dialing import bounded
from benchmarks.held import AWAKE, OFFICE, OTHERS, Held, Part
from benchmarks.imports import MEBIBYTE, Memory
from benchmarks.measuring import processor_seconds, quantile
from benchmarks.staging import LEASE_SECONDS, Store, progress, stored
from tests.support import factories
from tests.support.graphql_client import Client
from tests.support.server import ServerProcess

SECONDS_MAX = 2 * 3_600
FINISHED_EACH = 10
"""One target in so many has no other address than those in the file."""
PIECE_ROWS = 2_000
IDLE_SECONDS = 5.0
PAUSE_SECONDS = 0.02
LOOK_EVERY_SECONDS = 0.2
REASON = "Asked us to stop"
LISTS = ("the same customer", "another customer")


def addresses(one: Held, targets: int, rows: int) -> Iterator[str]:
    """As many as there are rows. Those of targets are spread over the file."""
    barred = [
        place.number(one.number * held.TARGETS_MAX + number)
        for number in range(0, targets, FINISHED_EACH)
        for place in (AWAKE[number % len(AWAKE)], OFFICE)
    ]
    each = max(1, rows // len(barred))
    left = iter(barred)
    for row in range(rows):
        wanted = next(left, None) if row % each == 0 else None
        yield OTHERS.number(row) if wanted is None else wanted


async def pieces(numbers: Iterator[str]) -> AsyncIterator[bytes]:
    lines = ["phone,reason\n"]
    for number in numbers:
        lines.append(f"{number},{REASON}\n")
        if len(lines) == PIECE_ROWS:
            yield "".join(lines).encode()
            lines = []
    yield "".join(lines).encode()


class Dialer:
    """Claims one target, and pauses."""

    def __init__(self, line: Line, one: Held) -> None:
        self._calls = OutdialOverHttp(line, one.viewer.customer_id)
        self._of = one.viewer.customer_id, one.outdial_id
        self.phases: dict[str, list[float]] = {}
        self.phase = "before"

    async def go_on(self) -> None:
        while True:
            started = time.perf_counter()
            await self._calls.claim(*self._of, 1, "dialer", LEASE_SECONDS, None)
            self.phases.setdefault(self.phase, []).append(time.perf_counter() - started)
            await asyncio.sleep(PAUSE_SECONDS)


@asynccontextmanager
async def dialing(server: ServerProcess, lists: Sequence[Held]) -> AsyncIterator[list[Dialer]]:
    lines = [await Line.opened(server.url) for _ in lists]
    dialers = [Dialer(line, one) for line, one in zip(lines, lists, strict=True)]
    tasks = [asyncio.create_task(dialer.go_on()) for dialer in dialers]
    try:
        yield dialers
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        for line in lines:
            await line.close()
        failed = [error for error in ended if not isinstance(error, asyncio.CancelledError)]
        assert failed == [], failed


async def send(
    server: ServerProcess, client: Client, store: Store, body: AsyncIterator[bytes], rows: int
) -> dict[str, float]:
    """The file, to its end."""
    process, before = psutil.Process(server.pid), await store.gauge.read()
    spent, started = process.cpu_times(), time.perf_counter()
    async with Memory(server.pid) as memory:
        response = await client.http.post(
            "/v1.0/suppressions/import", content=body, headers={"Content-Type": "text/csv"}, timeout=SECONDS_MAX
        )
    took, after = time.perf_counter() - started, process.cpu_times()
    assert response.status_code == 200, response.text
    counts = response.json()["counts"]
    assert counts == {"read": rows, "added": rows, "unchanged": 0, "expired": 0, "rejected": 0}, counts
    readers = after.children_user + after.children_system - spent.children_user - spent.children_system
    own = after.user + after.system - spent.user - spent.system
    return {
        "rows/s": rows / took,
        "server us": own * 1e6 / rows,
        "readers us": readers * 1e6 / rows,
        "database us": ((await store.gauge.read()).processor - before.processor) * 1e6 / rows,
        "memory before": memory.before / MEBIBYTE,
        "memory at most": memory.peak / MEBIBYTE,
        "memory of readers": memory.readers / MEBIBYTE,
    }


async def take_out(server: ServerProcess, client: Client, rows: int) -> dict[str, float]:
    """The whole list as a file."""
    processes = [psutil.Process(server.pid)]
    lines, spent, started = 0, processor_seconds(processes), time.perf_counter()
    async with Memory(server.pid) as memory:
        path, timeout = "/v1.0/suppressions/export", httpx.Timeout(SECONDS_MAX)
        async with client.http.stream("GET", path, headers={"Accept": "text/csv"}, timeout=timeout) as response:
            assert response.status_code == 200, await response.aread()
            async for piece in response.aiter_bytes():
                lines += piece.count(b"\n")
    took = time.perf_counter() - started
    assert lines == rows + 1, lines
    return {
        "rows/s": rows / took,
        "server us": (processor_seconds(processes) - spent) * 1e6 / rows,
        "memory before": memory.before / MEBIBYTE,
        "memory at most": memory.peak / MEBIBYTE,
    }


async def finished(one: Held) -> float:
    """Wait until nothing is left to finish. Returns the number of targets that are done."""
    owner = one.viewer.customer_id
    pending = "SELECT 1 AS one FROM suppression WHERE customer_id = $1 AND is_pending = 1 LIMIT 1"
    while await db.fetch(pending, owner):  # noqa: ASYNC110 - another process does it
        await asyncio.sleep(LOOK_EVERY_SECONDS)
    [row] = await db.fetch(
        "SELECT sum(do_not_call) AS done FROM outdial_counter WHERE customer_id = $1 AND outdial_id = $2",
        *(owner, one.outdial_id),
    )
    return float(row["done"])


async def run(database: str, options: argparse.Namespace) -> dict[str, Any]:
    async with stored(database, "off") as store:
        await db.connect(store.url, pool_size=2)
        try:
            lists = [await held.begin(factories.make_viewer()) for _ in LISTS]
            await held.fill(store.url, {one: [Part(AWAKE, options.targets)] for one in lists}, {})
            with ServerProcess(store.url, store.folder) as server:
                async with Client(server.url, lists[0].viewer.customer_id) as client:
                    return await measure(database, server, store, client, lists, options)
        finally:
            await db.close()


async def measure(
    database: str,
    server: ServerProcess,
    store: Store,
    client: Client,
    lists: Sequence[Held],
    options: argparse.Namespace,
) -> dict[str, Any]:
    async with dialing(server, lists) as dialers:
        await asyncio.sleep(options.idle_seconds)
        for dialer in dialers:
            dialer.phases, dialer.phase = {}, "before"  # what came first has made plans
        await asyncio.sleep(options.idle_seconds)
        for dialer in dialers:
            dialer.phase = "import"
        began = time.perf_counter()
        file = pieces(addresses(lists[0], options.targets, options.rows))
        came_in = await send(server, client, store, file, options.rows)
        progress(f"{database}: imported, {came_in['rows/s']:,.0f} rows/s")
        for dialer in dialers:
            dialer.phase = "after"
        imported = time.perf_counter()
        done = await finished(lists[0])
        ended = time.perf_counter()
    wanted = len(range(0, options.targets, FINISHED_EACH))
    assert 0 < done <= wanted, (done, wanted)
    finishing = {"targets": done, "seconds": ended - began, "after the import": ended - imported}
    claims = {
        name: {
            phase: {"claims": len(took), "p50 ms": quantile(took, 0.5) * 1e3, "p99 ms": quantile(took, 0.99) * 1e3}
            for phase, took in dialer.phases.items()
        }
        for name, dialer in zip(LISTS, dialers, strict=True)
    }
    went_out = await take_out(server, client, options.rows)
    return {
        "case": {"database": database, "rows": options.rows, "targets": options.targets},
        "import": came_in,
        "finishing": finishing,
        "claims": claims,
        "export": went_out,
    }


# ---------------------------------------------------------------- the command


def told(found: dict[str, Any]) -> str:
    case, came_in, went_out, finishing = found["case"], found["import"], found["export"], found["finishing"]
    processor = ", ".join(f"{name} {came_in[f'{name} us']:.0f}" for name in ("server", "readers", "database"))
    readers = f"{came_in['memory of readers']:.0f} MiB"
    times = f"{finishing['seconds']:.1f} s, {finishing['after the import']:.1f} s of these after the import"
    rate = f"{came_in['rows/s']:,.0f} rows/s; us of processor time for a row: {processor}"
    lines = [
        f"{case['database']}, {case['rows']:,} rows, {case['targets']:,} targets",
        f"  import: {rate}; memory {_memory(came_in)}, of the readers {readers}",
        f"  finishing: {finishing['targets']:,.0f} targets in {times}",
        f"  export: {went_out['rows/s']:,.0f} rows/s; server {went_out['server us']:.0f} us; {_memory(went_out)}",
    ]
    for name, phases in found["claims"].items():
        shown = ", ".join(
            f"{phase} p50 {one['p50 ms']:.1f} ms, p99 {one['p99 ms']:.1f} ms of {one['claims']:,}"
            for phase, one in phases.items()
        )
        lines.append(f"  claims of {name}: {shown}")
    return "\n".join(lines)


def _memory(figures: dict[str, float]) -> str:
    return f"{figures['memory before']:.0f} to {figures['memory at most']:.0f} MiB"


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add = made.add_argument
    add("--database", nargs="+", choices=["sqlite", "postgresql"], default=["sqlite", "postgresql"])
    add("--rows", type=bounded(1_000, 5_000_000), default=1_000_000, help="of the file")
    add("--targets", type=bounded(100, held.TARGETS_MAX), default=100_000, help="of each of the two lists")
    add("--idle-seconds", type=bounded(0.2, 60, float), default=IDLE_SECONDS, help="before the file is sent")
    add("--json", type=Path, help="write all figures to this file")
    return made


async def main(arguments: Sequence[str] | None = None) -> None:
    options = parser().parse_args(arguments)
    results = []
    async with asyncio.timeout(SECONDS_MAX):
        for database in options.database:
            results.append(await run(database, options))
            print(told(results[-1]), flush=True)
    if options.json:
        options.json.write_text(json.dumps(results, indent=2))


if __name__ == "__main__":
    uvloop.run(main())
