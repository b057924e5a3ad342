"""Any text: what is read stays what it is, and the short way reads as the long way does."""

import random

import phonenumbers
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from phonenumbers import PhoneNumber, PhoneNumberFormat

from app import addresses
from app.addresses import DestinationType, InvalidAddress, settled, telephone
from tests.support.numbers import (
    EXAMPLES,
    REFUSED,
    outcome,
    read,
    significant,
    variants,
)

# ---------------------------------------------------------------- whatever the text


SPOILED = st.text("+＋00112459 ()（）./／-–−\u00a0\u200b\u202f\u2068;,E&\n", max_size=30)  # noqa: RUF001 - meant
PRINTED = st.builds(
    lambda place, number_format, before, after: (
        before + phonenumbers.format_number(EXAMPLES[place][1], number_format) + after
    ),
    st.integers(0, len(EXAMPLES) - 1),
    st.sampled_from([PhoneNumberFormat.E164, PhoneNumberFormat.INTERNATIONAL, PhoneNumberFormat.NATIONAL]),
    st.sampled_from(["", "\u202a", " ", "(0)", "0", "00", "tel:"]),
    st.sampled_from(["", ".0", ",00", "/8", " (0)", "\ufeff", "-0", ";1"]),
)


@given(
    SPOILED | PRINTED,
    st.sampled_from([None, "DE", "PL", "IT", "US", "AR", "MX", "BR", "RU", "BJ", "GA", "CI", "SM", "AC"]),
    st.sampled_from([DestinationType.TEL, DestinationType.WHATSAPP]),
)
@example("+39 (0) 0 6 6982", None, DestinationType.TEL)
@example("043 012 345/8", "PL", DestinationType.TEL)
@example("022 512 34 56", "PL", DestinationType.TEL)
@example("+229 (0)97123456", "BJ", DestinationType.WHATSAPP)
def test_each_spelling_of_a_number_is_a_number_that_stays_what_it_is(text, region, address_type):
    for form in addresses.spellings(text, region):
        if form.startswith("+") and form[1:].isdecimal() and form.isascii():
            assert outcome(form, region, address_type) in {form, REFUSED}
    form = outcome(text, region, address_type)
    if form == REFUSED:
        return
    assert form in addresses.spellings(text, region)
    assert read(form, region, address_type) == form
    assert read(form, None, address_type) == form
    assert phonenumbers.is_possible_number(phonenumbers.parse(form))


@given(SPOILED | PRINTED, st.sampled_from([None, "DE", "US"]))
def test_no_refusal_repeats_digits_of_the_number(text, region):
    try:
        read(text, region)
    except InvalidAddress as error:
        said = str(error).replace("E.164", "").replace("(.0)", "").replace("255", "")
        assert not any(map(str.isdecimal, said))


@pytest.mark.parametrize("text", ["1" + "(1" * 120, "123456" + "(" * 240 + "1", "1 " * 127, "1/" * 127, "1;" * 127])
def test_a_text_made_to_be_slow_is_refused_at_once(text, monkeypatch):
    parsed = 0
    parse = phonenumbers.parse

    def counted(*args: object, **options: object) -> PhoneNumber:
        nonlocal parsed
        parsed += 1
        return parse(*args, **options)

    monkeypatch.setattr(phonenumbers, "parse", counted)
    assert outcome(text[:255], "DE") == REFUSED
    assert parsed < 10


# ---------------------------------------------------------------- numbers whose reading is certain


def check_short_way(text: str, region: str | None = None) -> bool:
    """Whether the short way reads the text; if so, the long way gives the same."""
    form = settled.form(text, region)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(settled, "is_settled", lambda _: False)
        if form is not None:
            assert telephone._forms(text, region, is_whatsapp=False) == (form,)
            assert telephone._is_stable(form)
    return form is not None


def punctuated(digits: str, source: random.Random) -> str:
    """The digits with signs between them, as no person writes them."""
    signs = ["", "", "", " ", "-", ".", "/", "(", ")", ") ", " / "]
    return "".join(digit + source.choice(signs) for digit in digits[:-1]) + digits[-1]


