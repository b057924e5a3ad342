"""Whatever bytes a file has, it is read, or refused with a reason: the process that reads it never fails."""

import csv
import gzip
import io
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app import validation
from app.files import columns, parsing, protocol, worker
from app.records import ImportStopReason

PLAIN_TASK = protocol.Task(
    is_ndjson=False, is_gzip=False, for_postgres=False, encoding=None, region=None, mapping={}, extra_kept=False,
    compares_addresses=False, updates=False, settled_line=0, settled_digest="",
)  # fmt: skip
CSV_MODULE_LIMIT = 131_072
"""Characters of a cell that Python's csv takes unless it is told otherwise."""
PHONE = "+49 30 123456"


@pytest.fixture(autouse=True)
def _limit_of_a_new_process() -> Iterator[None]:
    """The limit is the process's: one that an earlier test raised would hide that nobody raises it."""
    before, region = csv.field_size_limit(CSV_MODULE_LIMIT), validation.default_region()
    yield
    csv.field_size_limit(before)
    validation.configure(default_region=region)


def read(data: bytes, task: protocol.Task = PLAIN_TASK) -> tuple[list[protocol.Chunk], protocol.Ended]:
    """What the process says of a file."""
    frames: list[protocol.ToWorker] = [task, protocol.Data(data), protocol.EndOfFile()]
    target = io.BytesIO()
    worker.run(io.BytesIO(b"".join(map(protocol.encode, frames))), target)
    target.seek(0)
    found: list[Any] = list(iter(lambda: protocol.read(target), None))
    assert all(isinstance(frame, protocol.Chunk) for frame in found[:-1])
    assert isinstance(found[-1], protocol.Ended)
    return found[:-1], found[-1]


def taken(chunks: list[protocol.Chunk]) -> int:
    return sum(len(chunk.keys) for chunk in chunks)


# ---------------------------------------------------------------- long cells


@pytest.mark.slow
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("is_quoted", [False, True], ids=["bare", "quoted"])
@pytest.mark.parametrize("length", [CSV_MODULE_LIMIT - 1, CSV_MODULE_LIMIT + 1, 3_000_000])
def test_a_header_with_a_long_cell_is_read_like_any_other(length: int, delimiter: str, is_quoted: bool) -> None:
    long = f'"{"x" * length}"' if is_quoted else "x" * length
    for cells in ([long, "phone"], ["phone", long]):
        values = [PHONE if cell == "phone" else "" for cell in cells]
        chunks, ended = read(f"{delimiter.join(cells)}\n{delimiter.join(values)}\n".encode())
        assert (taken(chunks), ended.reason) == (1, None)


@pytest.mark.parametrize("line", range(4))
def test_a_long_cell_is_taken_or_refused_in_whatever_line_it_is(line: int) -> None:
    rows = ["name,phone", f"a,{PHONE}", f"b,{PHONE}", f"c,{PHONE}"]
    rows[line] = f"{rows[line]},{'x' * (CSV_MODULE_LIMIT + 1)}"
    chunks, ended = read("\n".join(rows).encode())
    assert ended.reason is None
    assert (taken(chunks), sum(len(chunk.rejects) for chunk in chunks)) == ((3, 0) if line == 0 else (2, 1))


@pytest.mark.parametrize("text", ["x" * 1_000_000, '"' + "x" * 1_000_000, "x," * 500_000, '"",' * 400_000])
def test_a_first_line_that_is_no_header_is_refused_with_a_reason(text: str) -> None:
    chunks, ended = read(f"{text}\n{PHONE}\n".encode())
    assert (chunks, ended.reason) == ([], ImportStopReason.FILE)
    assert ended.message.startswith("Line 1")
    assert len(ended.message) < 1_000


