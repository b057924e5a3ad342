"""Columns: what statements name is what the models declare, and what the databases have."""

import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from typing import Any

import pytest
from tortoise import Tortoise

from app import attempts, db, models, rows, store, tables, targets
from app.auth import Viewer
from app.files import staging
from app.lifecycle import Disposition
from app.records import AttemptResult, AttemptStart
from app.tables import Columns
from tests.support import factories

ALL: dict[str, Columns] = {name: found for name, found in vars(tables).items() if isinstance(found, Columns)}

POSTGRES_TYPES = {
    "uuid": {"uuid"},
    "text": {"text", "character varying"},
    "integer": {"smallint", "integer"},
    "bigint": {"bigint"},
    "instant": {"timestamp with time zone"},
    "json": {"jsonb"},
}
SQLITE_TYPES = {
    "uuid": ("CHAR(36)",),
    "text": ("TEXT", "VARCHAR"),
    "integer": ("SMALLINT", "INT"),
    "bigint": ("BIGINT", "INTEGER"),
    "instant": ("TIMESTAMP",),
    "json": ("JSON",),
}


async def types_of(table: str) -> dict[str, str]:
    if db.is_postgres():
        found = await db.fetch(
            "SELECT column_name AS name, data_type AS type FROM information_schema.columns WHERE table_name = $1", table
        )
    else:
        found = await db.fetch(f"SELECT name, type FROM pragma_table_info('{table}')")
    return {row["name"]: row["type"] for row in found}


async def test_the_databases_have_the_columns_of_the_models_in_the_same_types(database: str) -> None:
    for model in Tortoise.apps["outdial"].values():
        columns = tables.columns_of(model)
        types = await types_of(columns.table)
        assert set(columns.kinds) == set(types), columns.table
        for name, kind in columns.kinds.items():
            if db.is_postgres():
                assert types[name] in POSTGRES_TYPES[kind], (columns.table, name)
            else:
                assert types[name].upper().startswith(SQLITE_TYPES[kind]), (columns.table, name)


@pytest.mark.parametrize("name", ALL)
async def test_columns_are_the_same_before_tortoise_is_set_up_and_after(database: str, name: str) -> None:
    before = ALL[name]  # made when the module was imported
    [model] = [model for model in Tortoise.apps["outdial"].values() if model._meta.db_table == before.table]
    now = tables.columns_of(model)
    assert before == now.only(*before.kinds)


def test_a_name_that_is_no_column_is_refused() -> None:
    with pytest.raises(KeyError):
        tables.TARGET.but("destination_5")
    with pytest.raises(KeyError):
        tables.TARGET.only("id", "destination_5")


def test_columns_stand_for_their_names_in_a_statement() -> None:
    columns = tables.TARGET.only("key", "id")
    assert f"SELECT {columns} FROM target" == "SELECT key, id FROM target"
    assert columns.qualified == "target.key, target.id"


class Watched(Mapping[str, Any]):
    """A row that knows what was read of it."""

    def __init__(self, row: Mapping[str, Any]) -> None:
        self._row = row
        self.read: set[str] = set()

    def __getitem__(self, name: str) -> Any:
        self.read.add(name)
        return self._row[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._row)

    def __len__(self) -> int:
        return len(self._row)


DESTINATION = '{"type": "TEL", "target": "+15550100000", "target_name": "", "name": "", "detail": ""}'
FILLED: dict[str, Any] = {
    "max_try_counts": "[3, 3, 3, 3, 3]",
    "caps": "[]",
    "retry_rules": "[]",
    "pacing": None,
    "warnings": "[]",
    "on_unconfirmed": "RETRY",
    "on_unknown_time_zone": "SKIP",
    "invalid_mask": 0,
    "destination": DESTINATION,
    "disposition": "BUSY",
    "code": "INVALID",
    "dry_run": 0,
    **{f"destination_{index}": DESTINATION for index in range(5)},
}
RECORDS: dict[str, tuple[Columns, Callable[[Mapping[str, Any]], Any], dict[str, str], set[str]]] = {
    "outdial": (tables.OUTDIAL, rows.outdial, {"state": "ACTIVE"}, set()),
    "target": (tables.TARGET, rows.target, {"status": "DONE", "done_reason": "CANCELED"}, set()),
    "attempt": (tables.ATTEMPT, rows.attempt, {"state": "CLAIMED"}, set()),
    "progress": (tables.COUNTERS, rows.progress, {}, set()),
    "import job": (tables.IMPORT_JOB, rows.import_job, {"state": "FAILED", "stop_reason": "FILE"}, set()),
    "import reject": (tables.IMPORT_REJECT, rows.import_reject, {}, {"customer_id"}),
}


