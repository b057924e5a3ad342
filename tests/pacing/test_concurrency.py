"""Many dialers that claim at once, also of several servers, are never faster than the pace."""

import asyncio
import time
from datetime import timedelta
from typing import Any

import pytest

from app import attempts, db, outdials
from app.auth import Viewer
from app.lifecycle import Disposition
from app.pacing import Pacing
from tests.support import factories as make
from tests.support import rows
from tests.support.graphql_client import Client
from tests.support.pacing import change_policy, ledger, most_open, most_within, paced
from tests.support.server import ServerProcess

SECOND = timedelta(seconds=1)
DIALERS = 20
CLAIM = """
    mutation($input: ClaimTargetsInput!) {
        claimTargets(input: $input) { attempts { id } throttledUntil userErrors { message } }
    }
"""
REPORT = "mutation($input: CompleteAttemptsInput!) { completeAttempts(input: $input) { userErrors { message } } }"


async def test_twenty_claimers_never_open_one_too_many(database: str, viewer: Viewer) -> None:
    outdial = await paced(viewer, max_open=7, targets=60)
    taken = 0

    async def claimer() -> None:
        nonlocal taken
        for _ in range(6):
            found = await attempts.claim(viewer, outdial.id, limit=3)
            taken += len(found)
            for attempt in found:
                make.one(await make.complete(viewer, attempt.id, Disposition.BUSY))

    async def watcher() -> None:
        while True:
            assert (await outdials.progress(viewer, [outdial.id]))[outdial.id].progressing <= 7
            await asyncio.sleep(0.01)

    watching = asyncio.create_task(watcher())
    await asyncio.gather(*[claimer() for _ in range(DIALERS)])
    assert not watching.done()
    watching.cancel()
    assert most_open(await ledger(viewer)) == 7
    assert taken > DIALERS
    rows.check(await rows.of(database, viewer.customer_id))


async def test_twenty_claimers_never_claim_one_too_many_in_a_second(database: str, viewer: Viewer) -> None:
    outdial = await paced(viewer, rate=50, targets=400)
    ends = time.monotonic() + 2.5

    async def claimer() -> None:
        while time.monotonic() < ends:
            await attempts.claim(viewer, outdial.id, limit=4)
            await asyncio.sleep(0)

    await asyncio.gather(*[claimer() for _ in range(DIALERS)])
    tries = await ledger(viewer)
    assert most_within(tries, SECOND) == 50
    assert len(tries) >= 100
    rows.check(await rows.of(database, viewer.customer_id))


async def test_claims_that_are_gathered_share_what_the_pace_allows(database: str, viewer: Viewer) -> None:
    outdial = await paced(viewer, rate=5, targets=30)
    found = await asyncio.gather(*[attempts.claim(viewer, outdial.id, limit=2) for _ in range(6)])
    assert sum(map(len, found)) == 5
    for one in found:
        assert (one.throttled_until is None) == (len(one) == 2)
    untils = [one.throttled_until for one in found if one.throttled_until is not None]
    first = min(claimed for claimed, _ in await ledger(viewer))
    assert set(untils) == {first + SECOND}


async def test_a_pace_that_is_set_under_claims_holds_from_its_answer_on(database: str, viewer: Viewer) -> None:
    """What is open stays open. Nothing is claimed until enough has ended."""
    outdial = await paced(viewer, targets=300)
    changed_at: list[Any] = []

    async def claimer() -> None:
        for _ in range(25):
            for attempt in await attempts.claim(viewer, outdial.id, limit=2):
                make.one(await make.complete(viewer, attempt.id, Disposition.BUSY))

    async def owner() -> None:
        await asyncio.sleep(0.02)
        for most in (1, None, 2):
            await change_policy(viewer, outdial, pacing=Pacing(most, None))
            changed_at.append(await db.now())
            await asyncio.sleep(0.02)

    await asyncio.gather(owner(), *[claimer() for _ in range(6)])
    tries = await ledger(viewer)
    late = [claimed for claimed, _ in tries if claimed > changed_at[-1]]
    assert len(late) > 10
    for at in late:  # with those of before that are still open
        assert sum(claimed <= at and (ended is None or ended > at) for claimed, ended in tries) <= 2
    rows.check(await rows.of(database, viewer.customer_id))


async def test_limits_below_what_is_open_take_nothing_back(database: str, viewer: Viewer) -> None:
    outdial = await paced(viewer, targets=6)
    opened = list(await attempts.claim(viewer, outdial.id, limit=4))
    await change_policy(viewer, outdial, pacing=Pacing(2, None))
    for _ in range(2):
        assert await attempts.claim(viewer, outdial.id, limit=2) == []
        make.one(await make.complete(viewer, opened.pop().id, Disposition.BUSY))
    assert await attempts.claim(viewer, outdial.id, limit=2) == []
    make.one(await make.complete(viewer, opened.pop().id, Disposition.BUSY))
    assert len(await attempts.claim(viewer, outdial.id, limit=2)) == 1
    assert len(opened) == 1


@pytest.mark.slow
@pytest.mark.parametrize("pacing", [{"maxOpenAttempts": 7}, {"claimsPerSecond": 50}], ids=str)
async def test_twenty_dialers_of_four_servers_are_never_faster_than_the_pace(
    postgres_url: str, tmp_path_factory: pytest.TempPathFactory, viewer: Viewer, pacing: dict[str, int]
) -> None:
    servers = [ServerProcess(postgres_url, tmp_path_factory.mktemp("server")) for _ in range(4)]
    try:
        await asyncio.gather(*[server.started() for server in servers])
        await db.connect(postgres_url)
        clients = [Client(server.url, viewer.customer_id) for server in servers]
        policy = {"retryIntervalSeconds": 0, "maxTryCounts": [100] * 5, "pacing": pacing}
        outdial = await clients[0].outdial(dialPolicy=policy)
        await make.make_targets(viewer, outdial["id"], 600)
        ends, most_seen, throttled = time.monotonic() + 8, 0, 0

        async def dialer(number: int) -> None:
            nonlocal throttled
            client = clients[number % 4]
            while time.monotonic() < ends:
                answer = (await client.run(CLAIM, input={"outdialId": outdial["id"], "limit": 10}))["claimTargets"]
                assert answer["userErrors"] == []
                throttled += answer["throttledUntil"] is not None
                found = answer["attempts"]
                await asyncio.sleep(0.02)
                if found:
                    results = [{"attemptId": attempt["id"], "disposition": "BUSY"} for attempt in found]
                    await client.run(REPORT, input={"results": results})

        async def watcher() -> None:
            nonlocal most_seen
            while time.monotonic() < ends:
                said = await outdials.progress(viewer, [outdial["id"]])
                most_seen = max(most_seen, said[outdial["id"]].progressing)
                await asyncio.sleep(0.005)

        await asyncio.gather(watcher(), *map(dialer, range(DIALERS)))
        tries = await ledger(viewer)
        if "maxOpenAttempts" in pacing:
            assert most_open(tries) == 7
            assert 0 < most_seen <= 7
        else:
            assert most_within(tries, SECOND) <= 50
        assert throttled > 10
        await asyncio.gather(*[client.http.aclose() for client in clients])
        for server in servers:
            server.stop()
    finally:
        await db.close()
        for server in servers:
            server.kill()
