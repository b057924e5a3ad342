"""The statement of a claim on PostgreSQL. Its text is made once for each of its few shapes: it is long.

To put it together for each claim took 50 us of processor time, and its values take 7.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from app import clock, db, destinations, idempotency, rows, tables
from app.db import Script
from app.lifecycle import OutdialState
from app.listing import Parameters
from app.store import awake, capping, counters, due, looks, pacing, permits, probing, taking
from app.store.awake import Known
from app.store.looks import Traits
from app.stored import StoredTarget

SHAPES_KEPT = 256
ATTEMPT = tables.ATTEMPT.only(*rows.ATTEMPT_VALUES)
HAS_SUPPRESSIONS = "(SELECT suppressions_version > 0 FROM customer WHERE customer_id = $1)"
COUNTED = {"idle": "-count(*)", "progressing": "count(*)", "attempts": "count(*)"}
"""What a claim adds to the counters of its outdial."""
_OPEN = f"state = '{OutdialState.ACTIVE}' AND tm_delete IS NULL AND is_running"
"""A condition on the row `owner` of an outdial: targets may be claimed from it."""
_PLACES = {"place": "integer", "attempt_id": "uuid", "dialer": "text", "lease_seconds": "integer"}
_IF_ANY = "taken HAVING count(*) > 0"
_KEY = idempotency.Key("customer_id", "mutation", "key", "input_hash")
"""The names of a key's parts, in the place of the parts."""


class Shape(NamedTuple):
    """What the text depends on."""

    bound: int
    """Of the rows that it looks at, as `due.bound_of` gives it."""
    kind: type[StoredTarget] | None
    """Of the targets that are wanted."""
    has_key: bool
    traits: Traits
    """What the outdial is taken to have."""
    is_by_zone: bool
    """Whether the calling hours go by zones that are known."""
    keeps_order: bool
    is_script: bool
    """Whether it runs in a script, which puts capped targets to sleep afterwards."""


def shown_columns(kind: type[StoredTarget] | None) -> list[str]:
    """The columns of such targets, in SQL."""
    return [] if kind is None else [f'target.{name} AS "shown.{name}"' for name in kind.LAYOUT]


def values(
    names: Sequence[Any],
    *,
    owner: tuple[str, str],
    key: idempotency.Key | None,
    leases: Sequence[Mapping[str, Any]],
    marks: Sequence[due.Mark],
    hours: Known,
    dialer: str | None,
    rows_max: int,
) -> list[Any]:
    """The values of the statement's parameters.

    Args:
        names: of the parameters, as `text` has returned them. What is no name is a value.
        owner: the ids of the customer and the outdial.
        key: the caller's.
        leases: one for each target that may be taken.
        marks: where to begin.
        hours: what is known of the calling hours.
        dialer: the caller's name.
        rows_max: at how many rows it looks.
    """
    given: dict[Any, Any] = {
        "customer_id": owner[0],
        "outdial_id": owner[1],
        "rows": rows_max,
        "leases": db.rows_value(leases),
        "version": hours.version,
        "known_since": hours.since,
        "known_until": hours.until,
        "open_until": hours.open_until,
        "slot": counters.slot(),
        "shift": clock.shift,
        "dialer": dialer,
    }
    given["since"], given["first"] = (db.array_value([mark[place] for mark in marks]) for place in (0, 1))
    if hours.zones is None:
        given["allowed"] = hours.allowed[0] if hours.allowed else ""
    else:
        given["allowed"] = db.array_value(hours.allowed)
        given["zones"], given["groups"] = db.array_value(hours.zones), db.array_value(hours.groups)
    if key is not None:
        given |= {"mutation": key.mutation, "key": key.text, "input_hash": key.input_hash}
    return [given.get(name, name) for name in names]


