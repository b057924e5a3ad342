"""The command line: what it prints, what it refuses and how."""

import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import types
import urllib.request
from pathlib import Path

import jwt
import psutil
import pytest
from typer.testing import CliRunner

from app import auth, cli, db
from app.auth import Scope, TokenReader
from app.errors import Unavailable
from app.server import running
from app.settings import Settings
from tests.conftest import aside
from tests.support import postgres

ROOT = Path(__file__).parent.parent
SECRET = "0123456789abcdef0123456789abcdef"
CUSTOMER = "5e4a0680-804e-11ec-8477-2fea5968d85b"


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch, tmp_path):
    for name in Settings.model_fields:
        monkeypatch.delenv(f"OUTDIAL_{name.upper()}", raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cli.logs, "configure", lambda _settings: None)


@pytest.fixture
def run(monkeypatch, capsys):
    """Runs the program in this process: (exit code, standard output, standard error)."""

    def program(*arguments):
        monkeypatch.setattr(sys, "argv", ["outdial", *arguments])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        out, err = capsys.readouterr()
        return caught.value.code or 0, out, err

    return program


@pytest.fixture
def database(monkeypatch):
    """Stands in for app.db: what was asked of it, and what it answers."""
    state = types.SimpleNamespace(calls=[], applied=["0001_tables"], distributed=["customer"], current=True, error=None)

    async def migrate(url):
        state.calls.append(("migrate", url))
        if state.error:
            raise state.error
        return state.applied

    async def distribute(url):
        state.calls.append(("distribute", url))
        if state.error:
            raise state.error
        return state.applied, state.distributed

    async def connect(url, **_):
        state.calls.append(("connect", url))
        if state.error:
            raise state.error

    async def current():
        return state.current

    async def close():
        state.calls.append(("close",))

    monkeypatch.setattr(db, "migrate", migrate)
    monkeypatch.setattr(db, "distribute", distribute)
    monkeypatch.setattr(db, "connect", connect)
    monkeypatch.setattr(db, "schema_is_current", current)
    monkeypatch.setattr(db, "close", close)
    return state


@pytest.fixture
def served(monkeypatch):
    """What would be served, without serving it."""
    calls = []

    def serve(settings, listener, workers):
        calls.append((settings, listener, workers))
        return True

    monkeypatch.setattr(cli, "_serve", serve)
    yield calls
    for _, listener, _ in calls:
        listener.close()


# ---------------------------------------------------------------- token


def test_token_prints_the_token_alone(run, monkeypatch):
    monkeypatch.setenv("OUTDIAL_JWT_SECRET", SECRET)
    code, out, err = run("token", "--customer", CUSTOMER, "--subject", "ann", "--scope", "read", "--hours", "2")
    assert (code, err) == (0, "")
    assert re.fullmatch(r"[\w-]+\.[\w-]+\.[\w-]+\n", out)
    viewer = TokenReader(Settings.load()).read(out.strip())
    assert (viewer.customer_id, viewer.subject, viewer.scopes) == (CUSTOMER, "ann", {Scope.READ})
    claims = jwt.decode(out.strip(), options={"verify_signature": False})
    assert claims["exp"] - claims["iat"] == 7200


def test_token_allows_everything_for_a_day_unless_told_otherwise(run, monkeypatch):
    monkeypatch.setenv("OUTDIAL_JWT_SECRET", SECRET)
    _, out, _ = run("token", "--customer", CUSTOMER)
    claims = jwt.decode(out.strip(), options={"verify_signature": False})
    assert claims["scope"] == "read write dial"
    assert claims["exp"] - claims["iat"] == 86_400
    assert "sub" not in claims


def test_token_signs_with_the_secret_that_the_server_made_beside_its_database(run, database, served, tmp_path):
    assert run("serve", "--port", "0")[0] == 0
    code, out, err = run("token", "--customer", CUSTOMER)
    assert (code, err) == (0, "")
    secret = (tmp_path / "outdial.db.secret").read_text().strip()
    assert TokenReader(Settings(jwt_secret=secret)).read(out.strip()).customer_id == CUSTOMER


