"""How long it rang and how long the parties talked, over HTTP: reported, kept, read and exported."""

import csv
import io
import json

from tests.support.graphql_client import Client, user_errors

TIMED = "id disposition code ringSeconds talkSeconds"
COMPLETE = f"""
    mutation($input: CompleteAttemptsInput!) {{ completeAttempts(input: $input) {{
        attempts {{ {TIMED} }} userErrors {{ code message path }} }} }}
"""
LEDGER = f"query($id: ID!) {{ outdial(id: $id) {{ attempts {{ nodes {{ {TIMED} }} }} }} }}"
SALE = {"code": "SALE", "label": "Sold it", "disposition": "ANSWERED"}


async def test_results_say_how_long_it_rang_and_how_long_the_parties_talked(client: Client) -> None:
    await client.good("setResultCodes", codes=[SALE])
    outdial = (await client.outdial())["id"]
    for _ in range(3):
        await client.target(outdial)
    claimed = (await client.good("claimTargets", outdialId=outdial, limit=3))["attempts"]
    talked, rang, silent = (attempt["id"] for attempt in claimed)
    results = [
        {"attemptId": talked, "disposition": "ANSWERED", "code": "SALE", "ringSeconds": 0, "talkSeconds": 86_400},
        {"attemptId": rang, "disposition": "NO_ANSWER", "ringSeconds": 31, "talkSeconds": None},
        {"attemptId": silent, "disposition": "BUSY"},
    ]
    wanted = [
        {"id": talked, "disposition": "ANSWERED", "code": "SALE", "ringSeconds": 0, "talkSeconds": 86_400},
        {"id": rang, "disposition": "NO_ANSWER", "code": None, "ringSeconds": 31, "talkSeconds": None},
        {"id": silent, "disposition": "BUSY", "code": None, "ringSeconds": None, "talkSeconds": None},
    ]
    changed = [{**result, "ringSeconds": 5, "talkSeconds": 5} for result in results]
    for given in (results, changed):  # the second is no error and changes nothing
        payload = (await client.run(COMPLETE, input={"results": given}))["completeAttempts"]
        assert payload == {"attempts": wanted, "userErrors": []}
    for _ in range(2):  # the second time it is compiled
        found = (await client.run(LEDGER, id=outdial))["outdial"]["attempts"]["nodes"]
        assert sorted(found, key=lambda one: [talked, rang, silent].index(one["id"])) == wanted

    path = f"/v1.0/outdials/{outdial}/attempts/export"
    cells = list(csv.DictReader(io.StringIO((await client.http.get(path)).text, newline=""), strict=True))
    assert {row["id"]: (row["ring_seconds"], row["talk_seconds"]) for row in cells} == {
        talked: ("0", "86400"),
        rang: ("31", ""),
        silent: ("", ""),
    }
    lines = [json.loads(line) for line in (await client.http.get(path, params={"format": "ndjson"})).text.splitlines()]
    assert {line["id"]: (line["ring_seconds"], line["talk_seconds"]) for line in lines} == {
        talked: (0, 86_400),
        rang: (31, None),
        silent: (None, None),
    }


async def test_seconds_that_cannot_be_are_refused_with_their_path_and_the_others_are_taken(client: Client) -> None:
    outdial = (await client.outdial())["id"]
    for _ in range(2):
        await client.target(outdial)
    one, two = (a["id"] for a in (await client.good("claimTargets", outdialId=outdial, limit=2))["attempts"])
    payload = await client.mutate(
        "completeAttempts",
        results=[
            {"attemptId": one, "disposition": "BUSY", "ringSeconds": -1, "talkSeconds": 86_401},
            {"attemptId": two, "disposition": "BUSY", "talkSeconds": 1},
        ],
    )
    assert user_errors(payload) == [
        ("INVALID", ["results", "0", "ringSeconds"]),
        ("INVALID", ["results", "0", "talkSeconds"]),
    ]
    assert [attempt["id"] for attempt in payload["attempts"]] == [two]
