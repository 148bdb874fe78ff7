"""Every answer carries what a browser must be told, errors included."""

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

import httpx
import pytest

from connectors.memory.jobs import MemoryJobs
from domain.errors import InvalidSettings
from domain.jobs.model import JobView
from domain.settings import Settings, load
from tests.api.door import Door, utc_now

ALWAYS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
Asked = Callable[[Door], Awaitable[httpx.Response]]
ANSWERS: dict[str, tuple[int, Asked]] = {
    "completed": (200, lambda door: door.ask()),
    "accepted": (202, lambda door: door.ask(path="/v1/analyze/async")),
    "streamed": (200, lambda door: door.ask(accept="text/event-stream")),
    "without a key": (401, lambda door: door.strangers.get("/v1/jobs")),
    "of a suspended tenant": (403, lambda door: door.client.get("/v1/jobs", headers=door.bearer(door.asleep))),
    "no route": (404, lambda door: door.client.get("/v1/nothing")),
    "no page": (404, lambda door: door.strangers.get("/nothing")),
    "wrong method": (405, lambda door: door.client.get("/v1/analyze")),
    "too large": (413, lambda door: door.ask(b"x" * 5_000_000)),
    "compressed": (415, lambda door: door.ask(content_encoding="gzip")),
    "invalid": (422, lambda door: door.ask({})),
    "OpenAI's form": (400, lambda door: door.ask({}, "/openai/v1/chat/completions")),
    "liveness": (200, lambda door: door.strangers.get("/healthz")),
    "metrics": (200, lambda door: door.strangers.get("/metrics")),
    "what nobody expected": (500, lambda door: door.client.get("/v1/jobs/a")),
}


class BrokenJobs(MemoryJobs):
    """Fails as nothing should."""

    async def view(self, tenant: str, ids: Sequence[str]) -> list[JobView]:
        raise RuntimeError("the password is hunter2")


def opened(name: str, **settings: object) -> Door:
    door = Door()
    door.settings = door.settings.model_copy(update=settings)
    if name == "what nobody expected":
        door.ports = replace(door.ports, jobs=BrokenJobs(door.store, utc_now))
    return door


def assert_strict(answer: httpx.Response) -> None:
    assert {name: answer.headers.get(name) for name in ALWAYS} == ALWAYS
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "camera=()" in answer.headers["permissions-policy"]
    assert answer.headers["server"] == "structured-prompt"
    for name in (*ALWAYS, "content-security-policy", "cache-control", "server"):
        assert len(answer.headers.get_list(name)) == 1, name


@pytest.mark.parametrize("name", ANSWERS)
async def test_an_answer_tells_a_browser_to_keep_and_frame_nothing(name: str) -> None:
    status, ask = ANSWERS[name]
    async with opened(name).opened() as door:
        answer = await ask(door)
    assert answer.status_code == status, answer.text
    assert_strict(answer)
    assert answer.headers["cache-control"] == "no-store"
    assert "strict-transport-security" not in answer.headers, "a promise that plain HTTP cannot make"


@pytest.mark.parametrize(
    "path", ["/docs", "/docs/start.js", "/docs/page.css", "/docs/assets/swagger-ui.css", "/openapi.json"]
)
async def test_documents_may_be_kept_and_are_asked_for_anew(door: Door, path: str) -> None:
    answer = await door.strangers.get(path)
    assert answer.status_code == 200
    assert_strict(answer)
    assert answer.headers["cache-control"] == "no-cache"


async def test_the_documentation_needs_nothing_inline(door: Door) -> None:
    answer = await door.strangers.get("/docs")
    assert answer.headers["cross-origin-embedder-policy"] == "require-corp"
    page = answer.text
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\bstyle=|\bon\w+=|javascript:", page)
    sources = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(sources) == 5
    assert all(source.startswith("/docs/") for source in sources)
    for source in sources:
        assert (await door.strangers.get(source)).status_code == 200


