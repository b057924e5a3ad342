"""Importing a file over HTTP: what goes in, what is rejected, and what becomes of each row."""

import gzip
import json
from typing import Any

import pytest

from tests.support import importing, rest
from tests.support import rows as stored
from tests.support.graphql_client import Client
from tests.support.importing import NDJSON, counts, rejects, send, taken
from tests.support.server import ServerProcess


@pytest.fixture
async def outdial(client: Client) -> str:
    made: str = (await client.outdial(name="To fill"))["id"]
    return made


async def job_of(client: Client, job_id: str) -> Any:
    query = f"query ($id: ID!) {{ importJob(id: $id) {{ {importing.JOB} {importing.REJECTS} }} }}"
    return (await client.run(query, id=job_id))["importJob"]


async def progress(client: Client, outdial_id: str) -> Any:
    query = "query ($id: ID!) { outdial(id: $id) { progress { total idle done } } }"
    return (await client.run(query, id=outdial_id))["outdial"]["progress"]


async def test_every_good_row_goes_in_and_every_bad_one_is_told_by_its_line(client: Client, outdial: str) -> None:
    job = await taken(
        client,
        outdial,
        "key,name,phone,email,priority\n"
        "a,Ana,+1 (415) 555-0100,ana@Example.com,5\n"
        "\n"
        "b,Bad,call me maybe,,\n"
        'c,"Cho\nJi",+1 415 555 0101,,0\n'
        "d,Di,4.91512E+11,,\n"
        "e,Ed,,,\n"
        ",,,,\n"
        "f,Fay,+1 415 555 0102,no address,12\n",
        file_name="list.csv",
    )
    assert counts(job) == (6, 2, 0, 0, 4)
    assert job["state"] == "completed"
    assert job["file_name"] == "list.csv"
    assert job["warnings"] == []
    assert rejects(job) == [
        (4, "phone", "invalid"),
        (7, "phone", "scientific_notation"),
        (8, None, "invalid"),
        (10, "priority", "invalid"),
    ]
    assert job["rejects"][0]["row"] == "b,Bad,call me maybe,,"
    assert "email: " in job["rejects"][3]["message"]
    assert [
        (target["key"], target["name"], target["destination0"]["target"], target["priority"], target["status"])
        for target in await importing.targets(client, outdial)
    ] == [("a", "Ana", "+14155550100", 5, "IDLE"), ("c", "Cho\nJi", "+14155550101", 0, "IDLE")]
    assert await progress(client, outdial) == {"total": 2, "idle": 2, "done": 0}

    seen = await job_of(client, job["id"])
    assert seen["state"] == "COMPLETED"
    assert seen["counts"] == job["counts"]
    assert seen["rejects"]["totalCount"] == 4
    assert [node["lineNumber"] for node in seen["rejects"]["nodes"]] == [4, 7, 8, 10]
    assert seen["rejects"]["nodes"][1]["code"] == "SCIENTIFIC_NOTATION"
    assert seen["startedAt"] <= seen["finishedAt"]


async def test_objects_go_in_a_line_each(client: Client, outdial: str) -> None:
    lines = [
        {"key": "a", "phone": "+14155550100", "email": "a@example.com"},
        {
            "key": "b",
            "destination_2": {"type": "sip", "target": "bob@example.com", "detail": "desk"},
            "max_try_counts": [0, 0, 4, 0, 0],
            "priority": 7,
        },
        {"destination_0_type": "AGENT", "destination_0_target": "ann"},
        {"phone": 14155550103},
        {"phone": 4.91512e11},
        {"priority": "high", "phone": "+14155550104"},
        {"phone": "+14155550105", "destination_0": {"target": "+14155550106"}},
        {"destination_0": "+14155550107"},
        [1],
    ]
    body = "".join(json.dumps(line) + "\n" for line in lines) + "{broken\n\n"
    job = await taken(client, outdial, body, kind=NDJSON)
    assert counts(job) == (10, 3, 0, 0, 7)
    assert rejects(job) == [
        (4, "phone", "invalid"),  # it may be anybody's without a country code
        (5, "phone", "scientific_notation"),
        (6, "priority", "invalid"),
        (7, None, "malformed"),
        (8, "destination_0", "invalid"),
        (9, None, "malformed"),
        (10, None, "malformed"),
    ]
    found = await importing.targets(client, outdial)
    assert [target["destination0"] and target["destination0"]["target"] for target in found] == [
        "+14155550100",
        None,
        "ann",
    ]
    assert found[0]["destination1"] == {"type": "EMAIL", "target": "a@example.com"}
    assert found[1]["destination2"] == {"type": "SIP", "target": "sip:bob@example.com"}
    assert found[1]["maxTryCounts"] == [0, 0, 4, 0, 0]


