"""Telephone numbers as spreadsheets and people leave them: one number, the right one, or a refusal that says why."""

import random
import sys
import unicodedata

import phonenumbers
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from phonenumbers import PhoneNumber, PhoneNumberFormat, PhoneNumberType, ValidationResult

from app import addresses
from app.addresses import DestinationType, InvalidAddress, characters, settled, telephone

REFUSED = "refused"


def read(text: str, region: str | None = None, address_type: DestinationType = DestinationType.TEL) -> str:
    return addresses.canonical(address_type, text, default_region=region)


def outcome(text: str, region: str | None = None, address_type: DestinationType = DestinationType.TEL) -> str:
    try:
        return read(text, region, address_type)
    except InvalidAddress:
        return REFUSED


def refusal(text: str, region: str | None = None, address_type: DestinationType = DestinationType.TEL) -> str:
    with pytest.raises(InvalidAddress) as caught:
        read(text, region, address_type)
    return str(caught.value)


def e164(number: PhoneNumber) -> str:
    return phonenumbers.format_number(number, PhoneNumberFormat.E164)


def national_digits(number: PhoneNumber) -> str:
    text = phonenumbers.format_number(number, PhoneNumberFormat.NATIONAL)
    return "".join(sign for sign in text if sign.isdecimal())


def significant(number: PhoneNumber) -> str:
    return phonenumbers.national_significant_number(number)


EXAMPLES = [
    (region, number)
    for region in sorted(phonenumbers.SUPPORTED_REGIONS)
    for number_type in PhoneNumberType.values()
    if (number := phonenumbers.example_number_for_type(region, number_type)) is not None
    and phonenumbers.is_possible_number_with_reason(number) == ValidationResult.IS_POSSIBLE
]
"""Numbers of each type in each region, but for those that cannot be called from elsewhere."""


def variants(number: PhoneNumber, count: int, source: random.Random) -> list[PhoneNumber]:
    """Valid numbers that begin like the given one."""
    text = significant(number)
    kept = text[: min(3, len(text) - 3)]
    found: list[PhoneNumber] = []
    for _ in range(count):
        digits = kept + "".join(source.choice("0123456789") for _ in text[len(kept) :])
        try:
            other = phonenumbers.parse(f"+{number.country_code}{digits}")
        except phonenumbers.NumberParseException:
            continue
        if phonenumbers.is_valid_number(other) and significant(other) == digits:
            found.append(other)
    return found


def test_there_are_examples_of_all_regions():
    assert len({region for region, _ in EXAMPLES}) == len(phonenumbers.SUPPORTED_REGIONS) > 240
    assert len(EXAMPLES) > 1_000


# ---------------------------------------------------------------- a country code without its +


@pytest.mark.parametrize(
    ("text", "region", "form"),
    [
        ("48225123456", "PL", "+48225123456"),
        ("441234567890", "GB", "+441234567890"),
        ("14155550100", "US", "+14155550100"),
        ("1 (415) 555-0100", "US", "+14155550100"),
        ("79161234567", "RU", "+79161234567"),
        ("77012345678", "KZ", "+77012345678"),
        ("7012345678", "KZ", "+77012345678"),
        ("8 (701) 234-56-78", "KZ", "+77012345678"),
        ("4930123456", "DE", "+4930123456"),
        ("33123456789", "FR", "+33123456789"),
        # Valid as a national number, and only possible with the code, as Italian mobile numbers are.
        ("3912345678", "IT", "+393912345678"),
        # The other way round.
        ("393331234567", "IT", "+393331234567"),
        ("390236618300", "IT", "+390236618300"),
        ("47123456", "NO", "+4747123456"),
        ("5491123456789", "AR", "+5491123456789"),
        ("5511987654321", "BR", "+5511987654321"),
        ("525512345678", "MX", "+525512345678"),
        ("49 (0)30 123456", "DE", "+4930123456"),
        ("49 (0) 7755 91155", "DE", "+49775591155"),
        ("48 (0)22 512 34 56", "PL", "+48225123456"),
        # What says which it is.
        ("004915112345678", "DE", "+4915112345678"),
        ("+4915112345678", "DE", "+4915112345678"),
        ("0151 12345678", "DE", "+4915112345678"),
        ("04915 112345", "DE", "+494915112345"),
        # Another country's code cannot be told from a national number.
        ("41 79 123 45 67", "DE", "+4941791234567"),
    ],
)
def test_digits_are_the_only_valid_number_that_they_may_be(text, region, form):
    assert read(text, region) == form


