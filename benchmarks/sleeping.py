"""How long a claim takes if a million targets sleep and ten are awake, beside a list of ten.

    python -m benchmarks.sleeping                                       # both databases, about ten minutes
    python -m benchmarks.sleeping --database postgresql --targets 1000000 --by hours caps --claims 1000

Targets sleep by calling hours, because it is night where they are, or by a cap, because they were called today. Each
list has the same rules; a long one and a short one are claimed from in turns, one target at a time, by the use-cases in
this process. What was claimed is answered, and a new target takes its place, so that ten are awake at each claim.

First that is measured just after the rows were written, before PostgreSQL has counted its tables, and then again after.
"""

import argparse
import asyncio
import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import uvloop

from app import attempts, clock, db
from app.lifecycle import Disposition
from app.records import AttemptResult, CallCap, CapScope, CapSubject
from benchmarks import held
from benchmarks.dialing import bounded
from benchmarks.held import Held, Part
from benchmarks.measuring import quantile, thread_seconds
from benchmarks.staging import progress, stored
from tests.support import factories

SECONDS_MAX = 2 * 3_600
AWAKE_TARGETS = 10
LEASE_SECONDS = 300
RULES = ("hours", "caps")
CAP = CallCap(1, 86_400, CapSubject.ADDRESS, CapScope.CUSTOMER)
WARM_CLAIMS = 30
_FIRST_NEW = held.TARGETS_MAX // 2
"""The number of the first target that takes the place of another one."""


@dataclass(slots=True)
class List:
    """A list, and how long the claims on it took."""

    held: Held
    sleeping: int
    made: int = 0
    seconds: list[float] = field(default_factory=list)
    processor: float = 0.0
    database: float = 0.0

    async def wake_one(self) -> None:
        """Create a target that is awake."""
        place = held.AWAKE[self.made % len(held.AWAKE)]
        number = self.held.number * held.TARGETS_MAX + _FIRST_NEW + self.made
        await factories.make_target(
            self.held.viewer, self.held.outdial_id, place.number(number), priority=self.made % held.PRIORITIES
        )
        self.made += 1

    async def claim(self, sessions: Sequence[int]) -> None:
        """Claim one, answer it, and let another one take its place."""
        started, own, of_database = time.perf_counter(), thread_seconds(os.getpid()), sum(map(thread_seconds, sessions))
        made = await attempts.claim(self.held.viewer, self.held.outdial_id, limit=1, lease_seconds=LEASE_SECONDS)
        self.seconds.append(time.perf_counter() - started)
        self.processor += thread_seconds(os.getpid()) - own
        self.database += sum(map(thread_seconds, sessions)) - of_database
        [attempt] = made
        batch = await attempts.complete(self.held.viewer, results=[AttemptResult(attempt.id, Disposition.ANSWERED)])
        assert batch.errors == ()
        await self.wake_one()

    def begin(self) -> None:
        self.seconds, self.processor, self.database = [], 0.0, 0.0

    def figures(self) -> dict[str, float]:
        number = len(self.seconds)
        return {
            "p50 ms": quantile(self.seconds, 0.5) * 1e3,
            "p99 ms": quantile(self.seconds, 0.99) * 1e3,
            "processor us": self.processor * 1e6 / number,
            "database us": self.database * 1e6 / number,
        }


async def make_lists(url: str, rule: str, targets: int) -> dict[str, List]:
    """A long one and a short one, of one customer."""
    viewer = factories.make_viewer()
    policy: dict[str, Any] = {"calling_hours": held.hours()} if rule == "hours" else {"caps": (CAP,)}
    long, short = [await held.begin(viewer, **policy) for _ in range(2)]
    if rule == "hours":
        asleep = Part(held.ASLEEP, targets)
    else:
        asleep = Part(held.AWAKE, targets, wakes_at=clock.now() - held.HISTORY + timedelta(days=1))
    await held.fill(url, {long: [asleep]}, {})
    made = {"long": List(long, targets), "short": List(short, 0)}
    for one in made.values():
        for _ in range(AWAKE_TARGETS):
            await one.wake_one()
    return made


