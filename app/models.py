"""The tables, as Tortoise knows them: columns and relations, no queries.

Indexes on expressions, partial indexes and check constraints are beyond what the models can say; they are in the
migrations, and a test compares both. Models have comments, not docstrings: Tortoise would take a docstring for a part
of the schema. Instants are named tm_… or …_at. Every tenant row carries its customer's id, and its key begins with it:
a model names only one column of that key, so every query of a model filters by the customer too.
"""

from tortoise import fields
from tortoise.models import Model


# The customers that have data here.
class Customer(Model):
    customer_id = fields.UUIDField(primary_key=True)
    epoch = fields.IntField(default=1)
    """Of the customer's log of events: see app.events."""
    node = fields.CharField(max_length=32, default="")
    """The database cluster in which the transaction ids of that epoch count."""
    suppressions_version = fields.IntField(default=0)
    """Grows whenever addresses are added to the customer's suppressions. 0 if none ever was."""
    result_codes_version = fields.IntField(default=0)
    """Grows with each change of the customer's result codes."""

    class Meta:
        table = "customer"


# What a customer may still ask for, in points: see app.rates. None has one that has asked for little since.
class RateLimit(Model):
    customer_id = fields.UUIDField(primary_key=True)
    points = fields.BigIntField()
    """Below 0 if it is overdrawn."""
    filled_at = fields.DatetimeField()
    """When it had those points."""

    class Meta:
        table = "rate_limit"


class Outdial(Model):
    id = fields.UUIDField(primary_key=True)
    customer_id = fields.UUIDField()
    campaign_id = fields.UUIDField(null=True)
    name = fields.CharField(max_length=255)
    detail = fields.TextField()
    data = fields.TextField()
    state = fields.CharField(max_length=16)
    max_try_counts = fields.JSONField[list[int]]()
    retry_interval_seconds = fields.IntField()
    lease_seconds = fields.IntField()
    on_unconfirmed = fields.CharField(max_length=16)
    calling_hours = fields.JSONField[dict[str, object]](null=True)
    """{"time_zone", "windows": [[weekday, from, to]], "exceptions": [[date, name, [[from, to]]]]}"""
    policy_version = fields.IntField(default=1)
    caps = fields.JSONField[list[dict[str, object]]](default=list)
    """{"tries", "window_seconds", "per", "over"}"""
    on_unknown_time_zone = fields.CharField(max_length=16, default="SKIP")
    keep_order = fields.SmallIntField(default=0)
    """1 if a closed destination holds up the next ones."""
    has_reserved = fields.SmallIntField(default=0)
    """1 once a callback was kept for one dialer: then claims look for those of their dialer."""
    sorted_to = fields.UUIDField(null=True)
    """How far the sorting of targets by their time zones has come, after hours were set. Null if there is none."""
    retry_rules = fields.JSONField[list[dict[str, object]]](default=list)
    """{"states", "dispositions", "codes", "destinations", "from_nth", "action", "wait_seconds", "jitter_percent"}"""
    pacing = fields.JSONField[dict[str, object]](null=True)
    """{"max_open_attempts", "claims_per_second", "breaker": {…}}"""
    starts_at = fields.DatetimeField(null=True)
    ends_at = fields.DatetimeField(null=True)
    is_broken = fields.SmallIntField(default=0)
    """1 while its breaker is not closed. Claims read it here, and the rest in `outdial_breaker` only then."""
    time_zone = fields.CharField(max_length=64, null=True)
    exhausted_to = fields.UUIDField(null=True)
    """How far the look at all idle targets has come, after limits or caps were changed. Null if there is none."""
    pruned_epoch = fields.IntField(default=0)
    pruned_tx = fields.BigIntField(default=0)
    pruned_seq = fields.BigIntField(default=0)
    """The position of the last event that retention removed."""
    tm_create = fields.DatetimeField()
    tm_update = fields.DatetimeField(null=True)
    tm_delete = fields.DatetimeField(null=True)

    class Meta:
        table = "outdial"


# Counts of an outdial's targets, spread over slots so that claims do not all wait for one row.
class OutdialCounter(Model):
    customer_id = fields.UUIDField()
    outdial_id = fields.UUIDField(primary_key=True)
    slot = fields.SmallIntField()
    idle = fields.BigIntField(default=0)
    progressing = fields.BigIntField(default=0)
    answered = fields.BigIntField(default=0)
    exhausted = fields.BigIntField(default=0)
    do_not_call = fields.BigIntField(default=0)
    canceled = fields.BigIntField(default=0)
    unconfirmed = fields.BigIntField(default=0)
    finished = fields.BigIntField(default=0)
    attempts = fields.BigIntField(default=0)

    class Meta:
        table = "outdial_counter"