async def test_one_event_tells_of_each_chunk_and_its_counts_are_the_progress(client: Client, outdial: str) -> None:
    subscription = (
        "subscription ($id: ID!) { targetEvents(outdialId: $id) "
        "{ events { type count status previousStatus doneReason targetId version } } }"
    )
    async with client.subscribe(subscription, id=outdial) as events:
        await events.next()
        limits = ['"[0,0,0,0,0]"', "", "", ""]
        body = "phone,max_try_counts\n" + "".join(
            f"{importing.numbers(row)},{limits[row % 4]}\n" for row in range(1_500)
        )
        await taken(client, outdial, body)
        told: list[Any] = []
        while sum(event["count"] for event in told) < 1_500:
            told += (await events.next())["events"]
    assert [(event["type"], event["count"], event["status"], event["doneReason"]) for event in told] == [
        ("IMPORTED", 750, "IDLE", None),
        ("IMPORTED", 250, "DONE", "EXHAUSTED"),
        ("IMPORTED", 375, "IDLE", None),
        ("IMPORTED", 125, "DONE", "EXHAUSTED"),
    ]
    assert {event["targetId"] for event in told} == {None}
    assert {event["previousStatus"] for event in told} == {None}
    assert await progress(client, outdial) == {"total": 1_500, "idle": 1_125, "done": 375}


async def test_a_row_says_the_time_zone_of_its_target_and_an_export_says_it_again(client: Client, outdial: str) -> None:
    body = "phone,Time zone\n+14155550100,america/los_angeles\n+14155550101,\n+14155550102,Mars/Olympus\n"
    job = await taken(client, outdial, body)
    assert (counts(job), rejects(job)) == ((3, 2, 0, 0, 1), [(4, "Time zone", "invalid")])
    lines = await client.http.get(f"/v1.0/outdials/{outdial}/targets/export", params={"format": "ndjson"})
    found = [json.loads(line) for line in lines.text.splitlines()]
    assert [line["time_zone"] for line in found] == ["America/Los_Angeles", None]
    job = await taken(client, outdial, lines.text.replace('"key":null', '"key":"again"', 1), kind=NDJSON)
    assert counts(job) == (2, 2, 0, 0, 0)


async def test_imported_targets_go_by_the_calling_hours_of_their_places(client: Client, outdial: str) -> None:
    days = ("MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY")
    always = [{"weekday": day, "from": "00:00", "to": "00:00"} for day in days]
    await client.good("updateOutdial", id=outdial, dialPolicy={"callingHours": {"windows": always}})
    body = "key,phone,time_zone\na,+493023125000,\nb,+18005550100,\nc,+18005550101,Asia/Tokyo\n"
    assert counts(await taken(client, outdial, body)) == (3, 3, 0, 0, 0)
    job = await taken(client, outdial, "key,phone\nc,+18005550102\na,+493023125001\n", on_duplicate_key="update")
    assert counts(job) == (2, 0, 2, 0, 0)
    claimed = (await client.good("claimTargets", outdialId=outdial, limit=9))["attempts"]
    query = "query($ids: [ID!]!) { nodes(ids: $ids) { ... on Attempt { destination { target } } } }"
    called = (await client.run(query, ids=[attempt["id"] for attempt in claimed]))["nodes"]
    assert called == [{"destination": {"target": "+493023125001"}}]


