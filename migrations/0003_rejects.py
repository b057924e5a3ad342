"""Stores rejected rows whole, with their file's format, so that they can be returned as a file."""

from orjson import loads
from tortoise import fields, migrations
from tortoise.fields.data import JSON_DUMPS

from app.db.migration import FieldStateOnly, Sql


class Migration(migrations.Migration):
    dependencies = [("outdial", "0002_imports")]

    initial = False

    operations = [
        FieldStateOnly("ImportJob", "is_ndjson", fields.SmallIntField(default=0)),
        FieldStateOnly("ImportJob", "column_names", fields.JSONField(null=True, encoder=JSON_DUMPS, decoder=loads)),
        FieldStateOnly("ImportJob", "delimiter", fields.CharField(null=True, max_length=1)),
        FieldStateOnly("ImportJob", "kept_characters", fields.BigIntField(default=0)),
        FieldStateOnly("ImportReject", "whole_text", fields.TextField(null=True, unique=False)),
        FieldStateOnly("ImportReject", "is_whole", fields.SmallIntField(default=1)),
        # Adding a column with a default does not rebuild the table on either database.
        Sql(
            "ALTER TABLE import_job ADD COLUMN is_ndjson SMALLINT NOT NULL DEFAULT 0 CHECK (is_ndjson IN (0, 1))",
            "ALTER TABLE import_job ADD COLUMN column_names {json}",
            "ALTER TABLE import_job ADD COLUMN delimiter VARCHAR(1)",
            "ALTER TABLE import_job ADD COLUMN kept_characters BIGINT NOT NULL DEFAULT 0",
            "ALTER TABLE import_reject ADD COLUMN whole_text TEXT",
            "ALTER TABLE import_reject ADD COLUMN is_whole SMALLINT NOT NULL DEFAULT 1 CHECK (is_whole IN (0, 1))",
        ),
    ]
