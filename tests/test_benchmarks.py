"""The benchmark of dialing: it runs, and the hand-written endpoint really does what it is compared with."""

import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from app.auth import Viewer
from benchmarks import dialing, holding, reading, sleeping, summing, suppressing
from benchmarks.calling import UseCases
from benchmarks.handwritten import Dialing
from benchmarks.handwritten.serving import connected
from benchmarks.library import Library, Owner, Shelf
from benchmarks.measuring import NoGauge
from benchmarks.questions import QUESTIONS
from tests.conftest import Kind
from tests.support import factories, rows

ROOT = Path(__file__).parent.parent
TARGETS = 6
LEASE_SECONDS = 60
TRIES = 2
MOMENTS = {
    *("tm_create", "tm_update", "next_try_at", "claimed_at", "dialed_at", "ended_at", "expires_at", "occurred_at"),
}
"""Compared only in whether they are set."""
PLACES = {"epoch", "tx", "seq", "slot", "input_hash"}


@asynccontextmanager
async def by_hand(database: str) -> AsyncIterator[Dialing]:
    made = await connected(database, 2)
    try:
        yield made
    finally:
        await made.close()


async def dial(calls: Dialing, customer_id: str, outdial_id: str) -> list[list[dict[str, Any]]]:
    """Claim, start and complete until nothing is due; some calls are not started. Returns the answers of claims."""
    answers = []
    outcomes = iter(("ANSWERED", "BUSY", "NO_ANSWER") * TARGETS)
    while made := await calls.claim(customer_id, outdial_id, 4, "dialer", LEASE_SECONDS, f"key-{len(answers)}"):
        answers.append(made)
        attempt_ids = [row["id"] for row in made]
        started = attempt_ids[1:]
        if started:
            assert set(await calls.start(customer_id, [(one, f"call-{one}") for one in started])) == set(started)
        results = [(attempt_id, next(outcomes)) for attempt_id in attempt_ids]
        assert set(await calls.complete(customer_id, results)) == set(attempt_ids)
    return answers


async def made_outdial(viewer: Viewer) -> str:
    policy = {"max_try_counts": (TRIES, 1, 0, 0, 0), "retry_interval_seconds": 0}
    outdial = await factories.make_outdial(viewer, policy=policy)
    drafts = [
        factories.target_draft(f"+1555010{n:04d}", f"+1555011{n:04d}", name=f"Person {n}", priority=n % 3)
        for n in range(TARGETS)
    ]
    await factories.create_many(viewer, outdial.id, drafts)
    return outdial.id


def plain(tables: rows.Tables) -> rows.Tables:
    """The rows of one customer with names instead of ids, without times, positions and counter slots."""
    names = {row["id"]: row["name"] for row in tables["target"]}
    tries: Counter[str] = Counter()
    for row in sorted(tables["attempt"], key=lambda row: row["id"]):
        tries[row["target_id"]] += 1
        names[row["id"]] = f"{names[row['target_id']]}, attempt {tries[row['target_id']]}"
    owner = tables["outdial"][0]
    names |= {owner["id"]: "the outdial", owner["customer_id"]: "the customer"}
    ids = re.compile("|".join(names))

    def value(name: str, given: Any) -> Any:
        if name in MOMENTS:
            return given is not None
        return ids.sub(lambda found: names[found[0]], given) if isinstance(given, str) else given

    found: rows.Tables = {}
    for table, listed in tables.items():
        shown = [{name: value(name, given) for name, given in row.items() if name not in PLACES} for row in listed]
        found[table] = sorted(shown, key=str)
    totals = {name: sum(slot[name] for slot in tables["outdial_counter"]) for name in (*rows.COUNTERS, "attempts")}
    found["outdial_counter"] = [totals]
    return found


async def test_the_hand_written_endpoint_leaves_the_rows_that_the_use_cases_leave(
    database: str, viewer: Viewer, stranger: Viewer
) -> None:
    of_use_cases = await dial(UseCases(viewer.customer_id), viewer.customer_id, await made_outdial(viewer))
    async with by_hand(database) as calls:
        of_hand = await dial(calls, stranger.customer_id, await made_outdial(stranger))
    assert [len(made) for made in of_hand] == [len(made) for made in of_use_cases]
    assert sum(len(made) for made in of_hand) > TARGETS
    left, expected = [await rows.of(database, who.customer_id) for who in (stranger, viewer)]
    for tables in (left, expected):
        rows.check(tables)
        rows.check_events(tables)
    assert plain(left) == plain(expected)


async def test_the_hand_written_endpoint_claims_in_the_order_of_the_use_cases(
    database: str, viewer: Viewer, stranger: Viewer
) -> None:
    async with by_hand(database) as calls:
        claims = []
        for who, made in ((viewer, UseCases(viewer.customer_id)), (stranger, calls)):
            outdial_id = await made_outdial(who)
            await made.claim(who.customer_id, outdial_id, TARGETS, "dialer", LEASE_SECONDS, None)
            tables = await rows.of(database, who.customer_id)
            names = {row["id"]: row["name"] for row in tables["target"]}
            claims.append([names[row["target_id"]] for row in sorted(tables["attempt"], key=lambda row: row["id"])])
    assert claims[0] == claims[1]
    assert len(claims[0]) == TARGETS


