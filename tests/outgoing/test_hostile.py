"""Hostile URLs: each is refused, and a listener on this machine hears of none of them."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from connectors.guarded import Bounds, GuardedHttp, Outgoing
from domain.errors import ForbiddenAddress, Transient
from domain.outgoing.addresses import parse_networks

NAMES = {
    "rebind.example": ["127.0.0.1"],
    "localtest.example": ["::1"],
    "mixed.example": ["93.184.215.14", "127.0.0.1"],
    "mapped.example": ["::ffff:127.0.0.1"],
    "nat64.example": ["64:ff9b::7f00:1"],
    "six-to-four.example": ["2002:7f00:1::"],
    "ten.example": ["10.0.0.5"],
    "metadata.example": ["169.254.169.254"],
    "cgnat.example": ["100.64.0.1"],
    "unspecified.example": ["0.0.0.0"],
    "scoped.example": ["fe80::1%lo"],
    "broadcast.example": ["255.255.255.255"],
    "multicast.example": ["ff02::1"],
    "ula.example": ["fd00::1"],
    "reserved.example": ["240.0.0.1"],
    "example.com": ["127.0.0.1"],
}
"""What a hostile name server says."""

HOSTS = [
    # loopback in every form that some resolver reads
    *("127.0.0.1", "127.1", "127.0.1", "127.255.255.254", "2130706433", "017700000001", "0x7f000001", "0x7f.1"),
    *("0177.0.0.1", "0x7f.0x0.0x0.0x1", "127.0.0.01", "127.000.000.001", "127.0.0.1.", "0", "0.0.0.0", "1.", "0x"),
    *("[::1]", "[::]", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "[::7f00:1]"),
    *("[64:ff9b::127.0.0.1]", "[64:ff9b:1::7f00:1]", "[2002:7f00:1::]", "[2001:0:7f00:1::]", "[fe80::1]", "[fd00::1]"),
    *("[fec0::1]", "[ff02::1]", "[::1%lo]", "[::1%25lo]", "[fd00:ec2::254]", "[v1.fe]", "[", "[::1", "[]"),
    # private, link-local, CGNAT, metadata, multicast, reserved
    *("10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254", "0xa9fea9fe", "2852039166"),
    *("0251.0376.0251.0376", "100.64.0.1", "100.100.100.200", "168.63.129.16", "192.0.0.192", "224.0.0.1"),
    *("255.255.255.255", "240.0.0.1", "198.18.0.1", "192.0.2.1", "256.1.1.1", "4294967297", "1.2.3.4.5"),
    # names
    *("localhost", "LOCALHOST", "localhost.", "a.localhost", "metadata.google.internal", "printer.local", "redis"),
    *("kubernetes.default.svc.cluster.local", "..", "a..example", "-a.example", "a_.b-.example", "a" * 64 + ".example"),
    *NAMES,
]
WHOLE = [
    # userinfo, and what parsers disagree about
    "http://user@{canary}/",
    "http://user:pass@{canary}/",
    "http://example.com@{canary}/",
    "http://example.com:80@{canary}/",
    "http://{canary}@example.com/",
    "http://example.com#@{canary}/",
    "http://example.com%40{canary}/",
    "http://{canary}\\@example.com/",
    "http://example.com\\@{canary}/",
    "http://\\{canary}/",
    "http:/{canary}/",
    "http:{canary}/",
    "http:///{canary}/",
    "//{canary}/",
    "{canary}",
    "http://{canary} .example.com/",
    "http://{canary}\t.example.com/",
    "http://{canary}\r\nHost: a/",
    "http://{canary}\x00.example.com/",
    " http://{canary}/",
    "http://①②⑦.⓪.⓪.①:{port}/",
    "http://127。0。0。1:{port}/",
    "http://loc\u00adalhost:{port}/",
    "http://ⓛocalhost:{port}/",
    "http://%31%32%37.0.0.1:{port}/",
    "http://127.0.0.1%00:{port}/",
    "http://:{port}/",
    "http://",
    "",
    # other schemes
    "ftp://{canary}/",
    "file:///etc/passwd",
    "gopher://{canary}/_x",
    "dict://{canary}/x",
    "unix:///var/run/docker.sock",
    "javascript:alert(1)",
    "data:text/plain,x",
    "ws://{canary}/",
    "jar:http://{canary}!/",
    "url:http://{canary}/",
    # ports
    "http://one.example:0/",
    "http://one.example:22/",
    "http://one.example:25/",
    "http://one.example:6667/",
    "http://one.example:65536/",
    "http://one.example:99999/",
    "http://one.example:-1/",
    "http://one.example:80:{port}/",
    "http://one.example:٨٠/",
]
URLS = [f"http://{host}:{{port}}/x" for host in HOSTS] + [f"https://{host}:{{port}}/x" for host in HOSTS] + WHOLE


class Canary:
    """A listener on both loopback addresses that counts who came."""

    def __init__(self) -> None:
        self.heard = 0
        self.port = 0

    async def hear(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heard += 1
        writer.close()


@pytest.fixture
async def canary() -> AsyncIterator[Canary]:
    canary = Canary()
    server = await asyncio.start_server(canary.hear, "127.0.0.1", 0)
    canary.port = server.sockets[0].getsockname()[1]
    yield canary
    server.close()


async def hostile(name: str, port: int) -> Sequence[str]:
    if name not in NAMES:
        raise AssertionError(f"{name} reached a resolver")
    return NAMES[name]


async def test_no_hostile_url_makes_a_connection(canary: Canary) -> None:
    http = GuardedHttp(bounds=Bounds(connect_s=1.0, total_s=2.0), resolve=hostile)
    assert len(URLS) >= 60
    for url in URLS:
        with pytest.raises(ForbiddenAddress):
            await http.send(Outgoing("GET", url.format(canary=f"127.0.0.1:{canary.port}", port=canary.port)))
    await http.close()
    assert canary.heard == 0


async def test_the_canary_hears(canary: Canary) -> None:
    """The control: with the network allowed, the same listener is reached."""
    http = GuardedHttp(parse_networks("127.0.0.0/8"), resolve=hostile)
    with pytest.raises(Transient):
        await http.send(Outgoing("GET", f"http://rebind.example:{canary.port}/"))
    await http.close()
    assert canary.heard
