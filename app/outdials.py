"""Outdials: lists of targets, owned by one customer."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from tortoise.queryset import QuerySet

from app import customers, db, events, idempotency, ids, models, rows, store, tables, validation
from app.auth import Viewer
from app.changes import canceled, changed, moved
from app.db import Transaction
from app.errors import Rejected, UserError
from app.lifecycle import DoneReason, OutdialEventType, OutdialState, Standing, TargetEventType, TargetStatus
from app.listing import Listing, Parameters, counts, pages
from app.pagination import Page, PageRequest
from app.records import DialPolicy, Outdial, OutdialDraft, OutdialFilter, PolicyDraft, Progress

LISTING = Listing(tables.OUTDIAL, parent="customer_id", instant="tm_create")
SEARCH_TARGETS_MAX = 500
"""How many idle targets one step searches after limits were lowered. Short transactions do not delay subscribers."""


# ---------------------------------------------------------------- reading


async def get_many(viewer: Viewer, outdial_ids: Sequence[str], *, deleted: bool = False) -> dict[str, Outdial]:
    """The viewer's outdials by id; deleted ones only if `deleted`."""
    found = await db.fetch(
        f"""
        SELECT {tables.OUTDIAL} FROM outdial WHERE customer_id = $1 AND id {db.any_of("$2")}
        {"" if deleted else "AND tm_delete IS NULL"}
        """,
        viewer.customer_id,
        list(outdial_ids),
    )
    return {row["id"]: rows.outdial(row) for row in found}


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
    found = await db.fetch(
        f"""
        SELECT outdial_id, {sums} FROM outdial_counter
        WHERE customer_id = $1 AND outdial_id {db.any_of("$2")} GROUP BY outdial_id
        """,
        viewer.customer_id,
        list(outdial_ids),
    )
    return {outdial_id: Progress() for outdial_id in outdial_ids} | {
        row["outdial_id"]: rows.progress(row) for row in found
    }


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
    key_text = idempotency.checked(idempotency_key, errors)
    if errors:
        raise Rejected(errors)
    key = idempotency.key_of(viewer, "createOutdial", key_text, (texts, campaign_id, policy))
    created = await db.transaction(_create, viewer, texts, campaign_id, policy, key)
    if created is None:
        await customers.add(viewer.customer_id)
        created = await db.transaction(_create, viewer, texts, campaign_id, policy, key)
        assert created is not None
    return created


async def _create(
    tx: Transaction,
    viewer: Viewer,
    texts: Mapping[str, str],
    campaign_id: str | None,
    policy: DialPolicy,
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
        tm_create=now,
        tm_update=None,
        tm_delete=None,
    )
    await models.Outdial.create(using_db=tx.orm, **rows.outdial_values(outdial))
    await idempotency.keep(tx, key, outdial.id, now)
    await _announce(tx, outdial, OutdialEventType.CREATED, now)
    return outdial


async def _read(tx: Transaction, viewer: Viewer, outdial_id: str) -> Outdial:
    found = await _stored(tx, viewer.customer_id, outdial_id).get()
    return rows.outdial(tables.row_of(found))


def _stored(tx: Transaction, customer_id: str, outdial_id: str) -> QuerySet[models.Outdial]:
    return models.Outdial.filter(customer_id=customer_id, id=outdial_id).using_db(tx.orm)


async def _announce(tx: Transaction, outdial: Outdial, event_type: OutdialEventType, now: datetime) -> None:
    await events.append_outdial(tx, event_type, customer_id=outdial.customer_id, outdial_id=outdial.id, occurred_at=now)


