"""The session of our own pages: a cookie that no script can read, and an id by which a request names it.

The cookie alone is not enough. A request also names the session's id in a header. A page of another origin cannot send
this header without the server's permission, and does not know the id. So a forged request fails, and a tab of one
customer never acts for another customer who has logged in since.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Iterator

from starlette.datastructures import Headers
from starlette.requests import cookie_parser

from app.errors import Unauthenticated

COOKIE_PREFIX = "outdial_session"
HEADER = "Outdial-Session"
QUERY_PARAMETER = "session"
"""For downloads: a link sends no custom header."""
COOKIE_CHARACTERS_MAX = 4_096
"""Of name and value together; browsers silently drop a longer cookie."""
_ID_BYTES = 16
_SAFE = re.compile(r"[A-Za-z0-9._~+/=-]+")
"""The characters of a token. Decoders of base64 skip other characters, and one of those could end the cookie."""
_OWN_SITES = {"same-origin", "none"}


def identify(token: str) -> str:
    """The id of the session with this token. It reveals nothing of the token, and cannot be guessed."""
    digest = hashlib.sha256(b"outdial session\0" + token.encode(errors="surrogateescape")).digest()
    return base64.urlsafe_b64encode(digest[:_ID_BYTES]).rstrip(b"=").decode()


def cookie_name(headers: Headers, base_path: str) -> str:
    """One for each server of a host: browsers send cookies to every port, and to every path below the cookie's."""
    _, _, port = headers.get("host", "").rpartition(":")
    parts = [port if port.isascii() and port.isdigit() else "", re.sub(r"[^A-Za-z0-9]+", "_", base_path).strip("_")]
    return "_".join([COOKIE_PREFIX, *filter(None, parts)])


def fits(name: str, token: str) -> bool:
    return len(name) + len(token) <= COOKIE_CHARACTERS_MAX and _SAFE.fullmatch(token) is not None


def read(headers: Headers, name: str) -> str | None:
    """The token in the cookie of that name."""
    return dict(_cookies(headers)).get(name)


def token(headers: Headers, session_id: str) -> str:
    """The token of the session that a request names.

    Raises:
        Unauthenticated: no cookie of the request has that session, or the request comes from a page of another origin.
    """
    if is_foreign(headers):
        raise Unauthenticated("A session counts only for the pages of this server.")
    wanted = session_id.encode()
    for name, value in _cookies(headers):
        if name.startswith(COOKIE_PREFIX) and hmac.compare_digest(identify(value).encode(), wanted):
            return value
    raise Unauthenticated("This session has ended, or another login has replaced it. Log in again.")


def is_foreign(headers: Headers) -> bool:
    """Whether a browser says that a page of another origin has sent the request.

    Browsers say so over TLS and to localhost. Otherwise only the id protects.
    """
    return headers.get("sec-fetch-site", "none") not in _OWN_SITES


def is_own_origin(headers: Headers) -> bool:
    """Whether Origin is the origin that the request goes to."""
    # Either scheme: behind a proxy that ends TLS this process does not know its own. But an origin has one.
    host = headers.get("host", "").lower()
    return bool(host) and headers.get("origin", "").lower() in {f"http://{host}", f"https://{host}"}


def _cookies(headers: Headers) -> Iterator[tuple[str, str]]:
    value = headers.get("cookie")
    if value is not None:
        yield from cookie_parser(value).items()
