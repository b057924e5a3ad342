"""Suppressions as they are stored: what counts of them for given addresses, and what follows when some are added.

The address of a destination must not be called while a suppression of the customer has it. A unit of work that adds
one has the customer's lock alone (`Transaction.lock`): nothing is claimed, started or created meanwhile, and what comes
later sees it.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from app import db, destinations, entries, ids, rows, tables
from app.addresses import DestinationType
from app.db import Transaction
from app.entries import Added
from app.lifecycle import DESTINATIONS
from app.records import Counting, Destination, Place, Suppression, SuppressionSource

WOKEN_OUTDIALS_MAX = 1_000
"""When suppressions are removed. In others, for some seconds, those targets may be claimed after later ones."""


async def counting(tx: Transaction, customer_id: str, wanted: Iterable[Place], now: datetime) -> Counting:
    """The suppressions of these addresses that count at that instant. Each is looked up in an index."""
    sought = sorted(set(wanted))
    if not sought:
        return {}
    given = [{"space": space.value, "address": address} for space, address in sought]
    # CROSS JOIN: SQLite would compare each of the customer's suppressions with each address that is wanted
    found = await tx.fetch(
        f"""
        SELECT suppression.space, suppression.address, suppression.expires_at
        FROM {db.rowset("$2", {"space": "text", "address": "text"}, "wanted")} CROSS JOIN suppression
        WHERE suppression.customer_id = $1 AND suppression.address = wanted.address
            AND suppression.space = wanted.space AND (suppression.expires_at IS NULL OR suppression.expires_at > $3)
        """,
        customer_id,
        db.rows_value(given),
        now,
    )
    return {(DestinationType(row["space"]), row["address"]): row["expires_at"] for row in found}


async def add(tx: Transaction, customer_id: str, given: Sequence[Suppression]) -> Added:
    """Add suppressions by the rules of `app.entries`. The transaction has the customer's lock alone.

    Args:
        tx: the use-case's transaction. Because of its lock nobody else changes what it has read.
        customer_id: whose.
        given: in their order; an address may be there several times.
    """
    found = entries.added(await _at(tx, customer_id, {one.place for one in given}), given)
    if found.written:
        await _write(tx, customer_id, found.written)
    return found


async def _at(tx: Transaction, customer_id: str, places: Iterable[Place]) -> dict[Place, Suppression]:
    """The suppressions of these addresses, expired ones too. Each is looked up in an index."""
    given = [{"space": space.value, "address": address} for space, address in sorted(places)]
    # CROSS JOIN: as above
    found = await tx.fetch(
        f"""
        SELECT {tables.SUPPRESSION.qualified}
        FROM {db.rowset("$2", {"space": "text", "address": "text"}, "wanted")} CROSS JOIN suppression
        WHERE suppression.customer_id = $1 AND suppression.address = wanted.address
            AND suppression.space = wanted.space
        """,
        customer_id,
        db.rows_value(given),
    )
    return {one.place: one for one in map(rows.suppression, found)}


async def _write(tx: Transaction, customer_id: str, written: Sequence[Suppression]) -> None:
    """Store them over those of the same addresses, which keep their id and the time of their creation."""
    values = [
        {
            "id": one.id,
            "type": one.type.value,
            "space": one.place[0].value,
            "address": one.target,
            "reason": one.reason,
            "source": one.source.value,
            "expires_at": one.expires_at,
            "is_pending": int(one.expires_at is None),
            "tm_create": one.tm_create,
        }
        for one in written
    ]
    kinds = {name: tables.SUPPRESSION_ROW.kinds[name] for name in values[0]}
    replaced = ", ".join(
        f"{name} = excluded.{name}" for name in ("type", "reason", "source", "expires_at", "is_pending")
    )
    await tx.fetch(
        f"""
        INSERT INTO suppression (customer_id, {", ".join(kinds)})
        SELECT {db.typed("$1", "uuid")}, {", ".join(kinds)} FROM {db.rowset("$2", kinds, "new")} WHERE 1 = 1
        ON CONFLICT (customer_id, space, address) DO UPDATE SET {replaced}
        """,
        customer_id,
        db.rows_value(values),
    )
    await tx.fetch(
        "UPDATE customer SET suppressions_version = suppressions_version + 1 WHERE customer_id = $1", customer_id
    )


def new(
    customer_id: str,
    place: Destination,
    *,
    reason: str,
    source: SuppressionSource,
    expires_at: datetime | None,
    now: datetime,
) -> Suppression:
    """A suppression of a destination's address."""
    return Suppression(
        id=ids.new(),
        customer_id=customer_id,
        type=place.type,
        target=place.place[1],
        reason=reason,
        source=source,
        expires_at=expires_at,
        tm_create=now,
    )


async def places_of(tx: Transaction, customer_id: str, attempt_ids: Sequence[str]) -> set[Place]:
    """The addresses of attempts. They never change."""
    found = await tx.fetch(
        f"SELECT destination FROM attempt WHERE customer_id = $1 AND id {db.any_of('$2')}",
        customer_id,
        list(attempt_ids),
    )
    return {place.place for row in found if (place := rows.destination(row["destination"])) is not None}


