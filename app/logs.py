"""Logs: one format for our lines and the libraries' lines, without secrets and telephone numbers.

The finished line is redacted, so it does not matter whether a secret comes from a message, a value, an exception or a
library.
"""

import json
import logging
import re
import sys
import threading
from collections.abc import Iterable, MutableMapping
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import lru_cache
from types import TracebackType
from typing import Any

import orjson
import structlog

from app.database_url import DatabaseUrl
from app.repeats import Repeats
from app.settings import Settings

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
"""The id of the present request. Every line that is logged during it has the id."""

REDACTED = "[redacted]"

# Below WARNING, these log frames, statements with values, or URLs with queries.
_TALKATIVE = (
    "aiosqlite",
    "asyncio",
    "httpcore",
    "httpx",
    "opentelemetry",
    "tortoise",
    "urllib3",
    "uvicorn",
    "uvicorn.access",
    "uvicorn.error",
    "websockets",
)

_NAME = r"(?:token|secret|password|passwd|authorization|cookie)"
_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    # user:password@ of any URL
    (re.compile(r"(\b[a-z][a-z0-9+.-]{1,30}://)[^\s/\"'@]*(?:@[^\s/\"'@]*)*@", re.IGNORECASE), rf"\1{REDACTED}@"),
    # A JSON Web Token, whole or cut off: its header begins with {" in base64.
    (re.compile(r"\beyJ[A-Za-z0-9_-]{5,}(?:\.[A-Za-z0-9_-]*)*"), REDACTED),
    (re.compile(r"\b(bearer|basic)((?:\s|%20|\+)+)[^\s\"'\\,;&]+", re.IGNORECASE), rf"\1\2{REDACTED}"),
    # name="…" and "name": "…", up to the quote that is escaped as often as the first
    (
        re.compile(rf"({_NAME}\\*[\"']?\s*[=:]\s*(\\*)([\"']))(?:(?!\2\3)(?:\\+.|[^\\\r\n]))*", re.IGNORECASE),
        rf"\1{REDACTED}",
    ),
    # name=… as in a query or a DSN, and a header's line
    (re.compile(rf"({_NAME}=)[^\s&\"'\\,;)\]}}]+", re.IGNORECASE), rf"\1{REDACTED}"),
    (re.compile(r"\b((?:authorization|cookie):\s*)[^\s\"'\\][^\r\n\"'\\]*", re.IGNORECASE), rf"\1{REDACTED}"),
    # The query of a path or a URL
    (re.compile(r"(/[^\s?/\"'\\]*\?)[^\s\"'\\]+"), rf"\1{REDACTED}"),
    # A telephone number with its country code, as people or machines write it
    (re.compile(r"(?:\+|%2B|\\u002b)(?:[ ().-]?[ (]?\d){7,15}", re.IGNORECASE), REDACTED),
    # One without, right behind a word: tel:14155550100. A count stands alone, and an id is hexadecimal.
    (re.compile(r"(?<=[g-zG-Z:])\d{10,15}(?![0-9a-fA-F.-])"), REDACTED),
)
_UUID = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_SEGMENT = re.compile(rf"{_UUID}|(?!.*[0-9][0-9._-]{{5,}}[0-9])[A-Za-z0-9._-]{{0,40}}")
"""What a path may show between two slashes: an id or a name. Not what is as long as a part of a token, has a number as
long as a telephone's, or is escaped."""


_PLAIN_PATH = re.compile(r"/[a-z0-9/._-]*")
"""A path in which none of the patterns can find anything: no capital, no space, none of = : ? + %."""
_requests = structlog.get_logger("outdial.access")
_requests_level = logging.getLogger("outdial.access")
_repeats = Repeats()
_processors: list[structlog.typing.Processor] = []
"""Those of `configure`. A test that captures log lines empties the list."""


def configure(settings: Settings) -> None:
    """Send every log line of this process to standard error, as the settings ask. May be called again."""
    redaction = _Redaction(_secrets(settings))
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        _add_request_id,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if settings.log_format == "json"
        # Without colours, which would split words that people search for.
        else structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.StackInfoRenderer(),
            structlog.processors.format_exc_info,  # before the renderer, which might show local variables
            renderer,
            redaction,
        ],
    )
    handler = _Handler(is_json=settings.log_format == "json", secrets=_secrets(settings))
    handler.setFormatter(formatter)
    root = logging.getLogger()
    for old in [old for old in root.handlers if isinstance(old, _Handler)]:
        root.removeHandler(old)
    root.addHandler(handler)
    level = logging.getLevelNamesMapping()[settings.log_level]
    root.setLevel(level)
    for name in _TALKATIVE:
        logger = logging.getLogger(name)
        logger.setLevel(max(level, logging.WARNING))
        # if somebody runs uvicorn with its own configuration, its lines would not reach our handler
        logger.handlers.clear()
        logger.propagate = True
    logging.captureWarnings(capture=True)
    if settings.log_format == "json":
        # Uncaught exceptions are logged too: Python's own tracebacks are not JSON.
        sys.excepthook = _log_uncaught
        threading.excepthook = lambda caught: _log_uncaught(caught.exc_type, caught.exc_value, caught.exc_traceback)
        sys.unraisablehook = lambda caught: _log_uncaught(caught.exc_type, caught.exc_value, caught.exc_traceback)

    _processors[:] = [
        structlog.stdlib.filter_by_level,
        _repeats,
        *shared,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
    ]
    structlog.configure(
        processors=_processors,
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,  # so that a second call also applies to loggers that are already used
    )


