"""Two telephone numbers in one text: found, so that they are not read as one. Pure, no I/O."""

import re
from collections.abc import Sequence

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumber

from app.addresses import characters

_DIGITS_MIN = 14
"""Two numbers with their area codes have at least this many digits. Most single numbers have fewer."""
_DIGITS_MAX = 34
"""Twice the longest text that phonenumbers reads. Limits the work on text that is not a number anyway."""
_OWN_DIGITS_MIN = 6
"""An area code has at most five digits, without a trunk prefix or a country code."""
_LISTED_DIGITS_MIN = 5
"""Fewer digits may be an extension, or a number in a note."""
_NO_DIGITS = re.compile(r"\D+")
_BETWEEN = re.compile(r"[^\d ()./\-]+")
_SHORTLY_LISTED = re.compile(r"\d\s*[;|&\\]+\s*\d")


def is_list(text: str) -> bool:
    """Whether the text has two numbers, separated by something that belongs to neither of them."""
    parts = _BETWEEN.split(characters.plain(text))
    return sum(len(_NO_DIGITS.sub("", part)) >= _LISTED_DIGITS_MIN for part in parts) > 1


def is_shortly_listed(text: str) -> bool:
    """Whether a sign that is used in lists only is between two digits: 030 1234567;8."""
    return _SHORTLY_LISTED.search(text) is not None


def is_complete(text: str) -> bool:
    """Whether the text has enough digits for a number with its area code."""
    return len(_NO_DIGITS.sub("", text)) >= _OWN_DIGITS_MIN


def has_second(text: str, region: str | None) -> bool:
    """Whether a slash or a bracket follows a complete number: true for 030 1234567/8, false for 0221/123456."""
    return ("/" in text or "(" in text) and any(
        ("/" in gap[0] or "(" in gap[0]) and _is_own(text[: gap.start()], region) for gap in _gaps(text)
    )


def _gaps(text: str) -> Sequence[re.Match[str]]:
    """The separators in a text that has about as many digits as two numbers."""
    if len(_NO_DIGITS.sub("", text)) > _DIGITS_MAX:
        return ()
    return [gap for gap in _NO_DIGITS.finditer(text) if gap.start() > 0 and gap.end() < len(text)]


def _is_own(text: str, region: str | None) -> bool:
    """Whether the text is a complete number, not only an area code."""
    if not is_complete(text):
        return False
    number = _parsed(text, region)
    if number is None or len(phonenumbers.national_significant_number(number)) < _OWN_DIGITS_MIN:
        return False
    # In text that is too short for a number, the trunk zero is kept, and can make it look long enough.
    return phonenumbers.is_possible_number(number) and (
        not number.italian_leading_zero or phonenumbers.is_valid_number(number)
    )


def is_pair(text: str, region: str | None, *, is_sure: bool = True) -> bool:
    """Whether the text is two numbers in a row: 030 12345 030 54321.

    Args:
        text: digits, with the usual signs between them.
        region: the ISO 3166 region of numbers without a country code.
        is_sure: whether the second must begin with a trunk prefix, since both may be one number as well.
    """
    if len(_NO_DIGITS.sub("", text)) < _DIGITS_MIN:
        return False
    for gap in _gaps(text):
        first = _parsed(text[: gap.start()], region)
        if first is None or not phonenumbers.is_valid_number(first):
            continue
        home = phonenumbers.region_code_for_number(first)
        trunk = phonenumbers.ndd_prefix_for_region(home or "", True)
        second_text = text[gap.end() :]
        if is_sure and not (trunk and second_text.startswith(trunk)):
            continue
        second = _parsed(second_text, home)
        if second is not None and phonenumbers.is_valid_number(second):
            return True
    return False


def _parsed(text: str, region: str | None) -> PhoneNumber | None:
    try:
        return phonenumbers.parse(text, region)
    except NumberParseException:
        return None
