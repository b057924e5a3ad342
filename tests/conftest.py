"""Fixtures for every test: a fresh, migrated database of either kind, and those who use it."""

import asyncio
import os
import shutil
import sqlite3
import sys
from collections.abc import AsyncIterator, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager, closing
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, settings

from app import clock, db
from app.auth import Viewer
from tests.support import factories, postgres
from tests.support.graphql_client import Client
from tests.support.server import ServerProcess

Kind = Literal["sqlite", "postgres"]
KINDS: tuple[Kind, ...] = ("sqlite", "postgres")

settings.register_profile(
    "outdial", deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], print_blob=True
)
settings.load_profile("outdial")


# What is compiled is kept, even if the environment says otherwise: a run starts hundreds of servers, commands and
# readers of files, and for each of them, compiling would take a third of the time until it is ready.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--soak-seconds", type=float, default=60, help="how long sockets storm the server")
    parser.addoption("--soak-sockets", type=int, default=500, help="how many of them there are at a time")
    parser.addoption("--fuzz-seconds", type=float, default=60, help="how long each fuzzer sends what it makes up")
    parser.addoption("--fuzz-seed", type=int, help="what a fuzzer that failed says it began with")


def pytest_configure() -> None:
    # What the developer has set for a server of their own is no business of the tests.
    for name in [name for name in os.environ if name.startswith("OUTDIAL_") and name != "OUTDIAL_TEST_DATABASE_URL"]:
        del os.environ[name]


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores: many tests wait for a server, a browser or a clock."""
    return len(os.sched_getaffinity(0)) + 1 if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1) + 1


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out each case of an `alternate` test on one of the two databases, in turns."""
    cases: dict[str, dict[tuple[str, ...], list[pytest.Item]]] = {}
    for item in items:
        if isinstance(item, pytest.Function) and item.get_closest_marker("alternate"):
            case = item.callspec.id.split("-")
            case.remove(item.callspec.params["kind"])
            cases.setdefault(item.nodeid.split("[")[0], {}).setdefault(tuple(case), []).append(item)
    left_out = {
        pair[number % len(KINDS)]
        for of_test in cases.values()
        for number, pair in enumerate(of_test.values())
        if len(pair) == len(KINDS)
    }
    if left_out:
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)


def aside(work: Coroutine[Any, Any, None]) -> None:
    """Run it in a loop of its own, in a thread of its own: the tests' loops never see it."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, work).result()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of the session's PostgreSQL. Where it cannot start, the tests that want it fail."""
    with postgres.server() as url:
        yield url


