"""Files that are pipes, change, vanish or have odd names, and servers that are none, met by `outdial import`."""

import asyncio
import json
import os
import sys
import threading
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import pytest

from app.transfers import sending, sources
from app.transfers.failures import TransferFailed
from app.transfers.sources import Source
from tests.conftest import Services
from tests.support import importing
from tests.support.cutting import CuttingProxy
from tests.support.graphql_client import Client
from tests.support.server import REPOSITORY, ServerProcess

pytestmark = pytest.mark.slow

SECONDS_MAX = 60
AT_ONCE_SECONDS_MAX = 20
"""On a busy machine; what is tried again takes minutes."""
LEADS = "key,phone\na,+44 7700 900123\nb,+44 7700 900124\n"
OUTDIAL = str(uuid4())


@pytest.fixture
def near(services: Services) -> ServerProcess:
    """A server on SQLite: what the commands do is the same on any."""
    return services.on("sqlite")


@pytest.fixture
async def owner(near: ServerProcess) -> AsyncIterator[Client]:
    async with Client(near.url, str(uuid4())) as client:
        yield client


@pytest.fixture
async def outdial(owner: Client) -> str:
    made: str = (await owner.outdial(name="Spring list"))["id"]
    return made


async def shell(
    line: str, cwd: Path, *, url: str, token: str = "a.b.c", given: bytes = b"", **more: str
) -> tuple[int | None, str, str]:
    """Run a line of bash in which `outdial` is the program."""
    program = f'outdial() {{ "{sys.executable}" -m app.cli "$@"; }}; {line}'
    process = await asyncio.create_subprocess_exec(
        "bash", "-c", program, cwd=cwd, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "OUTDIAL_URL": url, "OUTDIAL_TOKEN": token, **more},
    )  # fmt: skip
    async with asyncio.timeout(SECONDS_MAX):
        out, err = await process.communicate(given)
    return process.returncode, out.decode(), err.decode()


# ---------------------------------------------------------------- pipes


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("outdial import - --format csv", "standard input"),
        ("outdial import /dev/stdin --format csv", "stdin"),
        ("cat leads.csv | outdial import - --format csv", "standard input"),
        ("outdial import <(cat leads.csv) --format csv", "63"),
        ("mkfifo list.csv; (cat leads.csv > list.csv) & outdial import list.csv", "list.csv"),
        ("outdial import - --format csv < leads.csv", "standard input"),
        ("gzip < leads.csv | outdial import - --format csv", "standard input"),
    ],
    ids=["-", "/dev/stdin", "pipe", "<(…)", "named pipe", "redirected", "gzipped"],
)
async def test_a_file_that_comes_through_a_pipe_is_imported_like_any_other(
    owner: Client, outdial: str, tmp_path: Path, line: str, name: str
) -> None:
    (tmp_path / "leads.csv").write_text(LEADS)
    line = f"{line} --outdial {outdial} --json"
    code, out, err = await shell(line, tmp_path, url=owner.url, token=owner.token, given=LEADS.encode())
    assert (code, err) == (0, "")
    job = json.loads(out)
    assert (job["state"], job["fileName"], job["counts"]["created"]) == ("COMPLETED", name, 2)
    assert await importing.keys(owner, outdial) == ["a", "b"]


async def test_a_pipe_that_is_cut_off_on_the_way_is_gone_on_with(
    near: ServerProcess, owner: Client, outdial: str, tmp_path: Path
) -> None:
    """What came through it cannot be had again from there."""
    body = importing.table(8_000)
    async with CuttingProxy(near.port, after=150_000, cuts=1) as proxy:
        line = f"outdial import - --format csv --outdial {outdial}"
        code, out, err = await shell(line, tmp_path, url=proxy.url, token=owner.token, given=body.encode())
    assert code == 0, err
    assert "8,000 created" in out
    assert "Sending the file again" in err


async def test_the_same_rows_are_in_once_whichever_way_they_come(owner: Client, outdial: str, tmp_path: Path) -> None:
    (tmp_path / "standard input.csv").write_text(LEADS)
    for line in ("outdial import 'standard input.csv'", "outdial import 'standard input.csv' --format csv"):
        code, _, _ = await shell(f"{line} --outdial {outdial}", tmp_path, url=owner.url, token=owner.token)
        assert code == 0
    assert await importing.keys(owner, outdial) == ["a", "b"]


