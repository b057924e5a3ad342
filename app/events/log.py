"""The event log: written in the transaction of the change, and read in an order that misses no event.

`seq > cursor` would miss rows on PostgreSQL, where a transaction gets its numbers before it commits: while one with
number 5 is open, another may commit 6, and a reader that has read 6 never sees 5. So each event has its transaction's
id, and readers stop before the oldest transaction that is still open (`pg_snapshot_xmin`). That order is complete but
not the order of commits: of two changes to one target, `version` says which is newer.

Transaction ids start again in a new cluster. After a dump is restored there, the stored ids may be ahead of the
counter. `open_epoch` then begins another epoch, and positions sort by epoch first.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from app import db, models
from app.changes import Event
from app.db import Transaction
from app.events.cursors import Position, cursor
from app.lifecycle import Disposition, DoneReason, OutdialEventType, TargetEventType, TargetStatus
from app.listing import Parameters
from app.records import OutdialEvent, TargetEvent
from app.tables import TARGET_EVENT

_GIVEN = TARGET_EVENT.but("customer_id").kinds
_EPOCH = "(SELECT max(epoch) FROM event_epoch)"
_RECENT_EVENTS = 10_000
"""How many of the newest events are searched for the highest transaction id. Far more than transactions run at once."""


def _transaction_id() -> str:
    return "CAST(CAST(pg_current_xact_id() AS text) AS bigint)" if db.is_postgres() else "0"


async def append(tx: Transaction, events: Sequence[Event]) -> None:
    """Write events of one customer in the transaction of their change, and wake their subscribers."""
    if events:
        parameter = Parameters([events[0]["customer_id"]])
        await tx.send([appending(tx, events, parameter)], parameter.values)


def appending(tx: Transaction, events: Sequence[Event], parameter: Parameters) -> str:
    """The same as a part of a larger statement, whose $1 is the customer."""
    if tx.writes_of is None:
        raise RuntimeError("The unit of work writes an event without tx.lock: readers may pass it by.")
    for outdial_id in {event["outdial_id"] for event in events}:
        tx.wake(outdial_id)
    values = {column: f"event.{column}" for column in _GIVEN} | {"customer_id": db.typed("$1", "uuid")}
    source = db.table_of(events, _GIVEN, "event", parameter)
    return inserting(values, source=source, ordering="event.ord")


def inserting(values: Mapping[str, str], *, source: str, ordering: str) -> str:
    """Writes an event for each row of a source, as a part of a larger statement. The unit of work has taken its lock.

    Args:
        values: of the columns that are not null, in SQL.
        source: what follows FROM.
        ordering: of the events.
    """
    return f"""
        INSERT INTO target_event (epoch, tx, {", ".join(values)})
        SELECT {_EPOCH}, {_transaction_id()}, {", ".join(values.values())} FROM {source} ORDER BY {ordering}
    """


async def append_columns(tx: Transaction, columns: Mapping[str, Sequence[Any]]) -> None:
    """Like `append`, for many events of one outdial that differ in few columns."""
    listed = {name: _stored(TARGET_EVENT.kinds[name], values) for name, values in columns.items()}
    fixed = {name: values[0] for name, values in listed.items() if len(values) == 1 and name != "target_id"}
    varying = {name: values for name, values in listed.items() if name not in fixed}
    chosen = [db.typed(f"${number}", TARGET_EVENT.kinds[name]) for number, name in enumerate(fixed, start=1)]
    chosen += [f"new.{name}" for name in varying]
    source = db.columnset(TARGET_EVENT.only(*varying).kinds, "new", first=len(fixed) + 1)
    await tx.fetch(
        f"""
        INSERT INTO target_event (epoch, tx, {", ".join((*fixed, *varying))})
        SELECT {_EPOCH}, {_transaction_id()}, {", ".join(chosen)} FROM {source} ORDER BY ord
        """,
        *fixed.values(),
        *db.columnset_values(varying.values()),
    )
    tx.wake(columns["outdial_id"][0])


def _stored(kind: str, values: Sequence[Any]) -> Sequence[Any]:
    """A column as it is stored; only its one value if all are the same."""
    chosen = values if values.count(values[0]) < len(values) else values[:1]
    return [orjson.dumps(value).decode() for value in chosen] if kind == "json" else chosen


async def append_outdial(
    tx: Transaction, event_type: OutdialEventType, *, customer_id: str, outdial_id: str, occurred_at: datetime
) -> None:
    """Write the event that an outdial itself was created, changed or deleted."""
    if tx.writes_of is None:
        raise RuntimeError("The unit of work writes an event without tx.lock: readers may pass it by.")
    await tx.fetch(
        f"""
        INSERT INTO outdial_event (epoch, tx, customer_id, outdial_id, type, occurred_at)
        SELECT {_EPOCH}, {_transaction_id()}, customer_id, {db.typed("$2", "uuid")}, $3, {db.typed("$4", "instant")}
        FROM customer WHERE customer_id = $1
        """,
        customer_id,
        outdial_id,
        event_type.value,
        occurred_at,
    )
    tx.wake(customer_id)
    tx.wake(outdial_id)


# ---------------------------------------------------------------- reading


@dataclass(frozen=True, slots=True)
class Horizon:
    """How far the log can be read: no more events appear up to `position`."""

    position: Position
    beyond: Position
    """No event is after this yet. A cursor that is comes from another history of the database."""


async def horizon(table: str = "target_event") -> Horizon:
    """The horizon now, in constant time."""
    if db.is_postgres():
        rows = await db.fetch(
            f"""
            SELECT {_EPOCH} AS epoch,
                   CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS text) AS bigint) AS settled,
                   CAST(CAST(pg_snapshot_xmax(pg_current_snapshot()) AS text) AS bigint) AS unused
            """
        )
        row = rows[0]
        # no event has seq 0, so this is right before the first event of that transaction
        return Horizon(Position(row["epoch"], row["settled"], 0), Position(row["epoch"], row["unused"], 0))
    rows = await db.fetch(
        f"SELECT {_EPOCH} AS epoch, COALESCE((SELECT seq FROM sqlite_sequence WHERE name = $1), 0) AS last", table
    )
    end = Position(rows[0]["epoch"], 0, rows[0]["last"])
    return Horizon(end, end)


async def position() -> Position:
    """The present position: everything that is read after this call is at least as new."""
    return (await horizon()).position


async def read(
    customer_id: str, outdial_id: str, *, after: Position, upto: Position, limit: int
) -> list[tuple[Position, TargetEvent]]:
    """Up to `limit` events of an outdial, after one position and up to the position of a horizon."""
    rows = await db.fetch(
        f"""
        SELECT epoch, tx, seq, {TARGET_EVENT} FROM target_event
        WHERE customer_id = $1 AND outdial_id = $2
          AND (epoch, tx, seq) > ($3, $4, $5) AND (epoch, tx, seq) <= ($6, $7, $8)
        ORDER BY epoch, tx, seq LIMIT {limit}
        """,
        customer_id,
        outdial_id,
        *after,
        *upto,
    )
    return [_event(row) for row in rows]


def _event(row: Mapping[str, Any]) -> tuple[Position, TargetEvent]:
    place = Position(row["epoch"], row["tx"], row["seq"])
    status, previous, reason = row["status"], row["previous_status"], row["done_reason"]
    disposition = row["disposition"]
    return place, TargetEvent(
        cursor=cursor(row["outdial_id"], place),
        type=TargetEventType(row["type"]),
        occurred_at=row["occurred_at"],
        outdial_id=row["outdial_id"],
        target_id=row["target_id"],
        count=row["count"],
        status=None if status is None else TargetStatus(status),
        previous_status=None if previous is None else TargetStatus(previous),
        done_reason=None if reason is None else DoneReason(reason),
        try_counts=tuple(orjson.loads(row["try_counts"])),
        next_try_at=row["next_try_at"],
        version=row["version"],
        destination_index=row["destination_index"],
        attempt_id=row["attempt_id"],
        disposition=None if disposition is None else Disposition(disposition),
    )


async def read_outdials(
    customer_id: str, *, after: Position, upto: Position, limit: int
) -> list[tuple[Position, OutdialEvent]]:
    """Up to `limit` events of a customer's outdials themselves."""
    rows = await db.fetch(
        f"""
        SELECT epoch, tx, seq, outdial_id, type, occurred_at FROM outdial_event
        WHERE customer_id = $1 AND (epoch, tx, seq) > ($2, $3, $4) AND (epoch, tx, seq) <= ($5, $6, $7)
        ORDER BY epoch, tx, seq LIMIT {limit}
        """,
        customer_id,
        *after,
        *upto,
    )
    return [
        (
            Position(row["epoch"], row["tx"], row["seq"]),
            OutdialEvent(OutdialEventType(row["type"]), row["outdial_id"], row["occurred_at"]),
        )
        for row in rows
    ]


