"""The tables: their state for Tortoise, and the SQL that creates them on both databases.

Each key of a customer's row begins with the customer, so that the tables can be distributed by it. Tortoise knows one
column of a key only; the SQL has the whole key.
"""

from uuid import uuid4

from orjson import loads
from tortoise import fields
from tortoise.fields.base import OnDelete
from tortoise.fields.data import JSON_DUMPS

from app.db.operations import Sql, SqlMigration, StateOnly

TARGET_EVENT = """
    CREATE TABLE target_event (
        seq {serial},
        epoch INTEGER NOT NULL,
        tx BIGINT NOT NULL,
        customer_id {uuid} NOT NULL,
        outdial_id {uuid} NOT NULL,
        target_id {uuid},
        type VARCHAR(16) NOT NULL,
        occurred_at {instant} NOT NULL,
        count INTEGER NOT NULL,
        status VARCHAR(16),
        previous_status VARCHAR(16),
        done_reason VARCHAR(16),
        try_counts {json} NOT NULL,
        next_try_at {instant},
        version INTEGER,
        destination_index SMALLINT,
        attempt_id {uuid},
        disposition VARCHAR(32)
    )
"""


class Migration(SqlMigration):
    initial = True

    operations = [
        StateOnly(
            name="Customer",
            fields=[
                ("customer_id", fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ("epoch", fields.IntField(default=1)),
                ("node", fields.CharField(default="", max_length=32)),
                ("suppressions_version", fields.IntField(default=0)),
                ("result_codes_version", fields.IntField(default=0)),
            ],
            options={"table": "customer", "app": "outdial", "pk_attr": "customer_id"},
            bases=["Model"],
        ),
        StateOnly(
            name="RateLimit",
            fields=[
                ("customer_id", fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ("points", fields.BigIntField()),
                ("filled_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={"table": "rate_limit", "app": "outdial", "pk_attr": "customer_id"},
            bases=["Model"],
        ),
        StateOnly(
            name="EventEpoch",
            fields=[
                ("customer_id", fields.UUIDField()),
                ("epoch", fields.IntField(primary_key=True, generated=False, unique=True, db_index=True)),
                ("last_tx", fields.BigIntField()),
                ("closed_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={"table": "event_epoch", "app": "outdial", "pk_attr": "epoch"},
            bases=["Model"],
        ),
        StateOnly(
            name="IdempotencyKey",
            fields=[
                ("customer_id", fields.UUIDField()),
                ("mutation", fields.CharField(max_length=32)),
                ("key", fields.CharField(primary_key=True, max_length=255, unique=True, db_index=True)),
                ("input_hash", fields.CharField(max_length=64)),
                ("answer", fields.JSONField(null=True, encoder=JSON_DUMPS, decoder=loads)),
                ("tm_create", fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={"table": "idempotency_key", "app": "outdial", "pk_attr": "key"},
            bases=["Model"],
        ),
        StateOnly(
            name="Outdial",
            fields=[
                ("id", fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ("customer_id", fields.UUIDField()),
                ("campaign_id", fields.UUIDField(null=True)),
                ("name", fields.CharField(max_length=255)),
                ("detail", fields.TextField(unique=False)),
                ("data", fields.TextField(unique=False)),
                ("state", fields.CharField(max_length=16)),
                ("max_try_counts", fields.JSONField(encoder=JSON_DUMPS, decoder=loads)),
                ("retry_interval_seconds", fields.IntField()),
                ("lease_seconds", fields.IntField()),
                ("on_unconfirmed", fields.CharField(max_length=16)),
                ("calling_hours", fields.JSONField(null=True, encoder=JSON_DUMPS, decoder=loads)),
                ("policy_version", fields.IntField(default=1)),
                ("caps", fields.JSONField(default=list, encoder=JSON_DUMPS, decoder=loads)),
                ("on_unknown_time_zone", fields.CharField(default="SKIP", max_length=16)),
                ("keep_order", fields.SmallIntField(default=0)),
                ("has_reserved", fields.SmallIntField(default=0)),
                ("sorted_to", fields.UUIDField(null=True)),
                ("retry_rules", fields.JSONField(default=list, encoder=JSON_DUMPS, decoder=loads)),
                ("pacing", fields.JSONField(null=True, encoder=JSON_DUMPS, decoder=loads)),
                ("starts_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("ends_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("is_broken", fields.SmallIntField(default=0)),
                ("time_zone", fields.CharField(null=True, max_length=64)),
                ("exhausted_to", fields.UUIDField(null=True)),
                ("pruned_epoch", fields.IntField(default=0)),
                ("pruned_tx", fields.BigIntField(default=0)),
                ("pruned_seq", fields.BigIntField(default=0)),
                ("tm_create", fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ("tm_update", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("tm_delete", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
            ],
            options={"table": "outdial", "app": "outdial", "pk_attr": "id"},
            bases=["Model"],
        ),
        StateOnly(
            name="OutdialCounter",
            fields=[
                ("customer_id", fields.UUIDField()),
                ("outdial_id", fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ("slot", fields.SmallIntField()),
                ("idle", fields.BigIntField(default=0)),
                ("progressing", fields.BigIntField(default=0)),
                ("answered", fields.BigIntField(default=0)),
                ("exhausted", fields.BigIntField(default=0)),
                ("do_not_call", fields.BigIntField(default=0)),
                ("canceled", fields.BigIntField(default=0)),
                ("unconfirmed", fields.BigIntField(default=0)),
                ("finished", fields.BigIntField(default=0)),
                ("attempts", fields.BigIntField(default=0)),
            ],
            options={"table": "outdial_counter", "app": "outdial", "pk_attr": "outdial_id"},
            bases=["Model"],
        ),
        StateOnly(
            name="OutdialEvent",
            fields=[
                ("seq", fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ("epoch", fields.IntField()),
                ("tx", fields.BigIntField()),
                ("customer_id", fields.UUIDField()),
                ("outdial_id", fields.UUIDField()),
                ("type", fields.CharField(max_length=16)),
                ("occurred_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={"table": "outdial_event", "app": "outdial", "pk_attr": "seq"},
            bases=["Model"],
        ),
        StateOnly(
            name="OutdialBreaker",
            fields=[
                ("customer_id", fields.UUIDField()),
                ("outdial_id", fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ("state", fields.CharField(max_length=16)),
                ("opened_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("paused_until_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("probe_attempt_id", fields.UUIDField(null=True)),
                ("counts_from_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ("buckets", fields.JSONField(default=list, encoder=JSON_DUMPS, decoder=loads)),
                ("epoch", fields.IntField()),
                ("tx", fields.BigIntField()),
                ("seq", fields.BigIntField()),
                ("judged_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ("settles_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("is_watched", fields.SmallIntField(default=1)),
            ],
            options={"table": "outdial_breaker", "app": "outdial", "pk_attr": "outdial_id"},
            bases=["Model"],
        ),
        StateOnly(
            name="OutdialZone",
            fields=[
                ("customer_id", fields.UUIDField()),
                ("outdial_id", fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ("kind", fields.CharField(max_length=8)),
                ("number", fields.SmallIntField()),
                ("value", fields.TextField(unique=False)),
            ],
            options={"table": "outdial_zone", "app": "outdial", "pk_attr": "outdial_id"},
            bases=["Model"],
        ),
        StateOnly(
            name="Target",
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
                ("key", fields.CharField(null=True, max_length=255)),
                ("name", fields.CharField(max_length=255)),
                ("detail", fields.TextField(unique=False)),
                ("data", fields.TextField(unique=False)),
                ("status", fields.CharField(max_length=16)),
                ("done_reason", fields.CharField(null=True, max_length=16)),
                ("priority", fields.SmallIntField()),
                ("rank", fields.SmallIntField()),
                ("time_zone", fields.CharField(null=True, max_length=64)),
                ("max_try_counts", fields.JSONField(null=True, encoder=JSON_DUMPS, decoder=loads)),
                ("destination_0", fields.JSONField(null=True, encoder=JSON_DUMPS, decoder=loads)),
                ("destination_1", fields.JSONField(null=True, encoder=JSON_DUMPS, decoder=loads)),
                ("destination_2", fields.JSONField(null=True, encoder=JSON_DUMPS, decoder=loads)),
                ("destination_3", fields.JSONField(null=True, encoder=JSON_DUMPS, decoder=loads)),
                ("destination_4", fields.JSONField(null=True, encoder=JSON_DUMPS, decoder=loads)),
                ("try_count_0", fields.SmallIntField(default=0)),
                ("try_count_1", fields.SmallIntField(default=0)),
                ("try_count_2", fields.SmallIntField(default=0)),
                ("try_count_3", fields.SmallIntField(default=0)),
                ("try_count_4", fields.SmallIntField(default=0)),
                ("invalid_mask", fields.SmallIntField(default=0)),
                ("first_index", fields.SmallIntField(default=0)),
                ("zones", fields.BigIntField(default=0)),
                ("zone_group", fields.SmallIntField(default=0)),
                ("next_try_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("wakes_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("callback", fields.JSONField(null=True, encoder=JSON_DUMPS, decoder=loads)),
                ("callback_mask", fields.SmallIntField(null=True)),
                ("callback_check_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("last_attempt_id", fields.UUIDField(null=True)),
                ("last_index", fields.SmallIntField(null=True)),
                ("version", fields.IntField(default=1)),
                ("tm_create", fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ("tm_update", fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ("tm_delete", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
            ],
            options={"table": "target", "app": "outdial", "pk_attr": "id"},
            bases=["Model"],
        ),
        StateOnly(
            name="Attempt",
            fields=[
                ("id", fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ("customer_id", fields.UUIDField()),
                ("outdial_id", fields.UUIDField()),
                (
                    "target",
                    fields.ForeignKeyField(
                        "outdial.Target",
                        source_field="target_id",
                        db_constraint=True,
                        to_field="id",
                        on_delete=OnDelete.RESTRICT,
                    ),
                ),
                ("destination_index", fields.SmallIntField()),
                ("destination", fields.JSONField(encoder=JSON_DUMPS, decoder=loads)),
                ("try_number", fields.SmallIntField()),
                ("state", fields.CharField(max_length=16)),
                ("disposition", fields.CharField(null=True, max_length=32)),
                ("code", fields.CharField(null=True, max_length=64)),
                ("is_right_party", fields.SmallIntField(null=True)),
                ("is_conversion", fields.SmallIntField(null=True)),
                ("detail", fields.TextField(default="", unique=False)),
                ("dialer", fields.CharField(null=True, max_length=255)),
                ("call_id", fields.CharField(null=True, max_length=255)),
                ("lease_seconds", fields.IntField()),
                ("expires_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("claimed_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ("dialed_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("ended_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("ring_seconds", fields.IntField(null=True)),
                ("talk_seconds", fields.IntField(null=True)),
                ("permit", fields.JSONField(null=True, encoder=JSON_DUMPS, decoder=loads)),
            ],
            options={"table": "attempt", "app": "outdial", "pk_attr": "id"},
            bases=["Model"],
        ),
        StateOnly(
            name="TargetEvent",
            fields=[
                ("seq", fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ("epoch", fields.IntField()),
                ("tx", fields.BigIntField()),
                ("customer_id", fields.UUIDField()),
                ("outdial_id", fields.UUIDField()),
                ("target_id", fields.UUIDField(null=True)),
                ("type", fields.CharField(max_length=16)),
                ("occurred_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ("count", fields.IntField()),
                ("status", fields.CharField(null=True, max_length=16)),
                ("previous_status", fields.CharField(null=True, max_length=16)),
                ("done_reason", fields.CharField(null=True, max_length=16)),
                ("try_counts", fields.JSONField(encoder=JSON_DUMPS, decoder=loads)),
                ("next_try_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("version", fields.IntField(null=True)),
                ("destination_index", fields.SmallIntField(null=True)),
                ("attempt_id", fields.UUIDField(null=True)),
                ("disposition", fields.CharField(null=True, max_length=32)),
            ],
            options={"table": "target_event", "app": "outdial", "pk_attr": "seq"},
            bases=["Model"],
        ),
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
                ("rows_suppressed", fields.BigIntField(default=0)),
                ("checkpoint_line", fields.BigIntField(default=0)),
                ("checkpoint_digest", fields.CharField(default="", max_length=64)),
                ("warnings", fields.JSONField(encoder=JSON_DUMPS, decoder=loads)),
                ("is_ndjson", fields.SmallIntField(default=0)),
                ("column_names", fields.JSONField(null=True, encoder=JSON_DUMPS, decoder=loads)),
                ("delimiter", fields.CharField(null=True, max_length=1)),
                ("kept_characters", fields.BigIntField(default=0)),
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
                ("whole_text", fields.TextField(null=True, unique=False)),
                ("is_whole", fields.SmallIntField(default=1)),
                ("recorded_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={"table": "import_reject", "app": "outdial", "pk_attr": "id"},
            bases=["Model"],
        ),
        StateOnly(
            name="Suppression",
            fields=[
                ("id", fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ("customer_id", fields.UUIDField()),
                ("type", fields.CharField(max_length=16)),
                ("space", fields.CharField(max_length=16)),
                ("address", fields.CharField(max_length=255)),
                ("reason", fields.CharField(max_length=255)),
                ("source", fields.CharField(max_length=16)),
                ("expires_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("is_pending", fields.SmallIntField(default=0)),
                ("tm_create", fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={"table": "suppression", "app": "outdial", "pk_attr": "id"},
            bases=["Model"],
        ),
        StateOnly(
            name="ResultCode",
            fields=[
                ("customer_id", fields.UUIDField()),
                ("code", fields.CharField(primary_key=True, max_length=64, unique=True, db_index=True)),
                ("label", fields.CharField(max_length=255)),
                ("disposition", fields.CharField(max_length=32)),
                ("is_right_party", fields.SmallIntField()),
                ("is_conversion", fields.SmallIntField()),
                ("is_retired", fields.SmallIntField()),
                ("place", fields.SmallIntField()),
            ],
            options={"table": "result_code", "app": "outdial", "pk_attr": "code"},
            bases=["Model"],
        ),
        StateOnly(
            name="StatsCell",
            fields=[
                ("customer_id", fields.UUIDField()),
                ("scope_id", fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ("facet", fields.CharField(max_length=16)),
                ("minutes", fields.SmallIntField()),
                ("begins_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ("value", fields.CharField(max_length=255)),
                ("figures", fields.TextField(unique=False)),
            ],
            options={"table": "stats_cell", "app": "outdial", "pk_attr": "scope_id"},
            bases=["Model"],
        ),
        StateOnly(
            name="StatsPlace",
            fields=[
                ("customer_id", fields.UUIDField()),
                ("outdial_id", fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ("epoch", fields.IntField()),
                ("tx", fields.BigIntField()),
                ("seq", fields.BigIntField()),
                ("filled_to_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
            ],
            options={"table": "stats_place", "app": "outdial", "pk_attr": "outdial_id"},
            bases=["Model"],
        ),
        Sql(
            """
            CREATE TABLE customer (
                customer_id {uuid} NOT NULL PRIMARY KEY,
                epoch INTEGER NOT NULL DEFAULT 1,
                node VARCHAR(32) NOT NULL DEFAULT '',
                suppressions_version INTEGER NOT NULL DEFAULT 0,
                result_codes_version INTEGER NOT NULL DEFAULT 0
            )
            """,
            # of customers without data too: they may read
            """
            CREATE TABLE rate_limit (
                customer_id {uuid} NOT NULL PRIMARY KEY,
                points BIGINT NOT NULL,
                filled_at {instant} NOT NULL
            )
            """,
        ),
        Sql(
            """
            CREATE TABLE outdial (
                customer_id {uuid} NOT NULL,
                id {uuid} NOT NULL,
                campaign_id {uuid},
                name VARCHAR(255) NOT NULL,
                detail TEXT NOT NULL,
                data TEXT NOT NULL,
                state VARCHAR(16) NOT NULL CHECK (state IN ('ACTIVE', 'PAUSED')),
                max_try_counts {json} NOT NULL,
                retry_interval_seconds INTEGER NOT NULL CHECK (retry_interval_seconds BETWEEN 0 AND 2592000),
                lease_seconds INTEGER NOT NULL CHECK (lease_seconds BETWEEN 5 AND 86400),
                on_unconfirmed VARCHAR(16) NOT NULL CHECK (on_unconfirmed IN ('RETRY', 'FINISH')),
                calling_hours {json},
                policy_version INTEGER NOT NULL DEFAULT 1,
                caps {json} NOT NULL DEFAULT '[]',
                on_unknown_time_zone VARCHAR(16) NOT NULL DEFAULT 'SKIP'
                    CHECK (on_unknown_time_zone IN ('SKIP', 'USE_OUTDIAL')),
                keep_order SMALLINT NOT NULL DEFAULT 0 CHECK (keep_order IN (0, 1)),
                has_reserved SMALLINT NOT NULL DEFAULT 0 CHECK (has_reserved IN (0, 1)),
                sorted_to {uuid},
                retry_rules {json} NOT NULL DEFAULT '[]',
                pacing {json},
                starts_at {instant},
                ends_at {instant},
                is_broken SMALLINT NOT NULL DEFAULT 0 CHECK (is_broken IN (0, 1)),
                time_zone VARCHAR(64),
                exhausted_to {uuid},
                pruned_epoch INTEGER NOT NULL DEFAULT 0,
                pruned_tx BIGINT NOT NULL DEFAULT 0,
                pruned_seq BIGINT NOT NULL DEFAULT 0,
                tm_create {instant} NOT NULL,
                tm_update {instant},
                tm_delete {instant},
                PRIMARY KEY (customer_id, id),
                FOREIGN KEY (customer_id) REFERENCES customer (customer_id)
            )
            """,
            # the list of outdials, whole and by campaign
            "CREATE INDEX outdial_page ON outdial (customer_id, tm_create, id) WHERE tm_delete IS NULL",
            """
            CREATE INDEX outdial_campaign ON outdial (customer_id, campaign_id, tm_create, id)
                WHERE tm_delete IS NULL
            """,
            # outdials that housekeeping still has to search
            "CREATE INDEX outdial_exhausting ON outdial (id) WHERE exhausted_to IS NOT NULL",
            # likewise those whose targets it still has to sort by their time zones
            "CREATE INDEX outdial_sorting ON outdial (id) WHERE sorted_to IS NOT NULL",
        ),
        Sql(
            """
            CREATE TABLE outdial_counter (
                customer_id {uuid} NOT NULL,
                outdial_id {uuid} NOT NULL,
                slot SMALLINT NOT NULL,
                idle BIGINT NOT NULL DEFAULT 0,
                progressing BIGINT NOT NULL DEFAULT 0,
                answered BIGINT NOT NULL DEFAULT 0,
                exhausted BIGINT NOT NULL DEFAULT 0,
                do_not_call BIGINT NOT NULL DEFAULT 0,
                canceled BIGINT NOT NULL DEFAULT 0,
                unconfirmed BIGINT NOT NULL DEFAULT 0,
                finished BIGINT NOT NULL DEFAULT 0,
                attempts BIGINT NOT NULL DEFAULT 0,
                PRIMARY KEY (customer_id, outdial_id, slot),
                FOREIGN KEY (customer_id, outdial_id) REFERENCES outdial (customer_id, id)
            )
            """,
        ),
        Sql(
            """
            CREATE TABLE outdial_breaker (
                customer_id {uuid} NOT NULL,
                outdial_id {uuid} NOT NULL,
                state VARCHAR(16) NOT NULL CHECK (state IN ('CLOSED', 'OPEN', 'PROBING')),
                opened_at {instant},
                paused_until_at {instant},
                probe_attempt_id {uuid},
                counts_from_at {instant} NOT NULL,
                buckets {json} NOT NULL DEFAULT '[]',
                epoch INTEGER NOT NULL,
                tx BIGINT NOT NULL,
                seq BIGINT NOT NULL,
                judged_at {instant} NOT NULL,
                settles_at {instant},
                is_watched SMALLINT NOT NULL DEFAULT 1 CHECK (is_watched IN (0, 1)),
                CONSTRAINT outdial_breaker_opened CHECK ((state = 'CLOSED') = (opened_at IS NULL)),
                CONSTRAINT outdial_breaker_pauses CHECK ((state = 'OPEN') = (paused_until_at IS NOT NULL)),
                CONSTRAINT outdial_breaker_probes CHECK ((state = 'PROBING') = (probe_attempt_id IS NOT NULL)),
                PRIMARY KEY (customer_id, outdial_id),
                FOREIGN KEY (customer_id, outdial_id) REFERENCES outdial (customer_id, id)
            )
            """,
            # those that housekeeping judges
            """
            CREATE INDEX outdial_breaker_watched ON outdial_breaker (customer_id, outdial_id) WHERE is_watched = 1
            """,
        ),
        Sql(
            """
            CREATE TABLE outdial_zone (
                customer_id {uuid} NOT NULL,
                outdial_id {uuid} NOT NULL,
                kind VARCHAR(8) NOT NULL CHECK (kind IN ('ZONE', 'GROUP')),
                number SMALLINT NOT NULL CHECK (number BETWEEN 1 AND 4095),
                value TEXT NOT NULL,
                PRIMARY KEY (customer_id, outdial_id, kind, number),
                FOREIGN KEY (customer_id, outdial_id) REFERENCES outdial (customer_id, id)
            )
            """,
        ),
        Sql(
            """
            CREATE TABLE target (
                customer_id {uuid} NOT NULL,
                id {uuid} NOT NULL,
                outdial_id {uuid} NOT NULL,
                key VARCHAR(255),
                name VARCHAR(255) NOT NULL,
                detail TEXT NOT NULL,
                data TEXT NOT NULL,
                status VARCHAR(16) NOT NULL CHECK (status IN ('IDLE', 'PROGRESSING', 'DONE')),
                done_reason VARCHAR(16) CHECK (
                    done_reason IN ('ANSWERED', 'EXHAUSTED', 'DO_NOT_CALL', 'CANCELED', 'UNCONFIRMED', 'FINISHED')
                ),
                priority SMALLINT NOT NULL CHECK (priority BETWEEN 0 AND 9),
                rank SMALLINT NOT NULL,
                time_zone VARCHAR(64),
                max_try_counts {json},
                destination_0 {json},
                destination_1 {json},
                destination_2 {json},
                destination_3 {json},
                destination_4 {json},
                try_count_0 SMALLINT NOT NULL DEFAULT 0 CHECK (try_count_0 >= 0),
                try_count_1 SMALLINT NOT NULL DEFAULT 0 CHECK (try_count_1 >= 0),
                try_count_2 SMALLINT NOT NULL DEFAULT 0 CHECK (try_count_2 >= 0),
                try_count_3 SMALLINT NOT NULL DEFAULT 0 CHECK (try_count_3 >= 0),
                try_count_4 SMALLINT NOT NULL DEFAULT 0 CHECK (try_count_4 >= 0),
                invalid_mask SMALLINT NOT NULL DEFAULT 0 CHECK (invalid_mask BETWEEN 0 AND 31),
                first_index SMALLINT NOT NULL DEFAULT 0 CHECK (first_index BETWEEN 0 AND 4),
                zones BIGINT NOT NULL DEFAULT 0,
                zone_group SMALLINT NOT NULL DEFAULT 0,
                next_try_at {instant},
                wakes_at {instant},
                callback {json},
                callback_mask SMALLINT CHECK (callback_mask BETWEEN 0 AND 31),
                callback_check_at {instant},
                last_attempt_id {uuid},
                last_index SMALLINT,
                version INTEGER NOT NULL DEFAULT 1 CHECK (version >= 1),
                tm_create {instant} NOT NULL,
                tm_update {instant} NOT NULL,
                tm_delete {instant},
                CONSTRAINT target_has_destination CHECK (
                    destination_0 IS NOT NULL OR destination_1 IS NOT NULL OR destination_2 IS NOT NULL
                    OR destination_3 IS NOT NULL OR destination_4 IS NOT NULL
                ),
                CONSTRAINT target_done_has_reason CHECK ((status = 'DONE') = (done_reason IS NOT NULL)),
                CONSTRAINT target_idle_has_due_time CHECK ((status = 'IDLE') = (next_try_at IS NOT NULL)),
                CONSTRAINT target_progressing_has_attempt CHECK (
                    status <> 'PROGRESSING' OR last_attempt_id IS NOT NULL
                ),
                CONSTRAINT target_rank_is_priority CHECK (rank = priority OR callback IS NOT NULL),
                CONSTRAINT target_callback_has_rank CHECK (rank IN (-1, 10) OR callback IS NULL),
                CONSTRAINT target_callback_has_mask CHECK ((callback IS NULL) = (callback_mask IS NULL)),
                CONSTRAINT target_only_reserved_is_checked CHECK (rank = -1 OR callback_check_at IS NULL),
                CONSTRAINT target_callback_is_ahead CHECK (callback IS NULL OR status <> 'DONE'),
                PRIMARY KEY (customer_id, id),
                FOREIGN KEY (customer_id, outdial_id) REFERENCES outdial (customer_id, id)
            )
            """,
            # claims: one range of due targets for each rank
            """
            CREATE INDEX target_due ON target (outdial_id, rank, COALESCE(wakes_at, next_try_at), id)
                WHERE status = 'IDLE' AND tm_delete IS NULL
            """,
            # likewise for each group of time zones, so that targets that sleep hold up none that is awake
            """
            CREATE INDEX target_due_awake
                ON target (outdial_id, (zone_group * 16 + rank), COALESCE(wakes_at, next_try_at), id)
                WHERE status = 'IDLE' AND tm_delete IS NULL AND zone_group > 0
            """,
            # callbacks that are kept for one dialer, for its claims, and for what begins and ends their windows
            """
            CREATE INDEX target_reserved
                ON target (outdial_id, (callback ->> 'dialer'), COALESCE(wakes_at, next_try_at), id)
                WHERE callback_check_at IS NOT NULL AND status = 'IDLE' AND tm_delete IS NULL
            """,
            """
            CREATE INDEX target_reserved_check ON target (callback_check_at)
                WHERE rank = -1 AND status = 'IDLE' AND tm_delete IS NULL
            """,
            # pages, whole, by status and by reason; by status also the search after limits were lowered
            "CREATE INDEX target_page ON target (outdial_id, tm_create, id) WHERE tm_delete IS NULL",
            "CREATE INDEX target_page_status ON target (outdial_id, status, tm_create, id) WHERE tm_delete IS NULL",
            """
            CREATE INDEX target_page_reason ON target (outdial_id, done_reason, tm_create, id)
                WHERE status = 'DONE' AND tm_delete IS NULL
            """,
            """
            CREATE INDEX target_page_callback ON target (outdial_id, tm_create, id)
                WHERE callback IS NOT NULL AND tm_delete IS NULL
            """,
            # keys, free again once their target is deleted
            """
            CREATE UNIQUE INDEX target_key ON target (customer_id, outdial_id, key)
                WHERE key IS NOT NULL AND tm_delete IS NULL
            """,
            # a target by an address in any of its five places
            *(
                f"""
                CREATE INDEX target_address_{index} ON target (customer_id, (destination_{index} ->> 'target'))
                    WHERE destination_{index} IS NOT NULL AND tm_delete IS NULL
                """
                for index in range(5)
            ),
        ),
        # Room in each page of rows for the next version of its rows: a start then writes no index at all.
        Sql("ALTER TABLE target SET (fillfactor = 60)", dialect="postgres"),
        Sql(
            """
            CREATE TABLE attempt (
                customer_id {uuid} NOT NULL,
                id {uuid} NOT NULL,
                outdial_id {uuid} NOT NULL,
                target_id {uuid} NOT NULL,
                destination_index SMALLINT NOT NULL CHECK (destination_index BETWEEN 0 AND 4),
                destination {json} NOT NULL,
                try_number SMALLINT NOT NULL CHECK (try_number >= 1),
                state VARCHAR(16) NOT NULL CHECK (
                    state IN ('CLAIMED', 'DIALING', 'COMPLETED', 'RELEASED', 'EXPIRED', 'UNCONFIRMED', 'REVOKED')
                ),
                disposition VARCHAR(32),
                code VARCHAR(64),
                is_right_party SMALLINT CHECK (is_right_party IN (0, 1)),
                is_conversion SMALLINT CHECK (is_conversion IN (0, 1)),
                detail TEXT NOT NULL DEFAULT '',
                dialer VARCHAR(255),
                call_id VARCHAR(255),
                lease_seconds INTEGER NOT NULL,
                expires_at {instant},
                claimed_at {instant} NOT NULL,
                dialed_at {instant},
                ended_at {instant},
                ring_seconds INTEGER CHECK (ring_seconds BETWEEN 0 AND 86400),
                talk_seconds INTEGER CHECK (talk_seconds BETWEEN 0 AND 86400),
                permit {json},
                CONSTRAINT attempt_lease_while_live CHECK (
                    (state IN ('CLAIMED', 'DIALING')) = (expires_at IS NOT NULL)
                ),
                CONSTRAINT attempt_ends_once CHECK ((expires_at IS NULL) = (ended_at IS NOT NULL)),
                CONSTRAINT attempt_completed_has_disposition CHECK (
                    (state = 'COMPLETED') = (disposition IS NOT NULL)
                ),
                CONSTRAINT attempt_code_is_of_a_result CHECK (
                    (code IS NULL OR disposition IS NOT NULL)
                    AND (code IS NULL) = (is_right_party IS NULL) AND (code IS NULL) = (is_conversion IS NULL)
                ),
                CONSTRAINT attempt_seconds_are_of_a_result CHECK (
                    disposition IS NOT NULL OR (ring_seconds IS NULL AND talk_seconds IS NULL)
                ),
                PRIMARY KEY (customer_id, id),
                FOREIGN KEY (customer_id, target_id) REFERENCES target (customer_id, id)
            )
            """,
            # nobody is dialed twice at once: the database itself ensures it
            """
            CREATE UNIQUE INDEX attempt_one_live_per_target ON attempt (customer_id, target_id)
                WHERE state IN ('CLAIMED', 'DIALING')
            """,
            # expired leases, and pages of attempts in progress: these are few, and are sorted
            """
            CREATE INDEX attempt_live ON attempt (customer_id, state, expires_at)
                WHERE state IN ('CLAIMED', 'DIALING')
            """,
            # how often an address was tried, for caps
            """
            CREATE INDEX attempt_address ON attempt (customer_id, (destination ->> 'target'), claimed_at)
            """,
            # pages of a target and of an outdial, whole and by each filter
            "CREATE INDEX attempt_page_target ON attempt (target_id, claimed_at, id)",
            "CREATE INDEX attempt_page ON attempt (outdial_id, claimed_at, id)",
            """
            CREATE INDEX attempt_page_state ON attempt (outdial_id, state, claimed_at, id)
                WHERE ended_at IS NOT NULL
            """,
            """
            CREATE INDEX attempt_page_disposition ON attempt (outdial_id, disposition, claimed_at, id)
                WHERE disposition IS NOT NULL
            """,
            """
            CREATE INDEX attempt_page_dialer ON attempt (outdial_id, dialer, claimed_at, id)
                WHERE dialer IS NOT NULL
            """,
            "CREATE INDEX attempt_page_call ON attempt (outdial_id, call_id, claimed_at, id) WHERE call_id IS NOT NULL",
            "CREATE INDEX attempt_page_code ON attempt (outdial_id, code, claimed_at, id) WHERE code IS NOT NULL",
        ),
        Sql(
            """
            CREATE TABLE outdial_event (
                seq {serial},
                epoch INTEGER NOT NULL,
                tx BIGINT NOT NULL,
                customer_id {uuid} NOT NULL,
                outdial_id {uuid} NOT NULL,
                type VARCHAR(16) NOT NULL,
                occurred_at {instant} NOT NULL
            )
            """,
            "CREATE INDEX outdial_event_age ON outdial_event (customer_id, occurred_at)",
            """
            CREATE TABLE event_epoch (
                customer_id {uuid} NOT NULL REFERENCES customer (customer_id),
                epoch INTEGER NOT NULL,
                last_tx BIGINT NOT NULL,
                closed_at {instant} NOT NULL,
                PRIMARY KEY (customer_id, epoch)
            )
            """,
        ),
        # SQLite numbers rows without repeats only if the number alone is the key
        Sql(
            # Dropped whole when they are old. Housekeeping makes partitions ahead; the rest takes what has none.
            f"{TARGET_EVENT} PARTITION BY RANGE (occurred_at)",
            "ALTER TABLE target_event ADD PRIMARY KEY (customer_id, outdial_id, epoch, tx, seq, occurred_at)",
            "CREATE TABLE target_event_rest PARTITION OF target_event DEFAULT",
            "CREATE INDEX target_event_rest_age ON target_event_rest (customer_id, occurred_at)",
            "ALTER TABLE outdial_event ADD PRIMARY KEY (customer_id, epoch, tx, seq)",
            dialect="postgres",
        ),
        Sql(
            TARGET_EVENT,
            "CREATE INDEX target_event_tail ON target_event (outdial_id, epoch, tx, seq)",
            "CREATE INDEX target_event_age ON target_event (customer_id, occurred_at)",
            "CREATE INDEX outdial_event_tail ON outdial_event (customer_id, epoch, tx, seq)",
            dialect="sqlite",
        ),
        Sql(
            """
            CREATE TABLE idempotency_key (
                customer_id {uuid} NOT NULL,
                mutation VARCHAR(32) NOT NULL,
                key VARCHAR(255) NOT NULL,
                input_hash VARCHAR(64) NOT NULL,
                answer {json},
                tm_create {instant} NOT NULL,
                PRIMARY KEY (customer_id, mutation, key)
            )
            """,
            "CREATE INDEX idempotency_key_age ON idempotency_key (tm_create)",
        ),
        Sql(
            """
            CREATE TABLE import_job (
                customer_id {uuid} NOT NULL,
                id {uuid} NOT NULL,
                outdial_id {uuid} NOT NULL,
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
                rows_suppressed BIGINT NOT NULL DEFAULT 0,
                checkpoint_line BIGINT NOT NULL DEFAULT 0,
                checkpoint_digest VARCHAR(64) NOT NULL DEFAULT '',
                warnings {json} NOT NULL,
                is_ndjson SMALLINT NOT NULL DEFAULT 0 CHECK (is_ndjson IN (0, 1)),
                column_names {json},
                delimiter VARCHAR(1),
                kept_characters BIGINT NOT NULL DEFAULT 0,
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
                ),
                PRIMARY KEY (customer_id, id),
                FOREIGN KEY (customer_id, outdial_id) REFERENCES outdial (customer_id, id)
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
                customer_id {uuid} NOT NULL,
                id {uuid} NOT NULL,
                job_id {uuid} NOT NULL,
                line_number BIGINT NOT NULL CHECK (line_number >= 1),
                column_name VARCHAR(255),
                code VARCHAR(32) NOT NULL CHECK (
                    code IN ('INVALID', 'SCIENTIFIC_NOTATION', 'MALFORMED', 'DUPLICATE_KEY', 'DUPLICATE_ADDRESS')
                ),
                message TEXT NOT NULL,
                row_text TEXT NOT NULL,
                whole_text TEXT,
                is_whole SMALLINT NOT NULL DEFAULT 1 CHECK (is_whole IN (0, 1)),
                recorded_at {instant} NOT NULL,
                PRIMARY KEY (customer_id, id),
                FOREIGN KEY (customer_id, job_id) REFERENCES import_job (customer_id, id)
            )
            """,
            # a line is rejected once
            "CREATE UNIQUE INDEX import_reject_line ON import_reject (customer_id, job_id, line_number)",
            "CREATE INDEX import_reject_page ON import_reject (job_id, recorded_at, id)",
        ),
        Sql(
            """
            CREATE TABLE suppression (
                customer_id {uuid} NOT NULL,
                id {uuid} NOT NULL,
                type VARCHAR(16) NOT NULL,
                space VARCHAR(16) NOT NULL,
                address VARCHAR(255) NOT NULL,
                reason VARCHAR(255) NOT NULL,
                source VARCHAR(16) NOT NULL CHECK (source IN ('OWNER', 'CALLEE', 'IMPORT')),
                expires_at {instant},
                is_pending SMALLINT NOT NULL DEFAULT 0 CHECK (is_pending IN (0, 1)),
                tm_create {instant} NOT NULL,
                PRIMARY KEY (customer_id, id),
                FOREIGN KEY (customer_id) REFERENCES customer (customer_id)
            )
            """,
            # an address is there once; each claim looks up here
            "CREATE UNIQUE INDEX suppression_address ON suppression (customer_id, address, space)",
            # pages, whole and by each filter
            "CREATE INDEX suppression_page ON suppression (customer_id, tm_create, id)",
            "CREATE INDEX suppression_page_source ON suppression (customer_id, source, tm_create, id)",
            """
            CREATE INDEX suppression_page_expiring ON suppression (customer_id, tm_create, id)
                WHERE expires_at IS NOT NULL
            """,
            # those whose targets housekeeping still has to finish
            "CREATE INDEX suppression_pending ON suppression (customer_id, id) WHERE is_pending = 1",
        ),
        Sql(
            """
            CREATE TABLE stats_cell (
                customer_id {uuid} NOT NULL REFERENCES customer (customer_id),
                scope_id {uuid} NOT NULL,
                facet VARCHAR(16) NOT NULL CHECK (
                    facet IN ('WHOLE', 'DESTINATION', 'DIALER', 'UNNAMED', 'OTHERS')
                ),
                minutes SMALLINT NOT NULL CHECK (minutes IN (1, 15, 60, 1440)),
                begins_at {instant} NOT NULL,
                value VARCHAR(255) NOT NULL,
                figures TEXT NOT NULL,
                PRIMARY KEY (customer_id, scope_id, facet, minutes, begins_at, value)
            )
            """,
            # those of all outdials in a span, to be summed, and those of minutes that are old enough to remove
            "CREATE INDEX stats_cell_time ON stats_cell (customer_id, minutes, begins_at)",
            """
            CREATE TABLE stats_place (
                customer_id {uuid} NOT NULL REFERENCES customer (customer_id),
                outdial_id {uuid} NOT NULL,
                epoch INTEGER NOT NULL,
                tx BIGINT NOT NULL,
                seq BIGINT NOT NULL,
                filled_to_at {instant},
                PRIMARY KEY (customer_id, outdial_id)
            )
            """,
        ),
        Sql(
            """
            CREATE TABLE result_code (
                customer_id {uuid} NOT NULL,
                code VARCHAR(64) NOT NULL CHECK (code <> ''),
                label VARCHAR(255) NOT NULL,
                disposition VARCHAR(32) NOT NULL,
                is_right_party SMALLINT NOT NULL CHECK (is_right_party IN (0, 1)),
                is_conversion SMALLINT NOT NULL CHECK (is_conversion IN (0, 1)),
                is_retired SMALLINT NOT NULL CHECK (is_retired IN (0, 1)),
                place SMALLINT NOT NULL CHECK (place >= 0),
                PRIMARY KEY (customer_id, code),
                FOREIGN KEY (customer_id) REFERENCES customer (customer_id)
            )
            """,
        ),
    ]
