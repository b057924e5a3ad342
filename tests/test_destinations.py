"""Which destination may be tried: the text that statements take says what the rules say, on either database."""

import asyncio
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app import db, destinations, rows, suppressions
from app.addresses import DestinationType
from app.auth import Viewer
from app.lifecycle import DESTINATIONS, Tries
from app.records import Destination, SuppressionSource
from tests.conftest import Databases, Kind
from tests.support import factories

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)

FIVE_COUNTS = st.lists(st.integers(0, 4), min_size=DESTINATIONS, max_size=DESTINATIONS)
KINDS = {
    "ord": "integer",
    "max_try_counts": "json",
    "invalid_mask": "integer",
    "callback_mask": "integer",
    "first_index": "integer",
    "zones": "bigint",
    **{f"destination_{index}": "json" for index in range(DESTINATIONS)},
    **{f"try_count_{index}": "integer" for index in range(DESTINATIONS)},
}


@dataclass(frozen=True)
class Row:
    is_set: list[bool]
    mask: int
    counts: list[int]
    own_limits: list[int] | None
    suppressed: list[timedelta | None]
    """Of each destination, from now until when; ZERO never began, and None never ends."""
    offered: set[int] | None
    """By a callback; None without one."""
    first_index: int
    zones: list[int]
    """Of each destination: 1 is open, and 2 is closed."""

    def tries(self, limits: list[int], *, from_zero: bool) -> Tries:
        return Tries(
            set=self.is_set,
            invalid=[bool(self.mask >> index & 1) for index in range(DESTINATIONS)],
            counts=[0] * DESTINATIONS if from_zero else self.counts,
            limits=limits if self.own_limits is None else self.own_limits,
            suppressed={
                index: None if lasts is None else NOW + lasts
                for index, lasts in enumerate(self.suppressed)
                if lasts is None or lasts > timedelta(0)
            },
            offered=None if from_zero or self.offered is None else sorted(self.offered),
            first_index=self.first_index,
        )

    def next_awake(self, tries: Tries, *, keeps_order: bool) -> int | None:
        """By the rules, with calling hours: one after the other."""
        for step in range(DESTINATIONS):
            index = (self.first_index + step) % DESTINATIONS
            if tries.usable(index) and index not in tries.suppressed:
                if self.zones[index] == 1:
                    return index
                if keeps_order:
                    return None
        return None


ROWS = st.builds(
    Row,
    is_set=st.lists(st.booleans(), min_size=DESTINATIONS, max_size=DESTINATIONS),
    mask=st.integers(0, 2**DESTINATIONS - 1),
    counts=FIVE_COUNTS,
    own_limits=st.none() | FIVE_COUNTS,
    suppressed=st.lists(
        st.sampled_from((timedelta(0), timedelta(0), timedelta(0), None, timedelta(seconds=1), timedelta(seconds=-1))),
        min_size=DESTINATIONS,
        max_size=DESTINATIONS,
    ),
    offered=st.none() | st.sets(st.integers(0, DESTINATIONS - 1)),
    first_index=st.sampled_from((0, 0, 0, 1, 2, 3, 4)),
    zones=st.lists(st.integers(1, 2), min_size=DESTINATIONS, max_size=DESTINATIONS),
)


def address_of(number: int, index: int) -> Destination:
    """Of a row. What is suppressed as TEL is a WHATSAPP number of every second target."""
    kind = DestinationType.WHATSAPP if number % 2 else DestinationType.TEL
    return Destination(kind, f"+49{number:05d}{index}", "", "", "")


async def suppress(viewer: Viewer, given: list[Row]) -> None:
    """And as many that another customer has suppressed, and that are of another type."""
    listed = [
        suppressions.Checked(
            replace(address_of(number, index), type=DestinationType.TEL), "", None if lasts is None else NOW + lasts
        )
        for number, row in enumerate(given)
        for index, lasts in enumerate(row.suppressed)
        if lasts is None or lasts != timedelta(0)
    ]
    if listed:
        await suppressions.store_checked(viewer, listed, SuppressionSource.OWNER)
    others = [suppressions.Checked(address_of(number, 0), "", None) for number, _ in enumerate(given)]
    await suppressions.store_checked(factories.make_viewer(), others, SuppressionSource.OWNER)
    elsewhere = [replace(one, destination=replace(one.destination, type=DestinationType.SIP)) for one in others]
    await suppressions.store_checked(viewer, elsewhere, SuppressionSource.OWNER)


