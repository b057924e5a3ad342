"""The program in this process, with stand-ins for the database and the server."""

import sys
import types

import pytest

from app import cli, db
from app.settings import Settings


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

    def serve(settings, listeners, workers):
        calls.append((settings, listeners, workers))
        return True

    monkeypatch.setattr(cli, "_serve", serve)
    yield calls
    for listener in (listener for _, listeners, _ in calls for listener in listeners):
        listener.close()
