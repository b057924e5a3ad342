"""E-mail addresses. Pure, no I/O."""

import unicodedata

from app.addresses import characters
from app.addresses.domains import DOMAIN_OCTETS_MAX, LABEL_CHARACTERS_MAX
from app.addresses.refusals import InvalidAddress

# RFC 5322's atoms. Quoted local parts are legal, but nobody has one.
_ATOM_SIGNS = frozenset("!#$%&'*+/=?^_`{|}~-")
LOCAL_PART_OCTETS_MAX = 64


def canonical(text: str) -> str:
    # Two addresses that look the same would be two people in a list. Taking the mark out would change names of scripts
    # that are written with joiners.
    if characters.has_invisible(text):
        raise InvalidAddress(
            "The e-mail address contains an invisible character. Delete it, or type the address again."
        )
    # RFC 6531 allows letters of any script, RFC 6532 asks for NFC: the same name typed on two systems is one name.
    local_part, at, domain = unicodedata.normalize("NFC", text).rpartition("@")
    if (
        not at
        or len(local_part.encode()) > LOCAL_PART_OCTETS_MAX
        or not all(_is_word(atom, _ATOM_SIGNS) for atom in local_part.split("."))
    ):
        raise InvalidAddress("The e-mail address must be one address of the form name@example.com.")
    domain = unicodedata.normalize("NFC", domain.lower())
    labels = domain.split(".")
    if (
        len(labels) < 2  # outside a local network, a name without a dot is a typing error
        or len(domain.encode()) > DOMAIN_OCTETS_MAX
        or labels[-1].isdecimal()
        or not all(_is_mail_label(label) for label in labels)
    ):
        raise InvalidAddress("The e-mail address needs a domain such as example.com after its @.")
    return f"{local_part}@{domain}"


def compared(form: str) -> str:
    """The canonical form without case. A server might tell cases apart before the @; none that people use does."""
    return unicodedata.normalize("NFC", form.replace("İ", "i").lower())  # the one letter that would become longer


def _is_mail_label(label: str) -> bool:
    return (
        len(label) <= LABEL_CHARACTERS_MAX
        and _is_word(label, frozenset("-"))
        and not label.startswith("-")
        and not label.endswith("-")
    )


def _is_word(text: str, signs: frozenset[str]) -> bool:
    """Letters and digits of any script, with the marks that many scripts are written with, and the given signs."""
    return text.isalnum() or (
        bool(text)
        and all(
            character.isalnum() or character in signs or unicodedata.category(character).startswith("M")
            for character in text
        )
    )