async def test_an_export_goes_into_a_pipe_and_through_a_link_and_replaces_neither(
    owner: Client, outdial: str, tmp_path: Path
) -> None:
    await importing.taken(owner, outdial, LEADS)
    (tmp_path / "real.csv").write_text("old")
    (tmp_path / "link.csv").symlink_to("real.csv")
    os.mkfifo(tmp_path / "pipe.csv")
    line = (
        f"outdial export --outdial {outdial} -o link.csv && (cat pipe.csv > copy.csv & "
        f"outdial export --outdial {outdial} -o pipe.csv; wait)"
    )
    code, _, err = await shell(line, tmp_path, url=owner.url, token=owner.token)
    assert code == 0, err
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "pipe.csv").is_fifo()
    assert (tmp_path / "real.csv").read_text() == (tmp_path / "copy.csv").read_text() != "old"
    assert "+447700900123" in (tmp_path / "copy.csv").read_text()


# ---------------------------------------------------------------- files


@pytest.mark.parametrize(
    "name", [b"J\xf6rg.csv", b"a\nb.csv", b"\xff\xfe.csv", "Ünï 漢.csv".encode(), b"%41 & ?x=1#.csv"]
)
async def test_a_file_is_imported_whatever_bytes_its_name_has(
    owner: Client, outdial: str, tmp_path: Path, name: bytes
) -> None:
    (tmp_path / os.fsdecode(name)).write_text(LEADS)
    code, out, err = await shell(
        f"outdial import *.csv --outdial {outdial} --rejects bad.txt", tmp_path, url=owner.url, token=owner.token
    )
    assert (code, err) == (0, "")
    assert "2 created" in out
    assert await importing.keys(owner, outdial) == ["a", "b"]


def test_a_file_that_is_removed_or_added_to_is_sent_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "leads.csv"
    path.write_text(LEADS)
    with Source.opened(path) as source:
        before = source.digest()
        with path.open("a") as file:
            file.write("c,+44 7700 900125\n")
        assert source.digest() == before
        path.unlink()
        assert b"".join(source.pieces()) == LEADS.encode()


def test_a_file_that_is_cut_while_it_is_sent_is_said_to_be(tmp_path: Path) -> None:
    path = tmp_path / "leads.csv"
    path.write_text(LEADS)
    with Source.opened(path) as source:
        path.write_text("key")
        with pytest.raises(TransferFailed, match="was changed while it was read"):
            source.digest()


def test_a_pipe_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "SPOOLED_BYTES_MAX", 1_000_000)
    os.mkfifo(tmp_path / "pipe")

    def write() -> None:
        with suppress(BrokenPipeError), (tmp_path / "pipe").open("wb") as pipe:
            pipe.write(b"x" * 10_000_000)

    writing = threading.Thread(target=write)
    writing.start()
    with pytest.raises(TransferFailed, match="at most 1,000,000 bytes"):
        Source.opened(tmp_path / "pipe")
    writing.join(SECONDS_MAX)
    assert not writing.is_alive()


# ---------------------------------------------------------------- servers that are none


@pytest.mark.parametrize("said", [b"SSH-2.0-OpenSSH_9.2p1\r\n", b"220 mail ESMTP\r\n", b"\x00\x01\x02"])
async def test_what_speaks_no_http_is_given_up_soon(tmp_path: Path, said: bytes) -> None:
    (tmp_path / "leads.csv").write_text(LEADS)

    async def greet(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(said + b"x" * 100 + b"\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        line = f"outdial import leads.csv --outdial {OUTDIAL}"
        started = time.monotonic()
        code, out, err = await shell(line, tmp_path, url=f"http://127.0.0.1:{port}")
    assert time.monotonic() - started < AT_ONCE_SECONDS_MAX
    assert (code, out) == (1, "")
    assert all(line.startswith("outdial: ") for line in err.splitlines())
    assert len(err.splitlines()) <= sending.FIRST_TRIES_MAX
