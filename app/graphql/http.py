"""GraphQL over HTTP: https://graphql.github.io/graphql-over-http/draft/, as npm's graphql-http audits it."""

import asyncio
import re
from typing import Any, NoReturn, Protocol
from urllib.parse import parse_qsl

import orjson
from graphql import OperationType
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from app.auth import Viewer
from app.errors import BadUserInput, Expected, LimitExceeded, Unauthenticated, Unavailable
from app.graphql import carriers, masking, negotiation, sse
from app.graphql.execution import Execution, Operation, Payload, Prepared
from app.graphql.masking import Refused
from app.graphql.negotiation import Accepted

BODY_BYTES_MAX = 8 * 1024 * 1024
"""1,000 targets, the most of one call, with 8 kB each; the longest data of all of them would be 65 MB."""
BODY_SECONDS_MAX = 30
DISCARDED_BYTES_MAX = 4 * BODY_BYTES_MAX
"""Of a body that is too long, so much is read, since most clients read no answer before they have sent it all."""
QUERY_PARAMETERS_MAX = 20
_JSON_TYPES = {negotiation.JSON, "application/graphql+json"}
_UTF_8 = {"utf-8", "utf8"}
_DIGITS = re.compile(r"[0-9]{1,18}")


class TokenReader(Protocol):
    async def viewer(self, token: str) -> Viewer: ...


class _Problem(Exception):  # noqa: N818 - an answer on its way
    """An answer that no operation gave."""

    def __init__(self, status: int, error: Expected, headers: dict[str, str] | None = None) -> None:
        super().__init__(error.message)
        self.status = status
        self.error = error
        self.headers = headers or {}


class _Disconnected(Exception):  # noqa: N818 - nobody is left to answer to
    pass


class HttpEndpoint:
    """The ASGI application of POST and GET.

    Args:
        execution: runs the operations.
        reader: of tokens.
        page: what a browser gets.
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
        except _Problem as problem:
            body = masking.encode({"errors": [masking.render(problem.error)]})
            await _respond(send, problem.status, body, media_type, problem.headers)
        except Refused as refused:
            if accepted.prefers_stream:
                await sse.send_refusal(send, refused)
            else:
                # What application/json promised before the specification: 200 for whatever reached the GraphQL layer.
                status = 400 if media_type == negotiation.GRAPHQL_JSON else 200
                await _respond(send, status, masking.encode(refused.payload), media_type)
        except _Disconnected:
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
            raise _Problem(405, BadUserInput(f"{method} is not offered."), {"Allow": "GET, HEAD, POST"})
        content_type, charset = _content_type(headers)
        is_json = content_type in _JSON_TYPES
        viewer = await self._authenticate(headers, is_json=is_json)
        if accepted.json is None and not accepted.stream:
            offers = f"{negotiation.GRAPHQL_JSON}, {negotiation.JSON} and {negotiation.EVENT_STREAM}"
            raise _Problem(406, BadUserInput(f"Answers are offered as {offers}."))
        if method != "POST":
            parameters = _query_parameters(scope["query_string"])
        else:
            if not is_json or charset not in _UTF_8:
                raise _Problem(415, BadUserInput("The body must be application/json in UTF-8."))
            if headers.get("content-encoding", "identity").lower() != "identity":
                raise _Problem(415, BadUserInput("The body must not be compressed."))
            parameters = _decode(await _read_body(receive, headers))
        try:
            operation = Operation.read(parameters)
        except BadUserInput as error:
            raise _Problem(400, error) from None
        prepared = self._execution.prepare(operation, viewer)
        if method != "POST" and prepared.kind is OperationType.MUTATION:
            raise _Problem(405, BadUserInput("Mutations are sent by POST."), {"Allow": "POST"})
        if prepared.kind is OperationType.SUBSCRIPTION and not accepted.stream:
            message = "Subscriptions are answered as text/event-stream, or over WebSocket: say so in Accept."
            raise _Problem(406, BadUserInput(message))
        if prepared.kind is not OperationType.SUBSCRIPTION and accepted.json is None and not accepted.prefers_stream:
            raise _Problem(406, BadUserInput("This operation is answered as JSON."))
        return viewer, prepared

    async def _authenticate(self, headers: Headers, *, is_json: bool) -> Viewer:
        try:
            return await self._reader.viewer(carriers.http_token(headers, is_json=is_json))
        except Unauthenticated as error:
            raise _Problem(401, error, {"WWW-Authenticate": "Bearer"}) from None
        except Unavailable as error:
            raise _Problem(503, error) from None


def _content_type(headers: Headers) -> tuple[str, str]:
    """The media type, and the charset or what JSON's is without one."""
    media_type, _, parameters = headers.get("content-type", "").partition(";")
    charset = "utf-8"
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset":
            charset = value.strip().strip('"').lower()
    return media_type.strip().lower(), charset


def _query_parameters(query_string: bytes) -> dict[str, Any]:
    try:
        pairs = parse_qsl(
            query_string.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=QUERY_PARAMETERS_MAX,
        )
    except ValueError:
        raise _Problem(400, BadUserInput("The query string is malformed.")) from None
    parameters: dict[str, Any] = dict(pairs)
    for name in ("variables", "extensions"):
        if text := parameters.pop(name, None):
            parameters[name] = _decode(text)
    return parameters


def _decode(text: bytes | str) -> Any:
    try:
        # Refuses invalid UTF-8, lone surrogates, and what is nested over 1,024 deep.
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise _Problem(400, BadUserInput(f"The JSON is malformed: {error.msg}.")) from None


async def _read_body(receive: Receive, headers: Headers) -> bytes:
    announced = headers.get("content-length", "")
    if _DIGITS.fullmatch(announced) and int(announced) > BODY_BYTES_MAX and "expect" in headers:
        _refuse_body()  # before it is sent
    chunks: list[bytes] = []
    length = 0
    try:
        async with asyncio.timeout(BODY_SECONDS_MAX):
            more = True
            while more and length <= DISCARDED_BYTES_MAX:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise _Disconnected
                chunk: bytes = message.get("body", b"")
                length += len(chunk)
                if length <= BODY_BYTES_MAX:
                    chunks.append(chunk)
                else:
                    chunks.clear()
                more = message.get("more_body", False)
    except TimeoutError:
        error = BadUserInput(f"The body took longer than {BODY_SECONDS_MAX} seconds.")
        raise _Problem(408, error, {"Connection": "close"}) from None
    if length > BODY_BYTES_MAX:
        _refuse_body()
    return b"".join(chunks)


def _refuse_body() -> NoReturn:
    error = LimitExceeded(f"A request has at most {BODY_BYTES_MAX:,} bytes.")
    raise _Problem(413, error, {"Connection": "close"})


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
