"""An SQLite file that is full, read-only or held: UNAVAILABLE until it is not."""

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import pytest

from app import db, outdials
from app.auth import Viewer
from app.db import connections
from app.db.configuration import SQLITE_WRITER
from app.db.failures import Failure, failure_of
from app.errors import Unavailable
from tests.support import factories


async def test_a_full_disk_is_unavailable_and_writing_goes_on_once_there_is_room(on_file: str, viewer: Viewer) -> None:
    async with connections.connection(SQLITE_WRITER) as connection:
        pages = (await connection.execute_fetchall("PRAGMA page_count"))[0][0]
        await connection.execute_fetchall(f"PRAGMA max_page_count = {pages}")
    made = 0

    async def fill() -> None:
        nonlocal made
        while made < 500:
            await factories.make_outdial(viewer, detail="x" * 4_000)
            made += 1

    with pytest.raises(Unavailable, match="no space left"):
        await fill()
    for _ in range(3):
        with pytest.raises(Unavailable, match="no space left"):
            await db.ping()
    async with connections.connection(SQLITE_WRITER) as connection:
        await connection.execute_fetchall("PRAGMA max_page_count = 1073741823")
    await db.ping()
    outdial = await factories.make_outdial(viewer)
    assert list(await outdials.get_many(viewer, [outdial.id])) == [outdial.id]
    rows = await db.fetch("SELECT count(*) AS number FROM outdial")
    assert rows[0]["number"] == made + 1  # nothing of the one that failed


async def test_a_file_that_takes_no_writes_is_unavailable(on_file: str, viewer: Viewer) -> None:
    async with connections.connection(SQLITE_WRITER) as connection:
        await connection.execute_fetchall("PRAGMA query_only = ON")
    with pytest.raises(Unavailable, match="takes no writes"):
        await factories.make_outdial(viewer)
    with pytest.raises(Unavailable, match="takes no writes"):
        await db.ping()
    async with connections.connection(SQLITE_WRITER) as connection:
        await connection.execute_fetchall("PRAGMA query_only = OFF")
    await db.ping()
    await factories.make_outdial(viewer)


async def test_a_file_that_another_program_holds_is_unavailable(on_file: str, viewer: Viewer) -> None:
    async with connections.connection(SQLITE_WRITER) as connection:
        await connection.execute_fetchall("PRAGMA busy_timeout = 50")
    holder = sqlite3.connect(on_file.removeprefix("sqlite:///"), isolation_level=None)
    try:
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable, match="busy"):
            await factories.make_outdial(viewer)
        with pytest.raises(Unavailable, match="busy"):
            await db.ping()
        holder.execute("ROLLBACK")
        await factories.make_outdial(viewer)
    finally:
        holder.close()


def delete(path: Path) -> None:
    path.unlink()


def replace(path: Path) -> None:
    shutil.copyfile(path, path.with_suffix(".copy"))
    path.with_suffix(".copy").rename(path)


def delete_log(path: Path) -> None:
    path.with_name(f"{path.name}-wal").unlink()


@pytest.mark.parametrize("remove", [delete, replace, delete_log])
async def test_a_file_that_was_deleted_or_replaced_takes_no_writes(
    on_file: str, viewer: Viewer, remove: Callable[[Path], None]
) -> None:
    before = await factories.make_outdial(viewer)
    await db.ping()
    remove(Path(on_file.removeprefix("sqlite:///")))
    for _ in range(2):
        with pytest.raises(Unavailable, match="deleted or replaced"):
            await factories.make_outdial(viewer)
        with pytest.raises(Unavailable, match="deleted or replaced"):
            await db.ping()
    with suppress(Unavailable):  # a reader that has the log open can go on
        rows = await db.fetch("SELECT id FROM outdial")
        assert [row["id"] for row in rows] == [before.id]


async def test_a_file_that_is_put_back_takes_writes_again(on_file: str, viewer: Viewer) -> None:
    await factories.make_outdial(viewer)
    path = Path(on_file.removeprefix("sqlite:///"))
    away = path.with_suffix(".away")
    os.rename(path, away)  # noqa: PTH104 - a Path's own is refused in a coroutine
    with pytest.raises(Unavailable, match="deleted or replaced"):
        await db.ping()
    os.rename(away, path)  # noqa: PTH104
    await db.ping()
    made = await factories.make_outdial(viewer)
    with closing(sqlite3.connect(path)) as reading:
        assert (made.id,) in reading.execute("SELECT id FROM outdial").fetchall()


@pytest.mark.parametrize(
    ("name", "failure"),
    [
        ("SQLITE_BUSY", Failure.BUSY),
        ("SQLITE_BUSY_SNAPSHOT", Failure.BUSY),
        ("SQLITE_LOCKED_SHAREDCACHE", Failure.BUSY),
        ("SQLITE_FULL", Failure.FULL),
        ("SQLITE_READONLY", Failure.READ_ONLY),
        ("SQLITE_READONLY_DBMOVED", Failure.READ_ONLY),
        ("SQLITE_IOERR", Failure.AWAY),
        ("SQLITE_IOERR_WRITE", Failure.AWAY),
        ("SQLITE_IOERR_FSYNC", Failure.AWAY),
        ("SQLITE_CANTOPEN", Failure.AWAY),
        ("SQLITE_CANTOPEN_ISDIR", Failure.AWAY),
        ("SQLITE_ERROR", None),
        ("SQLITE_CONSTRAINT_UNIQUE", None),
        ("SQLITE_MISUSE", None),
        ("SQLITE_CORRUPT", None),
    ],
)
def test_sqlites_codes_mean_what_they_say(name: str, failure: Failure | None) -> None:
    error = sqlite3.OperationalError("as SQLite raises it")
    error.sqlite_errorcode = getattr(sqlite3, name)
    assert failure_of(error) == failure
