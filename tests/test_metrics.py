"""Metrics: bounded, named outdial_*, and added up over several processes."""

import asyncio
import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from app import db, housekeeping, metrics
from app.db.failures import Failure
from app.errors import Unavailable
from app.graphql.transport import masking
from app.rest import problems

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
        "outdial_graphql_executions",
        "outdial_graphql_operations",
        "outdial_claimed_targets",
        "outdial_completed_attempts",
        "outdial_opened_breakers",
        "outdial_swept_attempts",
        "outdial_events_delivered",
        "outdial_chore_succeeded_timestamp_seconds",
        "outdial_closed_sockets",
        "outdial_database_connections_in_use",
        "outdial_database_connections_limit",
        "outdial_database_errors",
        "outdial_internal_errors",
        "outdial_open_sockets",
        "outdial_rate_limited",
        "outdial_refused_connections",
        "outdial_withheld_log_lines",
        "outdial_subscriptions",
        "outdial_event_lag_seconds",
        "outdial_stats_lag_seconds",
        "outdial_import_rows",
        "outdial_imports_under_way",
        "outdial_waiting_for_turns",
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


async def test_connections_in_use_are_counted_and_come_back_to_none_however_work_ends(database):
    seen = []

    async def work(tx):
        seen.append(value("outdial_database_connections_in_use"))
        await tx.fetch("SELECT 1 AS one")

    async def failing(tx):
        await work(tx)
        raise KeyError

    assert value("outdial_database_connections_limit") == (10 if db.is_postgres() else 1)
    before = value("outdial_database_connections_in_use")
    await db.transaction(work)
    with pytest.raises(KeyError):
        await db.transaction(failing)
    for _ in range(20):
        leaving = asyncio.create_task(db.transaction(work))
        await asyncio.sleep(0)
        leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)
    await db.transaction(work)
    async with asyncio.timeout(20):
        while value("outdial_database_connections_in_use") != before:  # noqa: ASYNC110 - shielded units end by themselves
            await asyncio.sleep(0.01)
    assert min(seen) >= before + 1


async def test_a_chore_is_done_at_its_last_success(monkeypatch):
    faults = [Unavailable("away"), KeyError("a bug")]

    async def work():
        if faults:
            raise faults.pop(0)

    chore = housekeeping.Chore("try things", work, 1.0)
    bugs = value("outdial_internal_errors_total")
    for _ in range(2):
        await housekeeping._is_done(chore)
        assert value("outdial_chore_succeeded_timestamp_seconds", chore="try things") == 0
    assert value("outdial_internal_errors_total") == bugs + 1
    before = time.time()
    await housekeeping._is_done(chore)
    assert before <= value("outdial_chore_succeeded_timestamp_seconds", chore="try things") <= time.time()
    await housekeeping._is_done(housekeeping.Chore("hear", work, 1.0, is_periodic=False))
    assert value("outdial_chore_succeeded_timestamp_seconds", chore="hear") == 0


def test_bugs_are_counted_by_both_faces():
    before = value("outdial_internal_errors_total")
    masking.render(ValueError("a bug"))
    problems.of(ValueError("a bug"), missing=problems.Reason.INTERNAL)
    masking.render(Unavailable("no bug"))
    assert value("outdial_internal_errors_total") == before + 2


def test_database_errors_begin_at_none_for_every_reason():
    page, _ = metrics.render()
    reasons = {dict(labels)["reason"] for name, labels in samples(page) if name == "outdial_database_errors_total"}
    assert reasons == set(Failure)
