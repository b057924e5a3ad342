"""Bad input of every kind is refused with its code and path, and nothing of it is written."""

from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest

from tests.support import rows
from tests.support.graphql_client import Client, codes, user_errors
from tests.support.server import ServerProcess

TEL = {"target": "+15550100001"}
BAD_TEL = {"target": "+1555"}
UNKNOWN = "01900000-0000-7000-8000-000000000000"
MALFORMED_IDS = [
    "", " ", "x", "1", "null", "0", "01900000000070008000000000000000", "{01900000-0000-7000-8000-000000000000}",
    "urn:uuid:01900000-0000-7000-8000-000000000000", " 01900000-0000-7000-8000-000000000000",
    "01900000-0000-7000-8000-00000000000g", "01900000-0000-7000-8000-0000000000000", "\0", "é", "1' OR '1'='1",
]  # fmt: skip
NUL = "a\0b"
FAR = "9999-01-01T00:00:00Z"


@dataclass(frozen=True)
class Own:
    """What the customer has: ids that inputs name by their field."""

    outdial: str
    target: str
    attempt: str
    second: str


@pytest.fixture
async def own(client: Client) -> Own:
    outdial = await client.outdial(name="own")
    target = await client.target(outdial["id"], key="taken", priority=9)
    second = await client.target(outdial["id"], key="second")
    [attempt] = (await client.good("claimTargets", outdialId=outdial["id"]))["attempts"]
    assert attempt["target"]["id"] == target["id"]
    return Own(outdial["id"], target["id"], attempt["id"], second["id"])


def filled(value: Any, own: Own) -> Any:
    """The input with the customer's ids in place of their names."""
    match value:
        case dict():
            return {name: filled(item, own) for name, item in value.items()}
        case list():
            return [filled(item, own) for item in value]
        case "OUTDIAL" | "TARGET" | "ATTEMPT" | "SECOND":
            return getattr(own, value.lower())
        case _:
            return value


def target(**fields: Any) -> dict[str, Any]:
    return {"outdialId": "OUTDIAL", "target": {"destination0": TEL, **fields}}


def result(**fields: Any) -> dict[str, Any]:
    return {"results": [{"attemptId": "ATTEMPT", "disposition": "BUSY", **fields}]}


TEXTS = [
    ("name", "n" * 256),
    ("name", NUL),
    ("detail", "d" * 4_097),
    ("detail", NUL),
    ("data", "d" * 65_537),
    ("data", NUL),
]
PLACE_TEXTS = [
    (name, text) for name, text in [*TEXTS, ("targetName", "t" * 256), ("targetName", NUL)] if name != "data"
]
KEYS = [("key", "k" * 256), ("key", NUL)]
TAKEN = {"key": "taken", "destination0": TEL}
POLICIES: list[tuple[dict[str, Any], list[str]]] = [
    ({"maxTryCounts": [3] * 4}, ["maxTryCounts"]),
    ({"maxTryCounts": [3] * 6}, ["maxTryCounts"]),
    ({"maxTryCounts": []}, ["maxTryCounts"]),
    ({"maxTryCounts": [3, 3, -1, 3, 3]}, ["maxTryCounts", "2"]),
    ({"maxTryCounts": [101, 3, 3, 3, 3]}, ["maxTryCounts", "0"]),
    ({"retryIntervalSeconds": -1}, ["retryIntervalSeconds"]),
    ({"retryIntervalSeconds": 2_592_001}, ["retryIntervalSeconds"]),
    ({"leaseSeconds": 4}, ["leaseSeconds"]),
    ({"leaseSeconds": 86_401}, ["leaseSeconds"]),
    ({"startsAt": "2026-03-04T17:00:00Z", "endsAt": "2026-03-04T17:00:00Z"}, ["endsAt"]),
    *[({"pacing": {"claimsPerSecond": rate}}, ["pacing", "claimsPerSecond"]) for rate in (-1, 0, 1e-9, 10_001, 1e300)],
    *[({"pacing": {"maxOpenAttempts": most}}, ["pacing", "maxOpenAttempts"]) for most in (-1, 0)],
    *[
        ({"retryRules": [{"action": "RETRY", **rule}]}, ["retryRules", "0", *path])
        for rule, path in [
            ({"dispositions": ["BUSY", "ANSWERED"]}, ["dispositions", "1"]),
            ({"dispositions": ["DO_NOT_CALL"]}, ["dispositions", "0"]),
            ({"states": ["RELEASED"]}, ["states", "0"]),
            ({"states": ["DIALING"]}, ["states", "0"]),
            ({"destinations": [5]}, ["destinations", "0"]),
            ({"fromNth": 0}, ["fromNth"]),
            ({"jitterPercent": 101}, ["jitterPercent"]),
            ({"waitSeconds": -1}, ["waitSeconds"]),
            ({"codes": [""]}, ["codes", "0"]),
            ({"action": "FINISH", "waitSeconds": 1}, ["waitSeconds"]),
        ]
    ],
]
LIMITS = [(draft["maxTryCounts"], path) for draft, path in POLICIES if "maxTryCounts" in draft]