@pytest.mark.parametrize("text", ["4915112345678", "49 7755 91155", "49-7755-91155", "4915112345678.0"])
def test_digits_that_may_be_two_valid_numbers_are_ambiguous(text):
    message = refusal(text, "DE")
    assert "ambiguous" in message
    assert "Start it with +" in message
    assert not any(sign.isdecimal() for sign in message)


def test_digits_of_every_region_become_their_number_or_are_refused_never_another():
    found = [(region, e164(number), outcome(e164(number)[1:], region)) for region, number in EXAMPLES]
    assert [case for case in found if case[2] not in {case[1], REFUSED}] == []
    # Refusing is for the few regions whose numbering leaves both readings valid.
    assert len({region for region, _, form in found if form == REFUSED}) <= 10


def test_random_digits_of_every_region_become_their_number_or_are_refused_never_another():
    source = random.Random(9)
    seen = 0
    for region, example_number in EXAMPLES:
        for number in variants(example_number, 4, source):
            form = e164(number)
            assert outcome(form[1:], region) in {form, REFUSED}, (region, form)
            assert outcome(f"{form[1:]}.0", region) in {form, REFUSED}, (region, form)
            seen += 1
    assert seen > 2_000


def test_no_german_mobile_number_that_lost_its_plus_becomes_somebody_elses():
    source = random.Random(1_150)
    seen = 0
    for prefix in ("151", "152", "157", "160", "162", "163", "170", "171", "172", "175", "176", "177", "178", "179"):
        for _ in range(90):
            length = 8 if prefix in {"151", "152", "157"} else 7
            number = phonenumbers.parse(f"+49{prefix}{source.randrange(10 ** (length - 1), 10**length)}")
            if not phonenumbers.is_valid_number(number):
                continue
            form = e164(number)
            assert outcome(form[1:], "DE") in {form, REFUSED}
            assert form in addresses.spellings(form[1:], "DE")
            assert read(f"0{significant(number)}", "DE") == form
            seen += 1
    assert seen > 1_000


@pytest.mark.parametrize("number_format", [PhoneNumberFormat.NATIONAL, PhoneNumberFormat.INTERNATIONAL])
def test_every_region_reads_its_numbers_as_they_are_printed(number_format):
    for region, number in EXAMPLES:
        text = phonenumbers.format_number(number, number_format)
        assert outcome(text, region) == e164(number), (region, text)


def test_a_search_finds_both_numbers_that_an_ambiguous_text_may_mean():
    assert addresses.spellings("4915112345678", "DE") == ("+494915112345678", "+4915112345678", "4915112345678")
    assert addresses.spellings("+49 151 12345678", "DE") == ("+4915112345678", "+49 151 12345678")


# ---------------------------------------------------------------- 00, or a country code that is there twice


@pytest.mark.parametrize(
    ("text", "region", "form"),
    [
        # In Brazil, 00 begins the choice of a carrier.
        ("0049 151 12345678", "BR", "+4915112345678"),
        ("0055 11 98765-4321", "BR", "+5511987654321"),
        ("00 15 55 11 98765-4321", "BR", "+5511987654321"),
        ("00 21 49 30 123456", "BR", "+4930123456"),
        ("0081 90 1234 5678", "JP", "+819012345678"),
        ("0081 (0)90 1234 5678", "JP", "+819012345678"),
        ("010 81 90 1234 5678", "JP", "+819012345678"),
        ("(0049) 30 123456", "AU", "+4930123456"),
        ("0044 20 7946 0958", "SG", "+442079460958"),
        ("00 (44) 20 7946 0958", "US", "+442079460958"),
        ("0919876543210", "IN", "+919876543210"),
        ("+91 919876543210", None, "+919876543210"),
        ("+91 91987 65432", None, "+919198765432"),
        ("0971 50 123 4567", "AE", "+971501234567"),
        ("+971 971 50 123 4567", None, "+971501234567"),
        ("04915 112345", "DE", "+494915112345"),
    ],
)
def test_a_country_code_after_zeros_or_another_one_is_what_is_valid(text, region, form):
    assert read(text, region) == form


