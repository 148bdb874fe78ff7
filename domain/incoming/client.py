"""Who sent a request that came through proxies. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network

from domain.outgoing.addresses import Address, Network

UNKNOWN = "unknown"
_PREFIX_V6 = 64  # what a provider gives to one customer, who may use every address in it


@dataclass(frozen=True, slots=True)
class Client:
    """`address` is what limits count by: an IPv4 address, or the /64 of an IPv6 one; `secure`: it speaks TLS."""

    address: str
    secure: bool


def is_trusted(peer: str, trusted: Sequence[Network]) -> bool:
    """Whether the one at the other end of the connection is a proxy of the operator's."""
    address = _parsed(peer)
    return address is not None and _within(address, trusted)


def behind(peer: str, forwarded: str, trusted: Sequence[Network]) -> str:
    """The address that a client has for limits; `forwarded` is X-Forwarded-For as it came.

    Every proxy adds at the right the address that it saw, so the list is read from there: what stands left of the
    first address that is no proxy of ours was written by the client, who may write anything.
    """
    nearest = _parsed(peer)
    if nearest is None:
        return UNKNOWN
    for text in reversed(forwarded.split(",")) if forwarded else ():
        if not _within(nearest, trusted):
            break
        further = _parsed(text)
        if further is None:
            break
        nearest = further
    return _counted(nearest)


def _within(address: Address, networks: Sequence[Network]) -> bool:
    return any(address in network for network in networks)


def _counted(address: Address) -> str:
    if isinstance(address, IPv6Address):
        return str(ip_network((address, _PREFIX_V6), strict=False))
    return str(address)


def _parsed(text: str) -> Address | None:
    """An address, with or without a port: `192.0.2.1:443`, `[2001:db8::1]:443`."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
