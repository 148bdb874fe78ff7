"""The fleet's pace: one Lua call a batch, on Redis's own clock."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson

from connectors.redis.client import RedisClient
from domain.pacing.model import Ask, Grant, Heard, Mode
from domain.pacing.told import Gauge

FORGET_MS = 3_600_000
"""A deployment that nobody called for an hour begins with one call again."""
_HERE = Path(__file__).parent


class RedisPacer:
    """Implements Pacer. Raises Unavailable within the client's time-out.

    A deployment lives in one key. A key that is not there, of a wiped Redis or of a deployment nobody called, is one of
    which nothing is known: it starts with one call (rule D2).
    """

    def __init__(self, client: RedisClient) -> None:
        self._client = client
        self._pace = client.redis.register_script((_HERE / "pace.lua").read_text())

    async def pace(self, batch: Sequence[Ask]) -> list[Grant]:
        if not batch:
            return []
        keys = [f"sp:pace:{ask.deployment}" for ask in batch]
        asks = [
            {"wanted": ask.wanted, "heard": [_heard(one) for one in ask.heard], "away": ask.away, "went": ask.went}
            for ask in batch
        ]
        argument = orjson.dumps({"worker": batch[0].worker, "asks": asks})
        answer: Any = await self._client.run("pace calls", lambda: self._pace(keys, [argument, FORGET_MS]))
        return [_grant(row) for row in orjson.loads(answer)]


def _heard(heard: Heard) -> dict[str, Any]:
    said: dict[str, Any] = {"limited": heard.limited, "latency": heard.latency, "calls": heard.calls_a_second}
    if heard.retry_after is not None:
        said["after"] = heard.retry_after
    if heard.told is not None:
        gauges = {"requests": heard.told.requests, "tokens": heard.told.tokens}
        said |= {name: _gauge(gauge) for name, gauge in gauges.items() if gauge is not None}
    return said


def _gauge(gauge: Gauge) -> list[float]:
    return [gauge.limit, gauge.remaining] if gauge.rate is None else [gauge.limit, gauge.remaining, gauge.rate]


def _grant(row: list[Any]) -> Grant:
    mode, calls, again, rate, queue, back = row
    return Grant(Mode(mode), (int(calls[0]), int(calls[1]), int(calls[2])), again, rate, int(queue), back)
