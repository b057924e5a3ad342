"""The desk: attempts with their targets and policies, on which a report or the sweep decides, and what it changes."""

import random
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar

import orjson

from app import callbacks, clock, db, lifecycle, retrying, rows, store
from app.auth import Viewer
from app.changes import Change, changed, ended
from app.db import Transaction
from app.errors import Unavailable
from app.gathering import Gathering
from app.lifecycle import NOTHING_SUPPRESSED, AttemptState, Disposition, Ruling, TargetEventType, Tries
from app.records import (
    Attempt,
    CalledTarget,
    Counting,
    Destination,
    DialPolicy,
    ResultCode,
    SuppressionSource,
    suppressed_among,
)
from app.retrying import Ending
from app.turns import working_for

T = TypeVar("T")

GATHERED_ATTEMPTS_MAX = 50
"""Of the reports that are saved together."""
_TARGET_FROM = len(rows.ATTEMPT_VALUES)
_POLICY_FROM = _TARGET_FROM + len(rows.CALLED_VALUES)
"""Places in a row of a desk."""


@dataclass(slots=True)
class Desk:
    """Attempts with their targets and policies, and the changes made to them so far."""

    now: datetime
    policies: dict[str, DialPolicy]
    """By outdial."""
    deleted_outdials: set[str]
    targets: dict[str, CalledTarget]
    attempts: dict[str, Attempt]
    marks: dict[str, str]
    """By attempt: what its rows were like when they were read. See `store.save_unchanged`."""
    changes: list[Change[CalledTarget]] = field(default_factory=list)
    touched: set[str] = field(default_factory=set)
    """Ids of attempts that changed."""
    suppressed: dict[str, Mapping[int, datetime | None]] = field(default_factory=dict)
    """By target: the destinations that must not be called, as `lifecycle.Tries` takes them."""
    suppressed_attempts: set[str] = field(default_factory=set)
    """Ids of attempts that were revoked and whose address must not be called."""
    earlier: dict[str, Mapping[str, Ending]] = field(default_factory=dict)
    """By target: its attempts since it was created or last reset, by their ids. Only if retry rules count them."""
    wishes: list[Destination] = field(default_factory=list)
    """Whose owners asked not to be called, on this desk."""
    codes: dict[str, ResultCode] = field(default_factory=dict)
    """The customer's, of those that are reported; retired ones too."""
    made: Counter[str] = field(default_factory=Counter)
    dispositions: list[Disposition] = field(default_factory=list)
    """Accepted results of the task that is decided."""

    def policy(self, attempt: Attempt) -> DialPolicy:
        return self.policies[attempt.outdial_id]

    def tries(self, target: CalledTarget) -> Tries:
        return target.tries(self.policies[target.outdial_id], self.suppressed.get(target.id, NOTHING_SUPPRESSED))

    def suppress(self, counting: Counting) -> None:
        """From now on these addresses must not be called: what is decided next is decided so."""
        for target in self.targets.values():
            more = suppressed_among(target.destinations, counting)
            if more:
                self.suppressed[target.id] = {**self.suppressed.get(target.id, {}), **more}

    def ruling(self, attempt: Attempt, state: AttemptState) -> Ruling | None:
        """What the retry rules say of an attempt that ends in a state."""
        rules = self.policy(attempt).retry_rules
        if not rules:
            return None
        ended = Ending(state, attempt.disposition, attempt.code, attempt.destination_index)
        known = self.earlier.get(attempt.target_id, {})
        earlier = [ending for attempt_id, ending in known.items() if attempt_id != attempt.id]
        return retrying.judge(rules, ended, earlier, random.random())  # noqa: S311 - spreads load, not for a secret

    def deleted(self, attempt: Attempt) -> bool:
        return self.targets[attempt.target_id].tm_delete is not None or attempt.outdial_id in self.deleted_outdials

    def holds(self, attempt: Attempt) -> bool:
        return lifecycle.lease_holds(attempt.state, attempt.expires_at, self.now) and not self.deleted(attempt)

    def put_attempt(self, attempt: Attempt) -> Attempt:
        self.attempts[attempt.id] = attempt
        self.touched.add(attempt.id)
        return attempt

    def put_target(
        self,
        after: CalledTarget,
        event_type: TargetEventType,
        attempt: Attempt,
        *,
        at: datetime | None = None,
        disposition: Disposition | None = None,
    ) -> None:
        before = self.targets[after.id]
        change = changed(before, after, event_type, at or self.now, attempt=attempt, disposition=disposition)
        self.targets[after.id] = change.after
        self.changes.append(change)

    @property
    def changed_attempts(self) -> list[Attempt]:
        return [self.attempts[attempt_id] for attempt_id in sorted(self.touched)]


