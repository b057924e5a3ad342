"""Where a request has its token. The first place that is present counts, even if its token is wrong."""

from collections.abc import Collection
from typing import Any, Protocol

from starlette.datastructures import Headers, QueryParams
from starlette.requests import cookie_parser

from app.auth import Viewer
from app.errors import Unauthenticated
from app.requests import sessions

COOKIE = "token"
QUERY_PARAMETER = "token"
_PAYLOAD_KEYS = ("authorization", "token")
_SESSION_KEY = sessions.HEADER.lower()


class TokenReader(Protocol):
    """Turns a token into its viewer."""

    async def viewer(self, token: str) -> Viewer: ...


def http_token(headers: Headers, *, is_json: bool) -> str:
    """The token of a GraphQL request over HTTP: `Authorization: Bearer`, the session that it names, the cookie.

    Args:
        headers: of the request.
        is_json: whether its content type is JSON, which a page of another origin cannot send without CORS' permission.

    Raises:
        Unauthenticated: there is none, or only a cookie that is not accepted.
    """
    if (token := bearer(headers)) is not None:
        return token
    session_id = headers.get(sessions.HEADER)
    token = _cookie(headers) if session_id is None else sessions.token(headers, session_id)
    if token is None:
        raise Unauthenticated("No token. Send it as Authorization: Bearer <token>.")
    if not is_json:
        raise Unauthenticated("The token cookie is accepted only with Content-Type: application/json.")
    return token


def rest_token(headers: Headers, query: QueryParams) -> str | None:
    """The token of a REST call; None without one.

    If the call names a session, it comes first: clients of the reference never do. Then the reference's order: cookie,
    query, `Authorization: Bearer`.

    Raises:
        Unauthenticated: it names a session that has ended.
    """
    session_id = headers.get(sessions.HEADER) or query.get(sessions.QUERY_PARAMETER)
    if session_id is not None:
        return sessions.token(headers, session_id)
    for token in (_cookie(headers), query.get(QUERY_PARAMETER), bearer(headers)):
        if token is not None:
            return token
    return None


def socket_token(
    headers: Headers, query: QueryParams, payload: dict[str, Any], *, allowed_origins: Collection[str]
) -> str:
    """The token of a WebSocket: header, `connection_init` payload, query, the session that the payload names, cookie.

    Raises:
        Unauthenticated: there is none, or only a cookie from an origin that is not allowed.
    """
    if (token := bearer(headers)) is not None:
        return token
    folded = {key.lower(): value for key, value in payload.items()}
    for key in _PAYLOAD_KEYS:
        if (value := folded.get(key)) is not None:
            if not isinstance(value, str):
                raise Unauthenticated("The token must be text.")
            return _without_scheme(value)
    if (token := query.get(QUERY_PARAMETER)) is not None:
        return token
    session_id = folded.get(_SESSION_KEY)
    token = _cookie(headers) if session_id is None else sessions.token(headers, str(session_id))
    if token is None:
        raise Unauthenticated("No token. Send it as Authorization in the payload of connection_init.")
    if not _is_allowed(headers, allowed_origins):
        raise Unauthenticated("The token cookie is accepted only from an allowed origin.")
    return token


def bearer(headers: Headers) -> str | None:
    value = headers.get("authorization", "")
    # Another scheme may belong to a proxy.
    return _without_scheme(value) if value.lower() == "bearer" or value[:7].lower() == "bearer " else None


def _without_scheme(value: str) -> str:
    scheme, _, token = value.strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" else value.strip()


def _cookie(headers: Headers) -> str | None:
    value = headers.get("cookie")
    return cookie_parser(value).get(COOKIE) if value is not None else None


def _is_allowed(headers: Headers, allowed_origins: Collection[str]) -> bool:
    return headers.get("origin", "").lower() in allowed_origins or sessions.is_own_origin(headers)
