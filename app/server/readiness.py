"""Whether this process can serve: its database answers and takes writes, and the schema is this version's."""

import asyncio
import time

import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app import db
from app.errors import Unavailable

CHECK_SECONDS_MAX = 5.0
FRESH_SECONDS = 1.0
"""How long an answer is reused: anybody can ask, at any rate."""

log = structlog.get_logger("outdial.server")


class Readiness:
    def __init__(self) -> None:
        self._problem: str | None = None
        self._checked_at = float("-inf")
        self._checking = asyncio.Lock()

    async def respond(self, _request: Request) -> Response:
        async with self._checking:
            if time.monotonic() - self._checked_at > FRESH_SECONDS:
                self._problem = await _find_problem()
                self._checked_at = time.monotonic()
        if self._problem is None:
            return JSONResponse({"ready": True})
        return JSONResponse({"ready": False, "reason": self._problem}, 503)


async def _find_problem() -> str | None:
    try:
        async with asyncio.timeout(CHECK_SECONDS_MAX):
            await db.ping()
            is_current = await db.schema_is_current()
    except Unavailable as error:
        return error.message
    except TimeoutError:
        return "The database does not answer."
    except Exception:  # whatever it is, the server is not ready, and the log says why
        log.exception("readiness_check_failed")
        return "The database cannot be checked."
    return None if is_current else "The database's schema is not up to date. Run: outdial migrate"
