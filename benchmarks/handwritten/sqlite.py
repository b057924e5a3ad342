"""On SQLite: the `sqlite3` module in one thread, each call in one hop to it and in one transaction."""

import asyncio
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, Self

import orjson

from app import clock, destinations, ids

_PLACES = range(5)
_NEXT = destinations.next_index([f":limit_{index}" for index in _PLACES])
_COUNTS = ", ".join(f"try_count_{index}" for index in _PLACES)
_DUE = f"""
    SELECT id, name, version, {_NEXT} AS next_index, {_COUNTS}, {", ".join(f"destination_{n}" for n in _PLACES)}
    FROM target WHERE customer_id = :customer AND outdial_id = :outdial AND status = 'IDLE' AND tm_delete IS NULL
      AND priority = :priority AND next_try_at <= :now AND {_NEXT} IS NOT NULL
    ORDER BY next_try_at, id LIMIT :limit
"""
_TAKE = f"""
    UPDATE target SET status = 'PROGRESSING', next_try_at = NULL, version = version + 1,
        tm_update = max(tm_update, :now), last_attempt_id = :attempt, last_index = :index,
        {", ".join(f"try_count_{n} = try_count_{n} + (:index = {n})" for n in _PLACES)}
    WHERE customer_id = :customer AND id = :id
"""
_MAKE = """
    INSERT INTO attempt (id, customer_id, outdial_id, target_id, destination_index, destination, try_number, state,
        dialer, lease_seconds, expires_at, claimed_at, permit)
    VALUES (:attempt, :customer, :outdial, :id, :index, :destination, :try_number, 'CLAIMED', :dialer, :lease_seconds,
        :expires_at, :now, '{"version":1}')
"""
_TELL = """
    INSERT INTO target_event (epoch, tx, customer_id, outdial_id, target_id, type, occurred_at, count, status,
        previous_status, done_reason, try_counts, next_try_at, version, destination_index, attempt_id, disposition)
    VALUES ((SELECT epoch FROM customer WHERE customer_id = :customer), 0, :customer, :outdial, :id, :type, :now, 1,
        :status, :previous_status, :done_reason, :try_counts, :next_try_at, :version, :index, :attempt, :disposition)
"""
_COUNT = """
    INSERT INTO outdial_counter (customer_id, outdial_id, slot, idle, progressing, answered, exhausted, attempts)
    VALUES (?, ?, 0, ?, ?, ?, ?, ?)
    ON CONFLICT (customer_id, outdial_id, slot) DO UPDATE SET idle = idle + excluded.idle,
        progressing = progressing + excluded.progressing, answered = answered + excluded.answered,
        exhausted = exhausted + excluded.exhausted, attempts = attempts + excluded.attempts
"""
_HELD = f"""
    SELECT attempt.id AS attempt, attempt.outdial_id AS outdial, target.id AS id, destination_index AS 'index', version,
        lease_seconds, attempt.state AS state, {_COUNTS}, target.max_try_counts AS own_limits,
        invalid_mask, {", ".join(f"destination_{n} IS NOT NULL AS has_{n}" for n in _PLACES)}
    FROM attempt JOIN target ON target.id = attempt.target_id AND target.customer_id = attempt.customer_id
    WHERE attempt.customer_id = ? AND attempt.id = ? AND attempt.state IN ('CLAIMED', 'DIALING')
      AND attempt.expires_at > ? AND target.last_attempt_id = attempt.id AND target.status = 'PROGRESSING'
      AND target.tm_delete IS NULL
"""
_TOUCH = """
    UPDATE target SET version = :version, tm_update = max(tm_update, :now) WHERE customer_id = :customer AND id = :id
"""
_DIAL = """
    UPDATE attempt SET state = 'DIALING', call_id = :call_id, dialed_at = :now, expires_at = :expires_at
    WHERE customer_id = :customer AND id = :attempt
"""
_MOVE = """
    UPDATE target SET status = :status, done_reason = :done_reason, next_try_at = :next_try_at, version = :version,
        tm_update = max(tm_update, :now) WHERE customer_id = :customer AND id = :id
"""
_END = """
    UPDATE attempt SET state = 'COMPLETED', disposition = :disposition, expires_at = NULL, ended_at = :now
    WHERE customer_id = :customer AND id = :attempt
"""