def test_00_before_what_may_be_a_carrier_an_area_code_or_a_country_code_is_ambiguous():
    assert "ambiguous" in refusal("0055 34 98765-4321", "BR")
    assert "ambiguous" in refusal("0049 30 123456", "BR")
    assert set(addresses.spellings("0055 34 98765-4321", "BR")) >= {"+5534987654321", "+34987654321"}


@pytest.mark.parametrize("spelling", ["00{}{}", "00 {} {}", "00{}{}.0"])
def test_no_region_reads_00_and_a_country_code_as_somebody_elses_number(spelling):
    source = random.Random(49)
    for region in sorted(phonenumbers.SUPPORTED_REGIONS):
        for _, number in source.sample(EXAMPLES, 12):
            text = spelling.format(number.country_code, significant(number))
            assert outcome(text, region) in {e164(number), REFUSED}, (region, text)


@pytest.mark.parametrize("spelling", ["0{}{}", "+{0}{0}{1}", "{0}{0}{1}", "00{0}{0}{1}"])
def test_no_region_adds_a_country_code_to_one_that_is_there(spelling):
    for region, number in EXAMPLES:
        form = outcome(spelling.format(number.country_code, significant(number)), region)
        assert form in {e164(number), REFUSED} or phonenumbers.is_valid_number(phonenumbers.parse(form)), region


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


def of_category(*categories: str) -> list[str]:
    return [sign for sign in ALL if unicodedata.category(sign) in categories]


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


# ---------------------------------------------------------------- two numbers in one text


@pytest.mark.parametrize(
    ("text", "region"),
    [
        ("030 1234567/8", "DE"),
        ("030 1234567 / 8", "DE"),
        ("030 1234567／8", "DE"),  # noqa: RUF001 - meant
        ("05551 1234/5678", "DE"),
        ("0221/123456/7", "DE"),
        ("0221/123456 / 0221/654321", "DE"),
        ("030 1234567 / 030 7654321", "DE"),
        ("030 1234567 // 030 7654321", "DE"),
        ("+49 30 1234567/68", None),
        ("0049 30 1234567/68", "DE"),
        ("(415) 555-0100/0101", "US"),
        ("415-555-0100/1", "US"),
        ("+1 415 555 0100 / +1 415 555 0101", None),
        ("22 12 34 56/57", "NO"),
        ("030 1234567 (8)", "DE"),
        ("030 1234567; 030 7654321", "DE"),
        ("030 1234567;8", "DE"),
        ("030 1234567, 030 7654321", "DE"),
        ("030 1234567 | 030 7654321", "DE"),
        ("030 1234567 & 8", "DE"),
        ("030 1234567 or 030 7654321", "DE"),
        ("030 1234567 oder 0151 12345678", "DE"),
        ("030 1234567\n030 7654321", "DE"),
        ("030 1234567\r\n0151 12345678", "DE"),
        ("030 1234567\u2028030 7654321", "DE"),
        ("030 1234567\t030 7654321", "DE"),
        ("+14155550100+14155550101", None),
        ("+14155550100 +14155550101", None),
        ("030 12345 030 54321", "DE"),
        ("030 1234567 030 7654321", "DE"),
        ("030 12345 - 030 54321", "DE"),
        ("01 23 45 67 89 06 12 34 56 78", "FR"),
        ("22 512 34 56  22 512 34 57", "PL"),
        ("Tel. 030 1234567 Fax 030 7654321", "DE"),
        ("1) 030 1234567", "DE"),
        ("1. 030 1234567", "DE"),
        ("2.) 0151 23456789", "DE"),
        ("1) 98765 43210", "IN"),
        ("12) 98765 43210", "IN"),
    ],
)
def test_two_numbers_in_one_text_are_refused_as_two(text, region):
    assert "two numbers" in refusal(text, region)
    assert "two numbers" in refusal(text, region, DestinationType.WHATSAPP)


