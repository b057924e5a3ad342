"""The do-not-call list over HTTP: added, found, removed, by whom it may be, and told apart by customers."""

import gzip
import json
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from tests.conftest import Services
from tests.contract.test_transfers import run as command
from tests.support.factories import phone_number
from tests.support.graphql_client import Client, user_errors
from tests.support.server import ServerProcess

LIST = """
    query($where: SuppressionFilter, $after: String) { suppressions(first: 2, after: $after, where: $where) {
        totalCount pageInfo { hasNextPage endCursor } nodes { id type target reason source expiresAt tmCreate } } }
"""


async def test_an_address_is_added_found_as_people_write_it_and_removed(client: Client) -> None:
    payload = await client.mutate(
        "addSuppressions",
        suppressions=[
            {"target": "+1 (555) 010-0001", "reason": "asked by mail"},
            {"target": "nobody"},
            {"type": "EMAIL", "target": "a@example.com", "expiresAt": "2999-01-01T00:00:00Z"},
            {"target": "+15550100002", "expiresAt": "2001-01-01T00:00:00Z"},
        ],
    )
    assert user_errors(payload) == [
        ("INVALID", ["suppressions", "1", "target"]),
        ("INVALID", ["suppressions", "3", "expiresAt"]),
    ]
    one, two = payload["suppressions"]
    assert (one["target"], one["source"], one["expiresAt"]) == ("+15550100001", "OWNER", None)
    refused = await client.send(LIST, where={"target": "1 555 010 0001"})  # no country code, and no region is set
    [error] = refused["errors"]
    assert error["extensions"]["code"] == "BAD_USER_INPUT"
    assert error["message"].startswith("The address cannot be read. No country code. Start the number with +")
    found = (await client.run(LIST, where={"target": "+1-555-010-0001", "sources": ["OWNER"]}))["suppressions"]
    assert (found["nodes"], found["totalCount"]) == ([one], 1)
    assert (await client.run(LIST, where={"expires": True}))["suppressions"]["nodes"] == [two]
    node = await client.run("query($id: ID!) { node(id: $id) { __typename id } }", id=two["id"])
    assert node == {"node": {"__typename": "Suppression", "id": two["id"]}}
    removed = await client.mutate("removeSuppressions", addresses=[{"target": "+1 555 010 0001"}], ids=None)
    assert (removed["suppressions"], removed["userErrors"]) == ([one], [])
    assert user_errors(await client.mutate("removeSuppressions", ids=[one["id"]])) == [("NOT_FOUND", ["ids", "0"])]
    assert user_errors(await client.mutate("removeSuppressions")) == [("INVALID", ["ids"])]


async def test_the_list_is_in_pages_and_another_customers_is_another_list(
    client: Client, service: ServerProcess
) -> None:
    given = [{"target": phone_number()} for _ in range(5)]
    made = (await client.good("addSuppressions", suppressions=given))["suppressions"]
    seen, after = [], None
    while True:
        page = (await client.run(LIST, after=after))["suppressions"]
        seen += [node["id"] for node in page["nodes"]]
        if not page["pageInfo"]["hasNextPage"]:
            break
        after = page["pageInfo"]["endCursor"]
    assert sorted(seen) == sorted(one["id"] for one in made)
    async with Client(service.url, str(uuid4())) as stranger:
        assert (await stranger.run(LIST))["suppressions"] == {
            "totalCount": 0, "pageInfo": {"hasNextPage": False, "endCursor": None}, "nodes": [],
        }  # fmt: skip
        assert user_errors(await stranger.mutate("removeSuppressions", ids=[made[0]["id"]])) == [
            ("NOT_FOUND", ["ids", "0"])
        ]


WHY = """
    query($id: ID!, $at: DateTime) { outdial(id: $id) {
        nextClaimAt blockedBy { reason until detail } dialability(at: $at) { claimable blocked { reason count } }
        targets(first: 5) { nodes { id blockedBy { reason until detail }
            destinations { index blockedBy { reason until } } } } } }
"""


