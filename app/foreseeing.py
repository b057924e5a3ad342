"""When something of an outdial can be claimed next, in constant time.

Of each range of the index of due targets the first are looked at: of those that are due, and of those that become due
later. What holds them up is read as for `blockedBy`. From that follows the first moment at which a claim would take
each, if nothing happens until then: suppressions expire, caps leave a try, calling hours open, the outdial starts, the
pause of its breaker ends, and its rate lets another target be claimed.

If all that are looked at in a range are held up, and there are more behind them, the answer is a bound: no target
behind them can be claimed before it. It is never later than the truth. Claims put those that suppressions or caps hold
up to sleep, so that the ranges begin with others, and the next answer is exact.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from app import db, pacing, rows, sleeping, store
from app.auth import Viewer
from app.blocks import PlaceFacts
from app.dialability import broken_ones, closed, facts_of_places, facts_of_targets, paces
from app.lifecycle import OutdialState, TargetStatus
from app.outdials import get_many
from app.records import CALLBACK_RANK, RESERVED_RANK, Outdial
from app.sleeping import Clocks

LOOKED_AT_MAX = 100
"""Targets of each range that are looked at if the first one is held up: of those that are due, and of the others."""
LOOKED_AT_TOGETHER_MAX = 2_000
"""Likewise in all ranges of an outdial: there are as many as ranks, times groups of time zones."""
CHANGES_MAX = 50
"""So often what holds up a target may end, and something else begin."""
_NEVER = datetime.max.replace(tzinfo=UTC)
_RANKS = range(RESERVED_RANK, CALLBACK_RANK + 1)
_OF_GROUP = f"{store.range_key('zone_group', 'rank')} = {store.range_key('owner.number', 'level.rank')}"
_LEVELS = " UNION ALL ".join(f"SELECT {rank} AS rank" for rank in _RANKS)


@dataclass(frozen=True, slots=True)
class _Head:
    """The first targets of a range of the index, in its order."""

    ids: Sequence[str]
    has_more: bool
    """Whether there are others behind them."""


@dataclass(frozen=True, slots=True)
class _Foreseen:
    """A target that was looked at."""

    id: str
    outdial_id: str
    seen_at: datetime
    lowest: datetime | None
    """No target behind it in its range can be claimed before this. None: none can be at all."""
    moment: datetime | None
    """When it can be claimed itself."""

    @property
    def is_held(self) -> bool:
        return self.lowest is not None and (self.moment is None or self.moment > self.lowest)


async def next_claims(viewer: Viewer, outdial_ids: Sequence[str]) -> dict[str, datetime | None]:
    """The first moment at which each outdial has something that can be claimed; in the past if it has now.

    None if there will be nothing as far as is known: the outdial is paused, deleted, has ended or never opens, or no
    target waits.
    Never later than the truth; a bound if over LOOKED_AT_MAX targets of a range are held up. What attempts in progress
    lead to is not foreseen. It costs the same for an outdial of any size.
    """
    policies = await get_many(viewer, outdial_ids, deleted=True)
    active = [one for one in policies.values() if one.tm_delete is None and one.state is OutdialState.ACTIVE]
    clocks = await sleeping.clocks(viewer, active)
    earliest = await _earliest(viewer, active)
    heads = await _heads(viewer, active, clocks, each=1)
    found = await _looked_at(viewer, heads, policies, clocks, earliest)
    first = _first(found)
    held = {
        one.outdial_id
        for one in found
        if one.is_held and one.lowest is not None and one.lowest < (first.get(one.outdial_id) or _NEVER)
    }
    if held:
        more = await _heads(viewer, [policies[one] for one in held], clocks, each=LOOKED_AT_MAX)
        first |= _bounded(more, await _looked_at(viewer, more, policies, clocks, earliest))
    sorting = [one for one, of_outdial in clocks.items() if of_outdial.is_sorting]
    now = max((one.seen_at for one in found), default=await db.now() if sorting else _NEVER)
    for outdial_id in sorting:  # those that have no zones yet may be claimed as soon as they have
        first[outdial_id] = min(first.get(outdial_id, _NEVER), max(now, earliest.get(outdial_id, now)))
    return {
        one: _before_the_end(outdial, _within_hours(outdial, first.get(one), now), now)
        for one, outdial in policies.items()
    }


async def _earliest(viewer: Viewer, outdials: Collection[Outdial]) -> dict[str, datetime]:
    """Before when nothing is claimed: of outdials that have not started, whose rate is used up or breaker is open."""
    limited = [one for one in outdials if one.dial_policy.starts_at is not None or one.dial_policy.pacing is not None]
    if not limited:
        return {}
    now = await db.now()
    used, broken = await paces(viewer, limited, now), await broken_ones(viewer, limited)
    earliest = {}
    for outdial in limited:
        waits_until = pacing.waits_until(*used[outdial.id]) if outdial.id in used else None
        paused_until = broken[outdial.id].paused_until if outdial.id in broken else None
        later = [at for at in (outdial.dial_policy.starts_at, waits_until, paused_until) if at is not None and at > now]
        if later:
            earliest[outdial.id] = max(later)
    return earliest


def _first(found: Collection[_Foreseen]) -> dict[str, datetime]:
    moments: dict[str, datetime] = {}
    for one in found:
        if one.moment is not None and one.moment < moments.get(one.outdial_id, _NEVER):
            moments[one.outdial_id] = one.moment
    return moments


def _bounded(heads: Collection[_Head], found: Collection[_Foreseen]) -> dict[str, datetime]:
    """The first moments; none later than any at which a target behind these can be claimed."""
    moments, by_id = _first(found), {one.id: one for one in found}
    for head in heads:
        last = by_id.get(head.ids[-1])
        if head.has_more and last is not None and last.lowest is not None:
            bound = max(last.lowest, last.seen_at)
            moments[last.outdial_id] = min(moments.get(last.outdial_id, _NEVER), bound)
    return moments


async def _heads(
    viewer: Viewer, outdials: Collection[Outdial], clocks: Mapping[str, Clocks], *, each: int
) -> list[_Head]:
    """The first targets of each range: of those that are due, and of those that become due later."""
    wanted = [outdial.id for outdial in outdials if outdial.id not in clocks]
    sleepy = [outdial.id for outdial in outdials if outdial.id in clocks]
    of_rank = await _first_of(viewer, wanted, each, source="outdial AS owner", of_owner="owner.id") if wanted else []
    if not sleepy:
        return of_rank
    ranges = max(len(clocks[one].groups) for one in sleepy) * len(_RANKS)
    few = max(1, min(each, LOOKED_AT_TOGETHER_MAX // max(1, ranges)))
    return of_rank + await _first_of(
        viewer,
        sleepy,
        few,
        source="outdial_zone AS owner",
        of_owner="owner.outdial_id",
        of_group=f"AND zone_group > 0 AND {_OF_GROUP}",
    )


async def _first_of(
    viewer: Viewer, outdial_ids: Sequence[str], each: int, *, source: str, of_owner: str, of_group: str | None = None
) -> list[_Head]:
    joined = "string_agg(CAST(head.id AS text), ',')" if db.is_postgres() else "group_concat(head.id)"
    now = db.instant_now("$3")
    heads = ", ".join(
        f"""(
            SELECT {joined} FROM (
                SELECT id FROM target
                WHERE customer_id = $1 AND outdial_id = {of_owner} AND status = '{TargetStatus.IDLE}'
                AND tm_delete IS NULL {of_group or "AND rank = level.rank"} AND {store.DUE_AT} {sign} {now}
                ORDER BY {store.DUE_AT}, id LIMIT {each + 1}
            ) AS head
        ) AS {name}"""
        for name, sign in (("due", "<="), ("later", ">"))
    )
    found = await db.fetch(
        f"""
        SELECT {heads} FROM {source} CROSS JOIN ({_LEVELS}) AS level
        WHERE owner.customer_id = $1 AND {of_owner} {db.any_of("$2")} {"AND owner.kind = 'GROUP'" if of_group else ""}
        """,
        viewer.customer_id,
        list(outdial_ids),
        db.now_value(),
    )
    listed = [text.split(",") for row in found for text in (row["due"], row["later"]) if text is not None]
    return [_Head(ids[:each], has_more=len(ids) > each) for ids in listed]


async def _looked_at(
    viewer: Viewer,
    heads: Collection[_Head],
    policies: Mapping[str, Outdial],
    clocks: Mapping[str, Clocks],
    earliest: Mapping[str, datetime],
) -> list[_Foreseen]:
    if not heads:
        return []
    found = []
    for row in await facts_of_targets(viewer, [one for head in heads for one in head.ids]):
        of_outdial = clocks.get(row["outdial_id"])
        keeps_order = policies[row["outdial_id"]].dial_policy.keep_order
        begins = earliest.get(row["outdial_id"], row["now_at"])
        moment = _moment(row, of_outdial, begins, keeps_order=keeps_order)
        lowest = row["due_at"] if begins <= row["now_at"] else max(row["due_at"], begins)
        if of_outdial is not None:
            lowest = of_outdial.opens(row["zone_group"], max(lowest, row["now_at"]))
        found.append(_Foreseen(row["id"], row["outdial_id"], row["now_at"], lowest, moment))
    return found


def _moment(row: Mapping[str, Any], clocks: Clocks | None, begins: datetime, *, keeps_order: bool) -> datetime | None:
    """When a claim takes an idle target, if nothing happens until then."""
    if row["next_try_at"] is None or row["status"] != TargetStatus.IDLE:
        return None
    places = facts_of_places(row, clocks)
    # DUE_AT: until then no claim looks at it, though what held it up may have ended
    first = max(row["due_at"], row["next_try_at"], row["now_at"], begins)
    moment = _free_at(row, places, clocks, first, keeps_order=keeps_order)
    callback = rows.callback(row["callback"])
    if moment is None or callback is None or not callback.is_reserved:
        return moment
    # for anybody: its window begins when its dialer can claim it
    ends_at = callback.ends_at or max(moment, first) + timedelta(seconds=callback.window_seconds)
    return _free_at(row, places, clocks, max(first, ends_at), keeps_order=keeps_order)


def _free_at(
    row: Mapping[str, Any],
    places: Mapping[int, PlaceFacts],
    clocks: Clocks | None,
    at: datetime | None,
    *,
    keeps_order: bool,
) -> datetime | None:
    """The first moment from an instant on at which a destination may be called."""
    for _ in range(CHANGES_MAX):
        if at is None:
            break
        is_free, until = _standing(row, places, clocks, at, keeps_order=keeps_order)
        if is_free:
            moment: datetime = row["next_try_at"] if at <= row["now_at"] else at
            return moment
        at = until
    return at  # a bound, after so many changes


def _standing(
    row: Mapping[str, Any], places: Mapping[int, PlaceFacts], clocks: Clocks | None, at: datetime, *, keeps_order: bool
) -> tuple[bool, datetime | None]:
    """Whether a destination may be called at an instant; if not, when the next thing ends that holds one up."""
    ends: list[datetime] = []
    for index, place in places.items():
        if (
            not place.is_offered
            or place.is_invalid
            or place.is_used_up
            or (place.is_suppressed and place.suppressed_until is None)
        ):
            continue
        held = [until for until in (place.suppressed_until, place.capped_until) if until is not None and until > at]
        if held:
            ends.append(max(held))
            continue
        asleep = None if clocks is None else clocks.of_target(row["zones"], row["zone_group"], index, at)
        if asleep is None:
            return True, None
        if asleep.until is not None:
            ends.append(asleep.until)
        if keeps_order:
            break
    return False, min(ends, default=None)


def _within_hours(outdial: Outdial, moment: datetime | None, now: datetime) -> datetime | None:
    """With the hours of the whole outdial, if it has such."""
    if moment is None or outdial.dial_policy.calling_hours is None:
        return moment
    is_closed, opens_at = closed(outdial, max(moment, now))
    return opens_at if is_closed else moment


def _before_the_end(outdial: Outdial, moment: datetime | None, now: datetime) -> datetime | None:
    """None if the outdial has ended by then."""
    if moment is None or not pacing.is_running(None, outdial.dial_policy.ends_at, max(moment, now)):
        return None
    return moment
