"""Plays a document: its examples run in order at a real server, and their results are compared.

Ids, cursors and times differ from one run to the next. Each id of the page is mapped to one value of the run
everywhere, so that a later block can use the result of an earlier one.

`python -m tests.support.playing` writes the answers of the pages again, after a message or a default has changed.
"""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx

from tests.support import documents
from tests.support.documents import Block
from tests.support.server import JWT_SECRET, REPOSITORY, ServerProcess, token

PLAYED = ("README.md", "docs/tour.md", "docs/rest.md", "docs/imports.md")
"""Pages that are played from the first block to the last."""
URL = "http://127.0.0.1:8000"
CUSTOMER = "5e4a0680-804e-11ec-8477-2feea5968d85"
"""For all examples of the pages."""
LINE_CHARACTERS_MAX = 112
BLOCK_SECONDS_MAX = 60
STREAM_SECONDS_MAX = 20
BYTE_ORDER_MARK = "\ufeff"
_ELSEWHERE = ("pip install", "outdial serve", "outdial demo", "outdial migrate", "docker ", "git clone")
"""Blocks with these commands set something up or do not end. Other tests run the commands."""
_STREAM = "curl -N"
_TIME = r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d\.\d{6}"
_LOCAL_TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d"
_NEVER = "9999-01-01 00:00:00.000000"
_PASSING = re.compile(
    rf"[0-9a-f]{{8}}-[0-9a-f]{{4}}-[0-9a-f]{{4}}-[0-9a-f]{{4}}-[0-9a-f]{{12}}|{_TIME}|{_LOCAL_TIME}"
    r"|\bAQ[\w-]{20,}|\beyJ[\w.-]+"
)
"""What differs from run to run: ids, times, cursors, tokens."""


class Mismatch(AssertionError):  # noqa: N818 - a result of the test
    """A document differs from what the server does."""


