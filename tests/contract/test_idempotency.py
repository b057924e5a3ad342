"""A call that is sent again because its answer was lost is carried out once."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from app import clock
from app.auth import Viewer
from app.errors import Rejected, UserErrorCode
from tests.support import factories as make
from tests.support import rows
from tests.support.factories import phone_number
from tests.support.graphql_client import Client, user_errors
from tests.support.server import ServerProcess

KEY = "the same call"
CONFLICT = [("CONFLICT", ["idempotencyKey"])]
DUPLICATES = 8


async def calls(client: Client) -> dict[str, dict[str, Any]]:
    """An input for each mutation that takes a key."""
    outdial = await client.outdial()
    for _ in range(5):
        await client.target(outdial["id"])
    return {
        "createOutdial": {"name": "list"},
        "createTarget": {"outdialId": outdial["id"], "target": {"destination0": {"target": phone_number()}}},
        "createTargets": {
            "outdialId": outdial["id"],
            "targets": [{"key": "a", "destination0": {"target": phone_number()}}, {"name": "no destination"}],
        },
        "claimTargets": {"outdialId": outdial["id"], "limit": 3, "dialer": "one"},
    }


def without_key(tables: rows.Tables) -> rows.Tables:
    return {name: found for name, found in tables.items() if name != "idempotency_key"}


MUTATIONS = ["createOutdial", "createTarget", "createTargets", "claimTargets"]
OTHER_INPUT = {
    "createOutdial": {"name": "another list"},
    "createTarget": {"target": {"destination0": {"target": "+15550199999"}}},
    "createTargets": {"onDuplicateKey": "SKIP"},
    "claimTargets": {"limit": 2},
}
DEFAULTS = {
    "createOutdial": {"detail": "", "data": "", "campaignId": None},
    "createTargets": {"onDuplicateKey": "REJECT"},
    "claimTargets": {"leaseSeconds": None},
}


@pytest.mark.parametrize("field", MUTATIONS)
async def test_a_repeat_answers_the_same_and_does_nothing(field: str, client: Client, service: ServerProcess) -> None:
    given = (await calls(client))[field]
    first = await client.mutate(field, **given, idempotencyKey=KEY)
    before = await rows.of(service.database_url, client.customer_id)

    again = await client.mutate(field, **given, **DEFAULTS.get(field, {}), idempotencyKey=KEY)

    assert again == first
    assert await rows.of(service.database_url, client.customer_id) == before


@pytest.mark.parametrize("field", MUTATIONS)
async def test_the_same_key_with_another_input_is_a_conflict(
    field: str, client: Client, service: ServerProcess
) -> None:
    given = (await calls(client))[field]
    await client.mutate(field, **given, idempotencyKey=KEY)
    before = await rows.of(service.database_url, client.customer_id)

    refused = await client.mutate(field, **{**given, **OTHER_INPUT[field]}, idempotencyKey=KEY)

    assert user_errors(refused) == CONFLICT
    assert await rows.of(service.database_url, client.customer_id) == before


@pytest.mark.parametrize("key", [KEY, "it's '); DROP TABLE target; --", "Schlüssel \\ {a,b} $1 %s"])
@pytest.mark.parametrize("field", MUTATIONS)
async def test_concurrent_duplicates_wait_for_the_first(
    field: str, key: str, client: Client, service: ServerProcess
) -> None:
    given = (await calls(client))[field]
    single = await client.mutate(field, **given)
    before = await rows.of(service.database_url, client.customer_id)
    if field == "createTargets":  # its key is taken by now
        given["targets"][0]["key"] = "b"

    answers = await asyncio.gather(*[client.mutate(field, **given, idempotencyKey=key) for _ in range(DUPLICATES)])

    assert all(answer == answers[0] for answer in answers)
    after = await rows.of(service.database_url, client.customer_id)
    grown = {name: len(after[name]) - len(before[name]) for name in ("outdial", "target", "attempt")}
    match field:
        case "createOutdial":
            assert grown == {"outdial": 1, "target": 0, "attempt": 0}
        case "claimTargets":
            assert grown == {"outdial": 0, "target": 0, "attempt": 5 - len(single["attempts"])}
        case _:
            assert grown == {"outdial": 0, "target": 1, "attempt": 0}


@pytest.mark.parametrize("field", MUTATIONS)
async def test_keys_are_kept_per_customer_and_mutation(field: str, client: Client, other: Client) -> None:
    mine, theirs = await calls(client), await calls(other)
    for name in MUTATIONS:
        if name != field:
            await client.mutate(name, **mine[name], idempotencyKey=KEY)
    await other.mutate(field, **{**theirs[field], **OTHER_INPUT[field]}, idempotencyKey=KEY)

    assert "CONFLICT" not in [
        code for code, _ in user_errors(await client.mutate(field, **mine[field], idempotencyKey=KEY))
    ]


async def test_a_repeat_names_the_same_objects_as_they_are_now(client: Client) -> None:
    given = (await calls(client))["createTargets"]
    first = await client.mutate("createTargets", **given, idempotencyKey=KEY)
    [made, rejected] = first["targets"]
    assert rejected is None
    await client.good("updateTarget", id=made["id"], name="renamed")

    again = await client.mutate("createTargets", **given, idempotencyKey=KEY)

    assert [target and target["id"] for target in again["targets"]] == [made["id"], None]
    assert again["targets"][0]["name"] == "renamed"
    assert again["userErrors"] == first["userErrors"] != []
    for count in ("createdCount", "updatedCount", "skippedCount", "rejectedCount"):
        assert again[count] == first[count]


async def test_a_repeated_claim_may_return_attempts_that_have_ended(client: Client) -> None:
    given = (await calls(client))["claimTargets"]
    first = (await client.good("claimTargets", **given, idempotencyKey=KEY))["attempts"]
    results = [{"attemptId": first[0]["id"], "disposition": "ANSWERED"}]
    await client.good("completeAttempts", results=results)

    again = (await client.good("claimTargets", **given, idempotencyKey=KEY))["attempts"]

    assert [attempt["id"] for attempt in again] == [attempt["id"] for attempt in first]
    assert [attempt["state"] for attempt in again] == ["COMPLETED", "CLAIMED", "CLAIMED"]


@pytest.mark.parametrize("what", ["target", "outdial"])
async def test_a_repeat_is_answered_after_its_object_was_deleted(what: str, client: Client) -> None:
    field = "createTarget" if what == "target" else "createOutdial"
    given = (await calls(client))[field]
    first = await client.good(field, **given, idempotencyKey=KEY)
    await client.good("deleteTarget" if what == "target" else "deleteOutdial", first[what]["id"])

    again = await client.good(field, **given, idempotencyKey=KEY)

    assert again[what]["id"] == first[what]["id"]
    assert again[what]["tmDelete"] is not None


async def test_a_call_that_changed_nothing_keeps_no_key(client: Client, service: ServerProcess) -> None:
    outdial = await client.outdial()
    assert (await client.good("claimTargets", outdialId=outdial["id"], idempotencyKey=KEY))["attempts"] == []
    bad = {"outdialId": outdial["id"], "target": {"name": "no destination"}}
    assert (await client.mutate("createTarget", **bad, idempotencyKey=KEY))["userErrors"] != []
    many = {"outdialId": outdial["id"], "targets": [bad["target"]]}
    assert (await client.mutate("createTargets", **many, idempotencyKey=KEY))["rejectedCount"] == 1
    assert (await client.mutate("createOutdial", name="x" * 256, idempotencyKey=KEY))["userErrors"] != []
    assert (await rows.of(service.database_url, client.customer_id))["idempotency_key"] == []

    good = {"outdialId": outdial["id"], "target": {"destination0": {"target": phone_number()}}}
    await client.good("createTarget", **good, idempotencyKey=KEY)
    claimed = await client.good("claimTargets", outdialId=outdial["id"], idempotencyKey=KEY)
    assert len(claimed["attempts"]) == 1


@pytest.mark.parametrize("key", ["", "k" * 256, "NUL\0"])
async def test_a_key_is_text_of_1_to_255_characters(key: str, client: Client, service: ServerProcess) -> None:
    given = await calls(client)
    before = await rows.of(service.database_url, client.customer_id)
    for field in MUTATIONS:
        answer = await client.mutate(field, **given[field], idempotencyKey=key)
        assert ("INVALID", ["idempotencyKey"]) in user_errors(answer)
    assert await rows.of(service.database_url, client.customer_id) == before
    await client.good("createOutdial", name="a", idempotencyKey="k" * 255)


async def test_keys_are_kept_24_hours(database: str, viewer: Viewer) -> None:
    from app import outdials
    from app.records import OutdialDraft

    async def create(name: str) -> str:
        return (await outdials.create(viewer, draft=OutdialDraft(name=name), idempotency_key=KEY)).id

    first = await create("a")
    make.pass_time(timedelta(hours=23, minutes=59).total_seconds())
    assert await create("a") == first
    with pytest.raises(Rejected) as refusal:
        await create("b")
    assert [error.code for error in refusal.value.errors] == [UserErrorCode.CONFLICT]
    clock.shift = timedelta(hours=24, minutes=1)
    assert await create("b") != first