def test_the_short_way_reads_e164_of_every_country_as_the_long_way_does() -> None:
    """Each country code, each length, with each beginning that may be a national prefix there."""
    source = random.Random(4)
    taken = dict.fromkeys(phonenumbers.COUNTRY_CODE_TO_REGION_CODE, 0)
    for code in taken:
        for length in range(3, 16):
            for beginning in ["0", "00", "1", "8", "9", "90", "15", "044", "06", str(code), "", "", ""]:
                rest = "".join(source.choices("0123456789", k=length))
                form = f"+{code}{(beginning + rest)[:length]}"
                taken[code] += check_short_way(form)
                check_short_way(f"+{punctuated(form[1:], source)}")
    assert [code for code, count in taken.items() if count == 0] == []


def test_the_short_way_reads_national_numbers_of_every_region_as_the_long_way_does() -> None:
    source = random.Random(5)
    for region in sorted(phonenumbers.SUPPORTED_REGIONS):
        code = phonenumbers.country_code_for_region(region)
        for length in range(5, 15):
            for beginning in ["0", "00", "1", "8", "01", "06", "011", "810", f"{code}", f"0{code}", f"00{code}", ""]:
                digits = beginning + "".join(source.choices("0123456789", k=length))
                check_short_way(digits, region)
                check_short_way(punctuated(digits, source), region)


def test_the_short_way_reads_examples_of_every_region_as_the_long_way_does() -> None:
    source, taken, count = random.Random(6), 0, 0
    for region, example_number in EXAMPLES:
        for number in [example_number, *variants(example_number, 2, source)]:
            for spelling in (PhoneNumberFormat.NATIONAL, PhoneNumberFormat.INTERNATIONAL, PhoneNumberFormat.E164):
                text = phonenumbers.format_number(number, spelling)
                if spelling == PhoneNumberFormat.NATIONAL:
                    check_short_way("".join(sign for sign in text if sign.isdecimal()), region)
                if not settled_signs(text):
                    continue
                count += 1
                taken += check_short_way(text, region)
                check_short_way(f"00{significant_with_code(number)}", region)
                check_short_way(text, source.choice(EXAMPLES)[0])
    assert taken > count / 2


def settled_signs(text: str) -> bool:
    return set(text) <= set("+0123456789 ()./-")


def significant_with_code(number: PhoneNumber) -> str:
    return f"{number.country_code}{significant(number)}"


@given(st.from_regex(r"\+?[0-9 ()./-]{0,3}[0-9]{1,5}[0-9 ()./-]{1,12}[0-9]", fullmatch=True), st.sampled_from(EXAMPLES))
@example("+390612345678", EXAMPLES[0])
@example("+49491711234567", EXAMPLES[0])
@example("+5491123456789", EXAMPLES[0])
def test_the_short_way_is_only_shorter(text: str, place: tuple[str, PhoneNumber]) -> None:
    check_short_way(text, place[0])
    check_short_way(text)


@pytest.mark.parametrize(
    ("text", "region", "form"),
    [
        ("+4915112345678", None, "+4915112345678"),
        ("+49 (151) 12345678", None, "+4915112345678"),
        ("0151/12345678", "DE", "+4915112345678"),
        ("0049 151 12345678", "DE", "+4915112345678"),
        ("(212) 555-0142", "US", "+12125550142"),
        ("0151 12345678", None, None),
        ("49 151 12345678", "DE", None),
        ("+49 (0)151 12345678", "DE", None),
        ("00 49 151 12345678", "US", None),
        ("+999123456789", "DE", None),
        ("+49" + " " * 250 + "15112345678", None, None),
        ("", "DE", None),
        ("+", "DE", None),
    ],
)
def test_the_short_way_is_for_numbers_whose_reading_is_certain(text: str, region: str | None, form: str | None) -> None:
    assert settled.form(text, region) == form
