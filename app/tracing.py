"""Spans for OpenTelemetry if OUTDIAL_TRACING is on: of a request, its GraphQL operation, and its statements.

Nothing of OpenTelemetry is loaded before `start`. Spans are put into a queue of OpenTelemetry's own, which is bounded,
and a thread sends them: nobody waits for the collector, and what it does not take in time is lost.

A span says nothing that is a customer's: no path, no query string, no variable, no document, no value of a statement,
no message of an error. Names follow https://opentelemetry.io/docs/specs/semconv/.
"""

import asyncio
import hashlib
import os
import re
import threading
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from importlib.util import find_spec
from typing import Any, NamedTuple, TypeVar

from app.errors import Unavailable
from app.settings import PREFIX, SettingsError

T = TypeVar("T")

SERVICE = "outdial"
TRACEPARENT_CHARACTERS_MAX = 128
"""It has 55 today. A later version of W3C's Trace Context may add to it."""
STATEMENT_CHARACTERS_MAX = 4_000
OPERATION_NAME_CHARACTERS_MAX = 100
STOP_SECONDS_MAX = 2.0
"""How long the last spans may take to be sent when the server stops."""
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_FAULTS = frozenset({"INTERNAL", Unavailable.code})
"""What is the server's fault. All other codes are about the request."""
_WRITES = re.compile(r"\b(INSERT|UPDATE|DELETE)\b")
_TABLE = re.compile(r"\b(?:FROM|INTO|UPDATE|JOIN)\s+(?:ONLY\s+)?([a-z_]+)")


class _Api(NamedTuple):
    """What is used of OpenTelemetry, once it is loaded."""

    tracer: Any
    trace: Any
    context: Any
    extract: Callable[[dict[str, str]], Any]


_api: _Api | None = None
_provider: Any = None


def is_on() -> bool:
    """Whether spans are made. If not, this is all that it costs."""
    return _api is not None


def check() -> None:
    """Check that tracing can begin, before the server starts.

    Raises:
        SettingsError: OpenTelemetry is not installed, or its own variables ask for what there is not.
    """
    try:
        is_there = find_spec("opentelemetry.sdk.trace") and find_spec("opentelemetry.exporter.otlp.proto.http")
    except ModuleNotFoundError:
        is_there = None
    if not is_there:
        raise SettingsError(f"{PREFIX}TRACING: OpenTelemetry is not installed; run: pip install 'outdial[otel]'")
    for name, known in (
        ("OTEL_TRACES_EXPORTER", ("otlp", "none")),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", ("http/protobuf",)),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", ("http/protobuf",)),
    ):
        if os.environ.get(name, "").strip() not in {"", *known}:
            raise SettingsError(f"{name}: must be {' or '.join(known)}")


def start() -> None:
    """Send spans to the collector that the standard variables name (OTEL_…). By default: http://localhost:4318."""
    is_disabled = os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    if is_disabled or os.environ.get("OTEL_TRACES_EXPORTER", "").strip() == "none":
        return
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    resource = Resource.create()
    if str(resource.attributes.get("service.name", "")).startswith("unknown_service"):
        resource = resource.merge(Resource({"service.name": SERVICE}))
    # `stop` ends it: at the exit of the process it would wait for the collector.
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    use(provider)


def use(provider: Any) -> None:
    """Make spans with this provider of OpenTelemetry's; with None, none any more."""
    global _api, _provider  # noqa: PLW0603 - the one place that sets it
    _provider = provider
    if provider is None:
        _api = None
        return
    from opentelemetry import context, trace
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    # The empty context: a request is nobody's child but its caller's.
    propagator = TraceContextTextMapPropagator()
    _api = _Api(
        provider.get_tracer(SERVICE), trace, context, lambda found: propagator.extract(found, context.Context())
    )


async def stop() -> None:
    """Send what is left, for a short time only, and make no more spans."""
    provider = _provider
    if provider is None:
        return
    use(None)
    # A daemon, because a collector that does not answer would hold up the end of the process.
    ending = threading.Thread(target=provider.shutdown, name="end of tracing", daemon=True)
    ending.start()
    await asyncio.to_thread(ending.join, STOP_SECONDS_MAX)


# ---------------------------------------------------------------- requests


