"""GraphQL over HTTP: https://graphql.github.io/graphql-over-http/draft/, as npm's graphql-http audits it."""

import asyncio
from functools import partial
from typing import Any
from urllib.parse import parse_qsl

from graphql import OperationType
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from app.auth import Viewer
from app.errors import RETRY_AFTER_SECONDS, BadUserInput, RateLimited, Unauthenticated, Unavailable
from app.graphql.transport import masking, negotiation, sse, statuses
from app.graphql.transport.execution import Execution
from app.graphql.transport.masking import NotExecuted
from app.graphql.transport.negotiation import Accepted, JsonType
from app.graphql.transport.operations import Operation, Prepared
from app.graphql.transport.statuses import Outcome
from app.requests import bodies, tokens
from app.requests.arriving import Arriving, Share
from app.requests.bodies import Disconnected, HttpRefusal
from app.requests.headers import RequestHeaders
from app.requests.large import LARGE_JSON_BYTES
from app.requests.tokens import TokenReader

BODY_BYTES_MAX = 8 * 1024 * 1024
"""1,000 targets, the most of one call, with 8 kB each. If all of them had the longest data, it would be 65 MB."""
BODY_SECONDS_MAX = 30
QUERY_PARAMETERS_MAX = 20
PART_BYTES = 256 * 1024
"""Of an answer that is sent at once."""
_LATER = {"Retry-After": str(RETRY_AFTER_SECONDS)}
_OUTCOMES = {RateLimited.code: Outcome.RATE_LIMITED, Unavailable.code: Outcome.UNAVAILABLE}
_JSON_TYPES = {negotiation.JSON, "application/graphql+json"}


