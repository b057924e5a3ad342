"""The event log: written in the transaction of the change, and read in an order that misses no event.

`seq > cursor` would miss rows on PostgreSQL, where a transaction gets its numbers before it commits: while one with
number 5 is open, another may commit 6, and a reader that has read 6 never sees 5. So each event has its transaction's
id, and readers stop before the oldest of our own writers that is still open (`horizon`). That order is complete but not
the order of commits: of two changes to one target, `version` says which is newer.

Transaction ids count in one cluster, so positions sort by the customer's epoch first (`epochs`).
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeAlias

import orjson

from app import db
from app.changes import Event
from app.db import Transaction
from app.events.cursors import Position, cursor
from app.lifecycle import Disposition, DoneReason, OutdialEventType, TargetEventType, TargetStatus
from app.listing import Parameters
from app.records import OutdialEvent, TargetEvent
from app.tables import TARGET_EVENT

Fetch: TypeAlias = Callable[..., Awaitable[list[db.Row]]]

_GIVEN = TARGET_EVENT.but("customer_id").kinds


def _log(customer_id: str = "$1") -> str:
    """The customer's epoch and this transaction's id, for FROM: both of where the customer's rows are, as they are now.

    It belongs into the statement that writes the events: its snapshot is newer than the writers' lock.
    """
    tx = "CAST(CAST(pg_current_xact_id() AS text) AS bigint)" if db.is_postgres() else "0"
    return f"(SELECT epoch, {tx} AS tx FROM customer WHERE customer_id = {customer_id}) AS log"


async def append(tx: Transaction, events: Sequence[Event]) -> None:
    """Write events of one customer in the transaction of their change, and wake their subscribers."""
    if events:
        parameter = Parameters([events[0]["customer_id"]])
        announce(tx, events)
        await tx.send([appending(events, parameter)], parameter.values)


def announce(tx: Transaction, events: Sequence[Event]) -> None:
    """Wake the subscribers of events after the unit of work that writes them. It must have its locks."""
    if tx.writes_of is None:
        raise RuntimeError("The unit of work writes an event without tx.lock: readers may pass it by.")
    for outdial_id in {event["outdial_id"] for event in events}:
        tx.wake(outdial_id)


def appending(events: Sequence[Event], parameter: Parameters) -> str:
    """Writes events of one customer, as a part of a larger statement, whose $1 is the customer.

    The unit of work has taken its lock.
    """
    values = {column: f"event.{column}" for column in _GIVEN} | {"customer_id": db.typed("$1", "uuid")}
    columns: dict[str, Sequence[Any]] = {name: [event[name] for event in events] for name in _GIVEN}
    columns["try_counts"] = [orjson.dumps(counts).decode() for counts in columns["try_counts"]]
    if not db.is_postgres():
        values |= {name: parameter(db.Each(columns[name])) for name in _GIVEN}
        return _inserting(values)
    source = db.table_of(columns, _GIVEN, "event", parameter)
    return inserting(values, source=source, ordering="event.ord")


def inserting(values: Mapping[str, str], *, source: str, ordering: str) -> str:
    """Writes an event for each row of a source, as a part of a larger statement, whose $1 is the customer.

    The unit of work has taken its lock.

    Args:
        values: of the columns that are not null, in SQL.
        source: a table, for FROM.
        ordering: of the events.
    """
    return f"{_inserting(values)} CROSS JOIN {source} ORDER BY {ordering}"


def _inserting(values: Mapping[str, str]) -> str:
    return f"""
        INSERT INTO target_event (epoch, tx, {", ".join(values)})
        SELECT log.epoch, log.tx, {", ".join(values.values())} FROM {_log()}
    """


async def append_columns(tx: Transaction, columns: Mapping[str, Sequence[Any]]) -> None:
    """Like `append`, for many events of one outdial that differ in few columns."""
    if tx.writes_of is None:
        raise RuntimeError("The unit of work writes events without tx.lock: readers may pass them by.")
    listed = {name: _stored(TARGET_EVENT.kinds[name], values) for name, values in columns.items()}
    varying = {name: values for name, values in listed.items() if len(values) > 1 or name == "target_id"}
    fixed = {name: values[0] for name, values in listed.items() if name not in varying and values[0] is not None}
    fixed = {"customer_id": columns["customer_id"][0], **fixed}
    values = {name: db.typed(f"${number}", TARGET_EVENT.kinds[name]) for number, name in enumerate(fixed, start=1)}
    values |= {name: f"new.{name}" for name in varying}
    source = db.columnset(TARGET_EVENT.only(*varying).kinds, "new", first=len(fixed) + 1)
    await tx.fetch(
        inserting(values, source=source, ordering="new.ord"),
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
        SELECT log.epoch, log.tx, {db.typed("$1", "uuid")}, {db.typed("$2", "uuid")}, $3, {db.typed("$4", "instant")}
        FROM {_log()}
        """,
        customer_id,
        outdial_id,
        event_type.value,
        occurred_at,
    )
    tx.wake(customer_id)
    tx.wake(outdial_id)


