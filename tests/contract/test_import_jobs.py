"""Imports as things one can look at and stop: watched, listed, cancelled, paused, sent again."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest

from tests.support import importing, rest
from tests.support.graphql_client import Client, Ended, codes, user_errors
from tests.support.importing import CSV, counts, send, taken
from tests.support.server import ServerProcess, token

CHUNK = 1_000
WAIT_SECONDS_MAX = 30


@pytest.fixture
async def outdial(client: Client) -> str:
    made: str = (await client.outdial(name="To fill"))["id"]
    return made


class SlowFile:
    """A file whose end is sent when the test says so."""

    def __init__(self, before: int, after: int = 0) -> None:
        self._before = before
        self._after = after
        self.go_on = asyncio.Event()

    async def pieces(self) -> AsyncIterator[bytes]:
        yield importing.table(self._before).encode()
        await self.go_on.wait()
        yield "".join(importing.rows(self._after, start=self._before)).encode()


async def imports(client: Client, outdial_id: str, **where: Any) -> list[Any]:
    query = f"""query ($id: ID!, $where: ImportFilter) {{ outdial(id: $id) {{ imports(where: $where) {{
        nodes {{ {importing.JOB} }} }} }} }}"""
    found = (await client.run(query, id=outdial_id, where=where))["outdial"]["imports"]
    nodes: list[Any] = found["nodes"]
    return nodes


async def when_created(client: Client, outdial_id: str, count: int) -> Any:
    """The outdial's newest import, once it has taken in so many rows."""
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        while True:
            found = await imports(client, outdial_id)
            if found and found[0]["counts"]["created"] >= count:
                return found[0]
            await asyncio.sleep(0.02)


WATCH = f"subscription ($id: ID!) {{ importProgress(id: $id, intervalMs: 50) {{ {importing.JOB} }} }}"
CANCEL = f"""mutation ($id: ID!) {{ cancelImport(id: $id) {{
    importJob {{ {importing.JOB} }} userErrors {{ code path }} }} }}"""


async def test_an_import_is_watched_from_its_begin_to_its_end(client: Client, outdial: str) -> None:
    file = SlowFile(3 * CHUNK, after=CHUNK)
    sending = asyncio.create_task(taken(client, outdial, file.pieces(), file_name="slow.csv", key="watched"))
    running = await when_created(client, outdial, CHUNK)
    assert (running["state"], running["fileName"], running["idempotencyKey"]) == ("RUNNING", "slow.csv", "watched")
    assert running["finishedAt"] is None
    seen = []
    async with client.subscribe(WATCH, id=running["id"]) as progress:
        seen.append(await progress.next())
        file.go_on.set()
        while seen[-1]["state"] == "RUNNING":
            seen.append(await progress.next())
        with pytest.raises(Ended):
            await progress.next()
    job = await sending
    assert seen[0]["state"] == "RUNNING"
    assert seen[-1]["state"] == "COMPLETED"
    assert seen[-1]["counts"] == job["counts"] == {
        "read": 4 * CHUNK, "created": 4 * CHUNK, "updated": 0, "skipped": 0, "rejected": 0, "suppressed": 0
    }  # fmt: skip
    created = [one["counts"]["created"] for one in seen]
    assert created == sorted(created)
    async with client.subscribe(WATCH, id=job["id"]) as progress:
        assert (await progress.next())["state"] == "COMPLETED"
        with pytest.raises(Ended):
            await progress.next()
    async with client.subscribe(WATCH, id=str(uuid4())) as progress:
        assert codes(await progress.answer()) == ["NOT_FOUND"]


async def test_the_imports_of_an_outdial_are_listed_newest_first_and_filtered(client: Client, outdial: str) -> None:
    made = [(await taken(client, outdial, importing.table(1), key=f"key {number}"))["id"] for number in range(3)]
    bad = await send(client, outdial, "nothing\n", key="bad")
    made.append(bad.json()["error"]["import"]["id"])
    assert [job["id"] for job in await imports(client, outdial)] == made[::-1]
    assert [job["id"] for job in await imports(client, outdial, states=["FAILED"])] == made[3:]
    assert [job["id"] for job in await imports(client, outdial, idempotencyKey="key 1")] == made[1:2]
    assert await imports(client, (await client.outdial())["id"]) == []
    query = "query ($id: ID!) { outdial(id: $id) { imports(first: 1) { totalCount pageInfo { hasNextPage } } } }"
    page = (await client.run(query, id=outdial))["outdial"]["imports"]
    assert page == {"totalCount": 4, "pageInfo": {"hasNextPage": True}}
    query = "query ($id: ID!) { node(id: $id) { id ... on ImportJob { outdial { id } } } }"
    assert (await client.run(query, id=made[0]))["node"] == {"id": made[0], "outdial": {"id": outdial}}


