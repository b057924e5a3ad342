"""Exporting over HTTP: what is in the files, whose it is, and that a list of any length is sent as it is read."""

import asyncio
import csv
import io
import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import uuid4

import httpx
import psutil
import pytest

from app.hours import Weekday
from tests.support import importing, rest
from tests.support.graphql_client import Client
from tests.support.server import ServerProcess, token

GROWTH_BYTES_MAX = 30 * 1024 * 1024
MANY = 30_000
OWN = ["key", "name", "detail", "data", "priority", "max_try_counts", "time_zone"]
OWN += [
    f"destination_{index}_{part}" for index in range(5) for part in ("type", "target", "target_name", "name", "detail")
]
CALLBACK = [f"callback_{name}" for name in ("at", "destination", "dialer", "window_seconds", "note")]
LEDGER = ["status", "done_reason", *(f"try_count_{index}" for index in range(5))]


async def export(client: Client, outdial_id: str, noun: str = "targets", **parameters: Any) -> httpx.Response:
    return await client.http.get(f"/v1.0/outdials/{outdial_id}/{noun}/export", params=parameters)


async def table(client: Client, outdial_id: str, noun: str = "targets", **parameters: Any) -> list[dict[str, str]]:
    response = await export(client, outdial_id, noun, **parameters)
    assert response.status_code == 200, response.text
    return list(csv.DictReader(io.StringIO(response.text, newline=""), strict=True))


async def objects(client: Client, outdial_id: str, noun: str = "targets", **parameters: Any) -> list[Any]:
    response = await export(client, outdial_id, noun, format="ndjson", **parameters)
    assert response.status_code == 200, response.text
    return [json.loads(line) for line in response.text.splitlines()]


@pytest.fixture
async def outdial(client: Client) -> str:
    """Three targets: never called, called in vain, and answered."""
    made: str = (await client.outdial(name="To export", dialPolicy={"maxTryCounts": [1, 1, 1, 1, 1]}))["id"]
    for row in (
        {
            "key": "=key",
            "name": "-Ana\r\n\"x\", 'y'",
            "detail": "+d",
            "data": '{"a":1}',
            "maxTryCounts": [2, 0, 0, 0, 1],
        },
        {"key": "b", "priority": 9, "destination2": {"type": "SIP", "target": "bob@example.com", "name": "@desk"}},
        {"key": "c", "priority": 8, "destination1": {"type": "EMAIL", "target": "-c@example.com"}},
    ):
        given = {"destination0": {"target": "+1 (415) 555-0100"}} if "destination2" not in row else {}
        await client.target(made, **{**given, **row})
    claimed = (await client.good("claimTargets", outdialId=made, limit=2, dialer="d-1"))["attempts"]
    for attempt, disposition in zip(claimed, ("BUSY", "ANSWERED"), strict=True):
        result = {"attemptId": attempt["id"], "disposition": disposition, "detail": "=1+1"}
        await client.good("completeAttempts", results=[result])
    return made


async def test_a_file_says_what_is_known_of_each_target(client: Client, outdial: str) -> None:
    first, second, third = await table(client, outdial)
    assert [*first] == ["id", *OWN, *LEDGER, "next_try_at", *LAST, "tm_create", "tm_update", *CALLBACK]
    assert {name: first[name] for name in OWN[:6]} == {
        "key": "'=key",
        "name": "'-Ana\r\n\"x\", 'y'",
        "detail": "'+d",
        "data": '{"a":1}',
        "priority": "0",
        "max_try_counts": "[2,0,0,0,1]",
    }
    assert (first["destination_0_type"], first["destination_0_target"]) == ("TEL", "+14155550100")
    assert [first[name] for name in ("status", "done_reason", "last_attempt_id")] == ["IDLE", "", ""]
    assert (second["destination_2_target"], second["destination_2_name"]) == ("sip:bob@example.com", "'@desk")
    assert (second["status"], second["done_reason"], second["try_count_2"]) == ("DONE", "EXHAUSTED", "1")
    assert (second["last_attempt_state"], second["last_attempt_disposition"]) == ("COMPLETED", "BUSY")
    assert second["last_attempt_destination_index"] == "2"
    assert (third["destination_1_target"], third["done_reason"]) == ("'-c@example.com", "ANSWERED")
    assert third["next_try_at"] == ""

    lines = await objects(client, outdial)
    assert [line["name"] for line in lines] == ["-Ana\r\n\"x\", 'y'", "", ""]
    assert lines[0]["max_try_counts"] == [2, 0, 0, 0, 1]
    assert (lines[0]["destination_1"], lines[0]["last_attempt"]) == (None, None)
    assert lines[1]["destination_2"] == {
        "type": "SIP", "target": "sip:bob@example.com", "target_name": "", "name": "@desk", "detail": ""
    }  # fmt: skip
    read = await client.run("query ($id: ID!) { target(id: $id) { tmCreate nextTryAt } }", id=lines[0]["id"])
    assert (lines[0]["tm_create"], lines[0]["next_try_at"]) == (read["target"]["tmCreate"], read["target"]["nextTryAt"])
    assert lines[2]["last_attempt"]["disposition"] == "ANSWERED"


