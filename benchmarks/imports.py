"""How fast a file goes in, next to the bare limit; what it takes of memory, and what it costs others meanwhile.

    python -m benchmarks.imports --database postgresql --rows 1000000 --rounds 1 --watch

The import is the real thing: `outdial serve` in a process of its own, the file sent over HTTP. The bare limit is the
least that a script needs for the same outcome: read the CSV, check and canonicalise each row by the same rules, and put
the good rows into the same table with the same indexes, a thousand to a transaction, by COPY or executemany. It has no
events, counters, checkpoints, rejected rows, or comparison of keys; it runs in one process, without a server.
"""

import argparse
import asyncio
import csv
import io
import json
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import psutil

from app import clock, db, ids, rows, validation
from app.files import columns
from app.files.drafting import CsvRows, Row
from app.files.parsing import Record
from tests.support import importing, postgres
from tests.support.graphql_client import Client
from tests.support.server import ServerProcess

CHUNK_ROWS = 1_000
HEADER = "key,name,phone\n"
IDLE_SAMPLES = 500
MEBIBYTE = 1024 * 1024
COLUMNS = (
    "id",
    "customer_id",
    "outdial_id",
    "key",
    "name",
    "detail",
    "data",
    "status",
    "priority",
    "max_try_counts",
    *(f"destination_{index}" for index in range(5)),
    *(f"try_count_{index}" for index in range(5)),
    "invalid_mask",
    "next_try_at",
    "version",
    "tm_create",
    "tm_update",
)


def line(number: int) -> str:
    """One row in a hundred is bad, one has the key of the row before it."""
    phone = "nobody" if number % 100 == 37 else importing.numbers(number)
    return f"key-{number - 1 if number % 100 == 73 else number},Person {number},{phone}\n"


def pieces(count: int) -> Iterator[str]:
    yield HEADER
    for start in range(0, count, CHUNK_ROWS):
        yield "".join(line(number) for number in range(start, min(count, start + CHUNK_ROWS)))


async def flowing(count: int) -> AsyncIterator[bytes]:
    for piece in pieces(count):
        yield piece.encode()


# ---------------------------------------------------------------- the bare limit


def checked(count: int) -> Iterator[Row]:
    """The good rows, without those whose key was there: a set is the least that tells."""
    reader = csv.reader(io.StringIO("".join(pieces(count)), newline=""), strict=True)
    reading = CsvRows(columns.resolve(next(reader), {}), extra_kept=False)
    keys: set[str | None] = set()
    for cells in reader:
        found = reading.row(Record(reader.line_num, reader.line_num, cells, ""))
        if isinstance(found, Row) and found.target.key not in keys:
            keys.add(found.target.key)
            yield found


def chunks(count: int, customer_id: str, outdial_id: str, *, as_text: bool) -> Iterator[list[tuple[object, ...]]]:
    chunk: list[tuple[object, ...]] = []
    for row in checked(count):
        target, now = row.target, clock.now()
        moment = clock.spelled(now) if as_text else now
        places = [rows.destination_value(value) for value in target.destinations]
        chunk.append(
            (
                *(identity if as_text else UUID(identity) for identity in (ids.new(), customer_id, outdial_id)),
                *(target.key, target.name, target.detail, target.data, "IDLE", target.priority, None),
                *(None if place is None else json.dumps(place) for place in places),
                *(0, 0, 0, 0, 0, 0, moment, 1, moment, moment),
            )
        )
        if len(chunk) == CHUNK_ROWS:
            yield chunk
            chunk = []
    yield chunk


def bare_sqlite(url: str, count: int, customer_id: str, outdial_id: str) -> None:
    statement = f"INSERT INTO target ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA foreign_keys = ON")
        for chunk in chunks(count, customer_id, outdial_id, as_text=True):
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(statement, chunk)
            connection.execute("COMMIT")


