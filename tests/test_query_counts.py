"""How many statements an operation takes: the same for one outdial and for a hundred, and none for what nobody asks."""

import asyncio
from collections.abc import Awaitable
from contextlib import aclosing
from typing import Any

import orjson
import pytest

from app import attempts, codes, db, events, exports, idempotency, imports
from app.auth import Viewer
from app.graphql.schema import schema
from app.graphql.schema.context import Context
from app.graphql.transport.execution import Execution, Operation
from app.lifecycle import Disposition
from app.records import AttemptResult, AttemptStart, ResultCodeDraft
from app.store import desks
from tests.support import factories as make

EXECUTION = Execution(schema, Context)
TARGETS_EACH = 4
PATIENT_SECONDS = 60.0
"""A report of which more than `DECIDED_SECONDS_MAX` went by is decided again: on a busy machine, any."""

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
    "result codes": ("{ resultCodes { code label disposition isRightParty isConversion isRetired } }", 1),
    "outdials": ("query($first: Int) { outdials(first: $first) { nodes { id name } } }", 1),
    "outdials with their pages of targets and attempts under way": (NESTED, 4),
    "progress": ("query($first: Int) { outdials(first: $first) { nodes { progress { total idle attempts } } } }", 2),
    "breakers": ("query($first: Int) { outdials(first: $first) { nodes { breaker { state calls } } } }", 2),
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
    "the event cursor": ("query($first: Int) { outdials(first: $first) { nodes { eventCursor } } }", 3),
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
    if name == "the event cursor" and not db.is_postgres():
        wanted -= 1  # the end of the file's log is that of each outdial's, too
    variables = {"first": 100} if "$first" in query else {}
    await fill(viewer, 1)
    assert (await statements(viewer, query, **variables))[0] == wanted
    await fill(viewer, 24)
    number, data = await statements(viewer, query, **variables)
    assert number == wanted
    if "outdials" in data:
        assert len(data["outdials"]["nodes"]) == 25


async def test_no_reading_asks_only_for_the_time(database: str, viewer: Viewer, said: list[str]) -> None:
    """Housekeeping reads every second, also on a server that nobody uses."""
    [outdial_id] = await fill(viewer, 1)
    said.clear()
    await attempts.sweep()
    await imports.end_abandoned()
    await imports.prune(days=1)
    await idempotency.purge(limit=10)
    assert len(said) == 4
    for export in (exports.of_targets, exports.of_attempts):
        said.clear()
        async for _ in await export(viewer, outdial_id, form=exports.Form.CSV):
            pass
        assert len(said) <= 3
        assert all(" FROM " in sql for sql in said)


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


async def test_paging_on_costs_no_statement_more_at_any_depth(database: str, viewer: Viewer) -> None:
    """Whether there are rows before the page is read together with the page."""
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
    assert (first, costs) == (2, [2, 2])


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
            async for response in batches:
                payload = orjson.loads(bytes(response))
                assert "errors" not in payload
                if payload["data"]["targetEvents"]["events"]:
                    costs.append(db.statements.sent - before)
                    break
    assert costs[0] == costs[1]


@pytest.mark.parametrize(
    ("selected", "more"), [("name key", 0), (TARGET, 1), ("attempts(first: 1) { nodes { state } } name", 1)]
)
async def test_targets_of_new_attempts_take_no_statement_and_are_those_of_a_fresh_read(
    database: str, viewer: Viewer, selected: str, more: int
) -> None:
    """What is inside of the targets takes as many as ever."""
    outdial = await make.make_outdial(viewer)
    texts = {"max_try_counts": (2, 1, 0, 4, 5), "detail": "detail", "data": '{"a": "\\u2028"}', "priority": 3}
    for number in range(12):
        await make.make_target(viewer, outdial.id, key=f"key {number}", name=f"name {number}", **texts)
    costs, nested = {}, f"target {{ {selected} }}"
    for key, answer in ((None, "dialer"), (None, nested), ("a", "dialer"), ("b", nested)):
        claim = f"""mutation($id: ID!, $key: String) {{
            claimTargets(input: {{outdialId: $id, limit: 2, idempotencyKey: $key}}) {{
                attempts {{ id {answer} }} }} }}"""
        for _ in range(2):  # the second time it is compiled, and with a key it finds the first one's answer
            costs[key], data = await statements(viewer, claim, id=outdial.id, key=key)
        made = data["claimTargets"]["attempts"]
        assert len(made) == 2
        _, fresh = await statements(
            viewer,
            f"query($ids: [ID!]!) {{ nodes(ids: $ids) {{ ... on Attempt {{ id {answer} }} }} }}",
            ids=[attempt["id"] for attempt in made],
        )
        sent, read = (orjson.dumps(nodes, None, orjson.OPT_UTC_Z) for nodes in (made, fresh["nodes"]))
        assert sent == read
        costs[key, answer] = costs.pop(key)
    assert costs[None, nested] == costs[None, "dialer"] + more
    assert costs["b", nested] == costs["a", "dialer"] + more + 1


async def spent(work: Awaitable[Any]) -> tuple[int, Any]:
    """How many statements the work takes beside BEGIN and COMMIT, and its result."""
    before = db.statements.sent
    result = await work
    return db.statements.sent - before, result


@pytest.mark.parametrize("number", [1, 500])
@pytest.mark.parametrize("key", [None, "k"])
async def test_what_dialers_wait_for_takes_two_or_three_statements(
    postgres_url: str, viewer: Viewer, number: int, key: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On PostgreSQL each is a trip. SQLite takes a unit of work in one hop to its thread, whatever it does."""
    monkeypatch.setattr(desks, "DECIDED_SECONDS_MAX", PATIENT_SECONDS)
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


@pytest.mark.parametrize("number", [1, 100])
async def test_results_with_codes_take_no_more_statements(
    postgres_url: str, viewer: Viewer, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desks, "DECIDED_SECONDS_MAX", PATIENT_SECONDS)
    await db.connect(postgres_url)
    try:
        await codes.set_all(viewer, drafts=[ResultCodeDraft(f"C{one}", "x", Disposition.BUSY) for one in range(200)])
        outdial = await make.make_outdial(viewer)
        await make.make_targets(viewer, outdial.id, number)
        claimed = await attempts.claim(viewer, outdial.id, limit=number)
        results = [
            AttemptResult(attempt.id, Disposition.BUSY, code=f"C{index}") for index, attempt in enumerate(claimed)
        ]
        cost, completed = await spent(attempts.complete(viewer, results=results))
        assert (cost, len(completed.attempts)) == (3, number)
        assert [attempt.code for attempt in completed.attempts] == [f"C{index}" for index in range(number)]
    finally:
        await db.close()


async def test_reports_on_attempts_of_many_outdials_take_no_more_statements(postgres_url: str, viewer: Viewer) -> None:
    await db.connect(postgres_url)
    try:
        ids = []
        for _ in range(20):
            outdial = await make.make_outdial(viewer)
            await make.make_targets(viewer, outdial.id, 10)
            ids += [attempt.id for attempt in await attempts.claim(viewer, outdial.id, limit=10)]
        # a wish not to be called is saved alone, with the address and what is claimed there
        for disposition, most in ((Disposition.BUSY, 3), (Disposition.DO_NOT_CALL, 9)):
            now, ids = ids[:100], ids[100:]
            results = [AttemptResult(one, disposition) for one in now]
            cost, completed = await spent(attempts.complete(viewer, results=results))
            assert (cost, len(completed.attempts)) == (most, 100)
    finally:
        await db.close()
