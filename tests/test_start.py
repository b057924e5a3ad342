"""What a server loads and does at its start: nothing that only other commands need."""

import subprocess
import sys
from pathlib import Path

import pytest
from tortoise import fields
from tortoise.migrations import operations as ops
from tortoise.migrations.schema_generator.state import State

from app import db
from app.db.operations import Sql, SqlMigration

ROOT = Path(__file__).parent.parent
OF_OTHER_COMMANDS = {
    "app.demo": "outdial demo",
    "app.transfers.remote": "outdial import, export and dial",
    "app.transfers.working": "outdial import and export",
    "httpx": "the same",
    "opentelemetry": "OUTDIAL_TRACING=on",
    "requests": "the same",
    "google.protobuf": "the same",
    "rich": "import and export; structlog would load it too",
    "tortoise.migrations": "a database whose schema is not current",
    "migrations.0001_tables": "the same",
}
SERVE = """
import asyncio, sys
from app import cli, db
from app.server import running
from app.settings import Settings
settings = Settings(database_url=sys.argv[1], jwt_secret="s" * 32)
running.config(running.server.create_app(settings), settings).load()
async def start():
    print("before", *sorted(sys.modules))
    await db.migrate(settings.database_url)
    await db.connect(settings.database_url)
    await db.close()
    print("after", *sorted(sys.modules))
asyncio.run(start())
"""


def loaded(url: str) -> dict[str, set[str]]:
    done = subprocess.run(
        [sys.executable, "-c", SERVE, url], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return {first: set(rest) for first, *rest in (line.split() for line in done.stdout.splitlines())}


async def test_a_server_loads_nothing_that_only_other_commands_need(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'outdial.db'}"
    new = loaded(url)
    assert "tortoise.migrations" in new["after"] - new["before"]
    current = loaded(url)
    for modules in (new["before"], current["before"], current["after"]):
        assert {name: why for name, why in OF_OTHER_COMMANDS.items() if name in modules} == {}


def test_structlog_is_loaded_without_rich_and_rich_is_not_lost() -> None:
    code = "import sys, app; assert 'rich' not in sys.modules; import rich.console; assert sys.modules['rich']"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=60)


async def test_a_new_database_is_made_without_models_of_its_history(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tortoise would make them before and after each operation."""

    def clone(_: State) -> State:
        raise AssertionError("a state is copied")

    monkeypatch.setattr(State, "clone", clone)
    url = f"sqlite:///{tmp_path / 'outdial.db'}"
    assert await db.migrate(url) != []
    assert await db.migrate(url) == []


async def test_a_migration_of_sql_refuses_operations_that_need_models() -> None:
    class Migration(SqlMigration):
        operations = [  # noqa: RUF012 - as migrations write it
            Sql("SELECT 1"),
            ops.AddField("Outdial", "color", fields.TextField(default="")),
        ]

    class Editor:
        DIALECT = "sqlite"

        async def _run_sql(self, _sql: str) -> None: ...

    with pytest.raises(TypeError, match="AddField"):
        await Migration("0002_colors", "outdial").apply(State({}, None), schema_editor=Editor())
