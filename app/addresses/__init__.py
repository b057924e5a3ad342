"""Addresses of destinations: their types, what is accepted and the one form each is kept in. Pure, no I/O."""

import unicodedata
from contextlib import suppress
from enum import StrEnum

from app.addresses import email, sip, telephone
from app.addresses.refusals import InvalidAddress
from app.addresses.telephone import is_scientific

__all__ = ["ADDRESS_CHARACTERS_MAX", "DestinationType", "InvalidAddress", "canonical", "is_scientific", "spellings"]

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
    """The form in which an address is kept and compared; applied to its own result it changes nothing.

    Args:
        address_type: decides which form that is.
        text: as somebody wrote it; white space around it is dropped.
        default_region: the ISO 3166 region that national numbers are taken to be from, upper-case.

    Raises:
        InvalidAddress: with what is wrong, in words for whoever wrote it.
    """
    text = text.strip()
    if not text:
        raise InvalidAddress("The address is empty.")
    if len(text) > ADDRESS_CHARACTERS_MAX:
        raise InvalidAddress(f"The address is longer than {ADDRESS_CHARACTERS_MAX} characters.")
    # Lone surrogates (Cs) come in through JSON escapes, and no database takes them.
    if not text.isprintable() and any(unicodedata.category(sign) in {"Cc", "Cs", "Zl", "Zp"} for sign in text):
        raise InvalidAddress("The address contains control characters.")

    match address_type:
        case DestinationType.TEL | DestinationType.WHATSAPP:
            form = telephone.canonical(text, default_region)
        case DestinationType.EMAIL:
            form = email.canonical(text)
        case DestinationType.SIP:
            form = sip.canonical(text)
        case _:
            form = text
    if len(form) > ADDRESS_CHARACTERS_MAX:
        raise InvalidAddress(f"The address is longer than {ADDRESS_CHARACTERS_MAX} characters.")
    return form


def spellings(text: str, default_region: str | None) -> tuple[str, ...]:
    """Every canonical form that a text may mean under some type; empty where it is no address at all."""
    forms: dict[str, None] = {}
    # AGENT stands for all the types that keep the text as it is, TEL for WHATSAPP too.
    for address_type in (DestinationType.TEL, DestinationType.EMAIL, DestinationType.SIP, DestinationType.AGENT):
        with suppress(InvalidAddress):
            forms[canonical(address_type, text, default_region=default_region)] = None
    return tuple(forms)
