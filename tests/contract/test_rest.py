"""The REST calls as the reference documents them, and as one service with GraphQL."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.support import rest
from tests.support.factories import phone_number
from tests.support.graphql_client import Client
from tests.support.rest import NEVER, ZERO, calling, check_outdial, check_target, curl, good, reason
from tests.support.server import ServerProcess, token

LIST_OUTDIALS = "curl --location --request GET '{host}/v1.0/outdials?token={token}'"
GET_OUTDIAL = "curl --location --request GET '{host}/v1.0/outdials/{id}?token={token}'"
CREATE_OUTDIAL = """curl --location --request POST '{host}/v1.0/outdials?token={token}' \\
    --header 'Content-Type: application/json' \\
    --header 'Cookie: token={token}' \\
    --data-raw '{
        "name": "test outdial",
        "detail": "outdial for test use.",
        "data": "test data"
    }'"""
CREATE_TARGET = """curl --location --request POST '{host}/v1.0/outdials/{id}/targets?token={token}' \\
    --header 'Content-Type: application/json' \\
    --header 'Cookie: token={token}' \\
    --data-raw '{
        "name": "test destination 0",
        "detail": "test detatination 0 detail",
        "data": "test data",
        "destination_0": {
            "type": "tel",
            "target": "+821021656521"
        }
    }'"""
LIST_TARGETS = "curl --location --request GET '{host}/v1.0/outdials/{id}/targets?token={token}'"
BY_QUERY = "?token={token}"
BY_COOKIE = " \\\n    --header 'Cookie: token={token}'"


@pytest.fixture
async def caller(service: ServerProcess, client: Client) -> AsyncIterator[httpx.AsyncClient]:
    """The new customer of `client`, over REST."""
    async with calling(service.url, client.token) as caller:
        yield caller


async def make_outdial(caller: httpx.AsyncClient, **fields: Any) -> Any:
    return good(await caller.post("/outdials", json=fields))


async def make_target(caller: httpx.AsyncClient, outdial_id: str, **fields: Any) -> Any:
    fields.setdefault("destination_0", {"target": phone_number()})
    return good(await caller.post(f"/outdials/{outdial_id}/targets", json=fields))


# ---------------------------------------------------------------- the reference's commands


@pytest.mark.parametrize("carrier", ["as documented", "query", "cookie"])
async def test_the_references_commands_answer_as_it_documents(service: ServerProcess, carrier: str) -> None:
    def said(command: str) -> str:
        if carrier == "query":
            return command.replace(BY_COOKIE, "")
        if carrier == "cookie":
            return command.replace(BY_QUERY, "") + ("" if BY_COOKIE in command else BY_COOKIE)
        return command

    known = {"host": service.url, "token": rest.reference_token(str(uuid4()))}
    assert await curl(said(LIST_OUTDIALS), **known) == (200, {"result": [], "next_page_token": ""})

    status, outdial = await curl(said(CREATE_OUTDIAL), **known)
    assert status == 200
    check_outdial(outdial)
    assert outdial == {
        "id": outdial["id"],
        "campaign_id": ZERO,
        "name": "test outdial",
        "detail": "outdial for test use.",
        "data": "test data",
        "tm_create": outdial["tm_create"],
        "tm_update": NEVER,
        "tm_delete": NEVER,
    }
    known["id"] = outdial["id"]
    status, found = await curl(said(GET_OUTDIAL), **known)
    assert (status, found, list(found)) == (200, outdial, rest.OUTDIAL_KEYS)
    status, listed = await curl(said(LIST_OUTDIALS), **known)
    assert (status, listed) == (200, {"result": [outdial], "next_page_token": ""})
    assert [list(listed), list(listed["result"][0])] == [["result", "next_page_token"], rest.OUTDIAL_KEYS]

    status, target = await curl(said(CREATE_TARGET), **known)
    assert status == 200
    check_target(target)
    assert target == {
        "id": target["id"],
        "outdial_id": outdial["id"],
        "name": "test destination 0",
        "detail": "test detatination 0 detail",
        "data": "test data",
        "status": "idle",
        "destination_0": {"type": "tel", "target": "+821021656521", "target_name": "", "name": "", "detail": ""},
        **dict.fromkeys(rest.DESTINATIONS[1:]),
        **dict.fromkeys(rest.TRY_COUNTS, 0),
        "tm_create": target["tm_create"],
        "tm_update": target["tm_create"],
        "tm_delete": NEVER,
    }
    status, listed = await curl(said(LIST_TARGETS), **known)
    assert (status, listed) == (200, {"result": [target], "next_page_token": ""})
    assert list(listed["result"][0]) == rest.TARGET_KEYS


