"""The file of an import's rejected rows, fetched, mended and imported as it is."""

import asyncio
import csv
import gzip
import io
import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
import psutil
import pytest

from tests.support import importing, rest
from tests.support.graphql_client import Client
from tests.support.importing import NDJSON, counts, rejects, send, stored, taken
from tests.support.server import ServerProcess, token

ADDED = ["import_line", "import_reason"]
MANY = 10_000
GROWTH_BYTES_MAX = 30 * 1024 * 1024


@pytest.fixture
async def outdial(client: Client) -> str:
    made: str = (await client.outdial(name="To fill"))["id"]
    return made


async def fetch(client: Client, job: Any, **more: Any) -> httpx.Response:
    return await client.http.get(f"/v1.0/outdials/{job['outdial_id']}/imports/{job['id']}/rejects", **more)


async def fetched(client: Client, job: Any) -> bytes:
    response = await fetch(client, job)
    assert response.status_code == 200, response.text
    return response.content


def cells(content: bytes, delimiter: str = ",") -> list[list[str]]:
    text = content.decode("utf-8-sig")
    return list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))


def saved(rows: list[list[str]], delimiter: str = ",", encoding: str = "utf-8-sig") -> bytes:
    """As a spreadsheet saves them."""
    made = io.StringIO(newline="")
    csv.writer(made, delimiter=delimiter).writerows(rows)
    return made.getvalue().encode(encoding)


# ---------------------------------------------------------------- there and back

LIST = [
    ["Kunde", "key", "phone", "name", "Ort"],
    ["1", "a", "+49 30 23125001", "Jörg Müller", "Köln"],
    ["2", "b", "nobody", "=cmd|' /C calc'!A0", "Bath"],
    ["3", "c", "+44 7700 900123", "Ann\nO'Hara", 'Maß 5"'],
    ["4", "d", "4.91512E+11", "Zoë; Groß", "Zürich"],
    ["5", "a", "+44 7700 900124", "A key twice", "'=Liège"],
]
ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "windows-1252"]


@pytest.mark.slow
@pytest.mark.alternate
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ENCODINGS)
async def test_a_file_of_rejected_rows_is_mended_and_imported_as_it_is(
    client: Client, outdial: str, delimiter: str, encoding: str
) -> None:
    parameters = {"encoding": encoding} if encoding == "windows-1252" else {}
    job = await taken(client, outdial, saved(LIST, delimiter, encoding), extra="data", **parameters)
    assert counts(job) == (5, 2, 0, 0, 3)
    file = await fetched(client, job)
    assert file.startswith(b"\xef\xbb\xbfKunde")
    header, *rows = cells(file, delimiter)
    assert header == [*LIST[0], *ADDED]
    assert [row[:5] for row in rows] == [
        ["2", "b", "nobody", "'=cmd|' /C calc'!A0", "Bath"],
        ["4", "d", "4.91512E+11", "Zoë; Groß", "Zürich"],
        ["5", "a", "+44 7700 900124", "A key twice", "'=Liège"],
    ]
    assert [(int(row[5]), row[6]) for row in rows] == [
        (reject["line_number"], reject["message"]) for reject in job["rejects"]
    ]

    again = await taken(client, outdial, file, extra="data")
    assert (counts(again), again["warnings"]) == ((3, 0, 0, 0, 3), [])
    assert [one[1:] for one in rejects(again)] == [one[1:] for one in rejects(job)]
    assert [row[:5] for row in cells(await fetched(client, again), delimiter)[1:]] == [row[:5] for row in rows]

    rows[0][2], rows[1][2], rows[2][1] = "+49 30 23125002", "030 23125003", "e"
    mended = await taken(client, outdial, saved([header, *rows], delimiter), extra="data", region="DE")
    assert (counts(mended), mended["warnings"]) == ((3, 3, 0, 0, 0), [])
    found = await stored(client, outdial)
    assert [(key, name, json.loads(data)) for key, name, _, data, _ in found[2:]] == [
        ("b", "=cmd|' /C calc'!A0", {"Kunde": "2", "Ort": "Bath"}),
        ("d", "Zoë; Groß", {"Kunde": "4", "Ort": "Zürich"}),
        ("e", "A key twice", {"Kunde": "5", "Ort": "=Liège"}),
    ]
    assert [phones for *_, phones in found[2:]] == [
        [("TEL", "+493023125002")],
        [("TEL", "+493023125003")],
        [("TEL", "+447700900124")],
    ]


