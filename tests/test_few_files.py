"""A process that may open few files: each command works, or says in one line what it needs."""

import os
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from app import descriptors
from tests.support.server import JWT_SECRET, REPOSITORY, ServerProcess, token

SECONDS_MAX = 60
COMMANDS = {
    "serve": (["--port", "0"], descriptors.SERVER_FILES_MIN),
    "demo": (["--port", "0"], descriptors.SERVER_FILES_MIN),
    "migrate": ([], descriptors.COMMAND_FILES_MIN),
    "import": (["leads.csv", "--outdial", str(uuid4())], descriptors.COMMAND_FILES_MIN),
    "export": (["--outdial", str(uuid4())], descriptors.COMMAND_FILES_MIN),
    "dial": (["--outdial", str(uuid4())], descriptors.COMMAND_FILES_MIN),
    "suppressions": (["export"], descriptors.COMMAND_FILES_MIN),
}


def run(folder: Path, files: int, *words: str, **settings: str) -> tuple[int, str, str]:
    """The exit code of a command, and what it has printed. A shell limits it: Popen's own hook is not safe."""
    limited = ["sh", "-c", f'ulimit -n {files}; exec "$@"', "sh"]
    plain = {name: value for name, value in os.environ.items() if not name.startswith("OUTDIAL_")}
    done = subprocess.run(
        [*limited, sys.executable, "-m", "app", *words],
        cwd=folder,
        env={**plain, "PYTHONPATH": str(REPOSITORY), "OUTDIAL_JWT_SECRET": JWT_SECRET, **settings},
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS_MAX,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("files", [8, 11, 16, 23, 31, 47, 63])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_that_needs_more_files_says_how_many(tmp_path: Path, command: str, files: int) -> None:
    (tmp_path / "leads.csv").write_text("phone\n")
    words, needed = COMMANDS[command]
    if files < needed:
        line = f"outdial: too few files may be open: {files}, and {needed} are needed. Raise `ulimit -n`\n"
        assert run(tmp_path, files, command, *words) == (1, "", line)
    elif command == "migrate":
        code, out, err = run(tmp_path, files, command)
        assert (code, out.startswith("Applied "), err) == (0, True, "")


@pytest.mark.parametrize("files", [8, 16])
def test_what_needs_no_files_works_with_few(tmp_path: Path, files: int) -> None:
    code, out, err = run(tmp_path, files, "token", "--customer", str(uuid4()))
    assert (code, out.count("."), err) == (0, 2, "")


def test_a_log_of_json_has_that_line_as_json(tmp_path: Path) -> None:
    code, out, err = run(tmp_path, 16, "serve", OUTDIAL_LOG_FORMAT="json")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert '"too few files may be open: 16, and 64 are needed. Raise `ulimit -n`"' in err.replace("\\u0060", "`")


def test_each_further_worker_needs_more(tmp_path: Path) -> None:
    needed = descriptors.SERVER_FILES_MIN + 2 * descriptors.WORKER_FILES_MIN
    url = "postgresql://127.0.0.1:1/none"
    code, _, err = run(tmp_path, needed - 1, "serve", "--workers", "3", OUTDIAL_DATABASE_URL=url)
    assert (code, f"and {needed} are needed" in err) == (1, True)
    code, _, err = run(tmp_path, needed, "serve", "--workers", "3", OUTDIAL_DATABASE_URL=url)
    assert (code, "cannot use the database" in err) == (1, True)


@pytest.mark.slow
def test_a_server_with_as_many_as_it_needs_serves(database_url: str, tmp_path: Path) -> None:
    mine = {"Authorization": f"Bearer {token(str(uuid4()))}"}
    with ServerProcess(database_url, tmp_path, descriptors=descriptors.SERVER_FILES_MIN) as server:
        create = {"query": "mutation { createOutdial(input: {}) { outdial { id } } }"}
        made = httpx.post(f"{server.url}/graphql", json=create, headers=mine, timeout=20, trust_env=False).json()
        outdial = made["data"]["createOutdial"]["outdial"]["id"]
        path = f"{server.url}/v1.0/outdials/{outdial}/targets/import"
        done = httpx.post(
            path,
            content="phone\n+14155550123\n",
            headers={**mine, "Content-Type": "text/csv"},
            timeout=20,
            trust_env=False,
        )
        assert done.json()["counts"]["created"] == 1
