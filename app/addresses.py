"""Addresses of destinations: their types, what is accepted and the one form each is kept in. Pure, no I/O."""

import ipaddress
import re
import unicodedata
from contextlib import suppress
from enum import StrEnum

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberFormat, ValidationResult

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


class InvalidAddress(ValueError):  # noqa: N818 - said of a value, as the errors of app.errors are
    """The text is no address of that type. The message never repeats it, so it may be shown and logged."""


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
            form = _e164(text, default_region)
        case DestinationType.EMAIL:
            form = _email(text)
        case DestinationType.SIP:
            form = _sip(text)
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


# ---------------------------------------------------------------- telephone numbers

# Decimal digits of any script and what people put between them. Letters are refused although phonenumbers reads
# vanity numbers: in a calling list "FLOWERS" is rarer than a note or a shifted column, and what is dialed by mistake
# belongs to somebody.
_NUMBER = re.compile(r"(?:tel:)?([+＋]?[\d\s()./\-‐-―−]*)", re.IGNORECASE)  # noqa: RUF001 - meant
_SCIENTIFIC = re.compile(r"[+-]?\d+(?:[.,]\d+)?\s*[eE]\s*[+-]?\d+")
_EXTENSION = re.compile(r"(?:#|;ext=|,|\b(?:ext|extension|x)\b|x(?=\d)).*\d", re.IGNORECASE)


def is_scientific(text: str) -> bool:
    """Whether a spreadsheet made a number in scientific notation of it (4.91512E+11), whose last digits are lost."""
    return _SCIENTIFIC.fullmatch(text.strip()) is not None


def _e164(text: str, default_region: str | None) -> str:
    match = _NUMBER.fullmatch(text)
    if match is None:
        if is_scientific(text):
            raise InvalidAddress(
                "A spreadsheet has turned the number into scientific notation and its last digits are lost; "
                "make the column text and enter it again."
            )
        if _EXTENSION.search(text):
            raise InvalidAddress("The number has an extension, which E.164 cannot hold; leave it out.")
        raise InvalidAddress("The number may contain digits, spaces and ( ) . / - only, after an optional +.")
    number_text = match[1]
    international = number_text.startswith(("+", "＋"))  # noqa: RUF001 - the wide plus of East Asian keyboards
    try:
        number = phonenumbers.parse(number_text, None if international else default_region)
    except NumberParseException as error:
        if error.error_type == NumberParseException.INVALID_COUNTRY_CODE and not international:
            raise InvalidAddress(_NO_COUNTRY) from None
        raise InvalidAddress("The number is no telephone number: its length or its country code is wrong.") from None

    # Possible, not valid: ranges are assigned faster than metadata is released.
    reason = phonenumbers.is_possible_number_with_reason(number)
    if reason == ValidationResult.IS_POSSIBLE_LOCAL_ONLY and not international:
        # A short code ("110") or a number without its area code: with the country code put before it, it would be
        # another number. Who writes the country code himself is taken at his word.
        raise InvalidAddress("The number is a short code or lacks its area code; write it with its country code, as +…")
    if reason not in {ValidationResult.IS_POSSIBLE, ValidationResult.IS_POSSIBLE_LOCAL_ONLY}:
        raise InvalidAddress("The number has the wrong length for its country.")
    form = phonenumbers.format_number(number, PhoneNumberFormat.E164)
    # What has the digits of its own form was parsed as that form just now; a second parsing takes as long as the first.
    reads_back = international and number_text.isascii() and f"+{_NO_DIGITS.sub('', number_text)}" == form
    if not reads_back and not _is_stable(form):
        raise InvalidAddress("The number is ambiguous; write it with its country code, as +…")
    return form


_NO_DIGITS = re.compile(r"\D")
_NO_COUNTRY = "The number has no country code: begin it with +, or set OUTDIAL_DEFAULT_REGION on the server."


def _is_stable(form: str) -> bool:
    """Whether E.164 text reads back as itself: what looks like a national prefix may be dropped at each pass."""
    try:
        number = phonenumbers.parse(form)
    except NumberParseException:
        return False
    return phonenumbers.is_possible_number(number) and (
        phonenumbers.format_number(number, PhoneNumberFormat.E164) == form
    )


