"""Files that come slowly over HTTP, of several customers at once: what another customer notices."""

import asyncio
from contextlib import AsyncExitStack, suppress
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

import orjson
import pytest

from app.imports import turning
from tests.conftest import Databases, Kind
from tests.support import importing
from tests.support.graphql_client import Client
from tests.support.raw import head
from tests.support.server import ServerProcess
from tests.support.taking_in import until

ROW = b"name,phone\nAmy,+14155550100\n"
ANSWER_SECONDS_MAX = 90
BEGIN_SECONDS_MAX = 30
"""Documented."""


class Upload:
    """A file that is sent at a rate. Its answer is read meanwhile.

    Args:
        client: whose file it is.
        outdial_id: where it goes.
        beginning: is sent at once.
        rest: is sent then, a tenth of a second's bytes at a time.
        rate: in bytes a second.
        size: what the sender announces; None for what it sends.
    """

    def __init__(
        self,
        client: Client,
        outdial_id: str,
        *,
        beginning: bytes = ROW,
        rest: bytes = b"",
        rate: int = 1_000,
        size: int | None = None,
    ) -> None:
        self._client = client
        self.outdial_id = outdial_id
        self.key = str(uuid4())
        self.content = beginning + rest
        self._beginning, self._rest, self._rate = beginning, rest, rate
        self._size = len(self.content) if size is None else size

    async def __aenter__(self) -> Self:
        port = int(self._client.url.rpartition(":")[2])
        reader, self._writer = await asyncio.open_connection("127.0.0.1", port)
        lines = (
            f"Authorization: Bearer {self._client.token}",
            f"Content-Length: {self._size}",
            f"Idempotency-Key: {self.key}",
            "Content-Type: text/csv",
        )
        self._writer.write(head(f"/v1.0/outdials/{self.outdial_id}/targets/import", *lines, method="POST"))
        self._writer.write(self._beginning)
        self._sending = asyncio.create_task(self._send())
        self.answer = asyncio.create_task(_answer(reader))
        return self

    async def _send(self) -> None:
        step = self._rate // 10
        with suppress(ConnectionError):  # the answer says why
            for start in range(0, len(self._rest), step):
                self._writer.write(self._rest[start : start + step])
                await self._writer.drain()
                await asyncio.sleep(0.1)

    async def runs(self) -> None:
        """Wait until the file has a place."""

        async def does() -> bool:
            found = await self._client.run(
                "query ($id: ID!) { outdial(id: $id) { imports(first: 9) { nodes { state idempotencyKey } } } }",
                id=self.outdial_id,
            )
            nodes = found["outdial"]["imports"]["nodes"]
            return {"state": "RUNNING", "idempotencyKey": self.key} in nodes

        await until(does)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in (self._sending, self.answer):
            task.cancel()
        await asyncio.gather(self._sending, self.answer, return_exceptions=True)
        self._writer.close()


async def _answer(reader: asyncio.StreamReader) -> tuple[int, Any]:
    """The status and the body."""
    top = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    length = int(top.partition("content-length:")[2].split()[0])
    return int(top.split()[1]), orjson.loads(await reader.readexactly(length))


