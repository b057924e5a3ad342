"""The alerts and the dashboard in docs/monitoring: what they name is in the metrics of a server that has worked."""

import json
import re
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import Databases, Kind
from tests.support import documents, importing
from tests.support.graphql_client import Client
from tests.support.raw import Raw, frame
from tests.support.server import REPOSITORY, ServerProcess
from tests.support.waiting import until

FOLDER = REPOSITORY / "docs" / "monitoring"
ALERTS, ALERTS_TEST, DASHBOARD = FOLDER / "alerts.yml", FOLDER / "alerts_test.yml", FOLDER / "dashboard.json"
RULES: list[dict[str, Any]] = [
    rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]
]
BOARD: dict[str, Any] = json.loads(DASHBOARD.read_text())
PANELS: list[dict[str, Any]] = [panel for panel in BOARD["panels"] if panel["type"] != "row"]
EXPRESSIONS = [rule["expr"] for rule in RULES] + [target["expr"] for panel in PANELS for target in panel["targets"]]
OF_PROMETHEUS = {"job", "instance", "alertname"}
"""The labels that Prometheus adds."""
LEFT_OUT = {"up"}
"""Prometheus' own series."""


def selectors(expression: str) -> Iterator[tuple[str, list[tuple[str, str, str]]]]:
    """The series that it names, each with its matchers."""
    for name, matchers in re.findall(r"\b(outdial_\w+|up)\b(?:\{([^}]*)\})?", expression):
        yield name, re.findall(r'(\w+)(=~|!~|!=|=)"([^"]*)"', matchers)


def grouped(expression: str) -> set[str]:
    found = re.findall(r"\bby \(([^)]*)\)", expression)
    return {label.strip() for labels in found for label in labels.split(",")} - OF_PROMETHEUS


def promtool(*arguments: str, given: str | None = None) -> str:
    """What promtool prints. It comes with Prometheus."""
    program = shutil.which("promtool")
    if program is None:
        pytest.fail("there is no promtool; install it with Prometheus: apt-get install prometheus")
    done = subprocess.run(
        [program, *arguments], input=given, cwd=FOLDER, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


# ---------------------------------------------------------------- the files


def test_every_alert_says_how_bad_it_is_and_what_to_do() -> None:
    assert len({rule["alert"] for rule in RULES}) == len(RULES) > 10
    for rule in RULES:
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}
        assert rule["annotations"].keys() == {"summary", "description"}
        assert all(text.endswith(".") or "}}" in text[-4:] for text in rule["annotations"].values()), rule["alert"]
    shown = re.findall(r"^\| `(Outdial\w+)` \|", documents.page("docs/operations.md").read_text(), re.MULTILINE)
    assert shown == [rule["alert"] for rule in RULES]


def test_every_alert_is_tried_both_silent_and_firing() -> None:
    silent, firing = yaml.safe_load(ALERTS_TEST.read_text())["tests"]
    names = [rule["alert"] for rule in RULES]
    assert [case["alertname"] for case in silent["alert_rule_test"] if "exp_alerts" not in case] == names
    samples = firing["promql_expr_test"][0]["exp_samples"]
    assert [re.findall(r"Outdial\w+", sample["labels"]) for sample in samples] == [[name] for name in names]


def test_every_panel_has_its_place_and_says_what_it_shows() -> None:
    ids = [panel["id"] for panel in BOARD["panels"]]
    assert len(set(ids)) == len(ids)
    places = [panel["gridPos"] for panel in BOARD["panels"]]
    assert all(place["x"] + place["w"] <= 24 for place in places)
    for one, other in combinations(places, 2):
        apart_x = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        apart_y = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert apart_x or apart_y
    assert len({panel["title"] for panel in PANELS}) == len(PANELS) > 20
    for panel in PANELS:
        assert panel["description"].endswith(".")
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert all(target["datasource"]["uid"] == "${datasource}" for target in panel["targets"])
    assert {variable["name"] for variable in BOARD["templating"]["list"]} == {"datasource", "job", "instance"}


