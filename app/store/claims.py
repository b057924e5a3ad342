"""Claims: takes due targets, and writes their attempts, counts and events, with the idempotency key.

On PostgreSQL that is one statement after the locks. SQLite, which is in this process and allows no writing statement
inside another, runs the same parts one after the other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import orjson

from app import clock, db, destinations, events, idempotency, ids, rows, tables, validation
from app.db import Transaction
from app.lifecycle import DESTINATIONS, AttemptState, OutdialState, TargetEventType, TargetStatus
from app.listing import Parameters
from app.records import Attempt
from app.store import counters

_PLACES = {"place": "integer", "attempt_id": "uuid"}
_BEGUN = tables.ATTEMPT.but("disposition", "call_id", "dialed_at", "ended_at")
"""The columns that a new attempt has; the others are set when it is dialed and ended."""

_TAKEN = tables.TARGET_ROW.only(
    *("id", "last_attempt_id", "last_index", "version"),
    *(f"{column}_{index}" for column in ("destination", "try_count") for index in range(DESTINATIONS)),
)
"""What an attempt and an event are made of."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a dialer asks for."""

    customer_id: str
    outdial_id: str
    limit: int
    dialer: str | None
    lease_seconds: int | None
    key: idempotency.Key | None


@dataclass(frozen=True, slots=True)
class Taken:
    """What came of it."""

    state: OutdialState | None
    """The outdial's; None if there is no such outdial."""
    known: idempotency.Stored | None
    """An earlier claim with the same key. Nothing was taken then."""
    attempts: Sequence[Attempt]


async def take_due(tx: Transaction, wish: Wish) -> Taken:
    """Lease due targets: of higher priority first, then the longest due.

    Nothing is taken from an outdial that is paused or deleted, nor if the key is known. If nothing is due, the key is
    not stored.
    """
    exclusive = () if wish.key is None else (wish.key.lock,)
    await tx.lock(wish.customer_id, exclusive=exclusive, shared=(wish.outdial_id,))
    return await (_take_at_once(tx, wish) if db.is_postgres() else _take_in_steps(tx, wish))


# ---------------------------------------------------------------- the parts


def _placing(due: str) -> str:
    """The rows to take, each with its place in the claim."""
    # MATERIALIZED: run once. If a plan ran it again for each row, it would lock and take more than the limit.
    return f"""
        due AS MATERIALIZED ({due}),
        placed AS MATERIALIZED (
            SELECT id, row_number() OVER (ORDER BY priority DESC, next_try_at, id) AS place FROM due
        )
    """


def _taking(*, now: str, leases: str, next_index: str) -> str:
    """Marks the rows of `placed` as progressing and counts the try. Attempt ids are given in the order of the claim.

    Args:
        now: the instant, in SQL.
        leases: the parameter with the places and the attempts' ids.
        next_index: the next destination, in SQL.
    """
    counts = ", ".join(
        f"try_count_{index} = try_count_{index} + CASE WHEN {next_index} = {index} THEN 1 ELSE 0 END"
        for index in range(DESTINATIONS)
    )
    return f"""
        UPDATE target SET status = '{TargetStatus.PROGRESSING}', next_try_at = NULL, version = version + 1,
            tm_update = CASE WHEN tm_update > {now} THEN tm_update ELSE {now} END,
            last_attempt_id = lease.attempt_id, last_index = {next_index}, {counts}
        FROM placed JOIN {db.rowset(leases, _PLACES, "lease")} ON lease.place = placed.place
        WHERE target.id = placed.id AND target.customer_id = $1
        RETURNING {_TAKEN.qualified}
    """


def _due_targets(limit: str, bound: int, now: str, next_index: str, condition: str) -> str:
    """Due targets, of higher priority first, then the longest due, then by id.

    Each priority is its own range in the index, read only as far as it is due: in one range over all priorities, a
    million targets of priority 9 that wait for tomorrow would be read before the one of priority 0 that is due.

    Args:
        limit: the parameter with the number to take.
        bound: at least as many, in the text: with a parameter alone, PostgreSQL plans for a tenth of the list, and
            sorts all of it.
        now: the instant, in SQL.
        next_index: the next destination, in SQL.
        condition: whether to take any.
    """
    branch = f"""
        SELECT id, priority, next_try_at FROM target
        WHERE customer_id = $1 AND outdial_id = $2 AND status = '{TargetStatus.IDLE}' AND tm_delete IS NULL
          AND priority = {{priority}} AND next_try_at <= {now} AND {next_index} IS NOT NULL
        ORDER BY next_try_at, id LIMIT {bound} {db.for_update("FOR UPDATE SKIP LOCKED")}
    """
    if db.is_postgres():
        # The join runs branch by branch and stops at the limit, so no more rows are locked than are taken. It keeps
        # the order of VALUES, because a lateral join has no other way to run; sorting would lock every branch's rows.
        priorities = ", ".join(f"({priority})" for priority in range(validation.PRIORITY_MAX, -1, -1))
        lateral = branch.format(priority="level.priority")
        return (
            f"SELECT ready.* FROM (VALUES {priorities}) AS level(priority) CROSS JOIN LATERAL ({lateral}) AS ready"
            f" WHERE {condition} LIMIT {limit}"
        )
    branches = " UNION ALL ".join(
        f"SELECT * FROM ({branch.format(priority=priority)})" for priority in range(validation.PRIORITY_MAX, -1, -1)
    )
    return f"SELECT * FROM ({branches}) WHERE {condition} ORDER BY priority DESC, next_try_at, id LIMIT {limit}"


