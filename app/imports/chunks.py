"""Commits a chunk of a file: targets, counters, events, rejects and the checkpoint, together or not at all."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from app import db, metrics, store
from app.auth import Viewer
from app.changes import Change
from app.db import Transaction
from app.files.drafting import RejectedRow
from app.files.protocol import Chunk
from app.imports import jobs, keeping
from app.imports.jobs import Run
from app.imports.seen import Earlier, Seen
from app.lifecycle import DESTINATIONS, DoneReason, OutdialState, Tries
from app.records import (
    NONE_COUNTING,
    DedupeScope,
    DuplicateAction,
    ImportCounts,
    ImportJob,
    ImportOptions,
    ImportStopReason,
    Outdial,
    RejectCode,
    Target,
)
from app.targets import drafts, duplicates
from app.targets.duplicates import Known, Repeat

COMPARED_AT_ONCE = 25
"""Rows that are compared with stored ones; about 5 ms."""
_DUPLICATE_MESSAGES = {
    RejectCode.DUPLICATE_KEY: "Another target of the outdial already has this key. Use another key, or set "
    "on_duplicate_key.",
    RejectCode.DUPLICATE_ADDRESS: "Another target already has this address.",
}
_STOPS = {
    ImportStopReason.PAUSED: "The outdial was paused. Send the file again with the same idempotency key to continue.",
    ImportStopReason.DELETED: "The outdial was deleted.",
}


@dataclass(slots=True)
class Decided:
    """The results of the rows of a chunk, by their place in it."""

    created: list[int] = field(default_factory=list)
    updated: list[int] = field(default_factory=list)
    skipped: int = 0
    rejects: list[RejectedRow] = field(default_factory=list)

    def counts(self, *, unchanged: int, suppressed: int) -> ImportCounts:
        updated, skipped = len(self.updated) - unchanged, self.skipped + unchanged
        read = len(self.created) + len(self.updated) + self.skipped + len(self.rejects)
        return ImportCounts(read, len(self.created), updated, skipped, len(self.rejects), suppressed)


async def commit(
    viewer: Viewer, run: Run, chunk: Chunk, *, options: ImportOptions, seen: Seen | None = None
) -> ImportJob:
    """Store the chunk, or stop the job if its outdial was paused or deleted meanwhile. Returns the job after it.

    Args:
        viewer: whose job it is.
        run: the upload's hold on it.
        chunk: what comes after the checkpoint.
        options: of the job.
        seen: in a dry run, the file's earlier keys and addresses, because nothing is stored.

    Raises:
        Superseded: another upload has the job.
    """
    if seen is None:
        job, decided = await db.transaction(_commit, viewer, run, chunk, options, Earlier())
    else:
        earlier = await seen.look(chunk.keys, chunk.addresses or ())
        job, decided = await db.transaction(_commit, viewer, run, chunk, options, earlier)
        taken = decided.created + decided.updated
        await seen.keep([(chunk.keys[row], chunk.addresses_of(row), chunk.content_of(row)) for row in taken])
    counted = decided.counts(unchanged=0, suppressed=0)
    metrics.count_import_rows(accepted=counted.read - counted.rejected, rejected=counted.rejected)
    return job


async def _commit(
    tx: Transaction, viewer: Viewer, run: Run, chunk: Chunk, options: ImportOptions, earlier: Earlier
) -> tuple[ImportJob, Decided]:
    outdial, is_guarded = await store.lock_outdial_and_look(tx, viewer, run.job.outdial_id, "outdial_id", deleted=True)
    held = await jobs.lock(tx, run)
    reason = _reason_to_stop(outdial, began_paused=bool(held.began_paused))
    if reason is not None:
        return await jobs.end(tx, held, reason=reason, message=_STOPS[reason]), Decided()
    known = await _known(tx, outdial, chunk, options)
    known.keys |= earlier.contents.keys()
    known.addresses |= dict.fromkeys(earlier.addresses)
    decided = _decide(chunk, options.on_duplicate_key, known)
    now = await tx.now()
    is_guarded = is_guarded and bool(chunk.keys)
    masks = await store.suppressed_rows(tx, viewer.customer_id, chunk.bulk, now=now) if is_guarded else {}
    if options.dry_run:
        unchanged = await _compare(tx, outdial, chunk, decided.updated, earlier.contents, now)
    else:
        await store.save_staged(
            tx,
            outdial,
            chunk.bulk,
            rows=len(chunk.keys),
            created=decided.created,
            done=_done(outdial, chunk, decided.created, masks),
            is_staged=is_guarded,
            now=now,
        )
        await _call_back(tx, outdial, chunk, decided.created, now, is_guarded=is_guarded)
        unchanged = await _update(tx, outdial, chunk, decided.updated, now, is_guarded=is_guarded)
    suppressed = sum(row in masks and masks[row][0] == chunk.masks[row] for row in (*decided.created, *decided.updated))
    kept = await keeping.keep(tx, run, decided.rejects, kept_characters=held.kept_characters, now=now)
    job = await jobs.settle(
        tx, held, chunk, decided.counts(unchanged=unchanged, suppressed=suppressed), kept_characters=kept, now=now
    )
    if job.counts.rejected > options.rejects_max:
        job = await jobs.end(tx, held, reason=ImportStopReason.TOO_MANY_REJECTS, message=_too_many(options))
    return job, decided


def _reason_to_stop(outdial: Outdial, *, began_paused: bool) -> ImportStopReason | None:
    if outdial.tm_delete is not None:
        return ImportStopReason.DELETED
    # a paused outdial can be filled; only a pause during the import stops it
    if outdial.state is OutdialState.PAUSED and not began_paused:
        return ImportStopReason.PAUSED
    return None


def _too_many(options: ImportOptions) -> str:
    return (
        f"Over {options.rejects_max:,} rows were rejected: the columns are probably mapped to the wrong fields. "
        "Correct the file and send it again, or increase max_rejects."
    )


# ---------------------------------------------------------------- decide


async def _known(tx: Transaction, outdial: Outdial, chunk: Chunk, options: ImportOptions) -> Known:
    """The stored targets with the chunk's keys and addresses."""
    known = Known()
    keys = {key for key in chunk.keys if key is not None}
    if keys:
        known.keys = await duplicates.taken_keys(tx, outdial, sorted(keys))
    if options.dedupe is not DedupeScope.NONE:
        addresses = {address for row in chunk.addresses or () for address in row if address is not None}
        known.addresses = await duplicates.taken_addresses(tx, outdial, sorted(addresses), options.dedupe)
    return known