LAST = [
    f"last_attempt_{name}" for name in ("id", "state", "disposition", "destination_index", "claimed_at", "ended_at")
]


async def test_the_ledger_is_a_file_too(client: Client, outdial: str) -> None:
    one, two = await table(client, outdial, "attempts")
    assert (one["target_key"], one["destination_target"], one["disposition"]) == ("b", "sip:bob@example.com", "BUSY")
    assert (one["detail"], one["dialer"], one["try_number"], one["expires_at"]) == ("'=1+1", "d-1", "1", "")
    assert two["disposition"] == "ANSWERED"
    assert [line["detail"] for line in await objects(client, outdial, "attempts")] == ["=1+1", "=1+1"]
    assert [line["id"] for line in await objects(client, outdial, "attempts", disposition="busy")] == [one["id"]]
    assert len(await table(client, outdial, "attempts", state="completed", dialer="d-1")) == 2
    assert await table(client, outdial, "attempts", call_id="none") == []


async def test_the_ledger_says_why_each_call_was_allowed(client: Client) -> None:
    windows = [{"weekday": day, "from": "00:00", "to": "00:00"} for day in Weekday]
    policy = {
        "callingHours": {"timeZone": "Etc/GMT-3", "windows": windows},
        "caps": [{"tries": 3, "windowSeconds": 86_400, "per": "ADDRESS", "over": "CUSTOMER"}],
    }
    held, free = await client.outdial(dialPolicy=policy), await client.outdial()
    for outdial in (held, free):
        await client.target(outdial["id"], destination0={"target": "+18005550142"})
        await client.good("claimTargets", outdialId=outdial["id"])
    [line], [cells] = await objects(client, held["id"], "attempts"), await table(client, held["id"], "attempts")
    permit = line["permit"]
    local = datetime.fromisoformat(line["claimed_at"]).astimezone(timezone(timedelta(hours=3)))
    window = {"date": f"{local:%Y-%m-%d}", "from": "00:00", "to": "00:00", "exception": None}
    cap = {"tries": 3, "window_seconds": 86_400, "per": "ADDRESS", "over": "CUSTOMER", "used": 0}
    assert permit == {
        "local_time": local.isoformat(timespec="seconds"), "time_zone": "Etc/GMT-3", "time_zone_source": "POLICY",
        "window": window, "caps": [cap], "policy_version": 1,
    }  # fmt: skip
    assert {name: cells[f"permit_{name}"] for name in (*permit, "exception")} == {
        **permit, "policy_version": "1", "window": f"{local:%Y-%m-%d} 00:00-00:00", "exception": "",
        "caps": json.dumps([cap], separators=(",", ":")),
    }  # fmt: skip
    [line], [cells] = await objects(client, free["id"], "attempts"), await table(client, free["id"], "attempts")
    nothing = {"local_time": None, "time_zone": None, "time_zone_source": "UNKNOWN", "window": None}
    assert line["permit"] == nothing | {"caps": [], "policy_version": 1}
    said = {name: text for name, text in cells.items() if name.startswith("permit_") and text}
    assert said == {"permit_time_zone_source": "UNKNOWN", "permit_policy_version": "1"}


