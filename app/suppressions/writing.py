"""Changes of suppressions by their owner: add and remove.

After one is added, no target is claimed and no call begins on its address: the transaction has the customer's lock
alone, and it revokes the attempts that are claimed there. Calls that are placed go on. Idle targets that have nothing
else left are finished by housekeeping, in chunks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from app import attempts, customers, db, rows, store, tables, validation
from app.auth import Viewer
from app.db import Transaction
from app.entries import Added
from app.errors import Rejected, UserError, UserErrorCode, invalid
from app.records import (
    Destination,
    DestinationDraft,
    Place,
    Suppression,
    SuppressionBatch,
    SuppressionDraft,
    SuppressionSource,
)
from app.suppressions.reading import get_many

SUPPRESSIONS_MAX = 1_000
"""In a call: one transaction, during which nothing is claimed."""
WOKEN_TARGETS_MAX = 500
"""In one transaction beside claims. What is asleep again at the removal itself is woken there."""
WAKING_STEPS_MAX = 10_000


@dataclass(frozen=True, slots=True)
class Checked:
    """An address in its canonical form, with what is stored of it."""

    destination: Destination
    reason: str
    expires_at: datetime | None


async def add(viewer: Viewer, *, drafts: Sequence[SuppressionDraft]) -> SuppressionBatch:
    """Suppress up to 1,000 addresses. Good ones are stored, others reported by index.

    One that is on the list already gets the new reason and expiry, if no wish of the person stands there. Of several
    rows with one address the longest counts.

    Raises:
        Rejected: INVALID, if there are none or too many.
    """
    _require_number(len(drafts), "suppressions")
    errors: list[UserError] = []
    good = []
    for index, draft in enumerate(drafts):
        before = len(errors)
        one = checked(draft, errors, "suppressions", str(index))
        if len(errors) == before:
            good.append((index, one))
    now = await db.now()
    late = [index for index, one in good if one.expires_at is not None and one.expires_at <= now]
    errors += [
        invalid("Must be in the future. Leave it out if it never expires.", "suppressions", str(index), "expires_at")
        for index in late
    ]
    errors.sort(key=lambda error: int(error.path[1]))
    kept = [one for index, one in good if index not in late]
    if not kept:
        return SuppressionBatch((), tuple(errors))
    stored = await store_checked(viewer, kept, SuppressionSource.OWNER)
    return SuppressionBatch([stored.standing[one.destination.place] for one in kept], tuple(errors))


def _require_number(given: int, *path: str) -> None:
    if not 1 <= given <= SUPPRESSIONS_MAX:
        raise Rejected([invalid(f"Give 1 to {SUPPRESSIONS_MAX:,} in a call.", *path)])


def checked(draft: SuppressionDraft, errors: list[UserError], *path: str) -> Checked:
    """A draft in canonical form. Its errors are added to `errors`."""
    place = validation.destination(DestinationDraft(draft.target, draft.type), errors, *path)
    assert place is not None
    reason = validation.text(draft.reason, validation.REASON_CHARACTERS_MAX, errors, *path, "reason")
    return Checked(place, reason, validation.instant(draft.expires_at, errors, *path, "expires_at"))


async def store_checked(viewer: Viewer, given: Sequence[Checked], source: SuppressionSource) -> Added:
    """The part of `add` after its rows are checked, as one transaction: at least one, at most SUPPRESSIONS_MAX.

    What becomes of an address that is on the list already is said in `app.entries`.
    """
    stored = await db.transaction(_add, viewer, given, source)
    if stored is None:
        await customers.add(viewer.customer_id)
        stored = await db.transaction(_add, viewer, given, source)
        assert stored is not None
    return stored


async def _add(tx: Transaction, viewer: Viewer, given: Sequence[Checked], source: SuppressionSource) -> Added | None:
    """None if the customer is not known yet."""
    if not await tx.lock(viewer.customer_id, alone=True):
        return None
    now = await tx.now()
    made = [
        store.new_suppression(
            viewer.customer_id,
            one.destination,
            reason=one.reason,
            source=source,
            expires_at=one.expires_at,
            now=now,
        )
        for one in given
    ]
    stored = await store.add_suppressions(tx, viewer.customer_id, made)
    counting = {one.place: one.expires_at for one in stored.written if one.expires_at is None or one.expires_at > now}
    claimed = await store.claimed(tx, viewer.customer_id, counting) if counting else []
    if claimed:
        desk = await attempts.locked_desk(tx, viewer.customer_id, claimed)
        attempts.revoke(desk, claimed, counting)
        await store.save(tx, desk.changes, attempts=desk.changed_attempts)
    if source is SuppressionSource.OWNER:  # nothing else makes an entry end sooner
        sooner = [one.target for one in stored.written if one.tm_create < now and one.expires_at is not None]
        if sooner:
            await _wake_up(tx, viewer.customer_id, sooner)
    return stored


# ---------------------------------------------------------------- remove


async def remove(
    viewer: Viewer,
    *,
    suppression_ids: Sequence[str] = (),
    drafts: Sequence[SuppressionDraft] = (),
) -> SuppressionBatch:
    """Remove suppressions, by id or by address: the addresses may be called again. No target is reopened.

    Those that are not there are reported by index: NOT_FOUND.

    Raises:
        Rejected: INVALID, if both or neither are given, or too many.
    """
    if bool(suppression_ids) is bool(drafts):
        raise Rejected([invalid("Give either ids or addresses.", "ids")])
    errors: list[UserError] = []
    if suppression_ids:
        _require_number(len(suppression_ids), "ids")
        wanted = [validation.object_id(one, errors, "ids", str(index)) for index, one in enumerate(suppression_ids)]
        await _wake_before(viewer, [one.target for one in (await get_many(viewer, wanted)).values()])
        removed = await db.transaction(_remove_ids, viewer, wanted)
        missing = [index for index, one in enumerate(wanted) if one not in removed]
        refused = {int(error.path[1]) for error in errors}
        field, listed = "ids", [removed[one] for one in dict.fromkeys(wanted) if one in removed]
    else:
        _require_number(len(drafts), "addresses")
        places = [
            checked(draft, errors, "addresses", str(index)).destination.place for index, draft in enumerate(drafts)
        ]
        refused = {int(error.path[1]) for error in errors}
        good = [place for index, place in enumerate(places) if index not in refused]
        await _wake_before(viewer, [address for _, address in good])
        at_places = await db.transaction(_remove_places, viewer, good)
        missing = [index for index, place in enumerate(places) if place not in at_places]
        field, listed = "addresses", [at_places[place] for place in dict.fromkeys(places) if place in at_places]
    errors += [
        UserError(UserErrorCode.NOT_FOUND, "Suppression not found.", (field, str(index)))
        for index in missing
        if index not in refused
    ]
    errors.sort(key=lambda error: int(error.path[1]))
    return SuppressionBatch(listed, tuple(errors))


async def _remove_ids(tx: Transaction, viewer: Viewer, wanted: Sequence[str]) -> dict[str, Suppression]:
    found = await _remove(tx, viewer, f"id {db.any_of('$2')}", list(wanted))
    return {one.id: one for one in found}


async def _remove_places(tx: Transaction, viewer: Viewer, places: Sequence[Place]) -> dict[Place, Suppression]:
    given = [{"space": space.value, "address": address} for space, address in places]
    wanted = db.rowset("$2", {"space": "text", "address": "text"}, "wanted")
    found = await _remove(
        tx, viewer, f"(space, address) IN (SELECT space, address FROM {wanted})", db.rows_value(given)
    )
    return {one.place: one for one in found}


async def _remove(tx: Transaction, viewer: Viewer, condition: str, value: object) -> list[Suppression]:
    await tx.lock(viewer.customer_id, alone=True)  # else a claim could put a target to sleep that waits for them
    found = await tx.fetch(
        f"DELETE FROM suppression WHERE customer_id = $1 AND {condition} RETURNING {tables.SUPPRESSION}",
        viewer.customer_id,
        value,
    )
    removed = [rows.suppression(row) for row in found]
    if removed:
        await _wake_up(tx, viewer.customer_id, [one.target for one in removed])
    return removed


async def _wake_up(tx: Transaction, customer_id: str, addresses: Sequence[str]) -> None:
    """Let claims look again at all targets with these addresses."""
    await store.wake_at(tx, customer_id, addresses)
    for outdial_id in await store.outdials_with(tx, customer_id, addresses):
        tx.wake(store.due_topic(outdial_id))  # its targets are due since an instant in the past


async def _wake_before(viewer: Viewer, addresses: Sequence[str]) -> None:
    """Wake most of the targets with these addresses in short transactions: claims wait during the removal."""
    for _ in range(WAKING_STEPS_MAX):
        if await db.transaction(_wake_some, viewer, addresses) < WOKEN_TARGETS_MAX:
            return


async def _wake_some(tx: Transaction, viewer: Viewer, addresses: Sequence[str]) -> int:
    await tx.lock(viewer.customer_id)
    return await store.wake_at(tx, viewer.customer_id, addresses, limit=WOKEN_TARGETS_MAX)