class Sqlite:
    def __init__(self, path: str) -> None:
        self._thread = ThreadPoolExecutor(1)
        self._path = path
        self._file: sqlite3.Connection

    @classmethod
    async def connected(cls, path: str) -> Self:
        made = cls(path)
        await made._hop(made._open)
        return made

    def _open(self) -> None:
        self._file = sqlite3.connect(self._path, isolation_level=None, timeout=10)
        self._file.row_factory = sqlite3.Row
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
            self._file.execute(f"PRAGMA {pragma}")

    async def _hop(self, work: Callable[..., Any], *args: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *args)

    async def close(self) -> None:
        await self._hop(self._file.close)
        self._thread.shutdown()

    @contextmanager
    def _transaction(self) -> Iterator[datetime]:
        self._file.execute("BEGIN IMMEDIATE")
        try:
            yield clock.now()
            self._file.execute("COMMIT")
        except BaseException:  # whatever ends it, the next one must find no open transaction
            self._file.rollback()
            raise

    async def claim(self, *args: Any) -> list[dict[str, Any]]:
        made: list[dict[str, Any]] = await self._hop(self._claim, *args)
        return made

    def _claim(
        self, customer_id: str, outdial_id: str, limit: int, dialer: str, lease_seconds: int, key: str | None
    ) -> list[dict[str, Any]]:
        made, rows = [], []
        with self._transaction() as now:
            limits = self._policy(customer_id, outdial_id)[0]
            common = {
                "customer": customer_id,
                "outdial": outdial_id,
                "dialer": dialer,
                "lease_seconds": lease_seconds,
                "now": clock.spelled(now),
                "expires_at": clock.spelled(now + timedelta(seconds=lease_seconds)),
                "type": "CLAIMED",
                "status": "PROGRESSING",
                "previous_status": "IDLE",
                **dict.fromkeys(("done_reason", "next_try_at", "disposition")),
                **{f"limit_{index}": limit for index, limit in enumerate(limits)},
            }
            for priority in range(9, -1, -1):
                wanted = {**common, "priority": priority, "limit": limit - len(rows)}
                for row in self._file.execute(_DUE, wanted).fetchall():
                    index = row["next_index"]
                    counts = [row[f"try_count_{place}"] + (place == index) for place in _PLACES]
                    attempt, destination = ids.new(), row[f"destination_{index}"]
                    rows.append(
                        {
                            **common,
                            "id": row["id"],
                            "attempt": attempt,
                            "index": index,
                            "destination": destination,
                            "try_number": counts[index],
                            "try_counts": orjson.dumps(counts).decode(),
                            "version": row["version"] + 1,
                        }
                    )
                    place = orjson.loads(destination)
                    shown = {"type": place["type"].upper(), "target": place["target"]}
                    made.append(
                        {"id": attempt, "state": "CLAIMED", "destination": shown, "target": {"name": row["name"]}}
                    )
                if len(rows) == limit:
                    break
            if rows:
                for statement in (_TAKE, _MAKE, _TELL):
                    self._file.executemany(statement, rows)
                self._file.execute(_COUNT, (customer_id, outdial_id, -len(rows), len(rows), 0, 0, len(rows)))
                if key is not None:
                    self._file.execute(
                        """
                        INSERT INTO idempotency_key (customer_id, mutation, key, input_hash, answer, tm_create)
                        VALUES (?, 'claimTargets', ?, 'of the input', ?, ?)
                        """,
                        (customer_id, key, orjson.dumps([row["id"] for row in made]).decode(), common["now"]),
                    )
        return made

    def _policy(self, customer_id: str, outdial_id: str) -> tuple[list[int], int]:
        row = self._file.execute(
            "SELECT max_try_counts, retry_interval_seconds FROM outdial WHERE customer_id = ? AND id = ?"
            " AND state = 'ACTIVE' AND tm_delete IS NULL",
            (customer_id, outdial_id),
        ).fetchone()
        return orjson.loads(row[0]), row[1]

    async def start(self, customer_id: str, starts: list[tuple[str, str]]) -> list[str]:
        done: list[str] = await self._hop(self._start, customer_id, starts)
        return done

    def _start(self, customer_id: str, starts: list[tuple[str, str]]) -> list[str]:
        rows = []
        with self._transaction() as now:
            moment = clock.spelled(now)
            for attempt_id, call_id in starts:
                held = self._held(customer_id, attempt_id, moment)
                if held is not None and held["state"] == "CLAIMED":
                    held |= {
                        "call_id": call_id,
                        "expires_at": clock.spelled(now + timedelta(seconds=held["lease_seconds"])),
                        "type": "DIALING",
                        "status": "PROGRESSING",
                        **dict.fromkeys(("done_reason", "next_try_at", "disposition")),
                    }
                    rows.append(held)
            for statement in (_TOUCH, _DIAL, _TELL):
                self._file.executemany(statement, rows)
        return [row["attempt"] for row in rows]

    def _held(self, customer_id: str, attempt_id: str, moment: str) -> dict[str, Any] | None:
        row = self._file.execute(_HELD, (customer_id, attempt_id, moment)).fetchone()
        if row is None:
            return None
        counts = [row[f"try_count_{index}"] for index in _PLACES]
        return dict(row) | {
            "customer": customer_id,
            "now": moment,
            "version": row["version"] + 1,
            "previous_status": "PROGRESSING",
            "counts": counts,
            "try_counts": orjson.dumps(counts).decode(),
        }

    async def complete(self, customer_id: str, results: list[tuple[str, str]]) -> list[str]:
        done: list[str] = await self._hop(self._complete, customer_id, results)
        return done

    def _complete(self, customer_id: str, results: list[tuple[str, str]]) -> list[str]:
        rows = []
        with self._transaction() as now:
            moment, policies = clock.spelled(now), {}
            for attempt_id, disposition in results:
                held = self._held(customer_id, attempt_id, moment)
                if held is None:
                    continue
                outdial_id = held["outdial"]
                if outdial_id not in policies:
                    policies[outdial_id] = self._policy(customer_id, outdial_id)
                limits, retry_seconds = policies[outdial_id]
                again = disposition != "ANSWERED" and _usable(held, limits)
                due = clock.spelled(now + timedelta(seconds=retry_seconds)) if again else None
                reason = None if again else "ANSWERED" if disposition == "ANSWERED" else "EXHAUSTED"
                held |= {"type": "COMPLETED", "status": "IDLE" if again else "DONE", "done_reason": reason}
                rows.append(held | {"next_try_at": due, "disposition": disposition})
            for statement in (_MOVE, _END, _TELL):
                self._file.executemany(statement, rows)
            counts = Counter((row["outdial"], row["done_reason"]) for row in rows)
            for outdial_id in policies:
                again, answered, exhausted = (counts[outdial_id, reason] for reason in (None, "ANSWERED", "EXHAUSTED"))
                moved = (again, -again - answered - exhausted, answered, exhausted, 0)
                self._file.execute(_COUNT, (customer_id, outdial_id, *moved))
        return [row["attempt"] for row in rows]


def _usable(held: dict[str, Any], limits: list[int]) -> bool:
    own = held["own_limits"]
    allowed = limits if own is None else orjson.loads(own)
    return any(
        held[f"has_{index}"] and not held["invalid_mask"] >> index & 1 and held["counts"][index] < allowed[index]
        for index in _PLACES
    )
