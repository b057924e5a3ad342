"""An application in this process, and the spans of what it did."""

from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import httpx
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

CUSTOMER = str(uuid4())
QUERY = "query Names($first: Int!) { outdials(first: $first) { nodes { name } } }"


class Traced:
    """The application in this process, and the spans of what it did."""

    def __init__(self, http: httpx.AsyncClient, exporter: InMemorySpanExporter) -> None:
        self.http = http
        self._exporter = exporter

    async def ask(self, query: str = QUERY, headers: dict[str, str] | None = None, **variables: Any) -> httpx.Response:
        body = {"query": query, "variables": variables or {"first": 2}}
        return await self.http.post("/graphql", json=body, headers=headers)

    def spans(self) -> list[ReadableSpan]:
        """Those since the last call."""
        found = list(self._exporter.get_finished_spans())
        self._exporter.clear()
        return found


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def chain(spans: Sequence[ReadableSpan]) -> list[list[ReadableSpan]]:
    """The spans by how deep they are."""
    levels: list[list[ReadableSpan]] = []
    ids = {span.context.span_id for span in spans}
    here = [span for span in spans if span.parent is None or span.parent.span_id not in ids]
    while here:
        levels.append(here)
        parents = {span.context.span_id for span in here}
        here = [span for span in spans if span.parent is not None and span.parent.span_id in parents]
    return levels
