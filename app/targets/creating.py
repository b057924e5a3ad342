"""New targets of their owner: one, or up to 1,000 in a call with a result for each row."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from app import db, idempotency, rows, store, tables, validation
from app.auth import Viewer
from app.changes import Change
from app.db import Transaction
from app.errors import Rejected, UserError, UserErrorCode, invalid, rejected
from app.records import (
    NONE_COUNTING,
    CheckedTarget,
    Counting,
    CreatedTargets,
    DedupeScope,
    DuplicateAction,
    Outdial,
    Target,
    TargetDraft,
    suppressed_among,
)
from app.targets import drafts, duplicates
from app.targets.duplicates import Known, Repeat

CREATE_TARGETS_MAX = 1_000
DECIDED_AT_ONCE = 200
"""Rows that are decided before they are sent, so that the database stores them while the next ones are decided."""


async def create(viewer: Viewer, outdial_id: str, *, draft: TargetDraft, idempotency_key: str | None = None) -> Target:
    """One target, idle and due.

    Raises:
        Rejected: INVALID, NOT_FOUND, or CONFLICT if its key or the idempotency key is taken.
    """
    errors: list[UserError] = []
    outdial_id = validation.object_id(outdial_id, errors, "outdial_id")
    checked = validation.target(draft, errors, "target")
    key_text = idempotency.checked(idempotency_key, errors)
    if errors:
        raise Rejected(errors)
    key = idempotency.key_of(viewer, "createTarget", key_text, (outdial_id, checked))
    return await db.transaction(_create, viewer, outdial_id, checked, key)


async def _create(
    tx: Transaction, viewer: Viewer, outdial_id: str, draft: CheckedTarget, key: idempotency.Key | None
) -> Target:
    first = await idempotency.begin(tx, key)
    if first is not None:
        return (await _read(tx, viewer, [first]))[first]
    outdial, is_guarded = await store.lock_outdial_and_look(tx, viewer, outdial_id, "outdial_id")
    if draft.key is not None and await duplicates.taken_keys(tx, outdial, [draft.key]):
        raise rejected(
            UserErrorCode.CONFLICT,
            "Another target of the outdial already has this key. Use another key.",
            "target",
            "key",
        )
    now = await tx.now()
    counting = await _counting(tx, viewer, [draft], now) if is_guarded else NONE_COUNTING
    target = drafts.new_target(outdial, draft, now, suppressed_among(draft.destinations, counting))
    await idempotency.keep(tx, key, target.id, now)
    await store.save_new(tx, outdial, [[target]])
    return target


async def _counting(tx: Transaction, viewer: Viewer, given: Iterable[CheckedTarget], now: datetime) -> Counting:
    """The suppressions that count of the drafts' addresses."""
    places = [place.place for draft in given for place in draft.destinations if place is not None]
    return await store.counting(tx, viewer.customer_id, places, now)


async def _read(tx: Transaction, viewer: Viewer, target_ids: Sequence[str]) -> dict[str, Target]:
    found = await tx.fetch(
        f"SELECT {tables.TARGET} FROM target WHERE customer_id = $1 AND id {db.any_of('$2')}",
        viewer.customer_id,
        list(target_ids),
    )
    return {row["id"]: rows.target(row) for row in found}


# ---------------------------------------------------------------- many


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
    return await create_checked(viewer, outdial_id, checked_rows(drafts), on_duplicate_key, dedupe, key)


@dataclass(frozen=True, slots=True)
class Given:
    """A row of the call, checked."""

    draft: CheckedTarget
    errors: tuple[UserError, ...]


def checked_rows(given: Sequence[TargetDraft]) -> list[Given]:
    checked = []
    for index, draft in enumerate(given):
        errors: list[UserError] = []
        checked.append(Given(validation.target(draft, errors, "targets", str(index)), tuple(errors)))
    return checked


async def create_checked(
    viewer: Viewer,
    outdial_id: str,
    given: Sequence[Given],
    action: DuplicateAction,
    dedupe: DedupeScope,
    key: str | None,
) -> CreatedTargets:
    """The part of `create_many` after its rows are checked."""
    value = (outdial_id, given, action, *([] if dedupe is DedupeScope.NONE else [dedupe]))
    held = idempotency.key_of(viewer, "createTargets", key, value)
    return await db.transaction(_create_many, viewer, outdial_id, given, action, dedupe, held)


