"""The program as it is started: in whatever folder, with whatever standard streams, and with its log as JSON."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

import pytest

from tests.conftest import aside
from tests.support import postgres
from tests.support.server import JWT_SECRET, REPOSITORY, token

pytestmark = pytest.mark.slow

SECONDS_MAX = 60
SHADOWS = [
    "app",
    "csv",
    "json",
    "typing",
    "random",
    "socket",
    "struct",
    "pickle",
    "logging",
    "httpx",
    "migrations",
    "asyncio",
]
"""Modules that a folder of somebody's own may have."""
LEADS = "phone\n+49 30 123456\n"


@pytest.fixture
def program(tmp_path: Path) -> list[str]:
    """The program, started as an installed one is: by a script that lies in another folder than one's own."""
    script = tmp_path / "bin" / "outdial"
    script.parent.mkdir()
    script.write_text("from app.__main__ import main\n\nif __name__ == '__main__':\n    main()\n")
    return [sys.executable, str(script)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with modules of our names, each of which fails."""
    made = tmp_path / "of my own"
    made.mkdir()
    for name in SHADOWS:
        if name in {"app", "migrations"}:
            (made / name).mkdir()
            (made / name / "__init__.py").write_text(f"raise SystemExit('the {name} of this folder was taken')\n")
        else:
            (made / f"{name}.py").write_text(f"raise SystemExit('the {name} of this folder was taken')\n")
    (made / "leads.csv").write_text(LEADS)
    return made


@pytest.fixture
def postgres_url(postgres_server: str, postgres_template: str) -> Iterator[str]:
    urls: list[str] = []

    async def database() -> None:
        urls.append(await postgres.create_database(postgres_server, postgres_template))

    aside(database())
    yield urls[0]
    aside(postgres.drop_database(postgres_server, urls[0]))


def environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OUTDIAL_")}
    return {**kept, "PYTHONPATH": str(REPOSITORY), "OUTDIAL_JWT_SECRET": JWT_SECRET, **more}


def done(
    program: list[str], *arguments: str | bytes, cwd: Path, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*program, *arguments], cwd=cwd, env=env or environment(), stdin=subprocess.DEVNULL, capture_output=True,
        text=True, errors="replace", timeout=SECONDS_MAX, check=False,
    )  # fmt: skip


class Serving:
    """`outdial serve` that is ready."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self.process = process
        self.url = f"http://127.0.0.1:{port}"

    def ended(self) -> tuple[str, str]:
        """What it wrote, after SIGTERM."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.communicate(timeout=SECONDS_MAX)


@contextmanager
def serving(program: list[str], cwd: Path, *arguments: str, **more: str) -> Iterator[Serving]:
    port = postgres.free_port()
    process = subprocess.Popen(
        [*program, "serve", "--port", str(port), *arguments], cwd=cwd, env=environment(**more),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    found = Serving(process, port)
    try:
        deadline = time.monotonic() + SECONDS_MAX
        while not _is_ready(found.url):
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                pytest.fail(str(process.communicate()))
            time.sleep(0.1)
        yield found
    finally:
        process.kill()
        process.communicate()


def _is_ready(url: str) -> bool:
    with suppress(OSError), urllib.request.urlopen(f"{url}/readyz", timeout=5) as answer:
        return bool(answer.status == 200)
    return False


def create_outdial(url: str, bearer: str) -> str:
    request = urllib.request.Request(
        f"{url}/v1.0/outdials", json.dumps({"name": "x"}).encode(),
        {"Authorization": f"Bearer {bearer}", "Content-Type": "application/json"},
    )  # fmt: skip
    with urllib.request.urlopen(request, timeout=20) as answer:
        made: str = json.load(answer)["id"]
    return made


# ---------------------------------------------------------------- folders


@pytest.mark.parametrize(
    "arguments",
    [("--version",), ("schema",), ("migrate",), ("token", "--customer", str(uuid4())), ("dial", "--help")],
    ids=lambda arguments: arguments[0],
)
def test_a_command_takes_no_module_of_the_folder_it_is_started_in(
    program: list[str], folder: Path, arguments: tuple[str, ...]
) -> None:
    found = done(program, *arguments, cwd=folder)
    assert (found.returncode, found.stderr) == (0, "")
    assert "was taken" not in found.stdout


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_a_server_and_its_processes_take_no_module_of_the_folder_they_are_started_in(
    program: list[str], folder: Path, postgres_url: str, workers: int
) -> None:
    """The processes that serve, and the one that reads an imported file."""
    bearer = token(str(uuid4()))
    with serving(program, folder, "--workers", str(workers), OUTDIAL_DATABASE_URL=postgres_url) as server:
        outdial = create_outdial(server.url, bearer)
        given = environment(OUTDIAL_URL=server.url, OUTDIAL_TOKEN=f"{bearer}\n", NO_PROXY="*")
        found = done(program, "import", "leads.csv", "--outdial", outdial, cwd=folder, env=given)
        assert (found.returncode, found.stderr) == (0, "")
        found = done(program, "export", "--outdial", outdial, cwd=folder, env=given)
        assert found.returncode == 0
        assert "+4930123456" in found.stdout
        out, err = server.ended()
    assert "was taken" not in out + err
    assert "Traceback" not in out + err


# ---------------------------------------------------------------- JSON


def check_json(*texts: str) -> list[dict[str, str]]:
    """The lines, each of which is a JSON object."""
    lines = [json.loads(line) for text in texts for line in text.splitlines()]
    assert all({"event", "level"} <= line.keys() for line in lines)
    return lines


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_every_line_of_a_server_is_json(
    program: list[str], tmp_path: Path, request: pytest.FixtureRequest, database: str
) -> None:
    more = {"OUTDIAL_LOG_FORMAT": "json", "OUTDIAL_LOG_LEVEL": "DEBUG"}
    if database == "postgres":
        more["OUTDIAL_DATABASE_URL"] = request.getfixturevalue("postgres_url")
    else:
        more["OUTDIAL_JWT_SECRET"] = ""  # so that it makes one and says so
    workers = ("--workers", "2") if database == "postgres" else ()
    with serving(program, tmp_path, *workers, **more) as server:
        with suppress(urllib.error.HTTPError):
            urllib.request.urlopen(f"{server.url}/graphql?query={{x}}", timeout=20)
        out, err = server.ended()
    assert out == ""
    events = [line["event"] for line in check_json(err)]
    assert f"Outdial listens on {server.url}" in events
    assert any("a new secret was stored" in event for event in events) == (database == "sqlite")


@pytest.mark.parametrize(
    ("arguments", "more", "code", "words"),
    [
        pytest.param((), {"OUTDIAL_EVENT_RETENTION_HOURS": "soon"}, 2, "OUTDIAL_EVENT_RETENTION_HOURS: ", id="setting"),
        pytest.param((), {"OUTDIAL_LOG_LEVEL": "LOUD"}, 2, "OUTDIAL_LOG_LEVEL: ", id="level"),
        pytest.param((), {"OUTDIAL_JWT_SECRET": "short"}, 2, "OUTDIAL_JWT_SECRET: ", id="secret"),
        pytest.param(("--workers", "2"), {}, 2, "--workers above 1 needs PostgreSQL", id="workers"),
        pytest.param(("--host", "no such host"), {}, 1, "cannot listen on no such host", id="host"),
        pytest.param((), {"OUTDIAL_DATABASE_URL": "sqlite:////no/such/x.db"}, 1, "cannot use the database", id="file"),
        pytest.param(
            (), {"OUTDIAL_DATABASE_URL": "postgresql://ann:hunter2@127.0.0.1:1/x"}, 1, "cannot use the database",
            id="database",
        ),
    ],
)  # fmt: skip
def test_every_line_of_a_start_that_fails_is_json(
    program: list[str], tmp_path: Path, arguments: tuple[str, ...], more: dict[str, str], code: int, words: str
) -> None:
    found = done(
        program, "serve", "--port", "0", *arguments, cwd=tmp_path, env=environment(OUTDIAL_LOG_FORMAT="JSON", **more)
    )
    assert found.returncode == code
    lines = check_json(found.stdout, found.stderr)
    assert words in lines[-1]["event"]
    assert lines[-1]["level"] == "error"
    assert "hunter2" not in found.stderr


def test_a_taken_port_is_json_too(program: list[str], tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        env = environment(OUTDIAL_LOG_FORMAT="json")
        found = done(program, "serve", "--port", port, cwd=tmp_path, env=env)
    assert found.returncode == 1
    assert "Address already in use" in check_json(found.stdout, found.stderr)[-1]["event"]


def test_what_migrate_gives_is_json_too(program: list[str], tmp_path: Path) -> None:
    found = done(program, "migrate", cwd=tmp_path, env=environment(OUTDIAL_LOG_FORMAT="json"))
    assert found.returncode == 0
    assert any(line["event"].startswith("Applied ") for line in check_json(found.stdout, found.stderr))


# ---------------------------------------------------------------- standard streams and languages


@pytest.mark.parametrize("language", [{"LC_ALL": "C"}, {"PYTHONIOENCODING": "ascii"}, {"PYTHONIOENCODING": "latin-1"}])
def test_a_name_that_is_not_utf_8_is_printed_in_any_language(
    program: list[str], tmp_path: Path, language: dict[str, str]
) -> None:
    name = b"J\xf6rg \xe2\x82\xac.csv"
    for arguments in ([b"import", name], [b"import", b"none.csv", b"--rejects", b"none/" + name]):
        env = environment(OUTDIAL_TOKEN="a", **language)
        found = done(program, *arguments, b"--outdial", str(uuid4()).encode(), cwd=tmp_path, env=env)
        assert (found.returncode, found.stdout) == (1, "")
        assert found.stderr.startswith("outdial: ")
        assert len(found.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("command", "streams"),
    [
        ("schema", ">/dev/full"),
        ("schema", "| head -c 1"),
        ("token --customer 5e4a0680-804e-11ec-8477-2fea5968d85b", ">/dev/full"),
        ("--version", ">&-"),
        ("export --outdial x", ">&- 2>&-"),
        ("import - --format csv --outdial 5e4a0680-804e-11ec-8477-2fea5968d85b --token a", "<&-"),
    ],
)
def test_an_output_that_takes_nothing_ends_the_command_without_a_traceback(
    program: list[str], tmp_path: Path, command: str, streams: str
) -> None:
    found = subprocess.run(
        ["bash", "-c", f'"$@" {command} {streams}', "bash", *program], cwd=tmp_path, env=environment(),
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS_MAX, check=False,
    )  # fmt: skip
    assert "Traceback" not in found.stderr
    assert len(found.stderr.splitlines()) <= 1


# ---------------------------------------------------------------- the dialer


def test_the_dialer_has_a_help_and_refuses_in_one_line(program: list[str], folder: Path) -> None:
    found = done(program, "dial", "--help", cwd=folder)
    for option in ("--outdial", "--url", "--name", "--lines", "--token"):
        assert option in found.stdout
    outdial = str(uuid4())
    with serving(program, folder) as server:
        for bearer, words in ((token(str(uuid4())), f"Outdial {outdial} not found."), ("no.token", "token")):
            env = environment(OUTDIAL_TOKEN=bearer)
            found = done(program, "dial", "--url", server.url, "--outdial", outdial, cwd=folder, env=env)
            assert (found.returncode, found.stdout) == (1, "")
            assert found.stderr.startswith("outdial: ")
            assert words in found.stderr
            assert len(found.stderr.splitlines()) == 1


@pytest.mark.parametrize("closed", ["0", "1", "2", "01", "02", "12", "012"])
def test_a_server_without_standard_streams_serves_and_ends(tmp_path: Path, closed: str) -> None:
    """Otherwise its database, or a socket, would be the file to which libraries write their complaints."""
    close = " ".join(f"{descriptor}>&-" for descriptor in closed)
    with serving(["/bin/sh", "-c", f'exec "$0" -m app "$@" {close}', sys.executable], tmp_path) as server:
        if Path("/proc").exists():
            for descriptor in closed:
                assert Path(f"/proc/{server.process.pid}/fd/{descriptor}").readlink() == Path(os.devnull)
        server.ended()
        assert server.process.returncode == 0  # it ends as it was asked to, after it has closed all


@pytest.mark.parametrize("module", ["typer", "phonenumbers", "tortoise", "app.transfers"])
def test_an_interrupt_while_the_program_is_loading_is_no_traceback(tmp_path: Path, module: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-X", "importtime", "-m", "app", "schema"], cwd=tmp_path, env=environment(),
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr
    for line in process.stderr:
        if line.split()[-1] == module:
            process.send_signal(signal.SIGINT)
            break
    _, complaint = process.communicate(timeout=SECONDS_MAX)
    assert [line for line in complaint.splitlines() if not line.startswith("import time:")] == []
    assert process.returncode == 130