async def test_rejects_are_paged_in_the_order_of_the_file(client: Client, outdial: str) -> None:
    body = "phone\n" + "".join("nobody\n" if row % 3 else f"{importing.numbers(row)}\n" for row in range(2_400))
    job = await taken(client, outdial, body)
    assert len(job["rejects"]) == 100
    lines: list[int] = []
    after = None
    while True:
        query = """query ($id: ID!, $after: String) { importJob(id: $id) { rejects(first: 100, after: $after) {
            totalCount pageInfo { hasNextPage hasPreviousPage endCursor } nodes { lineNumber } } } }"""
        page = (await client.run(query, id=job["id"], after=after))["importJob"]["rejects"]
        assert page["totalCount"] == 1_600
        assert page["pageInfo"]["hasPreviousPage"] is (after is not None)
        lines += [node["lineNumber"] for node in page["nodes"]]
        if not page["pageInfo"]["hasNextPage"]:
            break
        after = page["pageInfo"]["endCursor"]
    assert lines == [row + 2 for row in range(2_400) if row % 3]


# ---------------------------------------------------------------- stopped


@pytest.mark.slow
@pytest.mark.parametrize("how", ["cancel", "pause", "delete"])
async def test_an_import_stops_at_its_next_chunk(client: Client, outdial: str, how: str) -> None:
    file = SlowFile(2 * CHUNK + 10, after=3 * CHUNK)
    sending = asyncio.create_task(send(client, outdial, file.pieces(), key=how))
    job = await when_created(client, outdial, 2 * CHUNK)
    if how == "cancel":
        answer = (await client.run(CANCEL, id=job["id"]))["cancelImport"]
        assert answer["userErrors"] == []
        assert (answer["importJob"]["state"], answer["importJob"]["stopReason"]) == ("CANCELED", "CANCELED")
    elif how == "pause":
        await client.good("updateOutdial", id=outdial, state="PAUSED")
    else:
        await client.good("deleteOutdial", outdial)
    file.go_on.set()
    response = await sending
    assert rest_reason(response) == (409, "IMPORT_STOPPED")
    stopped = response.json()["error"]["import"]
    reasons = {"cancel": "canceled", "pause": "paused", "delete": "deleted"}
    assert (stopped["state"], stopped["stop_reason"]) == ("canceled", reasons[how])
    assert counts(stopped) == (2 * CHUNK, 2 * CHUNK, 0, 0, 0)
    again = await send(client, outdial, importing.table(5 * CHUNK + 10), key=how)
    if how == "pause":
        assert again.status_code == 200
        assert counts(again.json()) == (5 * CHUNK + 10, 5 * CHUNK + 10, 0, 0, 0)
        assert len(await importing.targets(client, outdial)) == 5 * CHUNK + 10
    elif how == "cancel":
        assert rest_reason(again) == (409, "IMPORT_STOPPED")
        assert len(await importing.targets(client, outdial)) == 2 * CHUNK
    else:
        assert rest_reason(again) == (404, "OUTDIAL_NOT_FOUND")


def rest_reason(response: Any) -> tuple[int, str]:
    status, _, reason = rest_envelope(response)
    return status, reason


def rest_envelope(response: Any) -> tuple[int, str, str]:
    error = response.json()["error"]
    assert error["request_id"] == response.headers["x-request-id"]
    return response.status_code, error["status"], error["reason"]


async def test_a_list_may_be_filled_while_it_is_paused(client: Client, outdial: str) -> None:
    await client.good("updateOutdial", id=outdial, state="PAUSED")
    assert counts(await taken(client, outdial, importing.table(10))) == (10, 10, 0, 0, 0)