@pytest.mark.parametrize("arguments", [(), ("--link",), ("--scope", "read")])
def test_token_makes_no_secret_and_says_where_it_looked(run, database, served, monkeypatch, tmp_path, arguments):
    """A secret of its own would sign tokens that the server refuses."""
    folder, elsewhere = tmp_path / "server", tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere.mkdir()
    monkeypatch.chdir(folder)
    assert run("serve", "--port", "0")[0] == 0

    monkeypatch.chdir(elsewhere)
    code, out, err = run("token", "--customer", CUSTOMER, *arguments)
    assert (code, out) == (2, "")
    assert err == (
        f"outdial: OUTDIAL_JWT_SECRET is not set, and there is no server's secret in {elsewhere}/outdial.db.secret. "
        "Run this in the server's folder, or set OUTDIAL_DATABASE_URL or OUTDIAL_JWT_SECRET to the server's value. "
        "A server makes its secret at its first start: outdial serve\n"
    )
    assert list(elsewhere.iterdir()) == []

    monkeypatch.setenv("OUTDIAL_DATABASE_URL", f"sqlite:///{folder}/outdial.db")
    assert run("token", "--customer", CUSTOMER, *arguments)[0] == 0
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize("command", [("token", "--customer", CUSTOMER), ("migrate",), ("schema",), ("--help",)])
def test_no_command_but_serve_and_demo_makes_a_secret(run, database, monkeypatch, tmp_path, command):
    run(*command)
    assert [path for path in tmp_path.rglob("*") if "secret" in path.name] == []


def test_a_secret_that_cannot_be_read_is_one_line(run, tmp_path):
    (tmp_path / "outdial.db.secret").mkdir()
    code, out, err = run("token", "--customer", CUSTOMER)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert str(tmp_path / "outdial.db.secret") in err


@pytest.mark.parametrize("arguments", [("--hours", "nan"), ("--subject", "a\nb"), ("--subject", "\udcff")])
def test_token_takes_no_value_that_no_token_can_have(run, monkeypatch, arguments):
    monkeypatch.setenv("OUTDIAL_JWT_SECRET", SECRET)
    code, out, err = run("token", "--customer", CUSTOMER, *arguments)
    assert (code, out) == (2, "")
    assert arguments[0] in err


@pytest.mark.parametrize(
    ("arguments", "where"),
    [
        ((), "http://127.0.0.1:8000/"),
        (("--url", "https://calls.example.com/"), "https://calls.example.com/"),
        (("--url", "https://example.com/behind/a/proxy"), "https://example.com/behind/a/proxy/"),
    ],
)
def test_token_prints_the_dashboards_link_with_the_token_where_no_server_sees_it(run, monkeypatch, arguments, where):
    monkeypatch.setenv("OUTDIAL_JWT_SECRET", SECRET)
    code, out, err = run("token", "--customer", CUSTOMER, "--link", *arguments)
    assert (code, err) == (0, "")
    match = re.fullmatch(rf"{where}#token=([\w-]+\.[\w-]+\.[\w-]+)\n", out)
    assert match is not None, out
    assert jwt.decode(match[1], options={"verify_signature": False})["customer_id"] == CUSTOMER


def test_token_takes_no_address_that_a_browser_would_not(run):
    code, out, err = run("token", "--customer", CUSTOMER, "--link", "--url", "127.0.0.1:8000")
    assert (code, out) == (2, "")
    assert "--url" in err


@pytest.mark.parametrize("customer", ["ann", "", CUSTOMER[:-1]])
def test_token_wants_a_uuid(run, customer):
    code, out, err = run("token", "--customer", customer)
    assert (code, out) == (2, "")
    assert "--customer" in err
    assert "UUID" in err


@pytest.mark.parametrize("arguments", [("--hours", "0"), ("--hours", "-1"), ("--scope", "admin"), ("--nonsense",)])
def test_token_refuses_what_it_cannot_mean(run, arguments):
    code, out, _ = run("token", "--customer", CUSTOMER, *arguments)
    assert (code, out) == (2, "")


