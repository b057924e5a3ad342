"""What `.ci/check` asks beside the tests: is a secret in the repository, has a dependency a known vulnerability?

    python -m tests.support.auditing secrets
    python -m tests.support.auditing dependencies

The first needs no network, and nothing that looks like a secret passes. The second asks the package registries. If one
does not answer that question, it says so, and does not fail.
"""

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from detect_secrets.core import scan
from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class
from detect_secrets.settings import transient_settings

from tests.support.node import commands
from tests.support.server import REPOSITORY

ASK_SECONDS_MAX = 180
_NO_SECRETS = {"Public IP (ipv4)"}
_GUESSES = {"Base64 High Entropy String", "Hex High Entropy String", "Secret Keyword", "Basic Auth Credentials"}
"""What only looks like a secret. Tests and documents have many such texts, made up; a lock file has hashes."""
_MADE_UP = ("tests/", "docs/", "README.md", "app/web/package-lock.json")
ALLOWED = {
    ("app/database_url/__init__.py", "Basic Auth Credentials"): "the form of a URL, in a docstring",
    ("tests/test_odd_commands.py", "JSON Web Token"): "made up: a command line with one",
    ("tests/test_raw_fuzzing.py", "JSON Web Token"): "made up: sent to a server that refuses it",
}
"""What is found and is no secret, with the reason."""
IGNORED: dict[str, str] = {}
"""Vulnerabilities that do not concern this program, by id, with the reason."""


class Found(NamedTuple):
    """Something that looks like a secret."""

    file: str
    line: int
    kind: str


class Audit(NamedTuple):
    """What is known of some dependencies."""

    tool: str
    asked: int
    unknown: int
    """Of which nothing could be learned."""
    vulnerable: list[str]
    reason: str = ""
    """Why not."""

    def lines(self) -> Iterator[str]:
        if self.reason or self.unknown:
            number = f"{self.unknown} of {self.asked} packages" if self.asked else "the packages"
            yield f"{self.tool}: NOT AUDITED: {number}: {self.reason or 'the registry does not tell'}"
        if self.asked > self.unknown:
            yield f"{self.tool}: {self.asked - self.unknown} packages audited, {len(self.vulnerable)} vulnerabilities"
        yield from (f"{self.tool}: {line}" for line in self.vulnerable)


# ---------------------------------------------------------------- secrets


def tracked() -> list[str]:
    """The repository's files, and new ones that git does not ignore."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=REPOSITORY, capture_output=True, check=True, timeout=60).stdout.decode()
    return [name for name in listed.split("\0") if name and (REPOSITORY / name).is_file()]


def secrets(files: Iterable[str], folder: Path = REPOSITORY) -> list[Found]:
    """What looks like a secret in these files. Nothing is sent anywhere to try it."""
    kinds = get_mapping_from_secret_type_to_class()
    plugins = [{"name": kind.__name__} for name, kind in kinds.items() if name not in _NO_SECRETS]
    filters = [
        {"path": f"detect_secrets.filters.heuristic.{name}"}
        for name in ("is_templated_secret", "is_indirect_reference", "is_sequential_string", "is_potential_uuid")
    ]
    found = []
    with transient_settings({"plugins_used": plugins, "filters_used": filters}):
        for name in files:
            for secret in scan.scan_file(str(folder / name)):
                is_made_up = secret.type in _GUESSES and name.startswith(_MADE_UP)
                if not is_made_up and (name, secret.type) not in ALLOWED:
                    found.append(Found(name, secret.line_number, secret.type))
    return sorted(set(found))


# ---------------------------------------------------------------- dependencies


def audit_python() -> Audit:
    """Of all that is pinned in constraints.txt, by PyPI's own list of vulnerabilities."""
    command = [sys.executable, "-m", "pip_audit", "-r", "constraints.txt", "--no-deps", "--disable-pip"]
    return of_pip_audit(*_asked([*command, "--progress-spinner", "off", "--format", "json"], REPOSITORY))


def of_pip_audit(output: str, problem: str) -> Audit:
    try:
        packages = json.loads(output)["dependencies"]
    except (ValueError, KeyError, TypeError):
        return Audit("pip-audit", 0, 0, [], problem or "no answer")
    vulnerable = [
        f"{package['name']} {package['version']}: {hole['id']}, mended in {_listed(hole['fix_versions'])}"
        for package in packages
        for hole in package.get("vulns", ())
        if hole["id"] not in IGNORED
    ]
    return Audit("pip-audit", len(packages), sum("skip_reason" in package for package in packages), vulnerable)


def _listed(versions: list[str]) -> str:
    return ", ".join(versions) or "nothing"


def audit_javascript() -> Audit:
    """Of all that package-lock.json pins for the web pages, by npm's own list."""
    _, npm, _ = commands()
    return of_npm_audit(*_asked([*npm, "audit", "--json"], REPOSITORY / "app" / "web"))


def of_npm_audit(output: str, problem: str) -> Audit:
    try:
        answer = json.loads(output)
        asked = answer["metadata"]["dependencies"]["total"]
    except (ValueError, KeyError, TypeError):
        return Audit("npm audit", 0, 0, [], _message(output) or problem or "no answer")
    vulnerable = [
        f"{name}: {holes['severity']}, in {holes['range']}"
        for name, holes in answer["vulnerabilities"].items()
        if name not in IGNORED
    ]
    return Audit("npm audit", asked, 0, vulnerable)


def _message(output: str) -> str:
    try:
        return str(json.loads(output)["message"])
    except (ValueError, KeyError, TypeError):
        return ""


def _asked(command: Sequence[str], folder: Path) -> tuple[str, str]:
    """What the command prints, and the last line of its complaint."""
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=ASK_SECONDS_MAX, check=False)
    except subprocess.TimeoutExpired:
        return "", f"no answer within {ASK_SECONDS_MAX} seconds"
    return done.stdout, (done.stderr.strip().splitlines() or [""])[-1]


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def main(what: str) -> int:
    """The exit code, after it has said what it found."""
    if what == "secrets":
        found = secrets(tracked())
        for secret in found:
            _say(f"{secret.file}:{secret.line}: looks like a secret: {secret.kind}")
        if found:
            _say("Take it out, and change it where it is used. If it is none: ALLOWED in tests/support/auditing.py")
        else:
            _say("No secrets.")
        return int(bool(found))
    audits = [audit_python(), audit_javascript()]
    for audit in audits:
        for line in audit.lines():
            _say(line)
    return int(any(audit.vulnerable for audit in audits))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
