"""Figures over HTTP: what a supervisor sees, what is refused, and that each customer sees its own."""

import asyncio
import csv
import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.graphql_client import Client, codes

FIGURES = """
    attempts answered rightParties conversions reachedTargets medianRingSeconds medianTalkSeconds
    dispositions { disposition count } sold: withCode(code: "SALE") none: withCode(code: "NONE")
"""
OF_ALL = f"""
    query($from: DateTime!, $to: DateTime!, $bucket: StatsBucket, $zone: String, $by: StatsGrouping, $campaign: ID) {{
        stats(from: $from, to: $to, bucket: $bucket, timeZone: $zone, groupBy: $by, campaignId: $campaign) {{
            from to timeZone codes {{ code count }} total {{ {FIGURES} }}
            rows {{ from to destinationIndex dialer isOthers hour figures {{ {FIGURES} }} }}
        }}
    }}
"""
OF_ONE = """
    query($id: ID!, $from: DateTime!, $to: DateTime!) { outdial(id: $id) {
        stats(from: $from, to: $to) { total { attempts answered } }
    } }
"""
SALE = {"code": "SALE", "label": "Sold it", "disposition": "ANSWERED", "isRightParty": True, "isConversion": True}
WITHIN_SECONDS = 5
"""How far behind figures may be."""


def span(hours: int = 24) -> dict[str, str]:
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    return {"from": (hour - timedelta(hours=hours)).isoformat(), "to": (hour + timedelta(hours=2)).isoformat()}


async def until(client: Client, attempts: int, answered: int, **variables: Any) -> dict[str, Any]:
    """The figures once they are so."""
    deadline = asyncio.get_running_loop().time() + WITHIN_SECONDS
    while True:
        found: dict[str, Any] = (await client.run(OF_ALL, **variables))["stats"]
        if (found["total"]["attempts"], found["total"]["answered"]) == (attempts, answered):
            return found
        assert asyncio.get_running_loop().time() < deadline, found
        await asyncio.sleep(0.2)


async def test_a_supervisor_sees_within_seconds_what_dialers_have_done(client: Client, other: Client) -> None:
    await client.good("setResultCodes", codes=[SALE])
    campaign = "018f3e4c-5b6a-7c8d-9e0f-1a2b3c4d5e6f"
    outdial = (await client.outdial(campaignId=campaign))["id"]
    for _ in range(4):
        await client.target(outdial)
    made = [
        one["id"]
        for dialer in ("ann", None)
        for one in (await client.good("claimTargets", outdialId=outdial, limit=2, dialer=dialer))["attempts"]
    ]
    await client.good("releaseAttempts", attemptIds=[made[3]])
    results = [
        {"attemptId": made[0], "disposition": "ANSWERED", "code": "SALE", "ringSeconds": 4, "talkSeconds": 60},
        {"attemptId": made[1], "disposition": "NO_ANSWER", "ringSeconds": 30},
    ]
    await client.good("completeAttempts", results=results)
    found = await until(client, 3, 1, **span())
    total = {
        "attempts": 3, "answered": 1, "rightParties": 1, "conversions": 1, "reachedTargets": 1,
        "medianRingSeconds": 17.0, "medianTalkSeconds": 60.0, "sold": 1, "none": 0,
        "dispositions": [{"disposition": "ANSWERED", "count": 1}, {"disposition": "NO_ANSWER", "count": 1}],
    }  # fmt: skip
    assert (found["total"], found["codes"], found["timeZone"]) == (total, [{"code": "SALE", "count": 1}], "UTC")
    [row] = found["rows"]
    assert (row["figures"], row["from"], row["to"]) == (total, found["from"], found["to"])
    for _ in range(2):  # the second time it is compiled
        days = (await client.run(OF_ALL, **span(), bucket="DAY", zone="asia/kathmandu"))["stats"]
        assert (days["total"], days["timeZone"]) == (total, "Asia/Kathmandu")
        assert sum(row["figures"]["attempts"] for row in days["rows"]) == 3
        by_dialer = (await client.run(OF_ALL, **span(), by="DIALER"))["stats"]["rows"]
        assert [(row["dialer"], row["figures"]["attempts"]) for row in by_dialer] == [("ann", 2), (None, 1)]
        one = (await client.run(OF_ONE, id=outdial, **span()))["outdial"]["stats"]["total"]
        assert one == {"attempts": 3, "answered": 1}
    assert (await client.run(OF_ALL, **span(), campaign=campaign))["stats"]["total"] == total
    theirs = (await other.run(OF_ALL, **span()))["stats"]
    assert (theirs["total"]["attempts"], theirs["codes"], len(theirs["rows"])) == (0, [], 1)
    assert (await other.run(OF_ALL, **span(), campaign=campaign))["stats"]["total"]["attempts"] == 0
    await client.good("completeAttempts", results=[{"attemptId": made[2], "disposition": "ANSWERED"}])
    await until(client, 3, 2, **span())


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        ({"zone": "Middle/Earth"}, "BAD_USER_INPUT", "Unknown time zone"),
        ({"from": "2026-01-02T00:00:00Z", "to": "2026-01-02T00:00:00Z"}, "BAD_USER_INPUT", "from must be before to"),
        ({"from": "2026-01-02T00:07:00Z"}, "BAD_USER_INPUT", "full quarter of an hour"),
        ({"to": "2099-01-02T00:00:01Z"}, "BAD_USER_INPUT", "full quarter of an hour"),
        ({"from": "1999-01-02T00:00:00Z"}, "BAD_USER_INPUT", "between the years 2000 and 9000"),
        ({"from": "2026-01-02T00:00:00Z", "bucket": "MINUTE"}, "BAD_USER_INPUT", "Minutes are kept for 48 hours"),
        ({"from": "2020-01-02T00:00:00Z", "bucket": "HOUR"}, "LIMIT_EXCEEDED", "over 1,500 buckets"),
        ({"campaign": "x"}, "BAD_USER_INPUT", "Invalid id"),
    ],
)
async def test_what_cannot_be_summed_is_refused_and_says_why(
    client: Client, change: dict[str, str], code: str, message: str
) -> None:
    answer = await client.send(OF_ALL, **{**span(), **change})
    assert codes(answer) == [code]
    assert message in answer["errors"][0]["message"]