@dataclass(slots=True)
class Player:
    """Plays the blocks of one page, for a customer of its own.

    Args:
        server: a running one.
        folder: an empty one, where shell commands run.
    """

    server: ServerProcess
    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    real: dict[str, str] = field(default_factory=dict)
    """The values of this run, by the page's values."""

    def __post_init__(self) -> None:
        self.real[CUSTOMER] = str(uuid4())
        self.environment = {
            "TOKEN": token(self.real[CUSTOMER]),
            "PATH": f"{self._commands()}:{os.environ['PATH']}",
            "PYTHONPATH": str(REPOSITORY),
            "OUTDIAL_JWT_SECRET": JWT_SECRET,
            "OUTDIAL_DATABASE_URL": self.server.database_url,
            "OUTDIAL_URL": self.server.url,
        }
        made = self._send('mutation { createOutdial(input: { name: "Appointments" }) { outdial { id } } }')
        self.environment["OUTDIAL"] = made["data"]["createOutdial"]["outdial"]["id"]

    def play(self, block: Block, *, lines: int | None) -> str | None:
        """Do what a block says.

        Args:
            block: of the page.
            lines: after how many lines of output to stop; None to run it to its end.

        Returns:
            The result; None if the block is not played.
        """
        text = self.replaced(block.text)
        if block.language == "graphql":
            return json.dumps(self._send(text), indent=1, ensure_ascii=False)
        if block.language == "sh" and not any(word in text for word in _ELSEWHERE):
            return self._run(block, text, lines)
        return None

    def keep(self, name: str, text: str) -> None:
        """Store a file of the page where the page's commands find it."""
        (self.folder / name).write_text(text)

    def replaced(self, text: str) -> str:
        """A text of the page with this run's values."""
        text = text.replace(URL, self.server.url).replace(".venv/bin/", "")
        return _PASSING.sub(lambda match: self.real.get(match[0], match[0]), text)

    def compare(self, shown: Block, got: str) -> None:
        """Compare a result with the page, and store the values of this run.

        Raises:
            Mismatch: they differ in more than such values.
        """
        expected, actual = _settled(shown.text), _settled(got)
        wanted, found = _PASSING.sub("…", expected), _PASSING.sub("…", actual)
        if wanted != found:
            raise Mismatch(f"{shown} shows\n{wanted}\nbut it is\n{found}")
        old, new = _PASSING.findall(expected), _PASSING.findall(actual)
        for before, after in zip(old, new, strict=True):
            if self.real.setdefault(before, after) != after and not re.fullmatch(_TIME, before):
                raise Mismatch(f"{shown}: {before} stands for two values, {self.real[before]} and {after}")
        if _steps(old) != _steps(new) and shown.language == "json":
            raise Mismatch(f"{shown}: the times are not as far from each other as {_steps(new)}")

    def learn(self, shown: str, got: str) -> None:
        """Map the values in the order in which they are in the page, if there are as many."""
        old, new = _PASSING.findall(_settled(shown)), _PASSING.findall(_settled(got))
        if len(old) == len(new):
            self.real.update(zip(old, new, strict=True))

    def _send(self, query: str) -> dict[str, Any]:
        if query.lstrip().startswith("subscription"):
            return {}
        url, headers = f"{self.server.url}/graphql", {"Authorization": f"Bearer {self.environment['TOKEN']}"}
        response = httpx.post(url, json={"query": query}, headers=headers, timeout=BLOCK_SECONDS_MAX, trust_env=False)
        answer: dict[str, Any] = response.json()
        return answer

    def _run(self, block: Block, text: str, lines: int | None) -> str:
        kept = self.folder / ".exports"
        script = f"set -euo pipefail\n[ ! -e {kept} ] || . {kept}\n{text}\nexport -p > {kept}\n"
        process = subprocess.Popen(
            ["bash", "-c", script], cwd=self.folder, env=self.environment, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        timer = threading.Timer(BLOCK_SECONDS_MAX, os.killpg, (process.pid, signal.SIGKILL))
        timer.start()
        got: list[str] = []
        assert process.stdout is not None
        try:
            for line in process.stdout:
                if line.strip() not in {"", ":"}:  # keep-alives of a stream
                    got.append(line.removeprefix(BYTE_ORDER_MARK))
                if lines is not None and len(got) == lines and _STREAM in text:
                    break
            else:
                if process.wait() != 0:
                    raise Mismatch(f"{block} failed:\n{text}\n{''.join(got)}")
        finally:
            timer.cancel()
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            process.stdout.close()
        return "".join(got)

    def _commands(self) -> Path:
        """A folder with `outdial` and `python3` of this Python."""
        folder = self.folder / ".bin"
        folder.mkdir()
        for name, arguments in (("outdial", "-m app.cli"), ("python3", "")):
            command = folder / name
            command.write_text(f'#!/bin/sh\nexec {sys.executable} {arguments} "$@"\n')
            command.chmod(0o755)
        return folder


def pairs(page: Path) -> Iterator[tuple[Block, Block | None]]:
    """Each block of a page, with the one that shows its result."""
    found = documents.blocks(of=page)
    for block, following in pairwise([*found, None]):
        assert block is not None
        if block.language in {"graphql", "sh", "csv"}:
            shows = following is not None and following.language in {"json", "text"}
            yield block, following if shows else None


def play(page: Path, server: ServerProcess, folder: Path) -> tuple[int, int]:
    """Play a page to its end.

    Returns:
        How many blocks were played, and how many results were compared.

    Raises:
        Mismatch: at the first difference.
    """
    player = Player(server, folder)
    played = compared = 0
    for block, shown in pairs(page):
        if block.language == "csv":
            player.keep("patients.csv", block.text)
            continue
        got = player.play(block, lines=_count(shown))
        played += got is not None
        if got is not None and shown is not None:
            _compare(player, block, shown, got)
            compared += 1
        elif got is not None and block.language == "graphql" and '"errors"' in got:
            raise Mismatch(f"{block} is refused: {got}")
    return played, compared


def _compare(player: Player, block: Block, shown: Block, got: str) -> None:
    """Compare. A stream's events may come later, so it is read again until they are there."""
    deadline = time.monotonic() + STREAM_SECONDS_MAX
    while True:
        try:
            return player.compare(shown, got)
        except Mismatch:
            if _STREAM not in block.text or time.monotonic() > deadline:
                raise
        got = player.play(block, lines=_count(shown)) or ""


def rewrite(page: Path, server: ServerProcess, folder: Path) -> None:
    """Put the real result of a block into the page, if the page shows something else. Known ids stay as they are."""
    player = Player(server, folder)
    text, moved = page.read_text(), 0
    for block, shown in pairs(page):
        if block.language == "csv":
            player.keep("patients.csv", block.text)
            continue
        got = player.play(block, lines=_count(shown))
        if got is None or shown is None:
            continue
        try:
            _compare(player, block, shown, got)
            continue
        except Mismatch as mismatch:
            sys.stderr.write(f"{mismatch}\n")
            player.learn(shown.text, got)
        learned = {after: before for before, after in player.real.items()}
        got = _PASSING.sub(lambda match: learned.get(match[0], match[0]), got)  # noqa: B023 - called at once
        new = got.replace(server.url, URL)
        new = f"{pretty(json.loads(new))}\n" if shown.language == "json" else new
        start = shown.start + moved
        text = text[:start] + new + text[start + len(shown.text) :]
        moved += len(new) - len(shown.text)
        for value in _PASSING.findall(new):
            player.real.setdefault(value, value)
    page.write_text(text)


def pretty(value: Any, depth: int = 0) -> str:
    """JSON as in the pages: below the root field, what fits on a line is on one line."""
    line = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, dict | list) or not value:
        return line
    if isinstance(value, dict):
        line = "{" + line[1:-1] + "}"
        parts = [f"{json.dumps(key)}: {pretty(inner, depth + 1)}" for key, inner in value.items()]
    else:
        parts = [pretty(inner, depth + 1) for inner in value]
    is_flat = depth == 1 and not any(isinstance(inner, dict | list) for inner in _values(value))
    if (depth > 1 or is_flat) and len(line) + 2 * depth <= LINE_CHARACTERS_MAX:
        return line
    begin, end = ("{", "}") if isinstance(value, dict) else ("[", "]")
    space = "  " * (depth + 1)
    return f"{begin}\n" + ",\n".join(space + part for part in parts) + f"\n{space[:-2]}{end}"