def _decide(chunk: Chunk, action: DuplicateAction, known: Known) -> Decided:
    """Row by row, in the file's order; each row sees those before it. Extends `known`."""
    decided = Decided(rejects=list(chunk.rejects))
    for row, key in enumerate(chunk.keys):
        addresses = chunk.addresses_of(row)
        found = duplicates.judge(known, key, addresses, action)
        if isinstance(found, Repeat):
            if found.code is None:
                decided.skipped += 1
            else:
                decided.rejects.append(_reject(chunk, row, found.code, found.index))
            continue
        (decided.created if found is None else decided.updated).append(row)
        known.add(key, addresses)
    decided.rejects.sort(key=lambda reject: reject.line_number)
    return decided


def _reject(chunk: Chunk, row: int, code: RejectCode, index: int | None) -> RejectedRow:
    name = "key" if index is None else f"destination_{index}_target"
    shown = chunk.shown[chunk.shapes[row]]
    column = shown.get(name, shown.get(name.removesuffix("_target"), name))
    return RejectedRow(chunk.lines[row], column, code, _DUPLICATE_MESSAGES[code], chunk.texts[row])


# ---------------------------------------------------------------- write


def _done(
    outdial: Outdial, chunk: Chunk, created: Sequence[int], masks: Mapping[int, tuple[int, int]]
) -> dict[int, DoneReason]:
    """The rows that may never be tried under the present policy and suppressions, and why."""
    answers: dict[tuple[int, int, tuple[int, ...]], DoneReason | None] = {}
    found = {}
    for row in created:
        own = chunk.limits[row]
        _, for_ever = masks.get(row, (0, 0))
        limits = outdial.dial_policy.max_try_counts if own is None else tuple(own)
        case = (chunk.masks[row], for_ever, limits)
        if case not in answers:
            answers[case] = _untried(*case).done_reason()
        reason = answers[case]
        if reason is not None:
            found[row] = reason
    return found


