"""Straight HTTP to providers that speak OpenAI's or Anthropic's dialect. One call, no retries.

The connection pool has no limit of its own: slots and pacing decide how many calls are in flight.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import ModuleType
from typing import Any

import aiohttp
import orjson
from multidict import CIMultiDict
from yarl import URL

from connectors.llm import anthropic, failures, openai
from connectors.llm.streaming import Cut, Gathering, gather
from domain.errors import ModelError
from domain.routing.model import Deployment, ModelCall, ModelReply, Tokens
from topics.packed import packed

MAX_BODY = 16 * 1024 * 1024
CONNECT_S = 10.0
KEEP_ALIVE_S = 30.0
DIALECTS: dict[str, ModuleType] = {"openai": openai, "anthropic": anthropic}
_NO_HEADERS: dict[str, str] = {}


class _TooLarge(Exception):
    """The body exceeds MAX_BODY."""


@dataclass(frozen=True, slots=True)
class _Target:
    """What is the same for every call of a deployment."""

    deployment: Deployment
    dialect: Any
    url: URL
    headers: CIMultiDict[str]


class DirectModel:
    """Implements Model over aiohttp. The session is opened at the first call and closed by `close`.

    clock: UTC now, to read a Retry-After that is a date.
    """

    def __init__(self, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._clock = clock
        self._session: aiohttp.ClientSession | None = None
        self._targets: dict[str, _Target] = {}

    async def call(self, call: ModelCall) -> ModelReply:
        """Raises ModelError, and nothing else whatever the provider does."""
        target = self._target(call.deployment)
        head = target.headers.copy()
        head["x-client-request-id"] = call.request_id
        session = self._session or self._open()
        try:
            async with asyncio.timeout(call.timeout_s):
                fields = target.dialect.body(call)
                gathering = None if call.say is None else target.dialect.streamed(fields)
                data = packed(fields)
                async with session.post(target.url, data=data, headers=head, allow_redirects=False) as response:
                    status, received, raw = response.status, response.headers, await _read(response, call, gathering)
        except Cut as error:
            raise failures.unreadable(call.deployment, str(error), _NO_HEADERS) from None
        except _TooLarge:
            reason = f"its body is larger than {MAX_BODY >> 20} MiB"
            raise failures.unreadable(call.deployment, reason, _NO_HEADERS) from None
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError, RuntimeError) as error:
            # RuntimeError: uvloop's for a connection that was reset this moment
            raise failures.of_exception(call.deployment, error, call.timeout_s) from error
        if status != 200:
            return self._failed(call, status, received, raw)
        return _reply(call, target.dialect, received, raw)

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _failed(self, call: ModelCall, status: int, received: Mapping[str, str], raw: bytes) -> ModelReply:
        """Raises, unless the provider's own filter stopped the prompt: that is a refusal, not a failure."""
        error = _error(raw)
        if status == 400 and error.get("code") == "content_filter":
            refusal = "the provider's filter stopped the prompt"
            return ModelReply("", "content_filter", Tokens(), failures.request_id(received), refusal)
        raise failures.of_status(call.deployment, status, received, error, self._clock())

    def _target(self, deployment: Deployment) -> _Target:
        target = self._targets.get(deployment.name)
        if target is None or target.deployment is not deployment:
            dialect: Any = DIALECTS[deployment.dialect]
            head = CIMultiDict(dialect.headers(deployment.api_key))
            head.update({"content-type": "application/json", "accept-encoding": "identity", **deployment.headers})
            url = _url(deployment, dialect.PATH)
            target = self._targets[deployment.name] = _Target(deployment, dialect, url, head)
        return target

    def _open(self) -> aiohttp.ClientSession:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE_S, ttl_dns_cache=60),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S),
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("user-agent", "accept"),
        )
        return self._session


def _url(deployment: Deployment, path: str) -> URL:
    try:
        return URL(deployment.base_url + path)
    except ValueError as error:
        raise failures.of_exception(deployment, aiohttp.InvalidURL(deployment.base_url), 0.0) from error


async def _read(response: aiohttp.ClientResponse, call: ModelCall, gathering: Gathering | None) -> bytes:
    """The body, whatever Content-Length promised; that of a stream as if it had come whole.

    Raises _TooLarge beyond 16 MiB, and Cut for a stream that ends too early.
    """
    if gathering is not None and call.say is not None and response.content_type == "text/event-stream":
        return orjson.dumps(await gather(response.content, gathering, call.say))
    announced = response.content_length
    if announced is not None and announced <= MAX_BODY and "content-encoding" not in response.headers:
        return await response.read()
    pieces, size = [], 0
    async for piece in response.content.iter_chunked(1 << 16):
        size += len(piece)
        if size > MAX_BODY:
            raise _TooLarge
        pieces.append(piece)
    return b"".join(pieces)


def _reply(call: ModelCall, dialect: Any, received: Mapping[str, str], raw: bytes) -> ModelReply:
    try:
        data = orjson.loads(raw)
    except orjson.JSONDecodeError:
        kind = received.get("content-type", "of no type")
        raise failures.unreadable(call.deployment, f"its body is not JSON ({kind[:60]})", received) from None
    limits = {name.lower(): value for name, value in received.items() if "ratelimit" in name.lower()}
    try:
        reply: ModelReply = dialect.reply(call, data, limits, failures.request_id(received))
    except openai.NoAnswer as error:
        raise _in_disguise(call, data, str(error), received) from error
    return reply


def _in_disguise(call: ModelCall, data: Any, reason: str, received: Mapping[str, str]) -> ModelError:
    """Some gateways answer 200 with an error object."""
    error = data.get("error") if isinstance(data, dict) else None
    said = error.get("message") if isinstance(error, dict) else None
    told = f"{reason}; it says: {said[:200]}" if isinstance(said, str) else reason
    return failures.unreadable(call.deployment, told, received)


def _error(raw: bytes) -> dict[str, object]:
    try:
        data = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return {}
    if isinstance(data, list) and data:
        # Google wraps its error in a list
        data = data[0]
    error = data.get("error", data) if isinstance(data, dict) else None
    return error if isinstance(error, dict) else {}
