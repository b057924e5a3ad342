"""On PostgreSQL: one statement for each call, which is its own transaction."""

import asyncio
import random
from functools import cache
from typing import Any, Self

import asyncpg
import orjson

from app import destinations, ids

SLOTS = 16
CHANNEL = "outdial"
_PLACES = range(5)
_TRY_COUNTS = "jsonb_build_array(try_count_0, try_count_1, try_count_2, try_count_3, try_count_4)"
_EPOCH = "(SELECT epoch FROM customer WHERE customer_id = $1)"
_TX = "CAST(CAST(pg_current_xact_id() AS text) AS bigint)"
_NEXT = destinations.next_index([f"limit_{index}" for index in _PLACES])
_USABLE = destinations.any_usable([f"limit_{index}" for index in _PLACES])
_LIMITS = ", ".join(f"CAST(max_try_counts ->> {index} AS INTEGER) AS limit_{index}" for index in _PLACES)
_LIMIT_NAMES = ", ".join(f"limit_{index}" for index in _PLACES)
_DESTINATION = " ".join(f"WHEN {index} THEN destination_{index}" for index in _PLACES)
_TRY_COUNT = " ".join(f"WHEN {index} THEN try_count_{index}" for index in _PLACES)
_COUNT_TRY = ", ".join(f"try_count_{n} = try_count_{n} + CAST(placed.next_index = {n} AS INTEGER)" for n in _PLACES)


@cache
def claim_statement(limit: int, *, keyed: bool) -> str:
    """$1 customer, $2 outdial, $3 dialer, $4 lease seconds, $5 attempt ids, $6 slot; if keyed $7 key, $8 its hash.

    The limit stands in the text: PostgreSQL would plan a limit that is a parameter anew for each call, or for a tenth
    of the table.
    """
    key = """, kept AS (
        INSERT INTO idempotency_key (customer_id, mutation, key, input_hash, answer, tm_create)
        SELECT $1, 'claimTargets', $7, $8, jsonb_agg(last_attempt_id ORDER BY last_attempt_id), now()
        FROM taken HAVING count(*) > 0
    )"""
    return f"""
    WITH policy AS MATERIALIZED (
        SELECT {_LIMITS} FROM outdial WHERE customer_id = $1 AND id = $2 AND state = 'ACTIVE' AND tm_delete IS NULL
    ), due AS MATERIALIZED (
        SELECT ready.* FROM policy
        CROSS JOIN (VALUES (9), (8), (7), (6), (5), (4), (3), (2), (1), (0)) AS level(priority)
        CROSS JOIN LATERAL (
            SELECT id, priority, next_try_at, {_NEXT} AS next_index FROM target
            WHERE customer_id = $1 AND outdial_id = $2 AND status = 'IDLE' AND tm_delete IS NULL
              AND priority = level.priority AND next_try_at <= now() AND {_NEXT} IS NOT NULL
            ORDER BY next_try_at, id LIMIT {limit} FOR UPDATE SKIP LOCKED
        ) AS ready LIMIT {limit}
    ), placed AS (
        SELECT id, next_index, ($5::uuid[])[row_number() OVER (ORDER BY priority DESC, next_try_at, id)] AS attempt_id
        FROM due
    ), taken AS (
        UPDATE target SET status = 'PROGRESSING', next_try_at = NULL, version = version + 1,
            tm_update = greatest(tm_update, now()), last_attempt_id = placed.attempt_id,
            last_index = placed.next_index, {_COUNT_TRY}
        FROM placed WHERE target.customer_id = $1 AND target.id = placed.id
        RETURNING target.id, name, version, last_attempt_id, last_index, {_TRY_COUNTS} AS try_counts,
            CASE last_index {_DESTINATION} END AS destination, CASE last_index {_TRY_COUNT} END AS try_number
    ), made AS (
        INSERT INTO attempt (id, customer_id, outdial_id, target_id, destination_index, destination, try_number, state,
            dialer, lease_seconds, expires_at, claimed_at, permit)
        SELECT last_attempt_id, $1, $2, id, last_index, destination, try_number, 'CLAIMED', $3, $4::integer,
            now() + make_interval(secs => $4::integer), now(), '{{"version": 1}}' FROM taken
    ), counted AS (
        INSERT INTO outdial_counter AS kept (customer_id, outdial_id, slot, idle, progressing, attempts)
        SELECT $1, $2, $6, -count(*), count(*), count(*) FROM taken HAVING count(*) > 0
        ON CONFLICT (customer_id, outdial_id, slot) DO UPDATE SET idle = kept.idle + excluded.idle,
            progressing = kept.progressing + excluded.progressing, attempts = kept.attempts + excluded.attempts
    ), told AS (
        INSERT INTO target_event (epoch, tx, customer_id, outdial_id, target_id, type, occurred_at, count, status,
            previous_status, try_counts, version, destination_index, attempt_id)
        SELECT {_EPOCH}, {_TX}, $1, $2, id, 'CLAIMED', now(), 1, 'PROGRESSING', 'IDLE', try_counts, version, last_index,
            last_attempt_id FROM taken ORDER BY last_attempt_id
    ){key if keyed else ""}
    SELECT last_attempt_id AS id, name, destination FROM taken ORDER BY id
    """


