"""Metrics: bounded, named outdial_*, and added up over several processes."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from app import metrics

ROOT = Path(__file__).parent.parent


def samples(page):
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(page.decode())
        for sample in family.samples
    }


def value(name, /, **labels):
    page, _ = metrics.render()
    return samples(page).get((name, tuple(sorted(labels.items()))), 0.0)


def test_every_metric_is_ours_and_says_what_it_is():
    page, content_type = metrics.render()
    assert content_type == "text/plain; version=0.0.4; charset=utf-8"
    families = {family.name: family for family in text_string_to_metric_families(page.decode())}
    assert set(families) == {
        "outdial_http_requests",
        "outdial_http_request_seconds",
        "outdial_graphql_operations",
        "outdial_claimed_targets",
        "outdial_completed_attempts",
        "outdial_swept_attempts",
        "outdial_events_delivered",
        "outdial_database_errors",
        "outdial_open_sockets",
        "outdial_subscriptions",
        "outdial_event_lag_seconds",
        "outdial_import_rows",
        "outdial_imports_under_way",
    }
    assert all(family.documentation.endswith(".") for family in families.values())


def test_counters_count_under_their_labels():
    before = value("outdial_completed_attempts_total", disposition="BUSY")
    claimed = value("outdial_claimed_targets_total")
    metrics.completed_attempts.labels("BUSY").inc(3)
    metrics.claimed_targets.inc(2)
    assert value("outdial_completed_attempts_total", disposition="BUSY") - before == 3
    assert value("outdial_claimed_targets_total") - claimed == 2


def test_requests_are_counted_and_timed():
    labels = {"method": "POST", "route": "/graphql"}
    before = value("outdial_http_requests_total", status="200", **labels)
    timed = value("outdial_http_request_seconds_count", **labels)
    metrics.observe_request("POST", "/graphql", 200, 0.02)
    assert value("outdial_http_requests_total", status="200", **labels) - before == 1
    assert value("outdial_http_request_seconds_count", **labels) - timed == 1


def test_methods_that_clients_make_up_are_one_series():
    for number in range(50):
        metrics.observe_request(f"MADEUP{number}", "/graphql", 405, 0.0)
    page, _ = metrics.render()
    assert b"MADEUP" not in page
    assert value("outdial_http_requests_total", method="other", route="/graphql", status="405") >= 50


def test_operations_have_a_bounded_number_of_names(monkeypatch):
    monkeypatch.setattr(metrics, "_names", set())
    for number in range(metrics.OPERATION_NAMES_MAX):
        assert metrics.operation_name(f"Op{number}") == f"Op{number}"
    assert metrics.operation_name("Late") == "other"
    assert metrics.operation_name("Op7") == "Op7"
    assert metrics.operation_name(None) == ""
    assert metrics.operation_name("") == ""


def test_operations_count_by_name_type_and_outcome(monkeypatch):
    monkeypatch.setattr(metrics, "_names", set())
    labels = {"name": "Read", "type": "query", "outcome": "ok"}
    before = value("outdial_graphql_operations_total", **labels)
    metrics.count_operation("Read", "query", "ok")
    assert value("outdial_graphql_operations_total", **labels) - before == 1


def test_the_numbers_of_all_workers_are_added_up_and_the_dead_hold_no_sockets(tmp_path):
    worker = textwrap.dedent("""
        import sys
        from app import metrics
        metrics.claimed_targets.inc(5)
        metrics.open_sockets.set(3)
        metrics.subscriptions.labels("targetEvents").inc(2)
        metrics.event_lag_seconds.set(float(sys.argv[1]))
        print("ready", flush=True)
        if sys.stdin.readline() == "render\\n":
            sys.stdout.write(metrics.render()[0].decode())
    """)
    environment = {**os.environ, metrics.MULTIPROCESS_VARIABLE: str(tmp_path), "PYTHONPATH": str(ROOT)}
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", worker, lag],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=tmp_path,
        )
        for lag in ("0.5", "1.5", "0.25")
    ]
    try:
        for process in workers:
            assert process.stdout.readline() == b"ready\n"
        workers[1].kill()
        workers[1].communicate()
        page, _ = workers[0].communicate(b"render\n", timeout=20)
    finally:
        for process in workers:
            process.kill()
            process.communicate() if not process.stdin.closed else process.wait()
    seen = samples(page)
    assert seen["outdial_claimed_targets_total", ()] == 15
    assert seen["outdial_open_sockets", ()] == 6
    assert seen["outdial_subscriptions", (("field", "targetEvents"),)] == 4
    assert seen["outdial_event_lag_seconds", ()] == 0.5
