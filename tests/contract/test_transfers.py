"""`outdial import` and `outdial export`, run as people run them, against a real server."""

import asyncio
import csv
import gzip
import json
import os
import pty
import re
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from uuid import uuid4

import pytest

from app import cli
from app.transfers import fetching
from app.transfers.failures import TransferFailed
from app.transfers.remote import Remote
from tests.conftest import Services
from tests.support import importing
from tests.support.cutting import CuttingProxy
from tests.support.graphql_client import Client
from tests.support.server import REPOSITORY, ServerProcess

COMMAND_SECONDS_MAX = 60


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


def environment(client: Client, url: str | None = None) -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": str(REPOSITORY),
        "OUTDIAL_URL": url or client.url,
        "OUTDIAL_TOKEN": client.token,
        "NO_PROXY": "*",
        "COLUMNS": "200",
    }


async def start(client: Client, *arguments: str | Path, url: str | None = None) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "app.cli",
        *map(str, arguments),
        env=environment(client, url),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        # where the tests run in the background, Ctrl-C is ignored by all that they start
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


async def run(client: Client, *arguments: str | Path, url: str | None = None) -> tuple[int | None, str, str]:
    """The exit code, standard output and standard error of a command."""
    process = await start(client, *arguments, url=url)
    async with asyncio.timeout(COMMAND_SECONDS_MAX):
        out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


Here = Callable[..., Awaitable[tuple[int, str, str]]]


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Here:
    """Runs a command like `run`, in this process: for commands that end before anything is sent, or soon after."""

    async def run_here(client: Client, *arguments: str | Path) -> tuple[int, str, str]:
        for name, value in environment(client).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["outdial", *map(str, arguments)])

        def program() -> int:
            with pytest.raises(SystemExit) as caught:
                cli.main()
            return int(caught.value.code or 0)

        code = await asyncio.to_thread(program)
        return code, *capsys.readouterr()

    return run_here


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def total(client: Client, outdial_id: str) -> int:
    query = "query ($id: ID!) { outdial(id: $id) { progress { total } } }"
    found: int = (await client.run(query, id=outdial_id))["outdial"]["progress"]["total"]
    return found


async def keys(client: Client, outdial_id: str) -> list[str | None]:
    return [target["key"] for target in await importing.targets(client, outdial_id)]


LEADS = "key;name;phone\na;=Ann;+44 7700 900123\nb;Bo;4.91512E+11\nc;Cy;+44 7700 900125\n"


@pytest.mark.slow
async def test_a_list_goes_out_and_in_again_as_it_was(client: Client, tmp_path: Path) -> None:
    """Through a file of either kind, gzipped or not, equal in all that an owner says of a target."""
    first = (await client.outdial())["id"]
    leads = tmp_path / "leads.csv"
    leads.write_text(LEADS)
    assert (await run(client, "import", leads, "--outdial", first))[0] == 0
    before = [
        {**target, "id": None, "tmCreate": None, "nextTryAt": None, "version": None}
        for target in await importing.targets(client, first)
    ]
    assert [target["name"] for target in before] == ["=Ann", "Cy"]
    for name in ("out.csv", "out.ndjson.gz"):
        file, second = tmp_path / name, (await client.outdial())["id"]
        assert (await run(client, "export", "--outdial", first, "--output", file))[0] == 0
        assert (await run(client, "import", file, "--outdial", second))[0] == 0
        after = [
            {**target, "id": None, "tmCreate": None, "nextTryAt": None, "version": None}
            for target in await importing.targets(client, second)
        ]
        assert after == before


async def test_what_became_of_the_rows_is_told(owner: Client, outdial: str, tmp_path: Path) -> None:
    leads = tmp_path / "leads.csv"
    leads.write_text(LEADS)
    code, out, err = await run(owner, "import", leads, "--outdial", outdial)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[:2] == [
        "2 of 3 rows of leads.csv imported into Spring list:",
        "  3 read, 2 created, 0 updated, 0 skipped, 1 rejected",
    ]
    assert lines[2].startswith("  Line 3, phone: ")


@pytest.mark.slow
async def test_the_same_file_is_in_once_unless_it_is_asked_for_again(
    owner: Client, outdial: str, tmp_path: Path
) -> None:
    leads = tmp_path / "leads.csv"
    leads.write_text("phone\n+44 7700 900123\n")
    command = ("import", leads, "--outdial", outdial)
    await run(owner, *command)
    code, out, _ = await run(owner, *command)
    assert (code, len(await keys(owner, outdial))) == (0, 1)
    assert "was already imported into Spring list" in out
    code, out, _ = await run(owner, *command, "--again")
    assert (code, len(await keys(owner, outdial))) == (0, 2)
    assert out.startswith("1 of 1 rows of leads.csv imported into")
    leads.write_text("phone\n+44 7700 900124\n")  # another file under the same name
    assert (await run(owner, *command))[0] == 0
    assert len(await keys(owner, outdial)) == 3


