"""Straight HTTP to providers that speak OpenAI's or Anthropic's dialect. One call, no retries.

The client is pyreqwest (hyper, in Rust): a third of aiohttp's CPU a call. By itself it sends a request again only where
a connection it kept turns out to be closed before a byte was written. The connection pool has no limit of its own:
slots and pacing decide how many calls are in flight.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Any

import orjson
from pyreqwest.client import Client, ClientBuilder
from pyreqwest.exceptions import PyreqwestError
from pyreqwest.http import HeaderMap, Url
from pyreqwest.request import StreamRequest
from pyreqwest.response import Response

from connectors.llm import anthropic, failures, openai
from domain.errors import ModelError
from domain.routing.model import Deployment, ModelCall, ModelReply, Tokens

MAX_BODY = 16 * 1024 * 1024
CONNECT_TIMEOUT = timedelta(seconds=10)
KEEP_ALIVE = timedelta(seconds=30)
_DIALECTS: dict[str, ModuleType] = {"openai": openai, "anthropic": anthropic}
_NO_HEADERS: dict[str, str] = {}


class _TooLarge(Exception):
    """The body exceeds MAX_BODY."""


@dataclass(frozen=True, slots=True)
class _Target:
    """What is the same for every call of a deployment."""

    deployment: Deployment
    dialect: Any
    url: Url
    headers: HeaderMap


class DirectModel:
    """Implements Model. The client is built at the first call and closed by `close`.

    A call that is cancelled is abandoned: the exchange ends by itself, at its time-out at the latest, and nobody hears.
    clock: UTC now, to read a Retry-After that is a date.
    """

    def __init__(self, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._clock = clock
        self._client: Client | None = None
        self._targets: dict[str, _Target] = {}

    async def call(self, call: ModelCall) -> ModelReply:
        """Raises ModelError, and nothing else whatever the provider does."""
        target = self._target(call.deployment)
        try:
            async with self._request(target, call) as response:
                status, received, raw = response.status, _headers(response), await _read(response)
        except _TooLarge:
            reason = f"its body is larger than {MAX_BODY >> 20} MiB"
            raise failures.unreadable(call.deployment, reason, _NO_HEADERS) from None
        except (PyreqwestError, TimeoutError, ValueError) as error:
            raise failures.of_exception(call.deployment, error, call.timeout_s) from error
        if status != 200:
            return self._failed(call, status, received, raw)
        return _reply(call, target.dialect, received, raw)

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    def _request(self, target: _Target, call: ModelCall) -> StreamRequest:
        client = self._client or self._open()
        asked = client.post(target.url).headers(target.headers).header("x-client-request-id", call.request_id)
        body = orjson.dumps(target.dialect.body(call))
        return asked.timeout(timedelta(seconds=call.timeout_s)).body_bytes(body).build_streamed()

    def _failed(self, call: ModelCall, status: int, received: Mapping[str, str], raw: bytes | memoryview) -> ModelReply:
        """Raises, unless the provider's own filter stopped the prompt: that is a refusal, not a failure."""
        error = _error(raw)
        if status == 400 and error.get("code") == "content_filter":
            refusal = "the provider's filter stopped the prompt"
            return ModelReply("", "content_filter", Tokens(), failures.request_id(received), refusal)
        raise failures.of_status(call.deployment, status, received, error, self._clock())

    def _target(self, deployment: Deployment) -> _Target:
        target = self._targets.get(deployment.name)
        if target is None or target.deployment is not deployment:
            dialect: Any = _DIALECTS[deployment.dialect]
            head = {"content-type": "application/json", "accept-encoding": "identity"}
            headers = HeaderMap({**dialect.headers(deployment.api_key), **head, **deployment.headers})
            target = self._targets[deployment.name] = _Target(
                deployment, dialect, _url(deployment, dialect.PATH), headers
            )
        return target

    def _open(self) -> Client:
        builder = ClientBuilder().no_proxy().follow_redirects(False).user_agent("structured-prompt")
        self._client = builder.connect_timeout(CONNECT_TIMEOUT).pool_idle_timeout(KEEP_ALIVE).build()
        return self._client


def _url(deployment: Deployment, path: str) -> Url:
    try:
        return Url(deployment.base_url + path)
    except ValueError as error:
        raise failures.invalid_address(deployment) from error


def _headers(response: Response) -> dict[str, str]:
    """The headers under their names in lower case, without values that are not text."""
    try:
        return dict(response.headers.items())
    except ValueError:
        return {name: text for name in response.headers if (text := _text(response, name)) is not None}


def _text(response: Response, name: str) -> str | None:
    try:
        return response.get_header(name)
    except ValueError:
        return None


async def _read(response: Response) -> bytes | memoryview:
    """The body, whatever Content-Length promised. Raises _TooLarge beyond 16 MiB."""
    announced = response.get_header("content-length")
    if announced is not None and int(announced) <= MAX_BODY:
        return memoryview(await response.bytes())
    pieces, size = [], 0
    while (piece := await response.body_reader.read_chunk()) is not None:
        size += len(piece)
        if size > MAX_BODY:
            raise _TooLarge
        pieces.append(bytes(piece))
    return b"".join(pieces)


def _reply(call: ModelCall, dialect: Any, received: Mapping[str, str], raw: bytes | memoryview) -> ModelReply:
    try:
        data = orjson.loads(raw)
    except orjson.JSONDecodeError:
        kind = received.get("content-type", "of no type")
        raise failures.unreadable(call.deployment, f"its body is not JSON ({kind[:60]})", received) from None
    limits = {name: value for name, value in received.items() if "ratelimit" in name}
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


def _error(raw: bytes | memoryview) -> dict[str, object]:
    try:
        data = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return {}
    error = data.get("error", data) if isinstance(data, dict) else None
    return error if isinstance(error, dict) else {}
