"""Addresses of destinations: their types, and the canonical form that each is checked and stored in. Pure, no I/O."""

import unicodedata
from contextlib import suppress
from enum import StrEnum

from app.addresses import characters, email, pairs, sip, telephone
from app.addresses.refusals import InvalidAddress
from app.addresses.telephone import is_scientific

__all__ = [
    "ADDRESS_CHARACTERS_MAX",
    "DestinationType",
    "InvalidAddress",
    "canonical",
    "compared",
    "is_blank",
    "is_scientific",
    "readings",
    "spellings",
]

ADDRESS_CHARACTERS_MAX = 255


class DestinationType(StrEnum):
    AGENT = "AGENT"
    AI = "AI"
    AI_TEAM = "AI_TEAM"
    CONFERENCE = "CONFERENCE"
    EMAIL = "EMAIL"
    EXTENSION = "EXTENSION"
    LINE = "LINE"
    SIP = "SIP"
    TEL = "TEL"
    WEBCHAT = "WEBCHAT"
    WEB_SESSION = "WEB_SESSION"
    WHATSAPP = "WHATSAPP"


def canonical(address_type: DestinationType, text: str, *, default_region: str | None) -> str:
    """The form in which an address is stored and shown. A canonical form stays as it is.

    Args:
        address_type: decides which form that is.
        text: as somebody wrote it; white space and invisible marks around it are dropped.
        default_region: the ISO 3166 region that national numbers are taken to be from, upper-case.

    Raises:
        InvalidAddress: with what is wrong and what to do, in words for the person who wrote it.
    """
    forms = _forms(address_type, text, default_region)
    if len(forms) > 1:
        raise InvalidAddress(
            "The number is ambiguous: it can be read as two different numbers. Start it with + and its country code,"
            " and leave out a zero in brackets."
        )
    return forms[0]


def compared(address_type: DestinationType, form: str) -> str:
    """What is the same for two addresses at which the same person is reached. What it returns stays as it is.

    A person who asked not to be called as `ann@example.com` must not be called as `Ann@example.com`.

    Args:
        address_type: of the address.
        form: the canonical one.
    """
    match address_type:
        case DestinationType.EMAIL:
            return email.compared(form)
        case DestinationType.SIP:
            return sip.compared(form)
        case _:
            return form


def is_blank(text: str) -> bool:
    """Whether a text shows nothing."""
    return not characters.trimmed(text)


def spellings(text: str, default_region: str | None) -> tuple[str, ...]:
    """Every form, as addresses are compared, that a text may mean under some type; empty if it is no address at all."""
    forms: dict[str, None] = {}
    for address_type in _DISTINCT:
        with suppress(InvalidAddress):
            forms |= _compared_forms(address_type, text, default_region)
    return tuple(forms)


def readings(text: str, address_type: DestinationType | None, default_region: str | None) -> tuple[str, ...]:
    """Every form, as addresses are compared, that a text may mean to somebody who asks for one: at least one.

    Unlike `spellings`, it does not take any text for an address. Who asks whether a number is on a list must never
    get "no" for a number that nobody could read.

    Args:
        text: as somebody wrote it.
        address_type: TEL and WHATSAPP are one. None: a number, an e-mail address or a SIP address, as it looks.
        default_region: as of `canonical`.

    Raises:
        InvalidAddress: as `canonical` does.
    """
    forms: dict[str, None] = {}
    refusals: list[InvalidAddress] = []
    for one in _possible_types(text, address_type):
        try:
            forms |= _compared_forms(one, text, default_region)
        except InvalidAddress as refusal:
            refusals.append(refusal)
    if not forms:
        raise refusals[0]
    return tuple(forms)


def _possible_types(text: str, address_type: DestinationType | None) -> tuple[DestinationType, ...]:
    if address_type is not None:
        return _TELEPHONE if address_type in _TELEPHONE else (address_type,)
    if sip.has_scheme(characters.trimmed(text)):
        return (DestinationType.SIP,)
    return (DestinationType.EMAIL, DestinationType.SIP) if "@" in text else _TELEPHONE


_TELEPHONE = (DestinationType.TEL, DestinationType.WHATSAPP)
# AGENT represents all types that store the text as it is.
_DISTINCT = (
    DestinationType.TEL,
    DestinationType.WHATSAPP,
    DestinationType.EMAIL,
    DestinationType.SIP,
    DestinationType.AGENT,
)


def _compared_forms(address_type: DestinationType, text: str, region: str | None) -> dict[str, None]:
    return {compared(address_type, form): None for form in _forms(address_type, text, region)}


def _forms(address_type: DestinationType, text: str, region: str | None) -> tuple[str, ...]:
    """Each canonical form that the text may have under the type; more than one for an ambiguous number.

    Raises:
        InvalidAddress: it has none.
    """
    text = characters.trimmed(text)
    if not text:
        raise InvalidAddress("The address is empty.")
    if len(text) > ADDRESS_CHARACTERS_MAX:
        raise InvalidAddress(_TOO_LONG)
    is_telephone = address_type in _TELEPHONE
    # Lone surrogates (Cs) come in through JSON escapes, and no database takes them.
    if not text.isprintable() and any(unicodedata.category(sign) in {"Cc", "Cs", "Zl", "Zp"} for sign in text):
        if is_telephone and pairs.is_list(text):
            raise InvalidAddress(telephone.SEVERAL)
        raise InvalidAddress("The address contains control characters, such as a tab or a line end. Delete them.")
    if is_telephone:
        return telephone.readings(text, region, is_whatsapp=address_type is DestinationType.WHATSAPP)
    match address_type:
        case DestinationType.EMAIL:
            form = email.canonical(text)
        case DestinationType.SIP:
            form = sip.canonical(text)
        case _:
            form = text
    if len(form) > ADDRESS_CHARACTERS_MAX:
        raise InvalidAddress(_TOO_LONG)
    return (form,)


_TOO_LONG = f"The address is longer than {ADDRESS_CHARACTERS_MAX} characters."
