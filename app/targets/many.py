"""Changes of many targets: those of an outdial that match, in steps with a transaction each."""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

from app import db, idempotency, rows, store, tables
from app.auth import Viewer
from app.changes import Change, events_of_all
from app.db import Transaction
from app.errors import LimitExceeded, Rejected, UserErrorCode, rejected
from app.lifecycle import TargetStatus
from app.listing import Parameters
from app.pagination import Place
from app.records import Attempt, CalledTarget, ChangedTargets, Outdial, TargetFilter
from app.tables import Columns
from app.targets import reading

CHANGED_TARGETS_MAX = 10_000
"""In a call."""
STEP_TARGETS_MAX = 1_000
"""In one transaction: a longer one would delay every subscriber."""
WORK_SECONDS_MAX = 10.0
"""Of a call: no step begins later."""
ROUNDS_MAX = 3
"""Of a call through the list: one round misses a target that goes back in its life, such as when it is released."""
COUNT_SECONDS_MAX = 5.0
"""Then a dry run is refused, and what is left after a change is not counted."""

T = TypeVar("T", bound=CalledTarget)


@dataclass(frozen=True, slots=True)
class Facts:
    """What a step decides by."""

    outdial: Outdial
    is_guarded: bool
    """Whether the customer has ever suppressed an address."""
    now: datetime


@dataclass(frozen=True, slots=True)
class Reading(Generic[T]):
    """What is read of each target."""

    columns: Columns
    make: Callable[[db.Row], T]


def _called(row: db.Row) -> CalledTarget:
    return rows.Reader().called_target(tuple(row.values())[: len(rows.CALLED_VALUES)])


WHOLE = Reading(tables.TARGET, rows.target)
CALLED = Reading(tables.TARGET.only(*rows.CALLED_VALUES, "tm_create"), _called)
"""Without what only owners read and write, which may be long."""


@dataclass(frozen=True, slots=True)
class Work(Generic[T]):
    """A change of the targets of an outdial that match."""

    mutation: str
    """Its name, for the idempotency key."""
    outdial_id: str
    where: TargetFilter
    statuses: Sequence[TargetStatus]
    """Only targets with these."""
    reading: Reading[T]
    matching: Callable[[Facts, Parameters], str] | None
    """A condition besides status and filter: the target would change. Of one that was changed it is false. None: all
    would."""
    decide: Callable[[Transaction, Sequence[T], Facts], Awaitable[tuple[Sequence[Change[T]], Sequence[Attempt]]]]
    """The changes of locked targets, and the attempts that they end."""
    is_of_few: bool = False
    """`matching` leaves few targets, and an index finds them."""

    @property
    def has_few(self) -> bool:
        return self.is_of_few or reading.is_of_few(self.where)

    def parts(self) -> list[TargetFilter]:
        """The filter, in parts of one status or done reason: each is a range of an index, in the order of the list.

        The order is that of a target's life, so one that moves on meanwhile is met.
        """
        if self.has_few:
            return [self.where]
        found = []
        for status in self.statuses:
            if self.where.statuses and status not in self.where.statuses:
                continue
            if status is TargetStatus.DONE and self.where.done_reasons:
                reasons = dict.fromkeys(self.where.done_reasons)
                found += [replace(self.where, statuses=(), done_reasons=(reason,)) for reason in reasons]
            elif not self.where.done_reasons:
                found.append(replace(self.where, statuses=(status,)))
        return found

    def matched(self, viewer: Viewer, facts: Facts, where: TargetFilter, parameter: Parameters) -> str:
        """A condition: a target matches the filter, or a part of it, and would change."""
        met = [reading.conditions_of(viewer, where)(parameter)]
        if self.matching is not None:
            met.append(self.matching(facts, parameter))
        if where is self.where:  # a part has its status
            met.append(f"status {db.any_of(parameter([status.value for status in self.statuses]), 'text')}")
        return " AND ".join(met)