# What is kept of an outdial's breaker: see app.breakers. There is none without a breaker in the policy.
class OutdialBreaker(Model):
    customer_id = fields.UUIDField()
    outdial_id = fields.UUIDField(primary_key=True)
    state = fields.CharField(max_length=16)
    opened_at = fields.DatetimeField(null=True)
    paused_until_at = fields.DatetimeField(null=True)
    probe_attempt_id = fields.UUIDField(null=True)
    counts_from_at = fields.DatetimeField()
    buckets = fields.JSONField[list[list[int]]](default=list)
    """[milliseconds since 1970, calls, failures]"""
    epoch = fields.IntField()
    tx = fields.BigIntField()
    seq = fields.BigIntField()
    """Up to which position of the log its calls are counted."""
    judged_at = fields.DatetimeField()
    settles_at = fields.DatetimeField(null=True)
    """Until then the passing of counted calls alone may open it."""
    is_watched = fields.SmallIntField(default=1)
    """0 once the outdial is deleted."""

    class Meta:
        table = "outdial_breaker"


# The time zones of an outdial's targets, and the sets of them that targets have: see app.store.grouping.
class OutdialZone(Model):
    customer_id = fields.UUIDField()
    outdial_id = fields.UUIDField(primary_key=True)
    kind = fields.CharField(max_length=8)
    """ZONE or GROUP"""
    number = fields.SmallIntField()
    value = fields.TextField()
    """What is known of the time zone; of a group, the numbers of its zones."""

    class Meta:
        table = "outdial_zone"


class Target(Model):
    id = fields.UUIDField(primary_key=True)
    customer_id = fields.UUIDField()
    outdial: fields.ForeignKeyRelation[Outdial] = fields.ForeignKeyField("outdial.Outdial", on_delete=fields.RESTRICT)
    key = fields.CharField(max_length=255, null=True)
    name = fields.CharField(max_length=255)
    detail = fields.TextField()
    data = fields.TextField()
    status = fields.CharField(max_length=16)
    done_reason = fields.CharField(max_length=16, null=True)
    priority = fields.SmallIntField()
    rank = fields.SmallIntField()
    """In which order claims look: the priority, or else that of its callback. See `records.rank`."""
    time_zone = fields.CharField(max_length=64, null=True)
    max_try_counts = fields.JSONField[list[int]](null=True)
    destination_0 = fields.JSONField[dict[str, str]](null=True)
    destination_1 = fields.JSONField[dict[str, str]](null=True)
    destination_2 = fields.JSONField[dict[str, str]](null=True)
    destination_3 = fields.JSONField[dict[str, str]](null=True)
    destination_4 = fields.JSONField[dict[str, str]](null=True)
    """{"type", "target", "target_name", "name", "detail"}; "written" if the address is not shown as it is compared"""
    try_count_0 = fields.SmallIntField(default=0)
    try_count_1 = fields.SmallIntField(default=0)
    try_count_2 = fields.SmallIntField(default=0)
    try_count_3 = fields.SmallIntField(default=0)
    try_count_4 = fields.SmallIntField(default=0)
    invalid_mask = fields.SmallIntField(default=0)
    """Bit n is set if destination n was reported as invalid."""
    first_index = fields.SmallIntField(default=0)
    """The destination at which the next claim begins; not 0 only if a retry rule says so."""
    zones = fields.BigIntField(default=0)
    """The number of each destination's time zone in `outdial_zone`, in 12 bits each; 0 if it is not set."""
    zone_group = fields.SmallIntField(default=0)
    """All targets with the same time zones have the same. 0 if they were not looked at: see app.store.grouping."""
    next_try_at = fields.DatetimeField(null=True)
    wakes_at = fields.DatetimeField(null=True)
    """Until then the policy's caps leave no try, so claims need not look at it. A hint: each claim judges again."""
    callback = fields.JSONField[dict[str, object]](null=True)
    """See `rows.callback_value`."""
    callback_mask = fields.SmallIntField(null=True)
    """Bit n is set if the callback may call destination n, whatever the limits say. Null without a callback."""
    callback_check_at = fields.DatetimeField(null=True)
    """When to look whether the window of a reserved callback begins or ends. Null if it has none."""
    last_attempt_id = fields.UUIDField(null=True)
    last_index = fields.SmallIntField(null=True)
    """The destination that the last claim chose."""
    version = fields.IntField(default=1)
    tm_create = fields.DatetimeField()
    tm_update = fields.DatetimeField()
    tm_delete = fields.DatetimeField(null=True)

    class Meta:
        table = "target"


