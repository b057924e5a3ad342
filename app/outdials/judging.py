"""Breakers of outdials: judged by housekeeping from the log, read and closed by owners.

An outdial has a row in `outdial_breaker` as long as its policy has a breaker. Calls are counted under the lock that
claims share. A change of the state takes that lock for itself, so a claim that is answered later goes by it.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import Enum, auto

from tortoise.queryset import QuerySet

from app import breakers, db, events, ids, metrics, models, rows, store, tables, validation
from app.auth import Viewer
from app.breakers import Judgement, Probe
from app.db import Transaction
from app.errors import Rejected, UserError
from app.events import Position
from app.lifecycle import AttemptState, Disposition, OutdialEventType
from app.outdials import walking
from app.pacing import Breaker, BreakerState, BreakerStatus
from app.records import DialPolicy, Outdial

JUDGED_TOGETHER_MAX = 100
"""Breakers that one statement looks for."""
STEPS_MAX = 20
"""Of one breaker in a round. What is left waits for the next."""
REST_SECONDS = 0.5
"""So long no other process judges what one has judged."""
_FIRST = (ids.ZERO, ids.ZERO)


# ---------------------------------------------------------------- reading


async def statuses(viewer: Viewer, outdial_ids: Sequence[str]) -> dict[str, BreakerStatus]:
    """How breakers stand, by outdial. Of one without a breaker, and of an unknown one: CLOSED."""
    now = db.instant_now("$3")
    found = await db.fetch(
        f"""
        SELECT {tables.OUTDIAL_BREAKER.qualified}, outdial.pacing, {now} AS now_at
        FROM outdial_breaker JOIN outdial ON outdial.customer_id = $1 AND outdial.id = outdial_breaker.outdial_id
        WHERE outdial_breaker.customer_id = $1 AND outdial_breaker.outdial_id {db.any_of("$2")}
        """,
        viewer.customer_id,
        list(outdial_ids),
        db.now_value(),
    )
    standing = {
        row["outdial_id"]: breakers.status_of(rows.judgement(row), _breaker(row), row["now_at"]) for row in found
    }
    return {outdial_id: standing.get(outdial_id, BreakerStatus()) for outdial_id in outdial_ids}


def _breaker(row: db.Row) -> Breaker:
    pacing = rows.pacing(row["pacing"])
    assert pacing is not None
    assert pacing.breaker is not None
    return pacing.breaker


# ---------------------------------------------------------------- owners


async def close_breaker(viewer: Viewer, outdial_id: str) -> Outdial:
    """Close the breaker of an outdial: it begins to count anew. If it is closed, nothing changes.

    Raises:
        Rejected: INVALID or NOT_FOUND.
    """
    errors: list[UserError] = []
    outdial_id = validation.object_id(outdial_id, errors, "id")
    if errors:
        raise Rejected(errors)
    return await db.transaction(_close, viewer, outdial_id)


async def _close(tx: Transaction, viewer: Viewer, outdial_id: str) -> Outdial:
    outdial = await store.lock_outdial(tx, viewer, outdial_id, "id", exclusive=True)
    found = await _stored(tx, outdial.customer_id, outdial_id).get_or_none()
    if found is not None and found.state != BreakerState.CLOSED:
        now = await tx.now()
        before = rows.judgement(tables.row_of(found))
        place = Position(found.epoch, found.tx, found.seq)
        await _write(tx, outdial.customer_id, outdial_id, before, breakers.closed(now), place, None, now)
    return outdial


async def keep_up(tx: Transaction, before: DialPolicy | None, outdial: Outdial, now: datetime) -> None:
    """Make or remove what is kept of a breaker after its policy was set. One that is changed keeps its state.

    Args:
        tx: the transaction, which has the outdial's lock for itself.
        before: the policy of before; None of a new outdial.
        outdial: with its policy.
        now: the instant.
    """
    had, has = before is not None and before.breaker is not None, outdial.dial_policy.breaker is not None
    if has and not had:
        place = await events.end_of_calls(tx, outdial.customer_id, outdial.id)
        await models.OutdialBreaker.create(
            using_db=tx.orm,
            customer_id=outdial.customer_id,
            outdial_id=outdial.id,
            judged_at=now,
            **rows.judgement_values(breakers.closed(now)),
            **place._asdict(),
        )
    elif had and not has:
        stored = _stored(tx, outdial.customer_id, outdial.id)
        found = await stored.get()
        await stored.delete()
        await _tell(tx, outdial.customer_id, outdial.id, BreakerState(found.state), BreakerState.CLOSED, now)


async def forget(tx: Transaction, outdial: Outdial) -> None:
    """Judge the breaker of a deleted outdial no more. It stays as it is."""
    if outdial.dial_policy.breaker is not None:
        await _stored(tx, outdial.customer_id, outdial.id).update(is_watched=0)


def _stored(tx: Transaction, customer_id: str, outdial_id: str) -> QuerySet[models.OutdialBreaker]:
    return models.OutdialBreaker.filter(customer_id=customer_id, outdial_id=outdial_id).using_db(tx.orm)


async def _write(
    tx: Transaction,
    customer_id: str,
    outdial_id: str,
    before: Judgement,
    after: Judgement,
    place: Position,
    settles_at: datetime | None,
    now: datetime,
) -> None:
    await _stored(tx, customer_id, outdial_id).update(
        **rows.judgement_values(after), **place._asdict(), settles_at=settles_at, judged_at=now
    )
    await _tell(tx, customer_id, outdial_id, before.state, after.state, now)


async def _tell(
    tx: Transaction, customer_id: str, outdial_id: str, before: BreakerState, after: BreakerState, now: datetime
) -> None:
    """What claims read of the outdial, and the event."""
    event_type = breakers.event_of(before, after)
    if event_type is None:
        return
    is_broken = int(event_type is OutdialEventType.BREAKER_OPENED)
    await walking.stored(tx, customer_id, outdial_id).update(is_broken=is_broken)
    await events.append_outdial(tx, event_type, customer_id=customer_id, outdial_id=outdial_id, occurred_at=now)


# ---------------------------------------------------------------- housekeeping


async def judge_breakers() -> None:
    """Judge all breakers of which something may have changed. Housekeeping calls this each second."""
    last = _FIRST
    while True:
        found = await _waiting(last)
        upto: dict[str, Position] = {}
        for row in found:
            customer_id, outdial_id = last = row["customer_id"], row["outdial_id"]
            if customer_id not in upto:
                upto[customer_id] = await events.position(customer_id)
            await _judge(customer_id, outdial_id, upto[customer_id])
        if len(found) < JUDGED_TOGETHER_MAX:
            return


async def _waiting(last: tuple[str, str]) -> list[db.Row]:
    """The next breakers with a probe under way, with counted calls that will count no longer, or with unread events."""
    return await db.fetch(
        f"""
        SELECT customer_id, outdial_id FROM outdial_breaker AS breaker
        WHERE is_watched = 1 AND (customer_id, outdial_id) > ($1, $2)
        AND (judged_at <= {db.instant_ago("$3")} OR judged_at > {db.instant_ago("$4")})
        AND (state = '{BreakerState.PROBING}' OR settles_at > {db.instant_ago("$4")} OR EXISTS (
            SELECT 1 FROM target_event AS event
            WHERE event.customer_id = breaker.customer_id AND event.outdial_id = breaker.outdial_id
            AND (event.epoch, event.tx, event.seq) > (breaker.epoch, breaker.tx, breaker.seq)
        ))
        ORDER BY customer_id, outdial_id LIMIT {JUDGED_TOGETHER_MAX}
        """,
        *last,
        db.ago_value(timedelta(seconds=REST_SECONDS)),
        db.ago_value(timedelta(0)),
    )


class _Step(Enum):
    """What comes after a step."""

    NONE = auto()
    MORE = auto()
    """There may be more events."""
    ALONE = auto()
    """The state changes. Nothing was written: the same again, with the outdial's lock alone."""


