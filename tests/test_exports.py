"""What a file of targets says is what an import reads, whatever the text; and no spreadsheet runs any of it."""

import csv
import io
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app import sheets
from app.addresses import DestinationType
from app.exports.rendering import Form, TargetLine, targets_file
from app.files import columns, parsing
from app.files.drafting import CsvRows, NdjsonRows, RejectedRow
from app.files.parsing import Lines
from app.lifecycle import DESTINATIONS, TargetStatus
from app.records import Callback, CheckedTarget, Destination, Target

FORMULA = tuple("=+-@\t\r\n")
TEXT = st.text(
    st.one_of(
        st.sampled_from("='+-@\t\r\n\",;"),
        st.characters(codec="utf-8", exclude_characters="\0", exclude_categories=("Cs",)),
    ),
    max_size=12,
)
NOW = datetime(2026, 11, 25, tzinfo=UTC)
PLACES = st.builds(
    Destination,
    type=st.just(DestinationType.AGENT),
    target=st.sampled_from(["=Ann", "+1", "'=x", "@home", "Bo"]),
    target_name=TEXT,
    name=TEXT,
    detail=TEXT,
) | st.builds(
    Destination,
    type=st.just(DestinationType.TEL),
    target=st.just("+12125550142"),
    target_name=TEXT,
    name=TEXT,
    detail=TEXT,
)
TARGETS = st.builds(
    Target,
    id=st.just("01a21310-0000-7000-8000-000000000001"),
    customer_id=st.just(""),
    outdial_id=st.just(""),
    key=st.none() | TEXT.filter(lambda text: bool(text.strip())),
    name=TEXT,
    detail=TEXT,
    data=TEXT,
    status=st.just(TargetStatus.IDLE),
    done_reason=st.none(),
    priority=st.integers(0, 9),
    time_zone=st.none() | st.sampled_from(["Europe/Berlin", "Etc/GMT+5"]),
    max_try_counts=st.none() | st.tuples(*[st.integers(0, 100)] * DESTINATIONS),
    destinations=st.tuples(PLACES, *[st.none() | PLACES] * (DESTINATIONS - 1)),
    try_counts=st.just((0,) * DESTINATIONS),
    invalid_destinations=st.just(frozenset()),
    next_try_at=st.just(NOW),
    last_attempt_id=st.none(),
    version=st.just(1),
    tm_create=st.just(NOW),
    tm_update=st.just(NOW),
    tm_delete=st.none(),
    callback=st.none()
    | st.builds(
        Callback,
        at=st.datetimes(datetime(2026, 11, 1), datetime(2026, 12, 24), timezones=st.just(UTC)),  # noqa: DTZ001
        destination_index=st.none() | st.integers(0, DESTINATIONS - 1),
        dialer=st.none() | TEXT.filter(bool),
        window_seconds=st.integers(60, 86_400),
        note=TEXT,
        opened_at=st.none() | st.just(NOW),
        is_for_all=st.booleans(),
    ),
)


@given(TEXT)
@example("\n=1+1")
def test_what_is_neutralised_begins_no_formula_and_is_restored_to_what_it_was(text: str) -> None:
    neutral = sheets.neutralised(text)
    assert not neutral.startswith(FORMULA)
    assert sheets.restored(neutral) == text


@given(TEXT)
def test_text_that_nobody_neutralised_keeps_its_apostrophes_where_they_hide_nothing(text: str) -> None:
    if not text.lstrip("'").startswith(FORMULA):
        assert sheets.restored(text) == text


async def written(form: Form, targets: Sequence[Target]) -> str:
    async def parts() -> AsyncIterator[list[TargetLine]]:
        yield [TargetLine(target, None) for target in targets]

    return b"".join([part async for part in targets_file(form, parts())]).decode()


def read(form: Form, text: str) -> list[CheckedTarget]:
    lines = Lines(parsing.decoded([text.encode()], None))
    if form is Form.NDJSON:
        reading: CsvRows | NdjsonRows = NdjsonRows({}, extra_kept=False)
        records = parsing.ndjson_records(lines)
    else:
        header, delimiter = parsing.csv_header(lines, {})
        assert delimiter == ","
        reading = CsvRows(columns.resolve(header.values, {}), extra_kept=False)
        records = parsing.csv_records(lines, delimiter)
    found = []
    for record in records:
        row = reading.row(record)
        assert not isinstance(row, RejectedRow), row
        found.append(row.target)
    return found


def said(target: Target | CheckedTarget) -> tuple[object, ...]:
    fields = ("key", "name", "detail", "data", "priority", "max_try_counts", "time_zone", "destinations")
    wish = ("at", "destination_index", "dialer", "window_seconds", "note")
    callback = target.callback and tuple(getattr(target.callback, name) for name in wish)
    return *(getattr(target, name) for name in fields), callback


@pytest.mark.parametrize("form", list(Form))
@given(targets=st.lists(TARGETS, max_size=4))
async def test_what_export_writes_import_reads_whatever_the_text(form: Form, targets: list[Target]) -> None:
    assert [said(target) for target in read(form, await written(form, targets))] == [said(target) for target in targets]


@given(targets=st.lists(TARGETS, min_size=1, max_size=3))
async def test_no_cell_but_a_telephone_number_begins_a_formula(targets: list[Target]) -> None:
    for row in csv.DictReader(io.StringIO(await written(Form.CSV, targets), newline="")):
        for name, cell in row.items():
            if not (name.endswith("_target") and cell == "+12125550142"):
                assert not cell.startswith(FORMULA), name
