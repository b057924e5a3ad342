"""The data that `benchmarks.reading` reads: made by rows, in the tables of the service.

One customer has ten long outdials and forty short ones; fifty others have twenty short ones each. Two of three targets
are idle, the others are answered. Nothing in the data depends on chance but the ids.
"""

import sqlite3
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any
from uuid import uuid4

import asyncpg
import orjson

from app import clock, customers, db, ids
from app.pagination import cursor_of

LONG_OUTDIALS = 10
SHORT_OUTDIALS = 40
SHORT_OUTDIALS_OF_OTHERS = 20
PAGE_TARGETS = 9
"""Of the pages whose depth is measured: 10,000 of them fit into a long outdial of 100,000 targets."""
DEEP_PAGE = 10_000
PLACES = 16
"""Pages in a row, of each long outdial, among which a deep page is drawn."""
PART_ROWS = 10_000
SQLITE = "sqlite:///"
_BEGIN = datetime(2026, 1, 1, 8, 0, 0, 123_457, UTC)
_STEP = timedelta(milliseconds=37, microseconds=1)

_OUTDIAL = (
    *("customer_id", "id", "campaign_id", "name", "detail", "data", "state", "max_try_counts"),
    *("retry_interval_seconds", "lease_seconds", "on_unconfirmed", "tm_create", "tm_update"),
)
_TARGET = (
    *("customer_id", "id", "outdial_id", "key", "name", "detail", "data", "status", "done_reason", "priority", "rank"),
    *("destination_0", "destination_1", "try_count_0", "next_try_at", "version", "tm_create", "tm_update"),
)
_COUNTER = ("customer_id", "outdial_id", "slot", "idle", "answered", "attempts")


@dataclass(frozen=True, slots=True)
class Shelf:
    """One outdial, as far as the questions need it."""

    id: str
    number: int
    """In the whole library, from 0: keys and addresses of its targets follow from it."""
    targets: int
    deep_cursors: tuple[str, ...] = ()
    """After which deep pages begin. Empty if it is short."""


@dataclass(frozen=True, slots=True)
class Owner:
    """A customer and the outdials."""

    customer_id: str
    short: tuple[Shelf, ...]
    long: tuple[Shelf, ...] = ()


@dataclass(frozen=True, slots=True)
class Library:
    one: Owner
    others: tuple[Owner, ...]


def key(target: int) -> str:
    """Of a target, by its number in its outdial, from 0."""
    return f"key-{target}"


def address(shelf: int, target: int) -> str:
    """The telephone number of a target, by the number of its outdial and its own. No other target has it."""
    return f"+4915{(shelf * 1_000_003 + target) % 1_000_000_000:09d}"


