"""One server for each SQLite file, and only databases that can hold every name."""

import asyncio
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any, Self

import pytest

from app import db
from app.db import serving
from app.errors import Unavailable
from tests.support import postgres
from tests.support.server import JWT_SECRET, REPOSITORY, ServerProcess

HOLDER = """
import sys
from app import db
db.claim(sys.argv[1])
print("held", flush=True)
sys.stdin.read()
"""


def outdial(url: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OUTDIAL_")}
    environment |= {"PYTHONPATH": str(REPOSITORY), "OUTDIAL_DATABASE_URL": url, "OUTDIAL_JWT_SECRET": JWT_SECRET}
    return subprocess.run(
        [sys.executable, "-m", "app.cli", *arguments],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def refusal(done: subprocess.CompletedProcess[str]) -> str:
    assert (done.returncode, done.stdout) == (1, ""), done
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


class Holder:
    """Another process that serves a file."""

    def __init__(self, url: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, url],
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout
        assert self._process.stdout.readline() == b"held\n"
        self.pid = self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate(timeout=20)


@pytest.fixture
def file(tmp_path: Path, sqlite_template: Path) -> Path:
    path = tmp_path / "data" / "outdial.db"
    path.parent.mkdir()
    path.write_bytes(sqlite_template.read_bytes())
    return path


# ---------------------------------------------------------------- one server


@pytest.mark.slow
def test_a_second_server_of_a_file_is_refused_with_the_others_process_id(file: Path, tmp_path: Path) -> None:
    url = f"sqlite:///{file}"
    with ServerProcess(url, tmp_path) as server:
        line = refusal(outdial(url, tmp_path, "serve", "--port", "0"))
        assert f"the process {server.pid} serves this file already" in line
        # what needs no server of its own goes on
        assert outdial(url, tmp_path, "migrate").stdout == "The schema is current.\n"
        token = ["token", "--customer", "00000000-0000-4000-8000-000000000000"]
        assert outdial(url, tmp_path, *token).returncode == 0
        assert server.is_ready()
    assert not list(tmp_path.rglob("*.serving"))


def test_a_file_is_the_same_by_every_path_that_leads_to_it(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "link.db").symlink_to(file)
    (tmp_path / "link-of-link.db").symlink_to("link.db")
    (tmp_path / "folder").symlink_to(file.parent)
    monkeypatch.chdir(tmp_path)
    with Holder(f"sqlite:///{file}") as holder:
        for path in (
            str(file),
            "data/outdial.db",
            "data/../data/./outdial.db",
            "link.db",
            "link-of-link.db",
            f"{tmp_path}/folder/outdial.db",
            "folder/outdial%2Edb",
        ):
            with pytest.raises(Unavailable, match=f"the process {holder.pid} serves this file already"):
                db.claim(f"sqlite:///{path}")


@pytest.mark.slow
def test_a_server_that_was_killed_blocks_nobody(file: Path, tmp_path: Path) -> None:
    server = ServerProcess(f"sqlite:///{file}", tmp_path).start()
    server.kill()
    with ServerProcess(f"sqlite:///{file}", tmp_path):
        pass


def test_of_many_that_start_at_once_one_serves(file: Path) -> None:
    command = "import sys; from app import db; db.claim(sys.argv[1]); print('held', flush=True); sys.stdin.read()"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", command, f"sqlite:///{file}"],
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(6)
    ]
    refused = 0
    holders = []
    for process in processes:
        assert process.stdout
        if process.stdout.readline() == "held\n":
            holders.append(process)
        else:
            refused += 1
    assert (len(holders), refused) == (1, 5)
    for process in processes:
        _, err = process.communicate(timeout=20)
        assert process in holders or f"the process {holders[0].pid} serves this file already" in err


def test_a_file_is_served_by_one_process_and_then_by_another(file: Path) -> None:
    url = f"sqlite:///{file}"
    with Holder(url) as holder:
        with pytest.raises(Unavailable, match=f"the process {holder.pid} serves this file already"):
            db.claim(url)
        assert serving.other_server(file) == f"the process {holder.pid}"
        holder.kill()
        assert serving.other_server(file) is None
    db.claim(url)
    db.claim(url)  # this process has it
    assert serving.other_server(file) is None
    db.give_back(url)
    with Holder(url):
        pass


async def test_a_file_is_not_migrated_under_its_server(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/new.db"
    with Holder(url) as holder:
        with pytest.raises(Unavailable, match=f"the process {holder.pid} serves this file; stop it"):
            await db.migrate(url)
        holder.kill()
        assert await db.migrate(url)


def test_another_file_and_postgres_are_nobodys_business(file: Path, tmp_path: Path) -> None:
    with Holder(f"sqlite:///{file}"):
        other = f"sqlite:///{tmp_path}/other.db"
        db.claim(other)
        db.give_back(other)
        db.claim("postgresql://ann@db/calls")
        db.give_back("postgresql://ann@db/calls")


def test_a_lock_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "x.db.serving").mkdir()
    line = refusal(outdial(f"sqlite:///{tmp_path}/x.db", tmp_path, "serve", "--port", "0"))
    assert "x.db.serving" in line


def test_a_file_with_a_second_name_is_not_served(file: Path, tmp_path: Path) -> None:
    """A server that uses the other name has another log and other locks."""
    other = tmp_path / "other.db"
    other.hardlink_to(file)
    for path in (file, other):
        line = refusal(outdial(f"sqlite:///{path}", tmp_path, "serve", "--port", "0"))
        assert "a hard link" in line
    other.unlink()
    with Holder(f"sqlite:///{file}"):
        pass


def test_a_file_that_is_read_only_is_not_served(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, _mode: path != file)  # root may write to any file
    with pytest.raises(Unavailable, match=rf"^{file} is read-only$"):
        asyncio.run(db.migrate(f"sqlite:///{file}"))


# ---------------------------------------------------------------- encodings


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII", "EUC_KR"])
def test_a_database_that_is_not_utf8_is_refused(postgres_server: str, tmp_path: Path, encoding: str) -> None:
    name = f"outdial_test_{encoding.lower()}"
    url = postgres.named(postgres_server, name)
    good = postgres.named(postgres_server, f"{name}_good")

    async def make(*statements: str) -> None:
        await postgres.execute(postgres_server, *statements)

    options = f"ENCODING '{encoding}' LOCALE_PROVIDER libc LOCALE 'C' TEMPLATE template0"
    asyncio.run(make(f'CREATE DATABASE "{name}" {options}'))
    try:
        for command in (["migrate"], ["serve", "--port", "0"]):
            line = refusal(outdial(url, tmp_path, *command))
            assert f"the database {name} has the encoding {encoding}" in line
        # the line says how to make a right one
        statement = "CREATE DATABASE" + line.partition("CREATE DATABASE")[2]
        asyncio.run(make(statement.replace(" outdial ", f' "{name}_good" ')))
        assert outdial(good, tmp_path, "migrate").returncode == 0
    finally:
        asyncio.run(make(f'DROP DATABASE IF EXISTS "{name}"', f'DROP DATABASE IF EXISTS "{name}_good"'))


@pytest.mark.parametrize("encoding", ["UTF-16le", "UTF-16be"])
def test_a_file_that_is_not_utf8_is_refused(tmp_path: Path, encoding: str) -> None:
    with closing(sqlite3.connect(tmp_path / "old.db")) as connection:
        connection.execute(f'PRAGMA encoding = "{encoding}"')
        connection.execute("CREATE TABLE other (id integer)")
    for command in (["migrate"], ["serve", "--port", "0"]):
        line = refusal(outdial("sqlite:///old.db", tmp_path, *command))
        assert f"the file has the encoding {encoding}" in line


def test_every_name_goes_into_a_database_that_is_taken(database_url: str) -> None:
    names = ["Jürgen Groß", "김철수", "Ñandú", "عمر", "\U0001d518\U0001d52b", "👩‍👩‍👧"]

    async def there_and_back() -> list[Any]:
        await db.connect(database_url)
        try:
            rows = await db.fetch(
                " UNION ALL ".join(f"SELECT {db.typed(f'${number}', 'text')} AS name" for number in range(1, 7)), *names
            )
        finally:
            await db.close()
        return [row["name"] for row in rows]

    assert asyncio.run(there_and_back()) == names
