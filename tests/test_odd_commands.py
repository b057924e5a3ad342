"""Whatever a user types, or has in the environment, the command line says it in one line and at once."""

import os
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from app import cli
from app.settings import Settings

pytestmark = pytest.mark.slow

OUTDIAL = "5e4a0680-804e-11ec-8477-2fea5968d85b"
TOKEN = "eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJl"
SECONDS_MAX = 30
"""On a busy machine. What is tried again takes minutes."""
REMOTE = "http://outdial.invalid"
"""A server that is not this machine, so that proxies count."""
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    names = [*(f"OUTDIAL_{name.upper()}" for name in Settings.model_fields), "OUTDIAL_URL", "OUTDIAL_TOKEN"]
    for scheme in ("ALL", "HTTP", "HTTPS", "NO"):
        names += [f"{scheme}_PROXY", f"{scheme}_proxy".lower()]
    for name in names:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "leads.csv").write_text("phone\n+49 30 123456\n")


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the program in this process; anything that it does not put into words is raised."""

    def program(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["outdial", *arguments])
        started = time.monotonic()
        with pytest.raises(SystemExit) as caught:
            cli.main()
        assert time.monotonic() - started < SECONDS_MAX
        out, err = capsys.readouterr()
        return int(caught.value.code or 0), out, err

    return program


@pytest.fixture(params=["import", "export", "dial"])
def command(request: pytest.FixtureRequest) -> list[str]:
    name: str = request.param
    return [name, *(["leads.csv"] if name == "import" else []), "--outdial", OUTDIAL]


@pytest.fixture
def closed() -> Iterator[str]:
    """The address of a port on which nobody listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}"


def one_line(found: tuple[int, str, str]) -> str:
    code, out, err = found
    assert (code, out) == (1, "")
    assert err.startswith("outdial: ")
    assert err.count("\n") == 1, err
    assert err.endswith((".\n", "?\n")) or ": " in err
    return err.removeprefix("outdial: ").rstrip("\n")


# ---------------------------------------------------------------- tokens

BAD_TOKENS = [
    "abc\ndef", "abc\r\ndef", "abc\rdef", "a\tb", "a b", "tökén", "token\u2013", "\udcff\udcfe", "Bearer abc.def.ghi",
    '"abc.def.ghi"', "abc\u200bdef", "a,b", "a=b", "\x1b[31m", "\x7f",
]  # fmt: skip


@pytest.mark.parametrize("token", BAD_TOKENS, ids=ascii)
@pytest.mark.parametrize("way", ["option", "environment"])
def test_a_token_that_could_not_be_sent_is_refused_at_once(
    run: Run, monkeypatch: pytest.MonkeyPatch, command: list[str], token: str, way: str
) -> None:
    if way == "environment":
        monkeypatch.setenv("OUTDIAL_TOKEN", token)
    line = one_line(run(*command, *(["--token", token] if way == "option" else [])))
    assert line.startswith("The token is not valid: ")
    assert token not in line


@pytest.mark.parametrize("token", ["", " ", "\n", "\r\n\t "], ids=ascii)
def test_no_token_is_said_to_be_none(run: Run, command: list[str], token: str) -> None:
    assert one_line(run(*command, "--token", token)).startswith("No token. ")
    assert one_line(run(*command)).startswith("No token. ")


@pytest.mark.parametrize("around", [("", "\n"), ("", "\r\n"), (" ", " "), ("\t", "\n\n")], ids=ascii)
def test_a_token_is_taken_as_files_and_clipboards_have_it(
    run: Run, monkeypatch: pytest.MonkeyPatch, closed: str, around: tuple[str, str]
) -> None:
    monkeypatch.setenv("OUTDIAL_TOKEN", f"{around[0]}{TOKEN}{around[1]}")
    line = one_line(run("export", "--outdial", OUTDIAL, "--url", closed, "--output", "x.csv"))
    assert line.startswith("The server cannot be reached.")


# ---------------------------------------------------------------- addresses

BAD_URLS = [
    "", " ", "localhost:8000", "127.0.0.1:8000", "outdial.example.com", "ftp://outdial.example.com", "//127.0.0.1",
    "http://", "http:///graphql", "https://", "http://[::1", "http://[nonsense]", "http://a:b:c", "http://127.0.0.1:99999",
    "http://127.0.0.1:port", "http://127.0.0.1:-1", "http://exa mple.com", "http://\udcff", "http://a\nb", "http://a\tb",
    "http://user:hunter2@127.0.0.1", "http://127.0.0.1/?x=1", f"http://127.0.0.1:8000/#token={TOKEN}", "http://x..y",
    "http://" + "a" * 70_000, "javascript:alert(1)", "http://\u200b",
]  # fmt: skip