# ---------------------------------------------------------------- upkeep


async def open_epoch() -> int:
    """Begin another epoch if the stored transaction ids cannot be this database's own. Returns the current epoch.

    Call this at the start of each server, and when the database may be another one. A restored dump has stored ids that
    are ahead of the counter, or the id of another database.
    """
    return await db.transaction(_open_epoch)


async def _open_epoch(tx: Transaction) -> int:
    await tx.fetch("SELECT pg_advisory_xact_lock(hashtextextended('event epoch', 0))") if db.is_postgres() else None
    epochs = models.EventEpoch.all(using_db=tx.orm)
    current = await epochs.order_by("-epoch").first()
    assert current is not None  # the first migration opens one
    epoch = current.epoch
    if not db.is_postgres():
        return epoch
    state = (
        await tx.fetch(
            f"""
            SELECT CAST(oid AS bigint) AS oid,
                   CAST(CAST(pg_snapshot_xmax(pg_current_snapshot()) AS text) AS bigint) AS unused,
                   greatest(
                       (SELECT max(tx) FROM (SELECT tx FROM target_event WHERE epoch = $1
                                             ORDER BY seq DESC LIMIT {_RECENT_EVENTS}) AS recent),
                       (SELECT max(tx) FROM (SELECT tx FROM outdial_event WHERE epoch = $1
                                             ORDER BY seq DESC LIMIT {_RECENT_EVENTS}) AS recent)
                   ) AS stored
            FROM pg_database WHERE datname = current_database()
            """,
            epoch,
        )
    )[0]
    ahead = state["stored"] is not None and state["stored"] >= state["unused"]
    if current.database_oid == state["oid"] and not ahead:
        return epoch
    await epochs.filter(epoch=epoch).update(last_tx=state["stored"] or 0)
    await models.EventEpoch.create(
        using_db=tx.orm, epoch=epoch + 1, database_oid=state["oid"], opened_at=await tx.now()
    )
    return epoch + 1


