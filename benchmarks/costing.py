"""The processor time of a claim, taken in short turns: other programs on the machine change it less than a rate.

`benchmarks.holding --turns` uses it. In each turn one dialer makes a few claims on each list, and the threads' own
clocks are read before and after. No other program's time is in them, and a slow moment of the machine meets all lists.
"""

import argparse
import statistics
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import psutil

from app import attempts
from benchmarks.held import Held
from benchmarks.measuring import own_seconds
from benchmarks.staging import LEASE_SECONDS, progress

CLAIMS_BY_ONE = 12
"""In a turn."""
CLAIMS_BY_MORE = 3
WARM_CLAIMS = 12
"""The session's plans are made by then."""
HEAD = (
    "database",
    "by",
    "rules",
    "this process, us",
    "PostgreSQL, us",
    "ratio by processor time",
    "ratio of the least",
)


async def compare(
    database: str, lists: Mapping[str, Held], root: psutil.Process | None, options: argparse.Namespace
) -> list[dict[str, Any]]:
    """The medians of each list, and of its ratios to the first one in the same turn.

    Args:
        database: its name.
        lists: by the names of their rules.
        root: PostgreSQL's first process, if it is that.
        options: of the command.
    """
    turns: dict[tuple[int, str], list[tuple[float, float]]] = defaultdict(list)
    for by in options.by:
        for one in lists.values():
            await _claim(one, by, WARM_CLAIMS)
    for number in range(options.turns):
        for by in options.by:
            claims = CLAIMS_BY_ONE if by == 1 else CLAIMS_BY_MORE
            for name in options.rules if number % 2 == 0 else options.rules[::-1]:
                await _claim(lists[name], by, 1)
                turns[by, name].append(await _cost(lists[name], by, claims, root))
    progress(f"{database}: {options.turns} turns")
    return [
        {"database": database, "by": by, "rules": name, **_summary(turns[by, name], turns[by, options.rules[0]])}
        for by in options.by
        for name in options.rules
    ]


async def _claim(one: Held, by: int, claims: int) -> None:
    for _ in range(claims):
        made = await attempts.claim(one.viewer, one.outdial_id, limit=by, lease_seconds=LEASE_SECONDS)
        assert len(made) == by, "the lists are too short"


async def _cost(one: Held, by: int, claims: int, root: psutil.Process | None) -> tuple[float, float]:
    """Microseconds of this process and of PostgreSQL for a claim."""
    theirs = {} if root is None else own_seconds(root)
    [mine] = own_seconds(psutil.Process(), with_children=False).values()
    await _claim(one, by, claims)
    [mine_after] = own_seconds(psutil.Process(), with_children=False).values()
    after = {} if root is None else own_seconds(root)
    grown = sum(seconds - theirs.get(process, seconds) for process, seconds in after.items())
    return (mine_after - mine) * 1e6 / claims, grown * 1e6 / claims


def _summary(turns: list[tuple[float, float]], base: list[tuple[float, float]]) -> dict[str, float]:
    return {
        "server us": statistics.median(mine for mine, _ in turns),
        "database us": statistics.median(theirs for _, theirs in turns),
        "ratio": statistics.median(sum(other) / sum(one) for one, other in zip(turns, base, strict=True)),
        "ratio of the least": min(map(sum, base)) / min(map(sum, turns)),
    }


def line(found: Mapping[str, Any]) -> str:
    theirs = f"{found['database us']:,.0f}" if found["database"] == "postgresql" else ""
    cells = [found["database"], str(found["by"]), found["rules"], f"{found['server us']:,.0f}", theirs]
    cells += [f"{found[name]:.2f}" for name in ("ratio", "ratio of the least")]
    return f"| {' | '.join(cells)} |"