async def answers(
    viewer: Viewer, given: list[Row], limits: list[int], *, as_parameters: bool
) -> list[dict[str, object]]:
    """What the texts give for the rows, with the policy's limits as numbers or as parameters."""
    said: list[object] = list(limits)
    if as_parameters:
        said = [f"CAST(${index + 4} AS INTEGER)" for index in range(DESTINATIONS)]
    suppressed = destinations.Suppressed("$2", "$3")
    columns = {
        "next_index": destinations.next_index(said, suppressed),
        "anew": destinations.any_usable(said, suppressed, from_zero=True),
        "now": destinations.any_usable(said, suppressed),
        "unaware": destinations.next_index(said),
        "any": destinations.has_next(said, suppressed),
        **{
            f"{name}_{keeps_order:d}": text(said, suppressed, awake=destinations.Awake("= 1", keeps_order))
            for name, text in (("awake", destinations.next_index), ("any_awake", destinations.has_next))
            for keeps_order in (False, True)
        },
        "mask": destinations.suppressed_mask(suppressed),
        "barred": destinations.suppressed_mask(replace(suppressed, now=None)),
        **{f"usable_{index}": destinations.usable(index, said[index]) for index in range(DESTINATIONS)},
    }
    listed = ", ".join(f"{text} AS {name}" for name, text in columns.items())
    values = [
        {
            "ord": number,
            "max_try_counts": row.own_limits,
            "invalid_mask": row.mask,
            "callback_mask": None if row.offered is None else sum(1 << index for index in row.offered),
            "first_index": row.first_index,
            "zones": sum(zone << (destinations.ZONE_BITS * index) for index, zone in enumerate(row.zones)),
            **{
                f"destination_{index}": rows.destination_value(address_of(number, index)) if is_set else None
                for index, is_set in enumerate(row.is_set)
            },
            **{f"try_count_{index}": count for index, count in enumerate(row.counts)},
        }
        for number, row in enumerate(given)
    ]
    found = await db.fetch(
        f"SELECT {listed} FROM {db.rowset('$1', KINDS, 'target')} ORDER BY ord",
        db.rows_value(values),
        viewer.customer_id,
        NOW,
        *(limits if as_parameters else ()),
    )
    return [dict(row) for row in found]


@pytest.mark.slow
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(many=st.lists(ROWS, min_size=1, max_size=200), limits=FIVE_COUNTS, as_parameters=st.booleans())
def test_statements_choose_what_the_rules_choose(
    many: list[Row], limits: list[int], as_parameters: bool, kind: Kind, databases: Databases
) -> None:
    async def compare() -> None:
        async with databases.fresh(kind) as url:
            await db.connect(url)
            try:
                viewer = factories.make_viewer()
                await suppress(viewer, many)
                found = await answers(viewer, many, limits, as_parameters=as_parameters)
            finally:
                await db.close()
        for row, said in zip(many, found, strict=True):
            now, anew = row.tries(limits, from_zero=False), row.tries(limits, from_zero=True)
            assert said["next_index"] == now.next_index()
            assert said["unaware"] == replace(now, suppressed={}).next_index()
            counting = [index for index in now.suppressed if row.is_set[index]]
            assert said["mask"] == sum(1 << index for index in counting)
            assert said["barred"] == sum(1 << index for index in counting if now.suppressed[index] is None)
            for keeps_order in (False, True):
                wanted = row.next_awake(now, keeps_order=keeps_order)
                assert said[f"awake_{keeps_order:d}"] == wanted
                assert bool(said[f"any_awake_{keeps_order:d}"]) == (wanted is not None)
            assert bool(said["any"]) == (now.next_index() is not None)
            assert bool(said["now"]) == (now.next_index() is not None)
            assert bool(said["anew"]) == (anew.next_index() is not None)
            usable = [bool(said[f"usable_{index}"]) for index in range(DESTINATIONS)]
            assert usable == [now.usable(index) for index in range(DESTINATIONS)]

    asyncio.run(compare())
