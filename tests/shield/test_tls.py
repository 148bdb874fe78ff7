"""The API's own TLS, and HTTP/2 over it and without it, spoken by clients that insist."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme

from api import main
from domain.errors import InvalidSettings
from tests.api.door import ASK, Door
from tests.shield.conftest import free_port


@asynccontextmanager
async def served(door: Door, **settings: Any) -> AsyncIterator[int]:
    """The door, really listening."""
    port, stop = free_port(), asyncio.Event()
    own = door.settings.model_copy(update={"api_port": port, "metrics_port": 0, **settings})
    line = asyncio.create_task(door.line.run())
    serving = asyncio.create_task(main.serve(door.ports, own, stop))
    try:
        async with asyncio.timeout(20):
            while not _listens(port):
                await asyncio.sleep(0.05)
        yield port
    finally:
        stop.set()
        await serving
        line.cancel()
        await asyncio.gather(line, return_exceptions=True)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def files(authority: trustme.CA, tmp_path: Path) -> dict[str, str]:
    issued = authority.issue_cert("127.0.0.1", "localhost")
    certificate, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    issued.private_key_pem.write_to_path(str(key))
    for blob in issued.cert_chain_pems:
        blob.write_to_path(str(certificate), append=True)
    return {"tls_certificate": str(certificate), "tls_key": str(key)}


async def test_one_port_speaks_HTTP_2_and_1_over_TLS(authority: trustme.CA, files: dict[str, str]) -> None:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    door, seen = Door(), {}
    async with served(door, **files) as port:
        for version, http2 in (("HTTP/2", True), ("HTTP/1.1", False)):
            async with httpx.AsyncClient(http1=not http2, http2=http2, verify=context) as client:
                answer = await client.post(f"https://localhost:{port}/v1/analyze", json=ASK, headers=door.bearer())
                seen[version] = (answer.http_version, answer.status_code, answer.json()["status"])
                assert answer.headers["strict-transport-security"] == "max-age=31536000"
                many = await asyncio.gather(*(client.get(f"https://localhost:{port}/healthz") for _ in range(50)))
                assert {one.status_code for one in many} == {200}
    assert seen == {version: (version, 200, "completed") for version in ("HTTP/2", "HTTP/1.1")}


async def test_old_TLS_and_plain_HTTP_are_refused_there(authority: trustme.CA, files: dict[str, str]) -> None:
    old = ssl.create_default_context()
    authority.configure_trust(old)
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    async with served(Door(), **files) as port, httpx.AsyncClient(verify=old) as client:
        with pytest.raises(httpx.ConnectError):
            await client.get(f"https://localhost:{port}/healthz")
        with pytest.raises(httpx.TransportError):
            await client.get(f"http://localhost:{port}/healthz")


async def test_HTTP_2_without_TLS_is_for_a_proxy_in_front() -> None:
    async with served(Door()) as port, httpx.AsyncClient(http1=False, http2=True) as client:
        answer = await client.get(f"http://127.0.0.1:{port}/healthz")
    assert (answer.http_version, answer.status_code) == ("HTTP/2", 200)
    assert "strict-transport-security" not in answer.headers


@pytest.mark.parametrize("fault", ["missing", "of another certificate"])
async def test_a_certificate_that_cannot_be_used_says_which(files: dict[str, str], tmp_path: Path, fault: str) -> None:
    if fault == "missing":
        files["tls_certificate"] = str(tmp_path / "nowhere.pem")
    else:
        trustme.CA().issue_cert("localhost").private_key_pem.write_to_path(files["tls_key"])
    own = Door().settings.model_copy(update={"api_port": free_port(), "metrics_port": 0, **files})
    with pytest.raises(InvalidSettings, match="TLS_CERTIFICATE"):
        await main.serve(Door().ports, own, asyncio.Event())
