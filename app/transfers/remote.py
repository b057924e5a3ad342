"""The server at the other end: what is asked of it, and what its refusals say."""

from typing import Any, Self

import httpx

CONNECT_SECONDS_MAX = 10
ANSWER_SECONDS_MAX = 30
PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses that asking again may mend."""
_PASSING_CODES = {"UNAVAILABLE", "RATE_LIMITED", "INTERNAL"}

JsonObject = dict[str, Any]


class TransferFailed(Exception):  # noqa: N818 - what the server did
    """What asking again does not mend; the message is for whoever runs the command."""


class Passing(Exception):  # noqa: N818 - a state of the server or the network
    """No answer, or one that says to come back.

    Args:
        message: what happened.
        wait: seconds until it is worth another try, where the server said so.
        never_connected: there is no server at that address, or not now.
    """

    def __init__(self, message: str, wait: float | None = None, *, never_connected: bool = False) -> None:
        super().__init__(message)
        self.wait = wait
        self.never_connected = never_connected


def lost(error: httpx.TransportError) -> Passing:
    """What happened to the connection, in words."""
    if isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout)):
        return Passing("The server cannot be reached.", never_connected=True)
    if isinstance(error, httpx.TimeoutException):
        return Passing("The server gave no answer in time.")
    return Passing("The connection was cut.")


class Remote:
    """A server, by its address and a token.

    Raises:
        TransferFailed: the address is none.
    """

    def __init__(self, url: str, token: str) -> None:
        try:
            base = httpx.URL(url)
        except httpx.InvalidURL as error:
            raise TransferFailed(f"--url: {error}") from None
        if base.scheme not in {"http", "https"} or not base.host:
            raise TransferFailed("--url must be like https://outdial.example.com.")
        self.http = httpx.AsyncClient(
            base_url=base,
            headers={"Authorization": f"Bearer {token}"},
            timeout=httpx.Timeout(ANSWER_SECONDS_MAX, connect=CONNECT_SECONDS_MAX),
        )

    async def __aenter__(self) -> Self:
        await self.http.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.http.aclose()

    async def ask(self, query: str, **variables: Any) -> JsonObject:
        """What a GraphQL query answers.

        Raises:
            TransferFailed: the token, the query or what it names.
            Passing: the server is away, or told to come back.
        """
        try:
            response = await self.http.post("/graphql", json={"query": query, "variables": variables})
        except httpx.TransportError as error:
            raise lost(error) from None
        body = _object(response)
        if errors := body.get("errors"):
            message = str(errors[0].get("message"))
            if response.status_code in PASSING or errors[0].get("extensions", {}).get("code") in _PASSING_CODES:
                raise Passing(message, retry_after(response))
            raise TransferFailed(message)
        if response.status_code in PASSING:
            raise Passing(f"The server answered {response.status_code}.", retry_after(response))
        data = body.get("data")
        if not isinstance(data, dict):
            raise TransferFailed(
                f"There is no Outdial server at {self.http.base_url}: it answered {response.status_code}."
            )
        return data


def _object(response: httpx.Response) -> JsonObject:
    """The JSON object of an answer; an empty one where there is none."""
    try:
        body = response.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def refusal(response: httpx.Response) -> str:
    """What a REST answer that is no result says, in words."""
    error = _object(response).get("error")
    if not isinstance(error, dict):
        return f"The server answered {response.status_code}."
    details = [f"{'.'.join(detail['path'])}: {detail['message']}" for detail in error.get("details", ())]
    return " ".join(details) or str(error.get("message"))


def retry_after(response: httpx.Response) -> float | None:
    """The seconds that Retry-After gives."""
    text = response.headers.get("retry-after", "")
    return float(text) if text.isascii() and text.isdecimal() else None