START = f"""
    WITH told_of AS (
        SELECT attempt.id AS attempt_id, target_id, destination_index, lease_seconds, call_id_given
        FROM unnest($2::uuid[], $3::text[]) AS given(attempt_id, call_id_given)
        JOIN attempt ON attempt.customer_id = $1 AND attempt.id = given.attempt_id
        WHERE attempt.state = 'CLAIMED' AND attempt.expires_at > now()
    ), dialing AS (
        UPDATE target SET version = version + 1, tm_update = greatest(tm_update, now()) FROM told_of
        WHERE target.customer_id = $1 AND target.id = told_of.target_id AND status = 'PROGRESSING'
          AND last_attempt_id = told_of.attempt_id AND tm_delete IS NULL
        RETURNING target.id, outdial_id, version, {_TRY_COUNTS} AS try_counts, told_of.*
    ), placed AS (
        UPDATE attempt SET state = 'DIALING', call_id = call_id_given, dialed_at = now(),
            expires_at = now() + make_interval(secs => attempt.lease_seconds)
        FROM dialing WHERE attempt.customer_id = $1 AND attempt.id = dialing.attempt_id
    ), told AS (
        INSERT INTO target_event (epoch, tx, customer_id, outdial_id, target_id, type, occurred_at, count, status,
            previous_status, try_counts, version, destination_index, attempt_id)
        SELECT {_EPOCH}, {_TX}, $1, outdial_id, id, 'DIALING', now(), 1, 'PROGRESSING', 'PROGRESSING', try_counts,
            version, destination_index, attempt_id FROM dialing
    )
    SELECT attempt_id AS id, outdial_id FROM dialing
"""

COMPLETE = f"""
    WITH ended AS (
        SELECT attempt.id AS attempt_id, target_id, destination_index, given.disposition, retry_interval_seconds,
            {_LIMIT_NAMES}
        FROM unnest($2::uuid[], $3::text[]) AS given(attempt_id, disposition)
        JOIN attempt ON attempt.customer_id = $1 AND attempt.id = given.attempt_id
        JOIN (SELECT id AS policy_id, retry_interval_seconds, {_LIMITS} FROM outdial WHERE customer_id = $1) AS policy
          ON policy_id = attempt.outdial_id
        WHERE attempt.state IN ('CLAIMED', 'DIALING') AND attempt.expires_at > now()
    ), moved AS (
        UPDATE target SET version = version + 1, tm_update = greatest(tm_update, now()),
            status = CASE WHEN disposition <> 'ANSWERED' AND {_USABLE} THEN 'IDLE' ELSE 'DONE' END,
            done_reason = CASE WHEN disposition = 'ANSWERED' THEN 'ANSWERED' WHEN {_USABLE} THEN NULL
                ELSE 'EXHAUSTED' END,
            next_try_at = CASE WHEN disposition <> 'ANSWERED' AND {_USABLE}
                THEN now() + make_interval(secs => retry_interval_seconds) END
        FROM ended
        WHERE target.customer_id = $1 AND target.id = ended.target_id AND status = 'PROGRESSING'
          AND last_attempt_id = ended.attempt_id AND tm_delete IS NULL
        RETURNING target.id, outdial_id, version, status, done_reason, next_try_at, {_TRY_COUNTS} AS try_counts,
            attempt_id, destination_index, disposition
    ), reported AS (
        UPDATE attempt SET state = 'COMPLETED', disposition = moved.disposition, expires_at = NULL, ended_at = now()
        FROM moved WHERE attempt.customer_id = $1 AND attempt.id = moved.attempt_id
    ), counted AS (
        INSERT INTO outdial_counter AS kept (customer_id, outdial_id, slot, idle, progressing, answered, exhausted)
        SELECT $1, outdial_id, $4, count(*) FILTER (WHERE status = 'IDLE'), -count(*),
            count(*) FILTER (WHERE done_reason = 'ANSWERED'), count(*) FILTER (WHERE done_reason = 'EXHAUSTED')
        FROM moved GROUP BY outdial_id
        ON CONFLICT (customer_id, outdial_id, slot) DO UPDATE SET idle = kept.idle + excluded.idle,
            progressing = kept.progressing + excluded.progressing, answered = kept.answered + excluded.answered,
            exhausted = kept.exhausted + excluded.exhausted
    ), told AS (
        INSERT INTO target_event (epoch, tx, customer_id, outdial_id, target_id, type, occurred_at, count, status,
            previous_status, done_reason, try_counts, next_try_at, version, destination_index, attempt_id, disposition)
        SELECT {_EPOCH}, {_TX}, $1, outdial_id, id, 'COMPLETED', now(), 1, status, 'PROGRESSING', done_reason,
            try_counts, next_try_at, version, destination_index, attempt_id, disposition FROM moved
    )
    SELECT attempt_id AS id, outdial_id FROM moved
"""