@pytest.mark.parametrize("url", BAD_URLS, ids=lambda url: ascii(url[:40]))
@pytest.mark.parametrize("way", ["option", "environment"])
def test_an_address_that_is_none_is_refused_at_once(
    run: Run, monkeypatch: pytest.MonkeyPatch, command: list[str], url: str, way: str
) -> None:
    if way == "environment":
        monkeypatch.setenv("OUTDIAL_URL", url)
        if not url:
            return  # an empty variable is an unset one
    line = one_line(run(*command, "--token", TOKEN, *(["--url", url] if way == "option" else [])))
    assert line.startswith("--url")
    assert TOKEN not in line
    assert "hunter2" not in line
    assert len(line) < 500


@pytest.mark.parametrize("url", ["http://nowhere.invalid", "https://nowhere.invalid:8443/calls/"])
@pytest.mark.parametrize("name", ["import", "export"])
def test_a_server_that_is_nowhere_is_not_looked_for_again(run: Run, url: str, name: str) -> None:
    files = ["leads.csv"] if name == "import" else []
    line = one_line(run(name, *files, "--outdial", OUTDIAL, "--token", TOKEN, "--url", url))
    assert line.startswith("The server cannot be reached.")


# ---------------------------------------------------------------- proxies and certificates

BAD_PROXIES = [
    "socks5://127.0.0.1:1", "socks5h://127.0.0.1:1", "socks4://127.0.0.1:1", "ftp://127.0.0.1:1", "http://[::1",
    "http://127.0.0.1:port", "http://127.0.0.1:99999", "nonsense://x", "http://a\nb", "\udcff", "http://\udcff",
    "127.0.0.1:1", "http://127.0.0.1:1", "http://ann:hunter2@127.0.0.1:1", "://", "http://", ":", "socks5://ann:hunter2@x",
]  # fmt: skip


@pytest.mark.parametrize("proxy", BAD_PROXIES, ids=ascii)
@pytest.mark.parametrize(("variable", "name"), [("ALL_PROXY", "export"), ("http_proxy", "import")])
def test_a_proxy_that_cannot_be_used_is_said_at_once(
    run: Run, monkeypatch: pytest.MonkeyPatch, name: str, variable: str, proxy: str
) -> None:
    monkeypatch.setenv(variable, proxy)
    files = ["leads.csv"] if name == "import" else []
    line = one_line(run(name, *files, "--outdial", OUTDIAL, "--token", TOKEN, "--url", REMOTE))
    assert "hunter2" not in line
    if proxy.startswith("socks5"):
        assert "NO_PROXY=outdial.invalid" in line


