"""Idempotency keys: a call that is sent again, because its answer was lost, has its effect once.

The key is written first in the transaction of the call. A concurrent duplicate waits there for the first to end, by
the unique index on PostgreSQL and by the write lock on SQLite. Kept 24 hours per customer and mutation.

Each claim with a key stores the key and its answer, so that is SQL. Only a repeated call reads a model.
"""

import hashlib
from collections import defaultdict
from datetime import datetime, timedelta
from typing import Any

import orjson

from app import db, models
from app.auth import Viewer
from app.db import Transaction
from app.errors import UserError, UserErrorCode, rejected
from app.validation import IDEMPOTENCY_KEY_CHARACTERS_MAX, text

KEPT_HOURS = 24


def checked(key: str | None, errors: list[UserError]) -> str | None:
    if key is None:
        return None
    if not key:
        errors.append(UserError(UserErrorCode.INVALID, "The idempotency key must not be empty.", ("idempotency_key",)))
    return text(key, IDEMPOTENCY_KEY_CHARACTERS_MAX, errors, "idempotency_key")


def digest(value: object) -> str:
    """The hash of the whole input with its defaults. Sets have no order, so they are sorted."""
    return hashlib.sha256(orjson.dumps(value, default=_plain, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    raise TypeError(type(value).__name__)


async def begin(tx: Transaction, viewer: Viewer, mutation: str, key: str | None, *, value: object) -> Any | None:
    """Take a key for this call, or return the answer of the call that has it.

    Args:
        tx: the call's transaction, at its beginning.
        viewer: whose key it is.
        mutation: two mutations can use the same key.
        key: None if the caller gave none.
        value: the whole input but the key.

    Raises:
        Rejected: CONFLICT, if the key was used with another input.
    """
    if key is None:
        return None
    await tx.lock(viewer.customer_id)
    now = await tx.now()
    await tx.fetch(
        "DELETE FROM idempotency_key WHERE customer_id = $1 AND mutation = $2 AND key = $3 AND tm_create < $4",
        viewer.customer_id,
        mutation,
        key,
        now - timedelta(hours=KEPT_HOURS),
    )
    value_digest = digest(value)
    taken = await tx.fetch(
        """
        INSERT INTO idempotency_key (customer_id, mutation, key, input_hash, tm_create)
        VALUES ($1, $2, $3, $4, $5) ON CONFLICT (customer_id, mutation, key) DO NOTHING RETURNING key
        """,
        viewer.customer_id,
        mutation,
        key,
        value_digest,
        now,
    )
    if taken:
        return None
    stored = await models.IdempotencyKey.get(
        using_db=tx.orm, customer_id=viewer.customer_id, mutation=mutation, key=key
    )
    if stored.input_hash != value_digest:
        raise rejected(
            UserErrorCode.CONFLICT,
            "This idempotency key was used with a different input. Use a new key.",
            "idempotency_key",
        )
    return stored.answer


async def keep(tx: Transaction, viewer: Viewer, mutation: str, key: str | None, answer: object) -> None:
    """Store the call's answer, in its own transaction."""
    if key is not None:
        await tx.fetch(
            "UPDATE idempotency_key SET answer = $4 WHERE customer_id = $1 AND mutation = $2 AND key = $3",
            viewer.customer_id,
            mutation,
            key,
            orjson.dumps(answer).decode(),
        )


async def forget(tx: Transaction, viewer: Viewer, mutation: str, key: str | None) -> None:
    """Give the key back, because the call changed nothing."""
    if key is not None:
        await tx.fetch(
            "DELETE FROM idempotency_key WHERE customer_id = $1 AND mutation = $2 AND key = $3",
            viewer.customer_id,
            mutation,
            key,
        )


async def purge(*, limit: int) -> int:
    """Remove up to `limit` expired keys: a search over all customers, then a transaction for each. Returns how many."""
    before = await db.now() - timedelta(hours=KEPT_HOURS)
    found = await db.fetch(
        f"SELECT customer_id, key FROM idempotency_key WHERE tm_create < $1 ORDER BY tm_create LIMIT {limit}", before
    )
    by_customer: defaultdict[str, list[str]] = defaultdict(list)
    for row in found:
        by_customer[row["customer_id"]].append(row["key"])
    for customer_id, keys in by_customer.items():
        await db.transaction(_purge, customer_id, keys, before)
    return len(found)


async def _purge(tx: Transaction, customer_id: str, keys: list[str], before: datetime) -> None:
    await tx.fetch(
        f"DELETE FROM idempotency_key WHERE customer_id = $1 AND key {db.any_of('$2', 'text')} AND tm_create < $3",
        customer_id,
        keys,
        before,
    )
