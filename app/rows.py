"""Rows of the database as records, and records as rows. Pure; `tables` knows the columns."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from app.addresses import DestinationType
from app.lifecycle import (
    DESTINATIONS,
    AttemptState,
    Disposition,
    DoneReason,
    OutdialState,
    TargetStatus,
    UnconfirmedAction,
)
from app.records import (
    Attempt,
    Destination,
    DialPolicy,
    FileLayout,
    ImportCounts,
    ImportJob,
    ImportReject,
    ImportState,
    ImportStopReason,
    KeptRow,
    Outdial,
    Progress,
    RejectCode,
    Target,
)

REASON_COLUMNS = {
    DoneReason.ANSWERED: "answered",
    DoneReason.EXHAUSTED: "exhausted",
    DoneReason.DO_NOT_CALL: "do_not_call",
    DoneReason.CANCELED: "canceled",
    DoneReason.UNCONFIRMED: "unconfirmed",
}


def dial_policy(row: Mapping[str, Any]) -> DialPolicy:
    return DialPolicy(
        max_try_counts=tuple(orjson.loads(row["max_try_counts"])),
        retry_interval_seconds=row["retry_interval_seconds"],
        lease_seconds=row["lease_seconds"],
        on_unconfirmed=UnconfirmedAction(row["on_unconfirmed"]),
    )


def outdial(row: Mapping[str, Any]) -> Outdial:
    return Outdial(
        id=row["id"],
        customer_id=row["customer_id"],
        campaign_id=row["campaign_id"],
        name=row["name"],
        detail=row["detail"],
        data=row["data"],
        state=OutdialState(row["state"]),
        dial_policy=dial_policy(row),
        tm_create=row["tm_create"],
        tm_update=row["tm_update"],
        tm_delete=row["tm_delete"],
    )


def outdial_values(record: Outdial) -> dict[str, Any]:
    """An outdial as the values of its model."""
    policy = record.dial_policy
    return {
        "id": record.id,
        "customer_id": record.customer_id,
        "campaign_id": record.campaign_id,
        "name": record.name,
        "detail": record.detail,
        "data": record.data,
        "state": record.state.value,
        "max_try_counts": policy.max_try_counts,
        "retry_interval_seconds": policy.retry_interval_seconds,
        "lease_seconds": policy.lease_seconds,
        "on_unconfirmed": policy.on_unconfirmed.value,
        "tm_create": record.tm_create,
        "tm_update": record.tm_update,
        "tm_delete": record.tm_delete,
    }


def destination(text: str | None) -> Destination | None:
    return None if text is None else destination_of(orjson.loads(text))


def destination_of(stored: Mapping[str, str] | None) -> Destination | None:
    """A destination from the value of `destination_value`."""
    if stored is None:
        return None
    return Destination(
        DestinationType(stored["type"]), stored["target"], stored["target_name"], stored["name"], stored["detail"]
    )


def destination_value(value: Destination | None) -> dict[str, str] | None:
    """A destination as it is stored."""
    if value is None:
        return None
    return {
        "type": value.type.value,
        "target": value.target,
        "target_name": value.target_name,
        "name": value.name,
        "detail": value.detail,
    }


def target(row: Mapping[str, Any]) -> Target:
    limits = row["max_try_counts"]
    reason = row["done_reason"]
    mask = row["invalid_mask"]
    return Target(
        id=row["id"],
        customer_id=row["customer_id"],
        outdial_id=row["outdial_id"],
        key=row["key"],
        name=row["name"],
        detail=row["detail"],
        data=row["data"],
        status=TargetStatus(row["status"]),
        done_reason=None if reason is None else DoneReason(reason),
        priority=row["priority"],
        max_try_counts=None if limits is None else tuple(orjson.loads(limits)),
        destinations=(
            destination(row["destination_0"]),
            destination(row["destination_1"]),
            destination(row["destination_2"]),
            destination(row["destination_3"]),
            destination(row["destination_4"]),
        ),
        try_counts=try_counts(row),
        invalid_destinations=frozenset(index for index in range(DESTINATIONS) if mask >> index & 1)
        if mask
        else frozenset(),
        next_try_at=row["next_try_at"],
        last_attempt_id=row["last_attempt_id"],
        version=row["version"],
        tm_create=row["tm_create"],
        tm_update=row["tm_update"],
        tm_delete=row["tm_delete"],
    )


def try_counts(row: Mapping[str, Any]) -> tuple[int, ...]:
    return (row["try_count_0"], row["try_count_1"], row["try_count_2"], row["try_count_3"], row["try_count_4"])


def target_values(record: Target) -> dict[str, Any]:
    """A target as its row, for `db.table_of`."""
    values = target_call_values(record) | {
        "customer_id": record.customer_id,
        "outdial_id": record.outdial_id,
        "key": record.key,
        "name": record.name,
        "detail": record.detail,
        "data": record.data,
        "priority": record.priority,
        "max_try_counts": record.max_try_counts,
        "tm_create": record.tm_create,
    }
    for index in range(DESTINATIONS):
        values[f"destination_{index}"] = destination_value(record.destinations[index])
    return values


def target_call_values(record: Target) -> dict[str, Any]:
    """A target's id, and the columns that calls change."""
    counts = record.try_counts
    return {
        "id": record.id,
        "status": record.status.value,
        "done_reason": record.done_reason and record.done_reason.value,
        "invalid_mask": sum(1 << index for index in record.invalid_destinations),
        "next_try_at": record.next_try_at,
        "last_attempt_id": record.last_attempt_id,
        "version": record.version,
        "tm_update": record.tm_update,
        "tm_delete": record.tm_delete,
        "try_count_0": counts[0],
        "try_count_1": counts[1],
        "try_count_2": counts[2],
        "try_count_3": counts[3],
        "try_count_4": counts[4],
    }


