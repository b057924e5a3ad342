"""The keys and addresses that a dry run has seen in its file. They are stored here because a dry run stores no targets.

In a temporary SQLite database, which is in memory while it is small and then in a nameless file, so that a list of
millions takes little memory. It disappears with its connection.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar

import orjson

from app.db import failures
from app.errors import Unavailable

CACHE_KIBIBYTES = 8_192

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Earlier:
    """The chunk's keys and addresses that the file had before the chunk."""

    contents: Mapping[str, bytes] = field(default_factory=dict)
    """A digest of the last row with each key."""
    addresses: frozenset[str] = frozenset()


class Seen:
    """Keys and addresses of rows that would have been stored. `async with Seen() as seen`.

    It has its own thread: a cancelled call still runs there, and closing waits for it. SQLite can crash if one thread
    closes a connection while another one uses it.
    """

    async def __aenter__(self) -> Self:
        self._thread = ThreadPoolExecutor(1, "seen")
        try:
            self._database = await self._there(_open)
        except BaseException:  # also if the caller is cancelled: no thread may stay
            self._thread.shutdown(wait=False)
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        try:
            await self._there(self._database.close)
        finally:
            self._thread.shutdown(wait=False)

    async def _there(self, work: Callable[..., T], *arguments: Any) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)
        except sqlite3.Error as error:
            if failures.failure_of(error) is not None:
                raise Unavailable("The server has no disk space for a dry run. Try again later.") from None
            raise

    async def look(self, keys: Sequence[str | None], addresses: Iterable[Sequence[str | None]]) -> Earlier:
        return await self._there(self._look, list(keys), [text for row in addresses for text in row if text])

    def _look(self, keys: list[str | None], addresses: list[str]) -> Earlier:
        contents = self._database.execute(
            "SELECT key, content FROM seen_key WHERE key IN (SELECT value FROM json_each(?))", [_list(keys)]
        )
        known = self._database.execute(
            "SELECT address FROM seen_address WHERE address IN (SELECT value FROM json_each(?))", [_list(addresses)]
        )
        return Earlier(dict(contents), frozenset(address for (address,) in known))

    async def keep(self, taken: Iterable[tuple[str | None, Sequence[str | None], bytes]]) -> None:
        """Remember rows: key, addresses and the digest of the row."""
        await self._there(self._keep, list(taken))

    def _keep(self, taken: list[tuple[str | None, Sequence[str | None], bytes]]) -> None:
        with self._database:
            self._database.executemany(
                "INSERT INTO seen_key VALUES (?, ?) ON CONFLICT DO UPDATE SET content = excluded.content",
                [(key, content) for key, _, content in taken if key is not None],
            )
            self._database.executemany(
                "INSERT INTO seen_address VALUES (?) ON CONFLICT DO NOTHING",
                [(text,) for _, addresses, _ in taken for text in addresses if text is not None],
            )


def _list(values: Sequence[str | None]) -> str:
    return orjson.dumps([value for value in values if value is not None]).decode()


def _open() -> sqlite3.Connection:
    database = sqlite3.connect("")
    database.executescript(
        f"""
        PRAGMA journal_mode = OFF;
        PRAGMA cache_size = -{CACHE_KIBIBYTES};
        CREATE TABLE seen_key (key TEXT PRIMARY KEY, content BLOB) WITHOUT ROWID;
        CREATE TABLE seen_address (address TEXT PRIMARY KEY) WITHOUT ROWID;
        """
    )
    return database
