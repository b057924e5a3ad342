"""Sends files of targets to the server as their owners do, and reads the results."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx

from tests.support.graphql_client import Client

CSV = "text/csv"
NDJSON = "application/x-ndjson"
UPLOAD_SECONDS_MAX = 300
PIECE_BYTES = 64 * 1024
JOB = """
    id outdialId fileName state stopReason message dryRun idempotencyKey
    counts { read created updated skipped rejected suppressed } warnings tmCreate startedAt finishedAt
"""
REJECTS = "rejects(first: 100) { totalCount nodes { lineNumber column code message row } }"


async def send(
    client: Client,
    outdial_id: str,
    body: bytes | str | AsyncIterator[bytes],
    *,
    kind: str = CSV,
    key: str | None = None,
    headers: dict[str, str] | None = None,
    **parameters: Any,
) -> httpx.Response:
    """POST a file."""
    return await client.http.post(
        f"/v1.0/outdials/{outdial_id}/targets/import",
        params=parameters,
        content=body,
        headers={"Content-Type": kind, **({"Idempotency-Key": key} if key else {}), **(headers or {})},
        timeout=UPLOAD_SECONDS_MAX,
    )


async def taken(client: Client, outdial_id: str, body: bytes | str | AsyncIterator[bytes], **more: Any) -> Any:
    """The job of a file that was read to its end."""
    response = await send(client, outdial_id, body, **more)
    assert response.status_code == 200, response.text
    return response.json()


def counts(job: dict[str, Any]) -> tuple[int, int, int, int, int]:
    """Read, created, updated, skipped, rejected."""
    found = job["counts"]
    return found["read"], found["created"], found["updated"], found["skipped"], found["rejected"]


def rejects(job: dict[str, Any]) -> list[tuple[int, str | None, str]]:
    """Line number, column and code of each rejected row."""
    return [(reject["line_number"], reject["column"], reject["code"]) for reject in job["rejects"]]


async def targets(client: Client, outdial_id: str) -> list[dict[str, Any]]:
    """All of an outdial's targets, in the order in which they were created."""
    found: list[dict[str, Any]] = []
    after: str | None = None
    while True:
        page = (
            await client.run(
                """
                query ($id: ID!, $after: String) { outdial(id: $id) { targets(first: 100, after: $after,
                    orderBy: OLDEST_FIRST) { pageInfo { hasNextPage endCursor } nodes {
                    id key name detail data priority maxTryCounts status doneReason version nextTryAt tmCreate
                    destination0 { type target targetName name detail } destination1 { type target }
                    destination2 { type target } destination3 { type target } destination4 { type target } } } } }
                """,
                id=outdial_id,
                after=after,
            )
        )["outdial"]["targets"]
        found += page["nodes"]
        if not page["pageInfo"]["hasNextPage"]:
            return found
        after = page["pageInfo"]["endCursor"]


def numbers(row: int) -> str:
    """A number that no other row has."""
    return f"+4915{row:09d}"


def rows(count: int, *, start: int = 0) -> Iterator[str]:
    """Good rows of key, name and phone, without their header."""
    for row in range(start, start + count):
        yield f"key-{row},Person {row},{numbers(row)}\n"


def table(count: int) -> str:
    return "key,name,phone\n" + "".join(rows(count))


async def in_pieces(text: str | bytes, size: int = PIECE_BYTES) -> AsyncIterator[bytes]:
    """A body whose length is not known before."""
    content = text.encode() if isinstance(text, str) else text
    for start in range(0, len(content), size):
        yield content[start : start + size]


async def stored(client: Client, outdial_id: str) -> list[tuple[str | None, str, str, str, list[tuple[str, str]]]]:
    """Key, name, detail, data and addresses of each target, in the order of the file."""
    return [
        (
            target["key"],
            target["name"],
            target["detail"],
            target["data"],
            [(place["type"], place["target"]) for index in range(5) if (place := target[f"destination{index}"])],
        )
        for target in await targets(client, outdial_id)
    ]


async def keys(client: Client, outdial_id: str) -> list[str | None]:
    return [target["key"] for target in await targets(client, outdial_id)]


async def refused(client: Client, outdial_id: str, body: Any, **more: Any) -> tuple[str, Any]:
    """The error of a file that cannot be read to its end, and the job, which has the same message in GraphQL."""
    response = await send(client, outdial_id, body, **more)
    assert response.status_code == 400, response.text
    error = response.json()["error"]
    assert (error["status"], error["reason"]) == ("INVALID_ARGUMENT", "INVALID_FILE")
    job = error["import"]
    assert (job["state"], job["stop_reason"], job["message"]) == ("failed", "file", error["message"])
    query = f"query ($id: ID!) {{ importJob(id: $id) {{ {JOB} }} }}"
    seen = (await client.run(query, id=job["id"]))["importJob"]
    assert (seen["state"], seen["stopReason"], seen["message"]) == ("FAILED", "FILE", error["message"])
    assert seen["counts"] == job["counts"]
    return error["message"], job