def test_every_panel_shows_the_servers_that_are_chosen() -> None:
    for panel in PANELS:
        for target in panel["targets"]:
            for name, matchers in selectors(target["expr"]):
                assert {("job", "=~", "$job"), ("instance", "=~", "$instance")} <= set(matchers), (panel["title"], name)


# ---------------------------------------------------------------- a real page


async def work(client: Client) -> None:
    """Something of everything that is counted."""
    outdial = (await client.outdial(name="watched"))["id"]
    for _ in range(3):
        await client.target(outdial)
    claimed = (await client.good("claimTargets", outdialId=outdial, dialer="d", limit=3, leaseSeconds=5))["attempts"]
    ended = [
        {"attemptId": claimed[0]["id"], "disposition": "BUSY"},
        {"attemptId": claimed[1]["id"], "disposition": "FAILED"},
    ]
    await client.good("completeAttempts", results=ended)
    async with client.target_events(outdial) as events:
        await events.next()
        await client.target(outdial)
        await events.next()
    await importing.taken(client, outdial, importing.table(3) + "x,no number,none\n")
    answer = await client.send("{ " + " ".join(f"a{number}: viewer {{ subject }}" for number in range(101)) + " }")
    assert answer["errors"][0]["extensions"]["code"] == "LIMIT_EXCEEDED"


def page_of(server: ServerProcess) -> str:
    return httpx.get(f"{server.url}/metrics", trust_env=False, timeout=20).text


@pytest.mark.slow
async def test_all_that_alerts_and_dashboard_name_is_in_the_metrics_of_a_server_that_works(
    kind: Kind, databases: Databases, tmp_path: Path
) -> None:
    async with databases.fresh(kind) as url:
        server = await ServerProcess(url, tmp_path).started()
        try:
            async with Client(server.url, str(uuid4())) as client:
                await work(client)
            with Raw(server.port) as wrong:
                wrong.send(b"not HTTP at all\r\n\r\n").answer()
            with Raw(server.port) as socket:
                socket.upgrade().send(frame(b"[]"))
                assert socket.close_code() == 4400
            # the third lease expires after five seconds
            await until(lambda: 'outdial_swept_attempts_total{state="' in page_of(server))
            await until(lambda: 'chore="remove old imports"' in page_of(server))
            text = page_of(server)
        finally:
            server.stop()
    series: dict[str, list[dict[str, str]]] = defaultdict(list)
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            series[sample.name].append(sample.labels)
    for expression in EXPRESSIONS:
        named = list(selectors(expression))
        assert named, expression
        labels: set[str] = set()
        for name, matchers in named:
            if name in LEFT_OUT:
                continue
            assert series[name], f"{name} is not in the metrics"
            labels |= set(series[name][0])
            for label, _, _ in matchers:
                assert label in OF_PROMETHEUS or label in series[name][0], (name, label)
        assert grouped(expression) <= labels, expression
    chores = {labels["chore"] for labels in series["outdial_chore_succeeded_timestamp_seconds"]}
    assert chores.isdisjoint({"open the log of events", "listen to other servers"})  # they would be late for ever
    assert {"end expired leases", "remove old events", "remove old imports"} <= chores
    assert {labels["what"] for labels in series["outdial_waiting_for_turns"]} >= {"operations", "imports"}
    said = promtool("check", "metrics", given=text)
    assert said.strip() == "", said


# ---------------------------------------------------------------- Prometheus' own checks


@pytest.mark.slow
def test_prometheus_takes_the_rules_and_each_fires_when_it_should() -> None:
    assert f"{len(RULES)} rules found" in promtool("check", "rules", "--lint-fatal", ALERTS.name)
    promtool("test", "rules", ALERTS_TEST.name)


@pytest.mark.slow
def test_prometheus_can_read_every_expression_of_the_dashboard(tmp_path: Path) -> None:
    for variable in ("$job", "$instance"):
        assert variable in DASHBOARD.read_text()
    rules = [
        {"record": f"panel:{number}", "expr": expression.replace("$__rate_interval", "5m")}
        for number, expression in enumerate(dict.fromkeys(EXPRESSIONS[len(RULES) :]))
    ]
    file = tmp_path / "panels.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    assert f"{len(rules)} rules found" in promtool("check", "rules", str(file))
