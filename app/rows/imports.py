"""Rows of imports as records."""

from collections.abc import Mapping
from typing import Any

import orjson

from app.records import (
    FileLayout,
    ImportCounts,
    ImportJob,
    ImportReject,
    ImportState,
    ImportStopReason,
    KeptRow,
    RejectCode,
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
            row["rows_read"],
            row["rows_created"],
            row["rows_updated"],
            row["rows_skipped"],
            row["rows_rejected"],
            row["rows_suppressed"],
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