def _untried(mask: int, for_ever: int, limits: Sequence[int]) -> Tries:
    return Tries(
        set=[bool(mask >> index & 1) for index in range(DESTINATIONS)],
        invalid=(False,) * DESTINATIONS,
        counts=(0,) * DESTINATIONS,
        limits=limits,
        suppressed=dict.fromkeys(index for index in range(DESTINATIONS) if for_ever >> index & 1),
    )


async def _call_back(
    tx: Transaction, outdial: Outdial, chunk: Chunk, created: Sequence[int], now: datetime, *, is_guarded: bool
) -> None:
    """Schedule the callbacks of new targets."""
    wanted = set(created)
    wishes = {target_id: draft for row, target_id, draft in chunk.callbacks if row in wanted}
    if not wishes:
        return
    targets = await store.lock_targets(tx, outdial.customer_id, wishes)
    counting = NONE_COUNTING
    if is_guarded:
        places = [one.place for target in targets.values() for one in target.destinations if one is not None]
        counting = await store.counting(tx, outdial.customer_id, places, now)
    changes = [drafts.asked(targets[one], outdial, draft, now, counting) for one, draft in wishes.items()]
    await store.save(tx, [change for change in changes if change is not None])


async def _update(
    tx: Transaction, outdial: Outdial, chunk: Chunk, updated: Sequence[int], now: datetime, *, is_guarded: bool
) -> int:
    """Replace the targets with the rows' keys. Returns how many rows changed nothing."""
    changes, unchanged = await _changes(tx, outdial, chunk, updated, now, is_guarded=is_guarded)
    await store.save(tx, changes)
    return unchanged


async def _changes(
    tx: Transaction, outdial: Outdial, chunk: Chunk, updated: Sequence[int], now: datetime, *, is_guarded: bool = False
) -> tuple[list[Change[Target]], int]:
    if not updated:
        return [], 0
    assert chunk.targets is not None
    # including those that were just created
    targets = await duplicates.with_keys(tx, outdial, sorted({chunk.keys[row] or "" for row in updated}))
    counting = NONE_COUNTING
    if is_guarded:
        given = [one.destinations for one in targets.values()]
        given += [chunk.targets[row].destinations for row in updated]
        places = [place.place for listed in given for place in listed if place is not None]
        counting = await store.counting(tx, outdial.customer_id, places, now)
    changes: list[Change[Target]] = []
    unchanged = 0
    for place, row in enumerate(updated):
        if place % COMPARED_AT_ONCE == 0:
            await asyncio.sleep(0)  # let other requests run
        key = chunk.keys[row]
        assert key is not None
        draft = chunk.targets[row]
        change = drafts.updated(targets[key], outdial, drafts.replacing(draft), now, counting)
        target = targets[key] if change is None else change.after
        wish = drafts.asked(target, outdial, draft.callback, now, counting) if draft.callback else None
        made = [each for each in (change, wish) if each is not None]
        changes += made
        unchanged += not made
        targets[key] = made[-1].after if made else target
    return changes, unchanged


async def _compare(
    tx: Transaction,
    outdial: Outdial,
    chunk: Chunk,
    updated: Sequence[int],
    contents: Mapping[str, bytes],
    now: datetime,
) -> int:
    """How many rows would change nothing, compared with the file's earlier row or else with the stored target."""
    latest = dict(contents)
    stored, unchanged = [], 0
    replacing = set(updated)
    created = {key: row for row, key in enumerate(chunk.keys) if row not in replacing}
    for row in updated:
        key = chunk.keys[row]
        assert key is not None
        content = chunk.content_of(row)
        if key not in latest and key in created:
            latest[key] = chunk.content_of(created[key])
        if key not in latest:
            stored.append(row)
        elif latest[key] == content:
            unchanged += 1
        latest[key] = content
    _, same = await _changes(tx, outdial, chunk, stored, now)
    return unchanged + same
