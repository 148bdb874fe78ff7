"""Which URLs may be called, before any name is resolved. Pure.

One strict grammar instead of a parser that forgives: whatever two parsers could read differently is refused, and what
is called is built again from the parts that were checked.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address

from domain.errors import ForbiddenAddress
from domain.outgoing.addresses import Address, Network, objection

MAX_URL = 2_048
LOCAL_NAMES = ("localhost", "local", "localdomain", "internal", "intranet", "lan", "corp", "home", "arpa", "onion")
"""Last labels of names that no public resolver should know."""
NO_HTTP = frozenset(
    {1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080}
)
"""Ports above 1023 that no browser calls either (Fetch standard, "bad port")."""

_SHAPE = re.compile(r"(?P<scheme>https?)://(?P<authority>[^/?#]*)(?P<path>[^?#]*)(?:\?(?P<query>[^#]*))?(?:#.*)?", re.I)
_AUTHORITY = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]*\]|[A-Za-z0-9._-]*)(?::(?P<port>[0-9]{1,5}))?")
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")


@dataclass(frozen=True, slots=True)
class Target:
    """A URL that may be called, in its parts. `address` where the host is one, `host` without brackets then."""

    scheme: str
    host: str
    port: int
    path: str
    query: str
    address: Address | None

    @property
    def place(self) -> str:
        """For messages: no path or query, they may hold secrets."""
        return f"{self.scheme}://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"


def parse(url: str) -> Target:
    """`url` in its parts, by the grammar alone. Raises ForbiddenAddress."""
    if len(url) > MAX_URL or not url.isascii() or any(c <= " " or c in '\\\x7f"<>^`{|}' for c in url):
        raise ForbiddenAddress(
            f"a URL has at most {MAX_URL} printable ASCII characters (a name in punycode, the rest percent-encoded)"
        )
    shape = _SHAPE.fullmatch(url)
    if shape is None:
        raise ForbiddenAddress("a URL must begin with https:// or http://")
    if "@" in shape["authority"]:
        raise ForbiddenAddress("a URL must not hold a user or a password")
    authority = _AUTHORITY.fullmatch(shape["authority"])
    if authority is None or not authority["host"]:
        raise ForbiddenAddress("a URL must name a host, and a port in digits if any")
    scheme = shape["scheme"].lower()
    port = int(authority["port"] or (443 if scheme == "https" else 80))
    host, address = _host(authority["host"].lower())
    return Target(scheme, host, port, shape["path"] or "/", shape["query"] or "", address)


def check(url: str, allow: Sequence[Network] = ()) -> Target:
    """`url` in its parts, where it may be called. Raises ForbiddenAddress.

    A name is only looked at as text here; what it resolves to is checked by whoever connects. Where `allow` names a
    network, names of a private network are taken too, and their addresses decide.
    """
    target = parse(url)
    _check_port(target.port)
    if target.address is not None:
        check_address(target.address, "the host of the URL", allow)
    elif not allow:
        labels = target.host.split(".")
        if len(labels) == 1 or labels[-1] in LOCAL_NAMES:
            raise ForbiddenAddress(f"{target.host[:100]} is a name of a private network, which is not allowed here")
    return target


def check_address(address: Address, named: str, allow: Sequence[Network] = ()) -> None:
    """Raises ForbiddenAddress; `named` is who has it, for the message."""
    if (reason := objection(address, tuple(allow))) is not None:
        raise ForbiddenAddress(f"{named} is at {address}, which is {reason}: not an address that may be called")


def _check_port(port: int) -> None:
    if port > 65535 or port in NO_HTTP or (port < 1024 and port not in (80, 443)):
        raise ForbiddenAddress(f"port {port} is not one that may be called: 80, 443, or one above 1023")


def _host(host: str) -> tuple[str, Address | None]:
    address = _literal(host)
    if address is not None:
        return str(address), address
    name = host.removesuffix(".")
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in name.split(".")):
        raise ForbiddenAddress("the host of a URL must be a name of letters, digits and hyphens, or an address")
    return name, None


def _literal(host: str) -> Address | None:
    """The address that `host` is. Raises ForbiddenAddress for one in a form that resolvers read in their own ways."""
    try:
        if host.startswith("["):
            return IPv6Address(host[1:-1])
        if _NUMBER.fullmatch(host.removesuffix(".").rsplit(".", 1)[-1]):
            return IPv4Address(host)
    except AddressValueError:
        raise ForbiddenAddress("an address in a URL must be four decimal numbers, or IPv6 in brackets") from None
    return None