def target_columns(records: Sequence[Target]) -> dict[str, Sequence[Any]]:
    """Targets as the columns of their rows, for `Transaction.insert`. The same values as in `target_values`."""
    columns: dict[str, Sequence[Any]] = {name: [getattr(record, name) for record in records] for name in _OF_EACH}
    for index, places in enumerate(zip(*[record.destinations for record in records], strict=True)):
        columns[f"destination_{index}"] = [None if place is None else _json(place) for place in places]
    columns |= {name: [getattr(record, name) for record in records] for name in _OF_ALL}
    columns["status"] = [record.status.value for record in records]
    columns["done_reason"] = [record.done_reason and record.done_reason.value for record in records]
    limits = [record.max_try_counts for record in records]
    columns["max_try_counts"] = [None if counts is None else _json(counts) for counts in limits]
    columns["invalid_mask"] = [sum(1 << index for index in record.invalid_destinations) for record in records]
    for index, counts in enumerate(zip(*[record.try_counts for record in records], strict=True)):
        columns[f"try_count_{index}"] = counts
    return columns


# first what differs from target to target, then what is mostly the same: columns beside each other are written as one
_OF_EACH = ("id", "key", "name", "data", "detail", "priority", "next_try_at")
_OF_ALL = ("customer_id", "outdial_id", "last_attempt_id", "version", "tm_create", "tm_update", "tm_delete")


def _json(value: object) -> str:
    return orjson.dumps(value).decode()


def attempt(row: Mapping[str, Any]) -> Attempt:
    disposition = row["disposition"]
    dialed = destination(row["destination"])
    assert dialed is not None
    return Attempt(
        id=row["id"],
        customer_id=row["customer_id"],
        outdial_id=row["outdial_id"],
        target_id=row["target_id"],
        destination_index=row["destination_index"],
        destination=dialed,
        try_number=row["try_number"],
        state=AttemptState(row["state"]),
        disposition=None if disposition is None else Disposition(disposition),
        detail=row["detail"],
        dialer=row["dialer"],
        call_id=row["call_id"],
        lease_seconds=row["lease_seconds"],
        expires_at=row["expires_at"],
        claimed_at=row["claimed_at"],
        dialed_at=row["dialed_at"],
        ended_at=row["ended_at"],
    )


def progress(row: Mapping[str, Any]) -> Progress:
    return Progress(
        idle=int(row["idle"]),
        progressing=int(row["progressing"]),
        done_by_reason={reason: int(row[column]) for reason, column in REASON_COLUMNS.items()},
        attempts=int(row["attempts"]),
    )


def import_job(row: Mapping[str, Any]) -> ImportJob:
    reason = row["stop_reason"]
    return ImportJob(
        id=row["id"],
        customer_id=row["customer_id"],
        outdial_id=row["outdial_id"],
        file_name=row["file_name"],
        state=ImportState(row["state"]),
        stop_reason=None if reason is None else ImportStopReason(reason),
        message=row["message"],
        dry_run=bool(row["dry_run"]),
        idempotency_key=row["idempotency_key"],
        counts=ImportCounts(
            row["rows_read"], row["rows_created"], row["rows_updated"], row["rows_skipped"], row["rows_rejected"]
        ),
        warnings=tuple(orjson.loads(row["warnings"])),
        tm_create=row["tm_create"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
    )


def import_reject(row: Mapping[str, Any]) -> ImportReject:
    return ImportReject(
        id=row["id"],
        job_id=row["job_id"],
        line_number=row["line_number"],
        column=row["column_name"],
        code=RejectCode(row["code"]),
        message=row["message"],
        row=row["row_text"],
        recorded_at=row["recorded_at"],
    )


def kept_row(row: Mapping[str, Any]) -> KeptRow:
    return KeptRow(row["line_number"], row["message"], row["text"], is_whole=bool(row["is_whole"]))


def file_layout(row: Mapping[str, Any]) -> FileLayout:
    names = row["column_names"]
    return FileLayout(
        file_name=row["file_name"],
        is_ndjson=bool(row["is_ndjson"]),
        column_names=None if names is None else tuple(orjson.loads(names)),
        delimiter=row["delimiter"],
    )