async def _judge(customer_id: str, outdial_id: str, upto: Position) -> None:
    following = _Step.MORE
    for _ in range(STEPS_MAX):
        is_alone = following is _Step.ALONE
        following, event_type = await db.transaction(_step, customer_id, outdial_id, upto, is_alone=is_alone)
        if event_type is OutdialEventType.BREAKER_OPENED:
            metrics.opened_breakers.inc()
        if following is _Step.NONE:
            return


async def _step(
    tx: Transaction, customer_id: str, outdial_id: str, upto: Position, *, is_alone: bool
) -> tuple[_Step, OutdialEventType | None]:
    """Count the next calls, and judge."""
    name = (outdial_id,)
    await tx.lock(customer_id, exclusive=name if is_alone else (), shared=() if is_alone else name)
    found = await tx.fetch(
        f"""
        SELECT {tables.OUTDIAL_BREAKER.qualified}, outdial.pacing,
            attempt.state AS probe_state, attempt.disposition AS probe_disposition
        FROM outdial_breaker JOIN outdial ON outdial.customer_id = $1 AND outdial.id = outdial_breaker.outdial_id
        LEFT JOIN attempt ON attempt.customer_id = $1 AND attempt.id = outdial_breaker.probe_attempt_id
        WHERE outdial_breaker.customer_id = $1 AND outdial_breaker.outdial_id = $2
        {db.for_update("FOR UPDATE OF outdial_breaker SKIP LOCKED")}
        """,
        customer_id,
        outdial_id,
    )
    if not found:  # another process judges it, or it was removed meanwhile
        return _Step.NONE, None
    row, before, breaker = found[0], rows.judgement(found[0]), _breaker(found[0])
    place = Position(row["epoch"], row["tx"], row["seq"])
    calls, place, has_more = await events.calls(tx, customer_id, outdial_id, after=place, upto=upto)
    now = await tx.now()
    after = breakers.counted(before, breaker, calls)
    if not has_more:
        after = breakers.judged(after, breaker, now, _probe(row))
    if after.state is not before.state and not is_alone:
        return _Step.ALONE, None
    settles_at = breakers.settles_at(after, breaker)
    await _write(tx, customer_id, outdial_id, before, after, place, settles_at, now)
    return _Step.MORE if has_more else _Step.NONE, breakers.event_of(before.state, after.state)


def _probe(row: db.Row) -> Probe | None:
    if row["probe_state"] is None:
        return None
    disposition = row["probe_disposition"]
    return breakers.probe_of(
        AttemptState(row["probe_state"]), None if disposition is None else Disposition(disposition)
    )
