"""What the guard does on the wire, against servers on this machine."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress

import pytest
import trustme
from aiohttp import web

from connectors.guarded import Bounds, GuardedHttp, Outgoing
from domain.errors import ForbiddenAddress, Transient
from domain.outgoing.addresses import parse_networks

LOOPBACK = parse_networks("127.0.0.0/8")
QUICK = Bounds(connect_s=1.0, total_s=1.0, body=1_000)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Serve = Callable[..., Awaitable[int]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Starts a server for one handler; its port."""
    runners: list[web.AppRunner] = []

    async def start(handler: Handler, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None) -> int:
        app = web.Application()
        app.router.add_route("*", "/{rest:.*}", handler)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        runners.append(runner)
        await web.TCPSite(runner, host, port, ssl_context=tls).start()
        return int(runner.addresses[0][1])

    yield start
    for runner in runners:
        await runner.cleanup()


def asked(*answers: Sequence[str]) -> tuple[Callable[[str, int], Awaitable[Sequence[str]]], list[str]]:
    """A name server that answers differently each time, and who asked it."""
    names: list[str] = []

    async def resolve(name: str, port: int) -> Sequence[str]:
        names.append(name)
        return answers[min(len(names), len(answers)) - 1]

    return resolve, names


async def test_a_request_and_its_answer(serve: Serve) -> None:
    seen: list[tuple[str, str, str, bytes, dict[str, str]]] = []

    async def handler(request: web.Request) -> web.Response:
        seen.append((request.method, request.host, request.raw_path, await request.read(), dict(request.headers)))
        return web.Response(status=418, text="short and stout", headers={"x-kind": "tea"})

    port = await serve(handler)
    http = GuardedHttp(LOOPBACK, QUICK, asked(["127.0.0.1"])[0])
    head = {"content-type": "text/plain", "Host": "another.example", "x-mine": "1"}
    reply = await http.send(Outgoing("POST", f"http://hooks.example:{port}/a%2Fb/../c?d=%20", head, b"body"))
    await http.close()
    ((method, host, path, body, headers),) = seen
    assert (method, host, path, body) == ("POST", f"hooks.example:{port}", "/a%2Fb/../c?d=%20", b"body")
    assert headers["x-mine"] == "1"
    assert {name.lower() for name in headers} == {"host", "content-type", "x-mine", "accept-encoding", "content-length"}
    assert (reply.status, reply.body, reply.whole, reply.headers["x-kind"]) == (418, b"short and stout", True, "tea")
    assert 0 < reply.seconds < 1


async def test_a_name_server_that_changes_its_mind_is_asked_once(serve: Serve) -> None:
    """Rebinding: the checked address is connected to; what the second answer would say is never heard."""
    came: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        came.append(str(request.transport and request.transport.get_extra_info("sockname")[0]))
        return web.Response()

    port = await serve(handler, "127.0.0.2")
    await serve(handler, "127.0.0.1", port)
    resolve, names = asked(["127.0.0.2"], ["127.0.0.1"])
    http = GuardedHttp(parse_networks("127.0.0.2/32"), QUICK, resolve)
    await http.send(Outgoing("GET", f"http://rebind.example:{port}/"))
    await http.send(Outgoing("GET", f"http://rebind.example:{port}/"))
    assert names == ["rebind.example"]
    assert came == ["127.0.0.2", "127.0.0.2"]
    await http.close()

    http = GuardedHttp(parse_networks("127.0.0.2/32"), QUICK, resolve)
    with pytest.raises(ForbiddenAddress, match=r"rebind\.example is at 127\.0\.0\.1, which is loopback"):
        await http.send(Outgoing("GET", f"http://rebind.example:{port}/"))
    await http.close()
    assert len(came) == 2


async def test_one_bad_address_among_good_ones_refuses_the_name(serve: Serve) -> None:
    came: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        came.append(request.path)
        return web.Response()

    port = await serve(handler)
    http = GuardedHttp(parse_networks("127.0.0.1/32"), QUICK, asked(["127.0.0.1", "10.0.0.1"])[0])
    with pytest.raises(ForbiddenAddress, match=r"10\.0\.0\.1"):
        await http.send(Outgoing("GET", f"http://mixed.example:{port}/"))
    await http.close()
    assert came == []


async def test_tls_names_the_host_and_checks_it(serve: Serve) -> None:
    authority, names = trustme.CA(), []
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("hooks.example").configure_cert(server)
    server.sni_callback = lambda _socket, name, _context: names.append(name)
    client = ssl.create_default_context()
    authority.configure_trust(client)

    async def handler(request: web.Request) -> web.Response:
        return web.Response(text=request.host)

    port = await serve(handler, tls=server)
    http = GuardedHttp(LOOPBACK, QUICK, asked(["127.0.0.1"])[0], client)
    reply = await http.send(Outgoing("GET", f"https://hooks.example:{port}/"))
    assert (reply.body.decode(), names) == (f"hooks.example:{port}", ["hooks.example"])
    with pytest.raises(Transient, match="no TLS connection"):
        await http.send(Outgoing("GET", f"https://other.example:{port}/"))
    await http.close()