# ---------------------------------------------------------------- reading


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


async def ends(
    customer_id: str, outdial_ids: Sequence[str], *, upto: Position, fetch: Fetch | None = None
) -> dict[str, Position]:
    """The position of each outdial's last event up to a horizon, also if that event has been removed since.

    Readers and cursors stay there, and not at the horizon itself. The transaction of an event that can be seen is on
    disk. That of a higher id may not be, or may never have written: after a crash PostgreSQL gives such ids out again,
    and a reader that was beyond them would miss what they write.

    Args:
        customer_id: the customer.
        outdial_ids: of the customer.
        upto: the horizon.
        fetch: a transaction's. Who has a connection must not wait for another one.

    Returns:
        By outdial. Unknown ones are left out.
    """
    if not db.is_postgres():
        return dict.fromkeys(outdial_ids, upto)  # numbers and rows are of one file
    found = await (fetch or db.fetch)(
        f"""
        SELECT outdial.id, last.epoch, last.tx, last.seq, pruned_epoch, pruned_tx, pruned_seq
        FROM outdial LEFT JOIN LATERAL (
            SELECT event.epoch, event.tx, event.seq FROM target_event AS event
            WHERE event.customer_id = $1 AND event.outdial_id = outdial.id
              AND (event.epoch, event.tx, event.seq) <= ($3, $4, $5)
            ORDER BY event.epoch DESC, event.tx DESC, event.seq DESC LIMIT 1
        ) AS last ON true
        WHERE outdial.customer_id = $1 AND outdial.id {db.any_of("$2")}
        """,
        customer_id,
        list(outdial_ids),
        *upto,
    )
    return {row["id"]: _last(row, upto) for row in found}


def _last(row: Mapping[str, Any], upto: Position) -> Position:
    if row["epoch"] is not None:
        return Position(row["epoch"], row["tx"], row["seq"])
    if row["pruned_epoch"]:
        return Position(row["pruned_epoch"], row["pruned_tx"], row["pruned_seq"])
    return Position(upto.epoch, 0, 0)


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


async def outdials_end(customer_id: str, *, upto: Position) -> Position:
    """Likewise of the events of a customer's outdials themselves, for a reader that begins."""
    if not db.is_postgres():
        return upto
    found = await db.fetch(
        """
        SELECT epoch, tx, seq FROM outdial_event WHERE customer_id = $1 AND (epoch, tx, seq) <= ($2, $3, $4)
        ORDER BY epoch DESC, tx DESC, seq DESC LIMIT 1
        """,
        customer_id,
        *upto,
    )
    return Position(found[0]["epoch"], found[0]["tx"], found[0]["seq"]) if found else Position(upto.epoch, 0, 0)


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