async def test_an_owner_sees_why_targets_wait_and_until_when(client: Client) -> None:
    outdial, number = await client.outdial(), phone_number()
    until = "2999-01-01T00:00:00.000000Z"
    await client.target(outdial["id"], destination0={"target": number})
    await client.good("addSuppressions", suppressions=[{"target": number, "expiresAt": until}])
    await client.good("updateOutdial", id=outdial["id"], state="PAUSED")
    for _ in range(3):  # from the second time on, it is compiled
        found = (await client.run(WHY, id=outdial["id"]))["outdial"]
        assert (found["nextClaimAt"], [block["reason"] for block in found["blockedBy"]]) == (None, ["PAUSED"])
        assert found["dialability"] == {"claimable": 0, "blocked": [{"reason": "SUPPRESSED", "count": 1}]}
        [target] = found["targets"]["nodes"]
        assert [(block["reason"], block["until"]) for block in target["blockedBy"]] == [("SUPPRESSED", until)]
        assert target["destinations"] == [{"index": 0, "blockedBy": [{"reason": "SUPPRESSED", "until": until}]}]
    later = (await client.run(WHY, id=outdial["id"], at="2999-01-02T00:00:00Z"))["outdial"]["dialability"]
    assert later == {"claimable": 1, "blocked": []}
    await client.good("updateOutdial", id=outdial["id"], state="ACTIVE")
    assert (await client.run(WHY, id=outdial["id"]))["outdial"]["nextClaimAt"] == until


# ---------------------------------------------------------------- files


async def send(client: Client, body: bytes, kind: str = "text/csv", **query: str | list[str]) -> httpx.Response:
    async with httpx.AsyncClient(base_url=client.url, timeout=60) as http:
        return await http.post(
            "/v1.0/suppressions/import", params=query, content=body, headers=headers(client) | {"Content-Type": kind}
        )


def headers(client: Client) -> dict[str, str]:
    return {"Authorization": f"Bearer {client.token}"}


async def exported(client: Client, **query: str) -> str:
    async with httpx.AsyncClient(base_url=client.url, timeout=60) as http:
        response = await http.get("/v1.0/suppressions/export", params=query, headers=headers(client))
    assert response.status_code == 200, response.text
    return response.text


async def test_a_file_goes_in_and_out_again_as_it_was(client: Client) -> None:
    await client.good("addSuppressions", suppressions=[{"target": "+15550100009", "reason": "=1+1"}])
    rows = [
        "type,target,reason,expires_at,note",
        'TEL,+1 (555) 010-0001,"asked, by mail",,x',
        "EMAIL,ann@example.com,,2999-01-01T00:00:00Z,",
        "TEL,+15550100003,,2001-01-01T00:00:00Z,",
        "TEL,nobody,,,",
    ]
    response = await send(client, "\n".join(rows).encode())
    assert response.status_code == 200, response.text
    report = response.json()
    assert report["counts"] == {"read": 4, "added": 2, "unchanged": 0, "expired": 1, "rejected": 1}
    assert [(reject["line_number"], reject["code"]) for reject in report["rejects"]] == [(5, "invalid")]
    assert report["warnings"] == ["Unknown columns were ignored: note."]
    for kind, media_type in (("csv", "text/csv"), ("ndjson", "application/x-ndjson")):
        before = await exported(client, format=kind)
        own = (await send(client, before.encode(), media_type)).json()
        assert own["counts"] == {"read": 3, "added": 0, "unchanged": 3, "expired": 0, "rejected": 0}
        assert await exported(client, format=kind) == before, "one's own export changes nothing, sources neither"
        found = (await client.run(LIST, where={"sources": ["IMPORT"]}))["suppressions"]
        async with Client(client.url, str(uuid4())) as other:
            again = (await send(other, before.encode(), media_type)).json()
            assert again["counts"] == {"read": 3, "added": 3, "unchanged": 0, "expired": 0, "rejected": 0}
            after = await exported(other, format=kind)
        plain = before.replace('"OWNER"', '"IMPORT"').replace(",OWNER,", ",IMPORT,")
        assert [without_time(line) for line in after.splitlines()] == [
            without_time(line) for line in plain.splitlines()
        ]
        assert found["totalCount"] == 2
    assert len((await exported(client, source="owner")).splitlines()) == 2


