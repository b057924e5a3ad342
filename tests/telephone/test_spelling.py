"""What spreadsheets and people add: a float's end, zeros in brackets, marks that nobody sees."""

import sys
import unicodedata
from collections import defaultdict

import pytest

from app import addresses
from app.addresses import characters
from tests.support.numbers import EXAMPLES, REFUSED, e164, national_digits, outcome, read, refusal, significant

# ---------------------------------------------------------------- a float's end


@pytest.mark.parametrize(
    ("text", "region", "form"),
    [
        ("+4930123456.0", None, "+4930123456"),
        ("+4930123456.00", None, "+4930123456"),
        ("+4930123456,0", None, "+4930123456"),
        ("004930123456.0", "DE", "+4930123456"),
        ("301234567.0", "DE", "+49301234567"),
        ("0301234567.0", "DE", "+49301234567"),
        ("301234567,00", "DE", "+49301234567"),
        ("４１５５５５０１００．０", "US", "+14155550100"),  # noqa: RUF001 - meant
        ("٤١٥٥٥٥٠١٠٠٫٠", "US", "+14155550100"),  # noqa: RUF001 - meant
        # Numbers that people write with dots.
        ("030.123.45.00", "DE", "+49301234500"),
        ("01.23.45.67.00", "FR", "+33123456700"),
        ("+33.1.23.45.67.00", None, "+33123456700"),
        ("415.555.0100", "US", "+14155550100"),
        ("0800.000000", "DE", "+49800000000"),
    ],
)
def test_the_end_of_a_float_is_no_part_of_the_number(text, region, form):
    assert read(text, region) == form


@pytest.mark.parametrize(
    "text", ["+48 22 512 34 56.0", "0221 123456.0", "+49301234567.000", "301234567.000000", "22-512-34-56,00"]
)
def test_what_may_be_a_decimal_or_a_number_is_refused_with_that_reason(text):
    assert "decimal" in refusal(text, "DE")


@pytest.mark.parametrize("end", [".0", ".00", ",0", ",00"])
def test_no_region_makes_another_number_of_a_float(end):
    for region, number in EXAMPLES:
        assert outcome(e164(number) + end) == e164(number), region
        assert outcome(national_digits(number) + end, region) == e164(number), region


@pytest.mark.parametrize("text", ["4.91512E+11", "4,91512E+11", "４.９E＋１１", "4.9E+11\u200b", "\xa04.9e11"])  # noqa: RUF001
def test_scientific_notation_is_known_as_such(text):
    assert "scientific" in refusal(text, "DE")
    assert addresses.is_scientific(text)


# ---------------------------------------------------------------- a zero after the country code


@pytest.mark.parametrize(
    ("text", "region", "form"),
    [
        ("+48 (0)22 512 34 56", None, "+48225123456"),
        ("+48(0)225123456", None, "+48225123456"),
        ("+48 ( 0 ) 22 512 34 56", None, "+48225123456"),
        ("+48（0）22 512 34 56", None, "+48225123456"),  # noqa: RUF001 - meant
        ("0048 (0) 22 512 34 56", "DE", "+48225123456"),
        ("0048 (0)22 512 34 56", "PL", "+48225123456"),
        ("011 48 (0)22 512 34 56", "US", "+48225123456"),
        ("+48 0 22 512 34 56", None, "+48225123456"),
        ("+48 (022) 512 34 56", None, "+48225123456"),
        ("+48 (0)022 512 34 56", None, "+48225123456"),
        ("+48 (0) (022) 512 34 56", None, "+48225123456"),
        ("0048 (0)022 512 34 56", "PL", "+48225123456"),
        ("(+48) (0)22 512 34 56", None, "+48225123456"),
        ("022 512 34 56", "PL", "+48225123456"),
        ("+1 (0)415 555 0100", None, "+14155550100"),
        ("+44 (0)20 7946 0958", None, "+442079460958"),
        ("+49 (0)30 123456", None, "+4930123456"),
        # Where the zero belongs to the number.
        ("+39 (0)2 3661 8300", None, "+390236618300"),
        ("+39 (0)6 6982", None, "+39066982"),
        ("+39 (0) 02 3661 8300", None, "+390236618300"),
        ("+39 02 3661 8300", None, "+390236618300"),
        ("+378 (0)549 886377", None, "+3780549886377"),
        ("+225 07 07 12 34 56", None, "+2250707123456"),
        # And where an Italian number has none.
        ("+39 (0)333 1234567", None, "+393331234567"),
    ],
)
def test_a_trunk_zero_is_left_out_and_a_zero_of_the_number_is_kept(text, region, form):
    assert read(text, region) == form