async def _create_many(
    tx: Transaction,
    viewer: Viewer,
    outdial_id: str,
    given: Sequence[Given],
    action: DuplicateAction,
    dedupe: DedupeScope,
    key: idempotency.Key | None,
) -> CreatedTargets:
    first = await idempotency.begin(tx, key)
    if first is not None:
        errors = [UserError(UserErrorCode(code), message, tuple(path)) for code, message, path in first["errors"]]
        outcome = Outcome(first["ids"], errors, [], first["created"], first["updated"], first["skipped"])
        return outcome.answer(await _read(tx, viewer, [known for known in outcome.ids if known is not None]))
    outdial, is_guarded = await store.lock_outdial_and_look(tx, viewer, outdial_id, "outdial_id")
    checked = [row.draft for row in given if not row.errors]
    stored = await _stored(tx, viewer, outdial, checked, dedupe)
    now = await tx.now()
    counting = await _counting(tx, viewer, checked, now) if is_guarded else NONE_COUNTING
    decisions = Decisions(outdial, action, stored, dedupe is not DedupeScope.NONE, now, counting)
    await store.save_new(tx, outdial, decisions.new_targets(given))
    outcome = decisions.outcome
    await store.save(tx, outcome.changes)
    if outcome.created or outcome.updated:
        await idempotency.keep(tx, key, outcome.summary(), now)
    return outcome.answer(stored.latest)


# ---------------------------------------------------------------- decide


@dataclass(slots=True)
class Outcome:
    """The results of the rows so far."""

    ids: list[str | None] = field(default_factory=list)
    errors: list[UserError] = field(default_factory=list)
    changes: list[Change[Target]] = field(default_factory=list)
    """Of stored targets, and of new ones that a later row replaces."""
    created: int = 0
    updated: int = 0
    skipped: int = 0

    def summary(self) -> dict[str, object]:
        """What a repeated call needs for the same answer."""
        return {
            "ids": self.ids,
            "created": self.created,
            "updated": self.updated,
            "skipped": self.skipped,
            "errors": [(error.code, error.message, error.path) for error in self.errors],
        }

    def answer(self, targets: Mapping[str, Target]) -> CreatedTargets:
        return CreatedTargets(
            targets=[None if target_id is None else targets[target_id] for target_id in self.ids],
            created=self.created,
            updated=self.updated,
            skipped=self.skipped,
            rejected=self.ids.count(None),
            errors=tuple(self.errors),
        )


@dataclass(slots=True)
class Stored:
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
) -> Stored:
    keys = [draft.key for draft in given if draft.key is not None]
    with_keys = await duplicates.with_keys(tx, outdial, keys) if keys else {}
    latest = {target.id: target for target in with_keys.values()}
    known = Known(set(with_keys))
    if dedupe is not DedupeScope.NONE:
        addresses = {address for draft in given for address in draft.addresses if address is not None}
        known.addresses = await duplicates.taken_addresses(tx, outdial, sorted(addresses), dedupe)
        missing = {target_id for target_id in known.addresses.values() if target_id is not None} - latest.keys()
        latest |= await _read(tx, viewer, sorted(missing))
    return Stored(known, {key: target.id for key, target in with_keys.items()}, latest)


@dataclass(slots=True)
class Decisions:
    """Decides row by row, in order; each row sees those before it. Pure, but it extends `stored` and `outcome`."""

    outdial: Outdial
    action: DuplicateAction
    stored: Stored
    compares_addresses: bool
    now: datetime
    counting: Counting
    """The suppressions that count of the rows' addresses."""
    outcome: Outcome = field(default_factory=Outcome)

    def new_targets(self, given: Sequence[Given]) -> Iterator[list[Target]]:
        """The new targets, in parts. The outcome is complete when all parts are taken."""
        for start in range(0, len(given), DECIDED_AT_ONCE):
            part = [self._decided(row) for row in given[start : start + DECIDED_AT_ONCE]]
            yield [target for target in part if target is not None]

    def _decided(self, row: Given) -> Target | None:
        """The new target, if the row becomes one."""
        draft, outcome = row.draft, self.outcome
        if row.errors:
            outcome.errors.extend(row.errors)
            outcome.ids.append(None)
            return None
        addresses = draft.addresses if self.compares_addresses else ()
        found = duplicates.judge(self.stored.known, draft.key, addresses, self.action)
        if found is None:
            suppressed = suppressed_among(draft.destinations, self.counting)
            target = drafts.new_target(self.outdial, draft, self.now, suppressed)
            self.stored.add(target, addresses)
            outcome.created += 1
            outcome.ids.append(target.id)
            return target
        if isinstance(found, Repeat) and found.code is not None:
            outcome.errors.append(_conflict(len(outcome.ids), found))
            outcome.ids.append(None)
            return None
        target = self.stored.repeated(draft, found, addresses)
        outcome.ids.append(target.id)
        change = None
        if not isinstance(found, Repeat):
            change = drafts.updated(target, self.outdial, drafts.replacing(draft), self.now, self.counting)
        if change is None:
            outcome.skipped += 1
        else:
            self.stored.add(change.after, addresses)
            outcome.updated += 1
            outcome.changes.append(change)
        return None


def _conflict(index: int, found: Repeat) -> UserError:
    if found.index is None:
        return UserError(
            UserErrorCode.CONFLICT,
            "Another target of the outdial already has this key. Use another key, or set onDuplicateKey.",
            ("targets", str(index), "key"),
        )
    path = ("targets", str(index), f"destination_{found.index}", "target")
    return UserError(UserErrorCode.CONFLICT, "Another target already has this address.", path)
