"""What stands in front of the API: TLS, HTTP/2, the redirect, headers, compression, and what strangers may not see."""

import ssl
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

import httpx

HEADERS = {
    "strict-transport-security": "max-age=",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "content-security-policy": "frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
}
INSIDE = frozenset(("/metrics", "/readyz"))
"""Paths of the document that are for the network inside: behind a proxy they are not there."""


def problems(client: httpx.Client, url: str, redirect_port: int | None = None) -> list[str]:
    """Whatever does not hold of `url`, which begins with https://; its plain port is 80 unless another one is said."""
    answer = client.get("/openapi.json", headers={"accept-encoding": "gzip"})
    error = client.get("/v1/no-such-route")
    inside = [client.get(path) for path in sorted(INSIDE)]
    other = client.get("/healthz", headers={"host": "elsewhere.example"})
    checks: Mapping[str, Callable[[], bool]] = {
        "speaks HTTP/2": lambda: answer.http_version == "HTTP/2",
        "compresses": lambda: answer.headers.get("content-encoding") == "gzip",
        "is not there for another compression than is asked for": lambda: (
            "content-encoding" not in client.get("/openapi.json", headers={"accept-encoding": "identity"}).headers
        ),
        "has the headers on an answer": lambda: _guarded(answer),
        "has the headers on an error": lambda: error.status_code == 404 and _guarded(error),
        "has the headers on what it answers itself": lambda: all(map(_guarded, (*inside, other))),
        "keeps to itself what is for the network inside": lambda: {one.status_code for one in inside} == {404},
        "answers to no other name": lambda: other.status_code >= 400,
        "does not say which server it is": lambda: "caddy" not in f"{answer.headers} {other.headers}".lower(),
        "redirects from http": lambda: _redirects(url, redirect_port),
    }
    return [f"it does not hold that it {name}" for name, holds in checks.items() if not holds()]


def trusting(authority: str | None) -> ssl.SSLContext:
    """TLS 1.2 or later, with the certificates of this machine or of `authority`."""
    context = ssl.create_default_context(cafile=authority)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _guarded(answer: httpx.Response) -> bool:
    return all(part in answer.headers.get(name, "") for name, part in HEADERS.items())


def _redirects(url: str, port: int | None) -> bool:
    """To the same path at `url`, for good."""
    parts = urlsplit(url)
    plain = f"http://{parts.hostname}" + (f":{port}" if port else "")
    answer = httpx.get(f"{plain}/v1/models?page=2", follow_redirects=False, timeout=30)
    return answer.status_code in (301, 308) and answer.headers.get("location") == f"{url}/v1/models?page=2"