async def test_a_mapped_file_is_mended_under_the_same_mapping(client: Client, outdial: str) -> None:
    body = "=Tel;Vorname\r\n12;Jörg\r\n"
    job = await taken(client, outdial, body, map=["=Tel:phone", "Vorname:name"])
    file = await fetched(client, job)
    assert cells(file, ";")[0] == ["'=Tel", "Vorname", *ADDED]
    mended = file.replace(b"\n12;", b"\n+49 30 23125 001;")
    assert counts(await taken(client, outdial, mended, map=["=Tel:phone", "Vorname:name"])) == (1, 1, 0, 0, 0)
    assert await stored(client, outdial) == [(None, "Jörg", "", "", [("TEL", "+493023125001")])]


async def test_rows_that_cannot_be_read_as_the_header_says_are_there_to_be_mended(client: Client, outdial: str) -> None:
    body = 'phone,name\n+4915112300001,Ann,x\n+4915112300002,"Bob "B" Smith"\n+4915112300003,"Cy\n+4915112300004,Di\n'
    job = await taken(client, outdial, body)
    assert [code for _, _, code in rejects(job)] == ["malformed"] * 3
    file = await fetched(client, job)
    header, more, quoted, still_open = cells(file)
    assert (more[:3], more[4:]) == (["+4915112300001", "Ann", "2"], ["x"])
    assert quoted[:3] == ["", "", "3"]
    assert quoted[3].endswith('\n+4915112300002,"Bob "B" Smith"')
    assert still_open[3].endswith('\n+4915112300003,"Cy')
    again = await taken(client, outdial, file)
    assert [reject["message"] for reject in again["rejects"]] == [reject["message"] for reject in job["rejects"]]
    assert await fetched(client, again) != b""
    rows = [
        header,
        more[:4],
        ["+4915112300002", 'Bob "B" Smith', *quoted[2:]],
        ["+4915112300003", "Cy", *still_open[2:]],
    ]
    assert counts(await taken(client, outdial, saved(rows))) == (3, 3, 0, 0, 0)
    assert [name for _, name, *_ in await stored(client, outdial)] == ["Di", "Ann", 'Bob "B" Smith', "Cy"]


async def test_ndjson_is_given_back_as_ndjson(client: Client, outdial: str) -> None:
    lines = [
        {"key": "a", "destination_0": {"type": "TEL", "target": "12"}, "score": 1.0},
        {"key": "b", "phone": "+4915112300001"},
    ]
    body = "\n".join(map(json.dumps, lines)) + '\n{"key": "c", "phone"\n'
    job = await taken(client, outdial, body, kind=NDJSON, file_name="people.jsonl.gz", extra="data")
    response = await fetch(client, job)
    assert response.headers["content-type"] == "application/x-ndjson"
    assert response.headers["content-disposition"] == 'attachment; filename="people-rejects.ndjson"'
    first, second = map(json.loads, response.text.splitlines())
    assert first == {**lines[0], "import_line": 1, "import_reason": job["rejects"][0]["message"]}
    assert second == {"import_line": 3, "import_reason": f'{job["rejects"][1]["message"]}\n{{"key": "c", "phone"'}
    again = await taken(client, outdial, response.content, kind=NDJSON, extra="data")
    assert [one[1:] for one in rejects(again)] == [one[1:] for one in rejects(job)]
    first["destination_0"]["target"] = "+4915112300002"
    second |= {"key": "c", "phone": "+4915112300003"}
    mended = "\n".join(map(json.dumps, (first, second)))
    done = await taken(client, outdial, mended, kind=NDJSON, extra="data")
    assert (counts(done), done["warnings"]) == ((2, 2, 0, 0, 0), [])
    assert [(key, data) for key, _, _, data, _ in await stored(client, outdial)] == [
        ("b", ""),
        ("a", '{"score":1.0}'),
        ("c", ""),
    ]


# ---------------------------------------------------------------- long rows


