"""One request to a receiver that may be slow, endless, gone, or somebody else's: all of it is an answer."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from http import HTTPStatus

from connectors.guarded import Answer, Bounds, GuardedHttp, Outgoing
from connectors.webhook.buckets import objection, putting
from domain.errors import ForbiddenAddress, MissingExtra, Transient
from domain.outgoing.addresses import Network
from domain.webhooks.kinds import Bucket
from domain.webhooks.schedule import Heard

TIMEOUT_S = 15.0
OBJECT_S = 30.0
BODY_BYTES = 16 * 1024
BODY_S = 1.0
"""The status alone decides: a body is read only so that the connection can be used again."""
HEAD_CHARACTERS = 4_000


class HttpOutlet:
    """Implements domain.ports.Outlet. `allow`: private networks that may be called; `places` bounds connections."""

    def __init__(self, allow: Sequence[Network], places: int, http: GuardedHttp | None = None) -> None:
        bounds = Bounds(connect_s=5.0, total_s=TIMEOUT_S, body=BODY_BYTES, connections=2 * places, per_host=places)
        self._http = http or GuardedHttp(allow, bounds)
        objects = replace(bounds, total_s=OBJECT_S, connections=places, per_host=8)
        self._stores = http or GuardedHttp(allow, objects)

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Heard:
        began = time.monotonic()
        heard: Heard | None = None
        try:
            async with self._http.open(Outgoing("POST", url, headers, body)) as answer:
                heard = _heard(answer, time.monotonic() - began)
                await _finish(answer)
        except (ForbiddenAddress, Transient) as error:
            if heard is None:
                forbidden = isinstance(error, ForbiddenAddress)
                return Heard(None, time.monotonic() - began, error=str(error), forbidden=forbidden)
        return heard or Heard(None, time.monotonic() - began, error="no answer")

    async def store(self, bucket: Bucket, secret: str, key: str, body: bytes) -> Heard:
        began = time.monotonic()
        try:
            async with self._stores.open(putting(bucket, secret, key, body)) as answer:
                heard = _heard(answer, time.monotonic() - began)
                said, _ = await answer.read(BODY_BYTES)
                return replace(heard, error=objection(answer.status, said))
        except (ForbiddenAddress, MissingExtra, Transient) as error:
            forbidden = isinstance(error, ForbiddenAddress)
            return Heard(None, time.monotonic() - began, error=str(error), forbidden=forbidden)

    async def close(self) -> None:
        await self._http.close()
        await self._stores.close()


async def _finish(answer: Answer) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(BODY_S):
            await answer.read(BODY_BYTES)


def _heard(answer: Answer, seconds: float) -> Heard:
    lines = [f"{name}: {text}" for name, text in answer.headers.items()]
    head = "\n".join([_status_line(answer.status), *lines])[:HEAD_CHARACTERS]
    return Heard(answer.status, seconds, answer.headers.get("retry-after", ""), head)


def _status_line(status: int) -> str:
    with suppress(ValueError):
        return f"{status} {HTTPStatus(status).phrase}"
    return str(status)
