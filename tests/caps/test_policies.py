"""Caps of a policy: they are set, read and taken away, and the next claim follows them."""

from collections.abc import Sequence
from typing import Any

import pytest

from app import outdials, targets
from app.auth import Viewer
from app.errors import Rejected
from app.graphql.schema import schema
from app.graphql.schema.context import Context
from app.graphql.transport.execution import Execution, Operation
from app.records import CallCap, CapScope, CapSubject, DestinationDraft, PolicyDraft
from tests.support import factories as make
from tests.support.capping import DAY, ONE, TWO, asleep, call, cap, capped, change_policy
from tests.support.folding import FoldingClient

EXECUTION = Execution(schema, Context)
CAP_COLUMNS = "caps { tries windowSeconds per over }"


async def test_caps_are_given_kept_and_taken_away(database: str, viewer: Viewer) -> None:
    caps = (cap(3), cap(1, 60, per=CapSubject.TARGET, over=CapScope.OUTDIAL))
    outdial = await capped(viewer, *caps)
    for draft, wanted in (
        (PolicyDraft(lease_seconds=50), caps),
        (PolicyDraft(caps=caps[:1]), caps[:1]),
        (PolicyDraft(caps=()), ()),
    ):
        after = await outdials.update(viewer, outdial.id, changes={"dial_policy": draft})
        found = await outdials.get_many(viewer, [outdial.id])
        assert (after.dial_policy.caps, found[outdial.id].dial_policy.caps) == (wanted, wanted)


@pytest.mark.parametrize(
    ("caps", "path"),
    [
        ([cap(0)], ("caps", "0", "tries")),
        ([cap(101)], ("caps", "0", "tries")),
        ([cap(1), cap(1, 0)], ("caps", "1", "window_seconds")),
        ([cap(1, 2_592_001)], ("caps", "0", "window_seconds")),
        ([cap(1)] * 6, ("caps",)),
    ],
)
async def test_caps_out_of_bounds_are_refused_by_their_place(
    database: str, viewer: Viewer, caps: Sequence[CallCap], path: tuple[str, ...]
) -> None:
    with pytest.raises(Rejected) as refusal:
        await capped(viewer, *caps)
    assert [error.path for error in refusal.value.errors] == [("dial_policy", *path)]


async def test_a_new_policy_holds_for_the_very_next_claim(database: str, viewer: Viewer) -> None:
    outdial = await capped(viewer)
    await make.make_target(viewer, outdial.id, ONE)
    assert await call(viewer, outdial) == [ONE]
    await change_policy(viewer, outdial, caps=(cap(1),))
    assert (await call(viewer, outdial), await asleep(viewer)) == ([], 1)
    await change_policy(viewer, outdial, caps=(cap(2),))
    assert (await call(viewer, outdial), await call(viewer, outdial)) == ([ONE], [])
    await change_policy(viewer, outdial, caps=())
    assert (await call(viewer, outdial), await asleep(viewer)) == ([ONE], 0)


async def test_many_that_sleep_wake_in_steps_when_caps_are_taken_away(
    database: str, viewer: Viewer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.outdials.walking.STEP_TARGETS_MAX", 10)
    outdial, other = await capped(viewer, cap(1)), await capped(viewer)
    numbers = [make.phone_number() for _ in range(35)]
    for one in (other, outdial):
        await make.create_many(viewer, one.id, [make.target_draft(number) for number in numbers])
    await call(viewer, other)
    assert (await call(viewer, outdial), await asleep(viewer)) == ([], 35)
    client = await FoldingClient.join(viewer, outdial.id)
    await change_policy(viewer, outdial, caps=())
    assert await asleep(viewer) == 25
    await make.finish_exhausted()
    assert sorted(await call(viewer, outdial)) == sorted(numbers)
    await client.catch_up()


async def test_a_raised_limit_opens_a_destination_that_no_cap_holds(database: str, viewer: Viewer) -> None:
    outdial = await capped(viewer, cap(1), max_try_counts=(5, 0, 0, 0, 0))
    await make.make_target(viewer, outdial.id, ONE, TWO)
    assert [await call(viewer, outdial) for _ in range(2)] == [[ONE], []]
    await change_policy(viewer, outdial, max_try_counts=(5, 5, 0, 0, 0))
    assert await call(viewer, outdial) == [TWO]


async def test_a_target_that_its_owner_changes_is_looked_at_again(database: str, viewer: Viewer) -> None:
    outdial = await capped(viewer, cap(1))
    target = await make.make_target(viewer, outdial.id, ONE)
    assert [await call(viewer, outdial) for _ in range(2)] == [[ONE], []]
    await targets.update(viewer, target.id, changes={"destination_1": DestinationDraft(TWO)})
    assert await call(viewer, outdial) == [TWO]


async def test_caps_are_set_and_read_by_graphql(database: str, viewer: Viewer) -> None:
    said = f"outdial {{ id dialPolicy {{ {CAP_COLUMNS} }} }} userErrors {{ path }}"

    async def write(what: str, **values: Any) -> Any:
        query = (
            f"mutation($input: {what.capitalize()}OutdialInput!) {{ done: {what}Outdial(input: $input) {{ {said} }} }}"
        )
        operation = Operation(query, {"input": values})
        payload = await EXECUTION.execute(EXECUTION.prepare(operation, viewer))
        assert "errors" not in payload, payload
        return payload["data"]["done"]

    made = await write("create", dialPolicy={"caps": [{"tries": 3, "windowSeconds": DAY}]})
    wanted = [{"tries": 3, "windowSeconds": DAY, "per": "ADDRESS", "over": "CUSTOMER"}]
    assert made["outdial"]["dialPolicy"]["caps"] == wanted
    for given_caps, left in ((None, wanted), ([], [])):
        answer = await write("update", id=made["outdial"]["id"], dialPolicy={"caps": given_caps})
        assert answer["outdial"]["dialPolicy"]["caps"] == left
    refused = await write("create", dialPolicy={"caps": [{"tries": 0, "windowSeconds": DAY}]})
    assert refused["userErrors"] == [{"path": ["dialPolicy", "caps", "0", "tries"]}]
