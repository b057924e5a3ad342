"""Imports: a job for each file, and its rejected rows."""

from uuid import uuid4

from orjson import loads
from tortoise import fields, migrations
from tortoise.fields.base import OnDelete
from tortoise.fields.data import JSON_DUMPS

from app.db.migration import Sql, StateOnly


class Migration(migrations.Migration):
    dependencies = [("outdial", "0001_initial")]

    initial = False

    operations = [
        StateOnly(
            name="ImportJob",
            fields=[
                ("id", fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ("customer_id", fields.UUIDField()),
                (
                    "outdial",
                    fields.ForeignKeyField(
                        "outdial.Outdial",
                        source_field="outdial_id",
                        db_constraint=True,
                        to_field="id",
                        on_delete=OnDelete.RESTRICT,
                    ),
                ),
                ("file_name", fields.CharField(max_length=255)),
                ("state", fields.CharField(max_length=16)),
                ("stop_reason", fields.CharField(null=True, max_length=32)),
                ("message", fields.TextField(default="", unique=False)),
                ("dry_run", fields.SmallIntField()),
                ("idempotency_key", fields.CharField(null=True, max_length=255)),
                ("input_hash", fields.CharField(max_length=64)),
                ("run", fields.IntField(default=1)),
                ("began_paused", fields.SmallIntField(default=0)),
                ("rows_read", fields.BigIntField(default=0)),
                ("rows_created", fields.BigIntField(default=0)),
                ("rows_updated", fields.BigIntField(default=0)),
                ("rows_skipped", fields.BigIntField(default=0)),
                ("rows_rejected", fields.BigIntField(default=0)),
                ("checkpoint_line", fields.BigIntField(default=0)),
                ("checkpoint_digest", fields.CharField(default="", max_length=64)),
                ("warnings", fields.JSONField(encoder=JSON_DUMPS, decoder=loads)),
                ("tm_create", fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ("started_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("heard_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ("finished_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
            ],
            options={"table": "import_job", "app": "outdial", "pk_attr": "id"},
            bases=["Model"],
        ),
        StateOnly(
            name="ImportReject",
            fields=[
                ("id", fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ("customer_id", fields.UUIDField()),
                (
                    "job",
                    fields.ForeignKeyField(
                        "outdial.ImportJob",
                        source_field="job_id",
                        db_constraint=True,
                        to_field="id",
                        on_delete=OnDelete.RESTRICT,
                    ),
                ),
                ("line_number", fields.BigIntField()),
                ("column_name", fields.CharField(null=True, max_length=255)),
                ("code", fields.CharField(max_length=32)),
                ("message", fields.TextField(unique=False)),
                ("row_text", fields.TextField(unique=False)),
                ("recorded_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={"table": "import_reject", "app": "outdial", "pk_attr": "id"},
            bases=["Model"],
        ),
        Sql(
            """
            CREATE TABLE import_job (
                id {uuid} PRIMARY KEY,
                customer_id {uuid} NOT NULL,
                outdial_id {uuid} NOT NULL REFERENCES outdial (id),
                file_name VARCHAR(255) NOT NULL,
                state VARCHAR(16) NOT NULL CHECK (
                    state IN ('QUEUED', 'RUNNING', 'COMPLETED', 'FAILED', 'CANCELED')
                ),
                stop_reason VARCHAR(32),
                message TEXT NOT NULL DEFAULT '',
                dry_run SMALLINT NOT NULL CHECK (dry_run IN (0, 1)),
                idempotency_key VARCHAR(255),
                input_hash VARCHAR(64) NOT NULL,
                run INTEGER NOT NULL DEFAULT 1,
                began_paused SMALLINT NOT NULL DEFAULT 0 CHECK (began_paused IN (0, 1)),
                rows_read BIGINT NOT NULL DEFAULT 0,
                rows_created BIGINT NOT NULL DEFAULT 0,
                rows_updated BIGINT NOT NULL DEFAULT 0,
                rows_skipped BIGINT NOT NULL DEFAULT 0,
                rows_rejected BIGINT NOT NULL DEFAULT 0,
                checkpoint_line BIGINT NOT NULL DEFAULT 0,
                checkpoint_digest VARCHAR(64) NOT NULL DEFAULT '',
                warnings {json} NOT NULL,
                tm_create {instant} NOT NULL,
                started_at {instant},
                heard_at {instant} NOT NULL,
                finished_at {instant},
                CONSTRAINT import_job_ends_once CHECK (
                    (state IN ('QUEUED', 'RUNNING')) = (finished_at IS NULL)
                ),
                CONSTRAINT import_job_stopped_has_reason CHECK (
                    (state IN ('FAILED', 'CANCELED')) = (stop_reason IS NOT NULL)
                ),
                CONSTRAINT import_job_accounts_for_each_row CHECK (
                    rows_read = rows_created + rows_updated + rows_skipped + rows_rejected
                )
            )
            """,
            # pages of an outdial, whole and by state
            "CREATE INDEX import_job_page ON import_job (outdial_id, tm_create, id)",
            "CREATE INDEX import_job_page_state ON import_job (outdial_id, state, tm_create, id)",
            # the same file sent again
            """
            CREATE UNIQUE INDEX import_job_key ON import_job (customer_id, idempotency_key)
                WHERE idempotency_key IS NOT NULL
            """,
            # jobs whose server may be gone, and jobs that are old enough to remove
            "CREATE INDEX import_job_heard ON import_job (heard_at) WHERE state IN ('QUEUED', 'RUNNING')",
            "CREATE INDEX import_job_age ON import_job (finished_at) WHERE finished_at IS NOT NULL",
        ),
        Sql(
            """
            CREATE TABLE import_reject (
                id {uuid} PRIMARY KEY,
                customer_id {uuid} NOT NULL,
                job_id {uuid} NOT NULL REFERENCES import_job (id),
                line_number BIGINT NOT NULL CHECK (line_number >= 1),
                column_name VARCHAR(255),
                code VARCHAR(32) NOT NULL CHECK (
                    code IN ('INVALID', 'SCIENTIFIC_NOTATION', 'MALFORMED', 'DUPLICATE_KEY', 'DUPLICATE_ADDRESS')
                ),
                message TEXT NOT NULL,
                row_text TEXT NOT NULL,
                recorded_at {instant} NOT NULL
            )
            """,
            # a line is rejected once
            "CREATE UNIQUE INDEX import_reject_line ON import_reject (job_id, line_number)",
            "CREATE INDEX import_reject_page ON import_reject (job_id, recorded_at, id)",
        ),
    ]
