"""How many statements an operation takes: the same for one outdial and for a hundred, and none for what nobody asks."""

import asyncio
from collections.abc import Awaitable
from contextlib import aclosing
from typing import Any

import pytest

from app import attempts, db, events
from app.auth import Viewer
from app.graphql.schema import schema
from app.graphql.schema.context import Context
from app.graphql.transport.execution import Execution, Operation
from app.lifecycle import Disposition
from app.records import AttemptResult, AttemptStart
from tests.support import factories as make

EXECUTION = Execution(schema, Context)
TARGETS_EACH = 4

TARGET = """
    id outdialId key name detail data status doneReason priority maxTryCounts version nextTryAt
    tmCreate tmUpdate tmDelete
    destination0 { type target name } destination1 { type target name } tryCount0 tryCount1
    destinations { index tryCount maxTryCount usable destination { type target } }
"""
NESTED = f"""query($first: Int) {{ outdials(first: $first) {{
    edges {{ cursor }} pageInfo {{ hasNextPage hasPreviousPage startCursor endCursor }}
    nodes {{ id name state dialPolicy {{ maxTryCounts leaseSeconds }}
        targets(first: 3) {{ edges {{ cursor }} pageInfo {{ hasNextPage hasPreviousPage }} nodes {{
            {TARGET} outdial {{ id name }} currentAttempt {{ id state destination {{ target }} target {{ id name }} }}
        }} }} }} }} }}"""

# Each with the number of statements that it takes, whatever there is.
QUERIES: dict[str, tuple[str, int]] = {
    "viewer": ("{ viewer { customerId } }", 0),
    "outdials": ("query($first: Int) { outdials(first: $first) { nodes { id name } } }", 1),
    "outdials with their pages of targets and attempts under way": (NESTED, 4),
    "progress": ("query($first: Int) { outdials(first: $first) { nodes { progress { total idle attempts } } } }", 2),
    "total counts": (
        "query($first: Int) { outdials(first: $first) { totalCount nodes { targets { totalCount nodes { id } } } } }",
        4,
    ),
    "attempts of outdials": (
        """query($first: Int) { outdials(first: $first) { nodes {
            attempts(first: 5) { nodes { id target { name } } } } } }""",
        3,
    ),
    "attempts of targets": (
        """query($first: Int) { outdials(first: $first) { nodes { targets(first: 4) { nodes {
            attempts(first: 5) { nodes { id state } } } } } } }""",
        3,
    ),
    "two pages of each": (
        """query($first: Int) { outdials(first: $first) { nodes {
            idle: targets(where: {statuses: [IDLE]}) { nodes { id } }
            busy: targets(where: {statuses: [PROGRESSING]}) { nodes { id } } } } }""",
        3,
    ),
    "the event cursor": ("query($first: Int) { outdials(first: $first) { nodes { eventCursor } } }", 2),
}


async def fill(viewer: Viewer, outdials: int) -> list[str]:
    ids = []
    for _ in range(outdials):
        outdial = await make.make_outdial(viewer)
        await make.make_targets(viewer, outdial.id, TARGETS_EACH, destinations=2)
        await attempts.claim(viewer, outdial.id, limit=2)
        ids.append(outdial.id)
    return ids


async def statements(viewer: Viewer, query: str, **variables: Any) -> tuple[int, dict[str, Any]]:
    """How many statements the operation takes, and its data."""
    before = db.statements.sent
    payload = await EXECUTION.execute(EXECUTION.prepare(Operation(query, variables), viewer))
    assert "errors" not in payload, payload
    return db.statements.sent - before, payload["data"]


@pytest.mark.parametrize("name", QUERIES)
async def test_a_query_takes_a_fixed_number_of_statements(name: str, database: str, viewer: Viewer) -> None:
    query, wanted = QUERIES[name]
    variables = {"first": 100} if "$first" in query else {}
    await fill(viewer, 1)
    assert (await statements(viewer, query, **variables))[0] == wanted
    await fill(viewer, 24)
    number, data = await statements(viewer, query, **variables)
    assert number == wanted
    if "outdials" in data:
        assert len(data["outdials"]["nodes"]) == 25


async def test_a_hundred_outdials_cost_what_one_costs(database: str, viewer: Viewer) -> None:
    await fill(viewer, 100)
    query, wanted = QUERIES["outdials with their pages of targets and attempts under way"]
    number, data = await statements(viewer, query, first=100)
    assert number == wanted
    under_way = [
        target["currentAttempt"]["target"]["id"] == target["id"]
        for outdial in data["outdials"]["nodes"]
        for target in outdial["targets"]["nodes"]
        if target["currentAttempt"]
    ]
    assert under_way == [True] * len(under_way)
    assert len(under_way) >= 100


