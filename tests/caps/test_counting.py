"""What counts as a try: at which address, over which time, on whose lists."""

from collections import Counter
from datetime import timedelta

import pytest

from app import db, targets
from app.addresses import DestinationType
from app.auth import Viewer
from app.lifecycle import AttemptState
from app.records import CapScope, CapSubject, DestinationDraft
from app.store import capping
from tests.support import factories as make
from tests.support.capping import DAY, ONE, TWO, call, cap, capped, claimed


async def test_a_number_is_tried_no_more_often_than_its_cap_says(database: str, viewer: Viewer) -> None:
    outdial = await capped(viewer, cap(3))
    await make.make_target(viewer, outdial.id, ONE)
    assert [await call(viewer, outdial) for _ in range(5)] == [[ONE]] * 3 + [[]] * 2


async def test_the_window_rolls(database: str, viewer: Viewer) -> None:
    outdial = await capped(viewer, cap(2, 1_000))
    await make.make_target(viewer, outdial.id, ONE)
    assert await call(viewer, outdial) == [ONE]
    make.pass_time(600)
    assert (await call(viewer, outdial), await call(viewer, outdial)) == ([ONE], [])
    make.pass_time(399)
    assert await call(viewer, outdial) == []
    make.pass_time(2)
    assert (await call(viewer, outdial), await call(viewer, outdial)) == ([ONE], [])
    make.pass_time(600)
    assert (await call(viewer, outdial), await call(viewer, outdial)) == ([ONE], [])


async def test_tries_on_lists_without_caps_count_and_are_not_held(database: str, viewer: Viewer) -> None:
    free, bound = await capped(viewer), await capped(viewer, cap(3))
    for outdial in (free, bound):
        await make.make_target(viewer, outdial.id, ONE)
    assert [await call(viewer, free) for _ in range(4)] == [[ONE]] * 4
    assert await call(viewer, bound) == []
    assert await call(viewer, free) == [ONE]


async def test_a_cap_of_an_outdial_counts_its_own_tries_alone(database: str, viewer: Viewer) -> None:
    free, bound = await capped(viewer), await capped(viewer, cap(2, over=CapScope.OUTDIAL))
    for outdial in (free, bound):
        await make.make_target(viewer, outdial.id, ONE)
    assert [await call(viewer, free) for _ in range(4)] == [[ONE]] * 4
    assert [await call(viewer, bound) for _ in range(3)] == [[ONE], [ONE], []]


async def test_a_cap_counts_nothing_of_other_customers(database: str, viewer: Viewer) -> None:
    for whose in (viewer, make.make_viewer()):
        outdial = await capped(whose, cap(1))
        await make.make_target(whose, outdial.id, ONE)
        assert [await call(whose, outdial) for _ in range(2)] == [[ONE], []]


async def test_a_cap_of_a_target_counts_all_its_destinations(database: str, viewer: Viewer) -> None:
    outdial = await capped(viewer, cap(3, per=CapSubject.TARGET), max_try_counts=(2, 2, 0, 0, 0))
    await make.make_target(viewer, outdial.id, ONE, TWO)
    other = await make.make_target(viewer, outdial.id, ONE, not_before=await db.now() + timedelta(hours=1))
    assert [await call(viewer, outdial) for _ in range(4)] == [[ONE], [ONE], [TWO], []]
    make.pass_time(3_601)
    assert await call(viewer, outdial) == [ONE]
    assert (await make.read(viewer, other.id)).try_counts[0] == 1


async def test_a_capped_destination_is_passed_over_for_the_next_one(database: str, viewer: Viewer) -> None:
    outdial = await capped(viewer, cap(1))
    await make.make_target(viewer, outdial.id, ONE, TWO)
    assert [await call(viewer, outdial) for _ in range(3)] == [[ONE], [TWO], []]


async def test_all_caps_of_an_outdial_hold(database: str, viewer: Viewer) -> None:
    outdial = await capped(viewer, cap(2, 100), cap(3, 1_000), cap(4, per=CapSubject.TARGET))
    await make.make_target(viewer, outdial.id, ONE)
    assert [await call(viewer, outdial) for _ in range(3)] == [[ONE], [ONE], []]
    make.pass_time(101)
    assert [await call(viewer, outdial) for _ in range(2)] == [[ONE], []]
    make.pass_time(1_001)
    assert [await call(viewer, outdial) for _ in range(2)] == [[ONE], []]


