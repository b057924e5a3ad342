"""Claims: takes due targets, and writes their attempts, counts and events, with the idempotency key.

On PostgreSQL that is one statement after the locks, and both take one trip. For SQLite see `claims_on_sqlite`.
"""

from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from itertools import islice
from typing import Any, TypeAlias

from app import db, idempotency, ids, rows
from app.db import Transaction
from app.errors import Unavailable
from app.gathering import Gathering
from app.lifecycle import OutdialState
from app.records import Attempt
from app.store import (
    awake,
    capping,
    claim_statement,
    claims_on_sqlite,
    due,
    grouping,
    looks,
    lulling,
)
from app.store import pacing as pace
from app.store.claim_statement import ATTEMPT, Shape
from app.store.looks import Look
from app.store.wishes import Fetch, Taken, Wish, attempts_of, kind_for
from app.stored import StoredTarget
from app.turns import working_for

_Line: TypeAlias = tuple[str, str, str | None]
"""Whose claims are done together: the customer, the outdial, and the dialer if it has callbacks of its own."""

GATHERED_TARGETS_MAX = 50
"""Of the claims on an outdial that are one unit of work."""


async def take_due(wish: Wish) -> Taken:
    """Lease due targets: of higher priority first, then the longest due. Claims at the same time are one unit of work.

    Nothing is taken from an outdial that is paused or deleted, nor if the key is known. If nothing is due, the key is
    not stored.
    """
    # callbacks that are kept for one dialer are no other's
    dialer = wish.dialer if looks.is_reserved(wish.outdial_id) else None
    of = (wish.customer_id, wish.outdial_id, dialer)
    if wish.key is None:
        return await _together.ask(of, wish)
    [taken] = await _take_all(of, [wish])
    return taken


async def _take_all(of: _Line, wishes: Sequence[Wish]) -> list[Taken]:
    """The claims on one outdial, the first one first. One with a key is alone."""
    customer_id, outdial_id, _ = of
    working_for.set(customer_id)
    await lulling.lull(customer_id, outdial_id)
    look: Look | None = looks.first(outdial_id, sum(wish.limit for wish in wishes))
    taken: list[Taken] = []
    while look is not None:
        if look.traits.is_reserved and len({wish.dialer for wish in wishes}) > 1:
            return [taken for wish in wishes for taken in await _take_all(of, [wish])]
        taken, look = await _look(wishes, look)
    return taken


async def _look(wishes: Sequence[Wish], look: Look) -> tuple[list[Taken], Look | None]:
    """What was taken, and what to send then."""
    if db.has_scripts():
        with suppress(db.Refused):  # the customer is unknown, or has moved: the transaction below sees to that
            return await _take_in_one_trip(wishes, look)
    return await db.transaction(_take, wishes, look)


_together: Gathering[_Line, Wish, Taken] = Gathering(
    _take_all,
    size=lambda wish: wish.limit,
    size_max=GATHERED_TARGETS_MAX,
    is_final=lambda error: isinstance(error, Unavailable),
)


async def _take(tx: Transaction, wishes: Sequence[Wish], look: Look) -> tuple[list[Taken], Look | None]:
    wish = wishes[0]
    locks = looks.locks(
        look.traits,
        key=() if wish.key is None else (wish.key.lock,),
        claims=capping.lock_of(wish.customer_id),
        pace=pace.lock_of(wish.outdial_id),
        outdial=wish.outdial_id,
    )
    await tx.lock(wish.customer_id, exclusive=locks.alone, shared=locks.shared)
    if locks.then_alone:
        await tx.lock(wish.customer_id, exclusive=locks.then_alone, shared=locks.then_shared)
    following = None
    if db.is_postgres():
        taken, following = await _take_at_once(tx, wishes, look)
    else:
        taken = [await claims_on_sqlite.take(tx, one) for one in wishes]
    known = [await _with_known(tx.fetch, one, of_one) for one, of_one in zip(wishes, taken, strict=True)]
    return known, following


async def _with_known(fetch: Fetch, wish: Wish, taken: Taken) -> Taken:
    """With the attempts of the earlier claim."""
    if wish.key is None or taken.known is None or taken.known.input_hash != wish.key.input_hash:
        return taken
    return replace(taken, attempts=await attempts_of(fetch, wish.customer_id, taken.known.answer))


# ---------------------------------------------------------------- PostgreSQL


async def _take_in_one_trip(wishes: Sequence[Wish], look: Look) -> tuple[list[Taken], Look | None]:
    leases, kind, wish = _leases(wishes), kind_for(wishes), wishes[0]

    async def take(sql: str, values: list[Any]) -> list[db.Row]:
        return await _in_one_trip(wish, look, sql, values)

    found, begun_at = await _as_the_hours_say(wish, leases, kind, look, take, db.fetch, is_script=True)
    taken = _shared(wishes, leases, begun_at, kind, found)
    known = [await _with_known(db.fetch, one, of_one) for one, of_one in zip(wishes, taken, strict=True)]
    return known, looks.following(look, found)


async def _in_one_trip(wish: Wish, look: Look, sql: str, values: list[Any]) -> list[db.Row]:
    names = [] if wish.key is None else [db.lock_name(wish.key.lock)]
    script = claim_statement.script(sql, len(values), look.traits, has_key=bool(names))
    topics = frozenset([wish.outdial_id])
    # with a key, a claim that was saved is found again
    return await db.at_once(
        script,
        [*values, *names],
        topics=lambda found: topics if found and found[0]["id"] is not None else frozenset(),
        twice=wish.key is not None,
    )


