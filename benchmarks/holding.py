"""What the rules that hold calls back cost a claim: a do-not-call list, calling hours and caps.

    python -m benchmarks.holding                                       # both databases, about ten minutes
    python -m benchmarks.holding --database postgresql --by 1 50 --dialers 1 8 --rounds 5 --rules none all
    python -m benchmarks.holding --rules none suppressions hours caps all --through http --steps calls
    python -m benchmarks.holding --rules none suppressions hours caps all --turns 24 --targets 9000 --suppressions 9000

Each list has its own rules, all are in one database, and their dialers take turns; which list is first changes from
round to round. A rate is divided by that of the list without rules in the same round.

With `--turns` processor time is measured instead, and nothing else: see `benchmarks.costing`. This takes a minute, and
is exact on a busy machine too.

With `--steps claims` dialers do nothing but claim, so a list becomes shorter; with `--steps calls` they start and
complete what they have claimed, too.
"""

import argparse
import asyncio
import contextlib
import json
import math
import statistics
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict
from itertools import product
from pathlib import Path
from typing import Any

import uvloop

from app import db
from benchmarks import costing, held
from benchmarks.dialing import WARM_SECONDS, Case, Run, bounded, dial
from benchmarks.handwritten import Dialing
from benchmarks.held import Held, Part
from benchmarks.measuring import processor_seconds, quantile
from benchmarks.staging import LEASE_SECONDS, Stage, Store, progress, staged, stored
from tests.support import factories

SECONDS_MAX = 2 * 3_600
POOL_SIZE = 10
PLANNING_SECONDS = 0.2
RULES: Mapping[str, frozenset[str]] = {
    "none": frozenset(),
    "suppressions": frozenset({"suppressions"}),
    "hours": frozenset({"hours"}),
    "caps": frozenset({"caps"}),
    "all": frozenset({"suppressions", "hours", "caps"}),
}
STEPS = ("claims", "calls")


