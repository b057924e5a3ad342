"""A message is made once for all who get the same, and for nobody else."""

import asyncio
import gc
from contextlib import AsyncExitStack, aclosing
from typing import Any

import pytest

from app import imports, outdials
from app.auth import Scope, Viewer
from app.graphql.schema.context import Loaders
from app.graphql.transport.shapes import Shapes
from app.imports import jobs
from app.records import ImportOptions, Outdial
from tests.support import factories
from tests.support.companions import MANY, PROGRESS, WITH_TARGET, first, have, of_events
from tests.support.subscribing import EVENTS, Counting, Subscriber
from tests.support.waiting import until


async def test_a_message_is_made_once_for_all_who_get_the_same(
    viewer: Viewer, outdial: Outdial, execution: Counting, company: Any
) -> None:
    together = await company(*[Subscriber(execution, viewer, WITH_TARGET, id=outdial.id) for _ in range(MANY)])
    for number in range(1, 4):
        execution.made = 0
        made = await factories.make_target(viewer, outdial.id, name=f"Person {number}")
        await have(together, number)
        assert execution.made == 1
        [event] = together[0].batches[-1]["events"]
        assert event["target"] == {"name": made.name, "version": 1}
    assert all(one.payloads[1:] == together[0].payloads[1:] for one in together)
    assert all(one.taken_at_once == 4 for one in together)


async def test_what_a_message_is_made_of_is_not_held_until_it_is_taken(
    viewer: Viewer, outdial: Outdial, execution: Counting, company: Any
) -> None:
    """Hundreds of subscriptions that read nothing would hold the rows of their last events."""
    different = [f"{WITH_TARGET} # {number}" for number in range(5)]
    apart = [Subscriber(execution, viewer, query, id=outdial.id, is_stream=True) for query in different]
    for one in await company(*apart):
        one.be(quick=False)
    await factories.make_target(viewer, outdial.id, name="Somebody")
    await until(lambda: execution.made >= 2 * len(apart))
    await asyncio.sleep(0.1)
    gc.collect()
    assert not [kept for kept in gc.get_objects() if isinstance(kept, Loaders) and "targets" in vars(kept)]


async def test_event_streams_share_with_sockets(
    viewer: Viewer, outdial: Outdial, execution: Counting, company: Any
) -> None:
    together = await company(
        *[Subscriber(execution, viewer, is_stream=number % 2 == 0, id=outdial.id) for number in range(8)]
    )
    await factories.make_target(viewer, outdial.id)
    await have(together, 1)
    execution.made = 0
    await factories.make_target(viewer, outdial.id)
    await have(together, 2)
    assert execution.made == 1
    assert [one.taken_at_once for one in together] == [0, 3] * 4


async def test_other_variables_and_other_documents_share_the_reader_and_no_message(
    viewer: Viewer, outdial: Outdial, execution: Counting, company: Any, said: list[str]
) -> None:
    query = EVENTS.replace("$where:", "$more: Boolean!, $where:").replace(
        "{ cursor }", "{ cursor type @include(if: $more) }"
    )
    together = await company(
        *[Subscriber(execution, viewer, query, id=outdial.id, more=number % 2 == 0) for number in range(6)],
        *[Subscriber(execution, viewer, query.replace("caughtUp", ""), id=outdial.id, more=True) for _ in range(3)],
    )
    await asyncio.sleep(0.1)
    execution.made = 0
    said.clear()
    await factories.make_target(viewer, outdial.id)
    await have(together, 1)
    assert execution.made == 3
    assert of_events(said) <= 3
    assert [len(one.batches[-1]["events"][0]) for one in together[:6]] == [2, 1] * 3
    assert "caughtUp" not in together[-1].batches[-1]


def test_only_what_gives_the_same_messages_has_the_same_shape(viewer: Viewer, stranger: Viewer) -> None:
    shapes = Shapes()

    def shape(who: Viewer = viewer, query: str = "q", name: str = "", **variables: Any) -> Any:
        return shapes.of(who, query, name, variables, "after")

    same = shape(id="1", after="here")
    reader = Viewer(viewer.customer_id, "another subject", viewer.scopes, None)
    assert shape(reader, id="1", after="there") is same
    assert shape(id="1") is same
    others = [
        shape(stranger, id="1"),
        shape(Viewer(viewer.customer_id, viewer.subject, frozenset({Scope.READ}), None), id="1"),
        shape(query="r", id="1"),
        shape(name="n", id="1"),
        shape(id="2"),
        shape(id="1", more=None),
        shape(id=1),
        shape(id=True),
    ]
    assert len({id(one) for one in [same, *others]}) == 9
    assert shape(id=2**70) is None
    del same, others
    gc.collect()
    assert not shapes._open


async def test_customers_and_scopes_share_nothing(
    viewer: Viewer, stranger: Viewer, outdial: Outdial, execution: Counting, company: Any
) -> None:
    theirs = await factories.make_outdial(stranger)
    narrow = factories.make_viewer(viewer.customer_id, scopes=[Scope.READ])
    mine, other, wide = await company(
        Subscriber(execution, viewer, WITH_TARGET, id=outdial.id),
        Subscriber(execution, stranger, WITH_TARGET, id=theirs.id),
        Subscriber(execution, narrow, WITH_TARGET, id=outdial.id),
    )
    [refused] = await company(Subscriber(execution, stranger, WITH_TARGET, id=outdial.id))
    [forbidden] = await company(
        Subscriber(execution, factories.make_viewer(viewer.customer_id, scopes=[Scope.DIAL]), id=outdial.id)
    )
    assert [one.errors[0]["extensions"]["code"] for one in (refused, forbidden)] == ["NOT_FOUND", "FORBIDDEN"]
    execution.made = 0
    await factories.make_target(viewer, outdial.id)
    await factories.make_target(stranger, theirs.id)
    await until(lambda: all(one.cursors for one in (mine, other, wide)))
    assert execution.made == 3
    assert mine.cursors == wide.cursors != other.cursors