async def test_a_dry_run_tells_the_same_and_stores_nothing(owner: Client, outdial: str, tmp_path: Path) -> None:
    leads = tmp_path / "leads.csv"
    leads.write_text(LEADS)
    code, out, _ = await run(owner, "import", leads, "--outdial", outdial, "--dry-run", "--json")
    job = json.loads(out)
    assert (code, job["dryRun"], job["counts"]["created"]) == (0, True, 2)
    assert await keys(owner, outdial) == []
    # and does not count as the import itself
    assert (await run(owner, "import", leads, "--outdial", outdial))[0] == 0
    assert await keys(owner, outdial) == ["a", "c"]


async def test_rejected_rows_are_written_to_a_file_that_is_mended_and_imported(
    owner: Client, outdial: str, tmp_path: Path
) -> None:
    """More than a page of them, and none that a spreadsheet would run."""
    leads, sheet = tmp_path / "leads.csv", tmp_path / "bad.csv"
    leads.write_text("Ort;phone\n" + "".join(f"=Ulm;nobody {row}\n" for row in range(250)))
    code, out, _ = await run(owner, "import", leads, "--outdial", outdial, "--rejects", sheet)
    assert code == 0
    assert out.startswith("0 of 250 rows of leads.csv imported into Spring list:\n")
    assert "… and 240 more" in out
    with sheet.open(newline="", encoding="utf-8-sig") as file:
        header, *found = csv.reader(file, delimiter=";")
    assert header == ["Ort", "phone", "import_line", "import_reason"]
    assert [row[:3] for row in found] == [["'=Ulm", f"nobody {row}", f"{row + 2}"] for row in range(250)]
    sheet.write_text(sheet.read_text().replace(";nobody ", ";+49151123000"))
    code, out, err = await run(owner, "import", sheet, "--outdial", outdial, "--extra", "data")
    assert (code, err) == (0, "")
    assert out.startswith("250 of 250 rows of bad.csv imported into Spring list:\n")
    assert {target["data"] for target in await importing.targets(owner, outdial)} == {'{"Ort":"=Ulm"}'}


async def test_rejected_rows_go_through_a_pipe_and_never_over_the_file_itself(
    owner: Client, outdial: str, tmp_path: Path
) -> None:
    leads = tmp_path / "leads.csv"
    leads.write_text("phone\n1\n")
    code, out, err = await run(owner, "import", leads, "--outdial", outdial, "--rejects", leads)
    assert (code, out) == (1, "")
    assert err == "outdial: --rejects has the name of the imported file. Give it another name.\n"
    assert leads.read_text() == "phone\n1\n"
    code, out, _ = await run(owner, "import", leads, "--outdial", outdial, "--rejects", Path("/dev/stdout"))
    assert code == 0
    assert "phone,import_line,import_reason\r\n1,2," in out.replace("\n", "\r\n").replace("\r\r", "\r")


async def test_parameters_reach_the_server(owner: Client, outdial: str, tmp_path: Path) -> None:
    leads = tmp_path / "leads.txt"
    leads.write_bytes(
        "Kennung;Vorname;Telefon;Ort\na;Jörg;030 23125 001;Köln\na;Ann;030 23125 002;Ulm\n".encode("cp1252")
    )
    options = ("--map", "Kennung:key", "--map", "Vorname:name", "--map", "Telefon:phone", "--encoding", "windows-1252")
    more = ("--region", "DE", "--extra", "data", "--on-duplicate-key", "update", "--dedupe", "outdial")
    code, out, err = await run(owner, "import", leads, "--outdial", outdial, *options, *more, "--json")
    assert (code, err) == (0, "")
    assert json.loads(out)["counts"] == {
        "read": 2,
        "created": 1,
        "updated": 1,
        "skipped": 0,
        "rejected": 0,
        "suppressed": 0,
    }
    [target] = await importing.targets(owner, outdial)
    assert (target["name"], target["data"], target["destination0"]["target"]) == (
        "Ann",
        '{"Ort":"Ulm"}',
        "+493023125002",
    )