@pytest.mark.parametrize(
    ("peer", "trusted", "proto", "secure"),
    [
        ("192.0.2.7", "", "https", False),
        ("10.1.2.3", "10.0.0.0/8", "https", True),
        ("10.1.2.3", "10.0.0.0/8", "http", False),
        ("10.1.2.3", "10.0.0.0/8", "https, http", False),
        ("192.0.2.7", "10.0.0.0/8", "https", False),
    ],
)
async def test_HSTS_is_sent_where_TLS_is_spoken(peer: str, trusted: str, proto: str, secure: bool) -> None:
    door = opened("", trusted_proxies=trusted)
    async with door.opened():
        transport = httpx.ASGITransport(door.app, client=(peer, 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://door") as client:
            answer = await client.get("/healthz", headers={"x-forwarded-proto": proto})
    assert ("max-age=31536000" in answer.headers.get("strict-transport-security", "")) == secure


async def test_HSTS_is_sent_over_our_own_TLS(door: Door) -> None:
    transport = httpx.ASGITransport(door.app)
    async with httpx.AsyncClient(transport=transport, base_url="https://door") as client:
        assert "strict-transport-security" in (await client.get("/v1/jobs")).headers


# --- other origins ---------------------------------------------------------------------------------------------------

ORIGIN = "https://app.example.com"
PREFLIGHT = {
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization,content-type,idempotency-key",
}


@pytest.mark.parametrize("origin", [ORIGIN, "https://evil.example.com", "null"])
async def test_no_page_of_another_origin_may_read_unless_it_is_named(door: Door, origin: str) -> None:
    asked = await door.client.options("/v1/analyze", headers={**PREFLIGHT, "origin": origin})
    answer = await door.ask(origin=origin)
    for one in (asked, answer):
        assert not any(name.startswith("access-control") for name in one.headers)
        assert_strict(one)


async def test_a_named_origin_may_ask_and_read() -> None:
    async with opened("", cors_origins=f"{ORIGIN}, http://localhost:3000").opened() as door:
        asked = await door.strangers.options("/v1/analyze", headers={**PREFLIGHT, "origin": ORIGIN})
        assert asked.status_code == 200
        assert asked.headers["access-control-allow-origin"] == ORIGIN
        answers = [await door.ask(origin=ORIGIN), await door.strangers.get("/v1/jobs", headers={"origin": ORIGIN})]
        evil = [
            await door.strangers.options("/v1/analyze", headers={**PREFLIGHT, "origin": ORIGIN + ".evil.com"}),
            await door.ask(origin="https://evil.example.com"),
        ]
    assert [answer.status_code for answer in answers] == [200, 401]
    for answer in answers:
        assert answer.headers["access-control-allow-origin"] == ORIGIN
        assert "Origin" in answer.headers["vary"]
    for answer in (asked, *answers, *evil):
        assert "access-control-allow-credentials" not in answer.headers
        assert_strict(answer)
    assert not any("access-control-allow-origin" in answer.headers for answer in evil)


# --- settings --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CORS_ORIGINS", "*"),
        ("CORS_ORIGINS", "https://*.example.com"),
        ("CORS_ORIGINS", "https://app.example.com/path"),
        ("CORS_ORIGINS", "app.example.com"),
        ("CORS_ORIGINS", "null"),
        ("TRUSTED_PROXIES", "everybody"),
        ("TLS_KEY", "key.pem"),
        ("TLS_CERTIFICATE", "certificate.pem"),
        ("SECURITY_CONTACT", "somebody"),
    ],
)
def test_a_setting_that_would_open_the_door_stops_the_start(name: str, value: str) -> None:
    with pytest.raises(InvalidSettings, match=name):
        load({**ENGINES, f"STRUCTURED_PROMPT_{name}": value}, str)


def test_what_they_may_be() -> None:
    given = {
        "CORS_ORIGINS": ORIGIN, "TRUSTED_PROXIES": "10.0.0.0/8,fd00::/8", "TLS_KEY": "key.pem",
        "TLS_CERTIFICATE": "certificate.pem", "SECURITY_CONTACT": "mailto:security@example.com",
    }  # fmt: skip
    named = {f"STRUCTURED_PROMPT_{name}": value for name, value in given.items()}
    settings: Settings = load({**ENGINES, **named}, str)
    assert settings.origins == (ORIGIN,)
    assert len(settings.proxy_networks) == 2


ENGINES = {
    "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
    "DATABASE_URL": "postgresql://a:b@127.0.0.1:1/c",
    "REDIS_URL": "redis://127.0.0.1:1/0",
    "CLICKHOUSE_URL": "http://127.0.0.1:1/d",
}


# --- whom to tell ----------------------------------------------------------------------------------------------------


async def test_security_txt_names_the_contact(door: Door) -> None:
    assert (await door.strangers.get("/.well-known/security.txt")).status_code == 404
    async with opened("", security_contact="mailto:security@example.com").opened() as named:
        answer = await named.strangers.get("/.well-known/security.txt")
    assert answer.headers["content-type"].startswith("text/plain")
    assert "Contact: mailto:security@example.com\n" in answer.text
    assert re.search(r"^Expires: 20\d\d-\d\d-\d\dT[\d:.]+Z$", answer.text, re.MULTILINE)