async def build(url: str, *, targets: int, each: int, others: int) -> Library:
    """Fill an empty, migrated database that the use-cases are connected to.

    Args:
        url: of the database.
        targets: of the ten long outdials together.
        each: targets of a short outdial.
        others: customers beside the one that has the long outdials.
    """
    sizes = [targets // LONG_OUTDIALS] * LONG_OUTDIALS
    made = Owner(*_planned(0, [each] * SHORT_OUTDIALS, sizes))
    number = LONG_OUTDIALS + SHORT_OUTDIALS
    rest = [
        Owner(*_planned(number + place * SHORT_OUTDIALS_OF_OTHERS, [each] * SHORT_OUTDIALS_OF_OTHERS, []))
        for place in range(others)
    ]
    for owner in (made, *rest):
        await customers.add(owner.customer_id)
    async with filling(url) as fill:
        for owner in (made, *rest):
            shelves = (*owner.short, *owner.long)
            await fill("outdial", _OUTDIAL, (_outdial(owner.customer_id, shelf) for shelf in shelves))
            await fill("outdial_counter", _COUNTER, (_counter(owner.customer_id, shelf) for shelf in shelves))
            for shelf in shelves:
                await fill("target", _TARGET, _targets(owner.customer_id, shelf))
    return Library(
        Owner(made.customer_id, made.short, tuple([await _with_cursors(one) for one in made.long])), (*rest,)
    )


def _planned(
    number: int, short: Sequence[int], long: Sequence[int]
) -> tuple[str, tuple[Shelf, ...], tuple[Shelf, ...]]:
    shelves = [Shelf(ids.new(), number + place, size) for place, size in enumerate((*short, *long))]
    return str(uuid4()), tuple(shelves[: len(short)]), tuple(shelves[len(short) :])


async def _with_cursors(shelf: Shelf) -> Shelf:
    page = min(DEEP_PAGE, shelf.targets // PAGE_TARGETS)
    offset = max(0, PAGE_TARGETS * (page - 1) - PLACES)
    found = await db.fetch(
        "SELECT tm_create, id FROM target WHERE outdial_id = $1 AND tm_delete IS NULL"
        f" ORDER BY tm_create DESC, id DESC LIMIT {PLACES} OFFSET {offset}",
        shelf.id,
    )
    cursors = tuple(cursor_of(row["tm_create"], row["id"]) for row in found)
    return Shelf(shelf.id, shelf.number, shelf.targets, cursors)


# ---------------------------------------------------------------- rows


def _outdial(customer_id: str, shelf: Shelf) -> tuple[Any, ...]:
    created = _BEGIN + shelf.number * timedelta(seconds=1)
    texts = (f"List {shelf.number}", "Customers who asked to be called back", '{"team": "north"}')
    campaign = ids.new() if shelf.number % 2 else None
    return customer_id, shelf.id, campaign, *texts, "ACTIVE", "[3, 3, 3, 3, 3]", 300, 120, "FINISH", created, created


def _counter(customer_id: str, shelf: Shelf) -> tuple[Any, ...]:
    answered = (shelf.targets + 2) // 3
    return customer_id, shelf.id, 0, shelf.targets - answered, answered, answered


def _targets(customer_id: str, shelf: Shelf) -> Iterator[tuple[Any, ...]]:
    for number in range(shelf.targets):
        created = _BEGIN + number * _STEP
        is_done = number % 3 == 0
        yield (
            *(customer_id, ids.new(), shelf.id, key(number), f"Person {number}", f"Detail of person {number}"),
            *('{"contract": "A-17"}', "DONE" if is_done else "IDLE", "ANSWERED" if is_done else None),
            *(number % 10, number % 10),
            destination(address(shelf.number, number), "mobile"),
            destination(f"+4930{number % 10_000_000:07d}", "office"),
            *(int(is_done), None if is_done else created, 1 + 2 * is_done, created, created),
        )


def destination(number: str, name: str) -> str:
    place = {"type": "TEL", "target": number, "target_name": "The person", "name": name, "detail": ""}
    return orjson.dumps(place).decode()


# ---------------------------------------------------------------- writing them


@asynccontextmanager
async def filling(url: str, *, is_counted: bool = True) -> AsyncIterator[Any]:
    """A function that writes rows into a table, and afterwards a database that knows how many there are, if wanted."""
    if url.startswith(SQLITE):
        with closing(sqlite3.connect(url.removeprefix(SQLITE), isolation_level=None)) as file:

            async def insert(table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
                marks = ", ".join("?" * len(columns))
                file.execute("BEGIN")
                file.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})", map(_spelled, rows))
                file.execute("COMMIT")

            yield insert
        return
    connection = await asyncpg.connect(url)
    try:

        async def copy(table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
            left = iter(rows)
            while part := list(islice(left, PART_ROWS)):
                await connection.copy_records_to_table(table, records=part, columns=columns)

        yield copy
        if is_counted:
            await connection.execute("VACUUM (ANALYZE)")
    finally:
        await connection.close()


def _spelled(row: Iterable[Any]) -> list[Any]:
    return [clock.spelled(value) if isinstance(value, datetime) else value for value in row]