@pytest.mark.parametrize(
    ("where", "keys"),
    [
        ({"status": "idle"}, ["=key"]),
        ({"status": ["idle", "done"]}, ["=key", "b", "c"]),
        ({"done_reason": "exhausted"}, ["b"]),
        ({"done_reason": ["exhausted", "answered"]}, ["b", "c"]),
        ({"destination": "+1 415 555 0100"}, ["=key", "c"]),
        ({"key": "c"}, ["c"]),
        ({"key": "d"}, []),
    ],
)
async def test_a_file_is_filtered_as_the_list_is(
    client: Client, outdial: str, where: dict[str, Any], keys: list[str]
) -> None:
    assert [line["key"] for line in await objects(client, outdial, **where)] == keys


async def test_what_export_writes_import_reads(client: Client, outdial: str) -> None:
    nasty = ["'", "''=", "\t", "a\tb", "=", "\r", "\n", "a;b", '"', "ü😀", " padded ", "0", "-1", "null"]
    for text in nasty:
        await client.target(outdial, key=f"{text}k", name=text, detail=text, data=text)
    for kind, form in ((importing.CSV, "csv"), (importing.NDJSON, "ndjson")):
        copy = (await client.outdial(dialPolicy={"maxTryCounts": [1, 1, 1, 1, 1]}))["id"]
        written = (await export(client, outdial, format=form)).content
        job = await importing.taken(client, copy, written, kind=kind)
        assert importing.counts(job) == (17, 17, 0, 0, 0)
        assert len(job["warnings"]) == 1
        assert "results of earlier calls" in job["warnings"][0]
        again = await table(client, copy)
        before = await table(client, outdial)
        assert [{name: row[name] for name in OWN} for row in again] == [
            {name: row[name] for name in OWN} for row in before
        ]
        assert {row["status"] for row in again} == {"IDLE"}
        twice = (await client.outdial(dialPolicy={"maxTryCounts": [1, 1, 1, 1, 1]}))["id"]
        await importing.taken(client, twice, (await export(client, copy, bom="true")).content)
        assert [{name: row[name] for name in OWN + LEDGER} for row in await table(client, twice)] == [
            {name: row[name] for name in OWN + LEDGER} for row in again
        ]


CALLBACK = ("callback_at", "callback_destination", "callback_dialer", "callback_window_seconds", "callback_note")


async def test_callbacks_go_out_and_in_again_and_wrong_ones_are_rejected(client: Client) -> None:
    outdial = (await client.outdial())["id"]
    at = (datetime.now(UTC) + timedelta(days=2)).isoformat(timespec="microseconds").replace("+00:00", "Z")
    far = (datetime.now(UTC) + timedelta(days=367)).isoformat()
    lines = [
        f"key,phone,{','.join(CALLBACK)}",
        f"a,+15550100001,{at},0,ann,600,ask for =Bo",
        f"b,+15550100002,{at},,,,",
        "c,+15550100003,,,,,",
        "d,+15550100004,,,ann,,",
        f"e,+15550100005,{at},5,,,",
        f"f,+15550100006,{at},,,59,",
        f"g,+15550100007,{far},,,,",
        "h,+15550100008,tomorrow,,,,",
    ]
    job = await importing.taken(client, outdial, "\n".join(lines).encode())
    assert importing.counts(job) == (8, 3, 0, 0, 5)
    assert importing.rejects(job) == [
        (5, "callback_at", "invalid"),
        (6, "callback_destination", "invalid"),
        (7, "callback_window_seconds", "invalid"),
        (8, "callback_at", "invalid"),
        (9, "callback_at", "invalid"),
    ]
    written = {row["key"]: tuple(row[name] for name in CALLBACK) for row in await table(client, outdial)}
    wanted = {"a": (at, "0", "ann", "600", "ask for =Bo"), "b": (at, "", "", "900", ""), "c": ("", "", "", "", "")}
    assert written == wanted
    assert {row["key"]: row["next_try_at"] for row in await table(client, outdial)} | {"c": ""} == {
        "a": at,
        "b": at,
        "c": "",
    }
    for kind, form in ((importing.CSV, "csv"), (importing.NDJSON, "ndjson")):
        file = (await export(client, outdial, format=form)).content
        copy = (await client.outdial())["id"]
        await importing.taken(client, copy, file, kind=kind)
        assert {row["key"]: tuple(row[name] for name in CALLBACK) for row in await table(client, copy)} == wanted
        again = await importing.taken(client, copy, file, kind=kind, on_duplicate_key="update")
        assert importing.counts(again) == (3, 0, 0, 3, 0)
    moved = f"key,phone,callback_at,callback_note\na,+15550100001,{at},other\nc,+15550100003,{at},\n".encode()
    dry = await importing.taken(client, outdial, moved, on_duplicate_key="update", dry_run="true")
    job = await importing.taken(client, outdial, moved, on_duplicate_key="update")
    assert importing.counts(dry) == importing.counts(job) == (2, 0, 2, 0, 0)
    notes = {row["key"]: (row["callback_at"], row["callback_note"]) for row in await table(client, outdial)}
    assert notes == {"a": (at, "other"), "b": (at, ""), "c": (at, "")}


