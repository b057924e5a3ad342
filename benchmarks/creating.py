"""How fast `createTargets` stores a thousand checked rows, compared with a bare COPY or executemany of the same rows.

    python -m benchmarks.creating --database postgresql --rounds 30

Ours is the use-case from the checked rows to the commit: locks, the outdial, keys that are taken, the decision for each
row, targets, counters, events and the answer. The rival knows what it writes: its records are ready before the clock
starts, and it sends BEGIN, the rows and COMMIT. It writes the same targets into the same tables, with all indexes, once
without events and once with one for each target. All of them run in turns, and who is first changes from round to
round, because the tables grow.

Other programs on the machine change elapsed times most. Processor time is that of this process, and that of
PostgreSQL's process for the connection.
"""

import argparse
import asyncio
import gc
import itertools
import random
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import orjson
import psutil

from app import changes, clock, db, rows, tables, validation
from app.auth import Viewer
from app.files import staging
from app.records import DedupeScope, DuplicateAction, Outdial, Target, TargetDraft
from app.targets import creating, drafts
from benchmarks.imports import bounded
from tests.support import factories, postgres

ROWS_MAX = 1_000
ROUNDS_MAX = 1_000
SECONDS_MAX = 3_600

_numbers = itertools.count()


def new_drafts(count: int, *, keys: bool) -> list[TargetDraft]:
    """People with a name, two numbers and a note each."""
    return [
        factories.target_draft(
            _telephone(number),
            _telephone(number + 5_000_000) if number % 2 else None,
            key=f"customer-{number}" if keys else None,
            name=f"Person {number}",
            data=f'{{"contract": {number}}}',
        )
        for number in itertools.islice(_numbers, count)
    ]


def _telephone(number: int) -> str:
    """A possible number, different for each person: +1 2XX NXX XXXX."""
    return f"+1{200 + number // 8_000_000 % 700}{2_000_000 + number % 8_000_000:07d}"


@dataclass(slots=True)
class Times:
    """What one way took, round by round."""

    backend: psutil.Process | None
    """PostgreSQL's process for the connection."""
    elapsed: list[float] = field(default_factory=list)
    """In milliseconds."""
    client_seconds: float = 0.0
    server_seconds: float = 0.0

    async def take(self, work: Callable[[], Awaitable[object]]) -> None:
        started, client, server = time.perf_counter(), time.process_time(), self._server()
        await work()
        self.elapsed.append((time.perf_counter() - started) * 1e3)
        self.client_seconds += time.process_time() - client
        self.server_seconds += self._server() - server

    def _server(self) -> float:
        if self.backend is None:
            return 0.0
        times = self.backend.cpu_times()
        return float(times.user + times.system)

    def processor(self) -> tuple[float, float]:
        """Milliseconds of a call: of this process and of PostgreSQL."""
        calls = len(self.elapsed)
        return self.client_seconds / calls * 1e3, self.server_seconds / calls * 1e3


# ---------------------------------------------------------------- ours


@dataclass(frozen=True, slots=True)
class Case:
    name: str
    keys: bool = False
    dedupe: DedupeScope = DedupeScope.NONE
    idempotent: bool = False


CASES = (
    Case("no keys"),
    Case("keys", keys=True),
    Case("keys and an idempotency key", keys=True, idempotent=True),
    Case("keys, addresses of the outdial compared", keys=True, dedupe=DedupeScope.OUTDIAL),
)


async def ours(viewer: Viewer, outdial: Outdial, case: Case, count: int) -> Callable[[], Awaitable[object]]:
    given = creating.checked_rows(new_drafts(count, keys=case.keys))  # the clock starts after it
    key = f"call-{next(_numbers)}" if case.idempotent else None

    async def create() -> None:
        created = await creating.create_checked(viewer, outdial.id, given, DuplicateAction.REJECT, case.dedupe, key)
        assert created.created == count, created.errors[:1]

    return create


# ---------------------------------------------------------------- the rivals


def new_targets(outdial: Outdial, count: int, *, keys: bool) -> list[Target]:
    errors: list[Any] = []
    checked = [validation.target(draft, errors, "targets") for draft in new_drafts(count, keys=keys)]
    assert not errors, errors[0]
    now = clock.now()
    return [drafts.new_target(outdial, draft, now) for draft in checked]


def values(row: dict[str, Any], kinds: dict[str, str], *, as_text: bool) -> tuple[object, ...]:
    """A row in the form that the driver takes."""

    def of(value: Any, kind: str) -> object:
        if value is None:
            return None
        if kind == "json":
            return value if isinstance(value, str) else orjson.dumps(value).decode()
        if kind == "uuid" and not as_text:
            return UUID(value)
        return clock.spelled(value) if kind == "instant" and as_text else value

    return tuple(of(row[name], kind) for name, kind in kinds.items())


@dataclass(frozen=True, slots=True)
class Load:
    """Rows of one table."""

    table: str
    columns: list[str]
    records: list[tuple[object, ...]]

    @property
    def text(self) -> bytes:
        spelled = (tuple(str(value) if isinstance(value, UUID) else value for value in row) for row in self.records)
        return "".join(map(staging._copy_line, spelled)).encode()  # noqa: SLF001 - COPY's text, as imports send it


def loads(outdial: Outdial, count: int, *, keys: bool, events: bool, as_text: bool) -> list[Load]:
    targets = new_targets(outdial, count, keys=keys)
    columns = rows.target_columns(targets)
    made = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    kinds = dict(tables.TARGET_ROW.only(*tables.TARGET.kinds, "rank").kinds)
    found = [Load("target", list(kinds), [values(row, kinds, as_text=as_text) for row in made])]
    if events:
        kinds = {"epoch": "integer", "tx": "bigint", **tables.TARGET_EVENT.kinds}
        written = [{"epoch": 1, "tx": 0, **changes.created(target).event} for target in targets]
        found.append(Load("target_event", list(kinds), [values(row, kinds, as_text=as_text) for row in written]))
    return found