async def test_a_long_row_is_kept_whole_and_one_beyond_the_bound_says_so(client: Client, outdial: str) -> None:
    data = '"ü' * 30_000
    rows = [["phone", "data"], ["12", data], ["12", "x" * 200_000], ["12", "a\0b"], ["12", "y" * 1_990]]
    job = await taken(client, outdial, saved(rows))
    assert counts(job) == (4, 0, 0, 0, 4)
    assert all(len(reject["row"]) <= 2_000 for reject in job["rejects"])
    file = await fetched(client, job)
    header, whole, long, nul, short = cells(file)
    assert (whole[:2], short[:2]) == (["12", data], ["12", "y" * 1_990])
    for row, line in ((long, 3), (nul, 4)):
        assert row[:3] == ["", "", f"{line}"]
        assert f"\nTake it from line {line} of the file. It begins: 12," in row[3]
    again = await taken(client, outdial, file)
    assert [reject["message"] for reject in again["rejects"]] == [reject["message"] for reject in job["rejects"]]
    whole[0] = "+4915112300001"
    assert counts(await taken(client, outdial, saved([header, whole]))) == (1, 1, 0, 0, 0)
    assert [found[3] for found in await stored(client, outdial)] == [data]


@pytest.mark.slow
@pytest.mark.parametrize(("count", "length"), [(MANY, 4_000), (300, 150_000)])
async def test_any_number_of_rows_is_sent_in_the_order_of_the_file_and_in_constant_memory(
    client: Client, outdial: str, service: ServerProcess, count: int, length: int
) -> None:
    lines_sent = (f"nobody,Person {row} {'x' * length}\n".encode() for row in range(count))

    async def pieces() -> AsyncIterator[bytes]:
        yield b"phone,name\n"
        for line in lines_sent:
            yield line

    job = await taken(client, outdial, pieces())
    assert counts(job)[4] == count
    process = psutil.Process(service.pid)
    before = highest = process.memory_info().rss
    path = f"/v1.0/outdials/{outdial}/imports/{job['id']}/rejects"
    lines = bytearray()
    async with client.http.stream("GET", path) as response:
        async for piece in response.aiter_bytes():
            lines += piece
            highest = max(highest, process.memory_info().rss)
    csv.field_size_limit(2 * length + 131_072)
    found = cells(bytes(lines))[1:]
    assert [(int(row[2]), len(row[1])) for row in found] == [
        (row + 2, length + len(f"Person {row} ")) for row in range(count)
    ]
    assert highest - before < GROWTH_BYTES_MAX


# ---------------------------------------------------------------- which, when, whose


@pytest.mark.slow
@pytest.mark.alternate
@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("people.csv", "people-rejects.csv"),
        ("people.CSV", "people-rejects.csv"),
        ("people.csv.gz", "people-rejects.csv"),
        ("people.txt", "people-rejects.csv"),
        ("people", "people-rejects.csv"),
        ("people.2026.v1", "people.2026.v1-rejects.csv"),
        ("people-rejects.csv", "people-rejects.csv"),
        ("", "import-rejects.csv"),
        (".csv", "import-rejects.csv"),
        ("..", "import-rejects.csv"),
        ("C:\\lists\\..\\people.csv", "people-rejects.csv"),
        ("/etc/../people.csv", "people-rejects.csv"),
        ('a"b;c%20.csv', "a_b;c%20-rejects.csv"),
        ("Jörg 山田.csv", "Jörg 山田-rejects.csv"),
        ("a\u202egnp.csv", "agnp-rejects.csv"),
        ("x" * 250 + ".csv", "x" * 60 + "-rejects.csv"),
    ],
)
async def test_the_file_is_named_after_the_imported_one(client: Client, outdial: str, given: str, name: str) -> None:
    job = await taken(client, outdial, "phone\n12\n", file_name=given)
    response = await fetch(client, job)
    shown = response.headers["content-disposition"]
    plain = "".join(sign if sign.isascii() and sign != "%" else "_" for sign in name)
    assert shown.startswith(f'attachment; filename="{plain}"')
    if plain != name:
        assert (
            shown
            == f"attachment; filename=\"{plain}\"; filename*=UTF-8''{httpx.QueryParams({'n': name})!s}".replace(
                "''n=", "''"
            ).replace("+", "%20")
        )
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    assert response.headers["cache-control"] == "no-store"


