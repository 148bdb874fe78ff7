"""Who is at the other end, with the operator's proxies taken away."""

from functools import lru_cache

from starlette.types import Scope

from domain.incoming.client import Client, behind, is_trusted
from domain.outgoing.addresses import Network

CLIENT = "structured_prompt.client"
MAX_REMEMBERED = 4096


class Peers:
    """`trusted` are the networks of proxies whose X-Forwarded-For and X-Forwarded-Proto are believed."""

    def __init__(self, trusted: tuple[Network, ...]) -> None:
        self._behind = lru_cache(MAX_REMEMBERED)(lambda peer, forwarded: behind(peer, forwarded, trusted))
        self._trusts = lru_cache(MAX_REMEMBERED)(lambda peer: is_trusted(peer, trusted))

    def of(self, scope: Scope) -> Client:
        """Headers of a peer that is no proxy of ours are not looked at."""
        address = scope.get("client")
        peer = address[0] if address else ""
        secure = scope["scheme"] == "https"
        if not self._trusts(peer):
            return Client(self._behind(peer, ""), secure)
        forwarded, proto = _forwarded(scope["headers"])
        return Client(self._behind(peer, forwarded), secure or proto == "https")


def _forwarded(headers: list[tuple[bytes, bytes]]) -> tuple[str, str]:
    """X-Forwarded-For as one list, and what the nearest proxy says of the scheme."""
    hops = [value.decode("latin-1") for name, value in headers if name == b"x-forwarded-for"]
    protos = [value.decode("latin-1") for name, value in headers if name == b"x-forwarded-proto"]
    return ",".join(hops), protos[-1].rpartition(",")[2].strip().lower() if protos else ""
