"""The description of the REST calls is true: whatever it allows is sent, and every answer is compared with it."""

import asyncio
import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.rest import openapi, page
from tests.support import importing, rows
from tests.support.factories import phone_number
from tests.support.graphql_client import Client
from tests.support.rest import calling, good
from tests.support.server import REPOSITORY, ServerProcess

FUZZ_SECONDS = 35
OUTDIALS = 60
TARGETS = 10
CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    # What the description forbids is refused. Not the reverse: no schema says what a telephone number is.
    "negative_data_rejection",
    "unsupported_method",
    "allow_header_conformance",
    "ignored_auth",
    "use_after_free",
    "ensure_resource_availability",
]
SUCCESSES = re.compile(
    r'^outdial_http_requests_total\{method="(\w+)",route="(/v1\.0/[^"]*)",status="200"\} (\S+)$', re.MULTILINE
)


async def document(service: ServerProcess) -> Any:
    async with calling(service.url, None) as nobody:
        return good(await nobody.get("/openapi.json"))


async def successes(service: ServerProcess) -> dict[tuple[str, str], float]:
    """How often each call was answered with 200."""
    async with httpx.AsyncClient(trust_env=False) as client:
        text = (await client.get(f"{service.url}/metrics")).text
    return {(method, route): float(number) for method, route, number in SUCCESSES.findall(text)}


@pytest.mark.slow
async def test_schemathesis_finds_nothing(service: ServerProcess, client: Client, tmp_path: Path) -> None:
    known = []
    for _ in range(OUTDIALS):
        outdial = await client.outdial()
        drafts = [{"destination0": {"target": phone_number()}} for _ in range(TARGETS)]
        made = await client.good("createTargets", outdialId=outdial["id"], targets=drafts)
        job = await importing.taken(client, outdial["id"], "phone\nnobody\n")
        known += [[outdial["id"], target["id"], job["id"]] for target in made["targets"]]
    before = await successes(service)
    done = await asyncio.to_thread(
        subprocess.run,
        [
            sys.executable, "-m", "schemathesis.cli", "run", f"{service.url}/v1.0/openapi.json",
            "--header", f"Authorization: Bearer {client.token}",
            "--checks", ",".join(CHECKS), "--max-time", str(FUZZ_SECONDS), "--continue-on-failure", "--no-shrink",
        ],
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTHONPATH": str(REPOSITORY),
            "SCHEMATHESIS_HOOKS": "tests.support.schemathesis_hooks",
            "SCHEMATHESIS_KNOWN": json.dumps(known),
            "NO_PROXY": "*",
            "COLUMNS": "200",
        },
        capture_output=True, text=True, timeout=110, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    after = await successes(service)
    for path, item in (await document(service))["paths"].items():
        for method in item:
            call = (method.upper(), path)
            assert after.get(call, 0) > before.get(call, 0), f"{call} never got as far as a result\n{done.stdout}"
    rows.check(await rows.of(service.database_url, client.customer_id))


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
async def test_the_description_is_public_and_of_every_call(service: ServerProcess) -> None:
    described = await document(service)
    assert described["openapi"].startswith("3.1.")
    calls = {(method, path) for path, item in described["paths"].items() for method in item}
    outdial, target = "/v1.0/outdials/{id}", "/v1.0/outdials/{id}/targets/{target_id}"
    assert calls == {
        ("get", "/v1.0/outdials"),
        ("post", "/v1.0/outdials"),
        ("get", outdial),
        ("put", outdial),
        ("put", f"{outdial}/campaign_id"),
        ("put", f"{outdial}/data"),
        ("delete", outdial),
        ("get", f"{outdial}/targets"),
        ("post", f"{outdial}/targets"),
        ("get", target),
        ("delete", target),
        ("post", f"{outdial}/targets/import"),
        ("get", f"{outdial}/targets/export"),
        ("get", f"{outdial}/attempts/export"),
        ("get", f"{outdial}/imports/{{import_id}}/rejects"),
        ("post", "/v1.0/suppressions/import"),
        ("get", "/v1.0/suppressions/export"),
        ("get", "/v1.0/stats/export"),
        ("get", f"{outdial}/stats/export"),
    }
    assert {tuple(way) for way in described["security"]} == {("cookie",), ("query",), ("header",)}


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
async def test_lengths_in_the_description_are_those_that_are_kept_to(service: ServerProcess, client: Client) -> None:
    described = await document(service)
    path = "/v1.0/outdials/{id}/targets"
    body = described["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]["properties"]
    limits = {(name,): body[name]["maxLength"] for name in ("name", "detail", "data")}
    limits |= {
        ("destination_2", name): schema["maxLength"]
        for name, schema in body["destination_2"]["properties"].items()
        if name != "type"
    }
    assert len(limits) == 7
    outdial = await client.outdial()
    async with calling(service.url, client.token) as caller:
        for where, limit in limits.items():
            for length, status in ((limit, 200), (limit + 1, 400)):
                destination: dict[str, Any] = {"type": "line", "target": "x"}
                sent: dict[str, Any] = {"destination_2": destination}
                (destination if len(where) == 2 else sent)[where[-1]] = "x" * length
                response = await caller.post(f"/outdials/{outdial['id']}/targets", json=sent)
                assert response.status_code == status, (where, length, response.text)


class Tags(HTMLParser):
    """The tags of a page that are open at its end, and what it links to."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: set[str] = set()
        self.links: set[str] = set()
        self.names: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.names.add(tag)
        if tag != "meta":
            self.open.append(tag)
        self.ids |= {given["id"] or ""} if "id" in given else set()
        self.links |= {value or "" for name, value in attrs if name in {"href", "src"}}

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
async def test_the_page_shows_all_of_it_without_a_script_or_a_cdn(service: ServerProcess) -> None:
    described = await document(service)
    async with calling(service.url, None) as nobody:
        response = await nobody.get("/docs")
    assert (response.status_code, response.headers["content-type"]) == (200, "text/html; charset=utf-8")
    policy = response.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    tags = Tags()
    tags.feed(response.text)
    assert tags.open == []
    assert not tags.names & {"script", "link", "img", "iframe", "form"}
    assert {link for link in tags.links if link.removeprefix("#") not in tags.ids} == {"/v1.0/openapi.json"}
    for path, item in described["paths"].items():
        for method, operation in item.items():
            assert f"{method.upper()} {path}" in tags.text
            assert operation["operationId"] in tags.ids
    for schema in described["components"]["schemas"].values():
        assert all(name in tags.text for name in schema["properties"])
    assert "`" not in tags.text


def test_code_in_a_description_is_shown_as_code_and_never_as_markup() -> None:
    described = openapi.document("")
    described["info"]["description"] = "Send `<b>` & `a`.\n\nA lone ` stays."
    text = page.render(described, "/v1.0/openapi.json")
    assert "<p>Send <code>&lt;b&gt;</code> &amp; <code>a</code>.</p>" in text
    assert "<p>A lone ` stays.</p>" in text