async def test_an_import_without_rejected_rows_gives_a_header(client: Client, outdial: str) -> None:
    job = await taken(client, outdial, importing.table(3))
    assert cells(await fetched(client, job)) == [["key", "name", "phone", *ADDED]]
    assert (await fetch(client, job)).headers["content-disposition"] == 'attachment; filename="import-rejects.csv"'
    path = f"/v1.0/outdials/{outdial}/imports/{job['id']}/rejects"
    head = await client.http.head(path)
    assert (head.status_code, head.content) == (200, b"")
    refused = await client.http.post(path)
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD")
    assert rest.paths(await client.http.get(path, params={"format": "csv"})) == [["format"]]


@pytest.mark.slow
@pytest.mark.parametrize("dry_run", ["true", "false"])
async def test_rows_of_every_kind_of_end_are_given(client: Client, outdial: str, dry_run: str) -> None:
    good = importing.table(1_000)
    body = good + "a,b,nobody\n" * 3 + "c,d,1\n" * 9_000
    response = await send(client, outdial, body, max_rejects=1_000, dry_run=dry_run, key="k")
    assert response.json()["error"]["reason"] == "TOO_MANY_REJECTS"
    stopped = response.json()["error"]["import"]
    rows = cells(await fetched(client, stopped))
    assert rows[0] == ["key", "name", "phone", *ADDED]
    assert len(rows) - 1 == counts(stopped)[4] > 1_000
    response = await send(client, outdial, gzip.compress(b"phone\n12\n") + b"\x1f\x8b broken", key="cut")
    cut = response.json()["error"]["import"]
    assert [row[:2] for row in cells(await fetched(client, cut))[1:]] == [["12", "2"]]


async def test_rows_of_an_import_that_goes_on_are_given_so_far(client: Client, outdial: str) -> None:
    go_on = asyncio.Event()

    async def pieces() -> AsyncIterator[bytes]:
        yield b"phone\n" + b"nobody\n" * 1_000
        await go_on.wait()
        yield b"nobody\n" * 5

    sending = asyncio.create_task(taken(client, outdial, pieces(), key="slow"))
    query = "query ($id: ID!) { outdial(id: $id) { imports { nodes { id counts { rejected } } } } }"
    async with asyncio.timeout(30):
        while True:
            jobs = (await client.run(query, id=outdial))["outdial"]["imports"]["nodes"]
            if jobs and jobs[0]["counts"]["rejected"]:
                break
            await asyncio.sleep(0.02)
    assert len(cells(await fetched(client, {"outdial_id": outdial, "id": jobs[0]["id"]}))) == 1_001
    go_on.set()
    assert len(cells(await fetched(client, await sending))) == 1_006


async def test_rejected_rows_are_their_customers_alone(
    client: Client, other: Client, outdial: str, service: ServerProcess
) -> None:
    job = await taken(client, outdial, "phone\n12\n")
    elsewhere = (await client.outdial())["id"]

    async def answer(bearer: str, outdial_id: str, job_id: str) -> tuple[int, str]:
        path = f"/v1.0/outdials/{outdial_id}/imports/{job_id}/rejects"
        found = await client.http.get(path, headers={"Authorization": bearer})
        return found.status_code, "" if found.status_code == 200 else rest.reason(found)[2]

    reader = token(client.customer_id, ["read"])
    assert await answer(f"Bearer {reader}", outdial, job["id"]) == (200, "")
    assert await answer("", outdial, job["id"]) == (401, "AUTHENTICATION_REQUIRED")
    assert await answer("Bearer x", outdial, job["id"]) == (401, "INVALID_CREDENTIALS")
    for scope in ("write", "dial"):
        bearer = f"Bearer {token(client.customer_id, [scope])}"
        assert await answer(bearer, outdial, job["id"]) == (403, "PERMISSION_DENIED")
    assert await answer(f"Bearer {other.token}", outdial, job["id"]) == (404, "OUTDIAL_NOT_FOUND")
    assert await answer(f"Bearer {client.token}", elsewhere, job["id"]) == (404, "IMPORT_NOT_FOUND")
    assert await answer(f"Bearer {client.token}", outdial, str(uuid4())) == (404, "IMPORT_NOT_FOUND")
    assert await answer(f"Bearer {client.token}", outdial, "x") == (400, "INVALID_ID")
    own = (await other.outdial())["id"]
    assert await answer(f"Bearer {other.token}", own, job["id"]) == (404, "IMPORT_NOT_FOUND")
    await client.good("deleteOutdial", outdial)
    assert await answer(f"Bearer {client.token}", outdial, job["id"]) == (200, "")
