"""A collector of OpenTelemetry: an HTTP server on 127.0.0.1 that takes spans, or takes them and never answers."""

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class Span:
    """A span as it arrived."""

    def __init__(self, span: Any, resource: dict[str, Any]) -> None:
        self.name: str = span.name
        self.kind: int = span.kind
        self.trace_id = span.trace_id.hex()
        self.span_id = span.span_id.hex()
        self.parent_id = span.parent_span_id.hex()
        self.attributes = values(span.attributes)
        self.resource = resource
        self.text = str(span)


def values(attributes: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in attributes}


class Collector:
    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.paths: set[str] = set()
        self.headers: list[dict[str, str]] = []
        self.is_silent = False
        self.held = threading.Event()
        """Set at the end: lets those go that wait for an answer."""
        self.asked = 0
        self.url = ""

    def take(self, handler: BaseHTTPRequestHandler) -> None:
        self.asked += 1
        body = handler.rfile.read(int(handler.headers["Content-Length"]))
        if self.is_silent:
            self.held.wait(60)
            return
        if handler.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        self.paths.add(handler.path)
        self.headers.append(dict(handler.headers))
        for of_resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            resource = values(of_resource.resource.attributes)
            for scope in of_resource.scope_spans:
                self.spans += [Span(span, resource) for span in scope.spans]
        handler.send_response(200)
        handler.send_header("Content-Length", "0")
        handler.end_headers()


@contextmanager
def collector() -> Iterator[Collector]:
    collecting = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            collecting.take(self)

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        server.block_on_close = False
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        collecting.url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield collecting
        finally:
            collecting.held.set()
            server.shutdown()
            thread.join(10)