async def test_slow_files_of_two_customers_leave_anothers_to_be_read(
    service: ServerProcess, client: Client, other: Client
) -> None:
    mine, theirs = (await client.outdial())["id"], (await other.outdial())["id"]
    async with (
        Upload(client, mine, size=1_000_000) as first,
        Upload(client, mine, size=1_000_000) as second,
        Upload(other, theirs, size=1_000_000) as third,
        Upload(other, theirs, size=1_000_000) as fourth,
        Client(service.url, str(uuid4())) as third_customer,
    ):
        for upload in (first, second, third, fourth):
            await upload.runs()
        outdial = await third_customer.outdial()
        job = await asyncio.wait_for(importing.taken(third_customer, outdial["id"], ROW), 20)
        assert importing.counts(job) == (1, 1, 0, 0, 0)
        assert not any(upload.answer.done() for upload in (first, second, third, fourth))
    assert importing.counts(await importing.taken(client, mine, ROW, key=first.key)) == (1, 1, 0, 0, 0)


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_if_all_places_are_taken_the_slowest_gives_way_and_a_telephone_does_not(
    databases: Databases, tmp_path: Path, kind: Kind
) -> None:
    rows = b"".join(b"Amy of the longer name,+1415555%04d\n" % number for number in range(100, 8_000))
    async with databases.fresh(kind) as url:
        with ServerProcess(url, tmp_path) as server:
            clients = [Client(server.url, str(uuid4())) for _ in range(turning.FILES_MAX // 2)]
            outdials = [(await client.outdial())["id"] for client in clients]
            places = [
                Upload(client, outdial_id, beginning=b"name,phone\n", rest=rows, rate=1_000)
                for client, outdial_id in zip(clients, outdials, strict=True)
                for _ in range(turning.CUSTOMER_FILES_MAX)
            ]
            telephone = Upload(clients[0], outdials[0], beginning=b"name,phone\n", rest=rows, rate=10_000)
            places[0] = telephone
            async with asyncio.TaskGroup() as opening:
                for upload in places:
                    opening.create_task(upload.__aenter__())
            try:
                for upload in places:
                    await upload.runs()
                async with Client(server.url, str(uuid4())) as another:
                    outdial = await another.outdial()
                    job = await asyncio.wait_for(importing.taken(another, outdial["id"], ROW), 30)
                assert importing.counts(job) == (1, 1, 0, 0, 0)
                done, _ = await asyncio.wait(
                    [upload.answer for upload in places], timeout=30, return_when=asyncio.FIRST_COMPLETED
                )
                [displaced] = [upload for upload in places if upload.answer in done]
                assert displaced is not telephone
                status, problem = await displaced.answer
                assert (status, problem["error"]["status"]) == (503, "UNAVAILABLE")
                assert "comes slowly" in problem["error"]["message"]
                status, job = await asyncio.wait_for(telephone.answer, ANSWER_SECONDS_MAX)
                assert (status, importing.counts(job)) == (200, (7_900, 7_900, 0, 0, 0))
                owner = displaced._client
                job = await importing.taken(owner, displaced.outdial_id, displaced.content, key=displaced.key)
                assert importing.counts(job) == (7_900, 7_900, 0, 0, 0)
            finally:
                for upload in places:
                    await upload.__aexit__(None, None, None)
                for client in clients:
                    await client.http.aclose()


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_four_customers_whose_files_come_steadily_do_not_keep_a_fifth_waiting(
    databases: Databases, tmp_path: Path, kind: Kind
) -> None:
    rows = b"".join(b"Amy of the longer name,+1415555%04d\n" % (number % 10_000) for number in range(60_000))
    async with databases.fresh(kind) as url:
        with ServerProcess(url, tmp_path) as server:
            async with AsyncExitStack() as stack:
                places: list[Upload] = []
                for _ in range(turning.FILES_MAX // turning.CUSTOMER_FILES_MAX):
                    client = await stack.enter_async_context(Client(server.url, str(uuid4())))
                    outdial_id = (await client.outdial())["id"]
                    places += [
                        Upload(client, outdial_id, beginning=b"name,phone\n", rest=rows, rate=20 * 1_024)
                        for _ in range(turning.CUSTOMER_FILES_MAX)
                    ]
                for upload in places:
                    await stack.enter_async_context(upload)
                for upload in places:
                    await upload.runs()
                fifth = await stack.enter_async_context(Client(server.url, str(uuid4())))
                outdial = await fifth.outdial()
                waited = []
                for _ in range(2):  # its next one does not wait
                    job = await importing.taken(fifth, outdial["id"], ROW)
                    assert importing.counts(job) == (1, 1, 0, 0, 0)
                    waited.append(datetime.fromisoformat(job["tm_start"]) - datetime.fromisoformat(job["tm_create"]))
                seconds = [one.total_seconds() for one in waited]
                assert turning.PATIENCE_SECONDS - 1 < seconds[0] < BEGIN_SECONDS_MAX
                assert seconds[1] < turning.PATIENCE_SECONDS
                # the place is free before the answer has come
                answers = [upload.answer for upload in places]
                await asyncio.wait(answers, timeout=ANSWER_SECONDS_MAX, return_when=asyncio.FIRST_COMPLETED)
                done = [upload for upload in places if upload.answer.done()]
                for upload in done:
                    status, problem = await upload.answer
                    assert (status, problem["error"]["reason"]) == (503, "SERVICE_UNAVAILABLE")
                    assert "have no file under way" in problem["error"]["message"]
                assert len(done) == 1
                job = await importing.taken(done[0]._client, done[0].outdial_id, done[0].content, key=done[0].key)
                assert importing.counts(job) == (60_000, 60_000, 0, 0, 0)
