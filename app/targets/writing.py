"""Changes of targets by their owner: create, change, cancel and delete."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from app import db, idempotency, rows, store, tables, validation
from app.auth import Viewer
from app.changes import Change, canceled, changed, moved
from app.db import Transaction
from app.errors import Rejected, UserError, UserErrorCode, invalid, rejected
from app.lifecycle import DoneReason, Standing, TargetEventType, TargetStatus
from app.records import CheckedTarget, CreatedTargets, DedupeScope, DuplicateAction, Outdial, Target, TargetDraft
from app.targets import drafts, duplicates
from app.targets.duplicates import Known, Repeat

CREATE_TARGETS_MAX = 1_000


# ---------------------------------------------------------------- create


async def create(viewer: Viewer, outdial_id: str, *, draft: TargetDraft, idempotency_key: str | None = None) -> Target:
    """One target, idle and due.

    Raises:
        Rejected: INVALID, NOT_FOUND, or CONFLICT if its key or the idempotency key is taken.
    """
    errors: list[UserError] = []
    outdial_id = validation.object_id(outdial_id, errors, "outdial_id")
    checked = validation.target(draft, errors, "target")
    key = idempotency.checked(idempotency_key, errors)
    if errors:
        raise Rejected(errors)
    return await db.transaction(_create, viewer, outdial_id, checked, key)


async def _create(tx: Transaction, viewer: Viewer, outdial_id: str, draft: CheckedTarget, key: str | None) -> Target:
    value = (outdial_id, draft)
    first = await idempotency.begin(tx, viewer, "createTarget", key, value=value)
    if first is not None:
        return (await _read(tx, viewer, [first]))[first]
    outdial = await store.lock_outdial(tx, viewer, outdial_id, "outdial_id")
    if draft.key is not None and await duplicates.taken_keys(tx, outdial, [draft.key]):
        raise rejected(
            UserErrorCode.CONFLICT,
            "Another target of the outdial already has this key. Use another key.",
            "target",
            "key",
        )
    target = drafts.new_target(outdial, draft, await tx.now())
    await idempotency.keep(tx, viewer, "createTarget", key, target.id)
    await store.save_new(tx, outdial, [target])
    return target


async def _read(tx: Transaction, viewer: Viewer, target_ids: Sequence[str]) -> dict[str, Target]:
    found = await tx.fetch(
        f"SELECT {tables.TARGET} FROM target WHERE customer_id = $1 AND id {db.any_of('$2')}",
        viewer.customer_id,
        list(target_ids),
    )
    return {row["id"]: rows.target(row) for row in found}


async def create_many(
    viewer: Viewer,
    outdial_id: str,
    *,
    drafts: Sequence[TargetDraft],
    on_duplicate_key: DuplicateAction = DuplicateAction.REJECT,
    dedupe: DedupeScope = DedupeScope.NONE,
    idempotency_key: str | None = None,
) -> CreatedTargets:
    """Up to 1,000 targets. Good rows are stored, bad ones reported by index.

    Args:
        viewer: the caller.
        outdial_id: the outdial.
        drafts: the rows.
        on_duplicate_key: what happens to a row whose key is taken; with `dedupe` also if its address is.
        dedupe: among which targets an address must be unique.
        idempotency_key: the same key with the same input returns the first answer.

    Raises:
        Rejected: an error of the whole call: INVALID, NOT_FOUND, or CONFLICT of the idempotency key.
    """
    errors: list[UserError] = []
    outdial_id = validation.object_id(outdial_id, errors, "outdial_id")
    key = idempotency.checked(idempotency_key, errors)
    if not 1 <= len(drafts) <= CREATE_TARGETS_MAX:
        errors.append(invalid(f"Give 1 to {CREATE_TARGETS_MAX:,} targets in a call.", "targets"))
    if errors:
        raise Rejected(errors)
    rows_given = _checked_rows(drafts)
    return await db.transaction(_create_many, viewer, outdial_id, rows_given, on_duplicate_key, dedupe, key)


@dataclass(frozen=True, slots=True)
class _Given:
    draft: CheckedTarget
    errors: tuple[UserError, ...]


def _checked_rows(given: Sequence[TargetDraft]) -> list[_Given]:
    checked = []
    for index, draft in enumerate(given):
        errors: list[UserError] = []
        checked.append(_Given(validation.target(draft, errors, "targets", str(index)), tuple(errors)))
    return checked


@dataclass(slots=True)
class _Outcome:
    """The result of each row, while the rows are processed."""

    ids: list[str | None] = field(default_factory=list)
    fresh: list[Target] = field(default_factory=list)
    """The new targets, as they are created."""
    changes: list[Change] = field(default_factory=list)
    """Of stored targets and of new ones, if later rows replace them."""
    errors: list[UserError] = field(default_factory=list)
    created: int = 0
    updated: int = 0
    skipped: int = 0

    def answer(self, targets: Mapping[str, Target]) -> CreatedTargets:
        return CreatedTargets(
            targets=[None if target_id is None else targets[target_id] for target_id in self.ids],
            created=self.created,
            updated=self.updated,
            skipped=self.skipped,
            rejected=self.ids.count(None),
            errors=tuple(self.errors),
        )


async def _create_many(
    tx: Transaction,
    viewer: Viewer,
    outdial_id: str,
    given: Sequence[_Given],
    action: DuplicateAction,
    dedupe: DedupeScope,
    key: str | None,
) -> CreatedTargets:
    value = (outdial_id, given, action, *([] if dedupe is DedupeScope.NONE else [dedupe]))
    first = await idempotency.begin(tx, viewer, "createTargets", key, value=value)
    if first is not None:
        errors = [UserError(UserErrorCode(code), message, tuple(path)) for code, message, path in first["errors"]]
        outcome = _Outcome(first["ids"], [], [], errors, first["created"], first["updated"], first["skipped"])
        return outcome.answer(await _read(tx, viewer, [known for known in outcome.ids if known is not None]))
    outdial = await store.lock_outdial(tx, viewer, outdial_id, "outdial_id")
    good = [row.draft for row in given if not row.errors]
    known = await _stored(tx, viewer, outdial, good, dedupe)
    outcome = _go_through(
        outdial, given, action, known, compares_addresses=dedupe is not DedupeScope.NONE, now=await tx.now()
    )
    if outcome.fresh or outcome.changes:
        answer = {
            "ids": outcome.ids,
            "created": outcome.created,
            "updated": outcome.updated,
            "skipped": outcome.skipped,
            "errors": [(error.code, error.message, error.path) for error in outcome.errors],
        }
        await idempotency.keep(tx, viewer, "createTargets", key, answer)
        await store.save_new(tx, outdial, outcome.fresh)
        await store.save(tx, outcome.changes)
    else:
        await idempotency.forget(tx, viewer, "createTargets", key)
    return outcome.answer(known.latest)


@dataclass(slots=True)
class _Stored:
    """Targets that the rows may repeat, including those of the earlier rows."""

    known: Known
    by_key: dict[str, str]
    latest: dict[str, Target]
    """Each target as it is after the rows so far, by id."""

    def add(self, target: Target, addresses: Sequence[str | None]) -> None:
        """A target is new, or is replaced by a row with these addresses."""
        self.known.add(target.key, addresses, target.id)
        if target.key is not None:
            self.by_key[target.key] = target.id
        self.latest[target.id] = target

    def repeated(
        self, draft: CheckedTarget, found: Repeat | DuplicateAction, addresses: Sequence[str | None]
    ) -> Target:
        """The target that a row repeats."""
        if isinstance(found, Repeat) and found.index is not None:
            target_id = self.known.addresses[addresses[found.index] or ""]
        else:
            target_id = self.by_key[draft.key or ""]
        assert target_id is not None
        return self.latest[target_id]


async def _stored(
    tx: Transaction, viewer: Viewer, outdial: Outdial, given: Sequence[CheckedTarget], dedupe: DedupeScope
) -> _Stored:
    keys = [draft.key for draft in given if draft.key is not None]
    with_keys = await duplicates.with_keys(tx, outdial, keys) if keys else {}
    latest = {target.id: target for target in with_keys.values()}
    known = Known(set(with_keys))
    if dedupe is not DedupeScope.NONE:
        addresses = {address for draft in given for address in draft.addresses if address is not None}
        known.addresses = await duplicates.taken_addresses(tx, outdial, sorted(addresses), dedupe)
        missing = {target_id for target_id in known.addresses.values() if target_id is not None} - latest.keys()
        latest |= await _read(tx, viewer, sorted(missing))
    return _Stored(known, {key: target.id for key, target in with_keys.items()}, latest)


def _go_through(
    outdial: Outdial,
    given: Sequence[_Given],
    action: DuplicateAction,
    stored: _Stored,
    *,
    compares_addresses: bool,
    now: datetime,
) -> _Outcome:
    """Decide row by row, in order; each row sees those before it. Extends `stored`."""
    outcome = _Outcome()
    for index, row in enumerate(given):
        if row.errors:
            outcome.errors.extend(row.errors)
            outcome.ids.append(None)
            continue
        draft = row.draft
        addresses = draft.addresses if compares_addresses else ()
        found = duplicates.judge(stored.known, draft.key, addresses, action)
        if found is None:
            target = drafts.new_target(outdial, draft, now)
            outcome.fresh.append(target)
            outcome.created += 1
            stored.add(target, addresses)
        elif isinstance(found, Repeat) and found.code is not None:
            outcome.errors.append(_conflict(index, found))
            outcome.ids.append(None)
            continue
        else:
            target = stored.repeated(draft, found, addresses)
            change = None
            if not isinstance(found, Repeat):
                change = drafts.updated(target, outdial, drafts.replacing(draft), now)
            if change is None:
                outcome.skipped += 1
            else:
                target = change.after
                outcome.changes.append(change)
                outcome.updated += 1
                stored.add(target, addresses)
        outcome.ids.append(target.id)
    return outcome


def _conflict(index: int, found: Repeat) -> UserError:
    if found.index is None:
        return UserError(
            UserErrorCode.CONFLICT,
            "Another target of the outdial already has this key. Use another key, or set onDuplicateKey.",
            ("targets", str(index), "key"),
        )
    path = ("targets", str(index), f"destination_{found.index}", "target")
    return UserError(UserErrorCode.CONFLICT, "Another target already has this address.", path)


# ---------------------------------------------------------------- update


async def update(
    viewer: Viewer, target_id: str, *, changes: Mapping[str, Any], if_version: int | None = None
) -> Target:
    """Change the given fields and leave the rest.

    Args:
        viewer: the caller.
        target_id: the target.
        changes: any of name, detail, data, priority, max_try_counts, not_before and destination_0 … destination_4.
        if_version: change it only if it still has this version.

    Raises:
        Rejected: INVALID, NOT_FOUND, or CONFLICT if the version is another.
    """
    target_id = _known_id(target_id)
    return await db.transaction(_update, viewer, target_id, drafts.checked_changes(changes), if_version)


def _known_id(target_id: str) -> str:
    errors: list[UserError] = []
    parsed = validation.object_id(target_id, errors, "id")
    if errors:
        raise Rejected(errors)
    return parsed


async def _lock(tx: Transaction, viewer: Viewer, target_id: str) -> tuple[Outdial, Target]:
    """Lock and return a target and its outdial.

    Raises:
        Rejected: NOT_FOUND.
    """
    gone = rejected(UserErrorCode.NOT_FOUND, "Target not found.", "id")
    found = await tx.fetch(
        "SELECT outdial_id FROM target WHERE customer_id = $1 AND id = $2", viewer.customer_id, target_id
    )
    if not found:
        raise gone
    outdial = await store.lock_outdial(tx, viewer, found[0]["outdial_id"], "id", deleted=True)
    target = (await store.lock_targets(tx, viewer.customer_id, [target_id]))[target_id]
    if outdial.tm_delete is not None or target.tm_delete is not None:
        raise gone
    return outdial, target


async def _update(
    tx: Transaction, viewer: Viewer, target_id: str, changes: Mapping[str, Any], if_version: int | None
) -> Target:
    outdial, target = await _lock(tx, viewer, target_id)
    if if_version is not None and if_version != target.version:
        raise rejected(
            UserErrorCode.CONFLICT,
            f"The target now has version {target.version}. Read it again before you change it.",
            "if_version",
        )
    change = drafts.updated(target, outdial, changes, await tx.now())
    if change is None:
        return target
    await store.save(tx, [change])
    return change.after


# ---------------------------------------------------------------- cancel, delete


async def cancel(viewer: Viewer, target_id: str) -> Target:
    """Finish a target. An attempt in progress loses its lease. A done target stays as it is.

    Raises:
        Rejected: NOT_FOUND.
    """
    return await db.transaction(_cancel, viewer, _known_id(target_id))


async def _cancel(tx: Transaction, viewer: Viewer, target_id: str) -> Target:
    _, target = await _lock(tx, viewer, target_id)
    if target.status is TargetStatus.DONE:
        return target
    now = await tx.now()
    change = canceled(target, now)
    await store.save(tx, [change], attempts=await store.read_revoked(tx, [target], now))
    return change.after


async def delete(viewer: Viewer, target_id: str) -> Target:
    """Mark a target as deleted. An attempt in progress loses its lease, and the key is free again.

    Raises:
        Rejected: NOT_FOUND.
    """
    return await db.transaction(_delete, viewer, _known_id(target_id))


async def _delete(tx: Transaction, viewer: Viewer, target_id: str) -> Target:
    _, target = await _lock(tx, viewer, target_id)
    now = await tx.now()
    after = target
    if target.status is TargetStatus.PROGRESSING:
        after = moved(target, Standing(TargetStatus.DONE, DoneReason.CANCELED))
    change = changed(target, replace(after, tm_delete=now, last_attempt_id=None), TargetEventType.DELETED, now)
    await store.save(tx, [change], attempts=await store.read_revoked(tx, [target], now))
    return change.after
