"""The tables: their state for Tortoise, and the SQL that creates them on both databases."""

from uuid import uuid4

from orjson import loads
from tortoise import fields, migrations
from tortoise.fields.base import OnDelete
from tortoise.fields.data import JSON_DUMPS

from app.db.migration import Sql, StateOnly


class Migration(migrations.Migration):
    initial = True

    operations = [
        StateOnly(
            name="EventEpoch",
            fields=[
                ("epoch", fields.IntField(primary_key=True, generated=False, unique=True, db_index=True)),
                ("database_oid", fields.BigIntField()),
                ("last_tx", fields.BigIntField(null=True)),
                ("opened_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={"table": "event_epoch", "app": "outdial", "pk_attr": "epoch"},
            bases=["Model"],
        ),
        StateOnly(
            name="IdempotencyKey",
            fields=[
                ("id", fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ("customer_id", fields.UUIDField()),
                ("mutation", fields.CharField(max_length=32)),
                ("key", fields.CharField(max_length=255)),
                ("input_hash", fields.CharField(max_length=64)),
                ("answer", fields.JSONField(null=True, encoder=JSON_DUMPS, decoder=loads)),
                ("tm_create", fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={"table": "idempotency_key", "app": "outdial", "pk_attr": "id"},
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
                ("id", fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
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
                ("slot", fields.SmallIntField()),
                ("idle", fields.BigIntField(default=0)),
                ("progressing", fields.BigIntField(default=0)),
                ("answered", fields.BigIntField(default=0)),
                ("exhausted", fields.BigIntField(default=0)),
                ("do_not_call", fields.BigIntField(default=0)),
                ("canceled", fields.BigIntField(default=0)),
                ("unconfirmed", fields.BigIntField(default=0)),
                ("attempts", fields.BigIntField(default=0)),
            ],
            options={"table": "outdial_counter", "app": "outdial", "pk_attr": "id"},
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
                ("next_try_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
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
                ("detail", fields.TextField(default="", unique=False)),
                ("dialer", fields.CharField(null=True, max_length=255)),
                ("call_id", fields.CharField(null=True, max_length=255)),
                ("lease_seconds", fields.IntField()),
                ("expires_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("claimed_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ("dialed_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("ended_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
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
        Sql(
            """
            CREATE TABLE outdial (
                id {uuid} PRIMARY KEY,
                customer_id {uuid} NOT NULL,
                campaign_id {uuid},
                name VARCHAR(255) NOT NULL,
                detail TEXT NOT NULL,
                data TEXT NOT NULL,
                state VARCHAR(16) NOT NULL CHECK (state IN ('ACTIVE', 'PAUSED')),
                max_try_counts {json} NOT NULL,
                retry_interval_seconds INTEGER NOT NULL CHECK (retry_interval_seconds BETWEEN 0 AND 2592000),
                lease_seconds INTEGER NOT NULL CHECK (lease_seconds BETWEEN 5 AND 86400),
                on_unconfirmed VARCHAR(16) NOT NULL CHECK (on_unconfirmed IN ('RETRY', 'FINISH')),
                exhausted_to {uuid},
                pruned_epoch INTEGER NOT NULL DEFAULT 0,
                pruned_tx BIGINT NOT NULL DEFAULT 0,
                pruned_seq BIGINT NOT NULL DEFAULT 0,
                tm_create {instant} NOT NULL,
                tm_update {instant},
                tm_delete {instant}
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
        ),
        Sql(
            """
            CREATE TABLE outdial_counter (
                id {serial},
                customer_id {uuid} NOT NULL,
                outdial_id {uuid} NOT NULL REFERENCES outdial (id),
                slot SMALLINT NOT NULL,
                idle BIGINT NOT NULL DEFAULT 0,
                progressing BIGINT NOT NULL DEFAULT 0,
                answered BIGINT NOT NULL DEFAULT 0,
                exhausted BIGINT NOT NULL DEFAULT 0,
                do_not_call BIGINT NOT NULL DEFAULT 0,
                canceled BIGINT NOT NULL DEFAULT 0,
                unconfirmed BIGINT NOT NULL DEFAULT 0,
                attempts BIGINT NOT NULL DEFAULT 0,
                UNIQUE (outdial_id, slot)
            )
            """,
        ),
        Sql(
            """
            CREATE TABLE target (
                id {uuid} PRIMARY KEY,
                customer_id {uuid} NOT NULL,
                outdial_id {uuid} NOT NULL REFERENCES outdial (id),
                key VARCHAR(255),
                name VARCHAR(255) NOT NULL,
                detail TEXT NOT NULL,
                data TEXT NOT NULL,
                status VARCHAR(16) NOT NULL CHECK (status IN ('IDLE', 'PROGRESSING', 'DONE')),
                done_reason VARCHAR(16)
                    CHECK (done_reason IN ('ANSWERED', 'EXHAUSTED', 'DO_NOT_CALL', 'CANCELED', 'UNCONFIRMED')),
                priority SMALLINT NOT NULL CHECK (priority BETWEEN 0 AND 9),
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
                next_try_at {instant},
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
                )
            )
            """,
            # claims: one range of due targets for each priority
            """
            CREATE INDEX target_due ON target (outdial_id, priority, next_try_at, id)
                WHERE status = 'IDLE' AND tm_delete IS NULL
            """,
            # pages, whole, by status and by reason
            "CREATE INDEX target_page ON target (outdial_id, tm_create, id) WHERE tm_delete IS NULL",
            "CREATE INDEX target_page_status ON target (outdial_id, status, tm_create, id) WHERE tm_delete IS NULL",
            """
            CREATE INDEX target_page_reason ON target (outdial_id, done_reason, tm_create, id)
                WHERE status = 'DONE' AND tm_delete IS NULL
            """,
            # keys, free again once their target is deleted
            """
            CREATE UNIQUE INDEX target_key ON target (outdial_id, key)
                WHERE key IS NOT NULL AND tm_delete IS NULL
            """,
            # idle targets in the order of their ids, for the search after limits were lowered
            "CREATE INDEX target_idle ON target (outdial_id, id) WHERE status = 'IDLE' AND tm_delete IS NULL",
            # a target by an address in any of its five places
            *(
                f"""
                CREATE INDEX target_address_{index} ON target (customer_id, (destination_{index} ->> 'target'))
                    WHERE destination_{index} IS NOT NULL AND tm_delete IS NULL
                """
                for index in range(5)
            ),
        ),
        Sql(
            """
            CREATE TABLE attempt (
                id {uuid} PRIMARY KEY,
                customer_id {uuid} NOT NULL,
                outdial_id {uuid} NOT NULL,
                target_id {uuid} NOT NULL REFERENCES target (id),
                destination_index SMALLINT NOT NULL CHECK (destination_index BETWEEN 0 AND 4),
                destination {json} NOT NULL,
                try_number SMALLINT NOT NULL CHECK (try_number >= 1),
                state VARCHAR(16) NOT NULL CHECK (
                    state IN ('CLAIMED', 'DIALING', 'COMPLETED', 'RELEASED', 'EXPIRED', 'UNCONFIRMED', 'REVOKED')
                ),
                disposition VARCHAR(32),
                detail TEXT NOT NULL DEFAULT '',
                dialer VARCHAR(255),
                call_id VARCHAR(255),
                lease_seconds INTEGER NOT NULL,
                expires_at {instant},
                claimed_at {instant} NOT NULL,
                dialed_at {instant},
                ended_at {instant},
                CONSTRAINT attempt_lease_while_live CHECK (
                    (state IN ('CLAIMED', 'DIALING')) = (expires_at IS NOT NULL)
                ),
                CONSTRAINT attempt_ends_once CHECK ((expires_at IS NULL) = (ended_at IS NOT NULL)),
                CONSTRAINT attempt_completed_has_disposition CHECK (
                    (state = 'COMPLETED') = (disposition IS NOT NULL)
                )
            )
            """,
            # nobody is dialed twice at once: the database itself ensures it
            """
            CREATE UNIQUE INDEX attempt_one_live_per_target ON attempt (target_id)
                WHERE state IN ('CLAIMED', 'DIALING')
            """,
            # expired leases
            "CREATE INDEX attempt_lease ON attempt (expires_at) WHERE state IN ('CLAIMED', 'DIALING')",
            # pages of a target and of an outdial, whole and by each filter
            "CREATE INDEX attempt_page_target ON attempt (target_id, claimed_at, id)",
            "CREATE INDEX attempt_page ON attempt (outdial_id, claimed_at, id)",
            "CREATE INDEX attempt_page_state ON attempt (outdial_id, state, claimed_at, id)",
            """
            CREATE INDEX attempt_page_disposition ON attempt (outdial_id, disposition, claimed_at, id)
                WHERE disposition IS NOT NULL
            """,
            """
            CREATE INDEX attempt_page_dialer ON attempt (outdial_id, dialer, claimed_at, id)
                WHERE dialer IS NOT NULL
            """,
            "CREATE INDEX attempt_page_call ON attempt (outdial_id, call_id, claimed_at, id) WHERE call_id IS NOT NULL",
        ),
        Sql(
            """
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
            """,
            "CREATE INDEX target_event_tail ON target_event (outdial_id, epoch, tx, seq)",
            "CREATE INDEX target_event_age ON target_event (occurred_at)",
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
            "CREATE INDEX outdial_event_tail ON outdial_event (customer_id, epoch, tx, seq)",
            "CREATE INDEX outdial_event_age ON outdial_event (occurred_at)",
            """
            CREATE TABLE event_epoch (
                epoch INTEGER PRIMARY KEY,
                database_oid BIGINT NOT NULL,
                last_tx BIGINT,
                opened_at {instant} NOT NULL
            )
            """,
            # a server opens the first real epoch, because 0 is not its database's number
            """
            INSERT INTO event_epoch (epoch, database_oid, opened_at)
                VALUES (1, 0, '2026-01-01 00:00:00.000000+00:00')
            """,
        ),
        Sql(
            """
            CREATE TABLE idempotency_key (
                id {uuid} PRIMARY KEY,
                customer_id {uuid} NOT NULL,
                mutation VARCHAR(32) NOT NULL,
                key VARCHAR(255) NOT NULL,
                input_hash VARCHAR(64) NOT NULL,
                answer {json},
                tm_create {instant} NOT NULL,
                UNIQUE (customer_id, mutation, key)
            )
            """,
            "CREATE INDEX idempotency_key_age ON idempotency_key (tm_create)",
        ),
    ]
