"""The server: the connection to it, requests, and its error messages."""

import ipaddress
import re
import ssl
from typing import Any, Self, TypeVar
from urllib.request import getproxies

import httpx

from app import logs
from app.transfers.failures import TransferFailed

CONNECT_SECONDS_MAX = 10
ANSWER_SECONDS_MAX = 30
PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses for which another try may help."""
_PASSING_CODES = {"UNAVAILABLE", "RATE_LIMITED", "INTERNAL"}
_HOST = re.compile(rb"[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*\.?")
PORT_MAX = 65_535
# RFC 6750, section 2.1
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")

JsonObject = dict[str, Any]
E = TypeVar("E", bound=BaseException)


class Passing(Exception):  # noqa: N818 - a state of the server or the network
    """No answer, or one that asks to try again later.

    Args:
        message: what happened.
        wait: seconds to wait before the next try, if the server said so.
        never_connected: no server was reached at that address.
    """

    def __init__(self, message: str, wait: float | None = None, *, never_connected: bool = False) -> None:
        super().__init__(message)
        self.wait = wait
        self.never_connected = never_connected


# ---------------------------------------------------------------- the connection


def checked_token(text: str) -> str:
    """The token, without a line end from a file or a clipboard.

    Raises:
        TransferFailed: it is missing, or cannot be sent in a header.
    """
    token = text.strip()
    if not token:
        raise TransferFailed("No token. Set OUTDIAL_TOKEN, or give --token. On the server, outdial token prints one.")
    if _TOKEN.fullmatch(token) is None:
        raise TransferFailed(
            "The token is not valid: a token has only letters, digits and - . _ ~ + / =. Copy it again as a whole, "
            "without quotes and without the word Bearer."
        )
    return token


def checked_url(text: str) -> httpx.URL:
    """The server's address.

    Raises:
        TransferFailed: it is not valid.
    """
    try:
        url = httpx.URL(text.strip())
    except (httpx.InvalidURL, ValueError) as error:
        raise TransferFailed(f"--url: {_one_line(error)}") from None
    if url.scheme not in {"http", "https"} or not _is_place(url):
        raise TransferFailed("--url must be like https://outdial.example.com.")
    if url.userinfo or url.query or url.fragment:
        raise TransferFailed(
            "--url must be the server's address alone, like https://outdial.example.com, without a user, ? and #."
        )
    return url


def _is_place(url: httpx.URL) -> bool:
    """Whether the address can be connected to. Checked here because libraries fail late and unclearly."""
    is_host = _HOST.fullmatch(url.raw_host) is not None or ":" in url.host
    return is_host and (url.port is None or 0 < url.port <= PORT_MAX)


def client(url: str, token: str) -> httpx.AsyncClient:
    """An HTTP client for the server, through the environment's proxy; for this machine without a proxy.

    Raises:
        TransferFailed: the address, the token, or the environment's proxies or certificates are wrong.
    """
    base, bearer = checked_url(url), checked_token(token)
    is_near = _is_this_machine(base.host)
    try:
        if not is_near:
            _check_proxies()
        return httpx.AsyncClient(
            base_url=base,
            headers={"Authorization": f"Bearer {bearer}"},
            timeout=httpx.Timeout(ANSWER_SECONDS_MAX, connect=CONNECT_SECONDS_MAX),
            trust_env=not is_near,
        )
    except ImportError:  # socksio, which httpx does not bring
        raise TransferFailed(
            "The environment has a SOCKS proxy (ALL_PROXY, HTTP_PROXY or HTTPS_PROXY). To use it, run: pip install "
            f"socksio. To reach the server without a proxy, set NO_PROXY={base.host}."
        ) from None
    except (httpx.InvalidURL, ValueError, TypeError) as error:
        raise TransferFailed(
            f"The environment has an invalid proxy (ALL_PROXY, HTTP_PROXY or HTTPS_PROXY): {_one_line(error)}"
        ) from None
    except OSError as error:
        raise TransferFailed(
            f"The certificates in SSL_CERT_FILE or SSL_CERT_DIR cannot be read: {error.strerror or error}"
        ) from None


def _check_proxies() -> None:
    """Check that the environment's proxies are addresses.

    Raises:
        httpx.InvalidURL, ValueError.
    """
    proxies = getproxies()
    for text in filter(None, map(proxies.get, ("http", "https", "all"))):
        if not _is_place(httpx.URL(text if "://" in text else f"http://{text}")):
            raise ValueError(text)


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _one_line(error: Exception) -> str:
    """A library's message, without passwords."""
    return logs.redact(" ".join(str(error).split())) or type(error).__name__


def failure(error: httpx.RequestError) -> Passing | TransferFailed:
    """The message for a request that got no answer."""
    return _lasting(error) or _passing(error)


