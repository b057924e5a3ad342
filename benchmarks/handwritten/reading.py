"""The measure for `benchmarks.reading`: what somebody would write by hand for its questions alone.

`python -m benchmarks.handwritten.reading URL PORT POOL_SIZE`: Starlette and orjson on asyncpg or aiosqlite, one route
for each question. It answers with the JSON that the GraphQL server answers with, and reads only the columns that are in
it. It verifies tokens, and remembers those that it has verified. It leaves out what a server needs beside that: checks
of the input, GraphQL, limits, time-outs, metrics, a log, retries.
"""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol, Self

import aiosqlite
import asyncpg
import jwt
import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.pagination import cursor_of, place_of
from benchmarks.handwritten import running
from benchmarks.library import PAGE_TARGETS, SQLITE
from tests.support.server import JWT_SECRET

TOKENS_MAX = 10_000
_PLACES = range(5)
_OUTDIAL = (
    "id, campaign_id, name, detail, data, state, max_try_counts, retry_interval_seconds, lease_seconds, on_unconfirmed,"
    " tm_create, tm_update, tm_delete"
)
_TARGET = (
    "id, outdial_id, key, name, detail, data, status, done_reason, priority, max_try_counts, "
    + ", ".join(f"destination_{index}" for index in _PLACES)
    + ", "
    + ", ".join(f"try_count_{index}" for index in _PLACES)
    + ", next_try_at, version, tm_create, tm_update, tm_delete"
)
_SHORT_TARGET = "id, outdial_id, name, detail, status, destination_0, try_count_0, try_count_1, tm_create"
_PAGED_TARGET = "id, name, status, tm_create"
_ORDER = "ORDER BY tm_create DESC, id DESC"
_OF_OUTDIAL = "customer_id = $1 AND outdial_id = $2 AND tm_delete IS NULL"
_WITH_ADDRESS = " UNION ALL ".join(
    f"SELECT id FROM target WHERE customer_id = $1 AND tm_delete IS NULL"
    f" AND destination_{index} IS NOT NULL AND (destination_{index} ->> 'target') = $3"
    for index in _PLACES
)

Row = Mapping[str, Any]
Variables = Mapping[str, Any]


class Database(Protocol):
    """A driver, and what its rows hold."""

    with_address: str
    """The condition of `by_address`, such that the few targets with the address are read first."""

    async def fetch(self, sql: str, *args: Any) -> Sequence[Row]: ...

    async def targets_of(self, customer_id: str, outdial_ids: list[str], number: int) -> Sequence[Row]:
        """The newest targets of each outdial, in order."""
        ...

    def instant(self, value: Any) -> Any:
        """What orjson writes as our form of an instant."""
        ...

    def place(self, value: Any) -> Any:
        """A cursor's instant as a parameter."""
        ...

    def cursor(self, row: Row) -> str: ...

    async def close(self) -> None: ...


# ---------------------------------------------------------------- answers


def _outdial(row: Row, instant: Callable[[Any], Any]) -> dict[str, Any]:
    return {
        "id": row["id"],
        "campaignId": row["campaign_id"],
        "name": row["name"],
        "detail": row["detail"],
        "data": row["data"],
        "state": row["state"],
        "dialPolicy": {
            "maxTryCounts": orjson.loads(row["max_try_counts"]),
            "retryIntervalSeconds": row["retry_interval_seconds"],
            "leaseSeconds": row["lease_seconds"],
            "onUnconfirmed": row["on_unconfirmed"],
        },
        "tmCreate": instant(row["tm_create"]),
        "tmUpdate": instant(row["tm_update"]),
        "tmDelete": instant(row["tm_delete"]),
    }


def _target(row: Row, instant: Callable[[Any], Any]) -> dict[str, Any]:
    limits = row["max_try_counts"]
    return {
        "id": row["id"],
        "outdialId": row["outdial_id"],
        "key": row["key"],
        "name": row["name"],
        "detail": row["detail"],
        "data": row["data"],
        "status": row["status"],
        "doneReason": row["done_reason"],
        "priority": row["priority"],
        "maxTryCounts": None if limits is None else orjson.loads(limits),
        "destination0": _destination(row["destination_0"]),
        "destination1": _destination(row["destination_1"]),
        "destination2": _destination(row["destination_2"]),
        "destination3": _destination(row["destination_3"]),
        "destination4": _destination(row["destination_4"]),
        "tryCount0": row["try_count_0"],
        "tryCount1": row["try_count_1"],
        "tryCount2": row["try_count_2"],
        "tryCount3": row["try_count_3"],
        "tryCount4": row["try_count_4"],
        "nextTryAt": instant(row["next_try_at"]),
        "version": row["version"],
        "tmCreate": instant(row["tm_create"]),
        "tmUpdate": instant(row["tm_update"]),
        "tmDelete": instant(row["tm_delete"]),
    }


def _destination(text: str | None) -> dict[str, str] | None:
    if text is None:
        return None
    place = orjson.loads(text)
    return {
        "type": place["type"],
        "target": place["target"],
        "targetName": place["target_name"],
        "name": place["name"],
        "detail": place["detail"],
    }


