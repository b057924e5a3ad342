"""Telephone numbers whose reading is certain, read without phonenumbers: most of a list, in a tenth of the time.

phonenumbers reads such a number from its digits alone. What it would do is repeated here for the plain cases; all other
texts are left to it, and may be numbers too. Pure, no I/O.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

import phonenumbers
from phonenumbers import PhoneMetadata

_SHORT_CHARACTERS = 100
"""Longer texts take the long way: phonenumbers refuses one of over 250 characters, whatever is in it."""
# The first three digits after the + name the country.
_E164 = re.compile(r"\+([1-9][0-9]{2})[0-9]{4,14}")


@dataclass(frozen=True, slots=True)
class _Numbering:
    """The numbers of a country code, or of one region that has it."""

    code: str
    lengths: frozenset[int]
    """Of complete numbers, without the country code."""
    prefix: re.Pattern[str] | None
    """What may be a national prefix, which is perhaps dropped or replaced."""
    abroad: re.Pattern[str] | None
    """What may be dialed before a country code."""
    pattern: re.Pattern[str]
    """Of numbers without a prefix."""


def form(text: str, region: str | None) -> str | None:
    """The E.164 form of a number, if it is certain; None if phonenumbers has to read it.

    Args:
        text: ASCII digits, with spaces and ( ) . / - between them, and perhaps + before them.
        region: the ISO 3166 region of numbers without a country code.
    """
    if is_settled(text):
        return text
    if len(text) > _SHORT_CHARACTERS:
        return None
    digits = "".join(re.findall("[0-9]+", text))
    found = f"+{digits}" if text[:1] == "+" else _abroad(digits, region) or _national(digits, region)
    return found if found is not None and is_settled(found) else None


def is_settled(text: str) -> bool:
    """Whether a text is a number in E.164 that phonenumbers would only read back.

    It would change nothing in a number that has no leading zero, begins neither like a national prefix nor with its
    country code once more, and has a possible length.
    """
    match = _E164.fullmatch(text)
    if match is None:
        return False
    numbering = _of_code(match[1])
    if numbering is None:
        return False
    national = text[1 + len(numbering.code) :]
    if len(national) not in numbering.lengths or national.startswith(("0", numbering.code)):
        return False
    return _length_of_prefix(numbering, national) == 0


def _abroad(digits: str, region: str | None) -> str | None:
    """After 00, if calls from the region to other countries begin so and not otherwise."""
    if not digits.startswith("00"):
        return None
    numbering = None if region is None else _of_region(region)
    return f"+{digits[2:]}" if numbering and numbering.abroad and numbering.abroad.pattern == "00" else None


def _national(digits: str, region: str | None) -> str | None:
    """As it is dialed in the region, if the digits cannot mean anything else."""
    numbering = None if region is None else _of_region(region)
    if numbering is None or digits.startswith((numbering.code, f"0{numbering.code}", "00")):
        return None
    if numbering.abroad is not None and numbering.abroad.match(digits):
        return None
    length = _length_of_prefix(numbering, digits)
    if length is None:
        return None
    rest = digits[length:]
    if len(rest) not in numbering.lengths or (length and numbering.pattern.fullmatch(rest) is None):
        return None
    return f"+{numbering.code}{rest}"


def _length_of_prefix(numbering: _Numbering, digits: str) -> int | None:
    """The digits that may be a national prefix; None if they may be something else too, such as a carrier's number."""
    match = numbering.prefix and numbering.prefix.match(digits)
    if match is None:
        return 0
    return match.end() if match.lastindex is None else None


@lru_cache(maxsize=1_000)
def _of_code(digits: str) -> _Numbering | None:
    """The numbering of the country code that these three digits begin with; None if there is none."""
    for length in range(1, len(digits) + 1):
        code = int(digits[:length])
        if code in phonenumbers.COUNTRY_CODE_TO_REGION_CODE:
            region = phonenumbers.region_code_for_country_code(code)
            return _of(PhoneMetadata.metadata_for_region_or_calling_code(code, region))
    return None


@lru_cache(maxsize=512)
def _of_region(region: str) -> _Numbering | None:
    return _of(PhoneMetadata.metadata_for_region(region))


def _of(metadata: PhoneMetadata | None) -> _Numbering | None:
    known = None if metadata is None else metadata.general_desc
    if metadata is None or known is None or known.national_number_pattern is None:
        return None
    prefix, abroad = metadata.national_prefix_for_parsing, metadata.international_prefix
    return _Numbering(
        code=str(metadata.country_code),
        lengths=frozenset(known.possible_length) - frozenset(known.possible_length_local_only),
        prefix=re.compile(prefix) if prefix else None,
        abroad=re.compile(abroad) if abroad else None,
        pattern=re.compile(known.national_number_pattern),
    )
