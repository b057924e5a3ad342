"""JSON, judged on its bytes before it becomes objects: an object takes 30 times its text, and time for each value."""

import re
from itertools import accumulate
from typing import Any

import orjson

from app import bounds
from app.errors import BadUserInput, LimitExceeded

SPARE_TEXT_BYTES_MAX = 2 * 1024
"""The value of a text this short takes so little memory that it is not estimated."""
OBJECT_BYTES = 200
ARRAY_BYTES = 120
VALUE_BYTES = 64
"""About what CPython takes for an object, an array, and any other value besides its text."""
_STRUCTURE = b'",[]{}'
_OTHERS = bytes(set(range(256)) - set(_STRUCTURE))
_STEPS = bytes({"[": 1, "{": 1, "]": 255, "}": 255}.get(chr(byte), 0) for byte in range(256))
"""One level up or down for each byte; 255 is -1 as a signed byte."""
_WIDE = [bytes([byte]) for byte in range(0xF0, 0xF5)]
_WIDE_ESCAPE = re.compile(rb"\\u[dD][89abAB]")
"""What begins a character that makes its string take four bytes for each."""


def decode(text: bytes | str, *, depth_max: int | None = None, values_max: int | None = None) -> Any:
    """The value of a JSON text.

    Args:
        text: as it came.
        depth_max: how many arrays and objects may be inside each other. Default: the setting.
        values_max: how many commas and opening brackets it may have outside of strings, which is about as many values.
            Default: the setting.

    Raises:
        LimitExceeded: it has too many values.
        BadUserInput: it is nested too deep, or is not JSON.
    """
    settings = bounds.now()
    _judge(
        text,
        settings.json_depth_max if depth_max is None else depth_max,
        settings.json_values_max if values_max is None else values_max,
    )
    try:
        return orjson.loads(text)  # refuses invalid UTF-8 and lone surrogates
    except orjson.JSONDecodeError as error:
        raise BadUserInput(f"Invalid JSON: {error.msg}.") from None


def decoded_bytes(text: bytes | str) -> int:
    """About how much memory the value of a JSON text takes: rather too much, and 0 for a short text."""
    if len(text) <= SPARE_TEXT_BYTES_MAX:
        return 0
    text = _encoded(text)
    size, objects, arrays, commas = len(text), text.count(b"{"), text.count(b"["), text.count(b",")
    if (objects + arrays + commas) * 16 > size:  # many may be in strings, where they take no more than their text
        structure = _structure(text, size)
        if structure is not None:
            objects, arrays, commas = map(structure.count, (b"{", b"[", b","))
    return size * _width(text) + objects * OBJECT_BYTES + arrays * ARRAY_BYTES + commas * VALUE_BYTES


def _width(text: bytes) -> int:
    """How many bytes each character takes in a string that has the widest character of the text."""
    if text.isascii() and b"\\u" not in text:
        return 1
    # byte by byte: of 8 MiB it takes 5 ms, and one expression for all of them 100 ms
    return 4 if any(byte in text for byte in _WIDE) or _WIDE_ESCAPE.search(text) else 2


def _encoded(text: bytes | str) -> bytes:
    return text.encode(errors="surrogatepass") if isinstance(text, str) else text


def _judge(text: bytes | str, depth_max: int, values_max: int) -> None:
    # Those in strings are counted too. Mostly this is few all the same, and counting costs next to nothing.
    if isinstance(text, str):
        brackets, commas = text.count("{") + text.count("["), text.count(",")
    else:
        brackets, commas = text.count(b"{") + text.count(b"["), text.count(b",")
    if brackets <= depth_max and brackets + commas <= values_max:
        return
    structure = _structure(_encoded(text), values_max)
    if structure is None or sum(map(structure.count, (b"{", b"[", b","))) > values_max:
        raise LimitExceeded(f"The JSON text has too many values: at most {values_max:,}.")
    if max(accumulate(memoryview(structure.translate(_STEPS, b",")).cast("b")), default=0) > depth_max:
        raise BadUserInput(f"The JSON text is nested too deep: at most {depth_max} levels.")


def _structure(text: bytes, values_max: int) -> bytes | None:
    """The brackets and commas outside of strings; None if there are so many strings that the values are too many.

    In JSON, a backslash is only in strings and always begins an escape. In other text this sees the same as the decoder
    up to the first error, where that one ends.
    """
    if b"\\" in text:
        text = text.replace(b"\\\\", b"").replace(b'\\"', b"")
    text = text.translate(None, _OTHERS)
    # A member of an object has two strings.
    if text.count(b'"') > 4 * (values_max + 1):
        return None
    return b"".join(text.split(b'"')[::2])