async def test_an_import_that_has_ended_is_not_cancelled(client: Client, outdial: str) -> None:
    job = await taken(client, outdial, importing.table(1))
    answer = (await client.run(CANCEL, id=job["id"]))["cancelImport"]
    assert (answer["importJob"]["state"], answer["userErrors"]) == ("COMPLETED", [])
    nobodys = (await client.run(CANCEL, id=str(uuid4())))["cancelImport"]
    assert (nobodys["importJob"], user_errors(nobodys)) == (None, [("NOT_FOUND", ["id"])])


async def test_too_many_bad_rows_stop_an_import_and_the_mended_file_goes_on(client: Client, outdial: str) -> None:
    good = list(importing.rows(3 * CHUNK))
    bad = ["x,y,nobody\n"] * (2 * CHUNK)
    header = "key,name,phone\n"
    response = await send(client, outdial, header + "".join(good[:CHUNK] + bad), key="k", max_rejects="1500")
    assert rest_reason(response) == (400, "TOO_MANY_REJECTS")
    job = response.json()["error"]["import"]
    assert counts(job) == (3 * CHUNK, CHUNK, 0, 0, 2 * CHUNK)


# ---------------------------------------------------------------- sent again


async def test_a_file_that_was_sent_twice_is_in_once(client: Client, outdial: str) -> None:
    first = await taken(client, outdial, importing.table(1_500), key="once", file_name="a.csv")
    again = await taken(client, outdial, importing.table(1_500), key="once", file_name="b.csv")
    assert again == first
    assert len(await importing.targets(client, outdial)) == 1_500
    assert [job["id"] for job in await imports(client, outdial)] == [first["id"]]


async def test_a_key_stands_for_one_import(client: Client, outdial: str) -> None:
    await taken(client, outdial, importing.table(1), key="taken")
    other = (await client.outdial())["id"]
    for target, parameters in ((other, {}), (outdial, {"dedupe": "outdial"}), (outdial, {"dry_run": "true"})):
        response = await send(client, target, importing.table(1), key="taken", **parameters)
        assert rest_reason(response) == (409, "CONFLICT")
    assert counts(await taken(client, other, importing.table(1), key="another")) == (1, 1, 0, 0, 0)


async def test_a_mended_file_goes_on_after_the_last_row_that_is_in(client: Client, outdial: str) -> None:
    lines = list(importing.rows(2 * CHUNK + 500))
    lines[2 * CHUNK + 100] = "kaputt,M\udcfcller,+4915100\n"
    header = "key,name,phone\n"
    broken = (header + "".join(lines)).encode("utf-8", "surrogateescape")
    response = await send(client, outdial, broken, key="mended")
    assert rest_reason(response) == (400, "INVALID_FILE")
    assert f"Line {2 * CHUNK + 102} is not valid UTF-8" in response.json()["error"]["message"]
    assert counts(response.json()["error"]["import"]) == (2 * CHUNK + 100, 2 * CHUNK + 100, 0, 0, 0)
    lines[2 * CHUNK + 100] = f"mended,Müller,{importing.numbers(999_999)}\n"
    job = await taken(client, outdial, header + "".join(lines), key="mended")
    assert counts(job) == (2 * CHUNK + 500, 2 * CHUNK + 500, 0, 0, 0)
    found = await importing.targets(client, outdial)
    assert [target["key"] for target in found] == [line.partition(",")[0] for line in lines]


async def test_another_file_does_not_go_on_where_the_first_one_stopped(client: Client, outdial: str) -> None:
    body = importing.table(CHUNK + 1).encode() + b"\xff"
    assert (await send(client, outdial, body, key="k")).status_code == 400
    for other in (
        importing.table(CHUNK + 1).replace("Person 7,", "Person seven,"),
        importing.table(10),
        "phone\n",
    ):
        response = await send(client, outdial, other, key="k")
        assert rest_reason(response) == (409, "CONFLICT"), other[:60]
        assert "different file" in response.json()["error"]["message"]
    assert len(await importing.targets(client, outdial)) == CHUNK + 1
    assert counts(await taken(client, outdial, importing.table(CHUNK + 5), key="k")) == (1_005, 1_005, 0, 0, 0)


