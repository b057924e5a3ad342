"""Country codes without +, after zeros or twice: one number, the right one, or a refusal."""

import random

import phonenumbers
import pytest
from phonenumbers import PhoneNumberFormat

from app import addresses
from tests.support.numbers import (
    EXAMPLES,
    REFUSED,
    e164,
    outcome,
    read,
    refusal,
    significant,
    variants,
)


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
