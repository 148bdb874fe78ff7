"""What the synchronous route adds to a provider's own time."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import aiohttp
import orjson

from benchmarks.traffic import requests

PER_SECOND = 50
ALONE = 100
WARM_UP = 20
Ask = Callable[[bytes], Awaitable[None]]


def added_ms(api: str, key: str, provider: str, count: int) -> tuple[float, float]:
    """p50 and p99 of POST /v1/analyze in ms at 50 requests/s, less the median of asking the provider itself."""
    return asyncio.run(_added(api, key, provider, count))


async def _added(api: str, key: str, provider: str, count: int) -> tuple[float, float]:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        route = poster(session, f"{api}/v1/analyze", {"authorization": f"Bearer {key}"})
        straight = poster(session, f"{provider}/chat/completions", {})
        alone = await paced(straight, [b"{}"] * ALONE)
        bodies = [_body(request.value) for request in requests(count + WARM_UP, "route")]
        await paced(route, bodies[:WARM_UP])
        taken = await paced(route, bodies[WARM_UP:])
    own = alone[len(alone) // 2]
    return taken[len(taken) // 2] - own, taken[int(len(taken) * 0.99)] - own


def poster(session: aiohttp.ClientSession, url: str, headers: dict[str, str]) -> Ask:
    """Raises RuntimeError when the answer is not 200."""

    async def post(body: bytes) -> None:
        async with session.post(url, data=body, headers={"content-type": "application/json", **headers}) as response:
            answer = await response.read()
            if response.status != 200:
                raise RuntimeError(f"{url} answered {response.status}: {answer[:500]!r}")

    return post


async def paced(ask: Ask, bodies: list[bytes]) -> list[float]:
    """Milliseconds of each, sorted. They start at their time, however long the ones before take."""
    started = time.perf_counter()

    async def one(number: int, body: bytes) -> float:
        await asyncio.sleep(max(0.0, started + number / PER_SECOND - time.perf_counter()))
        sent = time.perf_counter()
        await ask(body)
        return (time.perf_counter() - sent) * 1000

    return sorted(await asyncio.gather(*(one(number, body) for number, body in enumerate(bodies))))


def _body(value: bytes) -> bytes:
    """A request as the door wants it: without its tenant."""
    return orjson.dumps({name: field for name, field in orjson.loads(value).items() if name != "tenant"})