class Attempt(Model):
    id = fields.UUIDField(primary_key=True)
    customer_id = fields.UUIDField()
    outdial_id = fields.UUIDField()
    target: fields.ForeignKeyRelation[Target] = fields.ForeignKeyField("outdial.Target", on_delete=fields.RESTRICT)
    destination_index = fields.SmallIntField()
    destination = fields.JSONField[dict[str, str]]()
    try_number = fields.SmallIntField()
    state = fields.CharField(max_length=16)
    disposition = fields.CharField(max_length=32, null=True)
    code = fields.CharField(max_length=64, null=True)
    is_right_party = fields.SmallIntField(null=True)
    is_conversion = fields.SmallIntField(null=True)
    """0 or 1, as the code said when the result was reported: what was counted stays so."""
    detail = fields.TextField(default="")
    dialer = fields.CharField(max_length=255, null=True)
    call_id = fields.CharField(max_length=255, null=True)
    lease_seconds = fields.IntField()
    expires_at = fields.DatetimeField(null=True)
    claimed_at = fields.DatetimeField()
    dialed_at = fields.DatetimeField(null=True)
    ended_at = fields.DatetimeField(null=True)
    ring_seconds = fields.IntField(null=True)
    talk_seconds = fields.IntField(null=True)
    permit = fields.JSONField[dict[str, object]](null=True)
    """Why the call was allowed, as the claim found it: see app.rows.permits. Never changed."""

    class Meta:
        table = "attempt"


# Figures of attempts, made of the ledger: see app.stats.
class StatsCell(Model):
    customer_id = fields.UUIDField()
    scope_id = fields.UUIDField(primary_key=True)
    """The outdial's id; the customer's id for all of its outdials."""
    facet = fields.CharField(max_length=16)
    minutes = fields.SmallIntField()
    """1, 15, 60 or 1,440: how long it is."""
    begins_at = fields.DatetimeField()
    value = fields.CharField(max_length=255)
    """The destination or the dialer, if the facet tells them apart."""
    figures = fields.TextField()

    class Meta:
        table = "stats_cell"


# How far an outdial's events are counted in these cells.
class StatsPlace(Model):
    customer_id = fields.UUIDField()
    outdial_id = fields.UUIDField(primary_key=True)
    epoch = fields.IntField()
    tx = fields.BigIntField()
    seq = fields.BigIntField()
    filled_to_at = fields.DatetimeField(null=True)
    """How far attempts that are older than the log are counted. Null if all are."""

    class Meta:
        table = "stats_place"


# The log that subscribers read. Its order is (epoch, tx, seq): see app.events.
class TargetEvent(Model):
    seq = fields.BigIntField(primary_key=True)
    epoch = fields.IntField()
    tx = fields.BigIntField()
    customer_id = fields.UUIDField()
    outdial_id = fields.UUIDField()
    target_id = fields.UUIDField(null=True)
    type = fields.CharField(max_length=16)
    occurred_at = fields.DatetimeField()
    count = fields.IntField()
    status = fields.CharField(max_length=16, null=True)
    previous_status = fields.CharField(max_length=16, null=True)
    done_reason = fields.CharField(max_length=16, null=True)
    try_counts = fields.JSONField[list[int]]()
    next_try_at = fields.DatetimeField(null=True)
    version = fields.IntField(null=True)
    destination_index = fields.SmallIntField(null=True)
    attempt_id = fields.UUIDField(null=True)
    disposition = fields.CharField(max_length=32, null=True)

    class Meta:
        table = "target_event"


# The same for outdials themselves, by customer.
class OutdialEvent(Model):
    seq = fields.BigIntField(primary_key=True)
    epoch = fields.IntField()
    tx = fields.BigIntField()
    customer_id = fields.UUIDField()
    outdial_id = fields.UUIDField()
    type = fields.CharField(max_length=16)
    occurred_at = fields.DatetimeField()

    class Meta:
        table = "outdial_event"


# A closed epoch of a customer's log: see app.events.epochs.
class EventEpoch(Model):
    customer_id = fields.UUIDField()
    epoch = fields.IntField(primary_key=True, generated=False)
    last_tx = fields.BigIntField()
    """The highest id that was stored in it."""
    closed_at = fields.DatetimeField()
    """When the next one began."""

    class Meta:
        table = "event_epoch"


class IdempotencyKey(Model):
    customer_id = fields.UUIDField()
    mutation = fields.CharField(max_length=32)
    key = fields.CharField(primary_key=True, max_length=255)
    input_hash = fields.CharField(max_length=64)
    answer = fields.JSONField[object](null=True)
    tm_create = fields.DatetimeField()

    class Meta:
        table = "idempotency_key"