@pytest.mark.parametrize(
    "exempt", ["[::1", "é", "\udcff", "http://", ",,,", "*", "a b", "http://[", "outdial.invalid:x"]
)
def test_whatever_is_exempt_from_a_proxy_no_command_fails_by_it(
    run: Run, monkeypatch: pytest.MonkeyPatch, exempt: str
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", exempt)
    one_line(run("export", "--outdial", OUTDIAL, "--token", TOKEN, "--url", REMOTE))


def test_a_server_on_this_machine_is_reached_without_a_proxy(
    run: Run, monkeypatch: pytest.MonkeyPatch, closed: str
) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:1")
    for url in (closed, closed.replace("127.0.0.1", "localhost"), closed.replace("127.0.0.1", "[::1]")):
        line = one_line(run("export", "--outdial", OUTDIAL, "--token", TOKEN, "--url", url))
        assert line.startswith("The server cannot be reached.")


@pytest.mark.parametrize("content", [None, b"", b"no certificate", b"\xff\x00"])
def test_certificates_that_cannot_be_read_are_said_at_once(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes | None
) -> None:
    if content is not None:
        (tmp_path / "ca.pem").write_bytes(content)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    line = one_line(run("export", "--outdial", OUTDIAL, "--token", TOKEN, "--url", "https://outdial.invalid"))
    assert "SSL_CERT_FILE" in line or line.startswith("The server cannot be reached.")


# ---------------------------------------------------------------- servers that are none


class _Answering(BaseHTTPRequestHandler):
    answer: tuple[int, bytes, dict[str, str]]

    def do_POST(self) -> None:
        status, body, headers = self.answer
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST  # noqa: N815 - the name is the standard library's

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def answering(
    status: int, body: bytes, headers: dict[str, str] | None = None, *, tls: ssl.SSLContext | None = None
) -> Iterator[str]:
    """The address of a server that has one answer."""
    handler = type("Handler", (_Answering,), {"answer": (status, body, headers or {})})
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        serving.start()
        try:
            yield f"http{'s' if tls else ''}://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            serving.join()


def refused(run: Run, url: str) -> str:
    return one_line(run("import", "leads.csv", "--outdial", OUTDIAL, "--token", TOKEN, "--url", url))


ODD_ANSWERS = [
    (200, b"<html>Welcome</html>"), (200, b""), (200, b"[]"), (200, b"null"), (200, b'"x"'), (200, b"\xff\xfe"),
    (200, b"{}"), (200, b'{"data": null}'), (200, b'{"data": {}}'), (200, b'{"data": {"outdial": 1}}'),
    (200, b'{"data": {"outdial": {"name": "x"}}}'), (200, b'{"data": {"outdial": {"name": "x", "imports": []}}}'),
    (200, b'{"errors": "x"}'), (200, b'{"errors": {}}'), (200, b'{"errors": [1]}'), (200, b'{"errors": [{}]}'),
    (200, b'{"errors": [{"message": "x", "extensions": 1}]}'), (400, b'{"error": "x"}'), (401, b""), (403, b"<html>"),
    (404, b"Not found"), (405, b""), (413, b"<html>"), (418, b"{}"), (200, b"[" * 100_000),
    *((200, b'{"data": {"outdial": {"name": "x", "imports": {"nodes": [%s]}}}}' % job) for job in (
        b"1", b"{}", b'{"state": "COMPLETED"}', b'{"state": "COMPLETED", "counts": 1}',
        b'{"id":"x","state":"COMPLETED","stopReason":null,"message":null,"dryRun":false,"warnings":1,"counts":{}}',
    )),
]  # fmt: skip


@pytest.mark.parametrize(("status", "body"), ODD_ANSWERS, ids=lambda value: str(value)[:40])
def test_an_answer_that_no_outdial_server_gives_is_one_line(run: Run, status: int, body: bytes) -> None:
    with answering(status, body) as url:
        refused(run, url)


@pytest.mark.parametrize(("status", "body"), ODD_ANSWERS, ids=lambda value: str(value)[:40])
@pytest.mark.parametrize("where", ["a file", "standard output"])
def test_what_no_outdial_server_exports_is_not_taken_for_an_export(
    run: Run, tmp_path: Path, where: str, status: int, body: bytes
) -> None:
    (tmp_path / "kept.csv").write_text("name\nAna\n")
    output = ["--output", "kept.csv"] if where == "a file" else []
    with answering(status, body, {"Content-Type": "text/html; charset=utf-8"}) as url:
        line = one_line(run("export", "--outdial", OUTDIAL, "--token", TOKEN, "--url", url, *output))
    assert line == f"There is no Outdial server at {url}: it answered {status}."
    assert (tmp_path / "kept.csv").read_text() == "name\nAna\n"


def test_an_export_says_where_a_server_leads(run: Run) -> None:
    with answering(302, b"", {"Location": "https://login.example.com/"}) as url:
        line = one_line(run("export", "--outdial", OUTDIAL, "--token", TOKEN, "--url", url))
    assert line == f"There is no Outdial server at {url}: it redirects to https://login.example.com/."


def test_a_server_that_leads_elsewhere_says_where(run: Run) -> None:
    with answering(301, b"", {"Location": "https://calls.example.com/graphql"}) as url:
        assert "redirects to https://calls.example.com/graphql" in refused(run, url)
    with answering(200, b"no gzip", {"Content-Encoding": "gzip"}) as url:
        assert refused(run, url).startswith("The request cannot be sent")


def test_a_server_that_is_not_trusted_or_speaks_no_tls_is_not_asked_again(run: Run, tmp_path: Path) -> None:
    certificate = tmp_path / "server.pem"
    certificate.write_bytes(_certificate())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with answering(200, b"{}", tls=context) as url:
        assert refused(run, url).startswith("The server's certificate is not trusted: ")
    with answering(200, b"{}") as url:
        assert "http://" in refused(run, url.replace("http:", "https:"))


def _certificate() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(now).not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return private + made.public_bytes(pem)


# ---------------------------------------------------------------- files


def test_a_file_that_is_none_is_one_line(run: Run, tmp_path: Path) -> None:
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "loop.csv").symlink_to("loop.csv")
    (tmp_path / "gone.csv").symlink_to("nowhere.csv")
    (tmp_path / "leads.xlsx").write_bytes(b"PK\x03\x04")
    (tmp_path / "leads").write_text("phone\n")
    with socket.socket(socket.AF_UNIX) as named:
        named.bind(str(tmp_path / "socket.csv"))
        for name, words in {
            "folder.csv": "folder.csv is a folder.",
            "loop.csv": "loop.csv: Too many levels of symbolic links",
            "gone.csv": "gone.csv: No such file or directory",
            "none.csv": "none.csv: No such file or directory",
            "socket.csv": "socket.csv: No such device or address",
            "leads.csv/x.csv": "leads.csv/x.csv: Not a directory",
            "leads.xlsx": "leads.xlsx is a workbook. Save its sheet as CSV.",
            "leads": "leads: its format is unknown. Give --format csv or --format ndjson.",
            "": ". is a folder.",
            "/dev/zero": "zero is a device, not a file.",
            "/dev/null": "null is a device, not a file.",
            "x" * 300 + ".csv": f"{'x' * 300}.csv: File name too long",
        }.items():
            found = run("import", name, "--outdial", OUTDIAL, "--token", TOKEN)
            assert one_line(found).removeprefix(f"{tmp_path}/") == words or one_line(found) == words


