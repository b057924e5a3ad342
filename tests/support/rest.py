"""The REST calls as users make them: tokens like the reference's, real curl, and checks of answers."""

import asyncio
import json
import re
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import jwt

from tests.support.server import JWT_SECRET

NEVER = "9999-01-01 00:00:00.000000"
ZERO = "00000000-0000-0000-0000-000000000000"
TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}")
CURL_SECONDS_MAX = 20

OUTDIAL_KEYS = ["id", "campaign_id", "name", "detail", "data", "tm_create", "tm_update", "tm_delete"]
DESTINATIONS = [f"destination_{index}" for index in range(5)]
TRY_COUNTS = [f"try_count_{index}" for index in range(5)]
TARGET_KEYS = [
    "id",
    "outdial_id",
    "name",
    "detail",
    "data",
    "status",
    *DESTINATIONS,
    *TRY_COUNTS,
    "tm_create",
    "tm_update",
    "tm_delete",
]
DESTINATION_KEYS = ["type", "target", "target_name", "name", "detail"]


def reference_token(customer_id: str, **claims: Any) -> str:
    """A token whose customer is JSON text."""
    customer = {
        "id": customer_id,
        "username": "admin",
        "name": "admin",
        "detail": "admin account",
        "permission_ids": ["03796e14-7cb4-11ec-9dba-e72023efd1c6"],
        "tm_delete": NEVER,
    }
    given = {"customer": json.dumps(customer), "exp": datetime.now(UTC) + timedelta(hours=1), **claims}
    return jwt.encode(given, JWT_SECRET, "HS256")


async def curl(command: str, **replacements: str) -> tuple[int, Any]:
    """Run a curl command as a person would paste it, with {names} replaced; its HTTP status and its JSON."""
    if shutil.which("curl") is None:
        raise AssertionError("the reference's commands are tested with curl; there is none here")
    for name, value in replacements.items():
        command = command.replace(f"{{{name}}}", value)
    command += r" --silent --show-error --noproxy '*' --write-out '\n%{http_code}'"
    done = await asyncio.to_thread(
        subprocess.run, ["sh", "-c", command], capture_output=True, text=True, timeout=CURL_SECONDS_MAX, check=True
    )
    body, _, status = done.stdout.rpartition("\n")
    return int(status), json.loads(body)


@asynccontextmanager
async def calling(url: str, token: str | None) -> AsyncIterator[httpx.AsyncClient]:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=f"{url}/v1.0", headers=headers, timeout=30, trust_env=False) as client:
        yield client


def good(response: httpx.Response) -> Any:
    assert response.status_code == 200, response.text
    return response.json()


def reason(response: httpx.Response) -> tuple[int, str, str]:
    """HTTP status, status and reason of an error, after a check of its envelope."""
    assert response.headers["content-type"] == "application/json; charset=utf-8"
    body = response.json()
    assert list(body) == ["error"]
    error = body["error"]
    assert list(error) in (
        ["status", "reason", "message", "request_id"],
        ["status", "reason", "message", "request_id", "details"],
    )
    assert error["request_id"] == response.headers["x-request-id"]
    assert error["message"]
    return response.status_code, error["status"], error["reason"]


def paths(response: httpx.Response) -> list[list[str]]:
    """The paths of the values that an INVALID_ARGUMENT is about."""
    assert reason(response) == (400, "INVALID_ARGUMENT", "INVALID_ARGUMENT")
    return [detail["path"] for detail in response.json()["error"]["details"]]


async def pages(client: httpx.AsyncClient, path: str, **parameters: Any) -> list[list[dict[str, Any]]]:
    """All pages of a list, by their tokens."""
    found: list[list[dict[str, Any]]] = []
    token = ""
    while True:
        page = good(await client.get(path, params={**parameters, **({"page_token": token} if token else {})}))
        assert list(page) == ["result", "next_page_token"]
        found.append(page["result"])
        token = page["next_page_token"]
        if not token:
            return found


def check_outdial(outdial: dict[str, Any]) -> None:
    assert list(outdial) == OUTDIAL_KEYS
    assert all(isinstance(value, str) for value in outdial.values())
    check_times(outdial)


def check_target(target: dict[str, Any]) -> None:
    assert list(target) == TARGET_KEYS
    for name in DESTINATIONS:
        assert target[name] is None or list(target[name]) == DESTINATION_KEYS
    assert all(type(target[name]) is int for name in TRY_COUNTS)
    assert target["status"] in {"idle", "progressing", "done"}
    check_times(target)


def check_times(thing: dict[str, Any], names: Iterable[str] = ("tm_create", "tm_update", "tm_delete")) -> None:
    assert all(TIMESTAMP.fullmatch(thing[name]) for name in names), thing
