"""The other commands: what they print, what they refuse and how."""

import re
import sys
import types

import pytest
from typer.testing import CliRunner

from app import auth, cli
from app.errors import Unavailable
from tests.support.tokens import CUSTOMER, SECRET

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
