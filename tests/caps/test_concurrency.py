"""Many dialers that claim at once, also of several servers, make no try too many."""

import asyncio
from collections import Counter
from typing import Any

import pytest

from app import attempts, db
from app.auth import Viewer
from app.lifecycle import Disposition
from app.rows import destination as read_destination
from tests.support import factories as make
from tests.support import rows
from tests.support.capping import DAY, ONE, cap, capped, change_policy
from tests.support.graphql_client import Client
from tests.support.server import ServerProcess


async def test_two_lists_and_twenty_claimers_make_no_try_too_many(database: str, viewer: Viewer) -> None:
    """A number on two lists, three times on each, and many others that are not held."""
    lists = [await capped(viewer, cap(3)) for _ in range(2)]
    for outdial in lists:
        numbers = [ONE, ONE, ONE, *(make.phone_number() for _ in range(20))]
        await make.create_many(viewer, outdial.id, [make.target_draft(number) for number in numbers])
    taken: list[str] = []

    async def claimer(number: int) -> None:
        for _ in range(6):
            found = await attempts.claim(viewer, lists[number % 2].id, limit=2)
            taken.extend(attempt.destination.target for attempt in found)
            for attempt in found:
                if attempt.destination.target == ONE:
                    make.one(await make.complete(viewer, attempt.id, Disposition.BUSY))

    await asyncio.gather(*map(claimer, range(20)))
    assert taken.count(ONE) == 3
    rows.check(await rows.of(database, viewer.customer_id))


@pytest.mark.slow
async def test_twenty_claimers_of_three_servers_make_no_try_too_many(
    postgres_url: str, tmp_path_factory: pytest.TempPathFactory, viewer: Viewer
) -> None:
    servers = [ServerProcess(postgres_url, tmp_path_factory.mktemp("server")) for _ in range(3)]
    try:
        await asyncio.gather(*[server.started() for server in servers])
        clients = [Client(server.url, viewer.customer_id) for server in servers]
        policy = {"retryIntervalSeconds": 0, "maxTryCounts": [9] * 5}
        policy |= {"caps": [{"tries": 3, "windowSeconds": DAY, "per": "ADDRESS", "over": "CUSTOMER"}]}
        lists = [await clients[0].outdial(dialPolicy=policy) for _ in range(2)]
        shared = [make.phone_number() for _ in range(10)]
        for outdial in lists:
            drafts = [{"destination0": {"target": number}} for number in shared * 3]
            await clients[0].run(
                "mutation($input: CreateTargetsInput!) { createTargets(input: $input) { createdCount } }",
                input={"outdialId": outdial["id"], "targets": drafts},
            )
        claim = "mutation($input: ClaimTargetsInput!) { claimTargets(input: $input) { attempts { id destination { target } } } }"  # noqa: E501
        report = (
            "mutation($input: CompleteAttemptsInput!) { completeAttempts(input: $input) { userErrors { message } } }"
        )
        taken: list[str] = []

        async def claimer(number: int) -> None:
            client, outdial = clients[number % 3], lists[number % 2]
            for _ in range(8):
                wish = {"outdialId": outdial["id"], "limit": 3}
                found = (await client.run(claim, input=wish))["claimTargets"]["attempts"]
                taken.extend(attempt["destination"]["target"] for attempt in found)
                if found:
                    results = [{"attemptId": attempt["id"], "disposition": "BUSY"} for attempt in found]
                    await client.run(report, input={"results": results})

        await asyncio.gather(*map(claimer, range(20)))
        assert Counter(taken) == dict.fromkeys(shared, 3)
        await asyncio.gather(*[client.http.aclose() for client in clients])
        for server in servers:
            server.stop()
    finally:
        for server in servers:
            server.kill()


async def test_a_policy_that_changes_under_claims_holds_from_its_answer_on(database: str, viewer: Viewer) -> None:
    """A claim that was answered before the change may have taken more; none that began after it does."""
    outdial = await capped(viewer)
    numbers = [make.phone_number() for _ in range(30)]
    await make.create_many(viewer, outdial.id, [make.target_draft(number) for number in numbers])
    changed_at: list[Any] = []

    async def claimer() -> None:
        for _ in range(12):
            for attempt in await attempts.claim(viewer, outdial.id, limit=5):
                make.one(await make.complete(viewer, attempt.id, Disposition.BUSY))

    async def owner() -> None:
        await asyncio.sleep(0.02)
        await change_policy(viewer, outdial, caps=(cap(1),))
        changed_at.append(await db.now())

    await asyncio.gather(owner(), *[claimer() for _ in range(4)])
    made = await db.fetch("SELECT destination, claimed_at FROM attempt WHERE customer_id = $1", viewer.customer_id)
    later: Counter[str] = Counter()
    before: Counter[str] = Counter()
    for row in made:
        place = read_destination(row["destination"])
        assert place is not None
        (later if row["claimed_at"] > changed_at[0] else before)[place.target] += 1
    assert all(count == 1 and before[number] == 0 for number, count in later.items())