async def update(viewer: Viewer, outdial_id: str, *, changes: Mapping[str, Any]) -> Outdial:
    """Change the given fields and leave the rest.

    After a pause is answered, no new attempt begins. If limits are lowered, targets without a try left are finished:
    the first of them at once, the rest in steps, which housekeeping continues after a crash.

    Args:
        viewer: the caller.
        outdial_id: the outdial.
        changes: any of name, detail, data, campaign_id, state (an OutdialState) and dial_policy (a PolicyDraft).

    Raises:
        Rejected: INVALID or NOT_FOUND.
    """
    errors: list[UserError] = []
    outdial_id = validation.object_id(outdial_id, errors, "id")
    given: dict[str, Any] = dict(validation.texts(changes, errors))
    if "campaign_id" in changes:
        given["campaign_id"] = validation.campaign_id(changes["campaign_id"], errors, "campaign_id")
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
    after = replace(before, **given, dial_policy=policy)
    if after == before:
        return before
    now = await tx.now()
    after = replace(after, tm_update=now)
    lowered = any(new < old for new, old in zip(policy.max_try_counts, before.dial_policy.max_try_counts, strict=True))
    old, new = rows.outdial_values(before), rows.outdial_values(after)
    await _stored(tx, viewer.customer_id, outdial_id).update(
        **{name: value for name, value in new.items() if value != old[name]}
    )
    await _announce(tx, after, OutdialEventType.UPDATED, now)
    if lowered:
        await _search_exhausted(tx, after, None)
    return after


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
    await _stored(tx, viewer.customer_id, outdial_id).update(tm_delete=now, exhausted_to=None)
    await store.save(
        tx,
        [canceled(target, now) for target in targets],
        attempts=await store.read_revoked(tx, targets, now),
    )
    await _announce(tx, deleted, OutdialEventType.DELETED, now)
    return deleted


# ---------------------------------------------------------------- after limits were lowered


async def finish_exhausted() -> bool:
    """Take one step of the search for targets without a try left, after limits were lowered. Housekeeping calls this.

    Returns:
        Whether there was anything to search. If so, call it again.
    """
    waiting = await db.fetch(
        "SELECT id, customer_id FROM outdial WHERE exhausted_to IS NOT NULL AND tm_delete IS NULL ORDER BY id LIMIT 1"
    )
    if not waiting:
        return False
    await db.transaction(_go_on_searching, waiting[0]["customer_id"], waiting[0]["id"])
    return True


async def _go_on_searching(tx: Transaction, customer_id: str, outdial_id: str) -> None:
    # Exclusive: two processes must not do the same work twice, and the policy must not change meanwhile.
    await tx.lock(customer_id, exclusive=[outdial_id])
    found = await _stored(tx, customer_id, outdial_id).get()
    if found.exhausted_to is not None and found.tm_delete is None:
        await _search_exhausted(tx, rows.outdial(tables.row_of(found)), str(found.exhausted_to))


async def _search_exhausted(tx: Transaction, outdial: Outdial, beyond: str | None) -> None:
    """Search the next idle targets, and finish those that have no try left.

    Args:
        tx: the transaction, which has the outdial's lock for itself.
        outdial: the outdial, with its new limits.
        beyond: the last target of the step before. None begins the search.
    """
    # In the order of the index that pages by status use. A target's row stays when the target is deleted.
    further = (
        ""
        if beyond is None
        else f"""
        AND (tm_create, id) > (
            (SELECT last.tm_create FROM target AS last WHERE last.customer_id = $1 AND last.id = $3),
            {db.typed("$3", "uuid")}
        )
    """
    )
    found = await tx.fetch(
        f"""
        SELECT {tables.TARGET} FROM target
        WHERE customer_id = $1 AND outdial_id = $2 AND status = 'IDLE' AND tm_delete IS NULL {further}
        ORDER BY tm_create, id LIMIT {SEARCH_TARGETS_MAX} {db.for_update()}
        """,
        outdial.customer_id,
        outdial.id,
        *([] if beyond is None else [beyond]),
    )
    targets = [rows.target(row) for row in found]
    now = await tx.now()
    exhausted = Standing(TargetStatus.DONE, DoneReason.EXHAUSTED)
    await store.save(
        tx,
        [
            changed(target, moved(target, exhausted), TargetEventType.EXHAUSTED, now)
            for target in targets
            if target.tries(outdial.dial_policy).next_index() is None
        ],
    )
    come_to = targets[-1].id if len(targets) == SEARCH_TARGETS_MAX else None
    await _stored(tx, outdial.customer_id, outdial.id).update(exhausted_to=come_to)