async def test_a_gzipped_file_is_taken_for_what_it_is(client: Client, outdial: str) -> None:
    packed = gzip.compress(importing.table(50).encode())
    assert counts(await taken(client, outdial, packed)) == (50, 50, 0, 0, 0)
    again = await taken(client, outdial, packed, headers={"Content-Encoding": "gzip"}, on_duplicate_key="skip")
    assert counts(again) == (50, 0, 0, 50, 0)
    pieces = importing.in_pieces(packed, 10)
    assert counts(await taken(client, outdial, pieces, on_duplicate_key="skip")) == (50, 0, 0, 50, 0)


# ---------------------------------------------------------------- columns


async def test_columns_are_known_by_their_names_or_by_a_mapping(client: Client, outdial: str) -> None:
    body = (
        'Telefon;"Phone 2";E-Mail;NAME;notes;id;status\r\n'
        "+49 30 23125 001;+49 30 23125 002;ana@example.com;Ana;likes tea;7;DONE\r\n"
    )
    job = await taken(client, outdial, body, map=["Telefon:phone", "E-Mail:email"])
    assert counts(job) == (1, 1, 0, 0, 0)
    assert job["warnings"] == [
        "Unknown columns were ignored: notes.",
        "Columns with results of earlier calls were ignored: id, status.",
    ]
    [target] = await importing.targets(client, outdial)
    assert target["name"] == "Ana"
    assert [target[f"destination{index}"] and target[f"destination{index}"]["target"] for index in range(5)] == [
        "+493023125001",
        "+493023125002",
        "ana@example.com",
        None,
        None,
    ]


async def test_unknown_columns_go_into_data_where_they_are_wanted(client: Client, outdial: str) -> None:
    job = await taken(client, outdial, "phone\tcity\tage\n+14155550100\tBonn\t\n", extra="data")
    assert job["warnings"] == []
    [target] = await importing.targets(client, outdial)
    assert json.loads(target["data"]) == {"city": "Bonn"}
    lines = json.dumps({"phone": "+14155550101", "tags": ["a", 1]}) + "\n"
    await taken(client, outdial, lines, kind=NDJSON, extra="data")
    assert json.loads((await importing.targets(client, outdial))[1]["data"]) == {"tags": ["a", 1]}


async def test_numbers_without_a_country_code_are_of_the_region_that_is_named(client: Client, outdial: str) -> None:
    body = "phone\n030 23125 001\n"
    assert rejects(await taken(client, outdial, body)) == [(2, "phone", "invalid")]
    assert counts(await taken(client, outdial, body, region="de")) == (1, 1, 0, 0, 0)
    assert (await importing.targets(client, outdial))[0]["destination0"]["target"] == "+493023125001"


async def test_a_formula_that_an_export_neutralised_is_what_it_was(client: Client, outdial: str) -> None:
    await taken(client, outdial, "phone,name,detail,data\n+14155550100,'=1+1,''-x,'plain\n")
    [target] = await importing.targets(client, outdial)
    assert (target["name"], target["detail"], target["data"]) == ("=1+1", "'-x", "'plain")


@pytest.mark.alternate
@pytest.mark.parametrize(
    ("body", "parameters", "said"),
    [
        ("", {}, "is empty"),
        ("\n \n", {}, "is empty"),
        ("a,b\n1,2\n", {}, "Line 1, the header, has no column with an address"),
        ("phone,phone_1\n", {}, "'phone' and 'phone_1' fill the same field"),
        ("phone,data,city\n", {"extra": "data"}, "has a column data"),
        ("phone\n", {"map": "Telefon:phone"}, "no column telefon"),
        ("phone_1,phone_2,phone_3,phone_4,phone_5,email\n", {}, "has no free destination"),
    ],
)
async def test_a_file_without_a_good_header_is_refused_and_says_why(
    client: Client, outdial: str, body: str, parameters: dict[str, str], said: str
) -> None:
    response = await send(client, outdial, body, **parameters)
    assert (response.status_code, response.json()["error"]["reason"]) == (400, "INVALID_FILE")
    assert said in response.json()["error"]["message"]
    job = response.json()["error"]["import"]
    assert (job["state"], job["stop_reason"], counts(job)) == ("failed", "file", (0, 0, 0, 0, 0))


