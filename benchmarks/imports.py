"""How fast an import is, compared with the bare limit; how much memory it takes, and what it costs other requests.

    python -m benchmarks.imports --database postgresql --rows 1000000 --rounds 1
    python -m benchmarks.imports --database postgresql --numbers mixed

The import is the real one: `outdial serve` in its own process, the file sent over HTTP. The bare limit is the
least that a script needs for the same rows in the same table: csv.reader, the same rules for each row (it is checked
and canonicalised, and bad ones are left out), a set of keys, and the rows put into `target`, with all its indexes, a
thousand to a transaction, by COPY or executemany. It has no server, events, counters, checkpoints or reports; it runs
in one process. Both read the same file. Which one is first changes from round to round, because the table grows.

Rates are by elapsed time. Processor time is shown too, in ms per thousand rows, because other programs on the machine
change it least: of the script, of the server, of the readers; without the sender and PostgreSQL.
"""

import argparse
import asyncio
import csv
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from uuid import UUID, uuid4

import asyncpg
import orjson
import psutil

from app import clock, db, ids, rows, validation
from app.files import columns
from app.files.drafting import CheckedRow, CsvRows
from app.files.parsing import Record
from tests.support import importing, postgres
from tests.support.graphql_client import Client
from tests.support.server import ServerProcess

CHUNK_ROWS = 1_000
PIECE_BYTES = 64 * 1024
HEADER = "key,name,phone\n"
ROWS_MAX = 5_000_000
ROUNDS_MAX = 20
SECONDS_MAX = 3_600
"""For the whole benchmark: if a server hangs, the benchmark ends."""
WATCHED_ROWS_MAX = 100_000
IDLE_SAMPLES = 1_000
ASK_EVERY_SECONDS = 0.005
LOOK_EVERY_SECONDS = 0.1
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
    "rank",
    "max_try_counts",
    *(f"destination_{index}" for index in range(5)),
    *(f"try_count_{index}" for index in range(5)),
    "invalid_mask",
    "next_try_at",
    "version",
    "tm_create",
    "tm_update",
)


@dataclass(frozen=True, slots=True)
class File:
    """A list of people: one row in a hundred is bad, one has the key of the row before it."""

    path: Path
    count: int
    number: Callable[[int], str] = importing.numbers
    """The telephone number of a row."""

    def write(self) -> Self:
        with self.path.open("w", newline="") as file:
            file.write(HEADER)
            file.writelines(_line(row, self.number(row)) for row in range(self.count))
        return self

    @property
    def bad(self) -> int:
        return sum(number % 100 in {37, 73} for number in range(self.count))

    async def pieces(self) -> AsyncIterator[bytes]:
        with self.path.open("rb") as file:
            while piece := file.read(PIECE_BYTES):
                yield piece


def _line(row: int, number: str) -> str:
    phone = "nobody" if row % 100 == 37 else number
    return f"key-{row - 1 if row % 100 == 73 else row},Person {row},{phone}\n"


def mixed(row: int) -> str:
    """As people write numbers: with signs, with 00 or (0), of several countries. Each begins with its country code."""
    digits = f"{row % 10_000_000:07d}"
    spellings = (
        importing.numbers(row),
        f"+49 151 {digits}1",
        f"+49 (0)30 {digits}",
        f"+44 20 7{digits[:3]} {digits[3:]}",
        f"+1 (212) {200 + row % 800}-{digits[3:]}",
        f"+33 6 {digits[0]}{digits[1]} {digits[2]}{digits[3]} {digits[4]}{digits[5]} {digits[6]}1",
        f"tel:+39-06-{digits}",
        f"+55 11 9{digits[:4]}-{digits[3:]}",
    )
    return spellings[row % len(spellings)]


NUMBERS = {"e164": importing.numbers, "mixed": mixed}


# ---------------------------------------------------------------- the bare limit