REFUSED: list[tuple[str, dict[str, Any], str, list[str]]] = [
    *[("createOutdial", {name: text}, "INVALID", [name]) for name, text in TEXTS],
    *[("updateOutdial", {"id": "OUTDIAL", name: text}, "INVALID", [name]) for name, text in TEXTS],
    *[("updateOutdial", {"id": "OUTDIAL", name: None}, "INVALID", [name]) for name in ("name", "detail", "data")],
    *[("createOutdial", {"dialPolicy": draft}, "INVALID", ["dialPolicy", *path]) for draft, path in POLICIES],
    *[
        ("updateOutdial", {"id": "OUTDIAL", "name": "new", "dialPolicy": draft}, "INVALID", ["dialPolicy", *path])
        for draft, path in POLICIES
    ],
    *[("createTarget", target(**{name: text}), "INVALID", ["target", name]) for name, text in [*TEXTS, *KEYS]],
    *[("createTarget", target(priority=number), "INVALID", ["target", "priority"]) for number in (-1, 10)],
    *[("createTarget", target(maxTryCounts=limits), "INVALID", ["target", *path]) for limits, path in LIMITS],
    *[
        ("createTarget", target(destination3={**TEL, name: text}), "INVALID", ["target", "destination3", name])
        for name, text in PLACE_TEXTS
    ],
    ("createTarget", target(destination3=BAD_TEL), "INVALID", ["target", "destination3", "target"]),
    ("createTarget", {"outdialId": UNKNOWN, "target": {"destination0": TEL}}, "NOT_FOUND", ["outdialId"]),
    ("createTarget", target(key="taken"), "CONFLICT", ["target", "key"]),
    ("createTargets", {"outdialId": "OUTDIAL", "targets": []}, "INVALID", ["targets"]),
    ("createTargets", {"outdialId": "OUTDIAL", "targets": [{"destination0": TEL}] * 1_001}, "INVALID", ["targets"]),
    ("createTargets", {"outdialId": UNKNOWN, "targets": [{"destination0": TEL}]}, "NOT_FOUND", ["outdialId"]),
    ("createTargets", {"outdialId": "OUTDIAL", "targets": [TAKEN]}, "CONFLICT", ["targets", "0", "key"]),
    *[("updateTarget", {"id": "SECOND", name: text}, "INVALID", [name]) for name, text in TEXTS],
    *[
        ("updateTarget", {"id": "SECOND", name: None}, "INVALID", [name])
        for name in ("name", "detail", "data", "priority")
    ],
    *[("updateTarget", {"id": "SECOND", "priority": number}, "INVALID", ["priority"]) for number in (-1, 10)],
    *[
        ("updateTarget", {"id": "SECOND", "name": "new", "maxTryCounts": limits}, "INVALID", path)
        for limits, path in LIMITS
    ],
    ("updateTarget", {"id": "SECOND", "name": "new", "destination4": BAD_TEL}, "INVALID", ["destination4", "target"]),
    ("updateTarget", {"id": "SECOND", "name": "new", "destination0": None}, "INVALID", ["destination0"]),
    ("updateTarget", {"id": "SECOND", "name": "new", "ifVersion": 7}, "CONFLICT", ["ifVersion"]),
    ("updateTarget", {"id": UNKNOWN, "name": "new"}, "NOT_FOUND", ["id"]),
    ("updateOutdial", {"id": UNKNOWN, "name": "new"}, "NOT_FOUND", ["id"]),
    *[("claimTargets", {"outdialId": "OUTDIAL", "limit": limit}, "INVALID", ["limit"]) for limit in (0, -1, 501)],
    *[
        ("claimTargets", {"outdialId": "OUTDIAL", "leaseSeconds": lease}, "INVALID", ["leaseSeconds"])
        for lease in (4, 0, -5, 86_401)
    ],
    *[("claimTargets", {"outdialId": "OUTDIAL", "dialer": text}, "INVALID", ["dialer"]) for text in ("d" * 256, NUL)],
    ("claimTargets", {"outdialId": UNKNOWN}, "NOT_FOUND", ["outdialId"]),
    ("startAttempts", {"attempts": []}, "INVALID", ["attempts"]),
    ("startAttempts", {"attempts": [{"attemptId": "ATTEMPT"}] * 501}, "INVALID", ["attempts"]),
    *[
        (
            "startAttempts",
            {"attempts": [{"attemptId": "ATTEMPT", "callId": text}]},
            "INVALID",
            ["attempts", "0", "callId"],
        )
        for text in ("c" * 256, NUL)
    ],
    ("startAttempts", {"attempts": [{"attemptId": UNKNOWN}]}, "NOT_FOUND", ["attempts", "0", "attemptId"]),
    ("extendAttempts", {"attemptIds": []}, "INVALID", ["attemptIds"]),
    ("extendAttempts", {"attemptIds": ["ATTEMPT"] * 501}, "INVALID", ["attemptIds"]),
    *[
        ("extendAttempts", {"attemptIds": ["ATTEMPT"], "leaseSeconds": lease}, "INVALID", ["leaseSeconds"])
        for lease in (4, -1, 86_401)
    ],
    ("extendAttempts", {"attemptIds": [UNKNOWN]}, "NOT_FOUND", ["attemptIds", "0"]),
    ("releaseAttempts", {"attemptIds": []}, "INVALID", ["attemptIds"]),
    ("releaseAttempts", {"attemptIds": ["ATTEMPT"] * 501}, "INVALID", ["attemptIds"]),
    ("releaseAttempts", {"attemptIds": [UNKNOWN]}, "NOT_FOUND", ["attemptIds", "0"]),
    ("completeAttempts", {"results": []}, "INVALID", ["results"]),
    ("completeAttempts", {"results": result()["results"] * 501}, "INVALID", ["results"]),
    *[("completeAttempts", result(detail=text), "INVALID", ["results", "0", "detail"]) for text in ("d" * 4_097, NUL)],
    *[
        ("completeAttempts", result(retryAfterSeconds=wait), "INVALID", ["results", "0", "retryAfterSeconds"])
        for wait in (-1, 2_592_001)
    ],
    ("completeAttempts", result(attemptId=UNKNOWN), "NOT_FOUND", ["results", "0", "attemptId"]),
    ("resetTargets", {"outdialId": UNKNOWN, "doneReasons": ["ANSWERED"]}, "NOT_FOUND", ["outdialId"]),
    ("resetTargets", {"outdialId": "OUTDIAL", "targetIds": ["TARGET"] * 501}, "INVALID", ["targetIds"]),
    ("resetTargets", {"outdialId": "OUTDIAL", "where": {}, "notBefore": FAR}, "INVALID", ["notBefore"]),
    ("resetTargets", {"outdialId": "OUTDIAL", "where": {}, "idempotencyKey": ""}, "INVALID", ["idempotencyKey"]),
    ("cancelTargets", {"outdialId": UNKNOWN, "where": {}}, "NOT_FOUND", ["outdialId"]),
    ("cancelTargets", {"outdialId": "OUTDIAL", "where": {}, "idempotencyKey": ""}, "INVALID", ["idempotencyKey"]),
    ("updateTargets", {"outdialId": UNKNOWN, "where": {}, "priority": 1}, "NOT_FOUND", ["outdialId"]),
    ("updateTargets", {"outdialId": "OUTDIAL", "where": {}}, "INVALID", []),
    *[
        ("updateTargets", {"outdialId": "OUTDIAL", "where": {}, **given}, "INVALID", list(given))
        for given in (
            {"priority": None}, {"priority": 10}, {"maxTryCounts": [1]}, {"timeZone": "Moon/Sea"}, {"notBefore": FAR},
        )
    ],
    *[
        case
        for text in MALFORMED_IDS
        for case in (
            ("createOutdial", {"campaignId": text}, "INVALID", ["campaignId"]),
            ("updateOutdial", {"id": text, "name": "new"}, "INVALID", ["id"]),
            ("updateOutdial", {"id": "OUTDIAL", "name": "new", "campaignId": text}, "INVALID", ["campaignId"]),
            ("createTarget", {"outdialId": text, "target": {"destination0": TEL}}, "INVALID", ["outdialId"]),
            ("createTargets", {"outdialId": text, "targets": [{"destination0": TEL}]}, "INVALID", ["outdialId"]),
            ("updateTarget", {"id": text, "name": "new"}, "INVALID", ["id"]),
            ("resetTargets", {"outdialId": text, "doneReasons": ["ANSWERED"]}, "INVALID", ["outdialId"]),
            ("cancelTargets", {"outdialId": text, "where": {}}, "INVALID", ["outdialId"]),
            ("updateTargets", {"outdialId": text, "where": {}, "priority": 1}, "INVALID", ["outdialId"]),
            ("resetTargets", {"outdialId": "OUTDIAL", "targetIds": [text]}, "INVALID", ["targetIds", "0"]),
            ("claimTargets", {"outdialId": text}, "INVALID", ["outdialId"]),
            ("startAttempts", {"attempts": [{"attemptId": text}]}, "INVALID", ["attempts", "0", "attemptId"]),
            ("extendAttempts", {"attemptIds": [text]}, "INVALID", ["attemptIds", "0"]),
            ("releaseAttempts", {"attemptIds": [text]}, "INVALID", ["attemptIds", "0"]),
            ("completeAttempts", result(attemptId=text), "INVALID", ["results", "0", "attemptId"]),
        )
    ],
]  # fmt: skip
FIELDS = sorted({case[0] for case in REFUSED})