async def test_nodes_of_any_kind_take_a_fixed_number_of_statements(database: str, viewer: Viewer) -> None:
    query = """query($ids: [ID!]!) { nodes(ids: $ids) { id
        ... on Outdial { name } ... on OutdialTarget { outdial { name } } ... on Attempt { target { name } } } }"""
    ids = await fill(viewer, 10)
    targets = [target.id for outdial_id in ids for target in await make.make_targets(viewer, outdial_id, 2)]
    few, _ = await statements(viewer, query, ids=[ids[0], targets[0]])
    many, data = await statements(viewer, query, ids=ids + targets)
    assert [node["id"] for node in data["nodes"]] == ids + targets
    assert many == few


async def test_paging_on_costs_one_statement_more_at_any_depth(database: str, viewer: Viewer) -> None:
    """Whether there are rows before the page is asked for only where somebody pages."""
    outdial = await make.make_outdial(viewer)
    await make.make_targets(viewer, outdial.id, 300)
    query = """query($id: ID!, $after: String) { outdial(id: $id) { targets(first: 100, after: $after) {
        nodes { id } pageInfo { endCursor hasNextPage hasPreviousPage } } } }"""
    first, data = await statements(viewer, query, id=outdial.id)
    costs = []
    for _ in range(2):
        after = data["outdial"]["targets"]["pageInfo"]["endCursor"]
        cost, data = await statements(viewer, query, id=outdial.id, after=after)
        costs.append(cost)
    assert (first, costs) == (2, [3, 3])


async def test_a_batch_of_events_takes_a_fixed_number_of_statements(database: str, viewer: Viewer) -> None:
    query = """subscription($id: ID!, $after: EventCursor) { targetEvents(outdialId: $id, after: $after) {
        cursor events { version target { id name currentAttempt { id } outdial { name } } } } }"""
    costs = []
    for number in (1, 300):
        outdial = await make.make_outdial(viewer)
        after = events.cursor(outdial.id, await events.position(viewer.customer_id))
        await make.make_targets(viewer, outdial.id, number)
        await attempts.claim(viewer, outdial.id, limit=number // 2 or 1)
        before = db.statements.sent
        prepared = EXECUTION.prepare(Operation(query, {"id": outdial.id, "after": after}), viewer)
        async with asyncio.timeout(10), aclosing(EXECUTION.subscribe(prepared)) as batches:
            async for payload in batches:
                assert "errors" not in payload
                if payload["data"]["targetEvents"]["events"]:
                    costs.append(db.statements.sent - before)
                    break
    assert costs[0] == costs[1]


async def spent(work: Awaitable[Any]) -> tuple[int, Any]:
    """How many statements the work takes beside BEGIN and COMMIT, and its result."""
    before = db.statements.sent
    result = await work
    return db.statements.sent - before, result


@pytest.mark.parametrize("number", [1, 500])
@pytest.mark.parametrize("key", [None, "k"])
async def test_what_dialers_wait_for_takes_two_or_three_statements(
    postgres_url: str, viewer: Viewer, number: int, key: str | None
) -> None:
    """On PostgreSQL each is a trip. SQLite takes a unit of work in one hop to its thread, whatever it does."""
    await db.connect(postgres_url)
    try:
        outdial = await make.make_outdial(viewer, policy={"retry_interval_seconds": 0})
        await make.make_targets(viewer, outdial.id, number)
        claim = attempts.claim(viewer, outdial.id, limit=number, dialer="d", idempotency_key=key)
        cost, claimed = await spent(claim)
        ids = [attempt.id for attempt in claimed]
        assert (cost, len(ids)) == (2, number)
        cost, started = await spent(attempts.start(viewer, starts=[AttemptStart(one) for one in ids]))
        assert (cost, len(started.attempts)) == (3, number)
        cost, extended = await spent(attempts.extend(viewer, attempt_ids=ids))
        assert (cost, len(extended.attempts)) == (3, number)
        results = [AttemptResult(one, Disposition.BUSY) for one in ids]
        cost, completed = await spent(attempts.complete(viewer, results=results))
        assert (cost, len(completed.attempts)) == (3, number)
        claimed = await attempts.claim(viewer, outdial.id, limit=number)
        ids = [attempt.id for attempt in claimed]
        cost, released = await spent(attempts.release(viewer, attempt_ids=ids))
        assert (cost, len(released.attempts)) == (3, number)
    finally:
        await db.close()


async def test_reports_on_attempts_of_many_outdials_take_no_more_statements(postgres_url: str, viewer: Viewer) -> None:
    await db.connect(postgres_url)
    try:
        ids = []
        for _ in range(20):
            outdial = await make.make_outdial(viewer)
            await make.make_targets(viewer, outdial.id, 5)
            ids += [attempt.id for attempt in await attempts.claim(viewer, outdial.id, limit=5)]
        results = [AttemptResult(one, Disposition.DO_NOT_CALL) for one in ids]
        cost, completed = await spent(attempts.complete(viewer, results=results))
        assert (cost, len(completed.attempts)) == (3, 100)
    finally:
        await db.close()