class RequestSpan:
    """The span of an HTTP request, while it is answered. Only if tracing is on.

    Args:
        method: as it was sent.
        headers: of the request, of which `traceparent` alone is read.
        request_id: if this server made it; an id of the client may be anything.
    """

    __slots__ = ("_api", "_method", "_span", "_token")

    def __init__(self, method: str, headers: Iterable[tuple[bytes, bytes]], request_id: str | None) -> None:
        assert _api is not None
        self._api = _api
        self._method = method if method in _METHODS else "_OTHER"
        attributes = {"http.request.method": self._method, "url.scheme": "http"}
        if request_id is not None:
            attributes["outdial.request_id"] = request_id
        caller = _api.extract(_traceparent(headers))
        kind = _api.trace.SpanKind.SERVER
        self._span = _api.tracer.start_span(self._method, caller, kind, attributes)
        self._token = _api.context.attach(_api.trace.set_span_in_context(self._span, caller))

    def end(self, route: str | None, status: int) -> None:
        """It is answered. A second call does nothing.

        Args:
            route: the pattern of its path; None if there is none.
            status: of the answer; 0 if the client left before.
        """
        span = self._span
        if not span.is_recording():
            return
        if route is not None:
            span.update_name(f"{self._method} {route}")
            span.set_attribute("http.route", route)
        if status:
            span.set_attribute("http.response.status_code", status)
        if status >= 500:
            _fail(self._api, span, str(status))
        elif not status:
            span.set_attribute("error.type", "disconnected")
        span.end()

    def leave(self) -> None:
        """What runs from here on is no part of it."""
        self._api.context.detach(self._token)


def _traceparent(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    found = [value for name, value in headers if name == b"traceparent"]
    if len(found) != 1 or len(found[0]) > TRACEPARENT_CHARACTERS_MAX:
        return {}
    return {"traceparent": found[0].decode("latin-1")}


# ---------------------------------------------------------------- operations


async def of_operation(work: Awaitable[T], *, kind: str, name: str, query: str, outcome: Callable[[T], str]) -> T:
    """Do the work in a span of a GraphQL operation.

    Args:
        work: its execution, or the beginning of a subscription.
        kind: query, mutation or subscription.
        name: that the client gave it; empty if it gave none.
        query: the document, of which only the hash is said.
        outcome: from the result, `ok` or the first error's code.
    """
    api = _api
    if api is None:  # it was switched off in between
        return await work
    with _current(api, api.tracer.start_span(kind, None, api.trace.SpanKind.SERVER)) as span:
        if span.is_recording():
            span.set_attribute("graphql.operation.type", kind)
            if name:
                span.set_attribute("graphql.operation.name", name[:OPERATION_NAME_CHARACTERS_MAX])
            span.set_attribute("graphql.document.hash", f"sha256:{hashlib.sha256(query.encode()).hexdigest()}")
        result = await work
        if (code := outcome(result)) != "ok":
            _note(api, span, code)
        return result


# ---------------------------------------------------------------- statements


async def of_statement(work: Awaitable[T], sql: str, *, system: str, refusal: type[Exception] | None = None) -> T:
    """Do the work in a span of a statement, if it is of a request that has one: not for housekeeping.

    Args:
        work: the statement's.
        sql: its text, with placeholders.
        system: `sqlite` or `postgresql`.
        refusal: an exception that is no error.
    """
    api = _api
    if api is None or not api.trace.get_current_span().is_recording():
        return await work
    with statement(sql, system=system, refusal=refusal):
        return await work


@contextmanager
def statement(sql: str, *, system: str, refusal: type[Exception] | None = None) -> Iterator[None]:
    """The same as a context."""
    api = _api
    if api is None or not api.trace.get_current_span().is_recording():
        yield
        return
    name, attributes = _described(sql)
    span = api.tracer.start_span(name, None, api.trace.SpanKind.CLIENT, {"db.system.name": system, **attributes})
    with _current(api, span, refusal):
        yield


@lru_cache(maxsize=512)
def _described(sql: str) -> tuple[str, dict[str, str]]:
    text = " ".join(sql.removeprefix("BEGIN; ").split())
    word = text.partition(" ")[0].upper()
    if word == "WITH":  # it is named after what it writes
        write = _WRITES.search(text)
        word = write[1] if write else "SELECT"
    attributes = {"db.operation.name": word, "db.query.text": text[:STATEMENT_CHARACTERS_MAX]}
    table = _TABLE.search(text)
    if table is None:
        return word, attributes
    return f"{word} {table[1]}", {**attributes, "db.collection.name": table[1]}


# ---------------------------------------------------------------- errors


@contextmanager
def _current(api: _Api, span: Any, refusal: type[Exception] | None = None) -> Iterator[Any]:
    """Let it be the present span, and end it. An error is noted by its kind: its message may have a customer's data."""
    token = api.context.attach(api.trace.set_span_in_context(span))
    try:
        yield span
    except BaseException as error:
        code = getattr(error, "code", None)
        if isinstance(code, str):
            _note(api, span, code)
        elif isinstance(error, asyncio.CancelledError):
            span.set_attribute("error.type", "canceled")
        elif refusal is None or not isinstance(error, refusal):
            _fail(api, span, type(error).__name__)
            if isinstance(state := getattr(error, "sqlstate", None), str):
                span.set_attribute("db.response.status_code", state)
        raise
    finally:
        api.context.detach(token)
        span.end()


def _note(api: _Api, span: Any, code: str) -> None:
    if code in _FAULTS:
        _fail(api, span, code)
    else:
        span.set_attribute("error.type", code)


def _fail(api: _Api, span: Any, kind: str) -> None:
    span.set_attribute("error.type", kind)
    span.set_status(api.trace.StatusCode.ERROR)