async def test_a_redirect_is_the_answer_and_is_not_followed(serve: Serve) -> None:
    paths: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        paths.append(request.path)
        return web.Response(status=302, headers={"location": "/inside", "set-cookie": "a=b"})

    port = await serve(handler)
    http = GuardedHttp(LOOPBACK, QUICK)
    assert (await http.send(Outgoing("GET", f"http://127.0.0.1:{port}/first"))).status == 302
    await http.close()
    assert paths == ["/first"]


async def test_no_proxy_and_no_credentials_come_from_the_environment_and_no_cookie_is_kept(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    heads: list[dict[str, str]] = []

    async def handler(request: web.Request) -> web.Response:
        heads.append(dict(request.headers))
        return web.Response(headers={"set-cookie": "a=b"})

    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    port = await serve(handler)
    http = GuardedHttp(LOOPBACK, QUICK)
    for _ in range(2):
        assert (await http.send(Outgoing("GET", f"http://127.0.0.1:{port}/"))).status == 200
    await http.close()
    assert all("Cookie" not in head and "Authorization" not in head for head in heads)


async def test_an_endless_body_is_cut(serve: Serve) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        with suppress(ConnectionError):
            while True:
                await response.write(b"x" * 10_000)
        return response

    port = await serve(handler)
    http = GuardedHttp(LOOPBACK, QUICK)
    reply = await http.send(Outgoing("GET", f"http://127.0.0.1:{port}/"))
    await http.close()
    assert (len(reply.body), reply.whole) == (1_000, False)


async def test_a_dripping_body_and_a_silent_server_end_with_the_time(serve: Serve) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        if request.path == "/drips":
            await response.prepare(request)
        for _ in range(100):
            if request.path == "/drips":
                await response.write(b"x")
            await asyncio.sleep(0.05)
        return response

    port = await serve(handler)
    http = GuardedHttp(LOOPBACK, Bounds(connect_s=0.2, total_s=0.2))
    for path in ("drips", "silent"):
        with pytest.raises(Transient, match=r"did not answer in full within 0\.2 s"):
            await http.send(Outgoing("GET", f"http://127.0.0.1:{port}/{path}"))
    await http.close()


async def test_a_slow_name_server_ends_with_the_time() -> None:
    async def resolve(name: str, port: int) -> Sequence[str]:
        await asyncio.sleep(60)
        return []

    http = GuardedHttp(LOOPBACK, Bounds(connect_s=0.05, total_s=5.0), resolve)
    began = asyncio.get_running_loop().time()
    with pytest.raises(Transient):
        await http.send(Outgoing("GET", "http://slow.example/"))
    assert asyncio.get_running_loop().time() - began < 1
    await http.close()


async def test_a_name_that_does_not_resolve_and_a_closed_port_are_for_later() -> None:
    async def resolve(name: str, port: int) -> Sequence[str]:
        raise OSError("no such name")

    http = GuardedHttp(LOOPBACK, QUICK, resolve)
    with pytest.raises(Transient, match=r"http://gone\.example:80: its name does not resolve"):
        await http.send(Outgoing("GET", "http://gone.example/secret?token=secret"))
    with pytest.raises(Transient, match="no connection"):
        await http.send(Outgoing("GET", "http://127.0.0.1:1025/"))
    await http.close()


async def test_what_is_no_http_is_for_later() -> None:
    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 smtp.example ESMTP\r\n" + b"\x00" * 100)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(speak, "127.0.0.1", 0)
    http = GuardedHttp(LOOPBACK, QUICK)
    with pytest.raises(Transient, match="no answer that can be read"):
        await http.send(Outgoing("GET", f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"))
    await http.close()
    server.close()


async def test_an_error_of_the_reader_is_its_own(serve: Serve) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(text="x" * 5_000)

    port = await serve(handler)
    http = GuardedHttp(LOOPBACK, QUICK)

    async def read() -> None:
        async with http.open(Outgoing("GET", f"http://127.0.0.1:{port}/")) as answer:
            assert answer.headers["content-length"] == "5000"
            raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        await read()
    async with http.open(Outgoing("GET", f"http://127.0.0.1:{port}/")) as answer:
        assert await answer.read(5_000) == (b"x" * 5_000, True)
    await http.close()


async def test_the_machines_own_resolver_is_asked_in_threads(serve: Serve) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(text="here")

    port = await serve(handler)
    http = GuardedHttp(parse_networks("127.0.0.0/8,::1"), QUICK)
    assert (await http.send(Outgoing("GET", f"http://localhost:{port}/"))).body == b"here"
    await http.close()