class HttpEndpoint:
    """The ASGI application of POST and GET.

    Args:
        execution: runs the operations. reader: of tokens. page: what a browser gets.
        arriving: counts what clients send, on WebSockets too.
        stopping: is set when the server begins to stop; ends the streams.
    """

    def __init__(
        self,
        execution: Execution,
        reader: TokenReader,
        *,
        page: ASGIApp,
        arriving: Arriving,
        stopping: asyncio.Event,
    ) -> None:
        self._execution = execution
        self._reader = reader
        self._page = page
        self._stopping = stopping
        self._arriving = arriving

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = RequestHeaders(scope)
        accepted = negotiation.accepted(headers.get("accept"))
        if scope["method"] in {"GET", "HEAD"} and accepted.prefers_html:
            await self._page(scope, receive, send)
            return
        with self._arriving.share() as held:
            await self._serve(scope, receive, send, headers, accepted, held)

    async def _serve(
        self, scope: Scope, receive: Receive, send: Send, headers: Headers, accepted: Accepted, held: Share
    ) -> None:
        media_type: JsonType = accepted.json or negotiation.JSON
        try:
            viewer, prepared = await self._prepare(scope, receive, headers, accepted, held)
        except HttpRefusal as problem:
            body = masking.encode({"errors": [masking.render(problem.error)]})
            await _respond(send, problem.status, body, media_type, problem.headers)
        except NotExecuted as refused:
            if accepted.prefers_stream:
                await sse.send_refusal(send, refused)
            else:
                outcome = _OUTCOMES.get(refused.code, Outcome.REFUSED)
                later = {} if outcome is Outcome.REFUSED else {"Retry-After": str(refused.retry_after_seconds)}
                status = statuses.status(outcome, media_type)
                await _respond(send, status, masking.encode(refused.payload), media_type, later)
        except Disconnected:
            pass
        else:
            if accepted.prefers_stream or prepared.kind is OperationType.SUBSCRIPTION:
                responses = self._execution.run(prepared)
                stopping = None
                if prepared.kind is OperationType.SUBSCRIPTION:
                    stopping = self._stopping
                    held.hold(0)  # what it keeps is bounded by itself
                await sse.stream(receive, send, responses, expires_at=viewer.expires_at, stopping=stopping)
            else:
                await self._answer(send, prepared, media_type)

    async def _answer(self, send: Send, prepared: Prepared, media_type: JsonType) -> None:
        limiter, customer_id = self._execution.limiter, prepared.customer_id
        try:
            async with self._execution.answer(prepared) as answer:
                headers = limiter.headers(customer_id)
                if answer.is_unavailable:
                    headers |= _LATER
                status = statuses.status(Outcome.PARTIAL if answer.has_errors else Outcome.DONE, media_type)
                await _respond(send, status, answer.body, media_type, headers)
        except NotExecuted as refused:
            outcome = Outcome.RATE_LIMITED if refused.code == RateLimited.code else Outcome.UNAVAILABLE
            status = statuses.status(outcome, media_type)
            headers = limiter.headers(customer_id) | {"Retry-After": str(refused.retry_after_seconds)}
            await _respond(send, status, masking.encode(refused.payload), media_type, headers)

    async def _prepare(
        self, scope: Scope, receive: Receive, headers: Headers, accepted: Accepted, held: Share
    ) -> tuple[Viewer, Prepared]:
        method: str = scope["method"]
        if method not in {"GET", "HEAD", "POST"}:
            raise HttpRefusal(405, BadUserInput(f"{method} is not supported here."), {"Allow": "GET, HEAD, POST"})
        is_json = bodies.media_type(headers) in _JSON_TYPES
        viewer = await self._authenticate(headers, is_json=is_json)
        if accepted.json is None and not accepted.stream:
            offers = f"{negotiation.GRAPHQL_JSON}, {negotiation.JSON} or {negotiation.EVENT_STREAM}"
            raise HttpRefusal(406, BadUserInput(f"None of the media types in Accept is supported. Accept {offers}."))
        if method != "POST":
            parameters = _query_parameters(scope["query_string"])
        else:
            bodies.check_headers(headers, _JSON_TYPES)
            parameters = await self._body(receive, headers, viewer, held)
        try:
            operation = Operation.read(parameters)
        except BadUserInput as error:
            raise HttpRefusal(400, error) from None
        execution = self._execution
        if execution.knows(operation):
            prepared = execution.prepare(operation, viewer)
        else:
            prepared = await execution.prepare_new(operation, viewer)
        if method != "POST" and prepared.kind is OperationType.MUTATION:
            raise HttpRefusal(405, BadUserInput("Send mutations by POST."), {"Allow": "POST"})
        if prepared.kind is OperationType.SUBSCRIPTION and not accepted.stream:
            message = "Subscriptions need Accept: text/event-stream, or a WebSocket."
            raise HttpRefusal(406, BadUserInput(message))
        if prepared.kind is not OperationType.SUBSCRIPTION and accepted.json is None and not accepted.prefers_stream:
            raise HttpRefusal(
                406,
                BadUserInput(
                    "This operation returns JSON. Accept application/json or application/graphql-response+json."
                ),
            )
        return viewer, prepared

    async def _body(self, receive: Receive, headers: Headers, viewer: Viewer, held: Share) -> Any:
        """The value of the body. It is counted until `held` ends, in place of the body, which is gone then."""
        held.customer_id = viewer.customer_id
        body = await bodies.read(receive, headers, bytes_max=BODY_BYTES_MAX, seconds_max=BODY_SECONDS_MAX, share=held)
        if len(body) <= LARGE_JSON_BYTES:
            return bodies.decode(body, held)
        return await self._execution.reading.decode(body, viewer, partial(bodies.decode, share=held))

    async def _authenticate(self, headers: Headers, *, is_json: bool) -> Viewer:
        try:
            return await self._reader.viewer(tokens.http_token(headers, is_json=is_json))
        except Unauthenticated as error:
            raise HttpRefusal(401, error, {"WWW-Authenticate": "Bearer"}) from None
        except Unavailable as error:
            raise HttpRefusal(503, error, _LATER) from None


def _query_parameters(query_string: bytes) -> dict[str, Any]:
    try:
        pairs = parse_qsl(
            query_string.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=QUERY_PARAMETERS_MAX,
        )
    except ValueError:
        raise HttpRefusal(400, BadUserInput("Invalid query string.")) from None
    parameters: dict[str, Any] = dict(pairs)
    for name in ("variables", "extensions"):
        if text := parameters.pop(name, None):
            parameters[name] = bodies.decode(text)
    return parameters


async def _respond(
    send: Send, status: int, body: bytes, media_type: str, headers: dict[str, str] | None = None
) -> None:
    raw = [
        (b"content-type", f"{media_type}; charset=utf-8".encode()),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        (b"vary", b"Accept"),
    ]
    raw += [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    # The server waits before each part until the client has read most of those before.
    begin = 0
    while len(body) - begin > PART_BYTES:
        await send({"type": "http.response.body", "body": body[begin : begin + PART_BYTES], "more_body": True})
        begin += PART_BYTES
    await send({"type": "http.response.body", "body": body[begin:]})
