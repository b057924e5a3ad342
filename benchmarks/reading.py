"""How many reads a second the server answers, beside a hand-written endpoint that answers the same.

    python -m benchmarks.reading                                       # both databases, about fifteen minutes
    python -m benchmarks.reading --database postgresql --targets 10000 --others 5 --questions Q1 Q2 --rounds 5
    python -m benchmarks.reading --database postgresql --json figures.json --plot reading.svg

All servers run on one database, each in a process of its own, and are asked in turns over the same number of
connections. Each request asks for another object. Before anything is timed, the answers are compared.
"""

import argparse
import asyncio
import gc
import json
import math
import random
import statistics
import tempfile
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import orjson
import psutil
import uvloop

from app import db
from benchmarks import library, peers
from benchmarks.calling import Line
from benchmarks.dialing import bounded
from benchmarks.library import Library, Owner
from benchmarks.loading import Run, load
from benchmarks.measuring import NoGauge, PostgresGauge, quantile
from benchmarks.questions import QUESTIONS, Question, Variables
from benchmarks.staging import HandwrittenProcess, postgres_server, progress
from tests.support import postgres
from tests.support.server import ServerProcess, token

SECONDS_MAX = 4 * 3_600
"""For the whole benchmark: if a server hangs, the benchmark ends."""
POOL_SIZE = 10
"""Connections of each side."""
COMPARED = 5
"""Answers of each question that are compared."""
AUDIENCES = ("one", "fifty")
HAND = "hand-written"
SIDES = ("outdial", HAND, *peers.NAMES)
CHANCE = 7


@dataclass(frozen=True, slots=True)
class Side:
    """A server and how it is asked."""

    name: str
    url: str
    pid: int
    path: Callable[[Question], str]
    document: Callable[[Question], str | None] = lambda question: question.document
    """None if it is not asked that."""
    variables: Callable[[str, Variables], Variables] = lambda _, given: given
    comparable: Callable[[Any], Any] = lambda answer: answer
    """The part of an answer that must be the same as the others'."""

    def requests(self, question: Question) -> Callable[[str, Variables], bytes]:
        """A function that makes whole requests, as fast as can be."""
        document = b'{"query":' + orjson.dumps(self.document(question)) + b',"variables":'
        start = f"POST {self.path(question)} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: application/json\r\n"
        heads: dict[str, bytes] = {}

        def make(customer_id: str, given: Variables) -> bytes:
            head = heads.get(customer_id)
            if head is None:
                authorized = f"{start}Authorization: Bearer {token(customer_id)}\r\nContent-Type: application/json\r\n"
                head = heads[customer_id] = f"{authorized}Content-Length: ".encode()
            body = document + orjson.dumps(self.variables(customer_id, given)) + b"}"
            return head + str(len(body)).encode() + b"\r\n\r\n" + body

        return make


@dataclass(frozen=True, slots=True)
class Stage:
    """A filled database with all servers."""

    found: Library
    sides: tuple[Side, ...]
    gauge: PostgresGauge | NoGauge


@asynccontextmanager
async def staged(database: str, options: argparse.Namespace) -> AsyncIterator[Stage]:
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=_memory())))
        url, gauge = f"{library.SQLITE}{folder}/outdial.db", NoGauge()
        if database == "postgresql":
            url = await postgres.create_database(stack.enter_context(postgres_server(on_disk=False)))
        await db.migrate(url)
        await db.connect(url)
        try:
            progress(f"{database}: {options.targets:,} targets in long outdials")
            found = await library.build(url, targets=options.targets, each=options.each, others=options.others)
        finally:
            await db.close()
        environment = {"OUTDIAL_DATABASE_POOL_SIZE": str(POOL_SIZE), "OUTDIAL_LOG_LEVEL": "WARNING"}
        server = stack.enter_context(ServerProcess(url, folder, environment=environment))
        by_hand = await stack.enter_async_context(HandwrittenProcess(url, POOL_SIZE, "reading"))
        if database == "postgresql":
            gauge = await PostgresGauge.connected(url)
            stack.push_async_callback(gauge.close)
        sides = [
            Side("outdial", server.url, server.pid, _graphql),
            Side(HAND, by_hand.url, by_hand.pid, lambda question: question.route),
        ]
        if database == "postgresql":
            sides += [await _peer(name, url, stack) for name in peers.NAMES if name in options.side]
        yield Stage(found, tuple(side for side in sides if side.name in options.side), gauge)