@lru_cache(maxsize=SHAPES_KEPT)
def script(sql: str, parameters: int, traits: Traits, *, has_key: bool) -> Script:
    """The statement after its locks. A key's lock is named by one more parameter.

    Args:
        sql: the statement.
        parameters: how many it has.
        traits: as in the shape.
        has_key: whether its caller gave one.
    """
    names = [f"${parameters + 1}"] if has_key else []
    locks = looks.locks(traits, key=names, claims=capping.LOCK, pace=pacing.LOCK, outdial="CAST($2 AS text)")
    guards = [db.Guard(db.locking(locks.alone, locks.shared, writers=True), rows="1")]
    if locks.then_alone:
        guards.append(db.Guard(db.locking(locks.then_alone, locks.then_shared, writers=False), rows="1"))
    return Script(tuple(guards), sql, ("text",) * len(names), sequel=capping.sequel() if traits.is_capped else None)


def _putting_to_sleep(capped: destinations.Capped, now: str, *, is_script: bool) -> str:
    """The part of the statement that sees to capped targets: by itself, or by what follows in the script."""
    if is_script:
        return capping.NOTING
    asleep = "due.next_index IS NULL AND target.id = due.id AND target.customer_id = $1 RETURNING target.id"
    return f"{capping.sleeping(capping.limits_of_owner(), capped, now)} FROM due WHERE {asleep}"


def _as_known(shape: Shape, now: str, parameter: Parameters) -> tuple[str, str]:
    """Conditions on an outdial: what is known of its calling hours holds; and it is as the shape takes it to be."""
    given = ("version", "known_since", "known_until", "open_until")
    version, known_since, known_until, open_until = map(parameter, given)
    holds = f"policy_version = {version} AND {now} >= {known_since} AND {now} < {known_until}"
    is_awake = f"{holds} AND {now} < {open_until}"
    if not shape.is_by_zone:
        is_awake = f"(NOT has_hours OR ({is_awake}))"
    is_capped, is_paced, is_broken, is_reserved = shape.traits
    limited = f"has_caps = {is_capped} AND has_pace = {is_paced} AND is_broken = {int(is_broken)}"
    return holds, f"{is_awake} AND {limited} AND has_reserved = {int(is_reserved)}"