@pytest.fixture(scope="session")
def postgres_template(postgres_server: str) -> Iterator[str]:
    """The name of a migrated database that tests take copies of."""

    async def make(urls: list[str]) -> None:
        urls.append(await postgres.create_database(postgres_server))
        await db.migrate(urls[0])

    urls: list[str] = []
    aside(make(urls))
    yield urlsplit(urls[0]).path.lstrip("/")
    aside(postgres.drop_database(postgres_server, urls[0]))


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database file that tests take copies of."""
    folder = tmp_path_factory.mktemp("sqlite")
    migrated, template = folder / "migrated.db", folder / "template.db"
    aside(db.migrate(f"sqlite:///{migrated}"))
    # The backup has in one file what may still be in the write-ahead log.
    with closing(sqlite3.connect(migrated)) as source, closing(sqlite3.connect(template)) as copy:
        source.backup(copy)
    return template


class Databases:
    """Makes fresh, migrated databases of either kind."""

    def __init__(self, request: pytest.FixtureRequest, folder: Path) -> None:
        self._request = request
        self._folder = folder
        self._made = 0

    def fresh(self, kind: Kind) -> AbstractAsyncContextManager[str]:
        """The URL of a database that is there for as long as the context."""
        return self._sqlite() if kind == "sqlite" else self._postgres()

    @asynccontextmanager
    async def _sqlite(self) -> AsyncIterator[str]:
        self._made += 1
        path = self._folder / f"outdial-{self._made}.db"
        shutil.copyfile(self._request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite:///{path}"

    @asynccontextmanager
    async def _postgres(self) -> AsyncIterator[str]:
        server = self._request.getfixturevalue("postgres_server")
        url = await postgres.create_database(server, self._request.getfixturevalue("postgres_template"))
        try:
            yield url
        finally:
            await postgres.drop_database(server, url)


@pytest.fixture
def databases(request: pytest.FixtureRequest, tmp_path: Path) -> Databases:
    # Made here, where no loop runs: the template is migrated in one of its own.
    if "kind" not in request.fixturenames or request.getfixturevalue("kind") == "postgres":
        request.getfixturevalue("postgres_template")
    return Databases(request, tmp_path)


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    """Which database: every test that asks for one runs on both."""
    param: Kind = request.param
    return param


@pytest.fixture
async def database_url(kind: Kind, databases: Databases) -> AsyncIterator[str]:
    """A fresh, migrated database of each kind; nothing is connected to it."""
    async with databases.fresh(kind) as url:
        yield url


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[str]:
    """A fresh, migrated database of each kind, which the use-cases are connected to; its URL."""
    await db.connect(database_url)
    try:
        yield database_url
    finally:
        await db.close()


@pytest.fixture
async def postgres_url(databases: Databases) -> AsyncIterator[str]:
    """A fresh, migrated PostgreSQL database, for what only it can do: several server processes."""
    async with databases.fresh("postgres") as url:
        yield url


@pytest.fixture(autouse=True)
def _present_time() -> Iterator[None]:
    yield
    clock.shift = timedelta(0)


@pytest.fixture
def viewer() -> Viewer:
    """A customer of their own, who may do everything."""
    return factories.make_viewer()


@pytest.fixture
def stranger() -> Viewer:
    """Another customer, who may do everything to what is theirs."""
    return factories.make_viewer()


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every statement that is sent."""
    sent: list[str] = []
    run = db.statements.run

    async def listening(connection: Any, sql: str, args: Any) -> Any:
        sent.append(" ".join(sql.split()))
        return await run(connection, sql, args)

    run_script = db.statements.run_script

    async def listening_to_scripts(connection: Any, script: db.Script, args: Any) -> Any:
        sent.extend(" ".join(sql.split()) for sql in script.statements)
        return await run_script(connection, script, args)

    monkeypatch.setattr(db.statements, "run", listening)
    monkeypatch.setattr(db.statements, "run_script", listening_to_scripts)
    return sent


class Services:
    """One running server for each kind of database and for the whole session: customers are what keeps tests apart."""

    def __init__(self, sqlite_template: Path, postgres_server: str, postgres_template: str, folder: Path) -> None:
        self._sqlite_template = sqlite_template
        self._postgres_server = postgres_server
        self._postgres_template = postgres_template
        self._folder = folder
        self._stack = ExitStack()
        self._running: dict[str, ServerProcess] = {}

    def on(self, kind: Kind) -> ServerProcess:
        if kind not in self._running:
            self._running[kind] = self._stack.enter_context(ServerProcess(self._database(kind), self._folder))
        return self._running[kind]

    def pair(self) -> tuple[ServerProcess, ServerProcess]:
        """Two processes on one PostgreSQL."""
        one = self.on("postgres")
        if "peer" not in self._running:
            self._running["peer"] = self._stack.enter_context(ServerProcess(one.database_url, self._folder))
        return one, self._running["peer"]

    def _database(self, kind: Kind) -> str:
        if kind == "sqlite":
            path = self._folder / "service.db"
            shutil.copyfile(self._sqlite_template, path)
            return f"sqlite:///{path}"
        urls: list[str] = []

        async def make() -> None:
            urls.append(await postgres.create_database(self._postgres_server, self._postgres_template))

        aside(make())
        self._stack.callback(lambda: aside(postgres.drop_database(self._postgres_server, urls[0])))
        return urls[0]

    def stop(self) -> None:
        self._stack.close()


@pytest.fixture(scope="session")
def services(
    sqlite_template: Path, postgres_server: str, postgres_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Services]:
    running = Services(sqlite_template, postgres_server, postgres_template, tmp_path_factory.mktemp("services"))
    yield running
    running.stop()


@pytest.fixture
def service(kind: Kind, services: Services) -> ServerProcess:
    """A running server on a database of each kind, shared with other tests."""
    return services.on(kind)


@pytest.fixture
async def client(service: ServerProcess) -> AsyncIterator[Client]:
    """A new customer at that server."""
    async with Client(service.url, str(uuid4())) as client:
        yield client


@pytest.fixture
async def other(service: ServerProcess) -> AsyncIterator[Client]:
    """Another customer at the same server."""
    async with Client(service.url, str(uuid4())) as client:
        yield client
