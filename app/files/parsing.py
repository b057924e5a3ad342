"""Reads a file's bytes as records: decompressed, decoded, cut into lines, read as CSV or NDJSON. Pure, as a stream.

Only the present line is in memory, and the lines after a quote that is still open.
"""

import codecs
import csv
import io
import itertools
import re
import zlib
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson

from app import sheets
from app.files import columns
from app.records import ImportStopReason

LINE_CHARACTERS_MAX = 16 * 1024 * 1024
"""Of a line, and of a cell. A longer one ends the import, because it is unknown where the next row begins."""
RECORD_LINES_MAX = 70_000
"""No valid cell has more characters. So a quote that is still open after this number was probably forgotten."""
BLANK_ROWS_MAX = 1_100_000
"""In a row. A sheet of Excel has 1,048,576 rows, and may be saved with all of them."""
REREAD_CHARACTERS_MIN = 64 * 1024 * 1024
REREAD_SHARE_MAX = 4
"""The most text that is read again because of quotes that never close: this multiple of the text, or the minimum."""
INFLATED_BYTES_MAX = 8 * 1024**3
"""A list of 5,000,000 people is about 1 GiB."""
RATIO_MAX = 200
"""Lists of people compress to a tenth. A file that compresses to less than 1/200 was made to fill a disk."""
RATIO_FROM_BYTES = 64 * 1024 * 1024
PIECE_BYTES = 256 * 1024
DELIMITERS = ",;\t"
HEADER_DELIMITERS_MAX = 10 * columns.COLUMNS_MAX
"""In the first line, including those in quotes. A line with more is not a header, and is not parsed."""
_GZIP_MAGIC = b"\x1f\x8b"
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
"""The first bytes of .xlsx and .ods files, as of all zip archives, and of .xls files."""
# A quote or a line end cannot be a delimiter.
_SEPARATOR_HINT = re.compile(r'sep=([^"\r\n])\s*', re.IGNORECASE)
# Encodings that common programs write, by the names of Python's codecs. Others (idna, unicode_escape) are not for
# files.
_ENCODINGS = re.compile(
    r"utf-?8(-sig)?|utf-?16(-le|-be)?|utf-?32(-le|-be)?|ascii|cp\d{3,4}|iso8859-\d{1,2}|latin-?1|koi8-[rtu]|mac-\w+|"
    r"gbk|gb2312|gb18030|big5(hkscs)?|shift_jis(_2004|x0213)?|euc_(jp|kr|jis_2004|jisx0213)|johab|hz|tis-620|ptcp154|"
    r"iso2022_(jp|kr)(_\w+)?|kz1048|hp-roman8"
)


class FileProblem(Exception):  # noqa: N818 - the name describes a file
    """The file cannot be read any further. What was read before stays valid."""

    def __init__(self, message: str, reason: ImportStopReason = ImportStopReason.FILE) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Record:
    """A row as it is in the file."""

    line_number: int
    """The line on which it begins. The first line of the file is 1."""
    last_line: int
    values: Any
    """The cells of CSV, the object of NDJSON; None if there is none."""
    text: str
    problem: str = ""
    """Why it could not be read."""


def known_encoding(name: str) -> str | None:
    """The codec of that name; None if there is none for text files."""
    try:
        codec = codecs.lookup(name)
    except (LookupError, ValueError):
        return None
    return (
        codec.name if _ENCODINGS.fullmatch(codec.name.replace("_", "-")) or _ENCODINGS.fullmatch(codec.name) else None
    )


# ---------------------------------------------------------------- bytes


def inflated(pieces: Iterable[bytes], *, is_gzip: bool) -> Iterator[bytes]:
    """The file's bytes, decompressed if it is declared as gzip or begins like a gzip file.

    Raises:
        FileProblem: it is not gzip, ends in the middle, or exceeds the limits.
    """
    source = iter(pieces)
    head = b""
    while len(head) < len(_GZIP_MAGIC) and (piece := next(source, b"")):
        head += piece
    given = itertools.chain([head], source)
    made = 0
    for part in _out_of_gzip(given) if is_gzip or head.startswith(_GZIP_MAGIC) else given:
        made += len(part)
        if made > INFLATED_BYTES_MAX:
            raise FileProblem("The file is too large after decompression.", ImportStopReason.TOO_LARGE)
        yield part


def _out_of_gzip(pieces: Iterable[bytes]) -> Iterator[bytes]:
    taken = made = 0
    machine, is_open = zlib.decompressobj(zlib.MAX_WBITS | 16), False
    for piece in pieces:
        taken += len(piece)
        # concatenated gzip files are one file, and it may end with zeros
        rest = piece if is_open else piece.lstrip(b"\0")
        while rest:
            is_open = True
            try:
                part = machine.decompress(rest, PIECE_BYTES)
            except zlib.error:
                raise FileProblem(
                    "The file is declared as gzip or begins like it, but cannot be decompressed."
                ) from None
            made += len(part)
            if made > RATIO_FROM_BYTES and made > taken * RATIO_MAX:
                raise FileProblem("The file is too large after decompression.", ImportStopReason.TOO_LARGE)
            if part:
                yield part
            rest = machine.unconsumed_tail
            if machine.eof:
                rest = machine.unused_data.lstrip(b"\0")
                machine, is_open = zlib.decompressobj(zlib.MAX_WBITS | 16), False
    if is_open:
        raise FileProblem("The gzip file ends in the middle. Compress it again.")