async def test_a_number_is_one_person_for_telephone_and_whatsapp(database: str, viewer: Viewer) -> None:
    outdial = await capped(viewer, cap(1))
    await make.make_target(viewer, outdial.id, ONE)
    assert await call(viewer, outdial) == [ONE]
    await make.make_target(viewer, outdial.id, DestinationDraft(ONE, DestinationType.WHATSAPP))
    assert await call(viewer, outdial) == []


async def test_the_same_text_of_another_type_is_another_address(database: str, viewer: Viewer) -> None:
    outdial = await capped(viewer, cap(1))
    for kind in (DestinationType.EXTENSION, DestinationType.AGENT):
        await make.make_target(viewer, outdial.id, DestinationDraft("100", kind))
    assert [await call(viewer, outdial) for _ in range(2)] == [["100", "100"], []]


async def test_a_try_counts_at_the_address_at_which_it_was_claimed(database: str, viewer: Viewer) -> None:
    outdial = await capped(viewer, cap(1))
    target = await make.make_target(viewer, outdial.id, ONE)
    assert await call(viewer, outdial) == [ONE]
    await targets.update(viewer, target.id, changes={"destination_0": DestinationDraft(TWO)})
    assert [await call(viewer, outdial) for _ in range(2)] == [[TWO], []]
    await targets.update(viewer, target.id, changes={"destination_0": DestinationDraft(ONE)})
    assert await call(viewer, outdial) == []


async def test_a_released_try_is_given_back_to_all_who_wait_for_it(database: str, viewer: Viewer) -> None:
    outdial, other = await capped(viewer, cap(1)), await capped(viewer, cap(1))
    for one in (outdial, other):
        await make.make_target(viewer, one.id, ONE)
    attempt = await make.claim(viewer, outdial.id)
    assert await call(viewer, other) == []
    make.one(await make.release(viewer, attempt.id))
    make.pass_time(capping.SLEEP_SECONDS + 1)
    assert [await call(viewer, one) for one in (other, outdial, other)] == [[ONE], [], []]


@pytest.mark.parametrize("state", [AttemptState.EXPIRED, AttemptState.REVOKED])
async def test_a_try_that_ended_in_another_way_stays_counted(
    database: str, viewer: Viewer, state: AttemptState
) -> None:
    outdial = await capped(viewer, cap(1), lease_seconds=100)
    target = await make.make_target(viewer, outdial.id, ONE)
    attempt = await make.claim(viewer, outdial.id)
    if state is AttemptState.REVOKED:
        await targets.cancel(viewer, target.id)
        await make.make_target(viewer, outdial.id, ONE)
    make.pass_time(200)
    await make.sweep()
    assert (await make.read_attempt(viewer, attempt.id)).state is state
    assert await call(viewer, outdial) == []


async def test_a_reset_uncounts_nothing(database: str, viewer: Viewer) -> None:
    outdial = await capped(viewer, cap(2), max_try_counts=(2, 0, 0, 0, 0))
    target = await make.make_target(viewer, outdial.id, ONE)
    assert [await call(viewer, outdial) for _ in range(3)] == [[ONE], [ONE], []]
    await targets.reset(viewer, outdial.id, target_ids=[target.id])
    assert await call(viewer, outdial) == []
    make.pass_time(DAY + 1)
    assert await call(viewer, outdial) == [ONE]


async def test_one_claim_takes_an_address_once(database: str, viewer: Viewer) -> None:
    outdial = await capped(viewer, cap(3))
    numbers = [ONE] * 300 + [make.phone_number() for _ in range(50)]
    await make.create_many(viewer, outdial.id, [make.target_draft(number) for number in numbers])
    taken: list[str] = []
    while found := await claimed(viewer, outdial, limit=500):
        assert len(set(found)) == len(found)
        taken += found
    assert Counter(taken) == Counter({number: 3 if number == ONE else 1 for number in numbers})


async def test_a_cap_of_targets_alone_lets_a_claim_take_an_address_twice(database: str, viewer: Viewer) -> None:
    outdial = await capped(viewer, cap(1, per=CapSubject.TARGET))
    for _ in range(3):
        await make.make_target(viewer, outdial.id, ONE)
    assert await claimed(viewer, outdial) == [ONE] * 3


async def test_without_caps_nothing_is_held(database: str, viewer: Viewer) -> None:
    outdial = await capped(viewer)
    assert outdial.dial_policy.caps == ()
    for _ in range(3):
        await make.make_target(viewer, outdial.id, ONE)
    assert [await call(viewer, outdial) for _ in range(5)] == [[ONE] * 3] * 5
