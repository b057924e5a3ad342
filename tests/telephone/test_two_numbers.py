"""Two numbers in one text, dates, and WhatsApp: the right number, or a refusal that says why."""

import phonenumbers
import pytest
from phonenumbers import PhoneNumberFormat

from app import addresses
from app.addresses import DestinationType
from tests.support.numbers import EXAMPLES, REFUSED, e164, national_digits, outcome, read, refusal, significant

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