def _lasting(error: httpx.RequestError) -> TransferFailed | None:
    """The message for an error that another try does not solve."""
    if certificate := _cause(error, ssl.SSLCertVerificationError):
        return TransferFailed(
            f"The server's certificate is not trusted: {certificate.verify_message}. To trust it, set SSL_CERT_FILE to "
            "a file with the certificate of its issuer."
        )
    if _cause(error, ssl.SSLError):
        return TransferFailed("The server does not speak TLS correctly. Is its address http:// instead of https://?")
    if isinstance(error, (httpx.UnsupportedProtocol, httpx.LocalProtocolError, httpx.DecodingError)):
        return TransferFailed(f"The request cannot be sent: {_one_line(error)}")
    return None


def _passing(error: httpx.RequestError) -> Passing:
    if isinstance(error, httpx.ProxyError):
        return Passing(f"The proxy does not connect to the server: {_one_line(error)}.", never_connected=True)
    if isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout)):
        return Passing("The server cannot be reached.", never_connected=True)
    if isinstance(error, httpx.TimeoutException):
        return Passing("The server did not answer in time.")
    if isinstance(error, httpx.RemoteProtocolError) and "illegal" in str(
        error
    ):  # h11's error for an answer that is not HTTP
        return Passing("The answer is not HTTP. Check the address.", never_connected=True)
    return Passing("The connection was cut.")


def _cause(error: BaseException, kind: type[E]) -> E | None:
    """The first exception of that type among an error and its causes."""
    found: BaseException | None = error
    while found is not None and not isinstance(found, kind):
        found = found.__cause__ or found.__context__
    return found


# ---------------------------------------------------------------- requests


class Remote:
    """A server, by its address and a token.

    Raises:
        TransferFailed: as `client`.
    """

    def __init__(self, url: str, token: str) -> None:
        self.http = client(url, token)
        self.has_answered = False
        """Something there speaks HTTP."""

    async def __aenter__(self) -> Self:
        await self.http.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.http.aclose()

    async def ask(self, query: str, **variables: Any) -> JsonObject:
        """The data of a GraphQL query.

        Raises:
            TransferFailed: the token, the query or an id is wrong.
            Passing: the server is away, or asks to try again later.
        """
        try:
            response = await self.http.post("/graphql", json={"query": query, "variables": variables})
        except httpx.RequestError as error:
            raise failure(error) from None
        self.has_answered = True
        body = json_object(response)
        if problem := _first_error(body):
            message = str(problem.get("message"))
            extensions = problem.get("extensions")
            code = extensions.get("code") if isinstance(extensions, dict) else None
            if response.status_code in PASSING or code in _PASSING_CODES:
                raise Passing(message, retry_after(response))
            raise TransferFailed(message)
        if response.status_code in PASSING:
            raise Passing(f"The server answered {response.status_code}.", retry_after(response))
        data = body.get("data")
        if not isinstance(data, dict):
            raise self.is_no_outdial_server(response)
        return data

    def is_no_outdial_server(self, response: httpx.Response | None = None) -> TransferFailed:
        """The error for an answer that is not from an Outdial server."""
        message = f"There is no Outdial server at {self.http.base_url}"
        if response is None:
            return TransferFailed(f"{message}.")
        if response.has_redirect_location:
            return TransferFailed(f"{message}: it redirects to {response.headers['location']}.")
        return TransferFailed(f"{message}: it answered {response.status_code}.")


def json_object(response: httpx.Response) -> JsonObject:
    """The JSON object of an answer; an empty one if there is none."""
    try:
        body = response.json()
    except (ValueError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}


def _first_error(body: JsonObject) -> JsonObject | None:
    errors = body.get("errors")
    first = errors[0] if isinstance(errors, list) and errors else None
    return first if isinstance(first, dict) else None


def error_of(response: httpx.Response) -> JsonObject:
    """The error of a REST answer; an empty one if there is none."""
    error = json_object(response).get("error")
    return error if isinstance(error, dict) else {}


def refusal(response: httpx.Response) -> str:
    """The message of a REST error."""
    error = error_of(response)
    if not error:
        return f"The server answered {response.status_code}."
    details = error.get("details")
    told = [
        f"{'.'.join(map(str, detail.get('path', ())))}: {detail.get('message')}"
        for detail in (details if isinstance(details, list) else ())
        if isinstance(detail, dict) and isinstance(detail.get("path", ()), list)
    ]
    return " ".join(told) or str(error.get("message"))


def retry_after(response: httpx.Response) -> float | None:
    """The seconds that Retry-After gives."""
    text = response.headers.get("retry-after", "")
    return float(text) if text.isascii() and text.isdecimal() and len(text) <= len("86400") else None