@pytest.mark.slow
@pytest.mark.parametrize("through", ["http", "calls"])
async def test_the_benchmark_of_dialing_measures_both_sides(
    kind: Kind, through: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(dialing, "WARM_SECONDS", 0.1)
    database = "sqlite" if kind == "sqlite" else "postgresql"
    figures = tmp_path / "figures.json"
    await dialing.main(
        f"--database {database} --by 3 --dialers 2 --keys yes --rounds 1 --seconds 0.3 --targets 300 --check"
        f" --through {through} --json {figures}".split()
    )
    [result] = json.loads(figures.read_text())
    assert result["case"]["by"] == 3
    for side in ("outdial", "hand-written"):
        assert result["medians"][side]["targets/s"] > 0
        assert result["medians"][side]["server us/target"] > 0
        assert (database == "postgresql") == ("WAL bytes/call" in result["medians"][side])
    table = capsys.readouterr().out.splitlines()
    assert len(table) == 4
    assert len({line.count("|") for line in table}) == 1


@pytest.mark.slow
async def test_the_benchmark_shows_what_subscribers_cost_and_how_late_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dialing, "WARM_SECONDS", 0.5)
    monkeypatch.setattr(dialing, "SUBSCRIBERS", 3)
    figures = tmp_path / "figures.json"
    await dialing.main(
        "--database postgresql --by 2 --dialers 2 --subscribers same quiet --rounds 1 --seconds 1 --targets 1000"
        f" --side outdial --json {figures}".split()
    )
    by_subscribers = {
        result["case"]["subscribers"]: result["medians"]["outdial"] for result in json.loads(figures.read_text())
    }
    assert by_subscribers["same"]["events"] > 0
    assert 0 < by_subscribers["same"]["lag p50 ms"] <= by_subscribers["same"]["lag max ms"]
    assert "events" not in by_subscribers["quiet"]