_OPEN = f"state = '{OutdialState.ACTIVE}' AND tm_delete IS NULL"
"""A condition on an outdial: targets may be claimed from it."""


def _chosen(column: str) -> str:
    """The value of `column` with the number of the destination that the claim chose."""
    cases = " ".join(f"WHEN {index} THEN taken.{column}_{index}" for index in range(DESTINATIONS))
    return f"CASE taken.last_index {cases} END"


def _beginning(taken: str, *, now: str, expires: str, dialer: str, seconds: str) -> str:
    """Inserts an attempt for each taken target."""
    values = {
        "id": "taken.last_attempt_id",
        "customer_id": db.typed("$1", "uuid"),
        "outdial_id": db.typed("$2", "uuid"),
        "target_id": "taken.id",
        "destination_index": "taken.last_index",
        "destination": _chosen("destination"),
        "try_number": _chosen("try_count"),
        "state": f"'{AttemptState.CLAIMED}'",
        "detail": "''",
        "dialer": db.typed(dialer, "text"),
        "lease_seconds": seconds,
        "expires_at": expires,
        "claimed_at": now,
    }
    listed = ", ".join(values[column] for column in _BEGUN.kinds)
    return f"INSERT INTO attempt ({_BEGUN}) SELECT {listed} FROM {taken}"


def _telling(taken: str, *, now: str) -> str:
    """Inserts an event for each taken target, in the order of the claim."""
    counts = ", ".join(f"taken.try_count_{index}" for index in range(DESTINATIONS))
    values = {
        "customer_id": db.typed("$1", "uuid"),
        "outdial_id": db.typed("$2", "uuid"),
        "target_id": "taken.id",
        "type": f"'{TargetEventType.CLAIMED}'",
        "occurred_at": now,
        "count": "1",
        "status": f"'{TargetStatus.PROGRESSING}'",
        "previous_status": f"'{TargetStatus.IDLE}'",
        "try_counts": db.json_list(counts),
        "version": "taken.version",
        "destination_index": "taken.last_index",
        "attempt_id": "taken.last_attempt_id",
    }
    return events.inserting(values, source=taken, ordering="taken.last_attempt_id")


# ---------------------------------------------------------------- PostgreSQL


async def _take_at_once(tx: Transaction, wish: Wish) -> Taken:
    parameter = Parameters([wish.customer_id, wish.outdial_id])
    limit, leases, dialer = parameter(wish.limit), parameter(_leases(wish.limit)), parameter(wish.dialer)
    now = "(SELECT now_at FROM moment)"
    seconds = f"COALESCE({db.typed(parameter(wish.lease_seconds), 'integer')}, (SELECT lease_seconds FROM owner))"
    limits = [f"(SELECT CAST(max_try_counts ->> {index} AS INTEGER) FROM owner)" for index in range(DESTINATIONS)]
    next_index = destinations.next_index(limits)
    condition = f"EXISTS (SELECT 1 FROM owner WHERE {_OPEN}) AND NOT EXISTS (SELECT 1 FROM known)"
    parts = {
        "taken": _taking(now=now, leases=leases, next_index=next_index),
        "begun": _beginning(
            "taken", now=now, expires=f"{now} + make_interval(secs => {seconds})", dialer=dialer, seconds=seconds
        )
        + f" RETURNING {tables.ATTEMPT}",
        "counted": counters.moving(_COUNTED, slot=parameter(counters.slot()), source=_IF_ANY),
        "told": _telling("taken", now=now),
    }
    if wish.key is None:
        known = "SELECT NULL AS input_hash, NULL AS answer WHERE FALSE"
    else:
        known = idempotency.finding(wish.key, parameter, now=now)
        answer = "jsonb_agg(last_attempt_id ORDER BY last_attempt_id)"
        parts["kept"] = idempotency.keeping(wish.key, parameter, now=now, answer=answer, source=_IF_ANY)
    shift = db.typed(parameter(clock.shift), "interval")
    written = ", ".join(f"{name} AS ({sql})" for name, sql in parts.items())
    found = await tx.fetch(
        f"""
        WITH moment AS MATERIALIZED (SELECT clock_timestamp() + {shift} AS now_at),
        owner AS MATERIALIZED (
            SELECT state, tm_delete, max_try_counts, lease_seconds FROM outdial WHERE customer_id = $1 AND id = $2
        ),
        known AS MATERIALIZED ({known}),
        {_placing(_due_targets(limit, _bound(wish.limit), now, next_index, condition))},
        {written}
        SELECT owner.state AS outdial_state, owner.tm_delete AS gone_at, known.input_hash, known.answer, begun.*
        FROM owner LEFT JOIN known ON TRUE LEFT JOIN begun ON TRUE ORDER BY begun.id
        """,
        *parameter.values,
    )
    if not found:
        return Taken(None, None, ())
    if found[0]["id"] is not None:
        tx.wake(wish.outdial_id)
    return Taken(
        None if found[0]["gone_at"] is not None else OutdialState(found[0]["outdial_state"]),
        idempotency.stored(found[0]),
        [rows.attempt(row) for row in found if row["id"] is not None],
    )


