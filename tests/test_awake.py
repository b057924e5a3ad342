"""Calling hours by the time zone of each destination: who is called, and what a claim reads of those who sleep."""

import asyncio
from collections import Counter
from datetime import UTC, datetime, time, timedelta, timezone
from itertools import product
from typing import Any

import pytest

from app import (
    attempts,
    clock,
    db,
    destinations,
    dialability,
    foreseeing,
    hours,
    housekeeping,
    outdials,
    targets,
    zones,
)
from app.addresses import DestinationType
from app.auth import Viewer
from app.blocks import BlockReason
from app.hours import CallingHours, CallingWindow, UnknownTimeZoneAction, Weekday
from app.lifecycle import Disposition
from app.records import CallCap, CapScope, CapSubject, DestinationDraft, Outdial, PolicyDraft, Target
from app.store import awake, capping, due, grouping
from tests.support import factories
from tests.test_calling_hours import MONDAY, asked, go, office, updated

__all__ = ["go"]

BERLIN, TOKYO, NEW_YORK, UNKNOWN = "+4930123456", "+81312345678", "+12125550142", "+18005550142"
OWN = office(None)
"""From nine to six on workdays, by the clocks of each destination."""
BY_ZONE = {BERLIN: "08:00", TOKYO: "00:00", NEW_YORK: "14:00"}
"""When it is nine o'clock there on a day in winter, in UTC."""


async def listed(viewer: Viewer, *numbers: str | tuple[str | None, ...], **policy: Any) -> tuple[Outdial, list[Target]]:
    outdial = await factories.make_outdial(viewer, policy={"calling_hours": OWN, **policy})
    return outdial, [
        await factories.make_target(viewer, outdial.id, *((number,) if isinstance(number, str) else number))
        for number in numbers
    ]


async def claimed(viewer: Viewer, outdial: Outdial, limit: int = 10) -> list[str]:
    """The addresses that are called."""
    return [attempt.destination.target for attempt in await attempts.claim(viewer, outdial.id, limit=limit)]


async def change(viewer: Viewer, outdial: Outdial, **policy: Any) -> Outdial:
    return await outdials.update(viewer, outdial.id, changes={"dial_policy": PolicyDraft(**policy)})


async def test_each_is_called_by_the_clocks_of_their_own_place(database: str, viewer: Viewer, go: Any) -> None:
    outdial, _ = await listed(viewer, BERLIN, TOKYO, NEW_YORK, UNKNOWN)
    for text, called in (("00:00:01", [TOKYO]), ("07:59", []), ("08:00:01", [BERLIN]), ("14:00:01", [NEW_YORK])):
        go(text)
        assert await claimed(viewer, outdial) == called, text
    go("12:00", days=1)
    assert await claimed(viewer, outdial) == []


async def test_a_target_with_a_zone_of_its_own_goes_by_it_at_all_its_addresses(
    database: str, viewer: Viewer, go: Any
) -> None:
    outdial, _ = await listed(viewer)
    email = DestinationDraft("ann@example.com", DestinationType.EMAIL)
    await factories.make_target(viewer, outdial.id, email, time_zone="Asia/Tokyo")
    await factories.make_target(viewer, outdial.id, BERLIN, time_zone="America/New_York")
    await factories.make_target(viewer, outdial.id, email)
    go("08:30")
    assert await claimed(viewer, outdial) == ["ann@example.com"]
    go("14:30")
    assert await claimed(viewer, outdial) == [BERLIN]
    go("08:30", days=1)
    assert await claimed(viewer, outdial) == []


async def test_a_closed_destination_is_passed_over_unless_the_policy_keeps_the_order(
    database: str, viewer: Viewer, go: Any
) -> None:
    outdial, made = await listed(viewer, (NEW_YORK, BERLIN), (BERLIN, NEW_YORK), keep_order=True)
    go("09:00")
    assert [attempt.target_id for attempt in await attempts.claim(viewer, outdial.id, limit=5)] == [made[1].id]
    await change(viewer, outdial, keep_order=False)
    [attempt] = await attempts.claim(viewer, outdial.id, limit=5)
    assert (attempt.target_id, attempt.destination_index, attempt.destination.target) == (made[0].id, 1, BERLIN)


