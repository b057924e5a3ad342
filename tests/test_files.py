"""Files of targets, read: however they are cut into pieces, whatever is wrong in them, and however they are packed."""

import csv
import gzip
import io
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app import ids, validation
from app.addresses import DestinationType
from app.db import dialects
from app.files import columns, drafting, parsing, protocol, reading, staging, worker
from app.files.columns import ColumnProblem
from app.files.parsing import FileProblem, Lines
from app.records import CallbackDraft, CheckedTarget, Destination, ImportStopReason, RejectCode

TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)


def cut(data: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


def lines_of(data: bytes, size: int = 7, encoding: str | None = None, *, is_gzip: bool = False) -> Lines:
    return Lines(parsing.decoded(parsing.inflated(cut(data, size), is_gzip=is_gzip), encoding))


PLAIN_TASK = protocol.Task(
    is_ndjson=False, is_gzip=False, for_postgres=False, encoding=None, region=None, mapping={}, extra_kept=False,
    compares_addresses=False, updates=False, settled_line=0, settled_digest="",
)  # fmt: skip


def through_worker(data: bytes, *, ends: bool = True, **options: Any) -> list[protocol.Chunk | protocol.Ended]:
    """The frames that the process answers a file with."""
    given = protocol.encode(replace(PLAIN_TASK, **options))
    given += b"".join(protocol.encode(protocol.Data(piece)) for piece in cut(data, 1_000))
    source, target = io.BytesIO(given + (protocol.encode(protocol.EndOfFile()) if ends else b"")), io.BytesIO()
    before = validation.default_region()
    try:
        worker.run(source, target)
    finally:
        validation.configure(default_region=before)
    target.seek(0)
    found = []
    while (frame := protocol.read(target)) is not None:
        assert isinstance(frame, protocol.Chunk | protocol.Ended)
        found.append(frame)
    return found


def chunks_of(data: bytes, **options: Any) -> list[protocol.Chunk]:
    return [frame for frame in through_worker(data, **options) if isinstance(frame, protocol.Chunk)]


# ---------------------------------------------------------------- lines and cells


@given(
    st.lists(st.lists(TEXT, min_size=1, max_size=4).filter(lambda row: row != [""]), max_size=6),
    st.integers(1, 40),
    st.sampled_from([",", ";", "\t"]),
    st.sampled_from(["\r\n", "\n"]),
)
def test_rows_are_those_of_the_csv_module_however_the_file_is_cut(
    rows: list[list[str]], size: int, delimiter: str, ending: str
) -> None:
    written = io.StringIO(newline="")
    csv.writer(written, delimiter=delimiter, lineterminator=ending, quoting=csv.QUOTE_ALL).writerows(rows)
    text = written.getvalue()
    records = list(parsing.csv_records(lines_of(text.encode(), size), delimiter))
    assert [record.values for record in records] == rows
    assert "".join(record.text for record in records) == text
    assert [record.problem for record in records] == [""] * len(rows)


@given(TEXT.map(lambda text: text.replace("\x0b", "\n").replace("\x0c", "\r")), st.integers(1, 10))
def test_lines_are_cut_where_an_editor_cuts_them(text: str, size: int) -> None:
    lines = list(lines_of(text.encode(), size))
    assert "".join(lines) == text.removeprefix("\ufeff")
    assert lines == list(io.StringIO(text.removeprefix("\ufeff"), newline=""))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('a,"b\nc,d\n', [(1, None), (2, ["c", "d"])]),
        ('a,"b"x\nc,d\n', [(1, None), (2, ["c", "d"])]),
        ('a,"b\nc,"d\ne,f\n', [(1, None), (2, None), (3, ["e", "f"])]),
        ('a,"b""c"\n', [(1, ["a", 'b"c'])]),
        ('a,b"c\n', [(1, ["a", 'b"c'])]),
        ('"a\r\nb",c\r\nd,e', [(1, ["a\r\nb", "c"]), (3, ["d", "e"])]),
        ("a\rb\r\nc\n", [(1, ["a"]), (2, ["b"]), (3, ["c"])]),
    ],
)
def test_a_quote_too_many_spoils_one_row(text: str, found: list[tuple[int, Any]]) -> None:
    records = parsing.csv_records(lines_of(text.encode()), ",")
    assert [(record.line_number, record.values) for record in records] == found


