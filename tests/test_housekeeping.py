"""Housekeeping: every chore is known by its name, and a fault of one stops none."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest
import structlog

from app import db, housekeeping, imports
from app.auth import Viewer
from app.errors import Unavailable
from tests.support import factories, postgres

WAIT_SECONDS_MAX = 20


async def eventually(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        while not is_so():  # noqa: ASYNC110 - what is waited for happens in other tasks
            await asyncio.sleep(0.01)


async def kept_until(is_so: Callable[[], bool]) -> None:
    """Keep house until something is so."""
    keeping = asyncio.create_task(housekeeping.run(event_retention_hours=1, import_retention_days=1))
    try:
        await eventually(is_so)
        assert not keeping.done()
    finally:
        keeping.cancel()
        with suppress(asyncio.CancelledError):
            await keeping


def failing(rounds: list[int], faults: list[Exception]) -> Callable[[], Awaitable[None]]:
    """Work that meets these faults first, and is done afterwards."""

    async def work() -> None:
        rounds.append(len(rounds))
        if len(rounds) <= len(faults):
            raise faults[len(rounds) - 1]

    return work


async def test_every_chore_has_a_name_of_its_own(database: str) -> None:
    listed = housekeeping.chores(event_retention_hours=1, import_retention_days=1)
    names = [chore.name for chore in listed]
    assert len(set(names)) == len(names) == (14 if db.is_postgres() else 12)
    assert all(name.replace(" ", "").isalpha() for name in names)


async def test_every_chore_whose_success_is_measured_is_done_each_minute(database: str) -> None:
    """The alerts fire if one was last done five minutes ago."""
    listed = housekeeping.chores(event_retention_hours=1, import_retention_days=1)
    assert [chore.name for chore in listed if not chore.is_periodic] == ["listen to other servers"] * db.is_postgres()
    assert all(chore.every_seconds <= 60 for chore in listed if chore.is_periodic)


async def test_a_chore_that_fails_is_logged_by_its_name_and_done_again(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(housekeeping, "PAUSE_AFTER_FAULT_SECONDS", 0.01)
    rounds: dict[str, list[int]] = {"one": [], "other": []}
    faults = [Unavailable("The database is away."), ValueError("a bug"), KeyError("another")]
    listed = [
        housekeeping.Chore("one", failing(rounds["one"], list(faults)), 0.01),
        housekeeping.Chore("other", failing(rounds["other"], []), 0.01),
    ]
    monkeypatch.setattr(housekeeping, "chores", lambda **_: listed)
    with structlog.testing.capture_logs() as log:
        await kept_until(lambda: len(rounds["one"]) > len(faults) and len(rounds["other"]) > 3)
    said = [(entry["event"], entry["log_level"], entry["chore"]) for entry in log]
    assert said == [
        ("housekeeping_waits", "warning", "one"),
        ("housekeeping_failed", "error", "one"),
        ("housekeeping_failed", "error", "one"),
    ]
    assert log[0]["reason"] == "The database is away."


async def test_chores_begin_when_the_log_of_events_is_open(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(housekeeping, "PAUSE_AFTER_FAULT_SECONDS", 0.01)
    opened: list[int] = []
    swept: list[int] = []
    monkeypatch.setattr(housekeeping, "_open_epochs", failing(opened, [Unavailable("Away."), ValueError("a bug")]))

    async def end_abandoned(*, seconds: float = imports.jobs.ABANDONED_SECONDS) -> int:
        if seconds:
            swept.append(len(opened))
        return 0

    monkeypatch.setattr(imports, "end_abandoned", end_abandoned)
    with structlog.testing.capture_logs() as log:
        await kept_until(lambda: bool(swept))
    assert [(entry["log_level"], entry["chore"]) for entry in log] == [
        ("warning", "open the log of events"),
        ("error", "open the log of events"),
    ]
    assert swept[0] == 3


async def test_another_database_behind_the_same_address_gets_an_epoch_of_its_own(
    postgres_url: str, viewer: Viewer
) -> None:
    listening = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'"

    async def rows_of(sql: str) -> list[db.Row]:
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            while not (rows := await db.fetch(sql)):  # noqa: ASYNC110 - it happens in other tasks
                await asyncio.sleep(0.05)
        return rows

    await db.connect(postgres_url)
    keeping = asyncio.create_task(housekeeping.run(event_retention_hours=1, import_retention_days=1))
    try:
        listener = (await rows_of(listening))[0]["pid"]
        await factories.make_outdial(viewer)
        assert (await rows_of("SELECT epoch FROM customer"))[0]["epoch"] == 1
        # as after a switchover by logical replication: the rows are the same, the counter is another one
        await postgres.execute(
            postgres_url, "UPDATE customer SET node = 'elsewhere'", f"SELECT pg_terminate_backend({listener})"
        )
        opened = await rows_of("SELECT epoch FROM customer WHERE node <> 'elsewhere'")
        assert [row["epoch"] for row in opened] == [2]
        await rows_of(listening)
    finally:
        keeping.cancel()
        with suppress(asyncio.CancelledError):
            await keeping
        await db.close()
