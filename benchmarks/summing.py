"""How long a month's figures take: a million attempts on one outdial, by day, by hour, and by each group.

    python -m benchmarks.summing                               # both databases, about ten minutes
    python -m benchmarks.summing --database postgresql --attempts 100000 --times 30

The ledger is filled at once, with what a call center leaves: calls from 8 to 20 o'clock UTC, by 20 dialers at two
destinations. Then it is counted as after a first start, and questions are asked in turns.
"""

import argparse
import asyncio
import json
import random
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import uvloop

from app import db, ids, stats, tables
from app.auth import Viewer
from app.figures import Bucket, Grouping
from app.lifecycle import AttemptState, Disposition
from app.stats.woken import woken
from benchmarks.dialing import bounded
from benchmarks.measuring import quantile
from benchmarks.staging import progress, stored
from tests.support import factories

SECONDS_MAX = 3_600
DAYS = 30
HOURS = range(8, 20)
DIALERS = 20
TARGETS = 1_000
TOGETHER = 5_000
"""Attempts in a transaction."""
QUESTIONS: dict[str, tuple[Bucket | None, str, Grouping | None]] = {
    "days in Berlin": (Bucket.DAY, "Europe/Berlin", None),
    "days in Kolkata": (Bucket.DAY, "Asia/Kolkata", None),
    "hours": (Bucket.HOUR, "UTC", None),
    "destinations": (None, "UTC", Grouping.DESTINATION),
    "dialers": (None, "UTC", Grouping.DIALER),
    "hours of the day": (None, "UTC", Grouping.HOUR_OF_DAY),
}
_RESULTS = (Disposition.ANSWERED, Disposition.NO_ANSWER, Disposition.NO_ANSWER, Disposition.BUSY, Disposition.MACHINE)


def _attempts(
    viewer: Viewer, outdial_id: str, target_ids: Sequence[str], begin: datetime, number: int
) -> Iterator[dict[str, Any]]:
    chance = random.Random(1)
    address = orjson.dumps({"type": "TEL", "target": "+4930123456", "target_name": "", "name": "", "detail": ""})
    seconds = DAYS * len(HOURS) * 3_600
    for count in range(number):
        at = count * seconds // number
        day, second = divmod(at, len(HOURS) * 3_600)
        claimed_at = begin + timedelta(days=day, hours=HOURS[0], seconds=second, microseconds=count % 1_000_000)
        disposition = chance.choice(_RESULTS)
        is_answered = disposition is Disposition.ANSWERED
        yield dict.fromkeys(tables.ATTEMPT_ROW.kinds) | {
            "id": ids.new(), "customer_id": viewer.customer_id, "outdial_id": outdial_id,
            "target_id": target_ids[count % len(target_ids)], "destination_index": count % 2,
            "destination": address.decode(), "try_number": 1, "state": AttemptState.COMPLETED.value,
            "disposition": disposition.value, "detail": "", "dialer": f"dialer {count % DIALERS}",
            "code": "SALE" if is_answered else None, "is_right_party": 1 if is_answered else None,
            "is_conversion": count % 2 if is_answered else None,
            "ring_seconds": min(60, int(chance.expovariate(1 / 15))),
            "talk_seconds": int(chance.expovariate(1 / 150)) if is_answered else None,
            "lease_seconds": 60, "claimed_at": claimed_at, "ended_at": claimed_at,
        }  # fmt: skip


async def _store(tx: db.Transaction, rows: Sequence[dict[str, Any]]) -> None:
    names = [name for name in tables.ATTEMPT_ROW.kinds if any(row[name] is not None for row in rows)]
    await tx.insert("attempt", [{name: [row[name] for row in rows] for name in names}])


async def fill(viewer: Viewer, begin: datetime, number: int) -> str:
    """A ledger of so many attempts. Returns the outdial's id."""
    outdial = await factories.make_outdial(viewer)
    made = await factories.make_targets(viewer, outdial.id, TARGETS)
    rows: list[dict[str, Any]] = []
    for row in _attempts(viewer, outdial.id, [target.id for target in made], begin, number):
        rows.append(row)
        if len(rows) == TOGETHER:
            await db.transaction(_store, rows)
            rows = []
    if rows:
        await db.transaction(_store, rows)
    return outdial.id


async def ask(viewer: Viewer, outdial_id: str, request: stats.Request) -> tuple[float, float, int]:
    """Milliseconds until the answer is there with its medians, those of this process's work, and its attempts."""
    began, worked = time.perf_counter(), time.process_time()
    answer = (await stats.of_outdials(viewer, [outdial_id], request=request))[outdial_id]
    for row in answer.rows:
        row.figures.ring.median()
        row.figures.talk.median()
    return (time.perf_counter() - began) * 1e3, (time.process_time() - worked) * 1e3, answer.total.attempts


async def run(database: str, options: argparse.Namespace) -> dict[str, Any]:
    viewer = factories.make_viewer()
    async with stored(database, "off") as store:
        await db.connect(store.url, pool_size=2)
        try:
            midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
            begin = midnight - timedelta(days=DAYS)
            began = time.perf_counter()
            outdial_id = await fill(viewer, begin, options.attempts)
            progress(f"{database}: {options.attempts:,} attempts stored in {time.perf_counter() - began:.0f} s")
            began = time.perf_counter()
            woken.forget()
            await stats.roll_up()
            counting = time.perf_counter() - began
            progress(f"{database}: counted in {counting:.0f} s")
            times: dict[str, list[float]] = {name: [] for name in QUESTIONS}
            works: dict[str, list[float]] = {name: [] for name in QUESTIONS}
            for _ in range(options.times):
                for name, (bucket, zone, grouping) in QUESTIONS.items():
                    request = stats.Request(begin, midnight, bucket, zone, grouping)
                    taken, worked, attempts = await ask(viewer, outdial_id, request)
                    assert attempts == options.attempts, (name, attempts)
                    times[name].append(taken)
                    works[name].append(worked)
        finally:
            await db.close()
    return {
        "database": database,
        "attempts": options.attempts,
        "counting s": counting,
        "questions": {
            name: {"p50 ms": quantile(taken, 0.5), "least ms": min(taken), "processor ms": quantile(works[name], 0.5)}
            for name, taken in times.items()
        },
    }


def lines(found: dict[str, Any]) -> Iterator[str]:
    for name, taken in found["questions"].items():
        cells = [f"{taken[one]:.1f}" for one in ("least ms", "p50 ms", "processor ms")]
        yield f"| {found['database']} | {name} | {' | '.join(cells)} |"
    yield f"| {found['database']} | *to count all of it* | | {found['counting s'] * 1e3:,.0f} | |"


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add = made.add_argument
    add("--database", nargs="+", choices=["sqlite", "postgresql"], default=["sqlite", "postgresql"])
    add("--attempts", type=bounded(100, 10_000_000), default=1_000_000)
    add("--times", type=bounded(1, 1_000), default=20, help="that each question is asked")
    add("--json", type=Path, help="write all figures to this file")
    return made


async def main(arguments: Sequence[str] | None = None) -> None:
    options = parser().parse_args(arguments)
    results = []
    print("| database | a month by | least, ms | median, ms | processor, ms |\n|---|---|---|---|---|", flush=True)
    async with asyncio.timeout(SECONDS_MAX):
        for database in options.database:
            results.append(await run(database, options))
            print("\n".join(lines(results[-1])), flush=True)
    if options.json:
        options.json.write_text(json.dumps(results, indent=2))


if __name__ == "__main__":
    uvloop.run(main())