@pytest.mark.parametrize(
    ("text", "region", "form"),
    [
        ("0221/123456", "DE", "+49221123456"),
        ("0221 / 12 34 56", "DE", "+49221123456"),
        ("0221/123456-0", "DE", "+492211234560"),
        ("0221-123456-0", "DE", "+492211234560"),
        ("(0221)/123456", "DE", "+49221123456"),
        ("+49 221/123456", None, "+49221123456"),
        ("+49 (0)221/123456", None, "+49221123456"),
        ("0049 (0) 221 / 123456", "DE", "+49221123456"),
        ("033203/12345", "DE", "+493320312345"),
        ("+49/221/123456", None, "+49221123456"),
        ("02/123.45.67", "BE", "+3221234567"),
        ("0475/12/34/56", "BE", "+32475123456"),
        ("01/4000-8010", "AT", "+43140008010"),
        ("415/555-0100", "US", "+14155550100"),
        ("415-555/0100", "US", "+14155550100"),
        ("+1/415/555/0100", None, "+14155550100"),
        ("(415) 555 0100", "US", "+14155550100"),
        ("+7 (495) 123-45-67", None, "+74951234567"),
        ("03-1234567", "IL", "+97231234567"),
        ("+420 2/24811111", None, "+420224811111"),
        # A hyphen leads to an extension of a switchboard, which is a number that can be called.
        ("030 1234567-8", "DE", "+493012345678"),
        ("030 1234567 - 8", "DE", "+493012345678"),
    ],
)
def test_a_slash_after_an_area_code_is_no_second_number(text, region, form):
    assert read(text, region) == form


@pytest.mark.parametrize(
    "text",
    [
        "2024-01-31", "31.01.2024", "31/01/2024", "1/31/2024", "1.2.1987", "01-31-2024", "2024/1/31",
        "２０２４－０１－３１",  # noqa: RUF001 - meant
    ],
)  # fmt: skip
@pytest.mark.parametrize("region", ["DE", "IT", "US", "JP", "NO", None])
def test_a_date_is_no_number(text, region):
    assert "date" in refusal(text, region)


@pytest.mark.parametrize(
    ("text", "region", "form"),
    [("22.12.20.34", "NO", "+4722122034"), ("2012-0123", "HK", "+85220120123"), ("31-01-2024-5", "IT", "+39310120245")],
)
def test_a_number_that_resembles_a_date_is_a_number(text, region, form):
    assert read(text, region) == form


def test_no_region_takes_a_number_with_another_end_for_one():
    for region, number in EXAMPLES:
        printed = phonenumbers.format_number(number, PhoneNumberFormat.INTERNATIONAL)
        if len(significant(number)) < 6:
            continue
        for second in ("/8", " / 57", f" / {national_digits(number)}", f"/{printed}", f"; {printed}"):
            assert outcome(printed + second, region) == REFUSED, (region, second)


# ---------------------------------------------------------------- WhatsApp


@pytest.mark.parametrize(
    ("text", "region", "form"),
    [
        ("+5215512345678", None, "+525512345678"),
        ("+52 1 55 1234 5678", None, "+525512345678"),
        ("+52 (1) 55 1234 5678", None, "+525512345678"),
        ("5215512345678", "MX", "+525512345678"),
        ("005215512345678", "DE", "+525512345678"),
        ("+525512345678", None, "+525512345678"),
        ("+22997123456", None, "+2290197123456"),
        ("+2290197123456", None, "+2290197123456"),
        # E.164 already, or another length that is still in use.
        ("+5491123456789", None, "+5491123456789"),
        ("+551187654321", None, "+551187654321"),
        ("+5511987654321", None, "+5511987654321"),
    ],
)
def test_whatsapp_ids_from_before_a_change_of_numbers_are_the_same_person(text, region, form):
    assert read(text, region, DestinationType.WHATSAPP) == form
    assert form in addresses.spellings(text, region)


@pytest.mark.parametrize("text", ["+5215512345678", "+52 1 55 1234 5678", "+22997123456"])
def test_no_telephone_number_is_mended_by_whatsapps_rules(text):
    assert "wrong length" in refusal(text)


@pytest.mark.parametrize("text", ["+22507123456", "+52155123456", "+521155123456789"])
def test_a_whatsapp_id_that_may_mean_several_numbers_or_none_is_refused(text):
    assert outcome(text, None, DestinationType.WHATSAPP) == REFUSED


def test_every_other_number_is_the_same_for_both_types():
    for region, number in EXAMPLES:
        text = phonenumbers.format_number(number, PhoneNumberFormat.INTERNATIONAL)
        assert outcome(text, region, DestinationType.WHATSAPP) == outcome(text, region) == e164(number)


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
