"""What a run costs: processor time of the server and of the database, and what PostgreSQL wrote."""

import contextlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import asyncpg
import psutil

_FROM = "CAST(CAST($1 AS text) AS pg_lsn)"
_TO = "CAST(CAST($2 AS text) AS pg_lsn)"
_FLUSHES = "SELECT CAST(COALESCE(sum(fsyncs), 0) AS bigint) FROM pg_stat_io WHERE object = 'wal'"
_FLUSHES_BEFORE_18 = "SELECT wal_sync FROM pg_stat_wal"
_INSERTED = ("INSERT_LEAF", "INSERT_POST", "SPLIT_L", "SPLIT_R")
"""Records of a B-tree's WAL that put one more entry into a leaf."""


def quantile(values: Sequence[float], share: float) -> float:
    """The value that this share of the values does not exceed; not a number if there are none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)] if ordered else math.nan


def processor_seconds(processes: Iterable[psutil.Process]) -> float:
    """User and system time of processes, with that of their children, also of those that have ended."""
    total = 0.0
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
            total += processor_seconds(process.children())
    return total


def thread_seconds(process_id: int) -> float:
    """Processor time of a process's living threads, to the nanosecond: `processor_seconds` counts in steps of 10 ms."""
    threads = Path(f"/proc/{process_id}/task").glob("*/schedstat")
    return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9


def own_seconds(process: psutil.Process, *, with_children: bool = True) -> dict[int, float]:
    """`thread_seconds` of a process and its children by their ids, without PostgreSQL's vacuum."""
    found = {}
    for one in (process, *(process.children() if with_children else ())):
        with contextlib.suppress(psutil.Error, OSError):
            if not any("autovacuum" in part for part in one.cmdline()):
                found[one.pid] = thread_seconds(one.pid)
    return found


@dataclass(frozen=True, slots=True)
class Reading:
    """Sums at one moment."""

    processor: float
    place: str | None = None
    """In the WAL; None on SQLite."""
    flushes: int | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """What PostgreSQL wrote between two readings."""

    wal_bytes: int
    commits: int | None
    insertions: int | None
    """Into indexes. None if the server has no pg_walinspect, or if we may not use it."""
    updates: int | None
    hot_updates: int | None
    flushes: int


class PostgresGauge:
    """Reads them on a connection of its own.

    Backends report their flushes once a second, so flushes are counted as they are known at both readings: read while
    calls have been made for over a second. All other figures are exact, because they are read in the WAL itself.
    """

    def __init__(self, connection: asyncpg.Connection, root: psutil.Process | None, *, inspects: bool) -> None:
        self._connection = connection
        self.root = root
        """PostgreSQL's first process; None if it is not ours."""
        self._inspects = inspects
        self._flushes = _FLUSHES if connection.get_server_version().major >= 18 else _FLUSHES_BEFORE_18

    @classmethod
    async def connected(cls, url: str) -> Self:
        connection = await asyncpg.connect(url)
        root = None
        with contextlib.suppress(psutil.Error):
            backend = psutil.Process(await connection.fetchval("SELECT pg_backend_pid()"))
            root = backend.parent() if "postgres" in backend.name() else None
        inspects = True
        try:
            await connection.execute("CREATE EXTENSION IF NOT EXISTS pg_walinspect")
        except (asyncpg.InsufficientPrivilegeError, asyncpg.FeatureNotSupportedError, asyncpg.UndefinedFileError):
            inspects = False
        return cls(connection, root, inspects=inspects)

    async def close(self) -> None:
        await self._connection.close()

    async def settle(self) -> None:
        """After the targets of a run are made: the planner knows about them, as it does after a minute."""
        await self._connection.execute("ANALYZE")

    async def read(self) -> Reading:
        place = await self._connection.fetchval("SELECT CAST(pg_current_wal_insert_lsn() AS text)")
        flushes = await self._connection.fetchval(self._flushes)
        return Reading(processor_seconds([self.root]) if self.root else math.nan, place, flushes)

    async def dead_rows(self) -> int:
        """As far as PostgreSQL knows; it counts once a second."""
        return int(await self._connection.fetchval("SELECT sum(n_dead_tup) FROM pg_stat_user_tables"))

    async def written(self, before: Reading, after: Reading) -> Written:
        places = before.place, after.place
        size = await self._connection.fetchval(f"SELECT CAST(pg_wal_lsn_diff({_TO}, {_FROM}) AS bigint)", *places)
        assert before.flushes is not None
        assert after.flushes is not None
        flushes = after.flushes - before.flushes
        if not self._inspects:
            return Written(size, None, None, None, None, flushes)
        await self._connection.execute("SELECT pg_switch_wal()")  # so that the last record is on disk
        records = await self._connection.fetch(
            f'SELECT "resource_manager/record_type" AS kind, count FROM pg_get_wal_stats({_FROM}, {_TO}, true)', *places
        )
        counts = {row["kind"].removesuffix("+INIT"): 0 for row in records}
        for row in records:
            counts[row["kind"].removesuffix("+INIT")] += row["count"]
        hot = counts.get("Heap/HOT_UPDATE", 0)
        return Written(
            size,
            counts.get("Transaction/COMMIT", 0),
            sum(counts.get(f"Btree/{kind}", 0) for kind in _INSERTED),
            counts.get("Heap/UPDATE", 0) + hot,
            hot,
            flushes,
        )


class NoGauge:
    """SQLite runs in the server, so nothing is counted apart."""

    root = None

    async def close(self) -> None: ...

    async def settle(self) -> None: ...

    async def read(self) -> Reading:
        return Reading(0.0)

    async def written(self, _before: Reading, _after: Reading) -> None:
        return None
