"""What the middle layers of the API cost, in microseconds of CPU a request: `python -m benchmarks.door`. Best of five.

Each row is the layers of api/application.py from the outside to that one, around an application that answers at once.
"""

import asyncio
import time
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.layers import around, layers
from api.limits.glance import Glance
from domain.outgoing.addresses import parse_networks
from tests.api.door import Door

ROUNDS, REQUESTS = 5, 5_000
GOAL_US = 150.0
BODY = b'{"prompt":"Where is my parcel?"}'


async def answer(_scope: Scope, receive: Receive, send: Send) -> None:
    """What is left when every layer is taken away: a body read, a small answer."""
    while (await receive()).get("more_body", False):
        pass
    headers = [(b"content-type", b"application/json"), (b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"{}"})


async def cost(app: ASGIApp, headers: list[tuple[bytes, bytes]]) -> float:
    """Microseconds of CPU a request."""
    best = float("inf")
    for _ in range(ROUNDS):
        started = time.process_time()
        for _ in range(REQUESTS):
            await app(_scope(headers), _receive, _send)
        best = min(best, (time.process_time() - started) / REQUESTS * 1e6)
    return best


def _scope(headers: list[tuple[bytes, bytes]]) -> dict[str, Any]:
    return {
        "type": "http", "method": "POST", "path": "/v1/analyze", "scheme": "http", "query_string": b"",
        "client": ("10.0.0.1", 51234), "headers": headers,
    }  # fmt: skip


async def _receive() -> Message:
    return {"type": "http.request", "body": BODY, "more_body": False}


async def _send(message: Message) -> None:
    """Nobody reads it."""


async def main() -> None:
    door = Door()
    proxied = {"trusted_proxies": "10.0.0.0/8", "cors_origins": "https://app.example.com"}
    settings = door.settings.model_copy(update={**proxied, "address_burst": 10**9})
    assert parse_networks(settings.trusted_proxies)
    all_layers = layers(door.ports, settings, Glance(door.limiter), {})
    secret = door.issued.secret.encode()
    headers = [
        (b"host", b"api.example.com"), (b"authorization", b"Bearer " + secret), (b"content-type", b"application/json"),
        (b"content-length", str(len(BODY)).encode()), (b"accept-encoding", b"gzip, br"),
        (b"origin", b"https://app.example.com"), (b"x-forwarded-for", b"203.0.113.9"), (b"x-forwarded-proto", b"https"),
    ]  # fmt: skip
    nothing = before = await cost(answer, headers)
    print(f"{'no layer':22} {before:7.1f} us")
    for count, layer in enumerate(all_layers, 1):
        # a layer may need what those outside of it found out, never what those inside do
        taken = await cost(around(answer, all_layers[:count]), headers)
        print(f"+ {getattr(layer.cls, '__name__', '?'):20} {taken - before:7.1f} us")
        before = taken
    print(f"{'all layers':22} {before - nothing:7.1f} us (goal {GOAL_US:.0f})")


if __name__ == "__main__":
    asyncio.run(main())
