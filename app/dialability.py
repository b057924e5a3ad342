"""Why not: what keeps outdials, targets and destinations from being claimed.

The statements take the predicate of the claim from `app.destinations`, so that they cannot disagree with it.
"""

import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app import blocks, breakers, db, destinations, pacing, rows, sleeping, store, tables, validation
from app.auth import Viewer
from app.blocks import Block, BlockReason, Held, PlaceFacts, TargetBlocks
from app.errors import BadUserInput, UserError
from app.lifecycle import DESTINATIONS, DoneReason, TargetStatus, in_order
from app.listing import COUNT_SECONDS_MAX
from app.outdials import breaker_statuses, get_many, progress
from app.pacing import BreakerState, BreakerStatus, Pacing, Usage
from app.records import RESERVED_RANK, Outdial, Progress
from app.sleeping import Clocks

_CLAIMABLE = "CLAIMABLE"
_IS_VALID = " OR ".join(
    f"(destination_{index} IS NOT NULL AND invalid_mask & {1 << index} = 0)" for index in range(DESTINATIONS)
)
"""A condition: an address was not reported as invalid. If none is usable, its tries are used up."""

_OWNERS = (
    "(SELECT id AS owner_id, max_try_counts AS limits, caps, tm_delete AS owner_gone_at,"
    " calling_hours IS NOT NULL AND calling_hours ->> 'time_zone' IS NULL AS by_zone"
    " FROM outdial WHERE customer_id = $1)"
    " AS owner"
)
_LIMITS = [f"CAST(owner.limits ->> {index} AS INTEGER)" for index in range(DESTINATIONS)]
_HAS_ANY = "(SELECT suppressions_version > 0 FROM customer WHERE customer_id = $1)"


# ---------------------------------------------------------------- of targets


async def blocks_of_targets(
    viewer: Viewer, target_ids: Sequence[str], *, dialer: str | None = None
) -> dict[str, TargetBlocks]:
    """What keeps targets from being claimed now, by the database's clock. Unknown ids are left out.

    Args:
        viewer: whose.
        target_ids: which.
        dialer: who would claim them; None for a dialer without a name.
    """
    found = await facts_of_targets(viewer, target_ids)
    by_zone = {row["outdial_id"] for row in found if row["by_zone"]}
    clocks = await _clocks(viewer, sorted(by_zone)) if by_zone else {}
    return {row["id"]: _blocks(row, clocks.get(row["outdial_id"]), _kept(row, dialer)) for row in found}


async def claimable_by_their_dialers(viewer: Viewer, target_ids: Sequence[str]) -> set[str]:
    """Of targets those that the dialers can claim now for which they are kept, if nothing holds their outdials."""
    found = await facts_of_targets(viewer, target_ids)
    by_zone = {row["outdial_id"] for row in found if row["by_zone"]}
    clocks = await _clocks(viewer, sorted(by_zone)) if by_zone else {}
    return {row["id"] for row in found if not _blocks(row, clocks.get(row["outdial_id"]), None).blocks}


def _kept(row: Mapping[str, Any], dialer: str | None) -> Held | None:
    callback = rows.callback(row["callback"])
    if callback is None or not callback.is_reserved or callback.dialer == dialer:
        return None
    return Held(callback.ends_at)


async def facts_of_targets(viewer: Viewer, target_ids: Sequence[str]) -> list[db.Row]:
    """What a claim goes by at each target; `facts_of_places` reads its destinations."""
    now = db.instant_now("$3")
    suppressed = destinations.Suppressed("$1", now, has_any=_HAS_ANY)
    capped = store.caps_of_owners(now)
    of_places = ", ".join(_of_place(index, suppressed, capped) for index in range(DESTINATIONS))
    return await db.fetch(
        f"""
        SELECT target.id, target.outdial_id, zones, zone_group, owner.by_zone,
            status, done_reason, next_try_at, {store.DUE_AT} AS due_at, tm_delete, owner.owner_gone_at, invalid_mask,
            callback, callback_mask, first_index,
            {now} AS now_at, {destinations.next_index(_LIMITS, suppressed, capped)} AS next_index, {of_places}
        FROM target JOIN {_OWNERS} ON owner.owner_id = target.outdial_id
        WHERE target.customer_id = $1 AND target.id {db.any_of("$2")}
        """,
        viewer.customer_id,
        list(target_ids),
        db.now_value(),
    )


async def _clocks(viewer: Viewer, outdial_ids: Sequence[str]) -> dict[str, Clocks]:
    return await sleeping.clocks(viewer, (await get_many(viewer, outdial_ids, deleted=True)).values())