@lru_cache(maxsize=SHAPES_KEPT)
def text(shape: Shape) -> tuple[str, tuple[Any, ...]]:
    """The statement, and the names of its parameters. Its rows begin with those of ATTEMPT, then of the target."""
    parameter = Parameters(["customer_id", "outdial_id"])
    limit, lease = parameter("rows"), parameter("leases")
    now = "(SELECT now_at FROM moment)"
    seconds = "COALESCE(taken.lease_seconds, (SELECT lease_seconds FROM owner))"
    limits = capping.limits_of_owner()
    suppressed = destinations.Suppressed("$1", now, has_any="(SELECT has_suppressions FROM owner)")
    by_zone = None
    if shape.is_by_zone:
        open_zones = f"= ANY({db.array(parameter('zones'), 'integer')})"
        by_zone = destinations.Awake(open_zones, shape.keeps_order)
    holds, is_as_known = _as_known(shape, now, parameter)
    condition = f"EXISTS (SELECT 1 FROM owner WHERE {_OPEN} AND {is_as_known}) AND NOT EXISTS (SELECT 1 FROM known)"
    returning = ", ".join([taking.TAKEN.qualified, "lease.dialer", "lease.lease_seconds", *shown_columns(shape.kind)])
    expires = f"{now} + make_interval(secs => {seconds})"
    source = f"placed JOIN {db.rowset(lease, _PLACES, 'lease')} ON lease.place = placed.place"
    is_capped, is_paced, is_broken, is_reserved = shape.traits
    paced = pacing.at_once(limit, now, condition, is_capped=is_capped, is_paced=is_paced, is_broken=is_broken)
    capped = destinations.Capped("$1", "$2", (capping.CAP,), "cap", db.later) if shape.traits.is_capped else None
    permitted = permits.at_once(capped, parameter, is_by_zone=shape.is_by_zone)
    begun = taking.beginning(
        "taken", now=now, expires=expires, dialer="taken.dialer", seconds=seconds, permit=permitted.permit
    )
    parts = {
        "taken": taking.marking(f"{source} {paced.join}", now=now, attempt_id="lease.attempt_id", returning=returning),
        "begun": f"{begun} RETURNING {ATTEMPT}",
        "counted": counters.moving(COUNTED, slot=parameter("slot"), source=_IF_ANY),
        "told": taking.telling("taken", now=now),
    }
    if shape.traits.is_broken:
        parts["probed"] = probing.beginning("taken.last_attempt_id", "FROM taken")
    known = "SELECT NULL AS input_hash, NULL AS answer WHERE FALSE"
    if shape.has_key:
        known = idempotency.finding(_KEY, parameter, now=now)
        answer = "jsonb_agg(last_attempt_id ORDER BY last_attempt_id)"
        parts["kept"] = idempotency.keeping(_KEY, parameter, now=now, answer=answer, source=_IF_ANY)
    looked, free, cap, counted = capping.looking(limits, suppressed, awake=by_zone), "due", "", ""
    if capped is not None:
        looked, free = capping.looking(limits, suppressed, capped, by_zone, is_kept=True), capping.FREE
        cap, counted = f"cap AS MATERIALIZED ({capping.caps(now)}),", f"{capping.COUNTED},"
        parts["slept"] = _putting_to_sleep(capped, now, is_script=shape.is_script)
    since, first = parameter("since"), parameter("first")
    groups = None if by_zone is None else parameter("groups")

    def others(limit: str) -> str:
        if groups is None:
            return due.after_marks(limit, shape.bound, now, looked, condition, since=since, first=first)
        return due.awake_on_postgres(
            limit, shape.bound, now, looked, condition, groups=groups, since=since, first=first
        )

    if is_reserved:
        dialer = parameter("dialer")
        taken_from = due.own_first(paced.limit, shape.bound, now, looked, condition, others, dialer=dialer)
    else:
        taken_from = others(paced.limit)
    if capped is not None:
        taken_from = capping.judging(taken_from, limits, suppressed, capped, by_zone)
    written = ", ".join(f"{name} AS ({sql})" for name, sql in parts.items())
    hours_of_owner = ", ".join(f"owner.{name}" for name in awake.POLICY.split(", "))
    shown = "" if shape.kind is None else "".join(f', "shown.{name}"' for name in shape.kind.LAYOUT)
    join = "" if shape.kind is None else "LEFT JOIN taken ON taken.last_attempt_id = begun.id"
    sql = f"""
        WITH moment AS MATERIALIZED (SELECT clock_timestamp() + {db.typed(parameter("shift"), "interval")} AS now_at),
        owner AS MATERIALIZED (
            SELECT state, tm_delete, max_try_counts, lease_seconds, {HAS_SUPPRESSIONS} AS has_suppressions,
                calling_hours IS NOT NULL AS has_hours,
                CASE WHEN {holds} THEN NULL ELSE calling_hours END AS calling_hours,
                policy_version, on_unknown_time_zone, keep_order, time_zone, caps, caps <> '[]' AS has_caps,
                pacing, {pacing.HAS_PACE} AS has_pace, {pacing.is_running(now)} AS is_running, is_broken, has_reserved,
                {permitted.of_owner} AS allowed
            FROM outdial WHERE customer_id = $1 AND id = $2
        ),
        known AS MATERIALIZED ({known}), {permitted.part} {cap} {paced.part}
        {due.placing(taken_from, free)},
        {written}
        SELECT begun.*{shown}, owner.state AS outdial_state, owner.tm_delete AS gone_at, known.input_hash, known.answer,
            owner.has_hours, {hours_of_owner}, owner.has_suppressions, owner.has_caps, owner.has_pace,
            owner.has_reserved, owner.is_broken, {paced.shown} {counted} {due.REACHED}
        FROM owner LEFT JOIN known ON TRUE {due.REACHED_FROM} LEFT JOIN begun ON TRUE {join} ORDER BY begun.id
    """
    return sql, tuple(parameter.values)