def checked(file: File) -> Iterator[CheckedRow]:
    """The valid rows without repeated keys: a set is the cheapest way to know."""
    with file.path.open(newline="") as text:
        reader = csv.reader(text, strict=True)
        reading = CsvRows(columns.resolve(next(reader), {}), extra_kept=False)
        keys: set[str | None] = set()
        for cells in reader:
            found = reading.row(Record(reader.line_num, reader.line_num, cells, ""))
            if isinstance(found, CheckedRow) and found.target.key not in keys:
                keys.add(found.target.key)
                yield found


def chunks(file: File, customer_id: str, outdial_id: str, *, as_text: bool) -> Iterator[list[tuple[object, ...]]]:
    """Rows in the form that the driver takes."""
    customer, outdial = (identity if as_text else UUID(identity) for identity in (customer_id, outdial_id))
    now = clock.now()
    moment = clock.spelled(now) if as_text else now
    chunk: list[tuple[object, ...]] = []
    for row in checked(file):
        target, identity = row.target, ids.new()
        places = [rows.destination_value(value) for value in target.destinations]
        chunk.append(
            (
                *(identity if as_text else UUID(identity), customer, outdial),
                *(target.key, target.name, target.detail, target.data, "IDLE", target.priority, target.priority, None),
                *(None if place is None else orjson.dumps(place).decode() for place in places),
                *(0, 0, 0, 0, 0, 0, moment, 1, moment, moment),
            )
        )
        if len(chunk) == CHUNK_ROWS:
            yield chunk
            chunk = []
    yield chunk


def bare_sqlite(url: str, file: File, customer_id: str, outdial_id: str) -> None:
    statement = f"INSERT INTO target ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA foreign_keys = ON")
        for chunk in chunks(file, customer_id, outdial_id, as_text=True):
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(statement, chunk)
            connection.execute("COMMIT")


