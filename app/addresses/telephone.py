"""Telephone numbers: how people and spreadsheets write them, and the E.164 form they are kept in. Pure, no I/O."""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Protocol

import phonenumbers
from phonenumbers import NumberParseException, PhoneMetadata, PhoneNumber, PhoneNumberFormat, ValidationResult

from app.addresses import characters, pairs, settled
from app.addresses.refusals import InvalidAddress


class _Parse(Protocol):
    def __call__(self, text: str, /, region: str | None = None) -> PhoneNumber: ...


# Digits and what people put between them. Letters are refused although phonenumbers reads vanity numbers: in a calling
# list, "FLOWERS" is rarer than a note or a shifted column, and a wrong number calls a stranger.
_NUMBER = re.compile(r"(?:tel:)?[\s(]*(\+?[\d\s()./\-]*)", re.IGNORECASE)
_NO_DIGITS = re.compile(r"\D+")
_SCIENTIFIC = re.compile(r"[+-]?\d+(?:[.,]\d+)?\s*[eE]\s*[+-]?\d+")
_EXTENSION = re.compile(r"(?:#|;ext=|,|\b(?:ext|extension|x)\b|x(?=\d)).*\d", re.IGNORECASE)

_NO_COUNTRY = "No country code. Start the number with + or choose a region."
_NO_NUMBER = "Invalid phone number: its length or its country code is wrong."
_WRONG_LENGTH = "Invalid phone number: wrong length for its country."
_SHORT = "The number is a short code or lacks its area code. Start it with + and its country code."
_UNSTABLE = "The number is ambiguous: with its country code it is read as another number. Check its digits."
_ALLOWED = "digits, spaces and ( ) . / - only, after an optional +."
SEVERAL = f"The text has two numbers, or a number with an extension. Give one phone number: {_ALLOWED}"


def readings(text: str, region: str | None, *, is_whatsapp: bool = False) -> tuple[str, ...]:
    """Each number that the text may mean, in E.164: one, or more if the text is ambiguous.

    Args:
        text: as somebody wrote it.
        region: the ISO 3166 region that numbers without a country code are taken to be from.
        is_whatsapp: whether WhatsApp's own spellings are possible.

    Raises:
        InvalidAddress: the text is no number.
    """
    number_text = _spelled(text)
    known = None if is_whatsapp else settled.form(number_text, region)
    forms = _forms(number_text, region, is_whatsapp=is_whatsapp) if known is None else (known,)
    if forms[0] == number_text:
        return forms  # parsed as itself just now; a second parsing takes as long as the first
    digits = _NO_DIGITS.sub("", number_text)
    if pairs.has_second(number_text, region) or (digits != number_text and pairs.is_pair(number_text, region)):
        raise InvalidAddress(SEVERAL)
    stable = [form for form in forms if form[1:] == digits or _is_stable(form)]
    if not stable:
        raise InvalidAddress(_UNSTABLE)
    return tuple(stable)


def _forms(text: str, region: str | None, *, is_whatsapp: bool) -> tuple[str, ...]:
    parse = _parse_whatsapp if is_whatsapp else phonenumbers.parse
    try:
        numbers = _international(text, parse) if text[:1] == "+" else _national(text, region, parse)
    except InvalidAddress:
        if pairs.has_second(text, region) or pairs.is_pair(text, region, is_sure=False):
            raise InvalidAddress(SEVERAL) from None
        raise
    return tuple(dict.fromkeys(map(_e164, numbers))) if len(numbers) > 1 else (_e164(numbers[0]),)


# ---------------------------------------------------------------- spelling


def is_scientific(text: str) -> bool:
    """Whether a spreadsheet made a number in scientific notation of it (4.91512E+11), whose last digits are lost."""
    return _SCIENTIFIC.fullmatch(characters.plain(text).strip()) is not None


