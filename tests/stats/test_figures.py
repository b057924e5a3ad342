"""The rules of figures: buckets in any time zone, exact medians, and cells that are sums of their parts."""

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from importlib import resources
from itertools import pairwise
from statistics import median

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app import figures, zones
from app.figures import BUCKETS_MAX, DIALERS_MAX, OTHERS, Bucket, Figures, Grouping, Histogram, Key, Span
from app.figures.buckets import QUARTER
from app.figures.cells import facets_of
from app.lifecycle import Disposition

NAMES = sorted(resources.files("tzdata").joinpath("zones").read_text(encoding="utf-8").split())
NIGHTS = [
    ("Europe/Berlin", date(2026, 3, 29), 23),
    ("Europe/Berlin", date(2026, 10, 25), 25),
    ("America/New_York", date(2026, 3, 8), 23),
    ("America/New_York", date(2026, 11, 1), 25),
    ("Australia/Lord_Howe", date(2026, 4, 5), 24.5),
    ("Australia/Lord_Howe", date(2026, 10, 4), 23.5),
    ("Africa/Cairo", date(2026, 4, 24), 23),  # midnight itself is left out
    ("Asia/Beirut", date(2026, 10, 24), 25),
    ("America/Havana", date(2019, 11, 3), 25),  # midnight comes twice
    ("Asia/Kathmandu", date(2026, 3, 29), 24),
    ("Asia/Pyongyang", date(2018, 5, 4), 23.5),  # half an hour before midnight is left out
    ("America/Scoresbysund", date(2024, 3, 31), 24),
]


@pytest.mark.parametrize(("name", "day", "hours"), NIGHTS)
def test_a_day_has_the_hours_that_its_clocks_show(name: str, day: date, hours: float) -> None:
    zone = zones.rules(name)
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=zone).astimezone(UTC)
    whole = Span(noon - timedelta(days=1), noon + timedelta(days=1))
    [found] = [span for span in figures.spans(whole, Bucket.DAY, zone) if span.begins_at.astimezone(zone).date() == day]
    assert (found.ends_at - found.begins_at) / timedelta(hours=1) == hours


def test_a_day_that_a_zone_has_left_out_has_no_bucket() -> None:
    zone = zones.rules("Pacific/Apia")
    whole = Span(datetime(2011, 12, 29, 10, tzinfo=UTC), datetime(2012, 1, 1, 10, tzinfo=UTC))
    days = [span.begins_at.astimezone(zone).date() for span in figures.spans(whole, Bucket.DAY, zone)]
    assert days == [date(2011, 12, 29), date(2011, 12, 31), date(2012, 1, 1)]


def test_an_hour_that_comes_twice_has_two_buckets() -> None:
    zone = zones.rules("Europe/Berlin")
    whole = Span(datetime(2026, 10, 25, 0, tzinfo=UTC), datetime(2026, 10, 25, 3, tzinfo=UTC))
    spans = figures.spans(whole, Bucket.HOUR, zone)
    assert [span.begins_at.astimezone(zone).hour for span in spans] == [2, 2, 3]


def test_since_2000_no_zone_differs_from_utc_by_anything_but_quarters() -> None:
    for name in NAMES:
        if zones.named(name) is None:
            continue
        zone = zones.rules(name)
        for year in range(2000, 2040):
            for month in (1, 3, 5, 7, 9, 11):
                offset = datetime(year, month, 1, tzinfo=UTC).astimezone(zone).utcoffset()
                assert offset is not None
                assert offset % QUARTER == timedelta(0), (name, year)


quarters = st.integers(0, 40 * 365 * 96).map(lambda number: datetime(2000, 1, 1, tzinfo=UTC) + number * QUARTER)


