"""Telephone numbers: how people write them, and the E.164 form they are kept in. Pure, no I/O."""

import re

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberFormat, ValidationResult

from app.addresses.refusals import InvalidAddress

# Decimal digits of any script and what people put between them. Letters are refused although phonenumbers reads
# vanity numbers: in a calling list "FLOWERS" is rarer than a note or a shifted column, and what is dialed by mistake
# belongs to somebody.
_NUMBER = re.compile(r"(?:tel:)?([+＋]?[\d\s()./\-‐-―−]*)", re.IGNORECASE)  # noqa: RUF001 - meant
_SCIENTIFIC = re.compile(r"[+-]?\d+(?:[.,]\d+)?\s*[eE]\s*[+-]?\d+")
_EXTENSION = re.compile(r"(?:#|;ext=|,|\b(?:ext|extension|x)\b|x(?=\d)).*\d", re.IGNORECASE)


def is_scientific(text: str) -> bool:
    """Whether a spreadsheet made a number in scientific notation of it (4.91512E+11), whose last digits are lost."""
    return _SCIENTIFIC.fullmatch(text.strip()) is not None


def canonical(text: str, default_region: str | None) -> str:
    match = _NUMBER.fullmatch(text)
    if match is None:
        if is_scientific(text):
            raise InvalidAddress(
                "A spreadsheet has turned the number into scientific notation and its last digits are lost; "
                "make the column text and enter it again."
            )
        if _EXTENSION.search(text):
            raise InvalidAddress("The number has an extension, which E.164 cannot hold; leave it out.")
        raise InvalidAddress("The number may contain digits, spaces and ( ) . / - only, after an optional +.")
    number_text = match[1]
    international = number_text.startswith(("+", "＋"))  # noqa: RUF001 - the wide plus of East Asian keyboards
    try:
        number = phonenumbers.parse(number_text, None if international else default_region)
    except NumberParseException as error:
        if error.error_type == NumberParseException.INVALID_COUNTRY_CODE and not international:
            raise InvalidAddress(_NO_COUNTRY) from None
        raise InvalidAddress("The number is no telephone number: its length or its country code is wrong.") from None

    # Possible, not valid: ranges are assigned faster than metadata is released.
    reason = phonenumbers.is_possible_number_with_reason(number)
    if reason == ValidationResult.IS_POSSIBLE_LOCAL_ONLY and not international:
        # A short code ("110") or a number without its area code: with the country code put before it, it would be
        # another number. Who writes the country code himself is taken at his word.
        raise InvalidAddress("The number is a short code or lacks its area code; write it with its country code, as +…")
    if reason not in {ValidationResult.IS_POSSIBLE, ValidationResult.IS_POSSIBLE_LOCAL_ONLY}:
        raise InvalidAddress("The number has the wrong length for its country.")
    form = phonenumbers.format_number(number, PhoneNumberFormat.E164)
    # What has the digits of its own form was parsed as that form just now; a second parsing takes as long as the first.
    reads_back = international and number_text.isascii() and f"+{_NO_DIGITS.sub('', number_text)}" == form
    if not reads_back and not _is_stable(form):
        raise InvalidAddress("The number is ambiguous; write it with its country code, as +…")
    return form


_NO_DIGITS = re.compile(r"\D")
_NO_COUNTRY = "The number has no country code: begin it with +, or set OUTDIAL_DEFAULT_REGION on the server."


def _is_stable(form: str) -> bool:
    """Whether E.164 text reads back as itself: what looks like a national prefix may be dropped at each pass."""
    try:
        number = phonenumbers.parse(form)
    except NumberParseException:
        return False
    return phonenumbers.is_possible_number(number) and (
        phonenumbers.format_number(number, PhoneNumberFormat.E164) == form
    )