def _of_place(index: int, suppressed: destinations.Suppressed, capped: destinations.Capped) -> str:
    expires = suppressed.found("suppression.expires_at", f"destination_{index}")
    return f"""
        destination_{index} IS NOT NULL AS is_set_{index},
        destination_{index} IS NOT NULL AND {suppressed.of(f"destination_{index}")} AS is_suppressed_{index},
        {expires} AS suppressed_{index}_until_at,
        {destinations.within_limit(index, _LIMITS[index])} AS is_left_{index},
        CASE WHEN {capped.has_any} AND callback_mask IS NULL AND {destinations.usable(index, _LIMITS[index])}
            THEN {capped.until(f"destination_{index}")} END AS capped_{index}_until_at
    """


def _blocks(row: Mapping[str, Any], clocks: Clocks | None, kept: Held | None) -> TargetBlocks:
    places = facts_of_places(row, clocks)
    keeps_order = clocks is not None and clocks.outdial.dial_policy.keep_order
    reason = row["done_reason"]
    of_target = blocks.of_target(
        TargetStatus(row["status"]),
        None if reason is None else DoneReason(reason),
        row["next_try_at"],
        row["now_at"],
        is_deleted=row["tm_delete"] is not None or row["owner_gone_at"] is not None,
        next_index=row["next_index"] if clocks is None else _next_awake(places, keeps_order=keeps_order),
        places=[one for one in places.values() if one.is_offered] or list(places.values()),
        keeps_order=keeps_order,
        wakes_at=row["due_at"],
        kept=kept,
    )
    return TargetBlocks(of_target, {index: blocks.of_place(facts) for index, facts in places.items()})


def _next_awake(places: Mapping[int, PlaceFacts], *, keeps_order: bool) -> int | None:
    """The destination that a claim would choose, as `destinations.next_index` has it."""
    for index, facts in places.items():
        if facts.may_be_tried and facts.asleep is None:
            return index
        if facts.may_be_tried and keeps_order:
            return None
    return None


def facts_of_places(row: Mapping[str, Any], clocks: Clocks | None) -> dict[int, PlaceFacts]:
    """The destinations that are set, of a row of `facts_of_targets`, in the order in which they are tried."""
    order = in_order(row["first_index"])
    return {index: _facts(row, index, clocks) for index in order if row[f"is_set_{index}"]}


def _facts(row: Mapping[str, Any], index: int, clocks: Clocks | None) -> PlaceFacts:
    is_invalid, offered = bool(row["invalid_mask"] >> index & 1), row["callback_mask"]
    is_offered = offered is None or bool(offered >> index & 1)
    is_granted = offered is not None and is_offered
    return PlaceFacts(
        is_invalid=is_invalid,
        is_used_up=not (is_invalid or is_granted or row[f"is_left_{index}"]),
        is_suppressed=bool(row[f"is_suppressed_{index}"]),
        suppressed_until=row[f"suppressed_{index}_until_at"],
        capped_until=row[f"capped_{index}_until_at"],
        asleep=None if clocks is None else clocks.of_target(row["zones"], row["zone_group"], index, row["now_at"]),
        is_offered=is_offered,
    )


# ---------------------------------------------------------------- of outdials


async def blocks_of_outdials(viewer: Viewer, outdial_ids: Sequence[str]) -> dict[str, Sequence[Block]]:
    """What keeps whole outdials from being claimed now."""
    now = db.instant_now("$3")
    found = await db.fetch(
        f"""
        SELECT {tables.OUTDIAL}, {now} AS now_at FROM outdial WHERE customer_id = $1 AND id {db.any_of("$2")}
        """,
        viewer.customer_id,
        list(outdial_ids),
        db.now_value(),
    )
    if not found:
        return {}
    read, now_at = [rows.outdial(row) for row in found], found[0]["now_at"]
    paced, broken = await _paced(viewer, read, now_at), await broken_ones(viewer, read)
    return {
        outdial.id: _blocks_at(outdial, now_at, paced.get(outdial.id), _broken(broken.get(outdial.id), now_at))
        for outdial in read
    }


def _blocks_at(outdial: Outdial, at: datetime, paced: Held | None, broken: Held | None) -> list[Block]:
    policy, (is_closed, opens_at) = outdial.dial_policy, closed(outdial, at)
    return blocks.of_outdial(
        outdial.state,
        is_deleted=outdial.tm_delete is not None,
        starts=None if pacing.is_running(policy.starts_at, None, at) else Held(policy.starts_at),
        has_ended=not pacing.is_running(None, policy.ends_at, at),
        broken=broken,
        paced=paced,
        closed=Held(opens_at) if is_closed else None,
    )


