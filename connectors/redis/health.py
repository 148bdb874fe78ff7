"""The fleet's view of its providers, in Redis: who is down, who may try, and what each worker saw."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import orjson

from connectors.redis.client import RedisClient
from domain.routing.breaker import PROBE_EVERY_S
from domain.routing.health import FRESH_S, Report

REPORTS = "sp:health"
FRESH_MS = int(FRESH_S * 1000)
PROBE_MS = int(PROBE_EVERY_S * 1000)


class RedisHealthBoard:
    """Implements HealthBoard. Raises Unavailable within the client's time-out."""

    def __init__(self, client: RedisClient) -> None:
        self._client = client
        self._redis: Any = client.redis

    async def tell(self, worker: str, reports: Sequence[Report]) -> None:
        if not reports:
            return
        fields = {f"{report.deployment}|{worker}": orjson.dumps(asdict(report)) for report in reports}

        async def write() -> None:
            async with self._redis.pipeline(transaction=False) as pipe:
                pipe.hset(REPORTS, mapping=fields)
                pipe.pexpire(REPORTS, FRESH_MS)
                await pipe.execute()

        await self._client.run("tell of providers", write)

    async def look(self) -> list[Report]:
        rows = await self._client.run("look at providers", lambda: self._redis.hgetall(REPORTS))
        reports = {field: Report(**orjson.loads(row)) for field, row in rows.items()}
        since = await self._now() - FRESH_S
        gone = [field for field, report in reports.items() if report.at <= since]
        if gone:
            await self._client.run("forget workers", lambda: self._redis.hdel(REPORTS, *gone))
        return [report for field, report in reports.items() if field not in gone]

    async def down(self, deployments: Sequence[str]) -> dict[str, float]:
        if not deployments:
            return {}
        keys = [_down(name) for name in deployments]
        found = await self._client.run("ask who is down", lambda: self._redis.mget(keys))
        return {name: float(since) for name, since in zip(deployments, found, strict=True) if since is not None}

    async def take_down(self, deployment: str, since: float) -> bool:
        key, value = _down(deployment), repr(since)
        taking = await self._client.run(
            "take a provider down", lambda: self._redis.set(key, value, px=FRESH_MS, nx=True)
        )
        return bool(taking)

    async def keep_down(self, deployment: str) -> None:
        await self._client.run("keep a provider down", lambda: self._redis.pexpire(_down(deployment), FRESH_MS))

    async def bring_up(self, deployment: str) -> bool:
        return bool(await self._client.run("bring a provider up", lambda: self._redis.delete(_down(deployment))))

    async def probe(self, deployment: str) -> bool:
        key = f"sp:health:probe:{deployment}"
        return bool(await self._client.run("try a provider", lambda: self._redis.set(key, 1, px=PROBE_MS, nx=True)))

    async def _now(self) -> float:
        seconds, micros = await self._client.run("ask the time", self._redis.time)
        return float(seconds) + float(micros) / 1e6


def _down(deployment: str) -> str:
    return f"sp:health:down:{deployment}"
