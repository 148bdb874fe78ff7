"""One who comes at a steady pace, alone and behind a flood of somebody else's that intake has read."""

import asyncio
import time

import asyncpg

from benchmarks.line import Ours
from benchmarks.processes import Failed
from benchmarks.traffic import of_tenant
from topics.table import requests_of

LATENCY_MS = 400
PER_SECOND = 40.0
PACED = 200
FLOOD, QUIET = "t0", "t1"


def beside_flood(ours: Ours, lane: str, flooded: str, events: int) -> tuple[list[float], list[float]]:
    """Milliseconds of the quiet tenant in `lane`, sorted: alone, and with `events` of another claimed in `flooded`."""
    alone = ours.client.paced(of_tenant(PACED, QUIET, lane), PER_SECOND)
    flood = of_tenant(events, FLOOD, flooded)
    before = asyncio.run(_claimed(ours.environment["DATABASE_URL"]))
    ours.client.publish(flood)
    _wait_claimed(ours, before + events)
    left = asyncio.run(_unfinished(ours.environment["DATABASE_URL"]))
    beside = ours.client.paced(of_tenant(PACED, QUIET, lane), PER_SECOND)
    if left < events // 4:
        raise Failed(f"{left} of the flood's {events} were left when its neighbour began: it has seen no flood")
    _wait_over(ours)
    return [1000 * one for one in alone], [1000 * one for one in beside]


def beside_unread(ours: Ours, events: int) -> tuple[list[float], list[float]]:
    """The same end to end, on a topic of its own: nothing of the flood is read yet when it begins."""
    topic = requests_of(QUIET)
    alone = ours.client.paced(of_tenant(PACED, QUIET, "standard"), PER_SECOND, topic)
    ours.client.publish(of_tenant(events, FLOOD, "standard"))
    beside = ours.client.paced(of_tenant(PACED, QUIET, "standard"), PER_SECOND, topic)
    _wait_over(ours)
    return [1000 * one for one in alone], [1000 * one for one in beside]


def _wait_claimed(ours: Ours, count: int) -> None:
    while asyncio.run(_claimed(ours.environment["DATABASE_URL"])) < count:
        time.sleep(0.1)


def _wait_over(ours: Ours) -> None:
    while asyncio.run(_unfinished(ours.environment["DATABASE_URL"])):
        time.sleep(0.5)


async def _claimed(url: str) -> int:
    return await _count(url, "SELECT count(*) FROM claims")


async def _unfinished(url: str) -> int:
    return await _count(url, "SELECT count(*) FROM claims WHERE settled_at IS NULL")


async def _count(url: str, statement: str) -> int:
    connection = await asyncpg.connect(url)
    try:
        return int(await connection.fetchval(statement))
    finally:
        await connection.close()