async def claimed(tx: Transaction, customer_id: str, places: Iterable[Place]) -> list[str]:
    """The ids of the attempts on these addresses that are claimed and not yet dialed."""
    wanted = set(places)
    found = await tx.fetch(
        f"""
        SELECT id, destination FROM attempt WHERE customer_id = $1 AND state = 'CLAIMED'
        AND (destination ->> 'target') {db.any_of("$2", "text")}
        """,
        customer_id,
        sorted({address for _, address in wanted}),
    )
    return [
        row["id"]
        for row in found
        if (place := rows.destination(row["destination"])) is not None and place.place in wanted
    ]


# ---------------------------------------------------------------- targets that have nothing else left


async def pending(tx: Transaction, customer_id: str, *, limit: int) -> list[tuple[str, str]]:
    """Some suppressions whose idle targets are still to be finished: ids and addresses."""
    found = await tx.fetch(
        f"""
        SELECT id, address FROM suppression WHERE customer_id = $1 AND is_pending = 1 ORDER BY id LIMIT {int(limit)}
        """,
        customer_id,
    )
    return [(row["id"], row["address"]) for row in found]


async def settled(tx: Transaction, customer_id: str, suppression_ids: Sequence[str]) -> None:
    """Their idle targets are finished."""
    await tx.fetch(
        f"UPDATE suppression SET is_pending = 0 WHERE customer_id = $1 AND id {db.any_of('$2')}",
        customer_id,
        list(suppression_ids),
    )


def _at_addresses(index: int) -> str:
    """The targets with one of the addresses in $2 at a place, for FROM, as `target`."""
    condition = f"customer_id = $1 AND tm_delete IS NULL AND destination_{index} IS NOT NULL"
    address = f"(destination_{index} ->> 'target')"
    if not db.is_postgres():
        return f"(SELECT * FROM target WHERE {condition} AND {address} {db.any_of('$2', 'text')}) AS target"
    # OFFSET 0: address by address in their index. Tables that were not counted would be read whole by another one.
    return f"""unnest(CAST($2 AS text[])) AS wanted(address) CROSS JOIN LATERAL (
        SELECT * FROM target WHERE {condition} AND {address} = wanted.address OFFSET 0
    ) AS target"""


def _each_by_key() -> str:
    """The targets that `near` names, for FROM after it, as `target`: each is looked up by its key."""
    if not db.is_postgres():
        return "CROSS JOIN (SELECT * FROM target WHERE customer_id = $1) AS target ON target.id = near.target_id"
    # OFFSET 0: as above
    return """CROSS JOIN LATERAL (
        SELECT * FROM target WHERE customer_id = $1 AND id = near.target_id OFFSET 0
    ) AS target"""


async def barred(tx: Transaction, customer_id: str, addresses: Sequence[str], *, limit: int) -> list[tuple[str, str]]:
    """Idle targets with one of these addresses that have no destination left which may ever be called.

    Returns:
        Up to `limit` ids of targets, each with its outdial's. They are not locked.
    """
    limits = [f"CAST(owner.limits ->> {index} AS INTEGER)" for index in range(DESTINATIONS)]
    is_open = destinations.any_usable(limits, destinations.Suppressed("$1", None))
    near = " UNION ALL ".join(
        f"SELECT target.id AS target_id FROM {_at_addresses(index)} WHERE status = 'IDLE'"
        for index in range(DESTINATIONS)
    )
    # The rule stands once, beside the targets that were found: to plan it five times takes PostgreSQL 60 ms.
    parts = f"""
        SELECT target.id, target.outdial_id FROM ({near}) AS near {_each_by_key()} JOIN (
            SELECT id AS owner_id, max_try_counts AS limits FROM outdial WHERE customer_id = $1 AND tm_delete IS NULL
        ) AS owner ON owner.owner_id = target.outdial_id WHERE NOT {is_open}
        AND (callback_mask IS NULL OR callback_mask > 0)
    """
    found = await tx.fetch(
        f"SELECT DISTINCT id, outdial_id FROM ({parts} LIMIT {int(limit)}) AS found ORDER BY id",
        customer_id,
        list(addresses),
    )
    return [(row["id"], row["outdial_id"]) for row in found]


async def outdials_with(tx: Transaction, customer_id: str, addresses: Sequence[str]) -> list[str]:
    """The ids of outdials that have an idle target with one of these addresses; of very many, some."""
    parts = " UNION ".join(
        f"SELECT outdial_id FROM {_at_addresses(index)} WHERE status = 'IDLE'" for index in range(DESTINATIONS)
    )
    found = await tx.fetch(f"{parts} LIMIT {WOKEN_OUTDIALS_MAX}", customer_id, list(addresses))
    return [row["outdial_id"] for row in found]
