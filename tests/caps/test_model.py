"""A claim takes what a slow model takes, whatever the caps of two lists are, and its permit says how they were."""

import asyncio
from collections.abc import Iterator
from dataclasses import asdict
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from app import attempts, clock, db, dialability
from app.blocks import BlockReason
from app.lifecycle import Disposition
from app.records import CallCap, CapScope, CapSubject, Outdial, PermitCap
from app.store import capping
from tests.conftest import Databases, Kind
from tests.support import factories as make
from tests.support.capping import DAY, capped

ADDRESSES = st.sampled_from(["+15550200001", "+15550200002", "+15550200003"])
CAPS = st.builds(
    CallCap,
    tries=st.integers(1, 3),
    window_seconds=st.sampled_from((50, 200, 1_000)),
    per=st.sampled_from(CapSubject),
    over=st.sampled_from(CapScope),
)
STEPS = st.lists(
    st.tuples(st.sampled_from(("claim", "claim", "claim", "release", "wait", "long")), st.integers(0, 1)),
    min_size=5,
    max_size=25,
)


@pytest.fixture
def runner(kind: Kind, databases: Databases) -> Iterator[asyncio.Runner]:
    """Of one database for all examples, each of which has a customer of its own."""
    with asyncio.Runner() as made:
        fresh = databases.fresh(kind)
        made.run(db.connect(made.run(fresh.__aenter__())))
        try:
            yield made
        finally:
            made.run(db.close())
            made.run(fresh.__aexit__(None, None, None))


@pytest.mark.slow
@settings(
    max_examples=25,
    deadline=None,
    phases=[phase for phase in Phase if phase is not Phase.shrink],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    caps=st.tuples(st.lists(CAPS, max_size=2), st.lists(CAPS, min_size=1, max_size=3)),
    places=st.tuples(*[st.lists(st.lists(ADDRESSES, min_size=1, max_size=2), min_size=1, max_size=4)] * 2),
    steps=STEPS,
)
def test_a_claim_takes_what_a_slow_model_takes(
    caps: tuple[list[CallCap], list[CallCap]],
    places: tuple[list[list[str]], list[list[str]]],
    steps: list[tuple[str, int]],
    runner: asyncio.Runner,
) -> None:
    """One by one: the longest due target with a destination at which all caps leave a try, counted from the ledger."""

    async def play() -> None:
        viewer = make.make_viewer()
        lists = [await capped(viewer, *given_caps, lease_seconds=DAY) for given_caps in caps]
        addresses: dict[str, list[str]] = {}
        for outdial, listed in zip(lists, places, strict=True):
            for given_places in listed:
                made = await make.make_target(viewer, outdial.id, *given_places)
                addresses[made.id] = given_places
        ledger: list[dict[str, Any]] = []

        def used(each: CallCap, outdial: Outdial, target_id: str, address: str, now: Any) -> int:
            return sum(
                not tried["released"]
                and tried["at"] > now - timedelta(seconds=each.window_seconds)
                and (each.over is CapScope.CUSTOMER or tried["outdial"] == outdial.id)
                and (tried["target"] == target_id if each.per is CapSubject.TARGET else tried["address"] == address)
                for tried in ledger
            )

        def is_capped(outdial: Outdial, target_id: str, address: str, now: Any) -> bool:
            return any(used(each, outdial, target_id, address, now) >= each.tries for each in outdial.dial_policy.caps)

        for what, which in steps:
            outdial = lists[which]
            if what in {"wait", "long"}:
                make.pass_time({"wait": capping.SLEEP_SECONDS + 1, "long": 400}[what])
            elif what == "release":
                open_ones = [tried for tried in ledger if tried["attempt"] is not None]
                if open_ones:
                    make.one(await make.release(viewer, open_ones[-1]["attempt"]))
                    open_ones[-1].update(released=True, attempt=None)
                    # targets that wait for it may sleep so long
                    make.pass_time(capping.SLEEP_SECONDS + 1)
            else:
                idle = [
                    target_id
                    for target_id, given_places in addresses.items()
                    if (await make.read(viewer, target_id)).outdial_id == outdial.id
                    and not any(tried["target"] == target_id and tried["attempt"] for tried in ledger)
                ]
                now = await db.now()
                free = {
                    target_id: [
                        address for address in addresses[target_id] if not is_capped(outdial, target_id, address, now)
                    ]
                    for target_id in idle
                }
                wanted = {target_id: left[0] for target_id, left in free.items() if left}
                said = await dialability.blocks_of_targets(viewer, idle)
                assert {target_id for target_id in idle if not said[target_id].blocks} == wanted.keys()
                counted = (await dialability.dialabilities(viewer, [outdial.id]))[outdial.id]
                assert counted.claimable == len(wanted)
                assert counted.blocked.get(BlockReason.CAPPED, 0) == len(idle) - len(wanted)
                found = await attempts.claim(viewer, outdial.id, limit=1)
                assert bool(found) == bool(wanted)
                for attempt in found:
                    assert wanted[attempt.target_id] == attempt.destination.target
                    permit = (await attempts.permits(viewer, [attempt.id]))[attempt.id]
                    place = attempt.target_id, attempt.destination.target
                    assert permit.caps == [
                        PermitCap(**asdict(each), used=used(each, outdial, *place, attempt.claimed_at))
                        for each in outdial.dial_policy.caps
                    ]
                    tried = {"outdial": outdial.id, "target": attempt.target_id, "released": False}
                    tried |= {"address": attempt.destination.target, "at": attempt.claimed_at, "attempt": attempt.id}
                    ledger.append(tried)
                    if len(ledger) % 3:
                        make.one(await make.complete(viewer, attempt.id, Disposition.BUSY))
                        tried["attempt"] = None

    clock.shift = timedelta(0)
    runner.run(play())