@pytest.mark.alternate
@pytest.mark.parametrize(
    "parameters",
    [
        {"format": "xml"},
        {"map": "Telefon"},
        {"map": "Telefon:telephone"},
        {"extra": "name"},
        {"encoding": "klingon"},
        {"encoding": "idna"},
        {"region": "Germany"},
        {"dedupe": "all"},
        {"on_duplicate_key": "replace"},
        {"dry_run": "1"},
        {"max_rejects": "0"},
        {"max_rejects": "1000001"},
        {"max_rejects": "many"},
        {"file_name": "x" * 256},
        {"dryrun": "true"},
    ],
)
async def test_a_wrong_parameter_is_named_before_anything_is_read(
    client: Client, outdial: str, parameters: dict[str, str]
) -> None:
    response = await send(client, outdial, importing.table(3), **parameters)
    assert rest.paths(response) == [list(parameters)]
    assert await importing.targets(client, outdial) == []


# ---------------------------------------------------------------- duplicates


async def test_a_key_that_is_taken_goes_by_the_action(client: Client, outdial: str) -> None:
    first = "key,name,phone\na,Ana,+14155550100\nb,Bo,+14155550101\n"
    await taken(client, outdial, first)
    again = "key,name,phone\na,Anna,+14155550100\nc,Cy,+14155550102\nc,Cyd,+14155550102\nb,Bo,+14155550101\n"

    job = await taken(client, outdial, again, dry_run="true")
    assert rejects(job) == [(2, "key", "duplicate_key"), (4, "key", "duplicate_key"), (5, "key", "duplicate_key")]
    job = await taken(client, outdial, again, on_duplicate_key="skip", dry_run="true")
    assert counts(job) == (4, 1, 0, 3, 0)
    job = await taken(client, outdial, again, on_duplicate_key="update", dry_run="true")
    assert counts(job) == (4, 1, 2, 1, 0)
    assert [target["name"] for target in await importing.targets(client, outdial)] == ["Ana", "Bo"]

    job = await taken(client, outdial, again, on_duplicate_key="update")
    assert counts(job) == (4, 1, 2, 1, 0)
    found = await importing.targets(client, outdial)
    assert [(target["name"], target["version"]) for target in found] == [("Anna", 2), ("Bo", 1), ("Cyd", 2)]
    job = await taken(client, outdial, again, on_duplicate_key="update")
    assert counts(job) == (4, 0, 2, 2, 0)  # c is Cy, and then Cyd, once more
    job = await taken(client, outdial, again)
    assert [code for _, _, code in rejects(job)] == ["duplicate_key"] * 4
    job = await taken(client, outdial, again, on_duplicate_key="skip")
    assert counts(job) == (4, 0, 0, 4, 0)


@pytest.mark.parametrize("dry_run", ["true", "false"])
async def test_an_address_stands_once_in_any_of_five_destinations(client: Client, outdial: str, dry_run: str) -> None:
    other = (await client.outdial())["id"]
    await client.target(other, destination3={"target": "+14155550109"})
    await client.target(outdial, destination4={"target": "Ana@example.com", "type": "EMAIL"})
    body = (
        "name,phone_1,phone_2,email\n"
        "new,+14155550100,+14155550101,\n"
        "repeats the file's,+14155550102,+1 415 555 0100,\n"
        "repeats what is stored,,,Ana@EXAMPLE.com\n"
        "repeats another outdial's,+14155550109,,\n"
        "repeats one that was refused,+14155550102,,\n"
    )
    job = await taken(client, outdial, body, dedupe="outdial", dry_run=dry_run)
    assert rejects(job) == [(3, "phone_2", "duplicate_address"), (4, "email", "duplicate_address")]
    assert counts(job) == (5, 3, 0, 0, 2)
    fresh = (await client.outdial())["id"]
    if dry_run == "false":
        assert {target["name"] for target in await importing.targets(client, outdial)} == {
            "",
            "new",
            "repeats another outdial's",
            "repeats one that was refused",
        }
        job = await taken(client, fresh, body, dedupe="customer")
        assert [line for line, _, _ in rejects(job)] == [2, 3, 4, 5, 6]
        job = await taken(client, fresh, body, dedupe="customer", on_duplicate_key="skip")
        assert counts(job) == (5, 0, 0, 5, 0)
    else:
        job = await taken(client, fresh, body, dedupe="customer", dry_run="true")
        assert [line for line, _, _ in rejects(job)] == [3, 4, 5]
        assert await importing.targets(client, fresh) == []


