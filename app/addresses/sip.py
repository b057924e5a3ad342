"""SIP addresses (RFC 3261, section 19.1). Pure, no I/O."""

import ipaddress
import re

from app.addresses import characters
from app.addresses.domains import DOMAIN_OCTETS_MAX, LABEL_CHARACTERS_MAX
from app.addresses.refusals import InvalidAddress

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
_USUAL_PORTS = {"sip": "5060", "sips": "5061"}
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_NEEDS_NO_ESCAPE = re.compile(rf"[{_UNRESERVED}&=+$,;?/]")


def has_scheme(text: str) -> bool:
    return _SCHEME.match(text) is not None


def canonical(text: str) -> str:
    if characters.has_invisible(text):
        raise InvalidAddress("The SIP address contains an invisible character. Delete it, or type the address again.")
    match = _SCHEME.fullmatch(text)
    scheme, rest = (match[1].lower(), match[2]) if match else ("sip", text)
    user, at, place_text = rest.rpartition("@")
    if at:
        user_match = _USER.fullmatch(user)
        # "mailto:ann@…" is another kind of URI, not the user mailto with a password.
        if user_match is None or (user_match["password"] is not None and match is None):
            raise InvalidAddress("The SIP address must be of the form sip:user@host; escape other characters as %XX.")
    place = _SIP_PLACE.fullmatch(place_text)
    if place is None or (place["port"] is not None and int(place["port"]) > PORT_MAX):
        raise InvalidAddress("The SIP address needs a host, then an optional :port and ;parameters.")
    port = f":{place['port']}" if place["port"] else ""
    return f"{scheme}:{user}{at}{_sip_host(place['host'])}{port}{place['rest']}"


def compared(form: str) -> str:
    """The canonical form without what says how to get there and not whom.

    That is the scheme and its usual port, a password, parameters and headers. Case does not count, nor whether a
    character is escaped that need not be.
    """
    scheme, _, rest = form.partition(":")
    user, at, place_text = rest.rpartition("@")
    place = _SIP_PLACE.fullmatch(place_text)
    if place is None:
        return form  # no SIP address: it is equal to itself alone
    port = "" if place["port"] in {None, _USUAL_PORTS.get(scheme)} else f":{place['port']}"
    name = _ESCAPE.sub(_plain, user.partition(":")[0])
    return f"sip:{name.lower()}{at}{place['host']}{port}"


def _plain(escape: re.Match[str]) -> str:
    """What an escape stands for, if that needs none (RFC 3261: then both are equal)."""
    sign = chr(int(escape[1], 16))
    return sign if _NEEDS_NO_ESCAPE.fullmatch(sign) else escape[0]


def _sip_host(host: str) -> str:
    try:
        if host.startswith("["):
            return f"[{ipaddress.IPv6Address(host[1:-1])}]"
        if host.replace(".", "").isdecimal():
            # A number without a host is an extension, and nobody knows of which phone system.
            return str(ipaddress.IPv4Address(host))
    except ValueError:
        raise InvalidAddress("The SIP address needs a host name or an IP address.") from None
    host = host.lower().removesuffix(".")
    if len(host) > DOMAIN_OCTETS_MAX or not all(
        len(label) <= LABEL_CHARACTERS_MAX and _HOST_LABEL.fullmatch(label) for label in host.split(".")
    ):
        raise InvalidAddress("The SIP address needs a host name or an IP address.")
    return host
