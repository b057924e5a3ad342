"""`outdial serve`: what it needs, what it says, and where it answers."""

import json
import signal
import socket
import stat
import urllib.request

import psutil
import pytest

from app import cli
from app.server import running
from app.settings import Settings
from tests.conftest import aside
from tests.support import postgres
from tests.support.program import end, started
from tests.support.tokens import SECRET


def test_serve_on_sqlite_migrates_makes_a_secret_and_says_so(run, database, served, tmp_path):
    code, out, err = run("serve", "--port", "0")
    ((settings, [listener], _),) = served
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


def ask(url):
    with urllib.request.urlopen(url, timeout=80) as answer:
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


@pytest.mark.slow
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
