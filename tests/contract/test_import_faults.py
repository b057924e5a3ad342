"""Files that are broken, too long or malicious, sent to a real server."""

import asyncio
import gzip
import json
import time
from collections.abc import AsyncIterator
from typing import Any, Self

import psutil
import pytest

from tests.support import importing
from tests.support.graphql_client import Client
from tests.support.importing import NDJSON, counts, keys, refused, rejects, send, stored, taken
from tests.support.server import ServerProcess

MEBIBYTE = 1024 * 1024
ANSWER_SECONDS_MAX = 30
"""To a body that was made to keep the server busy; one that is not takes a second."""
MEMORY_MEBIBYTES_MAX = 250
"""What the server and its processes may grow by, whatever is sent: a process with nothing to do has 50."""


@pytest.fixture
async def outdial(client: Client) -> str:
    made: str = (await client.outdial(name="To fill"))["id"]
    return made


# ---------------------------------------------------------------- broken rows


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
async def test_a_cell_of_ten_megabytes_spoils_its_row_alone(client: Client, outdial: str) -> None:
    cells = "x" * 10_000_000, f'"{"xyz" * 3_000_000}\n{"x" * 1_000_000}"'
    body = (
        "key,name,phone,note\n"
        "a,Ann,+44 7700 900123,\n"
        f"b,{cells[0]},+44 7700 900124,\n"
        f"c,{cells[1]},+44 7700 900125,\n"
        f"d,Di,{cells[0]},\n"
        f"e,Ed,+44 7700 900126,{cells[0]}\n"
        "f,Fay,nobody,\n"
        "g,Gus,+44 7700 900127,\n"
    )
    job = await taken(client, outdial, body)
    assert counts(job) == (7, 3, 0, 0, 4)
    assert rejects(job) == [
        (3, "name", "invalid"),
        (4, "name", "invalid"),
        (6, "phone", "invalid"),
        (8, "phone", "invalid"),
    ]
    assert max(len(reject["row"]) for reject in job["rejects"]) <= 10_000
    # a column that is left out may be as long as it likes
    assert await keys(client, outdial) == ["a", "e", "g"]

    kept = (await client.outdial())["id"]
    assert rejects(await taken(client, kept, body, extra="data")) == [
        (3, "name", "invalid"),
        (4, "name", "invalid"),
        (6, "phone", "invalid"),
        (7, "data", "invalid"),
        (8, "phone", "invalid"),
    ]
    assert await keys(client, kept) == ["a", "g"]


async def test_a_first_line_with_a_long_cell_is_read_or_refused_like_any_other(client: Client, outdial: str) -> None:
    long = "x" * 131_073
    message, _ = await refused(client, outdial, f"{long}\na\n")
    assert message.startswith("Line 1, the header, has no column with an address")
    job = await taken(client, outdial, f"key,phone,{long}\na,+44 7700 900123,\n")
    assert (counts(job), await keys(client, outdial)) == ((1, 1, 0, 0, 0), ["a"])


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
async def test_a_member_of_ten_megabytes_spoils_its_object_alone(client: Client, outdial: str) -> None:
    rows = [{"key": "a"}, {"key": "b", "name": "x" * 10_000_000}, {"key": "c"}, {"key": "x" * 10_000_000}]
    body = "".join(json.dumps({**row, "phone": f"+44 7700 90012{n}"}) + "\n" for n, row in enumerate(rows))
    job = await taken(client, outdial, body, kind=NDJSON)
    assert counts(job) == (4, 2, 0, 0, 2)
    assert rejects(job) == [(2, "name", "invalid"), (4, "key", "invalid")]
    assert await keys(client, outdial) == ["a", "c"]