# A spreadsheet's number as text ("301234567.0", "301234567,00"): digits without any grouping, then one separator and
# one or two zeros. People write such an end too, but after other groups: 030.123.45.00.
_FLOAT = re.compile(r"(\+?\d+)[.,\u066b]0{1,2}")
# An end that is neither, and that people do not write: "22 512 34 56.0", "+49301234567.000". More than two zeros may
# be a group of their own (0800.000000) unless a whole number stands before them.
_DECIMAL = re.compile(r"[^.,]*\d[.,\u066b]0{1,2}|\+?\d{7,}[.,\u066b]0{3,}")


# The place of a number in a list, before the number: 1) 030 123456, 2. 030 123456.
_PLACE = re.compile(r"[1-9](?:\d?\.?\)|\.\s)")
_YEAR = r"(?:19|20)\d\d"
# A shifted column: 31.01.2024 would be a number of Pforzheim.
_DATE = re.compile(rf"{_YEAR}([-/.])\d\d?\1\d\d?|\d\d?([-/.])\d\d?\2{_YEAR}")


def _spelled(text: str) -> str:
    """A number's text with ASCII digits and the usual signs between them only, + first if it is there.

    Raises:
        InvalidAddress: it has others, each kind with its reason.
    """
    text = characters.plain(text)
    if not text:
        raise InvalidAddress("The address is empty.")
    if text[-1] == "0" and not text.isdecimal():
        integer = _FLOAT.fullmatch(text)
        if integer is not None:
            return integer[1]
        if _DECIMAL.fullmatch(text):
            raise InvalidAddress(
                "A spreadsheet has turned the number into a decimal (.0). Format the column as text and enter the"
                " number again."
            )
    if _DATE.fullmatch(text):
        raise InvalidAddress("The text is a date, not a phone number. Check the column.")
    if _PLACE.match(text):
        raise InvalidAddress(SEVERAL)
    match = _NUMBER.fullmatch(text)
    if match is None:
        raise InvalidAddress(_misspelling(text))
    return match[1]


def _misspelling(text: str) -> str:
    if _SCIENTIFIC.fullmatch(text):
        return (
            "A spreadsheet has turned the number into scientific notation and its last digits are lost. Format the"
            " column as text and enter the number again."
        )
    if pairs.is_list(text) or pairs.is_shortly_listed(text):
        return SEVERAL
    extension = _EXTENSION.search(text)
    if extension and pairs.is_complete(text[: extension.start()]):
        return "The number has an extension. Leave it out: E.164 cannot hold it."
    return f"The number may contain {_ALLOWED}"


# ---------------------------------------------------------------- what the digits mean


def _international(text: str, parse: _Parse) -> list[PhoneNumber]:
    """The readings of a number that says its country."""
    try:
        number = parse(text)
    except NumberParseException:
        raise InvalidAddress(_NO_NUMBER) from None
    if number.italian_leading_zero:
        return _zero_readings(number, text, may_be_local=True)
    number = _with_one_code(number, parse)
    # "Possible" is enough here, "valid" is not asked: new ranges are assigned faster than metadata is released. So a
    # number without its area code passes if it has a country code.
    _require_possible(number, may_be_local=True)
    return [number]


def _with_one_code(number: PhoneNumber, parse: _Parse) -> PhoneNumber:
    """The number, without its country code if that is there twice: +91 91 98765 43210.

    Only if the number is valid without it and not with it: an area code may be the same digits.
    """
    digits = phonenumbers.national_significant_number(number)
    if not digits.startswith(str(number.country_code)) or phonenumbers.is_valid_number(number):
        return number
    try:
        other = parse(f"+{digits}")
    except NumberParseException:
        return number
    return other if phonenumbers.is_valid_number(other) else number


_BRACKETED_ZERO = re.compile(r"\(\s*0\s*\)")


def _code_before_bracketed_zero(text: str) -> str:
    """The digits before "(0)", such as a country code; empty if there is none."""
    zero = _BRACKETED_ZERO.search(text)
    return "" if zero is None else _NO_DIGITS.sub("", text[: zero.start()])


