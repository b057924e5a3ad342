"""Whether a database that could not write has room again, seen by writing as much as a call does, and taking it back.

A smaller write would say little: on a full disk one more page often fits into what a file has already.
"""

from collections.abc import Sequence
from typing import Any, Protocol

BYTES = 256 * 1024
_CACHED_PAGES = 8
"""SQLite writes what does not fit into its cache before the commit."""


class Enough(Exception):  # noqa: N818 - it ends the unit of work, which is rolled back
    """There is room."""


class Unit(Protocol):
    async def fetch(self, sql: str, *args: Any) -> Sequence[Any]: ...


async def find_in_file(unit: Unit) -> None:
    """On SQLite.

    Raises:
        Enough: it takes writes.
    """
    [row] = await unit.fetch("PRAGMA cache_size")
    await unit.fetch(f"PRAGMA cache_size = {_CACHED_PAGES}")
    try:
        await unit.fetch("CREATE TABLE outdial_room (bytes BLOB)")
        await unit.fetch(f"INSERT INTO outdial_room VALUES (zeroblob({BYTES}))")
    finally:
        await unit.fetch(f"PRAGMA cache_size = {int(row['cache_size'])}")
    raise Enough


async def find_on_server(unit: Unit) -> None:
    """On PostgreSQL.

    Raises:
        Enough: it takes writes.
    """
    rows = "SELECT repeat('x', 1024) AS text FROM generate_series(1, $1::integer)"
    await unit.fetch(f"CREATE TEMPORARY TABLE outdial_room ON COMMIT DROP AS {rows}", BYTES // 1024)
    raise Enough