async def change(
    viewer: Viewer, work: Work[Any], *, dry_run: bool, idempotency_key: str | None, value: object
) -> ChangedTargets:
    """Change up to CHANGED_TARGETS_MAX targets.

    A call with a key that was cut off is carried on by the next one with it. Calls with one key at the same time share
    the work.

    Args:
        viewer: the caller.
        work: what to change. Its input is checked, and so is the key.
        dry_run: only count.
        idempotency_key: of the caller.
        value: the whole input but the key.

    Raises:
        Rejected: NOT_FOUND, or CONFLICT if the key was used with another input.
        LimitExceeded: of a dry run, counting takes too long.
    """
    if dry_run:
        total = await _count(viewer, work)
        return ChangedTargets(min(total, CHANGED_TARGETS_MAX), max(0, total - CHANGED_TARGETS_MAX))
    key = idempotency.key_of(viewer, work.mutation, idempotency_key, value)
    until = time.monotonic() + WORK_SECONDS_MAX
    answer, met = ChangedTargets(0, 0), set[str]()
    for _ in range(ROUNDS_MAX):
        taken = await _go_through(viewer, work, key, answer.count, met, until)
        if isinstance(taken, ChangedTargets):
            return taken
        done, is_over = taken
        answer = ChangedTargets(done, await _remaining(viewer, work, done, is_over=is_over))
        if not is_over or not answer.remaining:
            break
    return answer if key is None or not answer.count else await db.transaction(_settle, key, answer)


async def _go_through(
    viewer: Viewer, work: Work[Any], key: idempotency.Key | None, done: int, met: set[str], until: float
) -> tuple[int, bool] | ChangedTargets:
    """Change the targets that match, once through the list.

    Args:
        viewer: the caller.
        work: what to change.
        key: of the call.
        done: how many were changed before.
        met: their ids, which are added to. A target that somebody else changes back is not changed again.
        until: no step begins later.

    Returns:
        How many are changed now, and whether all were looked at; or the answer of the call that had the key.
    """
    for where in work.parts():
        place: Place | None = None
        while True:
            if done >= CHANGED_TARGETS_MAX or time.monotonic() > until:
                return done, False
            step = await db.transaction(_step, viewer, work, key, where, place, done, met)
            if isinstance(step, ChangedTargets):
                return step
            done, place = step.done, step.place
            met |= step.changed
            if place is None:
                break
    return done, True


@dataclass(frozen=True, slots=True)
class _Step:
    done: int
    """How many were changed up to now."""
    place: Place | None = None
    """Of the last one in the list; None at the end."""
    changed: AbstractSet[str] = frozenset()
    """The ids of those that the step changed."""


async def _step(
    tx: Transaction,
    viewer: Viewer,
    work: Work[Any],
    key: idempotency.Key | None,
    where: TargetFilter,
    place: Place | None,
    done: int,
    met: AbstractSet[str],
) -> ChangedTargets | _Step:
    """Change the next targets that match, after a place in the list; or find the answer of an earlier call."""
    first = await idempotency.begin(tx, key)
    if first is not None:
        if first["remaining"] is not None:
            return ChangedTargets(first["count"], first["remaining"])
        done = first["count"]  # by an earlier call with this key, which has not ended or was cut off
        if done >= CHANGED_TARGETS_MAX:
            return _Step(done)
    outdial, is_guarded = await store.lock_outdial_and_look(tx, viewer, work.outdial_id, "outdial_id")
    facts = Facts(outdial, is_guarded, await tx.now())
    limit = min(STEP_TARGETS_MAX, CHANGED_TARGETS_MAX - done)
    found = await _lock(tx, viewer, work, facts, where, place, limit)
    if not found:
        return _Step(done)
    changes, attempts = await work.decide(tx, [work.reading.make(row) for row in found if row["id"] not in met], facts)
    await store.save(tx, changes, attempts=attempts, told=events_of_all(outdial, changes))
    done += len(changes)
    if done:
        await idempotency.keep(tx, key, {"count": done, "remaining": None}, facts.now)
    instant, target_id = max((row["tm_create"], row["id"]) for row in found)
    return _Step(done, Place(instant, target_id), frozenset(change.after.id for change in changes))


