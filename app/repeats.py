"""Log lines that an outage makes with each request: the first is written at once, then how many more there were.

Otherwise there would be as many lines as there are requests, and anybody who sends them could fill the disk.
"""

import asyncio
import time
from collections.abc import MutableMapping
from contextlib import suppress
from contextvars import Context
from typing import Any

import structlog

from app import metrics

REPEATED_EVENTS = frozenset(
    {
        "database_unavailable",
        "housekeeping_waits",
        "import_left_open",
        "import_worker_not_started",
        "issuer_keys_not_fetched",
        "node_not_heard",
        "others_not_told",
        "subscribers_wait",
        "unavailable",
    }
)
SUMMARY_SECONDS = 5.0
"""From the first line of a kind to the one that says how many there were since, and from that one to the next."""
KINDS_MAX = 100
"""Further kinds of an event count together."""
_GRACE_SECONDS = 1.0
_KIND = ("reason", "error", "code", "chore", "host", "port")
"""The keys in which lines of one kind are the same. In others, such as the path of a field, they may differ."""

Kind = tuple[str, tuple[tuple[str, Any], ...]]


class _Run:
    """Lines of one kind, one soon after the other."""

    __slots__ = ("due", "withheld")

    def __init__(self) -> None:
        self.withheld = 0
        self.due = 0.0


class Repeats:
    """A processor of structlog that drops a line if the same was written just before."""

    def __init__(self) -> None:
        self._runs: dict[Kind, _Run] = {}
        for event in REPEATED_EVENTS:
            metrics.withheld_lines.labels(event)  # 0 until there are any: a rate needs a beginning

    def __call__(self, logger: Any, method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """The line, if it is to be written.

        Raises:
            structlog.DropEvent: it is not.
        """
        if line["event"] not in REPEATED_EVENTS or "repeated" in line:
            return line
        kind = self._kind(line)
        run = self._runs.get(kind)
        if run is None:
            self._begin(kind, logger.name, method)
            return line
        run.withheld += 1
        if time.monotonic() < run.due + _GRACE_SECONDS:
            metrics.withheld_lines.labels(line["event"]).inc()
            raise structlog.DropEvent
        # Nobody has summed it up: its loop has ended, or there was none.
        line["repeated"] = run.withheld
        self._begin(kind, logger.name, method)
        return line

    def _kind(self, line: MutableMapping[str, Any]) -> Kind:
        kind = line["event"], tuple((name, str(line[name])) for name in _KIND if name in line)
        return kind if kind in self._runs or len(self._runs) < KINDS_MAX else (line["event"], ())

    def _begin(self, kind: Kind, logger_name: str, method: str) -> None:
        self._runs[kind] = run = _Run()
        run.due = time.monotonic() + SUMMARY_SECONDS
        with suppress(RuntimeError):  # no loop runs in this thread
            loop = asyncio.get_running_loop()
            # In a context of its own: the line is about many requests.
            loop.call_later(SUMMARY_SECONDS, self._sum_up, kind, run, logger_name, method, context=Context())

    def _sum_up(self, kind: Kind, run: _Run, logger_name: str, method: str) -> None:
        if self._runs.get(kind) is not run:
            return
        if not run.withheld:
            del self._runs[kind]
            return
        event, values = kind
        getattr(structlog.get_logger(logger_name), method)(event, **dict(values), repeated=run.withheld)
        self._begin(kind, logger_name, method)