async def _peer(name: str, url: str, stack: AsyncExitStack) -> Side:
    peer = await stack.enter_async_context(peers.Peer(name, url, POOL_SIZE))
    if name != "postgraphile":
        return Side(name, peer.url, peer.pid, _graphql)
    return Side(
        name,
        peer.url,
        peer.pid,
        _graphql,
        lambda question: peers.POSTGRAPHILE.get(question.name),
        lambda customer_id, given: {"customer": customer_id, **given},
        peers.ids_in,
    )


def _graphql(_question: Question) -> str:
    return "/graphql"


def _memory() -> Path | None:
    return postgres.MEMORY if postgres.MEMORY.is_dir() else None


# ---------------------------------------------------------------- answers


async def compare_answers(stage: Stage, question: Question, audience: str) -> None:
    """Every side must answer the same.

    Raises:
        AssertionError: one does not.
    """
    chance = random.Random(CHANCE)
    for _ in range(COMPARED):
        owner = chance.choice(question.owners(stage.found, audience))
        given = question.draw(owner, chance)
        sides = [side for side in stage.sides if side.document(question)]
        answers = [await _answer(side, question, owner, given) for side in sides]
        assert answers[0].get("data"), answers[0]
        for side, answer in zip(sides, answers, strict=True):
            is_same = side.comparable(answer) == side.comparable(answers[0])
            assert is_same, f"{question.name}: {side.name} answers otherwise than {sides[0].name}: {str(answer)[:500]}"


async def _answer(side: Side, question: Question, owner: Owner, given: Variables) -> Any:
    line = await Line.opened(side.url)
    try:
        headers = {"Authorization": f"Bearer {token(owner.customer_id)}", "Accept": "application/json"}
        body = {"query": side.document(question), "variables": side.variables(owner.customer_id, given)}
        return await line.post(side.path(question), headers, body)
    finally:
        await line.close()


# ---------------------------------------------------------------- runs


@dataclass(frozen=True, slots=True)
class Case:
    database: str
    question: str
    audience: str

    def __str__(self) -> str:
        return f"{self.database}, {self.question}, {self.audience} customer{'s' * (self.audience != 'one')}"


@dataclass(slots=True)
class Figures:
    """Of one side in all rounds."""

    rates: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    """Of each request."""
    server: list[float] = field(default_factory=list)
    """Processor seconds for a request, by round."""
    database: list[float] = field(default_factory=list)
    failed: int = 0

    def add(self, run: Run) -> None:
        number = len(run.seconds)
        self.rates.append(number / run.elapsed)
        self.seconds += run.seconds
        self.failed += run.failed
        self.server.append(run.server / number if number else math.nan)
        self.database.append(run.database / number if number else math.nan)

    def shown(self) -> dict[str, Any]:
        return {
            "requests/s": statistics.median(self.rates),
            "rates": self.rates,
            "p50 ms": quantile(self.seconds, 0.5) * 1e3,
            "p99 ms": quantile(self.seconds, 0.99) * 1e3,
            "server us": statistics.median(self.server) * 1e6,
            "database us": statistics.median(self.database) * 1e6,
            "failed": self.failed,
        }


Found = dict[str, dict[str, Any]]
"""Figures by side."""


def cases_of(options: argparse.Namespace, database: str) -> Iterator[Case]:
    for name, audience in product(options.questions, options.customers):
        if audience == "one" or (not QUESTIONS[name].is_of_long and options.others):
            yield Case(database, name, audience)


async def measure(stage: Stage, cases: Sequence[Case], options: argparse.Namespace) -> dict[Case, Found]:
    """All cases and sides, in turns. Which side is first changes from round to round."""
    figures: dict[Case, dict[str, Figures]] = defaultdict(lambda: defaultdict(Figures))
    for case in cases:
        await compare_answers(stage, QUESTIONS[case.question], case.audience)
    for number, case in product(range(options.rounds), cases):
        sides = [side for side in stage.sides if side.document(QUESTIONS[case.question])]
        turn = number % len(sides)
        for side in sides[turn:] + sides[:turn]:
            run = await load(
                side.url,
                _asking(side, stage.found, case),
                connections=options.connections,
                warm_seconds=options.warm_seconds,
                seconds=options.seconds,
                processes=[psutil.Process(side.pid)],
                gauge=stage.gauge,
            )
            figures[case][side.name].add(run)
            progress(f"  round {number + 1}, {case}, {side.name}: {len(run.seconds) / run.elapsed:,.0f} requests/s")
            if run.failed:
                progress(f"    {run.failed} failed, the first with {run.wrong[-300:]!r}")
    return {case: {name: made.shown() for name, made in sides.items()} for case, sides in figures.items()}