def test_token_says_where_there_is_only_a_public_key(run, monkeypatch):
    monkeypatch.setenv("OUTDIAL_JWT_JWKS_URL", "https://login.example.com/keys")
    code, out, err = run("token", "--customer", CUSTOMER)
    assert (code, out) == (2, "")
    assert err == "outdial: OUTDIAL_JWT_SECRET is not set: this server can verify tokens but not sign them\n"


def test_token_on_postgresql_needs_a_secret(run, monkeypatch):
    monkeypatch.setenv("OUTDIAL_DATABASE_URL", "postgresql://ann:hunter2@db/calls")
    code, out, err = run("token", "--customer", CUSTOMER)
    assert (code, out) == (2, "")
    assert err.startswith("outdial: OUTDIAL_JWT_SECRET is not set")
    assert err.count("\n") == 1
    assert "hunter2" not in err


# ---------------------------------------------------------------- settings


@pytest.mark.parametrize("command", [("serve",), ("migrate",), ("token", "--customer", CUSTOMER)])
def test_a_wrong_setting_is_one_line_and_exit_2(run, monkeypatch, command):
    monkeypatch.setenv("OUTDIAL_EVENT_RETENTION_HOURS", "soon")
    code, out, err = run(*command)
    assert (code, out) == (2, "")
    assert err.startswith("outdial: OUTDIAL_EVENT_RETENTION_HOURS: ")
    assert err.count("\n") == 1


# ---------------------------------------------------------------- migrate


def test_migrate_says_what_it_applied(run, database):
    assert run("migrate") == (0, "Applied 0001_tables\n", "")
    database.applied = []
    assert run("migrate") == (0, "The schema is current.\n", "")
    assert database.calls == [("migrate", "sqlite:///outdial.db")] * 2


def test_migrate_says_which_tables_it_distributed(run, database, monkeypatch):
    url = "postgresql://ann@db/calls"
    monkeypatch.setenv("OUTDIAL_DATABASE_URL", url)
    assert run("migrate", "--distribute") == (0, "Applied 0001_tables\nDistributed customer\n", "")
    database.applied = database.distributed = []
    assert run("migrate", "--distribute") == (0, "The schema is current, and all tables are distributed.\n", "")
    assert database.calls == [("distribute", url)] * 2
    database.error = Unavailable("the database has no Citus")
    assert run("migrate", "--distribute") == (
        1,
        "",
        "outdial: OUTDIAL_DATABASE_URL: cannot use the database: the database has no Citus\n",
    )


@pytest.mark.parametrize(
    "error",
    [
        Unavailable("The database does not answer. Try again."),
        ConnectionRefusedError(111, "Connect call failed ('db', 5432)"),
        OSError("cannot reach postgresql://ann:hunter2@db/calls\nmore"),
        TimeoutError(),
    ],
)
@pytest.mark.parametrize("command", ["migrate", "serve"])
def test_a_database_that_is_away_is_one_line(run, database, served, command, error):
    database.error = error
    code, out, err = run(command)
    assert (code, out, served) == (1, "", [])
    line = err.splitlines()[-1]
    assert line.startswith("outdial: OUTDIAL_DATABASE_URL: cannot use the database: ")
    assert "hunter2" not in err
    assert len(line) > len("outdial: OUTDIAL_DATABASE_URL: cannot use the database: ")


@pytest.mark.parametrize("command", ["migrate", "serve"])
def test_a_file_that_is_no_database_is_one_line(run, served, monkeypatch, tmp_path, command):
    monkeypatch.setenv("OUTDIAL_JWT_SECRET", SECRET)
    (tmp_path / "text.db").write_text("not a database " * 100)
    for url, words in (
        ("sqlite:///text.db", "file is not a database"),
        ("sqlite:////no/such/x.db", "unable to open database file"),
        (f"sqlite:///{tmp_path}", "unable to open database file"),
    ):
        monkeypatch.setenv("OUTDIAL_DATABASE_URL", url)
        code, out, err = run(command)
        assert (code, out, served) == (1, "", [])
        assert err == f"outdial: OUTDIAL_DATABASE_URL: cannot use the database: {words}\n"