async def test_what_changes_an_outdial_works_by_curl_too(service: ServerProcess) -> None:
    known = {"host": service.url, "token": rest.reference_token(str(uuid4()))}
    _, outdial = await curl(CREATE_OUTDIAL, **known)
    known["id"] = outdial["id"]
    campaign = str(uuid4())

    async def put(path: str, **body: str) -> Any:
        command = CREATE_OUTDIAL.replace("POST", "PUT").replace("/outdials?", f"/outdials/{{id}}{path}?")
        start = command.index("{\n")
        command = command[:start] + json.dumps(body) + "'"
        status, changed = await curl(command, **known)
        assert status == 200
        check_outdial(changed)
        return changed

    assert (await put("", name="another name"))["detail"] == "outdial for test use."
    assert (await put("/campaign_id", campaign_id=campaign))["campaign_id"] == campaign
    assert (await put("/data", data="other data"))["data"] == "other data"
    _, target = await curl(CREATE_TARGET, **known)
    deletion = GET_OUTDIAL.replace("GET", "DELETE")
    status, deleted = await curl(deletion.replace("{id}?", f"{{id}}/targets/{target['id']}?"), **known)
    assert (status, deleted["id"], deleted["tm_delete"] < NEVER) == (200, target["id"], True)
    status, deleted = await curl(deletion.replace(BY_QUERY, "") + BY_COOKIE, **known)  # no content type
    assert (status, deleted["id"], deleted["tm_delete"] < NEVER) == (200, outdial["id"], True)
    status, refused = await curl(GET_OUTDIAL, **known)
    assert (status, refused["error"]["reason"]) == (404, "OUTDIAL_NOT_FOUND")


async def test_the_cookie_wins_then_the_query_then_the_header(service: ServerProcess) -> None:
    names = ("cookie", "query", "header")
    tokens = {name: rest.reference_token(str(uuid4())) for name in names}
    for name in names:
        async with calling(service.url, tokens[name]) as caller:
            await make_outdial(caller, name=name)

    async def who(**given: str) -> Any:
        headers = {}
        if "cookie" in given:
            headers["Cookie"] = f"other=1; token={given['cookie']}"
        if "header" in given:
            headers["Authorization"] = f"Bearer {given['header']}"
        parameters = {"token": given["query"]} if "query" in given else {}
        async with calling(service.url, None) as caller:
            response = await caller.get("/outdials", headers=headers, params=parameters)
            if response.status_code == 401:
                return reason(response)[2]
            return good(response)["result"][0]["name"]

    for first in range(3):
        assert await who(**{name: tokens[name] for name in names[first:]}) == names[first]
        # the first that is present counts, whatever it holds
        assert await who(**tokens | {names[first]: "nonsense"}) == ("INVALID_CREDENTIALS" if first == 0 else "cookie")
    assert await who() == "AUTHENTICATION_REQUIRED"


# ---------------------------------------------------------------- one service with GraphQL


