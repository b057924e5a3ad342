"""The metrics at /metrics, in Prometheus' text format.

If there are several worker processes, each writes its numbers to files in one directory, and the one that answers adds
them up. prometheus_client chooses between memory and files when it is imported, by PROMETHEUS_MULTIPROC_DIR: `serve`
sets it before it starts the workers, and only they import this module.
"""

import os
import re
from contextlib import suppress
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

MULTIPROCESS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
OPERATION_NAMES_MAX = 100
"""Clients choose operation names, and each name is a time series that stays. Names above this number are "other"."""

OPERATION_NAME_CHARACTERS_MAX = 100
"""A longer one is "other"."""

_NUMBER = re.compile(r"\d{7}")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_directory = os.environ.get(MULTIPROCESS_VARIABLE)
_registry = CollectorRegistry()
_names: set[str] = set()
_ended: dict[tuple[str, str, str], Counter] = {}
_executed: dict[str, Counter] = {}
_answered: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
"""As many as there are time series: methods and routes are few. Looking a label up takes longer than counting."""

disable_created_metrics()  # type: ignore[no-untyped-call] # a creation time for every counter doubles the page

requests = Counter(
    "outdial_http_requests", "HTTP requests that were answered.", ["method", "route", "status"], registry=_registry
)
request_seconds = Histogram(
    "outdial_http_request_seconds",
    "Seconds from the arrival of a request to the end of its answer.",
    ["method", "route"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
    registry=_registry,
)
operations = Counter(
    "outdial_graphql_operations", "GraphQL operations that ended.", ["name", "type", "outcome"], registry=_registry
)
graphql_executions = Counter(
    "outdial_graphql_executions",
    "Executions of queries and mutations, and of each event of subscriptions: compiled, replayed (a compiled one that "
    "met an error, executed by graphql-core) or core (by graphql-core alone).",
    ["way"],
    registry=_registry,
)
claimed_targets = Counter("outdial_claimed_targets", "Targets that dialers claimed.", registry=_registry)
completed_attempts = Counter(
    "outdial_completed_attempts", "Attempts whose result was reported.", ["disposition"], registry=_registry
)
swept_attempts = Counter(
    "outdial_swept_attempts", "Attempts whose lease expired, by resulting state.", ["state"], registry=_registry
)
opened_breakers = Counter(
    "outdial_opened_breakers",
    "How often an outdial has stopped by itself because too many of its calls failed.",
    registry=_registry,
)
import_rows = Counter("outdial_import_rows", "Rows of imports, by result.", ["outcome"], registry=_registry)
imports_under_way = Gauge(
    "outdial_imports_under_way",
    "Imports in progress or waiting.",
    multiprocess_mode="livesum",
    registry=_registry,
)
events_delivered = Counter("outdial_events_delivered", "Events sent to subscribers.", registry=_registry)
database_errors = Counter(
    "outdial_database_errors",
    "Statements and transactions that failed because of the database, by reason.",
    ["reason"],
    registry=_registry,
)
database_connections_in_use = Gauge(
    "outdial_database_connections_in_use",
    "Database connections that run a statement or a transaction.",
    multiprocess_mode="livesum",
    registry=_registry,
)
database_connections_limit = Gauge(
    "outdial_database_connections_limit",
    "Database connections that the processes may have.",
    multiprocess_mode="livesum",
    registry=_registry,
)
internal_errors = Counter(
    "outdial_internal_errors", "Bugs that were met. The log has the traceback of each.", registry=_registry
)
withheld_lines = Counter(
    "outdial_withheld_log_lines",
    "Log lines that were not written because the same was written just before, by event.",
    ["event"],
    registry=_registry,
)
chore_succeeded = Gauge(
    "outdial_chore_succeeded_timestamp_seconds",
    "When a chore of housekeeping was last done, in the process that is furthest behind, by chore.",
    ["chore"],
    multiprocess_mode="livemin",
    registry=_registry,
)
refused_connections = Counter(
    "outdial_refused_connections",
    "Requests and connections that were refused before their token was read, by reason.",
    ["reason"],
    registry=_registry,
)
closed_sockets = Counter(
    "outdial_closed_sockets",
    "WebSockets that ended, by the code that the server closed them with.",
    ["code"],
    registry=_registry,
)
rate_limited = Counter(
    "outdial_rate_limited",
    "Operations, calls and claims that were refused because their customer had no points left, by kind.",
    ["kind"],
    registry=_registry,
)
open_sockets = Gauge("outdial_open_sockets", "Open WebSockets.", multiprocess_mode="livesum", registry=_registry)
subscriptions = Gauge(
    "outdial_subscriptions",
    "Open subscriptions.",
    ["field"],
    multiprocess_mode="livesum",
    registry=_registry,
)
waiting_for_turns = Gauge(
    "outdial_waiting_for_turns",
    "Operations and imports that wait until their customer has room.",
    ["what"],
    multiprocess_mode="livesum",
    registry=_registry,
)
event_lag_seconds = Gauge(
    "outdial_event_lag_seconds",
    "Age of our own oldest writing transaction. Committed events wait for it.",
    multiprocess_mode="livemax",
    registry=_registry,
)

stats_lag_seconds = Gauge(
    "outdial_stats_lag_seconds",
    "Seconds for which changes of attempts have waited to be in the figures of stats.",
    multiprocess_mode="livemax",
    registry=_registry,
)


def operation_name(name: str | None, *, is_new: bool = True) -> str:
    """The label of an operation: its name, "" if it is anonymous, "other" if it may not be shown.

    It may not if it is too long or one too many, or has a number in it that may be somebody's telephone.

    Args:
        name: of the operation.
        is_new: whether a name that this process has not seen may become a label.
    """
    if name is not None and len(name) > OPERATION_NAME_CHARACTERS_MAX:  # not even looked for
        return "other"
    if not name or name in _names:
        return name or ""
    if not is_new or len(_names) >= OPERATION_NAMES_MAX:
        return "other"
    if _NUMBER.search(name):
        return "other"
    _names.add(name)
    return name


def count_operation(name: str | None, operation_type: str, outcome: str) -> None:
    """Count a GraphQL operation that ended: query, mutation or subscription; ok, or the first error's code."""
    labels = operation_name(name), operation_type, outcome
    found = _ended.get(labels)
    if found is None:
        found = _ended[labels] = operations.labels(*labels)
    found.inc()


def count_execution(way: str) -> None:
    """Count an execution by its way."""
    found = _executed.get(way)
    if found is None:
        found = _executed[way] = graphql_executions.labels(way)
    found.inc()


def count_refused(name: str | None, outcome: str) -> None:
    """Count a GraphQL request that was refused before it ran. Its name may be anything, so it never adds a label."""
    operations.labels(operation_name(name, is_new=False), "unknown", outcome).inc()


def count_import_rows(*, accepted: int, rejected: int) -> None:
    """Count the rows of a committed chunk."""
    import_rows.labels("accepted").inc(accepted)
    import_rows.labels("rejected").inc(rejected)


def observe_request(method: str, route: str, status: int, seconds: float) -> None:
    """Count an answered request. The route is the pattern, never the path: ids would be time series."""
    labels = method if method in _METHODS else "other", route, status
    found = _answered.get(labels)
    if found is None:
        children = requests.labels(labels[0], route, str(status)), request_seconds.labels(labels[0], route)
        found = _answered[labels] = children
    found[0].inc()
    found[1].observe(seconds)


def render() -> tuple[bytes, str]:
    """The page and its content type. If there are several workers, it has the numbers of all."""
    if _directory is None:
        return generate_latest(_registry), CONTENT_TYPE_PLAIN_0_0_4
    _forget_dead_processes(Path(_directory))
    registry = CollectorRegistry()
    MultiProcessCollector(registry, _directory)  # type: ignore[no-untyped-call]
    return generate_latest(registry), CONTENT_TYPE_PLAIN_0_0_4


def _forget_dead_processes(directory: Path) -> None:
    """Drop the gauges of a killed worker: it closed no sockets, so they would stay too high. Its counters stay."""
    for pid in {path.stem.rpartition("_")[2] for path in directory.glob("gauge_live*_*.db")}:
        try:
            os.kill(int(pid), 0)
        except ProcessLookupError:
            with suppress(FileNotFoundError):  # another worker, asked at the same time, has already removed it
                mark_process_dead(int(pid), str(directory))  # type: ignore[no-untyped-call]
        except (PermissionError, ValueError):
            continue