# ---------------------------------------------------------------- serve


def test_serve_on_sqlite_migrates_makes_a_secret_and_says_so(run, database, served, tmp_path):
    code, out, err = run("serve", "--port", "0")
    ((settings, listener, _),) = served
    port = listener.getsockname()[1]
    assert code == 0
    url = f"http://127.0.0.1:{port}"
    assert out == f"Outdial listens on {url}\nDashboard: {url}/\nGraphiQL: {url}/graphql\n"
    assert err == "OUTDIAL_JWT_SECRET is not set: a new secret was stored in outdial.db.secret.\n"
    assert database.calls == [("migrate", "sqlite:///outdial.db")]
    secret = (tmp_path / "outdial.db.secret").read_text().strip()
    assert settings.jwt_secret.get_secret_value() == secret
    assert secret not in out + err
    assert stat.S_IMODE((tmp_path / "outdial.db.secret").stat().st_mode) == 0o600


def test_serve_on_postgresql_refuses_an_outdated_schema(run, database, served, monkeypatch):
    monkeypatch.setenv("OUTDIAL_DATABASE_URL", "postgresql://ann:hunter2@db/calls")
    monkeypatch.setenv("OUTDIAL_JWT_SECRET", SECRET)
    database.current = False
    code, out, err = run("serve", "--port", "0")
    assert (code, out, served) == (1, "", [])
    assert err == "outdial: the database's schema is not up to date; run: outdial migrate\n"
    assert database.calls == [("connect", "postgresql://ann:hunter2@db/calls"), ("close",)]


def test_serve_on_postgresql_wants_a_secret_before_it_connects(run, database, served, monkeypatch):
    monkeypatch.setenv("OUTDIAL_DATABASE_URL", "postgresql://ann:hunter2@db/calls")
    code, _, err = run("serve", "--port", "0")
    assert (code, served, database.calls) == (2, [], [])
    assert err.startswith("outdial: OUTDIAL_JWT_SECRET is not set")


def test_workers_need_postgresql(run, database, served, monkeypatch, tmp_path):
    code, _, err = run("serve", "--port", "0", "--workers", "2")
    assert (code, served, database.calls) == (2, [], [])
    assert err == "outdial: --workers above 1 needs PostgreSQL: set OUTDIAL_DATABASE_URL to postgresql://…\n"
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setenv("OUTDIAL_DATABASE_URL", "postgresql://db/calls")
    monkeypatch.setenv("OUTDIAL_JWT_SECRET", SECRET)
    assert run("serve", "--port", "0", "--workers", "2")[0] == 0
    assert [workers for _, _, workers in served] == [2]


def test_a_taken_port_is_one_line(run, database, served):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, out, err = run("serve", "--port", str(port))
    assert (code, out, served) == (1, "", [])
    assert err.splitlines()[-1] == f"outdial: cannot listen on 127.0.0.1, port {port}: Address already in use"


def test_a_host_that_is_none_is_one_line(run, database, served):
    code, _, err = run("serve", "--host", "no such host", "--port", "0")
    assert (code, served) == (1, [])
    assert err.splitlines()[-1].startswith("outdial: cannot listen on no such host, port 0: ")


@pytest.mark.parametrize(
    ("host", "link"),
    [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "localhost"), ("::", "localhost"), ("::1", "[::1]"), ("box", "box")],
)
def test_the_link_is_one_that_a_browser_opens(host, link):
    assert cli._link_host(host) == link


def test_the_server_logs_nothing_that_was_asked_for_and_trusts_no_proxy():
    config = running.config("app.server:create", Settings.load(keep_alive_seconds=90))
    assert config.access_log is False
    assert config.log_config is None
    assert config.server_header is False
    assert config.proxy_headers is False
    assert config.timeout_graceful_shutdown == 10
    assert config.timeout_keep_alive == 90