def without_time(line: str) -> str:
    """A line of an export without when the address was added."""
    return line.rpartition(",")[0]


async def test_a_file_of_targets_suppresses_all_addresses_of_its_rows(client: Client) -> None:
    numbers = [phone_number() for _ in range(2_500)]
    lines = [f"{number},p{index % 3}@example.com,Ann {index}" for index, number in enumerate(numbers)]
    body = gzip.compress(("phone,email,name\n" + "\n".join(lines)).encode(), mtime=0)
    report = (await send(client, body)).json()
    assert report["counts"] == {"read": 2_500, "added": 2_500, "unchanged": 0, "expired": 0, "rejected": 0}
    page = (await client.run(LIST, where={"target": numbers[-1]}))["suppressions"]
    assert [(one["target"], one["reason"], one["source"]) for one in page["nodes"]] == [(numbers[-1], "", "IMPORT")]
    assert (await client.run(LIST))["suppressions"]["totalCount"] == len(set(numbers)) + 3


async def test_columns_with_other_names_are_mapped_to_those_of_the_list(client: Client) -> None:
    body = b"Nummer;Kanal;Grund;Bis;phone;name\n0151 99988877;;by letter;2999-01-01T00:00:00Z;+15550100001;Ann\n"
    given = ["Nummer:target", "Kanal:type", "Grund:reason", "Bis:expires_at", "phone:"]
    report = (await send(client, body, region="DE", map=given)).json()
    assert report["counts"] == {"read": 1, "added": 1, "unchanged": 0, "expired": 0, "rejected": 0}
    [one] = (await client.run(LIST))["suppressions"]["nodes"]
    assert (one["type"], one["target"], one["reason"]) == ("TEL", "+4915199988877", "by letter")
    assert one["expiresAt"] == "2999-01-01T00:00:00.000000Z"
    for pairs, reason in (
        (["Nummer:key"], "INVALID"),  # a field of targets
        (["Nummer"], "INVALID"),
        (["Nummer:target", "Name:reason"], "INVALID_FILE"),  # no such column
        (["Nummer:target", "phone:target"], "INVALID_FILE"),
    ):
        response = await send(client, body, region="DE", map=pairs)
        assert response.status_code == 400
        assert reason in response.text, response.text
    assert (await client.run(LIST))["suppressions"]["totalCount"] == 1


async def test_what_is_no_such_file_is_refused(client: Client) -> None:
    assert (await send(client, b"phone\n1", "text/plain")).status_code == 415
    said = "No row of the file is on the list."
    for body in (b"", b"what\n1\n", b"phone\n\xff\xfe\n"):
        response = await send(client, body)
        assert (response.status_code, response.json()["error"]["reason"]) == (400, "INVALID_FILE"), response.text
        assert response.json()["error"]["message"].endswith(said)
    report = (await send(client, b"phone,name\n,Ann\n")).json()
    assert [(reject["line_number"], reject["message"]) for reject in report["rejects"]] == [
        (2, "The row has no address.")
    ]
    async with Client(client.url, str(uuid4()), scopes=("read", "dial")) as reader:
        assert (await send(reader, b"phone\n1\n")).status_code == 403
    assert (await client.run(LIST))["suppressions"]["totalCount"] == 0


async def test_the_commands_send_and_fetch_the_list(services: Services, tmp_path: Path) -> None:
    async with Client(services.on("sqlite").url, str(uuid4())) as client:
        given, written = tmp_path / "list.csv", tmp_path / "out.ndjson"
        given.write_text("target,grund\n+15550100001,a\nnobody,b\n")
        code, out, err = await command(client, "suppressions", "import", given, "--map", "grund:reason")
        assert (code, err) == (0, "")
        assert out.splitlines()[:2] == [
            "1 of 2 rows of list.csv are on the do-not-call list:",
            "  2 read, 1 added, 0 unchanged, 0 expired, 1 rejected",
        ]
        code, _, err = await command(client, "suppressions", "export", "-o", written, "--source", "import")
        assert (code, err.startswith("Wrote ")) == (0, True)
        [line] = written.read_text().splitlines()
        assert (json.loads(line)["target"], json.loads(line)["reason"]) == ("+15550100001", "a")
        code, _, err = await command(client, "suppressions", "import", tmp_path / "none.csv")
        assert (code, err.count("\n")) == (1, 1)