@dataclass(frozen=True, slots=True)
class Task(Generic[T]):
    """Something that is decided on a desk.

    Args:
        attempt_ids: unknown ones are left out.
        decide: changes the desk. It may be called again with another one, so it must do nothing else.
        codes: result codes that it decides by.
        may_suppress: somebody may have asked not to be called: it is decided alone, while nothing is claimed.
        is_patient: waits for locks of others. If not, `Refused` is raised instead, where that is possible.
    """

    attempt_ids: Sequence[str]
    decide: Callable[[Desk], T]
    is_patient: bool = True
    may_suppress: bool = False
    codes: frozenset[str] = frozenset()


async def work_on_desk(viewer: Viewer, task: Task[T]) -> T:
    """Read a desk, decide, and save the changes, as one unit of work. Tasks of a customer at the same time share one.

    On PostgreSQL first without locks: almost always the rows are still the same when the changes are saved. If not,
    and on other databases, the locks come first.

    Returns:
        What `decide` has returned for the desk whose changes are saved.

    Raises:
        Refused: see `Task.is_patient`.
    """
    if task.may_suppress:
        return await db.transaction(_work_alone, viewer.customer_id, task)
    if db.has_nodes():  # a transaction of several waits for the locks of all
        [alone] = await _work(viewer.customer_id, [task])
        return alone
    decided: T = await _together.ask(viewer.customer_id, task)
    return decided


async def _work(customer_id: str, tasks: Sequence[Task[T]]) -> list[T]:
    working_for.set(customer_id)
    wanted = sorted({attempt_id for task in tasks for attempt_id in task.attempt_ids})
    if db.has_scripts():
        try:
            return await _work_unlocked(customer_id, wanted, tasks)
        except db.Refused:
            if len(tasks) > 1 or not tasks[0].is_patient:
                raise  # each by itself: only one of them may have to wait
    return await db.transaction(_work_locked, customer_id, wanted, tasks)


_together: Gathering[str, Task[Any], Any] = Gathering(
    _work,
    size=lambda task: len(task.attempt_ids),
    size_max=GATHERED_ATTEMPTS_MAX,
    is_final=lambda error: isinstance(error, Unavailable),
)


async def _work_unlocked(customer_id: str, wanted: list[str], tasks: Sequence[Task[T]]) -> list[T]:
    found = await store.read_desk(db.fetch, customer_id, wanted, codes=_codes(tasks)) if wanted else []
    if any(row["has_moved"] for row in found):
        raise db.Refused
    desk = _desk(found, found[0]["now_at"] if found else clock.now())
    decided = _decide(desk, tasks)
    if desk.changes or desk.touched:
        await store.save_unchanged(
            desk.marks,
            desk.changes,
            desk.changed_attempts,
            attempts_made=desk.made,
            targets=len(desk.targets),
            now=desk.now,
            is_brief=len(tasks) > 1 or not tasks[0].is_patient,
        )
    return decided


async def _work_locked(tx: Transaction, customer_id: str, wanted: list[str], tasks: Sequence[Task[T]]) -> list[T]:
    # An attempt changes only under its target's lock, so attempts are read after the locks are taken.
    locked = await store.lock_attempts(tx, customer_id, wanted)
    found = await store.read_desk(tx.fetch, customer_id, wanted, codes=_codes(tasks))
    desk = _desk(found, found[0]["now_at"] if found else await tx.now())
    if locked is not None and len(desk.targets) != locked:
        raise db.Changed  # an attempt has appeared after the locks were taken
    if locked:
        await tx.has_locked(customer_id, has_moved=bool(found[0]["has_moved"]))
    decided = _decide(desk, tasks)
    await store.save(tx, desk.changes, attempts=desk.changed_attempts, attempts_made=desk.made)
    return decided