@pytest.mark.parametrize(
    ("header", "delimiter"),
    [
        ("phone,name\n", ","),
        ("phone;name, or so\n", ";"),
        ("phone\tname;x;y\n", "\t"),
        ("\n\n phone ; name\n", ";"),
        ("sep=|\nphone|name\n", "|"),
        ("SEP=;\r\nphone;name\r\n", ";"),
        ("phone\n", ","),
        ('"phone";"first\nname"\n', ";"),
        ("\ufeff\ufeffphone\u200b;name,x,y\n", ";"),
        (f'phone;"{"," * 200_000}"\n', ";"),
    ],
)
def test_the_delimiter_is_the_one_that_makes_columns_known(header: str, delimiter: str) -> None:
    assert parsing.csv_header(lines_of(header.encode()), {})[1] == delimiter


@pytest.mark.parametrize("header", ["phone" + ",a" * 1_000_000, ";" * 10_001, "sep=|\nphone" + "|a" * 10_001])
def test_a_header_with_too_many_columns_is_refused_as_such(header: str) -> None:
    with pytest.raises(FileProblem, match=r"the header, has too many columns: a file has at most 1,000"):
        parsing.csv_header(lines_of(header.encode(), 100_000), {})


@pytest.mark.parametrize("mark", ["\ufeff", "\u200b", "\u200e", "\xa0", "\xad"])
def test_a_column_is_known_by_what_can_be_seen_of_its_name(mark: str) -> None:
    assert columns.resolve([f"{mark}phone{mark}", "name"], {}).fields == ["destination_0_target", "name"]
    assert columns.parse_mapping([f"{mark}Telefon:phone"]) == {"telefon": "phone"}


@pytest.mark.parametrize("begin", [b"PK\x03\x04\x14\x00", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"])
@pytest.mark.parametrize("encoding", [None, "cp1252", "utf-16-le"])
def test_a_workbook_is_refused_as_one(begin: bytes, encoding: str | None) -> None:
    with pytest.raises(FileProblem, match="workbook"):
        list(parsing.decoded([begin, b"\x00" * 100], encoding))


def test_a_quote_that_never_closes_holds_no_more_than_a_cell_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parsing, "RECORD_LINES_MAX", 10)
    text = 'a,"b\n' + "".join(f"c,{number}\n" for number in range(30))
    lines = lines_of(text.encode())
    records = []
    for record in parsing.csv_records(lines, ","):
        records.append(record)
        assert len(lines.taken) <= 10
    assert [record.line_number for record in records] == list(range(1, 32))
    assert [bool(record.problem) for record in records] == [True] + [False] * 30


def test_a_line_that_never_ends_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parsing, "LINE_CHARACTERS_MAX", 1_000)
    with pytest.raises(FileProblem, match="Line 2 is longer than 1,000 characters"):
        list(lines_of(b"phone\n" + b"x" * 2_000))


# ---------------------------------------------------------------- bytes


@pytest.mark.parametrize(
    ("data", "encoding", "text"),
    [
        ("\ufeffä\n".encode(), None, "ä\n"),
        ("ä\n".encode("utf-16"), None, "ä\n"),
        (b"\xfe\xff" + "ä\n".encode("utf-16-be"), None, "ä\n"),
        ("ä\n".encode("utf-32"), None, "ä\n"),
        ("ä\n".encode("utf-16-le"), "utf-16-le", "ä\n"),
        ("ä€\n".encode("cp1252"), "cp1252", "ä€\n"),
        ("日本\n".encode("shift_jis"), "shift_jis", "日本\n"),
        ("\ufeffä\n".encode(), "utf-8", "ä\n"),
        (b"", None, ""),
    ],
)
@pytest.mark.parametrize("size", [1, 3, 100])
def test_text_is_utf_8_or_what_its_mark_or_its_sender_says(
    data: bytes, encoding: str | None, text: str, size: int
) -> None:
    assert "".join(lines_of(data, size, encoding)) == text


