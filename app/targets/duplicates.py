"""Finds rows that already exist: by key, and by canonical address in all five destinations."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from app import db, store
from app.db import Transaction
from app.lifecycle import DESTINATIONS
from app.records import DedupeScope, DuplicateAction, Outdial, RejectCode, Target


@dataclass(slots=True)
class Known:
    """What a row may repeat: stored targets, and earlier rows of the same call or file."""

    keys: set[str] = field(default_factory=set)
    addresses: dict[str, str | None] = field(default_factory=dict)
    """The id of the target with this key or address; None if it is not stored yet."""

    def repeats_key(self, key: str | None) -> bool:
        return key is not None and key in self.keys

    def repeated_address(self, addresses: Iterable[str | None]) -> int | None:
        """The index of the first destination that another target has."""
        return next((index for index, known in enumerate(addresses) if known in self.addresses), None)

    def add(self, key: str | None, addresses: Iterable[str | None], target_id: str | None = None) -> None:
        if key is not None:
            self.keys.add(key)
        for known in addresses:
            if known is not None:
                self.addresses.setdefault(known, target_id)


@dataclass(frozen=True, slots=True)
class Repeat:
    """The result of a row that repeats another; `code` is None if it is skipped."""

    code: RejectCode | None
    index: int | None = None
    """Which destination, if an address is repeated."""


def judge(
    known: Known, key: str | None, addresses: Sequence[str | None], action: DuplicateAction
) -> Repeat | DuplicateAction | None:
    """None for a new row, UPDATE for one that replaces another.

    If the key of a row is taken, only the key decides. Otherwise, an address of another target makes the row a
    duplicate: skipped with SKIP; refused with REJECT, and with UPDATE, because the target with the address is not the
    one that the row names.
    """
    if known.repeats_key(key):
        if action is DuplicateAction.UPDATE:
            return action
        return Repeat(RejectCode.DUPLICATE_KEY if action is DuplicateAction.REJECT else None)
    index = known.repeated_address(addresses) if known.addresses else None
    if index is None:
        return None
    return Repeat(None if action is DuplicateAction.SKIP else RejectCode.DUPLICATE_ADDRESS, index)


# ---------------------------------------------------------------- what is stored


async def hold_keys(tx: Transaction, outdial: Outdial) -> None:
    """No other transaction can take a key of the outdial until this one ends."""
    await tx.lock(outdial.customer_id, exclusive=[f"keys of {outdial.id}"])


async def with_keys(tx: Transaction, outdial: Outdial, keys: Sequence[str]) -> dict[str, Target]:
    """Lock and return the outdial's targets with these keys, by key."""
    taken = await _by_key(tx, outdial, keys)
    if not taken:
        return {}
    targets = await store.lock_targets(tx, outdial.customer_id, taken.values())
    # one may have been deleted before it was locked
    return {target.key: target for target in targets.values() if target.key is not None and target.tm_delete is None}


async def taken_keys(tx: Transaction, outdial: Outdial, keys: Sequence[str]) -> set[str]:
    """The keys that a target of the outdial already has."""
    return set(await _by_key(tx, outdial, keys))


async def _by_key(tx: Transaction, outdial: Outdial, keys: Sequence[str]) -> dict[str, str]:
    """The ids of the outdial's targets with these keys, by key. No other transaction takes one until this one ends."""
    await hold_keys(tx, outdial)
    found = await tx.fetch(
        f"SELECT key, id FROM {_KEYED[db.is_postgres()]}",
        outdial.customer_id,
        outdial.id,
        list(keys),
    )
    return {row["key"]: row["id"] for row in found}


# Each key is looked up by itself on PostgreSQL. For a list, and an outdial that is newer than the table's statistics,
# the plan may read all of its targets and compare each with each key: 300 ms for 1,000 keys and 50,000 targets.
_KEYED = {
    True: """
        unnest(CAST($3 AS text[])) AS wanted(sought) CROSS JOIN LATERAL (
            SELECT key, id FROM target
            WHERE customer_id = $1 AND outdial_id = $2 AND key = wanted.sought AND tm_delete IS NULL LIMIT 1
        ) AS found
    """,
    False: """
        target WHERE customer_id = $1 AND outdial_id = $2 AND tm_delete IS NULL
        AND key IN (SELECT value FROM json_each($3))
    """,
}


async def taken_addresses(
    tx: Transaction, outdial: Outdial, addresses: Sequence[str], scope: DedupeScope
) -> dict[str, str | None]:
    """The addresses that a target has in any destination, each with the id of one such target.

    A caller has an exclusive lock on the customer's addresses until its transaction ends. Use-cases that create targets
    without this check do not wait for it.
    """
    await tx.lock(outdial.customer_id, exclusive=[f"addresses of {outdial.customer_id}"])
    if scope is DedupeScope.OUTDIAL:
        # an expression, so that no index on the outdial is used: it would read each target of a long list
        within = "AND COALESCE(outdial_id, outdial_id) = $3"
    else:
        within = """
            AND EXISTS (SELECT 1 FROM outdial WHERE outdial.id = target.outdial_id AND outdial.tm_delete IS NULL
                        AND outdial.customer_id = target.customer_id)
        """
    parts = [
        f"""
        SELECT id, destination_{index} ->> 'type' AS type, destination_{index} ->> 'target' AS address FROM target
        WHERE customer_id = $1 AND tm_delete IS NULL AND destination_{index} IS NOT NULL
        AND (destination_{index} ->> 'target') {db.any_of("$2", "text")} {within}
        """
        for index in range(DESTINATIONS)
    ]
    found = await tx.fetch(
        " UNION ALL ".join(parts),
        outdial.customer_id,
        list({text.partition(" ")[2] for text in addresses}),
        *([outdial.id] if scope is DedupeScope.OUTDIAL else []),
    )
    sought = set(addresses)
    return {known: row["id"] for row in found if (known := f"{row['type']} {row['address']}") in sought}
