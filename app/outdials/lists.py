"""Outdials: lists of targets, owned by one customer."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from app import customers, db, events, idempotency, ids, models, rows, store, tables, validation
from app.auth import Viewer
from app.changes import canceled
from app.db import Transaction
from app.errors import Rejected, UserError
from app.lifecycle import OutdialEventType, OutdialState
from app.listing import Listing, Parameters, counts, pages
from app.outdials import judging, walking
from app.pagination import Page, PageRequest
from app.records import DialPolicy, Outdial, OutdialDraft, OutdialFilter, PolicyDraft, Progress

LISTING = Listing(tables.OUTDIAL, parent="customer_id", instant="tm_create")


# ---------------------------------------------------------------- reading


async def get_many(viewer: Viewer, outdial_ids: Sequence[str], *, deleted: bool = False) -> dict[str, Outdial]:
    """The viewer's outdials by id; deleted ones only if `deleted`."""
    found = await db.fetch_by_ids(
        f"""
        SELECT {tables.OUTDIAL} FROM outdial WHERE customer_id = $1 AND id {db.any_of("$2")}
        {"" if deleted else "AND tm_delete IS NULL"}
        """,
        viewer.customer_id,
        outdial_ids,
    )
    return {row["id"]: rows.outdial(row) for row in found}


async def seen_at(viewer: Viewer, outdial_id: str) -> datetime | None:
    """The database's clock, read together with the outdial; None if the viewer has no such outdial."""
    found = await db.fetch(
        f"""
        SELECT {db.instant_ago("$3")} AS seen_at FROM outdial
        WHERE customer_id = $1 AND id = $2 AND tm_delete IS NULL
        """,
        viewer.customer_id,
        outdial_id,
        db.ago_value(timedelta(0)),
    )
    return found[0]["seen_at"] if found else None


async def page(viewer: Viewer, request: PageRequest, *, where: OutdialFilter | None = None) -> Page[Outdial]:
    """The viewer's outdials, newest first."""
    found = await pages(
        LISTING,
        [viewer.customer_id],
        request,
        ascending=False,
        conditions=_conditions(viewer, where or OutdialFilter()),
        make=rows.outdial,
    )
    return found[viewer.customer_id]


async def count(viewer: Viewer, *, where: OutdialFilter | None = None) -> int:
    """How many outdials match.

    Raises:
        LimitExceeded: counting takes too long.
    """
    found = await counts(LISTING, [viewer.customer_id], conditions=_conditions(viewer, where or OutdialFilter()))
    return found[viewer.customer_id]


def _conditions(viewer: Viewer, where: OutdialFilter) -> Callable[[Parameters], str]:
    def conditions(parameter: Parameters) -> str:
        met = [f"customer_id = {parameter(viewer.customer_id)}", "tm_delete IS NULL"]
        if where.campaign_id == ids.ZERO:
            met.append("campaign_id IS NULL")
        elif where.campaign_id is not None:
            met.append(f"campaign_id = {parameter(where.campaign_id)}")
        if where.states:
            met.append(f"state {db.any_of(parameter([state.value for state in where.states]), 'text')}")
        if where.name_contains:
            met.append(f"lower(name) LIKE {parameter(_containing(validation.sought(where.name_contains)))} ESCAPE '!'")
        return " AND ".join(met)

    return conditions


def _containing(text: str) -> str:
    """A LIKE pattern for a part of a lower-case text."""
    escaped = text.lower().replace("!", "!!").replace("%", "!%").replace("_", "!_")
    return f"%{escaped}%"


async def progress(viewer: Viewer, outdial_ids: Sequence[str]) -> dict[str, Progress]:
    """Exact counts by outdial, from counters that each change updates: the same cost for an outdial of any size."""
    sums = ", ".join(f"sum({column}) AS {column}" for column in tables.COUNTERS.kinds)
    found = await db.fetch_by_ids(
        f"""
        SELECT outdial_id, {sums} FROM outdial_counter
        WHERE customer_id = $1 AND outdial_id {db.any_of("$2")} GROUP BY outdial_id
        """,
        viewer.customer_id,
        outdial_ids,
        column="outdial_id",
    )
    return {outdial_id: Progress() for outdial_id in outdial_ids} | {
        row["outdial_id"]: rows.progress(row) for row in found
    }