async def test_the_same_key_sent_at_once_has_one_upload_take_the_other_over(client: Client, outdial: str) -> None:
    slow = SlowFile(2 * CHUNK, after=CHUNK)
    first = asyncio.create_task(send(client, outdial, slow.pieces(), key="k"))
    await when_created(client, outdial, CHUNK)
    job = await taken(client, outdial, importing.table(3 * CHUNK), key="k")
    assert counts(job) == (3 * CHUNK, 3 * CHUNK, 0, 0, 0)
    slow.go_on.set()
    overtaken = await first
    # whether it heard of the other while that went on or after it had ended
    assert overtaken.status_code == 200 or rest_reason(overtaken) == (409, "CONFLICT")
    assert len(await importing.targets(client, outdial)) == 3 * CHUNK
    assert len(await imports(client, outdial)) == 1


async def test_a_sender_that_goes_away_leaves_a_job_that_can_go_on(client: Client, outdial: str) -> None:
    file = SlowFile(2 * CHUNK + 10)
    sending = asyncio.create_task(send(client, outdial, file.pieces(), key="gone"))
    job = await when_created(client, outdial, 2 * CHUNK)
    sending.cancel()
    async with client.subscribe(WATCH, id=job["id"]) as progress:
        seen = await progress.next()
        while seen["state"] == "RUNNING":
            seen = await progress.next()
    assert (seen["state"], seen["stopReason"]) == ("FAILED", "INTERRUPTED")
    job = await taken(client, outdial, importing.table(2 * CHUNK + 10), key="gone")
    assert counts(job) == (2 * CHUNK + 10, 2 * CHUNK + 10, 0, 0, 0)
    assert len(await importing.targets(client, outdial)) == 2 * CHUNK + 10


# ---------------------------------------------------------------- who may


async def test_importing_needs_a_token_with_the_scope_and_the_outdial(
    client: Client, other: Client, outdial: str, service: ServerProcess
) -> None:
    async def answer(bearer: str | None, target: str) -> tuple[int, str]:
        headers = {} if bearer is None else {"Authorization": f"Bearer {bearer}"}
        response = await client.http.post(
            f"/v1.0/outdials/{target}/targets/import",
            content=importing.table(1),
            headers={"Content-Type": CSV, "Authorization": "", **headers},
        )
        return rest_reason(response)

    assert await answer(None, outdial) == (401, "AUTHENTICATION_REQUIRED")
    assert await answer("nonsense", outdial) == (401, "INVALID_CREDENTIALS")
    assert await answer(token(client.customer_id, ["read", "dial"]), outdial) == (403, "PERMISSION_DENIED")
    assert await answer(other.token, outdial) == (404, "OUTDIAL_NOT_FOUND")
    assert await answer(client.token, str(uuid4())) == (404, "OUTDIAL_NOT_FOUND")
    assert await answer(client.token, "nothing") == (400, "INVALID_ID")
    assert await importing.targets(client, outdial) == []


@pytest.mark.parametrize("media_type", [None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
async def test_no_page_of_another_origin_can_import_with_somebodys_cookie(
    client: Client, outdial: str, media_type: str | None
) -> None:
    headers = {
        "Cookie": f"token={client.token}",
        "Authorization": "",
        **({"Content-Type": media_type} if media_type else {}),
    }
    response = await client.http.post(
        f"/v1.0/outdials/{outdial}/targets/import?format=csv", content=b"phone\n+14155550100\n", headers=headers
    )
    assert rest_reason(response) == (415, "UNSUPPORTED_MEDIA_TYPE")
    assert await importing.targets(client, outdial) == []


async def test_other_methods_and_codings_are_refused(client: Client, outdial: str) -> None:
    response = await client.http.get(f"/v1.0/outdials/{outdial}/targets/import")
    assert rest.reason(response) == (405, "METHOD_NOT_ALLOWED", "METHOD_NOT_ALLOWED")
    assert response.headers["allow"] == "POST"
    response = await send(client, outdial, b"phone\n", headers={"Content-Encoding": "br"})
    assert rest_reason(response) == (415, "UNSUPPORTED_MEDIA_TYPE")
    response = await send(client, outdial, b"phone\n", key="k" * 256)
    assert rest_reason(response) == (400, "INVALID_ARGUMENT")