# ---------------------------------------------------------------- e-mail

# RFC 5322's atoms. Quoted local parts are legal, but nobody has one.
_ATOM_SIGNS = frozenset("!#$%&'*+/=?^_`{|}~-")
LOCAL_PART_OCTETS_MAX = 64
DOMAIN_OCTETS_MAX = 253
LABEL_CHARACTERS_MAX = 63


def _email(text: str) -> str:
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
        len(labels) < 2  # a name without a dot is a typing error, outside of one's own network
        or len(domain.encode()) > DOMAIN_OCTETS_MAX
        or labels[-1].isdecimal()
        or not all(_is_mail_label(label) for label in labels)
    ):
        raise InvalidAddress("The e-mail address needs a domain such as example.com after its @.")
    return f"{local_part}@{domain}"


def _is_mail_label(label: str) -> bool:
    return (
        len(label) <= LABEL_CHARACTERS_MAX
        and _is_word(label, frozenset("-"))
        and not label.startswith("-")
        and not label.endswith("-")
    )


def _is_word(text: str, signs: frozenset[str]) -> bool:
    """Letters and digits of any script, with the marks that many scripts are written with, and the given signs."""
    return bool(text) and all(
        character.isalnum() or character in signs or unicodedata.category(character).startswith("M")
        for character in text
    )


# ---------------------------------------------------------------- SIP (RFC 3261, section 19.1)

_SCHEME = re.compile(r"(sips?):(.*)", re.IGNORECASE)
_UNRESERVED = r"A-Za-z0-9\-_.!~*'()"
_ESCAPED = r"%[0-9A-Fa-f]{2}"
_USER = re.compile(rf"(?:[{_UNRESERVED}&=+$,;?/]|{_ESCAPED})+(?P<password>:(?:[{_UNRESERVED}&=+$,]|{_ESCAPED})*)?")
_SIP_PLACE = re.compile(
    r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)"
    r"(?::(?P<port>[1-9][0-9]{0,4}))?"
    rf"(?P<rest>(?:;(?:[{_UNRESERVED}\[\]/:&+$=]|{_ESCAPED})+)*(?:\?(?:[{_UNRESERVED}\[\]/?:+$=&]|{_ESCAPED})+)?)"
)
_HOST_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?")
PORT_MAX = 65535


def _sip(text: str) -> str:
    match = _SCHEME.fullmatch(text)
    scheme, rest = (match[1].lower(), match[2]) if match else ("sip", text)
    user, at, place_text = rest.rpartition("@")
    if at:
        user_match = _USER.fullmatch(user)
        # Without a scheme of its own, "mailto:ann@…" is some other URI and not the user mailto with a password.
        if user_match is None or (user_match["password"] is not None and match is None):
            raise InvalidAddress("The SIP address must be of the form sip:user@host; escape other characters as %XX.")
    place = _SIP_PLACE.fullmatch(place_text)
    if place is None or (place["port"] is not None and int(place["port"]) > PORT_MAX):
        raise InvalidAddress("The SIP address needs a host, then an optional :port and ;parameters.")
    port = f":{place['port']}" if place["port"] else ""
    return f"{scheme}:{user}{at}{_sip_host(place['host'])}{port}{place['rest']}"


def _sip_host(host: str) -> str:
    try:
        if host.startswith("["):
            return f"[{ipaddress.IPv6Address(host[1:-1])}]"
        if host.replace(".", "").isdecimal():
            # A bare number is somebody's extension; without a host nobody knows at which exchange.
            return str(ipaddress.IPv4Address(host))
    except ValueError:
        raise InvalidAddress("The SIP address needs a host name or an IP address.") from None
    host = host.lower().removesuffix(".")
    if len(host) > DOMAIN_OCTETS_MAX or not all(
        len(label) <= LABEL_CHARACTERS_MAX and _HOST_LABEL.fullmatch(label) for label in host.split(".")
    ):
        raise InvalidAddress("The SIP address needs a host name or an IP address.")
    return host
