"""The file of rejected rows: mended, it gives the rows of a right file; unmended, the same rejects."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app import sheets
from app.files import columns, parsing, rejects
from app.files.drafting import CheckedRow, CsvRows, NdjsonRows, RejectedRow
from app.files.parsing import Lines
from app.records import FileLayout, KeptRow
from tests.test_exports import FORMULA

ADDED = ["import_line", "import_reason"]
DELIMITERS = st.sampled_from(",;\t|")
TEXT = st.text(
    st.one_of(
        st.sampled_from("='+-@\t\r\n\",;|"),
        st.characters(codec="utf-8", exclude_characters="\0\ufeff", exclude_categories=("Cs",)),
    ),
    max_size=8,
)
NAMES = ["key", "phone", "name", "detail", "=Formel", "", "Ort; Land", "import_line", "import_reason", "Ort"]


@dataclass(frozen=True)
class Read:
    """A file as an import reads it."""

    layout: FileLayout
    rows: list[CheckedRow]
    rejects: list[RejectedRow]

    @property
    def kept(self) -> list[KeptRow]:
        return [KeptRow(one.line_number, one.message, one.text.rstrip("\r\n"), is_whole=True) for one in self.rejects]

    @property
    def file(self) -> bytes:
        """The file of the rejected rows."""
        return rejects.head(self.layout) + rejects.body(self.layout, self.kept)

    @property
    def said(self) -> list[tuple[str | None, str, str]]:
        return [(one.column, one.code, one.message) for one in self.rejects]


def read(content: bytes, *, is_ndjson: bool = False) -> Read:
    lines = Lines(parsing.decoded([content], None))
    if is_ndjson:
        reading: CsvRows | NdjsonRows = NdjsonRows({}, extra_kept=False)
        layout = FileLayout("", is_ndjson=True, column_names=None, delimiter=None)
        records = parsing.ndjson_records(lines)
    else:
        header, delimiter = parsing.csv_header(lines, {})
        found = columns.resolve(header.values, {})
        layout = FileLayout("", is_ndjson=False, column_names=tuple(found.kept_names), delimiter=delimiter)
        reading = CsvRows(found, extra_kept=True)
        records = parsing.csv_records(lines, delimiter)
    made = [reading.row(record) for record in parsing.without_blanks(records)]
    return Read(
        layout,
        [row for row in made if isinstance(row, CheckedRow)],
        [row for row in made if isinstance(row, RejectedRow)],
    )


def written(rows: Sequence[Sequence[str]], delimiter: str, *, hint: bool = True) -> bytes:
    made = io.StringIO(newline="")
    csv.writer(made, delimiter=delimiter).writerows(rows)
    return ((f"sep={delimiter}\r\n" if hint else "") + made.getvalue()).encode()


def cells(content: bytes, delimiter: str) -> list[list[str]]:
    """The file as a spreadsheet reads it."""
    text = content.decode("utf-8-sig")
    hint = f"sep={delimiter}\r\n"
    text = text.removeprefix(hint)
    return list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))


def number(row: int) -> str:
    return f"+49151123{row:05d}"


# ---------------------------------------------------------------- as it was


def test_the_file_has_the_columns_as_they_were_and_two_more() -> None:
    found = read(
        b'Ort;phone;name;priority\r\nUlm;12;Ann;5\r\nBonn;+49 30 23125001;Bo;1\r\n"K\nL";+49 30 23125002;=1+1;x\r\n'
    )
    assert found.file.startswith("\ufeffOrt;phone;name;priority;import_line;import_reason\r\n".encode())
    header, first, second = cells(found.file, ";")
    assert header == ["Ort", "phone", "name", "priority", *ADDED]
    assert first == ["Ulm", "12", "Ann", "5", "2", found.rejects[0].message]
    assert second == ["K\nL", "+49 30 23125002", "'=1+1", "x", "4", found.rejects[1].message]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_the_one_of_the_file(delimiter: str) -> None:
    found = read(written([["key", "phone"], ["a", "12"]], delimiter))
    assert cells(found.file, delimiter)[0] == ["key", "phone", *ADDED]
    assert read(found.file).layout.delimiter == delimiter
    # a line that names the delimiter hides the byte order mark from Excel: it is there only if it must be
    assert found.file.startswith(b"\xef\xbb\xbfsep=") is (delimiter == "|")


def test_a_row_with_more_cells_or_fewer_keeps_its_cells() -> None:
    found = read(b"key,phone,name\na,+4915112300001,Ann,x,y\nb,12\n")
    assert [row[:4] + row[5:] for row in cells(found.file, ",")[1:]] == [
        ["a", "+4915112300001", "Ann", "2", "x", "y"],
        ["b", "12", "", "3"],
    ]
    assert found.rejects[0].message == "The row has 5 cells, the header has 3."
    assert read(found.file).said == found.said


def test_a_row_that_cannot_be_read_is_shown_beside_its_reason_and_waits_to_be_filled_in() -> None:
    found = read(b'phone,name\n+4915112300001,"Bob "B" Smith"\n+4915112300002,"Ann\n')
    header, first, second = cells(found.file, ",")
    assert first == ["", "", "2", f'{found.rejects[0].message}\n+4915112300001,"Bob "B" Smith"']
    assert second == ["", "", "3", f'{found.rejects[1].message}\n+4915112300002,"Ann']
    again = read(found.file)
    assert (again.rows, again.said) == ([], found.said)
    assert cells(again.file, ",")[1][3] == first[3]
    first[:2] = ["+4915112300001", 'Bob "B" Smith']
    mended = read(written([header, first, second], ",", hint=False))
    assert [row.target.name for row in mended.rows] == ['Bob "B" Smith']
    assert mended.said == found.said[1:]


def test_a_row_that_is_not_kept_as_it_is_says_where_it_is_and_is_not_taken() -> None:
    layout = FileLayout("", is_ndjson=False, column_names=("phone", "name"), delimiter=";")
    kept = KeptRow(7, "Name: at most 255 characters.", "+4915112300001;" + "x" * 100 + "…", is_whole=False)
    file = rejects.head(layout) + rejects.body(layout, [kept])
    [_, row] = cells(file, ";")
    assert row[:3] == ["", "", "7"]
    assert row[3].startswith("Name: at most 255 characters.\nTake it from line 7 of the file.")
    again = read(file)
    assert (again.rows, again.said) == ([], [(None, "MALFORMED", "Name: at most 255 characters.")])
    assert "Take it from line 7 of the file." in cells(again.file, ";")[1][3]


def test_a_job_whose_columns_are_not_known_still_gives_its_rows() -> None:
    layout = FileLayout("", is_ndjson=False, column_names=None, delimiter=None)
    file = rejects.head(layout) + rejects.body(layout, [KeptRow(2, "No.", "a;=1", is_whole=True)])
    assert cells(file, ",") == [ADDED, ["2", "No.\na;=1"]]


# ---------------------------------------------------------------- columns of those names


def test_line_and_reason_are_replaced_in_the_next_file_and_not_doubled() -> None:
    once = read(b"phone,name\n12,Ann\n+4915112300001,Bo\n13,Cy\n")
    twice = read(once.file)
    assert cells(twice.file, ",") == [
        ["phone", "name", *ADDED],
        ["12", "Ann", "2", once.rejects[0].message],
        ["13", "Cy", "3", once.rejects[1].message],
    ]
    assert read(twice.file).said == once.said


@pytest.mark.parametrize("own", [["import_line"], ["import_reason"], ["import_reason", "import_reason"]])
def test_a_column_of_such_a_name_that_the_file_had_is_kept(own: list[str]) -> None:
    first = read(written([["phone", *own], ["12", *own]], ","))
    assert cells(first.file, ",")[0] == ["phone", *own, *ADDED]
    again = read(first.file)
    assert again.said == first.said
    assert cells(again.file, ",")[0] == ["phone", *own, *ADDED]
    assert columns.resolve(["phone", *own], {}).extra == list(range(1, len(own) + 1))


def test_a_mapping_beats_what_the_names_say_and_leaves_the_added_ones() -> None:
    names, mapping = ["phone", *ADDED], columns.parse_mapping(["import_reason:detail"])
    assert columns.resolve(names, mapping).fields == ["destination_0_target", None, "detail"]
    assert columns.resolve([*names, *ADDED], mapping).fields == ["destination_0_target", None, "detail", None, None]
    assert columns.resolve([*names, *ADDED], mapping).kept_names == [*names, None, None]


def test_the_added_columns_are_nowhere_warned_of_and_nowhere_kept() -> None:
    found = read(b"phone,name,import_line,import_reason\n+4915112300001,Ann,2,No.\n")
    assert [row.target.data for row in found.rows] == [""]
    assert columns.resolve(["phone", *ADDED], {}).extra == []


# ---------------------------------------------------------------- NDJSON


def test_an_object_is_given_back_as_it_is_written() -> None:
    texts = [
        '{"phone": 4.91512E+11, "name": "Ann", "n": 1234567890123456789012345678901234567890}',
        '{ "phone" : "12" , "import_line" : 9, "import_reason" : "x" } ',
        "{}",
        '{"phone": "+49 30 2312',
        "[1]",
        '{"phone":"nobody","note":"\\"import_line\\":1,\\"import_reason\\":\\"\\"}"}',
    ]
    found = read("\n".join(texts).encode(), is_ndjson=True)
    lines = found.file.decode().splitlines()
    assert lines[0].startswith(f'{texts[0][:-1]},"import_line":1,"import_reason":')
    assert lines[1].startswith('{ "phone" : "12","import_line":2,')
    assert orjson.loads(lines[2]) == {"import_line": 3, "import_reason": found.rejects[2].message}
    assert orjson.loads(lines[3]) == {"import_line": 4, "import_reason": f"{found.rejects[3].message}\n{texts[3]}"}
    assert orjson.loads(lines[5])["note"] == orjson.loads(texts[5])["note"]
    again = read(found.file, is_ndjson=True)
    assert [one[2] for one in again.said] == [one[2] for one in found.said]
    assert again.file == found.file


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXT, inner, max_size=2),
    max_leaves=4,
)
OBJECTS = st.fixed_dictionaries(
    {}, optional={"phone": JSON, "name": JSON, "detail": TEXT, "import_line": JSON, "import_reason": JSON, "Ort": JSON}
)


@given(
    st.lists(OBJECTS | JSON, max_size=4),
    st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), max_size=8), max_size=2),
)
def test_rejected_lines_are_rejected_again_and_mended_ones_are_taken(values: list[object], garbage: list[str]) -> None:
    lines = [*(orjson.dumps(value).decode() for value in values), *garbage]
    found = read("\n".join(lines).encode(), is_ndjson=True)
    again = read(found.file, is_ndjson=True)
    assert again.rows == []
    assert [one[2] for one in again.said] == [one[2] for one in found.said]
    mended = b"".join(
        orjson.dumps({**orjson.loads(line), "phone": number(place), "name": "", "detail": ""}) + b"\n"
        for place, line in enumerate(found.file.splitlines())
    )
    taken = read(mended, is_ndjson=True).rows
    assert [row.target.addresses[0] for row in taken] == [f"TEL {number(place)}" for place in range(len(found.rejects))]


# ---------------------------------------------------------------- any file


@dataclass(frozen=True)
class Table:
    """Right rows, and how some of them are spoilt."""

    delimiter: str
    names: list[str]
    rows: list[list[str]]
    faults: list[str]

    @property
    def file(self) -> bytes:
        lines = [self._line(row, fault) for row, fault in zip(self.rows, self.faults, strict=True)]
        return written([self.names], self.delimiter) + b"".join(lines)

    def _line(self, row: list[str], fault: str) -> bytes:
        at = self.names.index("phone")
        if fault == "quotes":
            [line, *_] = written([row], self.delimiter, hint=False).decode().replace('"', "").split("\n")
            return f'"a" b"{line}'.replace("\r", "").encode() + b"\r\n"
        spoilt = {
            "none": row,
            "number": [*row[:at], "12-", *row[at + 1 :]],
            "cells": [*row, "", "x"],
            "few": ["x", *row[1:at]],
        }
        return written([spoilt[fault]], self.delimiter, hint=False)

    @property
    def wanted(self) -> list[list[str]]:
        return [row for row, fault in zip(self.rows, self.faults, strict=True) if fault != "none"]


@st.composite
def tables(draw: st.DrawFn) -> Table:
    names = draw(st.permutations(NAMES))[: draw(st.integers(1, len(NAMES)))]
    if set(ADDED) <= set(names):
        names.remove(ADDED[0])
    if "phone" not in names:
        names.append("phone")
    rows = []
    for place in range(draw(st.integers(0, 5))):
        values = {name: draw(TEXT) for name in names}
        values |= {"phone": number(place), "key": f"{place}"}
        rows.append([values[name] for name in names])
    faults = [draw(st.sampled_from(["none", "number", "cells", "few", "quotes"])) for _ in rows]
    return Table(draw(DELIMITERS), names, rows, faults)


@given(tables())
@example(Table(",", ["phone"], [[number(0)], [number(1)]], ["quotes", "none"]))
def test_a_mended_file_gives_the_rows_of_a_right_file_and_an_unmended_one_the_same_rejects(table: Table) -> None:
    found = read(table.file)
    assert len(found.rejects) == len(table.wanted)
    again = read(found.file)
    assert (again.rows, again.said) == ([], found.said)
    assert read(again.file).said == found.said

    width = len(table.names)
    header, *rejected = cells(found.file, table.delimiter)
    assert header == ["'=Formel" if name == "=Formel" else name for name in table.names] + ADDED
    assert [row[width] for row in rejected] == [str(one.line_number) for one in found.rejects]
    for row in rejected:
        assert not any(cell.startswith(FORMULA) for cell in row if not is_telephone(cell))
    mended = [[*row, *bad[width : width + 2]] for row, bad in zip(table.wanted, rejected, strict=True)]
    taken = read(written([header, *mended], table.delimiter))
    whole = read(written([table.names, *table.wanted], table.delimiter))
    assert taken.rejects == whole.rejects == []
    assert [row.target for row in taken.rows] == [row.target for row in whole.rows]


def is_telephone(cell: str) -> bool:
    return cell.startswith("+") and set(cell) <= set("+0123456789 ()./-") and "+" not in cell[1:]


@pytest.mark.parametrize(
    ("cell", "shown"),
    [
        ("+493023125001", "+493023125001"),
        ("+49 30 23125 001", "+49 30 23125 001"),
        ("+1 (212) 555-0142", "+1 (212) 555-0142"),
        ("+1(212)555-0142", "+1(212)555-0142"),
        ("+49 30/23125-1", "+49 30/23125-1"),
        ("+49-30-23125", "'+49-30-23125"),
        ("+49/30", "'+49/30"),
        ("+1 - 2", "'+1 - 2"),
        ("+(1)-(2)", "'+(1)-(2)"),
        ("+1+2", "'+1+2"),
        ("+A1 (2)", "'+A1 (2)"),
        ("-49 30 1", "'-49 30 1"),
        ("'+49 30 1", "'+49 30 1"),
        ("=1+1", "'=1+1"),
        ("030 1", "030 1"),
    ],
)
def test_a_telephone_number_is_left_alone_unless_a_spreadsheet_would_calculate_it(cell: str, shown: str) -> None:
    assert sheets.protected(cell) == shown


ODD = st.text(st.sampled_from("ab\"'=+-,;|\t\r\n 0é\x0b\u2028␀"), max_size=60)
HINTS = ["", "sep=|\n", "sep= \n", "sep=a\n", "sep=;\r\n", "sep='\n", "sep==\n", "sep=é\n"]


@given(st.sampled_from(HINTS), st.lists(st.sampled_from(["name", "Ort", "=x", *ADDED]), max_size=4), ODD)
@example("sep= \n", ADDED, " 0")
def test_whatever_the_rows_are_they_are_rejected_again(hint: str, names: list[str], rows: str) -> None:
    delimiter = hint[4:5] or ","
    try:
        found = read(f"{hint}{delimiter.join(['phone', *names])}\n{rows}".encode())
    except columns.ColumnProblem:  # "name" twice
        assert names.count("name") > 1
        return
    again = read(found.file)
    assert (again.rows, again.said) == ([], found.said)
    assert read(again.file).said == found.said


@given(TEXT)
def test_a_protected_cell_is_read_as_it_was(text: str) -> None:
    protected = sheets.protected(text)
    assert sheets.restored(protected) == sheets.restored(text)
    assert sheets.protected(protected) == protected
    assert not protected.startswith(FORMULA) or is_telephone(protected)