@given(quarters, st.integers(1, 96 * 5), st.sampled_from(NAMES[1:]), st.sampled_from([None, Bucket.HOUR, Bucket.DAY]))
@example(datetime(2026, 4, 4, 12, tzinfo=UTC), 96, "Australia/Lord_Howe", Bucket.HOUR)
@example(datetime(2026, 10, 24, 12, tzinfo=UTC), 96, "Asia/Beirut", Bucket.HOUR)
def test_buckets_follow_each_other_and_each_is_of_one_hour_or_day(
    begin: datetime, number: int, name: str, bucket: Bucket | None
) -> None:
    if zones.named(name) is None:
        return
    zone = zones.rules(name)
    whole = Span(begin, begin + number * QUARTER)
    spans = figures.spans(whole, bucket, zone)
    assert (spans[0].begins_at, spans[-1].ends_at) == whole
    assert all(before.ends_at == after.begins_at for before, after in pairwise(spans))

    def label(at: datetime) -> object:
        local = at.astimezone(zone)
        return {None: None, Bucket.DAY: local.date(), Bucket.HOUR: (local.date(), local.hour, local.utcoffset())}[
            bucket
        ]

    labels = []
    for span in spans:
        inside = [span.begins_at + at * QUARTER for at in range((span.ends_at - span.begins_at) // QUARTER)]
        assert len({label(at) for at in inside}) == 1
        labels.append(label(inside[0]))
    assert all(before != after for before, after in pairwise(labels))


def test_no_more_buckets_are_made_than_needed_to_refuse_them() -> None:
    whole = Span(datetime(2000, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC))
    for bucket in Bucket:
        assert len(figures.spans(whole, bucket, zones.rules("Europe/Berlin"))) == BUCKETS_MAX + 1


@pytest.mark.parametrize(
    ("name", "bucket", "grouping", "expected"),
    [
        ("UTC", Bucket.MINUTE, None, [1]),
        ("UTC", Bucket.DAY, None, [60]),
        ("Europe/Berlin", Bucket.HOUR, Grouping.DIALER, [60]),
        ("Asia/Kolkata", Bucket.DAY, None, [15]),
        ("UTC", None, Grouping.HOUR_OF_DAY, [15]),
        ("UTC", None, Grouping.DIALER, [60, 24 * 60, 60]),
    ],
)
def test_buckets_are_made_of_the_longest_cells_that_fit(
    name: str, bucket: Bucket | None, grouping: Grouping | None, expected: list[int]
) -> None:
    whole = Span(datetime(2026, 1, 1, 22, tzinfo=UTC), datetime(2026, 1, 3, 3, tzinfo=UTC))
    if bucket is Bucket.MINUTE:
        whole = Span(whole.begins_at, whole.begins_at + timedelta(hours=1))
    found = figures.pieces(figures.spans(whole, bucket, zones.rules(name)), bucket, grouping)
    assert [piece.minutes for piece in found] == expected
    assert (found[0].span.begins_at, found[-1].span.ends_at) == whole


@pytest.mark.slow
@given(quarters, st.integers(1, 96 * 5), st.sampled_from([None, *Bucket]), st.sampled_from([None, *Grouping]))
@example(datetime(2026, 1, 1, tzinfo=UTC), 96 * 3, Bucket.DAY, None)
def test_no_cell_is_in_two_buckets_and_none_is_left_out(
    begin: datetime, number: int, bucket: Bucket | None, grouping: Grouping | None
) -> None:
    whole = Span(begin, begin + (min(number, 96) if bucket is Bucket.MINUTE else number) * QUARTER)
    spans = figures.spans(whole, bucket, zones.rules("Asia/Kathmandu"))
    at = begin
    for piece in figures.pieces(spans, bucket, grouping):
        assert piece.span.begins_at == at
        while at < piece.span.ends_at:
            further = at + timedelta(minutes=piece.minutes)
            assert sum(span.begins_at <= at and further <= span.ends_at for span in spans) == 1
            at = further
    assert at == whole.ends_at


# ---------------------------------------------------------------- medians and sums

seconds = st.one_of(st.integers(0, 5), st.integers(1_000, 1_100), st.integers(0, 86_400))
histograms = st.dictionaries(seconds, st.one_of(st.integers(1, 5), st.integers(1, 90_000)), max_size=6)


@given(st.lists(histograms, max_size=8))
@example([{0: 65_535}, {0: 1}])
@example([{1_023: 65_535}, {1_023: 65_535}, {1_024: 65_536}])
@example([{5: 65_536}, {5: 3}])
def test_a_sum_of_histograms_counts_each_second_exactly(listed: list[dict[int, int]]) -> None:
    total, expected = Histogram(), Counter[int]()
    for counts in listed:
        one = Histogram(counts)
        assert Histogram.read(one.written()) == one
        assert one.counts == dict(sorted(counts.items()))
        total.add(one)
        expected.update(counts)
    assert total.counts == dict(sorted(expected.items()))
    assert Histogram.read(total.written()).counts == total.counts


@given(st.lists(seconds, max_size=30))
def test_a_median_is_that_of_all_times(times: list[int]) -> None:
    assert Histogram(Counter(times)).median() == (median(times) if times else None)


def some(attempts: int, **more: object) -> Figures:
    return Figures(attempts=attempts, **more)  # type: ignore[arg-type]


def test_figures_are_read_as_they_were_written() -> None:
    whole = some(
        3,
        dispositions=Counter({Disposition.ANSWERED: 2}),
        codes=Counter({"SALE": 1}),
        right_parties=1,
        conversions=1,
        reached=1,
        ring=Histogram({3: 2, 2_000: 1}),
        talk=Histogram({86_400: 1}),
    )
    assert figures.read(figures.written(whole)) == whole
    assert figures.written(Figures()) == "{}"


def test_a_sum_leaves_its_parts_as_they_are_and_what_is_nothing_out() -> None:
    keys = facets_of(2, None)
    cell = {key: some(1, ring=Histogram({1: 1})) for key in keys}
    total = figures.summed([cell, cell, {Key(figures.Facet.DIALER, "gone"): Figures()}])
    assert {key: part.attempts for key, part in total.items()} == dict.fromkeys(keys, 2)
    assert all(part == some(1, ring=Histogram({1: 1})) for part in cell.values())


def test_of_too_many_dialers_those_with_fewest_attempts_are_one() -> None:
    cell = {
        Key(figures.Facet.DIALER, f"{number:03}"): some(1 if number < 3 else 2) for number in range(DIALERS_MAX + 2)
    }
    found = figures.bounded({**cell, OTHERS: some(5)})
    assert len(found) == DIALERS_MAX + 1
    assert found[OTHERS].attempts == 5 + 2
    assert Key(figures.Facet.DIALER, "000") in found
    assert Key(figures.Facet.DIALER, "001") not in found