async def policies(tx: Transaction, customer_id: str, outdial_ids: Sequence[str]) -> dict[str, DialPolicy]:
    """The policies of outdials that the transaction has locked, without deleted ones."""
    found = await tx.fetch(
        f"SELECT {tables.OUTDIAL} FROM outdial WHERE customer_id = $1 AND id {db.any_of('$2')} AND tm_delete IS NULL",
        customer_id,
        list(outdial_ids),
    )
    return {row["id"]: rows.dial_policy(row) for row in found}


# ---------------------------------------------------------------- writing


async def create(viewer: Viewer, *, draft: OutdialDraft, idempotency_key: str | None = None) -> Outdial:
    """A new outdial, active and empty.

    Raises:
        Rejected: INVALID values, or CONFLICT if the key was used with another input.
    """
    errors: list[UserError] = []
    texts = validation.texts({"name": draft.name, "detail": draft.detail, "data": draft.data}, errors)
    campaign_id = validation.campaign_id(draft.campaign_id, errors, "campaign_id")
    policy = validation.policy(draft.dial_policy, validation.DEFAULT_POLICY, errors, "dial_policy")
    time_zone = validation.time_zone(draft.time_zone, errors, "time_zone")
    key_text = idempotency.checked(idempotency_key, errors)
    if errors:
        raise Rejected(errors)
    key = idempotency.key_of(viewer, "createOutdial", key_text, (texts, campaign_id, policy, time_zone))
    created = await db.transaction(_create, viewer, texts, campaign_id, policy, time_zone, key)
    if created is None:
        await customers.add(viewer.customer_id)
        created = await db.transaction(_create, viewer, texts, campaign_id, policy, time_zone, key)
        assert created is not None
    return created


async def _create(
    tx: Transaction,
    viewer: Viewer,
    texts: Mapping[str, str],
    campaign_id: str | None,
    policy: DialPolicy,
    time_zone: str | None,
    key: idempotency.Key | None,
) -> Outdial | None:
    """The outdial; None if the customer is not known yet."""
    if not await tx.lock(viewer.customer_id):
        return None
    first_answer = await idempotency.begin(tx, key)
    if first_answer is not None:
        return await _read(tx, viewer, first_answer)
    now = await tx.now()
    outdial = Outdial(
        id=ids.new(),
        customer_id=viewer.customer_id,
        campaign_id=campaign_id,
        name=texts["name"],
        detail=texts["detail"],
        data=texts["data"],
        state=OutdialState.ACTIVE,
        dial_policy=policy,
        time_zone=time_zone,
        tm_create=now,
        tm_update=None,
        tm_delete=None,
    )
    await models.Outdial.create(using_db=tx.orm, **rows.outdial_values(outdial))
    await judging.keep_up(tx, None, outdial, now)
    await idempotency.keep(tx, key, outdial.id, now)
    await _announce(tx, outdial, OutdialEventType.CREATED, now)
    return outdial


async def _read(tx: Transaction, viewer: Viewer, outdial_id: str) -> Outdial:
    found = await walking.stored(tx, viewer.customer_id, outdial_id).get()
    return rows.outdial(tables.row_of(found))


async def _announce(tx: Transaction, outdial: Outdial, event_type: OutdialEventType, now: datetime) -> None:
    await events.append_outdial(tx, event_type, customer_id=outdial.customer_id, outdial_id=outdial.id, occurred_at=now)


