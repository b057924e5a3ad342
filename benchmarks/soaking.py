"""A fixed number of calls a second for minutes, for half of which another session holds a snapshot open.

The calls are begun by the clock, also if the ones before are late, and their time counts from when they were due. The
other session has a repeatable-read snapshot, which keeps PostgreSQL from removing what has changed since, or an open
writing transaction, or both.
"""

import argparse
import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import cycle, product
from typing import Any
from uuid import uuid4

import asyncpg

from benchmarks.handwritten import Dialing
from benchmarks.measuring import processor_seconds, quantile
from benchmarks.staging import DISPOSITIONS, LEASE_SECONDS, Side, Stage, make_outdial, progress
from benchmarks.subscribing import Subscribers
from tests.support.graphql_client import Client

PHASES = ("before", "while held", "after")
STEPS = ("claim", "start", "complete")
LINES_MAX = 64
"""Calls at the same time. If all are late, the others wait for them."""
TELL_SECONDS = 15
HOLDS = {"snapshot": ["snapshot"], "write": ["write"], "both": ["snapshot", "write"], "none": []}


@dataclass(slots=True)
class Soak:
    """What was measured so far."""

    phase: str = "warm-up"
    begun: dict[str, float] = field(default_factory=dict)
    seconds: defaultdict[tuple[str, str], list[float]] = field(default_factory=lambda: defaultdict(list))

    def note(self, phase: str, step: str, due: float) -> None:
        self.seconds[phase, step].append(time.perf_counter() - due)


async def serve_line(
    dialing: Dialing, due: "asyncio.Queue[float]", soak: Soak, customer: str, outdial: str, name: str
) -> None:
    """One line: claim one target, start it, complete it, each time that one is due."""
    dispositions = cycle(DISPOSITIONS)
    while True:
        at, phase = await due.get(), soak.phase
        made = await dialing.claim(customer, outdial, 1, name, LEASE_SECONDS, None)
        soak.note(phase, "claim", at)
        assert made, "no target is due: the list is too short"
        attempt = made[0]["id"]
        begun = time.perf_counter()
        assert await dialing.start(customer, [(attempt, attempt)]) == [attempt]
        soak.note(phase, "start", begun)
        begun = time.perf_counter()
        assert await dialing.complete(customer, [(attempt, next(dispositions))]) == [attempt]
        soak.note(phase, "complete", begun)


async def tick(due: "asyncio.Queue[float]", per_second: float, seconds: float) -> None:
    """Say that one is due, so many times a second."""
    begun = time.perf_counter()
    for number in range(int(per_second * seconds)):
        at = begun + number / per_second
        await asyncio.sleep(max(0, at - time.perf_counter()))
        due.put_nowait(at)
    await asyncio.sleep(max(0, begun + seconds - time.perf_counter()))


@asynccontextmanager
async def held(url: str, hold: str) -> AsyncIterator[None]:
    """Another session's open transactions."""
    connections = []
    try:
        for kind in HOLDS[hold]:
            connections.append(connection := await asyncpg.connect(url))
            await connection.execute("SET idle_in_transaction_session_timeout = 0")
            await connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
            await connection.fetch("SELECT count(*) FROM outdial")
            if kind == "write":
                await connection.fetch("SELECT pg_current_xact_id()")
        yield
    finally:
        for connection in connections:
            await connection.close()