@pytest.mark.alternate
@pytest.mark.parametrize("field", FIELDS)
async def test_a_mutation_refuses_bad_input_by_its_path_and_writes_nothing(
    field: str, client: Client, own: Own, service: ServerProcess
) -> None:
    before = await rows.of(service.database_url, client.customer_id)
    for name, given, code, path in REFUSED:
        if name == field:
            payload = await client.mutate(field, **filled(given, own))
            assert user_errors(payload) == [(code, path)], str(given)[:300]
            assert payload["userErrors"][0]["message"]
            assert not payload.get("outdial")
            assert not payload.get("target")
            assert not any(payload.get("targets", []))
            assert not payload.get("attempts")
    assert await rows.of(service.database_url, client.customer_id) == before


async def test_everything_that_is_wrong_is_told_at_once(client: Client, own: Own, service: ServerProcess) -> None:
    before = await rows.of(service.database_url, client.customer_id)
    payload = await client.mutate(
        "createTarget",
        outdialId=own.outdial,
        target={"name": NUL, "priority": 10, "destination0": TEL, "destination1": BAD_TEL, "maxTryCounts": [1]},
    )
    wanted = [["name"], ["priority"], ["destination1", "target"], ["maxTryCounts"]]
    assert sorted(user_errors(payload)) == sorted(("INVALID", ["target", *path]) for path in wanted)
    assert await rows.of(service.database_url, client.customer_id) == before


