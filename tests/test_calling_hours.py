"""Calling hours in the claim: nothing is claimed when they are closed, on either database."""

import asyncio
from collections import OrderedDict
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest

from app import attempts, clock, db, outdials
from app.auth import Viewer
from app.errors import Rejected
from app.graphql.schema import schema
from app.graphql.schema.context import Context
from app.graphql.transport.execution import Execution, Operation
from app.graphql.transport.masking import NotExecuted
from app.hours import CallingException, CallingHours, CallingTime, CallingWindow, Weekday
from app.lifecycle import AttemptState
from app.records import Outdial, PolicyDraft
from app.store import awake
from tests.support import factories

EXECUTION = Execution(schema, Context)
MONDAY = datetime(2026, 11, 30, tzinfo=UTC)
"""In Berlin it is one o'clock."""


def office(zone: str | None = "Europe/Berlin", *exceptions: CallingException, till: int = 18) -> CallingHours:
    days = list(Weekday)[:5]
    return CallingHours(zone, tuple(CallingWindow(day, time(9), time(till)) for day in days), exceptions)


@pytest.fixture
def go(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Moves the clock to a time of that Monday, in UTC, or of a later day."""

    def to(text: str, *, days: int = 0) -> None:
        at = MONDAY + timedelta(days=days) + (datetime.fromisoformat(f"2026-11-30T{text}+00:00") - MONDAY)
        monkeypatch.setattr(clock, "shift", clock.shift + (at - clock.now()))

    to("00:00")
    return to


async def filled(viewer: Viewer, hours: CallingHours | None, *, targets: int = 5) -> Outdial:
    outdial = await factories.make_outdial(viewer, policy={"calling_hours": hours})
    await factories.make_targets(viewer, outdial.id, targets)
    return outdial


async def claimed(viewer: Viewer, outdial: Outdial, **values: Any) -> int:
    return len(await attempts.claim(viewer, outdial.id, **values))


async def set_hours(viewer: Viewer, outdial: Outdial, hours: CallingHours | None) -> Outdial:
    return await outdials.update(viewer, outdial.id, changes={"dial_policy": PolicyDraft(calling_hours=hours)})


async def test_targets_are_claimed_within_the_hours_and_not_before_or_after(
    database: str, viewer: Viewer, go: Any
) -> None:
    outdial = await filled(viewer, office())
    for text, number in (
        ("07:59:59", 0), ("08:00:00.1", 1), ("12:00", 1), ("16:59:59", 1), ("17:00:00.1", 0), ("23:00", 0),
    ):  # fmt: skip
        go(text)
        assert await claimed(viewer, outdial) == number, text
    go("12:00", days=1)
    assert await claimed(viewer, outdial, limit=10) == 2
    go("12:00", days=5)
    await factories.make_target(viewer, outdial.id)
    assert await claimed(viewer, outdial) == 0
    go("12:00", days=7)
    assert await claimed(viewer, outdial) == 1


async def test_new_hours_count_at_once_for_those_that_knew_the_old_ones(database: str, viewer: Viewer, go: Any) -> None:
    outdial = await filled(viewer, office())
    go("17:30")
    assert await claimed(viewer, outdial) == 0
    await set_hours(viewer, outdial, office(till=19))
    assert await claimed(viewer, outdial) == 1
    await set_hours(viewer, outdial, office())
    assert await claimed(viewer, outdial) == 0
    await set_hours(viewer, outdial, None)
    assert await claimed(viewer, outdial) == 1
    await set_hours(viewer, outdial, office("America/New_York"))
    assert await claimed(viewer, outdial) == 1
    holiday = CallingException(date(2026, 11, 30), "St. Andrew's Day", ())
    await set_hours(viewer, outdial, office("America/New_York", holiday))
    assert await claimed(viewer, outdial) == 0


async def test_a_call_that_was_claimed_in_time_goes_on(database: str, viewer: Viewer, go: Any) -> None:
    outdial = await filled(viewer, office())
    go("16:59:59")
    [attempt] = await attempts.claim(viewer, outdial.id, lease_seconds=3_600)
    go("17:10")
    batch = await attempts.start(viewer, starts=[factories.AttemptStart(attempt.id)])
    assert [one.state for one in batch.attempts] == [AttemptState.DIALING]
    batch = await attempts.extend(viewer, attempt_ids=[attempt.id], lease_seconds=3_600)
    assert batch.errors == ()


async def test_a_key_is_not_used_up_by_a_claim_that_found_the_hours_closed(
    database: str, viewer: Viewer, go: Any
) -> None:
    outdial = await filled(viewer, office())
    go("07:00")
    assert await claimed(viewer, outdial, limit=2, idempotency_key="one") == 0
    go("09:00")
    first = await attempts.claim(viewer, outdial.id, limit=2, idempotency_key="one")
    assert len(first) == 2
    go("18:00")
    again = await attempts.claim(viewer, outdial.id, limit=2, idempotency_key="one")
    assert [attempt.id for attempt in again] == [attempt.id for attempt in first]


async def test_claims_know_the_hours_until_they_change(database: str, viewer: Viewer, go: Any) -> None:
    """The first claim asks twice. Then each is as many statements as without hours."""
    outdials_made = [await filled(viewer, None, targets=9), await filled(viewer, office(), targets=9)]
    go("09:00")
    costs: list[list[int]] = []
    for outdial in outdials_made:
        costs.append([])
        for _ in range(3):
            before = db.statements.sent
            assert await claimed(viewer, outdial) == 1
            costs[-1].append(db.statements.sent - before)
    without, with_hours = costs
    assert with_hours[1:] == without[1:]
    go("18:00")
    await claimed(viewer, outdials_made[1])
    before = db.statements.sent
    assert await claimed(viewer, outdials_made[1]) == 0
    assert db.statements.sent - before <= without[-1]


async def test_what_claims_know_is_bounded(postgres_url: str, viewer: Viewer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(awake, "OUTDIALS_MAX", 2)
    monkeypatch.setattr(awake, "_known", OrderedDict())
    await db.connect(postgres_url)
    try:
        for _ in range(4):
            await claimed(viewer, await filled(viewer, office()))
        assert len(awake._known) <= 2
    finally:
        await db.close()


# ---------------------------------------------------------------- the policy

HOURS = """callingHours { timeZone windows { weekday from to } exceptions { date name windows { from to } } }"""
POLICY = f"dialPolicy {{ leaseSeconds version {HOURS} }}"


async def asked(viewer: Viewer, query: str, **variables: object) -> dict[str, Any]:
    payload = await EXECUTION.execute(EXECUTION.prepare(Operation(query, variables), viewer))
    assert "errors" not in payload, payload
    return payload["data"]


async def updated(viewer: Viewer, **policy: object) -> dict[str, Any]:
    said = f"outdial {{ {POLICY} }} userErrors {{ code path }}"
    query = f"mutation($input: UpdateOutdialInput!) {{ updateOutdial(input: $input) {{ {said} }} }}"
    return (await asked(viewer, query, input={"id": policy.pop("id"), "dialPolicy": policy}))["updateOutdial"]


async def test_hours_come_back_as_they_were_given_and_null_clears_them(database: str, viewer: Viewer) -> None:
    outdial = await factories.make_outdial(viewer)
    given = {
        "timeZone": "Europe/Berlin",
        "windows": [
            {"weekday": "MONDAY", "from": "09:00", "to": "18:30"},
            {"weekday": "SATURDAY", "from": "22:00", "to": "02:00"},
        ],
        "exceptions": [
            {"date": "2026-12-25", "name": "Weihnachten", "windows": []},
            {"date": "2026-12-24", "name": "", "windows": [{"from": "09:00", "to": "12:00"}]},
        ],
    }  # fmt: skip
    for policy, hours, version in (
        ({"callingHours": given}, given, 2),
        ({"leaseSeconds": 60}, given, 3),
        ({"callingHours": given, "leaseSeconds": 60}, given, 3),  # nothing changes
        ({"callingHours": None}, None, 4),
    ):
        answer = await updated(viewer, id=outdial.id, **policy)
        assert answer["userErrors"] == []
        assert answer["outdial"]["dialPolicy"]["callingHours"] == hours
        assert answer["outdial"]["dialPolicy"]["version"] == version
        query = f"query($id: ID!) {{ outdial(id: $id) {{ {POLICY} }} }}"
        for _ in range(3):  # the third time it is compiled
            assert (await asked(viewer, query, id=outdial.id))["outdial"] == answer["outdial"]


async def test_a_new_outdial_has_the_hours_that_it_is_given(database: str, viewer: Viewer) -> None:
    query = f"mutation($input: CreateOutdialInput!) {{ createOutdial(input: $input) {{ outdial {{ {POLICY} }} }} }}"
    hours = {"timeZone": "Asia/Tokyo", "windows": []}
    made = await asked(viewer, query, input={"dialPolicy": {"callingHours": hours}, "idempotencyKey": "one"})
    assert made["createOutdial"]["outdial"]["dialPolicy"] == {
        "leaseSeconds": 120, "version": 1, "callingHours": {"timeZone": "Asia/Tokyo", "windows": [], "exceptions": []},
    }  # fmt: skip


async def test_what_is_wrong_with_hours_is_said_where_it_stands(database: str, viewer: Viewer) -> None:
    window = CallingWindow(Weekday.MONDAY, time(9), time(18))
    parts = (CallingTime(time(9), time(10)),) * 4
    days = tuple(CallingException(date(2026, 1, 1) + timedelta(days=number), "", ()) for number in range(41))
    outdial = await factories.make_outdial(viewer)
    for hours, path in (
        (CallingHours("Europe/Bern", (window,), ()), ("time_zone",)),
        (CallingHours("UTC", (window,) * 29, ()), ("windows",)),
        (CallingHours("UTC", (), days), ("exceptions",)),
        (CallingHours("UTC", (), (days[0], days[0])), ("exceptions", "1", "date")),
        (CallingHours("UTC", (), (CallingException(date(1, 1, 1), "", ()),)), ("exceptions", "0", "date")),
        (CallingHours("UTC", (), (CallingException(date(2026, 1, 1), "x" * 256, ()),)), ("exceptions", "0", "name")),
        (CallingHours("UTC", (), (CallingException(date(2026, 1, 1), "", parts),)), ("exceptions", "0", "windows")),
    ):
        for work in (
            set_hours(viewer, outdial, hours), factories.make_outdial(viewer, policy={"calling_hours": hours}),
        ):  # fmt: skip
            with pytest.raises(Rejected) as refused:
                await work
            assert [error.path for error in refused.value.errors] == [("dial_policy", "calling_hours", *path)]


@pytest.mark.parametrize(
    ("scalar", "value"),
    [
        *(
            ("LocalTime", value)
            for value in ("24:00", "9:00", "09:00:00", "0900", "", "09:0O", "\u0660\u0669:\u0660\u0660", 900, None)
        ),
        *(("Date", value) for value in ("2026-02-30", "20261225", "2026-W01-1", "26-12-25", "", 2026, None)),
    ],
)
async def test_a_time_or_date_that_is_none_is_refused(scalar: str, value: object, viewer: Viewer) -> None:
    window: dict[str, Any] = {"from": "09:00", "to": "10:00"}
    exception: dict[str, Any] = {"date": "2026-12-25", "windows": [window]}
    (window if scalar == "LocalTime" else exception)["from" if scalar == "LocalTime" else "date"] = value
    hours = {"timeZone": "UTC", "windows": [], "exceptions": [exception]}
    query = "mutation($input: CreateOutdialInput!) { createOutdial(input: $input) { userErrors { code } } }"
    operation = Operation(query, {"input": {"dialPolicy": {"callingHours": hours}}})
    with pytest.raises(NotExecuted) as refused:
        EXECUTION.prepare(operation, viewer)
    [error] = refused.value.errors
    assert error["extensions"]["code"] == "BAD_USER_INPUT"


async def test_a_claim_beside_a_change_of_the_hours_comes_before_it_or_takes_nothing(
    database: str, viewer: Viewer, go: Any
) -> None:
    outdial = await filled(viewer, office(), targets=40)
    go("12:00")
    await claimed(viewer, outdial)
    made, changed = await asyncio.gather(
        asyncio.gather(*(attempts.claim(viewer, outdial.id, limit=1) for _ in range(20))),
        set_hours(viewer, outdial, office(till=10)),
    )
    assert changed.tm_update is not None
    assert all(attempt.claimed_at <= changed.tm_update for batch in made for attempt in batch)
    assert await claimed(viewer, outdial) == 0
