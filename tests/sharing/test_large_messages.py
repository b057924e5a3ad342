"""Messages of subscriptions are bounded and paid for, whatever they are made of."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from app import bounds, costs
from app.auth import Viewer
from app.graphql.transport import messages
from app.graphql.transport.execution import Operation
from app.graphql.transport.masking import NotExecuted
from app.rates import Limiter, limiter
from app.records import Outdial
from app.settings import Settings
from tests.support import factories
from tests.support.subscribing import EVENTS, Counting, Subscriber
from tests.support.waiting import until

MIB = 1024 * 1024
WITH_TARGETS = """subscription ($id: ID!, $after: EventCursor) {
    targetEvents(outdialId: $id, after: $after) { cursor events { version target { data } } } }"""
WITH_PAGES = """subscription ($id: ID!) {
    targetEvents(outdialId: $id) { events { target { outdial { targets(first: 4) { nodes { data } } } } } } }"""


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    def be(**given: int) -> None:
        monkeypatch.setattr(bounds, "_settings", Settings.model_construct(**given))

    return be


class Aside:
    """Counts the messages that are encoded beside the loop."""

    def __init__(self, execution: Counting) -> None:
        self.number = 0
        self._encode = execution._room.encode
        execution._room.encode = self._counted  # type: ignore[method-assign]

    async def _counted(self, *given: Any) -> bytes:
        self.number += 1
        return await self._encode(*given)


async def make(viewer: Viewer, outdial: Outdial, count: int, *, characters: int) -> None:
    drafts = [factories.target_draft(factories.phone_number(), data="x" * characters) for _ in range(count)]
    await factories.create_many(viewer, outdial.id, drafts)


async def test_a_large_message_is_made_beside_the_loop_and_not_beyond_its_limit(
    execution: Counting, viewer: Viewer, outdial: Outdial, company: Any, limits: Any
) -> None:
    aside = Aside(execution)
    limits(answer_bytes_max=MIB)
    [one] = await company(Subscriber(execution, viewer, WITH_TARGETS, id=outdial.id))
    await make(viewer, outdial, 1, characters=60_000)
    await until(lambda: one.payloads[-1]["data"]["targetEvents"]["events"])
    assert aside.number == 0
    cursor = one.payloads[-1]["data"]["targetEvents"]["cursor"]
    await make(viewer, outdial, messages.ROWS_SMALL + 1, characters=10_000)  # 1,010,000 bytes and their names
    await until(lambda: len(one.payloads[-1]["data"]["targetEvents"]["events"]) == messages.ROWS_SMALL + 1)
    assert aside.number == 1
    await make(viewer, outdial, messages.ROWS_SMALL + 10, characters=10_000)
    await until(lambda: one.errors)
    assert one.errors[0]["extensions"]["code"] == "LIMIT_EXCEEDED"
    assert execution._room.taken == 0
    # it can be had with less of each target, from where the last message ended
    [less] = await company(Subscriber(execution, viewer, EVENTS, id=outdial.id, after=cursor))
    await until(lambda: sum(len(each["data"]["targetEvents"]["events"]) for each in less.payloads) == 211)


async def test_pages_within_events_count_like_a_large_answer(
    execution: Counting, viewer: Viewer, outdial: Outdial, company: Any, limits: Any
) -> None:
    aside = Aside(execution)
    limits(answer_bytes_max=MIB)
    await make(viewer, outdial, 4, characters=60_000)
    [one] = await company(Subscriber(execution, viewer, WITH_PAGES, id=outdial.id))
    assert aside.number == len(one.payloads)
    await make(viewer, outdial, 4, characters=60_000)  # four times four of them
    await until(lambda: one.payloads[-1]["data"]["targetEvents"]["events"])
    await make(viewer, outdial, 5, characters=60_000)
    await until(lambda: one.errors)
    assert one.errors[0]["extensions"]["code"] == "LIMIT_EXCEEDED"


def test_a_batch_of_events_is_judged_as_long_as_it_may_be(execution: Counting, viewer: Viewer) -> None:
    query = WITH_PAGES.replace("first: 4", "first: 50")
    with pytest.raises(NotExecuted, match=r"could return 25,501 objects\. The limit is 25,000"):
        execution.prepare(Operation(query, {"id": "x"}), viewer)
    prepared = execution.prepare(Operation(WITH_PAGES, {"id": "x"}), viewer)
    assert prepared.size.nodes == 1 + 500 * 5
    assert prepared.points == costs.SUBSCRIPTION_POINTS


def test_the_interval_of_messages_is_no_number_of_objects(execution: Counting, viewer: Viewer) -> None:
    query = """subscription($ids: [ID!]!, $every: Int!) { outdialProgress(outdialIds: $ids, intervalMs: $every) {
        outdials { progress { total } } } }"""
    for ids in (["x"], ["x"] * 100):
        prepared = execution.prepare(Operation(query, {"ids": ids, "every": 500}), viewer)
        assert prepared.size.nodes == len(ids)
    literal = query.replace(", $every: Int!", "").replace("$every", "500")
    assert execution.prepare(Operation(literal, {"ids": ["x"]}), viewer).size.nodes == 1


async def test_a_message_is_paid_for_once_by_its_bytes(
    execution: Counting, viewer: Viewer, outdial: Outdial, company: Any, limits: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits(rate_points_per_second=1, rate_points_burst=100_000)
    charged: list[int] = []
    charge = execution.limiter.charge

    def counted(customer_id: str, points: int) -> None:
        assert customer_id == viewer.customer_id
        charged.append(points)
        charge(customer_id, points)

    monkeypatch.setattr(execution.limiter, "charge", counted)
    ten = await company(*(Subscriber(execution, viewer, WITH_TARGETS, id=outdial.id) for _ in range(10)))
    charged.clear()
    await make(viewer, outdial, 1, characters=60_000)
    await until(lambda: all(len(one.payloads) > 1 for one in ten))
    assert charged == [costs.message(60_000)] == [1 + 60_000 // 16_384]


async def test_messages_of_a_customer_who_owes_points_wait_and_do_not_end(
    execution: Counting, viewer: Viewer, outdial: Outdial, company: Any, limits: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits(rate_points_per_second=1, rate_points_burst=2_500)
    monkeypatch.setattr(limiter, "PACE_SECONDS_MAX", 0.2)
    paused: list[float] = []
    pace = execution.limiter.pace

    async def counted(customer_id: str) -> None:
        began = asyncio.get_running_loop().time()
        await pace(customer_id)
        paused.append(asyncio.get_running_loop().time() - began)

    monkeypatch.setattr(execution.limiter, "pace", counted)
    [one] = await company(Subscriber(execution, viewer, WITH_TARGETS, id=outdial.id))
    await make(viewer, outdial, 1, characters=10)
    await until(lambda: len(one.payloads) == 2)
    assert max(paused) < 0.1
    for _ in range(3):
        execution.limiter.charge(viewer.customer_id, 1_000)
    await make(viewer, outdial, 1, characters=10)
    await until(lambda: len(one.payloads) == 3)
    assert paused[-1] >= 0.2
    assert not one.errors


async def test_who_owes_nothing_waits_for_nothing(limits: Any) -> None:
    limits(rate_points_per_second=1, rate_points_burst=2_500)
    one = Limiter()
    for owed in (0, 2_500):
        one.charge("a", owed)
        with pytest.raises(StopIteration):
            one.pace("a").send(None)  # type: ignore[attr-defined]
    limits(rate_points_per_second=0, rate_points_burst=2_500)
    one.charge("a", 5_000)
    with pytest.raises(StopIteration):
        one.pace("a").send(None)  # type: ignore[attr-defined]
