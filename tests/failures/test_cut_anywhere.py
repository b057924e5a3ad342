"""A connection that is cut after any number of bytes, of the login too: the next call is right, or UNAVAILABLE."""

from collections import Counter
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import pytest

from app import attempts, db, targets
from app.auth import Viewer
from app.db import connections
from app.db.configuration import POSTGRES
from app.errors import Unavailable
from tests.support import factories, rows
from tests.support.cutting import CuttingProxy

BYTES = [*range(1, 1_200, 60), *range(1_200, 12_000, 350)]


@pytest.mark.slow
@pytest.mark.parametrize("of_answers", [True, False])
async def test_wherever_a_connection_is_cut_calls_are_right_or_unavailable(
    postgres_url: str, viewer: Viewer, *, of_answers: bool
) -> None:
    port = urlsplit(postgres_url).port
    assert port
    ends: Counter[str] = Counter()
    async with CuttingProxy(port, after=0, cuts=0, of_answers=of_answers) as proxy:
        await db.connect(postgres_url.replace(f":{port}", f":{urlsplit(proxy.url).port}"), pool_size=1)
        try:
            outdial = await factories.make_outdial(viewer, policy={"retry_interval_seconds": 0})
            made = 0

            async def create() -> None:
                nonlocal made
                await factories.make_targets(viewer, outdial.id, 3)
                made += 3

            async def dial() -> None:
                for attempt in await attempts.claim(viewer, outdial.id, limit=2):
                    await factories.complete(viewer, attempt.id)

            async def read() -> None:
                await db.fetch_within(
                    30, "SELECT count(*) AS number FROM target WHERE customer_id = $1", viewer.customer_id
                )
                with suppress(KeyError):
                    await targets.get_many(viewer, [outdial.id])

            pool: Any = connections.client(POSTGRES)
            for after in BYTES:
                await pool._expire_connections()
                proxy._after, proxy.cuts_left = after, 1
                for work in (create, dial, read):
                    try:
                        await work()
                    except Unavailable:
                        ends["unavailable"] += 1
                    else:
                        ends["right"] += 1
                ends["cut"] += proxy.cuts_left == 0
            proxy.cuts_left = 0
            await db.ping()
        finally:
            await db.close()
    assert ends["cut"] > len(BYTES) // 2
    assert ends["unavailable"] < len(BYTES) // 5  # the others run again, on another connection
    tables = await rows.of(postgres_url, viewer.customer_id)
    rows.check(tables)
    rows.check_events(tables)
    assert len(tables["target"]) >= made
