"""The dialers' side of `benchmarks.dialing`: the same three calls, over HTTP to either server or to the use-cases."""

import asyncio
from collections.abc import Mapping
from typing import Any, Self
from urllib.parse import urlsplit

import orjson

from app import attempts
from app.auth import Scope, Viewer
from app.demo import dialer
from app.lifecycle import Disposition
from app.records import AttemptResult, AttemptStart
from tests.support.server import token

ANSWER_SECONDS_MAX = 60


class Line:
    """One HTTP/1.1 connection, as cheap as can be: what the dialers cost, both sides of a comparison pay."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str) -> None:
        self._reader = reader
        self._writer = writer
        self._host = host

    @classmethod
    async def opened(cls, url: str) -> Self:
        parts = urlsplit(url)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        return cls(reader, writer, parts.netloc)

    async def close(self) -> None:
        self._writer.close()
        await self._writer.wait_closed()

    async def post(self, path: str, headers: Mapping[str, str], value: object) -> Any:
        """The answer's JSON. If the status is not 200, the run fails."""
        body = orjson.dumps(value)
        lines = "".join(f"{name}: {text}\r\n" for name, text in headers.items())
        head = f"POST {path} HTTP/1.1\r\nHost: {self._host}\r\nContent-Type: application/json\r\n{lines}"
        self._writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        async with asyncio.timeout(ANSWER_SECONDS_MAX):
            answer = await self._reader.readuntil(b"\r\n\r\n")
            length = next(
                int(line.partition(b":")[2])
                for line in answer.split(b"\r\n")
                if line.lower().startswith(b"content-length:")
            )
            content = await self._reader.readexactly(length)
        assert answer.startswith(b"HTTP/1.1 200 "), (answer, content)
        return orjson.loads(content)


class OutdialOverHttp:
    """`outdial serve`, with the documents of the reference dialer."""

    def __init__(self, line: Line, customer_id: str) -> None:
        self._line = line
        self._headers = {"Authorization": f"Bearer {token(customer_id)}", "Accept": "application/json"}

    async def close(self) -> None:
        await self._line.close()

    async def _send(self, query: str, value: object) -> Any:
        answer = await self._line.post("/graphql", self._headers, {"query": query, "variables": {"input": value}})
        assert "errors" not in answer, answer
        [payload] = answer["data"].values()
        return payload

    async def claim(
        self, _customer_id: str, outdial_id: str, limit: int, name: str, lease_seconds: int, key: str | None
    ) -> list[dict[str, Any]]:
        wish = {"outdialId": outdial_id, "limit": limit, "dialer": name, "leaseSeconds": lease_seconds}
        payload = await self._send(dialer.CLAIM, wish | ({} if key is None else {"idempotencyKey": key}))
        assert payload["userErrors"] == [], payload
        made: list[dict[str, Any]] = payload["attempts"]
        return made

    async def start(self, _customer_id: str, starts: list[tuple[str, str]]) -> list[str]:
        given = [{"attemptId": attempt_id, "callId": call_id} for attempt_id, call_id in starts]
        return [row["id"] for row in (await self._send(dialer.START, {"attempts": given}))["attempts"]]

    async def complete(self, _customer_id: str, results: list[tuple[str, str]]) -> list[str]:
        given = [{"attemptId": attempt_id, "disposition": disposition} for attempt_id, disposition in results]
        payload = await self._send(dialer.COMPLETE, {"results": given})
        assert payload["userErrors"] == [], payload
        return [attempt_id for attempt_id, _ in results]


class HandwrittenOverHttp:
    """The hand-written endpoint."""

    def __init__(self, line: Line, customer_id: str) -> None:
        self._line = line
        self._headers = {"Customer": customer_id}

    async def close(self) -> None:
        await self._line.close()

    async def claim(
        self, _customer_id: str, outdial_id: str, limit: int, name: str, lease_seconds: int, key: str | None
    ) -> list[dict[str, Any]]:
        wish = {"outdialId": outdial_id, "limit": limit, "dialer": name, "leaseSeconds": lease_seconds}
        made: list[dict[str, Any]] = await self._line.post(
            "/claim", self._headers, wish | ({} if key is None else {"idempotencyKey": key})
        )
        return made

    async def start(self, _customer_id: str, starts: list[tuple[str, str]]) -> list[str]:
        given = [{"attemptId": attempt_id, "callId": call_id} for attempt_id, call_id in starts]
        return [row["id"] for row in await self._line.post("/start", self._headers, {"attempts": given})]

    async def complete(self, _customer_id: str, results: list[tuple[str, str]]) -> list[str]:
        given = [{"attemptId": attempt_id, "disposition": disposition} for attempt_id, disposition in results]
        refused = await self._line.post("/complete", self._headers, {"results": given})
        assert refused == [], refused
        return [attempt_id for attempt_id, _ in results]


class UseCases:
    """The use-cases in this process. The database must be connected."""

    def __init__(self, customer_id: str) -> None:
        self._viewer = Viewer(customer_id, "benchmark", frozenset(Scope), None)

    async def close(self) -> None: ...

    async def claim(
        self, _customer_id: str, outdial_id: str, limit: int, name: str, lease_seconds: int, key: str | None
    ) -> list[dict[str, Any]]:
        made = await attempts.claim(
            self._viewer, outdial_id, limit=limit, dialer=name, lease_seconds=lease_seconds, idempotency_key=key
        )
        return [{"id": attempt.id} for attempt in made]

    async def start(self, _customer_id: str, starts: list[tuple[str, str]]) -> list[str]:
        batch = await attempts.start(self._viewer, starts=[AttemptStart(*start) for start in starts])
        return [attempt.id for attempt in batch.attempts]

    async def complete(self, _customer_id: str, results: list[tuple[str, str]]) -> list[str]:
        given = [AttemptResult(attempt_id, Disposition(disposition)) for attempt_id, disposition in results]
        batch = await attempts.complete(self._viewer, results=given)
        assert batch.errors == (), batch
        return [attempt.id for attempt in batch.attempts]