async def test_a_deleted_target_is_repeated_by_nobody(client: Client, outdial: str) -> None:
    target = await client.target(outdial, key="a", destination0={"target": "+14155550100"})
    body = "key,phone\na,+14155550100\n"
    assert [code for _, _, code in rejects(await taken(client, outdial, body, dedupe="customer"))] == ["duplicate_key"]
    await client.good("deleteTarget", target["id"])
    assert counts(await taken(client, outdial, body, dedupe="customer")) == (1, 1, 0, 0, 0)
    await client.good("deleteOutdial", outdial)
    fresh = (await client.outdial())["id"]
    assert counts(await taken(client, fresh, body, dedupe="customer")) == (1, 1, 0, 0, 0)


async def test_a_row_that_updates_is_told_as_an_update_and_not_as_an_import(client: Client, outdial: str) -> None:
    target = await client.target(outdial, key="a", destination0={"target": "+14155550100"})
    async with client.target_events(outdial) as events:
        await events.next()
        await taken(client, outdial, "key,phone,name\na,+14155550100,Ana\n", on_duplicate_key="update")
        [event] = (await events.next())["events"]
    assert (event["type"], event["targetId"], event["version"]) == ("UPDATED", target["id"], 2)


async def test_a_dry_run_stores_no_target_and_reports_all_the_same(
    client: Client, outdial: str, service: ServerProcess
) -> None:
    body = "key,phone\na,+14155550100\na,+14155550101\nb,nobody\n"
    before = await stored.of(service.database_url, client.customer_id)
    job = await taken(client, outdial, body, dry_run="true")
    assert (job["dry_run"], counts(job)) == (True, (3, 1, 0, 0, 2))
    after = await stored.of(service.database_url, client.customer_id)
    assert len(after.pop("import_job")) == 1
    assert len(after.pop("import_reject")) == 2
    assert after == {table: rows for table, rows in before.items() if table in after}
    assert (await job_of(client, job["id"]))["dryRun"] is True


async def test_create_targets_compares_addresses_where_it_is_asked_to(client: Client, outdial: str) -> None:
    number, second = "+14155550100", "+14155550101"
    existing = await client.target(outdial, destination1={"target": number})
    rows = [
        {"destination0": {"target": "+1 (415) 555-0100"}},
        {"destination0": {"target": second}},
        {"destination2": {"target": second}},
    ]
    plain = await client.good("createTargets", outdialId=(await client.outdial())["id"], targets=rows)
    assert plain["createdCount"] == 3
    dry = await client.mutate("createTargets", outdialId=outdial, targets=rows, dedupe="OUTDIAL")
    assert [(error["code"], error["path"]) for error in dry["userErrors"]] == [
        ("CONFLICT", ["targets", "0", "destination0", "target"]),
        ("CONFLICT", ["targets", "2", "destination2", "target"]),
    ]
    assert [target and target["destination0"]["target"] for target in dry["targets"]] == [None, second, None]
    skipped = await client.good(
        "createTargets", outdialId=outdial, targets=rows, dedupe="OUTDIAL", onDuplicateKey="SKIP"
    )
    assert [target["id"] for target in skipped["targets"]] == [
        existing["id"],
        dry["targets"][1]["id"],
        dry["targets"][1]["id"],
    ]
    assert (skipped["createdCount"], skipped["skippedCount"]) == (0, 3)