def copy(connection: "asyncpg.Connection[asyncpg.Record]", work: list[Load]) -> Callable[[], Awaitable[object]]:
    async def run() -> None:
        async with connection.transaction():
            for load in work:
                await connection.copy_records_to_table(load.table, records=load.records, columns=load.columns)

    return run


def copy_text(connection: "asyncpg.Connection[asyncpg.Record]", work: list[Load]) -> Callable[[], Awaitable[object]]:
    ready = [(load, load.text) for load in work]

    async def run() -> None:
        async with connection.transaction():
            for load, text in ready:
                await connection.copy_to_table(load.table, source=_Once(text), columns=load.columns, format="text")

    return run


class _Once:
    """Bytes as asyncpg's source."""

    def __init__(self, text: bytes) -> None:
        self._left = [text]

    def __aiter__(self) -> "_Once":
        return self

    async def __anext__(self) -> bytes:
        if not self._left:
            raise StopAsyncIteration
        return self._left.pop()


def execute_many(connection: sqlite3.Connection, work: list[Load]) -> Callable[[], Awaitable[object]]:
    async def run() -> None:
        connection.execute("BEGIN IMMEDIATE")
        for load in work:
            places = ", ".join("?" * len(load.columns))
            connection.executemany(
                f"INSERT INTO {load.table} ({', '.join(load.columns)}) VALUES ({places})", load.records
            )
        connection.execute("COMMIT")

    return run


# ---------------------------------------------------------------- the benchmark

Rival = Callable[[list[Load]], Callable[[], Awaitable[object]]]


@dataclass(frozen=True, slots=True)
class Backends:
    """PostgreSQL's processes for our connection and for the rivals'."""

    ours: psutil.Process | None = None
    rivals: psutil.Process | None = None


async def measure(case: Case, rivals: dict[str, Rival], backends: Backends, *, rounds: int, count: int) -> None:
    viewer = factories.make_viewer()
    outdial = await factories.make_outdial(viewer)
    ways = {"createTargets": Times(backends.ours)}
    for name in rivals:
        ways[name] = Times(backends.rivals)
        ways[f"{name} with events"] = Times(backends.rivals)
    for number in range(rounds + 1):
        order = list(ways)
        random.Random(number).shuffle(order)
        for way in order:
            if way == "createTargets":
                work = await ours(viewer, outdial, case, count)
            else:
                name, _, events = way.partition(" with ")
                work = rivals[name](
                    loads(outdial, count, keys=case.keys, events=bool(events), as_text=not db.is_postgres())
                )
            await (ways[way] if number else Times(None)).take(work)  # the first round warms up
    report(case, ways)


def report(case: Case, ways: dict[str, Times]) -> None:
    print(f"  {case.name}")
    own = ways["createTargets"]
    for name, times in ways.items():
        ratio = [theirs / mine for theirs, mine in zip(times.elapsed, own.elapsed, strict=True)]
        client, server = times.processor()
        print(
            f"    {name:28} {statistics.median(times.elapsed):6.1f} ms   ratio {_spread(ratio)}"
            f"   processor {client:5.1f} + {server:4.1f} ms   ratio {(client + server) / sum(own.processor()):.2f}",
            flush=True,
        )


def _spread(ratios: Sequence[float]) -> str:
    if len(ratios) < 4:
        return f"{statistics.median(ratios):.2f}"
    low, middle, high = statistics.quantiles(ratios, n=4)
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"


async def run(database: str, rounds: int, count: int) -> None:
    with ExitStack() as stack:
        validation.configure(default_region=None)
        print(
            f"{database}, {count:,} rows a call, {rounds} rounds; ratio: the rival's time divided by ours", flush=True
        )
        if database == "postgresql":
            url = await postgres.create_database(stack.enter_context(postgres.server()))
            await db.migrate(url)
            await db.connect(url, pool_size=1)
            connection = await asyncpg.connect(url)
            mine = (await db.fetch("SELECT pg_backend_pid() AS pid"))[0]["pid"]
            theirs = await connection.fetchval("SELECT pg_backend_pid()")
            backends = Backends(psutil.Process(mine), psutil.Process(theirs))
            rivals: dict[str, Rival] = {
                "COPY": lambda work: copy(connection, work),
                "COPY as text": lambda work: copy_text(connection, work),
            }
        else:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            url = f"sqlite:///{folder}/outdial.db"
            await db.migrate(url)
            await db.connect(url)
            file = stack.enter_context(closing(sqlite3.connect(folder / "outdial.db", isolation_level=None)))
            for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):  # as ours
                file.execute(f"PRAGMA {pragma}")
            backends = Backends()
            rivals = {"executemany": lambda work: execute_many(file, work)}
        gc.collect()
        gc.freeze()  # as the server does after its start
        for case in CASES:
            await measure(case, rivals, backends, rounds=rounds, count=count)
        if database == "postgresql":
            await connection.close()
        await db.close()


async def main() -> None:
    parser = argparse.ArgumentParser(description="How fast createTargets is, compared with a bare bulk insert.")
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="postgresql")
    parser.add_argument("--rounds", type=bounded(1, ROUNDS_MAX), default=20)
    parser.add_argument("--rows", type=bounded(1, ROWS_MAX), default=ROWS_MAX)
    options = parser.parse_args()
    async with asyncio.timeout(SECONDS_MAX):
        await run(options.database, options.rounds, options.rows)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