_COUNTED = {"idle": "-count(*)", "progressing": "count(*)", "attempts": "count(*)"}
_IF_ANY = "taken HAVING count(*) > 0"


def _bound(limit: int) -> int:
    """One of a few numbers, so that there are few different statements to plan."""
    return next(bound for bound in (1, 10, 50, 100, 500) if bound >= limit)


def _leases(limit: int) -> str:
    return db.rows_value([{"place": place, "attempt_id": ids.new()} for place in range(1, limit + 1)])


# ---------------------------------------------------------------- SQLite


async def _take_in_steps(tx: Transaction, wish: Wish) -> Taken:
    owner = await tx.fetch(
        "SELECT state, tm_delete, max_try_counts, lease_seconds FROM outdial WHERE customer_id = $1 AND id = $2",
        wish.customer_id,
        wish.outdial_id,
    )
    if not owner:
        return Taken(None, None, ())
    instant = await tx.now()
    known = None if wish.key is None else await idempotency.find(tx, wish.key, instant)
    state = None if owner[0]["tm_delete"] is not None else OutdialState(owner[0]["state"])
    if known is not None or state is not OutdialState.ACTIVE:
        return Taken(state, known, ())
    parameter = Parameters([wish.customer_id, wish.outdial_id])
    limit, leases, now = parameter(wish.limit), parameter(_leases(wish.limit)), parameter(instant)
    next_index = destinations.next_index([parameter(tries) for tries in orjson.loads(owner[0]["max_try_counts"])])
    taken = await tx.fetch(
        f"""
        WITH {_placing(_due_targets(limit, _bound(wish.limit), now, next_index, "1 = 1"))}
        {_taking(now=now, leases=leases, next_index=next_index)}
        """,
        *parameter.values,
    )
    if not taken:
        return Taken(state, None, ())
    seconds = owner[0]["lease_seconds"] if wish.lease_seconds is None else wish.lease_seconds
    await _write_taken(tx, wish, [row["id"] for row in taken], instant, seconds)
    attempt_ids = sorted(row["last_attempt_id"] for row in taken)
    await idempotency.keep(tx, wish.key, attempt_ids, instant)
    begun = await tx.fetch(
        f"SELECT {tables.ATTEMPT} FROM attempt WHERE customer_id = $1 AND id {db.any_of('$2')} ORDER BY id",
        wish.customer_id,
        attempt_ids,
    )
    tx.wake(wish.outdial_id)
    return Taken(state, None, [rows.attempt(row) for row in begun])


async def _write_taken(tx: Transaction, wish: Wish, target_ids: Sequence[str], now: datetime, seconds: int) -> None:
    owner = [wish.customer_id, wish.outdial_id, list(target_ids)]
    taken = f"(SELECT {_TAKEN} FROM target WHERE customer_id = $1 AND id {db.any_of('$3')}) AS taken"
    await tx.fetch(
        _beginning(taken, now="$4", expires="$5", dialer="$6", seconds="$7"),
        *(*owner, now, now + timedelta(seconds=seconds), wish.dialer, seconds),
    )
    await tx.fetch(
        counters.moving(_COUNTED, slot="$4", source=f"{taken} WHERE 1 = 1"),
        *(*owner, counters.slot()),
    )
    await tx.fetch(_telling(taken, now="$4"), *owner, now)
