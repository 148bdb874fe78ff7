"""Which addresses may be connected to. Pure.

The lists are IANA's special-purpose registries (RFC 6890 and its successors), written out: what `ipaddress` calls
global differs between versions of Python.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

NEVER = {
    "unspecified": ("0.0.0.0/8", "::/128"),
    "multicast": ("224.0.0.0/4", "ff00::/8"),
    "reserved": ("240.0.0.0/4",),
    "a cloud's metadata service": (
        "169.254.169.254/32",
        "169.254.170.2/32",
        "169.254.170.23/32",
        "168.63.129.16/32",
        "100.100.100.200/32",
        "192.0.0.192/32",
        "fd00:ec2::254/128",
        "fd00:ec2::23/128",
        "fd20:ce::254/128",
    ),
}
"""Refused whatever the operator allows: no receiver is there."""

PRIVATE = {
    "loopback": ("127.0.0.0/8", "::1/128"),
    "private": ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"),
    "link-local": ("169.254.0.0/16", "fe80::/10"),
    "shared by a carrier (CGNAT)": ("100.64.0.0/10",),
    "reserved": (
        "192.0.0.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",
        "192.175.48.0/24",
        "198.18.0.0/15",
        "2001::/23",
        "2620:4f:8000::/48",
    ),
    "an example": ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32", "3fff::/20"),
    "a 6to4 tunnel": ("2002::/16",),
}
"""Refused unless the operator allows a network that holds it."""

_MAPPED = ip_network("::ffff:0:0/96")
_NAT64 = ip_network("64:ff9b::/96")
_UNICAST = ip_network("2000::/3")


def _table(named: dict[str, tuple[str, ...]]) -> tuple[tuple[Network, str], ...]:
    return tuple((ip_network(network), reason) for reason, networks in named.items() for network in networks)


_NEVER, _PRIVATE = _table(NEVER), _table(PRIVATE)


def parse_networks(text: str) -> tuple[Network, ...]:
    """Networks from CIDRs (or single addresses) separated by commas. Raises ValueError naming the one at fault."""
    found: list[Network] = []
    for part in filter(None, (one.strip() for one in text.split(","))):
        try:
            found.append(ip_network(part))
        except ValueError as error:
            raise ValueError(f"{part!r} is no network: write it as 10.0.0.0/8 or fd00::/8 ({error})") from None
    return tuple(found)


@lru_cache(maxsize=4096)
def objection(address: Address, allow: Sequence[Network] = ()) -> str | None:
    """Why `address` may not be connected to, None where it may.

    An IPv4 address inside an IPv6 one (mapped, NAT64) is judged as what it is; every other IPv6 address outside of the
    global unicast range is refused, tunnels too. `allow` must be hashable (a tuple): the answers are remembered.
    """
    if (inner := _embedded(address)) is not None:
        return objection(inner, allow)
    if (reason := _found(address, _NEVER)) is not None:
        return reason
    if _within(address, allow):
        return None
    if (reason := _found(address, _PRIVATE)) is not None:
        return reason
    if address.version == 6 and address not in _UNICAST:
        return "not global"
    return None


def _embedded(address: Address) -> IPv4Address | None:
    if isinstance(address, IPv6Address) and (address in _MAPPED or address in _NAT64):
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return None


def _found(address: Address, table: Iterable[tuple[Network, str]]) -> str | None:
    return next((reason for network, reason in table if address in network), None)


def _within(address: Address, networks: Iterable[Network]) -> bool:
    return any(address in network for network in networks)