async def epoch_end(epoch: int) -> int | None:
    """The last transaction id that a closed epoch holds; None if it is open or unknown."""
    found = await models.EventEpoch.get_or_none(using_db=db.reader(), epoch=epoch)
    return None if found is None else found.last_tx


async def prune(customer_id: str, before: datetime, *, limit: int) -> int:
    """Remove up to `limit` of a customer's oldest events that are past retention, and store where the last one was.

    Returns:
        How many were removed; fewer than `limit` once all are.
    """
    return await db.transaction(_prune, customer_id, before, limit)


async def _prune(tx: Transaction, customer_id: str, before: datetime, limit: int) -> int:
    removed = await tx.fetch(
        f"""
        WITH old AS MATERIALIZED (
            SELECT seq FROM target_event WHERE customer_id = $1 AND occurred_at < $2 ORDER BY occurred_at LIMIT {limit}
            {db.for_update("FOR UPDATE SKIP LOCKED")}
        )
        DELETE FROM target_event WHERE customer_id = $1 AND seq IN (SELECT seq FROM old)
        RETURNING outdial_id, epoch, tx, seq
        """,
        customer_id,
        before,
    )
    furthest: dict[str, Position] = {}
    for row in removed:
        place = Position(row["epoch"], row["tx"], row["seq"])
        furthest[row["outdial_id"]] = max(place, furthest.get(row["outdial_id"], place))
    for outdial_id, place in sorted(furthest.items()):
        await tx.fetch(
            """
            UPDATE outdial SET pruned_epoch = $3, pruned_tx = $4, pruned_seq = $5
            WHERE customer_id = $1 AND id = $2 AND (pruned_epoch, pruned_tx, pruned_seq) < ($3, $4, $5)
            """,
            customer_id,
            outdial_id,
            *place,
        )
    forgotten = await tx.fetch(
        f"""
        WITH old AS MATERIALIZED (
            SELECT seq FROM outdial_event WHERE customer_id = $1 AND occurred_at < $2
            ORDER BY occurred_at LIMIT {limit} {db.for_update("FOR UPDATE SKIP LOCKED")}
        )
        DELETE FROM outdial_event WHERE customer_id = $1 AND seq IN (SELECT seq FROM old) RETURNING seq
        """,
        customer_id,
        before,
    )
    return max(len(removed), len(forgotten))


async def lag_seconds() -> float:
    """Seconds that subscribers have waited for the oldest writing transaction of the cluster; 0 if there is none."""
    if not db.is_postgres():
        return 0.0
    rows = await db.fetch(
        """
        SELECT COALESCE(max(EXTRACT(epoch FROM clock_timestamp() - xact_start)), 0) AS seconds
        FROM pg_stat_activity WHERE backend_xid IS NOT NULL AND pid <> pg_backend_pid()
        """
    )
    return max(0.0, float(rows[0]["seconds"]))