def test_a_line_beyond_the_limit_is_too_large() -> None:
    for text in ("x" * (parsing.LINE_CHARACTERS_MAX + 1), '"' + "x\n" * (parsing.LINE_CHARACTERS_MAX // 2 + 1)):
        _, ended = read(text.encode())
        assert ended.reason in {ImportStopReason.TOO_LARGE, ImportStopReason.FILE}


@pytest.mark.parametrize("sign", ['"', "\r", "\n", "\0", " ", "é", "😀", "|", "'", "\ufeff"])
def test_whatever_a_file_names_as_its_separator_it_is_read_or_refused(sign: str) -> None:
    chunks, ended = read(f"sep={sign}\nname{sign}phone\nx{sign}{PHONE}\n".encode())
    if sign in {"|", "'", "é", "😀", " "}:
        assert ended.reason is None
        assert sum(len(chunk.keys) + len(chunk.rejects) for chunk in chunks) == 1
    else:
        assert ended.message or taken(chunks)


# ---------------------------------------------------------------- deep objects


@pytest.mark.parametrize("depth", [1, 100, 253, 254, 255, 500, 1_000])
@pytest.mark.parametrize("unit", [("[", "]"), ('{"a":', "}")], ids=["lists", "objects"])
def test_a_member_that_is_nested_deeply_is_kept_or_refused(depth: int, unit: tuple[str, str]) -> None:
    line = f'{{"phone": "{PHONE}", "more": {unit[0] * depth}1{unit[1] * depth}}}\n'
    good = f'{{"phone": "{PHONE}"}}\n'
    task = replace(PLAIN_TASK, is_ndjson=True, extra_kept=True)
    chunks, ended = read((line + good).encode(), task)
    assert ended.reason is None
    assert taken(chunks) + sum(len(chunk.rejects) for chunk in chunks) == 2
    assert taken(chunks) == (2 if depth <= 253 else 1)


# ---------------------------------------------------------------- anything

NAMES = st.sampled_from(sorted(columns.NAMES))
MARKS = [
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"\xfe\xff",
    b"\xff\xfe\0\0",
    b"\0\0\xfe\xff",
    b"\x1f\x8b",
    b"sep=;\n",
    b"PK\x03\x04",
]
SCRAPS = st.sampled_from(
    [b",", b";", b"\t", b'"', b'""', b"'", b"\n", b"\r", b"\r\n", b"\0", b"\xff", b"\xc3", b"\xe2\x80\xa8", b"\x85",
     b"\x1a", b"=", b"@", b"{", b"}", b"[", b"]", b":", b"\\", b"null", b"1e999", b"-0", b'"phone":', PHONE.encode()]
)  # fmt: skip
BYTES = st.builds(
    lambda mark, parts: mark + b"".join(parts),
    st.just(b"") | st.sampled_from(MARKS),
    st.lists(SCRAPS | st.binary(max_size=30) | NAMES.map(str.encode) | st.text(max_size=10).map(
        lambda text: text.encode("utf-8", "ignore")
    ), max_size=30),
)  # fmt: skip
ENCODINGS = st.none() | st.sampled_from(
    sorted({found for name in ("utf-8", "utf-16", "utf-16-le", "utf-32", "ascii", "cp1252", "latin-1", "shift_jis",
     "gb18030", "big5", "euc_kr", "iso2022_jp", "iso2022_kr", "hz", "koi8-r", "utf-8-sig", "cp437", "johab",
     "mac-roman") if (found := parsing.known_encoding(name))})
)  # fmt: skip
TASKS = st.builds(
    protocol.Task,
    is_ndjson=st.booleans(), is_gzip=st.booleans(), for_postgres=st.booleans(), encoding=ENCODINGS,
    region=st.sampled_from([None, "DE", "US"]), mapping=st.just({}) | st.just({"x": "phone"}), extra_kept=st.booleans(),
    compares_addresses=st.booleans(), updates=st.booleans(), settled_line=st.sampled_from([0, 0, 0, 2]),
    settled_digest=st.just(""),
)  # fmt: skip


def check(data: bytes, task: protocol.Task) -> None:
    _, ended = read(data, task)
    assert (ended.reason is None) == (not ended.message)
    assert ended.reason in {None, ImportStopReason.FILE, ImportStopReason.TOO_LARGE, ImportStopReason.CONFLICT}


@settings(max_examples=400)
@given(BYTES, TASKS)
@example(b'sep="\nphone\n1\n', PLAIN_TASK)
def test_whatever_a_file_begins_with_it_is_read_or_refused(data: bytes, task: protocol.Task) -> None:
    check(data, task)


@settings(max_examples=150)
@given(BYTES, BYTES, TASKS)
def test_whatever_follows_a_header_it_is_read_or_refused(cells: bytes, rest: bytes, task: protocol.Task) -> None:
    check(b"name,phone\n" + cells + b"\n" + rest, task)
    check(gzip.compress(b"phone\n" + cells)[:-4] + rest, task)


VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES | st.text(max_size=9), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.slow
@settings(max_examples=300)
@given(st.lists(st.dictionaries(NAMES | st.text(max_size=9), VALUES, max_size=5), max_size=4), TASKS)
def test_whatever_an_object_holds_it_is_taken_or_rejected(objects: list[dict[str, Any]], task: protocol.Task) -> None:
    data = b"\n".join(orjson.dumps(value) for value in objects if _has_utf8(value))
    check(data, replace(task, is_ndjson=True, is_gzip=False, encoding=None, settled_line=0))


def _has_utf8(value: Any) -> bool:
    try:
        orjson.dumps(value)
    except TypeError:  # half a character
        return False
    return True
