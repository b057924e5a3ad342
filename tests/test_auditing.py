"""The scan for secrets and the audit of dependencies: what they find, and what they say if they learn nothing."""

import json
import secrets as random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import auditing
from tests.support.auditing import Audit
from tests.support.server import REPOSITORY

# Put together here: written out, they would be found in this file.
PLANTED = {
    "AWS Access Key": "AKIA" + "IOSFODNN7" + "EXAMPLE",
    "Private Key": "-----BEGIN " + "RSA PRIVATE KEY-----",
    "GitHub Token": "ghp_" + "a1B2" * 9,
    "PyPI Token": "pypi-AgEIcHlwaS5vcmc" + "A" * 80,
    "Stripe Access Key": "sk_live_" + "a1B2c3" * 4,
}
GUESSED = {
    "Secret Keyword": 'password = "' + "correct-horse" + '-battery"',
    "Basic Auth Credentials": "url: https://ann:" + "hunter2x" + "@example.com/",
    "Hex High Entropy String": f'key = "{random.token_hex(32)}"',
}


@pytest.mark.parametrize("folder", ["app", "tests", "docs"])
def test_a_key_of_a_known_form_is_found_wherever_it_is(tmp_path: Path, folder: str) -> None:
    (tmp_path / folder).mkdir()
    for kind, text in PLANTED.items():
        (tmp_path / folder / "file.py").write_text(f"# a file\nvalue = '{text}'\n")
        assert (f"{folder}/file.py", 2, kind) in auditing.secrets([f"{folder}/file.py"], tmp_path)


def test_what_looks_like_a_secret_is_found_where_nothing_is_made_up(tmp_path: Path) -> None:
    for folder in ("app", "tests"):
        (tmp_path / folder).mkdir()
    for kind, text in GUESSED.items():
        for name in ("app/file.py", "tests/file.py", "settings.env"):
            (tmp_path / name).write_text(f"{text}\n")
        found = auditing.secrets(["app/file.py", "tests/file.py", "settings.env"], tmp_path)
        assert {(secret.file, secret.kind) for secret in found} >= {("app/file.py", kind), ("settings.env", kind)}
        assert not [secret for secret in found if secret.file == "tests/file.py"]


def test_every_exception_is_still_needed() -> None:
    kinds = dict.fromkeys(auditing.ALLOWED, 0)
    kept, auditing.ALLOWED = auditing.ALLOWED, {}
    try:
        for secret in auditing.secrets([file for file, _ in kept]):
            kinds[secret.file, secret.kind] += 1
    finally:
        auditing.ALLOWED = kept
    assert all(kinds.values()), kinds


def test_new_files_are_scanned_before_they_are_committed() -> None:
    assert "tests/support/auditing.py" in auditing.tracked()
    assert not [name for name in auditing.tracked() if name.startswith((".venv/", "app/web/node_modules/"))]


def test_vulnerabilities_are_said_and_fail(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    holes = [{"id": "PYSEC-1", "fix_versions": ["2.0"]}, {"id": "PYSEC-2", "fix_versions": []}]
    packages = [{"name": "a", "version": "1", "vulns": holes}, {"name": "b", "version": "1", "vulns": []}]
    answer = json.dumps({"dependencies": packages, "fixes": []})
    audit = auditing.of_pip_audit(answer, "")
    assert list(audit.lines()) == [
        "pip-audit: 2 packages audited, 2 vulnerabilities",
        "pip-audit: a 1: PYSEC-1, mended in 2.0",
        "pip-audit: a 1: PYSEC-2, mended in nothing",
    ]
    monkeypatch.setitem(auditing.IGNORED, "PYSEC-1", "not used here")
    assert len(auditing.of_pip_audit(answer, "").vulnerable) == 1
    of_npm = {"metadata": {"dependencies": {"total": 7}}, "vulnerabilities": {"x": {"severity": "high", "range": "<2"}}}
    found = auditing.of_npm_audit(json.dumps(of_npm), "")
    assert list(found.lines()) == ["npm audit: 7 packages audited, 1 vulnerabilities", "npm audit: x: high, in <2"]
    monkeypatch.setattr(auditing, "audit_python", lambda: audit)
    monkeypatch.setattr(auditing, "audit_javascript", lambda: found)
    assert auditing.main("dependencies") == 1
    assert "PYSEC-2" in capsys.readouterr().out


def test_what_could_not_be_asked_is_said_and_does_not_fail(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    skipped = {"dependencies": [{"name": "a", "skip_reason": "not found"}, {"name": "b", "version": "1", "vulns": []}]}
    partly = auditing.of_pip_audit(json.dumps(skipped), "")
    assert list(partly.lines()) == [
        "pip-audit: NOT AUDITED: 1 of 2 packages: the registry does not tell",
        "pip-audit: 1 packages audited, 0 vulnerabilities",
    ]
    away = auditing.of_pip_audit("", "ConnectionError: no such host")
    assert list(away.lines()) == ["pip-audit: NOT AUDITED: the packages: ConnectionError: no such host"]
    refused = auditing.of_npm_audit('{"message": "405 Method Not Allowed"}', "npm error")
    assert list(refused.lines()) == ["npm audit: NOT AUDITED: the packages: 405 Method Not Allowed"]
    monkeypatch.setattr(auditing, "audit_python", lambda: away)
    monkeypatch.setattr(auditing, "audit_javascript", lambda: refused)
    assert auditing.main("dependencies") == 0
    assert capsys.readouterr().out.count("NOT AUDITED") == 2


def test_a_tool_that_hangs_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auditing, "ASK_SECONDS_MAX", 0.5)
    assert auditing._asked([sys.executable, "-c", "import time; time.sleep(60)"], REPOSITORY) == (
        "", "no answer within 0.5 seconds",
    )  # fmt: skip
    assert isinstance(auditing.of_pip_audit("", "x"), Audit)


def test_the_check_script_runs_both() -> None:
    script = (REPOSITORY / ".ci" / "check").read_text()
    for what in ("secrets", "dependencies"):
        assert f'"$bin/python" -m tests.support.auditing {what}' in script
    subprocess.run(["bash", "-n", REPOSITORY / ".ci" / "check"], check=True, timeout=10)
