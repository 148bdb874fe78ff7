"""Texts as vectors over HTTP: OpenAI's API reference, "Create embeddings", as many providers speak it."""

import array
import asyncio
import base64
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import aiohttp
import orjson

from connectors.llm import failures, openai
from connectors.llm.tokens import count
from domain.caching.semantic import Embedded, shares
from domain.errors import ModelError
from domain.routing.model import Deployment

PATH = "/embeddings"
MAX_BODY = 32 * 1024 * 1024


class ApiEmbedder:
    """Implements domain.ports.Embedder. The session is opened at the first call and closed by `close`.

    timeout_s bounds each call.
    """

    def __init__(
        self, deployment: Deployment, timeout_s: float, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self.deployment = deployment
        self._timeout = timeout_s
        self._clock = clock
        self._session: aiohttp.ClientSession | None = None

    async def embed(self, texts: Sequence[str]) -> list[Embedded]:
        deployment = self.deployment
        body = orjson.dumps({"model": deployment.model, "input": list(texts), "encoding_format": "base64"})
        head = {"content-type": "application/json", **openai.headers(deployment.api_key), **deployment.headers}
        try:
            async with asyncio.timeout(self._timeout):
                url = deployment.base_url + PATH
                async with self._open().post(url, data=body, headers=head, allow_redirects=False) as response:
                    raw = await _read(response)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError, RuntimeError) as error:
            raise failures.of_exception(deployment, error, self._timeout) from error
        data = _json(raw)
        if response.status != 200:
            told = data.get("error")
            said = told if isinstance(told, dict) else {}
            raise failures.of_status(deployment, response.status, response.headers, said, self._clock())
        return self._read(data, texts)

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            # each call has its own limit
            # nosemgrep: http-without-a-time-limit
            self._session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        return self._session

    def _read(self, data: dict[str, Any], texts: Sequence[str]) -> list[Embedded]:
        try:
            rows = sorted(data["data"], key=lambda row: row["index"])
            vectors = [_vector(row["embedding"]) for row in rows]
        except (KeyError, TypeError, ValueError) as error:
            raise failures.unreadable(self.deployment, "its body holds no embeddings", {}) from error
        if len(vectors) != len(texts) or len({len(vector) for vector in vectors}) != 1 or not vectors[0]:
            raise self._odd(f"it gave {len(vectors)} vectors for {len(texts)} texts, or of different lengths")
        used = count(data.get("usage"), "prompt_tokens") or sum((len(text) + 3) // 4 for text in texts)
        return [Embedded(vector, share) for vector, share in zip(vectors, shares(used, texts), strict=True)]

    def _odd(self, reason: str) -> ModelError:
        return failures.unreadable(self.deployment, reason, {})


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """At most MAX_BODY, the rest is left."""
    pieces, size = [], 0
    async for piece in response.content.iter_chunked(1 << 16):
        pieces.append(piece)
        size += len(piece)
        if size > MAX_BODY:
            break
    return b"".join(pieces)


def _vector(given: Any) -> Sequence[float]:
    """As base64 of little-endian floats, or as a list where a provider knows nothing else."""
    if isinstance(given, str):
        return array.array("f", base64.b64decode(given))
    return array.array("f", [float(value) for value in given])


def _json(raw: bytes) -> dict[str, Any]:
    try:
        data = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return {}
    return data if isinstance(data, dict) else {}
