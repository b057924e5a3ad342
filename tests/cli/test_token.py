"""`outdial token`: what it prints, what it signs with, and what it refuses."""

import re

import jwt
import pytest

from app.auth import Scope, TokenReader
from app.settings import Settings
from tests.support.tokens import CUSTOMER, SECRET


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
