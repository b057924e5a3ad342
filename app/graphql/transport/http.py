"""GraphQL over HTTP: https://graphql.github.io/graphql-over-http/draft/, as npm's graphql-http audits it."""

import asyncio
from typing import Any
from urllib.parse import parse_qsl

from graphql import OperationType
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from app.auth import Viewer
from app.errors import BadUserInput, Unauthenticated, Unavailable
from app.graphql.transport import masking, negotiation, sse
from app.graphql.transport.execution import Execution, Operation, Payload, Prepared
from app.graphql.transport.masking import NotExecuted
from app.graphql.transport.negotiation import Accepted
from app.requests import bodies, tokens
from app.requests.bodies import Disconnected, HttpRefusal
from app.requests.tokens import TokenReader

BODY_BYTES_MAX = 8 * 1024 * 1024
"""1,000 targets, the most of one call, with 8 kB each. If all of them had the longest data, it would be 65 MB."""
BODY_SECONDS_MAX = 30
QUERY_PARAMETERS_MAX = 20
_JSON_TYPES = {negotiation.JSON, "application/graphql+json"}


class HttpEndpoint:
    """The ASGI application of POST and GET.

    Args:
        execution: runs the operations. reader: of tokens. page: what a browser gets.
        stopping: is set when the server begins to stop; ends the streams.
    """

    def __init__(self, execution: Execution, reader: TokenReader, *, page: ASGIApp, stopping: asyncio.Event) -> None:
        self._execution = execution
        self._reader = reader
        self._page = page
        self._stopping = stopping

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        accepted = negotiation.accepted(headers.get("accept"))
        if scope["method"] in {"GET", "HEAD"} and accepted.prefers_html:
            await self._page(scope, receive, send)
            return
        media_type = accepted.json or negotiation.JSON
        try:
            viewer, prepared = await self._prepare(scope, receive, headers, accepted)
        except HttpRefusal as problem:
            body = masking.encode({"errors": [masking.render(problem.error)]})
            await _respond(send, problem.status, body, media_type, problem.headers)
        except NotExecuted as refused:
            if accepted.prefers_stream:
                await sse.send_refusal(send, refused)
            else:
                # Before the specification, application/json meant: 200 for everything that reached the GraphQL layer.
                status = 400 if media_type == negotiation.GRAPHQL_JSON else 200
                await _respond(send, status, masking.encode(refused.payload), media_type)
        except Disconnected:
            pass
        else:
            if accepted.prefers_stream or prepared.kind is OperationType.SUBSCRIPTION:
                responses = self._execution.run(prepared)
                await sse.stream(receive, send, responses, expires_at=viewer.expires_at, stopping=self._stopping)
            else:
                payload: Payload = await self._execution.execute(prepared)
                await _respond(send, 200, masking.encode(payload), media_type)

    async def _prepare(
        self, scope: Scope, receive: Receive, headers: Headers, accepted: Accepted
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
            body = await bodies.read(receive, headers, bytes_max=BODY_BYTES_MAX, seconds_max=BODY_SECONDS_MAX)
            parameters = bodies.decode(body)
        try:
            operation = Operation.read(parameters)
        except BadUserInput as error:
            raise HttpRefusal(400, error) from None
        prepared = self._execution.prepare(operation, viewer)
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

    async def _authenticate(self, headers: Headers, *, is_json: bool) -> Viewer:
        try:
            return await self._reader.viewer(tokens.http_token(headers, is_json=is_json))
        except Unauthenticated as error:
            raise HttpRefusal(401, error, {"WWW-Authenticate": "Bearer"}) from None
        except Unavailable as error:
            raise HttpRefusal(503, error) from None


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
    await send({"type": "http.response.body", "body": body})
