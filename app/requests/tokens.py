"""Where a request carries its token. The first carrier that is present counts, whatever it holds."""

from collections.abc import Collection
from typing import Any, Protocol
from urllib.parse import urlsplit

from starlette.datastructures import Headers, QueryParams
from starlette.requests import cookie_parser

from app.auth import Viewer
from app.errors import Unauthenticated

COOKIE = "token"
QUERY_PARAMETER = "token"
_PAYLOAD_KEYS = ("authorization", "token")


class TokenReader(Protocol):
    """What knows who a token speaks for."""

    async def viewer(self, token: str) -> Viewer: ...


def http_token(headers: Headers, *, is_json: bool) -> str:
    """The token of a GraphQL request over HTTP: `Authorization: Bearer`, else the cookie.

    Args:
        headers: of the request.
        is_json: whether its content type is JSON, which no page of another origin can send unasked.

    Raises:
        Unauthenticated: there is none, or only a cookie that does not count.
    """
    if (token := _bearer(headers)) is not None:
        return token
    token = _cookie(headers)
    if token is None:
        raise Unauthenticated("A token is needed: Authorization: Bearer <token>.")
    if not is_json:
        raise Unauthenticated("The cookie counts only with Content-Type: application/json.")
    return token


def rest_token(headers: Headers, query: QueryParams) -> str | None:
    """The token of a REST call, in the reference's order: cookie, query, `Authorization: Bearer`; None without one."""
    for token in (_cookie(headers), query.get(QUERY_PARAMETER), _bearer(headers)):
        if token is not None:
            return token
    return None


def socket_token(
    headers: Headers, query: QueryParams, payload: dict[str, Any], *, allowed_origins: Collection[str]
) -> str:
    """The token of a WebSocket: header, `connection_init` payload, query, cookie.

    Raises:
        Unauthenticated: there is none, or only a cookie from an origin that is not allowed.
    """
    if (token := _bearer(headers)) is not None:
        return token
    folded = {key.lower(): value for key, value in payload.items()}
    for key in _PAYLOAD_KEYS:
        if (value := folded.get(key)) is not None:
            if not isinstance(value, str):
                raise Unauthenticated("The token must be text.")
            return _without_scheme(value)
    if (token := query.get(QUERY_PARAMETER)) is not None:
        return token
    token = _cookie(headers)
    if token is None:
        raise Unauthenticated("A token is needed, for example as Authorization in the payload of connection_init.")
    if not _is_allowed(headers, allowed_origins):
        raise Unauthenticated("The cookie counts only from an allowed origin.")
    return token


def _bearer(headers: Headers) -> str | None:
    value = headers.get("authorization", "")
    # Another scheme may be a proxy's.
    return _without_scheme(value) if value.lower() == "bearer" or value[:7].lower() == "bearer " else None


def _without_scheme(value: str) -> str:
    scheme, _, token = value.strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" else value.strip()


def _cookie(headers: Headers) -> str | None:
    value = headers.get("cookie")
    return cookie_parser(value).get(COOKIE) if value is not None else None


def _is_allowed(headers: Headers, allowed_origins: Collection[str]) -> bool:
    origin = headers.get("origin", "").lower()
    if origin in allowed_origins:
        return True
    # The scheme is left out: behind a proxy that ends TLS this process does not know it.
    host = headers.get("host", "").lower()
    return bool(host) and urlsplit(origin).netloc == host
