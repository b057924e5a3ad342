"""Reads the tables without the project's code, and checks that they are consistent."""

import json
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from typing import Any
from uuid import UUID

import asyncpg

Row = dict[str, Any]
Tables = dict[str, list[Row]]

TABLES = (
    "outdial",
    "outdial_counter",
    "target",
    "attempt",
    "target_event",
    "outdial_event",
    "idempotency_key",
    "import_job",
    "import_reject",
)
DESTINATIONS = range(5)
LIVE = {"CLAIMED", "DIALING"}
COUNTERS = ("idle", "progressing", "answered", "exhausted", "do_not_call", "canceled", "unconfirmed")


@asynccontextmanager
async def reading(url: str) -> AsyncIterator[Callable[..., Awaitable[list[Row]]]]:
    """A function that reads rows, with ids as text and documents as JSON text, all of one moment."""
    if url.startswith("sqlite:///"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"), timeout=30, isolation_level=None)) as file:
            file.row_factory = sqlite3.Row
            file.execute("BEGIN")

            async def read_file(sql: str, *args: Any) -> list[Row]:
                return [dict(row) for row in file.execute(sql.replace("$", "?"), args)]

            yield read_file
        return
    connection = await asyncpg.connect(url)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):

            async def read(sql: str, *args: Any) -> list[Row]:
                return [
                    {name: str(value) if isinstance(value, UUID) else value for name, value in row.items()}
                    for row in await connection.fetch(sql, *args)
                ]

            yield read
    finally:
        await connection.close()


async def execute(url: str, sql: str, *args: Any) -> None:
    """One writing statement, for states that no client can cause."""
    if url.startswith("sqlite:///"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"), timeout=30)) as connection, connection:
            connection.execute(sql.replace("$", "?"), args)
        return
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(sql, *args)
    finally:
        await connection.close()


async def of(url: str, customer_id: str) -> Tables:
    """Every row of a customer, by table. If two answers are equal, nothing was written."""
    found: Tables = {}
    async with reading(url) as read:
        for table in TABLES:
            rows = await read(f"SELECT * FROM {table} WHERE customer_id = $1", customer_id)
            found[table] = sorted(rows, key=lambda row: (str(row.get("id", "")), row.get("seq", 0)))
    return found


def counts(tables: Tables) -> dict[str, int]:
    return {table: len(rows) for table, rows in tables.items()}


def _document(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value


def is_usable(target: Row, outdial: Row) -> bool:
    """Some destination is set, not marked invalid and below its limit."""
    limits = _document(target["max_try_counts"]) or _document(outdial["max_try_counts"])
    return any(
        target[f"destination_{index}"] is not None
        and not target["invalid_mask"] >> index & 1
        and target[f"try_count_{index}"] < limits[index]
        for index in DESTINATIONS
    )


def _standing(target: Row) -> str:
    standing: str = (target["done_reason"] or target["status"]).lower()
    return standing


def check(tables: Tables, *, resets: bool = False) -> None:
    """Everything that behaviour.md says holds at every commit.

    Args:
        tables: from `of`.
        resets: whether targets were reset: then the try counts differ from the attempts.
    """
    for outdial in tables["outdial"]:
        if outdial["tm_delete"] is None:
            _check_outdial(outdial, tables, resets=resets)
        else:
            left = [
                row["id"] for row in tables["attempt"] if row["outdial_id"] == outdial["id"] and row["state"] in LIVE
            ]
            assert left == [], "a deleted outdial has live attempts"


def _check_outdial(outdial: Row, tables: Tables, *, resets: bool) -> None:
    every = [row for row in tables["target"] if row["outdial_id"] == outdial["id"]]
    present = [row for row in every if row["tm_delete"] is None]
    ledger = [row for row in tables["attempt"] if row["outdial_id"] == outdial["id"]]
    slots = [row for row in tables["outdial_counter"] if row["outdial_id"] == outdial["id"]]

    summed = {name: sum(slot[name] for slot in slots) for name in COUNTERS}
    counted = Counter(_standing(target) for target in present)
    assert summed == {name: counted[name] for name in COUNTERS}, "the progress counts are off"
    assert sum(slot["attempts"] for slot in slots) == sum(row["state"] != "RELEASED" for row in ledger)

    live = Counter(row["target_id"] for row in ledger if row["state"] in LIVE)
    assert live == Counter(row["id"] for row in present if row["status"] == "PROGRESSING"), (
        "attempts and targets differ"
    )
    tried = Counter((row["target_id"], row["destination_index"]) for row in ledger if row["state"] != "RELEASED")
    for target in present:
        assert (target["done_reason"] is not None) == (target["status"] == "DONE"), target
        assert (target["next_try_at"] is not None) == (target["status"] == "IDLE"), target
        assert target["status"] != "IDLE" or target["callback"] is not None or is_usable(target, outdial), target
        for index in DESTINATIONS:
            made = tried[target["id"], index]
            count = target[f"try_count_{index}"]
            assert (0 <= count <= made) if resets else (count == made), (target, index, made)
    for attempt in ledger:
        assert (attempt["disposition"] is not None) == (attempt["state"] == "COMPLETED"), attempt
        assert (attempt["ended_at"] is None) == (attempt["state"] in LIVE), attempt
        assert (attempt["expires_at"] is not None) == (attempt["state"] in LIVE), attempt


def check_events(tables: Tables) -> None:
    """Each target's events are numbered 1, 2, 3, … and the last one has its status; the sums of all are the progress.

    Only if no event was about many targets.
    """
    by_target: dict[str, list[Row]] = {}
    for event in tables["target_event"]:
        by_target.setdefault(event["target_id"], []).append(event)
    for target in tables["target"]:
        told = sorted(by_target.pop(target["id"], []), key=lambda event: event["version"])
        assert [event["version"] for event in told] == list(range(1, len(told) + 1)), told
        assert target["version"] == len(told)
        status = None
        for event in told:
            assert event["previous_status"] == status, told
            status = event["status"]
        if target["tm_delete"] is None:
            last = told[-1]
            for name in ("status", "done_reason", "next_try_at"):
                assert last[name] == target[name], (name, last, target)
            assert _document(last["try_counts"]) == [target[f"try_count_{index}"] for index in DESTINATIONS]
    assert by_target == {}, "events of targets that do not exist"
