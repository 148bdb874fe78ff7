"""HTTP to where somebody else said: a tenant's webhook, a reference in a prompt. The only way out for such URLs.

    http = GuardedHttp(networks)                        # what the operator allows beside public addresses
    http.check(url)                                     # as text only, for the door; raises ForbiddenAddress
    reply = await http.send(Outgoing("POST", url, {"content-type": "application/json"}, body))
    reply.status, reply.headers, reply.body, reply.whole, reply.seconds

    async with http.open(Outgoing("GET", url)) as answer:   # to look at the head first
        body, whole = await answer.read(most)

    await http.close()

What holds, for both:

- The URL follows `domain/outgoing/urls.py`, the addresses `domain/outgoing/addresses.py`. A name is resolved once a
  connection; if any of its addresses may not be called, none is; what is connected to is one of those that were
  checked, and each is checked once more when its socket is made. TLS and Host name the host of the URL.
- No redirect is followed (a 3xx is the answer), no proxy and no credentials are taken from the environment, no cookie
  is kept, nothing is decompressed.
- `Bounds`: connecting has its time, everything together (name, connection, request, body) has its own, and of a body
  no more than `body` bytes are read: what is longer is cut, its connection closed, and `whole` is false.

Raises ForbiddenAddress (never try again) and Transient (nothing may be assumed: the request may have been received).
Messages name scheme, host and port only. Connections are kept and used again for the same scheme, host and port.
"""

import asyncio
import socket
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from multidict import CIMultiDict
from yarl import URL

from domain.errors import Transient
from domain.outgoing.addresses import Network
from domain.outgoing.urls import Target, check, check_address

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""A name and a port -> its addresses as text. Raises OSError where there are none."""
OURS = frozenset({"host", "content-length", "transfer-encoding", "connection", "expect", "upgrade", "te", "trailer"})
"""Headers that belong to the connection; a caller's are left out."""
LOOKUPS = 16
"""Names that are resolved at the same time: a slow name server holds up no more than these."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Seconds to resolve a name, to connect (TLS included), and for all; bytes of a body; connections at a time."""

    connect_s: float = 5.0
    total_s: float = 15.0
    body: int = 64 * 1024
    connections: int = 256
    per_host: int = 16


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One request."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back. `seconds` is from the first step to the last byte read."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    whole: bool
    seconds: float


class Answer:
    """The head of an answer; its body is read at most once."""

    def __init__(self, response: aiohttp.ClientResponse, place: str) -> None:
        self._response = response
        self._place = place
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers

    async def read(self, most: int) -> tuple[bytes, bool]:
        """At most `most` bytes of the body, and whether that is all of it. Raises Transient."""
        pieces, size = [], 0
        with _told(self._place):
            async for piece in self._response.content.iter_chunked(1 << 16):
                pieces.append(piece[: most - size])
                size += len(piece)
                if size > most:
                    self._response.close()
                    return b"".join(pieces), False
        return b"".join(pieces), True