# ---------------------------------------------------------------- text


class _Undecodable(Exception):  # noqa: N818 - becomes a FileProblem with the line's number
    pass


def decoded(pieces: Iterable[bytes], encoding: str | None) -> Iterator[str]:
    """The text of a file: in UTF-8, in the encoding of a byte order mark, or in the given one. Nothing is guessed.

    Args:
        pieces: of the file.
        encoding: a name from `known_encoding`.

    Raises:
        FileProblem: the mark and the given encoding differ, or the file is not text.
    """
    source = iter(pieces)
    head = b""
    while len(head) < len(codecs.BOM_UTF32_LE) and (piece := next(source, b"")):
        head += piece
    mark, codec = _codec(head, encoding)
    decoder = codecs.getincrementaldecoder(codec)("strict")
    for piece in itertools.chain([head[len(mark) :]], source, [b""]):
        state = decoder.getstate()
        try:
            text = decoder.decode(piece, final=not piece)
        except UnicodeDecodeError as error:
            decoder.setstate(state)
            yield decoder.decode(piece[: max(0, error.start - len(state[0]))])
            raise _Undecodable(_shown(codec)) from None
        if text:
            yield text


def _codec(head: bytes, encoding: str | None) -> tuple[bytes, str]:
    """The byte order mark of the file, which is not part of its text, and how to read what follows."""
    if head.startswith(_WORKBOOKS):
        raise FileProblem("Line 1 is not text: the file is a workbook or an archive. Save the sheet as CSV.")
    mark, marked = next(((mark, codec) for mark, codec in _MARKS if head.startswith(mark)), (b"", ""))
    named = (encoding or "").removesuffix("-sig")
    if not marked.startswith(named) and marked:
        raise FileProblem(
            f"The file has the byte order mark of {marked.upper()}, but encoding is {encoding}. Leave encoding out."
        )
    if head and not marked and named in {"utf-16", "utf-32"}:
        raise FileProblem(
            f"Line 1: {named.upper()} needs a byte order mark, and the file has none. Use {named}-le or {named}-be."
        )
    return mark, marked or named or "utf-8"


def _shown(codec: str) -> str:
    return codec.removesuffix("-le").removesuffix("-be").upper()


class _Endless(Exception):  # noqa: N818 - becomes a row that cannot be read
    pass