async def test_a_target_needs_a_destination(client: Client, own: Own, service: ServerProcess) -> None:
    before = await rows.of(service.database_url, client.customer_id)
    payload = await client.mutate("createTarget", outdialId=own.outdial, target={"name": "nobody"})
    assert [code for code, _ in user_errors(payload)] == ["INVALID"]
    assert user_errors(payload)[0][1][:1] == ["target"]
    assert await rows.of(service.database_url, client.customer_id) == before


async def test_reasons_and_ids_together_are_refused(client: Client, own: Own, service: ServerProcess) -> None:
    before = await rows.of(service.database_url, client.customer_id)
    payload = await client.mutate(
        "resetTargets", outdialId=own.outdial, targetIds=[own.target], doneReasons=["ANSWERED"]
    )
    assert [code for code, _ in user_errors(payload)] == ["INVALID"]
    assert await rows.of(service.database_url, client.customer_id) == before


async def test_one_bad_row_spoils_no_other(client: Client, own: Own) -> None:
    drafts = [
        {"key": "a", "destination0": {"target": "+1 (555) 010-0002"}},
        {"key": "b", "destination0": BAD_TEL},
        {"key": "taken", "destination0": TEL},
        {"name": "nobody"},
        {"key": "a", "destination0": TEL},
        {"key": "c", "destination0": TEL},
    ]
    payload = await client.mutate("createTargets", outdialId=own.outdial, targets=drafts)
    assert [made and made["key"] for made in payload["targets"]] == ["a", None, None, None, None, "c"]
    counts = ["createdCount", "updatedCount", "skippedCount", "rejectedCount"]
    assert [payload[count] for count in counts] == [2, 0, 0, 4]
    told = [(code, path[:2], path[2:3]) for code, path in user_errors(payload)]
    assert told == [
        ("INVALID", ["targets", "1"], ["destination0"]),
        ("CONFLICT", ["targets", "2"], ["key"]),
        ("INVALID", ["targets", "3"], told[2][2]),
        ("CONFLICT", ["targets", "4"], ["key"]),
    ]
    assert payload["targets"][0]["destination0"]["target"] == "+15550100002"
    progress = (await client.read_outdial(own.outdial) or {})["progress"]
    assert progress["total"] == 4