@pytest.mark.slow
async def test_the_soak_keeps_its_rate_and_counts_lags_where_events_occurred(tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    await dialing.main(
        "--soak --side outdial --rate 30 --warm-seconds 1 --soak-seconds 6 --held-seconds 2 --soak-subscribers 2"
        f" --targets 100 --json {figures}".split()
    )
    [result] = json.loads(figures.read_text())
    assert list(result["phases"]) == ["before", "while held", "after"]
    for values in result["phases"].values():
        assert values["calls/s"] > 0
        assert values["events"] > 0
        assert values["claim p50 ms"] <= values["claim p99 ms"]
        assert values["lag p50 ms"] <= values["lag max ms"]


@pytest.mark.slow
async def test_the_benchmark_of_reads_compares_all_answers_and_measures_both_sides(
    kind: Kind, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    database = "sqlite" if kind == "sqlite" else "postgresql"
    figures, plot = tmp_path / "figures.json", tmp_path / "plot.svg"
    await reading.main(
        f"--database {database} --targets 1000 --each 101 --others 2 --connections 4 --rounds 2 --seconds 0.15"
        f" --warm-seconds 0 --side outdial hand-written --json {figures} --plot {plot}".split()
    )
    results = json.loads(figures.read_text())
    assert {(result["case"]["question"], result["case"]["audience"]) for result in results} == {
        *product(("Q1", "Q2", "Q3", "by key", "by address"), ("one", "fifty")),
        *product(("page 1", "page 10,000"), ("one",)),
    }
    for result in results:
        for side in ("outdial", "hand-written"):
            assert result["sides"][side]["requests/s"] > 0
            assert result["sides"][side]["failed"] == 0
    table = capsys.readouterr().out.splitlines()
    assert len(table) == 2 + len(results) * 2
    assert len({line.count("|") for line in table}) == 1
    drawn = plot.read_text()
    assert drawn.startswith("<svg")
    assert not re.search(r"@import|href=|src=|url\(", drawn)


@pytest.mark.slow
async def test_the_benchmark_of_reads_measures_the_servers_of_others(tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    await reading.main(
        "--database postgresql --targets 200 --each 101 --others 1 --questions Q1 Q2 Q3 --connections 2 --rounds 1"
        f" --seconds 0.2 --warm-seconds 0 --side outdial mercurius postgraphile --json {figures}".split()
    )
    for result in json.loads(figures.read_text()):
        assert [*result["sides"]] == ["outdial", "mercurius", "postgraphile"]
        for side in result["sides"].values():
            assert side["requests/s"] > 0
            assert side["failed"] == 0


async def test_an_answer_that_differs_stops_the_benchmark_of_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {"outdial": {"data": {"outdial": {"name": "one"}}}, "hand-written": {"data": {"outdial": None}}}

    async def answer(side: reading.Side, *_: object) -> Any:
        return answers[side.name]

    monkeypatch.setattr(reading, "_answer", answer)
    owner = Owner("a customer", (Shelf("an id", 0, 1),))
    sides = tuple(reading.Side(name, "", 0, lambda _: "/") for name in answers)
    stage = reading.Stage(Library(owner, ()), sides, NoGauge())
    with pytest.raises(AssertionError, match="hand-written answers otherwise than outdial"):
        await reading.compare_answers(stage, QUESTIONS["Q1"], "one")


@pytest.mark.slow
async def test_the_benchmark_of_rules_measures_lists_with_and_without_them(
    kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(holding, "WARM_SECONDS", 0.1)
    database = "sqlite" if kind == "sqlite" else "postgresql"
    figures = tmp_path / "figures.json"
    await holding.main(
        f"--database {database} --rules none all --suppressions 500 --targets 4000 --by 1 --dialers 2 --rounds 1"
        f" --steps claims calls --seconds 0.3 --json {figures}".split()
    )
    results = json.loads(figures.read_text())
    assert [(result["steps"], result["rules"]) for result in results] == [
        *product(("claims", "calls"), ("none", "all"))
    ]
    for result in results:
        assert result["targets/s"] > 0
        assert (result["ratio"] == 1) == (result["rules"] == "none")
    table = capsys.readouterr().out.splitlines()
    assert len(table) == 2 + len(results)
    assert len({line.count("|") for line in table}) == 1


@pytest.mark.slow
async def test_the_benchmark_of_rules_measures_processor_time_in_turns(kind: Kind, tmp_path: Path) -> None:
    database = "sqlite" if kind == "sqlite" else "postgresql"
    figures = tmp_path / "figures.json"
    await holding.main(
        f"--database {database} --suppressions 500 --targets 600 --by 1 --turns 2 --json {figures}".split()
    )
    none, everything = json.loads(figures.read_text())
    assert (none["rules"], everything["rules"]) == ("none", "all")
    assert none["ratio"] == none["ratio of the least"] == 1
    for result in (none, everything):
        assert result["server us"] > 0
        assert (result["database us"] > 0) == (database == "postgresql")


@pytest.mark.slow
async def test_the_benchmark_of_sleepers_measures_a_long_list_and_a_short_one(kind: Kind, tmp_path: Path) -> None:
    database = "sqlite" if kind == "sqlite" else "postgresql"
    figures = tmp_path / "figures.json"
    await sleeping.main(f"--database {database} --targets 300 --claims 12 --json {figures}".split())
    results = json.loads(figures.read_text())
    counted = ["no", "yes"] if database == "postgresql" else [""]
    assert [(result["case"]["rule"], result["case"]["counted"]) for result in results] == [
        *product(("hours", "caps"), counted)
    ]
    for result in results:
        assert all(result["lists"][name]["p99 ms"] > 0 for name in ("long", "short"))


@pytest.mark.slow
async def test_the_benchmark_of_do_not_call_files_takes_one_in_and_out(kind: Kind, tmp_path: Path) -> None:
    database = "sqlite" if kind == "sqlite" else "postgresql"
    figures = tmp_path / "figures.json"
    await suppressing.main(
        f"--database {database} --rows 2000 --targets 400 --idle-seconds 0.5 --json {figures}".split()
    )
    [result] = json.loads(figures.read_text())
    assert 0 < result["finishing"]["targets"] <= 400 / suppressing.FINISHED_EACH
    assert result["import"]["rows/s"] > 0
    assert result["export"]["rows/s"] > 0
    for phases in result["claims"].values():
        assert {"before", "import"} <= set(phases)


SMALL_RUNS = {
    "creating on PostgreSQL": ("creating --database postgresql --rounds 2 --rows 20", "COPY as text with events"),
    "creating on SQLite": ("creating --database sqlite --rounds 2 --rows 20", "executemany with events"),
    "fanout": (
        "fanout --cases plain different progress late --sockets 5 --rounds 1 --changes 1",
        "the same process, idle",
    ),
    "imports": ("imports --database sqlite --rows 2000 --rounds 1", "median ratio"),
    "indexes": ("indexes --targets 1000 --calls 20 --batch 10", "target_due"),
}


@pytest.mark.slow
@pytest.mark.parametrize("what", SMALL_RUNS)
def test_the_other_benchmarks_run_to_their_end(what: str) -> None:
    """They use parts of the code that no other caller has, so only a run shows that they still fit."""
    command, last = SMALL_RUNS[what]
    done = subprocess.run(
        [sys.executable, "-m", *f"benchmarks.{command}".split()],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert last in done.stdout


@pytest.mark.slow
async def test_the_benchmark_of_figures_sums_a_ledger_in_each_way(kind: Kind, tmp_path: Path) -> None:
    database = "sqlite" if kind == "sqlite" else "postgresql"
    figures = tmp_path / "figures.json"
    await summing.main(f"--database {database} --attempts 300 --times 1 --json {figures}".split())
    [result] = json.loads(figures.read_text())
    assert result["counting s"] > 0
    assert set(result["questions"]) == set(summing.QUESTIONS)
    assert all(taken["least ms"] > 0 for taken in result["questions"].values())
