"""Nested reads cost one call for each kind, and streams close what they opened."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from app import ids
from app.auth import Scope
from app.graphql.schema import context as contexts
from app.graphql.schema import schema, subscriptions
from app.graphql.schema.context import Context
from app.pagination import Page
from app.records import Attempt, ImportJob, Outdial, Progress, Suppression, Target
from tests.support.schema import a_target, an_attempt, an_outdial, run, viewer_with

# ---------------------------------------------------------------- batching


@pytest.fixture
def calls(monkeypatch):
    """Twenty outdials with two targets each, and a count of how often each use-case is called."""
    outdials = [an_outdial() for _ in range(20)]
    targets = {outdial.id: [a_target(outdial), a_target(outdial)] for outdial in outdials}
    attempts = {target.id: an_attempt(target) for both in targets.values() for target in both}
    counted: dict[str, int] = {}

    def stand_in(name, answer):
        async def use_case(_viewer, *arguments, **_):
            counted[name] = counted.get(name, 0) + 1
            return answer(*arguments)

        monkeypatch.setattr(f"app.{name}", use_case)

    everything = {
        record.id: record for record in (*outdials, *(t for both in targets.values() for t in both), *attempts.values())
    }
    stand_in("outdials.page", lambda _request: Page(outdials, has_next=True))
    stand_in("outdials.count", lambda: 20)
    for noun, kind in (
        ("outdials", Outdial),
        ("targets", Target),
        ("attempts", Attempt),
        ("imports", ImportJob),
        ("suppressions", Suppression),
    ):
        stand_in(
            f"{noun}.get_many",
            lambda keys, kind=kind: {key: everything[key] for key in keys if isinstance(everything.get(key), kind)},
        )
    stand_in("outdials.progress", lambda keys: {key: Progress(idle=2) for key in keys})
    stand_in("targets.pages", lambda keys: {key: Page(targets[key]) for key in keys})
    stand_in("targets.counts", lambda keys: dict.fromkeys(keys, 2))
    stand_in("attempts.pages_of_targets", lambda keys: {key: Page([attempts[key]]) for key in keys})
    stand_in("attempts.counts_of_targets", lambda keys: dict.fromkeys(keys, 1))
    return counted


async def test_a_nested_page_costs_one_call_for_each_set_of_arguments(calls):
    result = await run(
        """{ outdials(first: 20) { nodes {
            progress { total doneByReason { count } }
            targets(first: 2) { totalCount nodes {
                outdial { id } destinations { index tryCount maxTryCount usable }
                attempts(first: 1) { totalCount nodes { target { id } } } } }
            oldest: targets(first: 2, orderBy: OLDEST_FIRST) { edges { cursor } }
        } } }"""
    )
    assert result.errors is None
    assert calls == {
        "outdials.page": 1,
        "outdials.progress": 1,
        "targets.pages": 2,
        "targets.counts": 1,
        "attempts.pages_of_targets": 1,
        "attempts.counts_of_targets": 1,
        "targets.get_many": 1,
    }
    page = result.data["outdials"]["nodes"][0]["targets"]
    assert page["totalCount"] == 2
    assert page["nodes"][0]["destinations"] == [
        {"index": 1, "tryCount": 3, "maxTryCount": 3, "usable": False},
        {"index": 4, "tryCount": 1, "maxTryCount": 3, "usable": True},
    ]


async def test_the_cursors_of_a_page_are_those_of_its_ends(calls):
    result = await run(
        "{ outdials { edges { cursor } pageInfo { startCursor endCursor hasNextPage hasPreviousPage } } }"
    )
    page = result.data["outdials"]
    assert page["pageInfo"] == {
        "startCursor": page["edges"][0]["cursor"],
        "endCursor": page["edges"][-1]["cursor"],
        "hasNextPage": True,
        "hasPreviousPage": False,
    }
    assert "outdials.count" not in calls


async def test_nodes_are_found_in_one_call_for_each_kind_and_in_order(calls):
    context = Context(viewer_with(Scope.READ))
    page = (await run("{ outdials { nodes { id targets { nodes { id attempts { nodes { id } } } } } } }")).data[
        "outdials"
    ]
    outdial = page["nodes"][0]
    target = outdial["targets"]["nodes"][0]
    attempt = target["attempts"]["nodes"][0]
    wanted = [attempt["id"], ids.new(), outdial["id"].upper(), target["id"], attempt["id"]]
    calls.clear()
    result = await schema.execute(
        "query($ids: [ID!]!, $id: ID!) { nodes(ids: $ids) { __typename id } node(id: $id) { id } }",
        variable_values={"ids": wanted, "id": target["id"]},
        context_value=context,
    )
    assert result.data["nodes"] == [
        {"__typename": "Attempt", "id": attempt["id"]},
        None,
        {"__typename": "Outdial", "id": outdial["id"]},
        {"__typename": "OutdialTarget", "id": target["id"]},
        {"__typename": "Attempt", "id": attempt["id"]},
    ]
    assert calls == {f"{noun}.get_many": 1 for noun in ("outdials", "targets", "attempts", "imports", "suppressions")}


async def test_the_event_cursor_is_read_before_anything_else(calls, monkeypatch):
    order = []

    async def position(_customer_id):
        order.append("position")
        return "P"

    async def ends(_viewer, outdial_ids, *, upto):
        order.append("ends")
        return dict.fromkeys(outdial_ids, upto)

    monkeypatch.setattr("app.events.position", position)
    monkeypatch.setattr("app.events.ends", ends)
    monkeypatch.setattr("app.events.cursor", lambda outdial_id, position: f"{position}:{outdial_id}")
    page = contexts.outdials.page

    async def later(*arguments, **named):
        order.append("page")
        return await page(*arguments, **named)

    monkeypatch.setattr("app.outdials.page", later)
    result = await run("{ outdials { nodes { id ...Later } } } fragment Later on Outdial { eventCursor }")
    node = result.data["outdials"]["nodes"][0]
    assert node["eventCursor"] == f"P:{node['id']}"
    assert order == ["position", "page", "ends"]


# ---------------------------------------------------------------- streams


async def test_closing_a_stream_closes_its_source_even_before_the_first_event():
    closed = []

    async def values() -> AsyncIterator[int]:
        try:
            yield 1
            await asyncio.sleep(60)
        finally:
            closed.append(True)

    stream = await subscriptions.Stream(values()).open()
    await stream.aclose()
    assert closed == [True]


async def test_an_opened_stream_loses_no_value():
    async def values() -> AsyncIterator[int]:
        for value in range(3):
            yield value

    assert [value async for value in await subscriptions.Stream(values()).open()] == [0, 1, 2]


async def test_a_stream_that_ends_at_once_is_empty():
    async def values() -> AsyncIterator[int]:
        return
        yield

    assert [value async for value in await subscriptions.Stream(values()).open()] == []