async def test_figures_need_the_permission_to_read(client: Client) -> None:
    async with Client(client.url, client.customer_id, scopes=("write", "dial")) as dialer:
        assert codes(await dialer.send(OF_ALL, **span())) == ["FORBIDDEN"]


async def test_figures_come_as_csv_and_as_lines_of_json(client: Client) -> None:
    await client.good("setResultCodes", codes=[SALE])
    outdial = (await client.outdial())["id"]
    await client.target(outdial)
    [made] = (await client.good("claimTargets", outdialId=outdial, dialer="=ann"))["attempts"]
    sold = {"attemptId": made["id"], "disposition": "ANSWERED", "code": "SALE", "ringSeconds": 3, "talkSeconds": 8}
    await client.good("completeAttempts", results=[sold])
    await until(client, 1, 1, **span())
    whole = {name: at.replace("+00:00", "Z") for name, at in span().items()}
    expected = {
        **whole, "destination_index": None, "dialer": "=ann", "is_others": False, "hour": None, "attempts": 1,
        **dict.fromkeys(
            ("busy", "no_answer", "failed", "canceled", "timeout", "machine", "invalid_destination", "do_not_call",
             "callback"), 0,
        ),
        "answered": 1, "right_parties": 1, "conversions": 1, "reached_targets": 1, "median_ring_seconds": 3.0,
        "median_talk_seconds": 8.0, "codes": {"SALE": 1},
    }  # fmt: skip
    for path in ("/v1.0/stats/export", f"/v1.0/outdials/{outdial}/stats/export"):
        asked = {**whole, "group_by": "dialer"}
        text = (await client.http.get(path, params=asked)).text
        [row] = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        cells = {name: "" if value is None else str(value) for name, value in expected.items()}
        assert row == {**cells, "dialer": "'=ann", "is_others": "false", "codes": '{"SALE":1}'}
        lines = (await client.http.get(path, params={**asked, "format": "ndjson"})).text.splitlines()
        assert [json.loads(line) for line in lines] == [expected]


async def test_over_rest_what_cannot_be_summed_is_refused_too(client: Client, other: Client) -> None:
    path, whole = "/v1.0/stats/export", {name: at.replace("+00:00", "Z") for name, at in span().items()}
    for change in ({"from": "x"}, {"to": "2026-01-01T00:00:00"}, {"group_by": "code"}, {"time_zone": "Middle/Earth"}):
        assert (await client.http.get(path, params={**whole, **change})).status_code == 400
    assert (await client.http.get(path)).status_code == 400
    assert (await client.http.get(path, params={**whole, "campaign_id": "x"})).status_code == 400
    outdial = (await client.outdial())["id"]
    of_outdial = f"/v1.0/outdials/{outdial}/stats/export"
    assert (await client.http.get(of_outdial, params=whole)).status_code == 200
    assert (await other.http.get(of_outdial, params=whole)).status_code == 404