async def test_its_headers_say_what_it_is(client: Client, outdial: str) -> None:
    response = await export(client, outdial, bom="true")
    assert response.content.startswith(b"\xef\xbb\xbfid,key,")
    assert b"\r\n" in response.content
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    assert response.headers["content-disposition"] == f'attachment; filename="outdial-{outdial}-targets.csv"'
    head = await client.http.head(f"/v1.0/outdials/{outdial}/attempts/export", params={"format": "ndjson"})
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"] == "application/x-ndjson"


async def test_only_its_owner_gets_it(client: Client, other: Client, outdial: str) -> None:
    for noun in ("targets", "attempts"):
        for who, target in ((other, outdial), (client, str(uuid4()))):
            response = await export(who, target, noun)
            assert rest.reason(response) == (404, "NOT_FOUND", "OUTDIAL_NOT_FOUND")
        path = f"/v1.0/outdials/{outdial}/{noun}/export"
        for bearer, reason in (
            ("", "AUTHENTICATION_REQUIRED"),
            ("Bearer nonsense", "INVALID_CREDENTIALS"),
            (f"Bearer {token(client.customer_id, ['write', 'dial'])}", "PERMISSION_DENIED"),
        ):
            response = await client.http.get(path, headers={"Authorization": bearer})
            assert response.json()["error"]["reason"] == reason
        assert rest.reason(await client.http.post(path))[0] == 405
    await client.good("deleteOutdial", outdial)
    assert rest.reason(await export(client, outdial)) == (404, "NOT_FOUND", "OUTDIAL_NOT_FOUND")


@pytest.mark.alternate
@pytest.mark.parametrize("wrong", [{"format": "xlsx"}, {"status": "open"}, {"bom": "1"}, {"state": "completed"}])
async def test_a_wrong_parameter_is_named(client: Client, outdial: str, wrong: dict[str, str]) -> None:
    assert rest.paths(await export(client, outdial, **wrong)) == [list(wrong)]


@pytest.mark.slow
async def test_a_long_list_is_sent_in_constant_memory_to_its_end_and_no_further(
    client: Client, service: ServerProcess
) -> None:
    outdial = (await client.outdial())["id"]
    await importing.taken(client, outdial, importing.in_pieces(importing.table(MANY)))
    process = psutil.Process(service.pid)
    await export(client, outdial, status="done")
    before, most, received = process.memory_info().rss, 0, b""
    url = f"/v1.0/outdials/{outdial}/targets/export"
    added = False
    async with client.http.stream("GET", url) as response:
        async for piece in response.aiter_bytes():
            received += piece
            most = max(most, process.memory_info().rss)
            if not added:  # what comes later is not in it, or it would never end
                await client.target(outdial, key="late")
                added = True
    keys = [row["key"] for row in csv.DictReader(io.StringIO(received.decode(), newline=""))]
    assert keys == [f"key-{row}" for row in range(MANY)]
    assert most - before < GROWTH_BYTES_MAX


async def test_a_client_that_hangs_up_is_sent_no_more(client: Client, service: ServerProcess) -> None:
    outdial = (await client.outdial())["id"]
    await importing.taken(client, outdial, importing.table(5_000))
    async with (
        httpx.AsyncClient(base_url=client.url, headers=client.http.headers, trust_env=False) as leaving,
        leaving.stream("GET", f"/v1.0/outdials/{outdial}/targets/export") as response,
    ):
        async for _ in response.aiter_bytes():
            break
    await asyncio.sleep(0.2)
    assert (await client.http.get("/healthz")).status_code == 200
    assert "+4915" not in service.output()
    assert client.token not in service.output()
