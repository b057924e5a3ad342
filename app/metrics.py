"""What is counted, under /metrics in Prometheus' text format.

With several worker processes each writes its numbers to files in one directory, and whichever is asked adds them up.
prometheus_client chooses between memory and files when it is imported, by PROMETHEUS_MULTIPROC_DIR: `serve` sets that
before it starts the workers, which import this module only then.
"""

import os
from contextlib import suppress
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

MULTIPROCESS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
OPERATION_NAMES_MAX = 100
"""Clients choose the names of operations, and each name is a time series for good: of the later ones, "other"."""

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_directory = os.environ.get(MULTIPROCESS_VARIABLE)
_registry = CollectorRegistry()
_names: set[str] = set()

disable_created_metrics()  # type: ignore[no-untyped-call] # a creation time beside every counter doubles the page

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
claimed_targets = Counter("outdial_claimed_targets", "Targets that dialers claimed.", registry=_registry)
completed_attempts = Counter(
    "outdial_completed_attempts", "Attempts whose result was reported.", ["disposition"], registry=_registry
)
swept_attempts = Counter(
    "outdial_swept_attempts", "Attempts whose lease expired, by resulting state.", ["state"], registry=_registry
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
    "outdial_database_errors", "Statements and transactions that the database failed.", registry=_registry
)
open_sockets = Gauge("outdial_open_sockets", "Open WebSockets.", multiprocess_mode="livesum", registry=_registry)
subscriptions = Gauge(
    "outdial_subscriptions",
    "Open subscriptions.",
    ["field"],
    multiprocess_mode="livesum",
    registry=_registry,
)
event_lag_seconds = Gauge(
    "outdial_event_lag_seconds",
    "Age of the oldest open transaction, here or elsewhere in the cluster, behind which committed events wait.",
    multiprocess_mode="livemax",
    registry=_registry,
)


def operation_name(name: str | None) -> str:
    """What an operation is counted under: its name while there are few (in each process), "" for an anonymous one."""
    if not name or name in _names:
        return name or ""
    if len(_names) >= OPERATION_NAMES_MAX:
        return "other"
    _names.add(name)
    return name


def count_operation(name: str | None, operation_type: str, outcome: str) -> None:
    """Count a GraphQL operation that ended: query, mutation or subscription; and ok, or its first error's code."""
    operations.labels(operation_name(name), operation_type, outcome).inc()


def count_import_rows(*, accepted: int, rejected: int) -> None:
    """Count the rows of a committed chunk."""
    import_rows.labels("accepted").inc(accepted)
    import_rows.labels("rejected").inc(rejected)


def observe_request(method: str, route: str, status: int, seconds: float) -> None:
    """Count an answered request. The route is the pattern, never the path: ids would be time series."""
    method = method if method in _METHODS else "other"
    requests.labels(method, route, str(status)).inc()
    request_seconds.labels(method, route).observe(seconds)


def render() -> tuple[bytes, str]:
    """The page and its content type; of all workers where there are several."""
    if _directory is None:
        return generate_latest(_registry), CONTENT_TYPE_PLAIN_0_0_4
    _forget_dead_processes(Path(_directory))
    registry = CollectorRegistry()
    MultiProcessCollector(registry, _directory)  # type: ignore[no-untyped-call]
    return generate_latest(registry), CONTENT_TYPE_PLAIN_0_0_4


def _forget_dead_processes(directory: Path) -> None:
    """A worker that was killed closed no sockets; its gauges would count them for ever. Its counters stay."""
    for pid in {path.stem.rpartition("_")[2] for path in directory.glob("gauge_live*_*.db")}:
        try:
            os.kill(int(pid), 0)
        except ProcessLookupError:
            with suppress(FileNotFoundError):  # another worker, asked at the same time, was faster
                mark_process_dead(int(pid), str(directory))  # type: ignore[no-untyped-call]
        except (PermissionError, ValueError):
            continue