def _values(value: dict[str, Any] | list[Any]) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value


def _count(shown: Block | None) -> int | None:
    return None if shown is None else sum(1 for line in shown.text.splitlines() if line.strip())


def _settled(text: str) -> str:
    """A text in the form for comparison."""
    try:
        return json.dumps(json.loads(text), indent=1, ensure_ascii=False)
    except ValueError:
        return "\n".join(line.rstrip() for line in text.splitlines() if line.strip()).replace(_NEVER, "never")


def _steps(values: list[str]) -> list[int | None]:
    """Whole seconds from one time to the next; None if they are not whole."""
    times = [datetime.fromisoformat(value) for value in values if re.fullmatch(_TIME, value) and value != _NEVER]
    return [
        int(step.total_seconds()) if step.microseconds == 0 and step.total_seconds() else None
        for step in (after - before for before, after in pairwise(times))
    ]


def main(environment: Mapping[str, str] = os.environ) -> None:
    """Write the answers of every played page again, from a server with its own database."""
    for name in [name for name in environment if name.startswith("OUTDIAL_")]:
        del os.environ[name]
    for name in PLAYED:
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            (folder / "shell").mkdir()
            with ServerProcess(f"sqlite:///{folder / 'outdial.db'}", folder) as server:
                rewrite(documents.page(name), server, folder / "shell")


if __name__ == "__main__":
    main()
