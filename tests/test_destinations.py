"""Which destination may be tried: the text that statements take says what the rules say, on either database."""

import asyncio
from dataclasses import dataclass

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app import db, destinations
from app.lifecycle import DESTINATIONS, Tries
from tests.conftest import Databases, Kind

FIVE_COUNTS = st.lists(st.integers(0, 4), min_size=DESTINATIONS, max_size=DESTINATIONS)
KINDS = {
    "ord": "integer",
    "max_try_counts": "json",
    "invalid_mask": "integer",
    **{f"destination_{index}": "json" for index in range(DESTINATIONS)},
    **{f"try_count_{index}": "integer" for index in range(DESTINATIONS)},
}


@dataclass(frozen=True)
class Row:
    is_set: list[bool]
    mask: int
    counts: list[int]
    own_limits: list[int] | None

    def tries(self, limits: list[int], *, from_zero: bool) -> Tries:
        return Tries(
            set=self.is_set,
            invalid=[bool(self.mask >> index & 1) for index in range(DESTINATIONS)],
            counts=[0] * DESTINATIONS if from_zero else self.counts,
            limits=limits if self.own_limits is None else self.own_limits,
        )


ROWS = st.builds(
    Row,
    is_set=st.lists(st.booleans(), min_size=DESTINATIONS, max_size=DESTINATIONS),
    mask=st.integers(0, 2**DESTINATIONS - 1),
    counts=FIVE_COUNTS,
    own_limits=st.none() | FIVE_COUNTS,
)


async def answers(given: list[Row], limits: list[int], *, as_parameters: bool) -> list[dict[str, object]]:
    """What the texts give for the rows, with the policy's limits as numbers or as parameters."""
    said: list[object] = list(limits)
    if as_parameters:
        said = [f"CAST(${index + 2} AS INTEGER)" for index in range(DESTINATIONS)]
    columns = {
        "next_index": destinations.next_index(said),
        "anew": destinations.any_usable(said, from_zero=True),
        "now": destinations.any_usable(said),
        **{f"usable_{index}": destinations.usable(index, said[index]) for index in range(DESTINATIONS)},
    }
    listed = ", ".join(f"{text} AS {name}" for name, text in columns.items())
    values = [
        {
            "ord": number,
            "max_try_counts": row.own_limits,
            "invalid_mask": row.mask,
            **{f"destination_{index}": {"type": "TEL"} if is_set else None for index, is_set in enumerate(row.is_set)},
            **{f"try_count_{index}": count for index, count in enumerate(row.counts)},
        }
        for number, row in enumerate(given)
    ]
    found = await db.fetch(
        f"SELECT {listed} FROM {db.rowset('$1', KINDS, 'target')} ORDER BY ord",
        db.rows_value(values),
        *(limits if as_parameters else ()),
    )
    return [dict(row) for row in found]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(many=st.lists(ROWS, min_size=1, max_size=200), limits=FIVE_COUNTS, as_parameters=st.booleans())
def test_statements_choose_what_the_rules_choose(
    many: list[Row], limits: list[int], as_parameters: bool, kind: Kind, databases: Databases
) -> None:
    async def compare() -> None:
        async with databases.fresh(kind) as url:
            await db.connect(url)
            try:
                found = await answers(many, limits, as_parameters=as_parameters)
            finally:
                await db.close()
        for row, said in zip(many, found, strict=True):
            now, anew = row.tries(limits, from_zero=False), row.tries(limits, from_zero=True)
            assert said["next_index"] == now.next_index()
            assert bool(said["now"]) == (now.next_index() is not None)
            assert bool(said["anew"]) == (anew.next_index() is not None)
            usable = [bool(said[f"usable_{index}"]) for index in range(DESTINATIONS)]
            assert usable == [now.usable(index) for index in range(DESTINATIONS)]

    asyncio.run(compare())