@pytest.mark.parametrize(
    ("name", "content", "options", "words"),
    [
        ("leads.csv", b"phone\nx\xf6\n", (), "Line 2 is not valid UTF-8."),
        ("leads.csv", b"", (), "is empty"),
        ("leads.csv", b"phone\n1\n", ("--dedupe", "world"), "dedupe: Must be one of none, outdial, customer."),
        ("leads.csv", b"phone\n1\n", ("--map", "Telefon:fon"), "Unknown field 'fon'"),
        ("leads.csv", b"phone\n1\n2\n", ("--max-rejects", "1"), "rows were rejected"),
        ("leads.xlsx", b"PK", (), "leads.xlsx is a workbook. Save its sheet as CSV."),
        ("leads", b"phone\n1\n", (), "Give --format csv or --format ndjson."),
        ("leads.csv", b"phone\n1\n", ("--format", "pdf"), "--format must be csv or ndjson."),
        ("leads.csv", b"phone\n1\n", ("--outdial", str(uuid4())), " not found. Check --outdial"),
        ("leads.csv", b"phone\n1\n", ("--outdial", "me"), "--outdial must be a UUID."),
        ("leads.csv", b"phone\n1\n", ("--token", "x"), "The token is not a valid JWT."),
        ("leads.csv", b"phone\n1\n", ("--url", "ftp://127.0.0.1"), "--url must be like"),
        ("leads.csv", b"phone\n1\n", ("--url", "http://127.0.0.1:1"), "The server cannot be reached."),
    ],
)
async def test_what_keeps_a_file_out_is_said_in_words(
    here: Here, owner: Client, outdial: str, tmp_path: Path, name: str, content: bytes, options: tuple[str, ...],
    words: str,
) -> None:  # fmt: skip
    file = tmp_path / name
    file.write_bytes(content)
    code, out, err = await here(owner, "import", file, "--outdial", outdial, *options)
    assert code == 1
    assert words in out + err
    assert "Traceback" not in err
    assert owner.token not in out + err


@pytest.mark.slow
async def test_a_cut_connection_costs_and_doubles_no_row(
    owner: Client, near: ServerProcess, outdial: str, tmp_path: Path
) -> None:
    leads = tmp_path / "leads.csv"
    leads.write_text(importing.table(30_000))
    async with CuttingProxy(near.port, after=leads.stat().st_size // 2, cuts=2) as wire:
        code, out, err = await run(owner, "import", leads, "--outdial", outdial, "--json", url=wire.url)
        assert wire.cuts_left == 0
    assert code == 0
    assert "It continues after the last imported row." in err
    assert json.loads(out)["counts"] == {
        "read": 30_000,
        "created": 30_000,
        "updated": 0,
        "skipped": 0,
        "rejected": 0,
        "suppressed": 0,
    }
    assert await total(owner, outdial) == 30_000


@pytest.mark.slow
async def test_a_command_that_is_stopped_goes_on_when_it_is_given_again(
    owner: Client, near: ServerProcess, outdial: str, tmp_path: Path
) -> None:
    leads = tmp_path / "leads.csv"
    leads.write_text(importing.table(40_000))
    # no connection comes to the file's end, so that the command is stopped in the middle however slow this machine is
    async with (
        CuttingProxy(near.port, after=leads.stat().st_size // 2, cuts=1_000) as wire,
        asyncio.timeout(COMMAND_SECONDS_MAX),
    ):
        process = await start(owner, "import", leads, "--outdial", outdial, url=wire.url)
        while await total(owner, outdial) == 0:  # noqa: ASYNC110 - the command is another process
            await asyncio.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, err = await process.communicate()
    assert process.returncode == 130
    assert "The same command continues from here." in err.decode()
    assert await total(owner, outdial) < 40_000
    code, out, _ = await run(owner, "import", leads, "--outdial", outdial)
    assert code == 0
    assert "40,000 read, 40,000 created" in out
    assert await total(owner, outdial) == 40_000


async def test_a_terminal_shows_how_far_it_is(owner: Client, outdial: str, tmp_path: Path) -> None:
    leads = tmp_path / "leads.csv"
    leads.write_text(importing.table(15_000))
    ours, theirs = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "app.cli", "import", leads, "--outdial", outdial),
        env={**environment(owner), "TERM": "xterm"},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=theirs,
    )
    os.close(theirs)
    shown = bytearray()

    def read() -> None:
        try:
            shown.extend(os.read(ours, 65_536))
        except OSError:  # Linux's way to say that nobody writes any more
            asyncio.get_running_loop().remove_reader(ours)

    asyncio.get_running_loop().add_reader(ours, read)
    async with asyncio.timeout(COMMAND_SECONDS_MAX):
        assert await process.wait() == 0
    asyncio.get_running_loop().remove_reader(ours)
    os.close(ours)
    text = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", shown.decode())
    assert re.search(r"leads\.csv .* [1-9][\d,]* rows, 0 rejected, [1-9][\d,]*/s", text), text[:2000]


