"""The owner's own results over HTTP: set, read, reported, filtered, exported, and each customer's are their own."""

import csv
import io
import json
from typing import Any
from uuid import uuid4

from tests.support import rest
from tests.support.graphql_client import Client, codes, user_errors

SALE = {"code": "SALE", "label": "Sold it", "disposition": "ANSWERED", "isRightParty": True, "isConversion": True}
WRONG = {"code": "WRONG", "label": "Somebody else", "disposition": "ANSWERED"}
LATER = {"code": "=LATER", "label": "Later", "disposition": "NO_ANSWER", "isRightParty": True}
LIST = "{ resultCodes { code label disposition isRightParty isConversion isRetired } }"
CODED = "id disposition code isRightParty isConversion"
COMPLETE = f"""
    mutation($input: CompleteAttemptsInput!) {{ completeAttempts(input: $input) {{
        attempts {{ {CODED} }} userErrors {{ code message path }} }} }}
"""
LEDGER = f"""
    query($id: ID!, $where: AttemptFilter) {{ outdial(id: $id) {{
        attempts(where: $where) {{ totalCount nodes {{ {CODED} }} }} }} }}
"""


def stored(given: dict[str, Any], *, is_retired: bool = False) -> dict[str, Any]:
    return {"isRightParty": False, "isConversion": False, **given, "isRetired": is_retired}


async def complete(client: Client, *results: dict[str, Any]) -> dict[str, Any]:
    payload: dict[str, Any] = (await client.run(COMPLETE, input={"results": list(results)}))["completeAttempts"]
    return payload


async def claimed(client: Client, number: int) -> tuple[str, list[str]]:
    outdial = (await client.outdial())["id"]
    for _ in range(number):
        await client.target(outdial)
    payload = await client.good("claimTargets", outdialId=outdial, limit=number)
    return outdial, [attempt["id"] for attempt in payload["attempts"]]


async def test_an_owner_sets_the_codes_and_what_is_left_out_is_retired(client: Client, other: Client) -> None:
    payload = await client.good("setResultCodes", codes=[SALE, WRONG])
    assert payload["resultCodes"] == [stored(SALE), stored(WRONG)]
    for _ in range(2):  # the second time it is compiled
        assert (await client.run(LIST))["resultCodes"] == payload["resultCodes"]
        assert (await other.run(LIST))["resultCodes"] == []
    payload = await client.good("setResultCodes", codes=[LATER, {**WRONG, "isRetired": True}])
    assert payload["resultCodes"] == [stored(LATER), stored(WRONG, is_retired=True)]
    found = (await client.run(LIST))["resultCodes"]
    assert found == [stored(LATER), stored(SALE, is_retired=True), stored(WRONG, is_retired=True)]
    payload = await client.mutate("setResultCodes", codes=[SALE, {**SALE, "label": " "}, {**WRONG, "code": ""}])
    assert payload["resultCodes"] is None
    assert user_errors(payload) == [
        ("INVALID", ["codes", "1", "label"]),
        ("INVALID", ["codes", "1", "code"]),
        ("INVALID", ["codes", "2", "code"]),
    ]
    too_many = [{**WRONG, "code": f"C{number}"} for number in range(201)]
    assert user_errors(await client.mutate("setResultCodes", codes=too_many)) == [("INVALID", ["codes"])]
    payload = await client.good("setResultCodes", codes=[*too_many[:-1]])
    assert payload["resultCodes"] == [stored(one) for one in too_many[:-1]]
    await client.good("setResultCodes", codes=[LATER])
    answer = await client.send(
        "mutation($input: SetResultCodesInput!) { setResultCodes(input: $input) { resultCodes { code } } }",
        input={"codes": [{**SALE, "disposition": "SOLD"}]},
    )
    assert codes(answer) == ["BAD_USER_INPUT"]
    listed = (await client.run(LIST))["resultCodes"]
    assert ([one["code"] for one in listed if not one["isRetired"]], len(listed)) == (["=LATER"], 203)


async def test_a_call_that_is_sent_again_with_its_key_undoes_nothing(client: Client) -> None:
    given = {"codes": [SALE], "idempotencyKey": str(uuid4())}
    await client.good("setResultCodes", **given)
    await client.good("setResultCodes", codes=[WRONG])
    payload = await client.good("setResultCodes", **given)
    assert payload["resultCodes"] == [stored(SALE, is_retired=True)]
    assert (await client.run(LIST))["resultCodes"] == [stored(WRONG), stored(SALE, is_retired=True)]
    payload = await client.mutate("setResultCodes", **{**given, "codes": [LATER]})
    assert (payload["resultCodes"], user_errors(payload)) == (None, [("CONFLICT", ["idempotencyKey"])])


async def test_who_may_only_read_or_dial_sets_no_codes_and_who_may_not_read_sees_none(client: Client) -> None:
    async with Client(client.url, client.customer_id, scopes=("read", "dial")) as reader:
        answer = await reader.send(
            "mutation($input: SetResultCodesInput!) { setResultCodes(input: $input) { resultCodes { code } } }",
            input={"codes": [SALE]},
        )
        assert codes(answer) == ["FORBIDDEN"]
        assert (await reader.run(LIST))["resultCodes"] == []
    async with Client(client.url, client.customer_id, scopes=("write", "dial")) as writer:
        assert codes(await writer.send(LIST)) == ["FORBIDDEN"]


