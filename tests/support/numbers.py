"""Telephone numbers of all regions, and what is read in a text."""

import random

import phonenumbers
import pytest
from phonenumbers import PhoneNumber, PhoneNumberFormat, PhoneNumberType, ValidationResult

from app import addresses
from app.addresses import DestinationType, InvalidAddress

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
