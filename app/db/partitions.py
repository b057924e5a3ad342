"""Partitions by time, on PostgreSQL: made ahead, and dropped whole, so that old rows cost nothing to remove.

A partition's name holds its bounds. One more partition takes all rows that no other one is for (`rest`): a missing
partition stops no writer. Each change of the partitions is refused at once if it would have to wait for long: writers
would wait behind it. It is tried again later.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

import asyncpg
import structlog

from app.db import statements, units
from app.db.transactions import Transaction

LOCK_TIMEOUT_MILLISECONDS = 100
"""How long writers and readers may have to wait behind a change of the partitions."""
_NAME = re.compile(r"(?P<table>[a-z_]+)_(?P<begins>\d+)_(?P<ends>\d+)")
_REFUSALS = (
    asyncpg.LockNotAvailableError,  # somebody works with the table
    asyncpg.DuplicateTableError,  # another process was first
    asyncpg.DuplicateObjectError,
    asyncpg.UniqueViolationError,
    asyncpg.InvalidObjectDefinitionError,  # the bounds overlap, for the same reason
    asyncpg.UndefinedTableError,
    asyncpg.CheckViolationError,  # the rest has rows of that time
    asyncpg.InsufficientPrivilegeError,  # the table is another role's
    asyncpg.FeatureNotSupportedError,
    asyncpg.ObjectNotInPrerequisiteStateError,
)
_ELSEWHERE = "not allowed on this node"
"""Citus says so at each node but the coordinator, without a code. A server at the coordinator makes the partitions."""

log = structlog.get_logger(__name__)


class _Refused(Exception):  # noqa: N818 - no error: it is tried again
    """The database does not change the partitions now."""


@dataclass(frozen=True, slots=True, order=True)
class Partition:
    """Rows from `begins_at` on and before `ends_at`."""

    begins_at: datetime
    ends_at: datetime
    table: str

    @property
    def name(self) -> str:
        """Of the table that holds the rows."""
        return f"{self.table}_{self.begins_at.timestamp():.0f}_{self.ends_at.timestamp():.0f}"


def rest(table: str) -> str:
    """The partition of all rows that no other one is for."""
    return f"{table}_rest"


async def partitions(table: str) -> list[Partition]:
    """Those with bounds, the oldest first."""
    found = await statements.fetch(
        """
        SELECT relname AS name FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
        WHERE inhparent = to_regclass($1) AND NOT inhdetachpending
        """,
        table,
    )
    named = [_NAME.fullmatch(row["name"]) for row in found]
    return sorted(
        Partition(_instant(match["begins"]), _instant(match["ends"]), table)
        for match in named
        if match and match["table"] == table
    )


def _instant(seconds: str) -> datetime:
    return datetime.fromtimestamp(int(seconds), UTC)


async def make(partition: Partition) -> bool:
    """Whether the partition was made."""
    return await _try(
        partition,
        f"CREATE TABLE {partition.name} (LIKE {partition.table} INCLUDING DEFAULTS INCLUDING INDEXES)",
        f"""
        ALTER TABLE {partition.table} ATTACH PARTITION {partition.name}
            FOR VALUES FROM ('{partition.begins_at.isoformat()}') TO ('{partition.ends_at.isoformat()}')
        """,
    )


async def drop(partition: Partition) -> bool:
    """Whether the partition was dropped, with its rows."""
    return await _try(partition, f"DROP TABLE {partition.name}")


async def _try(partition: Partition, *changes: str) -> bool:
    try:
        await units.transaction(_change, changes)
    except _Refused as refused:
        log.info("partitions_not_changed", partition=partition.name, reason=type(refused.__cause__).__name__)
        return False
    return True


async def _change(tx: Transaction, changes: tuple[str, ...]) -> None:
    await tx.fetch(f"SELECT set_config('lock_timeout', '{LOCK_TIMEOUT_MILLISECONDS}ms', TRUE)")
    try:
        for change in changes:
            await tx.fetch(change)
    except _REFUSALS as refusal:
        raise _Refused from refusal
    except asyncpg.InternalServerError as refusal:
        if _ELSEWHERE not in str(refusal):
            raise
        raise _Refused from refusal