@pytest.mark.parametrize("what", RECORDS)
def test_a_record_is_made_of_exactly_its_columns(what: str) -> None:
    columns, make, states, unread = RECORDS[what]
    numbers = {name: 0 for name, kind in columns.kinds.items() if kind in {"integer", "bigint"}}
    filled = {name: value for name, value in FILLED.items() if name in columns.kinds}
    row = Watched(dict.fromkeys(columns.kinds) | numbers | filled | states)
    make(row)
    assert row.read == set(columns.kinds) - unread


async def test_a_desk_has_the_records_of_its_rows(database: str, viewer: Viewer) -> None:
    outdial = await factories.make_outdial(viewer, policy={"retry_interval_seconds": 0})
    made = await factories.make_target(viewer, outdial.id, "+4915111111", "+4915111112", max_try_counts=(3, 2, 1, 0, 9))
    for disposition in (Disposition.INVALID_DESTINATION, Disposition.ANSWERED):
        [claimed] = await attempts.claim(viewer, outdial.id, dialer="ann")
        for report in (None, [AttemptStart(claimed.id, "call-1")], disposition):
            if isinstance(report, list):
                await attempts.start(viewer, starts=report)
            elif report is not None:
                await attempts.complete(viewer, results=[AttemptResult(claimed.id, report, "detail")])
            [row] = await store.read_desk(db.fetch, viewer.customer_id, [claimed.id], with_last=False)
            values, reader = tuple(row.values()), rows.Reader()
            attempt = reader.attempt(values[: len(rows.ATTEMPT_VALUES)])
            assert attempt == (await attempts.get_many(viewer, [claimed.id]))[claimed.id]
            target = reader.called_target(values[len(rows.ATTEMPT_VALUES) :][: len(rows.CALLED_VALUES)])
            whole = asdict((await targets.get_many(viewer, [made.id]))[made.id])
            assert asdict(target) == {name: whole[name] for name in asdict(target)}
    assert target.invalid_destinations == {0}


async def test_a_model_gives_the_row_that_a_statement_gives(database: str, viewer: Viewer) -> None:
    outdial = await factories.make_outdial(viewer, policy={"max_try_counts": (1, 2, 3, 4, 5)})
    target = await factories.make_target(viewer, outdial.id)

    async def both(tx: db.Transaction) -> None:
        for model, record in ((models.Outdial, outdial), (models.Target, target)):
            columns = tables.columns_of(model)
            [row] = await tx.fetch(f"SELECT {columns} FROM {columns.table} WHERE id = $1", record.id)
            instance = model._init_from_db(**row)
            make = rows.outdial if model is models.Outdial else rows.target
            assert asdict(make(tables.row_of(instance))) == asdict(make(row)) == asdict(record)
            assert {name: type(value) for name, value in tables.row_of(instance).items()} == {
                name: type(value) for name, value in dict(row).items()
            }

    await db.transaction(both)


# ---------------------------------------------------------------- the process that reads files


def test_a_staged_row_has_the_columns_and_types_of_targets() -> None:
    """The process that reads files must start fast, so it keeps them itself: the models take half a second to load."""
    own = {"ord": "integer", "not_before_at": "instant"}
    of_targets = {name: kind for name, kind in staging.COLUMNS.items() if name not in own}
    assert {name: staging.COLUMNS[name] for name in own} == own
    assert of_targets == tables.TARGET.only(*of_targets).kinds
    decided = {"customer_id", "outdial_id", "status", "done_reason", "next_try_at", "last_attempt_id"}
    begun = {"callback", "invalid_mask", "first_index", "version", "tm_create", "tm_update", "tm_delete"}
    begun |= {name for name in tables.TARGET.kinds if name.startswith("try_count_")}
    assert set(of_targets) == set(tables.TARGET.kinds) - decided - begun


def test_the_process_that_reads_files_loads_no_models_and_no_database() -> None:
    code = (
        "import app.files.worker, sys;"
        "print([name for name in sys.modules if name.split('.')[0] in {'tortoise', 'asyncpg', 'aiosqlite'}"
        " or name.startswith(('app.db', 'app.models', 'app.tables'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
