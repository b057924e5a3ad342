"""Claims on SQLite: the same parts as on PostgreSQL, one after the other, in one hop to the database's thread.

It allows no writing statement inside another, and there is one writer, so nothing has to be locked.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from app import db, idempotency, ids, pacing, rows
from app.db import Transaction
from app.lifecycle import OutdialState
from app.listing import Parameters
from app.store import awake, capping_on_sqlite, counters, due, grouping, lulling, permits, probing, taking
from app.store import pacing as pace
from app.store.claim_statement import COUNTED, HAS_SUPPRESSIONS, shown_columns
from app.store.wishes import Taken, Wish, attempts_of, kind_for


async def take(tx: Transaction, wish: Wish) -> Taken:
    """Take what is due, in the steps that are one statement on PostgreSQL."""
    owner = await tx.fetch(
        f"""
        SELECT state, tm_delete, max_try_counts, lease_seconds, {HAS_SUPPRESSIONS} AS has_suppressions,
            {awake.POLICY}, caps, pacing, starts_at, ends_at, has_reserved, is_broken
        FROM outdial WHERE customer_id = $1 AND id = $2
        """,
        wish.customer_id,
        wish.outdial_id,
    )
    if not owner:
        return Taken(None, None, ())
    lulling.note(wish.outdial_id, has_suppressions=bool(owner[0]["has_suppressions"]))
    instant = await tx.now()
    known = None if wish.key is None else await idempotency.find(tx, wish.key, instant)
    state = None if owner[0]["tm_delete"] is not None else OutdialState(owner[0]["state"])
    is_running = pacing.is_running(owner[0]["starts_at"], owner[0]["ends_at"], instant)
    if known is not None or state is not OutdialState.ACTIVE or not is_running:
        return Taken(state, known, ())

    async def read() -> list[db.Row]:
        return await tx.fetch(grouping.READING, wish.customer_id, wish.outdial_id)

    has_hours = owner[0]["calling_hours"] is not None
    hours = await awake.look(wish.outdial_id, owner[0], instant, read) if has_hours else None
    if hours is not None and not hours.is_open:
        return Taken(state, None, ())
    allowed = await _allowed(tx, wish, owner[0], instant)
    if allowed is None or allowed.targets >= wish.limit:
        return await _take_open(tx, wish, owner[0], instant, hours, limit=wish.limit)
    if allowed.targets == 0:
        return Taken(state, None, (), allowed.more_at)
    taken = await _take_open(tx, wish, owner[0], instant, hours, limit=allowed.targets)
    return replace(taken, throttled_until=allowed.more_at) if len(taken.attempts) == allowed.targets else taken


async def _allowed(tx: Transaction, wish: Wish, owner: db.Row, now: datetime) -> pacing.Allowance | None:
    """What the pace and the breaker allow; None if they do not limit claims."""
    asked, of_pace, of_breaker = rows.pacing(owner["pacing"]), None, None
    if asked is not None and asked.limits_claims:
        usage = await pace.usage(tx, wish.customer_id, wish.outdial_id, asked, now)
        of_pace = pacing.allowance(asked, usage, now)
    if owner["is_broken"]:
        of_breaker = await probing.allowed(tx, wish.customer_id, wish.outdial_id, now)
    return pacing.least(of_pace, of_breaker)


async def _take_open(
    tx: Transaction, wish: Wish, owner: db.Row, instant: datetime, hours: awake.Known | None, *, limit: int
) -> Taken:
    """Take up to `limit` targets that are due from an outdial that is open."""
    state = OutdialState(owner["state"])
    dialer = wish.dialer if owner["has_reserved"] else None
    placed = (
        await capping_on_sqlite.take_place(
            tx,
            owner,
            instant,
            hours,
            ids_of=(wish.customer_id, wish.outdial_id, dialer),
            limit=limit,
            looks=wish.limit,
        )
        if owner["caps"] != "[]"
        else None
    )
    parameter = Parameters([wish.customer_id, wish.outdial_id])
    given, most, now = parameter([ids.new() for _ in range(limit)]), parameter(limit), parameter(instant)
    # a join would compare each place with each attempt
    attempt_id = f"json_extract({given}, '$[' || (placed.place - 1) || ']')"
    kind = kind_for([wish])
    returning = ", ".join([taking.TAKEN.qualified, *shown_columns(kind)])
    if placed is None:
        limits, suppressed = capping_on_sqlite.rules(owner, now, parameter)
        looked = capping_on_sqlite.due_targets(most, limit, now, limits, suppressed, hours, parameter, dialer=dialer)
        chosen = due.placing(looked)
    else:
        listed = db.rowset(parameter(db.rows_value(placed)), _PLACED, "given")
        chosen = f"placed AS MATERIALIZED (SELECT * FROM {listed})"
    marking = taking.marking("placed", now=now, attempt_id=attempt_id, returning=returning)
    taken = await tx.fetch(f"WITH {chosen} {marking}", *parameter.values)
    if not taken:
        return Taken(state, None, ())
    seconds = owner["lease_seconds"] if wish.lease_seconds is None else wish.lease_seconds
    await _write_taken(tx, wish, [row["id"] for row in taken], instant, seconds, owner, hours)
    attempt_ids = sorted(row["last_attempt_id"] for row in taken)
    if owner["is_broken"]:
        await probing.begin(tx, wish.customer_id, wish.outdial_id, attempt_ids[0])
    await idempotency.keep(tx, wish.key, attempt_ids, instant)
    tx.wake(wish.outdial_id)
    made = await attempts_of(tx.fetch, wish.customer_id, attempt_ids)
    if kind is None:
        return Taken(state, None, made)
    targets = {row["id"]: kind(tuple(row.values())[len(taking.TAKEN.kinds) :]) for row in taken}
    return Taken(state, None, [rows.with_target(attempt, targets[attempt.target_id]) for attempt in made])


_PLACED = {"id": "uuid", "next_index": "integer", "place": "integer"}


async def _write_taken(
    tx: Transaction,
    wish: Wish,
    target_ids: Sequence[str],
    now: datetime,
    seconds: int,
    owner: db.Row,
    hours: awake.Known | None,
) -> None:
    ids_of = [wish.customer_id, wish.outdial_id, list(target_ids)]
    taken = f"(SELECT {taking.TAKEN} FROM target WHERE customer_id = $1 AND id {db.any_of('$3')}) AS taken"
    parameter = Parameters([*ids_of, now, now + timedelta(seconds=seconds), wish.dialer, seconds])
    capped = capping_on_sqlite.caps(rows.caps(owner["caps"]), now, parameter) if owner["caps"] != "[]" else None
    permit = permits.on_sqlite(owner, hours, capped, parameter)
    await tx.fetch(
        taking.beginning(taken, now="$4", expires="$5", dialer="$6", seconds="$7", permit=permit), *parameter.values
    )
    await tx.fetch(
        counters.moving(COUNTED, slot="$4", source=f"{taken} WHERE 1 = 1"),
        *(*ids_of, counters.slot()),
    )
    await tx.fetch(taking.telling(taken, now="$4"), *ids_of, now)
