"""How many calls a second the server takes from dialers, beside a hand-written endpoint of the same effects.

    python -m benchmarks.dialing                                       # about two minutes
    python -m benchmarks.dialing --database postgresql --by 1 50 --dialers 8 --rounds 5
    python -m benchmarks.dialing --database postgresql --fsync on --by 1 --dialers 16 --subscribers none quiet

Each dialer claims, starts and completes in a loop, over its own HTTP connection: with `outdial serve` by the documents
of the reference dialer, with the endpoint in `benchmarks.handwritten` by the least that says the same. Both run in a
process of their own, on the same database, with as many connections, in turns; the medians are compared. With
`--through calls` there is no HTTP: the use-cases, and the hand-written functions, run in this process.

One in four calls is answered, and the others are due again at once, so that a list lasts for a whole run.
"""

import argparse
import asyncio
import contextlib
import json
import math
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, field
from itertools import cycle, product
from pathlib import Path
from typing import Any
from uuid import uuid4

import uvloop

from benchmarks.handwritten import Dialing
from benchmarks.measuring import Written, processor_seconds, quantile
from benchmarks.staging import SIDES, Side, Stage, staged
from tests.support import rows
from tests.support.graphql_client import Client

SECONDS_MAX = 4 * 3_600
"""For the whole benchmark: if a server hangs, the benchmark ends."""
WARM_SECONDS = 1.2
"""Longer than the second after which a backend of PostgreSQL reports what it has flushed."""
TARGETS_IN_A_CALL = 1_000
LEASE_SECONDS = 300
DISPOSITIONS = ("NO_ANSWER", "BUSY", "NO_ANSWER", "ANSWERED")
POLICY = {"maxTryCounts": [100] * 5, "retryIntervalSeconds": 0, "leaseSeconds": LEASE_SECONDS}


@dataclass(frozen=True, slots=True)
class Case:
    database: str
    fsync: str
    through: str
    by: int
    dialers: int
    subscribers: str
    keys: bool
    start: bool


@dataclass(slots=True)
class Run:
    """What the dialers of one run have done so far."""

    begins: float = math.inf
    ends: float = math.inf
    is_dry: asyncio.Event = field(default_factory=asyncio.Event)
    targets: int = 0
    seconds: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def note(self, step: str, started: float, targets: int) -> None:
        now = time.perf_counter()
        if self.begins <= now <= self.ends:
            self.seconds[step].append(now - started)
            self.targets += targets


async def dial(dialing: Dialing, case: Case, run: Run, customer: str, outdial: str, name: str) -> None:
    """One dialer, until the run ends or nothing is due."""
    dispositions = cycle(DISPOSITIONS)
    while time.perf_counter() < run.ends:
        key = str(uuid4()) if case.keys else None
        started = time.perf_counter()
        made = [row["id"] for row in await dialing.claim(customer, outdial, case.by, name, LEASE_SECONDS, key)]
        run.note("claim", started, 0)
        if not made:
            run.is_dry.set()
            return
        if case.start:
            started = time.perf_counter()
            assert len(await dialing.start(customer, [(attempt, attempt) for attempt in made])) == len(made)
            run.note("start", started, 0)
        results = [(attempt, next(dispositions)) for attempt in made]
        started = time.perf_counter()
        assert len(await dialing.complete(customer, results)) == len(made)
        run.note("complete", started, len(made))


def figures(run: Run, seconds: float, server: float, database: float, written: Written | None) -> dict[str, float]:
    """Of one run, by name."""
    calls = sum(len(values) for values in run.seconds.values())
    found = {"targets/s": run.targets / seconds, "calls/s": calls / seconds}
    for step, values in run.seconds.items():
        found |= {f"{step} p50 ms": quantile(values, 0.5) * 1e3, f"{step} p99 ms": quantile(values, 0.99) * 1e3}
    found["server us/target"] = server * 1e6 / max(run.targets, 1)
    if written is not None:
        found["database us/target"] = database * 1e6 / max(run.targets, 1)
        found["WAL bytes/call"] = written.wal_bytes / max(calls, 1)
        if written.commits is not None:
            found["index insertions/target"] = written.insertions / max(run.targets, 1)
            found["HOT share"] = written.hot_updates / max(written.updates, 1)
            found["commits/s"] = written.commits / seconds
        found["flushes/s"] = written.flushes / seconds
    return found


# ---------------------------------------------------------------- one run


async def make_outdial(client: Client, targets: int) -> str:
    outdial: str = (await client.outdial(dialPolicy=POLICY))["id"]
    query = """mutation ($input: CreateTargetsInput!) { createTargets(input: $input) { createdCount } }"""
    for start in range(0, targets, TARGETS_IN_A_CALL):
        given = [
            {"name": f"Person {number}", "key": f"key-{number}", "destination0": {"target": f"+4915{number:09d}"}}
            for number in range(start, min(start + TARGETS_IN_A_CALL, targets))
        ]
        made = await client.run(query, input={"outdialId": outdial, "targets": given})
        assert made["createTargets"]["createdCount"] == len(given), made
    return outdial


