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

from benchmarks import soaking
from benchmarks.handwritten import Dialing
from benchmarks.measuring import Written, processor_seconds, quantile
from benchmarks.staging import DISPOSITIONS, LEASE_SECONDS, SIDES, Side, Stage, make_outdial, progress, staged
from benchmarks.subscribing import Subscribers
from tests.support import rows
from tests.support.graphql_client import Client

SECONDS_MAX = 4 * 3_600
"""For the whole benchmark: if a server hangs, the benchmark ends."""
WARM_SECONDS = 1.2
"""Longer than the second after which a backend of PostgreSQL reports what it has flushed."""
REPLANNING_SECONDS = 0.3
"""After the warm-up the tables are counted, as housekeeping does, and each session makes its plans anew."""
SUBSCRIBERS = 50
POOL_SIZE = 10
"""Connections of each side, or one for each dialer if there are more."""


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

    def __str__(self) -> str:
        said = [self.database, f"fsync {self.fsync}", f"by {self.by}", f"{self.dialers} dialers"]
        said += [f"{self.subscribers} subscribers"] if self.subscribers != "none" else []
        said += ["keys"] if self.keys else []
        said += [] if self.start else ["no start"]
        return ", ".join(said + ([self.through] if self.through != "http" else []))


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
            found["index insertions/call"] = written.insertions / max(calls, 1)
            found["HOT share"] = written.hot_updates / max(written.updates, 1)
            found["commits/s"] = written.commits / seconds
        found["flushes/s"] = written.flushes / seconds
    return found


# ---------------------------------------------------------------- runs


async def measure(
    stage: Stage, side: Side, case: Case, *, seconds: float, targets: int, check: bool = False
) -> dict[str, float]:
    """One run: a new list, its dialers, and those who subscribe to it, or to a list of the customer that is quiet."""
    customer = str(uuid4())
    processes = stage.processes(side, case.through)
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(Client(stage.server.url, customer))
        outdial = await make_outdial(client, targets)
        await stage.gauge.settle()
        subscribers = None
        if side == "outdial" and case.subscribers != "none":
            watched = outdial if case.subscribers == "same" else await make_outdial(client, 1)
            subscribers = Subscribers(stage.server.url, customer, watched, SUBSCRIBERS)
            await stack.enter_async_context(subscribers)
        dialers = [
            await stack.enter_async_context(stage.dialing(side, case.through, customer)) for _ in range(case.dialers)
        ]
        run = Run()
        async with asyncio.TaskGroup() as tasks:
            for number, dialing in enumerate(dialers):
                tasks.create_task(dial(dialing, case, run, customer, outdial, f"dialer-{number}"))
            await _not_dry(run, WARM_SECONDS)
            await stage.gauge.settle()
            await _not_dry(run, REPLANNING_SECONDS)
            before, server = await stage.gauge.read(), processor_seconds(processes)
            run.begins = time.perf_counter()
            if subscribers:
                subscribers.phase("measured")
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
    lags = subscribers.lags.get("measured", {}) if subscribers else {}
    return figures(run, run.ends - run.begins, server, after.processor - before.processor, written) | lags


