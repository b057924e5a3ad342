"""Telephone numbers mean the same over GraphQL, REST, import and search."""

import csv
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.support import importing
from tests.support.graphql_client import Client
from tests.support.importing import NDJSON, taken
from tests.support.rest import calling
from tests.support.server import ServerProcess

KEPT = [
    ("tel", "4930123456", "+4930123456"),
    ("tel", "0151 12345678", "+4915112345678"),
    ("tel", "+4930123456.0", "+4930123456"),
    ("tel", "301234567.0", "+49301234567"),
    ("tel", "+48 (0)22 512 34 56", "+48225123456"),
    ("tel", "+39 (0)2 3661 8300", "+390236618300"),
    ("tel", "\u202a+49\u202f30 123\uff0d456\u202c", "+4930123456"),
    ("tel", "\ufeff\uff0b49\uff08030\uff09123456", "+4930123456"),
    ("tel", "0221/123456", "+49221123456"),
    ("whatsapp", "+5215512345678", "+525512345678"),
    ("email", "\ufeffann@Example.com\u200b", "ann@example.com"),
]
REFUSED = [
    ("tel", "4915112345678", "ambiguous"),
    ("tel", "49 7755 91155", "ambiguous"),
    ("tel", "22 512 34 56.0", "decimal"),
    ("tel", "4.91512E+11", "scientific"),
    ("tel", "030 1234567/8", "two numbers"),
    ("tel", "05551 1234/5678", "two numbers"),
    ("tel", "030 1234567\n030 7654321", "two numbers"),
    ("tel", "+5215512345678", "wrong length"),
    ("tel", "+49 30 12345\u00b2", "digits, spaces"),
    ("email", "an\u200bn@example.com", "invisible"),
]


@pytest.fixture
async def german(database_url: str, tmp_path: Path) -> AsyncIterator[Client]:
    """A customer of a server that takes numbers without a country code to be German."""
    server = await ServerProcess(database_url, tmp_path, environment={"OUTDIAL_DEFAULT_REGION": "DE"}).started()
    try:
        async with Client(server.url, str(uuid4())) as client:
            yield client
    finally:
        server.stop()


@pytest.mark.slow
async def test_a_number_means_the_same_whatever_way_it_comes_in(german: Client) -> None:
    forms = [form for _, _, form in KEPT]

    over_graphql = (await german.outdial(name="GraphQL"))["id"]
    for kind, text, form in KEPT:
        target = await german.target(over_graphql, destination0={"type": kind.upper(), "target": text})
        assert target["destination0"]["target"] == form
    for kind, text, message in REFUSED:
        payload = await german.mutate(
            "createTarget", outdialId=over_graphql, target={"destination0": {"type": kind.upper(), "target": text}}
        )
        [error] = payload["userErrors"]
        assert message in error["message"]

    over_rest = (await german.outdial(name="REST"))["id"]
    async with calling(str(german.http.base_url).rstrip("/"), german.token) as caller:
        for kind, text, form in KEPT:
            answer = await caller.post(
                f"/outdials/{over_rest}/targets", json={"destination_0": {"type": kind, "target": text}}
            )
            assert answer.json()["destination_0"]["target"] == form
        for kind, text, message in REFUSED:
            answer = await caller.post(
                f"/outdials/{over_rest}/targets", json={"destination_0": {"type": kind, "target": text}}
            )
            assert answer.status_code == 400
            assert message in answer.text

    written = io.StringIO()
    sheet = csv.writer(written)
    sheet.writerow(["key", "destination_0_type", "destination_0_target"])
    sheet.writerows([f"k{row}", kind, text] for row, (kind, text, _) in enumerate([*KEPT, *REFUSED]))
    objects = "".join(
        json.dumps({"key": f"k{row}", "destination_0": {"type": kind, "target": text}}) + "\n"
        for row, (kind, text, _) in enumerate([*KEPT, *REFUSED])
    )
    for body, more in ((written.getvalue(), {}), (objects, {"kind": NDJSON})):
        outdial = (await german.outdial(name="import"))["id"]
        job = await taken(german, outdial, body, **more)
        assert [target["destination0"]["target"] for target in await importing.targets(german, outdial)] == forms
        for reject, (_, _, message) in zip(job["rejects"], REFUSED, strict=True):
            assert message in reject["message"]
            assert reject["code"] == ("scientific_notation" if message == "scientific" else "invalid")

    search = """
        query ($id: ID!, $text: String) {
            outdial(id: $id) { targets(where: {destination: $text}) { nodes { destination0 { target } } } } }
    """
    for _, text, form in KEPT:
        found = (await german.run(search, id=over_graphql, text=text))["outdial"]["targets"]["nodes"]
        assert {node["destination0"]["target"] for node in found} == {form}


async def test_a_search_by_digits_without_their_plus_finds_either_number(german: Client) -> None:
    outdial = (await german.outdial(name="search"))["id"]
    for number in ("+4915112345678", "+494915112345678", "+4930123456"):
        await german.target(outdial, destination0={"target": number})
    found = await german.run(
        'query ($id: ID!) { outdial(id: $id) { targets(where: {destination: "4915112345678"}) '
        "{ totalCount nodes { destination0 { target } } } } }",
        id=outdial,
    )
    nodes = found["outdial"]["targets"]["nodes"]
    assert {node["destination0"]["target"] for node in nodes} == {"+4915112345678", "+494915112345678"}


async def test_a_files_region_decides_what_its_digits_mean(client: Client) -> None:
    outdial = (await client.outdial(name="region"))["id"]
    job = await taken(client, outdial, "phone\n48225123456\n225123456.0\n4915112345678\n", region="PL")
    assert job["counts"]["rejected"] == 1
    assert job["rejects"][0]["line_number"] == 4
    [first, second] = await importing.targets(client, outdial)
    assert first["destination0"]["target"] == second["destination0"]["target"] == "+48225123456"


async def test_a_cell_in_which_nothing_can_be_seen_is_empty(client: Client) -> None:
    outdial = (await client.outdial(name="blank"))["id"]
    job = await taken(client, outdial, "phone,phone_2\n\u200b,+4930123456\n\u00a0\ufeff,\u200e\n")
    assert [reject["line_number"] for reject in job["rejects"]] == [3]
    assert "at least one destination" in job["rejects"][0]["message"].lower()
    [target] = await importing.targets(client, outdial)
    assert target["destination0"] is None
    assert target["destination1"]["target"] == "+4930123456"