async def update(viewer: Viewer, outdial_id: str, *, changes: Mapping[str, Any]) -> Outdial:
    """Change the given fields and leave the rest.

    After a pause is answered, no new attempt begins. If limits are lowered, targets without a try left are finished:
    the first of them at once, the rest in steps, which housekeeping continues after a crash.

    Args:
        viewer: the caller.
        outdial_id: the outdial.
        changes: any of name, detail, data, campaign_id, time_zone, state (an OutdialState) and dial_policy (a
            PolicyDraft).

    Raises:
        Rejected: INVALID or NOT_FOUND.
    """
    errors: list[UserError] = []
    outdial_id = validation.object_id(outdial_id, errors, "id")
    given: dict[str, Any] = dict(validation.texts(changes, errors))
    if "campaign_id" in changes:
        given["campaign_id"] = validation.campaign_id(changes["campaign_id"], errors, "campaign_id")
    if "time_zone" in changes:
        given["time_zone"] = validation.time_zone(changes["time_zone"], errors, "time_zone")
    if changes.get("state") is not None:
        given["state"] = changes["state"]
    draft = changes.get("dial_policy")
    validation.policy(draft, validation.DEFAULT_POLICY, errors, "dial_policy")
    if errors:
        raise Rejected(errors)
    return await db.transaction(_update, viewer, outdial_id, given, draft)


async def _update(
    tx: Transaction, viewer: Viewer, outdial_id: str, given: Mapping[str, Any], draft: PolicyDraft | None
) -> Outdial:
    before = await store.lock_outdial(tx, viewer, outdial_id, "id", exclusive=True)
    policy = validation.policy(draft, before.dial_policy, [])
    if policy != before.dial_policy or given.get("time_zone", before.time_zone) != before.time_zone:
        policy = replace(policy, version=policy.version + 1)
    after = replace(before, **given, dial_policy=policy)
    if after == before:
        return before
    now = await tx.now()
    after = replace(after, tm_update=now)
    old, new = rows.outdial_values(before), rows.outdial_values(after)
    await walking.stored(tx, viewer.customer_id, outdial_id).update(
        **{name: value for name, value in new.items() if value != old[name]}
    )
    await judging.keep_up(tx, before.dial_policy, after, now)
    await _announce(tx, after, OutdialEventType.UPDATED, now)
    if _concerns_idle_targets(before.dial_policy, policy):
        await walking.search_exhausted.begin(tx, after)
    if policy.sorts_by_zone and not before.dial_policy.sorts_by_zone:
        await walking.sort_by_zone.begin(tx, after)
    return after


def _concerns_idle_targets(old: DialPolicy, new: DialPolicy) -> bool:
    """Whether some may have no try left, or sleep for caps or limits that hold no longer."""
    # a raised limit may open a destination of one that sleeps until a suppression of its others ends
    return new.max_try_counts != old.max_try_counts or old.caps not in ((), new.caps)


async def delete(viewer: Viewer, outdial_id: str) -> Outdial:
    """Mark the outdial and its targets as deleted. Attempts in progress lose their lease.

    Raises:
        Rejected: NOT_FOUND.
    """
    errors: list[UserError] = []
    outdial_id = validation.object_id(outdial_id, errors, "id")
    if errors:
        raise Rejected(errors)
    return await db.transaction(_delete, viewer, outdial_id)


async def _delete(tx: Transaction, viewer: Viewer, outdial_id: str) -> Outdial:
    outdial = await store.lock_outdial(tx, viewer, outdial_id, "id", exclusive=True)
    progressing = await tx.fetch(
        f"""
        SELECT {tables.TARGET} FROM target
        WHERE customer_id = $1 AND outdial_id = $2 AND status = 'PROGRESSING' AND tm_delete IS NULL
        ORDER BY id {db.for_update()}
        """,
        viewer.customer_id,
        outdial_id,
    )
    targets = [rows.target(row) for row in progressing]
    now = await tx.now()
    deleted = replace(outdial, tm_delete=now)
    await walking.stored(tx, viewer.customer_id, outdial_id).update(tm_delete=now, exhausted_to=None)
    await judging.forget(tx, outdial)
    await store.save(
        tx,
        [canceled(target, now) for target in targets],
        attempts=await store.read_revoked(tx, targets, now),
    )
    await _announce(tx, deleted, OutdialEventType.DELETED, now)
    return deleted