def _zero_readings(number: PhoneNumber, text: str, *, may_be_local: bool) -> list[PhoneNumber]:
    """The readings of a number that has a zero before its other digits (after the country code, if there is one).

    In Italy and some other countries the zero belongs to the number. In other countries it is a trunk prefix, which
    E.164 leaves out. phonenumbers does so only for countries that have one today, so not for Poland ("+48 (0)22 …").
    The valid reading wins. If both readings are valid or neither is, a zero without brackets stays.
    """
    is_bracketed = _code_before_bracketed_zero(text).endswith(str(number.country_code))
    is_valid = phonenumbers.is_valid_number(number)
    bare = _without_zeros(number, 1)
    if not phonenumbers.is_valid_number(bare):
        barest = _without_zeros(number, number.number_of_leading_zeros or 1)
        bare = barest if phonenumbers.is_valid_number(barest) else bare
    if (is_valid and not is_bracketed) or not phonenumbers.is_possible_number(bare):
        _require_possible(number, may_be_local=may_be_local)
        return [number]
    if is_valid != phonenumbers.is_valid_number(bare):
        return [number if is_valid else bare]
    if is_bracketed:
        return [number, bare] if phonenumbers.is_possible_number(number) else [bare]
    _require_possible(number, may_be_local=may_be_local)
    return [number]


def _without_zeros(number: PhoneNumber, count: int) -> PhoneNumber:
    zeros = (number.number_of_leading_zeros or 1) - count
    return PhoneNumber(
        country_code=number.country_code,
        national_number=number.national_number,
        italian_leading_zero=zeros > 0 or None,
        number_of_leading_zeros=zeros if zeros > 1 else None,
    )


def _national(text: str, region: str | None, parse: _Parse) -> list[PhoneNumber]:
    """The readings of a number without a +.

    Spreadsheets drop the +. So digits that begin with the region's own country code are read in both ways: if only one
    reading is valid, it wins; if both are equally good, the number is ambiguous. Digits that begin with another
    country's code look like a national number and are read as one. Digits that begin with 00 are read in both ways too:
    people write 00 before a country code everywhere, and in some regions it begins something else (in Brazil the choice
    of a carrier).
    """
    refusal: str | None = None
    numbers: list[PhoneNumber] = []
    try:
        numbers = _dialed_in(region, text, parse)
    except InvalidAddress as error:
        refusal = str(error)
    own_code = _country_code(region)
    digits = _NO_DIGITS.sub("", text)
    if region is not None and digits[:1] == "0":
        numbers, refusal = _after_zeros(numbers, digits, text, region, parse), refusal or _NO_NUMBER
    elif digits.startswith(own_code) and [_e164(number) for number in numbers] != [f"+{digits}"]:
        numbers = _weighed(
            numbers, _without_plus(text, parse), is_bracketed=_code_before_bracketed_zero(text) == own_code
        )
    if refusal is not None and not numbers:
        raise InvalidAddress(refusal)
    return numbers


@lru_cache(maxsize=512)
def _country_code(region: str | None) -> str:
    return str(phonenumbers.country_code_for_region(region or ""))


_FIRST_ZEROS = re.compile(r"\D*0(?:\D*0)?[^\d(]*")


def _after_zeros(numbers: list[PhoneNumber], digits: str, text: str, region: str, parse: _Parse) -> list[PhoneNumber]:
    """The readings of a number that begins with 0, of those that the region reads it in.

    People write 00 before a country code everywhere. In some regions it begins something else, such as the choice of a
    carrier in Brazil: both readings are weighed then. After one zero, the region's own country code can only be meant
    if the number is not valid otherwise: 0 91 98765 43210 in India.
    """
    is_double = digits.startswith("00")
    if _is_dialed_with_00(region) if is_double else not digits.startswith(f"0{_country_code(region)}"):
        return numbers
    international = _without_plus(_FIRST_ZEROS.sub("", text, count=1), parse)
    if is_double:
        # No number begins with a zero twice, unless it is known to.
        known = [
            number for number in numbers if not number.italian_leading_zero or phonenumbers.is_valid_number(number)
        ]
        return _weighed(known, international, is_bracketed=False)
    if any(map(phonenumbers.is_valid_number, numbers)):
        return numbers
    return [number for number in international if phonenumbers.is_valid_number(number)] or numbers


