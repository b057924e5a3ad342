"""The hand-written endpoint: `python -m benchmarks.handwritten.serving URL PORT POOL_SIZE`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from benchmarks.handwritten import Dialing, running
from benchmarks.handwritten.postgres import Postgres
from benchmarks.handwritten.sqlite import Sqlite

SQLITE = "sqlite:///"


async def connected(url: str, pool_size: int) -> Dialing:
    if url.startswith(SQLITE):
        return await Sqlite.connected(url.removeprefix(SQLITE))
    return await Postgres.connected(url, pool_size)


def application(url: str, pool_size: int) -> Starlette:
    dialing: Dialing

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        nonlocal dialing
        dialing = await connected(url, pool_size)
        yield
        await dialing.close()

    async def claim(request: Request) -> Response:
        given = orjson.loads(await request.body())
        return _answer(
            await dialing.claim(
                request.headers["customer"],
                given["outdialId"],
                given["limit"],
                given["dialer"],
                given["leaseSeconds"],
                given.get("idempotencyKey"),
            )
        )

    async def start(request: Request) -> Response:
        given = orjson.loads(await request.body())["attempts"]
        starts = [(row["attemptId"], row["callId"]) for row in given]
        return _answer([{"id": attempt_id} for attempt_id in await dialing.start(request.headers["customer"], starts)])

    async def complete(request: Request) -> Response:
        given = orjson.loads(await request.body())["results"]
        results = [(row["attemptId"], row["disposition"]) for row in given]
        done = set(await dialing.complete(request.headers["customer"], results))
        return _answer([attempt_id for attempt_id, _ in results if attempt_id not in done])

    routes = [Route(f"/{call.__name__}", call, methods=["POST"]) for call in (claim, start, complete)]
    return Starlette(routes=routes, lifespan=lifespan)


def _answer(value: object) -> Response:
    return Response(orjson.dumps(value), media_type="application/json")


if __name__ == "__main__":
    running.run(application)