async def _as_the_hours_say(
    wish: Wish,
    leases: Sequence[Mapping[str, Any]],
    kind: type[StoredTarget] | None,
    look: Look,
    take: Callable[[str, list[Any]], Awaitable[list[db.Row]]],
    fetch: Fetch,
    *,
    is_script: bool,
) -> tuple[list[db.Row], tuple[list[due.Mark], Hashable]]:
    """The rows of the statement, sent again if it has found hours that were not known.

    Also the marks where it began, and among which targets.
    """
    found: list[db.Row] = []
    marks, among = due.NO_MARKS, None

    async def read() -> list[db.Row]:
        return await fetch(grouping.READING, wish.customer_id, wish.outdial_id)

    for _ in range(awake.ASKED_MAX):
        known = awake.of(wish.outdial_id)
        among = known.among
        marks = due.marks.of(wish.outdial_id, among)
        found = await take(*_taking_at_once(wish, leases, marks, kind, known, look, is_script=is_script))
        if not found or not await awake.learn(wish.outdial_id, known, found[0], read):
            break
    return found, (marks, among)


async def _take_at_once(tx: Transaction, wishes: Sequence[Wish], look: Look) -> tuple[list[Taken], Look | None]:
    leases, kind = _leases(wishes), kind_for(wishes)

    async def take(sql: str, values: list[Any]) -> list[db.Row]:
        return await tx.fetch(sql, *values)

    found, begun_at = await _as_the_hours_say(wishes[0], leases, kind, look, take, tx.fetch, is_script=False)
    if found and found[0]["id"] is not None:
        tx.wake(wishes[0].outdial_id)
    return _shared(wishes, leases, begun_at, kind, found), looks.following(look, found)


def _leases(wishes: Sequence[Wish]) -> list[dict[str, Any]]:
    """A lease for each target that may be taken: the first wish has the first places."""
    asked = [wish for wish in wishes for _ in range(wish.limit)]
    return [
        {"place": place, "attempt_id": ids.new(), "dialer": wish.dialer, "lease_seconds": wish.lease_seconds}
        for place, wish in enumerate(asked, start=1)
    ]


def _shared(
    wishes: Sequence[Wish],
    leases: Sequence[Mapping[str, Any]],
    begun_at: tuple[list[due.Mark], Hashable],
    kind: type[StoredTarget] | None,
    found: Sequence[db.Row],
) -> list[Taken]:
    """What each wish has got."""
    if not found:
        return [Taken(None, None, ())] * len(wishes)
    state = None if found[0]["gone_at"] is not None else OutdialState(found[0]["outdial_state"])
    lulling.note(wishes[0].outdial_id, has_suppressions=found[0]["has_suppressions"])
    known = idempotency.stored(found[0])
    # not if it left some of those that it looked at as they were: others at an address that it has taken
    is_all = "looked" not in found[0] or found[0]["looked"] == found[0]["slept"] + len(found)
    if found[0]["lowest"] is not None and is_all:
        oldest, (marks, among) = (found[0]["oldest"], found[0]["oldest_id"]), begun_at
        due.marks.note(wishes[0].outdial_id, marks, found[0]["lowest"], oldest, found[0]["now_at"], among)
    reader = rows.Reader()
    begun = {row["id"]: _begun(reader, tuple(row.values()), kind) for row in found if row["id"] is not None}
    mine = iter(leases)
    given = [[lease["attempt_id"] for lease in islice(mine, wish.limit)] for wish in wishes]
    throttled_until = _throttled_until(found[0], len(begun))
    made = [[begun[one] for one in attempt_ids if one in begun] for attempt_ids in given]
    return [
        Taken(state, known, attempts, None if len(attempts) == wish.limit else throttled_until)
        for wish, attempts in zip(wishes, made, strict=True)
    ]


def _throttled_until(row: db.Row, taken: int) -> datetime | None:
    """When more may be claimed, if a claim has taken all that the pace allowed."""
    allowed = row.get("allowed")
    more_at: datetime | None = None if allowed is None or taken < allowed else row["more_at"]
    return more_at


def _begun(reader: rows.Reader, values: Sequence[Any], kind: type[StoredTarget] | None) -> Attempt:
    """Of an attempt's values, and those of its target."""
    attempt, target = values[: len(ATTEMPT.kinds)], values[len(ATTEMPT.kinds) :]
    return reader.attempt(attempt) if kind is None else reader.claimed_attempt(attempt, kind(target))


def _taking_at_once(
    wish: Wish,
    leases: Sequence[Mapping[str, Any]],
    marks: Sequence[due.Mark],
    kind: type[StoredTarget] | None,
    hours: awake.Known,
    look: Look,
    *,
    is_script: bool,
) -> tuple[str, list[Any]]:
    """The statement and its values. Its rows begin with the values of `_begun`.

    Args:
        wish: the only one with its key, or the first of several without.
        leases: of all of them.
        marks: where to begin.
        kind: of the targets that are wanted.
        hours: what is known of the calling hours.
        look: at how many it looks, and what the outdial is taken to have.
        is_script: as in the shape.
    """
    sql, names = claim_statement.text(
        Shape(
            due.bound_of(look.rows),
            kind,
            has_key=wish.key is not None,
            traits=look.traits,
            is_by_zone=hours.zones is not None,
            keeps_order=hours.keeps_order,
            is_script=is_script,
        )
    )
    return sql, claim_statement.values(
        names,
        owner=(wish.customer_id, wish.outdial_id),
        key=wish.key,
        leases=leases,
        marks=marks,
        hours=hours,
        dialer=wish.dialer,
        rows_max=look.rows,
    )