def test_a_file_that_may_not_be_read_is_one_line(run: Run, tmp_path: Path) -> None:
    (tmp_path / "leads.csv").chmod(0)
    if os.access(tmp_path / "leads.csv", os.R_OK):  # root may read anything; then it is another's to refuse
        (tmp_path / "leads.csv").unlink()
    line = one_line(run("import", "leads.csv", "--outdial", OUTDIAL, "--token", TOKEN))
    assert line.startswith("leads.csv: ")


@pytest.mark.parametrize("option", ["--rejects", "--output"])
def test_a_place_where_nothing_can_be_written_is_said_before_anything_is_asked(
    run: Run, tmp_path: Path, option: str
) -> None:
    (tmp_path / "folder.csv").mkdir()
    command = ["import", "leads.csv"] if option == "--rejects" else ["export"]
    for target, words in {
        "folder.csv": "folder.csv is a folder.",
        "none/x.csv": f"none/x.csv: the folder {tmp_path}/none does not exist.",
        "leads.csv/x.csv": f"leads.csv/x.csv: the folder {tmp_path}/leads.csv does not exist.",
        "/proc/x.csv": "",
        "\udcff/x.csv": "",
    }.items():
        line = one_line(run(*command, "--outdial", OUTDIAL, "--token", TOKEN, option, target))
        assert line == words or not words
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder.csv", "leads.csv"]


@pytest.mark.parametrize(
    ("name", "option"),
    [("import", name) for name in ("--map", "--extra", "--encoding", "--region", "--dedupe", "--on-duplicate-key")]
    + [("export", name) for name in ("--status", "--destination", "--key", "--dialer", "--call-id")],
)
def test_an_option_in_another_encoding_is_said_at_once(run: Run, name: str, option: str) -> None:
    files = ["leads.csv"] if name == "import" else []
    line = one_line(run(name, *files, "--outdial", OUTDIAL, "--token", TOKEN, option, "J\udcf6rg"))
    assert line == f"{option} is not in UTF-8."


@pytest.mark.parametrize("outdial", ["", "x", OUTDIAL[:-1], "\udcff", f"{OUTDIAL}/../.."])
@pytest.mark.parametrize("name", ["import", "export", "dial"])
def test_an_outdial_that_is_no_id_is_said_at_once(run: Run, closed: str, name: str, outdial: str) -> None:
    files = ["leads.csv"] if name == "import" else []
    line = one_line(run(name, *files, "--outdial", outdial, "--token", TOKEN, "--url", closed))
    assert line == "--outdial must be a UUID."


# ---------------------------------------------------------------- serving


@pytest.mark.parametrize(
    "host", [" ", "no such host", "a..b", "x" * 300, "\udcff", "é.example", "256.256.256.256", "[::1]", "1.2.3.4", "-"]
)
def test_a_host_that_is_none_is_one_line(run: Run, host: str) -> None:
    code, out, err = run("serve", "--host", host, "--port", "0")
    assert (code, out) == (1, "")
    assert err.splitlines()[-1].startswith("outdial: cannot listen on")


def test_a_folder_that_is_gone_is_one_line(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    for command in (["serve", "--port", "0"], ["token", "--customer", OUTDIAL], ["migrate"]):
        code, out, err = run(*command)
        assert code in {1, 2}
        assert out == ""
        assert err.splitlines()[-1].startswith("outdial: ")