async def test_results_have_codes_and_keep_what_they_said_in_the_ledger_and_its_exports(client: Client) -> None:
    await client.good("setResultCodes", codes=[SALE, WRONG, LATER])
    outdial, (sold, later, plain) = await claimed(client, 3)
    payload = await complete(
        client,
        {"attemptId": sold, "disposition": "ANSWERED", "code": "SALE"},
        {"attemptId": later, "disposition": "NO_ANSWER", "code": "=LATER"},
        {"attemptId": plain, "disposition": "BUSY", "code": None},
    )
    wanted = [
        {"id": sold, "disposition": "ANSWERED", "code": "SALE", "isRightParty": True, "isConversion": True},
        {"id": later, "disposition": "NO_ANSWER", "code": "=LATER", "isRightParty": True, "isConversion": False},
        {"id": plain, "disposition": "BUSY", "code": None, "isRightParty": None, "isConversion": None},
    ]
    assert payload == {"attempts": wanted, "userErrors": []}
    await client.good("setResultCodes", codes=[{**SALE, "isRightParty": False, "isConversion": False}])
    for _ in range(2):
        found = (await client.run(LEDGER, id=outdial, where=None))["outdial"]["attempts"]["nodes"]
        assert sorted(found, key=lambda one: [sold, later, plain].index(one["id"])) == wanted
        for given, number in ((["SALE"], 1), (["SALE", "=LATER"], 2), (["sale"], 0), ([], 3)):
            page = (await client.run(LEDGER, id=outdial, where={"codes": given}))["outdial"]["attempts"]
            assert (page["totalCount"], len(page["nodes"])) == (number, number)
    bad = await client.send(LEDGER, id=outdial, where={"codes": [f"C{number}" for number in range(201)]})
    assert codes(bad) == ["BAD_USER_INPUT"]

    path = f"/v1.0/outdials/{outdial}/attempts/export"
    text = (await client.http.get(path)).text
    cells = {row["id"]: row for row in csv.DictReader(io.StringIO(text, newline=""), strict=True)}
    columns = ("disposition", "code", "is_right_party", "is_conversion")
    assert [[cells[one][name] for name in columns] for one in (sold, later, plain)] == [
        ["ANSWERED", "SALE", "true", "true"],
        ["NO_ANSWER", "'=LATER", "true", "false"],
        ["BUSY", "", "", ""],
    ]
    lines = [json.loads(line) for line in (await client.http.get(path, params={"format": "ndjson"})).text.splitlines()]
    assert {line["id"]: [line[name] for name in columns] for line in lines} == {
        sold: ["ANSWERED", "SALE", True, True],
        later: ["NO_ANSWER", "=LATER", True, False],
        plain: ["BUSY", None, None, None],
    }
    filtered = await client.http.get(path, params={"format": "ndjson", "code": "=LATER"})
    assert [json.loads(line)["id"] for line in filtered.text.splitlines()] == [later]


async def test_a_wrong_code_is_reported_by_its_path_and_a_repeated_result_is_no_error(
    client: Client, other: Client
) -> None:
    await other.good("setResultCodes", codes=[LATER])
    await client.good("setResultCodes", codes=[SALE, WRONG])
    await client.good("setResultCodes", codes=[SALE])
    _, (one, two, three) = await claimed(client, 3)
    payload = await complete(
        client,
        {"attemptId": one, "disposition": "ANSWERED", "code": "WRONG"},
        {"attemptId": two, "disposition": "NO_ANSWER", "code": "=LATER"},
        {"attemptId": three, "disposition": "BUSY", "code": "SALE"},
        {"attemptId": one, "disposition": "ANSWERED", "code": "SALE"},
        {"attemptId": one, "disposition": "ANSWERED", "code": "=LATER"},
        {"attemptId": one, "disposition": "BUSY", "code": "=LATER"},
    )
    assert user_errors(payload) == [
        ("INVALID", ["results", "0", "code"]),
        ("INVALID", ["results", "1", "code"]),
        ("INVALID", ["results", "2", "code"]),
        ("ALREADY_ENDED", ["results", "5", "attemptId"]),
    ]
    assert [(attempt["id"], attempt["code"]) for attempt in payload["attempts"]] == [(one, "SALE")] * 2


async def test_the_references_calls_know_no_codes(client: Client) -> None:
    await client.good("setResultCodes", codes=[SALE])
    outdial, [attempt] = await claimed(client, 1)
    await complete(client, {"attemptId": attempt, "disposition": "ANSWERED", "code": "SALE"})
    response = await client.http.get(f"/v1.0/outdials/{outdial}")
    assert response.status_code == 200
    assert "code" not in response.json()
    answer = await client.http.get(f"/v1.0/outdials/{uuid4()}")
    assert rest.reason(answer) == (404, "NOT_FOUND", "OUTDIAL_NOT_FOUND")