async def _paced(viewer: Viewer, outdials: Sequence[Outdial], now: datetime) -> dict[str, Held]:
    """Those that have taken all that their pace allows."""
    held = {}
    for outdial_id, (pace, usage) in (await paces(viewer, outdials, now)).items():
        until = pacing.waits_until(pace, usage)
        if pacing.is_full(pace, usage):
            held[outdial_id] = Held(None)
        elif until is not None:
            held[outdial_id] = Held(until)
    return held


async def paces(viewer: Viewer, outdials: Iterable[Outdial], now: datetime) -> dict[str, tuple[Pacing, Usage]]:
    """The pace of each outdial that has one, and what was taken of it."""
    known = {one.id: one.dial_policy.pacing for one in outdials}
    paced = {outdial_id: pace for outdial_id, pace in known.items() if pace is not None and pace.limits_claims}
    used = await store.usages(viewer.customer_id, list(paced.items()), now)
    return {outdial_id: (pace, used[outdial_id]) for outdial_id, pace in paced.items()}


async def broken_ones(viewer: Viewer, outdials: Iterable[Outdial]) -> dict[str, BreakerStatus]:
    """How breakers stand that are not closed, by outdial."""
    asked = [one.id for one in outdials if one.dial_policy.breaker is not None]
    found = await breaker_statuses(viewer, asked) if asked else {}
    return {outdial_id: status for outdial_id, status in found.items() if status.state is not BreakerState.CLOSED}


def _broken(status: BreakerStatus | None, at: datetime) -> Held | None:
    """Whether a breaker holds the list at an instant."""
    allowance = None if status is None else breakers.allowance(status, at)
    return None if status is None or allowance is None or allowance.targets else Held(status.paused_until)


def closed(outdial: Outdial, at: datetime) -> tuple[bool, datetime | None]:
    """Whether its calling hours are closed at an instant, and when they open."""
    calling_hours = outdial.dial_policy.calling_hours
    return (False, None) if calling_hours is None else store.closed(calling_hours, at)


# ---------------------------------------------------------------- the whole list at a time


@dataclass(frozen=True, slots=True)
class Dialability:
    """How many of an outdial's targets can be claimed at a time, and what keeps the others."""

    at: datetime
    claimable: int
    blocked: Mapping[BlockReason, int]
    """The others by their first reason, without reasons that have none."""


async def dialabilities(
    viewer: Viewer, outdial_ids: Sequence[str], *, at: datetime | None = None
) -> dict[str, Dialability]:
    """What a claim would find at that time if nothing changes until then.

    A pause and the pace are left aside: they may be over by then. A breaker holds the list until its pause is over.

    Args:
        viewer: whose.
        outdial_ids: of which outdials.
        at: the time; None for now. Callbacks that are kept for one dialer are not claimable: they are by it alone.

    Raises:
        BadUserInput: the time is not between the years 1970 and 9000.
        LimitExceeded: it takes longer than COUNT_SECONDS_MAX.
    """
    errors: list[UserError] = []
    instant = validation.instant(at, errors, "at") or await db.now()
    if errors:
        raise BadUserInput(errors[0].message)
    policies = await get_many(viewer, outdial_ids, deleted=True)
    clocks = await sleeping.clocks(viewer, policies.values())
    ends = time.monotonic() + COUNT_SECONDS_MAX
    found = await _counted(viewer, [one for one in outdial_ids if one not in clocks], instant, None, ends)
    for outdial_id, of_outdial in clocks.items():
        found += await _counted(viewer, [outdial_id], instant, of_outdial, ends)
    counted: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for row in found:
        counted[row["outdial_id"]][row["reason"]] = row["number"]
    others, broken = await progress(viewer, outdial_ids), await broken_ones(viewer, policies.values())
    pauses = {outdial_id: status.paused_until for outdial_id, status in broken.items()}
    return {
        outdial_id: _dialability(outdial, instant, counted[outdial_id], others[outdial_id], pauses.get(outdial_id))
        for outdial_id, outdial in policies.items()
    }