async def test_a_target_is_created_here_and_called_over_graphql(client: Client, caller: httpx.AsyncClient) -> None:
    outdial = await make_outdial(caller)
    async with client.target_events(outdial["id"]) as events:
        assert (await events.next())["caughtUp"]
        target = await make_target(caller, outdial["id"])
        [attempt] = (await client.good("claimTargets", outdialId=outdial["id"]))["attempts"]
        under_way = good(await caller.get(f"/outdials/{outdial['id']}/targets/{target['id']}"))
        await client.good("startAttempts", attempts=[{"attemptId": attempt["id"]}])
        result = {"attemptId": attempt["id"], "disposition": "ANSWERED"}
        await client.good("completeAttempts", results=[result])
        done = good(await caller.get(f"/outdials/{outdial['id']}/targets/{target['id']}"))
        deleted = good(await caller.delete(f"/outdials/{outdial['id']}/targets/{target['id']}"))
        seen: list[tuple[str, str | None]] = []
        async with asyncio.timeout(20):
            while not seen or seen[-1][0] != "DELETED":
                seen += [(event["type"], event["status"]) for event in (await events.next())["events"]]
    assert (under_way["status"], under_way["try_count_0"]) == ("progressing", 1)
    check_target(done)
    assert done == {**target, "status": "done", "try_count_0": 1, "tm_update": done["tm_update"]}
    assert done["tm_update"] > target["tm_update"]
    assert (deleted["status"], deleted["tm_delete"] < NEVER) == ("done", True)
    assert seen == [
        ("CREATED", "IDLE"),
        ("CLAIMED", "PROGRESSING"),
        ("DIALING", "PROGRESSING"),
        ("COMPLETED", "DONE"),
        ("DELETED", None),
    ]


async def test_what_rest_shows_of_callbacks_and_finished_targets_is_as_before(
    client: Client, caller: httpx.AsyncClient
) -> None:
    """Its answers know no callbacks, no rules and no codes: clients of before read them as they are."""
    finish = {"action": "FINISH", "dispositions": ["BUSY"]}
    outdial = await client.outdial(dialPolicy={"retryRules": [finish], "maxTryCounts": [3] * 5})
    path = f"/outdials/{outdial['id']}/targets"
    waits, finished = [await client.target(outdial["id"]) for _ in range(2)]
    made = {
        one["target"]["id"]: one["id"]
        for one in (await client.good("claimTargets", outdialId=outdial["id"], limit=2))["attempts"]
    }
    fresh = good(await caller.get(f"{path}/{waits['id']}"))
    wish = {"at": "2026-03-04T17:00:00Z", "dialer": "ann"}
    results = [
        {"attemptId": made[waits["id"]], "disposition": "CALLBACK", "callback": wish},
        {"attemptId": made[finished["id"]], "disposition": "BUSY"},
    ]
    await client.good("completeAttempts", results=results)
    assert (await client.read_target(finished["id"]) or {})["doneReason"] == "FINISHED"
    for target, status in ((waits, "idle"), (finished, "done")):
        shown = good(await caller.get(f"{path}/{target['id']}"))
        check_target(shown)
        assert shown.keys() == fresh.keys()
        assert (shown["status"], shown["try_count_0"]) == (status, 1)
    await client.good("claimTargets", outdialId=outdial["id"], dialer="ann")
    assert good(await caller.get(f"{path}/{waits['id']}"))["status"] == "progressing"


async def test_both_faces_show_the_same(client: Client, caller: httpx.AsyncClient) -> None:
    campaign = str(uuid4())
    outdial = await client.outdial(name="a", detail="b", data="c\n😀", campaignId=campaign)
    shown = good(await caller.get(f"/outdials/{outdial['id']}"))
    check_outdial(shown)
    assert {name: shown[name] for name in ("name", "detail", "data", "campaign_id")} == {
        "name": "a",
        "detail": "b",
        "data": "c\n😀",
        "campaign_id": campaign,
    }
    mail = {"type": "EMAIL", "target": "somebody@EXAMPLE.com", "targetName": "S.", "name": "work", "detail": "d"}
    target = await client.target(outdial["id"], destination2=mail)
    shown = good(await caller.get(f"/outdials/{outdial['id'].upper()}/targets/{target['id'].upper()}"))
    assert shown["destination_2"] == {
        "type": "email",
        "target": "somebody@example.com",
        "target_name": "S.",
        "name": "work",
        "detail": "d",
    }
    check_target(shown)


# ---------------------------------------------------------------- values