async def test_a_capped_destination_holds_up_no_other_though_it_is_closed_and_the_order_is_kept(
    database: str, viewer: Viewer, go: Any
) -> None:
    caps = (CallCap(1, 86_400, CapSubject.ADDRESS, CapScope.CUSTOMER),)
    elsewhere = await factories.make_outdial(viewer)
    await factories.make_target(viewer, elsewhere.id, NEW_YORK)
    outdial, made = await listed(viewer, (NEW_YORK, BERLIN), keep_order=True, caps=caps)
    go("09:00")
    assert await claimed(viewer, outdial) == []
    assert await claimed(viewer, elsewhere) == [NEW_YORK]
    factories.pass_time(61)
    assert (await dialability.blocks_of_targets(viewer, [made[0].id]))[made[0].id].blocks == []
    assert await claimed(viewer, outdial) == [BERLIN]


async def test_an_unknown_zone_is_not_called_or_goes_by_the_outdials(database: str, viewer: Viewer, go: Any) -> None:
    outdial, _ = await listed(viewer, UNKNOWN)
    go("15:00")
    await outdials.update(viewer, outdial.id, changes={"time_zone": "America/New_York"})
    assert await claimed(viewer, outdial) == []
    await change(viewer, outdial, on_unknown_time_zone=UnknownTimeZoneAction.USE_OUTDIAL)
    await outdials.update(viewer, outdial.id, changes={"time_zone": None})
    assert await claimed(viewer, outdial) == []
    await outdials.update(viewer, outdial.id, changes={"time_zone": "Asia/Tokyo"})
    assert await claimed(viewer, outdial) == []
    await outdials.update(viewer, outdial.id, changes={"time_zone": "Europe/Berlin"})
    assert await claimed(viewer, outdial) == [UNKNOWN]


async def test_whoever_moves_is_called_by_the_new_place(database: str, viewer: Viewer, go: Any) -> None:
    outdial, [target] = await listed(viewer, BERLIN)
    go("09:00")
    await targets.update(viewer, target.id, changes={"time_zone": "Asia/Tokyo"})
    assert await claimed(viewer, outdial) == []
    await targets.update(viewer, target.id, changes={"time_zone": None, "destination_0": DestinationDraft(NEW_YORK)})
    assert await claimed(viewer, outdial) == []
    await targets.update(viewer, target.id, changes={"destination_1": DestinationDraft("+493012345678")})
    assert await claimed(viewer, outdial) == ["+493012345678"]


async def test_a_change_while_nobody_sleeps_is_not_forgotten(database: str, viewer: Viewer, go: Any) -> None:
    """The hours are taken away, somebody moves, and the hours come back."""
    outdial, [target] = await listed(viewer, BERLIN)
    await change(viewer, outdial, calling_hours=None)
    await targets.update(viewer, target.id, changes={"destination_0": DestinationDraft(TOKYO)})
    await change(viewer, outdial, calling_hours=OWN)
    go("09:30")
    assert await claimed(viewer, outdial) == []
    await change(viewer, outdial, calling_hours=None)
    assert await claimed(viewer, outdial) == [TOKYO]


