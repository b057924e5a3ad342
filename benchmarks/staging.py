"""A database with both servers on it: `outdial serve` and the hand-written endpoint, each in its own process."""

import asyncio
import contextlib
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

import psutil

from app import db
from benchmarks.calling import HandwrittenOverHttp, Line, OutdialOverHttp, UseCases
from benchmarks.handwritten import Dialing
from benchmarks.handwritten.serving import connected
from benchmarks.measuring import NoGauge, PostgresGauge
from tests.support import postgres
from tests.support.graphql_client import Client
from tests.support.server import REPOSITORY, ServerProcess

Side = Literal["outdial", "hand-written"]
SIDES: tuple[Side, Side] = ("outdial", "hand-written")
READY_SECONDS_MAX = 30
TARGETS_IN_A_CALL = 1_000
LEASE_SECONDS = 300
DISPOSITIONS = ("NO_ANSWER", "BUSY", "NO_ANSWER", "ANSWERED")
"""How calls end, in turns."""
POLICY = {"maxTryCounts": [100] * 5, "retryIntervalSeconds": 0, "leaseSeconds": LEASE_SECONDS}


class HandwrittenProcess:
    """A hand-written endpoint in its own process: the one of that module in `benchmarks.handwritten`."""

    def __init__(self, url: str, pool_size: int, module: str = "serving") -> None:
        self._module = module
        self._arguments = [url, str(postgres.free_port()), str(pool_size)]
        self.url = f"http://127.0.0.1:{self._arguments[1]}"

    async def __aenter__(self) -> Self:
        self._launch()
        async with asyncio.timeout(READY_SECONDS_MAX):
            while True:
                with contextlib.suppress(OSError):
                    await (await Line.opened(self.url)).close()
                    return self
                assert self._process.poll() is None, "the hand-written endpoint has ended"
                await asyncio.sleep(0.05)

    def _launch(self) -> None:
        command = [sys.executable, "-m", f"benchmarks.handwritten.{self._module}", *self._arguments]
        self._process = subprocess.Popen(command, cwd=REPOSITORY, stdin=subprocess.DEVNULL)
        self.pid = self._process.pid

    async def __aexit__(self, *_: object) -> None:
        self._process.terminate()
        await asyncio.to_thread(self._process.wait, READY_SECONDS_MAX)


@dataclass(frozen=True, slots=True)
class Stage:
    """A database with both servers."""

    url: str
    server: ServerProcess
    handwritten: HandwrittenProcess
    direct: dict[Side, Callable[[str], Dialing]]
    gauge: PostgresGauge | NoGauge

    @asynccontextmanager
    async def dialing(self, side: Side, through: str, customer: str) -> AsyncIterator[Dialing]:
        """For one dialer."""
        if through == "calls":
            yield self.direct[side](customer)
            return
        kind, url = (
            (OutdialOverHttp, self.server.url) if side == "outdial" else (HandwrittenOverHttp, self.handwritten.url)
        )
        made = kind(await Line.opened(url), customer)
        try:
            yield made
        finally:
            await made.close()

    def processes(self, side: Side, through: str) -> list[psutil.Process]:
        """Those that do the work; not the dialers, but with `--through calls` they are in the same process."""
        if through == "calls":
            return [psutil.Process()]
        return [psutil.Process(self.server.pid if side == "outdial" else self.handwritten.pid)]


@dataclass(frozen=True, slots=True)
class Store:
    """A database, migrated, that nothing is connected to."""

    url: str
    folder: Path
    gauge: PostgresGauge | NoGauge


@asynccontextmanager
async def stored(database: str, fsync: str) -> AsyncIterator[Store]:
    async with AsyncExitStack() as stack:
        on_disk = fsync == "on"
        parent = None if on_disk or not postgres.MEMORY.is_dir() else postgres.MEMORY
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=parent)))
        url, gauge = f"sqlite:///{folder}/outdial.db", NoGauge()
        if database == "postgresql":
            url = await postgres.create_database(stack.enter_context(postgres_server(on_disk=on_disk)))
            gauge = await PostgresGauge.connected(url)
        stack.push_async_callback(gauge.close)
        await db.migrate(url)
        yield Store(url, folder, gauge)


@asynccontextmanager
async def staged(database: str, fsync: str, *, pool_size: int) -> AsyncIterator[Stage]:
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(stored(database, fsync))
        url, folder = store.url, store.folder
        environment = {"OUTDIAL_DATABASE_POOL_SIZE": str(pool_size)}
        server = stack.enter_context(ServerProcess(url, folder, environment=environment))
        handwritten = await stack.enter_async_context(HandwrittenProcess(url, pool_size))
        await db.connect(url, pool_size=pool_size)
        stack.push_async_callback(db.close)
        by_hand = await connected(url, pool_size)
        stack.push_async_callback(by_hand.close)
        yield Stage(url, server, handwritten, {"outdial": UseCases, "hand-written": lambda _: by_hand}, store.gauge)


@contextlib.contextmanager
def postgres_server(*, on_disk: bool) -> Iterator[str]:
    """Our own server with fsync as wanted. The one that OUTDIAL_TEST_DATABASE_URL names keeps its own settings."""
    if named := postgres.named_server():
        yield named
        return
    settings = {"synchronous_commit": "on", "max_wal_size": "2GB", "wal_keep_size": "1GB", "shared_buffers": "256MB"}
    if on_disk:
        settings |= {"fsync": "on", "full_page_writes": "on"}
    with postgres.OwnServer(settings, on_disk=on_disk) as own:
        yield own.url


async def make_outdial(client: Client, targets: int) -> str:
    outdial: str = (await client.outdial(dialPolicy=POLICY))["id"]
    query = """mutation ($input: CreateTargetsInput!) { createTargets(input: $input) { createdCount } }"""
    for start in range(0, targets, TARGETS_IN_A_CALL):
        given = [
            {"name": f"Person {number}", "key": f"key-{number}", "destination0": {"target": f"+4915{number:09d}"}}
            for number in range(start, min(start + TARGETS_IN_A_CALL, targets))
        ]
        made = await client.run(query, input={"outdialId": outdial, "targets": given})
        assert made["createTargets"]["createdCount"] == len(given), made
    return outdial


def progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
