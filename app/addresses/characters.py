"""Invisible characters, unusual spaces and wide forms, as copied text often has them. Pure, no I/O."""

import unicodedata
from functools import lru_cache

_SPACES = "\t\n\v\f\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
_SPACES += "\u2028\u2029\u202f\u205f\u3000"
# Marks for direction, line breaks and byte order. Joiners (U+200C, U+200D), variation selectors and tags are kept:
# letters and emoji of a name need them.
_MARKS = "\xad\u061c\u180e\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2061\u2062\u2063\u2064"
_MARKS += "\u2066\u2067\u2068\u2069\u206a\u206b\u206c\u206d\u206e\u206f\ufeff\ufff9\ufffa\ufffb"
_AROUND = _SPACES + _MARKS

# Unicode's Default_Ignorable_Code_Point beyond the category Cf, which the standard library does not know by name.
_IGNORABLE = frozenset({0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2065, 0x3164, 0xFFA0})
_IGNORABLE_RANGES = (range(0x180B, 0x1810), range(0xFE00, 0xFE10), range(0xFFF0, 0xFFF9), range(0xE0000, 0xE1000))

_LIKE_CATEGORY = {"Zs": " ", "Pd": "-"}
# Characters that look like a sign of a phone number, and that NFKC does not change into it.
_LOOKS_LIKE = str.maketrans(
    {"\u2044": "/", "\u2215": "/", "\u2795": "+", "\u2800": " "} | dict.fromkeys("\u02d7\u2043\u2212\u2796\u30fc", "-")
)


def trimmed(text: str) -> str:
    """Text without the white space and the invisible marks around it."""
    return text.strip() if text.isascii() else text.strip(_AROUND)


def has_invisible(text: str) -> bool:
    return not text.isascii() and any(is_invisible(sign) for sign in text)


def is_invisible(sign: str) -> bool:
    """Whether a character is invisible when displayed: category Cf, and what Unicode calls ignorable."""
    code = ord(sign)
    return (
        unicodedata.category(sign) == "Cf"
        or code in _IGNORABLE
        or any(code in ignorable for ignorable in _IGNORABLE_RANGES)
    )


def plain(text: str) -> str:
    """A number's text in ASCII as far as it looks like ASCII: digits of any script, spaces, hyphens, brackets."""
    return text if text.isascii() else "".join(map(_plain, text)).strip()


@lru_cache(maxsize=1_024)
def _plain(sign: str) -> str:
    if sign.isascii():
        return sign
    if is_invisible(sign):
        return ""
    category = unicodedata.category(sign)
    if category == "Nd":
        return str(unicodedata.decimal(sign))
    if category in _LIKE_CATEGORY:
        return _LIKE_CATEGORY[category]
    folded = unicodedata.normalize("NFKC", sign)
    # A footnote mark or a circled digit is no digit of the number, and an ellipsis is the end of a number cut off.
    if len(folded) != 1 or folded.isdecimal():
        return sign
    return folded.translate(_LOOKS_LIKE) if folded == sign else _plain(folded)