async def bare_postgres(url: str, count: int, customer_id: str, outdial_id: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        for chunk in chunks(count, customer_id, outdial_id, as_text=False):
            async with connection.transaction():
                await connection.copy_records_to_table("target", records=chunk, columns=list(COLUMNS))
    finally:
        await connection.close()


async def bare(url: str, count: int, customer_id: str, outdial_id: str) -> float:
    """Rows of the file per second."""
    started = time.perf_counter()
    if url.startswith("sqlite"):
        await asyncio.to_thread(bare_sqlite, url, count, customer_id, outdial_id)
    else:
        await bare_postgres(url, count, customer_id, outdial_id)
    return count / (time.perf_counter() - started)


# ---------------------------------------------------------------- the import


class Probe:
    """Asks for one target again and again, and looks at the server's memory, until it is told to stop."""

    QUERY = "query ($id: ID!) { target(id: $id) { id name status destinations { tryCount } } }"

    def __init__(self, client: Client, target: str, pid: int) -> None:
        self._client = client
        self._target = target
        self._process = psutil.Process(pid)
        self.seconds: list[float] = []
        self.resident = 0

    async def ask(self) -> None:
        started = time.perf_counter()
        await self._client.run(self.QUERY, id=self._target)
        self.seconds.append(time.perf_counter() - started)
        self.resident = max(self.resident, self._process.memory_info().rss)
        await asyncio.sleep(0.005)

    async def go_on(self) -> None:
        while True:
            await self.ask()


def shown(seconds: list[float]) -> str:
    parts = statistics.quantiles(seconds, n=100)
    return f"p50 {parts[49] * 1e3:5.1f} ms, p99 {parts[98] * 1e3:5.1f} ms, {len(seconds):,} queries"


async def imported(server: ServerProcess, count: int, *, watched: bool) -> float:
    """Rows of the file per second; figures on the way are printed."""
    async with Client(server.url, str(uuid4())) as client:
        outdial = (await client.outdial())["id"]
        probe = Probe(client, (await client.target(outdial))["id"], server.pid)
        if watched:
            for _ in range(IDLE_SAMPLES):
                await probe.ask()
            print(f"  a query, idle           {shown(probe.seconds)}")
        before, probe.seconds = probe.resident, []
        probing = asyncio.create_task(probe.go_on()) if watched else None
        started = time.perf_counter()
        job = await importing.taken(client, outdial, flowing(count))
        seconds = time.perf_counter() - started
        bad = sum(number % 100 in {37, 73} for number in range(count))
        assert importing.counts(job) == (count, count - bad, 0, 0, bad), job["counts"]
        if probing is not None:
            probing.cancel()
            print(f"  a query, meanwhile      {shown(probe.seconds)}")
            memory = f"{before / MEBIBYTE:.0f} MiB before, at most {probe.resident / MEBIBYTE:.0f} MiB"
            print(f"  the server's memory     {memory}")
    return count / seconds


async def measure(url: str, folder: Path, count: int, rounds: int, *, watched: bool) -> None:
    await db.migrate(url)
    validation.configure(default_region=None)
    ratios = []
    with ServerProcess(url, folder) as server:
        for number in range(1, rounds + 1):
            customer = str(uuid4())
            async with Client(server.url, customer) as client:
                outdial = (await client.outdial())["id"]
            limit = await bare(url, count, customer, outdial)
            rate = await imported(server, count, watched=watched)
            ratios.append(limit / rate)
            rates = f"bare limit {limit:7,.0f} rows/s   import {rate:7,.0f} rows/s"
            print(f"  round {number}   {rates}   {ratios[-1]:.2f} times its time", flush=True)
        print(f"  median  {statistics.median(ratios):.2f} times the bare limit's time")


async def main() -> None:
    parser = argparse.ArgumentParser(description="How fast a file goes in, next to the bare limit.")
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--watch", action="store_true", help="ask for a target all the while, and look at the memory")
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url = f"sqlite:///{folder}/outdial.db"
        if options.database == "postgresql":
            url = await postgres.create_database(stack.enter_context(postgres.server()))
        print(f"{options.database}, {options.rows:,} rows, 1 % bad and 1 % with a key that is taken")
        await measure(url, folder, options.rows, options.rounds, watched=options.watch)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
