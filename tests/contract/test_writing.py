"""What writing leaves behind: nothing where nothing changes, keys that are free again, ids that ascend."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support import rows
from tests.support.factories import phone_number
from tests.support.graphql_client import TARGET, Client, user_errors
from tests.support.server import ServerProcess


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


async def many(client: Client, outdial_id: str, action: str, *drafts: dict[str, Any]) -> dict[str, Any]:
    return await client.mutate("createTargets", outdialId=outdial_id, targets=list(drafts), onDuplicateKey=action)


def counted(payload: dict[str, Any]) -> list[int]:
    return [payload[name] for name in ("createdCount", "updatedCount", "skippedCount", "rejectedCount")]


async def test_writing_what_is_already_there_writes_nothing(client: Client, service: ServerProcess) -> None:
    outdial = await client.outdial(name="a", detail="b", data="c", dialPolicy={"leaseSeconds": 60})
    target = await client.target(
        outdial["id"],
        key="k",
        name="a",
        priority=3,
        maxTryCounts=[1, 2, 3, 4, 5],
        destination0={"target": "+15550100001", "name": "n"},
    )
    outdial = await client.read_outdial(outdial["id"]) or {}
    before = await rows.of(service.database_url, client.customer_id)

    same = {"name": "a", "detail": "b", "data": "c", "state": "ACTIVE", "campaignId": None}
    policy = {"leaseSeconds": 60, "maxTryCounts": [3] * 5}
    assert (await client.good("updateOutdial", id=outdial["id"], **same, dialPolicy=policy))["outdial"] == outdial
    place = {"target": "+1 (555) 010-0001", "name": "n"}
    given = {"name": "a", "priority": 3, "maxTryCounts": [1, 2, 3, 4, 5], "destination0": place, "destination1": None}
    for fields in ({}, given, {**given, "ifVersion": 1}):
        assert (await client.good("updateTarget", id=target["id"], **fields))["target"] == target
    draft = {"key": "k", "name": "a", "priority": 3, "maxTryCounts": [1, 2, 3, 4, 5], "destination0": place}
    payload = await many(client, outdial["id"], "UPDATE", draft)
    assert (counted(payload), payload["targets"]) == ([0, 0, 1, 0], [target])

    assert await rows.of(service.database_url, client.customer_id) == before


async def test_a_change_moves_the_version_and_the_time(client: Client) -> None:
    outdial = await client.outdial()
    assert (outdial["tmUpdate"], outdial["tmDelete"]) == (None, None)
    target = await client.target(outdial["id"])
    assert target["tmUpdate"] == target["tmCreate"]
    changed = (await client.good("updateTarget", id=target["id"], data="x"))["target"]
    assert (changed["data"], changed["version"]) == ("x", 2)
    assert instant(changed["tmUpdate"]) > instant(target["tmUpdate"])
    renamed = (await client.good("updateOutdial", id=outdial["id"], name="x"))["outdial"]
    assert instant(renamed["tmUpdate"]) >= instant(outdial["tmCreate"])
    refused = await client.mutate("updateTarget", id=target["id"], name="y", ifVersion=1)
    assert user_errors(refused) == [("CONFLICT", ["ifVersion"])]
    assert (await client.good("updateTarget", id=target["id"], name="y", ifVersion=2))["target"]["version"] == 3


async def test_a_deleted_targets_key_is_free_again(client: Client) -> None:
    outdial = await client.outdial()
    first = await client.target(outdial["id"], key="k")
    gone = (await client.good("deleteTarget", first["id"]))["target"]
    assert (gone["id"], gone["tmDelete"] is not None) == (first["id"], True)
    second = await client.target(outdial["id"], key="k")
    other = await client.outdial()
    assert (await client.target(other["id"], key="k"))["key"] == "k"
    query = 'query($id: ID!) { outdial(id: $id) { targets(where: {key: "k"}) { totalCount nodes { id } } } }'
    found = (await client.run(query, id=outdial["id"]))["outdial"]["targets"]
    assert found == {"totalCount": 1, "nodes": [{"id": second["id"]}]}


async def test_ids_are_version_7_and_ascend_in_the_inputs_order(client: Client) -> None:
    outdial = await client.outdial()
    drafts = [{"destination0": {"target": phone_number()}} for _ in range(300)]
    ids = [target["id"] for target in (await many(client, outdial["id"], "REJECT", *drafts))["targets"]]
    claimed = (await client.good("claimTargets", outdialId=outdial["id"], limit=300))["attempts"]
    assert [attempt["target"]["id"] for attempt in claimed] == ids
    for made in (ids, [attempt["id"] for attempt in claimed]):
        assert made == sorted(made)
        assert {made_id[14] for made_id in made} == {"7"}
        assert {made_id[19] for made_id in made} <= set("89ab")


async def test_update_replaces_the_row_but_not_what_happened_to_it(client: Client) -> None:
    outdial = await client.outdial(dialPolicy={"retryIntervalSeconds": 0})
    place = {"target": phone_number()}
    await client.target(
        outdial["id"], key="k", name="a", detail="b", data="c", priority=5, maxTryCounts=[9] * 5, destination0=place
    )
    [attempt] = (await client.good("claimTargets", outdialId=outdial["id"]))["attempts"]
    await client.good("completeAttempts", results=[{"attemptId": attempt["id"], "disposition": "ANSWERED"}])

    other = {"target": phone_number(), "targetName": "t"}
    payload = await many(client, outdial["id"], "UPDATE", {"key": "k", "name": "new", "destination2": other})

    assert counted(payload) == [0, 1, 0, 0]
    [row] = payload["targets"]
    assert row["destination0"] is None
    assert (row["destination2"]["target"], row["destination2"]["targetName"]) == (other["target"], "t")
    assert [row[name] for name in ("name", "detail", "data", "priority", "maxTryCounts")] == ["new", "", "", 0, None]
    assert [row[name] for name in ("status", "doneReason", "tryCount0")] == ["DONE", "ANSWERED", 1]


async def test_a_key_that_is_repeated_in_one_call_meets_the_earlier_row(client: Client) -> None:
    outdial = await client.outdial()
    one, two = ({"key": "k", "name": name, "destination0": {"target": phone_number()}} for name in ("a", "b"))
    skipped = await many(client, outdial["id"], "SKIP", one, two, {**two, "key": "other"})
    assert counted(skipped) == [2, 0, 1, 0]
    assert [row["name"] for row in skipped["targets"]] == ["a", "a", "b"]
    assert skipped["targets"][0]["id"] == skipped["targets"][1]["id"]

    updated = await many(client, outdial["id"], "UPDATE", two, two, one, {**one, "key": "new"}, {**two, "key": "new"})
    assert counted(updated) == [1, 3, 1, 0]
    assert {row["id"] for row in updated["targets"][:3]} == {skipped["targets"][0]["id"]}
    found = await client.read_target(skipped["targets"][0]["id"]) or {}
    assert found["name"] == "a"

    rejected = await many(client, outdial["id"], "REJECT", {**one, "key": "x"}, {**two, "key": "x"})
    assert counted(rejected) == [1, 0, 0, 1]
    assert user_errors(rejected) == [("CONFLICT", ["targets", "1", "key"])]


async def test_a_later_start_is_kept_and_moved(client: Client) -> None:
    outdial = await client.outdial()
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    target = await client.target(outdial["id"], notBefore=later)
    assert instant(target["nextTryAt"]) == instant(later)
    assert (await client.good("claimTargets", outdialId=outdial["id"]))["attempts"] == []
    sooner = (datetime.now(UTC) + timedelta(minutes=1)).isoformat()
    moved = (await client.good("updateTarget", id=target["id"], notBefore=sooner))["target"]
    assert instant(moved["nextTryAt"]) == instant(sooner)
    now = (await client.good("updateTarget", id=target["id"], notBefore=None))["target"]
    assert instant(now["nextTryAt"]) <= datetime.now(UTC) + timedelta(seconds=1)
    assert len((await client.good("claimTargets", outdialId=outdial["id"]))["attempts"]) == 1


async def test_what_is_deleted_is_found_only_through_what_remains_of_it(client: Client) -> None:
    outdial = await client.outdial()
    target = await client.target(outdial["id"])
    [attempt] = (await client.good("claimTargets", outdialId=outdial["id"]))["attempts"]
    gone = (await client.good("deleteOutdial", outdial["id"]))["outdial"]
    assert (gone["id"], gone["tmDelete"] is not None) == (outdial["id"], True)
    found = await client.run(
        f"""query($outdial: ID!, $target: ID!, $attempt: ID!) {{
            outdial(id: $outdial) {{ id }} target(id: $target) {{ id }} outdials {{ nodes {{ id }} }}
            node(id: $outdial) {{ id }} nodes(ids: [$outdial, $target, $attempt]) {{ id
                ... on Attempt {{ state target {{ {TARGET} outdial {{ id tmDelete }} }} }} }}
        }}""",
        outdial=outdial["id"], target=target["id"], attempt=attempt["id"],
    )  # fmt: skip
    assert (found["outdial"], found["target"], found["node"], found["outdials"]["nodes"]) == (None, None, None, [])
    nobody, none, ledger = found["nodes"]
    assert (nobody, none, ledger["state"]) == (None, None, "REVOKED")
    assert (ledger["target"]["id"], ledger["target"]["outdial"]) == (
        target["id"],
        {"id": outdial["id"], "tmDelete": gone["tmDelete"]},
    )
    for field in ("deleteOutdial", "deleteTarget", "cancelTarget"):
        payload = await client.mutate(field, outdial["id"] if field == "deleteOutdial" else target["id"])
        assert user_errors(payload) == [("NOT_FOUND", ["id"])]


@pytest.mark.slow
async def test_a_reset_brings_back_ten_thousand_at_most_and_says_what_remains(client: Client) -> None:
    outdial = await client.outdial(dialPolicy={"maxTryCounts": [0] * 5})
    query = "mutation($input: CreateTargetsInput!) { createTargets(input: $input) { createdCount } }"
    for number in (1_000,) * 10 + (50,):
        drafts = [{"destination0": {"target": phone_number()}} for _ in range(number)]
        await client.run(query, input={"outdialId": outdial["id"], "targets": drafts})
    await client.good("updateOutdial", id=outdial["id"], dialPolicy={"maxTryCounts": [1] * 5})
    wish = {"outdialId": outdial["id"], "doneReasons": ["EXHAUSTED"]}

    dry = await client.good("resetTargets", **wish, dryRun=True)
    first = await client.good("resetTargets", **wish)
    progress = (await client.read_outdial(outdial["id"]) or {})["progress"]
    second = await client.good("resetTargets", **wish)

    assert [(answer["count"], answer["remaining"]) for answer in (dry, first, second)] == [
        (10_000, 50),
        (10_000, 50),
        (50, 0),
    ]
    assert (progress["idle"], progress["done"]) == (10_000, 50)