def _short_target(row: Row, instant: Callable[[Any], Any]) -> dict[str, Any]:
    return {
        "id": row["id"],
        "name": row["name"],
        "detail": row["detail"],
        "status": row["status"],
        "destination0": _destination(row["destination_0"]),
        "tryCount0": row["try_count_0"],
        "tryCount1": row["try_count_1"],
        "tmCreate": instant(row["tm_create"]),
    }


def _paged_target(row: Row, instant: Callable[[Any], Any]) -> dict[str, Any]:
    return {"id": row["id"], "name": row["name"], "status": row["status"], "tmCreate": instant(row["tm_create"])}


class Reading:
    """The answers to the questions, by route."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def _page(self, found: Sequence[Row], size: int, make: Callable[..., dict[str, Any]]) -> dict[str, Any]:
        kept, instant = found[:size], self._database.instant
        return {
            "nodes": [make(row, instant) for row in kept],
            "pageInfo": {
                "hasNextPage": len(found) > size,
                "endCursor": self._database.cursor(kept[-1]) if kept else None,
            },
        }

    async def outdial(self, customer_id: str, given: Variables) -> dict[str, Any]:
        found = await self._database.fetch(
            f"SELECT {_OUTDIAL} FROM outdial WHERE customer_id = $1 AND id = $2 AND tm_delete IS NULL",
            *(customer_id, given["id"]),
        )
        return {"outdial": _outdial(found[0], self._database.instant) if found else None}

    async def outdial_with_targets(self, customer_id: str, given: Variables) -> dict[str, Any]:
        row = await self._named(customer_id, given)
        found = await self._database.fetch(
            f"SELECT {_TARGET} FROM target WHERE {_OF_OUTDIAL} {_ORDER} LIMIT 101", customer_id, given["id"]
        )
        return {"outdial": {"id": row["id"], "name": row["name"], "targets": self._page(found, 100, _target)}}

    async def _named(self, customer_id: str, given: Variables) -> Row:
        [row] = await self._database.fetch(
            "SELECT id, name FROM outdial WHERE customer_id = $1 AND id = $2 AND tm_delete IS NULL",
            *(customer_id, given["id"]),
        )
        return row

    async def outdials_with_targets(self, customer_id: str, _given: Variables) -> dict[str, Any]:
        outdials = await self._database.fetch(
            "SELECT id, name, campaign_id, tm_create FROM outdial WHERE customer_id = $1 AND tm_delete IS NULL"
            f" {_ORDER} LIMIT 21",
            customer_id,
        )
        found = await self._database.targets_of(customer_id, [row["id"] for row in outdials[:20]], 21)
        by_outdial: dict[str, list[Row]] = {row["id"]: [] for row in outdials}
        for row in found:
            by_outdial[row["outdial_id"]].append(row)

        def make(row: Row, _instant: object) -> dict[str, Any]:
            targets = self._page(by_outdial[row["id"]], 20, _short_target)
            return {"id": row["id"], "name": row["name"], "campaignId": row["campaign_id"], "targets": targets}

        return {"outdials": self._page(outdials, 20, make)}

    async def by_key(self, customer_id: str, given: Variables) -> dict[str, Any]:
        await self._named(customer_id, given)
        found = await self._database.fetch(
            f"SELECT {_TARGET} FROM target WHERE {_OF_OUTDIAL} AND key = $3 {_ORDER} LIMIT 1",
            *(customer_id, given["id"], given["key"]),
        )
        return {"outdial": {"targets": {"nodes": [_target(row, self._database.instant) for row in found]}}}

    async def by_address(self, customer_id: str, given: Variables) -> dict[str, Any]:
        await self._named(customer_id, given)
        found = await self._database.fetch(
            f"SELECT {_TARGET} FROM target WHERE {self._database.with_address} {_ORDER} LIMIT 10",
            *(customer_id, given["id"], given["address"]),
        )
        return {"outdial": {"targets": {"nodes": [_target(row, self._database.instant) for row in found]}}}

    async def page(self, customer_id: str, given: Variables) -> dict[str, Any]:
        row = await self._named(customer_id, given)
        args, beyond = [customer_id, given["id"]], ""
        if given["after"] is not None:
            place = place_of(given["after"])
            args, beyond = [*args, self._database.place(place.instant), place.id], "AND (tm_create, id) < ($3, $4)"
        found = await self._database.fetch(
            f"SELECT {_PAGED_TARGET} FROM target WHERE {_OF_OUTDIAL} {beyond} {_ORDER} LIMIT {PAGE_TARGETS + 1}", *args
        )
        return {"outdial": {"id": row["id"], "targets": self._page(found, PAGE_TARGETS, _paged_target)}}


# ---------------------------------------------------------------- databases


class _Lasting(asyncpg.Connection):
    """The pool sends nothing when it gets a connection back: no session state is ever set."""

    def get_reset_query(self) -> str:
        return ""


class Postgres:
    with_address = f"{_OF_OUTDIAL} AND id = ANY(ARRAY({_WITH_ADDRESS}))"

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self.fetch = pool.fetch

    @classmethod
    async def connected(cls, url: str, pool_size: int) -> Self:
        async def prepare(connection: Any) -> None:
            await connection.set_type_codec("uuid", schema="pg_catalog", encoder=str, decoder=str, format="text")

        planned = {"plan_cache_mode": "force_generic_plan", "enable_seqscan": "off", "enable_bitmapscan": "off"}
        pool = await asyncpg.create_pool(
            url,
            min_size=pool_size,
            max_size=pool_size,
            connection_class=_Lasting,
            init=prepare,
            server_settings={**planned, "max_parallel_workers_per_gather": "0", "jit": "off", "timezone": "UTC"},
        )
        return cls(pool)

    async def targets_of(self, customer_id: str, outdial_ids: list[str], number: int) -> Sequence[Row]:
        found: Sequence[Row] = await self._pool.fetch(
            f"""
            SELECT page.* FROM unnest($2::uuid[]) AS parent(id) CROSS JOIN LATERAL (
                SELECT {_SHORT_TARGET} FROM target
                WHERE customer_id = $1 AND outdial_id = parent.id AND tm_delete IS NULL {_ORDER} LIMIT {number}
            ) AS page
            """,
            customer_id,
            outdial_ids,
        )
        return found

    def instant(self, value: Any) -> Any:
        return value

    place = instant

    def cursor(self, row: Row) -> str:
        return cursor_of(row["tm_create"], row["id"])

    async def close(self) -> None:
        await self._pool.close()


class Sqlite:
    with_address = f"{_OF_OUTDIAL.replace('outdial_id', '+outdial_id')} AND id IN ({_WITH_ADDRESS})"

    def __init__(self, file: aiosqlite.Connection) -> None:
        self._file = file

    @classmethod
    async def connected(cls, path: str) -> Self:
        file = await aiosqlite.connect(path, isolation_level=None)
        file.row_factory = aiosqlite.Row
        for pragma in ("journal_mode = WAL", "query_only = ON"):
            await file.execute(f"PRAGMA {pragma}")
        return cls(file)

    async def fetch(self, sql: str, *args: Any) -> Sequence[Row]:
        found: Any = await self._file.execute_fetchall(sql.replace("$", "?"), args)
        return found  # type: ignore[no-any-return]

    async def targets_of(self, customer_id: str, outdial_ids: list[str], number: int) -> Sequence[Row]:
        branches = " UNION ALL ".join(
            f"SELECT * FROM (SELECT {_SHORT_TARGET} FROM target WHERE customer_id = $1 AND outdial_id = ${place}"
            f" AND tm_delete IS NULL {_ORDER} LIMIT {number})"
            for place in range(2, len(outdial_ids) + 2)
        )
        return await self.fetch(branches, customer_id, *outdial_ids) if outdial_ids else []

    def instant(self, value: Any) -> Any:
        return None if value is None else f"{value[:10]}T{value[11:26]}Z"

    def place(self, value: Any) -> Any:
        return value.isoformat(" ", "microseconds")

    def cursor(self, row: Row) -> str:
        from datetime import datetime

        return cursor_of(datetime.fromisoformat(row["tm_create"]), row["id"])

    async def close(self) -> None:
        await self._file.close()


# ---------------------------------------------------------------- the endpoint


class Tokens:
    """The customers of tokens that were verified, until they expire."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[str, float]] = {}

    def customer(self, header: str) -> str:
        known = self._known.get(header)
        if known is not None and known[1] > time.time():
            return known[0]
        claims = jwt.decode(header.removeprefix("Bearer "), JWT_SECRET, algorithms=["HS256"])
        if len(self._known) >= TOKENS_MAX:
            self._known.clear()
        self._known[header] = claims["customer_id"], claims["exp"]
        customer_id: str = claims["customer_id"]
        return customer_id


def application(url: str, pool_size: int) -> Starlette:
    database: Database
    tokens = Tokens()
    answers: dict[str, Callable[[str, Variables], Awaitable[dict[str, Any]]]] = {}

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        nonlocal database
        if url.startswith(SQLITE):
            database = await Sqlite.connected(url.removeprefix(SQLITE))
        else:
            database = await Postgres.connected(url, pool_size)
        reading = Reading(database)
        for name in names:
            answers[_path(name)] = getattr(reading, name)
        yield
        await database.close()

    async def respond(request: Request) -> Response:
        customer_id = tokens.customer(request.headers["authorization"])
        given = orjson.loads(await request.body())
        data = await answers[request.url.path](customer_id, given["variables"])
        return Response(orjson.dumps({"data": data}, option=orjson.OPT_UTC_Z), media_type="application/json")

    names = [name for name in vars(Reading) if not name.startswith("_")]
    return Starlette(routes=[Route(_path(name), respond, methods=["POST"]) for name in names], lifespan=lifespan)


def _path(name: str) -> str:
    return "/" + name.replace("_", "-")


if __name__ == "__main__":
    running.run(application)
