"""The disk of the database fills up: writes are refused, reads go on, and /readyz says so until there is room again."""

import asyncio
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from tests.support import postgres, rows
from tests.support.server import ServerProcess, token

RECOVERED_SECONDS_MAX = 5
ROUNDS = 4
ROOM_BYTES = 1_000_000
CREATE = """mutation($detail: String!) { createOutdial(input: {detail: $detail}) { outdial { id } } }"""
READ = "{ outdials(first: 1) { totalCount } }"
FULL = """
CREATE FUNCTION outdial_full_row() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE disk_full USING MESSAGE = 'could not extend file: No space left on device'; END $$;
CREATE FUNCTION outdial_full_table() RETURNS event_trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE disk_full USING MESSAGE = 'could not extend file: No space left on device'; END $$;
CREATE TRIGGER outdial_full BEFORE INSERT ON outdial FOR EACH ROW EXECUTE FUNCTION outdial_full_row();
CREATE EVENT TRIGGER outdial_full ON ddl_command_start WHEN TAG IN ('CREATE TABLE', 'CREATE TABLE AS')
    EXECUTE FUNCTION outdial_full_table();
"""
ROOM = "DROP EVENT TRIGGER outdial_full; DROP TRIGGER outdial_full ON outdial"


@contextmanager
def full(server: ServerProcess) -> Iterator[None]:
    """Give the file of SQLite little room. PostgreSQL says of itself that its disk is full."""
    if not server.database_url.startswith("sqlite"):
        asyncio.run(postgres.execute(server.database_url, FULL))
        yield
        asyncio.run(postgres.execute(server.database_url, ROOM))
        return
    before = resource.prlimit(server.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (ROOM_BYTES, before[1]))
    try:
        yield
    finally:
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, before)


@pytest.mark.slow
def test_a_full_disk_is_said_until_there_is_room_again(database_url: str, tmp_path: Path) -> None:
    customer_id, made = str(uuid4()), []
    headers = {"Authorization": f"Bearer {token(customer_id)}"}
    with (
        ServerProcess(database_url, tmp_path, environment={"OUTDIAL_LOG_LEVEL": "WARNING"}) as server,
        httpx.Client(base_url=server.url, headers=headers, trust_env=False, timeout=20) as client,
    ):

        def create(characters: int) -> bool:
            body = {"query": CREATE, "variables": {"detail": "x" * characters}}
            response = client.post("/graphql", json=body)
            answer = response.json()
            if "errors" not in answer:
                made.append(answer["data"]["createOutdial"]["outdial"]["id"])
                return True
            assert [error["extensions"]["code"] for error in answer["errors"]] == ["UNAVAILABLE"]
            assert "Retry-After" in response.headers
            return False

        def is_ready() -> bool:
            return client.get("/readyz").status_code == httpx.codes.OK

        assert create(4_000)
        assert is_ready()
        with full(server):
            deadline = time.monotonic() + 30
            while create(4_000):
                assert time.monotonic() < deadline
            for _ in range(ROUNDS):
                time.sleep(1.1)  # the answer before is not given again
                assert not is_ready()
                assert not create(4_000)
                assert client.post("/graphql", json={"query": READ}).json()["data"]["outdials"]["totalCount"] >= 1
        deadline = time.monotonic() + RECOVERED_SECONDS_MAX
        while not is_ready():
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert create(4_000)
    tables = asyncio.run(rows.of(database_url, customer_id))
    assert {outdial["id"] for outdial in tables["outdial"]} == set(made)
    rows.check(tables)