@lru_cache(maxsize=512)
def _is_dialed_with_00(region: str) -> bool:
    """Whether a call from the region to another country begins with 00 and nothing else."""
    metadata = PhoneMetadata.metadata_for_region(region)
    return metadata is not None and metadata.international_prefix == "00"


def _dialed_in(region: str | None, text: str, parse: _Parse) -> list[PhoneNumber]:
    """The number as it is dialed in a region: national, or abroad with the prefix for that (00, 011 …)."""
    try:
        number = parse(text, region)
    except NumberParseException as error:
        is_homeless = error.error_type == NumberParseException.INVALID_COUNTRY_CODE
        raise InvalidAddress(_NO_COUNTRY if is_homeless else _NO_NUMBER) from None
    if number.italian_leading_zero:
        return _zero_readings(number, text, may_be_local=False)
    number = _with_one_code(number, parse)
    # A short code ("110") or a number without its area code: with the country code put before it, it would be
    # another number.
    _require_possible(number, may_be_local=False)
    return [number]


def _without_plus(text: str, parse: _Parse) -> list[PhoneNumber]:
    """The readings of the text if it has lost its +; empty if there are none."""
    try:
        numbers = _international(f"+{text}", parse)
    except InvalidAddress:
        return []
    reasons = map(phonenumbers.is_possible_number_with_reason, numbers)
    return [number for number, reason in zip(numbers, reasons, strict=True) if reason == ValidationResult.IS_POSSIBLE]


def _weighed(
    national: Sequence[PhoneNumber], international: Sequence[PhoneNumber], *, is_bracketed: bool
) -> list[PhoneNumber]:
    """The best of the readings: those that no other one beats."""
    # 49 (0)30 …: nobody writes a national number like that.
    numbers = [*([] if is_bracketed and international else national), *international]
    return [number for number in numbers if phonenumbers.is_valid_number(number)] or numbers


def _require_possible(number: PhoneNumber, *, may_be_local: bool) -> None:
    reason = phonenumbers.is_possible_number_with_reason(number)
    if reason == ValidationResult.IS_POSSIBLE:
        return
    if reason != ValidationResult.IS_POSSIBLE_LOCAL_ONLY:
        raise InvalidAddress(_WRONG_LENGTH)
    if not may_be_local:
        raise InvalidAddress(_SHORT)


def _e164(number: PhoneNumber) -> str:
    return phonenumbers.format_number(number, PhoneNumberFormat.E164)


def _is_stable(form: str) -> bool:
    """Whether E.164 text reads back as itself: what looks like a national prefix may be dropped at each pass."""
    if settled.is_settled(form):
        return True
    try:
        number = phonenumbers.parse(form)
    except NumberParseException:
        return False
    return phonenumbers.is_possible_number(number) and _e164(number) == form


# ---------------------------------------------------------------- WhatsApp


def _parse_whatsapp(text: str, region: str | None = None) -> PhoneNumber:
    """Like `phonenumbers.parse`, also for WhatsApp ids that are older than a country's change of its numbers.

    Mexico put a 1 before mobile numbers until 2020, and Benin gave each number the prefix 01 in 2024. The old length is
    not used any more, so each old id means exactly one number. Brazil's mobile numbers without their ninth digit stay
    as they
    are: both lengths are in use, and only WhatsApp knows which one an account has. Ivory Coast's old ids are
    refused by their length: which digits to add depends on the operator.
    """
    number = phonenumbers.parse(text, region)
    national = str(number.national_number)
    if number.italian_leading_zero:
        return number
    if number.country_code == _MEXICO and len(national) == len("15512345678") and national[0] == "1":
        number.national_number = int(national[1:])
    elif number.country_code == _BENIN and len(national) == len("97123456"):
        number.national_number, number.italian_leading_zero = int(f"1{national}"), True
    return number


_MEXICO = 52
_BENIN = 229
