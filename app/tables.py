"""Columns and their types, from the models: no statement has its own list.

In a statement's text, a `Columns` becomes its names: `f"SELECT {tables.TARGET} FROM target"`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from operator import itemgetter
from typing import Any

import orjson
from tortoise import fields
from tortoise.fields import Field
from tortoise.fields.relational import ForeignKeyFieldInstance, RelationalField
from tortoise.models import Model

from app import models

_KINDS: Mapping[type[Field[Any]], str] = {
    fields.UUIDField: "uuid",
    fields.CharField: "text",
    fields.TextField: "text",
    fields.SmallIntField: "integer",
    fields.IntField: "integer",
    fields.BigIntField: "bigint",
    fields.DatetimeField: "instant",
    fields.JSONField: "json",
}
"""The kinds are those of `app.db.dialects`."""


@dataclass(frozen=True)
class Columns:
    """Some columns of one table, with their kinds."""

    table: str
    kinds: Mapping[str, str]

    def __str__(self) -> str:
        return self.names

    @cached_property
    def names(self) -> str:
        return ", ".join(self.kinds)

    @cached_property
    def qualified(self) -> str:
        """The names with the table's name before them, for statements that join."""
        return ", ".join(f"{self.table}.{name}" for name in self.kinds)

    @cached_property
    def named(self) -> str:
        """Each with its table in its name, for statements that read rows of several tables at once."""
        return ", ".join(f'{self.table}.{name} AS "{self.table}.{name}"' for name in self.kinds)

    def part_of(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """These columns of a row that has them as `named`."""
        return dict(zip(self.kinds, self._of_named(row), strict=True))

    @cached_property
    def _of_named(self) -> Callable[[Mapping[str, Any]], tuple[Any, ...]]:
        return itemgetter(*(f"{self.table}.{name}" for name in self.kinds))

    def but(self, *names: str) -> "Columns":
        """The others.

        Raises:
            KeyError: a name is no column of the table.
        """
        left = dict(self.kinds)
        for name in names:
            del left[name]
        return Columns(self.table, left)

    def only(self, *names: str) -> "Columns":
        """These, in the order given.

        Raises:
            KeyError: a name is no column of the table.
        """
        return Columns(self.table, {name: self.kinds[name] for name in names})


def columns_of(model: type[Model]) -> Columns:
    """All columns of a model's table, in the order of its fields. The same before Tortoise is set up and after."""
    kinds: dict[str, str] = {}
    for name, field in model._meta.fields_map.items():  # noqa: SLF001 - Tortoise's own way to look at a model
        if isinstance(field, ForeignKeyFieldInstance):
            related: type[Model] = getattr(models, str(field.model_name).rpartition(".")[2])
            kinds[field.source_field or f"{name}_id"] = _kind(related._meta.pk)  # noqa: SLF001
        # Tortoise also adds the columns of relations, and the reverse relations
        elif not isinstance(field, RelationalField) and field.reference is None:
            kinds[field.source_field or name] = _kind(field)
    return Columns(str(model._meta.db_table), kinds)  # noqa: SLF001


def _kind(field: Field[Any]) -> str:
    return _KINDS[type(field)]


def row_of(instance: Model) -> dict[str, Any]:
    """A model as its row, in the form that statements return: ids and JSON are text, instants are in UTC."""
    row: dict[str, Any] = {}
    for name, kind in columns_of(type(instance)).kinds.items():
        value = getattr(instance, name)
        if value is not None and kind == "uuid":
            value = str(value)
        elif value is not None and kind == "json":
            value = orjson.dumps(value).decode()
        elif isinstance(value, datetime):
            value = value.astimezone(UTC)
        row[name] = value
    return row


# ---------------------------------------------------------------- the columns of records

OUTDIAL = columns_of(models.Outdial).but(
    *("exhausted_to", "sorted_to", "has_reserved", "pruned_epoch", "pruned_tx", "pruned_seq", "is_broken"),
)
OUTDIAL_BREAKER = columns_of(models.OutdialBreaker)
TARGET_ROW = columns_of(models.Target)
TARGET = TARGET_ROW.but(
    *("rank", "callback_mask", "callback_check_at", "last_index", "zones", "zone_group", "wakes_at"),
)
ATTEMPT_ROW = columns_of(models.Attempt)
ATTEMPT = ATTEMPT_ROW.but("permit")
COUNTERS = columns_of(models.OutdialCounter).but("customer_id", "outdial_id", "slot")
TARGET_EVENT = columns_of(models.TargetEvent).but("seq", "epoch", "tx")
IMPORT_JOB = columns_of(models.ImportJob).but(
    *("input_hash", "run", "began_paused", "checkpoint_line", "checkpoint_digest", "heard_at"),
    *("is_ndjson", "column_names", "delimiter", "kept_characters"),
)
KEPT_REJECT = columns_of(models.ImportReject)
IMPORT_REJECT = KEPT_REJECT.but("whole_text", "is_whole")
SUPPRESSION_ROW = columns_of(models.Suppression)
SUPPRESSION = SUPPRESSION_ROW.but("space", "is_pending")
STATS_CELL = columns_of(models.StatsCell)
RESULT_CODE = columns_of(models.ResultCode)