class GuardedHttp:
    """One for a purpose, since `allow` is the same for all it sends.

    allow:    networks that may be called although they are private
    resolve:  the machine's resolver, in threads of its own, unless a test has another
    tls:      the machine's certificates unless given
    """

    def __init__(
        self,
        allow: Sequence[Network] = (),
        bounds: Bounds = Bounds(),
        resolve: Resolve | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._allow = tuple(allow)
        self._bounds = bounds
        self._threads: ThreadPoolExecutor | None = None
        self._resolver = _Checked(resolve or self._look_up, self._allow, bounds.connect_s)
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None

    def check(self, url: str) -> Target:
        """What can be said of a URL without asking anybody. Raises ForbiddenAddress."""
        return check(url, self._allow)

    async def send(self, request: Outgoing) -> Reply:
        """The whole answer, its body cut where it is longer than the bound. Raises ForbiddenAddress, Transient."""
        began = time.monotonic()
        async with self.open(request) as answer:
            body, whole = await answer.read(self._bounds.body)
            seconds = time.monotonic() - began
            return Reply(answer.status, answer.headers, body, whole, seconds)

    @asynccontextmanager
    async def open(self, request: Outgoing) -> AsyncIterator[Answer]:
        """The head of the answer; the bound on time holds until the block ends. Raises ForbiddenAddress, Transient."""
        target, seconds = self.check(request.url), self._bounds.total_s
        try:
            async with asyncio.timeout(seconds):
                with _told(target.place):
                    response = await self._ask(target, request)
                async with response:
                    yield Answer(response, target.place)
        except TimeoutError as error:
            raise Transient(f"{target.place} did not answer in full within {seconds:g} s") from error

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)
            self._threads = None

    async def _ask(self, target: Target, request: Outgoing) -> aiohttp.ClientResponse:
        session = self._session or self._open()
        head = CIMultiDict({name: text for name, text in request.headers.items() if name.lower() not in OURS})
        head.setdefault("accept-encoding", "identity")
        url = URL.build(
            scheme=target.scheme,
            host=target.host,
            port=target.port,
            path=target.path,
            query_string=target.query,
            encoded=True,
        )
        return await session.request(
            request.method, url, data=request.body or None, headers=head, allow_redirects=False
        )

    def _open(self) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            resolver=self._resolver,
            use_dns_cache=False,
            limit=self._bounds.connections,
            limit_per_host=self._bounds.per_host,
            ssl=self._tls or True,
            socket_factory=self._socket,
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._bounds.connect_s),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            skip_auto_headers=("user-agent", "accept", "content-type"),
        )
        return self._session

    def _socket(self, info: Any) -> socket.socket:
        """The last look, at the very address that is connected to; hosts that are addresses come by no resolver."""
        family, kind, protocol, _, place = info
        check_address(ip_address(place[0]), "the connection", self._allow)
        return socket.socket(family, kind, protocol)

    async def _look_up(self, name: str, port: int) -> Sequence[str]:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(LOOKUPS, thread_name_prefix="names")
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self._threads, _addresses, name, port)
        return list(dict.fromkeys(found))


class _Checked(AbstractResolver):
    """Asks once, checks everything that was said, and hands on exactly that."""

    def __init__(self, resolve: Resolve, allow: tuple[Network, ...], seconds: float) -> None:
        self._resolve = resolve
        self._allow = allow
        self._seconds = seconds

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_UNSPEC,  # noqa: ARG002 - of the interface
    ) -> list[ResolveResult]:
        async with asyncio.timeout(self._seconds):
            found = await self._resolve(host, port)
        addresses = [ip_address(text.partition("%")[0]) for text in found]
        if not addresses:
            raise OSError(None, "the name has no address")
        for address in addresses:
            check_address(address, host, self._allow)
        return [
            ResolveResult(
                hostname=host,
                host=str(address),
                port=port,
                family=socket.AF_INET if address.version == 4 else socket.AF_INET6,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for address in addresses
        ]

    async def close(self) -> None:
        """Nothing is held."""


def _addresses(name: str, port: int) -> list[str]:
    return [str(info[4][0]) for info in socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)]


@contextmanager
def _told(place: str) -> Iterator[None]:
    """aiohttp's exceptions in our words."""
    try:
        yield
    except TimeoutError:
        raise
    except (aiohttp.ClientError, OSError, ValueError, RuntimeError) as error:
        # RuntimeError: uvloop's for a connection that was reset this moment
        raise Transient(f"{place}: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    """Short, and without the URL, which aiohttp's own messages hold."""
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "its name does not resolve"
    if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientConnectorSSLError):
        return f"no TLS connection ({type(error).__name__})"
    if isinstance(error, aiohttp.ClientOSError) and error.errno is not None:
        return f"no connection ({error.strerror or error.errno})"
    return f"no answer that can be read ({type(error).__name__})"