async def test_the_largest_values_are_accepted(client: Client) -> None:
    emoji = "☎" * 255
    texts = {"name": emoji, "detail": "d" * 4_096, "data": "é" * 65_536}
    policy = {"maxTryCounts": [100] * 5, "retryIntervalSeconds": 2_592_000, "leaseSeconds": 86_400}
    outdial = await client.outdial(**texts, dialPolicy=policy)
    assert {name: outdial[name] for name in texts} == texts
    assert outdial["dialPolicy"] == {**policy, "onUnconfirmed": "FINISH"}
    place = {"type": "AGENT", "target": "a" * 255, "targetName": emoji, "name": emoji, "detail": "d" * 4_096}
    target = await client.target(outdial["id"], **texts, key="k" * 255, priority=9, destination4=place)
    assert target["destination4"] == place
    claim = {"limit": 500, "leaseSeconds": 86_400, "dialer": "d" * 255, "idempotencyKey": "i" * 255}
    [attempt] = (await client.good("claimTargets", outdialId=outdial["id"], **claim))["attempts"]
    started = await client.good("startAttempts", attempts=[{"attemptId": attempt["id"], "callId": "c" * 255}])
    assert started["attempts"][0]["callId"] == "c" * 255
    report = {"attemptId": attempt["id"], "disposition": "BUSY", "detail": "d" * 4_096, "retryAfterSeconds": 2_592_000}
    await client.good("completeAttempts", results=[report])


async def test_the_defaults_are_those_of_the_contract(client: Client) -> None:
    outdial = await client.outdial(campaignId="00000000-0000-0000-0000-000000000000")
    assert (outdial["name"], outdial["state"], outdial["campaignId"]) == ("", "ACTIVE", None)
    assert outdial["dialPolicy"] == {
        "maxTryCounts": [3] * 5,
        "retryIntervalSeconds": 300,
        "leaseSeconds": 120,
        "onUnconfirmed": "FINISH",
    }
    target = await client.target(outdial["id"])
    assert (target["key"], target["priority"], target["maxTryCounts"], target["version"]) == (None, 0, None, 1)
    assert target["destination0"]["type"] == "TEL"
    assert target["tmUpdate"] == target["tmCreate"]
    assert target["destinations"] == [{"index": 0, "tryCount": 0, "maxTryCount": 3, "usable": True}]