# ---------------------------------------------------------------- export


@pytest.mark.slow
async def test_an_export_goes_to_standard_output_or_into_a_file(owner: Client, outdial: str, tmp_path: Path) -> None:
    await importing.taken(owner, outdial, LEADS)
    code, out, err = await run(owner, "export", "--outdial", outdial, "--format", "ndjson")
    assert (code, err) == (0, "")
    assert [json.loads(line)["key"] for line in out.splitlines()] == ["a", "c"]
    file = tmp_path / "out.csv.gz"
    code, out, err = await run(owner, "export", "--outdial", outdial, "-o", file, "--key", "c", "--bom")
    assert (code, out) == (0, "")
    assert err.startswith("Wrote ")
    text = gzip.decompress(file.read_bytes()).decode("utf-8-sig")
    assert [row["key"] for row in csv.DictReader(text.splitlines())] == ["c"]
    assert names(tmp_path) == ["out.csv.gz"]


async def test_attempts_are_exported_too(owner: Client, outdial: str) -> None:
    await importing.taken(owner, outdial, LEADS)
    await owner.good("claimTargets", outdialId=outdial, limit=2, dialer="d-1")
    command = ("export", "--outdial", outdial, "--attempts", "--format", "ndjson", "--state", "claimed")
    code, out, _ = await run(owner, *command)
    assert code == 0
    assert sorted(json.loads(line)["target_key"] for line in out.splitlines()) == ["a", "c"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--status", "gone"), "status: Must be one of idle, progressing, done."),
        (("--attempts", "--status", "done"), "status: Unknown parameter."),
        (("--outdial", str(uuid4())), "Outdial not found."),
        (("--url", "http://127.0.0.1:1"), "The server cannot be reached."),
    ],
)
@pytest.mark.parametrize("into_file", [False, True])
async def test_what_keeps_an_export_back_is_said_in_words(
    here: Here, owner: Client, outdial: str, tmp_path: Path, options: tuple[str, ...], words: str, into_file: bool
) -> None:
    target = ("--output", tmp_path / "out.csv") if into_file else ()
    code, out, err = await here(owner, "export", "--outdial", outdial, *target, *options)
    assert (code, out) == (1, "")
    assert words in err
    assert "Traceback" not in err
    assert names(tmp_path) == []


async def test_a_file_that_cannot_be_written_is_named(owner: Client, outdial: str, tmp_path: Path) -> None:
    code, _, err = await run(owner, "export", "--outdial", outdial, "-o", tmp_path / "nowhere" / "out.csv")
    assert code == 1
    assert "does not exist" in err
    assert "Traceback" not in err


async def test_an_export_that_is_cut_begins_again_and_leaves_whole_files_alone(
    owner: Client, near: ServerProcess, outdial: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await importing.taken(owner, outdial, importing.table(3_000))
    path, file = f"/v1.0/outdials/{outdial}/targets/export", tmp_path / "out.csv"
    monkeypatch.setattr(fetching, "TRIES_MAX", 2)
    monkeypatch.setenv("NO_PROXY", "*")
    sentences: list[str] = []

    async def fetch(wire: CuttingProxy) -> None:
        async with Remote(wire.url, owner.token) as remote:
            await fetching.fetch_file(
                remote, path, {"format": "csv"}, file, received=lambda _: None, noticed=sentences.append
            )

    async with CuttingProxy(near.port, after=100_000, cuts=1, of_answers=True) as wire:
        await fetch(wire)
    assert len(list(csv.DictReader(file.read_text().splitlines()))) == 3_000
    assert len(sentences) == 1

    whole = file.read_bytes()
    async with CuttingProxy(near.port, after=100_000, cuts=2, of_answers=True) as wire:
        with pytest.raises(TransferFailed, match="Gave up after 2 tries"):
            await fetch(wire)
    assert file.read_bytes() == whole
    assert names(tmp_path) == ["out.csv"]


async def test_a_reader_who_has_seen_enough_is_no_error(owner: Client, outdial: str) -> None:
    await importing.taken(owner, outdial, importing.table(5_000))
    process = await start(owner, "export", "--outdial", outdial)
    assert process.stdout is not None
    assert process.stderr is not None
    async with asyncio.timeout(COMMAND_SECONDS_MAX):
        assert (await process.stdout.readline()).startswith(b"id,key,name")
        process.stdout._transport.close()  # type: ignore[attr-defined]
        err = await process.stderr.read()
        await process.wait()
    assert b"Traceback" not in err
    assert (await owner.http.get("/readyz")).status_code == 200