async def _lock(
    tx: Transaction,
    viewer: Viewer,
    work: Work[Any],
    facts: Facts,
    where: TargetFilter,
    place: Place | None,
    limit: int,
) -> Sequence[db.Row]:
    """The next targets that match, locked in the order of ids as all that lock several."""
    parameter = Parameters()
    met = work.matched(viewer, facts, where, parameter)
    outdial = parameter(work.outdial_id)
    further = ""
    if place is not None:
        further = f" AND (tm_create, id) > ({parameter(place.instant)}, {parameter(place.id)})"
    parent = reading.LISTING.parent_of(few=work.has_few)
    chosen = f"SELECT id FROM target WHERE {parent} = {outdial} AND {met}{further} ORDER BY tm_create, id LIMIT {limit}"
    # The condition is there twice: if PostgreSQL waited for a row, it checks only the outer condition again.
    return await tx.fetch(
        f"""
        SELECT {work.reading.columns} FROM target
        WHERE id {db.any_found(chosen)} AND {reading.LISTING.parent_of(few=True)} = {outdial} AND {met}
        ORDER BY id {db.for_update()}
        """,
        *parameter.values,
    )


async def _settle(tx: Transaction, key: idempotency.Key, answer: ChangedTargets) -> ChangedTargets:
    """The work of a key is done: from now on, each call with it has this answer."""
    first: Mapping[str, Any] | None = await idempotency.begin(tx, key)
    if first is not None and first["remaining"] is not None:
        return ChangedTargets(first["count"], first["remaining"])
    await idempotency.keep(tx, key, {"count": answer.count, "remaining": answer.remaining}, await tx.now())
    return answer


# ---------------------------------------------------------------- counting


async def _count(viewer: Viewer, work: Work[Any]) -> int:
    """How many targets match. Outside of a transaction: a long one would delay every subscriber.

    Raises:
        Rejected: NOT_FOUND.
        LimitExceeded: it takes too long.
    """
    facts = await _look(viewer, work.outdial_id)
    if work.matching is None and not work.has_few:  # then the outdial's counters say it
        counted = [await reading.counts(viewer, [work.outdial_id], where=part) for part in work.parts()]
        return sum(each[work.outdial_id] for each in counted)
    parameter = Parameters()
    met = work.matched(viewer, facts, work.where, parameter)
    parent = reading.LISTING.parent_of(few=work.has_few)
    found = await db.fetch_within(
        COUNT_SECONDS_MAX,
        f"SELECT count(*) AS total FROM target WHERE {parent} = {parameter(work.outdial_id)} AND {met}",
        *parameter.values,
    )
    total: int = found[0]["total"]
    return total


async def _remaining(viewer: Viewer, work: Work[Any], done: int, *, is_over: bool) -> int:
    """How many targets still match. If counting takes too long: 1, or 0 if all were looked at."""
    try:
        return await _count(viewer, work)
    except LimitExceeded:
        return 0 if is_over else 1
    except Rejected:
        if not done:
            raise
        return 0  # the outdial was deleted meanwhile


async def _look(viewer: Viewer, outdial_id: str) -> Facts:
    found = await db.fetch(
        f"""
        SELECT {tables.OUTDIAL}, {db.instant_ago("$3")} AS seen_at,
            (SELECT suppressions_version FROM customer WHERE customer_id = $1) AS suppressions_version
        FROM outdial WHERE customer_id = $1 AND id = $2 AND tm_delete IS NULL
        """,
        viewer.customer_id,
        outdial_id,
        db.ago_value(timedelta(0)),
    )
    if not found:
        raise rejected(UserErrorCode.NOT_FOUND, "Outdial not found.", "outdial_id")
    return Facts(rows.outdial(found[0]), bool(found[0]["suppressions_version"]), found[0]["seen_at"])
