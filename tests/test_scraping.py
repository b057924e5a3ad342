"""Who reads /metrics: by its own port and by its token, asked of real servers over HTTP."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from app.settings import Settings, SettingsError
from tests.support.postgres import free_port
from tests.support.raw import Raw
from tests.support.server import REPOSITORY, ServerProcess
from tests.test_signals import until, write

TOKEN = "0123456789abcdef-planted-token-of-metrics"
NEW_TOKEN = "fedcba9876543210-planted-token-of-metrics"


class Scraped:
    """A server whose metrics have a port and a token."""

    def __init__(self, process: ServerProcess, port: int, settings: Path) -> None:
        self.process = process
        self.url = f"http://127.0.0.1:{port}"
        self.port = port
        self.settings = settings

    def get(self, path: str = "/metrics", *, bearer: str | None = TOKEN, **headers: str) -> httpx.Response:
        if bearer is not None:
            headers["Authorization"] = f"Bearer {bearer}"
        return httpx.get(f"{self.url}{path}", headers=headers, trust_env=False, timeout=20)


@pytest.fixture(scope="module")
def scraped(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scraped]:
    folder = tmp_path_factory.mktemp("scraped")
    database = shutil.copyfile(sqlite_template, folder / "outdial.db")
    port, settings = free_port(), folder / "settings"
    write(settings, metrics_port=port, metrics_token=TOKEN, log_level="DEBUG")
    environment = {"OUTDIAL_SETTINGS_FILE": str(settings), "OUTDIAL_BASE_PATH": "/calls"}
    with ServerProcess(f"sqlite:///{database}", folder, environment=environment) as process:
        yield Scraped(process, port, settings)
    assert "planted" not in process.output()


def test_the_metrics_have_a_port_of_their_own_and_nothing_else_is_there(scraped: Scraped) -> None:
    answer = scraped.get()
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert "outdial_http_requests_total" in answer.text
    assert scraped.get("/calls/metrics").status_code == 200
    for path in ("/", "/graphql", "/healthz", "/readyz", "/v1.0/outdials", "/session", "/metrics/", "//metrics"):
        assert scraped.get(path).status_code == 404, path
    with Raw(scraped.port) as connection, pytest.raises(AssertionError, match="404"):
        connection.upgrade()


def test_the_usual_port_has_no_metrics_then_whatever_the_host_header_says(scraped: Scraped) -> None:
    for path in ("/metrics", "/calls/metrics"):
        for host in ("x", f"127.0.0.1:{scraped.port}"):
            headers = {"Authorization": f"Bearer {TOKEN}", "Host": host}
            answer = httpx.get(f"{scraped.process.url}{path}", headers=headers, trust_env=False)
            assert answer.status_code == 404
            assert "outdial_" not in answer.text
    assert httpx.get(f"{scraped.process.url}/calls/readyz", trust_env=False).status_code == 200


@pytest.mark.parametrize(
    "value",
    [
        None, "", "Bearer", "bearer x", f"Bearer {TOKEN[:-1]}", f"Bearer {TOKEN}x", f"Bearer {TOKEN.upper()}",
        f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN} {TOKEN}", "Bearer \xe9\xff", "Bearer " + "x" * 20_000,
    ],
    ids=lambda value: "nothing" if value is None else repr(value[:40]),
)  # fmt: skip
def test_without_the_token_nobody_learns_more_than_that_one_is_needed(scraped: Scraped, value: str | None) -> None:
    headers = {} if value is None else {"Authorization": value.encode("latin-1")}
    answer = httpx.get(f"{scraped.url}/metrics", headers=headers, trust_env=False, timeout=20)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    problem = {"message": "A token is needed.", "extensions": {"code": "UNAUTHENTICATED"}}
    assert answer.json() == {"errors": [problem]}


def test_the_token_counts_in_its_header_alone(scraped: Scraped) -> None:
    assert scraped.get(f"/metrics?token={TOKEN}", bearer=None).status_code == 401
    assert scraped.get(bearer=None, Cookie=f"token={TOKEN}").status_code == 401


def test_a_new_token_counts_from_sighup_on(scraped: Scraped) -> None:
    before = scraped.process.output().count("settings_read")
    write(scraped.settings, metrics_port=scraped.port, metrics_token=NEW_TOKEN, log_level="DEBUG")
    os.kill(scraped.process.pid, signal.SIGHUP)
    until(lambda: scraped.process.output().count("settings_read") > before)
    assert scraped.get().status_code == 401
    assert scraped.get(bearer=NEW_TOKEN).status_code == 200
    write(scraped.settings, metrics_port=scraped.port, metrics_token=TOKEN, log_level="DEBUG")
    os.kill(scraped.process.pid, signal.SIGHUP)
    until(lambda: scraped.process.output().count("settings_read") > before + 1)


def test_the_token_is_in_no_line_of_the_log(scraped: Scraped) -> None:
    scraped.get(f"/metrics?token={TOKEN}")
    scraped.get(f"/{TOKEN}")
    httpx.get(f"{scraped.process.url}/calls/{TOKEN}", trust_env=False)
    assert scraped.process.output().count("path=/[redacted]") >= 1
    assert "planted" not in scraped.process.output()


def test_the_port_is_open_on_its_own_address_alone(sqlite_template: Path, tmp_path: Path) -> None:
    """As with a private network of the machine: every address of 127.0.0.0/8 is one of this machine."""
    database, port = shutil.copyfile(sqlite_template, tmp_path / "outdial.db"), free_port()
    environment = {"OUTDIAL_METRICS_PORT": str(port), "OUTDIAL_METRICS_HOST": "127.0.0.2"}
    with ServerProcess(f"sqlite:///{database}", tmp_path, environment=environment):
        assert httpx.get(f"http://127.0.0.2:{port}/metrics", trust_env=False, timeout=20).status_code == 200
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False, timeout=20)


@pytest.mark.slow
def test_all_workers_share_the_port_and_a_killed_one_leaves_it_to_the_others(postgres_url: str, tmp_path: Path) -> None:
    port = free_port()
    environment = {"OUTDIAL_METRICS_PORT": str(port)}
    with ServerProcess(postgres_url, tmp_path, environment=environment, workers=2) as server:
        children = psutil.Process(server.pid).children()
        workers = [child for child in children if "spawn_main" in " ".join(child.cmdline())]
        assert len(workers) == 2

        def answered() -> float:
            page = httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False, timeout=20).text
            [line] = [line for line in page.splitlines() if 'route="/healthz",status="200"' in line and "total" in line]
            return float(line.rpartition(" ")[2])

        for _ in range(20):  # each on a new connection, so of either worker
            assert httpx.get(f"{server.url}/healthz", trust_env=False).status_code == 200
        assert {answered() for _ in range(10)} == {20.0}
        workers[0].kill()
        workers[0].wait(10)
        assert {answered() for _ in range(5)} == {20.0}


@pytest.mark.parametrize(("given", "words"), [("8123", "OUTDIAL_METRICS_PORT: must not be 8123"), (None, "port ")])
def test_a_port_that_cannot_be_had_stops_the_start_in_one_line(tmp_path: Path, given: str | None, words: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = given or str(taken.getsockname()[1])
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("OUTDIAL_")},
            "PYTHONPATH": str(REPOSITORY),
            "OUTDIAL_METRICS_PORT": port,
        }
        command = [sys.executable, "-m", "app.cli", "serve", "--port", given or "0"]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False
        )
    assert done.returncode != 0
    assert words in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "token", ["short", "x" * 15, "x" * 1_001, "with space in the middle", "line\nbreak" * 3, "é" * 20]
)
def test_a_token_that_no_header_can_carry_or_that_is_guessed_is_refused(token: str) -> None:
    with pytest.raises(SettingsError, match=r"^OUTDIAL_METRICS_TOKEN: must be 16 to 1,000 letters") as caught:
        Settings.load(metrics_token=token)
    assert token not in str(caught.value)
    assert Settings.load(metrics_token="x" * 16).metrics_token is not None