async def test_put_changes_only_what_is_given(caller: httpx.AsyncClient) -> None:
    outdial = await make_outdial(caller, name="a", detail="b", data="c", campaign_id=str(uuid4()))
    path = f"/outdials/{outdial['id']}"
    assert good(await caller.put(path, json={})) == outdial
    assert good(await caller.put(path, json={"name": "a", "data": "not here", "state": "PAUSED"})) == outdial
    renamed = good(await caller.put(path, json={"name": "z"}))
    assert renamed == {**outdial, "name": "z", "tm_update": renamed["tm_update"]}
    assert outdial["tm_create"] < renamed["tm_update"] < NEVER
    told = good(await caller.put(path, json={"detail": ""}))
    assert (told["name"], told["detail"], told["data"]) == ("z", "", "c")
    for nothing in (None, ZERO):
        await caller.put(f"{path}/campaign_id", json={"campaign_id": outdial["campaign_id"]})
        detached = good(await caller.put(f"{path}/campaign_id", json={"campaign_id": nothing}))
        assert detached["campaign_id"] == ZERO
    assert rest.paths(await caller.put(f"{path}/campaign_id", json={})) == [["campaign_id"]]
    assert rest.paths(await caller.put(f"{path}/data", json={"name": "x"})) == [["data"]]
    stored = good(await caller.put(f"{path}/data", json={"data": "x" * 65_536}))
    assert good(await caller.get(path)) == stored


async def test_destinations_are_unset_in_three_ways_and_always_whole(caller: httpx.AsyncClient) -> None:
    outdial = await make_outdial(caller)
    target = await make_target(
        caller,
        outdial["id"],
        destination_0={},
        destination_1=None,
        destination_3={"target": "+1 (415) 555-0100", "detail": "by day"},
        destination_4={"type": "sip", "target": "alice@EXAMPLE.com", "unknown": [1]},
    )
    assert [target[name] for name in rest.DESTINATIONS[:3]] == [None, None, None]
    assert target["destination_3"] == {
        "type": "tel",
        "target": "+14155550100",
        "target_name": "",
        "name": "",
        "detail": "by day",
    }
    assert target["destination_4"]["target"] == "sip:alice@example.com"
    check_target(target)


async def test_a_deleted_outdial_takes_its_targets_along(caller: httpx.AsyncClient) -> None:
    outdial = await make_outdial(caller)
    target = await make_target(caller, outdial["id"])
    path = f"/outdials/{outdial['id']}"
    deleted = good(await caller.delete(path))
    assert deleted == {**outdial, "tm_delete": deleted["tm_delete"]}
    assert good(await caller.get("/outdials"))["result"] == []
    for method, rest_of_path, body in [
        ("GET", "", None),
        ("PUT", "", {"name": "x"}),
        ("PUT", "/campaign_id", {"campaign_id": ZERO}),
        ("PUT", "/data", {"data": "x"}),
        ("DELETE", "", None),
        ("GET", "/targets", None),
        ("POST", "/targets", {"destination_0": {"target": phone_number()}}),
        ("GET", f"/targets/{target['id']}", None),
        ("DELETE", f"/targets/{target['id']}", None),
    ]:
        response = await caller.request(method, path + rest_of_path, json=body)
        assert reason(response) == (404, "NOT_FOUND", "OUTDIAL_NOT_FOUND"), (method, rest_of_path)


# ---------------------------------------------------------------- pages


async def test_a_thousand_targets_of_one_instant_are_each_seen_once(client: Client, caller: httpx.AsyncClient) -> None:
    outdial = await make_outdial(caller)
    rows = [{"destination0": {"target": phone_number()}} for _ in range(1_000)]
    made = (await client.good("createTargets", outdialId=outdial["id"], targets=rows))["targets"]
    path = f"/outdials/{outdial['id']}/targets"
    for size, sizes in {None: [100] * 10, "1000000": [100] * 10, "7": [7] * 142 + [6]}.items():
        parameters = {} if size is None else {"page_size": size}
        found = await rest.pages(caller, path, **parameters)
        assert [len(page) for page in found] == sizes
        listed = [target for page in found for target in page]
        assert len({target["tm_create"] for target in listed}) == 1
        assert [target["id"] for target in listed] == [target["id"] for target in reversed(made)]
    before = good(await caller.get(path, params={"page_token": listed[0]["tm_create"]}))
    assert before == {"result": [], "next_page_token": ""}