async def _counted(
    viewer: Viewer, outdial_ids: Sequence[str], instant: datetime, clocks: Clocks | None, ends: float
) -> list[db.Row]:
    """The idle targets of outdials by what keeps them.

    Args:
        viewer: whose.
        outdial_ids: one outdial, if there are clocks.
        instant: the time.
        clocks: of the outdial, if its hours go by the zones of destinations.
        ends: until when, by the monotonic clock.
    """
    if not outdial_ids:
        return []
    suppressed = destinations.Suppressed("$1", db.typed("$3", "instant"), has_any=_HAS_ANY)
    capped = store.caps_of_owners(db.typed("$3", "instant"))
    asleep, numbers = "", []
    if clocks is not None:
        awake, unknown = clocks.numbers(instant)
        asleep, numbers = _asleep(clocks, suppressed, capped), [awake, sorted({*clocks.said} - {*unknown})]
    # CROSS JOIN: SQLite would read all targets of the customer
    return await db.fetch_within(
        max(ends - time.monotonic(), 0.0),
        f"""
        SELECT outdial_id, reason, count(*) AS number FROM (
            SELECT target.outdial_id, CASE WHEN next_try_at > {db.typed("$3", "instant")} THEN '{BlockReason.NOT_DUE}'
                WHEN rank = {RESERVED_RANK} THEN '{BlockReason.CALLBACK_OF_ANOTHER}'
                {asleep}
                WHEN {destinations.any_usable(_LIMITS, suppressed, capped)}
                    THEN CASE WHEN {store.DUE_AT} > {db.typed("$3", "instant")}
                    THEN '{BlockReason.CAPPED}' ELSE '{_CLAIMABLE}' END
                WHEN {destinations.any_suppressed(_LIMITS, suppressed)} THEN '{BlockReason.SUPPRESSED}'
                WHEN {destinations.any_usable(_LIMITS)} THEN '{BlockReason.CAPPED}'
                WHEN {_IS_VALID} THEN '{BlockReason.TRIES_USED_UP}'
                ELSE '{BlockReason.INVALID_DESTINATION}' END AS reason
            FROM {_OWNERS} CROSS JOIN target
            WHERE owner.owner_id {db.any_of("$2")} AND target.customer_id = $1 AND target.outdial_id = owner.owner_id
            AND status = '{TargetStatus.IDLE}' AND tm_delete IS NULL
        ) AS judged GROUP BY outdial_id, reason
        """,
        viewer.customer_id,
        list(outdial_ids),
        instant,
        *numbers,
        problem=f"Counting took longer than {COUNT_SECONDS_MAX:g} seconds. The list is long, or the server is busy. "
        "Ask again later, or use nextClaimAt.",
    )


def _asleep(clocks: Clocks, suppressed: destinations.Suppressed, capped: destinations.Capped) -> str:
    """The cases of targets that would be called at another time. $4 are the open zones, $5 the known ones."""
    keeps_order = clocks.outdial.dial_policy.keep_order
    awake, known = (
        destinations.next_index(
            _LIMITS, suppressed, capped, destinations.Awake(db.any_of(numbers, "integer"), keeps_order)
        )
        for numbers in ("$4", "$5")
    )
    anybody = destinations.any_usable(_LIMITS, suppressed, capped)
    return f"""
        WHEN zone_group = 0 AND {anybody} THEN '{BlockReason.OUTSIDE_CALLING_HOURS}'
        WHEN {anybody} AND {known} IS NULL THEN '{BlockReason.UNKNOWN_TIME_ZONE}'
        WHEN {anybody} AND {awake} IS NULL THEN '{BlockReason.OUTSIDE_CALLING_HOURS}'
    """


def _dialability(
    outdial: Outdial, at: datetime, idle: Mapping[str, int], others: Progress, paused_until: datetime | None
) -> Dialability:
    policy, claimable = outdial.dial_policy, idle.get(_CLAIMABLE, 0)
    blocked = Counter({BlockReason(reason): number for reason, number in idle.items() if reason != _CLAIMABLE})
    blocked[BlockReason.DONE] = others.done
    blocked[BlockReason.PROGRESSING] = others.progressing
    if outdial.tm_delete is not None:
        blocked, claimable = Counter({BlockReason.DELETED: blocked.total() + claimable}), 0
    elif not pacing.is_running(policy.starts_at, None, at):
        blocked[BlockReason.NOT_STARTED], claimable = claimable, 0
    elif not pacing.is_running(None, policy.ends_at, at):
        blocked[BlockReason.ENDED], claimable = claimable, 0
    elif paused_until is not None and at < paused_until:
        blocked[BlockReason.BREAKER_OPEN], claimable = claimable, 0
    elif closed(outdial, at)[0]:
        blocked[BlockReason.OUTSIDE_CALLING_HOURS], claimable = claimable, 0
    return Dialability(at, claimable, {reason: blocked[reason] for reason in BlockReason if blocked[reason]})
