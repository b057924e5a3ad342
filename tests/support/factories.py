"""Customers, outdials and targets to test with, made through the use-cases."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from itertools import count
from typing import Any
from uuid import uuid4

from app import attempts, clock, outdials, suppressions, targets
from app.addresses import DestinationType
from app.auth import Scope, Viewer
from app.errors import UserErrorCode
from app.lifecycle import DESTINATIONS, Disposition
from app.records import (
    Attempt,
    AttemptBatch,
    AttemptResult,
    AttemptStart,
    DestinationDraft,
    DuplicateAction,
    Outdial,
    OutdialDraft,
    PolicyDraft,
    Suppression,
    SuppressionDraft,
    Target,
    TargetDraft,
)

TARGETS_IN_A_CALL_MAX = 1_000

_numbers = count()


def make_viewer(customer_id: str | None = None, *, scopes: Iterable[Scope] = tuple(Scope)) -> Viewer:
    return Viewer(customer_id or str(uuid4()), "tester", frozenset(scopes), None)


def phone_number() -> str:
    """A possible number that nobody has, different each time (up to 100,000): +1 555 01…"""
    return f"+155501{next(_numbers) % 100_000:05d}"


def destinations(*given: str | DestinationDraft | None) -> tuple[DestinationDraft | None, ...]:
    """Five places: the given addresses (text is a telephone number), then none."""
    drafts = [DestinationDraft(item, DestinationType.TEL) if isinstance(item, str) else item for item in given]
    return (*drafts, *[None] * (DESTINATIONS - len(drafts)))


def target_draft(*addresses: str | DestinationDraft | None, **fields: Any) -> TargetDraft:
    """A draft with the given addresses, or with one new number."""
    return TargetDraft(destinations=destinations(*(addresses or (phone_number(),))), **fields)


async def make_outdial(viewer: Viewer, *, policy: dict[str, Any] | None = None, **fields: Any) -> Outdial:
    """An active outdial; `policy` takes the fields of a PolicyDraft."""
    fields.setdefault("name", "test outdial")
    draft = OutdialDraft(dial_policy=PolicyDraft(**policy) if policy is not None else None, **fields)
    return await outdials.create(viewer, draft=draft)


async def make_target(
    viewer: Viewer, outdial_id: str, *addresses: str | DestinationDraft | None, **fields: Any
) -> Target:
    return await targets.create(viewer, outdial_id, draft=target_draft(*addresses, **fields))


async def make_targets(
    viewer: Viewer, outdial_id: str, n: int, *, destinations: int = 1, **fields: Any
) -> list[Target]:
    """`count` targets, each with new numbers, all with the given fields."""
    drafts = [target_draft(*[phone_number() for _ in range(destinations)], **fields) for _ in range(n)]
    made: list[Target] = []
    for start in range(0, n, TARGETS_IN_A_CALL_MAX):
        made += await create_many(viewer, outdial_id, drafts[start : start + TARGETS_IN_A_CALL_MAX])
    return made


async def create_many(viewer: Viewer, outdial_id: str, drafts: Sequence[TargetDraft]) -> list[Target]:
    """All of the drafts as targets. If one is refused, the test fails."""
    created = await targets.create_many(viewer, outdial_id, drafts=drafts, on_duplicate_key=DuplicateAction.REJECT)
    assert created.errors == ()
    return [target for target in created.targets if target is not None]


async def read(viewer: Viewer, target_id: str, *, deleted: bool = False) -> Target:
    """The target as it is now."""
    found = await targets.get_many(viewer, [target_id], deleted=deleted)
    return found[target_id]


async def read_attempt(viewer: Viewer, attempt_id: str) -> Attempt:
    found = await attempts.get_many(viewer, [attempt_id])
    return found[attempt_id]


async def claim(viewer: Viewer, outdial_id: str, **fields: Any) -> Attempt:
    """Claim the only due target; its attempt."""
    [attempt] = await attempts.claim(viewer, outdial_id, **fields)
    return attempt


async def start(viewer: Viewer, attempt_id: str, call_id: str | None = None) -> AttemptBatch:
    return await attempts.start(viewer, starts=[AttemptStart(attempt_id, call_id)])


async def extend(viewer: Viewer, attempt_id: str, lease_seconds: int | None = None) -> AttemptBatch:
    return await attempts.extend(viewer, attempt_ids=[attempt_id], lease_seconds=lease_seconds)


async def complete(
    viewer: Viewer, attempt_id: str, disposition: Disposition = Disposition.BUSY, **fields: Any
) -> AttemptBatch:
    return await attempts.complete(viewer, results=[AttemptResult(attempt_id, disposition, **fields)])


async def release(viewer: Viewer, attempt_id: str) -> AttemptBatch:
    return await attempts.release(viewer, attempt_ids=[attempt_id])


def one(batch: AttemptBatch) -> Attempt:
    """The only attempt of a batch without errors."""
    assert batch.errors == ()
    [attempt] = batch.attempts
    return attempt


def code(batch: AttemptBatch) -> UserErrorCode:
    """The code of the only error of a batch that changed nothing."""
    assert list(batch.attempts) == []
    [error] = batch.errors
    return error.code


def pass_time(seconds: float) -> None:
    """Move the clock of leases."""
    clock.shift += timedelta(seconds=seconds)


async def sweep() -> None:
    """End the attempts whose lease has expired, as the server does each second."""
    await attempts.sweep()


async def finish_exhausted() -> None:
    """Finish the search that the server continues after limits were lowered."""
    while await outdials.search_exhausted.go_on():
        pass


async def sort_by_zone() -> None:
    """Finish the sorting that the server continues after calling hours were set."""
    while await outdials.sort_by_zone.go_on():
        pass


async def expire(seconds: float) -> None:
    pass_time(seconds)
    await sweep()


async def suppress(viewer: Viewer, *addresses: str, **fields: Any) -> list[Suppression]:
    """Telephone numbers that must not be called."""
    batch = await suppressions.add(viewer, drafts=[SuppressionDraft(address, **fields) for address in addresses])
    assert batch.errors == ()
    return list(batch.suppressions)


async def finish_suppressed() -> None:
    while await suppressions.finish():
        pass