async def measure(
    stage: Stage, side: Side, case: Case, *, seconds: float, targets: int, check: bool = False
) -> dict[str, float]:
    customer = str(uuid4())
    processes = stage.processes(side, case.through)
    async with Client(stage.server.url, customer) as client, AsyncExitStack() as stack:
        outdial = await make_outdial(client, targets)
        await stage.gauge.settle()
        dialers = [
            await stack.enter_async_context(stage.dialing(side, case.through, customer)) for _ in range(case.dialers)
        ]
        run = Run()
        async with asyncio.TaskGroup() as tasks:
            for number, dialing in enumerate(dialers):
                tasks.create_task(dial(dialing, case, run, customer, outdial, f"dialer-{number}"))
            await _not_dry(run, WARM_SECONDS)
            before, server = await stage.gauge.read(), processor_seconds(processes)
            run.begins = time.perf_counter()
            await _not_dry(run, seconds)
            run.ends = time.perf_counter()
            server = processor_seconds(processes) - server
            after = await stage.gauge.read()
        assert run.targets, f"{targets} targets are too few: all were done before the measuring began"
        written = await stage.gauge.written(before, after)
        if check:
            found = await rows.of(stage.url, customer)
            rows.check(found)
            rows.check_events(found)
        return figures(run, run.ends - run.begins, server, after.processor - before.processor, written)


async def _not_dry(run: Run, seconds: float) -> None:
    """Wait for that long, or until nothing is due."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await run.is_dry.wait()


async def compare(stage: Stage, case: Case, options: argparse.Namespace) -> dict[str, dict[str, float]]:
    """The medians of both sides."""
    found: dict[Side, list[dict[str, float]]] = {side: [] for side in SIDES}
    targets = options.targets or 2_000 + 200 * case.by
    for number in range(options.rounds):
        for side in SIDES if number % 2 == 0 else SIDES[::-1]:
            figures_now = await measure(
                stage, side, case, seconds=options.seconds, targets=targets, check=options.check
            )
            found[side].append(figures_now)
            progress(f"  {case.database} by {case.by}, round {number + 1}, {side}: {figures_now['targets/s']:,.0f}/s")
    return {
        side: {name: statistics.median(run[name] for run in runs) for name in runs[0]} for side, runs in found.items()
    }


def progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


# ---------------------------------------------------------------- the table

COLUMNS = {
    "targets/s": ",.0f",
    "claim p50 ms": ",.1f",
    "claim p99 ms": ",.1f",
    "complete p50 ms": ",.1f",
    "complete p99 ms": ",.1f",
    "server us/target": ",.0f",
    "database us/target": ",.0f",
    "WAL bytes/call": ",.0f",
    "index insertions/target": ",.1f",
    "HOT share": ".0%",
    "commits/s": ",.0f",
    "flushes/s": ",.0f",
}


def header() -> str:
    names = ["database", "fsync", "by", "dialers", "subscribers", "keys", "side", "ratio", "by CPU", *COLUMNS]
    return f"| {' | '.join(names)} |\n|{'---|' * len(names)}"


def lines(case: Case, found: dict[str, dict[str, float]]) -> str:
    about = [case.database, case.fsync, case.by, case.dialers, case.subscribers, "yes" if case.keys else "no"]
    base = found["hand-written"]
    return "\n".join(
        "| "
        + " | ".join(
            [
                *map(str, about),
                side,
                f"{values['targets/s'] / base['targets/s']:.2f}",
                f"{_processor(base) / _processor(values):.2f}",
                *(format(values[name], spec) if name in values else "" for name, spec in COLUMNS.items()),
            ]
        )
        + " |"
        for side, values in found.items()
    )


def _processor(values: dict[str, float]) -> float:
    """Of the server and the database, for each target."""
    return values["server us/target"] + values.get("database us/target", 0)


# ---------------------------------------------------------------- the command


def bounded(low: float, high: float, kind: type = int) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        value = kind(text)
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"a number from {low:,} to {high:,}")
        return value

    return read


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add = made.add_argument
    add("--database", nargs="+", choices=["sqlite", "postgresql"], default=["sqlite", "postgresql"])
    add("--fsync", nargs="+", choices=["off", "on"], default=["off"], help="off: the data are in memory")
    add("--by", nargs="+", type=bounded(1, 500), default=[50, 1], help="targets in a call")
    add("--dialers", nargs="+", type=bounded(1, 64), default=[8])
    add("--keys", nargs="+", choices=["no", "yes"], default=["no"], help="idempotency keys for claims")
    add("--without-start", action="store_true", help="complete without starting")
    add("--through", choices=["http", "calls"], default="http")
    add("--rounds", type=bounded(1, 50), default=3)
    add("--seconds", type=bounded(0.2, 60, float), default=2.0, help="of each run, after a warm-up")
    add("--targets", type=bounded(1, 200_000), help="of each run; default: by the size of the calls")
    add("--check", action="store_true", help="check all rows after each run")
    add("--json", type=Path, help="write all figures to this file")
    return made


def cases(options: argparse.Namespace, database: str, fsync: str) -> list[Case]:
    return [
        Case(database, fsync, options.through, by, dialers, "none", keys == "yes", not options.without_start)
        for by, dialers, keys in product(options.by, options.dialers, options.keys)
    ]


async def main(arguments: Sequence[str] | None = None) -> list[dict[str, Any]]:
    options = parser().parse_args(arguments)
    results: list[dict[str, Any]] = []
    async with asyncio.timeout(SECONDS_MAX):
        print(header(), flush=True)
        for database, fsync in product(options.database, options.fsync):
            async with staged(database, fsync, pool_size=max(10, *options.dialers)) as stage:
                for case in cases(options, database, fsync):
                    found = await compare(stage, case, options)
                    print(lines(case, found), flush=True)
                    results.append({"case": asdict(case), "medians": found})
    if options.json:
        options.json.write_text(json.dumps(results, indent=2))
    return results


if __name__ == "__main__":
    uvloop.run(main())