def _asking(side: Side, found: Library, case: Case) -> Callable[[], bytes]:
    question, chance = QUESTIONS[case.question], random.Random()
    owners, make = question.owners(found, case.audience), side.requests(question)
    draw, choose = question.draw, chance.choice

    def ask() -> bytes:
        owner = choose(owners)
        return make(owner.customer_id, draw(owner, chance))

    return ask


# ---------------------------------------------------------------- the table


HEADER = (
    *("database", "question", "customers", "side", "requests/s", "slowest to fastest round", "ratio", "p50 ms"),
    *("p99 ms", "p99 ratio", "server us", "database us", "server ratio", "failed"),
)


def table(found: dict[Case, Found]) -> str:
    lines = [f"| {' | '.join(HEADER)} |", "|" + "---|" * len(HEADER)]
    for case, sides in found.items():
        hand = sides.get(HAND)
        for name, values in sides.items():
            cells = [
                *(case.database, case.question, case.audience, name, f"{values['requests/s']:,.0f}"),
                f"{min(values['rates']):,.0f} to {max(values['rates']):,.0f}",
                "" if hand is None else f"{ratio(values, hand):.2f}",
                f"{values['p50 ms']:,.1f}",
                f"{values['p99 ms']:,.1f}",
                "" if hand is None else f"{values['p99 ms'] / hand['p99 ms']:.2f}",
                f"{values['server us']:,.0f}",
                f"{values['database us']:,.0f}" if case.database == "postgresql" else "",
                "" if hand is None else f"{values['server us'] / hand['server us']:.2f}",
                f"{values['failed']}",
            ]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def ratios(found: dict[Case, Found]) -> dict[str, dict[str, float]]:
    """By case and side, of the cases that have a hand-written side."""
    return {
        str(case): {name: ratio(values, sides[HAND]) for name, values in sides.items()}
        for case, sides in found.items()
        if HAND in sides
    }


def ratio(values: dict[str, Any], hand: dict[str, Any]) -> float:
    """The median of the rounds' ratios: what disturbs a round disturbs both sides."""
    each = [one / other for one, other in zip(values["rates"], hand["rates"], strict=True) if other]
    return statistics.median(each) if each else math.nan


# ---------------------------------------------------------------- the command


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add = made.add_argument
    add("--database", nargs="+", choices=["sqlite", "postgresql"], default=["sqlite", "postgresql"])
    add("--targets", type=bounded(100, 10_000_000), default=1_000_000, help="of the ten long outdials together")
    add("--each", type=bounded(1, 10_000), default=200, help="targets of a short outdial")
    add("--others", type=bounded(0, 1_000), default=50, help="customers beside the one with long outdials")
    add("--questions", nargs="+", choices=list(QUESTIONS), default=list(QUESTIONS))
    add("--customers", nargs="+", choices=AUDIENCES, default=list(AUDIENCES))
    add("--side", nargs="+", choices=SIDES, default=list(SIDES))
    add("--connections", type=bounded(1, 256), default=32)
    add("--rounds", type=bounded(1, 50), default=3)
    add("--seconds", type=bounded(0.1, 60, float), default=2.0, help="of each run, after a warm-up")
    add("--warm-seconds", type=bounded(0.0, 60, float), default=0.5)
    add("--json", type=Path, help="write all figures to this file")
    add("--plot", type=Path, help="write a plot of the ratios to this SVG file")
    return made


async def main(arguments: Sequence[str] | None = None) -> None:
    options = parser().parse_args(arguments)
    found: dict[Case, Found] = {}
    async with asyncio.timeout(SECONDS_MAX):
        for database in options.database:
            async with staged(database, options) as stage:
                gc.freeze()
                found |= await measure(stage, list(cases_of(options, database)), options)
    print(table(found), flush=True)
    if options.json:
        results = [{"case": asdict(case), "sides": sides} for case, sides in found.items()]
        options.json.write_text(json.dumps(results, indent=2))
    if options.plot:
        from benchmarks import plotting

        plotting.draw(options.plot, "Requests per second, divided by those of the hand-written endpoint", ratios(found))


if __name__ == "__main__":
    uvloop.run(main())