@pytest.mark.alternate
@pytest.mark.parametrize("text", MALFORMED_IDS, ids=ascii)
async def test_a_malformed_id_in_an_argument_is_bad_user_input(text: str, client: Client, own: Own) -> None:
    for document in (
        "query($id: ID!) { outdial(id: $id) { id } }",
        "query($id: ID!) { target(id: $id) { id } }",
        "query($id: ID!) { node(id: $id) { id } }",
        "query($id: ID!) { nodes(ids: [$id]) { id } }",
        "query($id: ID!) { outdials(where: {campaignId: $id}) { nodes { id } } }",
        "mutation($id: ID!) { deleteOutdial(id: $id) { outdial { id } } }",
        "mutation($id: ID!) { deleteTarget(id: $id) { target { id } } }",
        "mutation($id: ID!) { cancelTarget(id: $id) { target { id } } }",
    ):
        assert codes(await client.send(document, id=text)) == ["BAD_USER_INPUT"], document
    for document in (
        "subscription($id: ID!) { targetEvents(outdialId: $id) { cursor } }",
        "subscription($id: ID!, $own: ID!) { targetEvents(outdialId: $own, where: {targetIds: [$id]}) { cursor } }",
        "subscription($id: ID!) { outdialProgress(outdialIds: [$id]) { outdials { id } } }",
    ):
        wanted = {"id": text, "own": own.outdial} if "$own" in document else {"id": text}
        async with client.subscribe(document, **wanted) as events:
            assert codes(await events.answer()) == ["BAD_USER_INPUT"], document


async def test_numbers_of_ids_outside_their_limits_are_bad_user_input(client: Client, own: Own) -> None:
    many = [str(uuid4()) for _ in range(101)]
    answer = await client.send("query($ids: [ID!]!) { nodes(ids: $ids) { id } }", ids=many)
    assert codes(answer) == ["BAD_USER_INPUT"]
    answer = await client.send("query($ids: [ID!]!) { nodes(ids: $ids) { id } }", ids=many[:100])
    assert answer["data"]["nodes"] == [None] * 100
    progress = """subscription($ids: [ID!]!, $ms: Int! = 250) {
        outdialProgress(outdialIds: $ids, intervalMs: $ms) { outdials { id } } }"""
    for variables in (
        {"ids": many},
        {"ids": []},
        {"ids": [own.outdial], "ms": 49},
        {"ids": [own.outdial], "ms": 60_001},
    ):
        async with client.subscribe(progress, **variables) as events:
            assert codes(await events.answer()) == ["BAD_USER_INPUT"], variables
    watch = "subscription($id: ID!, $ids: [ID!]) { targetEvents(outdialId: $id, where: {targetIds: $ids}) { cursor } }"
    async with client.subscribe(watch, id=own.outdial, ids=many) as events:
        assert codes(await events.answer()) == ["BAD_USER_INPUT"]


@pytest.mark.parametrize("spelled", ["upper", "lower"])
async def test_an_id_is_found_whatever_its_case(spelled: str, client: Client, own: Own) -> None:
    text = getattr(own.target, spelled)()
    assert (await client.read_target(text) or {})["id"] == own.target
    assert (await client.good("updateTarget", id=text, name="new"))["target"]["id"] == own.target


async def test_part_of_a_name_is_found_whatever_its_case(client: Client) -> None:
    names = ["Zahnärzte Süd", "100 % sure", "under_score", "bang!", "ÅNGSTRÖM"]
    made = {name: (await client.outdial(name=name))["id"] for name in names}
    query = "query($part: String) { outdials(where: {nameContains: $part}) { nodes { id } } }"
    for part, name in [
        ("ZAHNÄRZTE", names[0]), ("süd", names[0]), ("0 %", names[1]), ("R_S", names[2]), ("g!", names[3]),
        ("ångström", names[4]), ("gstrÖ", names[4]),
    ]:  # fmt: skip
        found = await client.run(query, part=part)
        assert found["outdials"]["nodes"] == [{"id": made[name]}], part
    assert (await client.run(query, part="%x%"))["outdials"]["nodes"] == []
