"""What a client accepts, by its Accept header (RFC 9110, section 12.5.1)."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

ACCEPT_CHARACTERS_MAX = 1_000
"""Browsers send less than half of it. A longer header counts as */*."""

JSON: Final = "application/json"
GRAPHQL_JSON: Final = "application/graphql-response+json"
EVENT_STREAM = "text/event-stream"
HTML = "text/html"

JsonType = Literal["application/json", "application/graphql-response+json"]


@dataclass(frozen=True, slots=True)
class Accepted:
    """How a client wants its answer."""

    json: JsonType | None
    """None if it accepts no JSON."""
    stream: bool
    """It accepts event streams. A subscription is answered as one."""
    prefers_stream: bool
    """It prefers a stream to JSON. If both have the same weight, as urql sends them, it does not."""
    prefers_html: bool
    """A browser that opens a page."""


def accepted(header: str | None) -> Accepted:
    if not header or len(header) > ACCEPT_CHARACTERS_MAX:
        return _accepted("*/*")
    return _accepted(header)


@lru_cache(maxsize=200)
def _accepted(header: str) -> Accepted:
    ranges = dict(_ranges(header))
    stream, html = ranges.get(EVENT_STREAM, ranges.get("text/*", 0.0)), ranges.get(HTML, 0.0)
    plain, graphql = _quality(ranges, JSON), _quality(ranges, GRAPHQL_JSON)
    json: JsonType | None = None
    if graphql > plain or (GRAPHQL_JSON in ranges and graphql == plain > 0):
        json = GRAPHQL_JSON
    elif plain > 0:
        json = JSON
    best = max(plain, graphql)
    return Accepted(json, stream=stream > 0, prefers_stream=stream > best, prefers_html=html > best)


def _quality(ranges: dict[str, float], media_type: str) -> float:
    return ranges.get(media_type, ranges.get("application/*", ranges.get("*/*", 0.0)))


def _ranges(header: str) -> list[tuple[str, float]]:
    found = []
    for item in header.split(","):
        name, *parameters = (part.strip().lower() for part in item.split(";"))
        quality = 1.0
        for parameter in parameters:
            if parameter.startswith("q="):
                try:
                    quality = float(parameter[2:])
                except ValueError:
                    quality = 0.0
        if name:
            found.append((name, quality))
    return found