async def run(stage: Stage, side: Side, options: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Figures by phase."""
    cycles = options.rate / len(STEPS)
    spans = dict(zip(PHASES, _spans(options.soak_seconds, options.held_seconds), strict=True))
    targets = options.targets or int(cycles * options.soak_seconds / len(DISPOSITIONS) * 1.5) + 1_000
    customer, soak, found = str(uuid4()), Soak(), {}
    due: asyncio.Queue[float] = asyncio.Queue()
    processes = stage.processes(side, options.through)
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(Client(stage.server.url, customer))
        progress(f"  making {targets:,} targets")
        outdial = await make_outdial(client, targets)
        await stage.gauge.settle()
        subscribers = Subscribers(stage.server.url, customer, outdial, options.soak_subscribers)
        await stack.enter_async_context(subscribers)
        lines = [
            await stack.enter_async_context(stage.dialing(side, options.through, customer)) for _ in range(LINES_MAX)
        ]
        async with asyncio.TaskGroup() as tasks:
            serving = [
                tasks.create_task(serve_line(dialing, due, soak, customer, outdial, f"line-{number}"))
                for number, dialing in enumerate(lines)
            ]
            telling = tasks.create_task(_tell(soak, due))
            await tick(due, cycles, options.warm_seconds)
            for phase, seconds in spans.items():
                soak.phase = phase
                subscribers.phase(phase)
                before, server, began = await stage.gauge.read(), processor_seconds(processes), time.perf_counter()
                async with held(stage.url, options.hold if phase == "while held" else "none"):
                    await tick(due, cycles, seconds)
                    took, after = time.perf_counter() - began, await stage.gauge.read()
                found[phase] = {
                    "calls/s": sum(len(soak.seconds[phase, step]) for step in STEPS) / took,
                    "server ms/s": (processor_seconds(processes) - server) * 1e3 / took,
                    "database ms/s": (after.processor - before.processor) * 1e3 / took,
                    "waiting": due.qsize(),
                    "dead rows": await stage.gauge.dead_rows(),
                }
            for task in (*serving, telling):
                task.cancel()
    return {phase: values | _times(soak, phase) | subscribers.lags.get(phase, {}) for phase, values in found.items()}


def _times(soak: Soak, phase: str) -> dict[str, float]:
    return {
        f"{step} p{share} ms": quantile(soak.seconds[phase, step], share / 100) * 1e3
        for step, share in product(STEPS, (50, 99))
    }


def _spans(whole: float, middle: float) -> tuple[float, float, float]:
    """Seconds before, while and after."""
    assert middle < whole, "--held-seconds must be less than --soak-seconds"
    return (whole - middle) / 2, middle, (whole - middle) / 2


async def _tell(soak: Soak, due: "asyncio.Queue[float]") -> None:
    while True:
        await asyncio.sleep(TELL_SECONDS)
        recent = soak.seconds[soak.phase, "claim"]
        waiting = f", {due.qsize()} waiting" if due.qsize() else ""
        progress(f"  {soak.phase}: {len(recent):,} claims, p99 {quantile(recent, 0.99) * 1e3:,.1f} ms{waiting}")


COLUMNS = {
    "calls/s": ",.0f",
    "claim p50 ms": ",.1f",
    "claim p99 ms": ",.1f",
    "start p99 ms": ",.1f",
    "complete p99 ms": ",.1f",
    "lag p50 ms": ",.1f",
    "lag p99 ms": ",.1f",
    "lag max ms": ",.1f",
    "server ms/s": ",.0f",
    "database ms/s": ",.0f",
    "dead rows": ",.0f",
    "waiting": ",.0f",
}


def table(side: Side, found: dict[str, dict[str, float]]) -> str:
    head = f"| side | phase | {' | '.join(COLUMNS)} |\n|{'---|' * (len(COLUMNS) + 2)}"
    body = (
        f"| {side} | {phase} | "
        + " | ".join(format(values[name], spec) if name in values else "" for name, spec in COLUMNS.items())
        + " |"
        for phase, values in found.items()
    )
    return "\n".join((head, *body))


def add_options(add: Any, bounded: Any) -> None:
    add("--soak", action="store_true", help="a fixed number of calls a second, by 1, on PostgreSQL")
    add("--soak-seconds", type=bounded(3, 3_000, float), default=600.0, help="in all, after the warm-up")
    add("--held-seconds", type=bounded(1, 3_000, float), default=300.0, help="in the middle, with --hold")
    add("--warm-seconds", type=bounded(1, 300, float), default=10.0)
    add("--rate", type=bounded(3, 10_000), default=300, help="calls a second")
    add("--soak-subscribers", type=bounded(1, 1_000), default=10, help="of the same outdial")
    add("--hold", choices=sorted(HOLDS), default="both", help="what another session keeps open")