# The import of one file into an outdial, as its sender and its watchers see it.
class ImportJob(Model):
    id = fields.UUIDField(primary_key=True)
    customer_id = fields.UUIDField()
    outdial: fields.ForeignKeyRelation[Outdial] = fields.ForeignKeyField("outdial.Outdial", on_delete=fields.RESTRICT)
    file_name = fields.CharField(max_length=255)
    state = fields.CharField(max_length=16)
    stop_reason = fields.CharField(max_length=32, null=True)
    message = fields.TextField(default="")
    dry_run = fields.SmallIntField()
    """1 if only the report is stored."""
    idempotency_key = fields.CharField(max_length=255, null=True)
    input_hash = fields.CharField(max_length=64)
    run = fields.IntField(default=1)
    """Which upload of the file owns the job. An earlier upload that is still running sees that it has lost it."""
    began_paused = fields.SmallIntField(default=0)
    """1 if the outdial was paused when the import began: only a later pause stops it."""
    rows_read = fields.BigIntField(default=0)
    rows_created = fields.BigIntField(default=0)
    rows_updated = fields.BigIntField(default=0)
    rows_skipped = fields.BigIntField(default=0)
    rows_rejected = fields.BigIntField(default=0)
    rows_suppressed = fields.BigIntField(default=0)
    """Of the created and updated ones, those whose addresses were all suppressed."""
    checkpoint_line = fields.BigIntField(default=0)
    """The last line of the file up to which all rows are stored or rejected."""
    checkpoint_digest = fields.CharField(max_length=64, default="")
    """The hash of the rows up to there, to recognize a different file."""
    warnings = fields.JSONField[list[str]]()
    is_ndjson = fields.SmallIntField(default=0)
    """1 if the file is NDJSON."""
    column_names = fields.JSONField[list[str | None]](null=True)
    """Of CSV, in the file's order. Null until the first row is read, and if they are too long to be stored."""
    delimiter = fields.CharField(max_length=1, null=True)
    kept_characters = fields.BigIntField(default=0)
    """The total length of the long rejected rows that are stored whole."""
    tm_create = fields.DatetimeField()
    started_at = fields.DatetimeField(null=True)
    heard_at = fields.DatetimeField()
    """The last heartbeat of the server that runs it."""
    finished_at = fields.DatetimeField(null=True)

    class Meta:
        table = "import_job"


class ImportReject(Model):
    id = fields.UUIDField(primary_key=True)
    customer_id = fields.UUIDField()
    job: fields.ForeignKeyRelation[ImportJob] = fields.ForeignKeyField("outdial.ImportJob", on_delete=fields.RESTRICT)
    line_number = fields.BigIntField()
    column_name = fields.CharField(max_length=255, null=True)
    code = fields.CharField(max_length=32)
    message = fields.TextField()
    row_text = fields.TextField()
    """The row as it is displayed: a long one is cut."""
    whole_text = fields.TextField(null=True)
    """The whole row, if `row_text` is cut and the row is stored."""
    is_whole = fields.SmallIntField(default=1)
    """0 if the row is not stored as it is in the file."""
    recorded_at = fields.DatetimeField()

    class Meta:
        table = "import_reject"


# An address that must not be called, on no list of the customer.
class Suppression(Model):
    id = fields.UUIDField(primary_key=True)
    customer_id = fields.UUIDField()
    type = fields.CharField(max_length=16)
    """As it was given."""
    space = fields.CharField(max_length=16)
    """The type whose addresses it is compared with: TEL and WHATSAPP share their numbers."""
    address = fields.CharField(max_length=255)
    """In its canonical form."""
    reason = fields.CharField(max_length=255)
    source = fields.CharField(max_length=16)
    expires_at = fields.DatetimeField(null=True)
    """Null if it counts for ever."""
    is_pending = fields.SmallIntField(default=0)
    """1 until idle targets that have no other destination left are finished."""
    tm_create = fields.DatetimeField()

    class Meta:
        table = "suppression"


# A customer's own result of calls: a finer word for a disposition. Never deleted, since attempts have its code.
class ResultCode(Model):
    customer_id = fields.UUIDField()
    code = fields.CharField(primary_key=True, max_length=64)
    label = fields.CharField(max_length=255)
    disposition = fields.CharField(max_length=32)
    is_right_party = fields.SmallIntField()
    is_conversion = fields.SmallIntField()
    is_retired = fields.SmallIntField()
    place = fields.SmallIntField()
    """In the owner's list, from 0 on; of one that was left out, the last that it had."""

    class Meta:
        table = "result_code"