class _Lasting(asyncpg.Connection):
    """The pool sends nothing when it gets a connection back: no session state is ever set."""

    def get_reset_query(self) -> str:
        return ""


async def _ids_as_text(connection: Any) -> None:
    await connection.set_type_codec("uuid", schema="pg_catalog", encoder=str, decoder=str, format="text")


class Postgres:
    """The three calls on a pool of connections, and one connection that wakes."""

    def __init__(self, pool: Any, waking: Any) -> None:
        self._pool = pool
        self._waking = waking
        self._changed: set[str] = set()
        self._said = asyncio.Event()
        self._waker = asyncio.create_task(self._wake())

    @classmethod
    async def connected(cls, url: str, pool_size: int) -> Self:
        pool = await asyncpg.create_pool(
            url, min_size=pool_size, max_size=pool_size, connection_class=_Lasting, init=_ids_as_text
        )
        return cls(pool, await asyncpg.connect(url))

    async def close(self) -> None:
        self._waker.cancel()
        await self._waking.close()
        await self._pool.close()

    async def _wake(self) -> None:
        """After commits: one message for all outdials that changed since the last one."""
        while True:
            await self._said.wait()
            self._said.clear()
            changed, self._changed = self._changed, set()
            await self._waking.execute("SELECT pg_notify($1, $2)", CHANNEL, ",".join(sorted(changed)))

    def _changed_were(self, outdial_ids: set[str]) -> None:
        self._changed |= outdial_ids
        self._said.set()

    async def claim(
        self, customer_id: str, outdial_id: str, limit: int, dialer: str, lease_seconds: int, key: str | None
    ) -> list[dict[str, Any]]:
        found = await self._pool.fetch(
            claim_statement(limit, keyed=key is not None),
            *(customer_id, outdial_id, dialer, lease_seconds),
            [ids.new() for _ in range(limit)],
            random.randrange(SLOTS),
            *(() if key is None else (key, "of the input")),
        )
        if found:
            self._changed_were({outdial_id})
        made = []
        for row in found:
            place = orjson.loads(row["destination"])
            shown = {"type": place["type"].upper(), "target": place["target"]}
            made.append({"id": row["id"], "state": "CLAIMED", "destination": shown, "target": {"name": row["name"]}})
        return made

    async def start(self, customer_id: str, starts: list[tuple[str, str]]) -> list[str]:
        found = await self._pool.fetch(START, customer_id, *_columns(starts))
        self._changed_were({row["outdial_id"] for row in found})
        return [row["id"] for row in found]

    async def complete(self, customer_id: str, results: list[tuple[str, str]]) -> list[str]:
        found = await self._pool.fetch(COMPLETE, customer_id, *_columns(results), random.randrange(SLOTS))
        self._changed_were({row["outdial_id"] for row in found})
        return [row["id"] for row in found]


def _columns(pairs: list[tuple[str, str]]) -> tuple[list[str], list[str]]:
    return [first for first, _ in pairs], [second for _, second in pairs]