async def bare_postgres(url: str, file: File, customer_id: str, outdial_id: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        for chunk in chunks(file, customer_id, outdial_id, as_text=False):
            async with connection.transaction():
                await connection.copy_records_to_table("target", records=chunk, columns=list(COLUMNS))
    finally:
        await connection.close()


@dataclass(frozen=True, slots=True)
class Pace:
    """The speed of one import."""

    rate: float
    """Rows of the file per second."""
    processor: tuple[float, ...]
    """Time of processes, in ms per thousand rows."""

    @classmethod
    def of(cls, count: int, seconds: float, *processor_seconds: float) -> Self:
        return cls(count / seconds, tuple(spent * 1e6 / count for spent in processor_seconds))

    def __str__(self) -> str:
        return f"{self.rate:7,.0f} rows/s ({' + '.join(f'{spent:.0f}' for spent in self.processor)} ms)"


async def bare(server: ServerProcess, file: File) -> Pace:
    customer, url = str(uuid4()), server.database_url
    async with Client(server.url, customer) as client:
        outdial = (await client.outdial())["id"]
    started, began = time.perf_counter(), time.process_time()
    if url.startswith("sqlite"):
        await asyncio.to_thread(bare_sqlite, url, file, customer, outdial)
    else:
        await bare_postgres(url, file, customer, outdial)
    return Pace.of(file.count, time.perf_counter() - started, time.process_time() - began)


# ---------------------------------------------------------------- the import


class Memory:
    """The most memory of the server's process, and of the processes that read the file. `async with`."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self.before = self.peak = self.readers = 0

    async def __aenter__(self) -> Self:
        self.before = self.peak = self._process.memory_info().rss
        self._looking = asyncio.create_task(self._look())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._looking.cancel()

    async def _look(self) -> None:
        while True:
            self.peak = max(self.peak, self._process.memory_info().rss)
            taken = 0
            for child in self._process.children(recursive=True):
                with suppress(psutil.NoSuchProcess):
                    taken += child.memory_info().rss
            self.readers = max(self.readers, taken)
            await asyncio.sleep(LOOK_EVERY_SECONDS)

    def __str__(self) -> str:
        server = f"{self.before / MEBIBYTE:.0f} to {self.peak / MEBIBYTE:.0f}"
        return f"server {server} MiB, readers {self.readers / MEBIBYTE:.0f} MiB"


async def imported(server: ServerProcess, client: Client, outdial: str, file: File) -> Pace:
    process = psutil.Process(server.pid)
    before, started = process.cpu_times(), time.perf_counter()
    job = await importing.taken(client, outdial, file.pieces())
    seconds, after = time.perf_counter() - started, process.cpu_times()
    assert importing.counts(job) == (file.count, file.count - file.bad, 0, 0, file.bad), job["counts"]
    own = after.user + after.system - before.user - before.system
    # the readers have ended, and count among the server's ended children
    readers = after.children_user + after.children_system - before.children_user - before.children_system
    return Pace.of(file.count, seconds, own, readers)


class Probe:
    """Reads one target repeatedly."""

    QUERY = "query ($id: ID!) { target(id: $id) { id name status destinations { tryCount } } }"

    def __init__(self, client: Client, target: str) -> None:
        self._client = client
        self._target = target
        self.seconds: list[float] = []

    async def ask(self) -> None:
        started = time.perf_counter()
        await self._client.run(self.QUERY, id=self._target)
        self.seconds.append(time.perf_counter() - started)
        await asyncio.sleep(ASK_EVERY_SECONDS)

    async def go_on(self) -> None:
        while True:
            await self.ask()

    def __str__(self) -> str:
        parts = statistics.quantiles(self.seconds, n=100)
        return f"p50 {parts[49] * 1e3:5.1f} ms   p99 {parts[98] * 1e3:5.1f} ms   of {len(self.seconds):,}"


async def watch(server: ServerProcess, file: File) -> None:
    """A query's time on an idle server, and during an import; not part of the rates above."""
    async with Client(server.url, str(uuid4())) as client:
        outdial = (await client.outdial())["id"]
        target = (await client.target(outdial))["id"]
        idle, meanwhile = Probe(client, target), Probe(client, target)
        for _ in range(IDLE_SAMPLES):
            await idle.ask()
        probing = asyncio.create_task(meanwhile.go_on())
        pace = await imported(server, client, outdial, file)
        probing.cancel()
    print(f"  a query, idle        {idle}")
    print(f"  while a file comes   {meanwhile}   (at {pace.rate:,.0f} rows/s)")


# ---------------------------------------------------------------- the benchmark


async def measure(server: ServerProcess, file: File, rounds: int) -> None:
    ratios = []
    for number in range(1, rounds + 1):
        limit = await bare(server, file) if number % 2 else None
        async with Client(server.url, str(uuid4())) as client, Memory(server.pid) as memory:
            pace = await imported(server, client, (await client.outdial())["id"], file)
        limit = limit or await bare(server, file)
        ratios.append(limit.rate / pace.rate)
        print(f"  round {number}   bare limit {limit}   import {pace}   ratio {ratios[-1]:.2f}   {memory}", flush=True)
    print(f"  median ratio {statistics.median(ratios):.2f}")


async def run(database: str, count: int, rounds: int, numbers: str) -> None:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url = f"sqlite:///{folder}/outdial.db"
        if database == "postgresql":
            url = await postgres.create_database(stack.enter_context(postgres.server()))
        await db.migrate(url)
        validation.configure(default_region=None)
        file = File(folder / "people.csv", count, NUMBERS[numbers]).write()
        short = File(folder / "few.csv", min(count, WATCHED_ROWS_MAX), NUMBERS[numbers]).write()
        print(f"{database}, {count:,} rows, numbers {numbers}, 1 % bad and 1 % with a key that is taken", flush=True)
        with ServerProcess(url, folder) as server:
            await measure(server, file, rounds)
            await watch(server, short)


def bounded(low: int, high: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        value = int(text)
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"a number from {low:,} to {high:,}")
        return value

    return read


async def main() -> None:
    parser = argparse.ArgumentParser(description="How fast an import is, compared with the bare limit.")
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--rows", type=bounded(1_000, ROWS_MAX), default=100_000)
    parser.add_argument("--rounds", type=bounded(1, ROUNDS_MAX), default=3)
    parser.add_argument("--numbers", choices=list(NUMBERS), default="e164")
    options = parser.parse_args()
    async with asyncio.timeout(SECONDS_MAX):
        await run(options.database, options.rows, options.rounds, options.numbers)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