@pytest.mark.parametrize(
    ("data", "encoding", "line"),
    [
        (b"a\nb\nM\xfcller\nc\n", None, 3),
        (b"\xfc", None, 1),
        (b"a\n\xe2\x82", None, 2),
        (b"\xff\xfea\0\n\0\x00\xd8a\0", None, 2),
        (b"a\r\nb\x81\n", "cp1252", 2),
    ],
)
@pytest.mark.parametrize("size", [1, 4, 100])
def test_bytes_that_are_no_text_are_refused_at_their_line(
    data: bytes, encoding: str | None, line: int, size: int
) -> None:
    read = []
    with pytest.raises(FileProblem, match=f"^Line {line} is not valid") as problem:
        read.extend(lines_of(data, size, encoding))
    assert problem.value.reason is ImportStopReason.FILE


def test_a_mark_and_a_name_that_differ_are_refused() -> None:
    with pytest.raises(FileProblem, match=r"mark of UTF-8, but encoding is cp1252\. Leave encoding out"):
        list(lines_of("\ufeffa\n".encode(), 100, "cp1252"))


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("windows-1252", "cp1252"), ("UTF8", "utf-8"), ("latin1", "iso8859-1"), ("macroman", "mac-roman"),
        ("sjis", "shift_jis"), ("gbk", "gbk"), ("utf-16", "utf-16"), ("idna", None), ("base64", None),
        ("unicode_escape", None), ("klingon", None), ("utf-7", None), ("x\0", None), ("rot13", None),
    ],
)  # fmt: skip
def test_encodings_are_those_of_text(name: str, codec: str | None) -> None:
    assert parsing.known_encoding(name) == codec


@pytest.mark.parametrize("is_gzip", [True, False])
@pytest.mark.parametrize("size", [1, 10, 10_000])
def test_gzip_is_known_by_what_it_begins_with_or_by_what_is_said(*, is_gzip: bool, size: int) -> None:
    packed = gzip.compress(b"one\n") + gzip.compress(b"two\n") + b"\0\0\0"
    assert list(lines_of(packed, size, is_gzip=is_gzip)) == ["one\n", "two\n"]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (gzip.compress(b"one\n" * 1_000, mtime=0)[:-9], "ends in the middle"),
        (b"\x1f\x8bnot", "cannot be decompressed"),
    ],
)
def test_gzip_that_is_none_is_refused(data: bytes, said: str) -> None:
    with pytest.raises(FileProblem, match=said):
        list(lines_of(data))
    with pytest.raises(FileProblem, match="cannot be decompressed"):
        list(lines_of(b"phone\n", is_gzip=True))


def test_what_inflates_too_far_is_refused_before_it_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parsing, "RATIO_FROM_BYTES", 1_000_000)
    bomb = gzip.compress(b"phone\n" + b"\n" * 50_000_000)
    made: list[int] = []
    with pytest.raises(FileProblem, match="too large after decompression") as problem:
        made.extend(len(piece) for piece in parsing.inflated(cut(bomb, 1_000), is_gzip=False))
    assert problem.value.reason is ImportStopReason.TOO_LARGE
    assert sum(made) <= 1_000_000 + parsing.PIECE_BYTES
    monkeypatch.setattr(parsing, "INFLATED_BYTES_MAX", 10)
    with pytest.raises(FileProblem, match="too large after decompression"):
        list(parsing.inflated(cut(b"phone\n" * 3, 5), is_gzip=False))


# ---------------------------------------------------------------- columns


def test_mail_and_sip_take_the_lowest_destinations_that_are_left() -> None:
    found = columns.resolve(["email", "Phone 2", "sip", "destination_0_target"], {})
    assert found.fields == [
        "destination_2_target",
        "destination_1_target",
        "destination_3_target",
        "destination_0_target",
    ]
    assert {index: kind.value for index, kind in found.types.items()} == {1: "TEL", 2: "EMAIL", 3: "SIP"}


@pytest.mark.parametrize("pairs", [["phone"], [":phone"], [" :phone"], ["Telefon:telefon"]])
def test_a_mapping_that_maps_nothing_is_refused(pairs: list[str]) -> None:
    with pytest.raises(ColumnProblem):
        columns.parse_mapping(pairs)