class Lines:
    """The lines of a text with their ends, numbered as in an editor: at LF, CR and CR LF."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._texts = iter(texts)
        self._ready: deque[str] = deque()
        self._carried: list[str] = []
        self._carried_characters = 0
        self.number = 0
        """How many were read."""
        self.taken: list[str] = []
        """The lines since `mark`."""
        self._taken_characters = 0
        self._read_characters = 0
        self._reread_characters = 0

    def __iter__(self) -> "Lines":
        return self

    def __next__(self) -> str:
        if len(self.taken) >= RECORD_LINES_MAX or self._taken_characters > LINE_CHARACTERS_MAX:
            raise _Endless
        line = self._ready.popleft() if self._ready else self._more()
        self.number += 1
        self.taken.append(line)
        self._taken_characters += len(line)
        return line

    def mark(self) -> None:
        self.taken.clear()
        self._read_characters += self._taken_characters
        self._taken_characters = 0

    def push_back(self, lines: list[str]) -> None:
        """Read the last lines again.

        Raises:
            FileProblem: this happens so often that the file would be read for hours.
        """
        characters = sum(map(len, lines))
        self._reread_characters += characters
        if self._reread_characters > max(REREAD_CHARACTERS_MIN, REREAD_SHARE_MAX * self._read_characters):
            raise FileProblem(
                f"Line {self.number - len(lines)}: many rows have a quote that is never closed. Write a quote "
                "within a cell twice, and put the cell in quotes."
            )
        self._ready.extendleft(reversed(lines))
        self.number -= len(lines)
        self._taken_characters -= characters

    def _more(self) -> str:
        while True:
            try:
                text = next(self._texts, None)
            except _Undecodable as problem:
                raise FileProblem(
                    f"Line {self.number + 1} is not valid {problem}. Save the file as UTF-8, or give its "
                    "encoding, such as windows-1252."
                ) from None
            if text is None:
                if not self._carried:
                    raise StopIteration
                return self._split("", "")
            # a CR at the end waits for the LF that may follow it
            end = max(text.rfind("\n"), text.rfind("\r", 0, len(text) - 1)) + 1
            if end:
                return self._split(text[:end], text[end:])
            self._carried.append(text)
            self._carried_characters += len(text)
            if self._carried_characters > LINE_CHARACTERS_MAX:
                raise FileProblem(
                    f"Line {self.number + 1} is longer than {LINE_CHARACTERS_MAX:,} characters.",
                    ImportStopReason.TOO_LARGE,
                )

    def _split(self, ended: str, rest: str) -> str:
        whole = "".join([*self._carried, ended])
        self._carried = [rest] if rest else []
        self._carried_characters = len(rest)
        self._ready.extend(io.StringIO(whole, newline=""))
        return self._ready.popleft()


# ---------------------------------------------------------------- records


def csv_header(lines: Lines, mapping: Mapping[str, str]) -> tuple[Record, str]:
    """The names of the columns, and the delimiter with which most of them are known.

    Raises:
        FileProblem: there is no header.
    """
    hinted = ""
    for line in lines:
        hint = _SEPARATOR_HINT.fullmatch(line)  # Excel's own way to name the delimiter, in a line before the header
        if hint and lines.number == 1:
            hinted = hint[1]
        elif line.strip():
            break
        lines.mark()
    else:
        raise FileProblem("The file is empty. Its first line must have the names of the columns.")
    if "\0" in line:
        raise FileProblem(
            f"Line {lines.number} has NUL characters. If it is UTF-16 without a byte order mark, give its "
            "encoding, such as utf-16-le."
        )
    lines.push_back([line])
    delimiter = hinted or guessed_delimiter(line, mapping)
    is_known = _known_columns(line, delimiter, mapping)[0] > 0
    if not is_known and max(map(line.count, {delimiter, *DELIMITERS})) > HEADER_DELIMITERS_MAX:
        raise FileProblem(
            f"Line {lines.number + 1}, the header, has too many columns: a file has at most {columns.COLUMNS_MAX:,}."
        )
    header = next(csv_records(lines, delimiter))
    if header.problem:
        raise FileProblem(f"Line {header.line_number}, the header, cannot be read. {header.problem}")
    return replace(header, values=[sheets.restored(name) for name in header.values]), delimiter


def guessed_delimiter(line: str, mapping: Mapping[str, str]) -> str:
    """The delimiter that gives the most known names in the header, then the most names."""
    return max(DELIMITERS, key=lambda sign: _known_columns(line, sign, mapping))


def _known_columns(line: str, delimiter: str, mapping: Mapping[str, str]) -> tuple[int, int]:
    if line.count(delimiter) > HEADER_DELIMITERS_MAX:
        return 0, 0
    cells = next(_csv_reader([line], delimiter), [])
    names = [columns.plain(sheets.restored(cell)) for cell in cells]
    known = sum(name in columns.NAMES or name in mapping for name in names)
    return known + 2 * (columns.added(cells, mapping) is not None), len(cells)


def csv_records(lines: Lines, delimiter: str) -> Iterator[Record]:
    """Rows of cells. If the quotes of one are wrong, its first line is the bad row and the next line is a new row.

    Otherwise one additional quote would hide every row up to the next quote.
    """
    reader = _csv_reader(lines, delimiter, strict=True)
    while True:
        lines.mark()
        first = lines.number + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except (csv.Error, _Endless) as error:
            line, *others = lines.taken
            lines.push_back(others)
            reader = _csv_reader(lines, delimiter, strict=True)
            yield Record(first, first, None, line, _quoting(str(error)))
            continue
        taken = lines.taken
        yield Record(first, lines.number, cells, taken[0] if len(taken) == 1 else "".join(taken))


def _csv_reader(lines: Iterable[str], delimiter: str, *, strict: bool = False) -> Iterator[list[str]]:
    """Every reader of the csv module is created here: by default the module refuses cells over 131,072 characters."""
    csv.field_size_limit(LINE_CHARACTERS_MAX)
    return csv.reader(lines, delimiter=delimiter, strict=strict)


def without_blanks(records: Iterable[Record]) -> Iterator[Record]:
    """The records that are not blank.

    Raises:
        FileProblem: there are more blank rows than a sheet has.
    """
    blanks = 0
    for record in records:
        # an object is never blank: one without members is rejected because it has no address
        if record.problem or isinstance(record.values, dict) or (record.values and "".join(record.values).strip()):
            blanks = 0
            yield record
            continue
        blanks += 1
        if blanks > BLANK_ROWS_MAX:
            raise FileProblem(
                f"Line {record.line_number}: more than {BLANK_ROWS_MAX:,} rows before it are empty. Delete them.",
                ImportStopReason.TOO_LARGE,
            )


def _quoting(error: str) -> str:
    if not error or "end of data" in error or "field limit" in error:
        return "The row has a cell with an open quote that is never closed."
    return "The quotes of the row do not match. Write a quote within a quoted cell twice."


def ndjson_records(lines: Lines) -> Iterator[Record]:
    """Objects, one per line."""
    for line in lines:
        lines.mark()
        yield ndjson_record(lines.number, line)


def ndjson_record(line_number: int, line: str) -> Record:
    """The object on a line; a record without values if the line is blank."""
    if not line.strip():
        return Record(line_number, line_number, None, line)
    try:
        values = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        return Record(line_number, line_number, None, line, f"The line is not valid JSON: {error.msg}.")
    problem = "" if isinstance(values, dict) else "The line is not a JSON object."
    return Record(line_number, line_number, None if problem else values, line, problem)