@pytest.mark.alternate
@pytest.mark.parametrize(
    ("body", "media_type", "found"),
    [
        (
            (
                "key,name,phone\na,Ann,+44 7700 900123\nb,B\0o,+44 7700 900124\nc,Cy,+44 7700\0 900125\n"
                "\0d,Di,+44 7700 900126\ne,Ed,+44 7700 900127\n"
            ),
            importing.CSV,
            [(3, "name", "invalid"), (4, "phone", "invalid"), (5, "key", "invalid")],
        ),
        (
            (
                '{"key": "a", "phone": "+44 7700 900123"}\n'
                '{"key": "b", "name": "B\\u0000o", "phone": "+44 7700 900124"}\n'
                '{"key": "c", "phone": "+44 7700\\u0000 900125"}\n{"key": "\\u0000d", "phone": "+44 7700 900126"}\n'
                '{"key": "e", "phone": "+44 7700 900127"}\n'
            ),
            NDJSON,
            [(2, "name", "invalid"), (3, "phone", "invalid"), (4, "key", "invalid")],
        ),
    ],
    ids=["csv", "ndjson"],
)
async def test_a_nul_spoils_its_row_alone(
    client: Client, outdial: str, body: str, media_type: str, found: list[Any]
) -> None:
    job = await taken(client, outdial, body, kind=media_type)
    assert counts(job) == (5, 2, 0, 0, 3)
    assert rejects(job) == found
    assert not any("\0" in reject["row"] for reject in job["rejects"])  # PostgreSQL could not hold it
    assert await keys(client, outdial) == ["a", "e"]


@pytest.mark.alternate
@pytest.mark.parametrize(
    ("bad", "more"),
    [
        pytest.param('b,"Bo,+44 7700 900124\n', [], id="opened and never closed"),
        pytest.param('b,"Bo" Diddley,+44 7700 900124\n', [], id="closed too early"),
        # what stands on its second line is read as a row, and has no phone
        pytest.param('b,"Bo\nDi"ddley,+44 7700 900124\n', [(4, None, "invalid")], id="closed too early, a line later"),
        pytest.param("b,Bo,+44 7700 900124,and more\n", [], id="a cell too many"),
    ],
)
async def test_a_row_that_cannot_be_read_is_malformed_and_costs_no_other(
    client: Client, outdial: str, bad: str, more: list[Any]
) -> None:
    good = "".join(f"k-{n},Person {n},+49 30 23125 {n:03d}\n" for n in range(900))
    job = await taken(client, outdial, f"key,name,phone\na,Ann,+44 7700 900123\n{bad}{good}")
    assert rejects(job) == [(3, None, "malformed"), *more]
    assert job["counts"]["created"] == 901
    assert await keys(client, outdial) == ["a", *(f"k-{n}" for n in range(900))]


async def test_a_quote_that_opens_in_the_last_row_is_no_reason_to_wait(client: Client, outdial: str) -> None:
    job = await taken(client, outdial, 'key,name,phone\na,Ann,+44 7700 900123\nb,"Bo')
    assert (counts(job), rejects(job)) == ((2, 1, 0, 0, 1), [(3, None, "malformed")])
    assert job["rejects"][0]["row"] == 'b,"Bo'


# ---------------------------------------------------------------- gzip

SMALL_CSV = b"key,phone\na,+44 7700 900123\nb,nobody\nc,+44 7700 900124\n"
SMALL_NDJSON = (
    b'{"key": "a", "phone": "+44 7700 900123"}\n\n{"key": "b", "phone": "x"}\n{"key": "c", "phone": "+447700900124"}\n'
)


@pytest.mark.alternate
@pytest.mark.parametrize("headers", [{}, {"Content-Encoding": "gzip"}], ids=["untold", "told"])
@pytest.mark.parametrize(
    ("body", "media_type"),
    [
        pytest.param(gzip.compress(SMALL_CSV), importing.CSV, id="csv"),
        pytest.param(gzip.compress(SMALL_CSV[:20]) + gzip.compress(SMALL_CSV[20:]), importing.CSV, id="two in one"),
        pytest.param(gzip.compress(SMALL_CSV.decode().encode("utf-16")), importing.CSV, id="UTF-16"),
        pytest.param(gzip.compress(SMALL_NDJSON), NDJSON, id="ndjson"),
    ],
)
async def test_a_gzipped_file_is_the_file_in_it(
    client: Client, outdial: str, body: bytes, media_type: str, headers: dict[str, str]
) -> None:
    job = await taken(client, outdial, body, kind=media_type, headers=headers)
    assert (counts(job), rejects(job)) == ((3, 2, 0, 0, 1), [(3, "phone", "invalid")])
    assert await stored(client, outdial) == [
        ("a", "", "", "", [("TEL", "+447700900123")]),
        ("c", "", "", "", [("TEL", "+447700900124")]),
    ]


@pytest.mark.alternate
@pytest.mark.parametrize(
    ("body", "headers"),
    [
        pytest.param(gzip.compress(importing.table(9).encode())[:-9], {}, id="cut off"),
        pytest.param(gzip.compress(importing.table(9).encode())[:-8] + b"\0" * 8, {}, id="wrong checksum"),
        pytest.param(SMALL_CSV, {"Content-Encoding": "gzip"}, id="said to be gzip"),
    ],
)
async def test_gzip_that_is_broken_is_refused(
    client: Client, outdial: str, body: bytes, headers: dict[str, str]
) -> None:
    await refused(client, outdial, body, headers=headers)