async def test_a_list_that_gets_hours_is_sorted_in_steps_and_nobody_is_called_early(
    database: str, viewer: Viewer, go: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.outdials.walking.STEP_TARGETS_MAX", 4)
    outdial = await factories.make_outdial(viewer)
    for number in range(10):
        await factories.make_target(viewer, outdial.id, NEW_YORK if number % 2 else BERLIN)
    go("09:00")
    await change(viewer, outdial, calling_hours=OWN)
    first = await claimed(viewer, outdial, 50)
    while await outdials.sort_by_zone.go_on():
        pass
    rest = await claimed(viewer, outdial, 50)
    assert (first, rest) == ([BERLIN] * 2, [BERLIN] * 3)
    go("15:00")
    assert await claimed(viewer, outdial, 50) == [NEW_YORK] * 5


async def test_housekeeping_sorts_what_is_left(database: str) -> None:
    names = [chore.name for chore in housekeeping.chores(event_retention_hours=1, import_retention_days=1)]
    assert "sort targets by time zone" in names


async def test_the_longest_due_of_all_open_zones_comes_first_after_the_priority(
    database: str, viewer: Viewer, go: Any
) -> None:
    outdial, _ = await listed(viewer)
    go("14:30")  # Berlin and New York are open
    wanted = []
    for number in range(12):
        made = await factories.make_target(
            viewer, outdial.id, (BERLIN, NEW_YORK, TOKYO)[number % 3], priority=number % 4
        )
        if number % 3 != 2:
            wanted.append((-made.priority, made.next_try_at, made.id))
    taken: list[str] = []
    while made_attempts := await attempts.claim(viewer, outdial.id, limit=3):
        taken += [attempt.target_id for attempt in made_attempts]
    assert taken == [target_id for _, _, target_id in sorted(wanted)]


async def test_dialers_never_share_a_target_and_leave_none(database: str, viewer: Viewer, go: Any) -> None:
    outdial, _ = await listed(viewer)
    drafts = [factories.target_draft(number) for number in (BERLIN, NEW_YORK, TOKYO) for _ in range(40)]
    await factories.create_many(viewer, outdial.id, drafts)
    go("14:30")
    taken: list[str] = []
    for _ in range(3):
        batches = await asyncio.gather(*(attempts.claim(viewer, outdial.id, limit=7, dialer=str(n)) for n in range(6)))
        taken += [attempt.target_id for batch in batches for attempt in batch]
    assert len(taken) == len(set(taken)) == 80


async def test_imported_targets_are_sorted_like_others(database: str, viewer: Viewer, go: Any) -> None:
    outdial, _ = await listed(viewer)
    await factories.create_many(viewer, outdial.id, [factories.target_draft(BERLIN, key=str(n)) for n in range(3)])
    created = await targets.create_many(
        viewer, outdial.id,
        drafts=[factories.target_draft(NEW_YORK, key="0"), factories.target_draft(BERLIN, key="9")],
        on_duplicate_key=factories.DuplicateAction.UPDATE,
    )  # fmt: skip
    assert (created.created, created.updated) == (1, 1)
    go("09:00")
    assert await claimed(viewer, outdial) == [BERLIN] * 3


async def test_too_many_sets_of_zones_share_a_group_and_each_is_still_called_by_its_own(
    database: str, viewer: Viewer, go: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (awake, grouping):
        monkeypatch.setattr(module, "GROUPS_MAX", 2)
    everybody = list(product((BERLIN, NEW_YORK, TOKYO), repeat=2))
    outdial, _ = await listed(viewer, *everybody)
    for text, opened in (("09:00", {BERLIN}), ("14:30", {BERLIN, NEW_YORK}), ("01:00", {TOKYO})):
        go(text, days={"01:00": 1}.get(text, 0))
        found = await attempts.claim(viewer, outdial.id, limit=50)
        assert all(attempt.destination.target in opened for attempt in found)
        assert len(found) == sum(1 for pair in everybody if opened & {*pair})
        await attempts.release(viewer, attempt_ids=[attempt.id for attempt in found])


async def test_caps_and_hours_hold_together_and_a_capped_target_is_called_where_it_wakes_up(
    database: str, viewer: Viewer, go: Any
) -> None:
    cap = CallCap(1, 86_400, CapSubject.ADDRESS, CapScope.CUSTOMER)
    outdial, _ = await listed(viewer, (BERLIN, NEW_YORK), BERLIN, TOKYO, caps=(cap,))
    go("09:00")
    [attempt] = await attempts.claim(viewer, outdial.id, limit=10)
    assert attempt.destination.target == BERLIN
    assert await claimed(viewer, outdial) == []
    await factories.complete(viewer, attempt.id, Disposition.BUSY)
    assert await claimed(viewer, outdial) == []
    go("14:30")
    assert await claimed(viewer, outdial) == [NEW_YORK]
    go("08:30", days=1)
    assert await claimed(viewer, outdial) == [TOKYO]
    go("09:30", days=1)
    assert await claimed(viewer, outdial) == [BERLIN]


async def test_what_counts_for_a_destination_is_shown(database: str, viewer: Viewer) -> None:
    outdial, [target] = await listed(viewer, (BERLIN, UNKNOWN))
    query = "query($id: ID!) { target(id: $id) { destinations { timeZone timeZoneSource } } }"

    async def shown() -> list[tuple[str | None, str]]:
        found = (await asked(viewer, query, id=target.id))["target"]["destinations"]
        return [(one["timeZone"], one["timeZoneSource"]) for one in found]

    await outdials.update(viewer, outdial.id, changes={"time_zone": "Asia/Tokyo"})
    assert await shown() == [("Europe/Berlin", "PHONE_NUMBER"), (None, "UNKNOWN")]
    await change(viewer, outdial, on_unknown_time_zone=UnknownTimeZoneAction.USE_OUTDIAL)
    assert await shown() == [("Europe/Berlin", "PHONE_NUMBER"), ("Asia/Tokyo", "OUTDIAL_DEFAULT")]
    await change(viewer, outdial, calling_hours=office("America/New_York"))
    assert await shown() == [("America/New_York", "POLICY")] * 2


async def test_the_policy_says_what_it_was_given_and_its_version_grows_with_the_outdials_zone(
    database: str, viewer: Viewer
) -> None:
    outdial = await factories.make_outdial(viewer)
    assert (outdial.dial_policy.on_unknown_time_zone, outdial.dial_policy.keep_order) == ("SKIP", False)
    changed = await updated(viewer, id=outdial.id, onUnknownTimeZone="USE_OUTDIAL", keepOrder=True)
    assert changed["userErrors"] == []
    kept = await updated(viewer, id=outdial.id, onUnknownTimeZone=None, keepOrder=None)
    assert kept["outdial"]["dialPolicy"]["version"] == changed["outdial"]["dialPolicy"]["version"] == 2
    query = "query($id: ID!) { outdial(id: $id) { dialPolicy { onUnknownTimeZone keepOrder } } }"
    found = await asked(viewer, query, id=outdial.id)
    assert found["outdial"]["dialPolicy"] == {"onUnknownTimeZone": "USE_OUTDIAL", "keepOrder": True}
    after = await outdials.update(viewer, outdial.id, changes={"time_zone": "Asia/Tokyo"})
    assert after.dial_policy.version == 3


# ---------------------------------------------------------------- against the rules, whatever the policy


@pytest.mark.parametrize("keeps_order", [False, True])
@pytest.mark.parametrize("action", list(UnknownTimeZoneAction))
async def test_whom_a_claim_takes_is_whom_the_rules_let_be_called(
    database: str, viewer: Viewer, go: Any, keeps_order: bool, action: UnknownTimeZoneAction
) -> None:
    numbers: list[str | None] = [BERLIN, NEW_YORK, TOKYO, UNKNOWN, None]
    everybody = [each for each in product(numbers, repeat=3) if any(each)][::3]
    outdial, made = await listed(viewer, *everybody, keep_order=keeps_order, on_unknown_time_zone=action)
    await outdials.update(viewer, outdial.id, changes={"time_zone": "Asia/Kolkata"})
    outdial = (await outdials.get_many(viewer, [outdial.id]))[outdial.id]
    for text in ("01:00", "06:00", "09:30", "12:40", "16:30", "22:00"):
        go(text)
        wanted = {}
        for target in made:
            index = callable_index(target, outdial, clock.now())
            if index is not None:
                wanted[target.id] = index
        await says_the_same(viewer, outdial, made, wanted)
        found = await attempts.claim(viewer, outdial.id, limit=500)
        assert {attempt.target_id: attempt.destination_index for attempt in found} == wanted, text
        await attempts.release(viewer, attempt_ids=[attempt.id for attempt in found] or [made[0].id])


async def says_the_same(viewer: Viewer, outdial: Outdial, made: list[Target], wanted: dict[str, int]) -> None:
    """Whoever asks why and when gets the answer of the claim."""
    assert (await dialability.blocks_of_outdials(viewer, [outdial.id]))[outdial.id] == []
    found = await dialability.blocks_of_targets(viewer, [target.id for target in made])
    assert {target_id for target_id, blocks in found.items() if not blocks.blocks} == {*wanted}
    for target_id, index in wanted.items():
        assert found[target_id].by_index[index] == []
    counted = (await dialability.dialabilities(viewer, [outdial.id]))[outdial.id]
    firsts = Counter(blocks.blocks[0].reason for blocks in found.values() if blocks.blocks)
    assert (counted.claimable, counted.blocked) == (len(wanted), firsts)
    soonest = (await foreseeing.next_claims(viewer, [outdial.id]))[outdial.id]
    assert soonest is not None
    if wanted:
        assert soonest <= clock.now()
    else:
        opens = [block.until for blocks in found.values() for block in blocks.blocks if block.until is not None]
        assert soonest == min(opens) > clock.now()


async def test_a_target_that_sleeps_says_until_when_and_one_of_an_unknown_place_what_to_do(
    database: str, viewer: Viewer, go: Any
) -> None:
    outdial, made = await listed(viewer, BERLIN, UNKNOWN, (UNKNOWN, TOKYO))
    go("18:30")
    found = await dialability.blocks_of_targets(viewer, [target.id for target in made])
    berlin, tokyo = MONDAY + timedelta(hours=32), MONDAY + timedelta(hours=24)
    closed, unknown = BlockReason.OUTSIDE_CALLING_HOURS, BlockReason.UNKNOWN_TIME_ZONE
    assert [[(block.reason, block.until) for block in found[target.id].blocks] for target in made] == [
        [(closed, berlin)], [(unknown, None)], [(closed, tokyo), (unknown, None)],
    ]  # fmt: skip
    assert [[block.reason for block in found[made[2].id].by_index[index]] for index in (0, 1)] == [[unknown], [closed]]
    assert (await foreseeing.next_claims(viewer, [outdial.id]))[outdial.id] == tokyo
    later = await dialability.dialabilities(viewer, [outdial.id], at=berlin)
    assert (later[outdial.id].claimable, later[outdial.id].blocked) == (2, {unknown: 1})
    go("00:00:01", days=1)
    assert await claimed(viewer, outdial) == [TOKYO]


def callable_index(target: Target, outdial: Outdial, now: datetime) -> int | None:
    """The rules, said once more: which destination may be called now."""
    for index, place in enumerate(target.destinations):
        if place is None:
            continue
        known = zones.known(place.type, place.target, target.time_zone, outdial.default_time_zone, now)
        is_open = known.time_zone is not None and hours.standing(OWN, zones.rules(known.time_zone), now).is_open
        if is_open:
            return index
        if outdial.dial_policy.keep_order:
            return None
    return None


# ---------------------------------------------------------------- what it costs


async def read_by_a_claim(viewer: Viewer, outdial: Outdial) -> int:
    """How many entries of indexes the claim of one target reads."""
    before = await _entries()
    assert len(await claimed(viewer, outdial, 1)) == 1
    return await _entries() - before


async def _entries() -> int:
    await asyncio.sleep(1.1)  # a session tells its numbers once a second, at the end of a transaction
    await db.fetch("SELECT 1 AS one")
    names = "('target_due', 'target_due_awake', 'target_page')"
    [row] = await db.fetch(f"SELECT sum(idx_tup_read) AS n FROM pg_stat_user_indexes WHERE indexrelname IN {names}")
    return int(row["n"])


@pytest.mark.slow
async def test_a_claim_reads_none_of_a_hundred_thousand_who_sleep(
    postgres_url: str, viewer: Viewer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten are awake, of the lowest priority and the last to become due."""
    await db.connect(postgres_url, pool_size=1)
    try:
        found = []
        now = clock.now()
        asleep, up = (_zone_where_it_is(hour, now) for hour in (2, 12))
        whole_days = CallingHours(None, tuple(CallingWindow(day, time(9), time(18)) for day in Weekday), ())
        for sleeping in (0, 100_000):
            outdial = await factories.make_outdial(viewer, policy={"calling_hours": whole_days})
            if sleeping:
                await factories.make_target(viewer, outdial.id, BERLIN, time_zone=asleep, priority=9)
                await _multiply(viewer, outdial, sleeping)
            drafts = [factories.target_draft(time_zone=up) for _ in range(10)]
            await factories.create_many(viewer, outdial.id, drafts)
            await db.fetch("ANALYZE target")
            await attempts.claim(viewer, outdial.id)  # learns the hours
            found.append(sum([await read_by_a_claim(viewer, outdial) for _ in range(3)]))
        few, many = found
        assert many <= few + 10
    finally:
        await db.close()


def _zone_where_it_is(hour: int, now: datetime) -> str:
    """A zone without changes of its clocks in which it is about that hour."""
    offset = (hour - now.astimezone(UTC).hour + 12) % 24 - 12
    assert now.astimezone(timezone(timedelta(hours=offset))).hour == hour
    return f"Etc/GMT{-offset:+d}" if offset else "Etc/GMT"


async def _multiply(viewer: Viewer, outdial: Outdial, number: int) -> None:
    columns = ", ".join(name for name in grouping.tables.TARGET_ROW.kinds if name != "id")
    await db.fetch(
        f"""
        INSERT INTO target (id, {columns}) SELECT gen_random_uuid(), {columns}
        FROM target CROSS JOIN generate_series(2, {number}) WHERE customer_id = $1 AND outdial_id = $2
        """,
        viewer.customer_id,
        outdial.id,
    )


async def test_sqlite_seeks_each_group_in_its_index(databases: Any, viewer: Viewer, monkeypatch: Any) -> None:
    """And looks at no other row: each part of the plan that reads targets names the index with its key."""
    async with databases.fresh("sqlite") as url:
        await db.connect(url)
        try:
            outdial, _ = await listed(viewer)
            await factories.make_target(viewer, outdial.id, BERLIN)
            sql = awake_sql()
            plan = await db.fetch(f"EXPLAIN QUERY PLAN {sql}", viewer.customer_id, outdial.id, 5, "2026", "[1]", "[1]")
            of_targets = [row["detail"] for row in plan if "target" in row["detail"]]
            assert of_targets == ["SEARCH target USING INDEX target_due_awake (outdial_id=? AND <expr>=? AND <expr><?)"]
        finally:
            await db.close()


def awake_sql() -> str:
    open_zones = destinations.Awake("IN (SELECT value FROM json_each($5))", keeps_order=False)
    looked = capping.looking([3] * 5, None, awake=open_zones)
    return due.awake_on_sqlite("$3", 5, "$4", looked, groups="$6")