def test_a_mapping_leaves_out_what_it_maps_to_nothing() -> None:
    found = columns.resolve(["phone", "name", "x:y"], columns.parse_mapping(["Name:", "X:Y:detail"]))
    assert found.fields == ["destination_0_target", None, "detail"]
    assert found.extra == []


# ---------------------------------------------------------------- rows as databases take them


@given(st.lists(st.tuples(TEXT, TEXT, TEXT), min_size=1, max_size=5))
def test_copy_and_json_carry_any_text(texts: list[tuple[str, str, str]]) -> None:
    rows = [
        drafting.CheckedRow(number, "", CheckedTarget(key, name, "", data, 0, None, None, None, (None,) * 5), {})
        for number, (key, name, data) in enumerate(texts)
    ]
    identities = [ids.new() for _ in range(len(rows) + 1)]
    as_json = orjson.loads(staging.bulk(rows, identities, for_postgres=False))
    assert [row[1] for row in as_json] == identities[:-1]
    assert [(row[0], row[2], row[3], row[5]) for row in as_json] == [(n, *text) for n, text in enumerate(texts)]
    copied = staging.bulk(rows, identities, for_postgres=True).decode().split("\n")
    assert copied.pop() == ""
    for line, (key, name, data) in zip(copied, texts, strict=True):
        cells = line.split("\t")
        assert len(cells) == len(staging.COLUMNS)
        for cell, text in zip((cells[2], cells[3], cells[5]), (key, name, data), strict=True):
            plain = cell.replace(r"\\", "\0").replace(r"\t", "\t").replace(r"\n", "\n").replace(r"\r", "\r")
            assert plain.replace("\0", "\\") == text


def test_the_staged_columns_have_types_that_both_databases_know() -> None:
    assert set(staging.COLUMNS.values()) <= dialects.type_names
    assert all(dialects.is_instant(name) == (kind == "instant") for name, kind in staging.COLUMNS.items())


# ---------------------------------------------------------------- the process


def test_a_file_goes_through_in_chunks_and_says_where_it_stands() -> None:
    body = "phone\n" + "".join(f"+4915{row:09d}\n" for row in range(2_500))
    assert through_worker(body.encode())[-1] == protocol.Ended(None, "", ())
    found = chunks_of(body.encode())
    assert [len(chunk.keys) for chunk in found] == [1_000, 1_000, 500]
    assert [chunk.last_line for chunk in found] == [1_001, 2_001, 2_501]
    rest = chunks_of(body.encode(), settled_line=found[0].last_line, settled_digest=found[0].digest)
    assert [chunk.last_line for chunk in rest] == [2_001, 2_501]
    assert rest[1].digest == found[2].digest


def test_long_rows_make_short_chunks() -> None:
    body = "phone,data\n" + "".join(f"+4915{row:09d},{'x' * 60_000}\n" for row in range(60))
    sizes = [len(chunk.keys) for chunk in chunks_of(body.encode())]
    assert sum(sizes) == 60
    assert max(sizes) <= reading.CHUNK_CHARACTERS // 60_000 + 1


def test_rows_that_replace_others_come_in_smaller_chunks() -> None:
    body = "key,phone\n" + "".join(f"k{row},+4915{row:09d}\n" for row in range(450))
    found = chunks_of(body.encode(), updates=True)
    assert [len(chunk.targets or ()) for chunk in found] == [100, 100, 100, 100, 50]


def test_a_file_that_breaks_off_ends_without_a_word() -> None:
    body = b"phone\n" + b"+4915100000000\n" * 1_200
    found = through_worker(body, ends=False)
    assert [type(frame) for frame in found] == [protocol.Chunk]
    worker.run(io.BytesIO(), io.BytesIO())


def test_what_was_read_before_a_file_went_wrong_is_kept() -> None:
    chunk, ended = through_worker(b"phone\n+4915100000000\nM\xfc\n")
    assert isinstance(chunk, protocol.Chunk)
    assert isinstance(ended, protocol.Ended)
    assert (len(chunk.keys), ended.reason) == (1, ImportStopReason.FILE)


# ---------------------------------------------------------------- what the two processes say to each other

