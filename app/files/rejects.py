"""The file of an import's rejected rows: like the imported file, with two more columns for line and reason. Pure.

It can be corrected and imported. An import ignores the two columns, and rejects a row again that has only these.
"""

import csv
import io
import re
import unicodedata
from collections.abc import Sequence

import orjson

from app import sheets
from app.files import parsing
from app.files.columns import LINE, REASON
from app.files.parsing import Lines
from app.records import FileLayout, KeptRow

BYTE_ORDER_MARK = "\ufeff"
"""So that Excel reads it as UTF-8."""
DELIMITER = ","
"""Used if the file's own delimiter is not known."""
SUFFIX = "-rejects"
STEM_CHARACTERS_MAX = 60
"""Of a file's name: on most disks a name has at most 255 bytes, and a character has up to four."""
_ENDS = re.compile(r"(\.(csv|tsv|tab|txt|ndjson|jsonl|json))?(\.(gz|gzip))?\Z", re.IGNORECASE)
_NO_NAME = re.compile(r'[<>:"|?*]')
_ADDED_MEMBERS = re.compile(rf'"{LINE}"\s*:\s*\d+\s*,\s*"{REASON}"\s*:\s*("(?:[^"\\]|\\.)*")\s*\}}')


def file_name(layout: FileLayout) -> str:
    """The imported file's name with -rejects before its end: people-rejects.csv of people.csv.gz."""
    # without characters that some systems do not allow in a name
    name = re.split(r"[/\\]", layout.file_name)[-1]
    name = "".join(sign for sign in name if not unicodedata.category(sign).startswith(("C", "Zl", "Zp")))
    stem = _NO_NAME.sub("_", _ENDS.sub("", name)).strip(" .")
    stem = stem[:STEM_CHARACTERS_MAX].rstrip(" .").removesuffix(SUFFIX) or "import"
    return f"{stem}{SUFFIX}.{'ndjson' if layout.is_ndjson else 'csv'}"


def head(layout: FileLayout) -> bytes:
    """The beginning of the file."""
    if layout.is_ndjson:
        return b""
    delimiter = layout.delimiter or DELIMITER
    header = _csv(
        [[*(sheets.protected(name) for name in layout.column_names or () if name is not None), LINE, REASON]], delimiter
    )
    # Excel does not see the byte order mark behind such a line, so it is there only if an import needs it.
    hint = "" if parsing.guessed_delimiter(next(Lines([header])), {}) == delimiter else f"sep={delimiter}\r\n"
    return f"{BYTE_ORDER_MARK}{hint}{header}".encode()


def body(layout: FileLayout, rows: Sequence[KeptRow]) -> bytes:
    """The lines of some rows."""
    if layout.is_ndjson:
        return "".join(map(_json_line, rows)).encode()
    delimiter = layout.delimiter or DELIMITER
    names = layout.column_names or ()
    return _csv([_cells(row, names, delimiter) for row in rows], delimiter).encode()


def reason_of(text: str) -> str:
    """The message in a reason that this module wrote. The row follows it."""
    return text.partition("\n")[0]


def _reason(row: KeptRow, earlier: str | None = None) -> str:
    """Why the row was rejected, and the row itself if it is not elsewhere in the file.

    Args:
        row: which.
        earlier: the reason in a row that nobody has corrected, to keep the row in it.
    """
    message = _message(row)
    if earlier is None:
        shown = row.text if row.is_whole else f"Take it from line {row.line_number} of the file. It begins: {row.text}"
    else:
        shown = earlier.partition("\n")[2]
    return f"{message}\n{shown}" if shown else message


def _message(row: KeptRow) -> str:
    """On one line, because the row may follow it."""
    return row.message.replace("\r", " ").replace("\n", " ")


# ---------------------------------------------------------------- CSV


def _csv(rows: Sequence[Sequence[str]], delimiter: str) -> str:
    written = io.StringIO(newline="")
    csv.writer(written, delimiter=delimiter).writerows(rows)
    return written.getvalue()


def _cells(row: KeptRow, names: Sequence[str | None], delimiter: str) -> list[str]:
    """The row's cells in their columns, line and reason, then the cells without a column in the header."""
    cells = _read(row, delimiter) if names else None
    if cells is None:
        blank = [""] * sum(name is not None for name in names)
        return [*blank, str(row.line_number), sheets.protected(_reason(row))]
    cells += [""] * (len(names) - len(cells))
    own = [cell for name, cell in zip(names, cells, strict=False) if name is not None]
    added = [cell for name, cell in zip(names, cells, strict=False) if name is None]
    beyond = cells[len(names) :] if any(cell.strip() for cell in cells[len(names) :]) else []
    is_mended = any(cell.strip() for cell in own)
    reason = _message(row) if is_mended else _reason(row, sheets.restored(added[-1]) if added else "")
    return [*map(sheets.protected, own), str(row.line_number), sheets.protected(reason), *map(sheets.protected, beyond)]


def _read(row: KeptRow, delimiter: str) -> list[str] | None:
    """The cells; None if the row cannot be read, or is not stored as it is in the file."""
    if not row.is_whole:
        return None
    record = next(parsing.csv_records(Lines([row.text]), delimiter), None)
    return None if record is None or record.problem else list(record.values)


# ---------------------------------------------------------------- NDJSON


def _json_line(row: KeptRow) -> str:
    text = _object(row)
    if text is None:
        return f"{_spliced('{}', row.line_number, _reason(row))}\n"
    text, earlier = _without_added(text)
    is_mended = bool(text[1:-1].strip())
    return f"{_spliced(text, row.line_number, _message(row) if is_mended else _reason(row, earlier))}\n"


def _without_added(text: str) -> tuple[str, str]:
    """The object without an earlier line and reason, and that reason.

    The text is cut and joined, not parsed: numbers of any length stay as they are.
    """
    place = text.rfind(f'"{LINE}"')
    found = _ADDED_MEMBERS.fullmatch(text, place) if place >= 0 else None
    if found is None:
        return text, ""
    return f"{text[:place].rstrip().removesuffix(',')}}}", orjson.loads(found[1])


def _object(row: KeptRow) -> str | None:
    """The text of the row's object; None if it is not an object, or is not stored as it is in the file."""
    if not row.is_whole:
        return None
    try:
        value = orjson.loads(row.text)
    except orjson.JSONDecodeError:
        return None
    return row.text.strip() if isinstance(value, dict) else None


def _spliced(text: str, line_number: int, reason: str) -> str:
    """The object's text with the two members added at its end."""
    members = text[:-1].rstrip()
    comma = "" if members == "{" else ","
    return f'{members}{comma}"{LINE}":{line_number},"{REASON}":{orjson.dumps(reason).decode()}}}'