async def compare(lists: dict[str, List], claims: int, sessions: Sequence[int]) -> dict[str, dict[str, float]]:
    """Claims in turns; which list is first changes each time."""
    for number in range(WARM_CLAIMS + claims):
        if number == WARM_CLAIMS:
            for one in lists.values():
                one.begin()
        for one in list(lists.values())[:: 1 if number % 2 else -1]:
            await one.claim(sessions)
    return {name: one.figures() for name, one in lists.items()}


async def run(database: str, rule: str, options: argparse.Namespace) -> list[dict[str, Any]]:
    results = []
    async with stored(database, "off") as store:
        await db.connect(store.url, pool_size=1)
        try:
            await keep_uncounted(store.url)
            began = time.perf_counter()
            lists = await make_lists(store.url, rule, options.targets)
            progress(f"{database}, {rule}: made in {time.perf_counter() - began:.0f} s")
            for counted in ("no", "yes") if db.is_postgres() else ("",):
                if counted == "yes":
                    await store.gauge.settle()
                    await db.close()  # so that everything is planned anew
                    await db.connect(store.url, pool_size=1)
                figures = await compare(lists, options.claims, await _sessions())
                case = {"database": database, "rule": rule, "targets": options.targets, "counted": counted}
                results.append({"case": case, "lists": figures})
        finally:
            await db.close()
    return results


async def keep_uncounted(url: str) -> None:
    """Let autovacuum leave the tables alone."""
    if db.is_postgres():
        connection = await asyncpg.connect(url)
        try:
            for table in ("target", "attempt", "suppression"):
                await connection.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = false)")
        finally:
            await connection.close()


async def _sessions() -> list[int]:
    """The processes of PostgreSQL that serve this one."""
    if not db.is_postgres():
        return []
    return [row["pid"] for row in await db.fetch("SELECT pg_backend_pid() AS pid")]


# ---------------------------------------------------------------- the command

HEAD = (
    *("database", "asleep by", "counted", "list", "p50 ms", "p99 ms", "p99 ratio", "p50 ratio"),
    "processor us: here, PostgreSQL",
)


def header() -> str:
    return f"| {' | '.join(HEAD)} |\n|{'---|' * len(HEAD)}"


def lines(found: dict[str, Any]) -> list[str]:
    case, short = found["case"], found["lists"]["short"]
    named = {"long": f"{AWAKE_TARGETS} of {case['targets'] + AWAKE_TARGETS:,}", "short": f"{AWAKE_TARGETS}"}
    made = []
    for name, figures in found["lists"].items():
        cells = [case["database"], case["rule"], case["counted"], named[name]]
        cells += [f"{figures['p50 ms']:.2f}", f"{figures['p99 ms']:.2f}"]
        cells += [f"{figures[one] / short[one]:.2f}" if name == "long" else "" for one in ("p99 ms", "p50 ms")]
        cells.append(f"{figures['processor us']:,.0f}, {figures['database us']:,.0f}")
        made.append(f"| {' | '.join(cells)} |")
    return made


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add = made.add_argument
    add("--database", nargs="+", choices=["sqlite", "postgresql"], default=["sqlite", "postgresql"])
    add("--by", nargs="+", choices=RULES, default=list(RULES), help="why targets sleep")
    add("--targets", type=bounded(10, held.TARGETS_MAX), default=1_000_000, help="that sleep")
    add("--claims", type=bounded(10, 20_000), default=1_000, help="on each list")
    add("--json", type=Path, help="write all figures to this file")
    return made


async def main(arguments: Sequence[str] | None = None) -> None:
    options = parser().parse_args(arguments)
    results: list[dict[str, Any]] = []
    print(header(), flush=True)
    async with asyncio.timeout(SECONDS_MAX):
        for database in options.database:
            for rule in options.by:
                found = await run(database, rule, options)
                print("\n".join(line for one in found for line in lines(one)), flush=True)
                results += found
    if options.json:
        options.json.write_text(json.dumps(results, indent=2))


if __name__ == "__main__":
    uvloop.run(main())