async def _work_alone(tx: Transaction, customer_id: str, task: Task[T]) -> T:
    """The task, and what follows for all other attempts on the addresses whose owners asked not to be called."""
    working_for.set(customer_id)
    await tx.lock(customer_id, alone=True)
    places = await store.places_of(tx, customer_id, task.attempt_ids)
    claimed = await store.claimed(tx, customer_id, places)
    desk = await locked_desk(tx, customer_id, [*task.attempt_ids, *claimed], codes=task.codes)
    [decided] = _decide(desk, [task])
    if desk.wishes:
        made = [
            store.new_suppression(
                customer_id, wish, reason="", source=SuppressionSource.CALLEE, expires_at=None, now=desk.now
            )
            for wish in desk.wishes
        ]
        await store.add_suppressions(tx, customer_id, made)
        revoke(desk, claimed, {one.place: None for one in made})
    await store.save(tx, desk.changes, attempts=desk.changed_attempts, attempts_made=desk.made)
    return decided


async def locked_desk(
    tx: Transaction, customer_id: str, attempt_ids: Sequence[str], *, codes: Collection[str] = ()
) -> Desk:
    """A desk in a transaction that has the customer's lock alone, with the locks of its outdials and targets.

    It has the last attempts of these targets, too: they may be ended, although they are not named.
    """
    wanted = sorted(set(attempt_ids))
    await store.lock_attempts(tx, customer_id, wanted)
    found = await store.read_desk(tx.fetch, customer_id, wanted, codes=codes, with_last=True)
    return _desk(found, found[0]["now_at"] if found else await tx.now())


def revoke(desk: Desk, attempt_ids: Iterable[str], counting: Counting) -> None:
    """End the attempts on suppressed addresses that are not dialed yet. They count as tries.

    Args:
        desk: has them.
        attempt_ids: of attempts that may have ended meanwhile.
        counting: the new suppressions.
    """
    desk.suppress(counting)
    for attempt_id in attempt_ids:
        attempt = desk.attempts[attempt_id]
        if attempt.state is not AttemptState.CLAIMED or attempt.destination.place not in counting:
            continue
        revoked = desk.put_attempt(ended(attempt, AttemptState.REVOKED, desk.now))
        target = desk.targets[attempt.target_id]
        # nobody was called, so there is no need to wait before the next address
        tries = desk.tries(target)
        after = callbacks.after_return(target, lifecycle.idle_or_done(tries, desk.now), tries)
        desk.put_target(after, TargetEventType.SUPPRESSED, revoked)


def _codes(tasks: Sequence[Task[T]]) -> frozenset[str]:
    return frozenset().union(*(task.codes for task in tasks))


def _decide(desk: Desk, tasks: Sequence[Task[T]]) -> list[T]:
    """One task after the other: each sees the changes of those before it."""
    decided = []
    for task in tasks:
        desk.dispositions = []
        decided.append(task.decide(desk))
    return decided


def _desk(found: Sequence[Mapping[str, Any]], now: datetime) -> Desk:
    desk = Desk(now, {}, set(), {}, {}, {})
    reader = rows.Reader()
    for row in found:
        values = tuple(row.values())
        attempt = reader.attempt(values[:_TARGET_FROM])
        desk.attempts[attempt.id] = attempt
        desk.marks[attempt.id] = row["mark"]
        if attempt.target_id not in desk.targets:
            desk.targets[attempt.target_id] = reader.called_target(values[_TARGET_FROM:_POLICY_FROM])
            if row["earlier"] is not None:
                desk.earlier[attempt.target_id] = rows.endings(row["earlier"])
            if row["suppressed_mask"]:
                desk.suppressed[attempt.target_id] = dict.fromkeys(rows.indexes_of(row["suppressed_mask"]))
        if row["suppressed_by"] is not None:
            desk.suppressed_attempts.add(attempt.id)
        if row["codes"] is not None:
            listed = (dict(zip(store.CODE.kinds, values, strict=True)) for values in orjson.loads(row["codes"]))
            desk.codes = {code["code"]: rows.result_code(code) for code in listed}
        if attempt.outdial_id not in desk.policies:
            desk.policies[attempt.outdial_id] = rows.reported_policy(store.POLICY.part_of(row))
            if row["outdial.tm_delete"] is not None:
                desk.deleted_outdials.add(attempt.outdial_id)
    return desk
