"""After a crash PostgreSQL gives transaction ids out again that were taken before it and never written.

So nobody who reads the log may stay at such an id: what a new transaction writes under it would be passed by.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, aclosing
from typing import Any

import asyncpg
import psutil
import pytest

from app import attempts, db, events, outdials
from app.auth import Viewer
from app.events import epochs, horizon
from app.records import EventBatch
from tests.support import factories, postgres

BURNED_IDS = 300
RECOVERY_SECONDS_MAX = 60
TAKE_ID = "SELECT CAST(CAST(pg_current_xact_id() AS text) AS bigint)"


@pytest.fixture(scope="module")
def server() -> Iterator[postgres.OwnServer]:
    """It acknowledges what is on its disk, and nothing but a commit or a full page takes anything there."""
    settings = {"synchronous_commit": "on", "wal_writer_delay": "10s", "autovacuum": "off"}
    with postgres.OwnServer(settings) as own:
        yield own


@pytest.fixture
async def url(server: postgres.OwnServer) -> AsyncIterator[str]:
    url = await postgres.create_database(server.url)
    await db.migrate(url)
    await db.connect(url)
    try:
        yield url
    finally:
        await db.close()
        await postgres.drop_database(server.url, url)


async def burn(url: str) -> int:
    """Take ids that no record of the disk tells of. The last one."""
    connection = await asyncpg.connect(url)
    try:
        for _ in range(BURNED_IDS):
            await connection.execute("BEGIN")
            last: int = await connection.fetchval(TAKE_ID)
            await connection.execute("ROLLBACK")
    finally:
        await connection.close()
    return last


async def crash(url: str) -> None:
    """A session is killed: PostgreSQL ends all others, and recovers from its log."""
    victim, other = [await asyncpg.connect(url) for _ in range(2)]
    psutil.Process(victim.get_server_pid()).kill()
    async with asyncio.timeout(RECOVERY_SECONDS_MAX):
        while not other.is_closed():  # noqa: ASYNC110 - it is another process
            await asyncio.sleep(0.01)
        while not await _is_back(url):  # noqa: ASYNC110 - it is another process
            await asyncio.sleep(0.05)
    victim.terminate()


async def _is_back(url: str) -> bool:
    try:
        connection = await asyncpg.connect(url)
    except (OSError, asyncpg.PostgresError):
        return False
    await connection.close()
    try:
        await db.ping()  # the pool has noticed, too
    except Exception:  # noqa: BLE001 - it is asked again
        return False
    return True


async def end_of(viewer: Viewer, outdial_id: str) -> str:
    """As eventCursor gives it."""
    upto = await events.position(viewer.customer_id)
    return events.cursor(outdial_id, (await events.ends(viewer, [outdial_id], upto=upto))[outdial_id])


async def test_no_reader_of_targets_stays_at_an_id_that_is_given_out_again(url: str, viewer: Viewer) -> None:
    """Neither one that follows, nor one that begins, nor the cursor of a page, nor that of an empty batch."""
    outdial = await factories.make_outdial(viewer)
    await factories.make_target(viewer, outdial.id)
    quiet = await factories.make_outdial(viewer)
    async with AsyncExitStack() as stack:

        async def follow(outdial_id: str, after: str | None = None) -> AsyncIterator[EventBatch]:
            stream = await stack.enter_async_context(aclosing(events.tail(viewer, outdial_id, after=after)))
            opening = await anext(stream)
            cursors.append(opening.cursor)
            return stream

        cursors: list[str] = []
        from_the_start = await follow(outdial.id, await end_of(viewer, outdial.id))
        burned = await burn(url)
        at_the_end, at_no_event = await follow(outdial.id), await follow(quiet.id)
        pages = [await end_of(viewer, outdial.id), cursors[-2]]
        quiet_pages = [await end_of(viewer, quiet.id), cursors[-1]]
        waiting = [asyncio.ensure_future(anext(stream)) for stream in (from_the_start, at_the_end, at_no_event)]
        await asyncio.sleep(0.5)  # each has read on to the present
        owner = await epochs.owner(viewer.customer_id)
        assert (await horizon.horizon(owner)).position.tx > burned
        await crash(url)
        assert (await horizon.horizon(owner)).position.tx < burned, "no id is given out again: nothing is shown"
        new = (await factories.make_target(viewer, outdial.id)).id
        new_there = (await factories.make_target(viewer, quiet.id)).id
        batches = await asyncio.wait_for(asyncio.gather(*waiting), 30)
        assert [[event.target_id for event in batch.events] for batch in batches] == [[new], [new], [new_there]]
        for outdial_id, target_id, after in [
            *((outdial.id, new, page) for page in pages),
            *((quiet.id, new_there, page) for page in quiet_pages),
        ]:
            async with aclosing(events.tail(viewer, outdial_id, after=after)) as stream:
                replay = await anext(stream)
            assert (replay.gap, [event.target_id for event in replay.events]) == (None, [target_id])


async def test_no_reader_of_outdials_stays_at_an_id_that_is_given_out_again(url: str, viewer: Viewer) -> None:
    await factories.make_outdial(viewer)
    await burn(url)
    async with aclosing(events.outdial_changes(viewer)) as early, aclosing(events.outdial_changes(viewer)) as late:
        waiting: list[asyncio.Future[Any]] = [asyncio.ensure_future(anext(early))]
        await asyncio.sleep(0.3)
        await burn(url)
        waiting.append(asyncio.ensure_future(anext(late)))
        await asyncio.sleep(0.3)
        await crash(url)
        new = (await factories.make_outdial(viewer)).id
        assert [event.outdial_id for event in await asyncio.wait_for(asyncio.gather(*waiting), 30)] == [new, new]


async def test_who_waits_for_a_deleted_outdials_last_events_is_not_kept_for_ids_that_never_come(
    url: str, viewer: Viewer
) -> None:
    outdial = await factories.make_outdial(viewer)
    target = await factories.make_target(viewer, outdial.id)
    await burn(url)
    async with aclosing(events.tail(viewer, outdial.id)) as stream:
        await anext(stream)
        rest = asyncio.ensure_future(_all(stream))
        await attempts.claim(viewer, outdial.id, limit=1)
        await burn(url)
        await crash(url)
        await outdials.delete(viewer, outdial.id)
        told = await asyncio.wait_for(rest, 30)
    assert {event.target_id for event in told} == {target.id}


async def _all(stream: AsyncIterator[EventBatch]) -> list[Any]:
    return [event async for batch in stream for event in batch.events]