@pytest.mark.parametrize(
    ("kind", "listed", "written"),
    [
        ("EMAIL", "ann@example.com", "Ann@Example.com"),
        ("EMAIL", "Ann@Example.com", "ann@example.com"),
        ("SIP", "sip:ann@pbx.example", "sips:Ann@PBX.example:5061;transport=tcp"),
        ("SIP", "Ann@PBX.example:5060", "sip:ann@pbx.example"),
    ],
)
async def test_who_is_on_the_list_is_not_called_however_the_address_is_written(
    client: Client, kind: str, listed: str, written: str
) -> None:
    await client.mutate("addSuppressions", suppressions=[{"type": kind, "target": listed}])
    outdial = await client.outdial()
    place = {"type": kind, "target": written}
    target = await client.target(outdial["id"], destination0=place)
    assert (target["status"], target["doneReason"]) == ("DONE", "DO_NOT_CALL")
    assert (await client.good("claimTargets", outdialId=outdial["id"]))["attempts"] == []
    for text in (listed, written):
        found = (await client.run(LIST, where={"type": kind, "target": text}))["suppressions"]
        assert found["totalCount"] == 1, text
    removed = await client.mutate("removeSuppressions", addresses=[place], ids=None)
    assert [one["target"] for one in removed["suppressions"]] == [
        {"EMAIL": "ann@example.com", "SIP": "sip:ann@pbx.example"}[kind]
    ]


async def test_a_wish_of_a_person_holds_for_every_way_to_write_the_address(client: Client) -> None:
    outdial = await client.outdial()
    first = await client.target(outdial["id"], destination0={"type": "EMAIL", "target": "Ann@Example.com"})
    assert first["destination0"]["target"] == "Ann@example.com"
    second = await client.target(outdial["id"], destination0={"type": "EMAIL", "target": "ANN@example.com"})
    [attempt] = (await client.good("claimTargets", outdialId=outdial["id"], limit=1))["attempts"]
    assert attempt["destination"]["target"] == "Ann@example.com"
    await client.good("completeAttempts", results=[{"attemptId": attempt["id"], "disposition": "DO_NOT_CALL"}])
    assert (await client.good("claimTargets", outdialId=outdial["id"]))["attempts"] == []
    query = (
        "query($id: ID!, $text: String!) { outdial(id: $id) { targets(where: {destination: $text}) { totalCount } } }"
    )
    found = await client.run(query, id=outdial["id"], text="aNN@eXample.com")
    assert found["outdial"]["targets"]["totalCount"] == 2
    assert second["destination0"]["target"] == "ANN@example.com"


async def test_an_invalid_address_stays_invalid_if_it_is_written_in_another_way(client: Client) -> None:
    outdial = await client.outdial(dialPolicy={"retryIntervalSeconds": 0})
    target = await client.target(outdial["id"], destination0={"type": "EMAIL", "target": "Ann@example.com"})
    [attempt] = (await client.good("claimTargets", outdialId=outdial["id"]))["attempts"]
    written = {"type": "EMAIL", "target": "ANN@example.com"}
    await client.good("updateTarget", id=target["id"], destination0=written)
    await client.good("completeAttempts", results=[{"attemptId": attempt["id"], "disposition": "INVALID_DESTINATION"}])
    await client.good("updateTarget", id=target["id"], destination0=written | {"target": "ann@example.com"})
    found = await client.run(
        "query($id: ID!) { target(id: $id) { destinations { tryCount usable } } }", id=target["id"]
    )
    assert found["target"]["destinations"] == [{"tryCount": 1, "usable": False}]  # though the limit leaves two tries