class Memory:
    """The most that the server and its processes have taken since `async with`, beyond what the server had then."""

    def __init__(self, service: ServerProcess) -> None:
        self._server = psutil.Process(service.pid)
        self.mebibytes = 0.0

    async def __aenter__(self) -> Self:
        self._before = self._server.memory_info().rss
        self._watch = asyncio.create_task(self._look())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._watch.cancel()

    async def _look(self) -> None:
        while True:
            total = 0
            for process in [self._server, *self._server.children(recursive=True)]:
                try:
                    total += process.memory_info().rss
                except psutil.NoSuchProcess:
                    continue
            self.mebibytes = max(self.mebibytes, (total - self._before) / MEBIBYTE)
            await asyncio.sleep(0.02)


def bomb(beginning: bytes, unit: bytes) -> bytes:
    """About 8 MB that inflate to 8 GiB."""
    member = gzip.compress(unit * (16 * MEBIBYTE // len(unit)))
    return gzip.compress(beginning) + member * 512


@pytest.mark.slow
@pytest.mark.alternate
@pytest.mark.parametrize(
    ("beginning", "unit", "media_type", "headers"),
    [
        pytest.param(SMALL_CSV, b"\0", importing.CSV, {}, id="one endless line"),
        pytest.param(SMALL_CSV, b"\n", importing.CSV, {}, id="blank lines"),
        pytest.param(SMALL_CSV, b",\r\n", importing.CSV, {}, id="rows of nothing"),
        pytest.param(b"", b"\0", importing.CSV, {"Content-Encoding": "gzip"}, id="no header"),
        pytest.param(SMALL_NDJSON, b"\n", NDJSON, {}, id="blank lines of ndjson"),
        pytest.param(SMALL_NDJSON, b" ", NDJSON, {"Content-Encoding": "gzip"}, id="one endless line of ndjson"),
    ],
)
async def test_a_gzip_bomb_is_refused_soon_and_without_its_weight(
    client: Client,
    outdial: str,
    service: ServerProcess,
    beginning: bytes,
    unit: bytes,
    media_type: str,
    headers: dict[str, str],
) -> None:
    body = bomb(beginning, unit)
    started = time.monotonic()
    async with Memory(service) as memory:
        response = await send(client, outdial, body, kind=media_type, headers=headers)
    seconds = time.monotonic() - started
    assert (response.status_code, response.json()["error"]["reason"]) == (413, "PAYLOAD_TOO_LARGE"), response.text[:999]
    job = response.json()["error"]["import"]
    assert (job["state"], job["stop_reason"]) == ("failed", "too_large")
    assert memory.mebibytes < MEMORY_MEBIBYTES_MAX
    assert seconds < ANSWER_SECONDS_MAX


@pytest.mark.alternate
@pytest.mark.parametrize("line", ["", "x" * (MEBIBYTE - 4)], ids=["short lines", "long lines"])
async def test_a_row_without_end_is_not_held_in_memory(
    client: Client, outdial: str, service: ServerProcess, line: str
) -> None:
    """Each of its lines and cells is short enough, and no gzip gives it away."""
    text = f'{line}\n","'.encode()

    async def pieces() -> AsyncIterator[bytes]:
        yield SMALL_CSV + b'"'
        for _ in range(300):
            yield text * (MEBIBYTE // len(text))

    async with Memory(service) as memory:
        response = await send(client, outdial, pieces(), max_rejects=10)
    assert response.status_code in {400, 413}
    assert memory.mebibytes < MEMORY_MEBIBYTES_MAX


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
async def test_a_file_whose_every_row_leaves_a_quote_open_is_refused_soon(client: Client, outdial: str) -> None:
    """As where a quote is forgotten after inches: to read each row to where its quote closes would take hours."""
    started = time.monotonic()
    message, job = await refused(client, outdial, "name,phone\n" + '19","\n' * 50_000)
    seconds = time.monotonic() - started
    assert "have a quote that is never closed" in message
    assert job["counts"]["created"] == 0
    assert job["counts"]["rejected"] == job["counts"]["read"] > 100
    assert seconds < ANSWER_SECONDS_MAX