TASKS = st.builds(
    protocol.Task, mapping=st.dictionaries(TEXT, TEXT), needed=st.lists(TEXT),
    settled_line=st.integers(0, 2**53), settled_digest=TEXT, encoding=st.none() | TEXT, region=st.none() | TEXT,
)  # fmt: skip
WISHES = st.builds(
    CallbackDraft, at=st.datetimes(timezones=st.just(UTC)), destination_index=st.none() | st.integers(0, 4),
    dialer=st.none() | TEXT, window_seconds=st.integers(60, 86_400), note=TEXT,
)  # fmt: skip
TARGETS = st.builds(
    CheckedTarget, key=st.none() | TEXT, name=TEXT, detail=TEXT, data=TEXT, priority=st.integers(0, 255),
    max_try_counts=st.none() | st.tuples(*[st.integers(0, 99)] * 5),
    not_before=st.none() | st.datetimes(timezones=st.just(UTC)), time_zone=st.none() | TEXT,
    destinations=st.tuples(*[st.none() | st.builds(
        Destination, type=st.sampled_from(DestinationType), target=TEXT, target_name=TEXT, name=TEXT, detail=TEXT
    )] * 5),
    callback=st.none() | WISHES,
)  # fmt: skip
REJECTED = st.builds(
    drafting.RejectedRow, line_number=st.integers(1, 2**53), column=st.none() | TEXT, code=st.sampled_from(RejectCode),
    message=TEXT, text=TEXT,
)  # fmt: skip
CHUNKS = st.builds(
    protocol.Chunk, lines=st.lists(st.integers(1, 2**53)), keys=st.lists(st.none() | TEXT),
    masks=st.lists(st.integers(0, 31)), limits=st.lists(st.none() | st.lists(st.integers(0, 99))),
    addresses=st.none() | st.lists(st.lists(st.none() | TEXT)), texts=st.lists(TEXT),
    targets=st.none() | st.lists(TARGETS, max_size=3), shapes=st.lists(st.integers(0, 9)),
    callbacks=st.lists(st.tuples(st.integers(0, 99), TEXT, WISHES), max_size=2),
    shown=st.lists(st.dictionaries(TEXT, TEXT)), rejects=st.lists(REJECTED, max_size=3),
    last_line=st.integers(0, 2**53), digest=TEXT, bulk=st.binary(),
)  # fmt: skip
ENDS = st.builds(
    protocol.Ended, reason=st.none() | st.sampled_from(ImportStopReason), message=TEXT,
    warnings=st.lists(TEXT).map(tuple),
)  # fmt: skip
RECORDS = st.builds(
    parsing.Record, line_number=st.integers(1, 2**53), last_line=st.integers(1, 2**53),
    values=st.none() | st.lists(TEXT), text=TEXT, problem=TEXT,
)  # fmt: skip
PARTS = st.builds(
    protocol.Part, records=st.lists(RECORDS, max_size=3), ids=st.lists(TEXT), characters=st.integers(0, 2**53),
    last_line=st.integers(0, 2**53), digest=TEXT,
)  # fmt: skip
HEADS = st.builds(
    protocol.Head, task=TASKS, names=st.lists(TEXT), column_names=st.none() | st.lists(st.none() | TEXT),
    delimiter=st.none() | TEXT,
)  # fmt: skip
FRAMES = (
    TASKS | HEADS | PARTS | st.just(protocol.Handed()) | st.builds(protocol.Data, st.binary())
    | st.just(protocol.EndOfFile()) | CHUNKS | ENDS
)  # fmt: skip


@settings(max_examples=60)
@given(st.lists(FRAMES, max_size=4))
def test_what_one_process_says_is_what_the_other_one_hears(frames: list[Any]) -> None:
    pipe = io.BytesIO(b"".join(map(protocol.encode, frames)))
    assert [protocol.read(pipe) for _ in frames] == frames
    assert protocol.read(pipe) is None


@settings(max_examples=60)
@given(FRAMES, st.data())
def test_a_frame_that_is_cut_off_is_no_frame(frame: Any, data: st.DataObject) -> None:
    whole = protocol.encode(frame)
    assert protocol.read(io.BytesIO(whole[: data.draw(st.integers(0, len(whole) - 1))])) is None


def test_a_frame_of_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="no frame of the kind"):
        protocol.decode(b"?", b"{}", b"")
