"""Reads by id that are in flight together become one statement: one customer's, of the same text.

A read that finds none of its kind in flight is sent at once. Those that come before its answer wait for it, and are
then sent together. So a read joins only a statement that has not been sent yet, and its rows are never older than its
beginning. An idle server loses nothing; a busy one asks the database once for many of its clients.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from app.db import statements
from app.db.statements import Row

JOINED_IDS_MAX = 1_000
"""Of one statement. A single read may have more."""
JOIN_SECONDS_MAX = 0.005
"""So long a read waits for the one before it, which may be slow or without an answer."""

_Key: TypeAlias = tuple[str, str]
"""The statement's text, and the customer."""


@dataclass(slots=True)
class _Batch:
    """Reads that are sent together."""

    ids: dict[str, None] = field(default_factory=dict)
    readers: list[asyncio.Future[dict[str, Row]]] = field(default_factory=list)
    timer: asyncio.TimerHandle | None = None
    sending: asyncio.Task[None] | None = None

    def left(self) -> list[asyncio.Future[dict[str, Row]]]:
        """The readers that still wait."""
        return [reader for reader in self.readers if not reader.done()]


@dataclass(slots=True)
class _Line:
    """The reads of one text and one customer."""

    in_flight: int = 0
    waiting: _Batch | None = None


_lines: dict[_Key, _Line] = {}
"""Only of reads that are in flight, so there are never more than operations."""


def begin() -> None:
    """Forget what an event loop left that has ended."""
    _lines.clear()


async def fetch_by_ids(sql: str, customer_id: str, ids: Sequence[str], *, column: str = "id") -> list[Row]:
    """The rows with these ids, with as few statements as possible. Other reads do not change what is found.

    Args:
        sql: a statement that reads at most one row for each id. $1 is the customer, $2 the list of ids.
        customer_id: the owner of the rows.
        ids: canonical.
        column: of the rows, in which the id is.

    Raises:
        Unavailable: the database is busy or gone.
    """
    if not ids:
        return []
    key = (sql, customer_id)
    line = _lines.get(key)
    if line is not None and line.in_flight:
        found = await _joined(key, line, ids, column)
        return [found[row_id] for row_id in dict.fromkeys(ids) if row_id in found]
    line = _lines[key] = line or _Line()
    line.in_flight += 1
    try:
        return await statements.fetch(sql, customer_id, list(ids))
    finally:
        _answered(key, line, column)


async def _joined(key: _Key, line: _Line, ids: Sequence[str], column: str) -> dict[str, Row]:
    batch = line.waiting
    if batch is not None and len(batch.ids) + len(ids) > JOINED_IDS_MAX:
        _send(key, line, column)
        batch = None
    loop = asyncio.get_running_loop()
    if batch is None:
        batch = line.waiting = _Batch()
        batch.timer = loop.call_later(JOIN_SECONDS_MAX, _send, key, line, column)
    batch.ids.update(dict.fromkeys(ids))
    reader: asyncio.Future[dict[str, Row]] = loop.create_future()
    batch.readers.append(reader)
    try:
        return await reader
    except asyncio.CancelledError:
        if batch.sending is not None and not batch.left():
            batch.sending.cancel()
        raise


def _send(key: _Key, line: _Line, column: str) -> None:
    """Send the reads that wait, in a task that belongs to none of them: each may be cancelled without the others."""
    batch, line.waiting = line.waiting, None
    if batch is None:
        return
    if batch.timer is not None:
        batch.timer.cancel()
    if not batch.left():
        return
    line.in_flight += 1
    batch.sending = asyncio.create_task(_run(*key, batch, column), name="joined reads")
    # not in the task itself: a task that is cancelled before it begins does not run at all
    batch.sending.add_done_callback(lambda _: _answered(key, line, column))


async def _run(sql: str, customer_id: str, batch: _Batch, column: str) -> None:
    try:
        rows = await statements.fetch(sql, customer_id, list(batch.ids))
    except asyncio.CancelledError:
        for reader in batch.readers:
            reader.cancel()
        raise
    except Exception as error:  # noqa: BLE001 - it is each reader's
        for reader in batch.left():
            reader.set_exception(error)
            reader.exception()  # mark it as seen: its reader may be cancelled before it wakes
    else:
        found = {row[column]: row for row in rows}
        for reader in batch.left():
            reader.set_result(found)


def _answered(key: _Key, line: _Line, column: str) -> None:
    line.in_flight -= 1
    if line.in_flight == 0:
        _send(key, line, column)
    if line.in_flight == 0 and _lines.get(key) is line:
        del _lines[key]