def started(tmp_path, workers, **environment):
    """The real program, where it said that it listens."""
    process = subprocess.Popen(
        [sys.executable, "-m", "app.cli", "serve", "--port", "0", "--workers", str(workers)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    url = process.stdout.readline().rpartition(" ")[2].strip()
    if not url:
        pytest.fail(process.communicate()[1])
    assert process.stdout.readline() == f"Dashboard: {url}/\n"
    assert process.stdout.readline() == f"GraphiQL: {url}/graphql\n"
    return process, url


def end(process):
    process.kill()
    process.communicate()


def ask(url):
    with urllib.request.urlopen(url, timeout=20) as answer:
        assert "server" not in {name.lower() for name in answer.headers}
        return answer.read().decode()


def test_serve_answers_where_it_says_and_ends_when_told(tmp_path):
    process, url = started(tmp_path, 1)
    try:
        assert json.loads(ask(f"{url}/readyz")) == {"ready": True}
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=20)
    finally:
        end(process)
    assert process.returncode in {0, -signal.SIGTERM}
    assert "Traceback" not in err


def test_workers_are_processes_that_share_a_port_and_the_metrics(tmp_path, postgres_server, postgres_template):
    async def database(urls):
        urls.append(await postgres.create_database(postgres_server, postgres_template))

    urls = []
    aside(database(urls))
    (tmp_path / "temporary").mkdir()
    environment = {"OUTDIAL_DATABASE_URL": urls[0], "OUTDIAL_JWT_SECRET": SECRET, "TMPDIR": str(tmp_path / "temporary")}
    process, url = started(tmp_path, 2, **environment)
    try:
        assert json.loads(ask(f"{url}/readyz")) == {"ready": True}
        children = [
            child for child in psutil.Process(process.pid).children() if "spawn_main" in " ".join(child.cmdline())
        ]
        assert len(children) == 2
        [directory] = (tmp_path / "temporary").glob("outdial-metrics-*")
        assert 'outdial_http_requests_total{method="GET",route="/readyz",status="200"} 1.0' in ask(f"{url}/metrics")
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=20)
    finally:
        end(process)
        aside(postgres.drop_database(postgres_server, urls[0]))
    assert process.returncode == 0
    assert not directory.exists()
    assert "Traceback" not in err


# ---------------------------------------------------------------- the rest


def test_schema_prints_the_sdl(run, monkeypatch):
    module = types.ModuleType("app.graphql.schema")
    module.schema = types.SimpleNamespace(as_str=lambda: "type Query {\n  x: Int\n}\n")
    monkeypatch.setitem(sys.modules, "app.graphql.schema", module)
    assert run("schema") == (0, "type Query {\n  x: Int\n}\n", "")


def test_demo_runs_on_the_port_it_is_given(run, monkeypatch):
    ports = []
    module = types.ModuleType("app.demo")
    module.run = ports.append
    monkeypatch.setitem(sys.modules, "app.demo", module)
    monkeypatch.setattr(sys.modules["app"], "demo", module, raising=False)
    assert run("demo") == (0, "", "")
    assert run("demo", "--port", "8123") == (0, "", "")
    assert ports == [8000, 8123]


def test_version_is_printed(run):
    code, out, _ = run("--version")
    assert code == 0
    assert re.fullmatch(r"outdial \S.*\n", out)


def test_help_names_every_command():
    out = CliRunner().invoke(cli.app, ["--help"]).output
    for command in ("serve", "demo", "dial", "migrate", "token", "schema", "import", "export"):
        assert re.search(rf"^\s+{command}\b", out, re.MULTILINE)


def test_a_bug_is_no_settings_error(monkeypatch):
    monkeypatch.setenv("OUTDIAL_JWT_SECRET", SECRET)
    monkeypatch.setattr(auth, "issue", lambda *_: 1 / 0)
    monkeypatch.setattr(sys, "argv", ["outdial", "token", "--customer", CUSTOMER])
    with pytest.raises(ZeroDivisionError):
        cli.main()
