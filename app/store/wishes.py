"""What dialers ask for, and what comes of it: what claims on both databases share."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from app import db, idempotency, rows
from app.lifecycle import OutdialState
from app.records import Attempt
from app.store.claim_statement import ATTEMPT
from app.stored import StoredTarget, stored_target

Fetch: TypeAlias = Callable[..., Awaitable[list[db.Row]]]

_FEW = stored_target(frozenset({"id", "outdial_id", "key", "name", "priority", "tm_create"}))
"""Targets with what most dialers read of them. There are few such classes, because each makes another statement."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a dialer asks for."""

    customer_id: str
    outdial_id: str
    limit: int
    dialer: str | None
    lease_seconds: int | None
    key: idempotency.Key | None
    reads: frozenset[str] | None = None
    """What is read of the targets, as `stored.stored_target` takes it; None if they are not wanted."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What came of it."""

    state: OutdialState | None
    """The outdial's; None if there is no such outdial."""
    known: idempotency.Stored | None
    """An earlier claim with the same key. Nothing was taken then."""
    attempts: Sequence[Attempt]
    """New ones, with their targets if these are wanted; or those of the earlier claim as they are now, without, if its
    input was the same."""
    throttled_until: datetime | None = None
    """When more may be claimed, if the pace of the outdial has held back some."""


async def attempts_of(fetch: Fetch, customer_id: str, attempt_ids: Sequence[str]) -> list[Attempt]:
    """In the order of their ids, which is that of the claim."""
    found = await fetch(
        f"SELECT {ATTEMPT} FROM attempt WHERE customer_id = $1 AND id {db.any_of('$2')} ORDER BY id",
        customer_id,
        list(attempt_ids),
    )
    reader = rows.Reader()
    return [reader.attempt(tuple(row.values())) for row in found]


def kind_for(wishes: Sequence[Wish]) -> type[StoredTarget] | None:
    """The targets that all wishes can read; None if none wants them."""
    wanted = [wish.reads for wish in wishes if wish.reads is not None]
    if not wanted:
        return None
    return _FEW if all(reads.issubset(_FEW.LAYOUT) for reads in wanted) else StoredTarget
