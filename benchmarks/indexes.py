"""What a call writes into each table and each index of PostgreSQL: claim, start and complete, by the use-cases.

    python -m benchmarks.indexes --targets 100000 --calls 5000 --batch 50
    python -m benchmarks.indexes --change "DROP INDEX attempt_page_call"    # what would be without it

Figures are from the WAL itself, so that a busy machine does not change them. The server is our own, with empty tables
at the beginning; each `--change` is run there before the targets are made. Autovacuum is off, and pages are not written
whole after a checkpoint.
"""

import argparse
import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import asyncpg

from app import attempts, db
from app.auth import Viewer
from app.lifecycle import Disposition
from app.records import Attempt, AttemptResult, AttemptStart, TargetDraft
from benchmarks.imports import bounded
from tests.support import factories, postgres

TARGETS_MAX = 1_000_000
BATCH_MAX = 500
PART = 1_000
"""So many targets are made at once."""
ANSWERED_EACH = 5
"""Two of so many calls are answered; nobody answers the others, and their targets are called again."""
STEPS = ("claim", "start", "complete")
_NEW_ENTRY = ("INSERT_LEAF", "INSERT_POST", "SPLIT_L", "SPLIT_R")
_NEW_VERSION = ("INSERT", "MULTI_INSERT", "UPDATE", "HOT_UPDATE")
_RECORDS = """
    SELECT COALESCE(relation.relname, '') AS name, relation.relkind = 'i' AS is_index,
           replace(record_type, '+INIT', '') AS kind, count(*) AS records, sum(record_length) AS bytes
    FROM (SELECT DISTINCT ON (start_lsn) * FROM pg_get_wal_block_info($1, $2) ORDER BY start_lsn, block_id) AS written
    LEFT JOIN pg_class AS relation ON pg_relation_filenode(relation.oid) = written.relfilenode
    GROUP BY 1, 2, 3
"""


@dataclass(slots=True)
class Tally:
    """What was written, by step and relation."""

    entries: Counter[tuple[str, str]] = field(default_factory=Counter)
    versions: Counter[tuple[str, str]] = field(default_factory=Counter)
    hot: Counter[tuple[str, str]] = field(default_factory=Counter)
    record_bytes: Counter[tuple[str, str]] = field(default_factory=Counter)
    wal_bytes: Counter[str] = field(default_factory=Counter)

    async def take(
        self, connection: asyncpg.Connection, step: str, work: Callable[[], Awaitable[list[Attempt]]]
    ) -> list[Attempt]:
        """Run one step, and read what it wrote."""
        place = "SELECT pg_current_wal_insert_lsn()"
        begun = await connection.fetchval(place)
        done = await work()
        ended = await connection.fetchval(place)
        self.wal_bytes[step] += ended - begun
        for row in await connection.fetch(_RECORDS, begun, ended):
            spot = step, row["name"]
            self.record_bytes[spot] += row["bytes"]
            if row["is_index"] and row["kind"] in _NEW_ENTRY:
                self.entries[spot] += row["records"]
            elif not row["is_index"] and row["kind"] in _NEW_VERSION:
                self.versions[spot] += row["records"]
                self.hot[spot] += row["records"] if row["kind"] == "HOT_UPDATE" else 0
        return done

    def lines(self, calls: int) -> list[str]:
        """A table, for one call."""
        head = "| for one call | " + " | ".join(STEPS) + " |"
        listed = [head, "|---" * (len(STEPS) + 1) + "|"]
        listed.append(_line("bytes of WAL", [f"{self.wal_bytes[step] / calls:,.0f}" for step in STEPS]))
        totals = [sum(number for (at, _), number in self.entries.items() if at == step) / calls for step in STEPS]
        listed.append(_line("index entries", [f"{total:.1f}" for total in totals]))
        for table in sorted({name for _, name in self.versions}):
            shown = [f"{self.versions[step, table] / calls:.2f} ({self._hot(step, table)})" for step in STEPS]
            listed.append(_line(f"{table}: row versions (HOT)", shown))
        for index in sorted({name for _, name in self.entries}):
            shown = [
                f"{self.entries[step, index] / calls:.2f} ({self.record_bytes[step, index] / calls:.0f} B)"
                for step in STEPS
            ]
            listed.append(_line(index, shown))
        return listed

    def _hot(self, step: str, table: str) -> str:
        versions = self.versions[step, table]
        return f"{self.hot[step, table] / versions:.0%}" if versions else "-"


def _line(name: str, shown: list[str]) -> str:
    return f"| {name} | " + " | ".join(shown) + " |"


async def _call(viewer: Viewer, outdial_id: str, connection: asyncpg.Connection, calls: int, batch: int) -> Tally:
    tally = Tally()
    for number in range(calls // batch):

        async def claim(number: int = number) -> list[Attempt]:
            return await attempts.claim(
                viewer, outdial_id, limit=batch, dialer="benchmark", idempotency_key=f"claim-{number}"
            )

        claimed = await tally.take(connection, "claim", claim)
        assert len(claimed) == batch

        async def start(claimed: list[Attempt] = claimed) -> list[Attempt]:
            started = await attempts.start(
                viewer, starts=[AttemptStart(attempt.id, f"call-{attempt.id}") for attempt in claimed]
            )
            return list(started.attempts)

        async def complete(claimed: list[Attempt] = claimed) -> list[Attempt]:
            results = [
                AttemptResult(attempt.id, Disposition.ANSWERED if index % ANSWERED_EACH < 2 else Disposition.NO_ANSWER)
                for index, attempt in enumerate(claimed)
            ]
            return list((await attempts.complete(viewer, results=results)).attempts)

        assert len(await tally.take(connection, "start", start)) == batch
        assert len(await tally.take(connection, "complete", complete)) == batch
    return tally


def _drafts(numbers: range) -> list[TargetDraft]:
    """Targets with a key and some data; every other one has a second number."""
    return [
        factories.target_draft(
            *(f"+1{area}5{number:06}" for area in (202, 303)[: 1 + number % 2]), key=f"person-{number}", data="x" * 300
        )
        for number in numbers
    ]


async def _measure(url: str, targets: int, calls: int, batch: int, changes: list[str]) -> list[str]:
    await db.migrate(url)
    connection = await asyncpg.connect(url)
    await connection.execute("CREATE EXTENSION pg_walinspect")
    for change in changes:
        await connection.execute(change)
    await db.connect(url)
    try:
        viewer = factories.make_viewer()
        outdial = await factories.make_outdial(viewer, policy={"retry_interval_seconds": 3_600})
        for part in range(targets // PART):
            await factories.create_many(viewer, outdial.id, _drafts(range(part * PART, (part + 1) * PART)))
        await connection.execute("VACUUM ANALYZE")
        tally = await _call(viewer, outdial.id, connection, calls, batch)
    finally:
        await db.close()
        await connection.close()
    return tally.lines(calls // batch * batch)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--targets", type=bounded(PART, TARGETS_MAX), default=100_000)
    parser.add_argument("--calls", type=bounded(1, TARGETS_MAX), default=5_000)
    parser.add_argument("--batch", type=bounded(1, BATCH_MAX), default=50)
    parser.add_argument("--change", action="append", default=[], help="a statement that changes the tables before")
    given = parser.parse_args()
    with postgres.OwnServer({"synchronous_commit": "on", "autovacuum": "off"}) as server:
        print("\n".join(asyncio.run(_measure(server.url, given.targets, given.calls, given.batch, given.change))))


if __name__ == "__main__":
    main()