def writes_json() -> bool:
    """Whether `configure` has asked for JSON."""
    handler = _handler()
    return handler is not None and handler.is_json


@lru_cache(maxsize=500)
def shown_path(path: str) -> str:
    """A path for a log line: what is neither a name nor an id in it may be anything, so it is not shown."""
    return "/".join(part if _SEGMENT.fullmatch(part) else REDACTED for part in path.split("/"))


def log_request(method: str, path: str, status: int | str, milliseconds: float, *, own_id: str | None) -> None:
    """Write the line of an answered request, at INFO.

    Each request has one, and by all the processors it would cost more than the answer to a small query. A plain line is
    written directly; it is the same line.

    Args:
        method: of HTTP.
        path: as it is to be logged.
        status: of the answer, or what happened instead.
        milliseconds: how long it took.
        own_id: the request's id if this server made it. An id of a client may hold anything.
    """
    if not writes_requests():
        return
    handler = _handler() if _processors else None
    if handler is None or own_id is None or not method.isalpha() or _PLAIN_PATH.fullmatch(path) is None:
        _requests.info("request", method=method, path=path, status=status, milliseconds=milliseconds)
    else:
        now = orjson.dumps(datetime.now(UTC), option=orjson.OPT_UTC_Z)[1:-1].decode()
        handler.write(
            f'{{"method": "{method}", "path": "{path}", "status": {json.dumps(status)}, '
            f'"milliseconds": {milliseconds}, "event": "request", "request_id": "{own_id}", "level": "info", '
            f'"logger": "outdial.access", "timestamp": "{now}"}}'
            if handler.is_json
            else f"{now} [info     ] request                        [outdial.access] method={method} "
            f"milliseconds={milliseconds} path={path} request_id={own_id} status={status}"
        )


def writes_requests() -> bool:
    """Whether the lines of requests are written."""
    return not _processors or _requests_level.isEnabledFor(logging.INFO)


def _handler() -> "_Handler | None":
    return next((handler for handler in logging.getLogger().handlers if isinstance(handler, _Handler)), None)


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """The text without tokens, secrets, passwords, queries and telephone numbers, and without these secrets."""
    for secret in secrets:
        text = text.replace(secret, REDACTED)
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text


class _Redaction:
    """The last processor: redacts the finished line."""

    def __init__(self, secrets: tuple[str, ...]) -> None:
        self._secrets = secrets

    def __call__(self, _logger: object, _method: str, line: Any) -> str:
        return redact(line if isinstance(line, str) else str(line), self._secrets)


class _Handler(logging.Handler):
    """Writes to the present standard error, any text."""

    def __init__(self, *, is_json: bool, secrets: tuple[str, ...]) -> None:
        super().__init__()
        self.is_json = is_json
        self._secrets = secrets

    def write(self, line: str) -> None:
        """Write a line that holds nothing to redact, except maybe one of our own secrets."""
        for secret in self._secrets:
            line = line.replace(secret, REDACTED)
        sys.stderr.write(line + "\n")
        sys.stderr.flush()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
        except Exception:  # noqa: BLE001 - a line that cannot be formatted must not end the work that it is about
            # logging's own error would print the values unredacted.
            line = f"a log line of {record.name} at {record.pathname}:{record.lineno} could not be formatted"
            if self.is_json:
                line = json.dumps({"event": line, "level": "error"})
        # Half a surrogate pair, possible in JSON escapes, is not UTF-8.
        sys.stderr.write(line.encode(errors="backslashreplace").decode() + "\n")
        sys.stderr.flush()


def _log_uncaught(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    if issubclass(kind, SystemExit):  # a thread may end itself so
        return
    logging.getLogger("outdial").critical("uncaught", exc_info=(kind, error or kind(), trace))


def _add_request_id(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    current = request_id.get()
    if current is not None:
        event.setdefault("request_id", current)
    return event


def _secrets(settings: Settings) -> tuple[str, ...]:
    """The secrets in the settings, in each spelling, the longest first."""
    own = (settings.jwt_secret, settings.metrics_token)
    found = {secret.get_secret_value() for secret in own if secret is not None}
    if not settings.is_sqlite:
        url = DatabaseUrl.parse(settings.database_url)
        login = settings.database_url.partition("://")[2].partition("/")[0].rpartition("@")[0]
        passwords = (url.password, login.partition(":")[2], url.parameters.get("sslpassword"))
        # A very short one is part of ordinary words; the URL's pattern finds it in URLs.
        found |= {text for text in passwords if text and len(text) >= 6}
    found |= {json.dumps(text)[1:-1] for text in found}
    return tuple(sorted(found, key=len, reverse=True))