async def _not_dry(run: Run, seconds: float) -> None:
    """Wait for that long, or until nothing is due."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await run.is_dry.wait()


Medians = dict[Side, dict[str, float]]


async def compare(stage: Stage, cases: Sequence[Case], options: argparse.Namespace) -> dict[Case, Medians]:
    """The medians of all cases and both sides, measured in turns."""
    found: dict[tuple[Case, Side], list[dict[str, float]]] = defaultdict(list)
    for number, case in product(range(options.rounds), cases):
        for side in options.side if number % 2 == 0 else options.side[::-1]:
            targets = options.targets or 2_000 + 200 * case.by
            measured = await measure(stage, side, case, seconds=options.seconds, targets=targets, check=options.check)
            found[case, side].append(measured)
            progress(f"  round {number + 1}, {case}, {side}: {measured['targets/s']:,.0f} targets/s")
    return {case: {side: median(found[case, side]) for side in options.side} for case in cases}


def median(runs: Sequence[dict[str, float]]) -> dict[str, float]:
    """Of each figure. A figure may be missing from some runs."""
    names = dict.fromkeys(name for run in runs for name in run)
    return {name: statistics.median(run[name] for run in runs if name in run) for name in names}


# ---------------------------------------------------------------- the table

COLUMNS = {
    "targets/s": ",.0f",
    "claim ms": ",.1f",
    "start ms": ",.1f",
    "complete ms": ",.1f",
    "lag ms": ",.1f",
    "server us/target": ",.0f",
    "database us/target": ",.0f",
    "WAL bytes/call": ",.0f",
    "index insertions/call": ",.1f",
    "HOT share": ".0%",
    "commits/s": ",.0f",
    "flushes/s": ",.0f",
}
"""Those that end with ms are two figures, p50 and p99."""


def header() -> str:
    names = ["case", "side", "ratio", "by CPU", *COLUMNS]
    return f"| {' | '.join(names)} |\n|{'---|' * len(names)}"


def table(found: dict[Case, Medians]) -> str:
    lines = []
    for case, sides in found.items():
        base = sides.get("hand-written")
        for side, values in sides.items():
            ratios = ["", ""]
            if base is not None:
                ratio, by_processor = values["targets/s"] / base["targets/s"], _processor(base) / _processor(values)
                ratios = [f"{ratio:.2f}", f"{by_processor:.2f}"]
            cells = [str(case), side, *ratios, *(_cell(values, name, spec) for name, spec in COLUMNS.items())]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(values: dict[str, float], name: str, spec: str) -> str:
    names = [f"{name[:-3]} p{share} ms" for share in (50, 99)] if name.endswith(" ms") else [name]
    return " / ".join(format(values[one], spec) for one in names if one in values)


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
    add("--subscribers", nargs="+", choices=["none", "same", "quiet"], default=["none"], help=f"{SUBSCRIBERS} of them")
    add("--keys", nargs="+", choices=["no", "yes"], default=["no"], help="idempotency keys for claims")
    add("--without-start", action="store_true", help="complete without starting")
    add("--through", choices=["http", "calls"], default="http")
    add("--side", nargs="+", choices=SIDES, default=list(SIDES))
    add("--rounds", type=bounded(1, 50), default=3)
    add("--seconds", type=bounded(0.2, 60, float), default=2.0, help="of each run, after a warm-up")
    add("--targets", type=bounded(1, 200_000), help="of each run; default: by the size of the calls")
    add("--check", action="store_true", help="check all rows after each run")
    add("--json", type=Path, help="write all figures to this file")
    soaking.add_options(add, bounded)
    return made


def cases_of(options: argparse.Namespace, database: str, fsync: str) -> list[Case]:
    each = product(options.by, options.dialers, options.subscribers, options.keys)
    return [
        Case(database, fsync, options.through, by, dialers, subscribers, keys == "yes", not options.without_start)
        for by, dialers, subscribers, keys in each
    ]


async def main(arguments: Sequence[str] | None = None) -> None:
    options = parser().parse_args(arguments)
    async with asyncio.timeout(SECONDS_MAX):
        results = await (soaked if options.soak else compared)(options)
    if options.json:
        options.json.write_text(json.dumps(results, indent=2))


async def compared(options: argparse.Namespace) -> list[dict[str, Any]]:
    results = []
    print(header(), flush=True)
    for database, fsync in product(options.database, options.fsync):
        async with staged(database, fsync, pool_size=max(POOL_SIZE, *options.dialers)) as stage:
            found = await compare(stage, cases_of(options, database, fsync), options)
        print(table(found), flush=True)
        results += [{"case": asdict(case), "medians": sides} for case, sides in found.items()]
    return results


async def soaked(options: argparse.Namespace) -> list[dict[str, Any]]:
    results = []
    for side in options.side:
        async with staged("postgresql", options.fsync[0], pool_size=POOL_SIZE) as stage:
            found = await soaking.run(stage, side, options)
        print(soaking.table(side, found), flush=True)
        results.append({"side": side, "phases": found})
    return results


if __name__ == "__main__":
    uvloop.run(main())
