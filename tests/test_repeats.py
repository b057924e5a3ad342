"""Log lines that come with each request of an outage: few are written, and all are counted."""

import asyncio
import json
import logging
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import structlog

from app import logs, metrics, repeats
from app.settings import Settings
from tests.support import postgres
from tests.support.relay import Relay
from tests.support.server import ServerProcess, token
from tests.support.waiting import until

Lines = Callable[[], list[dict[str, Any]]]
REQUESTS = 200


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Lines]:
    """The lines of JSON that were written since it was last asked."""
    monkeypatch.setattr(repeats, "SUMMARY_SECONDS", 0.2)
    monkeypatch.setattr(logs, "_repeats", repeats.Repeats())
    logs.configure(Settings(jwt_secret="x" * 32, log_format="json"))  # type: ignore[arg-type]
    yield lambda: [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if isinstance(handler, logs._Handler)]:
        root.removeHandler(handler)
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


def withheld(event: str) -> float:
    return metrics.withheld_lines.labels(event)._value.get()  # type: ignore[no-any-return]


def fail(reason: str, times: int = 1, **more: Any) -> None:
    for number in range(times):
        structlog.get_logger("outdial.test").warning("unavailable", reason=reason, path=["a", number], **more)


async def test_the_first_line_is_written_at_once_and_then_their_number(lines: Lines) -> None:
    before = withheld("unavailable")
    written: list[dict[str, Any]] = []

    def has_two() -> bool:
        written.extend(lines())
        return len(written) >= 2

    request = logs.request_id.set("the first one")
    fail("away", 100)
    fail("busy", 10)
    logs.request_id.reset(request)
    first = lines()
    assert [(line["reason"], line["path"], line["request_id"]) for line in first] == [
        ("away", ["a", 0], "the first one"),
        ("busy", ["a", 0], "the first one"),
    ]
    assert withheld("unavailable") - before == 108
    for _ in range(2):
        await until(has_two)
        assert sorted((line["reason"], line["repeated"]) for line in written) == [("away", 99), ("busy", 9)]
        assert {(line["event"], line["level"], line["logger"], "request_id" in line) for line in written} == {
            ("unavailable", "warning", "outdial.test", False)
        }
        fail("away", 99)
        fail("busy", 9)
        written.clear()
    await asyncio.sleep(3 * repeats.SUMMARY_SECONDS)  # what is over is not written about
    lines()
    fail("away")
    assert [(line["reason"], "repeated" in line) for line in lines()] == [("away", False)]


async def test_other_lines_are_all_written(lines: Lines) -> None:
    for _ in range(10):
        structlog.get_logger("outdial.test").warning("something_else", reason="away")
    assert len(lines()) == 10


@pytest.mark.parametrize(("kinds", "written"), [(repeats.KINDS_MAX, 0), (repeats.KINDS_MAX + 50, 1)])
async def test_there_are_so_many_kinds(lines: Lines, kinds: int, written: int) -> None:
    for number in range(kinds):
        fail(f"reason {number}")
    assert len(lines()) == repeats.KINDS_MAX + written
    for number in range(kinds):
        fail(f"reason {number}")
    assert lines() == []
    assert len(logs._repeats._runs) == repeats.KINDS_MAX + written


def test_without_a_loop_the_next_line_has_the_number(lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    fail("away", 10)
    assert len(lines()) == 1
    monkeypatch.setattr(repeats, "_GRACE_SECONDS", -repeats.SUMMARY_SECONDS)
    fail("away")
    assert [line["repeated"] for line in lines()] == [10]


async def _outage(kind: str, stack: AsyncExitStack, folder: Path, file: Path) -> tuple[str, Callable[[], Any]]:
    """The URL of a database, and what takes it away."""
    if kind == "sqlite":
        return f"sqlite:///{file}", lambda: asyncio.to_thread(os.rename, file, folder / "away.db")
    server = stack.enter_context(postgres.OwnServer({}))
    url = await postgres.create_database(server.url)
    await asyncio.to_thread(_migrate, url)
    relay = await stack.enter_async_context(Relay(server.port))

    async def cut() -> None:
        relay.lead_to(postgres.free_port())
        await relay.drop()

    return url.replace(f":{server.port}/", f":{relay.port}/"), cut


def _migrate(url: str) -> None:
    from app import db

    asyncio.run(db.migrate(url))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_an_outage_writes_few_lines_however_many_requests_come(
    kind: str, tmp_path: Path, sqlite_template: Path
) -> None:
    file = shutil.copyfile(sqlite_template, tmp_path / "outdial.db")
    async with AsyncExitStack() as stack:
        url, take_away = await _outage(kind, stack, tmp_path, file)
        server = await ServerProcess(url, tmp_path, environment={"OUTDIAL_LOG_FORMAT": "json"}).started()
        headers = {"Authorization": f"Bearer {token(str(uuid4()))}"}
        async with httpx.AsyncClient(base_url=server.url, headers=headers, timeout=30, trust_env=False) as client:
            create = {"query": "mutation { createOutdial(input: {}) { outdial { id } } }"}
            assert "data" in (await client.post("/graphql", json=create)).json()
            await take_away()
            answers = 0
            for number in range(REQUESTS):
                if number % 2:
                    answers += "UNAVAILABLE" in (await client.post("/graphql", json=create)).text
                else:
                    answers += (await client.post("/v1.0/outdials", json={})).status_code == 503
            assert answers == REQUESTS
            page = (await client.get("/metrics")).text
        found = [json.loads(line) for line in server.output().splitlines() if line.startswith("{")]
        server.kill()
    written = [line for line in found if line["event"] in repeats.REPEATED_EVENTS]
    assert 2 <= len(written) < 40
    counted = sum(float(number) for number in re.findall(r"withheld_log_lines_total\{.*\} (\S+)", page))
    assert counted >= 2 * REQUESTS - len(written)
