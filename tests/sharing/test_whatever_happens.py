"""Whatever happens, each gets what it would have read alone."""

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app import events, targets
from app.auth import Viewer
from app.events import epochs, following, horizon, log, recent
from tests.support import factories
from tests.support.companions import PROGRESS
from tests.support.subscribing import Counting, Subscriber
from tests.support.waiting import until

FILTERS = [None, {"types": ["CREATED"]}, {"types": ["UPDATED", "DELETED"]}]
STEPS = st.one_of(
    st.tuples(st.just("create"), st.integers(1, 9)),
    st.tuples(st.just("update"), st.integers(0, 9)),
    st.tuples(st.just("join"), st.sampled_from(FILTERS), st.none() | st.integers(0, 9)),
    st.tuples(st.just("slow"), st.integers(0, 9)),
    st.tuples(st.just("quick"), st.integers(0, 9)),
    st.tuples(st.just("leave"), st.integers(0, 9)),
    st.tuples(st.just("pass"), st.integers(1, 30)),
)


class Play:
    """Subscribers who come, are slow and leave, while targets change."""

    def __init__(self, viewer: Viewer, outdial_id: str) -> None:
        self.execution = Counting()
        self.viewer = viewer
        self.outdial_id = outdial_id
        self.cursors: list[str] = []
        self.targets: list[str] = []
        self.here: list[Subscriber] = []
        self.all: list[Subscriber] = []

    async def do(self, step: Any) -> None:
        kind, number = step[0], step[1]
        if kind == "create":
            made = await factories.make_targets(self.viewer, self.outdial_id, number)
            self.targets += [target.id for target in made]
            self.cursors.append(events.cursor(self.outdial_id, await events.position(self.viewer.customer_id)))
        elif kind == "update" and self.targets:
            target_id = self.targets[number % len(self.targets)]
            await targets.update(self.viewer, target_id, changes={"name": f"Person {len(self.all)} {number}"})
        elif kind == "join":
            after = self.cursors[step[2] % len(self.cursors)] if step[2] is not None and self.cursors else None
            one = Subscriber(self.execution, self.viewer, id=self.outdial_id, where=step[1], after=after)
            self.here.append(one)
            self.all.append(one)
        elif kind == "pass":
            await asyncio.sleep(number / 1_000)
        elif self.here:
            one = self.here[number % len(self.here)]
            if kind == "leave":
                self.here.remove(one)
                await one.leave()
            else:
                one.be(quick=kind == "quick")

    async def end(self) -> None:
        """All who are still here get all, and nobody anything else."""
        for one in self.here:
            one.be(quick=True)
        await until(lambda: all(one.payloads for one in self.here))
        seen = await horizon.horizon(await epochs.owner(self.viewer.customer_id))
        for one in self.all:
            if not one.batches:
                continue
            begun = one.variables["after"] or one.batches[0]["cursor"]
            after = events.position_of(begun, self.outdial_id)
            read = await log.read(
                self.viewer.customer_id, self.outdial_id, after=after, upto=seen.position, limit=10_000
            )
            kinds = (one.variables["where"] or {}).get("types")
            wanted = [event.cursor for _, event in read if kinds is None or event.type.name in kinds]
            if one in self.here:
                await until(lambda one=one, wanted=wanted: len(one.cursors) >= len(wanted), seconds=5)
                assert one.cursors == wanted
            else:
                assert one.cursors == wanted[: len(one.cursors)]
            assert all(batch["gap"] is None for batch in one.batches)


@settings(max_examples=25)
@given(steps=st.lists(STEPS, min_size=5, max_size=40))
async def test_each_gets_what_it_would_have_read_alone(
    database: str, monkeypatch: pytest.MonkeyPatch, steps: list[Any]
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(recent, "KEPT_EVENTS_MAX", 8)
        patch.setattr(following, "BATCH_EVENTS_MAX", 5)
        patch.setattr(following, "KEPT_BATCHES_MAX", 2)
        viewer = factories.make_viewer()
        play = Play(viewer, (await factories.make_outdial(viewer)).id)
        try:
            for step in steps:
                await play.do(step)
            await play.end()
        finally:
            for one in play.all:
                await one.leave()


PROGRESS_STEPS = st.one_of(
    st.tuples(st.just("create"), st.integers(1, 3)),
    st.tuples(st.just("join"), st.sampled_from([50, 51])),
    *[st.tuples(st.just(kind), st.integers(0, 9)) for kind in ("slow", "quick", "leave")],
    st.tuples(st.just("pass"), st.integers(1, 120)),
)


class ProgressPlay(Play):
    async def do(self, step: Any) -> None:
        if step[0] != "join":
            await super().do(step)
            return
        one = Subscriber(self.execution, self.viewer, PROGRESS, ids=[self.outdial_id], every=step[1])
        self.here.append(one)
        self.all.append(one)

    async def end(self) -> None:
        for one in self.here:
            one.be(quick=True)
        await until(lambda: all(self.totals(one)[-1:] == [len(self.targets)] for one in self.here), seconds=5)
        for one in self.all:
            assert self.totals(one) == sorted(self.totals(one))

    @staticmethod
    def totals(one: Subscriber) -> list[int]:
        return [payload["data"]["outdialProgress"]["outdials"][0]["progress"]["total"] for payload in one.payloads]


@settings(max_examples=10)
@given(steps=st.lists(PROGRESS_STEPS, min_size=5, max_size=25))
async def test_the_last_state_of_progress_reaches_each_and_none_goes_back(database: str, steps: list[Any]) -> None:
    viewer = factories.make_viewer()
    play = ProgressPlay(viewer, (await factories.make_outdial(viewer)).id)
    try:
        for step in steps:
            await play.do(step)
        await play.end()
    finally:
        for one in play.all:
            await one.leave()
