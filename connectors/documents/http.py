"""Documents at http and https addresses, through the guard."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from connectors.guarded import Answer, Bounds, GuardedHttp, Outgoing, Resolve
from domain.errors import Permanent, Transient
from domain.outgoing.addresses import Network
from domain.ports import Opened

BOUNDS = Bounds(connect_s=5.0, total_s=30.0, connections=64, per_host=32)
LATER = frozenset({408, 425, 429})
"""Beside every 5xx: the same document may be had later."""


class HttpDocuments:
    """Implements Documents; `resolve` is a test's name server."""

    def __init__(self, allow: Sequence[Network] = (), resolve: Resolve | None = None) -> None:
        self._http = GuardedHttp(allow, BOUNDS, resolve)

    @asynccontextmanager
    async def open(self, url: str) -> AsyncIterator[Opened]:
        place = self._http.check(url).place
        async with self._http.open(
            Outgoing("GET", url, {"accept": "*/*", "user-agent": "structured-prompt"})
        ) as answer:
            _judge(place, answer)
            yield Opened(answer.headers.get("content-type", ""), _length(answer.headers), answer.read)

    async def close(self) -> None:
        await self._http.close()


def _judge(place: str, answer: Answer) -> None:
    """Raises Transient and Permanent."""
    if answer.status in LATER or answer.status >= 500:
        raise Transient(f"{place} answered with status {answer.status}", _seconds(answer.headers))
    if answer.status != 200:
        moved = "; redirects are not followed" if 300 <= answer.status < 400 else ""
        raise Permanent(f"{place} answered with status {answer.status}{moved}")
    if answer.headers.get("content-encoding", "identity").lower() != "identity":
        raise Permanent(f"{place} sent it compressed, though it was asked not to")


def _length(headers: Mapping[str, str]) -> int | None:
    text = headers.get("content-length", "")
    return int(text) if text.isdecimal() else None


def _seconds(headers: Mapping[str, str]) -> float | None:
    text = headers.get("retry-after", "")
    return float(text) if text.isdecimal() else None
