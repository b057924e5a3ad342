"""Whose a connection is: the address that it counts for."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

from app.settings import Network

PREFIX_BITS = 64
"""Of an IPv6 address: one customer of a provider has all addresses with this prefix."""
FORWARDED_MAX = 20
"""Addresses of X-Forwarded-For that are read, from its end: each proxy of the way adds one."""


@lru_cache(maxsize=1_000)
def is_within(peer: str, networks: Sequence[Network]) -> bool:
    """Whether this is the address of a proxy that is trusted."""
    address = _parse(peer)
    return address is not None and any(address in network for network in networks)


def origin(peer: str, forwarded: Iterable[bytes], trusted: Sequence[Network]) -> str:
    """The address that a connection counts for.

    Args:
        peer: of the connection.
        forwarded: the values of the request's X-Forwarded-For.
        trusted: proxies that add to it. Nobody else's word counts.

    Returns:
        the last address that none of the trusted proxies has; the peer, if the header names none.
    """
    if not is_within(peer, trusted):
        return shortened(peer)
    named = b",".join(forwarded).decode("latin-1").rsplit(",", FORWARDED_MAX)[-FORWARDED_MAX:]
    for text in reversed(named):
        address = _parse(_without_port(text.strip()))
        if address is None:
            break
        if not any(address in network for network in trusted):
            return shortened(str(address))
    return shortened(peer)


@lru_cache(maxsize=1_000)
def shortened(text: str) -> str:
    """The address as it is counted: IPv6 by its prefix."""
    address = _parse(text)
    if isinstance(address, IPv6Address):
        return str(IPv6Network((address, PREFIX_BITS), strict=False))
    return text if address is None else str(address)


def _parse(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return (isinstance(address, IPv6Address) and address.ipv4_mapped) or address


def _without_port(text: str) -> str:
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0] if text.count(":") == 1 else text