async def test_a_bare_timestamp_means_created_before(caller: httpx.AsyncClient) -> None:
    made = [await make_outdial(caller, name=str(number)) for number in range(5)]
    newest_first = [outdial["name"] for outdial in reversed(made)]

    async def named(**parameters: Any) -> list[str]:
        page = good(await caller.get("/outdials", params=parameters))
        return [outdial["name"] for outdial in page["result"]]

    assert await named(page_token=made[3]["tm_create"]) == ["2", "1", "0"]
    assert await named(page_token=made[3]["tm_create"], page_size=2) == ["2", "1"]
    assert await named(page_token=made[0]["tm_create"]) == []
    assert await named(page_token=NEVER) == newest_first
    assert await named(page_token="2022-04-28 01:41:40") == []
    assert await named(page_token="") == newest_first
    pages = await rest.pages(caller, "/outdials", page_size=2)
    assert [[outdial["name"] for outdial in page] for page in pages] == [["4", "3"], ["2", "1"], ["0"]]
    # page by page as the reference's clients do that keep the last row's timestamp
    walked, token_of_page = [], NEVER
    while names := await named(page_token=token_of_page, page_size=2):
        walked += names
        token_of_page = made[int(names[-1])]["tm_create"]
    assert walked == newest_first
    # what is created while somebody pages neither repeats nor hides anything
    first = good(await caller.get("/outdials", params={"page_size": 2}))
    await make_outdial(caller, name="5")
    assert await named(page_token=first["next_page_token"], page_size=100) == ["2", "1", "0"]


@pytest.mark.alternate
@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("page_size", value) for value in ("0", "-1", "abc", "", "1.5", "1e2", "\u0661", "0x10", "+-5", "0" * 5_000)),
        *(
            ("page_token", value)
            for value in ("x", "2022-13-28 01:41:40.503790", "2022-04-28", "0000-00-00 00:00:00", "AAAA", "é", "\x00")
        ),
    ],
)
async def test_what_is_no_page_is_refused(caller: httpx.AsyncClient, name: str, value: str) -> None:
    assert rest.paths(await caller.get("/outdials", params={name: value})) == [[name]]


async def test_sizes_above_the_most_are_the_most(caller: httpx.AsyncClient) -> None:
    await make_outdial(caller)
    for size in ("100", "101", "9" * 18, "9" * 6_000, "007"):
        assert len(good(await caller.get("/outdials", params={"page_size": size}))["result"]) == 1


# ---------------------------------------------------------------- scopes


async def test_reading_needs_read_and_changing_needs_write(service: ServerProcess) -> None:
    customer = str(uuid4())
    async with calling(service.url, token(customer, ["write"])) as writer:
        outdial = await make_outdial(writer)  # a payload is readable by whoever may call for it
        target = await make_target(writer, outdial["id"])
        reading = ["/outdials", f"/outdials/{outdial['id']}", f"/outdials/{outdial['id']}/targets"]
        for path in [*reading, f"/outdials/{outdial['id']}/targets/{target['id']}"]:
            assert reason(await writer.get(path)) == (403, "PERMISSION_DENIED", "PERMISSION_DENIED")
    async with calling(service.url, token(customer, ["read", "dial"])) as reader:
        assert good(await reader.get("/outdials"))["result"] == [outdial]
        for method, path in [
            ("POST", "/outdials"),
            ("PUT", f"/outdials/{outdial['id']}"),
            ("PUT", f"/outdials/{outdial['id']}/campaign_id"),
            ("PUT", f"/outdials/{outdial['id']}/data"),
            ("DELETE", f"/outdials/{outdial['id']}"),
            ("POST", f"/outdials/{outdial['id']}/targets"),
            ("DELETE", f"/outdials/{outdial['id']}/targets/{target['id']}"),
        ]:
            assert reason(await reader.request(method, path, json={}))[2] == "PERMISSION_DENIED"