async def make_lists(stage: Stage | Store, options: argparse.Namespace) -> dict[str, Held]:
    """A list for each rule. Those with a do-not-call list are of one customer, those without of another."""
    listed, free = factories.make_viewer(), factories.make_viewer()
    made = {}
    for name in options.rules:
        rules = RULES[name]
        policy: dict[str, Any] = {"calling_hours": held.hours()} if "hours" in rules else {}
        policy |= {"caps": held.CAPS} if "caps" in rules else {}
        made[name] = await held.begin(listed if "suppressions" in rules else free, **policy)
    awake = Part(held.AWAKE, options.targets)
    asleep = Part(held.ASLEEP, options.targets // 2, first=options.targets)
    is_wanted = any("suppressions" in RULES[name] for name in made)
    suppressions = {listed.customer_id: options.suppressions} if is_wanted else {}
    await held.fill(stage.url, {one: [awake, asleep] for one in made.values()}, suppressions)
    return made


async def claim_on(dialing: Dialing, case: Case, run: Run, customer: str, outdial: str, name: str) -> None:
    """One dialer that does nothing but claim."""
    while time.perf_counter() < run.ends:
        started = time.perf_counter()
        made = await dialing.claim(customer, outdial, case.by, name, LEASE_SECONDS, None)
        run.note("claim", started, len(made))
        if not made:
            run.is_dry.set()
            return


async def measure(stage: Stage, one: Held, case: Case, steps: str, seconds: float) -> dict[str, float]:
    """One run on a list."""
    run, processes = Run(), stage.processes("outdial", case.through)
    customer = one.viewer.customer_id
    step = claim_on if steps == "claims" else dial
    async with AsyncExitStack() as stack:
        dialers = [
            await stack.enter_async_context(stage.dialing("outdial", case.through, customer))
            for _ in range(case.dialers)
        ]
        async with asyncio.TaskGroup() as tasks:
            for number, dialing in enumerate(dialers):
                tasks.create_task(step(dialing, case, run, customer, one.outdial_id, f"dialer-{number}"))
            await _not_dry(run, WARM_SECONDS)
            before, server = await stage.gauge.read(), processor_seconds(processes)
            run.begins = time.perf_counter()
            await _not_dry(run, seconds)
            while not run.targets and not run.is_dry.is_set():  # the machine is so busy that nothing was claimed
                await _not_dry(run, seconds)
            run.ends = time.perf_counter()
            server, after = processor_seconds(processes) - server, await stage.gauge.read()
    assert run.targets, "the lists are too short: all was claimed before the measuring began"
    took = run.ends - run.begins
    return {
        "targets/s": run.targets / took,
        "server us": server * 1e6 / run.targets,
        "database us": (after.processor - before.processor) * 1e6 / run.targets,
        "claim p50 ms": quantile(run.seconds["claim"], 0.5) * 1e3,
        "claim p99 ms": quantile(run.seconds["claim"], 0.99) * 1e3,
    }


async def _not_dry(run: Run, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await run.is_dry.wait()


Figures = dict[str, float]


async def compare(stage: Stage, database: str, options: argparse.Namespace) -> list[dict[str, Any]]:
    """The medians of each list and case, with the medians of their ratios to the list without rules."""
    progress(f"{database}: making {len(options.rules)} lists and {options.suppressions:,} suppressions")
    began = time.perf_counter()
    lists = await make_lists(stage, options)
    progress(f"{database}: made in {time.perf_counter() - began:.0f} s")
    if options.settled:
        await stage.gauge.settle()
    cases = [
        (steps, Case(database, "off", options.through, by, dialers, "none", keys=False, start=True))
        for steps, by, dialers in product(options.steps, options.by, options.dialers)
    ]
    for (steps, case), name in product(cases, options.rules):  # each session makes its plans
        await measure(stage, lists[name], case, steps, PLANNING_SECONDS)
    found: dict[tuple[int, str], list[Figures]] = defaultdict(list)
    for number, (place, (steps, case)) in product(range(options.rounds), enumerate(cases)):
        for name in options.rules if number % 2 == 0 else options.rules[::-1]:
            figures = await measure(stage, lists[name], case, steps, options.seconds)
            progress(
                f"  round {number + 1}: {steps}, by {case.by}, {case.dialers} dialers, {name}: "
                f"{figures['targets/s']:,.0f}/s, {figures['server us']:,.0f} + {figures['database us']:,.0f} us"
            )
            found[place, name].append(figures)
    return [
        {
            "case": asdict(case),
            "steps": steps,
            "rules": name,
            **_summary(found[place, name], found.get((place, "none"))),
        }
        for place, (steps, case) in enumerate(cases)
        for name in options.rules
    ]


def _summary(rounds: Sequence[Figures], base: Sequence[Figures] | None) -> dict[str, float]:
    medians = {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}
    if base is None:
        return medians
    ratios = [one["targets/s"] / other["targets/s"] for one, other in zip(rounds, base, strict=True)]
    by_processor = [_processor(other) / _processor(one) for one, other in zip(rounds, base, strict=True)]
    return medians | {
        "ratio": statistics.median(ratios),
        "ratio min": min(ratios),
        "ratio max": max(ratios),
        "ratio by processor": statistics.median(by_processor),
    }


def _processor(figures: Figures) -> float:
    return figures["server us"] + (0 if math.isnan(figures["database us"]) else figures["database us"])


# ---------------------------------------------------------------- the command

HEAD = (
    *("database", "steps", "by", "dialers", "rules", "targets/s", "ratio", "of the rounds", "by processor time"),
    *("claim p50, p99 ms", "server, database us"),
)


def header() -> str:
    return f"| {' | '.join(HEAD)} |\n|{'---|' * len(HEAD)}"


def line(found: Mapping[str, Any]) -> str:
    case = found["case"]
    cells = [case["database"], found["steps"], str(case["by"]), str(case["dialers"]), found["rules"]]
    cells.append(f"{found['targets/s']:,.0f}")
    if "ratio" in found:
        cells += [f"{found['ratio']:.2f}", f"{found['ratio min']:.2f} to {found['ratio max']:.2f}"]
        cells.append(f"{found['ratio by processor']:.2f}")
    else:
        cells += [""] * 3
    cells.append(f"{found['claim p50 ms']:.1f}, {found['claim p99 ms']:.1f}")
    cells.append(f"{found['server us']:,.0f}, {found['database us']:,.0f}")
    return f"| {' | '.join(cells)} |"


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add = made.add_argument
    add("--database", nargs="+", choices=["sqlite", "postgresql"], default=["sqlite", "postgresql"])
    add("--rules", nargs="+", choices=list(RULES), default=["none", "all"])
    add("--suppressions", type=bounded(1, 5_000_000), default=1_000_000)
    add("--targets", type=bounded(100, held.TARGETS_MAX // 2), default=100_000, help="of each list, that are awake")
    add("--steps", nargs="+", choices=STEPS, default=["claims"])
    add("--by", nargs="+", type=bounded(1, 500), default=[1, 50], help="targets in a call")
    add("--dialers", nargs="+", type=bounded(1, 64), default=[1, 8])
    add("--through", choices=["http", "calls"], default="calls")
    add("--rounds", type=bounded(1, 50), default=5)
    add("--seconds", type=bounded(0.2, 60, float), default=1.5, help="of each run, after a warm-up")
    add("--turns", type=bounded(1, 200), help="measure processor time in so many short turns, with one dialer")
    add("--settled", action="store_true", help="count the tables after they are filled, as autovacuum does some day")
    add("--json", type=Path, help="write all figures to this file")
    return made


async def _cost(database: str, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Processor time alone, without servers."""
    async with stored(database, "off") as store:
        await db.connect(store.url, pool_size=POOL_SIZE)
        try:
            lists = await make_lists(store, options)
            if options.settled:
                await store.gauge.settle()
            return await costing.compare(database, lists, store.gauge.root, options)
        finally:
            await db.close()


async def main(arguments: Sequence[str] | None = None) -> None:
    options = parser().parse_args(arguments)
    results = []
    async with asyncio.timeout(SECONDS_MAX):
        for place, database in enumerate(options.database):
            if options.turns:
                found = await _cost(database, options)
                head = f"| {' | '.join(costing.HEAD)} |\n|{'---|' * len(costing.HEAD)}"
                print("\n".join(([] if place else [head]) + [costing.line(one) for one in found]), flush=True)
                results += found
                continue
            async with staged(database, "off", pool_size=max(POOL_SIZE, *options.dialers)) as stage:
                found = await compare(stage, database, options)
            print("\n".join(([] if place else [header()]) + [line(one) for one in found]), flush=True)
            results += found
    if options.json:
        options.json.write_text(json.dumps(results, indent=2))


if __name__ == "__main__":
    uvloop.run(main())
