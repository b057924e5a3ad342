"""What one process lets pass: whom it refuses, and what that costs the others."""

import asyncio
from collections.abc import Callable

import pytest

from app import db
from app.auth import Viewer
from app.errors import RateLimited
from app.graphql.schema import schema
from app.graphql.schema.context import Context
from app.graphql.transport.execution import Execution, Operation
from app.rates import Kind, Limiter, limiter
from tests.support import factories
from tests.support.limiting import ALICE, BOB, Clock, Rows, at_once, row_of, settled, spend


async def test_a_customer_may_spend_its_bucket_and_not_a_point_more(
    limited: Callable[..., None], own: Clock, rows: Rows
) -> None:
    one = Limiter()
    await spend(one, 3_000)
    with pytest.raises(RateLimited, match=r"costs 1 points, .* 0 left\. Try again in 1 second\.") as late:
        await one.admit(ALICE, 1)
    assert late.value.retry_after_seconds == 1
    own.now += 0.5
    await one.admit(ALICE, 50)
    with pytest.raises(RateLimited):
        await one.admit(ALICE, 1)
    with pytest.raises(RateLimited) as later:
        await one.admit(ALICE, 2_500)
    assert later.value.retry_after_seconds == 25
    own.now += 24.99
    with pytest.raises(RateLimited):
        await one.admit(ALICE, 2_500)
    own.now += 0.01
    await one.admit(ALICE, 2_500)
    await settled(one)
    own.now += 3_600
    await spend(one, 3_000)
    with pytest.raises(RateLimited):
        await one.admit(ALICE, 1)


async def test_a_customer_at_its_limit_is_no_other_ones_concern(
    limited: Callable[..., None], own: Clock, rows: Rows
) -> None:
    one = Limiter()
    await spend(one, 3_000)
    for _ in range(100):
        with pytest.raises(RateLimited):
            await one.admit(ALICE, 50)
    at_once(one.admit(BOB, 50))
    assert one.state(BOB).remaining == 2_950


async def test_claims_go_on_a_little_longer_and_reports_for_ever(
    limited: Callable[..., None], own: Clock, rows: Rows
) -> None:
    one = Limiter()
    await spend(one, 3_000)
    for _ in range(6):
        await one.admit(ALICE, 50, Kind.CLAIM)
    with pytest.raises(RateLimited):
        await one.admit(ALICE, 1, Kind.CLAIM)
    for _ in range(1_000):
        at_once(one.admit(ALICE, 50, Kind.REPORT))
    await settled(one)
    # they are paid for by what else the customer does, but no more than a bucket is owed
    assert -3_000 - 50 <= rows.buckets[ALICE].points <= -3_000
    with pytest.raises(RateLimited) as late:
        await one.admit(ALICE, 1, Kind.CLAIM)
    assert late.value.retry_after_seconds <= 28
    assert one.state(ALICE).remaining == 0


async def test_reads_take_nothing_from_claims(limited: Callable[..., None], own: Clock, rows: Rows) -> None:
    """Whatever comes in goes to claims before reads, if those ask for all of it."""
    one = Limiter()
    await spend(one, 3_000)
    claimed = read = 0
    for _ in range(200):
        own.now += 0.1
        for kind in (Kind.OPERATION, Kind.CLAIM):
            try:
                await one.admit(ALICE, 10, kind)
            except RateLimited:
                continue
            claimed += kind is Kind.CLAIM
            read += kind is Kind.OPERATION
    assert claimed >= 198
    assert read <= 32


async def test_in_the_good_path_nothing_waits_and_nothing_is_sent(
    limited: Callable[..., None], own: Clock, database: str
) -> None:
    limited(20_000, 200_000)
    one, sent = Limiter(), db.statements.sent
    for _ in range(99):
        at_once(one.admit(ALICE, 100))
    assert (await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()}), db.statements.sent) == ([], sent)
    at_once(one.admit(ALICE, 100))  # half a share: it is charged, and nobody waits for it
    for _ in range(99):
        at_once(one.admit(ALICE, 100))
    await settled(one)
    assert 1 <= db.statements.sent - sent <= 4
    assert await row_of(ALICE) == 200_000 - 19_900


async def test_statements_of_an_operation_are_its_own(database: str, viewer: Viewer, own: Clock) -> None:
    one = Limiter()
    execution = Execution(schema, Context, limiter=one)
    await factories.make_outdial(viewer)
    for _ in range(3):
        before = db.statements.sent
        async with execution.answer(execution.prepare(Operation("{ outdials { nodes { name } } }"), viewer)) as answer:
            assert b'"name"' in answer.body
        assert db.statements.sent - before == 1
    assert one.state(viewer.customer_id).remaining == 500_000 - 3 * 1


async def test_a_sudden_burst_waits_until_the_row_is_charged(
    limited: Callable[..., None], own: Clock, rows: Rows
) -> None:
    one = Limiter()  # its share is 150
    work = [asyncio.create_task(one.admit(ALICE, 50)) for _ in range(70)]
    results = await asyncio.gather(*work, return_exceptions=True)
    assert [type(result) for result in results].count(type(None)) == 60
    assert [type(result) for result in results].count(RateLimited) == 10
    assert rows.charges <= 60


async def test_work_is_refused_before_it_is_prepared_only_near_the_limit(
    limited: Callable[..., None], own: Clock, rows: Rows
) -> None:
    one, asked = Limiter(), []

    def cost() -> int:
        asked.append(1)
        return 500

    assert one.refusal(ALICE, cost, Kind.OPERATION) is None
    await spend(one, 500)
    assert one.refusal(ALICE, cost, Kind.OPERATION) is None
    assert asked == []
    await spend(one, 2_000)
    assert one.refusal(ALICE, cost, Kind.OPERATION) is None
    await spend(one, 50)
    refused = one.refusal(ALICE, cost, Kind.OPERATION)
    assert refused is not None
    assert refused.retry_after_seconds == 1
    assert len(asked) == 2
    assert one.refusal(ALICE, cost, Kind.CLAIM) is None
    assert one.refusal(ALICE, cost, Kind.REPORT) is None
    assert one.state(ALICE).remaining == 450
    limited(0, 3_000)
    assert one.refusal(ALICE, cost, Kind.OPERATION) is None


def test_without_a_limit_nothing_is_counted(limited: Callable[..., None]) -> None:
    limited(0, 3_000)
    one = Limiter()
    for _ in range(1_000):
        at_once(one.admit(ALICE, 2_500))
    assert one.headers(ALICE) == {}
    state = one.state(ALICE)
    assert (state.limit, state.remaining) == (2_147_483_647, 2_147_483_647)
    assert not one._accounts


async def test_few_customers_are_remembered(
    limited: Callable[..., None], own: Clock, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limiter, "CUSTOMERS_MAX", 3)
    one = Limiter()
    for customer in ("a", "b", "c", "a", "d"):
        await one.admit(customer, 10)
    assert list(one._accounts) == ["c", "a", "d"]
