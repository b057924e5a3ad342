"""Idempotency keys: a call that is sent again, because its answer was lost, has its effect once.

A call locks its key first, so a concurrent duplicate waits for the call before it to end, and then finds its answer.
The key is written with the answer, in the transaction of the call; a call that changes nothing leaves no key. Kept 24
hours per customer and mutation.
"""

import hashlib
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson

from app import db
from app.auth import Viewer
from app.db import Transaction
from app.errors import UserError, UserErrorCode, rejected
from app.listing import Parameters
from app.validation import IDEMPOTENCY_KEY_CHARACTERS_MAX, text

KEPT_HOURS = 24


@dataclass(frozen=True, slots=True)
class Key:
    """A key that a caller gave."""

    customer_id: str
    mutation: str
    """Two mutations can use the same key."""
    text: str
    input_hash: str
    """Of the whole input but the key."""

    @property
    def lock(self) -> str:
        """The name of its lock."""
        return f"key {self.mutation} {self.text} of {self.customer_id}"


@dataclass(frozen=True, slots=True)
class Stored:
    """What the call that has a key left."""

    input_hash: str
    answer: Any


def key_of(viewer: Viewer, mutation: str, text: str | None, value: object) -> Key | None:
    """The key of a call with that input; None if its caller gave none."""
    return None if text is None else Key(viewer.customer_id, mutation, text, digest(value))


def answer_of(key: Key, stored: Stored) -> Any:
    """The answer of the call that has the key.

    Raises:
        Rejected: CONFLICT, if that call had another input.
    """
    if stored.input_hash != key.input_hash:
        raise rejected(
            UserErrorCode.CONFLICT,
            "This idempotency key was used with a different input. Use a new key.",
            "idempotency_key",
        )
    return stored.answer


def stored(row: Mapping[str, Any]) -> Stored | None:
    """Of a row of `finding`; None if its columns are null."""
    if row["input_hash"] is None:
        return None
    return Stored(row["input_hash"], None if row["answer"] is None else orjson.loads(row["answer"]))


# ---------------------------------------------------------------- parts of a larger statement


def finding(key: Key, parameter: Parameters, *, now: str) -> str:
    """A query of the stored key, as `input_hash` and `answer`; no row if there is none, or an expired one.

    Args:
        key: the caller's.
        parameter: of the statement; $1 is the customer.
        now: the instant, in SQL.
    """
    kept = db.typed(parameter(timedelta(hours=KEPT_HOURS)), "interval")
    return f"""
        SELECT input_hash, answer FROM idempotency_key WHERE customer_id = $1
        AND mutation = {parameter(key.mutation)} AND key = {parameter(key.text)} AND tm_create > {now} - {kept}
    """


def keeping(key: Key, parameter: Parameters, *, now: str, answer: str, source: str) -> str:
    """Stores the key with its answer, instead of an expired one.

    Args:
        key: the caller's. The unit of work has its lock, and no earlier call has left an answer.
        parameter: of the statement; $1 is the customer.
        now: the instant, in SQL.
        answer: in SQL.
        source: where the answer comes from: what follows FROM, with a condition.
    """
    given = (parameter(value) for value in (key.mutation, key.text, key.input_hash))
    texts = ", ".join(db.typed(value, "text") for value in given)
    return f"""
        INSERT INTO idempotency_key (customer_id, mutation, key, input_hash, answer, tm_create)
        SELECT {db.typed("$1", "uuid")}, {texts}, {answer}, {now} FROM {source}
        ON CONFLICT (customer_id, mutation, key) DO UPDATE
        SET input_hash = excluded.input_hash, answer = excluded.answer, tm_create = excluded.tm_create
    """


# ---------------------------------------------------------------- whole statements


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


async def begin(tx: Transaction, key: Key | None) -> Any | None:
    """Lock a key for this call, at the beginning of its transaction. Returns the answer of an earlier call that has it.

    Raises:
        Rejected: CONFLICT, if that call had another input.
    """
    if key is None:
        return None
    await tx.lock(key.customer_id, exclusive=[key.lock])
    known = await find(tx, key, await tx.now())
    return None if known is None else answer_of(key, known)


async def find(tx: Transaction, key: Key, now: datetime) -> Stored | None:
    """What the call that has the key left; None if there is none."""
    found = await tx.fetch(
        """
        SELECT input_hash, answer FROM idempotency_key
        WHERE customer_id = $1 AND mutation = $2 AND key = $3 AND tm_create > $4
        """,
        *(key.customer_id, key.mutation, key.text, now - timedelta(hours=KEPT_HOURS)),
    )
    return stored(found[0]) if found else None


async def keep(tx: Transaction, key: Key | None, answer: object, now: datetime) -> None:
    """Store the key with the answer of its call."""
    if key is None:
        return
    parameter = Parameters([key.customer_id])
    instant, value = parameter(now), parameter(orjson.dumps(answer).decode())
    once = "(SELECT 1 AS one) AS once WHERE 1 = 1"
    sql = keeping(key, parameter, now=instant, answer=db.typed(value, "json"), source=once)
    await tx.fetch(sql, *parameter.values)


async def purge(*, limit: int) -> int:
    """Remove up to `limit` expired keys: a search over all customers, then a transaction for each. Returns how many."""
    found = await db.fetch(
        f"""
        SELECT customer_id, key FROM idempotency_key WHERE tm_create < {db.instant_ago("$1")}
        ORDER BY tm_create LIMIT {limit}
        """,
        _kept(),
    )
    by_customer: defaultdict[str, list[str]] = defaultdict(list)
    for row in found:
        by_customer[row["customer_id"]].append(row["key"])
    for customer_id, keys in by_customer.items():
        await db.transaction(_purge, customer_id, keys)
    return len(found)


async def _purge(tx: Transaction, customer_id: str, keys: list[str]) -> None:
    await tx.fetch(
        f"""
        DELETE FROM idempotency_key
        WHERE customer_id = $1 AND key {db.any_of("$2", "text")} AND tm_create < {db.instant_ago("$3")}
        """,
        customer_id,
        keys,
        _kept(),
    )


def _kept() -> Any:
    return db.ago_value(timedelta(hours=KEPT_HOURS))
