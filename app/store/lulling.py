"""Puts targets to sleep that are due, and whose addresses are all suppressed for some time.

Each claim would look at them again until then. So before a claim, a few steps look at the targets that are due first,
and give those that are held up another place in the index of due targets: the end of the suppression. It is a hint as
for caps (`app.store.capping`): each claim judges again. A suppression that is removed or shortened wakes its targets.

A step is a unit of work of its own, without the locks of rows that may be claimed.
"""

import time
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

from app import db, destinations
from app.db import Transaction
from app.lifecycle import DESTINATIONS
from app.listing import Parameters
from app.store import awake, due

STEP_TARGETS_MAX = 500
"""How many targets one step looks at."""
STEPS_MAX = 4
"""Before one claim."""
FEW = 50
"""If a step has put no more to sleep, claims pass over those that are left."""
REST_SECONDS = 5.0
"""So long nobody looks after such a step."""
OUTDIALS_MAX = 10_000

_looked_at: OrderedDict[str, float] = OrderedDict()
"""When to look again at the outdials of customers that suppress addresses, by the monotonic clock."""


def note(outdial_id: str, *, has_suppressions: bool) -> None:
    """A claim has seen whether the customer has ever suppressed an address. If not, nobody looks."""
    if has_suppressions and outdial_id not in _looked_at:
        _looked_at[outdial_id] = 0.0
        if len(_looked_at) > OUTDIALS_MAX:
            _looked_at.popitem(last=False)


async def lull(customer_id: str, outdial_id: str) -> None:
    """Put targets of an outdial to sleep, if it is time to look at them."""
    look_at = _looked_at.get(outdial_id)
    if look_at is None or time.monotonic() < look_at:
        return
    for _ in range(STEPS_MAX):
        if await db.transaction(_step, customer_id, outdial_id) <= FEW:
            _looked_at[outdial_id] = time.monotonic() + REST_SECONDS
            return


_HELD = {"id": "uuid", "version": "integer", "until_at": "instant"}


async def _step(tx: Transaction, customer_id: str, outdial_id: str) -> int:
    """How many were put to sleep."""
    await tx.lock(customer_id, shared=(outdial_id,))
    held = await _held(tx, customer_id, outdial_id)
    if not held:
        return 0
    # Others may have changed some since they were read, or have them locked. The ids are said once more, because a join
    # alone may be planned as a look at all of the customer's targets.
    asleep = await tx.fetch(
        f"""
        WITH still AS MATERIALIZED (
            SELECT target.id, held.until_at
            FROM {db.rowset("$2", _HELD, "held")} CROSS JOIN target
            WHERE target.customer_id = $1 AND target.id = held.id AND target.version = held.version
            AND target.id {db.any_of("$3")}
            {db.for_update("FOR UPDATE OF target SKIP LOCKED")}
        )
        UPDATE target SET wakes_at = still.until_at FROM still WHERE target.customer_id = $1 AND target.id = still.id
        AND target.id {db.any_of("$3")} RETURNING target.id
        """,
        customer_id,
        db.rows_value(held),
        [one["id"] for one in held],
    )
    return len(asleep)


async def _held(tx: Transaction, customer_id: str, outdial_id: str) -> list[dict[str, Any]]:
    """Of the targets that are due first those whose usable addresses are all suppressed, not all for ever."""
    hours = awake.of(outdial_id)
    parameter = Parameters([customer_id, outdial_id])
    now = parameter(await tx.now())
    groups = None
    if hours.zones is not None:
        groups = parameter(db.array_value(hours.groups) if db.is_postgres() else list(hours.groups))
    limits = [f"(SELECT CAST(max_try_counts ->> {index} AS INTEGER) FROM owner)" for index in range(DESTINATIONS)]
    suppressed = destinations.Suppressed("$1", now)
    found = await tx.fetch(
        f"""
        WITH owner AS MATERIALIZED (SELECT max_try_counts FROM outdial WHERE customer_id = $1 AND id = $2),
        head AS MATERIALIZED ({due.first(now, STEP_TARGETS_MAX, groups=groups)}),
        held AS MATERIALIZED (
            SELECT target.id, version, {destinations.ends_at(limits, suppressed)} AS until_at
            FROM head CROSS JOIN target WHERE target.customer_id = $1 AND target.id = head.id
            AND target.id {db.any_found("SELECT id FROM head")} AND NOT {destinations.any_usable(limits, suppressed)}
        )
        SELECT id, version, until_at FROM held WHERE until_at IS NOT NULL
        """,
        *parameter.values,
    )
    return [{"id": row["id"], "version": row["version"], "until_at": row["until_at"]} for row in found]


async def wake_at(tx: Transaction, customer_id: str, addresses: Sequence[str], *, limit: int | None = None) -> int:
    """Let claims look again at targets that sleep and have one of these addresses.

    Args:
        tx: a unit of work.
        customer_id: whose targets.
        addresses: in canonical form.
        limit: how many to wake at most; None for all.

    Returns:
        How many were woken. The caller wakes the topics of their outdials: `due.topic`.
    """
    parts = " UNION ".join(
        f"""
        SELECT id FROM target WHERE customer_id = $1 AND tm_delete IS NULL AND destination_{index} IS NOT NULL
        AND (destination_{index} ->> 'target') {db.any_of("$2", "text")} AND wakes_at IS NOT NULL
        """
        for index in range(DESTINATIONS)
    )
    some = f"SELECT id FROM ({parts}) AS asleep ORDER BY id {'' if limit is None else f'LIMIT {limit}'}"
    asleep = f"SELECT id FROM target WHERE customer_id = $1 AND id {db.any_found(some)} ORDER BY id {db.for_update()}"
    woken = await tx.fetch(
        f"""
        UPDATE target SET wakes_at = NULL WHERE customer_id = $1 AND id {db.any_found(asleep)} RETURNING id
        """,
        customer_id,
        list(addresses),
    )
    return len(woken)
