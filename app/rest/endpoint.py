"""The calls over HTTP: token, scope, ids, query, body; then the use-case; then its result or an error."""

from collections.abc import Mapping
from contextlib import ExitStack
from http import HTTPMethod
from typing import Any

import orjson
from starlette.datastructures import Headers, QueryParams
from starlette.types import Receive, Scope, Send

from app import ids
from app.auth import Viewer
from app.pagination import PageRequest
from app.rates import Limiter
from app.requests import bodies, tokens
from app.requests.arriving import Arriving
from app.requests.large import LARGE_JSON_BYTES, LargeJson
from app.requests.tokens import TokenReader
from app.rest import members, paging, problems
from app.rest.calls import Call, Request
from app.rest.problems import Problem, Reason
from app.turns import Lanes

BODY_BYTES_MAX = 1024 * 1024
"""The longest possible data takes 786 kB, if every character is escaped like \\ud83d\\ude00."""
BODY_SECONDS_MAX = 30
JSON = "application/json"


class Endpoint:
    """The ASGI application of one path.

    Args:
        calls: those of the path.
        reader: of tokens.
        lanes: whose turn it is.
        limiter: who may ask for more.
        arriving: counts what clients send, over GraphQL too.
    """

    def __init__(
        self, calls: Mapping[str, Call], reader: TokenReader, lanes: Lanes, limiter: Limiter, arriving: Arriving
    ) -> None:
        self._calls = calls
        self._reader = reader
        self._lanes = lanes
        self._limiter = limiter
        self._arriving = arriving
        self._large = LargeJson(lanes, limiter)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        method: str = scope["method"]
        call = self._calls.get(HTTPMethod.GET if method == HTTPMethod.HEAD else method)
        if call is None:
            await refuse(send, not_allowed(method, self._calls))
            return
        customer_id = None
        try:
            with ExitStack() as held:
                request = await self._request(call, scope, receive, held)
                customer_id = request.viewer.customer_id
                await self._limiter.admit(customer_id, call.points(request))
                async with self._lanes.turn(customer_id, is_dialing=False, is_long=call.is_long(request)):
                    body = orjson.dumps(await call.run(request))
                del request
        except bodies.Disconnected:
            pass
        except Exception as error:  # noqa: BLE001 - the client gets the envelope for every error
            problem = problems.of(error, missing=call.missing, body_path=call.body_path)
            await refuse(send, problem, rate_headers(self._limiter, customer_id))
        else:
            await respond(send, 200, body, headers=rate_headers(self._limiter, customer_id))

    async def _request(self, call: Call, scope: Scope, receive: Receive, held: ExitStack) -> Request:
        headers = Headers(scope=scope)
        query = QueryParams(scope["query_string"])
        caller = await viewer(self._reader, headers, query)
        caller.require(call.scope)
        return Request(
            caller,
            ids={name: path_id(scope["path_params"][name]) for name in call.id_names},
            page=paging.request(query) if call.is_list else PageRequest(),
            given={}
            if call.body is None
            else members.parse(call.body, await self._body(receive, headers, caller, held)),
        )

    async def _body(self, receive: Receive, headers: Headers, caller: Viewer, held: ExitStack) -> Any:
        """The value of the body. It is counted until `held` ends, in place of the body, which is gone then."""
        bodies.check_headers(headers, {JSON})
        share = held.enter_context(self._arriving.share(caller.customer_id))
        body = await bodies.read(receive, headers, bytes_max=BODY_BYTES_MAX, seconds_max=BODY_SECONDS_MAX, share=share)

        def decode(text: bytes) -> Any:
            return bodies.decode(text, share)

        if len(body) <= LARGE_JSON_BYTES:
            return decode(body)
        return await self._large.decode(body, caller.customer_id, decode)


async def viewer(reader: TokenReader, headers: Headers, query: QueryParams) -> Viewer:
    """The caller.

    Raises:
        Problem: there is no token.
        Unauthenticated: it is wrong.
    """
    # A page of another origin can make a browser send the cookie. This is harmless. Without a preflight (CORS) it can
    # send GET, whose answer the browser hides from it, and POST as a form or as plain text, which is 415 here before
    # the body is read. PUT and DELETE always need a preflight, which only allowed origins pass. So GET and DELETE need
    # no content type; the reference's commands do not send one.
    token = tokens.rest_token(headers, query)
    if token is None:
        message = "No token. Send it as Authorization: Bearer <token>, ?token=<token> or the cookie token."
        raise Problem(Reason.AUTHENTICATION_REQUIRED, message)
    return await reader.viewer(token)


def path_id(text: str) -> str:
    found = ids.parse(text)
    if found is None:
        raise Problem(
            Reason.INVALID_ID, "Invalid id in the path. Use a UUID such as 018f3e4c-5b6a-7c8d-9e0f-1a2b3c4d5e6f."
        )
    return found


def not_allowed(method: str, allowed: Mapping[str, Any]) -> Problem:
    names = [HTTPMethod.GET, HTTPMethod.HEAD] if HTTPMethod.GET in allowed else []
    names += [HTTPMethod(name) for name in allowed if name != HTTPMethod.GET]
    return Problem(Reason.METHOD_NOT_ALLOWED, f"{method} is not supported here.", headers={"Allow": ", ".join(names)})


def rate_headers(limiter: Limiter, customer_id: str | None) -> Mapping[str, str]:
    """What an answer says of the customer's rate limit; nothing if it is not known whose call it is."""
    return {} if customer_id is None else limiter.headers(customer_id)


async def refuse(send: Send, problem: Problem, headers: Mapping[str, str] | None = None) -> None:
    headers = {**(headers or {}), **problem.headers}
    await respond(send, problem.reason.http_status, orjson.dumps(problem.envelope), headers=headers)


async def respond(
    send: Send, status: int, body: bytes, *, media_type: str = JSON, headers: Mapping[str, str] | None = None
) -> None:
    shown = {
        "content-type": f"{media_type}; charset=utf-8",
        "content-length": str(len(body)),
        "cache-control": "no-store",
        **{name.lower(): value for name, value in (headers or {}).items()},
    }
    raw = [(name.encode(), value.encode()) for name, value in shown.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})