async def test_who_leads_may_leave_and_another_leads(
    viewer: Viewer, outdial: Outdial, execution: Counting, company: Any
) -> None:
    together = await company(*[Subscriber(execution, viewer, id=outdial.id) for _ in range(MANY)])
    for number in range(1, 6):
        await factories.make_target(viewer, outdial.id)
        await have(together, number)
        for _ in range(number):  # the first was the first to come, so it leads
            await together.pop(0).leave()
    assert execution._crowds._crowds
    for one in together:
        await one.leave()
    assert not execution._crowds._crowds


async def test_one_that_takes_nothing_delays_nobody_and_gets_all_in_order(
    viewer: Viewer, outdial: Outdial, execution: Counting, company: Any
) -> None:
    together = await company(*[Subscriber(execution, viewer, id=outdial.id) for _ in range(6)])
    slow, quick = together[::2], together[1::2]
    await factories.make_target(viewer, outdial.id)
    await have(together, 1)
    for one in slow:
        one.be(quick=False)
    for number in range(2, 20):
        await factories.make_target(viewer, outdial.id)
        await have(quick, number)
    assert [len(one.cursors) for one in slow] == [1] * 3
    for one in slow:
        one.be(quick=True)
    await have(slow, 19)
    execution.made = 0
    await factories.make_target(viewer, outdial.id)
    await have(together, 20)
    assert execution.made == 1
    assert all(one.cursors == quick[0].cursors for one in together)


async def test_a_socket_that_fails_fails_alone(
    viewer: Viewer, outdial: Outdial, execution: Counting, company: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    together = await company(*[Subscriber(execution, viewer, id=outdial.id) for _ in range(5)])
    await factories.make_target(viewer, outdial.id)
    await have(together, 1)

    def fail(_response: bytes) -> bool:
        raise ConnectionResetError

    for failing in (together[0], together[3]):  # the one that leads, and another
        monkeypatch.setattr(failing, "broken", fail)
    for number in (2, 3):
        await factories.make_target(viewer, outdial.id)
        await have(together, number)  # what a sink does not take, the subscriber's own task gets


async def test_a_deletion_ends_all_subscriptions_after_their_last_events(
    viewer: Viewer, outdial: Outdial, execution: Counting, company: Any
) -> None:
    await factories.make_targets(viewer, outdial.id, 2)
    together = await company(*[Subscriber(execution, viewer, id=outdial.id) for _ in range(MANY)])
    await factories.claim(viewer, outdial.id)
    await outdials.delete(viewer, outdial.id)
    async with asyncio.timeout(10):
        await asyncio.gather(*[one.task for one in together])
    assert all(len(one.cursors) == 2 and not one.errors for one in together)


async def test_progress_is_made_once_and_no_sooner_than_its_interval(
    viewer: Viewer, outdial: Outdial, execution: Counting, company: Any
) -> None:
    together = await company(*[Subscriber(execution, viewer, PROGRESS, ids=[outdial.id], every=100) for _ in range(8)])

    def total(one: Subscriber) -> int:
        found: int = one.payloads[-1]["data"]["outdialProgress"]["outdials"][0]["progress"]["total"]
        return found

    for number in range(1, 4):
        execution.made = 0
        await factories.make_target(viewer, outdial.id)
        await until(lambda number=number: all(total(one) == number for one in together))
        assert execution.made == 1
        await asyncio.sleep(0.25)
    begun = asyncio.get_running_loop().time()
    before = [len(one.payloads) for one in together]
    late = await company(Subscriber(execution, viewer, PROGRESS, ids=[outdial.id], every=100))
    for _ in range(15):
        await factories.make_target(viewer, outdial.id)
    await until(lambda: all(total(one) == 18 for one in (*together, *late)))
    passed = asyncio.get_running_loop().time() - begun
    got = [len(one.payloads) - was for one, was in zip((*together, *late), (*before, 1), strict=True)]
    assert max(got) <= 1 + passed / 0.1


async def test_an_import_is_read_once_for_all_who_watch_it(viewer: Viewer, said: list[str], outdial: Outdial) -> None:
    job_id = (await jobs.begin(viewer, outdial.id, options=ImportOptions(), idempotency_key=None)).job.id
    async with AsyncExitStack() as stack:
        streams = [
            await stack.enter_async_context(aclosing(imports.progress(viewer, job_id, interval_ms=50)))
            for _ in range(MANY)
        ]
        await asyncio.gather(*map(first, streams))
        waiting_for = [asyncio.ensure_future(first(stream)) for stream in streams]
        await asyncio.sleep(0.3)
        said.clear()
        await imports.cancel(viewer, job_id)
        found = await asyncio.gather(*waiting_for)
        assert {job.id for job in found} == {job_id}
        assert sum("FROM import_job WHERE customer_id = $1 AND id" in statement for statement in said) <= 5