@pytest.mark.parametrize("spelling", ["+{} (0){}", "+{}(0) {}", "+{}-(0)-{}", "00{} (0){}", "+{} (0) {}"])
def test_no_region_makes_another_number_of_a_zero_in_brackets(spelling):
    kept, refused = 0, set()
    for region, number in EXAMPLES:
        # With or without the zero that the number has of its own.
        for digits in {significant(number), significant(number).removeprefix("0")}:
            form = outcome(spelling.format(number.country_code, digits), "FR")
            assert form in {e164(number), REFUSED}, (region, digits, form)
            kept += form != REFUSED
            refused |= {region} if form == REFUSED else set()
    assert kept > 1_300
    assert len(refused) <= 6  # Italy's kin, whose numbers may be valid with the zero and without


# ---------------------------------------------------------------- marks that nobody sees, and signs that look alike


ALL = [chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code < 0xE000]


SIGNS: dict[str, list[str]] = defaultdict(list)
"""All characters of each category."""
for _sign in ALL:
    SIGNS[unicodedata.category(_sign)].append(_sign)


def of_category(*categories: str) -> list[str]:
    return [sign for category in categories for sign in SIGNS[category]]


@pytest.mark.parametrize("sign", [*of_category("Cf"), *map(chr, range(0xFE00, 0xFE10)), *"\u034f\u115f\u3164"])
def test_a_format_character_is_left_out_of_a_number(sign):
    assert read(f"{sign}+49{sign} 30{sign}123456{sign}") == "+4930123456"
    assert read(f"+49 30 12{sign}{sign}3456") == "+4930123456"


@pytest.mark.parametrize("sign", [*of_category("Zs"), "\u2800"])
def test_every_space_is_a_space(sign):
    assert read(f"{sign}+49{sign}30{sign}{sign}123456{sign}") == "+4930123456"


@pytest.mark.parametrize("sign", [*of_category("Pd"), *"\u2212\u02d7\u2043\u2796\u30fc\uff70\u207b"])
def test_every_hyphen_is_a_hyphen(sign):
    assert read(f"+49{sign}30{sign}123456") == "+4930123456"


DIGITS = "".join(of_category("Nd"))


@pytest.mark.parametrize("digits", [DIGITS[start : start + 10] for start in range(0, len(DIGITS), 10)])
def test_digits_of_every_script_are_digits(digits):
    assert unicodedata.decimal(digits[0]) == 0
    number = "".join(digits[int(sign)] for sign in "4930123456")
    assert read(f"+{number}") == "+4930123456"


@pytest.mark.parametrize("plus", "+＋﹢⁺₊➕﬩")  # noqa: RUF001 - meant
@pytest.mark.parametrize("brackets", ["()", "（）", "﹙﹚", "⁽⁾", "︵︶"])  # noqa: RUF001 - meant
@pytest.mark.parametrize("slash", "/／∕⁄")  # noqa: RUF001 - meant
def test_wide_and_small_signs_are_what_they_look_like(plus, brackets, slash):
    assert read(f"{plus}49 {brackets[0]}30{brackets[1]}{slash}123456") == "+4930123456"


def test_a_sign_that_only_holds_a_digit_is_none():
    odd = [
        sign
        for sign in ALL
        if unicodedata.category(sign) != "Nd" and any(map(str.isdecimal, unicodedata.normalize("NFKC", sign)))
    ]
    assert len(odd) > 200  # superscripts of footnotes, circled digits, fractions …
    assert [sign for sign in odd if outcome(f"+49 30 12345{sign}") != REFUSED] == []


def test_a_number_that_was_cut_off_is_refused():
    assert outcome("+49 30 12345…") == REFUSED


def test_what_has_nothing_to_see_is_empty():
    for sign in of_category("Cf", "Zs"):
        assert "empty" in refusal(sign * 3)


def test_what_is_trimmed_is_what_can_be_taken_for_space():
    spaces = [sign for sign in ALL if sign.isspace()]
    assert characters.trimmed("".join(spaces) + "é" + "".join(spaces)) == "é"
    assert all(characters.is_invisible(sign) for sign in of_category("Cf"))
